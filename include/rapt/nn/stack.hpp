/// \file
/// A stack of blocks, one behind the other, and perhaps a norm behind the last.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/core/index.hpp"
#include "rapt/nn/block.hpp"
#include "rapt/nn/decoding_state.hpp"
#include "rapt/nn/segment_cache.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What one call of a stack brings beside its input: what every block is given, and where the attention probabilities
/// of each go.
template <class T>
struct StackInputs {
  AttentionMask<T> mask = {};        ///< of self-attention; unset, `causal` is true with cross-attention
  PositionInputs<T> positions = {};  ///< of self-attention
  AttentionMask<T> cross_mask = {};  ///< of cross-attention
  /// If not empty, `weights[i]` receives the probabilities of layer i's self-attention, [B, H, longest, longest]; its
  /// size must be the number of layers.
  std::span<Tensor<T>> weights = {};
  std::span<Tensor<T>> cross_weights = {};  ///< the same of cross-attention
};

/// A const stack may be used from many threads; states and caches are the caller's.
template <class T = float, BlockKinds kKinds = kAllKinds>
class Stack {
 public:
  /// `options_of(i)` are the options of block i, from 0. `final_norm`: a norm of the first block's kind stands behind
  /// the last. Blocks with the same rotary positions share one table of cosines and sines.
  template <class F>
  requires std::is_invocable_r_v<BlockOptions, const F&, Index> Stack(Index layers, const F& options_of,
                                                                      bool final_norm, Rng& rng) {
    require(layers > 0, kWhere, "a stack needs at least one block: ", layers);
    const BlockOptions first = options_of(0);
    layers_.reserve(static_cast<std::size_t>(layers));
    for (Index i = 0; i < layers; ++i) {
      const BlockOptions options = i == 0 ? first : options_of(i);
      layers_.emplace_back(options, rng, rotary_of_earlier(options.attention));
    }
    if (final_norm) norm_.emplace(first.attention.d_model, first.norm_kind, first.norm_epsilon);
  }
  /// So many blocks of the same options.
  Stack(Index layers, const BlockOptions& options, bool final_norm, Rng& rng)
      : Stack(
            layers, [&](Index) { return options; }, final_norm, rng) {}

