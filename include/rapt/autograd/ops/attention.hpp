/// \file
/// Scaled dot-product attention as an op.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "rapt/autograd/ops/attention_options.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/kernels/attention/backward.hpp"
#include "rapt/kernels/attention/forward.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Columns begin .. begin + count of a variable, so that q, k and v may be parts of one matrix.
template <class T>
struct ColumnSlice {
  /// The variable; it must outlive the slice.
  const Variable<T>& source;
  Index begin, count;

  /// The columns as a matrix, without a copy.
  [[nodiscard]] TensorView<const T> view() const { return source.value().view().columns(begin, count); }
};
/// Columns `begin` .. `begin + count` of `source`, without a copy.
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

/// True if the slices begin[i] .. begin[i] + count[i] of those inputs that are `in` cover all of its columns.
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

/// softmax(cap(scale Q K^T + bias) + masks) V, head by head and sequence by sequence (the paper's equation 1; without a
/// soft cap cap(s) = s)   // [Nq, H d_v] from query [Nq, H d_k], key [Nk, K d_k], value [Nk, K d_v]
/// K is `key_value_heads`; heads of values may have any width d_v. Query i of sequence s sees only keys of sequence s.
/// A query that may attend to nothing gives zeros. Gradients flow into the slices' sources and
/// into the variables of the bias.
template <class T>
[[nodiscard]] Variable<T> attention(const ColumnSlice<T>& query, const ColumnSlice<T>& key, const ColumnSlice<T>& value,
                                    const RowSplits& query_splits, const RowSplits& key_splits,
                                    const AttentionOptions<T>& options, const AttentionCapture<T>& capture = {}) {
  const std::vector<kernels::KeyRange> keys = detail::key_ranges(key_splits);
  detail::require_attention(query.view(), key.view(), value.view(), query_splits.offsets(), keys, options);
  auto problem = detail::attention_problem(query.view(), key.view(), value.view(), query_splits.offsets(),
                                           std::span<const kernels::KeyRange>(keys), options);
  problem.dropout = next_dropout(options.dropout);
  const Shape pairs{query_splits.sequences(), options.heads, query_splits.longest(), key_splits.longest()};
  if (capture.weights != nullptr) *capture.weights = Tensor<T>(pairs, T(0));
  if (capture.scores != nullptr) {
    const bool masked = capture.score_stage == ScoreStage::masked;
    *capture.scores = Tensor<T>(pairs, masked ? -std::numeric_limits<T>::infinity() : T(0));
  }
  const TableBias<T>& table = options.bias.table;
  const auto& [distances, content_bias, position_bias] = options.bias.distances;
  Tensor<T> gathered;
  if (table.table.defined()) {
    gathered = Tensor<T>(Shape{options.heads, static_cast<Index>(table.numbers.size())});
    kernels::gather_bias<T>(table.table.value(), table.numbers, gathered.data());
    problem.table_bias = detail::table_bias(table, gathered);
  }
  const detail::Inputs<T> inputs{query.source, key.source,   value.source, table.table,
                                 distances,    content_bias, position_bias};
  const bool recording = will_record<T>(inputs);
  Tensor<T> output(Shape{query.view().rows(), value.count / problem.heads_of_keys() * options.heads});
  Tensor<T> log_sum_exp(recording ? Shape{output.rows(), options.heads} : Shape{});
  kernels::attention<T>(problem, output, recording ? log_sum_exp.data() : nullptr,
                        {.weights = capture.weights, .scores = capture.scores, .stage = capture.score_stage});

  // What backward reads must outlive this call: the splits, and copies of the masks. A table's bias is gathered again.
  struct Saved {
    kernels::AttentionProblem<T> problem;
    Tensor<T> log_sum_exp, additive_mask;
    Tensor<bool> mask, key_padding;
    RowSplits query_splits;
    std::vector<kernels::KeyRange> keys;
    std::vector<std::int32_t> numbers;
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
              .numbers = {},
              .begin = {query.begin, key.begin, value.begin},
              .count = {query.count, key.count, value.count},
              .covers_rows = key_splits.rows() == key.view().rows()};
  if (recording) {
    saved.query_splits = query_splits;
    saved.keys = keys;
    saved.numbers.assign(table.numbers.begin(), table.numbers.end());
    if (options.mask.mask.data() != nullptr) saved.mask = Tensor<bool>(options.mask.mask);
    if (options.mask.additive_mask.data() != nullptr) saved.additive_mask = Tensor<T>(options.mask.additive_mask);
    if (options.mask.key_padding_mask.data() != nullptr)
      saved.key_padding = Tensor<bool>(options.mask.key_padding_mask);
  }
  return record("attention", std::move(output), inputs, [saved = std::move(saved)](Node<T>& out) {
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
    const auto wanted = [&](std::size_t i) { return out.inputs[i] != nullptr && out.inputs[i]->requires_grad; };
    Tensor<T> gathered_bias, d_bias;
    if (p.table_bias.present()) {
      gathered_bias = Tensor<T>(Shape{p.heads, p.table_bias.head_size});
      kernels::gather_bias<T>(out.input(3).value, saved.numbers, gathered_bias.data());
      p.table_bias.values = gathered_bias.data();
      if (wanted(3)) d_bias = Tensor<T>(gathered_bias.shape(), T(0)), gradients.table_bias = d_bias.data();
    }
    if (wanted(4)) gradients.distances = out.input(4).grad_sum();
    if (wanted(5)) gradients.content_bias = out.input(5).grad_sum().data();
    if (wanted(6)) gradients.position_bias = out.input(6).grad_sum().data();
    kernels::attention_backward<T>(p, saved.log_sum_exp.data(), out.value, out.grad, gradients);
    if (!d_bias.empty()) kernels::scatter_bias<T>(out.input(3).grad_sum(), saved.numbers, d_bias.data());
  });
}

/// The same with whole variables.
template <class T>
[[nodiscard]] Variable<T> attention(const Variable<T>& query, const Variable<T>& key, const Variable<T>& value,
                                    const RowSplits& query_splits, const RowSplits& key_splits,
                                    const AttentionOptions<T>& options, const AttentionCapture<T>& capture = {}) {
  return attention(columns(query, 0, query.cols()), columns(key, 0, key.cols()), columns(value, 0, value.cols()),
                   query_splits, key_splits, options, capture);
}

}}  // namespace rapt::RAPT_ABI
