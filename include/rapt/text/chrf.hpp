/// \file
/// chrF (Popovic 2015) and chrF++ (Popovic 2017), with the same scores as sacrebleu 2.
///
///   P_n    = (n-grams of the hypotheses that their references have) / (all n-grams of the hypotheses)
///   R_n    = (n-grams of the hypotheses that their references have) / (all n-grams of the references)
///   chrF_b = 100 * (1 + b^2) P R / (b^2 P + R),   P and R the means of P_n and R_n
///
/// The n-grams are those of characters (code points) with n = 1 .. 6, and for chrF++ also those of words with n = 1
/// .. 2. Counts are summed over the corpus before they are divided. P and R are means over the orders of which both
/// sides have n-grams, as short texts have none of the higher orders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/bleu.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The orders of n-grams, and the weight of recall.
struct ChrfOptions {
  int char_order = 6;       ///< longest n-grams of characters
  int word_order = 0;       ///< longest n-grams of words; 2 for chrF++
  int beta = 2;             ///< recall counts this many times as much as precision
  bool lowercase = false;   ///< ignores case
  bool whitespace = false;  ///< white space characters count, too
  /// As Popovic's program: orders that a side lacks are not left out but count 1e-16 in place of 0 / 0, and the score
  /// is the mean of the F-scores of all orders instead of the F-score of the means.
  bool eps_smoothing = false;
};

/// A chrF score.
struct Chrf {
  double score = 0.0;      ///< 0 .. 100
  double precision = 0.0;  ///< mean of P_n in percent
  double recall = 0.0;     ///< mean of R_n in percent
  int word_order = 0;      ///< of the options
  int beta = 2;            ///< of the options
};

/// The counts of a pair of segments from which chrF is computed. The sum of the counts of many pairs gives the score of
/// their corpus, so that one pass over the text is enough for any number of resamples (significance.hpp).
struct ChrfStatistics {
  ChrfOptions options;              ///< of which texts were counted
  std::vector<NgramCounts> orders;  ///< orders of characters, then those of words

  /// Adds the counts of other segments. Throws ValueError for statistics of other orders.
  ChrfStatistics& operator+=(const ChrfStatistics& other) {
    require(orders.size() == other.orders.size(), "chrf",
            "statistics of different orders cannot be added: ", orders.size(), " and ", other.orders.size());
    for (std::size_t n = 0; n < orders.size(); ++n) orders[n] += other.orders[n];
    return *this;
  }
  /// chrF of all segments that were counted.
  [[nodiscard]] Chrf result() const;
  [[nodiscard]] double score() const { return result().score; }
};

inline Chrf ChrfStatistics::result() const {
  constexpr double kEpsilon = 1e-16;
  const double factor = static_cast<double>(options.beta) * options.beta;
  const auto f_score = [factor](double precision, double recall) {
    return (1.0 + factor) * precision * recall / (factor * precision + recall);
  };
  double smoothed = 0.0, precisions = 0.0, recalls = 0.0;
  int effective_orders = 0;
  for (const NgramCounts& n : orders) {
    const auto matches = static_cast<double>(n.matches);
    const double precision = n.hypothesis > 0 ? matches / static_cast<double>(n.hypothesis) : kEpsilon;
    const double recall = n.reference > 0 ? matches / static_cast<double>(n.reference) : kEpsilon;
    smoothed += factor * precision + recall > 0.0 ? f_score(precision, recall) : kEpsilon;
    if (n.hypothesis > 0 && n.reference > 0) {
      precisions += precision;
      recalls += recall;
      ++effective_orders;
    }
  }
  Chrf result{.word_order = options.word_order, .beta = options.beta};
  if (effective_orders > 0) {
    result.precision = 100.0 * precisions / effective_orders;
    result.recall = 100.0 * recalls / effective_orders;
  }
  if (options.eps_smoothing) {
    result.score = 100.0 * smoothed / static_cast<double>(orders.size());
  } else if (result.precision + result.recall > 0.0) {
    result.score = f_score(result.precision, result.recall);
  }
  return result;
}

