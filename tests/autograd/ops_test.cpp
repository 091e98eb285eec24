/// \file
/// Every op against central differences in double; the last test fails when an op has no case in the table.
// covers: autograd/ops/add.hpp, autograd/ops/add_low_rank.hpp, autograd/ops/add_norm.hpp, autograd/ops/add_rows.hpp,
//   autograd/ops/concatenate_columns.hpp, autograd/ops/dropout.hpp, autograd/ops/exp_scale.hpp,
//   autograd/ops/gather_rows.hpp, autograd/ops/gated.hpp, autograd/ops/gru.hpp, autograd/ops/head_norm.hpp,
//   autograd/ops/lstm.hpp, autograd/ops/linear.hpp, autograd/ops/matmul.hpp, autograd/ops/multiply.hpp,
//   autograd/ops/prelu.hpp, autograd/ops/rms_norm.hpp, autograd/ops/rotary.hpp, autograd/ops/soft_cap.hpp,
//   autograd/ops/softmax.hpp, autograd/ops/sum.hpp, kernels/head_norm.hpp
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "rapt/autograd/gradcheck.hpp"
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
#include "rapt/autograd/ops/prelu.hpp"
#include "rapt/autograd/ops/rms_norm.hpp"
#include "rapt/autograd/ops/rotary.hpp"
#include "rapt/autograd/ops/soft_cap.hpp"
#include "rapt/autograd/ops/softmax.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Activation;
using rapt::AttentionOptions;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::splits_of;
using Variable = rapt::Variable<double>;
using Variables = std::vector<Variable>;

struct Case {
  std::string name;
  std::vector<Shape> inputs;
  std::function<Variable(const Variables&)> f;
  bool training = false;  ///< with dropout, which must have an effect

  [[nodiscard]] std::vector<Tensor<double>> values() const {
    std::vector<Tensor<double>> tensors;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      tensors.push_back(rapt_test::normal_tensor<double>(inputs[i], 100 + i));
    }
    return tensors;
  }
};

const std::vector<Activation> kAllActivations = [] {
  std::vector<Activation> all(std::begin(rapt::kActivations), std::end(rapt::kActivations));
  all.push_back(Activation::none);
  return all;
}();

void add_elementwise(std::vector<Case>& cases) {
  for (const Shape shape : {Shape{1}, Shape{3, 7}, Shape{2, 3, 5}, Shape{1, 33}}) {
    const std::string of = to_string(shape);
    cases.push_back({"add" + of, {shape, shape}, [](const Variables& x) { return add(x[0], x[1]); }});
    cases.push_back({"add_twice" + of, {shape}, [](const Variables& x) { return add(x[0], x[0]); }});
    cases.push_back({"multiply" + of, {shape, shape}, [](const Variables& x) { return multiply(x[0], x[1]); }});
    cases.push_back({"square" + of, {shape}, [](const Variables& x) { return multiply(x[0], x[0]); }});
    cases.push_back({"soft_cap" + of, {shape}, [](const Variables& x) { return soft_cap(x[0], 0.8); }});
    cases.push_back({"scale" + of, {shape}, [](const Variables& x) { return scale(x[0], -2.5); }});
    cases.push_back({"exp_scale" + of, {shape, {1}}, [](const Variables& x) { return exp_scale(x[0], x[1]); }});
    cases.push_back({"sum" + of, {shape}, [](const Variables& x) { return sum(x[0]); }});
    cases.push_back({"softmax" + of, {shape}, [](const Variables& x) { return softmax(x[0]); }});
    for (const Activation a : kAllActivations) {
      cases.push_back(
          {"activate_" + to_string(a) + of, {shape}, [a](const Variables& x) { return activate(x[0], a); }});
    }
    cases.push_back({"activate_leaky_relu" + of, {shape}, [](const Variables& x) { return leaky_relu(x[0], 0.3); }});
    cases.push_back({"activate_relu6" + of, {shape}, [](const Variables& x) { return relu6(scale(x[0], 6.0)); }});
    cases.push_back({"activate_elu" + of, {shape}, [](const Variables& x) { return elu(x[0], 1.5); }});
    cases.push_back({"activate_celu" + of, {shape}, [](const Variables& x) { return celu(x[0], 1.5); }});
    cases.push_back({"activate_selu" + of, {shape}, [](const Variables& x) { return selu(x[0]); }});
    cases.push_back({"activate_softplus" + of, {shape}, [](const Variables& x) { return softplus(x[0], 2.0, 3.0); }});
    cases.push_back({"activate_softsign" + of, {shape}, [](const Variables& x) { return softsign(x[0]); }});
    cases.push_back({"activate_mish" + of, {shape}, [](const Variables& x) { return mish(x[0]); }});
    cases.push_back({"activate_hardtanh" + of, {shape}, [](const Variables& x) { return hardtanh(x[0], -0.3, 0.4); }});
    cases.push_back({"activate_hardsigmoid" + of, {shape}, [](const Variables& x) { return hardsigmoid(x[0]); }});
    cases.push_back({"activate_hardswish" + of, {shape}, [](const Variables& x) { return hardswish(x[0]); }});
    cases.push_back({"activate_logsigmoid" + of, {shape}, [](const Variables& x) { return logsigmoid(x[0]); }});
    cases.push_back({"activate_tanhshrink" + of, {shape}, [](const Variables& x) { return tanhshrink(x[0]); }});
    cases.push_back({"activate_softshrink" + of, {shape}, [](const Variables& x) { return softshrink(x[0], 0.4); }});
    cases.push_back({"activate_hardshrink" + of, {shape}, [](const Variables& x) { return hardshrink(x[0], 0.4); }});
    cases.push_back({"activate_threshold" + of, {shape}, [](const Variables& x) { return threshold(x[0], 0.2, 3.0); }});
    cases.push_back({"activate_prelu" + of, {shape, {1}}, [](const Variables& x) { return prelu(x[0], x[1]); }});
    cases.push_back({"activate_prelu_columns" + of, {shape, {shape.cols()}}, [](const Variables& x) {
                       return multiply(prelu(x[0], x[1]), prelu(x[0], x[1]));  // gradients that add up
                     }});
    cases.push_back(
        {"activate_twice" + of, {shape}, [](const Variables& x) { return multiply(mish(x[0]), elu(x[0])); }});
    cases.push_back({"cube" + of, {shape}, [](const Variables& x) {  // one variable on paths of different lengths
                       return add(multiply(multiply(x[0], x[0]), x[0]), scale(x[0], 3.0));
                     }});
  }
  for (const Shape shape : {Shape{3, 5}, Shape{2, 70}}) {
    cases.push_back({"dropout" + to_string(shape),
                     {shape},
                     [](const Variables& x) { return rapt::dropout(x[0], 0.4f); },
                     /*training=*/true});
    cases.push_back({"dropout_twice" + to_string(shape),
                     {shape},
                     [](const Variables& x) { return add(rapt::dropout(x[0], 0.4f), rapt::dropout(x[0], 0.6f)); },
                     /*training=*/true});
  }
}

