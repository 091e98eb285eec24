/// \file
/// Collective operations over threads, at numbers of processes that are and are not powers of two. The same cases run
/// over MPI in mpi_communicator_test.py.
// covers: distributed/reduce_scatter.hpp, distributed/text_collectives.hpp
#include "rapt/distributed/collectives.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/distributed/local_communicator.hpp"

#include "tests/distributed/collective_cases.hpp"

namespace {

using rapt::Communicator;
using rapt::Index;

/// Passes everything on to another communicator and counts what is sent.
class MessageCounter final : public Communicator {
 public:
  explicit MessageCounter(Communicator& inner) : inner_(inner) {}
  [[nodiscard]] Index rank() const override { return inner_.rank(); }
  [[nodiscard]] Index size() const override { return inner_.size(); }
  void exchange(std::span<const rapt::OutgoingMessage> outgoing,
                std::span<const rapt::IncomingMessage> incoming) override {
    sent += std::ssize(outgoing);
    inner_.exchange(outgoing, incoming);
  }
  void announce_failure(std::string_view cause) noexcept override { inner_.announce_failure(cause); }
  Index sent = 0;

 private:
  Communicator& inner_;
};

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

/// The ways of few messages against the direct ones, bit for bit.
TEST(FewMessages, GiveTheBitsOfTheDirectWays) {
  const std::pair<Index, Index> numbers[] = {{8, 8}, {16, 16}, {32, 32}, {11, 8}, {21, 4}, {32, 16}};
  for (const auto& [size, contributors] : numbers) {
    rapt::run_local(
        size,
        [contributors = contributors](Communicator& communicator) {
          const Index rank = communicator.rank(), count = 1000;
          std::vector<Index> bounds{0};  // pieces of different sizes; that of rank 2 is empty
          for (Index p = 1; p < communicator.size(); ++p) {
            bounds.push_back(p == 3 ? bounds.back() : count * p * p / communicator.size() / communicator.size());
          }
          bounds.push_back(count);
          const auto add = [](std::span<float> sum, std::span<const float> x) {
            for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += x[i];
          };
          std::vector<float> direct = rapt_test::values_of<float>(rank, count), halved = direct;
          std::vector<float> room(rapt::to_size(count * contributors));
          rapt::detail::reduce_scatter_directly(communicator, std::span(direct), std::span<const Index>(bounds),
                                                std::span(room), add, contributors);
          room.resize(rapt::to_size(count));
          rapt::detail::reduce_scatter_by_halving(communicator, std::span(halved), std::span<const Index>(bounds),
                                                  std::span(room), add, contributors);
          for (Index i = rapt::at(bounds, rank); i < rapt::at(bounds, rank + 1); ++i) {
            rapt_test::expect(rapt::at(direct, i) == rapt::at(halved, i), "halving", communicator, i);
          }
          if (communicator.size() != contributors) return;
          const rapt::detail::BoundedPieces pieces{bounds};
          std::vector<float> doubled = direct;
          rapt::detail::all_gather_directly(communicator, std::span(direct), pieces);
          rapt::detail::all_gather_by_doubling(communicator, std::span(doubled), pieces);
          rapt_test::expect(direct == doubled, "doubling", communicator);
          rapt_test::expect(direct == rapt_test::tree_sums<float>(contributors, count), "sums", communicator);
        },
        {.timeout_seconds = 60});
  }
}

TEST(FewMessages, AreTakenByManyProcessesForSmallPieces) {
  constexpr Index kPiece = 32 << 10;
  for (const Index processes : {64, 128, 1024}) {
    EXPECT_TRUE(rapt::detail::takes_few_messages(processes, processes * kPiece));
    EXPECT_FALSE(rapt::detail::takes_few_messages(processes, processes * kPiece + 1));
  }
  for (const Index processes : {2, 32, 63, 65, 96}) EXPECT_FALSE(rapt::detail::takes_few_messages(processes, 1));
  rapt::run_local(64,
                  [](Communicator& inner) {
                    MessageCounter communicator(inner);
                    const Index rank = inner.rank(), count = 200;
                    std::vector<Index> bounds{0};
                    for (Index p = 1; p <= 64; ++p) bounds.push_back(count * p / 64);
                    std::vector<float> values = rapt_test::values_of<float>(rank, count);
                    std::vector<float> room(rapt::to_size(rapt::reduce_scatter_room<float>(communicator, bounds)));
                    rapt::reduce_scatter(communicator, std::span(values), bounds, room,
                                         [](std::span<float> sum, std::span<const float> x) {
                                           for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += x[i];
                                         });
                    rapt_test::expect(communicator.sent == 6, "reduce_scatter", communicator, communicator.sent);
                    rapt::all_gather(communicator, rapt::detail::piece_of(std::span(values), bounds, rank), bounds,
                                     values);
                    rapt_test::expect(communicator.sent == 12, "all_gather", communicator, communicator.sent);
                    rapt_test::expect(values == rapt_test::tree_sums<float>(64, count), "sums", communicator);
                  },
                  {.timeout_seconds = 60});
}

TEST(ReduceScatter, SaysHowManyContributorsThereMayBe) {
  rapt::run_local(2, [](Communicator& communicator) {
    const std::vector<Index> bounds{0, 1, 2};
    for (const Index contributors : {-1, 3}) {
      std::string said;
      try {
        std::ignore = rapt::reduce_scatter_room<float>(communicator, bounds, contributors);
      } catch (const rapt::ValueError& error) {
        said = error.what();
      }
      rapt_test::expect(
          said == "[reduce_scatter] contributors must be from 0 (all) to 2: " + std::to_string(contributors), "message",
          communicator, contributors);
    }
  });
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
