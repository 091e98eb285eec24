// Sentences and trees as parsers of both kinds take them.
#pragma once

#include <cstdint>
#include <rapt/rapt.hpp>
#include <rapt/text/bpe.hpp>
#include <rapt/text/lines.hpp>
#include <rapt/text/syntax_tree.hpp>
#include <string>
#include <string_view>
#include <vector>

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

/// A typed sentence as words: cut at white space, and before punctuation at the end of a word.
inline Sentence sentence_of(std::string_view line) {
  Sentence sentence;
  for (const std::string_view part : rapt::split_whitespace(line)) {
    std::string_view word = part;
    while (word.size() > 1 && std::string_view(".,;:!?").find(word.back()) != word.npos) word.remove_suffix(1);
    sentence.words.emplace_back(word);
    for (const char mark : part.substr(word.size())) sentence.words.emplace_back(1, mark);
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
  return rapt::BytePairEncoding::learn(lines, {.vocabulary_size = size});
}

/// The subwords of a word, of which there is one at least.
inline std::vector<TokenId> encode_word(const rapt::BytePairEncoding& subwords, const std::string& word) {
  std::vector<TokenId> tokens = subwords.encode(word);
  if (tokens.empty()) tokens.push_back(subwords.vocabulary().unknown());  // white space of Unicode alone
  return tokens;
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
