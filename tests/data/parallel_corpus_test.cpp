#include "rapt/data/parallel_corpus.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;
using rapt::ParallelCorpus;
using rapt::read_lines;
using Lines = std::vector<std::string>;

class ParallelCorpusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              ("rapt_parallel_corpus_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }

  template <class Call>
  static std::string message_of(Call&& call) {
    try {
      call();
    } catch (const rapt::IoError& error) {
      return error.what();
    }
    return "no IoError";
  }

  fs::path folder_;
};

TEST_F(ParallelCorpusTest, ReadsLines) {
  EXPECT_EQ(read_lines(write("unix", "one\ntwo\n")), (Lines{"one", "two"}));
  EXPECT_EQ(read_lines(write("no newline at the end", "one\ntwo")), (Lines{"one", "two"}));
  EXPECT_EQ(read_lines(write("windows", "one\r\n\r\ntwo\r\r\n")), (Lines{"one", "", "two\r"})) << "one CR goes";
  EXPECT_EQ(read_lines(write("empty lines", "\n\na\n\n")), (Lines{"", "", "a", ""}));
  EXPECT_EQ(read_lines(write("empty", "")), Lines{});
  EXPECT_EQ(read_lines(write("byte order mark", "\xEF\xBB\xBFgrün\n\xEF\xBB\xBF\n")), (Lines{"grün", "\xEF\xBB\xBF"}));
  EXPECT_EQ(read_lines(write("other separators", "a\u2028b\u0085c\fd\n")), (Lines{"a\u2028b\u0085c\fd"}))
      << "only LF ends a line";
}

TEST_F(ParallelCorpusTest, NamesWhatCannotBeRead) {
  const std::string missing = (folder_ / "missing").string();
  EXPECT_EQ(message_of([&] { (void)read_lines(missing); }), "[" + missing + "] cannot open the file for reading");
  EXPECT_EQ(message_of([&] { (void)read_lines(folder_); }),
            "[" + folder_.string() + "] is a directory, not a text file");
  const std::string latin1 = write("latin1", "good\nna\xEFve\n").string();
  EXPECT_EQ(message_of([&] { (void)read_lines(latin1); }),
            "[" + latin1 + ":2] not UTF-8: byte 3 of the line has the value 239");
  if (fs::exists("/proc/self/mem")) {  // opens, and cannot be read at 0
    EXPECT_EQ(message_of([] { (void)read_lines("/proc/self/mem"); }), "[/proc/self/mem] reading failed after 0 lines");
  }
}

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
  EXPECT_EQ(message_of([&] { (void)ParallelCorpus::read(two, three); }),
            "[parallel_corpus] both files must have the same number of lines: " + two.string() + " has 2, " +
                three.string() + " has 3");
  EXPECT_EQ(message_of([&] { (void)ParallelCorpus::read(none, three); }), "[" + none.string() + "] the file is empty");
  EXPECT_EQ(message_of([&] { (void)ParallelCorpus::read(two, none); }), "[" + none.string() + "] the file is empty");
}

TEST_F(ParallelCorpusTest, ReadsColumns) {
  const fs::path path = write("pairs.tsv", "1\ta dog\tein Hund\r\n2\t\tleer\textra\n");
  const auto corpus = ParallelCorpus::read_tab_separated(path, 2, 1);
  EXPECT_EQ(corpus.source, (Lines{"ein Hund", "leer"}));
  EXPECT_EQ(corpus.target, (Lines{"a dog", ""}));

  EXPECT_EQ(message_of([&] { (void)ParallelCorpus::read_tab_separated(path, 0, 3); }),
            "[" + path.string() + ":1] column 3 (counted from 0) is missing: columns in the line = 3");
  EXPECT_EQ(message_of([&] { (void)ParallelCorpus::read_tab_separated(write("gap", "a\tb\n\n"), 1, 0); }),
            "[" + (folder_ / "gap").string() + ":2] column 1 (counted from 0) is missing: columns in the line = 1");
  EXPECT_EQ(message_of([&] { (void)ParallelCorpus::read_tab_separated(write("none", ""), 0, 1); }),
            "[" + (folder_ / "none").string() + "] the file is empty");
  EXPECT_THROW((void)ParallelCorpus::read_tab_separated(path, -1, 0), rapt::ValueError);
}

TEST_F(ParallelCorpusTest, DropsPairsWithAnEmptySide) {
  ParallelCorpus corpus{{"a", "", "c", " \t", "e", "f"}, {"A", "B", "\u00A0", "D", "E", ""}};
  EXPECT_EQ(corpus.drop_empty(), 4);
  EXPECT_EQ(corpus.source, (Lines{"a", "e"}));
  EXPECT_EQ(corpus.target, (Lines{"A", "E"}));
  EXPECT_EQ(corpus.drop_empty(), 0);
  ParallelCorpus uneven{{"a"}, {}};
  EXPECT_THROW(uneven.drop_empty(), rapt::ValueError);
}

}  // namespace
