/// \file
/// Element-wise kernels against plain loops.
#include "rapt/kernels/elementwise.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
namespace kernels = rapt::kernels;

const Index kSizes[] = {0, 1, 3, 17, 64, 1000, 16384, 40001};

template <class T>
class Elementwise : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Elementwise, Scalars);

/// Checks kernel(a, b, out) against expected(a, b, old value of out) element by element.
template <class T, class Kernel, class Expected>
void check(const Kernel& kernel, const Expected& expected) {
  for_every_simd_level([&] {
    for (const Index size : kSizes) {
      const auto a = random_tensor<T>(Shape{size}, 1), b = random_tensor<T>(Shape{size}, 2);
      const auto before = random_tensor<T>(Shape{size}, 3);
      Tensor<double> wanted(Shape{size});
      for (Index i = 0; i < size; ++i) {
        wanted.data()[i] = expected(static_cast<double>(a.data()[i]), static_cast<double>(b.data()[i]),
                                    static_cast<double>(before.data()[i]));
      }
      auto out = before;
      kernel(a.data(), b.data(), out.data(), size);
      expect_close(out, wanted, kEpsilon<T>);
      expect_same_bits_on_any_threads([&] {
        auto again = before;
        kernel(a.data(), b.data(), again.data(), size);
        return again;
      });
    }
  });
}

TYPED_TEST(Elementwise, AddScaled) {
  using T = TypeParam;
  check<T>([](const T* a, const T*, T* out, Index n) { kernels::add_scaled(out, a, T(0.5), n); },
           [](double a, double, double old) { return old + 0.5 * a; });
}

TYPED_TEST(Elementwise, Add) {
  using T = TypeParam;
  check<T>([](const T* a, const T* b, T* out, Index n) { kernels::add(a, b, out, n); },
           [](double a, double b, double) { return a + b; });
}

TYPED_TEST(Elementwise, Multiply) {
  using T = TypeParam;
  check<T>([](const T* a, const T* b, T* out, Index n) { kernels::multiply(a, b, out, n); },
           [](double a, double b, double) { return a * b; });
  check<T>([](const T* a, const T* b, T* out, Index n) { kernels::multiply(a, b, out, n, true); },
           [](double a, double b, double old) { return old + a * b; });
}

TYPED_TEST(Elementwise, MoveTowards) {
  using T = TypeParam;
  check<T>([](const T* a, const T*, T* out, Index n) { kernels::move_towards(out, a, T(0.25), n); },
           [](double a, double, double old) { return old + 0.25 * (a - old); });
}

TYPED_TEST(Elementwise, AddConstant) {
  using T = TypeParam;
  check<T>([](const T*, const T*, T* out, Index n) { kernels::add_constant(out, T(1.5), n); },
           [](double, double, double old) { return old + 1.5; });
}

TYPED_TEST(Elementwise, OutputMayBeAnInput) {
  auto a = random_tensor<TypeParam>(Shape{1000}, 1);
  const auto before = a;
  kernels::add(a.data(), a.data(), a.data(), a.size());
  for (Index i = 0; i < a.size(); ++i) EXPECT_EQ(a.data()[i], 2 * before.data()[i]);
}

TYPED_TEST(Elementwise, ColumnSumsOfAStridedView) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const auto& size : {std::pair<Index, Index>{0, 5}, {1, 1}, {7, 3}, {33, 17}, {100, 64}, {5, 200}}) {
      const Index rows = size.first, cols = size.second;  // clang 14 lets no lambda see a structured binding
      const auto wide = random_tensor<T>(Shape{rows, cols + 3}, 1);
      const auto start = random_tensor<T>(Shape{cols}, 2);
      auto expected = to_double(start);
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < cols; ++j) expected.data()[j] += static_cast<double>(wide(i, j + 2));
      }
      auto sums = start;
      kernels::add_column_sums<T>(wide.view().columns(2, cols), sums.data());
      expect_close(sums, expected, 8 * kEpsilon<T>);
      expect_same_bits_on_any_threads([&] {
        auto again = start;
        kernels::add_column_sums<T>(wide.view().columns(2, cols), again.data());
        return again;
      });
    }
  });
}

TYPED_TEST(Elementwise, SumsInDouble) {
  using T = TypeParam;
  for (const Index size : kSizes) {
    const auto x = random_tensor<T>(Shape{size}, 4);
    double expected = 0;
    for (const T v : x.values()) expected += static_cast<double>(v) * static_cast<double>(v);
    const auto squares = [&] { return kernels::sum_of(x.data(), size, [](double v) { return v * v; }); };
    EXPECT_NEAR(squares(), expected, 1e-12 * (1 + expected));
    expect_same_bits_on_any_threads([&] { return Tensor<double>(Shape{1}, squares()); });
  }
}

}  // namespace
