/// \file
/// What the recurrent ops share: the checks of their inputs, and products with the weight that all steps read.
#pragma once

#include <string_view>

#include "rapt/autograd/packed_weight.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/linear_backward.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Throws unless `gates` is [N, count H], the weight [count H, H] and the bias [count H] or undefined, row splits end
/// at N, and no sequence is empty.
template <class T>
void require_recurrent(std::string_view where, Index count, const Variable<T>& gates, const Variable<T>& weight,
                       const Variable<T>& bias, const RowSplits& splits) {
  require<ShapeError>(weight.shape().rank() == 2 && weight.rows() == count * weight.cols() && weight.cols() > 0 &&
                          gates.cols() == weight.rows(),
                      where, "gates are ", gates.shape(), ", the weight [", count, " H, H] is ", weight.shape());
  require<ShapeError>(!bias.defined() || bias.size() == weight.rows(), where, "the weight is ", weight.shape(),
                      ", the bias ", bias.defined() ? bias.shape() : Shape{});
  require<ShapeError>(splits.rows() == gates.rows(), where, "gates are ", gates.shape(), ", row splits end at ",
                      splits.rows());
  for (Index s = 0; s < splits.sequences(); ++s) {
    require<ShapeError>(splits.length(s) > 0, where, "every sequence must have a row: sequence ", s, " of ",
                        splits.sequences(), " is empty");
  }
}

/// Throws unless an initial state is undefined or [B, H].
template <class T>
void require_initial_state(std::string_view where, std::string_view name, const Variable<T>& state, Index sequences,
                           Index hidden) {
  require<ShapeError>(!state.defined() || state.shape() == Shape{sequences, hidden}, where, "the ", name,
                      " must be [B, H] = ", Shape{sequences, hidden}, ": ", state.defined() ? state.shape() : Shape{});
}

/// The elements of a variable, or nullptr if it is undefined.
template <class T>
[[nodiscard]] const T* elements_or_null(const Variable<T>& variable) {
  return variable.defined() ? variable.value().data() : nullptr;
}
template <class T>
[[nodiscard]] const T* elements_or_null(const Node<T>* node) {
  return node != nullptr ? node->value.data() : nullptr;
}
/// The gradient of an input to add to, or nullptr if none is wanted.
template <class T>
[[nodiscard]] T* gradient_or_null(Node<T>* node) {
  return node != nullptr && node->requires_grad ? node->grad_sum().data() : nullptr;
}

/// a = h W^T + b for the few rows of each step   // [n, out] from h [n, H], W [out, H]
/// W^T is packed once for all steps; a weight that is kept packed is used as it is.
template <class T>
class RecurrentProduct {
 public:
  RecurrentProduct(const Variable<T>& weight, const Variable<T>& bias, Index steps)
      : weight_(kernels::transposed(weight.value())), bias_(elements_or_null(bias)) {
    if (is_kept_packed(weight) && (!is_recording() || !weight.value().has_elements())) {
      packed_ = &packed_operand(weight);
    } else if (steps > 1) {
      own_ = kernels::PackedOperand<T>(weight_);
      packed_ = &own_;
    }
  }
  RecurrentProduct(const RecurrentProduct&) = delete;
  RecurrentProduct& operator=(const RecurrentProduct&) = delete;

  void operator()(const TensorView<T>& hidden, const TensorView<T>& out) const {
    if (packed_ != nullptr) {
      kernels::gemm(kernels::as_is(hidden), *packed_, out, {.bias = bias_});
    } else {
      kernels::gemm(kernels::as_is(hidden), weight_, out, {.bias = bias_});
    }
  }

 private:
  kernels::Operand<T> weight_;
  const T* bias_;
  kernels::PackedOperand<T> own_;
  const kernels::PackedOperand<T>* packed_ = nullptr;
};

/// Adds to the gradients of rows first .. first + dz.cols() of a recurrent weight and of its bias, given the gradients
/// dz of its products with the previous states, of all rows of the batch at once. dz may be some columns of a wider
/// matrix: LinearBackward needs it in one piece for activations alone, of which there are none here.
template <class T>
void add_recurrent_gradients(const TensorView<T>& dz, const TensorView<const T>& previous, Index first, Node<T>& weight,
                             Node<T>* bias) {
  kernels::LinearBackward<T> gradients{.dz = dz, .x = kernels::as_is(previous), .weight = {}};
  if (weight.requires_grad) {
    gradients.dw = weight.grad_sum().view().middle_rows(first, dz.cols());
    gradients.add_dw = true;
  }
  if (T* const d_bias = gradient_or_null(bias)) gradients.db = d_bias + first;
  kernels::linear_backward(gradients);
}

}}}  // namespace rapt::RAPT_ABI::detail
