/// \file
/// The ops around patches: gradients, values, and errors that name what does not fit.
// covers: autograd/ops/assemble_tokens.hpp, autograd/ops/reshape.hpp, autograd/ops/resize_positions.hpp,
//   autograd/ops/unfold_patches.hpp, kernels/resize_grid.hpp
#include <gtest/gtest.h>

#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/assemble_tokens.hpp"
#include "rapt/autograd/ops/matmul.hpp"
#include "rapt/autograd/ops/reshape.hpp"
#include "rapt/autograd/ops/resize_positions.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::GridSize;
using rapt::Index;
using rapt::PatchGrid;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using Variable = rapt::Variable<double>;
using Variables = std::vector<Variable>;
using rapt_test::normal_tensor;

constexpr double kTolerance = 1e-6;

template <class F>
void expect_gradient(const F& f, const std::vector<Tensor<double>>& inputs) {
  EXPECT_LT(rapt::gradcheck(f, inputs).worst_relative_error, kTolerance);
  const auto twice = [&](const Variables& x) { return multiply(f(x), add(f(x), f(x))); };  // gradients add up
  EXPECT_LT(rapt::gradcheck(twice, inputs).worst_relative_error, kTolerance);
  rapt_test::expect_same_gradients_of_subsets(f, inputs);
}

TEST(UnfoldPatches, Gradient) {
  const std::vector<TokenId> some{5, 0, 3, 2, 2, 4};
  for (const auto& [grid, images] :
       {std::pair{PatchGrid{{1, 4, 4}, 2, 2}, 1}, {PatchGrid{{2, 4, 6}, 2, 3}, 3}, {PatchGrid{{1, 3, 2}, 3, 1}, 2}}) {
    const PatchGrid g = grid;
    expect_gradient([&](const Variables& x) { return unfold_patches(x[0], g); },
                    {normal_tensor<double>({images, grid.image.size()}, 1)});
  }
  const PatchGrid grid{{2, 6, 6}, 2, 3};
  expect_gradient([&](const Variables& x) { return unfold_patches(x[0], grid, some); },
                  {normal_tensor<double>({2, 72}, 2)});
}

TEST(UnfoldPatches, ImagesAndVariablesGiveTheSame) {
  const auto pixels = normal_tensor<double>({3, 72}, 3);
  const std::vector<TokenId> some{5, 0, 3};
  for (const auto& visible : {std::vector<TokenId>{}, some}) {
    const auto of_variable = unfold_patches(Variable(pixels), PatchGrid{{2, 6, 6}, 2, 3}, visible).value();
    const auto of_images = unfold_patches(rapt::ImageBatch<double>(pixels, {2, 6, 6}), 2, 3, visible).value();
    EXPECT_EQ(of_variable.shape(), (Shape{visible.empty() ? 18 : 3, 12}));
    EXPECT_TRUE(rapt_test::same_bits(of_variable, of_images));
  }
}

TEST(AssembleTokens, Gradient) {
  const auto patches = normal_tensor<double>({6, 5}, 4), positions = normal_tensor<double>({5, 5}, 5);
  const auto first = normal_tensor<double>({1, 1, 5}, 6), second = normal_tensor<double>({5}, 7);
  expect_gradient(
      [](const Variables& x) {
        const Variables extra{x[2], x[3]};
        return assemble_tokens(x[0], extra, x[1], 2);
      },
      {patches, positions, first, second});
  expect_gradient([](const Variables& x) { return assemble_tokens(x[0], Variables{x[1]}, Variable(), 3); },
                  {patches, first});
  expect_gradient([](const Variables& x) { return assemble_tokens(x[0], {}, x[1], 2); },
                  {normal_tensor<double>({10, 5}, 8), positions});
  const std::vector<TokenId> visible{3, 0, 1, 2, 2, 3};
  expect_gradient([&](const Variables& x) { return assemble_tokens(x[0], Variables{x[2]}, x[1], 2, visible); },
                  {patches, positions, first});
  // Positions that are constants, as MAE's, and a token that is given twice.
  expect_gradient(
      [&](const Variables& x) {
        return assemble_tokens(x[0], Variables{x[1], x[1]}, Variable(positions), 2);
      },
      {patches, second});
}

