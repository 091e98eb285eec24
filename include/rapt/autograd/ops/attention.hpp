/// \file
/// Scaled dot-product attention as an op.
#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "rapt/autograd/record.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/attention/backward.hpp"
#include "rapt/kernels/attention/forward.hpp"

namespace rapt { inline namespace RAPT_ABI {

using kernels::MaskAlignment;
using kernels::ScoreStage;

/// How queries attend to keys. Masks are views: the caller keeps them alive during the call. They are constants; no
/// gradient flows into them.
template <class T>
struct AttentionOptions {
  Index heads = 1;  ///< head h reads columns h d_k .. (h + 1) d_k
  Index key_value_heads =
      0;  ///< of key and value: query head h reads number h / (heads / key_value_heads); 0: as many as heads
  /// A query sees no key behind its own position. Unset: what is usual where the options are used, which is causal in a
  /// decoder's self-attention and not causal anywhere else.
  std::optional<bool> causal = {};
  Index window = 0;  ///< restricted attention: only keys at most this far from the query's position; 0: no limit
  /// Which position a query has among more or fewer keys; `causal` and `window` count from it. The default is a cache's
  /// rule, `first_key` is that of torch's `is_causal`.
  MaskAlignment alignment = MaskAlignment::last_key;
  float dropout = 0.f;    ///< of the probabilities, in Training
  double scale = 0.0;     ///< factor of the scores; 0: 1 / sqrt(d_k)
  double soft_cap = 0.0;  ///< scaled scores s become soft_cap tanh(s / soft_cap) before masks (Gemma 2); 0: no cap
  /// [Lq, Lk] for all, or [B or 1, H or 1, Lq, Lk]; true: may not attend (as torch.nn.Transformer's masks).
  TensorView<const bool> mask = {};
  /// Of the same shapes; added to the scaled scores.
  TensorView<const T> additive_mask = {};
  /// [Nk]: true: nobody attends to this key. For callers with padded data; sequences laid end to end need none.
  TensorView<const bool> key_padding_mask = {};
  /// If set, receives the probabilities, [B, H, longest query, longest key], zeros outside of each sequence.
  Tensor<T>* weights = nullptr;
  /// If set, receives the scores at `score_stage`, [B, H, longest query, longest key]. Outside of each sequence scaled
  /// and capped scores are zeros and masked ones -infinity. No gradient flows through them.
  Tensor<T>* scores = nullptr;
  ScoreStage score_stage = ScoreStage::masked;
};

/// Columns begin .. begin + count of a variable, so that q, k and v may be parts of one matrix.
template <class T>
struct ColumnSlice {
  const Variable<T>& source;
  Index begin, count;

  [[nodiscard]] TensorView<const T> view() const { return source.value().view().columns(begin, count); }
};
template <class T>
[[nodiscard]] ColumnSlice<T> columns(const Variable<T>& source, Index begin, Index count) {
  return {source, begin, count};
}

namespace detail {

inline std::vector<kernels::KeyRange> key_ranges(const RowSplits& splits) {
  std::vector<kernels::KeyRange> ranges;
  ranges.reserve(static_cast<std::size_t>(splits.sequences()));
  for (Index i = 0; i < splits.sequences(); ++i) ranges.push_back({splits.begin(i), splits.length(i)});
  return ranges;
}

/// Throws unless the soft cap is 0 (none) or a positive number that T can divide by.
template <class T>
void require_soft_cap(double soft_cap, std::string_view where) {
  require(soft_cap == 0 || (soft_cap >= static_cast<double>(std::numeric_limits<T>::min()) &&
                            soft_cap <= static_cast<double>(std::numeric_limits<T>::max())),
          where, "soft_cap must be 0 (no cap) or positive and finite: ", soft_cap);
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
  require_mask("mask", options.mask.data(), options.mask.shape());
  require_mask("additive_mask", options.additive_mask.data(), options.additive_mask.shape());
  require<ShapeError>(options.key_padding_mask.data() == nullptr || options.key_padding_mask.size() == key.rows(),
                      kWhere, "key_padding_mask has ", options.key_padding_mask.size(), " elements, key has shape ",
                      key.shape());
  require(options.window >= 0, kWhere, "window must not be negative: ", options.window);
  require(std::isfinite(options.scale), kWhere, "scale must be finite: ", options.scale);
  require_soft_cap<T>(options.soft_cap, kWhere);
}

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
          .soft_cap = static_cast<T>(options.soft_cap),
          .causal = options.causal.value_or(false),
          .window = options.window > 0 ? std::optional(options.window) : std::nullopt,
          .alignment = options.alignment,
          .mask = {options.mask},
          .additive_mask = {options.additive_mask},
          .key_padding = options.key_padding_mask.data()};
}

/// Whether the slices begin[i] .. begin[i] + count[i] of those inputs that are `in` make up all of its columns.
template <class T>
[[nodiscard]] bool slices_cover(const Node<T>& out, const Node<T>& in, const Index (&begin)[3],
                                const Index (&count)[3]) {
  Index columns = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    if (out.inputs[i].get() != &in) continue;
    columns += count[i];
    for (std::size_t j = 0; j < i; ++j) {
      const bool overlaps = begin[i] < begin[j] + count[j] && begin[j] < begin[i] + count[i];
      if (out.inputs[j].get() == &in && overlaps) return false;
    }
  }
  return columns == in.value.cols();
}

}  // namespace detail