void add_products(std::vector<Case>& cases) {
  cases.push_back({"matmul", {{3, 4}, {4, 5}}, [](const Variables& x) { return matmul(x[0], x[1]); }});
  cases.push_back({"matmul_row", {{1, 7}, {7, 1}}, [](const Variables& x) { return matmul(x[0], x[1]); }});
  cases.push_back({"matmul_odd", {{5, 17}, {17, 3}}, [](const Variables& x) { return matmul(x[0], x[1]); }});
  cases.push_back({"matmul_square", {{4, 4}}, [](const Variables& x) { return matmul(x[0], x[0]); }});

  for (const Activation a : kAllActivations) {
    const std::string name = "linear_" + to_string(a);
    cases.push_back({name, {{4, 3}, {5, 3}, {5}}, [a](const Variables& x) { return linear(x[0], x[1], x[2], a); }});
    cases.push_back(
        {name + "_no_bias", {{4, 3}, {5, 3}}, [a](const Variables& x) { return linear(x[0], x[1], Variable(), a); }});
    cases.push_back(
        {name + "_odd", {{1, 13}, {7, 13}, {7}}, [a](const Variables& x) { return linear(x[0], x[1], x[2], a); }});
    cases.push_back({name + "_range", {{4, 3}, {9, 3}, {9}}, [a](const Variables& x) {
                       return linear(x[0], x[1], x[2], a, {.first = 2, .count = 4});
                     }});
    cases.push_back({name + "_range_no_bias", {{2, 3, 3}, {9, 3}}, [a](const Variables& x) {
                       return linear(x[0], x[1], Variable(), a, {.first = 5, .count = 4});
                     }});
  }
  cases.push_back({"linear_two_ranges", {{4, 3}, {6, 3}, {6}}, [](const Variables& x) {  // as q and k projections
                     return multiply(linear(x[0], x[1], x[2], Activation::none, {0, 3}),
                                     linear(x[0], x[1], x[2], Activation::relu, {3, 3}));
                   }});
  cases.push_back({"add_low_rank", {{4, 5}, {4, 3}, {2, 3}, {5, 2}}, [](const Variables& x) {
                     return add_low_rank(x[0], x[1], x[2], x[3], {.scale = 1.5});
                   }});
  cases.push_back({"add_low_rank_part", {{4, 9}, {4, 3}, {2, 3}, {5, 2}}, [](const Variables& x) {
                     return add_low_rank(x[0], x[1], x[2], x[3], {.scale = -0.5, .column = 4, .row = 1, .count = 3});
                   }});
  cases.push_back({"add_low_rank_in_place", {{4, 3}, {5, 3}, {2, 3}, {5, 2}}, [](const Variables& x) {
                     return add_low_rank(linear(x[0], x[1], Variable()), x[0], x[2], x[3]);
                   }});
  cases.push_back({"add_low_rank_to_itself", {{4, 3}, {2, 3}, {3, 2}}, [](const Variables& x) {
                     return add_low_rank(x[0], x[0], x[1], x[2]);
                   }});
  cases.push_back({"linear_of_itself", {{4, 4}}, [](const Variables& x) { return linear(x[0], x[0], Variable()); }});
  cases.push_back({"linear_twice", {{4, 3}, {3, 3}, {3}}, [](const Variables& x) {
                     return linear(linear(x[0], x[1], x[2], Activation::gelu), x[1], x[2], Activation::gelu_tanh);
                   }});
}

