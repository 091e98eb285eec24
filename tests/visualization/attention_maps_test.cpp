/// \file
/// Transformer::attention_maps: every layer's weights, against layers called by hand and against the formula.
#include <gtest/gtest.h>

#include "rapt/models/transformer.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::ShapeError;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::Transformer;
using rapt::TransformerConfig;
using rapt_test::error_text;
using rapt_test::same_bits;

const TokenBatch kSource({{1, 2, 3, 4}, {5}, {6, 7, 8}}), kTarget({{1, 4}, {1, 3, 5, 2, 9}, {1}});

TransformerConfig mini(bool pre_norm = false) {
  TransformerConfig config{.source_vocabulary = 11,
                           .target_vocabulary = 11,
                           .d_model = 12,
                           .heads = 3,
                           .d_ff = 16,
                           .encoder_layers = 3,
                           .decoder_layers = 2,
                           .dropout = 0.5f,
                           .attention_dropout = 0.5f};
  if (pre_norm) {
    config.norm = rapt::NormPlacement::pre;
    config.tie_embeddings = false;
    config.learned_positions = 9;
  }
  return config;
}

/// Expects rows of probabilities over each sequence's own keys, and zeros elsewhere.
template <class T>
void expect_probabilities(const Tensor<T>& weights, const TokenBatch& queries, const TokenBatch& keys, bool causal) {
  ASSERT_EQ(weights.shape(), (Shape{queries.sequences(), 3, queries.row_splits.longest(), keys.row_splits.longest()}));
  const T* weight = weights.data();
  for (Index b = 0; b < queries.sequences(); ++b) {
    for (Index h = 0; h < 3; ++h) {
      for (Index q = 0; q < queries.row_splits.longest(); ++q) {
        double sum = 0;
        for (Index k = 0; k < keys.row_splits.longest(); ++k, ++weight) {
          const bool seen = q < queries.row_splits.length(b) && k < keys.row_splits.length(b) && (!causal || k <= q);
          EXPECT_TRUE(seen ? *weight > T(0) : *weight == T(0)) << b << " " << h << " " << q << " " << k;
          sum += static_cast<double>(*weight);
        }
        EXPECT_NEAR(sum, q < queries.row_splits.length(b) ? 1 : 0, 1e-5);
      }
    }
  }
}

TEST(AttentionMaps, AreProbabilitiesOfEveryLayer) {
  for (const bool pre_norm : {false, true}) {
    rapt::Rng rng(1);
    const Transformer model(mini(pre_norm), rng);
    const auto maps = model.attention_maps(kSource, kTarget);
    ASSERT_EQ(maps.encoder_self.size(), 3);
    ASSERT_EQ(maps.decoder_self.size(), 2);
    ASSERT_EQ(maps.decoder_cross.size(), 2);
    for (const auto& weights : maps.encoder_self) expect_probabilities(weights, kSource, kSource, false);
    for (const auto& weights : maps.decoder_self) expect_probabilities(weights, kTarget, kTarget, true);
    for (const auto& weights : maps.decoder_cross) expect_probabilities(weights, kTarget, kSource, false);
    EXPECT_FALSE(same_bits(maps.encoder_self[0], maps.encoder_self[1]));
    EXPECT_FALSE(same_bits(maps.decoder_cross[0], maps.decoder_cross[1]));
  }
}

/// What a model's encoder and decoder read: sqrt(D) embedding + sinusoids.
rapt::Variable<double> embedded(const Transformer<double>& model, const TokenBatch& batch) {
  Tensor<double> table;
  rapt::for_each_parameter(model, [&](const std::string& name, const auto& parameter) {
    if (name == "embedding.weight") table = parameter.value();
  });
  const Index d = table.cols();
  Tensor<double> x(Shape{batch.size(), d}, 0.0);
  for (Index i = 0; i < batch.size(); ++i) {
    for (Index j = 0; j < d; ++j) {
      x(i, j) = table(batch.tokens[static_cast<std::size_t>(i)], j) * std::sqrt(static_cast<double>(d));
    }
  }
  return rapt::SinusoidalPositionalEncoding<double>(d, model.config().positions)(rapt::Variable<double>(std::move(x)),
                                                                                 batch.row_splits, {});
}

/// The layers of one stack of the model, by its name.
template <class Stack, class Layer>
std::vector<Layer> layers_of(const Transformer<double>& model) {
  std::vector<Layer> layers;
  Transformer<double>::visit(model, [&](std::string_view, const auto& part) {
    if constexpr (std::is_same_v<std::decay_t<decltype(part)>, Stack>) {
      Stack::visit(part, [&](std::string_view, const auto& member) {
        if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::vector<Layer>>) layers = member;
      });
    }
  });
  return layers;
}

