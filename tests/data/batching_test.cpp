/// \file
/// Batches: what is in them, that an epoch holds every pair once, and that a position is enough to go on.
#include "rapt/data/batching.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <stdexcept>

#include "tests/common/expect_close.hpp"

namespace {

using rapt::BatchOptions;
using rapt::BatchStream;
using rapt::Index;
using rapt::TokenId;
using rapt::TokenPair;
using rapt::TranslationBatch;
using Tokens = std::vector<TokenId>;

/// Pair i begins with the token 100 + i on both sides; lengths are 1 .. longest.
std::vector<TokenPair> some_pairs(Index count, Index longest, std::uint64_t seed = 3) {
  rapt::Rng rng(seed);
  std::vector<TokenPair> pairs;
  for (Index i = 0; i < count; ++i) {
    TokenPair pair;
    for (Tokens* side : {&pair.source, &pair.target}) {
      side->assign(static_cast<std::size_t>(1 + rng.below(longest)), 5);
      side->front() = static_cast<TokenId>(100 + i);
    }
    pairs.push_back(pair);
  }
  return pairs;
}

/// The numbers of the pairs in a batch, in order.
std::vector<Index> pairs_in(const TranslationBatch& batch) {
  std::vector<Index> numbers;
  for (Index i = 0; i < batch.source.sequences(); ++i) {
    numbers.push_back(batch.source.sequence(i).front() - 100);
    EXPECT_EQ(batch.target_input.sequence(i)[1] - 100, numbers.back());  // both sides come from one pair
  }
  return numbers;
}

std::vector<std::vector<Index>> epoch_of(BatchStream& stream) {
  std::vector<std::vector<Index>> batches;
  for (Index i = 0; i < stream.batches_per_epoch(); ++i) batches.push_back(pairs_in(stream.next()));
  return batches;
}

void expect_equal(const TranslationBatch& a, const TranslationBatch& b) {
  EXPECT_EQ(a.source.tokens, b.source.tokens);
  EXPECT_EQ(a.source.row_splits, b.source.row_splits);
  EXPECT_EQ(a.target_input.tokens, b.target_input.tokens);
  EXPECT_EQ(a.target_input.row_splits, b.target_input.row_splits);
  EXPECT_EQ(a.target_output, b.target_output);
}

TEST(MakeBatch, LaysPairsEndToEndBetweenSymbols) {
  const std::vector<TokenPair> pairs{{{10, 11}, {20}}, {{12}, {21, 22, 23}}, {{13, 14, 15}, {}}};
  const std::vector<Index> order{2, 0, 1};
  const TranslationBatch batch = rapt::make_batch(pairs, order, {.begin = 7, .end = 8});
  EXPECT_EQ(batch.source.tokens, (Tokens{13, 14, 15, 8, 10, 11, 8, 12, 8}));
  EXPECT_EQ(batch.source.row_splits, rapt::RowSplits({0, 4, 7, 9}));
  EXPECT_EQ(batch.target_input.tokens, (Tokens{7, 7, 20, 7, 21, 22, 23}));
  EXPECT_EQ(batch.target_input.row_splits, rapt::RowSplits({0, 1, 3, 7}));
  EXPECT_EQ(batch.target_output, (Tokens{8, 20, 8, 21, 22, 23, 8}));
}

TEST(MakeBatch, AllPairsAndNoEndOfSource) {
  const std::vector<TokenPair> pairs{{{10, 11}, {20}}, {{12}, {21}}};
  const TranslationBatch batch = rapt::make_batch(pairs, {.end_source = false});
  EXPECT_EQ(batch.source.tokens, (Tokens{10, 11, 12}));
  EXPECT_EQ(batch.source.row_splits, rapt::RowSplits({0, 2, 3}));
  EXPECT_EQ(batch.target_input.tokens, (Tokens{1, 20, 1, 21}));
  EXPECT_EQ(batch.target_output, (Tokens{20, 2, 21, 2}));
  EXPECT_EQ(rapt::make_batch(std::span<const TokenPair>()).source.sequences(), 0);
}

TEST(BatchStream, EveryPairOnceAnEpochWithinTheLimit) {
  const auto pairs = some_pairs(300, 20);
  for (const Index limit : {21, 40, 100, 1000, 100000}) {
    BatchStream stream(pairs, {.tokens = limit});
    for (Index epoch = 0; epoch < 3; ++epoch) {
      std::multiset<Index> seen;
      for (Index i = 0; i < stream.batches_per_epoch(); ++i) {
        const TranslationBatch batch = stream.next();
        EXPECT_EQ(stream.position(), (rapt::BatchPosition{epoch, i + 1}));
        EXPECT_GT(batch.source.sequences(), 0);
        EXPECT_LE(batch.source.size(), limit);
        EXPECT_LE(batch.target_input.size(), limit);
        EXPECT_EQ(batch.target_input.size(), static_cast<Index>(batch.target_output.size()));
        for (const Index number : pairs_in(batch)) seen.insert(number);
      }
      EXPECT_EQ(seen.size(), 300u);
      EXPECT_EQ(std::set<Index>(seen.begin(), seen.end()).size(), 300u);
    }
    if (limit == 100000) {
      EXPECT_EQ(stream.batches_per_epoch(), 1);
    }
  }
}

TEST(BatchStream, BatchesAreWellFilled) {
  const auto pairs = some_pairs(2000, 20);
  BatchStream stream(pairs, {.tokens = 400});
  Index fuller_side = 0;
  const Index count = stream.batches_per_epoch();
  for (Index i = 0; i < count; ++i) {
    const TranslationBatch batch = stream.next();
    fuller_side += std::max(batch.source.size(), batch.target_input.size());
  }
  EXPECT_GT(fuller_side, count * 400 * 9 / 10);
}

TEST(BatchStream, LikeLengthsAreTogether) {
  const auto pairs = some_pairs(2000, 40);
  BatchStream stream(pairs, {.tokens = 500});
  std::vector<std::pair<Index, Index>> spans;  // shortest and longest target of each batch
  for (Index i = 0; i < stream.batches_per_epoch(); ++i) {
    const TranslationBatch batch = stream.next();
    Index shortest = 1000;
    for (Index s = 0; s < batch.target_input.sequences(); ++s) {
      shortest = std::min(shortest, batch.target_input.row_splits.length(s));
    }
    spans.emplace_back(shortest, batch.target_input.row_splits.longest());
  }
  EXPECT_FALSE(std::is_sorted(spans.begin(), spans.end()));  // but batches come in random order
  std::sort(spans.begin(), spans.end());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    EXPECT_LE(spans[i].second - spans[i].first, 2) << "from " << spans[i].first;
    if (i > 0) {
      EXPECT_GE(spans[i].first, spans[i - 1].second);  // no two overlap
    }
  }
}

