/// \file
/// Attention, forward and backward, against the equations in double: every mask, length, head size and instruction set.
// covers: kernels/attention/backward.hpp, kernels/attention/bias.hpp, kernels/attention/problem.hpp
#include "rapt/kernels/attention/forward.hpp"
#include "rapt/kernels/attention/backward.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Index;
using rapt::Shape;
using rapt::Tensor;
using rapt::TensorView;
namespace kernels = rapt::kernels;
using Lengths = std::vector<Index>;

enum class Mask { none, plain, broadcast, per_sequence, per_head, full };  // [Lq, Lk] or [B or 1, H or 1, Lq, Lk]

enum class Bias { none, pairs, offsets, distances };

/// What a case is made of; sizes of queries and keys are given per sequence.
struct Setup {
  const char* name;
  Lengths queries, keys;
  Index heads = 2, head_dim = 5;
  bool causal = false;
  Index window = 0;
  Mask mask = Mask::none, additive = Mask::none;
  bool padding = false;
  float rate = 0;
  Index gap = 0;              // rows of key and value between sequences, as in a cache
  Index key_value_heads = 0;  // 0: as many as heads
  Index value_dim = 0;        // 0: head_dim
  double soft_cap = 0;
  kernels::MaskAlignment alignment = kernels::MaskAlignment::last_key;
  Bias bias = Bias::none;
  Index distances = 40;  // rows of encodings of distances

  [[nodiscard]] Index heads_of_keys() const { return key_value_heads > 0 ? key_value_heads : heads; }
  [[nodiscard]] Index key_width() const { return heads_of_keys() * head_dim; }
  [[nodiscard]] Index d_v() const { return value_dim > 0 ? value_dim : head_dim; }
  [[nodiscard]] Index value_width() const { return heads_of_keys() * d_v(); }
  [[nodiscard]] Index output_width() const { return heads * d_v(); }
};

Index longest(const Lengths& lengths) {
  return lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
}

Shape mask_shape(Mask kind, const Setup& s) {
  const Index rows = longest(s.queries) + 1, cols = longest(s.keys) + 2;  // larger than any sequence
  const auto sequences = static_cast<Index>(s.keys.size());
  switch (kind) {
    case Mask::none:
      return {};
    case Mask::plain:
      return {rows, cols};
    case Mask::broadcast:
      return {1, 1, rows, cols};
    case Mask::per_sequence:
      return {sequences, 1, rows, cols};
    case Mask::per_head:
      return {1, s.heads, rows, cols};
    default:
      return {sequences, s.heads, rows, cols};
  }
}

/// Element (sequence, head, i, j) of a mask's memory.
Index mask_index(const Shape& s, Index sequence, Index head, Index i, Index j) {
  if (s.rank() == 2) return i * s[1] + j;
  return (((s[0] == 1 ? 0 : sequence) * s[1] + (s[1] == 1 ? 0 : head)) * s[2] + i) * s[3] + j;
}

/// Inputs of a case in T: query, key and value are columns of wider matrices (of one, for self-attention).
template <class T>
struct Case {
  Setup setup;
  Index width, total_queries = 0, total_keys = 0;
  std::vector<Index> offsets{0};
  std::vector<kernels::KeyRange> ranges;
  Tensor<T> query_memory, key_memory, d_output, additive;
  Tensor<bool> mask, padding;
  Tensor<T> table, distances, content_bias, position_bias;
  kernels::TableBias<T> table_bias;
  T scale;
  bool self;

