/// \file
/// What gradient tests share: random leaves, the names of ops in graphs and in headers, and errors that must name
/// shapes.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/nn/module.hpp"

#include "tests/common/expect_close.hpp"

namespace rapt_test {

/// Numbers drawn from a normal distribution; `random_tensor` in random.hpp draws them from a uniform one.
template <class T>
[[nodiscard]] rapt::Tensor<T> normal_tensor(rapt::Shape shape, std::uint64_t seed, double deviation = 1.0) {
  rapt::Tensor<T> values(shape);
  rapt::Rng(seed).fill_normal(values.values(), 0.0, deviation);
  return values;
}
template <class T>
[[nodiscard]] rapt::Variable<T> random_leaf(rapt::Shape shape, std::uint64_t seed, double deviation = 1.0) {
  return rapt::Variable<T>(normal_tensor<T>(shape, seed, deviation), /*requires_grad=*/true);
}
[[nodiscard]] inline std::vector<rapt::TokenId> random_ids(rapt::Index count, rapt::Index vocabulary,
                                                           std::uint64_t seed) {
  rapt::Rng rng(seed);
  std::vector<rapt::TokenId> ids;
  for (rapt::Index i = 0; i < count; ++i) ids.push_back(static_cast<rapt::TokenId>(rng.below(vocabulary)));
  return ids;
}
[[nodiscard]] inline rapt::RowSplits splits_of(const std::vector<rapt::Index>& lengths) {
  return rapt::RowSplits::from_lengths(lengths);
}

/// Random numbers for every parameter, so that none hides behind a zero or a one.
template <class M>
void randomize(M& module, std::uint64_t seed, double deviation = 0.3) {
  rapt::Rng rng(seed);
  rapt::for_each_parameter(module, [&](const std::string&, auto& parameter) {
    rng.fill_normal(parameter.mutable_value().values(), 0.0, deviation);
  });
}

/// Names of the ops that were recorded on the way to a result.
template <class T>
[[nodiscard]] std::set<std::string> recorded_ops(const rapt::Variable<T>& result) {
  std::set<std::string> names;
  std::set<const rapt::Node<T>*> seen;
  std::vector<const rapt::Node<T>*> open{result.node().get()};
  while (!open.empty()) {
    const auto* node = open.back();
    open.pop_back();
    if (node == nullptr || !seen.insert(node).second) continue;
    if (!node->name.empty()) names.emplace(node->name);
    for (const auto& input : node->inputs) open.push_back(input.get());
  }
  return names;
}

/// How many nodes of ops lie on the way to a result.
template <class T>
[[nodiscard]] std::size_t recorded_nodes(const rapt::Variable<T>& result) {
  std::set<const rapt::Node<T>*> seen;
  std::vector<const rapt::Node<T>*> open{result.node().get()};
  while (!open.empty()) {
    const auto* node = open.back();
    open.pop_back();
    if (node == nullptr || node->name.empty() || !seen.insert(node).second) continue;
    for (const auto& input : node->inputs) open.push_back(input.get());
  }
  return seen.size();
}

/// Whichever of its inputs are constant, an op gives the others the gradients that they have when all want one, and the
/// constant ones none; also when inputs become constant between the value and `backward`, or no longer are.
/// `f` takes a `const std::vector<Variable<double>>&`.
template <class F>
void expect_same_gradients_of_subsets(const F& f, const std::vector<rapt::Tensor<double>>& inputs,
                                      bool training = false) {
  const std::size_t all = (std::size_t{1} << inputs.size()) - 1;
  const auto wants = [](std::size_t subset, std::size_t i) { return (subset >> i & 1) != 0; };
  // Bit i: input i wants a gradient while f is recorded; while backward runs.
  const auto gradients = [&](std::size_t recorded, std::size_t later) {
    std::vector<rapt::Variable<double>> x;
    for (std::size_t i = 0; i < inputs.size(); ++i) x.emplace_back(inputs[i], wants(recorded, i));
    rapt::Rng rng(1);
    rapt::Variable<double> y;
    if (training) {
      const rapt::Training scope(rng);
      y = f(x);
    } else {
      const rapt::Recording scope;
      y = f(x);
    }
    EXPECT_EQ(y.requires_grad(), recorded != 0) << "recorded for " << recorded;
    std::vector<rapt::Tensor<double>> result;
    if (recorded != 0) {
      const rapt::Recording scope;
      const auto loss = rapt::sum(rapt::multiply(y, rapt::Variable<double>(normal_tensor<double>(y.shape(), 99))));
      for (std::size_t i = 0; i < inputs.size(); ++i) x[i].node()->requires_grad = wants(later, i);
      rapt::backward(loss);
    }
    for (const auto& variable : x) result.push_back(variable.grad());
    return result;
  };
  const auto expected = gradients(all, all);
  for (std::size_t recorded = 0; recorded <= all; ++recorded) {
    for (const std::size_t later : {recorded, recorded & (recorded - 1), all}) {
      const testing::ScopedTrace trace(
          __FILE__, __LINE__, "wanted by inputs " + std::to_string(recorded) + ", then " + std::to_string(later));
      const auto found = gradients(recorded, later);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!wants(later, i)) {
          EXPECT_TRUE(found[i].empty()) << "input " << i;
        } else if (wants(recorded, i)) {
          EXPECT_TRUE(close(found[i], expected[i], 1e-13)) << "input " << i;
        }
      }
    }
  }
}

