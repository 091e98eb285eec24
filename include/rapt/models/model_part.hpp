/// \file
/// The parts that a model has or has not, as its config says: heads, a pooler, a decoder.
#pragma once

#include <optional>
#include <string_view>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The part, which the model must have: otherwise throws ValueError `[where] the model has no <name>`.
template <class Part>
[[nodiscard]] const Part& require_part(const std::optional<Part>& part, std::string_view where, std::string_view name) {
  require(part.has_value(), where, "the model has no ", name);
  return *part;
}

}}}  // namespace rapt::RAPT_ABI::detail
