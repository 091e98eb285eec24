/// \file
/// A constraint under which every search generates one well-formed bracketed tree over exactly the words of its source:
/// linearised trees as in text/syntax_tree.hpp, "(S (NP XX )NP (VP XX )VP )S".
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What the tokens of a vocabulary mean in trees. All other tokens never come.
struct TreeTokens {
  std::vector<TokenId> opens = {}, closes = {};  ///< opens[i] begins a constituent that closes[i] ends
  std::vector<TokenId> words = {};               ///< each stands for the next word: one symbol, or the tags
  std::vector<TokenId> roots = {};               ///< those of `opens` that may begin a tree; empty: all of them
  std::vector<TokenId> ends = {};                ///< end the sequence behind the tree
};

/// How large trees may get, each from 1 to 2^31 - 1. Every limit can be kept with any number of words.
struct TreeLimits {
  Index depth = 64;  ///< at most so many constituents are open at a time
  Index unary = 4;   ///< at most so many constituents have the same words
  /// A tree over n words has at most so many times n + 1 constituents.
  Index constituents_per_word = 3;
};

/// A StatefulConstraint (generation/decoding_constraint.hpp) for a batch of sources. The state is the list of open
/// constituents; a token is allowed if the tree can be completed behind it with the words that are left. The sequence
/// ends behind the root's close, and never before.
class TreeConstraint {
 public:
  /// An open constituent.
  struct Open {
    std::int32_t label;      ///< its place in `TreeTokens::opens`
    std::int32_t chain = 0;  ///< of its only child, if that is a constituent: how many have the child's words; else 0
    bool is_empty = true;    ///< it has no children yet
  };
  /// What a hypothesis has written of its tree so far.
  struct State {
    /// The source, and the words and constituents that there are.
    Index source = 0, words = 0, constituents = 0;  // words and constituents that there are
    /// The constituents that are not closed yet, the innermost last.
    std::vector<Open> open = {};
  };

  /// `words`: how many words each source has. Throws ValueError for a source without words, tokens that do not fit one
  /// another, and limits out of range.
  TreeConstraint(TreeTokens tokens, std::vector<Index> words, const TreeLimits& limits = {})
      : TreeConstraint(std::move(tokens), std::move(words), {}, limits) {}

  /// In the place of a word's tag: it may come as any of `TreeTokens::words`.
  static constexpr TokenId kAnyWord = -1;

  /// The same over words whose tags are known: word w of source i comes as the token tags[i][w], unless this is
  /// `kAnyWord`.
  TreeConstraint(TreeTokens tokens, std::vector<std::vector<TokenId>> tags, const TreeLimits& limits = {})
      : TreeConstraint(std::move(tokens), lengths_of(tags), tags, limits) {}

  /// The most tokens of a tree and its end token: a search with this `max_length` cuts off no tree.
  [[nodiscard]] Index longest() const {
    Index longest = 0;
    for (const Index words : words_) longest = std::max(longest, words + 2 * most_constituents(words));
    return longest + 1;
  }

  /// The state of a hypothesis of that source that has no tokens yet.
  [[nodiscard]] State start(Index source) const {
    require(source >= 0 && source < std::ssize(words_), kWhere, "there is no source ", source, ", but ", words_.size());
    return {.source = source};
  }

  /// Throws ValueError for a token that is not allowed.
  void advance(State& state, TokenId token) const {
    const Kind kind = kind_of(token);
    require(allows(state, kind.what) && fits(state, kind, token), kWhere, "token ", token, " cannot follow ",
            state.words, " words and ", state.constituents, " constituents, of which ", state.open.size(), " are open");
    if (kind.what == What::open) {
      state.open.push_back({.label = kind.label});
      ++state.constituents;
    } else if (kind.what == What::word) {
      ++state.words;
      state.open.back().is_empty = false;
      state.open.back().chain = 0;
    } else if (kind.what == What::close) {
      const std::int32_t chain = chain_of(state.open.back());
      state.open.pop_back();
      if (state.open.empty()) return;
      Open& parent = state.open.back();
      parent.chain = parent.is_empty ? chain : 0;
      parent.is_empty = false;
    }
  }

  /// Sets allowed[id] to whether token id may come next.
  void allow(const State& state, std::span<bool> allowed) const {
    std::fill(allowed.begin(), allowed.end(), false);
    const auto permit = [&](std::span<const TokenId> tokens) {
      for (const TokenId token : tokens) {
        if (token < std::ssize(allowed)) at(allowed, token) = true;
      }
    };
    if (allows(state, What::end)) permit(tokens_.ends);
    if (allows(state, What::open)) permit(state.open.empty() && !tokens_.roots.empty() ? tokens_.roots : tokens_.opens);
    if (allows(state, What::word)) {
      const TokenId tag = tag_of(state);
      permit(tag == kAnyWord ? std::span<const TokenId>(tokens_.words) : std::span(&tag, 1));
    }
    if (allows(state, What::close)) permit(std::span(&at(tokens_.closes, state.open.back().label), 1));
  }

 private:
  static constexpr std::string_view kWhere = "tree_constraint";
  enum class What : std::uint8_t { none, open, word, close, end };
  struct Kind {
    What what = What::none;
    std::int32_t label = 0;
  };

