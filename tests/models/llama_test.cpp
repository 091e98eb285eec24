/// \file
/// Llama: its parts, decoding against the whole, prompts with a common beginning, and wrong use.
#include "rapt/models/llama.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/optim/adam.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/sequence_marks.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Llama;
using rapt::LlamaConfig;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::TokenId;

static_assert(rapt::DecodingModel<Llama<float>>);

constexpr TokenId kVocabulary = 13;

LlamaConfig small() {
  return {.vocabulary = kVocabulary,
          .d_model = 12,
          .layers = 2,
          .heads = 4,
          .key_value_heads = 2,
          .head_dim = 6,
          .d_ff = 20,
          .rotary = {.theta = 100, .max_positions = 16}};
}
std::vector<LlamaConfig> configs() {
  LlamaConfig plain = small(), biased = small(), windowed = small(), far = small(), normed = small(),
              longrope = small();
  plain.heads = 3, plain.key_value_heads = std::nullopt, plain.head_dim = std::nullopt;
  plain.tie_embeddings = true;
  plain.rotary.layout = rapt::RotaryLayout::interleaved;
  biased.key_value_heads = 1;
  biased.attention_bias = biased.attention_output_bias = biased.mlp_bias = true;
  biased.rotary.rotated_ratio = 0.7;
  windowed.window = 3;
  far.rotary.max_positions = 4;  // of the table; positions go on
  far.rotary.scaling = rapt::RotaryScaling::yarn;
  far.rotary.factor = 4;
  normed.query_key_norm = true;
  longrope.rotary.scaling = rapt::RotaryScaling::longrope;
  longrope.rotary.factor = 2;
  longrope.rotary.max_positions = 64;
  longrope.rotary.short_factors = {1, 1.5, 2}, longrope.rotary.long_factors = {1, 3, 7};
  return {small(), plain, biased, windowed, far, normed, longrope};
}

template <class T>
Llama<T> model_of(const LlamaConfig& config) {
  rapt::Rng rng(1);
  Llama<T> model(config, rng);
  rapt_test::randomize(model, 2, 0.4);  // biases and norms too
  return model;
}

/// Tokens 0 .. length of a sequence that depends on its number alone.
std::vector<TokenId> sequence(Index length, std::uint64_t number) {
  return rapt_test::random_ids(length, kVocabulary, number);
}

template <class T>
inline constexpr double kTolerance = sizeof(T) == 4 ? 2e-5 : 1e-12;

template <class T>
void expect_same(const Tensor<T>& ours, const Tensor<T>& expected, double times = 1) {
  EXPECT_LT(rapt_test::relative_error(ours, expected), rapt_test::allowed<T>(times * kTolerance<T>));
}
template <class T>
Tensor<T> rows_of(const Tensor<T>& m, Index first, Index count) {
  return Tensor<T>(m.view().middle_rows(first, count));
}

template <class T>
class LlamaModel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(LlamaModel, Scalars);

TYPED_TEST(LlamaModel, StepsEqualTheWholeForUnevenPrompts) {
  for (const LlamaConfig& config : configs()) {
    const auto model = model_of<TypeParam>(config);
    const std::vector<Index> prompt_lengths{5, 1, 20, 2};
    TokenBatch prompts, all;
    for (std::size_t i = 0; i < prompt_lengths.size(); ++i) {
      const auto tokens = sequence(prompt_lengths[i] + 6, i);
      all.push_back(tokens);
      prompts.push_back(std::span(tokens).first(static_cast<std::size_t>(prompt_lengths[i])));
    }
    const auto whole = model(all).value();
    auto state = model.start(prompts);
    EXPECT_EQ(state.lengths(), (std::vector<Index>{4, 0, 19, 1}));
    for (Index t = 0; t < 7; ++t) {  // the last token of each prompt comes first
      std::vector<TokenId> tokens;
      Tensor<TypeParam> expected(rapt::Shape{4, kVocabulary});
      for (Index i = 0; i < 4; ++i) {
        const Index row = all.row_splits.begin(i) + prompt_lengths[static_cast<std::size_t>(i)] - 1 + t;
        tokens.push_back(all.tokens[static_cast<std::size_t>(row)]);
        std::copy_n(whole.row(row), kVocabulary, expected.row(i));
      }
      expect_same(model.step(state, tokens), expected);
    }
  }
}

