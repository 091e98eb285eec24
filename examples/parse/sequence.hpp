// Parsing as a sequence task (the paper's section 6.3): a Transformer reads a sentence and writes its linearised tree.
#pragma once

#include <algorithm>
#include <charconv>
#include <limits>
#include <rapt/generation/batches.hpp>
#include <rapt/generation/tree_constraint.hpp>
#include <rapt/io/model_file.hpp>
#include <rapt/rapt.hpp>
#include <set>
#include <system_error>
#include <utility>

#include "sentences.hpp"

namespace parse {

/// Makes the limits as wide as a tree needs them.
inline void widen(rapt::TreeLimits& limits, const SyntaxTree& tree) {
  Index words = 0, constituents = 0;
  // `depth`: how many constituents the node is in, with itself; `chain`: how many of them have the same words.
  const auto visit = [&](const auto& self, const SyntaxTree& node, Index depth, Index chain) -> void {
    if (node.is_leaf()) {
      ++words;
      return;
    }
    ++constituents;
    limits.depth = std::max(limits.depth, depth);
    limits.unary = std::max(limits.unary, chain);
    for (const SyntaxTree& child : node.children)
      self(self, child, depth + 1, node.children.size() == 1 ? chain + 1 : 1);
  };
  visit(visit, tree, 1, 1);
  limits.constituents_per_word = std::max(limits.constituents_per_word, (constituents + words) / (words + 1));
}

/// What turns sentences into tokens and tokens into trees.
struct SequenceText {
  using Model = rapt::Transformer<float>;
  static constexpr const char* kName = "sequence";

  rapt::BytePairEncoding subwords;
  rapt::Vocabulary symbols;        ///< brackets with labels, and the symbols of words
  std::vector<std::string> roots;  ///< the symbols that begin trees
  bool replaces_tags = false;      ///< each word is written as kWordSymbol, and not as its tag
  rapt::TreeLimits limits = {};    ///< at least those of the training trees
  Index beam = 4;

  static SequenceText learn(const std::vector<SyntaxTree>& trees, Index subword_count, bool replace_tags) {
    std::set<std::string> symbols, roots;
    rapt::TreeLimits limits;
    for (const SyntaxTree& tree : trees) {
      for (std::string& symbol : linearize(tree, !replace_tags)) symbols.insert(std::move(symbol));
      roots.insert("(" + tree.label);
      widen(limits, tree);
    }
    const std::vector<std::string> all(symbols.begin(), symbols.end());
    return {learn_subwords(trees, subword_count),
            rapt::Vocabulary(all),
            {roots.begin(), roots.end()},
            replace_tags,
            limits};
  }
  [[nodiscard]] rapt::Metadata metadata() const {
    const auto all = symbols.tokens().subspan(3);
    return {{"parser", kName},
            {"subwords", subwords.to_text()},
            {"symbols", to_lines({all.begin(), all.end()})},
            {"roots", to_lines(roots)},
            {"words", replaces_tags ? "replaced" : "tags"},
            {"limits", to_lines({std::to_string(limits.depth), std::to_string(limits.unary),
                                 std::to_string(limits.constituents_per_word)})}};
  }
  /// Throws IoError for a file that lacks something or does not fit its model's config.
  static SequenceText load(const rapt::SafetensorsFile& file, const rapt::TransformerConfig& config) {
    const auto expect = [&](bool condition, const auto&... pieces) {
      rapt::require<rapt::IoError>(condition, "parse", file.path(), ": ", pieces...);
    };
    SequenceText text{stored_subwords(file, config.source_vocabulary),
                      rapt::Vocabulary(from_lines(stored_text(file, "symbols"))),
                      from_lines(stored_text(file, "roots"))};
    expect(text.symbols.size() == config.target_vocabulary, "the file has ", text.symbols.size(),
           " symbols, the model's target vocabulary has ", config.target_vocabulary);
    Index words = 0;
    for (const std::string& symbol : text.symbols.tokens().subspan(3)) {
      const bool is_open = symbol.starts_with('('), is_close = symbol.starts_with(')');
      expect(!is_open || text.symbols.contains(")" + symbol.substr(1)), "the symbol \"", symbol, "\" has no \")\"");
      words += is_open || is_close ? 0 : 1;
    }
    for (const std::string& root : text.roots) {
      expect(root.starts_with('(') && text.symbols.contains(root), "the root \"", root, "\" is no symbol that opens");
    }
    expect(words > 0 && !text.roots.empty(), "the file has ", words, " symbols of words and ", text.roots.size(),
           " roots, but a parser needs both");
    const std::string& kind = stored_text(file, "words");
    expect(kind == "replaced" || kind == "tags", "\"words\" must be \"replaced\" or \"tags\", not \"", kind, "\"");
    text.replaces_tags = kind == "replaced";
    std::vector<Index> limits;
    for (const std::string& line : from_lines(stored_text(file, "limits"))) {
      std::int32_t limit = 0;
      const auto read = std::from_chars(line.data(), line.data() + line.size(), limit);
      if (read.ec == std::errc{} && read.ptr == line.data() + line.size() && limit >= 1) limits.push_back(limit);
    }
    expect(limits.size() == 3, "\"limits\" must be three numbers from 1");
    text.limits = {.depth = limits[0], .unary = limits[1], .constituents_per_word = limits[2]};
    return text;
  }

  /// Throws ValueError unless gold tags decide what this parser finds.
  void require_takes_tags() const {
    rapt::require(!replaces_tags, "parse",
                  "this parser writes no parts of speech; train one without --replace-tags to tell it the gold ones");
  }
  [[nodiscard]] const char* own_tags() const { return replaces_tags ? "no" : "predicted"; }
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
    for (const std::string& symbol : linearize(tree, !replaces_tags)) pair.target.push_back(symbols.id(symbol));
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
  /// The constraint of these sentences: their numbers of words, and the gold tags of the words that have any which the
  /// parser knows.
  [[nodiscard]] rapt::TreeConstraint constraint(std::span<const Sentence> sentences) const {
    std::vector<std::vector<TokenId>> tags;
    for (const Sentence& sentence : sentences) {
      tags.emplace_back(sentence.words.size(), rapt::TreeConstraint::kAnyWord);
      if (replaces_tags) continue;
      for (std::size_t w = 0; w < sentence.tags.size(); ++w) {
        const TokenId tag = symbols.id(sentence.tags[w]);
        if (tag >= 3) tags.back()[w] = tag;  // no special token
      }
    }
    return {tree_tokens(), std::move(tags), limits};
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
