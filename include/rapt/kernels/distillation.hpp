/// \file
/// The Kullback-Leibler divergence of two distributions softened by a temperature, as in distillation (Hinton et al.
/// 2015), and its gradient.
#pragma once

#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// With p = softmax(teacher / t) and q = softmax(logits / t) for each row   // [rows, cols]:
///   loss_i = sum_j p_ij log(p_ij / q_ij),   d loss_i / d logits_i = (q_i - p_i) / t
/// Writes loss_i in double and, unless `gradient` is nullptr, the derivative times gradient_scale.
template <class T>
void softened_divergence_rows(const T* logits, const T* teacher, Index rows, Index cols, T temperature, double* losses,
                              T* gradient, T gradient_scale) {
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    Tensor<T> space(Shape{2, cols});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      T *q = space.row(0), *p = space.row(1);
      const T softer = T(1) / temperature;
      for (Index i = begin; i < end; ++i) {
        const T *z = logits + i * cols, *u = teacher + i * cols;
        for (Index j = 0; j < cols; ++j) q[j] = softer * z[j];
        for (Index j = 0; j < cols; ++j) p[j] = softer * u[j];
        const auto [q_highest, q_sum] = exponentials(isa, q, cols);
        const auto [p_highest, p_sum] = exponentials(isa, p, cols);
        // log p - log q = (u - z) / t - log sum e^(u / t) + log sum e^(z / t)
        double loss = 0;
        const T p_factor = T(1) / p_sum, q_factor = T(1) / q_sum;
        for (Index j = 0; j < cols; ++j) {
          p[j] *= p_factor;
          if (p[j] <= T(0)) continue;
          const double difference = static_cast<double>(u[j]) - static_cast<double>(z[j]);
          loss += static_cast<double>(p[j]) * static_cast<double>(softer) * difference;
        }
        losses[i] = loss + static_cast<double>(q_highest) - static_cast<double>(p_highest) +
                    std::log(static_cast<double>(q_sum)) - std::log(static_cast<double>(p_sum));
        if (gradient == nullptr) continue;
        const T scale = gradient_scale * softer;
        for (Index j = 0; j < cols; ++j) gradient[i * cols + j] = scale * (q_factor * q[j] - p[j]);
      }
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
