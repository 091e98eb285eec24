/// \file
/// Learning rates that fall from layer to layer towards the input, for fine-tuning (Howard and Ruder 2018; Clark et al.
/// 2020): what lower layers have learned in pretraining is general and need change less.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/optim/optimizer.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The stack and the number of the layer that a parameter belongs to: ("encoder.", 3) of "encoder.layers.3.norm1.bias".
[[nodiscard]] inline std::optional<std::pair<std::string_view, Index>> layer_of(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  const std::size_t place = name.find(kLayers);
  if (place == name.npos || (place > 0 && name[place - 1] != '.')) return std::nullopt;
  Index number = 0;
  const std::string_view rest = name.substr(place + kLayers.size());
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr == rest.data() + rest.size() || *parsed.ptr != '.') return std::nullopt;
  return std::pair(name.substr(0, place), number);
}

}  // namespace detail

/// From the next step on, the learning rate of layer k of a stack of L layers (k counts from 0) is multiplied by
/// decay^(L - k). Parameters that the model names before its layers, such as embeddings, have decay^(L + 1) with the
/// largest L of its stacks; those behind the layers, such as norms and heads, have the full rate. Each stack of a model
/// counts by itself. A layer is known by its name, "layers.<k>." behind the name of its stack.
///
/// Checkpoints do not hold the factors: a resumed run calls this again. Throws ValueError unless 0 < decay <= 1, and
/// for a model without layers.
template <Optimizer O>
void set_layer_decay(O& optimizer, double decay) {
  constexpr std::string_view kWhere = "layer_decay";
  require(decay > 0 && decay <= 1, kWhere, "the decay must be greater than 0 and at most 1: ", decay);
  std::map<std::string_view, Index> layers;  // of each stack
  Index most = 0;
  for (const auto& slot : optimizer.slots()) {
    if (const auto layer = detail::layer_of(slot.name)) {
      Index& count = layers[layer->first];
      count = std::max(count, layer->second + 1);
      most = std::max(most, count);
    }
  }
  require(most > 0, kWhere, "none of the ", optimizer.slots().size(), " parameters belongs to a layer");
  bool is_before = true;
  for (auto& slot : optimizer.slots()) {
    const auto layer = detail::layer_of(slot.name);
    is_before = is_before && !layer;
    Index power = is_before ? most + 1 : 0;
    if (layer) power = layers[layer->first] - layer->second;
    slot.rate_factor = std::pow(decay, static_cast<double>(power));
  }
}

}}  // namespace rapt::RAPT_ABI
