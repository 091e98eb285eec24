/// \file
/// Training over processes (threads in their place): any number of them gives the same losses, norms, weights and
/// checkpoints, bit for bit; all of them stop together and say the same.
// covers: train/step_exchange.hpp, train/training_communicator.hpp
#include "rapt/train/processes.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/data/windows.hpp"
#include "rapt/distributed/local_communicator.hpp"
#include "rapt/images/batches.hpp"
#include "rapt/models/gpt.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/models/vit.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/optim/layer_decay.hpp"
#include "rapt/optim/lion.hpp"
#include "rapt/optim/sgd.hpp"
#include "rapt/train/checkpoint.hpp"
#include "rapt/train/trainer.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::BatchPosition;
using rapt::Communicator;
using rapt::GradientExchange;
using rapt::Index;
using rapt::Shape;
using rapt::StopReason;
using rapt::Tensor;
using rapt::TokenId;
using rapt::Trainer;
using rapt::TrainerOptions;
using rapt::TrainingPlan;
using rapt_test::error_text;

constexpr rapt::LocalOptions kLocal{.timeout_seconds = 120};
constexpr Index kMicroBatches = 8;

TrainerOptions base_options() {
  return {.learning_rate = rapt::InverseSquareRootSchedule{.peak = 5e-3, .warmup = 3}, .micro_batches = kMicroBatches};
}

/// Everything that must not depend on the number of processes.
struct Outcome {
  std::vector<double> reports;  // loss, norm and learning rate of each step
  std::vector<double> numbers;  // of the model and its average
  rapt::TrainerState state;
  BatchPosition source;
  friend bool operator==(const Outcome& a, const Outcome& b) {
    return a.reports == b.reports && a.numbers == b.numbers && a.state.data == b.state.data &&
           a.state.dropout == b.state.dropout && a.source == b.source;
  }
};

template <class M, class O>
std::vector<double> numbers_of(Trainer<M, O>& trainer) {
  std::vector<double> numbers;
  const auto add = [&](const auto& tensor) {
    numbers.insert(numbers.end(), tensor.values().begin(), tensor.values().end());
  };
  rapt::for_each_parameter(trainer.model(), [&](const std::string&, const auto& p) { add(p.value()); });
  if (trainer.average()) trainer.average()->for_each_state([&](const std::string&, const auto& a) { add(a); });
  return numbers;
}

/// A kind of training: a model with its data.
template <class MakeModel, class MakeSource>
struct Task {
  MakeModel make_model;
  MakeSource make_source;  // a unique_ptr of a source at its beginning

  /// Trains on so many processes and expects all of them to come to the same. One process has no communicator.
  Outcome train(Index processes, TrainerOptions options, Index steps) const {
    std::vector<Outcome> outcomes(rapt::to_size(processes));
    const auto train_one = [&](Communicator* communicator) {
      TrainerOptions own = options;
      own.communicator = communicator;
      auto model = make_model();
      auto source = make_source();
      Trainer trainer(model, own);
      Outcome& outcome = rapt::at(outcomes, communicator == nullptr ? 0 : communicator->rank());
      (void)trainer.run(
          *source, {.steps = steps}, [] { return 0.0; },
          [&](const rapt::Progress& p) {
            for (const double x : {p.loss, p.gradient_norm, p.learning_rate}) outcome.reports.push_back(x);
          });
      outcome.numbers = numbers_of(trainer);
      outcome.state = trainer.state();
      outcome.source = source->position();
    };
    if (processes == 1) {
      train_one(nullptr);
    } else {
      rapt::run_local(
          processes, [&](Communicator& communicator) { train_one(&communicator); }, kLocal);
    }
    for (std::size_t p = 1; p < outcomes.size(); ++p) EXPECT_TRUE(outcomes[p] == outcomes[0]) << "rank " << p;
    return outcomes[0];
  }

  /// The options, on processes of one and two threads, against one process of one thread.
  void expect_same_bits(const std::string& what, const TrainerOptions& options, Index steps = 4,
                        std::vector<Index> processes = {1, 2, 3, 4, 8}) const {
    SCOPED_TRACE(what);
    const Index threads = rapt::threads();
    rapt::set_threads(1);
    const Outcome one = train(1, options, steps);
    for (const double x : one.reports) ASSERT_TRUE(std::isfinite(x));
    ASSERT_EQ(std::ssize(one.reports), 3 * steps);
    for (const Index count : {1, 2}) {
      rapt::set_threads(count);
      for (const Index p : processes) {
        EXPECT_TRUE(train(p, options, steps) == one) << p << " processes of " << count << " threads";
      }
    }
    rapt::set_threads(threads);
  }
};
template <class MakeModel, class MakeSource>
Task(MakeModel, MakeSource) -> Task<MakeModel, MakeSource>;

/// Sentences of 1 to 9 words.
std::vector<rapt::TokenPair> sentences(Index count) {
  rapt::Rng rng(5);
  std::vector<rapt::TokenPair> pairs(rapt::to_size(count));
  for (auto& [source, target] : pairs) {
    for (Index n = 1 + rng.below(9); n > 0; --n) source.push_back(static_cast<TokenId>(3 + rng.below(20)));
    target.assign(source.rbegin(), source.rend());
  }
  return pairs;
}

