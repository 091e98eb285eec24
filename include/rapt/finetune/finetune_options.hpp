/// \file
/// What fine-tuning is told, whatever the task is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/optim/gradient_sum.hpp"
#include "rapt/pretrained/gguf_model.hpp"
#include "rapt/train/job_options.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A LoRA adapter that is trained in place of the model (nn/lora.hpp).
struct FinetuneAdapter {
  Index rank = 0;  ///< 0: there is none, the model itself is trained
  /// The adapter's product is multiplied by alpha / rank.
  double alpha = 16;
  /// The rate of dropout of what the adapter reads.
  float dropout = 0.05f;
  std::vector<std::string> targets = {};  ///< the adapted linear maps by PEFT's names; empty: PEFT's for the family
};

/// What is fine-tuned, on which examples, and how.
struct FinetuneOptions {
  std::filesystem::path model = {};       ///< the Hugging Face folder that is begun with
  std::filesystem::path train = {};       ///< the file of examples to learn from
  std::filesystem::path validation = {};  ///< the file of examples that the model is measured by
  std::filesystem::path out = {};         ///< the folder that is written; empty: nothing is
  Index epochs = 3, batch = 16;           ///< examples of a step
  Index patience = 0;                     ///< epochs without a better model that end the run; 0: no limit
  Index longest = 128;                    ///< tokens of an example, or what the model takes if that is less
  double learning_rate = 0;               ///< the highest one; 0: 5e-5, with an adapter 5e-4
  double layer_decay = 1;                 ///< see set_layer_decay
  float label_smoothing = 0;              ///< of losses over tokens and classes
  std::vector<std::string> freeze = {};   ///< patterns of parameters that stay as they are
  /// The adapter that is trained, if its rank is not 0.
  FinetuneAdapter adapter = {};
  /// What the best model is chosen by, a name that the task has; empty: the first of them.
  std::string measure = {};
  std::uint64_t seed = 1;  ///< of new heads, the order of examples, and dropout
  /// The run's folder, its checkpoints and messages. `corpus` and `choose_best` are set by fine-tuning, and so is
  /// `deciding` where it is empty: to the options above. What the model's folder says about searches is added to it,
  /// if the measure is one of texts that are searched for.
  JobOptions job = {};
  /// How the processes of `job.communicator` share a step, see TrainerOptions. A step has `micro_batches` times `batch`
  /// examples.
  Index micro_batches = 1;
  /// True: each process keeps a part of the optimizer's state.
  bool shard_optimizer = false;
  /// The format in which gradients travel between processes.
  GradientExchange gradient_exchange = GradientExchange::float32;
  std::string option_prefix = {};  ///< what messages put before names of options: "--" where they are flags
};

namespace detail {

inline constexpr const char* kFinetune = "finetune";

/// Throws ValueError for options that say nothing together, and IoError for folders that cannot be used, before
/// anything is read.
inline void require_finetune_options(const FinetuneOptions& options) {
  const std::string& p = options.option_prefix;
  require(options.adapter.rank >= 0 && options.epochs > 0 && options.batch > 0 && options.patience >= 0 &&
              options.longest >= 2 && options.learning_rate >= 0,
          kFinetune, "rank, patience and learning rate must not be negative, epochs and batch positive, ",
          "longest at least 2: ", options.adapter.rank, ", ", options.patience, ", ", options.learning_rate, ", ",
          options.epochs, ", ", options.batch, ", ", options.longest);
  require(options.micro_batches >= 1, kFinetune, "micro_batches must be at least 1: ", options.micro_batches);
  require(options.layer_decay > 0 && options.layer_decay <= 1, kFinetune,
          "the decay of layers must be greater than 0 and at most 1: ", options.layer_decay);
  require(options.adapter.rank == 0 || options.freeze.empty(), kFinetune, p, "freeze has no effect with ", p,
          "lora, which trains the adapter and the head alone");
  require(options.adapter.rank == 0 || options.layer_decay == 1, kFinetune, p, "layer-decay has no effect with ", p,
          "lora, whose matrices all have one rate");
  require<IoError>(!is_gguf(options.model), kFinetune, p, "model ", options.model.string(),
                   " is a GGUF file, which is not trained: give the Hugging Face folder that it was made from");
  std::error_code none;  // a folder that is not there is no error
  require(options.out.empty() || !std::filesystem::equivalent(options.out, options.model, none), kFinetune, p, "out ",
          options.out.string(), " is the folder of ", p, "model, which would be overwritten: give another folder");
  for (const char* other : {"model.safetensors", "adapter_model.safetensors"}) {  // transformers would open both
    const bool is_adapter = std::string_view(other).starts_with("adapter");
    require<IoError>(is_adapter == (options.adapter.rank > 0) || !std::filesystem::exists(options.out / other, none),
                     kFinetune, p, "out ", options.out.string(), " has ", other,
                     " of another model: give another folder");
  }
}

/// The options that decide what is computed, as JobOptions has them.
[[nodiscard]] inline nlohmann::ordered_json deciding_options(const FinetuneOptions& options) {
  return {{"model", options.model.string()},
          {"epochs", options.epochs},
          {"batch", options.batch},
          {"patience", options.patience},
          {"longest", options.longest},
          {"learning_rate", options.learning_rate},
          {"layer_decay", options.layer_decay},
          {"label_smoothing", options.label_smoothing},
          {"freeze", options.freeze},
          {"rank", options.adapter.rank},
          {"alpha", options.adapter.alpha},
          {"dropout", options.adapter.dropout},
          {"targets", options.adapter.targets},
          {"measure", options.measure},
          {"seed", options.seed}};
}

/// The measure that the options name, or else the first. Throws ValueError for one that the task does not have.
inline std::string chosen_measure(const FinetuneOptions& options, const std::vector<std::string>& known) {
  if (options.measure.empty()) return known.front();
  for (const std::string& name : known) {
    if (name == options.measure) return name;
  }
  std::string names;
  for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
  fail(kFinetune, options.option_prefix, "measure ", options.measure,
       " has no effect with this task, whose measures are: ", names);
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
