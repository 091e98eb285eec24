/// \file
/// The training that all tasks of fine-tuning share: what is frozen, an adapter, the job, and the folder in the end.
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "rapt/data/fingerprint.hpp"
#include "rapt/finetune/finetune_options.hpp"
#include "rapt/finetune/tuned_model.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/nn/with_lora.hpp"
#include "rapt/optim/layer_decay.hpp"
#include "rapt/optim/schedule.hpp"
#include "rapt/pretrained/adapter_folder.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "rapt/train/job.hpp"
#include "rapt/train/job_processes.hpp"
#include "rapt/train/processes.hpp"
#include "rapt/train/trainer.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// What a task adds to its model and its batches.
template <class Batch>
struct TuningTask {
  std::string adapter_task;            ///< "task_type" of an adapter's folder, PEFT's name for the task
  std::vector<std::string> head = {};  ///< patterns of parameters that are trained whatever is frozen or adapted
  std::string examples = {};           ///< "24 + 9 texts, 3 labels", to be shown
  std::string corpus = {};             ///< tells the examples apart, see JobOptions
  /// What of the model's folder decides the measurements beside the model itself: values by their keys.
  nlohmann::ordered_json deciding = nlohmann::ordered_json::object();
  /// How well the model does on the validation examples; `adapter`, which may be nullptr, is to be used.
  std::function<Measurement(const TunedModel<Batch>& model, const WeightAdapter<float>* adapter)> measure = {};
};

/// What tells examples apart: "24 texts, 1234567".
[[nodiscard]] inline std::string corpus_text(Index count, std::string_view items, const Fingerprint& fingerprint) {
  return std::to_string(count).append(" ").append(items).append(", ") + std::to_string(fingerprint.value());
}

/// The linear maps that PEFT adapts where nothing else is said (its
/// TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING).
[[nodiscard]] inline std::vector<std::string> usual_adapter_targets(const std::string& model_type) {
  if (model_type == "gpt2") return {"c_attn"};
  if (model_type == "phi3") return {"qkv_proj"};
  if (model_type == "t5" || model_type == "mt5") return {"q", "v"};
  if (model_type == "distilbert") return {"q_lin", "v_lin"};
  const std::set<std::string_view> encoders = {"bert", "roberta", "xlm-roberta", "electra", "albert"};
  if (encoders.contains(model_type)) return {"query", "value"};
  return {"q_proj", "v_proj"};
}

/// Copies the files of a folder's tokenizer, whichever it has: they are more than `save_tokenizer` writes, which has no
/// SentencePiece's model and not all settings. So are the settings of generation, of which a model knows the tokens
/// that begin and end its sequences.
inline void copy_settings(const std::filesystem::path& from, const std::filesystem::path& to) {
  static const std::set<std::string, std::less<>> kNames = {"tokenizer.json",
                                                            "tokenizer_config.json",
                                                            "special_tokens_map.json",
                                                            "added_tokens.json",
                                                            "chat_template.jinja",
                                                            "generation_config.json",
                                                            "vocab.txt",
                                                            "vocab.json",
                                                            "merges.txt"};
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(from)) {
    const std::filesystem::path name = entry.path().filename();
    if (!kNames.contains(name.string()) && !is_sentencepiece(name.string())) continue;
    std::filesystem::copy_file(entry.path(), to / name, std::filesystem::copy_options::overwrite_existing);
  }
}

/// Leaves the parameters as they are that the options name, but for the head.
template <Module M>
void freeze_all_but(M& model, const FinetuneOptions& options, const std::vector<std::string>& head) {
  for (const std::string& pattern : options.freeze) freeze(model, pattern);
  for (const std::string& pattern : head) unfreeze(model, pattern);
  for (const std::string& pattern : options.freeze) {
    bool has_effect = false;
    for_each_parameter(model, [&](const std::string& name, const auto& parameter) {
      has_effect = has_effect || (parameter.is_frozen() && matches_pattern(name, pattern));
    });
    require(has_effect, kFinetune, options.option_prefix, "freeze ", pattern,
            " has no effect: the head is always trained");
  }
}

