/// \file
/// What is a DecodingModel and what is none.
#include "rapt/generation/decoding_model.hpp"

#include <gtest/gtest.h>

#include <string>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "rapt/models/transformer.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/generation/prefix_model.hpp"

namespace {

using rapt::Index;
using rapt::TokenId;
using rapt_test::PrefixModel;

static_assert(rapt::DecodingModel<PrefixModel>);
static_assert(rapt::DecodingModel<rapt::Transformer<float>>);
static_assert(rapt::DecodingModel<rapt::Transformer<double>>);

/// The concept asks for nothing beside this.
struct Least {
  using ScalarType = float;
  struct State {
    int rows() const { return 1; }
    void select(std::span<const Index>) {}
  };
  rapt::SequenceMarks sequence_marks() const { return {}; }
  State start(const rapt::TokenBatch&) const { return {}; }
  rapt::Tensor<float> step(State&, std::span<const TokenId>) const { return {}; }
};
static_assert(rapt::DecodingModel<Least>);

struct NoSelect : Least {
  struct State {
    int rows() const { return 1; }
  };
  State start(const rapt::TokenBatch&) const { return {}; }
  rapt::Tensor<float> step(State&, std::span<const TokenId>) const { return {}; }
};
static_assert(!rapt::DecodingModel<NoSelect>);

struct OtherScalar : Least {
  rapt::Tensor<double> step(State&, std::span<const TokenId>) const { return {}; }
};
static_assert(!rapt::DecodingModel<OtherScalar>);

struct ChangesItself : Least {
  rapt::Tensor<float> step(State&, std::span<const TokenId>) { return {}; }
};
static_assert(!rapt::DecodingModel<ChangesItself>);

struct OtherMarks : Least {
  TokenId sequence_marks() const { return 1; }
};
static_assert(!rapt::DecodingModel<OtherMarks>);
static_assert(!rapt::DecodingModel<int>);

/// A model that tells how many tokens it has, and that no search should begin with.
struct Sized : PrefixModel {
  Index target_vocabulary() const { return 6; }
  State start(const rapt::TokenBatch& source) const {
    ADD_FAILURE() << "the search has begun";
    return PrefixModel::start(source);
  }
};
static_assert(rapt::DecodingModel<Sized>);

TEST(DecodingModel, TokensThatItDoesNotHaveAreRefusedBeforeItIsAsked) {
  const Sized model{rapt_test::random_prefix_model(6, 1)};
  const rapt::TokenBatch sources({{3, 4}});
  const auto refuse = [&](const rapt::GenerationOptions& options, const std::string& message) {
    rapt_test::expect_message<rapt::ValueError>([&] { (void)rapt::greedy_search(model, sources, options); },
                                                "[greedy_search] " + message);
    rapt_test::expect_message<rapt::ValueError>(
        [&] { (void)rapt::beam_search(model, sources, {.generation = options}); }, "[beam_search] " + message);
    rapt_test::expect_message<rapt::ValueError>([&] { (void)rapt::sample(model, sources, {.generation = options}); },
                                                "[sample] " + message);
  };
  refuse({.bad_words = {{5}, {4, 6}}}, "the token of bad_words 6 is outside the vocabulary of 6");
  refuse({.bad_words = {{-1}}}, "the token of bad_words -1 is outside the vocabulary of 6");
  refuse({.begin_suppressed = {6}}, "the token of begin_suppressed 6 is outside the vocabulary of 6");
}

TEST(Hypothesis, IsEmptyAtFirst) {
  EXPECT_TRUE(rapt::Hypothesis{}.finished);
  EXPECT_TRUE(rapt::Hypothesis{}.tokens.empty());
}

}  // namespace
