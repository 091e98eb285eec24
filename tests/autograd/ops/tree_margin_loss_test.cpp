/// \file
/// The max-margin loss of trees: by hand, against its definition, its gradient, and what is refused.
#include "rapt/autograd/ops/tree_margin_loss.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::RowSplits;
using rapt::Tensor;
using Ids = std::vector<std::int32_t>;
using Variable = rapt::Variable<double>;

// Sentences of 3, 1 and 4 words with 6, 1 and 10 spans.
const std::vector<Index> kLengths{3, 1, 4};
const Ids kGold{-1, 1, 0, -1, -1, 2, 1, 0, -1, -1, 2, 2, 0, -1, -1, -1, 1};
RowSplits words() { return RowSplits::from_lengths(kLengths); }

TEST(TreeMarginLoss, OfOneSentenceByHand) {
  // Two words and one label; the spans (0, 1), (0, 2), (1, 2). The gold tree has (0, 2) and (1, 2): 2 + 0.5. The best
  // tree with margins also labels (0, 1), for 0.25 + 1: 3.75, and leaves out (1, 2) for 1: 0.25 + 1 + 2 + 1 = 4.25.
  const Variable x(Tensor<double>({3, 1}, std::vector<double>{0.25, 2, 0.5}), true);
  const rapt::Recording scope;
  const Variable loss = tree_margin_loss(x, RowSplits::from_lengths(std::vector<Index>{2}), Ids{-1, 0, 0});
  EXPECT_DOUBLE_EQ(loss.item(), 4.25 - 2.5);
  rapt::backward(loss);
  EXPECT_EQ(x.grad()(0, 0), 1);   // in the best tree alone
  EXPECT_EQ(x.grad()(1, 0), 0);   // in both
  EXPECT_EQ(x.grad()(2, 0), -1);  // in the gold tree alone
}

TEST(TreeMarginLoss, IsZeroWhereTheGoldTreeWinsByItsMargin) {
  Tensor<double> scores({17, 3}, -20.0);
  for (Index i = 0; i < 17; ++i) {
    if (rapt::at(kGold, i) >= 0) scores(i, rapt::at(kGold, i)) = 20;
  }
  const Variable x(scores, true);
  const rapt::Recording scope;
  const Variable loss = tree_margin_loss(x, words(), kGold);
  EXPECT_EQ(loss.item(), 0);
  rapt::backward(loss);
  for (const double g : x.grad().values()) EXPECT_EQ(g, 0);
}

TEST(TreeMarginLoss, ItsGradientIsThatOfDifferences) {
  const auto f = [](const std::vector<Variable>& x) { return rapt::tree_margin_loss(x[0], words(), kGold); };
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto result = rapt::gradcheck(f, {rapt_test::normal_tensor<double>({17, 3}, seed)});
    EXPECT_LT(result.worst_relative_error, 1e-6);
  }
}

TEST(TreeMarginLoss, IsTheSameWithoutAGradient) {
  const Variable x(rapt_test::normal_tensor<double>({17, 3}, 5), true);
  const double alone = tree_margin_loss(x, words(), kGold).item();
  const rapt::Recording scope;
  EXPECT_EQ(alone, tree_margin_loss(x, words(), kGold).item());
  EXPECT_GT(alone, 0);
}

TEST(TreeMarginLoss, SameBitsOnAnyNumberOfThreads) {
  rapt_test::expect_same_bits_on_any_threads([&] {
    const Variable x(rapt_test::normal_tensor<double>({17, 3}, 5), true);
    const rapt::Recording scope;
    rapt::backward(tree_margin_loss(x, words(), kGold));
    return x.grad();
  });
}

TEST(TreeMarginLoss, ScoresThatAreNoNumbersShowInTheLoss) {
  const Variable x(Tensor<double>({1, 2}, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(std::isfinite(tree_margin_loss(x, RowSplits::from_lengths(std::vector<Index>{1}), Ids{0}).item()));
  for (const Index place : {0, 7, 50}) {  // one number among others, of labels that are not gold, too
    Tensor<double> scores = rapt_test::normal_tensor<double>({17, 3}, 1);
    scores.data()[place] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_TRUE(std::isnan(tree_margin_loss(Variable(scores), words(), kGold).item())) << place;
  }
}

TEST(TreeMarginLoss, ErrorsNameWhatDoesNotFit) {
  const auto loss = [](rapt::Shape shape, const Ids& gold) {
    return [=] { std::ignore = rapt::tree_margin_loss(Variable(Tensor<double>(shape, 0.0)), words(), gold); };
  };
  Ids rootless = kGold;
  rootless[6] = -1;
  Ids crossing = kGold;  // (1, 3) of the first sentence beside (0, 2)
  crossing[4] = 0;
  const auto empty = [] {
    const RowSplits lengths = RowSplits::from_lengths(std::vector<Index>{0, 1});
    std::ignore = rapt::tree_margin_loss(Variable(Tensor<double>({1, 1}, 0.0)), lengths, Ids{0});
  };
  rapt_test::expect_errors({
      {"scores", loss({16, 3}, kGold), {"[tree_margin_loss] scores of shape [16, 3] and 17 gold labels"}},
      {"gold", loss({17, 3}, Ids(16, 0)), {"16 gold labels for 17 spans of 3 sentences"}},
      {"label", loss({17, 2}, kGold), {"gold label 2 of span 5 is outside of -1 .. 1"}},
      {"root", loss({17, 3}, rootless), {"the span of all words of sentence 1 has no gold label"}},
      {"crossing", loss({17, 3}, crossing), {"the gold span 1 .. 3 of sentence 0 crosses another"}},
      {"words", empty, {"sentence 0 has no words"}},
  });
}

}  // namespace
