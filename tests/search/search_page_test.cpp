/// \file
/// The page of a search as text. How it looks and behaves is tested in a browser by search_page_browser_test.py.
// covers: search/search_page_assets.hpp
#include "rapt/search/search_page.hpp"

#include <gtest/gtest.h>

namespace {

using rapt::Index;
using rapt::search_page;
using rapt::SettingsSpace;
using rapt::TrialHistory;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

SettingsSpace space_of_two() {
  SettingsSpace space;
  space.add("rate", rapt::log_range(1e-4, 1e-2));
  space.add("<norm>", rapt::choice({"post", "p&re"}));
  return space;
}

TEST(SearchPage, ShowsAllTrials) {
  const SettingsSpace space = space_of_two();
  TrialHistory history;
  for (Index i = 0; i < 8; ++i) {
    history.start({i, 0}, space.sample(1, i));
    if (i == 7) continue;  // still runs: is not shown
    history.finish({i, 0}, i == 2 ? rapt::RungResult{.failure = "</td><script>bad()", .resource = 100, .seconds = 30}
                                  : rapt::RungResult{.score = 2.0 - 0.125 * static_cast<double>(i),
                                                     .resource = 100,
                                                     .took = 10,
                                                     .seconds = 60.0 * static_cast<double>(i)});
  }
  history.start({6, 1});
  history.finish({6, 1}, {.score = 0.5, .resource = 300, .took = 20, .seconds = 600});
  const std::string page = search_page(space, {.rungs = 2, .factor = 3, .resource = 300}, history,
                                       {.title = "A <search>", .score_name = "loss", .resource_name = "steps"});
  EXPECT_EQ(count(page, "<tr "), 7u);
  EXPECT_EQ(count(page, "<path class=\"trial"), 7u);
  EXPECT_EQ(count(page, "data-trial=\"6\""), 2u);
  EXPECT_EQ(count(page, "class=\"row best\""), 1u);
  EXPECT_EQ(count(page, "class=\"row failed\""), 1u);
  EXPECT_EQ(count(page, "<script>"), 1u);
  EXPECT_NE(page.find("<h1>A &lt;search&gt;</h1>"), std::string::npos);
  EXPECT_NE(page.find("&lt;/td&gt;&lt;script&gt;bad()"), std::string::npos);
  EXPECT_NE(page.find("8 trials, 8 rungs ended, failed: 1; 10 minutes"), std::string::npos);
  EXPECT_NE(page.find("Best: <b>0.5</b> (loss) of trial 6"), std::string::npos);
  EXPECT_NE(page.find(">100 steps<"), std::string::npos);  // the legend of the curves
  EXPECT_NE(page.find("7 trials that ended rung 0"), std::string::npos);
  EXPECT_NE(page.find("<td>0.5</td><td>1</td><td>300</td><td>30</td>"), std::string::npos);
  EXPECT_EQ(page, search_page(space, {.rungs = 2, .factor = 3, .resource = 300}, history,
                              {.title = "A <search>", .score_name = "loss", .resource_name = "steps"}));
}

TEST(SearchPage, OfNothing) {
  const std::string page = search_page(space_of_two(), {}, TrialHistory());
  EXPECT_NE(page.find("no points"), std::string::npos);
  EXPECT_NE(page.find("Too few trials: a rung needs 4."), std::string::npos);
  EXPECT_EQ(count(page, "<tr "), 0u);
}

TEST(SearchPage, NumbersAreShort) {
  EXPECT_EQ(rapt::detail::short_number(900), "900");
  EXPECT_EQ(rapt::detail::short_number(0), "0");
  EXPECT_EQ(rapt::detail::short_number(-1.0 / 3), "-0.333333");
  EXPECT_EQ(rapt::detail::short_number(0.000123456789), "0.000123457");
  EXPECT_EQ(rapt::detail::short_number(1234567.891), "1234570");
  EXPECT_EQ(rapt::detail::short_number(0.397369), "0.397369")
      << "and not 0.39736900000000003, which is the same number";
  EXPECT_EQ(rapt::detail::resource_text(1234567), "1234567");
  EXPECT_EQ(rapt::detail::resource_text(100.0 / 3), "33.33");
}

}  // namespace
