/// \file
/// The stack against its blocks called one by one, steps and segments against the whole.
#include "rapt/nn/stack.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "rapt/autograd/gradcheck.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::BlockOptions;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt_test::splits_of;
using Stack = rapt::Stack<double>;
using Variable = rapt::Variable<double>;

constexpr Index kModel = 6;

[[nodiscard]] BlockOptions block_options(bool cross = false) {
  return {.attention = {.d_model = kModel, .heads = 2},
          .cross_attention = cross,
          .d_ff = 5,
          .activation = rapt::Activation::gelu,
          .norm = rapt::NormPlacement::pre,
          .dropout = 0.f};
}
/// Llama's: rotary positions and fewer heads of keys and values, of another width.
[[nodiscard]] BlockOptions grouped_options() {
  BlockOptions options = block_options();
  options.attention = {.d_model = kModel,
                       .heads = 3,
                       .key_value_heads = 1,
                       .head_dim = 4,
                       .value_head_dim = 2,
                       .window = 3,
                       .positions = rapt::RotaryOptions{}};
  options.feed_forward = rapt::FeedForwardKind::gated;
  options.norm_kind = rapt::NormKind::rms;
  return options;
}

[[nodiscard]] Stack stack_of(Index layers, const BlockOptions& options, bool final_norm = true) {
  rapt::Rng rng(1);
  Stack stack(layers, options, final_norm, rng);
  rapt_test::randomize(stack, 2);
  return stack;
}
[[nodiscard]] Variable random(Shape shape, std::uint64_t seed) {
  return Variable(rapt_test::normal_tensor<double>(shape, seed));
}
/// The norm behind the last block, from its parameters.
[[nodiscard]] Variable final_norm(const Stack& stack, const Variable& x, rapt::NormKind kind) {
  rapt::Norm<double> norm(kModel, kind, 1e-5);
  rapt::for_each_parameter(norm, [&](const std::string& wanted, auto& to) {
    rapt::for_each_parameter(stack, [&](const std::string& name, const auto& p) {
      if (name == "norm." + wanted) to.mutable_value() = p.value();
    });
  });
  return norm(x);
}

TEST(Stack, EqualsItsBlocksOneByOne) {
  const auto splits = splits_of({3, 4}), encoder_splits = splits_of({2, 5});
  const Variable x = random({7, kModel}, 3), encoder_output = random({7, kModel}, 4);
  for (const bool norm : {false, true}) {
    const Stack stack = stack_of(3, block_options(), norm);
    std::vector<Tensor<double>> weights(3);
    Variable h = x;
    const Variable y = stack(x, splits, {.mask = {.causal = true}, .weights = weights});
    for (Index i = 0; i < 3; ++i) {
      Tensor<double> of_layer;
      h = stack.layer(i)(h, splits, {.mask = {.causal = true}, .capture = {.weights = &of_layer}});
      EXPECT_TRUE(rapt_test::same_bits(of_layer, weights[static_cast<std::size_t>(i)]));
    }
    if (norm) h = final_norm(stack, h, rapt::NormKind::layer);
    EXPECT_TRUE(rapt_test::same_bits(y.value(), h.value()));
  }
  const Stack crossed = stack_of(2, block_options(/*cross=*/true));
  std::vector<Tensor<double>> weights(2), cross_weights(2);
  const Variable y = crossed(x, splits, encoder_output, encoder_splits,
                             {.cross_mask = {.causal = true}, .weights = weights, .cross_weights = cross_weights});
  Variable h = x;
  for (Index i = 0; i < 2; ++i) {
    h = crossed.layer(i)(h, splits, encoder_output, encoder_splits, {.cross_mask = {.causal = true}});
    EXPECT_EQ(weights[static_cast<std::size_t>(i)].shape(), (Shape{2, 2, 4, 4}));
    EXPECT_EQ(cross_weights[static_cast<std::size_t>(i)].shape(), (Shape{2, 2, 4, 5}));
  }
  EXPECT_TRUE(rapt_test::same_bits(y.value(), final_norm(crossed, h, rapt::NormKind::layer).value()));
}

/// Options of each block: the same seed gives the weights of a stack of equal blocks, the scales differ.
TEST(Stack, BlocksMayDiffer) {
  rapt::Rng one(1), other(1);
  const Stack equal(2, block_options(), false, one);
  const Stack differing(
      2,
      [](Index i) {
        BlockOptions options = block_options();
        options.attention.scale = 1 / std::sqrt(3.0) / static_cast<double>(i + 1);
        return options;
      },
      false, other);
  const Variable x = random({5, kModel}, 3);
  const auto splits = splits_of({5});
  EXPECT_TRUE(rapt_test::same_bits(equal.layer(0)(x, splits).value(), differing.layer(0)(x, splits).value()));
  EXPECT_FALSE(rapt_test::same_bits(equal.layer(1)(x, splits).value(), differing.layer(1)(x, splits).value()));
}

