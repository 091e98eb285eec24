/// \file
/// Multi-head attention with relative positions, to a segment and what came before it (Dai et al. 2019, section 3.3).
#pragma once

#include <cmath>

#include "rapt/autograd/ops/relative_attention.hpp"
#include "rapt/nn/linear.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Encodings of distances: row p is [sines | cosines] of p / 10000^(2 i / D), i = 0 .. D / 2 - 1.
template <class T = float>
class DistanceEncoding {
 public:
  /// `kept` rows are computed now; more when they are asked for.
  DistanceEncoding(Index d_model, Index kept) : kept_(table(kept, d_model)) {}

  /// Those of distances 0 .. count - 1   // [count, D]
  [[nodiscard]] Tensor<T> operator()(Index count) const {
    if (count > kept_.rows()) return table(count, kept_.cols());
    return Tensor<T>(kept_.view().middle_rows(0, count));
  }

  [[nodiscard]] static Tensor<T> table(Index count, Index d_model) {
    require(d_model > 0 && d_model % 2 == 0, "distance_encoding", "d_model must be even: ", d_model);
    const Index half = d_model / 2;
    Tensor<T> rows(Shape{count, d_model});
    for (Index i = 0; i < half; ++i) {
      const double frequency = std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
      for (Index distance = 0; distance < count; ++distance) {
        rows(distance, i) = static_cast<T>(std::sin(static_cast<double>(distance) * frequency));
        rows(distance, half + i) = static_cast<T>(std::cos(static_cast<double>(distance) * frequency));
      }
    }
    return rows;
  }

 private:
  Tensor<T> kept_;
};

struct RelativeMultiHeadAttentionOptions {
  Index d_model = 410;
  Index heads = 10;
  Index head_dim = 41;
  Index span = 0;          ///< tokens that each one sees, itself the last of them; 0: all before it
  float dropout = 0.f;     ///< of the attention weights
  bool own_biases = true;  ///< false: calls are given the two biases, which layers share
};

/// in_proj_weight [3 H d_k, D] stacks the projections of queries, keys and values; position_proj.weight [H d_k, D]
/// projects the encodings of distances; out_proj.weight [D, H d_k]. None has a bias; content_bias and position_bias
/// [H, d_k], the paper's u and v, are added to queries.
template <class T = float>
class RelativeMultiHeadAttention {
 public:
  /// Throws ValueError unless sizes are positive.
  RelativeMultiHeadAttention(const RelativeMultiHeadAttentionOptions& options, Rng& rng)
      : options_(checked(options)),
        position_proj_(options.d_model, width(), rng, {.bias = false}),
        out_proj_(width(), options.d_model, rng, {.bias = false}) {
    in_proj_weight_ = Parameter<T>(init::xavier_uniform<T>(Shape{3 * width(), options.d_model}, rng));
    if (!options.own_biases) return;
    content_bias_ = Parameter<T>(init::constant<T>(Shape{options.heads, options.head_dim}, T(0)));
    position_bias_ = Parameter<T>(init::constant<T>(Shape{options.heads, options.head_dim}, T(0)));
  }

  /// [N, D] from x [N, D], the tokens that attend; `all` [M + N, D], each sequence's memory and then its x;
  /// `distances` [P, D], encodings of distance 0, 1, ..., of which the last is that of all beyond.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, const Variable<T>& all,
                                       const RowSplits& all_splits, const Variable<T>& distances,
                                       const Variable<T>& content_bias = {},
                                       const Variable<T>& position_bias = {}) const {
    const Index d = width();
    const Variable<T> q = linear<T>(x, in_proj_weight_, Variable<T>(), Activation::none, {0, d});         // [N, H d_k]
    const Variable<T> kv = linear<T>(all, in_proj_weight_, Variable<T>(), Activation::none, {d, 2 * d});  // [M + N, ..]
    return out_proj_(
        relative_attention<T>(columns(q, 0, d), columns(kv, 0, d), columns(kv, d, d), position_proj_(distances),
                              content_bias_.defined() ? content_bias_ : content_bias,
                              position_bias_.defined() ? position_bias_ : position_bias, splits, all_splits,
                              {.heads = options_.heads, .span = options_.span, .dropout = options_.dropout}));
  }

  [[nodiscard]] const RelativeMultiHeadAttentionOptions& options() const { return options_; }
  /// From now on each token sees so many.
  void set_span(Index span) { options_.span = span; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("in_proj_weight", self.in_proj_weight_);
    visitor("position_proj", self.position_proj_);
    visitor("out_proj", self.out_proj_);
    visitor("content_bias", self.content_bias_);
    visitor("position_bias", self.position_bias_);
  }

 private:
  static const RelativeMultiHeadAttentionOptions& checked(const RelativeMultiHeadAttentionOptions& options) {
    require(options.d_model > 0 && options.heads > 0 && options.head_dim > 0, "relative_multi_head_attention",
            "sizes must be positive: d_model ", options.d_model, ", heads ", options.heads, ", head_dim ",
            options.head_dim);
    return options;
  }
  [[nodiscard]] Index width() const { return options_.heads * options_.head_dim; }

  RelativeMultiHeadAttentionOptions options_;
  Parameter<T> in_proj_weight_;
  Linear<T> position_proj_, out_proj_;
  Parameter<T> content_bias_, position_bias_;
};
static_assert(Module<RelativeMultiHeadAttention<float>>);

}}  // namespace rapt::RAPT_ABI
