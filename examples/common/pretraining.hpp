// What the examples share that learn from digits without labels first, and then from few labelled ones.
#pragma once

#include <rapt/data/masked_images.hpp>

#include "digits.hpp"
#include "run_flags.hpp"

struct PretrainingFlags {
  rapt::Index steps = 1500, batch = 64, labelled = 1000;
  double learning_rate = 2e-3, weight_decay = 0.05;
  std::uint64_t seed = 1;  // of the order of images, their masks and dropout; no option of its own

  /// As options of a command line.
  void add_to(CLI::App& app) {
    add_positive(app, "--pretraining-steps", steps, "The number of steps without labels.");
    add_settings_to(app);
  }
  /// The same without the number of steps.
  void add_settings_to(CLI::App& app) {
    add_positive(app, "--pretraining-batch", batch, "The number of images in such a step.");
    add_positive(app, "--pretraining-rate", learning_rate, "The highest learning rate of these steps; it falls to 0.");
    add_not_negative(app, "--pretraining-decay", weight_decay, "The weight decay of these steps.");
    add_number(app, "--labelled", labelled, {.least = 10},
               "The number of images whose labels are learned then, a tenth of them of each digit.");
  }
};

/// How a model learns without labels; the steps decide when the learning rate falls.
inline rapt::TrainerOptions pretraining_options(const PretrainingFlags& flags, const ProcessFlags& processes) {
  return processes.shared(
      {.learning_rate =
           rapt::CosineSchedule{.peak = flags.learning_rate, .warmup = flags.steps / 10, .steps = flags.steps},
       .adam = {.beta2 = 0.98, .weight_decay = flags.weight_decay, .decay_vectors = false},
       .label_smoothing = 0,
       .clip_norm = 1,
       .seed = flags.seed});
}

/// The images of these steps: shuffled, shifted a little, as many in each batch.
inline rapt::ImageBatchOptions pretraining_images(const Digits& digits, const PretrainingFlags& flags) {
  return {.batch_size = flags.batch,
          .drop_last = true,
          .seed = flags.seed,
          .normalization = digits.normalization,
          .augmentation = {.shift = 2}};
}

/// Trains on batches without labels, and prints the mean loss about ten times. `processes` share the steps.
template <class Model, class Batches>
rapt::TrainingSummary pretrain_on(Model& model, Batches& batches, const Digits& digits, const PretrainingFlags& flags,
                                  const ProcessFlags& processes, const rapt::JobOptions& options) {
  rapt::TrainingJob job(options);
  std::printf("pre-training: %td parameters, %td images, no labels\n", rapt::count_parameters(model),
              digits.training.images());
  rapt::Trainer trainer(model, pretraining_options(flags, processes));
  const auto measure = [&](const auto&) {
    char text[100];
    std::snprintf(text, sizeof text, "of %td  loss %.4f  %.1f s", flags.steps, job.mean_loss(), job.progress().seconds);
    return rapt::Measurement{.score = job.mean_loss(), .text = text};
  };
  return job
      .run(trainer, batches, {.steps = flags.steps, .validate_every = tenth_of(flags.steps)}, {.measure = measure})
      .training;
}

/// The same on masked images. `draw(images, rng)` gives the masks, and takes at most `streams` random streams;
/// `tokenize`: see MaskedImageBatches.
template <class Model>
void pretrain(Model& model, const Digits& digits, const PretrainingFlags& flags, const ProcessFlags& processes,
              const rapt::JobOptions& options, const rapt::MaskedImageBatches<float>::Draw& draw, rapt::Index streams,
              const rapt::MaskedImageBatches<float>::Tokenize& tokenize = {}) {
  rapt::MaskedImageBatches<float> batches(digits.training, pretraining_images(digits, flags), draw,
                                          {.first = {flags.seed, 0}, .streams = streams}, tokenize);
  pretrain_on(model, batches, digits, flags, processes, options);
}

/// Calls fine_tune(labelled images, whether to begin with what was learned before) for both answers, and prints the
/// test accuracies that it returns.
template <class FineTune>
void compare(const Digits& digits, const PretrainingFlags& flags, const FineTune& fine_tune) {
  const rapt::ImageDataset labelled = rapt::split_first_of_each_class(digits.training, flags.labelled / 10).taken;
  std::printf("\nlearning %td labels, pre-trained\n", labelled.images());
  const double with = fine_tune(labelled, true);
  std::printf("\nlearning %td labels, from nothing\n", labelled.images());
  const double without = fine_tune(labelled, false);
  std::printf("\ntest accuracy: %.2f %% pre-trained, %.2f %% from nothing\n", 100 * with, 100 * without);
}
