/// \file
/// BERT: the Transformer's encoder alone, which learns to fill in words that were hidden and to tell whether one
/// sentence follows another (Devlin et al. 2019). What differs from transformer.hpp: no decoder; learned positions;
/// a learned vector that tells the first sentence from the second; a norm over the embeddings' sum; GELU. RoBERTa,
/// DistilBERT, ELECTRA and ALBERT are BERTs of other settings, see BertFamily.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/models/bert_config.hpp"
#include "rapt/models/encoder_heads.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

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
  Bert(const BertConfig& config, Rng& rng) : Bert(config, rng, [](const std::string&) { return true; }) {}
  /// As above, but draws only the matrices whose names `is_drawn` accepts, with the values that they would have if all
  /// were drawn. The others have no elements until they are given values.
  template <std::predicate<const std::string&> IsDrawn>
  Bert(const BertConfig& config, Rng& rng, const IsDrawn& is_drawn) : Bert(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      if (is_drawn(name)) {
        parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, 0.02);
      } else {
        std::ignore = rng.next_stream();
      }
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
    const Linear<T>& pooler = detail::require_part(pooler_, "bert", "pooler");
    return pooler(dropout(first_rows(hidden, splits), config_.pooler_dropout()), config_.pooler_activation());
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
  /// Scores that the second sentence follows the first (column 0) or does not (1); of ALBERT, that the two are in order
  /// or exchanged   // [B, 2] from [N, D]
  [[nodiscard]] Variable<T> next_sentence_logits(const Variable<T>& hidden, const RowSplits& splits) const {
    const Linear<T>& head = detail::require_part(next_sentence_, "bert", "next-sentence head");
    const float rate = config_.family == BertFamily::albert ? config_.label_dropout() : 0.f;
    return head(dropout(pooled(hidden, splits), rate));
  }
  /// Scores of each token to be another one than in the text, before a sigmoid   // [N, 1] from [N, D]
  [[nodiscard]] Variable<T> replaced_token_logits(const Variable<T>& hidden) const {
    return detail::require_part(replaced_token_, "bert", "head for replaced tokens")(hidden);
  }
  /// Scores of the config's labels: of sequences, [B, labels], or of tokens, [N, labels], from hidden states [N, D]
  [[nodiscard]] Variable<T> class_logits(const Variable<T>& hidden, const RowSplits& splits) const {
    const Linear<T>& head = detail::require_part(classifier_, "bert", "classification head");
    return head(dropout(config_.labels_tokens() ? hidden : pooled(hidden, splits), config_.label_dropout()));
  }
  /// Scores of each token to begin (column 0) and to end (1) the answer to the question   // [N, 2] from [N, D]
  [[nodiscard]] Variable<T> question_logits(const Variable<T>& hidden) const {
    const Linear<T>& head = detail::require_part(question_, "bert", "head for questions");
    return head(dropout(hidden, config_.question_dropout));
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

  /// The loss of the labels' scores, see `label_loss`, or of replaced tokens, for each of which the batch has the label
  /// 1 and for each of the others 0, see `replaced_token_loss`. A template, so that a batch in braces is a
  /// LanguageBatch.
  template <std::same_as<LabelledText> Batch>
  [[nodiscard]] Variable<T> loss(const Batch& batch, const CrossEntropyOptions& options = {}) const {
    const Variable<T> all = hidden(batch.input, batch.token_types);
    if (config_.replaced_token_head) return replaced_token_loss(replaced_token_logits(all), batch.labels);
    return label_loss(class_logits(all, batch.input.row_splits), batch,
                      detail::problem_of(batch, config_.labels_tokens(), config_.problem), options);
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
    visitor("projection", self.projection_);
    visitor("encoder", self.encoder_);
    visitor("pooler", self.pooler_);
    visitor("masked_language", self.masked_language_);
    visitor("next_sentence", self.next_sentence_);
    visitor("replaced_token", self.replaced_token_);
    visitor("classifier", self.classifier_);
    visitor("question", self.question_);
  }

 private:
  /// Makes the layers, whose random values the public constructor draws.
  Bert(const BertConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        embedding_(config.vocabulary, config.width_of_embeddings(), rng, {.scale_by_sqrt_d_model = false}),
        positions_(config.first_position() + config.positions, config.width_of_embeddings(), rng),
        token_types_(types(config, rng)),
        norm_(config.width_of_embeddings(), config.norm_epsilon),
        encoder_(config.blocks(), config.layer(), /*final_norm=*/false, rng, config.layers / config.blocks()) {
    const Index d = config.d_model, classes = static_cast<Index>(config.labels.size());
    if (config.pooler) pooler_.emplace(d, d, rng);
    if (config.masked_language_head) masked_language_.emplace(config.masked_language_options(), config.vocabulary, rng);
    if (config.next_sentence_head) next_sentence_.emplace(d, Index{2}, rng);
    if (classes > 0) classifier_.emplace(d, classes, rng);
    if (config.question_head) question_.emplace(d, Index{2}, rng);
    if (config.replaced_token_head) replaced_token_.emplace(d, config.activation, rng);
    if (config.embedding_width) projection_.emplace(*config.embedding_width, d, rng);
  }
  [[nodiscard]] static std::optional<Embedding<T>> types(const BertConfig& config, Rng& rng) {
    if (config.token_types == 0) return std::nullopt;
    return Embedding<T>(config.token_types, config.width_of_embeddings(), rng, {.scale_by_sqrt_d_model = false});
  }

  /// Dropout(LayerNorm(token + position + type)), projected if it is not as wide as the layers   // [N, D]
  [[nodiscard]] Variable<T> embed(const TokenBatch& batch, std::span<const std::int32_t> token_types) const {
    require_row_splits(batch, "bert");
    require<ShapeError>(token_types.empty() || std::ssize(token_types) == batch.size(), "bert", token_types.size(),
                        " token types for ", batch.size(), " tokens");
    Variable<T> x = embedding_(batch.tokens);
    x = config_.is_roberta() ? positions_(std::move(x), roberta_positions(batch))
                             : positions_(std::move(x), batch.row_splits);
    if (token_types_) {
      const std::vector<std::int32_t> zeros(token_types.empty() ? batch.tokens.size() : 0, 0);
      x = add_rows<T>(std::move(x), token_types_->weight(), token_types.empty() ? std::span(zeros) : token_types);
    } else {
      detail::require_no_token_types(token_types, batch.size(), "bert");
    }
    x = dropout(norm_(x), config_.dropout);
    return projection_ ? (*projection_)(x) : x;
  }

  /// The row of each token's position. As in RoBERTa's code a padding token has the row of its number, and the others
  /// count from behind it, without those that are padding   // [N]
  [[nodiscard]] std::vector<std::int32_t> roberta_positions(const TokenBatch& batch) const {
    const RowSplits& splits = batch.row_splits;
    require(splits.longest() <= config_.positions, "bert", "a sequence has ", splits.longest(),
            " tokens, the table of learned positions is for ", config_.positions);
    const TokenId padding = *config_.padding_token;
    std::vector<std::int32_t> rows;
    rows.reserve(batch.tokens.size());
    for (Index s = 0; s < splits.sequences(); ++s) {
      std::int32_t last = padding;
      for (const TokenId token : batch.sequence(s)) rows.push_back(token == padding ? padding : ++last);
    }
    return rows;
  }

  BertConfig config_;
  Embedding<T> embedding_;
  LearnedPositionalEncoding<T> positions_;
  std::optional<Embedding<T>> token_types_;
  LayerNorm<T> norm_;
  std::optional<Linear<T>> projection_;
  Encoder<T> encoder_;
  std::optional<Linear<T>> pooler_;
  std::optional<MaskedLanguageHead<T>> masked_language_;
  std::optional<Linear<T>> next_sentence_;
  std::optional<ReplacedTokenHead<T>> replaced_token_;
  std::optional<Linear<T>> classifier_;
  std::optional<Linear<T>> question_;
};
static_assert(Module<Bert<float>>);

template <class... Arguments>
Bert(const BertConfig&, Arguments&&...) -> Bert<float>;

}}  // namespace rapt::RAPT_ABI
