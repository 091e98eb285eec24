/// \file
/// The block with each of its options against the same formula written by hand, step by step against the whole, and by
/// finite differences.
// covers: nn/block_kinds.hpp
#include "rapt/nn/block.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/ops/activation.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::BlockOptions;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::splits_of;
using Block = rapt::Block<double>;
using Variable = rapt::Variable<double>;

constexpr Index kModel = 6;

[[nodiscard]] BlockOptions plain_options() {
  return {
      .attention = {.d_model = kModel, .heads = 2}, .d_ff = 5, .activation = rapt::Activation::gelu, .dropout = 0.f};
}

/// Every combination of norm, its place, feed-forward network, cross-attention, layer scale and biases; and norms
/// before and behind each sublayer, with norms of queries and keys where there is no cross-attention.
[[nodiscard]] std::vector<BlockOptions> all_options() {
  std::vector<BlockOptions> all;
  for (unsigned bits = 0; bits < 64; ++bits) {
    BlockOptions options = plain_options();
    options.norm = (bits & 1U) != 0 ? rapt::NormPlacement::pre : rapt::NormPlacement::post;
    options.norm_kind = (bits & 2U) != 0 ? rapt::NormKind::rms : rapt::NormKind::layer;
    options.feed_forward = (bits & 4U) != 0 ? rapt::FeedForwardKind::gated : rapt::FeedForwardKind::plain;
    options.cross_attention = (bits & 8U) != 0;
    options.layer_scale = (bits & 16U) != 0 ? 0.5 : 0.0;
    const bool bias = (bits & 32U) == 0;
    options.feed_forward_bias = bias;
    options.attention.query_bias = options.attention.key_bias = bias;
    options.attention.value_bias = options.attention.output_bias = bias;
    all.push_back(options);
  }
  for (const auto kind : {rapt::NormKind::layer, rapt::NormKind::rms, rapt::NormKind::rms_unit_offset}) {
    for (const bool cross : {false, true}) {
      BlockOptions options = plain_options();
      options.norm = rapt::NormPlacement::sandwich;
      options.norm_kind = kind;
      options.cross_attention = cross;
      const bool unit_offset = kind == rapt::NormKind::rms_unit_offset;
      if (!cross) options.attention.query_key_norm = rapt::QueryKeyNorm{.unit_offset = unit_offset};
      all.push_back(options);
    }
  }
  return all;
}

[[nodiscard]] Block block_of(const BlockOptions& options) {
  rapt::Rng rng(1);
  Block block(options, rng);
  rapt_test::randomize(block, 2);
  return block;
}

[[nodiscard]] Variable random(Shape shape, std::uint64_t seed) {
  return Variable(rapt_test::normal_tensor<double>(shape, seed));
}

/// The block's formula, from its parameters.
class ByHand {
 public:
  ByHand(const Block& block, const BlockOptions& options) : options_(options) {
    rapt::for_each_parameter(block, [&](const std::string& name, const auto& p) { parameters_.emplace(name, p); });
  }

  [[nodiscard]] Variable operator()(const Variable& x, const rapt::RowSplits& splits, const Variable* encoder_output,
                                    const rapt::RowSplits& encoder_splits, bool causal) const {
    Variable h = sublayer(x, "norm1", "scale1",
                          [&](const Variable& n) { return attention("self_attn")(n, splits, {.causal = causal}); });
    if (encoder_output == nullptr) return sublayer(h, "norm2", "scale2", [&](const Variable& n) { return network(n); });
    h = sublayer(h, "norm2", "scale2", [&](const Variable& n) {
      return attention("multihead_attn")(n, splits, *encoder_output, encoder_splits);
    });
    return sublayer(h, "norm3", "scale3", [&](const Variable& n) { return network(n); });
  }

