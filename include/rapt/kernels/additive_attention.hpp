/// \file
/// Attention with additive scores (Bahdanau, Cho and Bengio 2015), forward and backward: the score of query i and key j
/// is v^T tanh(q_i + k_j), and each query attends to the softmax of its scores.
///
/// The tanh of every pair and column is computed again in backward instead of kept: it is most of the work, but would
/// be A times the memory of the probabilities. Masks and row splits are those of scaled dot-product attention.
#pragma once

#include <algorithm>
#include <vector>

#include "rapt/kernels/attention/tile.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/gemm.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// A problem with one head, of which query [Nq, A] and key [Nk, A] have A columns, and v [A]. `scale`, biases and the
/// soft cap are not read. The scores and probabilities of sequence s are a matrix [Lq, Lk] at offset pairs(s) of one
/// array.
template <class T>
class AdditiveAttention {
 public:
  AdditiveAttention(const AttentionProblem<T>& problem, const T* v) : problem_(problem), v_(v) {
    for (Index s = 0; s < sequences(); ++s) {
      pairs_.push_back(pairs_.back() + group(s).queries * group(s).keys.length);
    }
  }

  /// B, the number of sequences.
  [[nodiscard]] Index sequences() const { return std::ssize(problem_.keys); }
  /// The number of pairs of a query and a key in all sequences before s; with s = sequences(), of all.
  [[nodiscard]] Index pairs(Index s) const { return at(pairs_, s); }
  /// The queries and keys of sequence s, with its one head.
  [[nodiscard]] detail::AttentionGroup<T> group(Index s) const { return {problem_, s, 0, 0, 1}; }

  /// The matrix of sequence s in an array with one number for each pair   // [Lq, Lk]
  template <class Number>
  [[nodiscard]] TensorView<Number> matrix(Number* of_pairs, Index s) const {
    return {of_pairs + pairs(s), Shape{group(s).queries, group(s).keys.length}};
  }

