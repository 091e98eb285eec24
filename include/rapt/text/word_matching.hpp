/// \file
/// WordPiece's matching: a word becomes the longest token that it begins with, followed by the longest token with a
/// prefix such as "##" that the rest begins with, and so on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/token_table.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A beginning of the rest of a word.
struct HashedPrefix {
  std::size_t end;  // where it ends
  std::uint64_t hash;
};

/// The longest token head + beginning of `rest`, and the number of bytes of that beginning; -1 if there is no token.
[[nodiscard]] inline std::pair<TokenId, std::size_t> longest_token(const TokenTable& ids, std::string_view head,
                                                                   std::string_view rest,
                                                                   std::vector<HashedPrefix>& prefixes) {
  prefixes.clear();
  std::uint64_t hash = TokenTable::hash_on(TokenTable::kEmptyHash, head);
  for (std::size_t i = 0; i < rest.size() && i + head.size() < ids.longest();) {
    const std::size_t end = i + known_code_point_at(rest, i).length;
    for (; i < end; ++i) hash = TokenTable::hash_on(hash, rest[i]);
    prefixes.push_back({end, hash});
  }
  for (std::size_t i = prefixes.size(); i-- > 0;) {
    const TokenId id = ids.find(prefixes[i].hash, head, rest.substr(0, prefixes[i].end));
    if (id >= 0) return {id, prefixes[i].end};
  }
  return {-1, 0};
}

/// Calls add(id, begin, end) for the tokens of a word. Returns false, possibly after some calls, if the word is not
/// made of tokens.
template <class Add>
[[nodiscard]] bool match_word(const TokenTable& ids, std::string_view prefix, std::string_view word,
                              std::vector<HashedPrefix>& prefixes, const Add& add) {
  for (std::size_t begin = 0; begin < word.size();) {
    const auto [id, length] = longest_token(ids, begin > 0 ? prefix : std::string_view(), word.substr(begin), prefixes);
    if (id < 0) return false;
    add(id, begin, begin + length);
    begin += length;
  }
  return true;
}

}}}  // namespace rapt::RAPT_ABI::detail
