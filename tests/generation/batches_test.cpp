/// \file
/// Searching in batches: every source is given its own prefix and stream, whatever batch it comes into.
#include "rapt/generation/batches.hpp"

#include <gtest/gtest.h>

#include <mutex>

#include "rapt/generation/sampling.hpp"
#include "tests/generation/prefix_model.hpp"

namespace {

using rapt::Index;
using rapt::SearchRequest;
using rapt::TokenBatch;
using rapt_test::Tokens;
using rapt_test::tokens_of;

TEST(SearchInBatches, PrefixesAndStreamsAreThoseOfTheSource) {
  const TokenBatch sources = rapt_test::some_sources();
  const SearchRequest request{.prefix = TokenBatch({{0}, {1}, {}, {3, 3}, {4}}), .seed = 7, .streams = {9, 8, 7, 6, 5}};
  std::mutex mutex;
  std::size_t seen = 0;
  const auto found =
      rapt::search_in_batches(sources, request, 5, [&](const TokenBatch& batch, const SearchRequest& of) {
        const std::lock_guard lock(mutex);
        EXPECT_EQ(of.seed, 7u);
        EXPECT_EQ(of.prefix.sequences(), batch.sequences());
        EXPECT_EQ(of.streams.size(), static_cast<std::size_t>(batch.sequences()));
        std::vector<std::vector<rapt::Hypothesis>> lists;
        for (Index i = 0; i < batch.sequences(); ++i) {
          const auto number = static_cast<Index>(9 - of.streams[static_cast<std::size_t>(i)]);
          EXPECT_EQ(tokens_of(batch, i), tokens_of(sources, number));
          EXPECT_EQ(tokens_of(of.prefix, i), tokens_of(request.prefix, number));
          lists.push_back({{.tokens = {static_cast<rapt::TokenId>(number)}}});
          ++seen;
        }
        return lists;
      });
  EXPECT_EQ(seen, 5u);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i].front().tokens[0], static_cast<rapt::TokenId>(i));
}

TEST(SearchInBatches, SamplesAreThoseOfOneBatch) {
  const TokenBatch sources = rapt_test::some_sources();
  const auto model = rapt_test::random_prefix_model(7, 2);
  const auto together = rapt::sample(model, sources, {}, {.seed = 8});
  const auto sample = [](const TokenBatch& batch, const SearchRequest& of) {
    const auto own = rapt_test::random_prefix_model(7, 2);  // counts what it is fed, which threads must not share
    return rapt::sample(own, batch, {}, of);
  };
  for (const Index batch_tokens : {1, 4, 100}) {
    const auto found = rapt::search_in_batches(sources, {.seed = 8}, batch_tokens, sample);
    for (std::size_t i = 0; i < found.size(); ++i) rapt_test::expect_same(found[i], together[i]);
  }
}

}  // namespace