  explicit Case(const Setup& s) : setup(s), width(s.heads * s.head_dim) {
    for (const Index length : s.queries) offsets.push_back(total_queries += length);
    for (const Index length : s.keys) {
      ranges.push_back({total_keys, length});
      total_keys += length + s.gap;
    }
    self = s.queries == s.keys && s.gap == 0;
    const Index columns = 2 * width + s.output_width() + 4;
    query_memory = random_tensor<T>(Shape{total_queries, columns}, 1, -2, 2);
    key_memory = random_tensor<T>(Shape{total_keys, columns}, 2, -2, 2);
    d_output = random_tensor<T>(Shape{total_queries, s.output_width()}, 3);
    scale = T(1) / std::sqrt(static_cast<T>(s.head_dim));
    if (s.bias == Bias::pairs || s.bias == Bias::offsets) {
      // Offsets do not reach to all keys behind a query: those that a causal mask does not hide have no bias.
      const Index length = std::max(longest(s.queries), longest(s.keys)) + 1, zero = 2 * length;
      const Index size = s.bias == Bias::pairs ? length * length : zero + 4;
      table = random_tensor<T>(Shape{s.heads, size}, 9, -2, 2);
      table_bias = s.bias == Bias::pairs ? kernels::TableBias<T>::of_pairs(table.data(), length)
                                         : kernels::TableBias<T>::of_offsets(table.data(), size, zero);
    }
    if (s.bias == Bias::distances) {
      distances = random_tensor<T>(Shape{s.distances, width}, 10);
      content_bias = random_tensor<T>(Shape{s.heads, s.head_dim}, 11);
      position_bias = random_tensor<T>(Shape{s.heads, s.head_dim}, 12);
    }
    rapt::Rng rng(4);
    if (s.mask != Mask::none) {
      mask = Tensor<bool>(mask_shape(s.mask, s));
      for (bool& m : mask.values()) m = rng.below(3) == 0;
      for (Index row = 1; row < mask.rows(); row += 5) std::fill_n(mask.row(row), mask.cols(), true);  // sees nothing
    }
    if (s.additive != Mask::none) {
      additive = random_tensor<T>(mask_shape(s.additive, s), 5, -3, 3);
      for (T& m : additive.values()) m = rng.below(5) == 0 ? -std::numeric_limits<T>::infinity() : m;
    }
    if (s.padding) {
      padding = Tensor<bool>(Shape{total_keys});
      for (bool& p : padding.values()) p = rng.below(3) == 0;
      std::fill_n(padding.data() + ranges.back().begin, ranges.back().length, true);  // a sequence of padding only
    }
  }

  [[nodiscard]] TensorView<const T> query() const { return query_memory.view().columns(1, width); }
  [[nodiscard]] TensorView<const T> key() const {
    return (self ? query_memory : key_memory).view().columns(1 + width, setup.key_width());
  }
  [[nodiscard]] TensorView<const T> value() const {
    return (self ? query_memory : key_memory).view().columns(1 + width + setup.key_width(), setup.value_width());
  }
  [[nodiscard]] kernels::AttentionProblem<T> problem() const {
    kernels::AttentionProblem<T> p;
    p.query = query(), p.key = key(), p.value = value();
    p.query_offsets = offsets, p.keys = ranges;
    p.heads = setup.heads, p.key_value_heads = setup.key_value_heads, p.scale = scale, p.causal = setup.causal,
    p.alignment = setup.alignment, p.soft_cap = static_cast<T>(setup.soft_cap);
    if (setup.window > 0) p.window = setup.window;
    if (setup.mask != Mask::none) p.mask = {mask.view()};
    if (setup.additive != Mask::none) p.additive_mask = {additive.view()};
    if (setup.padding) p.key_padding = padding.data();
    p.dropout = {{21, 22}, setup.rate};
    p.table_bias = table_bias;
    if (setup.bias == Bias::distances) {
      p.distance_bias = {distances.view(), content_bias.data(), position_bias.data()};
    }
    return p;
  }

  /// cap(score) of a scaled score, and its derivative.
  [[nodiscard]] double capped(double score) const {
    return setup.soft_cap > 0 ? setup.soft_cap * std::tanh(score / setup.soft_cap) : score;
  }
  [[nodiscard]] double slope(double score) const {
    return setup.soft_cap > 0 ? 1 / std::pow(std::cosh(score / setup.soft_cap), 2) : 1;
  }
  /// The position of query i among the keys of a sequence.
  [[nodiscard]] Index position(Index sequence, Index i) const {
    const auto n = static_cast<std::size_t>(sequence);
    return i + (setup.alignment == kernels::MaskAlignment::last_key ? setup.keys[n] - setup.queries[n] : 0);
  }
  /// Where the table's bias of a position and a key stands, or -1: nowhere.
  [[nodiscard]] Index table_place(Index head, Index at, Index j) const {
    if (table.empty()) return -1;
    const Index size = table.cols(), length = longest_square(size);
    const Index place = setup.bias == Bias::pairs ? at * length + j : j - at + (size - 4);
    return place < 0 || place >= size ? -1 : head * size + place;
  }
  [[nodiscard]] static Index longest_square(Index size) {
    return static_cast<Index>(std::lround(std::floor(std::sqrt(static_cast<double>(size)))));
  }
  /// What masks add to the score of query i and key j of a sequence; -infinity if it may not attend.
  [[nodiscard]] double bias(Index sequence, Index head, Index i, Index j) const {
    constexpr double kBlocked = -std::numeric_limits<double>::infinity();
    const auto n = static_cast<std::size_t>(sequence);
    const Index own = position(sequence, i);
    if (setup.causal && j > own) return kBlocked;
    if (setup.window > 0 && std::abs(j - own) > setup.window) return kBlocked;
    if (setup.mask != Mask::none && mask.data()[mask_index(mask.shape(), sequence, head, i, j)]) return kBlocked;
    if (setup.padding && padding.data()[ranges[n].begin + j]) return kBlocked;
    if (setup.additive == Mask::none) return 0;
    return static_cast<double>(additive.data()[mask_index(additive.shape(), sequence, head, i, j)]);
  }
  /// Dropout factor of key j for a query (counted over all sequences), from the documented words.
  [[nodiscard]] double factor(Index global_query, Index head, Index j) const {
    if (setup.rate <= 0) return 1;
    const auto rate = static_cast<double>(setup.rate);
    const auto e =
        (static_cast<std::uint64_t>(global_query * setup.heads + head) << 20) + static_cast<std::uint64_t>(j);
    const auto word = rapt::RandomStream{21, 22}.block(e / 64 * 16 + e % 16)[e % 64 / 16];
    return static_cast<double>(word) < std::floor(rate * 0x1p32) ? 0 : 1 / (1 - rate);
  }
};

