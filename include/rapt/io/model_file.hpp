/// \file
/// Models in files: parameters as safetensors under their dotted names, the configuration as JSON in the metadata.
#pragma once

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "rapt/io/safetensors.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/pretrained/config_keys.hpp"

namespace rapt { inline namespace RAPT_ABI {

using Metadata = std::map<std::string, std::string>;

/// Entries of all parameters, for write_safetensors; they look at the module, which must stay.
template <Module M>
[[nodiscard]] std::vector<SafetensorsEntry> parameter_entries(const M& module, const std::string& prefix = "") {
  std::vector<SafetensorsEntry> entries;
  for_each_parameter(module, [&](const std::string& name, const auto& parameter) {
    entries.emplace_back(prefix + name, parameter.value().view());
  });
  return entries;
}

namespace detail {

/// Throws IoError or ShapeError unless the file has this tensor, in this shape and in a type that can be read.
inline void require_stored(const SafetensorsFile& file, const std::string& name, const Shape& wanted,
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
    M& module, const SafetensorsFile& file, const std::string& prefix = "",
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

/// Names of an enum's values in configurations.
struct SinusoidLayoutName {
  std::string_view name;
  SinusoidLayout layout;
};
inline constexpr SinusoidLayoutName kSinusoidLayouts[] = {{"interleaved", SinusoidLayout::interleaved},
                                                          {"concatenated", SinusoidLayout::concatenated},
                                                          {"halves", SinusoidLayout::halves}};
inline Activation activation_from(const std::string& name, const std::string& where) {
  for (const Activation a : kActivations) {
    if (to_string(a) == name) return a;
  }
  fail<IoError>("config", where, ": no activation is called ", quote_name(name));
}

/// How many numbers a model of this configuration holds at least: all matrices.
[[nodiscard]] inline double least_parameters(const TransformerConfig& c) {
  const auto number = [](Index n) { return static_cast<double>(n); };
  const double tables = number(c.source_vocabulary) +
                        (c.tie_embeddings ? 0 : (c.has_output_matrix() ? 2 : 1) * number(c.target_vocabulary));
  const double attention = 4 * number(c.d_model) * number(c.d_model);
  const auto feed_forward = [&](const BlockOptions& layer) { return 2 * number(c.d_model) * number(layer.d_ff); };
  return number(c.d_model) * (tables + 2 * number(c.learned_positions)) +
         number(c.encoder_layers) * (attention + feed_forward(c.layer())) +
         number(c.decoder_layers) * (2 * attention + feed_forward(c.decoder_layer()));
}

/// Calls f(key, member) for everything that a configuration file holds.
template <class Config, class F>
void for_each_field(Config& c, const F& f) {
  f("source_vocabulary", c.source_vocabulary);
  f("target_vocabulary", c.target_vocabulary);
  f("d_model", c.d_model);
  f("heads", c.heads);
  f("d_ff", c.d_ff);
  f("encoder_layers", c.encoder_layers);
  f("decoder_layers", c.decoder_layers);
  f("decoder_heads", c.decoder_heads);
  f("decoder_d_ff", c.decoder_d_ff);
  f("dropout", c.dropout);
  f("attention_dropout", c.attention_dropout);
  f("activation_dropout", c.activation_dropout);
  f("activation", c.activation);
  f("norm", c.norm);
  f("final_norm", c.final_norm);
  f("layer_norm_epsilon", c.norm_epsilon);
  f("share_embeddings", c.tie_embeddings);
  f("share_output", c.tie_output);
  f("scale_embeddings", c.scale_embeddings);
  f("output_bias", c.output_bias);
  f("sinusoid_layout", c.positions.layout);
  f("first_position", c.positions.first_position);
  f("learned_positions", c.learned_positions);
}

}  // namespace detail

/// The configuration as a JSON object.
[[nodiscard]] inline std::string config_to_json(const TransformerConfig& config) {
  nlohmann::ordered_json json = {{"model", "transformer"}};
  detail::for_each_field(config, [&](const char* key, const auto& value) {
    using Value = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, Activation> || std::is_same_v<Value, NormPlacement>) {
      json[key] = to_string(value);
    } else if constexpr (std::is_same_v<Value, SinusoidLayout>) {
      for (const detail::SinusoidLayoutName& known : detail::kSinusoidLayouts) {
        if (known.layout == value) json[key] = known.name;
      }
    } else if constexpr (std::is_same_v<Value, std::optional<bool>>) {
      json[key] = config.has_final_norm();
    } else {
      json[key] = value;
    }
  });
  return json.dump();
}

/// The inverse; absent keys keep their defaults. Throws IoError that names `where` and the key for anything malformed,
/// unknown or of another type, ValueError for values that do not fit each other.
[[nodiscard]] inline TransformerConfig config_from_json(const std::string& text, const std::string& where) {
  TransformerConfig config;
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  require<IoError>(json.is_object(), "config", where, ": the configuration is not a JSON object");
  const auto model = json.find("model");
  require<IoError>(model == json.end() || *model == "transformer", "config", where,
                   ": this is no transformer: \"model\" is ", detail::describe(model == json.end() ? json : *model));
  std::set<std::string> known = {"model"};
  detail::for_each_field(config, [&](const char* key, auto& value) {
    known.insert(key);
    if (!json.contains(key)) return;
    const nlohmann::json& found = json[key];
    using Value = std::remove_cvref_t<decltype(value)>;
    const auto expect = [&](bool right, const char* what) {
      require<IoError>(right, "config", where, ": \"", key, "\" must be ", what, ": ", detail::describe(found));
    };
    if constexpr (std::is_same_v<Value, Activation>) {
      expect(found.is_string(), "a string");
      value = detail::activation_from(found, where);
    } else if constexpr (std::is_same_v<Value, NormPlacement>) {
      expect(found == "post" || found == "pre", "\"post\" or \"pre\"");
      value = found == "post" ? NormPlacement::post : NormPlacement::pre;
    } else if constexpr (std::is_same_v<Value, SinusoidLayout>) {
      const auto* const layout = std::find_if(std::begin(detail::kSinusoidLayouts), std::end(detail::kSinusoidLayouts),
                                              [&](const auto& each) { return found == each.name; });
      expect(layout != std::end(detail::kSinusoidLayouts), "\"interleaved\", \"concatenated\" or \"halves\"");
      value = layout->layout;
    } else if constexpr (std::is_same_v<Value, std::optional<bool>> || std::is_same_v<Value, bool>) {
      expect(found.is_boolean(), "true or false");
      value = found.template get<bool>();
    } else if constexpr (std::is_integral_v<Value>) {
      expect(found.is_number_integer() && found.template get<double>() >= 0 && found.template get<double>() < 1e9,
             "a whole number from 0 to 10^9");
      value = found.template get<Value>();
    } else {
      expect(found.is_number(), "a number");
      value = found.template get<Value>();
    }
  });
  for (const auto& [key, value] : json.items()) {
    require<IoError>(known.contains(key), "config", where, ": unknown key ", detail::quote_name(key));
  }
  try {
    config.validate();
  } catch (const ValueError& error) {
    fail("config", where, ": ", std::string_view(error.what()));
  }
  return config;
}

/// Writes the model with its configuration and whatever else belongs to it (a vocabulary, say) into one file, which
/// appears whole or not at all.
template <class T>
void save_model(const std::filesystem::path& path, const Transformer<T>& model, Metadata metadata = {}) {
  metadata["config"] = config_to_json(model.config());
  write_safetensors(path, parameter_entries(model), metadata);
}

/// A model as saved by `save_model`, or parameters of a torch.nn.Transformer with "config" in the metadata.
template <class T = float>
[[nodiscard]] Transformer<T> load_model(const SafetensorsFile& file) {
  const auto config = file.metadata().find("config");
  require<IoError>(config != file.metadata().end(), "load_model", file.path(),
                   ": the file has no \"config\" in its metadata");
  const TransformerConfig wanted = config_from_json(config->second, file.path());
  const std::string table = wanted.tie_embeddings ? "embedding.weight" : "source_embedding.weight";
  require<ShapeError>(file.shape(table) == Shape{wanted.source_vocabulary, wanted.d_model}, "load_model", file.path(),
                      ": \"", table, "\" has shape ", file.shape(table), ", the configuration says ",
                      Shape{wanted.source_vocabulary, wanted.d_model});
  // A hostile configuration must not make us allocate more than the file holds.
  double stored = 0;
  for (const std::string& name : file.names()) stored += static_cast<double>(file.shape(name).size());
  require<IoError>(detail::least_parameters(wanted) <= stored, "load_model", file.path(),
                   ": the configuration needs at least ", detail::least_parameters(wanted), " numbers, the file holds ",
                   stored);
  const detail::InitialiseNothing scope;
  Rng rng;
  Transformer<T> model(wanted, rng);
  load_parameters(model, file);
  return model;
}
template <class T = float>
[[nodiscard]] Transformer<T> load_model(const std::filesystem::path& path) {
  return load_model<T>(SafetensorsFile(path));
}

}}  // namespace rapt::RAPT_ABI
