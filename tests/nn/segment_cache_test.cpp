/// \file
/// What a stack keeps of earlier segments: how rows are joined, which are kept, and how hypotheses are followed.
#include "rapt/nn/segment_cache.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::splits_of;

[[nodiscard]] Tensor<float> numbered(Index rows) {
  Tensor<float> tensor(Shape{rows, 1});
  for (Index i = 0; i < rows; ++i) tensor(i, 0) = static_cast<float>(i);
  return tensor;
}
[[nodiscard]] std::vector<float> numbers_of(const Tensor<float>& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

TEST(SegmentCache, CachedRowsStandBeforeTheSegments) {
  const rapt::JoinedRows joined(splits_of({2, 0}), splits_of({1, 3}));
  EXPECT_EQ(joined.splits, splits_of({3, 3}));
  EXPECT_EQ(joined.cached, (std::vector<Index>{0, 1}));
  EXPECT_EQ(joined.segment, (std::vector<Index>{2, 3, 4, 5}));
}

TEST(SegmentCache, TheLastRowsOfEachSequenceAreKept) {
  const auto splits = splits_of({3, 1, 4}), kept = rapt::detail::last_rows(splits, 2);
  EXPECT_EQ(kept, splits_of({2, 1, 2}));
  EXPECT_EQ(numbers_of(rapt::detail::last_rows(numbered(8), splits, kept)), (std::vector<float>{1, 2, 3, 6, 7}));
}

TEST(SegmentCache, FollowsHypotheses) {
  rapt::SegmentCache<float> cache;
  EXPECT_TRUE(cache.empty());
  cache = {{numbered(3), numbered(3)}, splits_of({1, 2})};
  EXPECT_EQ(cache.rows(), 2);
  cache.select(std::vector<Index>{1, 1, 0});
  EXPECT_EQ(cache.row_splits, splits_of({2, 2, 1}));
  EXPECT_EQ(numbers_of(cache.layers[1]), (std::vector<float>{1, 2, 1, 2, 0}));
  rapt_test::expect_errors(
      {{"select", [&] { cache.select(std::vector<Index>{3}); }, {"[segment_cache] sequence 3 of 3"}}});
}

}  // namespace
