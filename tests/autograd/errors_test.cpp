/// \file
/// Wrong use of every op fails at once, with a text that names the op and the shapes or values that do not fit.
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "rapt/autograd/ops/activation.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/add_low_rank.hpp"
#include "rapt/autograd/ops/add_norm.hpp"
#include "rapt/autograd/ops/add_rows.hpp"
#include "rapt/autograd/ops/additive_attention.hpp"
#include "rapt/autograd/ops/attention.hpp"
#include "rapt/autograd/ops/concatenate_columns.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/exp_scale.hpp"
#include "rapt/autograd/ops/gated.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/gru.hpp"
#include "rapt/autograd/ops/head_norm.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/lstm.hpp"
#include "rapt/autograd/ops/matmul.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/prelu.hpp"
#include "rapt/autograd/ops/rescale_columns.hpp"
#include "rapt/autograd/ops/rms_norm.hpp"
#include "rapt/autograd/ops/rotary.hpp"
#include "rapt/autograd/ops/soft_cap.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Activation;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::splits_of;
using rapt_test::WrongUse;
using Ids = std::vector<rapt::TokenId>;
using Keys = std::vector<rapt::kernels::KeyRange>;
using Variable = rapt::Variable<float>;

Variable of(Shape shape) { return Variable(Tensor<float>(shape, 1.f), true); }

