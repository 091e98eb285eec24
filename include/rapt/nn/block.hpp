/// \file
/// The block of which every Transformer is a stack: attention, perhaps attention to an encoder's output, feed-forward,
/// each in an Add & Norm box (the paper's figure 1). What differs between models is an option.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "rapt/nn/add_norm.hpp"
#include "rapt/nn/attention.hpp"
#include "rapt/nn/feed_forward.hpp"
#include "rapt/nn/gated_feed_forward.hpp"

namespace rapt { inline namespace RAPT_ABI {

enum class FeedForwardKind {
  plain,  ///< activation(x W_1) W_2, the paper's equation 2
  gated,  ///< (activation(x W_gate) * x W_up) W_down (Shazeer 2020)
};

/// What the parts of a block are called in files. The texts must live as long as the block, as literals do.
struct BlockNames {
  std::string_view self_attention = "self_attn";        ///< its parameters begin with this and a dot
  std::string_view cross_attention = "multihead_attn";  ///< the same of cross-attention
  std::string_view feed_forward = {};  ///< empty: its two maps are named in the block, beside the other parts
  /// The norms in the order of the sublayers; without cross-attention the feed-forward network's is the second.
  std::array<std::string_view, 3> norms = {"norm1", "norm2", "norm3"};
  std::array<std::string_view, 3> outer_norms = {"outer_norm1", "outer_norm2",
                                                 "outer_norm3"};  ///< NormPlacement::sandwich
  bool norm_behind_attention = false;  ///< the first norm stands behind its attention in the order of the parameters
};

/// Names are torch.nn.TransformerEncoderLayer's and torch.nn.TransformerDecoderLayer's, unless `names` says otherwise.
struct BlockOptions {
  /// Self-attention; its d_model is the block's. Cross-attention has the same heads, biases and dropout, but neither
  /// positions nor window nor norms of queries and keys.
  MultiHeadAttentionOptions attention = {};
  bool cross_attention = false;  ///< true: the block also attends to an encoder's output, as a decoder's does
  FeedForwardKind feed_forward = FeedForwardKind::plain;  ///< whether there is a gate
  Index d_ff = 2048;
  Activation activation = Activation::relu;          ///< of the feed-forward network
  float activation_dropout = 0.f;                    ///< rate inside of the feed-forward network
  bool feed_forward_bias = true;                     ///< all maps of the feed-forward network have biases
  NormKind norm_kind = NormKind::layer;              ///< the formula of the sublayers' norms
  std::optional<NormKind> attention_norm_kind = {};  ///< of self-attention's norm; unset: `norm_kind`
  NormPlacement norm = NormPlacement::post;          ///< where norms stand: behind, before or around a sublayer
  double norm_epsilon = 1e-5;                        ///< what norms add to the variance, or to the mean square
  float dropout = 0.1f;                              ///< rate of each sublayer's output, before it is added
  std::optional<float> feed_forward_dropout = {};    ///< of the feed-forward network's output; unset: `dropout`
  float drop_path = 0.f;                             ///< rate at which sequences skip a sublayer, see AddNormOptions
  double layer_scale = 0;  ///< what the learned factors of sublayers' outputs begin with; 0: there are none
  BlockNames names = {};   ///< what the parts are called in files
};

namespace detail {

/// The options of a block's cross-attention, by those of its self-attention.
[[nodiscard]] inline MultiHeadAttentionOptions cross_attention_options(MultiHeadAttentionOptions self_attention) {
  self_attention.positions = {};
  self_attention.window = {};
  self_attention.query_key_norm = {};
  return self_attention;
}

}  // namespace detail

/// What one call of a block brings beside its input.
template <class T>
struct BlockInputs {
  AttentionMask<T> mask = {};              ///< of self-attention; unset, `causal` is true with cross-attention
  AttentionCapture<T> capture = {};        ///< of self-attention
  PositionInputs<T> positions = {};        ///< of self-attention
  AttentionMask<T> cross_mask = {};        ///< of cross-attention
  AttentionCapture<T> cross_capture = {};  ///< of cross-attention
};

/// One block. A const block may be used from many threads.
template <class T = float, BlockKinds kKinds = kAllKinds>
class Block {
 public:
  /// Throws ValueError for options that do not fit. `rotary`: see MultiHeadAttention.
  Block(const BlockOptions& options, Rng& rng, const Rotary<T>* rotary = nullptr)
      : names_(options.names),
        self_attention_(options.attention, rng, rotary),
        cross_attention_(cross_attention(options, rng)),
        feed_forward_(feed_forward(options, rng)),
        self_norm_(add_norm(options, options.attention_norm_kind.value_or(options.norm_kind), options.dropout)),
        feed_forward_norm_(
            add_norm(options, options.norm_kind, options.feed_forward_dropout.value_or(options.dropout))) {
    if (options.cross_attention) cross_norm_.emplace(add_norm(options, options.norm_kind, options.dropout));
  }

