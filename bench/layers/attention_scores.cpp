/// Footnote 4 of "Attention Is All You Need", measured: with queries and keys of d_k independent normal components, how
/// far the softmax of dot products, of scaled ones and of additive scores saturates, what is left of gradients, and
/// what a pair of query and key costs.
///
///     layers_attention_scores OUTPUT_FOLDER [--quick]        # writes attention_scores.md, largest.svg, gradient.svg
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <rapt/autograd/ops/additive_attention.hpp>
#include <rapt/rapt.hpp>
#include <rapt/visualization/line_chart.hpp>

#include "common.hpp"

namespace {

using namespace layers_bench;
using rapt::Index, rapt::RowSplits, rapt::Shape, rapt::Tensor, rapt::Variable;

constexpr Index kQueries = 256, kKeys = 64, kValueColumns = 64;
constexpr std::array<const char*, 3> kNames{"dot product", "scaled dot product", "additive"};

Variable<float> normal(Shape shape, std::uint64_t seed) {
  Tensor<float> values(shape);
  rapt::Rng(seed).fill_normal(values.values(), 0.0, 1.0);
  return Variable<float>(std::move(values), /*requires_grad=*/true);
}

struct Measurement {
  double deviation = 0;     // standard deviation of the scores of a query
  double largest = 0;       // mean of the largest probability of a query
  double entropy = 0;       // mean entropy of the probabilities over log(keys), 1 for the uniform distribution
  double d_scores = 0;      // mean length of the gradient of a query's scores for an upstream gradient of length 1
  Spread nanoseconds = {};  // forward and backward, a pair
};

/// What attention of the kind computes, with its probabilities [1, 1, queries, keys].
Variable<float> attend(std::size_t kind, const std::vector<Variable<float>>& x, Tensor<float>* weights) {
  const RowSplits queries = RowSplits::equal(1, kQueries), keys = RowSplits::equal(1, kKeys);
  if (kind == 2) return additive_attention(x[0], x[1], x[2], x[3], queries, keys, {}, weights);
  const rapt::AttentionOptions<float> options{.scale = kind == 0 ? 1.0 : 0.0};
  return attention(x[0], x[1], x[2], queries, keys, options, {.weights = weights});
}

/// The score of query i and key j, by its formula in double.
double score(std::size_t kind, const std::vector<Variable<float>>& x, Index i, Index j) {
  const Index d_k = x[0].cols();
  const float *const q = x[0].value().row(i), *const k = x[1].value().row(j), *const v = x[3].value().data();
  double sum = 0;
  for (Index a = 0; a < d_k; ++a) {
    const double query = q[a], key = k[a];
    sum += kind == 2 ? v[a] * std::tanh(query + key) : query * key;
  }
  return kind == 1 ? sum / std::sqrt(static_cast<double>(d_k)) : sum;
}

/// The softmax of a row backward, given the gradient of its probabilities.
double length_of_score_gradient(const float* p, const std::vector<double>& d_p) {
  double mean = 0, square = 0;
  for (Index j = 0; j < kKeys; ++j) mean += p[j] * rapt::at(d_p, j);
  for (Index j = 0; j < kKeys; ++j) {
    const double d = p[j] * (rapt::at(d_p, j) - mean);
    square += d * d;
  }
  return std::sqrt(square);
}

Measurement measure(std::size_t kind, Index d_k, int repetitions) {
  std::vector<Variable<float>> x{normal({kQueries, d_k}, 1), normal({kKeys, d_k}, 2),
                                 normal({kKeys, kValueColumns}, 3)};
  rapt::Rng rng(4);
  x.emplace_back(rapt::init::xavier_uniform<float>(Shape{1, d_k}, rng), true);  // v, as the layer begins with
  Measurement m;
  Tensor<float> weights;
  std::ignore = attend(kind, x, &weights);
  rapt::Rng drawn(5);
  for (Index i = 0; i < kQueries; ++i) {
    const float* const p = weights.row(i);
    double largest = 0, entropy = 0, sum = 0, square = 0, length = 0;
    std::vector<double> d_p(static_cast<std::size_t>(kKeys));
    drawn.fill_normal(std::span<double>(d_p), 0.0, 1.0);
    for (const double d : d_p) length += d * d;
    for (double& d : d_p) d /= std::sqrt(length);
    for (Index j = 0; j < kKeys; ++j) {
      const double probability = p[j], s = score(kind, x, i, j);
      largest = std::max(largest, probability);
      if (probability > 0) entropy -= probability * std::log(probability);
      sum += s, square += s * s;
    }
    constexpr double kCount = static_cast<double>(kKeys);
    m.deviation += std::sqrt(std::max(0.0, square / kCount - sum * sum / (kCount * kCount))) / kQueries;
    m.largest += largest / kQueries;
    m.entropy += entropy / std::log(kCount) / kQueries;
    m.d_scores += length_of_score_gradient(p, d_p) / kQueries;
  }
  const auto step = [&] {
    for (Variable<float>& leaf : x) leaf.clear_grad();
    const rapt::Recording scope;
    rapt::backward(rapt::sum(attend(kind, x, nullptr)));
  };
  step();
  std::vector<double> seconds;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    step();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  for (double& one : seconds) one *= 1e9 / (kQueries * kKeys);
  m.nanoseconds = spread_of(std::move(seconds));
  return m;
}

}  // namespace

int main(int count, char** values) {
  const Arguments arguments = parse_arguments(count, values, "usage: layers_attention_scores OUTPUT_FOLDER [--quick]");
  rapt::set_threads(1);  // few columns cannot be shared out alike: a pair's cost is that of one thread
  Table table({"scores", "d_k", "deviation of a query's scores", "largest probability", "entropy / log n",
               "length of the scores' gradient", "ns a pair, forward and backward, one thread"});
  std::vector<rapt::ChartSeries> largest, gradient;
  for (std::size_t kind = 0; kind < kNames.size(); ++kind) {
    largest.push_back({.name = kNames[kind], .points = {}});
    gradient.push_back({.name = kNames[kind], .points = {}});
    for (Index d_k = 8; d_k <= (arguments.quick ? 32 : 512); d_k *= 2) {
      const Measurement m = measure(kind, d_k, arguments.quick ? 3 : 25);
      table.add({kNames[kind], std::to_string(d_k), number("%.2f", m.deviation), number("%.3f", m.largest),
                 number("%.3f", m.entropy), number("%.4f", m.d_scores), text_of(m.nanoseconds, "%.3g")});
      const double x = std::log2(static_cast<double>(d_k));
      largest.back().points.push_back({x, m.largest});
      gradient.back().points.push_back({x, m.d_scores});
    }
  }
  const std::string text =
      std::to_string(kQueries) + " queries to " + std::to_string(kKeys) +
      " keys, components independent and normal. v of the additive scores is as the layer begins with, " +
      "Xavier-uniform: their figures depend on it.\n\n" + machine("layers_attention_scores", arguments) + "\n" +
      table.text();
  std::fputs(text.c_str(), stdout);
  write_file(arguments.folder / "attention_scores.md", text);
  write_file(
      arguments.folder / "largest.svg",
      rapt::line_chart(
          {.title = "Largest of 64 probabilities, mean over queries", .x_label = "log2 d_k", .y_label = "probability"},
          largest));
  write_file(arguments.folder / "gradient.svg",
             rapt::line_chart({.title = "Length of the scores' gradient behind the softmax",
                               .x_label = "log2 d_k",
                               .y_label = "length",
                               .log_y = true},
                              gradient));
}
