/// \file
/// Encoding text of which only some special tokens may be found, as tiktoken's `encode` does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What becomes of the texts of special tokens.
struct SpecialText {
  std::vector<std::string> allowed = {};  ///< these become their tokens
  bool refuse_others = true;              ///< others are an error; if false, they are text like any other
};

/// The tokens of a text, without special tokens around it. (Without a SpecialText, EncodeOptions::find_special allows
/// all or none.) The tokenizer's limit of tokens does not apply. Throws ValueError for an allowed token that the
/// tokenizer does not have as a special one, for a special token in the text that is refused, and for text that is not
/// UTF-8.
template <class Tokenizer>
[[nodiscard]] std::vector<TokenId> encode_allowing(const Tokenizer& tokenizer, std::string_view text,
                                                   const SpecialText& special) {
  detail::AddedTokenFinder allowed;
  for (const std::string& name : special.allowed) {
    const TokenId id = tokenizer.id(name);
    require(tokenizer.is_special(id), "encode_allowing", "an allowed token must be a special one: \"", name, "\"");
    allowed.add(name, id, {.text = name});
  }
  allowed.finish();
  if (special.refuse_others) {
    detail::AddedTokenFinder refused;
    for (const AddedToken& token : tokenizer.options().added_tokens) {
      if (!token.special) continue;
      if (std::find(special.allowed.begin(), special.allowed.end(), token.text) != special.allowed.end()) continue;
      refused.add(token.text, tokenizer.id(token.text), {.text = token.text});
    }
    refused.finish();
    refused.split(text, /*find_special=*/true, [&](std::size_t begin, std::size_t end, TokenId id) {
      require(id < 0, "encode_allowing", "the text must not have the special token \"", text.substr(begin, end - begin),
              "\": byte ", begin + 1, " of ", text.size());
    });
  }
  std::vector<TokenId> ids;
  allowed.split(text, /*find_special=*/true, [&](std::size_t begin, std::size_t end, TokenId id) {
    if (id >= 0) {
      ids.push_back(id);
      return;
    }
    const auto part = tokenizer.encode(text.substr(begin, end - begin),
                                       {.add_special = false, .find_special = false, .truncation = Truncation{}});
    ids.insert(ids.end(), part.begin(), part.end());
  });
  return ids;
}

}}  // namespace rapt::RAPT_ABI
