/// \file
/// Optimizers: what Trainer and checkpoints need of one, and the driver that makes one of a rule.
///
/// A rule is an optimizer's options, its state and its formula on vectors of elements (sgd.hpp is a short one):
///
///     struct SignRule {                                                    // w -= rate sign(g)
///       struct Options { bool decay_vectors = true; };
///       static constexpr std::string_view kName = "sign";
///       static auto values(const Options& o) { return std::tuple(o.decay_vectors); }  // optional, see options_text
///       static void validate(const Options&) {}                            // throws ValueError with the values
///       static std::array<OptimizerState, 0> states(const Options&) { return {}; }
///       template <class T>
///       struct Formula {
///         Formula(const Options&, const UpdateStep& step) : rate(static_cast<T>(step.rate)) {}
///         template <class V>
///         [[gnu::always_inline]] void operator()(V& weight, const V& gradient, V*) const { ... }
///         T rate;
///       };
///     };
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/autograd/packed_weight.hpp"
#include "rapt/kernels/parameter_update.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A tensor that an optimizer keeps for each parameter, of the shape of what is updated of it.
struct OptimizerState {
  std::string_view name;  ///< in files of checkpoints
  bool kept = true;       ///< false: these options need none, the formula sees zeros
  double initial = 0;     ///< of all elements before the parameter's first update
};

/// Elements begin .. end of a parameter, in row-major order.
struct ElementRange {
  Index begin = 0, end = 0;
  [[nodiscard]] Index size() const { return end - begin; }
  friend bool operator==(const ElementRange&, const ElementRange&) = default;
};

/// What an optimizer knows of one parameter.
template <class T>
struct OptimizerSlot {
  std::string name;               ///< of the parameter, with dots
  std::shared_ptr<Node<T>> node;  ///< holds its value and its gradient
  Shape shape;                    ///< at construction of the optimizer
  ElementRange range;             ///< the elements that are updated: all of them, unless `keep_range` was called
  /// In the order of `state_names`; empty before the first update, so that a frozen parameter takes no memory. Of the
  /// parameter's shape, or, if the range is a part of it, with the elements of the range alone.
  std::vector<Tensor<T>> state = {};
  Index missed = 0;        ///< steps in which the parameter stayed as it was: it was frozen or had no gradient
  double rate_factor = 1;  ///< multiplies the learning rate of each step; not a part of checkpoints
};

/// One update of one parameter.
struct UpdateStep {
  double rate = 0;     ///< the learning rate
  Index update = 1;    ///< number of this update of the parameter, counts from 1
  bool decays = true;  ///< false: a vector, which the options exclude from weight decay
};

/// What `Trainer` and checkpoints need of an optimizer. `kName` and `state_names` name its state in files.
template <class O>
concept Optimizer = std::movable<O> && requires(O& optimizer, const O& constant, double number, Index steps) {
  typename O::ScalarType;
  { O::kName } -> std::convertible_to<std::string_view>;
  optimizer.step(number, number);
  { constant.steps() } -> std::same_as<Index>;
  optimizer.set_steps(steps);
  { constant.state_names() } -> std::same_as<std::vector<std::string_view>>;
  {optimizer.make_state(optimizer.slots().front())};
  optimizer.keep_range(optimizer.slots().front(), ElementRange{});
  { optimizer.slots() } -> std::same_as<std::span<OptimizerSlot<typename O::ScalarType>>>;
};

/// The driver of all optimizers: runs a rule's formula over the parameters of a module, and keeps their state.
///
/// Knows the parameters that the module had at construction: the module may be moved and its values assigned to, but
/// must not be replaced by another. Frozen parameters stay as they are, without weight decay or momentum. A learning
/// rate is that of `step`; results are the same bits on any number of threads.
template <class T, class Rule>
class RuleOptimizer {
 public:
  using ScalarType = T;
  using Options = typename Rule::Options;
  static constexpr std::string_view kName = Rule::kName;

  /// Throws ValueError that names the options which are out of range.
  template <Module M>
  RuleOptimizer(M& module, const Options& options) : options_(options) {
    Rule::validate(options);
    for_each_parameter(module, [&](const std::string& name, Parameter<T>& parameter) {
      slots_.push_back(
          {.name = name, .node = parameter.node(), .shape = parameter.shape(), .range = {0, parameter.size()}});
    });
  }

  /// One update with what `backward` gathered since the last, then forgets the gradients. A parameter without gradient
  /// stays as it is. `gradient_factor` multiplies all gradients: clipping without a pass of its own. Throws ValueError
  /// for a rate that is negative or not finite, before anything has changed.
  void step(double learning_rate, double gradient_factor = 1.0) {
    require(std::isfinite(learning_rate) && learning_rate >= 0 && std::isfinite(gradient_factor), kName,
            "the learning rate must be finite and not negative, the factor of the gradients finite: learning rate ",
            learning_rate, ", factor ", gradient_factor);
    ++steps_;
    for (OptimizerSlot<T>& slot : slots_) {
      Node<T>& node = *slot.node;
      if (!node.requires_grad || node.grad.empty()) {
        ++slot.missed;
        node.grad = Tensor<T>();
        continue;
      }
      require<ShapeError>(node.value.shape() == slot.shape && node.grad.shape() == slot.shape, kName, slot.name,
                          " had shape ", slot.shape, " and now has ", node.value.shape());
      make_state(slot);
      node.packed()->drop();
      const UpdateStep step{.rate = learning_rate * slot.rate_factor,
                            .update = steps_ - slot.missed,
                            .decays = options_.decay_vectors || slot.shape.rank() > 1};
      update(slot, typename Rule::template Formula<T>(options_, step), static_cast<T>(gradient_factor));
      node.grad = Tensor<T>();
    }
  }

