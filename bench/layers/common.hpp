/// \file
/// What the programs of this folder share: their arguments, tables in Markdown, and what stands above those.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <rapt/core/atomic_file.hpp>
#include <rapt/core/build_info.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace layers_bench {

/// `program OUTPUT_FOLDER [--quick] [--seconds S] [--data FOLDER]`
struct Arguments {
  std::filesystem::path folder = {};
  bool quick = false;                  ///< a few small sizes, to see that all works
  std::optional<double> seconds = {};  ///< of each training, where a program trains
  std::filesystem::path data = {};     ///< of texts, where a program reads some
  std::string command = {};            ///< all of them as they were given
};

[[nodiscard]] inline Arguments parse_arguments(int count, char** values, const char* usage) {
  Arguments arguments;
  bool right = true;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = values[i];
    arguments.command.append(i > 1 ? " " : "").append(word);
    if (word == "--quick") {
      arguments.quick = true;
    } else if (word == "--seconds" && i + 1 < count) {
      char* end = nullptr;
      const double seconds = std::strtod(values[++i], &end);
      arguments.command.append(" ").append(values[i]);
      arguments.seconds = seconds;
      right = right && *end == '\0' && seconds > 0;
    } else if (word == "--data" && i + 1 < count) {
      arguments.data = values[++i];
      arguments.command.append(" ").append(values[i]);
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

/// The median of some numbers and their ends.
struct Spread {
  double median = 0, least = 0, most = 0;
};
[[nodiscard]] inline Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}
/// "12.1 (11.9 .. 13.0)"
[[nodiscard]] inline std::string text_of(const Spread& spread, const char* format, double factor = 1) {
  return number(format, factor * spread.median) + " (" + number(format, factor * spread.least) + " .. " +
         number(format, factor * spread.most) + ")";
}

/// The command, what the program was compiled as and runs on, and how much else the machine does (the load average of
/// the last minute, on systems that tell), each on a line of its own.
[[nodiscard]] inline std::string machine(std::string_view program, const Arguments& arguments) {
  std::string text = "`" + std::string(program) + " " + arguments.command + "`\n" + to_string(rapt::build_info());
  double load = 0;
  if (std::FILE* const file = std::fopen("/proc/loadavg", "r")) {
    if (std::fscanf(file, "%lf", &load) == 1) text += "\nload average of the last minute: " + number("%.2f", load);
    std::fclose(file);
  }
  return text + "\n";
}

/// Writes a text as a file that appears whole or not at all.
inline void write_file(const std::filesystem::path& path, const std::string& text) {
  rapt::AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace layers_bench
