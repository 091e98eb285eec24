// What a turn of a dialogue costs, with memory and without.
#pragma once

#include <chrono>
#include <cstdio>
#include <rapt/pipelines/conversation.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/byte_level_bpe.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "small_model.hpp"

namespace chat_measure {

/// A model with random weights, which costs what one with others costs: of the shape of GPT-2's smallest, or a Llama of
/// as many parameters with a third of the heads for keys and values. Its tokens are bytes.
template <class M>
rapt::ChatModel random_model(const typename M::Config& config) {
  rapt::Rng rng(1);
  const rapt::ByteLevelBpe bytes = rapt::ByteLevelBpe::of_bytes();
  std::vector<std::string> names(bytes.tokens().begin(), bytes.tokens().end());
  names.insert(names.end(), {"<|im_start|>", "<|im_end|>"});
  rapt::ByteLevelBpe tokenizer(std::move(names), {},
                               {.added_tokens = {{.text = "<|im_start|>"}, {.text = "<|im_end|>"}}});
  return rapt::ChatModel(M(config, rng), rapt::AnyTokenizer(std::move(tokenizer)),
                         rapt::ChatTemplate(small_model::kTemplate));
}
inline rapt::ChatModel random_model(std::string_view shape) {
  if (shape == "gpt2") return random_model<rapt::Gpt<float>>(rapt::GptConfig::gpt2());
  return random_model<rapt::Llama<float>>({.vocabulary = 49152,
                                           .d_model = 576,
                                           .layers = 30,
                                           .heads = 9,
                                           .key_value_heads = 3,
                                           .d_ff = 1536,
                                           .rotary = {.max_positions = 2048},
                                           .tie_embeddings = true});
}

/// What one turn took.
struct Cost {
  double first = 0, all = 0;  // seconds until the first token, and until the last
};

inline Cost cost_of(rapt::Conversation& conversation, const std::string& text, rapt::ChatAnswer& answer) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  Cost cost;
  answer = conversation.say(text, [&](std::string_view) {
    const std::chrono::duration<double> seconds = Clock::now() - begin;
    if (cost.first == 0) cost.first = seconds.count();
    return true;
  });
  cost.all = std::chrono::duration<double>(Clock::now() - begin).count();
  if (cost.first == 0) cost.first = cost.all;  // no token gave a text
  return cost;
}

/// Holds one dialogue of so many turns, and at each turn one that keeps nothing, on the same turns before; at every
/// other turn the latter is first, as caches are warm for who comes second. `is_random`: answers are letters alone,
/// whatever the model prefers, so that they are texts.
inline void measure(const rapt::ChatModel& model, rapt::ConversationOptions options, rapt::Index turns,
                    bool is_random) {
  if (is_random) {
    options.sampling = rapt::SamplingOptions{.temperature = 0};
    for (rapt::Index token = 0; token < model.model().vocabulary(); ++token) {
      if (token < 'a' || token > 'z') {
        options.sampling->generation.bad_words.push_back({static_cast<rapt::TokenId>(token)});
      }
    }
  }
  rapt::Conversation with(model, options);
  std::printf(
      "turn  tokens before  kept  turns dropped  | first token  whole turn (ms), with memory | without | ratios\n");
  for (rapt::Index turn = 1; turn <= turns; ++turn) {
    const std::string text = "This is turn " + std::to_string(turn) + ", and there is something to say.";
    rapt::ConversationOptions plain = options;
    plain.system.clear();  // it is among the messages
    rapt::Conversation without(model, plain, with.messages());
    rapt::ChatAnswer answer, other;
    Cost kept, fresh;
    if (turn % 2 == 1) kept = cost_of(with, text, answer);
    fresh = cost_of(without, text, other);
    if (turn % 2 == 0) kept = cost_of(with, text, answer);
    std::printf("%4lld %14lld %5lld %14lld  | %11.1f %11.1f | %11.1f %11.1f | %6.2f %6.2f%s\n",
                static_cast<long long>(turn), static_cast<long long>(answer.prompt_tokens),
                static_cast<long long>(answer.kept_tokens), static_cast<long long>(answer.dropped_turns),
                1000 * kept.first, 1000 * kept.all, 1000 * fresh.first, 1000 * fresh.all, fresh.first / kept.first,
                fresh.all / kept.all, answer.tokens == other.tokens ? "" : "  other tokens");
    std::fflush(stdout);
  }
}

}  // namespace chat_measure
