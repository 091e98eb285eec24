/// \file
/// Tensors as values, views as looks at somebody else's memory, and Eigen maps both ways without copying.
#include "rapt/core/tensor.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::RowMajorMatrix;
using rapt::Shape;
using rapt::ShapeError;
using rapt::Tensor;
using rapt::TensorView;
using rapt_test::error_text;

/// 0, 1, 2, ...
Tensor<float> counting(Shape shape) {
  Tensor<float> t(shape);
  std::iota(t.values().begin(), t.values().end(), 0.f);
  return t;
}

TEST(Tensor, DefaultIsEmpty) {
  const Tensor<float> t;
  EXPECT_TRUE(t.empty());
  EXPECT_EQ(t.data(), nullptr);
  EXPECT_EQ(t.shape(), Shape{});
  EXPECT_EQ(t.matrix().size(), 0);
}

TEST(Tensor, WithoutElementsTakesNoMemory) {
  const Tensor<float> t(Shape{0, 5});
  EXPECT_EQ(t.data(), nullptr);
  EXPECT_EQ(t.cols(), 5);
  const Tensor<float> copy = t;
  EXPECT_EQ(copy.shape(), t.shape());
}

TEST(Tensor, IsAlignedToCacheLines) {
  for (Index size = 1; size < 300; size += 7) {
    const Tensor<float> t(Shape{size});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.data()) % 64, 0u) << size;
  }
}

