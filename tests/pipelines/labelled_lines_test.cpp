/// \file
/// Labelled texts from tables and JSON lines, what is refused, and their batches.
// covers: data/labelled_texts.hpp, data/shuffled_batches.hpp
#include "rapt/pipelines/labelled_lines.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "rapt/data/labelled_texts.hpp"
#include "rapt/data/shuffled_batches.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Index;
using rapt::LabelledLine;
using rapt::LabelledText;
using rapt::LabelledTextStream;
using rapt_test::expect_message;

class LabelledLines : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path file(const std::string& name, std::string_view text) const {
    const std::filesystem::path path = folder_.path() / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  void expect_refusal(const std::string& name, std::string_view text, const std::vector<std::string>& parts) const {
    const auto path = file(name, text);
    expect_message<rapt::IoError>([&] { std::ignore = rapt::read_labelled_lines(path); }, parts);
  }

 private:
  rapt_test::TemporaryFolder folder_;
};

TEST_F(LabelledLines, ATableHasNamedColumnsInAnyOrder) {
  const auto lines = rapt::read_labelled_lines(file(
      "a.tsv", "\xEF\xBB\xBFlabel\tid\ttext2\ttext\r\ngood\t1\t\tA fine day\r\n\r\nbad\t2\tand more\t\xC3\xA4h\n"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].text, "A fine day");
  EXPECT_EQ(lines[0].second, "");
  EXPECT_EQ(lines[0].label, "good");
  EXPECT_EQ(lines[1].text, "\xC3\xA4h");
  EXPECT_EQ(lines[1].second, "and more");
  EXPECT_EQ(rapt::distinct_labels(lines), (std::vector<std::string>{"bad", "good"}));
  EXPECT_EQ(rapt::label_numbers(lines, {"bad", "good"}), (std::vector<std::int32_t>{1, 0}));
}

TEST_F(LabelledLines, JsonLinesHaveLabelsOfSeveralTypes) {
  const auto lines = rapt::read_labelled_lines(
      file("a.jsonl",
           "{\"text\": \"one\\ttab\", \"label\": 3, \"id\": []}\n{\"s\": 1, \"text\": \"two\", \"text2\": "
           "\"b\", \"label\": \"-0.5\"}\n"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].text, "one\ttab");
  EXPECT_EQ(lines[0].label, "3");
  EXPECT_EQ(lines[1].second, "b");
  EXPECT_EQ(rapt::label_values(lines), (std::vector<float>{3.f, -0.5f}));
  const auto renamed = rapt::read_labelled_lines(file("b.json", "{\"sentence\": \"x\", \"gold\": true}"),
                                                 {.text = "sentence", .label = "gold"});
  EXPECT_EQ(renamed.at(0).label, "true");
}

TEST_F(LabelledLines, NumbersOfTheSameValueAreTheSameLabel) {
  std::string text;
  for (const char* label : {"1", "1.0", "10e-1", "\"1\"", "-0.0", "0", "0.5", "5e-1", "1e17", "100000000000000000"}) {
    text += std::string("{\"text\": \"x\", \"label\": ") + label + "}\n";
  }
  const auto lines = rapt::read_labelled_lines(file("a.jsonl", text));
  EXPECT_EQ(rapt::distinct_labels(lines), (std::vector<std::string>{"0", "0.5", "1", "100000000000000000"}));
}

TEST_F(LabelledLines, NumbersOfATableMayHaveASignAndLackDigits) {
  const auto lines = rapt::read_labelled_lines(
      file("a.tsv", "text\tlabel\nx\t+1\nx\t.5\nx\t-.25\nx\t2.\nx\t1e-2\nx\t 3 \n\"x\"\t4\n"));
  EXPECT_EQ(lines.at(6).text, "\"x\"");  // a quotation mark is a character like any other
  EXPECT_EQ(rapt::label_values({lines.begin(), lines.begin() + 6}), (std::vector<float>{1, 0.5f, -0.25f, 2, 1e-2f, 3}));
}

