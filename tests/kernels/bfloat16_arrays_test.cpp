/// \file
/// Arrays of bfloat16 numbers against plain loops.
#include "rapt/kernels/bfloat16_arrays.hpp"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
namespace kernels = rapt::kernels;
using kernels::Bfloat16Bits;

Bfloat16Bits rounded(float x) { return std::bit_cast<Bfloat16Bits>(Eigen::bfloat16(x)); }
float widened(Bfloat16Bits bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

/// Random numbers of many magnitudes, ties, zeros of both signs, subnormal numbers and infinities.
Tensor<float> numbers(Index count, std::uint64_t seed) {
  Tensor<float> x = rapt_test::random_tensor<float>(Shape{count}, seed);
  const float special[] = {0.f,    -0.f,    1.00390625f, 1.01171875f,
                           1e-40f, -1e-41f, 3.39e38f,    std::numeric_limits<float>::infinity()};
  for (Index i = 0; i < count; ++i) {
    float& value = x.data()[i];
    value =
        i % 5 == 4 ? special[static_cast<std::size_t>(i / 5 % 8)] : std::ldexp(value, static_cast<int>(i % 40) - 20);
  }
  return x;
}

const Index kSizes[] = {0, 1, 7, 16, 33, 1000, 40001};

/// check(a, b, count) for numbers of many sizes, at every instruction set and numbers of threads.
template <class Check>
void for_every_size(const Check& check) {
  rapt_test::for_every_simd_level([&] {
    for (const Index count : kSizes) check(numbers(count, 1), numbers(count, 2), count);
  });
}

TEST(Bfloat16Arrays, NumbersAreRoundedToTheNearest) {
  for_every_size([](const Tensor<float>& a, const Tensor<float>&, Index count) {
    Tensor<float> x = a, back(Shape{count});
    std::vector<Bfloat16Bits> bits(static_cast<std::size_t>(count));
    kernels::round_to_bfloat16(x.data(), count);
    kernels::to_bfloat16(a.data(), bits.data(), count);
    kernels::from_bfloat16(bits.data(), back.data(), count);
    for (Index i = 0; i < count; ++i) {
      ASSERT_EQ(bits[static_cast<std::size_t>(i)], rounded(a.data()[i])) << a.data()[i];
      ASSERT_EQ(std::bit_cast<std::uint32_t>(x.data()[i]), std::uint32_t{rounded(a.data()[i])} << 16);
    }
    EXPECT_TRUE(rapt_test::same_bits(x, back));
  });
}

TEST(Bfloat16Arrays, SumsAreRounded) {
  for_every_size([](const Tensor<float>& a, const Tensor<float>& b, Index count) {
    Tensor<float> sum = a;
    kernels::add_rounded(sum.data(), b.data(), count);
    std::vector<Bfloat16Bits> x(static_cast<std::size_t>(count)), y(x.size());
    kernels::to_bfloat16(a.data(), x.data(), count);
    kernels::to_bfloat16(b.data(), y.data(), count);
    std::vector<Bfloat16Bits> narrow = x;
    kernels::add_rounded(narrow.data(), y.data(), count);
    for (Index i = 0; i < count; ++i) {
      const auto k = static_cast<std::size_t>(i);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(sum.data()[i]), std::uint32_t{rounded(a.data()[i] + b.data()[i])} << 16);
      ASSERT_EQ(narrow[k], rounded(widened(x[k]) + widened(y[k])));
    }
  });
}

TEST(Bfloat16Arrays, NanStaysNan) {
  // The mantissa's bits all lie in the half that is dropped.
  std::vector<float> x(20, std::bit_cast<float>(0x7f800001u)), back(20);
  std::vector<Bfloat16Bits> bits(20);
  kernels::to_bfloat16(x.data(), bits.data(), 20);
  kernels::from_bfloat16(bits.data(), back.data(), 20);
  kernels::round_to_bfloat16(x.data(), 20);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_TRUE(std::isnan(back[i]) && std::isnan(x[i]));
}

}  // namespace