TEST(BatchStream, OrderIsAFunctionOfSeedAndEpoch) {
  const auto pairs = some_pairs(300, 20);
  BatchStream one(pairs, {.tokens = 100, .seed = 1}), same(pairs, {.tokens = 100, .seed = 1}),
      other(pairs, {.tokens = 100, .seed = 2});
  const auto first = epoch_of(one), second = epoch_of(one);
  EXPECT_EQ(first, epoch_of(same));
  EXPECT_EQ(second, epoch_of(same));
  EXPECT_NE(first, second);
  EXPECT_NE(first, epoch_of(other));
  // Not only the order of batches: who shares one with whom, too.
  const auto groups = [](const auto& batches) {
    std::set<std::set<Index>> result;
    for (const auto& batch : batches) result.insert(std::set<Index>(batch.begin(), batch.end()));
    return result;
  };
  EXPECT_NE(groups(first), groups(second));
}

TEST(BatchStream, SeekGoesOnAsIfItHadComeThereByItself) {
  const auto pairs = some_pairs(60, 10);
  const BatchOptions options{.tokens = 60, .seed = 9};
  BatchStream walker(pairs, options);
  for (int i = 0; i < 30; ++i) {
    const rapt::BatchPosition position = walker.position();
    BatchStream jumper(pairs, options);
    (void)jumper.next();
    jumper.seek(position);
    EXPECT_EQ(jumper.position(), position);
    BatchStream on = walker;
    for (int k = 0; k < 8; ++k) {
      expect_equal(jumper.next(), on.next());
      EXPECT_EQ(jumper.position(), on.position());
    }
    (void)walker.next();
  }
  EXPECT_GT(walker.position().epoch, 1);  // ends of epochs were among the positions
}

