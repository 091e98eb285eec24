/// \file
/// The memory pool. Tensors and graph nodes take their memory here and give it back, so that after its first steps a
/// training loop allocates no memory from the system.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "rapt/core/first_use.hpp"
#include "rapt/core/fork.hpp"
#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Every block starts on a cache line, whatever the compiler flags. 64 bytes is also the size of an AVX-512 register.
inline constexpr std::size_t kAlignment = 64;

/// What `memory_stats` reports, in bytes.
struct MemoryStats {
  /// Held by tensors, graph nodes and ThreadMemory, rounded up to size classes.
  std::size_t in_use = 0;
  std::size_t peak_in_use = 0;         ///< the largest in_use since the last reset_peak_memory
  std::size_t reserved = 0;            ///< taken from the system: in use or kept for reuse
  std::size_t system_allocations = 0;  ///< how many blocks were taken from the system
};

namespace detail {

/// Hands out blocks by size classes. There are four classes for each power of two, 4, 5, 6, 7, 8, 10, 12, ... times 64
/// bytes, so that at most 25 % of a block is unused. A block that is given back joins the free list of its class; only
/// `release` gives blocks back to the system. Thread-safe.
class MemoryPool {
 public:
  // With the address sanitizer, blocks are not reused, so that it finds every use after free.
  static constexpr bool kReuse = RAPT_ADDRESS_SANITIZER == 0;
  static constexpr std::size_t kClasses = 4 * 58;

  static std::size_t size_class(std::size_t bytes) {
    const std::size_t units = std::max<std::size_t>((bytes + kAlignment - 1) / kAlignment, 4);
    const auto octave = static_cast<std::size_t>(std::bit_width(units - 1)) - 1;  // 2^octave < units <= 2^(octave + 1)
    const std::size_t step = std::size_t{1} << octave >> 2;
    return units <= 4 ? 0 : (octave - 2) * 4 + (units - (std::size_t{1} << octave) + step - 1) / step;
  }
  /// The bytes of a block of a class.
  static constexpr std::size_t class_size(std::size_t index) {
    const std::size_t octave = index == 0 ? 0 : (index - 1) / 4, part = index == 0 ? 0 : (index - 1) % 4 + 1;
    return ((std::size_t{4} << octave) + part * (std::size_t{1} << octave)) * kAlignment;
  }

  [[nodiscard]] void* allocate(std::size_t bytes) {
    const std::size_t index = size_class(bytes), size = class_size(index);
    {
      const std::lock_guard lock(mutex_);
      if (auto& list = free_[index]; !list.empty()) {
        void* block = list.back();
        list.pop_back();
        hold(size);
        return block;
      }
    }
    void* block =
        ::operator new (size, std::align_val_t{kAlignment});  // It may throw, so that it is counted only afterwards.
    const std::lock_guard lock(mutex_);
    stats_.reserved += size;
    ++stats_.system_allocations;
    hold(size);
    return block;
  }

  void deallocate(void* block, std::size_t bytes) noexcept {
    const std::size_t index = size_class(bytes), size = class_size(index);
    const std::lock_guard lock(mutex_);
    stats_.in_use -= size;
    if constexpr (kReuse) {
      try {
        free_[index].push_back(block);
        return;
      } catch (const std::bad_alloc&) {  // The list has no room for the block, which then goes back to the system.
      }
    }
    stats_.reserved -= size;
    ::operator delete (block, std::align_val_t{kAlignment});
  }

  [[nodiscard]] MemoryStats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak_in_use = stats_.in_use;
  }

  /// Called before and after a fork, so that the child does not inherit a change that another thread has half made.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  void release() {
    const std::lock_guard lock(mutex_);
    for (std::size_t index = 0; index < free_.size(); ++index) {
      for (void* block : free_[index]) {
        ::operator delete (block, std::align_val_t{kAlignment});
        stats_.reserved -= class_size(index);
      }
      free_[index].clear();
    }
  }

 private:
  void hold(std::size_t size) {
    stats_.in_use += size;
    stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
  }

  mutable std::mutex mutex_;
  MemoryStats stats_;
  std::array<std::vector<void*>, kClasses> free_;
};

/// The pool of the program. It is never destroyed, as tensors with static storage may be destroyed after everything
/// else.
inline MemoryPool& memory_pool() {
  static constinit FirstUse<MemoryPool> pool;
  return pool.get([] { return std::make_unique<MemoryPool>(); });
}

inline const bool memory_pool_is_whole_after_fork =
    at_fork([] { memory_pool().lock(); }, [] { memory_pool().unlock(); }, [] { memory_pool().unlock(); });

