/// \file
/// Small models with random weights that hold dialogues in bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rapt/models/gemma.hpp"
#include "rapt/models/gpt.hpp"
#include "rapt/models/llama.hpp"
#include "rapt/pipelines/chat_model.hpp"
#include "rapt/text/byte_level_bpe.hpp"

namespace rapt_test {

inline constexpr rapt::TokenId kTurnBegin = 256, kTurnEnd = 257;
/// Turns in the form of ChatML.
inline constexpr const char* kChatMl =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// The bytes, and the marks of turns as special tokens.
[[nodiscard]] inline rapt::ByteLevelBpe chat_tokenizer() {
  const rapt::ByteLevelBpe bytes = rapt::ByteLevelBpe::of_bytes();
  std::vector<std::string> names(bytes.tokens().begin(), bytes.tokens().end());
  names.insert(names.end(), {"<|im_start|>", "<|im_end|>"});
  return rapt::ByteLevelBpe(std::move(names), {}, {.added_tokens = {{.text = "<|im_start|>"}, {.text = "<|im_end|>"}}});
}

template <class M>
[[nodiscard]] M with_random_weights(const typename M::Config& config, std::uint64_t seed = 3) {
  rapt::Rng rng(seed);
  M model(config, rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
    if (parameter.shape().rank() == 2) rng.fill_uniform(parameter.mutable_value().values(), -0.6, 0.6);
  });
  return model;
}

[[nodiscard]] inline rapt::Gpt<float> chat_gpt(rapt::Index positions = 256, std::uint64_t seed = 3) {
  return with_random_weights<rapt::Gpt<float>>(
      {.vocabulary = 258, .positions = positions, .d_model = 16, .layers = 2, .heads = 2}, seed);
}
[[nodiscard]] inline rapt::Llama<float> chat_llama(std::optional<rapt::Index> window = {},
                                                   rapt::RotaryOptions rotary = {.max_positions = 256}) {
  return with_random_weights<rapt::Llama<float>>({.vocabulary = 258,
                                                  .d_model = 16,
                                                  .layers = 2,
                                                  .heads = 2,
                                                  .key_value_heads = 1,
                                                  .d_ff = 24,
                                                  .rotary = rotary,
                                                  .window = window});
}
[[nodiscard]] inline rapt::Gemma<float> chat_gemma() {
  return with_random_weights<rapt::Gemma<float>>({.vocabulary = 258,
                                                  .d_model = 16,
                                                  .layers = 2,
                                                  .heads = 2,
                                                  .key_value_heads = 1,
                                                  .head_dim = 8,
                                                  .d_ff = 24,
                                                  .rotary = {.max_positions = 256},
                                                  .query_scalar = 8,
                                                  .window = 5,
                                                  .end_tokens = {}});
}
template <class M>
[[nodiscard]] rapt::ChatModel chat_model(M model, const std::string& chat_template = kChatMl) {
  return rapt::ChatModel(std::move(model), rapt::AnyTokenizer(chat_tokenizer()), rapt::ChatTemplate(chat_template));
}

/// Draws nothing but these characters, and the end of a turn if it may come.
[[nodiscard]] inline rapt::SamplingOptions only(const std::string& characters, float temperature = 0,
                                                bool may_end = false) {
  rapt::SamplingOptions options{.temperature = temperature};
  for (rapt::TokenId token = 0; token < 258; ++token) {
    const bool is_wanted =
        token < 256 ? characters.find(static_cast<char>(token)) != std::string::npos : token == kTurnEnd && may_end;
    if (!is_wanted) options.generation.bad_words.push_back({token});
  }
  return options;
}

}  // namespace rapt_test
