/// \file
/// The training loop: it learns a toy task, repeats bit for bit, accumulates, stops when it should, keeps the best.
#include "rapt/train/trainer.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/optim/lion.hpp"
#include "rapt/optim/sgd.hpp"
#include "rapt/train/mean_loss.hpp"
#include "tests/common/adam_moments.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::BatchStream;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt::TokenPair;
using rapt::Trainer;
using rapt::TrainerOptions;
using rapt::TrainingPlan;
using rapt::TrainingSummary;
using rapt::TranslationBatch;
using Tokens = std::vector<TokenId>;

/// Symbols are 3 .. 7.
constexpr Index kVocabulary = 8;

/// Sequences of 1 .. longest symbols; the target is the source reversed.
std::vector<TokenPair> reversals(Index count, Index longest, std::uint64_t seed) {
  rapt::Rng rng(seed);
  std::vector<TokenPair> pairs;
  for (Index i = 0; i < count; ++i) {
    Tokens source(static_cast<std::size_t>(1 + rng.below(longest)));
    for (TokenId& token : source) token = static_cast<TokenId>(3 + rng.below(kVocabulary - 3));
    pairs.push_back({source, Tokens(source.rbegin(), source.rend())});
  }
  return pairs;
}

template <class T = float>
rapt::Transformer<T> small_transformer(float dropout, Index d_model = 16, std::uint64_t seed = 1) {
  rapt::Rng rng(seed);
  return {{.source_vocabulary = kVocabulary,
           .target_vocabulary = kVocabulary,
           .d_model = d_model,
           .heads = 2,
           .d_ff = 2 * d_model,
           .encoder_layers = 1,
           .decoder_layers = 1,
           .dropout = dropout,
           .attention_dropout = dropout,
           .activation_dropout = dropout},
          rng};
}

template <class M>
std::vector<double> numbers_of(const M& model) {
  std::vector<double> numbers;
  rapt::for_each_parameter(model, [&](const std::string&, const auto& parameter) {
    numbers.insert(numbers.end(), parameter.value().values().begin(), parameter.value().values().end());
  });
  return numbers;
}

/// The smallest model to train: the next target token from the last, by a table of logits. Gradients of padding-free
/// batches are exact, a step takes microseconds.
struct Bigram {
  using ScalarType = double;
  rapt::Parameter<double> table{rapt::Tensor<double>(rapt::Shape{kVocabulary, kVocabulary}, 0.0)};

  [[nodiscard]] rapt::Variable<double> loss(const TranslationBatch& batch,
                                            const rapt::CrossEntropyOptions& options = {}) const {
    return rapt::cross_entropy<double>(rapt::gather_rows<double>(table, batch.target_input.tokens), batch.target_output,
                                       options);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("table", self.table);
  }
};
static_assert(rapt::Module<Bigram>);

TrainerOptions constant_rate(double rate) {
  return {.learning_rate = [rate](Index) { return rate; }, .label_smoothing = 0.f};
}
const auto kNoReport = [](const rapt::Progress&) {};
const auto kNoValidation = [] { return 0.0; };

TEST(Trainer, LearnsToReverse) {
  const auto pairs = reversals(3000, 5, 1);
  auto model = small_transformer(0.f, 32);
  Trainer trainer(model, {.learning_rate = rapt::InverseSquareRootSchedule{.peak = 5e-3, .warmup = 100},
                          .label_smoothing = 0.f,
                          .clip_norm = 1.0});
  const rapt::BatchOptions batches{.tokens = 300};
  BatchStream stream(pairs, batches);
  std::set<Tokens> known;
  for (const TokenPair& pair : pairs) known.insert(pair.source);
  std::vector<TokenPair> unseen;
  for (const TokenPair& pair : reversals(500, 5, 2)) {
    if (!known.contains(pair.source)) unseen.push_back(pair);
  }
  ASSERT_GT(unseen.size(), 30u);

  const double before = rapt::mean_loss(model, unseen, batches);
  const TrainingSummary summary = trainer.run(stream, {.steps = 800}, kNoValidation, kNoReport);
  EXPECT_EQ(summary.steps, 800);
  EXPECT_GT(before, 1.5);  // ln 8 = 2.08 for one who knows nothing
  EXPECT_LT(summary.last_loss, 0.15);
  EXPECT_LT(rapt::mean_loss(model, unseen, batches), 0.15);

  const TranslationBatch batch = rapt::make_batch(unseen);
  const auto greedy = rapt::greedy_search(model, batch.source);
  const auto beam = rapt::beam_search(model, batch.source, {.beam_size = 3});
  std::size_t right = 0, right_by_beam = 0;
  for (std::size_t i = 0; i < unseen.size(); ++i) {
    right += greedy[i].tokens == unseen[i].target && greedy[i].finished;
    right_by_beam += beam[i].tokens == unseen[i].target && beam[i].finished;
  }
  EXPECT_GE(static_cast<double>(right), 0.95 * static_cast<double>(unseen.size()));
  EXPECT_GE(static_cast<double>(right_by_beam), 0.95 * static_cast<double>(unseen.size()));
}

