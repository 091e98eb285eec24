/// \file
/// How a unigram model of subwords is learned from text (unigram_learner.hpp).
#pragma once

#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/work_report.hpp"
#include "rapt/text/sentencepiece_normalizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a unigram model is learned.
struct UnigramLearnerOptions {
  Index vocabulary_size = 8000;        ///< most pieces, with "<unk>", "<s>" and "</s>", which are the first
  double character_coverage = 0.9995;  ///< of all characters of the text, so many are of the most frequent ones, which
                                       ///< become pieces; the others are unknown
  Index seed_size = 1000000;           ///< most substrings to begin with
  Index longest_piece = 16;            ///< in characters
  bool split_by_script = true;         ///< no piece has characters of two scripts (scripts.hpp)
  double shrinking = 0.75;             ///< at least so many of the pieces stay each time
  Index steps = 2;                     ///< of expectation-maximisation before pieces are dropped
  SentencePieceNormalization normalization = {};  ///< of the text, and of the model
  WorkReport report = {};                         ///< is told how many of the superfluous pieces have been dropped

  static constexpr Index kSpecials = 3;  ///< "<unk>", "<s>" and "</s>"

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "learn_unigram";
    require(vocabulary_size > kSpecials && seed_size >= 1 && longest_piece >= 1 && longest_piece <= 1000 && steps >= 1,
            kWhere, "vocabulary_size must be above ", kSpecials,
            ", longest_piece from 1 to 1000, and seed_size and steps ", "positive: ", vocabulary_size, ", ",
            longest_piece, ", ", seed_size, " and ", steps);
    require(character_coverage > 0 && character_coverage <= 1 && shrinking > 0 && shrinking < 1, kWhere,
            "character_coverage must be above 0 and at most 1, and shrinking between 0 and 1: ", character_coverage,
            " and ", shrinking);
    require(!normalization.whitespace_as_suffix, kWhere, "whitespace_as_suffix must be off");
  }
};

}}  // namespace rapt::RAPT_ABI
