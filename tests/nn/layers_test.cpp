/// \file
/// Small layers against their formulas, and initial values against their distributions.
// covers: nn/add_norm.hpp, nn/embedding.hpp, nn/feed_forward.hpp, nn/init.hpp, nn/linear.hpp,
//   nn/positional_encoding.hpp
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "rapt/nn/add_norm.hpp"
#include "rapt/nn/attention.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/feed_forward.hpp"
#include "rapt/nn/positional_encoding.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::relative_error;
using Variable = rapt::Variable<double>;

struct Moments {
  double mean = 0, deviation = 0, smallest = 1e300, largest = -1e300;
};
template <class T>
Moments moments_of(const Tensor<T>& tensor) {
  Moments m;
  for (const T v : tensor.values()) {
    m.mean += static_cast<double>(v) / static_cast<double>(tensor.size());
    m.smallest = std::min(m.smallest, static_cast<double>(v));
    m.largest = std::max(m.largest, static_cast<double>(v));
  }
  for (const T v : tensor.values()) {
    m.deviation += std::pow(static_cast<double>(v) - m.mean, 2) / static_cast<double>(tensor.size());
  }
  m.deviation = std::sqrt(m.deviation);
  return m;
}

/// Mean 0 and the deviation, within five standard errors.
void expect_spread(const Moments& m, double deviation, Index count) {
  const double error = 5 * deviation / std::sqrt(static_cast<double>(count));
  EXPECT_NEAR(m.mean, 0.0, error);
  EXPECT_NEAR(m.deviation, deviation, error);
}
/// Uniform in +-bound, and nearly reaching it.
void expect_uniform(const Tensor<float>& tensor, double bound) {
  const Moments m = moments_of(tensor);
  expect_spread(m, bound / std::sqrt(3.0), tensor.size());
  EXPECT_GE(m.smallest, -bound * 1.000001);
  EXPECT_LE(m.largest, bound * 1.000001);
  EXPECT_LT(m.smallest, -bound * 0.99);
  EXPECT_GT(m.largest, bound * 0.99);
}

TEST(Init, Distributions) {
  rapt::Rng rng(1);
  const Shape shape{120, 80};
  expect_uniform(rapt::init::xavier_uniform<float>(shape, rng), std::sqrt(6.0 / 200));
  expect_uniform(rapt::init::kaiming_uniform<float>(shape, rng), std::sqrt(6.0 / 80));
  expect_spread(moments_of(rapt::init::xavier_normal<float>(shape, rng)), std::sqrt(2.0 / 200), shape.size());
  expect_spread(moments_of(rapt::init::normal<float>(shape, rng, 0.3)), 0.3, shape.size());
  const Tensor<float> sevens = rapt::init::constant<float>({3}, 7.f);
  for (const float v : sevens.values()) EXPECT_EQ(v, 7.f);
}

TEST(Init, OfTheLayers) {
  rapt::Rng rng(1);
  const rapt::Linear<float> linear(60, 140, rng);
  expect_uniform(linear.weight().value(), std::sqrt(6.0 / 200));
  for (const float b : linear.bias().value().values()) EXPECT_EQ(b, 0.f);
  const rapt::Embedding<float> embedding(300, 64, rng);
  expect_spread(moments_of(embedding.weight().value()), 1 / 8.0, 300 * 64);
  const rapt::MultiHeadAttention<float> attention({.d_model = 64, .heads = 4}, rng);
  rapt::for_each_parameter(attention, [](const std::string& name, const auto& parameter) {
    if (name == "in_proj_weight") return expect_uniform(parameter.value(), std::sqrt(6.0 / (4 * 64)));
    if (name == "out_proj.weight") return expect_uniform(parameter.value(), std::sqrt(6.0 / (2 * 64)));
    for (const float b : parameter.value().values()) EXPECT_EQ(b, 0.f) << name;
  });
  const rapt::LearnedPositionalEncoding<float> positions(100, 64, rng);
  rapt::for_each_parameter(positions, [](const std::string& name, const auto& parameter) {
    EXPECT_EQ(name, "weight");
    expect_spread(moments_of(parameter.value()), 0.02, 6400);
  });
  const rapt::LayerNorm<float> norm(5);
  rapt::for_each_parameter(norm, [](const std::string& name, const auto& parameter) {
    for (const float v : parameter.value().values()) EXPECT_EQ(v, name == "weight" ? 1.f : 0.f);
  });
}

TEST(Init, TheSameSeedGivesTheSameLayer) {
  rapt::Rng a(3), b(3), c(4);
  const rapt::Linear<float> first(5, 6, a), same(5, 6, b), other(5, 6, c);
  EXPECT_TRUE(rapt_test::same_bits(first.weight().value(), same.weight().value()));
  EXPECT_FALSE(rapt_test::same_bits(first.weight().value(), other.weight().value()));
}

