/// \file
/// ImageGPT against transformers, and completing images with the cache against reading them whole.
// covers: pretrained/image_gpt.hpp
#include "rapt/models/image_gpt.hpp"

#include <gtest/gtest.h>

#include "rapt/data/masked_language.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "rapt/optim/adam.hpp"
#include "rapt/pretrained/image_gpt.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::ImageGpt;
using rapt::ImageGptConfig;
using rapt::Index;
using rapt::Tensor;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_message;
using rapt_test::PretrainedCase;

ImageGptConfig small_config() {
  return {.clusters = 7,
          .positions = 20,
          .d_model = 24,
          .layers = 3,
          .heads = 3,
          .embedding_dropout = 0,
          .dropout = 0,
          .attention_dropout = 0};
}
ImageGpt<float> small_model(const ImageGptConfig& config = small_config()) {
  rapt::Rng rng(1);
  ImageGpt model(config, rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& p) {  // so that colours differ in probability
    for (float& v : p.mutable_value().values()) v *= 6;
  });
  return model;
}

/// The part `layer` of `features` [layers + 1, B, D].
template <class T>
Tensor<T> part_of(const Tensor<T>& features, Index layer, Index images, Index width) {
  Tensor<T> part(rapt::Shape{images, width});
  std::copy_n(features.data() + layer * part.size(), part.size(), part.data());
  return part;
}

/// The loss of a case, as make_image_gpt.py computes it.
template <class T>
rapt::Variable<T> loss_of(const PretrainedCase& golden, const ImageGpt<T>& model) {
  const TokenBatch read = golden.batch("ids", "row_splits");
  if (model.config().pixel_head) return model.loss(model.next_pixels(golden.batch("pixels", "row_splits")));
  if (!model.config().labels.empty())
    return rapt::cross_entropy(model.class_logits(model.hidden(read), read.row_splits), golden.ids("labels"));
  const auto upstream = golden.tensor<T>("upstream");
  rapt::Variable<T> sum;
  for (Index layer = 0; layer <= model.config().layers; ++layer) {
    const auto features = model.features(read, layer);
    const rapt::Variable<T> weights(part_of(upstream, layer, features.rows(), features.cols()));
    const auto term = rapt::sum(rapt::multiply(features, weights));
    sum = layer == 0 ? term : rapt::add(sum, term);
  }
  return sum;
}

template <class T>
void expect_outputs(const PretrainedCase& golden, const ImageGpt<T>& model, double tolerance) {
  const TokenBatch read = golden.batch("ids", "row_splits");
  golden.expect("hidden", model.hidden(read).value(), tolerance);
  const auto features = golden.tensor<T>("features");
  for (Index layer = 0; layer <= model.config().layers; ++layer) {
    const auto ours = model.features(read, layer).value();
    EXPECT_LE(rapt_test::relative_error(ours, part_of(features, layer, ours.rows(), ours.cols())),
              rapt_test::allowed<T>(tolerance, 1))
        << "features of layer " << layer;
  }
  if (model.config().pixel_head) golden.expect("logits", model(read).value(), tolerance);
  if (!model.config().labels.empty())
    golden.expect("classes", model.class_logits(model.hidden(read), read.row_splits).value(), tolerance);
}

TEST(ImageGpt, AgreesWithTransformers) {
  for (const std::string& name : PretrainedCase::all("image_gpt")) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("image_gpt", name);
    const auto model = rapt::from_pretrained<ImageGpt<float>>(golden.folder.path());
    EXPECT_EQ(rapt::detail::architecture_of(model.config()), golden.config["architectures"][0]);
    expect_outputs(golden, model, 1e-5);
    const rapt::Recording scope;
    const auto loss = loss_of(golden, model);
    golden.expect("loss", loss.value(), 1e-5);
    rapt::backward(loss);
    golden.expect_stored_gradients(model, 1e-4);
  }
}

