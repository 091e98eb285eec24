/// \file
/// The gated recurrent unit (Cho et al. 2014) over batches of sequences, forward and backward, in the form and the
/// order of gates of PyTorch: reset r, update z, candidate n.
///
///     r, z = sigmoid(x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh)  of each gate
///     q = h_(t-1) W_hn^T + b_hn,   n = tanh(x_t W_in^T + b_in + r q)
///     h_t = (1 - z) n + z h_(t-1)
#pragma once

#include "rapt/kernels/activation_functions.hpp"
#include "rapt/kernels/recurrent/step_schedule.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// What the forward pass reads and writes. Rows are those of the batch, but for the initial states.
template <class T>
struct GruForward {
  Index hidden = 0;                   ///< H, the width of the states
  const T* input = nullptr;           ///< [N, 3H] x W_ih^T + b_ih; may be the memory of `gates`
  const T* initial_hidden = nullptr;  ///< [B, H]; nullptr: zeros
  T* gates = nullptr;                 ///< [N, 3H] receives r, z, n
  T* candidates = nullptr;            ///< [N, H] receives q
  T* states = nullptr;                ///< [N, H] receives h
};

/// What the backward pass reads and writes.
template <class T>
struct GruBackward {
  Index hidden = 0;                   ///< H, the width of the states
  const T* d_states = nullptr;        ///< [N, H] the gradients by h, but for what passes through later steps
  const T* states = nullptr;          ///< [N, H] h, as forward gave them
  const T* initial_hidden = nullptr;  ///< [B, H]; nullptr: zeros
  T* gates = nullptr;                 ///< [N, 3H] r, z, n; receives the gradients of x W_ih^T + b_ih
  T* candidates = nullptr;            ///< [N, H] q; receives its gradient
  T* d_initial_hidden = nullptr;      ///< [B, H] is added to; nullptr: not wanted
};

namespace detail {

/// One row of a step: gates, q and h; `state` holds the previous h and receives the new one. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void gru_row(Isa isa, Index hidden, const T* input, const T* product, T* gates,
                                           T* candidate, T* out, T* state) {
  simd::for_lanes<T>(
      isa, hidden, [&](auto lanes, Index j) __attribute__((always_inline)) {
        using V = simd::Vector<T, lanes>;
        V r, z, n, q, h;
        simd::load(r, input + j);
        simd::load(q, product + j);
        r += q;
        sigmoid_in_place<T>(r);
        simd::load(z, input + hidden + j);
        simd::load(q, product + hidden + j);
        z += q;
        sigmoid_in_place<T>(z);
        simd::load(n, input + 2 * hidden + j);
        simd::load(q, product + 2 * hidden + j);
        n += r * q;
        simd::tanh_in_place<T>(n);
        simd::load(h, state + j);
        h = n + z * (h - n);
        simd::store(gates + j, r);
        simd::store(gates + hidden + j, z);
        simd::store(gates + 2 * hidden + j, n);
        simd::store(candidate + j, q);
        simd::store(out + j, h);
        simd::store(state + j, h);
      });
}

/// One row of a step backward. `d_state` holds what the next step adds to dh and receives dh z, the part of the step
/// before that does not pass through W_hh; `packed` receives the gradients of h W_hh^T + b_hh. Call inside `with_simd`.
template <class Isa, class T>
[[gnu::always_inline]] inline void gru_row_backward(Isa isa, Index hidden, const T* d_out, const T* previous_state,
                                                    T* gates, T* candidate, T* packed, T* d_state) {
  simd::for_lanes<T>(
      isa, hidden, [&](auto lanes, Index j) __attribute__((always_inline)) {
        using V = simd::Vector<T, lanes>;
        V dh, d, previous, r, z, n, q;
        simd::load(dh, d_out + j);
        simd::load(d, d_state + j);
        dh += d;
        simd::load(previous, previous_state + j);
        simd::load(r, gates + j);
        simd::load(z, gates + hidden + j);
        simd::load(n, gates + 2 * hidden + j);
        simd::load(q, candidate + j);
        d = dh * z;
        simd::store(d_state + j, d);
        d = dh * (previous - n) * z * (T(1) - z);
        simd::store(gates + hidden + j, d);
        simd::store(packed + hidden + j, d);
        d = dh * (T(1) - z) * (T(1) - n * n);
        simd::store(gates + 2 * hidden + j, d);
        n = d * q * r * (T(1) - r);
        simd::store(gates + j, n);
        simd::store(packed + j, n);
        d *= r;
        simd::store(candidate + j, d);
        simd::store(packed + 2 * hidden + j, d);
      });
}

}  // namespace detail

/// `multiply(h [n, H], a [n, 3H])` must compute a = h W_hh^T + b_hh.
template <class T, class Multiply>
void gru(const StepSchedule& schedule, const GruForward<T>& p, const Multiply& multiply) {
  const Index hidden = p.hidden;
  Tensor<T> states(Shape{schedule.sequences(), hidden}), product(Shape{schedule.sequences(), 3 * hidden});
  rank_rows<T>(schedule, p.initial_hidden, states);
  for (Index t = 0; t < schedule.steps(); ++t) {
    const Index active = schedule.active(t);
    multiply(states.view().middle_rows(0, active), product.view().middle_rows(0, active));
    parallel_for(active, step_grain(hidden), [&](Index begin, Index end) {
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index rank = begin; rank < end; ++rank) {
          const Index row = schedule.row(t, rank);
          detail::gru_row(isa, hidden, p.input + row * 3 * hidden, product.row(rank), p.gates + row * 3 * hidden,
                          p.candidates + row * hidden, p.states + row * hidden, states.row(rank));
        }
      });
    });
  }
}

/// `multiply(da [n, 3H], dh [n, H])` must compute dh += da W_hh.
template <class T, class Multiply>
void gru_backward(const StepSchedule& schedule, const GruBackward<T>& p, const Multiply& multiply) {
  const Index hidden = p.hidden;
  // What the next step adds to dh of each rank: zeros for a sequence that has no next step.
  Tensor<T> d_states(Shape{schedule.sequences(), hidden}, T(0)), packed(Shape{schedule.sequences(), 3 * hidden});
  const PreviousStates<T> previous_state(schedule, p.states, p.initial_hidden, hidden);
  for (Index t = schedule.steps() - 1; t >= 0; --t) {
    const Index active = schedule.active(t);
    parallel_for(active, step_grain(hidden), [&](Index begin, Index end) {
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        for (Index rank = begin; rank < end; ++rank) {
          const Index row = schedule.row(t, rank);
          detail::gru_row_backward(isa, hidden, p.d_states + row * hidden, previous_state(t, rank),
                                   p.gates + row * 3 * hidden, p.candidates + row * hidden, packed.row(rank),
                                   d_states.row(rank));
        }
      });
    });
    if (t > 0 || p.d_initial_hidden != nullptr) {
      multiply(packed.view().middle_rows(0, active), d_states.view().middle_rows(0, active));
    }
  }
  if (p.d_initial_hidden != nullptr) add_ranked_rows<T>(schedule, d_states, p.d_initial_hidden);
}

}}}  // namespace rapt::RAPT_ABI::kernels
