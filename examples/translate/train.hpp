// `translate train`: a translator from a parallel corpus, as a job that may run for days and be stopped at any time.
#pragma once

#include <atomic>
#include <csignal>
#include <cstdio>
#include <optional>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/io/checkpoint.hpp>
#include <rapt/io/run_folder.hpp>
#include <rapt/pipelines/translator.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/bleu.hpp>
#include <rapt/visualization/line_chart.hpp>
#include <set>

#include "corpus.hpp"
#include "train_flags.hpp"

namespace translate {

using Json = nlohmann::ordered_json;
using Model = rapt::Transformer<float>;

// Corpus --------------------------------------------------------------------------------------------------------------

struct Corpora {
  rapt::ParallelCorpus training, validation, test;
};

inline void write_lines(const std::string& path, const std::vector<std::string>& lines) {
  rapt::AtomicFile file(path);
  for (const std::string& line : lines) file.write((line + "\n").data(), line.size() + 1);
  file.commit();
}

inline Corpora read_corpora(const TrainFlags& f) {
  Corpora corpora;
  corpora.training = f.pairs.empty()
                         ? rapt::ParallelCorpus::read(f.source, f.target)
                         : rapt::ParallelCorpus::read_tab_separated(f.pairs, f.source_column - 1, f.target_column - 1);
  if (const Index dropped = corpora.training.drop_empty(); dropped > 0) {
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
  return {rapt::BytePairEncoding::learn(lines, {.vocabulary_size = f.vocabulary, .byte_fallback = f.byte_fallback}),
          f.isolate_han};
}

// What a run was started with -----------------------------------------------------------------------------------------

/// The options that were given and decide what is computed: a resumed run must have the same.
inline Json deciding_options(const CLI::App& command) {
  static const std::set<std::string> kFree = {
      "--resume",  "--restart", "--steps",  "--epochs", "--minutes",           "--patience",
      "--average", "--keep",    "--folder", "--model",  "--log-every",         "--plot",
      "--help",    "--source",  "--target", "--pairs",  "--validation-source", "--validation-target"};
  Json options = Json::object();
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0 && !kFree.contains(option->get_name())) options[option->get_name()] = option->results();
  }
  return options;
}

/// A number that tells corpora apart (FNV-1a over all sentences).
inline std::string fingerprint(const rapt::ParallelCorpus& corpus) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const auto* side : {&corpus.source, &corpus.target}) {
    for (const std::string& line : *side) {
      for (const char c : line + "\n") hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    }
  }
  return std::to_string(corpus.size()) + " pairs, " + std::to_string(hash);
}

/// Throws unless the checkpoint is of a run with these options on this corpus.
inline void require_same_run(const rapt::SafetensorsFile& checkpoint, const Json& options, const std::string& corpus) {
  const auto entry = [&](const char* key) {
    const auto found = checkpoint.metadata().find(key);
    rapt::require<rapt::IoError>(found != checkpoint.metadata().end(), "train", checkpoint.path(),
                                 ": it is no checkpoint of `translate train`: its metadata has no \"", key, "\"");
    return found->second;
  };
  rapt::require(entry("corpus") == corpus, "train", checkpoint.path(),
                ": the run was started on another corpus: it had ", entry("corpus"), ", this one has ", corpus);
  const Json before = Json::parse(entry("options"), nullptr, /*allow_exceptions=*/false);
  std::set<std::string> names;
  rapt::require<rapt::IoError>(before.is_object(), "train", checkpoint.path(), ": \"options\" must be a JSON object");
  for (const Json* some : {&before, &options}) {
    for (const auto& [name, value] : some->items()) names.insert(name);
  }
  const auto shown = [](const Json& some, const std::string& name) {
    return some.contains(name) ? some[name].dump() : std::string("not given");
  };
  for (const std::string& name : names) {
    rapt::require(shown(before, name) == shown(options, name), "train", checkpoint.path(),
                  ": the run was started with another ", name, ": then ", shown(before, name), ", now ",
                  shown(options, name));
  }
}

// Interruption --------------------------------------------------------------------------------------------------------

/// Becomes true at the first Ctrl-C or request to end; the second one ends the program at once.
inline std::atomic<bool>& interrupted() {
  static std::atomic<bool> flag{false};
  return flag;
}
inline void listen_for_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted().store(true); };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

// Training ------------------------------------------------------------------------------------------------------------

