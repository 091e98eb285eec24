/// \file
/// Batches of images: each image once an epoch, the same bits whoever prepares them, errors, memory.
#include "rapt/images/batches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/fork.hpp"
#include "tests/common/settings.hpp"
#include "tests/images/files.hpp"

namespace {

using rapt::ImageBatches;
using rapt::ImageBatchOptions;
using rapt::ImageDataset;
using rapt::ImageShape;
using rapt::Index;
using rapt::TokenId;
using Numbers = std::vector<Index>;

constexpr ImageShape kShape{3, 7, 6};

ImageDataset dataset_of(Index count) {
  std::vector<TokenId> labels;
  for (Index i = 0; i < count; ++i) labels.push_back(static_cast<TokenId>(i * 7 % 5));
  return {kShape, rapt_test::random_bytes(static_cast<std::size_t>(count * kShape.size()), 1), labels, 5};
}

/// Everything at once.
ImageBatchOptions busy_options() {
  ImageBatchOptions options;
  options.batch_size = 4;
  options.normalization = {{.4, .5, .6}, {.2, .3, .25}};
  options.augmentation = {.padding = 1, .flip = .5, .rotation = 20, .shift = 1, .zoom = .1, .fill = 7};
  options.mix = {.mixup = .4, .cutmix = 1, .rate = .7};
  return options;
}

/// All that a batch holds, as one list of numbers.
template <class T>
std::vector<double> contents(const rapt::LabelledImages<T>& batch) {
  std::vector<double> all(batch.images.pixels().values().begin(), batch.images.pixels().values().end());
  all.insert(all.end(), batch.labels.begin(), batch.labels.end());
  all.insert(all.end(), batch.mixed_labels.begin(), batch.mixed_labels.end());
  for (const Index number : batch.numbers) all.push_back(static_cast<double>(number));
  all.push_back(batch.weight);
  return all;
}

std::vector<double> first_batches(const ImageDataset& dataset, const ImageBatchOptions& options, int count) {
  ImageBatches<float> batches(dataset, options);
  std::vector<double> all;
  for (int i = 0; i < count; ++i) {
    const std::vector<double> one = contents(batches.next());
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

TEST(ImageBatches, WithoutOptionsAreTheDatasetInItsOrder) {
  const ImageDataset dataset = dataset_of(10);
  for (const bool prefetch : {false, true}) {
    ImageBatches<double> batches(dataset, {.batch_size = 4, .shuffle = false, .prefetch = prefetch});
    EXPECT_EQ(batches.batches_per_epoch(), 3);
    for (int epoch = 0; epoch < 2; ++epoch) {
      for (const Index begin : {0, 4, 8}) {
        const auto& batch = batches.next();
        const Index count = std::min<Index>(4, 10 - begin);
        const auto expected = rapt::to_image_batch<double>(dataset, begin, count);
        EXPECT_TRUE(rapt_test::same_bits(batch.images.pixels(), expected.pixels()));
        EXPECT_EQ(batch.images.shape(), kShape);
        EXPECT_TRUE(batch.mixed_labels.empty());
        EXPECT_EQ(batch.weight, 1);
        ASSERT_EQ(static_cast<Index>(batch.labels.size()), count);
        for (Index i = 0; i < count; ++i) {
          EXPECT_EQ(batch.labels[static_cast<std::size_t>(i)], dataset.label(begin + i));
          EXPECT_EQ(batch.numbers[static_cast<std::size_t>(i)], begin + i);
        }
      }
    }
  }
}

TEST(ImageBatches, AnEpochHasEachImageOnceInAnOrderOfItsOwn) {
  const ImageDataset dataset = dataset_of(30);
  const auto epochs_of = [&](std::uint64_t seed) {
    ImageBatches<float> batches(dataset, {.batch_size = 7, .seed = seed});
    std::vector<Numbers> epochs(3);
    for (Numbers& epoch : epochs) {
      for (Index i = 0; i < batches.batches_per_epoch(); ++i) {
        const auto& batch = batches.next();
        epoch.insert(epoch.end(), batch.numbers.begin(), batch.numbers.end());
        for (std::size_t j = 0; j < batch.numbers.size(); ++j)
          EXPECT_EQ(batch.labels[j], dataset.label(batch.numbers[j]));
      }
    }
    return epochs;
  };
  const std::vector<Numbers> epochs = epochs_of(1);
  for (const Numbers& epoch : epochs) {
    Numbers sorted = epoch;
    std::sort(sorted.begin(), sorted.end());
    for (Index i = 0; i < 30; ++i) EXPECT_EQ(sorted[static_cast<std::size_t>(i)], i);
    EXPECT_NE(epoch, sorted);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  EXPECT_EQ(epochs_of(1), epochs);
  EXPECT_NE(epochs_of(2)[0], epochs[0]);
}

TEST(ImageBatches, TheLastPartialBatchIsKeptOrDropped) {
  const ImageDataset dataset = dataset_of(10);
  ImageBatches<float> kept(dataset, {.batch_size = 4}), dropped(dataset, {.batch_size = 4, .drop_last = true});
  ImageBatches<float> larger(dataset, {.batch_size = 100}), even(dataset, {.batch_size = 5, .drop_last = true});
  EXPECT_EQ(kept.batches_per_epoch(), 3);
  EXPECT_EQ(dropped.batches_per_epoch(), 2);
  EXPECT_EQ(larger.batches_per_epoch(), 1);
  EXPECT_EQ(even.batches_per_epoch(), 2);
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (const Index size : {4, 4, 2}) EXPECT_EQ(kept.next().images.images(), size);
    for (const Index size : {4, 4}) EXPECT_EQ(dropped.next().images.images(), size);
    EXPECT_EQ(larger.next().images.images(), 10);
  }
  EXPECT_EQ(dropped.position(), (rapt::BatchPosition{1, 2}));
}

TEST(ImageBatches, AreTheSameBitsWithPrefetchAndOnAnyNumberOfThreads) {
  const ImageDataset dataset = dataset_of(11);
  ImageBatchOptions options = busy_options();
  options.prefetch = false;
  const std::vector<double> expected = first_batches(dataset, options, 8);
  for (const bool prefetch : {false, true}) {
    options.prefetch = prefetch;
    rapt_test::for_every_thread_count([&] { EXPECT_EQ(first_batches(dataset, options, 8), expected); });
  }
  options.seed = 2;
  EXPECT_NE(first_batches(dataset, options, 8), expected);
}

TEST(ImageBatches, AugmentAndMixAsTheirFunctionsDo) {
  const ImageDataset dataset = dataset_of(11);
  const ImageBatchOptions options = busy_options();
  ImageBatches<float> batches(dataset, options);
  const rapt::NormalizationTable<float> normalize(options.normalization, 3);
  int mixed = 0;
  for (Index step = 0; step < 9; ++step) {
    const Index epoch = step / 3, b = step % 3;
    const auto& batch = batches.next();
    const auto count = static_cast<Index>(batch.numbers.size());
    rapt::Tensor<float> expected(rapt::Shape{count, kShape.size()});
    rapt_test::Bytes bytes(static_cast<std::size_t>(kShape.size()));
    for (Index i = 0; i < count; ++i) {
      const Index number = batch.numbers[static_cast<std::size_t>(i)];
      rapt::transform_image(dataset.planes(number), kShape,
                            rapt::draw_transform(options.augmentation, options.seed, epoch, number), 7, bytes);
      normalize(bytes.data(), 42, expected.row(i));
    }
    const rapt::ImageMix mix = rapt::draw_mix(options.mix, kShape, options.seed, epoch, b);
    rapt::mix_images(expected.data(), count, kShape, mix);
    EXPECT_TRUE(rapt_test::same_bits(batch.images.pixels(), expected));
    EXPECT_EQ(batch.weight, mix.weight);
    const bool is_mixed = mix.kind != rapt::ImageMix::Kind::none;
    mixed += is_mixed ? 1 : 0;
    ASSERT_EQ(batch.mixed_labels.size(), is_mixed ? batch.labels.size() : 0);
    if (is_mixed) {
      EXPECT_TRUE(std::equal(batch.labels.rbegin(), batch.labels.rend(), batch.mixed_labels.begin()));
    }
  }
  EXPECT_GT(mixed, 0);
  EXPECT_LT(mixed, 9);
}

TEST(ImageBatches, GoOnFromAnyPosition) {
  const ImageDataset dataset = dataset_of(11);
  for (const bool prefetch : {false, true}) {
    ImageBatchOptions options = busy_options();
    options.prefetch = prefetch;
    ImageBatches<float> all(dataset, options), other(dataset, options);
    for (int i = 0; i < 7; ++i) {
      const auto position = all.position();
      const std::vector<double> expected = contents(all.next());
      other.seek(position);
      EXPECT_EQ(other.position(), position);
      EXPECT_EQ(contents(other.next()), expected);
    }
    EXPECT_EQ(other.position(), all.position());
    const auto before = other.position();
    EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] {
                other.seek({0, 4});
              }),
              "[image_batches] no batch 4 of epoch 0: an epoch has 3");
    EXPECT_THROW(other.seek({-1, 0}), rapt::ValueError);
    EXPECT_EQ(other.position(), before);
    EXPECT_EQ(contents(other.next()), contents(all.next()));
    other.seek({0, 3});  // the end of an epoch is the beginning of the next
    std::ignore = other.next();
    EXPECT_EQ(other.position(), (rapt::BatchPosition{1, 1}));
  }
}

