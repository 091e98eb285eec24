/// \file
/// LoRA adapters in the folders of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors, or
/// adapter_model.bin, which is only read.
///
/// ```cpp
/// #include "rapt/pretrained/adapter_folder.hpp"
/// #include "rapt/pretrained/llama.hpp"
///
/// auto llama = rapt::from_pretrained<rapt::Llama<float>>("llama");
/// rapt::Lora<float> lora(llama, rapt::adapter_targets(llama, {"q_proj", "v_proj"}), {.rank = 16}, rng);
/// ...                                          // train WithLora(llama, lora), see nn/with_lora.hpp
/// rapt::save_adapter("adapter", llama, lora);  // which PEFT loads; load_adapter("adapter", llama) reads PEFT's own
/// ```
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/io/json.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/io/tensor_file.hpp"
#include "rapt/io/torch_file.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/pretrained/config_keys.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// What stands before every name in PEFT's files.
inline constexpr std::string_view kPeftPrefix = "base_model.model.";

/// The name of a stored tensor as PEFT knows it: a model without a head has names without the prefix.
template <class Config>
[[nodiscard]] std::string peft_name(const Config& config, std::string stored) {
  const std::string_view left_out = prefix_to_leave_out(config);
  if (!left_out.empty() && stored.starts_with(left_out)) stored.erase(0, left_out.size());
  return stored;
}

/// Every linear map of a model that is a module in Python, by the module's name, and whether it is kept as [in, out].
struct PeftModule {
  LoraTarget target;
  bool transposed = false;
};
template <ConfiguredModel M>
[[nodiscard]] std::vector<PeftModule> peft_modules(const M& model) {
  const StoredNames table = PretrainedFormat<typename M::Config>::stored_names(model.config());
  std::vector<PeftModule> modules;
  for_each_linear_weight(model, [&](const std::string& parameter, const auto& weight) {
    for (StoredPart& part : stored_parts(table, parameter, weight.rows())) {
      std::string name = peft_name(model.config(), std::move(part.name));
      if (name.ends_with(".weight")) name.erase(name.size() - 7);
      modules.push_back({{std::move(name), parameter, part.first_row, part.rows}, part.transposed});
    }
  });
  return modules;
}

/// True if PEFT takes `name` for a module of the list entry `wanted`: the name itself, or its last parts.
[[nodiscard]] inline bool is_peft_match(std::string_view name, std::string_view wanted) {
  return name == wanted ||
         (name.size() > wanted.size() && name.ends_with(wanted) && name[name.size() - wanted.size() - 1] == '.');
}

/// The shortest list of "target_modules" of which each entry stands for modules of `targets` alone.
[[nodiscard]] inline std::set<std::string> peft_target_modules(const std::vector<PeftModule>& all,
                                                               const std::vector<LoraTarget>& targets) {
  std::set<std::string, std::less<>> wanted;
  for (const LoraTarget& target : targets) wanted.insert(target.name);
  std::set<std::string> entries;
  for (const std::string& name : wanted) {
    std::string entry = name;
    for (std::size_t dot = name.rfind('.'); dot != std::string::npos && dot > 0; dot = name.rfind('.', dot - 1)) {
      const std::string last = name.substr(dot + 1);
      const bool fits = std::all_of(all.begin(), all.end(), [&](const PeftModule& module) {
        return !is_peft_match(module.target.name, last) || wanted.contains(module.target.name);
      });
      if (!fits) continue;
      entry = last;
      break;
    }
    entries.insert(std::move(entry));
  }
  return entries;
}

/// The entry of "modules_to_save" for a stored tensor: its module, but of "classifier" and "score" the whole head. PEFT
/// adds these two to the list of every classifier and cannot load one that has their parts, such as RoBERTa's
/// "classifier.dense", in it, too.
[[nodiscard]] inline std::string peft_saved_module(std::string_view stored) {
  for (const std::string_view head : {"classifier", "score"}) {
    if (stored.starts_with(head) && stored.substr(head.size()).starts_with('.')) return std::string(head);
  }
  return std::string(stored.substr(0, stored.rfind('.')));
}

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

/// The tensors of an adapter's folder.
[[nodiscard]] inline TensorFile adapter_tensors(const std::filesystem::path& path, std::string_view where) {
  const FolderContents contents(path, where, "adapter_config.json and adapter_model.safetensors");
  if (contents.has("adapter_model.safetensors")) return SafetensorsFile(path / "adapter_model.safetensors");
  if (contents.has("adapter_model.bin")) return TorchFile(path / "adapter_model.bin");
  contents.refuse_without("no adapter_model.safetensors");
}

}  // namespace detail

