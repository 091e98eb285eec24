/// \file
/// Training examples from one long text: windows of equal length, in which each token's target is the next token.
#pragma once

#include <span>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/random_batches.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

inline void require_windows(std::span<const TokenId> stream, Index length, std::string_view where) {
  require(length >= 1 && std::ssize(stream) > length, where, "windows of ", length,
          " tokens and the one behind do not fit in ", stream.size(), " tokens");
}

/// Adds tokens begin .. begin + length to the batch, with the tokens begin + 1 .. begin + length + 1 as targets.
inline void add_window(LanguageBatch& batch, std::span<const TokenId> stream, std::size_t begin, std::size_t length) {
  batch.input.push_back(stream.subspan(begin, length));
  const auto targets = stream.subspan(begin + 1, length);
  batch.targets.insert(batch.targets.end(), targets.begin(), targets.end());
}

}  // namespace detail

/// `count` windows of `length` tokens at places drawn at random, uniformly and independently. Throws ValueError when
/// the stream is too short for one.
[[nodiscard]] inline LanguageBatch random_windows(std::span<const TokenId> stream, Index count, Index length,
                                                  Rng& rng) {
  detail::require_windows(stream, length, "random_windows");
  LanguageBatch batch;
  const Index places = std::ssize(stream) - length;
  for (Index i = 0; i < count; ++i) {
    detail::add_window(batch, stream, to_size(rng.below(places)), to_size(length));
  }
  return batch;
}

/// How windows of a text become batches.
struct RandomWindowOptions {
  Index windows = 1;           ///< of a batch
  Index length = 128;          ///< tokens of a window
  Rng::State random = {1, 0};  ///< the places of batch n are drawn from stream `streams_taken + n * windows` on
};

/// A BatchSource of `random_windows`. An epoch has as many batches as hold the stream's tokens once. Keeps a view of
/// the stream. Throws ValueError when the stream is too short for a window.
[[nodiscard]] inline RandomBatches<LanguageBatch> random_window_batches(std::span<const TokenId> stream,
                                                                        const RandomWindowOptions& options) {
  detail::require_windows(stream, options.length, "random_window_batches");
  require(options.windows > 0, "random_window_batches", "a batch must have windows: ", options.windows);
  const Index per_batch = options.windows * options.length;
  return {[stream, windows = options.windows, length = options.length](Rng& rng) {
            return random_windows(stream, windows, length, rng);
          },
          (static_cast<Index>(stream.size()) + per_batch - 1) / per_batch,
          {.first = options.random, .streams = options.windows}};
}

/// The whole stream, each token but the first once as a target: windows of `length` tokens one after the other, the
/// last one shorter, in batches of `count`. For validation.
[[nodiscard]] inline std::vector<LanguageBatch> all_windows(std::span<const TokenId> stream, Index count,
                                                            Index length) {
  detail::require_windows(stream, 1, "all_windows");
  require(count >= 1 && length >= 1, "all_windows", "count and length must be positive: ", count, ", ", length);
  std::vector<LanguageBatch> batches;
  for (std::size_t begin = 0; begin + 1 < stream.size(); begin += to_size(length)) {
    if (batches.empty() || batches.back().input.sequences() == count) batches.emplace_back();
    const std::size_t left = stream.size() - 1 - begin;
    detail::add_window(batches.back(), stream, begin, std::min(to_size(length), left));
  }
  return batches;
}

}}  // namespace rapt::RAPT_ABI
