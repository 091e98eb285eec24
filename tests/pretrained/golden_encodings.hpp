/// \file
/// Comparing encodings with those of Hugging Face's tokenizers package, in the form that
/// tests/golden/make_tokenizers.py writes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/text/encoding.hpp"

namespace rapt_test {

inline void expect_golden_encoding(const rapt::Encoding& encoding, const nlohmann::json& results, std::size_t i,
                                   const std::string& text) {
  EXPECT_EQ(encoding.ids, results["ids"][i].get<std::vector<rapt::TokenId>>()) << text;
  std::vector<std::size_t> spans;
  for (const rapt::TextSpan& span : encoding.spans) spans.insert(spans.end(), {span.begin, span.end});
  EXPECT_EQ(spans, results["spans"][i].get<std::vector<std::size_t>>()) << text;
  const auto types = results["types"].find(std::to_string(i));
  EXPECT_EQ(encoding.types, types == results["types"].end() ? std::vector<rapt::TokenId>(encoding.ids.size(), 0)
                                                            : types->get<std::vector<rapt::TokenId>>())
      << text;
}

/// Returns how many texts it has compared.
template <class Tokenizer>
int expect_golden_encodings(const Tokenizer& tokenizer, const nlohmann::json& all_texts, const nlohmann::json& set) {
  std::vector<std::string> texts;
  for (const nlohmann::json& number : set["texts"]) texts.push_back(all_texts[number.get<std::size_t>()]);
  const rapt::TokenBatch batch = tokenizer.encode_batch(texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const rapt::Encoding encoding = tokenizer.encode_with_spans(texts[i]);
    expect_golden_encoding(encoding, set, i, texts[i]);
    EXPECT_EQ(tokenizer.encode(texts[i]), encoding.ids);
    const auto ids = batch.sequence(static_cast<rapt::Index>(i));
    EXPECT_TRUE(std::equal(ids.begin(), ids.end(), encoding.ids.begin(), encoding.ids.end())) << texts[i];
    if (!set["decoded"][i].is_null()) {
      EXPECT_EQ(tokenizer.decode(encoding.ids, /*skip_special=*/false), set["decoded"][i].get<std::string>());
    }
  }
  const nlohmann::json& pairs = set["pairs"];
  for (std::size_t i = 0; i < pairs["ids"].size(); ++i) {
    expect_golden_encoding(tokenizer.encode_pair(texts[i], texts[i + 1]), pairs, i, texts[i] + " and " + texts[i + 1]);
  }
  return static_cast<int>(texts.size());
}

}  // namespace rapt_test
