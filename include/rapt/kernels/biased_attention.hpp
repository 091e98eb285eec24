/// \file
/// Attention whose scores have a learned addend for each pair of positions, forward and backward:
///
///     score_ij = scale q_i k_j + bias_ij,   output_i = sum over j of softmax_j(score_ij) v_j
///
/// All sequences are of one length L, as the patches of images of one size are, and the bias [H, L, L] is the same
/// for all of them. Work is done one (sequence, head) at a time, in tiles of queries by all keys. Nothing of size L x L
/// is kept for each sequence: backward computes the probabilities again from the log-sum-exp of each row.
#pragma once

#include <cmath>
#include <limits>

#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/dropout.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

template <class T>
struct BiasedAttentionProblem {
  TensorView<const T> query, key, value;  // [B L, H d_k]
  const T* bias = nullptr;                // [H, L, L]
  Index length = 0;                       // L
  Index heads = 1;
  T scale = 1;
  Dropout dropout;  // of the probabilities

  [[nodiscard]] Index sequences() const { return length > 0 ? query.rows() / length : 0; }
};

/// Gradients to add to. Without data: not wanted.
template <class T>
struct BiasedAttentionGradients {
  TensorView<T> query, key, value;
  T* bias = nullptr;  // [H, L, L]
};

/// bias[h, p] = table[numbers[p], h]: the addend of pair p in head h   // [H, pairs] from [R, H]
template <class T>
void gather_pair_bias(TensorView<const T> table, std::span<const TokenId> numbers, T* bias) {
  const auto pairs = static_cast<Index>(numbers.size());
  parallel_parts(table.cols(), [&](Index h) {
    for (Index p = 0; p < pairs; ++p) bias[h * pairs + p] = table.row(numbers[static_cast<std::size_t>(p)])[h];
  });
}

/// dtable[numbers[p], h] += dbias[h, p]. Threads share heads, so that equal numbers add up in one order.
template <class T>
void scatter_pair_bias(TensorView<T> dtable, std::span<const TokenId> numbers, const T* dbias) {
  const auto pairs = static_cast<Index>(numbers.size());
  parallel_parts(dtable.cols(), [&](Index h) {
    for (Index p = 0; p < pairs; ++p) dtable.row(numbers[static_cast<std::size_t>(p)])[h] += dbias[h * pairs + p];
  });
}

namespace detail {

/// Queries of a tile.
inline constexpr Index kBiasedQueries = 32;

/// One (sequence, head) of a problem.
template <class T>
struct BiasedHead {
  const BiasedAttentionProblem<T>& p;
  Index sequence, head, d_k = p.query.cols() / p.heads, length = p.length, first_row = sequence * length;
  Index stride = round_up(length, 16) + 16;  // of rows of scores
  const T* bias = p.bias + head * length * length;

  [[nodiscard]] Operand<T> head_of(const TensorView<const T>& m, Index begin, Index rows) const {
    return Operand<T>{m.row(first_row + begin) + head * d_k, rows, d_k, m.stride(), 1};
  }
  [[nodiscard]] static Operand<T> turned(const Operand<T>& m) {
    return {m.data, m.cols, m.rows, m.col_stride, m.row_stride};
  }

  /// Scores of queries first .. first + rows by all keys; -infinity in what fills up a row to whole vectors.
  void tile_scores(Index first, Index rows, const T* packed_keys, T* scores) const {
    multiply_panels(head_of(p.query, first, rows), packed_keys,
                    BlockOutput<T>{.data = scores, .stride = stride, .columns = length});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index r = 0; r < rows; ++r) {
        T* row = scores + r * stride;
        const T* addend = bias + (first + r) * length;
        simd::for_lanes<T>(
            isa, length, [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> a, b;
              simd::load(a, row + j);
              simd::load(b, addend + j);
              a = p.scale * a + b;
              simd::store(row + j, a);
            });
        std::fill(row + length, row + round_up(length, 16), -std::numeric_limits<T>::infinity());
      }
    });
  }

  /// Factors of the dropout of query i's probabilities.
  template <class Isa>
  [[gnu::always_inline]] void dropout_row(Isa isa, Index i, T* factors) const {
    const Index row = (first_row + i) * p.heads + head;
    dropout_factors(isa, p.dropout, row * dropout_row_size(length), length, factors);
  }
};

}  // namespace detail

