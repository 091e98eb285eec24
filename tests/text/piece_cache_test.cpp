/// \file
/// The cache of pieces: keys, owners, and tokenizers that share it on many threads.
#include "rapt/text/piece_cache.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "rapt/text/byte_level_bpe.hpp"

namespace {

using rapt::ByteLevelBpe;
using rapt::TokenId;
using rapt::detail::PieceCache;

TEST(PieceCache, KeysAreEqualForEqualPiecesAlone) {
  const std::string text = "abcdefghijklmnopqrstuvwxyz";
  for (std::size_t size = 0; size <= PieceCache::kMostBytes; ++size) {
    // With bytes behind it, and at the end of the text, where fewer than 16 bytes can be read.
    const std::string end = "xy" + text.substr(0, size);
    EXPECT_EQ(PieceCache::key_of(text, 0, size, 1), PieceCache::key_of(end, 2, size, 1)) << size;
    EXPECT_FALSE(PieceCache::key_of(text, 0, size, 1) == PieceCache::key_of(text, 0, size, 2));
    if (size > 0) {
      EXPECT_FALSE(PieceCache::key_of(text, 0, size, 1) == PieceCache::key_of(text, 1, size, 1));
      EXPECT_FALSE(PieceCache::key_of(text, 0, size, 1) == PieceCache::key_of(text, 0, size - 1, 1));
    }
  }
  const std::string zeros(20, '\0');
  EXPECT_FALSE(PieceCache::key_of(zeros, 0, 3, 1) == PieceCache::key_of(zeros, 0, 4, 1));
}

TEST(PieceCache, HoldsFewTokens) {
  PieceCache::Slot slot;
  const PieceCache::Key key{.head = 1, .owner = 2};
  PieceCache::fill(slot, key, std::vector<TokenId>(PieceCache::kMostTokens + 1));
  EXPECT_FALSE(slot.key == key);
  PieceCache::fill(slot, key, std::vector<TokenId>{3, 4});
  EXPECT_TRUE(slot.key == key);
  EXPECT_EQ(slot.size, 2u);
  EXPECT_EQ(slot.tokens[1], 4);
}

/// The 256 bytes and tokens of two letters; their ids begin at 256 in this order.
ByteLevelBpe pairs(const std::vector<std::string>& joined) {
  const auto bytes = ByteLevelBpe::of_bytes();
  std::vector<std::string> names(bytes.tokens().begin(), bytes.tokens().end());
  std::vector<ByteLevelBpe::Merge> merges;
  for (const std::string& pair : joined) {
    names.push_back(pair);
    merges.emplace_back(pair.substr(0, 1), pair.substr(1));
  }
  return ByteLevelBpe(std::move(names), merges);
}

TEST(PieceCache, TokenizersDoNotMixTheirPieces) {
  const ByteLevelBpe first = pairs({"ab", "cd"}), second = pairs({"cd", "ab"});
  const ByteLevelBpe copy = first;
  for (int n = 0; n < 3; ++n) {
    EXPECT_EQ(first.encode("abcdx"), (std::vector<TokenId>{256, 257, 'x'}));
    EXPECT_EQ(second.encode("abcdx"), (std::vector<TokenId>{257, 256, 'x'}));
    EXPECT_EQ(copy.encode("abcdx"), (std::vector<TokenId>{256, 257, 'x'}));
  }
}

TEST(PieceCache, TheSameTokensWithAndWithoutIt) {
  const ByteLevelBpe tokenizer = pairs({"ab", "ba", "aa"});
  std::vector<std::string> words(3000);
  std::mt19937 random(3);
  for (std::string& word : words) {
    for (std::size_t i = 1 + random() % 17; i > 0; --i) word += static_cast<char>('a' + random() % 3);
  }
  std::vector<std::vector<TokenId>> expected;
  for (std::size_t i = 0; i < words.size(); i += 300) {
    const ByteLevelBpe fresh = pairs({"ab", "ba", "aa"});  // of which nothing is in the cache
    for (std::size_t k = i; k < i + 300; ++k) expected.push_back(fresh.encode(words[k]));
  }
  std::vector<std::thread> threads;
  std::vector<int> differences(3);
  for (std::size_t t = 0; t < differences.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int n = 0; n < 2; ++n) {
        for (std::size_t i = 0; i < words.size(); ++i)
          differences[t] += tokenizer.encode(words[i]) != expected[i] ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(differences, std::vector<int>(3));
  const rapt::Encoding spans = tokenizer.encode_with_spans("abc abc");
  EXPECT_EQ(spans.spans, (std::vector<rapt::TextSpan>{{0, 2}, {2, 3}, {3, 4}, {4, 6}, {6, 7}}));
}

}  // namespace