/// What comes out.
template <class T>
struct Results {
  Tensor<T> output, log_sum_exp, weights, d_query, d_key, d_value;
  Tensor<T> d_table, d_distances, d_content_bias, d_position_bias;  // empty without such a bias
  explicit Results(const Case<T>& c)
      : output(Shape{c.total_queries, c.setup.output_width()}, T(7)),
        log_sum_exp(Shape{c.total_queries, c.setup.heads}, T(7)),
        weights(
            Shape{static_cast<Index>(c.ranges.size()), c.setup.heads, longest(c.setup.queries), longest(c.setup.keys)},
            T(0)),
        d_query(random_tensor<T>(Shape{c.total_queries, c.width}, 6)),
        d_key(random_tensor<T>(Shape{c.total_keys, c.setup.key_width()}, 7)),
        d_value(random_tensor<T>(Shape{c.total_keys, c.setup.value_width()}, 8)),
        d_table(c.table),
        d_distances(c.distances),
        d_content_bias(c.content_bias),
        d_position_bias(c.position_bias) {}

  [[nodiscard]] kernels::AttentionGradients<T> gradients() {
    return {.query = {d_query},
            .key = {d_key},
            .value = {d_value},
            .table_bias = d_table.empty() ? nullptr : d_table.data(),
            .distances = d_distances.view(),
            .content_bias = d_content_bias.data(),
            .position_bias = d_position_bias.data()};
  }
};

template <class T>
Results<T> compute(const Case<T>& c) {
  Results<T> r(c);
  kernels::attention<T>(c.problem(), r.output, r.log_sum_exp.data(), {.weights = &r.weights});
  kernels::attention_backward<T>(c.problem(), r.log_sum_exp.data(), r.output, c.d_output, r.gradients());
  return r;
}

/// The equations, one query at a time, in double. Gradients are added to what compute() starts from.
template <class T>
struct Naive {
  Tensor<double> output, log_sum_exp, weights, d_query, d_key, d_value;
  Tensor<double> d_table, d_distances, d_content_bias, d_position_bias;
  Tensor<double> scaled, capped, masked;  // scores

  explicit Naive(const Case<T>& c) {
    const Results<T> start(c);
    output = Tensor<double>(start.output.shape(), 0.0);
    log_sum_exp = Tensor<double>(start.log_sum_exp.shape(), std::numeric_limits<double>::infinity());
    weights = to_double(start.weights);
    scaled = capped = weights;
    masked = Tensor<double>(weights.shape(), -std::numeric_limits<double>::infinity());
    d_query = to_double(start.d_query), d_key = to_double(start.d_key), d_value = to_double(start.d_value);
    d_table = to_double(start.d_table), d_distances = to_double(start.d_distances);
    d_content_bias = to_double(start.d_content_bias), d_position_bias = to_double(start.d_position_bias);
    for (Index n = 0; n < static_cast<Index>(c.ranges.size()); ++n) {
      const Index first = c.offsets[static_cast<std::size_t>(n)];
      const Index queries = c.setup.queries[static_cast<std::size_t>(n)];
      for (Index head = 0; head < c.setup.heads; ++head) {
        for (Index i = 0; i < queries; ++i) attend(c, n, head, first, i);
      }
    }
  }