// Dropout everywhere, clipping, accumulation, smoothing: fifty losses and all parameters.
TEST(Trainer, SameBitsOnAnyThreads) {
  const auto pairs = reversals(400, 9, 1);
  rapt_test::expect_same_bits_on_any_threads([&] {
    auto model = small_transformer(0.1f);
    Trainer trainer(model, {.learning_rate = rapt::InverseSquareRootSchedule{.peak = 5e-3, .warmup = 20},
                            .accumulate = 2,
                            .clip_norm = 0.5,
                            .seed = 4});
    BatchStream stream(pairs, {.tokens = 150});
    std::vector<double> numbers;
    (void)trainer.run(stream, {.steps = 50}, kNoValidation,
                      [&](const rapt::Progress& progress) { numbers.push_back(progress.loss); });
    EXPECT_EQ(numbers.size(), 50u);
    EXPECT_LT(numbers.back(), numbers.front());
    const auto parameters = numbers_of(model);
    numbers.insert(numbers.end(), parameters.begin(), parameters.end());
    return numbers;
  });
}

TEST(Trainer, SeedsMatterOnlyWithDropout) {
  const auto pairs = reversals(100, 9, 1);
  const auto parameters = [&](float dropout, std::uint64_t seed) {
    auto model = small_transformer(dropout);
    TrainerOptions options = constant_rate(1e-3);
    options.seed = seed;
    Trainer trainer(model, options);
    BatchStream stream(pairs, {.tokens = 100});
    (void)trainer.run(stream, {.steps = 3}, kNoValidation, kNoReport);
    return numbers_of(model);
  };
  EXPECT_EQ(parameters(0.2f, 1), parameters(0.2f, 1));
  EXPECT_NE(parameters(0.2f, 1), parameters(0.2f, 2));
  EXPECT_EQ(parameters(0.f, 1), parameters(0.f, 2));
}

// Batches of unlike size: each counts by its number of target tokens.
TEST(Trainer, TwoAccumulatedBatchesEqualOne) {
  const auto pairs = reversals(24, 7, 1);
  const std::span all(pairs);
  const TranslationBatch whole = rapt::make_batch(all);
  const std::vector<TranslationBatch> parts{rapt::make_batch(all.first(5)), rapt::make_batch(all.subspan(5))};
  auto one = small_transformer<double>(0.f), two = small_transformer<double>(0.f);
  TrainerOptions options = constant_rate(1e-2);
  options.clip_norm = 0.3;
  options.label_smoothing = 0.1f;
  Trainer whole_trainer(one, options), parts_trainer(two, options);
  for (int step = 0; step < 5; ++step) {
    const double loss = whole_trainer.step(whole);
    EXPECT_NEAR(parts_trainer.step(parts), loss, 1e-9) << step;
    EXPECT_TRUE(rapt_test::close(numbers_of(two), numbers_of(one), 1e-7)) << step;
  }
  EXPECT_FALSE(rapt_test::close(numbers_of(one), numbers_of(small_transformer<double>(0.f)), 1e-2));
}

// One step of the trainer is: mean loss, its gradient, clipped, Adam.
TEST(Trainer, AStepIsWhatItsPartsAre) {
  const auto pairs = reversals(10, 7, 1);
  const TranslationBatch batch = rapt::make_batch(pairs);
  Bigram ours, plain;
  TrainerOptions options = constant_rate(0.1);
  options.clip_norm = 0.01;
  options.label_smoothing = 0.2f;
  options.adam.epsilon = 0.1;  // so that the clipping shows
  Trainer trainer(ours, options);
  rapt::Adam adam(plain, options.adam);
  for (int step = 0; step < 3; ++step) {
    double loss = 0, norm = 0;
    {
      const rapt::Recording scope;
      const auto result = plain.loss(batch, {.label_smoothing = 0.2f});
      loss = result.item();
      rapt::backward(result);
      norm = rapt::gradient_norm(plain);
    }
    adam.step(0.1, rapt::clip_factor(norm, 0.01));
    EXPECT_GT(norm, 0.1);
    EXPECT_DOUBLE_EQ(trainer.step(batch), loss);
    EXPECT_EQ(numbers_of(ours), numbers_of(plain));
    EXPECT_TRUE(ours.table.grad().empty());
  }
}

TEST(Trainer, AccumulateTakesThatManyBatchesAStep) {
  const auto pairs = reversals(200, 5, 1);
  Bigram model;
  TrainerOptions options = constant_rate(0.01);
  options.accumulate = 3;
  Trainer trainer(model, options);
  BatchStream stream(pairs, {.tokens = 20});
  (void)trainer.run(stream, {.steps = 4}, kNoValidation, kNoReport);
  EXPECT_EQ(stream.position(), (rapt::BatchPosition{0, 12}));
  EXPECT_EQ(trainer.state().data, stream.position());
  options.accumulate = 0;
  EXPECT_THROW(Trainer(model, options), rapt::ValueError);
}