/// The folder that is written in the end: a place where it cannot be shows before the training.
inline void make_out_folder(const FinetuneOptions& options) {
  if (options.out.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  require<IoError>(!error && std::filesystem::is_directory(options.out), kFinetune, options.option_prefix, "out ",
                   options.out.string(), ": cannot make the folder: ", error ? error.message() : "it is a file");
}

template <BatchSource S>
JobSummary train_tuned(TunedModel<BatchOf<S>>& model, S& batches, const FinetuneOptions& options,
                       const TuningTask<BatchOf<S>>& task, const WeightAdapter<float>* adapter, Index of_parameters) {
  using Tuned = TunedModel<BatchOf<S>>;
  Index trained = 0;
  for_each_parameter(model, [&](const std::string&, const auto& p) { trained += p.is_frozen() ? 0 : p.size(); });
  require(trained > 0, kFinetune, options.option_prefix, "freeze leaves nothing to train: all ", of_parameters,
          " parameters are frozen");
  JobOptions job_options = options.job;
  job_options.corpus = task.corpus;
  if (job_options.deciding.empty()) {
    job_options.deciding = deciding_options(options);
    const bool rounds = options.gradient_exchange == GradientExchange::bfloat16;
    if (options.micro_batches > 1) job_options.deciding["micro_batches"] = options.micro_batches;
    if (options.micro_batches > 1 || rounds) job_options.deciding["rounds_gradients"] = rounds;
  }
  for (const auto& [key, value] : task.deciding.items()) job_options.deciding[key + " of the model's folder"] = value;
  job_options.choose_best = true;
  TrainingJob job(job_options);
  job.message(task.examples + ", " + std::to_string(trained) + " of " + std::to_string(of_parameters) +
              " parameters are trained");
  const Index steps_of_epoch = (batches.batches_per_epoch() + options.micro_batches - 1) / options.micro_batches;
  const Index steps = options.epochs * steps_of_epoch;
  const double rate = options.learning_rate > 0 ? options.learning_rate : adapter != nullptr ? 5e-4 : 5e-5;
  Trainer<Tuned> trainer(model,
                         {.learning_rate = CosineSchedule{.peak = rate, .warmup = steps / 10, .steps = steps + 1},
                          .adam = {.weight_decay = 0.01},
                          .label_smoothing = options.label_smoothing,
                          .clip_norm = 1,
                          .seed = options.seed,
                          .micro_batches = options.micro_batches,
                          .communicator = options.job.communicator,
                          .shard_optimizer = options.shard_optimizer,
                          .gradient_exchange = options.gradient_exchange});
  if (options.layer_decay != 1) set_layer_decay(trainer.optimizer(), options.layer_decay);
  JobProcesses(options.job.communicator).on_first([&] { make_out_folder(options); });
  return job.run(trainer, batches, {.steps = steps, .validate_every = steps_of_epoch, .patience = options.patience},
                 JobHooks<Tuned>{.measure = [&](const Tuned& measured) { return task.measure(measured, adapter); }});
}

/// Fine-tunes a model of `options.model`, or an adapter beside it, and writes `options.out`; of several processes rank
/// 0 writes.
template <class M, BatchSource S>
JobSummary tune(M& model, S& batches, const FinetuneOptions& options, const TuningTask<BatchOf<S>>& task) {
  using Tuned = TunedModel<BatchOf<S>>;
  freeze_all_but(model, options, task.head);
  const bool writes = !options.out.empty() && JobProcesses(options.job.communicator).is_first();
  JobSummary summary;
  if (options.adapter.rank > 0) {
    const FinetuneAdapter& wanted = options.adapter;
    const std::vector<std::string> targets =
        wanted.targets.empty() ? usual_adapter_targets(pretrained_type(options.model)) : wanted.targets;
    Rng rng(options.seed);
    Lora<float> adapter(model, adapter_targets(model, targets),
                        {.rank = wanted.rank, .alpha = wanted.alpha, .dropout = wanted.dropout}, rng);
    WithLora<M> adapted(model, adapter, task.head);
    Tuned tuned(adapted);
    summary = train_tuned(tuned, batches, options, task, &adapter, count_parameters(model));
    if (!writes) return summary;
    save_adapter(options.out, model, adapter,
                 {.base_model = options.model.string(), .task_type = task.adapter_task, .trained = task.head});
    save_pretrained_config(options.out, model);  // which has the names of the labels
  } else {
    Tuned tuned(model);
    summary = train_tuned(tuned, batches, options, task, nullptr, count_parameters(model));
    if (!writes) return summary;
    save_pretrained(options.out, model);
  }
  copy_settings(options.model, options.out);
  return summary;
}

}}}  // namespace rapt::RAPT_ABI::detail
