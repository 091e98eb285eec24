/// \file
/// Masking tokens that a language model must predict (Devlin et al. 2019, section 3.1).
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct MaskingOptions {
  Index vocabulary = 0;               ///< V
  TokenId mask = -1;                  ///< "[MASK]"
  std::vector<TokenId> special = {};  ///< [CLS], [SEP], ...: never targets, and never drawn as random tokens
  double rate = 0.15;                 ///< fraction of each sequence's tokens that are targets
  double mask_ratio = 0.8;            ///< fraction of the targets that are replaced by `mask`
  double random_ratio = 0.1;          ///< fraction that is replaced by a random token; the others stay
};

/// Draws the fraction `rate` of each sequence's ordinary tokens as targets, rounded, but at least one, and masks most
/// of them in the input. The batch's `targets` are the original tokens in order, `rows` their places. What is drawn for
/// a sequence depends on the stream that is taken from `rng` and on the sequence's place in the batch. Throws
/// ValueError for options that do not fit.
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
    TokenId row;
  };
  std::vector<Drawn> drawn;
  std::vector<TokenId> targets, rows;
  for (Index s = 0; s < batch.sequences(); ++s) {
    drawn.clear();
    for (Index i = batch.row_splits.begin(s); i < batch.row_splits.end(s); ++i) {
      if (std::binary_search(special.begin(), special.end(), at(batch.tokens, i))) continue;
      drawn.push_back({stream.block(static_cast<std::uint64_t>(i))[0], static_cast<TokenId>(i)});
    }
    if (drawn.empty()) continue;
    const auto count = std::max<std::ptrdiff_t>(1, std::lround(options.rate * static_cast<double>(drawn.size())));
    std::sort(drawn.begin(), drawn.end(),
              [](const Drawn& a, const Drawn& b) { return std::pair(a.order, a.row) < std::pair(b.order, b.row); });
    const std::size_t first = rows.size();
    for (std::ptrdiff_t i = 0; i < count; ++i) rows.push_back(at(drawn, i).row);
    std::sort(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.end());
  }
  for (const TokenId row : rows) {
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

}}  // namespace rapt::RAPT_ABI
