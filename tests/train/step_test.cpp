/// \file
/// A step of training: losses of one's own, weights of batches. processes_test.cpp has steps of several processes.
// covers: train/snapshot.hpp, train/trainable.hpp, train/trainer_options.hpp
#include "rapt/train/step.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/optim/sgd.hpp"
#include "rapt/train/snapshot.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::TokenId;

/// The logits of the next token in a table.
struct StepTable {
  using ScalarType = double;
  rapt::Parameter<double> table{rapt::Tensor<double>(rapt::Shape{4, 4}, 0.0)};

  [[nodiscard]] rapt::Variable<double> loss(const rapt::LanguageBatch& batch,
                                            const rapt::CrossEntropyOptions& options) const {
    return rapt::cross_entropy<double>(rapt::gather_rows<double>(table, batch.input.tokens), batch.targets, options);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("table", self.table);
  }
};
static_assert(rapt::Trainable<StepTable, rapt::LanguageBatch>);
static_assert(!rapt::Trainable<StepTable, rapt::TranslationBatch>);

rapt::LanguageBatch some_batch(int tokens) {
  rapt::LanguageBatch batch;
  std::vector<TokenId> input;
  for (int i = 0; i < tokens; ++i) {
    input.push_back(static_cast<TokenId>(i % 3));
    batch.targets.push_back(static_cast<TokenId>(3 - i % 2));
  }
  batch.input.push_back(input);
  return batch;
}

rapt::TrainerOptions plain_options() {
  return {.learning_rate = [](Index) { return 0.5; }, .label_smoothing = 0.f};
}

template <class M>
rapt::Tensor<double> table_after_a_step(M& model, const StepTable& table, const rapt::TrainerOptions& options,
                                        std::span<const rapt::LanguageBatch> batches) {
  rapt::TrainingStep<M, rapt::Sgd<double>> step(model, options, rapt::Sgd(model));
  (void)step(batches);
  return table.table.value();
}

TEST(TrainingStep, ABatchWithoutTargetsCountsNothing) {
  StepTable plain, with_an_empty_one;
  const auto expected = table_after_a_step(plain, plain, plain_options(), std::vector{some_batch(5)});
  const std::vector<rapt::LanguageBatch> batches{{}, some_batch(5), {}};
  EXPECT_TRUE(rapt_test::same_bits(table_after_a_step(with_an_empty_one, with_an_empty_one, plain_options(), batches),
                                   expected));
}

TEST(TrainingStep, AStepWithoutTargetsIsRefused) {
  StepTable model;
  rapt_test::expect_message<rapt::ValueError>(
      [&] { (void)table_after_a_step(model, model, plain_options(), std::vector<rapt::LanguageBatch>(2)); },
      "[trainer] step 1 has nothing to learn: its 2 batches have 0 targets");
  for (const double value : model.table.value().values()) EXPECT_EQ(value, 0);
}

TEST(TrainingStep, TheLargestNormIsPositiveOrZeroForNoLimit) {
  const std::vector<rapt::LanguageBatch> batches{some_batch(5)};
  StepTable unlimited, wide, infinite, narrow, refused;
  const auto step_with = [&](StepTable& model, double clip_norm) {
    rapt::TrainerOptions options = plain_options();
    options.clip_norm = clip_norm;
    return table_after_a_step(model, model, options, batches);
  };
  const auto expected = step_with(unlimited, 0);
  EXPECT_TRUE(rapt_test::same_bits(step_with(wide, 1e6), expected));
  EXPECT_TRUE(rapt_test::same_bits(step_with(infinite, std::numeric_limits<double>::infinity()), expected));
  EXPECT_FALSE(rapt_test::same_bits(step_with(narrow, 1e-3), expected));
  rapt_test::expect_message<rapt::ValueError>([&] { (void)step_with(refused, -0.5); },
                                              "[trainer] clip_norm must be positive, or 0 for no limit: -0.5");
  rapt_test::expect_message<rapt::ValueError>(
      [&] { (void)step_with(refused, std::numeric_limits<double>::quiet_NaN()); }, "nan");
}