/// A run: what training calls to look at the model, to write it down, and to choose in the end.
class TrainingJob {
 public:
  TrainingJob(const TrainFlags& flags, const CLI::App& command)
      : f_(flags),
        corpora_(read_corpora(flags)),
        corpus_name_(fingerprint(corpora_.training) + "; validation: " + fingerprint(corpora_.validation)) {
    const Json options = deciding_options(command);
    options_ = options.dump();
    const std::filesystem::path folder = f_.folder.empty() ? f_.model + ".run" : f_.folder;
    rapt::require<rapt::IoError>(!f_.resume || std::filesystem::exists(folder), "train",
                                 "there is nothing to resume: no folder ", folder.string());
    if (f_.checkpoint_every > 0 || f_.resume) folder_.emplace(folder);
    std::optional<rapt::SafetensorsFile> checkpoint;
    if (folder_ && std::filesystem::exists(folder_->checkpoint())) {
      rapt::require(f_.resume || f_.restart, "train", folder_->checkpoint().string(),
                    ": an earlier run has left a checkpoint: --resume goes on from it, --restart gives it up");
      if (f_.resume) checkpoint.emplace(folder_->checkpoint());
    } else {
      rapt::require<rapt::IoError>(!f_.resume, "train", "there is nothing to resume: no ",
                                   folder_ ? folder_->checkpoint().string() : std::string());
    }
    if (checkpoint) {
      require_same_run(*checkpoint, options, corpus_name_);
      const auto subwords = checkpoint->metadata().find("subwords");
      rapt::require<rapt::IoError>(subwords != checkpoint->metadata().end(), "train", checkpoint->path(),
                                   ": the checkpoint has no subwords");
      text_ = {rapt::BytePairEncoding::from_text(subwords->second, checkpoint->path()), f_.isolate_han};
    } else {
      text_ = learn_subwords(f_, corpora_.training);
    }
    pairs_ = encode(corpora_.training, text_);
    validation_pairs_ = encode(corpora_.validation, text_);
    drop_long(pairs_, f_.tokens);
    drop_long(validation_pairs_, f_.tokens);
    rapt::require(!pairs_.empty(), "train", "the corpus has no sentence pairs of at most --tokens ", f_.tokens);
    if (f_.hold_out > 0) {  // not before: a refused run must not put other sentences into the test of an earlier one
      write_lines(f_.model + ".test.source", corpora_.test.source);
      write_lines(f_.model + ".test.target", corpora_.test.target);
    }
  }

  int run() {
    rapt::Rng rng(f_.seed);
    Model model(config(), rng);
    std::fprintf(stderr, "%s\n%zu pairs, %td subwords, %td parameters\n", to_string(rapt::build_info()).c_str(),
                 pairs_.size(), text_.subwords.vocabulary().size(), count_parameters(model));
    rapt::BatchStream stream = batches();
    rapt::Trainer trainer(model, trainer_options());
    if (folder_) folder_->remove_leftovers();
    if (f_.resume) {
      load_checkpoint(folder_->checkpoint(), trainer, stream);
      if (trainer.state().best_step > 0) best_ = load(folder_->best());
      kept_step_ = trainer.steps();
      folder_->prune(keep_count(), kept_step_);
      progress_.message("goes on after step " + std::to_string(kept_step_));
    } else if (folder_) {
      clear_folder();  // also of what a run that came to no checkpoint has left: it must not get into the averages
    }
    if (folder_) {
      log_.emplace(folder_->log(), f_.resume ? trainer.steps() : -1);
      if (!f_.plot.empty()) {
        for (const Json& entry : rapt::JsonLog::read(folder_->log())) add_to_curves(entry);
      }
    }
    log({{"rapt", to_string(rapt::build_info())}, {"options", Json::parse(options_)}, {"corpus", corpus_name_}});

    listen_for_interrupts();
    const rapt::TrainingSummary summary = trainer.run(
        stream,
        {.steps = f_.steps,
         .seconds = 60 * f_.minutes,
         .epochs = f_.epochs,
         .validate_every = validation_pairs_.empty() ? 0 : f_.validate_every,
         .patience = f_.patience,
         .keep_best = false,
         .save_every = f_.checkpoint_every,
         .stop = &interrupted()},
        [&] { return validate(trainer); }, [&](const rapt::Progress& p) { report(p); }, [&] { save(trainer); });
    if (summary.reason == rapt::StopReason::request) {
      std::string message = "stopped after step " + std::to_string(summary.steps);
      message += kept_step_ == 0 ? ": nothing is kept" : ": the same command with --resume goes on";
      if (kept_step_ > 0 && kept_step_ < summary.steps) message += " after step " + std::to_string(kept_step_);
      progress_.message(message);
      return 130;
    }
    finish(trainer, summary, stream.position().epoch);
    return 0;
  }

