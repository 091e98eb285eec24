/// \file
/// Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2).
#pragma once

#include <tuple>

#include "rapt/optim/optimizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Defaults are the paper's. Every weight moves by the whole learning rate: it should be 3 to 10 times smaller than
/// Adam's, and weight_decay larger by as much.
struct LionOptions {
  double beta1 = 0.9;         ///< of the direction
  double beta2 = 0.99;        ///< of the momentum
  double weight_decay = 0.0;  ///< decoupled: weight -= learning rate * weight_decay * weight
  bool decay_vectors = true;  ///< false: only matrices decay, biases and norms do not
};

/// With g the gradient and sign(0) = 0:
///   c = beta1 m + (1 - beta1) g,   w -= rate * (sign(c) + weight_decay w),   m = beta2 m + (1 - beta2) g
struct LionRule {
  using Options = LionOptions;
  static constexpr std::string_view kName = "lion";

  static auto values(const LionOptions& options) {
    const auto& [beta1, beta2, weight_decay, decay_vectors] = options;
    return std::tuple(beta1, beta2, weight_decay, decay_vectors);
  }
  static void validate(const LionOptions& o) {
    require(detail::is_decay_rate(o.beta1) && detail::is_decay_rate(o.beta2) && detail::is_not_negative(o.weight_decay),
            kName, "betas must be in [0, 1), weight_decay not negative: beta1 ", o.beta1, ", beta2 ", o.beta2,
            ", weight_decay ", o.weight_decay);
  }
  static std::array<OptimizerState, 1> states(const LionOptions&) { return {{{"m"}}}; }

  /// The update of one step, on numbers or vectors of T.
  template <class T>
  struct Formula {
    Formula(const LionOptions& options, const UpdateStep& step)
        : rate(static_cast<T>(step.rate)),
          beta1(static_cast<T>(options.beta1)),
          beta2(static_cast<T>(options.beta2)),
          decay(static_cast<T>(step.decays ? options.weight_decay : 0.0)) {}

    /// One update, where `state` is (m).
    template <class V>
    [[gnu::always_inline]] void operator()(V& weight, V& gradient, V* state) const {
      V& momentum = state[0];
      const V zero{}, one = T(1) - zero, direction = beta1 * momentum + (T(1) - beta1) * gradient;
      const V sign = direction > zero ? one : (direction < zero ? -one : zero);
      weight -= rate * (sign + decay * weight);
      momentum = beta2 * momentum + (T(1) - beta2) * gradient;
    }

    T rate, beta1, beta2, decay;  ///< decay is 0 for a parameter that does not decay
  };
};

/// See LionRule for the formula and RuleOptimizer for its use.
template <class T = float>
class Lion : public RuleOptimizer<T, LionRule> {
 public:
  template <Module M>
  explicit Lion(M& module, const LionOptions& options = {}) : RuleOptimizer<T, LionRule>(module, options) {}
};
static_assert(Optimizer<Lion<float>>);

template <Module M>
Lion(M&) -> Lion<typename M::ScalarType>;
template <Module M>
Lion(M&, const LionOptions&) -> Lion<typename M::ScalarType>;

}}  // namespace rapt::RAPT_ABI
