/// \file
/// A hash table from token texts to ids, made for looking up very many short pieces of text. (A Vocabulary always has
/// special tokens, and is slower.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/key_table.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Distinct texts with their ids. The hash of a text is computed byte by byte, so that a search for the longest token
/// that a text begins with gets the hashes of all its beginnings in one pass.
class TokenTable {
 public:
  static constexpr std::uint64_t kEmptyHash = 0;
  /// A byte more multiplies the hash by the factor and adds to it, so that the hash of a + b is the sum of the hash of
  /// a times the factor to the power of b's size, and the hash of b.
  static constexpr std::uint64_t kFactor = 0xD6E8FEB86659FD93u;

  /// The hash of a text that is longer by a byte (or by another text) than the text with the given hash.
  [[nodiscard]] static constexpr std::uint64_t hash_on(std::uint64_t hash, char byte) {
    return hash * kFactor + static_cast<unsigned char>(byte) + 1;
  }
  [[nodiscard]] static constexpr std::uint64_t hash_on(std::uint64_t hash, std::string_view text) {
    for (const char byte : text) hash = hash_on(hash, byte);
    return hash;
  }

  /// Adds a text. Returns false and changes nothing if it has been added before.
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

  /// The id of a text, or -1 if it is not in the table.
  [[nodiscard]] TokenId find(std::string_view text) const { return find(hash_on(kEmptyHash, text), {}, text); }
  /// The id of the text head + tail with the given hash, or -1 if it is not in the table.
  [[nodiscard]] TokenId find(std::uint64_t hash, std::string_view head, std::string_view tail) const {
    for (std::uint64_t key = first_key(hash);; key = next_key(key)) {
      const Entry* entry = entries_.find(key);
      if (entry == nullptr) return -1;
      const std::string_view text = text_of(*entry);
      if (text.size() == head.size() + tail.size() && text.starts_with(head) && text.ends_with(tail)) return entry->id;
    }
  }

  /// The number of bytes of the longest text.
  [[nodiscard]] std::size_t longest() const { return longest_; }

 private:
  struct Entry {
    TokenId id = -1;
    std::uint32_t length = 0;
    std::size_t begin = 0;
  };

  /// Texts with the same hash have consecutive keys. No key is ~0, which KeyTable uses for empty slots.
  [[nodiscard]] static constexpr std::uint64_t first_key(std::uint64_t hash) { return hash >> 1; }
  [[nodiscard]] static constexpr std::uint64_t next_key(std::uint64_t key) {
    return (key + 1) & (~std::uint64_t{0} >> 1);
  }

  [[nodiscard]] std::string_view text_of(const Entry& entry) const {
    return {bytes_.data() + entry.begin, entry.length};
  }

  std::string bytes_;  // all texts, one after the other
  KeyTable<Entry> entries_;
  std::size_t longest_ = 0;
};

/// The table of a whole vocabulary, in which a token's id is its place in `tokens`. `unused` are ids without a token,
/// whose places have an empty text; a token may be empty, too. Throws ValueError with `where` for a token that is not
/// UTF-8 or occurs twice, and for an unused id that is outside the vocabulary, occurs twice, or has a token.
[[nodiscard]] inline TokenTable index_tokens(std::span<const std::string> tokens, std::span<const TokenId> unused,
                                             std::string_view where) {
  require(tokens.size() <= to_size(std::numeric_limits<TokenId>::max()), where, "too many tokens: ", tokens.size());
  std::vector<char> is_unused(tokens.size());
  for (const TokenId id : unused) {
    require(id >= 0 && to_size(id) < tokens.size(), where, "an unused id must be from 0 to ", std::ssize(tokens) - 1,
            ": ", id);
    const auto i = to_size(id);
    require(tokens[i].empty(), where, "an unused id must have no token: ", id, " has \"", tokens[i], "\"");
    require(is_unused[i] == 0, where, "an unused id must occur once: ", id);
    is_unused[i] = 1;
  }
  TokenTable table;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (is_unused[i] != 0) continue;
    require(!find_invalid_utf8(tokens[i]), where, "a token must be UTF-8: id ", i);
    if (!table.add(tokens[i], static_cast<TokenId>(i))) {
      fail(where, "a token must occur once: \"", tokens[i], "\" has the ids ", table.find(tokens[i]), " and ", i);
    }
  }
  return table;
}

}}}  // namespace rapt::RAPT_ABI::detail
