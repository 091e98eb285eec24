/// \file
/// The special tokens that stand around the texts a tokenizer encodes.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/token_sink.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A template whose tokens are known by their ids: what stands around one text, or around two.
struct ResolvedTemplate {
  struct Piece {
    int text;  // the first (0) or second (1) text, or the token (-1)
    TokenId token, type;
  };
  std::vector<Piece> pieces;
  std::size_t special = 0;  // number of tokens around the texts
  bool is_plain = true;     // the template is the first text alone, with type 0
};

/// Adds the tokens of the texts with the special tokens around them; `types` may be nullptr.
inline void lay_out(const std::array<std::span<const TokenId>, 2>& texts, const ResolvedTemplate& pattern,
                    const EncodeOptions& options, std::vector<TokenId>& ids, std::vector<TokenId>* types) {
  for (const ResolvedTemplate::Piece& piece : pattern.pieces) {
    std::size_t count = 1;
    if (piece.text >= 0) {
      const std::span<const TokenId> text = at(texts, piece.text);
      ids.insert(ids.end(), text.begin(), text.end());
      count = text.size();
    } else if (options.add_special) {
      ids.push_back(piece.token);
    } else {
      continue;
    }
    if (types != nullptr) types->insert(types->end(), count, piece.type);
  }
}

/// `find` gives the id of a token, or -1. Throws ValueError `[where] ...` for a template that names an unknown token or
/// lacks a text.
template <class Find>
[[nodiscard]] ResolvedTemplate resolve_template(std::span<const TemplatePiece> pieces, bool has_second,
                                                std::string_view where, const Find& find) {
  ResolvedTemplate resolved;
  std::array<int, 2> texts{};
  for (const TemplatePiece& piece : pieces) {
    const int text = piece.text == "$A" ? 0 : piece.text == "$B" ? 1 : -1;
    const TokenId id = text < 0 ? find(piece.text) : -1;
    require(text >= 0 || id >= 0, where, "a template names an unknown token: \"", piece.text, "\"");
    require(piece.type >= 0, where, "a template has a negative type: ", piece.type);
    if (text < 0) {
      ++resolved.special;
    } else {
      ++at(texts, text);
    }
    resolved.is_plain = resolved.is_plain && text == 0 && piece.type == 0;
    resolved.pieces.push_back({text, id, piece.type});
  }
  require(texts[0] == 1 && texts[1] == (has_second ? 1 : 0), where, "a template for ",
          has_second ? "two texts must have $A and $B" : "one text must have $A", " once: it has $A ", texts[0],
          " times and $B ", texts[1], " times");
  return resolved;
}

}}}  // namespace rapt::RAPT_ABI::detail
