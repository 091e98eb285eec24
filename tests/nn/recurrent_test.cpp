/// \file
/// LSTM and GRU layers against PyTorch and against the equations written as loops; batches of uneven sequences against
/// each sequence alone, and step by step.
// covers: autograd/recurrent_weight.hpp, kernels/recurrent/gru.hpp, kernels/recurrent/lstm.hpp,
//   kernels/recurrent/step_schedule.hpp
#include "rapt/nn/recurrent.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "rapt/autograd/ops/add.hpp"
#include "tests/common/allowed.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::RowSplits;
using rapt::Shape;
using rapt::Tensor;
using rapt::Variable;
using rapt_test::splits_of;

template <class T>
[[nodiscard]] Variable<T> random(Shape shape, std::uint64_t seed, bool requires_grad = false) {
  return Variable<T>(rapt_test::normal_tensor<T>(shape, seed), requires_grad);
}

/// State number i of [layers * directions, B, H].
template <class T>
[[nodiscard]] Variable<T> state_of(const Tensor<T>& states, Index i) {
  const Index rows = states.shape()[1], width = states.shape()[2];
  Tensor<T> one(Shape{rows, width});
  std::copy_n(states.data() + i * rows * width, rows * width, one.data());
  return Variable<T>(std::move(one), /*requires_grad=*/true);
}

