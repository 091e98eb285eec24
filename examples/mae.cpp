// Trains a small masked autoencoder to complete digits of which it sees a quarter, without labels, then tells digits
// apart with its encoder: it learns that from a thousand labelled ones, beside the same model which knows nothing
// before.
//
//   mae                                                                  generated digits, some minutes
//   mae --mnist folder --pretraining-steps 20000 --epochs 100            MNIST's four files
//
// Writes a PNG of test images, each beside what the encoder sees of it and what the decoder makes of that; prints
// both test accuracies.
#include <CLI/CLI.hpp>
#include <rapt/images/grid.hpp>
#include <rapt/images/png.hpp>

#include "common/masked_models.hpp"
#include "common/pretraining.hpp"

namespace {

using rapt::Index;

struct Flags {
  std::string mnist, image = "reconstructions.png";
  double mask_ratio = 0.75;
  PretrainingFlags pretraining;
  TrainingFlags training{.epochs = 40};
  RunFlags run;

  /// A training of the run.
  [[nodiscard]] rapt::JobOptions job(const std::string& name, const rapt::ImageDataset& images) const {
    return run.job(name, {"--mnist", "--image"}, fingerprint(images));
  }
};

/// A row for two test images each: whole, what the encoder sees, completed.
void write_image(const rapt::Mae<float>& mae, const Digits& digits, const Flags& flags) {
  rapt::Rng rng(7);
  const rapt::PatchGrid grid = mae.config().grid;
  const auto images = rapt::to_image_batch<float>(digits.test, 0, 16, digits.normalization);
  const rapt::PatchMask mask = rapt::random_patch_mask(images.images(), grid.patches(), flags.mask_ratio, rng);
  const rapt::Tensor<float> gray(rapt::Shape{static_cast<Index>(mask.masked().size()), grid.patch_size()}, 1.f);
  const auto seen = rapt::kernels::with_patches(images, grid, mask.masked(), gray);
  const auto completed = mae.reconstruct(images, mask);
  std::vector<rapt::Image> cells;
  for (Index i = 0; i < images.images(); ++i) {
    for (const auto* batch : {&images, &seen, &completed}) {
      cells.push_back(rapt::to_image(*batch, i, digits.normalization));
    }
  }
  rapt::write_png(flags.image, rapt::image_grid(cells, {.columns = 6, .scale = 3, .gap = 4}));
  std::printf("%s: test images, what the encoder sees of them, what the decoder makes of it\n", flags.image.c_str());
}

/// The mean squared distance of hidden pixels, in units of all pixels' variance, over the first test images.
double test_loss(const rapt::Mae<float>& mae, const Digits& digits, double mask_ratio) {
  rapt::Rng rng(7);
  const Index count = std::min<Index>(500, digits.test.images());
  const auto images = rapt::to_image_batch<float>(digits.test, 0, count, digits.normalization);
  const rapt::PatchMask mask = rapt::random_patch_mask(count, mae.config().grid.patches(), mask_ratio, rng);
  return static_cast<double>(mae.loss({.images = images, .mask = mask}).item());
}

void run(const Flags& flags) {
  const Digits digits = read_digits(flags.mnist);
  rapt::Rng rng(flags.training.seed);
  const rapt::MaeConfig config = small_mae(digits.training.shape());
  rapt::Mae mae(config, rng);
  pretrain(
      mae, digits, flags.pretraining, flags.run.processes, flags.job("pretraining", digits.training),
      [&](Index images, rapt::Rng& random) {
        return rapt::random_patch_mask(images, config.grid.patches(), flags.mask_ratio, random);
      },
      /*streams=*/1);
  std::printf("test loss of hidden pixels: %.4f\n", test_loss(mae, digits, flags.mask_ratio));
  if (flags.run.processes.is_first()) write_image(mae, digits, flags);

  compare(digits, flags.pretraining, [&](const rapt::ImageDataset& labelled, bool pretrained) {
    rapt::Rng random(flags.training.seed);
    rapt::Vit classifier(classifier_of(config), random);
    if (pretrained) rapt::copy_encoder(mae, classifier);
    return train(classifier, labelled, digits, flags.training, flags.run.processes,
                 flags.job(pretrained ? "pretrained" : "from-nothing", labelled));
  });
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("A small masked autoencoder learns digits without labels, then with few.");
  app.add_option("--mnist", flags.mnist, "The folder with MNIST's four files. Without it digits are generated.");
  app.add_option("--image", flags.image, "The PNG file to write.")->capture_default_str();
  add_number(app, "--share", flags.mask_ratio, {.most = 1, .without_least = true, .without_most = true},
             "The ratio of patches that are masked.");
  flags.pretraining.add_to(app);
  flags.training.add_to(app);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("mae", flags.run.processes, [&] { run(flags); });
}
