/// \file
/// Files that appear whole or not at all: written beside their target, flushed to the disk, then renamed over it.
/// POSIX only.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// What the system says about an errno, e.g. "No space left on device".
[[nodiscard]] inline std::string system_reason(int error) { return std::generic_category().message(error); }

/// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }

  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  /// Closes now and tells whether the system was content: some file systems report a full disk only here.
  [[nodiscard]] bool close() { return ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_ = -1;
};

}  // namespace detail

/// A file under construction. `write` as often as needed, then `commit`; without it nothing is left behind and whatever
/// stood at the path stays as it was. Every failure throws IoError with the path and the system's reason.
class AtomicFile {
 public:
  /// Opens a temporary file in the folder of `path`. A link is followed; anything but a regular file is refused.
  explicit AtomicFile(const std::filesystem::path& path) : path_(path), target_(path) {
    std::error_code error;
    if (std::filesystem::is_symlink(path, error)) {
      std::filesystem::path resolved = std::filesystem::canonical(path, error);
      if (!error) target_ = std::move(resolved);
    }
    require<IoError>(target_.has_filename(), kWhere, path_.string(), ": the path names no file");
    struct ::stat old = {};
    const bool replaces = ::stat(target_.c_str(), &old) == 0;
    require<IoError>(!replaces || S_ISREG(old.st_mode), kWhere, path_.string(),
                     ": cannot write: it exists and is not a regular file");

    do {
      temporary_ = target_.parent_path() / temporary_name();
      file_ = detail::FileDescriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    } while (!file_.is_open() && errno == EEXIST);
    if (!file_.is_open()) fail_with(errno, "cannot create a file in its folder");
    // Whoever could read the old file can read the new one. Some file systems have no modes: not an error.
    if (replaces) static_cast<void>(::fchmod(file_.get(), old.st_mode & 07777));
  }

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (!committed_) ::unlink(temporary_.c_str());
  }

  /// Adds bytes at the end.
  void write(const void* data, std::size_t bytes) {
    const char* next = static_cast<const char*>(data);
    while (bytes > 0) {
      const ::ssize_t written = ::write(file_.get(), next, bytes);  // may take fewer than it is given
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_with(errno, "cannot write");
      next += written;
      bytes -= static_cast<std::size_t>(written);
    }
  }

  /// Puts the file in its place. Once, at the end.
  void commit() {
    if (::fsync(file_.get()) != 0) fail_with(errno, "cannot flush to the disk");
    if (!file_.close()) fail_with(errno, "cannot close");
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_with(errno, "cannot rename over it");
    committed_ = true;
    // The rename is durable once the folder is flushed; the file is whole either way, so a refusal is no error.
    const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
    const detail::FileDescriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (handle.is_open()) static_cast<void>(::fsync(handle.get()));
  }

 private:
  static constexpr const char* kWhere = "atomic_file";

  // Short, so that it fits wherever the target's own name does.
  [[nodiscard]] static std::string temporary_name() {
    static std::atomic<unsigned> counter{0};
    return ".rapt-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".tmp";
  }

  [[noreturn]] void fail_with(int error, const char* what) const {
    fail<IoError>(kWhere, path_.string(), ": ", what, ": ", detail::system_reason(error));
  }

  std::filesystem::path path_;       // as the caller named it
  std::filesystem::path target_;     // links followed
  std::filesystem::path temporary_;  // in the same folder, hence the same file system
  detail::FileDescriptor file_;
  bool committed_ = false;
};

namespace detail {

/// Writes a text as a file that appears whole or not at all.
inline void write_text_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