/// The numbers of all variables one behind the other.
template <class T, class Get>
[[nodiscard]] std::vector<T> joined(const std::vector<Variable<T>>& variables, const Get& get) {
  std::vector<T> all;
  for (const Variable<T>& variable : variables) {
    const auto values = get(variable).values();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

template <class Layer>
void expect_golden(const std::string& name, Index layers, bool bidirectional, bool bias) {
  SCOPED_TRACE(name);
  using T = typename decltype(Layer::State::hidden)::value_type::ScalarType;
  const rapt_test::Golden golden("layers", name);
  rapt::Rng rng(1);
  Layer layer(5, 6, rng, {.layers = layers, .bidirectional = bidirectional, .bias = bias});
  golden.load(layer);
  const auto x = golden.leaf<T>("x");
  typename Layer::State initial;
  for (const std::string word : {"hidden", "cell"}) {
    if (!golden.contains("initial_" + word)) continue;
    const auto all = golden.template tensor<T>("initial_" + word);
    for (Index i = 0; i < all.shape()[0]; ++i) {
      (word == "cell" ? initial.cell : initial.hidden).push_back(state_of(all, i));
    }
  }
  const rapt::Recording scope;
  const auto result = layer(x, golden.splits("row_splits"), initial);
  Variable<T> loss = sum(multiply(result.states, Variable<T>(golden.template tensor<T>("upstream"))));
  const auto value = [](const Variable<T>& v) -> const Tensor<T>& { return v.value(); };
  const auto gradient = [](const Variable<T>& v) -> const Tensor<T>& { return v.grad(); };
  const auto expect_last = [&](const std::string& word, const std::vector<Variable<T>>& states) {
    rapt_test::expect_close(joined(states, value), golden.template tensor<T>("last_" + word),
                            rapt_test::kOutputTolerance<T>);
    const auto upstream = golden.template tensor<T>("upstream_" + word);
    for (Index i = 0; i < std::ssize(states); ++i) {
      loss = add(loss, sum(multiply(rapt::at(states, i), state_of(upstream, i))));
    }
  };
  expect_last("hidden", result.last.hidden);
  if (Layer::kName == "lstm") expect_last("cell", result.last.cell);
  golden.expect_output("output", result.states.value());
  rapt::backward(loss);
  golden.expect_gradient("x", x);
  golden.expect_gradients(layer);
  for (const auto& [word, states] : {std::pair{"hidden", initial.hidden}, {"cell", initial.cell}}) {
    if (states.empty()) continue;
    rapt_test::expect_close(joined(states, gradient), golden.template tensor<T>("grad/initial_" + std::string(word)),
                            rapt_test::kGradientTolerance<T>);
  }
}

TEST(Recurrent, IsTorchs) {
  const auto expect_all = [](auto lstm, auto gru) {
    using Lstm = typename decltype(lstm)::type;
    using Gru = typename decltype(gru)::type;
    for (const bool bias : {true, false}) {
      const std::string suffix = bias ? "" : "_no_bias";
      expect_golden<Lstm>("lstm" + suffix, 1, false, bias);
      expect_golden<Gru>("gru" + suffix, 1, false, bias);
    }
    expect_golden<Lstm>("lstm_stack", 2, true, true);
    expect_golden<Gru>("gru_stack", 2, true, true);
  };
  expect_all(std::type_identity<rapt::Lstm<float>>{}, std::type_identity<rapt::Gru<float>>{});
  expect_all(std::type_identity<rapt::Lstm<double>>{}, std::type_identity<rapt::Gru<double>>{});
}

constexpr Index kWide = 19;  // whole vectors at every instruction set, and a rest

/// The equations for one sequence, element by element, with gates that hold x W_ih^T + b_ih.
struct Loops {
  Tensor<double> gates, weight, bias;

  /// a of a gate's element: both products with their biases.
  [[nodiscard]] double recurrent(Index column, const std::vector<double>& h) const {
    double a = bias.data()[column];
    for (Index k = 0; k < kWide; ++k) a += weight(column, k) * rapt::at(h, k);
    return a;
  }
  [[nodiscard]] static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

  [[nodiscard]] Tensor<double> lstm() const {
    Tensor<double> states(Shape{gates.rows(), kWide});
    std::vector<double> h(kWide), c(kWide);
    for (Index t = 0; t < gates.rows(); ++t) {
      const std::vector<double> before = h;
      for (Index j = 0; j < kWide; ++j) {
        const auto a = [&](Index gate) { return gates(t, gate * kWide + j) + recurrent(gate * kWide + j, before); };
        double& cell = rapt::at(c, j);
        cell = sigmoid(a(1)) * cell + sigmoid(a(0)) * std::tanh(a(2));
        states(t, j) = rapt::at(h, j) = sigmoid(a(3)) * std::tanh(cell);
      }
    }
    return states;
  }
  [[nodiscard]] Tensor<double> gru() const {
    Tensor<double> states(Shape{gates.rows(), kWide});
    std::vector<double> h(kWide);
    for (Index t = 0; t < gates.rows(); ++t) {
      const std::vector<double> before = h;
      for (Index j = 0; j < kWide; ++j) {
        const double r = sigmoid(gates(t, j) + recurrent(j, before));
        const double z = sigmoid(gates(t, kWide + j) + recurrent(kWide + j, before));
        const double n = std::tanh(gates(t, 2 * kWide + j) + r * recurrent(2 * kWide + j, before));
        states(t, j) = rapt::at(h, j) = (1 - z) * n + z * rapt::at(before, j);
      }
    }
    return states;
  }
};

TEST(Recurrent, IsTheEquationsAtEverySimdLevel) {
  for (const Index count : {4, 3}) {
    const Loops loops{rapt_test::normal_tensor<double>({6, count * kWide}, 1),
                      rapt_test::normal_tensor<double>({count * kWide, kWide}, 2, 0.3),
                      rapt_test::normal_tensor<double>({count * kWide}, 3)};
    const Variable<double> gates(loops.gates), weight(loops.weight), bias(loops.bias);
    const Tensor<double> expected = count == 4 ? loops.lstm() : loops.gru();
    rapt_test::for_every_simd_level([&] {
      const auto states =
          count == 4 ? lstm(gates, weight, bias, splits_of({6})).states : gru(gates, weight, bias, splits_of({6}));
      rapt_test::expect_close(states.value(), expected, 1e-13);
    });
  }
}

/// States, last states and all gradients of a layer on sequences of the lengths, from given states.
template <class Layer>
[[nodiscard]] std::vector<float> all_results(const std::vector<Index>& lengths, Index hidden) {
  rapt::Rng rng(3);
  Layer layer(7, hidden, rng, {.layers = 2, .bidirectional = true});
  const RowSplits splits = splits_of(lengths);
  const auto x = random<float>({splits.rows(), 7}, 4, true);
  typename Layer::State initial;
  for (std::uint64_t i = 0; i < 4; ++i) {
    initial.hidden.push_back(random<float>({splits.sequences(), hidden}, 10 + i, true));
    if (Layer::kName == "lstm") initial.cell.push_back(random<float>({splits.sequences(), hidden}, 20 + i, true));
  }
  const rapt::Recording scope;
  const auto result = layer(x, splits, initial);
  rapt::backward(sum(multiply(result.states, result.states)));
  std::vector<Variable<float>> values{result.states}, leaves{x};
  values.insert(values.end(), result.last.hidden.begin(), result.last.hidden.end());
  values.insert(values.end(), result.last.cell.begin(), result.last.cell.end());
  leaves.insert(leaves.end(), initial.hidden.begin(), initial.hidden.end());
  leaves.insert(leaves.end(), initial.cell.begin(), initial.cell.end());
  rapt::for_each_parameter(layer, [&](const std::string&, const auto& parameter) { leaves.push_back(parameter); });
  auto all = joined(values, [](const Variable<float>& v) -> const Tensor<float>& { return v.value(); });
  const auto gradients = joined(leaves, [](const Variable<float>& v) -> const Tensor<float>& { return v.grad(); });
  all.insert(all.end(), gradients.begin(), gradients.end());
  return all;
}

/// The gradients of all parameters on 64 sequences of 60 rows, of which products are summed over many rows at once.
template <class Layer>
[[nodiscard]] std::vector<double> gradients_of_many_rows() {
  using T = typename decltype(Layer::State::hidden)::value_type::ScalarType;
  const auto rounded = [](Shape shape, std::uint64_t seed, double deviation) {  // the same numbers for all T
    const Tensor<float> values = rapt_test::normal_tensor<float>(shape, seed, static_cast<float>(deviation));
    Tensor<T> same(shape);
    for (Index i = 0; i < same.size(); ++i) same.data()[i] = static_cast<T>(values.data()[i]);
    return same;
  };
  rapt::Rng rng(3);
  Layer layer(7, 40, rng);
  std::uint64_t seed = 5;
  rapt::for_each_parameter(layer, [&](const std::string&, auto& parameter) {
    parameter.mutable_value() = rounded(parameter.shape(), seed++, 0.1);
  });
  const Variable<T> x(rounded({64 * 60, 7}, 4, 1));
  const rapt::Recording scope;
  const auto states = layer(x, RowSplits::equal(64, 60)).states;
  rapt::backward(sum(multiply(states, states)));
  std::vector<double> all;
  rapt::for_each_parameter(layer, [&](const std::string&, const auto& parameter) {
    const auto values = parameter.grad().values();
    all.insert(all.end(), values.begin(), values.end());
  });
  return all;
}

template <class OfFloat, class OfDouble>
void expect_float_is_double_rounded() {
  const std::vector<double> actual = gradients_of_many_rows<OfFloat>(), expected = gradients_of_many_rows<OfDouble>();
  ASSERT_EQ(actual.size(), expected.size());
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    worst = std::max(worst, std::abs(actual[i] - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  EXPECT_GT(largest, 1);
  EXPECT_LT(worst, rapt_test::allowed<float>(2e-6) * largest);
}

TEST(Recurrent, GradientsOfManyRowsInFloatAreThoseInDouble) {
  expect_float_is_double_rounded<rapt::Lstm<float>, rapt::Lstm<double>>();
  expect_float_is_double_rounded<rapt::Gru<float>, rapt::Gru<double>>();
}

TEST(Recurrent, SameBitsOnAnyThreads) {
  std::vector<Index> lengths;
  for (Index i = 0; i < 20; ++i) lengths.push_back(1 + i % 3);  // a step is work for several threads
  rapt_test::expect_same_bits_on_any_threads([&] { return all_results<rapt::Lstm<float>>(lengths, 290); });
  rapt_test::expect_same_bits_on_any_threads([&] { return all_results<rapt::Gru<float>>(lengths, 290); });
}

template <class Layer>
void expect_sequences_alone_and_steps_give_the_same() {
  rapt::Rng rng(5);
  const Layer layer(4, kWide, rng, {.layers = 2});
  const RowSplits splits = splits_of({3, 6, 1});
  const auto x = random<double>({splits.rows(), 4}, 6);
  const auto together = layer(x, splits);
  for (Index s = 0; s < splits.sequences(); ++s) {
    const Index begin = splits.begin(s), length = splits.length(s);
    const Variable<double> own(Tensor<double>(x.value().view().middle_rows(begin, length)));
    const Tensor<double> expected(together.states.value().view().middle_rows(begin, length));
    const auto alone = layer(own, splits_of({length}));
    rapt_test::expect_close(alone.states.value(), expected, 1e-14);
    typename Layer::State state;
    Tensor<double> stepped(expected.shape());
    for (Index t = 0; t < length; ++t) {
      auto result = layer.step(Variable<double>(Tensor<double>(own.value().view().middle_rows(t, 1))), state);
      std::copy_n(result.states.value().data(), kWide, stepped.row(t));
      state = std::move(result.last);
    }
    rapt_test::expect_close(stepped, expected, 1e-14);
    for (std::size_t i = 0; i < 2; ++i) {
      const Tensor<double> last(together.last.hidden[i].value().view().middle_rows(s, 1));
      rapt_test::expect_close(state.hidden[i].value(), last, 1e-14);
      if (Layer::kName != "lstm") continue;
      const Tensor<double> cell(together.last.cell[i].value().view().middle_rows(s, 1));
      rapt_test::expect_close(state.cell[i].value(), cell, 1e-14);
    }
  }
}

TEST(Recurrent, SequencesAloneAndStepsGiveTheSame) {
  expect_sequences_alone_and_steps_give_the_same<rapt::Lstm<double>>();
  expect_sequences_alone_and_steps_give_the_same<rapt::Gru<double>>();
}

TEST(Recurrent, PackedWeightsGiveTheSame) {
  rapt::Rng rng(5);
  rapt::Lstm<float> layer(16, 32, rng);
  const RowSplits splits = splits_of({3, 6, 1});
  const auto x = random<float>({splits.rows(), 16}, 6);
  const Tensor<float> expected = layer(x, splits).states.value();
  pack_weights(layer);
  rapt_test::expect_close(layer(x, splits).states.value(), expected, 1e-6);
}

TEST(Recurrent, NamesAndFirstValuesAreTorchs) {
  rapt::Rng rng(7);
  const rapt::Gru<float> layer(5, 16, rng, {.layers = 2, .bidirectional = true});
  std::map<std::string, Shape> shapes;
  rapt::for_each_parameter(layer, [&](const std::string& name, const auto& parameter) {
    shapes.emplace(name, parameter.shape());
    float largest = 0;
    for (const float value : parameter.value().values()) largest = std::max(largest, std::abs(value));
    EXPECT_LE(largest, 0.25f) << name;
    EXPECT_GT(largest, 0.2f) << name;
  });
  EXPECT_EQ(shapes.size(), 16u);
  EXPECT_EQ(shapes.at("weight_ih_l0"), (Shape{48, 5}));
  EXPECT_EQ(shapes.at("weight_ih_l1_reverse"), (Shape{48, 32}));
  EXPECT_EQ(shapes.at("weight_hh_l0_reverse"), (Shape{48, 16}));
  EXPECT_EQ(shapes.at("bias_hh_l1"), (Shape{48}));
  EXPECT_EQ(layer.outputs(), 32);
}

TEST(Recurrent, DropoutIsBetweenLayersInTraining) {
  rapt::Rng rng(7);
  const RowSplits splits = splits_of({4, 2});
  const auto x = random<float>({6, 3}, 8);
  for (const Index layers : {1, 2}) {
    const rapt::Lstm<float> layer(3, 8, rng, {.layers = layers, .dropout = 0.5f});
    const Tensor<float> expected = layer(x, splits).states.value();
    rapt::Rng drawn(9);
    const rapt::Training scope(drawn);
    EXPECT_EQ(rapt_test::same_bits(layer(x, splits).states.value(), expected), layers == 1);
  }
}

TEST(Recurrent, ErrorsNameTheValues) {
  rapt::Rng rng(1);
  const rapt::Lstm<double> layer(3, 4, rng, {.bidirectional = true});
  const rapt::Gru<double> forwards(3, 4, rng);
  const auto x = random<double>({5, 3}, 1);
  const auto state = [](Index rows) { return std::vector<Variable<double>>{random<double>({rows, 4}, 2)}; };
  rapt_test::expect_errors(
      {{"columns",
        [&] {
          std::ignore = layer(random<double>({5, 2}, 1), splits_of({5}));
        },
        {"[lstm] ", "x has shape [5, 2]", "weight_ih_l0 is [16, 3]"}},
       {"rows",
        [&] { std::ignore = layer(x, splits_of({4})); },
        {"[lstm] ", "gates are [5, 16]", "row splits end at 4"}},
       {"empty sequence",
        [&] {
          std::ignore = forwards(x, splits_of({2, 0, 3}));
        },
        {"[gru] ", "every sequence must have a row: sequence 1 of 3 is empty"}},
       {"states",
        [&] { std::ignore = layer(x, splits_of({5}), {.hidden = state(1)}); },
        {"[lstm] ", "must be 2 ", ": 1"}},
       {"cell",
        [&] { std::ignore = forwards(x, splits_of({5}), {.cell = state(1)}); },
        {"[gru] ", "must be 0 ", ": 1"}},
       {"state rows",
        [&] { std::ignore = forwards(x, splits_of({5}), {.hidden = state(2)}); },
        {"[gru] ", "must be [B, H] = [1, 4]: [2, 4]"}},
       {"step", [&] { std::ignore = layer.step(x, {}); }, {"[lstm] ", "bidirectional"}},
       {"sizes", [&] { rapt::Gru<double>(3, 0, rng); }, {"[gru] ", "3 inputs, 0 hidden, 1 layers"}},
       {"dropout", [&] { rapt::Gru<double>(3, 4, rng, {.dropout = 1.f}); }, {"[gru] ", "dropout must be in [0, 1): 1"}},
       {"weight",
        [&] {
          std::ignore = gru<double>(random<double>({5, 9}, 1), random<double>({9, 4}, 1), {}, splits_of({5}));
        },
        {"[gru] ", "gates are [5, 9]", "[3 H, H] is [9, 4]"}}});
  rapt_test::expect_message(
      [&] {
        std::ignore = concatenate_columns(x, random<double>({4, 3}, 1));
      },
      "[concatenate_columns] the numbers of rows must be the same: [5, 3], [4, 3]");
}

}  // namespace