TEST(ImageGpt, AgreesInDouble) {
  for (const std::string& name : PretrainedCase::all("image_gpt")) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("image_gpt", name);
    const auto model = rapt::from_pretrained<ImageGpt<double>>(golden.folder.path());
    const double tolerance = name == "upcast" ? 1e-5 : 1e-7;  // what transformers computes in float32 there
    expect_outputs(golden, model, tolerance);
    const rapt::Recording scope;
    rapt::backward(loss_of(golden, model));
    golden.expect_stored_gradients(model, 10 * tolerance);
  }
}

TEST(ImageGpt, TravelsBackUnchanged) {
  for (const std::string& name : PretrainedCase::all("image_gpt")) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("image_gpt", name);
    golden.expect_round_trip(rapt::from_pretrained<ImageGpt<float>>(golden.folder.path()));
  }
}

TEST(ImageGpt, ReadsBehindTheBeginSymbolAndSaysEveryPixel) {
  const PretrainedCase golden("image_gpt", "pixels");
  const auto model = rapt::from_pretrained<ImageGpt<float>>(golden.folder.path());
  const auto batch = model.next_pixels(golden.batch("pixels", "row_splits"));
  EXPECT_EQ(batch.input.tokens, golden.ids("ids"));
  EXPECT_EQ(batch.input.row_splits, golden.splits("row_splits"));
  EXPECT_EQ(batch.targets, golden.ids("pixels"));
  expect_message([&] { std::ignore = model.next_pixels(TokenBatch({{1, 2}, {}})); }, "image 1 has no pixels");
  expect_message(
      [&] {
        std::ignore = model.loss({TokenBatch({{10, 2}}), {2, 10}, {}});
      },
      "token id 10 at position 1 is outside the vocabulary of 10");  // the begin symbol is never said
}

template <class T>
void expect_masked_agreement(double tolerance) {
  const PretrainedCase golden("image_gpt_masked", "masked");
  const auto model = rapt::from_pretrained<ImageGpt<T>>(golden.folder.path());
  const rapt::LanguageBatch batch{golden.batch("ids", "row_splits"), golden.ids("targets"), golden.ids("rows")};
  const rapt::Variable<T> hidden = model.hidden_of_all(batch.input);
  golden.expect("hidden", hidden.value(), tolerance);
  golden.expect("logits", model.logits(rapt::gather_rows<T>(hidden, batch.rows)).value(), tolerance);
  const auto features = golden.tensor<T>("features");
  for (Index layer = 0; layer <= model.config().layers; ++layer) {
    const auto ours = model.features_of_all(batch.input, layer).value();
    EXPECT_LE(rapt_test::relative_error(ours, part_of(features, layer, ours.rows(), ours.cols())),
              rapt_test::allowed<T>(tolerance, 1))
        << "features of layer " << layer;
  }
  const rapt::Recording scope;
  const auto loss = model.masked_loss(batch);
  golden.expect("loss", loss.value(), tolerance);
  rapt::backward(loss);
  golden.expect_stored_gradients(model, 10 * tolerance);
}

TEST(ImageGpt, PredictsMaskedPixelsAsTransformersWithoutTheCausalMask) {
  expect_masked_agreement<float>(1e-5);
  expect_masked_agreement<double>(1e-7);
}

