/// \file
/// Attention of single queries against a naive reference in double.
#include "rapt/kernels/attention/cached.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::kernels::KeyRows;

/// Rows of keys and values of a table [40, 2 D]; some lie anywhere, some one behind the other, one sees nothing.
struct Case {
  std::vector<std::vector<std::int32_t>> lists{{3}, {39, 0, 7, 7}, {}, {}};
  std::vector<KeyRows> rows;

  Case() {
    for (std::int32_t j = 0; j < 35; ++j) lists[2].push_back((j * 11) % 40);
    for (const auto& list : lists) rows.push_back({list.data(), 0, static_cast<Index>(list.size())});
    rows.push_back({nullptr, 5, 17});
    rows.push_back({nullptr, 8, 32});
  }
};

template <class T>
class CachedAttention : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(CachedAttention, Scalars);

TYPED_TEST(CachedAttention, EqualsTheFormula) {
  using T = TypeParam;
  const Case c;
  using Heads = std::pair<Index, Index>;  // of queries, of keys
  const auto queries = static_cast<Index>(c.rows.size());
  for (const Index d_k : {1, 5, 16, 64, 67}) {
    for (const Heads& all : {Heads{1, 1}, {3, 3}, {6, 2}, {4, 1}}) {
      const Index heads = all.first, key_value_heads = all.second;
      const Index width = heads * d_k, key_width = key_value_heads * d_k, shared = heads / key_value_heads,
                  longest = 35;
      const auto query = random_tensor<T>(Shape{queries, width}, 1);
      const auto table = random_tensor<T>(Shape{40, 2 * key_width}, 2);
      Tensor<double> expected(query.shape(), 0.0), expected_weights(Shape{queries, heads, longest}, 0.0);
      for (Index i = 0; i < queries; ++i) {
        const KeyRows& rows = c.rows[static_cast<std::size_t>(i)];
        for (Index h = 0; h < heads; ++h) {
          double sum = 0;
          double* weights = expected_weights.data() + (i * heads + h) * longest;
          for (Index j = 0; j < rows.length; ++j) {
            double score = 0;
            for (Index k = 0; k < d_k; ++k) {
              score += double{query(i, h * d_k + k)} * double{table(rows[j], h / shared * d_k + k)};
            }
            sum += weights[j] = std::exp(0.5 * score);
          }
          for (Index j = 0; j < rows.length; ++j) {
            weights[j] /= sum;
            for (Index k = 0; k < d_k; ++k) {
              expected(i, h * d_k + k) += weights[j] * double{table(rows[j], key_width + h / shared * d_k + k)};
            }
          }
        }
      }
      for_every_simd_level([&] {
        Tensor<T> output(query.shape(), T(7)), weights(expected_weights.shape(), T(0)), alone(query.shape(), T(7));
        const auto keys = table.view().columns(0, key_width), values = table.view().columns(key_width, key_width);
        rapt::kernels::cached_attention<T>(
            {.query = query, .key = keys, .value = values, .rows = c.rows, .heads = heads, .scale = T(0.5)}, output,
            weights.data(), longest);
        expect_close(output, expected, 100 * kEpsilon<T>);
        expect_close(weights, expected_weights, 100 * kEpsilon<T>);
        for (Index i = 0; i < queries; ++i) {  // a query's result is its own, whatever stands beside it
          rapt::kernels::cached_attention<T>({.query = query.view().middle_rows(i, 1),
                                              .key = keys,
                                              .value = values,
                                              .rows = std::span(c.rows).subspan(static_cast<std::size_t>(i), 1),
                                              .heads = heads,
                                              .scale = T(0.5)},
                                             alone.view().middle_rows(i, 1));
        }
        EXPECT_TRUE(same_bits(alone, output));
      });
    }
  }
}

/// Values of another width than keys, and soft-capped scores.
TYPED_TEST(CachedAttention, ValuesOfAnotherWidthAndSoftCap) {
  using T = TypeParam;
  const Case c;
  const auto queries = static_cast<Index>(c.rows.size());
  constexpr Index kDim = 8, kHeads = 6, kKeyHeads = 2, kLongest = 35;
  for (const Index d_v : {1, 5, 16, 67}) {
    for (const double cap : {0.0, 0.3, 20.0}) {
      const auto query = random_tensor<T>(Shape{queries, kHeads * kDim}, 1, -2, 2);
      const auto table = random_tensor<T>(Shape{40, kKeyHeads * (kDim + d_v)}, 2, -2, 2);
      Tensor<double> expected(Shape{queries, kHeads * d_v}, 0.0),
          expected_weights(Shape{queries, kHeads, kLongest}, 0.0);
      for (Index i = 0; i < queries; ++i) {
        const KeyRows& rows = c.rows[static_cast<std::size_t>(i)];
        for (Index h = 0; h < kHeads; ++h) {
          double sum = 0;
          double* weights = expected_weights.data() + (i * kHeads + h) * kLongest;
          for (Index j = 0; j < rows.length; ++j) {
            double score = 0;
            for (Index k = 0; k < kDim; ++k) {
              score += 0.5 * double{query(i, h * kDim + k)} * double{table(rows[j], h / 3 * kDim + k)};
            }
            sum += weights[j] = std::exp(cap > 0 ? cap * std::tanh(score / cap) : score);
          }
          for (Index j = 0; j < rows.length; ++j) {
            weights[j] /= sum;
            for (Index k = 0; k < d_v; ++k) {
              expected(i, h * d_v + k) += weights[j] * double{table(rows[j], kKeyHeads * kDim + h / 3 * d_v + k)};
            }
          }
        }
      }
      for_every_simd_level([&] {
        Tensor<T> output(expected.shape(), T(7)), weights(expected_weights.shape(), T(0));
        rapt::kernels::cached_attention<T>({.query = query,
                                            .key = table.view().columns(0, kKeyHeads * kDim),
                                            .value = table.view().columns(kKeyHeads * kDim, kKeyHeads * d_v),
                                            .rows = c.rows,
                                            .heads = kHeads,
                                            .scale = T(0.5),
                                            .soft_cap = static_cast<T>(cap)},
                                           output, weights.data(), kLongest);
        expect_close(output, expected, 100 * kEpsilon<T>);
        expect_close(weights, expected_weights, 100 * kEpsilon<T>);
      });
    }
  }
}