auto translation(float dropout = 0.1f, const char* frozen = nullptr) {
  static const std::vector<rapt::TokenPair> pairs = sentences(150);
  return Task{[=] {
                rapt::Rng rng(1);
                rapt::Transformer<float> model({.source_vocabulary = 23,
                                                .target_vocabulary = 23,
                                                .d_model = 64,
                                                .heads = 2,
                                                .d_ff = 600,  // matrices of more than one part of a kernel
                                                .encoder_layers = 1,
                                                .decoder_layers = 1,
                                                .dropout = dropout,
                                                .attention_dropout = dropout,
                                                .activation_dropout = dropout},
                                               rng);
                if (frozen != nullptr) rapt::freeze(model, frozen);
                return model;
              },
              [] { return std::make_unique<rapt::BatchStream>(pairs, rapt::BatchOptions{.tokens = 30, .seed = 2}); }};
}

TEST(Processes, ATransformerWithDropoutComesOutTheSame) { translation().expect_same_bits("dropout", base_options()); }

TEST(Processes, OptionsOfTheStep) {
  const auto task = translation();
  const std::vector<Index> some{1, 3, 4};
  const auto check = [&](const std::string& what, const auto& change) {
    TrainerOptions options = base_options();
    options.clip_norm = 0.5;
    change(options);
    task.expect_same_bits(what, options, 3, some);
  };
  check("clipping", [](TrainerOptions&) {});
  check("sharded", [](TrainerOptions& o) { o.shard_optimizer = true; });
  check("two batches in a micro-batch, small buckets", [](TrainerOptions& o) {
    o.accumulate = 2;
    o.bucket_bytes = 10'000;
  });
  check("sharded, small buckets", [](TrainerOptions& o) {
    o.shard_optimizer = true;
    o.bucket_bytes = 30'000;
  });
  check("small buckets after backward", [](TrainerOptions& o) {
    o.overlap_exchange = false;
    o.bucket_bytes = 10'000;
  });
  check("bfloat16", [](TrainerOptions& o) { o.gradient_exchange = GradientExchange::bfloat16; });
  check("bfloat16, small buckets", [](TrainerOptions& o) {
    o.gradient_exchange = GradientExchange::bfloat16;
    o.bucket_bytes = 20'000;
  });
  check("bfloat16, sharded, moving average, recomputation", [](TrainerOptions& o) {
    o.gradient_exchange = GradientExchange::bfloat16;
    o.shard_optimizer = true;
    o.average_decay = 0.9;
    o.recompute = true;
    o.bucket_bytes = 50'000;
  });
}

TEST(Processes, FrozenParameters) {
  const auto task = translation(0.1f, "encoder.*");
  TrainerOptions options = base_options();
  task.expect_same_bits("frozen encoder", options, 3, {1, 4});
  options.shard_optimizer = true;
  task.expect_same_bits("frozen encoder, sharded", options, 3, {1, 4});
}

TEST(Processes, OptionsMatter) {  // else the tests above would say nothing
  const auto task = translation();
  const Outcome plain = task.train(1, base_options(), 3);
  const auto differs = [&](const auto& change) {
    TrainerOptions options = base_options();
    change(options);
    return task.train(1, options, 3).numbers != plain.numbers;
  };
  EXPECT_FALSE(differs([](TrainerOptions&) {}));
  EXPECT_TRUE(differs([](TrainerOptions& o) { o.seed = 2; }));
  EXPECT_TRUE(differs([](TrainerOptions& o) { o.gradient_exchange = GradientExchange::bfloat16; }));
  EXPECT_TRUE(differs([](TrainerOptions& o) { o.micro_batches = 4; }));
  EXPECT_TRUE(differs([](TrainerOptions& o) { o.clip_norm = 0.5; }));
}

TEST(Processes, AGptComesOutTheSame) {
  static const std::vector<TokenId> text = [] {
    rapt::Rng rng(3);
    std::vector<TokenId> tokens(500);
    for (TokenId& token : tokens) token = static_cast<TokenId>(rng.below(11));
    return tokens;
  }();
  const Task task{[] {
                    rapt::Rng rng(1);
                    return rapt::Gpt<float>({.vocabulary = 11, .positions = 12, .d_model = 32, .layers = 2, .heads = 2},
                                            rng);
                  },
                  [] {
                    return std::make_unique<rapt::RandomBatches<rapt::LanguageBatch>>(
                        rapt::random_window_batches(text, {.windows = 2, .length = 12}));
                  }};
  TrainerOptions options = base_options();
  options.shard_optimizer = true;
  task.expect_same_bits("gpt", options);
}

