/// \file
/// The folder of a long training run: its checkpoint, the last versions of the model, the best one, and a log. Whatever
/// moment the program is killed at, the folder holds a whole checkpoint and the versions that belong to it.
#pragma once

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/input_file.hpp"
#include "rapt/core/system.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/optim/averaging.hpp"
#include "rapt/train/snapshot.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Names the files of a run, and removes those that are no longer needed.
class RunFolder {
 public:
  /// Makes the folder where there is none. Throws IoError when that is not possible.
  explicit RunFolder(const std::filesystem::path& path) : path_(path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    require<IoError>(!error && std::filesystem::is_directory(path), "run_folder", path.string(),
                     ": cannot make the folder: ", error ? error.message() : std::string("it is a file"));
  }

  /// The folder.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// The checkpoint's file, which holds all that a run needs to go on.
  [[nodiscard]] std::filesystem::path checkpoint() const { return checkpoint(path_); }
  /// The checkpoint of any folder.
  [[nodiscard]] static std::filesystem::path checkpoint(const std::filesystem::path& folder) {
    return folder / "checkpoint.safetensors";
  }
  /// The file of the best model so far.
  [[nodiscard]] std::filesystem::path best() const { return path_ / "best.safetensors"; }
  [[nodiscard]] std::filesystem::path log() const { return path_ / "log.jsonl"; }  ///< the log, one JSON object a line
  /// The file of the model after a step.
  [[nodiscard]] std::filesystem::path version(Index step) const { return numbered("step-", step); }
  /// The best model of an earlier step, where a newer one has taken its place (see BestModel).
  [[nodiscard]] std::filesystem::path best(Index step) const { return numbered("best-", step); }

  /// Steps of the versions up to `last`, ascending. Files of other names are left alone; a folder that cannot be read
  /// has none.
  [[nodiscard]] std::vector<Index> versions(Index last = std::numeric_limits<Index>::max()) const {
    return steps_of("step-", last);
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
  /// Removes all but the last `keep` versions up to `last`. Versions of later steps are removed too: a resumed run has
  /// yet to come to these steps again.
  void prune(Index keep, Index last) const {
    const std::vector<std::filesystem::path> kept = last_versions(keep, last);
    std::error_code ignored;
    for (const Index step : versions()) {
      const std::filesystem::path file = version(step);
      if (std::find(kept.begin(), kept.end(), file) == kept.end()) std::filesystem::remove(file, ignored);
    }
  }
  /// Removes the best models of earlier steps.
  void remove_former_bests() const {
    std::error_code ignored;
    for (const Index step : steps_of("best-", std::numeric_limits<Index>::max())) {
      std::filesystem::remove(best(step), ignored);
    }
  }
  /// Removes the half-written files of processes that were killed, which would add up. To be called before this process
  /// writes into the folder.
  void remove_leftovers() const {
    for_each_name([&](const std::string& name) {
      const std::optional<long> writer = writer_of(name);
      if (!writer) return;
      const bool runs = *writer != detail::process_id() && detail::process_runs(*writer);
      std::error_code ignored;
      if (!runs) std::filesystem::remove(path_ / name, ignored);
    });
  }

 private:
  static constexpr std::string_view kModelSuffix = ".safetensors";

  /// The model file of a step, whose name has at least nine digits so that names sort as steps do.
  [[nodiscard]] std::filesystem::path numbered(std::string_view prefix, Index step) const {
    std::string digits = std::to_string(step);
    digits.insert(0, 9 - std::min<std::size_t>(9, digits.size()), '0');
    return path_ / std::string(prefix).append(digits).append(kModelSuffix);
  }
  /// The steps up to `last` of which there are such files, ascending.
  [[nodiscard]] std::vector<Index> steps_of(std::string_view prefix, Index last) const {
    std::vector<Index> steps;
    for_each_name([&](const std::string& name) {
      if (!name.starts_with(prefix) || !name.ends_with(kModelSuffix)) return;
      Index step = 0;
      const auto parsed = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), step);
      std::error_code ignored;
      if (parsed.ec == std::errc() && step <= last && numbered(prefix, step).filename() == name &&
          std::filesystem::is_regular_file(path_ / name, ignored)) {
        steps.push_back(step);
      }
    });
    std::sort(steps.begin(), steps.end());
    return steps;
  }
  /// The process in the name of an AtomicFile's temporary, ".rapt-PROCESS-NUMBER.tmp".
  [[nodiscard]] static std::optional<long> writer_of(std::string_view name) {
    constexpr std::string_view kBefore = ".rapt-", kBehind = ".tmp";
    if (!name.starts_with(kBefore) || !name.ends_with(kBehind)) return std::nullopt;
    long process = 0;
    const auto parsed = std::from_chars(name.data() + kBefore.size(), name.data() + name.size(), process);
    if (parsed.ec != std::errc() || process <= 0 || *parsed.ptr != '-') return std::nullopt;
    return process;
  }

  template <class F>
  void for_each_name(const F& f) const {
    std::error_code error;
    for (std::filesystem::directory_iterator at(path_, error), end; !error && at != end; at.increment(error)) {
      f(at->path().filename().string());
    }
  }

  std::filesystem::path path_;
};

