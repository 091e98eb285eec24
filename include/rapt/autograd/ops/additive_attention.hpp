/// \file
/// Additive attention as an op.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/attention.hpp"
#include "rapt/kernels/additive_attention.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What queries attend to, as in AttentionOptions.
template <class T>
struct AdditiveAttentionOptions {
  std::optional<Index> window = {};  ///< only keys at most so many positions away; unset: no limit
  float dropout = 0.f;               ///< rate of the dropout of the attention probabilities, in Training
  AttentionMask<T> mask = {};        ///< masks of one head
};

namespace detail {

/// Backward gives each sequence's keys to a thread of its own.
inline void require_keys_apart(std::vector<kernels::KeyRange> keys) {
  std::erase_if(keys, [](const kernels::KeyRange& range) { return range.length == 0; });
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < keys.size(); ++i) {
    const Index end = keys[i - 1].begin + keys[i - 1].length;
    require(end <= keys[i].begin, "additive_attention",
            "sequences share keys, of which no gradients are computed: keys ", keys[i - 1].begin, " .. ", end,
            " and keys ", keys[i].begin, " .. ", keys[i].begin + keys[i].length);
  }
}

}  // namespace detail

/// softmax_j(v^T tanh(q_i + k_j)) V, sequence by sequence (Bahdanau, Cho and Bengio 2015, section 3.1 and appendix
/// A.1.2)   // [Nq, D] from query [Nq, A], key [Nk, A], value [Nk, D], v [A]
/// Query i of sequence s sees only keys of sequence s. A query that may attend to nothing gives zeros. The time is that
/// of Nq Lk A hyperbolic tangents, and of as many again in backward. If `weights` is not null it receives the attention
/// probabilities [B, 1, longest query, longest key], zeros outside of each sequence; no gradient flows through.
/// keys[s] says which rows are the keys of sequence s. Outside of training several sequences may have the same ones, as
/// the hypotheses of a search have.
template <class T>
[[nodiscard]] Variable<T> additive_attention(const Variable<T>& query, const Variable<T>& key, const Variable<T>& value,
                                             const Variable<T>& v, const RowSplits& query_splits,
                                             const std::vector<kernels::KeyRange>& keys,
                                             const AdditiveAttentionOptions<T>& options = {},
                                             Tensor<T>* weights = nullptr) {
  constexpr std::string_view kWhere = "additive_attention";
  require<ShapeError>(v.size() == query.cols() && key.cols() == query.cols() && value.rows() == key.rows(), kWhere,
                      "query [Nq, A] is ", query.shape(), ", key [Nk, A] ", key.shape(), ", value [Nk, D] ",
                      value.shape(), ", v [A] ", v.shape());
  const AttentionOptions<T> as_one_head{.window = options.window, .mask = options.mask};
  const TensorView<const T> query_view = query.value(), key_view = key.value(), value_view = value.value();
  detail::require_attention(query_view, key_view, value_view, query_splits.offsets(), keys, as_one_head);
  auto problem = detail::attention_problem(query_view, key_view, value_view, query_splits.offsets(),
                                           std::span<const kernels::KeyRange>(keys), as_one_head);
  problem.dropout = next_dropout(options.dropout);
  const kernels::AdditiveAttention<T> kernel(problem, v.value().data());
  Tensor<T> probabilities(Shape{kernel.pairs(kernel.sequences())}), output(Shape{query.rows(), value.cols()});
  kernel.probabilities(probabilities.data());
  if (weights != nullptr) {
    const Index longest_query = query_splits.longest(), longest_key = kernels::detail::longest_keys(keys);
    *weights = Tensor<T>(Shape{query_splits.sequences(), 1, longest_query, longest_key}, T(0));
    for (Index s = 0; s < kernel.sequences(); ++s) {
      const TensorView<T> rows = kernel.matrix(probabilities.data(), s);
      for (Index i = 0; i < rows.rows(); ++i)
        std::copy_n(rows.row(i), rows.cols(), weights->row(s * longest_query + i));
    }
  }
  if (problem.dropout.active()) {
    Tensor<T> dropped(probabilities.shape());
    kernel.drop(probabilities.data(), dropped.data());
    kernel.weighted_values(dropped.data(), output);
  } else {
    kernel.weighted_values(probabilities.data(), output);
  }

  struct Saved {
    kernels::AttentionProblem<T> problem;
    Tensor<T> probabilities;
    RowSplits query_splits;
    std::vector<kernels::KeyRange> keys;
  };
  Saved saved{problem, {}, {}, {}};
  if (will_record<T>({query, key, value, v})) {
    detail::require_keys_apart(keys);
    saved.probabilities = std::move(probabilities);
    saved.query_splits = query_splits;
    saved.keys = keys;
  }
  return overwritable(record("additive_attention", std::move(output), {query, key, value, v},
                             [saved = std::move(saved)](Node<T>& out) mutable {
                               saved.problem.query_offsets = saved.query_splits.offsets();
                               saved.problem.keys = saved.keys;
                               const kernels::AdditiveAttention<T> work(saved.problem, out.input(3).value.data());
                               const T* const p = saved.probabilities.data();
                               const bool drops = saved.problem.dropout.active();
                               Tensor<T> gradients(saved.probabilities.shape());
                               if (Node<T>& value_in = out.input(2); value_in.requires_grad) {
                                 if (drops) work.drop(p, gradients.data());
                                 work.add_value_gradients(drops ? gradients.data() : p, out.grad, value_in.grad_sum());
                               }
                               if (!out.input(0).requires_grad && !out.input(1).requires_grad &&
                                   !out.input(3).requires_grad)
                                 return;
                               work.weight_gradients(out.grad, gradients.data());
                               if (drops) work.drop(gradients.data(), gradients.data());
                               work.softmax_backward(p, gradients.data());
                               const auto wanted = [&](std::size_t i) {
                                 Node<T>& in = out.input(i);
                                 return in.requires_grad ? in.grad_sum().view() : TensorView<T>();
                               };
                               const TensorView<T> d_query = wanted(0), d_key = wanted(1);
                               work.add_score_gradients(gradients.data(), d_query, d_key, wanted(3).data());
                             }));
}

/// The same with keys that lie in the order of the sequences.
template <class T>
[[nodiscard]] Variable<T> additive_attention(const Variable<T>& query, const Variable<T>& key, const Variable<T>& value,
                                             const Variable<T>& v, const RowSplits& query_splits,
                                             const RowSplits& key_splits,
                                             const AdditiveAttentionOptions<T>& options = {},
                                             Tensor<T>* weights = nullptr) {
  return additive_attention(query, key, value, v, query_splits, detail::key_ranges(key_splits), options, weights);
}

}}  // namespace rapt::RAPT_ABI
