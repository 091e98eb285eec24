/// \file
/// BEiT's encoder layer (Bao et al. 2021): what differs from encoder.hpp's pre-norm layer is the attention, whose
/// scores have a learned addend for each distance between patches and whose keys have no bias, and that each sublayer's
/// output is scaled before it is added.
#pragma once

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/biased_attention.hpp"
#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/autograd/ops/scaled_residual.hpp"
#include "rapt/nn/feed_forward.hpp"
#include "rapt/nn/layer_options.hpp"
#include "rapt/nn/relative_position_bias.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct BeitLayerOptions {
  LayerOptions layer = {};             ///< sizes, activation, dropout and epsilon; the norms stand before the sublayers
  double layer_scale = 0.1;            ///< of each sublayer's output, to begin with; 0: no scales are learned
  float drop_path = 0.f;               ///< share of sequences that pass by a sublayer, in Training
  Index grid_rows = 0, grid_cols = 0;  ///< of patches: the layer has a table of addends of its own; 0: it has none
};

/// Attention with scores q_i k_j / sqrt(d_k) + table[distance of i and j]. The bias of keys, which softmax would
/// cancel, does not exist.
template <class T = float>
class BeitAttention {
 public:
  BeitAttention(const BeitLayerOptions& options, Rng& rng)
      : options_(options.layer.attention()), out_proj_(options_.d_model, options_.d_model, rng) {
    const Index d = options_.d_model;
    require(options_.heads > 0 && d > 0 && d % options_.heads == 0, "beit_attention",
            "d_model must be a multiple of heads: d_model = ", d, ", heads = ", options_.heads);
    in_proj_weight_ = Parameter<T>(init::xavier_uniform<T>(Shape{3 * d, d}, rng));
    query_bias_ = Parameter<T>(init::constant<T>(Shape{d}, T(0)));
    value_bias_ = Parameter<T>(init::constant<T>(Shape{d}, T(0)));
    if (options.grid_rows > 0) position_bias_.emplace(options.grid_rows, options.grid_cols, options_.heads);
  }

  /// [N, D] from [N, D]. `shared`: a table of addends beside the layer's own, or undefined; `pairs`: the row of the
  /// tables for each pair of tokens (`relative_pairs`).
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, const Variable<T>& shared,
                                       std::span<const TokenId> pairs, Tensor<T>* weights) const {
    const Index d = options_.d_model;
    const Variable<T> qkv = linear<T>(x, in_proj_weight_, in_proj_bias());  // [N, 3 D]
    const auto query = columns(qkv, 0, d), key = columns(qkv, d, d), value = columns(qkv, 2 * d, d);
    Variable<T> table = shared;
    if (position_bias_) table = position_bias_->table();
    if (position_bias_ && shared.defined()) table = add(shared, table);
    if (!table.defined()) {
      AttentionOptions<T> plain;
      plain.heads = options_.heads;
      plain.dropout = options_.dropout;
      plain.scale = options_.scale;
      plain.weights = weights;
      return out_proj_(attention(query, key, value, splits, splits, plain));
    }
    return out_proj_(biased_attention(
        query, key, value, table, pairs,
        {.heads = options_.heads, .dropout = options_.dropout, .scale = options_.scale, .weights = weights}));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("in_proj_weight", self.in_proj_weight_);
    visitor("query_bias", self.query_bias_);
    visitor("value_bias", self.value_bias_);
    visitor("out_proj", self.out_proj_);
    visitor("position_bias", self.position_bias_);
  }

 private:
  /// Query bias, zeros, value bias   // [3 D]
  [[nodiscard]] Variable<T> in_proj_bias() const {
    const Index d = options_.d_model;
    const auto from = [d](Index first) {
      std::vector<Index> places(static_cast<std::size_t>(d));
      for (Index i = 0; i < d; ++i) places[static_cast<std::size_t>(i)] = first + i;
      return places;
    };
    const Variable<T> zeros(Tensor<T>(Shape{d}, T(0)));
    return place_rows<T>({{query_bias_, from(0)}, {zeros, from(d)}, {value_bias_, from(2 * d)}});
  }

  MultiHeadAttentionOptions options_;
  Parameter<T> in_proj_weight_, query_bias_, value_bias_;
  Linear<T> out_proj_;
  std::optional<RelativePositionBias<T>> position_bias_;
};
static_assert(Module<BeitAttention<float>>);

/// x + scale1 Attention(LayerNorm(x)), then the same with a feed-forward network   // [N, D] from [N, D]
template <class T = float>
class BeitLayer {
 public:
  BeitLayer(const BeitLayerOptions& options, Rng& rng)
      : dropout_(options.layer.dropout),
        drop_path_(options.drop_path),
        self_attention_(options, rng),
        feed_forward_(options.layer.feed_forward(), rng),
        norm1_(options.layer.d_model, options.layer.norm_epsilon),
        norm2_(options.layer.d_model, options.layer.norm_epsilon) {
    if (options.layer_scale <= 0) return;
    const auto scale = static_cast<T>(options.layer_scale);
    scale1_ = Parameter<T>(init::constant<T>(Shape{options.layer.d_model}, scale));
    scale2_ = Parameter<T>(init::constant<T>(Shape{options.layer.d_model}, scale));
  }

  /// `shared`, `pairs` and `weights` as for the attention; sequences must be of one length.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& source, const RowSplits& splits, const Variable<T>& shared,
                                       std::span<const TokenId> pairs, Tensor<T>* weights = nullptr) const {
    const Index sequences = splits.sequences();
    const Variable<T> attended = dropout(self_attention_(norm1_(source), splits, shared, pairs, weights), dropout_);
    const Variable<T> x = scaled_residual<T>(source, attended, scale1_, drop_path_factors<T>(sequences, drop_path_));
    const Variable<T> mapped = dropout(feed_forward_(norm2_(x)), dropout_);
    return scaled_residual<T>(x, mapped, scale2_, drop_path_factors<T>(sequences, drop_path_));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("self_attn", self.self_attention_);
    FeedForward<T>::visit(self.feed_forward_, visitor);
    visitor("norm1", self.norm1_);
    visitor("norm2", self.norm2_);
    visitor("scale1", self.scale1_);
    visitor("scale2", self.scale2_);
  }

 private:
  float dropout_, drop_path_;
  BeitAttention<T> self_attention_;
  FeedForward<T> feed_forward_;
  LayerNorm<T> norm1_, norm2_;
  Parameter<T> scale1_, scale2_;
};
static_assert(Module<BeitLayer<float>>);

}}  // namespace rapt::RAPT_ABI