TEST(ImageBatches, TheBatchStaysWhileTheNextIsPrepared) {
  const ImageDataset dataset = dataset_of(40);
  ImageBatches<float> batches(dataset, busy_options());
  for (int i = 0; i < 5; ++i) {
    const auto& batch = batches.next();
    const std::vector<double> before = contents(batch);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // longer than a batch takes
    EXPECT_EQ(contents(batch), before);
  }
}

TEST(ImageBatches, EditIsCalledForEachImageAfterAugmentation) {
  const ImageDataset dataset = dataset_of(6);
  ImageBatchOptions options{.batch_size = 4, .shuffle = false};
  options.edit = [](std::span<std::uint8_t> planes, const ImageShape& shape, Index epoch, Index number) {
    if (shape != kShape) throw std::runtime_error("shape");
    std::fill(planes.begin(), planes.end(), static_cast<std::uint8_t>(10 * epoch + number));
  };
  ImageBatches<double> batches(dataset, options);
  for (Index step = 0; step < 4; ++step) {
    const auto& batch = batches.next();
    for (Index i = 0; i < batch.images.images(); ++i) {
      EXPECT_EQ(batch.images.pixels()(i, 17), static_cast<double>(10 * (step / 2) + step % 2 * 4 + i) / 255);
    }
  }
}

