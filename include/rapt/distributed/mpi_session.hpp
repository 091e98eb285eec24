/// \file
/// MpiSession: from the start of MPI to its end, whatever happens between.
#pragma once

#include <chrono>
#include <cstdio>
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
    require(level >= MPI_THREAD_SERIALIZED, "mpi",
            "this MPI does not let threads take turns: MPI_THREAD_SERIALIZED is ",
            static_cast<int>(MPI_THREAD_SERIALIZED), ", it offers level ", level);
    communicator_.emplace(std::move(options));
  }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  ~MpiSession() {
    if (std::uncaught_exceptions() > exceptions_) communicator_->announce_failure("an exception");
    if (!communicator_->has_failed()) {
      try {
        communicator_->wait_for_all_to_finish();
      } catch (const std::exception& error) {
        std::fprintf(stderr, "rank %td: %s\n", communicator_->rank(), error.what());
      }
    }
    const bool has_failed = communicator_->has_failed();
    const Index size = communicator_->size();
    communicator_.reset();
    if (!has_failed) {
      MPI_Finalize();
    } else if (size > 1) {
      // All processes come here at about the same time. The first one that ends makes the launcher kill the others,
      // which may have to print their message yet.
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }

  [[nodiscard]] MpiCommunicator& communicator() { return *communicator_; }

  /// `function(communicator)`, an exit code. An exception is announced to the other processes and printed on standard
  /// error as "program, rank 1: text"; the exit code is then 1.
  template <class Function>
  [[nodiscard]] int run(const char* program, const Function& function) {
    try {
      return function(static_cast<Communicator&>(*communicator_));
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
  std::optional<MpiCommunicator> communicator_;
};

}}  // namespace rapt::RAPT_ABI