TEST(BatchStream, ThereAreNoSuchPositions) {
  const auto pairs = some_pairs(60, 10);
  BatchStream stream(pairs, {.tokens = 60});
  const Index count = stream.batches_per_epoch();
  EXPECT_NO_THROW(stream.seek({0, count}));  // its end is one
  EXPECT_THROW(stream.seek({-1, 0}), rapt::ValueError);
  EXPECT_THROW(stream.seek({0, -1}), rapt::ValueError);
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] {
              stream.seek({0, count + 1});
            }),
            "[batch_stream] no batch " + std::to_string(count + 1) + " in an epoch of " + std::to_string(count));
}

// Pairs from a function of the epoch ----------------------------------------------------------------------------------

/// Another corpus in each epoch, of another size.
std::vector<TokenPair> pairs_of(Index epoch) {
  return some_pairs(40 + 7 * epoch, 10, static_cast<std::uint64_t>(epoch + 1));
}

TEST(BatchStreamOfAFunction, AsksForEachEpochOnceAndHoldsItsPairs) {
  std::vector<Index> asked;
  BatchStream stream(
      [&](Index epoch) {
        asked.push_back(epoch);
        return pairs_of(epoch);
      },
      {.tokens = 60});
  std::map<Index, std::multiset<Index>> seen;  // pairs by epoch
  while (stream.position().epoch < 4) {
    const TranslationBatch batch = stream.next();
    for (const Index number : pairs_in(batch)) seen[stream.position().epoch].insert(number);
  }
  EXPECT_EQ(asked, (std::vector<Index>{0, 1, 2, 3, 4}));
  for (Index epoch = 0; epoch < 4; ++epoch) {
    const auto count = static_cast<std::size_t>(40 + 7 * epoch);
    EXPECT_EQ(seen[epoch].size(), count);
    EXPECT_EQ(std::set<Index>(seen[epoch].begin(), seen[epoch].end()).size(), count);
  }
}

TEST(BatchStreamOfAFunction, OfTheSamePairsIsTheStreamOfThePairs) {
  const auto pairs = some_pairs(60, 10);
  BatchStream plain(pairs, {.tokens = 60, .seed = 4});
  BatchStream by_function([&](Index) { return pairs; }, {.tokens = 60, .seed = 4});
  for (int i = 0; i < 40; ++i) {
    expect_equal(by_function.next(), plain.next());
    EXPECT_EQ(by_function.position(), plain.position());
  }
  EXPECT_GT(plain.position().epoch, 1);
}

TEST(BatchStreamOfAFunction, SeekGoesOnAsIfItHadComeThereByItself) {
  const BatchOptions options{.tokens = 60, .seed = 9};
  BatchStream walker(pairs_of, options);
  for (int i = 0; i < 30; ++i) {
    const rapt::BatchPosition position = walker.position();
    BatchStream jumper(pairs_of, options);
    (void)jumper.next();
    jumper.seek(position);
    EXPECT_EQ(jumper.position(), position);
    EXPECT_EQ(jumper.batches_per_epoch(), walker.batches_per_epoch());
    BatchStream on = walker;  // shares the epoch's pairs
    for (int k = 0; k < 12; ++k) {
      expect_equal(jumper.next(), on.next());
      EXPECT_EQ(jumper.position(), on.position());
    }
    (void)walker.next();
  }
  EXPECT_GT(walker.position().epoch, 1);
}

TEST(BatchStreamOfAFunction, ACopyKeepsThePairsAlive) {
  const BatchOptions options{.tokens = 60};
  BatchStream reference(pairs_of, options);
  auto original = std::make_unique<BatchStream>(pairs_of, options);
  BatchStream copy = *original;
  original->seek({3, 0});
  original.reset();
  for (int i = 0; i < 20; ++i) expect_equal(copy.next(), reference.next());
}

