/// Learning dependencies over a distance, the reason that section 4 of "Attention Is All You Need" gives for short
/// paths: models of two layers with equal parameters, each trained for the same time on sequences of n tokens, and how
/// often their answer at the last token is right.
///
///     copy      the first of n tokens is a symbol, the others are noise of other symbols: answer the first
///     recall    pairs of a key and a value (all keys differ), a filler, then one of the keys: answer its value
///
/// Each kind of layers is trained at two learning rates, and with further seeds at the one with more right answers.
///
/// Training in recall asks for any of the pairs. Most of these are nearer than n tokens, so the test asks for the first
/// pair alone, whose key stands n - 1 tokens before the question; how often any pair is found stands beside that.
///
///     layers_path_length OUTPUT_FOLDER [--quick] [--seconds S] [--seeds N]   # path_length.md, copy.svg, recall.svg
///
/// What is finished is kept in the folder (path_length.tsv): the same command goes on behind it.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <rapt/nn/convolution.hpp>
#include <rapt/nn/recurrent.hpp>
#include <rapt/rapt.hpp>
#include <rapt/visualization/line_chart.hpp>
#include <variant>

#include "common.hpp"

namespace {

using namespace layers_bench;
using rapt::Index, rapt::RowSplits, rapt::TokenBatch, rapt::TokenId, rapt::Variable;

constexpr Index kColumns = 64, kLayers = 2;
constexpr Index kSymbols = 16;   // answers: ids 0 .. 15
constexpr Index kLongest = 512;  // tokens; recall has keys with ids from kSymbols on
constexpr TokenId kFiller = kSymbols + kLongest / 2;
constexpr Index kVocabulary = kFiller + 1;
constexpr Index kBatchTokens = 2048;
constexpr std::array kRates{1e-3, 3e-3};  // the highest, at the end of the warm-up

enum class Kind { self_attention, restricted, convolution, recurrent };
constexpr std::array kKinds{Kind::self_attention, Kind::restricted, Kind::convolution, Kind::recurrent};
constexpr std::array<const char*, 4> kNames{"self-attention", "restricted self-attention (r = 17)",
                                            "convolutional (k = 3)", "recurrent (LSTM)"};

/// A layer that mixes rows, then a feed-forward network whose width makes up for what the mixing has fewer parameters
/// than 12 d^2, both with pre-norm residuals.
class Block {
 public:
  using Attention = rapt::MultiHeadAttention<float>;
  using Convolution = rapt::Convolution<float>;
  using Lstm = rapt::Lstm<float>;

  Block(Kind kind, rapt::Rng& rng)
      : norm1_(kColumns), norm2_(kColumns), inner_(kColumns, 1, rng), outer_(1, kColumns, rng) {
    Index mixing = 0;
    switch (kind) {
      case Kind::convolution:
        convolution_.emplace(kColumns, kColumns, rapt::centred_window(3), rng);
        mixing = rapt::count_parameters(*convolution_);
        break;
      case Kind::recurrent:
        lstm_.emplace(kColumns, kColumns, rng);
        mixing = rapt::count_parameters(*lstm_);
        break;
      default:
        attention_.emplace(rapt::MultiHeadAttentionOptions{.d_model = kColumns,
                                                           .heads = 4,
                                                           .window = kind == Kind::restricted ? std::optional<Index>(8)
                                                                                              : std::nullopt},
                           rng);
        mixing = rapt::count_parameters(*attention_);
    }
    const Index width = (12 * kColumns * kColumns - mixing) / (2 * kColumns);
    inner_ = rapt::Linear<float>(kColumns, width, rng);
    outer_ = rapt::Linear<float>(width, kColumns, rng);
  }

  [[nodiscard]] Variable<float> operator()(const Variable<float>& x, const RowSplits& splits) const {
    const Variable<float> normed = norm1_(x);
    const Variable<float> mixed = attention_     ? (*attention_)(normed, splits)
                                  : convolution_ ? (*convolution_)(normed, splits)
                                                 : (*lstm_)(normed, splits).states;
    const Variable<float> sum = rapt::add(x, mixed);
    return rapt::add(sum, outer_(inner_(norm2_(sum), rapt::Activation::gelu)));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("attention", self.attention_);
    visitor("convolution", self.convolution_);
    visitor("lstm", self.lstm_);
    visitor("norm1", self.norm1_);
    visitor("norm2", self.norm2_);
    visitor("inner", self.inner_);
    visitor("outer", self.outer_);
  }

 private:
  std::optional<Attention> attention_;
  std::optional<Convolution> convolution_;
  std::optional<Lstm> lstm_;
  rapt::LayerNorm<float> norm1_, norm2_;
  rapt::Linear<float> inner_, outer_;
};

class Model {
 public:
  Model(Kind kind, rapt::Rng& rng)
      : embedding_(kVocabulary, kColumns, rng),
        positions_(kColumns),
        norm_(kColumns),
        output_(kColumns, kSymbols, rng) {
    for (Index i = 0; i < kLayers; ++i) blocks_.emplace_back(kind, rng);
  }

