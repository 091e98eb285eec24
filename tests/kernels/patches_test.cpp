/// \file
/// Patches and token rows against loops that follow the definitions.
#include "rapt/kernels/patches.hpp"

#include <gtest/gtest.h>

#include "tests/common/expect_close.hpp"
#include "tests/common/random.hpp"

namespace {

using rapt::ImageShape;
using rapt::Index;
using rapt::PatchGrid;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;
using rapt_test::random_tensor;

struct Case {
  PatchGrid grid;
  Index images = 1;
  std::vector<TokenId> visible = {};  ///< empty: all

  [[nodiscard]] Index per_image() const {
    return visible.empty() ? grid.patches() : static_cast<Index>(visible.size()) / images;
  }
  [[nodiscard]] Index patch(Index b, Index k) const {
    return visible.empty() ? k : visible[static_cast<std::size_t>(b * per_image() + k)];
  }
};

const std::vector<Case> kCases = {
    {{{1, 1, 1}, 1, 1}, 1},           {{{1, 28, 28}, 4, 4}, 3},
    {{{3, 6, 10}, 2, 5}, 2},          {{{2, 8, 4}, 8, 1}, 5},
    {{{3, 6, 10}, 6, 10}, 4},         {{{2, 6, 6}, 2, 3}, 2, {5, 0, 3, 2, 2, 4}},  // one of them twice
    {{{1, 4, 4}, 2, 2}, 3, {3, 0, 1}}};

/// Number (c, y, x) of a patch, of all images' pixels.
template <class T>
[[nodiscard]] T& pixel(Tensor<T>& pixels, const PatchGrid& grid, Index b, Index patch, Index c, Index y, Index x) {
  const Index row = patch / grid.cols() * grid.patch_height + y, col = patch % grid.cols() * grid.patch_width + x;
  return pixels(b, (c * grid.image.height + row) * grid.image.width + col);
}

template <class F>
void for_each_number(const Case& c, const F& f) {
  for (Index b = 0; b < c.images; ++b) {
    for (Index k = 0; k < c.per_image(); ++k) {
      Index at = 0;
      for (Index channel = 0; channel < c.grid.image.channels; ++channel) {
        for (Index y = 0; y < c.grid.patch_height; ++y) {
          for (Index x = 0; x < c.grid.patch_width; ++x) f(b, k, channel, y, x, at++);
        }
      }
    }
  }
}

TEST(Patches, UnfoldReadsEachNumberFromItsPlace) {
  for (const Case& c : kCases) {
    auto pixels = random_tensor<float>({c.images, c.grid.image.size()}, 1);
    Tensor<float> tokens(Shape{c.images * c.per_image(), c.grid.patch_size()});
    rapt::kernels::unfold_patches<float>(pixels, c.grid, c.visible, tokens);
    for_each_number(c, [&](Index b, Index k, Index channel, Index y, Index x, Index at) {
      ASSERT_EQ(tokens(b * c.per_image() + k, at), pixel(pixels, c.grid, b, c.patch(b, k), channel, y, x));
    });
  }
}

TEST(Patches, FoldIsTheTranspose) {
  for (const Case& c : kCases) {
    const auto tokens = random_tensor<double>({c.images * c.per_image(), c.grid.patch_size()}, 2);
    auto pixels = random_tensor<double>({c.images, c.grid.image.size()}, 3);
    Tensor<double> expected = pixels;
    rapt::kernels::fold_patches<double>(tokens, c.grid, c.visible, pixels);
    for_each_number(c, [&](Index b, Index k, Index channel, Index y, Index x, Index at) {
      pixel(expected, c.grid, b, c.patch(b, k), channel, y, x) += tokens(b * c.per_image() + k, at);
    });
    EXPECT_TRUE(rapt_test::same_bits(pixels, expected));
  }
}

TEST(Patches, TokensAreExtraOnesThenPatchesWithPositions) {
  for (const Case& c : kCases) {
    for (const Index extras : {0, 1, 3}) {
      for (const bool positioned : {true, false}) {
        const Index cols = 19, length = extras + c.per_image();
        const auto patches = random_tensor<float>({c.images * c.per_image(), cols}, 4);
        const auto extra = random_tensor<float>({std::max<Index>(extras, 1), cols}, 5);
        const auto positions = random_tensor<float>({extras + c.grid.patches(), cols}, 6);
        const Tensor<float> none;
        Tensor<float> y(Shape{c.images * length, cols});
        rapt::kernels::assemble_tokens<float>(patches, extra.view().middle_rows(0, extras),
                                              positioned ? positions : none, c.visible, c.images, y);
        for (Index b = 0; b < c.images; ++b) {
          for (Index at = 0; at < length; ++at) {
            const bool is_extra = at < extras;
            const Index place = is_extra ? at : extras + c.patch(b, at - extras);
            for (Index j = 0; j < cols; ++j) {
              const float token = is_extra ? extra(at, j) : patches(b * c.per_image() + at - extras, j);
              ASSERT_EQ(y(b * length + at, j), positioned ? token + positions(place, j) : token);
            }
          }
        }
      }
    }
  }
}

TEST(Patches, GradientsOfTokensAddUp) {
  for (const Case& c : kCases) {
    for (const Index extras : {0, 2}) {
      const Index cols = 21, length = extras + c.per_image();
      const auto dy = random_tensor<double>({c.images * length, cols}, 7);
      auto patches = random_tensor<double>({c.images * c.per_image(), cols}, 8);
      auto extra = random_tensor<double>({std::max<Index>(extras, 1), cols}, 9);
      auto positions = random_tensor<double>({extras + c.grid.patches(), cols}, 10);
      Tensor<double> d_patches = patches, d_extra = extra, d_positions = positions;
      rapt::kernels::assemble_tokens_backward<double>(dy, d_patches, d_extra, d_positions, extras, c.visible, c.images);
      for (Index b = 0; b < c.images; ++b) {
        for (Index at = 0; at < length; ++at) {
          const bool is_extra = at < extras;
          for (Index j = 0; j < cols; ++j) {
            const double from = dy(b * length + at, j);
            (is_extra ? extra(at, j) : patches(b * c.per_image() + at - extras, j)) += from;
            positions(is_extra ? at : extras + c.patch(b, at - extras), j) += from;
          }
        }
      }
      EXPECT_TRUE(rapt_test::same_bits(d_patches, patches));
      EXPECT_TRUE(rapt_test::same_bits(d_extra, extra));
      EXPECT_TRUE(rapt_test::same_bits(d_positions, positions));
    }
  }
}

TEST(Patches, AGridMustFillItsImages) {
  const auto text = [](const PatchGrid& grid) {
    return rapt_test::error_text<rapt::ValueError>([&] { grid.validate("patches"); });
  };
  EXPECT_NE(text({{3, 30, 28}, 4, 4}).find("30 x 28 cannot be cut into patches of 4 x 4"), std::string::npos);
  EXPECT_NE(text({{3, 28, 28}, 4, 8}).find("28 x 28 cannot be cut into patches of 4 x 8"), std::string::npos);
  EXPECT_NE(text({{3, 28, 28}, 0, 4}).find("patches of 0 x 4"), std::string::npos);
  EXPECT_NE(text({{0, 28, 28}, 4, 4}).find("0 x 28 x 28"), std::string::npos);
  PatchGrid{{3, 28, 12}, 7, 4}.validate("patches");
}

}  // namespace
