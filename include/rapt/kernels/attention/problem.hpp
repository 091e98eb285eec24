/// \file
/// What attention is asked to compute: its inputs, heads, masks, and what is added to its scores.
#pragma once

#include <algorithm>
#include <optional>
#include <span>

#include "rapt/core/tensor.hpp"
#include "rapt/kernels/dropout.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The rows of the keys of one sequence: `length` rows from `begin`. Row splits give it for whole sequences; a cache
/// gives it for rows of a larger table.
struct KeyRange {
  Index begin = 0, length = 0;
};

/// The position that query i of Lq has among the Lk keys of its sequence. Causal and window masks and biases count from
/// it; where Lq = Lk both alignments are the same. A position may lie outside of the keys.
enum class MaskAlignment {
  /// Position i + Lk - Lq: the last query stands at the last key, as queries behind a cache do.
  last_key,
  /// Position i: query 0 stands at key 0, as `is_causal` means it in torch's scaled_dot_product_attention and in ONNX's
  /// Attention without a cache.
  first_key,
};

/// Scores on their way to the softmax, in the order in which they are computed. Gemma 2 and flex attention cap before
/// the mask, too, so that a hidden key stays hidden; ONNX's Attention of opset 23 adds the mask first.
enum class ScoreStage {
  scaled,  ///< scale q_i k_j plus the bias of the pair (i, j)
  capped,  ///< soft_cap tanh(scaled / soft_cap); without a cap the same as scaled
  masked,  ///< capped plus the additive mask, -infinity where a query may not attend: what the softmax is taken of
};

/// A mask of shape [Lq, Lk] (all sequences and heads), or [B, H, Lq, Lk] where B and H may also be 1; rows and columns
/// count from the start of each sequence, and a mask may be larger than a sequence.
template <class T>
struct MaskView {
  TensorView<const T> values;  ///< of one of these shapes; without data there is no mask

  /// False if there is no mask.
  [[nodiscard]] bool present() const { return values.data() != nullptr; }
  /// The row of query i; column j is key j.
  [[nodiscard]] const T* row(Index sequence, Index head, Index i) const {
    const Shape& s = values.shape();
    if (s.rank() == 2) return values.row(i);
    return values.row(((s[0] > 1 ? sequence : 0) * s[1] + (s[1] > 1 ? head : 0)) * s[2] + i);
  }
};

/// A bias that is added to the scaled scores, read from numbers that all sequences share. The bias of a query at
/// position p and key j, in head h, is values[h * head_size + origin + p * row_stride + j]. Two layouts are in use:
///   - of pairs, [H, L, L], one number for each pair of positions (BEiT): row_stride = L, origin = 0;
///   - of offsets, [H, offsets], one number for each offset j - p (T5): row_stride = -1, and origin is the column of
///     offset 0.
/// Pairs without a number, as offsets that a causal mask hides may be, have no bias. The op's TableBias, whose table
/// has rows by number, is gathered into it (bias.hpp).
template <class T>
struct TableBias {
  const T* values = nullptr;  ///< [H, head_size]; nullptr: no bias
  Index head_size = 0, origin = 0, row_stride = 0;

  /// A bias of pairs: values [H, length, length], by head, position of the query and key.
  [[nodiscard]] static TableBias of_pairs(const T* values, Index length) {
    return {.values = values, .head_size = length * length, .origin = 0, .row_stride = length};
  }
  /// `zero` is the column of offset 0: column c is the bias of the key at position p + c - zero.
  [[nodiscard]] static TableBias of_offsets(const T* values, Index offsets, Index zero) {
    return {.values = values, .head_size = offsets, .origin = zero, .row_stride = -1};
  }
  /// False if there is no bias.
  [[nodiscard]] bool present() const { return values != nullptr; }
  /// Of keys j .. j + count those that have numbers beside a query at `position`: keys j + first and the `count` - 1
  /// behind it, whose numbers stand from `place` on among those of a head.
  struct Part {
    Index first = 0, count = 0, place = 0;
  };
  /// The numbers that the keys j .. j + count of a query at `position` have in each head.
  [[nodiscard]] Part part(Index position, Index j, Index count) const {
    const Index place = origin + position * row_stride + j;
    const Index first = std::clamp<Index>(-place, 0, count), end = std::clamp(head_size - place, first, count);
    return {first, end - first, place + first};
  }
};