/// Names that headers hand to `record`, and how many calls there are in all (a name that is no literal cannot be read).
struct OpsInHeaders {
  std::set<std::string> names;
  std::ptrdiff_t calls = 0, literal_calls = 0, headers = 0;
};
[[nodiscard]] inline OpsInHeaders ops_in_headers(const std::filesystem::path& folder) {
  static const std::regex call(R"(\brecord\s*(<[^>]*>)?\s*\()");
  static const std::regex literal(R"re(\brecord\s*(?:<[^>]*>)?\s*\(\s*"([^"]*)")re");
  OpsInHeaders found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const std::sregex_iterator end;
    found.calls += std::distance(std::sregex_iterator(text.begin(), text.end(), call), end);
    for (std::sregex_iterator match(text.begin(), text.end(), literal); match != end; ++match) {
      found.names.insert((*match)[1]);
      ++found.literal_calls;
    }
    ++found.headers;
  }
  return found;
}
[[nodiscard]] inline std::set<std::string> difference(const std::set<std::string>& all,
                                                      const std::set<std::string>& covered) {
  std::set<std::string> rest;
  for (const auto& name : all) {
    if (covered.count(name) == 0) rest.insert(name);
  }
  return rest;
}

/// Ops with a test file of their own beside ops_test.cpp: <name>_test.cpp must call the op, and `check` in its text.
[[nodiscard]] inline std::set<std::string> ops_with_own_test(const std::string& check) {
  const std::pair<const char*, const char*> own[] = {{"assemble_tokens", "patches"},
                                                     {"augment_images", "augment_images"},
                                                     {"binary_cross_entropy", "binary_cross_entropy"},
                                                     {"distillation_loss", "distillation"},
                                                     {"fold_patches", "fold_patches"},
                                                     {"mean_rows", "mean_rows"},
                                                     {"mean_squared_error", "mean_squared_error"},
                                                     {"normalize", "normalize"},
                                                     {"place_cross_entropy", "place_cross_entropy"},
                                                     {"place_rows", "relative_attention"},
                                                     {"reshape", "patches"},
                                                     {"rescale_columns", "rescale_columns"},
                                                     {"resize_positions", "patches"},
                                                     {"scaled_residual", "scaled_residual"},
                                                     {"slice_rows", "relative_attention"},
                                                     {"tree_margin_loss", "tree_margin_loss"},
                                                     {"unfold_patches", "patches"},
                                                     {"unfold_rows", "unfold_rows"}};
  std::set<std::string> covered;
  for (const auto& [op, test] : own) {
    std::filesystem::path path(RAPT_GOLDEN_DIR "/../autograd/" + std::string(test) + "_test.cpp");
    if (!exists(path)) path = path.parent_path() / "ops" / path.filename();
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (text.find(std::string(op) + "(") != std::string::npos && text.find(check + "(") != std::string::npos) {
      covered.insert(op);
    }
  }
  return covered;
}

/// A wrong use, and what the text of its error must contain.
struct WrongUse {
  std::string name;
  std::function<void()> use;
  std::vector<std::string> parts;
};

/// The error's text; empty, and a failure of the test, without one. Any rapt::Error but ShapeError and ValueError is a
/// failure too.
[[nodiscard]] inline std::string text_of_error(const WrongUse& wrong) {
  try {
    wrong.use();
  } catch (const rapt::ShapeError& error) {
    return error.what();
  } catch (const rapt::ValueError& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << wrong.name << ": threw something else: " << error.what();
    return {};
  }
  ADD_FAILURE() << wrong.name << ": threw nothing";
  return {};
}
inline void expect_errors(const std::vector<WrongUse>& table) {
  for (const WrongUse& wrong : table) {
    const std::string text = text_of_error(wrong);
    if (text.empty()) continue;
    for (const std::string& part : wrong.parts) {
      EXPECT_TRUE(text.find(part) != std::string::npos) << wrong.name << ": '" << part << "' is not in: " << text;
    }
  }
}

}  // namespace rapt_test