/// A bias by offset, as T5 decodes with it: queries stand at the last of their keys, and offsets before the first of
/// the table have no bias. The soft cap is of the biased scores.
TYPED_TEST(CachedAttention, BiasByOffset) {
  using T = TypeParam;
  const Case c;
  const auto queries = static_cast<Index>(c.rows.size());
  constexpr Index kDim = 8, kHeads = 4, kKeyHeads = 2, kOffsets = 30, kZero = 27, kWidth = kKeyHeads * kDim;
  const auto query = random_tensor<T>(Shape{queries, kHeads * kDim}, 1, -2, 2);
  const auto table = random_tensor<T>(Shape{40, 2 * kWidth}, 2, -2, 2);
  const auto bias = random_tensor<T>(Shape{kHeads, kOffsets}, 3, -2, 2);
  for (const double cap : {0.0, 2.0}) {
    Tensor<double> expected(query.shape(), 0.0);
    for (Index i = 0; i < queries; ++i) {
      const KeyRows& rows = c.rows[static_cast<std::size_t>(i)];
      for (Index h = 0; h < kHeads; ++h) {
        std::vector<double> weights;
        double sum = 0;
        for (Index j = 0; j < rows.length; ++j) {
          double score = 0;
          for (Index k = 0; k < kDim; ++k) {
            score += 0.5 * double{query(i, h * kDim + k)} * double{table(rows[j], h / 2 * kDim + k)};
          }
          const Index column = j - (rows.length - 1) + kZero;
          if (column >= 0) score += double{bias(h, column)};
          weights.push_back(std::exp(cap > 0 ? cap * std::tanh(score / cap) : score));
          sum += weights.back();
        }
        for (Index j = 0; j < rows.length; ++j) {
          for (Index k = 0; k < kDim; ++k) {
            expected(i, h * kDim + k) +=
                weights[static_cast<std::size_t>(j)] / sum * double{table(rows[j], kWidth + h / 2 * kDim + k)};
          }
        }
      }
    }
    for_every_simd_level([&] {
      Tensor<T> output(query.shape(), T(7));
      rapt::kernels::cached_attention<T>(
          {.query = query,
           .key = table.view().columns(0, kWidth),
           .value = table.view().columns(kWidth, kWidth),
           .rows = c.rows,
           .heads = kHeads,
           .scale = T(0.5),
           .table_bias = rapt::kernels::TableBias<T>::of_offsets(bias.data(), kOffsets, kZero),
           .soft_cap = static_cast<T>(cap)},
          output);
      expect_close(output, expected, 100 * kEpsilon<T>);
    });
  }
}

/// Few queries that see many keys have their heads spread over the threads.
TYPED_TEST(CachedAttention, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  constexpr Index kRows = 3000, kWidth = 60;  // 5 heads, which share one or have their own
  for (const Index key_width : {Index{12}, kWidth}) {
    const auto table = random_tensor<T>(Shape{kRows, 2 * key_width}, 2);
    for (const Index queries : {1, 3, 9}) {
      const auto query = random_tensor<T>(Shape{queries, kWidth}, 1);
      const std::vector<KeyRows> rows(static_cast<std::size_t>(queries), KeyRows{nullptr, 0, kRows});
      expect_same_bits_on_any_threads([&] {
        Tensor<T> output(Shape{queries, kWidth + 5 * kRows}, T(7));  // output and weights
        Tensor<T> weights(Shape{queries, 5, kRows});
        rapt::kernels::cached_attention<T>({.query = query,
                                            .key = table.view().columns(0, key_width),
                                            .value = table.view().columns(key_width, key_width),
                                            .rows = rows,
                                            .heads = 5,
                                            .scale = T(0.3),
                                            .soft_cap = T(1.5)},
                                           output.view().columns(0, kWidth), weights.data(), kRows);
        for (Index i = 0; i < queries; ++i)
          std::copy_n(weights.data() + i * 5 * kRows, 5 * kRows, output.row(i) + kWidth);
        return output;
      });
    }
  }
}

}  // namespace