void add_gates(std::vector<Case>& cases) {
  for (const Activation a : kAllActivations) {
    const std::string name = "gated_" + to_string(a);
    for (const Shape shape : {Shape{1}, Shape{3, 5}, Shape{2, 3, 17}}) {
      cases.push_back({name + to_string(shape), {shape, shape}, [a](const Variables& x) {
                         return gated_activation(x[0], x[1], a);
                       }});
    }
    cases.push_back({name + "_halves", {{3, 10}}, [a](const Variables& x) { return gated_activation(x[0], a); }});
    cases.push_back({name + "_second_half", {{3, 10}}, [a](const Variables& x) {
                       return gated_activation(x[0], a, rapt::Gate::second);
                     }});
    cases.push_back({name + "_halves_twice", {{2, 34}}, [a](const Variables& x) {
                       return add(gated_activation(x[0], a), gated_activation(x[0], Activation::silu));
                     }});
    cases.push_back(
        {name + "_of_itself", {{3, 5}}, [a](const Variables& x) { return gated_activation(x[0], x[0], a); }});
  }
  cases.push_back(
      {"gated_constant_gate", {{3, 5}}, [](const Variables& x) {
         return gated_activation(Variable(rapt_test::normal_tensor<double>({3, 5}, 9)), x[0], Activation::silu);
       }});
  cases.push_back(
      {"gated_constant_value", {{3, 5}}, [](const Variables& x) {
         return gated_activation(x[0], Variable(rapt_test::normal_tensor<double>({3, 5}, 9)), Activation::gelu);
       }});
}

void add_rotary(std::vector<Case>& cases) {
  for (const auto layout : {rapt::RotaryLayout::halves, rapt::RotaryLayout::interleaved}) {
    const std::string name = layout == rapt::RotaryLayout::halves ? "rotary_halves" : "rotary_interleaved";
    for (const Index pairs : {1, 3, 20}) {
      // Any numbers do for the table: cosines and sines may be stretched.
      const rapt::RotaryAngles<double> angles{
          std::make_shared<Tensor<double>>(rapt_test::normal_tensor<double>({9, 2 * pairs}, 3)), {8, 0, 0, 5}};
      const std::string of = name + std::to_string(pairs);
      const rapt::RotaryHeads all{.count = 1, .head_dim = 2 * pairs, .layout = layout};
      const rapt::RotaryHeads some{.first = 1, .count = 2, .head_dim = 2 * pairs + 1, .layout = layout};
      cases.push_back({of, {{4, 2 * pairs}}, [=](const Variables& x) { return rapt::rotary(x[0], angles, all); }});
      cases.push_back(
          {of + "_some", {{4, 4 * pairs + 5}}, [=](const Variables& x) { return rapt::rotary(x[0], angles, some); }});
      cases.push_back({of + "_twice", {{4, 2 * pairs}}, [=](const Variables& x) {  // the gradient is added to
                         return multiply(rapt::rotary(x[0], angles, all), x[0]);
                       }});
      cases.push_back({of + "_in_place", {{4, 3}, {2 * pairs, 3}}, [=](const Variables& x) {
                         return rapt::rotary(linear(x[0], x[1], Variable()), angles, all);
                       }});
    }
  }
}

void add_head_norms(std::vector<Case>& cases) {
  for (const bool unit_offset : {false, true}) {
    const std::string of = unit_offset ? "normalise_heads_unit_offset" : "normalise_heads";
    for (const Index d_k : {3, 20}) {
      const rapt::HeadNormOptions all{.query_heads = 2, .key_heads = 1, .head_dim = d_k, .unit_offset = unit_offset};
      const Shape v{d_k};
      const std::string name = of + std::to_string(d_k);
      cases.push_back({name + "_values", {{4, 4 * d_k}, v, v}, [=](const Variables& x) {
                         return normalise_heads(x[0], x[1], x[2], all);
                       }});
      cases.push_back({name + "_twice", {{3, 3 * d_k}, v, v}, [=](const Variables& x) {  // the gradients are added to
                         return multiply(normalise_heads(x[0], x[1], x[2], all),
                                         normalise_heads(multiply(x[0], x[0]), x[2], x[1], all));
                       }});
      cases.push_back({name + "_products", {{2, 5}, {3 * d_k, 5}, v, v}, [=](const Variables& x) {
                         return normalise_heads(linear(x[0], x[1], Variable()), x[2], x[3], all);
                       }});
    }
  }
}