TEST(Linear, IsXTimesWTransposedPlusB) {
  rapt::Rng rng(1);
  rapt::Linear<double> layer(3, 2, rng);
  rapt_test::randomize(layer, 2);
  const Tensor<double> x = rapt_test::normal_tensor<double>({4, 3}, 3);
  Tensor<double> expected(Shape{4, 2});
  for (Index i = 0; i < 4; ++i) {
    for (Index j = 0; j < 2; ++j) {
      expected(i, j) = layer.bias().value().data()[j];
      for (Index k = 0; k < 3; ++k) expected(i, j) += x(i, k) * layer.weight().value()(j, k);
    }
  }
  EXPECT_LT(relative_error(layer(Variable(x)).value(), expected), 1e-14);
  const rapt::Linear<double> without(3, 2, rng, {.bias = false});
  EXPECT_FALSE(without.bias().defined());
  EXPECT_EQ(rapt::count_parameters(without), 6);
}

TEST(FeedForward, IsTwoLinearsWithAnActivationBetween) {
  rapt::Rng rng(1);
  rapt::FeedForward<double> layer({.d_model = 3, .d_ff = 5}, rng);
  rapt_test::randomize(layer, 2);
  std::vector<Variable> p;
  rapt::for_each_parameter(layer, [&](const std::string&, const auto& parameter) { p.push_back(parameter); });
  const Tensor<double> x = rapt_test::normal_tensor<double>({4, 3}, 3);
  using Matrix = rapt::RowMajorMatrix<double>;
  Matrix inner = (x.matrix() * p[0].value().matrix().transpose()).rowwise() + p[1].value().matrix().row(0);
  inner = inner.cwiseMax(0.0);
  const Matrix outer = (inner * p[2].value().matrix().transpose()).rowwise() + p[3].value().matrix().row(0);
  const rapt::TensorView<const double> view(outer);
  EXPECT_LT(relative_error(layer(Variable(x)).value(), Tensor<double>(view)), 1e-14);
}

TEST(Embedding, ScalesRowsBySqrtDModel) {
  rapt::Rng rng(1);
  const rapt::Embedding<double> scaled(7, 4, rng), plain(7, 4, rng, {.scale_by_sqrt_d_model = false});
  const std::vector<rapt::TokenId> ids{6, 0, 6};
  for (Index i = 0; i < 3; ++i) {
    for (Index j = 0; j < 4; ++j) {
      const Index row = ids[static_cast<std::size_t>(i)];
      EXPECT_DOUBLE_EQ(scaled(ids).value()(i, j), 2 * scaled.weight().value()(row, j));
      EXPECT_DOUBLE_EQ(plain(ids).value()(i, j), plain.weight().value()(row, j));
    }
  }
}

TEST(AddNorm, PostAndPreStandWhereThePapersPutThem) {
  const Variable x(rapt_test::normal_tensor<double>({3, 6}, 1));
  const auto sublayer = [](const Variable& h) { return rapt::multiply(h, h); };
  const auto normed = [](const Tensor<double>& h) {
    Tensor<double> y = h;
    for (Index i = 0; i < h.rows(); ++i) {
      const auto row = h.matrix().row(i).array();
      const double mean = row.mean(), variance = (row - mean).square().mean();
      y.matrix().row(i) = ((row - mean) / std::sqrt(variance + 1e-3)).matrix();
    }
    return y;
  };
  Tensor<double> post = x.value(), pre = normed(x.value());
  post.matrix().array() += x.value().matrix().array().square();
  post = normed(post);
  pre.matrix() = (x.value().matrix().array() + pre.matrix().array().square()).matrix();
  const rapt::AddNorm<double> post_layer({.d_model = 6, .epsilon = 1e-3, .dropout = 0.5f}),
      pre_layer({.d_model = 6, .placement = rapt::NormPlacement::pre, .epsilon = 1e-3, .dropout = 0.5f});
  EXPECT_LT(relative_error(post_layer(x, sublayer).value(), post), 1e-14);
  EXPECT_LT(relative_error(pre_layer(x, sublayer).value(), pre), 1e-14);
}

