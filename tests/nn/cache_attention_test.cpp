/// \file
/// Attention to a key-value cache, of prompts and of single tokens, against the equations in double.
#include "rapt/nn/cache_attention.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::KeyValueCache;
using rapt::RowSplits;
using rapt::Shape;
using rapt::Tensor;
using Lengths = std::vector<Index>;

constexpr Index kHeads = 6, kKeyHeads = 2, kHeadDim = 5;
constexpr Index kValueDim = 7;  // of values
constexpr Index kWidth = kHeads * kHeadDim, kKeyWidth = kKeyHeads * kHeadDim,
                kEntryWidth = kKeyWidth + kKeyHeads * kValueDim;
constexpr double kScale = 0.4;

/// A cache, what it should hold, and the queries of each row's last tokens.
template <class T>
struct Case {
  KeyValueCache<T> cache;
  std::vector<std::vector<std::vector<T>>> rows;  // of each row, [keys | values] of its tokens
  RowSplits splits;
  Tensor<T> query;
  std::uint64_t seed = 1;
  double soft_cap = 0;

  explicit Case(Index count) : cache(count, kKeyWidth, kKeyHeads * kValueDim), rows(static_cast<std::size_t>(count)) {}

  void append(const Lengths& lengths) {
    splits = RowSplits::from_lengths(lengths);
    const auto entries = random_tensor<T>(Shape{splits.rows(), kEntryWidth}, ++seed, -2, 2);
    query = random_tensor<T>(Shape{splits.rows(), kWidth}, ++seed, -2, 2);
    cache.append(entries, splits);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      for (Index i = splits.begin(static_cast<Index>(r)); i < splits.end(static_cast<Index>(r)); ++i) {
        rows[r].emplace_back(entries.row(i), entries.row(i) + kEntryWidth);
      }
    }
  }
  void select(const std::vector<Index>& parents) {
    cache.select(parents);
    std::vector<std::vector<std::vector<T>>> selected;
    for (const Index parent : parents) selected.push_back(rows[static_cast<std::size_t>(parent)]);
    rows = selected;
  }
  /// The last tokens of row r alone, in a cache of their own.
  [[nodiscard]] Case alone(Index r) const {
    Case one(1);
    one.soft_cap = soft_cap;
    const auto& from = rows[static_cast<std::size_t>(r)];
    Tensor<T> entries(Shape{static_cast<Index>(from.size()), kEntryWidth});
    for (std::size_t i = 0; i < from.size(); ++i) {
      std::copy(from[i].begin(), from[i].end(), entries.row(static_cast<Index>(i)));
    }
    one.cache.append(entries, RowSplits::equal(1, entries.rows()));
    one.splits = RowSplits::equal(1, splits.length(r));
    one.query = Tensor<T>(query.view().middle_rows(splits.begin(r), splits.length(r)));
    return one;
  }

  [[nodiscard]] Tensor<T> attend(std::optional<Index> window) const {
    return rapt::attend_to_cache<T>(query, splits, cache,
                                    {.heads = kHeads, .scale = kScale, .soft_cap = soft_cap, .window = window});
  }
  [[nodiscard]] Tensor<double> expected(std::optional<Index> window) const {
    Tensor<double> output(Shape{query.rows(), kHeads * kValueDim}, 0.0);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const auto sequence = static_cast<Index>(r);
      for (Index i = 0; i < splits.length(sequence); ++i) {
        const Index position = static_cast<Index>(rows[r].size()) - splits.length(sequence) + i;
        const Index first = window ? std::max<Index>(0, position - *window) : 0, row = splits.begin(sequence) + i;
        for (Index h = 0; h < kHeads; ++h) attend_naively(rows[r], first, position, row, h, output);
      }
    }
    return output;
  }

 private:
  void attend_naively(const std::vector<std::vector<T>>& keys, Index first, Index last, Index row, Index head,
                      Tensor<double>& output) const {
    const auto number = [&](Index j, Index column) {
      return static_cast<double>(keys[static_cast<std::size_t>(j)][static_cast<std::size_t>(column)]);
    };
    const Index key_head = head / (kHeads / kKeyHeads), key_column = key_head * kHeadDim;
    const Index value_column = kKeyWidth + key_head * kValueDim;
    std::vector<double> weights;
    double sum = 0;
    for (Index j = first; j <= last; ++j) {
      double score = 0;
      for (Index k = 0; k < kHeadDim; ++k) {
        score += static_cast<double>(query(row, head * kHeadDim + k)) * number(j, key_column + k);
      }
      score *= kScale;
      sum += weights.emplace_back(std::exp(soft_cap > 0 ? soft_cap * std::tanh(score / soft_cap) : score));
    }
    for (Index j = first; j <= last; ++j) {
      for (Index k = 0; k < kValueDim; ++k) {
        output(row, head * kValueDim + k) +=
            weights[static_cast<std::size_t>(j - first)] / sum * number(j, value_column + k);
      }
    }
  }
};

template <class T>
class CacheAttention : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(CacheAttention, Scalars);

template <class T>
void check(Case<T>& c) {
  const std::pair<std::optional<Index>, double> cases[] = {{{}, 0},  {0, 0},    {1, 0},  {7, 0},
                                                           {300, 0}, {{}, 1.5}, {7, 1.5}};
  for (const auto& [window, cap] : cases) {
    const testing::ScopedTrace trace(__FILE__, __LINE__,
                                     "window " + std::to_string(window.value_or(-1)) + ", cap " + std::to_string(cap));
    c.soft_cap = cap;
    const Tensor<double> expected = c.expected(window);
    for_every_simd_level([&, window = window] { expect_close(c.attend(window), expected, 100 * kEpsilon<T>); });
    const Tensor<T> together = c.attend(window);
    for (Index r = 0; r < c.splits.sequences(); ++r) {  // a row's result is its own, whatever stands beside it
      const Tensor<T> alone = c.alone(r).attend(window);
      EXPECT_TRUE(same_bits(alone, Tensor<T>(together.view().middle_rows(c.splits.begin(r), c.splits.length(r)))));
    }
  }
}

TYPED_TEST(CacheAttention, PromptsAndSingleTokensInOneBatch) {
  Case<TypeParam> c(6);
  c.append({1, 40, 0, 300, 1, 2});
  check(c);
  c.append({1, 1, 1, 1, 1, 1});
  check(c);
  c.append({33, 0, 2, 1, 270, 1});
  check(c);
}

/// Rows that share their beginning have entries that do not lie one behind the other.
TYPED_TEST(CacheAttention, PromptsBehindASharedBeginning) {
  Case<TypeParam> c(1);
  c.append({260});
  c.select({0, 0, 0});
  c.append({30, 1, 5});
  check(c);
  c.select({2, 0, 2, 1});
  c.append({3, 3, 0, 1});
  check(c);
}

TYPED_TEST(CacheAttention, WithoutRowsNothingHappens) {
  Case<TypeParam> none(0);
  none.append({});
  EXPECT_EQ(none.attend(0).shape(), (Shape{0, kHeads * kValueDim}));
  Case<TypeParam> empty(2);
  empty.append({0, 0});
  EXPECT_EQ(empty.attend(0).shape(), (Shape{0, kHeads * kValueDim}));
}

TYPED_TEST(CacheAttention, IsTheSameOnAnyThreads) {
  Case<TypeParam> c(3);
  c.append({100, 300, 1});
  expect_same_bits_on_any_threads([&] { return c.attend(0); });
}

}  // namespace
