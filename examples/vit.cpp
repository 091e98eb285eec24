// Trains a Vision Transformer to know digits, and shows where it looks.
//
//   vit                                    generated digits
//   vit --mnist folder --model out         MNIST's four files; keeps a folder that Hugging Face loads
//   vit --folder run                       can be killed; the same command with --resume goes on
//
// Prints loss and accuracy while it trains, then the test images that it takes for another digit; writes a PNG of
// these (framed in red) and of some that it knows (green), each beside what of it goes into the answer: attention
// rollout, from dark for nothing to bright.
#include <CLI/CLI.hpp>
#include <rapt/images/colour_map.hpp>
#include <rapt/images/grid.hpp>
#include <rapt/images/png.hpp>
#include <rapt/pretrained/vit.hpp>
#include <rapt/visualization/attention_rollout.hpp>

#include "common/digits.hpp"
#include "common/run_flags.hpp"

namespace {

using rapt::Index;

struct Flags {
  std::string mnist, model, image = "vit.png";
  Index patch = 7, shown = 24;
  rapt::VitConfig size = small_vit();
  TrainingFlags training;
  RunFlags run;
};

/// How much of each patch goes into what the class token says in the end   // [rows, columns] of patches
rapt::Tensor<float> look_of(const rapt::Vit<float>& model, const rapt::ImageBatch<float>& image) {
  std::vector<rapt::Tensor<float>> weights(static_cast<std::size_t>(model.config().layers));
  std::ignore = model.hidden(image, {.weights = weights});
  const rapt::Tensor<float> rollout = rapt::attention_rollout<float>(weights);
  const rapt::PatchGrid& grid = model.config().grid;
  return {rapt::Shape{grid.rows(), grid.cols()}, rollout.values().subspan(1, static_cast<std::size_t>(grid.patches()))};
}

/// Images, each beside its own under what the model looks at; mistakes first.
rapt::Image show(const rapt::Vit<float>& model, const Digits& digits, const std::vector<rapt::TokenId>& classes,
                 Index count) {
  std::vector<Index> shown;
  for (const bool wrong : {true, false}) {
    const Index most = wrong ? count / 2 : count;
    for (Index i = 0; i < digits.test.images() && static_cast<Index>(shown.size()) < most; ++i) {
      if ((classes[static_cast<std::size_t>(i)] != digits.test.label(i)) == wrong) shown.push_back(i);
    }
  }
  std::vector<rapt::Image> cells;
  std::vector<std::optional<rapt::Colour>> frames;
  for (const Index i : shown) {
    const rapt::Image image = digits.test.image(i);
    const bool wrong = classes[static_cast<std::size_t>(i)] != digits.test.label(i);
    const auto look = look_of(model, rapt::to_image_batch<float>(digits.test, i, 1, digits.normalization));
    cells.push_back(image);
    cells.push_back(rapt::heat_overlay(image, look));
    frames.insert(frames.end(), 2, wrong ? rapt::Colour{220, 40, 40} : rapt::Colour{40, 160, 70});
  }
  return rapt::image_grid(cells, {.columns = 8, .scale = 3}, frames);
}

void run(const Flags& flags) {
  const Digits digits = read_digits(flags.mnist);
  rapt::VitConfig config = flags.size;
  config.grid = {digits.training.shape(), flags.patch, flags.patch};
  config.labels = digit_names();
  rapt::Rng rng(flags.training.seed);
  rapt::Vit model(config, rng);
  std::printf("%td images of %s in %td patches, %td parameters, precision %s, %d threads\n", digits.training.images(),
              to_string(digits.training.shape()).c_str(), config.grid.patches(), rapt::count_parameters(model),
              to_string(rapt::precision()).c_str(), static_cast<int>(rapt::threads()));
  const double known = train(model, digits.training, digits, flags.training, flags.run.processes,
                             flags.run.job({"--mnist", "--model", "--image", "--shown"}, fingerprint(digits.training)));
  if (!flags.run.processes.is_first()) return;
  if (!flags.model.empty()) save_pretrained(flags.model, model);

  const std::vector<rapt::TokenId> classes = classify(model, digits.test, digits.normalization);
  for (Index i = 0, wrong = 0; i < digits.test.images() && wrong < flags.shown / 2; ++i) {
    const rapt::TokenId taken = classes[static_cast<std::size_t>(i)];
    if (taken == digits.test.label(i)) continue;
    std::printf("image %td is a %d, taken for a %d\n", i, digits.test.label(i), taken);
    ++wrong;
  }
  rapt::write_png(flags.image, show(model, digits, classes, flags.shown));
  std::printf("%.2f %% of %td test images known; %s shows some\n", 100 * known, digits.test.images(),
              flags.image.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Trains a Vision Transformer to know digits, and shows where it looks."};
  Flags flags;
  app.add_option("--mnist", flags.mnist, "The folder with MNIST's four files. Without it digits are generated.");
  app.add_option("--model", flags.model, "Writes the model to this folder, as Hugging Face does.");
  app.add_option("--image", flags.image, "The PNG file to write.")->capture_default_str();
  add_positive(app, "--shown", flags.shown, "The number of images in it.");
  add_positive(app, "--patch", flags.patch, "The side of a patch, in pixels.");
  add_positive(app, "--width", flags.size.d_model, "The width of the model (d_model).");
  add_positive(app, "--layers", flags.size.layers, "The number of layers.");
  add_positive(app, "--heads", flags.size.heads, "The number of attention heads.");
  add_positive(app, "--hidden", flags.size.d_ff, "The width of the feed-forward networks.");
  add_rate(app, "--dropout", flags.size.dropout, "The rate of dropout.");
  flags.training.add_to(app);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("vit", flags.run.processes, [&] { run(flags); });
}
