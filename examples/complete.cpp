// Continues a prompt with any decoder that rapt loads, and prints each token as soon as it is there.
//
//   complete --model folder --prompt "Once upon a time" --tokens 100
//
// The folder is Hugging Face's: config.json, model.safetensors, and a tokenizer's files. It may also be one that the
// example `gpt` has written. Without --prompt, every line of the standard input that is not blank is one.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <rapt/generation/greedy.hpp>
#include <rapt/generation/sampling.hpp>
#include <rapt/pretrained/gpt.hpp>
#include <rapt/pretrained/llama.hpp>
#include <rapt/pretrained/tokenizer_files.hpp>
#include <rapt/text/lines.hpp>

namespace {

struct Flags {
  std::string model, prompt;
  rapt::SamplingOptions sampling;
  rapt::Index tokens = 100;
  std::uint64_t seed = 1;
  bool int8 = false;
};

/// Prints a text as it grows, whole characters only.
class Stream {
 public:
  explicit Stream(const rapt::PretrainedTokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void add(rapt::TokenId token) {
    tokens_.push_back(token);
    show(false);
  }
  void finish() {
    show(true);
    std::printf("\n");
  }
  [[nodiscard]] std::size_t tokens() const { return tokens_.size(); }

 private:
  void show(bool all) {
    const std::string text = std::visit([&](const auto& t) { return t.decode(tokens_); }, tokenizer_);
    std::size_t end = text.size();
    if (!all) {  // what may be the beginning of a character waits, and what cleaning up may still shorten
      if (cleans_up_) end -= std::min(end, kMostCleanedUp);
      std::size_t first = end;
      while (first > 0 && end - first < 4 && (static_cast<unsigned char>(text[first - 1]) & 0xC0u) == 0x80u) --first;
      if (first > 0 && (static_cast<unsigned char>(text[first - 1]) & 0x80u) != 0) --first;
      if (first < end && !rapt::find_invalid_utf8(std::string_view(text).substr(first, end - first))) {
        first = end;
      }
      end = first;
    }
    if (end > printed_) std::fwrite(text.data() + printed_, 1, end - printed_, stdout);
    printed_ = std::max(printed_, end);
    std::fflush(stdout);
  }

  static constexpr std::size_t kMostCleanedUp = 32;  // ten replacements, each of at most three bytes before its place

  const rapt::PretrainedTokenizer& tokenizer_;
  const bool cleans_up_ = std::visit([](const auto& t) { return t.options().clean_up_spaces; }, tokenizer_);
  std::vector<rapt::TokenId> tokens_;
  std::size_t printed_ = 0;
};

template <class Model>
void complete(const Flags& flags) {
  auto model = rapt::from_pretrained<Model>(flags.model);
  flags.int8 ? quantize_weights(model) : pack_weights(model);
  const rapt::PretrainedTokenizer tokenizer = rapt::load_tokenizer(flags.model);
  rapt::SamplingOptions options = flags.sampling;
  options.generation.extra_length = flags.tokens;
  const auto answer = [&](const std::string& text) {
    rapt::TokenBatch prompt;
    prompt.push_back(std::visit([&](const auto& t) { return t.encode(text); }, tokenizer));
    std::fwrite(text.data(), 1, text.size(), stdout);
    Stream stream(tokenizer);
    options.generation.on_token = [&](rapt::Index, rapt::TokenId token) {
      stream.add(token);
      return true;
    };
    const auto start = std::chrono::steady_clock::now();
    std::ignore = rapt::sample(model, prompt, options, flags.seed);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    stream.finish();
    std::fprintf(stderr, "%zu tokens, %.1f a second\n", stream.tokens(),
                 static_cast<double>(stream.tokens()) / seconds.count());
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
  app.add_option("--model", flags.model, "folder")->required();
  app.add_option("--prompt", flags.prompt, "text; without: lines of the standard input");
  app.add_option("--tokens", flags.tokens, "at most so many more")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--temperature", flags.sampling.temperature, "0: the most probable token")->capture_default_str();
  app.add_option("--top-k", flags.sampling.top_k, "draw from so many tokens; 0: all")->capture_default_str();
  app.add_option("--top-p", flags.sampling.top_p, "draw from those that make up this probability")
      ->capture_default_str();
  app.add_option("--repetition-penalty", flags.sampling.generation.repetition_penalty, "1: none")
      ->capture_default_str();
  app.add_option("--seed", flags.seed)->capture_default_str();
  app.add_flag("--int8", flags.int8, "keep weights in eight bits: the fastest, and not exact");
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
