/// \file
/// Transformer-XL against transformers, segments with memory against the whole text, and what only the memory knows.
// covers: models/transformer_xl_config.hpp
// covers: pretrained/transformer_xl.hpp
#include "rapt/models/transformer_xl.hpp"

#include <gtest/gtest.h>

#include "rapt/data/segments.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/transformer_xl.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/sequence_marks.hpp"

namespace {

using rapt::Index;
using rapt::LanguageBatch;
using rapt::SegmentCache;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt::TransformerXl;
using rapt::TransformerXlConfig;
using rapt_test::PretrainedCase;

TokenBatch one(const std::vector<TokenId>& text) {
  TokenBatch batch;
  batch.push_back(text);
  return batch;
}

constexpr const char* kCases[] = {"plain", "empty", "no_memory", "adaptive", "projected", "div_2", "div_4"};

/// The memory of sequences that begin without zeros.
template <class T>
SegmentCache<T> no_rows(const TransformerXlConfig& config, Index sequences) {
  const auto layers = static_cast<std::size_t>(config.layers);
  return {std::vector<Tensor<T>>(layers, Tensor<T>(Shape{0, config.d_model})), rapt::RowSplits::equal(sequences, 0)};
}

template <class T>
class GoldenTransformerXl : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GoldenTransformerXl, Scalars);

TYPED_TEST(GoldenTransformerXl, SegmentsMemoriesLossAndGradients) {
  using T = TypeParam;
  for (const std::string name : kCases) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("transformer_xl", name);
    const auto model = rapt::from_pretrained<TransformerXl<T>>(golden.folder.path());
    SegmentCache<T> memory;
    if (name == "empty") memory = no_rows<T>(model.config(), 2);
    for (const std::string k : {"0", "1", "2"}) {
      const TokenBatch segment = golden.batch("segment" + k, "row_splits");
      if (k == "2") {
        auto before = memory;
        const LanguageBatch batch{segment, golden.ids("targets"), golden.ids("rows")};
        const auto of_targets = model.target_log_probabilities(batch, before);
        before = memory;
        const rapt::Recording scope;
        const auto loss = model.loss(batch, before);
        golden.expect_output("loss", loss.value());
        rapt::backward(loss);
        golden.expect_stored_gradients(model, rapt_test::kGradientTolerance<T>);
        double sum = 0;
        for (const double log_probability : of_targets) sum -= log_probability;
        EXPECT_NEAR(sum / static_cast<double>(of_targets.size()), static_cast<double>(loss.item()), 1e-5);
      }
      auto again = memory;
      golden.expect_output("hidden" + k, model.hidden(segment, again).value());
      golden.expect_output("log_probabilities" + k, model(segment, memory));
    }
    for (std::size_t i = 0; i < memory.layers.size(); ++i) {
      if (model.config().memory_length > 0) {
        golden.expect_output("memory" + std::to_string(i), memory.layers[i]);
      } else {
        EXPECT_EQ(memory.layers[i].rows(), 0);
      }
    }
  }
}

TEST(TransformerXl, TravelsBackUnchanged) {
  for (const std::string name : kCases) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("transformer_xl", name);
    golden.expect_round_trip(rapt::from_pretrained<TransformerXl<float>>(golden.folder.path()));
  }
}

TransformerXlConfig small_config() {
  return {.vocabulary = 17,
          .cutoffs = {5, 11},
          .div_val = 2,
          .d_model = 16,
          .d_embed = 16,
          .heads = 2,
          .head_dim = 6,
          .d_ff = 20,
          .layers = 2,
          .memory_length = 40,
          .clamp_length = 0,
          .same_length = false,
          .dropout = 0};
}

template <class T = double>
TransformerXl<T> small_model(const TransformerXlConfig& config = small_config(), std::uint64_t seed = 1) {
  rapt::Rng rng(seed);
  TransformerXl<T> model(config, rng);
  rapt_test::randomize(model, seed, 0.4);
  return model;
}

