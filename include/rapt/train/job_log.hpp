/// \file
/// What a training job writes down of its steps and validations: a log, an object a line, and curves.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/index.hpp"
#include "rapt/train/run_folder.hpp"
#include "rapt/visualization/line_chart.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The log of a run folder, and the training curves that follow from its entries. For one thread at a time.
class JobLog {
 public:
  using Json = nlohmann::ordered_json;  ///< an entry; its keys stay in their order

  /// `plot`: the SVG file of the curves; empty: there are none.
  explicit JobLog(std::filesystem::path plot) : plot_(std::move(plot)) {}

  /// Opens the folder's log, which keeps its entries up to the step `kept` (-1: none); the curves begin with them.
  void open(const RunFolder& folder, Index kept) {
    file_.emplace(folder.log(), kept);
    if (plot_.empty()) return;
    for (const Json& entry : JsonLog::read(folder.log())) add_to_curves(entry);
  }

  /// Returns false at the first entry of several that cannot be written, as when the disk is full.
  [[nodiscard]] bool add(const Json& entry) {
    add_to_curves(entry);
    const bool had_failed = has_failed_;
    has_failed_ = file_ && !file_->write(entry);
    return had_failed || !has_failed_;
  }

  /// Writes the curves, if they are wanted. Throws IoError.
  void plot() const {
    if (!plot_.empty()) detail::write_text_file(plot_, training_curves(curves_));
  }

 private:
  void add_to_curves(const Json& entry) {
    const auto step = entry.find("step");
    if (plot_.empty() || step == entry.end() || !step->is_number()) return;
    const auto add = [&](const char* key, std::vector<ChartPoint>& curve) {
      const auto value = entry.find(key);
      if (value != entry.end() && value->is_number()) curve.push_back({*step, *value});
    };
    add("loss", curves_.training_loss);
    add("validation_loss", curves_.validation_loss);
    add("learning_rate", curves_.learning_rate);
    add("validation_bleu", curves_.bleu);
  }

  std::filesystem::path plot_;
  std::optional<JsonLog> file_;
  TrainingCurves curves_;
  bool has_failed_ = false;
};

}}  // namespace rapt::RAPT_ABI