  /// Calls of `step`, those before a resume included.
  [[nodiscard]] Index steps() const { return steps_; }
  /// Goes on counting from `steps`. No parameter has missed more steps than there were.
  void set_steps(Index steps) {
    steps_ = steps;
    for (OptimizerSlot<T>& slot : slots_) slot.missed = std::min(slot.missed, steps);
  }

  /// The values of all options in their order, separated by spaces. Numbers have all their digits, so that options
  /// which give different updates have different texts. Processes that train together compare them; those of a rule
  /// without `values` are not compared.
  [[nodiscard]] std::string options_text() const requires requires(const Options& options) { Rule::values(options); }
  {
    std::string text;
    const auto add = [&](double value) {
      char digits[40];
      std::snprintf(digits, sizeof digits, "%.17g", value);
      text.append(text.empty() ? "" : " ").append(digits);
    };
    std::apply([&](const auto&... values) { (add(static_cast<double>(values)), ...); }, Rule::values(options_));
    return text;
  }
  /// The parameters in the order of the module, to save and restore their state.
  [[nodiscard]] std::span<OptimizerSlot<T>> slots() { return slots_; }
  /// The names of the tensors that a slot's `state` has, in their order; those that the options do not need are left
  /// out.
  [[nodiscard]] std::vector<std::string_view> state_names() const {
    std::vector<std::string_view> names;
    for (const OptimizerState& state : Rule::states(options_)) {
      if (state.kept) names.push_back(state.name);
    }
    return names;
  }
  /// The state before the first update, unless the slot has one.
  void make_state(OptimizerSlot<T>& slot) const {
    if (!slot.state.empty()) return;
    for (const OptimizerState& state : Rule::states(options_)) {
      if (state.kept) slot.state.emplace_back(state_shape(slot), static_cast<T>(state.initial));
    }
  }
  /// From now on only these elements of the parameter are updated, and the state of the others is dropped: for
  /// processes that divide the optimizer's work and memory among them. A range that begins at a multiple of
  /// kernels::kElementGrain gives the same bits as the whole. Throws ValueError for a range that is not a part of the
  /// slot's.
  void keep_range(OptimizerSlot<T>& slot, const ElementRange& range) const {
    require(slot.range.begin <= range.begin && range.begin <= range.end && range.end <= slot.range.end, kName,
            slot.name, ": elements ", range.begin, " .. ", range.end, " are not a part of ", slot.range.begin, " .. ",
            slot.range.end);
    if (range == slot.range) return;
    const Index first = range.begin - slot.range.begin;
    slot.range = range;
    for (Tensor<T>& state : slot.state) {
      Tensor<T> kept(state_shape(slot));
      std::copy_n(state.data() + first, range.size(), kept.data());
      state = std::move(kept);
    }
  }

 private:
  [[nodiscard]] static Shape state_shape(const OptimizerSlot<T>& slot) {
    return slot.range.size() == slot.shape.size() ? slot.shape : Shape{slot.range.size()};
  }

  static constexpr std::size_t kStates = std::tuple_size_v<decltype(Rule::states(std::declval<const Options&>()))>;

  template <class Formula>
  void update(OptimizerSlot<T>& slot, const Formula& formula, T factor) const {
    kernels::ParameterUpdate<T, kStates> p{.weight = slot.node->value.data() + slot.range.begin,
                                           .gradient = slot.node->grad.data() + slot.range.begin,
                                           .gradient_factor = factor,
                                           .count = slot.range.size()};
    auto next = slot.state.begin();
    for (std::size_t k = 0; const OptimizerState& state : Rule::states(options_)) {
      p.state[k++] = state.kept ? (next++)->data() : nullptr;
    }
    kernels::update_parameter(p, formula);
  }

  Options options_;
  std::vector<OptimizerSlot<T>> slots_;
  Index steps_ = 0;
};

namespace detail {

/// x <- sqrt(x), element by element.
template <class T, class V>
[[gnu::always_inline]] inline void sqrt_in_place(V& x) {
  for (std::size_t lane = 0; lane < sizeof(V) / sizeof(T); ++lane) x[lane] = std::sqrt(x[lane]);
}

/// Ranges of options.
[[nodiscard]] inline bool is_not_negative(double value) { return std::isfinite(value) && value >= 0; }
[[nodiscard]] inline bool is_decay_rate(double value) { return value >= 0 && value < 1; }

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
