/// \file
/// Searches over Transformers of several sizes, pre and post norm: step by step with a cache they find what the whole
/// forward pass says, alone as in a batch.
#include <gtest/gtest.h>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "rapt/generation/scoring.hpp"
#include "tests/common/allowed.hpp"
#include "tests/generation/random_transformer.hpp"

namespace {

using rapt::Hypothesis;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::allowed;
using rapt_test::expect_same;
using rapt_test::one_sequence;
using rapt_test::tokens_of;

struct Case {
  std::string name;
  rapt::TransformerConfig config;
};

std::vector<Case> cases() {
  std::vector<Case> result;
  for (const auto norm : {rapt::NormPlacement::post, rapt::NormPlacement::pre}) {
    const std::string suffix = norm == rapt::NormPlacement::pre ? ", pre-norm" : ", post-norm";
    rapt::TransformerConfig config{.source_vocabulary = 11,
                                   .target_vocabulary = 11,
                                   .d_model = 16,
                                   .heads = 2,
                                   .d_ff = 32,
                                   .encoder_layers = 2,
                                   .decoder_layers = 2,
                                   .norm = norm};
    result.push_back({"small" + suffix, config});
    config.heads = 4;
    config.decoder_layers = 5;
    config.learned_positions = 60;
    result.push_back({"deep" + suffix, config});
    config = {.source_vocabulary = 40,
              .target_vocabulary = 57,
              .d_model = 40,
              .heads = 5,
              .d_ff = 72,
              .encoder_layers = 1,
              .decoder_layers = 3,
              .activation = rapt::Activation::gelu,
              .norm = norm,
              .tie_embeddings = false,
              .output_bias = true};
    result.push_back({"wide" + suffix, config});
  }
  return result;
}

TokenBatch sources() { return TokenBatch({{3, 9, 2}, {4, 5, 6, 7, 8, 9, 10, 2}, {2}, {5, 5, 5, 2}, {7, 3, 4, 6, 2}}); }

class Generation : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Transformers, Generation, testing::ValuesIn(cases()), [](const auto& of) {
  std::string name = of.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ' ' || c == ',' || c == '-'; }, '_');
  return name;
});

const rapt::GenerationOptions kLengths{.extra_length = 9, .min_length = 3};

TEST_P(Generation, LogProbabilitiesAreTheWholeForwardPasss) {
  const auto model = rapt_test::random_transformer<float>(GetParam().config, 5);
  const auto greedy = rapt::greedy_search(model, sources(), kLengths);
  const auto lists = rapt::beam_search_n_best(model, sources(), 4, {.generation = kLengths});
  const auto drawn = rapt::sample(model, sources(), {.top_k = 5, .samples = 2, .generation = kLengths});
  std::size_t tokens = 0;
  for (Index i = 0; i < sources().sequences(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    std::vector<Hypothesis> all = lists[at];
    all.push_back(greedy[at]);
    all.insert(all.end(), drawn[at].begin(), drawn[at].end());
    for (const Hypothesis& h : all) {
      const double whole = rapt_test::log_probability_of(model, tokens_of(sources(), i), h);
      EXPECT_NEAR(h.log_probability, whole, allowed<float>(1e-5) * (1 - whole));
      tokens += h.tokens.size();
    }
    TokenBatch repeated;  // and the same in one teacher-forced pass
    for (std::size_t h = 0; h < all.size(); ++h) repeated.push_back(sources().sequence(i));
    const auto scores = rapt::score(model, repeated, all);
    for (std::size_t h = 0; h < all.size(); ++h) {
      EXPECT_NEAR(all[h].log_probability, scores[h].log_probability,
                  allowed<float>(1e-5) * (1 - scores[h].log_probability));
    }
  }
  EXPECT_GT(tokens, 105u);
}

TEST_P(Generation, InDoubleTheyAgreeToElevenDigits) {
  const auto model = rapt_test::random_transformer<double>(GetParam().config, 6);
  const auto found = rapt::beam_search(model, sources(), {.generation = kLengths});
  for (Index i = 0; i < sources().sequences(); ++i) {
    const Hypothesis& h = found[static_cast<std::size_t>(i)];
    const double whole = rapt_test::log_probability_of(model, tokens_of(sources(), i), h);
    EXPECT_NEAR(h.log_probability, whole, 1e-11 * (1 - whole));
  }
}

TEST_P(Generation, BeamOneIsGreedy) {
  const auto model = rapt_test::random_transformer<float>(GetParam().config, 7);
  const auto greedy = rapt::greedy_search(model, sources(), kLengths);
  const auto beam = rapt::beam_search(model, sources(), {.beam_size = 1, .length_penalty = 0, .generation = kLengths});
  expect_same(beam, greedy, 0);  // the same bits: the same rows in the same batches
}

TEST_P(Generation, ABatchOfOneEqualsABatchOfMany) {
  const auto model = rapt_test::random_transformer<float>(GetParam().config, 8);
  const double tolerance = allowed<float>(1e-5);  // products of few rows are added up in another order than of many
  const rapt::BeamSearchOptions options{.generation = kLengths};
  const auto greedy = rapt::greedy_search(model, sources(), kLengths);
  const auto lists = rapt::beam_search_n_best(model, sources(), 3, options);
  for (Index i = 0; i < sources().sequences(); ++i) {
    const TokenBatch one = one_sequence(sources().sequence(i));
    const auto at = static_cast<std::size_t>(i);
    expect_same(rapt::greedy_search(model, one, kLengths)[0], greedy[at], tolerance);
    expect_same(rapt::beam_search_n_best(model, one, 3, options)[0], lists[at], tolerance);
  }
}

TEST_P(Generation, AForcedPrefixIsAsIfItHadBeenFound) {
  const auto model = rapt_test::random_transformer<float>(GetParam().config, 9);
  const auto free = rapt::greedy_search(model, sources(), kLengths);
  TokenBatch prefix;
  for (const Hypothesis& h : free) prefix.push_back(std::span(h.tokens).first(3));
  expect_same(rapt::greedy_search(model, sources(), kLengths, {.prefix = prefix}), free, 0);
}

}  // namespace
