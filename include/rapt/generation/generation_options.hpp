/// \file
/// Where generation starts and stops, and what it must begin with: the same for every search.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt::inline RAPT_ABI {

/// Lengths are in tokens, without begin and end symbols. Log-probabilities are always the model's: what is forbidden or
/// forced here changes which tokens are taken, not what they count.
struct GenerationOptions {
  TokenId begin = 1;        ///< fed first
  TokenId end = 2;          ///< ends a hypothesis
  Index extra_length = 50;  ///< at most this many tokens more than the source has (the paper's 6.1)
  /// At most this many tokens. The smaller of the two limits holds, and one token is always allowed.
  Index max_length = std::numeric_limits<Index>::max();
  Index min_length = 0;  ///< at least this many: before, the end symbol is not allowed
  /// What every hypothesis of each source begins with, one sequence for each; empty: nothing.
  TokenBatch prefix = {};
};

namespace detail {

/// GenerationOptions for one batch: checked once, asked at every step. Refers to both for as long as it lives.
class GenerationRules {
 public:
  /// Throws ValueError that starts with `[where]` for options that do not fit one another or the batch.
  GenerationRules(const GenerationOptions& options, const TokenBatch& source, std::string_view where)
      : options_(options), source_(source), where_(where) {
    require(options.extra_length >= 0, where, "extra_length must not be negative: ", options.extra_length);
    require(options.min_length >= 0, where, "min_length must not be negative: ", options.min_length);
    require(options.max_length >= 1, where, "max_length must be at least 1: ", options.max_length);
    require(options.min_length <= options.max_length, where, "min_length ", options.min_length,
            " is more than max_length ", options.max_length);
    const Index prefixes = options.prefix.sequences();
    require(prefixes == 0 || prefixes == source.sequences(), where, prefixes, " prefixes for ", source.sequences(),
            " source sequences");
    for (Index i = 0; i < source.sequences(); ++i) {
      require(options.min_length <= limit(i), where, "min_length ", options.min_length, " is more than the ", limit(i),
              " tokens that source sequence ", i, " may get at most");
      const auto start = prefix(i);
      require(static_cast<Index>(start.size()) <= limit(i), where, "the prefix of source sequence ", i, " has ",
              start.size(), " tokens, but at most ", limit(i), " are allowed");
      require(std::find(start.begin(), start.end(), options.end) == start.end(), where,
              "the prefix of source sequence ", i, " contains the end symbol ", options.end);
    }
  }

  [[nodiscard]] const GenerationOptions& options() const { return options_; }

  /// The most tokens that a sequence may get.
  [[nodiscard]] Index limit(Index sequence) const {
    const Index length = source_.row_splits.length(sequence);
    const Index relative = options_.extra_length < std::numeric_limits<Index>::max() - length
                               ? length + options_.extra_length
                               : std::numeric_limits<Index>::max();
    return std::max<Index>(1, std::min(relative, options_.max_length));
  }

  /// Throws ValueError unless the prefixes are of the model's vocabulary. To be called with the first logits.
  void require_vocabulary(Index vocabulary) const {
    require(vocabulary > 0, where_, "the model's vocabulary is empty");
    for (Index i = 0; i < options_.prefix.sequences(); ++i) {
      for (const TokenId token : prefix(i)) {
        require(token >= 0 && token < vocabulary, where_, "the prefix of source sequence ", i, " has the token id ",
                token, ", which is outside the vocabulary of ", vocabulary);
      }
    }
  }

  /// Gives -infinity to the logits of tokens that may not follow a hypothesis of `length` tokens. Returns
  /// log sum_j e^logits_j as it was before: the log-probability of token j is logits_j minus this.
  template <class T>
  [[nodiscard]] double apply(std::span<T> logits, Index sequence, Index length) const {
    constexpr T kNever = -std::numeric_limits<T>::infinity();
    const double normaliser = kernels::log_sum_exp(logits.data(), static_cast<Index>(logits.size()));
    if (is_forced(sequence, length)) {
      const auto token = static_cast<std::size_t>(prefix(sequence)[static_cast<std::size_t>(length)]);
      const T kept = logits[token];
      std::fill(logits.begin(), logits.end(), kNever);
      logits[token] = kept;
    } else if (length < options_.min_length && options_.end >= 0 &&
               static_cast<std::size_t>(options_.end) < logits.size()) {
      logits[static_cast<std::size_t>(options_.end)] = kNever;
    }
    return normaliser;
  }

  /// Throws ValueError that says why no token can follow, unless both numbers are finite: what `apply` returned, and
  /// the best log-probability behind it.
  void require_possible(double normaliser, double best, Index sequence, Index length) const {
    if (std::isfinite(normaliser) && std::isfinite(best)) [[likely]]
      return;
    require(std::isfinite(normaliser), where_, "the model's logits are not finite for source sequence ", sequence,
            " after ", length, " tokens");
    require(!is_forced(sequence, length), where_, "the model gives no probability to token ", length,
            " of the prefix of source sequence ", sequence);
    fail(where_, "the model allows only the end symbol for source sequence ", sequence, " after ", length,
         " tokens, which is less than min_length ", options_.min_length);
  }

 private:
  [[nodiscard]] std::span<const TokenId> prefix(Index sequence) const {
    return options_.prefix.sequences() == 0 ? std::span<const TokenId>() : options_.prefix.sequence(sequence);
  }
  [[nodiscard]] bool is_forced(Index sequence, Index length) const {
    return length < static_cast<Index>(prefix(sequence).size());
  }

  const GenerationOptions& options_;
  const TokenBatch& source_;
  std::string_view where_;
};

}  // namespace detail

}  // namespace rapt::inline RAPT_ABI
