/// \file
/// Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019) and AMSGrad (Reddi et al. 2018).
#pragma once

#include <tuple>

#include "rapt/optim/optimizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Defaults are the paper's section 5.3.
struct AdamOptions {
  /// The decay rate of m, the mean of the gradients.
  double beta1 = 0.9;
  /// The decay rate of v, the mean of their squares.
  double beta2 = 0.98;
  /// Added to the square root of v, so that nothing is divided by 0.
  double epsilon = 1e-9;
  /// AdamW's decoupled decay: weight -= learning rate * weight_decay * weight. 0: plain Adam.
  double weight_decay = 0.0;
  bool decay_vectors = true;  ///< false: only matrices decay, biases and norms do not
  double l2_decay = 0.0;      ///< Adam's own decay: gradient += l2_decay * weight
  bool amsgrad = false;       ///< divide by the largest v so far
};

/// With g the gradient and t the parameter's update:
///   g += l2_decay w,   m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2,
///   w -= rate * weight_decay * w + rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// AMSGrad has v_max = max(v_max, v) in the place of the last v.
struct AdamRule {
  using Options = AdamOptions;
  static constexpr std::string_view kName = "adam";

  static auto values(const AdamOptions& options) {
    const auto& [beta1, beta2, epsilon, weight_decay, decay_vectors, l2_decay, amsgrad] = options;
    return std::tuple(beta1, beta2, epsilon, weight_decay, decay_vectors, l2_decay, amsgrad);
  }
  static void validate(const AdamOptions& o) {
    require(detail::is_decay_rate(o.beta1) && detail::is_decay_rate(o.beta2) && detail::is_not_negative(o.epsilon) &&
                detail::is_not_negative(o.weight_decay) && detail::is_not_negative(o.l2_decay),
            kName, "betas must be in [0, 1), epsilon, weight_decay and l2_decay not negative: beta1 ", o.beta1,
            ", beta2 ", o.beta2, ", epsilon ", o.epsilon, ", weight_decay ", o.weight_decay, ", l2_decay ", o.l2_decay);
  }
  static std::array<OptimizerState, 3> states(const AdamOptions& options) {
    return {{{"m"}, {"v"}, {"v_max", options.amsgrad}}};
  }

  /// The update of one step, on numbers or vectors of T.
  template <class T>
  struct Formula {
    Formula(const AdamOptions& options, const UpdateStep& step)
        : beta1(static_cast<T>(options.beta1)),
          beta2(static_cast<T>(options.beta2)),
          epsilon(static_cast<T>(options.epsilon)),
          l2_decay(static_cast<T>(step.decays ? options.l2_decay : 0.0)),
          keep(static_cast<T>(1 - step.rate * (step.decays ? options.weight_decay : 0.0))),
          amsgrad(options.amsgrad) {
      const auto t = static_cast<double>(step.update);
      rate = static_cast<T>(step.rate / (1 - std::pow(options.beta1, t)));
      root = static_cast<T>(1 / std::sqrt(1 - std::pow(options.beta2, t)));
    }

    /// One update, where `state` is (m, v, v_max); without amsgrad v_max is not used. The gradient is changed, too.
    template <class V>
    [[gnu::always_inline]] void operator()(V& weight, V& gradient, V* state) const {
      V &first = state[0], &second = state[1], &largest = state[2];
      if (l2_decay != T(0)) gradient += l2_decay * weight;
      first = beta1 * first + (T(1) - beta1) * gradient;
      second = beta2 * second + (T(1) - beta2) * gradient * gradient;
      V deviation = second;
      if (amsgrad) deviation = largest = largest > second ? largest : second;
      detail::sqrt_in_place<T>(deviation);
      weight = keep * weight - rate * first / (deviation * root + epsilon);
    }

    /// The options beta1, beta2, epsilon and l2_decay, and keep = 1 - rate * weight_decay. For a parameter that does
    /// not decay, l2_decay is 0 and keep is 1.
    T beta1, beta2, epsilon, l2_decay, keep;
    bool amsgrad;  ///< true: v_max takes the place of v
    T rate, root;  ///< rate / (1 - beta1^t) and 1 / sqrt(1 - beta2^t), the corrections of m's and v's bias
  };
};

/// See AdamRule for the formula and RuleOptimizer for its use.
template <class T = float>
class Adam : public RuleOptimizer<T, AdamRule> {
 public:
  template <Module M>
  explicit Adam(M& module, const AdamOptions& options = {}) : RuleOptimizer<T, AdamRule>(module, options) {}
};
static_assert(Optimizer<Adam<float>>);

template <Module M>
Adam(M&) -> Adam<typename M::ScalarType>;
template <Module M>
Adam(M&, const AdamOptions&) -> Adam<typename M::ScalarType>;

}}  // namespace rapt::RAPT_ABI
