/// \file
/// Distillation (Hinton et al. 2015): a student learns from what a teacher says, beside the true labels.
#pragma once

#include <cstdint>
#include <tuple>
#include <vector>

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/kernels/distillation.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What of the teacher's answer the student is to give.
enum class TeacherTargets {
  soft,  ///< its whole distribution: temperature^2 KL(softmax(teacher / temperature) || softmax(student / temperature))
  hard,  ///< the class that it thinks most likely, as if that were the label (Touvron et al. 2021)
};

/// What a student learns from its teacher's logits.
struct DistillationOptions {
  /// Whether the student learns the teacher's probabilities or its most probable token.
  TeacherTargets targets = TeacherTargets::soft;
  /// Above 1 the small probabilities count for more. The factor temperature^2 keeps the gradient's size; `hard` knows
  /// no temperature.
  float temperature = 2.f;
  /// Of the teacher's term; the labels' cross-entropy has 1 - weight. With 1 labels are not needed.
  float weight = 0.5f;
};

/// weight * teacher's term + (1 - weight) * cross-entropy with the labels, mean over rows: a scalar, in nats
///   // student's logits [N, V]; teacher's [N, V], constants; labels [N], or none with weight 1
template <class T>
[[nodiscard]] Variable<T> distillation_loss(const Variable<T>& student, const Tensor<T>& teacher,
                                            std::span<const std::int32_t> labels,
                                            const DistillationOptions& options = {}) {
  constexpr std::string_view kWhere = "distillation_loss";
  const Index rows = student.rows(), classes = student.cols();
  require<ShapeError>(student.shape() == teacher.shape() && rows > 0, kWhere, "the student's logits have shape ",
                      student.shape(), ", the teacher's ", teacher.shape());
  require(options.temperature > 0 && options.weight >= 0 && options.weight <= 1, kWhere,
          "temperature must be positive, weight in [0, 1]: ", options.temperature, ", ", options.weight);
  const bool has_labels = options.weight < 1;
  if (has_labels) {
    std::ignore =
        detail::CrossEntropyTargets<T>(kWhere, student.shape(), rows, classes, labels, {.ignore_index = std::nullopt});
  }

  const bool recording = will_record<T>({student});
  const double weight = static_cast<double>(options.weight), temperature = static_cast<double>(options.temperature);
  const T per_row = T(1) / static_cast<T>(rows);
  Tensor<double> losses(Shape{rows});
  Tensor<T> gradient;
  // The mean of cross-entropies; d_logits receives the gradient.
  const auto cross_entropy_with = [&](std::span<const std::int32_t> targets, Tensor<T>& d_logits) {
    d_logits = student.value();
    kernels::cross_entropy_rows<T>(d_logits.data(), rows, classes,
                                   {.targets = targets, .gradient_scale = recording ? per_row : T(0)}, losses.data());
    return detail::sum_in_order(losses) / static_cast<double>(rows);
  };

  double loss = 0;
  if (has_labels) {
    loss = (1 - weight) * cross_entropy_with(labels, gradient);
    kernels::scale(gradient.data(), static_cast<T>(1 - weight), gradient.size());
  }
  if (weight > 0) {
    Tensor<T> d_teacher(student.shape());
    double term = 0;
    if (options.targets == TeacherTargets::hard) {
      std::vector<std::int32_t> chosen(static_cast<std::size_t>(rows));
      for (Index i = 0; i < rows; ++i) {
        const T* row = teacher.row(i);
        chosen[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(std::max_element(row, row + classes) - row);
      }
      term = cross_entropy_with(chosen, d_teacher);
    } else {
      const double square = temperature * temperature;
      kernels::softened_divergence_rows(student.value().data(), teacher.data(), rows, classes,
                                        static_cast<T>(temperature), losses.data(),
                                        recording ? d_teacher.data() : nullptr, static_cast<T>(square) * per_row);
      term = square * detail::sum_in_order(losses) / static_cast<double>(rows);
    }
    loss += weight * term;
    if (recording) {
      if (gradient.empty()) gradient = Tensor<T>(student.shape(), T(0));
      kernels::add_scaled(gradient.data(), d_teacher.data(), static_cast<T>(weight), gradient.size());
    }
  }
  return record("distillation_loss", Tensor<T>(Shape{1}, static_cast<T>(loss)), {student},
                [gradient = std::move(gradient)](Node<T>& out) mutable {
                  detail::add_scaled_gradient(out.input(0), std::move(gradient), *out.grad.data());
                });
}

}}  // namespace rapt::RAPT_ABI