/// The model's parameters become the mean of those in some files. Throws ValueError for no files, IoError or ShapeError
/// for one that does not fit; the model is then as it was.
template <Module M>
void load_mean(M& model, std::span<const std::filesystem::path> files) {
  using T = typename M::ScalarType;
  ParameterMean<T> mean;
  ParameterSnapshot<T> before(model);
  try {
    for (const std::filesystem::path& file : files) {
      load_parameters(model, SafetensorsFile(file));
      mean.add(model);
    }
    mean.assign_to(model);
  } catch (...) {
    before.swap_with(model);
    throw;
  }
}

/// A log of JSON objects, one a line, each with a "step" where it belongs to one.
class JsonLog {
 public:
  using Json = nlohmann::ordered_json;  ///< an entry; its keys stay in their order

  /// Goes on after the lines up to `step` (-1: from nothing) of a log that may be there; later ones, which a resumed
  /// run will write again, and a line that a kill has cut off are dropped.
  JsonLog(const std::filesystem::path& path, Index step) : path_(path) {
    std::string kept;
    if (step >= 0) {
      for_each_line(path, [&](const std::string& line, const Json& entry) {
        const auto found = entry.find("step");
        if (found == entry.end() || !found->is_number() || *found <= step) kept += line + '\n';
      });
    }
    detail::write_text_file(path, kept);
  }

  /// Adds a line. False when it could not be written (a full disk): training need not stop for that.
  bool write(const Json& entry) {
    std::ofstream stream(path_, std::ios::app | std::ios::binary);
    // A byte that is not UTF-8 becomes U+FFFD: a line must not be lost for it, nor the run.
    const std::string line = entry.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
    stream << (cut_off_ ? "\n" : "") << line << '\n' << std::flush;
    cut_off_ = !stream.good();
    return stream.good();
  }

  /// All lines that are JSON objects. A file that is not there has none; IoError for one that cannot be read.
  [[nodiscard]] static std::vector<Json> read(const std::filesystem::path& path) {
    std::vector<Json> entries;
    for_each_line(path, [&](const std::string&, Json& entry) { entries.push_back(std::move(entry)); });
    return entries;
  }

 private:
  /// f(line, object) for each line that is a JSON object.
  template <class F>
  static void for_each_line(const std::filesystem::path& path, const F& f) {
    detail::InputFile file(path);
    for (std::string line; std::getline(file, line);) {
      auto entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (entry.is_object()) f(line, entry);
    }
    require<IoError>(!file.bad(), "run_folder", path.string(), ": cannot read the log");
  }

  std::filesystem::path path_;
  bool cut_off_ = false;  // the last line may lack its end
};

}}  // namespace rapt::RAPT_ABI
