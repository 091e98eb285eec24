/// \file
/// Attention rollout against a loop over all paths of two layers, and its limits.
#include "rapt/visualization/attention_rollout.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/random.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;

/// Random probabilities: rows sum to 1.
[[nodiscard]] Tensor<double> random_weights(const Shape& shape, std::uint64_t seed) {
  auto weights = rapt_test::random_tensor<double>(shape, seed, 0.01, 1);
  for (Index i = 0; i < weights.rows(); ++i) {
    const double sum = weights.matrix().row(i).sum();
    for (Index j = 0; j < weights.cols(); ++j) weights(i, j) /= sum;
  }
  return weights;
}

TEST(AttentionRollout, SumsOverAllPaths) {
  const Index heads = 3, length = 5;
  const std::vector<Tensor<double>> layers{random_weights({2, heads, length, length}, 1),
                                           random_weights({2, heads, length, length}, 2)};
  const auto rollout = rapt::attention_rollout<double>(layers);
  ASSERT_EQ(rollout.shape(), (Shape{2, length, length}));
  const auto step = [&](std::size_t layer, Index b, Index to, Index from) {
    double sum = 0;
    for (Index h = 0; h < heads; ++h) sum += layers[layer]((b * heads + h) * length + to, from);
    return 0.5 * sum / static_cast<double>(heads) + (to == from ? 0.5 : 0.0);
  };
  for (Index b = 0; b < 2; ++b) {
    for (Index to = 0; to < length; ++to) {
      double row = 0;
      for (Index from = 0; from < length; ++from) {
        double paths = 0;
        for (Index middle = 0; middle < length; ++middle) paths += step(1, b, to, middle) * step(0, b, middle, from);
        EXPECT_NEAR(rollout(b * length + to, from), paths, 1e-14);
        row += rollout(b * length + to, from);
      }
      EXPECT_NEAR(row, 1, 1e-14);
    }
  }
}

TEST(AttentionRollout, ErrorsNameTheShapes) {
  const auto text_of = [](const std::vector<Tensor<float>>& layers) {
    return rapt_test::error_text<rapt::ShapeError>([&] { std::ignore = rapt::attention_rollout<float>(layers); });
  };
  EXPECT_NE(text_of({}).find("no layer"), std::string::npos);
  EXPECT_NE(text_of({Tensor<float>(Shape{2, 3, 3}, 0.f)}).find("[2, 3, 3]"), std::string::npos);
  EXPECT_NE(text_of({Tensor<float>(Shape{2, 1, 3, 4}, 0.f)}).find("[2, 1, 3, 4]"), std::string::npos);
  const std::string text = text_of({Tensor<float>(Shape{2, 1, 3, 3}, 0.f), Tensor<float>(Shape{2, 2, 3, 3}, 0.f)});
  EXPECT_NE(text.find("[2, 1, 3, 3] and [2, 2, 3, 3]"), std::string::npos) << text;
}

}  // namespace
