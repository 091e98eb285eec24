/// \file
/// Attention with a learned addend for each pair of positions as an op.
#pragma once

#include <cmath>
#include <vector>

#include "rapt/autograd/ops/attention.hpp"
#include "rapt/kernels/attention/bias.hpp"

namespace rapt { inline namespace RAPT_ABI {

template <class T>
struct BiasedAttentionOptions {
  Index heads = 1;      ///< head h reads columns h d_k .. (h + 1) d_k
  float dropout = 0.f;  ///< of the probabilities, in Training
  double scale = 0.0;   ///< factor of the scores; 0: 1 / sqrt(d_k)
  /// If set, receives the probabilities, [B, H, L, L].
  Tensor<T>* weights = nullptr;
};

namespace detail {

/// L, after a check of everything that biased_attention reads.
template <class T>
[[nodiscard]] Index require_biased_attention(const ColumnSlice<T>& query, const ColumnSlice<T>& key,
                                             const ColumnSlice<T>& value, const Variable<T>& table,
                                             std::span<const TokenId> pairs, Index heads) {
  constexpr std::string_view kWhere = "biased_attention";
  const Shape q = query.view().shape(), k = key.view().shape(), v = value.view().shape();
  require(heads > 0 && q.cols() % heads == 0, kWhere, "columns must be a multiple of heads: columns = ", q.cols(),
          ", heads = ", heads);
  require<ShapeError>(q == k && k == v, kWhere, "query ", q, ", key ", k, ", value ", v);
  require<ShapeError>(table.shape().rank() == 2 && table.cols() == heads, kWhere, "the table of addends is ",
                      table.shape(), ", heads ", heads);
  Index length = 0;
  while (length * length < static_cast<Index>(pairs.size())) ++length;
  require<ShapeError>(length > 0 && length * length == static_cast<Index>(pairs.size()), kWhere, pairs.size(),
                      " numbers of pairs are not those of a square");
  require<ShapeError>(q.rows() % length == 0, kWhere, "sequences of ", length, " positions, query ", q);
  require_ids(pairs, table.rows(), kWhere);
  return length;
}

}  // namespace detail

/// softmax of scale q_i k_j + table[pairs[i L + j], head] times values, head by head and sequence by sequence; the
/// gradient flows into the table, too.
///   query, key, value [B L, H d_k]: B sequences of L rows; table [R, H]; pairs [L * L]: the row of the table for
///   position i looking at position j.
template <class T>
[[nodiscard]] Variable<T> biased_attention(const ColumnSlice<T>& query, const ColumnSlice<T>& key,
                                           const ColumnSlice<T>& value, const Variable<T>& table,
                                           std::span<const TokenId> pairs,
                                           const BiasedAttentionOptions<T>& options = {}) {
  const Index length = detail::require_biased_attention(query, key, value, table, pairs, options.heads);
  const RowSplits splits = RowSplits::equal(query.view().rows() / length, length);
  const std::vector<kernels::KeyRange> keys = detail::key_ranges(splits);
  Tensor<T> bias(Shape{options.heads, length, length});
  kernels::gather_bias<T>(table.value(), pairs, bias.data());
  auto problem = detail::attention_problem<T>(query.view(), key.view(), value.view(), splits.offsets(), keys,
                                              {.heads = options.heads, .scale = options.scale});
  problem.table_bias = kernels::TableBias<T>::of_pairs(bias.data(), length);
  problem.dropout = next_dropout(options.dropout);
  const bool recording = will_record<T>({query.source, key.source, value.source, table});
  Tensor<T> output(Shape{query.view().rows(), query.count});
  Tensor<T> log_sum_exp(recording ? Shape{output.rows(), options.heads} : Shape{});
  if (options.weights != nullptr) {
    *options.weights = Tensor<T>(Shape{splits.sequences(), options.heads, length, length}, T(0));
  }
  kernels::attention<T>(problem, output, recording ? log_sum_exp.data() : nullptr, {.weights = options.weights});

  struct Saved {  // what backward reads must outlive this call; the bias is gathered again
    kernels::AttentionProblem<T> problem;
    Tensor<T> log_sum_exp;
    RowSplits splits;
    std::vector<kernels::KeyRange> keys;
    std::vector<TokenId> pairs;
    Index length, begin[3], count;
  };
  Saved saved{.problem = problem,
              .log_sum_exp = std::move(log_sum_exp),
              .splits = recording ? splits : RowSplits(),
              .keys = keys,
              .pairs = {},
              .length = length,
              .begin = {query.begin, key.begin, value.begin},
              .count = query.count};
  if (recording) saved.pairs.assign(pairs.begin(), pairs.end());
  return record("biased_attention", std::move(output), {query.source, key.source, value.source, table},
                [saved = std::move(saved)](Node<T>& out) {
                  kernels::AttentionProblem<T> p = saved.problem;
                  Node<T>& table_in = out.input(3);
                  Tensor<T> gathered(Shape{p.heads, saved.length, saved.length}), d_bias;
                  kernels::gather_bias<T>(table_in.value, saved.pairs, gathered.data());
                  p.query_offsets = saved.splits.offsets();
                  p.keys = saved.keys;
                  p.table_bias.values = gathered.data();
                  kernels::AttentionGradients<T> gradients;
                  kernels::AttentionGradient<T>* slices[] = {&gradients.query, &gradients.key, &gradients.value};
                  for (std::size_t i = 0; i < 3; ++i) {
                    Node<T>& in = out.input(i);
                    if (in.requires_grad) slices[i]->values = in.grad_sum().view().columns(saved.begin[i], saved.count);
                  }
                  if (table_in.requires_grad) {
                    d_bias = Tensor<T>(gathered.shape(), T(0));
                    gradients.table_bias = d_bias.data();
                  }
                  kernels::attention_backward<T>(p, saved.log_sum_exp.data(), out.value, out.grad, gradients);
                  if (table_in.requires_grad) {
                    kernels::scatter_bias<T>(table_in.grad_sum(), saved.pairs, d_bias.data());
                  }
                });
}

/// The same with whole variables.
template <class T>
[[nodiscard]] Variable<T> biased_attention(const Variable<T>& query, const Variable<T>& key, const Variable<T>& value,
                                           const Variable<T>& table, std::span<const TokenId> pairs,
                                           const BiasedAttentionOptions<T>& options = {}) {
  return biased_attention(columns(query, 0, query.cols()), columns(key, 0, key.cols()), columns(value, 0, value.cols()),
                          table, pairs, options);
}

}}  // namespace rapt::RAPT_ABI
