// `translate train`: a translator from a parallel corpus, as a job that may run for days and be stopped at any time.
#pragma once

#include <cstdint>
#include <cstdio>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/pipelines/translator.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/bleu.hpp>
#include <rapt/train/job.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../common/lines.hpp"
#include "../common/run_flags.hpp"
#include "../common/subwords.hpp"
#include "corpus.hpp"
#include "train_flags.hpp"

namespace translate {

using Model = rapt::Transformer<float>;

// Corpus --------------------------------------------------------------------------------------------------------------

struct Corpora {
  rapt::ParallelCorpus training, validation, test;
};

inline void check_corpus_flags(const TrainFlags& f) {
  rapt::require(f.pairs.empty() != f.source.empty() && f.source.empty() == f.target.empty(), "train",
                "give --source and --target, or --pairs");
  rapt::require(f.validation_source.empty() == f.validation_target.empty(), "train",
                "--validation-source needs --validation-target");
}

inline Corpora read_corpora(const TrainFlags& f) {
  Corpora corpora;
  corpora.training = f.pairs.empty()
                         ? rapt::ParallelCorpus::read(f.source, f.target)
                         : rapt::ParallelCorpus::read_tab_separated(f.pairs, f.source_column - 1, f.target_column - 1);
  if (const Index dropped = corpora.training.drop_empty(); dropped > 0 && f.processes.is_first()) {
    std::fprintf(stderr, "left out %td pairs with a blank side\n", dropped);
  }
  if (f.hold_out > 0) {
    corpora.test = corpora.training.hold_out(f.hold_out, f.seed);
    corpora.validation = corpora.training.hold_out(f.hold_out, f.seed + 1);
  }
  if (!f.validation_source.empty()) {
    corpora.validation = rapt::ParallelCorpus::read(f.validation_source, f.validation_target);
    corpora.validation.drop_empty();
  }
  return corpora;
}

inline rapt::TextEncoding learn_subwords(const TrainFlags& f, const rapt::ParallelCorpus& corpus) {
  std::vector<std::string> lines = corpus.source;
  lines.insert(lines.end(), corpus.target.begin(), corpus.target.end());
  if (f.isolate_han) {
    for (std::string& line : lines) line = rapt::separate_han(line);
  }
  return {
      subwords_of(lines, {.vocabulary_size = f.vocabulary, .byte_fallback = f.byte_fallback}, f.processes.is_first()),
      f.isolate_han};
}

// What a run was started with -----------------------------------------------------------------------------------------

/// A text that tells corpora apart.
inline std::string fingerprint(const rapt::ParallelCorpus& corpus) {
  rapt::Fingerprint fingerprint;
  for (const auto* side : {&corpus.source, &corpus.target}) {
    for (const std::string& line : *side) {
      fingerprint.add(std::string_view(line));
      fingerprint.add("\n");
    }
  }
  return data_text(static_cast<std::size_t>(corpus.size()), "pairs", fingerprint);
}

/// The options that a run which goes on may have changed. (Corpora have fingerprints.)
inline std::set<std::string> free_options() {
  return {"--resume",
          "--restart",
          "--steps",
          "--epochs",
          "--minutes",
          "--patience",
          "--average",
          "--keep",
          "--folder",
          "--model",
          "--log-every",
          "--plot",
          "--shard-optimizer",
          "--timeout",
          "--help",
          "--source",
          "--target",
          "--pairs",
          "--validation-source",
          "--validation-target"};
}

inline rapt::JobOptions job_options(const TrainFlags& f, const CLI::App& command, const Corpora& corpora) {
  rapt::JobOptions options{.resume = f.resume,
                           .restart = f.restart,
                           .checkpoint_every = f.checkpoint_every,
                           .checkpoint_at_end = f.checkpoint_at_end,
                           .keep = f.keep,
                           .average = f.average,
                           .log_every = f.log_every,
                           .plot = f.plot,
                           .deciding = deciding_options(command, free_options()),
                           .corpus = fingerprint(corpora.training) + "; validation: " + fingerprint(corpora.validation),
                           .communicator = f.processes.communicator,
                           .messages = stderr,
                           .resume_name = "--resume",
                           .restart_name = "--restart"};
  if (f.checkpoint_every > 0 || f.resume) options.folder = f.folder.empty() ? f.model + ".run" : f.folder;
  return options;
}

// Training ------------------------------------------------------------------------------------------------------------

/// Corpus, subwords, model and job of a training.
class Training {
 public:
  Training(const TrainFlags& flags, const CLI::App& command)
      : f_(flags), corpora_(read_corpora(flags)), job_(job_options(flags, command, corpora_)) {
    text_ = job_.resumes()
                ? rapt::TextEncoding{rapt::BytePairEncoding::from_text(job_.stored("subwords"), "the checkpoint"),
                                     f_.isolate_han}
                : learn_subwords(f_, corpora_.training);
    pairs_ = encode(corpora_.training, text_);
    validation_pairs_ = encode(corpora_.validation, text_);
    drop_long(pairs_, f_.tokens);
    count_validation();
    drop_long(validation_pairs_, f_.tokens);
    rapt::require(!pairs_.empty(), "train", "the corpus has no sentence pairs of at most --tokens ", f_.tokens);
  }

