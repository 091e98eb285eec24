/// \file
/// The cross-entropy of rows of logits with class weights and label smoothing, and its gradient in the same pass.
#pragma once

#include <cstdint>
#include <optional>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The targets of rows of logits and how they count.
template <class T>
struct CrossEntropyRows {
  std::span<const std::int32_t> targets;                    ///< [rows]
  double smoothing = 0;                                     ///< e of label smoothing
  std::optional<std::int32_t> ignore_index = std::nullopt;  ///< a row with this target has no loss and no gradient
  const T* class_weights = nullptr;                         ///< [cols]; nullptr: all are 1
  T gradient_scale = 0;                                     ///< multiplies all gradients; 0: none are computed
  const T* row_gradient_scales = nullptr;                   ///< [rows], multiply gradients, too; nullptr: all are 1
};

namespace detail {

/// The sum over j of w_j (z_j - highest) factor, with w_j = 1 if weights is nullptr. Halves are subtracted and doubled
/// afterwards, as the difference of two finite numbers may overflow.
template <class Isa, class T>
[[gnu::always_inline]] inline T sum_below(Isa isa, const T* z, const T* weights, Index count, T highest, T factor) {
  constexpr int kWidth = simd::kLanes<Isa, T>;
  const T half = highest / 2, twice = 2 * factor;
  simd::Native<Isa, T> sums{};
  T rest = 0;
  simd::for_lanes<T>(
      isa, count, [&](auto lanes, Index j) __attribute__((always_inline)) {
#if defined(__clang__)
#pragma clang fp reassociate(off)
#endif
        simd::Vector<T, lanes> v, w;
        simd::load(v, z + j);
        v = (v * T(0.5) - half) * twice;
        if (weights != nullptr) {
          simd::load(w, weights + j);
          v *= w;
        }
        if constexpr (lanes == kWidth) {
          sums += v;
        } else {
          rest += v[0];
        }
      });
  return rest + simd::sum_lanes<kWidth>(sums);
}

}  // namespace detail

/// Cross-entropy with class weights w and label smoothing e (Szegedy et al. 2016; section 5.4 of the Transformer's
/// paper), as in PyTorch. The target t of row i stands for the distribution (1 - e) one-hot(t) + e / V, times w for
/// each class:
///   loss_i = -(1 - e) w_t log p_it - e / V sum_j w_j log p_ij,   p = softmax(z)   // z [rows, V]
/// Writes loss_i (in double, without the gradients' scales) and overwrites the logits with their gradient:
///   scale_i (((1 - e) w_t + e / V sum_k w_k) p_ij - (1 - e) w_t [j = t] - e / V w_j)
template <class T>
void cross_entropy_rows(T* logits, Index rows, Index cols, const CrossEntropyRows<T>& p, double* losses) {
  const double uniform = p.smoothing / static_cast<double>(cols);
  double weight_sum = 0;
  if (p.class_weights != nullptr && p.smoothing > 0) {
    for (Index j = 0; j < cols; ++j) weight_sum += static_cast<double>(p.class_weights[j]);
  }
  parallel_for(rows, std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        T* row = logits + i * cols;
        const std::int32_t target = at(p.targets, i);
        if (target == p.ignore_index) {
          losses[i] = 0;
          if (p.gradient_scale != 0) std::fill_n(row, cols, T(0));
          continue;
        }
        double on_target = 1 - p.smoothing,
               everywhere = 1;  // (1 - e) w_t, and the sum of all classes' weights in the loss
        if (p.class_weights != nullptr) {
          on_target *= static_cast<double>(p.class_weights[target]);
          everywhere = on_target + uniform * weight_sum;
        }
        const T highest = row_max(isa, row, cols);
        // Logits enter as differences from the highest one: with s = log sum_k e^(z_k - highest), log p_ij is
        // z_j - highest - s, and s is added at the end with the weight of all classes.
        double loss = -on_target * (static_cast<double>(row[target]) - static_cast<double>(highest));
        if (p.smoothing > 0) {
          loss -=
              static_cast<double>(detail::sum_below(isa, row, p.class_weights, cols, highest, static_cast<T>(uniform)));
        }
        const T sum = exponentials_below(isa, row, cols, highest);
        losses[i] = loss + everywhere * std::log(static_cast<double>(sum));
        if (p.gradient_scale == 0) continue;
        const T scale =
            p.row_gradient_scales == nullptr ? p.gradient_scale : p.gradient_scale * p.row_gradient_scales[i];
        const T factor = scale * static_cast<T>(everywhere) / sum, shift = scale * static_cast<T>(uniform);
        simd::for_lanes<T>(
            isa, cols, [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> v, w;
              simd::load(v, row + j);
              v *= factor;
              if (p.class_weights != nullptr) {
                simd::load(w, p.class_weights + j);
                v -= shift * w;
              } else {
                v -= shift;
              }
              simd::store(row + j, v);
            });
        row[target] -= scale * static_cast<T>(on_target);
      }
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
