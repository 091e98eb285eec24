// A program that answers and learns: it tells the labels of texts, and is corrected while it runs.
//
//   live --folder mine                                              a small model that knows nothing yet
//   live --model minilm --labels praise,blame --folder mine         an encoder of a Hugging Face folder
//
// Each line of the standard input is a text, whose label is printed at once. A line "!label" says what the label of the
// text before should have been. A thread in the background learns from these corrections and, every few steps,
// publishes a copy of the model, with which later texts are answered; answers wait neither for the learning nor for the
// exchange (train/live_model.hpp). At the end of the input what is left is learned, and the model and the corrections
// are kept in the folder, where the next run goes on.
//
//   live --measure 100000     asks so many questions (--texts, or sentences that are there without any file: does it
//                             happen in the past, the present or the future?), corrects each wrong answer, and prints
//                             how long answers took, beside those during an exchange, and what was learned
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <rapt/pipelines/labelled_lines.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/lines.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/flags.hpp"
#include "common/lines.hpp"
#include "live/classifier.hpp"
#include "live/learner.hpp"
#include "live/measure.hpp"
#include "live/sentences.hpp"

namespace {

using rapt::Index;
using rapt::LabelledLine;

struct Flags {
  std::string model, folder, texts;
  std::vector<std::string> labels;
  Index measure = 0, answerers = 1, threads = 1;
  double learning_rate = 0;
  LearnerOptions learner;
};

[[nodiscard]] std::filesystem::path corrections_file(const Flags& flags) {
  return std::filesystem::path(flags.folder) / "corrections.jsonl";
}

/// Where the folder's last run ended, or else a beginning.
Classifier start(const Flags& flags, const std::vector<LabelledLine>& lines) {
  const std::uint64_t seed = flags.learner.seed;
  if (!flags.folder.empty() && std::filesystem::exists(std::filesystem::path(flags.folder) / "config.json")) {
    return open_classifier(flags.folder, flags.labels, seed);
  }
  const auto begin = [&] {
    if (!flags.model.empty()) return open_classifier(flags.model, flags.labels, seed);
    std::vector<std::string> texts;
    for (const LabelledLine& line : lines) texts.push_back(line.text);
    return new_classifier(texts, flags.labels.empty() ? rapt::distinct_labels(lines) : flags.labels, seed);
  };
  Classifier classifier = begin();
  if (!flags.folder.empty()) save_classifier(flags.folder, classifier);  // rather than learn what cannot be kept
  return classifier;
}

/// The corrections of the folder's earlier runs.
std::vector<Correction> earlier_corrections(const Flags& flags, const Classifier& classifier) {
  std::vector<Correction> corrections;
  if (flags.folder.empty() || !std::filesystem::exists(corrections_file(flags))) return corrections;
  std::vector<LabelledLine> lines = rapt::read_labelled_lines(corrections_file(flags));
  const std::vector<std::int32_t> labels = rapt::label_numbers(lines, classifier.labels());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    rapt::TokenBatch tokens = classifier.encode(lines[i].text);
    corrections.push_back({std::move(lines[i].text), std::move(tokens), labels[i]});
  }
  return corrections;
}

void keep_corrections(const Flags& flags, const Classifier& classifier, const Learner& learner) {
  if (flags.folder.empty()) return;
  std::vector<std::string> lines;
  for (const Correction& one : learner.remembered()) {
    const nlohmann::ordered_json line = {{"text", one.text}, {"label", rapt::at(classifier.labels(), one.label)}};
    lines.push_back(line.dump());
  }
  if (!lines.empty()) write_lines(corrections_file(flags).string(), lines);
}
void keep(const Flags& flags, const Classifier& classifier, const Learner& learner) {
  if (!flags.folder.empty()) save_classifier(flags.folder, classifier);
  keep_corrections(flags, classifier, learner);
}

/// Answers the lines of the standard input, and hands the corrections among them to the learner.
void serve(const Classifier& classifier, Learner& learner) {
  const rapt::ThreadMemory memory;
  const std::vector<std::string>& labels = classifier.labels();
  std::optional<Correction> last;  // the text that was answered last, and its answer
  rapt::LineReader input(std::cin, "standard input");
  for (std::string line; input.next(line);) {
    if (rapt::is_blank(line)) continue;
    if (line.front() != '!') {
      rapt::TokenBatch tokens = classifier.encode(line);
      const std::int32_t label = label_of(*learner.read(), tokens);
      std::printf("%s\n", rapt::at(labels, label).c_str());
      std::fflush(stdout);
      last = Correction{std::move(line), std::move(tokens), label};
      continue;
    }
    const auto right = std::find(labels.begin(), labels.end(), line.substr(1));
    if (right == labels.end()) {
      std::fprintf(stderr, "live: there is no label \"%s\": the labels are %s\n", line.substr(1).c_str(),
                   joined(labels, ", ").c_str());
    } else if (!last) {
      std::fprintf(stderr, "live: there is no text before %s\n", line.c_str());
    } else {
      last->label = static_cast<std::int32_t>(right - labels.begin());
      learner.learn(*last);
    }
  }
}

