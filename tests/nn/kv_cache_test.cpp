/// \file
/// The key-value cache: growth, uneven rows, and rows that are dropped, moved and doubled.
#include "rapt/nn/kv_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "rapt/nn/attention.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using Cache = rapt::KeyValueCache<double>;

/// What a cache should hold: for each row its entries, each a number that all columns derive from.
using Rows = std::vector<std::vector<double>>;

void append(Cache& cache, Rows& rows, const std::vector<Index>& lengths, double first) {
  const auto splits = rapt_test::splits_of(lengths);
  Tensor<double> entries(Shape{splits.rows(), 6});
  for (Index i = 0; i < splits.rows(); ++i) {
    for (Index j = 0; j < 6; ++j) entries(i, j) = first + static_cast<double>(i) + 0.1 * static_cast<double>(j);
  }
  cache.append(entries, splits);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (Index i = splits.begin(static_cast<Index>(r)); i < splits.end(static_cast<Index>(r)); ++i) {
      rows[r].push_back(first + static_cast<double>(i));
    }
  }
}

void expect_holds(const Cache& cache, const Rows& rows) {
  ASSERT_EQ(cache.rows(), static_cast<Index>(rows.size()));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto entries = cache.entries(static_cast<Index>(r));
    ASSERT_EQ(entries.size(), rows[r].size());
    EXPECT_EQ(cache.length(static_cast<Index>(r)), static_cast<Index>(entries.size()));
    EXPECT_EQ(cache.lengths()[r], static_cast<Index>(entries.size()));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      for (Index j = 0; j < 3; ++j) {
        const double number = rows[r][i] + 0.1 * static_cast<double>(j);
        EXPECT_DOUBLE_EQ(cache.keys().row(entries[i])[j], number);
        EXPECT_DOUBLE_EQ(cache.values().row(entries[i])[j], number + 0.3);
      }
    }
  }
}

TEST(KeyValueCache, Grows) {
  Cache cache(3, 3);
  Rows rows(3);
  for (int step = 0; step < 70; ++step) {  // past 16, 32 and 64
    append(cache, rows, {1, 1, 1}, 10.0 * step);
    expect_holds(cache, rows);
  }
}

TEST(KeyValueCache, RowsMayBeUneven) {
  Cache cache(3, 3);
  Rows rows(3);
  append(cache, rows, {0, 5, 1}, 100);
  append(cache, rows, {2, 0, 0}, 200);
  append(cache, rows, {1, 40, 0}, 300);
  append(cache, rows, {0, 0, 0}, 400);
  expect_holds(cache, rows);
}

TEST(KeyValueCache, SelectFollowsParents) {
  Cache cache(3, 3);
  Rows rows(3);
  append(cache, rows, {2, 5, 1}, 100);
  for (const std::vector<Index>& parents :
       std::vector<std::vector<Index>>{{0, 1, 2}, {2, 0, 1}, {1, 1, 0, 2, 1}, {0, 1}, {1, 0, 1, 0}, {3}, {0, 0}}) {
    cache.select(parents);
    Rows selected;
    for (const Index parent : parents) selected.push_back(rows[static_cast<std::size_t>(parent)]);
    rows = selected;
    expect_holds(cache, rows);
    append(cache, rows, std::vector<Index>(rows.size(), 7), 1000);
    expect_holds(cache, rows);
  }
  cache.select(std::vector<Index>{});
  EXPECT_EQ(cache.rows(), 0);
}

TEST(KeyValueCache, SelectBeforeTheFirstEntry) {
  Cache cache(2, 3);
  cache.select(std::vector<Index>{1, 0, 1});
  Rows rows(3);
  append(cache, rows, {1, 2, 3}, 10);
  expect_holds(cache, rows);
}

TEST(KeyValueCache, CopiesAreIndependent) {
  Cache cache(2, 3);
  Rows rows(2);
  append(cache, rows, {1, 2}, 10);
  Cache copy = cache;
  Rows copied = rows;
  append(copy, copied, {3, 3}, 50);
  append(cache, rows, {2, 1}, 90);
  expect_holds(cache, rows);
  expect_holds(copy, copied);
}

