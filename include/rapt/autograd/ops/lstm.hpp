/// \file
/// One direction of a layer of long short-term memory as an op.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>
#include <tuple>
#include <utility>

#include "rapt/autograd/pass_gradient.hpp"
#include "rapt/autograd/recurrent_weight.hpp"
#include "rapt/kernels/recurrent/lstm.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What `lstm` returns.
template <class T>
struct LstmResult {
  Variable<T> states;     ///< [N, H] h of every row
  Variable<T> last_cell;  ///< [B, H] c behind the last step of each sequence
};

/// Long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000) as torch.nn.LSTM computes it, sequence by
/// sequence from zero states or from the given ones [B, H]:
///     i, f, o = sigmoid(a),  g = tanh(a)  with a = gates_t + h_(t-1) W^T + b of each gate, in the order i, f, g, o
///     c_t = f c_(t-1) + i g,   h_t = o tanh(c_t)
///   // gates [N, 4H] = x W_ih^T + b_ih, weight [4H, H], bias [4H] (undefined: none)
/// `reversed` reads each sequence from its last row to its first; its last step is then the first row. Every sequence
/// must have a row. The elements of gates are overwritten if nobody else holds them.
template <class T>
[[nodiscard]] LstmResult<T> lstm(Variable<T> gates, const Variable<T>& weight, const Variable<T>& bias,
                                 const RowSplits& splits, const Variable<T>& initial_hidden = {},
                                 const Variable<T>& initial_cell = {}, bool reversed = false) {
  constexpr std::string_view kWhere = "lstm";
  detail::require_recurrent(kWhere, 4, gates, weight, bias, splits);
  const Index rows = splits.rows(), sequences = splits.sequences(), hidden = weight.cols();
  detail::require_initial_state(kWhere, "initial hidden state", initial_hidden, sequences, hidden);
  detail::require_initial_state(kWhere, "initial cell state", initial_cell, sequences, hidden);
  require_trainable(weight, kWhere);

  struct Saved {
    kernels::StepSchedule schedule;
    Tensor<T> gates, cells, d_last_cell;
  };
  const auto saved = std::make_shared<Saved>(Saved{kernels::StepSchedule(splits, reversed), {}, {}, {}});
  const kernels::StepSchedule& schedule = saved->schedule;
  const T* const input = gates.value().data();
  saved->gates = gates.elements_to_overwrite();
  saved->cells = Tensor<T>(Shape{rows, hidden});
  Tensor<T> states(Shape{rows, hidden}), last_cell(Shape{sequences, hidden});
  kernels::lstm<T>(schedule,
                   {.hidden = hidden,
                    .input = input,
                    .initial_hidden = detail::elements_or_null(initial_hidden),
                    .initial_cell = detail::elements_or_null(initial_cell),
                    .gates = saved->gates.data(),
                    .cells = saved->cells.data(),
                    .states = states.data()},
                   detail::RecurrentProduct<T>(weight, bias, schedule.steps()));
  for (Index s = 0; s < sequences; ++s) {
    std::copy_n(saved->cells.row(reversed ? splits.begin(s) : splits.end(s) - 1), hidden, last_cell.row(s));
  }

  LstmResult<T> result;
  const detail::Inputs<T> inputs{gates, weight, bias, initial_hidden, initial_cell};
  result.states = record("lstm", std::move(states), inputs, [saved, hidden](Node<T>& out) {
    Node<T>&gates_in = out.input(0), &weight_in = out.input(1);
    Node<T>*const bias_in = out.inputs[2].get(), *const hidden_in = out.inputs[3].get(),
                  *const cell_in = out.inputs[4].get();
    const kernels::PackedOperand<T> packed(kernels::as_is(weight_in.value));
    kernels::lstm_backward<T>(
        saved->schedule,
        {.hidden = hidden,
         .d_states = out.grad.data(),
         .d_last_cell = saved->d_last_cell.empty() ? nullptr : saved->d_last_cell.data(),
         .cells = saved->cells.data(),
         .initial_cell = detail::elements_or_null(cell_in),
         .gates = saved->gates.data(),
         .d_initial_hidden = detail::gradient_or_null(hidden_in),
         .d_initial_cell = detail::gradient_or_null(cell_in)},
        [&](const TensorView<T>& da, const TensorView<T>& dh) { kernels::gemm(kernels::as_is(da), packed, dh); });
    if (weight_in.requires_grad || (bias_in != nullptr && bias_in->requires_grad)) {
      Tensor<T>& previous = saved->cells;  // c is no longer needed
      kernels::gather_previous_states<T>(saved->schedule, out.value, detail::elements_or_null(hidden_in), previous);
      detail::add_recurrent_gradients<T>(saved->gates, previous, 0, weight_in, bias_in);
    }
    pass_gradient(std::move(saved->gates), gates_in);
  });
  // A second node beside the first, whose backward runs before: it leaves its gradient where the first one finds it.
  result.last_cell = record("lstm_last_cell", std::move(last_cell), {result.states}, [saved](Node<T>& out) {
    saved->d_last_cell = std::move(out.grad);
    std::ignore = out.input(0).grad_sum();
  });
  result.last_cell = overwritable(std::move(result.last_cell));
  return result;
}

}}  // namespace rapt::RAPT_ABI
