/// \file
/// What is a DecodingModel and what is none.
#include "rapt/generation/decoding_model.hpp"

#include <gtest/gtest.h>

#include "rapt/models/transformer.hpp"
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

TEST(Hypothesis, IsEmptyAtFirst) {
  EXPECT_TRUE(rapt::Hypothesis{}.finished);
  EXPECT_TRUE(rapt::Hypothesis{}.tokens.empty());
}

}  // namespace