/// output = heads side by side, [B L, H d_k]; log_sum_exp of the scores, [B L, H] (nullptr: not wanted); `weights`
/// receives the probabilities before dropout, [B, H, L, L] (nullptr: not wanted).
template <class T>
void biased_attention(const BiasedAttentionProblem<T>& p, TensorView<T> output, T* log_sum_exp, T* weights = nullptr) {
  parallel_parts(p.sequences() * p.heads, [&](Index part) {
    const detail::BiasedHead<T> a{p, part / p.heads, part % p.heads};
    constexpr Index kRows = detail::kBiasedQueries;
    const Index d_k = a.d_k, key_size = packed_size(d_k, a.length), value_size = packed_size(a.length, d_k);
    Tensor<T> work(Shape{key_size + value_size + kRows * a.stride + dropout_row_size(a.length)});
    T* packed_keys = work.data();               // K^T
    T* packed_values = packed_keys + key_size;  // V
    T* scores = packed_values + value_size;
    T* factors = scores + kRows * a.stride;  // of the dropout
    pack_panels(a.turned(a.head_of(p.key, 0, a.length)), packed_keys);
    pack_panels(a.head_of(p.value, 0, a.length), packed_values);

    for (Index first = 0; first < a.length; first += kRows) {
      const Index rows = std::min(kRows, a.length - first);
      a.tile_scores(first, rows, packed_keys, scores);
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index r = 0; r < rows; ++r) {
          T* row = scores + r * a.stride;
          const auto [highest, sum] = exponentials(isa, row, detail::round_up(a.length, 16));
          scale_row(isa, row, a.length, T(1) / sum);
          const Index i = first + r;
          if (log_sum_exp != nullptr) log_sum_exp[(a.first_row + i) * p.heads + a.head] = highest + std::log(sum);
          if (weights != nullptr) std::copy_n(row, a.length, weights + (part * a.length + i) * a.length);
          if (!p.dropout.active()) continue;
          a.dropout_row(isa, i, factors);
          simd::for_lanes<T>(
              isa, a.length, [&](auto lanes, Index j) __attribute__((always_inline)) {
                simd::Vector<T, lanes> v, factor;
                simd::load(v, row + j);
                simd::load(factor, factors + j);
                v *= factor;
                simd::store(row + j, v);
              });
        }
      });
      multiply_panels(
          Operand<T>{scores, rows, a.length, a.stride, 1}, packed_values,
          BlockOutput<T>{
              .data = output.row(a.first_row + first) + a.head * d_k, .stride = output.stride(), .columns = d_k});
    }
  });
}

