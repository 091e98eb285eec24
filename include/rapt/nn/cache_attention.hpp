/// \file
/// Attention to what a key-value cache holds: one token after another while decoding, or a whole prompt at once. And
/// the rows of an encoder output that tokens see while decoding.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/kernels/attention/forward.hpp"
#include "rapt/nn/kv_cache.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How new tokens attend to a cache of keys and values.
template <class T>
struct CacheAttentionOptions {
  Index heads = 1;                        ///< of the queries
  double scale = 1;                       ///< factor of the scores
  double soft_cap = 0;                    ///< if > 0: scaled scores s become soft_cap tanh(s / soft_cap)
  std::optional<Index> window = {};       ///< a token sees no more than this many before it; unset: no limit
  kernels::TableBias<T> table_bias = {};  ///< a bias of the scaled scores by offset, or none
};

namespace detail {

/// Sequences first .. last, of several tokens each, by the tiled kernel.
template <class T>
void attend_in_tiles(const TensorView<const T>& query, const RowSplits& splits, Index first, Index last,
                     const KeyValueCache<T>& cache, const CacheAttentionOptions<T>& options, TensorView<T> output) {
  const Index key_columns = cache.keys().cols(), value_columns = cache.values().cols();
  const Index first_row = splits.begin(first);
  std::vector<Index> offsets{0};
  std::vector<std::span<const std::int32_t>> entries;  // that a sequence can see
  Index rows = 0;
  bool in_place = true;  // entries of each sequence lie one behind the other
  for (Index r = first; r < last; ++r) {
    offsets.push_back(splits.end(r) - first_row);
    std::span<const std::int32_t> seen = cache.entries(r);
    const auto all = static_cast<Index>(seen.size());
    const auto most = static_cast<std::size_t>(options.window ? splits.length(r) + *options.window : all);
    if (seen.size() > most) seen = seen.last(most);
    const auto gap = [](std::int32_t a, std::int32_t b) { return b != a + 1; };
    in_place = in_place && std::adjacent_find(seen.begin(), seen.end(), gap) == seen.end();
    rows += static_cast<Index>(seen.size());
    entries.push_back(seen);
  }
  Tensor<T> gathered(in_place ? Shape{} : Shape{rows, key_columns + value_columns});
  std::vector<kernels::KeyRange> ranges;
  Index next = 0;
  for (const auto& seen : entries) {
    ranges.push_back({in_place ? seen.front() : next, static_cast<Index>(seen.size())});
    if (in_place) continue;
    for (const std::int32_t entry : seen) {
      std::copy_n(cache.keys().row(entry), key_columns, gathered.row(next));
      std::copy_n(cache.values().row(entry), value_columns, gathered.row(next++) + key_columns);
    }
  }
  const TensorView<const T> table = std::as_const(gathered).view();
  kernels::AttentionProblem<T> problem;
  problem.query = query.middle_rows(first_row, offsets.back());
  problem.key = in_place ? cache.keys() : table.columns(0, key_columns);
  problem.value = in_place ? cache.values() : table.columns(key_columns, value_columns);
  problem.query_offsets = offsets;
  problem.keys = ranges;
  problem.heads = options.heads;
  problem.key_value_heads = options.heads * key_columns / query.cols();
  problem.scale = static_cast<T>(options.scale);
  problem.table_bias = options.table_bias;
  problem.soft_cap = static_cast<T>(options.soft_cap);
  problem.causal = true;
  problem.window = options.window;
  kernels::attention<T>(problem, output.middle_rows(first_row, offsets.back()), nullptr);
}

/// Sequences first .. last, of one token or none each.
template <class T>
void attend_to_entries(const TensorView<const T>& query, const RowSplits& splits, Index first, Index last,
                       const KeyValueCache<T>& cache, const CacheAttentionOptions<T>& options, TensorView<T> output) {
  std::vector<kernels::KeyRows> rows;
  for (Index r = first; r < last; ++r) {
    if (splits.length(r) == 0) continue;
    std::span<const std::int32_t> seen = cache.entries(r);
    if (options.window) seen = seen.last(std::min(seen.size(), to_size(*options.window) + 1));
    rows.push_back({.entries = seen.data(), .length = static_cast<Index>(seen.size())});
  }
  const Index first_row = splits.begin(first), count = splits.end(last - 1) - first_row;
  kernels::cached_attention<T>({.query = query.middle_rows(first_row, count),
                                .key = cache.keys(),
                                .value = cache.values(),
                                .rows = rows,
                                .heads = options.heads,
                                .scale = static_cast<T>(options.scale),
                                .table_bias = options.table_bias,
                                .soft_cap = static_cast<T>(options.soft_cap)},
                               output.middle_rows(first_row, count));
}

/// Which rows of an encoder output the queries see.
struct SeenRows {
  std::vector<kernels::KeyRows> of_queries;  ///< of each query
  Index longest = 0;                         ///< the most rows that a query sees
};

/// Each query of sequence i sees the rows `ranges[i]` of keys and values of a shape. Throws ShapeError `[where] ...`
/// for a range outside of them.
[[nodiscard]] inline SeenRows seen_rows(const RowSplits& splits, std::span<const kernels::KeyRange> ranges,
                                        const Shape& keys_values, std::string_view where) {
  SeenRows seen;
  seen.of_queries.reserve(to_size(splits.rows()));
  for (Index r = 0; r < splits.sequences(); ++r) {
    const kernels::KeyRange& range = at(ranges, r);
    require<ShapeError>(range.begin >= 0 && range.length >= 0 && range.begin + range.length <= keys_values.rows(),
                        where, "the encoder output of sequence ", r, " is rows ", range.begin, " .. ",
                        range.begin + range.length, ", keys and values have shape ", keys_values);
    seen.longest = std::max(seen.longest, range.length);
    seen.of_queries.insert(seen.of_queries.end(), to_size(splits.length(r)),
                           {.begin = range.begin, .length = range.length});
  }
  return seen;
}

}  // namespace detail

