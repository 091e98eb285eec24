/// \file
/// Multi-head attention with fewer heads of keys and values than of queries: against the layer with a key head for each
/// query head, against plain attention, and step by step against the whole.
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "rapt/nn/attention.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::splits_of;
using Layer = rapt::MultiHeadAttention<double>;
using Options = rapt::MultiHeadAttentionOptions;
using Variable = rapt::Variable<double>;

Layer layer_of(Options options, bool rotary = true) {
  rapt::Rng rng(1);
  if (rotary) options.positions = rapt::RotaryOptions{};
  Layer layer(options, rng);
  rapt_test::randomize(layer, 2, 0.5);
  return layer;
}

constexpr rapt::AttentionNames kNames{
    .in_proj_weight = "qkv_proj.weight", .in_proj_bias = "qkv_proj.bias", .out_proj = "o_proj"};
const Options kGrouped{.d_model = 12,
                       .heads = 6,
                       .key_value_heads = 2,
                       .head_dim = 4,
                       .query_bias = false,
                       .key_bias = false,
                       .value_bias = false,
                       .output_bias = false,
                       .names = kNames};
constexpr rapt::AttentionMask<double> kCausal{.causal = true};

void set_input_biases(Options& options, bool bias) {
  options.query_bias = options.key_bias = options.value_bias = bias;
}

TEST(GroupedQueryAttention, HasOneMatrixForQueriesKeysAndValues) {
  Options options = kGrouped;
  set_input_biases(options, true);
  std::vector<std::pair<std::string, Shape>> found;
  const Layer layer = layer_of(options);
  rapt::for_each_parameter(layer, [&](const std::string& name, const auto& p) { found.emplace_back(name, p.shape()); });
  const std::vector<std::pair<std::string, Shape>> expected{
      {"qkv_proj.weight", {40, 12}}, {"qkv_proj.bias", {40}}, {"o_proj.weight", {12, 24}}};
  EXPECT_EQ(found, expected);
  EXPECT_EQ(layer.key_columns(), 8);
  set_input_biases(options, false), options.output_bias = true, options.head_dim = 0;
  EXPECT_EQ(rapt::count_parameters(layer_of(options)), 20 * 12 + 12 * 12 + 12);
}

/// The same layer with the rows of its keys and values repeated for each query head: outputs and gradients are equal.
TEST(GroupedQueryAttention, EqualsAttentionWithRepeatedHeads) {
  for (const Index key_value_heads : {1, 2, 3}) {
    Options options = kGrouped;
    options.key_value_heads = key_value_heads;
    set_input_biases(options, true);
    const Layer grouped = layer_of(options);
    Options all = options;
    all.key_value_heads = options.heads;
    Layer repeated = layer_of(all);
    const Index d = options.head_dim, shared = options.heads / key_value_heads, q = options.heads * d;
    const auto source_row = [&](Index row) {  // of the stacked matrix of `grouped`
      if (row < q) return row;
      const Index part = (row - q) / q, head = (row - q) % q / d;
      return q + part * key_value_heads * d + head / shared * d + row % d;
    };
    std::vector<const rapt::Parameter<double>*> from;
    rapt::for_each_parameter(grouped, [&](const std::string&, const auto& p) { from.push_back(&p); });
    std::size_t next = 0;
    rapt::for_each_parameter(repeated, [&](const std::string& name, auto& p) {
      const Tensor<double>& source = from[next++]->value();
      if (name == "o_proj.weight") {
        p.mutable_value() = source;
        return;
      }
      Tensor<double>& value = p.mutable_value();
      const Index cols = value.shape().rank() == 1 ? 1 : value.cols();
      for (Index row = 0; row < 3 * q; ++row) {
        std::copy_n(source.data() + source_row(row) * cols, cols, value.data() + row * cols);
      }
    });
    const auto splits = splits_of({5, 1, 0, 9});
    const auto x = rapt_test::random_leaf<double>({15, 12}, 3), y = Variable(x.value(), true);
    const rapt::Recording scope;
    const auto a = grouped(x, splits, kCausal), b = repeated(y, splits, kCausal);
    EXPECT_LT(rapt_test::relative_error(a.value(), b.value()), 1e-14);
    rapt::backward(sum(multiply(a, a)));
    rapt::backward(sum(multiply(b, b)));
    EXPECT_LT(rapt_test::relative_error(x.grad(), y.grad()), 1e-13);
    Tensor<double> summed(from[0]->shape(), 0.0);  // over the heads that read a row
    rapt::for_each_parameter(repeated, [&](const std::string& name, const auto& p) {
      if (name != "qkv_proj.weight") return;
      for (Index row = 0; row < 3 * q; ++row) {
        for (Index j = 0; j < 12; ++j) summed(source_row(row), j) += p.grad()(row, j);
      }
    });
    EXPECT_LT(rapt_test::relative_error(from[0]->grad(), summed), 1e-13);
  }
}

