/// \file
/// The n-grams of forking hypotheses against looking through each of them.
// covers: generation/token_tree.hpp
#include "rapt/generation/ngram_index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "rapt/core/rng.hpp"
#include "rapt/generation/token_tree.hpp"

namespace {

using rapt::Index;
using rapt::TokenId;
using rapt::detail::NgramIndex;
using rapt::detail::TokenTree;
using Path = std::vector<TokenId>;

/// The tokens behind the earlier occurrences of the path's last n - 1 tokens.
std::set<TokenId> repetitions_by_scan(const Path& path, std::size_t n) {
  std::set<TokenId> found;
  if (path.size() + 1 < n) return found;
  const auto last = path.end() - static_cast<Index>(n - 1);
  for (std::size_t i = 0; i + n <= path.size(); ++i) {
    if (std::equal(last, path.end(), path.begin() + static_cast<Index>(i))) found.insert(path[i + n - 1]);
  }
  return found;
}

TEST(NgramIndex, FindsWhatAScanFinds) {
  rapt::Rng rng(3);
  for (const Index n : {0, 1, 2, 3, 5}) {
    TokenTree tree;
    NgramIndex index(n);
    struct Live {
      Index node, group;
      Path path;
    };
    std::vector<Live> live;
    for (Index group = 0; group < 3; ++group) live.push_back({TokenTree::kRoot, group, {}});
    std::size_t banned = 0;
    for (int i = 0; i < 1500; ++i) {
      Live next = live[static_cast<std::size_t>(rng.below(static_cast<Index>(live.size())))];
      next.path.push_back(static_cast<TokenId>(rng.below(3)));
      next.node = tree.add(next.node, next.path.back());
      index.add(tree, next.node, next.group);
      if (rng.below(4) == 0) live.erase(live.begin() + rng.below(static_cast<Index>(live.size())));
      live.push_back(next);
      std::set<TokenId> found;
      index.for_each_repetition(tree, next.node, next.group, [&](TokenId token) { found.insert(token); });
      EXPECT_EQ(found, n == 0 ? std::set<TokenId>{} : repetitions_by_scan(next.path, static_cast<std::size_t>(n)));
      banned += found.size();
    }
    EXPECT_EQ(banned > 0, n > 0);
  }
}

TEST(TokenTree, KnowsWhichNodesAPathPasses) {
  rapt::Rng rng(4);
  TokenTree tree;
  std::vector<std::vector<Index>> paths;  // of each node, the nodes from its root
  for (Index node = 0; node < 300; ++node) {
    const bool is_root = node < 2;
    const Index parent = is_root ? TokenTree::kRoot : node < 200 ? std::max<Index>(node - 2, 0) : rng.below(node);
    ASSERT_EQ(tree.add(parent, 5, -0.5 * static_cast<double>(node)), node);
    paths.push_back(is_root ? std::vector<Index>{} : paths[static_cast<std::size_t>(parent)]);
    paths.back().push_back(node);
    const auto& path = paths.back();
    EXPECT_EQ(tree.depth(node), static_cast<Index>(path.size()));
    for (Index above = 0; above <= node; ++above) {
      EXPECT_EQ(tree.passes(node, above), std::find(path.begin(), path.end(), above) != path.end());
    }
    EXPECT_EQ(tree.log_probabilities(node, 1), (std::vector<double>{-0.5 * static_cast<double>(node)}));
  }
}

}  // namespace
