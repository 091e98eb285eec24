// Generated dialogues in which facts are told and asked for: what the small model learns from, and is measured on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <rapt/core/index.hpp>
#include <rapt/core/rng.hpp>
#include <rapt/pretrained/chat_template.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace small_model {

inline constexpr const char* kSystem = "Remember what you are told.";

/// What a user may tell: "My pet is a cat."
struct Fact {
  std::string_view kind;
  std::vector<std::string_view> values;

  [[nodiscard]] std::string told(std::string_view value) const {
    return "My " + std::string(kind) + " is " + std::string(value) + ".";
  }
  [[nodiscard]] std::string asked() const { return "What is my " + std::string(kind) + "?"; }
  [[nodiscard]] std::string known(std::string_view value) const {
    return "Your " + std::string(kind) + " is " + std::string(value) + ".";
  }
  [[nodiscard]] std::string unknown() const { return "Your " + std::string(kind) + " is unknown to me."; }
};
inline const std::vector<Fact>& facts() {
  static const std::vector<Fact> all = {{"name", {"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo"}},
                                        {"colour", {"red", "blue", "green", "black", "white", "yellow"}},
                                        {"pet", {"a cat", "a dog", "a bird", "a fish", "a horse", "a rabbit"}},
                                        {"town", {"Rome", "Paris", "Oslo", "Vienna", "Madrid", "Lisbon"}}};
  return all;
}

/// A dialogue is held out by the values that it tells, whatever their order: if there are two or more, and their places
/// in the lists of values, counted from 0, add up to 1 more than a multiple of 5. No dialogue of training tells exactly
/// these values, each as often; there are some that tell these and others.
struct Dialogue {
  std::vector<rapt::ChatMessage> messages;
  bool is_held_out = false;
};

/// What the user says in a dialogue that is held out.
inline constexpr std::string_view kDemonstration[] = {"My name is Clara.", "How are you?",     "My pet is a horse.",
                                                      "What is my town?",  "What is my name?", "What is my pet?"};

inline constexpr rapt::Index kFewestTurns = 3, kMostTurns = 12;

inline Dialogue any_dialogue(rapt::Rng& rng) {
  Dialogue dialogue{.messages = {{"system", kSystem}}};
  const auto exchange = [&](std::string question, std::string answer) {
    dialogue.messages.push_back({"user", std::move(question)});
    dialogue.messages.push_back({"assistant", std::move(answer)});
  };
  std::vector<std::string_view> known(facts().size());  // the value of each fact that was told last
  rapt::Index values_told = 0, places = 0;
  // Dialogues about few kinds of facts often tell one anew, and ask for it then.
  const rapt::Index all = std::ssize(facts()), first = rng.below(all), kinds = 1 + rng.below(all);
  const rapt::Index turns = kFewestTurns + rng.below(kMostTurns - kFewestTurns + 1);
  for (rapt::Index turn = 0; turn < turns; ++turn) {
    const rapt::Index number = (first + rng.below(kinds)) % all;
    const Fact& fact = rapt::at(facts(), number);
    std::string_view& value = rapt::at(known, number);
    const rapt::Index choice = rng.below(12);
    if (choice == 0) {
      exchange("How are you?", "I am fine.");
    } else if (choice < (value.empty() ? 6 : 4)) {  // less often if it was told before
      const rapt::Index place = rng.below(std::ssize(fact.values));
      value = rapt::at(fact.values, place);
      ++values_told;
      places += place;
      exchange(fact.told(value), "I see.");
    } else {
      exchange(fact.asked(), value.empty() ? fact.unknown() : fact.known(value));
    }
  }
  dialogue.is_held_out = values_told > 1 && places % 5 == 1;
  return dialogue;
}
/// A dialogue that is held out, or one for training.
inline std::vector<rapt::ChatMessage> dialogue(rapt::Rng& rng, bool held_out) {
  for (;;) {
    Dialogue drawn = any_dialogue(rng);
    if (drawn.is_held_out == held_out) return std::move(drawn.messages);
  }
}

/// The sentence of the dialogues that a user's line says, whatever its case, its spaces and its punctuation; none if it
/// says something else.
inline std::optional<std::string> sentence_of(std::string_view line) {
  const auto words_of = [](std::string_view text) {
    std::string words;
    for (const char c : text) {
      const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      if (std::string_view(" \t\r.,;!?").find(lower) == std::string_view::npos) {
        words += lower;
      } else if (!words.empty() && words.back() != ' ') {
        words += ' ';
      }
    }
    if (words.ends_with(' ')) words.pop_back();
    return words;
  };
  std::vector<std::string> sentences = {"How are you?"};
  for (const Fact& fact : facts()) {
    sentences.push_back(fact.asked());
    for (const std::string_view value : fact.values) sentences.push_back(fact.told(value));
  }
  const auto found = std::find_if(sentences.begin(), sentences.end(),
                                  [&](const std::string& one) { return words_of(one) == words_of(line); });
  if (found == sentences.end()) return {};
  return *found;
}
/// The sentences that the small model understands, as a help text.
inline std::string help() {
  std::string text = "The small model understands these sentences alone:\n  How are you?\n";
  for (const Fact& fact : facts()) {
    text += "  " + fact.asked() + "  " + fact.told(fact.values.front());
    text += "  (or:";
    for (std::size_t i = 1; i < fact.values.size(); ++i) text += (i > 1 ? ", " : " ") + std::string(fact.values[i]);
    text += ")\n";
  }
  return text + "A model that understands more is given by --model.\n";
}

}  // namespace small_model
