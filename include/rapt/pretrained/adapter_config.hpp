/// \file
/// adapter_config.json, in which Hugging Face's PEFT keeps the settings of a LoRA adapter.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/io/json.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/pretrained/config_keys.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What adapter_config.json says beside the adapter itself.
struct AdapterNotes {
  std::string base_model = {};            ///< "base_model_name_or_path": the folder of the model; empty: null
  std::string task_type = {};             ///< PEFT's, such as "SEQ_CLS" or "CAUSAL_LM"; empty: null
  std::vector<std::string> trained = {};  ///< patterns of the model's parameters that belong to it (see WithLora)
};

namespace detail {

/// What adapter_config.json says of the adapter's options. Throws IoError that names the file and the key for an
/// adapter of another kind.
[[nodiscard]] inline LoraOptions lora_options_of(const nlohmann::json& json, const std::string& file) {
  const auto is_set = [](const nlohmann::json& value) {
    return !value.is_null() && value != false && !((value.is_object() || value.is_array()) && value.empty());
  };
  const auto number = [&](const char* key, double otherwise) {
    const auto found = json.find(key);
    if (found == json.end()) return otherwise;
    require<IoError>(found->is_number() && std::isfinite(found->get<double>()), "load_adapter", file, ": \"", key,
                     "\" must be a number: ", describe(*found));
    return found->get<double>();
  };
  const auto type = json.find("peft_type");
  require<IoError>(type != json.end() && *type == "LORA", "load_adapter", file,
                   ": \"peft_type\" must be \"LORA\": ", type == json.end() ? "there is none" : describe(*type));
  const auto bias = json.find("bias");
  require<IoError>(bias == json.end() || *bias == "none", "load_adapter", file,
                   ": biases that are trained are not read: \"bias\" is ", bias == json.end() ? "" : describe(*bias));
  for (const char* key : {"lora_bias", "layer_replication", "rank_pattern", "alpha_pattern", "target_parameters",
                          "trainable_token_indices", "alora_invocation_tokens", "use_qalora", "arrow_config",
                          "use_bdlora", "kasa_config", "monteclora_config"}) {
    const auto found = json.find(key);
    require<IoError>(found == json.end() || !is_set(*found), "load_adapter", file, ": \"", key,
                     "\" is not supported: ", found == json.end() ? "" : describe(*found));
  }
  // Other ways to begin subtract the first B A from the model's weights, so that the adapter fits those alone.
  const auto init = json.find("init_lora_weights");
  const bool is_beside = init == json.end() || init->is_null() || init->is_boolean() || *init == "gaussian" ||
                         *init == "eva" || *init == "orthogonal";
  require<IoError>(is_beside, "load_adapter", file,
                   ": the adapter is for weights that were changed when its training began: \"init_lora_weights\" is ",
                   init == json.end() ? "" : describe(*init));
  const auto stabilized = json.find("use_rslora"), magnitudes = json.find("use_dora");
  require<IoError>(magnitudes == json.end() || magnitudes->is_null() || magnitudes->is_boolean(), "load_adapter", file,
                   ": \"use_dora\" must be true or false: ", magnitudes == json.end() ? "" : describe(*magnitudes));
  const double rank = number("r", 8);
  require<IoError>(rank >= 1 && rank <= 65536 && rank == std::floor(rank), "load_adapter", file,
                   ": \"r\" must be a whole number from 1 to 65536: ", rank);
  const double dropout = number("lora_dropout", 0);
  require<IoError>(dropout >= 0 && dropout < 1, "load_adapter", file,
                   ": \"lora_dropout\" must be in [0, 1): ", dropout);
  return {.rank = static_cast<Index>(rank),
          .alpha = number("lora_alpha", 8),
          .rank_stabilized = stabilized != json.end() && is_set(*stabilized),
          .dropout = static_cast<float>(dropout),
          .magnitudes = magnitudes != json.end() && is_set(*magnitudes)};
}

/// What is written for an adapter with these options. `target_modules` are the modules that are adapted,
/// `saved_modules` those that are saved as a whole; `transposed`: the adapted matrices are [in, out] in Python.
[[nodiscard]] inline nlohmann::ordered_json adapter_config_json(const LoraOptions& options, const AdapterNotes& notes,
                                                                const std::set<std::string>& target_modules,
                                                                const std::set<std::string>& saved_modules,
                                                                bool transposed) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
  };
  nlohmann::ordered_json json = {{"peft_type", "LORA"},
                                 {"task_type", text_or_null(notes.task_type)},
                                 {"base_model_name_or_path", text_or_null(notes.base_model)},
                                 {"r", options.rank},
                                 {"lora_alpha", options.alpha},
                                 {"lora_dropout", as_written(options.dropout)},
                                 {"use_rslora", options.rank_stabilized},
                                 {"use_dora", options.magnitudes},
                                 {"target_modules", target_modules},
                                 {"modules_to_save", nullptr},
                                 {"bias", "none"},
                                 {"fan_in_fan_out", transposed},
                                 {"inference_mode", true}};
  if (!saved_modules.empty()) json["modules_to_save"] = saved_modules;
  return json;
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
