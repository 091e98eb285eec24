/// \file
/// A generator and a discriminator in one training: a step composed by hand, what it learns, resuming bit for bit,
/// errors.
// covers: train/adversarial_options.hpp
#include "rapt/train/adversarial_training.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "rapt/data/random_batches.hpp"
#include "rapt/models/transgan.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/optim/sgd.hpp"
#include "rapt/train/checkpoint.hpp"
#include "rapt/train/trainer.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::AdversarialLoss;
using rapt::AdversarialOptions;
using rapt::AdversarialTraining;
using rapt::DifferentiableAugmentation;
using rapt::ImageShape;
using rapt::Index;
using rapt::NamedTensors;
using rapt::Shape;
using rapt::Tensor;
using rapt::Variable;
using Images = rapt::LabelledImages<double>;

const ImageShape kShape{1, 2, 2};

/// Makes images of kShape from three numbers.
struct Generator {
  using ScalarType = double;
  rapt::Linear<double> map;
  explicit Generator(rapt::Rng& rng) : map(3, 4, rng) {}
  Variable<double> operator()(const Variable<double>& z) const { return map(z); }
  [[nodiscard]] Index latent_columns() const { return 3; }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("map", self.map);
  }
};
struct Critic {
  using ScalarType = double;
  rapt::Linear<double> in, out;
  explicit Critic(rapt::Rng& rng) : in(4, 8, rng), out(8, 1, rng) {}
  Variable<double> operator()(const Variable<double>& pixels) const { return out(gelu(in(pixels))); }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("in", self.in);
    visitor("out", self.out);
  }
};

using Game = AdversarialTraining<Generator, Critic>;
static_assert(rapt::CarriesTensors<Game>);
static_assert(rapt::Trainable<Game, Images>);

/// Images around (1, -1, -1, 1).
Images draw(rapt::Rng& rng) {
  Tensor<double> pixels(Shape{16, 4});
  rng.fill_normal(pixels.values(), 0.0, 0.3);
  for (Index i = 0; i < pixels.size(); ++i) pixels.data()[i] += i % 4 == 0 || i % 4 == 3 ? 1 : -1;
  return {.images = {std::move(pixels), kShape}, .labels = std::vector<std::int32_t>(16)};
}
rapt::RandomBatches<Images> source() { return {draw, 5, {}}; }

template <class M>
std::vector<double> numbers_of(const M& model) {
  std::vector<double> numbers;
  rapt::for_each_parameter(model, [&](const std::string&, const auto& p) {
    numbers.insert(numbers.end(), p.value().values().begin(), p.value().values().end());
  });
  return numbers;
}

template <class M>
void fill(M& model, const std::string& parameter, double number) {
  rapt::for_each_parameter(model, [&](const std::string& name, auto& p) {
    if (name == parameter) p.mutable_value().fill(number);
  });
}

AdversarialOptions options_of(double rate) {
  return {.loss = AdversarialLoss::logistic,
          .penalty = {.weight = 1},
          .penalty_every = 2,
          .augmentation = {.colour = false, .translation = .5, .cutout = 0},
          .discriminator = {.learning_rate = [rate](Index) { return rate; }, .adam = {.beta1 = 0, .beta2 = .99}}};
}

/// Both models and their training.
struct Players {
  rapt::Rng rng{1};
  Generator generator{rng};
  Critic critic{rng};
};

