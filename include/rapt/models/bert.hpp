/// \file
/// BERT: the Transformer's encoder alone, which learns to fill in words that were hidden and to tell whether one
/// sentence follows another (Devlin et al. 2019). What differs from transformer.hpp: no decoder; learned positions;
/// a learned vector that tells the first sentence from the second; a norm over the embeddings' sum; GELU.
#pragma once

#include <concepts>
#include <cstdint>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/models/config_checks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/encoder_heads.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a BERT. Defaults are BERT base's, of the parts the encoder and the pooler.
struct BertConfig {
  Index vocabulary = 30522;
  Index positions = 512;  ///< the longest sequence
  Index token_types = 2;  ///< first and second sentence
  Index d_model = 768;
  Index layers = 12;
  Index heads = 12;
  Index d_ff = 3072;
  Activation activation = Activation::gelu;  ///< of the feed-forward networks and the masked-language head
  float dropout = 0.1f;                      ///< rate of the embeddings and of each sublayer's output
  float attention_dropout = 0.1f;            ///< rate of the attention probabilities
  double norm_epsilon = 1e-12;
  std::optional<TokenId> padding_token = 0;  ///< what other programs fill up with; there is no padding here

  // Parts. Of a folder those are loaded that it has.
  bool pooler = true;                            ///< tanh of a linear map of the first token's hidden state
  bool masked_language_head = false;             ///< scores of every token of the vocabulary
  bool next_sentence_head = false;               ///< follows or does not; needs the pooler
  bool question_head = false;                    ///< scores of each token to begin and to end a question's answer
  std::vector<std::string> labels = {};          ///< names of classes; some: a head that tells them apart
  bool token_labels = false;                     ///< labels are of tokens, as they always are without a pooler
  std::optional<LabelProblem> problem = {};      ///< what the labels' scores mean; unset: see `label_loss`
  std::optional<float> classifier_dropout = {};  ///< before the labels' head; unset: `dropout`

  /// The paper's two sizes, of 110 and 340 million parameters, and the smallest ones of Turc et al. 2019.
  [[nodiscard]] static BertConfig base() { return {}; }
  [[nodiscard]] static BertConfig large() { return {.d_model = 1024, .layers = 24, .heads = 16, .d_ff = 4096}; }
  [[nodiscard]] static BertConfig mini() { return {.d_model = 256, .layers = 4, .heads = 4, .d_ff = 1024}; }
  [[nodiscard]] static BertConfig tiny() { return {.d_model = 128, .layers = 2, .heads = 2, .d_ff = 512}; }

  [[nodiscard]] BlockOptions layer() const {
    return {.attention = {.d_model = d_model, .heads = heads, .dropout = attention_dropout},
            .d_ff = d_ff,
            .activation = activation,
            .norm = NormPlacement::post,
            .norm_epsilon = norm_epsilon,
            .dropout = dropout};
  }

  /// True if there are labels, and they are of tokens; false if they are of sequences.
  [[nodiscard]] bool labels_tokens() const { return !labels.empty() && (token_labels || !pooler); }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "bert";
    require(vocabulary > 0 && positions > 0 && token_types > 0 && layers > 0 && d_ff > 0, kWhere,
            "sizes must be positive: vocabulary ", vocabulary, ", positions ", positions, ", token_types ", token_types,
            ", layers ", layers, ", d_ff ", d_ff);
    detail::require_heads(d_model, heads, kWhere);
    detail::require_dropout({dropout, attention_dropout, classifier_dropout.value_or(0.f)}, kWhere);
    require(norm_epsilon > 0, kWhere, "norm_epsilon must be positive: ", norm_epsilon);
    require(pooler || !next_sentence_head, kWhere, "the next-sentence head needs the pooler");
    require(labels.empty() || (!masked_language_head && !next_sentence_head), kWhere, "a model that tells ",
            labels.size(), " labels apart has no other head");
    require(!question_head || (labels.empty() && !masked_language_head && !next_sentence_head), kWhere,
            "a model that answers questions has no other head");
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "bert";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("vocabulary", self.vocabulary);
    field("positions", self.positions);
    field("token_types", self.token_types);
    field("d_model", self.d_model);
    field("layers", self.layers);
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
    field("question_head", self.question_head);
    field("labels", self.labels);
    field("token_labels", self.token_labels);
    field("problem", self.problem);
    field("classifier_dropout", self.classifier_dropout);
  }
};

