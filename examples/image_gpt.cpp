// Trains an ImageGPT on digits, pixel by pixel, and lets it complete the lower half of digits that it has not seen.
//
//   image_gpt                                            generated digits
//   image_gpt --mnist folder --steps 6000 --model out    MNIST's four files; keeps a folder that Hugging Face loads
//   image_gpt --folder run                               can be killed; the same command with --resume goes on
//   image_gpt --masked                                   masked pixels from all others, BERT's objective
//
// Prints the loss of a pixel, in nats; writes a PNG with a row for each of ten test images, the original, its upper
// half, completions; then tells how well a linear map of each layer's features knows digits, of which the model was
// told nothing. A model of masked pixels completes none.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <rapt/images/grid.hpp>
#include <rapt/images/png.hpp>
#include <rapt/pretrained/image_gpt.hpp>
#include <rapt/rapt.hpp>

#include "common/digits.hpp"
#include "common/pixels.hpp"
#include "common/run_flags.hpp"
#include "image_gpt/measures.hpp"

namespace {

using rapt::Index;

struct Flags {
  std::string mnist, model, image = "completions.png";
  rapt::ImageGptConfig size{.d_model = 64,
                            .layers = 6,
                            .heads = 4,
                            .embedding_dropout = 0,
                            .dropout = 0,
                            .attention_dropout = 0,
                            .init_std = 0.1};
  Index grays = 8, factor = 2, batch = 16, steps = 1000, completions = 6, probe = 2000;
  double learning_rate = 2e-3, temperature = 0.8;
  std::uint64_t seed = 1;
  bool masked = false;
  RunFlags run;