TEST(ImageGpt, OfMaskedPixelsThePositionAloneIsRead) {
  const ImageGpt<float> model = small_model();
  rapt::Rng rng(3);
  const TokenBatch images({{1, 2, 3, 4, 5}, {6, 0, 6, 0}});
  const rapt::MaskingOptions masking{.vocabulary = model.config().vocabulary(),
                                     .mask = model.config().begin_token(),
                                     .rate = 0.5,
                                     .mask_ratio = 1,
                                     .random_ratio = 0,
                                     .independent = true};
  const rapt::LanguageBatch batch = rapt::mask_tokens(images, masking, rng);
  ASSERT_FALSE(batch.rows.empty());
  ASSERT_LT(batch.rows.size(), 9u);
  const auto hidden = model.hidden_of_all(batch.input).value();
  ImageGpt<float> other = model;  // the begin symbol's embedding is not read
  rapt::for_each_parameter(other, [&](const std::string& name, auto& p) {
    if (name != "embedding.weight") return;
    for (Index i = 0; i < p.value().cols(); ++i) p.mutable_value()(model.config().begin_token(), i) += 1.f;
  });
  EXPECT_TRUE(rapt_test::same_bits(other.hidden_of_all(batch.input).value(), hidden));
  TokenBatch changed = batch.input;  // the first pixel's hidden state depends on the last one
  changed.tokens[4] = changed.tokens[4] == 1 ? 2 : 1;
  EXPECT_FALSE(rapt_test::same_bits(model.hidden_of_all(changed).value(), hidden));
  const auto all_masked = model.hidden_of_all(TokenBatch({{7, 7, 7}})).value();
  EXPECT_EQ(all_masked.shape(), (rapt::Shape{3, 24}));
  expect_message([&] { std::ignore = model.masked_loss({images, images.tokens, {}}); }, "no pixel is masked");
  expect_message([&] { std::ignore = model.features_of_all(images, 4); }, "no features of layer 4 of 3");
  expect_message([&] { std::ignore = model.hidden_of_all(TokenBatch({{1, 8}})); }, "token id 8");
}

TEST(ImageGpt, LearnsMaskedPixelsToTheSameBitsOnAnyNumberOfThreads) {
  rapt_test::expect_same_bits_on_any_threads([] {
    ImageGptConfig config = small_config();
    config.embedding_dropout = config.dropout = 0.1f;
    ImageGpt<float> model = small_model(config);
    rapt::Rng rng(3);
    const rapt::Training scope(rng);
    const TokenBatch images({{7, 2, 3, 7, 5}, {6, 7, 6, 0}});
    rapt::backward(model.masked_loss({images, {1, 4, 0}, {0, 3, 6}}));
    std::vector<float> all;
    rapt::for_each_parameter(model, [&](const std::string&, const rapt::Parameter<float>& p) {
      all.insert(all.end(), p.grad().values().begin(), p.grad().values().end());
    });
    return all;
  });
}

TEST(ImageGpt, CompletesAsTransformersDoes) {
  for (const std::string& name : PretrainedCase::all("image_gpt")) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("image_gpt", name);
    if (!golden.contains("generated")) continue;
    const auto model = rapt::from_pretrained<ImageGpt<float>>(golden.folder.path());
    std::vector<TokenId> tokens;
    for (const auto& h : rapt::greedy_search(model, golden.batch("ids", "row_splits"), {.extra_length = 4})) {
      tokens.insert(tokens.end(), h.tokens.begin(), h.tokens.end());
    }
    EXPECT_EQ(tokens, golden.ids("generated"));
  }
}

TEST(ImageGpt, TheCacheChangesNothing) {
  const auto model = small_model();
  const TokenId begin = model.config().begin_token();
  EXPECT_EQ(begin, 7);
  const TokenBatch prompts({{begin, 3, 1, 4, 1, 5}, {begin, 3}, {begin}});
  auto state = model.start(prompts);
  EXPECT_EQ(state.lengths(), (std::vector<Index>{5, 1, 0}));
  std::vector<std::vector<TokenId>> sequences;
  std::vector<TokenId> next;
  for (Index i = 0; i < prompts.sequences(); ++i) {
    sequences.emplace_back(prompts.sequence(i).begin(), prompts.sequence(i).end());
    next.push_back(sequences.back().back());
  }
  for (int step = 0; step < 4; ++step) {
    const auto logits = model.step(state, next);
    ASSERT_EQ(logits.cols(), model.config().clusters);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const auto whole = model(TokenBatch(std::vector<std::vector<TokenId>>{sequences[i]})).value();
      for (Index v = 0; v < logits.cols(); ++v) {
        EXPECT_NEAR(logits(static_cast<Index>(i), v), whole(whole.rows() - 1, v), 10 * rapt_test::allowed<float>(1e-5));
      }
      next[i] = static_cast<TokenId>((5 * step + 3 * static_cast<int>(i)) % 7);
      sequences[i].push_back(next[i]);
    }
  }
}

