/// \file
/// Additive attention against PyTorch and against loops at every instruction set; masks, and the same bits on any
/// number of threads.
// covers: autograd/ops/additive_attention.hpp, kernels/additive_attention.hpp
#include "rapt/nn/additive_attention.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::RowSplits;
using rapt::Shape;
using rapt::Tensor;
using rapt::Variable;
using rapt_test::normal_tensor;
using rapt_test::splits_of;
template <class T>
using Options = rapt::AdditiveAttentionOptions<T>;

template <class T>
void expect_golden(const std::string& name, bool causal) {
  SCOPED_TRACE(name);
  const rapt_test::Golden golden("layers", name);
  rapt::Rng rng(1);
  rapt::AdditiveAttention<T> layer({.query = 5, .key = 4, .columns = 7}, rng);
  golden.load(layer);
  const auto query = golden.leaf<T>("query"), key = golden.leaf<T>("key");
  const rapt::Recording scope;
  Tensor<T> weights;
  const auto output = layer(query, key, golden.splits("query_splits"), golden.splits("key_splits"),
                            {.mask = {.causal = causal}}, &weights);
  golden.expect_output("output", output.value());
  golden.expect_output("weights", weights);
  golden.backward(output);
  golden.expect_gradient("query", query);
  golden.expect_gradient("key", key);
  golden.expect_gradients(layer);
}

TEST(AdditiveAttention, IsTorchs) {
  for (const bool causal : {false, true}) {
    const std::string name = causal ? "additive_causal" : "additive";
    expect_golden<float>(name, causal);
    expect_golden<double>(name, causal);
  }
}

/// Of one sequence, without a mask.
[[nodiscard]] Tensor<double> by_loops(const Tensor<double>& query, const Tensor<double>& key,
                                      const Tensor<double>& value, const Tensor<double>& v) {
  Tensor<double> output(Shape{query.rows(), value.cols()}, 0.0);
  for (Index i = 0; i < query.rows(); ++i) {
    std::vector<double> p;
    double total = 0;
    for (Index j = 0; j < key.rows(); ++j) {
      double score = 0;
      for (Index a = 0; a < key.cols(); ++a) score += v.data()[a] * std::tanh(query(i, a) + key(j, a));
      p.push_back(std::exp(score));
      total += p.back();
    }
    for (Index j = 0; j < key.rows(); ++j) {
      for (Index d = 0; d < value.cols(); ++d) output(i, d) += rapt::at(p, j) / total * value(j, d);
    }
  }
  return output;
}

TEST(AdditiveAttention, IsTheEquationAtEverySimdLevel) {
  const auto query = normal_tensor<double>({3, 19}, 1), key = normal_tensor<double>({21, 19}, 2);
  const auto value = normal_tensor<double>({21, 5}, 3), v = normal_tensor<double>({19}, 4);
  const Tensor<double> expected = by_loops(query, key, value, v);
  const Variable<double> q(query), k(key), x(value), w(v);
  rapt_test::for_every_simd_level([&] {
    rapt_test::expect_close(additive_attention(q, k, x, w, splits_of({3}), splits_of({21})).value(), expected, 1e-13);
  });
}

TEST(AdditiveAttention, MasksHideKeys) {
  const auto query = normal_tensor<float>({4, 6}, 1), key = normal_tensor<float>({5, 6}, 2);
  const auto value = normal_tensor<float>({5, 3}, 3), v = normal_tensor<float>({6}, 4);
  const RowSplits query_splits = splits_of({3, 1}), key_splits = splits_of({3, 2});
  const auto weights_with = [&](const Options<float>& options) {
    Tensor<float> weights;
    std::ignore = additive_attention(Variable<float>(query), Variable<float>(key), Variable<float>(value),
                                     Variable<float>(v), query_splits, key_splits, options, &weights);
    return weights;
  };
  const auto expect_hidden = [&](const Tensor<float>& weights, const std::vector<std::string>& rows) {
    ASSERT_EQ(weights.shape(), (Shape{2, 1, 3, 3}));
    for (Index i = 0; i < 6; ++i) {
      float total = 0;
      for (Index j = 0; j < 3; ++j) {
        EXPECT_EQ(weights.row(i)[j] != 0.f, rapt::at(rapt::at(rows, i), j) == 'x') << i << ", " << j;
        total += weights.row(i)[j];
      }
      EXPECT_NEAR(total, rapt::at(rows, i) == "..." ? 0 : 1, 1e-6) << i;
    }
  };
  expect_hidden(weights_with({}), {"xxx", "xxx", "xxx", "xx.", "...", "..."});
  expect_hidden(weights_with({.mask = {.causal = true}}), {"x..", "xx.", "xxx", "xx.", "...", "..."});
  expect_hidden(weights_with({.window = 1}), {"xx.", "xxx", ".xx", "xx.", "...", "..."});
  Tensor<bool> padding(Shape{5}, false), mask(Shape{3, 3}, false);
  padding.data()[1] = true;
  for (Index j = 0; j < 3; ++j) mask(1, j) = true;
  expect_hidden(weights_with({.mask = {.key_padding_mask = padding}}), {"x.x", "x.x", "x.x", "xx.", "...", "..."});
  expect_hidden(weights_with({.mask = {.mask = mask}}), {"xxx", "...", "xxx", "xx.", "...", "..."});
  Tensor<float> additive(Shape{3, 3}, 0.f);
  additive(0, 2) = -std::numeric_limits<float>::infinity();
  expect_hidden(weights_with({.mask = {.additive_mask = additive}}), {"xx.", "xxx", "xxx", "xx.", "...", "..."});
}

