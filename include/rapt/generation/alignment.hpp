/// \file
/// Alignment: which source tokens the decoder looked at for each token that it said.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/generation/decoding_model.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Which attention an alignment is read from.
struct AlignmentOptions {
  Index layer = -1;                         ///< of the decoder, counted from 0; -1: the last
  std::optional<SequenceMarks> marks = {};  ///< in place of the model's own; the begin token is fed first
};

/// For each hypothesis the cross-attention of one layer, its mean over the heads: row t, which sums to 1, holds the
/// probabilities of the source tokens when the model said token t   // [tokens, source tokens]
///
/// One hypothesis for each source sequence, all in one teacher-forced pass of a model with `attention_maps` (see
/// rapt::Transformer). Throws ValueError for a layer that does not exist.
template <class M>
[[nodiscard]] std::vector<Tensor<typename M::ScalarType>> alignments(const M& model, const TokenBatch& source,
                                                                     std::span<const Hypothesis> hypotheses,
                                                                     const AlignmentOptions& options = {}) {
  using T = typename M::ScalarType;
  require<ShapeError>(source.sequences() == static_cast<Index>(hypotheses.size()), "alignments", source.sequences(),
                      " source sequences, ", hypotheses.size(), " hypotheses");
  const SequenceMarks marks = options.marks ? *options.marks : model.sequence_marks();
  require(marks.has_begin(), "alignments", "the model has no begin token");
  TokenBatch input;  // <s> w1 .. w(n - 1): what was read when w1 .. wn were said
  std::vector<TokenId> tokens;
  for (const Hypothesis& hypothesis : hypotheses) {
    tokens.assign(1, *marks.begin);
    tokens.insert(tokens.end(), hypothesis.tokens.begin(), hypothesis.tokens.end());
    if (tokens.size() > 1) tokens.pop_back();
    input.push_back(tokens);
  }
  const auto maps = model.attention_maps(source, input);
  const auto layers = static_cast<Index>(maps.decoder_cross.size());
  require(options.layer >= -1 && options.layer < layers, "alignments", "layer ", options.layer, " of ", layers);
  const Tensor<T>& weights =
      maps.decoder_cross[static_cast<std::size_t>(options.layer < 0 ? layers - 1 : options.layer)];  // [B, H, Lt, Ls]
  const Index heads = weights.shape()[1], longest = weights.shape()[2];

  std::vector<Tensor<T>> result;
  for (Index i = 0; i < source.sequences(); ++i) {
    const auto length = static_cast<Index>(hypotheses[static_cast<std::size_t>(i)].tokens.size());
    Tensor<T> mean(Shape{length, source.row_splits.length(i)}, T(0));
    for (Index head = 0; head < heads; ++head) {
      for (Index t = 0; t < length; ++t) {
        const T* row = weights.row((i * heads + head) * longest + t);
        for (Index j = 0; j < mean.cols(); ++j) mean(t, j) += row[j] / static_cast<T>(heads);
      }
    }
    result.push_back(std::move(mean));
  }
  return result;
}

}}  // namespace rapt::RAPT_ABI
