/// \file
/// Checkpoints: a run that was interrupted goes on as if it had not been, bit for bit; files that do not fit change
/// nothing; disks that refuse leave the old checkpoint.
#include "rapt/train/checkpoint.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "rapt/models/transformer.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/train/mean_loss.hpp"
#include "tests/common/adam_moments.hpp"
#include "tests/common/file_size_limit.hpp"
#include "tests/common/optimizer_cases.hpp"
#include "tests/common/settings.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::Index;
using rapt::IoError;
using rapt::ShapeError;
using rapt::Tensor;
using rapt::ValueError;
using rapt_test::error_text;
using rapt_test::same_bits;

/// Sentences that must be copied backwards. Source and target are of the same length, so every epoch has as many
/// batches as the first.
std::vector<rapt::TokenPair> toy_corpus() {
  std::vector<rapt::TokenPair> pairs;
  rapt::Rng rng(5);
  for (int i = 0; i < 60; ++i) {
    rapt::TokenPair pair;
    for (Index n = 2 + rng.below(8); n > 0; --n) pair.source.push_back(static_cast<rapt::TokenId>(3 + rng.below(20)));
    pair.target.assign(pair.source.rbegin(), pair.source.rend());
    pairs.push_back(pair);
  }
  return pairs;
}

struct SessionOptions {
  Index d_ff = 64;
  std::uint64_t seed = 1;  // of the initial weights
  double average_decay = 0;
};

/// Model, optimizer and data of a training run.
struct Session {
  std::vector<rapt::TokenPair> pairs = toy_corpus();
  rapt::Rng rng;
  rapt::Transformer<float> model;
  rapt::BatchStream stream;
  rapt::Trainer<rapt::Transformer<float>> trainer;
  std::vector<double> losses;  // of steps, from the first that this object did

  explicit Session(const SessionOptions& options = {})
      : rng(options.seed),
        model({.source_vocabulary = 23,
               .target_vocabulary = 23,
               .d_model = 32,
               .heads = 4,
               .d_ff = options.d_ff,
               .encoder_layers = 2,
               .decoder_layers = 2,
               .dropout = 0.2f,
               .attention_dropout = 0.1f,
               .activation_dropout = 0.1f},
              rng),
        stream(pairs, {.tokens = 60, .seed = 9}),
        trainer(model, {.learning_rate = rapt::InverseSquareRootSchedule{3e-3, 10},
                        .adam = {.weight_decay = 0.01},
                        .accumulate = 2,
                        .clip_norm = 0.5,
                        .average_decay = options.average_decay,
                        .seed = 77}) {}

  /// Up to so many steps in all; `after(step)` is called after each.
  void to(
      Index steps, const std::function<void(Index)>& after = [](Index) {}) {
    trainer.run(
        stream, {.steps = steps, .validate_every = 10, .keep_best = false},
        [&] { return mean_loss(model, std::span<const rapt::TokenPair>(pairs), {.tokens = 60}); },
        [&](const rapt::Progress& p) {
          losses.push_back(p.loss);
          after(p.step);
        });
  }
};

/// Copies of all numbers of a run, by name.
std::map<std::string, Tensor<float>> numbers_of(Session& run) {
  std::map<std::string, Tensor<float>> numbers;
  rapt::for_each_parameter(run.model, [&](const std::string& name, const auto& p) { numbers[name] = p.value(); });
  rapt_test::for_each_moments(run.trainer.adam(), [&](const std::string& name, const auto& m, const auto& v) {
    numbers["m." + name] = m;
    numbers["v." + name] = v;
  });
  if (run.trainer.average()) {
    run.trainer.average()->for_each_state(
        [&](const std::string& name, const auto& average) { numbers["average." + name] = average; });
  }
  return numbers;
}

void expect_same_state(Session& a, Session& b) {
  const auto of_a = numbers_of(a), of_b = numbers_of(b);
  ASSERT_EQ(of_a.size(), of_b.size());
  for (const auto& [name, tensor] : of_a) EXPECT_TRUE(same_bits(tensor, of_b.at(name))) << name;
  EXPECT_EQ(a.trainer.steps(), b.trainer.steps());
  EXPECT_EQ(a.trainer.state().dropout, b.trainer.state().dropout);
  EXPECT_EQ(a.trainer.state().data, b.trainer.state().data);
  EXPECT_EQ(a.trainer.state().best_validation, b.trainer.state().best_validation);
  EXPECT_EQ(a.trainer.state().best_step, b.trainer.state().best_step);
  EXPECT_EQ(a.trainer.state().misses, b.trainer.state().misses);
  EXPECT_EQ(a.stream.position(), b.stream.position());
}

