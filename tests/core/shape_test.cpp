/// \file
/// Shapes: the matrix that each one also is, and what is refused.
#include "rapt/core/shape.hpp"

#include <gtest/gtest.h>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::ShapeError;
using rapt_test::error_text;

constexpr Index kHuge = std::numeric_limits<Index>::max();

TEST(Shape, IsAMatrixOfLastSizeColumns) {
  const Shape s{2, 3, 4, 5};
  EXPECT_EQ(s.rank(), 4);
  EXPECT_EQ(s[0], 2);
  EXPECT_EQ(s[3], 5);
  EXPECT_EQ(s.rows(), 24);
  EXPECT_EQ(s.cols(), 5);
  EXPECT_EQ(s.size(), 120);
}

TEST(Shape, OneDimensionIsARow) {
  EXPECT_EQ(Shape{7}.rows(), 1);
  EXPECT_EQ(Shape{7}.cols(), 7);
  EXPECT_EQ(Shape{1}.size(), 1);
}

TEST(Shape, EmptyHasNoElements) {
  EXPECT_EQ(Shape{}.rank(), 0);
  EXPECT_EQ(Shape{}.size(), 0);
  EXPECT_EQ(Shape{}.rows(), 0);
  EXPECT_EQ(Shape{}.cols(), 0);
  EXPECT_EQ((Shape{0, 5}.size()), 0);
  EXPECT_EQ((Shape{5, 0}.rows()), 5);
}

TEST(Shape, ComparesSizesAndRank) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2}), (Shape{2, 0}));
  EXPECT_NE((Shape{6}), (Shape{2, 3}));
}

TEST(Shape, GrowsByPushBack) {
  Shape s;
  for (const Index size : {2, 3, 4, 5}) s.push_back(size);
  EXPECT_EQ(s, (Shape{2, 3, 4, 5}));
}

TEST(Shape, RefusesMoreThanFourSizes) {
  EXPECT_EQ(error_text<ShapeError>([] { Shape{1, 1, 1, 1, 1}; }), "[shape] at most 4 dimensions");
}

TEST(Shape, RefusesNegativeSizes) {
  EXPECT_EQ(error_text<ShapeError>([] { Shape{2, -3}; }), "[shape] sizes must not be negative: -3");
}

TEST(Shape, RefusesMoreElementsThanAnIndexCounts) {
  EXPECT_THROW(Shape{kHuge}, ShapeError);
  EXPECT_THROW((Shape{kHuge / 16, 2}), ShapeError);
  EXPECT_THROW((Shape{Index{1} << 31, Index{1} << 31}), ShapeError);
  EXPECT_EQ((Shape{Index{1} << 29, Index{1} << 29}).size(), Index{1} << 58);
  EXPECT_EQ(error_text<ShapeError>([] {
              Shape{Index{1} << 40, Index{1} << 40};
            }),
            "[shape] too many elements: 1099511627776 times 1099511627776");
}

TEST(Shape, AZeroAmongLargeSizesDoesNotOverflow) {
  EXPECT_EQ((Shape{kHuge / 16, 0, kHuge / 16, kHuge / 16}).size(), 0);
  EXPECT_EQ((Shape{0, kHuge / 16, kHuge / 16, kHuge / 16}).size(), 0);
}

TEST(Shape, PrintsAsAList) {
  EXPECT_EQ(to_string(Shape{2, 3}), "[2, 3]");
  EXPECT_EQ(to_string(Shape{7}), "[7]");
  EXPECT_EQ(to_string(Shape{}), "[]");
}

}  // namespace
