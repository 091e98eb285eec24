/// \file
/// Segment: a part of a text that is one token.
#pragma once

#include <cstdint>
#include <vector>

#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The bytes [begin, end) of a text, and their token.
struct Segment {
  std::uint32_t begin = 0, end = 0;
  TokenId id = 0;  ///< the token
  [[nodiscard]] friend bool operator==(const Segment&, const Segment&) = default;
};

/// All of a text, from left to right, as segments.
using Segmentation = std::vector<Segment>;

}}  // namespace rapt::RAPT_ABI