void add_norms(std::vector<Case>& cases) {
  for (const auto& [rows, cols] : {std::pair<Index, Index>{3, 4}, {1, 5}, {2, 17}, {70, 3}}) {
    const std::string of = to_string(Shape{rows, cols});
    const Shape x{rows, cols}, v{cols};
    cases.push_back({"layer_norm" + of, {x, v, v}, [](const Variables& i) { return layer_norm(i[0], i[1], i[2]); }});
    cases.push_back(
        {"layer_norm_epsilon" + of, {x, v, v}, [](const Variables& i) { return layer_norm(i[0], i[1], i[2], 0.5); }});
    cases.push_back({"rms_norm" + of, {x, v}, [](const Variables& i) { return rms_norm(i[0], i[1]); }});
    cases.push_back({"rms_norm_epsilon" + of, {x, v}, [](const Variables& i) { return rms_norm(i[0], i[1], 0.5); }});
    cases.push_back({"rms_norm_unit_offset" + of, {x, v}, [](const Variables& i) {
                       return rms_norm(i[0], i[1], 1e-6, /*unit_offset=*/true);
                     }});
    cases.push_back(
        {"add_norm" + of, {x, x, v, v}, [](const Variables& i) { return add_norm(i[0], i[1], i[2], i[3]); }});
    cases.push_back({"residual_add" + of, {x, x}, [](const Variables& i) { return residual_add(i[0], i[1]); }});
  }
  const Shape x{4, 9}, v{9};
  cases.push_back({"rms_norm_twice", {x, v}, [](const Variables& i) {
                     return add(rms_norm(i[0], i[1]), multiply(i[0], rms_norm(i[0], i[1])));
                   }});
  cases.push_back({"add_norm_dropout",
                   {x, x, v, v},
                   [](const Variables& i) { return add_norm(i[0], i[1], i[2], i[3], 0.5f); },
                   /*training=*/true});
  cases.push_back({"add_norm_of_itself_dropout",
                   {x, v},
                   [](const Variables& i) { return add_norm(i[0], i[0], i[1], i[1], 0.3f, 1e-2); },
                   /*training=*/true});
  cases.push_back(
      {"add_norm_of_itself", {x, v, v}, [](const Variables& i) { return add_norm(i[0], i[0], i[1], i[2]); }});
  cases.push_back({"residual_add_dropout",
                   {x, x},
                   [](const Variables& i) { return residual_add(i[0], i[1], 0.5f); },
                   /*training=*/true});
  cases.push_back({"residual_add_of_itself_dropout",
                   {x},
                   [](const Variables& i) { return residual_add(i[0], i[0], 0.5f); },
                   /*training=*/true});
}

void add_tables(std::vector<Case>& cases) {
  using Ids = std::vector<rapt::TokenId>;
  for (const auto& [name, ids] : {std::pair<std::string, Ids>{"", {4, 0, 2}}, {"_repeated", {1, 3, 1, 1, 0, 3}}}) {
    const auto n = static_cast<Index>(ids.size());
    cases.push_back(
        {"gather_rows" + name, {{5, 3}}, [ids = ids](const Variables& x) { return rapt::gather_rows(x[0], ids); }});
    cases.push_back({"gather_rows_scaled" + name, {{5, 7}}, [ids = ids](const Variables& x) {
                       return rapt::gather_rows(x[0], ids, 3.5);
                     }});
    cases.push_back(
        {"add_rows" + name, {{n, 3}, {5, 3}}, [ids = ids](const Variables& x) { return add_rows(x[0], x[1], ids); }});
  }
  cases.push_back({"add_rows_of_itself", {{3, 4}}, [](const Variables& x) {
                     return add_rows(x[0], x[0], Ids{2, 2, 0});
                   }});
  cases.push_back({"gather_rows_twice", {{5, 3}}, [](const Variables& x) {  // a shared table
                     return multiply(rapt::gather_rows(x[0], Ids{1, 1, 4}), rapt::gather_rows(x[0], Ids{4, 1, 0}));
                   }});
}

void add_losses(std::vector<Case>& cases) {
  for (const auto& [rows, vocabulary] : {std::pair<Index, Index>{1, 2}, {5, 7}, {3, 33}, {300, 3}}) {
    for (const float smoothing : {0.f, 0.1f, 0.6f}) {
      const auto ids = rapt_test::random_ids(rows, vocabulary, 5);
      const std::string of = to_string(Shape{rows, vocabulary}) + "_" + std::to_string(smoothing);
      const rapt::CrossEntropyOptions options{.label_smoothing = smoothing};
      cases.push_back({"cross_entropy" + of, {{rows, vocabulary}}, [=](const Variables& x) {
                         return cross_entropy(x[0], ids, options);
                       }});
      cases.push_back({"linear_cross_entropy" + of,
                       {{rows, 2}, {vocabulary, 2}, {vocabulary}},
                       [=](const Variables& x) { return linear_cross_entropy(x[0], x[1], x[2], ids, options); }});
      cases.push_back({"linear_cross_entropy_no_bias" + of, {{rows, 2}, {vocabulary, 2}}, [=](const Variables& x) {
                         return linear_cross_entropy(x[0], x[1], Variable(), ids, options);
                       }});
    }
  }
  for (const auto reduction : {rapt::Reduction::mean, rapt::Reduction::sum, rapt::Reduction::none}) {
    for (const float smoothing : {0.f, 0.3f}) {
      const rapt::CrossEntropyOptions options{.label_smoothing = smoothing,
                                              .ignore_index = 1,
                                              .class_weights = {0.5f, 3, 2, 0, 1.25f},
                                              .reduction = reduction};
      const std::vector<rapt::TokenId> ids{4, 1, 0, 1, 3, 2};
      const std::string of = "_options" + std::to_string(static_cast<int>(reduction)) + std::to_string(smoothing);
      cases.push_back(
          {"cross_entropy" + of, {{6, 5}}, [=](const Variables& x) { return cross_entropy(x[0], ids, options); }});
      cases.push_back({"linear_cross_entropy" + of, {{6, 2}, {5, 2}, {5}}, [=](const Variables& x) {
                         return linear_cross_entropy(x[0], x[1], x[2], ids, options);
                       }});
      cases.push_back({"linear_cross_entropy_soft_cap" + of, {{6, 2}, {5, 2}, {5}}, [=](const Variables& x) {
                         const auto cap = rapt::soft_cap_of_logits<double>(1.5);
                         return linear_cross_entropy(x[0], x[1], x[2], ids, options, cap);
                       }});
      cases.push_back({"linear_cross_entropy_no_bias" + of, {{6, 2}, {5, 2}}, [=](const Variables& x) {
                         return add(linear_cross_entropy(x[0], x[1], Variable(), ids, options),
                                    scale(linear_cross_entropy(x[0], x[1], Variable(), ids, options), -3.0));
                       }});
    }
  }
  cases.push_back({"linear_cross_entropy_tied", {{6, 3}}, [](const Variables& x) {  // embedding and projection share
                     const std::vector<rapt::TokenId> input{0, 5, 2, 2}, output{5, 2, 2, 1};
                     return linear_cross_entropy(rapt::gather_rows(x[0], input), x[0], Variable(), output);
                   }});
}

