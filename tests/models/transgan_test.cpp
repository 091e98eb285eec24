/// \file
/// TransGAN: results, gradients and a gradient penalty as PyTorch has them, shapes, that windows and scales stand where
/// they should, files, and configs that do not fit.
// covers: models/transgan_config.hpp
#include "rapt/models/transgan.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "rapt/autograd/gradcheck.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/train/gradient_penalty.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TransGanDiscriminator;
using rapt::TransGanDiscriminatorConfig;
using rapt::TransGanGenerator;
using rapt::TransGanGeneratorConfig;
using rapt::Variable;
using rapt_test::normal_tensor;

/// 8 x 12 pixels of two channels: tokens of 2 x 3, then 4 x 6 in windows, each a square of 2 x 2 pixels.
TransGanGeneratorConfig generator_config(Index window) {
  return {.image = {2, 8, 12},
          .latent = 5,
          .d_model = 16,
          .patch = 2,
          .stage_layers = {2, 1},
          .stage_heads = {2, 1},
          .stage_windows = {0, window},
          .d_ff_ratio = 2,
          .output_activation = rapt::Activation::tanh};
}
/// Patches of 2 x 2 pixels in windows, then of 4 x 4.
TransGanDiscriminatorConfig discriminator_config(Index window) {
  return {.image = {2, 8, 12},
          .patch = 2,
          .stage_columns = {6, 4},
          .stage_layers = {1, 2},
          .stage_heads = {2, 5},
          .stage_windows = {window, 0},
          .d_ff_ratio = 2};
}

template <class M, class Config>
M model_of(const Config& config) {
  rapt::Rng rng(1);
  M model(config, rng);
  rapt_test::randomize(model, 2);
  return model;
}

/// The derivative of a scalar f along random changes of all parameters, by backward and by central differences.
template <class M, class F>
void expect_gradients_of_parameters(M& model, const F& f) {
  rapt::clear_gradients(model);
  {
    const rapt::Recording scope;
    rapt::backward(f());
  }
  double expected = 0, squares = 0;
  std::vector<Tensor<double>> directions;
  rapt::for_each_parameter(model, [&](const std::string& name, auto& p) {
    ASSERT_EQ(p.grad().shape(), p.shape()) << name;
    double largest = 0;
    directions.push_back(normal_tensor<double>(p.shape(), 50 + directions.size(), 0.02));
    for (Index i = 0; i < p.size(); ++i) {
      const double gradient = p.grad().data()[i];
      expected += gradient * directions.back().data()[i];
      squares += gradient * gradient;
      largest = std::max(largest, std::abs(gradient));
    }
    EXPECT_GT(largest, 1e-10) << name << " has no influence";
  });
  const auto move = [&](double step) {
    std::size_t next = 0;
    rapt::for_each_parameter(model, [&](const std::string&, auto& p) {
      const Tensor<double>& direction = directions[next++];
      for (Index i = 0; i < p.size(); ++i) p.mutable_value().data()[i] += step * direction.data()[i];
    });
    return f().item();
  };
  const double h = 1e-4, above = move(h), below = move(-2 * h);
  EXPECT_NEAR((above - below) / (2 * h), expected, 1e-6 * 0.02 * std::sqrt(squares));
}

/// The gradients of a model are those that the file has under `prefix`, but for `tolerance` times the largest of all.
template <class M>
void expect_gradients(const M& model, const rapt::SafetensorsFile& file, const std::string& prefix, double tolerance) {
  double largest = 0;
  rapt::for_each_parameter(model, [&](const std::string& name, const auto& p) {
    const Tensor<double> stored = file.read<double>(prefix + name);
    for (const double v : stored.values()) largest = std::max(largest, std::abs(v));
    ASSERT_EQ(p.grad().shape(), p.shape()) << name;
  });
  rapt::for_each_parameter(model, [&](const std::string& name, const auto& p) {
    const Tensor<double> expected = file.read<double>(prefix + name);
    for (Index i = 0; i < p.size(); ++i) {
      ASSERT_NEAR(p.grad().data()[i], expected.data()[i], tolerance * largest) << name << ", element " << i;
    }
  });
}

class TransGanGolden : public testing::Test {
 protected:
  [[nodiscard]] Tensor<double> read(const std::string& name) const { return file_.read<double>(name); }
  template <class M, class Config>
  [[nodiscard]] M model(const Config& config, const std::string& prefix) const {
    rapt::Rng rng(1);
    M model(config, rng);
    rapt::load_parameters(model, file_, prefix);
    return model;
  }
  const rapt::SafetensorsFile file_{RAPT_GOLDEN_DIR "/transgan.safetensors"};
};