/// Rows of several sequences, each read to the end in segments of these lengths, equal those of the whole sequence.
void expect_segments_equal_the_whole(const TransformerXlConfig& config) {
  const auto model = small_model(config);
  const std::vector<std::vector<TokenId>> texts{rapt_test::random_ids(19, 17, 1), rapt_test::random_ids(11, 17, 2),
                                                rapt_test::random_ids(26, 17, 3)};
  const std::vector<std::vector<std::size_t>> lengths{{4, 9, 0, 6}, {0, 3, 1, 7}, {10, 2, 1, 13}};
  SegmentCache<double> memory;
  std::vector<std::size_t> read(3, 0);
  std::vector<Tensor<double>> whole;
  for (const auto& text : texts) whole.push_back(model.hidden(one(text)).value());
  for (std::size_t s = 0; s < 4; ++s) {
    TokenBatch segment;
    for (std::size_t i = 0; i < 3; ++i) segment.push_back(std::span(texts[i]).subspan(read[i], lengths[i][s]));
    const Tensor<double> hidden = model.hidden(segment, memory).value();
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t r = 0; r < lengths[i][s]; ++r) {
        const Index row = segment.row_splits.begin(static_cast<Index>(i)) + static_cast<Index>(r);
        for (Index c = 0; c < hidden.cols(); ++c) {
          EXPECT_NEAR(hidden(row, c), whole[i](static_cast<Index>(read[i] + r), c), 1e-12);
        }
      }
      read[i] += lengths[i][s];
    }
  }
}

TEST(TransformerXl, SegmentsWithMemoryEqualTheWholeText) {
  TransformerXlConfig config = small_config();
  expect_segments_equal_the_whole(config);
  config.pre_norm = true;
  config.clamp_length = 3;
  expect_segments_equal_the_whole(config);
  config.same_length = true;  // also where the memory is too short for all of the text
  config.memory_length = 5;
  expect_segments_equal_the_whole(config);
}

TEST(TransformerXl, WithMemoryOfOneTokenOfTheSameLengthTokensSeeThemselvesAlone) {
  TransformerXlConfig config = small_config();
  config.same_length = true;
  config.memory_length = 1;
  expect_segments_equal_the_whole(config);
  const auto model = small_model(config);
  const std::vector<TokenId> text = rapt_test::random_ids(9, 17, 1);
  const Tensor<double> whole = model.hidden(one(text)).value();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const Tensor<double> alone = model.hidden(one({text[i]})).value();
    for (Index c = 0; c < whole.cols(); ++c) EXPECT_NEAR(whole(static_cast<Index>(i), c), alone(0, c), 1e-12);
  }
  config.memory_length = 2;
  EXPECT_FALSE(rapt_test::same_bits(small_model(config).hidden(one(text)).value(), whole));
}

TEST(TransformerXl, MemoryKeepsTheLastTokens) {
  TransformerXlConfig config = small_config();
  config.memory_length = 6;
  const auto model = small_model(config);
  SegmentCache<double> memory;
  EXPECT_TRUE(memory.empty());
  std::ignore = model(TokenBatch({{1, 2, 3, 4}, {5}}), memory);
  EXPECT_EQ(memory.row_splits, rapt_test::splits_of({4, 1}));
  const SegmentCache<double> first = memory;
  std::ignore = model(TokenBatch({{5, 6, 7}, {8, 9}}), memory);
  EXPECT_EQ(memory.row_splits, rapt_test::splits_of({6, 3}));
  ASSERT_EQ(memory.layers.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    for (Index c = 0; c < 16; ++c) {
      EXPECT_EQ(memory.layers[i](0, c), first.layers[i](1, c));  // the first token is forgotten
      EXPECT_EQ(memory.layers[i](6, c), first.layers[i](4, c));
    }
  }
  memory.select(std::vector<Index>{1, 1, 0});
  EXPECT_EQ(memory.row_splits, rapt_test::splits_of({3, 3, 6}));
  EXPECT_EQ(memory.layers[1](0, 3), first.layers[1](4, 3));
  EXPECT_EQ(memory.layers[1](3, 3), first.layers[1](4, 3));
  EXPECT_EQ(memory.layers[1](6, 3), first.layers[1](1, 3));
}

TEST(TransformerXl, MemoryLengthMayChange) {
  TransformerXlConfig config = small_config();
  config.same_length = true;
  config.memory_length = 3;
  auto model = small_model(config);
  config.memory_length = 8;
  const auto longer = small_model(config);
  model.set_memory_length(8);
  const TokenBatch text = one(rapt_test::random_ids(20, 17, 1));
  EXPECT_TRUE(rapt_test::same_bits(model.hidden(text).value(), longer.hidden(text).value()));
  EXPECT_EQ(model.config().memory_length, 8);
}