std::vector<WrongUse> wrong_uses() {
  std::vector<WrongUse> t;
  const auto wrong = [&](std::string name, std::function<void()> use, std::vector<std::string> parts) {
    t.push_back({std::move(name), std::move(use), std::move(parts)});
  };
  wrong("add", [] { std::ignore = add(of({2, 3}), of({3, 2})); }, {"[add] ", "[2, 3]", "[3, 2]"});
  wrong("add rank", [] { std::ignore = add(of({6}), of({2, 3})); }, {"[add] ", "[6]", "[2, 3]"});
  wrong("multiply", [] { std::ignore = multiply(of({2, 3}), of({3})); }, {"[multiply] ", "[2, 3]", "[3]"});
  wrong("matmul", [] { std::ignore = matmul(of({2, 3}), of({4, 5})); }, {"[matmul] ", "[2, 3]", "[4, 5]"});
  wrong("matmul rank", [] { std::ignore = matmul(of({2, 2, 3}), of({3, 5})); }, {"[matmul] ", "[2, 2, 3]", "[3, 5]"});

  wrong("linear", [] { std::ignore = linear(of({2, 3}), of({4, 5}), of({4})); }, {"[linear] ", "[2, 3]", "[4, 5]"});
  wrong("linear rank",
        [] {
          std::ignore = linear(of({2, 3}), of({2, 2, 3}), {});
        },
        {"[linear] ", "[2, 3]", "[2, 2, 3]"});
  wrong("linear bias", [] { std::ignore = linear(of({2, 3}), of({4, 3}), of({3})); }, {"[linear] ", "[4, 3]", "[3]"});
  wrong("linear range",
        [] {
          std::ignore = linear(of({2, 3}), of({6, 3}), {}, Activation::none, {.first = 4, .count = 3});
        },
        {"[linear] ", "[2, 3]", "[6, 3]", "4 .. 7"});
  wrong("linear negative range",
        [] {
          std::ignore = linear(of({2, 3}), of({6, 3}), {}, Activation::none, {.first = -1, .count = 3});
        },
        {"-1 .. 2", "[6, 3]"});

  wrong("layer_norm gamma",
        [] {
          std::ignore = layer_norm(of({2, 3}), of({4}), of({3}));
        },
        {"[layer_norm] ", "[2, 3]", "[4]", "[3]"});
  wrong("layer_norm beta",
        [] {
          std::ignore = layer_norm(of({2, 3}), of({3}), of({1}));
        },
        {"[layer_norm] ", "[2, 3]", "[1]"});
  wrong("add_norm",
        [] {
          std::ignore = add_norm(of({2, 3}), of({1, 3}), of({3}), of({3}));
        },
        {"[add_norm] ", "[2, 3]", "[1, 3]"});
  wrong("add_norm gamma",
        [] {
          std::ignore = add_norm(of({2, 3}), of({2, 3}), of({2}), of({3}));
        },
        {"[add_norm] ", "[2, 3]", "[2]"});
  wrong("add_norm rate",
        [] {
          std::ignore = add_norm(of({2, 3}), of({2, 3}), of({3}), of({3}), 1.f);
        },
        {"[0, 1)", "1"});
  wrong("residual_add",
        [] {
          std::ignore = residual_add(of({2, 3}), of({3, 3}));
        },
        {"[residual_add] ", "[2, 3]", "[3, 3]"});
  wrong("residual_add rate", [] { std::ignore = residual_add(of({2, 3}), of({2, 3}), -0.5f); }, {"[0, 1)", "-0.5"});
  wrong("dropout", [] { std::ignore = rapt::dropout(of({2, 3}), 1.5f); }, {"[dropout] ", "1.5"});

  wrong("gather_rows",
        [] {
          std::ignore = rapt::gather_rows(of({5, 3}), Ids{0, 4, 5});
        },
        {"[gather_rows] ", "id 5", "position 2", "of 5"});
  wrong("gather_rows negative",
        [] {
          std::ignore = rapt::gather_rows(of({5, 3}), Ids{-1});
        },
        {"[gather_rows] ", "id -1", "position 0"});
  wrong("add_rows width",
        [] {
          std::ignore = add_rows(of({2, 3}), of({5, 4}), Ids{0, 1});
        },
        {"[add_rows] ", "[2, 3]", "[5, 4]"});
  wrong("add_rows count",
        [] {
          std::ignore = add_rows(of({2, 3}), of({5, 3}), Ids{0, 1, 1});
        },
        {"[add_rows] ", "[2, 3]", "[5, 3]", "3"});
  wrong("add_rows number",
        [] {
          std::ignore = add_rows(of({2, 3}), of({5, 3}), Ids{0, 5});
        },
        {"[add_rows] ", "5", "position 1"});

  wrong("cross_entropy",
        [] {
          std::ignore = cross_entropy(of({2, 3}), Ids{0});
        },
        {"[cross_entropy] ", "[2, 3]", "1 t"});
  wrong("cross_entropy id",
        [] {
          std::ignore = cross_entropy(of({2, 3}), Ids{0, 3});
        },
        {"[cross_entropy] ", "id 3", "of 3"});
  wrong("cross_entropy smoothing",
        [] {
          std::ignore = cross_entropy(of({1, 3}), Ids{0}, {.label_smoothing = 1.f});
        },
        {"[cross_entropy] ", "label_smoothing", "1"});
  wrong("cross_entropy of nothing",
        [] {
          std::ignore = cross_entropy(of({0, 3}), Ids{});
        },
        {"[cross_entropy] ", "[0, 3]", "0 t"});
  wrong("linear_cross_entropy",
        [] {
          std::ignore = linear_cross_entropy(of({2, 3}), of({7, 4}), {}, Ids{0, 1});
        },
        {"[linear_cross_entropy] ", "[2, 3]", "[7, 4]"});
  wrong("linear_cross_entropy bias",
        [] {
          std::ignore = linear_cross_entropy(of({2, 3}), of({7, 3}), of({6}), Ids{0, 1});
        },
        {"[linear_cross_entropy] ", "[7, 3]", "[6]"});
  wrong("linear_cross_entropy targets",
        [] {
          std::ignore = linear_cross_entropy(of({2, 3}), of({7, 3}), {}, Ids{0, 1, 2});
        },
        {"[linear_cross_entropy] ", "[2, 3]", "3 t"});
  wrong("linear_cross_entropy id",
        [] {
          std::ignore = linear_cross_entropy(of({1, 3}), of({7, 3}), {}, Ids{7});
        },
        {"[linear_cross_entropy] ", "id 7", "of 7"});

  wrong("celu", [] { std::ignore = celu(of({2}), 0); }, {"[celu] ", "alpha", "0"});
  wrong("softplus", [] { std::ignore = softplus(of({2}), -1); }, {"[softplus] ", "beta", "-1"});
  wrong("hardtanh", [] { std::ignore = hardtanh(of({2}), 2, 1); }, {"[hardtanh] ", "2, 1"});
  wrong("softshrink", [] { std::ignore = softshrink(of({2}), -0.5); }, {"[softshrink] ", "lambda", "-0.5"});
  wrong("prelu", [] { std::ignore = prelu(of({2, 3}), of({2})); }, {"[prelu] ", "[2, 3]", "[1] or [3]", "[2]"});
  wrong("rms_norm", [] { std::ignore = rms_norm(of({2, 3}), of({4})); }, {"[rms_norm] ", "[2, 3]", "[4]"});
  wrong("normalise_heads",
        [] {
          std::ignore = rapt::normalise_heads(of({2, 8}), of({4}), of({4}), {.query_heads = 2, .head_dim = 4});
        },
        {"[normalise_heads] ", "2 and 1 heads of 4", "[2, 8]", "[4]"});
  wrong("normalise_heads gamma",
        [] {
          std::ignore = rapt::normalise_heads(of({2, 8}), of({4}), of({3}), {.head_dim = 4});
        },
        {"[normalise_heads] ", "[4]", "[3]"});
  wrong("exp_scale", [] { std::ignore = exp_scale(of({2}), of({2})); }, {"[exp_scale] ", "one number", "[2]"});
  wrong("soft_cap", [] { std::ignore = rapt::soft_cap(of({2}), 0); }, {"[soft_cap] ", "positive", "0"});
  wrong("soft_cap sign", [] { std::ignore = rapt::soft_cap(of({2}), -3); }, {"[soft_cap] ", "positive", "-3"});
  wrong("gated_activation",
        [] {
          std::ignore = gated_activation(of({2, 3}), of({2, 4}), rapt::Activation::silu);
        },
        {"[gated_activation] ", "[2, 3]", "[2, 4]"});
  wrong("gated_activation halves",
        [] {
          std::ignore = gated_activation(of({2, 5}), rapt::Activation::silu);
        },
        {"[gated_activation] ", "[2, 5]", "even"});
  const auto turn = [](Shape x, Shape table, Ids positions, const rapt::RotaryHeads& heads) {
    std::ignore =
        rapt::rotary<float>(of(x), {std::make_shared<Tensor<float>>(table, 0.f), std::move(positions)}, heads);
  };
  wrong("rotary positions",
        [=] {
          turn({2, 8}, {5, 4}, {0, 1, 2}, {.count = 2, .head_dim = 4});
        },
        {"[rotary] ", "3 positions", "[2, 8]"});
  wrong("rotary table rows", [=] { turn({2, 8}, {5, 4}, {0, 5}, {.count = 2, .head_dim = 4}); }, {"[rotary] ", "5"});
  wrong("rotary table columns",
        [=] {
          turn({2, 8}, {5, 6}, {0, 1}, {.count = 2, .head_dim = 4});
        },
        {"[rotary] ", "[5, 6]", "[2, 8]", "2 heads of 4 columns"});
  wrong("rotary odd columns", [=] { turn({2, 8}, {5, 3}, {0, 1}, {.count = 2, .head_dim = 4}); }, {"[5, 3]"});
  wrong("rotary heads",
        [=] {
          turn({2, 8}, {5, 4}, {0, 1}, {.first = 1, .count = 2, .head_dim = 4});
        },
        {"2 heads of 4 columns from column 1", "[2, 8]"});

  using Options = rapt::AttentionOptions<float>;
  const auto attend = [](Shape q, Shape k, Shape v, std::vector<rapt::Index> q_lengths,
                         std::vector<rapt::Index> k_lengths, const Options& options) {
    std::ignore = attention(of(q), of(k), of(v), splits_of(q_lengths), splits_of(k_lengths), options);
  };
  wrong("attention heads",
        [=] {
          attend({2, 6}, {2, 6}, {2, 6}, {2}, {2}, {.heads = 4});
        },
        {"[attention] ", "d_model = 6", "heads = 4"});
  wrong("attention no heads", [=] { attend({2, 6}, {2, 6}, {2, 6}, {2}, {2}, {.heads = 0}); }, {"heads = 0"});
  wrong("attention key heads",
        [=] {
          attend({2, 6}, {2, 4}, {2, 4}, {2}, {2}, {.heads = 3, .key_value_heads = 2});
        },
        {"[attention] ", "heads = 3", "key_value_heads = 2"});
  wrong("attention shared key",
        [=] {
          attend({2, 8}, {3, 8}, {3, 8}, {2}, {3}, {.heads = 4, .key_value_heads = 2});
        },
        {"[attention] ", "[2, 8]", "[3, 8]", "4 heads", "have 2"});
  wrong("attention key", [=] { attend({2, 6}, {3, 4}, {3, 4}, {2}, {3}, {}); }, {"[attention] ", "[2, 6]", "[3, 4]"});
  wrong("attention value",
        [=] {
          attend({2, 6}, {3, 6}, {4, 6}, {2}, {3}, {});
        },
        {"[attention] ", "[2, 6]", "[3, 6]", "[4, 6]"});
  wrong("attention value heads",
        [=] {
          attend({2, 6}, {3, 6}, {3, 7}, {2}, {3}, {.heads = 2});
        },
        {"[attention] ", "[2, 6]", "[3, 6]", "[3, 7]", "2 heads"});
  wrong("attention no value",
        [=] {
          attend({2, 6}, {3, 6}, {3, 0}, {2}, {3}, {.heads = 2});
        },
        {"[attention] ", "value [3, 0]"});
  for (const double cap :
       {-1.5, 1e-300, 1e39, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    std::ostringstream text;
    text << cap;
    wrong("attention soft cap " + text.str(),
          [=] {
            attend({2, 6}, {2, 6}, {2, 6}, {2}, {2}, {.soft_cap = cap});
          },
          {"[attention] soft_cap ", text.str()});
  }
  wrong("attention scale",
        [=] {
          attend({2, 6}, {2, 6}, {2, 6}, {2}, {2}, {.scale = std::numeric_limits<double>::infinity()});
        },
        {"[attention] scale ", "inf"});
  wrong("attention query splits",
        [=] {
          attend({2, 6}, {3, 6}, {3, 6}, {1}, {3}, {});
        },
        {"[attention] ", "[2, 6]", "end at 1"});
  wrong("attention key splits",
        [=] {
          attend({2, 6}, {3, 6}, {3, 6}, {2}, {4}, {});
        },
        {"[attention] ", "[3, 6]", "0 .. 4"});
  wrong("attention sequences",
        [=] {
          attend({2, 6}, {3, 6}, {3, 6}, {1, 1}, {3}, {});
        },
        {"[attention] ", "2 query sequences", "1 key sequences"});
  wrong("attention window",
        [=] {
          attend({2, 6}, {2, 6}, {2, 6}, {2}, {2}, {.window = -1});
        },
        {"[attention] ", "window", "-1"});
  for (const Shape shape : {Shape{1, 3}, Shape{2, 2}, Shape{3, 1, 2, 3}, Shape{1, 3, 2, 3}, Shape{2, 3, 3}, Shape{9}}) {
    wrong("attention mask " + to_string(shape),
          [=] {
            const Tensor<bool> mask(shape, false);
            attend({3, 6}, {4, 6}, {4, 6}, {2, 1}, {3, 1}, {.heads = 2, .mask = {.mask = mask}});
          },
          {"[attention] mask ", "B = 2", "H = 2", "Lq >= 2", "Lk >= 3", ": " + to_string(shape)});
    wrong("attention additive mask " + to_string(shape),
          [=] {
            const Tensor<float> mask(shape, 0.f);
            attend({3, 6}, {4, 6}, {4, 6}, {2, 1}, {3, 1}, {.heads = 2, .mask = {.additive_mask = mask}});
          },
          {"[attention] additive_mask ", ": " + to_string(shape)});
  }
  wrong("attention key padding",
        [=] {
          const Tensor<bool> padding(Shape{3}, false);
          attend({3, 6}, {4, 6}, {4, 6}, {2, 1}, {3, 1}, {.mask = {.key_padding_mask = padding}});
        },
        {"[attention] ", "key_padding_mask", "3 elements", "[4, 6]"});
  wrong("add_low_rank rank",
        [] {
          std::ignore = add_low_rank(of({2, 6}), of({2, 3}), of({4, 3}), of({6, 5}));
        },
        {"[add_low_rank] ", "[2, 6]", "[2, 3]", "[4, 3]", "[6, 5]"});
  wrong("add_low_rank columns",
        [] {
          std::ignore = add_low_rank(of({2, 6}), of({2, 3}), of({4, 3}), of({6, 4}), {.column = 3, .count = 4});
        },
        {"[add_low_rank] ", "columns 3 .. 7", "rows 0 .. 4"});
  wrong("rescale_columns",
        [] {
          std::ignore = rescale_columns(of({2, 6}), of({5}), of({7}), Tensor<float>(Shape{3}, 1.f), {.column = 4});
        },
        {"[rescale_columns] ", "3 columns from 4", "[2, 6]", "[5]", "[7]"});
  wrong("columns",
        [] {
          const Variable qkv = of({2, 6});
          std::ignore = columns(qkv, 4, 3).view();
        },
        {"[columns] ", "4 .. 7", "[2, 6]"});
  wrong("concatenate_columns",
        [] {
          std::ignore = concatenate_columns(of({2, 3}), of({3, 3}));
        },
        {"[concatenate_columns] ", "[2, 3]", "[3, 3]"});
  wrong("gru gates",
        [] {
          std::ignore = gru(of({2, 8}), of({6, 2}), of({6}), splits_of({2}));
        },
        {"[gru] ", "[2, 8]", "[6, 2]"});
  wrong("gru bias",
        [] {
          std::ignore = gru(of({2, 6}), of({6, 2}), of({5}), splits_of({2}));
        },
        {"[gru] ", "[6, 2]", "[5]"});
  wrong("gru initial state",
        [] {
          std::ignore = gru(of({2, 6}), of({6, 2}), {}, splits_of({1, 1}), of({1, 2}));
        },
        {"[gru] ", "initial hidden state", "[1, 2]"});
  wrong("lstm empty sequence",
        [] {
          std::ignore = lstm(of({2, 8}), of({8, 2}), of({8}), splits_of({2, 0}));
        },
        {"[lstm] ", "sequence 1 of 2"});
  wrong("lstm rows",
        [] {
          std::ignore = lstm(of({2, 8}), of({8, 2}), of({8}), splits_of({3}));
        },
        {"[lstm] ", "[2, 8]", "end at 3"});
  wrong("lstm_last_cell initial state",
        [] {
          std::ignore = lstm(of({2, 8}), of({8, 2}), {}, splits_of({2}), of({1, 2}), of({1, 3}));
        },
        {"[lstm] ", "initial cell state", "[1, 3]"});
  wrong("additive_attention",
        [] {
          std::ignore = additive_attention(of({2, 4}), of({3, 4}), of({3, 5}), of({5}), splits_of({2}), Keys{{0, 3}});
        },
        {"[additive_attention] ", "[2, 4]", "[3, 4]", "[3, 5]", "[5]"});
  wrong("item", [] { std::ignore = of({2, 3}).item(); }, {"[item] ", "[2, 3]"});
  return t;
}

TEST(OpErrors, NameWhatDoesNotFit) { rapt_test::expect_errors(wrong_uses()); }

TEST(OpErrors, CoverEveryOpThatCanBeUsedWrongly) {
  const std::set<std::string> any_shape_will_do{
      "activate", "elu",   "hardshrink", "hardsigmoid", "hardswish", "leaky_relu", "logsigmoid", "mish",
      "relu6",    "scale", "selu",       "softmax",     "softsign",  "sum",        "tanhshrink", "threshold"};
  std::set<std::string> covered = any_shape_will_do;
  for (const WrongUse& wrong : wrong_uses()) covered.insert(wrong.name.substr(0, wrong.name.find(' ')));
  covered.merge(rapt_test::ops_with_own_test("rapt_test::expect_errors"));
  const auto names = rapt_test::ops_in_headers(RAPT_GOLDEN_DIR "/../../include/rapt/autograd/ops").names;
  for (const auto& op : rapt_test::difference(names, covered)) ADD_FAILURE() << op << " has no wrong use";
}

}  // namespace
