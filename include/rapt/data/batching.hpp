/// \file
/// Batches of sentence pairs by token count, sentences of like length together, shuffled by seed.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "rapt/core/rng.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/batch_source.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A source and its target as tokens, without begin and end symbols.
struct TokenPair {
  std::vector<TokenId> source, target;
};

/// How sentence pairs are grouped into batches.
struct BatchOptions {
  Index tokens = 4096;                           ///< at most so many source tokens and so many target tokens in a batch
  TokenId begin = kBeginToken, end = kEndToken;  ///< the tokens around a sentence
  bool end_source = true;                        ///< the source, too, gets an end symbol
  std::uint64_t seed = 1;
};

/// <s> and </s> around the pairs with these numbers, laid end to end.
[[nodiscard]] inline TranslationBatch make_batch(std::span<const TokenPair> pairs, std::span<const Index> indices,
                                                 const BatchOptions& options) {
  TranslationBatch batch;
  std::vector<TokenId> sentence;
  for (const Index i : indices) {
    const TokenPair& pair = pairs[static_cast<std::size_t>(i)];
    sentence = pair.source;
    if (options.end_source) sentence.push_back(options.end);
    batch.source.push_back(sentence);
    sentence.assign(1, options.begin);
    sentence.insert(sentence.end(), pair.target.begin(), pair.target.end());
    batch.target_input.push_back(sentence);
    batch.target_output.insert(batch.target_output.end(), pair.target.begin(), pair.target.end());
    batch.target_output.push_back(options.end);
  }
  return batch;
}

/// The same with all pairs.
[[nodiscard]] inline TranslationBatch make_batch(std::span<const TokenPair> pairs, const BatchOptions& options = {}) {
  std::vector<Index> all(pairs.size());
  std::iota(all.begin(), all.end(), Index{0});
  return make_batch(pairs, all, options);
}

/// A BatchSource of the pairs of a corpus. The order of the batches within epoch e is a function of (seed, e).
class BatchStream {
 public:
  /// The same pairs in each epoch, of which it keeps a view. Throws ValueError for an empty corpus, or a pair that is
  /// longer than a batch (naming it).
  BatchStream(std::span<const TokenPair> pairs, const BatchOptions& options) : pairs_(pairs), options_(options) {
    start_epoch(0);
  }
  /// The pairs of each epoch (which counts from 0) as a function gives them: for sentences that are cut into tokens
  /// anew each time. It must give the same for the same epoch. Throws as above, in `next` and `seek` too.
  BatchStream(std::function<std::vector<TokenPair>(Index epoch)> pairs_of_epoch, const BatchOptions& options)
      : pairs_of_epoch_(std::move(pairs_of_epoch)), options_(options) {
    start_epoch(0);
  }

  [[nodiscard]] TranslationBatch next() {
    if (position_.batch == batches_per_epoch()) start_epoch(position_.epoch + 1);
    return make_batch(pairs_, batches_[static_cast<std::size_t>(position_.batch++)], options_);
  }

  [[nodiscard]] Index batches_per_epoch() const { return static_cast<Index>(batches_.size()); }
  [[nodiscard]] BatchPosition position() const { return position_; }
  /// Throws ValueError for a position that there is not; the stream then stays where it is.
  void seek(BatchPosition position) {
    require(position.epoch >= 0, "batch_stream", "no epoch ", position.epoch);
    if (position.epoch == position_.epoch) {
      require_batch(position.batch);
      position_ = position;
      return;
    }
    BatchStream there = *this;
    there.start_epoch(position.epoch);
    there.require_batch(position.batch);
    there.position_ = position;
    *this = std::move(there);
  }

 private:
  void require_batch(Index batch) const {
    require(batch >= 0 && batch <= batches_per_epoch(), "batch_stream", "no batch ", batch, " in an epoch of ",
            batches_per_epoch());
  }
  [[nodiscard]] static Index longest_side(const TokenPair& pair) {
    return static_cast<Index>(std::max(pair.source.size(), pair.target.size())) + 1;
  }

  void start_epoch(Index epoch) {
    std::shared_ptr<const std::vector<TokenPair>> owned;
    if (pairs_of_epoch_) owned = std::make_shared<const std::vector<TokenPair>>(pairs_of_epoch_(epoch));
    const std::span<const TokenPair> pairs = owned ? std::span<const TokenPair>(*owned) : pairs_;
    require(!pairs.empty(), "batch_stream", "the corpus has no sentence pairs");
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      require(longest_side(pairs[i]) <= options_.tokens, "batch_stream", "pair ", i, " has ", longest_side(pairs[i]),
              " tokens with its end symbol, a batch holds ", options_.tokens);
    }
    owned_ = std::move(owned);  // from here on nothing throws but a lack of memory
    pairs_ = pairs;
    Rng rng(options_.seed + static_cast<std::uint64_t>(epoch) * 0x9E3779B97F4A7C15ull);
    std::vector<Index> order(pairs_.size());
    std::iota(order.begin(), order.end(), Index{0});
    rng.shuffle(std::span(order));
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
      const TokenPair &x = pairs_[static_cast<std::size_t>(a)], &y = pairs_[static_cast<std::size_t>(b)];
      return std::pair(x.target.size(), x.source.size()) < std::pair(y.target.size(), y.source.size());
    });
    batches_.clear();
    Index source_tokens = 0, target_tokens = 0;
    for (const Index i : order) {
      const TokenPair& pair = pairs_[static_cast<std::size_t>(i)];
      source_tokens += static_cast<Index>(pair.source.size()) + 1;
      target_tokens += static_cast<Index>(pair.target.size()) + 1;
      if (batches_.empty() || source_tokens > options_.tokens || target_tokens > options_.tokens) {
        batches_.emplace_back();
        source_tokens = static_cast<Index>(pair.source.size()) + 1;
        target_tokens = static_cast<Index>(pair.target.size()) + 1;
      }
      batches_.back().push_back(i);
    }
    rng.shuffle(std::span(batches_));
    position_ = {epoch, 0};
  }

  std::function<std::vector<TokenPair>(Index)> pairs_of_epoch_;
  std::shared_ptr<const std::vector<TokenPair>> owned_;  // of this epoch; shared by copies of the stream
  std::span<const TokenPair> pairs_;
  BatchOptions options_;
  std::vector<std::vector<Index>> batches_;
  BatchPosition position_;
};
static_assert(BatchSource<BatchStream>);

}}  // namespace rapt::RAPT_ABI
