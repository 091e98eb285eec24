/// \file
/// Freezing: parameters, chosen by name, that training leaves as they are.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// True if the whole name matches the pattern. `*` stands for any number of characters, none included, and `?` for
/// exactly one; both stand for dots, too: "encoder.*" matches everything inside of the encoder, "*.bias" every bias at
/// any depth, and "*layers.0.*" the first layer of all stacks. Every other character stands for itself.
[[nodiscard]] constexpr bool matches_pattern(std::string_view name, std::string_view pattern) {
  std::size_t n = 0, p = 0, behind_star = std::string_view::npos, retry = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      behind_star = ++p;
      retry = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (behind_star != std::string_view::npos) {  // the last star takes one character more
      p = behind_star;
      n = ++retry;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

namespace detail {

template <Module M>
Index set_frozen(M& module, std::string_view where, std::string_view pattern, bool frozen) {
  Index matched = 0, parameters = 0;
  std::set<std::string> beginnings;
  for_each_parameter(module, [&](const std::string& name, auto& parameter) {
    ++parameters;
    beginnings.insert(name.substr(0, name.find('.')));
    if (!matches_pattern(name, pattern)) return;
    ++matched;
    parameter.set_frozen(frozen);
  });
  std::string names;
  for (const std::string& beginning : beginnings) names += (names.empty() ? "" : ", ") + beginning;
  require(matched > 0, where, "the pattern '", pattern, "' matches none of the ", parameters,
          " parameters, whose names begin with: ", names);
  return matched;
}

}  // namespace detail

/// Freezes the parameters whose names match (see `matches_pattern`); returns how many they are, the already frozen ones
/// included. From the next recorded loss on, no gradient is computed for them, nor through layers below which nothing
/// is trained. Optimizers leave them and their own state of them as they are, without weight decay or momentum, and
/// gradient norms do not count them. Averages go on with their values. Dropout stays on; `Inference` turns it off.
///
/// What a model shares (an embedding that is also the output projection) has one name and is frozen everywhere. Copies
/// of a model keep what is frozen; assigning and loading change values alone. To be called between training steps, not
/// between a loss and its `backward`. Throws ValueError for a pattern that matches nothing.
template <Module M>
Index freeze(M& module, std::string_view pattern) {
  return detail::set_frozen(module, "freeze", pattern, true);
}

/// Lets the matching parameters be trained again; returns how many they are. Throws ValueError for a pattern that
/// matches nothing.
template <Module M>
Index unfreeze(M& module, std::string_view pattern) {
  return detail::set_frozen(module, "unfreeze", pattern, false);
}

/// While it lives, the parameters of a module are constants: what is recorded, and what `backward` computes, does not
/// differentiate by them. For gradients that flow through a model into its inputs, as those of a generator through its
/// discriminator do. It must live until `backward` has returned, and the module as long. Unlike `freeze` it leaves the
/// gradients that parameters have as they are. For one thread at a time.
template <class T>
class [[nodiscard]] ConstantParameters {
 public:
  template <Module M>
  explicit ConstantParameters(const M& module) {
    for_each_parameter(module, [&](const std::string&, const Parameter<T>& parameter) {
      if (!parameter.requires_grad()) return;
      nodes_.push_back(parameter.node());
      nodes_.back()->requires_grad = false;
    });
  }
  ConstantParameters(const ConstantParameters&) = delete;
  ConstantParameters& operator=(const ConstantParameters&) = delete;
  ~ConstantParameters() {
    for (const auto& node : nodes_) node->requires_grad = true;
  }

 private:
  std::vector<std::shared_ptr<Node<T>>> nodes_;  // of those that take gradients otherwise
};

}}  // namespace rapt::RAPT_ABI