/// Options of attention, and the memory that its views show.
struct Masked {
  std::string name;
  AttentionOptions<double> options = {};
  Shape mask = {}, additive = {};
  bool minus_infinity = false, padding = false, training = false;
};

[[nodiscard]] std::vector<Masked> masks() {
  const Shape all{5, 6}, per_head{4, 2, 5, 6}, per_sequence{4, 1, 5, 6}, heads_only{1, 2, 5, 6};
  std::vector<Masked> m;
  m.push_back({"plain", {}});
  m.push_back({"scale", {.scale = 0.3}});
  m.push_back({"causal", {.mask = {.causal = true}}});
  m.push_back({"window", {.window = 1}});
  m.push_back({"causal_window", {.window = 2, .mask = {.causal = true}}});
  constexpr auto kFirstKey = rapt::MaskAlignment::first_key;
  m.push_back({"causal_first_key", {.mask = {.causal = true, .alignment = kFirstKey}}});
  m.push_back({"causal_window_first_key", {.window = 2, .mask = {.causal = true, .alignment = kFirstKey}}});
  m.push_back({"window_first_key", {.window = 1, .mask = {.alignment = kFirstKey}}});
  m.push_back({"soft_cap", {.soft_cap = 0.8}});
  m.push_back({.name = "mask", .mask = all});
  m.push_back({.name = "mask_per_head", .mask = per_head});
  m.push_back({.name = "mask_per_sequence", .mask = per_sequence});
  m.push_back({.name = "mask_of_heads", .options = {.mask = {.causal = true}}, .mask = heads_only});
  m.push_back({.name = "additive", .additive = all});
  m.push_back({.name = "additive_per_head", .additive = per_head, .minus_infinity = true});
  m.push_back({.name = "additive_per_sequence", .options = {.window = 2}, .additive = per_sequence});
  m.push_back({.name = "additive_of_heads", .additive = heads_only, .minus_infinity = true});
  m.push_back({.name = "key_padding", .padding = true});
  m.push_back({.name = "dropout", .options = {.dropout = 0.4f}, .training = true});
  m.push_back({.name = "everything",
               .options = {.window = 3, .scale = 0.7, .dropout = 0.3f, .mask = {.causal = true}},
               .mask = all,
               .additive = per_head,
               .minus_infinity = true,
               .padding = true,
               .training = true});
  m.push_back({.name = "everything_first_key_soft_cap",
               .options = {.window = 3,
                           .scale = 0.7,
                           .soft_cap = 0.6,
                           .dropout = 0.3f,
                           .mask = {.causal = true, .alignment = kFirstKey}},
               .mask = all,
               .additive = per_head,
               .minus_infinity = true,
               .padding = true,
               .training = true});
  return m;
}

/// f(q, k, v source) with masks that live as long as the case. The key rows of every case are 8.
template <class F>
[[nodiscard]] auto with_masks(const Masked& masked, Index heads, const F& f) {
  rapt::Rng rng(77);
  Tensor<bool> mask(masked.mask), padding(masked.padding ? Shape{8} : Shape{});
  Tensor<double> additive(masked.additive);
  for (bool& b : mask.values()) b = rng.uniform() < 0.3;
  for (bool& b : padding.values()) b = rng.uniform() < 0.3;
  rng.fill_normal(additive.values(), 0.0, 1.0);
  for (double& v : additive.values()) {
    if (masked.minus_infinity && rng.uniform() < 0.3) v = -std::numeric_limits<double>::infinity();
  }
  return [=, options = masked.options](const Variables& x) {
    AttentionOptions<double> o = options;
    o.heads = heads;
    if (!mask.empty()) o.mask.mask = mask;
    if (!additive.empty()) o.mask.additive_mask = additive;
    if (!padding.empty()) o.mask.key_padding_mask = padding;
    return f(x, o);
  };
}