TEST(Trainer, StopsBySteps) {
  const auto pairs = reversals(50, 5, 1);
  Bigram model;
  Trainer trainer(model, constant_rate(0.01));
  BatchStream stream(pairs, {.tokens = 20});
  std::vector<Index> steps;
  const auto report = [&](const rapt::Progress& p) { steps.push_back(p.step); };
  TrainingSummary summary = trainer.run(stream, {.steps = 3}, kNoValidation, report);
  EXPECT_EQ(steps, (std::vector<Index>{1, 2, 3}));
  EXPECT_EQ(summary.steps, 3);
  summary = trainer.run(stream, {.steps = 5}, kNoValidation, report);  // in all, not further ones
  EXPECT_EQ(steps, (std::vector<Index>{1, 2, 3, 4, 5}));
  summary = trainer.run(stream, {.steps = 5}, kNoValidation, report);
  EXPECT_EQ(steps.size(), 5u);
  EXPECT_EQ(summary.steps, 5);
  EXPECT_EQ(trainer.steps(), 5);
}

TEST(Trainer, StopsByEpochs) {
  const auto pairs = reversals(50, 5, 1);
  Bigram model;
  Trainer trainer(model, constant_rate(0.01));
  BatchStream stream(pairs, {.tokens = 20});
  const Index first = stream.batches_per_epoch();
  ASSERT_GT(first, 3);
  EXPECT_EQ(trainer.run(stream, {.epochs = 1}, kNoValidation, kNoReport).steps, first);
  EXPECT_EQ(stream.position(), (rapt::BatchPosition{0, first}));
  (void)trainer.run(stream, {.epochs = 3}, kNoValidation, kNoReport);
  EXPECT_EQ(stream.position().epoch, 2);
  EXPECT_EQ(stream.position().batch, stream.batches_per_epoch());
}

TEST(Trainer, StopsBySeconds) {
  const auto pairs = reversals(50, 5, 1);
  Bigram model;
  Trainer trainer(model, constant_rate(0.01));
  BatchStream stream(pairs, {.tokens = 20});
  const auto start = std::chrono::steady_clock::now();
  const TrainingSummary summary = trainer.run(stream, {.seconds = 0.1}, kNoValidation,
                                              [](const rapt::Progress& p) { EXPECT_LE(p.seconds_left, 0.1); });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GE(seconds, 0.1);
  EXPECT_LT(seconds, 5);
  EXPECT_GE(summary.seconds, 0.1);
  EXPECT_GT(summary.steps, 1);
}

TEST(Trainer, StopsByPatienceAndKeepsTheBest) {
  const auto pairs = reversals(50, 5, 1);
  const std::vector<double> scores{5, 3, 4, 2, 2, 2.5, std::numeric_limits<double>::quiet_NaN(), 1};
  for (const bool keep_best : {true, false}) {
    Bigram model;
    Trainer trainer(model, constant_rate(0.01));
    BatchStream stream(pairs, {.tokens = 20});
    std::vector<std::vector<double>> at_validation;
    const auto validate = [&] {
      EXPECT_FALSE(rapt::is_recording());
      at_validation.push_back(numbers_of(model));
      return scores.at(at_validation.size() - 1);
    };
    const TrainingSummary summary = trainer.run(
        stream, {.steps = 100, .validate_every = 3, .patience = 3, .keep_best = keep_best}, validate, kNoReport);
    EXPECT_EQ(at_validation.size(), 7u);  // an equal score and NaN are misses; the 1 is never seen
    EXPECT_EQ(summary.steps, 21);
    EXPECT_EQ(summary.best_validation, 2);
    EXPECT_EQ(summary.best_step, 12);
    EXPECT_EQ(trainer.state().best_step, 12);
    ASSERT_NE(at_validation[3], at_validation[6]);
    EXPECT_EQ(numbers_of(model), at_validation[keep_best ? 3 : 6]);
  }
}

// The optimizer knows the parameters by place: they must be the ones that the best were put back into.
TEST(Trainer, GoesOnFromTheBest) {
  const auto pairs = reversals(50, 5, 1);
  auto model = small_transformer(0.f);
  Trainer trainer(model, constant_rate(0.01));
  BatchStream stream(pairs, {.tokens = 20});
  std::vector<double> best;
  double score = 1;
  const auto validate = [&] {
    if (score == 1) best = numbers_of(model);
    return score++;
  };
  (void)trainer.run(stream, {.steps = 4, .validate_every = 2}, validate, kNoReport);
  EXPECT_EQ(numbers_of(model), best);
  (void)trainer.run(stream, {.steps = 5}, kNoValidation, kNoReport);
  EXPECT_NE(numbers_of(model), best);
}

TEST(Trainer, ValidatesOnceAtTheEnd) {
  const auto pairs = reversals(50, 5, 1);
  for (const auto& [steps, looks] : {std::pair<Index, int>{6, 3}, {7, 4}, {1, 1}}) {
    Bigram model;
    Trainer trainer(model, constant_rate(0.01));
    BatchStream stream(pairs, {.tokens = 20});
    int count = 0;
    const TrainingSummary summary = trainer.run(
        stream, {.steps = steps, .validate_every = 2}, [&] { return 10.0 - ++count; }, kNoReport);
    EXPECT_EQ(count, looks);
    EXPECT_EQ(summary.best_step, steps);
  }
}

