/// \file
/// Vector functions against the standard library in higher precision, at each instruction set and lane count.
#include "rapt/kernels/simd.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt_test::for_every_simd_level;
using rapt_test::kEpsilon;
namespace simd = rapt::simd;

struct Exp {
  template <class T, class V>
  [[gnu::always_inline]] static void apply(V& v) {
    simd::exp_in_place<T>(v);
  }
};
struct Tanh {
  template <class T, class V>
  [[gnu::always_inline]] static void apply(V& v) {
    simd::tanh_in_place<T>(v);
  }
};
struct OneMinusExp {
  template <class T, class V>
  [[gnu::always_inline]] static void apply(V& v) {
    V e = v;
    simd::exp_of_negative_in_place<T>(e, v);
  }
};
struct ExpOfNegative {
  template <class T, class V>
  [[gnu::always_inline]] static void apply(V& v) {
    V unused;
    simd::exp_of_negative_in_place<T>(v, unused);
  }
};
struct Log1p {
  template <class T, class V>
  [[gnu::always_inline]] static void apply(V& v) {
    simd::log1p_in_place<T>(v);
  }
};
struct Erf {
  template <class T, class V>
  [[gnu::always_inline]] static void apply(V& v) {
    V gauss;
    simd::erf_in_place<T>(v, gauss);
  }
};
struct Gauss {
  template <class T, class V>
  [[gnu::always_inline]] static void apply(V& v) {
    V x = v;
    simd::erf_in_place<T>(x, v);
  }
};

/// Calls check(y) with y = f(x) computed with 1, 2, 4, ... lanes up to the whole register of each instruction set.
template <class Function, class T, class Check>
void for_every_lane_count(const std::vector<T>& x, const Check& check) {
  ASSERT_EQ(x.size() % 16, 0u);
  for_every_simd_level([&] {
    std::vector<std::vector<T>> results;
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      using Isa = decltype(isa);
      const auto compute = [&]<int kCount>(std::integral_constant<int, kCount>) __attribute__((always_inline)) {
        if constexpr (kCount * static_cast<int>(sizeof(T)) <= Isa::kBytes) {
          results.emplace_back(x.size());
          for (std::size_t i = 0; i < x.size(); i += kCount) {
            simd::Vector<T, kCount> v;
            simd::load(v, x.data() + i);
            Function::template apply<T>(v);
            simd::store(results.back().data() + i, v);
          }
        }
      };
      compute(std::integral_constant<int, 1>{});
      compute(std::integral_constant<int, 2>{});
      compute(std::integral_constant<int, 4>{});
      compute(std::integral_constant<int, 8>{});
      compute(std::integral_constant<int, 16>{});
    });
    EXPECT_GE(results.size(), 2u);
    for (std::size_t r = 0; r < results.size(); ++r) {
      const testing::ScopedTrace trace(__FILE__, __LINE__, std::to_string(1 << r) + " lanes");
      check(results[r]);
    }
  });
}

/// Values from low to high, and all the special ones; a multiple of 16.
template <class T>
std::vector<T> grid(double low, double high) {
  std::vector<T> x;
  constexpr int kSteps = 20000;
  for (int i = 0; i <= kSteps; ++i) x.push_back(static_cast<T>(low + (high - low) * i / kSteps));
  using Limits = std::numeric_limits<T>;
  for (const T special : {T(0), Limits::min(), Limits::denorm_min(), Limits::epsilon(), Limits::max(),
                          Limits::infinity(), T(1), T(0.5), T(1e-3), T(20), T(88.5), T(89), T(709.7), T(710)}) {
    x.push_back(special);
    x.push_back(-special);
  }
  x.push_back(Limits::quiet_NaN());
  while (x.size() % 16 != 0) x.push_back(T(1));
  return x;
}

template <class T>
class Simd : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Simd, Scalars);