 private:
  [[nodiscard]] Variable parameter(const std::string& name) const {
    const auto found = parameters_.find(name);
    return found == parameters_.end() ? Variable() : found->second;
  }
  [[nodiscard]] rapt::MultiHeadAttention<double> attention(const std::string& name) const {
    rapt::Rng rng(1);
    rapt::MultiHeadAttention<double> layer(options_.attention, rng);
    rapt::for_each_parameter(
        layer, [&](const std::string& inner, auto& p) { p.mutable_value() = parameter(name + "." + inner).value(); });
    return layer;
  }
  [[nodiscard]] Variable map(const Variable& x, const std::string& name) const {
    return rapt::linear<double>(x, parameter(name + ".weight"), parameter(name + ".bias"));
  }
  [[nodiscard]] Variable network(const Variable& x) const {
    if (options_.feed_forward == rapt::FeedForwardKind::plain) return map(rapt::gelu(map(x, "linear1")), "linear2");
    const Tensor<double> both = map(x, "gate_up_proj").value();  // [N, gate | up]
    Tensor<double> gate(Shape{x.rows(), options_.d_ff}), up(gate.shape());
    gate.matrix() = both.matrix().leftCols(options_.d_ff);
    up.matrix() = both.matrix().rightCols(options_.d_ff);
    return map(rapt::multiply(rapt::gelu(Variable(gate)), Variable(up)), "down_proj");
  }
  [[nodiscard]] Variable normed(const Variable& x, const std::string& name) const {
    const Variable weight = parameter(name + ".weight"), bias = parameter(name + ".bias");
    EXPECT_EQ(bias.defined(), options_.norm_kind == rapt::NormKind::layer);
    if (bias.defined()) return rapt::layer_norm<double>(x, weight, bias, options_.norm_epsilon);
    if (options_.norm_kind == rapt::NormKind::rms) return rapt::rms_norm<double>(x, weight, options_.norm_epsilon);
    const Variable ones(Tensor<double>(weight.shape(), 1.0));
    return rapt::rms_norm<double>(x, add(weight, ones), options_.norm_epsilon);
  }
  template <class F>
  [[nodiscard]] Variable sublayer(const Variable& x, const std::string& norm, const std::string& scale,
                                  const F& f) const {
    const bool pre = options_.norm != rapt::NormPlacement::post;
    Tensor<double> y = f(pre ? normed(x, norm) : x).value();
    if (options_.norm == rapt::NormPlacement::sandwich) y = normed(Variable(y), "outer_" + norm).value();
    const Variable factors = parameter(scale);
    EXPECT_EQ(factors.defined(), options_.layer_scale > 0);
    for (Index i = 0; i < y.rows(); ++i) {
      for (Index j = 0; j < y.cols(); ++j) {
        y(i, j) = x.value()(i, j) + (factors.defined() ? factors.value().data()[j] : 1.0) * y(i, j);
      }
    }
    return pre ? Variable(y) : normed(Variable(y), norm);
  }

  BlockOptions options_;
  std::map<std::string, Variable> parameters_;
};

TEST(Block, EqualsTheFormulaByHand) {
  const auto splits = splits_of({3, 4}), encoder_splits = splits_of({2, 5});
  const Variable x = random({7, kModel}, 3), encoder_output = random({7, kModel}, 4);
  for (const BlockOptions& options : all_options()) {
    const Block block = block_of(options);
    const ByHand by_hand(block, options);
    if (options.cross_attention) {
      const Variable expected = by_hand(x, splits, &encoder_output, encoder_splits, true);
      EXPECT_LT(rapt_test::relative_error(block(x, splits, encoder_output, encoder_splits).value(), expected.value()),
                1e-13);
      const Variable all = by_hand(x, splits, &encoder_output, encoder_splits, false);
      const Variable y = block(x, splits, encoder_output, encoder_splits, {.mask = {.causal = false}});
      EXPECT_LT(rapt_test::relative_error(y.value(), all.value()), 1e-13);
    } else {
      for (const bool causal : {false, true}) {
        const Variable expected = by_hand(x, splits, nullptr, splits, causal);
        const Variable y = block(x, splits, {.mask = {.causal = causal}});
        EXPECT_LT(rapt_test::relative_error(y.value(), expected.value()), 1e-13);
      }
    }
  }
}

TEST(Block, Gradients) {
  const auto splits = splits_of({2, 1}), encoder_splits = splits_of({1, 2});
  const auto check = [&](const BlockOptions& options, bool training) {
    const Block block = block_of(options);
    const auto result = rapt::gradcheck(
        [&](const std::vector<Variable>& in) {
          return options.cross_attention ? block(in[0], splits, in[1], encoder_splits) : block(in[0], splits);
        },
        {rapt_test::normal_tensor<double>({3, kModel}, 3), rapt_test::normal_tensor<double>({3, kModel}, 4)},
        {.training = training});
    EXPECT_LT(result.worst_relative_error, 1e-6);
  };
  for (const BlockOptions& options : all_options()) check(options, false);
  for (const bool cross : {false, true}) {  // each kind of dropout, and all together
    for (unsigned bits = 1; bits < 8; ++bits) {
      BlockOptions options = plain_options();
      options.cross_attention = cross;
      options.norm = cross ? rapt::NormPlacement::pre : rapt::NormPlacement::post;
      if ((bits & 1U) != 0) options.dropout = 0.3f;
      if ((bits & 2U) != 0) options.activation_dropout = 0.3f;
      if ((bits & 4U) != 0) options.attention.dropout = 0.3f;
      check(options, true);
      options.feed_forward = rapt::FeedForwardKind::gated;
      check(options, true);
    }
  }
}

