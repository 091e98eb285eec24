/// \file
/// ModernBERT (Warner et al. 2024): BERT with what decoders have learned since. What differs from bert.hpp: rotary
/// positions; norms before sublayers, without biases, and none before the first layer's attention; gated feed-forward
/// networks; layers with a window and a rotary base of their own between global ones.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/mean_rows.hpp"
#include "rapt/models/encoder_heads.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/models/modern_bert_config.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/stack.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The encoder and whichever head the config names. A const model may be used from many threads.
///
/// ```cpp
/// const auto model = rapt::from_pretrained<rapt::ModernBert<float>>("ModernBERT-base");
/// const auto hidden = model.hidden(batch);    // [N, D]
/// const auto scores = model.logits(hidden);   // [N, V]: what stands at "[MASK]"?
/// ```
template <class T = float>
class ModernBert {
 public:
  using ScalarType = T;
  using Config = ModernBertConfig;
  /// Its blocks: rotary positions, gated feed-forward networks.
  using Blocks =
      Stack<T,
            BlockKinds{
                .rotary = true, .query_key_norm = false, .rms_norm = false, .gated = true, .scaled_residuals = false}>;

  /// Matrices normal with the config's standard deviation. Throws ValueError for a config that does not fit.
  ModernBert(const ModernBertConfig& config, Rng& rng) : ModernBert(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string&, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, config.init_std);
    });
  }

  /// The last hidden state   // [N, D]
  /// `token_types`, which other encoders tell, must all be 0. If not empty, `weights[i]` receives layer i's attention
  /// probabilities; its size must be the number of layers.
  [[nodiscard]] Variable<T> hidden(const TokenBatch& batch, std::span<const std::int32_t> token_types = {},
                                   std::span<Tensor<T>> weights = {}) const {
    require_row_splits(batch, kWhere);
    detail::require_no_token_types(token_types, batch.size(), kWhere);
    Variable<T> x = dropout(norm_(embedding_(batch.tokens)), config_.embedding_dropout);
    return layers_(std::move(x), batch.row_splits, {.weights = weights});
  }

  /// Scores of every token to stand there, before softmax   // [N, V] from [N, D]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const {
    require_masked_language_head();
    return linear<T>((*head_)(hidden), embedding_.weight(), vocabulary_bias_);
  }
  /// The same of tokens   // [N, V]
  [[nodiscard]] Variable<T> operator()(const TokenBatch& batch) const { return logits(hidden(batch)); }
  /// Scores of the config's labels: of sequences, [B, labels], or of tokens, [N, labels], from hidden states [N, D]
  [[nodiscard]] Variable<T> class_logits(const Variable<T>& hidden, const RowSplits& splits) const {
    const Linear<T>& classifier = detail::require_part(classifier_, kWhere, "classification head");
    return classifier(transformed(config_.token_labels ? hidden : pooled(hidden, splits)));
  }
  /// Scores of each token to begin (column 0) and to end (1) the answer to the question   // [N, 2] from [N, D]
  [[nodiscard]] Variable<T> question_logits(const Variable<T>& hidden) const {
    return detail::require_part(question_, kWhere, "head for questions")(transformed(hidden));
  }

  /// Mean cross-entropy of the hidden tokens; [N, V] is never stored.
  [[nodiscard]] Variable<T> loss(const LanguageBatch& batch, const CrossEntropyOptions& options = {}) const {
    require_masked_language_head();
    const Variable<T> all = hidden(batch.input);
    const Variable<T> asked = batch.rows.empty() ? all : gather_rows<T>(all, batch.rows);
    return linear_cross_entropy<T>((*head_)(asked), embedding_.weight(), vocabulary_bias_, batch.targets, options);
  }
  /// The loss of the labels' scores, see `label_loss`. A template, so that a batch in braces is a LanguageBatch.
  template <std::same_as<LabelledText> Batch>
  [[nodiscard]] Variable<T> loss(const Batch& batch, const CrossEntropyOptions& options = {}) const {
    const Variable<T> scores = class_logits(hidden(batch.input, batch.token_types), batch.input.row_splits);
    return label_loss(scores, batch, detail::problem_of(batch, config_.token_labels, config_.problem), options);
  }
  /// The loss of the answers' places, see `question_loss`.
  template <std::same_as<QuestionBatch> Batch>
  [[nodiscard]] Variable<T> loss(const Batch& batch) const {
    return question_loss(question_logits(hidden(batch.input, batch.token_types)), batch);
  }

  [[nodiscard]] const ModernBertConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("embedding_norm", self.norm_);
    Blocks::visit(self.layers_, visitor);
    visitor("head", self.head_);
    visitor("vocabulary_bias", self.vocabulary_bias_);
    visitor("classifier", self.classifier_);
    visitor("question", self.question_);
  }

 private:
  static constexpr std::string_view kWhere = "modern_bert";

  /// Makes the layers, whose random values the public constructor draws.
  ModernBert(const ModernBertConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        embedding_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        norm_(config.d_model, config.norm_epsilon, config.norm_bias),
        layers_(
            config.layers, [&](Index i) { return config.block(i); }, /*final_norm=*/true, rng) {
    const Index classes = std::ssize(config.labels);
    if (config.has_head()) head_.emplace(config.head(), rng);
    if (config.masked_language_head && config.vocabulary_bias) {
      vocabulary_bias_ = Parameter<T>(init::constant<T>(Shape{config.vocabulary}, T(0)));
    }
    if (classes > 0) classifier_.emplace(config.d_model, classes, rng);
    if (config.question_head) question_.emplace(config.d_model, Index{2}, rng);
  }

  void require_masked_language_head() const {
    require(config_.masked_language_head, kWhere, "the model has no masked-language head");
  }
  /// The first token's hidden state, or the mean of all   // [B, D] from [N, D]
  [[nodiscard]] Variable<T> pooled(const Variable<T>& hidden, const RowSplits& splits) const {
    return config_.mean_pooling ? mean_rows(hidden, splits) : detail::first_rows(hidden, splits, kWhere);
  }
  /// What the maps onto labels and places read.
  [[nodiscard]] Variable<T> transformed(const Variable<T>& hidden) const {
    return dropout((*head_)(hidden), config_.classifier_dropout);
  }

  ModernBertConfig config_;
  Embedding<T> embedding_;
  LayerNorm<T> norm_;
  Blocks layers_;
  std::optional<HiddenTransform<T>> head_;
  Parameter<T> vocabulary_bias_;
  std::optional<Linear<T>> classifier_, question_;
};
static_assert(Module<ModernBert<float>>);

template <class... Arguments>
ModernBert(const ModernBertConfig&, Arguments&&...) -> ModernBert<float>;

}}  // namespace rapt::RAPT_ABI
