// A small grammar of English that generates sentences with their trees, for parsers that have no treebank.
#pragma once

#include <cstddef>
#include <rapt/core/rng.hpp>
#include <rapt/text/syntax_tree.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace grammar {

using rapt::SyntaxTree;

inline SyntaxTree leaf(rapt::Rng& rng, const char* tag, const std::vector<std::string>& words) {
  return {.label = tag, .word = rapt::at(words, rng.below(std::ssize(words)))};
}
inline SyntaxTree node(const char* label, std::vector<SyntaxTree> children) {
  SyntaxTree tree{.label = label};
  tree.children = std::move(children);
  return tree;
}

inline SyntaxTree clause(rapt::Rng& rng, int depth);

inline SyntaxTree noun_phrase(rapt::Rng& rng, int depth, const char* label = "NP") {
  static const std::vector<std::string> names{"Anna", "Peter", "London", "Maria", "Rome"},
      pronouns{"she", "he", "they", "it"}, determiners{"the", "a", "this", "every"},
      adjectives{"old", "small", "red", "quiet", "clever"},
      nouns{"farmer", "dog", "garden", "teacher", "letter", "river", "child", "house", "book", "horse"},
      relatives{"of", "from"};
  const rapt::Index kind = rng.below(10);
  if (kind < 2) return node(label, {leaf(rng, "NNP", names)});
  if (kind < 4) return node(label, {leaf(rng, "PRP", pronouns)});
  std::vector<SyntaxTree> words{leaf(rng, "DT", determiners)};
  while (rng.below(3) == 0 && words.size() < 3) words.push_back(leaf(rng, "JJ", adjectives));
  words.push_back(leaf(rng, "NN", nouns));
  if (depth > 0 && kind == 9) {  // "of" and "from" belong to the noun before them, other prepositions to the verb
    SyntaxTree preposition = leaf(rng, "IN", relatives), inner = noun_phrase(rng, depth - 1);
    return node(label, {node("NP", std::move(words)), node("PP", {std::move(preposition), std::move(inner)})});
  }
  return node(label, std::move(words));
}

inline SyntaxTree verb_phrase(rapt::Rng& rng, int depth) {
  static const std::vector<std::string> intransitive{"slept", "laughed", "waited"},
      transitive{"saw", "found", "painted", "followed"}, reporting{"said", "thought", "knew"},
      prepositions{"with", "near", "behind"}, adverbs{"quietly", "often", "yesterday"};
  std::vector<SyntaxTree> parts;
  const rapt::Index kind = rng.below(6);
  if (depth > 0 && kind == 0) {
    static const std::vector<std::string> that{"that"};
    parts.push_back(leaf(rng, "VBD", reporting));
    SyntaxTree complementizer = leaf(rng, "IN", that);
    parts.push_back(node("SBAR", {std::move(complementizer), clause(rng, depth - 1)}));
    return node("VP", std::move(parts));
  }
  if (kind < 3) {
    parts.push_back(leaf(rng, "VBD", intransitive));
  } else {
    parts.push_back(leaf(rng, "VBD", transitive));
    parts.push_back(noun_phrase(rng, depth));
  }
  if (rng.below(3) == 0) {
    SyntaxTree preposition = leaf(rng, "IN", prepositions);
    parts.push_back(node("PP", {std::move(preposition), noun_phrase(rng, depth - 1)}));
  }
  if (rng.below(4) == 0) parts.push_back(node("ADVP", {leaf(rng, "RB", adverbs)}));
  return node("VP", std::move(parts));
}

inline SyntaxTree clause(rapt::Rng& rng, int depth) {
  SyntaxTree subject = noun_phrase(rng, depth, "NP-SBJ");
  return node("S", {std::move(subject), verb_phrase(rng, depth)});
}

/// Different sentences with their trees, the same for the same seed.
inline std::vector<SyntaxTree> generate(std::size_t count, std::uint64_t seed) {
  rapt::Rng rng(seed);
  std::vector<SyntaxTree> trees;
  std::set<std::string> known;
  while (trees.size() < count) {
    SyntaxTree sentence = clause(rng, 2);
    sentence.children.push_back({.label = ".", .word = "."});
    SyntaxTree root = node("ROOT", {std::move(sentence)});
    if (known.insert(to_string(root)).second) trees.push_back(std::move(root));
  }
  return trees;
}

}  // namespace grammar