std::string bytes_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// A folder of its own for each test, removed at the end.
class Checkpoint : public testing::Test {
 protected:
  Checkpoint() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::temp_directory_path() / ("rapt_checkpoint_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~Checkpoint() override {
    fs::remove_all(folder_);
    rapt::set_threads(threads_);
  }

  [[nodiscard]] fs::path path() const { return folder_ / "checkpoint.safetensors"; }
  [[nodiscard]] auto files() const { return std::distance(fs::directory_iterator(folder_), fs::directory_iterator()); }

  fs::path folder_;
  Index threads_ = rapt::threads();
};

constexpr Index kSteps = 50;

TEST_F(Checkpoint, GoesOnBitForBit) {
  const Index batches = Session().stream.batches_per_epoch();
  ASSERT_GE(batches, 4);
  ASSERT_LT(batches, 25);
  // Within an epoch, and at the end of one: a step takes two batches, so after `batches` steps two epochs are over.
  const Index saves[] = {25, batches, 1};
  ASSERT_NE(2 * 25 % batches, 0);

  rapt::set_threads(1);
  Session whole;
  whole.to(kSteps, [&](Index step) {
    for (const Index save : saves) {
      if (step == save) rapt::save_checkpoint(folder_ / std::to_string(save), whole.trainer);
    }
  });
  ASSERT_EQ(whole.losses.size(), static_cast<std::size_t>(kSteps));
  EXPECT_LT(whole.losses.back(), 0.9 * whole.losses.front());  // it learns

  for (const Index threads : {1, 2, 3}) {
    for (const Index save : saves) {
      SCOPED_TRACE(std::to_string(threads) + " threads, saved after step " + std::to_string(save));
      rapt::set_threads(threads);
      Session resumed({.seed = 1000});
      ASSERT_FALSE(same_bits(numbers_of(whole).at("embedding.weight"), numbers_of(resumed).at("embedding.weight")));
      rapt::load_checkpoint(folder_ / std::to_string(save), resumed.trainer, resumed.stream);
      EXPECT_EQ(resumed.trainer.steps(), save);
      EXPECT_EQ(resumed.stream.position().batch == batches, save == batches);
      resumed.to(kSteps);
      EXPECT_EQ(resumed.losses, std::vector<double>(whole.losses.begin() + save, whole.losses.end()));
      expect_same_state(resumed, whole);
    }
  }
}

TEST_F(Checkpoint, SavingAndLoadingIsTheSameFileAgain) {
  Session run;
  run.to(3);
  rapt::save_checkpoint(path(), run.trainer, {{"note", "of mine"}});
  Session other({.seed = 2});
  other.to(5);  // has moments, a best validation and a position of its own
  rapt::load_checkpoint(path(), other.trainer, other.stream);
  expect_same_state(other, run);
  rapt::save_checkpoint(folder_ / "again", other.trainer, {{"note", "of mine"}});
  EXPECT_EQ(bytes_of(folder_ / "again"), bytes_of(path()));
  EXPECT_EQ(rapt::SafetensorsFile(path()).metadata().at("note"), "of mine");
}

TEST_F(Checkpoint, TheMovingAverageGoesOn) {
  Session whole({.average_decay = 0.9});
  whole.to(20, [&](Index step) {
    if (step == 9) rapt::save_checkpoint(path(), whole.trainer);
  });
  ASSERT_FALSE(same_bits(numbers_of(whole).at("average.embedding.weight"), numbers_of(whole).at("embedding.weight")));
  for (const Index threads : {1, 2, 3}) {
    SCOPED_TRACE(threads);
    rapt::set_threads(threads);
    Session resumed({.seed = 1000, .average_decay = 0.9});
    rapt::load_checkpoint(path(), resumed.trainer, resumed.stream);
    resumed.to(20);
    expect_same_state(resumed, whole);
  }
}

