/// \file
/// Multi-head attention with values of another width and soft-capped scores: names and shapes, against the op on what
/// the layer projects, and step by step.
#include "rapt/nn/attention.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::splits_of;
using Variable = rapt::Variable<double>;
using Layer = rapt::MultiHeadAttention<double>;
using Options = rapt::MultiHeadAttentionOptions;
using Masks = rapt::AttentionOptions<double>;

constexpr Options kWide{.d_model = 6, .heads = 2, .value_head_dim = 5, .soft_cap = 0.7};

[[nodiscard]] Layer layer_of(const Options& options) {
  rapt::Rng rng(1);
  Layer layer(options, rng);
  rapt_test::randomize(layer, 2);
  return layer;
}

[[nodiscard]] std::map<std::string, Variable> parameters_of(const Layer& layer) {
  std::map<std::string, Variable> parameters;
  rapt::for_each_parameter(layer, [&](const std::string& name, const auto& p) { parameters.emplace(name, p); });
  return parameters;
}

[[nodiscard]] Variable random(Shape shape, std::uint64_t seed) {
  return Variable(rapt_test::normal_tensor<double>(shape, seed));
}

TEST(MultiHeadAttention, NamesAreTorchsAndValuesHaveTheirOwnWidth) {
  const auto plain = parameters_of(layer_of({.d_model = 6, .heads = 2}));
  ASSERT_EQ(plain.size(), 4U);
  EXPECT_EQ(plain.at("in_proj_weight").shape(), (Shape{18, 6}));
  EXPECT_EQ(plain.at("in_proj_bias").shape(), (Shape{18}));
  EXPECT_EQ(plain.at("out_proj.weight").shape(), (Shape{6, 6}));
  const auto wide = parameters_of(layer_of(kWide));
  ASSERT_EQ(wide.size(), 4U);
  EXPECT_EQ(wide.at("in_proj_weight").shape(), (Shape{22, 6}));
  EXPECT_EQ(wide.at("in_proj_bias").shape(), (Shape{22}));
  EXPECT_EQ(wide.at("out_proj.weight").shape(), (Shape{6, 10}));
  EXPECT_EQ(wide.at("out_proj.bias").shape(), (Shape{6}));
}

/// The width of keys, said or not, and no cap: the same numbers from the same seed.
TEST(MultiHeadAttention, DefaultsStandForWhatTheySay) {
  rapt::Rng one(1), other(1);
  const Layer plain({.d_model = 6, .heads = 2}, one);
  const Layer said({.d_model = 6, .heads = 2, .value_head_dim = 3, .scale = 1 / std::sqrt(3.0)}, other);
  const Variable x = random({7, 6}, 3);
  EXPECT_TRUE(rapt_test::same_bits(plain(x, splits_of({7})).value(), said(x, splits_of({7})).value()));
  EXPECT_EQ(plain.options().value_head_dim, 3);
  EXPECT_EQ(plain.options().scale, 1 / std::sqrt(3.0));
}

TEST(MultiHeadAttention, EqualsTheOpOnWhatItProjects) {
  for (const Options& options : {kWide, Options{.d_model = 6, .heads = 3, .value_head_dim = 1, .soft_cap = 2},
                                 Options{.d_model = 6, .heads = 2, .soft_cap = 1}}) {
    const Layer layer = layer_of(options);
    const Index v = layer.value_columns();
    const auto p = parameters_of(layer);
    const auto part = [&](const Variable& x, Index first, Index count) {
      return rapt::linear<double>(x, p.at("in_proj_weight"), p.at("in_proj_bias"), rapt::Activation::none,
                                  {first, count});
    };
    const auto expected = [&](const Variable& query, const Variable& key, const Variable& value,
                              const rapt::RowSplits& splits, const rapt::RowSplits& key_splits, Masks masks) {
      masks.heads = options.heads, masks.soft_cap = options.soft_cap;
      const Variable heads =
          attention(part(query, 0, 6), part(key, 6, 6), part(value, 12, v), splits, key_splits, masks);
      return Tensor<double>(rapt::linear<double>(heads, p.at("out_proj.weight"), p.at("out_proj.bias")).value());
    };
    const Variable x = random({9, 6}, 3), memory = random({11, 6}, 4), values = random({11, 6}, 5);
    const auto splits = splits_of({4, 5}), memory_splits = splits_of({9, 2});
    const Masks first{.causal = true, .alignment = rapt::MaskAlignment::first_key};
    const auto expect_equal = [](const Variable& y, const Tensor<double>& wanted) {
      EXPECT_LT(rapt_test::relative_error(y.value(), wanted), 1e-14);
    };
    expect_equal(layer(x, splits), expected(x, x, x, splits, splits, {}));
    expect_equal(layer(x, splits, {.causal = true}), expected(x, x, x, splits, splits, {.causal = true}));
    expect_equal(layer(x, splits, memory, memory_splits, first),
                 expected(x, memory, memory, splits, memory_splits, first));
    expect_equal(layer(x, splits, memory, values, memory_splits, first),
                 expected(x, memory, values, splits, memory_splits, first));
  }
}

