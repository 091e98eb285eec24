// Sentences and trees as parsers of both kinds take them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <rapt/io/safetensors.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/bpe.hpp>
#include <rapt/text/lines.hpp>
#include <rapt/text/syntax_tree.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../common/subwords.hpp"

namespace parse {

using rapt::Index;
using rapt::SyntaxTree;
using rapt::TokenId;

struct Sentence {
  std::vector<std::string> words = {};
  std::vector<std::string> tags = {};  ///< gold parts of speech; empty: to be predicted
};

/// The words of a tree, and with `tags` their gold parts of speech.
inline Sentence sentence_of(const SyntaxTree& tree, bool tags) {
  Sentence sentence;
  for (const SyntaxTree* leaf : leaves_of(tree)) {
    sentence.words.push_back(leaf->word);
    if (tags) sentence.tags.push_back(leaf->label);
  }
  return sentence;
}

namespace detail {

/// Marks that are words wherever they stand.
inline constexpr std::array<std::string_view, 12> kMarks{"(",  ")",      "[",      "]",      "{",      "}",
                                                         "\"", "\u201C", "\u201D", "\u2013", "\u2014", "\u2026"};
inline constexpr std::array<std::string_view, 6> kMarksBefore{"'", "\u2018", "$", "\u00A3", "\u20AC", "#"};
inline constexpr std::array<std::string_view, 8> kMarksBehind{",", ";", ":", "!", "?", "%", "'", "\u2019"};
/// What is cut off a word as one of its own, and short forms of two words, which are cut where the second begins.
inline constexpr std::array<std::string_view, 7> kClitics{"n't", "'s", "'re", "'ve", "'m", "'ll", "'d"};
inline constexpr std::array<std::pair<std::string_view, std::size_t>, 3> kShortForms{
    {{"cannot", 3}, {"gonna", 3}, {"wanna", 3}}};
inline constexpr std::array<std::string_view, 9> kAbbreviations{"mr.", "mrs.",  "ms.",  "dr.", "st.",
                                                                "jr.", "prof.", "etc.", "vs."};

/// In ASCII's small letters, and with the straight apostrophe.
inline std::string simple_form(std::string_view word) {
  std::string simple;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool is_apostrophe = word.substr(i).starts_with("\u2019");
    const char c = is_apostrophe ? '\'' : word[i];
    simple += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (is_apostrophe) i += 2;  // of its three bytes
  }
  return simple;
}

/// True for a word whose last period is a part of it: letters with periods, "U.S." and "Ph.D.", or "Mr."
inline bool is_abbreviation(std::string_view word) {
  std::size_t periods = 0, longest = 0, length = 0;  // of the letters before periods
  bool has_digits = false;
  for (const char c : word) {
    has_digits = has_digits || (c >= '0' && c <= '9');
    length = c == '.' ? 0 : length + 1;
    periods += c == '.' ? 1 : 0;
    longest = std::max(longest, length);
  }
  return (periods > 1 && longest <= 2 && !has_digits) ||
         std::find(kAbbreviations.begin(), kAbbreviations.end(), simple_form(word)) != kAbbreviations.end();
}

/// How many bytes at the end of a word are a mark; 0: none.
inline std::size_t mark_behind(std::string_view word) {
  if (word.ends_with("..")) return word.size() - (word.find_last_not_of('.') + 1);  // npos + 1 is 0
  if (word.ends_with('.')) return is_abbreviation(word) ? 0 : 1;
  for (const std::string_view mark : kMarksBehind) {
    if (word.ends_with(mark)) return mark.size();
  }
  return 0;
}

/// Adds the words of a text without white space and `kMarks`.
inline void add_words(std::string_view text, std::vector<std::string>& words) {
  const auto is_clitic = [](std::string_view word) {
    return std::find(kClitics.begin(), kClitics.end(), simple_form(word)) != kClitics.end();
  };
  for (bool goes_on = true; goes_on && !is_clitic(text);) {
    goes_on = false;
    for (const std::string_view mark : kMarksBefore) {
      if (text.size() == mark.size() || !text.starts_with(mark)) continue;
      words.emplace_back(mark);
      text.remove_prefix(mark.size());
      goes_on = true;
    }
  }
  std::vector<std::string_view> behind;  // the last of the text is the first
  for (std::size_t size = 0; (size = mark_behind(text)) > 0 && size < text.size();) {
    behind.push_back(text.substr(text.size() - size));
    text.remove_suffix(size);
  }
  const std::string simple = simple_form(text);
  std::size_t cut = text.size();  // where the second of two words begins
  for (const std::string_view clitic : kClitics) {
    if (!simple.ends_with(clitic) || simple.size() == clitic.size()) continue;
    const bool is_curly = text.find("\u2019", text.size() - clitic.size() - 2) != text.npos;
    cut = text.size() - clitic.size() - (is_curly ? 2 : 0);
  }
  for (const auto& [form, place] : kShortForms) {
    if (simple == form) cut = place;
  }
  words.emplace_back(text.substr(0, cut));
  if (cut < text.size()) words.emplace_back(text.substr(cut));
  words.insert(words.end(), behind.rbegin(), behind.rend());
}

}  // namespace detail

