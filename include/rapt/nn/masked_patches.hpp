/// \file
/// Embedded patches of which some are replaced, for models that learn to predict these (Bao et al. 2021; Dosovitskiy et
/// al. 2021, section B.1.2).
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/core/patch_mask.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_p = x_p of a visible patch p; x_q or the mask embedding of a masked one, as `mask.shown()` says
///   // [B P, D] from x [B P, D] and the mask embedding, D elements
/// Throws ShapeError for a mask of other patches, ValueError if a mask embedding is wanted that is undefined.
template <class T>
[[nodiscard]] Variable<T> replace_masked_patches(const Variable<T>& x, const Variable<T>& mask_embedding,
                                                 const PatchMask& mask) {
  constexpr std::string_view kWhere = "replace_masked_patches";
  require<ShapeError>(x.rows() == mask.images() * mask.patches(), kWhere, "a mask of ", mask.images(), " images of ",
                      mask.patches(), " patches for patches of shape ", x.shape());
  std::vector<std::int32_t> sources = mask.visible();
  std::vector<Index> places(sources.begin(), sources.end()), masked;
  for (std::size_t i = 0; i < mask.masked().size(); ++i) {
    const std::int32_t shown = mask.shown().empty() ? PatchMask::kMaskEmbedding : mask.shown()[i];
    if (shown == PatchMask::kMaskEmbedding) {
      masked.push_back(mask.masked()[i]);
    } else {
      sources.push_back(shown);
      places.push_back(mask.masked()[i]);
    }
  }
  require(masked.empty() || mask_embedding.defined(), kWhere, masked.size(),
          " patches are to be replaced by the mask embedding, and there is none");
  std::vector<PlacedRows<T>> parts;
  if (!sources.empty()) parts.push_back({gather_rows<T>(x, sources), std::move(places)});
  if (!masked.empty()) {
    const std::vector<std::int32_t> repeated(masked.size(), 0);
    parts.push_back({gather_rows<T>(mask_embedding, repeated), std::move(masked)});
  }
  return place_rows<T>(std::move(parts));
}

}}  // namespace rapt::RAPT_ABI
