// Trains a Vision Transformer on images of three classes, saves it as a folder, and classifies a PNG file with that.
#include <cstdio>
#include <rapt/images/batches.hpp>
#include <rapt/images/png.hpp>
#include <rapt/pipelines/image_classifier.hpp>
#include <rapt/pretrained/vit.hpp>
#include <rapt/rapt.hpp>

#include "classify_images/shapes.hpp"

int main() {
  const rapt::ImageDataset training = shapes(1500, /*seed=*/1), test = shapes(200, /*seed=*/2);
  const rapt::Normalization normalization = rapt::normalization_of(training);
  rapt::VitConfig config{.d_model = 48, .layers = 2, .heads = 4, .d_ff = 96, .init_std = 0.1};
  config.grid = {training.shape(), /*patch_height=*/4, /*patch_width=*/4};
  config.labels = kShapes;
  rapt::Rng rng(1);
  rapt::Vit model(config, rng);

  rapt::ImageBatches<float> batches(training, {.batch_size = 50, .normalization = normalization});
  rapt::Trainer trainer(
      model, {.learning_rate = rapt::CosineSchedule{.peak = 3e-3, .warmup = 20, .steps = 240}, .label_smoothing = 0});
  const auto no_validation = [] { return 0.0; };
  trainer.run(batches, {.epochs = 8}, no_validation, [](const rapt::Progress&) {});

  rapt::save_pretrained("shapes", model);
  rapt::ImagePreprocessor({.size = rapt::ImageSize{16, 16}, .normalization = normalization}).save("shapes");

  const rapt::ImageClassifier classify("shapes");
  std::vector<rapt::Image> images;
  for (rapt::Index i = 0; i < test.images(); ++i) images.push_back(test.image(i));
  const auto found = classify(images, {.top_k = 1});
  rapt::Index right = 0;
  for (rapt::Index i = 0; i < test.images(); ++i) {
    right += found[static_cast<std::size_t>(i)][0].label == kShapes[static_cast<std::size_t>(test.label(i))];
  }
  std::printf("%s 190 of %td test images right\n", right > 190 ? "more than" : "at most", test.images());

  rapt::write_png("example.png", test.image(0));
  const auto labels = classify({{rapt::read_png("example.png")}});
  std::printf("example.png is a %s, with a score %s 0.8\n", labels[0][0].label.c_str(),
              labels[0][0].score > 0.8 ? "above" : "below");
}
