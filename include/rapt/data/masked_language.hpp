/// \file
/// Masking tokens that a model must predict: those of sentences (Devlin et al. 2019, section 3.1), or the pixels of
/// images (Chen et al. 2020, section 2.1).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/random_batches.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Which tokens are masked, and by what.
struct MaskingOptions {
  Index vocabulary = 0;               ///< V
  TokenId mask = -1;                  ///< "[MASK]"
  std::vector<TokenId> special = {};  ///< [CLS], [SEP], ...: never targets, and never drawn as random tokens
  double rate = 0.15;                 ///< fraction of each sequence's tokens that are targets
  double mask_ratio = 0.8;            ///< fraction of the targets that are replaced by `mask`
  double random_ratio = 0.1;          ///< fraction that is replaced by a random token; the others stay
  /// Each ordinary token is a target with probability `rate`, independently of the others, so that a sequence, and a
  /// small batch, may have no target at all. Otherwise `rate` fixes the number of targets of each sequence.
  bool independent = false;
};

/// Draws the fraction `rate` of each sequence's ordinary tokens as targets, rounded, but at least one (or
/// independently: `options.independent`), and masks most of them in the input. The batch's `targets` are the original
/// tokens in order, `rows` their places. What is drawn for a sequence depends on the stream that is taken from `rng`
/// and on the sequence's place in the batch. Throws ValueError for options that do not fit.
[[nodiscard]] inline LanguageBatch mask_tokens(TokenBatch batch, const MaskingOptions& options, Rng& rng) {
  constexpr std::string_view kWhere = "mask_tokens";
  std::vector<TokenId> special = options.special;
  special.push_back(options.mask);
  std::sort(special.begin(), special.end());
  special.erase(std::unique(special.begin(), special.end()), special.end());
  require_ids(special, options.vocabulary, kWhere);
  require_ids(batch.tokens, options.vocabulary, kWhere);
  const auto ordinary = static_cast<double>(options.vocabulary - std::ssize(special));
  require(ordinary > 0, kWhere, "all ", options.vocabulary, " tokens of the vocabulary are special");
  require(options.rate > 0 && options.rate <= 1 && options.mask_ratio >= 0 && options.random_ratio >= 0 &&
              options.mask_ratio + options.random_ratio <= 1,
          kWhere, "rate must be in (0, 1], the ratios together in [0, 1]: ", options.rate, ", ", options.mask_ratio,
          ", ", options.random_ratio);

  const RandomStream stream = rng.next_stream();
  struct Drawn {
    std::uint32_t order;  // a random word; the tokens with the smallest ones are the targets
    std::int32_t row;
  };
  std::vector<Drawn> drawn;
  std::vector<TokenId> targets;
  std::vector<std::int32_t> rows;
  for (Index s = 0; s < batch.sequences(); ++s) {
    drawn.clear();
    for (Index i = batch.row_splits.begin(s); i < batch.row_splits.end(s); ++i) {
      if (std::binary_search(special.begin(), special.end(), at(batch.tokens, i))) continue;
      drawn.push_back({stream.block(static_cast<std::uint64_t>(i))[0], static_cast<std::int32_t>(i)});
    }
    if (options.independent) {
      for (const Drawn& token : drawn) {
        if (static_cast<double>(token.order) * 0x1p-32 < options.rate) rows.push_back(token.row);
      }
      continue;
    }
    if (drawn.empty()) continue;
    const auto count = std::max<std::ptrdiff_t>(1, std::lround(options.rate * static_cast<double>(drawn.size())));
    std::sort(drawn.begin(), drawn.end(),
              [](const Drawn& a, const Drawn& b) { return std::pair(a.order, a.row) < std::pair(b.order, b.row); });
    const std::size_t first = rows.size();
    for (std::ptrdiff_t i = 0; i < count; ++i) rows.push_back(at(drawn, i).row);
    std::sort(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.end());
  }
  for (const std::int32_t row : rows) {
    TokenId& token = at(batch.tokens, row);
    targets.push_back(token);
    const auto words = stream.block(static_cast<std::uint64_t>(row));
    const double fate = static_cast<double>(words[1]) * 0x1p-32;
    if (fate < options.mask_ratio) {
      token = options.mask;
    } else if (fate < options.mask_ratio + options.random_ratio) {
      const double uniform = static_cast<double>((std::uint64_t{words[2]} << 32 | words[3]) >> 11) * 0x1p-53;
      token = static_cast<TokenId>(uniform * ordinary);
      for (const TokenId hole : special) token = token >= hole ? token + 1 : token;
    }
  }
  return {std::move(batch), std::move(targets), std::move(rows)};
}

/// How sequences become batches of masked tokens.
struct MaskedBatchOptions {
  Index sequences = 128;  ///< of a batch
  /// Which tokens are masked, and by what.
  MaskingOptions masking = {};
  Rng::State random = {1, 0};  ///< batch n is drawn from stream `streams_taken + n * (sequences + 1)` on
};

/// A BatchSource of sequences that are drawn at random, uniformly and independently, and masked anew each time. An
/// epoch has as many batches as hold all sequences once. Keeps a view of the sequences. Throws ValueError if there is
/// none; `next` throws what `mask_tokens` does.
[[nodiscard]] inline RandomBatches<LanguageBatch> masked_language_batches(
    std::span<const std::vector<TokenId>> sequences, const MaskedBatchOptions& options) {
  const auto count = static_cast<Index>(sequences.size());
  require(count > 0 && options.sequences > 0, "masked_language_batches",
          "there must be sequences to draw from and to draw: ", count, ", ", options.sequences);
  return {[sequences, count, options](Rng& rng) {
            TokenBatch batch;
            for (Index i = 0; i < options.sequences; ++i) {
              batch.push_back(sequences[static_cast<std::size_t>(rng.below(count))]);
            }
            return mask_tokens(std::move(batch), options.masking, rng);
          },
          (count + options.sequences - 1) / options.sequences,
          {.first = options.random, .streams = options.sequences + 1}};
}

}}  // namespace rapt::RAPT_ABI
