/// \file
/// CharacterMap: replaces short sequences of characters in text, by the compiled rules of normalisation that
/// SentencePiece (`precompiled_charsmap`) and Hugging Face's tokenizers ("Precompiled") keep in their files.
///
/// The rules are bytes: the size of a double-array trie (Aoe 1989) as a little-endian word of 32 bits, the trie as
/// words of the same kind (Darts-clone's layout), and the replacements as texts that each end with a zero byte. The
/// trie maps a sequence of characters to the offset of its replacement.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Rules that each replace one sequence of characters. Immutable; many threads may use one object.
class CharacterMap {
 public:
  /// What the map has found at the beginning of a text.
  struct Match {
    std::string_view replacement;  ///< may be empty; a view of the map's own text
    std::size_t length;            ///< the number of bytes that it replaces, at least 1
  };

  /// No rules: nothing is replaced.
  CharacterMap() = default;

  /// Throws ValueError unless the bytes are a whole map: a trie that never leaves its words, whose values are offsets
  /// of replacements that are UTF-8.
  explicit CharacterMap(std::string_view bytes) {
    require(bytes.size() > kWord, kName, "a map must begin with the size of its trie: it has ", bytes.size(), " bytes");
    const std::size_t trie_bytes = word_at(bytes, 0);
    require(trie_bytes > 0 && trie_bytes % (kBlock * kWord) == 0 && trie_bytes < bytes.size() - kWord, kName,
            "the size of the trie must be a multiple of ", kBlock * kWord, ", and less than the ", bytes.size() - kWord,
            " bytes behind it: ", trie_bytes);
    units_.resize(trie_bytes / kWord);
    for (std::size_t i = 0; i < units_.size(); ++i) units_[i] = word_at(bytes, kWord * (i + 1));
    texts_ = bytes.substr(kWord + trie_bytes);
    require(texts_.back() == '\0', kName, "the last replacement must end with a zero byte");
    const auto invalid = find_invalid_utf8(texts_);
    require(!invalid, kName, "a replacement must be UTF-8: that at ", texts_.rfind('\0', invalid.value_or(0)) + 1);
    for (std::size_t i = 0; i < units_.size(); ++i) {
      if (i == 0 || !is_value(units_[i])) check_unit(i);
    }
    find_unchanged();
  }

  [[nodiscard]] bool empty() const { return units_.empty(); }
  /// The bytes of which the constructor makes the same map; none if it is empty.
  [[nodiscard]] std::string to_bytes() const {
    std::string bytes;
    if (empty()) return bytes;
    const auto add = [&](std::uint32_t word) {
      for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(word >> shift & 0xFFu);
    };
    add(static_cast<std::uint32_t>(units_.size() * kWord));
    for (const std::uint32_t unit : units_) add(unit);
    return bytes += texts_;
  }

  /// The rule with the longest sequence of characters with which the text begins.
  [[nodiscard]] std::optional<Match> longest(std::string_view text) const {
    std::optional<Match> found;
    walk(text, [&](const Match& match) {
      found = match;
      return true;
    });
    return found;
  }
  /// The rule with the shortest sequence of characters with which the text begins.
  [[nodiscard]] std::optional<Match> shortest(std::string_view text) const {
    std::optional<Match> found;
    walk(text, [&](const Match& match) {
      found = match;
      return false;
    });
    return found;
  }

  /// True for an ASCII character at which no rule begins whose second byte, if it has one, is ASCII. Before another
  /// ASCII character and at the end of a text, such a character is never replaced.
  [[nodiscard]] bool is_unchanged(unsigned char ascii) const { return unchanged_[ascii]; }

 private:
  static constexpr const char* kName = "character_map";
  static constexpr std::size_t kWord = 4, kBlock = 256;  // units come in blocks, in which all children of a unit lie

  [[nodiscard]] static std::uint32_t word_at(std::string_view bytes, std::size_t offset) {
    std::uint32_t word = 0;
    for (std::size_t i = kWord; i-- > 0;) word = (word << 8) | static_cast<unsigned char>(bytes[offset + i]);
    return word;
  }

  // A unit is a value (bit 31 and the value), or has a label (bits 0 to 7), the flag that a key ends here (bit 8), and
  // the offset to its children (bits 10 to 30, times 256 if bit 9 is set).
  [[nodiscard]] static constexpr bool is_value(std::uint32_t unit) { return unit >> 31 != 0; }
  [[nodiscard]] static constexpr std::uint32_t label(std::uint32_t unit) { return unit & 0x800000FFu; }
  [[nodiscard]] static constexpr bool ends_key(std::uint32_t unit) { return (unit >> 8 & 1u) != 0; }
  [[nodiscard]] static constexpr std::size_t offset(std::uint32_t unit) {
    return std::size_t{unit >> 10} << ((unit & 0x200u) != 0 ? 8u : 0u);
  }

  void check_unit(std::size_t i) const {
    const std::uint32_t unit = units_[i];
    const std::size_t children = i ^ offset(unit);
    require(children < units_.size(), kName, "the trie must not leave its ", units_.size(), " units: unit ", i,
            " has children at ", children);
    if (!ends_key(unit)) return;
    const std::uint32_t value = units_[children] & 0x7FFFFFFFu;
    require(value < texts_.size(), kName, "the replacements are ", texts_.size(), " bytes: unit ", i, " has one at ",
            value);
    require((static_cast<unsigned char>(texts_[value]) & 0xC0u) != 0x80u, kName,
            "a replacement must begin with a character: that at ", value);
  }

  void find_unchanged() {
    const std::size_t root = offset(units_[0]);
    for (std::size_t byte = 0; byte < unchanged_.size(); ++byte) {
      const std::size_t at = root ^ byte;
      if (label(units_[at]) != byte) continue;
      bool is_replaced = ends_key(units_[at]);
      for (std::size_t next = 0; next < unchanged_.size(); ++next) {
        is_replaced = is_replaced || label(units_[at ^ offset(units_[at]) ^ next]) == next;
      }
      unchanged_[byte] = !is_replaced;
    }
  }

  [[nodiscard]] std::string_view text_at(std::size_t begin) const {
    return {texts_.data() + begin, texts_.find('\0', begin) - begin};
  }

  /// Calls use(match) for each rule with which the text begins, the shortest first, until it returns false.
  template <class Use>
  void walk(std::string_view text, const Use& use) const {
    if (units_.empty()) return;
    std::size_t at = offset(units_[0]);
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      at ^= byte;
      const std::uint32_t unit = units_[at];
      if (label(unit) != byte) return;
      at ^= offset(unit);
      const bool ends_character = i + 1 == text.size() || (static_cast<unsigned char>(text[i + 1]) & 0xC0u) != 0x80u;
      if (ends_key(unit) && ends_character && !use(Match{text_at(units_[at] & 0x7FFFFFFFu), i + 1})) return;
    }
  }

  std::vector<std::uint32_t> units_;
  std::string texts_;
  std::array<bool, 128> unchanged_ = [] {
    std::array<bool, 128> all{};
    all.fill(true);
    return all;
  }();
};

}}  // namespace rapt::RAPT_ABI
