/// \file
/// The folder of a long training run: its checkpoint, the last versions of the model, the best one, and a log. Whatever
/// moment the program is killed at, the folder holds a whole checkpoint and the versions that belong to it.
#pragma once

#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rapt/io/atomic_file.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/optim/averaging.hpp"

namespace rapt::inline RAPT_ABI {

/// Names the files and keeps the last `keep` versions.
class RunFolder {
 public:
  /// Makes the folder where there is none. Throws IoError when that is not possible.
  explicit RunFolder(const std::filesystem::path& path) : path_(path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    require<IoError>(!error && std::filesystem::is_directory(path), "run_folder", path.string(),
                     ": cannot make the folder: ", error ? error.message() : std::string("it is a file"));
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path checkpoint() const { return path_ / "checkpoint.safetensors"; }
  [[nodiscard]] std::filesystem::path best() const { return path_ / "best.safetensors"; }
  [[nodiscard]] std::filesystem::path log() const { return path_ / "log.jsonl"; }
  [[nodiscard]] std::filesystem::path version(Index step) const {
    std::string digits = std::to_string(step);
    digits.insert(0, 9 - std::min<std::size_t>(9, digits.size()), '0');
    return path_ / ("step-" + digits + ".safetensors");
  }

  /// Steps of the versions up to `last`, ascending.
  [[nodiscard]] std::vector<Index> versions(Index last = std::numeric_limits<Index>::max()) const {
    std::vector<Index> steps;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const std::string name = entry.path().filename().string();
      constexpr std::string_view kBefore = "step-", kBehind = ".safetensors";
      if (!name.starts_with(kBefore) || !name.ends_with(kBehind)) continue;
      const char *begin = name.data() + kBefore.size(), *end = name.data() + name.size() - kBehind.size();
      Index step = 0;
      const auto parsed = std::from_chars(begin, end, step);
      if (parsed.ec == std::errc() && parsed.ptr == end && step <= last) steps.push_back(step);
    }
    std::sort(steps.begin(), steps.end());
    return steps;
  }
  /// The files of the last `count` versions up to `last`.
  [[nodiscard]] std::vector<std::filesystem::path> last_versions(Index count, Index last) const {
    const std::vector<Index> steps = versions(last);
    std::vector<std::filesystem::path> files;
    for (std::size_t i = steps.size() - std::min(steps.size(), static_cast<std::size_t>(count)); i < steps.size();
         ++i) {
      files.push_back(version(steps[i]));
    }
    return files;
  }
  /// Removes all but the last `keep` versions up to `last`. Those behind it are of a time that a resumed run has yet to
  /// come to again; they are removed too.
  void prune(Index keep, Index last) const {
    const std::vector<std::filesystem::path> kept = last_versions(keep, last);
    std::error_code ignored;
    for (const Index step : versions()) {
      const std::filesystem::path file = version(step);
      if (std::find(kept.begin(), kept.end(), file) == kept.end()) std::filesystem::remove(file, ignored);
    }
  }

 private:
  std::filesystem::path path_;
};

/// The mean of the models in some files. `model` gives the shapes; it becomes the mean. Throws ValueError for no files,
/// IoError or ShapeError for one that does not fit.
template <Module M>
void load_mean(M& model, std::span<const std::filesystem::path> files) {
  ParameterMean<typename M::ScalarType> mean;
  M one = model;
  for (const std::filesystem::path& file : files) {
    load_parameters(one, SafetensorsFile(file));
    mean.add(one);
  }
  mean.assign_to(model);
}

/// A log of JSON objects, one a line, each with a "step" where it belongs to one.
class JsonLog {
 public:
  /// Goes on behind the lines up to `step` (-1: from nothing) of a log that may be there; later ones, which a resumed
  /// run will write again, and a line that a kill has cut off are dropped.
  JsonLog(const std::filesystem::path& path, Index step) : path_(path) {
    std::string kept;
    if (step >= 0) {
      for (const nlohmann::ordered_json& entry : read(path)) {
        if (!entry.contains("step") || entry["step"] <= step) kept += entry.dump() + '\n';
      }
    }
    AtomicFile file(path);
    file.write(kept.data(), kept.size());
    file.commit();
  }

  /// Adds a line. False when it could not be written (a full disk): training need not stop for that.
  bool write(const nlohmann::ordered_json& entry) {
    std::ofstream stream(path_, std::ios::app);
    stream << (cut_off_ ? "\n" : "") << entry.dump() << '\n' << std::flush;
    cut_off_ = !stream.good();
    return stream.good();
  }

  /// All lines that are JSON objects. A file that is not there has none.
  [[nodiscard]] static std::vector<nlohmann::ordered_json> read(const std::filesystem::path& path) {
    std::vector<nlohmann::ordered_json> entries;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      auto entry = nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (entry.is_object()) entries.push_back(std::move(entry));
    }
    return entries;
  }

 private:
  std::filesystem::path path_;
  bool cut_off_ = false;  // the last line may lack its end
};

}  // namespace rapt::inline RAPT_ABI
