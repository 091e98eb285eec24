/// \file
/// ROUGE-1, ROUGE-2 and ROUGE-L of summaries (Lin 2004), with the same scores as the package rouge_score without its
/// stemmer.
///
///   ROUGE-n:  P = common / n-grams of the hypothesis,  R = common / n-grams of the reference
///   ROUGE-L:  the same with the longest common subsequence of words in place of common n-grams
///   F = 2 P R / (P + R)
///
/// Words are runs of the ASCII letters and digits of the text in lower case; all other characters only separate words.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/text/bleu.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A score between 0 and 1. All are 0 if a side has nothing to compare.
struct RougeScore {
  double precision = 0, recall = 0, f = 0;  ///< f is the harmonic mean of precision and recall
};

/// ROUGE-1, ROUGE-2 and ROUGE-L of a text.
struct Rouge {
  RougeScore rouge1, rouge2, rouge_l;  ///< of words, of pairs of words, and of the longest common subsequence
};

namespace detail {

[[nodiscard]] inline RougeScore rouge_score(const NgramCounts& counts) {
  if (counts.matches == 0) return {};
  RougeScore score{.precision = static_cast<double>(counts.matches) / static_cast<double>(counts.hypothesis),
                   .recall = static_cast<double>(counts.matches) / static_cast<double>(counts.reference)};
  score.f = 2 * score.precision * score.recall / (score.precision + score.recall);
  return score;
}

/// The words of a text that is in lower case, as views of it.
[[nodiscard]] inline std::vector<std::string_view> rouge_words(std::string_view text) {
  const auto is_inside = [&](std::size_t i) { return (text[i] >= 'a' && text[i] <= 'z') || is_ascii_digit(text[i]); };
  std::vector<std::string_view> words;
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    for (end = begin; end < text.size() && is_inside(end);) ++end;
    if (end > begin) words.push_back(text.substr(begin, end - begin));
  }
  return words;
}

/// The length of the longest sequence of words that both have in this order, with others between them or not.
[[nodiscard]] inline Index longest_common_subsequence(std::span<const std::string_view> ours,
                                                      std::span<const std::string_view> theirs) {
  std::vector<Index> row(theirs.size() + 1, 0);  // of ours up to a word, and theirs up to each
  for (const std::string_view word : ours) {
    Index diagonal = 0;  // of the row before, one to the left
    for (std::size_t j = 0; j < theirs.size(); ++j) {
      const Index above = row[j + 1];
      row[j + 1] = word == theirs[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace detail

/// The scores of one text.
[[nodiscard]] inline Rouge rouge(std::string_view hypothesis, std::string_view reference) {
  const std::string our_text = to_lower(hypothesis), their_text = to_lower(reference);
  const std::vector<std::string_view> ours = detail::rouge_words(our_text), theirs = detail::rouge_words(their_text);
  const std::vector<NgramCounts> counts = detail::count_ngrams(ours, theirs, 2);
  return {.rouge1 = detail::rouge_score(counts[0]),
          .rouge2 = detail::rouge_score(counts[1]),
          .rouge_l = detail::rouge_score({.hypothesis = std::ssize(ours),
                                          .reference = std::ssize(theirs),
                                          .matches = detail::longest_common_subsequence(ours, theirs)})};
}

/// The means of the scores of each text; hypothesis i is compared with reference i. Throws ValueError when there is
/// none, or their numbers differ.
[[nodiscard]] inline Rouge rouge(std::span<const std::string> hypotheses, std::span<const std::string> references) {
  detail::check_segments("rouge", hypotheses, references);
  Rouge mean;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const Rouge one = rouge(std::string_view(hypotheses[i]), std::string_view(references[i]));
    for (const auto score : {&Rouge::rouge1, &Rouge::rouge2, &Rouge::rouge_l}) {
      for (const auto part : {&RougeScore::precision, &RougeScore::recall, &RougeScore::f}) {
        mean.*score.*part += one.*score.*part / static_cast<double>(hypotheses.size());
      }
    }
  }
  return mean;
}

}}  // namespace rapt::RAPT_ABI
