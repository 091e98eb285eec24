/// \file
/// How well labels are predicted: accuracy and F1, as scikit-learn computes them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Of one label: how often it was predicted rightly (`hits`), predicted, and right (`wanted`).
struct LabelCounts {
  Index hits = 0, predicted = 0, wanted = 0;

  /// hits / predicted; 0 for a label that was never predicted.
  [[nodiscard]] double precision() const {
    return predicted == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(predicted);
  }
  /// hits / wanted; 0 for a label that was never right.
  [[nodiscard]] double recall() const {
    return wanted == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(wanted);
  }
  /// 2 hits / (predicted + wanted), the harmonic mean of precision and recall; 0 for a label that is in neither.
  [[nodiscard]] double f1() const {
    return predicted + wanted == 0 ? 0.0 : 2 * static_cast<double>(hits) / static_cast<double>(predicted + wanted);
  }
};

/// What a classifier is measured by.
class ClassScores {
 public:
  /// Compares predicted labels with the right ones; both are numbers from 0 up to `labels`. Throws ShapeError for
  /// different numbers of them, and ValueError for none or a label out of range.
  ClassScores(std::span<const std::int32_t> predicted, std::span<const std::int32_t> wanted, Index labels)
      : counts_(to_size(std::max<Index>(labels, 0))) {
    require<ShapeError>(predicted.size() == wanted.size(), kWhere, predicted.size(), " predicted labels for ",
                        wanted.size());
    require(!wanted.empty(), kWhere, "there are no labels to compare");
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      for (const std::int32_t label : {predicted[i], wanted[i]}) {
        require(label >= 0 && label < labels, kWhere, "label ", i, " is ", label, ", there are ", labels);
      }
      ++at(counts_, predicted[i]).predicted;
      ++at(counts_, wanted[i]).wanted;
      if (predicted[i] == wanted[i]) ++at(counts_, wanted[i]).hits;
    }
  }

  /// The counts of each label, by its number.
  [[nodiscard]] const std::vector<LabelCounts>& labels() const { return counts_; }
  /// The ratio of labels that are right. Equal to F1 over all decisions together (the "micro" average).
  [[nodiscard]] double accuracy() const {
    Index hits = 0, all = 0;
    for (const LabelCounts& label : counts_) hits += label.hits, all += label.wanted;
    return static_cast<double>(hits) / static_cast<double>(all);
  }
  /// The mean of the labels' F1 (the "macro" average), over those that were predicted or right at all.
  [[nodiscard]] double macro_f1() const {
    double sum = 0, seen = 0;
    for (const LabelCounts& label : counts_) {
      if (label.predicted + label.wanted == 0) continue;
      sum += label.f1();
      ++seen;
    }
    return sum / seen;
  }
  /// The mean of the labels' F1, each weighing by how often it is right (the "weighted" average).
  [[nodiscard]] double weighted_f1() const {
    double sum = 0, all = 0;
    for (const LabelCounts& label : counts_) {
      sum += static_cast<double>(label.wanted) * label.f1();
      all += static_cast<double>(label.wanted);
    }
    return sum / all;
  }

 private:
  static constexpr const char* kWhere = "class_scores";

  std::vector<LabelCounts> counts_;
};

}}  // namespace rapt::RAPT_ABI
