/// \file
/// A stack of blocks, one behind the other, and perhaps a norm behind the last.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/autograd/recompute.hpp"
#include "rapt/core/index.hpp"
#include "rapt/nn/block.hpp"
#include "rapt/nn/decoding_state.hpp"
#include "rapt/nn/kept_inputs.hpp"
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
  /// the last. Blocks with the same rotary positions share one table of cosines and sines. Each block stands for
  /// `layers_each` layers in a row, which share its parameters (Lan et al. 2020).
  template <class F>
  requires std::is_invocable_r_v<BlockOptions, const F&, Index> Stack(Index blocks, const F& options_of,
                                                                      bool final_norm, Rng& rng, Index layers_each = 1)
      : layers_each_(layers_each) {
    require(blocks > 0, kWhere, "a stack needs at least one block: ", blocks);
    require(layers_each > 0, kWhere, "a block stands for at least one layer: ", layers_each);
    const BlockOptions first = options_of(0);
    blocks_.reserve(to_size(blocks));
    for (Index i = 0; i < blocks; ++i) {
      const BlockOptions options = i == 0 ? first : options_of(i);
      blocks_.emplace_back(options, rng, rotary_of_earlier(options.attention));
    }
    if (final_norm) norm_.emplace(first.attention.d_model, first.norm_kind, first.norm_epsilon);
  }
  /// So many blocks of the same options.
  Stack(Index blocks, const BlockOptions& options, bool final_norm, Rng& rng, Index layers_each = 1)
      : Stack(
            blocks, [&](Index) { return options; }, final_norm, rng, layers_each) {}

  /// [N, D] from x [N, D]
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits,
                                       const StackInputs<T>& inputs = {}) const {
    require_weights(inputs);
    if (recomputes(inputs)) return normed(recomputed(layers(), std::move(x), splits, {}, {}, inputs));
    BlockInputs<T> of_block = block_inputs(inputs);
    for (Index i = 0; i < layers(); ++i) {
      capture_weights(inputs, i, of_block);
      x = layer(i)(x, splits, of_block);
    }
    return normed(std::move(x));
  }

  /// With blocks that attend to an encoder's output, too   // [N, D] from x [N, D], encoder_output [M, D]
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits, const Variable<T>& encoder_output,
                                       const RowSplits& encoder_splits, const StackInputs<T>& inputs = {}) const {
    require_weights(inputs);
    if (recomputes(inputs)) {
      return normed(recomputed(layers(), std::move(x), splits, encoder_output, encoder_splits, inputs));
    }
    BlockInputs<T> of_block = block_inputs(inputs);
    for (Index i = 0; i < layers(); ++i) {
      capture_weights(inputs, i, of_block);
      x = layer(i)(x, splits, encoder_output, encoder_splits, of_block);
    }
    return normed(std::move(x));
  }

  /// The input of layer `layer`'s self-attention in a stack of pre-norm blocks, which is the layer's input after its
  /// first norm; for the number of layers, the result of the whole stack   // [N, D] from x [N, D]
  /// Throws ValueError for a post-norm block, whose first norm stands behind its self-attention.
  [[nodiscard]] Variable<T> features(Variable<T> x, const RowSplits& splits, Index layer,
                                     const StackInputs<T>& inputs = {}) const {
    require(layer >= 0 && layer <= layers(), kWhere, "no features of layer ", layer, " of ", layers());
    require(layer == layers() || this->layer(layer).norm_placement() == NormPlacement::pre, kWhere,
            "features are the inputs of pre-norm blocks, layer ", layer, " is a post-norm block");
    if (recomputes(inputs)) {
      x = recomputed(layer, std::move(x), splits, {}, {}, inputs);
    } else {
      const BlockInputs<T> of_block = block_inputs(inputs);
      for (Index i = 0; i < layer; ++i) x = this->layer(i)(x, splits, of_block);
    }
    return layer == layers() ? normed(std::move(x)) : this->layer(layer).norm()(x);
  }

  /// The next segment of each sequence: every block attends to its input's rows of the segments before, which `before`
  /// holds, without gradient into them. `after`, which may be the same cache, receives the last rows of each sequence,
  /// up to `kept` of them   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> read_segment(Variable<T> x, const RowSplits& splits, const SegmentCache<T>& before,
                                         SegmentCache<T>& after, Index kept,
                                         const PositionInputs<T>& positions = {}) const {
    require<ShapeError>(before.rows() == splits.sequences(), kWhere, "a cache of ", before.rows(), " sequences for ",
                        splits.sequences());
    require<ShapeError>(std::ssize(before.layers) == layers(), kWhere, "a cache of ", before.layers.size(),
                        " layers for ", layers());
    const auto joined = std::make_shared<const JoinedRows>(before.row_splits, splits);
    SegmentCache<T> cache{{}, detail::last_rows(joined->splits, kept)};
    std::shared_ptr<const detail::KeptInputs<T>> again;  // if backward is to compute the blocks again
    if (recomputes_activations()) {
      again =
          std::make_shared<const detail::KeptInputs<T>>(BlockInputs<T>{.positions = positions}, splits, joined->splits);
    }
    for (Index i = 0; i < layers(); ++i) {
      const auto with_cached = [cached = Variable<T>(at(before.layers, i)), joined](const Variable<T>& segment) {
        if (joined->cached.empty()) return segment;
        return place_rows<T>({{cached, joined->cached}, {segment, joined->segment}});
      };
      const Variable<T> all = with_cached(x);
      cache.layers.push_back(detail::last_rows(all.value(), joined->splits, cache.row_splits));
      if (again == nullptr) {
        x = layer(i).read_segment(x, splits, all, joined->splits, positions);
      } else {
        const auto compute = [block = &layer(i), x, with_cached, again] {
          return block->read_segment(x, again->splits(), with_cached(x), again->encoder_splits(),
                                     again->inputs().positions);
        };
        x = recompute<T>(compute, graph_inputs(x, Variable<T>(), positions));
      }
    }
    after = std::move(cache);
    return normed(std::move(x));
  }

  /// Decoding without an encoder: nothing read yet, in so many rows.
  [[nodiscard]] PrefixState<T> empty_state(Index rows) const {
    PrefixState<T> state;
    state.layers.reserve(to_size(layers()));
    for (Index i = 0; i < layers(); ++i) {
      const MultiHeadAttention<T, kKinds>& attention = layer(i).self_attention();
      state.layers.emplace_back(rows, attention.key_columns(), attention.value_columns());
    }
    return state;
  }
  /// The next tokens of every row, appended to the state. Causal, not recorded   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> step(PrefixState<T>& state, Variable<T> x, const RowSplits& splits,
                                 const PositionInputs<T>& positions = {}) const {
    require_layers(state.layers.size());
    for (Index i = 0; i < layers(); ++i) x = layer(i).step(x, splits, at(state.layers, i), positions);
    return normed(std::move(x));
  }

  /// Decoding with an encoder: nothing decoded yet, one row for each sequence of its output.
  [[nodiscard]] DecoderState<T> start(const Variable<T>& encoder_output, const RowSplits& encoder_splits) const {
    DecoderState<T> state{.prefix = empty_state(encoder_splits.sequences()),
                          .encoder_keys_values = {},
                          .encoder_ranges = detail::key_ranges(encoder_splits)};
    state.encoder_keys_values.reserve(to_size(layers()));
    for (Index i = 0; i < layers(); ++i) {
      state.encoder_keys_values.push_back(
          std::make_shared<Tensor<T>>(layer(i).encoder_keys_values(encoder_output).value()));
    }
    return state;
  }
  /// The next tokens of every row, appended to the state. Causal, not recorded   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> step(DecoderState<T>& state, Variable<T> x, const RowSplits& splits,
                                 const PositionInputs<T>& positions = {}) const {
    require_layers(state.prefix.layers.size());
    require_layers(state.encoder_keys_values.size());
    for (Index i = 0; i < layers(); ++i) {
      x = layer(i).step(x, splits, at(state.prefix.layers, i), *at(state.encoder_keys_values, i), state.encoder_ranges,
                        {.positions = positions});
    }
    return normed(std::move(x));
  }

  /// The number of layers: that of the blocks times `layers_each`.
  [[nodiscard]] Index layers() const { return std::ssize(blocks_) * layers_each_; }
  /// The block that is layer i.
  [[nodiscard]] const Block<T, kKinds>& layer(Index i) const { return at(blocks_, i / layers_each_); }
  /// From now on tokens attend only to keys at most so many positions away; unset: no limit.
  void set_window(std::optional<Index> window) {
    for (Block<T, kKinds>& block : blocks_) block.self_attention().set_window(window);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("layers", self.blocks_);
    visitor("norm", self.norm_);
  }

 private:
  static constexpr std::string_view kWhere = "stack";

  /// The table of an earlier layer with the same rotary positions, or nullptr.
  [[nodiscard]] const Rotary<T>* rotary_of_earlier(const MultiHeadAttentionOptions& options) const {
    const auto* const wanted = std::get_if<RotaryOptions>(&options.positions);
    if (wanted == nullptr) return nullptr;
    for (const Block<T, kKinds>& block : blocks_) {
      const Rotary<T>* const rotary = block.self_attention().rotary();
      if (rotary != nullptr && rotary->options() == *wanted) return rotary;
    }
    return nullptr;
  }
  void require_layers(std::size_t count) const {
    require<ShapeError>(count == to_size(layers()), kWhere, "a state of ", count, " layers for ", layers());
  }
  void require_weights(const StackInputs<T>& inputs) const {
    for (const std::size_t count : {inputs.weights.size(), inputs.cross_weights.size()}) {
      require<ShapeError>(count == 0 || count == to_size(layers()), kWhere, count, " tensors for the weights of ",
                          layers(), " layers");
    }
  }
  static BlockInputs<T> block_inputs(const StackInputs<T>& inputs) {
    return {.mask = inputs.mask, .positions = inputs.positions, .cross_mask = inputs.cross_mask};
  }
  static void capture_weights(const StackInputs<T>& inputs, Index layer, BlockInputs<T>& of_block) {
    if (!inputs.weights.empty()) of_block.capture.weights = &inputs.weights[to_size(layer)];
    if (!inputs.cross_weights.empty()) of_block.cross_capture.weights = &inputs.cross_weights[to_size(layer)];
  }
  /// True if backward is to compute the blocks again. Attention probabilities are written by calls that do not.
  [[nodiscard]] static bool recomputes(const StackInputs<T>& inputs) {
    return recomputes_activations() && inputs.weights.empty() && inputs.cross_weights.empty();
  }
  /// The variables of the graph that a block reads, but for its parameters.
  static std::array<Variable<T>, 6> graph_inputs(const Variable<T>& x, const Variable<T>& encoder_output,
                                                 const PositionInputs<T>& positions) {
    return {x, encoder_output, positions.table, positions.distances, positions.content_bias, positions.position_bias};
  }
  /// The first `count` layers, of whose activations backward computes those of one block at a time again.
  /// `encoder_output` may be undefined.
  [[nodiscard]] Variable<T> recomputed(Index count, Variable<T> x, const RowSplits& splits,
                                       const Variable<T>& encoder_output, const RowSplits& encoder_splits,
                                       const StackInputs<T>& inputs) const {
    const auto kept = std::make_shared<const detail::KeptInputs<T>>(block_inputs(inputs), splits, encoder_splits);
    for (Index i = 0; i < count; ++i) {
      const auto compute = [block = &layer(i), x, encoder_output, kept] {
        if (!encoder_output.defined()) return (*block)(x, kept->splits(), kept->inputs());
        return (*block)(x, kept->splits(), encoder_output, kept->encoder_splits(), kept->inputs());
      };
      x = recompute<T>(compute, graph_inputs(x, encoder_output, inputs.positions));
    }
    return x;
  }
  [[nodiscard]] Variable<T> normed(Variable<T> x) const { return norm_ ? (*norm_)(x) : x; }

  std::vector<Block<T, kKinds>> blocks_;
  Index layers_each_;
  std::optional<Norm<T, kKinds>> norm_;
};
static_assert(Module<Stack<float>>);

}}  // namespace rapt::RAPT_ABI
