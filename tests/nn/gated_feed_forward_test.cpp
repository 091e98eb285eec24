/// \file
/// Gated feed-forward network and root mean square norm against their formulas.
// covers: nn/rms_norm.hpp
#include "rapt/nn/gated_feed_forward.hpp"

#include <gtest/gtest.h>

#include "rapt/nn/rms_norm.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::relative_error;
using Matrix = rapt::RowMajorMatrix<double>;
using Variable = rapt::Variable<double>;

TEST(GatedFeedForward, IsItsFormula) {
  for (const bool bias : {false, true}) {
    rapt::Rng rng(1);
    rapt::GatedFeedForward<double> layer({.d_model = 3, .d_ff = 5, .bias = bias}, rng);
    rapt_test::randomize(layer, 2);
    std::vector<std::string> names;
    std::vector<Variable> p;
    rapt::for_each_parameter(layer, [&](const std::string& name, const auto& parameter) {
      names.push_back(name);
      p.push_back(parameter);
    });
    const Tensor<double> x = rapt_test::normal_tensor<double>({4, 3}, 3);
    const std::size_t down = bias ? 2 : 1;
    Matrix inner = x.matrix() * p[0].value().matrix().transpose();  // [4, gate | up]
    if (bias) inner.rowwise() += p[1].value().matrix().row(0);
    const auto gate = inner.leftCols(5).array();
    const Matrix gated = (gate / (1 + (-gate).exp()) * inner.rightCols(5).array()).matrix();
    Matrix expected = gated * p[down].value().matrix().transpose();
    if (bias) expected.rowwise() += p[3].value().matrix().row(0);
    const rapt::TensorView<const double> view(expected);
    EXPECT_LT(relative_error(layer(Variable(x)).value(), Tensor<double>(view)), 1e-14);
    EXPECT_EQ(p[0].shape(), (Shape{10, 3}));
    EXPECT_EQ(names, bias ? (std::vector<std::string>{"gate_up_proj.weight", "gate_up_proj.bias", "down_proj.weight",
                                                      "down_proj.bias"})
                          : (std::vector<std::string>{"gate_up_proj.weight", "down_proj.weight"}));
  }
}

TEST(GatedFeedForward, TakesOtherActivations) {
  rapt::Rng rng(1);
  const rapt::GatedFeedForward<double> silu({.d_model = 3, .d_ff = 5}, rng);
  rapt::Rng again(1);
  const rapt::GatedFeedForward<double> gelu({.d_model = 3, .d_ff = 5, .activation = rapt::Activation::gelu}, again);
  const Variable x(rapt_test::normal_tensor<double>({4, 3}, 3));
  EXPECT_GT(relative_error(silu(x).value(), gelu(x).value()), 1e-3);
}

TEST(GatedFeedForward, NamesWhatDoesNotFit) {
  rapt::Rng rng(1);
  const rapt::GatedFeedForward<float> layer({.d_model = 6, .d_ff = 8}, rng);
  const rapt::RmsNorm<float> norm(6);
  const rapt::Variable<float> narrow(Tensor<float>(Shape{3, 5}, 1.f));
  rapt_test::expect_errors(
      {{"width", [&] { std::ignore = layer(narrow); }, {"[3, 5]", "[16, 6]"}},
       {"sizes", [&] { rapt::GatedFeedForward<float>({.d_model = 6, .d_ff = -1}, rng); }, {"-2 outputs"}},
       {"norm", [&] { std::ignore = norm(narrow); }, {"[rms_norm] ", "[3, 5]", "[6]"}}});
}

TEST(RmsNorm, StartsAsPlainNormalisation) {
  const rapt::RmsNorm<double> norm(6, 1e-3);
  const Tensor<double> x = rapt_test::normal_tensor<double>({3, 6}, 1);
  Tensor<double> expected = x;
  for (Index i = 0; i < 3; ++i) {
    expected.matrix().row(i) /= std::sqrt(x.matrix().row(i).squaredNorm() / 6 + 1e-3);
  }
  EXPECT_LT(relative_error(norm(Variable(x)).value(), expected), 1e-14);
  rapt::for_each_parameter(norm, [](const std::string& name, const auto& parameter) {
    EXPECT_EQ(name, "weight");
    for (const double v : parameter.value().values()) EXPECT_EQ(v, 1);
  });
}

}  // namespace
