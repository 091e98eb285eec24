/// \file
/// What attention is asked to compute: its inputs, heads and masks.
#pragma once

#include <span>

#include "rapt/core/tensor.hpp"
#include "rapt/kernels/dropout.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// Where the keys of each sequence lie: `length` rows from `begin`. Row splits give it for whole sequences; a cache
/// gives it for rows of a larger table.
struct KeyRange {
  Index begin = 0, length = 0;
};

/// The position that query i of Lq has among the Lk keys of its sequence. Causal and window masks count from it; where
/// Lq = Lk both alignments are the same. A position may lie outside of the keys.
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
  scaled,  ///< scale q_i k_j
  capped,  ///< soft_cap tanh(scaled / soft_cap); without a cap the same as scaled
  masked,  ///< capped plus the additive mask, -infinity where a query may not attend: what the softmax is taken of
};

/// A mask of shape [Lq, Lk] (all sequences and heads), or [B, H, Lq, Lk] where B and H may also be 1; rows and columns
/// count from the start of each sequence, and a mask may be larger than a sequence.
template <class T>
struct MaskView {
  TensorView<const T> values;

  [[nodiscard]] bool present() const { return values.data() != nullptr; }
  /// The row of query i; column j is key j.
  [[nodiscard]] const T* row(Index sequence, Index head, Index i) const {
    const Shape& s = values.shape();
    if (s.rank() == 2) return values.row(i);
    return values.row(((s[0] > 1 ? sequence : 0) * s[1] + (s[1] > 1 ? head : 0)) * s[2] + i);
  }
};

template <class T>
struct AttentionProblem {
  TensorView<const T> query, key, value;  // [Nq, H d_k], [.., K d_k], [.., K d_v]; head h is columns h d .. (h + 1) d
  std::span<const Index> query_offsets;   // [B + 1]
  std::span<const KeyRange> keys;         // [B]
  Index heads = 1;                        // H
  Index key_value_heads = 0;  // K, which divides H: query head h reads key head h / (H / K); 0: as many as heads
  T scale = 1;
  T soft_cap = 0;       // if > 0: scaled scores s become soft_cap tanh(s / soft_cap), before masks
  bool causal = false;  // a query sees no key behind its position
  Index window = 0;     // if > 0: only keys at most this far from the query's position
  MaskAlignment alignment = MaskAlignment::last_key;
  MaskView<bool> mask;                // true: may not attend
  MaskView<T> additive_mask;          // added to the scores
  const bool* key_padding = nullptr;  // [rows of key], true: nobody attends
  Dropout dropout;                    // of the probabilities

  [[nodiscard]] Index heads_of_keys() const { return key_value_heads > 0 ? key_value_heads : heads; }
};

}}}  // namespace rapt::RAPT_ABI::kernels
