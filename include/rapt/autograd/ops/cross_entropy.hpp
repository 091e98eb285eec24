/// \file
/// Cross-entropy with label smoothing (the paper's 5.4) and class weights, on logits, or together with the output
/// projection.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "rapt/autograd/packed_weight.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/autograd/weight_adapter.hpp"
#include "rapt/kernels/cross_entropy.hpp"
#include "rapt/kernels/gemm/gemm.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What becomes of the rows' losses.
enum class Reduction {
  mean,  ///< their sum, divided by the number of targets that are not ignored, or by the sum of those targets' weights
  sum,
  none,  ///< stay as they are, [N]; 0 where the target is ignored
};

/// As in torch.nn.functional.cross_entropy, but for a mean over nothing, which is NaN there and a ValueError here.
struct CrossEntropyOptions {
  /// e: the target distribution is (1 - e) on the target and e / V everywhere. The paper uses 0.1.
  float label_smoothing = 0.f;
  /// Rows with this target count for nothing; it may lie outside of the vocabulary. std::nullopt: there is none.
  std::optional<std::int32_t> ignore_index = -100;
  /// [V], a factor of each class's term of the target distribution; not negative. Empty: all are 1.
  std::vector<float> class_weights = {};
  /// How the losses of the rows become the result.
  Reduction reduction = Reduction::mean;
};

/// How linear_cross_entropy caps its logits, if at all: `soft_cap_of_logits` (autograd/ops/soft_cap.hpp) fills it, so
/// that only programs that cap logits compile the kernel.
template <class T>
struct LogitCap {
  T cap = 0;
  /// apply(logits, cap, slopes) caps logits in place and writes the derivatives, unless `slopes` is nullptr.
  void (*apply)(TensorView<T>, T, T*) = nullptr;
};

namespace detail {

[[nodiscard]] inline double sum_in_order(const Tensor<double>& values) {
  double sum = 0;
  for (const double v : values.values()) sum += v;
  return sum;
}

/// Targets and options, checked: what both forms of the loss know of a batch.
template <class T>
class CrossEntropyTargets {
 public:
  /// Throws ShapeError or ValueError, which name the values. `shape` is what has the rows, for messages. The targets
  /// must outlive it, unless `keep` is called.
  CrossEntropyTargets(std::string_view where, const Shape& shape, Index rows, Index vocabulary,
                      std::span<const std::int32_t> targets, const CrossEntropyOptions& options)
      : targets_(targets),
        smoothing_(static_cast<double>(options.label_smoothing)),
        ignore_index_(options.ignore_index),
        reduction_(options.reduction) {
    require<ShapeError>(rows == static_cast<Index>(targets.size()) && rows > 0, where, targets.size(),
                        " targets for rows of shape ", shape);
    require_ids(targets, vocabulary, where, ignore_index_);
    require(options.label_smoothing >= 0.f && options.label_smoothing < 1.f, where,
            "label_smoothing must be in [0, 1): ", options.label_smoothing);
    set_class_weights(where, vocabulary, options.class_weights);
    if (reduction_ == Reduction::mean) divide_by_targets(where);
  }

  CrossEntropyTargets(CrossEntropyTargets&&) = default;

  [[nodiscard]] Reduction reduction() const { return reduction_; }
  /// What the gradients of the rows' losses are multiplied by.
  [[nodiscard]] T gradient_scale() const { return T(1) / static_cast<T>(divisor_); }
  /// Rows begin .. begin + count for the kernel; gradient_scale 0: without gradients.
  [[nodiscard]] kernels::CrossEntropyRows<T> rows(Index begin, Index count, T gradient_scale) const {
    return {.targets = targets_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)),
            .smoothing = smoothing_,
            .ignore_index = ignore_index_,
            .class_weights = class_weights_.empty() ? nullptr : class_weights_.data(),
            .gradient_scale = gradient_scale};
  }
  [[nodiscard]] Tensor<T> reduce(const Tensor<double>& losses) const {
    if (reduction_ != Reduction::none) return Tensor<T>(Shape{1}, static_cast<T>(sum_in_order(losses) / divisor_));
    Tensor<T> each(losses.shape());
    std::transform(losses.data(), losses.data() + losses.size(), each.data(), [](double v) { return T(v); });
    return each;
  }
  /// Copies the targets, for a backward that reads them.
  void keep() {
    kept_.assign(targets_.begin(), targets_.end());
    targets_ = kept_;
  }

 private:
  void set_class_weights(std::string_view where, Index vocabulary, const std::vector<float>& weights) {
    if (weights.empty()) return;
    require<ShapeError>(static_cast<Index>(weights.size()) == vocabulary, where, weights.size(),
                        " class_weights for a vocabulary of ", vocabulary);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      require(weights[i] >= 0.f && std::isfinite(weights[i]), where,
              "class_weights must be finite and not negative: ", weights[i], " at position ", i);
    }
    class_weights_ = Tensor<T>(Shape{vocabulary});
    std::copy(weights.begin(), weights.end(), class_weights_.data());
  }
  void divide_by_targets(std::string_view where) {
    divisor_ = 0;
    std::size_t ignored = 0;
    for (const std::int32_t target : targets_) {
      if (target == ignore_index_) {
        ++ignored;
      } else {
        divisor_ += class_weights_.empty() ? 1.0 : static_cast<double>(class_weights_.data()[target]);
      }
    }
    require(divisor_ > 0, where, "there is nothing to take the mean of: of ", targets_.size(), " targets ", ignored,
            " are ignore_index, and the class_weights of the others are 0");
  }

  std::span<const std::int32_t> targets_;
  std::vector<std::int32_t> kept_;
  double smoothing_;
  std::optional<std::int32_t> ignore_index_;
  Tensor<T> class_weights_;  // [V], or empty
  Reduction reduction_;
  double divisor_ = 1;
};

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

