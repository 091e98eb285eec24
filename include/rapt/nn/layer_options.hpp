/// \file
/// What encoder and decoder layers are made of.
#pragma once

#include "rapt/nn/add_norm.hpp"
#include "rapt/nn/attention.hpp"
#include "rapt/nn/feed_forward.hpp"

namespace rapt { inline namespace RAPT_ABI {

struct LayerOptions {
  Index d_model = 512;
  Index heads = 8;
  Index d_ff = 2048;
  double attention_scale = 0;      ///< factor of the attention scores; 0: 1 / sqrt(d_model / heads)
  double attention_soft_cap = 0;   ///< scaled scores s become cap tanh(s / cap) before masks; 0: no cap
  float dropout = 0.1f;            ///< of each sublayer's output, before it is added
  float attention_dropout = 0.f;   ///< of the attention weights
  float activation_dropout = 0.f;  ///< inside of the feed-forward network
  Activation activation = Activation::relu;
  NormPlacement norm = NormPlacement::post;
  double norm_epsilon = 1e-5;

  [[nodiscard]] MultiHeadAttentionOptions attention() const {
    return {.d_model = d_model,
            .heads = heads,
            .scale = attention_scale,
            .soft_cap = attention_soft_cap,
            .dropout = attention_dropout};
  }
  [[nodiscard]] FeedForwardOptions feed_forward() const {
    return {.d_model = d_model, .d_ff = d_ff, .activation = activation, .dropout = activation_dropout};
  }
  template <class T>
  [[nodiscard]] AddNorm<T> add_norm() const {
    return AddNorm<T>(d_model, norm, dropout, norm_epsilon);
  }
};

}}  // namespace rapt::RAPT_ABI
