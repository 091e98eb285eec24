/// \file
/// Pairs of texts of which the second follows the first or does not (Devlin et al. 2019, section 3.1).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Its sentences one behind the other, as tokens without special ones.
using TokenDocument = std::vector<std::vector<TokenId>>;

struct NextSentenceOptions {
  TokenId begin = -1;         ///< "[CLS]"
  TokenId separator = -1;     ///< "[SEP]"
  Index length = 128;         ///< at most so many tokens in a pair, special ones included
  double random_share = 0.5;  ///< of the pairs whose second text is from another document
};

struct SegmentPair {
  std::vector<TokenId> first, second;
  bool is_random = false;
};

/// Pairs laid end to end: [CLS] first [SEP] second [SEP].
struct NextSentenceBatch {
  TokenBatch input;
  std::vector<std::int32_t> token_types;  ///< [N], 0 up to the first [SEP], 1 behind it
  std::vector<std::int32_t> is_random;    ///< [sequences], 0: the second follows the first, 1: it does not
};

namespace detail {

/// Cuts the longer text until both are at most `room` tokens: the first at its begin, the second at its end, so that
/// where they met they still meet.
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

/// One pass through the documents: runs of sentences that fill a pair are cut in two at a random sentence. The second
/// part stays, or gives way to sentences of another document, and then begins the next run. Empty sentences are passed
/// over, and so is a last sentence that has no second. Throws ValueError for options that do not fit, or fewer than two
/// documents with tokens where others are needed.
[[nodiscard]] inline std::vector<SegmentPair> next_sentence_pairs(std::span<const TokenDocument> documents,
                                                                  const NextSentenceOptions& options, Rng& rng) {
  constexpr std::string_view kWhere = "next_sentence_pairs";
  require(options.length >= 5, kWhere,
          "length must be 5 at least, for three special tokens and two others: ", options.length);
  require(options.random_share >= 0 && options.random_share <= 1, kWhere,
          "random_share must be in [0, 1]: ", options.random_share);
  std::vector<TokenDocument> texts;
  for (const TokenDocument& document : documents) {
    TokenDocument text = document;
    std::erase_if(text, [](const auto& sentence) { return sentence.empty(); });
    if (!text.empty()) texts.push_back(std::move(text));
  }
  require(options.random_share == 0 || texts.size() > 1, kWhere,
          "random texts come from other documents, of which there must be two at least: ", texts.size());

  const Index room = options.length - 3;
  std::vector<SegmentPair> pairs;
  for (std::size_t d = 0; d < texts.size(); ++d) {
    const TokenDocument& text = texts[d];
    for (std::size_t begin = 0; begin < text.size();) {
      std::size_t end = begin;
      for (Index tokens = 0; end < text.size() && tokens < room; ++end) tokens += std::ssize(text[end]);
      if (end - begin == 1 && end < text.size()) ++end;  // a sentence that fills a pair alone
      const std::size_t sentences = end - begin;
      const bool is_random = rng.uniform() < options.random_share;
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

/// The pairs with their special tokens.
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
