/// \file
/// The norm of each kind is the layer of that kind, alone and behind a residual sum.
#include "rapt/nn/norm.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/common/gradients.hpp"

namespace {

using rapt::NormKind;
using Variable = rapt::Variable<double>;

/// `layer` with the parameters of `norm`, which have the same names.
template <class Layer>
[[nodiscard]] Layer with_parameters_of(const rapt::Norm<double>& norm, Layer layer) {
  std::vector<std::string> names;
  rapt::for_each_parameter(norm, [&](const std::string& name, const auto& p) {
    rapt::for_each_parameter(layer, [&](const std::string& own, auto& to) {
      if (own == name) to.mutable_value() = p.value(), names.push_back(name);
    });
  });
  std::size_t count = 0;
  rapt::for_each_parameter(layer, [&](const std::string&, const auto&) { ++count; });
  EXPECT_EQ(names.size(), count);
  return layer;
}

TEST(Norm, IsTheLayerOfItsKind) {
  const Variable x(rapt_test::normal_tensor<double>({5, 6}, 1)), y(rapt_test::normal_tensor<double>({5, 6}, 2));
  rapt::Norm<double> layer(6, NormKind::layer, 1e-3), rms(6, NormKind::rms, 1e-3);
  rapt_test::randomize(layer, 3);
  rapt_test::randomize(rms, 4);
  const auto plain = with_parameters_of(layer, rapt::LayerNorm<double>(6, 1e-3));
  EXPECT_TRUE(rapt_test::same_bits(layer(x).value(), plain(x).value()));
  EXPECT_TRUE(rapt_test::same_bits(layer(x, y, 0.f).value(), plain(x, y, 0.f).value()));
  const auto root = with_parameters_of(rms, rapt::RmsNorm<double>(6, 1e-3));
  EXPECT_TRUE(rapt_test::same_bits(rms(x).value(), root(x).value()));
  EXPECT_TRUE(rapt_test::same_bits(rms(x, y, 0.f).value(), root(rapt::residual_add(x, y)).value()));
}

TEST(Norm, MayHaveNoBiasOrBeNone) {
  const Variable x(rapt_test::normal_tensor<double>({5, 6}, 1)), y(rapt_test::normal_tensor<double>({5, 6}, 2));
  rapt::Norm<double> unbiased(6, NormKind::layer_unbiased, 1e-3), none(6, NormKind::none, 1e-3);
  EXPECT_EQ(rapt::count_parameters(unbiased), 6);
  EXPECT_EQ(rapt::count_parameters(none), 0);
  rapt_test::randomize(unbiased, 3);
  rapt::Norm<double> layer(6, NormKind::layer, 1e-3);  // whose bias is 0 at first
  rapt::for_each_parameter(unbiased, [&](const std::string& name, const auto& weight) {
    EXPECT_EQ(name, "weight");
    rapt::for_each_parameter(layer, [&](const std::string& theirs, auto& parameter) {
      if (theirs == "weight") parameter.mutable_value() = weight.value();
    });
  });
  EXPECT_TRUE(rapt_test::same_bits(unbiased(x).value(), layer(x).value()));
  EXPECT_TRUE(rapt_test::same_bits(unbiased(x, y, 0.f).value(), layer(x, y, 0.f).value()));
  EXPECT_TRUE(rapt_test::same_bits(none(x).value(), x.value()));
  EXPECT_TRUE(rapt_test::same_bits(none(x, y, 0.f).value(), rapt::residual_add(x, y).value()));
}

}  // namespace
