/// \file
/// Stochastic gradient descent with momentum (Sutskever et al. 2013), as torch.optim.SGD defines it.
#pragma once

#include <tuple>

#include "rapt/optim/optimizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Defaults are plain gradient descent.
struct SgdOptions {
  double momentum = 0.0;      ///< how much of the direction b a step keeps, from 0 to 1; 0: none
  double dampening = 0.0;     ///< of the gradient on its way into the momentum, from a parameter's second update on
  bool nesterov = false;      ///< look ahead along the momentum; needs momentum, and no dampening
  double weight_decay = 0.0;  ///< L2: gradient += weight_decay * weight
  bool decay_vectors = true;  ///< false: only matrices decay, biases and norms do not
};

/// With g the gradient:
///   g += weight_decay w,   b = momentum b + (1 - dampening) g (first update: b = g),
///   w -= rate * b, or with Nesterov's momentum w -= rate * (g + momentum b)
struct SgdRule {
  using Options = SgdOptions;
  static constexpr std::string_view kName = "sgd";

  static auto values(const SgdOptions& options) {
    const auto& [momentum, dampening, nesterov, weight_decay, decay_vectors] = options;
    return std::tuple(momentum, dampening, nesterov, weight_decay, decay_vectors);
  }
  static void validate(const SgdOptions& o) {
    require(o.momentum >= 0 && o.momentum <= 1 && o.dampening >= 0 && o.dampening <= 1 &&
                detail::is_not_negative(o.weight_decay),
            kName, "momentum and dampening must be in [0, 1], weight_decay not negative: momentum ", o.momentum,
            ", dampening ", o.dampening, ", weight_decay ", o.weight_decay);
    require(!o.nesterov || (o.momentum > 0 && o.dampening == 0), kName,
            "nesterov needs momentum above 0 and dampening 0: momentum ", o.momentum, ", dampening ", o.dampening);
  }
  static std::array<OptimizerState, 1> states(const SgdOptions& options) {
    return {{{"momentum", options.momentum > 0}}};
  }

  /// The update of one step, on numbers or vectors of T.
  template <class T>
  struct Formula {
    Formula(const SgdOptions& options, const UpdateStep& step)
        : rate(static_cast<T>(step.rate)),
          momentum(static_cast<T>(options.momentum)),
          fresh(static_cast<T>(step.update == 1 || options.momentum == 0 ? 1.0 : 1.0 - options.dampening)),
          decay(static_cast<T>(step.decays ? options.weight_decay : 0.0)),
          nesterov(options.nesterov) {}

    /// One update, where `state` is (b). The gradient is changed, too.
    template <class V>
    [[gnu::always_inline]] void operator()(V& weight, V& gradient, V* state) const {
      V& buffer = state[0];
      gradient += decay * weight;
      buffer = momentum * buffer + fresh * gradient;
      if (nesterov) {
        weight -= rate * (gradient + momentum * buffer);
      } else {
        weight -= rate * buffer;
      }
    }

    T rate, momentum, fresh, decay;  ///< fresh is g's factor in b; decay is 0 for a parameter that does not decay
    bool nesterov;                   ///< true: w moves along g + momentum b
  };
};

/// See SgdRule for the formula and RuleOptimizer for its use.
template <class T = float>
class Sgd : public RuleOptimizer<T, SgdRule> {
 public:
  template <Module M>
  explicit Sgd(M& module, const SgdOptions& options = {}) : RuleOptimizer<T, SgdRule>(module, options) {}
};
static_assert(Optimizer<Sgd<float>>);

template <Module M>
Sgd(M&) -> Sgd<typename M::ScalarType>;
template <Module M>
Sgd(M&, const SgdOptions&) -> Sgd<typename M::ScalarType>;

}}  // namespace rapt::RAPT_ABI
