/// \file
/// Root mean square normalisation of each head's queries and keys (Henry et al. 2020, arXiv:2010.04245; Qwen3, Gemma
/// 3), which keeps attention scores from growing.
#pragma once

#include <algorithm>

#include "rapt/kernels/rms_norm.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The heads in the rows of x = [queries | keys | other columns], N rows of `cols` columns. Each head h of d_k columns
/// becomes h / sqrt(mean(h^2) + epsilon) * gamma, with a gamma [d_k] for all queries and one for all keys.
template <class T>
struct HeadNorm {
  Index rows, cols;
  Index query_heads, key_heads, head_dim;  ///< how many heads of queries and of keys a row begins with, and d_k
  const T* query_gamma;                    ///< [d_k]
  const T* key_gamma;                      ///< [d_k]
  T epsilon;

  [[nodiscard]] Index heads() const { return query_heads + key_heads; }
  [[nodiscard]] const T* gamma(Index head) const { return head < query_heads ? query_gamma : key_gamma; }
  /// Rows for one task, which depend on sizes alone.
  [[nodiscard]] Index grain() const { return std::max<Index>(1, kElementGrain / std::max<Index>(1, cols)); }
};

/// Computes y, of x's shape, and rstd [N, heads]. y may be x's memory; columns behind the heads are copied.
template <class T>
void normalise_heads(const HeadNorm<T>& p, const T* x, T* y, T* rstd) {
  const Index width = p.heads() * p.head_dim;
  parallel_for(p.rows, p.grain(), [&](Index begin, Index end) {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        const T* row = x + i * p.cols;
        T* out = y + i * p.cols;
        for (Index head = 0; head < p.heads(); ++head) {
          const Index first = head * p.head_dim;
          rstd[i * p.heads() + head] =
              detail::rms_norm_row(isa, row + first, p.head_dim, p.gamma(head), p.epsilon, out + first);
        }
        if (out != row) std::copy_n(row + width, p.cols - width, out + width);
      }
    });
  });
}

/// The gradients of normalise_heads: replaces `gradient`, which is that by y, by that by x, and adds to dgamma [2, d_k]
/// those by the two gammas.
template <class T>
void normalise_heads_backward(const HeadNorm<T>& p, const T* x, const T* rstd, T* gradient, Tensor<T>& dgamma) {
  const Index grain = p.grain(), parts = (p.rows + grain - 1) / grain;
  Tensor<T> partial(Shape{parts, 2 * p.head_dim}, T(0));  // dgamma of each part
  parallel_for(p.rows, grain, [&](Index begin, Index end) {
    T* sums = partial.row(begin / grain);
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index i = begin; i < end; ++i) {
        for (Index head = 0; head < p.heads(); ++head) {
          const Index first = i * p.cols + head * p.head_dim;
          detail::rms_norm_backward_row<decltype(isa), T>(
              isa, x + first, gradient + first, p.head_dim, p.gamma(head), rstd[i * p.heads() + head],
              head < p.query_heads ? sums : sums + p.head_dim, {gradient, /*accumulate=*/false}, first);
        }
      }
    });
  });
  for (Index part = 0; part < parts; ++part) {
    for (Index j = 0; j < 2 * p.head_dim; ++j) dgamma.data()[j] += partial.row(part)[j];
  }
}

}}}  // namespace rapt::RAPT_ABI::kernels