 private:
  void attend(const Case<T>& c, Index n, Index head, Index first, Index i) {
    const auto [begin, length] = c.ranges[static_cast<std::size_t>(n)];
    const Index d_k = c.setup.head_dim, d_v = c.setup.d_v(), row = first + i, column = head * d_k;
    const Index key_head = head / (c.setup.heads / c.setup.heads_of_keys());
    const Index key_column = key_head * d_k, value_column = key_head * d_v, output_column = head * d_v;
    const auto scale = static_cast<double>(c.scale);
    const auto at = [&](const TensorView<const T>& m, Index r, Index k) { return static_cast<double>(m.row(r)[k]); };
    const Shape& s = weights.shape();
    const Index first_pair = ((n * s[1] + head) * s[2] + i) * s[3];
    const Index own = c.position(n, i);
    const bool by_distance = c.setup.bias == Bias::distances;
    std::vector<double> p, d_p;
    double highest = -std::numeric_limits<double>::infinity(), sum = 0, delta = 0;
    for (Index j = 0; j < length; ++j) {
      double score = 0;
      for (Index k = 0; k < d_k; ++k) score += at(c.query(), row, column + k) * at(c.key(), begin + j, key_column + k);
      const Index distance = own - j, r = std::min(distance, c.setup.distances - 1);
      for (Index k = 0; k < d_k && by_distance; ++k) {
        score += double{c.content_bias(head, k)} * at(c.key(), begin + j, key_column + k);
        if (distance < 0) continue;
        score +=
            (at(c.query(), row, column + k) + double{c.position_bias(head, k)}) * double{c.distances(r, column + k)};
      }
      score *= scale;
      if (const Index place = c.table_place(head, own, j); place >= 0) score += double{c.table.data()[place]};
      p.push_back(c.capped(score) + c.bias(n, head, i, j));
      scaled.data()[first_pair + j] = score;
      capped.data()[first_pair + j] = c.capped(score);
      masked.data()[first_pair + j] = p.back();
      highest = std::max(highest, p.back());
    }
    if (std::isinf(highest)) return;  // sees nothing: zeros
    for (double& value : p) sum += value = std::exp(value - highest);
    log_sum_exp(row, head) = highest + std::log(sum);
    for (Index j = 0; j < length; ++j) {
      const double weight = p[static_cast<std::size_t>(j)] /= sum, factor = c.factor(row, head, j);
      weights.data()[first_pair + j] = weight;
      double d = 0;
      for (Index k = 0; k < d_v; ++k) {
        const double value = at(c.value(), begin + j, value_column + k);
        const auto upstream = static_cast<double>(c.d_output(row, output_column + k));
        output(row, output_column + k) += weight * factor * value;
        d_value(begin + j, value_column + k) += weight * factor * upstream;
        d += factor * upstream * value;
      }
      d_p.push_back(d);
      delta += weight * d;
    }
    for (Index j = 0; j < length; ++j) {
      const auto at_j = static_cast<std::size_t>(j);
      const double d_scaled = p[at_j] * (d_p[at_j] - delta) * c.slope(scaled.data()[first_pair + j]);
      const double d_score = d_scaled * scale;
      if (const Index place = c.table_place(head, own, j); place >= 0) d_table.data()[place] += d_scaled;
      const Index r = std::min(own - j, c.setup.distances - 1);
      for (Index k = 0; k < d_k && by_distance && r >= 0; ++k) {
        const auto u = double{c.content_bias(head, k)}, w = double{c.position_bias(head, k)};
        const auto encoding = double{c.distances(r, column + k)};
        d_content_bias(head, k) += d_score * at(c.key(), begin + j, key_column + k);
        d_position_bias(head, k) += d_score * encoding;
        d_distances(r, column + k) += d_score * (at(c.query(), row, column + k) + w);
        d_query(row, column + k) += d_score * encoding;
        d_key(begin + j, key_column + k) += d_score * u;
      }
      for (Index k = 0; k < d_k; ++k) {
        d_query(row, column + k) += d_score * at(c.key(), begin + j, key_column + k);
        d_key(begin + j, key_column + k) += d_score * at(c.query(), row, column + k);
      }
    }
  }
};

template <class T>
void check(const Setup& setup) {
  const testing::ScopedTrace trace(__FILE__, __LINE__, setup.name);
  const Case<T> c(setup);
  const Naive<T> naive(c);
  const double tolerance = 100 * kEpsilon<T>;
  for_every_simd_level([&] {
    const Results<T> r = compute(c);
    expect_close(r.output, naive.output, tolerance);
    expect_close(r.log_sum_exp, naive.log_sum_exp, tolerance);
    expect_close(r.weights, naive.weights, tolerance);
    expect_close(r.d_query, naive.d_query, tolerance);
    expect_close(r.d_key, naive.d_key, tolerance);
    expect_close(r.d_value, naive.d_value, tolerance);
    expect_close(r.d_table, naive.d_table, tolerance);
    expect_close(r.d_distances, naive.d_distances, tolerance);
    expect_close(r.d_content_bias, naive.d_content_bias, tolerance);
    expect_close(r.d_position_bias, naive.d_position_bias, tolerance);
  });
}

/// The scores of a case at a stage, from the kernel that wants no log-sum-exp.
template <class T>
Tensor<T> scores_of(const Case<T>& c, kernels::ScoreStage stage) {
  Results<T> r(c);
  const bool masked = stage == kernels::ScoreStage::masked;
  Tensor<T> scores(r.weights.shape(), masked ? -std::numeric_limits<T>::infinity() : T(0));
  kernels::attention<T>(c.problem(), r.output, nullptr, {.scores = &scores, .stage = stage});
  return scores;
}

