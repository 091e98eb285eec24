// The objectives that are compared: each makes a model with a loss, a source of batches without labels, and afterwards
// a classifier, which learns from few labelled digits, with what was learned before or from nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <rapt/models/patch_prediction.hpp>
#include <rapt/rapt.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../common/masked_models.hpp"
#include "../common/pixels.hpp"
#include "../common/pretraining.hpp"

/// What all objectives share.
struct Comparison {
  const Digits& digits;
  const rapt::ImageDataset& labelled;
  PretrainingFlags pretraining;
  TrainingFlags training;
  ProcessFlags processes;
  rapt::Index visual_tokens = 64, grays = 8, factor = 2;

  /// The same with everything that is random drawn from another seed.
  [[nodiscard]] Comparison with_seed(std::uint64_t seed) const {
    Comparison other = *this;
    other.pretraining.seed = other.training.seed = seed;
    return other;
  }
  /// Fine-tunes on the labelled images; returns the test accuracy.
  template <class Trained, class Model>
  [[nodiscard]] double fine_tune(Trained& trained, const Model& model, const rapt::JobOptions& job) const {
    return train(trained, model, labelled, digits, training, processes, job);
  }
  /// Images with masks. `draw` must take at most 2^20 random streams for a batch, as all objectives do.
  [[nodiscard]] rapt::MaskedImageBatches<float> masked_batches(
      const rapt::MaskedImageBatches<float>::Draw& draw,
      const rapt::MaskedImageBatches<float>::Tokenize& tokenize = {}) const {
    return {digits.training,
            pretraining_images(digits, pretraining),
            draw,
            {.first = {pretraining.seed, 0}, .streams = 1 << 20},
            tokenize};
  }
};

// Each objective has `run(comparison, f)`, which calls f(model, batches, fine_tune): the model with its loss, the
// source of its batches, and `fine_tune(is_pretrained, job)`, which makes the classifier, trains it and returns its
// accuracy.

/// ViT's corrupted patches, with one of the three targets.
struct CorruptedPatches {
  rapt::PatchTarget target;

  template <class F>
  void run(const Comparison& comparison, const F& f) const {
    const rapt::Normalization& normalization = comparison.digits.normalization;
    const double mean = normalization.mean_of(0), spread = normalization.standard_deviation_of(0);
    const rapt::VitConfig labelled = classifier_of(small_mae(comparison.digits.training.shape()));
    rapt::PatchPredictionConfig config{
        .encoder = labelled, .target = target, .lowest = {(0 - mean) / spread}, .highest = {(1 - mean) / spread}};
    config.encoder.labels.clear();
    rapt::Rng rng(comparison.training.seed);
    rapt::PatchPrediction model(config, rng);
    auto batches = comparison.masked_batches([&](rapt::Index images, rapt::Rng& random) {
      return rapt::corrupted_patch_mask(images, labelled.grid.patches(), random);
    });
    f(model, batches, [&](bool is_pretrained, const rapt::JobOptions& job) {
      rapt::Rng random(comparison.training.seed);
      rapt::Vit classifier(labelled, random);
      if (is_pretrained) copy_encoder(model, classifier);
      return comparison.fine_tune(classifier, classifier, job);
    });
  }
};

/// A masked autoencoder, of which three quarters of the patches are hidden.
struct MaskedAutoencoder {
  template <class F>
  void run(const Comparison& comparison, const F& f) const {
    const rapt::MaeConfig config = small_mae(comparison.digits.training.shape());
    rapt::Rng rng(comparison.training.seed);
    rapt::Mae model(config, rng);
    auto batches = comparison.masked_batches([&](rapt::Index images, rapt::Rng& random) {
      return rapt::random_patch_mask(images, config.grid.patches(), 0.75, random);
    });
    f(model, batches, [&](bool is_pretrained, const rapt::JobOptions& job) {
      rapt::Rng random(comparison.training.seed);
      rapt::Vit classifier(classifier_of(config), random);
      if (is_pretrained) copy_encoder(model, classifier);
      return comparison.fine_tune(classifier, classifier, job);
    });
  }
};

