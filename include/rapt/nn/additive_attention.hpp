/// \file
/// Additive attention as a layer (Bahdanau, Cho and Bengio 2015).
#pragma once

#include "rapt/autograd/ops/additive_attention.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sizes of the layer.
struct AdditiveAttentionSizes {
  Index query = 0;    ///< columns of the queries, such as a decoder's states
  Index key = 0;      ///< columns of the keys, such as an encoder's outputs
  Index columns = 0;  ///< A, of both projections
};

/// softmax_j(v^T tanh(W_q q_i + W_k k_j + b)) over the keys of the own sequence, times the keys
///   // [Nq, key] from queries [Nq, query] and keys [Nk, key]
/// Names: query_proj.weight [A, query], key_proj.weight [A, key] and key_proj.bias [A], v [A]. Keys that many queries
/// see, as in decoding, are projected once. Calls are const: a layer serves many threads.
template <class T = float>
class AdditiveAttention {
 public:
  /// Xavier-uniform weights, zero bias.
  AdditiveAttention(const AdditiveAttentionSizes& sizes, Rng& rng)
      : query_proj_(sizes.query, sizes.columns, rng, {.bias = false}), key_proj_(sizes.key, sizes.columns, rng) {
    v_ = Parameter<T>(init::xavier_uniform<T>(Shape{1, sizes.columns}, rng));
    v_.mutable_value().reshape(Shape{sizes.columns});
  }

  /// W_k k + b   // [Nk, A] from [Nk, key]
  [[nodiscard]] Variable<T> project_keys(const Variable<T>& keys) const { return key_proj_(keys); }

  /// What queries attend to among keys whose projection is known   // [Nq, D] from values [Nk, D]
  /// `key_rows`: the keys of each sequence, as row splits or as one kernels::KeyRange for each.
  template <class KeyRows>
  [[nodiscard]] Variable<T> attend(const Variable<T>& queries, const Variable<T>& projected_keys,
                                   const Variable<T>& values, const RowSplits& query_splits, const KeyRows& key_rows,
                                   const AdditiveAttentionOptions<T>& options = {},
                                   Tensor<T>* weights = nullptr) const {
    return additive_attention<T>(query_proj_(queries), projected_keys, values, v_, query_splits, key_rows, options,
                                 weights);
  }
  /// What queries attend to among keys, which are the values, too   // [Nq, key]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& queries, const Variable<T>& keys,
                                       const RowSplits& query_splits, const RowSplits& key_splits,
                                       const AdditiveAttentionOptions<T>& options = {},
                                       Tensor<T>* weights = nullptr) const {
    return attend(queries, project_keys(keys), keys, query_splits, key_splits, options, weights);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("query_proj", self.query_proj_);
    visitor("key_proj", self.key_proj_);
    visitor("v", self.v_);
  }

 private:
  Linear<T> query_proj_, key_proj_;
  Parameter<T> v_;
};
static_assert(Module<AdditiveAttention<float>>);

}}  // namespace rapt::RAPT_ABI