TEST_F(Checkpoint, ATrainerWithAnAverageNeedsOne) {
  Session plain;
  plain.to(1);
  rapt::save_checkpoint(path(), plain.trainer);
  Session run({.seed = 2, .average_decay = 0.9}), same({.seed = 2, .average_decay = 0.9});
  const auto load = [&] { rapt::load_checkpoint(path(), run.trainer, run.stream); };
  EXPECT_EQ(error_text<IoError>(load),
            "[load_checkpoint] " + path().string() + ": it has no moving average, which this trainer keeps");
  expect_same_state(run, same);

  // An average of which one tensor is missing.
  Session averaged({.average_decay = 0.9});
  rapt::save_checkpoint(path(), averaged.trainer);
  const rapt::Metadata metadata = rapt::SafetensorsFile(path()).metadata();
  const auto numbers = numbers_of(averaged);
  std::vector<rapt::SafetensorsEntry> entries;
  for (const auto& [name, tensor] : numbers) {
    const bool moment = name.starts_with("m.") || name.starts_with("v.");
    if (name != "average.decoder.layers.1.norm3.bias") {
      entries.emplace_back((moment ? "adam." : "") + name, tensor.view());
    }
  }
  rapt::write_safetensors(path(), entries, metadata);
  EXPECT_NE(error_text<IoError>(load).find("\"average.decoder.layers.1.norm3.bias\""), std::string::npos);
  expect_same_state(run, same);

  // A trainer that keeps none leaves the file's aside.
  rapt::save_checkpoint(path(), averaged.trainer);
  Session without({.seed = 2});
  rapt::load_checkpoint(path(), without.trainer, without.stream);
  EXPECT_FALSE(without.trainer.average());
  EXPECT_TRUE(same_bits(numbers_of(without).at("embedding.weight"), numbers.at("embedding.weight")));
}

TEST_F(Checkpoint, BeforeTheFirstStep) {
  Session run;
  rapt::save_checkpoint(path(), run.trainer);  // no validation yet: infinity, which JSON has no word for
  Session other({.seed = 2});
  rapt::load_checkpoint(path(), other.trainer, other.stream);
  run.to(4);
  other.to(4);
  expect_same_state(other, run);
}

/// Loading fails, names the file and all of `parts`, and changes nothing.
template <class E>
void expect_refused(const fs::path& path, const std::vector<std::string>& parts) {
  Session run({.seed = 2}), same({.seed = 2});
  run.to(2);
  same.to(2);
  const std::string text = error_text<E>([&] { rapt::load_checkpoint(path, run.trainer, run.stream); });
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << text << "\nhas no " << part;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  expect_same_state(run, same);
}

/// Writes the checkpoint with other words about the trainer.
void rewrite(const fs::path& path, Session& run, const std::function<void(nlohmann::json&)>& change) {
  rapt::save_checkpoint(path, run.trainer);
  nlohmann::json json;
  std::vector<Tensor<float>> tensors;
  std::vector<rapt::SafetensorsEntry> entries;
  {
    const rapt::SafetensorsFile file(path);
    json = nlohmann::json::parse(file.metadata().at("trainer"));
    tensors.reserve(file.names().size());
    for (const std::string& name : file.names()) {
      tensors.push_back(file.read<float>(name));
      entries.emplace_back(name, tensors.back().view());
    }
  }
  change(json);
  rapt::write_safetensors(path, entries, {{"trainer", json.dump()}});
}

TEST_F(Checkpoint, NotACheckpoint) {
  Session run;
  expect_refused<IoError>(folder_ / "absent", {"absent"});
  expect_refused<IoError>(folder_, {folder_.string(), "regular"});
  std::ofstream(path()) << "text";
  expect_refused<IoError>(path(), {path().string()});
  rapt::save_model(path(), run.model);
  expect_refused<IoError>(path(), {path().string(), "no checkpoint"});
}

TEST_F(Checkpoint, OfAnotherModel) {
  Session wide({.d_ff = 96});
  rapt::save_checkpoint(path(), wide.trainer);
  expect_refused<ShapeError>(path(), {path().string(), "linear1.weight", "96", "64"});
}