/// BEiT's visual tokens, here the numbers of typical patches that k-means finds.
struct VisualTokens {
  template <class F>
  void run(const Comparison& comparison, const F& f) const {
    const rapt::ImageDataset& training = comparison.digits.training;
    rapt::BeitConfig config = small_beit(training.shape());
    rapt::Rng rng(comparison.training.seed);
    const auto sample = rapt::to_image_batch<float>(training, 0, std::min<rapt::Index>(1000, training.images()),
                                                    comparison.digits.normalization);
    const Codebook codebook(patches_of(sample, config.grid), comparison.visual_tokens, rng);
    config.visual_tokens = comparison.visual_tokens;
    config.masked_patch_head = true;
    rapt::Beit model(config, rng);
    auto batches = comparison.masked_batches(
        [&](rapt::Index images, rapt::Rng& random) { return draw_blocks(images, config.grid, 0.4, random); },
        [&](const rapt::ImageBatch<float>& images, const rapt::PatchMask& mask) {
          return masked_tokens(images, mask, config.grid, codebook);
        });
    f(model, batches, [&](bool is_pretrained, const rapt::JobOptions& job) {
      rapt::Rng random(comparison.training.seed);
      rapt::BeitConfig labelled = config;
      labelled.masked_patch_head = false;
      labelled.labels = digit_names();
      rapt::Beit classifier(labelled, random);
      if (is_pretrained) copy_encoder(model, classifier);
      return comparison.fine_tune(classifier, classifier, job);
    });
  }
};

/// The pixels of normalised images, made fewer, as grays.
struct GrayPixels {
  const Grays& grays;
  rapt::Index factor;
  rapt::Normalization normalization;

  [[nodiscard]] rapt::TokenBatch operator()(const rapt::ImageBatch<float>& images) const {
    rapt::TokenBatch tokens;
    std::vector<std::uint8_t> bytes;
    for (rapt::Index i = 0; i < images.images(); ++i) {
      const rapt::Image image = rapt::to_image(images, i, normalization);
      bytes.clear();
      append_smaller(bytes, image.bytes(), image.shape(), factor);
      tokens.push_back(grays.encode(bytes));
    }
    return tokens;
  }
};

/// A BatchSource of the images that the other objectives learn from, in the same order and with the same shifts, as
/// what `ask(pixels, rng)` makes of their pixels. `ask` takes at most one random stream.
class PixelBatches {
 public:
  using Ask = std::function<rapt::LanguageBatch(rapt::TokenBatch pixels, rapt::Rng& rng)>;

  PixelBatches(const Comparison& comparison, const GrayPixels& pixels, Ask ask)
      : images_(comparison.digits.training, pretraining_images(comparison.digits, comparison.pretraining)),
        pixels_(pixels),
        ask_(std::move(ask)),
        randomness_{.first = {comparison.pretraining.seed, 0}, .streams = 1} {}

  [[nodiscard]] rapt::LanguageBatch next(bool prefetch_following = true) {
    rapt::TokenBatch pixels = pixels_(images_.next(prefetch_following).images);
    const rapt::BatchPosition at{images_.position().epoch, images_.position().batch - 1};
    rapt::Rng rng = randomness_.generator(at, images_.batches_per_epoch());
    return ask_(std::move(pixels), rng);
  }
  void prefetch() { images_.prefetch(); }
  [[nodiscard]] rapt::BatchPosition position() const { return images_.position(); }
  void seek(rapt::BatchPosition position) { images_.seek(position); }
  [[nodiscard]] rapt::Index batches_per_epoch() const { return images_.batches_per_epoch(); }

 private:
  rapt::ImageBatches<float> images_;
  GrayPixels pixels_;
  Ask ask_;
  rapt::BatchRandomness randomness_;
};
static_assert(rapt::BatchSource<PixelBatches>);

/// What an ImageGPT with labels says of images.
struct PixelReader {
  const rapt::ImageGpt<float>& gpt;
  GrayPixels pixels;
  bool is_causal;

