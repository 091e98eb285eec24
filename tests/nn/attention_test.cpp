/// \file
/// Multi-head attention with values of another width and soft-capped scores: names and shapes, against the op on what
/// the layer projects, and step by step.
// covers: nn/attention_options.hpp
#include "rapt/nn/attention.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
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
using Mask = rapt::AttentionMask<double>;

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
                              const rapt::RowSplits& splits, const rapt::RowSplits& key_splits, const Mask& mask) {
      const Variable heads = attention(part(query, 0, 6), part(key, 6, 6), part(value, 12, v), splits, key_splits,
                                       {.heads = options.heads, .soft_cap = options.soft_cap, .mask = mask});
      return Tensor<double>(rapt::linear<double>(heads, p.at("out_proj.weight"), p.at("out_proj.bias")).value());
    };
    const Variable x = random({9, 6}, 3), memory = random({11, 6}, 4), values = random({11, 6}, 5);
    const auto splits = splits_of({4, 5}), memory_splits = splits_of({9, 2});
    const Mask first{.causal = true, .alignment = rapt::MaskAlignment::first_key};
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

/// A table of biases of its own and one that the call brings, added; queries and values have biases, keys have none.
TEST(MultiHeadAttention, ATableOfBiasesIsTheOps) {
  const std::vector<rapt::TokenId> pairs{0, 1, 2, 3, 4, 0, 1, 2, 3};
  const Layer layer =
      layer_of({.d_model = 6, .heads = 2, .key_bias = false, .positions = rapt::RelativePositionBias{.rows = 5}});
  const auto p = parameters_of(layer);
  ASSERT_EQ(p.size(), 6U);
  ASSERT_FALSE(p.contains("in_proj_bias") || p.contains("key_bias"));
  ASSERT_EQ(p.at("position_bias.table").shape(), (Shape{5, 2}));
  const Variable x = random({6, 6}, 3), shared = random({5, 2}, 4);
  Tensor<double> bias(Shape{18}, 0.0);
  std::copy_n(p.at("query_bias").value().data(), 6, bias.data());
  std::copy_n(p.at("value_bias").value().data(), 6, bias.data() + 12);
  const Variable qkv = rapt::linear<double>(x, p.at("in_proj_weight"), Variable(bias));
  for (const bool with_shared : {false, true}) {
    const Variable table = with_shared ? rapt::add(shared, p.at("position_bias.table")) : p.at("position_bias.table");
    const Variable heads = rapt::attention<double>(rapt::columns(qkv, 0, 6), rapt::columns(qkv, 6, 6),
                                                   rapt::columns(qkv, 12, 6), splits_of({3, 3}), splits_of({3, 3}),
                                                   {.heads = 2, .bias = {.table = {.table = table, .numbers = pairs}}});
    const Variable expected = rapt::linear<double>(heads, p.at("out_proj.weight"), p.at("out_proj.bias"));
    const Variable y =
        layer(x, splits_of({3, 3}), {}, {}, {.table = with_shared ? shared : Variable(), .numbers = pairs});
    EXPECT_LT(rapt_test::relative_error(y.value(), expected.value()), 1e-14);
  }
}

/// Two vectors of the layer's own, or those that the call brings.
TEST(MultiHeadAttention, ScoresOfDistancesAreTheOps) {
  const auto splits = splits_of({2, 3}), all_splits = splits_of({4, 3});
  const Variable x = random({5, 6}, 3), all = random({7, 6}, 4), distances = random({4, 6}, 5);
  const Variable u = random({2, 5}, 6), w = random({2, 5}, 7);
  for (const bool own : {false, true}) {
    const Layer layer = layer_of({.d_model = 6,
                                  .heads = 2,
                                  .head_dim = 5,
                                  .window = 1,
                                  .query_bias = false,
                                  .key_bias = false,
                                  .value_bias = false,
                                  .output_bias = false,
                                  .positions = rapt::RelativePositionEncoding{.own_biases = own}});
    const auto p = parameters_of(layer);
    ASSERT_EQ(p.size(), own ? 5U : 3U);
    ASSERT_EQ(p.at("position_proj.weight").shape(), (Shape{10, 6}));
    const auto part = [&](const Variable& rows, Index first, Index count) {
      return rapt::linear<double>(rows, p.at("in_proj_weight"), Variable(), rapt::Activation::none, {first, count});
    };
    const rapt::DistanceBias<double> bias{
        .distances = rapt::linear<double>(distances, p.at("position_proj.weight"), Variable()),
        .content_bias = own ? p.at("content_bias") : u,
        .position_bias = own ? p.at("position_bias") : w};
    const Variable heads = rapt::attention<double>(part(x, 0, 10), part(all, 10, 10), part(all, 20, 10), splits,
                                                   all_splits, {.heads = 2, .window = 1, .bias = {.distances = bias}});
    const Variable y =
        layer(x, splits, all, all_splits, {}, {}, {.distances = distances, .content_bias = u, .position_bias = w});
    const Variable expected = rapt::linear<double>(heads, p.at("out_proj.weight"), Variable());
    EXPECT_LT(rapt_test::relative_error(y.value(), expected.value()), 1e-14);
  }
}

