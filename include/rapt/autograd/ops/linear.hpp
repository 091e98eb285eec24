/// \file
/// The linear map with bias and activation, in one op.
#pragma once

#include <tuple>

#include "rapt/autograd/packed_weight.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/autograd/weight_adapter.hpp"
#include "rapt/kernels/activation.hpp"
#include "rapt/kernels/linear_backward.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Rows first .. first + count of a weight [out, in] and of its bias: outputs of a linear map that shares one matrix
/// with others, as the query, key and value projections do.
struct OutputRange {
  Index first = 0;
  Index count = -1;  ///< -1: all
};

namespace detail {

/// Outputs from any one on, of a weight that is kept in packed form alone: those before it, from where products with it
/// can begin, are computed, too.
template <class T>
void linear_of_packed(const Variable<T>& x, const Variable<T>& weight, Index first, Tensor<T>& y,
                      kernels::GemmOptions<T> product) {
  const Index before = first % kernels::kColumnStep;
  Tensor<T> wide(Shape{y.rows(), before + y.cols()});
  product.first_column = first - before;
  if (product.bias != nullptr) product.bias -= before;
  kernels::gemm(kernels::as_is(x.value()), packed_operand(weight), wide, product);
  y.matrix() = std::as_const(wide).view().columns(before, y.cols()).matrix();
}

}  // namespace detail

/// y = activation(x W^T + b)   // [N, out] from x [N, in], W [out, in], b [out] (undefined: none)
/// If the calling thread uses an adapter of W (UseAdapter), its map stands in place of x W^T + b.
/// A frozen weight may be kept in packed form alone while others are trained: y and dx are computed with its rounding.
template <class T>
[[nodiscard]] Variable<T> linear(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                                 Activation activation = Activation::none, OutputRange outputs = {}) {
  if (outputs.count < 0) outputs.count = weight.rows();
  require<ShapeError>(
      weight.shape().rank() == 2 && x.cols() == weight.cols() && outputs.first + outputs.count <= weight.rows(),
      "linear", "x has shape ", x.shape(), ", the weight [out, in] is ", weight.shape(), ", outputs ", outputs.first,
      " .. ", outputs.first + outputs.count);
  require<ShapeError>(!bias.defined() || bias.size() == weight.rows(), "linear", "the weight [out, in] is ",
                      weight.shape(), ", the bias ", bias.defined() ? bias.shape() : Shape{});
  if (const WeightAdapter<T>* const adapter = detail::adapter_of(weight)) {
    const UseAdapter<T> none(nullptr);
    return adapter->apply(x, weight, bias, activation, outputs.first, outputs.count);
  }
  const bool has_elements = weight.value().has_elements();
  require_trainable(weight, "linear");
  Tensor<T> y(Shape{x.rows(), outputs.count}), derivative;
  if (!kernels::derivative_reads_output(activation) && will_record<T>({x, weight, bias})) {
    derivative = Tensor<T>(y.shape());
  }
  kernels::GemmOptions<T> product{.bias = bias.defined() ? bias.value().data() + outputs.first : nullptr};
  const auto activate = [&](TensorView<T> rows, Index begin) {
    if (!derivative.empty()) {
      kernels::activate_and_derive(activation, rows.data(), derivative.row(begin), rows.size());
    } else {
      kernels::activate(activation, rows.data(), rows.data(), rows.size());
    }
  };
  // Rows begin .. end: with many of them the activation follows while they are in the cache.
  const auto compute = [&](const auto& weight_operand, Index begin, Index end) {
    const TensorView<T> rows = y.view().middle_rows(begin, end - begin);
    kernels::gemm(kernels::as_is(x.value()).part(begin, 0, end - begin, x.cols()), weight_operand, rows, product);
    activate(rows, begin);
  };
  const bool packed = is_kept_packed(weight) && (!is_recording() || !has_elements);
  if (packed && outputs.first % kernels::kColumnStep == 0) {
    product.first_column = outputs.first;
    compute(packed_operand(weight), 0, y.rows());
  } else if (!has_elements) {
    detail::linear_of_packed(x, weight, outputs.first, y, product);
    activate(y, 0);
  } else {
    const auto transposed = kernels::transposed(weight.value().view().middle_rows(outputs.first, outputs.count));
    if (activation == Activation::none || y.rows() < 2048) {
      compute(transposed, 0, y.rows());
    } else {
      const kernels::PackedOperand<T> operand(transposed);
      parallel_for(y.rows(), 224, [&](Index begin, Index end) { compute(operand, begin, end); });
    }
  }

  const bool reads_y = activation != Activation::none && derivative.empty();
  auto backward = [activation, outputs, derivative = std::move(derivative)](Node<T>& out) {
    Node<T>&x_in = out.input(0), &weight_in = out.input(1);
    Node<T>* bias_in = out.inputs[2].get();
    const TensorView<const T> matrix = weight_in.value;
    kernels::LinearBackward<T> gradients{
        .activation = activation,
        .y = out.value.data(),
        .derivative = derivative.empty() ? nullptr : derivative.data(),
        .dz = out.grad,
        .x = kernels::as_is(x_in.value),
        .weight = {},
    };
    if (weight_in.value.has_elements()) {
      gradients.weight = kernels::as_is(matrix.middle_rows(outputs.first, outputs.count));
    } else {
      gradients.packed = &packed_operand(weight_in), gradients.first_output = outputs.first;
    }
    if (x_in.requires_grad) {
      auto [dx, accumulate] = x_in.grad_target();
      gradients.dx = dx, gradients.add_dx = accumulate;
    }
    if (weight_in.requires_grad) {
      require(x_in.value.has_elements(), "linear",
              "a weight was unfrozen between the loss and its backward: its shape is ", matrix.shape());
      if (outputs.count < matrix.rows()) std::ignore = weight_in.grad_sum();
      auto [dw, accumulate] = weight_in.grad_target();
      gradients.dw = dw.view().middle_rows(outputs.first, outputs.count), gradients.add_dw = accumulate;
    }
    if (bias_in != nullptr && bias_in->requires_grad) gradients.db = bias_in->grad_sum().data() + outputs.first;
    kernels::linear_backward(gradients);
  };
  Variable<T> result = record("linear", std::move(y), {x, weight, bias}, std::move(backward));
  result.node()->backward_reads_input = weight.requires_grad();
  return reads_y ? result : overwritable(std::move(result));
}

}}  // namespace rapt::RAPT_ABI