namespace detail {

/// ASCII punctuation.
constexpr bool is_punctuation(char c) { return is_13a_symbol(c) || c == '\'' || c == ',' || c == '-' || c == '.'; }

/// The code points of a text. A malformed byte becomes a negative number, which is the same for equal bytes.
[[nodiscard]] inline std::vector<std::int32_t> characters(std::string_view text, bool whitespace) {
  std::vector<std::int32_t> values;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    if (point.value < 0) {
      values.push_back(-1 - static_cast<unsigned char>(text[i]));
    } else if (whitespace || !is_whitespace(point.value)) {
      values.push_back(point.value);
    }
    i += point.length;
  }
  return values;
}

/// The words of a text. A punctuation mark at the end of a word is a word of its own, and if there is none, one at its
/// beginning.
[[nodiscard]] inline std::vector<std::string_view> chrf_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (const std::string_view word : split_whitespace(text)) {
    std::size_t cut = 0;
    if (is_punctuation(word.back())) {
      cut = word.size() - 1;
    } else if (is_punctuation(word.front())) {
      cut = 1;
    }
    if (cut > 0) words.push_back(word.substr(0, cut));
    words.push_back(word.substr(cut));
  }
  return words;
}

}  // namespace detail

/// The counts of each pair of segments; hypothesis i is compared with reference i. Throws ValueError when there is
/// none, the numbers of segments differ, or options are out of range. Empty segments are allowed.
[[nodiscard]] inline std::vector<ChrfStatistics> chrf_statistics(std::span<const std::string> hypotheses,
                                                                 std::span<const std::string> references,
                                                                 const ChrfOptions& options = {}) {
  detail::check_segments("chrf", hypotheses, references);
  require(options.char_order >= 1, "chrf", "char_order must be positive: char_order = ", options.char_order);
  require(options.word_order >= 0, "chrf", "word_order must not be negative: word_order = ", options.word_order);
  require(options.beta >= 1, "chrf", "beta must be positive: beta = ", options.beta);
  std::vector<ChrfStatistics> statistics;
  statistics.reserve(hypotheses.size());
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const std::string hypothesis = options.lowercase ? to_lower(hypotheses[i]) : hypotheses[i];
    const std::string reference = options.lowercase ? to_lower(references[i]) : references[i];
    ChrfStatistics one{
        options, detail::count_ngrams(detail::characters(hypothesis, options.whitespace),
                                      detail::characters(reference, options.whitespace), to_size(options.char_order))};
    const std::vector<NgramCounts> words = detail::count_ngrams(
        detail::chrf_words(hypothesis), detail::chrf_words(reference), to_size(options.word_order));
    one.orders.insert(one.orders.end(), words.begin(), words.end());
    for (NgramCounts& n : one.orders) {
      if (n.reference == 0)
        n.hypothesis = 0;  // Orders for which the reference is too short do not count against the hypothesis.
    }
    statistics.push_back(std::move(one));
  }
  return statistics;
}

/// The chrF of a corpus. Throws as `chrf_statistics` does.
[[nodiscard]] inline Chrf chrf(std::span<const std::string> hypotheses, std::span<const std::string> references,
                               const ChrfOptions& options = {}) {
  const std::vector<ChrfStatistics> statistics = chrf_statistics(hypotheses, references, options);
  ChrfStatistics sum = statistics.front();
  for (const ChrfStatistics& one : std::span(statistics).subspan(1)) sum += one;
  return sum.result();
}

/// The settings that a score was computed with, in sacrebleu's notation, with the version of this library.
[[nodiscard]] inline std::string signature(const ChrfOptions& options) {
  std::string text = "nrefs:1|case:";
  text += options.lowercase ? "lc" : "mixed";
  text += options.eps_smoothing ? "|eff:no" : "|eff:yes";
  text += "|nc:" + std::to_string(options.char_order) + "|nw:" + std::to_string(options.word_order);
  text += options.whitespace ? "|space:yes" : "|space:no";
  return text + detail::signature_version();
}

/// The score as text: "chrF2 = 58.20", or "chrF2++ = 55.10" with word_order = 2.
[[nodiscard]] inline std::string to_string(const Chrf& chrf) {
  std::string text = "chrF" + std::to_string(chrf.beta);
  text.append(to_size(chrf.word_order), '+');
  text += " = ";
  detail::append_fixed(text, chrf.score, 2);
  return text;
}

}}  // namespace rapt::RAPT_ABI