TEST_F(Checkpoint, MissingAndSurplusTensors) {
  Session run;
  auto entries = rapt::parameter_entries(run.model);
  rapt::save_checkpoint(path(), run.trainer);
  const rapt::Metadata metadata = rapt::SafetensorsFile(path()).metadata();
  rapt::write_safetensors(path(), entries, metadata);
  expect_refused<IoError>(path(), {path().string(), "\"adam.m.embedding.weight\""});

  rapt_test::for_each_moments(run.trainer.adam(), [&](const std::string& name, const auto& m, const auto& v) {
    entries.emplace_back("adam.m." + name, m.view());
    if (name != "decoder.layers.1.norm3.bias") entries.emplace_back("adam.v." + name, v.view());
  });
  rapt::write_safetensors(path(), entries, metadata);
  expect_refused<IoError>(path(), {path().string(), "\"adam.v.decoder.layers.1.norm3.bias\""});

  const Tensor<float> more(rapt::Shape{2});
  rapt::save_checkpoint(path(), run.trainer);
  entries = rapt::parameter_entries(run.model);
  rapt_test::for_each_moments(run.trainer.adam(), [&](const std::string& name, const auto& m, const auto& v) {
    entries.emplace_back("adam.m." + name, m.view());
    entries.emplace_back("adam.v." + name, v.view());
  });
  entries.emplace_back("more", more.view());
  rapt::write_safetensors(path(), entries, metadata);
  expect_refused<IoError>(path(), {path().string(), "\"more\""});
}

TEST_F(Checkpoint, Truncated) {
  Session run;
  run.to(1);
  rapt::save_checkpoint(path(), run.trainer);
  const std::string whole = bytes_of(path());
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    std::ofstream(path(), std::ios::binary) << whole.substr(0, size);
    expect_refused<IoError>(path(), {path().string()});
  }
}

TEST_F(Checkpoint, MalformedState) {
  Session run;
  for (const char* key : {"steps", "dropout_seed", "dropout_streams", "epoch", "batch", "best_step", "misses"}) {
    for (const char* value : {"-1", "1.5", "true", "null", "\"3\"", "[]", "1e300", "99999999999999999999999"}) {
      SCOPED_TRACE(std::string(key) + ": " + value);
      rewrite(path(), run, [&](auto& json) { json[key] = nlohmann::json::parse(value); });
      expect_refused<IoError>(path(), {path().string(), std::string("\"").append(key).append("\"")});
    }
    rewrite(path(), run, [&](auto& json) { json.erase(key); });
    expect_refused<IoError>(path(), {path().string(), key});
  }
  for (const char* key : {"steps", "epoch", "batch", "best_step", "misses"}) {  // training must be able to count on
    rewrite(path(), run, [&](auto& json) { json[key] = std::numeric_limits<Index>::max(); });
    expect_refused<IoError>(path(), {path().string(), "a whole number", key, "9223372036854775807"});
  }
  rewrite(path(), run, [](auto& json) { json["best_validation"] = "low"; });
  expect_refused<IoError>(path(), {path().string(), "best_validation"});
  rewrite(path(), run, [](auto& json) { json = nlohmann::json::array({1, 2}); });
  expect_refused<IoError>(path(), {path().string()});
  rewrite(path(), run, [](auto& json) { json["batch"] = 1000; });  // shape of the data, not of the file
  expect_refused<ValueError>(path(), {"1000", std::to_string(run.stream.batches_per_epoch())});
}

// Other optimizers, and frozen parameters -----------------------------------------------------------------------------

/// A run with an optimizer that make(model) gives.
template <class Make>
struct AnyRun {
  using Model = rapt::Transformer<float>;
  std::vector<rapt::TokenPair> pairs = toy_corpus();
  rapt::Rng rng;
  Model model;
  rapt::BatchStream stream;
  rapt::Trainer<Model, decltype(std::declval<Make>()(std::declval<Model&>()))> trainer;

  explicit AnyRun(const Make& make, std::uint64_t seed = 1)
      : rng(seed),
        model({.source_vocabulary = 23,
               .target_vocabulary = 23,
               .d_model = 8,
               .heads = 2,
               .d_ff = 12,
               .encoder_layers = 1,
               .decoder_layers = 1,
               .dropout = 0.2f},
              rng),
        stream(pairs, {.tokens = 60, .seed = 9}),
        trainer(model, {.learning_rate = [](Index) { return 1e-3; }, .clip_norm = 0.5, .average_decay = 0.9},
                make(model)) {}

  void to(Index steps) {
    trainer.run(
        stream, {.steps = steps}, [] { return 0.0; }, [](const rapt::Progress&) {});
  }
};

