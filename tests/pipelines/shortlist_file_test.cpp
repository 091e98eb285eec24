/// \file
/// Files of shortlists: there and back, and files that are none.
#include "rapt/pipelines/shortlist_file.hpp"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::VocabularyShortlist;
using Parts = std::vector<std::string>;

TEST(ShortlistFile, IsReadAsItWasWritten) {
  const rapt_test::TemporaryFolder folder;
  const VocabularyShortlist list(9, {{1, 8}, {}, {0}}, {3, 4});
  rapt::save_shortlist(folder.path() / "list.json", list);
  EXPECT_EQ(rapt::load_shortlist(folder.path() / "list.json"), list);
}

TEST(ShortlistFile, OfOtherThingsIsRefused) {
  const rapt_test::TemporaryFolder folder;
  const auto path = folder.path() / "list.json";
  const auto expect_refused = [&](std::string_view text, const Parts& parts) {
    rapt::detail::write_text_file(path, text);
    rapt_test::expect_message<rapt::IoError>([&] { std::ignore = rapt::load_shortlist(path); }, parts);
  };
  rapt_test::expect_message<rapt::IoError>([&] { std::ignore = rapt::load_shortlist(path); }, "list.json");
  expect_refused("[1, 2]", Parts{"list.json", "not a JSON object"});
  expect_refused("{}", Parts{"list.json", "\"target_vocabulary\"", "not a shortlist"});
  expect_refused(R"({"target_vocabulary": 0, "always": [], "candidates": []})", Parts{"list.json", "positive: 0"});
  expect_refused(R"({"target_vocabulary": 4, "always": [4], "candidates": []})", Parts{"list.json", "token 4"});
  expect_refused(R"({"target_vocabulary": 4, "always": [1.5], "candidates": []})", Parts{"\"always\"", "1.5"});
  expect_refused(R"({"target_vocabulary": 4, "always": [], "candidates": [1]})", Parts{"\"candidates\"", "a list"});
  expect_refused(R"({"target_vocabulary": 4, "always": [], "candidates": [[-1]]})", Parts{"\"candidates\"", "-1"});
}

}  // namespace