TEST(ImageGpt, SamplesPixelsAlone) {
  const auto model = small_model();
  const TokenId begin = model.config().begin_token();
  const rapt::SamplingOptions options{.samples = 4, .generation = {.extra_length = 19}};
  const auto found = rapt::sample(model, TokenBatch({{begin, 2}}), options, {.seed = 3});
  ASSERT_EQ(found.front().size(), 4u);
  for (const auto& h : found.front()) {
    ASSERT_EQ(h.tokens.size(), 19u);  // with the two before, one more than there are positions: the last is not read
    for (const TokenId token : h.tokens) EXPECT_LT(token, begin);
  }
  EXPECT_NE(found.front()[0].tokens, found.front()[1].tokens);
  const auto beams =
      rapt::beam_search(model, TokenBatch({{begin, 2}}), {.beam_size = 3, .generation = {.extra_length = 5}});
  EXPECT_EQ(beams.front().tokens.size(), 5u);
}

TEST(ImageGpt, AttentionLooksBackOnly) {
  const auto model = small_model();
  std::vector<Tensor<float>> weights(3);
  const TokenBatch batch({{7, 1, 2, 3}});
  const auto hidden = model.hidden(batch, weights).value();
  EXPECT_LE(rapt_test::relative_error(hidden, model.hidden(batch).value()), rapt_test::allowed<float>(1e-6));
  for (const Tensor<float>& of_layer : weights) {
    ASSERT_EQ(of_layer.size(), 3 * 4 * 4);  // [1, H, 4, 4]
    for (Index row = 0; row < 12; ++row) {
      const float* p = of_layer.data() + row * 4;
      EXPECT_NEAR(p[0] + p[1] + p[2] + p[3], 1.f, 1e-5f);
      for (Index key = row % 4 + 1; key < 4; ++key) EXPECT_EQ(p[key], 0.f);
    }
  }
  expect_message([&] { std::ignore = model.hidden(batch, std::span(weights).first(2)); },
                 "2 tensors for the weights of 3 layers");
}

TEST(ImageGpt, LearnsToCompleteStripes) {
  ImageGptConfig config = small_config();  // 4 x 4 pixels; all rows of an image are alike
  config.clusters = 3;
  config.positions = 16;
  rapt::Rng rng(4);
  ImageGpt model(config, rng);
  const auto stripes = [&](rapt::Rng& draw) {
    std::vector<TokenId> pixels;
    for (int i = 0; i < 4; ++i) pixels.push_back(static_cast<TokenId>(draw.below(3)));
    for (std::size_t i = 0; i < 12; ++i) pixels.push_back(pixels[i]);
    return pixels;
  };
  rapt::Adam adam(model);
  for (int step = 0; step < 500; ++step) {
    TokenBatch images;
    for (int i = 0; i < 16; ++i) images.push_back(stripes(rng));
    const rapt::Training scope(rng);
    rapt::backward(model.loss(model.next_pixels(images)));
    adam.step(3e-3);
  }
  TokenBatch prompts;
  std::vector<TokenId> expected;
  for (int i = 0; i < 20; ++i) {
    std::vector<TokenId> pixels = stripes(rng);
    expected.insert(expected.end(), pixels.begin() + 8, pixels.end());
    pixels.resize(8);
    pixels.insert(pixels.begin(), config.begin_token());
    prompts.push_back(pixels);
  }
  std::vector<TokenId> found;
  for (const auto& h : rapt::greedy_search(model, prompts, {.extra_length = 8})) {
    found.insert(found.end(), h.tokens.begin(), h.tokens.end());
  }
  EXPECT_EQ(found, expected);
}