  rapt::TrainingSummary run() {
    rapt::Rng rng(f_.seed);
    Model model(config(), rng);
    if (f_.processes.is_first())
      std::fprintf(stderr, "%s\n%zu pairs, %td subwords, %td parameters\n", to_string(rapt::build_info()).c_str(),
                   pairs_.size(), text_.subwords.vocabulary().size(), count_parameters(model));
    rapt::BatchStream stream = batches();
    rapt::Trainer trainer(model, trainer_options());
    // Not before: a refused run must not put other sentences into the test of an earlier one.
    if (f_.hold_out > 0 && f_.processes.is_first()) {
      write_lines(f_.model + ".test.source", corpora_.test.source);
      write_lines(f_.model + ".test.target", corpora_.test.target);
    }
    rapt::JobHooks<Model> hooks{
        .save_model = [&](const Model& some, const auto& file) { rapt::Translator(some, text_).save(file); },
        .metadata = {{"subwords", text_.subwords.to_text()}}};
    if (!validation_pairs_.empty()) hooks.measure = [&](const Model& some) { return measure(some); };
    const rapt::JobSummary summary = job_.run(trainer, stream,
                                              {.steps = f_.steps,
                                               .seconds = 60 * f_.minutes,
                                               .epochs = f_.epochs,
                                               .validate_every = f_.validate_every,
                                               .patience = f_.patience},
                                              hooks);
    if (!f_.processes.is_first()) return summary.training;
    rapt::Translator(std::move(model), text_).save(f_.model);
    char line[120];
    std::snprintf(line, sizeof line, "%td steps in %s, %td epochs; kept: ", summary.training.steps,
                  rapt::clock_text(summary.training.seconds).c_str(), stream.position().epoch);
    job_.message(line + summary.chosen + ": written to " + f_.model);
    return summary.training;
  }

  /// The number of validation pairs that are too long for --tokens with these subwords, and left out of the loss.
  [[nodiscard]] Index long_validation_pairs() const {
    return corpora_.validation.size() - std::ssize(validation_pairs_);
  }
  /// Target tokens of the validation pairs, with their ends, over the characters of these sentences. The loss per token
  /// times this is the loss per character, by which vocabularies of different sizes can be compared.
  [[nodiscard]] double validation_tokens_per_character() const {
    return static_cast<double>(validation_tokens_) / static_cast<double>(std::max<Index>(1, validation_characters_));
  }

