/// \file
/// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019).
#pragma once

#include <cmath>

#include "rapt/kernels/elementwise.hpp"
#include "rapt/nn/module.hpp"

namespace rapt::inline RAPT_ABI {

/// Defaults are the paper's section 5.3.
struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-9;
  /// AdamW's decoupled decay: weight -= learning rate * weight_decay * weight. 0: plain Adam.
  double weight_decay = 0.0;
  bool decay_vectors = true;  ///< false: only matrices decay, biases and norms do not
};

/// With g the gradient and t the step:
///   m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2,
///   w -= rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
///
/// Knows the parameters that the module had at construction: the module may be moved and its values assigned to, but
/// must not be replaced by another.
template <class T = float>
class Adam {
 public:
  template <Module M>
  explicit Adam(M& module, const AdamOptions& options = {}) : options_(options) {
    require(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1 &&
                options.epsilon >= 0 && options.weight_decay >= 0,
            "adam", "betas must be in [0, 1), epsilon and weight_decay not negative: beta1 ", options.beta1, ", beta2 ",
            options.beta2, ", epsilon ", options.epsilon, ", weight_decay ", options.weight_decay);
    for_each_parameter(module, [&](const std::string& name, Parameter<T>& parameter) {
      slots_.push_back(
          {name, parameter.node(), Tensor<T>(parameter.shape(), T(0)), Tensor<T>(parameter.shape(), T(0))});
    });
  }

  /// One update with what `backward` gathered since the last, then forgets the gradients. A parameter without gradient
  /// stays as it is. `gradient_factor` multiplies all gradients: clipping without a pass of its own.
  void step(double learning_rate, double gradient_factor = 1.0) {
    ++steps_;
    const double correction1 = 1 - std::pow(options_.beta1, static_cast<double>(steps_));
    const double correction2 = 1 - std::pow(options_.beta2, static_cast<double>(steps_));
    const T beta1 = static_cast<T>(options_.beta1), beta2 = static_cast<T>(options_.beta2);
    const T rate = static_cast<T>(learning_rate / correction1), root = static_cast<T>(1 / std::sqrt(correction2));
    const T epsilon = static_cast<T>(options_.epsilon), factor = static_cast<T>(gradient_factor);
    for (Slot& slot : slots_) {
      const bool decays = options_.decay_vectors || slot.m.shape().rank() > 1;
      const T keep = static_cast<T>(1 - learning_rate * (decays ? options_.weight_decay : 0.0));
      if (slot.node->grad.empty()) continue;
      require<ShapeError>(slot.node->value.shape() == slot.m.shape() && slot.node->grad.shape() == slot.m.shape(),
                          "adam", slot.name, " had shape ", slot.m.shape(), " and now has ", slot.node->value.shape());
      slot.node->packed.drop();
      T* w = slot.node->value.data();
      const T* g = slot.node->grad.data();
      T *m = slot.m.data(), *v = slot.v.data();
      parallel_for(slot.m.size(), kernels::kElementGrain, [&](Index begin, Index end) {
        simd::with_simd([&](auto isa) __attribute__((always_inline)) {
          simd::for_lanes<T>(
              isa, end - begin, [&](auto lanes, Index at) __attribute__((always_inline)) {
                const Index i = begin + at;
                simd::Vector<T, lanes> weight, gradient, first, second, deviation{};
                simd::load(weight, w + i);
                simd::load(gradient, g + i);
                simd::load(first, m + i);
                simd::load(second, v + i);
                gradient *= factor;
                first = beta1 * first + (T(1) - beta1) * gradient;
                second = beta2 * second + (T(1) - beta2) * gradient * gradient;
                for (int lane = 0; lane < lanes; ++lane) deviation[lane] = std::sqrt(second[lane]);
                weight = keep * weight - rate * first / (deviation * root + epsilon);
                simd::store(w + i, weight);
                simd::store(m + i, first);
                simd::store(v + i, second);
              });
        });
      });
      slot.node->grad = Tensor<T>();
    }
  }

  [[nodiscard]] Index steps() const { return steps_; }

  /// Everything to save and restore: f(name, m, v) for each parameter.
  template <class F>
  void for_each_state(const F& f) {
    for (Slot& slot : slots_) f(slot.name, slot.m, slot.v);
  }
  void set_steps(Index steps) { steps_ = steps; }

 private:
  struct Slot {
    std::string name;
    std::shared_ptr<Node<T>> node;
    Tensor<T> m, v;
  };

  AdamOptions options_;
  std::vector<Slot> slots_;
  Index steps_ = 0;
};

template <Module M>
Adam(M&) -> Adam<typename M::ScalarType>;
template <Module M>
Adam(M&, const AdamOptions&) -> Adam<typename M::ScalarType>;

}  // namespace rapt::inline RAPT_ABI
