/// \file
/// What attention knows of places, as ONNX operators: which keys a query may attend to, positions of tokens, angles of
/// rotary positions, and buckets of offsets.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/nn/positional_encoding.hpp"
#include "rapt/nn/relative_position_bias.hpp"
#include "rapt/nn/rotary.hpp"
#include "rapt/onnx/model_graph.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// The places of L queries among T keys, of which the last L are the queries' own tokens.
struct Places {
  Value queries, keys, past;  ///< L, T and T - L   // [1] each
};

/// The integers begin .. end - 1   // [end - begin] from [1] and [1]
inline Value range(ModelGraph& graph, const Value& begin, const Value& end) {
  const Value axis = graph.integers({0});
  return graph.apply("Range",
                     {graph.apply("Squeeze", {begin, axis}), graph.apply("Squeeze", {end, axis}), graph.integer(1)});
}

/// j - i for key j and query i   // [L, T]
inline Value offsets(ModelGraph& graph, const Places& places) {
  const Value i = graph.apply("Unsqueeze", {range(graph, places.past, places.keys), graph.integers({1})});
  return graph.apply("Sub", {range(graph, graph.integers({0}), places.keys), i});
}

/// Which keys queries may attend to.
struct MaskOptions {
  Value attention_mask = {};         ///< [B, T], 1 for tokens and 0 for padding; undefined: there is no padding
  bool causal = false;               ///< true: a query may attend to keys up to its own place alone
  std::optional<Index> window = {};  ///< keys at most so many positions away; unset: no limit
};

/// What is added to scores: 0 where a query may attend to a key, and the lowest number where it may not, so that a row
/// of padding alone has probabilities that are numbers   // [B, 1, L, T] or [L, T]; undefined: all may
inline Value mask_bias(ModelGraph& graph, const Places& places, const MaskOptions& options) {
  Value allowed;
  const auto also = [&](const Value& condition) {
    allowed = allowed.is_defined() ? graph.apply("And", {allowed, condition}) : condition;
  };
  if (options.causal || options.window) {
    const Value offset = offsets(graph, places);
    if (options.causal) also(graph.apply("LessOrEqual", {offset, graph.integer(0)}));
    if (options.window) {
      also(graph.apply("LessOrEqual", {graph.apply("Abs", {offset}), graph.integer(*options.window)}));
    }
  }
  if (options.attention_mask.is_defined()) {
    const Value is_token =
        graph.apply("Cast", {options.attention_mask}, {{"to", static_cast<std::int64_t>(ElementType::boolean)}});
    also(graph.apply("Unsqueeze", {is_token, graph.integers({1, 2})}));
  }
  if (!allowed.is_defined()) return {};
  return graph.apply("Where", {allowed, graph.number(0), graph.number(std::numeric_limits<float>::lowest())});
}

/// Positions of the last L of T tokens, as transformers' searches count them: without padding, wherever it stands
///   // [B, L] from the attention mask [B, T]
inline Value unpadded_positions(ModelGraph& graph, const Value& attention_mask, const Places& places) {
  const Value counts = graph.apply("CumSum", {attention_mask, graph.integer(1)});
  const Value positions = graph.apply("Max", {graph.apply("Sub", {counts, graph.integer(1)}), graph.integer(0)});
  return graph.apply("Slice", {positions, places.past, graph.integers({std::numeric_limits<std::int64_t>::max()}),
                               graph.integers({1})});
}

/// Integers as real numbers, with a last axis of size 1   // [.., L, 1] from [.., L]
inline Value as_real_column(ModelGraph& graph, const Value& integers) {
  const Value real = graph.apply("Cast", {integers}, {{"to", static_cast<std::int64_t>(ElementType::float32)}});
  return graph.apply("Unsqueeze", {real, graph.integers({-1})});
}

/// Sinusoids of positions, of which the first counts as options.first_position   // [.., L, D] from [.., L]
inline Value sinusoids(ModelGraph& graph, const Value& positions, Index d_model, const SinusoidalOptions& options) {
  std::vector<float> frequencies(to_size(d_model)), cosines(to_size(d_model));  // 1 in the columns of cosines
  for (Index i = 0; i < d_model / 2; ++i) {
    const rapt::detail::SinusoidColumns columns = rapt::detail::sinusoid_columns(i, d_model, options.layout);
    at(frequencies, columns.sine) = at(frequencies, columns.cosine) = static_cast<float>(columns.frequency);
    at(cosines, columns.cosine) = 1;
  }
  const Value shifted = graph.apply("Add", {positions, graph.integer(options.first_position)});
  const Value angles = graph.apply("Mul", {as_real_column(graph, shifted), graph.numbers(frequencies)});
  const Value is_cosine = graph.apply("Greater", {graph.numbers(cosines), graph.number(0.5)});
  return graph.apply("Where", {is_cosine, graph.apply("Cos", {angles}), graph.apply("Sin", {angles})});
}

/// What rotates queries and keys at their positions, where r columns of each head are rotated.
struct RotaryAngles {
  Value cosines, sines;  ///< of the angle of each pair, times rotary_magnitude   // [B, 1, L, r / 2]
};

