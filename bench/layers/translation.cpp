/// Translation before and with the Transformer: an LSTM encoder-decoder with and without attention and a Transformer of
/// as many parameters, each trained for the same time on Multi30k, English to German; BLEU of the test set in all and
/// by the length of the source sentence.
///
///     layers_translation OUTPUT_FOLDER --data FOLDER [--quick] [--seconds S] [--seeds N]
///
/// writes translation.md and translation.svg. FOLDER holds train, val and test_2016_flickr as
/// examples/translate/multi30k.sh takes them: train.lc.norm.tok.en and so on. Each model is trained for S seconds at
/// each of two learning rates, and at the one with the lower validation loss with N - 1 other seeds. What is finished
/// is kept in the output folder (translation.tsv and the translations): the same command goes on behind it.
#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/models/recurrent_translator.hpp>
#include <rapt/pipelines/translator.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/bleu.hpp>
#include <rapt/text/bpe.hpp>
#include <rapt/text/significance.hpp>
#include <rapt/visualization/line_chart.hpp>

#include "common.hpp"

namespace {

using namespace layers_bench;
using rapt::Index, rapt::ParallelCorpus, rapt::RecurrentTranslatorConfig, rapt::TextEncoding, rapt::TransformerConfig;

constexpr Index kSubwords = 10000, kBatchTokens = 2048, kWarmup = 400, kValidateEvery = 100;
constexpr std::array kRates{1e-3, 3e-3};                  // the highest, at the end of the warm-up
constexpr std::array<Index, 5> kMostWords{8, 11, 14, 19,  // of a group's sources
                                          std::numeric_limits<Index>::max()};

struct Task {
  std::vector<rapt::TokenPair> training, validation;
  ParallelCorpus test;
  TextEncoding text;
  double seconds = 0;
};

ParallelCorpus read(const std::filesystem::path& folder, const std::string& name, Index most) {
  const std::string stem = name + ".lc.norm.tok.";
  ParallelCorpus corpus = ParallelCorpus::read(folder / (stem + "en"), folder / (stem + "de"));
  const auto count = static_cast<std::size_t>(std::min(most, corpus.size()));
  corpus.source.resize(count);
  corpus.target.resize(count);
  return corpus;
}

Task read_task(const std::filesystem::path& folder, bool quick, double seconds) {
  const Index most = quick ? 1000 : std::numeric_limits<Index>::max();
  const ParallelCorpus training = read(folder, "train", most), validation = read(folder, "val", quick ? 50 : most);
  std::vector<std::string> lines = training.source;
  lines.insert(lines.end(), training.target.begin(), training.target.end());
  Task task{.training = {},
            .validation = {},
            .test = read(folder, "test_2016_flickr", quick ? 50 : most),
            .text = {rapt::BytePairEncoding::learn(lines, {.vocabulary_size = quick ? 1000 : kSubwords})},
            .seconds = seconds};
  const auto encode = [&](const ParallelCorpus& corpus) {
    std::vector<rapt::TokenPair> pairs;
    for (std::size_t i = 0; i < corpus.source.size(); ++i) {
      pairs.push_back({task.text.encode(corpus.source[i]), task.text.encode(corpus.target[i])});
    }
    return pairs;
  };
  task.training = encode(training);
  task.validation = encode(validation);
  return task;
}

/// A training and its translations of the test.
struct Outcome {
  Index parameters = 0, steps = 0, best_step = 0;
  double rate = 0, validation = 0;
  std::vector<rapt::BleuStatistics> sentences = {};
};
/// The trainings of a model at its better rate, one a seed.
struct Trainings {
  std::string name;
  std::vector<Outcome> outcomes = {};

