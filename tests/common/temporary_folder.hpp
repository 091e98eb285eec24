/// \file
/// Folders that are there as long as a test runs.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace rapt_test {

/// A folder that is removed with everything in it; in memory where there is such a place, as every file that the
/// library writes waits for the disk.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int count = 0;
    const bool has_memory = ::access("/dev/shm", W_OK) == 0;
    path_ = (has_memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) /
            ("rapt-folder-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A fixture with a folder for each test.
class FolderTest : public testing::Test {
 private:
  TemporaryFolder temporary_;

 protected:
  const std::filesystem::path& folder_ = temporary_.path();
};

}  // namespace rapt_test
