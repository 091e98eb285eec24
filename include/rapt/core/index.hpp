/// \file
/// Index, the signed integer that counts everything in rapt, and its way into the standard library's unsigned sizes.
///
/// `std::ssize(values)` is the number of elements as an Index.
#pragma once

#include <cstddef>

#include "rapt/version.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Counts rows, columns, tokens and elements; signed, as Eigen's.
using Index = std::ptrdiff_t;

/// A count or position, which must not be negative, as the type that standard containers take.
[[nodiscard]] constexpr std::size_t to_size(Index count) noexcept { return static_cast<std::size_t>(count); }

/// Element i of a vector, span, array or pointer. As with `operator[]`, i is not checked.
template <class Values>
[[nodiscard]] constexpr decltype(auto) at(Values&& values, Index i) {
  return values[static_cast<std::size_t>(i)];
}

}}  // namespace rapt::RAPT_ABI