TEST(TransformerXl, StepsEqualTheWholeText) {
  const auto model = small_model();
  const TokenBatch prompts({{3, 1, 4, 1, 5}, {3, 1, 4}, {3, 1, 4, 1, 9, 2, 6}});
  auto state = model.start(prompts);
  EXPECT_EQ(state.row_splits, rapt_test::splits_of({4, 2, 6}));
  std::vector<std::vector<TokenId>> texts;
  std::vector<TokenId> next;
  for (Index i = 0; i < 3; ++i) {
    texts.emplace_back(prompts.sequence(i).begin(), prompts.sequence(i).end());
    next.push_back(texts.back().back());
  }
  for (int step = 0; step < 4; ++step) {
    const auto log_probabilities = model.step(state, next);
    ASSERT_EQ(log_probabilities.shape(), (Shape{3, 17}));
    for (std::size_t i = 0; i < 3; ++i) {
      SegmentCache<double> none;
      const auto whole = model(one(texts[i]), none);
      for (Index v = 0; v < 17; ++v) {
        EXPECT_NEAR(log_probabilities(static_cast<Index>(i), v), whole(whole.rows() - 1, v), 1e-11);
      }
      next[i] = static_cast<TokenId>((7 * step + 3 * static_cast<int>(i)) % 17);
      texts[i].push_back(next[i]);
    }
  }
}

TEST(TransformerXl, Generates) {
  const auto model = small_model();
  const TokenBatch prompts({{3, 1, 4, 1, 5}, {8}, {3, 1, 9, 2, 6}});
  const rapt::GenerationOptions options{.extra_length = 9};
  const auto many = rapt::greedy_search(model, prompts, options, rapt_test::endless(model));
  const auto beams = rapt::beam_search(model, prompts, {.beam_size = 4, .length_penalty = 0, .generation = options},
                                       rapt_test::endless(model));
  for (Index i = 0; i < 3; ++i) {
    const auto at = static_cast<std::size_t>(i);
    ASSERT_EQ(many[at].tokens.size(), 9u);
    const auto prompt = prompts.sequence(i);
    EXPECT_EQ(rapt::greedy_search(model, one({prompt.begin(), prompt.end()}), options, rapt_test::endless(model))
                  .front()
                  .tokens,
              many[at].tokens);
    EXPECT_GE(beams[at].log_probability, many[at].log_probability - 1e-9);
    // what the search says of its tokens is what the model says of them
    std::vector<TokenId> text(prompt.begin(), prompt.end());
    text.insert(text.end(), beams[at].tokens.begin(), beams[at].tokens.end());
    LanguageBatch batch{one({text.begin(), text.end() - 1}), std::vector<TokenId>(text.end() - 9, text.end()), {}};
    for (Index r = batch.input.size() - 9; r < batch.input.size(); ++r) batch.rows.push_back(static_cast<TokenId>(r));
    double sum = 0;
    SegmentCache<double> none;
    for (const double log_probability : model.target_log_probabilities(batch, none)) sum += log_probability;
    EXPECT_NEAR(beams[at].log_probability, sum, 1e-9);
  }
}

TEST(TransformerXl, SameBitsOnAnyNumberOfThreads) {
  TransformerXlConfig config = small_config();
  config.dropout = config.attention_dropout = 0.2f;
  const auto text = rapt_test::random_ids(400, 17, 3);
  std::vector<Tensor<float>> first;
  const Index before = rapt::threads();
  for (const Index threads : {1, 2, 3}) {
    rapt::set_threads(threads);
    auto model = small_model<float>(config);
    rapt::Rng rng(4);
    const rapt::Training scope(rng);
    SegmentCache<float> memory;
    const rapt::Segments segments(text, {.streams = 5, .length = 33});
    for (Index t = 0; t < segments.size(); ++t) rapt::backward(model.loss(segments[t], memory));
    std::vector<Tensor<float>> now;
    rapt::for_each_parameter(model, [&](const std::string&, const auto& p) { now.push_back(p.grad()); });
    if (first.empty()) first = now;
    for (std::size_t i = 0; i < now.size(); ++i) EXPECT_TRUE(rapt_test::same_bits(now[i], first[i])) << i;
  }
  rapt::set_threads(before);
}

