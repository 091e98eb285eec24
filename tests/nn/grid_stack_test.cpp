/// \file
/// Blocks on a grid of tokens: windows against each window by itself, the order of rows, the class token, errors.
#include "rapt/nn/grid_stack.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::GridStack;
using rapt::GridStackOptions;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using rapt::Variable;
using rapt_test::normal_tensor;

GridStackOptions options_of(rapt::GridSize grid, Index window) {
  return {.grid = grid,
          .window = window,
          .layers = 2,
          .block = {.attention = {.d_model = 8, .heads = 2},
                    .d_ff = 12,
                    .activation = rapt::Activation::gelu,
                    .norm_kind = rapt::NormKind::rms,
                    .norm = rapt::NormPlacement::pre,
                    .dropout = 0}};
}
GridStack<double> stack_of(const GridStackOptions& options) {
  rapt::Rng rng(1);
  GridStack<double> stack(options, rng);
  rapt_test::randomize(stack, 2);
  return stack;
}

TEST(GridStack, RowsStandWindowByWindow) {
  const std::vector<TokenId> expected{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15};
  const auto order = stack_of(options_of({4, 4}, 2)).order(2);
  ASSERT_EQ(order.size(), 32u);
  for (std::size_t k = 0; k < 32; ++k) EXPECT_EQ(order[k], expected[k % 16]);
  const auto plain = stack_of(options_of({2, 3}, 0)).order(1);
  for (std::size_t k = 0; k < 6; ++k) EXPECT_EQ(plain[k], static_cast<TokenId>(k));
}

// A stack whose grid is one window, with the positions of the window's tokens, gives what the large one gives there.
TEST(GridStack, AWindowIsAnImageOfItsOwn) {
  const GridStack<double> large = stack_of(options_of({4, 6}, 2));
  std::map<std::string, Tensor<double>> parameters;
  rapt::for_each_parameter(large, [&](const std::string& name, const auto& p) { parameters[name] = p.value(); });
  const Index images = 3, tokens = 24, in_window = 4;
  const auto x = normal_tensor<double>({images * tokens, 8}, 3);
  const Tensor<double> all = large(Variable<double>(x), images).value();
  ASSERT_EQ(all.shape(), x.shape());
  const std::vector<TokenId> order = large.order(1);
  for (Index first = 0; first < tokens; first += in_window) {
    GridStack<double> small = stack_of(options_of({2, 2}, 0));
    rapt::for_each_parameter(small, [&](const std::string& name, auto& p) {
      if (name != "positions") {
        p.mutable_value() = parameters.at(name);
        return;
      }
      for (Index i = 0; i < in_window; ++i) {
        std::copy_n(parameters.at(name).row(rapt::at(order, first + i)), 8, p.mutable_value().row(i));
      }
    });
    for (Index b = 0; b < images; ++b) {
      const Tensor<double> rows(x.view().middle_rows(b * tokens + first, in_window));
      const Tensor<double> found(all.view().middle_rows(b * tokens + first, in_window));
      EXPECT_TRUE(rapt_test::close(found, small(Variable<double>(rows), 1).value(), 1e-12)) << "window at " << first;
    }
  }
}

TEST(GridStack, ClassTokenIsTheFirstRow) {
  GridStackOptions options = options_of({2, 3}, 0);
  options.class_token = true;
  options.final_norm = true;
  const GridStack<double> stack = stack_of(options);
  EXPECT_EQ(stack.length(), 7);
  const auto x = normal_tensor<double>({12, 8}, 4);
  const Tensor<double> y = stack(Variable<double>(x), 2).value();
  EXPECT_EQ(y.shape(), (Shape{14, 8}));
  // It sees every token of its own image, and none of the other.
  Tensor<double> moved = x;
  moved(11, 0) += 1;
  const Tensor<double> z = stack(Variable<double>(moved), 2).value();
  EXPECT_EQ(y(0, 3), z(0, 3));
  EXPECT_NE(y(7, 3), z(7, 3));
}

TEST(GridStack, Gradient) {
  for (const bool class_token : {false, true}) {
    GridStackOptions options = options_of({2, 4}, class_token ? 0 : 2);
    options.class_token = class_token;
    const GridStack<double> stack = stack_of(options);
    const auto f = [&](const std::vector<Variable<double>>& v) { return stack(v[0], 1); };
    EXPECT_LT(rapt::gradcheck(f, {normal_tensor<double>({8, 8}, 5)}).worst_relative_error, 1e-6);
    const Variable<double> x(normal_tensor<double>({8, 8}, 6));
    const rapt::Recording scope;
    const auto y = stack(x, 1);
    backward(sum(multiply(y, y)));
    rapt::for_each_parameter(stack, [](const std::string& name, const auto& p) {
      double largest = 0;
      for (const double v : p.grad().values()) largest = std::max(largest, std::abs(v));
      EXPECT_GT(largest, 1e-9) << name;
    });
  }
}

TEST(GridStack, SaysWhatDoesNotFit) {
  GridStackOptions token_in_windows = options_of({4, 4}, 2);
  token_in_windows.class_token = true;
  const GridStack<double> stack = stack_of(options_of({4, 4}, 2));
  const Variable<double> x(normal_tensor<double>({30, 8}, 7));
  rapt_test::expect_errors({
      {"windows",
       [] {
         std::ignore = stack_of(options_of({4, 6}, 4));
       },
       {"4 x 6", "side 4"}},
      {"grid",
       [] {
         std::ignore = stack_of(options_of({0, 6}, 0));
       },
       {"0 x 6"}},
      {"class token", [&] { std::ignore = stack_of(token_in_windows); }, {"class token", "2"}},
      {"rows", [&] { std::ignore = stack(x, 2); }, {"[30, 8]", "2 images", "16 tokens"}},
  });
}

}  // namespace
