// Trains a small BEiT to say what hidden patches of digits look like, of which it is told no labels, then tells digits
// apart with it: it learns that from a thousand labelled ones, beside the same model which knows nothing before.
//
//   beit                                                                 generated digits, some minutes
//   beit --mnist folder --pretraining-steps 20000 --epochs 100           MNIST's four files
//
// A patch's visual token is the nearest of 64 typical patches, which k-means finds. Prints the share of hidden patches
// whose token the model finds, beside that of the most frequent token; then both test accuracies.
#include <CLI/CLI.hpp>

#include "common/masked_models.hpp"
#include "common/pretraining.hpp"

namespace {

using rapt::Index;
using rapt::TokenId;

struct Flags {
  std::string mnist;
  Index visual_tokens = 64;
  double mask_ratio = 0.4;
  PretrainingFlags pretraining;
  TrainingFlags training{.epochs = 40};
  RunFlags run;

  /// A training of the run.
  [[nodiscard]] rapt::JobOptions job(const std::string& name, const rapt::ImageDataset& images) const {
    return run.job(name, {"--mnist"}, fingerprint(images));
  }
};

/// Prints which percentage of the masked patches of the first test images the model finds, and which have the most
/// frequent visual token.
void print_found(const rapt::Beit<float>& beit, const Digits& digits, const Codebook& codebook, double mask_ratio) {
  rapt::Rng rng(7);
  std::vector<Index> counts(static_cast<std::size_t>(beit.config().visual_tokens), 0);
  Index right = 0, all = 0;
  for (Index first = 0; first + 100 <= std::min<Index>(1000, digits.test.images()); first += 100) {
    const auto images = rapt::to_image_batch<float>(digits.test, first, 100, digits.normalization);
    const rapt::PatchMask mask = draw_blocks(images.images(), beit.config().grid, mask_ratio, rng);
    const std::vector<TokenId> tokens = masked_tokens(images, mask, beit.config().grid, codebook);
    const auto scores = beit.patch_logits(beit.hidden(images, mask)).value();  // [100 P, V]
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Index row = mask.masked()[i];
      const auto best = std::max_element(scores.row(row), scores.row(row + 1)) - scores.row(row);
      right += best == tokens[i] ? 1 : 0;
      ++counts[static_cast<std::size_t>(tokens[i])];
      ++all;
    }
  }
  const auto percent = [&](Index count) { return 100 * static_cast<double>(count) / static_cast<double>(all); };
  std::printf("of %td hidden patches the model finds %.1f %%, the most frequent visual token is that of %.1f %%\n", all,
              percent(right), percent(*std::max_element(counts.begin(), counts.end())));
}

void run(const Flags& flags) {
  const Digits digits = read_digits(flags.mnist);
  rapt::Rng rng(flags.training.seed);
  rapt::BeitConfig config = small_beit(digits.training.shape());
  const Index samples = std::min<Index>(1000, digits.training.images());
  const auto sample = rapt::to_image_batch<float>(digits.training, 0, samples, digits.normalization);
  const Codebook codebook(patches_of(sample, config.grid), flags.visual_tokens, rng);

  config.visual_tokens = flags.visual_tokens;
  config.masked_patch_head = true;
  rapt::Beit beit(config, rng);
  pretrain(
      beit, digits, flags.pretraining, flags.run.processes, flags.job("pretraining", digits.training),
      [&](Index images, rapt::Rng& random) { return draw_blocks(images, config.grid, flags.mask_ratio, random); },
      /*streams=*/1 << 20,
      [&](const rapt::ImageBatch<float>& images, const rapt::PatchMask& mask) {
        return masked_tokens(images, mask, config.grid, codebook);
      });
  print_found(beit, digits, codebook, flags.mask_ratio);

  config.masked_patch_head = false;
  config.labels = digit_names();
  compare(digits, flags.pretraining, [&](const rapt::ImageDataset& labelled, bool pretrained) {
    rapt::Rng random(flags.training.seed);
    rapt::Beit classifier(config, random);
    if (pretrained) copy_encoder(beit, classifier);
    return train(classifier, labelled, digits, flags.training, flags.run.processes,
                 flags.job(pretrained ? "pretrained" : "from-nothing", labelled));
  });
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("A small BEiT learns digits without labels, then with few.");
  app.add_option("--mnist", flags.mnist, "The folder with MNIST's four files. Without it digits are generated.");
  add_number(app, "--visual-tokens", flags.visual_tokens, {.least = 2}, "The number of typical patches.");
  add_number(app, "--share", flags.mask_ratio, {.most = 1, .without_least = true, .without_most = true},
             "The ratio of patches that are masked.");
  flags.pretraining.add_to(app);
  flags.training.add_to(app);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("beit", flags.run.processes, [&] { run(flags); });
}
