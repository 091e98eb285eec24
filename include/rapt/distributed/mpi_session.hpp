/// \file
/// MpiSession: from the start of MPI to its end, whatever happens between.
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/distributed/mpi_communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Initialises MPI when it is made and finalises it at its end; one for a program, in main. `run` is the usual way:
///
///     int main() {
///       rapt::MpiSession session;
///       return session.run("program", [&](rapt::Communicator& communicator) { return work(communicator); });
///     }
///
/// `work` must catch what is no failure: a TrainingJob throws Interrupted on all processes after Ctrl-C, and
/// `catch (const rapt::Interrupted&) { return 130; }` ends them in peace.
///
/// A program that was started without mpirun is one process, of rank 0. If the session is left by an exception, or an
/// operation has failed, MPI is not finalised, as this would wait for processes that are no more: the launcher then
/// ends all others and has an exit code that is not zero.
class MpiSession {
 public:
  explicit MpiSession(MpiOptions options = {}) {
    int is_initialized = 0, level = MPI_THREAD_SINGLE;
    options.validate();
    MPI_Initialized(&is_initialized);
    require(!is_initialized, "mpi", "MPI is initialised already: make an MpiCommunicator, and no MpiSession");
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level);  // ends the program if it fails
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    communicator_.emplace(std::move(options));
  }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  ~MpiSession() {
    const bool is_left_by_exception = std::uncaught_exceptions() > exceptions_;
    if (is_left_by_exception) communicator_->announce_failure("an exception");
    // A program without `run`, which knows of a failure already if an operation threw and it caught that itself.
    const bool has_to_wait = !is_left_by_exception && !has_run_ && !communicator_->has_failed();
    const bool wait_failed = has_to_wait && run("mpi", [](Communicator&) { return 0; }) != 0;
    const bool has_failed = communicator_->has_failed();
    const Index size = communicator_->size();
    communicator_.reset();
    if (!has_failed) {
      MPI_Finalize();
      return;
    }
    // All processes come here at about the same time. The first one that ends makes the launcher kill the others, which
    // may have to print their message yet.
    if (size > 1) std::this_thread::sleep_for(std::chrono::seconds(1));
    if (wait_failed) std::exit(1);  // main must not say that all went well
  }

  [[nodiscard]] MpiCommunicator& communicator() { return *communicator_; }

  /// Runs `function(communicator)`, which returns an exit code, and waits until all processes have done so. An
  /// exception is announced to the other processes and printed on standard error as "program, rank 1: text"; the exit
  /// code is then 1, here and in all processes that wait for this one. Once in a session.
  template <class Function>
  [[nodiscard]] int run(const char* program, const Function& function) {
    has_run_ = true;
    try {
      const int code = function(static_cast<Communicator&>(*communicator_));
      communicator_->wait_for_all_to_finish();
      return code;
    } catch (const std::exception& error) {
      communicator_->announce_failure(error.what());
      if (communicator_->size() == 1) {
        std::fprintf(stderr, "%s: %s\n", program, error.what());
      } else {
        std::fprintf(stderr, "%s, rank %td: %s\n", program, communicator_->rank(), error.what());
      }
      return 1;
    }
  }

 private:
  const int exceptions_ = std::uncaught_exceptions();
  bool has_run_ = false;
  std::optional<MpiCommunicator> communicator_;
};

}}  // namespace rapt::RAPT_ABI
