/// \file
/// Alignments: means of the attention maps, of every layer, and alone as in a batch.
#include "rapt/generation/alignment.hpp"

#include <gtest/gtest.h>

#include "rapt/generation/beam_search.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/generation/random_transformer.hpp"

namespace {

using rapt::Hypothesis;
using rapt::Index;
using rapt::TokenBatch;
using rapt_test::one_sequence;
using rapt_test::Tokens;

TEST(Alignments, RowsAreMeansOfTheHeads) {
  const auto model = rapt_test::random_transformer<double>(9, 2);
  const TokenBatch sources = rapt_test::some_sources();
  const auto found = rapt::beam_search(model, sources, {.generation = {.max_length = 6, .min_length = 2}});
  for (const Index layer : {-1, 0, 1}) {
    const auto together = rapt::alignments(model, sources, found, {.layer = layer});
    ASSERT_EQ(together.size(), found.size());
    for (Index i = 0; i < sources.sequences(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Index tokens = static_cast<Index>(found[at].tokens.size()), length = sources.row_splits.length(i);
      ASSERT_EQ(together[at].shape(), (rapt::Shape{tokens, length}));
      Tokens input = found[at].tokens;
      input.insert(input.begin(), 1);
      const auto maps = model.attention_maps(one_sequence(sources.sequence(i)), one_sequence(input));
      const auto& weights = maps.decoder_cross[layer == 0 ? 0 : 1];  // [1, 2, tokens + 1, length]
      for (Index t = 0; t < tokens; ++t) {
        double sum = 0;
        for (Index j = 0; j < length; ++j) {
          sum += together[at](t, j);
          const double first = weights.row(t)[j], second = weights.row(tokens + 1 + t)[j];
          EXPECT_NEAR(together[at](t, j), (first + second) / 2, 1e-12);
        }
        EXPECT_NEAR(sum, 1, 1e-12);
      }
      const auto alone =
          rapt::alignments(model, one_sequence(sources.sequence(i)), std::span(found).subspan(at, 1), {.layer = layer});
      rapt_test::expect_close(alone[0], together[at], 1e-12);
    }
  }
}

TEST(Alignments, OfNothing) {
  const auto model = rapt_test::random_transformer<float>(9, 2);
  EXPECT_TRUE(rapt::alignments(model, TokenBatch(), std::vector<Hypothesis>{}).empty());
  const std::vector<Hypothesis> empty(2);
  const auto found = rapt::alignments(model, TokenBatch({{3, 4}, {5}}), empty);
  EXPECT_EQ(found[0].shape(), (rapt::Shape{0, 2}));
  EXPECT_EQ(found[1].shape(), (rapt::Shape{0, 1}));
}

TEST(Alignments, WrongUseIsAnError) {
  const auto model = rapt_test::random_transformer<float>(9, 2);
  const std::vector<Hypothesis> one(1);
  for (const Index layer : {-2, 2}) {
    EXPECT_EQ(rapt_test::error_text<rapt::ValueError>(
                  [&] { (void)rapt::alignments(model, TokenBatch({{3}}), one, {.layer = layer}); }),
              "[alignments] layer " + std::to_string(layer) + " of 2");
  }
  EXPECT_EQ(rapt_test::error_text<rapt::ShapeError>([&] {
              (void)rapt::alignments(model, TokenBatch({{3}, {4}}), one);
            }),
            "[alignments] 2 source sequences, 1 hypotheses");
}

}  // namespace
