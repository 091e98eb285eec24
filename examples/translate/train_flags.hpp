// The options of `translate train`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <rapt/core/shape.hpp>
#include <string>

#include "../common/flags.hpp"
#include "../common/processes.hpp"

namespace translate {

using rapt::Index;

struct TrainFlags {
  std::string source, target, pairs, validation_source, validation_target, model, preset = "tiny", norm = "post";
  std::string validate_by = "loss", tokenize = "13a", folder, plot;
  Index source_column = 1, target_column = 2, hold_out = 0, vocabulary = 10000, tokens = 4096, accumulate = 1;
  Index steps = 0, epochs = 0, warmup = 2000, cooldown = 0, validate_every = 500, patience = 0;
  Index checkpoint_every = 500, keep = 10, average = 0, log_every = 50;
  double minutes = 0, learning_rate = 5e-3, clip = 0, moving_average = 0, bpe_dropout = 0;
  float label_smoothing = 0.1f, attention_dropout = 0, activation_dropout = 0;
  std::optional<float> dropout;  // none: that of the preset
  std::optional<Index> layers;   // the same
  bool isolate_han = false, byte_fallback = false, resume = false, restart = false;
  bool checkpoint_at_end = false;  // has no option: a search goes on with trials that have ended
  std::uint64_t seed = 1;
  ProcessFlags processes;
};

inline CLI::App* add_train(CLI::App& app, TrainFlags& f) {
  CLI::App* train = app.add_subcommand("train", "Trains a translator on a parallel corpus.");
  CLI::App& command = *train;

  train->add_option("--source", f.source, "The text file to translate from, one sentence a line.")->group("Corpus");
  train->add_option("--target", f.target, "The text file with the translations, line by line.")->group("Corpus");
  train->add_option("--pairs", f.pairs, "One file for both, with columns separated by tabs.")->group("Corpus");
  add_positive(command, "--source-column", f.source_column, "The column of --pairs to translate from; 1 is the first.");
  add_positive(command, "--target-column", f.target_column, "The column of --pairs with the translations.");
  CLI::Option* validation_source =
      train->add_option("--validation-source", f.validation_source, "The text file to validate on during training.");
  train->add_option("--validation-target", f.validation_target, "The text file with its translations.")
      ->needs(validation_source);
  add_not_negative(command, "--hold-out", f.hold_out,
                   "Takes so many pairs out of the corpus for validation, and as many for a test, which is written "
                   "beside the model as MODEL.test.source and MODEL.test.target. No sentence of either side stays in "
                   "training.");
  add_positive(command, "--vocabulary", f.vocabulary, "The number of tokens of the joint byte-pair encoding.");
  train->add_flag("--isolate-han", f.isolate_han, "Makes each Chinese character a word of its own.");
  train->add_flag("--byte-fallback", f.byte_fallback, "Makes bytes of characters that the vocabulary lacks.");
  add_rate(command, "--bpe-dropout", f.bpe_dropout,
           "Leaves out merges with this probability, anew in each epoch; 0.1 is usual.");

  train->add_option("--model", f.model, "The safetensors file to write the trained model to.")->required();
  train->add_option("--preset", f.preset, "The size: tiny, small, or the paper's base or big (table 3).")
      ->capture_default_str();
  add_positive(command, "--layers", f.layers,
               "The number of layers of the encoder, and of the decoder. Without it that of the preset.");
  train->add_option("--norm", f.norm, "The place of the norms: `post` is the paper's, `pre` is before the sublayers.")
      ->check(CLI::IsMember({"post", "pre"}))
      ->capture_default_str();
  add_rate(command, "--dropout", f.dropout, "The rate of dropout. Without it that of the preset.");
  add_rate(command, "--attention-dropout", f.attention_dropout, "The rate of dropout of attention weights.");
  add_rate(command, "--activation-dropout", f.activation_dropout,
           "The rate of dropout inside of the feed-forward networks.");

  add_positive(command, "--tokens", f.tokens, "The most source tokens, and the most target tokens, of a batch.");
  add_positive(command, "--accumulate", f.accumulate, "The number of batches in a step of the optimizer.");
  add_positive(command, "--learning-rate", f.learning_rate, "The highest learning rate, which the warm-up ends with.");
  add_positive(command, "--warmup", f.warmup,
               "The steps in which the learning rate rises. Then it falls with the inverse square root of the step.");
  add_not_negative(command, "--cooldown", f.cooldown, "The last steps, of --steps, in which the rate falls to 0.");
  add_rate(command, "--label-smoothing", f.label_smoothing, "The epsilon of label smoothing, as in the paper.");
  add_not_negative(command, "--clip", f.clip, "The largest norm of the gradients; 0: any.");
  add_not_negative(command, "--steps", f.steps, "Stops after so many steps; 0: there is no limit.");
  add_not_negative(command, "--epochs", f.epochs,
                   "Stops after so many passes through the corpus; 0: there is no limit.");
  add_not_negative(command, "--minutes", f.minutes, "Stops after so much time; 0: there is no limit.");
  add_seed(command, f.seed, "The same seed gives the same model, at any number of threads.");

  add_positive(command, "--validate-every", f.validate_every, "The steps between validations.");
  train
      ->add_option("--validate-by", f.validate_by,
                   "What the best model is the best in: `loss`, or `bleu` of greedy search.")
      ->check(CLI::IsMember({"loss", "bleu"}))
      ->capture_default_str();
  train
      ->add_option("--tokenize", f.tokenize,
                   "How BLEU cuts text: `13a` is for plain text, `none` for text that is tokenised already.")
      ->check(CLI::IsMember({"13a", "none"}))
      ->capture_default_str();
  add_not_negative(command, "--patience", f.patience, "Stops after so many validations without improvement; 0: never.");
  add_not_negative(command, "--average", f.average,
                   "Tries the mean of so many last versions, too, in the end; 0: of none.");
  add_rate(command, "--moving-average", f.moving_average,
           "Tries a moving average of this decay, too, in the end; 0.999 is usual, 0: none is kept.");

  add_not_negative(command, "--checkpoint-every", f.checkpoint_every,
                   "The steps after which a checkpoint and a version of the model are written; 0: nothing is kept.");
  add_positive(command, "--keep", f.keep, "The number of last versions that are kept.");
  train->add_option("--folder", f.folder, "The folder of checkpoint, versions and log. Without it MODEL.run.");
  add_not_negative(command, "--log-every", f.log_every,
                   "The steps after which the log (FOLDER/log.jsonl) gets a line; 0: only validations are logged.");
  CLI::Option* resume = train->add_flag("--resume", f.resume, "Goes on from the folder's checkpoint, bit for bit.");
  train->add_flag("--restart", f.restart, "Gives up the folder's checkpoint and begins anew.")->excludes(resume);
  train->add_option("--plot", f.plot, "Writes the curves of loss, learning rate and BLEU to this SVG file.");
  f.processes.add_to(command);
  return train;
}

}  // namespace translate