template <class Run>
void expect_same_run(Run& a, Run& b) {
  const auto parameters = [](Run& run) {
    std::vector<Tensor<float>> values;
    rapt::for_each_parameter(run.model, [&](const std::string&, const auto& p) { values.push_back(p.value()); });
    run.trainer.average()->for_each_state([&](const std::string&, const auto& v) { values.push_back(v); });
    for (const auto& slot : run.trainer.optimizer().slots()) {
      for (const auto& state : slot.state) values.push_back(state);
    }
    return values;
  };
  const auto of_a = parameters(a), of_b = parameters(b);
  ASSERT_EQ(of_a.size(), of_b.size());
  for (std::size_t i = 0; i < of_a.size(); ++i) EXPECT_TRUE(same_bits(of_a[i], of_b[i])) << i;
  EXPECT_EQ(a.trainer.steps(), b.trainer.steps());
}

TEST_F(Checkpoint, EveryOptimizerGoesOnBitForBit) {
  rapt_test::for_every_optimizer<float>([&](const std::string& name, const auto& make) {
    SCOPED_TRACE(name);
    AnyRun whole(make);
    whole.to(7);
    rapt::save_checkpoint(path(), whole.trainer);
    whole.to(15);
    AnyRun resumed(make, 1000);
    resumed.to(2);  // state of its own, which must go
    rapt::load_checkpoint(path(), resumed.trainer, resumed.stream);
    resumed.to(15);
    expect_same_run(resumed, whole);
  });
}

/// The encoder is frozen from the first step on, and a part of the decoder from the third; saved, gone on with,
/// released.
TEST_F(Checkpoint, ARunWithFrozenParametersGoesOnBitForBit) {
  rapt_test::for_every_optimizer<float>([&](const std::string& name, const auto& make) {
    SCOPED_TRACE(name);
    const auto release = [&](auto& run) {
      run.to(9);
      rapt::unfreeze(run.model, "encoder.layers.0.linear?.*");
      run.to(11);
      rapt::unfreeze(run.model, "*");
      run.to(14);
    };
    AnyRun whole(make);
    rapt::freeze(whole.model, "encoder.*");
    whole.to(2);
    rapt::freeze(whole.model, "decoder.*.norm?.*");
    whole.to(6);
    rapt::save_checkpoint(path(), whole.trainer);
    const rapt::SafetensorsFile file(path());
    for (const std::string& key : file.names()) {
      const bool is_state = key.starts_with(whole.trainer.optimizer().kName);
      EXPECT_FALSE(is_state && key.find(".encoder.") != std::string::npos) << key << ": state of what never moved";
    }
    release(whole);

    AnyRun resumed(make, 1000), later(make, 1000);
    rapt::freeze(resumed.model, "encoder.*");
    rapt::freeze(resumed.model, "decoder.*.norm?.*");
    rapt::load_checkpoint(path(), resumed.trainer, resumed.stream);
    release(resumed);
    expect_same_run(resumed, whole);

    later.to(3);  // all trained: its state of the encoder must go
    rapt::load_checkpoint(path(), later.trainer, later.stream);
    rapt::freeze(later.model, "encoder.*");  // what is frozen may be said after the load, too
    rapt::freeze(later.model, "decoder.*.norm?.*");
    release(later);
    expect_same_run(later, whole);
  });
}

TEST_F(Checkpoint, SavingWhatIsFrozenIsTheSameFileAgain) {
  for (const Index steps : {0, 3}) {
    Session run, other({.seed = 2});
    rapt::freeze(run.model, "*norm*");
    rapt::freeze(other.model, "*norm*");
    if (steps > 0) run.to(steps);
    rapt::save_checkpoint(path(), run.trainer);
    rapt::load_checkpoint(path(), other.trainer, other.stream);
    rapt::save_checkpoint(folder_ / "again", other.trainer);
    EXPECT_EQ(bytes_of(folder_ / "again"), bytes_of(path())) << steps;
  }
}

TEST_F(Checkpoint, OfStepsThatBeganElsewhere) {
  Session run, other;
  for (Session* session : {&run, &other}) rapt::freeze(session->model, "encoder.*");
  run.trainer.optimizer().set_steps(1000);
  run.to(1001);
  rapt::save_checkpoint(path(), run.trainer);
  rapt::load_checkpoint(path(), other.trainer, other.stream);
  EXPECT_EQ(other.trainer.steps(), 1001);
}

