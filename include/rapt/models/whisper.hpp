/// \file
/// Whisper: an encoder that hears 30 seconds of speech and a decoder that writes its text (Radford et al. 2022). What
/// differs from transformer.hpp: the encoder's input are spectrograms, through two convolutions of which the second
/// halves the rate; norms stand before the sublayers; keys have no bias; the decoder's positions are learned.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/speech_batch.hpp"
#include "rapt/models/config_fields.hpp"
#include "rapt/models/encoder_decoder.hpp"
#include "rapt/models/whisper_config.hpp"
#include "rapt/nn/convolution.hpp"
#include "rapt/nn/decoder.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/positional_encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Encoder and decoder. A const model may be used from many threads.
///
/// ```cpp
/// const auto whisper = rapt::from_pretrained<rapt::Whisper<float>>("whisper-tiny");
/// const rapt::HeardSpeech heard(whisper, speech);              // spectrograms, see LogMel
/// const auto found = rapt::greedy_search(heard, heard.sources());
/// ```
template <class T = float>
class Whisper : public EncoderDecoder<Whisper<T>, T, SpeechBatch<T>, TranscribedSpeech<T>> {
 public:
  using Config = WhisperConfig;

  /// Weights normal with the config's standard deviation. The encoder's positions are sinusoids, which training leaves
  /// as they are. Throws ValueError for a config that does not fit.
  Whisper(const WhisperConfig& config, Rng& rng) : Whisper(config, rng, detail::DrawLater()) {
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() == 1) return;
      if (name == "encoder_positions.weight") {
        parameter.set_frozen(true);
        if (!detail::initialises_nothing()) {
          parameter.mutable_value() = SinusoidalPositionalEncoding<T>::table(config.encoder_positions, config.d_model,
                                                                             {.layout = SinusoidLayout::concatenated});
        }
        return;
      }
      parameter.mutable_value() = init::normal<T>(parameter.shape(), rng, config.init_std);
    });
  }

  /// The encoder output   // [M, D] from frames [N, bins]
  /// If not empty, `weights[i]` receives layer i's attention probabilities; its size must be the number of layers.
  [[nodiscard]] Variable<T> encode(const SpeechBatch<T>& source, const AttentionMask<T>& mask = {},
                                   std::span<Tensor<T>> weights = {}) const {
    const RowSplits inner = convolution1_.splits(source.row_splits), splits = convolution2_.splits(inner);
    Variable<T> x = convolution1_(Variable<T>(source.frames), source.row_splits, Activation::gelu);
    x = encoder_positions_(convolution2_(x, inner, Activation::gelu), splits);
    return encoder_(dropout(std::move(x), config_.dropout), splits, mask, weights);
  }
  /// Where each sequence's rows of the encoder output are.
  [[nodiscard]] RowSplits encoder_splits(const SpeechBatch<T>& source) const {
    return convolution2_.splits(convolution1_.splits(source.row_splits));
  }
  /// The decoder's last hidden states   // [N, D]
  [[nodiscard]] Variable<T> decode(const TokenBatch& target_input, const Variable<T>& encoder_output,
                                   const RowSplits& encoder_splits, const StackInputs<T>& inputs = {}) const {
    return decoder_(embed(target_input, {}), target_input.row_splits, encoder_output, encoder_splits, inputs);
  }

  /// The config's tokens, and the longest text.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    return {.begin = config_.begin_token,
            .ends = config_.end_tokens,
            .suppressed = config_.suppressed_tokens,
            .max_length = config_.decoder_positions - 1};
  }
  [[nodiscard]] const WhisperConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("convolution1", self.convolution1_);
    visitor("convolution2", self.convolution2_);
    visitor("encoder_positions", self.encoder_positions_);
    visitor("encoder", self.encoder_);
    visitor("embedding", self.embedding_);
    visitor("decoder_positions", self.decoder_positions_);
    visitor("decoder", self.decoder_);
  }

 private:
  friend class EncoderDecoder<Whisper, T, SpeechBatch<T>, TranscribedSpeech<T>>;
  static constexpr std::string_view kWhere = "whisper";

  /// Makes the layers, whose random values the public constructor draws.
  Whisper(const WhisperConfig& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        convolution1_(config.bins, config.d_model, {.width = 3, .stride = 1, .padding = 1}, rng),
        convolution2_(config.d_model, config.d_model, {.width = 3, .stride = 2, .padding = 1}, rng),
        encoder_positions_(config.encoder_positions, config.d_model, rng),
        encoder_(config.encoder_layers, config.block(false), /*final_norm=*/true, rng),
        embedding_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        decoder_positions_(config.decoder_positions, config.d_model, rng),
        decoder_(config.decoder_layers, config.block(true), /*final_norm=*/true, rng) {}

  [[nodiscard]] const Parameter<T>& output_weight() const { return embedding_.weight(); }
  [[nodiscard]] Parameter<T> output_bias() const { return {}; }
  /// Dropout(embedding + position); `behind`: the tokens before each row's   // [N, D]
  [[nodiscard]] Variable<T> embed(const TokenBatch& batch, std::span<const Index> behind) const {
    require_row_splits(batch, kWhere);
    return dropout(decoder_positions_(embedding_(batch.tokens), batch.row_splits, behind), config_.dropout);
  }
  /// Feeds the next tokens of every row to the state   // their last hidden states, [N, D]
  [[nodiscard]] Variable<T> feed(DecoderState<T>& state, const TokenBatch& next) const {
    return decoder_.step(state, embed(next, state.lengths()), next.row_splits);
  }

  WhisperConfig config_;
  Convolution<T> convolution1_, convolution2_;
  LearnedPositionalEncoding<T> encoder_positions_;
  Encoder<T> encoder_;
  Embedding<T> embedding_;
  LearnedPositionalEncoding<T> decoder_positions_;
  Decoder<T> decoder_;
};
static_assert(Module<Whisper<float>>);

template <class... Arguments>
Whisper(const WhisperConfig&, Arguments&&...) -> Whisper<float>;

/// Speech that a Whisper has heard, as a DecodingModel: searches write its text. Their sources are `sources()`, where
/// each stretch of speech has no tokens. The model must outlive it.
template <class T>
class HeardSpeech {
 public:
  using ScalarType = T;
  using State = typename Whisper<T>::State;  ///< what a search carries: the encoder output, and what was decoded

  HeardSpeech(const Whisper<T>& model, const SpeechBatch<T>& speech) : model_(&model), start_(model.start(speech)) {}

  [[nodiscard]] TokenBatch sources() const {
    TokenBatch none;
    for (Index i = 0; i < start_.rows(); ++i) none.push_back({});
    return none;
  }
  /// Throws ShapeError unless there are as many sources as stretches of speech.
  [[nodiscard]] State start(const TokenBatch& sources) const {
    require<ShapeError>(sources.sequences() == start_.rows(), "heard_speech", sources.sequences(), " sources for ",
                        start_.rows(), " stretches of speech");
    return start_;
  }
  /// Feeds one token to every row; returns the logits of the next   // [rows, V]
  [[nodiscard]] Tensor<T> step(State& state, std::span<const TokenId> tokens) const {
    return model_->step(state, tokens);
  }
  [[nodiscard]] SequenceMarks sequence_marks() const { return model_->sequence_marks(); }

 private:
  const Whisper<T>* model_;
  State start_;  // its keys and values are shared by all searches
};

}}  // namespace rapt::RAPT_ABI