TEST_F(LabelledLines, WhatIsNoLabelledTextIsRefusedWithItsLine) {
  expect_refusal("a.txt", "text\tlabel\n", {"a.txt", ".tsv, .jsonl"});
  expect_refusal("a.tsv", "", {"a.tsv", "no texts"});
  expect_refusal("a.tsv", "text\tlabel\n", {"a.tsv", "no texts"});
  expect_refusal("a.tsv", "text\tlable\nx\ty\n", {"a.tsv:1", "no column has the name \"label\""});
  expect_refusal("a.tsv", "text\tlabel\nx\ty\nz\n", {"a.tsv:3", "1 fields in 2 columns"});
  expect_refusal("a.tsv", "text\tlabel\n\ty\n", {"a.tsv:2", "the text is empty"});
  expect_refusal("a.tsv", "text\tlabel\nx\xFF\ty\n", {"a.tsv:2", "not UTF-8"});
  expect_refusal("a.jsonl", "{\"text\": \"x\", \"label\": 1}\n[1]\n", {"a.jsonl:2"});
  expect_refusal("a.jsonl", "{\"text\": \"x\"}\n", {"a.jsonl:1", "\"label\"", "there is none"});
  expect_refusal("a.jsonl", "{\"text\": 1, \"label\": 1}\n", {"a.jsonl:1", "\"text\" must be a string"});
  expect_refusal("a.jsonl", "{\"text\": \"x\", \"label\": [1]}\n",
                 {"a.jsonl:1", "\"label\" must be a string or a number"});
  expect_refusal("a.tsv", "text\tlabel\tlabel\nx\ty\tz\n", {"a.tsv:1", "two columns have the name \"label\""});
  expect_refusal("a.tsv", "text\tlabel\n\t\n", {"a.tsv:2", "the text is empty"});
  const auto path = file("a.tsv", "id\tid\ttext\tlabel\n1\t1\tx\t1\n\n1\t1\ty\tmaybe\n");
  expect_message<rapt::ValueError>(
      [&] { std::ignore = rapt::read_labelled_lines(path, {.text = "text", .label = "text"}); },
      "must have different names: \"text\", \"text2\", \"text\"");
  const auto read = rapt::read_labelled_lines(path);
  EXPECT_EQ(read.at(0).place, path.string() + ":2");
  expect_message<rapt::ValueError>(
      [&] {
        std::ignore = rapt::label_numbers(read, {"2", "1"});
      },
      std::vector<std::string>{"a.tsv:4 has the label \"maybe\"", "known: \"2\", \"1\""});
  expect_message<rapt::ValueError>([&] { std::ignore = rapt::label_values(read); }, "a.tsv:4 has the label \"maybe\"");
  for (const char* number : {"+-1", "++1", "inf", "nan", "0x1", "1e39", "1 2", "true", "+", "."}) {
    expect_message<rapt::ValueError>([&] { std::ignore = rapt::label_values({{"x", "", number}}); }, "is no number");
  }
  const std::vector<LabelledLine> lines = {{"x", "", "1"}, {"y", "", "2b"}};
  expect_message<rapt::ValueError>([&] { std::ignore = rapt::label_values(lines); }, "text 2");
  expect_message<rapt::ValueError>([&] { std::ignore = rapt::label_numbers(lines, {"1"}); }, "text 2");
}

/// Text i has i + 1 tokens of the number i.
LabelledText counted_texts(bool of_tokens) {
  LabelledText all;
  for (Index i = 0; i < 7; ++i) {
    const std::vector<rapt::TokenId> tokens(static_cast<std::size_t>(i + 1), static_cast<rapt::TokenId>(i));
    all.input.push_back(tokens);
    all.token_types.insert(all.token_types.end(), tokens.begin(), tokens.end());
    if (of_tokens) {
      all.labels.insert(all.labels.end(), tokens.begin(), tokens.end());
    } else {
      all.labels.push_back(static_cast<std::int32_t>(i));
    }
    for (const float v : {0.f, 0.5f}) all.values.push_back(static_cast<float>(i) + v);
  }
  return all;
}

TEST(LabelledTexts, EachEpochHasAllTextsWithTheirLabelsInAnOrderOfItsOwn) {
  for (const bool of_tokens : {false, true}) {
    LabelledTextStream stream(counted_texts(of_tokens), {.texts = 3, .seed = 5});
    EXPECT_EQ(stream.batches_per_epoch(), 3);
    std::vector<std::vector<rapt::TokenId>> orders;
    for (Index epoch = 0; epoch < 3; ++epoch) {
      std::vector<rapt::TokenId> order;
      for (Index b = 0; b < 3; ++b) {
        const LabelledText batch = stream.next();
        EXPECT_EQ(batch.input.sequences(), b < 2 ? 3 : 1);
        EXPECT_EQ(batch.token_types, batch.input.tokens);
        for (Index i = 0; i < batch.input.sequences(); ++i) {
          const auto tokens = batch.input.sequence(i);
          order.push_back(tokens[0]);
          ASSERT_EQ(std::ssize(tokens), tokens[0] + 1);
          EXPECT_EQ(rapt::at(batch.values, 2 * i + 1), static_cast<float>(tokens[0]) + 0.5f);
          EXPECT_EQ(rapt::at(batch.labels, of_tokens ? batch.input.row_splits.begin(i) : i), tokens[0]);
        }
        EXPECT_EQ(batch.labels.size(), of_tokens ? batch.input.tokens.size() : rapt::to_size(batch.input.sequences()));
      }
      EXPECT_EQ(std::set<rapt::TokenId>(order.begin(), order.end()).size(), 7u);
      orders.push_back(order);
    }
    EXPECT_NE(orders[0], orders[1]);

    // From any position the same batches follow.
    for (Index epoch = 0; epoch < 2; ++epoch) {
      for (Index b = 0; b <= 3; ++b) {
        LabelledTextStream one(counted_texts(of_tokens), {.texts = 3, .seed = 5}), other = one;
        for (Index i = 0; i < 3 * epoch + b; ++i) std::ignore = one.next();
        other.seek({epoch, b});
        EXPECT_EQ(one.next().input.tokens, other.next().input.tokens) << epoch << ", " << b;
      }
    }
    expect_message([&] { stream.seek({0, 4}); }, "no batch 4 of epoch 0");
  }
}

TEST(LabelledTexts, LabelsThatDoNotFitAreRefused) {
  LabelledText texts = counted_texts(false);
  texts.labels.pop_back();
  expect_message<rapt::ShapeError>([&] { std::ignore = LabelledTextStream(texts, {}).next(); }, "6 labels");
  expect_message<rapt::ValueError>([&] { LabelledTextStream({}, {}); }, "labelled_texts");
  const auto none = [](std::span<const Index>) { return LabelledText(); };
  expect_message<rapt::ValueError>([&] { rapt::ShuffledBatches<LabelledText>(none, {.examples = 0}); },
                                   "[shuffled_batches] there must be examples, and some in a batch: 0, 16");
  expect_message<rapt::ValueError>([&] { LabelledTextStream(counted_texts(false), {.texts = 0}); }, "7, 0");
}

}  // namespace