TEST_F(TransGanGolden, GeneratorAgreesWithPyTorch) {
  const auto generator = model<TransGanGenerator<double>>(generator_config(2), "generator.");
  const rapt::Recording scope;
  const Variable<double> images = generator(read("z"));
  EXPECT_TRUE(rapt_test::close(images.value(), read("images"), 1e-6));
  backward(sum(multiply(images, Variable<double>(read("images_upstream")))));
  expect_gradients(generator, file_, "generator_gradient.", 1e-6);
}

TEST_F(TransGanGolden, DiscriminatorAgreesWithPyTorch) {
  const auto discriminator = model<TransGanDiscriminator<double>>(discriminator_config(2), "discriminator.");
  const rapt::Recording scope;
  const Variable<double> scores = discriminator(Variable<double>(read("pixels")));
  EXPECT_TRUE(rapt_test::close(scores.value(), read("scores"), 1e-6));
  backward(sum(multiply(scores, Variable<double>(read("scores_upstream")))));
  expect_gradients(discriminator, file_, "discriminator_gradient.", 1e-6);
}

// The central difference of the gradient penalty against PyTorch's double backward, in double with a short step, and in
// float with the default one.
TEST_F(TransGanGolden, GradientPenaltyAgreesWithDoubleBackward) {
  {
    const auto discriminator = model<TransGanDiscriminator<double>>(discriminator_config(2), "discriminator.");
    const rapt::Recording scope;
    const auto penalty = gradient_penalty(discriminator, read("pixels"), {.weight = 1, .step = 1e-5});
    EXPECT_NEAR(penalty.item(), read("penalty")(0, 0), 1e-6 * penalty.item());
    backward(penalty);
    expect_gradients(discriminator, file_, "penalty_gradient.", 1e-5);
  }
  const rapt_test::HighestPrecision highest;  // the difference of scores would magnify the errors of a lower one
  const auto discriminator = model<TransGanDiscriminator<float>>(discriminator_config(2), "discriminator.");
  const rapt::Recording scope;
  backward(gradient_penalty(discriminator, file_.read<float>("pixels"), {.weight = 1}));
  expect_gradients(discriminator, file_, "penalty_gradient.", 1e-3);
}

// Of lower precisions `high` can have the default step, `medium` needs a longer one.
TEST_F(TransGanGolden, GradientPenaltyInLowerPrecisions) {
  rapt_test::for_every_matrix_unit([&](rapt::Precision precision, rapt::MatrixUnit) {
    const auto discriminator = model<TransGanDiscriminator<float>>(discriminator_config(2), "discriminator.");
    const bool is_medium = precision == rapt::Precision::medium;
    rapt::GradientPenaltyOptions options{.weight = 1};
    if (is_medium) options.step = 0.03;
    const rapt::Recording scope;
    backward(gradient_penalty(discriminator, file_.read<float>("pixels"), options));
    expect_gradients(discriminator, file_, "penalty_gradient.", is_medium ? 5e-2 : 1e-3);
  });
}

TEST(TransGan, GeneratorMakesImages) {
  for (const Index window : {0, 2}) {
    auto model = model_of<TransGanGenerator<double>>(generator_config(window));
    EXPECT_EQ(model.latent_columns(), 5);
    const auto z = normal_tensor<double>({3, 5}, 3);
    const Tensor<double> made = model(z).value();
    ASSERT_EQ(made.shape(), (Shape{3, 2 * 8 * 12}));
    for (const double v : made.values()) EXPECT_LT(std::abs(v), 1);
    // An image is a function of its own vector.
    const Tensor<double> alone = model(Tensor<double>(z.view().middle_rows(1, 1))).value();
    EXPECT_TRUE(rapt_test::close(alone, Tensor<double>(made.view().middle_rows(1, 1)), 1e-12));
    const auto f = [&](const std::vector<Variable<double>>& v) { return model(v[0]); };
    EXPECT_LT(rapt::gradcheck(f, {normal_tensor<double>({1, 5}, 4)}).worst_relative_error, 1e-6);
    const auto upstream = Variable<double>(normal_tensor<double>(made.shape(), 5));
    expect_gradients_of_parameters(model, [&] { return sum(multiply(model(z), upstream)); });
  }
}

