/// \file
/// Recomputation (Chen et al. 2016): activations that backward computes again instead of keeping them.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <utility>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/autograd/weight_adapter.hpp"
#include "rapt/core/rng.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

inline bool& recomputes() {
  thread_local bool value = false;
  return value;
}

}  // namespace detail

/// While it lives, stacks on the calling thread that record keep of each block its input and result alone; backward
/// computes each block a second time when it comes there. Memory for activations is then that of one block and an
/// [N, D] matrix for each, for about a third more time. Losses and gradients are the same bits, with dropout, too.
/// Between a loss and its `backward` the model, and the adapter that the loss used (UseAdapter), must stay where they
/// are, and the precision in force must be the same in both.
class [[nodiscard]] RecomputeActivations {
 public:
  explicit RecomputeActivations(bool on = true) : previous_(std::exchange(detail::recomputes(), on)) {}
  RecomputeActivations(const RecomputeActivations&) = delete;
  RecomputeActivations& operator=(const RecomputeActivations&) = delete;
  ~RecomputeActivations() { detail::recomputes() = previous_; }

 private:
  bool previous_;
};

/// True if what is computed now is to be computed again in backward.
[[nodiscard]] inline bool recomputes_activations() { return detail::recomputes() && is_recording(); }

/// f(), of which nothing but the result is kept: backward calls f once more, with the same random numbers and the same
/// adapter. `inputs` are all variables of the graph that f reads, but for parameters; undefined ones are nothing.
template <class T>
[[nodiscard]] Variable<T> recompute(std::function<Variable<T>()> f, const std::array<Variable<T>, 6>& inputs) {
  const Rng* const rng = detail::grad_mode().dropout_rng;
  const std::optional<Rng::State> random = rng != nullptr ? std::optional(rng->state()) : std::nullopt;
  Tensor<T> value;
  {
    const Variable<T> result = f();  // recorded, so that it is computed as backward will compute it
    if (!result.requires_grad()) return result;
    value = std::move(result.node()->value);
  }
  auto backward = [f = std::move(f), random, adapter = detail::adapter_in_use<T>()](Node<T>& out) {
    std::optional<Rng> same;
    std::optional<Training> training;
    std::optional<Recording> recording;
    if (random) {
      training.emplace(same.emplace(*random));
    } else {
      recording.emplace();
    }
    const UseAdapter<T> scope(adapter);
    const Variable<T> result = f();
    result.node()->grad = std::move(out.grad);
    detail::run_backward<T>(result.node(), out.inputs);
  };
  // Parameters take gradients even if no input does: the last input stands for them.
  const auto& [a, b, c, d, e, g] = inputs;
  const Variable<T> parameters(Tensor<T>(Shape{1}, T(0)), /*requires_grad=*/true);
  return overwritable(
      record(detail::kRecompute, std::move(value), {a, b, c, d, e, g, parameters}, std::move(backward)));
}

}}  // namespace rapt::RAPT_ABI
