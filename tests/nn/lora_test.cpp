/// \file
/// What an adapter does to a model and what it leaves as it is; numbers against PEFT's are in
/// tests/pretrained/adapter_folder_test.cpp.
// covers: nn/lora_merge.hpp
// covers: nn/with_lora.hpp
#include "rapt/nn/lora.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/models/gpt.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/nn/lora_merge.hpp"
#include "rapt/nn/with_lora.hpp"
#include "rapt/train/trainer.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/random.hpp"

namespace {

using rapt::Gpt;
using rapt::Index;
using rapt::Lora;
using rapt::LoraOptions;
using rapt::LoraTarget;
using rapt::Parameter;
using rapt::Rng;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::UseAdapter;
using rapt::Variable;
using rapt::WithLora;
using rapt_test::expect_message;
using rapt_test::same_bits;

Gpt<float> lora_base(bool tied = true) {
  Rng rng(3);
  return Gpt<float>(
      {.vocabulary = 11, .positions = 8, .d_model = 12, .layers = 2, .heads = 2, .dropout = 0, .tie_embeddings = tied},
      rng);
}
const TokenBatch kLoraInput({{1, 2, 3, 4}, {5, 6, 7}});
rapt::LanguageBatch lora_batch() { return {kLoraInput, {2, 3, 4, 5, 6, 7, 8}, {}}; }

/// An adapter whose B is not 0, so that it has an effect.
template <class M>
Lora<float> random_lora(const M& model, std::uint64_t seed, const std::vector<std::string>& patterns = {"*"}) {
  Rng rng(seed);
  Lora<float> lora(model, rapt::lora_targets(model, patterns), {.rank = 3, .alpha = 6}, rng);
  rapt::for_each_parameter(
      lora, [&](const std::string&, Parameter<float>& p) { rng.fill_normal(p.mutable_value().values(), 0.0, 0.3); });
  return lora;
}

TEST(Lora, ANewAdapterChangesNothing) {
  const Gpt<float> model = lora_base();
  Rng rng(1);
  const Lora<float> lora(model, rapt::lora_targets(model, {"*.linear?", "*in_proj_weight"}), {}, rng);
  EXPECT_EQ(lora.targets().size(), 6u);
  const Tensor<float> before = model(kLoraInput).value();
  const UseAdapter scope(lora);
  rapt_test::expect_close(model(kLoraInput).value(), before, 1e-6);
}

TEST(Lora, TheScaleIsAlphaOverTheRankOrItsRoot) {
  EXPECT_DOUBLE_EQ((LoraOptions{.rank = 4, .alpha = 6}.scale()), 1.5);
  EXPECT_DOUBLE_EQ((LoraOptions{.rank = 4, .alpha = 6, .rank_stabilized = true}.scale()), 3.0);
}

TEST(Lora, OnlyTheAdapterIsTrained) {
  Gpt<float> model = lora_base();
  const Gpt<float> before = model;
  Lora<float> lora = random_lora(model, 1);
  const Lora<float> first = lora;
  WithLora adapted(model, lora, {"norm.*"});
  EXPECT_EQ(rapt::count_parameters(adapted), rapt::count_parameters(lora) + 2 * 12);
  rapt::Trainer trainer(adapted, {.learning_rate = [](Index) { return 2e-2; }});
  double loss = 0, first_loss = 0;
  for (int i = 0; i < 150; ++i) {
    loss = trainer.step(lora_batch());
    if (i == 0) first_loss = loss;
  }
  EXPECT_LT(loss, 0.9 * first_loss);
  std::vector<Tensor<float>> values;
  rapt::for_each_parameter(before, [&](const std::string&, const Parameter<float>& p) { values.push_back(p.value()); });
  std::size_t next = 0;
  rapt::for_each_parameter(model, [&](const std::string& name, const Parameter<float>& p) {
    EXPECT_EQ(same_bits(p.value(), values[next++]), !name.starts_with("norm.")) << name;
  });
  std::vector<Tensor<float>> matrices;
  rapt::for_each_parameter(first,
                           [&](const std::string&, const Parameter<float>& p) { matrices.push_back(p.value()); });
  next = 0;
  rapt::for_each_parameter(lora, [&](const std::string& name, const Parameter<float>& p) {
    EXPECT_FALSE(same_bits(p.value(), matrices[next++])) << name;
  });
}

TEST(Lora, DropoutIsOfTrainingAlone) {
  Gpt<float> model = lora_base();
  Rng rng(1);
  const auto targets = rapt::lora_targets(model, {"*"});
  Lora<float> plain = random_lora(model, 1);
  Lora<float> dropped(model, targets, {.rank = 3, .alpha = 6, .dropout = 0.5f}, rng);
  std::vector<Tensor<float>> values;
  rapt::for_each_parameter(plain, [&](const std::string&, const Parameter<float>& p) { values.push_back(p.value()); });
  std::size_t next = 0;
  rapt::for_each_parameter(dropped,
                           [&](const std::string&, Parameter<float>& p) { p.mutable_value() = values[next++]; });
  const auto loss_of = [&](Lora<float>& lora, bool training) {
    const WithLora adapted(model, lora);
    Rng dropout(7);
    if (!training) return adapted.loss(lora_batch()).item();
    const rapt::Training scope(dropout);
    return adapted.loss(lora_batch()).item();
  };
  EXPECT_EQ(loss_of(plain, false), loss_of(dropped, false));
  EXPECT_NE(loss_of(plain, true), loss_of(dropped, true));
  EXPECT_EQ(loss_of(dropped, true), loss_of(dropped, true));
}

TEST(Lora, EachThreadUsesItsOwnAdapterOfOneModel) {
  const Gpt<float> model = lora_base();
  const Tensor<float> base = model(kLoraInput).value();
  constexpr std::uint64_t kThreads = 4;
  std::vector<Lora<float>> adapters;
  std::vector<Tensor<float>> alone;
  for (std::uint64_t i = 0; i < kThreads; ++i) {
    adapters.push_back(random_lora(model, i + 1));
    const UseAdapter scope(adapters.back());
    alone.push_back(model(kLoraInput).value());
    EXPECT_FALSE(same_bits(alone.back(), base));
  }
  EXPECT_FALSE(same_bits(alone[0], alone[1]));
  std::vector<int> wrong(kThreads, 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int turn = 0; turn < 20; ++turn) {
        wrong[i] += same_bits(model(kLoraInput).value(), base) ? 0 : 1;
        const UseAdapter scope(adapters[i]);
        wrong[i] += same_bits(model(kLoraInput).value(), alone[i]) ? 0 : 1;
        const UseAdapter<float> none(nullptr);
        wrong[i] += same_bits(model(kLoraInput).value(), base) ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(kThreads, 0));
}

TEST(Lora, PartsOfAStackedWeightAreAdaptedWhereverTheyAreUsed) {
  Rng rng(5);
  const rapt::Transformer<float> model({.source_vocabulary = 11,
                                        .target_vocabulary = 11,
                                        .d_model = 12,
                                        .heads = 2,
                                        .d_ff = 16,
                                        .encoder_layers = 1,
                                        .decoder_layers = 1,
                                        .dropout = 0},
                                       rng);
  // Values of the encoder's attention; keys of the decoder's attention to the encoder, a part of a part of the product.
  std::vector<LoraTarget> targets;
  for (LoraTarget target : rapt::lora_targets(model, {"*in_proj_weight"})) {
    target.row = target.parameter.find("multihead") == std::string::npos ? 24 : 12;
    target.rows = 12;
    target.name += ".part";
    targets.push_back(target);
  }
  ASSERT_EQ(targets.size(), 3u);
  Lora<float> lora(model, targets, {.rank = 2}, rng);
  rapt::for_each_parameter(
      lora, [&](const std::string&, Parameter<float>& p) { rng.fill_normal(p.mutable_value().values(), 0.0, 0.3); });
  const TokenBatch source({{1, 2, 3}}), target({{4, 5}});
  const Tensor<float> before = model(source, target).value();
  rapt::Transformer<float> merged = model;
  const rapt::LoraMerge merge(merged, lora);
  const UseAdapter scope(lora);
  rapt_test::expect_close(model(source, target).value(), merged(source, target).value(), 1e-5);
  EXPECT_GT(rapt_test::relative_error(model(source, target).value(), before), 1e-3);

  // A step of decoding, which reads keys and values that were computed once, is adapted likewise.
  auto state = model.start(source);
  const UseAdapter<float> none(nullptr);
  auto state_of_merged = merged.start(source);
  const TokenBatch token({{4}});
  const Tensor<float> wanted = merged.step(state_of_merged, token.tokens);
  const UseAdapter again(lora);
  rapt_test::expect_close(model.step(state, token.tokens), wanted, 1e-5);
}

TEST(Lora, AnAdapterIsBoundToAModelOrToItsCopy) {
  Gpt<float> model = lora_base();
  Lora<float> lora = random_lora(model, 1);
  const Gpt<float> copy = model;
  const Tensor<float> base = model(kLoraInput).value();
  const auto adapted = [&](const Gpt<float>& of) {
    const UseAdapter scope(lora);
    return of(kLoraInput).value();
  };
  const Tensor<float> with = adapted(model);
  EXPECT_TRUE(same_bits(adapted(copy), base));
  const Gpt<float> moved = std::move(model);
  EXPECT_TRUE(same_bits(adapted(moved), with));
  const Lora<float> copied = lora;
  lora.bind(copy);
  EXPECT_TRUE(same_bits(adapted(copy), with));
  EXPECT_TRUE(same_bits(adapted(moved), base));
  const UseAdapter scope(copied);
  EXPECT_TRUE(same_bits(moved(kLoraInput).value(), with));
}

TEST(Lora, SeveralMergesAreUndoneInReverse) {
  Gpt<float> model = lora_base();
  const Tensor<float> base = model(kLoraInput).value();
  const Lora<float> a = random_lora(model, 1), b = random_lora(model, 2);
  rapt::LoraMerge first(model, a);
  const Tensor<float> with_a = model(kLoraInput).value();
  rapt::LoraMerge second(model, b);
  EXPECT_FALSE(same_bits(model(kLoraInput).value(), with_a));
  second.undo();
  EXPECT_TRUE(same_bits(model(kLoraInput).value(), with_a));
  first.undo();
  EXPECT_TRUE(same_bits(model(kLoraInput).value(), base));
}

TEST(Lora, AMergeThatDoesNotFitLeavesTheModelAsItWas) {
  Gpt<float> model = lora_base();
  const Lora<float> lora = random_lora(model, 1);
  Rng rng(1);
  Gpt<float> shallow({.vocabulary = 11, .positions = 8, .d_model = 12, .layers = 1, .heads = 2}, rng);
  Gpt<float> narrow({.vocabulary = 11, .positions = 8, .d_model = 12, .layers = 2, .heads = 2, .d_ff = 20}, rng);
  const auto expect_refusal = [&](Gpt<float>& of, const std::vector<std::string>& parts) {
    const Gpt<float> before = of;
    expect_message([&] { const rapt::LoraMerge merge(of, lora); }, parts);
    std::vector<Tensor<float>> values;
    rapt::for_each_parameter(before,
                             [&](const std::string&, const Parameter<float>& p) { values.push_back(p.value()); });
    std::size_t next = 0;
    rapt::for_each_parameter(of, [&](const std::string& name, const Parameter<float>& p) {
      const Tensor<float>& former = values[next++];
      ASSERT_EQ(p.value().has_elements(), former.has_elements()) << name;
      EXPECT_TRUE(!former.has_elements() || same_bits(p.value(), former)) << name;
    });
  };
  expect_refusal(shallow, {"[lora_merge]", "layers.1"});
  expect_refusal(narrow, {"[lora_merge]", "layers.0.linear1.weight", "[20, 12]", "0 .. 48"});
  rapt::quantize_weights(model);
  rapt::drop_unpacked_weights(model);
  expect_refusal(model, {"[lora_merge]", "layers.0", "in_proj_weight", "packed form alone"});
}

TEST(Lora, WhatDoesNotFitIsRefused) {
  Gpt<float> model = lora_base(/*tied=*/false);
  Rng rng(1);
  const auto targets = rapt::lora_targets(model, {"layers.0.linear1"});
  EXPECT_EQ(targets.at(0).parameter, "layers.0.linear1.weight");
  EXPECT_EQ(targets.at(0).rows, 48);
  const auto expect_refusal = [&](std::vector<LoraTarget> changed, const LoraOptions& options, const char* text) {
    expect_message([&] { Lora<float>(model, changed, options, rng); }, std::vector<std::string>{"[lora]", text});
  };
  expect_refusal(targets, {.rank = 0}, "rank must be positive");
  expect_refusal(targets, {.dropout = 1.f}, "dropout in [0, 1)");
  expect_refusal({}, {}, "no linear map");
  expect_refusal({{"a", "layers.0.linear1.weight", 40, 9}}, {}, "rows 40 .. 49");
  expect_refusal({{"a", "embedding.weight", 0, 1}}, {}, "embedding.weight");
  expect_refusal({{"a", "layers.0.linear1.weight", 0, 9}, {"b", "layers.0.linear1.weight", 8, 9}}, {}, "twice");
  expect_message(
      [&] {
        std::ignore = rapt::lora_targets(model, {"layers.*", "embed*"});
      },
      {"[lora]", "'embed*'", "layers.1.linear2"});

  // The loss of a causal model multiplies by its output matrix without an adapter: one of it is no silent mistake.
  Lora<float> of_output = random_lora(model, 1, {"output"});
  const WithLora adapted(model, of_output);
  expect_message([&] { std::ignore = adapted.loss(lora_batch()); },
                 std::vector<std::string>{"linear_cross_entropy", "adapter"});
  Gpt<float> smaller({.vocabulary = 11, .positions = 8, .d_model = 12, .layers = 1, .heads = 2}, rng);
  Lora<float> lora = random_lora(model, 1);
  expect_message([&] { lora.bind(smaller); }, std::vector<std::string>{"[lora]", "layers.1"});
}

}  // namespace
