/// \file
/// The long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000) over batches
/// of sequences, forward and backward, in PyTorch's order of gates: input i, forget f, cell g, output o.
///
///     i, f, o = sigmoid(a),  g = tanh(a)     with a = x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh of each gate
///     c_t = f c_(t-1) + i g,   h_t = o tanh(c_t)
#pragma once

#include "rapt/kernels/activation_functions.hpp"
#include "rapt/kernels/recurrent/step_schedule.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// What the forward pass reads and writes. Rows are those of the batch, but for the initial states.
template <class T>
struct LstmForward {
  Index hidden = 0;                   ///< H, the width of the states
  const T* input = nullptr;           ///< [N, 4H] x W_ih^T + b_ih; may be the memory of `gates`
  const T* initial_hidden = nullptr;  ///< [B, H]; nullptr: zeros
  const T* initial_cell = nullptr;    ///< [B, H]; nullptr: zeros
  T* gates = nullptr;                 ///< [N, 4H] receives i, f, g, o
  T* cells = nullptr;                 ///< [N, H] receives c
  T* states = nullptr;                ///< [N, H] receives h
};

/// What the backward pass reads and writes.
template <class T>
struct LstmBackward {
  Index hidden = 0;                 ///< H, the width of the states
  const T* d_states = nullptr;      ///< [N, H] the gradients by h, but for what passes through later steps
  const T* d_last_cell = nullptr;   ///< [B, H] the gradients by c of the last steps; nullptr: zeros
  const T* cells = nullptr;         ///< [N, H] c, as forward gave them
  const T* initial_cell = nullptr;  ///< [B, H]; nullptr: zeros
  T* gates = nullptr;               ///< [N, 4H] i, f, g, o; receives the gradients of their a
  T* d_initial_hidden = nullptr;    ///< [B, H] is added to; nullptr: not wanted
  T* d_initial_cell = nullptr;      ///< [B, H] is added to; nullptr: not wanted
};

namespace detail {

/// One row of a step: gates, c and h from both parts of a and the previous c. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void lstm_row(Isa isa, Index hidden, const T* input, const T* product,
                                            const T* previous_cell, T* gates, T* cell, T* state, T* next_state) {
  simd::for_lanes<T>(
      isa, hidden, [&](auto lanes, Index j) __attribute__((always_inline)) {
        using V = simd::Vector<T, lanes>;
        V a[4], c, t;
#pragma GCC unroll 4
        for (Index gate = 0; gate < 4; ++gate) {
          simd::load(a[gate], input + gate * hidden + j);
          simd::load(t, product + gate * hidden + j);
          a[gate] += t;
          if (gate == 2) {
            simd::tanh_in_place<T>(a[gate]);
          } else {
            sigmoid_in_place<T>(a[gate]);
          }
          simd::store(gates + gate * hidden + j, a[gate]);
        }
        simd::load(c, previous_cell + j);
        c = a[1] * c + a[0] * a[2];
        simd::store(cell + j, c);
        simd::tanh_in_place<T>(c);
        c *= a[3];
        simd::store(state + j, c);
        simd::store(next_state + j, c);
      });
}