/// The linear maps that PEFT's "target_modules" names: modules whose whole name, or the last parts of it, an entry is,
/// such as "query" or "mlp.c_proj". Throws ValueError for an entry that stands for none.
template <ConfiguredModel M>
[[nodiscard]] std::vector<LoraTarget> adapter_targets(const M& model, std::span<const std::string> modules) {
  std::vector<LoraTarget> targets;
  std::set<std::string, std::less<>> last_parts;
  std::vector<bool> matched(modules.size(), false);
  for (const detail::PeftModule& module : detail::peft_modules(model)) {
    const std::string& name = module.target.name;
    last_parts.insert(name.substr(name.rfind('.') + 1));
    bool wanted = false;
    for (std::size_t i = 0; i < modules.size(); ++i) {
      if (detail::is_peft_match(name, modules[i])) matched[i] = wanted = true;
    }
    if (wanted) targets.push_back(module.target);
  }
  for (std::size_t i = 0; i < modules.size(); ++i) {
    std::string known;
    for (const std::string& part : last_parts) known += (known.empty() ? "" : ", ") + part;
    require(matched[i], "adapter_targets", "no linear map of the model is called ", detail::quote_name(modules[i]),
            ": their names end with ", known);
  }
  return targets;
}
template <ConfiguredModel M>
[[nodiscard]] std::vector<LoraTarget> adapter_targets(const M& model, const std::vector<std::string>& modules) {
  return adapter_targets(model, std::span<const std::string>(modules));
}

/// What adapter_config.json says beside the adapter itself.
struct AdapterNotes {
  std::string base_model = {};            ///< "base_model_name_or_path": the folder of the model; empty: null
  std::string task_type = {};             ///< PEFT's, such as "SEQ_CLS" or "CAUSAL_LM"; empty: null
  std::vector<std::string> trained = {};  ///< patterns of the model's parameters that belong to it (see WithLora)
};

/// Writes an adapter of a model into a folder, which is made where there is none, so that PEFT loads it. Each file
/// appears whole or not at all. Parameters of the model itself that match `notes.trained` are written, too, with all of
/// their module ("modules_to_save"), as PEFT reads it: for a weight also the bias. Throws ValueError that names a
/// parameter that cannot be written.
template <ConfiguredModel M>
void save_adapter(const std::filesystem::path& path, const M& model, const Lora<typename M::ScalarType>& lora,
                  const AdapterNotes& notes = {}) {
  using T = typename M::ScalarType;
  constexpr std::string_view kWhere = "save_adapter";
  const std::vector<detail::PeftModule> all = detail::peft_modules(model);
  const std::vector<LoraTarget> targets = lora.targets();
  bool transposed = true;
  for (const LoraTarget& target : targets) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& module) { return module.target.name == target.name; });
    require(found != all.end() && found->target.row == target.row && found->target.rows == target.rows, kWhere,
            "the model has no module of the name ", detail::quote_name(target.name),
            ": an adapter for PEFT is made with adapter_targets");
    transposed = transposed && found->transposed;
  }

  std::vector<SafetensorsEntry> entries;
  for_each_parameter(lora, [&](const std::string& name, const Parameter<T>& parameter) {
    entries.emplace_back(std::string(detail::kPeftPrefix) + name, parameter.value().view());
  });
  const StoredNames table = PretrainedFormat<typename M::Config>::stored_names(model.config());
  // f(name, parameter, part): all parts of the model's parameters, by PEFT's names.
  const auto for_each_part = [&](const auto& f) {
    for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
      const bool is_row = parameter.shape().rank() == 1;
      for (StoredPart& part : stored_parts(table, name, is_row ? parameter.size() : parameter.rows())) {
        part.name = detail::peft_name(model.config(), std::move(part.name));
        f(name, parameter, part);
      }
    });
  };
  std::set<std::string> saved_modules;
  for_each_part([&](const std::string& name, const Parameter<T>&, const StoredPart& part) {
    const bool wanted = std::any_of(notes.trained.begin(), notes.trained.end(),
                                    [&](const std::string& pattern) { return matches_pattern(name, pattern); });
    if (wanted) saved_modules.insert(detail::peft_saved_module(part.name));
  });
  for_each_part([&](const std::string& name, const Parameter<T>& parameter, const StoredPart& part) {
    if (!saved_modules.contains(detail::peft_saved_module(part.name))) return;
    require(!part.transposed && !part.as_row && !part.as_scalar, kWhere, name,
            " is kept in another layout by Python and cannot be written with an adapter");
    require_elements(parameter, name, kWhere);
    entries.emplace_back(std::string(detail::kPeftPrefix) + part.name,
                         parameter.shape().rank() == 1
                             ? TensorView<const T>(parameter.value().data() + part.first_row, Shape{part.rows})
                             : parameter.value().view().middle_rows(part.first_row, part.rows));
  });

  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
  };
  const LoraOptions& options = lora.options();
  nlohmann::ordered_json json = {{"peft_type", "LORA"},
                                 {"task_type", text_or_null(notes.task_type)},
                                 {"base_model_name_or_path", text_or_null(notes.base_model)},
                                 {"r", options.rank},
                                 {"lora_alpha", options.alpha},
                                 {"lora_dropout", detail::as_written(options.dropout)},
                                 {"use_rslora", options.rank_stabilized},
                                 {"use_dora", options.magnitudes},
                                 {"target_modules", detail::peft_target_modules(all, targets)},
                                 {"modules_to_save", nullptr},
                                 {"bias", "none"},
                                 {"fan_in_fan_out", transposed},
                                 {"inference_mode", true}};
  if (!saved_modules.empty()) json["modules_to_save"] = saved_modules;
  const std::filesystem::path config_path = path / "adapter_config.json";
  const std::string config = detail::file_text(json, config_path);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require<IoError>(!error && std::filesystem::is_directory(path), kWhere, path.string(),
                   ": cannot make the folder: ", error ? error.message() : std::string("it is a file"));
  write_safetensors(path / "adapter_model.safetensors", entries, {{"format", "pt"}});
  detail::write_text_file(config_path, config);
}

