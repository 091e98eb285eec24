/// \file
/// What a model is called in Hugging Face folders. Each header `rapt/pretrained/<model>.hpp` specialises
/// `PretrainedFormat` for the config of its model; loading and saving (pretrained.hpp) follow from it.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/pretrained/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The format of the folders of a model with the configuration `Config`. A specialisation has
///
/// - `kModelType`: the value of "model_type" in config.json; where a model has several, the array `kModelTypes`, too;
/// - `kArchitecture`: the class of transformers, or `architecture(config)` where the config decides;
/// - `kBasePrefix`, or `base_prefix(config)` where the config decides: what stands before the names of tensors, except
///   in the folder of a model without a head. A model that may lack a head says by `has_head(config)` whether it has
///   one;
/// - `visit_keys(self, key)`: calls `key(name, member)` for every key of config.json; `self` is const when the config
///   is written (see ConfigReader and ConfigWriter);
/// - `visit_generation_keys(self, key)`, if the model generates: the same for generation_config.json;
/// - `stored_names(config)`: the table of names and layouts;
/// - `is_surplus(config, name)`, if folders may have tensors that are no parameters: true for their names;
/// - `detect_heads(config, contains)`, if the folder's tensors tell which parts the model has: corrects the config;
///   `contains(name)` is true for the names of the folder's tensors.
template <class Config>
struct PretrainedFormat;

/// A config whose format is known, because the header of its model in rapt/pretrained/ is included.
template <class Config>
concept HasPretrainedFormat = requires(const Config& config) {
  { PretrainedFormat<Config>::stored_names(config) } -> std::same_as<StoredNames>;
  PretrainedFormat<Config>::kModelType;
};

/// All values of "model_type" of the config's folders.
template <class Config>
[[nodiscard]] constexpr auto model_types() {
  using Format = PretrainedFormat<Config>;
  if constexpr (requires { Format::kModelTypes; }) {
    return Format::kModelTypes;
  } else {
    return std::array{std::string_view(Format::kModelType)};
  }
}

/// True if folders with this "model_type" have a `Config`.
template <class Config>
[[nodiscard]] constexpr bool is_model_type(std::string_view type) {
  constexpr auto kTypes = model_types<Config>();
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

namespace detail {

/// What stands before the names of tensors, except in the folder of a model without a head.
template <class Config>
[[nodiscard]] std::string_view base_prefix_of(const Config& config) {
  if constexpr (requires { PretrainedFormat<Config>::base_prefix(config); }) {
    return PretrainedFormat<Config>::base_prefix(config);
  } else {
    return PretrainedFormat<Config>::kBasePrefix;
  }
}

/// Corrects the labels that config.json names by whether the folder has a classification head: without one there are
/// none, and with one an absent list means two.
inline void detect_labels(std::vector<std::string>& labels, bool has_head) {
  if (!has_head) {
    labels.clear();
  } else if (labels.empty()) {
    labels = {"LABEL_0", "LABEL_1"};
  }
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
