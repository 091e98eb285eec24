// The options of `translate train`.
#pragma once

#include <CLI/CLI.hpp>
#include <rapt/core/shape.hpp>
#include <string>

namespace translate {

using rapt::Index;

struct TrainFlags {
  std::string source, target, pairs, validation_source, validation_target, model, preset = "tiny", norm = "post";
  std::string validate_by = "loss", tokenize = "13a", folder, plot;
  Index source_column = 1, target_column = 2, hold_out = 0, vocabulary = 10000, tokens = 4096, accumulate = 1;
  Index steps = 0, epochs = 0, warmup = 2000, cooldown = 0, validate_every = 500, patience = 0;
  Index checkpoint_every = 500, keep = 10, average = 0, log_every = 50;
  double minutes = 0, learning_rate = 5e-3, clip = 0, moving_average = 0, bpe_dropout = 0;
  float label_smoothing = 0.1f, dropout = -1, attention_dropout = 0, activation_dropout = 0;
  bool isolate_han = false, byte_fallback = false, resume = false, restart = false;
  std::uint64_t seed = 1;
};

inline CLI::App* add_train(CLI::App& app, TrainFlags& f) {
  CLI::App* train = app.add_subcommand("train", "Train a translator on a parallel corpus.");
  const auto count = [&](const char* name, Index& value, const char* text) {
    train->add_option(name, value, text)->check(CLI::NonNegativeNumber)->capture_default_str();
  };
  const auto positive = [&](const char* name, auto& value, const char* text) {
    train->add_option(name, value, text)->check(CLI::PositiveNumber)->capture_default_str();
  };
  const auto rate = [&](const char* name, auto& value, const char* text) {
    train->add_option(name, value, text)->check(CLI::Range(0.0, 0.999999))->capture_default_str();
  };

  train->add_option("--source", f.source, "text file, one sentence a line, to translate from")->group("Corpus");
  train->add_option("--target", f.target, "text file with the translations, line by line")->group("Corpus");
  train->add_option("--pairs", f.pairs, "instead of --source and --target: one file, columns separated by tabs")
      ->group("Corpus");
  positive("--source-column", f.source_column, "of --pairs, counted from 1");
  positive("--target-column", f.target_column, "of --pairs, counted from 1");
  CLI::Option* validation_source =
      train->add_option("--validation-source", f.validation_source, "text file to measure on during training");
  train->add_option("--validation-target", f.validation_target, "its translations")->needs(validation_source);
  count("--hold-out", f.hold_out,
        "take so many pairs out of the corpus for validation, and as many for a test, which is written beside the "
        "model as MODEL.test.source and MODEL.test.target; no sentence of either side stays in training");
  positive("--vocabulary", f.vocabulary, "tokens of the joint byte-pair encoding");
  train->add_flag("--isolate-han", f.isolate_han, "make each Chinese character a word of its own");
  train->add_flag("--byte-fallback", f.byte_fallback, "characters outside of the vocabulary become bytes");
  rate("--bpe-dropout", f.bpe_dropout, "leave out merges with this probability, anew in each epoch (0.1)");

  train->add_option("--model", f.model, "where to write the trained model (safetensors)")->required();
  train->add_option("--preset", f.preset, "size: tiny, small, base or big (the paper's table 3)")
      ->capture_default_str();
  train->add_option("--norm", f.norm, "post: the paper; pre: norms before the sublayers")
      ->check(CLI::IsMember({"post", "pre"}))
      ->capture_default_str();
  train->add_option("--dropout", f.dropout, "instead of the preset's");
  train->add_option("--attention-dropout", f.attention_dropout, "of the attention weights")->capture_default_str();
  train->add_option("--activation-dropout", f.activation_dropout, "inside of the feed-forward networks")
      ->capture_default_str();

  positive("--tokens", f.tokens, "at most so many source and so many target tokens in a batch");
  positive("--accumulate", f.accumulate, "batches per step of the optimizer");
  positive("--learning-rate", f.learning_rate, "at its highest, after the warm-up");
  positive("--warmup", f.warmup, "steps; then the rate falls with the inverse square root of the step");
  count("--cooldown", f.cooldown, "the last so many of --steps, in which the rate falls to 0; 0: none");
  train->add_option("--label-smoothing", f.label_smoothing, "the paper's epsilon")->capture_default_str();
  train->add_option("--clip", f.clip, "largest norm of the gradients; 0: any")->check(CLI::NonNegativeNumber);
  count("--steps", f.steps, "stop after so many steps; 0: no limit");
  count("--epochs", f.epochs, "stop after so many passes through the corpus; 0: no limit");
  train->add_option("--minutes", f.minutes, "stop after so much time; 0: no limit")->check(CLI::NonNegativeNumber);
  train->add_option("--seed", f.seed, "the same seed gives the same model, at any number of threads")
      ->capture_default_str();

  positive("--validate-every", f.validate_every, "steps");
  train->add_option("--validate-by", f.validate_by, "what the best model is the best in: loss, or bleu (greedy search)")
      ->check(CLI::IsMember({"loss", "bleu"}))
      ->capture_default_str();
  train->add_option("--tokenize", f.tokenize, "for BLEU: 13a for plain text, none for text that is tokenised already")
      ->check(CLI::IsMember({"13a", "none"}))
      ->capture_default_str();
  count("--patience", f.patience, "stop after so many validations without improvement; 0: never");
  count("--average", f.average, "in the end try the mean of the last so many versions as well; 0: not");
  rate("--moving-average", f.moving_average, "in the end try a moving average of this decay as well (0.999); 0: not");

  count("--checkpoint-every", f.checkpoint_every,
        "steps after which a checkpoint and a version of the model are written; 0: nothing is kept");
  positive("--keep", f.keep, "so many last versions");
  train->add_option("--folder", f.folder, "for checkpoint, versions and log; default: MODEL.run");
  count("--log-every", f.log_every, "steps; the log is FOLDER/log.jsonl, a JSON object a line; 0: validations alone");
  CLI::Option* resume = train->add_flag("--resume", f.resume, "go on from the folder's checkpoint, bit for bit");
  train->add_flag("--restart", f.restart, "give up the folder's checkpoint and begin anew")->excludes(resume);
  train->add_option("--plot", f.plot, "SVG file for the curves of loss, learning rate and BLEU");
  return train;
}

}  // namespace translate
