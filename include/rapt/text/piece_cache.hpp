/// \file
/// A cache of the tokens of short pieces of text, one for each thread, so that words that occur often are not cut anew.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Maps pieces of at most 15 bytes to their tokens, at most 6. A piece has one slot, from which it drops another one,
/// so that the size is bounded. All tokenizers of a thread share its cache; each has a number of its own. A result does
/// not depend on what is in the cache, as a tokenizer never changes.
class PieceCache {
 public:
  static constexpr std::size_t kMostBytes = 15, kMostTokens = 6;

  /// A piece and its tokenizer, as the cache compares them.
  struct Key {
    std::uint64_t head = 0, tail = 0;  // the bytes, with zeros behind; the highest byte is the number of bytes
    std::uint64_t owner = 0;
    [[nodiscard]] friend bool operator==(const Key&, const Key&) = default;
  };
  struct Slot {
    Key key = {};  // the owner 0 is nobody
    std::uint32_t size = 0;
    std::array<TokenId, kMostTokens> tokens = {};
  };

  /// A number that no tokenizer of the process has.
  [[nodiscard]] static std::uint64_t new_owner() {
    static constinit std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  [[nodiscard]] static PieceCache& of_thread() {
    static thread_local std::unique_ptr<PieceCache> cache;
    if (cache == nullptr) cache = std::make_unique<PieceCache>();
    return *cache;
  }

  /// The key of text[begin, begin + size), which has at most kMostBytes.
  [[nodiscard]] static Key key_of(std::string_view text, std::size_t begin, std::size_t size, std::uint64_t owner) {
    Key key{.owner = owner};
    if (text.size() - begin >= 16 && std::endian::native == std::endian::little) {
      std::memcpy(&key.head, text.data() + begin, 8);
      std::memcpy(&key.tail, text.data() + begin + 8, 8);
      if (size < 8) {
        key.head &= (std::uint64_t{1} << (8 * size)) - 1;
        key.tail = 0;
      } else {
        key.tail &= (std::uint64_t{1} << (8 * (size - 8))) - 1;
      }
    } else {
      std::memcpy(&key.head, text.data() + begin, size < 8 ? size : 8);
      if (size > 8) std::memcpy(&key.tail, text.data() + begin + 8, size - 8);
    }
    key.tail ^= static_cast<std::uint64_t>(size) << 56;
    return key;
  }

  [[nodiscard]] Slot& slot_of(const Key& key) {
    std::uint64_t hash = (key.head ^ std::rotl(key.tail, 29) ^ (key.owner << 40)) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    hash *= 0xD6E8FEB86659FD93u;
    return slots_[static_cast<std::size_t>(hash >> (64 - kLogSlots))];
  }
  /// Puts the tokens of the key into its slot, unless they are too many.
  static void fill(Slot& slot, const Key& key, std::span<const TokenId> tokens) {
    if (tokens.size() > kMostTokens) return;
    slot.key = key;
    slot.size = static_cast<std::uint32_t>(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) slot.tokens[i] = tokens[i];
  }

 private:
  static constexpr int kLogSlots = 13;  // 8192 slots of 56 bytes
  std::array<Slot, std::size_t{1} << kLogSlots> slots_ = {};
};

}}}  // namespace rapt::RAPT_ABI::detail