  /// Self-attention and feed-forward   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits,
                                       const BlockInputs<T>& inputs = {}) const {
    require_encoder_output(false);
    const Variable<T> h = self_norm_(
        x, [&](const auto& n) { return self_attention_(n, splits, inputs.mask, inputs.capture, inputs.positions); },
        sequences_of(splits));
    return fed_forward(h, splits);
  }

  /// Self-attention, attention to an encoder's output, feed-forward   // [N, D] from x [N, D], encoder_output [M, D]
  /// Self-attention is causal unless `inputs.mask.causal` is false; `step` is causal by nature.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& x, const RowSplits& splits, const Variable<T>& encoder_output,
                                       const RowSplits& encoder_splits, const BlockInputs<T>& inputs = {}) const {
    require_encoder_output(true);
    AttentionMask<T> mask = inputs.mask;
    mask.causal = mask.causal.value_or(true);
    Variable<T> h = self_norm_(
        x, [&](const auto& n) { return self_attention_(n, splits, mask, inputs.capture, inputs.positions); },
        sequences_of(splits));
    h = (*cross_norm_)(
        h,
        [&](const auto& n) {
          return (*cross_attention_)(n, splits, encoder_output, encoder_splits, inputs.cross_mask,
                                     inputs.cross_capture);
        },
        sequences_of(splits));
    return fed_forward(h, splits);
  }

