/// Translation before and with the Transformer: an LSTM encoder-decoder with and without attention and a Transformer of
/// as many parameters, each trained for the same time on Multi30k, English to German; BLEU of the test set in all and
/// by the length of the source sentence.
///
///     layers_translation OUTPUT_FOLDER --data FOLDER [--quick] [--seconds S]   # writes translation.md,
///     translation.svg
///
/// FOLDER holds train, val and test_2016_flickr as examples/translate/multi30k.sh takes them: train.lc.norm.tok.en and
/// so on. Each model is trained for S seconds at each of two learning rates; the run with the lower validation loss
/// counts.
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

constexpr Index kSubwords = 10000, kBatchTokens = 4096, kWarmup = 400, kValidateEvery = 100;
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

struct Outcome {
  std::string name;
  Index parameters = 0, steps = 0, best_step = 0;
  double rate = 0, validation = std::numeric_limits<double>::infinity();
  std::vector<rapt::BleuStatistics> sentences;  // of the test
};

/// The best of the runs, and its translations of the test.
template <class Model>
Outcome measure(const std::string& name, const typename Model::Config& config, const Task& task) {
  Outcome outcome{.name = name, .sentences = {}};
  std::unique_ptr<Model> best;
  const rapt::BatchOptions batching{.tokens = kBatchTokens, .seed = 1};
  for (const double rate : kRates) {
    rapt::Rng rng(1);
    auto model = std::make_unique<Model>(config, rng);
    outcome.parameters = rapt::count_parameters(*model);
    rapt::BatchStream stream(task.training, batching);
    rapt::Trainer trainer(
        *model, {.learning_rate = rapt::InverseSquareRootSchedule{.peak = rate, .warmup = kWarmup}, .clip_norm = 1});
    const rapt::TrainingSummary summary = trainer.run(
        stream, {.seconds = task.seconds, .validate_every = kValidateEvery},
        [&] { return mean_loss(*model, std::span<const rapt::TokenPair>(task.validation), batching); },
        [](const rapt::Progress&) {});
    std::fprintf(stderr, "%s, rate %g: %td parameters, %td steps, validation loss %.3f\n", name.c_str(), rate,
                 outcome.parameters, summary.steps, summary.best_validation);
    if (best != nullptr && summary.best_validation >= outcome.validation) continue;
    outcome.steps = summary.steps;
    outcome.best_step = summary.best_step;
    outcome.rate = rate;
    outcome.validation = summary.best_validation;
    best = std::move(model);
  }
  const rapt::Translator<Model> translator(std::move(*best), task.text);
  const std::vector<std::string> translations = translator.translate(
      task.test.source,
      {.beam_size = 5, .length_penalty = 1, .length_normalisation = rapt::LengthNormalisation::plain});
  outcome.sentences =
      rapt::bleu_statistics(translations, task.test.target, {.tokenize = rapt::BleuOptions::Tokenize::none});
  return outcome;
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

std::string report(const std::vector<Outcome>& outcomes, const Task& task, const Arguments& arguments) {
  const std::vector<std::size_t> groups = groups_of(task.test);
  std::string text = number("%g", task.seconds) +
                     " s of training of each model at each rate, the validations of every " +
                     std::to_string(kValidateEvery) + " steps included; beam 5. BLEU of the tokenised text, with the " +
                     "95 % interval of a bootstrap.\n\n" + machine("layers_translation", arguments) + "\n";
  Table models({"model", "parameters", "rate", "steps", "best step", "validation loss", "BLEU"});
  std::vector<std::string> head{"BLEU by words of the source"};
  for (std::size_t g = 0; g < kMostWords.size(); ++g) {
    const std::string least = std::to_string(g == 0 ? 1 : kMostWords[g - 1] + 1);
    head.push_back((g + 1 < kMostWords.size() ? least + " .. " + std::to_string(kMostWords[g]) : least + " and more") +
                   " (" + std::to_string(std::count(groups.begin(), groups.end(), g)) + " sentences)");
  }
  Table lengths(head);
  std::vector<rapt::ChartSeries> series;
  for (const Outcome& outcome : outcomes) {
    models.add({outcome.name, std::to_string(outcome.parameters), number("%g", outcome.rate),
                std::to_string(outcome.steps), std::to_string(outcome.best_step), number("%.3f", outcome.validation),
                number("%.2f", total(outcome.sentences).score()) + " ± " +
                    number("%.2f", confidence(outcome.sentences).half_width)});
    std::vector<std::string> row{outcome.name};
    series.push_back({.name = outcome.name, .points = {}});
    for (std::size_t g = 0; g < kMostWords.size(); ++g) {
      rapt::BleuStatistics sum;
      Index words = 0, count = 0;
      for (std::size_t i = 0; i < groups.size(); ++i) {
        if (groups[i] != g) continue;
        sum += outcome.sentences[i];
        words += std::ssize(rapt::split_whitespace(task.test.source[i]));
        ++count;
      }
      row.push_back(count > 0 ? number("%.1f", sum.score()) : "");
      if (count > 0) {
        series.back().points.push_back({static_cast<double>(words) / static_cast<double>(count), sum.score()});
      }
    }
    lengths.add(row);
  }
  write_file(arguments.folder / "translation.svg",
             rapt::line_chart({.title = "BLEU by length, after equal times of training",
                               .x_label = "words of the source, mean of a group",
                               .y_label = "BLEU"},
                              series));
  return text + models.text() + "\n" + lengths.text();
}

}  // namespace

int main(int count, char** values) {
  const char* const usage = "usage: layers_translation OUTPUT_FOLDER --data FOLDER [--quick] [--seconds S]";
  const Arguments arguments = parse_arguments(count, values, usage);
  if (arguments.data.empty()) {
    std::fprintf(stderr, "%s\n", usage);
    return 2;
  }
  const Task task =
      read_task(arguments.data, arguments.quick, arguments.seconds.value_or(arguments.quick ? 5 : 20 * 60));
  const auto transformer = TransformerConfig::tiny(task.text.size());
  std::vector<Outcome> outcomes{measure<rapt::Transformer<float>>("Transformer", transformer, task)};
  const Index most = outcomes.front().parameters;
  for (const bool attention : {true, false}) {
    outcomes.push_back(
        measure<rapt::RecurrentTranslator<float>>(attention ? "LSTM, additive attention" : "LSTM without attention",
                                                  recurrent_config(transformer, attention, most), task));
    const std::string text = report(outcomes, task, arguments);
    write_file(arguments.folder / "translation.md", text);
    if (!attention) std::fputs(text.c_str(), stdout);
  }
}
