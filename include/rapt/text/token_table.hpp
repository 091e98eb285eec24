/// \file
/// A table from token texts to ids, for looking up very many short pieces of text. (A Vocabulary is for names; it needs
/// special tokens.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rapt/core/token_batch.hpp"
#include "rapt/text/key_table.hpp"

namespace rapt::inline RAPT_ABI {

namespace detail {

/// Distinct texts with their ids. A text's hash is taken byte by byte, so that who looks for the longest token of a
/// text's beginnings has all their hashes from one pass.
class TokenTable {
 public:
  static constexpr std::uint64_t kEmptyHash = 0;

  /// The hash of a text and one more byte.
  [[nodiscard]] static constexpr std::uint64_t hash_on(std::uint64_t hash, char byte) {
    return hash * 0xD6E8FEB86659FD93u + static_cast<unsigned char>(byte) + 1;
  }
  [[nodiscard]] static constexpr std::uint64_t hash_on(std::uint64_t hash, std::string_view text) {
    for (const char byte : text) hash = hash_on(hash, byte);
    return hash;
  }

  /// Says no, and changes nothing, when the text is here already.
  bool add(std::string_view text, TokenId id) {
    const Entry entry{id, static_cast<std::uint32_t>(text.size()), bytes_.size()};
    for (std::uint64_t key = first_key(hash_on(kEmptyHash, text));; key = next_key(key)) {
      const auto [at, is_new] = entries_.try_emplace(key, entry);
      if (is_new) break;
      if (text_of(*at) == text) return false;
    }
    bytes_ += text;
    longest_ = std::max(longest_, text.size());
    return true;
  }

  /// The text's id, or -1.
  [[nodiscard]] TokenId find(std::string_view text) const { return find(hash_on(kEmptyHash, text), {}, text); }
  /// The id of the text `head + tail`, whose hash is given, or -1.
  [[nodiscard]] TokenId find(std::uint64_t hash, std::string_view head, std::string_view tail) const {
    for (std::uint64_t key = first_key(hash);; key = next_key(key)) {
      const Entry* entry = entries_.find(key);
      if (entry == nullptr) return -1;
      const std::string_view text = text_of(*entry);
      if (text.size() == head.size() + tail.size() && text.starts_with(head) && text.ends_with(tail)) return entry->id;
    }
  }

  /// Bytes of the longest text.
  [[nodiscard]] std::size_t longest() const { return longest_; }

 private:
  struct Entry {
    TokenId id = -1;
    std::uint32_t length = 0;
    std::size_t begin = 0;
  };

  /// Texts with the same hash stand one key apart. No key is ~0, which the table takes for none.
  [[nodiscard]] static constexpr std::uint64_t first_key(std::uint64_t hash) { return hash >> 1; }
  [[nodiscard]] static constexpr std::uint64_t next_key(std::uint64_t key) {
    return (key + 1) & (~std::uint64_t{0} >> 1);
  }

  [[nodiscard]] std::string_view text_of(const Entry& entry) const {
    return {bytes_.data() + entry.begin, entry.length};
  }

  std::string bytes_;  // of all texts
  KeyTable<Entry> entries_;
  std::size_t longest_ = 0;
};

}  // namespace detail

}  // namespace rapt::inline RAPT_ABI