TEST(MultiHeadAttention, GradientsWithPositions) {
  const std::vector<rapt::TokenId> pairs{0, 1, 2, 3, 4, 0, 1, 2, 3};
  const Layer table =
      layer_of({.d_model = 6, .heads = 2, .key_bias = false, .positions = rapt::RelativePositionBias{.rows = 5}});
  const Layer distances = layer_of(
      {.d_model = 6, .heads = 2, .window = 1, .positions = rapt::RelativePositionEncoding{.own_biases = false}});
  const Layer rotary = layer_of({.d_model = 6,
                                 .heads = 3,
                                 .key_value_heads = 1,
                                 .head_dim = 4,
                                 .value_head_dim = 3,
                                 .window = 2,
                                 .value_bias = false,
                                 .positions = rapt::RotaryOptions{}});
  const auto tensor = [](Shape shape, std::uint64_t seed) { return rapt_test::normal_tensor<double>(shape, seed); };
  const auto splits = splits_of({3, 3});
  const auto of_table = rapt::gradcheck(
      [&](const std::vector<Variable>& x) { return table(x[0], splits, {}, {}, {.table = x[1], .numbers = pairs}); },
      {tensor({6, 6}, 3), tensor({5, 2}, 4)});
  EXPECT_LT(of_table.worst_relative_error, 1e-6);
  const auto of_distances = rapt::gradcheck(
      [&](const std::vector<Variable>& x) {
        return distances(x[0], splits, x[1], splits_of({4, 3}), {}, {},
                         {.distances = x[2], .content_bias = x[3], .position_bias = x[4]});
      },
      {tensor({6, 6}, 3), tensor({7, 6}, 4), tensor({4, 6}, 5), tensor({2, 3}, 6), tensor({2, 3}, 7)});
  EXPECT_LT(of_distances.worst_relative_error, 1e-6);
  const auto of_rotary = rapt::gradcheck(
      [&](const std::vector<Variable>& x) { return rotary(x[0], splits, {.causal = true}); }, {tensor({6, 6}, 3)});
  EXPECT_LT(of_rotary.worst_relative_error, 1e-6);
}

/// What positions inside of attention do not go together with.
TEST(MultiHeadAttention, NamesWhatPositionsCannot) {
  const auto splits = splits_of({3});
  const Variable x = random({3, 6}, 3);
  const std::vector<rapt::TokenId> pairs(9, 0);
  const Layer rotary = layer_of({.d_model = 6, .heads = 3, .positions = rapt::RotaryOptions{}});
  const Layer table = layer_of({.d_model = 6, .heads = 2, .positions = rapt::RelativePositionBias{}});
  const Layer distances = layer_of({.d_model = 6, .heads = 2, .positions = rapt::RelativePositionEncoding{}});
  rapt_test::expect_errors(
      {{"rotary source", [=] { std::ignore = rotary(x, splits, x, splits); }, {"[multi_head_attention] rotary"}},
       {"rotary general", [=] { std::ignore = rotary(x, splits, x, x, splits); }, {"[multi_head_attention] rotary"}},
       {"no table", [=] { std::ignore = table(x, splits); }, {"[multi_head_attention] ", "table"}},
       {"no distances", [=] { std::ignore = distances(x, splits); }, {"[multi_head_attention] ", "no encodings"}},
       {"steps beyond the offsets",
        [=] {
          rapt::KeyValueCache<double> cache(1, 6);
          std::ignore = table.step(x, splits, cache, {.table = random({1, 2}, 4), .numbers = pairs, .zero = 1});
        },
        {"[multi_head_attention] ", "3 tokens", "offsets from -1"}},
       {"distances without a causal mask",
        [=] {
          std::ignore = distances(x, splits, {.causal = false}, {}, {.distances = random({3, 6}, 4)});
        },
        {"[attention] ", "causal"}},
       {"steps with a table",
        [=] {
          rapt::KeyValueCache<double> cache(1, 6);
          std::ignore = table.step(x, splits, cache);
        },
        {"[multi_head_attention] ", "steps"}}});
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
    for (const auto window : {std::optional<Index>(), std::optional<Index>(2), std::optional<Index>(0)}) {
      Options with_window = options;
      with_window.window = window;
      const Layer windowed = layer_of(with_window);  // the same parameters
      for (const auto alignment : {rapt::MaskAlignment::last_key, rapt::MaskAlignment::first_key}) {
        const auto whole = windowed(x, splits, {.causal = true, .alignment = alignment}).value();
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
          const Variable y = windowed.step(Variable(part), now, cache);
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