// Four steps by hand, of plain gradient descent, with all that a step may have: changes of images, drawn apart for real
// ones, for generated ones and for the generator's loss; in the first and the fourth step a penalty between the images
// of each pair, with three times its weight; and the generator's loss against the new discriminator.
TEST(AdversarialTraining, StepsByHand) {
  Players players, same;
  const DifferentiableAugmentation augmentation{.colour = true, .translation = .5, .cutout = 0, .background = .5};
  const AdversarialOptions options{.loss = AdversarialLoss::wasserstein,
                                   .penalty = {.weight = 2, .target = 1},
                                   .penalty_points = rapt::PenaltyPoints::between,
                                   .penalty_every = 3,
                                   .augmentation = augmentation,
                                   .discriminator = {.learning_rate = [](Index) { return .1; }, .seed = 7}};
  AdversarialTraining<Generator, Critic, rapt::Sgd<double>> game(players.generator, players.critic, options,
                                                                 rapt::Sgd<double>(players.critic, {}));
  rapt::Sgd<double> descent(same.critic, {});
  rapt::Rng data(2), random(3), streams(3), critic_streams(7);
  const auto generator_of = [](const rapt::RandomStream& stream) {
    return rapt::Rng(rapt::Rng::State{stream.seed, stream.stream});
  };
  const auto changed = [&](const Variable<double>& pixels, const rapt::RandomStream& stream) {
    return augment_images(pixels, kShape, draw_image_changes(augmentation, kShape, 16, stream), .5);
  };
  const std::vector<double> generator = numbers_of(players.generator);
  for (int step = 0; step < 4; ++step) {
    SCOPED_TRACE(step);
    const Images batch = draw(data);
    Tensor<double> z(Shape{16, 3});
    generator_of(streams.next_stream()).fill_normal(z.values(), 0.0, 1.0);
    const Tensor<double> made = same.generator(Variable<double>(Tensor<double>(z))).value();
    const Tensor<double> real =
        changed(Variable<double>(Tensor<double>(batch.images.pixels())), streams.next_stream()).value();
    const Tensor<double> fake = changed(Variable<double>(Tensor<double>(made)), streams.next_stream()).value();
    double discriminator_loss_by_hand = 0;
    {
      const rapt::Recording scope;
      const auto scores = [&](const Tensor<double>& pixels) {
        return same.critic(Variable<double>(Tensor<double>(pixels)));
      };
      Variable<double> loss = discriminator_loss(options.loss, scores(real), scores(fake));
      if (step % 3 == 0) {
        std::vector<double> ratios(16);
        generator_of(critic_streams.next_stream()).fill_uniform(std::span<double>(ratios), 0.0, 1.0);
        Tensor<double> points = fake;
        for (Index b = 0; b < 16; ++b) {
          for (Index j = 0; j < 4; ++j) points(b, j) += rapt::at(ratios, b) * (real(b, j) - fake(b, j));
        }
        loss = add(loss, gradient_penalty(same.critic, points, {.weight = 6, .target = 1}));
      }
      discriminator_loss_by_hand = loss.item();
      backward(loss);
    }
    descent.step(.1);
    {
      const rapt::Training scope(random);
      const Variable<double> loss = game.loss(batch);
      EXPECT_NEAR(game.report().discriminator_loss, discriminator_loss_by_hand, 1e-10);
      const std::vector<double> expected = numbers_of(same.critic), found = numbers_of(players.critic);
      for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-10);
      EXPECT_TRUE(game.report().gradient_norm.has_value());
      const Variable<double> by_hand = generator_loss(
          options.loss,
          same.critic(changed(same.generator(Variable<double>(Tensor<double>(z))), streams.next_stream())));
      EXPECT_NEAR(loss.item(), by_hand.item(), 1e-10);
      backward(loss, .5);  // reaches the generator, and leaves the discriminator alone
      backward(by_hand, .5);
    }
    rapt::for_each_parameter(players.critic,
                             [](const std::string& name, const auto& p) { EXPECT_TRUE(p.grad().empty()) << name; });
    EXPECT_TRUE(rapt_test::close(players.generator.map.weight().grad(), same.generator.map.weight().grad(), 1e-10));
    EXPECT_EQ(numbers_of(players.generator), generator);
    rapt::clear_gradients(players.generator);
    rapt::clear_gradients(same.generator);
    rapt::clear_gradients(same.critic);
  }
}