/// The adapter of a folder that PEFT or `save_adapter` has written, for use with this model. Modules that were trained
/// as a whole beside it ("modules_to_save", a head for example) become the model's; of a model whose matrices are kept
/// in packed form alone, those of such a module have their numbers again.
///
/// Throws IoError or ShapeError that names the file and what is wrong, before anything is changed: an adapter of
/// another kind, a module that the model does not have, a missing or surplus tensor, a shape that does not fit.
template <ConfiguredModel M>
[[nodiscard]] Lora<typename M::ScalarType> load_adapter(const std::filesystem::path& path, M& model) {
  using T = typename M::ScalarType;
  constexpr std::string_view kWhere = "load_adapter", kA = ".lora_A.weight", kB = ".lora_B.weight",
                             kMagnitude = ".lora_magnitude_vector";
  const std::filesystem::path config_path = path / "adapter_config.json";
  const LoraOptions options =
      detail::lora_options_of(detail::read_json_object(config_path, kWhere), config_path.string());
  const TensorFile file = detail::adapter_tensors(path, kWhere);

  // Modules are adapted in the model's order, whatever the file's is.
  std::set<std::string, std::less<>> left;
  for (const std::string& name : file.names()) left.insert(name);
  const auto take = [&](const std::string& name, const Shape& wanted) {
    const auto found = left.find(name);
    require<IoError>(found != left.end(), kWhere, file.path(), ": there is no ", detail::quote_name(name));
    left.erase(found);
    detail::require_stored(file, name, wanted, kWhere);
  };
  std::vector<LoraTarget> targets;
  std::map<std::string, Index> columns;
  for_each_linear_weight(model, [&](const std::string& name, const auto& weight) { columns[name] = weight.cols(); });
  for (const detail::PeftModule& module : detail::peft_modules(model)) {
    const std::string stored = std::string(detail::kPeftPrefix) + module.target.name;
    if (!left.contains(stored + std::string(kA)) && !left.contains(stored + std::string(kB))) continue;
    take(stored + std::string(kA), Shape{options.rank, columns.at(module.target.parameter)});
    take(stored + std::string(kB), Shape{module.target.rows, options.rank});
    if (options.magnitudes) take(stored + std::string(kMagnitude), Shape{module.target.rows});
    targets.push_back(module.target);
  }
  require<IoError>(!targets.empty(), kWhere, file.path(), ": it adapts no linear map of the model, its tensors are ",
                   detail::some_of(file.names()));

  struct Whole {
    Parameter<T>* parameter;
    Index first_row;
    std::string stored;
  };
  std::vector<Whole> wholes;
  const StoredNames table = PretrainedFormat<typename M::Config>::stored_names(model.config());
  for_each_parameter(model, [&](const std::string& name, Parameter<T>& parameter) {
    const bool is_row = parameter.shape().rank() == 1;
    const Index rows = is_row ? parameter.size() : parameter.rows();
    Index taken = 0;
    for (StoredPart& part : stored_parts(table, name, rows)) {
      const std::string stored =
          std::string(detail::kPeftPrefix) + detail::peft_name(model.config(), std::move(part.name));
      if (!left.contains(stored) || part.transposed || part.as_row || part.as_scalar) continue;
      take(stored, is_row ? Shape{part.rows} : Shape{part.rows, parameter.cols()});
      wholes.push_back({&parameter, part.first_row, stored});
      taken += part.rows;
    }
    if (taken > 0 && taken < rows) require_elements(parameter, name, kWhere);  // of the other rows
  });
  require<IoError>(left.empty(), kWhere, file.path(), ": the model has no place for ",
                   detail::some_of(std::vector<std::string>(left.begin(), left.end())));

  Rng rng(0);  // its numbers are replaced
  Lora<T> lora(model, targets, options, rng);
  for_each_parameter(lora, [&](const std::string& name, Parameter<T>& parameter) {
    file.read_into(std::string(detail::kPeftPrefix) + name, parameter.mutable_value());
  });
  for (const Whole& whole : wholes) {
    const Tensor<T> stored = file.read<T>(whole.stored);
    Tensor<T>& value = whole.parameter->mutable_value();
    if (!value.has_elements()) value = Tensor<T>(value.shape());
    std::copy_n(stored.data(), stored.size(),
                value.data() + whole.first_row * (value.shape().rank() == 1 ? 1 : value.cols()));
  }
  return lora;
}

}}  // namespace rapt::RAPT_ABI
