/// \file
/// FiniteCheck: finds the op in which the first NaN or infinity appears.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/parameter_names.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// While it lives, every op of the calling thread, and its `backward`, look at all numbers they make and throw
/// ValueError that names the op, the element and its value, and the shapes of the op's inputs:
///
///     [finite_check] the value of 'linear' has nan at row 0, column 3 of shape [7, 64]; inputs: [7, 32];
///     encoder.layers.1.linear2.weight [64, 32], which has nan at row 3, column 0; encoder.layers.1.linear2.bias [64]
///
/// Parameters have names if their model was visited while values were checked, as `name_parameters`, optimizers,
/// trainers and readers of files do; of an op without parameters the message names one that was read before it.
/// `set_checks` and the environment variable RAPT_CHECK do the same for a whole program (core/checks.hpp). Costs a pass
/// over every tensor: for finding out, not for training.
class [[nodiscard]] FiniteCheck {
 public:
  FiniteCheck() : previous_(std::exchange(detail::finite_check_scope(), true)) {}
  ~FiniteCheck() { detail::finite_check_scope() = previous_; }
  FiniteCheck(const FiniteCheck&) = delete;
  FiniteCheck& operator=(const FiniteCheck&) = delete;

 private:
  bool previous_;
};

/// The number of the first element that is NaN or infinite; -1: there is none.
template <class T>
[[nodiscard]] Index first_not_finite(const Tensor<T>& x) {
  if (!x.has_elements()) return -1;
  const auto found = std::find_if(x.values().begin(), x.values().end(), [](T v) { return !std::isfinite(v); });
  return found == x.values().end() ? -1 : found - x.values().begin();
}

namespace detail {

/// The parameter that an op of the calling thread had as an input last, under checks; only to be compared with.
inline const void*& last_read_parameter() {
  thread_local const void* parameter = nullptr;
  return parameter;
}

/// " has nan at row 0, column 1", of the element x[at]
template <class T>
[[nodiscard, gnu::cold, gnu::noinline]] std::string not_finite_text(const Tensor<T>& x, Index at) {
  const auto value = static_cast<double>(x.data()[at]);
  const char* const name = std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  char text[96];
  std::snprintf(text, sizeof text, " has %s at row %td, column %td", name, at / x.cols(), at % x.cols());
  return text;
}

/// "; inputs: [7, 32]; encoder.layers.1.linear2.weight [64, 32]". Null inputs are left out.
template <class T>
[[nodiscard, gnu::cold, gnu::noinline]] std::string inputs_text(std::span<const Node<T>* const> inputs) {
  std::string text;
  for (const Node<T>* input : inputs) {
    if (input == nullptr) continue;
    text += text.empty() ? "; inputs: " : "; ";
    if (const std::string name = parameter_names().of(input); !name.empty()) text.append(name).append(" ");
    text += to_string(input->value.shape());
    const Index at = first_not_finite(input->value);
    if (at >= 0) text.append(", which").append(not_finite_text(input->value, at));
  }
  return text;
}

/// The name of the parameter that is nearest to an op on the way back to what it was computed from; empty: none.
template <class T>
[[nodiscard, gnu::cold, gnu::noinline]] std::string nearest_parameter(const Node<T>& op) {
  std::vector<const Node<T>*> reached{&op};
  for (std::size_t i = 0; i < reached.size(); ++i) {
    if (std::string name = parameter_names().of(reached[i]); !name.empty()) return name;
    for (const auto& input : reached[i]->inputs) {
      if (input && std::find(reached.begin(), reached.end(), input.get()) == reached.end()) {
        reached.push_back(input.get());
      }
    }
  }
  return {};
}

/// Throws ValueError if the value of the op `name` is not finite.
template <class T>
[[gnu::cold, gnu::noinline]] void require_finite_value(const Tensor<T>& value, std::string_view name,
                                                       std::span<const Node<T>* const> inputs) {
  bool reads_parameter = false;
  for (const Node<T>* input : inputs) {
    if (input == nullptr || parameter_names().of(input).empty()) continue;
    last_read_parameter() = input;
    reads_parameter = true;
  }
  const Index at = first_not_finite(value);
  if (at < 0) return;
  const std::string last = reads_parameter ? std::string() : parameter_names().of(last_read_parameter());
  fail("finite_check", "the value of '", name, "'", not_finite_text(value, at), " of shape ", value.shape(),
       inputs_text(inputs), last.empty() ? "" : "; an op before it read ", last);
}

/// Throws ValueError if the gradient that the backward of `op` has given to an input is not finite.
template <class T>
[[gnu::cold, gnu::noinline]] void require_finite_gradients(const Node<T>& op) {
  for (const auto& input : op.inputs) {
    const Index at = input ? first_not_finite(input->grad) : -1;
    if (at < 0) continue;
    std::vector<const Node<T>*> inputs;
    bool reads_parameter = false;
    for (const auto& other : op.inputs) {
      inputs.push_back(other.get());
      reads_parameter = reads_parameter || (other && !parameter_names().of(other.get()).empty());
    }
    const std::string name = parameter_names().of(input.get());
    const std::string nearest = reads_parameter ? std::string() : nearest_parameter(op);
    fail("finite_check", "a gradient from the op '", op.name, "'", not_finite_text(input->grad, at), " of shape ",
         input->grad.shape(), name.empty() ? "" : ", that of ", name, inputs_text<T>(inputs),
         nearest.empty() ? "" : "; an op before it read ", nearest);
  }
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
