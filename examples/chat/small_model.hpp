// A small model that learns to hold a dialogue in which facts are told and asked for some turns later.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <rapt/pipelines/chat_model.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/byte_level_bpe.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace small_model {

inline constexpr const char* kTemplate =
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// What the user tells, and what of it.
struct Fact {
  std::string_view kind;
  std::vector<std::string_view> values;
};
inline const std::vector<Fact>& facts() {
  static const std::vector<Fact> all = {{"name", {"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo"}},
                                        {"colour", {"red", "blue", "green", "black", "white", "yellow"}},
                                        {"pet", {"a cat", "a dog", "a bird", "a fish", "a horse"}},
                                        {"town", {"Rome", "Paris", "Oslo", "Vienna", "Madrid", "Lisbon"}}};
  return all;
}

/// A generated dialogue in which facts are told and asked for.
inline std::vector<rapt::ChatMessage> dialogue(rapt::Rng& rng) {
  std::vector<rapt::ChatMessage> messages = {{"system", "Remember what you are told."}};
  std::vector<std::string> known(facts().size());
  const auto exchange = [&](std::string question, std::string answer) {
    messages.push_back({"user", std::move(question)});
    messages.push_back({"assistant", std::move(answer)});
  };
  const auto turns = 3 + rng.below(6);
  for (auto turn = turns; turn > 0; --turn) {
    const auto number = static_cast<std::size_t>(rng.below(std::ssize(facts())));
    const Fact& fact = facts()[number];
    const std::string kind(fact.kind);
    const auto choice = rng.below(8);
    if (choice == 0) {
      exchange("How are you?", "I am fine.");
    } else if (choice < 5 && known[number].empty()) {
      known[number] = fact.values[static_cast<std::size_t>(rng.below(std::ssize(fact.values)))];
      exchange("My " + kind + " is " + known[number] + ".", "I see.");
    } else {
      exchange("What is my " + kind + "?",
               known[number].empty() ? "You did not tell me." : "It is " + known[number] + ".");
    }
  }
  return messages;
}

/// The words of the dialogues are tokens, with the space before them, and so are all bytes, of which other words are
/// made.
inline rapt::ByteLevelBpe tokenizer() {
  const rapt::ByteLevelBpe bytes = rapt::ByteLevelBpe::of_bytes();
  std::vector<std::string> names(bytes.tokens().begin(), bytes.tokens().end());
  rapt::ByteLevelBpeOptions options;
  const auto add = [&](std::string text, bool is_special) {
    names.push_back(text);
    options.added_tokens.push_back({.text = std::move(text), .special = is_special});
  };
  for (const char* const mark : {"<|im_start|>", "<|im_end|>"}) add(mark, /*is_special=*/true);
  for (const char* const word :
       {"system\n", "user\n", "assistant\n", "Remember", " what", " you", " are", " told", "How", "What", "My", "It",
        "You",      " did",   " not",        " tell",    " me",   " see", " am",  " fine", " is", " my",  " a"}) {
    add(word, /*is_special=*/false);
  }
  for (const Fact& fact : facts()) {
    add(" " + std::string(fact.kind), /*is_special=*/false);
    for (std::string_view value : fact.values) {
      if (value.starts_with("a ")) value.remove_prefix(2);
      add(" " + std::string(value), /*is_special=*/false);
    }
  }
  return rapt::ByteLevelBpe(std::move(names), {}, std::move(options));
}

/// Dialogues as a batch whose targets are the assistant's tokens and the ends of its turns.
inline rapt::LanguageBatch batch_of(const rapt::ByteLevelBpe& tokenizer, const rapt::ChatTemplate& chat, int dialogues,
                                    rapt::Rng& rng) {
  rapt::LanguageBatch batch;
  for (int i = 0; i < dialogues; ++i) {
    const std::vector<rapt::ChatMessage> messages = dialogue(rng);
    const auto size_of = [&](std::size_t count, bool begins_answer) {
      const std::string text = chat.render(std::span(messages).first(count), {.begins_answer = begins_answer});
      return tokenizer.encode(text).size();
    };
    const auto first = static_cast<std::size_t>(batch.input.size());
    const std::vector<rapt::TokenId> tokens = tokenizer.encode(chat.render(messages, {.begins_answer = false}));
    batch.input.push_back(tokens);
    for (std::size_t m = 0; m < messages.size(); ++m) {
      if (messages[m].role != "assistant") continue;
      const std::size_t end = size_of(m + 1, false) - 1;  // without the line feed behind the turn
      for (std::size_t t = size_of(m, true); t < end; ++t) {
        batch.rows.push_back(static_cast<std::int32_t>(first + t - 1));
        batch.targets.push_back(tokens[t]);
      }
    }
  }
  return batch;
}

/// Trains the model for so many steps, the same bits each time.
inline rapt::ChatModel train(rapt::Index steps) {
  const rapt::ByteLevelBpe words = tokenizer();
  const rapt::ChatTemplate chat(kTemplate);
  rapt::Rng rng(1);
  rapt::Llama<float> model({.vocabulary = words.size(),
                            .d_model = 64,
                            .layers = 2,
                            .heads = 4,
                            .d_ff = 128,
                            .rotary = {.max_positions = 512},
                            .tie_embeddings = true},
                           rng);
  rapt::Adam adam(model);
  const rapt::CosineSchedule learning_rate{
      .peak = 4e-3, .warmup = std::min<rapt::Index>(20, steps / 4), .steps = steps, .floor = 1e-4};
  for (rapt::Index step = 1; step <= steps; ++step) {
    const rapt::LanguageBatch batch = batch_of(words, chat, 24, rng);
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

}  // namespace small_model
