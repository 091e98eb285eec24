/// \file
/// Multi-head attention (the paper's 3.2.2), with the variants that later models have: fewer heads of keys and values
/// than of queries (Shazeer 2019; Ainslie et al. 2023), heads of any width, and positions inside of the attention.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/attention.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/head_norm.hpp"
#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/nn/attention_options.hpp"
#include "rapt/nn/block_kinds.hpp"
#include "rapt/nn/cache_attention.hpp"
#include "rapt/nn/linear.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/nn/rotary.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// MultiHead(Q, K, V) = Concat(head_1, ..., head_H) W^O,
/// head_h = Attention(Q W_h^Q, K W_g^K, V W_g^V) with g = h / (H / K).
///
/// Names and layout are those of torch.nn.MultiheadAttention: in_proj_weight [(H + K) d_k + K d_v, D] stacks W^Q, W^K
/// and W^V, so that self-attention projects all three in one product; out_proj.weight is W^O, [D, H d_v]. `names` may
/// call them otherwise. If only some of the projections have biases, these are query_bias, key_bias and value_bias;
/// norms of queries and keys are q_norm.weight and k_norm.weight; a table of biases is position_bias.table; distances
/// have position_proj.weight [H d_k, D], content_bias and position_bias [H, d_k].
///
/// A const layer may be used from many threads.
template <class T = float, BlockKinds kKinds = kAllKinds>
class MultiHeadAttention {
 public:
  /// in_proj_weight is the matrix of a linear map, which `quantize_weights` may pack and adapters may stand beside.
  static constexpr MatrixUse kMatrixUse = MatrixUse::linear_map;

  /// Throws ValueError for options that do not fit. Layers that share a `rotary` of the same options share its table of
  /// cosines and sines; otherwise a layer with rotary positions computes its own.
  MultiHeadAttention(const MultiHeadAttentionOptions& options, Rng& rng, const Rotary<T>* rotary = nullptr)
      : options_(detail::completed<T>(options, kWhere)),
        position_proj_(distance_projection(options_, rng)),
        out_proj_(options_.heads * options_.value_head_dim, options_.d_model, rng, {.bias = options_.output_bias}) {
    const Index rows = query_columns() + key_columns() + value_columns();
    in_proj_weight_ = Parameter<T>(init::xavier_uniform<T>(Shape{rows, options_.d_model}, rng));
    const auto zeros = [](const Shape& shape) { return Parameter<T>(init::constant<T>(shape, T(0))); };
    if (options_.query_bias && options_.key_bias && options_.value_bias) {
      in_proj_bias_ = zeros({rows});
    } else {
      if (options_.query_bias) query_bias_ = zeros({query_columns()});
      if (options_.key_bias) key_bias_ = zeros({key_columns()});
      if (options_.value_bias) value_bias_ = zeros({value_columns()});
    }
    const auto* const distances = std::get_if<RelativePositionEncoding>(&options_.positions);
    if (distances != nullptr && distances->own_biases) {
      content_bias_ = zeros({options_.heads, options_.head_dim});
      position_bias_ = zeros({options_.heads, options_.head_dim});
    }
    if (const auto* const table = std::get_if<RelativePositionBias>(&options_.positions);
        table != nullptr && table->rows > 0) {
      bias_table_ = zeros({table->rows, options_.heads});
    }
    if (options_.query_key_norm) {
      require(kKinds.query_key_norm, kWhere, "the block is compiled without norms of queries and keys");
      const T first = options_.query_key_norm->unit_offset ? T(0) : T(1);
      query_norm_ = Parameter<T>(init::constant<T>(Shape{options_.head_dim}, first));
      key_norm_ = Parameter<T>(init::constant<T>(Shape{options_.head_dim}, first));
    }
    if (const auto* const rotation = std::get_if<RotaryOptions>(&options_.positions)) {
      require(kKinds.rotary, kWhere, "the block is compiled without rotary positions");
      if constexpr (kKinds.rotary) {
        const bool fits =
            rotary != nullptr && rotary->options() == *rotation && rotary->head_dim() == options_.head_dim;
        rotary_ = fits ? *rotary : Rotary<T>(options_.head_dim, *rotation);
      }
    }
  }

