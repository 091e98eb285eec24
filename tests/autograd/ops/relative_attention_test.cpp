/// \file
/// Attention with relative positions against its equation in double, its gradients against central differences; and the
/// ops that cut and put together rows, which models with memory and adaptive softmax need.
// covers: autograd/ops/place_rows.hpp, autograd/ops/slice_rows.hpp
#include "rapt/autograd/ops/attention.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/autograd/ops/slice_rows.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::Variable;
using rapt_test::splits_of;
using Lengths = std::vector<Index>;
using Variables = std::vector<Variable<double>>;

/// Queries and keys of each sequence, encodings of so many distances.
struct Case {
  Lengths queries, keys;
  Index distances;
  Index heads = 2, head_dim = 3;
  Index span = 0;
  double scale = 0;
  float dropout = 0;

  /// `span` counts the query's own position, `window` the keys before it.
  template <class T>
  [[nodiscard]] rapt::AttentionOptions<T> options(const Variable<T>& r, const Variable<T>& u,
                                                  const Variable<T>& w) const {
    return {.heads = heads,
            .window = span != 0 ? std::optional(span - 1) : std::nullopt,
            .scale = scale,
            .dropout = dropout,
            .bias = {.distances = {.distances = r, .content_bias = u, .position_bias = w}}};
  }
  /// q, k, v, r, u, w
  [[nodiscard]] std::vector<Shape> shapes() const {
    const Index nq = splits_of(queries).rows(), nk = splits_of(keys).rows(), d = heads * head_dim;
    return {{nq, d}, {nk, d}, {nk, d}, {distances, d}, {heads, head_dim}, {heads, head_dim}};
  }
  template <class T>
  [[nodiscard]] std::vector<Tensor<T>> values() const {
    std::vector<Tensor<T>> tensors;
    for (std::size_t i = 0; i < 6; ++i) {
      tensors.emplace_back(shapes()[i]);
      const auto numbers = rapt_test::normal_tensor<float>(shapes()[i], 50 + i);  // the same in float and double
      std::copy(numbers.values().begin(), numbers.values().end(), tensors.back().data());
    }
    return tensors;
  }
  template <class T>
  [[nodiscard]] Variable<T> operator()(const std::vector<Variable<T>>& x) const {
    return attention<T>(x[0], x[1], x[2], splits_of(queries), splits_of(keys), options<T>(x[3], x[4], x[5]));
  }
};

/// The definition, element by element.
Tensor<double> by_definition(const Case& c) {
  const auto x = c.values<double>();
  const auto &q = x[0], &k = x[1], &v = x[2], &r = x[3], &u = x[4], &w = x[5];
  const rapt::RowSplits queries = splits_of(c.queries), keys = splits_of(c.keys);
  const double scale = c.scale != 0 ? c.scale : 1 / std::sqrt(static_cast<double>(c.head_dim));
  Tensor<double> output(q.shape(), 0.0);
  for (Index s = 0; s < queries.sequences(); ++s) {
    for (Index h = 0; h < c.heads; ++h) {
      for (Index i = 0; i < queries.length(s); ++i) {
        const Index position = i + keys.length(s) - queries.length(s), row = queries.begin(s) + i;
        std::vector<double> weights(static_cast<std::size_t>(position + 1), 0.0);
        double sum = 0;
        for (Index j = 0; j <= position; ++j) {
          const Index distance = position - j;
          if (c.span > 0 && distance >= c.span) continue;
          double score = 0;
          for (Index e = 0; e < c.head_dim; ++e) {
            const Index column = h * c.head_dim + e;
            score += (q(row, column) + u(h, e)) * k(keys.begin(s) + j, column) +
                     (q(row, column) + w(h, e)) * r(std::min(distance, c.distances - 1), column);
          }
          sum += weights[static_cast<std::size_t>(j)] = std::exp(scale * score);
        }
        for (Index j = 0; j <= position; ++j) {
          for (Index e = 0; e < c.head_dim; ++e) {
            const Index column = h * c.head_dim + e;
            output(row, column) += weights[static_cast<std::size_t>(j)] / sum * v(keys.begin(s) + j, column);
          }
        }
      }
    }
  }
  return output;
}

