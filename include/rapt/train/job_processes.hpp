/// \file
/// JobProcesses: how the processes of one training job act as one. Rank 0 reads and writes the files and decides what
/// follows from them, and the others go the same way.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/input_file.hpp"
#include "rapt/core/system.hpp"
#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/distributed/text_collectives.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The processes of a job. All of them call the same functions in the same order. With one process each function is
/// just the call of what it is given. Everything that Communicator::exchange throws may come out of each function. For
/// one thread at a time.
class JobProcesses {
 public:
  /// `communicator` must outlive this object; nullptr: there is one process.
  explicit JobProcesses(Communicator* communicator = nullptr) : communicator_(communicator) {}

  /// The number of processes, 1 without a communicator.
  [[nodiscard]] Index count() const { return communicator_ == nullptr ? 1 : communicator_->size(); }
  /// True on rank 0, which has the files.
  [[nodiscard]] bool is_first() const { return communicator_ == nullptr || communicator_->rank() == 0; }

  /// Calls f() on rank 0 alone. If it throws there, all processes throw: the others an error of the same type, whose
  /// text names rank 0 and the cause.
  template <class F>
  void on_first(const F& f) const {
    if (count() == 1) return f();
    Outcome outcome = Outcome::success;
    std::string cause;
    std::exception_ptr thrown;
    const auto note = [&](Outcome kind, const std::exception& error) {
      thrown = std::current_exception();
      outcome = kind;
      cause = error.what();
    };
    if (is_first()) {
      try {
        f();
      } catch (const ValueError& error) {
        note(Outcome::value_error, error);
      } catch (const ShapeError& error) {
        note(Outcome::shape_error, error);
      } catch (const IoError& error) {
        note(Outcome::io_error, error);
      } catch (const std::exception& error) {
        note(Outcome::other_error, error);
      }
    }
    try {
      outcome = broadcast_value(*communicator_, outcome);
      if (outcome == Outcome::success) return;
      cause = broadcast_text(*communicator_, cause);
    } catch (const CommunicationError&) {
      if (!thrown) throw;  // else another process has ended for the same cause already
    }
    if (thrown) std::rethrow_exception(thrown);
    constexpr std::string_view kEnded = "rank 0 has ended: ";
    if (outcome == Outcome::value_error) fail<ValueError>("train", kEnded, cause);
    if (outcome == Outcome::shape_error) fail<ShapeError>("train", kEnded, cause);
    if (outcome == Outcome::io_error) fail<IoError>("train", kEnded, cause);
    fail<Error>("train", kEnded, cause);
  }

  /// What f() returns on rank 0, where alone it is called: a text, or a value that may be copied byte by byte. Throws
  /// as on_first does.
  template <class F>
  [[nodiscard]] auto from_first(const F& f) const {
    std::invoke_result_t<const F&> value{};
    on_first([&] { value = f(); });
    if (count() == 1) return value;
    if constexpr (std::is_same_v<decltype(value), std::string>) {
      return broadcast_text(*communicator_, value);
    } else {
      return broadcast_value(*communicator_, value);
    }
  }

  /// One value of each process, in the order of their ranks.
  template <class T>
  [[nodiscard]] std::vector<T> from_each(const T& value) const {
    std::vector<T> values(to_size(count()), value);
    if (count() > 1) all_gather(*communicator_, std::span(&value, 1), values);
    return values;
  }

  /// Replaces bytes, as many on all processes, by those of rank 0.
  void share(std::span<std::byte> bytes) const {
    if (count() > 1) broadcast(*communicator_, bytes);
  }
  /// Replaces the model's parameters by those of rank 0's model, which has the same shapes.
  template <Module M>
  void share_parameters(M& model) const {
    if (count() == 1) return;
    for_each_parameter(model, [&](const std::string&, auto& parameter) {
      if (parameter.value().has_elements()) share(std::as_writable_bytes(parameter.mutable_value().values()));
    });
  }

  /// Throws the same ValueError on all processes if these texts, by their names, are not the same on all of them.
  void require_same(std::string_view where, const std::vector<std::pair<std::string, std::string>>& values) const {
    if (count() > 1) rapt::require_same(*communicator_, where, values);
  }

