/// \file
/// The recurrent translator: step by step against the whole target, its gradient, what it learns, searches and files.
// covers: models/recurrent_translator_config.hpp
#include "rapt/models/recurrent_translator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "rapt/autograd/backward.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/scoring.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/optim/adam.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/steps.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Index;
using rapt::RecurrentTranslator;
using rapt::RecurrentTranslatorConfig;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_message;

static_assert(rapt::DecodingModel<RecurrentTranslator<float>>);
static_assert(rapt::TeacherForcedModel<RecurrentTranslator<float>>);

constexpr RecurrentTranslatorConfig kSmall{.source_vocabulary = 11,
                                           .target_vocabulary = 11,
                                           .d_model = 16,
                                           .encoder_layers = 2,
                                           .decoder_layers = 2,
                                           .dropout = 0.f};

template <class T = float>
[[nodiscard]] RecurrentTranslator<T> model_of(const RecurrentTranslatorConfig& config) {
  rapt::Rng rng(1);
  RecurrentTranslator<T> model(config, rng);
  rapt_test::randomize(model, 2);
  return model;
}

[[nodiscard]] std::vector<RecurrentTranslatorConfig> all_configs() {
  RecurrentTranslatorConfig without = kSmall, apart = kSmall;
  without.attention = false;
  apart.tie_embeddings = false;
  apart.target_vocabulary = 9;
  apart.attention_columns = 5;
  apart.decoder_layers = 1;
  return {kSmall, without, apart};
}

const TokenBatch kSource{{3, 4, 5, 2}, {6, 2}, {7, 8, 3, 4, 2}};
const TokenBatch kTarget{{1, 5, 4}, {1, 6, 8, 7}, {1}};

TEST(RecurrentTranslator, StepsGiveWhatTheWholeTargetGives) {
  for (const auto& config : all_configs()) {
    const auto model = model_of(config);
    rapt_test::expect_steps_equal_whole(model, kSource, kTarget, model(kSource, kTarget).value());
  }
}

TEST(RecurrentTranslator, RowsFollowTheirParents) {
  for (const auto& config : all_configs()) {
    const auto model = model_of(config);
    auto state = model.start(kSource);
    std::ignore = model.step(state, std::vector<TokenId>{1, 1, 1});
    state.select(std::vector<Index>{2, 0, 2});
    const auto logits = model.step(state, std::vector<TokenId>{4, 5, 6});
    TokenBatch sources, targets;
    for (const auto& [parent, token] : {std::pair<Index, TokenId>{2, 4}, {0, 5}, {2, 6}}) {
      sources.push_back(kSource.sequence(parent));
      targets.push_back(std::vector<TokenId>{1, token});
    }
    const auto whole = model(sources, targets).value();
    for (Index r = 0; r < 3; ++r) {
      rapt_test::expect_close(std::vector<float>(logits.row(r), logits.row(r) + logits.cols()),
                              std::vector<float>(whole.row(2 * r + 1), whole.row(2 * r + 1) + whole.cols()), 1e-5);
    }
  }
}

/// Each query's probabilities are 1 in all, 0 outside of its source, and those of the pair alone.
TEST(RecurrentTranslator, AttentionMapsAreThoseOfEachPair) {
  for (const auto& config : all_configs()) {
    const auto model = model_of(config);
    const auto maps = model.attention_maps(kSource, kTarget);
    EXPECT_TRUE(maps.encoder_self.empty() && maps.decoder_self.empty());
    ASSERT_EQ(maps.decoder_cross.size(), config.attention ? 1u : 0u);
    if (!config.attention) continue;
    const auto& all = maps.decoder_cross.front();
    ASSERT_EQ(all.shape(), (rapt::Shape{3, 1, 4, 5}));
    for (Index s = 0; s < 3; ++s) {
      TokenBatch source, target;
      source.push_back(kSource.sequence(s));
      target.push_back(kTarget.sequence(s));
      const auto alone = model.attention_maps(source, target).decoder_cross.front();
      for (Index i = 0; i < 4; ++i) {
        float total = 0;
        for (Index j = 0; j < 5; ++j) {
          const float p = all.row(4 * s + i)[j];
          const bool inside = i < kTarget.row_splits.length(s) && j < kSource.row_splits.length(s);
          if (inside) {
            EXPECT_GT(p, 0.f);
            EXPECT_NEAR(p, alone.row(i)[j], 1e-6);
          } else {
            EXPECT_EQ(p, 0.f);
          }
          total += p;
        }
        EXPECT_NEAR(total, i < kTarget.row_splits.length(s) ? 1.f : 0.f, 1e-5f);
      }
    }
  }
  expect_message([&] { std::ignore = model_of(kSmall).attention_maps(kSource, TokenBatch{{1}}); },
                 "3 source sequences, 1 target sequences");
}

TEST(RecurrentTranslator, DropoutIsActiveInTrainingAlone) {
  for (RecurrentTranslatorConfig config : all_configs()) {
    const auto plain = model_of(config);
    config.dropout = 0.5f;
    const auto model = model_of(config);
    const auto expected = plain(kSource, kTarget).value();
    EXPECT_TRUE(rapt_test::same_bits(model(kSource, kTarget).value(), expected));
    rapt::Rng rng(5);
    const rapt::Training scope(rng);
    // Of the encoder's embeddings and of the hidden states, half of which are zero.
    const auto encoded = model.encode(kSource).value();
    EXPECT_FALSE(rapt_test::same_bits(encoded, plain.encode(kSource).value()));
    const auto hidden = model.hidden(kSource, kTarget).value();
    const auto zeros = std::count(hidden.values().begin(), hidden.values().end(), 0.f);
    EXPECT_NEAR(static_cast<double>(zeros) / static_cast<double>(hidden.size()), 0.5, 0.15);
  }
}

