/// \file
/// config.json and generation_config.json of a Hugging Face folder, as a config and back.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/io/json.hpp"
#include "rapt/pretrained/config_keys.hpp"
#include "rapt/pretrained/pretrained_format.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A config of a model that generates: its tokens stand in generation_config.json, too.
template <class Config>
concept HasGenerationKeys = requires(Config& config, const ConfigReader& reader) {
  PretrainedFormat<Config>::visit_generation_keys(config, reader);
};

/// What tokens mean that config.json does not name: a format's defaults if it says that its config has them
/// (`kHasDefaultTokens`).
template <class Config>
[[nodiscard]] constexpr AbsentTokens absent_config_tokens() {
  if constexpr (requires { PretrainedFormat<Config>::kHasDefaultTokens; }) return AbsentTokens::defaults;
  return AbsentTokens::none;
}

/// What config.json says, before it is validated. Throws IoError that names the file for another model's, or settings
/// that the model does not have.
template <class Config>
[[nodiscard]] Config config_from_json(const nlohmann::json& json, const std::string& where) {
  using Format = PretrainedFormat<Config>;
  const auto type = json.find("model_type");
  const bool is_name = type != json.end() && type->is_string();
  if (!is_name || !is_model_type<Config>(type->get_ref<const std::string&>())) {
    std::string wanted;
    for (const std::string_view known : model_types<Config>())
      wanted += (wanted.empty() ? "" : ", ") + quote_name(known);
    fail<IoError>("pretrained", where, ": \"model_type\" is ",
                  is_name              ? quote_name(type->get_ref<const std::string&>())
                  : type == json.end() ? "missing"
                                       : describe(*type),
                  ", wanted is ", model_types<Config>().size() > 1 ? "one of " : "", wanted);
  }
  Config config;
  Format::visit_keys(config, ConfigReader(json, where, absent_config_tokens<Config>()));
  return config;
}

/// Puts the tokens of generation_config.json in the place of those of config.json, as transformers does: a key that is
/// absent there means none, whatever config.json says. `absent_tokens` is for a config.json that stands for the file.
template <class Config>
void read_generation_keys(Config& config, const nlohmann::json& json, const std::string& where,
                          AbsentTokens absent_tokens = AbsentTokens::none) {
  if constexpr (HasGenerationKeys<Config>) {
    PretrainedFormat<Config>::visit_generation_keys(config, ConfigReader(json, where, absent_tokens));
  }
}

/// Corrects the parts of the model by the tensors that the folder has: `contains(name)` is true for their names.
template <class Config, class Contains>
void detect_heads(Config& config, const Contains& contains) {
  if constexpr (requires { PretrainedFormat<Config>::detect_heads(config, contains); }) {
    PretrainedFormat<Config>::detect_heads(config, contains);
  }
}

/// Throws IoError that names the file for settings that do not fit one another.
template <class Config>
void validate_config(const Config& config, const std::string& where) {
  try {
    config.validate();
  } catch (const ValueError& error) {
    fail<IoError>("pretrained", where, ": ", std::string_view(error.what()));
  }
}

/// Hugging Face's class for the model: one for all, or what the config's parts make it.
template <class Config>
[[nodiscard]] std::string architecture_of(const Config& config) {
  using Format = PretrainedFormat<Config>;
  if constexpr (requires { Format::architecture(config); }) {
    return std::string(Format::architecture(config));
  } else {
    return std::string(Format::kArchitecture);
  }
}

/// The inverse of `config_from_json`, for weights of type T.
template <class T, class Config>
[[nodiscard]] nlohmann::ordered_json config_to_json(const Config& config) {
  using Format = PretrainedFormat<Config>;
  nlohmann::ordered_json json = {{"architectures", {architecture_of(config)}},
                                 {"model_type", Format::kModelType},
                                 {"torch_dtype", std::is_same_v<T, float> ? "float32" : "float64"}};
  Format::visit_keys(config, ConfigWriter(json));
  return json;
}

/// The inverse of `read_generation_keys`. An object even where it says nothing: without the file transformers would
/// take the tokens of config.json.
template <HasGenerationKeys Config>
[[nodiscard]] nlohmann::ordered_json generation_config_to_json(const Config& config) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  PretrainedFormat<Config>::visit_generation_keys(config, ConfigWriter(json));
  return json;
}

/// The text of a JSON file. Throws ValueError that names it for a string that is not UTF-8.
[[nodiscard]] inline std::string file_text(const nlohmann::ordered_json& json, const std::filesystem::path& path) {
  return json_text(json, "pretrained", path.string(), /*indent=*/2) + "\n";
}

}}}  // namespace rapt::RAPT_ABI::detail