/// Transformer-XL's relative positions (Dai et al. 2019, section 3.3): the scaled score of a query at position p and
/// key j is scale ((q_i + u) k_j + (q_i + w) r_(p - j)). It is defined for keys up to the query's position, so that the
/// attention must be causal.
template <class T>
struct DistanceBias {
  TensorView<const T> distances;     ///< r [P, H d_k]: row d is of distance d, the last one of all beyond, too
  const T* content_bias = nullptr;   ///< u [H, d_k]
  const T* position_bias = nullptr;  ///< w [H, d_k]

  /// False if there is no such bias.
  [[nodiscard]] bool present() const { return distances.data() != nullptr; }
};

/// All that attention is computed from: queries, keys, values, and what each query may attend to.
template <class T>
struct AttentionProblem {
  TensorView<const T> query, key, value;  ///< [Nq, H d_k], [.., K d_k], [.., K d_v]; head h is columns h d .. (h + 1) d
  std::span<const Index> query_offsets;   ///< [B + 1] sequence s has the queries of rows offsets[s] .. offsets[s + 1]
  std::span<const KeyRange> keys;         ///< [B] the rows of each sequence's keys and values
  Index heads = 1;                        ///< H, of queries
  Index key_value_heads = 0;     ///< K, which divides H: query head h reads key head h / (H / K); 0: as many as heads
  T scale = 1;                   ///< of the products q k, 1 / sqrt(d_k) in the paper
  TableBias<T> table_bias = {};  ///< added to the scaled scores, as is the next; both may be absent
  DistanceBias<T> distance_bias = {};  ///< needs `causal`
  T soft_cap = 0;                      ///< if > 0: scaled scores s become soft_cap tanh(s / soft_cap), before masks
  bool causal = false;                 ///< a query sees no key behind its position
  std::optional<Index> window = {};    ///< if set: only keys at most this far from the query's position; 0: at it alone
  MaskAlignment alignment = MaskAlignment::last_key;  ///< where queries stand among the keys
  MaskView<bool> mask = {};                           ///< true: may not attend
  MaskView<T> additive_mask = {};                     ///< added to the scores
  const bool* key_padding = nullptr;                  ///< [rows of key], true: nobody attends
  Dropout dropout = {};                               ///< of the probabilities

  /// K, also where it is not given.
  [[nodiscard]] Index heads_of_keys() const { return key_value_heads > 0 ? key_value_heads : heads; }
};

/// What attention hands out beside its output, as the op's AttentionCapture asks for it: both [B, heads, longest query,
/// longest key] and nullptr if not wanted. They must hold zeros, and `scores` at stage `masked` -infinity, as hidden
/// keys and elements outside of a sequence are not written.
template <class T>
struct AttentionCapture {
  Tensor<T>* weights = nullptr;  ///< the probabilities before dropout
  Tensor<T>* scores = nullptr;   ///< the scores at `stage`
  ScoreStage stage = ScoreStage::masked;
};

/// A gradient that `attention_backward` adds to, or writes: then every row and column of the view, as long as sequences
/// cover all rows. Without data: not wanted.
template <class T>
struct AttentionGradient {
  TensorView<T> values = {};  ///< of the shape of what it is the gradient by
  bool accumulate = true;     ///< adds to what is there; false: writes

  [[nodiscard]] bool wanted() const { return values.data() != nullptr; }
};

/// The gradients that `attention_backward` computes. Those of biases, in the layouts of the biases, are added to;
/// nullptr or without data: not wanted.
template <class T>
struct AttentionGradients {
  AttentionGradient<T> query = {}, key = {}, value = {};  ///< those by queries, keys and values, of their shapes
  T* table_bias = nullptr;                                ///< [H, head_size]
  TensorView<T> distances = {};                           ///< [P, H d_k]
  T* content_bias = nullptr;                              ///< [H, d_k]
  T* position_bias = nullptr;                             ///< [H, d_k]
};

}}}  // namespace rapt::RAPT_ABI::kernels