  /// Of the last token of each sequence   // [B, kSymbols]
  [[nodiscard]] Variable<float> operator()(const TokenBatch& batch) const {
    Variable<float> x = positions_(embedding_(batch.tokens), batch.row_splits);
    for (const Block& block : blocks_) x = block(x, batch.row_splits);
    std::vector<std::int32_t> last;
    for (Index s = 0; s < batch.sequences(); ++s)
      last.push_back(static_cast<std::int32_t>(batch.row_splits.end(s) - 1));
    return output_(norm_(rapt::gather_rows<float>(x, last)));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("embedding", self.embedding_);
    visitor("blocks", self.blocks_);
    visitor("norm", self.norm_);
    visitor("output", self.output_);
  }

 private:
  rapt::Embedding<float> embedding_;
  rapt::SinusoidalPositionalEncoding<float> positions_;
  std::vector<Block> blocks_;
  rapt::LayerNorm<float> norm_;
  rapt::Linear<float> output_;
};

struct Questions {
  TokenBatch input;
  std::vector<std::int32_t> answers;
};

/// A number below `count` as an id.
TokenId draw(Index count, rapt::Rng& rng) { return static_cast<TokenId>(rng.below(count)); }

/// Which of the pairs is asked for.
enum class Asked { any, first };

Questions copy_questions(Index n, rapt::Rng& rng, Asked) {
  Questions questions;
  for (Index s = 0; s < std::max<Index>(1, kBatchTokens / n); ++s) {
    std::vector<TokenId> tokens{draw(kSymbols, rng)};
    while (std::ssize(tokens) < n) tokens.push_back(static_cast<TokenId>(kSymbols + draw(kSymbols, rng)));
    questions.input.push_back(tokens);
    questions.answers.push_back(tokens.front());
  }
  return questions;
}

/// Sequences of n tokens, n even.
Questions recall_questions(Index n, rapt::Rng& rng, Asked which) {
  Questions questions;
  const Index pairs = (n - 1) / 2;
  std::vector<TokenId> keys(static_cast<std::size_t>(kLongest / 2));
  for (Index s = 0; s < std::max<Index>(1, kBatchTokens / n); ++s) {
    std::iota(keys.begin(), keys.end(), static_cast<TokenId>(kSymbols));
    std::vector<TokenId> tokens;
    for (Index i = 0; i < pairs; ++i) {  // a random order, as far as it is needed
      std::swap(rapt::at(keys, i), rapt::at(keys, i + static_cast<Index>(draw(std::ssize(keys) - i, rng))));
      tokens.push_back(rapt::at(keys, i));
      tokens.push_back(draw(kSymbols, rng));
    }
    const Index asked = which == Asked::first ? 0 : static_cast<Index>(draw(pairs, rng));
    tokens.push_back(kFiller);
    tokens.push_back(rapt::at(keys, asked));
    questions.input.push_back(tokens);
    questions.answers.push_back(rapt::at(tokens, 2 * asked + 1));
  }
  return questions;
}

template <class Draw>
double accuracy_of(const Model& model, Index n, Asked which, std::uint64_t seed, const Draw& questions_of) {
  rapt::Rng unseen(seed);
  Index right = 0, all = 0;
  while (all < 1000) {
    const Questions questions = questions_of(n, unseen, which);
    const rapt::Tensor<float> logits = model(questions.input).value();
    for (Index s = 0; s < logits.rows(); ++s, ++all) {
      const float* const row = logits.row(s);
      right += std::max_element(row, row + kSymbols) - row == rapt::at(questions.answers, s);
    }
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

struct Outcome {
  double first = 0, any = 0;        // right answers, of 1
  double validation = 0, rate = 0;  // right answers to other questions, by which the learning rate is chosen
  Index steps = 0;
};

template <class Draw>
Outcome train(Kind kind, Index n, double seconds, double peak, std::uint64_t seed, const Draw& questions_of) {
  rapt::Rng rng(seed);
  Model model(kind, rng);
  rapt::Adam<float> adam(model);
  const auto start = std::chrono::steady_clock::now();
  Outcome outcome{.rate = peak};
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / seconds;
  };
  for (double part = 0; part < 1; part = elapsed(), ++outcome.steps) {
    const rapt::Training scope(rng);
    const Questions questions = questions_of(n, rng, Asked::any);
    rapt::backward(rapt::cross_entropy(model(questions.input), questions.answers));
    const double rate = peak * std::min(1.0, static_cast<double>(outcome.steps + 1) / 50) * (1 - part);
    adam.step(rate, rapt::clip_factor(rapt::gradient_norm(model), 1.0));
  }
  outcome.first = accuracy_of(model, n, Asked::first, 1000, questions_of);
  outcome.any = accuracy_of(model, n, Asked::any, 1000, questions_of);
  outcome.validation = accuracy_of(model, n, Asked::any, 2000, questions_of);
  return outcome;
}

/// Trainings of one kind of layers with seeds 1 .. `seeds` at the rate that is better with seed 1; the lower one if
/// both are as good.
template <class Draw>
std::vector<Outcome> train_all(const std::string& name, Kind kind, Index n, double seconds, std::uint64_t seeds,
                               Finished& finished, const Draw& questions_of) {
  const auto one = [&](double rate, std::uint64_t seed) -> Outcome {
    const std::string key = name + ", rate " + number("%g", rate) + ", seed " + std::to_string(seed);
    const std::vector<double>& v = finished.of(key, [&] {
      const Outcome outcome = train(kind, n, seconds, rate, seed, questions_of);
      std::fprintf(stderr, "%s: %.3f\n", key.c_str(), outcome.first);
      return std::vector{outcome.first, outcome.any, outcome.validation, static_cast<double>(outcome.steps)};
    });
    return {
        .first = v.at(0), .any = v.at(1), .validation = v.at(2), .rate = rate, .steps = static_cast<Index>(v.at(3))};
  };
  std::vector<Outcome> outcomes;
  for (const double rate : kRates) {
    const Outcome outcome = one(rate, 1);
    if (outcomes.empty() || outcome.validation > outcomes.front().validation) outcomes = {outcome};
  }
  for (std::uint64_t seed = 2; seed <= seeds; ++seed) outcomes.push_back(one(outcomes.front().rate, seed));
  return outcomes;
}

}  // namespace

int main(int count, char** values) {
  const Arguments arguments =
      parse_arguments(count, values, "usage: layers_path_length OUTPUT_FOLDER [--quick] [--seconds S] [--seeds N]");
  const double seconds = arguments.seconds.value_or(arguments.quick ? 2 : 60);
  const std::uint64_t seeds = arguments.seeds.value_or(arguments.quick ? 1 : 3);
  Finished finished(arguments, "path_length.tsv");
  std::string text =
      "Models of " + std::to_string(kLayers) + " layers and " + std::to_string(kColumns) + " columns, " +
      number("%g", seconds) + " s of training each; chance is 1/16. " +
      (seeds > 1 ? "Medians of " + std::to_string(seeds) + " seeds, in brackets the least and the most."
                 : std::string("One seed.")) +
      " The rate is the better one of " + number("%g", kRates.front()) + " and " + number("%g", kRates.back()) +
      " with the first seed, by questions that are not those of the test." +
      " The learning rate falls with the clock, so that a run repeats its questions, but not its steps.\n\n";
  for (std::size_t k = 0; k < kKinds.size(); ++k) {
    rapt::Rng rng(1);
    text += std::string("- ") + kNames[k] + ": " + std::to_string(rapt::count_parameters(Model(kKinds[k], rng))) +
            " parameters\n";
  }
  std::string tables;
  for (const bool copies : {true, false}) {
    const std::string task = copies ? "copy" : "recall";
    std::vector<std::string> head{"layer (" + task + ")", "n", "rate", "steps", copies ? "right" : "right, first pair"};
    if (!copies) head.push_back("right, any pair");
    Table table(head);
    std::vector<rapt::ChartSeries> series;
    for (std::size_t k = 0; k < kKinds.size(); ++k) {
      series.push_back({.name = kNames[k], .points = {}});
      for (Index n = 16; n <= (arguments.quick ? 32 : kLongest); n *= 2) {
        std::vector<double> first, any, steps;
        const std::vector<Outcome> outcomes =
            train_all(task + ", " + kNames[k] + ", n = " + std::to_string(n), kKinds[k], n, seconds, seeds, finished,
                      copies ? copy_questions : recall_questions);
        for (const Outcome& outcome : outcomes) {
          first.push_back(outcome.first);
          any.push_back(outcome.any);
          steps.push_back(static_cast<double>(outcome.steps));
        }
        std::vector<std::string> row{kNames[k], std::to_string(n), number("%g", outcomes.front().rate),
                                     text_of(spread_of(steps), "%.0f"), text_of(spread_of(first), "%.3f")};
        if (!copies) row.push_back(text_of(spread_of(any), "%.3f"));
        table.add(row);
        series.back().points.push_back({std::log2(static_cast<double>(n)), spread_of(first).median});
        write_file(arguments.folder / "path_length.md",  // of what there is so far, should the run be ended
                   text + "\n" + machine("layers_path_length", arguments, finished.conditions()) + tables + "\n" +
                       table.text());
      }
    }
    tables += "\n" + table.text();
    write_file(
        arguments.folder / (task + ".svg"),
        rapt::line_chart({.title = "Right answers by distance: " + task, .x_label = "log2 n", .y_label = "accuracy"},
                         series));
  }
  text += "\n" + machine("layers_path_length", arguments, finished.conditions()) + tables;
  std::fputs(text.c_str(), stdout);
  write_file(arguments.folder / "path_length.md", text);
}
