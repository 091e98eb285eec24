/// \file
/// BART (Lewis et al. 2020) and the models that are made like it: mBART (Liu et al. 2020), Pegasus (Zhang et al. 2020),
/// M2M100 (Fan et al. 2021) and NLLB's dense models (NLLB Team 2022), with the conventions of Hugging Face, where they
/// are published. All are the paper's Transformer with one vocabulary and one matrix for both embeddings and the
/// output; they differ in their positions, in the place of the norms, and in a norm of the embeddings.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/models/encoder_heads.hpp"
#include "rapt/models/marked_transformer.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/nn/linear.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The models, by Hugging Face's name of their type.
enum class BartFamily {
  bart,     ///< learned positions, a norm of the embeddings, norms behind the sublayers
  mbart,    ///< learned positions, a norm of the embeddings, norms before the sublayers and behind the stacks
  pegasus,  ///< sinusoids in halves, norms before the sublayers and behind the stacks
  m2m_100,  ///< tensor2tensor's sinusoids, norms before the sublayers and behind the stacks; NLLB is one
};
[[nodiscard]] constexpr auto named_values(BartFamily) {
  using enum BartFamily;
  return std::to_array<NamedValue<BartFamily>>(
      {{"bart", bart}, {"mbart", mbart}, {"pegasus", pegasus}, {"m2m_100", m2m_100}});
}

/// Everything that makes a Bart. Defaults are those of Hugging Face's BartConfig, the shape of facebook/bart-large.
struct BartConfig {
  BartFamily family = BartFamily::bart;
  Index vocabulary = 50265;
  Index d_model = 1024;
  Index encoder_layers = 12;
  Index decoder_layers = 12;
  Index encoder_heads = 16;
  Index decoder_heads = 16;
  Index encoder_d_ff = 4096;
  Index decoder_d_ff = 4096;
  Activation activation = Activation::gelu;
  float dropout = 0.1f;            ///< of embeddings and of each sublayer's output
  float attention_dropout = 0.f;   ///< of the attention weights
  float activation_dropout = 0.f;  ///< inside of the feed-forward networks
  float classifier_dropout = 0.f;  ///< of what the two maps of the classification head read
  bool scale_embeddings = false;   ///< embeddings are multiplied by sqrt(d_model)
  Index positions = 1024;          ///< the longest target; where positions are learned, the longest source, too
  /// A bias of the output projection. Hugging Face keeps it fixed in training; here it is learned with the rest. A
  /// model with labels has none, whatever stands here.
  bool output_bias = true;
  /// The classes of a classification head of bart and mbart; empty: there is no such head.
  std::vector<std::string> labels = {};
  std::optional<LabelProblem> problem = {};  ///< what the labels' scores mean; unset: see `label_loss`
  TokenId begin_token = 2;                   ///< what the decoder reads first
  std::vector<TokenId> end_tokens = {2};     ///< what ends a target, and the source
  /// The padding token of other programs, which is a token like others here. The positions of m2m_100 begin behind its
  /// id; transformers gives a padding token inside of a text of m2m_100 no position and does not count it, here it has
  /// one and is counted.
  std::optional<TokenId> pad_token = 1;
  /// Hugging Face's generate ends with one of them what reaches the maximum length. Searches do so if they are asked to
  /// (GenerationOptions::forced_ends); else they cut it off.
  std::vector<TokenId> forced_end_tokens = {2};
  std::optional<TokenId> forced_begin_token = {};  ///< what every target begins with
  std::vector<TokenId> suppressed_tokens = {};     ///< are never generated

  [[nodiscard]] bool has_learned_positions() const { return family == BartFamily::bart || family == BartFamily::mbart; }

  /// The same as a Transformer.
  [[nodiscard]] TransformerConfig transformer() const {
    TransformerConfig config{.source_vocabulary = vocabulary,
                             .target_vocabulary = vocabulary,
                             .d_model = d_model,
                             .heads = encoder_heads,
                             .d_ff = encoder_d_ff,
                             .encoder_layers = encoder_layers,
                             .decoder_layers = decoder_layers,
                             .decoder_heads = decoder_heads,
                             .decoder_d_ff = decoder_d_ff,
                             .dropout = dropout,
                             .attention_dropout = attention_dropout,
                             .activation_dropout = activation_dropout,
                             .activation = activation,
                             .norm = family == BartFamily::bart ? NormPlacement::post : NormPlacement::pre,
                             .scale_embeddings = scale_embeddings,
                             .output_bias = output_bias && labels.empty(),
                             .embedding_norm = has_learned_positions()};
    if (has_learned_positions()) {
      config.learned_positions = positions;
      config.unused_positions = 2;
    } else if (family == BartFamily::pegasus) {
      config.positions = {.layout = SinusoidLayout::halves};
    } else {
      config.positions = {.layout = SinusoidLayout::concatenated, .first_position = pad_token.value_or(0) + Index{1}};
    }
    return config;
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "bart";
    require(decoder_heads > 0 && decoder_d_ff > 0 && positions > 0, kWhere, "sizes must be positive: decoder_heads ",
            decoder_heads, ", decoder_d_ff ", decoder_d_ff, ", positions ", positions);
    require(family != BartFamily::m2m_100 || pad_token.value_or(-1) >= 0, kWhere,
            "m2m_100 needs a pad_token, behind whose id its positions begin: ", pad_token.value_or(-1));
    require(family != BartFamily::m2m_100 || !output_bias, kWhere,
            "m2m_100 has no bias of the output projection: output_bias is true");
    require(labels.empty() || has_learned_positions(), kWhere,
            "bart and mbart alone have a classification head: labels has ", labels.size(), " names");
    detail::require_dropout({classifier_dropout}, kWhere);
    transformer().validate();
    require(begin_token >= 0 && begin_token < vocabulary, kWhere, "begin_token ", begin_token,
            " is outside the vocabulary of ", vocabulary);
  }

