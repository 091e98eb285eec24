/// \file
/// Wrong use of every layer fails at once, with a text that names the shapes or values that do not fit.
// covers: nn/block.hpp
#include <gtest/gtest.h>

#include <limits>

#include "rapt/nn/decoder.hpp"
#include "rapt/nn/embedding.hpp"
#include "rapt/nn/encoder.hpp"
#include "rapt/nn/positional_encoding.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::splits_of;
using rapt_test::WrongUse;
using Variable = rapt::Variable<float>;

Variable of(Shape shape) { return Variable(Tensor<float>(shape, 1.f)); }

constexpr rapt::BlockOptions kPost{.attention = {.d_model = 6, .heads = 2}, .d_ff = 8},
    kPre{.attention = {.d_model = 6, .heads = 2}, .d_ff = 8, .norm = rapt::NormPlacement::pre};

TEST(LayerErrors, NameWhatDoesNotFit) {
  std::vector<WrongUse> t;
  const auto wrong = [&](std::string name, std::function<void()> use, std::vector<std::string> parts) {
    t.push_back({std::move(name), std::move(use), std::move(parts)});
  };
  rapt::Rng rng(1);
  const auto one = splits_of({3}), two = splits_of({2, 1}), short_one = splits_of({2});

  const rapt::Linear<float> linear(6, 4, rng);
  wrong("linear", [&] { std::ignore = linear(of({3, 5})); }, {"[linear] ", "[3, 5]", "[4, 6]"});
  wrong("linear sizes", [&] { rapt::Linear<float>(0, 4, rng); }, {"[linear] ", "0 inputs", "4 outputs"});
  const rapt::FeedForward<float> feed_forward({.d_model = 6, .d_ff = 8}, rng);
  wrong("feed forward", [&] { std::ignore = feed_forward(of({3, 5})); }, {"[3, 5]", "[8, 6]"});
  wrong("feed forward sizes", [&] { rapt::FeedForward<float>({.d_model = 6, .d_ff = -1}, rng); }, {"-1 outputs"});

  const rapt::LayerNorm<float> norm(6);
  wrong("layer norm", [&] { std::ignore = norm(of({3, 5})); }, {"[layer_norm] ", "[3, 5]", "[6]"});
  wrong("layer norm and sublayer",
        [&] {
          std::ignore = norm(of({3, 6}), of({2, 6}), 0.f);
        },
        {"[add_norm] ", "[3, 6]", "[2, 6]"});
  for (const auto placement : {rapt::NormPlacement::post, rapt::NormPlacement::pre}) {
    wrong("add norm " + to_string(placement),
          [=] {
            const rapt::AddNorm<float> add_norm({.d_model = 6, .placement = placement, .dropout = 0.1f});
            std::ignore = add_norm(of({3, 6}), [](const Variable&) { return of({3, 4}); });
          },
          {"[3, 6]", "[3, 4]"});
  }

  const rapt::Embedding<float> embedding(7, 6, rng);
  wrong("embedding id",
        [&] {
          std::ignore = embedding(std::vector<rapt::TokenId>{1, 7});
        },
        {"[embedding] ", "id 7", "position 1", "of 7"});
  wrong("embedding sizes", [&] { rapt::Embedding<float>(0, 6, rng); }, {"[embedding] ", "vocabulary 0", "d_model 6"});

  const rapt::SinusoidalPositionalEncoding<float> sinusoids(6, {}, 4);
  const rapt::LearnedPositionalEncoding<float> learned(4, 6, rng);
  wrong("sinusoids d_model", [] { rapt::SinusoidalPositionalEncoding<float>(5); },
        {"[positional_encoding] ", "even", "5"});
  wrong("learned length",
        [&] {
          std::ignore = learned(of({6, 6}), splits_of({1, 5}));
        },
        {"[positional_encoding] ", "sequence 1", "5 tokens", "ends at 4"});
  wrong("learned start",
        [&] {
          std::ignore = learned(of({2, 6}), splits_of({1, 1}), std::vector<Index>{3, 4});
        },
        {"[positional_encoding] ", "sequence 1", "5 tokens", "ends at 4"});
  const auto positions = [&](const std::string& name, const auto& layer) {
    wrong(name + " width", [&] { std::ignore = layer(of({3, 5}), one); }, {"[3, 5]", "[4, 6]"});
    wrong(name + " splits", [&] { std::ignore = layer(of({3, 6}), short_one); }, {"[3, 6]", "2"});
    wrong(name + " too few starts",
          [&] {
            std::ignore = layer(of({3, 6}), two, std::vector<Index>{1});
          },
          {"[positional_encoding] ", "1 starts", "2 sequences"});
    wrong(name + " too many starts",
          [&] {
            std::ignore = layer(of({3, 6}), one, std::vector<Index>{0, 0, 0});
          },
          {"[positional_encoding] ", "3 starts", "1 sequences"});
    wrong(name + " negative start", [&] { std::ignore = layer(of({3, 6}), one, std::vector<Index>{-1}); }, {"-1"});
  };
  positions("sinusoids", sinusoids);
  positions("learned", learned);

  const rapt::MultiHeadAttention<float> attention({.d_model = 6, .heads = 2}, rng);
  wrong("attention heads", [&] { rapt::MultiHeadAttention<float>({.d_model = 10, .heads = 3}, rng); },
        {"[multi_head_attention] ", "d_model = 10", "heads = 3"});
  wrong("attention values",
        [&] { rapt::MultiHeadAttention<float>({.d_model = 6, .heads = 2, .value_head_dim = -3}, rng); },
        {"[multi_head_attention] value_head_dim ", "-3"});
  wrong("attention soft cap", [&] { rapt::MultiHeadAttention<float>({.d_model = 6, .heads = 2, .soft_cap = -2}, rng); },
        {"[multi_head_attention] soft_cap ", "-2"});
  wrong("attention scale",
        [&] {
          rapt::MultiHeadAttention<float>({.d_model = 6, .heads = 2, .scale = std::numeric_limits<double>::quiet_NaN()},
                                          rng);
        },
        {"[multi_head_attention] scale ", "nan"});
  wrong("attention dropout", [&] { rapt::MultiHeadAttention<float>({.d_model = 6, .heads = 2, .dropout = 1.5f}, rng); },
        {"[multi_head_attention] dropout ", "1.5"});
  const rapt::MultiHeadAttention<float> narrow({.d_model = 6, .heads = 2, .value_head_dim = 1}, rng);
  wrong("attention step value columns",
        [&] {
          rapt::KeyValueCache<float> cache(1, 6);
          std::ignore = narrow.step(of({3, 6}), one, cache);
        },
        {"[kv_cache] ", "[3, 8]", "width 12"});
  wrong("attention step other columns",
        [&] {
          rapt::KeyValueCache<float> cache(1, 2, 6);
          std::ignore = narrow.step(of({3, 6}), one, cache);
        },
        {"[cache_attention] ", "[3, 6]", "2 heads", "2 columns of keys", "6 of values"});
  wrong("attention width", [&] { std::ignore = attention(of({3, 5}), one); }, {"[3, 5]", "[18, 6]"});
  wrong("attention splits",
        [&] {
          std::ignore = attention(of({3, 6}), short_one);
        },
        {"[attention] ", "[3, 6]", "at 2"});
  wrong("attention memory width",
        [&] {
          std::ignore = attention(of({3, 6}), one, of({4, 5}), splits_of({4}));
        },
        {"[4, 5]", "[18, 6]"});
  wrong("attention memory splits",
        [&] {
          std::ignore = attention(of({3, 6}), one, of({4, 6}), splits_of({5}));
        },
        {"[4, 6]", "0 .. 5"});
  wrong("attention memory sequences",
        [&] {
          std::ignore = attention(of({3, 6}), two, of({4, 6}), splits_of({4}));
        },
        {"2 query sequences", "1 key sequences"});
  wrong("attention value",
        [&] {
          std::ignore = attention(of({3, 6}), one, of({4, 6}), of({5, 6}), splits_of({4}));
        },
        {"[4, 6]", "[5, 6]"});
  wrong("attention keys_values", [&] { std::ignore = attention.keys_values(of({4, 5})); }, {"[4, 5]", "[18, 6]"});
  wrong("attention step",
        [&] {
          rapt::KeyValueCache<float> cache(2, 6);
          std::ignore = attention.step(of({3, 6}), one, cache);
        },
        {"[kv_cache] ", "1 sequences", "2 rows"});
  wrong("attention step memory",
        [&] {
          const std::vector<rapt::kernels::KeyRange> ranges{{0, 5}};
          std::ignore = attention.step(of({3, 6}), one, Tensor<float>(Shape{4, 12}, 0.f), ranges);
        },
        {"[4, 12]", "0 .. 5"});
  wrong("attention step memory width",
        [&] {
          const std::vector<rapt::kernels::KeyRange> ranges{{0, 4}};
          std::ignore = attention.step(of({3, 6}), one, Tensor<float>(Shape{4, 10}, 0.f), ranges);
        },
        {"[4, 10]", "12"});

  rapt::KeyValueCache<float> cache(2, 6);
  const Tensor<float> entries(Shape{3, 12}, 1.f);
  wrong("cache sequences", [&] { cache.append(entries, one); }, {"[kv_cache] ", "[3, 12]", "1 sequences", "2 rows"});
  wrong("cache splits", [&] { cache.append(entries, splits_of({1, 1})); }, {"[kv_cache] ", "[3, 12]"});
  wrong("cache width", [&] { cache.append(Tensor<float>(Shape{3, 10}, 1.f), two); }, {"[3, 10]", "width 12"});
  wrong("cache select", [&] { cache.select(std::vector<Index>{0, 2}); }, {"[kv_cache] ", "row 2", "of 2"});
  wrong("cache select negative", [&] { cache.select(std::vector<Index>{-1}); }, {"[kv_cache] ", "row -1", "of 2"});

  for (const rapt::BlockOptions& options : {kPost, kPre}) {
    const std::string norm_name = to_string(options.norm);
    const bool pre = options.norm == rapt::NormPlacement::pre;
    const std::string width = pre ? "[6]" : "[18, 6]";
    wrong("encoder layer " + norm_name,
          [=] {
            rapt::Rng r(1);
            std::ignore = rapt::EncoderLayer<float>(options, r)(of({3, 5}), one);
          },
          {"[3, 5]", width});
    wrong("encoder " + norm_name,
          [=] {
            rapt::Rng r(1);
            std::ignore = rapt::Encoder<float>(2, options, true, r)(of({3, 6}), short_one);
          },
          {"[3, 6]", "end at 2"});
    wrong("decoder layer " + norm_name,
          [=] {
            rapt::Rng r(1);
            std::ignore = rapt::DecoderLayer<float>(options, r)(of({3, 5}), one, of({4, 6}), splits_of({4}));
          },
          {"[3, 5]", width});
    wrong("decoder memory " + norm_name,
          [=] {
            rapt::Rng r(1);
            std::ignore = rapt::Decoder<float>(1, options, true, r)(of({3, 6}), one, of({4, 5}), splits_of({4}));
          },
          {"[4, 5]", "[18, 6]"});
    wrong("decoder memory sequences " + norm_name,
          [=] {
            rapt::Rng r(1);
            std::ignore = rapt::Decoder<float>(1, options, true, r)(of({3, 6}), one, of({4, 6}), splits_of({3, 1}));
          },
          {"1 query sequences", "2 key sequences"});
    wrong("decoder select " + norm_name,
          [=] {
            rapt::Rng r(1);
            auto state = rapt::Decoder<float>(1, options, true, r).start(of({4, 6}), splits_of({3, 1}));
            state.select(std::vector<Index>{1, 2});
          },
          {"[decoder_state] ", "row 2", "of 2"});
  }
  rapt_test::expect_errors(t);
}

}  // namespace
