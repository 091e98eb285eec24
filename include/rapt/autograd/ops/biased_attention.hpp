/// \file
/// Attention with a learned addend for each pair of positions as an op.
#pragma once

#include <cmath>
#include <vector>

#include "rapt/autograd/ops/attention.hpp"
#include "rapt/kernels/biased_attention.hpp"

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
  const double d_k = static_cast<double>(query.count / options.heads);
  Tensor<T> bias(Shape{options.heads, length, length});
  kernels::gather_pair_bias<T>(table.value(), pairs, bias.data());
  const kernels::BiasedAttentionProblem<T> problem{
      .query = query.view(),
      .key = key.view(),
      .value = value.view(),
      .bias = bias.data(),
      .length = length,
      .heads = options.heads,
      .scale = static_cast<T>(options.scale != 0.0 ? options.scale : 1.0 / std::sqrt(d_k)),
      .dropout = next_dropout(options.dropout)};
  const bool recording = will_record<T>({query.source, key.source, value.source, table});
  Tensor<T> output(Shape{query.view().rows(), query.count});
  Tensor<T> log_sum_exp(recording ? Shape{output.rows(), options.heads} : Shape{});
  if (options.weights != nullptr)
    *options.weights = Tensor<T>(Shape{problem.sequences(), options.heads, length, length});
  kernels::biased_attention<T>(problem, output, recording ? log_sum_exp.data() : nullptr,
                               options.weights != nullptr ? options.weights->data() : nullptr);

  struct Saved {  // what backward reads must outlive this call; the bias is gathered again
    kernels::BiasedAttentionProblem<T> problem;
    Tensor<T> log_sum_exp;
    std::vector<TokenId> pairs;
    Index begin[3], count;
  };
  Saved saved{.problem = problem,
              .log_sum_exp = std::move(log_sum_exp),
              .pairs = {},
              .begin = {query.begin, key.begin, value.begin},
              .count = query.count};
  if (recording) saved.pairs.assign(pairs.begin(), pairs.end());
  return record("biased_attention", std::move(output), {query.source, key.source, value.source, table},
                [saved = std::move(saved)](Node<T>& out) {
                  kernels::BiasedAttentionProblem<T> p = saved.problem;
                  Node<T>& table_in = out.input(3);
                  Tensor<T> addends(Shape{p.heads, p.length, p.length});
                  kernels::gather_pair_bias<T>(table_in.value, saved.pairs, addends.data());
                  p.bias = addends.data();
                  kernels::BiasedAttentionGradients<T> gradients;
                  TensorView<T>* slices[] = {&gradients.query, &gradients.key, &gradients.value};
                  for (std::size_t i = 0; i < 3; ++i) {
                    Node<T>& in = out.input(i);
                    if (in.requires_grad) *slices[i] = in.grad_sum().view().columns(saved.begin[i], saved.count);
                  }
                  Tensor<T> d_addends(table_in.requires_grad ? addends.shape() : Shape{}, T(0));
                  if (table_in.requires_grad) gradients.bias = d_addends.data();
                  kernels::biased_attention_backward<T>(p, saved.log_sum_exp.data(), out.value, out.grad, gradients);
                  if (table_in.requires_grad) {
                    kernels::scatter_pair_bias<T>(table_in.grad_sum(), saved.pairs, d_addends.data());
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