 private:
  [[nodiscard]] rapt::TransformerConfig config() const {
    auto config = rapt::TransformerConfig::preset(f_.preset, text_.subwords.vocabulary().size());
    if (f_.dropout >= 0) config.dropout = f_.dropout;
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
    return options;
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

  /// What validation measures: the loss, or BLEU with its sign turned, so that less is better. Tells and logs it.
  double measure(const Model& model, const std::string& name, Json entry) {
    const double loss = mean_loss(model, std::span<const rapt::TokenPair>(validation_pairs_), batching());
    entry["validation_loss"] = loss;
    char line[160];
    std::snprintf(line, sizeof line, "%s  validation loss %.4f  perplexity %.2f", name.c_str(), loss, std::exp(loss));
    std::string message = line;
    double result = loss;
    if (f_.validate_by == "bleu") {
      rapt::BleuOptions options;
      if (f_.tokenize == "none") options.tokenize = rapt::BleuOptions::Tokenize::none;
      const auto translations = rapt::Translator(model, text_).translate(corpora_.validation.source, {.beam_size = 1});
      const double score = rapt::bleu(translations, corpora_.validation.target, options).score;
      entry["validation_bleu"] = score;
      std::snprintf(line, sizeof line, "  BLEU %.2f", score);
      message += line;
      result = -score;
    }
    progress_.message(message);
    log(entry);
    return std::isnan(result) ? std::numeric_limits<double>::infinity() : result;
  }

  double validate(rapt::Trainer<Model>& trainer) {
    const double result =
        measure(trainer.model(), "step " + std::to_string(trainer.steps()), {{"step", trainer.steps()}});
    if (result < trainer.state().best_validation) {
      best_ = trainer.model();
      best_is_new_ = true;
      if (folder_) keep([&] { save_best(); });
    }
    plot();
    return result;
  }

  void report(const rapt::Progress& p) {
    progress_.update(p);
    if (f_.log_every == 0 || p.step % f_.log_every != 0) return;
    log({{"step", p.step},
         {"loss", p.loss},
         {"learning_rate", p.learning_rate},
         {"gradient_norm", p.gradient_norm},
         {"tokens_per_second", p.tokens_per_second},
         {"seconds", p.seconds}});
  }

  void save_best() {
    if (!best_is_new_) return;
    rapt::Translator(*best_, text_).save(folder_->best());
    best_is_new_ = false;
  }

  /// So many versions that the average can be made.
  [[nodiscard]] Index keep_count() const { return std::max(f_.keep, f_.average); }

  /// The checkpoint last: whenever it is there, so are the versions and the best model that belong to it.
  void save(rapt::Trainer<Model>& trainer) {
    if (!folder_) return;
    const bool kept = keep([&] {
      save_best();
      if (f_.checkpoint_every > 0 && trainer.steps() % f_.checkpoint_every == 0) {
        rapt::Translator(trainer.model(), text_).save(folder_->version(trainer.steps()));
      }
      save_checkpoint(folder_->checkpoint(), trainer,
                      {{"options", options_}, {"corpus", corpus_name_}, {"subwords", text_.subwords.to_text()}});
    });
    if (kept) kept_step_ = trainer.steps();
    // While the disk takes versions, but no checkpoint, they must not add up; those of the last checkpoint stay a
    // while.
    folder_->prune(kept ? keep_count() : 2 * keep_count(), trainer.steps());
  }

  /// Whether it could be written; a full disk does not end the training, as the checkpoint before is whole and the next
  /// may succeed.
  template <class Write>
  bool keep(const Write& write) {
    try {
      write();
      return true;
    } catch (const rapt::IoError& error) {
      progress_.message(std::string("cannot keep what is learned: ") + error.what() +
                        "; what was written before stays, training goes on");
      return false;
    }
  }

  /// Of the last model, the best one and the averages, the one that does best on the validation pairs; without such
  /// pairs the average that was asked for.
  void finish(rapt::Trainer<Model>& trainer, const rapt::TrainingSummary& summary, Index epochs) {
    struct Choice {
      std::string name;
      Model model;
      std::optional<double> result = {};  // of `measure`
    };
    std::vector<Choice> choices{{"step " + std::to_string(summary.steps), trainer.model()}};
    if (best_ && summary.best_step != summary.steps) {
      choices.push_back({"step " + std::to_string(summary.best_step), *best_, summary.best_validation});
    }
    if (f_.average > 1 && folder_) {
      const auto files = folder_->last_versions(f_.average, summary.steps);
      if (files.size() > 1) {
        Model mean = trainer.model();
        try {
          load_mean(mean, std::span<const std::filesystem::path>(files));
          choices.push_back({"mean of the last " + std::to_string(files.size()) + " versions", std::move(mean)});
        } catch (const rapt::Error& error) {  // a damaged version must not cost the model
          progress_.message(std::string("no mean of the last versions: ") + error.what());
        }
      }
    }
    if (trainer.average()) {
      choices.push_back({"moving average", trainer.model()});
      trainer.average()->assign_to(choices.back().model);
    }
    std::size_t chosen = choices.size() - 1;
    if (!validation_pairs_.empty() && choices.size() > 1) {
      for (std::size_t i = 0; i < choices.size(); ++i) {
        Choice& choice = choices[i];
        if (!choice.result) choice.result = measure(choice.model, choice.name, {{"model", choice.name}});
        if (i == 0 || *choice.result < *choices[chosen].result) chosen = i;
      }
    }
    rapt::Translator(std::move(choices[chosen].model), text_).save(f_.model);
    plot();
    char line[120];
    std::snprintf(line, sizeof line, "%td steps in %s, %td epochs; kept: ", summary.steps,
                  rapt::clock_text(summary.seconds).c_str(), epochs);
    progress_.message(line + choices[chosen].name + ": written to " + f_.model);
  }

  [[nodiscard]] static Model load(const std::filesystem::path& file) { return rapt::load_model<Model>(file); }

  void clear_folder() const {
    std::filesystem::remove(folder_->checkpoint());
    std::filesystem::remove(folder_->best());
    folder_->prune(0, 0);
  }

  void log(const Json& entry) {
    if (log_) {
      const bool failed = !log_->write(entry);
      if (failed && !log_failed_) progress_.message("cannot write " + folder_->log().string());
      log_failed_ = failed;
    }
    add_to_curves(entry);
  }

  void add_to_curves(const Json& entry) {
    const auto step = entry.find("step");
    if (step == entry.end() || !step->is_number()) return;
    for (const char* key : {"loss", "validation_loss", "learning_rate", "validation_bleu"}) {
      const auto value = entry.find(key);
      if (value != entry.end() && value->is_number()) curve(key).push_back({*step, *value});
    }
  }

  std::vector<rapt::ChartPoint>& curve(const std::string& key) {
    if (key == "loss") return curves_.training_loss;
    if (key == "validation_loss") return curves_.validation_loss;
    return key == "learning_rate" ? curves_.learning_rate : curves_.bleu;
  }

  void plot() {
    if (f_.plot.empty()) return;
    keep([&] {
      const std::string svg = training_curves(curves_);
      rapt::AtomicFile file(f_.plot);
      file.write(svg.data(), svg.size());
      file.commit();
    });
  }

  const TrainFlags& f_;
  Corpora corpora_;
  std::string corpus_name_, options_;
  std::optional<rapt::RunFolder> folder_;
  rapt::TextEncoding text_{rapt::BytePairEncoding::learn({}), false};
  std::vector<rapt::TokenPair> pairs_, validation_pairs_;
  std::optional<Model> best_;
  std::optional<rapt::JsonLog> log_;
  rapt::TrainingCurves curves_;
  rapt::ProgressLine progress_;
  Index kept_step_ = 0;  // of the last checkpoint
  bool best_is_new_ = false, log_failed_ = false;
};

inline int train(const TrainFlags& f, const CLI::App& command) {
  rapt::require(f.steps > 0 || f.epochs > 0 || f.minutes > 0 || f.patience > 0, "train",
                "say when to stop: --steps, --epochs, --minutes or --patience");
  rapt::require(f.pairs.empty() != f.source.empty() && f.source.empty() == f.target.empty(), "train",
                "give --source and --target, or --pairs");
  rapt::require(f.validation_source.empty() == f.validation_target.empty(), "train",
                "--validation-source needs --validation-target");
  for (const std::string& file : {f.model, f.plot}) {
    if (!file.empty()) rapt::AtomicFile{file};  // an unwritable place shows now, not after hours
  }
  return TrainingJob(f, command).run();
}

}  // namespace translate