TEST(ImageBatches, ErrorsReachTheCallerAndAreNotTheEnd) {
  const ImageDataset dataset = dataset_of(8);
  const std::vector<double> expected = first_batches(dataset, {.batch_size = 4, .prefetch = false}, 3);
  for (const bool prefetch : {false, true}) {
    std::atomic<bool> fails = false;
    ImageBatchOptions options{.batch_size = 4, .prefetch = prefetch};
    options.edit = [&](std::span<std::uint8_t>, const ImageShape&, Index epoch, Index) {
      if (fails && epoch == 1) throw std::runtime_error("no more");
    };
    fails = true;
    ImageBatches<float> batches(dataset, options);
    std::vector<double> all;
    for (int i = 0; i < 3; ++i) {
      if (i == 2) {
        EXPECT_EQ(rapt_test::error_text<std::runtime_error>([&] { std::ignore = batches.next(); }), "no more");
        EXPECT_THROW(std::ignore = batches.next(), std::runtime_error);  // again, as long as it fails
        EXPECT_EQ(batches.position(), (rapt::BatchPosition{0, 2}));
        fails = false;
      }
      const std::vector<double> one = contents(batches.next());
      all.insert(all.end(), one.begin(), one.end());
    }
    EXPECT_EQ(all, expected);
    fails = true;  // whatever is being prepared at the end fails unseen
  }
}

