// What examples that learn digits without labels first, and from few labelled ones then, share.
#pragma once

#include "training.hpp"

struct PretrainingFlags {
  rapt::Index steps = 1500, batch = 64, labelled = 1000;
  double learning_rate = 2e-3, weight_decay = 0.05;

  /// As options of a command line.
  template <class App>
  void add_to(App& app) {
    app.add_option("--pretraining-steps", steps, "without labels")->capture_default_str();
    app.add_option("--pretraining-batch", batch, "images in a step")->capture_default_str();
    app.add_option("--pretraining-rate", learning_rate, "at its highest; it falls to 0")->capture_default_str();
    app.add_option("--pretraining-decay", weight_decay)->capture_default_str();
    app.add_option("--labelled", labelled, "images whose labels are learned then")->capture_default_str();
  }
};

/// Trains on `loss(images, rng)` of shuffled images, and prints the mean loss about ten times.
template <class Model, class Loss>
void pretrain(Model& model, const Digits& digits, const PretrainingFlags& flags, const Loss& loss) {
  rapt::ImageBatches<float> batches(digits.training, {.batch_size = flags.batch,
                                                      .drop_last = true,
                                                      .normalization = digits.normalization,
                                                      .augmentation = {.shift = 2}});
  const rapt::CosineSchedule schedule{.peak = flags.learning_rate, .warmup = flags.steps / 10, .steps = flags.steps};
  rapt::Adam adam(model, {.beta2 = 0.98, .weight_decay = flags.weight_decay, .decay_vectors = false});
  rapt::Rng rng(1);
  std::printf("pre-training: %td parameters, %td images, no labels\n", rapt::count_parameters(model),
              digits.training.images());
  const auto start = std::chrono::steady_clock::now();
  double sum = 0;
  for (rapt::Index step = 1, since = 0; step <= flags.steps; ++step) {
    const rapt::Training scope(rng);
    const auto value = loss(batches.next().images, rng);
    rapt::backward(value);
    adam.step(schedule(step), rapt::clip_factor(rapt::gradient_norm(model), 1.0));
    sum += static_cast<double>(value.item());
    ++since;
    if (step * 10 / flags.steps == (step - 1) * 10 / flags.steps) continue;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("step %5td of %td  loss %.4f  %.1f s\n", step, flags.steps, sum / static_cast<double>(since),
                seconds.count());
    std::fflush(stdout);
    sum = 0, since = 0;
  }
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
