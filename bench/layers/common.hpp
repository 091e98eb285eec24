/// \file
/// What the programs of this folder share: their arguments, tables in Markdown, and what stands above those.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <rapt/core/atomic_file.hpp>
#include <rapt/core/build_info.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
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

/// The median of some numbers (of an even number of them the mean of the two in the middle) and their ends.
struct Spread {
  double median = 0, least = 0, most = 0;
};
[[nodiscard]] inline Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t upper = values.size() / 2, lower = (values.size() - 1) / 2;
  return {(values[lower] + values[upper]) / 2, values.front(), values.back()};
}
/// "12.1 (11.9 .. 13.0)", or "12.1" if the ends read the same.
[[nodiscard]] inline std::string text_of(const Spread& spread, const char* format, double factor = 1) {
  const std::string median = number(format, factor * spread.median), least = number(format, factor * spread.least),
                    most = number(format, factor * spread.most);
  return least == most ? median : median + " (" + least + " .. " + most + ")";
}

/// How much else the machine does: the load average of the last minute; none on systems that do not tell.
[[nodiscard]] inline std::optional<double> load_average() {
  std::optional<double> load;
  if (std::FILE* const file = std::fopen("/proc/loadavg", "r")) {
    double value = 0;
    if (std::fscanf(file, "%lf", &value) == 1) load = value;
    std::fclose(file);
  }
  return load;
}
/// "2026-11-30T20:15:00Z"
[[nodiscard]] inline std::string time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
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
  /// Reads what folder/name holds. Ends the program if that was made with other arguments, by another build, or on
  /// another instruction set or number of threads.
  Finished(const Arguments& arguments, const std::string& name)
      : path_(arguments.folder / name), settings_("arguments: " + arguments.settings + "; " + build()) {
    std::ifstream file(path_);
    std::string line;
    if (!std::getline(file, line)) return;
    if (line != settings_) {
      std::fprintf(stderr, "%s holds measurements of another run (%s; now %s): remove it, or take another folder\n",
                   path_.string().c_str(), line.c_str(), settings_.c_str());
      std::exit(2);
    }
    while (std::getline(file, line)) {
      std::istringstream fields(line);
      std::string key, numbers, load;
      Measurement one;
      if (!std::getline(fields, key, '\t') || !std::getline(fields, numbers, '\t') ||
          !std::getline(fields, one.time, '\t')) {
        continue;
      }
      if (std::getline(fields, load)) one.load = std::strtod(load.c_str(), nullptr);
      const char* at = numbers.c_str();
      for (char* end = nullptr;; at = end) {
        const double value = std::strtod(at, &end);  // also of inf and nan
        if (end == at) break;
        one.numbers.push_back(value);
      }
      measurements_[key] = std::move(one);
    }
  }

  /// The numbers of a measurement: those of the file, or what `measure` returns, which the file then has, too, with the
  /// time and the load average behind it.
  [[nodiscard]] const std::vector<double>& of(const std::string& key,
                                              const std::function<std::vector<double>()>& measure) {
    if (const auto found = measurements_.find(key); found != measurements_.end()) return found->second.numbers;
    std::vector<double> numbers = measure();
    const Measurement& added = measurements_[key] = {std::move(numbers), time_now(), load_average()};
    std::string text = settings_ + "\n";
    for (const auto& [name, one] : measurements_) {
      text += name;
      for (std::size_t i = 0; i < one.numbers.size(); ++i) {
        text += i == 0 ? '\t' : ' ';
        text += number("%.17g", one.numbers[i]);
      }
      text.append("\t").append(one.time);
      if (one.load) text.append("\t").append(number("%.2f", *one.load));
      text += '\n';
    }
    write_file(path_, text);
    return added.numbers;
  }

  /// "load average of the last minute behind each measurement, 2026-11-30T20:15:00Z to ...: 0.31 (0.12 .. 1.40)", or
  /// the times alone on systems that tell no load; empty without measurements.
  [[nodiscard]] std::string conditions() const {
    if (measurements_.empty()) return "";
    std::vector<std::string> times;
    std::vector<double> loads;
    for (const auto& [name, one] : measurements_) {
      times.push_back(one.time);
      if (one.load) loads.push_back(*one.load);
    }
    const auto [first, last] = std::minmax_element(times.begin(), times.end());
    const std::string range = *first + " to " + *last;
    if (loads.empty()) return "measured " + range;
    return "load average of the last minute behind each measurement, " + range + ": " +
           text_of(spread_of(loads), "%.2f");
  }

 private:
  struct Measurement {
    std::vector<double> numbers = {};
    std::string time = {};
    std::optional<double> load = {};
  };

  /// What decides times and bits beside the arguments, on one line.
  [[nodiscard]] static std::string build() {
    std::string text = to_string(rapt::build_info());
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  }

  std::filesystem::path path_;
  std::string settings_;
  std::map<std::string, Measurement> measurements_;
};

/// The command, what the program was compiled as and runs on, and how much else the machine did, each on a line of its
/// own.
[[nodiscard]] inline std::string machine(std::string_view program, const Arguments& arguments,
                                         const std::string& conditions) {
  std::string text =
      "`" + std::string(program) + " " + arguments.command + "`\n" + to_string(rapt::build_info()) + "\n";
  if (!conditions.empty()) text.append(conditions).append("\n");
  return text;
}
/// The same with the load average of now.
[[nodiscard]] inline std::string machine(std::string_view program, const Arguments& arguments) {
  const std::optional<double> load = load_average();
  return machine(program, arguments, load ? "load average of the last minute: " + number("%.2f", *load) : "");
}

}  // namespace layers_bench
