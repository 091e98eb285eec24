/// \file
/// Multi-head attention (the paper's 3.2.2).
#pragma once

#include "rapt/autograd/ops/attention.hpp"
#include "rapt/nn/cache_attention.hpp"
#include "rapt/nn/linear.hpp"

namespace rapt::inline RAPT_ABI {

struct MultiHeadAttentionOptions {
  Index d_model = 512;
  Index heads = 8;
  double scale = 0;     ///< factor of the scores; 0: 1 / sqrt(d_k), d_k = d_model / heads
  float dropout = 0.f;  ///< of the attention weights
  bool bias = true;     ///< of the four projections
};

/// MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W^O,  head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V).
///
/// Names and layout are those of torch.nn.MultiheadAttention: in_proj_weight [3 D, D] stacks W^Q, W^K and W^V, so that
/// self-attention projects all three in one product.
template <class T = float>
class MultiHeadAttention {
 public:
  /// Throws ValueError unless d_model is a positive multiple of heads.
  MultiHeadAttention(const MultiHeadAttentionOptions& options, Rng& rng)
      : options_(checked(options)), out_proj_(options.d_model, options.d_model, rng, {.bias = options.bias}) {
    const Index d = options.d_model;
    in_proj_weight_ = Parameter<T>(init::xavier_uniform<T>(Shape{3 * d, d}, rng));
    if (options.bias) in_proj_bias_ = Parameter<T>(init::constant<T>(Shape{3 * d}, T(0)));
  }

  /// Self-attention   // [N, D] from x [N, D]; `masks`: its heads, scale and dropout are this layer's
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits,
                                       AttentionOptions<T> masks = {}) const {
    const Variable<T> qkv = project(x, 0, 3);  // [N, 3 D]
    const Index d = options_.d_model;
    return out_proj_(
        attention(columns(qkv, 0, d), columns(qkv, d, d), columns(qkv, 2 * d, d), splits, splits, completed(masks)));
  }

  /// Attention to a memory: keys and values are both the encoder's output   // [N, D] from x [N, D], memory [M, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, const Variable<T>& memory,
                                       const RowSplits& memory_splits, AttentionOptions<T> masks = {}) const {
    const Variable<T> q = project(x, 0, 1);        // [N, D]
    const Variable<T> kv = project(memory, 1, 2);  // [M, 2 D]
    const Index d = options_.d_model;
    return out_proj_(
        attention(columns(q, 0, d), columns(kv, 0, d), columns(kv, d, d), splits, memory_splits, completed(masks)));
  }

  /// The general form: query, key and value of their own   // [N, D] from [N, D], [M, D], [M, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& query, const RowSplits& query_splits, const Variable<T>& key,
                                       const Variable<T>& value, const RowSplits& key_splits,
                                       AttentionOptions<T> masks = {}) const {
    return out_proj_(attention(project(query, 0, 1), project(key, 1, 1), project(value, 2, 1), query_splits, key_splits,
                               completed(masks)));
  }

  /// [keys | values] of a memory, to be computed once and attended to at every decoding step   // [M, 2 D]
  [[nodiscard]] Variable<T> keys_values(const Variable<T>& memory) const { return project(memory, 1, 2); }

  /// One decoding step of causal self-attention, of one token a row or of whole prompts: appends x's keys and values to
  /// the cache, and each token attends to what its row holds up to itself, with `window` > 0 to no more than that many
  /// before it. Not recorded.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache,
                                 Index window = 0) const {
    const Variable<T> qkv = project(x, 0, 3);
    const Index d = options_.d_model;
    cache.append(qkv.value().view().columns(d, 2 * d), splits);
    return out_proj_(Variable<T>(attend_to_cache<T>(qkv.value().view().columns(0, d), splits, cache,
                                                    {.heads = options_.heads, .scale = scale(), .window = window})));
  }

  /// One decoding step of attention to a memory's `keys_values`, of which sequence i sees `ranges[i]`. `weights`, if
  /// set, receives the probabilities, [N, H, longest range]. Not recorded.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, const Tensor<T>& keys_values,
                                 std::span<const kernels::KeyRange> ranges, Tensor<T>* weights = nullptr) const {
    const Variable<T> q = project(x, 0, 1);
    const Index d = options_.d_model;
    require<ShapeError>(static_cast<Index>(ranges.size()) == splits.sequences() && keys_values.cols() == 2 * d,
                        "multi_head_attention", splits.sequences(), " sequences, ", ranges.size(),
                        " ranges of keys and values of shape ", keys_values.shape(), ", wanted are ", 2 * d,
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
    return attend(q.value(), keys_values.view().columns(0, d), keys_values.view().columns(d, d), rows,
                  weights != nullptr ? weights->data() : nullptr, longest);
  }

  [[nodiscard]] const MultiHeadAttentionOptions& options() const { return options_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("in_proj_weight", self.in_proj_weight_);
    visitor("in_proj_bias", self.in_proj_bias_);
    visitor("out_proj", self.out_proj_);
  }

 private:
  static const MultiHeadAttentionOptions& checked(const MultiHeadAttentionOptions& options) {
    require(options.heads > 0 && options.d_model > 0 && options.d_model % options.heads == 0, "multi_head_attention",
            "d_model must be a multiple of heads: d_model = ", options.d_model, ", heads = ", options.heads);
    return options;
  }

  [[nodiscard]] double scale() const {
    return options_.scale != 0 ? options_.scale : 1 / std::sqrt(static_cast<double>(options_.d_model / options_.heads));
  }

  /// Projections first .. first + count of (query, key, value), side by side   // [N, count D]
  [[nodiscard]] Variable<T> project(const Variable<T>& x, Index first, Index count) const {
    const Index d = options_.d_model;
    return linear<T>(x, in_proj_weight_, in_proj_bias_, Activation::none, {first * d, count * d});
  }

  [[nodiscard]] AttentionOptions<T> completed(AttentionOptions<T> masks) const {
    masks.heads = options_.heads;
    masks.scale = scale();
    masks.dropout = options_.dropout;
    return masks;
  }

  [[nodiscard]] Variable<T> attend(const TensorView<const T>& query, const TensorView<const T>& keys,
                                   const TensorView<const T>& values, std::span<const kernels::KeyRows> rows,
                                   T* weights, Index weights_stride) const {
    require<ShapeError>(static_cast<Index>(rows.size()) == query.rows(), "multi_head_attention", "row splits end at ",
                        rows.size(), ", the query has shape ", query.shape());
    Tensor<T> output(query.shape());
    kernels::cached_attention<T>(query, keys, values, rows, options_.heads, static_cast<T>(scale()), output, weights,
                                 weights_stride);
    return out_proj_(Variable<T>(std::move(output)));
  }

  MultiHeadAttentionOptions options_;
  Parameter<T> in_proj_weight_, in_proj_bias_;
  Linear<T> out_proj_;
};
static_assert(Module<MultiHeadAttention<float>>);

}  // namespace rapt::inline RAPT_ABI
