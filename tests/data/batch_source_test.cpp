/// \file
/// Sources of batches: each goes on from any position as if it had come there by itself, and refuses others.
// covers: core/batch_position.hpp, data/masked_images.hpp, data/random_batches.hpp
#include "rapt/data/batch_source.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <string>

#include "rapt/data/batching.hpp"
#include "rapt/data/masked_images.hpp"
#include "rapt/data/masked_language.hpp"
#include "rapt/data/patch_masking.hpp"
#include "rapt/data/segments.hpp"
#include "rapt/data/windows.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::BatchPosition;
using rapt::Index;
using rapt::TokenId;

static_assert(rapt::BatchSource<rapt::BatchStream>);
static_assert(rapt::BatchSource<rapt::SegmentStream>);
static_assert(rapt::BatchSource<rapt::RandomBatches<rapt::LanguageBatch>>);
static_assert(rapt::BatchSource<rapt::ImageBatches<float>>);
static_assert(rapt::BatchSource<rapt::MaskedImageBatches<double>>);
static_assert(!rapt::BatchSource<std::vector<int>>);
static_assert(std::is_same_v<rapt::BatchOf<rapt::ImageBatches<float>>, rapt::LabelledImages<float>>);

std::vector<TokenId> counting_from(TokenId first, int count) {
  std::vector<TokenId> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

/// Everything in a batch, as numbers.
std::vector<double> numbers_in(const rapt::TranslationBatch& batch) {
  std::vector<double> numbers(batch.source.tokens.begin(), batch.source.tokens.end());
  numbers.insert(numbers.end(), batch.target_output.begin(), batch.target_output.end());
  return numbers;
}
std::vector<double> numbers_in(const rapt::LanguageBatch& batch) {
  std::vector<double> numbers(batch.input.tokens.begin(), batch.input.tokens.end());
  numbers.insert(numbers.end(), batch.targets.begin(), batch.targets.end());
  numbers.insert(numbers.end(), batch.rows.begin(), batch.rows.end());
  return numbers;
}
std::vector<double> numbers_in(const rapt::MaskedImages<float>& batch) {
  const auto pixels = batch.images.pixels().values();
  std::vector<double> numbers(pixels.begin(), pixels.end());
  numbers.insert(numbers.end(), batch.mask.masked().begin(), batch.mask.masked().end());
  numbers.insert(numbers.end(), batch.mask.shown().begin(), batch.mask.shown().end());
  return numbers;
}

/// make() is a source at its beginning.
template <class Make>
void expect_goes_on(const Make& make) {
  auto walker = make();
  const Index batches = walker.batches_per_epoch();
  ASSERT_GT(batches, 1);
  std::vector<std::vector<double>> seen;
  std::vector<BatchPosition> places{walker.position()};
  EXPECT_EQ(places[0], (BatchPosition{0, 0}));
  for (Index i = 0; i < 2 * batches + 1; ++i) {
    const auto& batch = walker.next();
    EXPECT_GT(batch.target_count(), 0);
    EXPECT_GT(batch.item_count(), 0);
    seen.push_back(numbers_in(batch));
    places.push_back(walker.position());
    EXPECT_EQ(places.back(), (BatchPosition{i / batches, i % batches + 1}));
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    auto jumper = make();
    jumper.seek(places[i]);
    EXPECT_EQ(jumper.position(), places[i]);
    EXPECT_EQ(numbers_in(jumper.next()), seen[i]) << i;
    EXPECT_EQ(jumper.position(), places[i + 1]);
  }
  // Within an epoch in both directions, and by skipping.
  auto wanderer = make();
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const std::size_t to = 5 * i % seen.size();
    wanderer.seek(places[to]);
    EXPECT_EQ(wanderer.position(), places[to]);
    EXPECT_EQ(numbers_in(wanderer.next()), seen[to]) << to;
    auto skipper = make();
    rapt::skip(skipper, static_cast<Index>(i));
    EXPECT_EQ(skipper.position(), places[i]);
    EXPECT_EQ(numbers_in(skipper.next()), seen[i]) << i;
  }
  EXPECT_THROW(rapt::skip(wanderer, -1), rapt::ValueError);
  auto other = make();
  (void)other.next();
  for (const BatchPosition wrong : {BatchPosition{-1, 0}, BatchPosition{0, -1}, BatchPosition{1, batches + 1}}) {
    EXPECT_THROW(other.seek(wrong), rapt::ValueError);
    EXPECT_EQ(other.position(), (BatchPosition{0, 1}));
  }
  EXPECT_EQ(numbers_in(other.next()), seen[1]);
}

TEST(BatchSource, PairsGoOnFromAnyPosition) {
  std::vector<rapt::TokenPair> pairs;
  for (int i = 0; i < 20; ++i) pairs.push_back({counting_from(3, 4), counting_from(i, 4)});
  expect_goes_on([&] { return rapt::BatchStream(pairs, {.tokens = 30}); });
}

