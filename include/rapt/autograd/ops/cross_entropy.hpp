/// \file
/// Label-smoothed cross-entropy (the paper's 5.4), on logits, or together with the output projection.
#pragma once

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/gemm/gemm.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt::inline RAPT_ABI {

struct CrossEntropyOptions {
  /// e: the target distribution is (1 - e) on the target and e / V everywhere. The paper uses 0.1.
  float label_smoothing = 0.f;
};

namespace detail {

inline void require_targets(std::string_view where, const Shape& logits_of, Index rows, Index vocabulary,
                            std::span<const TokenId> targets, const CrossEntropyOptions& options) {
  require<ShapeError>(rows == static_cast<Index>(targets.size()) && rows > 0, where, targets.size(),
                      " targets for rows of shape ", logits_of);
  require_ids(targets, vocabulary, where);
  require(options.label_smoothing >= 0.f && options.label_smoothing < 1.f, where,
          "label_smoothing must be in [0, 1): ", options.label_smoothing);
}

/// input.grad += factor * gradient, which becomes input.grad where there is none yet.
template <class T>
void add_scaled_gradient(Node<T>& input, Tensor<T> gradient, T factor) {
  if (!input.grad.empty()) {
    kernels::add_scaled(input.grad.data(), gradient.data(), factor, gradient.size());
    return;
  }
  if (factor != T(1)) kernels::scale(gradient.data(), factor, gradient.size());
  input.grad = std::move(gradient);
}

/// Rows whose logits exist at once.
inline constexpr Index kLossBlock = 256;

[[nodiscard]] inline double sum_in_order(const Tensor<double>& values) {
  double sum = 0;
  for (const double v : values.values()) sum += v;
  return sum;
}

}  // namespace detail

/// Mean over rows of the cross-entropy of softmax(logits) [N, V] against targets [N]: a scalar, in nats.
template <class T>
[[nodiscard]] Variable<T> cross_entropy(const Variable<T>& logits, std::span<const TokenId> targets,
                                        const CrossEntropyOptions& options = {}) {
  const Index rows = logits.rows(), vocabulary = logits.cols();
  detail::require_targets("cross_entropy", logits.shape(), rows, vocabulary, targets, options);
  const bool recording = will_record<T>({logits});
  Tensor<T> d_logits = logits.value();  // becomes the gradient in place
  Tensor<double> losses(Shape{rows});
  kernels::cross_entropy_rows(d_logits.data(), rows, vocabulary, targets, static_cast<double>(options.label_smoothing),
                              recording ? T(1) / static_cast<T>(rows) : T(0), losses.data());
  Tensor<T> loss(Shape{1}, static_cast<T>(detail::sum_in_order(losses) / static_cast<double>(rows)));
  return record("cross_entropy", std::move(loss), {logits}, [d_logits = std::move(d_logits)](Node<T>& out) mutable {
    detail::add_scaled_gradient(out.input(0), std::move(d_logits), *out.grad.data());
  });
}

/// cross_entropy(x W^T + b, targets), for training: logits exist for a block of rows at a time, so [N, V] is never
/// stored, and those of the gradients of x, W and b that are wanted come out of the same pass
///   // x [N, D], W [V, D], b [V] or undefined
template <class T>
[[nodiscard]] Variable<T> linear_cross_entropy(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                                               std::span<const TokenId> targets,
                                               const CrossEntropyOptions& options = {}) {
  const Index rows = x.rows(), vocabulary = weight.rows();
  require<ShapeError>(weight.shape().rank() == 2 && x.cols() == weight.cols(), "linear_cross_entropy", "x has shape ",
                      x.shape(), ", the weight [V, D] is ", weight.shape());
  require<ShapeError>(!bias.defined() || bias.size() == vocabulary, "linear_cross_entropy", "the weight [V, D] is ",
                      weight.shape(), ", the bias ", bias.defined() ? bias.shape() : Shape{});
  detail::require_targets("linear_cross_entropy", x.shape(), rows, vocabulary, targets, options);
  const bool recording = will_record<T>({x, weight, bias});
  const bool wants_dx = recording && x.requires_grad(), wants_dw = recording && weight.requires_grad();
  const bool wants_db = recording && bias.defined() && bias.requires_grad();

  Tensor<T> logits(Shape{std::min(rows, detail::kLossBlock), vocabulary}), dx, dw, db;
  const kernels::PackedOperand<T> weight_transposed(kernels::transposed(weight.value()));
  std::optional<kernels::PackedOperand<T>> weight_packed;
  if (wants_dx) {
    weight_packed.emplace(kernels::as_is(weight.value()));
    dx = Tensor<T>(x.shape());
  }
  if (wants_dw) dw = Tensor<T>(weight.shape());
  if (wants_db) db = Tensor<T>(bias.shape(), T(0));
  Tensor<double> losses(Shape{rows});
  for (Index i = 0; i < rows; i += detail::kLossBlock) {
    const Index count = std::min(detail::kLossBlock, rows - i);
    const auto x_block = x.value().view().middle_rows(i, count);
    const TensorView<T> block = logits.view().middle_rows(0, count);
    kernels::gemm(kernels::as_is(x_block), weight_transposed, block,
                  {.bias = bias.defined() ? bias.value().data() : nullptr});
    kernels::cross_entropy_rows(block.data(), count, vocabulary,
                                targets.subspan(static_cast<std::size_t>(i), static_cast<std::size_t>(count)),
                                static_cast<double>(options.label_smoothing),
                                recording ? T(1) / static_cast<T>(rows) : T(0), losses.data() + i);
    if (wants_dx) kernels::gemm(kernels::as_is(block), *weight_packed, dx.view().middle_rows(i, count));
    if (wants_dw) kernels::gemm(kernels::transposed(block), kernels::as_is(x_block), dw, {.accumulate = i > 0});
    if (wants_db) kernels::add_column_sums<T>(block, db.data());
  }
  Tensor<T> loss(Shape{1}, static_cast<T>(detail::sum_in_order(losses) / static_cast<double>(rows)));
  return record("linear_cross_entropy", std::move(loss), {x, weight, bias},
                [dx = std::move(dx), dw = std::move(dw), db = std::move(db)](Node<T>& out) mutable {
                  Tensor<T>* gradients[] = {&dx, &dw, &db};
                  for (std::size_t i = 0; i < 3; ++i) {
                    Node<T>* input = out.inputs[i].get();
                    if (input == nullptr || !input->requires_grad || gradients[i]->empty()) continue;
                    detail::add_scaled_gradient(*input, std::move(*gradients[i]), *out.grad.data());
                  }
                });
}

}  // namespace rapt::inline RAPT_ABI