/// softmax(cap(scale Q K^T) + masks) V, head by head and sequence by sequence (the paper's equation 1; without a soft
/// cap cap(s) = s)   // [Nq, H d_v] from query [Nq, H d_k], key [Nk, K d_k], value [Nk, K d_v]
/// K is `key_value_heads`; heads of values may have any width d_v. Query i of sequence s sees only keys of sequence s.
/// A query that may attend to nothing gives zeros. Gradients flow into the slices' sources.
template <class T>
[[nodiscard]] Variable<T> attention(const ColumnSlice<T>& query, const ColumnSlice<T>& key, const ColumnSlice<T>& value,
                                    const RowSplits& query_splits, const RowSplits& key_splits,
                                    const AttentionOptions<T>& options) {
  const std::vector<kernels::KeyRange> keys = detail::key_ranges(key_splits);
  detail::require_attention(query.view(), key.view(), value.view(), query_splits.offsets(), keys, options);
  auto problem = detail::attention_problem(query.view(), key.view(), value.view(), query_splits.offsets(),
                                           std::span<const kernels::KeyRange>(keys), options);
  problem.dropout = next_dropout(options.dropout);
  const Shape pairs{query_splits.sequences(), options.heads, query_splits.longest(), key_splits.longest()};
  if (options.weights != nullptr) *options.weights = Tensor<T>(pairs, T(0));
  if (options.scores != nullptr) {
    const bool masked = options.score_stage == ScoreStage::masked;
    *options.scores = Tensor<T>(pairs, masked ? -std::numeric_limits<T>::infinity() : T(0));
  }
  const bool recording = will_record<T>({query.source, key.source, value.source});
  Tensor<T> output(Shape{query.view().rows(), value.count / problem.heads_of_keys() * options.heads});
  Tensor<T> log_sum_exp(recording ? Shape{output.rows(), options.heads} : Shape{});
  kernels::attention<T>(problem, output, recording ? log_sum_exp.data() : nullptr,
                        {.weights = options.weights, .scores = options.scores, .stage = options.score_stage});

  // What backward reads must outlive this call: the splits, and copies of the masks.
  struct Saved {
    kernels::AttentionProblem<T> problem;
    Tensor<T> log_sum_exp, additive_mask;
    Tensor<bool> mask, key_padding;
    RowSplits query_splits;
    std::vector<kernels::KeyRange> keys;
    Index begin[3], count[3];
    bool covers_rows;
  };
  Saved saved{.problem = problem,
              .log_sum_exp = std::move(log_sum_exp),
              .additive_mask = {},
              .mask = {},
              .key_padding = {},
              .query_splits = {},
              .keys = {},
              .begin = {query.begin, key.begin, value.begin},
              .count = {query.count, key.count, value.count},
              .covers_rows = key_splits.rows() == key.view().rows()};
  if (recording) {
    saved.query_splits = query_splits;
    saved.keys = keys;
    if (options.mask.data() != nullptr) saved.mask = Tensor<bool>(options.mask);
    if (options.additive_mask.data() != nullptr) saved.additive_mask = Tensor<T>(options.additive_mask);
    if (options.key_padding_mask.data() != nullptr) saved.key_padding = Tensor<bool>(options.key_padding_mask);
  }
  return record("attention", std::move(output), {query.source, key.source, value.source},
                [saved = std::move(saved)](Node<T>& out) {
                  kernels::AttentionProblem<T> p = saved.problem;
                  p.query_offsets = saved.query_splits.offsets();
                  p.keys = saved.keys;
                  if (!saved.mask.empty()) p.mask = {saved.mask.view()};
                  if (!saved.additive_mask.empty()) p.additive_mask = {saved.additive_mask.view()};
                  if (!saved.key_padding.empty()) p.key_padding = saved.key_padding.data();
                  kernels::AttentionGradients<T> gradients;
                  kernels::AttentionGradient<T>* slices[] = {&gradients.query, &gradients.key, &gradients.value};
                  for (std::size_t i = 0; i < 3; ++i) {
                    Node<T>& in = out.input(i);
                    if (!in.requires_grad) continue;
                    if (in.grad.empty() && saved.covers_rows &&
                        detail::slices_cover(out, in, saved.begin, saved.count)) {  // the kernel writes all of it
                      in.grad = Tensor<T>(in.value.shape());
                      for (std::size_t j = i; j < 3; ++j) slices[j]->accumulate = out.inputs[j].get() != &in;
                    }
                    slices[i]->values = in.grad_sum().view().columns(saved.begin[i], saved.count[i]);
                  }
                  kernels::attention_backward<T>(p, saved.log_sum_exp.data(), out.value, out.grad, gradients);
                });
}

/// The same with whole variables.
template <class T>
[[nodiscard]] Variable<T> attention(const Variable<T>& query, const Variable<T>& key, const Variable<T>& value,
                                    const RowSplits& query_splits, const RowSplits& key_splits,
                                    const AttentionOptions<T>& options) {
  return attention(columns(query, 0, query.cols()), columns(key, 0, key.cols()), columns(value, 0, value.cols()),
                   query_splits, key_splits, options);
}

}}  // namespace rapt::RAPT_ABI
