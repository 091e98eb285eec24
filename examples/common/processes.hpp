// Programs that several processes run together, on one machine or on many: `mpirun -n 4 gpt --micro-batches 4`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <rapt/distributed/text_collectives.hpp>
#include <rapt/train/job.hpp>
#include <rapt/train/processes.hpp>
#include <string>
#include <utility>
#include <vector>

#include "flags.hpp"
#ifdef RAPT_EXAMPLES_MPI
#include <rapt/distributed/mpi_session.hpp>
#endif

/// The flags of a program that processes share, and how they reach one another.
struct ProcessFlags {
  rapt::Index micro_batches = 1;
  std::string exchange = "float32";
  bool shard_optimizer = false;
  double timeout = 300;                        // seconds
  bool trains = false, shares_work = false;    // which flags were added: what several processes could do
  rapt::Communicator* communicator = nullptr;  // of `run_program`; null: there is one process

  /// The flags of a training.
  void add_to(CLI::App& app) {
    trains = true;
    add_positive(
        app, "--micro-batches", micro_batches,
        "The number of parts of a step, a power of two, each as large as a step otherwise is; the processes that "
        "mpirun starts share them. The same number gives the same model on any number of processes. All processes "
        "have work if their number is a power of two, too, and not larger.")
        ->check(
            [](const std::string& input) {
              rapt::Index number = 0;
              const bool is_power = CLI::detail::lexical_cast(input, number) && (number & (number - 1)) == 0;
              return is_power ? std::string() : "must be a power of two, not " + input;
            },
            "");
    app.add_option(
           "--exchange", exchange,
           "The numbers in which processes exchange gradients: `float32`, or `bfloat16`, which halves the bytes of "
           "gradients that are sent and rounds their sums.")
        ->check(CLI::IsMember({"float32", "bfloat16"}))
        ->capture_default_str();
    app.add_flag("--shard-optimizer", shard_optimizer,
                 "Each process keeps its part of the optimizer's state alone, which saves memory.");
    add_timeout_to(app);
  }
  void add_timeout_to(CLI::App& app) {
    shares_work = true;
    add_positive(app, "--timeout", timeout,
                 "The seconds that a process waits for the others before it gives up: more than one of them takes for "
                 "what it does alone, such as writing a checkpoint.");
  }

  /// Throws ValueError if so many processes cannot share what the program does.
  void require_work_for(rapt::Index processes) const {
    rapt::require(processes <= 1 || shares_work, "mpirun", "it has started ", processes,
                  " processes, and there is no work here that they could share: start one, without mpirun");
    rapt::require(
        processes <= 1 || !trains || micro_batches > 1, "mpirun", "it has started ", processes,
        " processes, which share the micro-batches of a step: give --micro-batches, a power of two that is at "
        "least ",
        processes, ": ", micro_batches);
  }

  /// True on the process that writes, which is rank 0 of several.
  [[nodiscard]] bool is_first() const { return rapt::JobProcesses(communicator).is_first(); }

  /// The part of a list of so many things that this process works on: the index of the first one, and of the one behind
  /// the last. The parts of all processes follow one another.
  [[nodiscard]] std::pair<std::size_t, std::size_t> own_part(std::size_t count) const {
    if (communicator == nullptr) return {0, count};
    const auto rank = static_cast<std::size_t>(communicator->rank());
    const auto size = static_cast<std::size_t>(communicator->size());
    return {count * rank / size, count * (rank + 1) / size};
  }
  /// f(lines), where each process calls f with the lines of its part: what f gives for lines does not depend on others,
  /// and has no line feeds.
  template <class F>
  [[nodiscard]] std::vector<std::string> spread(const std::vector<std::string>& lines, const F& f) const {
    if (communicator == nullptr) return f(lines);
    const auto [begin, end] = own_part(lines.size());
    const auto at = [&](std::size_t i) { return lines.begin() + static_cast<std::ptrdiff_t>(i); };
    return all_gather_lines(*communicator, f(std::vector<std::string>(at(begin), at(end))));
  }
  /// Replaces the lines by those of rank 0, which have no line feeds.
  void share(std::vector<std::string>& lines) const {
    if (communicator == nullptr) return;
    lines = all_gather_lines(*communicator, is_first() ? lines : std::vector<std::string>());
  }

  /// The number of steps that take so many batches, or a part of a step more.
  [[nodiscard]] rapt::Index steps_of(rapt::Index batches) const {
    return (batches + micro_batches - 1) / micro_batches;
  }
  /// Options of a trainer whose steps the processes share.
  [[nodiscard]] rapt::TrainerOptions shared(rapt::TrainerOptions options) const {
    options.micro_batches = micro_batches;
    options.communicator = communicator;
    options.shard_optimizer = shard_optimizer;
    options.gradient_exchange = gradient_exchange();
    return options;
  }
  [[nodiscard]] rapt::GradientExchange gradient_exchange() const {
    return exchange == "bfloat16" ? rapt::GradientExchange::bfloat16 : rapt::GradientExchange::float32;
  }
};

/// What a launcher has told this process: whether it has started it, and the number of processes that it has started
/// together; 0 if it did not say.
struct Launch {
  bool is_there = false;
  int processes = 0;
};
inline Launch find_launch() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {  // Open MPI's; MPICH's
    if (const char* value = std::getenv(name)) return {.is_there = true, .processes = std::atoi(value)};
  }
  return {.is_there = std::getenv("PMIX_RANK") != nullptr};  // of launchers for any MPI
}

/// Runs a program: 0 if it ends well, 130 after Ctrl-C, 1 with a message to stderr for an error. The processes that
/// mpirun has started find one another by `flags.communicator`; of their standard outputs there is that of rank 0.
template <class F>
int run_program(const char* name, [[maybe_unused]] ProcessFlags& flags, const F& program) {
  const auto run = [&] {
    try {
      program();
    } catch (const rapt::Interrupted&) {
      return 130;
    }
    return 0;
  };
  const Launch launch = find_launch();
  try {
#ifdef RAPT_EXAMPLES_MPI
    if (launch.is_there) {
      rapt::MpiSession session({.timeout_seconds = flags.timeout,
                                .interrupted = [] { return rapt::detail::InterruptListener::flag().load(); }});
      return session.run(name, [&](rapt::Communicator& communicator) {
        rapt::require(launch.processes == 0 || communicator.size() == launch.processes, name, "mpirun has started ",
                      launch.processes, " processes, and this program's MPI knows of ", communicator.size(),
                      ": it was built with another MPI");
        flags.require_work_for(communicator.size());
        if (communicator.size() > 1) flags.communicator = &communicator;
        rapt::require<rapt::IoError>(flags.is_first() || std::freopen("/dev/null", "w", stdout) != nullptr, name,
                                     "cannot write to /dev/null");
        return run();
      });
    }
#endif
    rapt::require(!launch.is_there || launch.processes == 1, name, "mpirun has started ",
                  launch.processes == 0 ? std::string("an unknown number of") : std::to_string(launch.processes),
                  " processes, and this program was built without MPI: each would train a model of its own. Install "
                  "Open MPI or MPICH and build it again");
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return 1;
  }
}
