/// Table 1 of "Attention Is All You Need", measured: time and memory of one layer of each type, forward and backward,
/// on one sequence of n tokens and d columns, and the exponents a and b of time ~ n^a d^b.
///
///     layers_complexity OUTPUT_FOLDER [--quick]        # writes complexity.md, time.svg and memory.svg
///
/// What is finished is kept in the folder (complexity.tsv): the same command goes on behind it.
#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <rapt/nn/convolution.hpp>
#include <rapt/nn/recurrent.hpp>
#include <rapt/rapt.hpp>
#include <rapt/visualization/line_chart.hpp>

#include "common.hpp"

namespace {

using namespace layers_bench;
using rapt::Index, rapt::RowSplits, rapt::Shape, rapt::Tensor, rapt::Variable;

constexpr Index kWidth = 3;         // k, rows that a convolution sees
constexpr Index kNeighbours = 32;   // on each side, of restricted self-attention: r = 65
constexpr Index kHeadColumns = 64;  // of a head

/// A layer's forward pass on x [n, d], and all that gradients are found of.
struct Layer {
  std::function<Variable<float>(const Variable<float>&, const RowSplits&)> forward;
  std::function<void()> clear_gradients = [] {};
};

/// Attention of x to itself without projections, as the paper's table counts it.
Layer self_attention(Index d, std::optional<Index> window) {
  const rapt::AttentionOptions<float> options{.heads = std::max<Index>(1, d / kHeadColumns), .window = window};
  return {.forward = [options](const Variable<float>& x, const RowSplits& splits) {
    return rapt::attention(x, x, x, splits, splits, options);
  }};
}
template <class Module, class Call>
Layer layer_of(const std::shared_ptr<Module>& module, const Call& call) {
  return {
      .forward = [module, call](const Variable<float>& x, const RowSplits& splits) { return call(*module, x, splits); },
      .clear_gradients = [module] { clear_gradients(*module); }};
}

struct LayerType {
  std::string name, paper;
  std::function<Layer(Index d)> make;
};

const std::array<LayerType, 5> kTypes{
    LayerType{"self-attention", "O(n^2 d)", [](Index d) { return self_attention(d, {}); }},
    LayerType{
        "self-attention with projections", "O(n^2 d + n d^2)",
        [](Index d) {
          rapt::Rng rng(1);
          const rapt::MultiHeadAttentionOptions options{.d_model = d, .heads = std::max<Index>(1, d / kHeadColumns)};
          return layer_of(std::make_shared<rapt::MultiHeadAttention<float>>(options, rng),
                          [](const auto& layer, const auto& x, const RowSplits& splits) { return layer(x, splits); });
        }},
    LayerType{"recurrent (LSTM)", "O(n d^2)",
              [](Index d) {
                rapt::Rng rng(1);
                return layer_of(
                    std::make_shared<rapt::Lstm<float>>(d, d, rng),
                    [](const auto& layer, const auto& x, const RowSplits& splits) { return layer(x, splits).states; });
              }},
    LayerType{"convolutional (k = 3)", "O(k n d^2)",
              [](Index d) {
                rapt::Rng rng(1);
                return layer_of(
                    std::make_shared<rapt::Convolution<float>>(d, d, rapt::centred_window(kWidth), rng),
                    [](const auto& layer, const auto& x, const RowSplits& splits) { return layer(x, splits); });
              }},
    LayerType{"restricted self-attention (r = 65)", "O(r n d)", [](Index d) { return self_attention(d, kNeighbours); }},
};

struct Measurement {
  Index type = 0, n = 0, d = 0;
  Spread forward = {}, both = {};  // seconds
  double bytes = 0;                // that a forward and backward pass add to x and the layer at their highest
};

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The times of as many runs as take about `budget` seconds, at least three, or one that alone takes longer.
Spread spread_of_seconds(const std::function<void()>& work, double budget) {
  work();  // fills caches and the memory pool
  std::vector<double> seconds{seconds_of(work)};
  double spent = seconds.front();
  while (spent < budget || (seconds.size() < 3 && seconds.front() < budget)) {
    seconds.push_back(seconds_of(work));
    spent += seconds.back();
  }
  return spread_of(std::move(seconds));
}

Measurement measure(Index type, Index n, Index d, double budget) {
  const Layer layer = rapt::at(kTypes, type).make(d);
  Tensor<float> values(Shape{n, d});
  rapt::Rng(1).fill_normal(values.values(), 0.0, 1.0);
  Variable<float> x(std::move(values), /*requires_grad=*/true);
  const RowSplits splits = RowSplits::equal(1, n);
  Measurement result{.type = type, .n = n, .d = d};
  result.forward = spread_of_seconds([&] { std::ignore = layer.forward(x, splits); }, budget);
  const auto step = [&] {
    x.clear_grad();
    layer.clear_gradients();
    const rapt::Recording scope;
    rapt::backward(rapt::sum(layer.forward(x, splits)));
  };
  result.both = spread_of_seconds(step, budget);
  x.clear_grad();
  layer.clear_gradients();
  const std::size_t before = rapt::memory_stats().in_use;
  rapt::reset_peak_memory();
  step();
  result.bytes = static_cast<double>(rapt::memory_stats().peak_in_use - before);
  return result;
}

/// a and b of log y = c + a log n + b log d, by least squares.
struct Exponents {
  double n = 0, d = 0;
};
Exponents fit(const std::vector<Measurement>& points, const std::function<double(const Measurement&)>& y) {
  Eigen::MatrixXd factors(std::ssize(points), 3);
  Eigen::VectorXd logs(std::ssize(points));
  for (Index i = 0; i < std::ssize(points); ++i) {
    const Measurement& m = rapt::at(points, i);
    factors.row(i) << 1.0, std::log(static_cast<double>(m.n)), std::log(static_cast<double>(m.d));
    logs(i) = std::log(y(m));
  }
  const Eigen::Vector3d solution = (factors.transpose() * factors).ldlt().solve(factors.transpose() * logs);
  return {solution(1), solution(2)};
}

std::string report(const std::vector<Measurement>& all, Index longest, const std::string& above) {
  std::string text =
      "One sequence of n tokens and d columns; medians, in brackets the least and the most.\n\n" + above + "\n";
  Table exponents({"layer", "the paper's", "fitted to", "forward", "forward and backward", "memory"});
  for (Index type = 0; type < std::ssize(kTypes); ++type) {
    const Index least = longest / 8;  // where the highest powers prevail
    std::vector<Measurement> points;
    std::copy_if(all.begin(), all.end(), std::back_inserter(points),
                 [&](const Measurement& m) { return m.type == type && m.n >= least; });
    const auto powers = [&](const auto& y) {
      const Exponents e = fit(points, y);
      return "n^" + number("%.2f", e.n) + " d^" + number("%.2f", e.d);
    };
    exponents.add({rapt::at(kTypes, type).name, rapt::at(kTypes, type).paper,
                   "n = " + std::to_string(least) + " .. " + std::to_string(longest),
                   powers([](const Measurement& m) { return m.forward.median; }),
                   powers([](const Measurement& m) { return m.both.median; }),
                   powers([](const Measurement& m) { return m.bytes; })});
  }
  text += exponents.text() + "\n";
  Table times({"layer", "n", "d", "forward, ms", "forward and backward, ms", "memory, MB"});
  for (const Measurement& m : all) {
    times.add({rapt::at(kTypes, m.type).name, std::to_string(m.n), std::to_string(m.d), text_of(m.forward, "%.3g", 1e3),
               text_of(m.both, "%.3g", 1e3), number("%.3g", 1e-6 * m.bytes)});
  }
  return text + times.text();
}

void draw(const std::vector<Measurement>& all, Index d, const std::string& what, const std::filesystem::path& path,
          const std::function<double(const Measurement&)>& y) {
  std::vector<rapt::ChartSeries> series;
  for (Index type = 0; type < std::ssize(kTypes); ++type) {
    series.push_back({.name = rapt::at(kTypes, type).name, .points = {}});
    for (const Measurement& m : all) {
      if (m.type == type && m.d == d) series.back().points.push_back({std::log2(static_cast<double>(m.n)), y(m)});
    }
  }
  write_file(path, rapt::line_chart({.title = what + ", forward and backward, d = " + std::to_string(d),
                                     .x_label = "log2 n",
                                     .y_label = what,
                                     .log_y = true},
                                    series));
}

}  // namespace

