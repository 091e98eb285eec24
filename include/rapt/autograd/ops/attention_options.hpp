/// \file
/// The options, masks and biases of scores with which attention is called, and the checks of all of them.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/attention/tile.hpp"

namespace rapt { inline namespace RAPT_ABI {

using kernels::MaskAlignment;
using kernels::ScoreStage;

/// What queries may not attend to in one call. The masks are views: the caller keeps them alive during the call. They
/// are constants; no gradient flows into them.
template <class T>
struct AttentionMask {
  /// True: a query attends to no key behind its own position. Unset: true in a decoder's self-attention and with a
  /// DistanceBias, false elsewhere.
  std::optional<bool> causal = {};
  /// Which position a query has among more or fewer keys; `causal` and `window` count from it. The default is a cache's
  /// rule, `first_key` is that of torch's `is_causal`.
  MaskAlignment alignment = MaskAlignment::last_key;
  /// [Lq, Lk] for all, or [B or 1, H or 1, Lq, Lk]; true: may not attend (as torch.nn.Transformer's masks).
  TensorView<const bool> mask = {};
  /// A bias of the same shapes, added to the scaled and capped scores; -infinity: may not attend.
  TensorView<const T> additive_mask = {};
  /// [Nk]; true: no query attends to this key. For callers with padded data; sequences laid end to end need none.
  TensorView<const bool> key_padding_mask = {};
};

/// A learned bias of the scores: rows of a table that `numbers` tells, one column for each head. Unless `zero` is set,
/// numbers are of pairs: sequences have L keys, and the query at position i and key j have row numbers[i L + j] (BEiT).
/// Otherwise they are of offsets: the query at position i and key j have row numbers[j - i + zero] (T5). Positions are
/// those of MaskAlignment. The gradient flows into the table. A layer with RelativePositionBias brings one.
template <class T>
struct TableBias {
  Variable<T> table = {};                      ///< [R, H]; undefined: no such bias
  std::span<const std::int32_t> numbers = {};  ///< [L * L], or [offsets]
  std::optional<Index> zero = {};              ///< the place of offset 0 among `numbers`
};

/// Transformer-XL's scores by distance (Dai et al. 2019, section 3.3): the scaled score of the query at position i and
/// key j is scale ((q_i + u) k_j + (q_i + w) r_(i - j)). Attention must be causal. Gradients flow into all three. A
/// layer with RelativePositionEncoding brings one, whose r are its projected encodings.
template <class T>
struct DistanceBias {
  Variable<T> distances = {};     ///< r [P, H d_k]: row d is of distance d, the last one of all beyond; undefined: none
  Variable<T> content_bias = {};  ///< u [H, d_k]
  Variable<T> position_bias = {};  ///< w [H, d_k]
};

/// What is added to the scaled scores, before the soft cap and the masks.
template <class T>
struct AttentionBias {
  /// Biases from a table by the distance of query and key (T5, BEiT).
  TableBias<T> table = {};
  /// Biases from encoded distances (Transformer-XL).
  DistanceBias<T> distances = {};
};

/// How queries attend to keys, and the mask of the call.
template <class T>
struct AttentionOptions {
  Index heads = 1;            ///< H: head h reads columns h d_k .. (h + 1) d_k of the queries
  Index key_value_heads = 0;  ///< K: query head h reads head h / (H / K) of keys and values; 0: as many as heads
  /// A query attends only to keys at most so many positions away from its own (0: to the key at its own); unset: no
  /// limit.
  std::optional<Index> window = {};
  double scale = 0.0;     ///< factor of the scores; 0: 1 / sqrt(d_k)
  double soft_cap = 0.0;  ///< scaled scores s become soft_cap tanh(s / soft_cap) before masks (Gemma 2); 0: no cap
  float dropout = 0.f;    ///< rate of the dropout of the attention probabilities, in Training
  /// What is added to the scaled scores.
  AttentionBias<T> bias = {};
  AttentionMask<T> mask = {};
};

/// What a call of attention hands out beside its result. Pointers that are set receive it; no gradient flows through.
template <class T>
struct AttentionCapture {
  /// The attention probabilities, [B, H, longest query, longest key]; zeros outside of each sequence.
  Tensor<T>* weights = nullptr;
  /// The scores at `score_stage`, of the same shape. Outside of each sequence scaled and capped scores are zeros and
  /// masked ones are -infinity.
  Tensor<T>* scores = nullptr;
  /// Which scores `scores` receives.
  ScoreStage score_stage = ScoreStage::masked;
};

namespace detail {

/// Throws unless the soft cap is 0 (none) or a positive number that T can divide by.
template <class T>
void require_soft_cap(double soft_cap, std::string_view where) {
  require(soft_cap == 0 || (soft_cap >= static_cast<double>(std::numeric_limits<T>::min()) &&
                            soft_cap <= static_cast<double>(std::numeric_limits<T>::max())),
          where, "soft_cap must be 0 (no cap) or positive and finite: ", soft_cap);
}

/// The largest number whose square is not above n.
[[nodiscard]] inline Index square_root(Index n) {
  Index root = 0;
  while ((root + 1) * (root + 1) <= n) ++root;
  return root;
}

/// Throws unless the table has heads as columns, and numbers within its rows for all pairs that may attend.
template <class T>
void require_table_bias(std::span<const Index> query_offsets, std::span<const kernels::KeyRange> keys,
                        const AttentionOptions<T>& options) {
  constexpr std::string_view kWhere = "attention";
  const TableBias<T>& bias = options.bias.table;
  const Shape shape = bias.table.shape();
  require<ShapeError>(shape.rank() == 2 && shape.cols() == options.heads, kWhere, "the table of biases is ", shape,
                      ", heads ", options.heads);
  require_rows(bias.numbers, shape.rows(), kWhere);
  const auto numbers = static_cast<Index>(bias.numbers.size());
  if (!bias.zero) {
    const Index length = square_root(numbers);
    require<ShapeError>(length * length == numbers, kWhere, numbers, " numbers of pairs are not those of a square");
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const Index queries = query_offsets[i + 1] - query_offsets[i];
      require<ShapeError>((keys[i].length == length && queries <= length) || queries == 0, kWhere,
                          "numbers of pairs are for sequences of ", length, " positions, sequence ", i, " has ",
                          queries, " queries and ", keys[i].length, " keys");
    }
    return;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Index queries = query_offsets[i + 1] - query_offsets[i];
    if (queries == 0 || keys[i].length == 0) continue;
    const Index first = options.mask.alignment == MaskAlignment::last_key ? keys[i].length - queries : 0;
    Index behind = first + queries - 1, ahead = keys[i].length - 1 - first;  // the farthest keys from a query
    if (options.mask.causal.value_or(options.bias.distances.distances.defined())) ahead = std::min<Index>(ahead, 0);
    if (options.window) behind = std::min(behind, *options.window), ahead = std::min(ahead, *options.window);
    require<ShapeError>(behind <= *bias.zero && ahead < numbers - *bias.zero, kWhere, "numbers of offsets are for ",
                        -*bias.zero, " .. ", numbers - 1 - *bias.zero, ", sequence ", i, " has ", -behind, " .. ",
                        ahead);
  }
}

/// Throws unless encodings of distances and their biases have the heads' width, and queries stand at or behind key 0.
template <class T>
void require_distance_bias(Index columns, std::span<const Index> query_offsets, std::span<const kernels::KeyRange> keys,
                           const AttentionOptions<T>& options) {
  constexpr std::string_view kWhere = "attention";
  const auto& [distances, content_bias, position_bias] = options.bias.distances;
  require<ShapeError>(distances.shape().rank() == 2 && distances.cols() == columns && distances.rows() > 0, kWhere,
                      "query has ", columns, " columns, encodings of distances ", distances.shape());
  require<ShapeError>(content_bias.defined() && content_bias.size() == columns && position_bias.defined() &&
                          position_bias.size() == columns,
                      kWhere, "query has ", columns, " columns, content bias ",
                      content_bias.defined() ? content_bias.shape() : Shape{}, ", position bias ",
                      position_bias.defined() ? position_bias.shape() : Shape{});
  require(options.mask.causal.value_or(true), kWhere, "a bias by distance needs causal attention");
  if (options.mask.alignment == MaskAlignment::first_key) return;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Index queries = query_offsets[i + 1] - query_offsets[i];
    require<ShapeError>(queries <= keys[i].length, kWhere, "sequence ", i, " has ", queries, " queries, but only ",
                        keys[i].length, " keys");
  }
}

/// Throws unless everything that attention reads has the shape it must have.
template <class T>
void require_attention(const TensorView<const T>& query, const TensorView<const T>& key,
                       const TensorView<const T>& value, std::span<const Index> query_offsets,
                       std::span<const kernels::KeyRange> keys, const AttentionOptions<T>& options) {
  constexpr std::string_view kWhere = "attention";
  require(options.heads > 0 && query.cols() % options.heads == 0, kWhere,
          "d_model must be a multiple of heads: d_model = ", query.cols(), ", heads = ", options.heads);
  const Index key_value_heads = options.key_value_heads > 0 ? options.key_value_heads : options.heads;
  require(options.key_value_heads >= 0 && options.heads % key_value_heads == 0, kWhere,
          "heads must be a multiple of key_value_heads: heads = ", options.heads,
          ", key_value_heads = ", options.key_value_heads);
  const bool heads_fit = query.cols() / options.heads * key_value_heads == key.cols() && value.cols() > 0 &&
                         value.cols() % key_value_heads == 0 && value.rows() == key.rows();
  require<ShapeError>(heads_fit, kWhere, "query ", query.shape(), ", key ", key.shape(), ", value ", value.shape(),
                      " in ", options.heads, " heads, of which key and value have ", key_value_heads);
  require<ShapeError>(query_offsets.back() == query.rows(), kWhere, "row splits end at ", query_offsets.back(),
                      ", query has shape ", query.shape());
  require<ShapeError>(keys.size() + 1 == query_offsets.size(), kWhere, query_offsets.size() - 1, " query sequences, ",
                      keys.size(), " key sequences");
  Index longest_query = 0;
  for (std::size_t i = 0; i + 1 < query_offsets.size(); ++i) {
    longest_query = std::max(longest_query, query_offsets[i + 1] - query_offsets[i]);
    require<ShapeError>(keys[i].begin >= 0 && keys[i].length >= 0 && keys[i].begin + keys[i].length <= key.rows(),
                        kWhere, "keys of sequence ", i, " are rows ", keys[i].begin, " .. ",
                        keys[i].begin + keys[i].length, ", key has shape ", key.shape());
  }
  const Index longest_key = kernels::detail::longest_keys(keys), sequences = static_cast<Index>(keys.size());
  const auto require_mask = [&](std::string_view name, const void* data, const Shape& s) {
    if (data == nullptr) return;
    const Index r = s.rank();
    const bool fits =
        (r == 2 || (r == 4 && (s[0] == 1 || s[0] == sequences) && (s[1] == 1 || s[1] == options.heads))) &&
        s[r - 2] >= longest_query && s[r - 1] >= longest_key;
    require<ShapeError>(fits, kWhere, name, " must be [Lq, Lk] or [B or 1, H or 1, Lq, Lk] with B = ", sequences,
                        ", H = ", options.heads, ", Lq >= ", longest_query, ", Lk >= ", longest_key, ": ", s);
  };
  require_mask("mask", options.mask.mask.data(), options.mask.mask.shape());
  require_mask("additive_mask", options.mask.additive_mask.data(), options.mask.additive_mask.shape());
  require<ShapeError>(
      options.mask.key_padding_mask.data() == nullptr || options.mask.key_padding_mask.size() == key.rows(), kWhere,
      "key_padding_mask has ", options.mask.key_padding_mask.size(), " elements, key has shape ", key.shape());
  require(options.window.value_or(0) >= 0, kWhere, "window must not be negative: ", options.window.value_or(0));
  require(std::isfinite(options.scale), kWhere, "scale must be finite: ", options.scale);
  require_soft_cap<T>(options.soft_cap, kWhere);
  if (options.bias.table.table.defined()) require_table_bias(query_offsets, keys, options);
  if (options.bias.distances.distances.defined()) {
    require_distance_bias(query.cols(), query_offsets, keys, options);
  }
}

template <class T>
[[nodiscard]] kernels::DistanceBias<T> distance_bias(const DistanceBias<T>& bias) {
  if (!bias.distances.defined()) return {};
  return {.distances = bias.distances.value(),
          .content_bias = bias.content_bias.value().data(),
          .position_bias = bias.position_bias.value().data()};
}

/// The kernel's form of a table bias, given its gathered numbers [H, numbers].
template <class T>
[[nodiscard]] kernels::TableBias<T> table_bias(const TableBias<T>& bias, const Tensor<T>& gathered) {
  if (bias.zero) return kernels::TableBias<T>::of_offsets(gathered.data(), gathered.cols(), *bias.zero);
  return kernels::TableBias<T>::of_pairs(gathered.data(), square_root(gathered.cols()));
}

/// The problem that the kernel solves. The caller sets its table bias, whose numbers must be gathered first.
template <class T>
[[nodiscard]] kernels::AttentionProblem<T> attention_problem(
    const TensorView<const T>& query, const TensorView<const T>& key, const TensorView<const T>& value,
    std::span<const Index> query_offsets, std::span<const kernels::KeyRange> keys, const AttentionOptions<T>& options) {
  const double d_k = static_cast<double>(query.cols() / options.heads);
  return {.query = query,
          .key = key,
          .value = value,
          .query_offsets = query_offsets,
          .keys = keys,
          .heads = options.heads,
          .key_value_heads = options.key_value_heads,
          .scale = static_cast<T>(options.scale != 0.0 ? options.scale : 1.0 / std::sqrt(d_k)),
          .distance_bias = distance_bias(options.bias.distances),
          .soft_cap = static_cast<T>(options.soft_cap),
          .causal = options.mask.causal.value_or(options.bias.distances.distances.defined()),
          .window = options.window,
          .alignment = options.mask.alignment,
          .mask = {options.mask.mask},
          .additive_mask = {options.mask.additive_mask},
          .key_padding = options.mask.key_padding_mask.data()};
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