TEST(Trainer, ReportsWhatItDoes) {
  const auto pairs = reversals(50, 5, 1);
  Bigram model;
  TrainerOptions options = constant_rate(0);
  options.learning_rate = [](Index step) { return 0.5 / static_cast<double>(step); };
  Trainer trainer(model, options);
  BatchStream stream(pairs, {.tokens = 20});
  Index count = 0;
  double last_loss = 0;
  const TrainingSummary summary = trainer.run(stream, {.steps = 4}, kNoValidation, [&](const rapt::Progress& p) {
    ++count;
    last_loss = p.loss;
    EXPECT_EQ(p.step, count);
    EXPECT_DOUBLE_EQ(p.learning_rate, 0.5 / static_cast<double>(count));
    EXPECT_GT(p.items_per_second, 0);
    EXPECT_GT(p.seconds, 0);
    EXPECT_GE(p.seconds_left, 0);
    if (count == 1) {
      EXPECT_NEAR(p.loss, std::log(8.0), 1e-12);  // all zero: every token is as likely
    }
    if (count == 4) {
      EXPECT_EQ(p.seconds_left, 0);
    }
  });
  EXPECT_EQ(count, 4);
  EXPECT_EQ(summary.last_loss, last_loss);
  BatchStream epochs(pairs, {.tokens = 20});
  (void)trainer.run(epochs, {.epochs = 1}, kNoValidation,
                    [](const rapt::Progress& p) { EXPECT_LT(p.seconds_left, 0); });  // nobody knows
}

TEST(Trainer, ALossThatIsNoNumberStopsWithAMessage) {
  const auto pairs = reversals(50, 5, 1);
  auto model = small_transformer(0.f);
  Trainer trainer(model, constant_rate(1e30));
  BatchStream stream(pairs, {.tokens = 20});
  const auto text = rapt_test::error_text<rapt::ValueError>(
      [&] { (void)trainer.run(stream, {.steps = 100}, kNoValidation, kNoReport); });
  EXPECT_NE(text.find("[trainer] the loss is "), std::string::npos) << text;
  EXPECT_NE(text.find("at step " + std::to_string(trainer.steps() + 1)), std::string::npos) << text;
  EXPECT_NE(text.find("learning rate"), std::string::npos) << text;
  EXPECT_NE(text.find("1e+30"), std::string::npos) << text;
  EXPECT_LT(trainer.steps(), 10);
  EXPECT_FALSE(rapt::is_recording());
}

// Interruption and saving
// ----------------------------------------------------------------------------------------------

TEST(Trainer, SavesWhenThePlanSaysSoAndAfterAValidation) {
  const auto pairs = reversals(50, 5, 1);
  Bigram model;
  Trainer trainer(model, constant_rate(0.01));
  BatchStream stream(pairs, {.tokens = 20});
  std::vector<std::string> events;
  const auto event = [&](const std::string& what) { events.push_back(what + std::to_string(trainer.steps())); };
  double score = 10;
  const auto validate = [&] {
    event("v");
    return --score;
  };
  const auto save = [&] {
    event("s");
    EXPECT_EQ(trainer.state().data, stream.position());
    EXPECT_EQ(trainer.state().best_step, trainer.steps() / 2 * 2);  // the outcome of the validation of this step
  };
  const TrainingSummary summary =
      trainer.run(stream, {.steps = 7, .validate_every = 2, .save_every = 3}, validate, kNoReport, save);
  EXPECT_EQ(events, (std::vector<std::string>{"v2", "s3", "v4", "v6", "s6", "v7"}));
  EXPECT_EQ(summary.reason, rapt::StopReason::steps);
}

TEST(Trainer, AStopFinishesTheStepAndSaves) {
  const auto pairs = reversals(50, 5, 1);
  for (const Index at : {3, 4}) {  // 4: a step of which a validation and a save come anyway
    Bigram model;
    Trainer trainer(model, constant_rate(0.01));
    BatchStream stream(pairs, {.tokens = 20});
    std::atomic<bool> stop{false};
    std::vector<Index> saved, validated;
    const auto validate = [&] {
      validated.push_back(trainer.steps());
      return 1.0;
    };
    const auto report = [&](const rapt::Progress& p) {
      if (p.step == at) stop = true;
    };
    const auto save = [&] { saved.push_back(trainer.steps()); };
    const TrainingPlan plan{.steps = 100, .validate_every = 4, .keep_best = false, .save_every = 4, .stop = &stop};
    TrainingSummary summary = trainer.run(stream, plan, validate, report, save);
    EXPECT_EQ(summary.reason, rapt::StopReason::request);
    EXPECT_EQ(summary.steps, at);
    EXPECT_EQ(saved, std::vector<Index>{at});                                      // once
    EXPECT_EQ(validated, at == 4 ? std::vector<Index>{4} : std::vector<Index>());  // none for the sake of the end
    stop = false;
    summary = trainer.run(stream, {.steps = 6, .stop = &stop}, validate, report, save);
    EXPECT_EQ(summary.reason, rapt::StopReason::steps);
    EXPECT_EQ(summary.steps, 6);
    EXPECT_EQ(saved.size(), 1u);
  }
}

