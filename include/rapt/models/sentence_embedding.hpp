/// \file
/// One vector for a sentence, so that sentences of like meaning are near each other (Reimers and Gurevych 2019).
#pragma once

#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/autograd/ops/normalize.hpp"
#include "rapt/models/bert.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How the hidden states of a sentence become one vector.
enum class SentencePooling {
  mean,   ///< their mean, those of special tokens included
  first,  ///< that of the first token, "[CLS]"
};

struct SentenceEmbeddingOptions {
  SentencePooling pooling = SentencePooling::mean;
  bool normalize = true;  ///< vectors of length 1: their products are cosines
};

/// A vector for each sequence of tokens, [CLS] and [SEP] around them   // [B, D]
/// In a Training or Recording scope gradients flow through it into the model.
template <class T>
[[nodiscard]] Variable<T> embed_sentences(const Bert<T>& model, const TokenBatch& batch,
                                          const SentenceEmbeddingOptions& options = {}) {
  const Variable<T> hidden = model.hidden(batch);
  const Variable<T> pooled = options.pooling == SentencePooling::mean ? mean_rows(hidden, batch.row_splits)
                                                                      : Bert<T>::first_rows(hidden, batch.row_splits);
  return options.normalize ? normalize(pooled) : pooled;
}

}}  // namespace rapt::RAPT_ABI
