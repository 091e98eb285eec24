// Trains TransGAN, two Transformers without a convolution, to make images of digits, and measures how real they look to
// a Vision Transformer that was trained to tell digits apart.
//
//   transgan                                         generated digits
//   transgan --mnist folder --steps 8000 --batch 64 --judge judge.safetensors --generator generator.safetensors
//   transgan --folder run                            can be killed; the same command with --resume goes on
//
// Writes PNGs of samples, of the way from one sample to another, and of samples beside the training images that are
// most like them. Prints the Fréchet distance in the judge's features from training images, an inception score, and of
// how many samples the judge is sure, for samples, held-out real digits and the untrained generator.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <rapt/core/atomic_file.hpp>
#include <rapt/io/model_file.hpp>
#include <rapt/models/transgan.hpp>
#include <rapt/train/adversarial_training.hpp>

#include "common/digits.hpp"
#include "common/run_flags.hpp"
#include "transgan/images.hpp"
#include "transgan/judge.hpp"

namespace {

using rapt::Index;
using Generator = rapt::TransGanGenerator<float>;
using Discriminator = rapt::TransGanDiscriminator<float>;

struct Flags {
  std::string mnist, judge, generator, samples = "samples.png", interpolations = "interpolations.png",
                                       neighbours = "neighbours.png";
  Index steps = 600, batch = 32, width = 128, columns = 64, latent = 64, judged = 10000, judge_epochs = 15;
  double learning_rate = 5e-4, penalty = 1, average_decay = 0.999;
  std::string loss = "logistic";
  bool augment = true;
  std::uint64_t seed = 1;
  RunFlags run;

