// Parsing as a sequence task (the paper's section 6.3): a Transformer reads a sentence and writes its linearised tree.
#pragma once

#include <algorithm>
#include <limits>
#include <rapt/generation/batches.hpp>
#include <rapt/generation/tree_constraint.hpp>
#include <rapt/io/model_file.hpp>
#include <rapt/rapt.hpp>
#include <set>
#include <utility>

#include "sentences.hpp"

namespace parse {

/// What turns sentences into tokens and tokens into trees.
struct SequenceText {
  using Model = rapt::Transformer<float>;
  static constexpr const char* kName = "sequence";

  rapt::BytePairEncoding subwords;
  rapt::Vocabulary symbols;        ///< brackets with labels, and the symbols of words
  std::vector<std::string> roots;  ///< the symbols that begin trees
  Index beam = 4;

  static SequenceText learn(const std::vector<SyntaxTree>& trees, Index subword_count, bool replace_tags) {
    std::set<std::string> symbols, roots;
    for (const SyntaxTree& tree : trees) {
      for (std::string& symbol : linearize(tree, !replace_tags)) symbols.insert(std::move(symbol));
      roots.insert("(" + tree.label);
    }
    const std::vector<std::string> all(symbols.begin(), symbols.end());
    return {learn_subwords(trees, subword_count), rapt::Vocabulary(all), {roots.begin(), roots.end()}};
  }
  [[nodiscard]] rapt::Metadata metadata() const {
    const auto all = symbols.tokens().subspan(3);
    return {{"parser", kName},
            {"subwords", subwords.to_text()},
            {"symbols", to_lines({all.begin(), all.end()})},
            {"roots", to_lines(roots)}};
  }
  static SequenceText load(const rapt::SafetensorsFile& file) {
    const auto& stored = file.metadata();
    return {rapt::BytePairEncoding::from_text(stored.at("subwords"), file.path()),
            rapt::Vocabulary(from_lines(stored.at("symbols"))), from_lines(stored.at("roots"))};
  }

  [[nodiscard]] bool replaces_tags() const { return symbols.contains(rapt::kWordSymbol); }
  [[nodiscard]] std::vector<TokenId> encode(const Sentence& sentence) const {
    std::vector<TokenId> tokens;
    for (const std::string& word : sentence.words) {
      const std::vector<TokenId> pieces = encode_word(subwords, word);
      tokens.insert(tokens.end(), pieces.begin(), pieces.end());
    }
    return tokens;
  }
  [[nodiscard]] rapt::TokenPair pair(const SyntaxTree& tree) const {
    rapt::TokenPair pair{encode(sentence_of(tree, false)), {}};
    for (const std::string& symbol : linearize(tree, !replaces_tags())) pair.target.push_back(symbols.id(symbol));
    return pair;
  }

  [[nodiscard]] rapt::TreeTokens tree_tokens() const {
    rapt::TreeTokens tokens{.ends = {rapt::kEndToken}};
    for (TokenId id = 3; id < symbols.size(); ++id) {
      const std::string& symbol = symbols.token(id);
      if (symbol.starts_with('(')) {
        tokens.opens.push_back(id);
        tokens.closes.push_back(symbols.id(")" + symbol.substr(1)));
      } else if (!symbol.starts_with(')')) {
        tokens.words.push_back(id);
      }
    }
    for (const std::string& root : roots) tokens.roots.push_back(symbols.id(root));
    return tokens;
  }
  /// The constraint of these sentences: their numbers of words, or the gold tags of all words if the symbols have them.
  [[nodiscard]] rapt::TreeConstraint constraint(std::span<const Sentence> sentences) const {
    std::vector<std::vector<TokenId>> tags;
    std::vector<Index> words;
    bool are_known = !replaces_tags();
    for (const Sentence& sentence : sentences) {
      words.push_back(std::ssize(sentence.words));
      are_known = are_known && sentence.tags.size() == sentence.words.size();
      tags.emplace_back();
      for (const std::string& tag : sentence.tags) {
        are_known = are_known && symbols.contains(tag);
        tags.back().push_back(symbols.id(tag));
      }
    }
    if (are_known) return {tree_tokens(), std::move(tags)};
    return {tree_tokens(), std::move(words)};
  }

  /// Gives the leaves these tags, from tag number `word` on.
  static void set_tags(SyntaxTree& tree, const std::vector<std::string>& tags, std::size_t& word) {
    if (tree.is_leaf()) tree.label = tags[word++];
    for (SyntaxTree& child : tree.children) set_tags(child, tags, word);
  }

  /// The best tree of each sentence: always one, over exactly its words.
  [[nodiscard]] std::vector<SyntaxTree> parse(const Model& model, std::span<const Sentence> sentences) const {
    rapt::TokenBatch sources;
    std::vector<TokenId> source;
    for (const Sentence& sentence : sentences) {
      source = encode(sentence);
      source.push_back(rapt::kEndToken);
      sources.push_back(source);
    }
    const rapt::TreeConstraint trees = constraint(sentences);
    // A tree is never cut off, and no tree is preferred for its length.
    const rapt::BeamSearchOptions options{
        .beam_size = beam,
        .length_penalty = 0,
        .generation = {.extra_length = std::numeric_limits<Index>::max(), .max_length = trees.longest()}};
    const auto found = rapt::search_in_batches(sources, {.allowed = trees}, rapt::batch_tokens_for(model),
                                               [&](const rapt::TokenBatch& batch, const rapt::SearchRequest& request) {
                                                 return rapt::beam_search_n_best(model, batch, 1, options, request);
                                               });
    std::vector<SyntaxTree> results;
    std::vector<std::string> written;
    for (std::size_t i = 0; i < found.size(); ++i) {
      written.clear();
      for (const TokenId token : found[i].front().tokens) written.push_back(symbols.token(token));
      results.push_back(rapt::delinearize(written, sentences[i].words));
      if (sentences[i].tags.empty()) continue;
      std::size_t word = 0;
      set_tags(results.back(), sentences[i].tags, word);
    }
    return results;
  }
};

}  // namespace parse