TEST(Trainer, WhyItStopped) {
  const auto pairs = reversals(50, 5, 1);
  const auto reason = [&](const TrainingPlan& plan) {
    Bigram model;
    Trainer trainer(model, constant_rate(0.01));
    BatchStream stream(pairs, {.tokens = 20});
    return trainer.run(stream, plan, kNoValidation, kNoReport).reason;
  };
  EXPECT_EQ(reason({.steps = 2}), rapt::StopReason::steps);
  EXPECT_EQ(reason({.seconds = 1e-9}), rapt::StopReason::seconds);
  EXPECT_EQ(reason({.epochs = 1}), rapt::StopReason::epochs);
  EXPECT_EQ(reason({.validate_every = 1, .patience = 2}), rapt::StopReason::patience);
  std::atomic<bool> stop{true};
  EXPECT_EQ(reason({.steps = 2, .stop = &stop}), rapt::StopReason::request);
}

TEST(Trainer, ReportsTheNormOfTheGradients) {
  const auto pairs = reversals(50, 5, 1);
  Bigram model, twin;
  TrainerOptions options = constant_rate(0.01);
  options.clip_norm = 1e-3;  // what is reported is the norm before clipping
  Trainer trainer(model, options);
  BatchStream stream(pairs, {.tokens = 20}), same(pairs, {.tokens = 20});
  double norm = 0;
  (void)trainer.run(stream, {.steps = 1}, kNoValidation, [&](const rapt::Progress& p) { norm = p.gradient_norm; });
  const rapt::Recording scope;
  rapt::backward(twin.loss(same.next()));
  EXPECT_DOUBLE_EQ(norm, rapt::gradient_norm(twin));
  EXPECT_GT(norm, 0.1);
}

TEST(Trainer, KeepsAMovingAverage) {
  const auto pairs = reversals(50, 5, 1);
  Bigram model;
  TrainerOptions options = constant_rate(0.1);
  EXPECT_FALSE(Trainer(model, options).average());
  options.average_decay = 0.3;
  Trainer trainer(model, options);
  ASSERT_TRUE(trainer.average());
  BatchStream stream(pairs, {.tokens = 20});
  std::vector<double> expected = numbers_of(model);
  (void)trainer.run(stream, {.steps = 20}, kNoValidation, [&](const rapt::Progress& p) {
    const auto t = static_cast<double>(p.step);
    const double decay = std::min(0.3, (1 + t) / (10 + t));
    const auto numbers = numbers_of(model);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = decay * expected[i] + (1 - decay) * numbers[i];
  });
  Bigram average;
  trainer.average()->assign_to(average);
  EXPECT_TRUE(rapt_test::close(numbers_of(average), expected, 1e-13));
  EXPECT_FALSE(rapt_test::close(numbers_of(average), numbers_of(model), 1e-3));
  options.average_decay = 1;
  EXPECT_THROW(Trainer(model, options), rapt::ValueError);
}

// Numbers that are not finite -----------------------------------------------------------------------------------------

enum class Fault { none, nan_loss, infinite_loss, infinite_gradient, once };

/// A Transformer whose loss goes wrong for batches of `kBadSentences` sentences.
struct Faulty {
  using ScalarType = float;
  static constexpr Index kBadSentences = 3;
  rapt::Transformer<float> inner = small_transformer(0.2f);
  Fault fault = Fault::none;
  mutable bool was_wrong = false;

  [[nodiscard]] rapt::Variable<float> loss(const TranslationBatch& batch,
                                           const rapt::CrossEntropyOptions& options = {}) const {
    const rapt::Variable<float> right = inner.loss(batch, options);
    if (fault == Fault::none || batch.source.sequences() != kBadSentences) return right;
    rapt::Tensor<float> value(right.value());
    if (fault == Fault::nan_loss || (fault == Fault::once && !std::exchange(was_wrong, true))) {
      value.fill(std::numeric_limits<float>::quiet_NaN());
    }
    if (fault == Fault::infinite_loss) value.fill(std::numeric_limits<float>::infinity());
    const float gradient = fault == Fault::infinite_gradient ? std::numeric_limits<float>::infinity() : 1.f;
    return rapt::record("wrong", std::move(value), {right},
                        [gradient](rapt::Node<float>& out) { out.input(0).grad_sum().data()[0] += gradient; });
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("inner", self.inner);
  }
};
static_assert(rapt::Module<Faulty>);

/// All that a step changes.
std::vector<double> everything(Trainer<Faulty>& trainer) {
  std::vector<double> numbers = numbers_of(trainer.model());
  const auto add = [&](const rapt::Tensor<float>& tensor) {
    numbers.insert(numbers.end(), tensor.values().begin(), tensor.values().end());
  };
  rapt_test::for_each_moments(trainer.adam(), [&](const std::string&, const auto& m, const auto& v) {
    add(m);
    add(v);
  });
  trainer.average()->for_each_state([&](const std::string&, const auto& average) { add(average); });
  numbers.push_back(static_cast<double>(trainer.steps()));
  return numbers;
}

