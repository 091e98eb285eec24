/// \file
/// Adagrad (Duchi et al. 2011), as torch.optim.Adagrad defines it.
#pragma once

#include <tuple>

#include "rapt/optim/optimizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Defaults are PyTorch's.
struct AdagradOptions {
  double lr_decay = 0.0;             ///< the learning rate of a parameter's update t is rate / (1 + (t - 1) lr_decay)
  double initial_accumulator = 0.0;  ///< the sum of squares before the first update
  double epsilon = 1e-10;            ///< added to the root of the sum, so that nothing is divided by 0
  double weight_decay = 0.0;         ///< L2: gradient += weight_decay * weight
  bool decay_vectors = true;         ///< false: only matrices decay, biases and norms do not
};

/// With g the gradient and t the parameter's update:
///   g += weight_decay w,   sum += g^2,   w -= rate / (1 + (t - 1) lr_decay) * g / (sqrt(sum) + epsilon)
struct AdagradRule {
  using Options = AdagradOptions;
  static constexpr std::string_view kName = "adagrad";

  static auto values(const AdagradOptions& options) {
    const auto& [lr_decay, initial_accumulator, epsilon, weight_decay, decay_vectors] = options;
    return std::tuple(lr_decay, initial_accumulator, epsilon, weight_decay, decay_vectors);
  }
  static void validate(const AdagradOptions& o) {
    require(detail::is_not_negative(o.lr_decay) && detail::is_not_negative(o.initial_accumulator) &&
                detail::is_not_negative(o.epsilon) && detail::is_not_negative(o.weight_decay),
            kName, "no option may be negative: lr_decay ", o.lr_decay, ", initial_accumulator ", o.initial_accumulator,
            ", epsilon ", o.epsilon, ", weight_decay ", o.weight_decay);
  }
  static std::array<OptimizerState, 1> states(const AdagradOptions& options) {
    return {{{"sum", true, options.initial_accumulator}}};
  }

  /// The update of one step, on numbers or vectors of T.
  template <class T>
  struct Formula {
    Formula(const AdagradOptions& options, const UpdateStep& step)
        : rate(static_cast<T>(step.rate / (1 + static_cast<double>(step.update - 1) * options.lr_decay))),
          epsilon(static_cast<T>(options.epsilon)),
          decay(static_cast<T>(step.decays ? options.weight_decay : 0.0)) {}

    /// One update, where `state` is (sum). The gradient is changed, too.
    template <class V>
    [[gnu::always_inline]] void operator()(V& weight, V& gradient, V* state) const {
      V& sum = state[0];
      gradient += decay * weight;
      sum += gradient * gradient;
      V deviation = sum;
      detail::sqrt_in_place<T>(deviation);
      weight -= rate * gradient / (deviation + epsilon);
    }

    T rate, epsilon, decay;  ///< the rate with lr_decay; decay is 0 for a parameter that does not decay
  };
};

/// See AdagradRule for the formula and RuleOptimizer for its use.
template <class T = float>
class Adagrad : public RuleOptimizer<T, AdagradRule> {
 public:
  template <Module M>
  explicit Adagrad(M& module, const AdagradOptions& options = {}) : RuleOptimizer<T, AdagradRule>(module, options) {}
};
static_assert(Optimizer<Adagrad<float>>);

template <Module M>
Adagrad(M&) -> Adagrad<typename M::ScalarType>;
template <Module M>
Adagrad(M&, const AdagradOptions&) -> Adagrad<typename M::ScalarType>;

}}  // namespace rapt::RAPT_ABI
