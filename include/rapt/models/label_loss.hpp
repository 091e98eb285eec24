/// \file
/// The loss of a classifier of images, for plain batches and for mixed ones.
#pragma once

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/core/image_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The mean cross-entropy of scores [B, labels] and the batch's labels. Where images are mixed (MixOptions), it is
/// w CE(scores, labels) + (1 - w) CE(scores, mixed_labels) with the batch's weight w.
template <class T>
[[nodiscard]] Variable<T> label_loss(const Variable<T>& scores, const LabelledImages<T>& batch,
                                     const CrossEntropyOptions& options = {}) {
  const Variable<T> loss = cross_entropy(scores, batch.labels, options);
  if (batch.mixed_labels.empty()) return loss;
  return add(scale(loss, static_cast<T>(batch.weight)),
             scale(cross_entropy(scores, batch.mixed_labels, options), static_cast<T>(1 - batch.weight)));
}

}}  // namespace rapt::RAPT_ABI
