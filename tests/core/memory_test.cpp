/// \file
/// The memory pool: size classes, reuse, accounting, and threads.
#include "rapt/core/memory.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "rapt/core/tensor.hpp"
#include "tests/common/locked_pool.hpp"
#include "tests/common/memory_limit.hpp"

namespace {

using rapt::memory_stats;
using rapt::detail::MemoryPool;

constexpr bool kReuse = RAPT_ADDRESS_SANITIZER == 0;

TEST(MemoryPool, WastesAtMostAQuarterAndAligns) {
  MemoryPool pool;
  for (std::size_t bytes = 1; bytes < (std::size_t{1} << 22); bytes += 1 + bytes / 17) {
    void* block = pool.allocate(bytes);
    const std::size_t taken = pool.stats().in_use;
    EXPECT_GE(taken, bytes);
    if (bytes >= 256) {  // the smallest class
      EXPECT_LE(static_cast<double>(taken), 1.25 * static_cast<double>(bytes) + 64) << bytes;
    } else {
      EXPECT_EQ(taken, 256u);
    }
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % rapt::kAlignment, 0u);
    std::memset(block, 1, bytes);
    pool.deallocate(block, bytes);
    EXPECT_EQ(pool.stats().in_use, 0u);
  }
  pool.release();
  EXPECT_EQ(pool.stats().reserved, 0u);
}

TEST(MemoryPool, ClassesRiseInFourStepsPerPowerOfTwo) {
  MemoryPool pool;
  std::vector<std::size_t> sizes;
  for (std::size_t bytes = 1; bytes <= 4096; ++bytes) {
    void* block = pool.allocate(bytes);
    if (const std::size_t size = pool.stats().in_use; sizes.empty() || sizes.back() != size) sizes.push_back(size);
    pool.deallocate(block, bytes);
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560,
                                             3072, 3584, 4096}));
  pool.release();
}

TEST(MemoryPool, ASecondBlockOfTheSameClassAsksTheSystemForNothing) {
  if (!kReuse) GTEST_SKIP() << "blocks are not reused under the address sanitizer";
  MemoryPool pool;
  void* first = pool.allocate(1000);
  pool.deallocate(first, 1000);
  EXPECT_EQ(pool.stats().reserved, 1024u);
  EXPECT_EQ(pool.allocate(900), first);
  EXPECT_EQ(pool.stats().system_allocations, 1u);
  void* second = pool.allocate(1000);  // the first is in use
  EXPECT_NE(second, first);
  EXPECT_EQ(pool.stats().system_allocations, 2u);
  pool.deallocate(first, 900);
  pool.deallocate(second, 1000);
  pool.release();
  EXPECT_EQ(pool.stats().reserved, 0u);
  EXPECT_EQ(pool.stats().system_allocations, 2u);
}

TEST(MemoryPool, ReportsThePeak) {
  MemoryPool pool;
  void* a = pool.allocate(256);
  void* b = pool.allocate(512);
  pool.deallocate(b, 512);
  EXPECT_EQ(pool.stats().in_use, 256u);
  EXPECT_EQ(pool.stats().peak_in_use, 768u);
  pool.reset_peak();
  EXPECT_EQ(pool.stats().peak_in_use, 256u);
  pool.deallocate(a, 256);
  EXPECT_EQ(pool.stats().peak_in_use, 256u);
  pool.release();
}

TEST(MemoryPool, AFailedRequestLeavesTheNumbersAsTheyWere) {
#if RAPT_ADDRESS_SANITIZER || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers end the program instead of throwing";
#endif
  MemoryPool pool;
  EXPECT_THROW((void)pool.allocate(std::size_t{1} << 60), std::bad_alloc);
  EXPECT_EQ(pool.stats().in_use, 0u);
  EXPECT_EQ(pool.stats().peak_in_use, 0u);
  EXPECT_EQ(pool.stats().reserved, 0u);
  EXPECT_EQ(pool.stats().system_allocations, 0u);
}

TEST(Memory, ALoopOfTensorsAsksTheSystemOnce) {
  if (!kReuse) GTEST_SKIP() << "blocks are not reused under the address sanitizer";
  const auto step = [] {
    rapt::Tensor<float> a(rapt::Shape{333, 17}), b = a, c = std::move(a);
    return c.size() + b.size();
  };
  EXPECT_GT(step(), 0);
  const auto before = memory_stats();
  for (int i = 0; i < 100; ++i) EXPECT_GT(step(), 0);
  EXPECT_EQ(memory_stats().system_allocations, before.system_allocations);
  EXPECT_EQ(memory_stats().reserved, before.reserved);
  EXPECT_EQ(memory_stats().in_use, before.in_use);
}

TEST(Memory, ReleaseKeepsWhatIsInUse) {
  rapt::Tensor<float> kept(rapt::Shape{5000}, 1.f);
  { rapt::Tensor<float> gone(rapt::Shape{5000}); }
  rapt::release_unused_memory();
  EXPECT_EQ(memory_stats().reserved, memory_stats().in_use);
  EXPECT_EQ(kept.matrix().sum(), 5000.f);
}

