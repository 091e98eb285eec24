/// \file
/// Attention of single queries to keys and values that lie anywhere in a table: what a decoding step needs. Nothing is
/// packed or copied; each key and each value is read once where it lies.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/soft_cap.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Which rows of a table a query sees, in their order: those numbered `entries`, or, where that is nullptr, `length`
/// rows from `begin`.
struct KeyRows {
  const std::int32_t* entries = nullptr;
  Index begin = 0, length = 0;

  [[nodiscard]] Index operator[](Index j) const { return entries != nullptr ? entries[j] : begin + j; }
};

/// Queries that one part handles; and how many products of a query and its keys must be there before the heads of few
/// queries are spread over the pool, too.
inline constexpr Index kCachedQueries = 4, kSpreadHeads = 1 << 17;

namespace detail {

/// probabilities[j] = softmax over j of scale q k_j, soft-capped if soft_cap > 0, for one head: `first` is its first
/// column of keys. The row has room for whole vectors.
template <class Isa, class T>
[[gnu::always_inline]] inline void key_probabilities(Isa isa, const T* q, TensorView<const T> keys, const KeyRows& rows,
                                                     Index first, Index d_k, T scale, T soft_cap, T* probabilities) {
  for (Index j = 0; j < rows.length; ++j) probabilities[j] = scale * dot(isa, q, keys.row(rows[j]) + first, d_k);
  if (soft_cap > 0) soft_cap_row(isa, probabilities, rows.length, soft_cap);
  const Index padded = (rows.length + 15) / 16 * 16;
  std::fill(probabilities + rows.length, probabilities + padded, -std::numeric_limits<T>::infinity());
  const T sum = exponentials(isa, probabilities, padded).second;
  scale_row(isa, probabilities, padded, T(1) / sum);
}

}  // namespace detail

/// output_i = softmax(cap(scale q_i K_i^T)) V_i, head by head   // output [N, H d_v], query [N, H d_k]; query i sees
/// rows[i] of keys [.., K d_k] and values [.., K d_v], and its head h reads their head h / (H / K). `weights` (or
/// nullptr) is [N][heads][weights_stride] and receives the probabilities. cap(s) is soft_cap tanh(s / soft_cap), or s
/// where soft_cap is 0. A query that sees nothing gives zeros.
template <class T>
void cached_attention(TensorView<const T> query, TensorView<const T> keys, TensorView<const T> values,
                      std::span<const KeyRows> rows, Index heads, T scale, TensorView<T> output, T* weights = nullptr,
                      Index weights_stride = 0, T soft_cap = 0) {
  const Index d_k = query.cols() / heads, d_v = output.cols() / heads, shared = query.cols() / keys.cols();
  Index longest = 0;
  for (const KeyRows& r : rows) longest = std::max(longest, r.length);
  const Index blocks = (query.rows() + kCachedQueries - 1) / kCachedQueries;
  const bool spreads = blocks < threads() && longest * query.cols() >= kSpreadHeads;
  const Index splits = !spreads ? 1 : shared < heads ? heads / shared : heads, some_heads = heads / splits;
  parallel_parts(blocks * splits, [&](Index part) {
    const Index begin = part / splits * kCachedQueries, end = std::min(begin + kCachedQueries, query.rows());
    const Index first_head = part % splits * some_heads;
    Tensor<T> work(Shape{longest + 16});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      T* probabilities = work.data();
      for (Index i = begin; i < end; ++i) {
        const KeyRows& seen = rows[static_cast<std::size_t>(i)];
        for (Index head = first_head; head < first_head + some_heads; ++head) {
          const Index first_key = head / shared * d_k, first_value = head / shared * d_v;
          T* out = output.row(i) + head * d_v;
          if (seen.length == 0) {
            std::fill_n(out, d_v, T(0));
            continue;
          }
          detail::key_probabilities(isa, query.row(i) + head * d_k, keys, seen, first_key, d_k, scale, soft_cap,
                                    probabilities);
          simd::for_lanes<T>(
              isa, d_v, [&](auto lanes, Index c) __attribute__((always_inline)) {
                simd::Vector<T, lanes> sum{};
                for (Index j = 0; j < seen.length; ++j) {
                  simd::Vector<T, lanes> v;
                  simd::load(v, values.row(seen[j]) + first_value + c);
                  sum += probabilities[j] * v;
                }
                simd::store(out + c, sum);
              });
          if (weights != nullptr)
            std::copy_n(probabilities, seen.length, weights + (i * heads + head) * weights_stride);
        }
      }
    });
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
