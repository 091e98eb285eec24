/// \file
/// Values and derivatives of all activations at numbers of every magnitude, against formulas in long double.
#include "rapt/kernels/activation_functions.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "rapt/kernels/activation.hpp"

#include "tests/common/all_magnitudes.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
namespace kernels = rapt::kernels;
using Real = long double;

Real sigmoid(Real x) { return 1 / (1 + std::exp(-x)); }
Real softplus(Real x) { return std::max(x, Real(0)) + std::log1p(std::exp(-std::abs(x))); }
/// 1 - tanh^2
Real bend(Real x) {
  const Real c = std::cosh(x);
  return 1 / c / c;
}

/// Calls check(name, f, value, derivative) for each function, with formulas of long double.
template <class Check>
void for_every_function(const Check& check) {
  check(
      "Identity", kernels::Identity{}, [](Real x) { return x; }, [](Real) { return Real(1); });
  check(
      "Relu", kernels::Relu{}, [](Real x) { return std::max(x, Real(0)); }, [](Real x) { return Real(x > 0); });
  check(
      "LeakyRelu", kernels::LeakyRelu{0.25}, [](Real x) { return x > 0 ? x : x / 4; },
      [](Real x) { return x > 0 ? Real(1) : Real(0.25); });
  check(
      "Elu", kernels::Elu{.alpha = 1.5, .scale = 0.75, .width = 2},
      [](Real x) { return x > 0 ? 0.75L * x : 0.75L * 1.5L * std::expm1(x / 2); },
      [](Real x) { return x > 0 ? 0.75L : 0.75L * 0.75L * std::exp(x / 2); });
  check(
      "Hardtanh", kernels::Hardtanh{-2, 3}, [](Real x) { return std::clamp(x, -2.0L, 3.0L); },
      [](Real x) { return Real(x > -2 && x < 3); });
  check(
      "Hardsigmoid", kernels::Hardsigmoid{}, [](Real x) { return std::clamp(x + 3, 0.0L, 6.0L) / 6; },
      [](Real x) { return x > -3 && x < 3 ? 1 / 6.0L : 0; });
  check(
      "Hardswish", kernels::Hardswish{}, [](Real x) { return x * (std::clamp(x + 3, 0.0L, 6.0L) / 6); },
      [](Real x) { return x <= -3 ? 0
                          : x < 3 ? x / 3 + 0.5L
                                  : 1; });
  check(
      "Threshold", kernels::Threshold{1, -7}, [](Real x) { return x > 1 ? x : -7; },
      [](Real x) { return Real(x > 1); });
  check(
      "Hardshrink", kernels::Hardshrink{0.75}, [](Real x) { return std::abs(x) > 0.75L ? x : 0; },
      [](Real x) { return Real(std::abs(x) > 0.75L); });
  check(
      "Softshrink", kernels::Softshrink{0.75},
      [](Real x) { return std::abs(x) > 0.75L ? x - std::copysign(0.75L, x) : 0; },
      [](Real x) { return Real(std::abs(x) > 0.75L); });
  check(
      "Tanh", kernels::Tanh{}, [](Real x) { return std::tanh(x); }, bend);
  check(
      "Tanhshrink", kernels::Tanhshrink{}, [](Real x) { return x - std::tanh(x); },
      [](Real x) { return std::tanh(x) * std::tanh(x); });
  check("Sigmoid", kernels::Sigmoid{}, sigmoid, [](Real x) { return sigmoid(x) * sigmoid(-x); });
  check(
      "Logsigmoid", kernels::Logsigmoid{}, [](Real x) { return -softplus(-x); }, [](Real x) { return sigmoid(-x); });
  check(
      "Softplus", kernels::Softplus{.beta = 4, .threshold = 30},
      [](Real x) { return 4 * x > 30 ? x : softplus(4 * x) / 4; },
      [](Real x) { return 4 * x > 30 ? 1 : sigmoid(4 * x); });
  check(
      "Softsign", kernels::Softsign{}, [](Real x) { return x / (1 + std::abs(x)); },
      [](Real x) { return 1 / (1 + std::abs(x)) / (1 + std::abs(x)); });
  check(
      "Mish", kernels::Mish{}, [](Real x) { return x * std::tanh(softplus(x)); },
      [](Real x) { return std::tanh(softplus(x)) + x * (bend(softplus(x)) * sigmoid(x)); });
  check(
      "Silu", kernels::Silu{}, [](Real x) { return x * sigmoid(x); },
      [](Real x) { return sigmoid(x) * (1 + x * sigmoid(-x)); });
  check(
      "QuickGelu", kernels::QuickGelu{}, [](Real x) { return x * sigmoid(1.702L * x); },
      [](Real x) { return sigmoid(1.702L * x) * (1 + 1.702L * x * sigmoid(-1.702L * x)); });
  check(
      "Gelu", kernels::Gelu{}, [](Real x) { return x * std::erfc(-x * std::sqrt(0.5L)) / 2; },
      [](Real x) {
        return std::erfc(-x * std::sqrt(0.5L)) / 2 + x * std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0L));
      });
  const auto inner = [](Real x) { return std::sqrt(2 / std::acos(-1.0L)) * (x + 0.044715L * x * x * x); };
  check(
      "GeluTanh", kernels::GeluTanh{}, [=](Real x) { return x * sigmoid(2 * inner(x)); },
      [=](Real x) {
        const Real slope = std::sqrt(2 / std::acos(-1.0L)) * (1 + 3 * 0.044715L * x * x);
        return sigmoid(2 * inner(x)) + x / 2 * bend(inner(x)) * slope;
      });
}