/// Blocks of the pool that wait for one thread: small ones alone, and a bounded number of each class. Copying or
/// computing a large block takes far longer than the pool's lock.
class BlockCache {
 public:
  static constexpr std::size_t kLargest = std::size_t{1} << 20;  ///< bytes of the largest blocks that are kept
  static constexpr std::size_t kMost = 64;                       ///< blocks of a class

  /// That of the calling thread, if it has one.
  static BlockCache*& of_this_thread() {
    thread_local BlockCache* cache = nullptr;
    return cache;
  }

  /// A block of a class; null if there is none.
  [[nodiscard]] void* take(std::size_t index) {
    if (index >= kClasses || free_[index].empty()) return nullptr;
    std::vector<void*>& list = free_[index];
    void* block = list.back();
    list.pop_back();
    return block;
  }
  /// Keeps a block of a class. Returns false for a block that is large, if there are many of the class already, and if
  /// there is no memory for the list of them.
  [[nodiscard]] bool keep(std::size_t index, void* block) noexcept {
    if (!MemoryPool::kReuse || index >= kClasses || free_[index].size() == kMost) return false;
    std::vector<void*>& list = free_[index];
    if (list.capacity() == 0) {
      try {
        list.reserve(kMost);
      } catch (const std::bad_alloc&) {
        return false;
      }
    }
    list.push_back(block);
    return true;
  }
  void give_back_to(MemoryPool& pool) noexcept {
    for (std::size_t index = 0; index < free_.size(); ++index) {
      for (void* block : free_[index]) pool.deallocate(block, MemoryPool::class_size(index));
      free_[index].clear();
    }
  }

 private:
  static constexpr std::size_t kClasses = 49;  // that of kLargest is the last
  static_assert(MemoryPool::class_size(kClasses - 1) == kLargest);
  std::array<std::vector<void*>, kClasses> free_;
};

/// Memory for tensors and graph nodes: of the calling thread's own blocks if it has some, and else of the pool. Not
/// inlined: it would be compiled anew wherever a tensor ends.
[[nodiscard, gnu::noinline]] inline void* allocate_block(std::size_t bytes) {
  if (BlockCache* const own = BlockCache::of_this_thread()) {
    if (void* block = own->take(MemoryPool::size_class(bytes))) return block;
  }
  return memory_pool().allocate(bytes);
}
[[gnu::noinline]] inline void deallocate_block(void* block, std::size_t bytes) noexcept {
  BlockCache* const own = BlockCache::of_this_thread();
  if (own != nullptr && own->keep(MemoryPool::size_class(bytes), block)) return;
  memory_pool().deallocate(block, bytes);
}

/// A standard allocator that takes memory from the pool, for graph nodes.
template <class T>
struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) {}
  [[nodiscard]] T* allocate(std::size_t n) { return static_cast<T*>(allocate_block(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) noexcept { deallocate_block(p, n * sizeof(T)); }
  friend bool operator==(const PoolAllocator&, const PoolAllocator&) { return true; }
};

}  // namespace detail

/// As long as it lives, memory that the calling thread gives back waits for this thread, which takes it again without
/// the pool's lock. For threads that answer while others train: from the second answer of a size on, an answer takes no
/// lock for its tensors, but for those of more than 1 MB, which go back to the pool at once. What waits counts as in
/// use: 64 blocks of each size class at most (0.44 GB in all). Must be destroyed by the thread that made it, when the
/// memory goes back to the pool.
class ThreadMemory {
 public:
  ThreadMemory() : before_(std::exchange(detail::BlockCache::of_this_thread(), &blocks_)) {}
  ThreadMemory(const ThreadMemory&) = delete;
  ThreadMemory& operator=(const ThreadMemory&) = delete;
  ~ThreadMemory() {
    detail::BlockCache::of_this_thread() = before_;
    blocks_.give_back_to(detail::memory_pool());
  }

 private:
  detail::BlockCache blocks_;
  detail::BlockCache* before_;  // of an outer scope
};

/// The bytes in use, at their peak, and taken from the system. Thread-safe.
[[nodiscard]] inline MemoryStats memory_stats() { return detail::memory_pool().stats(); }
/// Starts a new measurement of `peak_in_use`.
inline void reset_peak_memory() { detail::memory_pool().reset_peak(); }
/// Gives the blocks that are not in use back to the system, e.g. between training and serving. Thread-safe.
inline void release_unused_memory() { detail::memory_pool().release(); }

}}  // namespace rapt::RAPT_ABI