TEST_F(Checkpoint, OfAnotherOptimizer) {
  const auto sgd = [](auto& model) { return rapt::Sgd<float>(model, {.momentum = 0.5}); };
  AnyRun run(sgd);
  run.to(1);
  rapt::save_checkpoint(path(), run.trainer);
  expect_refused<IoError>(path(), {path().string(), "\"sgd\"", "\"adam\""});
  Session adam;
  rapt::save_checkpoint(path(), adam.trainer);
  const auto load = [&] { rapt::load_checkpoint(path(), run.trainer, run.stream); };
  EXPECT_EQ(error_text<IoError>(load), "[load_checkpoint] " + path().string() +
                                           ": it was written with the optimizer \"adam\", this trainer has \"sgd\"");
  rewrite(path(), adam, [](auto& json) { json.erase("optimizer"); });  // as earlier versions wrote it
  EXPECT_NE(error_text<IoError>(load).find("\"adam\""), std::string::npos);
  rewrite(path(), adam, [](auto& json) { json["optimizer"] = 7; });
  expect_refused<IoError>(path(), {path().string(), "7", "\"adam\""});
}

/// Files of versions that knew Adam alone, and counted no missed steps.
TEST_F(Checkpoint, OfAnEarlierVersion) {
  Session whole, resumed({.seed = 2});
  whole.to(4);
  rewrite(path(), whole, [](auto& json) {
    json.erase("optimizer");
    json.erase("missed");
  });
  rapt::load_checkpoint(path(), resumed.trainer, resumed.stream);
  whole.to(8);
  resumed.to(8);
  expect_same_state(resumed, whole);
}

TEST_F(Checkpoint, MalformedMissedSteps) {
  Session run;
  run.to(2);
  const auto refused = [&](const char* json, const std::vector<std::string>& parts) {
    SCOPED_TRACE(json);
    rewrite(path(), run, [&](auto& trainer) { trainer["missed"] = nlohmann::json::parse(json); });
    expect_refused<IoError>(path(), parts);
  };
  refused("[]", {path().string(), "\"missed\"", "object"});
  refused("3", {path().string(), "\"missed\"", "3"});
  refused(R"({"nobody.weight": 1})", {path().string(), "\"nobody.weight\""});
  refused(R"({"line\nbreak": 1})", {path().string(), "\"missed\""});
  for (const char* count : {"3", "-1", "1.5", "\"1\"", "null", "99999999999999999999999"}) {
    refused((R"({"embedding.weight": )" + std::string(count) + "}").c_str(),
            {path().string(), "\"embedding.weight\"", "up to the steps, 2"});
  }
}

// Disks that refuse ---------------------------------------------------------------------------------------------------

TEST_F(Checkpoint, AFullDiskLeavesTheOldOne) {
  if (!rapt_test::kLimitsFiles) GTEST_SKIP() << "this system does not limit the size of files";
  Session run;
  run.to(1);
  rapt::save_checkpoint(path(), run.trainer);
  const std::string before = bytes_of(path());
  run.to(2);
  for (const std::uint64_t limit : {0u, 1000u, 100'000u}) {
    ASSERT_LT(limit, before.size());
    std::string text;
    {
      const rapt_test::FileSizeLimit full(limit);
      text = error_text<IoError>([&] { rapt::save_checkpoint(path(), run.trainer); });
    }
    EXPECT_NE(text.find(path().string()), std::string::npos) << text;
    EXPECT_EQ(bytes_of(path()), before);
    EXPECT_EQ(files(), 1);
  }
  rapt::save_checkpoint(path(), run.trainer);
  Session other({.seed = 2});
  rapt::load_checkpoint(path(), other.trainer, other.stream);
  expect_same_state(other, run);
}

TEST_F(Checkpoint, UnwritablePlaces) {
  Session run;
  rapt::save_checkpoint(path(), run.trainer);
  const std::string before = bytes_of(path());
  for (const fs::path& place : {path() / "below", folder_ / "absent" / "file", folder_}) {
    const std::string text = error_text<IoError>([&] { rapt::save_checkpoint(place, run.trainer); });
    EXPECT_NE(text.find(place.string()), std::string::npos) << text;
  }
  EXPECT_EQ(bytes_of(path()), before);
  EXPECT_EQ(files(), 1);
}

}  // namespace