/// Questions in random order; the first ones, a tenth but at most 1,000, are for the accuracy alone.
std::pair<std::vector<Question>, std::vector<Question>> questions_of(const std::vector<LabelledLine>& lines,
                                                                     const Classifier& classifier, std::uint64_t seed) {
  const std::vector<std::int32_t> labels = rapt::label_numbers(lines, classifier.labels());
  std::vector<Question> questions;
  for (std::size_t i = 0; i < lines.size(); ++i) questions.push_back({lines[i].text, labels[i]});
  rapt::Rng rng(seed);
  rng.shuffle(std::span(questions));
  const std::size_t held_out = std::min<std::size_t>(1000, questions.size() / 10);
  rapt::require(held_out > 0, "live", "there are ", questions.size(), " texts: 10 are the least that can be measured");
  const auto middle = questions.begin() + static_cast<std::ptrdiff_t>(held_out);
  return {std::vector(questions.begin(), middle), std::vector(middle, questions.end())};
}

void live(Flags flags) {
  rapt::set_threads(flags.threads);
  const auto lines = flags.texts.empty() ? sentences_with_times() : rapt::read_labelled_lines(flags.texts);
  Classifier classifier = start(flags, lines);
  flags.learner.learning_rate =
      flags.learning_rate > 0 ? flags.learning_rate : 0.06 / static_cast<double>(classifier.model.config().d_model);
  std::vector<Correction> earlier = earlier_corrections(flags, classifier);
  if (flags.measure == 0) {
    Learner learner(classifier.model, flags.learner, std::move(earlier));
    std::exception_ptr error;
    try {
      serve(classifier, learner);
    } catch (...) {  // a line that cannot be read: what was learned until then is kept
      error = std::current_exception();
    }
    try {
      learner.finish();
    } catch (...) {  // the model may be spoiled: of such a run the corrections alone are kept
      keep_corrections(flags, classifier, learner);
      throw;
    }
    keep(flags, classifier, learner);
    if (error) std::rethrow_exception(error);
    return;
  }
  const auto [held_out, stream] = questions_of(lines, classifier, flags.learner.seed);
  const double before = accuracy(classifier, classifier.model, held_out);
  LatencyMeasurement measurement;
  flags.learner.steps_per_correction = 0;  // it learns all the time
  Learner learner(classifier.model, measurement.record(flags.learner), std::move(earlier));
  measurement.ask(classifier, learner, stream, flags.measure, flags.answerers);
  learner.finish();
  measurement.print();
  std::printf("learned meanwhile: %td corrections, %td steps, %td exchanges\n", std::ssize(learner.remembered()),
              learner.steps(), learner.publications());
  std::printf("right of %zu other texts: %.1f %% before, %.1f %% after\n", held_out.size(), 100 * before,
              100 * accuracy(classifier, classifier.model, held_out));
  keep(flags, classifier, learner);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Tells the labels of texts, and learns from corrections while it does."};
  Flags flags;
  app.add_option("--model", flags.model, "The Hugging Face folder of an encoder to begin with.");
  app.add_option("--labels", flags.labels, "The labels, if the model has no others.")->delimiter(',');
  app.add_option("--folder", flags.folder, "Keeps the model and the corrections here, and goes on from there.");
  app.add_option("--texts", flags.texts, "Texts with labels (.tsv or .jsonl) for --measure, in place of sentences.");
  add_not_negative(app, "--measure", flags.measure, "Asks so many questions and prints how long the answers took.");
  add_positive(app, "--answerers", flags.answerers, "The number of threads that answer, with --measure.");
  add_positive(app, "--threads", flags.threads, "The number of threads that a step of training uses.");
  add_not_negative(app, "--learning-rate", flags.learning_rate, "The size of steps; 0: 0.06 / the model's width.");
  add_positive(app, "--batch", flags.learner.batch, "The number of texts in a step.");
  add_positive(app, "--publish-every", flags.learner.publish_every, "Steps after which answers use the new model.");
  add_positive(app, "--steps-per-correction", flags.learner.steps_per_correction, "Steps of learning it sets off.");
  add_positive(app, "--remember", flags.learner.remembered, "The number of corrections that are learned from.");
  add_seed(app, flags.learner.seed);
  CLI11_PARSE(app, argc, argv);
  try {
    live(std::move(flags));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "live: %s\n", error.what());
    return 1;
  }
}
