/// \file
/// A model as text: every layer once, with what it has and what is trained.
#include "rapt/nn/summary.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rapt/models/transformer.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/nn/linear.hpp"

#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;

// 128,000 = 1,000 x 128; a block of the encoder has 4 (128 x 128 + 128) in its attention, 2 x 128 x 256 + 256 + 128 in
// its feed-forward network and 4 x 128 in its norms, one of the decoder an attention and a norm more.
TEST(Summary, OfTinyShowsEveryLayer) {
  rapt::Rng rng(1);
  const rapt::Transformer<float> model(rapt::TransformerConfig::tiny(1000), rng);
  const std::string text = rapt::summary(model);
  EXPECT_EQ("\n" + text, R"(
name                    shape        parameters
embedding                               128,000
  weight                [1000, 128]     128,000
encoder                                 529,920
  layers                                529,920
    0 .. 3, each                        132,480
      self_attn                          66,048
        in_proj_weight  [384, 128]       49,152
        in_proj_bias    [384]               384
        out_proj                         16,512
          weight        [128, 128]       16,384
          bias          [128]               128
      linear1                            33,024
        weight          [256, 128]       32,768
        bias            [256]               256
      linear2                            32,896
        weight          [128, 256]       32,768
        bias            [128]               128
      norm1                                 256
        weight          [128]               128
        bias            [128]               128
      norm2                                 256
        weight          [128]               128
        bias            [128]               128
decoder                                 795,136
  layers                                795,136
    0 .. 3, each                        198,784
      self_attn                          66,048
        in_proj_weight  [384, 128]       49,152
        in_proj_bias    [384]               384
        out_proj                         16,512
          weight        [128, 128]       16,384
          bias          [128]               128
      multihead_attn                     66,048
        in_proj_weight  [384, 128]       49,152
        in_proj_bias    [384]               384
        out_proj                         16,512
          weight        [128, 128]       16,384
          bias          [128]               128
      linear1                            33,024
        weight          [256, 128]       32,768
        bias            [256]               256
      linear2                            32,896
        weight          [128, 256]       32,768
        bias            [128]               128
      norm1                                 256
        weight          [128]               128
        bias            [128]               128
      norm2                                 256
        weight          [128]               128
        bias            [128]               128
      norm3                                 256
        weight          [128]               128
        bias            [128]               128
1,453,056 parameters, 1,453,056 of them trained
5.8 MB of numbers; training by Adam adds 17.4 MB of gradients and moments
)");
  EXPECT_EQ(rapt::count_parameters(model), 1453056);
}

TEST(Summary, DepthAndFrozenLayers) {
  rapt::Rng rng(1);
  rapt::Transformer<float> model(rapt::TransformerConfig::tiny(1000), rng);
  rapt::freeze(model, "encoder.*");
  rapt::freeze(model, "decoder.layers.1.norm1.bias");
  EXPECT_EQ("\n" + rapt::summary(model, {.depth = 3}), R"(
name              shape        parameters
embedding                         128,000
  weight          [1000, 128]     128,000
encoder                           529,920  frozen
  layers                          529,920  frozen
    0 .. 3, each                  132,480  frozen
decoder                           795,136  partly frozen
  layers                          795,136  partly frozen
    0                             198,784
    1                             198,784  partly frozen
    2 .. 3, each                  198,784
1,453,056 parameters, 923,008 of them trained
5.8 MB of numbers; training by Adam adds 11.1 MB of gradients and moments
)");
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { (void)rapt::summary(model, {.depth = -1}); }),
            "[summary] depth must not be negative: -1");
}

/// A list of layers of which some are alike, and a parameter of its own.
struct Chain {
  explicit Chain(rapt::Rng& rng) {
    for (const Index width : {3, 2, 2, 2, 3}) layers.emplace_back(2, width, rng);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("layers", self.layers);
    visitor("scale", self.scale);
  }
  std::vector<rapt::Linear<double>> layers;
  rapt::Parameter<double> scale{rapt::Tensor<double>({1}, 1.0)};
};

TEST(Summary, LayersAreJoinedWhereTheyAreAlike) {
  rapt::Rng rng(1);
  Chain chain(rng);
  EXPECT_EQ("\n" + rapt::summary(chain, {.depth = 2}), R"(
name            shape  parameters
layers                         36
  0                             9
  1 .. 3, each                  6
  4                             9
scale           [1]             1
37 parameters, 37 of them trained
296 bytes of numbers; training by Adam adds 888 bytes of gradients and moments
)");
  rapt::pack_weights(chain.layers[2]);
  rapt::drop_unpacked_weights(chain.layers[2]);
  const std::string text = rapt::summary(chain);
  EXPECT_NE(text.find("    weight  [2, 2]           4  packed\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n264 bytes of numbers;"), std::string::npos) << text;
}

TEST(SummaryText, BytesInPowersOfTen) {
  using rapt::detail::bytes_text;
  EXPECT_EQ(bytes_text(0), "0 bytes");
  EXPECT_EQ(bytes_text(999), "999 bytes");
  EXPECT_EQ(bytes_text(1000), "1.0 kB");
  EXPECT_EQ(bytes_text(999949), "999.9 kB");
  EXPECT_EQ(bytes_text(999951), "1.0 MB");
  EXPECT_EQ(bytes_text(2.5e15), "2500.0 TB");
}

}  // namespace
