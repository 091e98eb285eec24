/// \file
/// One vector for a sentence, so that sentences of like meaning are near each other (Reimers and Gurevych 2019).
#pragma once

#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/autograd/ops/normalize.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/models/encoder_heads.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How the hidden states of a sentence become one vector.
enum class SentencePooling {
  mean,   ///< their mean, those of special tokens included
  first,  ///< that of the first token, such as "[CLS]"
};

/// How the hidden states of a sentence become one vector.
struct SentenceEmbeddingOptions {
  SentencePooling pooling = SentencePooling::mean;  ///< what a vector is made of
  bool normalize = true;                            ///< vectors of length 1: their products are cosines
};

/// A vector for each sequence of tokens, with the model's special tokens around them   // [B, D]
/// `model` is a text encoder such as Bert or ModernBert, which gives the hidden state of each token. In a Training or
/// Recording scope gradients flow through it into the model.
template <class M>
[[nodiscard]] Variable<typename M::ScalarType> embed_sentences(const M& model, const TokenBatch& batch,
                                                               const SentenceEmbeddingOptions& options = {}) {
  using T = typename M::ScalarType;
  const Variable<T> hidden = model.hidden(batch);  // [N, D]
  const Variable<T> pooled = options.pooling == SentencePooling::mean
                                 ? mean_rows(hidden, batch.row_splits)
                                 : detail::first_rows(hidden, batch.row_splits, "embed_sentences");
  return options.normalize ? normalize(pooled) : pooled;
}

}}  // namespace rapt::RAPT_ABI
