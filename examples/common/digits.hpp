// What the examples with digits share: images from files or generated, training over epochs, and how many digits are
// known.
#pragma once

#include <algorithm>
#include <cstdio>
#include <rapt/images/batches.hpp>
#include <rapt/images/idx.hpp>
#include <rapt/models/vit.hpp>
#include <rapt/rapt.hpp>
#include <rapt/train/job.hpp>
#include <string>
#include <vector>

#include "flags.hpp"
#include "generated_digits.hpp"
#include "lines.hpp"
#include "processes.hpp"

struct Digits {
  rapt::ImageDataset training, test;
  rapt::Normalization normalization;  // of the training images
};

/// MNIST's four files in a folder, or without one so many generated digits.
inline Digits read_digits(const std::string& folder, rapt::Index training = 6000, rapt::Index test = 1000) {
  const auto read = [&](const std::string& part, rapt::Index count, std::uint64_t seed) {
    if (folder.empty()) return generated_digits(count, seed);
    const std::string path = folder + "/" + part;
    return rapt::read_idx_dataset(path + "-images-idx3-ubyte.gz", path + "-labels-idx1-ubyte.gz");
  };
  Digits digits{read("train", training, 1), read("t10k", test, 2), {}};
  digits.normalization = rapt::normalization_of(digits.training);
  return digits;
}

inline std::vector<std::string> digit_names() {
  std::vector<std::string> names;
  for (int digit = 0; digit < 10; ++digit) names.push_back(std::to_string(digit));
  return names;
}

/// About 200,000 parameters. Initial weights of so narrow a model are larger than those of the paper's.
inline rapt::VitConfig small_vit() { return {.d_model = 64, .layers = 6, .heads = 4, .d_ff = 128, .init_std = 0.1}; }

/// The most likely class of each image.
template <class Model>
std::vector<rapt::TokenId> classify(const Model& model, const rapt::ImageDataset& images,
                                    const rapt::Normalization& normalization) {
  constexpr rapt::Index kTogether = 250;
  std::vector<rapt::TokenId> classes;
  for (rapt::Index begin = 0; begin < images.images(); begin += kTogether) {
    const rapt::Index count = std::min(kTogether, images.images() - begin);
    const auto scores = model(rapt::to_image_batch<float>(images, begin, count, normalization));
    for (rapt::Index i = 0; i < count; ++i) {
      const float* row = scores.value().row(i);
      classes.push_back(static_cast<rapt::TokenId>(std::max_element(row, row + scores.cols()) - row));
    }
  }
  return classes;
}

/// A text that tells datasets apart.
inline std::string fingerprint(const rapt::ImageDataset& images) {
  rapt::Fingerprint fingerprint;
  fingerprint.add(images.bytes());
  fingerprint.add(images.labels());
  return data_text(static_cast<std::size_t>(images.images()), "images", fingerprint);
}

/// The ratio of images whose class was found.
inline double accuracy(const std::vector<rapt::TokenId>& classes, const rapt::ImageDataset& images) {
  rapt::Index right = 0;
  for (rapt::Index i = 0; i < images.images(); ++i) right += classes[static_cast<std::size_t>(i)] == images.label(i);
  return static_cast<double>(right) / static_cast<double>(images.images());
}

struct TrainingFlags {
  rapt::Index epochs = 15, batch = 64;
  double learning_rate = 2e-3, weight_decay = 0.02;
  float label_smoothing = 0.1f;
  std::uint64_t seed = 1;
  rapt::AugmentationOptions augmentation = {.rotation = 10, .shift = 2, .zoom = 0.1};

  /// As options of a command line.
  void add_to(CLI::App& app) {
    add_positive(app, "--epochs", epochs, "The number of passes over all images.");
    add_positive(app, "--batch", batch, "The number of images in a step.");
    add_positive(app, "--learning-rate", learning_rate, "The highest learning rate; it falls to 0.");
    add_not_negative(app, "--weight-decay", weight_decay, "The decoupled weight decay (AdamW).");
    add_rate(app, "--label-smoothing", label_smoothing, "The epsilon of label smoothing.");
    add_number(app, "--rotation", augmentation.rotation, {.most = 180}, "The largest random rotation, in degrees.");
    add_not_negative(app, "--shift", augmentation.shift, "The largest random shift, in pixels.");
    add_rate(app, "--zoom", augmentation.zoom, "The largest random change of size, as a ratio.");
    add_seed(app, seed);
  }
};

/// About ten validations.
inline rapt::Index tenth_of(rapt::Index steps) { return (steps + 9) / 10; }

/// Trains the model on the loss of `trained`, and prints the mean loss and the ratio of test images that are known
/// about ten times; returns the ratio in the end. `processes` share the steps.
template <class Trained, class Model>
double train(Trained& trained, const Model& model, const rapt::ImageDataset& training, const Digits& digits,
             const TrainingFlags& flags, const ProcessFlags& processes, const rapt::JobOptions& options) {
  rapt::TrainingJob job(options);
  rapt::ImageBatches<float> batches(training, {.batch_size = flags.batch,
                                               .seed = flags.seed,
                                               .normalization = digits.normalization,
                                               .augmentation = flags.augmentation});
  const rapt::Index steps = flags.epochs * processes.steps_of(batches.batches_per_epoch());
  rapt::Trainer trainer(
      trained,
      processes.shared(
          {.learning_rate = rapt::CosineSchedule{.peak = flags.learning_rate, .warmup = steps / 20, .steps = steps},
           .adam = {.beta2 = 0.99, .weight_decay = flags.weight_decay, .decay_vectors = false},
           .label_smoothing = flags.label_smoothing,
           .clip_norm = 1,
           .seed = flags.seed}));
  const auto known = [&] { return accuracy(classify(model, digits.test, digits.normalization), digits.test); };
  const auto measure = [&](const auto&) {
    const double ratio = known();
    char text[100];
    std::snprintf(text, sizeof text, "of %td  loss %.4f  test %.2f %%  %.1f s", steps, job.mean_loss(), 100 * ratio,
                  job.progress().seconds);
    return rapt::Measurement{.score = -ratio, .text = text, .entry = {{"test_accuracy", ratio}}};
  };
  job.run(trainer, batches, {.steps = steps, .validate_every = tenth_of(steps)}, {.measure = measure});
  return known();
}
/// Trains the model on its own loss.
template <class Model>
double train(Model& model, const rapt::ImageDataset& training, const Digits& digits, const TrainingFlags& flags,
             const ProcessFlags& processes, const rapt::JobOptions& options) {
  return train(model, model, training, digits, flags, processes, options);
}
