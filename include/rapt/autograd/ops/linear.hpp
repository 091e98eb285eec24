/// \file
/// The linear map with bias and activation, in one op.
#pragma once

#include <tuple>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/activation.hpp"
#include "rapt/kernels/gemm/gemm.hpp"

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
        Tensor<T>& dz = node.grad;  // dz = dy activation'(z)
        if (activation != Activation::none) {
          const Tensor<T>& at = z.empty() ? node.value : z;
          kernels::activate_backward(activation, at.data(), dz.data(), dz.data(), dz.size(), /*accumulate=*/false);
        }
        const bool whole = outputs.count == weight_in.value.rows();
        if (x_in.requires_grad) {  // dx = dz W
          auto [dx, accumulate] = x_in.grad_target();
          kernels::gemm(kernels::as_is(dz),
                        kernels::as_is(std::as_const(weight_in.value).view().middle_rows(outputs.first, outputs.count)),
                        dx, {.accumulate = accumulate});
        }
        if (weight_in.requires_grad) {  // dW = dz^T x
          if (!whole) std::ignore = weight_in.grad_sum();
          auto [dw, accumulate] = weight_in.grad_target();
          kernels::gemm(kernels::transposed(dz), kernels::as_is(x_in.value),
                        dw.view().middle_rows(outputs.first, outputs.count), {.accumulate = accumulate});
        }
        if (bias_in != nullptr && bias_in->requires_grad) {  // db = column sums of dz
          kernels::add_column_sums<T>(dz, bias_in->grad_sum().data() + outputs.first);
        }
      });
  return activation == Activation::none ? overwritable(std::move(result)) : result;
}

}  // namespace rapt::inline RAPT_ABI