TEST(ImageGpt, DropoutActsInTrainingAlone) {
  const auto values = [](float embedding, float sublayers, float attention) {
    ImageGptConfig config = small_config();
    config.embedding_dropout = embedding;
    config.dropout = sublayers;
    config.attention_dropout = attention;
    const auto model = small_model(config);
    const TokenBatch batch({{7, 1, 2, 3, 4, 5, 6, 0}});
    rapt::Rng rng(5);
    const auto plain = model(batch).value();
    const rapt::Training scope(rng);
    return rapt_test::relative_error(model(batch).value(), plain);
  };
  EXPECT_EQ(values(0, 0, 0), 0);
  EXPECT_GT(values(0.5f, 0, 0), 1e-3);
  EXPECT_GT(values(0, 0.5f, 0), 1e-3);
  EXPECT_GT(values(0, 0, 0.5f), 1e-3);
}

TEST(ImageGpt, PartsAreTheConfigs) {
  const auto model = small_model();
  const TokenBatch batch({{7, 1, 2}});
  expect_message([&] { std::ignore = model.class_logits(model.hidden(batch), batch.row_splits); },
                 "the model has no classification head");
  expect_message([&] { std::ignore = model.features(batch, 4); }, "no features of layer 4 of 3");
  expect_message([&] { std::ignore = model.features(batch, -1); }, "no features of layer -1 of 3");
  ImageGptConfig config = small_config();
  config.pixel_head = false;
  expect_message([&] { std::ignore = small_model(config)(batch); }, "the model has no pixel head");
  EXPECT_EQ(rapt::detail::architecture_of(config), "ImageGPTModel");
  config.labels = {"a", "b", "c"};
  const auto labelled = small_model(config);
  EXPECT_EQ(labelled.class_logits(labelled.hidden(batch), batch.row_splits).cols(), 3);
  config.pixel_head = true;
  expect_message([&] { std::ignore = small_model(config); }, "3 labels apart has no other head");
  config = small_config();
  config.heads = 5;
  expect_message([&] { std::ignore = small_model(config); }, "d_model = 24, heads = 5");
  config = small_config();
  config.clusters = 0;
  expect_message([&] { std::ignore = small_model(config); }, "clusters 0");
}

TEST(ImageGpt, PresetsHaveTheirSizes) {
  const auto millions = [](const ImageGptConfig& c) {  // weights of layers and tables; vectors are few
    const Index d = c.d_model;
    return (12 * c.layers * d * d + (2 * c.clusters + 1 + c.positions) * d) / 1000000;
  };
  EXPECT_EQ(millions(ImageGptConfig::small()), 76);
  EXPECT_EQ(millions(ImageGptConfig::medium()), 455);
  EXPECT_EQ(millions(ImageGptConfig::large()), 1362);
}

TEST(ImageGpt, RefusesFoldersThatItCannotHonour) {
  PretrainedCase golden("image_gpt", "pixels");
  const auto load = [&] {
    golden.write();
    std::ignore = rapt::from_pretrained<ImageGpt<float>>(golden.folder.path());
  };
  const auto refuses = [&](const char* key, const nlohmann::json& value, const std::string& message) {
    const auto before = golden.config;
    golden.config[key] = value;
    expect_message(load, message);
    golden.config = before;
  };
  refuses("add_cross_attention", true, "add_cross_attention");
  refuses("tie_word_embeddings", true, "tie_word_embeddings");
  refuses("activation_function", "mish", "mish");
  refuses("model_type", "gpt2", "imagegpt");
  refuses("vocab_size", 0, "clusters -1");
  refuses("vocab_size", 12, "transformer.wte.weight");
  refuses("n_head", 5, "heads = 5");
  refuses("n_layer", 3, "transformer.h.2.");
  golden.parameters.emplace("transformer.h.0.attn.bias", Tensor<float>(rapt::Shape{1, 1, 16, 16}, 1.f));
  golden.parameters.emplace("transformer.h.0.attn.masked_bias", Tensor<float>(rapt::Shape{1}, -1e4f));
  EXPECT_NO_THROW(load());  // older files have the masks
  golden.parameters.emplace("transformer.h.0.ln_1.bias", Tensor<float>(rapt::Shape{12}, 0.f));
  expect_message(load, "ln_1.bias");
}

}  // namespace
