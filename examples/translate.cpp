// Trains a translator on a parallel corpus, translates with it and scores it.
//
//   translate                            trains on the embedded Chinese-English phrases, shows what it learned on
//                                        sentences it has not seen, and at a terminal translates what you type
//   translate train --source train.de --target train.en --model de-en.safetensors ...
//   translate run   --model de-en.safetensors < input.de > output.en
//   translate score --references test.en < output.en
//
// Every subcommand explains itself with --help.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/io/translator.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/bleu.hpp>

#include "phrases.hpp"

namespace {

using rapt::Index;

// What the subcommands share ------------------------------------------------------------------------------------------

std::vector<rapt::TokenPair> encode(const rapt::ParallelCorpus& corpus, const rapt::TextEncoding& text) {
  std::vector<rapt::TokenPair> pairs;
  for (std::size_t i = 0; i < corpus.source.size(); ++i) {
    pairs.push_back({text.encode(corpus.source[i]), text.encode(corpus.target[i])});
  }
  return pairs;
}

/// Leaves out pairs that are longer than a batch; says how many.
void drop_long(std::vector<rapt::TokenPair>& pairs, Index longest) {
  const auto dropped = std::erase_if(pairs, [&](const rapt::TokenPair& pair) {
    return static_cast<Index>(std::max(pair.source.size(), pair.target.size())) + 1 > longest;
  });
  if (dropped > 0) std::fprintf(stderr, "left out %zu pairs of more than %td tokens\n", dropped, longest - 1);
}

struct SearchFlags {
  Index beam = 4;
  float length_penalty = 0.6f;

