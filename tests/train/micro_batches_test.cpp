/// \file
/// Micro-batches: the blocks of processes, and reading their batches.
#include "rapt/train/micro_batches.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <vector>

#include "rapt/data/batching.hpp"
#include "rapt/images/batches.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::BatchPosition;
using rapt::Index;
using rapt::MicroBatchBlock;

TEST(MicroBatches, BlocksArePowersOfTwo) {
  EXPECT_EQ(rapt::micro_batch_block(8, 1, 0), (MicroBatchBlock{0, 8, 8}));
  EXPECT_EQ(rapt::micro_batch_block(8, 2, 1), (MicroBatchBlock{4, 4, 8}));
  EXPECT_EQ(rapt::micro_batch_block(8, 3, 1), (MicroBatchBlock{4, 4, 8}));
  EXPECT_EQ(rapt::micro_batch_block(8, 3, 2), (MicroBatchBlock{8, 0, 8}));
  EXPECT_EQ(rapt::micro_batch_block(8, 5, 3), (MicroBatchBlock{6, 2, 8}));
  EXPECT_EQ(rapt::micro_batch_block(8, 20, 7), (MicroBatchBlock{7, 1, 8}));
  EXPECT_EQ(rapt::micro_batch_block(1, 1, 0), (MicroBatchBlock{0, 1, 1}));
  for (const Index of : {1, 2, 4, 8, 64}) {
    for (Index processes = 1; processes < 70; ++processes) {
      Index next = 0;
      for (Index rank = 0; rank < processes; ++rank) {
        const MicroBatchBlock block = rapt::micro_batch_block(of, processes, rank);
        EXPECT_EQ(block.first, next);
        next += block.count;
      }
      EXPECT_EQ(next, of);
      EXPECT_EQ(rapt::micro_batch_share(of, processes).size * rapt::micro_batch_share(of, processes).contributors, of);
    }
  }
}

TEST(MicroBatches, TheirNumberIsAPowerOfTwo) {
  for (const Index wrong : {0, -2, 3, 6}) EXPECT_THROW((void)rapt::micro_batch_share(wrong, 1), rapt::ValueError);
  rapt_test::expect_message<rapt::ValueError>([] { (void)rapt::micro_batch_block(12, 2, 0); },
                                              "[trainer] micro_batches must be a power of two: 12");
}

/// The images of each step that the processes read together are those that one process reads, and all of them come to
/// the same positions.
template <class MakeSource, class NumbersIn>
void expect_processes_read_all(const MakeSource& make, const NumbersIn& numbers_in) {
  for (const Index accumulate : {1, 3}) {
    for (const Index processes : {1, 2, 3, 8}) {
      auto whole = make();
      rapt::StepBatches whole_steps(*whole, {0, 4, 4}, accumulate);
      std::vector<decltype(make())> sources;
      for (Index p = 0; p < processes; ++p) sources.push_back(make());
      std::deque<rapt::StepBatches<std::remove_cvref_t<decltype(*whole)>>> steps;
      for (Index p = 0; p < processes; ++p) {
        steps.emplace_back(*rapt::at(sources, p), rapt::micro_batch_block(4, processes, p), accumulate);
      }
      for (int step = 0; step < 7; ++step) {
        std::vector<double> expected, together;
        for (const auto& batch : whole_steps.read()) numbers_in(batch, expected);
        for (auto& process : steps) {
          for (const auto& batch : process.read()) numbers_in(batch, together);
          EXPECT_EQ(process.position(), whole_steps.position());
          EXPECT_EQ(process.epochs(), whole_steps.epochs());
        }
        EXPECT_EQ(together, expected) << "step " << step << " on " << processes;
      }
      for (Index p = 0; p < processes; ++p) {
        rapt::at(steps, p).finish();
        EXPECT_EQ(rapt::at(sources, p)->position(), whole->position());
      }
    }
  }
}

TEST(StepBatches, ProcessesReadAllPairs) {
  // The second epoch has fewer batches than the first.
  const auto pairs_of = [](Index epoch) {
    std::vector<rapt::TokenPair> pairs;
    for (rapt::TokenId i = 0; i < (epoch % 2 == 0 ? 30 : 17); ++i) pairs.push_back({{i, i, i}, {i, i, i}});
    return pairs;
  };
  expect_processes_read_all(
      [&] { return std::make_unique<rapt::BatchStream>(pairs_of, rapt::BatchOptions{.tokens = 8}); },
      [](const rapt::TranslationBatch& batch, std::vector<double>& numbers) {
        numbers.insert(numbers.end(), batch.source.tokens.begin(), batch.source.tokens.end());
      });
}

