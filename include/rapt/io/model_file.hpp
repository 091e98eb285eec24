/// \file
/// Models in files: parameters as safetensors under their dotted names, the config as JSON in the metadata.
///
/// ```cpp
/// rapt::save_model("gpt.safetensors", gpt);
/// const auto same = rapt::load_model<rapt::Gpt<float>>("gpt.safetensors");
/// ```
#pragma once

#include <concepts>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/initialisation.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/io/json.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/io/tensor_file.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Texts in a file beside its tensors, such as the settings of the model, by their names.
using Metadata = std::map<std::string, std::string>;

/// Entries of all parameters, for write_safetensors; they look at the module, which must stay. Throws ValueError that
/// names a parameter that is kept in packed form alone.
template <Module M>
[[nodiscard]] std::vector<SafetensorsEntry> parameter_entries(const M& module, const std::string& prefix = "") {
  std::vector<SafetensorsEntry> entries;
  for_each_parameter(module, [&](const std::string& name, const auto& parameter) {
    require_elements(parameter, prefix + name, "parameter_entries");
    entries.emplace_back(prefix + name, parameter.value().view());
  });
  return entries;
}

namespace detail {

/// Throws IoError or ShapeError unless the file has this tensor, in this shape and in a type that can be read.
inline void require_stored(const TensorFile& file, const std::string& name, const Shape& wanted,
                           std::string_view where) {
  const Shape stored = file.shape(name);  // throws for a missing tensor
  require<ShapeError>(stored == wanted, where, file.path(), ": ", quote_name(name), " has shape ", stored,
                      ", wanted is ", wanted);
  file.require_readable(name);
}

}  // namespace detail

/// Fills every parameter from the tensor `prefix + name`. Nothing is changed unless all fit: a missing tensor, one of
/// another shape or of a type that cannot be read, or one under the prefix that the module does not know (unless
/// `ignore` returns true for its name) is an error that names it.
template <Module M>
void load_parameters(
    M& module, const TensorFile& file, const std::string& prefix = "",
    const std::function<bool(const std::string&)>& ignore = [](const std::string&) { return false; }) {
  std::set<std::string> known;
  for_each_parameter(module, [&](const std::string& name, const auto& parameter) {
    known.insert(prefix + name);
    detail::require_stored(file, prefix + name, parameter.shape(), "load_parameters");
  });
  for (const std::string& name : file.names()) {
    require<IoError>(!name.starts_with(prefix) || known.contains(name) || ignore(name), "load_parameters", file.path(),
                     ": the model has no parameter for ", detail::quote_name(name));
  }
  for_each_parameter(module, [&](const std::string& name, auto& parameter) {
    auto& value = parameter.mutable_value();
    using T = typename std::remove_cvref_t<decltype(parameter)>::ScalarType;
    if (value.data() == nullptr) value = Tensor<T>(value.shape());
    file.read_into(prefix + name, value);
  });
}

namespace detail {

struct AnyField {
  template <class Value>
  void operator()(const char*, Value&) const {}
};

}  // namespace detail

/// The settings of a model: `kName`, the model's name in files; `visit_fields(self, field)`, which calls
/// field(name, member) for every setting (models/config_fields.hpp); and `validate()`, which throws ValueError for
/// values that do not fit one another.
template <class Config>
concept ModelConfig = std::default_initializable<Config> && requires(Config& config, const Config& constant) {
  Config::visit_fields(config, detail::AnyField{});
  Config::visit_fields(constant, detail::AnyField{});
  Config::kName;
  constant.validate();
};

/// A model that is made of its config alone.
template <class M>
concept ConfiguredModel = Module<M> && requires(const M& model) {
  { model.config() } -> std::same_as<const typename M::Config&>;
};

/// The config as a JSON object. Throws ValueError that names the setting for a value that JSON cannot hold.
template <ModelConfig Config>
[[nodiscard]] std::string config_to_json(const Config& config) {
  nlohmann::ordered_json json = {{"model", Config::kName}};
  Config::visit_fields(
      config, [&](const char* key, const auto& value) { json[key] = detail::setting_to_json("config", key, value); });
  return detail::json_text(json, "config", Config::kName);
}

