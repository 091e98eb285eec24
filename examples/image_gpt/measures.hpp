// How well a model knows images: the loss of a pixel; and how much it knows of classes without having seen one, by
// what a linear map of its features learns of them.
#pragma once

#include <rapt/models/image_gpt.hpp>
#include <rapt/rapt.hpp>

#include "../common/pixels.hpp"

/// What a model learns of images' pixels: the next one, or masked ones from all others.
enum class PixelObjective { next, masked };

/// Mean loss of a pixel over the first images of a dataset: of every pixel, or of masked ones, the same in each call.
inline double mean_loss(const rapt::ImageGpt<float>& model, const rapt::ImageDataset& dataset, const Grays& grays,
                        PixelObjective objective) {
  const rapt::Index images = std::min<rapt::Index>(500, dataset.images()), at_once = 50;
  rapt::Rng rng(7);
  double sum = 0, pixels = 0;
  for (rapt::Index i = 0; i < images; i += at_once) {
    const rapt::TokenBatch batch = tokens_of(dataset, grays, i, std::min(at_once, images - i));
    const bool is_masked = objective == PixelObjective::masked;
    const rapt::LanguageBatch asked =
        is_masked ? rapt::mask_tokens(batch, pixel_masking(model.config(), at_once), rng) : model.next_pixels(batch);
    const auto loss = is_masked ? model.masked_loss(asked) : model.loss(asked);
    sum += static_cast<double>(loss.item()) * static_cast<double>(asked.target_count());
    pixels += static_cast<double>(asked.target_count());
  }
  return sum / pixels;
}

/// Features of images, and their classes.
struct Features {
  rapt::Tensor<float> rows;  // [n, D]
  std::vector<rapt::TokenId> labels;
};

/// Of the first images of a dataset.
inline Features features_of(const rapt::ImageGpt<float>& model, const rapt::ImageDataset& dataset, const Grays& grays,
                            PixelObjective objective, rapt::Index layer, rapt::Index images) {
  constexpr rapt::Index kAtOnce = 50;
  const rapt::Index count = std::min(images, dataset.images());
  Features features{rapt::Tensor<float>(rapt::Shape{count, model.config().d_model}), {}};
  for (rapt::Index i = 0; i < count; i += kAtOnce) {
    const rapt::TokenBatch batch = tokens_of(dataset, grays, i, std::min(kAtOnce, count - i));
    const rapt::Tensor<float> rows = objective == PixelObjective::masked
                                         ? model.features_of_all(batch, layer).value()
                                         : model.features(model.next_pixels(batch).input, layer).value();
    std::copy_n(rows.data(), rows.size(), features.rows.row(i));
  }
  const auto labels = dataset.labels().first(static_cast<std::size_t>(count));
  features.labels.assign(labels.begin(), labels.end());
  return features;
}

/// Subtracts the training features' mean from every column of both, and divides by their deviation.
inline void standardise(Features& training, Features& test) {
  for (rapt::Index c = 0; c < training.rows.cols(); ++c) {
    double sum = 0, squares = 0;
    for (rapt::Index r = 0; r < training.rows.rows(); ++r) {
      const auto value = static_cast<double>(training.rows(r, c));
      sum += value;
      squares += value * value;
    }
    const double count = static_cast<double>(training.rows.rows()), mean = sum / count;
    const double deviation = std::sqrt(std::max(1e-12, squares / count - mean * mean));
    for (rapt::Tensor<float>* rows : {&training.rows, &test.rows}) {
      for (rapt::Index r = 0; r < rows->rows(); ++r) {
        (*rows)(r, c) = static_cast<float>((static_cast<double>((*rows)(r, c)) - mean) / deviation);
      }
    }
  }
}

/// The share of test images whose class a linear map tells, which has learned from the training images: softmax
/// regression by `steps` steps of Adam over all of them, at a rate that falls to 0.
inline double linear_probe(Features training, Features test, rapt::Index classes, rapt::Index steps = 300) {
  standardise(training, test);
  rapt::Rng rng(1);
  rapt::Linear<float> map(training.rows.cols(), classes, rng);
  rapt::Adam adam(map);
  const rapt::CosineSchedule schedule{.peak = 0.05, .steps = steps};
  const rapt::Variable<float> rows(std::move(training.rows)), asked(std::move(test.rows));
  for (rapt::Index step = 1; step <= steps; ++step) {
    const rapt::Training scope(rng);
    rapt::backward(rapt::cross_entropy(map(rows), training.labels));
    adam.step(schedule(step));
  }
  const rapt::Tensor<float> scores = map(asked).value();
  rapt::Index right = 0;
  for (rapt::Index r = 0; r < scores.rows(); ++r) {
    const float* row = scores.row(r);
    const auto best = static_cast<rapt::TokenId>(std::max_element(row, row + classes) - row);
    right += best == test.labels[static_cast<std::size_t>(r)] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(scores.rows());
}