TEST(AttentionMaps, EqualTheWeightsOfLayersCalledOneByOne) {
  rapt::Rng rng(1);
  const Transformer<double> model(mini(), rng);
  const auto maps = model.attention_maps(kSource, kTarget);
  const auto encoder = layers_of<rapt::Encoder<double>, rapt::EncoderLayer<double>>(model);
  const auto decoder = layers_of<rapt::Decoder<double>, rapt::EncoderLayer<double>>(model);
  ASSERT_EQ(encoder.size(), 3);
  ASSERT_EQ(decoder.size(), 2);
  Tensor<double> weights, memory_weights;
  rapt::Variable<double> memory = embedded(model, kSource), x = embedded(model, kTarget);
  for (std::size_t i = 0; i < encoder.size(); ++i) {
    memory = encoder[i](memory, kSource.row_splits, {.capture = {.weights = &weights}});
    rapt_test::expect_close(maps.encoder_self[i], weights, 1e-14);
  }
  for (std::size_t i = 0; i < decoder.size(); ++i) {
    x = decoder[i](x, kTarget.row_splits, memory, kSource.row_splits,
                   {.capture = {.weights = &weights}, .cross_capture = {.weights = &memory_weights}});
    rapt_test::expect_close(maps.decoder_self[i], weights, 1e-14);
    rapt_test::expect_close(maps.decoder_cross[i], memory_weights, 1e-14);
  }
}

TEST(AttentionMaps, AreThePapersFormula) {
  rapt::Rng rng(2);
  const Transformer<double> model(mini(), rng);
  Tensor<double> projection, bias;
  rapt::for_each_parameter(model, [&](const std::string& name, const auto& parameter) {
    if (name == "encoder.layers.0.self_attn.in_proj_weight") projection = parameter.value();
    if (name == "encoder.layers.0.self_attn.in_proj_bias") bias = parameter.value();
  });
  const Tensor<double> x = embedded(model, kSource).value();
  const Index d = 12, heads = 3, d_k = d / heads, longest = 4;
  const auto projected = [&](Index row, Index unit) {
    double sum = bias.data()[unit];
    for (Index j = 0; j < d; ++j) sum += projection(unit, j) * x(row, j);
    return sum;
  };
  Tensor<double> expected(Shape{3, heads, longest, longest}, 0.0);
  for (Index b = 0; b < 3; ++b) {
    const Index begin = kSource.row_splits.begin(b), length = kSource.row_splits.length(b);
    for (Index h = 0; h < heads; ++h) {
      for (Index q = 0; q < length; ++q) {
        double* row = expected.data() + ((b * heads + h) * longest + q) * longest;
        double sum = 0;
        for (Index k = 0; k < length; ++k) {
          double score = 0;
          for (Index j = h * d_k; j < (h + 1) * d_k; ++j)
            score += projected(begin + q, j) * projected(begin + k, d + j);
          sum += row[k] = std::exp(score / std::sqrt(static_cast<double>(d_k)));
        }
        for (Index k = 0; k < length; ++k) row[k] /= sum;
      }
    }
  }
  rapt_test::expect_close(model.attention_maps(kSource, kTarget).encoder_self[0], expected, 1e-13);
}

TEST(AttentionMaps, ChangeNothing) {
  rapt::Rng rng(3);
  const Transformer model(mini(), rng);
  const auto before = model(kSource, kTarget);
  rapt::Rng dropout(4);
  const rapt::Training training(dropout);  // the maps are those of inference all the same
  const auto maps = model.attention_maps(kSource, kTarget), again = model.attention_maps(kSource, kTarget);
  EXPECT_TRUE(same_bits(maps.decoder_cross[1], again.decoder_cross[1]));
  expect_probabilities(maps.decoder_cross[1], kTarget, kSource, false);
  const rapt::Inference inference;
  EXPECT_TRUE(same_bits(model(kSource, kTarget).value(), before.value()));
}

TEST(AttentionMaps, RefuseWhatDoesNotFit) {
  rapt::Rng rng(5);
  const Transformer model(mini(), rng);
  EXPECT_EQ(error_text<ShapeError>([&] { std::ignore = model.attention_maps(kSource, TokenBatch({{1}})); }),
            "[transformer] 3 source sequences, 1 target sequences");
  std::vector<Tensor<float>> two(2), three(3);
  EXPECT_NO_THROW(std::ignore = model.encode(kSource, {}, three));
  EXPECT_EQ(error_text<ShapeError>([&] { std::ignore = model.encode(kSource, {}, two); }),
            "[stack] 2 tensors for the weights of 3 layers");
  const auto decode = [&](std::span<Tensor<float>> weights, std::span<Tensor<float>> memory_weights) {
    std::ignore = model.decode(kTarget, model.encode(kSource), kSource.row_splits,
                               {.weights = weights, .cross_weights = memory_weights});
  };
  EXPECT_NO_THROW(decode(two, {}));
  EXPECT_NO_THROW(decode({}, two));
  EXPECT_EQ(error_text<ShapeError>([&] { decode(three, {}); }), "[stack] 3 tensors for the weights of 2 layers");
  EXPECT_EQ(error_text<ShapeError>([&] { decode({}, three); }), "[stack] 3 tensors for the weights of 2 layers");
}

}  // namespace
