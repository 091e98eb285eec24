/// \file
/// The settings of a Transformer-XL.
#pragma once

#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "rapt/core/sequence_marks.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/nn/adaptive_softmax.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a Transformer-XL. Defaults are Hugging Face's: a model of WikiText-103 with 285 million
/// parameters.
struct TransformerXlConfig {
  Index vocabulary = 267735;                            ///< ids are by frequency, the most frequent token being 0
  std::vector<Index> cutoffs = {20000, 40000, 200000};  ///< see AdaptiveVocabulary; empty: a plain softmax
  Index div_val = 4;                                    ///< embeddings of cluster i have d_embed / div_val^i columns
  Index d_model = 1024;
  Index d_embed = 1024;  ///< columns of the embedding of the most frequent tokens
  Index heads = 16;
  Index head_dim = 64;  ///< columns of each head
  Index d_ff = 4096;
  Index layers = 18;
  Index memory_length = 1600;  ///< tokens whose hidden states are cached
  Index clamp_length = 1000;   ///< larger distances count as this one; 0: all are told apart
  bool same_length = true;     ///< every token attends to memory_length ones, itself the last of them
  /// Sequences begin with a cache of zeros, which is attended to, as in Hugging Face's implementation; false: with
  /// none, as in the paper's.
  bool begins_with_zeros = false;
  bool pre_norm = false;        ///< norms before the sublayers; false: behind them
  bool own_biases = true;       ///< of each layer, content_bias and position_bias; false: all share them
  bool tie_embeddings = true;   ///< the tables of the embedding are the output weights
  bool tie_projections = true;  ///< the projections of all clusters but the first are the embedding's
  /// Instead of `tie_projections`, if not empty: for each cluster, whether its projection is the embedding's.
  std::deque<bool> shared_projections = {};
  float dropout = 0.1f;           ///< rate of embeddings, encodings of distances, sublayers and the last hidden state
  float attention_dropout = 0.f;  ///< rate of the attention probabilities
  double norm_epsilon = 1e-5;
  double init_std = 0.02;                ///< of all matrices but the embeddings' projections
  double projection_init_std = 0.01;     ///< of the projections of embeddings to and from d_model
  std::optional<TokenId> end_token = 0;  ///< ends a text; unset: only the maximum length does

  /// For characters or bytes: the paper's model of enwik8 with 12 layers, 41 million parameters.
  [[nodiscard]] static TransformerXlConfig characters(Index vocabulary) {
    return {.vocabulary = vocabulary,
            .cutoffs = {},
            .div_val = 1,
            .d_model = 512,
            .d_embed = 512,
            .heads = 8,
            .head_dim = 64,
            .d_ff = 2048,
            .layers = 12,
            .memory_length = 512,
            .clamp_length = 0,
            .same_length = false,
            .end_token = {}};
  }
  /// The paper's standard model of WikiText-103, 151 million parameters.
  [[nodiscard]] static TransformerXlConfig words() {
    return {.div_val = 1,
            .d_model = 410,
            .d_embed = 410,
            .heads = 10,
            .head_dim = 41,
            .d_ff = 2100,
            .layers = 16,
            .memory_length = 150,
            .clamp_length = 0,
            .same_length = false};
  }

  /// The clusters of the vocabulary, for the embedding and the softmax.
  [[nodiscard]] AdaptiveVocabulary adaptive_vocabulary() const {
    return {.vocabulary = vocabulary, .cutoffs = cutoffs, .d_model = d_model, .d_embed = d_embed, .div_val = div_val};
  }
  /// Which weights and projections the softmax takes from the embedding. Where `shared_projections` is empty, those of
  /// all clusters but the first are shared or not, as `tie_projections` says.
  [[nodiscard]] AdaptiveSoftmaxOptions softmax() const {
    std::vector<bool> shared(shared_projections.begin(), shared_projections.end());
    if (shared.empty()) {
      shared.assign(cutoffs.size() + 1, tie_projections);
      shared[0] = false;
    }
    return {.tie_weights = tie_embeddings, .tie_projections = shared};
  }
  /// The options of every block.
  [[nodiscard]] BlockOptions layer() const {
    return {.attention = {.d_model = d_model,
                          .heads = heads,
                          .head_dim = head_dim,
                          .window = window(),
                          .dropout = attention_dropout,
                          .query_bias = false,
                          .key_bias = false,
                          .value_bias = false,
                          .output_bias = false,
                          .positions = RelativePositionEncoding{.own_biases = own_biases}},
            .d_ff = d_ff,
            .activation_dropout = dropout,
            .norm = pre_norm ? NormPlacement::pre : NormPlacement::post,
            .norm_epsilon = norm_epsilon,
            .dropout = dropout,
            .names = {.self_attention = "attention", .norm_behind_attention = true}};
  }
  /// How far behind its own position a token attends; unset: to all before it.
  [[nodiscard]] std::optional<Index> window() const {
    return same_length ? std::optional(memory_length - 1) : std::nullopt;
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "transformer_xl";
    adaptive_vocabulary().validate(kWhere);
    require(d_model % 2 == 0, kWhere, "sinusoidal encodings need an even d_model: ", d_model);
    require(heads > 0 && head_dim > 0 && d_ff > 0 && layers > 0, kWhere, "sizes must be positive: heads ", heads,
            ", head_dim ", head_dim, ", d_ff ", d_ff, ", layers ", layers);
    require(memory_length >= 0 && clamp_length >= 0, kWhere, "lengths must not be negative: memory_length ",
            memory_length, ", clamp_length ", clamp_length);
    require(!same_length || memory_length > 0, kWhere, "same_length needs a positive memory_length: ", memory_length);
    require(shared_projections.size() <= cutoffs.size() + 1, kWhere, "shared_projections for ",
            shared_projections.size(), " clusters, there are ", cutoffs.size() + 1);
    detail::require_dropout({dropout, attention_dropout}, kWhere);
    require(norm_epsilon > 0 && init_std >= 0 && projection_init_std >= 0, kWhere,
            "norm_epsilon must be positive, init_std and projection_init_std not negative: ", norm_epsilon, ", ",
            init_std, ", ", projection_init_std);
  }

  /// Columns of the sinusoids, which are computed when a model is made, and are in no file.
  [[nodiscard]] Index table_columns() const { return d_model; }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "transformer_xl";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.vocabulary);
    field("cutoffs", self.cutoffs);
    field("div_val", self.div_val);
    field("d_model", self.d_model);
    field("d_embed", self.d_embed);
    field("heads", self.heads);
    field("head_dim", self.head_dim);
    field("d_ff", self.d_ff);
    field("layers", self.layers);
    field("memory_length", self.memory_length);
    field("clamp_length", self.clamp_length);
    field("same_length", self.same_length);
    field("begins_with_zeros", self.begins_with_zeros);
    field("pre_norm", self.pre_norm);
    field("own_biases", self.own_biases);
    field("tie_embeddings", self.tie_embeddings);
    field("tie_projections", self.tie_projections);
    field("shared_projections", self.shared_projections);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("norm_epsilon", self.norm_epsilon);
    field("init_std", self.init_std);
    field("projection_init_std", self.projection_init_std);
    field("end_token", self.end_token);
  }
};

}}  // namespace rapt::RAPT_ABI
