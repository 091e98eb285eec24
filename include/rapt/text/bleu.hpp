/// \file
/// Corpus BLEU (Papineni et al. 2002), with the same scores as sacrebleu 2 by default.
///
///   BLEU = BP * exp(1/4 * sum_n log p_n),   n = 1 .. 4
///   p_n  = 100 * (n-grams of the hypotheses that their references have, each at most as often) / (all n-grams)
///   BP   = min(1, exp(1 - reference_length / hypothesis_length))
///
/// Counts are summed over the corpus before they are divided. Smoothing is exponential: the k-th order without a match
/// counts as 1 / 2^k of a match. A corpus without any match, or without a hypothesis of four tokens, scores 0.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/text/replace_all.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How texts are split into words before they are compared.
struct BleuOptions {
  /// v13a: the rules of mteval-v13a, for plain text; none: split at white space only, for tokenized text.
  enum class Tokenize { v13a, none };
  Tokenize tokenize = Tokenize::v13a;  ///< how texts are split into words
  bool lowercase = false;              ///< ignores case
};

/// A BLEU score and what it is made of.
struct Bleu {
  double score = 0.0;                     ///< 0 .. 100
  std::array<double, 4> precisions = {};  ///< p_1 .. p_4 in percent
  double brevity_penalty = 1.0;           ///< BP, 0 .. 1
  Index hypothesis_length = 0;            ///< tokens
  Index reference_length = 0;             ///< tokens
};

/// The counts of a pair of segments from which BLEU is computed. The sum of the counts of many pairs gives the score of
/// their corpus, so that one pass over the text is enough for any number of resamples (significance.hpp).
struct BleuStatistics {
  std::array<Index, 4> matches = {};  ///< n-grams of the hypothesis that the reference has, n = 1 .. 4
  std::array<Index, 4> totals = {};   ///< n-grams of the hypothesis
  Index hypothesis_length = 0;        ///< tokens
  Index reference_length = 0;         ///< tokens

  /// Adds the counts of other segments.
  BleuStatistics& operator+=(const BleuStatistics& other);
  /// BLEU of all segments that were counted. An order that has n-grams but no match counts as 1 / 2^k matches if it is
  /// the k-th such order. The score is 0 if no n-gram matches at all, or if no hypothesis has four tokens.
  [[nodiscard]] Bleu result() const;
  [[nodiscard]] double score() const { return result().score; }
};

/// The numbers of n-grams of one order in a hypothesis, in its reference, and in both, where an n-gram counts as often
/// as it occurs in the side that has fewer of it.
struct NgramCounts {
  Index hypothesis = 0;  ///< n-grams of the hypothesis
  Index reference = 0;   ///< n-grams of the reference
  Index matches = 0;     ///< n-grams of both

  /// Adds the counts of another pair.
  NgramCounts& operator+=(const NgramCounts& other) {
    hypothesis += other.hypothesis;
    reference += other.reference;
    matches += other.matches;
    return *this;
  }
};