rapt::ImageDataset some_images(Index count) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count * 4));
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return {rapt::ImageShape{1, 2, 2}, std::move(bytes), std::vector<rapt::TokenId>(rapt::to_size(count), 1), 3};
}

TEST(StepBatches, ProcessesReadAllImages) {
  const rapt::ImageDataset images = some_images(23);
  for (const bool prefetch : {false, true}) {
    expect_processes_read_all(
        [&] {
          return std::make_unique<rapt::ImageBatches<float>>(
              images, rapt::ImageBatchOptions{.batch_size = 2, .prefetch = prefetch});
        },
        [](const rapt::LabelledImages<float>& batch, std::vector<double>& numbers) {
          numbers.insert(numbers.end(), batch.numbers.begin(), batch.numbers.end());
        });
  }
}

TEST(StepBatches, NothingIsPreparedForOtherProcesses) {
  const rapt::ImageDataset images = some_images(40);
  std::mutex mutex;
  std::set<Index> prepared;
  const rapt::ImageBatchOptions options{
      .batch_size = 1, .shuffle = false, .edit = [&](std::span<std::uint8_t>, const rapt::ImageShape&, Index, Index i) {
        const std::lock_guard lock(mutex);
        prepared.insert(i);
      }};
  {
    rapt::ImageBatches<float> source(images, options);
    rapt::StepBatches steps(source, rapt::micro_batch_block(8, 4, 1), 1);
    for (int step = 0; step < 3; ++step) {
      ASSERT_EQ(steps.read().size(), 2u);
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(prepared.contains(8 * step + 2) && prepared.contains(8 * step + 3));
    }
    steps.finish();  // waits for what is under way
    EXPECT_EQ(source.position(), (BatchPosition{0, 24}));
  }
  // 26 was prepared for the fourth step.
  EXPECT_EQ(prepared, (std::set<Index>{2, 3, 10, 11, 18, 19, 26}));
}

TEST(StepBatches, WhatIsThrownPutsTheSourceBack) {
  const rapt::ImageDataset images = some_images(40);
  for (const Index processes : {1, 2, 3}) {
    for (Index rank = 0; rank < processes; ++rank) {
      rapt::ImageBatches<float> source(images, {.batch_size = 1, .shuffle = false});
      try {
        rapt::StepBatches steps(source, rapt::micro_batch_block(4, processes, rank), 2);
        (void)steps.read();
        (void)steps.read();
        throw std::runtime_error("a step");
      } catch (const std::runtime_error&) {
        EXPECT_EQ(source.position(), (BatchPosition{0, 16})) << rank << " of " << processes;
        EXPECT_EQ(source.next().numbers, std::vector<Index>{16});
      }
    }
  }
}

TEST(StepBatches, AStepThatCannotBeReadIsReadAnewNextTime) {
  const rapt::ImageDataset images = some_images(40);
  std::atomic<bool> fails = true;
  const rapt::ImageBatchOptions options{
      .batch_size = 1, .shuffle = false, .edit = [&](std::span<std::uint8_t>, const rapt::ImageShape&, Index, Index i) {
        if (i == 14 && fails) throw std::runtime_error("image 14");
      }};
  rapt::ImageBatches<float> source(images, options);
  const auto read_two = [&] {
    rapt::StepBatches steps(source, rapt::micro_batch_block(4, 2, 1), 2);
    (void)steps.read();
    return steps.read().back().numbers;
  };
  EXPECT_THROW((void)read_two(), std::runtime_error);
  EXPECT_EQ(source.position(), (BatchPosition{0, 8}));
  fails = false;
  EXPECT_EQ(read_two(), std::vector<Index>{23});
  EXPECT_EQ(source.position(), (BatchPosition{0, 24}));
}

TEST(StepBatches, AProcessWithoutMicroBatchesReadsNone) {
  const rapt::ImageDataset images = some_images(9);
  rapt::ImageBatches<float> source(images, {.batch_size = 2});
  rapt::StepBatches steps(source, rapt::micro_batch_block(2, 3, 2), 2);
  for (Index step = 1; step < 4; ++step) {
    EXPECT_TRUE(steps.read().empty());
    EXPECT_EQ(steps.position(), (BatchPosition{(4 * step - 1) / 5, (4 * step - 1) % 5 + 1}));
  }
}

}  // namespace