TEST(Stack, FeaturesAreWhatALayerAttendsWith) {
  const Stack stack = stack_of(2, block_options());
  const Variable x = random({7, kModel}, 3);
  const auto splits = splits_of({3, 4});
  const Variable h = stack.layer(0)(x, splits);
  const auto same = [&](Index layer, const Variable& expected) {
    EXPECT_TRUE(rapt_test::same_bits(stack.features(x, splits, layer).value(), expected.value())) << layer;
  };
  same(0, stack.layer(0).norm()(x));
  same(1, stack.layer(1).norm()(h));
  same(2, stack(x, splits));
  BlockOptions options = block_options();
  options.norm = rapt::NormPlacement::post;
  const Stack post = stack_of(2, options);
  rapt_test::expect_errors({{"post-norm",
                             [&] { std::ignore = post.features(x, splits, 1); },
                             {"[stack] features are the inputs of pre-norm blocks, layer 1 is a post-norm block"}}});
  EXPECT_TRUE(rapt_test::same_bits(post.features(x, splits, 2).value(), post(x, splits).value()));
}

TEST(Stack, Gradients) {
  const Stack stack = stack_of(2, block_options(/*cross=*/true)), grouped = stack_of(2, grouped_options());
  const auto splits = splits_of({2, 1}), encoder_splits = splits_of({1, 2});
  const auto tensor = [](std::uint64_t seed) { return rapt_test::normal_tensor<double>({3, kModel}, seed); };
  const auto crossed =
      rapt::gradcheck([&](const std::vector<Variable>& in) { return stack(in[0], splits, in[1], encoder_splits); },
                      {tensor(3), tensor(4)});
  EXPECT_LT(crossed.worst_relative_error, 1e-6);
  const auto causal = rapt::gradcheck(
      [&](const std::vector<Variable>& in) { return grouped(in[0], splits, {.mask = {.causal = true}}); }, {tensor(3)});
  EXPECT_LT(causal.worst_relative_error, 1e-6);
}

/// Prompts, then tokens one by one, against the whole; then hypotheses are dropped and doubled.
template <class State, class Step>
void expect_steps(State state, const Variable& x, const Tensor<double>& whole, const Step& step) {
  const std::vector<std::vector<Index>> steps{{2, 3}, {1, 1}, {1, 2}};
  const auto splits = splits_of({4, 6});
  std::vector<Index> done(2, 0);
  const auto at = [&](Index r) { return splits.begin(r) + done[static_cast<std::size_t>(r)]; };
  for (const auto& lengths : steps) {
    const auto now = splits_of(lengths);
    Tensor<double> part(Shape{now.rows(), kModel}), expected(part.shape());
    EXPECT_EQ(state.lengths(), done);
    for (Index r = 0; r < 2; ++r) {
      const Index count = now.length(r);
      std::copy_n(x.value().row(at(r)), count * kModel, part.row(now.begin(r)));
      std::copy_n(whole.row(at(r)), count * kModel, expected.row(now.begin(r)));
      done[static_cast<std::size_t>(r)] += count;
    }
    EXPECT_LT(rapt_test::relative_error(step(state, Variable(part), now).value(), expected), 1e-12);
    if (lengths == steps[1]) {  // there and back
      state.select(std::vector<Index>{1, 0, 0});
      EXPECT_EQ(state.rows(), 3);
      state.select(std::vector<Index>{2, 0});
    }
  }
}

TEST(Stack, StepsEqualTheWhole) {
  const auto splits = splits_of({4, 6}), encoder_splits = splits_of({3, 2});
  const Variable x = random({10, kModel}, 3), encoder_output = random({5, kModel}, 4);
  for (const BlockOptions& options : {block_options(), grouped_options()}) {
    const Stack stack = stack_of(3, options);
    expect_steps(stack.empty_state(2), x, stack(x, splits, {.mask = {.causal = true}}).value(),
                 [&](auto& state, const Variable& part, const auto& now) { return stack.step(state, part, now); });
  }
  const Stack crossed = stack_of(2, block_options(/*cross=*/true));
  expect_steps(crossed.start(encoder_output, encoder_splits), x,
               crossed(x, splits, encoder_output, encoder_splits).value(),
               [&](auto& state, const Variable& part, const auto& now) { return crossed.step(state, part, now); });
}

