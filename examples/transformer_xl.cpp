// A Transformer-XL of characters, trained twice on the same segments of a text: with a cache of the segments before
// ("memory" in the paper), and without. Prints the losses of both on text that was held out, and what the one with the
// cache writes.
//
//   transformer_xl --text input.txt      90 % of the file to learn from, 10 % to measure on
//   transformer_xl                       on a generated text, in which a word comes back after more than a segment
//   transformer_xl --folder run          can be killed; the same command with --resume goes on
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <rapt/data/segments.hpp>
#include <rapt/models/transformer_xl.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/lines.hpp>
#include <string>

#include "common/lines.hpp"
#include "common/run_flags.hpp"

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
  RunFlags run;
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
    for (int i = 0; i < 9; ++i) (text += ' ') += word();
    ((text += ' ') += first) += '\n';
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

/// A model, and what it carries from segment to segment of the training text.
class Reader {
 public:
  using ScalarType = float;

  Reader(Model model, bool with_memory) : model_(std::move(model)), with_memory_(with_memory) {}

  [[nodiscard]] const Model& model() const { return model_; }

  [[nodiscard]] rapt::Variable<float> loss(const rapt::SegmentBatch& segment) {
    if (segment.begins || !with_memory_) cache_ = {};
    return model_.loss(segment, cache_);
  }

  /// The cache of each layer   // [streams * remembered characters, D]
  [[nodiscard]] rapt::NamedTensors<float> carried() const {
    rapt::NamedTensors<float> tensors;
    for (std::size_t i = 0; i < cache_.layers.size(); ++i) tensors[std::to_string(i)] = cache_.layers[i];
    if (!cache_.empty()) tensors["streams"] = {rapt::Shape{1}, static_cast<float>(cache_.rows())};
    return tensors;
  }
  void set_carried(rapt::NamedTensors<float> tensors) {
    Cache cache;
    if (!tensors.empty()) {
      const auto streams = tensors.extract("streams");
      rapt::require<rapt::ShapeError>(!streams.empty() && streams.mapped().size() == 1, "transformer_xl",
                                      "the cache needs its number of streams");
      // A number of a file: it is checked before it becomes a whole one.
      const float stored = streams.mapped().data()[0];
      rapt::require<rapt::ShapeError>(stored >= 1 && stored <= 1e6f && stored == std::floor(stored), "transformer_xl",
                                      "the cache's number of streams must be a whole one from 1 to 1000000: ", stored);
      const auto count = static_cast<Index>(stored);
      for (std::size_t i = 0; i < static_cast<std::size_t>(model_.config().layers); ++i) {
        const auto layer = tensors.extract(std::to_string(i));
        const bool fits = !layer.empty() && layer.mapped().shape().rank() == 2 && layer.mapped().rows() % count == 0 &&
                          layer.mapped().cols() == model_.config().d_model;
        rapt::require<rapt::ShapeError>(fits && (i == 0 || layer.mapped().rows() == cache.layers[0].rows()),
                                        "transformer_xl", "the cache of layer ", i, " does not fit the model");
        cache.layers.push_back(std::move(layer.mapped()));
      }
      cache.row_splits = rapt::RowSplits::equal(count, cache.layers[0].rows() / count);
    }
    cache_ = std::move(cache);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    Model::visit(self.model_, visitor);
  }

 private:
  Model model_;
  bool with_memory_;
  Cache cache_;
};
static_assert(rapt::CarriesTensors<Reader>);

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
  Reader reader(Model(config, rng), with_memory);
  const rapt::SegmentOptions cut{.streams = flags.streams, .length = flags.length};
  const rapt::Segments validation(held_out, cut);
  rapt::SegmentStream segments(rapt::Segments(text, cut));
  std::printf("%s memory, %td parameters\n", with_memory ? "with" : "without", rapt::count_parameters(reader));

  rapt::Fingerprint fingerprint;
  fingerprint.add(text);
  rapt::TrainingJob job(flags.run.job(with_memory ? "with-memory" : "without-memory", {"--text"},
                                      data_text(text.size(), "characters", fingerprint)));
  rapt::Trainer trainer(
      reader, flags.run.processes.shared({.learning_rate = rapt::CosineSchedule{.peak = flags.learning_rate,
                                                                                .warmup = flags.steps / 15 + 1,
                                                                                .steps = flags.steps},
                                          .adam = {.beta2 = 0.99},
                                          .clip_norm = 1,
                                          .seed = flags.seed}));
  const auto measure = [&](const Reader& some) {
    const double loss = validate(some.model(), validation, with_memory);
    char line[100];
    std::snprintf(line, sizeof line, "loss %.3f  validation loss %.3f", job.progress().loss, loss);
    return rapt::Measurement{.score = loss, .text = line, .entry = {{"validation_loss", loss}}};
  };
  job.run(trainer, segments, {.steps = flags.steps, .validate_every = 500}, {.measure = measure});
  return reader.model();
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Trains a character-level Transformer-XL with and without memory, and compares them."};
  app.add_option("--text", flags.text, "The file to learn from. Without it a text is generated.")
      ->check(CLI::ExistingFile);
  add_positive(app, "--steps", flags.steps, "The number of steps of each of the two.");
  add_positive(app, "--streams", flags.streams, "The number of parts of the text that are read side by side.");
  add_positive(app, "--length", flags.length, "The number of characters of a segment.");
  add_positive(app, "--memory", flags.memory, "The number of characters whose hidden states are kept.");
  add_positive(app, "--layers", flags.layers, "The number of layers.");
  add_positive(app, "--d-model", flags.d_model, "The width of the model (d_model).");
  add_positive(app, "--learning-rate", flags.learning_rate, "The highest learning rate; it falls to 0.");
  add_seed(app, flags.seed);
  flags.run.add_to(app);
  flags.run.processes.shares_work = false;  // each step builds on the one before
  CLI11_PARSE(app, argc, argv);

  return run_program("transformer_xl", flags.run.processes, [&] {
    const Characters text(flags.text.empty() ? generated_text(flags.seed) : rapt::read_text(flags.text));
    const std::span<const TokenId> tokens(text.tokens);
    const auto learned = tokens.first(tokens.size() * 9 / 10), held_out = tokens.subspan(learned.size());
    const auto vocabulary = static_cast<Index>(text.characters.size());
    std::ignore = train(flags, vocabulary, learned, held_out, /*with_memory=*/false);
    const Model model = train(flags, vocabulary, learned, held_out, /*with_memory=*/true);

    rapt::TokenBatch prompt;
    prompt.push_back(held_out.first(std::min<std::size_t>(held_out.size(), 100)));
    const rapt::SamplingOptions options{.temperature = 0.8f, .generation = {.extra_length = 300}};
    const auto written = rapt::sample(model, prompt, options, {.seed = flags.seed}).front().front().tokens;
    const auto print = [&](const std::vector<TokenId>& some) {
      for (const TokenId token : some) std::printf("%c", text.characters[static_cast<std::size_t>(token)]);
    };
    print(prompt.tokens);
    std::printf("|");
    print(written);
    std::printf("\n");
  });
}
