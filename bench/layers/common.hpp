/// \file
/// What the programs of this folder share: their arguments, tables in Markdown, and what stands above those.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <rapt/core/atomic_file.hpp>
#include <rapt/core/build_info.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace layers_bench {

/// `program OUTPUT_FOLDER [--quick] [--seconds S] [--seeds N] [--data FOLDER]`
struct Arguments {
  std::filesystem::path folder = {};
  bool quick = false;                       ///< a few small sizes, to see that all works
  std::optional<double> seconds = {};       ///< of each training, where a program trains
  std::optional<std::uint64_t> seeds = {};  ///< of which trainings are made, where a program trains
  std::filesystem::path data = {};          ///< of texts, where a program reads some
  std::string command = {};                 ///< all of them as they were given
  std::string settings = {};                ///< the same without the folder
};

[[nodiscard]] inline Arguments parse_arguments(int count, char** values, const char* usage) {
  Arguments arguments;
  bool right = true;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = values[i];
    const bool has_value = (word == "--seconds" || word == "--seeds" || word == "--data") && i + 1 < count;
    const char* const value = has_value ? values[++i] : "";
    const std::string text = std::string(word) + (has_value ? " " : "") + value;
    arguments.command.append(arguments.command.empty() ? "" : " ").append(text);
    if (!word.empty() && word.front() != '-' && arguments.folder.empty()) {
      arguments.folder = word;
      continue;
    }
    arguments.settings.append(arguments.settings.empty() ? "" : " ").append(text);
    char* end = nullptr;
    if (word == "--quick") {
      arguments.quick = true;
    } else if (word == "--seconds" && has_value) {
      arguments.seconds = std::strtod(value, &end);
      right = right && *end == '\0' && *arguments.seconds > 0;
    } else if (word == "--seeds" && has_value) {
      const long seeds = std::strtol(value, &end, 10);
      right = right && *end == '\0' && seeds > 0;
      arguments.seeds = static_cast<std::uint64_t>(seeds);
    } else if (word == "--data" && has_value) {
      arguments.data = value;
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
/// "12.1 (11.9 .. 13.0)", or "12.1" if the ends read the same.
[[nodiscard]] inline std::string text_of(const Spread& spread, const char* format, double factor = 1) {
  const std::string median = number(format, factor * spread.median), least = number(format, factor * spread.least),
                    most = number(format, factor * spread.most);
  return least == most ? median : median + " (" + least + " .. " + most + ")";
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

/// The measurements that a program has finished, in a file of its folder: a run that was ended goes on behind them.
class Finished {
 public:
  /// Reads what folder/name holds. Ends the program if that was made with other arguments.
  Finished(const Arguments& arguments, const std::string& name)
      : path_(arguments.folder / name), settings_("arguments: " + arguments.settings) {
    std::ifstream file(path_);
    std::string line;
    if (!std::getline(file, line)) return;
    if (line != settings_) {
      std::fprintf(stderr, "%s holds measurements of another run (%s; now %s): remove it, or take another folder\n",
                   path_.string().c_str(), line.c_str(), settings_.c_str());
      std::exit(2);
    }
    while (std::getline(file, line)) {
      const std::size_t tab = line.find('\t');
      if (tab == std::string::npos) continue;
      std::vector<double>& numbers = numbers_[line.substr(0, tab)];
      const char* at = line.c_str() + tab;
      for (char* end = nullptr;; at = end) {
        const double value = std::strtod(at, &end);
        if (end == at) break;
        numbers.push_back(value);
      }
    }
  }

  /// The numbers of a measurement: those of the file, or what `measure` returns, which the file then has, too.
  [[nodiscard]] const std::vector<double>& of(const std::string& key,
                                              const std::function<std::vector<double>()>& measure) {
    if (const auto found = numbers_.find(key); found != numbers_.end()) return found->second;
    const std::vector<double>& numbers = numbers_[key] = measure();
    std::string text = settings_ + "\n";
    for (const auto& [name, values] : numbers_) {
      text += name;
      for (std::size_t i = 0; i < values.size(); ++i) {
        text += i == 0 ? '\t' : ' ';
        text += number("%.17g", values[i]);
      }
      text += '\n';
    }
    write_file(path_, text);
    return numbers;
  }

 private:
  std::filesystem::path path_;
  std::string settings_;
  std::map<std::string, std::vector<double>> numbers_;
};

}  // namespace layers_bench
