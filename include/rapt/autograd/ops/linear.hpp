/// \file
/// The linear map with bias and activation, in one op.
#pragma once

#include <tuple>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/linear_backward.hpp"

namespace rapt::inline RAPT_ABI {

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
  require(!is_recording(), "linear", "a weight of shape ", weight.shape(),
          " is kept in packed form alone: it cannot be trained");
  const Index before = first % kernels::kColumnStep;
  Tensor<T> wide(Shape{y.rows(), before + y.cols()});
  product.first_column = first - before;
  if (product.bias != nullptr) product.bias -= before;
  kernels::gemm(kernels::as_is(x.value()), *weight.node()->packed.of(weight.value()), wide, product);
  y.matrix() = std::as_const(wide).view().columns(before, y.cols()).matrix();
}

}  // namespace detail

/// y = activation(x W^T + b)   // [N, out] from x [N, in], W [out, in], b [out] (undefined: none)
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
  Tensor<T> y(Shape{x.rows(), outputs.count});
  kernels::GemmOptions<T> product{.bias = bias.defined() ? bias.value().data() + outputs.first : nullptr};
  const bool packed = weight.node()->packed.is_kept() && !is_recording();
  if (packed && outputs.first % kernels::kColumnStep == 0) {
    product.first_column = outputs.first;
    kernels::gemm(kernels::as_is(x.value()), *weight.node()->packed.of(weight.value()), y, product);
  } else if (!weight.value().has_elements()) {
    detail::linear_of_packed(x, weight, outputs.first, y, product);
  } else {
    kernels::gemm(kernels::as_is(x.value()),
                  kernels::transposed(weight.value().view().middle_rows(outputs.first, outputs.count)), y, product);
  }
  // Derivatives need z = x W^T + b, unless they can be read off y.
  Tensor<T> z;
  if (!kernels::derivative_reads_output(activation) && will_record<T>({x, weight, bias})) {
    z = std::move(y);
    y = Tensor<T>(z.shape());
    kernels::activate(activation, z.data(), y.data(), y.size());
  } else if (activation != Activation::none) {
    kernels::activate(activation, y.data(), y.data(), y.size());
  }

  Variable<T> result =
      record("linear", std::move(y), {x, weight, bias}, [activation, outputs, z = std::move(z)](Node<T>& node) {
        Node<T>&x_in = node.input(0), &weight_in = node.input(1);
        Node<T>* bias_in = node.inputs[2].get();
        const auto rows_of = [&](const Tensor<T>& weight) {
          return weight.view().middle_rows(outputs.first, outputs.count);
        };
        kernels::LinearBackward<T> backward{.activation = activation,
                                            .at = z.empty() ? node.value.data() : z.data(),
                                            .dz = node.grad,
                                            .x = kernels::as_is(x_in.value),
                                            .weight = kernels::as_is(rows_of(weight_in.value))};
        if (x_in.requires_grad) {
          auto [dx, accumulate] = x_in.grad_target();
          backward.dx = dx, backward.add_dx = accumulate;
        }
        if (weight_in.requires_grad) {
          if (outputs.count < weight_in.value.rows()) std::ignore = weight_in.grad_sum();
          auto [dw, accumulate] = weight_in.grad_target();
          backward.dw = dw.view().middle_rows(outputs.first, outputs.count), backward.add_dw = accumulate;
        }
        if (bias_in != nullptr && bias_in->requires_grad) backward.db = bias_in->grad_sum().data() + outputs.first;
        kernels::linear_backward(backward);
      });
  return activation == Activation::none ? overwritable(std::move(result)) : result;
}

}  // namespace rapt::inline RAPT_ABI
