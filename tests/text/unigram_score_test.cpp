/// \file
/// Scores as the package tokenizers (0.23) reads them, which its to_str writes again.
#include "rapt/text/unigram_score.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "rapt/core/rng.hpp"

namespace {

using rapt::detail::score_as_read;

TEST(UnigramScore, IsWhatTheOtherReaderMakesOfIt) {
  EXPECT_EQ(score_as_read(-3.6735759354323196), -3.67357593543232);
  EXPECT_EQ(score_as_read(-7.1419723600500244), -7.141972360050024);
  EXPECT_EQ(score_as_read(-7.4150401433723765), -7.415040143372376);
  EXPECT_EQ(score_as_read(-8.478885888288715), -8.478885888288715);
  for (const double same : {0.0, -0.0, -10.0, 0.5, -1e-5, 3e21, 1e300, -4.9e-324}) {
    EXPECT_EQ(score_as_read(same), same);
    EXPECT_EQ(std::signbit(score_as_read(same)), std::signbit(same));
  }
}

TEST(UnigramScore, IsReadAgainAsItWas) {
  rapt::Rng rng(1);
  int changed = 0;
  for (int i = 0; i < 10000; ++i) {
    const double written = -20 * rng.uniform(), read = score_as_read(written);
    EXPECT_EQ(score_as_read(read), read) << written;
    changed += read == written ? 0 : 1;
  }
  EXPECT_GT(changed, 1000);
}

}  // namespace
