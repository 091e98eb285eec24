/// \file
/// Collective operations over threads, at numbers of processes that are and are not powers of two. The same cases run
/// over MPI in mpi_communicator_test.py.
// covers: distributed/reduce_scatter.hpp, distributed/text_collectives.hpp
#include "rapt/distributed/collectives.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "rapt/distributed/local_communicator.hpp"

#include "tests/distributed/collective_cases.hpp"

namespace {

using rapt::Communicator;
using rapt::Index;

class Collectives : public testing::TestWithParam<std::tuple<rapt_test::CollectiveCase, Index>> {};

TEST_P(Collectives, AreRightAtAnyNumberOfProcesses) {
  const auto& [collective, size] = GetParam();
  rapt::run_local(size, collective.check, {.timeout_seconds = 60});
}

INSTANTIATE_TEST_SUITE_P(Processes, Collectives,
                         testing::Combine(testing::ValuesIn(rapt_test::kCollectiveCases),
                                          testing::Values(1, 2, 3, 4, 5, 7, 8, 13)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + "_" +
                                  std::to_string(std::get<1>(test.param));
                         });

TEST(ManyProcesses, HaveMorePartnersThanOneExchangeServes) {
  rapt::run_local(70,
                  [](Communicator& communicator) {
                    rapt_test::check_all_reduce(communicator);
                    std::vector<Index> ranks(70);
                    rapt::all_gather(communicator, std::vector<Index>{communicator.rank()}, ranks);
                    for (Index p = 0; p < 70; ++p)
                      rapt_test::expect(rapt::at(ranks, p) == p, "all_gather", communicator, p);
                    ranks.assign(communicator.rank() == 69 ? 70 : 0, -1);
                    rapt::gather(communicator, std::vector<Index>{communicator.rank()}, ranks, 69);
                    for (Index p = 0; p < std::ssize(ranks); ++p) {
                      rapt_test::expect(rapt::at(ranks, p) == p, "gather", communicator, p);
                    }
                  },
                  {.timeout_seconds = 60});
}

TEST(Barrier, ReturnsWhenAllHaveCome) {
  for (const Index size : {1, 2, 5, 8}) {
    std::atomic<Index> come = 0;
    rapt::run_local(size, [&](Communicator& communicator) {
      for (Index round = 1; round <= 20; ++round) {
        ++come;
        rapt::barrier(communicator);
        rapt_test::expect(come >= round * size, "barrier", communicator, round);
        rapt::barrier(communicator);
      }
    });
  }
}

}  // namespace
