// Continues a prompt with a GPT-2 or a model of the Llama family, and prints each token as soon as it is there.
//
//   complete --model folder --prompt "Once upon a time" --tokens 100
//
// The folder is Hugging Face's: config.json, model.safetensors, and a tokenizer's files. It may also be one that the
// example `gpt` has written, or a GGUF file of llama.cpp. Without --prompt, every line of the standard input that is
// not blank is one.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <rapt/pipelines/text_generator.hpp>
#include <rapt/pretrained/gpt.hpp>
#include <rapt/pretrained/llama.hpp>
#include <rapt/text/lines.hpp>
#include <rapt/train/progress.hpp>

#include "common/flags.hpp"

namespace {

struct Flags {
  std::string model, prompt;
  rapt::SamplingOptions sampling;
  rapt::Index tokens = 100;
  std::uint64_t seed = 1;
  bool int8 = false;
};

template <class Model>
rapt::TextGenerator<Model> load(const std::string& folder) {
  rapt::WorkLine line("reading the model", "million parameters", 1'000'000);
  return rapt::TextGenerator<Model>::load(folder, {.report = std::ref(line)});
}

template <class Model>
void complete(const Flags& flags) {
  auto generator = load<Model>(flags.model);
  if (flags.int8) generator.quantize();
  rapt::SamplingOptions options = flags.sampling;
  options.generation.extra_length = flags.tokens;
  const auto show = [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    return true;
  };
  const auto answer = [&](const std::string& prompt) {
    show(prompt);
    const auto start = std::chrono::steady_clock::now();
    const rapt::Completion found = generator.stream(prompt, options, show, {.seed = flags.seed});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    show("\n");
    std::fprintf(stderr, "%zu tokens, %.1f a second\n", found.tokens.size(),
                 static_cast<double>(found.tokens.size()) / seconds.count());
  };
  if (!flags.prompt.empty()) return answer(flags.prompt);
  rapt::LineReader input(std::cin, "standard input");
  for (std::string line; input.next(line);) {
    if (!rapt::is_blank(line)) answer(line);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Continues a prompt with a decoder from a Hugging Face folder."};
  Flags flags;
  app.add_option("--model", flags.model, "The Hugging Face folder or the GGUF file of the model.")->required();
  app.add_option("--prompt", flags.prompt, "The text to continue. Without it each line of the standard input is one.");
  add_positive(app, "--tokens", flags.tokens, "The most tokens to add.");
  add_not_negative(app, "--temperature", flags.sampling.temperature,
                   "The temperature of sampling; 0 takes the most probable token.");
  add_not_negative(app, "--top-k", flags.sampling.top_k, "Draws from so many most probable tokens; 0: from all.");
  add_number(app, "--top-p", flags.sampling.top_p, {.most = 1, .without_least = true},
             "Draws from the most probable tokens that together have this probability.");
  add_positive(app, "--repetition-penalty", flags.sampling.generation.repetition_penalty,
               "Makes tokens that were there already less probable; 1: does not.");
  add_seed(app, flags.seed, "The same seed draws the same tokens.");
  app.add_flag("--int8", flags.int8, "Keeps the weights in eight bits, which is the fastest and not exact.");
  CLI11_PARSE(app, argc, argv);
  try {
    const std::string type = rapt::pretrained_type(flags.model);
    if (type == rapt::PretrainedFormat<rapt::GptConfig>::kModelType) {
      complete<rapt::Gpt<float>>(flags);
    } else {
      complete<rapt::Llama<float>>(flags);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "complete: %s\n", error.what());
    return 1;
  }
}