// An epoch that cannot be: the stream says so and stays where it was, with the pairs of the epoch that it is in.
TEST(BatchStreamOfAFunction, AnEpochThatCannotBeChangesNothing) {
  enum class Fault { empty, too_long, throws };
  for (const Fault fault : {Fault::empty, Fault::too_long, Fault::throws}) {
    const auto faulty = [fault](Index epoch) {
      if (epoch != 1) return pairs_of(epoch);
      if (fault == Fault::empty) return std::vector<TokenPair>();
      if (fault == Fault::throws) throw std::runtime_error("the epoch is not there");
      return std::vector<TokenPair>{{Tokens(100, 5), {6}}};
    };
    BatchStream stream(faulty, {.tokens = 60}), reference(pairs_of, {.tokens = 60});
    expect_equal(stream.next(), reference.next());
    if (fault == Fault::throws) {
      EXPECT_THROW(stream.seek({1, 0}), std::runtime_error);
    } else {
      EXPECT_THROW(stream.seek({1, 0}), rapt::ValueError);
    }
    EXPECT_EQ(stream.position(), reference.position());
    while (reference.position().batch < reference.batches_per_epoch()) expect_equal(stream.next(), reference.next());
    const auto text = [&] { return rapt_test::error_text<std::exception>([&] { (void)stream.next(); }); };
    const char* expected[] = {"[batch_stream] the corpus has no sentence pairs",
                              "[batch_stream] pair 0 has 101 tokens with its end symbol, a batch holds 60",
                              "the epoch is not there"};
    for (int again = 0; again < 2; ++again) EXPECT_EQ(text(), expected[static_cast<int>(fault)]);
    EXPECT_EQ(stream.position(), reference.position());
    stream.seek({2, 1});
    reference.seek({2, 1});
    for (int i = 0; i < 20; ++i) expect_equal(stream.next(), reference.next());
  }
}

TEST(BatchStream, AFailedSeekStaysWhereItIs) {
  const auto pairs = some_pairs(60, 10);
  BatchStream stream(pairs, {.tokens = 60}), reference(pairs, {.tokens = 60});
  (void)stream.next();
  (void)reference.next();
  EXPECT_THROW(stream.seek({5, 1000}), rapt::ValueError);
  EXPECT_EQ(stream.position(), (rapt::BatchPosition{0, 1}));
  for (int i = 0; i < 10; ++i) expect_equal(stream.next(), reference.next());
}

TEST(BatchStream, APairMustFitIntoABatch) {
  std::vector<TokenPair> pairs{{{5}, {6}}, {{5}, {6, 6, 6, 6}}};
  EXPECT_NO_THROW(BatchStream(pairs, {.tokens = 5}));
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { BatchStream(pairs, {.tokens = 4}); }),
            "[batch_stream] pair 1 has 5 tokens with its end symbol, a batch holds 4");
  std::swap(pairs[1].source, pairs[1].target);
  EXPECT_THROW(BatchStream(pairs, {.tokens = 4}), rapt::ValueError);
  EXPECT_THROW(BatchStream(pairs, {.tokens = 0}), rapt::ValueError);
}

TEST(BatchStream, ACorpusMustNotBeEmpty) {
  const std::vector<TokenPair> none;
  const auto text = rapt_test::error_text<rapt::ValueError>([&] { BatchStream(none, {}); });
  EXPECT_EQ(text, "[batch_stream] the corpus has no sentence pairs");
}

TEST(BatchStream, OnePairIsEnough) {
  const std::vector<TokenPair> pairs{{{5, 6}, {}}};
  BatchStream stream(pairs, {.tokens = 3});
  for (int i = 0; i < 3; ++i) {
    const TranslationBatch batch = stream.next();
    EXPECT_EQ(batch.source.tokens, (Tokens{5, 6, 2}));
    EXPECT_EQ(batch.target_input.tokens, (Tokens{1}));
    EXPECT_EQ(batch.target_output, (Tokens{2}));
    EXPECT_EQ(stream.position(), (rapt::BatchPosition{i, 1}));
  }
}

}  // namespace
