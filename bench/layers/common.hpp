/// \file
/// What the programs of this folder share: their two arguments, tables in Markdown, and files.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rapt/core/build_info.hpp>
#include <rapt/core/error.hpp>

namespace layers_bench {

/// `program OUTPUT_FOLDER [--quick] [--seconds S]`
struct Arguments {
  std::filesystem::path folder = {};
  bool quick = false;                  ///< a few small sizes, to see that all works
  std::optional<double> seconds = {};  ///< of each training, where a program trains
};

[[nodiscard]] inline Arguments parse_arguments(int count, char** values, const char* usage) {
  Arguments arguments;
  bool right = true;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = values[i];
    if (word == "--quick") {
      arguments.quick = true;
    } else if (word == "--seconds" && i + 1 < count) {
      char* end = nullptr;
      const double seconds = std::strtod(values[++i], &end);
      arguments.seconds = seconds;
      right = right && *end == '\0' && seconds > 0;
    } else if (!word.empty() && word.front() != '-' && arguments.folder.empty()) {
      arguments.folder = word;
    } else {
      right = false;
    }
  }
  if (!right || arguments.folder.empty()) {
    std::fprintf(stderr, "%s\n", usage);
    std::exit(2);
  }
  std::filesystem::create_directories(arguments.folder);
  return arguments;
}

/// A Markdown table, one row after the other.
class Table {
 public:
  explicit Table(const std::vector<std::string>& head) {
    add(head);
    text_ += '|';
    for (std::size_t i = 0; i < head.size(); ++i) text_ += i == 0 ? "---|" : "---:|";
    text_ += '\n';
  }
  void add(const std::vector<std::string>& row) {
    text_ += '|';
    for (const std::string& cell : row) text_ += " " + cell + " |";
    text_ += '\n';
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

[[nodiscard]] inline std::string number(const char* format, double value) {
  char digits[64];
  std::snprintf(digits, sizeof digits, format, value);
  return digits;
}

/// What the program was compiled as and runs on, as a line of text.
[[nodiscard]] inline std::string machine() { return to_string(rapt::build_info()) + "\n"; }

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  rapt::require<rapt::IoError>(file.good(), "layers", "cannot write ", path.string());
}

}  // namespace layers_bench