void add_attention(std::vector<Case>& cases) {
  using Options = AttentionOptions<double>;
  const rapt::RowSplits self = splits_of({3, 0, 4, 1}), queries = splits_of({2, 5, 0, 1}),
                        keys = splits_of({5, 1, 2, 0});
  for (const Masked& m : masks()) {
    cases.push_back(
        {"attention_self_" + m.name,
         {{8, 4}, {8, 4}, {8, 4}},
         with_masks(m, 2,
                    [=](const Variables& x, const Options& o) { return attention(x[0], x[1], x[2], self, self, o); }),
         m.training});
    cases.push_back(
        {"attention_cross_" + m.name,  // some queries see nothing, some keys are seen by nobody
         {{8, 6}, {8, 6}, {8, 6}},
         with_masks(
             m, 2, [=](const Variables& x, const Options& o) { return attention(x[0], x[1], x[2], queries, keys, o); }),
         m.training});
    cases.push_back({"attention_fused_" + m.name,  // columns of one matrix, with some that nobody reads
                     {{8, 14}},
                     with_masks(m, 2,
                                [=](const Variables& x, const Options& o) {
                                  return attention(rapt::columns(x[0], 0, 4), rapt::columns(x[0], 5, 4),
                                                   rapt::columns(x[0], 9, 4), self, self, o);
                                }),
                     m.training});
    cases.push_back(
        {"attention_of_itself_" + m.name,
         {{8, 4}},
         with_masks(m, 2,
                    [=](const Variables& x, const Options& o) { return attention(x[0], x[0], x[0], self, self, o); }),
         m.training});
  }
  for (const Index key_value_heads : {1, 2, 4}) {  // values of another width, of heads that share keys or do not
    for (const Index value_dim : {1, 3}) {
      const std::string of = "attention_values" + std::to_string(value_dim) + "_" + std::to_string(key_value_heads);
      const Index keys_width = 2 * key_value_heads, value_width = value_dim * key_value_heads;
      const Options options{
          .heads = 4, .key_value_heads = key_value_heads, .soft_cap = 1.2, .dropout = 0.3f, .mask = {.causal = true}};
      cases.push_back({of,
                       {{8, 8}, {8, keys_width}, {8, value_width}},
                       [=](const Variables& x) { return attention(x[0], x[1], x[2], queries, keys, options); },
                       /*training=*/true});
      cases.push_back({of + "_fused",
                       {{8, 8 + keys_width + value_width}},
                       [=](const Variables& x) {
                         return attention(rapt::columns(x[0], 0, 8), rapt::columns(x[0], 8, keys_width),
                                          rapt::columns(x[0], 8 + keys_width, value_width), self, self, options);
                       },
                       /*training=*/true});
    }
  }
  for (const Index key_value_heads : {1, 2}) {  // heads that share keys
    const Index width = 2 * key_value_heads;
    const std::string of = "attention_shared" + std::to_string(key_value_heads);
    const auto options = [=](bool causal) {
      return Options{.heads = 4, .key_value_heads = key_value_heads, .mask = {.causal = causal}};
    };
    cases.push_back({of, {{8, 8}, {8, width}, {8, width}}, [=](const Variables& x) {
                       return attention(x[0], x[1], x[2], queries, keys, options(false));
                     }});
    cases.push_back({of + "_causal_dropout",
                     {{8, 8}, {8, width}, {8, width}},
                     [=](const Variables& x) {
                       Options o = options(true);
                       o.dropout = 0.3f;
                       return attention(x[0], x[1], x[2], self, self, o);
                     },
                     /*training=*/true});
    for (const Index idle : {0, 1}) {  // columns that nobody reads
      cases.push_back({of + "_fused" + std::to_string(idle), {{8, 8 + 2 * width + idle}}, [=](const Variables& x) {
                         return attention(rapt::columns(x[0], 0, 8), rapt::columns(x[0], 8, width),
                                          rapt::columns(x[0], 8 + width + idle, width), self, self, options(true));
                       }});
    }
  }
  const rapt::RowSplits dense = rapt::RowSplits::equal(2, 4);
  cases.push_back({"attention_keys_values", {{8, 2}, {8, 4}}, [=](const Variables& x) {  // as attention to a memory
                     return attention(rapt::columns(x[0], 0, 2), rapt::columns(x[1], 0, 2), rapt::columns(x[1], 2, 2),
                                      dense, dense, Options{});
                   }});
  const rapt::RowSplits one = splits_of({37});  // more queries than one block of 32
  for (const bool causal : {false, true}) {
    cases.push_back({causal ? "attention_blocks_causal" : "attention_blocks",
                     {{37, 2}, {37, 2}, {37, 2}},
                     [=](const Variables& x) {
                       return attention(x[0], x[1], x[2], one, one,
                                        Options{.dropout = 0.2f, .mask = {.causal = causal}});
                     },
                     /*training=*/true});
  }
  cases.push_back({"attention_some_constant", {{8, 4}}, [=](const Variables& x) {  // only the key has a gradient
                     const Variable c(rapt_test::normal_tensor<double>({8, 4}, 9));
                     return attention(c, x[0], c, self, self, Options{.heads = 4});
                   }});
}

