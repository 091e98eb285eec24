// `translate train`: a translator from a parallel corpus.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/io/translator.hpp>
#include <rapt/rapt.hpp>

#include "corpus.hpp"

namespace translate {

using rapt::Index;

struct TrainFlags {
  std::string source, target, pairs, validation_source, validation_target, model, preset = "tiny", norm = "post";
  Index source_column = 1, target_column = 2, hold_out = 0, vocabulary = 10000, tokens = 4096, accumulate = 1;
  Index steps = 0, epochs = 0, warmup = 2000, validate_every = 500, patience = 0;
  double minutes = 0, learning_rate = 5e-3, clip = 0;
  float label_smoothing = 0.1f, dropout = -1, attention_dropout = 0, activation_dropout = 0;
  bool isolate_han = false;
  std::uint64_t seed = 1;
};

inline CLI::App* add_train(CLI::App& app, TrainFlags& f) {
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

inline void write_lines(const std::string& path, const std::vector<std::string>& lines) {
  rapt::AtomicFile file(path);
  for (const std::string& line : lines) file.write((line + "\n").data(), line.size() + 1);
  file.commit();
}

inline int train(const TrainFlags& f) {
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

}  // namespace translate
