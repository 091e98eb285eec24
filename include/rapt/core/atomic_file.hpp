/// \file
/// Files that appear whole or not at all: written beside their target, flushed to the disk, then renamed over it.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "rapt/core/error.hpp"
#include "rapt/core/system.hpp"

namespace rapt { inline namespace RAPT_ABI {

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
    detail::FileFacts old;
    const bool replaces = detail::facts_of(target_, old);
    require<IoError>(!replaces || old.is_regular, kWhere, path_.string(),
                     ": cannot write: it exists and is not a regular file");

    do {
      temporary_ = target_.parent_path() / temporary_name();
      file_ = detail::FileDescriptor(temporary_, detail::OpenMode::create);
    } while (!file_.is_open() && errno == EEXIST);
    if (!file_.is_open()) fail_with(errno, "cannot create a file in its folder");
    if (replaces) detail::set_mode(file_.get(), old.mode);  // Whoever could read the old file can read the new one.
  }

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (!committed_) detail::remove_file(temporary_);
  }

  /// Adds bytes at the end.
  void write(const void* data, std::size_t bytes) {
    const char* next = static_cast<const char*>(data);
    while (bytes > 0) {
      const std::int64_t written = detail::write_some(file_.get(), next, bytes);
      if (written < 0) fail_with(errno, "cannot write");
      next += written;
      bytes -= static_cast<std::size_t>(written);
    }
  }

  /// Puts the file in its place. Once, at the end.
  void commit() {
    if (!detail::flush_to_disk(file_.get())) fail_with(errno, "cannot flush to the disk");
    if (!file_.close()) fail_with(errno, "cannot close");
    if (!detail::rename_over(temporary_, target_)) fail_with(errno, "cannot rename over it");
    committed_ = true;
    // The rename is durable once the folder is flushed; the file is whole either way, so a refusal is no error.
    detail::flush_folder(target_.has_parent_path() ? target_.parent_path() : ".");
  }

 private:
  static constexpr const char* kWhere = "atomic_file";

  // Short, so that it fits wherever the target's own name does.
  [[nodiscard]] static std::string temporary_name() {
    static std::atomic<unsigned> counter{0};
    return ".rapt-" + std::to_string(detail::process_id()) + "-" + std::to_string(counter++) + ".tmp";
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
