// A Vision Transformer that knows digits judges generated ones: how sure it is of them, and how near its features of
// them are to those of real digits.
#pragma once

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <rapt/images/generation_scores.hpp>
#include <rapt/io/model_file.hpp>
#include <string>
#include <vector>

#include "../common/digits.hpp"
#include "../common/run_flags.hpp"

/// What the judge says of a set of images.
struct Judgement {
  rapt::FeatureStatistics features;
  rapt::Tensor<float> probabilities;  // [images, 10]

  /// The ratio of images of whose class the judge is at least so sure.
  [[nodiscard]] double sure(float least) const {
    rapt::Index count = 0;
    for (rapt::Index i = 0; i < probabilities.rows(); ++i) {
      const float* row = probabilities.row(i);
      count += *std::max_element(row, row + probabilities.cols()) >= least;
    }
    return static_cast<double>(count) / static_cast<double>(probabilities.rows());
  }
  /// The ratio of images that the judge takes for each digit.
  [[nodiscard]] std::array<double, 10> classes() const {
    std::array<double, 10> ratios{};
    for (rapt::Index i = 0; i < probabilities.rows(); ++i) {
      const float* row = probabilities.row(i);
      const auto digit = static_cast<std::size_t>(std::max_element(row, row + probabilities.cols()) - row);
      ratios[digit] += 1 / static_cast<double>(probabilities.rows());
    }
    return ratios;
  }
};

class Judge {
 public:
  using Network = rapt::Vit<float>;

  /// The model of the file, if there is one; else it learns the training images, and is written to the file. An empty
  /// name: no file.
  Judge(const std::string& file, const Digits& digits, const TrainingFlags& training, const RunFlags& run,
        const rapt::JobOptions& job)
      : network_(make(file, digits, training, run, job)), normalization_(digits.normalization) {
    std::printf("the judge, a Vision Transformer of %td parameters, knows %.2f %% of %td test images\n",
                rapt::count_parameters(network_),
                100 * accuracy(classify(network_, digits.test, normalization_), digits.test), digits.test.images());
  }

  /// Of the first `count` images, or of all if there are fewer.
  [[nodiscard]] Judgement operator()(const rapt::ImageDataset& images, rapt::Index count) const {
    constexpr rapt::Index kTogether = 250;
    count = std::min(count, images.images());
    Judgement found{{}, rapt::Tensor<float>(rapt::Shape{count, 10})};
    for (rapt::Index begin = 0; begin < count; begin += kTogether) {
      const auto batch = rapt::to_image_batch<float>(images, begin, std::min(kTogether, count - begin), normalization_);
      const rapt::Variable<float> hidden = network_.hidden(batch);
      const rapt::RowSplits splits = network_.splits(batch);
      found.features.add(network_.pooled(hidden, splits).value());
      const rapt::Variable<float> probabilities = rapt::softmax(network_.logits(hidden, splits));
      std::copy_n(probabilities.value().data(), probabilities.size(), found.probabilities.row(begin));
    }
    return found;
  }

 private:
  static Network make(const std::string& file, const Digits& digits, const TrainingFlags& training, const RunFlags& run,
                      const rapt::JobOptions& job) {
    if (!file.empty() && std::filesystem::exists(file)) {
      Network network = rapt::load_model<Network>(file);
      const rapt::VitConfig& config = network.config();
      rapt::require(config.labels == digit_names() && config.grid.image == digits.training.shape(), "transgan", file,
                    ": a judge has ten labels and reads images of ", to_string(digits.training.shape()),
                    ", this one has ", config.labels.size(), " and reads ", to_string(config.grid.image));
      return network;
    }
    rapt::VitConfig config = small_vit();
    config.grid = {digits.training.shape(), 7, 7};
    config.labels = digit_names();
    rapt::Rng rng(training.seed);
    Network network(config, rng);
    std::printf("the judge learns %td images\n", digits.training.images());
    train(network, digits.training, digits, training, run.processes, job);
    if (!file.empty()) rapt::save_model(file, network);
    return network;
  }

  Network network_;
  rapt::Normalization normalization_;
};