void add_recurrent(std::vector<Case>& cases) {
  cases.push_back(
      {"concatenate_columns", {{3, 4}, {3, 2}}, [](const Variables& x) { return concatenate_columns(x[0], x[1]); }});
  cases.push_back({"concatenate_columns_twice", {{3, 4}}, [](const Variables& x) {
                     return multiply(concatenate_columns(x[0], x[0]), concatenate_columns(x[0], x[0]));
                   }});
  const rapt::RowSplits splits = splits_of({2, 4, 1, 2});
  for (const bool reversed : {false, true}) {
    const std::string suffix = reversed ? "_reversed" : "";
    for (const Index h : {3, 9}) {  // 9: a whole vector of AVX-512 and one more element
      const std::string of = suffix + "[" + std::to_string(h) + "]";
      cases.push_back({"lstm_states" + of, {{9, 4 * h}, {4 * h, h}, {4 * h}}, [=](const Variables& x) {
                         return lstm(x[0], x[1], x[2], splits, {}, {}, reversed).states;
                       }});
      cases.push_back({"gru_states" + of, {{9, 3 * h}, {3 * h, h}, {3 * h}}, [=](const Variables& x) {
                         return gru(x[0], x[1], x[2], splits, {}, reversed);
                       }});
    }
    cases.push_back({"lstm_initial" + suffix, {{9, 12}, {12, 3}, {4, 3}, {4, 3}}, [=](const Variables& x) {
                       return lstm(x[0], x[1], {}, splits, x[2], x[3], reversed).states;
                     }});
    cases.push_back({"lstm_cell" + suffix, {{9, 12}, {12, 3}, {12}, {4, 3}, {4, 3}}, [=](const Variables& x) {
                       return lstm(x[0], x[1], x[2], splits, x[3], x[4], reversed).last_cell;
                     }});
    cases.push_back({"lstm_both" + suffix, {{9, 12}, {12, 3}, {12}, {4, 3}, {4, 3}}, [=](const Variables& x) {
                       const auto [states, cell] = lstm(x[0], x[1], x[2], splits, x[3], x[4], reversed);
                       return add(sum(multiply(states, states)), sum(multiply(cell, cell)));
                     }});
    cases.push_back({"gru_initial" + suffix, {{9, 9}, {9, 3}, {9}, {4, 3}}, [=](const Variables& x) {
                       return gru(x[0], x[1], x[2], splits, x[3], reversed);
                     }});
    cases.push_back({"gru_no_bias" + suffix, {{9, 9}, {9, 3}}, [=](const Variables& x) {
                       return gru(x[0], x[1], {}, splits, {}, reversed);
                     }});
  }
}

void add_additive_attention(std::vector<Case>& cases) {
  using Options = rapt::AdditiveAttentionOptions<double>;
  const rapt::RowSplits queries = splits_of({2, 1, 4}), keys = splits_of({3, 2, 1});
  const std::vector<Shape> inputs{{7, 5}, {6, 5}, {6, 3}, {5}};
  const auto add = [&](const std::string& name, const Options& options, bool training) {
    cases.push_back(
        {"additive_attention" + name, inputs,
         [=](const Variables& x) { return additive_attention(x[0], x[1], x[2], x[3], queries, keys, options); },
         training});
  };
  add("", {}, false);
  add("_window", {.window = 1}, false);
  add("_causal", {.mask = {.causal = true, .alignment = rapt::MaskAlignment::first_key}}, false);
  add("_dropout", {.dropout = 0.3f}, true);
  const rapt::RowSplits self = splits_of({5, 70});  // keys beyond a group of dropout
  cases.push_back({"additive_attention_of_itself",
                   {{75, 2}, {2}},
                   [=](const Variables& x) {
                     return additive_attention(x[0], x[0], x[0], x[1], self, self,
                                               Options{.window = 2, .dropout = 0.3f});
                   },
                   /*training=*/true});
  const rapt::RowSplits others = splits_of({70, 5});  // a row is a query of one sequence and a key of the other
  cases.push_back({"additive_attention_of_others", {{75, 2}, {2}}, [=](const Variables& x) {
                     return additive_attention(x[0], x[0], x[0], x[1], self, others, Options{.window = 70});
                   }});
  const rapt::RowSplits many = rapt::RowSplits::equal(17, 1), pairs = rapt::RowSplits::equal(17, 2);
  cases.push_back({"additive_attention_many", {{17, 65}, {34, 65}, {34, 1}, {65}}, [=](const Variables& x) {
                     return additive_attention(x[0], x[1], x[2], x[3], many, pairs);
                   }});
  cases.push_back({"additive_attention_columns", {{3, 67}, {2, 67}, {2, 3}, {67}}, [](const Variables& x) {
                     return additive_attention(x[0], x[1], x[2], x[3], splits_of({3}), splits_of({2}));
                   }});
}

[[nodiscard]] const std::vector<Case>& cases() {
  static const std::vector<Case> table = [] {
    std::vector<Case> all;
    add_elementwise(all);
    add_products(all);
    add_gates(all);
    add_rotary(all);
    add_norms(all);
    add_head_norms(all);
    add_tables(all);
    add_losses(all);
    add_attention(all);
    add_recurrent(all);
    add_additive_attention(all);
    return all;
  }();
  return table;
}