TEST(KeyValueCache, HypothesesShareTheirBeginning) {
  Cache cache(1, 3);
  Rows rows(1);
  append(cache, rows, {3}, 10);
  cache.select(std::vector<Index>{0, 0});
  EXPECT_EQ(cache.entries(0)[2], cache.entries(1)[2]);
}

/// What no row has any more does not pile up: the table stays as large as what is held.
TEST(KeyValueCache, ForgetsWhatNobodyHolds) {
  Cache cache(4, 3);
  Rows rows(4);
  for (int step = 0; step < 1000; ++step) {
    append(cache, rows, {1, 1, 1, 1}, 10.0 * step);
    cache.select(std::vector<Index>{0, 0, 0, 0});  // three of four entries are lost
    rows = {rows[0], rows[0], rows[0], rows[0]};
  }
  expect_holds(cache, rows);
  EXPECT_LE(cache.keys().rows(), 2 * (1000 + 3 * 4 + 4));
}

/// Steps of one and of several tokens a row against attention over the whole.
TEST(KeyValueCache, AttentionStepsEqualCausalAttention) {
  const std::vector<std::vector<Index>> steps{{1, 3, 0}, {2, 1, 1}, {1, 1, 1}, {0, 20, 2}};
  const auto splits = rapt_test::splits_of({4, 25, 4});
  const Tensor<double> x = rapt_test::normal_tensor<double>({33, 6}, 3);
  for (const auto window : {std::optional<Index>(), std::optional<Index>(2), std::optional<Index>(0)}) {
    rapt::Rng rng(1);
    rapt::MultiHeadAttention<double> layer({.d_model = 6, .heads = 2, .window = window}, rng);
    rapt_test::randomize(layer, 2);
    const auto whole = layer(rapt::Variable<double>(x), splits, {.causal = true}).value();
    rapt::KeyValueCache<double> cache(3, 6);
    std::vector<Index> done(3, 0);
    for (const auto& lengths : steps) {
      const auto now = rapt_test::splits_of(lengths);
      Tensor<double> part(Shape{now.rows(), 6}), expected(Shape{now.rows(), 6});
      for (Index r = 0; r < 3; ++r) {
        for (Index i = 0; i < now.length(r); ++i) {
          const Index row = splits.begin(r) + done[static_cast<std::size_t>(r)]++;
          std::copy_n(x.row(row), 6, part.row(now.begin(r) + i));
          std::copy_n(whole.row(row), 6, expected.row(now.begin(r) + i));
        }
      }
      const auto y = layer.step(rapt::Variable<double>(part), now, cache);
      EXPECT_LT(rapt_test::relative_error(y.value(), expected), 1e-13);
    }
  }
}

TEST(KeyValueCache, IsCutBackAndGoesOn) {
  Cache cache(2, 3);
  Rows rows(2);
  append(cache, rows, {5, 2}, 0);
  append(cache, rows, {1, 3}, 100);
  const auto cut = [&](Index length) {
    cache.truncate(length);
    for (auto& row : rows) row.resize(std::min(row.size(), static_cast<std::size_t>(length)));
    expect_holds(cache, rows);
  };
  cut(9);  // nothing
  cut(4);
  append(cache, rows, {1, 1}, 200);
  expect_holds(cache, rows);
  cut(0);
  append(cache, rows, {3, 2}, 300);
  expect_holds(cache, rows);
  EXPECT_EQ(cache.entries(0).front(), 0);  // from the beginning
  EXPECT_THROW(cache.truncate(-1), rapt::ValueError);
}

TEST(KeyValueCache, OneRowLiesTogetherAfterItIsCutBack) {
  Cache cache(1, 3);
  Rows rows(1);
  for (const Index length : {6, 3, 5}) {
    append(cache, rows, {4}, static_cast<double>(10 * length));
    cache.truncate(length);
    rows[0].resize(std::min(rows[0].size(), static_cast<std::size_t>(length)));
  }
  append(cache, rows, {7}, 500);
  expect_holds(cache, rows);
  for (Index i = 0; i < cache.length(0); ++i) EXPECT_EQ(cache.entries(0)[static_cast<std::size_t>(i)], i);
}

}  // namespace