/// Those of the gradients of a loss of x W^T + b by x, W and b that are wanted; the others are empty.
template <class T>
struct ProjectionGradients {
  Tensor<T> dx, dw, db;

  ProjectionGradients() = default;
  /// Room for the gradients by the inputs that require one. `bias` may be nullptr.
  ProjectionGradients(const Node<T>& x, const Node<T>& weight, const Node<T>* bias) {
    if (x.requires_grad) dx = Tensor<T>(x.value.shape());
    if (weight.requires_grad) dw = Tensor<T>(weight.value.shape());
    if (bias != nullptr && bias->requires_grad) db = Tensor<T>(bias->value.shape(), T(0));
  }

  [[nodiscard]] bool wanted() const { return !dx.empty() || !dw.empty() || !db.empty(); }
  /// Adds them, times a factor, to the gradients of the node's inputs x, W and b.
  void add_to_inputs(Node<T>& out, T factor) {
    Tensor<T>* gradients[] = {&dx, &dw, &db};
    for (std::size_t i = 0; i < 3; ++i) {
      Node<T>* input = out.inputs[i].get();
      if (input == nullptr || !input->requires_grad || gradients[i]->empty()) continue;
      add_scaled_gradient(*input, std::move(*gradients[i]), factor);
    }
  }
};

/// The losses of all rows of x W^T + b, whose logits exist for a block of rows at a time, and those `gradients` that
/// are wanted of the sum over rows of gradient_scale row_scales[i] loss_i. The weight may be kept in packed form alone.
template <class T>
void project_and_compare(const Tensor<T>& x, Node<T>& weight, const Tensor<T>* bias, const LogitCap<T>& cap,
                         const CrossEntropyTargets<T>& targets, T gradient_scale, const T* row_scales, double* losses,
                         ProjectionGradients<T>& gradients) {
  const Index rows = x.rows(), vocabulary = weight.value.rows();
  Tensor<T> logits(Shape{std::min(rows, kLossBlock), vocabulary});
  const bool has_elements = weight.value.has_elements();
  std::optional<kernels::PackedOperand<T>> packed_here;
  if (has_elements) packed_here.emplace(kernels::transposed(weight.value));
  const kernels::PackedOperand<T>& weight_transposed = has_elements ? *packed_here : packed_operand(weight);
  const bool keeps_slopes = cap.apply != nullptr && gradients.wanted();
  Tensor<T> slopes(keeps_slopes ? logits.shape() : Shape{0});
  std::optional<kernels::PackedOperand<T>> weight_packed;
  if (!gradients.dx.empty() && has_elements) weight_packed.emplace(kernels::as_is(weight.value));
  for (Index i = 0; i < rows; i += kLossBlock) {
    const Index count = std::min(kLossBlock, rows - i);
    const auto x_block = x.view().middle_rows(i, count);
    const TensorView<T> block = logits.view().middle_rows(0, count);
    kernels::gemm(kernels::as_is(x_block), weight_transposed, block,
                  {.bias = bias != nullptr ? bias->data() : nullptr});
    if (cap.apply != nullptr) cap.apply(block, cap.cap, keeps_slopes ? slopes.data() : nullptr);
    auto problem = targets.rows(i, count, gradients.wanted() ? gradient_scale : T(0));
    if (row_scales != nullptr) problem.row_gradient_scales = row_scales + i;
    kernels::cross_entropy_rows(block.data(), count, vocabulary, problem, losses + i);
    if (keeps_slopes) kernels::multiply<T>(block.data(), slopes.data(), block.data(), block.size());
    if (!gradients.dx.empty()) {
      const TensorView<T> dx = gradients.dx.view().middle_rows(i, count);
      weight_packed ? kernels::gemm(kernels::as_is(block), *weight_packed, dx)
                    : kernels::gemm_transposed(kernels::as_is(block), weight_transposed, 0, dx);
    }
    if (!gradients.dw.empty()) {
      kernels::gemm(kernels::transposed(block), kernels::as_is(x_block), gradients.dw, {.accumulate = i > 0});
    }
    if (!gradients.db.empty()) kernels::add_column_sums<T>(block, gradients.db.data());
  }
}

}  // namespace detail