TYPED_TEST(Simd, ExpIsWithinTwoEpsilonEverywhere) {
  using T = TypeParam;
  for (const double range : {2.0, sizeof(T) == 4 ? 110.0 : 800.0}) {
    const auto x = grid<T>(-range, range);
    for_every_lane_count<Exp>(x, [&](const std::vector<T>& y) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        const long double exact = std::exp(static_cast<long double>(x[i]));
        if (std::isnan(x[i])) {
          ASSERT_TRUE(std::isnan(y[i]));
        } else if (exact < static_cast<long double>(std::numeric_limits<T>::min()) * (1 + 1e-5L)) {
          ASSERT_LE(y[i], std::numeric_limits<T>::min() * T(1.01)) << x[i];
          ASSERT_GE(y[i], T(0));
        } else if (exact > static_cast<long double>(std::numeric_limits<T>::max())) {
          ASSERT_EQ(y[i], std::numeric_limits<T>::infinity()) << x[i];
        } else {
          ASSERT_LE(std::abs(static_cast<long double>(y[i]) / exact - 1), 2 * kEpsilon<T>) << x[i];
        }
      }
    });
  }
}

TYPED_TEST(Simd, ExpOfSpecialValues) {
  using T = TypeParam;
  const T infinity = std::numeric_limits<T>::infinity();
  const T low = std::log(std::numeric_limits<T>::min()), high = std::log(std::numeric_limits<T>::max());
  std::vector<T> x(16, T(0));
  x[1] = -infinity, x[2] = infinity, x[3] = -T(0), x[4] = high, x[5] = std::nextafter(low, T(0));
  x[6] = low * T(1.01), x[7] = high * T(1.01);
  for_every_lane_count<Exp>(x, [&](const std::vector<T>& y) {
    EXPECT_EQ(y[0], T(1));
    EXPECT_EQ(y[1], T(0));
    EXPECT_EQ(y[2], infinity);
    EXPECT_EQ(y[3], T(1));
    EXPECT_GT(y[4], std::numeric_limits<T>::max() / 2);
    EXPECT_GT(y[5], T(0));
    EXPECT_EQ(y[6], T(0));
    EXPECT_EQ(y[7], infinity);
  });
}

template <class Function, class T, class Reference>
void expect_absolute(double range, double tolerance, const Reference& reference) {
  const auto x = grid<T>(-range, range);
  for_every_lane_count<Function>(x, [&](const std::vector<T>& y) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i])) {
        ASSERT_TRUE(std::isnan(y[i]));
      } else {
        ASSERT_LE(std::abs(static_cast<long double>(y[i]) - reference(static_cast<long double>(x[i]))), tolerance)
            << x[i];
      }
    }
  });
}

TYPED_TEST(Simd, TanhIsWithinAFewEpsilonEverywhere) {
  for (const double range : {1.0, 25.0}) {
    expect_absolute<Tanh, TypeParam>(range, 2 * kEpsilon<TypeParam>, [](long double x) { return std::tanh(x); });
  }
}

/// Relative errors of all x in low .. high, also near 0.
template <class Function, class T, class Reference>
void expect_relative(double low, double high, const Reference& reference) {
  for (const double nearer : {1.0, 1e-3, 1e-12, 1e-30}) {
    std::vector<T> x;
    for (int i = 0; i < 16000; ++i) x.push_back(static_cast<T>(nearer * (low + (high - low) * i / 15999)));
    for_every_lane_count<Function>(x, [&](const std::vector<T>& y) {
      for (std::size_t i = 0; i < x.size(); ++i) {
        const long double exact = reference(static_cast<long double>(x[i]));
        ASSERT_LE(std::abs(static_cast<long double>(y[i]) - exact), 4 * kEpsilon<T> * std::abs(exact)) << x[i];
      }
    });
  }
}

TYPED_TEST(Simd, TanhOneMinusExpAndLog1pKeepDigitsNearZero) {
  using T = TypeParam;
  expect_relative<Tanh, T>(-25, 25, [](long double x) { return std::tanh(x); });
  expect_relative<OneMinusExp, T>(-50, 0, [](long double x) { return -std::expm1(x); });
  expect_relative<ExpOfNegative, T>(-80, 0, [](long double x) { return std::exp(x); });
  expect_relative<Log1p, T>(0, 1, [](long double x) { return std::log1p(x); });
}

TYPED_TEST(Simd, ErfIsWithinItsDocumentedErrorEverywhere) {
  const double tolerance = sizeof(TypeParam) == 4 ? 1.5e-7 + 3 * kEpsilon<float> : 2 * kEpsilon<double>;
  for (const double range : {1.0, 7.0}) {
    expect_absolute<Erf, TypeParam>(range, tolerance, [](long double x) { return std::erf(x); });
  }
}

