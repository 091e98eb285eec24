/// \file
/// What mpi_communicator_test.py runs under mpirun: `mpi_program WORK [RANK [SECONDS [BYTES]]]`. RANK is the process
/// with which something is wrong; the others are the time-out and the greatest part of a message. The work `measure` is
/// for people: how long a barrier and the sum of 32 MB take.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/mpi_communicator.hpp"
#include "rapt/distributed/mpi_session.hpp"
#include "rapt/distributed/reduce_scatter.hpp"
#include "rapt/train/interrupt.hpp"

#include "tests/distributed/collective_cases.hpp"

namespace {

using rapt::Communicator;
using rapt::Index;
using rapt::detail::InterruptListener;

void sleep_seconds(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

/// Prints `text` once all processes have come here.
void say(Communicator& communicator, const char* text) {
  rapt::barrier(communicator);
  if (communicator.rank() == 0) std::printf("%s %td\n", text, communicator.size());
}

void run_collectives(Communicator& communicator) {
  for (const rapt_test::CollectiveCase& collective : rapt_test::kCollectiveCases) collective.check(communicator);
}

/// Messages in parts of 1,000 bytes, among them lengths around the multiples of a part.
void run_parts() {
  rapt::MpiCommunicator communicator({.timeout_seconds = 60, .part_bytes = 1000});
  run_collectives(communicator);
  for (const Index size : {999, 1000, 1001, 2000, 2999, 3000}) {
    std::vector<char> bytes(rapt::to_size(size), static_cast<char>(communicator.rank() == 0));
    rapt::broadcast(communicator, bytes);
    rapt_test::expect(bytes == std::vector<char>(bytes.size(), 1), "broadcast in parts", communicator, size);
  }
  say(communicator, "parts");
}

/// A message of so many bytes, in parts of 4, where 8 are expected.
void run_length(Index sent) {
  rapt::MpiCommunicator communicator({.timeout_seconds = 20, .part_bytes = 4});
  std::vector<char> bytes(communicator.rank() == 0 ? rapt::to_size(sent) : 8);
  const rapt::OutgoingMessage outgoing{1, std::as_bytes(std::span(bytes))};
  const rapt::IncomingMessage incoming{0, std::as_writable_bytes(std::span(bytes))};
  if (communicator.rank() == 0) communicator.exchange({&outgoing, 1}, {});
  if (communicator.rank() == 1) communicator.exchange({}, {&incoming, 1});
  say(communicator, "length");
}

/// Prints how long operations take; no test.
void measure(Communicator& communicator) {
  std::vector<float> values(8 << 20);
  std::vector<Index> bounds{0};
  for (Index p = 1; p <= communicator.size(); ++p) bounds.push_back(std::ssize(values) * p / communicator.size());
  std::vector<float> room(rapt::to_size(rapt::reduce_scatter_room<float>(communicator, bounds)));
  const auto add = [](std::span<float> sum, std::span<const float> x) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += x[i];
  };
  const auto time = [&](const char* what, std::size_t times, const auto& operation) {
    std::vector<double> taken;
    for (std::size_t i = 0; i < times; ++i) {
      rapt::barrier(communicator);
      const auto start = std::chrono::steady_clock::now();
      operation();
      taken.push_back(1e6 * std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(taken.begin(), taken.end());
    if (communicator.rank() == 0) std::printf("%s: median %.1f us, least %.1f us\n", what, taken[times / 2], taken[0]);
  };
  time("barrier", 2000, [&] { rapt::barrier(communicator); });
  time("sum and gathering of 32 MB", 20, [&] {
    rapt::reduce_scatter(communicator, std::span(values), bounds, room, add);
    const auto piece = rapt::detail::piece_of(std::span(values), bounds, communicator.rank());
    rapt::all_gather(communicator, piece, bounds, values);
  });
}

/// Prints what a communicator says of an MPI that was initialised for one thread alone.
int run_single() {
  int level = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SINGLE, &level);
  try {
    const rapt::MpiCommunicator communicator;
    std::printf("level %d is enough\n", level);
  } catch (const rapt::ValueError& error) {
    std::printf("%s\n", error.what());
  }
  return MPI_Finalize();
}

int work(Communicator& communicator, const std::string& name, Index wrong) {
  const bool is_wrong = communicator.rank() == wrong;
  if (name == "collectives") {
    run_collectives(communicator);
    say(communicator, "collectives");
  } else if (name == "parts") {
    run_parts();
  } else if (name == "length") {
    run_length(wrong);
  } else if (name == "measure") {
    measure(communicator);
  } else {
    for (int round = 0; round < 100; ++round) rapt::barrier(communicator);
    if (name == "throw" && is_wrong) throw std::runtime_error("the disk is full");
    if (name == "kill" && is_wrong) ::raise(SIGKILL);
    if (name == "stop" && is_wrong) ::raise(SIGSTOP);
    if (name == "leave" && is_wrong) return 0;
    if (name == "other_operation" && is_wrong) (void)rapt::all_reduce_sum(communicator, 1.0);
    if (name == "late" && is_wrong) sleep_seconds(3);  // all hear of SIGTERM meanwhile, and nobody ends for it
    if (name == "late" && !is_wrong) ::raise(SIGTERM);
    rapt::barrier(communicator);
    say(communicator, "not disturbed");
    if (name == "late" && !is_wrong && !InterruptListener::flag()) return 3;
    if (name == "linger" && is_wrong) sleep_seconds(12);  // longer than the time-out
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string name = argc > 1 ? argv[1] : "";
  const Index wrong = argc > 2 ? std::atol(argv[2]) : -1;
  const double timeout = argc > 3 ? std::atof(argv[3]) : 60;
  const Index part_bytes = argc > 4 ? std::atol(argv[4]) : rapt::MpiOptions().part_bytes;
  if (name == "single") return run_single();
  const InterruptListener listener;
  rapt::MpiSession session({.timeout_seconds = timeout,
                            .interrupted = [] { return InterruptListener::flag().load(); },
                            .part_bytes = part_bytes});
  if (name == "unwind" || name == "catch") {  // without `run`
    if (session.communicator().rank() == wrong) throw std::runtime_error("the disk is full");
    try {
      rapt::barrier(session.communicator());
    } catch (const rapt::CommunicationError& error) {
      if (name == "unwind") throw;
      std::fprintf(stderr, "caught: %s\n", error.what());
      return 4;
    }
    return 0;
  }
  return session.run("mpi_program", [&](Communicator& communicator) { return work(communicator, name, wrong); });
} catch (const std::exception& error) {
  std::fprintf(stderr, "main: %s\n", error.what());
  return 1;
}
