/// \file
/// One direction of a layer of gated recurrent units as an op.
#pragma once

#include <string_view>
#include <utility>

#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/recurrent_weight.hpp"
#include "rapt/kernels/recurrent/gru.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Gated recurrent units (Cho et al. 2014) as torch.nn.GRU computes them, sequence by sequence from zero states or from
/// the given ones [B, H]:
///     r, z = sigmoid(gates_t + h_(t-1) W^T + b)  of each gate,   n = tanh(gates_n + r (h_(t-1) W_n^T + b_n))
///     h_t = (1 - z) n + z h_(t-1)
///   // h [N, H] from gates [N, 3H] = x W_ih^T + b_ih in the order r, z, n, weight [3H, H], bias [3H] (undefined: none)
/// `reversed` reads each sequence from its last row to its first. Every sequence must have a row. The elements of gates
/// are overwritten if nobody else holds them.
template <class T>
[[nodiscard]] Variable<T> gru(Variable<T> gates, const Variable<T>& weight, const Variable<T>& bias,
                              const RowSplits& splits, const Variable<T>& initial_hidden = {}, bool reversed = false) {
  constexpr std::string_view kWhere = "gru";
  detail::require_recurrent(kWhere, 3, gates, weight, bias, splits);
  const Index rows = splits.rows(), hidden = weight.cols();
  detail::require_initial_state(kWhere, "initial hidden state", initial_hidden, splits.sequences(), hidden);
  require_trainable(weight, kWhere);

  kernels::StepSchedule schedule(splits, reversed);
  const T* const input = gates.value().data();
  Tensor<T> activated = gates.elements_to_overwrite(), candidates(Shape{rows, hidden}), states(Shape{rows, hidden});
  kernels::gru<T>(schedule,
                  {.hidden = hidden,
                   .input = input,
                   .initial_hidden = detail::elements_or_null(initial_hidden),
                   .gates = activated.data(),
                   .candidates = candidates.data(),
                   .states = states.data()},
                  detail::RecurrentProduct<T>(weight, bias, schedule.steps()));

  const detail::Inputs<T> inputs{gates, weight, bias, initial_hidden};
  return record(
      "gru", std::move(states), inputs,
      [schedule = std::move(schedule), activated = std::move(activated), candidates = std::move(candidates),
       hidden](Node<T>& out) mutable {
        Node<T>&gates_in = out.input(0), &weight_in = out.input(1);
        Node<T>*const bias_in = out.inputs[2].get(), *const hidden_in = out.inputs[3].get();
        const kernels::PackedOperand<T> packed(kernels::as_is(weight_in.value));
        kernels::gru_backward<T>(schedule,
                                 {.hidden = hidden,
                                  .d_states = out.grad.data(),
                                  .states = out.value.data(),
                                  .initial_hidden = detail::elements_or_null(hidden_in),
                                  .gates = activated.data(),
                                  .candidates = candidates.data(),
                                  .d_initial_hidden = detail::gradient_or_null(hidden_in)},
                                 [&](const TensorView<T>& da, const TensorView<T>& dh) {
                                   kernels::gemm(kernels::as_is(da), packed, dh, {.accumulate = true});
                                 });
        if (weight_in.requires_grad || (bias_in != nullptr && bias_in->requires_grad)) {
          Tensor<T> previous(out.value.shape());
          kernels::gather_previous_states<T>(schedule, out.value, detail::elements_or_null(hidden_in), previous);
          // r and z have the gradients of their inputs; those of q are beside them.
          detail::add_recurrent_gradients<T>(activated.view().columns(0, 2 * hidden), previous, 0, weight_in, bias_in);
          detail::add_recurrent_gradients<T>(candidates, previous, 2 * hidden, weight_in, bias_in);
        }
        pass_gradient(std::move(activated), gates_in);
      });
}

}}  // namespace rapt::RAPT_ABI