// A generator whose blocks do nothing but pass their input on shows where each token's pixels go: to the square that
// pixel shuffle and patches give it, whatever the windows.
TEST(TransGan, WindowsLeavePixelsInTheirPlaces) {
  Tensor<double> images[2];
  for (const Index window : {0, 2}) {
    auto model = model_of<TransGanGenerator<double>>(generator_config(window));
    rapt::Rng rng(6);
    rapt::for_each_parameter(model, [&](const std::string& name, auto& p) {
      const bool silent = name.find("out_proj") != std::string::npos || name.find("linear2") != std::string::npos;
      if (silent) return p.mutable_value().fill(0);                 // sublayers add nothing
      if (name.find("position_bias") != std::string::npos) return;  // of another shape in windows
      rng.fill_normal(p.mutable_value().values(), 0.0, 0.5);
    });
    images[window / 2] = model(normal_tensor<double>({2, 5}, 7)).value();
  }
  EXPECT_TRUE(rapt_test::close(images[0], images[1], 1e-13));
}

TEST(TransGan, DiscriminatorScoresImages) {
  for (const Index window : {0, 2}) {
    auto model = model_of<TransGanDiscriminator<double>>(discriminator_config(window));
    const auto pixels = normal_tensor<double>({3, 2 * 8 * 12}, 8);
    const Tensor<double> scores = model(Variable<double>(pixels)).value();
    ASSERT_EQ(scores.shape(), (Shape{3, 1}));
    const rapt::ImageBatch<double> images(pixels, {2, 8, 12});
    EXPECT_TRUE(rapt_test::same_bits(model(images).value(), scores));
    const Tensor<double> alone = model(Variable<double>(Tensor<double>(pixels.view().middle_rows(2, 1)))).value();
    EXPECT_NEAR(alone(0, 0), scores(2, 0), 1e-12);
    const auto f = [&](const std::vector<Variable<double>>& v) { return model(v[0]); };
    EXPECT_LT(rapt::gradcheck(f, {normal_tensor<double>({1, 192}, 9)}).worst_relative_error, 1e-6);
    const auto upstream = Variable<double>(normal_tensor<double>({3, 1}, 10));
    expect_gradients_of_parameters(model, [&] { return sum(multiply(model(images), upstream)); });
  }
}

TEST(TransGan, WindowsLeaveTokensInTheirPlaces) {
  double scores[2];
  for (const Index window : {0, 2}) {
    auto model = model_of<TransGanDiscriminator<double>>(discriminator_config(window));
    rapt::Rng rng(11);
    rapt::for_each_parameter(model, [&](const std::string& name, auto& p) {
      const bool silent = name.starts_with("stages.0") &&
                          (name.find("out_proj") != std::string::npos || name.find("linear2") != std::string::npos);
      if (silent) return p.mutable_value().fill(0);
      if (name.starts_with("stages.0") && name.find("position_bias") != std::string::npos) return;
      rng.fill_normal(p.mutable_value().values(), 0.0, 0.5);
    });
    scores[window / 2] = model(Variable<double>(normal_tensor<double>({1, 192}, 12))).item();
  }
  EXPECT_NEAR(scores[0], scores[1], 1e-12);
}

TEST(TransGan, TheSameSeedGivesTheSameModel) {
  rapt::Rng first(3), second(3);
  const TransGanGenerator<float> a(generator_config(2), first), b(generator_config(2), second);
  const auto z = normal_tensor<float>({2, 5}, 1);
  EXPECT_TRUE(rapt_test::same_bits(a(z).value(), b(z).value()));
}

TEST(TransGan, SameBitsOnAnyNumberOfThreads) {
  const auto generator = model_of<TransGanGenerator<float>>(generator_config(2));
  const auto discriminator = model_of<TransGanDiscriminator<float>>(discriminator_config(2));
  const Index before = rapt::threads();
  std::vector<Tensor<float>> found;
  for (const Index threads : {1, 3}) {
    rapt::set_threads(threads);
    const Variable<float> z(normal_tensor<float>({9, 5}, 2), /*requires_grad=*/true);
    const rapt::Recording scope;
    backward(sum(discriminator(generator(z))));
    found.push_back(z.grad());
  }
  rapt::set_threads(before);
  EXPECT_TRUE(rapt_test::same_bits(found[0], found[1]));
}

