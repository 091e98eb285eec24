/// \file
/// Byte pair encoding of a whole piece in a time proportional to its length.
///
/// PairJoiner makes the tokens of a piece join by join. This encoder goes through the piece from left to right instead:
/// it takes the longest token that byte pair encoding may put behind the last one, and goes back where no token fits.
/// The idea is that of the Rust crate bpe (van Antwerpen and Neubeck 2024, "So many tokens, so little time"):
///
/// 1. Tokens t_1 .. t_n are the encoding of their text if and only if the encoding of t_i t_(i+1) is these two tokens,
///    for each i. Otherwise the joins of the text have a first one that crosses the border of two of the tokens, and
///    the same join is made in the text of these two alone, because up to there both go through the same states.
/// 2. So each beginning of the text has one encoding, and a place from which the search has once gone back needs no
///    second visit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/byte_trie.hpp"
#include "rapt/text/key_table.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Finds the same tokens as PairJoiner, one join after the other, makes of the bytes of a piece. Immutable; many
/// threads may use one object.
class LongestMatchJoiner {
 public:
  /// A token that joining makes of its own bytes.
  struct Token {
    std::string_view bytes;  ///< empty: joining never makes this token
    /// The last of these joins: its rank and the two tokens that it joins. -1 for a token of one byte.
    std::int32_t rank = -1;
    TokenId left = -1, right = -1;
  };
  /// Buffers that are used again for each piece.
  struct Work {
    std::vector<TokenId> tokens;  ///< the result
    std::vector<char> is_dead;    // by place: no encoding of the piece has a border here
  };

  /// An encoder for no tokens, which must not be called.
  LongestMatchJoiner() = default;

  /// `tokens` by id. They must be orderly (see there).
  explicit LongestMatchJoiner(std::span<const Token> tokens) : nodes_(tokens.size()) {
    std::vector<ByteTrie::Key> keys;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (!tokens[i].bytes.empty()) keys.push_back({tokens[i].bytes, static_cast<std::int32_t>(i)});
    }
    const std::size_t count = keys.size();
    while (filter_.size() * 64 < kFilterBits * count) filter_.resize(2 * filter_.size());
    trie_ = ByteTrie(std::move(keys), "longest_match_joiner");
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Token& token = tokens[i];
      if (token.bytes.empty()) continue;
      nodes_[i] = {token.rank, token.left, token.right, -1, static_cast<std::uint32_t>(token.bytes.size())};
      trie_.walk(token.bytes, [&](std::size_t length, TokenId id) {
        if (length < token.bytes.size()) nodes_[i].shorter = id;
      });
      if (token.rank < 0) continue;
      const std::uint64_t key = pair_key(token.left, token.right);
      ranks_.try_emplace(key, token.rank);
      const std::uint64_t bit = filter_bit(key);
      filter_[static_cast<std::size_t>(bit / 64)] |= std::uint64_t{1} << (bit % 64);
    }
  }

  /// True if no token is made by a join of smaller rank than the joins of its parts, so that the joins within a text
  /// are made in the order of their ranks. That is so for all learned vocabularies, but not for every list of merges.
  [[nodiscard]] static bool is_orderly(std::span<const Token> tokens) {
    return std::all_of(tokens.begin(), tokens.end(), [&](const Token& token) {
      return token.rank < 0 || (token.rank > at(tokens, token.left).rank && token.rank > at(tokens, token.right).rank);
    });
  }

  /// Sets `work.tokens` to the tokens of a piece. Throws ValueError if one of its bytes is no token.
  void operator()(std::string_view piece, Work& work) const {
    std::vector<TokenId>& tokens = work.tokens;
    tokens.clear();
    work.is_dead.assign(piece.size() + 1, 0);
    std::size_t place = 0;
    TokenId next = longest(piece);
    while (place < piece.size()) {
      const TokenId last = tokens.empty() ? -1 : tokens.back();
      while (next >= 0 && (work.is_dead[place + at(nodes_, next).length] != 0 || !may_follow(last, next))) {
        next = at(nodes_, next).shorter;
      }
      if (next >= 0) {
        tokens.push_back(next);
        place += at(nodes_, next).length;
        next = longest(piece.substr(place));
      } else {
        require(last >= 0, "longest_match_joiner", "a byte of the text is no token: text of ", piece.size(), " bytes");
        work.is_dead[place] = 1;
        place -= at(nodes_, last).length;
        tokens.pop_back();
        next = at(nodes_, last).shorter;
      }
    }
  }

 private:
  static constexpr std::size_t kFilterBits = 8;  // for each pair, at least

  struct Node {
    std::int32_t rank = -1;
    TokenId left = -1, right = -1;
    TokenId shorter = -1;  // the longest token that this one begins with, or -1
    std::uint32_t length = 0;
  };

  [[nodiscard]] TokenId longest(std::string_view text) const { return trie_.longest(text).value; }

  [[nodiscard]] std::uint64_t filter_bit(std::uint64_t key) const {
    return (key * 0x9E3779B97F4A7C15u >> 20) & (64 * filter_.size() - 1);
  }
  /// The rank of the join of two tokens, or the greatest number if there is none.
  [[nodiscard]] std::int32_t rank_of(TokenId left, TokenId right) const {
    const std::uint64_t key = pair_key(left, right), bit = filter_bit(key);
    if ((filter_[static_cast<std::size_t>(bit / 64)] >> (bit % 64) & 1) == 0) return kNoRank;
    const std::int32_t* const found = ranks_.find(key);
    return found == nullptr ? kNoRank : *found;
  }

  /// True if the encoding of the text of the two tokens is these tokens; a token of id -1 may be followed by all.
  /// Undoes the joins of both in the reverse order. The last symbol of `left` and the first one of `right` would have
  /// been joined if their rank is less than that of the join that was undone last. (Of the same rank, the join that is
  /// further left comes first.)
  [[nodiscard]] bool may_follow(TokenId left, TokenId right) const {
    if (left < 0) return true;
    for (std::int32_t limit = kNoRank;;) {
      if (rank_of(left, right) < limit) return false;
      const Node &before = at(nodes_, left), &behind = at(nodes_, right);
      if (before.rank > behind.rank) {
        limit = before.rank;
        left = before.right;
      } else if (behind.rank >= 0) {
        limit = behind.rank + 1;
        right = behind.left;
      } else {
        return true;
      }
    }
  }

  static constexpr std::int32_t kNoRank = std::numeric_limits<std::int32_t>::max();

  ByteTrie trie_;
  std::vector<Node> nodes_;                                             // by id
  KeyTable<std::int32_t> ranks_;                                        // of the last join of each token
  std::vector<std::uint64_t> filter_ = std::vector<std::uint64_t>(16);  // the bits of the pairs in ranks_
};

}}}  // namespace rapt::RAPT_ABI::detail
