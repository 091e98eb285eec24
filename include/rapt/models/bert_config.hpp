/// \file
/// The settings of BERT and of the encoders that differ from it in little.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/named_value.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/encoder_heads.hpp"
#include "rapt/nn/block.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Which encoder it is. The family decides where positions begin and how the heads are built; what else differs are
/// settings.
enum class BertFamily {
  bert,         ///< Devlin et al. 2019
  roberta,      ///< Liu et al. 2019: BERT trained longer and on single words hidden anew each time
  xlm_roberta,  ///< Conneau et al. 2020: RoBERTa in a hundred languages
  distilbert,   ///< Sanh et al. 2019: half as many layers, no token types
  electra,      ///< Clark et al. 2020: learns to find tokens that a generator replaced; narrower embeddings
  albert,       ///< Lan et al. 2020: layers share parameters; narrower embeddings
};

/// Hugging Face's names.
[[nodiscard]] constexpr auto named_values(BertFamily) {
  using enum BertFamily;
  return std::to_array<NamedValue<BertFamily>>({{"bert", bert},
                                                {"roberta", roberta},
                                                {"xlm-roberta", xlm_roberta},
                                                {"distilbert", distilbert},
                                                {"electra", electra},
                                                {"albert", albert}});
}

/// Everything that makes a BERT or one of its family. Defaults are BERT base's, of the parts the encoder and the
/// pooler.
struct BertConfig {
  BertFamily family = BertFamily::bert;
  Index vocabulary = 30522;
  Index positions = 512;  ///< the longest sequence
  Index token_types = 2;  ///< first and second sentence; 0: the embeddings tell no types
  Index d_model = 768;
  std::optional<Index> embedding_width =
      {};  ///< of embeddings that a linear map brings to d_model; unset: d_model, none
  Index layers = 12;
  Index layer_groups = 0;  ///< if not 0, the number of blocks: consecutive layers share one block's parameters
  Index heads = 12;
  Index d_ff = 3072;
  Activation activation = Activation::gelu;  ///< of the feed-forward networks and the masked-language head
  float dropout = 0.1f;                      ///< rate of the embeddings and of each sublayer's output
  float attention_dropout = 0.1f;            ///< rate of the attention probabilities
  double norm_epsilon = 1e-12;
  std::optional<TokenId> padding_token = 0;  ///< id of padding in other programs; there is none here

  // Parts. Of a folder those are loaded that it has.
  bool pooler = true;                            ///< activation of a linear map of the first token's hidden state
  bool masked_language_head = false;             ///< scores of every token of the vocabulary
  bool next_sentence_head = false;               ///< follows or does not; needs the pooler
  bool replaced_token_head = false;              ///< ELECTRA's: is a token another one than in the text?
  bool question_head = false;                    ///< scores of each token to begin and to end a question's answer
  std::vector<std::string> labels = {};          ///< names of classes; some: a head that tells them apart
  bool token_labels = false;                     ///< labels are of tokens, as they always are without a pooler
  std::optional<LabelProblem> problem = {};      ///< what sequences' scores mean; unset: see `label_loss`
  std::optional<float> classifier_dropout = {};  ///< before the labels' head; unset: `dropout`
  float question_dropout = 0.f;                  ///< before the head for questions

  /// The paper's two sizes, of 110 and 340 million parameters, and the smallest ones of Turc et al. 2019.
  [[nodiscard]] static BertConfig base() { return {}; }
  [[nodiscard]] static BertConfig large() { return {.d_model = 1024, .layers = 24, .heads = 16, .d_ff = 4096}; }
  [[nodiscard]] static BertConfig mini() { return {.d_model = 256, .layers = 4, .heads = 4, .d_ff = 1024}; }
  [[nodiscard]] static BertConfig tiny() { return {.d_model = 128, .layers = 2, .heads = 2, .d_ff = 512}; }

  /// RoBERTa's base model (Liu et al. 2019), of 125 million parameters.
  [[nodiscard]] static BertConfig roberta_base() {
    return {
        .family = BertFamily::roberta, .vocabulary = 50265, .token_types = 1, .norm_epsilon = 1e-5, .padding_token = 1};
  }
  /// DistilBERT (Sanh et al. 2019), of 66 million parameters.
  [[nodiscard]] static BertConfig distilbert_base() {
    return {.family = BertFamily::distilbert,
            .token_types = 0,
            .layers = 6,
            .pooler = false,
            .classifier_dropout = 0.2f,
            .question_dropout = 0.1f};
  }
  /// ELECTRA's small model (Clark et al. 2020), of 14 million parameters.
  [[nodiscard]] static BertConfig electra_small() {
    return {.family = BertFamily::electra,
            .d_model = 256,
            .embedding_width = 128,
            .heads = 4,
            .d_ff = 1024,
            .pooler = false};
  }
  /// The paper's base model of 12 million parameters, as its second version.
  [[nodiscard]] static BertConfig albert_base() {
    return {.family = BertFamily::albert,
            .vocabulary = 30000,
            .embedding_width = 128,
            .layer_groups = 1,
            .activation = Activation::gelu_tanh,
            .dropout = 0.f,
            .attention_dropout = 0.f,
            .classifier_dropout = 0.1f};
  }

