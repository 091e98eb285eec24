/// \file
/// Philox against the known answers of its authors' distribution (Random123, kat_vectors), and what is built on it.
#include "rapt/core/rng.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::RandomStream;
using rapt::Rng;
using Words = std::array<std::uint32_t, 4>;

TEST(Philox, GivesTheKnownAnswers) {
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(rapt::detail::philox({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(rapt::detail::philox({kOnes, kOnes, kOnes, kOnes}, 0xffffffffffffffff),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // The digits of pi: counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0.
  EXPECT_EQ(rapt::detail::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, PutsTheBlockLowAndTheStreamHighInTheCounter) {
  const RandomStream stream{.seed = 0x299f31d0a4093822, .stream = 0x0370734413198a2e};
  EXPECT_EQ(stream.block(0x85a308d3243f6a88), (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, EqualSeedsGiveEqualNumbersAndOthersDoNot) {
  Rng a(5), b(5), c(6);
  const auto x = a.bits();
  EXPECT_EQ(x, b.bits());
  EXPECT_NE(x, c.bits());
  EXPECT_NE(x, a.bits());
}

TEST(Rng, StreamsAreNeverGivenTwice) {
  Rng rng(5);
  const RandomStream first = rng.next_stream(), second = rng.next_stream();
  EXPECT_EQ(first.seed, 5u);
  EXPECT_NE(first.stream, second.stream);
  EXPECT_NE(first.block(0), second.block(0));
}

TEST(Rng, RestoredStateContinues) {
  Rng rng(7);
  (void)rng.bits();
  std::vector<float> skipped(10);
  rng.fill_normal(std::span(skipped), 0, 1);
  const Rng::State state = rng.state();
  Rng copy = rng, restored(state);
  EXPECT_EQ(restored.state(), state);
  for (int i = 0; i < 10; ++i) {
    const auto x = rng.bits();
    EXPECT_EQ(copy.bits(), x);
    EXPECT_EQ(restored.bits(), x);
  }
}

TEST(Rng, UniformHasItsMeanVarianceAndRange) {
  std::vector<double> x(200000);
  Rng(1).fill_uniform(std::span(x), -1, 3);
  const auto n = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double variance = 0;
  for (const double v : x) variance += (v - mean) * (v - mean) / n;
  EXPECT_NEAR(mean, 1.0, 5 * std::sqrt(16.0 / 12 / n));
  EXPECT_NEAR(variance, 16.0 / 12, 0.02);
  EXPECT_GE(*std::min_element(x.begin(), x.end()), -1.0);
  EXPECT_LT(*std::max_element(x.begin(), x.end()), 3.0);
  Rng rng(2);
  double sum = 0;
  for (int i = 0; i < 20000; ++i) {
    const double u = rng.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    sum += u / 20000;
  }
  EXPECT_NEAR(sum, 0.5, 5 * std::sqrt(1.0 / 12 / 20000));
}

TEST(Rng, UniformFloatsStayBelowTheUpperEnd) {
  std::vector<float> x(100000);
  const float high = std::nextafter(1.f, 2.f);  // so narrow that rounding would reach the end half of the time
  Rng(1).fill_uniform(std::span(x), 1, static_cast<double>(high));
  EXPECT_LT(*std::max_element(x.begin(), x.end()), high);
}

TEST(Rng, NormalHasItsMoments) {
  std::vector<double> x(200000);
  Rng(3).fill_normal(std::span(x), 2, 0.5);
  const auto n = static_cast<double>(x.size());
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, lag = 0, previous = 0;
  for (const double v : x) {
    const double z = (v - 2) / 0.5;
    ASSERT_TRUE(std::isfinite(z));
    m1 += z / n;
    m2 += z * z / n;
    m3 += z * z * z / n;
    m4 += z * z * z * z / n;
    lag += z * previous / n;
    previous = z;
  }
  EXPECT_NEAR(m1, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(m2, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(m3, 0, 5 * std::sqrt(15 / n));
  EXPECT_NEAR(m4, 3, 5 * std::sqrt(96 / n));
  EXPECT_NEAR(lag, 0, 5 / std::sqrt(n));
}

TEST(Rng, BelowIsUniformOverItsBound) {
  Rng rng(4);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) {
    const Index x = rng.below(7);
    ASSERT_TRUE(x >= 0 && x < 7);
    ++counts[static_cast<std::size_t>(x)];
  }
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - 1e4) * (count - 1e4) / 1e4;
  EXPECT_LT(chi_square, 22.5);  // 6 degrees of freedom: one in a thousand
  EXPECT_EQ(rng.below(1), 0);
  EXPECT_GE(rng.below(std::numeric_limits<Index>::max()), 0);
}

TEST(Rng, BelowNeedsAPositiveBound) {
  Rng rng;
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { (void)rng.below(0); }),
            "[rng] below: the bound must be positive: 0");
  EXPECT_THROW((void)rng.below(-3), rapt::ValueError);
}

TEST(Rng, ShuffleIsAPermutationAndReachesAllOfThem) {
  std::vector<int> x(1000);
  std::iota(x.begin(), x.end(), 0);
  Rng(5).shuffle(std::span(x));
  EXPECT_FALSE(std::is_sorted(x.begin(), x.end()));
  std::vector<int> sorted = x;
  std::sort(sorted.begin(), sorted.end());
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(sorted[static_cast<std::size_t>(i)], i);

  std::array<int, 6> counts{};
  Rng rng(6);
  for (int i = 0; i < 6000; ++i) {
    std::vector<std::size_t> three{0, 1, 2};
    rng.shuffle(std::span(three));
    ++counts[three[0] * 2 + (three[1] > three[2] ? 1 : 0)];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 5 * std::sqrt(1000.0));
  std::vector<int> none;
  EXPECT_NO_THROW(rng.shuffle(std::span(none)));
}

}  // namespace