TYPED_TEST(LlamaModel, PromptsWithACommonBeginning) {
  for (const LlamaConfig& config : configs()) {
    const auto model = model_of<TypeParam>(config);
    TokenBatch prompts;
    for (const std::uint64_t number : {1u, 2u, 3u}) {
      auto tokens = sequence(17, 9);
      const auto own = sequence(static_cast<Index>(4 * number - 2), number);
      tokens.insert(tokens.end(), own.begin(), own.end());
      prompts.push_back(tokens);
    }
    prompts.push_back(sequence(17, 9));  // nothing of its own
    auto state = model.start(prompts);
    const auto entries = [&](Index r) { return state.layers[0].entries(r); };
    EXPECT_EQ(entries(0)[15], entries(2)[15]) << "computed once";
    EXPECT_NE(entries(0)[17], entries(2)[17]);
    std::vector<TokenId> last;
    for (Index i = 0; i < 4; ++i) last.push_back(prompts.sequence(i).back());
    const auto logits = model.step(state, last), whole = model(prompts).value();
    Tensor<TypeParam> expected(logits.shape());
    for (Index i = 0; i < 4; ++i) {
      std::copy_n(whole.row(prompts.row_splits.end(i) - 1), kVocabulary, expected.row(i));
    }
    expect_same(logits, expected);
  }
}

TYPED_TEST(LlamaModel, SelectFollowsTheHypotheses) {
  const auto model = model_of<TypeParam>(small());
  std::vector<std::vector<TokenId>> hypotheses{sequence(4, 1), sequence(2, 2), sequence(7, 3)};
  auto state = model.start(TokenBatch(hypotheses));
  for (auto& tokens : hypotheses) tokens.pop_back();
  rapt::Rng rng(5);
  for (int t = 0; t < 20; ++t) {
    if (t % 3 != 2) {
      std::vector<Index> parents;
      std::vector<std::vector<TokenId>> selected;
      for (Index r = 1 + rng.below(6); r > 0; --r) {
        parents.push_back(rng.below(static_cast<Index>(hypotheses.size())));
        selected.push_back(hypotheses[static_cast<std::size_t>(parents.back())]);
      }
      state.select(parents);
      hypotheses = selected;
    }
    std::vector<TokenId> tokens;
    for (auto& hypothesis : hypotheses) {
      tokens.push_back(static_cast<TokenId>(rng.below(kVocabulary)));
      hypothesis.push_back(tokens.back());
    }
    const TokenBatch all(hypotheses);
    const auto logits = model.step(state, tokens), whole = model(all).value();
    Tensor<TypeParam> expected(logits.shape());
    for (Index r = 0; r < expected.rows(); ++r) {
      std::copy_n(whole.row(all.row_splits.end(r) - 1), kVocabulary, expected.row(r));
    }
    expect_same(logits, expected);
  }
}

TYPED_TEST(LlamaModel, ASequenceDoesNotFeelTheOthers) {
  for (const LlamaConfig& config : configs()) {
    const auto model = model_of<TypeParam>(config);
    TokenBatch many;
    for (std::uint64_t i = 0; i < 5; ++i) many.push_back(sequence(static_cast<Index>(1 + 9 * i), i));
    const auto together = model(many).value();
    for (Index i = 0; i < 5; ++i) {
      TokenBatch one;
      one.push_back(many.sequence(i));
      expect_same(model(one).value(), rows_of(together, many.row_splits.begin(i), many.row_splits.length(i)));
    }
  }
}

