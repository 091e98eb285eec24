// A small model that learns to hold a dialogue in which facts are told and asked for some turns later.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <rapt/pipelines/conversation.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/byte_level_bpe.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dialogues.hpp"

namespace small_model {

inline constexpr const char* kTemplate =
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// The most tokens of an answer; the longest that is learned has five.
inline constexpr rapt::Index kAnswerTokens = 8;

/// The words of the dialogues are tokens, with the space before them, and so are all bytes, of which other words are
/// made. Phrases such as " pet is" and " a cat" are one token each: behind "Your pet is" the model then needs one step
/// of attention, to the value of that kind. With a token for each word it would first have to learn which kind stands
/// before a value.
inline rapt::ByteLevelBpe tokenizer() {
  const rapt::ByteLevelBpe bytes = rapt::ByteLevelBpe::of_bytes();
  std::vector<std::string> names(bytes.tokens().begin(), bytes.tokens().end());
  rapt::ByteLevelBpeOptions options;
  const auto add = [&](std::string text, bool is_special) {
    names.push_back(text);
    options.added_tokens.push_back({.text = std::move(text), .special = is_special});
  };
  for (const char* const mark : {"<|im_start|>", "<|im_end|>"}) add(mark, /*is_special=*/true);
  for (const char* const word : {"system\n", "user\n", "assistant\n", "Remember", " what", " you", " are", " told",
                                 "How", "What is my", "My", "Your", " unknown to me", " see", " am", " fine"}) {
    add(word, /*is_special=*/false);
  }
  for (const Fact& fact : facts()) {
    add(" " + std::string(fact.kind), /*is_special=*/false);
    add(" " + std::string(fact.kind) + " is", /*is_special=*/false);
    for (const std::string_view value : fact.values) add(" " + std::string(value), /*is_special=*/false);
  }
  return rapt::ByteLevelBpe(std::move(names), {}, std::move(options));
}

/// Adds a dialogue to a batch whose targets are the assistant's tokens and the ends of its turns.
inline void add_dialogue(const std::vector<rapt::ChatMessage>& messages, const rapt::ByteLevelBpe& tokenizer,
                         const rapt::ChatTemplate& chat, rapt::LanguageBatch& batch) {
  const rapt::TokenId begin = tokenizer.id("assistant\n"), end = tokenizer.id("<|im_end|>");
  const std::vector<rapt::TokenId> tokens = tokenizer.encode(chat.render(messages, {.begins_answer = false}));
  auto row = static_cast<std::int32_t>(batch.input.size());
  batch.input.push_back(tokens);
  bool in_answer = false;
  for (const rapt::TokenId token : tokens) {
    if (in_answer) {  // the token before it predicts it
      batch.rows.push_back(row - 1);
      batch.targets.push_back(token);
    }
    in_answer = token == begin || (in_answer && token != end);
    ++row;
  }
}

/// Trains the model for so many steps. The same seed gives the same bits.
inline rapt::ChatModel train(rapt::Index steps, std::uint64_t seed) {
  const rapt::ByteLevelBpe words = tokenizer();
  const rapt::ChatTemplate chat(kTemplate);
  rapt::Rng rng(seed);
  rapt::Llama<float> model({.vocabulary = words.size(),
                            .d_model = 64,
                            .layers = 2,
                            .heads = 4,
                            .d_ff = 128,
                            .rotary = {.max_positions = 208},  // dialogues of 12 turns have up to 202 tokens
                            .tie_embeddings = true,
                            .init_std = 0.08},
                           rng);
  rapt::Adam adam(model);
  const rapt::CosineSchedule learning_rate{
      .peak = 4e-3, .warmup = std::min<rapt::Index>(20, steps / 4), .steps = steps, .floor = 1e-4};
  for (rapt::Index step = 1; step <= steps; ++step) {
    rapt::LanguageBatch batch;
    for (int i = 0; i < 16; ++i) add_dialogue(dialogue(rng, /*held_out=*/false), words, chat, batch);
    rapt::Training training(rng);
    const auto loss = model.loss(batch);
    rapt::backward(loss);
    adam.step(learning_rate(step));
    if (step == 1 || step % 100 == 0 || step == steps) {
      std::fprintf(stderr, "step %lld  loss %.3f\n", static_cast<long long>(step), static_cast<double>(loss.item()));
    }
  }
  return rapt::ChatModel(std::move(model), rapt::AnyTokenizer(words), chat);
}

/// How many of so many dialogues that were held out of training the model answers correctly: each turn word for word,
/// in a conversation that keeps its own answers.
inline int count_right(const rapt::ChatModel& model, int dialogues, std::uint64_t seed) {
  rapt::Rng rng(seed);
  int right = 0;
  for (int i = 0; i < dialogues; ++i) {
    const std::vector<rapt::ChatMessage> messages = dialogue(rng, /*held_out=*/true);
    rapt::Conversation conversation(model, {.system = kSystem, .answer_tokens = kAnswerTokens});
    bool is_right = true;
    for (std::size_t m = 1; is_right && m + 1 < messages.size(); m += 2) {  // behind the system text, turn by turn
      is_right = conversation.say(messages[m].content).text == messages[m + 1].content;
    }
    right += is_right;
  }
  return right;
}

}  // namespace small_model
