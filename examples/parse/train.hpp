// `parse train`: a parser of either kind from a file of trees, as a job that can be stopped and resumed.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>
#include <rapt/data/shuffled_batches.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/bracket_scores.hpp>
#include <string>
#include <utility>

#include "../common/lines.hpp"
#include "../common/run_flags.hpp"
#include "grammar.hpp"
#include "sequence.hpp"
#include "spans.hpp"

namespace parse {

struct TrainFlags {
  std::string model = "span", trees, validation, parser, tags = "predicted";
  Index steps = 400, warmup = 60, batch = 32, tokens = 2000, subwords = 300, validate_every = 200, measured = 200;
  Index width = 64, layers = 2, heads = 4, hidden = 128;
  double learning_rate = 2e-3, minutes = 0;
  float dropout = 0.1f;
  bool replace_tags = false;
  std::uint64_t seed = 1;
  RunFlags run;
};

inline CLI::App* add_train(CLI::App& app, TrainFlags& f) {
  CLI::App* train = app.add_subcommand(
      "train", "Trains a parser. The defaults suit the generated sentences that it learns from without --trees.");
  train->add_option("--model", f.model, "The kind of parser: `span` scores spans of words, `sequence` writes the tree.")
      ->check(CLI::IsMember({"span", "sequence"}))
      ->capture_default_str();
  CLI::Option* trees = train->add_option("--trees", f.trees, "The file of bracketed trees to learn from.");
  train->add_option("--validation", f.validation, "The file of trees to validate on.")->needs(trees);
  train->add_option("--parser", f.parser, "Writes the parser to this file.");
  CLI::Option* tags =
      train->add_option("--tags", f.tags, "Whether a span parser predicts parts of speech or reads the `gold` ones.")
          ->check(CLI::IsMember({"predicted", "gold"}))
          ->capture_default_str();
  train
      ->add_flag("--replace-tags", f.replace_tags,
                 "A sequence parser writes XX for each word, as in the paper, and not its part of speech.")
      ->excludes(tags);
  add_positive(*train, "--steps", f.steps, "The number of steps.");
  add_not_negative(*train, "--minutes", f.minutes,
                   "The time after which training stops, at any learning rate; 0: after --steps alone.");
  add_not_negative(*train, "--warmup", f.warmup, "The steps in which the learning rate rises.");
  add_positive(*train, "--learning-rate", f.learning_rate,
               "The highest learning rate; it falls to 0 at the last of --steps.");
  add_positive(*train, "--batch", f.batch, "The number of sentences in a batch of the span parser.");
  add_positive(*train, "--tokens", f.tokens, "The most tokens of a batch of the sequence parser, on either side.");
  add_positive(*train, "--subwords", f.subwords, "The number of subwords that words are cut into.");
  add_positive(*train, "--width", f.width, "The width of the model (d_model).");
  add_positive(*train, "--layers", f.layers, "The number of layers, of the sequence parser on either side.");
  add_positive(*train, "--heads", f.heads, "The number of attention heads.");
  add_positive(*train, "--hidden", f.hidden, "The hidden width of the feed-forward networks (d_ff).");
  add_rate(*train, "--dropout", f.dropout, "The rate of dropout.");
  add_positive(*train, "--validate-every", f.validate_every, "The steps between validations.");
  add_positive(*train, "--measured", f.measured, "The number of trees that a validation measures, the first ones.");
  add_seed(*train, f.seed);
  f.run.add_to(*train);
  return train;
}

/// The trees of a file with labels without functions and without traces, as parsers learn and are measured. A root
/// without a label is called ROOT, as parsers may write its label anywhere.
inline std::vector<SyntaxTree> read_treebank(const std::string& path) {
  std::vector<SyntaxTree> trees;
  for (SyntaxTree& tree : rapt::read_trees(path)) {
    const std::size_t number = trees.size() + 1;
    try {
      trees.push_back(without_functions(without_traces(std::move(tree))));
    } catch (const rapt::ValueError& error) {
      rapt::fail<rapt::IoError>("parse", path, ": tree ", number, ": ", std::string_view(error.what()));
    }
    rapt::require<rapt::IoError>(!trees.back().is_leaf(), "parse", path, ": tree ", number, " is a word alone");
    if (trees.back().label.empty()) trees.back().label = "ROOT";
  }
  return trees;
}

/// Throws ValueError for options that the kind of parser does not read.
inline void require_effect(const TrainFlags& f, const CLI::App& command) {
  using Reader = std::pair<const char*, const char*>;
  for (const auto& [flag, model] : {Reader("--batch", "span"), Reader("--tags", "span"), Reader("--tokens", "sequence"),
                                    Reader("--replace-tags", "sequence")}) {
    rapt::require(f.model == model || command.count(flag) == 0, "parse", flag, " has no effect with --model ", f.model);
  }
}

struct Treebank {
  std::vector<SyntaxTree> training, validation, test;
};
/// The trees of the flags' files, or generated ones.
inline Treebank treebank_of(const TrainFlags& f) {
  Treebank bank;
  if (!f.trees.empty()) {
    bank.training = read_treebank(f.trees);
    if (!f.validation.empty()) bank.validation = read_treebank(f.validation);
    return bank;
  }
  const auto all = grammar::generate(2000, /*seed=*/1);
  bank.training.assign(all.begin(), all.begin() + 1600);
  bank.validation.assign(all.begin() + 1600, all.begin() + 1800);
  bank.test.assign(all.begin() + 1800, all.end());
  for (auto* part : {&bank.training, &bank.validation, &bank.test}) {
    for (SyntaxTree& tree : *part) tree = without_functions(std::move(tree));
  }
  return bank;
}

/// What a parser finds for the sentences of trees, counted.
template <class Text>
rapt::BracketCounts measure(const Text& text, const typename Text::Model& model, std::span<const SyntaxTree> trees,
                            bool gold_tags) {
  std::vector<Sentence> sentences;
  for (const SyntaxTree& tree : trees) sentences.push_back(sentence_of(tree, gold_tags));
  return rapt::bracket_counts(text.parse(model, sentences), trees);
}

inline std::string to_text(const rapt::BracketCounts& counts) {
  char text[160];
  std::snprintf(text, sizeof text, "F1 %.2f  precision %.2f  recall %.2f  complete %.2f  tags %.2f", 100 * counts.f1(),
                100 * counts.precision(), 100 * counts.recall(), 100 * counts.complete_match(),
                100 * counts.tag_accuracy());
  return text;
}

/// Runs the job of one kind of parser and leaves the version that did best in validation in the model.
template <class Text, class Source>
void run_job(const Text& text, typename Text::Model& model, Source& batches, const Treebank& bank,
             const TrainFlags& f) {
  using Model = typename Text::Model;
  std::printf("%zu trees, %td subwords, %td parameters\n", bank.training.size(), text.subwords.vocabulary().size(),
              count_parameters(model));
  rapt::Fingerprint fingerprint;
  for (const auto* part : {&bank.training, &bank.validation}) {
    for (const SyntaxTree& tree : *part) fingerprint.add(std::string_view(to_string(tree)));
  }
  rapt::JobOptions options = f.run.job({"--trees", "--validation", "--parser", "--minutes"},
                                       data_text(bank.training.size(), "trees", fingerprint));
  options.choose_best = true;
  rapt::TrainingJob job(options);
  rapt::Trainer trainer(
      model, f.run.processes.shared({.learning_rate = rapt::CosineSchedule{.peak = f.learning_rate,
                                                                           .warmup = f.warmup,
                                                                           .steps = std::max(f.steps, f.warmup + 1)},
                                     .adam = {.beta2 = 0.98},
                                     .clip_norm = 1,
                                     .seed = f.seed + 1}));  // of dropout; the seed itself draws weights and batches
  rapt::JobHooks<Model> hooks;
  const auto some = std::span(bank.validation).first(std::min(bank.validation.size(), rapt::to_size(f.measured)));
  if (!some.empty()) {
    hooks.measure = [&](const Model& candidate) {
      const rapt::BracketCounts counts = measure(text, candidate, some, f.tags == "gold");
      char seconds[60];
      std::snprintf(seconds, sizeof seconds, "  loss %.3f  %.0f s", job.progress().loss, job.progress().seconds);
      return rapt::Measurement{
          .score = -counts.f1(), .text = to_text(counts) + seconds, .entry = {{"f1", counts.f1()}}};
    };
  }
  hooks.save_model = [&](const Model& candidate, const auto& file) { save_model(file, candidate, text.metadata()); };
  job.run(trainer, batches,
          {.steps = f.steps, .seconds = 60 * f.minutes, .validate_every = some.empty() ? 0 : f.validate_every}, hooks);
  if (!f.parser.empty() && f.run.processes.is_first()) save_model(f.parser, model, text.metadata());
}

inline std::pair<SequenceText, SequenceText::Model> train_sequence(const TrainFlags& f, const Treebank& bank) {
  SequenceText text = SequenceText::learn(bank.training, f.subwords, f.replace_tags);
  std::vector<rapt::TokenPair> pairs;
  for (const SyntaxTree& tree : bank.training) pairs.push_back(text.pair(tree));
  rapt::Rng rng(f.seed);
  rapt::Transformer model({.source_vocabulary = text.subwords.vocabulary().size(),
                           .target_vocabulary = text.symbols.size(),
                           .d_model = f.width,
                           .heads = f.heads,
                           .d_ff = f.hidden,
                           .encoder_layers = f.layers,
                           .decoder_layers = f.layers,
                           .dropout = f.dropout,
                           .norm = rapt::NormPlacement::pre,
                           .tie_embeddings = false,
                           .tie_output = true},
                          rng);
  rapt::BatchStream batches(pairs, {.tokens = f.tokens, .seed = f.seed});
  run_job(text, model, batches, bank, f);
  return {std::move(text), std::move(model)};
}

/// Throws ValueError if some batch of a span parser might not fit in memory.
inline void require_fits_in_memory(const TrainFlags& f, std::span<const SyntaxTree> trees) {
  std::vector<Index> spans;
  for (const SyntaxTree& tree : trees) spans.push_back(rapt::kernels::span_count(std::ssize(leaves_of(tree))));
  std::sort(spans.begin(), spans.end(), std::greater<>());
  spans.resize(std::min(spans.size(), rapt::to_size(f.batch)));
  const Index sum = std::accumulate(spans.begin(), spans.end(), Index{0});
  constexpr Index kMost = Index{1} << 28;  // several tensors of 4 bytes for each
  rapt::require(sum <= kMost / f.width, "parse", "the ", spans.size(), " longest sentences have ", sum,
                " spans, for which a model of the width ", f.width, " has at most ", kMost / f.width,
                " in a batch: take a smaller --batch, or leave out the longest sentences");
}

inline std::pair<SpanText, SpanText::Model> train_spans(const TrainFlags& f, const Treebank& bank) {
  require_fits_in_memory(f, bank.training);
  SpanText text = SpanText::learn(bank.training, f.subwords, f.tags == "gold");
  rapt::Rng rng(f.seed);
  rapt::SpanParser model({.vocabulary = text.subwords.vocabulary().size(),
                          .d_model = f.width,
                          .layers = f.layers,
                          .heads = f.heads,
                          .d_ff = f.hidden,
                          .d_span = f.width,
                          .dropout = f.dropout,
                          .attention_dropout = f.dropout,
                          .activation_dropout = f.dropout,
                          .labels = text.labels,
                          .tags = text.tags,
                          .reads_tags = text.reads_tags},
                         rng);
  rapt::ShuffledBatches<rapt::ParserBatch> batches(
      [&](std::span<const Index> numbers) { return text.batch(bank.training, numbers); },
      {.examples = std::ssize(bank.training), .batch = f.batch, .seed = f.seed, .where = "parse"});
  run_job(text, model, batches, bank, f);
  return {std::move(text), std::move(model)};
}

}  // namespace parse
