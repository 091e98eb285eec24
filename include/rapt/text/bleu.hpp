/// \file
/// Corpus BLEU (Papineni et al. 2002), with the numbers that sacrebleu 2 prints by default.
///
///   BLEU = BP * exp(1/4 * sum_n log p_n),   n = 1 .. 4
///   p_n  = 100 * (n-grams of the hypotheses that their references have, each at most as often) / (all of them)
///   BP   = min(1, exp(1 - reference_length / hypothesis_length))
///
/// Counts are summed over the corpus before dividing. Exponential smoothing: the k-th order without a match counts
/// as 1 / 2^k of a match. A corpus that has no match at all, or no hypothesis of four tokens, scores 0.
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
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt::inline RAPT_ABI {

struct BleuOptions {
  /// v13a: WMT's mteval-v13a rules, for plain text. none: at white space only, for text that is tokenized already.
  enum class Tokenize { v13a, none };
  Tokenize tokenize = Tokenize::v13a;
  bool lowercase = false;  ///< compare without regard to case
};

struct Bleu {
  double score = 0.0;                     ///< 0 .. 100
  std::array<double, 4> precisions = {};  ///< p_1 .. p_4 in percent
  double brevity_penalty = 1.0;           ///< BP, 0 .. 1
  Index hypothesis_length = 0;            ///< tokens
  Index reference_length = 0;             ///< tokens
};

namespace detail {

constexpr bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

/// ASCII punctuation that is a token wherever it stands; ' , - . are judged by their neighbours.
constexpr bool is_13a_symbol(char c) {
  return (c >= '!' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// Puts spaces between the tokens of a segment by the rules of mteval-v13a. All rules concern ASCII, so bytes do.
/// Three passes, as each rule looks at neighbours that the one before has moved apart; a pair of neighbours is used
/// once, from the left: in "a.,b" the comma has no neighbour left when the full stop has taken the "a".
[[nodiscard]] inline std::string tokenize_13a(std::string_view segment) {
  std::string text(segment);
  replace_all(text, "<skipped>", "");
  replace_all(text, "-\n", "");
  std::replace(text.begin(), text.end(), '\n', ' ');
  // One after the other, so that "&amp;lt;" becomes "<".
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
  // A stop is a token unless a digit precedes it, and unless a digit follows; a dash is one behind a digit.
  apart = rewrite(
      apart, [&](char a, char b) { return !is_ascii_digit(a) && is_stop(b); }, "", " ", " ");
  apart = rewrite(
      apart, [&](char a, char b) { return is_stop(a) && !is_ascii_digit(b); }, " ", " ", "");
  apart = rewrite(
      apart, [&](char a, char b) { return is_ascii_digit(a) && b == '-'; }, "", " ", " ");
  return apart;
}

/// The four n-gram counts of one pair, added to the corpus's.
class BleuCounter {
 public:
  explicit BleuCounter(const BleuOptions& options) : options_(options) {}

  void add(std::string_view hypothesis, std::string_view reference) {
    const std::vector<std::int32_t> ours = tokens(hypothesis);
    const std::vector<std::int32_t> theirs = tokens(reference);
    hypothesis_length += static_cast<Index>(ours.size());
    reference_length += static_cast<Index>(theirs.size());
    for (std::size_t order = 1; order <= 4; ++order) {
      const std::vector<Ngram> found = ngrams(ours, order);
      const std::vector<Ngram> wanted = ngrams(theirs, order);
      total[order - 1] += static_cast<Index>(found.size());
      // Of two sorted lists, the common part holds each n-gram as often as the list that has fewer of it.
      for (std::size_t i = 0, j = 0; i < found.size() && j < wanted.size();) {
        if (found[i] == wanted[j]) {
          ++correct[order - 1];
          ++i;
          ++j;
        } else if (found[i] < wanted[j]) {
          ++i;
        } else {
          ++j;
        }
      }
    }
  }

  std::array<Index, 4> correct = {};
  std::array<Index, 4> total = {};
  Index hypothesis_length = 0;
  Index reference_length = 0;

 private:
  using Ngram = std::array<std::int32_t, 4>;

  [[nodiscard]] std::vector<std::int32_t> tokens(std::string_view segment) {
    std::string text = options_.lowercase ? to_lower(segment) : std::string(segment);
    if (options_.tokenize == BleuOptions::Tokenize::v13a) text = tokenize_13a(strip_end(text));
    std::vector<std::int32_t> numbers;
    for (const std::string_view word : split_whitespace(text)) {
      numbers.push_back(
          numbers_.try_emplace(std::string(word), static_cast<std::int32_t>(numbers_.size())).first->second);
    }
    return numbers;
  }

  [[nodiscard]] static std::vector<Ngram> ngrams(const std::vector<std::int32_t>& tokens, std::size_t order) {
    std::vector<Ngram> all;
    for (std::size_t begin = 0; begin + order <= tokens.size(); ++begin) {
      Ngram ngram{-1, -1, -1, -1};
      for (std::size_t k = 0; k < order; ++k) ngram[k] = tokens[begin + k];
      all.push_back(ngram);
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  BleuOptions options_;
  std::unordered_map<std::string, std::int32_t> numbers_;
};

inline void append_fixed(std::string& text, double value, int digits) {
  std::array<char, 64> buffer{};
  const auto written =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, digits);
  text.append(buffer.data(), written.ptr);
}

}  // namespace detail

/// BLEU of a corpus; hypothesis i is compared with reference i. Throws ValueError when there is none or the numbers
/// of segments differ. Empty segments are allowed.
[[nodiscard]] inline Bleu bleu(std::span<const std::string> hypotheses, std::span<const std::string> references,
                               const BleuOptions& options = {}) {
  require(hypotheses.size() == references.size(), "bleu",
          "each hypothesis needs one reference: hypotheses = ", hypotheses.size(),
          ", references = ", references.size());
  require(!hypotheses.empty(), "bleu", "the corpus is empty: hypotheses = 0");
  detail::BleuCounter counts(options);
  for (std::size_t i = 0; i < hypotheses.size(); ++i) counts.add(hypotheses[i], references[i]);

  Bleu result;
  result.hypothesis_length = counts.hypothesis_length;
  result.reference_length = counts.reference_length;
  if (counts.hypothesis_length < counts.reference_length) {
    result.brevity_penalty = counts.hypothesis_length == 0
                                 ? 0.0
                                 : std::exp(1.0 - static_cast<double>(counts.reference_length) /
                                                      static_cast<double>(counts.hypothesis_length));
  }
  if (std::all_of(counts.correct.begin(), counts.correct.end(), [](Index n) { return n == 0; })) return result;

  double smoothing = 1.0;
  double log_sum = 0.0;
  bool all_orders = true;
  for (std::size_t n = 0; n < 4; ++n) {
    if (counts.total[n] == 0) {  // no hypothesis is this long: the geometric mean is 0
      all_orders = false;
      break;
    }
    double matches = static_cast<double>(counts.correct[n]);
    if (counts.correct[n] == 0) matches = 1.0 / (smoothing *= 2.0);
    result.precisions[n] = 100.0 * matches / static_cast<double>(counts.total[n]);
    log_sum += std::log(result.precisions[n]);
  }
  if (all_orders) result.score = result.brevity_penalty * std::exp(log_sum / 4.0);
  return result;
}

/// What a score was computed with, in sacrebleu's notation; the version names this library, not sacrebleu's.
[[nodiscard]] inline std::string signature(const BleuOptions& options = {}) {
  std::string text = "nrefs:1|case:";
  text += options.lowercase ? "lc" : "mixed";
  text += "|eff:no|tok:";
  text += options.tokenize == BleuOptions::Tokenize::v13a ? "13a" : "none";
  text += "|smooth:exp|version:rapt-";
  return text + std::to_string(RAPT_VERSION_MAJOR) + "." + std::to_string(RAPT_VERSION_MINOR) + "." +
         std::to_string(RAPT_VERSION_PATCH);
}

/// "BLEU = 34.56 66.7/41.2/28.0/19.1 (BP = 1.000 ratio = 1.010 hyp_len = 1212 ref_len = 1200)"
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

}  // namespace rapt::inline RAPT_ABI