  [[nodiscard]] PixelObjective objective() const { return masked ? PixelObjective::masked : PixelObjective::next; }
};

void train(rapt::ImageGpt<float>& model, const rapt::ImageDataset& training, const rapt::ImageDataset& test,
           const Grays& grays, const Flags& flags) {
  rapt::TrainingJob job(flags.run.job({"--mnist", "--model", "--image", "--temperature", "--completions", "--probe"},
                                      fingerprint(training)));
  const rapt::MaskingOptions masking = pixel_masking(model.config(), flags.batch);
  rapt::RandomBatches<rapt::LanguageBatch> batches(
      [&](rapt::Rng& rng) {
        rapt::TokenBatch images;
        for (Index i = 0; i < flags.batch; ++i) {
          images.push_back(grays.encode(training.planes(rng.below(training.images()))));
        }
        return flags.masked ? rapt::mask_tokens(std::move(images), masking, rng) : model.next_pixels(images);
      },
      (training.images() + flags.batch - 1) / flags.batch,
      {.first = {flags.seed, 0}, .streams = flags.batch + (flags.masked ? 1 : 0)});
  rapt::WithLoss trained(model, [&](const rapt::LanguageBatch& batch, const rapt::CrossEntropyOptions& options) {
    return flags.masked ? model.masked_loss(batch, options) : model.loss(batch, options);
  });
  rapt::Trainer trainer(trained,
                        flags.run.processes.shared({.learning_rate = rapt::CosineSchedule{.peak = flags.learning_rate,
                                                                                          .warmup = flags.steps / 20,
                                                                                          .steps = flags.steps},
                                                    .adam = {.beta2 = 0.95, .epsilon = 1e-8},
                                                    .label_smoothing = 0,
                                                    .clip_norm = 1,
                                                    .seed = flags.seed}));
  const auto measure = [&](const auto&) {
    const double loss = mean_loss(model, test, grays, flags.objective());
    char text[100];
    std::snprintf(text, sizeof text, "loss %.4f  test %.4f  %.1f s", job.progress().loss, loss, job.progress().seconds);
    return rapt::Measurement{.score = loss, .text = text, .entry = {{"validation_loss", loss}}};
  };
  job.run(trainer, batches, {.steps = flags.steps, .validate_every = 250}, {.measure = measure});
}

/// A row for each of the first images.
rapt::Image complete(const rapt::ImageGpt<float>& model, const rapt::ImageDataset& test, const Grays& grays,
                     const Flags& flags) {
  const Index rows = std::min<Index>(10, test.images()), upper = test.shape().height / 2 * test.shape().width;
  rapt::TokenBatch prompts;
  for (Index i = 0; i < rows; ++i) {
    std::vector<rapt::TokenId> prompt = grays.encode(test.planes(i).first(static_cast<std::size_t>(upper)));
    prompt.insert(prompt.begin(), model.config().begin_token());
    prompts.push_back(prompt);
  }
  const auto found = rapt::sample(model, prompts,
                                  {.temperature = static_cast<float>(flags.temperature),
                                   .samples = flags.completions,
                                   .generation = {.extra_length = test.shape().size() - upper}},
                                  {.seed = flags.seed});
  std::vector<rapt::Image> cells;
  for (Index i = 0; i < rows; ++i) {
    const std::span<const rapt::TokenId> seen = prompts.sequence(i).subspan(1);
    cells.push_back(grays.decode(grays.encode(test.planes(i)), test.shape()));
    cells.push_back(grays.decode(seen, test.shape()));
    for (const rapt::Hypothesis& completion : found[static_cast<std::size_t>(i)]) {
      std::vector<rapt::TokenId> pixels(seen.begin(), seen.end());
      pixels.insert(pixels.end(), completion.tokens.begin(), completion.tokens.end());
      cells.push_back(grays.decode(pixels, test.shape()));
    }
  }
  return rapt::image_grid(cells, {.columns = flags.completions + 2, .scale = 3});
}

void run(const Flags& flags) {
  const Digits digits = read_digits(flags.mnist, /*training=*/3000, /*test=*/3000);
  const auto training = smaller(digits.training, flags.factor), test = smaller(digits.test, flags.factor);
  const Grays grays(training, flags.grays);
  rapt::ImageGptConfig config = flags.size;
  config.clusters = grays.count();
  config.positions = training.shape().size();
  rapt::Rng rng(flags.seed);
  rapt::ImageGpt model(config, rng);
  std::printf("%td images of %s in %td grays, %td parameters, %d threads\n", training.images(),
              to_string(training.shape()).c_str(), grays.count(), count_parameters(model),
              static_cast<int>(rapt::threads()));
  train(model, training, test, grays, flags);
  if (!flags.run.processes.is_first()) return;
  if (!flags.model.empty()) save_pretrained(flags.model, model);
  if (!flags.masked) {
    rapt::write_png(flags.image, complete(model, test, grays, flags));
    std::printf("completions: %s\n", flags.image.c_str());
  }
  for (Index layer = 0; layer <= config.layers; ++layer) {
    const double accuracy =
        linear_probe(features_of(model, training, grays, flags.objective(), layer, flags.probe),
                     features_of(model, test, grays, flags.objective(), layer, flags.probe), training.classes());
    std::printf("linear probe of layer %td: %.2f %% of test images\n", layer, 100 * accuracy);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Trains an ImageGPT on digits, and lets it complete them."};
  Flags f;
  app.add_option("--mnist", f.mnist, "The folder with MNIST's four files. Without it digits are generated.");
  CLI::Option* kept = app.add_option("--model", f.model, "Writes the model to this folder, as Hugging Face does.");
  app.add_option("--image", f.image, "The PNG file of the completions.")->capture_default_str();
  app.add_flag(
         "--masked", f.masked,
         "Learns masked pixels from all others instead of the next pixel from those before it; no folder can say this.")
      ->excludes(kept);
  add_positive(app, "--steps", f.steps, "The number of steps.");
  add_positive(app, "--smaller", f.factor, "The factor by which images are made smaller.");
  add_number(app, "--grays", f.grays, {.least = 2, .most = 256}, "The number of gray values, which are the tokens.");
  add_positive(app, "--d-model", f.size.d_model, "The width of the model (d_model).");
  add_positive(app, "--layers", f.size.layers, "The number of layers.");
  add_positive(app, "--heads", f.size.heads, "The number of attention heads.");
  add_positive(app, "--batch", f.batch, "The number of images in a step.");
  add_positive(app, "--learning-rate", f.learning_rate, "The highest learning rate; it falls to 0.");
  add_not_negative(app, "--temperature", f.temperature, "The temperature of sampling.");
  add_positive(app, "--completions", f.completions, "The number of completions of each image.");
  add_positive(app, "--probe", f.probe, "The number of images that the linear maps learn from, and of those to test.");
  add_seed(app, f.seed);
  f.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("image_gpt", f.run.processes, [&] { run(f); });
}
