/// \file
/// What the `visit_fields` of several configs share. `Config::visit_fields(self, field)` calls `field(name, member)`
/// for every setting once, in a fixed order; `self` is a config, const or not. It is the only list of a config's
/// settings: model files (io/model_file.hpp) follow from it.
#pragma once

#include <array>

#include "rapt/core/named_value.hpp"
#include "rapt/kernels/activation.hpp"
#include "rapt/kernels/patches.hpp"

namespace rapt { inline namespace RAPT_ABI {

[[nodiscard]] constexpr auto named_values(Activation) {
  using enum Activation;
  return std::to_array<NamedValue<Activation>>({{"none", none},
                                                {"relu", relu},
                                                {"gelu", gelu},
                                                {"gelu_tanh", gelu_tanh},
                                                {"quick_gelu", quick_gelu},
                                                {"silu", silu},
                                                {"tanh", tanh},
                                                {"sigmoid", sigmoid}});
}

namespace detail {

/// The config itself, after it has validated itself; for the initialisers of models.
template <class Config>
[[nodiscard]] const Config& checked(const Config& config) {
  config.validate();
  return config;
}

template <class Grid, class Visitor>
void visit_grid_fields(Grid& grid, const Visitor& field) {
  field("image_channels", grid.image.channels);
  field("image_height", grid.image.height);
  field("image_width", grid.image.width);
  field("patch_height", grid.patch_height);
  field("patch_width", grid.patch_width);
}

/// The sizes and the activation of blocks.
template <class Config, class Visitor>
void visit_block_sizes(Config& config, const Visitor& field) {
  field("d_model", config.d_model);
  field("layers", config.layers);
  field("heads", config.heads);
  field("d_ff", config.d_ff);
  field("activation", config.activation);
}

/// The tokens of a model of texts without an encoder.
template <class Config, class Visitor>
void visit_text_token_fields(Config& config, const Visitor& field) {
  field("begin_token", config.begin_token);
  field("end_tokens", config.end_tokens);
  field("pad_token", config.pad_token);
  field("suppressed_tokens", config.suppressed_tokens);
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