namespace detail {

constexpr bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

/// ASCII punctuation that is always a token of its own; for ' , - . it depends on their neighbours.
constexpr bool is_13a_symbol(char c) {
  return (c >= '!' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/// Puts spaces between the tokens of a segment by the rules of mteval-v13a. All rules are about ASCII characters, so
/// that they work on bytes. Each of the three last rules is a pass of its own over the result of the one before, from
/// left to right, in which a character belongs to one match only: in "a.,b", the first rule matches "a." and then finds
/// no neighbour for ",".
[[nodiscard]] inline std::string tokenize_13a(std::string_view segment) {
  std::string text(segment);
  replace_all(text, "<skipped>", "");
  replace_all(text, "-\n", "");
  std::replace(text.begin(), text.end(), '\n', ' ');
  // These are replaced one after the other, so that "&amp;lt;" becomes "<".
  replace_all(text, "&quot;", "\"");
  replace_all(text, "&amp;", "&");
  replace_all(text, "&lt;", "<");
  replace_all(text, "&gt;", ">");

  std::string apart = " ";
  for (const char c : text) {
    if (is_13a_symbol(c)) {
      apart += ' ';
      apart += c;
      apart += ' ';
    } else {
      apart += c;
    }
  }
  apart += ' ';

  const auto is_stop = [](char c) { return c == '.' || c == ','; };
  const auto rewrite = [](const std::string& from, auto matches, std::string_view before, std::string_view between,
                          std::string_view behind) {
    std::string to;
    to.reserve(from.size() + from.size() / 4);
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (i + 1 < from.size() && matches(from[i], from[i + 1])) {
        to += before;
        to += from[i];
        to += between;
        to += from[++i];
        to += behind;
      } else {
        to += from[i];
      }
    }
    return to;
  };
  // A full stop or comma is a token unless a digit precedes it, and unless a digit follows; a dash is one after a
  // digit.
  apart = rewrite(
      apart, [&](char a, char b) { return !is_ascii_digit(a) && is_stop(b); }, "", " ", " ");
  apart = rewrite(
      apart, [&](char a, char b) { return is_stop(a) && !is_ascii_digit(b); }, " ", " ", "");
  apart = rewrite(
      apart, [&](char a, char b) { return is_ascii_digit(a) && b == '-'; }, "", " ", " ");
  return apart;
}

/// The numbers of n-grams of two sequences and of those that they have in common, for n = 1 .. orders.
template <class Symbol>
[[nodiscard]] std::vector<NgramCounts> count_ngrams(const std::vector<Symbol>& ours, const std::vector<Symbol>& theirs,
                                                    std::size_t orders) {
  std::vector<Symbol> symbols = ours;  // both sequences end to end
  symbols.insert(symbols.end(), theirs.begin(), theirs.end());
  std::vector<Symbol> known = symbols;
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  std::vector<std::uint32_t> numbers;  // the rank of each symbol among the distinct ones
  for (const Symbol& symbol : symbols) {
    numbers.push_back(static_cast<std::uint32_t>(std::lower_bound(known.begin(), known.end(), symbol) - known.begin()));
  }

  // An n-gram is the pair of the (n-1)-gram that begins at the same place and the symbol after it. Equal pairs get
  // equal numbers by sorting.
  std::vector<NgramCounts> counts(orders);
  std::vector<std::uint64_t> shorter(symbols.size(), 0);      // number of the (n-1)-gram at each place
  std::vector<std::pair<std::uint64_t, std::size_t>> ngrams;  // the pair in one word, and its place
  for (std::size_t n = 1; n <= orders; ++n) {
    ngrams.clear();
    for (std::size_t i = 0; i + n <= symbols.size(); ++i) {
      if (i < ours.size() && i + n > ours.size()) continue;  // it would reach from ours into theirs
      ngrams.emplace_back(shorter[i] << 32 | numbers[i + n - 1], i);
    }
    std::sort(ngrams.begin(), ngrams.end());
    for (std::size_t begin = 0, end = 0; begin < ngrams.size(); begin = end) {  // a run of equal ones
      Index found = 0, wanted = 0;
      for (; end < ngrams.size() && ngrams[end].first == ngrams[begin].first; ++end) {
        ++(ngrams[end].second < ours.size() ? found : wanted);
        shorter[ngrams[end].second] = begin;
      }
      counts[n - 1] += {found, wanted, std::min(found, wanted)};
    }
  }
  return counts;
}

/// Throws ValueError unless there is one reference for each hypothesis, and at least one.
inline void check_segments(std::string_view where, std::span<const std::string> hypotheses,
                           std::span<const std::string> references) {
  require(hypotheses.size() == references.size(), where,
          "each hypothesis needs one reference: hypotheses = ", hypotheses.size(),
          ", references = ", references.size());
  require(!hypotheses.empty(), where, "the corpus is empty: hypotheses = 0");
}

/// The text of a segment with spaces between its tokens, as BLEU compares it.
[[nodiscard]] inline std::string bleu_tokens(std::string_view segment, const BleuOptions& options) {
  std::string text = options.lowercase ? to_lower(segment) : std::string(segment);
  return options.tokenize == BleuOptions::Tokenize::v13a ? tokenize_13a(strip_end(text)) : text;
}

inline void append_fixed(std::string& text, double value, int digits) {
  std::array<char, 64> buffer{};
  const auto written =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, digits);
  text.append(buffer.data(), written.ptr);
}

/// The end of a signature, which is the version of this library.
[[nodiscard]] inline std::string signature_version() {
  return "|version:rapt-" + std::to_string(RAPT_VERSION_MAJOR) + "." + std::to_string(RAPT_VERSION_MINOR) + "." +
         std::to_string(RAPT_VERSION_PATCH);
}

}  // namespace detail