  /// Self-attention   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, const AttentionMask<T>& mask = {},
                                       const AttentionCapture<T>& capture = {},
                                       const PositionInputs<T>& positions = {}) const {
    const Index q = query_columns(), k = key_columns(), v = value_columns();
    const Variable<T> qkv = project_all(x, splits, {});
    return attend(columns(qkv, 0, q), columns(qkv, q, k), columns(qkv, q + k, v), splits, splits, mask, capture,
                  positions);
  }

  /// Attention to other rows, of which both keys and values are made: the encoder's output, or a segment with what
  /// stood before it   // [N, D] from x [N, D], source [M, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, const Variable<T>& source,
                                       const RowSplits& source_splits, const AttentionMask<T>& mask = {},
                                       const AttentionCapture<T>& capture = {},
                                       const PositionInputs<T>& positions = {}) const {
    require_plain_queries();
    const Index q = query_columns(), k = key_columns();
    const Variable<T> query = project(x, 0, q);
    const Variable<T> kv = keys_values(source);
    return attend(columns(query, 0, q), columns(kv, 0, k), columns(kv, k, value_columns()), splits, source_splits, mask,
                  capture, positions);
  }

  /// The general form: query, key and value of their own   // [N, D] from [N, D], [M, D], [M, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& query, const RowSplits& query_splits, const Variable<T>& key,
                                       const Variable<T>& value, const RowSplits& key_splits,
                                       const AttentionMask<T>& mask = {},
                                       const AttentionCapture<T>& capture = {}) const {
    require_plain_queries();
    const Index q = query_columns(), k = key_columns(), v = value_columns();
    const Variable<T> queries = project(query, 0, q), keys = project(key, q, k), values = project(value, q + k, v);
    return attend(columns(queries, 0, q), columns(keys, 0, k), columns(values, 0, v), query_splits, key_splits, mask,
                  capture, {});
  }

  /// [keys | values] of an encoder's output, to be computed once and attended to at every decoding step
  /// // [M, K d_k + K d_v] from [M, D]
  [[nodiscard]] Variable<T> keys_values(const Variable<T>& encoder_output) const {
    return project(encoder_output, query_columns(), key_columns() + value_columns());
  }

  /// One decoding step of causal self-attention, of one token a row or of whole prompts: appends x's keys (rotated, if
  /// positions are rotary) and values to the cache, and each token attends to what its row holds up to itself, within
  /// the window. Not recorded.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache,
                                 const PositionInputs<T>& positions = {}) const {
    require_steps(positions);
    const Index q = query_columns();
    const Variable<T> qkv = project_all(x, splits, rotary_ ? cache.lengths() : std::vector<Index>());
    CacheAttentionOptions<T> options{
        .heads = options_.heads, .scale = options_.scale, .soft_cap = options_.soft_cap, .window = options_.window};
    Tensor<T> bias;                                                          // of each head and offset
    if (std::holds_alternative<RelativePositionBias>(options_.positions)) {  // checked before the cache changes
      const Variable<T> table = bias_table(positions);
      require<ShapeError>(table.shape().rank() == 2 && table.cols() == options_.heads, kWhere,
                          "the table of biases is ", table.shape(), ", heads ", options_.heads);
      require_rows(positions.numbers, table.rows(), kWhere);
      require<ShapeError>(splits.sequences() == cache.rows(), kWhere, splits.sequences(), " sequences, the cache has ",
                          cache.rows(), " rows");
      for (Index r = 0; r < splits.sequences(); ++r) {
        const Index length = cache.length(r) + splits.length(r);
        const Index farthest = options_.window ? std::min(*options_.window, length - 1) : length - 1;
        require<ShapeError>(
            splits.length(r) == 0 || (farthest <= *positions.zero && *positions.zero < std::ssize(positions.numbers)),
            kWhere, "row ", r, " will hold ", length, " tokens, the ", positions.numbers.size(),
            " numbers are for offsets from ", -*positions.zero);
      }
      bias = Tensor<T>(Shape{table.cols(), std::ssize(positions.numbers)});
      kernels::gather_bias<T>(table.value(), positions.numbers, bias.data());
      options.table_bias = kernels::TableBias<T>::of_offsets(bias.data(), bias.cols(), *positions.zero);
    }
    cache.append(qkv.value().view().columns(q, key_columns() + value_columns()), splits);
    return out_proj_(
        unrecorded("cached_attention", attend_to_cache<T>(qkv.value().view().columns(0, q), splits, cache, options)));
  }

  /// One decoding step of attention to an encoder output's `keys_values`, of which sequence i sees `ranges[i]`.
  /// `weights`, if set, receives the attention probabilities, [N, H, longest range]. Not recorded.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, const Tensor<T>& keys_values,
                                 std::span<const kernels::KeyRange> ranges, Tensor<T>* weights = nullptr) const {
    require_plain_queries();
    require_steps({});
    require(!options_.window, kWhere,
            "steps of attention to an encoder output have no window: ", options_.window.value_or(0));
    const Index k = key_columns(), v = value_columns();
    const Variable<T> query = project(x, 0, query_columns());
    require<ShapeError>(static_cast<Index>(ranges.size()) == splits.sequences() && keys_values.cols() == k + v, kWhere,
                        splits.sequences(), " sequences, ", ranges.size(), " ranges of keys and values of shape ",
                        keys_values.shape(), ", wanted are ", k + v, " columns");
    const detail::SeenRows seen = detail::seen_rows(splits, ranges, keys_values.shape(), kWhere);
    require<ShapeError>(std::ssize(seen.of_queries) == x.rows(), kWhere, "row splits end at ", seen.of_queries.size(),
                        ", the query has shape ", query.shape());
    if (weights != nullptr) *weights = Tensor<T>(Shape{x.rows(), options_.heads, seen.longest}, T(0));
    Tensor<T> output(Shape{x.rows(), options_.heads * options_.value_head_dim});
    kernels::cached_attention<T>({.query = query.value(),
                                  .key = keys_values.view().columns(0, k),
                                  .value = keys_values.view().columns(k, v),
                                  .rows = seen.of_queries,
                                  .heads = options_.heads,
                                  .scale = static_cast<T>(options_.scale),
                                  .soft_cap = static_cast<T>(options_.soft_cap)},
                                 output, weights != nullptr ? weights->data() : nullptr, seen.longest);
    return out_proj_(unrecorded("cached_attention", std::move(output)));
  }

  /// K d_k, the columns of keys in the cache that `step` needs.
  [[nodiscard]] Index key_columns() const { return options_.key_value_heads * options_.head_dim; }
  /// K d_v, the columns of values in the cache that `step` needs.
  [[nodiscard]] Index value_columns() const { return options_.key_value_heads * options_.value_head_dim; }
  /// The options as they were given, with defaults of 0 replaced by what they stand for.
  [[nodiscard]] const MultiHeadAttentionOptions& options() const { return options_; }
  /// The projections of queries, keys and values, one below the other   // [(H + K) d_k + K d_v, D]
  [[nodiscard]] const Parameter<T>& in_proj_weight() const { return in_proj_weight_; }
  /// The rotary positions, whose table another layer may share; nullptr: there are none.
  [[nodiscard]] const Rotary<T>* rotary() const { return rotary_ ? &*rotary_ : nullptr; }
  /// From now on a token attends only to keys at most so many positions away; unset: no limit.
  void set_window(std::optional<Index> window) { options_.window = window; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor(self.options_.names.in_proj_weight, self.in_proj_weight_);
    visitor(self.options_.names.in_proj_bias, self.in_proj_bias_);
    visitor("query_bias", self.query_bias_);
    visitor("key_bias", self.key_bias_);
    visitor("value_bias", self.value_bias_);
    visitor("q_norm.weight", self.query_norm_);
    visitor("k_norm.weight", self.key_norm_);
    visitor("position_proj", self.position_proj_);
    visitor(self.options_.names.out_proj, self.out_proj_);
    visitor("content_bias", self.content_bias_);
    visitor("position_bias", self.position_bias_);
    visitor("position_bias.table", self.bias_table_);
  }

 private:
  static constexpr std::string_view kWhere = "multi_head_attention";

  static std::optional<Linear<T>> distance_projection(const MultiHeadAttentionOptions& options, Rng& rng) {
    if (!std::holds_alternative<RelativePositionEncoding>(options.positions)) return std::nullopt;
    return Linear<T>(options.d_model, options.heads * options.head_dim, rng, {.bias = false});
  }
  void require_plain_queries() const {
    require(!rotary_.has_value() && !options_.query_key_norm.has_value(), kWhere,
            "rotary positions and norms of queries and keys are for self-attention alone");
  }
  /// Steps know positions from the cache's lengths or from offsets, not from pairs or encoded distances.
  void require_steps(const PositionInputs<T>& positions) const {
    require((!std::holds_alternative<RelativePositionBias>(options_.positions) || positions.zero.has_value()) &&
                !std::holds_alternative<RelativePositionEncoding>(options_.positions),
            kWhere, "there are no steps with biases of scores by pair or distance");
  }
  /// The table of biases: the layer's own, the call's, or the sum of both   // [rows, H]
  [[nodiscard]] Variable<T> bias_table(const PositionInputs<T>& positions) const {
    require(positions.table.defined() || bias_table_.defined(), kWhere,
            "the layer has no table of biases, and the call brings none");
    if (!bias_table_.defined()) return positions.table;
    return positions.table.defined() ? add<T>(positions.table, bias_table_) : Variable<T>(bias_table_);
  }
  [[nodiscard]] Index query_columns() const { return options_.heads * options_.head_dim; }

  /// Columns first .. first + count of [queries | keys | values]   // [N, count]
  [[nodiscard]] Variable<T> project(const Variable<T>& x, Index first, Index count) const {
    const bool has_parts = query_bias_.defined() || key_bias_.defined() || value_bias_.defined();
    if (has_parts) return linear<T>(x, in_proj_weight_, stacked_bias(), Activation::none, {first, count});
    return linear<T>(x, in_proj_weight_, in_proj_bias_, Activation::none, {first, count});
  }
  /// [queries | keys | values], the first two normalised and rotated by their positions, as the options say
  /// // [N, (H + K) d_k + K d_v]
  /// `starts`: the position of each sequence's first row; empty: 0.
  [[nodiscard]] Variable<T> project_all(const Variable<T>& x, const RowSplits& splits,
                                        std::span<const Index> starts) const {
    Variable<T> qkv = project(x, 0, query_columns() + key_columns() + value_columns());
    if constexpr (kKinds.query_key_norm) {
      if (options_.query_key_norm) {
        qkv = normalise_heads(std::move(qkv), query_norm_, key_norm_,
                              {.query_heads = options_.heads,
                               .key_heads = options_.key_value_heads,
                               .head_dim = options_.head_dim,
                               .epsilon = options_.query_key_norm->epsilon,
                               .unit_offset = options_.query_key_norm->unit_offset});
      }
    }
    if constexpr (kKinds.rotary) {
      if (!rotary_) return qkv;
      require<ShapeError>(splits.rows() == x.rows(), kWhere, "row splits end at ", splits.rows(), ", x has shape ",
                          x.shape());
      return (*rotary_)(std::move(qkv), splits, options_.heads + options_.key_value_heads, starts);
    }
    return qkv;
  }
  /// [query bias | key bias | value bias], zeros for those that do not exist   // [(H + K) d_k + K d_v]
  [[nodiscard]] Variable<T> stacked_bias() const {
    std::vector<PlacedRows<T>> parts;
    Index first = 0;
    const auto place = [&](const Parameter<T>& bias, Index count) {
      std::vector<Index> places(static_cast<std::size_t>(count));
      for (Index& row : places) row = first++;
      parts.push_back(
          {bias.defined() ? Variable<T>(bias) : Variable<T>(Tensor<T>(Shape{count}, T(0))), std::move(places)});
    };
    place(query_bias_, query_columns());
    place(key_bias_, key_columns());
    place(value_bias_, value_columns());
    return place_rows<T>(std::move(parts));
  }

  /// The heads, concatenated, times W^O   // [Nq, D] from queries [Nq, H d_k], keys [Nk, K d_k], values [Nk, K d_v]
  [[nodiscard]] Variable<T> attend(const ColumnSlice<T>& query, const ColumnSlice<T>& key, const ColumnSlice<T>& value,
                                   const RowSplits& query_splits, const RowSplits& key_splits,
                                   const AttentionMask<T>& mask, const AttentionCapture<T>& capture,
                                   const PositionInputs<T>& positions) const {
    AttentionOptions<T> options{.heads = options_.heads,
                                .key_value_heads = options_.key_value_heads,
                                .window = options_.window,
                                .scale = options_.scale,
                                .soft_cap = options_.soft_cap,
                                .dropout = options_.dropout,
                                .mask = mask};
    if (std::holds_alternative<RelativePositionBias>(options_.positions)) {
      options.bias.table = {.table = bias_table(positions), .numbers = positions.numbers, .zero = positions.zero};
    }
    if (std::holds_alternative<RelativePositionEncoding>(options_.positions)) {
      require(positions.distances.defined(), kWhere,
              "the layer scores by distance, and the call brings no encodings of distances");
      options.bias.distances = {.distances = (*position_proj_)(positions.distances),
                                .content_bias = content_bias_.defined() ? content_bias_ : positions.content_bias,
                                .position_bias = position_bias_.defined() ? position_bias_ : positions.position_bias};
    }
    return out_proj_(attention<T>(query, key, value, query_splits, key_splits, options, capture));
  }

  MultiHeadAttentionOptions options_;
  Parameter<T> in_proj_weight_, in_proj_bias_;
  Parameter<T> query_bias_, key_bias_, value_bias_;  // if not all three exist
  Parameter<T> query_norm_, key_norm_;               // [d_k] each
  std::optional<Linear<T>> position_proj_;
  Linear<T> out_proj_;
  Parameter<T> content_bias_, position_bias_, bias_table_;
  std::optional<Rotary<T>> rotary_;
};
static_assert(Module<MultiHeadAttention<float>>);

}}  // namespace rapt::RAPT_ABI
