/// \file
/// Residual sum and layer norm, forward and backward, against plain double code.
#include "rapt/kernels/layer_norm.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::kernels::AddNorm;
using rapt::kernels::Dropout;
namespace kernels = rapt::kernels;

/// Everything that goes in, and what kernels make of it.
template <class T>
struct Case {
  Index rows, cols;
  bool with_sublayer;
  Dropout dropout;
  Tensor<T> x = random_tensor<T>(Shape{rows, cols}, 1, -1, 3);
  Tensor<T> sublayer = random_tensor<T>(Shape{rows, cols}, 2);
  Tensor<T> gamma = random_tensor<T>(Shape{cols}, 3), beta = random_tensor<T>(Shape{cols}, 4);
  Tensor<T> dy = random_tensor<T>(Shape{rows, cols}, 5);
  T epsilon = T(1e-5);

  Tensor<T> h = x, y{Shape{rows, cols}}, mean{Shape{rows}}, rstd{Shape{rows}};
  Tensor<T> dx = random_tensor<T>(Shape{rows, cols}, 6), dsublayer = random_tensor<T>(Shape{rows, cols}, 7);
  Tensor<T> dgamma = random_tensor<T>(Shape{cols}, 8), dbeta = random_tensor<T>(Shape{cols}, 9);

  [[nodiscard]] AddNorm<T> problem() const {
    return {rows,    cols,         x.data(),    with_sublayer ? sublayer.data() : nullptr,
            dropout, gamma.data(), beta.data(), epsilon};
  }
  void forward() { kernels::add_norm(problem(), h.data(), y.data(), mean.data(), rstd.data()); }
  void backward() {
    kernels::add_norm_backward<T>(problem(), {h.data(), mean.data(), rstd.data()}, dy.data(), {dx.data()},
                                  {with_sublayer ? dsublayer.data() : nullptr}, dgamma.data(), dbeta.data());
  }
};

/// Factors of the dropout of a residual sum, from the documented words.
template <class T>
Tensor<double> dropout_factors(const Case<T>& c) {
  Tensor<double> factors(Shape{c.rows, c.cols}, 1.0);
  if (!c.dropout.active()) return factors;
  const auto rate = static_cast<double>(c.dropout.rate);
  for (Index i = 0; i < c.rows; ++i) {
    for (Index j = 0; j < c.cols; ++j) {
      const auto e = static_cast<std::uint64_t>(i * ((c.cols + 63) / 64 * 64) + j);
      const auto word = c.dropout.stream.block(e / 64 * 16 + e % 16)[e % 64 / 16];
      factors(i, j) = static_cast<double>(word) < std::floor(rate * 0x1p32) ? 0 : 1 / (1 - rate);
    }
  }
  return factors;
}

/// The same in double, by the definitions.
template <class T>
struct Naive {
  Tensor<double> h, y, dx, dsublayer, dgamma, dbeta;

  explicit Naive(const Case<T>& c)
      : h(to_double(c.x)),
        y(h.shape()),
        dx(to_double(c.dx)),
        dsublayer(to_double(c.dsublayer)),
        dgamma(to_double(c.dgamma)),
        dbeta(to_double(c.dbeta)) {
    const auto factors = dropout_factors(c);
    const auto n = static_cast<double>(c.cols);
    for (Index i = 0; i < c.rows; ++i) {
      double mean = 0, variance = 0, mean_g = 0, mean_gn = 0;
      for (Index j = 0; j < c.cols; ++j) {
        if (c.with_sublayer) h(i, j) += static_cast<double>(c.sublayer(i, j)) * factors(i, j);
        mean += h(i, j) / n;
      }
      for (Index j = 0; j < c.cols; ++j) variance += (h(i, j) - mean) * (h(i, j) - mean) / n;
      const double rstd = 1 / std::sqrt(variance + static_cast<double>(c.epsilon));
      const auto normal = [&](Index j) { return (h(i, j) - mean) * rstd; };
      const auto g = [&](Index j) { return static_cast<double>(c.dy(i, j)) * static_cast<double>(c.gamma.data()[j]); };
      for (Index j = 0; j < c.cols; ++j) {
        y(i, j) = normal(j) * static_cast<double>(c.gamma.data()[j]) + static_cast<double>(c.beta.data()[j]);
        mean_g += g(j) / n;
        mean_gn += g(j) * normal(j) / n;
        dgamma.data()[j] += static_cast<double>(c.dy(i, j)) * normal(j);
        dbeta.data()[j] += static_cast<double>(c.dy(i, j));
      }
      for (Index j = 0; j < c.cols; ++j) {
        const double dh = rstd * (g(j) - mean_g - normal(j) * mean_gn);
        dx(i, j) += dh;
        dsublayer(i, j) += dh * factors(i, j);
      }
    }
  }
};

template <class T>
class LayerNormKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(LayerNormKernel, Scalars);

