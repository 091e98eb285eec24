/// \file
/// Golden files: what PyTorch computed (tests/golden/make_transformer.py tells how), read by name, and how far from it
/// our numbers are.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/nn/module.hpp"

#include "tests/common/allowed.hpp"
#include "tests/common/expect_close.hpp"

namespace rapt_test {

/// How close we must come, relative to the largest magnitude. In double the only difference left is that the files
/// store floats, which are off by at most 2^-24.
template <class T>
inline constexpr double kOutputTolerance = sizeof(T) == 4 ? 1e-5 : 1e-7;
template <class T>
inline constexpr double kGradientTolerance = sizeof(T) == 4 ? 1e-4 : 1e-7;

/// One case of a golden file: "<case>/<name>" by name.
class Golden {
 public:
  Golden(const std::string& file, const std::string& group)
      : file_(std::string(RAPT_GOLDEN_DIR) + "/" + file + ".safetensors"), group_(group + "/") {}

  [[nodiscard]] bool contains(const std::string& name) const { return file_.contains(group_ + name); }

  template <class T>
  [[nodiscard]] rapt::Tensor<T> tensor(const std::string& name) const {
    return file_.read<T>(group_ + name);
  }
  /// An input to find the gradient of.
  template <class T>
  [[nodiscard]] rapt::Variable<T> leaf(const std::string& name) const {
    return rapt::Variable<T>(tensor<T>(name), /*requires_grad=*/true);
  }
  [[nodiscard]] rapt::Tensor<bool> booleans(const std::string& name) const {
    const auto numbers = tensor<float>(name);
    rapt::Tensor<bool> values(numbers.shape());
    std::transform(numbers.values().begin(), numbers.values().end(), values.data(), [](float v) { return v != 0.f; });
    return values;
  }
  [[nodiscard]] std::vector<rapt::TokenId> ids(const std::string& name) const { return integers<rapt::TokenId>(name); }
  [[nodiscard]] rapt::RowSplits splits(const std::string& name) const {
    return rapt::RowSplits(integers<rapt::Index>(name));
  }
  [[nodiscard]] rapt::TokenBatch batch(const std::string& tokens, const std::string& row_splits) const {
    rapt::TokenBatch batch;
    batch.tokens = ids(tokens);
    batch.row_splits = splits(row_splits);
    return batch;
  }

  /// Fills a module's parameters from "param/<name>". The names and shapes of module and file must be the same ones.
  template <class M>
  void load(M& module) const {
    std::set<std::string> wanted;
    for (const auto& name : file_.names()) {
      if (name.rfind(group_ + "param/", 0) == 0) wanted.insert(name.substr(group_.size() + 6));
    }
    ASSERT_FALSE(wanted.empty()) << group_;
    rapt::for_each_parameter(module, [&](const std::string& name, auto& parameter) {
      ASSERT_EQ(wanted.erase(name), 1u) << name << " is not in the file";
      file_.read_into(group_ + "param/" + name, parameter.mutable_value());
    });
    EXPECT_TRUE(wanted.empty()) << *wanted.begin() << " is in the file only";
  }

  template <class T>
  void expect(const std::string& name, const rapt::Tensor<T>& ours, double tolerance, double amplified = 1) const {
    const auto expected = tensor<T>(name);
    ASSERT_EQ(ours.size(), expected.size()) << group_ << name;
    EXPECT_LE(relative_error(ours, expected), allowed<T>(tolerance, amplified)) << group_ << name;
  }
  template <class T>
  void expect_output(const std::string& name, const rapt::Tensor<T>& ours) const {
    expect(name, ours, kOutputTolerance<T>);
  }
  /// The gradient that a leaf holds.
  template <class T>
  void expect_gradient(const std::string& name, const rapt::Variable<T>& leaf) const {
    expect("grad/" + name, leaf.grad(), kGradientTolerance<T>);
  }
  /// The gradients that all parameters of a module hold. The key bias has none (softmax cancels it): what the file has
  /// there is noise, so all are measured against the largest gradient of the same parameter.
  template <class M>
  void expect_gradients(const M& module) const {
    rapt::for_each_parameter(
        module, [&](const std::string& name, const auto& parameter) { expect_gradient("param/" + name, parameter); });
  }

  /// backward of sum(output * upstream), the loss of most cases.
  template <class T>
  void backward(const rapt::Variable<T>& output) const {
    rapt::backward(rapt::sum(rapt::multiply(output, rapt::Variable<T>(tensor<T>("upstream")))));
  }

 private:
  template <class Integer>
  [[nodiscard]] std::vector<Integer> integers(const std::string& name) const {
    std::vector<Integer> values;
    const auto numbers = file_.read<std::int64_t>(group_ + name);
    for (const std::int64_t v : numbers.values()) values.push_back(static_cast<Integer>(v));
    return values;
  }

  rapt::SafetensorsFile file_;
  std::string group_;
};

}  // namespace rapt_test
