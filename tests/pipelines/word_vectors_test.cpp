/// \file
/// Words near one another and analogies, in tables made by hand and in a folder's embeddings.
#include "rapt/pipelines/word_vectors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "rapt/pretrained/bert.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::WordVectors;
using rapt_test::expect_message;

/// Axes: royal, female, child; a last one that all share.
const std::vector<std::string> kPeople = {"king", "queen", "man", "woman", "boy", "girl", "prince", "princess"};

Tensor<float> people() {
  Tensor<float> vectors(Shape{8, 4});
  const float rows[8][4] = {{1, 0, 0, 1}, {1, 1, 0, 1}, {0, 0, 0, 1}, {0, 1, 0, 1},
                            {0, 0, 1, 1}, {0, 1, 1, 1}, {1, 0, 1, 1}, {1, 1, 1, 1}};
  for (Index i = 0; i < 8; ++i) {
    for (Index j = 0; j < 4; ++j) vectors(i, j) = rows[i][j] * static_cast<float>(1 + i);  // lengths do not count
  }
  return vectors;
}

std::vector<std::string> names(const std::vector<rapt::NearWord>& near) {
  std::vector<std::string> words;
  for (const rapt::NearWord& one : near) words.push_back(one.word);
  return words;
}

TEST(WordVectors, NearestByAngleWithoutTheWordItself) {
  const WordVectors words(kPeople, people());
  const auto near = words.nearest("king", 3);
  // cosines: queen and prince 2 / sqrt(6), princess 2 / sqrt(8), man 1 / sqrt(2)
  EXPECT_EQ(names(near), (std::vector<std::string>{"queen", "prince", "man"}));
  EXPECT_NEAR(near[0].similarity, 2 / std::sqrt(6.0), 1e-6);
  EXPECT_NEAR(near[2].similarity, 1 / std::sqrt(2.0), 1e-6);
  EXPECT_NEAR(words.similarity("man", "princess"), 0.5, 1e-6);
  EXPECT_EQ(words.nearest("king", 100).size(), 7u);
}

TEST(WordVectors, Analogies) {
  const WordVectors words(kPeople, people());
  EXPECT_EQ(words.analogy("king", "man", "woman", 1).front().word, "queen");
  EXPECT_EQ(words.analogy("prince", "boy", "girl", 2).front().word, "princess");
  const rapt::AnalogyScore score = words.score(
      {.name = "man and woman", .pairs = {{"man", "woman"}, {"king", "queen"}, {"boy", "girl"}, {"actor", "actress"}}});
  EXPECT_EQ(score.name, "man and woman");
  EXPECT_EQ(score.asked, 6);
  EXPECT_EQ(score.unknown, 6);
  EXPECT_EQ(score.right, 6);
  EXPECT_EQ(score.among_5, 6);
  EXPECT_EQ(score.accuracy(), 1.0);
  // pairs of different relations: nothing is right
  const auto wrong = words.score({.name = "wrong", .pairs = {{"man", "queen"}, {"girl", "boy"}}});
  EXPECT_EQ(wrong.right, 0);
  EXPECT_EQ(words.score({.name = "none", .pairs = {}}).accuracy(), 0.0);
}

TEST(WordVectors, RowsThatAreNoWordsAreLeftOut) {
  Tensor<float> vectors = people();
  for (Index j = 0; j < 4; ++j) vectors(1, j) = 0;
  std::vector<std::string> some = kPeople;
  some[2].clear();
  const WordVectors words(some, vectors);
  EXPECT_EQ(words.size(), 6);
  EXPECT_FALSE(words.contains("queen"));
  EXPECT_FALSE(words.contains(""));
  EXPECT_EQ(words.words()[1], "woman");
  EXPECT_EQ(words.nearest("girl", 1).front().word, "princess");
}

TEST(WordVectors, ErrorsNameWhatIsWrong) {
  const WordVectors words(kPeople, people());
  expect_message<rapt::ValueError>([&] { (void)words.nearest("kings", 1); }, "no word \"kings\"");
  expect_message<rapt::ValueError>([&] { (void)words.analogy("king", "man", "", 1); }, "no word \"\"");
  expect_message<rapt::ValueError>([&] { (void)words.nearest("king", 0); }, "must be positive: 0");
  expect_message<rapt::ShapeError>([] { (void)WordVectors({"a"}, people()); }, "1 words for vectors of shape [8, 4]");
  std::vector<std::string> twice = kPeople;
  twice[7] = "man";
  expect_message<rapt::ValueError>([&] { (void)WordVectors(twice, people()); },
                                   "\"man\" stands twice, the second time in row 7");
  Tensor<float> broken = people();
  broken(5, 1) = std::numeric_limits<float>::quiet_NaN();
  expect_message<rapt::ValueError>([&] { (void)WordVectors(kPeople, broken); }, "\"girl\", row 5, is not finite");
}

TEST(WordVectors, WordsOfTokens) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(rapt::words_of_tokens(Words{"[CLS]", "the", "##s", "a", "["}), (Words{"", "the", "", "a", "["}));
  EXPECT_EQ(rapt::words_of_tokens(Words{"<s>", "\u2581the", "s", "\u2581"}), (Words{"", "the", "", ""}));
  EXPECT_EQ(rapt::words_of_tokens(Words{"the", "\u0120the", "<|x|>"}), (Words{"", "the", ""}));
  // byte-level: the two bytes of an accented letter have names of their own
  EXPECT_EQ(rapt::words_of_tokens(Words{"the", "\u0120caf\u00c3\u00a9"}), (Words{"", "caf\u00e9"}));
  // words of a WordPiece vocabulary that begin with the letters that are marks elsewhere
  Words tokens(30, "a"), words = tokens;
  tokens[7] = words[7] = "\u0120enb";
  tokens[8] = words[8] = "\u2581x";
  EXPECT_EQ(rapt::words_of_tokens(tokens), words);
}

TEST(WordVectors, OfAFolder) {
  const rapt_test::TemporaryFolder folder;
  const std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "##s"};
  rapt::Rng rng(1);
  rapt::BertConfig config{.vocabulary = 9, .positions = 4};  // one row to spare
  config.d_model = 8;
  config.layers = 1;
  config.heads = 1;
  config.d_ff = 8;
  const rapt::Bert<float> model(config, rng);
  save_pretrained(folder.path(), model);
  std::ofstream file(folder.path() / "vocab.txt");
  for (const std::string& token : tokens) file << token << "\n";
  file.close();
  const WordVectors words = rapt::load_word_vectors(folder.path());
  EXPECT_EQ(words.size(), 2);
  const auto table = rapt::PretrainedFolder(folder.path())
                         .file_of("embeddings.word_embeddings.weight")
                         .read<float>("embeddings.word_embeddings.weight");
  const auto row = [&](Index i) { return table.matrix().row(i).normalized(); };
  EXPECT_NEAR(words.similarity("red", "blue"), row(5).dot(row(6)), 1e-6);
  expect_message<rapt::IoError>([&] { (void)rapt::load_word_vectors(folder.path(), "other"); }, "no tensor \"other\"");
  std::ofstream(folder.path() / "vocab.txt", std::ios::app) << "green\nyellow\n";
  expect_message<rapt::IoError>([&] { (void)rapt::load_word_vectors(folder.path()); }, "the tokenizer 10 tokens");
}

}  // namespace