TEST(Tensor, FillsWithOneValueOrMany) {
  const Tensor<double> ones(Shape{2, 2}, 1.0);
  for (const double x : ones.values()) EXPECT_EQ(x, 1.0);
  const Tensor<int> many(Shape{2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(many(0, 1), 2);
  EXPECT_EQ(many(1, 0), 3);
  const Tensor<float> one(Shape{1}, {0});
  EXPECT_EQ(one(0, 0), 0.f);
}

TEST(Tensor, RefusesAnotherNumberOfValues) {
  EXPECT_EQ(error_text<ShapeError>([] {
              Tensor<float>(Shape{2, 2}, {1, 2, 3});
            }),
            "[tensor] 3 values for shape [2, 2]");
}

TEST(Tensor, CopiesAreDeep) {
  Tensor<float> a = counting(Shape{2, 3});
  Tensor<float> b = a;
  EXPECT_NE(a.data(), b.data());
  EXPECT_TRUE(rapt_test::same_bits(a, b));
  b(0, 0) = 9;
  EXPECT_EQ(a(0, 0), 0.f);
  a = b;
  EXPECT_EQ(a(0, 0), 9.f);
  EXPECT_NE(a.data(), b.data());
}

TEST(Tensor, MovesKeepTheMemoryAndEmptyTheSource) {
  Tensor<float> a = counting(Shape{2, 3});
  const float* data = a.data();
  Tensor<float> b = std::move(a);
  EXPECT_EQ(b.data(), data);
  EXPECT_TRUE(a.empty());  // NOLINT: what a moved-from tensor is, is documented by this test
  EXPECT_EQ(a.shape(), Shape{});
  a = std::move(b);
  EXPECT_EQ(a.data(), data);
}

TEST(Tensor, SelfAssignmentKeepsTheValues) {
  Tensor<float> a = counting(Shape{4});
  const Tensor<float>& same = a;
  a = same;
  EXPECT_EQ(a.values()[3], 3.f);
}

TEST(Tensor, GivesMemoryBack) {
  const std::size_t before = rapt::memory_stats().in_use;
  {
    Tensor<float> a(Shape{1000});
    Tensor<float> b = a;
    b = Tensor<float>(Shape{10});
    EXPECT_THROW(Tensor<float>(Shape{50}, {1.f}), ShapeError);
    EXPECT_GT(rapt::memory_stats().in_use, before);
  }
  EXPECT_EQ(rapt::memory_stats().in_use, before);
}

TEST(Tensor, ReshapesToEqualSizesOnly) {
  Tensor<float> a = counting(Shape{2, 6});
  const float* data = a.data();
  a.reshape(Shape{3, 4});
  EXPECT_EQ(a.data(), data);
  EXPECT_EQ(a(2, 3), 11.f);
  EXPECT_EQ(error_text<ShapeError>([&] { a.reshape(Shape{5}); }), "[reshape] from [3, 4] to [5]");
}

TEST(Tensor, ManyDimensionsAreRowsOfTheLast) {
  const Tensor<float> a = counting(Shape{2, 3, 4});
  EXPECT_EQ(a.rows(), 6);
  EXPECT_EQ(a(5, 3), 23.f);
  EXPECT_EQ(a.row(4)[1], 17.f);
}

TEST(Tensor, BecomesAnEigenMapOfTheSameMemory) {
  Tensor<float> a = counting(Shape{3, 4});
  EXPECT_EQ(a.matrix().data(), a.data());
  EXPECT_EQ(a.matrix()(2, 1), a(2, 1));
  a.matrix().row(1).setConstant(7);
  EXPECT_EQ(a(1, 3), 7.f);
  EXPECT_EQ(a(2, 0), 8.f);
  const Tensor<float>& reader = a;
  EXPECT_EQ(reader.matrix().sum(), a.matrix().sum());
}

TEST(TensorView, LooksAtATensorWithoutCopying) {
  Tensor<float> a = counting(Shape{3, 4});
  const TensorView<float> view = a;
  EXPECT_EQ(view.data(), a.data());
  EXPECT_EQ(view.stride(), 4);
  EXPECT_EQ(view.shape(), a.shape());
  view.row(1)[2] = 50;
  EXPECT_EQ(a(1, 2), 50.f);
  const TensorView<const float> reader = view;
  EXPECT_EQ(reader.data(), a.data());
  static_assert(!std::is_convertible_v<TensorView<const float>, TensorView<float>>);
  static_assert(!std::is_convertible_v<const Tensor<float>&, TensorView<float>>);
}

TEST(TensorView, SlicesColumns) {
  const Tensor<float> a = counting(Shape{3, 5});
  const auto slice = a.view().columns(1, 3);
  EXPECT_EQ(slice.shape(), (Shape{3, 3}));
  EXPECT_EQ(slice.stride(), 5);
  EXPECT_EQ(slice.row(2)[0], 11.f);
  EXPECT_EQ(slice.matrix()(2, 2), 13.f);
  EXPECT_EQ(slice.columns(1, 1).row(0)[0], 2.f);
  EXPECT_EQ(a.view().columns(5, 0).size(), 0);
  EXPECT_EQ(error_text<ShapeError>([&] { (void)a.view().columns(3, 3); }),
            "[columns] columns 3 .. 6 of a tensor of shape [3, 5]");
  EXPECT_THROW((void)a.view().columns(-1, 2), ShapeError);
  EXPECT_THROW((void)a.view().columns(2, -1), ShapeError);
}

TEST(TensorView, SlicesRows) {
  const Tensor<float> a = counting(Shape{4, 5});
  const auto slice = a.view().columns(1, 2).middle_rows(1, 2);
  EXPECT_EQ(slice.shape(), (Shape{2, 2}));
  EXPECT_EQ(slice.row(1)[1], 12.f);
  EXPECT_EQ(a.view().middle_rows(4, 0).size(), 0);
  EXPECT_EQ(error_text<ShapeError>([&] { (void)a.view().middle_rows(2, 3); }),
            "[middle_rows] rows 2 .. 5 of a tensor of shape [4, 5]");
  EXPECT_THROW((void)a.view().middle_rows(-1, 1), ShapeError);
}

TEST(TensorView, CopiesIntoATensorOfItsOwn) {
  const Tensor<float> a = counting(Shape{3, 5});
  const Tensor<float> slice(a.view().columns(3, 2));
  EXPECT_EQ(slice.shape(), (Shape{3, 2}));
  EXPECT_EQ(slice(2, 1), 14.f);
}

TEST(TensorView, LooksIntoEigenMatricesWithoutCopying) {
  RowMajorMatrix<float> m = RowMajorMatrix<float>::Random(3, 4);
  const TensorView<float> view = m;
  EXPECT_EQ(view.data(), m.data());
  EXPECT_EQ(view.shape(), (Shape{3, 4}));
  view.row(2)[3] = 5;
  EXPECT_EQ(m(2, 3), 5.f);

  const auto& constant = m;
  const TensorView<const float> reader = constant;
  EXPECT_EQ(reader.data(), m.data());
  static_assert(!std::is_constructible_v<TensorView<float>, const RowMajorMatrix<float>&>);

  auto block = m.block(1, 1, 2, 2);
  const TensorView<float> part = block;
  EXPECT_EQ(part.data(), &m(1, 1));
  EXPECT_EQ(part.stride(), 4);
  EXPECT_EQ(part.row(1)[1], m(2, 2));

  Eigen::RowVectorXf row(5);
  EXPECT_EQ((TensorView<float>(row).shape()), (Shape{1, 5}));
  EXPECT_EQ(TensorView(m).data(), m.data());  // deduces float
}

TEST(TensorView, RefusesEigenMemoryOfAnotherOrder) {
  static_assert(!std::is_constructible_v<TensorView<float>, Eigen::MatrixXf&>);
  std::vector<float> memory(12);
  Eigen::Map<RowMajorMatrix<float>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> every_second(
      memory.data(), 2, 3, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(6, 2));
  EXPECT_EQ(error_text<ShapeError>([&] { (void)TensorView<float>(every_second); }),
            "[tensor_view] rows must be contiguous: inner stride 2");
}

TEST(TensorView, OfAMapOfAViewIsTheSameView) {
  Tensor<float> a = counting(Shape{3, 5});
  auto map = a.view().columns(1, 3).matrix();
  const TensorView<float> back = map;
  EXPECT_EQ(back.data(), a.data() + 1);
  EXPECT_EQ(back.stride(), 5);
}

}  // namespace
