// Short dialogues in which a name and a pet are told and asked for, and a tokenizer for them.
#pragma once

#include <rapt/core/index.hpp>
#include <rapt/core/rng.hpp>
#include <rapt/pretrained/chat_template.hpp>
#include <rapt/text/byte_level_bpe.hpp>
#include <string>
#include <utility>
#include <vector>

inline constexpr const char* kChatTemplate =
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

inline const std::vector<std::string>& names() {
  static const std::vector<std::string> all = {"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo"};
  return all;
}
inline const std::vector<std::string>& pets() {
  static const std::vector<std::string> all = {"cat", "dog", "bird", "fish", "horse", "rabbit"};
  return all;
}

/// Name and pet in either order, then questions for them.
inline std::vector<rapt::ChatMessage> dialogue(rapt::Rng& rng) {
  const std::string name = rapt::at(names(), rng.below(std::ssize(names())));
  const std::string pet = rapt::at(pets(), rng.below(std::ssize(pets())));
  std::vector<rapt::ChatMessage> messages;
  const auto add = [&](std::string question, std::string answer) {
    messages.push_back({"user", std::move(question)});
    messages.push_back({"assistant", std::move(answer)});
  };
  const bool name_first = rng.below(2) == 0;
  for (const bool is_name : {name_first, !name_first}) {
    if (is_name) {
      add("My name is " + name + ".", "Hello, " + name + ".");
    } else {
      add("I have a " + pet + ".", "What a nice " + pet + ".");
    }
  }
  for (int i = 0; i < 3; ++i) {
    if (rng.below(2) == 0) {
      add("What is my name?", "Your name is " + name + ".");
    } else {
      add("Which pet do I have?", "You have a " + pet + ".");
    }
  }
  return messages;
}

/// The bytes are tokens, and so are the dialogues' words and phrases.
inline rapt::ByteLevelBpe dialogue_tokenizer() {
  const rapt::ByteLevelBpe bytes = rapt::ByteLevelBpe::of_bytes();
  std::vector<std::string> tokens(bytes.tokens().begin(), bytes.tokens().end());
  rapt::ByteLevelBpeOptions options;
  const auto add = [&](std::string text, bool is_special) {
    tokens.push_back(text);
    options.added_tokens.push_back({.text = std::move(text), .special = is_special});
  };
  for (const char* const mark : {"<|im_start|>", "<|im_end|>"}) add(mark, /*is_special=*/true);
  for (const char* const phrase : {"user\n", "assistant\n", "My name is", "I have a", "Hello,", "What a nice",
                                   "What is my name?", "Which pet do I have?", "Your name is", "You have a"}) {
    add(phrase, /*is_special=*/false);
  }
  for (const std::string& name : names()) add(" " + name, /*is_special=*/false);
  for (const std::string& pet : pets()) add(" " + pet, /*is_special=*/false);
  return rapt::ByteLevelBpe(std::move(tokens), {}, std::move(options));
}
