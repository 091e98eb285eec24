/// \file
/// Step-by-step decoding says what the whole forward pass says: uneven batches, and hypotheses that are dropped, moved
/// and doubled on the way.
#include <gtest/gtest.h>

#include <algorithm>

#include "rapt/models/transformer.hpp"
#include "tests/common/allowed.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Tensor;
using rapt::TokenId;
using Batch = rapt::TokenBatch;

constexpr TokenId kVocabulary = 13;

std::vector<rapt::TransformerConfig> configs() {
  const rapt::TransformerConfig post{.source_vocabulary = kVocabulary,
                                     .target_vocabulary = kVocabulary,
                                     .d_model = 16,
                                     .heads = 4,
                                     .d_ff = 24,
                                     .encoder_layers = 2,
                                     .decoder_layers = 3};
  rapt::TransformerConfig pre = post, learned = post, separate = post;
  pre.norm = rapt::NormPlacement::pre;
  pre.positions.layout = rapt::SinusoidLayout::concatenated;
  pre.positions.first_position = 1;
  learned.learned_positions = 40;
  learned.activation = rapt::Activation::gelu;
  separate.tie_embeddings = false;
  separate.output_bias = true;
  separate.final_norm = true;
  return {post, pre, learned, separate};
}

template <class T>
rapt::Transformer<T> model_of(const rapt::TransformerConfig& config) {
  rapt::Rng rng(1);
  rapt::Transformer<T> model(config, rng);
  rapt_test::randomize(model, 2, 0.4);  // biases and norms too
  return model;
}

template <class T>
inline constexpr double kTolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;

template <class T>
class Decoding : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Decoding, Scalars);

TYPED_TEST(Decoding, StepsEqualTheWholeForUnevenBatches) {
  const Batch source({{3, 4, 5, 6, 7}, {8, 9}, {10, 11, 12, 1, 2, 3, 4}, {5}});
  const Batch target({{1, 4, 5, 2, 6}, {1}, {1, 9, 8, 7, 6, 5, 4, 3}, {1, 2, 3}});
  for (const auto& config : configs()) {
    const auto model = model_of<TypeParam>(config);
    const auto whole = model(source, target).value();
    auto state = model.start(source);
    EXPECT_EQ(state.rows(), 4);
    Tensor<TypeParam> steps(whole.shape());
    for (Index t = 0; t < 8; ++t) {
      std::vector<TokenId> tokens;
      for (Index s = 0; s < 4; ++s) {  // rows that are finished go on with anything
        const auto sequence = target.sequence(s);
        tokens.push_back(t < target.row_splits.length(s) ? sequence[static_cast<std::size_t>(t)] : TokenId{0});
      }
      const auto logits = model.step(state, tokens);
      ASSERT_EQ(logits.shape(), (rapt::Shape{4, kVocabulary}));
      for (Index s = 0; s < 4; ++s) {
        if (t >= target.row_splits.length(s)) continue;
        std::copy_n(logits.row(s), kVocabulary, steps.row(target.row_splits.begin(s) + t));
      }
      EXPECT_EQ(state.lengths(), std::vector<Index>(4, t + 1));
    }
    EXPECT_LT(rapt_test::relative_error(steps, whole), rapt_test::allowed<TypeParam>(kTolerance<TypeParam>));
  }
}

