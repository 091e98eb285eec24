/// \file
/// The hypotheses of a search as paths of one tree: hypotheses that fork share their beginnings.
#pragma once

#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Each hypothesis is a path to a root, and grows by one node whatever its length.
class TokenTree {
 public:
  static constexpr Index kRoot = -1;

  /// A new node below `parent`; its number. `log_probability` is that of the token behind the path to its parent.
  [[nodiscard]] Index add(Index parent, TokenId token, double log_probability = 0) {
    const auto node = static_cast<Index>(nodes_.size());
    if (parent == kRoot) {
      nodes_.push_back({kRoot, node, 1, token, log_probability});
      return node;
    }
    const Node& above = at(nodes_, parent);
    const Node& ancestor = at(nodes_, above.jump);
    const bool same_stride = above.depth - ancestor.depth == ancestor.depth - at(nodes_, ancestor.jump).depth;
    nodes_.push_back({parent, same_stride ? ancestor.jump : parent, above.depth + 1, token, log_probability});
    return node;
  }
  /// The number of nodes.
  [[nodiscard]] Index size() const { return std::ssize(nodes_); }
  [[nodiscard]] Index parent(Index node) const { return at(nodes_, node).parent; }
  [[nodiscard]] TokenId token(Index node) const { return at(nodes_, node).token; }
  /// The number of tokens from the root to a node, its own included.
  [[nodiscard]] Index depth(Index node) const { return node == kRoot ? 0 : at(nodes_, node).depth; }

  /// The last `length` tokens of the path to a node.
  [[nodiscard]] std::vector<TokenId> path(Index node, Index length) const {
    std::vector<TokenId> tokens;
    path(node, length, tokens);
    return tokens;
  }
  /// The same, in a vector that is there already.
  void path(Index node, Index length, std::vector<TokenId>& tokens) const {
    collect(node, length, tokens, [](const Node& n) { return n.token; });
  }
  /// Their log-probabilities.
  [[nodiscard]] std::vector<double> log_probabilities(Index node, Index length) const {
    std::vector<double> values;
    collect(node, length, values, [](const Node& n) { return n.log_probability; });
    return values;
  }

  /// True if `node` or a node above it is `above`. Takes O(log depth) steps: every node knows, beside its parent, one
  /// node ancestor above it, at the distances of a skew-binary number system (Myers 1983).
  [[nodiscard]] bool passes(Index node, Index above) const {
    const Index depth = at(nodes_, above).depth;
    while (at(nodes_, node).depth > depth) {
      const Node& n = at(nodes_, node);
      node = at(nodes_, n.jump).depth >= depth ? n.jump : n.parent;
    }
    return node == above;
  }

 private:
  struct Node {
    Index parent, jump, depth;
    TokenId token;
    double log_probability;
  };

  template <class Value, class Get>
  void collect(Index node, Index length, std::vector<Value>& values, const Get& get) const {
    values.resize(to_size(length));
    for (std::size_t i = values.size(); i-- > 0; node = at(nodes_, node).parent) values[i] = get(at(nodes_, node));
  }

  std::vector<Node> nodes_;
};

}}}  // namespace rapt::RAPT_ABI::detail