TEST(Processes, AVitComesOutTheSame) {
  static const rapt::ImageDataset images = [] {
    std::vector<std::uint8_t> bytes(50 * 64);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(37 * i + i / 64);
    std::vector<TokenId> labels(50);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<TokenId>(i % 3);
    return rapt::ImageDataset(rapt::ImageShape{1, 8, 8}, std::move(bytes), std::move(labels), 3);
  }();
  const Task task{[] {
                    rapt::Rng rng(1);
                    rapt::VitConfig config{.d_model = 32, .layers = 1, .heads = 2, .d_ff = 64, .dropout = 0.1f};
                    config.grid = {.image = {1, 8, 8}, .patch_height = 4, .patch_width = 4};
                    config.labels = {"a", "b", "c"};
                    return rapt::Vit<float>(config, rng);
                  },
                  [] {
                    return std::make_unique<rapt::ImageBatches<float>>(
                        images, rapt::ImageBatchOptions{.batch_size = 4, .augmentation = {.flip = 0.5}});
                  }};
  task.expect_same_bits("vit", base_options());
}

/// Batches of a list, over and over.
struct ListSource {
  using Batch = rapt::LanguageBatch;
  explicit ListSource(const std::vector<Batch>& batches) : batches_(&batches) {}
  [[nodiscard]] const Batch& next() {
    if (at_.batch == batches_per_epoch()) at_ = {at_.epoch + 1, 0};
    return rapt::at(*batches_, at_.batch++);
  }
  [[nodiscard]] BatchPosition position() const { return at_; }
  void seek(BatchPosition position) { at_ = position; }
  [[nodiscard]] Index batches_per_epoch() const { return std::ssize(*batches_); }

 private:
  const std::vector<Batch>* batches_;
  BatchPosition at_;
};
static_assert(rapt::BatchSource<ListSource>);

constexpr Index kWords = 200;

/// The logits of the next token, in one table for batches that begin with an even token and in another for others. A
/// batch that begins with `bad` gives gradients that are not finite, one that begins with `bad_loss` such a loss.
template <class T>
struct Tables {
  using ScalarType = T;
  rapt::Parameter<T> even{Tensor<T>(Shape{kWords, kWords}, T(0))};
  rapt::Parameter<T> odd{Tensor<T>(Shape{kWords, kWords}, T(0))};
  rapt::Parameter<T> unused{Tensor<T>(Shape{10}, T(1))};
  TokenId bad = -1, bad_loss = -1;

  [[nodiscard]] rapt::Variable<T> loss(const rapt::LanguageBatch& batch,
                                       const rapt::CrossEntropyOptions& options) const {
    const TokenId first = batch.input.tokens.front();
    const rapt::Variable<T> right = rapt::cross_entropy<T>(
        rapt::gather_rows<T>(first % 2 == 0 ? even : odd, batch.input.tokens), batch.targets, options);
    if (first != bad && first != bad_loss) return right;
    const T nan = std::numeric_limits<T>::quiet_NaN();
    const Tensor<T> value = first == bad ? right.value() : Tensor<T>(right.value().shape(), nan);
    return rapt::record("wrong", Tensor<T>(value), {right}, [](rapt::Node<T>& out) {
      out.input(0).grad_sum().data()[0] += std::numeric_limits<T>::infinity();
    });
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("even", self.even);
    visitor("odd", self.odd);
    visitor("unused", self.unused);
  }
};

/// Batches of 0 to 7 targets; their first tokens are mostly even.
std::vector<rapt::LanguageBatch> uneven_batches() {
  rapt::Rng rng(8);
  std::vector<rapt::LanguageBatch> batches;
  for (int i = 0; i < 37; ++i) {
    rapt::LanguageBatch batch;
    std::vector<TokenId> input;
    for (Index n = i % 5 == 2 ? 0 : 1 + rng.below(7); n > 0; --n) {
      input.push_back(static_cast<TokenId>(input.empty() ? 2 * rng.below(80) + (i % 6 == 0) : rng.below(kWords)));
      batch.targets.push_back(static_cast<TokenId>(rng.below(kWords)));
    }
    if (!input.empty()) batch.input.push_back(input);
    batches.push_back(batch);
  }
  return batches;
}

TEST(Processes, UnevenTargetsAndParametersWithoutGradient) {
  static const auto batches = uneven_batches();
  const Task task{[] { return Tables<float>(); }, [] { return std::make_unique<ListSource>(batches); }};
  TrainerOptions options = base_options();
  task.expect_same_bits("tables", options, 9);
  options.shard_optimizer = true;
  task.expect_same_bits("sharded", options, 9);
  options.gradient_exchange = GradientExchange::bfloat16;
  options.bucket_bytes = 3000;
  task.expect_same_bits("sharded, bfloat16", options, 9, {1, 4});
  const Task in_double{[] { return Tables<double>(); }, [] { return std::make_unique<ListSource>(batches); }};
  options.gradient_exchange = GradientExchange::float32;
  in_double.expect_same_bits("double", options, 4, {1, 3, 8});
}

TEST(Processes, AStepOfMicroBatchesIsTheStepOverAllOfThem) {
  static const auto batches = uneven_batches();
  const Task task{[] { return Tables<double>(); }, [] { return std::make_unique<ListSource>(batches); }};
  TrainerOptions options = base_options();
  const Outcome tree = task.train(2, options, 5);
  options.micro_batches = 1;
  options.accumulate = kMicroBatches;
  const Outcome plain = task.train(1, options, 5);
  EXPECT_TRUE(rapt_test::close(tree.reports, plain.reports, 1e-12));
  EXPECT_TRUE(rapt_test::close(tree.numbers, plain.numbers, 1e-9));
  EXPECT_EQ(tree.source, plain.source);
}