  void add_to(CLI::App& app) {
    app.add_option("--beam", beam, "hypotheses kept at each step; 1 is greedy search")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option("--length-penalty", length_penalty, "alpha of ((5 + length) / 6)^alpha; more prefers longer output")
        ->capture_default_str();
  }
  [[nodiscard]] rapt::BeamSearchOptions options() const {
    return {.beam_size = beam, .length_penalty = length_penalty};
  }
};

// translate train -----------------------------------------------------------------------------------------------------

struct TrainFlags {
  std::string source, target, pairs, validation_source, validation_target, model, preset = "tiny", norm = "post";
  Index source_column = 1, target_column = 2, hold_out = 0, vocabulary = 10000, tokens = 4096, accumulate = 1;
  Index steps = 0, epochs = 0, warmup = 2000, validate_every = 500, patience = 0;
  double minutes = 0, learning_rate = 5e-3, clip = 0;
  float label_smoothing = 0.1f, dropout = -1, attention_dropout = 0, activation_dropout = 0;
  bool isolate_han = false;
  std::uint64_t seed = 1;
};

CLI::App* add_train(CLI::App& app, TrainFlags& f) {
  CLI::App* train = app.add_subcommand("train", "Train a translator on a parallel corpus.");
  train->add_option("--source", f.source, "text file, one sentence a line, to translate from");
  train->add_option("--target", f.target, "text file with the translations, line by line");
  train->add_option("--pairs", f.pairs, "instead of --source and --target: one file, columns separated by tabs");
  train->add_option("--source-column", f.source_column, "of --pairs, counted from 1")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  train->add_option("--target-column", f.target_column, "of --pairs, counted from 1")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI::Option* validation_source =
      train->add_option("--validation-source", f.validation_source, "text file to measure the loss on during training");
  train->add_option("--validation-target", f.validation_target, "its translations")->needs(validation_source);
  train
      ->add_option("--hold-out", f.hold_out,
                   "take so many pairs out of the corpus for validation, and as many for a test, which is written "
                   "beside the model as MODEL.test.source and MODEL.test.target; no sentence of either side stays "
                   "in training")
      ->check(CLI::NonNegativeNumber);
  train->add_option("--model", f.model, "where to write the trained model (safetensors)")->required();
  train->add_option("--preset", f.preset, "size: tiny, small, base or big (the paper's table 3)")
      ->capture_default_str();
  train->add_option("--vocabulary", f.vocabulary, "tokens of the joint byte-pair encoding")->capture_default_str();
  train->add_flag("--isolate-han", f.isolate_han, "make each Chinese character a word of its own");
  train->add_option("--norm", f.norm, "post: the paper; pre: norms before the sublayers")
      ->check(CLI::IsMember({"post", "pre"}))
      ->capture_default_str();
  train->add_option("--dropout", f.dropout, "instead of the preset's");
  train->add_option("--attention-dropout", f.attention_dropout, "of the attention weights")->capture_default_str();
  train->add_option("--activation-dropout", f.activation_dropout, "inside of the feed-forward networks")
      ->capture_default_str();
  train->add_option("--tokens", f.tokens, "at most so many source and so many target tokens in a batch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  train->add_option("--accumulate", f.accumulate, "batches per step of the optimizer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  train->add_option("--learning-rate", f.learning_rate, "at its highest, after the warm-up")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  train->add_option("--warmup", f.warmup, "steps; then the rate falls with the inverse square root of the step")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  train->add_option("--label-smoothing", f.label_smoothing, "the paper's epsilon")->capture_default_str();
  train->add_option("--clip", f.clip, "largest norm of the gradients; 0: any")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  train->add_option("--steps", f.steps, "stop after so many steps; 0: no limit")->check(CLI::NonNegativeNumber);
  train->add_option("--epochs", f.epochs, "stop after so many passes through the corpus; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  train->add_option("--minutes", f.minutes, "stop after so much time; 0: no limit")->check(CLI::NonNegativeNumber);
  train->add_option("--validate-every", f.validate_every, "steps")->check(CLI::PositiveNumber)->capture_default_str();
  train->add_option("--patience", f.patience, "stop after so many validations without improvement; 0: never")
      ->check(CLI::NonNegativeNumber);
  train->add_option("--seed", f.seed, "the same seed gives the same model, at any number of threads")
      ->capture_default_str();
  return train;
}

void write_lines(const std::string& path, const std::vector<std::string>& lines) {
  rapt::AtomicFile file(path);
  for (const std::string& line : lines) file.write((line + "\n").data(), line.size() + 1);
  file.commit();
}

int train(const TrainFlags& f) {
  rapt::require(f.steps > 0 || f.epochs > 0 || f.minutes > 0, "train",
                "say when to stop: --steps, --epochs or --minutes");
  rapt::require(f.pairs.empty() != f.source.empty() && f.source.empty() == f.target.empty(), "train",
                "give --source and --target, or --pairs");
  rapt::require(f.validation_source.empty() == f.validation_target.empty(), "train",
                "--validation-source needs --validation-target");
  rapt::AtomicFile(f.model);  // an unwritable place shows now, not after hours
  rapt::ParallelCorpus corpus =
      f.pairs.empty() ? rapt::ParallelCorpus::read(f.source, f.target)
                      : rapt::ParallelCorpus::read_tab_separated(f.pairs, f.source_column - 1, f.target_column - 1);
  if (const Index dropped = corpus.drop_empty(); dropped > 0) {
    std::fprintf(stderr, "left out %td pairs with an empty side\n", dropped);
  }
  rapt::ParallelCorpus validation;
  if (f.hold_out > 0) {
    const rapt::ParallelCorpus test = corpus.hold_out(f.hold_out, f.seed);
    validation = corpus.hold_out(f.hold_out, f.seed + 1);
    write_lines(f.model + ".test.source", test.source);
    write_lines(f.model + ".test.target", test.target);
  }
  if (!f.validation_source.empty()) {
    validation = rapt::ParallelCorpus::read(f.validation_source, f.validation_target);
    validation.drop_empty();
  }

  std::vector<std::string> lines = corpus.source;
  lines.insert(lines.end(), corpus.target.begin(), corpus.target.end());
  if (f.isolate_han) {
    for (std::string& line : lines) line = rapt::separate_han(line);
  }
  const rapt::TextEncoding text{rapt::BytePairEncoding::learn(lines, {.vocabulary_size = f.vocabulary}), f.isolate_han};
  std::vector<rapt::TokenPair> pairs = encode(corpus, text), validation_pairs = encode(validation, text);
  drop_long(pairs, f.tokens);
  drop_long(validation_pairs, f.tokens);

  rapt::TransformerConfig config = rapt::TransformerConfig::preset(f.preset, text.subwords.vocabulary().size());
  if (f.dropout >= 0) config.dropout = f.dropout;
  config.attention_dropout = f.attention_dropout;
  config.activation_dropout = f.activation_dropout;
  config.norm = f.norm == "pre" ? rapt::NormPlacement::pre : rapt::NormPlacement::post;
  rapt::Rng rng(f.seed);
  rapt::Transformer model(config, rng);
  std::fprintf(stderr, "%s\n%zu pairs, %td subwords, %td parameters\n", to_string(rapt::build_info()).c_str(),
               pairs.size(), text.subwords.vocabulary().size(), count_parameters(model));

  const rapt::BatchOptions batching{.tokens = f.tokens, .seed = f.seed};
  rapt::BatchStream stream(pairs, batching);
  rapt::Trainer trainer(model, {.learning_rate = rapt::InverseSquareRootSchedule{f.learning_rate, f.warmup},
                                .label_smoothing = f.label_smoothing,
                                .accumulate = f.accumulate,
                                .clip_norm = f.clip,
                                .seed = f.seed});
  rapt::ProgressLine progress;
  const auto validate = [&] {
    const double loss = mean_loss(model, std::span<const rapt::TokenPair>(validation_pairs), batching);
    char line[120];
    std::snprintf(line, sizeof line, "step %td  validation loss %.4f  perplexity %.2f", trainer.steps(), loss,
                  std::exp(loss));
    progress.message(line);
    return loss;
  };
  const rapt::TrainingSummary summary = trainer.run(stream,
                                                    {.steps = f.steps,
                                                     .seconds = 60 * f.minutes,
                                                     .epochs = f.epochs,
                                                     .validate_every = validation_pairs.empty() ? 0 : f.validate_every,
                                                     .patience = f.patience},
                                                    validate, [&](const rapt::Progress& p) { progress.update(p); });

  rapt::Translator(std::move(model), text).save(f.model);
  char line[200];
  std::snprintf(line, sizeof line, "%td steps in %s, %td epochs; kept step %td", summary.steps,
                rapt::clock_text(summary.seconds).c_str(), stream.position().epoch,
                summary.best_step > 0 ? summary.best_step : summary.steps);
  progress.message(line + (": written to " + f.model));
  return 0;
}

// translate run -------------------------------------------------------------------------------------------------------

int run(const std::string& model, const SearchFlags& search) {
  const rapt::Translator translator = rapt::Translator::load(model);
  const bool terminal = isatty(STDIN_FILENO) != 0;
  std::vector<std::string> lines;
  std::size_t number = 0;
  const auto flush = [&] {
    for (const std::string& line : translator.translate(lines, search.options())) std::cout << line << '\n';
    std::cout.flush();
    rapt::require<rapt::IoError>(static_cast<bool>(std::cout), "run", "cannot write to the standard output");
    lines.clear();
  };
  for (std::string line; std::getline(std::cin, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const auto invalid = rapt::find_invalid_utf8(line);
    rapt::require<rapt::IoError>(!invalid, "run", "standard input:", number, ": byte ", invalid.value_or(0) + 1,
                                 " is not UTF-8");
    lines.push_back(line);
    if (terminal || lines.size() == 2000) flush();
  }
  flush();
  return 0;
}

// translate score -----------------------------------------------------------------------------------------------------

int score(const std::string& hypotheses_file, const std::string& references_file, const rapt::BleuOptions& options) {
  const std::vector<std::string> references = rapt::read_lines(references_file);
  const std::vector<std::string> hypotheses =
      rapt::read_lines(hypotheses_file.empty() ? "/dev/stdin" : hypotheses_file);
  rapt::require(hypotheses.size() == references.size(), "score", "unequal line counts: ", hypotheses.size(),
                " hypotheses, ", references.size(), " references in ", references_file);
  std::printf("%s\n%s\n", to_string(rapt::bleu(hypotheses, references, options)).c_str(), signature(options).c_str());
  return 0;
}

// The embedded demo ---------------------------------------------------------------------------------------------------

std::string join(const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += (text.empty() ? "" : " ") + token;
  return text;
}
std::string chinese_words(std::string_view text) { return join(phrases::chinese_tokens(text)); }
std::string english_text(std::string_view words) { return phrases::join_english(phrases::english_tokens(words)); }

rapt::ParallelCorpus as_corpus(const std::vector<phrases::Pair>& pairs) {
  rapt::ParallelCorpus corpus;
  for (const phrases::Pair& pair : pairs) {
    corpus.source.push_back(chinese_words(pair.chinese));
    corpus.target.push_back(join(phrases::english_tokens(pair.english)));
  }
  return corpus;
}

/// Translates what is typed until the end of input.
void prompt(const rapt::Translator& translator) {
  std::printf("\nType a Chinese sentence, e.g. 我爱你 (an empty line or Ctrl-D ends):\n> ");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line) && !line.empty();) {
    if (rapt::find_invalid_utf8(line)) {
      std::printf("That is not UTF-8 text.\n> ");
    } else {
      std::string unknown;
      for (const std::string& character : phrases::chinese_tokens(line)) {
        const auto ids = translator.text().encode(character);
        if (std::find(ids.begin(), ids.end(), translator.text().subwords.vocabulary().unknown()) != ids.end()) {
          unknown += (unknown.empty() ? "" : " ") + character;
        }
      }
      if (!unknown.empty()) std::printf("(not among the phrases I learned: %s)\n", unknown.c_str());
      const std::string words = chinese_words(line);
      std::printf("%s\n> ", english_text(translator.translate(std::vector{words}).front()).c_str());
    }
    std::fflush(stdout);
  }
  std::printf("\n");
}

int demo() {
  std::printf("%s\n", to_string(rapt::build_info()).c_str());
  const phrases::Split split = phrases::split(phrases::generate(), /*seed=*/1);
  const rapt::ParallelCorpus corpus = as_corpus(split.train), test = as_corpus(split.test);
  std::vector<std::string> lines = corpus.source;
  lines.insert(lines.end(), corpus.target.begin(), corpus.target.end());
  const rapt::TextEncoding text{rapt::BytePairEncoding::learn(lines, {.vocabulary_size = 2000}), false};
  const std::vector<rapt::TokenPair> pairs = encode(corpus, text);
  const std::vector<rapt::TokenPair> validation = encode(as_corpus(split.validation), text);

  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(text.subwords.vocabulary().size());
  config.encoder_layers = config.decoder_layers = 3;
  config.dropout = 0.1f;
  rapt::Rng rng(1);
  rapt::Transformer model(config, rng);
  std::printf("A Transformer of %td parameters learns Chinese from %zu phrases, about a minute:\n",
              count_parameters(model), pairs.size());
  std::fflush(stdout);

  const rapt::BatchOptions batching{.tokens = 1024};
  rapt::BatchStream stream(pairs, batching);
  constexpr Index kSteps = 2200;
  rapt::Trainer trainer(model, {.learning_rate = rapt::CosineSchedule{.peak = 2e-3, .warmup = 300, .steps = kSteps}});
  rapt::ProgressLine progress(stdout);
  trainer.run(
      stream, {.steps = kSteps}, [] { return 0.0; }, [&](const rapt::Progress& p) { progress.update(p); });
  char loss[80];
  std::snprintf(loss, sizeof loss, "validation loss %.4f",
                mean_loss(model, std::span<const rapt::TokenPair>(validation), batching));
  progress.message(loss);

  const rapt::Translator translator(std::move(model), text);
  const std::vector<std::string> translations = translator.translate(test.source);
  std::size_t exact = 0;
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < translations.size(); ++i) {
    if (translations[i] == test.target[i]) {
      ++exact;
    } else {
      wrong.push_back(i);
    }
  }
  std::printf("\nSentences it has never seen:\n");
  for (std::size_t i = 0; i < std::min<std::size_t>(12, translations.size()); ++i) {
    std::printf("  %s -> %s\n", split.test[i].chinese.c_str(), english_text(translations[i]).c_str());
  }
  std::printf(
      "\nWord for word right: %zu of %zu unseen sentences (%.1f %%), %s\n", exact, translations.size(),
      100.0 * static_cast<double>(exact) / static_cast<double>(translations.size()),
      to_string(rapt::bleu(translations, test.target, {.tokenize = rapt::BleuOptions::Tokenize::none})).c_str());
  for (std::size_t i = 0; i < std::min<std::size_t>(3, wrong.size()); ++i) {
    std::printf("  wrong: %s -> %s (right: %s)\n", split.test[wrong[i]].chinese.c_str(),
                english_text(translations[wrong[i]]).c_str(), split.test[wrong[i]].english.c_str());
  }
  std::printf("  我爱你 -> %s\n",
              english_text(translator.translate(std::vector{chinese_words("我爱你")}).front()).c_str());
  std::fflush(stdout);
  if (isatty(STDIN_FILENO) != 0) prompt(translator);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Trains a translator, translates and scores. Without a subcommand: a demo of a minute or two on an embedded\n"
      "corpus of Chinese-English phrases. RAPT_THREADS sets the number of threads."};
  app.require_subcommand(0, 1);
  TrainFlags train_flags;
  CLI::App* train_command = add_train(app, train_flags);