TEST(AdditiveAttention, SameBitsOnAnyThreads) {
  const RowSplits query_splits = splits_of({40, 3}), key_splits = splits_of({90, 5});
  rapt_test::expect_same_bits_on_any_threads([&] {
    std::vector<Variable<float>> leaves;
    for (const Shape& shape : {Shape{43, 150}, Shape{95, 150}, Shape{95, 70}, Shape{150}}) {
      leaves.emplace_back(normal_tensor<float>(shape, leaves.size()), /*requires_grad=*/true);
    }
    rapt::Rng rng(1);
    const rapt::Training scope(rng);
    const auto y = additive_attention(leaves[0], leaves[1], leaves[2], leaves[3], query_splits, key_splits,
                                      Options<float>{.dropout = 0.2f});
    rapt::backward(sum(multiply(y, y)));
    std::vector<float> all(y.value().values().begin(), y.value().values().end());
    for (const auto& leaf : leaves) all.insert(all.end(), leaf.grad().values().begin(), leaf.grad().values().end());
    return all;
  });
}

/// The gradient of x, whose rows are queries, keys and values: the sum of those of three copies, on any threads, where
/// a row that is a query of one sequence is a key of another.
TEST(AdditiveAttention, OneVariableMayBeQueriesAndKeysOfOtherSequences) {
  const RowSplits query_splits = splits_of({40, 160}), key_splits = splits_of({160, 40});
  const auto x = normal_tensor<double>({200, 64}, 1), weight = normal_tensor<double>({64}, 2, 0.2);
  const auto gradients_of = [&](const Variable<double>& q, const Variable<double>& k, const Variable<double>& value) {
    const Variable<double> v(weight, /*requires_grad=*/true);
    const rapt::Recording scope;
    const auto y = additive_attention(q, k, value, v, query_splits, key_splits);
    rapt::backward(sum(multiply(y, y)));
    return v.grad();
  };
  const auto leaf = [&] { return Variable<double>(x, /*requires_grad=*/true); };
  const std::vector<Variable<double>> apart{leaf(), leaf(), leaf()};
  const Tensor<double> expected_v = gradients_of(apart[0], apart[1], apart[2]);
  Tensor<double> expected(x.shape(), 0.0);
  for (Index i = 0; i < expected.size(); ++i) {
    for (const auto& part : apart) expected.data()[i] += part.grad().data()[i];
  }
  rapt_test::expect_same_bits_on_any_threads([&] {
    const Variable<double> one = leaf();
    const Tensor<double> v = gradients_of(one, one, one);
    rapt_test::expect_close(one.grad(), expected, 1e-12);
    rapt_test::expect_close(v, expected_v, 1e-12);
    return one.grad();
  });
}

/// Ranges of keys in another order than the sequences', with keys that nobody sees.
TEST(AdditiveAttention, KeysMayLieInAnyOrder) {
  const auto query = normal_tensor<double>({5, 6}, 1), key = normal_tensor<double>({7, 6}, 2),
             weight = normal_tensor<double>({6}, 3);
  const auto leaf = [](const Tensor<double>& values) { return Variable<double>(values, /*requires_grad=*/true); };
  const auto gradient_of_keys = [&](const RowSplits& queries, const std::vector<rapt::kernels::KeyRange>& keys,
                                    const Tensor<double>& of_query) {
    const auto k = leaf(key);
    const rapt::Recording scope;
    const auto y = additive_attention(leaf(of_query), k, k, leaf(weight), queries, keys);
    rapt::backward(sum(multiply(y, y)));
    return k.grad();
  };
  const auto both = gradient_of_keys(splits_of({3, 2}), {{5, 2}, {0, 4}}, query);
  const auto first = gradient_of_keys(splits_of({3}), {{5, 2}}, Tensor<double>(query.view().middle_rows(0, 3)));
  const auto second = gradient_of_keys(splits_of({2}), {{0, 4}}, Tensor<double>(query.view().middle_rows(3, 2)));
  for (Index i = 0; i < key.size(); ++i) EXPECT_NEAR(both.data()[i], first.data()[i] + second.data()[i], 1e-14) << i;
  rapt_test::expect_message(
      [&] {
        std::ignore = gradient_of_keys(splits_of({3, 2}), {{3, 4}, {1, 3}}, query);
      },
      "[additive_attention] sequences share keys, of which no gradients are computed: keys 1 .. 4 and keys 3 .. 7");
}

TEST(AdditiveAttention, ErrorsNameTheShapes) {
  const auto tensor = [](Shape shape) { return Variable<double>(normal_tensor<double>(shape, 1)); };
  const auto call = [&](Shape query, Shape key, Shape value, Shape v, const Options<double>& options = {}) {
    return [=] {
      std::ignore = additive_attention(tensor(query), tensor(key), tensor(value), tensor(v), splits_of({2}),
                                       splits_of({3}), options);
    };
  };
  rapt_test::expect_errors(
      {{"v", call({2, 4}, {3, 4}, {3, 5}, {3}), {"[additive_attention] ", "query [Nq, A] is [2, 4]", "v [A] [3]"}},
       {"key", call({2, 4}, {3, 5}, {3, 5}, {4}), {"[additive_attention] ", "key [Nk, A] [3, 5]"}},
       {"value", call({2, 4}, {3, 4}, {2, 5}, {4}), {"[additive_attention] ", "value [Nk, D] [2, 5]"}},
       {"rows", call({3, 4}, {3, 4}, {3, 5}, {4}), {"row splits end at 2", "[3, 4]"}},
       {"window", call({2, 4}, {3, 4}, {3, 5}, {4}, {.window = -1}), {"window must not be negative: -1"}}});
}

}  // namespace