/// y = x + scale * factor * sublayer: a learned vector, and in Training 0 or 1 / (1 - rate) for each sequence.
TEST(AddNorm, LayerScaleAndDropPath) {
  const Variable x(rapt_test::normal_tensor<double>({40, 6}, 1));  // 20 sequences of 2 rows
  const auto sublayer = [](const Variable& h) { return rapt::multiply(h, h); };
  const rapt::AddNorm<double> plain({.d_model = 6, .placement = rapt::NormPlacement::pre});
  const rapt::AddNorm<double> scaled(
      {.d_model = 6, .placement = rapt::NormPlacement::pre, .drop_path = 0.5f, .layer_scale = 0.25});
  const auto difference = [&](const Variable& y) {
    Tensor<double> d = y.value();
    d.matrix() -= x.value().matrix();
    return d;
  };
  const Tensor<double> whole = difference(plain(x, sublayer)), quarter = difference(scaled(x, sublayer, 20));
  EXPECT_LT((quarter.matrix() - 0.25 * whole.matrix()).cwiseAbs().maxCoeff(), 1e-14);
  rapt::Rng rng(1);
  const rapt::Training scope(rng);
  const Tensor<double> trained = difference(scaled(x, sublayer, 20));
  int dropped = 0;
  for (Index s = 0; s < 20; ++s) {
    const auto rows = trained.matrix().middleRows(2 * s, 2);
    const bool is_dropped = rows.isZero();
    dropped += is_dropped ? 1 : 0;
    if (is_dropped) continue;
    EXPECT_LT((rows - 0.5 * whole.matrix().middleRows(2 * s, 2)).cwiseAbs().maxCoeff(), 1e-14);
  }
  EXPECT_GT(dropped, 3);
  EXPECT_LT(dropped, 17);
}

TEST(Sinusoids, InterleavedAsInThePaper) {
  for (const Index first : {0, 1, 5}) {
    const auto table = rapt::SinusoidalPositionalEncoding<double>::table(40, 10, {.first_position = first});
    for (Index pos = 0; pos < 40; ++pos) {
      for (Index i = 0; i < 5; ++i) {
        const double angle = static_cast<double>(pos + first) / std::pow(10000.0, 2.0 * static_cast<double>(i) / 10.0);
        EXPECT_NEAR(table(pos, 2 * i), std::sin(angle), 1e-12);
        EXPECT_NEAR(table(pos, 2 * i + 1), std::cos(angle), 1e-12);
      }
    }
  }
}

TEST(Sinusoids, ConcatenatedAsInTensor2Tensor) {
  const auto table = rapt::SinusoidalPositionalEncoding<double>::table(
      40, 10, {.layout = rapt::SinusoidLayout::concatenated, .first_position = 2});
  for (Index pos = 0; pos < 40; ++pos) {
    for (Index i = 0; i < 5; ++i) {  // geometric from 1 to 1 / 10000
      const double angle = static_cast<double>(pos + 2) * std::exp(-std::log(10000.0) * static_cast<double>(i) / 4.0);
      EXPECT_NEAR(table(pos, i), std::sin(angle), 1e-12);
      EXPECT_NEAR(table(pos, 5 + i), std::cos(angle), 1e-12);
    }
  }
}

TEST(Sinusoids, EverySequenceStartsAnewOrWhereItIsTold) {
  const rapt::SinusoidalPositionalEncoding<double> layer(4, {}, /*kept=*/6);
  const auto table = rapt::SinusoidalPositionalEncoding<double>::table(60, 4);
  const Variable x(rapt_test::normal_tensor<double>({6, 4}, 1));
  const auto splits = rapt_test::splits_of({2, 0, 3, 1});
  const auto expect_positions = [&](const std::vector<Index>& starts, const std::vector<Index>& positions) {
    const auto y = layer(x, splits, starts).value();
    for (Index i = 0; i < 6; ++i) {
      for (Index j = 0; j < 4; ++j) {
        EXPECT_NEAR(y(i, j), x.value()(i, j) + table(positions[static_cast<std::size_t>(i)], j), 1e-12);
      }
    }
  };
  expect_positions({}, {0, 1, 0, 1, 2, 0});
  expect_positions({1, 9, 3, 0}, {1, 2, 3, 4, 5, 0});      // within the table that is kept, rows of its end included
  expect_positions({0, 0, 50, 4}, {0, 1, 50, 51, 52, 4});  // beyond it
  expect_positions({9, 0, 50, 8}, {9, 10, 50, 51, 52, 8});
}

TEST(LearnedPositions, AreAddedAndEndWithTheTable) {
  rapt::Rng rng(1);
  const rapt::LearnedPositionalEncoding<double> layer(4, 3, rng);
  Variable table;
  rapt::for_each_parameter(layer, [&](const std::string&, const auto& p) { table = p; });
  const Variable x(rapt_test::normal_tensor<double>({5, 3}, 1));
  const auto y = layer(x, rapt_test::splits_of({4, 1}), std::vector<Index>{0, 3}).value();
  for (Index i = 0; i < 5; ++i) {
    for (Index j = 0; j < 3; ++j)
      EXPECT_NEAR(y(i, j), x.value()(i, j) + table.value()(std::min<Index>(i, 3), j), 1e-15);
  }
  EXPECT_THROW(std::ignore = layer(x, rapt_test::splits_of({5})), rapt::ValueError);
}

}  // namespace
