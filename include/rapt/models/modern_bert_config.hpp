/// \file
/// The settings of a ModernBERT.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/encoder_heads.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a ModernBERT. Defaults are those of the paper's base model, of the encoder alone.
struct ModernBertConfig {
  Index vocabulary = 50368;
  Index positions = 8192;  ///< the longest sequence that the model was made for
  Index d_model = 768;
  Index layers = 22;
  Index heads = 12;
  Index d_ff = 1152;
  Activation activation = Activation::gelu;
  double theta = 160000;       ///< rotary base of global layers
  double local_theta = 10000;  ///< rotary base of local layers
  Index window = 64;       ///< in local layers a token attends to keys at most so many positions away, on either side
  Index global_every = 3;  ///< layer i is global, without window, if this divides i
  double norm_epsilon = 1e-5;
  bool norm_bias = false;                        ///< of all layer norms
  bool attention_bias = false;                   ///< of queries, keys, values and the output projection
  bool feed_forward_bias = false;                ///< of the feed-forward networks' matrices
  float embedding_dropout = 0.f;                 ///< rate of the normalised embeddings
  float attention_dropout = 0.f;                 ///< rate of the attention probabilities and of the attention's output
  float feed_forward_dropout = 0.f;              ///< rate inside of the feed-forward networks
  double init_std = 0.02;                        ///< of all matrices
  std::optional<TokenId> padding_token = 50283;  ///< id of padding in other programs; there is none here

  // The head: LayerNorm(activation(a linear map)), before one of these maps. Of a folder the one is loaded that it has.
  bool masked_language_head = false;         ///< scores of every token of the vocabulary
  bool question_head = false;                ///< scores of each token to begin and to end a question's answer
  std::vector<std::string> labels = {};      ///< names of classes; some: a head that tells them apart
  bool token_labels = false;                 ///< the labels are of tokens, not of sequences
  std::optional<LabelProblem> problem = {};  ///< what sequences' scores mean; unset: see `label_loss`
  bool mean_pooling = false;  ///< labels are told from the mean of the hidden states, not from the first token's
  Activation head_activation = Activation::gelu;  ///< of the head's linear map
  bool head_bias = false;                         ///< of the head's linear map
  bool vocabulary_bias = true;                    ///< of the scores of the vocabulary
  float classifier_dropout = 0.f;                 ///< before the labels' or the questions' map

  /// The paper's two sizes, of 149 and 395 million parameters (Warner et al. 2024).
  [[nodiscard]] static ModernBertConfig base() { return {}; }
  [[nodiscard]] static ModernBertConfig large() { return {.d_model = 1024, .layers = 28, .heads = 16, .d_ff = 2624}; }

  /// True if there is any head: of masked tokens, of questions or of labels.
  [[nodiscard]] bool has_head() const { return masked_language_head || question_head || !labels.empty(); }
  /// True if block `layer`, from 0, attends without a window.
  [[nodiscard]] bool is_global(Index layer) const { return layer % global_every == 0; }
  /// The options of the head's linear map, activation and norm.
  [[nodiscard]] HiddenTransformOptions head() const {
    return {.inputs = d_model,
            .outputs = d_model,
            .activation = head_activation,
            .norm_epsilon = norm_epsilon,
            .bias = head_bias,
            .norm_bias = norm_bias};
  }
  /// The options of block `layer`, from 0.
  [[nodiscard]] BlockOptions block(Index layer) const {
    BlockOptions options{
        .attention = {.d_model = d_model,
                      .heads = heads,
                      .dropout = attention_dropout,
                      .query_bias = attention_bias,
                      .key_bias = attention_bias,
                      .value_bias = attention_bias,
                      .output_bias = attention_bias,
                      .positions =
                          RotaryOptions{.theta = is_global(layer) ? theta : local_theta, .max_positions = positions},
                      .names = {.in_proj_weight = "Wqkv.weight", .in_proj_bias = "Wqkv.bias", .out_proj = "Wo"}},
        .feed_forward = FeedForwardKind::gated,
        .d_ff = d_ff,
        .activation = activation,
        .activation_dropout = feed_forward_dropout,
        .feed_forward_bias = feed_forward_bias,
        .norm_kind = norm_bias ? NormKind::layer : NormKind::layer_unbiased,
        .norm = NormPlacement::pre,
        .norm_epsilon = norm_epsilon,
        .dropout = attention_dropout,
        .feed_forward_dropout = 0.f,
        .names = {.self_attention = "attn", .feed_forward = "mlp", .norms = {"attn_norm", "mlp_norm", ""}}};
    if (!is_global(layer)) options.attention.window = window;
    if (layer == 0) options.attention_norm_kind = NormKind::none;  // the embeddings are normalised already
    return options;
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "modern_bert";
    require(vocabulary > 0 && positions > 0 && layers > 0 && d_ff > 0 && global_every > 0, kWhere,
            "sizes must be positive: vocabulary ", vocabulary, ", positions ", positions, ", layers ", layers,
            ", d_ff ", d_ff, ", global_every ", global_every);
    detail::require_heads(d_model, heads, kWhere);
    require(d_model / heads % 2 == 0, kWhere, "heads must have an even number of columns: d_model = ", d_model,
            ", heads = ", heads);
    require(theta > 1 && local_theta > 1, kWhere, "theta and local_theta must be greater than 1: ", theta, ", ",
            local_theta);
    require(window >= 0, kWhere, "window must not be negative: ", window);
    detail::require_dropout({embedding_dropout, attention_dropout, feed_forward_dropout, classifier_dropout}, kWhere);
    require(norm_epsilon > 0 && init_std >= 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon,
            ", init_std not negative: ", init_std);
    require(int{masked_language_head} + int{question_head} + int{!labels.empty()} <= 1, kWhere,
            "a model has one head: masked_language_head ", masked_language_head, ", question_head ", question_head,
            ", labels ", labels.size());
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "modern_bert";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.vocabulary);
    field("positions", self.positions);
    detail::visit_block_sizes(self, field);
    field("theta", self.theta);
    field("local_theta", self.local_theta);
    field("window", self.window);
    field("global_every", self.global_every);
    field("norm_epsilon", self.norm_epsilon);
    field("norm_bias", self.norm_bias);
    field("attention_bias", self.attention_bias);
    field("feed_forward_bias", self.feed_forward_bias);
    field("embedding_dropout", self.embedding_dropout);
    field("attention_dropout", self.attention_dropout);
    field("feed_forward_dropout", self.feed_forward_dropout);
    field("init_std", self.init_std);
    field("padding_token", self.padding_token);
    field("masked_language_head", self.masked_language_head);
    field("question_head", self.question_head);
    field("labels", self.labels);
    field("token_labels", self.token_labels);
    field("problem", self.problem);
    field("mean_pooling", self.mean_pooling);
    field("head_activation", self.head_activation);
    field("head_bias", self.head_bias);
    field("vocabulary_bias", self.vocabulary_bias);
    field("classifier_dropout", self.classifier_dropout);
  }
};

}}  // namespace rapt::RAPT_ABI