TEST(Block, EveryParameterHasAGradient) {
  const Variable x = random({5, kModel}, 3), encoder_output = random({4, kModel}, 4);
  const auto splits = splits_of({2, 3}), encoder_splits = splits_of({2, 2});
  for (const BlockOptions& options : all_options()) {
    const Block block = block_of(options);
    const rapt::Recording scope;
    const Variable y = options.cross_attention ? block(x, splits, encoder_output, encoder_splits) : block(x, splits);
    rapt::backward(sum(multiply(y, y)));
    rapt::for_each_parameter(block, [&](const std::string& name, const auto& p) {
      ASSERT_FALSE(p.grad().empty()) << name;
      EXPECT_GT(p.grad().matrix().array().abs().maxCoeff(), 0) << name;
    });
  }
}

/// Steps of one and of several tokens a row.
TEST(Block, StepsEqualTheWhole) {
  const std::vector<std::vector<Index>> steps{{1, 3}, {2, 1}, {1, 1}};
  const auto splits = splits_of({4, 5}), encoder_splits = splits_of({3, 2});
  const Variable x = random({9, kModel}, 3), encoder_output = random({5, kModel}, 4);
  for (BlockOptions options : all_options()) {
    if (options.layer_scale > 0) options.attention.window = 2;
    const Block block = block_of(options);
    const bool cross = options.cross_attention;
    const Tensor<double> whole =
        (cross ? block(x, splits, encoder_output, encoder_splits) : block(x, splits, {.mask = {.causal = true}}))
            .value();
    const Tensor<double> keys_values = cross ? block.encoder_keys_values(encoder_output).value() : Tensor<double>();
    const auto ranges = rapt::detail::key_ranges(encoder_splits);
    rapt::KeyValueCache<double> cache(2, kModel);
    std::vector<Index> done(2, 0);
    for (const auto& lengths : steps) {
      const auto now = splits_of(lengths);
      Tensor<double> part(Shape{now.rows(), kModel}), expected(part.shape());
      for (Index r = 0; r < 2; ++r) {
        for (Index i = 0; i < now.length(r); ++i) {
          const Index row = splits.begin(r) + done[static_cast<std::size_t>(r)]++;
          std::copy_n(x.value().row(row), kModel, part.row(now.begin(r) + i));
          std::copy_n(whole.row(row), kModel, expected.row(now.begin(r) + i));
        }
      }
      const Variable y =
          cross ? block.step(Variable(part), now, cache, keys_values, ranges) : block.step(Variable(part), now, cache);
      EXPECT_LT(rapt_test::relative_error(y.value(), expected), 1e-12);
    }
  }
}

/// A segment that attends to what stood before it, against all of it at once.
TEST(Block, ASegmentEqualsTheEndOfTheWhole) {
  const Variable all = random({9, kModel}, 3), distances = random({6, kModel}, 4);
  const auto all_splits = splits_of({5, 4}), splits = splits_of({2, 3});
  Tensor<double> last(Shape{5, kModel});
  for (const auto& [from, to, count] : {std::tuple<Index, Index, Index>{3, 0, 2}, {6, 2, 3}}) {
    std::copy_n(all.value().row(from), count * kModel, last.row(to));
  }
  for (const auto placement : {rapt::NormPlacement::post, rapt::NormPlacement::pre}) {
    BlockOptions options = plain_options();
    options.norm = placement;
    options.attention.positions = rapt::RelativePositionEncoding{};
    const Block block = block_of(options);
    const rapt::PositionInputs<double> positions{.distances = distances};
    const Tensor<double> whole = block.read_segment(all, all_splits, all, all_splits, positions).value();
    const Tensor<double> segment = block.read_segment(Variable(last), splits, all, all_splits, positions).value();
    for (const auto& [from, to, count] : {std::tuple<Index, Index, Index>{3, 0, 2}, {6, 2, 3}}) {
      for (Index i = 0; i < count * kModel; ++i) {
        EXPECT_NEAR(segment.row(to)[i], whole.row(from)[i], 1e-13);
      }
    }
  }
}