TEST(TransGan, FilesHoldBoth) {
  const rapt_test::TemporaryFolder folder;
  const auto generator = model_of<TransGanGenerator<float>>(generator_config(2));
  const auto discriminator = model_of<TransGanDiscriminator<float>>(discriminator_config(2));
  rapt::save_model(folder.path() / "generator.safetensors", generator);
  rapt::save_model(folder.path() / "discriminator.safetensors", discriminator);
  const auto made = rapt::load_model<TransGanGenerator<float>>(folder.path() / "generator.safetensors");
  const auto scored = rapt::load_model<TransGanDiscriminator<float>>(folder.path() / "discriminator.safetensors");
  const auto z = normal_tensor<float>({2, 5}, 3);
  EXPECT_TRUE(rapt_test::same_bits(made(z).value(), generator(z).value()));
  EXPECT_TRUE(rapt_test::same_bits(scored(made(z)).value(), discriminator(generator(z)).value()));
  EXPECT_EQ(made.config().stage_windows, generator.config().stage_windows);
}

TEST(TransGan, SaysWhatDoesNotFit) {
  const auto generator = [](auto change) {
    return [change] {
      TransGanGeneratorConfig config = generator_config(2);
      change(config);
      std::ignore = model_of<TransGanGenerator<float>>(config);
    };
  };
  const auto discriminator = [](auto change) {
    return [change] {
      TransGanDiscriminatorConfig config = discriminator_config(2);
      change(config);
      std::ignore = model_of<TransGanDiscriminator<float>>(config);
    };
  };
  TransGanGeneratorConfig().validate();
  TransGanDiscriminatorConfig().validate();
  rapt_test::expect_errors({
      {"sides", generator([](auto& c) { c.image.height = 10; }), {"10 x 12", "multiples of 4"}},
      {"width", generator([](auto& c) { c.d_model = 18; }), {"multiple of 4", "18"}},
      {"heads",
       generator([](auto& c) {
         c.stage_heads = {3, 1};
       }),
       {"d_model = 16", "heads = 3"}},
      {"stages", generator([](auto& c) { c.stage_windows = {2}; }), {"2, 2 and 1"}},
      {"none", generator([](auto& c) { c.stage_layers = c.stage_heads = c.stage_windows = {}; }), {"stage"}},
      {"windows",
       generator([](auto& c) {
         c.stage_windows = {0, 5};
       }),
       {"4 x 6", "side 5"}},
      {"layers",
       generator([](auto& c) {
         c.stage_layers = {0, 1};
       }),
       {"stage 0"}},
      {"latent", generator([](auto& c) { c.latent = 0; }), {"latent", ": 0"}},
      {"image",
       generator([](auto& c) {
         c.image = {1, 1 << 20, 1 << 20};
       }),
       {"1 x 1048576 x 1048576"}},
      {"tokens",
       discriminator([](auto& c) {
         c.image = {1, 512, 512};
       }),
       {"4096 tokens", "stage 1", "128 x 128"}},
      {"pairs of all stages",
       generator([](auto& c) {
         c.image = {1, 256, 256};
         c.patch = 1;
         c.stage_layers = c.stage_heads = {1, 1, 1};
         c.stage_windows = {0, 64, 64};
       }),
       {"33554432 pairs", "stage 2", "50331648"}},
      {"ratio", discriminator([](auto& c) { c.d_ff_ratio = 65; }), {"d_ff_ratio", "65"}},
      {"vectors",
       [] {
         std::ignore = model_of<TransGanGenerator<float>>(generator_config(0))(Tensor<float>({2, 6}, 0.f));
       },
       {"[2, 6]", "5 columns"}},
      {"patches", discriminator([](auto& c) { c.patch = 4; }), {"8 x 12", "8 x 8"}},
      {"columns", discriminator([](auto& c) { c.stage_columns = {6}; }), {"2 stages", "1"}},
      {"too many columns",
       discriminator([](auto& c) {
         c.stage_columns = {6, std::numeric_limits<Index>::max()};
       }),
       {"65536 columns", "9223372036854775807"}},
      {"too many layers",
       generator([](auto& c) {
         c.stage_layers = {1, std::numeric_limits<Index>::max()};
       }),
       {"stage 1", "4096", "9223372036854775807"}},
      {"last windows",
       discriminator([](auto& c) {
         c.stage_windows = {0, 2};
       }),
       {"class token", "2"}},
      {"pixels",
       [] {
         const auto model = model_of<TransGanDiscriminator<float>>(discriminator_config(0));
         std::ignore = model(Variable<float>(Tensor<float>({2, 191}, 0.f)));
       },
       {"2 x 8 x 12", "[2, 191]"}},
  });
}

}  // namespace
