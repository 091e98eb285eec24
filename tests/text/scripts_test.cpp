/// \file
/// Splitting by scripts, against the pieces of Hugging Face's tokenizers.
#include "rapt/text/scripts.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rapt/text/pre_tokenizer.hpp"

namespace {

TEST(Scripts, SplitsAsTokenizers) {
  // tests/golden/make_scripts.py tells what the file holds.
  std::ifstream file(RAPT_GOLDEN_DIR "/scripts.json");
  const auto golden = nlohmann::json::parse(file);
  const rapt::detail::PreTokenizer splitter({rapt::ScriptSplit{}});
  rapt::detail::PreTokenizer::Work work;
  for (const auto& [text, expected] : golden.get<std::vector<std::pair<std::string, std::vector<std::size_t>>>>()) {
    std::vector<std::size_t> ends;
    const auto split = splitter(
        text, false, [](std::size_t) { return false; }, work);
    for (const rapt::TextSpan& piece : split.pieces) ends.insert(ends.end(), {piece.begin, piece.end});
    EXPECT_EQ(ends, expected) << text;
  }
  EXPECT_GE(golden.size(), 450u);
}

TEST(Scripts, RangesAreInOrderAndTheTableHoldsThem) {
  const rapt::detail::Scripts scripts;
  std::int32_t last = -1;
  for (const rapt::detail::ScriptRange& range : rapt::detail::kScriptRanges) {
    EXPECT_LT(last, range.first);
    EXPECT_LE(range.first, range.last);
    last = range.last;
    EXPECT_EQ(scripts[range.first], range.script);
    EXPECT_EQ(scripts[range.last], range.script);
  }
  EXPECT_EQ(scripts[' '], rapt::detail::Scripts::kNone);
  EXPECT_EQ(scripts[0x10FFFF], rapt::detail::Scripts::kNone);
  EXPECT_EQ(scripts[0x3042], scripts[0x4E00]) << "Hiragana is as Han";
  EXPECT_EQ(scripts[0x20000], scripts[0x4E00]);
}

}  // namespace
