/// \file
/// Attention of single queries to keys and values that lie anywhere in a table: what a decoding step needs. Nothing is
/// packed or copied; each key and each value is read once where it lies.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/attention/problem.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/soft_cap.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Which rows of a table a query sees, in their order: those numbered `entries`, or, where that is nullptr, `length`
/// rows from `begin`.
struct KeyRows {
  const std::int32_t* entries = nullptr;
  Index begin = 0, length = 0;

  /// The row of the table that the query sees as its key j, 0 <= j < length. It is not checked.
  [[nodiscard]] Index operator[](Index j) const { return entries != nullptr ? entries[j] : begin + j; }
};

/// Attention of single new tokens to the keys and values of a cache.
template <class T>
struct CachedAttentionProblem {
  TensorView<const T> query;       ///< [N, H d_k]
  TensorView<const T> key, value;  ///< [.., K d_k], [.., K d_v]: query head h reads their head h / (H / K)
  std::span<const KeyRows> rows;   ///< [N]: query i sees rows[i] and stands at the last of them
  Index heads = 1;                 ///< H
  T scale = 1;                     ///< of the products of queries and keys
  TableBias<T> table_bias =
      {};          ///< added to the scaled scores; positions and keys count from the first row that a query sees
  T soft_cap = 0;  ///< if > 0: scaled scores s become soft_cap tanh(s / soft_cap)
};

/// Queries that one part handles; and how many products of a query and its keys must be there before the heads of few
/// queries are spread over the pool, too.
inline constexpr Index kCachedQueries = 4, kSpreadHeads = 1 << 17;

namespace detail {

/// probabilities[j] = softmax over the keys j of query i of its capped scores, for one head. The row has room for whole
/// vectors. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void key_probabilities(Isa isa, const CachedAttentionProblem<T>& p, Index i, Index head,
                                                     T* probabilities) {
  const KeyRows& rows = p.rows[static_cast<std::size_t>(i)];
  const Index d_k = p.query.cols() / p.heads, shared = p.query.cols() / p.key.cols();
  const T* q = p.query.row(i) + head * d_k;
  const Index first = head / shared * d_k;
  for (Index j = 0; j < rows.length; ++j) probabilities[j] = p.scale * dot(isa, q, p.key.row(rows[j]) + first, d_k);
  if (p.table_bias.present()) {
    const auto part = p.table_bias.part(rows.length - 1, 0, rows.length);
    const T* bias = p.table_bias.values + head * p.table_bias.head_size + part.place;
    for (Index j = 0; j < part.count; ++j) probabilities[part.first + j] += bias[j];
  }
  if (p.soft_cap > 0) soft_cap_row(isa, probabilities, rows.length, p.soft_cap);
  const Index padded = (rows.length + 15) / 16 * 16;
  std::fill(probabilities + rows.length, probabilities + padded, -std::numeric_limits<T>::infinity());
  const T sum = exponentials(isa, probabilities, padded).second;
  scale_row(isa, probabilities, padded, T(1) / sum);
}

}  // namespace detail

/// output_i = softmax(cap(scale q_i K_i^T + bias)) V_i, head by head   // [N, H d_v]
/// `weights` (or nullptr) is [N][heads][weights_stride] and receives the probabilities. A query that sees nothing gives
/// zeros.
template <class T>
void cached_attention(const CachedAttentionProblem<T>& p, TensorView<T> output, T* weights = nullptr,
                      Index weights_stride = 0) {
  const Index heads = p.heads, queries = p.query.rows(), d_v = output.cols() / heads;
  const Index shared = p.query.cols() / p.key.cols();
  Index longest = 0;
  for (const KeyRows& r : p.rows) longest = std::max(longest, r.length);
  const Index blocks = (queries + kCachedQueries - 1) / kCachedQueries;
  const bool spreads = blocks < threads() && longest * p.query.cols() >= kSpreadHeads;
  const Index splits = !spreads ? 1 : shared < heads ? heads / shared : heads, some_heads = heads / splits;
  parallel_parts(blocks * splits, [&](Index part) {
    const Index begin = part / splits * kCachedQueries, end = std::min(begin + kCachedQueries, queries);
    const Index first_head = part % splits * some_heads;
    Tensor<T> work(Shape{longest + 16});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      T* probabilities = work.data();
      for (Index i = begin; i < end; ++i) {
        const KeyRows& seen = p.rows[static_cast<std::size_t>(i)];
        for (Index head = first_head; head < first_head + some_heads; ++head) {
          T* out = output.row(i) + head * d_v;
          if (seen.length == 0) {
            std::fill_n(out, d_v, T(0));
            continue;
          }
          detail::key_probabilities(isa, p, i, head, probabilities);
          const Index first_value = head / shared * d_v;
          simd::for_lanes<T>(
              isa, d_v, [&](auto lanes, Index c) __attribute__((always_inline)) {
                simd::Vector<T, lanes> sum{};
                for (Index j = 0; j < seen.length; ++j) {
                  simd::Vector<T, lanes> v;
                  simd::load(v, p.value.row(seen[j]) + first_value + c);
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