/// A typed sentence as words, cut as English treebanks cut them: at white space, around punctuation and quotation
/// marks, and before "n't", "'s" and the like. Round brackets become -LRB- and -RRB-. Hyphens and slashes stay in
/// words; spaces around them make them words.
inline Sentence sentence_of(std::string_view line) {
  Sentence sentence;
  const auto add = [&](std::string_view text) {
    if (!text.empty()) detail::add_words(text, sentence.words);
  };
  for (const std::string_view part : rapt::split_whitespace(line)) {
    std::size_t begin = 0;  // of what comes before the next mark
    for (std::size_t i = 0; i < part.size(); ++i) {
      for (const std::string_view mark : detail::kMarks) {
        if (!part.substr(i).starts_with(mark)) continue;
        add(part.substr(begin, i - begin));
        sentence.words.emplace_back(mark == "(" ? "-LRB-" : mark == ")" ? "-RRB-" : mark);
        begin = i + mark.size();
      }
    }
    add(part.substr(begin));
  }
  return sentence;
}

inline rapt::BytePairEncoding learn_subwords(const std::vector<SyntaxTree>& trees, Index size) {
  std::vector<std::string> lines;
  for (const SyntaxTree& tree : trees) {
    std::string line;
    for (const std::string& word : sentence_of(tree, false).words) line += (line.empty() ? "" : " ") + word;
    lines.push_back(std::move(line));
  }
  return subwords_of(lines, {.vocabulary_size = size});
}

/// The subwords of a word, of which there is one at least.
inline std::vector<TokenId> encode_word(const rapt::BytePairEncoding& subwords, const std::string& word) {
  std::vector<TokenId> tokens = subwords.encode(word);
  if (tokens.empty()) tokens.push_back(subwords.vocabulary().unknown());  // white space of Unicode alone
  return tokens;
}

/// An entry of a parser's file. Throws IoError if there is none.
inline const std::string& stored_text(const rapt::SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  rapt::require<rapt::IoError>(found != file.metadata().end(), "parse", file.path(), ": the file has no \"", key,
                               "\" in its metadata");
  return found->second;
}
/// The subwords of a parser's file. Throws IoError unless they are as many as the model's tokens.
inline rapt::BytePairEncoding stored_subwords(const rapt::SafetensorsFile& file, Index vocabulary) {
  auto subwords = rapt::BytePairEncoding::from_text(stored_text(file, "subwords"), file.path());
  rapt::require<rapt::IoError>(subwords.vocabulary().size() == vocabulary, "parse", file.path(), ": the file has ",
                               subwords.vocabulary().size(), " subwords, the model's vocabulary has ", vocabulary);
  return subwords;
}

/// Lists of names in a file's metadata, a line each.
inline std::string to_lines(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + "\n";
  return text;
}
inline std::vector<std::string> from_lines(const std::string& text) {
  std::vector<std::string> names;
  for (const std::string_view line : rapt::lines_of(text)) names.emplace_back(line);
  return names;
}

}  // namespace parse