/// One row of a step backward: with dh and dc of the row, the gradients of a, also in `packed`, and dc of the step
/// before. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void lstm_row_backward(Isa isa, Index hidden, const T* d_state, const T* d_next,
                                                     const T* cell, const T* previous_cell, T* gates, T* packed,
                                                     T* d_cell) {
  simd::for_lanes<T>(
      isa, hidden, [&](auto lanes, Index j) __attribute__((always_inline)) {
        using V = simd::Vector<T, lanes>;
        V dh, dc, c, previous, i, f, g, o, d;
        simd::load(dh, d_state + j);
        simd::load(d, d_next + j);
        dh += d;
        simd::load(dc, d_cell + j);
        simd::load(c, cell + j);
        simd::load(previous, previous_cell + j);
        simd::load(i, gates + j);
        simd::load(f, gates + hidden + j);
        simd::load(g, gates + 2 * hidden + j);
        simd::load(o, gates + 3 * hidden + j);
        simd::tanh_in_place<T>(c);
        dc += dh * o * (T(1) - c * c);
        const auto put = [&](Index gate, const V& value) __attribute__((always_inline)) {
          simd::store(gates + gate * hidden + j, value);
          simd::store(packed + gate * hidden + j, value);
        };
        d = dc * g * i * (T(1) - i);
        put(0, d);
        d = dc * previous * f * (T(1) - f);
        put(1, d);
        d = dc * i * (T(1) - g * g);
        put(2, d);
        d = dh * c * o * (T(1) - o);
        put(3, d);
        dc *= f;
        simd::store(d_cell + j, dc);
      });
}

}  // namespace detail

/// `multiply(h [n, H], a [n, 4H])` must compute a = h W_hh^T + b_hh.
template <class T, class Multiply>
void lstm(const StepSchedule& schedule, const LstmForward<T>& p, const Multiply& multiply) {
  const Index hidden = p.hidden;
  Tensor<T> states(Shape{schedule.sequences(), hidden}), product(Shape{schedule.sequences(), 4 * hidden});
  rank_rows<T>(schedule, p.initial_hidden, states);
  const PreviousStates<T> previous_cell(schedule, p.cells, p.initial_cell, hidden);
  for (Index t = 0; t < schedule.steps(); ++t) {
    const Index active = schedule.active(t);
    multiply(states.view().middle_rows(0, active), product.view().middle_rows(0, active));
    parallel_for(active, step_grain(hidden), [&](Index begin, Index end) {
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index rank = begin; rank < end; ++rank) {
          const Index row = schedule.row(t, rank);
          detail::lstm_row(isa, hidden, p.input + row * 4 * hidden, product.row(rank), previous_cell(t, rank),
                           p.gates + row * 4 * hidden, p.cells + row * hidden, p.states + row * hidden,
                           states.row(rank));
        }
      });
    });
  }
}

/// `multiply(da [n, 4H], dh [n, H])` must compute dh = da W_hh.
template <class T, class Multiply>
void lstm_backward(const StepSchedule& schedule, const LstmBackward<T>& p, const Multiply& multiply) {
  const Index hidden = p.hidden;
  // Of each rank: what the next step adds to dh, zeros for a sequence that has no next step, and dc.
  Tensor<T> d_next(Shape{schedule.sequences(), hidden}, T(0)), d_cells(d_next.shape());
  Tensor<T> packed(Shape{schedule.sequences(), 4 * hidden});
  rank_rows<T>(schedule, p.d_last_cell, d_cells);
  const PreviousStates<T> previous_cell(schedule, p.cells, p.initial_cell, hidden);
  for (Index t = schedule.steps() - 1; t >= 0; --t) {
    const Index active = schedule.active(t);
    parallel_for(active, step_grain(hidden), [&](Index begin, Index end) {
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index rank = begin; rank < end; ++rank) {
          const Index row = schedule.row(t, rank);
          detail::lstm_row_backward(isa, hidden, p.d_states + row * hidden, d_next.row(rank), p.cells + row * hidden,
                                    previous_cell(t, rank), p.gates + row * 4 * hidden, packed.row(rank),
                                    d_cells.row(rank));
        }
      });
    });
    if (t > 0 || p.d_initial_hidden != nullptr) {
      multiply(packed.view().middle_rows(0, active), d_next.view().middle_rows(0, active));
    }
  }
  if (p.d_initial_hidden != nullptr) add_ranked_rows<T>(schedule, d_next, p.d_initial_hidden);
  if (p.d_initial_cell != nullptr) add_ranked_rows<T>(schedule, d_cells, p.d_initial_cell);
}

}}}  // namespace rapt::RAPT_ABI::kernels