/// Without positions, and with a key head for each query head, it is the paper's layer under other names.
TEST(GroupedQueryAttention, WithoutRotaryIsMultiHeadAttention) {
  const Options options{.d_model = 12, .heads = 3, .key_value_heads = 3, .window = 2, .names = kNames};
  const Layer layer = layer_of(options, /*rotary=*/false);
  rapt::Rng rng(1);
  rapt::MultiHeadAttention<double> paper({.d_model = 12, .heads = 3, .window = 2}, rng);
  std::vector<const rapt::Parameter<double>*> from;
  rapt::for_each_parameter(layer, [&](const std::string&, const auto& p) { from.push_back(&p); });
  std::size_t next = 0;
  rapt::for_each_parameter(paper, [&](const std::string&, auto& p) { p.mutable_value() = from[next++]->value(); });
  const Variable x(rapt_test::normal_tensor<double>({9, 12}, 3));
  const auto splits = splits_of({4, 5});
  const auto expected = paper(x, splits, kCausal);
  EXPECT_TRUE(rapt_test::same_bits(layer(x, splits, kCausal).value(), expected.value()));
}

/// Values of another width and a soft cap, against the op on what the layer projects.
TEST(GroupedQueryAttention, ValuesOfAnotherWidthAndASoftCap) {
  for (const Index value_dim : {1, 3, 7}) {
    Options options = kGrouped;
    options.value_head_dim = value_dim, options.soft_cap = 0.8;
    const Layer layer = layer_of(options, /*rotary=*/false);
    const Index q = 6 * 4, k = 2 * 4, v = 2 * value_dim;
    EXPECT_EQ(layer.key_columns(), k);
    EXPECT_EQ(layer.value_columns(), v);
    std::map<std::string, Variable> parameters;
    rapt::for_each_parameter(layer, [&](const std::string& name, const auto& p) { parameters.emplace(name, p); });
    ASSERT_EQ(options.window, std::nullopt);
    ASSERT_EQ(parameters.at("qkv_proj.weight").shape(), (Shape{q + k + v, 12}));
    ASSERT_EQ(parameters.at("o_proj.weight").shape(), (Shape{12, 6 * value_dim}));
    const Variable x(rapt_test::normal_tensor<double>({9, 12}, 3));
    const auto splits = splits_of({4, 5});
    const Variable bias = parameters.contains("qkv_proj.bias") ? parameters.at("qkv_proj.bias") : Variable();
    const Variable qkv = rapt::linear<double>(x, parameters.at("qkv_proj.weight"), bias);
    const Variable heads =
        attention(rapt::columns(qkv, 0, q), rapt::columns(qkv, q, k), rapt::columns(qkv, q + k, v), splits, splits,
                  {.heads = 6, .key_value_heads = 2, .soft_cap = 0.8, .mask = kCausal});
    const Variable output_bias = parameters.contains("o_proj.bias") ? parameters.at("o_proj.bias") : Variable();
    const Variable expected = rapt::linear<double>(heads, parameters.at("o_proj.weight"), output_bias);
    EXPECT_LT(rapt_test::relative_error(layer(x, splits, kCausal).value(), expected.value()), 1e-14);
  }
}

TEST(GroupedQueryAttention, StepsEqualTheWhole) {
  const std::vector<std::vector<Index>> steps{{1, 3, 0}, {2, 1, 1}, {1, 1, 1}, {0, 20, 2}};
  const auto splits = splits_of({4, 25, 4});
  const Tensor<double> x = rapt_test::normal_tensor<double>({33, 12}, 3);
  for (const bool rotary : {true, false}) {
    for (const auto window : {std::optional<Index>(), std::optional<Index>(2)}) {
      Options options = kGrouped;
      options.window = window;
      if (!rotary) options.value_head_dim = 5, options.soft_cap = 0.7;
      const Layer layer = layer_of(options, rotary);
      const auto whole = layer(Variable(x), splits, kCausal).value();
      rapt::KeyValueCache<double> cache(3, layer.key_columns(), layer.value_columns());
      std::vector<Index> done(3, 0);
      for (const auto& lengths : steps) {
        const auto now = splits_of(lengths);
        Tensor<double> part(Shape{now.rows(), 12}), expected(Shape{now.rows(), 12});
        for (Index r = 0; r < 3; ++r) {
          for (Index i = 0; i < now.length(r); ++i) {
            const Index row = splits.begin(r) + done[static_cast<std::size_t>(r)]++;
            std::copy_n(x.row(row), 12, part.row(now.begin(r) + i));
            std::copy_n(whole.row(row), 12, expected.row(now.begin(r) + i));
          }
        }
        EXPECT_LT(rapt_test::relative_error(layer.step(Variable(part), now, cache).value(), expected), 1e-13);
      }
    }
  }
}