TEST(AdversarialTraining, WithoutPenaltyAndChanges) {
  Players players, same;
  const AdversarialOptions options{.loss = AdversarialLoss::hinge,
                                   .penalty = {.weight = 0},
                                   .augmentation = DifferentiableAugmentation::none(),
                                   .discriminator = {.learning_rate = [](Index) { return .1; }}};
  AdversarialTraining<Generator, Critic, rapt::Sgd<double>> game(players.generator, players.critic, options,
                                                                 rapt::Sgd<double>(players.critic, {}));
  rapt::Rng data(2), random(3);
  const Images batch = draw(data);
  Tensor<double> z(Shape{16, 3});
  rapt::Rng(3).fill_normal(z.values(), 0.0, 1.0);  // the first stream of the training's seed
  {
    const rapt::Recording scope;
    const Tensor<double> made = same.generator(Variable<double>(Tensor<double>(z))).value();
    backward(discriminator_loss(options.loss, same.critic(Variable<double>(Tensor<double>(batch.images.pixels()))),
                                same.critic(Variable<double>(Tensor<double>(made)))));
  }
  rapt::Sgd<double>(same.critic, {}).step(.1);
  const rapt::Training scope(random);
  const Variable<double> loss = game.loss(batch);
  const std::vector<double> expected = numbers_of(same.critic), found = numbers_of(players.critic);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-12);
  EXPECT_NEAR(loss.item(), generator_loss(options.loss, same.critic(same.generator(Variable<double>(z)))).item(),
              1e-12);
  EXPECT_FALSE(game.report().gradient_norm.has_value());
}

TEST(AdversarialTraining, ParametersAreTheGenerators) {
  Players players;
  {
    Game game(players.generator, players.critic, options_of(.01));
    EXPECT_EQ(rapt::count_parameters(game), 16);
    rapt::Trainer trainer(game, {.learning_rate = [](Index) { return .01; }, .average_decay = .9});
    auto batches = source();
    std::ignore = trainer.run(
        batches, {.steps = 3}, [] { return 0.0; }, [](const auto&) {});
    EXPECT_TRUE(game.report().gradient_norm.has_value());
    EXPECT_TRUE(std::isfinite(game.report().real - game.report().generated));
  }
}

// What a hook sees between two steps: nothing is constant, and what it freezes stays so.
TEST(AdversarialTraining, BetweenStepsTheDiscriminatorIsAnOrdinaryModel) {
  Players players;
  Game game(players.generator, players.critic, options_of(.01));
  rapt::Trainer trainer(game, {.learning_rate = [](Index) { return .01; }});
  auto batches = source();
  const auto go_on_to = [&](Index steps) {
    std::ignore = trainer.run(
        batches, {.steps = steps}, [] { return 0.0; },
        [&](const auto&) {
          rapt::for_each_parameter(game.discriminator(), [](const std::string& name, const auto& p) {
            EXPECT_EQ(p.is_frozen(), name == "in.bias" && p.value().data()[0] == 7) << name;
          });
        });
  };
  go_on_to(1);
  const Critic copy = players.critic;
  EXPECT_FALSE(copy.in.weight().is_frozen());
  {
    const rapt::Recording scope;
    backward(sum(players.critic(Variable<double>(Tensor<double>(Shape{2, 4}, 0.5)))));
  }
  EXPECT_FALSE(players.critic.in.weight().grad().empty());
  rapt::clear_gradients(players.critic);

  fill(players.critic, "in.bias", 7);
  rapt::freeze(game.discriminator(), "in.bias");
  const Tensor<double> weight = players.critic.in.weight().value();
  go_on_to(4);
  for (const double v : players.critic.in.bias().value().values()) EXPECT_EQ(v, 7);
  EXPECT_FALSE(rapt_test::same_bits(players.critic.in.weight().value(), weight));
}