/// `positions` [B, L] or [1, L]. With dynamic scaling and longrope frequencies depend on the length of each sequence,
/// which the attention mask [B, T] tells.
inline RotaryAngles rotary_angles(ModelGraph& graph, const RotaryOptions& options, Index head_dim,
                                  const Value& positions, const Value& attention_mask) {
  const Index rotated = options.rotated(head_dim), pairs = rotated / 2;
  const auto of_length = [&](Index length) {
    std::vector<float> rounded;
    for (const double exact : rotary_frequencies(options, rotated, length))
      rounded.push_back(static_cast<float>(exact));
    return graph.numbers(rounded);
  };
  const auto lengths = [&] {  // [B, 1, 1, 1]
    const Value tokens = graph.apply("ReduceSum", {attention_mask, graph.integers({1})});
    return graph.apply("Unsqueeze", {as_real_column(graph, tokens), graph.integers({1})});
  };
  Value frequencies = of_length(1);
  if (options.scaling == RotaryScaling::longrope) {
    const Value is_long =
        graph.apply("Greater", {lengths(), graph.number(static_cast<double>(options.original_length()))});
    frequencies = graph.apply("Where", {is_long, of_length(options.original_length() + 1), frequencies});
  }
  if (options.scaling == RotaryScaling::dynamic) {
    // theta grows by max(1, factor * length / max - (factor - 1))^(r / (r - 2)), and frequency i by that to -2 i / r.
    const double factor = options.factor, most = static_cast<double>(options.max_positions);
    std::vector<float> exponents;
    for (Index i = 0; i < pairs; ++i) {
      exponents.push_back(static_cast<float>(-2 * static_cast<double>(i) / static_cast<double>(rotated - 2)));
    }
    const Value growth = graph.apply(
        "Max",
        {graph.apply("Sub", {graph.apply("Mul", {lengths(), graph.number(factor / most)}), graph.number(factor - 1)}),
         graph.number(1)});
    const Value powers = graph.apply("Pow", {growth, graph.numbers(exponents)});
    frequencies = graph.apply("Mul", {frequencies, powers});
  }
  const Value with_heads = graph.apply("Unsqueeze", {positions, graph.integers({1})});
  const Value angles = graph.apply("Mul", {as_real_column(graph, with_heads), frequencies});
  RotaryAngles result{graph.apply("Cos", {angles}), graph.apply("Sin", {angles})};
  if (const double magnitude = rotary_magnitude(options); magnitude != 1) {
    result.cosines = graph.apply("Mul", {result.cosines, graph.number(magnitude)});
    result.sines = graph.apply("Mul", {result.sines, graph.number(magnitude)});
  }
  return result;
}

/// Heads x [B, H, L, d] with their first columns rotated.
inline Value rotate(ModelGraph& graph, const Value& x, const RotaryAngles& angles, const RotaryOptions& options,
                    Index head_dim) {
  const Index rotated = options.rotated(head_dim), pairs = rotated / 2, rest = head_dim - rotated;
  const bool interleaved = options.layout == RotaryLayout::interleaved;
  const Attribute last = {"axis", std::int64_t{-1}};
  std::vector<std::int64_t> to_halves, from_halves(to_size(head_dim));  // columns of pairs (2i, 2i + 1) as two halves
  for (Index i = 0; i < head_dim; ++i) {
    to_halves.push_back(i >= rotated ? i : i < pairs ? 2 * i : 2 * (i - pairs) + 1);
    at(from_halves, to_halves.back()) = i;
  }
  const Value halves = interleaved ? graph.apply("Gather", {x, graph.integers(to_halves)}, {last}) : x;
  std::vector<std::int64_t> sizes = {pairs, pairs};
  if (rest > 0) sizes.push_back(rest);
  const std::vector<Value> parts = graph.apply("Split", {halves, graph.integers(sizes)}, std::ssize(sizes), {last});
  const auto product = [&](const Value& a, const Value& b) { return graph.apply("Mul", {a, b}); };
  std::vector<Value> turned = {
      graph.apply("Sub", {product(parts[0], angles.cosines), product(parts[1], angles.sines)}),
      graph.apply("Add", {product(parts[1], angles.cosines), product(parts[0], angles.sines)})};
  if (rest > 0) turned.push_back(parts[2]);
  const Value joined = graph.apply("Concat", turned, 1, {last}).front();
  return interleaved ? graph.apply("Gather", {joined, graph.integers(from_halves)}, {last}) : joined;
}

/// The bucket of every offset   // [L, T]
/// Offsets are looked up in a list of those up to the largest distance, behind which all share a bucket.
inline Value bucket_numbers(ModelGraph& graph, const Places& places, const RelativeBuckets& buckets) {
  constexpr Index kMost = Index{1} << 20;
  const Index most = buckets.max_distance;
  require(most <= kMost, "onnx", "distances up to ", most, " are too many for a list of their buckets: at most ",
          kMost);
  const std::vector<std::int32_t> narrow = buckets.numbers(most, most);
  const std::vector<std::int64_t> numbers(narrow.begin(), narrow.end());
  const Value list = graph.constant(buckets.bidirectional ? "buckets" : "causal_buckets", {std::ssize(numbers)},
                                    std::span<const std::int64_t>(numbers));
  const Value clamped =
      graph.apply("Max", {graph.apply("Min", {offsets(graph, places), graph.integer(most)}), graph.integer(-most)});
  return graph.apply("Gather", {list, graph.apply("Add", {clamped, graph.integer(most)})});
}

}}}  // namespace rapt::RAPT_ABI::onnx