TEST(GroupedQueryAttention, GivesProbabilities) {
  const Layer layer = layer_of(kGrouped);
  Tensor<double> weights;
  std::ignore =
      layer(Variable(rapt_test::normal_tensor<double>({5, 12}, 3)), splits_of({2, 3}), kCausal, {.weights = &weights});
  ASSERT_EQ(weights.shape(), (Shape{2, 6, 3, 3}));
  for (Index h = 0; h < 6; ++h) {
    const double* row = weights.data() + ((6 + h) * 3 + 2) * 3;  // the last token of the second sequence
    EXPECT_NEAR(row[0] + row[1] + row[2], 1, 1e-14);
    EXPECT_EQ(weights.data()[h * 9 + 1], 0) << "the first token sees no other";
  }
}

TEST(GroupedQueryAttention, DropoutActsInTrainingOnly) {
  Options options = kGrouped;
  options.dropout = 0.5f;
  const Layer layer = layer_of(options);
  const Variable x(rapt_test::normal_tensor<double>({5, 12}, 3));
  const auto still = layer(x, splits_of({5}), kCausal).value();
  rapt::Rng rng(1);
  const rapt::Training scope(rng);
  EXPECT_FALSE(rapt_test::same_bits(layer(x, splits_of({5}), kCausal).value(), still));
}

TEST(GroupedQueryAttention, IsTheSameOnAnyThreads) {
  const Layer layer = layer_of(kGrouped);
  const auto splits = splits_of({70, 3, 40});
  rapt_test::expect_same_bits_on_any_threads([&] {
    const auto x = rapt_test::random_leaf<double>({113, 12}, 3);
    const rapt::Recording scope;
    rapt::backward(sum(layer(x, splits, kCausal)));
    return Tensor<double>(x.grad());
  });
}

TEST(GroupedQueryAttention, NamesWhatDoesNotFit) {
  std::vector<rapt_test::WrongUse> t;
  const auto wrong = [&](std::string name, std::function<void()> use, std::vector<std::string> parts) {
    t.push_back({std::move(name), std::move(use), std::move(parts)});
  };
  const auto build = [](Options options) {
    return [options] {
      rapt::Rng rng(1);
      Layer(options, rng);
    };
  };
  wrong("groups", build({.d_model = 12, .heads = 6, .key_value_heads = 4}),
        {"[multi_head_attention] ", "heads = 6", "key_value_heads = 4"});
  wrong("no key heads", build({.d_model = 12, .heads = 6, .key_value_heads = -1}), {"key_value_heads = -1"});
  wrong("head_dim", build({.d_model = 10, .heads = 6, .key_value_heads = 2}),
        {"d_model = 10", "heads = 6", "head_dim = 0"});
  wrong("value_head_dim", build({.d_model = 12, .heads = 6, .key_value_heads = 2, .value_head_dim = -1}),
        {"value_head_dim", "-1"});
  wrong("soft_cap", build({.d_model = 12, .heads = 6, .key_value_heads = 2, .soft_cap = -30}), {"soft_cap", "-30"});
  wrong("dropout", build({.d_model = 12, .heads = 6, .key_value_heads = 2, .dropout = 1.f}), {"dropout", ": 1"});
  wrong("window", build({.d_model = 12, .heads = 6, .key_value_heads = 2, .window = -1}), {"window", "-1"});
  const Layer layer = layer_of(kGrouped), plain = layer_of(kGrouped, /*rotary=*/false);
  const auto of = [](Shape shape) { return Variable(Tensor<double>(shape, 1.0)); };
  wrong("width", [=] { std::ignore = layer(of({3, 5}), splits_of({3})); }, {"[3, 5]", "[40, 12]"});
  wrong("splits",
        [=] {
          std::ignore = layer(of({3, 12}), splits_of({2}));
        },
        {"[multi_head_attention] ", "end at 2", "[3, 12]"});
  wrong("splits without rotary", [=] { std::ignore = plain(of({3, 12}), splits_of({2})); }, {"end at 2", "[3, 24]"});
  wrong("step",
        [=] {
          rapt::KeyValueCache<double> cache(2, layer.key_columns());
          std::ignore = layer.step(of({3, 12}), splits_of({3}), cache);
        },
        {"2 starts", "1 sequences"});
  wrong("cache width",
        [=] {
          rapt::KeyValueCache<double> cache(1, 12);
          std::ignore = layer.step(of({3, 12}), splits_of({3}), cache);
        },
        {"[kv_cache] ", "[3, 16]", "width 24"});
  rapt_test::expect_errors(t);
}

}  // namespace