template <class T>
std::vector<Variable<T>> leaves(const Case& c) {
  std::vector<Variable<T>> variables;
  for (auto& value : c.values<T>()) variables.emplace_back(std::move(value), /*requires_grad=*/true);
  return variables;
}

/// Small ones for central differences.
std::vector<Case> small_cases() {
  return {{.queries = {3, 0, 4, 1}, .keys = {3, 2, 6, 1}, .distances = 6},
          {.queries = {2, 3}, .keys = {5, 3}, .distances = 3},  // larger distances count as 2
          {.queries = {3, 1, 2}, .keys = {7, 4, 2}, .distances = 12, .span = 2},
          {.queries = {5}, .keys = {8}, .distances = 2, .heads = 1, .head_dim = 4, .span = 4, .scale = 0.3}};
}
/// Where some gradients vanish: all distances are one, or each query sees one key.
std::vector<Case> degenerate_cases() {
  return {{.queries = {4}, .keys = {4}, .distances = 1},
          {.queries = {2, 2}, .keys = {3, 5}, .distances = 5, .heads = 3, .head_dim = 1, .span = 1}};
}
/// More queries than a tile, more keys than a group of dropout, more sequences than parts.
std::vector<Case> large_cases() {
  return {{.queries = {33, 70}, .keys = {33, 141}, .distances = 141, .heads = 2, .head_dim = 17},
          {.queries = {65}, .keys = {300}, .distances = 40, .heads = 1, .head_dim = 8},
          {.queries = {40, 1}, .keys = {230, 90}, .distances = 230, .heads = 2, .head_dim = 16, .span = 100},
          {.queries = {64}, .keys = {260}, .distances = 20, .heads = 3, .head_dim = 5, .span = 37},
          {.queries = Lengths(37, 2), .keys = Lengths(37, 5), .distances = 5, .heads = 2, .head_dim = 4}};
}

TEST(RelativeAttention, IsItsDefinition) {
  for (const auto& cases : {small_cases(), degenerate_cases(), large_cases()}) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, "case " + std::to_string(i));
      const Tensor<double> expected = by_definition(cases[i]);
      rapt_test::for_every_simd_level([&] {
        rapt_test::expect_close(cases[i](leaves<double>(cases[i])).value(), expected, 1e-13);
        rapt_test::expect_close(cases[i](leaves<float>(cases[i])).value(), expected, 2e-6);
      });
    }
  }
}

void expect_gradients(const Case& c, bool training) {
  std::vector<Tensor<double>> values = c.values<double>();
  const auto result = rapt::gradcheck([&](const Variables& x) { return c(x); }, values, {.training = training});
  EXPECT_LT(result.worst_relative_error, 1e-7) << "input " << result.worst_input << ", element " << result.worst_element
                                               << ": " << result.analytic << ", numerically " << result.numeric;
  rapt_test::expect_same_gradients_of_subsets([&](const Variables& x) { return c(x); }, values, training);
}

TEST(RelativeAttention, Gradients) {
  for (const Case& c : small_cases()) expect_gradients(c, false);
  Case tiles{.queries = {35}, .keys = {70}, .distances = 66, .heads = 1, .head_dim = 2};
  expect_gradients(tiles, false);
  tiles.span = 40;
  tiles.distances = 9;
  expect_gradients(tiles, false);
}

TEST(RelativeAttention, GradientsWithDropout) {
  for (Case c : small_cases()) {
    c.dropout = 0.4f;
    expect_gradients(c, true);
    rapt::Rng rng(1);
    const rapt::Training scope(rng);
    EXPECT_FALSE(rapt_test::same_bits(c(leaves<double>(c)).value(), by_definition(c)));
  }
}

