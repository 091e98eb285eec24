/// \file
/// T5 (Raffel et al. 2020): an encoder-decoder that reads and writes text for every task. What differs from
/// transformer.hpp: positions are a learned bias of the attention scores for each bucket of offsets, which all layers
/// of a stack share; norms stand before the sublayers, divide by the root mean square and have no bias, as no linear
/// map has; scores are not divided by sqrt(d_k). The feed-forward network is plain with ReLU (T5), or gated with GELU
/// and the output projection a matrix of its own (T5 1.1, Flan-T5, mT5).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/models/encoder_decoder.hpp"
#include "rapt/models/t5_config.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/relative_position_bias.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Embedding, encoder, decoder, the two tables of position biases, and the output projection. A const model may be used
/// from many threads.
///
/// ```cpp
/// const auto t5 = rapt::from_pretrained<rapt::T5<float>>("flan-t5-base");  // with rapt/pretrained/t5.hpp
/// auto found = rapt::beam_search(t5, source);
/// ```
template <class T = float>
class T5 : public EncoderDecoder<T5<T>, T> {
 public:
  using Config = T5Config;

  /// Weights as the paper's code draws them, so that scores need no division by sqrt(d_k): W^Q has the standard
  /// deviation 1 / sqrt(d_model d_k). Throws ValueError for a config that does not fit.
  T5(const T5Config& config, Rng& rng) : T5(config, rng, detail::DrawLater()) {
    const double input = config.init_factor / std::sqrt(static_cast<double>(config.d_model));
    for_each_parameter(*this, [&](const std::string& name, Parameter<T>& parameter) {
      if (parameter.shape().rank() != 2) return;
      const bool is_table = name.ends_with("embedding.weight") || name == "output.weight";
      const bool reads_input = name.ends_with("in_proj_weight") || name.ends_with("gate_up_proj.weight") ||
                               name.ends_with("linear1.weight") || name.ends_with("position_bias");
      const double inner = config.init_factor / std::sqrt(static_cast<double>(parameter.shape().cols()));
      Tensor<T> values = init::normal<T>(parameter.shape(), rng,
                                         is_table      ? config.init_factor
                                         : reads_input ? input
                                                       : inner);
      if (name.ends_with("in_proj_weight") && values.data() != nullptr) {
        const Index queries = config.heads * config.head_dim * config.d_model;
        for (T& value : values.values().first(to_size(queries))) value /= std::sqrt(static_cast<T>(config.head_dim));
      }
      parameter.mutable_value() = std::move(values);
    });
  }

  /// The encoder output   // [M, D]
  /// If not empty, `weights[i]` receives layer i's attention probabilities; its size must be the number of layers.
  [[nodiscard]] Variable<T> encode(const TokenBatch& source, const AttentionMask<T>& mask = {},
                                   std::span<Tensor<T>> weights = {}) const {
    const Index farthest = std::max<Index>(source.row_splits.longest() - 1, 0);
    const std::vector<std::int32_t> numbers = config_.buckets(/*bidirectional=*/true).numbers(farthest, farthest);
    return dropped(encoder_(embed(source), source.row_splits,
                            {.mask = mask,
                             .positions = {.table = encoder_bias_, .numbers = numbers, .zero = farthest},
                             .weights = weights}));
  }

  /// The decoder's last hidden states, multiplied by d_model^-0.5 if the config says so   // [N, D]
  [[nodiscard]] Variable<T> decode(const TokenBatch& target_input, const Variable<T>& encoder_output,
                                   const RowSplits& encoder_splits, StackInputs<T> inputs = {}) const {
    const Index farthest = std::max<Index>(target_input.row_splits.longest() - 1, 0);
    const std::vector<std::int32_t> numbers = config_.buckets(/*bidirectional=*/false).numbers(farthest, farthest);
    inputs.positions = {.table = decoder_bias_, .numbers = numbers, .zero = farthest};
    return scaled(
        dropped(decoder_(embed(target_input), target_input.row_splits, encoder_output, encoder_splits, inputs)));
  }

  [[nodiscard]] SequenceMarks sequence_marks() const {
    return {.begin = config_.begin_token, .ends = config_.end_tokens};
  }
  [[nodiscard]] const T5Config& config() const { return config_; }
  /// V of the logits.
  [[nodiscard]] Index target_vocabulary() const { return config_.vocabulary; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("encoder_position_bias", self.encoder_bias_);
    visitor("decoder_position_bias", self.decoder_bias_);
    visitor("encoder", self.encoder_);
    visitor("decoder", self.decoder_);
    visitor("output", self.output_);
  }

 private:
  friend class EncoderDecoder<T5, T>;
  using Blocks =
      Stack<T,
            BlockKinds{
                .rotary = false, .query_key_norm = false, .rms_norm = true, .gated = true, .scaled_residuals = false}>;
  static constexpr std::string_view kWhere = "t5";

  /// Makes the layers, whose random values the public constructor draws.
  T5(const T5Config& config, Rng& rng, const detail::DrawLater&)
      : config_(detail::checked(config)),
        embedding_(config.vocabulary, config.d_model, rng, {.scale_by_sqrt_d_model = false}),
        encoder_bias_(init::constant<T>(Shape{config.position_buckets, config.heads}, T(0))),
        decoder_bias_(init::constant<T>(Shape{config.position_buckets, config.heads}, T(0))),
        encoder_(config.encoder_layers, config.block(false), /*final_norm=*/true, rng),
        decoder_(config.decoder_layers, config.block(true), /*final_norm=*/true, rng) {
    if (!config.tie_embeddings) output_.emplace(config.d_model, config.vocabulary, rng, LinearOptions{.bias = false});
  }
  [[nodiscard]] const Parameter<T>& output_weight() const { return output_ ? output_->weight() : embedding_.weight(); }
  [[nodiscard]] Parameter<T> output_bias() const { return {}; }

  [[nodiscard]] Variable<T> embed(const TokenBatch& batch) const {
    require_row_splits(batch, kWhere);
    return dropped(embedding_(batch.tokens));
  }
  [[nodiscard]] Variable<T> dropped(Variable<T> x) const { return dropout(std::move(x), config_.dropout); }
  [[nodiscard]] Variable<T> scaled(const Variable<T>& hidden) const {
    if (!config_.scale_output) return hidden;
    return scale<T>(hidden, static_cast<T>(1 / std::sqrt(static_cast<double>(config_.d_model))));
  }

  /// Feeds the next tokens of every row to the state   // their last hidden states, [N, D]
  [[nodiscard]] Variable<T> feed(DecoderState<T>& state, const TokenBatch& next) const {
    Index farthest = 0;  // offset of a new token to the first one of its row
    const std::vector<Index> behind = state.lengths();
    for (Index r = 0; r < std::ssize(behind); ++r) {
      farthest = std::max(farthest, at(behind, r) + next.row_splits.length(r) - 1);
    }
    const std::vector<std::int32_t> numbers = config_.buckets(/*bidirectional=*/false).numbers(farthest, 0);
    return scaled(decoder_.step(state, embed(next), next.row_splits,
                                {.table = decoder_bias_, .numbers = numbers, .zero = farthest}));
  }

  T5Config config_;
  Embedding<T> embedding_;
  Parameter<T> encoder_bias_, decoder_bias_;  // [buckets, H], which all layers of a stack share
  Blocks encoder_, decoder_;
  std::optional<Linear<T>> output_;  // without tied embeddings
};
static_assert(Module<T5<float>>);

template <class... Arguments>
T5(const T5Config&, Arguments&&...) -> T5<float>;

}}  // namespace rapt::RAPT_ABI
