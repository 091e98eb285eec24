/// \file
/// A file that is open for reading at any place. POSIX only.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A regular file. Reading is const and safe from many threads. Every failure throws IoError with the path and the
/// system's reason.
class RandomAccessFile {
 public:
  /// Opens the file. `where` begins messages and is a literal; `name`, if it is not empty, is what they call the file.
  RandomAccessFile(std::string_view where, const std::filesystem::path& path, const std::string& name = {})
      : where_(where), path_(name.empty() ? path.string() : name) {
    file_ = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file_.is_open()) fail<IoError>(where_, path_, ": cannot open: ", system_reason(errno));
    struct ::stat facts = {};
    require<IoError>(::fstat(file_.get(), &facts) == 0 && S_ISREG(facts.st_mode), where_, path_,
                     ": is not a regular file");
    bytes_ = static_cast<std::uint64_t>(facts.st_size);
  }

  [[nodiscard]] std::string_view where() const { return where_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// The size of the file when it was opened.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  /// Reads the bytes from `offset` on into `target`. Throws IoError if the file has become too short for them.
  void read(std::uint64_t offset, void* target, std::uint64_t bytes) const {
    char* next = static_cast<char*>(target);
    while (bytes > 0) {
      const ::ssize_t taken = ::pread(file_.get(), next, bytes, static_cast<::off_t>(offset));
      if (taken < 0 && errno == EINTR) continue;
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
    struct ::stat facts = {};
    require<IoError>(::fstat(file_.get(), &facts) == 0, where_, path_, ": cannot read: ", system_reason(errno));
    const auto bytes = static_cast<std::size_t>(facts.st_size);
    require<IoError>(bytes >= least, where_, path_, ": the file has become shorter: ", bytes, " bytes");
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file_.get(), 0);
    if (memory == MAP_FAILED) fail<IoError>(where_, path_, ": cannot map: ", system_reason(errno));
    return {memory, [bytes](const void* at) { ::munmap(const_cast<void*>(at), bytes); }};
  }

 private:
  std::string_view where_;
  std::string path_;  // for messages
  FileDescriptor file_;
  std::uint64_t bytes_ = 0;
};

}}}  // namespace rapt::RAPT_ABI::detail