  /// True for RoBERTa and XLM-R.
  [[nodiscard]] bool is_roberta() const { return family == BertFamily::roberta || family == BertFamily::xlm_roberta; }
  /// The row of the table of positions where a sequence begins: RoBERTa counts from behind the padding
  /// token's number, and its table has so many rows more than `positions`.
  [[nodiscard]] Index first_position() const { return is_roberta() ? Index{padding_token.value_or(0)} + 1 : 0; }
  /// The columns of the embeddings' tables: `embedding_width`, behind which a map to d_model stands, or d_model.
  [[nodiscard]] Index width_of_embeddings() const { return embedding_width.value_or(d_model); }
  /// How many layers have parameters of their own.
  [[nodiscard]] Index blocks() const { return layer_groups > 0 ? layer_groups : layers; }
  /// The options of every block.
  [[nodiscard]] BlockOptions layer() const {
    BlockOptions options{.attention = {.d_model = d_model, .heads = heads, .dropout = attention_dropout},
                         .d_ff = d_ff,
                         .activation = activation,
                         .norm = NormPlacement::post,
                         .norm_epsilon = norm_epsilon,
                         .dropout = dropout};
    if (family == BertFamily::albert) options.feed_forward_dropout = 0.f;
    if (family == BertFamily::distilbert) options.dropout = 0.f, options.feed_forward_dropout = dropout;
    return options;
  }
  /// The options of the transform that stands before the scores of the vocabulary. Its activation is that of the
  /// blocks, but RoBERTa and ELECTRA have gelu in any case.
  [[nodiscard]] HiddenTransformOptions masked_language_options() const {
    const bool follows = !is_roberta() && family != BertFamily::electra;
    return {.inputs = d_model,
            .outputs = width_of_embeddings(),
            .activation = follows ? activation : Activation::gelu,
            .norm_epsilon = norm_epsilon};
  }
  /// The activation of the pooler, or of the layer in its place in the head for labels: tanh, DistilBERT's relu,
  /// ELECTRA's gelu.
  [[nodiscard]] Activation pooler_activation() const {
    return family == BertFamily::distilbert ? Activation::relu
           : family == BertFamily::electra  ? Activation::gelu
                                            : Activation::tanh;
  }
  /// The rate of the dropout before the pooler: RoBERTa's and ELECTRA's are part of the head for labels.
  [[nodiscard]] float pooler_dropout() const {
    return !labels.empty() && (is_roberta() || family == BertFamily::electra) ? label_dropout() : 0.f;
  }
  /// The rate of the dropout before the map onto the labels.
  [[nodiscard]] float label_dropout() const {
    const bool plain = family == BertFamily::distilbert && labels_tokens();
    return plain ? dropout : classifier_dropout.value_or(dropout);
  }
  /// True if there are labels, and they are of tokens; false if they are of sequences.
  [[nodiscard]] bool labels_tokens() const { return !labels.empty() && (token_labels || !pooler); }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "bert";
    require(vocabulary > 0 && positions > 0 && token_types >= 0 && layers > 0 && d_ff > 0 && width_of_embeddings() > 0,
            kWhere, "sizes must be positive: vocabulary ", vocabulary, ", positions ", positions, ", token_types ",
            token_types, " (which may be 0), layers ", layers, ", d_ff ", d_ff, ", embedding_width ",
            width_of_embeddings());
    detail::require_heads(d_model, heads, kWhere);
    require(layer_groups >= 0 && (layer_groups == 0 || layers % layer_groups == 0), kWhere,
            "layers must be a multiple of layer_groups: layers = ", layers, ", layer_groups = ", layer_groups);
    require(layer_groups == 0 || layers <= kMostSharedLayers, kWhere, "at most ", kMostSharedLayers,
            " layers may share parameters: layers = ", layers);
    detail::require_dropout({dropout, attention_dropout, classifier_dropout.value_or(0.f), question_dropout}, kWhere);
    require(norm_epsilon > 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon);
    require(!is_roberta() || padding_token.value_or(-1) >= 0, kWhere,
            "RoBERTa counts positions from behind the padding token, which must not be negative: ",
            padding_token.value_or(-1));
    require_heads_that_fit(kWhere);
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "bert";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("family", self.family);
    field("vocabulary", self.vocabulary);
    field("positions", self.positions);
    field("token_types", self.token_types);
    field("d_model", self.d_model);
    field("embedding_width", self.embedding_width);
    field("layers", self.layers);
    field("layer_groups", self.layer_groups);
    field("heads", self.heads);
    field("d_ff", self.d_ff);
    field("activation", self.activation);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("norm_epsilon", self.norm_epsilon);
    field("padding_token", self.padding_token);
    field("pooler", self.pooler);
    field("masked_language_head", self.masked_language_head);
    field("next_sentence_head", self.next_sentence_head);
    field("replaced_token_head", self.replaced_token_head);
    field("question_head", self.question_head);
    field("labels", self.labels);
    field("token_labels", self.token_labels);
    field("problem", self.problem);
    field("classifier_dropout", self.classifier_dropout);
    field("question_dropout", self.question_dropout);
  }

 private:
  /// Tensors bound the number of layers only where each layer has its own.
  static constexpr Index kMostSharedLayers = 10000;

  void require_heads_that_fit(std::string_view where) const {
    require(pooler || !next_sentence_head, where, "the next-sentence head needs the pooler");
    require(!next_sentence_head || family == BertFamily::bert || family == BertFamily::albert, where,
            "only BERT and ALBERT have a next-sentence head: family ", name_of(family));
    require(!replaced_token_head || family == BertFamily::electra, where,
            "only ELECTRA has a head for replaced tokens: family ", name_of(family));
    const bool other_heads = masked_language_head || next_sentence_head || replaced_token_head;
    require(labels.empty() || !other_heads, where, "a model that tells ", labels.size(),
            " labels apart has no other head");
    require(!question_head || (labels.empty() && !other_heads), where,
            "a model that answers questions has no other head");
  }
};

}}  // namespace rapt::RAPT_ABI
