/// \file
/// libFuzzer target: whatever the bytes are, reading them as trees either works or throws rapt::IoError, and what was
/// read comes back from its text, its symbols and its spans.
///
///     sh tests/fuzz/run.sh 120 syntax_tree  # -max_len=8192
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/bracket_scores.hpp"
#include "rapt/text/syntax_tree.hpp"
#include "rapt/text/tree_spans.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

using rapt_fuzz::expect;

void check(const rapt::SyntaxTree& tree) {
  std::vector<std::string> words, tags;
  for (const rapt::SyntaxTree* leaf : leaves_of(tree)) {
    words.push_back(leaf->word);
    tags.push_back(leaf->label);
  }
  const auto again = rapt::parse_trees(to_string(tree));
  expect(again.size() == 1 && again[0] == tree);
  const rapt::BracketCounts same = rapt::bracket_counts(tree, tree);
  expect(same.matched == same.gold && same.matched == same.predicted && same.complete == 1 && same.crossing == 0);
  if (tree.is_leaf()) return;
  expect(rapt::delinearize(linearize(tree, /*keep_tags=*/true), words) == tree);
  bool joins = true;  // labels can be joined to those of chains
  for (const rapt::LabelledSpan& span : spans_of(tree)) joins = joins && span.label.find('+') == std::string::npos;
  if (joins) expect(rapt::tree_of_chain_spans(chain_spans_of(tree), words, tags) == tree);
  const rapt::SyntaxTree bare = without_functions(tree);
  const auto read = rapt::parse_trees(to_string(bare));
  expect(read.size() == 1 && read[0] == bare);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    for (const rapt::SyntaxTree& tree : rapt::parse_trees(input)) check(tree);
  } catch (const rapt::IoError&) {
  }
  return 0;
}