/// Causal attention of each row's last tokens, whose keys and values the cache has already, to all that the row holds
/// // [N, H d_v] from query [N, H d_k]. Queries stand at the last of a row's positions (`MaskAlignment::last_key`). A
/// sequence's result depends on its own row alone: one of several tokens, a prompt, is worked on in tiles, one of a
/// single token where its keys lie.
template <class T>
[[nodiscard]] Tensor<T> attend_to_cache(const TensorView<const T>& query, const RowSplits& splits,
                                        const KeyValueCache<T>& cache, const CacheAttentionOptions<T>& options) {
  require(options.heads > 0, "cache_attention", "heads must be positive: ", options.heads);
  require<ShapeError>(splits.sequences() == cache.rows() && splits.rows() == query.rows(), "cache_attention",
                      splits.sequences(), " sequences of ", splits.rows(), " rows, the cache has ", cache.rows(),
                      " rows, query ", query.shape());
  const Index key_columns = cache.keys().cols(), value_columns = cache.values().cols();
  const Index d_k = query.cols() / options.heads, key_value_heads = d_k > 0 ? key_columns / d_k : 0;
  require<ShapeError>(key_value_heads > 0 && key_value_heads * d_k == key_columns &&
                          d_k * options.heads == query.cols() && options.heads % key_value_heads == 0 &&
                          value_columns % key_value_heads == 0,
                      "cache_attention", "query ", query.shape(), " in ", options.heads, " heads, the cache has ",
                      key_columns, " columns of keys and ", value_columns, " of values");
  Tensor<T> output(Shape{query.rows(), value_columns / key_value_heads * options.heads});
  const auto is_prompt = [&](Index r) { return splits.length(r) > 1; };
  for (Index first = 0, last = 0; first < splits.sequences(); first = last) {
    while (last < splits.sequences() && is_prompt(last) == is_prompt(first)) ++last;
    const auto attend = is_prompt(first) ? detail::attend_in_tiles<T> : detail::attend_to_entries<T>;
    attend(query, splits, first, last, cache, options, output);
  }
  return output;
}

}}  // namespace rapt::RAPT_ABI