/// Every second segment repeats the one before: only who remembers that can know it.
double loss_of_repetitions(bool with_memory) {
  constexpr Index kStreams = 16, kLength = 6, kVocabulary = 7;
  rapt::Rng rng(1);
  TransformerXlConfig config = small_config();
  config.vocabulary = kVocabulary;
  config.cutoffs = {};
  config.div_val = 1;
  config.d_model = config.d_embed = 32;
  config.d_ff = 32;
  config.memory_length = kLength;
  TransformerXl<float> model(config, rng);
  rapt::Adam adam(model, {.beta2 = 0.99});
  double mean = 0;
  constexpr int kSteps = 400;
  for (int step = 0; step < kSteps; ++step) {
    LanguageBatch first, second;  // a b c d e f -> b c d e f a, twice
    for (Index b = 0; b < kStreams; ++b) {
      std::vector<TokenId> tokens;
      for (Index i = 0; i < kLength; ++i) tokens.push_back(static_cast<TokenId>(rng.below(kVocabulary)));
      first.input.push_back(tokens);
      second.input.push_back(tokens);
      std::rotate(tokens.begin(), tokens.begin() + 1, tokens.end());
      second.targets.insert(second.targets.end(), tokens.begin(), tokens.end());
    }
    SegmentCache<float> memory;
    if (with_memory) std::ignore = model(first.input, memory);
    const rapt::Training scope(rng);
    const auto loss = model.loss(second, memory);
    rapt::backward(loss);
    adam.step(3e-3);
    if (step >= kSteps - 20) mean += static_cast<double>(loss.item()) / 20;
  }
  return mean;
}

TEST(TransformerXl, LearnsWhatOnlyTheMemoryKnows) {
  EXPECT_LT(loss_of_repetitions(true), 0.2);
  EXPECT_GT(loss_of_repetitions(false), 1.2);  // five of six targets are random: 5 / 6 ln 7 = 1.62
}

TEST(TransformerXl, PresetsHaveThePapersSizes) {
  const rapt::detail::InitialiseNothing scope;
  const auto parameters = [](const TransformerXlConfig& config) {
    rapt::Rng rng(1);
    return rapt::count_parameters(TransformerXl<float>(config, rng));
  };
  EXPECT_EQ(parameters(TransformerXlConfig::words()), 151119838);         // table 1: 151M
  EXPECT_EQ(parameters(TransformerXlConfig::characters(204)), 41066700);  // table 2: 41M
  EXPECT_EQ(parameters(TransformerXlConfig{}), 285205322);
}

TEST(TransformerXl, ErrorsNameTheValues) {
  const auto model = small_model();
  SegmentCache<double> two;
  std::ignore = model(TokenBatch({{1, 2}, {3}}), two);
  SegmentCache<double> shallow = two;
  shallow.layers.pop_back();
  const auto validate = [](const auto& change) {
    return [change] {
      TransformerXlConfig config = small_config();
      change(config);
      config.validate();
    };
  };
  rapt_test::expect_errors({
      {"sequences", [&] { std::ignore = model(TokenBatch({{1}}), two); }, {"2 sequences for 1"}},
      {"layers",
       [&] {
         std::ignore = model(TokenBatch({{1}, {2}}), shallow);
       },
       {"1 layers for 2"}},
      {"token",
       [&] {
         std::ignore = model(TokenBatch({{17}, {2}}), two);
       },
       {"token id 17"}},
      {"targets",
       [&] {
         std::ignore = model.loss({TokenBatch({{1, 2}}), {3}, {}});
       },
       {"1 targets", "[2, 16]"}},
      {"select", [&] { two.select(std::vector<Index>{2}); }, {"sequence 2 of 2"}},
      {"step", [&] { std::ignore = model.step(two, std::vector<TokenId>{1}); }, {"1 tokens for 2 rows"}},
      {"odd", validate([](auto& c) { c.d_model = 15; }), {"even d_model", "15"}},
      {"heads", validate([](auto& c) { c.heads = 0; }), {"heads 0"}},
      {"memory", validate([](auto& c) { c.memory_length = -1; }), {"memory_length -1"}},
      {"same", validate([](auto& c) { c.memory_length = 0, c.same_length = true; }), {"same_length", "0"}},
      {"dropout", validate([](auto& c) { c.attention_dropout = 1.f; }), {"dropout", "1"}},
      {"cutoffs", validate([](auto& c) { c.cutoffs = {17}; }), {"cutoffs", "17"}},
      {"shared",
       validate([](auto& c) {
         c.shared_projections = {false, true, true, true};
       }),
       {"4 clusters", "3"}},
      {"epsilon", validate([](auto& c) { c.norm_epsilon = 0; }), {"norm_epsilon", "0"}},
  });
  EXPECT_EQ(two.rows(), 2);  // errors leave the memory as it was
}

}  // namespace