template <class T>
void check_scores(const Setup& setup) {
  const testing::ScopedTrace trace(__FILE__, __LINE__, setup.name);
  const Case<T> c(setup);
  const Naive<T> naive(c);
  using Stage = kernels::ScoreStage;
  for_every_simd_level([&] {
    expect_close(scores_of(c, Stage::scaled), naive.scaled, 100 * kEpsilon<T>);
    expect_close(scores_of(c, Stage::capped), naive.capped, 100 * kEpsilon<T>);
    expect_close(scores_of(c, Stage::masked), naive.masked, 100 * kEpsilon<T>);
  });
}

const Lengths kUneven{1, 31, 0, 32, 33, 65, 130};

template <class T>
class AttentionKernel : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(AttentionKernel, Scalars);

TYPED_TEST(AttentionKernel, SelfAttentionOfUnevenLengths) {
  check<TypeParam>({"self", kUneven, kUneven});
  check<TypeParam>({.name = "causal", .queries = kUneven, .keys = kUneven, .causal = true});
  for (const Index window : {1, 7, 40}) {
    check<TypeParam>({.name = "window", .queries = kUneven, .keys = kUneven, .window = window});
    check<TypeParam>({.name = "causal window", .queries = kUneven, .keys = kUneven, .causal = true, .window = window});
  }
}

TYPED_TEST(AttentionKernel, CrossAttentionOfDifferentLengths) {
  const Lengths queries{3, 0, 40, 1, 5, 33}, keys{70, 4, 3, 0, 5, 32};  // also no queries, no keys, fewer keys
  check<TypeParam>({"cross", queries, keys});
  check<TypeParam>({.name = "causal", .queries = queries, .keys = keys, .causal = true});
  check<TypeParam>({.name = "window", .queries = queries, .keys = keys, .window = 3});
  check<TypeParam>({.name = "gaps", .queries = queries, .keys = keys, .gap = 9});
  check<TypeParam>(
      {.name = "gaps, padding", .queries = queries, .keys = keys, .causal = true, .padding = true, .gap = 2});
}

/// Both alignments, with more and with fewer queries than keys, and with tiles of keys that nobody sees.
TYPED_TEST(AttentionKernel, MasksThatCountFromTheFirstKey) {
  const Lengths queries{3, 0, 40, 1, 5, 33, 2}, keys{70, 4, 3, 0, 5, 32, 600};
  for (const auto alignment : {kernels::MaskAlignment::first_key, kernels::MaskAlignment::last_key}) {
    Setup s{.name = "causal", .queries = queries, .keys = keys, .causal = true};
    s.alignment = alignment;
    check<TypeParam>(s);
    s.name = "causal window", s.window = 7;
    check<TypeParam>(s);
    s.name = "window, shared keys, gaps", s.causal = false, s.heads = 4, s.key_value_heads = 2, s.gap = 3;
    check<TypeParam>(s);
    s.name = "all at once", s.causal = true, s.window = 30, s.rate = 0.2f, s.padding = true;
    s.mask = Mask::full, s.additive = Mask::per_head;
    check<TypeParam>(s);
  }
  check<TypeParam>({.name = "one length: both are the same",
                    .queries = kUneven,
                    .keys = kUneven,
                    .causal = true,
                    .alignment = kernels::MaskAlignment::first_key});
}

TYPED_TEST(AttentionKernel, ValuesOfAnotherWidth) {
  const Lengths lengths{1, 31, 0, 33};
  for (const Index value_dim : {1, 3, 16, 33, 70}) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, std::to_string(value_dim));
    Setup s{.name = "self", .queries = lengths, .keys = lengths};
    s.value_dim = value_dim;
    check<TypeParam>(s);
    s.name = "shared keys, causal, dropout", s.heads = 6, s.key_value_heads = 2, s.causal = true, s.rate = 0.2f;
    check<TypeParam>(s);
    s.name = "cross, masks", s.queries = {3, 0, 40, 1}, s.keys = {300, 4, 3, 0}, s.gap = 5, s.padding = true;
    s.mask = Mask::full;
    check<TypeParam>(s);
  }
  check<TypeParam>({.name = "wide keys", .queries = {33}, .keys = {300}, .head_dim = 64, .value_dim = 5});
}

