/// \file
/// An input stream that reads a file and reports failures in every standard library.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <streambuf>
#include <system_error>

#include "rapt/core/system.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A stream buffer that reads the bytes of a file, a pipe or a device from its beginning to its end.
class FileBuffer : public std::streambuf {
 public:
  explicit FileBuffer(const std::filesystem::path& path) : file_(path, OpenMode::read) {}
  FileBuffer(const FileBuffer&) = delete;
  FileBuffer& operator=(const FileBuffer&) = delete;

  [[nodiscard]] bool is_open() const { return file_.is_open(); }

 protected:
  /// Throws std::system_error if reading fails, which makes a stream that uses this buffer bad().
  int_type underflow() override {
    const std::int64_t count = read_some(file_.get(), bytes_.data(), bytes_.size());
    if (count < 0) throw std::system_error(errno, std::generic_category());
    if (count == 0) return traits_type::eof();
    setg(bytes_.data(), bytes_.data(), bytes_.data() + count);
    return traits_type::to_int_type(bytes_[0]);
  }

 private:
  FileDescriptor file_;
  std::array<char, 1 << 16> bytes_;
};

/// Replaces std::ifstream, which in some standard libraries (LLVM's) treats a failure to read as the end of the file.
/// This stream is bad() after a failure with every standard library.
class InputFile : private FileBuffer, public std::istream {
 public:
  explicit InputFile(const std::filesystem::path& path) : FileBuffer(path), std::istream(this) {
    if (!is_open()) setstate(std::ios::failbit);
  }

  using FileBuffer::is_open;
};

}}}  // namespace rapt::RAPT_ABI::detail
