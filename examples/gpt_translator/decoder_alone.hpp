// A GPT in the place of a Transformer with encoder: what Trainer and the searches need of one.
#pragma once

#include <rapt/core/sequence_marks.hpp>
#include <rapt/models/gpt.hpp>
#include <rapt/models/transformer.hpp>

/// Reads a pair as one sequence, `source <s> target`, and is asked for the target's tokens and its end alone.
struct DecoderAlone {
  using ScalarType = float;
  using State = rapt::Gpt<float>::State;

  rapt::Gpt<float> gpt;

  /// Mean cross-entropy per target token; what the source says next counts nothing.
  [[nodiscard]] rapt::Variable<float> loss(const rapt::TranslationBatch& batch,
                                           const rapt::CrossEntropyOptions& options = {}) const {
    rapt::LanguageBatch sequences{.input = {}, .targets = batch.target_output, .rows = {}};
    std::vector<rapt::TokenId> sequence;
    for (rapt::Index i = 0; i < batch.source.sequences(); ++i) {
      const auto source = batch.source.sequence(i), target = batch.target_input.sequence(i);
      sequence.assign(source.begin(), source.end());
      sequence.insert(sequence.end(), target.begin(), target.end());
      const auto begin = sequences.input.size() + static_cast<rapt::Index>(source.size());
      sequences.input.push_back(sequence);
      for (rapt::Index row = begin; row < sequences.input.size(); ++row) {
        sequences.rows.push_back(static_cast<rapt::TokenId>(row));
      }
    }
    return gpt.loss(sequences, options);
  }

  /// A state that has read the sources. A search feeds <s> first, as to a decoder behind an encoder.
  [[nodiscard]] State start(const rapt::TokenBatch& source) const {
    rapt::TokenBatch prompts;
    std::vector<rapt::TokenId> prompt;
    for (rapt::Index i = 0; i < source.sequences(); ++i) {
      prompt.assign(source.sequence(i).begin(), source.sequence(i).end());
      prompt.push_back(rapt::kBeginToken);  // `Gpt::start` leaves the last token to the first step
      prompts.push_back(prompt);
    }
    return gpt.start(prompts);
  }
  [[nodiscard]] rapt::Tensor<float> step(State& state, std::span<const rapt::TokenId> tokens) const {
    return gpt.step(state, tokens);
  }

  [[nodiscard]] rapt::SequenceMarks sequence_marks() const {
    return {.begin = rapt::kBeginToken, .ends = {rapt::kEndToken}};
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("gpt", self.gpt);
  }
};

/// A Transformer with encoder that has about as many parameters: half as many layers on either side. A layer of the
/// GPT has 12 D^2 weights, an encoder layer and a decoder layer together 12 D^2 + 4 D d_ff.
inline rapt::TransformerConfig as_large_as(const rapt::GptConfig& gpt) {
  const rapt::Index each = std::max<rapt::Index>(1, gpt.layers / 2);
  return {.source_vocabulary = gpt.vocabulary,
          .target_vocabulary = gpt.vocabulary,
          .d_model = gpt.d_model,
          .heads = gpt.heads,
          .d_ff = std::max<rapt::Index>(gpt.d_model, 3 * gpt.d_model * (gpt.layers - each) / each),
          .encoder_layers = each,
          .decoder_layers = each,
          .dropout = gpt.dropout,
          .attention_dropout = gpt.attention_dropout,
          .activation = gpt.activation,
          .norm = rapt::NormPlacement::pre};
}
