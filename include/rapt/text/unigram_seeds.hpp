/// \file
/// The words of a text, and the pieces with which learning a unigram model of them begins. Needs utf8proc.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/text/byte_trie.hpp"
#include "rapt/text/frequent_substrings.hpp"
#include "rapt/text/scripts.hpp"
#include "rapt/text/sentencepiece_normalizer.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/unigram_learner_options.hpp"
#include "rapt/text/word_counts.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A word of the text.
struct CountedWord {
  std::string text;  // with the word mark before it
  double count;
};
/// A piece of a unigram model that is being learned.
struct LearnedPiece {
  std::string text;
  double score;  // log-probability

  /// The order of a model's pieces: the most probable first.
  [[nodiscard]] static bool precedes(const LearnedPiece& a, const LearnedPiece& b) {
    return a.score != b.score ? a.score > b.score : a.text < b.text;
  }
};

/// The words of lines of text as the normalisation leaves them, each once with its count. Throws ValueError for text
/// that has none, or is not UTF-8.
[[nodiscard]] inline std::vector<CountedWord> counted_words(std::span<const std::string> lines,
                                                            const SentencePieceNormalization& normalization,
                                                            std::string_view where) {
  SentencePieceNormalization plain = normalization;
  plain.escape_whitespaces = plain.add_dummy_prefix = false;
  const SentencePieceNormalizer normalizer(std::move(plain), ByteTrie());
  std::vector<std::string> normalized(lines.size());
  parallel_for(std::ssize(lines), 1024, [&](Index begin, Index end) {
    SentencePieceNormalizer::Work work;
    for (Index i = begin; i < end; ++i) {
      if (find_invalid_utf8(at(lines, i))) {
        at(normalized, i) = at(lines, i);  // count_words names it
        continue;
      }
      normalizer(at(lines, i), {}, work);
      at(normalized, i) = work.text;
    }
  });
  std::vector<CountedWord> words;
  for (const auto& [word, count] : count_words(normalized, /*lossless=*/false, where)) {
    words.push_back({std::string(kSpaceSymbol) += word, static_cast<double>(count)});
  }
  require(!words.empty(), where, "the text has no words: ", lines.size(), " lines");
  return words;
}

/// Chooses the pieces that learning begins with: frequent characters, and frequent substrings of words.
class UnigramSeeds {
 public:
  /// Words and options must outlive this. Throws ValueError for more characters than the vocabulary can have.
  UnigramSeeds(const std::vector<CountedWord>& words, const UnigramLearnerOptions& options)
      : words_(words), options_(options) {
    choose_characters();
  }

  /// The pieces with the logarithms of their shares of all occurrences, characters last.
  [[nodiscard]] std::vector<LearnedPiece> operator()() const {
    std::unordered_map<std::int32_t, double> known(characters_.begin(), characters_.end());
    std::vector<std::int32_t> symbols;
    for (const CountedWord& word : words_) {
      for (std::size_t i = 0; i < word.text.size();) {
        const CodePoint point = code_point_at(word.text, i);
        symbols.push_back(known.contains(point.value) ? point.value : -1);
        i += point.length;
      }
      symbols.push_back(-1);
    }
    std::vector<LearnedPiece> pieces;
    const auto add = [&](std::string text, double count) { pieces.push_back({std::move(text), count}); };
    for (const FrequentSubstring& one : frequent_substrings(symbols, to_size(options_.longest_piece))) {
      const auto part = std::span<const std::int32_t>(symbols).subspan(one.begin, one.length);
      if (one.length < 2 || !may_be_piece(part)) continue;
      std::string text;
      for (const std::int32_t point : part) append_code_point(text, point);
      if (text == "<unk>" || text == "<s>" || text == "</s>") continue;
      add(std::move(text), static_cast<double>(one.count) * static_cast<double>(one.length));
    }
    std::sort(pieces.begin(), pieces.end(), LearnedPiece::precedes);
    if (std::ssize(pieces) > options_.seed_size) pieces.resize(to_size(options_.seed_size));
    for (const auto& [value, count] : characters_) {
      std::string text;
      append_code_point(text, value);
      add(std::move(text), count);
    }
    double sum = 0;
    for (const LearnedPiece& piece : pieces) sum += piece.score;
    for (LearnedPiece& piece : pieces) piece.score = std::log(piece.score / sum);
    return pieces;
  }

 private:
  static constexpr std::string_view kWhere = "learn_unigram";
  static constexpr std::int32_t kWordMark = 0x2581;

  void choose_characters() {
    std::unordered_map<std::int32_t, double> counts;
    double all = 0;
    for (const CountedWord& word : words_) {
      for (std::size_t i = 0; i < word.text.size();) {
        const CodePoint point = code_point_at(word.text, i);
        counts[point.value] += word.count;
        all += word.count;
        i += point.length;
      }
    }
    characters_.assign(counts.begin(), counts.end());
    std::sort(characters_.begin(), characters_.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    double covered = 0;
    std::size_t kept = 0;
    while (kept < characters_.size() && covered / all < options_.character_coverage)
      covered += characters_[kept++].second;
    characters_.resize(kept);
    require(std::ssize(characters_) + UnigramLearnerOptions::kSpecials <= options_.vocabulary_size, kWhere,
            "vocabulary_size must be at least the number of characters and ", UnigramLearnerOptions::kSpecials, ": ",
            options_.vocabulary_size, " of ", characters_.size(), " characters");
  }
  [[nodiscard]] bool may_be_piece(std::span<const std::int32_t> points) const {
    std::uint8_t script = Scripts::kNone;
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (points[i] == kWordMark) {
        if (i > 0) return false;
        continue;
      }
      const std::uint8_t next = options_.split_by_script ? scripts_[points[i]] : Scripts::kNone;
      if (next == Scripts::kNone) continue;
      if (script != Scripts::kNone && script != next) return false;
      script = next;
    }
    return true;
  }

  const std::vector<CountedWord>& words_;
  const UnigramLearnerOptions& options_;
  Scripts scripts_;
  std::vector<std::pair<std::int32_t, double>> characters_;  // that are pieces, and their counts
};

}}}  // namespace rapt::RAPT_ABI::detail
