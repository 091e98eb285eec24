/// \file
/// Attention with a bias of scores for each pair of positions against its equation in double, and its gradients against
/// central differences.
#include "rapt/autograd/ops/attention.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using rapt::Variable;
using Variables = std::vector<Variable<double>>;

/// So many sequences of `length` positions, and numbers of pairs below `addends`.
struct Case {
  Index sequences, length;
  Index addends = 7, heads = 2, head_dim = 3;
  double scale = 0;
  float dropout = 0;

  [[nodiscard]] std::vector<TokenId> pairs() const { return rapt_test::random_ids(length * length, addends, 9); }
  /// q, k, v, table
  template <class T>
  [[nodiscard]] std::vector<Tensor<T>> values() const {
    const Shape rows{sequences * length, heads * head_dim};
    std::vector<Tensor<T>> tensors;
    for (const Shape& shape : {rows, rows, rows, Shape{addends, heads}}) {
      const auto numbers = rapt_test::normal_tensor<float>(shape, 50 + tensors.size());  // the same in float and double
      tensors.emplace_back(shape);
      std::copy(numbers.values().begin(), numbers.values().end(), tensors.back().data());
    }
    return tensors;
  }
  template <class T>
  [[nodiscard]] std::vector<Variable<T>> leaves() const {
    std::vector<Variable<T>> variables;
    for (auto& value : values<T>()) variables.emplace_back(std::move(value), /*requires_grad=*/true);
    return variables;
  }
  template <class T>
  [[nodiscard]] Variable<T> operator()(const std::vector<Variable<T>>& x, Tensor<T>* weights = nullptr) const {
    const std::vector<TokenId> numbers = pairs();
    const rapt::RowSplits splits = rapt::RowSplits::equal(sequences, length);
    return rapt::attention<T>(
        x[0], x[1], x[2], splits, splits,
        {.heads = heads, .scale = scale, .dropout = dropout, .bias = {.table = {.table = x[3], .numbers = numbers}}},
        {.weights = weights});
  }
};

/// The definition, element by element; `weights` receives the probabilities.
Tensor<double> by_definition(const Case& c, Tensor<double>& weights) {
  const auto x = c.values<double>();
  const auto &q = x[0], &k = x[1], &v = x[2], &table = x[3];
  const std::vector<TokenId> pairs = c.pairs();
  const double scale = c.scale != 0 ? c.scale : 1 / std::sqrt(static_cast<double>(c.head_dim));
  Tensor<double> output(q.shape(), 0.0);
  weights = Tensor<double>(Shape{c.sequences, c.heads, c.length, c.length});
  double* row = weights.data();
  for (Index s = 0; s < c.sequences; ++s) {
    for (Index h = 0; h < c.heads; ++h) {
      for (Index i = 0; i < c.length; ++i, row += c.length) {
        double sum = 0;
        for (Index j = 0; j < c.length; ++j) {
          double score = table(pairs[static_cast<std::size_t>(i * c.length + j)], h);
          for (Index e = h * c.head_dim; e < (h + 1) * c.head_dim; ++e) {
            score += scale * q(s * c.length + i, e) * k(s * c.length + j, e);
          }
          sum += row[j] = std::exp(score);
        }
        for (Index j = 0; j < c.length; ++j) {
          row[j] /= sum;
          for (Index e = h * c.head_dim; e < (h + 1) * c.head_dim; ++e) {
            output(s * c.length + i, e) += row[j] * v(s * c.length + j, e);
          }
        }
      }
    }
  }
  return output;
}

/// Small ones for central differences.
std::vector<Case> small_cases() {
  return {{.sequences = 3, .length = 5},
          {.sequences = 1, .length = 2, .addends = 4, .heads = 3, .head_dim = 1, .scale = 0.7},
          {.sequences = 10, .length = 3, .addends = 2, .heads = 1, .head_dim = 2},  // more sequences than groups
          {.sequences = 2, .length = 4, .addends = 30}};                            // not all addends occur
}
/// More positions than a tile and than a group of dropout.
std::vector<Case> large_cases() {
  return {{.sequences = 3, .length = 50, .addends = 101, .heads = 4, .head_dim = 16},
          {.sequences = 2, .length = 197, .addends = 732, .heads = 2, .head_dim = 17},
          {.sequences = 19, .length = 17, .addends = 52, .heads = 3, .head_dim = 5},
          {.sequences = 4, .length = 64, .addends = 9, .heads = 1, .head_dim = 8, .scale = 0.2}};
}

TEST(BiasedAttention, IsItsDefinition) {
  for (const auto& cases : {small_cases(), large_cases()}) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      SCOPED_TRACE("case " + std::to_string(i));
      Tensor<double> expected_weights;
      const Tensor<double> expected = by_definition(cases[i], expected_weights);
      rapt_test::for_every_simd_level([&] {
        Tensor<double> weights;
        Tensor<float> narrow;
        rapt_test::expect_close(cases[i](cases[i].leaves<double>(), &weights).value(), expected, 1e-13);
        rapt_test::expect_close(weights, expected_weights, 1e-13);
        rapt_test::expect_close(cases[i](cases[i].leaves<float>(), &narrow).value(), expected, 3e-6);
        rapt_test::expect_close(narrow, expected_weights, 3e-6);
      });
    }
  }
}

