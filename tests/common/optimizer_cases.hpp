/// \file
/// What tests of optimizers share: PyTorch's trajectories, and a list of all optimizers with every kind of state.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "rapt/optim/adagrad.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/optim/lion.hpp"
#include "rapt/optim/rmsprop.hpp"
#include "rapt/optim/sgd.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"

namespace rapt_test {

/// The weights of optimizers.safetensors, see tests/golden/make_optimizers.py.
template <class T>
struct MatrixAndVector {
  using ScalarType = T;
  rapt::Parameter<T> matrix, vector;
  explicit MatrixAndVector(const rapt::SafetensorsFile& file)
      : matrix(file.read<T>("matrix")), vector(file.read<T>("vector")) {}
  /// Numbers of other sizes.
  MatrixAndVector(rapt::Shape a, rapt::Shape b) : matrix(normal_tensor<T>(a, 1)), vector(normal_tensor<T>(b, 2)) {}
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("matrix", self.matrix);
    visitor("vector", self.vector);
  }
};
static_assert(rapt::Module<MatrixAndVector<float>>);

template <class T>
void set_gradient(rapt::Parameter<T>& parameter, const rapt::Tensor<T>& gradient) {
  parameter.node()->grad = rapt::Tensor<T>(parameter.shape(), std::span<const T>(gradient.values()));
}

/// make(module) is an optimizer whose weights must be those of the file's case after every step.
template <class T, class Make>
void expect_trajectory(const std::string& name, const Make& make) {
  const rapt::SafetensorsFile file(std::string(RAPT_GOLDEN_DIR) + "/optimizers.safetensors");
  MatrixAndVector<T> module(file);
  auto optimizer = make(module);
  const auto rates = file.read<double>("rates"), without = file.read<double>("without_gradient");
  const std::pair<const char*, rapt::Parameter<T>*> parameters[] = {{"matrix", &module.matrix},
                                                                    {"vector", &module.vector}};
  for (rapt::Index k = 0; k < rates.size(); ++k) {
    const auto row = [&](const std::string& key) {
      const auto all = file.read<T>(key);
      return rapt::Tensor<T>(rapt::Shape{all.cols()},
                             std::span<const T>(all.row(k), static_cast<std::size_t>(all.cols())));
    };
    for (const auto& [key, parameter] : parameters) {
      const bool missing = parameter == &module.vector && without.data()[k] != 0;
      if (!missing) set_gradient(*parameter, row("grad/" + std::string(key)));
    }
    optimizer.step(rates.data()[k]);
    for (const auto& [key, parameter] : parameters) {
      const auto expected = row(name + "/" + key);
      EXPECT_LT(relative_error(elements(parameter->value()), elements(expected)), sizeof(T) == 4 ? 3e-6 : 1e-14)
          << name << ", step " << k + 1 << ", " << key;
    }
  }
}

/// check(name, make) for each optimizer; make(module) makes it, with every kind of state that it can have.
template <class T, class Check>
void for_every_optimizer(const Check& check) {
  check("sgd", [](auto& module) { return rapt::Sgd<T>(module); });
  check("sgd with momentum",
        [](auto& module) { return rapt::Sgd<T>(module, {.momentum = 0.8, .dampening = 0.2, .weight_decay = 0.1}); });
  check("nesterov", [](auto& module) { return rapt::Sgd<T>(module, {.momentum = 0.8, .nesterov = true}); });
  check("adam", [](auto& module) { return rapt::Adam<T>(module, {.weight_decay = 0.1}); });
  check("amsgrad", [](auto& module) { return rapt::Adam<T>(module, {.l2_decay = 0.1, .amsgrad = true}); });
  check("rmsprop", [](auto& module) { return rapt::Rmsprop<T>(module); });
  check("rmsprop centered with momentum", [](auto& module) {
    return rapt::Rmsprop<T>(module, {.alpha = 0.9, .centered = true, .momentum = 0.5, .weight_decay = 0.1});
  });
  check("adagrad", [](auto& module) {
    return rapt::Adagrad<T>(module, {.lr_decay = 0.1, .initial_accumulator = 0.1, .weight_decay = 0.1});
  });
  check("lion", [](auto& module) { return rapt::Lion<T>(module, {.weight_decay = 0.1}); });
}

}  // namespace rapt_test
