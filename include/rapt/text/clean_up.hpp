/// \file
/// Cleaning up decoded text: the spaces that cutting text into words has put before punctuation and English
/// contractions go, as in Hugging Face's transformers (`clean_up_tokenization_spaces`) and tokenizers (WordPiece's
/// `cleanup`).
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/text/replace_all.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// All replacements, one behind the other; " do not" becomes " don't" only if wished.
inline void clean_up(std::string& text, bool contracts_do_not) {
  using Replacement = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Replacement, 11> kReplacements = {
      Replacement{" .", "."},   Replacement{" ?", "?"},     Replacement{" !", "!"},    Replacement{" ,", ","},
      Replacement{" ' ", "'"},  Replacement{" n't", "n't"}, Replacement{" 'm", "'m"},  Replacement{" do not", " don't"},
      Replacement{" 's", "'s"}, Replacement{" 've", "'ve"}, Replacement{" 're", "'re"}};
  if (text.find(' ') == text.npos) return;
  for (const auto& [from, to] : kReplacements) {
    if (contracts_do_not || from != " do not") replace_all(text, from, to);
  }
}

/// WordPiece's clean-up of one token with the space before it.
inline void clean_up_token(std::string& token) { clean_up(token, true); }

}  // namespace detail

/// The text without the spaces before ". ? ! ," and before "n't 'm 's 've 're", and without those on both sides of "'":
/// "you should ' ve won , it ' s true ." becomes "you should've won, it's true.". Text in which such spaces are meant
/// loses them, too.
[[nodiscard]] inline std::string clean_up_spaces(std::string text) {
  detail::clean_up(text, false);
  return text;
}

}}  // namespace rapt::RAPT_ABI