/// The inverse; absent keys keep their defaults. Throws IoError that names `where` and the key for anything malformed,
/// unknown or of another type, ValueError for values that do not fit one another.
template <ModelConfig Config>
[[nodiscard]] Config config_from_json(const std::string& text, const std::string& where) {
  Config config;
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  require<IoError>(json.is_object(), "config", where, ": the configuration is not a JSON object");
  const auto model = json.find("model");
  require<IoError>(model == json.end() || *model == Config::kName, "config", where, ": this is no ", Config::kName,
                   ": \"model\" is ", detail::describe(model == json.end() ? json : *model));
  std::set<std::string> known = {"model"};
  const detail::JsonReader reader("config", where);
  const auto check = [&](const auto& f) {  // names the file where values do not fit one another
    try {
      f();
    } catch (const ValueError& error) {
      fail("config", where, ": ", std::string_view(error.what()));
    }
  };
  check([&] {
    Config::visit_fields(config, [&](const char* key, auto& value) {
      known.insert(key);
      const auto found = json.find(key);
      if (found != json.end()) reader.read(key, *found, value);
    });
  });
  for (const auto& [key, value] : json.items()) {
    require<IoError>(known.contains(key), "config", where, ": unknown key ", detail::quote_name(key));
  }
  check([&] { config.validate(); });
  return config;
}

namespace detail {

/// What a file, or the files of a folder, can fill.
struct StoredSizes {
  std::string_view holder = "file";  ///< "file" or "folder", for messages
  Index tensors = 0;
  double numbers = 0;  ///< of all tensors together

  void add(const TensorFile& file) {
    for (const std::string& name : file.names()) {
      double count = 1;
      for (const Index size : file.sizes(name)) count *= static_cast<double>(size);
      numbers += count;
      ++tensors;
    }
  }
};

/// The model of a config, whose parameters have shapes, but no elements yet. `stored` is where they will be read from:
/// a config that lies costs no memory, as every layer must have a tensor there, and so many numbers must be there as
/// the tables that a model computes have columns (`config.table_columns()`). Throws IoError `[where] file: ...`
/// otherwise.
template <ConfiguredModel M>
[[nodiscard]] M without_weights(const typename M::Config& config, const StoredSizes& stored, std::string_view where,
                                const std::string& file) {
  const auto require_layers = [&](Index layers) {
    require<IoError>(layers <= stored.tensors, where, file, ": ", layers, " layers, the ", stored.holder, " has ",
                     stored.tensors, " tensors");
  };
  if constexpr (requires { config.blocks(); }) {  // layers may share parameters
    require_layers(config.blocks());
  } else if constexpr (requires { config.layers; }) {
    require_layers(config.layers);
  }
  if constexpr (requires { config.encoder_layers; }) require_layers(config.encoder_layers + config.decoder_layers);
  if constexpr (requires { config.decoder; }) {
    if (config.decoder) require_layers(config.decoder_layers);
  }
  if constexpr (requires { config.table_columns(); }) {
    require<IoError>(static_cast<double>(config.table_columns()) <= stored.numbers, where, file, ": a width of ",
                     config.table_columns(), ", the ", stored.holder, " has ", stored.numbers, " numbers");
  }
  const InitialiseNothing scope;
  Rng rng;
  try {
    return M(config, rng);
  } catch (const Error& error) {
    fail<IoError>(where, file, ": ", std::string_view(error.what()));
  }
}

}  // namespace detail

/// Writes the model with its config and whatever else belongs to it (a vocabulary, say) into one file, which appears
/// whole or not at all.
template <ConfiguredModel M>
void save_model(const std::filesystem::path& path, const M& model, Metadata metadata = {}) {
  metadata["config"] = config_to_json(model.config());
  write_safetensors(path, parameter_entries(model), metadata);
}

/// A model as saved by `save_model`. A file of parameters of a torch.nn.Transformer with "config" in the metadata is a
/// Transformer, too. Throws IoError, ShapeError or ValueError that names the file and what does not fit.
template <ConfiguredModel M>
[[nodiscard]] M load_model(const SafetensorsFile& file) {
  const auto config = file.metadata().find("config");
  require<IoError>(config != file.metadata().end(), "load_model", file.path(),
                   ": the file has no \"config\" in its metadata");
  detail::StoredSizes stored;
  stored.add(file);
  M model = detail::without_weights<M>(config_from_json<typename M::Config>(config->second, file.path()), stored,
                                       "load_model", file.path());
  double least = 0;  // the numbers of all matrices: of a vector load_parameters says more when it is too small
  for_each_parameter(model, [&](const std::string&, const auto& parameter) {
    if (parameter.shape().rank() > 1) least += static_cast<double>(parameter.size());
  });
  require<IoError>(least <= stored.numbers, "load_model", file.path(), ": the configuration needs at least ", least,
                   " numbers, the file holds ", stored.numbers);
  load_parameters(model, file);
  return model;
}
template <ConfiguredModel M>
[[nodiscard]] M load_model(const std::filesystem::path& path) {
  return load_model<M>(SafetensorsFile(path));
}

}}  // namespace rapt::RAPT_ABI
