/// \file
/// Models in Hugging Face folders: config.json and the weights, in one file or several, of safetensors or of torch.save
/// (pytorch_model.bin); and models in GGUF files. A program includes the header of the model that it loads, which says
/// what the model is called there (`PretrainedFormat`).
///
/// ```cpp
/// #include "rapt/pretrained/gpt.hpp"
///
/// auto gpt = rapt::from_pretrained<rapt::Gpt<float>>("gpt2");  // a folder with config.json and model.safetensors
/// rapt::save_pretrained("mine", gpt);                          // which transformers loads
/// ```
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/io/gguf.hpp"
#include "rapt/io/json.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/gguf_model.hpp"
#include "rapt/pretrained/pretrained_config.hpp"
#include "rapt/pretrained/pretrained_folder.hpp"
#include "rapt/pretrained/pretrained_format.hpp"
#include "rapt/pretrained/pretrained_loader.hpp"
#include "rapt/pretrained/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The model's settings. Throws IoError for another model's, or settings that the model does not have.
template <class Config>
[[nodiscard]] Config config_of(const PretrainedFolder& folder) {
  auto config = config_from_json<Config>(folder.config(), folder.config_path());
  if (const auto& own = folder.generation_config()) {
    read_generation_keys(config, *own, folder.generation_config_path());
  } else {  // config.json stands for it
    read_generation_keys(config, folder.config(), folder.config_path(), absent_config_tokens<Config>());
  }
  detect_heads(config, [&](std::string_view name) { return folder.contains(name); });
  validate_config(config, folder.config_path());
  return config;
}

/// What stands before names in the table, but not in the file of a model without a head, if it can be without.
template <class Config>
[[nodiscard]] std::string_view prefix_to_leave_out(const Config& config) {
  using Format = PretrainedFormat<Config>;
  if constexpr (requires { Format::has_head(config); }) {
    if (!Format::has_head(config)) return base_prefix_of(config);
  }
  return {};
}

/// The files of a model's settings in a folder, with their texts.
template <ConfiguredModel M>
[[nodiscard]] std::vector<std::pair<std::filesystem::path, std::string>> settings_files(
    const std::filesystem::path& folder, const M& model) {
  using Config = typename M::Config;
  const std::filesystem::path path = folder / "config.json";
  std::vector<std::pair<std::filesystem::path, std::string>> files = {
      {path, file_text(config_to_json<typename M::ScalarType>(model.config()), path)}};
  if constexpr (HasGenerationKeys<Config>) {
    const std::filesystem::path generation = folder / "generation_config.json";
    files.emplace_back(generation, file_text(generation_config_to_json(model.config()), generation));
  }
  return files;
}

}  // namespace detail

/// What a folder's config.json, or a GGUF file, says the model is: "gpt2", "bert", ... Throws IoError when it says
/// nothing.
[[nodiscard]] inline std::string pretrained_type(const std::filesystem::path& path) {
  if (detail::is_gguf(path)) return std::string(detail::GgufSettings(GgufFile(path)).architecture().model_type);
  const detail::FolderContents contents(path, "pretrained", "config.json");
  if (!contents.has("config.json")) contents.refuse_without("no config.json");
  const nlohmann::json config = detail::read_json_object(path / "config.json", "pretrained");
  const auto type = config.find("model_type");
  require<IoError>(type != config.end() && type->is_string(), "pretrained", (path / "config.json").string(),
                   ": has no \"model_type\"");
  return type->get<std::string>();
}