TYPED_TEST(LlamaModel, ATokenSeesThoseBeforeItWithinItsWindow) {
  for (LlamaConfig config : configs()) {
    config.layers = 1;
    config.tie_embeddings = false;
    const auto model = model_of<TypeParam>(config);
    auto tokens = sequence(12, 1);
    const auto before = model(TokenBatch({tokens})).value();
    tokens[5] = static_cast<TokenId>((tokens[5] + 1) % kVocabulary);
    const auto after = model(TokenBatch({tokens})).value();
    for (Index i = 0; i < 12; ++i) {
      const bool sees = i >= 5 && (!config.window || i <= 5 + *config.window);
      EXPECT_EQ(rapt_test::same_bits(rows_of(before, i, 1), rows_of(after, i, 1)), !sees) << i;
    }
  }
}

TYPED_TEST(LlamaModel, LossIsTheMeanOverTheTargets) {
  const auto model = model_of<TypeParam>(small());
  const TokenBatch input({{1, 2, 3}, {4, 5}});
  const std::vector<TokenId> targets{2, 3, 7, 5, 9};
  const auto all = model(input);
  EXPECT_NEAR(model.loss({input, targets, {}}).item(), rapt::cross_entropy(all, targets).item(), 1e-5);
  const rapt::Variable<TypeParam> some(rapt::gather_rows<TypeParam>(all, std::vector<TokenId>{0, 3}));
  const std::vector<TokenId> two{2, 5};
  EXPECT_NEAR(model.loss({input, two, {0, 3}}).item(), rapt::cross_entropy(some, two).item(), 1e-5);
}

TEST(Llama, ParametersAreNamedAsHuggingFaceNamesThem) {
  std::vector<std::string> names;
  const auto collect = [&](const LlamaConfig& config) {
    names.clear();
    rapt::Rng rng(1);
    const Llama model(config, rng);
    rapt::for_each_parameter(model, [&](const std::string& name, const auto&) { names.push_back(name); });
  };
  LlamaConfig config = small();
  config.layers = 1;
  collect(config);
  EXPECT_EQ(names,
            (std::vector<std::string>{"embed_tokens.weight", "layers.0.self_attn.qkv_proj.weight",
                                      "layers.0.self_attn.o_proj.weight", "layers.0.mlp.gate_up_proj.weight",
                                      "layers.0.mlp.down_proj.weight", "layers.0.input_layernorm.weight",
                                      "layers.0.post_attention_layernorm.weight", "norm.weight", "lm_head.weight"}));
  config.tie_embeddings = config.attention_bias = config.attention_output_bias = config.mlp_bias = true;
  collect(config);
  EXPECT_EQ(names.size(), 8u + 4u);
  EXPECT_EQ(std::count(names.begin(), names.end(), "lm_head.weight"), 0);
}

/// The published sizes, without drawing a weight.
TEST(Llama, PresetsHaveTheirPublishedSizes) {
  const rapt::detail::InitialiseNothing scope;
  rapt::Rng rng(1);
  EXPECT_EQ(rapt::count_parameters(Llama(LlamaConfig::llama_7b(), rng)), 6738415616);
  EXPECT_EQ(rapt::count_parameters(Llama(LlamaConfig::llama2_7b(), rng)), 6738415616);
  EXPECT_EQ(rapt::count_parameters(Llama(LlamaConfig::llama31_8b(), rng)), 8030261248);
  EXPECT_EQ(rapt::count_parameters(Llama(LlamaConfig::tiny_llama(), rng)), 1100048384);
  EXPECT_EQ(rapt::count_parameters(Llama(LlamaConfig::mistral_7b(), rng)), 7241732096);
  EXPECT_EQ(rapt::count_parameters(Llama(LlamaConfig::qwen3_600m(), rng)), 596049920);
  EXPECT_EQ(rapt::count_parameters(Llama(LlamaConfig::phi3_mini(), rng)), 3821079552);
}

TEST(Llama, WeightsAreDrawnAsTheConfigSays) {
  LlamaConfig config = small();
  config.vocabulary = 500;
  config.init_std = 0.1;
  config.mlp_bias = true;
  rapt::Rng rng(1);
  const Llama model(config, rng);
  rapt::for_each_parameter(model, [](const std::string& name, const auto& parameter) {
    double square = 0;
    for (const float v : parameter.value().values()) square += double{v} * double{v};
    const double deviation = std::sqrt(square / static_cast<double>(parameter.size()));
    if (parameter.shape().rank() == 2) {
      EXPECT_NEAR(deviation, 0.1, 0.015) << name;
    } else {
      EXPECT_EQ(deviation, name.ends_with("bias") ? 0 : 1) << name;
    }
  });
}

