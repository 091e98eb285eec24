/// \file
/// Marian (Junczys-Dowmunt et al. 2018): the paper's Transformer as it is used for translation, with the conventions of
/// Hugging Face's MarianMT, in which the OPUS-MT models are published. What differs from the paper: sines and cosines
/// stand in the two halves of the code, the output projection has a bias, and the vocabulary has a padding token.
#pragma once

#include <algorithm>
#include <limits>

#include "rapt/models/transformer.hpp"
#include "rapt/nn/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a Marian. Defaults are those of Hugging Face's MarianConfig: a config.json leaves them out,
/// but for tokens, of which an absent key means none.
struct MarianConfig {
  Index vocabulary = 58101;                     ///< of the source, and of both where embeddings are shared
  std::optional<Index> target_vocabulary = {};  ///< unset: the same
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
  bool scale_embeddings = false;   ///< embeddings are multiplied by sqrt(d_model)
  Index positions = 1024;          ///< the longest translation; the sinusoids have no end
  bool tie_embeddings = true;      ///< one matrix for both embeddings; needs tie_output
  bool tie_output = true;          ///< the target embedding is the output projection, too
  /// A bias of the output projection. Hugging Face keeps it fixed in training; here it is learned with the rest.
  bool output_bias = true;
  TokenId begin_token = 58100;               ///< what the decoder reads first: in OPUS-MT the padding token
  std::vector<TokenId> end_tokens = {0};     ///< what ends a translation, and the source
  std::optional<TokenId> pad_token = 58100;  ///< is never generated
  /// Hugging Face's generate ends with it what reaches the maximum length; here that is cut off.
  std::vector<TokenId> forced_end_tokens = {0};
  std::optional<TokenId> forced_begin_token = {};  ///< what every translation begins with
  std::vector<TokenId> suppressed_tokens = {};     ///< are never generated

  /// The OPUS-MT models (Tiedemann and Thottingal 2020): the paper's base model with SiLU. The last token pads.
  [[nodiscard]] static MarianConfig opus_mt(Index vocabulary = 58101) {
    const auto pad = static_cast<TokenId>(vocabulary - 1);
    return {.vocabulary = vocabulary,
            .d_model = 512,
            .encoder_layers = 6,
            .decoder_layers = 6,
            .encoder_heads = 8,
            .decoder_heads = 8,
            .encoder_d_ff = 2048,
            .decoder_d_ff = 2048,
            .activation = Activation::silu,
            .scale_embeddings = true,
            .positions = 512,
            .begin_token = pad,
            .pad_token = pad};
  }

