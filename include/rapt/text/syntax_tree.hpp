/// \file
/// Constituency trees: read and written as the bracketed text of the Penn Treebank (Marcus et al. 1993), and as the
/// sequence of symbols that a sequence-to-sequence model generates (Vinyals et al. 2015, "Grammar as a Foreign
/// Language", section 2.2).
///
///     (S (NP (NNS Dogs)) (VP (VBP bark)))   <->   (S (NP XX )NP (VP XX )VP )S
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A node of a constituency tree: a constituent with a label and children, or a leaf, which is a word with its
/// part-of-speech tag as the label.
struct SyntaxTree {
  std::string label = {};
  std::string word = {};  ///< of a leaf; empty in constituents
  std::vector<SyntaxTree> children = {};

  /// True for a word.
  [[nodiscard]] bool is_leaf() const { return children.empty(); }
  friend bool operator==(const SyntaxTree&, const SyntaxTree&) = default;
};

/// Trees whose words are deeper than this are refused by all readers, so that recursion over a tree is safe.
inline constexpr Index kDeepestTree = 1000;

/// The leaves of a tree from left to right. They are views of the tree, which must stay.
[[nodiscard]] inline std::vector<const SyntaxTree*> leaves_of(const SyntaxTree& tree) {
  std::vector<const SyntaxTree*> leaves, pending{&tree};
  while (!pending.empty()) {
    const SyntaxTree* node = pending.back();
    pending.pop_back();
    if (node->is_leaf()) leaves.push_back(node);
    for (auto child = node->children.rbegin(); child != node->children.rend(); ++child) pending.push_back(&*child);
  }
  return leaves;
}

/// The label without functions and indices: "NP-SBJ-1" and "NP=2" give "NP". Labels that begin with one of these marks,
/// such as "-LRB-", stay as they are, as nothing would be left of them.
[[nodiscard]] inline std::string_view without_functions(std::string_view label) {
  const std::size_t mark = label.find_first_of("-=");
  return label.substr(0, mark == 0 ? label.npos : mark);
}

/// The tree without functions and indices in the labels of its constituents; tags stay as they are.
[[nodiscard]] inline SyntaxTree without_functions(SyntaxTree tree) {
  if (tree.is_leaf()) return tree;
  tree.label = std::string(without_functions(std::string_view(tree.label)));
  for (SyntaxTree& child : tree.children) child = without_functions(std::move(child));
  return tree;
}

/// The tree without leaves of the tag "-NONE-", which are the traces and empty elements of the Penn Treebank, and
/// without constituents that have no other leaves. Throws ValueError if nothing is left.
[[nodiscard]] inline SyntaxTree without_traces(SyntaxTree tree) {
  // A constituent that has lost all of its children has neither children nor a word.
  const auto is_empty = [](const SyntaxTree& node) {
    return node.is_leaf() && (node.word.empty() || node.label == "-NONE-");
  };
  const auto prune = [&](const auto& self, SyntaxTree& node) -> void {
    for (SyntaxTree& child : node.children) self(self, child);
    std::erase_if(node.children, is_empty);
  };
  prune(prune, tree);
  require(!is_empty(tree), "syntax_tree", "the tree has no words beside empty elements");
  return tree;
}