TYPED_TEST(AttentionKernel, SoftCap) {
  for (const double cap : {0.3, 2.0, 50.0, 1e4}) {  // from nearly flat to nearly without effect
    const testing::ScopedTrace trace(__FILE__, __LINE__, std::to_string(cap));
    Setup s{.name = "self", .queries = {1, 65, 0, 33}, .keys = {1, 65, 0, 33}};
    s.soft_cap = cap;
    check<TypeParam>(s);
    s.name = "shared keys, causal, dropout, other values", s.heads = 6, s.key_value_heads = 2, s.causal = true,
    s.rate = 0.2f;
    s.value_dim = 9;
    check<TypeParam>(s);
    s.name = "masks", s.queries = {31, 0, 5, 65}, s.keys = {20, 3, 5, 266}, s.window = 30, s.padding = true;
    s.mask = Mask::full, s.additive = Mask::per_head, s.alignment = kernels::MaskAlignment::first_key;
    check<TypeParam>(s);
  }
}

TYPED_TEST(AttentionKernel, Scores) {
  const Lengths queries{3, 0, 40, 1, 33}, keys{270, 4, 3, 0, 32};
  check_scores<TypeParam>({.name = "plain", .queries = queries, .keys = keys});
  Setup s{.name = "capped, causal", .queries = queries, .keys = keys, .heads = 4, .causal = true, .key_value_heads = 2};
  s.soft_cap = 1.5, s.value_dim = 7;
  check_scores<TypeParam>(s);
  s.name = "masks", s.window = 20, s.mask = Mask::full, s.additive = Mask::per_head, s.padding = true, s.rate = 0.2f;
  s.gap = 2;
  check_scores<TypeParam>(s);
  s.alignment = kernels::MaskAlignment::first_key;
  check_scores<TypeParam>(s);
}

/// Biases by themselves and with all the rest: lengths that differ, alignments, windows, masks, a soft cap, heads that
/// share keys, values of another width, dropout, more sequences than parts of a gradient.
TYPED_TEST(AttentionKernel, Biases) {
  for (const Bias bias : {Bias::pairs, Bias::offsets, Bias::distances}) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, std::to_string(static_cast<int>(bias)));
    Setup s{.name = "self", .queries = kUneven, .keys = kUneven};
    s.bias = bias, s.causal = bias == Bias::distances;
    check<TypeParam>(s);
    s.name = "one distance", s.distances = 1;
    check<TypeParam>(s);
    s.name = "long, causal window, all distances", s.distances = 1100, s.causal = true, s.window = 70;
    s.queries = {40, 1}, s.keys = {1050, 90};
    check<TypeParam>(s);
    s.name = "cross, causal", s.distances = 40, s.window = 0;
    s.queries = {3, 0, 40, 1, 33}, s.keys = {70, 4, 40, 5, 32}, s.gap = 3;
    for (const auto alignment : {kernels::MaskAlignment::last_key, kernels::MaskAlignment::first_key}) {
      s.alignment = alignment;
      check<TypeParam>(s);
    }
    s.name = "shared keys, other values, soft cap, masks, dropout", s.heads = 4, s.key_value_heads = 2, s.value_dim = 9;
    s.soft_cap = 2, s.window = 30, s.rate = 0.2f, s.padding = true, s.mask = Mask::full, s.additive = Mask::per_head;
    check<TypeParam>(s);
    check_scores<TypeParam>(s);
    check<TypeParam>(
        {.name = "many sequences", .queries = Lengths(37, 2), .keys = Lengths(37, 5), .causal = true, .bias = bias});
  }
}

TYPED_TEST(AttentionKernel, HeadsOfAllSizes) {
  for (const Index heads : {1, 2, 3, 4}) {
    for (const Index head_dim : {1, 5, 32, 64}) {
      const Setup setup{.name = "heads", .queries = {1, 33}, .keys = {1, 33}, .heads = heads, .head_dim = head_dim};
      const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(Shape{heads, head_dim}));
      check<TypeParam>(setup);
    }
  }
}

TYPED_TEST(AttentionKernel, HeadsThatShareKeys) {
  for (const auto& [heads, key_value_heads] : {std::pair<Index, Index>{4, 1}, {6, 2}, {6, 3}, {3, 3}}) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, to_string(Shape{heads, key_value_heads}));
    Setup s{.name = "shared", .queries = kUneven, .keys = kUneven, .heads = heads};
    s.key_value_heads = key_value_heads;
    check<TypeParam>(s);
    s.name = "shared, causal window, masks", s.causal = true, s.window = 30;
    s.mask = Mask::full, s.additive = Mask::per_head, s.rate = 0.2f;
    check<TypeParam>(s);
    s = {.name = "shared, cross", .queries = {3, 0, 40, 1}, .keys = {70, 4, 3, 0}, .heads = heads};
    s.key_value_heads = key_value_heads, s.causal = true, s.gap = 5, s.padding = true;
    check<TypeParam>(s);
  }
}