inline BleuStatistics& BleuStatistics::operator+=(const BleuStatistics& other) {
  for (std::size_t n = 0; n < 4; ++n) {
    matches[n] += other.matches[n];
    totals[n] += other.totals[n];
  }
  hypothesis_length += other.hypothesis_length;
  reference_length += other.reference_length;
  return *this;
}

inline Bleu BleuStatistics::result() const {
  Bleu result;
  result.hypothesis_length = hypothesis_length;
  result.reference_length = reference_length;
  if (hypothesis_length < reference_length) {
    result.brevity_penalty =
        hypothesis_length == 0
            ? 0.0
            : std::exp(1.0 - static_cast<double>(reference_length) / static_cast<double>(hypothesis_length));
  }
  if (std::all_of(matches.begin(), matches.end(), [](Index n) { return n == 0; })) return result;

  double smoothing = 1.0;
  double log_sum = 0.0;
  for (std::size_t n = 0; n < 4; ++n) {
    if (totals[n] == 0) return result;  // No hypothesis is this long, and the geometric mean is 0.
    const double correct = matches[n] == 0 ? 1.0 / (smoothing *= 2.0) : static_cast<double>(matches[n]);
    result.precisions[n] = 100.0 * correct / static_cast<double>(totals[n]);
    log_sum += std::log(result.precisions[n]);
  }
  result.score = result.brevity_penalty * std::exp(log_sum / 4.0);
  return result;
}

/// The counts of each pair of segments; hypothesis i is compared with reference i. Throws ValueError if there is no
/// segment or if the numbers of segments differ. Segments may be empty.
[[nodiscard]] inline std::vector<BleuStatistics> bleu_statistics(std::span<const std::string> hypotheses,
                                                                 std::span<const std::string> references,
                                                                 const BleuOptions& options = {}) {
  detail::check_segments("bleu", hypotheses, references);
  std::vector<BleuStatistics> statistics(hypotheses.size());
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const std::string hypothesis = detail::bleu_tokens(hypotheses[i], options);
    const std::string reference = detail::bleu_tokens(references[i], options);
    const std::vector<NgramCounts> counts =
        detail::count_ngrams(split_whitespace(hypothesis), split_whitespace(reference), 4);
    for (std::size_t n = 0; n < 4; ++n) {
      statistics[i].matches[n] = counts[n].matches;
      statistics[i].totals[n] = counts[n].hypothesis;
    }
    statistics[i].hypothesis_length = counts[0].hypothesis;
    statistics[i].reference_length = counts[0].reference;
  }
  return statistics;
}

/// The BLEU of a corpus. Throws as `bleu_statistics` does.
[[nodiscard]] inline Bleu bleu(std::span<const std::string> hypotheses, std::span<const std::string> references,
                               const BleuOptions& options = {}) {
  BleuStatistics sum;
  for (const BleuStatistics& one : bleu_statistics(hypotheses, references, options)) sum += one;
  return sum.result();
}

/// The settings that a score was computed with, in sacrebleu's notation, with the version of this library.
[[nodiscard]] inline std::string signature(const BleuOptions& options = {}) {
  std::string text = "nrefs:1|case:";
  text += options.lowercase ? "lc" : "mixed";
  text += "|eff:no|tok:";
  text += options.tokenize == BleuOptions::Tokenize::v13a ? "13a" : "none";
  return text + "|smooth:exp" + detail::signature_version();
}

/// The score as text: "BLEU = 34.56 66.7/41.2/28.0/19.1 (BP = 1.000 ratio = 1.010 hyp_len = 1212 ref_len = 1200)".
[[nodiscard]] inline std::string to_string(const Bleu& bleu) {
  std::string text = "BLEU = ";
  detail::append_fixed(text, bleu.score, 2);
  for (std::size_t n = 0; n < 4; ++n) {
    text += n == 0 ? ' ' : '/';
    detail::append_fixed(text, bleu.precisions[n], 1);
  }
  text += " (BP = ";
  detail::append_fixed(text, bleu.brevity_penalty, 3);
  text += " ratio = ";
  const double ratio = bleu.reference_length == 0
                           ? 0.0
                           : static_cast<double>(bleu.hypothesis_length) / static_cast<double>(bleu.reference_length);
  detail::append_fixed(text, ratio, 3);
  return text + " hyp_len = " + std::to_string(bleu.hypothesis_length) +
         " ref_len = " + std::to_string(bleu.reference_length) + ")";
}

}}  // namespace rapt::RAPT_ABI