  TreeConstraint(TreeTokens tokens, std::vector<Index> words, std::vector<std::vector<TokenId>> tags,
                 const TreeLimits& limits)
      : tokens_(std::move(tokens)), words_(std::move(words)), tags_(std::move(tags)), limits_(limits) {
    const auto is_limit = [](Index limit) { return limit >= 1 && limit <= std::numeric_limits<std::int32_t>::max(); };
    require(is_limit(limits.depth) && is_limit(limits.unary) && is_limit(limits.constituents_per_word), kWhere,
            "limits must be from 1 to ", std::numeric_limits<std::int32_t>::max(), ": depth ", limits.depth, ", unary ",
            limits.unary, ", constituents_per_word ", limits.constituents_per_word);
    require(tokens_.opens.size() == tokens_.closes.size() && !tokens_.opens.empty() && !tokens_.words.empty() &&
                !tokens_.ends.empty(),
            kWhere,
            "there must be tokens for words and ends, and as many that open as that close: ", tokens_.words.size(),
            ", ", tokens_.ends.size(), ", ", tokens_.opens.size(), ", ", tokens_.closes.size());
    add_kinds(tokens_.opens, What::open);
    add_kinds(tokens_.closes, What::close);
    add_kinds(tokens_.words, What::word);
    add_kinds(tokens_.ends, What::end);
    for (const TokenId root : tokens_.roots) {
      require(kind_of(root).what == What::open, kWhere, "the root ", root, " is none of the tokens that open");
    }
    for (std::size_t i = 0; i < words_.size(); ++i) {
      require(words_[i] >= 1, kWhere, "source ", i, " has ", words_[i], " words");
    }
    for (const auto& list : tags_) {
      for (const TokenId tag : list) {
        require(tag == kAnyWord || kind_of(tag).what == What::word, kWhere, "the tag ", tag,
                " is none of the tokens of words");
      }
    }
  }

  [[nodiscard]] static std::vector<Index> lengths_of(const std::vector<std::vector<TokenId>>& lists) {
    std::vector<Index> lengths;
    for (const auto& list : lists) lengths.push_back(std::ssize(list));
    return lengths;
  }
  void add_kinds(const std::vector<TokenId>& tokens, What what) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      require(tokens[i] >= 0, kWhere, "a token must not be negative: ", tokens[i]);
      if (tokens[i] >= std::ssize(kinds_)) kinds_.resize(to_size(tokens[i]) + 1);
      Kind& kind = at(kinds_, tokens[i]);
      require(kind.what == What::none, kWhere, "token ", tokens[i], " has two meanings");
      kind = {what, static_cast<std::int32_t>(i)};
    }
  }
  [[nodiscard]] Kind kind_of(TokenId token) const {
    return token >= 0 && token < std::ssize(kinds_) ? at(kinds_, token) : Kind{};
  }
  /// The tag of the next word, which there must be.
  [[nodiscard]] TokenId tag_of(const State& state) const {
    return tags_.empty() ? kAnyWord : at(at(tags_, state.source), state.words);
  }

  /// True unless this token of an allowed kind is the wrong one of it.
  [[nodiscard]] bool fits(const State& state, Kind kind, TokenId token) const {
    const auto& roots = tokens_.roots;
    switch (kind.what) {
      case What::open:
        return !state.open.empty() || roots.empty() || std::find(roots.begin(), roots.end(), token) != roots.end();
      case What::word:
        return tag_of(state) == kAnyWord || tag_of(state) == token;
      case What::close:
        return state.open.back().label == kind.label;
      default:
        return true;
    }
  }

  [[nodiscard]] Index most_constituents(Index words) const { return limits_.constituents_per_word * (words + 1); }
  /// How many constituents have the words of this one if it ends now, itself and those inside of it.
  [[nodiscard]] static std::int32_t chain_of(const Open& constituent) { return constituent.chain + 1; }

  /// The least number of words that must come in the first `count` open constituents so that no more than
  /// `limits.unary` of them get the same words, if a constituent over which `chain` have the same words (0: a word)
  /// comes next in the innermost of them. A word beside a child breaks the chain.
  [[nodiscard]] Index words_needed(const State& state, Index count, std::int32_t chain) const {
    Index needed = 0;
    while (count-- > 0) {
      chain = at(state.open, count).is_empty ? chain + 1 : 1;
      if (chain <= limits_.unary) continue;
      ++needed;
      chain = 1;
    }
    return needed;
  }

  /// True if the tree can be completed behind a token of this kind. One kind is always allowed: as long as a word is
  /// needed in the innermost constituent, a word is, and otherwise that constituent may end.
  [[nodiscard]] bool allows(const State& state, What what) const {
    const Index words = at(words_, state.source), left = words - state.words, depth = std::ssize(state.open);
    const bool is_over = depth == 0 && state.constituents > 0;
    switch (what) {
      case What::end:
        return is_over;
      case What::open:  // the new constituent needs one of the words
        return !is_over && depth < limits_.depth && state.constituents < most_constituents(words) &&
               1 + words_needed(state, depth, 1) <= left;
      case What::word:
        return depth > 0 && left > 0 && words_needed(state, depth - 1, 1) <= left - 1;
      case What::close: {
        if (depth == 0 || state.open.back().is_empty || (depth == 1 && left > 0)) return false;
        const std::int32_t chain = chain_of(state.open.back());
        return chain <= limits_.unary && words_needed(state, depth - 1, chain) <= left;
      }
      default:
        return false;
    }
  }

  TreeTokens tokens_;
  std::vector<Index> words_;
  std::vector<std::vector<TokenId>> tags_;  // of each source; none: unknown
  TreeLimits limits_;
  std::vector<Kind> kinds_;  // of each token
};

}}  // namespace rapt::RAPT_ABI