  /// A training of the run.
  [[nodiscard]] rapt::JobOptions job(const std::string& name, const rapt::ImageDataset& images) const {
    return run.job(name,
                   {"--mnist", "--judge", "--generator", "--samples", "--interpolations", "--neighbours", "--judged"},
                   fingerprint(images));
  }
  [[nodiscard]] rapt::AdversarialLoss adversarial_loss() const {
    return loss == "hinge"         ? rapt::AdversarialLoss::hinge
           : loss == "wasserstein" ? rapt::AdversarialLoss::wasserstein
                                   : rapt::AdversarialLoss::logistic;
  }
};

/// 7 x 7 tokens, 14 x 14 and then one a pixel, the last two in windows of 7 x 7.
rapt::TransGanGeneratorConfig generator_config(const Flags& flags, const rapt::ImageShape& image) {
  return {.image = image,
          .latent = flags.latent,
          .d_model = flags.width,
          .stage_layers = {3, 3, 2},
          .stage_heads = {4, 4, 2},
          .stage_windows = {0, 7, 7},
          .output_activation = rapt::Activation::tanh};
}
/// Patches of 2 x 2 pixels in windows of 7 x 7, then of 4 x 4.
rapt::TransGanDiscriminatorConfig discriminator_config(const Flags& flags, const rapt::ImageShape& image) {
  return {.image = image,
          .stage_columns = {flags.columns, flags.columns},
          .stage_layers = {2, 3},
          .stage_heads = {4, 4},
          .stage_windows = {7, 0}};
}

/// Trains the generator, whose parameters are then the moving average of those that it had.
void train_pair(Generator& generator, Discriminator& discriminator, const Judge& judge, const Digits& digits,
                const Flags& flags) {
  rapt::TrainingJob job(flags.job("gan", digits.training));
  rapt::ImageBatches<float> batches(
      digits.training,
      {.batch_size = flags.batch, .drop_last = true, .seed = flags.seed, .normalization = generator_normalization()});
  const auto rate = [peak = flags.learning_rate, warmup = static_cast<double>(flags.steps / 20 + 1)](Index step) {
    return peak * std::min(1.0, static_cast<double>(step) / warmup);
  };
  const rapt::AdamOptions adam{.beta1 = 0, .beta2 = 0.99};
  rapt::DifferentiableAugmentation augmentation = rapt::DifferentiableAugmentation::none();
  if (flags.augment) augmentation = {.background = -1};
  const double penalty_step = rapt::precision() == rapt::Precision::medium ? 0.03 : rapt::GradientPenaltyOptions().step;
  const bool is_wasserstein = flags.adversarial_loss() == rapt::AdversarialLoss::wasserstein;
  rapt::AdversarialTraining game(
      generator, discriminator,
      {.loss = flags.adversarial_loss(),
       .penalty = {.weight = flags.penalty, .target = is_wasserstein ? 1.0 : 0.0, .step = penalty_step},
       .penalty_points = is_wasserstein ? rapt::PenaltyPoints::between : rapt::PenaltyPoints::real,
       .augmentation = augmentation,
       .discriminator = {.learning_rate = rate, .adam = adam, .clip_norm = 5, .seed = flags.seed + 1}});
  rapt::Trainer trainer(game, flags.run.processes.shared({.learning_rate = rate,
                                                          .adam = adam,
                                                          .clip_norm = 5,
                                                          .average_decay = flags.average_decay,
                                                          .seed = flags.seed + 2}));
  const Index judged = std::min<Index>(2000, flags.judged);  // each time
  const Judgement real = judge(digits.training, judged);
  Generator averaged = generator;
  const auto measure = [&](const auto& trained) {
    trainer.average()->assign_to(averaged);
    const rapt::ImageDataset samples = generate(averaged, draw_vectors(averaged, judged, flags.seed + 3));
    const Judgement found = judge(samples, samples.images());
    const double distance = frechet_distance(found.features, real.features);
    if (flags.run.processes.is_first()) write_grid(flags.samples, samples, std::min<Index>(judged, 100), 10);
    const rapt::AdversarialReport& report = trained.report();
    char text[200], slope[40] = "";  // no slope without a penalty, or before the first one of a resumed run
    if (report.gradient_norm) std::snprintf(slope, sizeof slope, "  slope %.3f", *report.gradient_norm);
    std::snprintf(text, sizeof text,
                  "of %td  G %.3f  D %.3f  scores %.2f real, %.2f generated%s  distance %.2f  sure %.1f %%  %.0f s",
                  flags.steps, job.mean_loss(), report.discriminator_loss, report.real, report.generated, slope,
                  distance, 100 * found.sure(0.9f), job.progress().seconds);
    return rapt::Measurement{
        .score = distance, .text = text, .entry = {{"distance", distance}, {"sure", found.sure(0.9f)}}};
  };
  job.run(trainer, batches, {.steps = flags.steps, .validate_every = tenth_of(flags.steps)}, {.measure = measure});
  trainer.average()->assign_to(generator);
}

void print_row(const char* name, const Judgement& found, const Judgement& real) {
  std::printf("%-22s %9.2f %9.2f %8.1f %%  ", name, frechet_distance(found.features, real.features),
              rapt::inception_score(found.probabilities), 100 * found.sure(0.9f));
  const auto classes = found.classes();
  for (const double ratio : classes) std::printf(" %4.1f", 100 * ratio);
  std::printf("\n");
}

void run(const Flags& flags) {
  rapt::require(flags.loss != "wasserstein" || flags.penalty > 0, "transgan",
                "--loss wasserstein needs a --penalty: ", flags.penalty);
  // An unwritable place shows now, not after hours.
  for (const std::string& file : {flags.samples, flags.interpolations, flags.neighbours}) rapt::AtomicFile{file};
  if (!flags.generator.empty()) rapt::AtomicFile{flags.generator};
  if (!flags.judge.empty() && !std::filesystem::exists(flags.judge)) rapt::AtomicFile{flags.judge};
  const Digits digits = read_digits(flags.mnist);
  const rapt::ImageShape& image = digits.training.shape();
  rapt::require<rapt::ShapeError>(image.height == 28 && image.width == 28, "transgan",
                                  "images have 28 x 28 pixels, these are ", to_string(image));
  const Judge judge(flags.judge, digits, {.epochs = flags.judge_epochs, .label_smoothing = 0, .seed = flags.seed},
                    flags.run, flags.job("judge", digits.training));
  rapt::Rng rng(flags.seed);
  Generator generator(generator_config(flags, image), rng);
  Discriminator discriminator(discriminator_config(flags, image), rng);
  const Generator untrained = generator;
  std::printf("generator %td parameters, discriminator %td, precision %s, %d threads\n",
              rapt::count_parameters(generator), rapt::count_parameters(discriminator),
              to_string(rapt::precision()).c_str(), static_cast<int>(rapt::threads()));
  train_pair(generator, discriminator, judge, digits, flags);
  if (!flags.generator.empty()) rapt::save_model(flags.generator, generator);

  const Index count = std::min(flags.judged, digits.test.images());
  const rapt::ImageDataset samples = generate(generator, draw_vectors(generator, count, flags.seed + 4));
  const Judgement real = judge(digits.training, count);
  std::printf(
      "\n%td images each: distance from training images, inception score, the judge is 0.9 sure, taken for 0 .. "
      "9 (%%)\n",
      count);
  print_row("held-out real digits", judge(digits.test, count), real);
  print_row("generated", judge(samples, count), real);
  print_row("untrained generator", judge(generate(untrained, draw_vectors(untrained, count, flags.seed + 4)), count),
            real);
  const Index compared = std::min<Index>(count, 100);
  std::printf("mean squared distance from the nearest training image: held-out %.4f, generated %.4f\n",
              mean_nearest_distance(digits.training, digits.test, compared),
              mean_nearest_distance(digits.training, samples, compared));
  write_grid(flags.samples, samples, std::min<Index>(count, 100), 10);
  write_interpolations(flags.interpolations, generator, 8, 10, flags.seed + 5);
  write_neighbours(flags.neighbours, digits.training, samples, std::min<Index>(count, 8));
  std::printf("%s, %s, %s: samples, from one to another, and beside the training images most like them\n",
              flags.samples.c_str(), flags.interpolations.c_str(), flags.neighbours.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Trains two Transformers, one to make images of digits and one to tell them from real ones."};
  app.add_option("--mnist", flags.mnist, "The folder with MNIST's four files. Without it digits are generated.");
  app.add_option("--judge", flags.judge,
                 "The file of the Vision Transformer that judges samples. If there is none, it learns and is written.");
  add_positive(app, "--judge-epochs", flags.judge_epochs, "The epochs in which the judge learns.");
  app.add_option("--generator", flags.generator, "Writes the generator to this file.");
  app.add_option("--samples", flags.samples, "The PNG file with samples, also while it trains.")->capture_default_str();
  app.add_option("--interpolations", flags.interpolations, "The PNG file with ways from one sample to another.")
      ->capture_default_str();
  app.add_option("--neighbours", flags.neighbours, "The PNG file with samples beside the training images like them.")
      ->capture_default_str();
  add_number(app, "--judged", flags.judged, {.least = 2}, "The number of images of each kind that are judged.");
  add_positive(app, "--steps", flags.steps, "The number of steps of each of the two.");
  add_positive(app, "--batch", flags.batch, "The number of images in a step.");
  add_number(app, "--width", flags.width, {.least = 32}, "The width of the generator, a multiple of 32.");
  add_number(app, "--columns", flags.columns, {.least = 4},
             "The columns of each of the discriminator's two scales, a multiple of 4.");
  add_positive(app, "--latent", flags.latent, "The numbers of a random vector.");
  app.add_option("--loss", flags.loss, "The loss of both: `logistic`, `hinge` or `wasserstein`.")
      ->check(CLI::IsMember({"logistic", "hinge", "wasserstein"}))
      ->capture_default_str();
  add_positive(app, "--learning-rate", flags.learning_rate, "The learning rate of both.");
  add_not_negative(app, "--penalty", flags.penalty,
                   "The weight w of the gradient penalty, w / 2 times the mean of |gradient|^2 (R1), or with --loss "
                   "wasserstein, which needs it, of (|gradient| - 1)^2 (WGAN-GP).");
  add_number(app, "--average-decay", flags.average_decay, {.most = 1, .without_least = true, .without_most = true},
             "The decay of the moving average of the generator's parameters.");
  app.add_flag("!--no-augmentation", flags.augment, "Shows the discriminator images as they are.");
  add_seed(app, flags.seed);
  flags.run.add_to(app);
  flags.run.processes.shares_work = false;  // each step builds on the one before
  CLI11_PARSE(app, argc, argv);
  return run_program("transgan", flags.run.processes, [&] { run(flags); });
}