/// The model that a folder or a GGUF file (*.gguf) holds. Its weights lie in the mapped file where the file keeps them
/// as rapt does: they are read from the disk when they are used, and not held a second time. A file that is mapped must
/// not be shortened or overwritten in place; replacing it, as all writers here do, is no harm.
///
/// Searches begin and end where generation_config.json says, or config.json where there is no such file.
///
/// Throws IoError or ShapeError that names the file and what is wrong: another architecture, settings that the model
/// does not have, a missing or surplus tensor, a shape that does not fit.
template <ConfiguredModel M>
[[nodiscard]] M from_pretrained(const std::filesystem::path& path, const PretrainedOptions& options = {}) {
  static_assert(
      HasPretrainedFormat<typename M::Config>,
      "from_pretrained: include the header of the model's folders, rapt/pretrained/<model>.hpp: for rapt::Gpt "
      "it is rapt/pretrained/gpt.hpp");
  const PretrainedFolder folder(path);
  const auto config = detail::config_of<typename M::Config>(folder);
  M model = detail::without_weights<M>(config, folder.sizes(), "pretrained", folder.config_path());
  detail::PretrainedLoader<M>(model, folder, options).load();
  return model;
}

/// Writes config.json, model.safetensors and, of a model that generates, generation_config.json into a folder, which is
/// made where there is none, so that Hugging Face's transformers loads them. Each file appears whole or not at all.
///
/// Throws ValueError that names the key for a setting that config.json cannot hold: a number that is not finite, an
/// activation without a name there, settings that no model of Hugging Face has together.
template <ConfiguredModel M>
void save_pretrained(const std::filesystem::path& path, const M& model) {
  static_assert(
      HasPretrainedFormat<typename M::Config>,
      "save_pretrained: include the header of the model's folders, rapt/pretrained/<model>.hpp: for rapt::Gpt "
      "it is rapt/pretrained/gpt.hpp");
  using T = typename M::ScalarType;
  using Config = typename M::Config;
  const auto settings = detail::settings_files(path, model);  // what cannot be written throws before there is a file
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require<IoError>(!error && std::filesystem::is_directory(path), "pretrained", path.string(),
                   ": cannot make the folder: ", error ? error.message() : std::string("it is a file"));

  const StoredNames table = PretrainedFormat<Config>::stored_names(model.config());
  const std::string_view left_out = detail::prefix_to_leave_out(model.config());
  std::vector<SafetensorsEntry> entries;
  std::vector<Tensor<T>> transposed;
  for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
    const bool is_row = parameter.shape().rank() == 1;
    require_elements(parameter, name, "save_pretrained");
    const TensorView<const T> view = parameter.value().view();
    for (StoredPart& part : stored_parts(table, name, is_row ? parameter.size() : parameter.rows())) {
      if (part.name.starts_with(left_out)) part.name.erase(0, left_out.size());
      if (part.as_scalar) {
        entries.emplace_back(part.name, std::string(to_string(kDtypeOf<T>)), std::vector<Index>(),
                             std::as_bytes(std::span(view.data() + part.first_row, 1)));
      } else if (is_row) {
        const Shape shape = part.as_row ? Shape{1, part.rows} : Shape{part.rows};
        entries.emplace_back(part.name, TensorView<const T>(view.data() + part.first_row, shape));
      } else if (part.transposed) {
        transposed.emplace_back(Shape{view.cols(), part.rows});
        detail::transpose_into<T>(view.middle_rows(part.first_row, part.rows), transposed.back());
        entries.emplace_back(part.name, std::as_const(transposed.back()).view());
      } else if (part.rows == view.rows()) {
        entries.emplace_back(part.name, view);
      } else {
        entries.emplace_back(part.name, view.middle_rows(part.first_row, part.rows));
      }
    }
  });
  write_safetensors(path / "model.safetensors", entries, {{"format", "pt"}});

  for (const auto& [file, text] : settings) detail::write_text_file(file, text);
}

/// Writes of what `save_pretrained` writes all but the weights into a folder that is there: the config.json beside an
/// adapter, for example, which says how many classes the adapted model has and what they are called.
template <ConfiguredModel M>
void save_pretrained_config(const std::filesystem::path& path, const M& model) {
  for (const auto& [file, text] : detail::settings_files(path, model)) detail::write_text_file(file, text);
}

}}  // namespace rapt::RAPT_ABI