template <class T>
class ActivationFunction : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(ActivationFunction, Scalars);

/// f and f' of all x: in vectors, and each alone, as the rest behind the last vector is computed.
template <class T, class Function>
void compute(const Function& f, const std::vector<T>& x, bool alone, std::vector<T>& y, std::vector<T>& slopes) {
  const auto count = static_cast<Index>(x.size()), part = alone ? Index{1} : count;
  const std::vector<T> ones(x.size(), T(1));
  y.assign(x.size(), T(7)), slopes = y;
  for (Index i = 0; i < count; i += part) {
    kernels::map(f, x.data() + i, y.data() + i, part);
    kernels::map_backward(f, x.data() + i, ones.data() + i, slopes.data() + i, part, /*accumulate=*/false);
  }
}

TYPED_TEST(ActivationFunction, AndDerivativeAreRightAtEveryMagnitude) {
  using T = TypeParam;
  const std::vector<T> x = all_magnitudes<T>();
  for_every_simd_level([&] {
    for_every_function([&](const std::string& name, const auto& f, const auto& value, const auto& derivative) {
      for (const bool alone : {false, true}) {
        std::vector<T> y, slopes;
        compute(f, x, alone, y, slopes);
        for (std::size_t i = 0; i < x.size(); ++i) {
          const Real v = x[i], epsilon = kEpsilon<T>, size = std::abs(v);
          // Digits relative to the value and, where that is a difference, to x. Where e^-|x| is subnormal it may be 0.
          const Real least = size > 1 ? 2000 * static_cast<Real>(std::numeric_limits<T>::min())
                                      : 2 * static_cast<Real>(std::numeric_limits<T>::denorm_min());
          const Real exact = value(v), slope = derivative(v);
          ASSERT_LE(std::abs(static_cast<Real>(y[i]) - exact),
                    8 * epsilon * (std::abs(exact) + std::min(size, Real(16))) + least)
              << name << " of " << x[i] << ": " << y[i] << " instead of " << exact;
          ASSERT_LE(std::abs(static_cast<Real>(slopes[i]) - slope), 16 * epsilon * (std::abs(slope) + 1) + least)
              << name << "' of " << x[i] << ": " << slopes[i] << " instead of " << slope;
        }
      }
    });
  });
}

TYPED_TEST(ActivationFunction, OfNaNIsNaN) {
  using T = TypeParam;
  const std::vector<T> x(37, std::numeric_limits<T>::quiet_NaN());
  for_every_simd_level([&] {
    for_every_function([&](const std::string& name, const auto& f, const auto&, const auto&) {
      std::vector<T> y, slopes;
      compute(f, x, /*alone=*/false, y, slopes);
      for (const T v : y) ASSERT_TRUE(std::isnan(v)) << name;
    });
  });
}

TEST(ActivationFunctions, AreAllTested) {
  std::ifstream file(RAPT_GOLDEN_DIR "/../../include/rapt/kernels/activation_functions.hpp");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  static const std::regex declaration(R"((?:^|\n)(?:struct (\w+) \{|using (\w+) = ))");
  std::set<std::string> declared, tested;
  for (std::sregex_iterator match(text.begin(), text.end(), declaration), end; match != end; ++match) {
    declared.insert((*match)[1].str() + (*match)[2].str());
  }
  declared.erase("TimesSigmoid");  // a template: Silu and QuickGelu
  for_every_function([&](const std::string& name, const auto&, const auto&, const auto&) { tested.insert(name); });
  EXPECT_GE(declared.size(), 21u);
  EXPECT_EQ(declared, tested);
}

}  // namespace
