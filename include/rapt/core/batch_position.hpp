/// \file
/// BatchPosition: where a sequence of training batches stands.
#pragma once

#include "rapt/core/shape.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A place behind a batch: all that a source of batches needs to go on from there.
struct BatchPosition {
  Index epoch = 0;  ///< counts from 0
  Index batch = 0;  ///< batches of the epoch that have been taken
  friend bool operator==(const BatchPosition&, const BatchPosition&) = default;
};

}}  // namespace rapt::RAPT_ABI