TEST(AssembleTokens, TheListNeedNotOutliveTheCall) {
  const auto patches = rapt_test::random_leaf<double>({2, 3}, 1), positions = rapt_test::random_leaf<double>({4, 3}, 2);
  const rapt::Recording scope;
  const auto y = [&] {
    const std::vector<TokenId> visible{3, 1};
    return assemble_tokens(patches, {}, positions, 2, visible);
  }();
  rapt::backward(rapt::sum(y));
  for (Index i = 0; i < 4; ++i) EXPECT_EQ(positions.grad()(i, 0), i % 2 == 1 ? 1.0 : 0.0);
}

TEST(AssembleTokens, SameBitsOnAnyNumberOfThreads) {
  const Index before = rapt::threads();
  std::vector<Tensor<float>> values;
  for (const Index threads : {1, 3}) {
    rapt::set_threads(threads);
    const auto pixels = rapt_test::random_leaf<float>({9, 3 * 32 * 32}, 1);
    const auto extra = rapt_test::random_leaf<float>({48}, 2), positions = rapt_test::random_leaf<float>({65, 48}, 3);
    const rapt::Recording scope;
    const auto patches = unfold_patches(pixels, PatchGrid{{3, 32, 32}, 4, 4});
    const std::vector<rapt::Variable<float>> tokens{extra};
    const auto y = assemble_tokens(patches, tokens, positions, 9);
    rapt::backward(rapt::sum(multiply(y, y)));
    for (const auto& tensor : {y.value(), pixels.grad(), extra.grad(), positions.grad()}) values.push_back(tensor);
  }
  rapt::set_threads(before);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(rapt_test::same_bits(values[i], values[i + 4])) << i;
}

TEST(Reshape, Gradient) {
  expect_gradient(
      [](const Variables& x) {
        return reshape(x[0], Shape{3, 8});
      },
      {normal_tensor<double>({2, 3, 2, 2}, 9)});
  expect_gradient(
      [](const Variables& x) {
        return matmul(reshape(x[0], Shape{2, 3}), reshape(x[0], Shape{3, 2}));
      },
      {normal_tensor<double>({6}, 10)});
}

TEST(Reshape, NobodyWritesOverWhatIsShared) {
  const rapt::Recording scope;
  const auto x = rapt_test::random_leaf<double>({2, 3}, 11);
  const Tensor<double> before = x.value();
  // A sum may write over an operand that nobody else holds; here the operand is x itself.
  const auto y = add(reshape(x, Shape{3, 2}), reshape(scale(x, 2.0), Shape{3, 2}));
  EXPECT_TRUE(rapt_test::same_bits(x.value(), before));
  EXPECT_NEAR(y.value().data()[4], 3 * before.data()[4], 1e-15);
  EXPECT_EQ(reshape(x, Shape{6}).value().data(), x.value().data());
}

TEST(ResizePositions, Gradient) {
  for (const auto& [from, to] : {std::pair{GridSize{3, 3}, GridSize{5, 2}},
                                 {GridSize{2, 4}, GridSize{1, 4}},
                                 {GridSize{1, 1}, GridSize{2, 3}},
                                 {GridSize{4, 3}, GridSize{4, 3}}}) {
    const GridSize a = from, b = to;
    for (const Index extras : {0, 2}) {
      expect_gradient([&](const Variables& x) { return resize_positions(x[0], extras, a, b); },
                      {normal_tensor<double>({extras + from.cells(), 3}, 12)});
    }
  }
}

