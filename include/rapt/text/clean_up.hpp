/// \file
/// Cleaning up decoded text: removes the spaces before punctuation and English contractions that come from splitting
/// text into words, as Hugging Face's transformers (`clean_up_tokenization_spaces`) and tokenizers (WordPiece's
/// `cleanup`) do.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/text/replace_all.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Makes all replacements, one after the other; " do not" becomes " don't" only with contracts_do_not.
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

/// WordPiece's clean-up of a single token with the space before it.
inline void clean_up_token(std::string& token) { clean_up(token, true); }

}  // namespace detail

/// The text without the spaces before ". ? ! ," and "n't 'm 's 've 're", and without those on both sides of "'". For
/// example, "you should ' ve won , it ' s true ." becomes "you should've won, it's true.". Such spaces are also removed
/// where a text has them on purpose.
[[nodiscard]] inline std::string clean_up_spaces(std::string text) {
  detail::clean_up(text, false);
  return text;
}

}}  // namespace rapt::RAPT_ABI
