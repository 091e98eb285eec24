/// \file
/// Trees as SVG: every node once, leaves from left to right without overlap, parents above their children.
#include "rapt/visualization/tree.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <sstream>
#include <string>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::DrawnTree;

struct Place {
  double x = 0, y = 0;
};
/// Where each text stands, by the text.
std::map<std::string, Place> places_in(const std::string& svg) {
  std::map<std::string, Place> places;
  std::istringstream stream(svg);
  for (std::string line; std::getline(stream, line);) {
    Place place;
    if (std::sscanf(line.c_str(), "<text x=\"%lf\" y=\"%lf\"", &place.x, &place.y) != 2) continue;
    const std::size_t from = line.find('>') + 1;
    EXPECT_TRUE(places.emplace(line.substr(from, line.find('<', from) - from), place).second) << line;
  }
  return places;
}

TEST(TreeDrawing, LeavesStandInOrderBelowTheirParents) {
  const DrawnTree tree{"S", {{"NP", {{"DT", {{"the"}}}, {"NN", {{"dog"}}}}}, {"VP", {{"barks"}}}}};
  const std::string svg = rapt::tree_svg(tree, {.title = "A <b> tree"});
  const auto at = places_in(svg);
  ASSERT_EQ(at.size(), 9u);
  EXPECT_TRUE(at.contains("A &lt;b&gt; tree"));
  EXPECT_LT(at.at("S").y, at.at("NP").y);
  EXPECT_EQ(at.at("NP").y, at.at("VP").y);
  EXPECT_LT(at.at("NP").y, at.at("DT").y);
  for (const char* leaf : {"dog", "barks"}) EXPECT_EQ(at.at(leaf).y, at.at("the").y);
  EXPECT_LT(at.at("DT").y, at.at("the").y);
  EXPECT_LT(at.at("the").x + 20, at.at("dog").x);
  EXPECT_LT(at.at("dog").x + 20, at.at("barks").x);
  EXPECT_NEAR(at.at("NP").x, (at.at("DT").x + at.at("NN").x) / 2, 0.1);
  EXPECT_NEAR(at.at("VP").x, at.at("barks").x, 0.1);
  std::size_t lines = 0;
  for (std::size_t i = svg.find("<path"); i != std::string::npos; i = svg.find("<path", i + 1)) ++lines;
  EXPECT_EQ(lines, 7u);  // one above each node but the root
}

TEST(TreeDrawing, LongLabelsOverShortWordsDoNotOverlap) {
  const DrawnTree tree{"S", {{"a long label", {{"i"}}}, {"another long one", {{"a"}}}}};
  const auto at = places_in(rapt::tree_svg(tree));
  EXPECT_GT(at.at("another long one").x - at.at("a long label").x, (12 + 16) / 2 * 0.56 * 14);
}

TEST(TreeDrawing, ASingleNodeAndTooLowLevels) {
  EXPECT_EQ(places_in(rapt::tree_svg({"word"})).size(), 1u);
  rapt_test::expect_message<rapt::ValueError>([] { (void)rapt::tree_svg({"word"}, {.level_height = 3}); },
                                              "[tree_svg] level_height must be at least 20: 3");
}

}  // namespace