TEST(Processes, TheLearningRateOfRankZeroCounts) {
  const auto task = translation();
  for (const bool is_sharded : {false, true}) {
    TrainerOptions options = base_options();
    options.shard_optimizer = is_sharded;
    const auto rate = [](Index step, Index rank) { return 0.01 / static_cast<double>(step + 3 * rank); };
    options.learning_rate = [rate](Index step) { return rate(step, 0); };
    const Outcome expected = task.train(1, options, 3);
    rapt::run_local(
        3,
        [&](Communicator& communicator) {
          TrainerOptions own = options;
          own.communicator = &communicator;
          own.learning_rate = [&](Index step) { return rate(step, communicator.rank()); };
          auto model = task.make_model();
          auto source = task.make_source();
          Trainer trainer(model, own);
          std::vector<double> reports;
          (void)trainer.run(
              *source, {.steps = 3}, [] { return 0.0; },
              [&](const rapt::Progress& p) {
                for (const double x : {p.loss, p.gradient_norm, p.learning_rate}) reports.push_back(x);
              });
          EXPECT_EQ(reports, expected.reports) << communicator.rank();
          EXPECT_EQ(numbers_of(trainer), expected.numbers) << communicator.rank();
        },
        kLocal);
  }
}

template <class MakeOptimizer>
void expect_same_with(const MakeOptimizer& make_optimizer) {
  const auto task = translation();
  std::vector<double> expected;
  for (const Index processes : {1, 4}) {
    std::mutex mutex;
    rapt::run_local(
        processes,
        [&](Communicator& communicator) {
          auto model = task.make_model();
          auto source = task.make_source();
          TrainerOptions options = base_options();
          options.communicator = &communicator;
          options.shard_optimizer = true;
          Trainer trainer(model, options, make_optimizer(model));
          (void)trainer.run(
              *source, {.steps = 3}, [] { return 0.0; }, [](const rapt::Progress&) {});
          const std::lock_guard lock(mutex);
          if (expected.empty()) expected = numbers_of(trainer);
          EXPECT_EQ(numbers_of(trainer), expected) << processes;
        },
        kLocal);
  }
}

TEST(Processes, AnyOptimizerCanBeSharded) {
  expect_same_with([](auto& model) { return rapt::Lion(model, {.weight_decay = 0.1}); });
  expect_same_with([](auto& model) { return rapt::Sgd(model, {.momentum = 0.9}); });
  expect_same_with([](auto& model) { return rapt::Adam(model, {.weight_decay = 0.1, .amsgrad = true}); });
}

TEST(Processes, ShardedStateIsDividedByTheNumberOfProcesses) {
  const auto task = translation();
  const auto model = task.make_model();
  const Index all = 2 * rapt::count_parameters(model);
  for (const Index processes : {1, 2, 4}) {
    std::atomic<Index> together = 0;
    rapt::run_local(
        processes,
        [&](Communicator& communicator) {
          auto own = task.make_model();
          auto source = task.make_source();
          TrainerOptions options = base_options();
          options.communicator = &communicator;
          options.shard_optimizer = true;
          Trainer trainer(own, options);
          (void)trainer.run(
              *source, {.steps = 1}, [] { return 0.0; }, [](const rapt::Progress&) {});
          Index elements = 0;
          for (const auto& slot : trainer.adam().slots()) {
            for (const auto& state : slot.state) elements += state.size();
          }
          EXPECT_LE(elements, all / processes + 2 * rapt::kernels::kElementGrain);
          together += elements;
        },
        kLocal);
    EXPECT_EQ(together, all);
  }
}

// Checkpoints ---------------------------------------------------------------------------------------------------------

