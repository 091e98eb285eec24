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
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/io/json.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/io/tensor_file.hpp"
#include "rapt/io/torch_file.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/pretrained/adapter_config.hpp"
#include "rapt/pretrained/adapter_names.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The tensors of an adapter's folder.
[[nodiscard]] inline TensorFile adapter_tensors(const std::filesystem::path& path, std::string_view where) {
  const FolderContents contents(path, where, "adapter_config.json and adapter_model.safetensors");
  if (contents.has("adapter_model.safetensors")) return SafetensorsFile(path / "adapter_model.safetensors");
  if (contents.has("adapter_model.bin")) return TorchFile(path / "adapter_model.bin");
  contents.refuse_without("no adapter_model.safetensors");
}

}  // namespace detail

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

  const std::filesystem::path config_path = path / "adapter_config.json";
  const std::string config =
      detail::file_text(detail::adapter_config_json(lora.options(), notes, detail::peft_target_modules(all, targets),
                                                    saved_modules, transposed),
                        config_path);
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