  /// The spread of a number of each training.
  template <class F>
  [[nodiscard]] Spread spread(const F& number_of) const {
    std::vector<double> numbers;
    for (const Outcome& outcome : outcomes) numbers.push_back(static_cast<double>(number_of(outcome)));
    return spread_of(std::move(numbers));
  }
};

/// Trains a model and translates the test, unless `finished` has that and `file` the translations.
template <class Model>
Outcome train(const std::string& name, const typename Model::Config& config, const Task& task, double rate,
              std::uint64_t seed, Finished& finished, const std::filesystem::path& folder) {
  const std::string key = name + ", rate " + number("%g", rate) + ", seed " + std::to_string(seed);
  const std::filesystem::path file = folder / (key + ".txt");
  const std::vector<double>& found = finished.of(key, [&] {
    rapt::Rng rng(seed);
    Model model(config, rng);
    const Index parameters = rapt::count_parameters(model);
    const rapt::BatchOptions batching{.tokens = kBatchTokens, .seed = seed};
    rapt::BatchStream stream(task.training, batching);
    rapt::Trainer trainer(model, {.learning_rate = rapt::InverseSquareRootSchedule{.peak = rate, .warmup = kWarmup},
                                  .clip_norm = 1,
                                  .seed = seed});
    const rapt::TrainingSummary summary = trainer.run(
        stream, {.seconds = task.seconds, .validate_every = kValidateEvery},
        [&] { return mean_loss(model, std::span<const rapt::TokenPair>(task.validation), batching); },
        [](const rapt::Progress&) {});
    std::fprintf(stderr, "%s: %td parameters, %td steps, validation loss %.3f\n", key.c_str(), parameters,
                 summary.steps, summary.best_validation);
    const rapt::Translator<Model> translator(std::move(model), task.text);
    std::string text;
    for (const std::string& line : translator.translate(
             task.test.source,
             {.beam_size = 5, .length_penalty = 1, .length_normalisation = rapt::LengthNormalisation::plain})) {
      text += line + "\n";
    }
    write_file(file, text);
    return std::vector{static_cast<double>(parameters), static_cast<double>(summary.steps),
                       static_cast<double>(summary.best_step), summary.best_validation};
  });
  return {.parameters = static_cast<Index>(found.at(0)),
          .steps = static_cast<Index>(found.at(1)),
          .best_step = static_cast<Index>(found.at(2)),
          .rate = rate,
          .validation = found.at(3),
          .sentences = rapt::bleu_statistics(rapt::read_lines(file), task.test.target,
                                             {.tokenize = rapt::BleuOptions::Tokenize::none})};
}

template <class Model>
Trainings measure(const std::string& name, const typename Model::Config& config, const Task& task, std::uint64_t seeds,
                  Finished& finished, const std::filesystem::path& folder) {
  Trainings trainings{.name = name};
  for (const double rate : kRates) {
    Outcome outcome = train<Model>(name, config, task, rate, 1, finished, folder);
    if (!trainings.outcomes.empty() && outcome.validation >= trainings.outcomes.front().validation) continue;
    trainings.outcomes = {std::move(outcome)};
  }
  for (std::uint64_t seed = 2; seed <= seeds; ++seed) {
    const double rate = trainings.outcomes.front().rate;
    trainings.outcomes.push_back(train<Model>(name, config, task, rate, seed, finished, folder));
  }
  return trainings;
}

/// The recurrent translator of the most columns that has no more parameters than `most`.
RecurrentTranslatorConfig recurrent_config(const TransformerConfig& transformer, bool attention, Index most) {
  RecurrentTranslatorConfig config{.source_vocabulary = transformer.source_vocabulary,
                                   .target_vocabulary = transformer.target_vocabulary,
                                   .attention = attention,
                                   .dropout = transformer.dropout};
  Index low = 1, high = transformer.d_model * 4;  // halves of d_model: too few or right, too many
  while (high - low > 1) {
    const Index middle = (low + high) / 2;
    config.d_model = 2 * middle;
    rapt::Rng rng(1);
    const rapt::RecurrentTranslator<float> model(config, rng);
    (rapt::count_parameters(model) <= most ? low : high) = middle;
  }
  config.d_model = 2 * low;
  return config;
}

/// The group of lengths that each sentence of the test belongs to.
std::vector<std::size_t> groups_of(const ParallelCorpus& test) {
  std::vector<std::size_t> groups;
  for (const std::string& line : test.source) {
    const Index words = std::ssize(rapt::split_whitespace(line));
    groups.push_back(
        static_cast<std::size_t>(std::lower_bound(kMostWords.begin(), kMostWords.end(), words) - kMostWords.begin()));
  }
  return groups;
}

/// BLEU of the sentences of a group of lengths.
double score(const Outcome& outcome, const std::vector<std::size_t>& groups, std::size_t group) {
  rapt::BleuStatistics sum;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] == group) sum += outcome.sentences[i];
  }
  return sum.score();
}