  /// The same as a Transformer.
  [[nodiscard]] TransformerConfig transformer() const {
    return {.source_vocabulary = vocabulary,
            .target_vocabulary = target_vocabulary.value_or(vocabulary),
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
            .tie_embeddings = tie_embeddings,
            .tie_output = tie_output,
            .scale_embeddings = scale_embeddings,
            .output_bias = output_bias,
            .positions = {.layout = SinusoidLayout::halves}};
  }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    constexpr std::string_view kWhere = "marian";
    require(decoder_heads > 0 && decoder_d_ff > 0 && positions > 0, kWhere, "sizes must be positive: decoder_heads ",
            decoder_heads, ", decoder_d_ff ", decoder_d_ff, ", positions ", positions);
    require(tie_output || !tie_embeddings, kWhere,
            "shared embeddings with an output matrix of its own are not possible: tie_embeddings is true, tie_output "
            "false");
    transformer().validate();
    const Index tokens = target_vocabulary.value_or(vocabulary);
    require(begin_token >= 0 && begin_token < tokens, kWhere, "begin_token ", begin_token,
            " is outside the target vocabulary of ", tokens);
  }

  /// Whether the padding token is never generated: not where it is an end token, too.
  [[nodiscard]] bool suppresses_padding() const {
    return pad_token && std::find(end_tokens.begin(), end_tokens.end(), *pad_token) == end_tokens.end();
  }

  /// What the folder's files tell: a bare model has no bias.
  template <class Contains>
  void detect_heads(const Contains& contains) {
    output_bias = contains("final_logits_bias");
  }

  /// What Hugging Face calls this model and its settings, in config.json.
  static constexpr std::string_view kModelType = "marian", kArchitecture = "MarianMTModel", kBasePrefix = "model.";
  template <class Self, class Visitor>
  static void visit_keys(Self& self, Visitor&& key) {
    key("vocab_size", self.vocabulary);
    key("decoder_vocab_size", self.target_vocabulary);
    key("d_model", self.d_model);
    key("encoder_layers", self.encoder_layers);
    key("decoder_layers", self.decoder_layers);
    key("encoder_attention_heads", self.encoder_heads);
    key("decoder_attention_heads", self.decoder_heads);
    key("encoder_ffn_dim", self.encoder_d_ff);
    key("decoder_ffn_dim", self.decoder_d_ff);
    key("activation_function", self.activation);
    key("dropout", self.dropout);
    key("attention_dropout", self.attention_dropout);
    key("activation_dropout", self.activation_dropout);
    key("scale_embedding", self.scale_embeddings);
    key("max_position_embeddings", self.positions);
    key("share_encoder_decoder_embeddings", self.tie_embeddings);
    key("tie_word_embeddings", self.tie_output);
    visit_token_keys(self, key);
    key("pad_token_id", self.pad_token);
    if constexpr (std::is_const_v<Self>) {  // without the key transformers would pad with 58100
      if (!self.pad_token) key.constant("pad_token_id", -1);
    }
    key.must_be("is_encoder_decoder", true);
    key.must_be("normalize_before", false);  // of the time when Marian was a kind of BART
    key.must_be("normalize_embedding", false);
    key.must_be("add_final_layer_norm", false);
  }
  /// The tokens that are keys of config.json and of generation_config.json, and those of the latter alone.
  template <class Self, class Visitor>
  static void visit_token_keys(Self& self, const Visitor& key) {
    if constexpr (!std::is_const_v<Self>) {
      std::optional<TokenId> begin, start;
      key("bos_token_id", begin);
      key("decoder_start_token_id", start);
      if (!start) start = begin;  // as Hugging Face's generate does
      if (start) self.begin_token = *start;
    } else {
      key("decoder_start_token_id", self.begin_token);
    }
    key("eos_token_id", self.end_tokens);
    key("forced_eos_token_id", self.forced_end_tokens);
  }
  template <class Self, class Visitor>
  static void visit_generation_keys(Self& self, const Visitor& key) {
    visit_token_keys(self, key);
    key.unless_absent("pad_token_id", self.pad_token);
    key("forced_bos_token_id", self.forced_begin_token);
    key.list("suppress_tokens", self.suppressed_tokens);
    if constexpr (std::is_const_v<Self>) {
      if (self.suppresses_padding()) key.constant("bad_words_ids", {{*self.pad_token}});
    }
  }
};

/// A Transformer under Marian's conventions. Sources end with an end token, as Marian's tokenizer writes them. A const
/// model may be used from many threads.
///
/// ```cpp
/// const auto marian = rapt::from_pretrained<rapt::Marian<float>>("opus-mt-en-de");
/// auto found = rapt::beam_search(marian, source);
/// ```
template <class T = float>
class Marian {
 public:
  using ScalarType = T;
  using Config = MarianConfig;
  using State = typename Transformer<T>::State;

  /// Weights as the Transformer's; throws ValueError for a config that does not fit.
  Marian(const MarianConfig& config, Rng& rng) : config_(checked(config)), transformer_(config.transformer(), rng) {}