TEST(ImageBatches, AsksForMemoryOnce) {
  const ImageDataset dataset = dataset_of(11);
  ImageBatches<float> batches(dataset, busy_options());
  const std::size_t before = rapt::memory_stats().system_allocations, in_use = rapt::memory_stats().in_use;
  const float* pixels[2] = {};
  for (int i = 0; i < 20; ++i) {
    const float* now = batches.next().images.pixels().data();
    if (i >= 2) {
      EXPECT_EQ(now, pixels[i % 2]);
    }
    pixels[i % 2] = now;
  }
  EXPECT_EQ(rapt::memory_stats().system_allocations, before);
  EXPECT_EQ(rapt::memory_stats().in_use, in_use);
}

TEST(ImageBatches, CanBeThrownAwayAtAnyTime) {
  const ImageDataset dataset = dataset_of(11);
  for (int i = 0; i < 50; ++i) {
    ImageBatches<float> batches(dataset, busy_options());
    for (int j = 0; j < i % 4; ++j) std::ignore = batches.next();
  }
}

TEST(ImageBatches, WhatDoesNotFitIsAnError) {
  const ImageDataset dataset = dataset_of(5), none({1, 2, 2}, {}, {}, 3);
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { ImageBatches<float>(none, {.batch_size = 2}); }),
            "[image_batches] a dataset of 0 images has no batch of 2");
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>(
                [&] { ImageBatches<float>(dataset, {.batch_size = 6, .drop_last = true}); }),
            "[image_batches] a dataset of 5 images has no batch of 6 (smaller ones are dropped)");
  EXPECT_THROW(ImageBatches<float>(dataset, {.batch_size = 0}), rapt::ValueError);
  EXPECT_THROW(ImageBatches<float>(dataset, {.normalization = {{0, 0}, {1}}}), rapt::ValueError);
  EXPECT_THROW(ImageBatches<float>(dataset, {.augmentation = {.flip = 2}}), rapt::ValueError);
  EXPECT_THROW(ImageBatches<float>(dataset, {.mix = {.mixup = -1}}), rapt::ValueError);
}

TEST(ImageBatches, AForkedChildGoesOnFromThePosition) {
  const ImageDataset dataset = dataset_of(40);
  for (const bool prefetch : {false, true}) {
    ImageBatchOptions options = busy_options();
    options.prefetch = prefetch;
    ImageBatches<float> batches(dataset, options);
    const auto check = [&](bool condition, const char* what) { rapt::require(condition, "batches_test", what); };
    for (int child = 0; child < 20; ++child) {
      const std::vector<double> shown = contents(batches.next());
      const auto position = batches.position();  // the next batch is being prepared now
      EXPECT_EQ(rapt_test::exit_of_child([&] {
                  ImageBatches<float> reference(dataset, options);
                  reference.seek(position);
                  if (child % 3 == 1) batches.seek(position);
                  for (int i = 0; i < 15; ++i) check(contents(batches.next()) == contents(reference.next()), "next");
                }),
                0);
      EXPECT_EQ(rapt_test::exit_of_child([&] {
                  check(batches.position() == position, "the child is where the parent was");
                  batches.~ImageBatches();  // does not wait for a thread that is not there
                }),
                0);
      EXPECT_EQ(position, batches.position());
      EXPECT_FALSE(shown.empty());
    }
  }
}

}  // namespace
