/// \file
/// Activations and their gradients against PyTorch, and those of fused ops at numbers of every magnitude.
#include "rapt/autograd/ops/activation.hpp"

#include <gtest/gtest.h>

#include <map>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/gated.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/prelu.hpp"
#include "tests/common/all_magnitudes.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
template <class T>
using Variable = rapt::Variable<T>;

/// By the names of tests/golden/make_activations.py.
template <class T>
const std::map<std::string, Variable<T> (*)(const Variable<T>&)> kFunctions{
    {"relu", [](const Variable<T>& x) { return relu(x); }},
    {"relu6", [](const Variable<T>& x) { return relu6(x); }},
    {"leaky_relu", [](const Variable<T>& x) { return leaky_relu(x); }},
    {"leaky_relu_0.25", [](const Variable<T>& x) { return leaky_relu(x, 0.25); }},
    {"elu", [](const Variable<T>& x) { return elu(x); }},
    {"elu_1.5", [](const Variable<T>& x) { return elu(x, 1.5); }},
    {"celu", [](const Variable<T>& x) { return celu(x); }},
    {"celu_2", [](const Variable<T>& x) { return celu(x, 2.0); }},
    {"selu", [](const Variable<T>& x) { return selu(x); }},
    {"softplus", [](const Variable<T>& x) { return softplus(x); }},
    {"softplus_2_3", [](const Variable<T>& x) { return softplus(x, 2.0, 3.0); }},
    {"softsign", [](const Variable<T>& x) { return softsign(x); }},
    {"mish", [](const Variable<T>& x) { return mish(x); }},
    {"hardtanh", [](const Variable<T>& x) { return hardtanh(x); }},
    {"hardtanh_-2_0.5", [](const Variable<T>& x) { return hardtanh(x, -2.0, 0.5); }},
    {"hardsigmoid", [](const Variable<T>& x) { return hardsigmoid(x); }},
    {"hardswish", [](const Variable<T>& x) { return hardswish(x); }},
    {"logsigmoid", [](const Variable<T>& x) { return logsigmoid(x); }},
    {"gelu", [](const Variable<T>& x) { return gelu(x); }},
    {"gelu_tanh", [](const Variable<T>& x) { return gelu_tanh(x); }},
    {"silu", [](const Variable<T>& x) { return silu(x); }},
    {"sigmoid", [](const Variable<T>& x) { return sigmoid(x); }},
    {"tanh", [](const Variable<T>& x) { return tanh(x); }},
    {"tanhshrink", [](const Variable<T>& x) { return tanhshrink(x); }},
    {"softshrink", [](const Variable<T>& x) { return softshrink(x); }},
    {"softshrink_1", [](const Variable<T>& x) { return softshrink(x, 1.0); }},
    {"hardshrink", [](const Variable<T>& x) { return hardshrink(x); }},
    {"hardshrink_1", [](const Variable<T>& x) { return hardshrink(x, 1.0); }},
    {"threshold", [](const Variable<T>& x) { return threshold(x, 0.5, -7.0); }},
    {"glu", [](const Variable<T>& x) { return glu(x); }},
};

template <class T>
class Activations : public testing::Test {
 protected:
  /// Of every element, relative to it where it is above 1.
  static void expect_equal(const std::string& name, const Tensor<T>& ours, double tolerance) {
    const auto expected = file().read<T>(name);
    ASSERT_EQ(ours.shape(), expected.shape()) << name;
    for (Index i = 0; i < ours.size(); ++i) {
      const auto exact = static_cast<double>(expected.data()[i]);
      EXPECT_NEAR(static_cast<double>(ours.data()[i]), exact, tolerance * std::max(1.0, std::abs(exact)))
          << name << " at element " << i;
    }
  }
  static const rapt::SafetensorsFile& file() {
    static const rapt::SafetensorsFile activations(std::string(RAPT_GOLDEN_DIR) + "/activations.safetensors");
    return activations;
  }
  static void compare(const std::string& name, const Variable<T>& x, const Variable<T>& output) {
    expect_equal(name + "/output", output.value(), 2e-6);
    const auto upstream = file().read<T>("upstream");
    Tensor<T> wanted(output.shape());
    wanted.matrix() = upstream.view().columns(0, wanted.cols()).matrix();
    backward(sum(multiply(output, Variable<T>(wanted))));
    expect_equal(name + "/grad/x", x.grad(), 2e-6);
  }
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Activations, Scalars);

