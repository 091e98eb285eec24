/// \file
/// Multi-head attention (the paper's 3.2.2).
#pragma once

#include "rapt/autograd/ops/attention.hpp"
#include "rapt/nn/cache_attention.hpp"
#include "rapt/nn/linear.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct MultiHeadAttentionOptions {
  Index d_model = 512;
  Index heads = 8;
  Index value_head_dim = 0;  ///< d_v, columns of values in each head; 0: as many as of keys, d_k = d_model / heads
  double scale = 0;          ///< factor of the scores; 0: 1 / sqrt(d_k)
  double soft_cap = 0;       ///< scaled scores s become soft_cap tanh(s / soft_cap) before masks; 0: no cap
  float dropout = 0.f;       ///< of the attention weights
  bool bias = true;          ///< of the four projections
};

/// MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W^O,  head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V).
///
/// Names and layout are those of torch.nn.MultiheadAttention: in_proj_weight [3 D, D] stacks W^Q, W^K and W^V, so that
/// self-attention projects all three in one product. With values of another width W^V has H d_v rows, in_proj_weight is
/// [2 D + H d_v, D] and W^O, out_proj.weight, is [D, H d_v].
///
/// `masks` of a call say who attends to whom and what is handed out; its heads, scale, soft cap and dropout are the
/// layer's own.
template <class T = float>
class MultiHeadAttention {
 public:
  /// Throws ValueError unless d_model is a positive multiple of heads and the other options are in their ranges.
  MultiHeadAttention(const MultiHeadAttentionOptions& options, Rng& rng)
      : options_(completed(options)), out_proj_(value_columns(), options_.d_model, rng, {.bias = options.bias}) {
    const Index d = options_.d_model, rows = 2 * d + value_columns();
    in_proj_weight_ = Parameter<T>(init::xavier_uniform<T>(Shape{rows, d}, rng));
    if (options_.bias) in_proj_bias_ = Parameter<T>(init::constant<T>(Shape{rows}, T(0)));
  }