TEST(Llama, SearchesContinuePrompts) {
  auto model = model_of<float>(small());
  TokenBatch prompts;
  for (std::uint64_t i = 0; i < 4; ++i) prompts.push_back(sequence(static_cast<Index>(2 + 3 * i), i));
  const rapt::GenerationOptions options{.extra_length = 8};
  const auto greedy = rapt::greedy_search(model, prompts, options, rapt_test::endless(model));
  for (Index i = 0; i < 4; ++i) {
    std::vector<TokenId> tokens(prompts.sequence(i).begin(), prompts.sequence(i).end());
    std::vector<TokenId> found;
    for (int t = 0; t < 8; ++t) {  // without any cache
      const auto logits = model(TokenBatch({tokens})).value();
      const float* last = logits.row(logits.rows() - 1);
      found.push_back(static_cast<TokenId>(std::max_element(last, last + kVocabulary) - last));
      tokens.push_back(found.back());
    }
    EXPECT_EQ(greedy[static_cast<std::size_t>(i)].tokens, found);
  }
  const auto best = rapt::beam_search(model, prompts, {.beam_size = 4, .length_penalty = 0, .generation = options},
                                      rapt_test::endless(model));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_GE(best[i].log_probability, greedy[i].log_probability - 1e-4);
}

TEST(Llama, LearnsASequenceByHeart) {
  rapt::Rng rng(1);
  LlamaConfig config = small();
  config.init_std = 0.2;
  Llama model(config, rng);
  const std::vector<TokenId> text{5, 3, 9, 9, 1, 0, 12, 3, 3, 7, 5, 2, 11, 4, 6, 8, 10};
  const rapt::LanguageBatch batch{
      TokenBatch({std::vector<TokenId>(text.begin(), text.end() - 1)}), {text.begin() + 1, text.end()}, {}};
  rapt::Adam<float> adam(model);
  for (int step = 0; step < 200; ++step) {
    const rapt::Training training(rng);
    rapt::backward(model.loss(batch));
    adam.step(0.01);
  }
  EXPECT_LT(model.loss(batch).item(), 0.05f);
}

TEST(Llama, DropoutActsInTrainingOnly) {
  LlamaConfig config = small();
  config.attention_dropout = 0.3f;
  const auto model = model_of<float>(config);
  const rapt::LanguageBatch batch{TokenBatch({{1, 2, 3, 4}}), {2, 3, 4, 5}, {}};
  const float loss = model.loss(batch).item();
  rapt::Rng rng(1);
  const rapt::Training training(rng);
  EXPECT_NE(model.loss(batch).item(), loss);
  auto state = model.start(TokenBatch({{1, 2, 3, 4}}));
  EXPECT_FALSE(model.feed(state, TokenBatch({{5}})).requires_grad()) << "decoding is not recorded";
}

TEST(Llama, IsTheSameOnAnyThreads) {
  const auto model = model_of<float>(small());
  TokenBatch input;
  for (std::uint64_t i = 0; i < 4; ++i) input.push_back(sequence(static_cast<Index>(3 + 20 * i), i));
  const auto targets = sequence(input.size(), 77);
  rapt_test::expect_same_bits_on_any_threads([&] {
    auto copy = model;
    const rapt::Recording scope;
    rapt::backward(copy.loss({input, targets, {}}));
    Tensor<float> all(rapt::Shape{rapt::count_parameters(copy)});
    float* to = all.data();
    rapt::for_each_parameter(copy, [&](const std::string&, const auto& parameter) {
      to = std::copy_n(parameter.grad().data(), parameter.size(), to);
    });
    return all;
  });
}

