/// \file
/// Sizes of pictures and patches in config.json: one number for both sides, or [height, width].
#pragma once

#include <vector>

#include "rapt/kernels/patches.hpp"

namespace rapt::inline RAPT_ABI::detail {

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

/// How pictures are cut: `image_size`, `patch_size` and `num_channels`.
template <class Visitor, class Grid>
void visit_grid(Visitor&& key, Grid& grid) {
  visit_sides(key, "image_size", grid.image.height, grid.image.width);
  visit_sides(key, "patch_size", grid.patch_height, grid.patch_width);
  key("num_channels", grid.image.channels);
}

}  // namespace rapt::inline RAPT_ABI::detail