namespace detail {

inline constexpr std::string_view kTreeSpace = " \t\r\n\f\v";
inline constexpr std::string_view kTreeMarks = " \t\r\n\f\v()";  // these end labels and words

/// Reads bracketed trees, of which there may be several in a text.
class TreeReader {
 public:
  /// `where` names the text in messages. Both must outlive the reader.
  TreeReader(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  [[nodiscard]] std::vector<SyntaxTree> read() {
    require_utf8();
    std::vector<SyntaxTree> trees;
    for (skip_space(); at_ < text_.size(); skip_space()) {
      expect(text_[at_] == '(', "a tree must begin with \"(\"");
      trees.push_back(read_tree());
    }
    return trees;
  }

 private:
  void require_utf8() {
    const auto invalid = find_invalid_utf8(text_);
    if (!invalid) return;
    at_ = *invalid;
    expect(false, "the text is not UTF-8");
  }
  /// Throws IoError with the line and the column, in characters, of the place that is read.
  template <class... Pieces>
  void expect(bool condition, const Pieces&... pieces) const {
    if (condition) return;
    const std::string_view before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::string_view row = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
    const auto column =
        std::count_if(row.begin(), row.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; });
    fail<IoError>("syntax_tree", where_, ":", line, ":", column + 1, ": ", pieces...);
  }
  void skip_space() { at_ = std::min(text_.find_first_not_of(kTreeSpace, at_), text_.size()); }
  [[nodiscard]] std::string read_symbol() {
    const std::size_t end = std::min(text_.find_first_of(kTreeMarks, at_), text_.size());
    std::string symbol(text_.substr(at_, end - at_));
    at_ = end;
    return symbol;
  }

  /// Reads the tree whose "(" is next. The nodes from the root to the one that is open are kept in a list, so that no
  /// depth of brackets uses up the stack.
  [[nodiscard]] SyntaxTree read_tree() {
    std::vector<SyntaxTree> open;
    for (;;) {
      skip_space();
      expect(at_ < text_.size(), "the text ends within a tree: ", open.size(), " brackets are open");
      if (text_[at_] == '(') {
        expect(open.empty() || open.back().word.empty(), "a bracket holds one word or other brackets");
        expect(std::ssize(open) < kDeepestTree, "the tree has more than ", kDeepestTree, " levels");
        ++at_;
        open.push_back({.label = read_symbol()});
        expect(!open.back().label.empty() || open.size() == 1, "a bracket inside of a tree must have a label");
      } else if (text_[at_] == ')') {
        expect(!open.back().word.empty() || !open.back().is_leaf(), "a bracket must hold a word or other brackets");
        ++at_;
        SyntaxTree node = std::move(open.back());
        open.pop_back();
        if (open.empty()) return node;
        open.back().children.push_back(std::move(node));
      } else {
        expect(open.back().word.empty() && open.back().is_leaf(), "a bracket holds one word or other brackets");
        expect(!open.back().label.empty(), "a word must have a tag");
        open.back().word = read_symbol();
      }
    }
  }

  std::string_view text_, where_;
  std::size_t at_ = 0;
};

}  // namespace detail

/// The trees of a text, with any white space between brackets. The outermost bracket of a tree may lack a label, as in
/// the Penn Treebank's files. `where` names the text in messages. Throws IoError with `where`, the line and the column
/// for anything else, and for trees of more than `kDeepestTree` levels.
[[nodiscard]] inline std::vector<SyntaxTree> parse_trees(std::string_view text, std::string_view where = "text") {
  return detail::TreeReader(text, where).read();
}

/// The trees of a file. Throws IoError as above, and for a file that cannot be read or has no trees.
[[nodiscard]] inline std::vector<SyntaxTree> read_trees(const std::filesystem::path& path) {
  std::vector<SyntaxTree> trees = parse_trees(read_text(path), path.string());
  require<IoError>(!trees.empty(), "syntax_tree", path.string(), ": there are no trees");
  return trees;
}