TEST(RelativeAttention, GradientsOfSlicesAndOfOneVariable) {
  const rapt::RowSplits queries = splits_of({2, 1}), keys = splits_of({4, 2});
  const auto fused = [&](const Variables& x) {  // keys and values are columns of one matrix
    return rapt::attention<double>(
        rapt::columns(x[0], 1, 4), rapt::columns(x[1], 0, 4), rapt::columns(x[1], 5, 4), queries, keys,
        {.heads = 2, .bias = {.distances = {.distances = x[2], .content_bias = x[3], .position_bias = x[3]}}});
  };
  const auto self = [&](const Variables& x) {
    return rapt::attention<double>(
        x[0], x[0], x[0], keys, keys,
        {.heads = 2, .bias = {.distances = {.distances = x[0], .content_bias = x[1], .position_bias = x[2]}}});
  };
  using rapt_test::normal_tensor;
  const auto of = [](std::initializer_list<Shape> shapes) {
    std::vector<Tensor<double>> tensors;
    for (const Shape& shape : shapes) tensors.push_back(normal_tensor<double>(shape, 7 + tensors.size()));
    return tensors;
  };
  EXPECT_LT(rapt::gradcheck(fused, of({{3, 6}, {6, 9}, {4, 4}, {2, 2}})).worst_relative_error, 1e-7);
  EXPECT_LT(rapt::gradcheck(self, of({{6, 4}, {2, 2}, {2, 2}})).worst_relative_error, 1e-7);
}

TEST(RelativeAttention, OnlyWhatIsWantedGetsAGradient) {
  const Case c = small_cases()[0];
  for (std::size_t wanted = 0; wanted < 6; ++wanted) {
    std::vector<Variable<double>> x;
    for (auto& value : c.values<double>()) x.emplace_back(std::move(value), x.size() == wanted);
    auto all = leaves<double>(c);
    const rapt::Recording scope;
    rapt::backward(rapt::sum(rapt::multiply(c(x), c(x))));
    rapt::backward(rapt::sum(rapt::multiply(c(all), c(all))));
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(x[i].grad().empty(), i != wanted);
    }
    EXPECT_TRUE(rapt_test::same_bits(x[wanted].grad(), all[wanted].grad())) << wanted;
  }
}

TEST(RelativeAttention, SameBitsOnAnyNumberOfThreads) {
  for (Case c : large_cases()) {
    c.dropout = 0.2f;
    for (std::size_t output = 0; output < 7; ++output) {
      rapt_test::expect_same_bits_on_any_threads([&] {
        rapt::Rng rng(3);
        const rapt::Training scope(rng);
        const auto x = leaves<float>(c);
        const Variable<float> y = c(x);
        rapt::backward(rapt::sum(rapt::multiply(y, y)));
        return output == 6 ? y.value() : x[output].grad();
      });
    }
  }
}

TEST(RelativeAttention, InstructionSetsAgree) {
  for (Case c : large_cases()) {
    c.dropout = 0.2f;
    std::vector<Tensor<double>> first;
    rapt_test::for_every_simd_level([&] {
      rapt::Rng rng(3);
      const rapt::Training scope(rng);
      const auto x = leaves<double>(c);
      const Variable<double> y = c(x);
      rapt::backward(rapt::sum(rapt::multiply(y, y)));
      std::vector<Tensor<double>> now{y.value()};
      for (const auto& leaf : x) now.push_back(leaf.grad());
      if (first.empty()) first = now;
      for (std::size_t i = 0; i < now.size(); ++i) rapt_test::expect_close(now[i], first[i], 1e-12);
    });
  }
}

TEST(RelativeAttention, WrongUse) {
  const Case c{.queries = {2}, .keys = {3}, .distances = 3};
  const auto call = [&](const Case& wrong, std::size_t replaced, Shape shape) {
    return [=] {
      auto x = leaves<double>(c);
      x[replaced] = Variable<double>(Tensor<double>(shape, 0.0));
      std::ignore = wrong(x);
    };
  };
  const Shape q{2, 6};
  rapt_test::expect_errors({
      {"width", call(c, 1, {3, 4}), {"attention", "[2, 6]", "[3, 4]"}},
      {"relative", call(c, 3, {3, 4}), {"attention", "6 columns", "[3, 4]"}},
      {"no distances", call(c, 3, {0, 6}), {"attention", "[0, 6]"}},
      {"bias", call(c, 4, {2, 2}), {"attention", "6 columns", "[2, 2]"}},
      {"rows", call(c, 0, {3, 6}), {"attention", "row splits", "[3, 6]"}},
      {"sequences", call({.queries = {2}, .keys = {2, 1}, .distances = 3}, 0, q), {"1 query", "2 key"}},
      {"few keys", call({.queries = {1, 1}, .keys = {3, 0}, .distances = 3}, 0, q), {"sequence 1", "1 queries", "0"}},
      {"heads", call({.queries = {2}, .keys = {3}, .distances = 3, .heads = 4}, 0, q), {"multiple of heads", "6", "4"}},
      {"span", call({.queries = {2}, .keys = {3}, .distances = 3, .span = -1}, 0, q), {"window", "-2"}},
  });
}