/// As if each query head had keys and values of its own, bit for bit; also where there are so many sequences that parts
/// are cut in another way.
TYPED_TEST(AttentionKernel, SharedKeysAreAsGoodAsRepeatedOnes) {
  using T = TypeParam;
  for (const Lengths& lengths : {Lengths{40}, Lengths(17, 9)}) {
    for_every_thread_count([&] {
      Setup s{.name = "shared", .queries = lengths, .keys = lengths, .heads = 6, .causal = true};
      s.key_value_heads = 2;
      const Case<T> shared(s);
      s.key_value_heads = 0;
      Case<T> repeated(s);
      for (Index i = 0; i < shared.total_queries; ++i) {
        const auto copy = [&](const TensorView<const T>& from, Index column) {
          for (Index h = 0; h < 6; ++h) {
            std::copy_n(from.row(i) + h / 3 * s.head_dim, s.head_dim,
                        repeated.query_memory.row(i) + column + h * s.head_dim);
          }
        };
        copy(shared.key(), 1 + shared.width);
        copy(shared.value(), 1 + 2 * shared.width);
      }
      const Results<T> a = compute(shared), b = compute(repeated);
      EXPECT_TRUE(same_bits(a.output, b.output));
      EXPECT_TRUE(same_bits(a.log_sum_exp, b.log_sum_exp));
      EXPECT_TRUE(same_bits(a.weights, b.weights));
      EXPECT_TRUE(same_bits(a.d_query, b.d_query));
    });
  }
}

TYPED_TEST(AttentionKernel, Masks) {
  const Lengths queries{31, 0, 5, 65}, keys{20, 3, 5, 66};
  for (const Mask kind : {Mask::plain, Mask::broadcast, Mask::per_sequence, Mask::per_head, Mask::full}) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, std::to_string(static_cast<int>(kind)));
    check<TypeParam>({.name = "boolean", .queries = queries, .keys = keys, .mask = kind});
    check<TypeParam>({.name = "additive", .queries = queries, .keys = keys, .additive = kind});
  }
  check<TypeParam>({.name = "padding", .queries = queries, .keys = keys, .padding = true});
  check<TypeParam>({.name = "all at once",
                    .queries = kUneven,
                    .keys = kUneven,
                    .causal = true,
                    .window = 30,
                    .mask = Mask::full,
                    .additive = Mask::per_head,
                    .padding = true,
                    .rate = 0.2f});
}

TYPED_TEST(AttentionKernel, Dropout) {
  for (const float rate : {0.1f, 0.7f}) {
    check<TypeParam>({.name = "dropout", .queries = kUneven, .keys = kUneven, .rate = rate});
    check<TypeParam>({.name = "dropout, causal", .queries = kUneven, .keys = kUneven, .causal = true, .rate = rate});
    check<TypeParam>({.name = "dropout, cross", .queries = {3, 40}, .keys = {70, 2}, .heads = 3, .rate = rate});
  }
}

TYPED_TEST(AttentionKernel, NothingAtAll) {
  check<TypeParam>({"no sequences", {}, {}});
  check<TypeParam>({"empty sequences", {0, 0}, {0, 0}});
  check<TypeParam>({"no keys anywhere", {3, 40}, {0, 0}});
}

TYPED_TEST(AttentionKernel, QueryThatSeesNothingGivesZerosExactly) {
  using T = TypeParam;
  Case<T> c({.name = "blocked", .queries = {40}, .keys = {40}, .mask = Mask::plain});
  std::fill_n(c.mask.data(), c.mask.size(), true);
  for_every_simd_level([&] {
    const Results<T> start(c), r = compute(c);
    for (const T x : r.output.values()) EXPECT_EQ(x, T(0));
    EXPECT_TRUE(same_bits(r.d_query, start.d_query));
    EXPECT_TRUE(same_bits(r.d_key, start.d_key));
    EXPECT_TRUE(same_bits(r.d_value, start.d_value));
  });
}

TYPED_TEST(AttentionKernel, GradientsThatAreNotWantedAreLeftOut) {
  using T = TypeParam;
  const Case<T> c({.name = "some", .queries = kUneven, .keys = kUneven, .causal = true, .rate = 0.1f});
  const Results<T> all = compute(c);
  for (int wanted = 0; wanted < 8; ++wanted) {
    Results<T> r(c);
    const auto view = [&](int bit, Tensor<T>& m) { return (wanted & bit) != 0 ? m.view() : TensorView<T>(); };
    kernels::attention<T>(c.problem(), r.output, r.log_sum_exp.data());
    EXPECT_TRUE(same_bits(r.output, all.output));
    kernels::attention_backward<T>(
        c.problem(), r.log_sum_exp.data(), r.output, c.d_output,
        {.query = {view(1, r.d_query)}, .key = {view(2, r.d_key)}, .value = {view(4, r.d_value)}});
    const Results<T> start(c);
    EXPECT_TRUE(same_bits(r.d_query, (wanted & 1) != 0 ? all.d_query : start.d_query)) << wanted;
    EXPECT_TRUE(same_bits(r.d_key, (wanted & 2) != 0 ? all.d_key : start.d_key)) << wanted;
    EXPECT_TRUE(same_bits(r.d_value, (wanted & 4) != 0 ? all.d_value : start.d_value)) << wanted;
  }
}