TEST(Block, HandsOutProbabilities) {
  const Variable x = random({5, kModel}, 3), encoder_output = random({4, kModel}, 4);
  BlockOptions options = plain_options();
  options.cross_attention = true;
  Tensor<double> weights, cross_weights;
  std::ignore = block_of(options)(x, splits_of({2, 3}), encoder_output, splits_of({1, 3}),
                                  {.capture = {.weights = &weights}, .cross_capture = {.weights = &cross_weights}});
  ASSERT_EQ(weights.shape(), (Shape{2, 2, 3, 3}));
  ASSERT_EQ(cross_weights.shape(), (Shape{2, 2, 3, 3}));
  EXPECT_EQ(weights.data()[1], 0) << "causal";
  EXPECT_EQ(cross_weights.data()[0], 1) << "one key";
}

[[nodiscard]] std::vector<std::string> names_of(const BlockOptions& options) {
  std::vector<std::string> names;
  const Block block = block_of(options);
  rapt::for_each_parameter(block, [&](const std::string& name, const auto&) { names.push_back(name); });
  return names;
}

TEST(Block, ParametersAreCalledAsTheOptionsSay) {
  using Names = std::vector<std::string>;
  BlockOptions options = plain_options();
  options.layer_scale = 1;
  EXPECT_EQ(names_of(options),
            (Names{"self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight",
                   "self_attn.out_proj.bias", "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias",
                   "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "scale1", "scale2"}));
  options = {.attention = {.d_model = kModel,
                           .heads = 2,
                           .query_bias = false,
                           .key_bias = false,
                           .value_bias = false,
                           .output_bias = false,
                           .names = {.in_proj_weight = "qkv.weight", .out_proj = "o"}},
             .cross_attention = true,
             .feed_forward = rapt::FeedForwardKind::gated,
             .d_ff = 5,
             .feed_forward_bias = false,
             .norm_kind = rapt::NormKind::rms,
             .names = {.self_attention = "a", .cross_attention = "b", .feed_forward = "f", .norms = {"n", "m", "l"}}};
  EXPECT_EQ(names_of(options),
            (Names{"a.qkv.weight", "a.o.weight", "b.qkv.weight", "b.o.weight", "f.gate_up_proj.weight",
                   "f.down_proj.weight", "n.weight", "m.weight", "l.weight"}));
  options.cross_attention = false;
  options.names.norm_behind_attention = true;
  EXPECT_EQ(names_of(options), (Names{"a.qkv.weight", "a.o.weight", "n.weight", "f.gate_up_proj.weight",
                                      "f.down_proj.weight", "m.weight"}));
}

TEST(Block, TheAttentionMayHaveANormOfAnotherKind) {
  BlockOptions options = plain_options();
  options.norm = rapt::NormPlacement::pre;
  options.attention_norm_kind = rapt::NormKind::none;
  rapt::Rng rng(1);
  Block block(options, rng);
  rapt_test::randomize(block, 2);
  rapt::for_each_parameter(block,
                           [](const std::string& name, const auto&) { EXPECT_FALSE(name.starts_with("norm1")); });
  const Variable x(rapt_test::normal_tensor<double>({5, kModel}, 3));
  const auto splits = splits_of({2, 3});
  options.attention_norm_kind.reset();
  const Variable h = add(x, block.self_attention()(x, splits));
  Block normed(options, rng);  // whose output is h plus the network's once its attention gives nothing
  std::map<std::string, const rapt::Parameter<double>*> ours;
  rapt::for_each_parameter(block, [&](const std::string& name, const auto& p) { ours[name] = &p; });
  rapt::for_each_parameter(normed, [&](const std::string& name, auto& p) {
    if (ours.count(name) > 0) p.mutable_value() = ours.at(name)->value();
    if (name.starts_with("self_attn.out_proj")) p.mutable_value().fill(0.0);
  });
  EXPECT_TRUE(rapt_test::close(block(x, splits).value(), normed(h, splits).value(), 1e-14));
}

TEST(Block, TheFeedForwardNetworkMayHaveADropoutOfItsOwn) {
  const Variable x(rapt_test::normal_tensor<double>({40, kModel}, 3));
  const auto splits = splits_of({40});
  // How many numbers of the sum of both sublayers' outputs differ in training from those without dropout.
  const auto changed = [&](float attention, std::optional<float> feed_forward) {
    BlockOptions options = plain_options();
    options.norm = rapt::NormPlacement::pre;
    options.dropout = attention;
    options.feed_forward_dropout = feed_forward;
    rapt::Rng rng(1);
    Block block(options, rng);
    rapt_test::randomize(block, 2);
    const Tensor<double> whole = block(x, splits).value();
    const rapt::Training scope(rng);
    const Tensor<double> dropped = block(x, splits).value();
    Index count = 0;
    for (Index i = 0; i < whole.size(); ++i) count += whole.data()[i] != dropped.data()[i];
    return count;
  };
  EXPECT_EQ(changed(0.f, {}), 0);
  EXPECT_EQ(changed(0.f, 0.f), 0);
  const Index all = x.size();
  EXPECT_EQ(changed(0.5f, 0.f), all);  // a dropped number is not among the network's inputs
  EXPECT_EQ(changed(0.f, 0.5f), all);  // dropped, or divided by 1 - 0.5
  EXPECT_EQ(changed(0.5f, {}), all);
}

TEST(Block, NamesWhatDoesNotFit) {
  const Variable x = random({3, kModel}, 3);
  const auto splits = splits_of({3});
  const Block alone = block_of(plain_options());
  BlockOptions options = plain_options();
  options.cross_attention = true;
  const Block crossed = block_of(options);
  rapt_test::expect_errors(
      {{"an encoder output too many", [&] { std::ignore = alone(x, splits, x, splits); }, {"[block] ", "is given one"}},
       {"no encoder output", [&] { std::ignore = crossed(x, splits); }, {"[block] ", "is given none"}},
       {"drop path over sequences of unequal length",
        [&] {
          BlockOptions dropping = plain_options();
          dropping.drop_path = 0.25f;
          std::ignore = block_of(dropping)(random({6, kModel}, 3), splits_of({2, 4}));
        },
        {"[block] ", "one length", "6 rows in 2 sequences", "4"}},
       {"no keys and values",
        [&] {
          rapt::KeyValueCache<double> cache(1, kModel);
          std::ignore = crossed.step(x, splits, cache);
        },
        {"[block] ", "is given none"}},
       {"heads",
        [] {
          BlockOptions wrong = plain_options();
          wrong.attention.heads = 4;
          std::ignore = block_of(wrong);
        },
        {"d_model = 6", "heads = 4"}}});
}

/// Blocks that are compiled for the paper's kinds alone are the same blocks, and refuse the other kinds.
TEST(Block, KindsThatAreLeftOutAreErrors) {
  using Paper = rapt::Block<double, rapt::kPaperKinds>;
  const auto paper_of = [](const BlockOptions& options) {
    rapt::Rng rng(1);
    Paper block(options, rng);
    rapt_test::randomize(block, 2);
    return block;
  };
  const Variable x = random({5, kModel}, 3);
  const auto splits = splits_of({2, 3});
  EXPECT_TRUE(
      rapt_test::same_bits(paper_of(plain_options())(x, splits).value(), block_of(plain_options())(x, splits).value()));
  const auto with = [&](const auto& change) {
    return [=] {
      BlockOptions options = plain_options();
      change(options);
      std::ignore = paper_of(options);
    };
  };
  rapt_test::expect_errors(
      {{"rotary", with([](auto& o) { o.attention.positions = rapt::RotaryOptions{.rotated_ratio = 1}; }), {"rotary"}},
       {"rms", with([](auto& o) { o.norm_kind = rapt::NormKind::rms; }), {"[norm] ", "rms"}},
       {"gated", with([](auto& o) { o.feed_forward = rapt::FeedForwardKind::gated; }), {"[block] ", "gated"}},
       {"a norm behind layer scale",
        [] {
          BlockOptions wrong = plain_options();
          wrong.norm = rapt::NormPlacement::sandwich;
          wrong.layer_scale = 0.5;
          std::ignore = block_of(wrong);
        },
        {"[add_norm] ", "two norms", "0.5"}},
       {"layer scale", with([](auto& o) { o.layer_scale = 0.5; }), {"[add_norm] ", "0.5"}},
       {"drop path", with([](auto& o) { o.drop_path = 0.25f; }), {"[add_norm] ", "0.25"}}});
}

TEST(Block, IsTheSameOnAnyThreads) {
  BlockOptions options = plain_options();
  options.cross_attention = true;
  const Block block = block_of(options);
  const auto splits = splits_of({70, 3, 40}), encoder_splits = splits_of({9, 50, 4});
  const Variable encoder_output = random({63, kModel}, 4);
  rapt_test::expect_same_bits_on_any_threads([&] {
    const auto x = rapt_test::random_leaf<double>({113, kModel}, 3);
    const rapt::Recording scope;
    rapt::backward(sum(block(x, splits, encoder_output, encoder_splits)));
    return Tensor<double>(x.grad());
  });
}

}  // namespace
