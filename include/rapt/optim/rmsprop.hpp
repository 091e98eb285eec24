/// \file
/// RMSprop (Tieleman and Hinton 2012), centered (Graves 2013) or with momentum, as torch.optim.RMSprop defines it.
#pragma once

#include <tuple>

#include "rapt/optim/optimizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Defaults are PyTorch's.
struct RmspropOptions {
  double alpha = 0.99;        ///< how much of the running means a step keeps
  double epsilon = 1e-8;      ///< added to the root of v, so that nothing is divided by 0
  bool centered = false;      ///< divide by the standard deviation of the gradient, not by its root mean square
  double momentum = 0.0;      ///< how much of the direction b a step keeps, from 0 to 1; 0: none
  double weight_decay = 0.0;  ///< L2: gradient += weight_decay * weight
  bool decay_vectors = true;  ///< false: only matrices decay, biases and norms do not
};

/// With g the gradient:
///   g += weight_decay w,   v = alpha v + (1 - alpha) g^2,   d = sqrt(v) + epsilon,
///   b = momentum b + g / d,   w -= rate * b
/// Centered: mean += (1 - alpha) (g - mean),   d = sqrt(v - mean^2) + epsilon. The difference is that of two numbers
/// which may be close; where rounding makes it negative it counts as 0.
struct RmspropRule {
  using Options = RmspropOptions;
  static constexpr std::string_view kName = "rmsprop";

  static auto values(const RmspropOptions& options) {
    const auto& [alpha, epsilon, centered, momentum, weight_decay, decay_vectors] = options;
    return std::tuple(alpha, epsilon, centered, momentum, weight_decay, decay_vectors);
  }
  static void validate(const RmspropOptions& o) {
    require(detail::is_decay_rate(o.alpha) && o.momentum >= 0 && o.momentum <= 1 &&
                detail::is_not_negative(o.epsilon) && detail::is_not_negative(o.weight_decay),
            kName, "alpha must be in [0, 1), momentum in [0, 1], epsilon and weight_decay not negative: alpha ",
            o.alpha, ", momentum ", o.momentum, ", epsilon ", o.epsilon, ", weight_decay ", o.weight_decay);
  }
  static std::array<OptimizerState, 3> states(const RmspropOptions& options) {
    return {{{"square"}, {"mean", options.centered}, {"momentum", options.momentum > 0}}};
  }

  /// The update of one step, on numbers or vectors of T.
  template <class T>
  struct Formula {
    Formula(const RmspropOptions& options, const UpdateStep& step)
        : rate(static_cast<T>(step.rate)),
          alpha(static_cast<T>(options.alpha)),
          epsilon(static_cast<T>(options.epsilon)),
          momentum(static_cast<T>(options.momentum)),
          decay(static_cast<T>(step.decays ? options.weight_decay : 0.0)),
          centered(options.centered) {}

    /// One update, where `state` is (v, mean, b); the mean is used if centered. The gradient is changed, too.
    template <class V>
    [[gnu::always_inline]] void operator()(V& weight, V& gradient, V* state) const {
      V &square = state[0], &mean = state[1], &buffer = state[2];
      gradient += decay * weight;
      square = alpha * square + (T(1) - alpha) * gradient * gradient;
      V deviation = square;
      if (centered) {
        mean += (T(1) - alpha) * (gradient - mean);
        deviation -= mean * mean;
        deviation = deviation < T(0) ? V{} : deviation;  // a NaN stays
      }
      detail::sqrt_in_place<T>(deviation);
      buffer = momentum * buffer + gradient / (deviation + epsilon);
      weight -= rate * buffer;
    }

    T rate, alpha, epsilon, momentum, decay;  ///< decay is 0 for a parameter that does not decay
    bool centered;                            ///< true: d is of v - mean^2
  };
};

/// See RmspropRule for the formula and RuleOptimizer for its use.
template <class T = float>
class Rmsprop : public RuleOptimizer<T, RmspropRule> {
 public:
  template <Module M>
  explicit Rmsprop(M& module, const RmspropOptions& options = {}) : RuleOptimizer<T, RmspropRule>(module, options) {}
};
static_assert(Optimizer<Rmsprop<float>>);

template <Module M>
Rmsprop(M&) -> Rmsprop<typename M::ScalarType>;
template <Module M>
Rmsprop(M&, const RmspropOptions&) -> Rmsprop<typename M::ScalarType>;

}}  // namespace rapt::RAPT_ABI
