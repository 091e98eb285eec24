/// \file
/// Searches that go on from a kept state.
#include "rapt/generation/resumed_model.hpp"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "rapt/models/gpt.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::TokenId;
using Model = rapt::Gpt<float>;
static_assert(rapt::DecodingModel<rapt::ResumedModel<Model>> && rapt::kContinuesPrompts<rapt::ResumedModel<Model>>);

Model random_gpt() {
  rapt::Rng rng(2);
  Model model({.vocabulary = 20, .positions = 40, .d_model = 16, .layers = 2, .heads = 2, .end_tokens = {0}}, rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
    rng.fill_uniform(parameter.mutable_value().values(), -0.6, 0.6);
  });
  return model;
}
rapt::TokenBatch prompt_of(const std::vector<TokenId>& tokens) {
  rapt::TokenBatch batch;
  batch.push_back(tokens);
  return batch;
}

TEST(ResumedModel, FindsWhatASearchFromTheBeginningFinds) {
  const Model model = random_gpt();
  const std::vector<TokenId> prompt = {3, 4, 5, 6, 7, 8, 9};
  const rapt::GenerationOptions generation{.extra_length = 8};
  const auto expected = rapt::greedy_search(model, prompt_of(prompt), generation).front();
  for (Index read = 0; read < 7; ++read) {
    auto state = model.empty_state(1);
    if (read > 0) std::ignore = model.feed(state, prompt_of({prompt.begin(), prompt.begin() + read}));
    const rapt::ResumedModel<Model> resumed(model, state);
    const auto found = rapt::greedy_search(resumed, prompt_of(prompt), generation).front();
    EXPECT_EQ(found.tokens, expected.tokens) << read;
    EXPECT_NEAR(found.log_probability, expected.log_probability, 1e-4);
    const Index count = std::ssize(found.tokens);
    EXPECT_EQ(state.lengths().front(), 7 + count - (found.finished ? 0 : 1));
  }
}

TEST(ResumedModel, RefusesOtherStates) {
  const Model model = random_gpt();
  const auto refusal = [&](Index rows, Index read, const rapt::TokenBatch& prompts) {
    auto state = model.empty_state(rows);
    if (read > 0) std::ignore = model.feed(state, prompt_of(std::vector<TokenId>(static_cast<std::size_t>(read), 3)));
    return rapt_test::error_text<rapt::ValueError>(
        [&] { std::ignore = rapt::ResumedModel<Model>(model, state).start(prompts); });
  };
  EXPECT_EQ(refusal(1, 2, prompt_of({3, 3})), "[resumed_model] the state has read 2 tokens of a prompt of 2");
  EXPECT_EQ(refusal(2, 0, prompt_of({3, 3})),
            "[resumed_model] one prompt continues one row: there are 1 prompts for 2 rows");
  rapt::TokenBatch two = prompt_of({3, 3});
  two.push_back(std::vector<TokenId>{4});
  EXPECT_EQ(refusal(1, 0, two), "[resumed_model] one prompt continues one row: there are 2 prompts for 1 rows");
}

}  // namespace