TYPED_TEST(LayerNormKernel, ForwardAndBackwardEqualTheFormulas) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : {1, 3, 16, 17, 64, 65, 128, 200}) {
      for (const Index rows : {0, 1, 5, 130}) {
        for (const float rate : {-1.f, 0.f, 0.3f}) {  // below 0: no sublayer
          const testing::ScopedTrace trace(__FILE__, __LINE__,
                                           to_string(Shape{rows, cols}) + " dropout " + std::to_string(rate));
          Case<T> c{rows, cols, rate >= 0, {{11, 12}, std::max(rate, 0.f)}};
          const Naive<T> naive(c);
          c.forward();
          c.backward();
          expect_close(c.y, naive.y, 100 * kEpsilon<T>);
          expect_close(c.h, naive.h, 2 * kEpsilon<T>);
          expect_close(c.dx, naive.dx, 400 * kEpsilon<T>);
          if (c.with_sublayer) expect_close(c.dsublayer, naive.dsublayer, 400 * kEpsilon<T>);
          expect_close(c.dgamma, naive.dgamma, 100 * kEpsilon<T>);
          expect_close(c.dbeta, naive.dbeta, 100 * kEpsilon<T>);
        }
      }
    }
  });
}

/// Sums, differences and squares of such rows overflow; their size cancels.
TYPED_TEST(LayerNormKernel, RowsOfTheLargestNumbersAreNormalised) {
  using T = TypeParam;
  constexpr T kMost = std::numeric_limits<T>::max();
  for_every_simd_level([] {
    for (const Index cols : {2, 17, 130}) {
      for (const T size : {kMost / 4, std::sqrt(kMost)}) {
        Case<T> small{7, cols, false, {}};
        small.epsilon = T(0);
        for (Index j = 0; j < cols; ++j) small.x(3, j) = j % 2 == 0 ? T(4) : T(-4);  // times size: +-kMost
        Case<T> large = small;
        for (T& v : large.x.values()) v *= size;
        small.forward();
        large.forward();
        expect_close(large.y, small.y, 100 * kEpsilon<T>);
        for (Index i = 0; i < 7; ++i) {
          EXPECT_NEAR(large.mean.data()[i] / size, small.mean.data()[i], 32 * kEpsilon<T>);
          EXPECT_NEAR(large.rstd.data()[i] * size, small.rstd.data()[i], 1e-4 * small.rstd.data()[i]);
        }
      }
    }
  });
}

TYPED_TEST(LayerNormKernel, RowsOfEqualNumbersHoweverLargeAreBeta) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : {2, 17, 130}) {
      Case<T> c{2, cols, false, {}};
      c.x.fill(std::numeric_limits<T>::max());
      c.h = c.x;
      c.forward();
      for (Index i = 0; i < c.y.size(); ++i) EXPECT_EQ(c.y.data()[i], c.beta.data()[i % cols]);
      c.backward();
      for (const T v : c.dx.values()) EXPECT_TRUE(std::isfinite(v));
    }
  });
}

TYPED_TEST(LayerNormKernel, ResidualAddIsTheSumAlone) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (const Index cols : {1, 17, 128}) {
      const Case<T> c{70, cols, true, {{1, 2}, 0.5f}};
      Tensor<T> h(c.x.shape());
      kernels::residual_add(c.problem(), h.data());
      expect_close(h, Naive<T>(c).h, 2 * kEpsilon<T>);
    }
  });
}

TYPED_TEST(LayerNormKernel, ResultsMayBeWrittenOverTheSublayer) {
  using T = TypeParam;
  for_every_simd_level([] {
    Case<T> apart{70, 33, true, {{1, 2}, 0.5f}};
    Case<T> sum = apart, y = apart;
    apart.forward();
    kernels::add_norm(sum.problem(), sum.sublayer.data(), sum.y.data(), sum.mean.data(), sum.rstd.data());
    EXPECT_TRUE(same_bits(sum.y, apart.y));
    EXPECT_TRUE(same_bits(sum.sublayer, apart.h));
    kernels::add_norm<T>(y.problem(), nullptr, y.sublayer.data(), y.mean.data(), y.rstd.data());
    EXPECT_TRUE(same_bits(y.sublayer, apart.y));
    EXPECT_TRUE(same_bits(y.mean, apart.mean) && same_bits(y.rstd, apart.rstd));
  });
}