class ProcessesCheckpoint : public testing::Test {
 protected:
  ProcessesCheckpoint() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / ("rapt_processes_" + std::string(info->name()) + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~ProcessesCheckpoint() override { fs::remove_all(folder_); }

  /// Trains from a checkpoint, if one is named, to `steps`; saves one, if one is named. Returns the model's numbers.
  std::vector<double> train(Index processes, bool is_sharded, const fs::path& from, Index steps, const fs::path& to) {
    const auto task = translation();
    std::vector<double> numbers;
    rapt::run_local(
        processes,
        [&](Communicator& communicator) {
          auto model = task.make_model();
          auto source = task.make_source();
          TrainerOptions options = base_options();
          options.communicator = &communicator;
          options.shard_optimizer = is_sharded;
          options.average_decay = 0.9;
          Trainer trainer(model, options);
          if (!from.empty()) rapt::load_checkpoint(from, trainer, *source);
          (void)trainer.run(
              *source, {.steps = steps}, [] { return 0.0; }, [](const rapt::Progress&) {});
          if (!to.empty()) rapt::save_checkpoint(to, trainer);
          if (communicator.rank() == 0) numbers = numbers_of(trainer);
        },
        kLocal);
    return numbers;
  }
  static std::string bytes_of(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  fs::path folder_;
};

TEST_F(ProcessesCheckpoint, AreTheSameFileAndGoOnOnAnyNumber) {
  const std::vector<double> whole = train(1, false, {}, 6, folder_ / "whole");
  const fs::path middle = folder_ / "middle";
  (void)train(1, false, {}, 3, middle);
  const std::string bytes = bytes_of(middle);
  ASSERT_FALSE(bytes.empty());
  for (const bool is_sharded : {false, true}) {
    const fs::path path = folder_ / (is_sharded ? "sharded" : "plain");
    (void)train(4, is_sharded, {}, 3, path);
    EXPECT_TRUE(bytes_of(path) == bytes);
    for (const Index processes : {1, 2, 3}) {
      EXPECT_TRUE(train(processes, !is_sharded, path, 6, folder_ / "end") == whole) << processes;
      EXPECT_TRUE(bytes_of(folder_ / "end") == bytes_of(folder_ / "whole"));
    }
    EXPECT_TRUE(train(2, is_sharded, path, 6, {}) == whole);
  }
}

TEST_F(ProcessesCheckpoint, BeforeTheFirstStep) {
  (void)train(1, false, {}, 1, folder_ / "whole");
  const auto task = translation();
  rapt::run_local(
      3,
      [&](Communicator& communicator) {
        auto model = task.make_model();
        TrainerOptions options = base_options();
        options.communicator = &communicator;
        options.shard_optimizer = true;
        options.average_decay = 0.9;
        Trainer trainer(model, options);
        rapt::save_checkpoint(folder_ / "start", trainer);
      },
      kLocal);
  (void)train(2, true, folder_ / "start", 1, folder_ / "end");
  EXPECT_TRUE(bytes_of(folder_ / "end") == bytes_of(folder_ / "whole"));
}

// The loop ------------------------------------------------------------------------------------------------------------

/// Runs the loop on three processes and expects all to end alike; report(rank, step) is called after each step.
rapt::TrainingSummary run_on_three(
    const TrainingPlan& plan, const std::function<double(Index)>& validate,
    const std::function<void(Index, Index)>& report = [](Index, Index) {}) {
  const auto task = translation(0.f);
  std::vector<rapt::TrainingSummary> summaries(3);
  std::vector<Index> saves(3);
  rapt::run_local(
      3,
      [&](Communicator& communicator) {
        auto model = task.make_model();
        auto source = task.make_source();
        TrainerOptions options = base_options();
        options.communicator = &communicator;
        Trainer trainer(model, options);
        const Index rank = communicator.rank();
        rapt::at(summaries, rank) = trainer.run(
            *source, plan, [&] { return validate(rank); }, [&](const rapt::Progress& p) { report(rank, p.step); },
            [&] { rapt::at(saves, rank) += trainer.steps(); });
        EXPECT_EQ(trainer.state().data, source->position());
      },
      kLocal);
  for (std::size_t p = 1; p < 3; ++p) {
    EXPECT_EQ(summaries[p].steps, summaries[0].steps);
    EXPECT_EQ(summaries[p].reason, summaries[0].reason);
    EXPECT_EQ(summaries[p].best_step, summaries[0].best_step);
    EXPECT_EQ(summaries[p].best_validation, summaries[0].best_validation);
    EXPECT_EQ(saves[p], saves[0]);
  }
  return summaries[0];
}

TEST(ProcessesLoop, TheValidationOfRankZeroCounts) {
  std::atomic<int> calls = 0;  // of rank 0
  const auto summary = run_on_three({.steps = 6, .validate_every = 2}, [&](Index rank) {
    if (rank != 0) return -100.0;
    return ++calls == 2 ? 1.5 : 4.0;
  });
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(summary.best_step, 4);
  EXPECT_EQ(summary.best_validation, 1.5);
}

TEST(ProcessesLoop, PatienceEpochsAndTimeEndAll) {
  const auto summary =
      run_on_three({.steps = 50, .validate_every = 1, .patience = 2}, [](Index rank) { return rank == 0 ? 1.0 : 0.0; });
  EXPECT_EQ(summary.reason, StopReason::patience);
  EXPECT_EQ(summary.steps, 3);
  const auto zero = [](Index) { return 0.0; };
  EXPECT_EQ(run_on_three({.epochs = 2}, zero).reason, StopReason::epochs);
  const auto timed = run_on_three({.seconds = 1e-9}, zero);
  EXPECT_EQ(timed.reason, StopReason::seconds);
  EXPECT_EQ(timed.steps, 1);
}

TEST(ProcessesLoop, AStopOnOneEndsAllAfterTheSameStepAndSaves) {
  std::atomic<bool> stop[3] = {false, false, false};
  const auto task = translation(0.f);
  std::atomic<Index> saves = 0;
  rapt::run_local(
      3,
      [&](Communicator& communicator) {
        auto model = task.make_model();
        auto source = task.make_source();
        TrainerOptions options = base_options();
        options.communicator = &communicator;
        Trainer trainer(model, options);
        const auto rank = rapt::to_size(communicator.rank());
        const auto summary = trainer.run(
            *source, {.steps = 20, .stop = &stop[rank]}, [] { return 0.0; },
            [&](const rapt::Progress& p) { stop[rank] = rank == 2 && p.step == 4; },
            [&] {
              EXPECT_EQ(trainer.steps(), 5);
              ++saves;
            });
        EXPECT_EQ(summary.reason, StopReason::request);
        EXPECT_EQ(summary.steps, 5);
        EXPECT_EQ(source->position(), trainer.state().data);
      },
      kLocal);
  EXPECT_EQ(saves, 3);
}

TEST(ProcessesLoop, SpeedIsThatOfAllTogether) {
  const auto batches = uneven_batches();
  Index items = 0;
  for (std::size_t i = 0; i < 2 * kMicroBatches; ++i) items += batches[i].item_count();
  for (const Index processes : {1, 2}) {
    rapt::run_local(
        processes,
        [&](Communicator& communicator) {
          Tables<float> model;
          ListSource source(batches);
          TrainerOptions options = base_options();
          options.communicator = &communicator;
          Trainer trainer(model, options);
          rapt::Progress last;
          (void)trainer.run(
              source, {.steps = 2}, [] { return 0.0; }, [&](const rapt::Progress& p) { last = p; });
          EXPECT_NEAR(last.items_per_second * last.seconds, static_cast<double>(items), 1e-6);
        },
        kLocal);
  }
}

// What goes wrong -----------------------------------------------------------------------------------------------------

/// What f(communicator) throws on each of so many processes.
std::vector<std::string> errors_on(Index processes, const std::function<void(Communicator&)>& f) {
  std::vector<std::string> texts(rapt::to_size(processes));
  rapt::run_local(
      processes,
      [&](Communicator& communicator) {
        rapt::at(texts, communicator.rank()) = error_text<rapt::ValueError>([&] { f(communicator); });
      },
      kLocal);
  return texts;
}

/// The second step fails in this micro-batch, with a loss or gradients that are not finite: all processes must say so,
/// with the same words, and stay as they were before the step.
void expect_all_name(Index micro_batch, bool is_loss, const std::string& what, const std::string& where) {
  const auto batches = [&] {
    auto list = uneven_batches();
    rapt::at(list, kMicroBatches + micro_batch).input.tokens.at(0) = 199;
    return list;
  }();
  for (const Index processes : {1, 2, 3, 8}) {
    SCOPED_TRACE(testing::Message() << what << " in micro-batch " << micro_batch << ", " << processes << " processes");
    const auto texts = errors_on(processes, [&](Communicator& communicator) {
      Tables<float> model;
      (is_loss ? model.bad_loss : model.bad) = 199;
      ListSource source(batches);
      TrainerOptions options = base_options();
      options.communicator = &communicator;
      Trainer trainer(model, options);
      try {
        (void)trainer.run(
            source, {.steps = 9}, [] { return 0.0; }, [](const rapt::Progress&) {});
      } catch (...) {
        EXPECT_EQ(trainer.steps(), 1);
        EXPECT_EQ(trainer.state().data, (BatchPosition{0, 8}));
        rapt::for_each_parameter(model, [](const std::string&, const auto& p) { EXPECT_TRUE(p.grad().empty()); });
        throw;
      }
    });
    const Index rank = micro_batch / (kMicroBatches / (processes == 3 ? 2 : processes));
    const std::string place = (processes == 1 ? "" : "on rank " + std::to_string(rank) + ", ") + "in micro-batch " +
                              std::to_string(micro_batch) + ": ";
    for (const std::string& text : texts) {
      EXPECT_NE(text.find("[trainer] " + what + " at step 2"), std::string::npos) << text;
      EXPECT_NE(text.find("came up first: " + place + "[finite_check] " + where), std::string::npos) << text;
      EXPECT_EQ(text, texts[0]);
    }
  }
}

TEST(ProcessesNotFinite, AllNameRankAndMicroBatchOfGradients) {
  expect_all_name(3, false, "the gradients are not finite", "a gradient from the op 'wrong' has inf");
}

TEST(ProcessesNotFinite, AllNameRankAndMicroBatchOfALoss) {
  for (const Index micro_batch : {2, 3, 7}) {  // of two processes: before the last of a block, and the last of each
    expect_all_name(micro_batch, true, "the loss is not a number", "the value of 'wrong' has nan");
  }
}

TEST(ProcessesErrors, AFailedStepLeavesAllSourcesAtTheSamePosition) {
  const rapt::ImageDataset images(rapt::ImageShape{1, 4, 4}, std::vector<std::uint8_t>(200 * 16, 7),
                                  std::vector<TokenId>(200, 1), 3);
  for (const Index processes : {1, 2, 3, 4}) {
    const auto texts = errors_on(processes, [&](Communicator& communicator) {
      rapt::Rng rng(1);
      rapt::VitConfig config{.d_model = 8, .layers = 1, .heads = 2, .d_ff = 8};
      config.grid = {.image = {1, 4, 4}, .patch_height = 4, .patch_width = 4};
      config.labels = {"a", "b", "c"};
      rapt::Vit<float> model(config, rng);
      rapt::ImageBatches<float> source(images, {.batch_size = 1, .shuffle = false});
      TrainerOptions options = base_options();
      options.communicator = &communicator;
      options.learning_rate = [](Index step) { return step == 3 ? std::numeric_limits<double>::infinity() : 1e-3; };
      Trainer trainer(model, options);
      try {
        (void)trainer.run(
            source, {.steps = 9}, [] { return 0.0; }, [](const rapt::Progress&) {});
      } catch (...) {
        EXPECT_EQ(trainer.steps(), 2);
        EXPECT_EQ(source.position(), (BatchPosition{0, 3 * kMicroBatches})) << communicator.rank();
        EXPECT_EQ(source.next().numbers, std::vector<Index>{3 * kMicroBatches}) << communicator.rank();
        throw;
      }
    });
    for (const std::string& text : texts) {
      EXPECT_NE(text.find("learning rate inf"), std::string::npos) << text;
      EXPECT_EQ(text, texts[0]);
    }
  }
}

TEST(ProcessesErrors, AStepAfterAFailedOneIsThatOfAFreshRun) {
  const auto task = translation();
  const std::vector<double> fresh = task.train(1, base_options(), 4).numbers;
  for (const Index processes : {1, 2, 3}) {
    rapt::run_local(
        processes,
        [&](Communicator& communicator) {
          auto model = task.make_model();
          auto source = task.make_source();
          bool fails = true;
          TrainerOptions options = base_options();
          options.communicator = &communicator;
          options.bucket_bytes = 10'000;
          options.learning_rate = [&, rate = options.learning_rate](Index step) {
            return fails && step == 3 ? std::numeric_limits<double>::infinity() : rate(step);
          };
          Trainer trainer(model, options);
          const auto run = [&] {
            (void)trainer.run(
                *source, {.steps = 4}, [] { return 0.0; }, [](const rapt::Progress&) {});
          };
          rapt_test::expect_message<rapt::ValueError>(run, "learning rate inf");
          rapt::for_each_parameter(model, [](const std::string& name, const auto& parameter) {
            EXPECT_TRUE(parameter.grad().empty()) << name;
          });
          fails = false;
          source->seek(trainer.state().data);
          run();
          EXPECT_EQ(numbers_of(trainer), fresh) << processes;
        },
        kLocal);
  }
}

TEST(ProcessesErrors, AStepWithoutTargetsIsRefusedByAll) {
  static const std::vector<rapt::LanguageBatch> batches(8);
  for (const std::string& text : errors_on(3, [](Communicator& communicator) {
         Tables<float> model;
         ListSource source(batches);
         TrainerOptions options = base_options();
         options.communicator = &communicator;
         Trainer trainer(model, options);
         (void)trainer.run(
             source, {.steps = 9}, [] { return 0.0; }, [](const rapt::Progress&) {});
       })) {
    EXPECT_EQ(text, "[trainer] step 1 has nothing to learn: its 8 batches have 0 targets");
  }
}

/// A model that draws more random numbers than a micro-batch has.
struct Greedy : Tables<float> {
  [[nodiscard]] rapt::Variable<float> loss(const rapt::LanguageBatch& batch,
                                           const rapt::CrossEntropyOptions& options) const {
    for (int i = 0; i < (1 << 20) + 1; ++i) (void)rapt::next_dropout(0.5f);
    return Tables<float>::loss(batch, options);
  }
};

TEST(ProcessesErrors, AMicroBatchHasSoManyRandomNumbers) {
  const auto batches = uneven_batches();
  Greedy model;
  TrainerOptions options = base_options();
  options.micro_batches = 2;
  Trainer trainer(model, options);
  ListSource source(batches);
  rapt_test::expect_message<rapt::ValueError>(
      [&] {
        (void)trainer.run(
            source, {.steps = 1}, [] { return 0.0; }, [](const rapt::Progress&) {});
      },
      "micro-batch 0 of step 1 took 1048577 streams of random numbers, there are 1048576 for each");
}

/// A model that carries what it has seen.
struct Carrier : Tables<float> {
  [[nodiscard]] rapt::NamedTensors<float> carried() const { return {}; }
  void set_carried(const rapt::NamedTensors<float>&) {}
};
static_assert(rapt::CarriesTensors<Carrier>);

TEST(ProcessesErrors, OptionsThatDoNotFit) {
  const auto refused = [](const std::string& text, const TrainerOptions& options, auto model) {
    rapt_test::expect_message<rapt::ValueError>([&] { (void)Trainer(model, options); }, text);
  };
  refused("[trainer] micro_batches must be a power of two: 6", {.micro_batches = 6}, Tables<float>());
  refused("[trainer] bucket_bytes must be positive: 0", {.bucket_bytes = 0}, Tables<float>());
  refused("gradients are exchanged in bfloat16 for models in float alone",
          {.gradient_exchange = GradientExchange::bfloat16}, Tables<double>());
  refused(
      "a model that carries tensors from batch to batch has to see its batches one after the other, so that "
      "micro_batches must be 1: 4",
      {.micro_batches = 4}, Carrier());
  Carrier carrier;
  (void)Trainer(carrier, {.learning_rate = [](Index) { return 0.1; }});
  for (const std::string& text : errors_on(2, [](Communicator& communicator) {
         Tables<float> model;
         (void)Trainer(model, {.communicator = &communicator});
       })) {
    EXPECT_EQ(text,
              "[trainer] 2 processes share the micro-batches of a step: micro_batches must be at least 2, better 2 or "
              "more: 1");
  }
  Tables<float> model;
  Trainer trainer(model, {.accumulate = 2, .micro_batches = 4});
  const auto batches = uneven_batches();
  rapt_test::expect_message<rapt::ValueError>(
      [&] { (void)trainer.step(std::span(batches).first(7)); },
      "[trainer] the micro-batches 0 .. 4 of 4 have 2 batches each: 7 are given");
  EXPECT_GT(trainer.step(std::span(batches).first(8)), 0);
}

/// A model that names one of its parameters twice.
struct Tied : Tables<float> {
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    Tables<float>::visit(self, visitor);
    visitor("even again", self.even);
  }
};

TEST(ProcessesErrors, AParameterWithTwoNames) {
  for (const std::string& text : errors_on(2, [](Communicator& communicator) {
         Tied model;
         TrainerOptions options = base_options();
         options.communicator = &communicator;
         (void)Trainer(model, options);
       })) {
    EXPECT_EQ(text,
              "[trainer] processes can share a model that names each of its parameters once: 'even again' is the same "
              "parameter as 'even'");
  }
}

/// The sum of two tables' logits. For the batch `wrong` the gradient of the first table, which comes last, cannot be
/// computed.
struct TwoTables {
  using ScalarType = float;
  rapt::Parameter<float> first{Tensor<float>(Shape{kWords, 700}, 0.f)};
  rapt::Parameter<float> second{Tensor<float>(Shape{kWords, 700}, 0.f)};
  const rapt::LanguageBatch* wrong = nullptr;