/// The tree as one line of bracketed text, from which `parse_trees` reads the same tree. Throws ValueError for a tree
/// that no text stands for: a label or a word that is empty, holds white space or brackets or is not UTF-8, a node with
/// both a word and children, and more than `kDeepestTree` levels. The label of the root may be empty, if it is no leaf.
[[nodiscard]] inline std::string to_string(const SyntaxTree& tree) {
  std::string text;
  const auto add = [&](const std::string& symbol, std::string_view what) {
    require(!symbol.empty() && symbol.find_first_of(detail::kTreeMarks) == symbol.npos && !find_invalid_utf8(symbol),
            "syntax_tree", "the ", what, " \"", symbol, "\" cannot be written: it is empty, or has white space, a ",
            "bracket or bytes that are not UTF-8");
    text += symbol;
  };
  const auto write = [&](const auto& self, const SyntaxTree& node, Index level) -> void {
    require(level <= kDeepestTree, "syntax_tree", "the tree has more than ", kDeepestTree, " levels");
    require(node.is_leaf() || node.word.empty(), "syntax_tree", "a node has both a word, \"", node.word,
            "\", and children");
    text += '(';
    if (level > 1 || node.is_leaf() || !node.label.empty()) add(node.label, "label");
    if (node.is_leaf()) {
      text += ' ';
      add(node.word, "word");
    }
    for (const SyntaxTree& child : node.children) {
      text += ' ';
      self(self, child, level + 1);
    }
    text += ')';
  };
  write(write, tree, 1);
  return text;
}

/// What stands for a word in a linearised tree whose tags are replaced.
inline constexpr std::string_view kWordSymbol = "XX";

/// The tree as symbols, depth first: "(LABEL" and ")LABEL" around the children of a constituent. A leaf is the symbol
/// `kWordSymbol`, as in the paper, or with `keep_tags` its tag.
[[nodiscard]] inline std::vector<std::string> linearize(const SyntaxTree& tree, bool keep_tags = false) {
  std::vector<std::string> symbols;
  const auto visit = [&](const auto& self, const SyntaxTree& node) -> void {
    if (node.is_leaf()) {
      symbols.push_back(keep_tags ? node.label : std::string(kWordSymbol));
      return;
    }
    symbols.push_back("(" + node.label);
    for (const SyntaxTree& child : node.children) self(self, child);
    symbols.push_back(")" + node.label);
  };
  visit(visit, tree);
  return symbols;
}

/// The tree that `linearize` has written, over these words; a symbol that is no bracket becomes the tag of the next
/// word. Throws ValueError that names the place unless the symbols are one tree with exactly these words and at most
/// `kDeepestTree` levels.
[[nodiscard]] inline SyntaxTree delinearize(std::span<const std::string> symbols, std::span<const std::string> words) {
  constexpr std::string_view kWhere = "delinearize";
  std::vector<SyntaxTree> open(1);  // its first is no node, but holds the root
  std::size_t word = 0;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    const std::string& symbol = symbols[i];
    require(i == 0 || open.size() > 1, kWhere, "the tree ends before symbol ", i, ", \"", symbol, "\"");
    if (symbol.starts_with('(')) {
      // Without its first, `open` and the new constituent are as many as it has now; a word is one level more.
      require(std::ssize(open) < kDeepestTree, kWhere, "the tree has more than ", kDeepestTree, " levels");
      open.push_back({.label = symbol.substr(1)});
    } else if (symbol.starts_with(')')) {
      const SyntaxTree& node = open.back();
      require(open.size() > 1 && symbol.compare(1, symbol.npos, node.label) == 0, kWhere, "symbol ", i, ", \"", symbol,
              "\", closes ", open.size() > 1 ? "\"(" + node.label + "\"" : std::string("nothing"));
      require(!node.is_leaf(), kWhere, "symbol ", i, ", \"", symbol, "\", closes a bracket without words");
      SyntaxTree closed = std::move(open.back());
      open.pop_back();
      open.back().children.push_back(std::move(closed));
    } else {
      require(word < words.size(), kWhere, "symbol ", i, ", \"", symbol, "\", stands for one word more than the ",
              words.size(), " given");
      open.back().children.push_back({.label = symbol, .word = words[word++]});
    }
  }
  require(open.size() == 1 && !open.front().is_leaf(), kWhere, "the symbols end within a tree: ", open.size() - 1,
          " brackets are open");
  require(word == words.size(), kWhere, "the symbols have ", word, " words, given are ", words.size());
  return std::move(open.front().children.front());
}

}}  // namespace rapt::RAPT_ABI