  CLI::App* run_command = app.add_subcommand("run", "Translate the standard input, line by line.");
  std::string model;
  SearchFlags search;
  run_command->add_option("--model", model, "file that `train` wrote")->required();
  search.add_to(*run_command);

  CLI::App* score_command = app.add_subcommand("score", "BLEU of translations, as sacrebleu computes it.");
  std::string references, hypotheses, tokenize = "13a";
  rapt::BleuOptions bleu_options;
  score_command->add_option("--references", references, "text file, one reference a line")->required();
  score_command->add_option("--hypotheses", hypotheses, "text file with the translations; default: standard input");
  score_command->add_option("--tokenize", tokenize, "13a for plain text, none for text that is tokenised already")
      ->check(CLI::IsMember({"13a", "none"}))
      ->capture_default_str();
  score_command->add_flag("--lowercase", bleu_options.lowercase, "compare without case");
  CLI11_PARSE(app, argc, argv);

  try {
    if (train_command->parsed()) return train(train_flags);
    if (run_command->parsed()) return run(model, search);
    if (score_command->parsed()) {
      if (tokenize == "none") bleu_options.tokenize = rapt::BleuOptions::Tokenize::none;
      return score(hypotheses, references, bleu_options);
    }
    return demo();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "translate: %s\n", error.what());
    return 1;
  }
}