/// The encoder and whichever heads the config names. A const model may be used from many threads.
///
/// ```cpp
/// const auto bert = rapt::from_pretrained<rapt::Bert<float>>("bert-base-uncased");
/// const auto hidden = bert.hidden(batch);    // [N, D]
/// const auto scores = bert.logits(hidden);   // [N, V]: what stands at "[MASK]"?
/// ```
template <class T = float>
class Bert {
 public:
  using ScalarType = T;
  using Config = BertConfig;

  /// Weights normal with standard deviation 0.02, as the paper's code. Throws ValueError for a config that does not
  /// fit.
  Bert(const BertConfig& config, Rng& rng) : Bert(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string&, Parameter<T>& parameter) {
      if (parameter.shape().rank() == 2) parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, 0.02);
    });
  }

  /// The last hidden state   // [N, D]
  /// `token_types`: of each token, 0 in the first sentence and 1 in the second; empty: all 0. If not empty,
  /// `weights[i]` receives layer i's attention probabilities; its size must be the number of layers.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& batch, std::span<const std::int32_t> token_types = {},
                                   std::span<Tensor<T>> weights = {}) const {
    return encoder_(embed(batch, token_types), batch.row_splits, {}, weights);
  }

  /// The hidden state of the first token of each sequence   // [B, D] from [N, D]
  [[nodiscard]] static Variable<T> first_rows(const Variable<T>& hidden, const RowSplits& splits) {
    return detail::first_rows(hidden, splits, "bert");
  }

  /// What the first token of each sequence, "[CLS]", says of all of it   // [B, D] from [N, D]
  [[nodiscard]] Variable<T> pooled(const Variable<T>& hidden, const RowSplits& splits) const {
    return detail::require_part(pooler_, "bert", "pooler")(first_rows(hidden, splits), Activation::tanh);
  }
  /// Scores of every token to stand there, before softmax   // [N, V] from [N, D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const {
    const MaskedLanguageHead<T>& head = detail::require_part(masked_language_, "bert", "masked-language head");
    return linear<T>(head(hidden), embedding_.weight(), head.bias());
  }
  /// The same of tokens   // [N, V]
  [[nodiscard]] Variable<T> operator()(const TokenBatch& batch, std::span<const std::int32_t> token_types = {}) const {
    return logits(hidden(batch, token_types));
  }
  /// Scores that the second sentence follows the first (column 0) or does not (1)   // [B, 2] from [N, D]
  [[nodiscard]] Variable<T> next_sentence_logits(const Variable<T>& hidden, const RowSplits& splits) const {
    return detail::require_part(next_sentence_, "bert", "next-sentence head")(pooled(hidden, splits));
  }
  /// Scores of the config's labels: of sequences, [B, labels], or of tokens, [N, labels], from hidden states [N, D]
  [[nodiscard]] Variable<T> class_logits(const Variable<T>& hidden, const RowSplits& splits) const {
    const Linear<T>& head = detail::require_part(classifier_, "bert", "classification head");
    const float rate = config_.classifier_dropout.value_or(config_.dropout);
    return head(dropout(config_.labels_tokens() ? hidden : pooled(hidden, splits), rate));
  }
  /// Scores of each token to begin (column 0) and to end (1) the answer to the question   // [N, 2] from [N, D]
  [[nodiscard]] Variable<T> question_logits(const Variable<T>& hidden) const {
    return detail::require_part(question_, "bert", "head for questions")(hidden);
  }

  /// Mean cross-entropy of the hidden tokens; [N, V] is never stored. With `is_random`, of each sequence 0 where its
  /// second sentence follows the first and 1 where it does not, plus the mean cross-entropy of that.
  [[nodiscard]] Variable<T> loss(const LanguageBatch& batch, std::span<const std::int32_t> token_types = {},
                                 std::span<const std::int32_t> is_random = {},
                                 const CrossEntropyOptions& options = {}) const {
    const MaskedLanguageHead<T>& head = detail::require_part(masked_language_, "bert", "masked-language head");
    const Variable<T> all = hidden(batch.input, token_types);
    const Variable<T> asked = batch.rows.empty() ? all : gather_rows<T>(all, batch.rows);
    const Variable<T> masked =
        linear_cross_entropy<T>(head(asked), embedding_.weight(), head.bias(), batch.targets, options);
    if (is_random.empty()) return masked;
    return add(masked, cross_entropy(next_sentence_logits(all, batch.input.row_splits), is_random));
  }

  /// The loss of the labels' scores, see `label_loss`. A template, so that a batch in braces is a LanguageBatch.
  template <std::same_as<LabelledText> Batch>
  [[nodiscard]] Variable<T> loss(const Batch& batch, const CrossEntropyOptions& options = {}) const {
    const Variable<T> scores = class_logits(hidden(batch.input, batch.token_types), batch.input.row_splits);
    return label_loss(scores, batch, config_.problem, options);
  }
  /// The loss of the answers' places, see `question_loss`.
  template <std::same_as<QuestionBatch> Batch>
  [[nodiscard]] Variable<T> loss(const Batch& batch) const {
    return question_loss(question_logits(hidden(batch.input, batch.token_types)), batch);
  }

  [[nodiscard]] const BertConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("positions", self.positions_);
    visitor("token_types", self.token_types_);
    visitor("norm", self.norm_);
    visitor("encoder", self.encoder_);
    visitor("pooler", self.pooler_);
    visitor("masked_language", self.masked_language_);
    visitor("next_sentence", self.next_sentence_);
    visitor("classifier", self.classifier_);
    visitor("question", self.question_);
  }

 private:
  /// Makes the layers, whose random values the public constructor draws.
  Bert(const BertConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        embedding_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        positions_(config.positions, config.d_model, rng),
        token_types_(config.token_types, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        norm_(config.d_model, config.norm_epsilon),
        encoder_(config.layers, config.layer(), /*final_norm=*/false, rng) {
    const Index d = config.d_model, classes = static_cast<Index>(config.labels.size());
    if (config.pooler) pooler_.emplace(d, d, rng);
    if (config.masked_language_head) {
      masked_language_.emplace(MaskedLanguageHeadOptions{.d_model = d,
                                                         .embedding_width = d,
                                                         .vocabulary = config.vocabulary,
                                                         .activation = config.activation,
                                                         .norm_epsilon = config.norm_epsilon},
                               rng);
    }
    if (config.next_sentence_head) next_sentence_.emplace(d, Index{2}, rng);
    if (classes > 0) classifier_.emplace(d, classes, rng);
    if (config.question_head) question_.emplace(d, Index{2}, rng);
  }

  /// Dropout(LayerNorm(token + position + type))   // [N, D]
  [[nodiscard]] Variable<T> embed(const TokenBatch& batch, std::span<const std::int32_t> token_types) const {
    require_row_splits(batch, "bert");
    require<ShapeError>(token_types.empty() || static_cast<Index>(token_types.size()) == batch.size(), "bert",
                        token_types.size(), " token types for ", batch.size(), " tokens");
    const std::vector<std::int32_t> zeros(token_types.empty() ? batch.tokens.size() : 0, 0);
    Variable<T> x = positions_(embedding_(batch.tokens), batch.row_splits);
    x = add_rows<T>(std::move(x), token_types_.weight(), token_types.empty() ? std::span(zeros) : token_types);
    return dropout(norm_(x), config_.dropout);
  }

  BertConfig config_;
  Embedding<T> embedding_;
  LearnedPositionalEncoding<T> positions_;
  Embedding<T> token_types_;
  LayerNorm<T> norm_;
  Encoder<T> encoder_;
  std::optional<Linear<T>> pooler_;
  std::optional<MaskedLanguageHead<T>> masked_language_;
  std::optional<Linear<T>> next_sentence_;
  std::optional<Linear<T>> classifier_;
  std::optional<Linear<T>> question_;
};
static_assert(Module<Bert<float>>);

template <class... Arguments>
Bert(const BertConfig&, Arguments&&...) -> Bert<float>;

}}  // namespace rapt::RAPT_ABI
