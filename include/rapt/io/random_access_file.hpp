/// \file
/// A file that is open for reading at any place.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/system.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A regular file. Reading is const and safe from many threads. Every failure throws IoError with the path and the
/// system's reason.
class RandomAccessFile {
 public:
  /// Opens the file. `where` begins messages and is a literal; `name`, if it is not empty, is what they call the file.
  RandomAccessFile(std::string_view where, const std::filesystem::path& path, const std::string& name = {})
      : where_(where), path_(name.empty() ? path.string() : name), file_(path, OpenMode::read_regular) {
    if (!file_.is_open()) fail<IoError>(where_, path_, ": cannot open: ", system_reason(errno));
    FileFacts facts;
    require<IoError>(facts_of(file_.get(), facts) && facts.is_regular, where_, path_, ": is not a regular file");
    bytes_ = facts.bytes;
  }

  [[nodiscard]] std::string_view where() const { return where_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// The size of the file when it was opened.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// Reads the bytes from `offset` on into `target`. Throws IoError if the file has become too short for them.
  void read(std::uint64_t offset, void* target, std::uint64_t bytes) const {
    char* next = static_cast<char*>(target);
    while (bytes > 0) {
      const std::int64_t taken = read_some_at(file_.get(), next, static_cast<std::size_t>(bytes), offset);
      if (taken < 0) fail<IoError>(where_, path_, ": cannot read: ", system_reason(errno));
      require<IoError>(taken > 0, where_, path_, ": the file has become shorter: it ends at byte ", offset);
      next += taken;
      offset += static_cast<std::uint64_t>(taken);
      bytes -= static_cast<std::uint64_t>(taken);
    }
  }

  /// The whole file in memory, of at least `least` bytes: pages are read from the disk when they are looked at, and
  /// become the program's own when they are written to. The file must not be shortened or overwritten in place
  /// meanwhile.
  [[nodiscard]] std::shared_ptr<const void> map(std::uint64_t least) const {
    FileFacts facts;
    require<IoError>(facts_of(file_.get(), facts), where_, path_, ": cannot read: ", system_reason(errno));
    const auto bytes = static_cast<std::size_t>(facts.bytes);
    require<IoError>(bytes >= least, where_, path_, ": the file has become shorter: ", bytes, " bytes");
    void* memory = map_file(file_.get(), bytes);
    if (memory == nullptr) fail<IoError>(where_, path_, ": cannot map: ", system_reason(errno));
    return {memory, [bytes](const void* at) { unmap_file(const_cast<void*>(at), bytes); }};
  }

 private:
  std::string_view where_;
  std::string path_;  // for messages
  FileDescriptor file_;
  std::uint64_t bytes_ = 0;
};

}}}  // namespace rapt::RAPT_ABI::detail