TEST(TrainerNotFinite, SaysWhereAndChangesNothing) {
  const auto pairs = reversals(60, 7, 1);
  const std::span all(pairs);
  const TranslationBatch good = rapt::make_batch(all.first(8)), bad = rapt::make_batch(all.subspan(8, 3)),
                         next = rapt::make_batch(all.subspan(20));
  TrainerOptions options = constant_rate(1e-2);
  options.clip_norm = 0.5;
  options.average_decay = 0.9;
  struct Case {
    Fault fault;
    std::string what, where;
  };
  const Case cases[] = {
      {Fault::nan_loss, "the loss is not a number", "[finite_check] the value of 'wrong' has nan at row 0, column 0"},
      {Fault::infinite_loss, "the loss is infinite", "[finite_check] the value of 'wrong' has inf at row 0, column 0"},
      {Fault::infinite_gradient, "the gradients are not finite",
       "[finite_check] a gradient from the op 'wrong' has inf"},
      {Fault::once, "the loss is not a number", "nowhere when computed again"}};
  for (const Case& one : cases) {
    for (const bool first : {true, false}) {  // whether the bad batch comes before or after a good one
      SCOPED_TRACE(one.what + (first ? ", bad batch first" : ", good batch first"));
      Faulty model{.fault = one.fault}, twin;
      Trainer trainer(model, options), twin_trainer(twin, options);
      for (auto* each : {&trainer, &twin_trainer}) {
        (void)each->step(good);
        (void)each->step(next);
      }
      const auto before = everything(trainer);
      const rapt::TrainerState state = trainer.state();
      const std::vector<TranslationBatch> batches =
          first ? std::vector<TranslationBatch>{bad, good} : std::vector<TranslationBatch>{good, bad};
      const auto text = rapt_test::error_text<rapt::ValueError>([&] { (void)trainer.step(batches); });
      EXPECT_EQ(text.find("[trainer] " + one.what +
                          " at step 3: the learning rate may be too high (0.01). NaN or infinity came up first: " +
                          one.where),
                0u)
          << text;
      EXPECT_EQ(everything(trainer), before);
      EXPECT_EQ(trainer.state().dropout, state.dropout);
      EXPECT_FALSE(rapt::is_recording());
      EXPECT_FALSE(rapt::detail::checks_finite());
      rapt::for_each_parameter(
          model, [](const std::string& name, const auto& parameter) { EXPECT_TRUE(parameter.grad().empty()) << name; });
      // A good step is the one that it would have been.
      EXPECT_EQ(trainer.step(good), twin_trainer.step(good));
      EXPECT_EQ(everything(trainer), everything(twin_trainer));
      EXPECT_EQ(trainer.state().dropout, twin_trainer.state().dropout);
    }
  }
}

/// The numbers of two runs in double on one process, as they were when a step had no micro-batches and no other
/// processes: streams of dropout, weights of batches, clipping and the order of batches are in them.
TEST(TrainerGolden, OneProcessTrainsAsItAlwaysDid) {
  struct Run {
    Index accumulate;
    std::vector<double> losses, norms;
    double squares;  // of the parameters in the end, added up
    rapt::BatchPosition position;
  };
  const Run runs[] = {
      {1,
       {2.54791236780923, 2.62224080846987, 2.22845946785031, 2.12058092623843, 2.21500982630995, 2.05919119585561},
       {1.84301703649807, 1.71774335963411, 1.32676729797521, 1.13049014466458, 1.38427211574542, 0.947508829267679},
       301.833029260085,
       {0, 6}},
      {3,
       {2.68666521164544, 2.35151798693394, 2.19464429255583, 1.99635670138497, 2.01776806896675, 1.90366275379719},
       {1.60898560230526, 1.09128331232592, 0.996683600046997, 0.651958573420576, 0.547789443090117, 0.461119403925689},
       302.02414384361,
       {1, 9}}};
  const auto pairs = reversals(60, 7, 1);
  for (const Run& run : runs) {
    SCOPED_TRACE(run.accumulate);
    auto model = small_transformer<double>(0.2f);
    BatchStream source(pairs, rapt::BatchOptions{.tokens = 40, .seed = 2});
    TrainerOptions options = constant_rate(0.01);
    options.label_smoothing = 0.1f;
    options.accumulate = run.accumulate;
    options.clip_norm = 0.5;
    options.seed = 3;
    Trainer trainer(model, options);
    std::vector<double> losses, norms;
    (void)trainer.run(
        source, {.steps = 6}, [] { return 0.0; },
        [&](const rapt::Progress& p) {
          losses.push_back(p.loss);
          norms.push_back(p.gradient_norm);
        });
    double squares = 0;
    for (const double x : numbers_of(model)) squares += x * x;
    EXPECT_TRUE(rapt_test::close(losses, run.losses, 1e-10));
    EXPECT_TRUE(rapt_test::close(norms, run.norms, 1e-10));
    EXPECT_NEAR(squares, run.squares, 1e-8);
    EXPECT_EQ(source.position(), run.position);
  }
}