  /// [N, D] from x [N, D]
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits,
                                       const StackInputs<T>& inputs = {}) const {
    require_weights(inputs);
    BlockInputs<T> of_block = block_inputs(inputs);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      capture_weights(inputs, i, of_block);
      x = layers_[i](x, splits, of_block);
    }
    return normed(std::move(x));
  }

  /// With blocks that attend to an encoder's output, too   // [N, D] from x [N, D], encoder_output [M, D]
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits, const Variable<T>& encoder_output,
                                       const RowSplits& encoder_splits, const StackInputs<T>& inputs = {}) const {
    require_weights(inputs);
    BlockInputs<T> of_block = block_inputs(inputs);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      capture_weights(inputs, i, of_block);
      x = layers_[i](x, splits, encoder_output, encoder_splits, of_block);
    }
    return normed(std::move(x));
  }

  /// The input of layer `layer`'s self-attention in a stack of pre-norm blocks, which is the layer's input after its
  /// first norm; for the number of layers, the result of the whole stack   // [N, D] from x [N, D]
  /// Throws ValueError for a post-norm block, whose first norm stands behind its self-attention.
  [[nodiscard]] Variable<T> features(Variable<T> x, const RowSplits& splits, Index layer,
                                     const StackInputs<T>& inputs = {}) const {
    require(layer >= 0 && layer <= layers(), kWhere, "no features of layer ", layer, " of ", layers());
    require(layer == layers() || at(layers_, layer).norm_placement() == NormPlacement::pre, kWhere,
            "features are the inputs of pre-norm blocks, layer ", layer, " is a post-norm block");
    const BlockInputs<T> of_block = block_inputs(inputs);
    for (Index i = 0; i < layer; ++i) x = layers_[static_cast<std::size_t>(i)](x, splits, of_block);
    return layer == layers() ? normed(std::move(x)) : layers_[static_cast<std::size_t>(layer)].norm()(x);
  }

  /// The next segment of each sequence: every block attends to its input's rows of the segments before, which `before`
  /// holds, without gradient into them. `after`, which may be the same cache, receives the last rows of each sequence,
  /// up to `kept` of them   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> read_segment(Variable<T> x, const RowSplits& splits, const SegmentCache<T>& before,
                                         SegmentCache<T>& after, Index kept,
                                         const PositionInputs<T>& positions = {}) const {
    require<ShapeError>(before.rows() == splits.sequences(), kWhere, "a cache of ", before.rows(), " sequences for ",
                        splits.sequences());
    require<ShapeError>(before.layers.size() == layers_.size(), kWhere, "a cache of ", before.layers.size(),
                        " layers for ", layers_.size());
    const JoinedRows joined(before.row_splits, splits);
    SegmentCache<T> cache{{}, detail::last_rows(joined.splits, kept)};
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const Variable<T> all =
          joined.cached.empty() ? x
                                : place_rows<T>({{Variable<T>(before.layers[i]), joined.cached}, {x, joined.segment}});
      cache.layers.push_back(detail::last_rows(all.value(), joined.splits, cache.row_splits));
      x = layers_[i].read_segment(x, splits, all, joined.splits, positions);
    }
    after = std::move(cache);
    return normed(std::move(x));
  }

  /// Decoding without an encoder: nothing read yet, in so many rows.
  [[nodiscard]] PrefixState<T> empty_state(Index rows) const {
    PrefixState<T> state;
    state.layers.reserve(layers_.size());
    for (const Block<T, kKinds>& layer : layers_) {
      state.layers.emplace_back(rows, layer.self_attention().key_columns(), layer.self_attention().value_columns());
    }
    return state;
  }
  /// The next tokens of every row, appended to the state. Causal, not recorded   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> step(PrefixState<T>& state, Variable<T> x, const RowSplits& splits,
                                 const PositionInputs<T>& positions = {}) const {
    require_layers(state.layers.size());
    for (std::size_t i = 0; i < layers_.size(); ++i) x = layers_[i].step(x, splits, state.layers[i], positions);
    return normed(std::move(x));
  }

  /// Decoding with an encoder: nothing decoded yet, one row for each sequence of its output.
  [[nodiscard]] DecoderState<T> start(const Variable<T>& encoder_output, const RowSplits& encoder_splits) const {
    DecoderState<T> state{.prefix = empty_state(encoder_splits.sequences()),
                          .encoder_keys_values = {},
                          .encoder_ranges = detail::key_ranges(encoder_splits)};
    state.encoder_keys_values.reserve(layers_.size());
    for (const Block<T, kKinds>& layer : layers_) {
      state.encoder_keys_values.push_back(
          std::make_shared<Tensor<T>>(layer.encoder_keys_values(encoder_output).value()));
    }
    return state;
  }
  /// The next tokens of every row, appended to the state. Causal, not recorded   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> step(DecoderState<T>& state, Variable<T> x, const RowSplits& splits,
                                 const PositionInputs<T>& positions = {}) const {
    require_layers(state.prefix.layers.size());
    require_layers(state.encoder_keys_values.size());
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      x = layers_[i].step(x, splits, state.prefix.layers[i], *state.encoder_keys_values[i], state.encoder_ranges,
                          {.positions = positions});
    }
    return normed(std::move(x));
  }

  [[nodiscard]] Index layers() const { return static_cast<Index>(layers_.size()); }
  [[nodiscard]] const Block<T, kKinds>& layer(Index i) const { return layers_[static_cast<std::size_t>(i)]; }
  /// From now on tokens attend only to keys at most so many positions away; unset: no limit.
  void set_window(std::optional<Index> window) {
    for (Block<T, kKinds>& layer : layers_) layer.self_attention().set_window(window);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("layers", self.layers_);
    visitor("norm", self.norm_);
  }

 private:
  static constexpr std::string_view kWhere = "stack";

  /// The table of an earlier layer with the same rotary positions, or nullptr.
  [[nodiscard]] const Rotary<T>* rotary_of_earlier(const MultiHeadAttentionOptions& options) const {
    const auto* const wanted = std::get_if<RotaryOptions>(&options.positions);
    if (wanted == nullptr) return nullptr;
    for (const Block<T, kKinds>& layer : layers_) {
      const Rotary<T>* const rotary = layer.self_attention().rotary();
      if (rotary != nullptr && rotary->options() == *wanted) return rotary;
    }
    return nullptr;
  }
  void require_layers(std::size_t count) const {
    require<ShapeError>(count == layers_.size(), kWhere, "a state of ", count, " layers for ", layers_.size());
  }
  void require_weights(const StackInputs<T>& inputs) const {
    for (const std::size_t count : {inputs.weights.size(), inputs.cross_weights.size()}) {
      require<ShapeError>(count == 0 || count == layers_.size(), kWhere, count, " tensors for the weights of ",
                          layers_.size(), " layers");
    }
  }
  static BlockInputs<T> block_inputs(const StackInputs<T>& inputs) {
    return {.mask = inputs.mask, .positions = inputs.positions, .cross_mask = inputs.cross_mask};
  }
  static void capture_weights(const StackInputs<T>& inputs, std::size_t layer, BlockInputs<T>& of_block) {
    if (!inputs.weights.empty()) of_block.capture.weights = &inputs.weights[layer];
    if (!inputs.cross_weights.empty()) of_block.cross_capture.weights = &inputs.cross_weights[layer];
  }
  [[nodiscard]] Variable<T> normed(Variable<T> x) const { return norm_ ? (*norm_)(x) : x; }

  std::vector<Block<T, kKinds>> layers_;
  std::optional<Norm<T, kKinds>> norm_;
};
static_assert(Module<Stack<float>>);

}}  // namespace rapt::RAPT_ABI