TEST(Rows, SlicesAndTheirGradients) {
  const auto x = rapt_test::normal_tensor<double>({5, 3}, 1), v = rapt_test::normal_tensor<double>({7}, 2);
  const auto rows = rapt::slice_rows(Variable<double>(x), 1, 3);
  EXPECT_EQ(rows.shape(), (Shape{3, 3}));
  for (Index i = 0; i < 9; ++i) EXPECT_EQ(rows.value().data()[i], x.data()[3 + i]);
  const auto elements = rapt::slice_rows(Variable<double>(v), 5, 2);
  EXPECT_EQ(elements.shape(), (Shape{2}));
  EXPECT_EQ(elements.value().data()[1], v.data()[6]);
  const auto two = [](const Variables& in) {
    return multiply(rapt::slice_rows(in[0], 0, 2), rapt::slice_rows(in[0], 1, 2));
  };
  EXPECT_LT(rapt::gradcheck(two, {x}).worst_relative_error, 1e-8);
  EXPECT_LT(rapt::gradcheck(two, {v}).worst_relative_error, 1e-8);
  rapt_test::expect_same_gradients_of_subsets(two, {x});
  rapt_test::expect_errors({{"behind the last",
                             [&] { std::ignore = rapt::slice_rows(Variable<double>(x), 3, 3); },
                             {"slice_rows", "3 .. 6", "[5, 3]"}}});
}

TEST(Rows, PlacedAndTheirGradients) {
  const std::vector<Index> first{4, 0, 1}, second{3, 2};
  const auto a = rapt_test::normal_tensor<double>({3, 2}, 1), b = rapt_test::normal_tensor<double>({2, 2}, 2);
  const auto c = rapt_test::normal_tensor<double>({3}, 3), d = rapt_test::normal_tensor<double>({2}, 4);
  const auto place = [&](const Variables& in) { return rapt::place_rows<double>({{in[0], first}, {in[1], second}}); };
  const auto y = place({Variable<double>(a), Variable<double>(b)});
  ASSERT_EQ(y.shape(), (Shape{5, 2}));
  EXPECT_EQ(y.value()(4, 1), a(0, 1));
  EXPECT_EQ(y.value()(0, 0), a(1, 0));
  EXPECT_EQ(y.value()(2, 1), b(1, 1));
  EXPECT_EQ(place({Variable<double>(c), Variable<double>(d)}).shape(), (Shape{5}));
  EXPECT_LT(rapt::gradcheck(place, {a, b}).worst_relative_error, 1e-8);
  EXPECT_LT(rapt::gradcheck(place, {c, d}).worst_relative_error, 1e-8);
  rapt_test::expect_same_gradients_of_subsets(place, {a, b});
  const auto twice = [&](const Variables& in) {
    return rapt::place_rows<double>({{in[0], {5, 1, 2}}, {in[0], {0, 3, 4}}});
  };
  EXPECT_LT(rapt::gradcheck(twice, {a}).worst_relative_error, 1e-8);

  const auto wrong = [&](std::vector<rapt::PlacedRows<double>> parts) {
    return [parts] { std::ignore = rapt::place_rows(parts); };
  };
  const Variable<double> va(a), vb(b), vc(c);
  rapt_test::expect_errors({{"no parts", wrong({}), {"place_rows", "0"}},
                            {"nine parts", wrong(std::vector<rapt::PlacedRows<double>>(9)), {"place_rows", "9"}},
                            {"given twice", wrong({{va, {0, 1, 2}}, {vb, {2, 3}}}), {"place_rows", "place 2"}},
                            {"outside", wrong({{va, {0, 1, 3}}}), {"place_rows", "place 3 of 3"}},
                            {"places", wrong({{va, {0, 1}}}), {"place_rows", "2 places", "[3, 2]"}},
                            {"ranks", wrong({{va, {0, 1, 2}}, {vc, {3, 4, 5}}}), {"place_rows", "[3]", "[3, 2]"}}});
}

}  // namespace
