// What a comparison has found so far, kept in a file, so that a comparison that was killed repeats nothing; and its
// table.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <rapt/rapt.hpp>
#include <rapt/train/job.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../common/lines.hpp"

/// A finished training: what was learned without labels, then with few.
struct Result {
  std::string objective;
  std::uint64_t seed = 0;
  rapt::Index steps = 0;          // without labels
  std::optional<double> seconds;  // that they took; none if they were interrupted
  double accuracy = 0;            // of the test images, after the labelled ones were learned
};

/// The results of a comparison, in results.jsonl in its folder, a JSON object a line:
///     {"options": {...}, "data": "60000 images, 123"}                  the first line: what decides the results
///     {"plan": "pixels", "steps": 2800}                                the steps of each training of an objective
///     {"pretrained": "pixels", "seed": 1, "seconds": 180.2}            what has no result yet
///     {"objective": "pixels", "seed": 1, "steps": 2800, "seconds": 180.2, "accuracy": 0.971}
class Results {
 public:
  /// Reads what is there when the job resumes. Without a folder nothing is kept. Throws ValueError or IoError if there
  /// are results and the job neither resumes nor restarts, or if they are of other options or data.
  Results(const std::filesystem::path& folder, const rapt::JobOptions& job, bool resume)
      : path_(folder.empty() ? folder : folder / "results.jsonl"),
        head_({{"options", job.deciding}, {"data", job.corpus}}) {
    if (path_.empty()) return;
    const bool exists = std::filesystem::exists(path_);
    rapt::require<rapt::IoError>(!exists || resume || job.restart, kWhere, path_.string(),
                                 ": there are results of an earlier comparison: --resume goes on from them, --restart "
                                 "gives them up");
    if (exists && resume) read();
    std::filesystem::create_directories(folder);
    write();
  }

  /// The result of a training that is finished, or nullptr.
  [[nodiscard]] const Result* find(const std::string& objective, std::uint64_t seed) const {
    for (const Result& result : results_) {
      if (result.objective == objective && result.seed == seed) return &result;
    }
    return nullptr;
  }
  void add(const Result& result) {
    results_.push_back(result);
    write();
  }
  /// The steps that were planned for an objective.
  [[nodiscard]] std::optional<rapt::Index> planned(const std::string& objective) const {
    const auto found = plans_.find(objective);
    return found == plans_.end() ? std::nullopt : std::optional(found->second);
  }
  void plan(const std::string& objective, rapt::Index steps) {
    plans_[objective] = steps;
    write();
  }
  /// The seconds that a training without labels took, if it was not interrupted.
  [[nodiscard]] std::optional<double> pretraining_seconds(const std::string& objective, std::uint64_t seed) const {
    const auto found = pretrained_.find({objective, seed});
    return found == pretrained_.end() ? std::nullopt : std::optional(found->second);
  }
  void add_pretraining(const std::string& objective, std::uint64_t seed, double seconds) {
    pretrained_[{objective, seed}] = seconds;
    write();
  }