TEST(RecurrentTranslator, GradientIsThatOfTheLoss) {
  const rapt::TranslationBatch batch{kSource, kTarget, {5, 4, 2, 6, 8, 7, 2, 2}};
  for (const auto& config : all_configs()) {
    auto model = model_of<double>(config);
    {
      const rapt::Recording scope;
      rapt::backward(model.loss(batch, {.label_smoothing = 0.1f}));
    }
    // Along a random direction of each parameter.
    rapt::Rng rng(3);
    rapt::for_each_parameter(model, [&](const std::string& name, auto& parameter) {
      ASSERT_EQ(parameter.grad().size(), parameter.size()) << name;
      std::vector<double> direction(rapt::to_size(parameter.size()));
      rng.fill_normal(std::span<double>(direction), 0.0, 1.0);
      double slope = 0;
      for (std::size_t i = 0; i < direction.size(); ++i) slope += direction[i] * parameter.grad().data()[i];
      constexpr double kStep = 1e-6;
      const rapt::Tensor<double> before = parameter.value();
      const auto moved = [&](double by) {
        for (std::size_t i = 0; i < direction.size(); ++i) {
          parameter.mutable_value().data()[i] = before.data()[i] + by * direction[i];
        }
        return model.loss(batch, {.label_smoothing = 0.1f}).item();
      };
      const double ahead = moved(kStep), behind = moved(-kStep);
      std::ignore = moved(0);
      EXPECT_NEAR((ahead - behind) / (2 * kStep), slope, 1e-6 * std::abs(slope) + 1e-8) << name;
    });
  }
}

/// Three letters, and the same letters.
[[nodiscard]] std::vector<rapt::TokenPair> copies(std::size_t count, rapt::Rng& rng) {
  std::vector<rapt::TokenPair> pairs(count);
  for (auto& [source, target] : pairs) {
    for (int i = 0; i < 3; ++i) source.push_back(static_cast<TokenId>(3 + rng.below(6)));
    target = source;
  }
  return pairs;
}

TEST(RecurrentTranslator, LearnsToCopyAndBeamSearchFindsIt) {
  for (const bool attention : {true, false}) {
    rapt::Rng rng(4);
    RecurrentTranslatorConfig config = kSmall;
    config.attention = attention;
    config.d_model = 32;
    config.encoder_layers = config.decoder_layers = 1;
    RecurrentTranslator<float> model(config, rng);
    rapt::Adam<float> adam(model);
    for (int step = 0; step < 250; ++step) {
      const rapt::Training training(rng);
      rapt::backward(model.loss(rapt::make_batch(copies(32, rng))));
      adam.step(1e-2 * (1 - step / 250.0));
    }
    const auto pairs = copies(50, rng);
    const TokenBatch sources = rapt::make_batch(pairs).source;
    const auto found = rapt::beam_search(model, sources, {.beam_size = 3});
    int right = 0;
    for (std::size_t i = 0; i < pairs.size(); ++i) right += found[i].tokens == pairs[i].target;
    EXPECT_GE(right, 45) << "attention " << attention;
    const auto scores = rapt::score(model, sources, rapt::TokenBatch([&] {
                                      std::vector<std::vector<TokenId>> tokens;
                                      for (const auto& hypothesis : found) tokens.push_back(hypothesis.tokens);
                                      return tokens;
                                    }()));
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(scores[i].log_probability, found[i].log_probability, 1e-3);
    }
  }
}

TEST(RecurrentTranslator, FilesKeepSettingsAndNumbers) {
  const rapt_test::TemporaryFolder folder;
  for (const auto& config : all_configs()) {
    const auto model = model_of(config);
    save_model(folder.path() / "model.safetensors", model);
    const auto loaded = rapt::load_model<RecurrentTranslator<float>>(folder.path() / "model.safetensors");
    EXPECT_TRUE(rapt_test::same_bits(loaded(kSource, kTarget).value(), model(kSource, kTarget).value()));
    EXPECT_EQ(loaded.config().attention, config.attention);
  }
}

TEST(RecurrentTranslator, ErrorsNameTheValues) {
  const auto with = [](auto change) {
    RecurrentTranslatorConfig config = kSmall;
    change(config);
    return [config] { std::ignore = model_of(config); };
  };
  expect_message(with([](auto& c) { c.d_model = 7; }), "[recurrent_translator] d_model must be even and positive: 7");
  expect_message(with([](auto& c) { c.encoder_layers = 0; }), "encoder_layers 0");
  expect_message(with([](auto& c) { c.target_vocabulary = 3; }), "source 11, target 3");
  expect_message(with([](auto& c) { c.dropout = 1.f; }), "dropout must be in [0, 1): 1");
  const auto model = model_of(kSmall);
  auto state = model.start(kSource);
  expect_message([&] { state.select(std::vector<Index>{0, 3}); }, "[recurrent_decoder_state] row 3 of 3");
  expect_message([&] { std::ignore = model(kSource, TokenBatch{{1}}); }, "3 source sequences, 1 target sequences");
  expect_message([&] { std::ignore = model.start(TokenBatch{{3}, {}}); }, "every sequence must have a row: sequence 1");
}

}  // namespace