namespace detail {

/// Adds the gradients of one (sequence, head); that of the bias, [L, L], to `d_bias` (nullptr: not wanted).
template <class T>
void biased_head_backward(const BiasedHead<T>& a, const T* log_sum_exp, TensorView<const T> output,
                          TensorView<const T> d_output, const BiasedAttentionGradients<T>& gradients, T* d_bias) {
  const auto& p = a.p;
  constexpr Index kRows = kBiasedQueries;
  const Index d_k = a.d_k, wide_size = packed_size(d_k, a.length), tall_size = packed_size(a.length, d_k);
  const Index block_size = packed_size(kRows, d_k);
  Tensor<T> work(Shape{2 * wide_size + tall_size + block_size + 2 * kRows * a.stride + dropout_row_size(a.length)});
  T* packed_keys = work.data();                    // K^T
  T* packed_values = packed_keys + wide_size;      // V^T
  T* key_rows = packed_values + wide_size;         // K
  T* packed_block = key_rows + tall_size;          // Q or dO, of some queries
  T* probabilities = packed_block + block_size;    // P, then P F
  T* d_scores = probabilities + kRows * a.stride;  // dO V^T, then scale dS
  T* factors = d_scores + kRows * a.stride;        // of the dropout
  pack_panels(a.turned(a.head_of(p.key, 0, a.length)), packed_keys);
  pack_panels(a.turned(a.head_of(p.value, 0, a.length)), packed_values);
  pack_panels(a.head_of(p.key, 0, a.length), key_rows);
  const auto gradient_rows = [&](const TensorView<T>& gradient, Index first) {
    return BlockOutput<T>{.data = gradient.row(a.first_row + first) + a.head * d_k,
                          .stride = gradient.stride(),
                          .columns = d_k,
                          .accumulate = true};
  };

  for (Index first = 0; first < a.length; first += kRows) {
    const Index rows = std::min(kRows, a.length - first);
    a.tile_scores(first, rows, packed_keys, probabilities);
    multiply_panels(a.head_of(d_output, first, rows), packed_values,
                    BlockOutput<T>{.data = d_scores, .stride = a.stride, .columns = a.length});
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      for (Index r = 0; r < rows; ++r) {
        T* prob = probabilities + r * a.stride;
        T* d_score = d_scores + r * a.stride;
        const Index i = a.first_row + first + r;
        const T lse = log_sum_exp[i * p.heads + a.head];
        const T delta = dot(isa, output.row(i) + a.head * d_k, d_output.row(i) + a.head * d_k, d_k);
        T* to_bias = d_bias == nullptr ? nullptr : d_bias + (first + r) * a.length;
        if (p.dropout.active()) a.dropout_row(isa, first + r, factors);
        simd::for_lanes<T>(
            isa, a.length, [&](auto lanes, Index j) __attribute__((always_inline)) {
              simd::Vector<T, lanes> s, d, factor = T(1) - simd::Vector<T, lanes>{};
              simd::load(s, prob + j);
              simd::load(d, d_score + j);
              if (p.dropout.active()) simd::load(factor, factors + j);
              s -= lse;
              simd::exp_in_place<T>(s);
              d = s * (factor * d - delta);
              s *= factor;
              simd::store(prob + j, s);
              if (to_bias != nullptr) {
                simd::Vector<T, lanes> sum;
                simd::load(sum, to_bias + j);
                sum += d;
                simd::store(to_bias + j, sum);
              }
              d *= p.scale;
              simd::store(d_score + j, d);
            });
      }
    });
    const Operand<T> d_tile{d_scores, rows, a.length, a.stride, 1};
    if (gradients.value.data() != nullptr) {
      pack_panels(a.head_of(d_output, first, rows), packed_block);
      multiply_panels(Operand<T>{probabilities, a.length, rows, 1, a.stride}, packed_block,
                      gradient_rows(gradients.value, 0));
    }
    if (gradients.key.data() != nullptr) {
      pack_panels(a.head_of(p.query, first, rows), packed_block);
      multiply_panels(a.turned(d_tile), packed_block, gradient_rows(gradients.key, 0));
    }
    if (gradients.query.data() != nullptr) multiply_panels(d_tile, key_rows, gradient_rows(gradients.query, first));
  }
}

/// Sequences are dealt out to at most so many parts a head, each of which has a gradient of the bias of its own.
inline constexpr Index kBiasedGroups = 8;

}  // namespace detail

/// Adds to the gradients, given output and its gradient. With P the probabilities, F the dropout factors and delta_i =
/// sum over columns of d_output_i output_i:
///   dV = (P F)^T dO,   dS = P (F (dO V^T) - delta),   dQ = scale dS K,   dK = scale dS^T Q,
/// and the gradient of the bias is the sum of dS over the sequences, in an order that depends on their number alone.
template <class T>
void biased_attention_backward(const BiasedAttentionProblem<T>& p, const T* log_sum_exp, TensorView<const T> output,
                               TensorView<const T> d_output, const BiasedAttentionGradients<T>& gradients) {
  const Index sequences = p.sequences(), groups = std::min(sequences, detail::kBiasedGroups);
  const Index pairs = p.length * p.length;
  const bool wants_bias = gradients.bias != nullptr;
  Tensor<T> sums(wants_bias ? Shape{groups * p.heads, pairs} : Shape{}, T(0));
  parallel_parts(groups * p.heads, [&](Index part) {
    const Index group = part / p.heads, end = (group + 1) * sequences / groups;
    T* d_bias = wants_bias ? sums.row(part) : nullptr;
    for (Index sequence = group * sequences / groups; sequence < end; ++sequence) {
      const detail::BiasedHead<T> a{p, sequence, part % p.heads};
      detail::biased_head_backward<T>(a, log_sum_exp, output, d_output, gradients, d_bias);
    }
  });
  if (!wants_bias) return;
  parallel_for(p.heads * pairs, kElementGrain, [&](Index begin, Index end) {
    for (Index group = 0; group < groups; ++group) {
      const T* from = sums.data() + group * p.heads * pairs;
      for (Index i = begin; i < end; ++i) gradients.bias[i] += from[i];
    }
  });
}

}}}  // namespace rapt::RAPT_ABI::kernels