  /// Self-attention   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits,
                                       AttentionOptions<T> masks = {}) const {
    const Index d = options_.d_model, v = value_columns();
    const Variable<T> qkv = project(x, 0, 2 * d + v);
    return out_proj_(
        attention(columns(qkv, 0, d), columns(qkv, d, d), columns(qkv, 2 * d, v), splits, splits, completed(masks)));
  }

  /// Attention to a memory: keys and values are both the encoder's output   // [N, D] from x [N, D], memory [M, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, const Variable<T>& memory,
                                       const RowSplits& memory_splits, AttentionOptions<T> masks = {}) const {
    const Index d = options_.d_model;
    const Variable<T> q = project(x, 0, d);
    const Variable<T> kv = keys_values(memory);
    return out_proj_(attention(columns(q, 0, d), columns(kv, 0, d), columns(kv, d, value_columns()), splits,
                               memory_splits, completed(masks)));
  }

  /// The general form: query, key and value of their own   // [N, D] from [N, D], [M, D], [M, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& query, const RowSplits& query_splits, const Variable<T>& key,
                                       const Variable<T>& value, const RowSplits& key_splits,
                                       AttentionOptions<T> masks = {}) const {
    const Index d = options_.d_model;
    return out_proj_(attention(project(query, 0, d), project(key, d, d), project(value, 2 * d, value_columns()),
                               query_splits, key_splits, completed(masks)));
  }

  /// [keys | values] of a memory, to be computed once and attended to at every decoding step   // [M, D + H d_v]
  [[nodiscard]] Variable<T> keys_values(const Variable<T>& memory) const {
    return project(memory, options_.d_model, options_.d_model + value_columns());
  }

  /// One decoding step of causal self-attention, of one token a row or of whole prompts: appends x's keys and values to
  /// the cache, and each token attends to what its row holds up to itself, with `window` > 0 to no more than that many
  /// before it. Not recorded.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache,
                                 Index window = 0) const {
    const Index d = options_.d_model, v = value_columns();
    const Variable<T> qkv = project(x, 0, 2 * d + v);
    cache.append(qkv.value().view().columns(d, d + v), splits);
    const CacheAttentionOptions masks{
        .heads = options_.heads, .scale = options_.scale, .soft_cap = options_.soft_cap, .window = window};
    return out_proj_(Variable<T>(attend_to_cache<T>(qkv.value().view().columns(0, d), splits, cache, masks)));
  }

  /// One decoding step of attention to a memory's `keys_values`, of which sequence i sees `ranges[i]`. `weights`, if
  /// set, receives the probabilities, [N, H, longest range]. Not recorded.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, const Tensor<T>& keys_values,
                                 std::span<const kernels::KeyRange> ranges, Tensor<T>* weights = nullptr) const {
    const Index d = options_.d_model, v = value_columns();
    const Variable<T> q = project(x, 0, d);
    require<ShapeError>(static_cast<Index>(ranges.size()) == splits.sequences() && keys_values.cols() == d + v,
                        "multi_head_attention", splits.sequences(), " sequences, ", ranges.size(),
                        " ranges of keys and values of shape ", keys_values.shape(), ", wanted are ", d + v,
                        " columns");
    std::vector<kernels::KeyRows> rows;
    rows.reserve(static_cast<std::size_t>(splits.rows()));
    Index longest = 0;
    for (Index r = 0; r < splits.sequences(); ++r) {
      const kernels::KeyRange& range = ranges[static_cast<std::size_t>(r)];
      require<ShapeError>(range.begin >= 0 && range.length >= 0 && range.begin + range.length <= keys_values.rows(),
                          "multi_head_attention", "the memory of sequence ", r, " is rows ", range.begin, " .. ",
                          range.begin + range.length, ", keys and values have shape ", keys_values.shape());
      longest = std::max(longest, range.length);
      rows.insert(rows.end(), static_cast<std::size_t>(splits.length(r)),
                  {.begin = range.begin, .length = range.length});
    }
    if (weights != nullptr) *weights = Tensor<T>(Shape{x.rows(), options_.heads, longest}, T(0));
    return attend(q.value(), keys_values.view().columns(0, d), keys_values.view().columns(d, v), rows,
                  weights != nullptr ? weights->data() : nullptr, longest);
  }

  /// Of the cache that `step` needs.
  [[nodiscard]] Index key_columns() const { return options_.d_model; }
  [[nodiscard]] Index value_columns() const { return options_.heads * options_.value_head_dim; }
  /// As they were given, with defaults of 0 replaced by what they stand for.
  [[nodiscard]] const MultiHeadAttentionOptions& options() const { return options_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("in_proj_weight", self.in_proj_weight_);
    visitor("in_proj_bias", self.in_proj_bias_);
    visitor("out_proj", self.out_proj_);
  }

 private:
  /// The options with their defaults put in.
  static MultiHeadAttentionOptions completed(MultiHeadAttentionOptions options) {
    constexpr std::string_view kWhere = "multi_head_attention";
    require(options.heads > 0 && options.d_model > 0 && options.d_model % options.heads == 0, kWhere,
            "d_model must be a multiple of heads: d_model = ", options.d_model, ", heads = ", options.heads);
    require(options.value_head_dim >= 0, kWhere,
            "value_head_dim must not be negative (0: as the keys'): ", options.value_head_dim);
    require(std::isfinite(options.scale), kWhere, "scale must be finite: ", options.scale);
    detail::require_soft_cap<T>(options.soft_cap, kWhere);
    require(options.dropout >= 0.f && options.dropout < 1.f, kWhere, "dropout must be in [0, 1): ", options.dropout);
    const Index d_k = options.d_model / options.heads;
    if (options.value_head_dim == 0) options.value_head_dim = d_k;
    if (options.scale == 0) options.scale = 1 / std::sqrt(static_cast<double>(d_k));
    return options;
  }

  /// Columns first .. first + count of [queries | keys | values]   // [N, count]
  [[nodiscard]] Variable<T> project(const Variable<T>& x, Index first, Index count) const {
    return linear<T>(x, in_proj_weight_, in_proj_bias_, Activation::none, {first, count});
  }

  [[nodiscard]] AttentionOptions<T> completed(AttentionOptions<T> masks) const {
    masks.heads = options_.heads;
    masks.key_value_heads = 0;
    masks.scale = options_.scale;
    masks.soft_cap = options_.soft_cap;
    masks.dropout = options_.dropout;
    return masks;
  }

  [[nodiscard]] Variable<T> attend(const TensorView<const T>& query, const TensorView<const T>& keys,
                                   const TensorView<const T>& values, std::span<const kernels::KeyRows> rows,
                                   T* weights, Index weights_stride) const {
    require<ShapeError>(static_cast<Index>(rows.size()) == query.rows(), "multi_head_attention", "row splits end at ",
                        rows.size(), ", the query has shape ", query.shape());
    Tensor<T> output(Shape{query.rows(), value_columns()});
    kernels::cached_attention<T>({.query = query,
                                  .key = keys,
                                  .value = values,
                                  .rows = rows,
                                  .heads = options_.heads,
                                  .scale = static_cast<T>(options_.scale),
                                  .soft_cap = static_cast<T>(options_.soft_cap)},
                                 output, weights, weights_stride);
    return out_proj_(Variable<T>(std::move(output)));
  }

  MultiHeadAttentionOptions options_;
  Parameter<T> in_proj_weight_, in_proj_bias_;
  Linear<T> out_proj_;
};
static_assert(Module<MultiHeadAttention<float>>);

}}  // namespace rapt::RAPT_ABI
