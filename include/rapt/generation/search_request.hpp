/// \file
/// What belongs to one call of a search; how the search goes is said by its options.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What one call of a search asks beside the sources themselves.
struct SearchRequest {
  /// What every hypothesis of each source begins with, one sequence for each source; without sequences: nothing.
  TokenBatch prefix = {};
  /// In place of the model's own marks, e.g. those with one more end token.
  std::optional<SequenceMarks> marks = {};
  std::uint64_t seed = 1;  ///< of `sample`: the same seed draws the same hypotheses
  /// The stream of random numbers of each source in `sample`, so that a source is given the same numbers in whatever
  /// batch it comes; empty: its index in the batch.
  std::vector<std::uint64_t> streams = {};
  /// If set, it is called with each token as soon as it is chosen, end tokens excepted, and with the number of the
  /// hypothesis, which ends there if it returns false. Beam search, where tokens are only known in the end, throws.
  std::function<bool(Index hypothesis, TokenId token)> on_token = {};
  /// If set, it says which tokens may follow, for instance those that a grammar has there: it is given the tokens that
  /// a hypothesis of a source has so far, its prefix included, and writes false to allowed[token] of each token that
  /// must not come next; all are true before. End tokens are asked for like others. What other rules forbid stays
  /// forbidden, and tokens that are determined are not asked for: a prefix, a forced begin token, and the forced end
  /// tokens at the longest length. It is called from several threads at once.
  std::function<void(Index source, std::span<const TokenId> tokens, std::span<bool> allowed)> allowed = {};
};

namespace detail {

/// The `allowed` of a request for a batch of some of its sources, those with the given numbers. The request must
/// outlive it.
template <class Number>
[[nodiscard]] auto allowed_of(const SearchRequest& request, std::vector<Number> numbers) {
  std::function<void(Index, std::span<const TokenId>, std::span<bool>)> allowed;
  if (request.allowed) {
    allowed = [&request, numbers = std::move(numbers)](Index i, std::span<const TokenId> tokens,
                                                       std::span<bool> may_follow) {
      request.allowed(static_cast<Index>(at(numbers, i)), tokens, may_follow);
    };
  }
  return allowed;
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