TEST(Llama, AConstModelServesManyThreads) {
  const auto model = model_of<float>(configs()[4]);  // positions behind the table
  std::vector<Tensor<float>> expected;
  const auto decode = [&](std::uint64_t number) {
    auto state = model.start(TokenBatch({sequence(9, number), sequence(4, number)}));
    std::ignore = model.step(state, std::vector<TokenId>{1, 2});
    return model.step(state, std::vector<TokenId>{3, 4});
  };
  for (std::uint64_t k = 0; k < 4; ++k) expected.push_back(decode(k));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t repeat = 0; repeat < 20; ++repeat) {
        const std::size_t k = (t + repeat) % 4;
        wrong[t] += rapt_test::same_bits(decode(k), expected[k]) ? 0 : 1;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const int count : wrong) EXPECT_EQ(count, 0);
}

TEST(Llama, WithoutRowsNothingHappens) {
  const auto model = model_of<float>(small());
  auto state = model.start(TokenBatch({{3, 4, 5}, {6}}));
  state.select(std::vector<Index>{});
  EXPECT_EQ(model.step(state, std::vector<TokenId>{}).shape(), (rapt::Shape{0, kVocabulary}));
  auto none = model.start(TokenBatch());
  EXPECT_EQ(model.step(none, std::vector<TokenId>{}).shape(), (rapt::Shape{0, kVocabulary}));
}

TEST(Llama, NamesWhatDoesNotFit) {
  std::vector<rapt_test::WrongUse> t;
  const auto wrong = [&](std::string name, std::function<void()> use, std::vector<std::string> parts) {
    t.push_back({std::move(name), std::move(use), std::move(parts)});
  };
  const auto config = [&](std::string name, std::function<void(LlamaConfig&)> change, std::vector<std::string> parts) {
    wrong(
        std::move(name),
        [change] {
          LlamaConfig c = small();
          change(c);
          rapt::Rng rng(1);
          Llama model(c, rng);
        },
        std::move(parts));
  };
  config("vocabulary", [](auto& c) { c.vocabulary = 0; }, {"[llama] ", "vocabulary 0"});
  config("layers", [](auto& c) { c.layers = 0; }, {"[llama] ", "layers 0"});
  config("groups", [](auto& c) { c.key_value_heads = 3; }, {"[llama] ", "heads = 4", "key_value_heads = 3"});
  config("no groups", [](auto& c) { c.key_value_heads = 0; }, {"key_value_heads = 0"});
  config("d_model", [](auto& c) { c.head_dim = std::nullopt, c.d_model = 10; }, {"d_model = 10", "heads = 4"});
  config("head_dim", [](auto& c) { c.head_dim = 0; }, {"head_dim = 0"});
  config("odd head_dim", [](auto& c) { c.head_dim = 5; }, {"[rotary] ", "head_dim = 5"});
  config("window", [](auto& c) { c.window = -2; }, {"[llama] ", "window", "-2"});
  config("dropout", [](auto& c) { c.attention_dropout = 1; }, {"[llama] ", "attention_dropout", "1"});
  config("epsilon", [](auto& c) { c.norm_epsilon = 0; }, {"[llama] ", "norm_epsilon", "0"});
  const auto model = model_of<float>(small());
  wrong("token", [&] { std::ignore = model(TokenBatch({{1, 13}})); }, {"[embedding] ", "id 13", "position 1"});
  wrong("prompt", [&] { std::ignore = model.start(TokenBatch({{1}, {}})); }, {"[prompt] ", "sequence 1 is empty"});
  wrong("step",
        [&] {
          auto state = model.start(TokenBatch({{1}, {2}}));
          std::ignore = model.step(state, std::vector<TokenId>{1});
        },
        {"[llama] ", "1 tokens", "2 rows"});
  wrong("splits",
        [&] {
          TokenBatch batch({{1, 2}});
          batch.tokens.pop_back();
          std::ignore = model(batch);
        },
        {"[llama] ", "1 tokens", "end at 2"});
  wrong("weights",
        [&] {
          std::vector<Tensor<float>> weights(3);
          std::ignore = model.hidden(TokenBatch({{1, 2}}), weights);
        },
        {"[stack] ", "3 tensors", "2 layers"});
  rapt_test::expect_errors(t);
}

}  // namespace
