/// \file
/// Hiding tokens for a masked language model to find (Devlin et al. 2019, section 3.1).
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/random_batches.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct MaskingOptions {
  Index vocabulary = 0;               ///< V
  TokenId mask = -1;                  ///< "[MASK]"
  std::vector<TokenId> special = {};  ///< never asked for, and never put in place of another: [CLS], [SEP], ...
  double rate = 0.15;                 ///< share of each sequence's tokens that are asked for
  double mask_share = 0.8;            ///< of these become `mask`,
  double random_share = 0.1;          ///< any token of the vocabulary; the rest stay as they are
};

/// Asks for `rate` of each sequence's ordinary tokens, rounded, but for one at least. The model must say what they were
/// where most are hidden: `targets` are they, in order, `rows` where. What is drawn for a sequence depends on the
/// stream that is taken from `rng`, and on its place in the batch. Throws ValueError for options that do not fit.
[[nodiscard]] inline LanguageBatch mask_tokens(TokenBatch batch, const MaskingOptions& options, Rng& rng) {
  constexpr std::string_view kWhere = "mask_tokens";
  std::vector<TokenId> special = options.special;
  special.push_back(options.mask);
  std::sort(special.begin(), special.end());
  special.erase(std::unique(special.begin(), special.end()), special.end());
  require_ids(special, options.vocabulary, kWhere);
  require_ids(batch.tokens, options.vocabulary, kWhere);
  const auto ordinary = static_cast<double>(options.vocabulary - static_cast<Index>(special.size()));
  require(ordinary > 0, kWhere, "all ", options.vocabulary, " tokens of the vocabulary are special");
  require(options.rate > 0 && options.rate <= 1 && options.mask_share >= 0 && options.random_share >= 0 &&
              options.mask_share + options.random_share <= 1,
          kWhere, "rate must be in (0, 1], the shares together in [0, 1]: ", options.rate, ", ", options.mask_share,
          ", ", options.random_share);

  const RandomStream stream = rng.next_stream();
  struct Drawn {
    std::uint32_t order;  // the smallest of a sequence are asked for
    TokenId row;
  };
  std::vector<Drawn> drawn;
  std::vector<TokenId> targets, rows;
  for (Index s = 0; s < batch.sequences(); ++s) {
    drawn.clear();
    for (Index i = batch.row_splits.begin(s); i < batch.row_splits.end(s); ++i) {
      if (std::binary_search(special.begin(), special.end(), batch.tokens[static_cast<std::size_t>(i)])) continue;
      drawn.push_back({stream.block(static_cast<std::uint64_t>(i))[0], static_cast<TokenId>(i)});
    }
    if (drawn.empty()) continue;
    const auto count = std::max<std::ptrdiff_t>(1, std::lround(options.rate * static_cast<double>(drawn.size())));
    std::sort(drawn.begin(), drawn.end(),
              [](const Drawn& a, const Drawn& b) { return std::pair(a.order, a.row) < std::pair(b.order, b.row); });
    const std::size_t first = rows.size();
    for (std::ptrdiff_t i = 0; i < count; ++i) rows.push_back(drawn[static_cast<std::size_t>(i)].row);
    std::sort(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.end());
  }
  for (const TokenId row : rows) {
    TokenId& token = batch.tokens[static_cast<std::size_t>(row)];
    targets.push_back(token);
    const auto words = stream.block(static_cast<std::uint64_t>(row));
    const double fate = static_cast<double>(words[1]) * 0x1p-32;
    if (fate < options.mask_share) {
      token = options.mask;
    } else if (fate < options.mask_share + options.random_share) {
      const double uniform = static_cast<double>((std::uint64_t{words[2]} << 32 | words[3]) >> 11) * 0x1p-53;
      token = static_cast<TokenId>(uniform * ordinary);
      for (const TokenId hole : special) token = token >= hole ? token + 1 : token;
    }
  }
  return {std::move(batch), std::move(targets), std::move(rows)};
}

struct MaskedBatchOptions {
  Index sequences = 128;  ///< of a batch
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
