/// \file
/// How well entities are found in labelled words: precision, recall and F1 of whole entities, as the package seqeval
/// computes them in its default mode, which is that of CoNLL's script conlleval (Tjong Kim Sang and De Meulder 2003).
///
///   P = right entities / predicted entities,  R = right entities / wanted entities,  F1 = 2 P R / (P + R)
///
/// An entity is right if its type, its first and its last word are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/text/class_scores.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Words `first` to `last` of a sentence, both included.
struct LabelledEntity {
  std::string type;  ///< such as "PER"
  Index first = 0, last = 0;

  friend bool operator<(const LabelledEntity& a, const LabelledEntity& b) {
    return std::tie(a.first, a.last, a.type) < std::tie(b.first, b.last, b.type);
  }
  friend bool operator==(const LabelledEntity&, const LabelledEntity&) = default;
};

/// The entities of a sentence with a label for each word: "O" beside entities, and in them a letter and the type.
/// "B-PER" begins a person, "I-PER" is inside of one, "E-PER" ends one and "S-PER" is a whole one; a label that does
/// not follow what is before it begins an entity, too, so that labels of IOB1, IOB2 and IOBES are all read. A label of
/// a letter alone is of the type "_".
[[nodiscard]] inline std::vector<LabelledEntity> entities_of(std::span<const std::string> labels) {
  const auto is_in = [](char tag, std::string_view tags) { return tags.find(tag) != tags.npos; };
  std::vector<LabelledEntity> found;
  char tag_before = 'O';
  std::string type_before;
  for (std::size_t i = 0, first = 0; i <= labels.size(); ++i) {
    const std::string_view label = i < labels.size() ? std::string_view(labels[i]) : "O";  // one behind the last
    const char tag = label.empty() ? 'O' : label.front();
    // What stands behind the first dash, which need not be the second character.
    const std::string_view rest = label.empty() ? label : label.substr(1);
    const std::size_t dash = rest.find('-');
    std::string type(dash == rest.npos ? rest : rest.substr(dash + 1));
    if (type.empty()) type = "_";
    const bool is_another = type != type_before;
    const bool ends = is_in(tag_before, "ES") || (is_in(tag_before, "BI") && is_in(tag, "BSO")) ||
                      (!is_in(tag_before, "O.") && is_another);
    const bool begins =
        is_in(tag, "BS") || (is_in(tag_before, "ESO") && is_in(tag, "EI")) || (!is_in(tag, "O.") && is_another);
    if (ends) found.push_back({type_before, static_cast<Index>(first), static_cast<Index>(i) - 1});
    if (begins) first = i;
    tag_before = tag;
    type_before = std::move(type);
  }
  return found;
}

/// What a finder of entities is measured by.
class EntityScores {
 public:
  /// Compares the labels of the words of sentences. Throws ShapeError for different numbers of sentences or of a
  /// sentence's labels, and ValueError for no sentences.
  EntityScores(std::span<const std::vector<std::string>> predicted, std::span<const std::vector<std::string>> wanted) {
    require<ShapeError>(predicted.size() == wanted.size(), kWhere, predicted.size(), " predicted sentences for ",
                        wanted.size());
    require(!wanted.empty(), kWhere, "there are no sentences to compare");
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      require<ShapeError>(predicted[i].size() == wanted[i].size(), kWhere, "sentence ", i, " has ", predicted[i].size(),
                          " predicted labels for ", wanted[i].size());
      const std::vector<LabelledEntity> right = entities_of(wanted[i]), ours = entities_of(predicted[i]);
      const std::set<LabelledEntity> known(right.begin(), right.end());
      for (const LabelledEntity& entity : right) ++types_[entity.type].wanted;
      for (const LabelledEntity& entity : ours) {
        LabelCounts& counts = types_[entity.type];
        ++counts.predicted;
        if (known.contains(entity)) ++counts.hits;
      }
    }
  }

  /// Of each type that is predicted or right.
  [[nodiscard]] const std::map<std::string, LabelCounts>& types() const { return types_; }
  /// Of all entities together (the "micro" average).
  [[nodiscard]] LabelCounts total() const {
    LabelCounts sum;
    for (const auto& [type, counts] : types_) {
      sum.hits += counts.hits;
      sum.predicted += counts.predicted;
      sum.wanted += counts.wanted;
    }
    return sum;
  }

 private:
  static constexpr const char* kWhere = "entity_scores";

  std::map<std::string, LabelCounts> types_;
};

}}  // namespace rapt::RAPT_ABI
