// Holds a dialogue with a decoder from a Hugging Face folder or a GGUF file, by the chat template that it has.
//
//   chat                                               a small model, which learns first
//   chat --model Qwen2.5-0.5B-Instruct --system "Be brief." --save talk
//   chat --model Qwen2.5-0.5B-Instruct --continue talk --save talk
//
// Each line of the standard input that is not blank is a turn; the answer is printed as it comes. Keys and values of
// the turns before are kept, so that a turn costs its new tokens alone; --save keeps them in a file, where --continue
// goes on to the same bits.
//
//   chat --measure 12 --shape gpt2 --tokens 24         what a turn costs with memory and without, on random weights
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <iostream>
#include <optional>
#include <rapt/core/atomic_file.hpp>
#include <rapt/pipelines/conversation.hpp>
#include <rapt/text/lines.hpp>
#include <rapt/train/progress.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chat/measure.hpp"
#include "chat/small_model.hpp"
#include "common/flags.hpp"

namespace {

struct Flags {
  std::string model, template_file, save, from, shape;
  std::string policy{rapt::name_of(rapt::FullPolicy::drop_oldest)};
  rapt::ConversationOptions options;
  std::optional<float> temperature;
  std::optional<rapt::Index> measure;
  rapt::Index steps = 1000;
};

rapt::ChatModel model_of(const Flags& flags) {
  if (!flags.shape.empty()) return chat_measure::random_model(flags.shape);
  if (flags.model.empty()) return small_model::train(flags.steps, flags.options.seed);
  std::optional<rapt::ChatTemplate> text;
  if (!flags.template_file.empty()) {
    text.emplace(rapt::read_text(flags.template_file), rapt::JinjaValue::Map(), flags.template_file);
  }
  rapt::WorkLine line("reading the model", "million parameters", 1'000'000);
  return rapt::ChatModel(flags.model, std::move(text), {.report = std::ref(line)});
}

void say(rapt::Conversation& conversation, const std::string& text) {
  const rapt::ChatAnswer answer = conversation.say(text, [](std::string_view part) {
    std::fwrite(part.data(), 1, part.size(), stdout);
    std::fflush(stdout);
    return true;
  });
  std::printf("\n");
  std::fflush(stdout);
  std::fprintf(stderr, "%lld tokens before, %lld of them kept, %zu tokens of the answer",
               static_cast<long long>(answer.prompt_tokens), static_cast<long long>(answer.kept_tokens),
               answer.tokens.size());
  if (answer.dropped_turns > 0)
    std::fprintf(stderr, ", %lld turns dropped", static_cast<long long>(answer.dropped_turns));
  std::fprintf(stderr, "\n");
}

/// Throws for options that would have no effect, or could only fail after a model has learned or answered.
void require_effect(const Flags& flags, bool has_tokens) {
  const bool is_small = flags.model.empty() && flags.shape.empty();
  const auto refuse_if = [](bool is_wrong, const std::string& text) {
    if (is_wrong) throw std::runtime_error(text);
  };
  refuse_if(is_small && flags.measure.has_value(), "--measure needs a --model or a --shape");
  refuse_if(is_small && !flags.options.system.empty(),
            "--system needs a --model: the small one has learned by a system text of its own");
  refuse_if(is_small && has_tokens && flags.options.answer_tokens > small_model::kAnswerTokens,
            "--tokens above " + std::to_string(small_model::kAnswerTokens) +
                " need a --model: no answer of the small one is longer");
  refuse_if(flags.model.empty() && flags.policy == rapt::name_of(rapt::FullPolicy::slide),
            "--policy slide needs a --model all of whose layers see a window");
  if (!flags.save.empty()) {
    const rapt::AtomicFile can_be_written(flags.save);  // or it throws
  }
}

/// A dialogue with the small model.
void demonstrate(const rapt::ChatModel& model, rapt::ConversationOptions options) {
  options.system = small_model::kSystem;
  rapt::Conversation conversation(model, std::move(options));
  for (const std::string_view text : small_model::kDemonstration) {
    const std::string line(text);
    std::printf("> %s\n", line.c_str());
    say(conversation, line);
  }
}

void chat(Flags flags) {
  const rapt::ChatModel model = model_of(flags);
  if (flags.temperature) {
    rapt::SamplingOptions sampling = model.defaults().sampling;
    sampling.temperature = *flags.temperature;
    flags.options.sampling = sampling;
  }
  for (const auto& [name, policy] : named_values(rapt::FullPolicy())) {
    if (name == flags.policy) flags.options.when_full = policy;
  }
  if (flags.measure) return chat_measure::measure(model, flags.options, *flags.measure, !flags.shape.empty());
  const bool is_small = flags.model.empty();
  if (is_small) {
    flags.options.answer_tokens = std::min(flags.options.answer_tokens, small_model::kAnswerTokens);
    if (flags.from.empty()) {
      constexpr int kDialogues = 200;
      std::printf("%d of %d unseen dialogues answered correctly\n",
                  small_model::count_right(model, kDialogues, flags.options.seed), kDialogues);
      demonstrate(model, flags.options);
    }
    flags.options.system = small_model::kSystem;
    std::fputs(small_model::help().c_str(), stderr);
  }
  rapt::Conversation conversation = flags.from.empty() ? rapt::Conversation(model, flags.options)
                                                       : rapt::Conversation::load(flags.from, model, flags.options);
  const auto keep = [&] {
    if (!flags.save.empty()) conversation.save(flags.save);
  };
  try {
    rapt::LineReader input(std::cin, "standard input");
    for (std::string line; input.next(line);) {
      if (rapt::is_blank(line)) continue;
      if (!is_small) {
        say(conversation, line);
      } else if (const auto sentence = small_model::sentence_of(line)) {
        say(conversation, *sentence);
      } else {
        std::fprintf(stderr, "The small model does not know what this means: %s\n%s", line.c_str(),
                     small_model::help().c_str());
      }
    }
  } catch (const std::exception& error) {  // what was said until then is kept
    try {
      keep();
    } catch (const std::exception& other) {
      throw std::runtime_error(std::string(error.what()) + "; and it could not be saved: " + other.what());
    }
    throw;
  }
  keep();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Holds a dialogue with a decoder from a Hugging Face folder, and remembers its turns."};
  Flags flags;
  auto* const model = app.add_option("--model", flags.model,
                                     "The folder or the GGUF file of the model. Without it a small one learns first.");
  app.add_option("--template", flags.template_file,
                 "The file of a chat template in Jinja, in place of the folder's own.")
      ->needs(model);
  auto* const system = app.add_option("--system", flags.options.system, "The system text, of a dialogue that begins.");
  auto* const from =
      app.add_option("--continue", flags.from, "Goes on with the dialogue of this file.")->excludes(system);
  auto* const save = app.add_option("--save", flags.save, "Writes the dialogue to this file in the end.");
  std::vector<std::string> policies;
  for (const std::string_view name : rapt::names_of<rapt::FullPolicy>()) policies.emplace_back(name);
  app.add_option("--policy", flags.policy,
                 "When the model's positions are full: drop-oldest turns but not the system "
                 "text, slide in a model with a window, or refuse the turn.")
      ->check(CLI::IsMember(policies))
      ->capture_default_str();
  auto* const tokens = add_positive(app, "--tokens", flags.options.answer_tokens,
                                    "The most tokens of an answer; those of the small model have 8 at most.");
  auto* const temperature =
      add_not_negative(app, "--temperature", flags.temperature,
                       "The temperature of drawing; 0 takes the most probable tokens. Without it as the folder says.");
  add_seed(app, flags.options.seed, "The same seed draws the same tokens, and trains the same small model.");
  auto* const steps =
      add_positive(app, "--steps", flags.steps, "The steps that the small model learns.")->excludes(model);
  auto* const measure =
      add_positive(app, "--measure", flags.measure, "Measures so many turns, with memory and without.")
          ->excludes(from)
          ->excludes(save);
  app.add_option("--shape", flags.shape, "Measures a model with random weights: gpt2 (124 million), or llama (135).")
      ->check(CLI::IsMember({"gpt2", "llama"}))
      ->excludes(model)
      ->excludes(steps)
      ->excludes(temperature)
      ->needs(measure);
  CLI11_PARSE(app, argc, argv);
  try {
    require_effect(flags, tokens->count() > 0);
    chat(std::move(flags));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "chat: %s\n", error.what());
    return 1;
  }
}
