/// \file
/// A hash table from 64-bit keys, such as pairs of symbols, to small values, stored in one array without nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A pair of symbols as a key. They must not both be -1.
[[nodiscard]] constexpr std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
}

/// Uses open addressing with linear probing and is at most two thirds full. Keys cannot be removed.
template <class Value>
class KeyTable {
 public:
  /// The value of a key, or nullptr if the key is not in the table.
  [[nodiscard]] const Value* find(std::uint64_t key) const {
    const Slot& slot = slots_[place(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

  /// Inserts the key with the value if it is not in the table. Returns its value and true if it was inserted; the
  /// pointer is valid until the next call.
  std::pair<Value*, bool> try_emplace(std::uint64_t key, const Value& value) {
    std::size_t at = place(key);
    if (slots_[at].key == key) return {&slots_[at].value, false};
    if (3 * ++size_ > 2 * slots_.size()) {
      grow();
      at = place(key);
    }
    slots_[at] = {key, value};
    return {&slots_[at].value, true};
  }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::uint64_t kNoKey = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kNoKey;
    Value value{};
  };

  /// The slot in which the key is or would be inserted.
  [[nodiscard]] std::size_t place(std::uint64_t key) const {
    std::uint64_t hash = (key ^ (key >> 32)) * 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio
    hash ^= hash >> 32;
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = static_cast<std::size_t>(hash) & mask;
    while (slots_[at].key != key && slots_[at].key != kNoKey) at = (at + 1) & mask;
    return at;
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != kNoKey) slots_[place(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(16);  // a power of two
  std::size_t size_ = 0;
};

}}}  // namespace rapt::RAPT_ABI::detail
