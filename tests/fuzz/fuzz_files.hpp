/// \file
/// Files that fuzz targets fill and give to readers of files.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace rapt_fuzz {

/// A target's own check.
inline void expect(bool condition) {
  if (!condition) std::abort();
}

/// A file in memory, with a path, for readers that open one.
class MemoryFile {
 public:
  [[nodiscard]] const std::string& path() const { return path_; }
  void write(std::string_view bytes) const {
    expect(::ftruncate(file_, 0) == 0);
    expect(::pwrite(file_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }

 private:
  int file_ = ::memfd_create("fuzz", 0);
  std::string path_ = "/proc/self/fd/" + std::to_string(file_);
};

/// A folder of the process among the temporary ones, which run.sh puts in memory and removes in the end.
class Folder {
 public:
  Folder() {
    path_ = std::filesystem::temp_directory_path() / ("rapt-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace rapt_fuzz
