/// \file
/// Gradients of linear maps against sums in double, with few rows and with many.
#include "rapt/kernels/linear_backward.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Activation;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
namespace kernels = rapt::kernels;

constexpr Index kIn = 20, kOut = 37;

template <class T>
struct Gradients {
  Tensor<T> dx, dw, db;
};

/// x, W, z, and the gradients so far.
template <class T>
struct Problem {
  Tensor<T> x, weight, z, dy;
  Gradients<T> before;

  explicit Problem(Index rows)
      : x(random_tensor<T>(Shape{rows, kIn}, 1)),
        weight(random_tensor<T>(Shape{kOut, kIn}, 2)),
        z(random_tensor<T>(Shape{rows, kOut}, 3)),
        dy(random_tensor<T>(Shape{rows, kOut}, 4)),
        before{random_tensor<T>(x.shape(), 5), random_tensor<T>(weight.shape(), 6), random_tensor<T>(Shape{kOut}, 7)} {}

  [[nodiscard]] Gradients<T> run(Activation activation, bool adds, bool wants_dx, bool wants_dw, bool wants_db) const {
    Tensor<T> dz = dy;
    Gradients<T> g = before;
    Tensor<T> y = z, derivative(z.shape());
    kernels::activate_and_derive(activation, y.data(), derivative.data(), z.size());
    const bool reads_y = kernels::derivative_reads_output(activation);
    kernels::LinearBackward<T> backward{.activation = activation,
                                        .y = y.data(),
                                        .derivative = reads_y ? nullptr : derivative.data(),
                                        .dz = dz,
                                        .x = kernels::as_is(x),
                                        .weight = kernels::as_is(weight),
                                        .add_dx = adds,
                                        .add_dw = adds};
    if (wants_dx) backward.dx = g.dx;
    if (wants_dw) backward.dw = g.dw;
    if (wants_db) backward.db = g.db.data();
    kernels::linear_backward(backward);
    return g;
  }

  /// All three in double, added to what was there or not (db is always).
  [[nodiscard]] Gradients<double> expected(Activation activation, bool adds) const {
    Gradients<double> g{to_double(before.dx), to_double(before.dw), to_double(before.db)};
    if (!adds) g.dx = Tensor<double>(g.dx.shape(), 0.0), g.dw = Tensor<double>(g.dw.shape(), 0.0);
    for (Index i = 0; i < x.rows(); ++i) {
      for (Index o = 0; o < kOut; ++o) {
        const auto at = static_cast<double>(z(i, o)), tanh = std::tanh(at);
        const double slope = activation == Activation::tanh   ? 1 - tanh * tanh
                             : activation == Activation::relu ? (at > 0 ? 1.0 : 0.0)
                                                              : 1.0;
        const double dz = static_cast<double>(dy(i, o)) * slope;
        g.db.data()[o] += dz;
        for (Index j = 0; j < kIn; ++j) {
          g.dx(i, j) += dz * static_cast<double>(weight(o, j));
          g.dw(o, j) += dz * static_cast<double>(x(i, j));
        }
      }
    }
    return g;
  }
};

template <class T>
class LinearBackward : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(LinearBackward, Scalars);

TYPED_TEST(LinearBackward, EqualsTheSums) {
  using T = TypeParam;
  const HighestPrecision highest;
  for (const Index rows : {3, 200, 4100}) {
    const Problem<T> problem(rows);
    const double tolerance = 8 * std::sqrt(static_cast<double>(rows)) * kEpsilon<T>;
    for (const Activation activation : {Activation::none, Activation::relu, Activation::tanh}) {
      for (const bool adds : {false, true}) {
        const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(activation) + " " + std::to_string(rows));
        const auto expected = problem.expected(activation, adds);
        const auto all = problem.run(activation, adds, true, true, true);
        expect_close(all.dx, expected.dx, 40 * kEpsilon<T>);
        expect_close(all.dw, expected.dw, tolerance);
        expect_close(all.db, expected.db, tolerance);
        // What is not wanted stays, and what is does not depend on it.
        const auto dw = problem.run(activation, adds, false, true, false);
        EXPECT_TRUE(same_bits(dw.dw, all.dw));
        EXPECT_TRUE(same_bits(dw.dx, problem.before.dx) && same_bits(dw.db, problem.before.db));
        const auto dx = problem.run(activation, adds, true, false, true);
        expect_close(dx.dx, expected.dx, 40 * kEpsilon<T>);
        EXPECT_TRUE(same_bits(dx.dw, problem.before.dw));
      }
    }
  }
}

TYPED_TEST(LinearBackward, AddsUpWhereXIsTheWeight) {
  using T = TypeParam;
  const HighestPrecision highest;
  const auto x = random_tensor<T>(Shape{4100, kIn}, 1), dy = random_tensor<T>(Shape{4100, kOut}, 2);
  const auto weight = x.view().middle_rows(3000, kOut);
  const auto backward = [&](Tensor<T>& dz, rapt::TensorView<T> dx, rapt::TensorView<T> dw, bool adds) {
    kernels::linear_backward<T>(
        {.dz = dz, .x = kernels::as_is(x), .weight = kernels::as_is(weight), .dx = dx, .dw = dw, .add_dw = adds});
  };
  Tensor<T> both(x.shape()), dx(x.shape()), dw(Shape{kOut, kIn}), dz = dy;
  backward(dz, both, both.view().middle_rows(3000, kOut), true);
  dz = dy;
  backward(dz, dx, dw, false);
  for (Index i = 0; i < dw.size(); ++i) dx.row(3000)[i] += dw.data()[i];
  expect_close(both, dx, 200 * kEpsilon<T>);
}

TYPED_TEST(LinearBackward, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  const Problem<T> problem(5000);
  expect_same_bits_on_any_threads([&] { return problem.run(Activation::gelu, false, true, true, true).dw; });
  expect_same_bits_on_any_threads([&] { return problem.run(Activation::gelu, true, true, true, true).dx; });
  expect_same_bits_on_any_threads([&] { return problem.run(Activation::gelu, false, false, true, true).db; });
}

}  // namespace