  [[nodiscard]] rapt::Variable<float> loss(const rapt::LanguageBatch& batch,
                                           const rapt::CrossEntropyOptions& options) const {
    rapt::Variable<float> logits = rapt::gather_rows<float>(first, batch.input.tokens);
    if (&batch == wrong) {
      logits = rapt::record("wrong", Tensor<float>(logits.value()), {logits},
                            [](rapt::Node<float>&) { rapt::fail("test", "no gradient"); });
    }
    const rapt::Variable<float> others = rapt::gather_rows<float>(second, batch.input.tokens);
    return rapt::cross_entropy<float>(rapt::add(logits, others), batch.targets, options);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("first", self.first);
    visitor("second", self.second);
  }
};

TEST(ProcessesErrors, AFailureInTheLastBackwardOfOneEndsAll) {
  auto batches = uneven_batches();
  std::erase_if(batches, [](const rapt::LanguageBatch& batch) { return batch.targets.empty(); });
  for (const Index processes : {2, 3, 8}) {
    std::atomic<Index> ended = 0;
    const std::string text = error_text<rapt::Error>([&] {
      rapt::run_local(
          processes,
          [&](Communicator& communicator) {
            TwoTables model;
            TrainerOptions options = base_options();
            options.communicator = &communicator;
            options.bucket_bytes = 10'000;  // each table is a group: it has more than kElementGrain elements a process
            Trainer trainer(model, options);
            const rapt::MicroBatchBlock block = rapt::micro_batch_block(kMicroBatches, processes, communicator.rank());
            const auto own = std::span(batches).subspan(rapt::to_size(block.first), rapt::to_size(block.count));
            EXPECT_GT(trainer.step(own), 0);
            try {
              if (communicator.rank() == 1) model.wrong = &own.back();
              (void)trainer.step(own);
            } catch (const rapt::Error&) {
              ++ended;
              rapt::for_each_parameter(model, [](const std::string&, const auto& p) { EXPECT_TRUE(p.grad().empty()); });
              throw;
            }
          },
          kLocal);
    });
    EXPECT_EQ(text, "[test] no gradient") << processes;
    EXPECT_EQ(ended, processes);
  }
}

TEST(ProcessesErrors, AFailureOnOneEndsAll) {
  std::atomic<int> ended = 0;
  const auto task = translation();
  const std::string text = error_text<rapt::Error>([&] {
    rapt::run_local(
        3,
        [&](Communicator& communicator) {
          auto model = task.make_model();
          auto source = task.make_source();
          TrainerOptions options = base_options();
          options.communicator = &communicator;
          Trainer trainer(model, options);
          try {
            (void)trainer.run(
                *source, {.steps = 50}, [] { return 0.0; },
                [&](const rapt::Progress& p) {
                  rapt::require<rapt::IoError>(communicator.rank() != 1 || p.step < 3, "disk", "it is full");
                });
          } catch (const rapt::Error&) {
            ++ended;
            throw;
          }
        },
        kLocal);
  });
  EXPECT_EQ(text, "[disk] it is full");
  EXPECT_EQ(ended, 3);
}

}  // namespace