TYPED_TEST(Activations, AgreeWithPyTorch) {
  using T = TypeParam;
  std::set<std::string> in_file, tested{"prelu", "prelu_columns"};
  for (const auto& name : this->file().names()) {
    if (name.find('/') != std::string::npos) in_file.insert(name.substr(0, name.find('/')));
  }
  for (const auto& [name, function] : kFunctions<T>) {
    tested.insert(name);
    const Variable<T> x(this->file().template read<T>("x"), /*requires_grad=*/true);
    const rapt::Recording scope;
    this->compare(name, x, function(x));
  }
  EXPECT_EQ(tested, in_file);
}

TYPED_TEST(Activations, PreluAgreesWithPyTorch) {
  using T = TypeParam;
  for (const std::string name : {"prelu", "prelu_columns"}) {
    const Variable<T> x(this->file().template read<T>("x"), true),
        slope(this->file().template read<T>(name + "/slope"), true);
    const rapt::Recording scope;
    this->compare(name, x, prelu(x, slope));
    this->expect_equal(name + "/grad/slope", slope.grad(), 2e-6);
  }
}

/// Linear maps with W = 1 and gates of 1 are the activation alone, with their own backward.
TYPED_TEST(Activations, InFusedOpsAreRightAtEveryMagnitude) {
  using T = TypeParam;
  const std::vector<T> numbers = rapt_test::all_magnitudes<T>();
  Tensor<T> column(Shape{static_cast<Index>(numbers.size()), 1});
  std::copy(numbers.begin(), numbers.end(), column.data());
  const Tensor<T> ones(column.shape(), T(1));
  const Variable<T> one(Tensor<T>(Shape{1, 1}, T(1)));
  const rapt_test::HighestPrecision highest;
  rapt_test::for_every_simd_level([&] {
    for (const rapt::Activation activation : rapt::kActivations) {
      const rapt::Recording scope;
      const Variable<T> plain_x(column, true), linear_x(column, true), gate(column, true);
      const Variable<T> plain = activate(plain_x, activation);
      const Variable<T> fused = linear(linear_x, one, Variable<T>(), activation);
      const Variable<T> gated = gated_activation(gate, Variable<T>(ones), activation);
      for (const auto& y : {plain, fused, gated}) rapt::backward(sum(y));
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto value = static_cast<double>(plain.value().data()[i]);
        const auto slope = static_cast<double>(plain_x.grad().data()[i]);
        ASSERT_TRUE(std::isfinite(value) && std::isfinite(slope)) << to_string(activation) << " of " << numbers[i];
        const double allowed = 4 * static_cast<double>(std::numeric_limits<T>::epsilon());
        // Compilers may fuse products and sums in one of them alone; functions are as exact as their argument, up to 1.
        const double size = std::max(std::abs(value), std::min(1.0, std::abs(static_cast<double>(numbers[i]))));
        for (const auto& y : {fused, gated}) {
          ASSERT_NEAR(static_cast<double>(y.value().data()[i]), value, allowed * size)
              << to_string(activation) << " of " << numbers[i];
        }
        for (const auto& x : {linear_x, gate}) {
          ASSERT_NEAR(static_cast<double>(x.grad().data()[i]), slope, 2 * allowed)
              << to_string(activation) << "' of " << numbers[i];
        }
      }
    }
  });
}

}  // namespace
