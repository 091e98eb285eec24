/// \file
/// Which n-grams the hypotheses of a search have already: kept as they grow, for all hypotheses at once.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/generation/token_tree.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The n-grams of the paths of a TokenTree. What hypotheses share is kept once: an n-gram is the node that it ends
/// with, and belongs to the hypotheses whose path passes that node. Nodes are found by a hash of the n - 1 tokens
/// before them, so that a step costs O(n + m log length) for a hypothesis, where m nodes have the same tokens before
/// them. Reading from several threads is safe.
class NgramIndex {
 public:
  /// n = 0: an index that keeps nothing.
  explicit NgramIndex(Index n) : n_(n) {}

  /// To be called with each new node of the tree. Paths below different roots may be told apart by `group`, of which
  /// the hash is made, too.
  void add(const TokenTree& tree, Index node, Index group) {
    if (n_ == 0 || tree.depth(node) < n_) return;
    const auto [found, is_new] = last_.try_emplace(hash(tree, tree.parent(node), group), entries_.size());
    entries_.push_back({node, is_new ? kNone : found->second});
    found->second = entries_.size() - 1;
  }

  /// Calls f(token) for each token that would make the last n tokens of the path one of its earlier n-grams.
  template <class F>
  void for_each_repetition(const TokenTree& tree, Index node, Index group, const F& f) const {
    if (n_ == 0 || tree.depth(node) + 1 < n_) return;
    const auto found = last_.find(hash(tree, node, group));
    if (found == last_.end()) return;
    for (std::size_t i = found->second; i != kNone; i = entries_[i].before) {
      const Index end = entries_[i].node;
      if (tree.depth(end) <= tree.depth(node) && tree.passes(node, end) && same_tokens(tree, tree.parent(end), node)) {
        f(tree.token(end));
      }
    }
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Entry {
    Index node;          // the last of an n-gram
    std::size_t before;  // the entry before it with the same hash
  };

  /// Of the group and the last n - 1 tokens of a path.
  [[nodiscard]] std::uint64_t hash(const TokenTree& tree, Index node, Index group) const {
    auto h = static_cast<std::uint64_t>(group) + 1;
    for (Index i = 1; i < n_; ++i, node = tree.parent(node)) {
      h = (h ^ (h >> 29)) * 0x9e3779b97f4a7c15 + static_cast<std::uint64_t>(tree.token(node));
    }
    return h;
  }
  /// Whether the last n - 1 tokens of two paths are the same.
  [[nodiscard]] bool same_tokens(const TokenTree& tree, Index a, Index b) const {
    for (Index i = 1; i < n_; ++i, a = tree.parent(a), b = tree.parent(b)) {
      if (tree.token(a) != tree.token(b)) return false;
    }
    return true;
  }

  Index n_;
  std::unordered_map<std::uint64_t, std::size_t> last_;  // the last entry of each hash
  std::vector<Entry> entries_;
};

}}}  // namespace rapt::RAPT_ABI::detail
