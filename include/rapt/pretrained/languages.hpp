/// \file
/// How a multilingual model is told the languages of a translation: by a token beside the source, and by one with which
/// the target begins.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The languages of a translation by the codes that the model has for them: "en_XX" (mBART), "en" (M2M100), "eng_Latn"
/// (NLLB). Empty: the source's is the one that the model's folder names, and the target's what the model's config says.
struct Languages {
  std::string source = {}, target = {};

  [[nodiscard]] bool empty() const { return source.empty() && target.empty(); }
};

/// Where a multilingual model expects the tokens of languages.
struct LanguageScheme {
  bool behind_text = false;    ///< `X </s> en_XX` (mBART), and not `en_XX X </s>`
  bool begins_target = false;  ///< the decoder reads the target's language first (mBART), and not behind a begin token
  bool underlined = false;     ///< the token of "en" is "__en__" (M2M100)
  std::string end = "</s>";    ///< what ends a text
  std::string source = {};     ///< the language of a source if nothing else is asked for

  /// The token of a language.
  [[nodiscard]] std::string token(std::string_view language) const {
    const std::string code(language);
    return underlined ? "__" + code + "__" : code;
  }
  /// What stands around a text, or around `second` texts, of a language.
  [[nodiscard]] std::vector<TemplatePiece> pieces(std::string_view language, bool second = false) const {
    std::vector<TemplatePiece> pieces;
    if (!behind_text) pieces.push_back({token(language)});
    pieces.push_back({"$A"});
    if (second) pieces.push_back({"$B"});
    pieces.push_back({end});
    if (behind_text) pieces.push_back({token(language)});
    return pieces;
  }
  /// A model's marks for targets of a language, whose token is `id`.
  [[nodiscard]] SequenceMarks marks(SequenceMarks model, TokenId id) const {
    (begins_target ? model.begin : model.forced_begin) = id;
    return model;
  }
};

}}  // namespace rapt::RAPT_ABI