  /// Calls f(). If it throws, the other processes are told, so that they end with this rank and the cause.
  template <class F>
  void announcing_failure(const F& f) const {
    try {
      f();
    } catch (const std::exception& error) {
      if (communicator_ != nullptr) communicator_->announce_failure(error.what());
      throw;
    }
  }

 private:
  enum class Outcome { success, value_error, shape_error, io_error, other_error };

  Communicator* communicator_;
};

/// A file that rank 0 has, and that all processes read: the others, which may be on machines that do not see it, get a
/// copy in the folder for temporary files (TMPDIR, or /tmp), which needs as much room. The copy loses its name as soon
/// as it is open, where the system has /proc/self/fd, so that nothing of it stays if the process is killed; its room is
/// free again when this object ends. All processes make one together.
class FileOfFirst {
 public:
  /// Throws IoError on all processes if rank 0 cannot read the file; on one alone if it cannot write its copy.
  FileOfFirst(const std::filesystem::path& path, const JobProcesses& processes) : path_(path), name_(path.string()) {
    if (processes.count() == 1) return;
    name_ = processes.from_first([&] { return path.string(); });
    std::optional<detail::InputFile> source;
    if (processes.is_first()) {
      source.emplace(path);
    } else {
      make_copy();
      name_ += " of rank 0";
      std::error_code ignored;
      const std::string by_number = "/proc/self/fd/" + std::to_string(copy_.file.get());
      if (std::filesystem::exists(by_number, ignored)) {
        copy_.remove();
        path_ = by_number;
      }
    }
    std::vector<char> room(std::size_t{1} << 22);
    auto left = processes.from_first([&] { return std::filesystem::file_size(path); });
    while (left > 0) {
      const auto bytes = std::span(room).first(static_cast<std::size_t>(std::min<std::uintmax_t>(left, room.size())));
      processes.on_first([&] {
        source->read(bytes.data(), std::ssize(bytes));
        require<IoError>(source->gcount() == std::ssize(bytes), kWhere, path.string(), ": cannot read the file");
      });
      processes.share(std::as_writable_bytes(bytes));
      if (copy_.file.is_open()) write_all(copy_.file.get(), bytes);
      left -= bytes.size();
    }
  }

  /// Where this process reads the file: on rank 0 the path itself, elsewhere the copy.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// What messages should call the file: its path on rank 0.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  static constexpr std::string_view kWhere = "train";

  struct Copy {
    Copy() = default;
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    ~Copy() { remove(); }
    void remove() {
      std::error_code ignored;
      if (!path.empty()) std::filesystem::remove(path, ignored);
      path.clear();
    }
    detail::FileDescriptor file = {};
    std::filesystem::path path = {};  // empty when the file has no name any more
  };

  /// Makes the copy, empty, in the folder for temporary files, where no other process has a file of its name.
  void make_copy() {
    static std::atomic<unsigned> counter{0};
    const std::filesystem::path folder = std::filesystem::temp_directory_path();
    const std::string begin = "rapt-checkpoint-" + std::to_string(detail::process_id()) + "-";
    do {
      path_ = folder / (begin + std::to_string(counter++));
      copy_.file = detail::FileDescriptor(path_, detail::OpenMode::create_private);
    } while (!copy_.file.is_open() && errno == EEXIST);
    require<IoError>(copy_.file.is_open(), kWhere, path_.string(),
                     ": cannot make a file: ", detail::system_reason(errno));
    copy_.path = path_;
  }

  void write_all(int file, std::span<const char> bytes) const {
    while (!bytes.empty()) {
      const std::int64_t written = detail::write_some(file, bytes.data(), bytes.size());
      require<IoError>(written > 0, kWhere, name_,
                       ": cannot write this process's copy of the file: ", detail::system_reason(errno));
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  std::filesystem::path path_;
  std::string name_;
  Copy copy_;  // on processes that do not have the file
};

}}  // namespace rapt::RAPT_ABI
