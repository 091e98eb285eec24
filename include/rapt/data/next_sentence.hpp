/// \file
/// Next-sentence prediction: pairs of texts of which the second one follows the first one or does not (Devlin et al.
/// 2019, section 3.1).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sentences of a document, each as tokens without special ones.
using TokenDocument = std::vector<std::vector<TokenId>>;

/// How documents become pairs of texts.
struct NextSentenceOptions {
  TokenId begin = -1;         ///< "[CLS]"
  TokenId separator = -1;     ///< "[SEP]"
  Index length = 128;         ///< the most tokens of a pair, with the special ones
  double random_ratio = 0.5;  ///< probability that a pair's second text is from another document
};

/// A pair of texts; is_random says that the second one is from another document.
struct SegmentPair {
  /// The tokens of the two texts.
  std::vector<TokenId> first, second;
  bool is_random = false;
};

/// A batch of pairs as sequences [CLS] first [SEP] second [SEP].
struct NextSentenceBatch {
  /// The tokens of the pairs.
  TokenBatch input;
  std::vector<std::int32_t> token_types;  ///< [N], 0 up to and with the first [SEP], 1 after it
  std::vector<std::int32_t> is_random;    ///< [sequences], 0 if the second text follows the first, else 1
};

namespace detail {

/// Shortens the longer text until both together have at most `room` tokens. The first text is cut at its beginning and
/// the second at its end, so that the place where they meet stays.
inline void fit_pair(SegmentPair& pair, Index room) {
  auto first = std::ssize(pair.first), second = std::ssize(pair.second);
  if (first + second <= room) return;
  const Index half = room / 2;
  if (first <= half) {
    second = room - first;
  } else if (second <= room - half) {
    first = room - second;
  } else {
    first = half;
    second = room - half;
  }
  pair.first.erase(pair.first.begin(), pair.first.end() - first);
  pair.second.resize(to_size(second));
}

inline void append_sentence(std::vector<TokenId>& text, const std::vector<TokenId>& sentence) {
  text.insert(text.end(), sentence.begin(), sentence.end());
}

}  // namespace detail

/// Makes pairs in one pass through the documents. Sentences are taken until they fill a pair and are divided at a
/// random sentence. The second part stays, or it is replaced by sentences of another document and begins the next pair.
/// Empty sentences are skipped, and so is a last sentence that nothing follows. Throws ValueError for options that do
/// not fit, and if random texts are wanted but fewer than two documents have tokens.
[[nodiscard]] inline std::vector<SegmentPair> next_sentence_pairs(std::span<const TokenDocument> documents,
                                                                  const NextSentenceOptions& options, Rng& rng) {
  constexpr std::string_view kWhere = "next_sentence_pairs";
  require(options.length >= 5, kWhere,
          "length must be 5 at least, for three special tokens and two others: ", options.length);
  require(options.random_ratio >= 0 && options.random_ratio <= 1, kWhere,
          "random_ratio must be in [0, 1]: ", options.random_ratio);
  std::vector<TokenDocument> texts;
  for (const TokenDocument& document : documents) {
    TokenDocument text = document;
    std::erase_if(text, [](const auto& sentence) { return sentence.empty(); });
    if (!text.empty()) texts.push_back(std::move(text));
  }
  require(options.random_ratio == 0 || texts.size() > 1, kWhere,
          "random texts come from other documents, of which there must be two at least: ", texts.size());

  const Index room = options.length - 3;
  std::vector<SegmentPair> pairs;
  for (std::size_t d = 0; d < texts.size(); ++d) {
    const TokenDocument& text = texts[d];
    for (std::size_t begin = 0; begin < text.size();) {
      std::size_t end = begin;
      for (Index tokens = 0; end < text.size() && tokens < room; ++end) tokens += std::ssize(text[end]);
      if (end - begin == 1 && end < text.size()) ++end;  // one sentence fills the pair: it needs a second one
      const std::size_t sentences = end - begin;
      const bool is_random = rng.uniform() < options.random_ratio;
      if (sentences < 2 && !is_random) {
        begin = end;
        continue;
      }
      std::size_t cut = begin + 1;
      if (sentences > 2) cut += to_size(rng.below(static_cast<Index>(sentences) - 1));
      SegmentPair pair{{}, {}, is_random};
      for (std::size_t i = begin; i < cut; ++i) detail::append_sentence(pair.first, text[i]);
      if (is_random) {
        std::size_t other = to_size(rng.below(std::ssize(texts) - 1));
        if (other >= d) ++other;
        const TokenDocument& source = texts[other];
        const Index wanted = std::max<Index>(1, room - std::ssize(pair.first));
        for (auto i = to_size(rng.below(std::ssize(source))); i < source.size() && std::ssize(pair.second) < wanted;
             ++i) {
          detail::append_sentence(pair.second, source[i]);
        }
        begin = cut;
      } else {
        for (std::size_t i = cut; i < end; ++i) detail::append_sentence(pair.second, text[i]);
        begin = end;
      }
      detail::fit_pair(pair, room);
      pairs.push_back(std::move(pair));
    }
  }
  return pairs;
}

/// The batch of the pairs with their special tokens.
[[nodiscard]] inline NextSentenceBatch make_next_sentence_batch(std::span<const SegmentPair> pairs,
                                                                const NextSentenceOptions& options) {
  NextSentenceBatch batch;
  std::vector<TokenId> sequence;
  for (const SegmentPair& pair : pairs) {
    sequence.assign(1, options.begin);
    detail::append_sentence(sequence, pair.first);
    sequence.push_back(options.separator);
    batch.token_types.insert(batch.token_types.end(), sequence.size(), 0);
    detail::append_sentence(sequence, pair.second);
    sequence.push_back(options.separator);
    batch.input.push_back(sequence);
    batch.token_types.resize(batch.input.tokens.size(), 1);
    batch.is_random.push_back(pair.is_random ? 1 : 0);
  }
  return batch;
}

}}  // namespace rapt::RAPT_ABI