void expect_right(const std::string& prefix) {
  std::size_t checked = 0;
  for (const Case& c : cases()) {
    if (c.name.rfind(prefix, 0) != 0) continue;
    const auto result = rapt::gradcheck(c.f, c.values(), {.training = c.training});
    EXPECT_LT(result.worst_relative_error, 1e-6)
        << c.name << ": input " << result.worst_input << ", element " << result.worst_element << ": analytic "
        << result.analytic << ", numeric " << result.numeric;
    ++checked;
  }
  EXPECT_GT(checked, 0u) << prefix;
}

TEST(OpGradients, Elementwise) {
  for (const char* op : {"add[", "add_twice", "multiply", "square", "soft_cap", "scale", "sum", "softmax", "activate",
                         "cube", "dropout"}) {
    expect_right(op);
  }
}
TEST(OpGradients, Products) {
  expect_right("matmul");
  expect_right("linear_");
}
TEST(OpGradients, Norms) {
  for (const char* op : {"layer_norm", "add_norm", "rms_norm", "residual_add", "normalise_heads"}) expect_right(op);
}
TEST(OpGradients, Gates) { expect_right("gated"); }
TEST(OpGradients, RotaryPositions) { expect_right("rotary"); }
TEST(OpGradients, Tables) {
  expect_right("gather_rows");
  expect_right("add_rows");
}
TEST(OpGradients, Losses) { expect_right("cross_entropy"); }  // linear_cross_entropy is among the products
TEST(OpGradients, AttentionToItself) {
  expect_right("attention_self");
  expect_right("attention_of_itself");
}
TEST(OpGradients, AttentionToOthers) { expect_right("attention_cross"); }
TEST(OpGradients, AttentionOfColumns) {
  expect_right("attention_fused");
  expect_right("attention_keys_values");
}
TEST(OpGradients, AttentionWithSharedKeys) { expect_right("attention_shared"); }
TEST(OpGradients, AttentionInBlocks) {
  expect_right("attention_blocks");
  expect_right("attention_some_constant");
}
TEST(OpGradients, RecurrentLayers) {
  for (const char* op : {"concatenate_columns", "lstm", "gru"}) expect_right(op);
}
TEST(OpGradients, AdditiveAttention) { expect_right("additive_attention"); }

Variable evaluate(const Case& c, bool training) {
  Variables inputs;
  for (auto& value : c.values()) inputs.emplace_back(std::move(value), true);
  rapt::Rng rng(1);
  if (training) {
    const rapt::Training scope(rng);
    return c.f(inputs);
  }
  const rapt::Recording scope;
  return c.f(inputs);
}

TEST(OpGradients, DropoutHasAnEffectWhereItIsTested) {
  for (const Case& c : cases()) {
    const bool same = rapt_test::same_bits(evaluate(c, true).value(), evaluate(c, false).value());
    EXPECT_EQ(same, !c.training) << c.name;
  }
}

TEST(OpGradients, EveryInputGetsAGradient) {
  for (const Case& c : cases()) {
    Variables inputs;
    for (auto& value : c.values()) inputs.emplace_back(std::move(value), true);
    const rapt::Recording scope;
    rapt::backward(sum(multiply(c.f(inputs), c.f(inputs))));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_EQ(inputs[i].grad().shape(), inputs[i].shape()) << c.name << ", input " << i;
    }
  }
}

TEST(OpGradients, AnySubsetOfInputsGetsTheSameGradients) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    rapt_test::expect_same_gradients_of_subsets(c.f, c.values(), c.training);
  }
}

TEST(OpGradients, EveryOpHasACase) {
  const auto in_headers = rapt_test::ops_in_headers(RAPT_GOLDEN_DIR "/../../include/rapt/autograd/ops");
  EXPECT_EQ(in_headers.calls, in_headers.literal_calls) << "some op's name cannot be read from the header";
  EXPECT_GE(in_headers.headers, 16);
  EXPECT_GE(in_headers.names.size(), 19u);

  std::set<std::string> in_graphs;
  for (const Case& c : cases()) {
    const auto names = rapt_test::recorded_ops(evaluate(c, c.training));
    EXPECT_FALSE(names.empty()) << c.name;
    in_graphs.insert(names.begin(), names.end());
  }
  in_graphs.merge(rapt_test::ops_with_own_test("rapt::gradcheck"));
  for (const auto& op : rapt_test::difference(in_headers.names, in_graphs)) ADD_FAILURE() << op << " has no case";
  for (const auto& op : rapt_test::difference(in_graphs, in_headers.names)) ADD_FAILURE() << op << " was not found";
}

TEST(OpGradients, AMissingCaseIsNoticed) {
  const auto names = rapt_test::ops_in_headers(RAPT_GOLDEN_DIR "/../../include/rapt/autograd/ops").names;
  auto covered = names;
  EXPECT_TRUE(rapt_test::difference(names, covered).empty());
  covered.erase("add_norm");
  EXPECT_EQ(rapt_test::difference(names, covered), std::set<std::string>{"add_norm"});
}

}  // namespace
