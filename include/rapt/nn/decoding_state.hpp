/// \file
/// What decoding keeps between steps: keys and values that were computed already.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "rapt/nn/kv_cache.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// A batch of one token for each of `rows` rows of a state. Throws ShapeError `[where]` for another number of tokens.
[[nodiscard]] inline TokenBatch one_token_each(std::span<const TokenId> tokens, Index rows, std::string_view where) {
  require<ShapeError>(std::ssize(tokens) == rows, where, tokens.size(), " tokens for ", rows, " rows");
  TokenBatch batch;
  batch.tokens.assign(tokens.begin(), tokens.end());
  batch.row_splits = RowSplits::equal(rows, 1);
  return batch;
}

}  // namespace detail

/// Keys and values of the tokens so far, of every layer; one row a hypothesis. Copyable; `select` follows a search.
template <class T>
struct PrefixState {
  std::vector<KeyValueCache<T>> layers;  ///< one cache of each layer

  [[nodiscard]] Index rows() const { return layers.empty() ? 0 : layers.front().rows(); }
  /// Tokens so far, of each row; empty for a state without layers.
  [[nodiscard]] std::vector<Index> lengths() const {
    return layers.empty() ? std::vector<Index>() : layers.front().lengths();
  }

  /// Row r becomes what row parents[r] was.
  void select(std::span<const Index> parents) {
    for (auto& cache : layers) cache.select(parents);
  }
  /// Leaves of each row its first tokens, at most so many.
  void truncate(Index length) {
    for (auto& cache : layers) cache.truncate(length);
  }
};

/// The same of a decoder that attends to an encoder's output, and the keys and values of that. Copyable.
template <class T>
struct DecoderState {
  PrefixState<T> prefix;                                        ///< the decoder's own tokens
  std::vector<std::shared_ptr<Tensor<T>>> encoder_keys_values;  ///< of each layer, [M, keys | values]; shared by copies
  std::vector<kernels::KeyRange> encoder_ranges;                ///< which rows of them each hypothesis attends to

  [[nodiscard]] Index rows() const { return static_cast<Index>(encoder_ranges.size()); }
  /// Tokens decoded so far, of each row.
  [[nodiscard]] std::vector<Index> lengths() const { return prefix.lengths(); }

  /// Row r becomes what row parents[r] was.
  void select(std::span<const Index> parents) {
    std::vector<kernels::KeyRange> ranges;
    for (const Index parent : parents) {
      require(parent >= 0 && parent < rows(), "decoder_state", "row ", parent, " of ", rows());
      ranges.push_back(encoder_ranges[static_cast<std::size_t>(parent)]);
    }
    encoder_ranges = std::move(ranges);
    prefix.select(parents);
  }
};

}}  // namespace rapt::RAPT_ABI