/// Cross-entropy of softmax(logits) [N, V] against targets [N], in nats: a scalar, the mean over rows, unless the
/// options say otherwise.
template <class T>
[[nodiscard]] Variable<T> cross_entropy(const Variable<T>& logits, std::span<const std::int32_t> targets,
                                        const CrossEntropyOptions& options = {}) {
  const Index rows = logits.rows(), vocabulary = logits.cols();
  const detail::CrossEntropyTargets<T> checked("cross_entropy", logits.shape(), rows, vocabulary, targets, options);
  Tensor<T> d_logits = logits.value();  // becomes the gradient in place
  Tensor<double> losses(Shape{rows});
  kernels::cross_entropy_rows(d_logits.data(), rows, vocabulary,
                              checked.rows(0, rows, will_record<T>({logits}) ? checked.gradient_scale() : T(0)),
                              losses.data());
  const bool by_row = checked.reduction() == Reduction::none;
  return record("cross_entropy", checked.reduce(losses), {logits},
                [by_row, d_logits = std::move(d_logits)](Node<T>& out) mutable {
                  if (by_row) kernels::scale_rows(d_logits.data(), out.grad.data(), d_logits.rows(), d_logits.cols());
                  detail::add_scaled_gradient(out.input(0), std::move(d_logits), by_row ? T(1) : *out.grad.data());
                });
}

/// cross_entropy(x W^T + b, targets), for training: logits exist for a block of rows at a time, so [N, V] is never
/// stored, and those of the gradients of x, W and b that are wanted come out of the same pass; with Reduction::none
/// backward goes through the logits again   // x [N, D], W [V, D], b [V] or undefined
/// `cap`: caps the logits before their softmax.
template <class T>
[[nodiscard]] Variable<T> linear_cross_entropy(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                                               std::span<const std::int32_t> targets,
                                               const CrossEntropyOptions& options = {},
                                               const std::type_identity_t<LogitCap<T>>& cap = {}) {
  const Index rows = x.rows(), vocabulary = weight.rows();
  require<ShapeError>(weight.shape().rank() == 2 && x.cols() == weight.cols(), "linear_cross_entropy", "x has shape ",
                      x.shape(), ", the weight [V, D] is ", weight.shape());
  require<ShapeError>(!bias.defined() || bias.size() == vocabulary, "linear_cross_entropy", "the weight [V, D] is ",
                      weight.shape(), ", the bias ", bias.defined() ? bias.shape() : Shape{});
  require(detail::adapter_of(weight) == nullptr, "linear_cross_entropy",
          "the weight [V, D] has an adapter, which this loss does not compute: its shape is ", weight.shape());
  detail::CrossEntropyTargets<T> checked("linear_cross_entropy", x.shape(), rows, vocabulary, targets, options);
  const bool recording = will_record<T>({x, weight, bias}), by_row = checked.reduction() == Reduction::none;
  require_trainable(weight, "linear_cross_entropy");
  const Tensor<T>* bias_value = bias.defined() ? &bias.value() : nullptr;
  Tensor<double> losses(Shape{rows});
  detail::ProjectionGradients<T> gradients;
  if (recording && !by_row) gradients = {*x.node(), *weight.node(), bias.defined() ? bias.node().get() : nullptr};
  detail::project_and_compare<T>(x.value(), *weight.node(), bias_value, cap, checked, checked.gradient_scale(), nullptr,
                                 losses.data(), gradients);
  Tensor<T> loss = checked.reduce(losses);
  if (!by_row) {
    return record(
        "linear_cross_entropy", std::move(loss), {x, weight, bias},
        [gradients = std::move(gradients)](Node<T>& out) mutable { gradients.add_to_inputs(out, *out.grad.data()); });
  }
  if (recording) checked.keep();
  return record("linear_cross_entropy", std::move(loss), {x, weight, bias},
                [cap, checked = std::move(checked), losses = std::move(losses)](Node<T>& out) mutable {
                  Node<T>&x_in = out.input(0), &weight_in = out.input(1), *bias_in = out.inputs[2].get();
                  detail::ProjectionGradients<T> by_rows(x_in, weight_in, bias_in);
                  detail::project_and_compare<T>(x_in.value, weight_in, bias_in != nullptr ? &bias_in->value : nullptr,
                                                 cap, checked, T(1), out.grad.data(), losses.data(), by_rows);
                  by_rows.add_to_inputs(out, T(1));
                });
}

}}  // namespace rapt::RAPT_ABI
