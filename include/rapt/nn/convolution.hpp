/// \file
/// A convolution along sequences: centred, causal or with any padding, with stride and dilation.
#pragma once

#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/reshape.hpp"
#include "rapt/autograd/ops/unfold_rows.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_t = sum_k W_k x_(t stride + k dilation - padding) + b within each sequence   // [N', out] from [N, in]
/// `centred_window(k)` for odd k and `causal_window(k)` give a result for each row. The weight is laid out as
/// torch.nn.Conv1d's, [out, in, width].
template <class T = float>
class Convolution {
 public:
  /// Xavier-uniform weight, zero bias. Throws ValueError for sizes and windows that do not make sense.
  Convolution(Index inputs, Index outputs, const RowWindow& window, Rng& rng) : window_(window) {
    require(inputs > 0 && outputs > 0, "convolution", "sizes must be positive: ", inputs, " inputs, ", outputs,
            " outputs");
    window.validate("convolution");
    weight_ = Parameter<T>(init::xavier_uniform<T>(Shape{outputs, inputs * window.width}, rng));
    weight_.mutable_value().reshape(Shape{outputs, inputs, window.width});
    bias_ = Parameter<T>(init::constant<T>(Shape{outputs}, T(0)));
  }

  /// activation(y), whose row splits the member `splits` gives. Throws ShapeError for x of other columns than `in`.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits,
                                       Activation activation = Activation::none) const {
    const Shape& shape = weight_.shape();
    require<ShapeError>(x.cols() == shape[1], "convolution", "x has shape ", x.shape(), ", the weight is ", shape);
    return linear<T>(unfold_rows(x, splits, window_), reshape<T>(weight_, Shape{shape[0], shape[1] * shape[2]}), bias_,
                     activation);
  }
  /// Where each sequence's rows are in the result.
  [[nodiscard]] RowSplits splits(const RowSplits& of_input) const { return window_splits(of_input, window_); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight_);
    visitor("bias", self.bias_);
  }

 private:
  RowWindow window_;
  Parameter<T> weight_, bias_;
};
static_assert(Module<Convolution<float>>);

}}  // namespace rapt::RAPT_ABI
