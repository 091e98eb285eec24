/// \file
/// Translation before the Transformer: an LSTM encoder and an LSTM decoder, with or without attention.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/sequence_marks.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/encoder_decoder.hpp"
#include "rapt/models/recurrent_translator_config.hpp"
#include "rapt/nn/additive_attention.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/recurrent.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sources and what was decoded so far, one row for each hypothesis. Copyable; `select` follows a search.
template <class T>
struct RecurrentDecoderState {
  Variable<T> encoder_output = {};              ///< [M, D] of all sources, which all rows share
  Variable<T> keys = {};                        ///< [M, A], its projection; undefined without attention
  std::vector<kernels::KeyRange> sources = {};  ///< of each row: its source's rows of the encoder output
  RecurrentState<T> recurrent = {};             ///< hidden states and cells of each layer

  [[nodiscard]] Index rows() const { return std::ssize(sources); }
  /// Row r becomes what row parents[r] was.
  void select(std::span<const Index> parents) {
    std::vector<std::int32_t> rows;
    std::vector<kernels::KeyRange> selected;
    for (const Index parent : parents) {
      require(parent >= 0 && parent < this->rows(), "recurrent_decoder_state", "row ", parent, " of ", this->rows());
      rows.push_back(static_cast<std::int32_t>(parent));
      selected.push_back(sources[to_size(parent)]);
    }
    sources = std::move(selected);
    for (auto* states : {&recurrent.hidden, &recurrent.cell}) {
      for (Variable<T>& state : *states) state = gather_rows<T>(state, rows);
    }
  }
};

/// The decoder: LSTM layers whose first states are made of the encoder output's first row, of which one half has read
/// the whole source backwards (Bahdanau et al. 2015, appendix A.2.2), and attention of their states to the encoder
/// output (Luong, Pham and Manning 2015, section 3.1, with the scores of Bahdanau et al. 2015):
///     s = LSTM(x),   c = attention of s to the encoder output,   output = tanh(W [s, c] + b);   without attention s
template <class T = float>
class RecurrentDecoder {
 public:
  RecurrentDecoder(const RecurrentTranslatorConfig& config, Rng& rng)
      : dropout_(config.dropout),
        layers_(config.d_model, config.d_model, rng, {.layers = config.decoder_layers, .dropout = config.dropout}) {
    const Index d = config.d_model;
    for (Index i = 0; i < config.decoder_layers; ++i) {
      first_hidden_.emplace_back(d, d, rng);
      first_cell_.emplace_back(d, d, rng);
    }
    if (!config.attention) return;
    attention_.emplace(AdditiveAttentionSizes{.query = d, .key = d, .columns = config.score_columns()}, rng);
    combine_.emplace(2 * d, d, rng);
  }

  /// The last hidden states [N, D] for target x [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, const Variable<T>& encoder_output,
                                       const RowSplits& encoder_splits, Tensor<T>* weights = nullptr) const {
    State state = start(encoder_output, encoder_splits);
    return run(state, x, splits, weights);
  }

  using State = RecurrentDecoderState<T>;  ///< what a search carries: the sources, and what was decoded
  /// Nothing decoded yet: one row for each source.
  [[nodiscard]] State start(const Variable<T>& encoder_output, const RowSplits& encoder_splits) const {
    State state{.encoder_output = encoder_output, .sources = detail::key_ranges(encoder_splits)};
    if (attention_) state.keys = attention_->project_keys(encoder_output);
    std::vector<std::int32_t> first;
    for (const kernels::KeyRange& source : state.sources) first.push_back(static_cast<std::int32_t>(source.begin));
    const Variable<T> summary = gather_rows<T>(encoder_output, first);  // [B, D]
    for (std::size_t i = 0; i < first_hidden_.size(); ++i) {
      state.recurrent.hidden.push_back(first_hidden_[i](summary, Activation::tanh));
      state.recurrent.cell.push_back(first_cell_[i](summary));
    }
    return state;
  }
  /// The next rows of every sequence, appended to the state   // the last hidden states [N, D] from [N, D]
  /// If `weights` is not null it receives the attention probabilities [B, 1, longest target, longest source].
  [[nodiscard]] Variable<T> run(State& state, const Variable<T>& x, const RowSplits& splits,
                                Tensor<T>* weights = nullptr) const {
    auto [states, last] = layers_(x, splits, state.recurrent);
    state.recurrent = std::move(last);
    if (!attention_) return dropout(std::move(states), dropout_);
    const Variable<T> context =
        attention_->attend(states, state.keys, state.encoder_output, splits, state.sources, {}, weights);
    return dropout((*combine_)(concatenate_columns(states, context), Activation::tanh), dropout_);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("lstm", self.layers_);
    visitor("first_hidden", self.first_hidden_);
    visitor("first_cell", self.first_cell_);
    visitor("attention", self.attention_);
    visitor("combine", self.combine_);
  }

 private:
  float dropout_;
  Lstm<T> layers_;
  std::vector<Linear<T>> first_hidden_, first_cell_;
  std::optional<AdditiveAttention<T>> attention_;
  std::optional<Linear<T>> combine_;
};
static_assert(Module<RecurrentDecoder<float>>);