// The generator's loss computes the discriminator's blocks again within itself.
TEST(AdversarialTraining, RecomputationGivesTheSameBits) {
  std::vector<double> found[2];
  for (const bool recompute : {false, true}) {
    rapt::Rng rng(1);
    rapt::TransGanGenerator<double> generator({.image = kShape,
                                               .latent = 3,
                                               .d_model = 4,
                                               .stage_layers = {1},
                                               .stage_heads = {1},
                                               .stage_windows = {0},
                                               .dropout = .1f},
                                              rng);
    rapt::TransGanDiscriminator<double> critic({.image = kShape,
                                                .patch = 1,
                                                .stage_columns = {4},
                                                .stage_layers = {2},
                                                .stage_heads = {1},
                                                .stage_windows = {0},
                                                .dropout = .1f},
                                               rng);
    AdversarialOptions options = options_of(.01);
    options.discriminator.recompute = recompute;
    rapt::AdversarialTraining game(generator, critic, options);
    rapt::Trainer trainer(game, {.learning_rate = [](Index) { return .01; }, .recompute = recompute});
    auto batches = source();
    std::ignore = trainer.run(
        batches, {.steps = 3}, [] { return 0.0; }, [](const auto&) {});
    found[recompute ? 1 : 0] = numbers_of(generator);
    for (const double number : numbers_of(critic)) found[recompute ? 1 : 0].push_back(number);
  }
  EXPECT_EQ(found[0], found[1]);
}

TEST(AdversarialTraining, LearnsWhereRealImagesAre) {
  Players players;
  AdversarialOptions options = options_of(.01);
  options.augmentation = DifferentiableAugmentation::none();
  Game game(players.generator, players.critic, options);
  rapt::Trainer trainer(game, {.learning_rate = [](Index) { return .01; }, .adam = {.beta1 = 0, .beta2 = .99}});
  const auto distance = [&] {  // of the mean generated image, whose vector is the map's bias, from the mean real one
    double sum = 0;
    for (Index i = 0; i < 4; ++i) {
      sum += std::pow(players.generator.map.bias().value().data()[i] - (i == 0 || i == 3 ? 1 : -1), 2);
    }
    return std::sqrt(sum);
  };
  EXPECT_DOUBLE_EQ(distance(), 2);
  auto batches = source();
  std::ignore = trainer.run(
      batches, {.steps = 400}, [] { return 0.0; }, [](const auto&) {});
  EXPECT_LT(distance(), 1);
}

class AdversarialTrainingFiles : public rapt_test::FolderTest {};

TEST_F(AdversarialTrainingFiles, GoOnBitForBit) {
  const auto path = folder_ / "checkpoint.safetensors";
  const auto train = [&](Index first, Index steps, bool load, bool save) {
    Players players;
    AdversarialOptions options = options_of(.02);
    options.penalty_points = rapt::PenaltyPoints::between;  // draws from the discriminator's own random numbers
    Game game(players.generator, players.critic, options);
    rapt::Trainer trainer(game, {.learning_rate = [](Index) { return .02; }, .average_decay = .9, .seed = 5});
    auto batches = source();
    if (load) rapt::load_checkpoint(path, trainer, batches);
    EXPECT_EQ(trainer.steps(), first);
    std::ignore = trainer.run(
        batches, {.steps = steps}, [] { return 0.0; }, [](const auto&) {});
    if (save) rapt::save_checkpoint(path, trainer);
    std::vector<double> numbers = numbers_of(players.generator);
    for (const double number : numbers_of(players.critic)) numbers.push_back(number);
    trainer.average()->assign_to(players.generator);
    for (const double number : numbers_of(players.generator)) numbers.push_back(number);
    return numbers;
  };
  const std::vector<double> whole = train(0, 7, false, false);
  std::ignore = train(0, 3, false, true);  // an odd number, so that the penalty's turn must be known
  EXPECT_EQ(train(3, 7, true, false), whole);
}

