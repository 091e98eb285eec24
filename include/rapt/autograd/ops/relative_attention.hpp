/// \file
/// Attention with relative positions as an op.
#pragma once

#include <cmath>

#include "rapt/autograd/ops/attention.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct RelativeAttentionOptions {
  Index heads = 1;      ///< head h reads columns h d_k .. (h + 1) d_k
  Index span = 0;       ///< a query sees so many keys, its own the last of them; 0: all up to its own
  float dropout = 0.f;  ///< of the probabilities, in Training
  double scale = 0.0;   ///< factor of the scores; 0: 1 / sqrt(d_k)
};

namespace detail {

template <class T>
void require_relative_attention(const ColumnSlice<T>& query, const ColumnSlice<T>& key, const ColumnSlice<T>& value,
                                const Variable<T>& relative, const Variable<T>& content_bias,
                                const Variable<T>& position_bias, const RowSplits& query_splits,
                                const RowSplits& key_splits, const RelativeAttentionOptions& options) {
  constexpr std::string_view kWhere = "relative_attention";
  const Shape q = query.view().shape(), k = key.view().shape(), v = value.view().shape();
  require(options.heads > 0 && q.cols() % options.heads == 0, kWhere,
          "columns must be a multiple of heads: columns = ", q.cols(), ", heads = ", options.heads);
  require(options.span >= 0, kWhere, "span must not be negative: ", options.span);
  require<ShapeError>(q.cols() == k.cols() && k == v, kWhere, "query ", q, ", key ", k, ", value ", v);
  require<ShapeError>(relative.shape().rank() == 2 && relative.cols() == q.cols() && relative.rows() > 0, kWhere,
                      "query ", q, ", encodings of distances ", relative.shape());
  require<ShapeError>(content_bias.size() == q.cols() && position_bias.size() == q.cols(), kWhere, "query ", q,
                      ", content bias ", content_bias.shape(), ", position bias ", position_bias.shape());
  require<ShapeError>(query_splits.rows() == q.rows() && key_splits.rows() == k.rows(), kWhere, "row splits end at ",
                      query_splits.rows(), " and ", key_splits.rows(), ", query ", q, ", key ", k);
  require<ShapeError>(query_splits.sequences() == key_splits.sequences(), kWhere, query_splits.sequences(),
                      " query sequences, ", key_splits.sequences(), " key sequences");
  for (Index i = 0; i < query_splits.sequences(); ++i) {
    require<ShapeError>(query_splits.length(i) <= key_splits.length(i), kWhere, "sequence ", i, " has ",
                        query_splits.length(i), " queries, but only ", key_splits.length(i), " keys");
  }
}

}  // namespace detail

/// softmax of scale ((q_i + u) k_j + (q_i + w) r_(i - j)) times values, head by head and sequence by sequence (Dai et
/// al. 2019, section 3.3). Queries are the last of the keys' positions; each sees its own key and those before it.
///   query [Nq, H d_k], key and value [Nk, H d_k]; relative [P, H d_k]: row p is for distance p, and the last one for
///   all beyond; content_bias u and position_bias w [H, d_k].
template <class T>
[[nodiscard]] Variable<T> relative_attention(const ColumnSlice<T>& query, const ColumnSlice<T>& key,
                                             const ColumnSlice<T>& value, const Variable<T>& relative,
                                             const Variable<T>& content_bias, const Variable<T>& position_bias,
                                             const RowSplits& query_splits, const RowSplits& key_splits,
                                             const RelativeAttentionOptions& options) {
  detail::require_relative_attention(query, key, value, relative, content_bias, position_bias, query_splits, key_splits,
                                     options);
  const std::vector<kernels::KeyRange> keys = detail::key_ranges(key_splits);
  auto problem = detail::attention_problem<T>(query.view(), key.view(), value.view(), query_splits.offsets(), keys,
                                              {.heads = options.heads, .causal = true, .scale = options.scale});
  problem.distance_bias = {.distances = relative.value(),
                           .content_bias = content_bias.value().data(),
                           .position_bias = position_bias.value().data()};
  if (options.span > 0) problem.window = options.span - 1;  // the span counts the query's own position
  problem.dropout = next_dropout(options.dropout);
  const bool recording =
      will_record<T>({query.source, key.source, value.source, relative, content_bias, position_bias});
  Tensor<T> output(Shape{query.view().rows(), query.count});
  Tensor<T> log_sum_exp(recording ? Shape{output.rows(), options.heads} : Shape{});
  kernels::attention<T>(problem, output, recording ? log_sum_exp.data() : nullptr);

  struct Saved {  // what backward reads must outlive this call
    kernels::AttentionProblem<T> problem;
    Tensor<T> log_sum_exp;
    RowSplits query_splits;
    std::vector<kernels::KeyRange> keys;
    Index begin[3], count;
  };
  Saved saved{.problem = problem,
              .log_sum_exp = std::move(log_sum_exp),
              .query_splits = recording ? query_splits : RowSplits(),
              .keys = keys,
              .begin = {query.begin, key.begin, value.begin},
              .count = query.count};
  return record("relative_attention", std::move(output),
                {query.source, key.source, value.source, relative, content_bias, position_bias},
                [saved = std::move(saved)](Node<T>& out) {
                  kernels::AttentionProblem<T> p = saved.problem;
                  p.query_offsets = saved.query_splits.offsets();
                  p.keys = saved.keys;
                  kernels::AttentionGradients<T> gradients;
                  kernels::AttentionGradient<T>* slices[] = {&gradients.query, &gradients.key, &gradients.value};
                  for (std::size_t i = 0; i < 3; ++i) {
                    Node<T>& in = out.input(i);
                    if (in.requires_grad) slices[i]->values = in.grad_sum().view().columns(saved.begin[i], saved.count);
                  }
                  if (out.input(3).requires_grad) gradients.distances = out.input(3).grad_sum();
                  if (out.input(4).requires_grad) gradients.content_bias = out.input(4).grad_sum().data();
                  if (out.input(5).requires_grad) gradients.position_bias = out.input(5).grad_sum().data();
                  kernels::attention_backward<T>(p, saved.log_sum_exp.data(), out.value, out.grad, gradients);
                });
}

/// The same with whole variables.
template <class T>
[[nodiscard]] Variable<T> relative_attention(const Variable<T>& query, const Variable<T>& key, const Variable<T>& value,
                                             const Variable<T>& relative, const Variable<T>& content_bias,
                                             const Variable<T>& position_bias, const RowSplits& query_splits,
                                             const RowSplits& key_splits, const RelativeAttentionOptions& options) {
  return relative_attention(columns(query, 0, query.cols()), columns(key, 0, key.cols()),
                            columns(value, 0, value.cols()), relative, content_bias, position_bias, query_splits,
                            key_splits, options);
}

}}  // namespace rapt::RAPT_ABI