TYPED_TEST(Simd, ErfGivesTheGaussCurve) {
  expect_absolute<Gauss, TypeParam>(3.0, 4 * kEpsilon<TypeParam>, [](long double x) { return std::exp(-x * x); });
}

TYPED_TEST(Simd, TanhAndErfOfInfinityAreOne) {
  using T = TypeParam;
  std::vector<T> x(16, T(0));
  x[1] = std::numeric_limits<T>::infinity(), x[2] = -x[1];
  const auto check = [&](const std::vector<T>& y) {
    EXPECT_NEAR(y[0], 0, 1e-8);
    EXPECT_EQ(y[1], T(1));
    EXPECT_EQ(y[2], T(-1));
  };
  for_every_lane_count<Tanh>(x, check);
  for_every_lane_count<Erf>(x, check);
}

TYPED_TEST(Simd, LanesAreSummedAndTheLargestFound) {
  using T = TypeParam;
  for_every_simd_level([] {
    simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      using Isa = decltype(isa);
      const auto check = [&]<int kCount>(std::integral_constant<int, kCount>) __attribute__((always_inline)) {
        if constexpr (kCount * static_cast<int>(sizeof(T)) <= Isa::kBytes) {
          T values[16] = {};
          for (int place = 0; place < kCount; ++place) {  // the largest at every place
            T sum = 0;
            for (int i = 0; i < kCount; ++i) sum += values[i] = i == place ? T(100) : -T(i) - T(1);
            simd::Vector<T, kCount> v;
            simd::load(v, values);
            EXPECT_EQ(simd::sum_lanes<kCount>(v), sum) << kCount;
            EXPECT_EQ(simd::max_lanes<kCount>(v), T(100)) << kCount << " at " << place;
          }
        }
      };
      check(std::integral_constant<int, 1>{});
      check(std::integral_constant<int, 2>{});
      check(std::integral_constant<int, 4>{});
      check(std::integral_constant<int, 8>{});
      check(std::integral_constant<int, 16>{});
    });
  });
}

TYPED_TEST(Simd, SquaresTurnOverTheirDiagonal) {
  using T = TypeParam;
  for_every_simd_level([] {
    rapt::simd::with_simd([&](auto isa) __attribute__((always_inline)) {
      constexpr int kLanes = rapt::simd::kLanes<decltype(isa), T>;
      T values[kLanes][kLanes];
      rapt::simd::Native<decltype(isa), T> square[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        for (int j = 0; j < kLanes; ++j) values[i][j] = static_cast<T>(100 * i + j);
        rapt::simd::load(square[i], values[i]);
      }
      rapt::simd::transpose(square);
      for (int i = 0; i < kLanes; ++i) rapt::simd::store(values[i], square[i]);
      for (int i = 0; i < kLanes; ++i) {
        for (int j = 0; j < kLanes; ++j) EXPECT_EQ(values[i][j], static_cast<T>(100 * j + i));
      }
    });
  });
}

TYPED_TEST(Simd, ForLanesVisitsEachElementOnceInOrder) {
  using T = TypeParam;
  for_every_simd_level([] {
    for (Index count = 0; count < 70; ++count) {
      std::vector<int> visits(static_cast<std::size_t>(count));
      Index next = 0;
      int width = 0;
      simd::with_simd([&](auto isa) __attribute__((always_inline)) {
        width = simd::kLanes<decltype(isa), T>;
        simd::for_lanes<T>(
            isa, count, [&](auto lanes, Index i) __attribute__((always_inline)) {
              EXPECT_EQ(i, next);
              EXPECT_TRUE(lanes == width || lanes == 1);
              for (int k = 0; k < lanes; ++k) ++visits[static_cast<std::size_t>(i + k)];
              next = i + lanes;
            });
      });
      EXPECT_EQ(next, count);
      EXPECT_EQ(visits, std::vector<int>(static_cast<std::size_t>(count), 1));
    }
  });
}

TEST(SimdDispatch, RegistersHaveTheWidthOfTheLevel) {
  for_every_simd_level([] {
    int bytes = 0;
    simd::with_simd([&](auto isa) __attribute__((always_inline)) { bytes = decltype(isa)::kBytes; });
    const rapt::SimdLevel level = rapt::simd_level();
    EXPECT_EQ(bytes, level == rapt::SimdLevel::avx512 ? 64 : level == rapt::SimdLevel::avx2 ? 32 : 16);
  });
}

}  // namespace
