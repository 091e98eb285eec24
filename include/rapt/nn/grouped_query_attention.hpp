/// \file
/// Self-attention of Llama and its relatives: fewer heads of keys and values than of queries (Shazeer 2019; Ainslie et
/// al. 2023), with rotary positions.
#pragma once

#include "rapt/autograd/ops/attention.hpp"
#include "rapt/nn/cache_attention.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/nn/rotary.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct GroupedQueryAttentionOptions {
  Index d_model = 512;
  Index heads = 8;            ///< H, of queries
  Index key_value_heads = 8;  ///< K, which divides H: query head h reads keys and values h / (H / K)
  Index head_dim = 0;         ///< d_k; 0: d_model / heads
  Index value_head_dim = 0;   ///< d_v, columns of values in each head; 0: d_k
  double scale = 0;           ///< factor of the scores; 0: 1 / sqrt(d_k)
  double soft_cap = 0;        ///< scaled scores s become soft_cap tanh(s / soft_cap) before masks (Gemma 2); 0: no cap
  float dropout = 0.f;        ///< of the attention weights
  bool bias = false;          ///< of the query, key and value projections
  bool output_bias = false;
  Index window = 0;  ///< if > 0: a token sees itself and no more than this many before it
};

/// Causal self-attention: head_h = Attention(R(x W_h^Q), R(x W_g^K), x W_g^V) with g = h / (H / K) and R the rotation
/// by positions, then Concat(head_1, ..., head_H) W^O.
///
/// qkv_proj.weight [(H + K) d_k + K d_v, D] stacks W^Q, W^K and W^V, so that all are one product.
template <class T = float>
class GroupedQueryAttention {
 public:
  /// Without `rotary`, tokens have no positions. Throws ValueError for options that do not fit.
  GroupedQueryAttention(const GroupedQueryAttentionOptions& options, std::optional<Rotary<T>> rotary, Rng& rng)
      : options_(completed(options)),
        rotary_(std::move(rotary)),
        qkv_proj_(options_.d_model, query_columns() + key_columns() + value_columns(), rng, {.bias = options_.bias}),
        o_proj_(options_.heads * options_.value_head_dim, options_.d_model, rng, {.bias = options_.output_bias}) {}

  /// [N, D] from x [N, D]. `weights`, if set, receives the probabilities, [B, H, longest, longest].
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits,
                                       Tensor<T>* weights = nullptr) const {
    const Variable<T> qkv = project(x, splits, {});
    const Index q = query_columns(), k = key_columns(), v = value_columns();
    return o_proj_(attention(columns(qkv, 0, q), columns(qkv, q, k), columns(qkv, q + k, v), splits, splits,
                             {.heads = options_.heads,
                              .key_value_heads = options_.key_value_heads,
                              .causal = true,
                              .window = options_.window,
                              .dropout = options_.dropout,
                              .scale = options_.scale,
                              .soft_cap = options_.soft_cap,
                              .weights = weights}));
  }

  /// The same for the next tokens of each row only, against what the cache holds: keys as they were turned, and values.
  /// Not recorded.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache) const {
    const Variable<T> qkv = project(x, splits, cache.lengths());
    const Index q = query_columns();
    cache.append(qkv.value().view().columns(q, key_columns() + value_columns()), splits);
    const CacheAttentionOptions masks{
        .heads = options_.heads, .scale = options_.scale, .soft_cap = options_.soft_cap, .window = options_.window};
    return o_proj_(Variable<T>(attend_to_cache<T>(qkv.value().view().columns(0, q), splits, cache, masks)));
  }

  /// Of the cache that `step` needs.
  [[nodiscard]] Index key_columns() const { return options_.key_value_heads * options_.head_dim; }
  [[nodiscard]] Index value_columns() const { return options_.key_value_heads * options_.value_head_dim; }
  [[nodiscard]] const GroupedQueryAttentionOptions& options() const { return options_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("qkv_proj", self.qkv_proj_);
    visitor("o_proj", self.o_proj_);
  }

 private:
  static GroupedQueryAttentionOptions completed(GroupedQueryAttentionOptions options) {
    constexpr std::string_view kWhere = "grouped_query_attention";
    require(options.heads > 0 && options.key_value_heads > 0 && options.heads % options.key_value_heads == 0, kWhere,
            "heads must be a multiple of key_value_heads: heads = ", options.heads,
            ", key_value_heads = ", options.key_value_heads);
    require(options.head_dim >= 0 && (options.head_dim > 0 || options.d_model % options.heads == 0), kWhere,
            "without head_dim, d_model must be a multiple of heads: d_model = ", options.d_model,
            ", heads = ", options.heads, ", head_dim = ", options.head_dim);
    require(options.value_head_dim >= 0, kWhere,
            "value_head_dim must not be negative (0: as the keys'): ", options.value_head_dim);
    require(options.window >= 0, kWhere, "window must not be negative: ", options.window);
    require(std::isfinite(options.scale), kWhere, "scale must be finite: ", options.scale);
    detail::require_soft_cap<T>(options.soft_cap, kWhere);
    require(options.dropout >= 0.f && options.dropout < 1.f, kWhere, "dropout must be in [0, 1): ", options.dropout);
    if (options.head_dim == 0) options.head_dim = options.d_model / options.heads;
    if (options.value_head_dim == 0) options.value_head_dim = options.head_dim;
    if (options.scale == 0) options.scale = 1 / std::sqrt(static_cast<double>(options.head_dim));
    return options;
  }

  [[nodiscard]] Index query_columns() const { return options_.heads * options_.head_dim; }

  /// [queries | keys | values], the first two turned by their positions   // [N, (H + K) d_k + K d_v]
  [[nodiscard]] Variable<T> project(const Variable<T>& x, const RowSplits& splits,
                                    std::span<const Index> starts) const {
    Variable<T> qkv = qkv_proj_(x);
    if (!rotary_) return qkv;
    require<ShapeError>(splits.rows() == x.rows(), "grouped_query_attention", "row splits end at ", splits.rows(),
                        ", x has shape ", x.shape());
    return (*rotary_)(std::move(qkv), splits, options_.heads + options_.key_value_heads, starts);
  }

  GroupedQueryAttentionOptions options_;
  std::optional<Rotary<T>> rotary_;
  Linear<T> qkv_proj_, o_proj_;
};
static_assert(Module<GroupedQueryAttention<float>>);

}}  // namespace rapt::RAPT_ABI