TEST(AdversarialTraining, WhatIsCarriedMustFit) {
  Players players;
  Game game(players.generator, players.critic, options_of(.02));
  const NamedTensors<double> fresh = game.carried();  // without the state of Adam, which the first step makes
  {
    rapt::Trainer trainer(game, {.learning_rate = [](Index) { return .02; }});
    auto batches = source();
    std::ignore = trainer.run(
        batches, {.steps = 2}, [] { return 0.0; }, [](const auto&) {});
  }
  const NamedTensors<double> good = game.carried();
  EXPECT_GT(good.size(), fresh.size());
  const auto use = [&](auto change) {
    return [&game, good, change] {
      NamedTensors<double> tensors = good;
      change(tensors);
      game.set_carried(std::move(tensors));
    };
  };
  using Map = NamedTensors<double>&;
  rapt_test::expect_errors({
      {"missing", use([](Map m) { m.erase("discriminator.out.bias"); }), {"discriminator.out.bias"}},
      {"shape", use([](Map m) { m["discriminator.out.bias"] = Tensor<double>(Shape{2}, 0.0); }), {"[2]", "[1]"}},
      {"state",
       use([](Map m) {
         m["adam.m.in.weight"] = Tensor<double>(Shape{8, 3}, 0.0);
       }),
       {"adam.m.in.weight"}},
      {"unknown", use([](Map m) { m["more"] = Tensor<double>(Shape{1}, 0.0); }), {"tensors", "those of this one"}},
      {"digits", use([](Map m) { m["steps"].data()[0] = 0.5; }), {"steps", "digits", "0.5"}},
      {"negative", use([](Map m) { m["seed"].data()[3] = -1; }), {"seed", "-1"}},
      {"too many", use([](Map m) { m["steps"].data()[3] = 65535; }), {"steps", "at most"}},
      {"missed", use([](Map m) { m["missed.in.weight"].data()[0] = 3; }), {"missed.in.weight", "at most 2"}},
  });
  const NamedTensors<double> after = game.carried();
  ASSERT_EQ(after.size(), good.size());
  for (const auto& [name, tensor] : good) EXPECT_TRUE(rapt_test::same_bits(after.at(name), tensor)) << name;
  game.set_carried(fresh);
  EXPECT_EQ(game.carried().size(), fresh.size());
}

TEST(AdversarialTraining, SaysWhatDoesNotFit) {
  Players players;
  const auto with = [&](auto change) {
    return [&players, change] {
      AdversarialOptions options = options_of(.1);
      change(options);
      const Game game(players.generator, players.critic, options);
    };
  };
  rapt_test::expect_errors({
      {"every", with([](auto& o) { o.penalty_every = 0; }), {"penalty_every", "0"}},
      {"accumulate", with([](auto& o) { o.discriminator.accumulate = 2; }), {"accumulate 2"}},
      {"average", with([](auto& o) { o.discriminator.average_decay = .9; }), {"average", "0.9"}},
      {"cutout", with([](auto& o) { o.augmentation.cutout = 2; }), {"cutout", "2"}},
      {"penalty", with([](auto& o) { o.penalty.target = -1; }), {"-1"}},
      {"no penalty",
       with([](auto& o) {
         o.loss = AdversarialLoss::wasserstein;
         o.penalty.weight = 0;
       }),
       {"Wasserstein", "is 0"}},
      {"outside",
       [&] {
         Game game(players.generator, players.critic, options_of(.1));
         rapt::Rng rng(1);
         std::ignore = game.loss(draw(rng));
       },
       {"Training"}},
      {"size",
       [&] {
         Game game(players.generator, players.critic, options_of(.1));
         rapt::Rng rng(1);
         const rapt::Training scope(rng);
         std::ignore = game.loss(Images{.images = {Tensor<double>(Shape{2, 6}, 0.0), {1, 2, 3}}, .labels = {0, 0}});
       },
       {"[2, 4]", "1 x 2 x 3"}},
      {"which of the two",
       [&] {
         Players broken;
         fill(broken.critic, "out.bias", std::numeric_limits<double>::quiet_NaN());
         Game game(broken.generator, broken.critic, options_of(.1));
         rapt::Rng rng(1);
         const rapt::Training scope(rng);
         std::ignore = game.loss(draw(rng));
       },
       {"[adversarial_training] discriminator: ", "not a number at step 1", "'out.bias'"}},
      {"the generator",
       [&] {
         Players broken;
         fill(broken.generator, "map.bias", std::numeric_limits<double>::infinity());
         Game game(broken.generator, broken.critic, options_of(.1));
         rapt::Trainer trainer(game, {.learning_rate = [](Index) { return .1; }});
         rapt::Rng rng(1);
         std::ignore = trainer.step(draw(rng));
       },
       {"the generator's images are not finite; discriminator: "}},
  });
}

}  // namespace