std::string report(const std::vector<Trainings>& models, const Task& task, std::uint64_t seeds,
                   const Arguments& arguments, const Finished& finished) {
  const std::vector<std::size_t> groups = groups_of(task.test);
  std::string text =
      number("%g", task.seconds) + " s of training of each model at each of two rates, the validations of every " +
      std::to_string(kValidateEvery) + " steps included; " +
      (seeds > 1
           ? "medians of " + std::to_string(seeds) + " seeds at the better rate, in brackets the least and the most"
           : std::string("one seed")) +
      "; beam 5. BLEU of the tokenised and lower-cased text, which is not that of cased text; ± is the 95 % "
      "interval of a bootstrap of the first seed's sentences.\n\n" +
      machine("layers_translation", arguments, finished.conditions()) + "\n";
  Table totals({"model", "parameters", "rate", "steps", "best step", "validation loss", "BLEU", "±"});
  std::vector<std::string> head{"BLEU by words of the source"};
  std::vector<double> mean_words;  // of each group
  for (std::size_t g = 0; g < kMostWords.size(); ++g) {
    const std::string least = std::to_string(g == 0 ? 1 : kMostWords[g - 1] + 1);
    const auto sentences = std::count(groups.begin(), groups.end(), g);
    head.push_back((g + 1 < kMostWords.size() ? least + " .. " + std::to_string(kMostWords[g]) : least + " and more") +
                   " (" + std::to_string(sentences) + " sentences)");
    Index words = 0;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (groups[i] == g) words += std::ssize(rapt::split_whitespace(task.test.source[i]));
    }
    mean_words.push_back(static_cast<double>(words) / static_cast<double>(std::max<Index>(1, sentences)));
  }
  Table lengths(head);
  std::vector<rapt::ChartSeries> series;
  for (const Trainings& model : models) {
    const Outcome& first = model.outcomes.front();
    totals.add({model.name, std::to_string(first.parameters), number("%g", first.rate),
                text_of(model.spread([](const Outcome& o) { return o.steps; }), "%.0f"),
                text_of(model.spread([](const Outcome& o) { return o.best_step; }), "%.0f"),
                text_of(model.spread([](const Outcome& o) { return o.validation; }), "%.3f"),
                text_of(model.spread([](const Outcome& o) { return total(o.sentences).score(); }), "%.2f"),
                number("%.2f", confidence(first.sentences).half_width)});
    std::vector<std::string> row{model.name};
    series.push_back({.name = model.name, .points = {}});
    for (std::size_t g = 0; g < kMostWords.size(); ++g) {
      const Spread scores = model.spread([&](const Outcome& o) { return score(o, groups, g); });
      row.push_back(mean_words[g] > 0 ? text_of(scores, "%.1f") : "");
      if (mean_words[g] > 0) series.back().points.push_back({mean_words[g], scores.median});
    }
    lengths.add(row);
  }
  write_file(arguments.folder / "translation.svg",
             rapt::line_chart({.title = "BLEU by length, after equal times of training",
                               .x_label = "words of the source, mean of a group",
                               .y_label = "BLEU"},
                              series));
  return text + totals.text() + "\n" + lengths.text();
}

}  // namespace

int main(int count, char** values) {
  const char* const usage = "usage: layers_translation OUTPUT_FOLDER --data FOLDER [--quick] [--seconds S] [--seeds N]";
  const Arguments arguments = parse_arguments(count, values, usage);
  if (arguments.data.empty()) {
    std::fprintf(stderr, "%s\n", usage);
    return 2;
  }
  const Task task =
      read_task(arguments.data, arguments.quick, arguments.seconds.value_or(arguments.quick ? 5 : 10 * 60));
  const std::uint64_t seeds = arguments.seeds.value_or(arguments.quick ? 1 : 3);
  Finished finished(arguments, "translation.tsv");
  const auto transformer = TransformerConfig::tiny(task.text.size());
  std::vector<Trainings> models{
      measure<rapt::Transformer<float>>("Transformer", transformer, task, seeds, finished, arguments.folder)};
  const Index most = models.front().outcomes.front().parameters;
  for (const bool attention : {true, false}) {
    models.push_back(measure<rapt::RecurrentTranslator<float>>(
        attention ? "LSTM, additive attention" : "LSTM without attention",
        recurrent_config(transformer, attention, most), task, seeds, finished, arguments.folder));
    const std::string text = report(models, task, seeds, arguments, finished);
    write_file(arguments.folder / "translation.md", text);
    if (!attention) std::fputs(text.c_str(), stdout);
  }
}
