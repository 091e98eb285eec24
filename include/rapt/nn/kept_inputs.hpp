/// \file
/// What the blocks of a stack read in one call, kept until backward computes them again.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/attention_options.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A copy of a call's inputs: callers need their splits, masks and numbers only until the call returns.
template <class T>
class KeptInputs {
 public:
  KeptInputs(const BlockInputs<T>& inputs, const RowSplits& splits, const RowSplits& encoder_splits)
      : splits_(splits), encoder_splits_(encoder_splits), inputs_(inputs) {
    mask_.take(inputs_.mask);
    cross_mask_.take(inputs_.cross_mask);
    numbers_.assign(inputs.positions.numbers.begin(), inputs.positions.numbers.end());
    inputs_.positions.numbers = numbers_;
  }
  KeptInputs(const KeptInputs&) = delete;
  KeptInputs& operator=(const KeptInputs&) = delete;
  ~KeptInputs() = default;

  [[nodiscard]] const RowSplits& splits() const { return splits_; }
  [[nodiscard]] const RowSplits& encoder_splits() const { return encoder_splits_; }
  [[nodiscard]] const BlockInputs<T>& inputs() const { return inputs_; }

 private:
  struct Masks {
    Tensor<bool> mask, key_padding;
    Tensor<T> additive;

    /// Copies what the mask views, and lets it view the copies.
    void take(AttentionMask<T>& views) {
      const auto copy = [](auto& view, auto& tensor) {
        if (view.data() == nullptr) return;
        tensor = std::remove_reference_t<decltype(tensor)>(view);
        view = std::as_const(tensor).view();
      };
      copy(views.mask, mask);
      copy(views.key_padding_mask, key_padding);
      copy(views.additive_mask, additive);
    }
  };

  RowSplits splits_, encoder_splits_;
  BlockInputs<T> inputs_;  // views of what follows
  Masks mask_, cross_mask_;
  std::vector<std::int32_t> numbers_;
};

}}}  // namespace rapt::RAPT_ABI::detail