  /// A row for each objective, in this order: the steps and the minutes without labels (of how many seeds, if some were
  /// interrupted), and the mean accuracy of its seeds with their standard deviation, if there are several, the lowest
  /// and the highest.
  [[nodiscard]] std::vector<std::string> table(const std::vector<std::string>& objectives) const {
    std::vector<std::string> lines{"| objective | steps | minutes | seeds | test accuracy | lowest | highest |",
                                   "|---|---|---|---|---|---|---|"};
    for (const std::string& objective : objectives) {
      std::vector<double> accuracies, minutes;
      rapt::Index steps = 0;
      for (const Result& result : results_) {
        if (result.objective != objective) continue;
        accuracies.push_back(100 * result.accuracy);
        if (result.seconds) minutes.push_back(*result.seconds / 60);
        steps = result.steps;
      }
      if (accuracies.empty()) continue;
      const auto [lowest, highest] = std::minmax_element(accuracies.begin(), accuracies.end());
      char took[40] = "", spread[40] = "", text[200];
      if (minutes.size() == accuracies.size()) {
        std::snprintf(took, sizeof took, "%.2f", mean_of(minutes));
      } else if (!minutes.empty()) {
        std::snprintf(took, sizeof took, "%.2f (%zu of %zu)", mean_of(minutes), minutes.size(), accuracies.size());
      }
      if (accuracies.size() > 1) {
        std::snprintf(spread, sizeof spread, " ± %.2f", standard_deviation_of(accuracies));
      }
      std::snprintf(text, sizeof text, " | %td | %s | %zu | %.2f %%%s | %.2f %% | %.2f %% |", steps, took,
                    accuracies.size(), mean_of(accuracies), spread, *lowest, *highest);
      lines.push_back("| " + objective + text);
    }
    return lines;
  }

 private:
  using Json = nlohmann::ordered_json;
  static constexpr const char* kWhere = "results";

  [[nodiscard]] static double mean_of(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  }
  /// The sample standard deviation of two values or more.
  [[nodiscard]] static double standard_deviation_of(const std::vector<double>& values) {
    double squares = 0;
    for (const double value : values) squares += std::pow(value - mean_of(values), 2);
    return std::sqrt(squares / static_cast<double>(values.size() - 1));
  }

  void read() {
    std::ifstream file(path_);
    rapt::require<rapt::IoError>(file.is_open(), kWhere, path_.string(), ": cannot be opened");
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
      try {
        add_line(Json::parse(line), number);
      } catch (const nlohmann::json::exception& error) {
        rapt::fail<rapt::IoError>(kWhere, path_.string(), ": line ", number, ": ", error.what());
      }
    }
  }
  void add_line(const Json& entry, int number) {
    if (number == 1) {
      rapt::require(entry == head_, kWhere, path_.string(), ": the results are of another comparison: ", entry.dump(),
                    ", now ", head_.dump());
    } else if (entry.contains("plan")) {
      plans_[entry.at("plan").get<std::string>()] = entry.at("steps").get<rapt::Index>();
    } else if (entry.contains("pretrained")) {
      pretrained_[{entry.at("pretrained").get<std::string>(), entry.at("seed").get<std::uint64_t>()}] =
          entry.at("seconds").get<double>();
    } else {
      Result result{.objective = entry.at("objective").get<std::string>(),
                    .seed = entry.at("seed").get<std::uint64_t>(),
                    .steps = entry.at("steps").get<rapt::Index>(),
                    .seconds = {},
                    .accuracy = entry.at("accuracy").get<double>()};
      if (entry.contains("seconds")) result.seconds = entry.at("seconds").get<double>();
      results_.push_back(result);
    }
  }
  void write() const {
    if (path_.empty()) return;
    std::vector<std::string> lines{head_.dump()};
    for (const auto& [objective, steps] : plans_) lines.push_back(Json{{"plan", objective}, {"steps", steps}}.dump());
    for (const auto& [training, seconds] : pretrained_) {
      const auto& [objective, seed] = training;
      if (find(objective, seed) != nullptr) continue;
      lines.push_back(Json{{"pretrained", objective}, {"seed", seed}, {"seconds", seconds}}.dump());
    }
    for (const Result& result : results_) {
      Json entry{{"objective", result.objective}, {"seed", result.seed}, {"steps", result.steps}};
      if (result.seconds) entry["seconds"] = *result.seconds;
      entry["accuracy"] = result.accuracy;
      lines.push_back(entry.dump());
    }
    write_lines(path_.string(), lines);
  }

  std::filesystem::path path_;
  Json head_;
  std::map<std::string, rapt::Index> plans_;
  std::map<std::pair<std::string, std::uint64_t>, double> pretrained_;  // seconds of an objective and a seed
  std::vector<Result> results_;
};