  /// probabilities = softmax of the masked scores; zeros where a query attends to nothing   // [pairs]
  void probabilities(T* to) const {
    for_each_query(0, [&](const detail::AttentionGroup<T>& g, Index i, T*) {
      const detail::KeySpan seen = seen_by(g, i);
      T* const row = to + pairs(g.sequence) + i * g.keys.length;
      std::fill_n(row, seen.begin, T(0));
      std::fill(row + seen.end, row + g.keys.length, T(0));
      const Index count = seen.end - seen.begin;
      T* const scores = row + seen.begin;
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        const T* const query = problem_.query.row(g.first_query + i);
        for (Index j = 0; j < count; ++j) {
          scores[j] = score(isa, query, problem_.key.row(g.keys.begin + seen.begin + j));
        }
        g.apply_masks({.head = 0, .query = i, .rows = 1, .key = seen.begin, .keys = count}, 0, scores);
        const T sum = exponentials(isa, scores, count).second;
        if (sum != T(0)) scale_row(isa, scores, count, T(1) / sum);
      });
    });
  }

  /// weights = probabilities times their factors of dropout   // [pairs]; both may be the same memory
  void drop(const T* probabilities, T* weights) const {
    const Index most = dropout_row_size(detail::longest_keys(problem_.keys));
    for_each_query(most, [&](const detail::AttentionGroup<T>& g, Index i, T* factors) {
      const Index begin = pairs(g.sequence) + i * g.keys.length;
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        g.dropout_row(isa, {.head = 0, .query = i, .rows = 1, .key = 0, .keys = g.keys.length}, 0, factors);
      });
      for (Index j = 0; j < g.keys.length; ++j) weights[begin + j] = probabilities[begin + j] * factors[j];
    });
  }

  /// out = weights V, sequence by sequence   // [Nq, D]
  void weighted_values(const T* weights, TensorView<T> out) const {
    for (Index s = 0; s < sequences(); ++s) {
      const auto g = group(s);
      gemm(as_is(matrix(weights, s)), as_is(problem_.value.middle_rows(g.keys.begin, g.keys.length)),
           out.middle_rows(g.first_query, g.queries));
    }
  }
  /// d_value += weights^T d_out   // [Nk, D]
  void add_value_gradients(const T* weights, TensorView<const T> d_out, TensorView<T> d_value) const {
    for (Index s = 0; s < sequences(); ++s) {
      const auto g = group(s);
      gemm(transposed(matrix(weights, s)), as_is(d_out.middle_rows(g.first_query, g.queries)),
           d_value.middle_rows(g.keys.begin, g.keys.length), {.accumulate = true});
    }
  }
  /// d_weights = d_out V^T   // [pairs]
  void weight_gradients(TensorView<const T> d_out, T* d_weights) const {
    for (Index s = 0; s < sequences(); ++s) {
      const auto g = group(s);
      gemm(as_is(d_out.middle_rows(g.first_query, g.queries)),
           transposed(problem_.value.middle_rows(g.keys.begin, g.keys.length)), matrix(d_weights, s));
    }
  }
  /// The gradients of probabilities become those of the scores: ds_j = p_j (dp_j - sum_k p_k dp_k)   // [pairs]
  void softmax_backward(const T* probabilities, T* gradients) const {
    for_each_query(0, [&](const detail::AttentionGroup<T>& g, Index i, T*) {
      const Index count = g.keys.length;
      const T* const p = probabilities + pairs(g.sequence) + i * count;
      T* const d = gradients + pairs(g.sequence) + i * count;
      T sum = 0;
      simd::with_simd([&](auto isa) __attribute__((always_inline)) { sum = dot(isa, p, d, count); });
      for (Index j = 0; j < count; ++j) d[j] = p[j] == T(0) ? T(0) : p[j] * (d[j] - sum);
    });
  }

  /// With ds of the scores: dq_i += sum_j g_ij, dk_j += sum_i g_ij, dv += sum_ij ds_ij tanh(q_i + k_j), where
  /// g_ij = ds_ij v (1 - tanh(q_i + k_j)^2)   // d_query [Nq, A], d_key [Nk, A], d_v [A]; without data: not wanted
  /// d_query and d_key may be one matrix, in which a row may be a query of one sequence and a key of another.
  void add_score_gradients(const T* d_scores, TensorView<T> d_query, TensorView<T> d_key, T* d_v) const {
    const bool apart = d_query.data() == nullptr || d_query.data() != d_key.data() || sequences_have_rows_alone();
    Tensor<T> own(apart ? Shape{} : d_query.shape(), T(0));
    const TensorView<T> to_query = apart ? d_query : own.view();
    // A part of the work is some columns of one sequence, so that its sums have one order; of fewer columns where
    // there are few sequences to share out.
    const Index columns = problem_.query.cols(), width = sequences() < kFewSequences ? kFewColumns : kColumns;
    const Index chunks = (columns + width - 1) / width;
    Tensor<T> partial(Shape{sequences(), columns}, T(0));
    parallel_parts(sequences() * chunks, [&](Index part) {
      const Index s = part / chunks, first = part % chunks * width, count = std::min(width, columns - first);
      const auto g = group(s);
      T unwanted_query[kColumns] = {}, unwanted_key[kColumns] = {};
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index i = 0; i < g.queries; ++i) {
          const T* const query = problem_.query.row(g.first_query + i) + first;
          T* const dq = to_query.data() != nullptr ? to_query.row(g.first_query + i) + first : unwanted_query;
          const T* const ds = d_scores + pairs(s) + i * g.keys.length;
          for (Index j = 0; j < g.keys.length; ++j) {
            if (ds[j] == T(0)) continue;  // hidden by a mask
            const T* const key = problem_.key.row(g.keys.begin + j) + first;
            T* const dk = d_key.data() != nullptr ? d_key.row(g.keys.begin + j) + first : unwanted_key;
            add_pair(isa, count, query, key, v_ + first, ds[j], dq, dk, partial.row(s) + first);
          }
        }
      });
    });
    if (!apart) add_scaled<T>(d_query.data(), own.data(), T(1), own.size());
    if (d_v != nullptr) add_column_sums<T>(partial, d_v);
  }

 private:
  static constexpr Index kColumns = 64, kFewColumns = 16, kFewSequences = 16;

  /// The keys that causal and window masks leave to query i.
  [[nodiscard]] static detail::KeySpan seen_by(const detail::AttentionGroup<T>& g, Index i) {
    detail::KeySpan seen = g.visible(i, i);
    seen.begin = std::min(seen.begin, g.keys.length);
    seen.end = std::clamp(seen.end, seen.begin, g.keys.length);
    return seen;
  }

  /// Whether every sequence's queries are the rows that are its keys, too.
  [[nodiscard]] bool sequences_have_rows_alone() const {
    for (Index s = 0; s < sequences(); ++s) {
      const auto g = group(s);
      if (g.first_query != g.keys.begin || g.queries != g.keys.length) return false;
    }
    return true;
  }

  /// f(group, i, scratch) for every query i of every sequence, on all threads, with `scratch` numbers to write to.
  template <class F>
  void for_each_query(Index scratch, const F& f) const {
    const auto& offsets = problem_.query_offsets;
    const Index pair_cost = problem_.query.cols() * std::max<Index>(1, detail::longest_keys(problem_.keys));
    parallel_for(offsets.back(), std::max<Index>(1, 16384 / std::max<Index>(1, pair_cost)),
                 [&](Index begin, Index end) {
                   Tensor<T> numbers(Shape{scratch});
                   Index s = std::upper_bound(offsets.begin(), offsets.end(), begin) - offsets.begin() - 1;
                   for (Index row = begin; row < end; ++s) {
                     const auto g = group(s);
                     for (const Index last = std::min(end, at(offsets, s + 1)); row < last; ++row) {
                       f(g, row - g.first_query, numbers.data());
                     }
                   }
                 });
  }

  /// v^T tanh(query + key)
  template <class Isa>
  [[gnu::always_inline]] T score(Isa isa, const T* query, const T* key) const {
    constexpr int kWidth = simd::kLanes<Isa, T>;
    simd::Native<Isa, T> sums{};
    T rest = 0;
    simd::for_lanes<T>(
        isa, problem_.query.cols(), [&](auto lanes, Index a) __attribute__((always_inline)) {
          simd::Vector<T, lanes> x, y;
          simd::load(x, query + a);
          simd::load(y, key + a);
          x += y;
          simd::tanh_in_place<T>(x);
          simd::load(y, v_ + a);
          x *= y;
          if constexpr (lanes == kWidth) {
            sums += x;
          } else {
            rest += x[0];
          }
        });
    return rest + simd::sum_lanes<kWidth>(sums);
  }

  template <class Isa>
  [[gnu::always_inline]] static void add_pair(Isa isa, Index count, const T* query, const T* key, const T* v, T ds,
                                              T* d_query, T* d_key, T* d_v) {
    const auto add = [&](auto lanes, T* to, const auto& value) __attribute__((always_inline)) {
      simd::Vector<T, lanes> sum;
      simd::load(sum, to);
      sum += value;
      simd::store(to, sum);
    };
    simd::for_lanes<T>(
        isa, count, [&](auto lanes, Index a) __attribute__((always_inline)) {
          simd::Vector<T, lanes> t, y;
          simd::load(t, query + a);
          simd::load(y, key + a);
          t += y;
          simd::tanh_in_place<T>(t);
          simd::load(y, v + a);
          y *= ds * (T(1) - t * t);
          add(lanes, d_query + a, y);
          add(lanes, d_key + a, y);
          y = ds * t;
          add(lanes, d_v + a, y);
        });
  }

  const AttentionProblem<T>& problem_;
  const T* v_;
  std::vector<Index> pairs_{0};
};

}}}  // namespace rapt::RAPT_ABI::kernels