TEST(Stack, SegmentsEqualTheWhole) {
  BlockOptions options = block_options();
  options.attention.positions = rapt::RelativePositionEncoding{};
  const Stack stack = stack_of(3, options);
  const rapt::PositionInputs<double> positions{.distances = random({9, kModel}, 5)};
  const Variable x = random({9, kModel}, 3);  // two sequences, of 5 and 4 rows
  const auto rows = [&](std::vector<Index> numbers) {
    Tensor<double> part(Shape{static_cast<Index>(numbers.size()), kModel});
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      std::copy_n(x.value().row(numbers[i]), kModel, part.row(static_cast<Index>(i)));
    }
    return Variable(part);
  };
  const auto nothing = [] {
    rapt::SegmentCache<double> cache{{}, splits_of({0, 0})};
    cache.layers.assign(3, Tensor<double>(Shape{0, kModel}));
    return cache;
  };
  rapt::SegmentCache<double> whole = nothing(), cache = nothing();
  const Tensor<double> all = stack.read_segment(x, splits_of({5, 4}), whole, whole, 9, positions).value();
  EXPECT_EQ(whole.row_splits, splits_of({5, 4}));
  const Tensor<double> first =
      stack.read_segment(rows({0, 1, 2, 5}), splits_of({3, 1}), cache, cache, 9, positions).value();
  const Tensor<double> second =
      stack.read_segment(rows({3, 4, 6, 7, 8}), splits_of({2, 3}), cache, cache, 2, positions).value();
  EXPECT_EQ(cache.row_splits, splits_of({2, 2})) << "no more than two are kept";
  for (Index c = 0; c < kModel; ++c) {
    EXPECT_NEAR(first(2, c), all(2, c), 1e-12);
    EXPECT_NEAR(first(3, c), all(5, c), 1e-12);
    EXPECT_NEAR(second(1, c), all(4, c), 1e-12);
    EXPECT_NEAR(second(4, c), all(8, c), 1e-12);
    EXPECT_NEAR(cache.layers[2](3, c), whole.layers[2](8, c), 1e-12);
  }
}

TEST(Stack, LayersMayShareABlock) {
  rapt::Rng rng(1);
  Stack stack(2, block_options(), /*final_norm=*/false, rng, /*layers_each=*/3);
  rapt_test::randomize(stack, 2);
  const Stack two = stack_of(2, block_options(), false);
  EXPECT_EQ(stack.layers(), 6);
  EXPECT_EQ(rapt::count_parameters(stack), rapt::count_parameters(two));
  const auto splits = splits_of({3, 4});
  const Variable x = random({7, kModel}, 3);
  Variable h = x;
  for (const Index block : {0, 0, 0, 1, 1, 1}) h = two.layer(block)(h, splits, {.mask = {.causal = true}});
  EXPECT_TRUE(rapt_test::same_bits(stack(x, splits, {.mask = {.causal = true}}).value(), h.value()));
  auto state = stack.empty_state(2);
  EXPECT_EQ(state.layers.size(), 6u);
  EXPECT_TRUE(rapt_test::close(stack.step(state, x, splits).value(), h.value(), 1e-12));
}

TEST(Stack, AWindowMayChange) {
  BlockOptions narrow = block_options();
  narrow.attention.window = 1;
  Stack stack = stack_of(2, block_options());
  const Stack expected = stack_of(2, narrow);
  const Variable x = random({6, kModel}, 3);
  EXPECT_FALSE(rapt_test::same_bits(stack(x, splits_of({6})).value(), expected(x, splits_of({6})).value()));
  stack.set_window(1);
  EXPECT_TRUE(rapt_test::same_bits(stack(x, splits_of({6})).value(), expected(x, splits_of({6})).value()));
}

TEST(Stack, NamesWhatDoesNotFit) {
  const Stack stack = stack_of(2, block_options()), crossed = stack_of(2, block_options(/*cross=*/true));
  const Variable x = random({3, kModel}, 3);
  const auto splits = splits_of({3});
  std::vector<Tensor<double>> three(3);
  rapt::SegmentCache<double> other{{}, splits_of({0, 0})}, shallow{{}, splits_of({0})};
  rapt_test::expect_errors(
      {{"no blocks", [] { std::ignore = stack_of(0, block_options()); }, {"[stack] ", "at least one block: 0"}},
       {"weights",
        [&] { std::ignore = stack(x, splits, {.weights = three}); },
        {"[stack] 3 tensors for the weights of 2 layers"}},
       {"cross weights",
        [&] { std::ignore = crossed(x, splits, x, splits, {.cross_weights = three}); },
        {"[stack] 3 tensors for the weights of 2 layers"}},
       {"features", [&] { std::ignore = stack.features(x, splits, 3); }, {"[stack] ", "layer 3 of 2"}},
       {"sequences", [&] { std::ignore = stack.read_segment(x, splits, other, other, 1); }, {"2 sequences for 1"}},
       {"layers", [&] { std::ignore = stack.read_segment(x, splits, shallow, shallow, 1); }, {"0 layers for 2"}},
       {"state",
        [&] {
          rapt::PrefixState<double> none;
          std::ignore = stack.step(none, x, splits);
        },
        {"[stack] a state of 0 layers for 2"}},
       {"decoder's state",
        [&] {
          auto state = crossed.start(x, splits);
          state.encoder_keys_values.pop_back();
          std::ignore = crossed.step(state, x, splits);
        },
        {"[stack] a state of 1 layers for 2"}},
       {"a row",
        [&] {
          auto state = crossed.start(x, splits);
          state.select(std::vector<Index>{1});
        },
        {"[decoder_state] row 1 of 1"}}});
}

}  // namespace
