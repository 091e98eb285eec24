// A Transformer-XL of characters, trained twice on the same segments of a text: with a cache of the segments before,
// and without. Prints the losses of both on text that was held out, and what the one with the cache writes.
//
//   transformer_xl --text input.txt      90 % of the file to learn from, 10 % to measure on
//   transformer_xl                       on a generated text, in which a word comes back after more than a segment
#include <CLI/CLI.hpp>
#include <cstdio>
#include <rapt/data/segments.hpp>
#include <rapt/models/transformer_xl.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/lines.hpp>
#include <string>

namespace {

using rapt::Index;
using rapt::TokenId;
using Model = rapt::TransformerXl<float>;
using Cache = rapt::SegmentCache<float>;

struct Flags {
  std::string text;
  Index steps = 1500, streams = 16, length = 32, memory = 128, layers = 3, d_model = 128;
  double learning_rate = 2e-3;
  std::uint64_t seed = 1;
};

/// Lines like "kelo: rima tuse ... nodi kelo": the last word is the first one.
std::string generated_text(std::uint64_t seed) {
  rapt::Rng rng(seed);
  const auto word = [&] {
    std::string letters;
    for (int i = 0; i < 2; ++i) {
      letters += "bdfgklmnprstvz"[rng.below(14)];
      letters += "aeiou"[rng.below(5)];
    }
    return letters;
  };
  std::string text;
  while (text.size() < 400000) {
    const std::string first = word();
    text += first + ":";
    for (int i = 0; i < 9; ++i) text += " " + word();
    text += " " + first + "\n";
  }
  return text;
}

/// The characters that a text has, and their numbers.
struct Characters {
  std::string characters;
  std::vector<TokenId> tokens;

  explicit Characters(const std::string& text) : characters(text) {
    std::sort(characters.begin(), characters.end());
    characters.erase(std::unique(characters.begin(), characters.end()), characters.end());
    for (const char c : text) tokens.push_back(static_cast<TokenId>(characters.find(c)));
  }
};

/// Mean loss per character, read in segments as in training.
double validate(const Model& model, const rapt::Segments& segments, bool with_memory) {
  const rapt::Inference scope;
  Cache cache;
  double sum = 0;
  for (Index t = 0; t < segments.size(); ++t) {
    if (!with_memory) cache = {};
    const rapt::LanguageBatch batch = segments[t];
    sum += static_cast<double>(model.loss(batch, cache).item()) * static_cast<double>(batch.targets.size());
  }
  return sum / static_cast<double>(segments.targets());
}

Model train(const Flags& flags, Index vocabulary, std::span<const TokenId> text, std::span<const TokenId> held_out,
            bool with_memory) {
  rapt::Rng rng(flags.seed);
  rapt::TransformerXlConfig config = rapt::TransformerXlConfig::characters(vocabulary);
  config.d_model = config.d_embed = flags.d_model;
  config.heads = 4;
  config.head_dim = std::max<Index>(1, flags.d_model / 4);
  config.d_ff = 4 * flags.d_model;
  config.layers = flags.layers;
  config.memory_length = flags.memory;
  config.pre_norm = true;
  config.dropout = 0.f;
  Model model(config, rng);
  rapt::Adam adam(model, {.beta2 = 0.99});
  const rapt::CosineSchedule schedule{
      .peak = flags.learning_rate, .warmup = flags.steps / 15 + 1, .steps = flags.steps};
  const rapt::SegmentOptions cut{.streams = flags.streams, .length = flags.length};
  const rapt::Segments segments(text, cut), validation(held_out, cut);
  std::printf("%s memory, %td parameters\n", with_memory ? "with" : "without", rapt::count_parameters(model));
  Cache cache;
  for (Index step = 1; step <= flags.steps; ++step) {
    const Index t = (step - 1) % segments.size();
    if (t == 0 || !with_memory) cache = {};  // the streams begin anew
    const rapt::Training training(rng);
    const auto loss = model.loss(segments[t], cache);
    rapt::backward(loss);
    adam.step(schedule(step), rapt::clip_factor(rapt::gradient_norm(model), 1.0));
    if (step % 500 == 0 || step == flags.steps) {
      std::printf("  step %td  loss %.3f  validation loss %.3f\n", step, static_cast<double>(loss.item()),
                  validate(model, validation, with_memory));
      std::fflush(stdout);
    }
  }
  return model;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Trains a character-level Transformer-XL with and without memory, and compares them."};
  app.add_option("--text", flags.text, "a text file; without it a text is generated")->check(CLI::ExistingFile);
  const auto positive = [&](const char* name, auto& value, const char* what) {
    app.add_option(name, value, what)->check(CLI::PositiveNumber)->capture_default_str();
  };
  positive("--steps", flags.steps, "of the optimizer, for each of the two");
  positive("--streams", flags.streams, "parts of the text that are read side by side");
  positive("--length", flags.length, "characters of a segment");
  positive("--memory", flags.memory, "characters that are remembered");
  positive("--layers", flags.layers, "of the model");
  positive("--d-model", flags.d_model, "its width");
  positive("--learning-rate", flags.learning_rate, "at its highest");
  app.add_option("--seed", flags.seed, "the same seed gives the same numbers")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    const Characters text(flags.text.empty() ? generated_text(flags.seed) : rapt::read_text(flags.text));
    const std::span<const TokenId> tokens(text.tokens);
    const auto learned = tokens.first(tokens.size() * 9 / 10), held_out = tokens.subspan(learned.size());
    const auto vocabulary = static_cast<Index>(text.characters.size());
    std::ignore = train(flags, vocabulary, learned, held_out, /*with_memory=*/false);
    const Model model = train(flags, vocabulary, learned, held_out, /*with_memory=*/true);

    rapt::TokenBatch prompt;
    prompt.push_back(held_out.first(std::min<std::size_t>(held_out.size(), 100)));
    const rapt::SamplingOptions options{.temperature = 0.8f, .generation = {.extra_length = 300}};
    const auto written = rapt::sample(model, prompt, options, flags.seed).front().front().tokens;
    const auto print = [&](const std::vector<TokenId>& some) {
      for (const TokenId token : some) std::printf("%c", text.characters[static_cast<std::size_t>(token)]);
    };
    print(prompt.tokens);
    std::printf("|");
    print(written);
    std::printf("\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "transformer_xl: %s\n", error.what());
    return 1;
  }
}