void expect_gradients(const Case& c, bool training) {
  const auto result =
      rapt::gradcheck([&](const Variables& x) { return c(x); }, c.values<double>(), {.training = training});
  EXPECT_LT(result.worst_relative_error, 1e-7) << "input " << result.worst_input << ", element " << result.worst_element
                                               << ": " << result.analytic << ", numerically " << result.numeric;
  rapt_test::expect_same_gradients_of_subsets([&](const Variables& x) { return c(x); }, c.values<double>(), training);
}

TEST(BiasedAttention, Gradients) {
  for (const Case& c : small_cases()) expect_gradients(c, false);
  expect_gradients({.sequences = 1, .length = 35, .addends = 20, .heads = 1, .head_dim = 2}, false);  // two tiles
}

TEST(BiasedAttention, GradientsWithDropout) {
  for (Case c : small_cases()) {
    c.dropout = 0.4f;
    expect_gradients(c, true);
  }
  Case c = large_cases()[0];
  Tensor<double> ignored;
  c.dropout = 0.4f;
  rapt::Rng rng(1);
  const rapt::Training scope(rng);
  EXPECT_FALSE(rapt_test::same_bits(c(c.leaves<double>()).value(), by_definition(c, ignored)));
}

TEST(BiasedAttention, GradientsOfSlicesOfOneMatrix) {
  const std::vector<TokenId> pairs = rapt_test::random_ids(9, 5, 3);
  const auto fused = [&](const Variables& x) {
    const rapt::RowSplits splits = rapt::RowSplits::equal(2, 3);
    return rapt::attention<double>(rapt::columns(x[0], 0, 4), rapt::columns(x[0], 4, 4), rapt::columns(x[0], 8, 4),
                                   splits, splits, {.heads = 2, .bias = {.table = {.table = x[1], .numbers = pairs}}});
  };
  const auto result = rapt::gradcheck(
      fused, {rapt_test::normal_tensor<double>({6, 12}, 1), rapt_test::normal_tensor<double>({5, 2}, 2)});
  EXPECT_LT(result.worst_relative_error, 1e-7);
}

TEST(BiasedAttention, OnlyWhatIsWantedGetsAGradient) {
  const Case c = small_cases()[0];
  for (std::size_t wanted = 0; wanted < 4; ++wanted) {
    std::vector<Variable<double>> x;
    for (auto& value : c.values<double>()) x.emplace_back(std::move(value), x.size() == wanted);
    const auto all = c.leaves<double>();
    const rapt::Recording scope;
    rapt::backward(rapt::sum(rapt::multiply(c(x), c(x))));
    rapt::backward(rapt::sum(rapt::multiply(c(all), c(all))));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(x[i].grad().empty(), i != wanted);
    EXPECT_TRUE(rapt_test::same_bits(x[wanted].grad(), all[wanted].grad())) << wanted;
  }
}

TEST(BiasedAttention, SameBitsOnAnyNumberOfThreads) {
  for (Case c : large_cases()) {
    c.dropout = 0.2f;
    rapt_test::expect_same_bits_on_any_threads([&] {
      rapt::Rng rng(3);
      const rapt::Training scope(rng);
      const auto x = c.leaves<float>();
      const Variable<float> y = c(x);
      rapt::backward(rapt::sum(rapt::multiply(y, y)));
      std::vector<float> all(y.value().values().begin(), y.value().values().end());
      for (const auto& leaf : x) all.insert(all.end(), leaf.grad().values().begin(), leaf.grad().values().end());
      return all;
    });
  }
}

TEST(BiasedAttention, WrongUse) {
  const Case c{.sequences = 2, .length = 3};
  const auto call = [&](std::size_t replaced, const Shape& shape, Index pairs = 9, TokenId highest = 6,
                        Index heads = 2) {
    return [=] {
      auto x = c.leaves<double>();
      x[replaced] = Variable<double>(Tensor<double>(shape, 0.0));
      const std::vector<TokenId> numbers(static_cast<std::size_t>(pairs), highest);
      const rapt::RowSplits splits = rapt::RowSplits::equal(2, 3);
      std::ignore = rapt::attention<double>(x[0], x[1], x[2], splits, splits,
                                            {.heads = heads, .bias = {.table = {.table = x[3], .numbers = numbers}}});
    };
  };
  const Shape rows{6, 6}, table{7, 2};
  rapt_test::expect_errors({
      {"width", call(1, {6, 4}), {"attention", "[6, 6]", "[6, 4]"}},
      {"values", call(2, {5, 6}), {"attention", "[6, 6]", "[5, 6]"}},
      {"table", call(3, {7, 3}), {"attention", "[7, 3]", "heads 2"}},
      {"heads", call(0, rows, 9, 6, 4), {"multiple of heads", "6", "4"}},
      {"no square", call(0, rows, 8), {"8 numbers of pairs"}},
      {"length", call(3, table, 16), {"sequences of 4 positions", "3 queries", "3 keys"}},
      {"number", call(3, table, 9, 7), {"attention", "row id 7", "7"}},
  });
}

}  // namespace
