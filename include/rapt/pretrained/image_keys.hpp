/// \file
/// What folders of vision models have in common. Sizes of images and patches in config.json: one number for both
/// sides, or [height, width]. Names of an encoder's tensors.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/pretrained/stored_name.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

template <class Visitor, class Side>
void visit_sides(Visitor&& key, const char* name, Side& height, Side& width) {
  std::vector<Index> sides{height};
  if (width != height) sides.push_back(width);
  key(name, sides);
  if constexpr (!std::is_const_v<Side>) {
    require<IoError>(sides.size() == 1 || sides.size() == 2, "pretrained", '"', name,
                     "\" must be one number or [height, width], it has ", sides.size(), " numbers");
    height = sides.front();
    width = sides.back();
  }
}

/// How images are cut: `image_size`, `patch_size` and `num_channels`.
template <class Visitor, class Grid>
void visit_grid(Visitor&& key, Grid& grid) {
  visit_sides(key, "image_size", grid.image.height, grid.image.width);
  visit_sides(key, "patch_size", grid.patch_height, grid.patch_width);
  key("num_channels", grid.image.channels);
}

/// Lines for the layers `layers`.*, which are kept as `stored`.*, or in some files as `copy`.*.
inline void add_layer_names(StoredNames& names, const std::string& layers, const std::string& stored,
                            const std::string& copy = {}) {
  const auto add = [&](const std::string& name, const std::vector<std::string>& parts, const std::string& kind) {
    StoredName line{layers + ".*." + name, {}};
    for (const std::string& part : parts) {
      line.stored.push_back({stored + ".*." + part + kind});
      if (!copy.empty()) line.stored.back().copies.push_back(copy + ".*." + part + kind);
    }
    names.push_back(std::move(line));
  };
  for (const std::string kind : {"weight", "bias"}) {
    add("self_attn.in_proj_" + kind,
        {"attention.attention.query.", "attention.attention.key.", "attention.attention.value."}, kind);
    add("self_attn.out_proj." + kind, {"attention.output.dense."}, kind);
    add("norm1." + kind, {"layernorm_before."}, kind);
    add("norm2." + kind, {"layernorm_after."}, kind);
    add("linear1." + kind, {"intermediate.dense."}, kind);
    add("linear2." + kind, {"output.dense."}, kind);
  }
}

/// Lines for a whole encoder, its embeddings too, which is kept as `model`.*.
[[nodiscard]] inline StoredNames encoder_names(const std::string& model) {
  const std::string embeddings = model + ".embeddings.";
  StoredNames names{{"class_token", {{embeddings + "cls_token"}}},
                    {"patch_embedding.weight", {{embeddings + "patch_embeddings.projection.weight"}}},
                    {"patch_embedding.bias", {{embeddings + "patch_embeddings.projection.bias"}}},
                    {"positions", {{embeddings + "position_embeddings"}}},
                    {"encoder.norm.weight", {{model + ".layernorm.weight"}}},
                    {"encoder.norm.bias", {{model + ".layernorm.bias"}}}};
  add_layer_names(names, "encoder.layers", model + ".encoder.layer");
  return names;
}

}}}  // namespace rapt::RAPT_ABI::detail