TEST(TrainerNotFinite, AParameterThatIsWrongAlready) {
  const auto pairs = reversals(20, 7, 1);
  const TranslationBatch batch = rapt::make_batch(pairs);
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    auto model = small_transformer(0.1f);
    Trainer trainer(model, constant_rate(1e-2));
    (void)trainer.step(batch);
    std::string name;
    rapt::for_each_parameter(model, [&](const std::string& its_name, auto& parameter) {
      if (its_name != "decoder.layers.0.linear1.weight") return;
      name = its_name;
      parameter.mutable_value().data()[7] = value;
    });
    ASSERT_FALSE(name.empty());
    const auto state = trainer.state().dropout;
    const auto text = rapt_test::error_text<rapt::ValueError>([&] { (void)trainer.step(batch); });
    EXPECT_NE(text.find("at step 2"), std::string::npos) << text;
    EXPECT_NE(text.find("came up first: in the parameter '" + name + "'"), std::string::npos) << text;
    EXPECT_EQ(trainer.steps(), 1);
    EXPECT_EQ(trainer.state().dropout, state);
  }
}

// A caller that catches the error and saves, saves what was before: the position too.
TEST(TrainerNotFinite, ThePositionIsThatOfTheLastGoodStep) {
  const auto pairs = reversals(60, 7, 1);
  Bigram model;
  Trainer trainer(model, constant_rate(1e-2));
  BatchStream stream(pairs, {.tokens = 20});
  (void)trainer.run(stream, {.steps = 2}, kNoValidation, kNoReport);
  model.table.mutable_value().fill(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THROW((void)trainer.run(stream, {.steps = 3}, kNoValidation, kNoReport), rapt::ValueError);
  EXPECT_EQ(trainer.state().data, (rapt::BatchPosition{0, 2}));
  EXPECT_EQ(trainer.steps(), 2);
}

// State, parameters and moments are all there is: the second half alone gives what the whole run gives.
TEST(Trainer, GoesOnFromAState) {
  const auto pairs = reversals(200, 7, 1);
  const rapt::BatchOptions batches{.tokens = 40};
  TrainerOptions options = constant_rate(3e-3);
  options.accumulate = 2;
  auto whole = small_transformer(0.1f);
  Trainer whole_trainer(whole, options);
  BatchStream whole_stream(pairs, batches);
  (void)whole_trainer.run(
      whole_stream, {.steps = 12, .validate_every = 100, .keep_best = false}, [] { return 3.0; }, kNoReport);
  auto half = whole;
  const rapt::TrainerState state = whole_trainer.state();
  EXPECT_EQ(state.best_validation, 3);
  EXPECT_EQ(state.best_step, 12);
  Trainer half_trainer(half, options);
  std::vector<rapt::Tensor<float>> moments;
  rapt_test::for_each_moments(whole_trainer.adam(), [&](const std::string&, const auto& m, const auto& v) {
    moments.push_back(m);
    moments.push_back(v);
  });
  std::size_t at = 0;
  rapt_test::for_each_moments(half_trainer.adam(), [&](const std::string&, auto& m, auto& v) {
    m = moments[at++];
    v = moments[at++];
  });
  half_trainer.adam().set_steps(12);
  half_trainer.restore(state);
  BatchStream half_stream(pairs, batches);
  half_stream.seek(state.data);
  (void)whole_trainer.run(whole_stream, {.steps = 24}, kNoValidation, kNoReport);
  (void)half_trainer.run(half_stream, {.steps = 24}, kNoValidation, kNoReport);
  EXPECT_EQ(numbers_of(half), numbers_of(whole));
  EXPECT_EQ(half_trainer.state().dropout, whole_trainer.state().dropout);
  EXPECT_EQ(half_trainer.state().data, whole_trainer.state().data);
  EXPECT_EQ(half_trainer.state().best_validation, 3);
}

// Other optimizers ----------------------------------------------------------------------------------------------------

TEST(Trainer, TakesAnyOptimizer) {
  const auto pairs = reversals(10, 7, 1);
  const TranslationBatch batch = rapt::make_batch(pairs);
  Bigram ours, plain;
  TrainerOptions options = constant_rate(0.5);
  options.clip_norm = 0.01;
  Trainer trainer(ours, options, rapt::Sgd(ours, {.momentum = 0.9, .nesterov = true}));
  static_assert(std::is_same_v<decltype(trainer), Trainer<Bigram, rapt::Sgd<double>>>);
  rapt::Sgd sgd(plain, {.momentum = 0.9, .nesterov = true});
  for (int step = 0; step < 3; ++step) {
    {
      const rapt::Recording scope;
      rapt::backward(plain.loss(batch));
    }
    sgd.step(0.5, rapt::clip_factor(rapt::gradient_norm(plain), 0.01));
    std::ignore = trainer.step(batch);
    EXPECT_EQ(numbers_of(ours), numbers_of(plain)) << step;
  }
  EXPECT_EQ(trainer.steps(), 3);
  EXPECT_EQ(trainer.optimizer().steps(), 3);
}

TEST(Trainer, LearnsWithLion) {
  const auto pairs = reversals(1000, 3, 1);
  auto model = small_transformer(0.f, 32);
  TrainerOptions options = constant_rate(1e-3);
  options.clip_norm = 1.0;
  Trainer trainer(model, options, rapt::Lion(model));
  BatchStream stream(pairs, {.tokens = 300});
  const TrainingSummary summary = trainer.run(stream, {.steps = 200}, kNoValidation, kNoReport);
  EXPECT_LT(summary.last_loss, 0.7);  // 2.08 for one who knows nothing
}

TEST(Trainer, RefusesTheOptimizerOfAnotherModel) {
  auto model = small_transformer(0.f), other = small_transformer(0.f);
  const auto text = rapt_test::error_text<rapt::ValueError>([&] { Trainer(model, {}, rapt::Sgd(other)); });
  EXPECT_NE(text.find("[trainer] the optimizer sgd was not made for this model"), std::string::npos) << text;
  EXPECT_NE(text.find("'embedding.weight'"), std::string::npos) << text;
}

// Freezing ------------------------------------------------------------------------------------------------------------

/// Weight decay, clipping, accumulation, an average: the encoder stays bit for bit, the rest learns.
TEST(Trainer, TrainsAroundAFrozenEncoder) {
  const auto pairs = reversals(500, 5, 1);
  rapt_test::expect_same_bits_on_any_threads([&] {
    auto model = small_transformer(0.1f, 16);
    const Index frozen = rapt::freeze(model, "encoder.*");
    EXPECT_GT(frozen, 10);
    const auto before = model;
    Trainer trainer(model, {.learning_rate = [](Index) { return 5e-3; },
                            .adam = {.weight_decay = 0.1},
                            .accumulate = 2,
                            .clip_norm = 0.5,
                            .average_decay = 0.9,
                            .seed = 3});
    BatchStream stream(pairs, {.tokens = 150});
    std::vector<double> losses;
    Index validations = 0;
    (void)trainer.run(
        stream, {.steps = 40, .validate_every = 20}, [&] { return static_cast<double>(++validations == 1); },
        [&](const rapt::Progress& progress) { losses.push_back(progress.loss); });
    EXPECT_LT(losses.back(), 0.9 * losses.front());
    auto averaged = model;
    trainer.average()->assign_to(averaged);
    std::map<std::string, const rapt::Parameter<float>*> initial, averages;
    rapt::for_each_parameter(before, [&](const std::string& name, const auto& p) { initial[name] = &p; });
    rapt::for_each_parameter(averaged, [&](const std::string& name, const auto& p) { averages[name] = &p; });
    rapt::for_each_parameter(model, [&](const std::string& name, const auto& p) {
      const bool is_encoder = name.starts_with("encoder.");
      EXPECT_EQ(p.is_frozen(), is_encoder) << name;
      EXPECT_TRUE(p.grad().empty()) << name;
      EXPECT_EQ(rapt_test::same_bits(p.value(), initial.at(name)->value()), is_encoder) << name;
      EXPECT_EQ(rapt_test::same_bits(averages.at(name)->value(), initial.at(name)->value()), is_encoder) << name;
    });
    Index without_state = 0;
    for (const auto& slot : trainer.optimizer().slots()) without_state += slot.state.empty() ? 1 : 0;
    EXPECT_EQ(without_state, frozen) << "what is frozen takes no memory in the optimizer";
    return losses;
  });
}

TEST(MeanLoss, IsTheMeanOverAllTargetTokens) {
  const auto pairs = reversals(60, 7, 1);
  const auto model = small_transformer<double>(0.5f);  // dropout must be off
  double sum = 0, tokens = 0;
  for (const TokenPair& pair : pairs) {
    const TranslationBatch batch = rapt::make_batch({&pair, 1});
    const auto logits = model(batch.source, batch.target_input);
    for (std::size_t i = 0; i < batch.target_output.size(); ++i, ++tokens) {
      const double* row = logits.value().row(static_cast<Index>(i));
      double total = 0;
      for (Index j = 0; j < kVocabulary; ++j) total += std::exp(row[j]);
      sum += std::log(total) - row[batch.target_output[i]];
    }
  }
  for (const Index limit : {10, 64, 10000}) {
    EXPECT_NEAR(rapt::mean_loss(model, pairs, {.tokens = limit}), sum / tokens, 1e-9) << limit;
  }
}

TEST(MeanLoss, LeavesNoGradientsEvenWithinTraining) {
  const auto pairs = reversals(30, 7, 1);
  const auto model = small_transformer(0.5f);
  const double outside = rapt::mean_loss(model, pairs, {.tokens = 50});
  rapt::Rng rng(1);
  {
    const rapt::Training scope(rng);
    EXPECT_EQ(rapt::mean_loss(model, pairs, {.tokens = 50}), outside);
    EXPECT_TRUE(rapt::is_recording());
  }
  EXPECT_EQ(rng.state(), rapt::Rng(1).state());  // nothing was drawn
  rapt::for_each_parameter(
      model, [](const std::string& name, const auto& parameter) { EXPECT_TRUE(parameter.grad().empty()) << name; });
}

}  // namespace