  /// The memory   // [M, D]
  [[nodiscard]] Variable<T> encode(const TokenBatch& source) const { return transformer_.encode(source); }
  /// The decoder's last hidden state   // [N, D]
  [[nodiscard]] Variable<T> decode(const TokenBatch& target_input, const Variable<T>& memory,
                                   const RowSplits& memory_splits) const {
    return transformer_.decode(target_input, memory, memory_splits);
  }
  /// Scores of every token at every target position, before softmax   // [N, V]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden) const { return transformer_.logits(hidden); }
  /// Logits for target_input given source   // [N, V]
  [[nodiscard]] Variable<T> operator()(const TokenBatch& source, const TokenBatch& target_input) const {
    return transformer_(source, target_input);
  }
  /// Mean label-smoothed cross-entropy of a batch per target token; [N, V] is never stored.
  [[nodiscard]] Variable<T> loss(const TranslationBatch& batch, const CrossEntropyOptions& options = {}) const {
    return transformer_.loss(batch, options);
  }
  /// Where every layer looks.
  [[nodiscard]] AttentionMaps<T> attention_maps(const TokenBatch& source, const TokenBatch& target_input) const {
    return transformer_.attention_maps(source, target_input);
  }

  /// Decoding: a state with one row for each source sequence.
  [[nodiscard]] State start(const TokenBatch& source) const { return transformer_.start(source); }
  /// Feeds one token to every row; returns the logits of the next   // [rows, V]
  /// The padding token has none: Marian itself has no such token, Hugging Face adds one with a row of zeros, whose
  /// logit of zero may well be the largest.
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    Tensor<T> logits = transformer_.step(state, tokens);
    const Index pad = config_.suppresses_padding() ? *config_.pad_token : -1;
    if (pad < 0 || pad >= logits.cols()) return logits;
    for (Index row = 0; row < logits.rows(); ++row) logits(row, pad) = -std::numeric_limits<T>::infinity();
    return logits;
  }

  /// The config's tokens, and the longest translation.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    return {.begin = config_.begin_token,
            .ends = config_.end_tokens,
            .forced_begin = config_.forced_begin_token,
            .suppressed = config_.suppressed_tokens,
            .max_length = config_.positions};
  }

  [[nodiscard]] const MarianConfig& config() const { return config_; }
  [[nodiscard]] const Transformer<T>& transformer() const { return transformer_; }
  [[nodiscard]] Index target_vocabulary() const { return transformer_.target_vocabulary(); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    Transformer<T>::visit(self.transformer_, visitor);
  }

  /// Hugging Face's names. Tied matrices are in a file once or several times.
  [[nodiscard]] static StoredNames stored_names(const MarianConfig& config) {
    std::vector<std::string> tied;
    if (config.tie_output) tied.push_back("lm_head.weight");
    return {
        {"embedding.weight",
         {{"model.shared.weight",
           0,
           {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"}}}},
        {"source_embedding.weight", {{"model.encoder.embed_tokens.weight"}}},
        {"target_embedding.weight", {{"model.decoder.embed_tokens.weight", 0, tied}}},
        {"output.weight", {{"lm_head.weight"}}},
        {"output.bias", {{"final_logits_bias"}}, /*transposed=*/false, /*as_row=*/true},
        {"encoder.layers.*.self_attn.in_proj_weight",
         {{"model.encoder.layers.*.self_attn.q_proj.weight"},
          {"model.encoder.layers.*.self_attn.k_proj.weight"},
          {"model.encoder.layers.*.self_attn.v_proj.weight"}}},
        {"encoder.layers.*.self_attn.in_proj_bias",
         {{"model.encoder.layers.*.self_attn.q_proj.bias"},
          {"model.encoder.layers.*.self_attn.k_proj.bias"},
          {"model.encoder.layers.*.self_attn.v_proj.bias"}}},
        {"encoder.layers.*.self_attn.out_proj.weight", {{"model.encoder.layers.*.self_attn.out_proj.weight"}}},
        {"encoder.layers.*.self_attn.out_proj.bias", {{"model.encoder.layers.*.self_attn.out_proj.bias"}}},
        {"encoder.layers.*.linear1.weight", {{"model.encoder.layers.*.fc1.weight"}}},
        {"encoder.layers.*.linear1.bias", {{"model.encoder.layers.*.fc1.bias"}}},
        {"encoder.layers.*.linear2.weight", {{"model.encoder.layers.*.fc2.weight"}}},
        {"encoder.layers.*.linear2.bias", {{"model.encoder.layers.*.fc2.bias"}}},
        {"encoder.layers.*.norm1.weight", {{"model.encoder.layers.*.self_attn_layer_norm.weight"}}},
        {"encoder.layers.*.norm1.bias", {{"model.encoder.layers.*.self_attn_layer_norm.bias"}}},
        {"encoder.layers.*.norm2.weight", {{"model.encoder.layers.*.final_layer_norm.weight"}}},
        {"encoder.layers.*.norm2.bias", {{"model.encoder.layers.*.final_layer_norm.bias"}}},
        {"decoder.layers.*.self_attn.in_proj_weight",
         {{"model.decoder.layers.*.self_attn.q_proj.weight"},
          {"model.decoder.layers.*.self_attn.k_proj.weight"},
          {"model.decoder.layers.*.self_attn.v_proj.weight"}}},
        {"decoder.layers.*.self_attn.in_proj_bias",
         {{"model.decoder.layers.*.self_attn.q_proj.bias"},
          {"model.decoder.layers.*.self_attn.k_proj.bias"},
          {"model.decoder.layers.*.self_attn.v_proj.bias"}}},
        {"decoder.layers.*.self_attn.out_proj.weight", {{"model.decoder.layers.*.self_attn.out_proj.weight"}}},
        {"decoder.layers.*.self_attn.out_proj.bias", {{"model.decoder.layers.*.self_attn.out_proj.bias"}}},
        {"decoder.layers.*.multihead_attn.in_proj_weight",
         {{"model.decoder.layers.*.encoder_attn.q_proj.weight"},
          {"model.decoder.layers.*.encoder_attn.k_proj.weight"},
          {"model.decoder.layers.*.encoder_attn.v_proj.weight"}}},
        {"decoder.layers.*.multihead_attn.in_proj_bias",
         {{"model.decoder.layers.*.encoder_attn.q_proj.bias"},
          {"model.decoder.layers.*.encoder_attn.k_proj.bias"},
          {"model.decoder.layers.*.encoder_attn.v_proj.bias"}}},
        {"decoder.layers.*.multihead_attn.out_proj.weight", {{"model.decoder.layers.*.encoder_attn.out_proj.weight"}}},
        {"decoder.layers.*.multihead_attn.out_proj.bias", {{"model.decoder.layers.*.encoder_attn.out_proj.bias"}}},
        {"decoder.layers.*.linear1.weight", {{"model.decoder.layers.*.fc1.weight"}}},
        {"decoder.layers.*.linear1.bias", {{"model.decoder.layers.*.fc1.bias"}}},
        {"decoder.layers.*.linear2.weight", {{"model.decoder.layers.*.fc2.weight"}}},
        {"decoder.layers.*.linear2.bias", {{"model.decoder.layers.*.fc2.bias"}}},
        {"decoder.layers.*.norm1.weight", {{"model.decoder.layers.*.self_attn_layer_norm.weight"}}},
        {"decoder.layers.*.norm1.bias", {{"model.decoder.layers.*.self_attn_layer_norm.bias"}}},
        {"decoder.layers.*.norm2.weight", {{"model.decoder.layers.*.encoder_attn_layer_norm.weight"}}},
        {"decoder.layers.*.norm2.bias", {{"model.decoder.layers.*.encoder_attn_layer_norm.bias"}}},
        {"decoder.layers.*.norm3.weight", {{"model.decoder.layers.*.final_layer_norm.weight"}}},
        {"decoder.layers.*.norm3.bias", {{"model.decoder.layers.*.final_layer_norm.bias"}}}};
  }
  /// What a file may hold beside the parameters: the sinusoids.
  [[nodiscard]] static bool is_surplus(const MarianConfig&, std::string_view stored) {
    return stored.ends_with(".embed_positions.weight");
  }

 private:
  static const MarianConfig& checked(const MarianConfig& config) {
    config.validate();
    return config;
  }

  MarianConfig config_;
  Transformer<T> transformer_;
};
static_assert(Module<Marian<float>>);

template <class... Arguments>
Marian(const MarianConfig&, Arguments&&...) -> Marian<float>;

}}  // namespace rapt::RAPT_ABI
