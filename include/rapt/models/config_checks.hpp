/// \file
/// What the `validate` of several configs check alike.
#pragma once

#include <initializer_list>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Throws ValueError unless heads divide d_model.
inline void require_heads(Index d_model, Index heads, std::string_view where) {
  require(d_model > 0 && heads > 0 && d_model % heads == 0, where,
          "d_model must be a multiple of heads: d_model = ", d_model, ", heads = ", heads);
}

/// Throws ValueError unless all rates of dropout are in [0, 1).
inline void require_dropout(std::initializer_list<float> rates, std::string_view where) {
  for (const float rate : rates) require(rate >= 0.f && rate < 1.f, where, "dropout must be in [0, 1): ", rate);
}

}}}  // namespace rapt::RAPT_ABI::detail
