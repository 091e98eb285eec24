/// \file
/// Decoding step by step beside the whole target at once, for encoder-decoders.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"

#include "tests/common/expect_close.hpp"

namespace rapt_test {

/// The logits of `model.step` for each sentence of `target`, decoded on its own, are `whole`, which the model computed
/// from all of `source` and `target` together; but for `never`, if given: the token that decoding must not give, whose
/// logit must be -infinity in every step.
template <class Model, class T>
void expect_steps_equal_whole(const Model& model, const rapt::TokenBatch& source, const rapt::TokenBatch& target,
                              const rapt::Tensor<T>& whole, std::optional<rapt::TokenId> never = {}) {
  rapt::Tensor<T> steps({whole.rows(), whole.cols()});
  for (rapt::Index i = 0; i < source.sequences(); ++i) {
    rapt::TokenBatch one;
    one.push_back(source.sequence(i));
    auto state = model.start(one);
    for (rapt::Index t = 0; t < target.row_splits.length(i); ++t) {
      const auto logits = model.step(state, target.sequence(i).subspan(rapt::to_size(t), 1));
      ASSERT_EQ(logits.size(), whole.cols());
      const rapt::Index row = target.row_splits.begin(i) + t;
      std::copy_n(logits.data(), logits.size(), steps.data() + row * whole.cols());
      if (never) {
        EXPECT_EQ(logits(0, *never), -std::numeric_limits<T>::infinity());
        steps(row, *never) = whole(row, *never);
      }
    }
  }
  EXPECT_TRUE(close(steps, whole, 1e-5));
}

}  // namespace rapt_test
