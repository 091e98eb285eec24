/// \file
/// Transformers of random weights, and what they say without any state: the reference of incremental decoding.
#pragma once

#include "rapt/models/transformer.hpp"
#include "tests/generation/prefix_model.hpp"

namespace rapt_test {

/// Weights are large enough that the next token depends on the source; the tables' rows are not alike.
template <class T>
[[nodiscard]] rapt::Transformer<T> random_transformer(const rapt::TransformerConfig& config, std::uint64_t seed) {
  rapt::Rng rng(seed);
  rapt::Transformer<T> model(config, rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
    rng.fill_normal(parameter.mutable_value().values(), 0.0, 0.4);
  });
  return model;
}
template <class T>
[[nodiscard]] rapt::Transformer<T> random_transformer(rapt::Index vocabulary, std::uint64_t seed) {
  return random_transformer<T>({.source_vocabulary = vocabulary,
                                .target_vocabulary = vocabulary,
                                .d_model = 16,
                                .heads = 2,
                                .d_ff = 32,
                                .encoder_layers = 2,
                                .decoder_layers = 2},
                               seed);
}

/// Log-probabilities of the next token from the whole forward pass.
template <class T>
[[nodiscard]] NextToken next_token(const rapt::Transformer<T>& model) {
  return [&model](const Tokens& source, const Tokens& prefix) {
    const auto logits = model(one_sequence(source), one_sequence(prefix));
    const T* last = logits.value().row(logits.rows() - 1);
    return log_softmax(std::vector<double>(last, last + logits.cols()));
  };
}

/// The log-probability of what a search found, from one whole forward pass for it alone.
template <class T>
[[nodiscard]] double log_probability_of(const rapt::Transformer<T>& model, const Tokens& source,
                                        const rapt::Hypothesis& h) {
  Tokens input{1}, output = h.tokens;
  input.insert(input.end(), h.tokens.begin(), h.tokens.end());
  output.push_back(2);
  const auto logits = model(one_sequence(source), one_sequence(input));
  double sum = 0;
  for (std::size_t t = 0; t < h.tokens.size() + (h.finished ? 1 : 0); ++t) {
    const T* row = logits.value().row(static_cast<rapt::Index>(t));
    sum += log_softmax(std::vector<double>(row, row + logits.cols()))[static_cast<std::size_t>(output[t])];
  }
  return sum;
}

}  // namespace rapt_test
