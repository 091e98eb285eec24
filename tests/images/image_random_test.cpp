/// \file
/// The random streams of image training: no two uses, epochs or generators share one.
#include "rapt/images/image_random.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::detail::image_stream;
using rapt::detail::ImageRandomUse;

constexpr Index kLastEpoch = (Index{1} << 28) - 1;

TEST(ImageStream, NoTwoUsesAndEpochsShareStreams) {
  std::set<std::uint64_t> first;
  for (const auto use : {ImageRandomUse::order, ImageRandomUse::augmentation, ImageRandomUse::mix}) {
    for (const Index epoch : {Index{0}, Index{1}, Index{2}, kLastEpoch}) {
      const rapt::RandomStream stream = image_stream(7, use, epoch);
      EXPECT_EQ(stream.seed, 7u);
      EXPECT_EQ(stream.stream << 32, 0u) << "2^32 streams from here on belong to this use and epoch";
      EXPECT_TRUE(first.insert(stream.stream).second);
    }
  }
  rapt::Rng rng(7);  // hands out the streams 0, 1, 2, ...
  EXPECT_LT(rng.next_stream().stream, *first.begin());
}

TEST(ImageStream, EpochsAreChecked) {
  const auto text = [](Index epoch) {
    return rapt_test::error_text<rapt::ValueError>([&] { (void)image_stream(1, ImageRandomUse::mix, epoch); });
  };
  EXPECT_EQ(text(-1), "[image_random] epochs are 0 to 268435455: -1");
  EXPECT_EQ(text(kLastEpoch + 1), "[image_random] epochs are 0 to 268435455: 268435456");
}

TEST(UnitOf, IsInZeroToOne) {
  EXPECT_EQ(rapt::detail::unit_of(0), 0.0);
  EXPECT_EQ(rapt::detail::unit_of(1u << 31), 0.5);
  EXPECT_LT(rapt::detail::unit_of(~std::uint32_t{0}), 1.0);
}

}  // namespace