int main(int count, char** values) {
  const Arguments arguments = parse_arguments(count, values, "usage: layers_complexity OUTPUT_FOLDER [--quick]");
  const Index longest = arguments.quick ? 512 : 16384, widest = arguments.quick ? 128 : 512;
  Finished finished(arguments, "complexity.tsv");
  std::vector<Measurement> all;
  for (Index type = 0; type < std::ssize(kTypes); ++type) {
    for (Index d = 64; d <= widest; d *= 2) {
      for (Index n = 32; n <= longest; n *= 2) {
        const std::string& name = rapt::at(kTypes, type).name;
        const auto key = name + ", n = " + std::to_string(n) + ", d = " + std::to_string(d);
        const std::vector<double>& v = finished.of(key, [&] {
          const Measurement m = measure(type, n, d, arguments.quick ? 0.01 : 0.3);
          std::fprintf(stderr, "%s: %.3g ms\n", key.c_str(), 1e3 * m.both.median);
          return std::vector{m.forward.median, m.forward.least, m.forward.most, m.both.median,
                             m.both.least,     m.both.most,     m.bytes};
        });
        all.push_back({type, n, d, {v.at(0), v.at(1), v.at(2)}, {v.at(3), v.at(4), v.at(5)}, v.at(6)});
      }
    }
  }
  const std::string text = report(all, longest, machine("layers_complexity", arguments, finished.conditions()));
  std::fputs(text.c_str(), stdout);
  write_file(arguments.folder / "complexity.md", text);
  draw(all, widest, "seconds", arguments.folder / "time.svg", [](const Measurement& m) { return m.both.median; });
  draw(all, widest, "bytes", arguments.folder / "memory.svg", [](const Measurement& m) { return m.bytes; });
}
