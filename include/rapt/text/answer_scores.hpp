/// \file
/// How well questions are answered: exact match and F1 of SQuAD (Rajpurkar et al. 2016, arXiv:1606.05250).
///
/// Answers are compared without capital letters, ASCII punctuation, the articles "a", "an" and "the", and differences
/// of white space. Exact match is 1 if they are then the same. With the words of both as bags,
///
///   P = common words / words of the answer,  R = common words / words of the right answer,  F1 = 2 P R / (P + R)
///
/// A question may have several right answers, of which the best counts.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/text/bleu.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/chrf.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The scores `exact_match` and `f1`, from 0 to 1.
struct AnswerScores {
  double exact_match = 0, f1 = 0;
};

namespace detail {

/// The words of an answer that count. A word is what white space surrounds. An article is a run of letters and numbers,
/// so that one beside a character that is neither ("a–b") is left out, too, and what is around it becomes two words.
[[nodiscard]] inline std::vector<std::string> answer_words(std::string_view answer) {
  std::string lower = to_lower(answer);
  std::erase_if(lower, is_punctuation);
  const CharacterClasses classes;
  std::string kept, run;  // a run of letters and numbers
  const auto end_run = [&] {
    kept += run == "a" || run == "an" || run == "the" ? " " : run;
    run.clear();
  };
  for (std::size_t i = 0; i < lower.size();) {
    const CodePoint point = code_point_at(lower, i);
    const std::string_view bytes = std::string_view(lower).substr(i, point.length);
    if (point.value >= 0 && (classes[point.value] & (kLetter | kNumber)) != 0) {
      run += bytes;
    } else {
      end_run();
      kept += bytes;
    }
    i += point.length;
  }
  end_run();
  const std::vector<std::string_view> words = split_whitespace(kept);
  return {words.begin(), words.end()};
}

}  // namespace detail

/// The scores of an answer against one right answer. Of two answers without words both are 1, as they are the same; of
/// an answer with words and one without them both are 0.
[[nodiscard]] inline AnswerScores answer_scores(std::string_view answer, std::string_view right) {
  const std::vector<std::string> ours = detail::answer_words(answer), theirs = detail::answer_words(right);
  if (ours == theirs) return {.exact_match = 1, .f1 = 1};
  const auto common = static_cast<double>(detail::count_ngrams(ours, theirs, 1)[0].matches);
  // 2 P R / (P + R) with P = common / |ours| and R = common / |theirs|.
  return {.f1 = 2 * common / static_cast<double>(ours.size() + theirs.size())};
}

/// The best scores of an answer among several right answers. Throws ValueError for none.
[[nodiscard]] inline AnswerScores answer_scores(std::string_view answer, std::span<const std::string> right) {
  require(!right.empty(), "answer_scores", "there must be a right answer: there are ", right.size());
  AnswerScores best;
  for (const std::string& one : right) {
    const AnswerScores scores = answer_scores(answer, std::string_view(one));
    best.exact_match = std::max(best.exact_match, scores.exact_match);
    best.f1 = std::max(best.f1, scores.f1);
  }
  return best;
}

}}  // namespace rapt::RAPT_ABI