  /// As without an encoder, but keys and values are made of `all` [M + N, D]: of each sequence the rows that stood
  /// before, as this block read them, and then its x   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> read_segment(const Variable<T>& x, const RowSplits& splits, const Variable<T>& all,
                                         const RowSplits& all_splits, const PositionInputs<T>& positions = {}) const {
    require_encoder_output(false);
    const bool pre = self_norm_.placement() != NormPlacement::post;
    const auto attention = [&](const Variable<T>& n) {
      const Variable<T> source = all.node() == x.node() ? n : pre ? self_norm_.norm()(all) : all;
      return self_attention_(n, splits, source, all_splits, {.causal = true}, {}, positions);
    };
    return fed_forward(self_norm_(x, attention, sequences_of(splits)), splits);
  }

  /// Without an encoder: the next tokens of each row, which attend to what the cache holds and to themselves. Causal,
  /// not recorded   // [N, D] from x [N, D]
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache,
                                 const PositionInputs<T>& positions = {}) const {
    require_encoder_output(false);
    return fed_forward(stepped(x, splits, cache, positions), splits);
  }
  /// With an encoder, of whose output `encoder_keys_values` are the keys and values and sequence i sees the rows
  /// `ranges[i]`. `inputs.cross_capture.weights`, if set, receives the probabilities of cross-attention, [N, H, longest
  /// range]. Of the other inputs only `positions` is read.
  [[nodiscard]] Variable<T> step(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache,
                                 const Tensor<T>& encoder_keys_values, std::span<const kernels::KeyRange> ranges,
                                 const BlockInputs<T>& inputs = {}) const {
    require_encoder_output(true);
    const Variable<T> h = (*cross_norm_)(
        stepped(x, splits, cache, inputs.positions),
        [&](const auto& n) {
          return cross_attention_->step(n, splits, encoder_keys_values, ranges, inputs.cross_capture.weights);
        },
        sequences_of(splits));
    return fed_forward(h, splits);
  }
  /// [keys | values] of an encoder's output for `step`.
  [[nodiscard]] Variable<T> encoder_keys_values(const Variable<T>& encoder_output) const {
    require_encoder_output(true);
    return cross_attention_->keys_values(encoder_output);
  }

  /// The block's self-attention; the mutable one is there to set its window.
  [[nodiscard]] const MultiHeadAttention<T, kKinds>& self_attention() const { return self_attention_; }
  [[nodiscard]] MultiHeadAttention<T, kKinds>& self_attention() { return self_attention_; }
  /// Where the norms stand, `BlockOptions::norm`.
  [[nodiscard]] NormPlacement norm_placement() const { return self_norm_.placement(); }
  /// The norm of the self-attention's sublayer.
  [[nodiscard]] const Norm<T, kKinds>& norm() const { return self_norm_.norm(); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    const BlockNames& names = self.names_;
    const bool cross = self.cross_attention_.has_value();
    visitor(names.self_attention, self.self_attention_);
    visitor(names.cross_attention, self.cross_attention_);
    if (names.norm_behind_attention) visitor(names.norms[0], self.self_norm_);
    std::visit(
        [&](auto& network) {
          using Kind = std::remove_cvref_t<decltype(network)>;
          if (names.feed_forward.empty()) return Kind::visit(network, visitor);
          visitor(names.feed_forward, network);
        },
        self.feed_forward_);
    if (!names.norm_behind_attention) visitor(names.norms[0], self.self_norm_);
    visitor(names.norms[1], self.cross_norm_);
    visitor(names.norms[cross ? 2 : 1], self.feed_forward_norm_);
    AddNorm<T, kKinds>::visit_outer_norm(self.self_norm_, names.outer_norms[0], visitor);
    if (cross) AddNorm<T, kKinds>::visit_outer_norm(*self.cross_norm_, names.outer_norms[1], visitor);
    AddNorm<T, kKinds>::visit_outer_norm(self.feed_forward_norm_, names.outer_norms[cross ? 2 : 1], visitor);
    AddNorm<T, kKinds>::visit_scale(self.self_norm_, "scale1", visitor);
    if (cross) AddNorm<T, kKinds>::visit_scale(*self.cross_norm_, "scale2", visitor);
    AddNorm<T, kKinds>::visit_scale(self.feed_forward_norm_, cross ? "scale3" : "scale2", visitor);
  }

 private:
  using Network =
      std::conditional_t<kKinds.gated, std::variant<FeedForward<T>, GatedFeedForward<T>>, std::variant<FeedForward<T>>>;

  static std::optional<MultiHeadAttention<T, kKinds>> cross_attention(const BlockOptions& options, Rng& rng) {
    if (!options.cross_attention) return std::nullopt;
    return MultiHeadAttention<T, kKinds>(detail::cross_attention_options(options.attention), rng);
  }
  static Network feed_forward(const BlockOptions& options, Rng& rng) {
    const Index d_model = options.attention.d_model;
    const bool gated = options.feed_forward == FeedForwardKind::gated;
    require(kKinds.gated || !gated, "block", "the block is compiled without gated feed-forward networks");
    if constexpr (kKinds.gated) {
      if (gated) {
        return GatedFeedForward<T>({.d_model = d_model,
                                    .d_ff = options.d_ff,
                                    .activation = options.activation,
                                    .dropout = options.activation_dropout,
                                    .bias = options.feed_forward_bias},
                                   rng);
      }
    }
    return FeedForward<T>({.d_model = d_model,
                           .d_ff = options.d_ff,
                           .activation = options.activation,
                           .dropout = options.activation_dropout,
                           .bias = options.feed_forward_bias},
                          rng);
  }
  static AddNorm<T, kKinds> add_norm(const BlockOptions& options, NormKind kind, float dropout) {
    return AddNorm<T, kKinds>({.d_model = options.attention.d_model,
                               .kind = kind,
                               .placement = options.norm,
                               .epsilon = options.norm_epsilon,
                               .dropout = dropout,
                               .drop_path = options.drop_path,
                               .layer_scale = options.layer_scale});
  }
  void require_encoder_output(bool given) const {
    require(given == cross_attention_.has_value(), "block", "the block attends ",
            given ? "to no encoder output, and is given one" : "to an encoder output, and is given none");
  }

  [[nodiscard]] Variable<T> stepped(const Variable<T>& x, const RowSplits& splits, KeyValueCache<T>& cache,
                                    const PositionInputs<T>& positions) const {
    return self_norm_(
        x, [&](const auto& n) { return self_attention_.step(n, splits, cache, positions); }, sequences_of(splits));
  }
  /// The number of sequences. With drop path, which counts rows, they must be of one length.
  [[nodiscard]] Index sequences_of(const RowSplits& splits) const {
    if (self_norm_.drops_paths()) {
      require<ShapeError>(splits.rows() == splits.sequences() * splits.longest(), "block",
                          "drop path needs sequences of one length: ", splits.rows(), " rows in ", splits.sequences(),
                          " sequences, the longest of ", splits.longest());
    }
    return splits.sequences();
  }
  [[nodiscard]] Variable<T> fed_forward(const Variable<T>& h, const RowSplits& splits) const {
    return feed_forward_norm_(
        h,
        [&](const Variable<T>& n) -> Variable<T> {
          if constexpr (kKinds.gated) {
            if (const auto* const gated = std::get_if<GatedFeedForward<T>>(&feed_forward_)) return (*gated)(n);
          }
          return std::get<FeedForward<T>>(feed_forward_)(n);
        },
        sequences_of(splits));
  }

  BlockNames names_;
  MultiHeadAttention<T, kKinds> self_attention_;
  std::optional<MultiHeadAttention<T, kKinds>> cross_attention_;
  Network feed_forward_;
  AddNorm<T, kKinds> self_norm_;
  std::optional<AddNorm<T, kKinds>> cross_norm_;
  AddNorm<T, kKinds> feed_forward_norm_;
};
static_assert(Module<Block<float>>);

}}  // namespace rapt::RAPT_ABI
