/// \file
/// What language models without an encoder share, with the smallest model that there can be.
#include "rapt/models/causal_decoder.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/nn/embedding.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::TokenId;
using Variable = rapt::Variable<double>;

constexpr Index kVocabulary = 7, kModel = 6;

/// An embedding and two blocks.
class Smallest : public rapt::CausalDecoder<Smallest, double> {
 public:
  explicit Smallest(rapt::Rng& rng)
      : embedding_(kVocabulary, kModel, rng),
        layers_(2, {.attention = {.d_model = kModel, .heads = 2}, .d_ff = 5, .dropout = 0.f}, true, rng) {
    rapt_test::randomize(*this, 2);
  }

  [[nodiscard]] rapt::SequenceMarks sequence_marks() const { return {}; }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    rapt::Stack<double>::visit(self.layers_, visitor);
  }

 private:
  friend class rapt::CausalDecoder<Smallest, double>;
  static constexpr std::string_view kWhere = "smallest";
  [[nodiscard]] const rapt::Parameter<double>& output_weight() const { return embedding_.weight(); }
  [[nodiscard]] Variable embed(const TokenBatch& batch, const rapt::PrefixState<double>& behind) const {
    EXPECT_TRUE(behind.layers.empty() || behind.rows() == batch.sequences());
    return embedding_(batch.tokens);
  }

  rapt::Embedding<double> embedding_;
  rapt::Stack<double> layers_;
};
static_assert(rapt::Module<Smallest>);

[[nodiscard]] Smallest model() {
  rapt::Rng rng(1);
  return Smallest(rng);
}

TEST(CausalDecoder, TokensDoNotAttendToWhatFollows) {
  const Smallest smallest = model();
  const Tensor<double> one = smallest.hidden(TokenBatch({{1, 2, 3}, {4}})).value();
  const Tensor<double> other = smallest.hidden(TokenBatch({{1, 2, 5}, {4}})).value();
  for (Index c = 0; c < kModel; ++c) {
    EXPECT_EQ(one(1, c), other(1, c));
    EXPECT_NE(one(2, c), other(2, c));
    EXPECT_EQ(one(3, c), other(3, c));
  }
}

TEST(CausalDecoder, LossIsThatOfTheLogits) {
  const Smallest smallest = model();
  const rapt::LanguageBatch all{.input = TokenBatch({{1, 2, 3}, {4}}), .targets = {2, 3, 0, 6}, .rows = {}};
  const Variable logits = smallest(all.input);
  EXPECT_EQ(logits.shape(), (Shape{4, kVocabulary}));
  EXPECT_NEAR(smallest.loss(all).item(), cross_entropy(logits, all.targets).item(), 1e-13);
  const rapt::LanguageBatch some{.input = all.input, .targets = {3, 6}, .rows = {1, 3}};
  const Variable of_rows = rapt::gather_rows<double>(logits, some.rows);
  EXPECT_NEAR(smallest.loss(some).item(), cross_entropy(of_rows, some.targets).item(), 1e-13);
  const rapt::Recording scope;
  rapt::backward(smallest.loss(some));
  rapt::for_each_parameter(smallest,
                           [](const std::string& name, const auto& p) { EXPECT_FALSE(p.grad().empty()) << name; });
}

TEST(CausalDecoder, HandsOutProbabilities) {
  const Smallest smallest = model();
  std::vector<Tensor<double>> weights(2);
  std::ignore = smallest.hidden(TokenBatch({{1, 2, 3}, {4}}), weights);
  for (const Tensor<double>& w : weights) {
    ASSERT_EQ(w.shape(), (Shape{2, 2, 3, 3}));
    EXPECT_EQ(w.data()[0], 1);
    EXPECT_EQ(w.data()[1], 0);
  }
}

/// Prompts and steps give the logits of the whole, also after prompts that begin alike.
TEST(CausalDecoder, StepsEqualTheWhole) {
  const Smallest smallest = model();
  const TokenBatch prompts({{1, 2, 3}, {1, 2, 5, 6}});
  auto state = smallest.start(prompts);
  EXPECT_EQ(state.lengths(), (std::vector<Index>{2, 3}));
  std::vector<TokenId> last{3, 6};
  TokenBatch whole({{1, 2, 3}, {1, 2, 5, 6}});
  for (int step = 0; step < 3; ++step) {
    const Tensor<double> logits = smallest.step(state, last);
    const Tensor<double> expected = smallest(whole).value();
    TokenBatch longer;
    for (Index r = 0; r < 2; ++r) {
      for (Index v = 0; v < kVocabulary; ++v) {
        EXPECT_NEAR(logits(r, v), expected(whole.row_splits.end(r) - 1, v), 1e-12);
      }
      last[static_cast<std::size_t>(r)] = static_cast<TokenId>((step + r) % kVocabulary);
      std::vector<TokenId> tokens(whole.sequence(r).begin(), whole.sequence(r).end());
      tokens.push_back(last[static_cast<std::size_t>(r)]);
      longer.push_back(tokens);
    }
    whole = longer;
  }
}

TEST(CausalDecoder, IsAModelThatSearchesKnow) {
  static_assert(rapt::DecodingModel<Smallest>);
  static_assert(Smallest::kDecoderOnly);
  const Smallest smallest = model();
  const auto found = rapt::greedy_search(smallest, TokenBatch({{1, 2}}), {.max_length = 4});
  EXPECT_EQ(found.front().tokens.size(), 4U);
}

TEST(CausalDecoder, ErrorsNameTheModel) {
  const Smallest smallest = model();
  TokenBatch broken({{1, 2}});
  broken.tokens.pop_back();
  rapt_test::expect_errors({{"splits", [&] { std::ignore = smallest.hidden(broken); }, {"[smallest] 1 tokens", "at 2"}},
                            {"step",
                             [&] {
                               auto state = smallest.empty_state(2);
                               std::ignore = smallest.step(state, std::vector<TokenId>{1});
                             },
                             {"[smallest] 1 tokens for 2 rows"}}});
}

}  // namespace