TEST(Memory, ServesManyThreads) {
  const auto before = memory_stats().in_use;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        const rapt::Tensor<int> a(rapt::Shape{1 + (i * 7 + t) % 300}, t);
        const rapt::Tensor<int> b = a;
        for (const int x : b.values()) ASSERT_EQ(x, t);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(memory_stats().in_use, before);
}

TEST(ThreadMemory, ItsThreadTakesBlocksWithoutTheLock) {
  if (!kReuse) GTEST_SKIP() << "blocks are not reused under the address sanitizer";
  const bool finished = rapt_test::finishes_while_the_pool_is_locked([] {
    const rapt::Tensor<float> a(rapt::Shape{1000}, 1.f), b = a;
    const std::vector<int, rapt::detail::PoolAllocator<int>> numbers(100, 3);
  });
  EXPECT_TRUE(finished);
}

TEST(ThreadMemory, GivesEverythingBack) {
  const auto before = memory_stats();
  {
    const rapt::ThreadMemory outer;
    rapt::Tensor<float> outlives;
    {
      const rapt::ThreadMemory memory;
      outlives = rapt::Tensor<float>(rapt::Shape{1000});
      { const rapt::Tensor<float> gone(rapt::Shape{1000}); }
      EXPECT_EQ(memory_stats().in_use, before.in_use + (kReuse ? 2 : 1) * 4096);
    }
    EXPECT_EQ(memory_stats().in_use, before.in_use + 4096);
  }
  EXPECT_EQ(memory_stats().in_use, before.in_use);
}

TEST(ThreadMemory, KeepsABoundedNumberOfBlocks) {
  const auto before = memory_stats().in_use;
  {
    const rapt::ThreadMemory memory;
    { const std::vector<rapt::Tensor<float>> many(200, rapt::Tensor<float>(rapt::Shape{1000})); }
    EXPECT_EQ(memory_stats().in_use, before + (kReuse ? 64 * 4096 : 0));
  }
  EXPECT_EQ(memory_stats().in_use, before);
}

TEST(ThreadMemory, LargeBlocksGoBackToThePool) {
  constexpr rapt::Index kFloats = (rapt::Index{1} << 20) / sizeof(float);
  const auto before = memory_stats().in_use;
  const rapt::ThreadMemory memory;
  { const rapt::Tensor<float> large(rapt::Shape{kFloats + 1}); }
  EXPECT_EQ(memory_stats().in_use, before);
  { const rapt::Tensor<float> largest_kept(rapt::Shape{kFloats}); }
  EXPECT_EQ(memory_stats().in_use, before + (kReuse ? std::size_t{1} << 20 : 0));
}

TEST(ThreadMemory, ABlockThatNoListHasRoomForGoesBackToTheSystem) {
#if RAPT_ADDRESS_SANITIZER || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers end the program where there is no memory";
#endif
  if (!rapt_test::kLimitsMemory) GTEST_SKIP() << "this system does not limit the memory of a process";
  constexpr std::size_t kBytes = std::size_t{1} << 20, kMostTaken = std::size_t{1} << 30;
  struct Taken {
    Taken* before;
  };
  Taken* taken = nullptr;
  std::size_t taken_bytes = 0;
  bool is_kept = true;
  const auto before = memory_stats();
  const rapt::ThreadMemory memory;
  MemoryPool pool;
  void *const kept = rapt::detail::allocate_block(kBytes), *const pooled = pool.allocate(kBytes);
  {
    const rapt_test::MemoryLimit limit(0);
    // Takes all that there is for the lists of both: the system's free memory is sorted by sizes.
    for (const std::size_t bytes : {rapt::detail::BlockCache::kMost * sizeof(void*), sizeof(Taken)}) {
      while (taken_bytes < kMostTaken) {
        void* const some = std::malloc(bytes);
        if (some == nullptr) break;
        taken = new (some) Taken{taken};
        taken_bytes += bytes;
      }
    }
    rapt::detail::BlockCache cache;
    is_kept = cache.keep(MemoryPool::size_class(kBytes), kept);
    pool.deallocate(pooled, kBytes);
  }
  while (taken != nullptr) std::free(std::exchange(taken, taken->before));
  if (taken_bytes >= kMostTaken) {
    pool.release();
    rapt::detail::deallocate_block(kept, kBytes);
    GTEST_SKIP() << "this system does not limit the memory of a process";
  }
  EXPECT_FALSE(is_kept);
  EXPECT_EQ(pool.stats().in_use, 0u);
  EXPECT_EQ(pool.stats().reserved, 0u);
  rapt::detail::deallocate_block(kept, kBytes);
  EXPECT_EQ(memory_stats().in_use, before.in_use + kBytes);
}

TEST(Memory, AllocatorServesStandardContainers) {
  const auto before = memory_stats().in_use;
  {
    std::vector<int, rapt::detail::PoolAllocator<int>> v(1000, 3);
    EXPECT_GE(memory_stats().in_use, before + 4000);
    EXPECT_EQ(v[999], 3);
  }
  EXPECT_EQ(memory_stats().in_use, before);
}

}  // namespace