TYPED_TEST(AttentionKernel, GradientsAreWrittenWholeUnlessTheyAreToBeAddedTo) {
  using T = TypeParam;
  for (const Setup& setup :
       {Setup{.name = "self", .queries = kUneven, .keys = kUneven, .causal = true},
        Setup{.name = "none seen", .queries = {3, 0, 5}, .keys = {0, 4, 300}, .causal = true},
        Setup{.name = "from the first key, other values",
        .queries = {3, 40, 0, 300},
        .keys = {700, 3, 4, 20},
        .causal = true,
        .window = 9,
        .value_dim = 8,
        .soft_cap = 3,
        .alignment = kernels::MaskAlignment::first_key},
        Setup{.name = "shared", .queries = kUneven, .keys = kUneven, .heads = 4, .causal = true, .key_value_heads = 2},
        Setup{.name = "shared, none seen",
        .queries = {3, 0, 5},
        .keys = {0, 4, 300},
        .heads = 4,
        .causal = true,
        .key_value_heads = 1}}) {
    const Case<T> c(setup);
    Results<T> added(c), written(c);
    for (Tensor<T>* gradient : {&added.d_query, &added.d_key, &added.d_value}) gradient->fill(T(0));
    kernels::attention<T>(c.problem(), added.output, added.log_sum_exp.data());
    kernels::attention_backward<T>(c.problem(), added.log_sum_exp.data(), added.output, c.d_output,
                                   {.query = {added.d_query}, .key = {added.d_key}, .value = {added.d_value}});
    kernels::attention_backward<T>(
        c.problem(), added.log_sum_exp.data(), added.output, c.d_output,
        {.query = {written.d_query, false}, .key = {written.d_key, false}, .value = {written.d_value, false}});
    EXPECT_TRUE(same_bits(written.d_query, added.d_query)) << setup.name;
    EXPECT_TRUE(same_bits(written.d_key, added.d_key)) << setup.name;
    EXPECT_TRUE(same_bits(written.d_value, added.d_value)) << setup.name;
  }
}

TYPED_TEST(AttentionKernel, LargeScoresDoNotOverflow) {
  using T = TypeParam;
  Case<T> c({"large", {33}, {33}});
  c.scale = T(1000);
  const Naive<T> naive(c);
  for_every_simd_level([&] {
    const Results<T> r = compute(c);
    for (const T x : r.d_query.values()) EXPECT_TRUE(std::isfinite(x));
    expect_close(r.output, naive.output, sizeof(T) == 4 ? 0.01 : 1e-10);  // scores of thousands: few digits are left
  });
}

TYPED_TEST(AttentionKernel, IsTheSameOnAnyThreads) {
  using T = TypeParam;
  for (const Index key_value_heads : {3, 1}) {
    const Case<T> c({.name = "threads",
                     .queries = kUneven,
                     .keys = kUneven,
                     .heads = 3,
                     .causal = true,
                     .rate = 0.1f,
                     .key_value_heads = key_value_heads});
    Setup other{.name = "options", .queries = {3, 40, 0, 300, 65}, .keys = {700, 3, 4, 20, 65}, .heads = 3};
    other.causal = true, other.key_value_heads = key_value_heads, other.value_dim = 9, other.soft_cap = 2;
    other.alignment = kernels::MaskAlignment::first_key;
    const Case<T> options(other);
    for (const auto member : {&Results<T>::output, &Results<T>::log_sum_exp, &Results<T>::weights, &Results<T>::d_query,
                              &Results<T>::d_key, &Results<T>::d_value}) {
      expect_same_bits_on_any_threads([&] { return compute(c).*member; });
      expect_same_bits_on_any_threads([&] { return compute(options).*member; });
    }
    other.bias = Bias::offsets;
    const Case<T> table(other);
    other.bias = Bias::distances;
    const Case<T> distances(other);
    for (const auto member : {&Results<T>::output, &Results<T>::d_query, &Results<T>::d_key, &Results<T>::d_table,
                              &Results<T>::d_distances, &Results<T>::d_content_bias, &Results<T>::d_position_bias}) {
      expect_same_bits_on_any_threads([&] { return compute(table).*member; });
      expect_same_bits_on_any_threads([&] { return compute(distances).*member; });
    }
    expect_same_bits_on_any_threads([&] { return scores_of(options, kernels::ScoreStage::capped); });
  }
}

}  // namespace
