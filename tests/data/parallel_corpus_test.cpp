#include "rapt/data/parallel_corpus.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::ParallelCorpus;
using rapt_test::error_text;
using Lines = std::vector<std::string>;

class ParallelCorpusTest : public rapt_test::FolderTest {
 protected:
  fs::path write(const std::string& name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
};

TEST_F(ParallelCorpusTest, ReadsTwoFiles) {
  const auto corpus = ParallelCorpus::read(write("de", "ein Hund\n\nzwei\n"), write("en", "a dog\nempty\ntwo"));
  EXPECT_EQ(corpus.size(), 3);
  EXPECT_EQ(corpus.source, (Lines{"ein Hund", "", "zwei"}));
  EXPECT_EQ(corpus.target, (Lines{"a dog", "empty", "two"}));
}

TEST_F(ParallelCorpusTest, RefusesFilesThatDoNotMatch) {
  const fs::path two = write("two", "1\n2\n");
  const fs::path three = write("three", "1\n2\n3\n");
  const fs::path none = write("none", "");
  EXPECT_EQ(error_text<rapt::IoError>([&] { (void)ParallelCorpus::read(two, three); }),
            "[parallel_corpus] both files must have the same number of lines: " + two.string() + " has 2, " +
                three.string() + " has 3");
  EXPECT_EQ(error_text<rapt::IoError>([&] { (void)ParallelCorpus::read(none, three); }),
            "[" + none.string() + "] the file is empty");
  EXPECT_EQ(error_text<rapt::IoError>([&] { (void)ParallelCorpus::read(two, none); }),
            "[" + none.string() + "] the file is empty");
}

TEST_F(ParallelCorpusTest, ReadsColumns) {
  const fs::path path = write("pairs.tsv",
                              "\xEF\xBB\xBF"
                              "1\ta dog\tein Hund\r\n2\t\tleer\textra\n");
  const auto corpus = ParallelCorpus::read_tab_separated(path, 2, 1);
  EXPECT_EQ(corpus.source, (Lines{"ein Hund", "leer"}));
  EXPECT_EQ(corpus.target, (Lines{"a dog", ""}));
  EXPECT_EQ(ParallelCorpus::read_tab_separated(path, 0, 1).source, (Lines{"1", "2"})) << "no byte order mark";

  EXPECT_EQ(error_text<rapt::IoError>([&] { (void)ParallelCorpus::read_tab_separated(path, 0, 3); }),
            "[" + path.string() + ":1] column 3 (counted from 0) is missing: columns in the line = 3");
  EXPECT_EQ(
      error_text<rapt::IoError>([&] { (void)ParallelCorpus::read_tab_separated(write("gap", "a\tb\n\n"), 1, 0); }),
      "[" + (folder_ / "gap").string() + ":2] column 1 (counted from 0) is missing: columns in the line = 1");
  EXPECT_EQ(error_text<rapt::IoError>([&] { (void)ParallelCorpus::read_tab_separated(write("none", ""), 0, 1); }),
            "[" + (folder_ / "none").string() + "] the file is empty");
  EXPECT_THROW((void)ParallelCorpus::read_tab_separated(path, -1, 0), rapt::ValueError);
}

TEST_F(ParallelCorpusTest, DropsPairsWithAnEmptySide) {
  ParallelCorpus corpus{{"a", "", "c", " \t", "e", "f", "\u3000"}, {"A", "B", "\u00A0", "D", "E", "", "G"}};
  EXPECT_EQ(corpus.drop_empty(), 5);
  EXPECT_EQ(corpus.source, (Lines{"a", "e"}));
  EXPECT_EQ(corpus.target, (Lines{"A", "E"}));
  EXPECT_EQ(corpus.drop_empty(), 0);
  ParallelCorpus uneven{{"a"}, {}};
  EXPECT_THROW(uneven.drop_empty(), rapt::ValueError);
}

}  // namespace
