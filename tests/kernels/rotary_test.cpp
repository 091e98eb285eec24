/// \file
/// Rotations against complex numbers: a pair of columns is one, and turning is multiplying by e^(i angle).
#include "rapt/kernels/rotary.hpp"

#include <gtest/gtest.h>

#include <complex>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using rapt::kernels::RotaryHeads;
using rapt::kernels::RotaryLayout;
namespace kernels = rapt::kernels;

constexpr Index kPositions = 40;

double angle_of(Index position, Index pair) {
  return 0.3 * static_cast<double>(position) / static_cast<double>(pair + 1);
}

template <class T>
Tensor<T> table_of(Index pairs, Index positions = kPositions) {
  Tensor<T> table(Shape{positions, 2 * pairs});
  for (Index p = 0; p < positions; ++p) {
    for (Index i = 0; i < pairs; ++i) {
      table(p, i) = static_cast<T>(std::cos(angle_of(p, i)));
      table(p, pairs + i) = static_cast<T>(std::sin(angle_of(p, i)));
    }
  }
  return table;
}

std::vector<TokenId> positions_of(Index rows) {
  std::vector<TokenId> positions;
  for (Index i = 0; i < rows; ++i) positions.push_back(static_cast<TokenId>(i * 7 % kPositions));
  return positions;
}

template <class T>
class RotaryKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(RotaryKernel, Scalars);

TYPED_TEST(RotaryKernel, TurnsPairsOfColumns) {
  using T = TypeParam;
  for (const RotaryLayout layout : {RotaryLayout::halves, RotaryLayout::interleaved}) {
    for (const Index pairs : {1, 3, 4, 8, 16, 33}) {
      for (const Index rows : {0, 1, 50}) {
        for (const Index idle : {0, 5}) {  // columns of each head without position
          const RotaryHeads heads{.first = 2, .count = 3, .head_dim = 2 * pairs + idle, .layout = layout};
          const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(Shape{rows, pairs, idle}));
          const auto x = random_tensor<T>(Shape{rows, 2 + 3 * heads.head_dim + 4}, 1);
          const auto table = table_of<T>(pairs);
          const auto positions = positions_of(rows);
          Tensor<double> turned = to_double(x), back = turned;
          for (Index i = 0; i < rows; ++i) {
            for (Index head = 0; head < 3; ++head) {
              for (Index pair = 0; pair < pairs; ++pair) {
                const Index first = 2 + head * heads.head_dim;
                const bool halves = layout == RotaryLayout::halves;
                const Index a = first + (halves ? pair : 2 * pair), b = first + (halves ? pair + pairs : 2 * pair + 1);
                const std::complex<double> z(static_cast<double>(x(i, a)), static_cast<double>(x(i, b)));
                const auto turn = std::polar(1.0, angle_of(positions[static_cast<std::size_t>(i)], pair));
                turned(i, a) = (z * turn).real(), turned(i, b) = (z * turn).imag();
                back(i, a) = (z / turn).real(), back(i, b) = (z / turn).imag();
              }
            }
          }
          for_every_simd_level([&] {
            Tensor<T> y = x, z = x;
            kernels::rotate<T>(y, table, positions, heads);
            kernels::rotate<T>(z, table, positions, heads, /*backward=*/true);
            expect_close(y, turned, 4 * kEpsilon<T>);
            expect_close(z, back, 4 * kEpsilon<T>);
          });
        }
      }
    }
  }
}

/// What rotary positions are for: products of turned queries and keys depend on the distance alone.
TYPED_TEST(RotaryKernel, ProductsDependOnTheDistance) {
  using T = TypeParam;
  for (const RotaryLayout layout : {RotaryLayout::halves, RotaryLayout::interleaved}) {
    const auto table = table_of<T>(8);
    const auto product = [&](TokenId query_at, TokenId key_at) {
      auto x = random_tensor<T>(Shape{2, 16}, 1);
      const std::vector<TokenId> positions{query_at, key_at};
      kernels::rotate<T>(x, table, positions, {.head_dim = 16, .layout = layout});
      double sum = 0;
      for (Index j = 0; j < 16; ++j) sum += static_cast<double>(x(0, j)) * static_cast<double>(x(1, j));
      return sum;
    };
    EXPECT_NEAR(product(9, 4), product(39, 34), 30 * kEpsilon<T>);
    EXPECT_NEAR(product(5, 5), product(0, 0), 30 * kEpsilon<T>);
    EXPECT_GT(std::abs(product(9, 4) - product(9, 8)), 0.1);
  }
}

TYPED_TEST(RotaryKernel, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  const auto table = table_of<T>(16);
  const auto positions = positions_of(900);
  expect_same_bits_on_any_threads([&] {
    auto x = random_tensor<T>(Shape{900, 70}, 1);
    kernels::rotate<T>(x, table, positions, {.first = 3, .count = 2, .head_dim = 32});
    return x;
  });
}

}  // namespace