  /// Columns of the sinusoids, which are computed when a model is made, and are in no file.
  [[nodiscard]] Index table_columns() const { return has_learned_positions() ? 0 : d_model; }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "bart";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    field("family", self.family);
    field("vocabulary", self.vocabulary);
    field("d_model", self.d_model);
    field("encoder_layers", self.encoder_layers);
    field("decoder_layers", self.decoder_layers);
    field("encoder_heads", self.encoder_heads);
    field("decoder_heads", self.decoder_heads);
    field("encoder_d_ff", self.encoder_d_ff);
    field("decoder_d_ff", self.decoder_d_ff);
    field("activation", self.activation);
    field("dropout", self.dropout);
    field("attention_dropout", self.attention_dropout);
    field("activation_dropout", self.activation_dropout);
    field("classifier_dropout", self.classifier_dropout);
    field("scale_embeddings", self.scale_embeddings);
    field("positions", self.positions);
    field("output_bias", self.output_bias);
    field("labels", self.labels);
    field("problem", self.problem);
    field("begin_token", self.begin_token);
    field("end_tokens", self.end_tokens);
    field("pad_token", self.pad_token);
    field("forced_end_tokens", self.forced_end_tokens);
    field("forced_begin_token", self.forced_begin_token);
    field("suppressed_tokens", self.suppressed_tokens);
  }
};

/// What BART's classifier makes of one vector for each sequence: W_2 Dropout(tanh(W_1 Dropout(x)))
template <class T = float>
class BartClassificationHead {
 public:
  BartClassificationHead(const BartConfig& config, Rng& rng)
      : dense_(config.d_model, config.d_model, rng),
        out_proj_(config.d_model, std::ssize(config.labels), rng),
        dropout_(config.classifier_dropout) {}

  /// [B, labels] from [B, D]
  [[nodiscard]] Variable<T> operator()(Variable<T> x) const {
    return out_proj_(dropout(dense_(dropout(std::move(x), dropout_), Activation::tanh), dropout_));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("dense", self.dense_);
    visitor("out_proj", self.out_proj_);
  }

 private:
  Linear<T> dense_, out_proj_;
  float dropout_;
};
static_assert(Module<BartClassificationHead<float>>);

/// A Transformer under BART's conventions. Sources end with an end token, as BART's tokenizer writes them. A const
/// model may be used from many threads.
///
/// A multilingual model is told the target's language by the token with which the target begins: the first token that
/// the decoder reads (mBART), or the one behind it (mBART-50, M2M100, NLLB). One request may ask for another language
/// than the config's:
///
/// ```cpp
/// const auto nllb = rapt::from_pretrained<rapt::Bart<float>>("nllb-200-distilled-600M");
/// rapt::SequenceMarks marks = nllb.sequence_marks();
/// marks.forced_begin = tokenizer.id("deu_Latn");
/// auto found = rapt::beam_search(nllb, source, {}, {.marks = marks});
/// ```
template <class T = float>
class Bart : public MarkedTransformer<BartConfig, T> {
 public:
  using Base = MarkedTransformer<BartConfig, T>;

  /// Weights as the Transformer's; throws ValueError for a config that does not fit.
  Bart(const BartConfig& config, Rng& rng) : Base(config, rng) {
    if (!config.labels.empty()) classification_head_.emplace(config, rng);
  }

  /// Scores of the config's labels for each source   // [B, labels]
  /// The decoder reads the source without its last token, behind the begin token or, in mBART, behind that last token,
  /// which is the language's. The head reads the decoder's last hidden state at the last end token of the source.
  /// Throws ValueError for a source without one.
  [[nodiscard]] Variable<T> class_logits(const TokenBatch& source) const {
    const auto& head = detail::require_part(classification_head_, "bart", "classification head");
    require_row_splits(source, "bart");
    const BartConfig& config = this->config();
    TokenBatch target = source;
    std::vector<std::int32_t> rows;
    for (Index s = 0; s < source.sequences(); ++s) {
      const Index begin = source.row_splits.begin(s);
      Index last = source.row_splits.end(s) - 1;
      const auto is_end = [&](TokenId token) {
        return std::find(config.end_tokens.begin(), config.end_tokens.end(), token) != config.end_tokens.end();
      };
      while (last >= begin && !is_end(at(source.tokens, last))) --last;
      require(last >= begin, "bart", "sequence ", s, " has no end token, at which the classification head reads");
      rows.push_back(static_cast<std::int32_t>(last));
      const Index end = source.row_splits.end(s);
      at(target.tokens, begin) = config.family == BartFamily::mbart ? at(source.tokens, end - 1) : config.begin_token;
      for (Index i = begin + 1; i < end; ++i) at(target.tokens, i) = at(source.tokens, i - 1);
    }
    return head(gather_rows<T>(this->hidden(source, target), rows));
  }

  using Base::loss;
  /// The loss of the labels' scores, see `label_loss`. Token types, if there are any, must be 0.
  [[nodiscard]] Variable<T> loss(const LabelledText& batch, const CrossEntropyOptions& options = {}) const {
    detail::require_no_token_types(batch.token_types, batch.input.size(), "bart");
    return label_loss(class_logits(batch.input), batch, this->config().problem, options);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    Base::visit(self, visitor);
    visitor("classification_head", self.classification_head_);
  }

 private:
  std::optional<BartClassificationHead<T>> classification_head_;
};
static_assert(Module<Bart<float>>);

template <class... Arguments>
Bart(const BartConfig&, Arguments&&...) -> Bart<float>;

}}  // namespace rapt::RAPT_ABI