TEST(MultiHeadAttention, Gradients) {
  const Layer layer = layer_of(kWide);
  const auto splits = splits_of({3, 1}), memory_splits = splits_of({2, 3});
  const auto result = rapt::gradcheck(
      [&](const std::vector<Variable>& x) {
        return layer(x[0], splits, x[1], memory_splits, {.causal = true, .alignment = rapt::MaskAlignment::first_key});
      },
      {rapt_test::normal_tensor<double>({4, 6}, 3), rapt_test::normal_tensor<double>({5, 6}, 4)});
  EXPECT_LT(result.worst_relative_error, 1e-6);
}

/// Steps of one and of several tokens a row, and steps of attention to a memory, against attention over the whole.
TEST(MultiHeadAttention, StepsHonourValuesOfAnotherWidthAndSoftCap) {
  for (const Options& options : {kWide, Options{.d_model = 6, .heads = 3, .value_head_dim = 1, .soft_cap = 2},
                                 Options{.d_model = 6, .heads = 2, .soft_cap = 0.5}}) {
    const Layer layer = layer_of(options);
    const std::vector<std::vector<Index>> steps{{1, 3, 0}, {2, 1, 1}, {1, 1, 1}, {0, 20, 2}};
    const auto splits = splits_of({4, 25, 4}), memory_splits = splits_of({5, 3, 7});
    const Variable x = random({33, 6}, 3), memory = random({15, 6}, 4);
    const Tensor<double> keys_values = layer.keys_values(memory).value();
    EXPECT_EQ(keys_values.shape(), (Shape{15, 6 + layer.value_columns()}));
    const auto ranges = rapt::detail::key_ranges(memory_splits);
    const auto cross = layer(x, splits, memory, memory_splits).value();
    for (const Index window : {0, 2}) {
      for (const auto alignment : {rapt::MaskAlignment::last_key, rapt::MaskAlignment::first_key}) {
        const auto whole = layer(x, splits, {.causal = true, .window = window, .alignment = alignment}).value();
        rapt::KeyValueCache<double> cache(3, layer.key_columns(), layer.value_columns());
        std::vector<Index> done(3, 0);
        for (const auto& lengths : steps) {
          const auto now = splits_of(lengths);
          Tensor<double> part(Shape{now.rows(), 6}), expected(part.shape()), expected_cross(part.shape());
          for (Index r = 0; r < 3; ++r) {
            for (Index i = 0; i < now.length(r); ++i) {
              const Index row = splits.begin(r) + done[static_cast<std::size_t>(r)]++, to = now.begin(r) + i;
              std::copy_n(x.value().row(row), 6, part.row(to));
              std::copy_n(whole.row(row), 6, expected.row(to));
              std::copy_n(cross.row(row), 6, expected_cross.row(to));
            }
          }
          const Variable y = layer.step(Variable(part), now, cache, window);
          EXPECT_LT(rapt_test::relative_error(y.value(), expected), 1e-13);
          const Variable z = layer.step(Variable(part), now, keys_values, ranges);
          EXPECT_LT(rapt_test::relative_error(z.value(), expected_cross), 1e-13);
        }
      }
    }
  }
}

TEST(MultiHeadAttention, IsTheSameOnAnyThreads) {
  const Layer layer = layer_of(kWide);
  const auto splits = splits_of({70, 3, 40});
  rapt_test::expect_same_bits_on_any_threads([&] {
    const auto x = rapt_test::random_leaf<double>({113, 6}, 3);
    const rapt::Recording scope;
    rapt::backward(sum(layer(x, splits)));
    return Tensor<double>(x.grad());
  });
}

}  // namespace