TEST(BatchSource, WindowsGoOnFromAnyPosition) {
  const auto text = counting_from(0, 100);
  const rapt::RandomWindowOptions options{.windows = 3, .length = 8, .random = {4, 11}};
  EXPECT_EQ(rapt::random_window_batches(text, options).batches_per_epoch(), 5);  // 24 of 100 tokens each
  expect_goes_on([&] { return rapt::random_window_batches(text, options); });
  // They are the windows that one generator draws.
  auto source = rapt::random_window_batches(text, options);
  rapt::Rng rng(options.random);
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(numbers_in(source.next()), numbers_in(rapt::random_windows(text, 3, 8, rng))) << i;
  }
  EXPECT_THROW((void)rapt::random_window_batches(text, {.windows = 0, .length = 8}), rapt::ValueError);
  EXPECT_THROW((void)rapt::random_window_batches(text, {.windows = 1, .length = 100}), rapt::ValueError);
}

TEST(BatchSource, SegmentsGoOnFromAnyPosition) {
  const auto text = counting_from(0, 41);
  const rapt::Segments segments(text, {.streams = 2, .length = 8});
  expect_goes_on([&] { return rapt::SegmentStream(segments); });
  rapt::SegmentStream stream(segments);
  for (Index i = 0; i < 2 * segments.size(); ++i) {
    const rapt::SegmentBatch batch = stream.next();
    EXPECT_EQ(numbers_in(batch), numbers_in(segments[i % segments.size()]));
    EXPECT_EQ(batch.begins, i % segments.size() == 0);
  }
}

TEST(BatchSource, MaskedSentencesGoOnFromAnyPosition) {
  std::vector<std::vector<TokenId>> sentences;
  for (int i = 0; i < 10; ++i) sentences.push_back(counting_from(i, 12));
  const rapt::MaskedBatchOptions options{.sequences = 4, .masking = {.vocabulary = 31, .mask = 30}, .random = {2, 5}};
  expect_goes_on([&] { return rapt::masked_language_batches(sentences, options); });
  const std::vector<std::vector<TokenId>> none;
  EXPECT_THROW((void)rapt::masked_language_batches(none, options), rapt::ValueError);
}

rapt::ImageDataset some_images() {
  std::vector<std::uint8_t> bytes(10 * 16);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(37 * i);
  return {rapt::ImageShape{1, 4, 4}, std::move(bytes), std::vector<TokenId>(10, 1), 3};
}

TEST(BatchSource, MaskedImagesGoOnFromAnyPosition) {
  const rapt::ImageDataset images = some_images();
  for (const bool prefetch : {false, true}) {
    expect_goes_on([&] {
      return rapt::MaskedImageBatches<float>(
          images, {.batch_size = 3, .prefetch = prefetch},
          [](Index count, rapt::Rng& rng) { return rapt::random_patch_mask(count, 4, 0.5, rng); }, {.streams = 1});
    });
    expect_goes_on([&] {
      return rapt::MaskedImageBatches<float>(
          images, {.batch_size = 3, .prefetch = prefetch},
          [](Index count, rapt::Rng& rng) { return rapt::corrupted_patch_mask(count, 4, rng); }, {.streams = 2});
    });
  }
  rapt::MaskedImageBatches<float> source(
      images, {.batch_size = 3},
      [](Index count, rapt::Rng& rng) { return rapt::random_patch_mask(count, 4, 0.5, rng); }, {});
  rapt::ImageBatches<float> plain(images, {.batch_size = 3});
  const rapt::MaskedImages<float> copy = source.next();  // owns its pixels
  (void)source.next();
  (void)source.next();
  EXPECT_TRUE(rapt_test::same_bits(copy.images.pixels(), plain.next().images.pixels()));
  EXPECT_EQ(copy.target_count(), 3 * 2);
  EXPECT_EQ(copy.item_count(), 3);
  EXPECT_TRUE(copy.visual_tokens.empty());
}

TEST(BatchSource, MaskedImagesHaveTheVisualTokensThatAreMade) {
  const rapt::ImageDataset images = some_images();
  const auto draw = [](Index count, rapt::Rng& rng) { return rapt::random_patch_mask(count, 4, 0.5, rng); };
  rapt::MaskedImageBatches<float> source(images, {.batch_size = 3}, draw, {},
                                         [](const rapt::ImageBatch<float>& batch, const rapt::PatchMask& mask) {
                                           std::vector<TokenId> tokens;
                                           for (const std::int32_t patch : mask.masked()) {
                                             tokens.push_back(static_cast<TokenId>(batch.images() * 100 + patch));
                                           }
                                           return tokens;
                                         });
  for (const Index count : {3, 3, 3, 1}) {
    const rapt::MaskedImages<float>& batch = source.next();
    ASSERT_EQ(static_cast<Index>(batch.visual_tokens.size()), batch.target_count());
    for (std::size_t i = 0; i < batch.visual_tokens.size(); ++i) {
      EXPECT_EQ(batch.visual_tokens[i], count * 100 + batch.mask.masked()[i]);
    }
  }
}

TEST(BatchSource, RandomBatchesNeedSizes) {
  const auto draw = [](rapt::Rng&) { return rapt::LanguageBatch(); };
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { rapt::RandomBatches<rapt::LanguageBatch>(draw, 0, {}); }),
            "[random_batches] batches of an epoch and streams of a batch must be positive: 0, 1");
  EXPECT_THROW(rapt::RandomBatches<rapt::LanguageBatch>(draw, 1, {.streams = 0}), rapt::ValueError);
}

}  // namespace