TYPED_TEST(LayerNormKernel, BackwardFromYIsThatFromTheSum) {
  using T = TypeParam;
  for_every_simd_level([] {
    Case<T> from_sum{70, 33, true, {{1, 2}, 0.2f}};
    for (Index j = 0; j < 33; ++j) from_sum.gamma.data()[j] += from_sum.gamma.data()[j] < 0 ? T(-0.2) : T(0.2);
    ASSERT_TRUE(kernels::norm_is_invertible(from_sum.gamma.data(), from_sum.beta.data(), from_sum.cols));
    from_sum.forward();
    Case<T> from_y = from_sum;
    from_sum.backward();
    kernels::add_norm_backward<T>(from_y.problem(), {.rstd = from_y.rstd.data(), .y = from_y.y.data()},
                                  from_y.dy.data(), {from_y.dx.data()}, {from_y.dsublayer.data()}, from_y.dgamma.data(),
                                  from_y.dbeta.data());
    expect_close(from_y.dx, from_sum.dx, 400 * kEpsilon<T>);
    expect_close(from_y.dsublayer, from_sum.dsublayer, 400 * kEpsilon<T>);
    expect_close(from_y.dgamma, from_sum.dgamma, 400 * kEpsilon<T>);
    EXPECT_TRUE(same_bits(from_y.dbeta, from_sum.dbeta));
  });
}

TYPED_TEST(LayerNormKernel, GainsNearZeroCannotBeInverted) {
  using T = TypeParam;
  const T zero[] = {0};
  for (const T gamma : {T(0), T(1e-4), T(-1e-4), T(1e4), std::numeric_limits<T>::quiet_NaN()}) {
    EXPECT_FALSE(kernels::norm_is_invertible(&gamma, zero, 1)) << gamma;
  }
  const T gamma = T(-0.5), far = 9, near = 7;
  EXPECT_FALSE(kernels::norm_is_invertible(&gamma, &far, 1));
  EXPECT_TRUE(kernels::norm_is_invertible(&gamma, &near, 1));
}

TYPED_TEST(LayerNormKernel, BackwardWritesWhereItNeedNotAdd) {
  using T = TypeParam;
  for_every_simd_level([] {
    Case<T> added{20, 33, true, {{1, 2}, 0.2f}};
    added.forward();
    added.dx.fill(T(0));
    added.dsublayer.fill(T(0));
    Case<T> written = added;
    added.backward();
    written.dx.fill(T(7));
    written.dsublayer.fill(T(7));
    kernels::add_norm_backward<T>(written.problem(), {written.h.data(), written.mean.data(), written.rstd.data()},
                                  written.dy.data(), {written.dx.data(), false}, {written.dsublayer.data(), false},
                                  nullptr, nullptr);
    for (Index i = 0; i < added.dx.size(); ++i) {  // 0 + -0 is 0, which equals -0
      EXPECT_EQ(written.dx.data()[i], added.dx.data()[i]);
      EXPECT_EQ(written.dsublayer.data()[i], added.dsublayer.data()[i]);
    }
  });
}

TYPED_TEST(LayerNormKernel, BackwardLeavesOutWhatIsNotWanted) {
  using T = TypeParam;
  Case<T> all{20, 33, true, {{1, 2}, 0.2f}};
  all.forward();
  Case<T> some = all;
  all.backward();
  kernels::add_norm_backward<T>(some.problem(), {some.h.data(), some.mean.data(), some.rstd.data()}, some.dy.data(), {},
                                {some.dsublayer.data()}, nullptr, some.dbeta.data());
  EXPECT_TRUE(same_bits(some.dsublayer, all.dsublayer));
  EXPECT_TRUE(same_bits(some.dbeta, all.dbeta));
  kernels::add_norm_backward<T>(some.problem(), {some.h.data(), some.mean.data(), some.rstd.data()}, some.dy.data(),
                                {some.dx.data()}, {}, some.dgamma.data(), nullptr);
  EXPECT_TRUE(same_bits(some.dx, all.dx));
  EXPECT_TRUE(same_bits(some.dgamma, all.dgamma));
}

TYPED_TEST(LayerNormKernel, VarianceOfNearlyEqualNumbersDoesNotCancel) {
  using T = TypeParam;
  for_every_simd_level([] {
    Case<T> c{1, 64, false, {}};
    c.epsilon = 0;
    for (Index j = 0; j < 64; ++j) {
      c.x(0, j) = T(1000) + (j % 2 == 0 ? T(0.25) : T(-0.25));
      c.gamma.data()[j] = 1;
      c.beta.data()[j] = 0;
    }
    c.forward();
    for (Index j = 0; j < 64; ++j) EXPECT_NEAR(static_cast<double>(c.y(0, j)), j % 2 == 0 ? 1 : -1, 1e-6);
  });
}

TYPED_TEST(LayerNormKernel, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  Case<T> c{300, 70, true, {{1, 2}, 0.1f}};
  const auto compute = [&](auto member) {
    return [&c, member] {
      Case<T> again = c;
      again.forward();
      again.backward();
      return again.*member;
    };
  };
  expect_same_bits_on_any_threads(compute(&Case<T>::y));
  expect_same_bits_on_any_threads(compute(&Case<T>::dx));
  expect_same_bits_on_any_threads(compute(&Case<T>::dgamma));
  expect_same_bits_on_any_threads(compute(&Case<T>::dbeta));
}

}  // namespace