 private:
  /// Of the pairs that are not too long.
  void count_validation() {
    for (std::size_t i = 0; i < validation_pairs_.size(); ++i) {
      if (!fits(validation_pairs_[i], f_.tokens)) continue;
      validation_tokens_ += std::ssize(validation_pairs_[i].target) + 1;
      for (const char c : corpora_.validation.target[i]) {
        validation_characters_ += (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;  // bytes that begin one
      }
    }
  }

  [[nodiscard]] rapt::TransformerConfig config() const {
    auto config = rapt::TransformerConfig::preset(f_.preset, text_.subwords.vocabulary().size());
    config.dropout = f_.dropout.value_or(config.dropout);
    config.encoder_layers = f_.layers.value_or(config.encoder_layers);
    config.decoder_layers = f_.layers.value_or(config.decoder_layers);
    config.attention_dropout = f_.attention_dropout;
    config.activation_dropout = f_.activation_dropout;
    config.norm = f_.norm == "pre" ? rapt::NormPlacement::pre : rapt::NormPlacement::post;
    return config;
  }

  [[nodiscard]] rapt::TrainerOptions trainer_options() const {
    rapt::TrainerOptions options{.learning_rate = rapt::InverseSquareRootSchedule{f_.learning_rate, f_.warmup},
                                 .label_smoothing = f_.label_smoothing,
                                 .accumulate = f_.accumulate,
                                 .clip_norm = f_.clip,
                                 .average_decay = f_.moving_average,
                                 .seed = f_.seed};
    if (f_.cooldown > 0) {
      rapt::require(f_.steps >= f_.cooldown, "train", "--cooldown ", f_.cooldown, " needs as many --steps: ", f_.steps);
      options.learning_rate = rapt::CooldownSchedule{options.learning_rate, f_.steps, f_.cooldown};
    }
    return f_.processes.shared(std::move(options));
  }

  [[nodiscard]] rapt::BatchStream batches() const {
    if (f_.bpe_dropout == 0) return {pairs_, batching()};
    return {[this](Index epoch) {
              rapt::Rng rng(f_.seed + 0x9E3779B97F4A7C15ull * static_cast<std::uint64_t>(epoch + 1));
              std::vector<rapt::TokenPair> pairs;
              for (std::size_t i = 0; i < corpora_.training.source.size(); ++i) {
                rapt::TokenPair pair{text_.encode(corpora_.training.source[i], f_.bpe_dropout, rng),
                                     text_.encode(corpora_.training.target[i], f_.bpe_dropout, rng)};
                if (fits(pair, f_.tokens)) pairs.push_back(std::move(pair));
              }
              return pairs;
            },
            batching()};
  }
  [[nodiscard]] rapt::BatchOptions batching() const { return {.tokens = f_.tokens, .seed = f_.seed}; }

  /// What validation measures: the loss, or BLEU with its sign changed, so that smaller is better.
  [[nodiscard]] rapt::Measurement measure(const Model& model) const {
    const double loss =
        mean_loss(model, std::span<const rapt::TokenPair>(validation_pairs_), batching(), f_.processes.communicator);
    char text[160];
    std::snprintf(text, sizeof text, "validation loss %.4f  perplexity %.2f", loss, std::exp(loss));
    rapt::Measurement result{.score = loss, .text = text, .entry = {{"validation_loss", loss}}};
    if (f_.validate_by == "bleu") {
      rapt::BleuOptions options;
      if (f_.tokenize == "none") options.tokenize = rapt::BleuOptions::Tokenize::none;
      const rapt::Translator translator(model, text_);
      const auto translations = f_.processes.spread(
          corpora_.validation.source, [&](const auto& lines) { return translator.translate(lines, {.beam_size = 1}); });
      const double score = rapt::bleu(translations, corpora_.validation.target, options).score;
      std::snprintf(text, sizeof text, "  BLEU %.2f", score);
      result.text += text;
      result.entry["validation_bleu"] = score;
      result.score = -score;
    }
    return result;
  }

  const TrainFlags& f_;
  Corpora corpora_;
  rapt::TrainingJob job_;
  rapt::TextEncoding text_{rapt::BytePairEncoding::learn({}), false};
  std::vector<rapt::TokenPair> pairs_, validation_pairs_;
  Index validation_tokens_ = 0, validation_characters_ = 0;
};

inline void train(const TrainFlags& f, const CLI::App& command) {
  rapt::require(f.steps > 0 || f.epochs > 0 || f.minutes > 0 || f.patience > 0, "train",
                "say when to stop: --steps, --epochs, --minutes or --patience");
  check_corpus_flags(f);
  rapt::JobProcesses(f.processes.communicator).on_first([&] {
    for (const std::string& file : {f.model, f.plot}) {
      if (!file.empty()) rapt::AtomicFile{file};  // an unwritable place shows now, not after hours
    }
  });
  Training(f, command).run();
}

}  // namespace translate