  /// Scores of the labels   // [B, labels]
  [[nodiscard]] rapt::Variable<float> operator()(const rapt::ImageBatch<float>& images) const {
    const rapt::TokenBatch tokens = pixels(images);
    if (!is_causal) return gpt.class_logits(gpt.hidden_of_all(tokens), tokens.row_splits);
    const rapt::TokenBatch read = gpt.next_pixels(tokens).input;
    return gpt.class_logits(gpt.hidden(read), read.row_splits);
  }
};

/// ImageGPT's two objectives: the next pixel, or masked pixels from all others (BERT's).
struct Pixels {
  bool is_causal;

  template <class F>
  void run(const Comparison& comparison, const F& f) const {
    const rapt::ImageDataset training = smaller(comparison.digits.training, comparison.factor);
    const Grays grays(training, comparison.grays);
    rapt::ImageGptConfig config{.clusters = grays.count(),
                                .positions = training.shape().size(),
                                .d_model = 64,
                                .layers = 4,
                                .heads = 4,
                                .d_ff = 128,
                                .embedding_dropout = 0,
                                .dropout = 0,
                                .attention_dropout = 0,
                                .init_std = 0.1};
    rapt::Rng rng(comparison.training.seed);
    rapt::ImageGpt gpt(config, rng);
    const GrayPixels pixels{grays, comparison.factor, comparison.digits.normalization};
    PixelBatches batches(comparison, pixels, [&](rapt::TokenBatch images, rapt::Rng& random) {
      if (is_causal) return gpt.next_pixels(images);
      return rapt::mask_tokens(std::move(images), pixel_masking(config, comparison.pretraining.batch), random);
    });
    rapt::WithLoss model(gpt, [&](const rapt::LanguageBatch& batch, const rapt::CrossEntropyOptions& options) {
      return is_causal ? gpt.loss(batch, options) : gpt.masked_loss(batch, options);
    });
    f(model, batches, [&](bool is_pretrained, const rapt::JobOptions& job) {
      rapt::Rng random(comparison.training.seed);
      rapt::ImageGptConfig labelled = config;
      labelled.pixel_head = false;
      labelled.labels = digit_names();
      rapt::ImageGpt classifier(labelled, random);
      if (is_pretrained) {
        rapt::copy_parameters(gpt, classifier, [](const std::string& name) { return !name.starts_with("output."); });
      }
      const PixelReader reader{classifier, pixels, is_causal};
      rapt::WithLoss trained(classifier,
                             [&](const rapt::LabelledImages<float>& batch, const rapt::CrossEntropyOptions& options) {
                               return rapt::label_loss(reader(batch.images), batch, options);
                             });
      return comparison.fine_tune(trained, reader, job);
    });
  }
};

/// The names of the objectives, in the order of the table; "..._from_nothing" is the model of the objective without
/// pre-training.
inline const std::vector<std::string>& objective_names() {
  static const std::vector<std::string> names{"vit_from_nothing",
                                              "mean_colour",
                                              "mosaic",
                                              "pixels",
                                              "mae",
                                              "beit_from_nothing",
                                              "beit",
                                              "next_from_nothing",
                                              "next_pixel",
                                              "masked_from_nothing",
                                              "masked_pixels"};
  return names;
}

/// Runs the objective with this name: f(model, batches, fine_tune).
template <class F>
void run_objective(const std::string& name, const Comparison& comparison, const F& f) {
  if (name == "vit_from_nothing" || name == "mean_colour") {
    CorruptedPatches{rapt::PatchTarget::mean_colour}.run(comparison, f);
  } else if (name == "mosaic") {
    CorruptedPatches{rapt::PatchTarget::mosaic}.run(comparison, f);
  } else if (name == "pixels") {
    CorruptedPatches{rapt::PatchTarget::pixels}.run(comparison, f);
  } else if (name == "mae") {
    MaskedAutoencoder().run(comparison, f);
  } else if (name == "beit_from_nothing" || name == "beit") {
    VisualTokens().run(comparison, f);
  } else if (name == "next_from_nothing" || name == "next_pixel") {
    Pixels{.is_causal = true}.run(comparison, f);
  } else {
    rapt::require(name == "masked_from_nothing" || name == "masked_pixels", "vision_pretraining", "no objective ",
                  name);
    Pixels{.is_causal = false}.run(comparison, f);
  }
}