TEST(ResizePositions, IsACubicConvolution) {
  // To the same size nothing changes, and a constant stays one.
  const Variable x(normal_tensor<double>({1 + 12, 3}, 13));
  const auto same = resize_positions(x, 1, {3, 4}, {3, 4}).value();
  for (Index i = 0; i < same.size(); ++i) EXPECT_NEAR(same.data()[i], x.value().data()[i], 1e-15);
  const Variable constant(Tensor<double>(Shape{6, 1}, 7.0));
  const auto still = resize_positions(constant, 0, {2, 3}, {5, 7}).value();
  for (const double v : still.values()) EXPECT_NEAR(v, 7, 1e-13);
  // What PyTorch makes of a single one among zeros, at twice the length.
  Tensor<double> one(Shape{8, 1}, 0.0);
  one(4, 0) = 1;
  const Tensor<double> expected(
      Shape{8}, {-0.03515625, -0.10546875, 0.26171875, 0.87890625, 0.87890625, 0.26171875, -0.10546875, -0.03515625});
  const auto across = resize_positions(Variable(one), 0, {1, 8}, {1, 16}).value();
  const auto down = resize_positions(Variable(one), 0, {8, 1}, {16, 1}).value();
  for (Index i = 0; i < 16; ++i) {
    const double wanted = i >= 5 && i < 13 ? expected.data()[i - 5] : 0.0;
    EXPECT_NEAR(across(i, 0), wanted, 1e-15) << i;
    EXPECT_NEAR(down(i, 0), wanted, 1e-15) << i;
  }
}

TEST(PatchOps, ErrorsNameTheValues) {
  const Variable pixels(Tensor<double>(Shape{2, 72}, 0.0)), patches(Tensor<double>(Shape{6, 5}, 0.0)),
      positions(Tensor<double>(Shape{5, 5}, 0.0)), narrow(Tensor<double>(Shape{4}, 0.0));
  const rapt::ImageBatch<double> images(pixels.value(), {2, 6, 6});
  const std::vector<TokenId> odd{0, 1, 2}, outside{0, 6}, negative{-1, 0};
  const PatchGrid grid{{2, 6, 6}, 2, 3};
  const auto unfold = [&](const PatchGrid& g, std::span<const TokenId> visible = {}) {
    return [&, g, visible] { std::ignore = unfold_patches(pixels, g, visible); };
  };
  rapt_test::expect_errors(
      {{"size", unfold({{2, 6, 6}, 4, 3}), {"6 x 6", "4 x 3"}},
       {"images", unfold({{1, 6, 6}, 2, 3}), {"1 x 6 x 6", "[2, 72]"}},
       {"count", unfold(grid, odd), {"3 visible", "2 images"}},
       {"outside", unfold(grid, outside), {"visible patch 6", "position 1", "have 6"}},
       {"negative", unfold(grid, negative), {"visible patch -1"}},
       {"batch", [&] { std::ignore = unfold_patches(images, 5, 3); }, {"6 x 6", "5 x 3"}},
       {"images", [&] { std::ignore = assemble_tokens(patches, {}, positions, 4); }, {"[6, 5]", "4 images"}},
       {"positions", [&] { std::ignore = assemble_tokens(patches, {}, positions, 2); }, {"3 patches", "5 positions"}},
       {"visible", [&] { std::ignore = assemble_tokens(patches, {}, positions, 2, negative); }, {"patch -1"}},
       {"token", [&] { std::ignore = assemble_tokens(patches, Variables{narrow}, Variable(), 2); }, {"token 0", "[4]"}},
       {"reshape", [&] { std::ignore = reshape(patches, Shape{7}); }, {"[6, 5]", "[7]"}},
       {"resize",
        [&] {
          std::ignore = resize_positions(positions, 0, {2, 2}, {3, 3});
        },
        {"[5, 5]", "2 x 2"}},
       {"empty",
        [&] {
          std::ignore = resize_positions(positions, 1, {2, 2}, {0, 3});
        },
        {"0 x 3"}}});
}

}  // namespace