TYPED_TEST(Decoding, SelectFollowsTheHypotheses) {
  const Batch source({{3, 4, 5, 6, 7}, {8, 9}, {10, 11, 12, 1, 2, 3, 4}});
  for (const auto& config : configs()) {
    const auto model = model_of<TypeParam>(config);
    auto state = model.start(source);
    struct Hypothesis {
      Index source;
      std::vector<TokenId> tokens;
    };
    std::vector<Hypothesis> hypotheses{{0, {}}, {1, {}}, {2, {}}};
    rapt::Rng rng(5);
    for (int t = 0; t < 36; ++t) {  // the caches grow twice
      if (t % 3 != 2) {             // before the first step as well
        const Index rows = 1 + rng.below(6);
        std::vector<Index> parents;
        std::vector<Hypothesis> selected;
        for (Index r = 0; r < rows; ++r) {
          parents.push_back(rng.below(static_cast<Index>(hypotheses.size())));
          selected.push_back(hypotheses[static_cast<std::size_t>(parents.back())]);
        }
        state.select(parents);
        hypotheses = selected;
      }
      Batch sources, targets;
      std::vector<TokenId> tokens;
      for (auto& hypothesis : hypotheses) {
        tokens.push_back(static_cast<TokenId>(rng.below(kVocabulary)));
        hypothesis.tokens.push_back(tokens.back());
        sources.push_back(source.sequence(hypothesis.source));
        targets.push_back(hypothesis.tokens);
      }
      const auto logits = model.step(state, tokens);
      const auto whole = model(sources, targets).value();
      Tensor<TypeParam> last(logits.shape());
      for (Index r = 0; r < last.rows(); ++r) {
        std::copy_n(whole.row(targets.row_splits.end(r) - 1), kVocabulary, last.row(r));
      }
      ASSERT_LT(rapt_test::relative_error(logits, last), rapt_test::allowed<TypeParam>(kTolerance<TypeParam>))
          << "step " << t;
    }
  }
}

TYPED_TEST(Decoding, CopiesOfAStateAreIndependent) {
  const auto model = model_of<TypeParam>(configs()[0]);
  auto state = model.start(Batch({{3, 4, 5}, {6}}));
  const auto step = [&](auto& s, TokenId token) { return model.step(s, std::vector<TokenId>{token, token}); };
  std::ignore = step(state, 1);
  auto copy = state;
  const auto expected = step(copy, 5);
  auto other = state;
  other.select(std::vector<Index>{1, 0});
  std::ignore = step(other, 7);
  EXPECT_TRUE(rapt_test::same_bits(step(state, 5), expected));
}

TYPED_TEST(Decoding, IsNotRecorded) {
  const auto model = model_of<TypeParam>(configs()[0]);
  rapt::Rng rng(1);
  const auto run = [&] {
    auto state = model.start(Batch({{3, 4, 5}}));
    return model.step(state, std::vector<TokenId>{1});
  };
  const auto expected = run();
  const rapt::Training training(rng);
  EXPECT_TRUE(rapt_test::same_bits(run(), expected)) << "dropout must be off";
  EXPECT_EQ(rng.state().streams_taken, 0u);
  EXPECT_TRUE(rapt::is_recording());
}

TYPED_TEST(Decoding, WithoutRowsNothingHappens) {
  const auto model = model_of<TypeParam>(configs()[0]);
  auto state = model.start(Batch({{3, 4, 5}, {6}}));
  std::ignore = model.step(state, std::vector<TokenId>{1, 1});
  state.select(std::vector<Index>{});
  EXPECT_EQ(model.step(state, std::vector<TokenId>{}).shape(), (rapt::Shape{0, kVocabulary}));
  auto none = model.start(Batch());
  EXPECT_EQ(model.step(none, std::vector<TokenId>{}).shape(), (rapt::Shape{0, kVocabulary}));
}

TYPED_TEST(Decoding, AnEmptySourceIsDecodedToo) {
  const Batch source({{}, {4, 5}}), target({{1, 2}, {1, 3}});
  for (const auto& config : configs()) {
    const auto model = model_of<TypeParam>(config);
    const auto whole = model(source, target).value();
    auto state = model.start(source);
    for (Index t = 0; t < 2; ++t) {
      const auto logits = model.step(state, std::vector<TokenId>{target.tokens[static_cast<std::size_t>(t)],
                                                                 target.tokens[static_cast<std::size_t>(2 + t)]});
      for (Index s = 0; s < 2; ++s) {
        for (Index j = 0; j < kVocabulary; ++j) {
          EXPECT_NEAR(logits(s, j), whole(2 * s + t, j), rapt_test::allowed<TypeParam>(10 * kTolerance<TypeParam>));
        }
      }
    }
  }
}

}  // namespace