TEST(TrainingStep, ALossOfOnesOwnTrainsTheModel) {
  const std::vector<rapt::LanguageBatch> batches{some_batch(5)};
  StepTable direct, with_options, without;
  rapt::TrainerOptions options = plain_options();
  options.label_smoothing = 0.2f;
  const auto expected = table_after_a_step(direct, direct, options, batches);
  rapt::WithLoss passing(with_options, [&](const rapt::LanguageBatch& batch, const rapt::CrossEntropyOptions& given) {
    EXPECT_EQ(given.label_smoothing, 0.2f);
    return with_options.loss(batch, given);
  });
  EXPECT_TRUE(rapt_test::same_bits(table_after_a_step(passing, with_options, options, batches), expected));
  rapt::WithLoss fixed(
      without, [&](const rapt::LanguageBatch& batch) { return without.loss(batch, {.label_smoothing = 0.2f}); });
  static_assert(rapt::Trainable<decltype(fixed), rapt::LanguageBatch>);
  EXPECT_TRUE(rapt_test::same_bits(table_after_a_step(fixed, without, options, batches), expected));
  std::vector<std::string> names;
  rapt::for_each_parameter(fixed, [&](const std::string& name, const auto&) { names.push_back(name); });
  EXPECT_EQ(names, std::vector<std::string>{"table"});
}

TEST(TrainingStep, AStepAfterAFailedOneIsThatOfAFreshRun) {
  const std::vector<rapt::LanguageBatch> batches{some_batch(5)};
  const auto table_after = [&](bool second_fails) {
    StepTable model;
    rapt::WithLoss with_dropout(model, [&](const rapt::LanguageBatch& batch) {
      return rapt::cross_entropy<double>(
          rapt::dropout<double>(rapt::gather_rows<double>(model.table, batch.input.tokens), 0.5f), batch.targets, {});
    });
    bool fails = second_fails;
    rapt::TrainerOptions options = plain_options();
    options.learning_rate = [&](Index step) {
      return fails && step == 2 ? std::numeric_limits<double>::infinity() : 0.5;
    };
    rapt::TrainingStep<decltype(with_dropout), rapt::Sgd<double>> step(with_dropout, options, rapt::Sgd(with_dropout));
    (void)step(std::span(batches));
    if (fails)
      rapt_test::expect_message<rapt::ValueError>([&] { (void)step(std::span(batches)); }, "learning rate inf");
    EXPECT_TRUE(model.table.grad().empty());
    fails = false;
    (void)step(std::span(batches));
    return model.table.value();
  };
  EXPECT_TRUE(rapt_test::same_bits(table_after(true), table_after(false)));
}

TEST(ParameterSnapshot, ChangesPlacesWithTheModel) {
  StepTable model;
  rapt::ParameterSnapshot<double> before(model);
  model.table.mutable_value().fill(3);
  before.swap_with(model);
  EXPECT_EQ(model.table.value().data()[5], 0);
  before.swap_with(model);
  EXPECT_EQ(model.table.value().data()[5], 3);
  EXPECT_TRUE(rapt::ParameterSnapshot<double>().empty());
  rapt::ParameterSnapshot<double> none;
  EXPECT_THROW(none.swap_with(model), rapt::ShapeError);
}

TEST(ParameterSnapshot, LeavesWhatIsKeptInPackedFormAlone) {
  rapt::Rng rng(1);
  rapt::Linear<float> model(40, 8, rng);
  rapt::freeze(model, "weight");
  rapt::quantize_weights(model);
  rapt::drop_unpacked_weights(model);
  const rapt::Variable<float> x(rapt::Tensor<float>(rapt::Shape{2, 40}, 1.f));
  const rapt::Inference scope;
  const rapt::Tensor<float> weights = model(x).value();
  rapt::ParameterSnapshot<float> before(model);
  rapt::for_each_parameter(model, [](const std::string& name, rapt::Parameter<float>& parameter) {
    if (name == "bias") parameter.mutable_value().fill(3);
  });
  before.swap_with(model);
  EXPECT_TRUE(std::ranges::equal(model(x).value().values(), weights.values()));
}

}  // namespace