/// A bidirectional LSTM encoder, a RecurrentDecoder, embeddings and output projection. It is trained, decodes and is
/// saved as a Transformer is. Every source must have a token. A const model may be used from many threads.
template <class T = float>
class RecurrentTranslator
    : public EncoderDecoder<RecurrentTranslator<T>, T, TokenBatch, TranslationBatch, RecurrentDecoderState<T>> {
 public:
  using Config = RecurrentTranslatorConfig;

  /// Throws ValueError for a config that does not fit.
  RecurrentTranslator(const RecurrentTranslatorConfig& config, Rng& rng)
      : config_(detail::checked(config)),
        encoder_(config.d_model, config.d_model / 2, rng,
                 {.layers = config.encoder_layers, .bidirectional = true, .dropout = config.dropout}),
        decoder_(config, rng) {
    if (config.tie_embeddings) {
      embedding_.emplace(config.source_vocabulary, config.d_model, rng);
    } else {
      source_embedding_.emplace(config.source_vocabulary, config.d_model, rng);
      target_embedding_.emplace(config.target_vocabulary, config.d_model, rng);
      output_.emplace(config.d_model, config.target_vocabulary, rng, LinearOptions{.bias = false});
    }
    output_bias_ = Parameter<T>(init::constant<T>(Shape{config.target_vocabulary}, T(0)));
  }

  /// The encoder output   // [M, D]
  [[nodiscard]] Variable<T> encode(const TokenBatch& source) const {
    return encoder_(embed(embedding_ ? *embedding_ : *source_embedding_, source), source.row_splits).states;
  }
  /// The decoder's last hidden states   // [N, D]
  [[nodiscard]] Variable<T> decode(const TokenBatch& target_input, const Variable<T>& encoder_output,
                                   const RowSplits& encoder_splits) const {
    return decoder_(embed(target_table(), target_input), target_input.row_splits, encoder_output, encoder_splits);
  }

  /// The attention probabilities [B, 1, Lt, Ls] for source and target_input, without dropout, as decoder_cross of one
  /// layer; no layer without attention. Self-attention, of which the others are, there is none.
  [[nodiscard]] AttentionMaps<T> attention_maps(const TokenBatch& source, const TokenBatch& target_input) const {
    const Inference scope;
    require<ShapeError>(source.sequences() == target_input.sequences(), kWhere, source.sequences(),
                        " source sequences, ", target_input.sequences(), " target sequences");
    AttentionMaps<T> maps;
    if (!config_.attention) return maps;
    std::ignore = decoder_(embed(target_table(), target_input), target_input.row_splits, encode(source),
                           source.row_splits, &maps.decoder_cross.emplace_back());
    return maps;
  }

  /// The tokens of `make_batch`.
  [[nodiscard]] SequenceMarks sequence_marks() const { return {.begin = kBeginToken, .ends = {kEndToken}}; }

  [[nodiscard]] const RecurrentTranslatorConfig& config() const { return config_; }
  /// V of the logits.
  [[nodiscard]] Index target_vocabulary() const { return config_.target_vocabulary; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("source_embedding", self.source_embedding_);
    visitor("target_embedding", self.target_embedding_);
    visitor("encoder", self.encoder_);
    visitor("decoder", self.decoder_);
    visitor("output", self.output_);
    visitor("output.bias", self.output_bias_);
  }

 private:
  friend class EncoderDecoder<RecurrentTranslator, T, TokenBatch, TranslationBatch, RecurrentDecoderState<T>>;
  static constexpr std::string_view kWhere = "recurrent_translator";

  [[nodiscard]] const Embedding<T>& target_table() const { return embedding_ ? *embedding_ : *target_embedding_; }
  [[nodiscard]] const Parameter<T>& output_weight() const {
    return output_ ? output_->weight() : target_table().weight();
  }
  [[nodiscard]] const Parameter<T>& output_bias() const { return output_bias_; }

  [[nodiscard]] Variable<T> feed(RecurrentDecoderState<T>& state, const TokenBatch& next) const {
    return decoder_.run(state, embed(target_table(), next), next.row_splits);
  }
  [[nodiscard]] Variable<T> embed(const Embedding<T>& table, const TokenBatch& batch) const {
    require_row_splits(batch, kWhere);
    return dropout(table(batch.tokens), config_.dropout);
  }

  RecurrentTranslatorConfig config_;
  std::optional<Embedding<T>> embedding_, source_embedding_, target_embedding_;
  Lstm<T> encoder_;
  RecurrentDecoder<T> decoder_;
  std::optional<Linear<T>> output_;
  Parameter<T> output_bias_;
};
static_assert(Module<RecurrentTranslator<float>>);

}}  // namespace rapt::RAPT_ABI
