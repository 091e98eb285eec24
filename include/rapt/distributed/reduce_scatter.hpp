/// \file
/// reduce_scatter: sums over processes of many numbers, of which each process gets a piece. The order of the additions
/// is the tree of collectives.hpp, whatever way the numbers take.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Values bounds[rank] .. bounds[rank + 1] become the sum of all processes' values there; the others are overwritten by
/// nobody and left as they are. bounds [P + 1] are the same on all processes. Every process receives the contributions
/// to its own piece directly, P - 1 times its size in all, into `room`, which has at least
/// `reduce_scatter_room(communicator, bounds)` values.
///
/// `add(sum, x)` adds the values of one span to those of another of the same length: sum += x. It must be commutative
/// to the bit, as the addition of floating-point numbers is; its order is the tree's. A span of -0.0 is its neutral
/// element (0.0 is not: -0.0 + 0.0 is 0.0).
///
/// Only the first `contributors` ranks have values that count, all of them if it is 0. The others receive sums, too.
template <class T, class Add>
void reduce_scatter(Communicator& communicator, std::span<T> values, std::span<const Index> bounds,
                    std::type_identity_t<std::span<T>> room, const Add& add, Index contributors = 0) {
  const Index rank = communicator.rank(), size = communicator.size();
  detail::require_bounds(communicator, "reduce_scatter", bounds, std::ssize(values));
  require(contributors >= 0 && contributors <= size, "reduce_scatter", "there must be at most ", size,
          " contributors: ", contributors);
  if (contributors == 0) contributors = size;
  const std::span<T> own = detail::piece_of(values, bounds, rank);
  // The contribution of rank `home` stays or arrives in `own`; those of others have places in the order of ranks.
  const Index home = rank < contributors ? rank : 0, count = std::ssize(own);
  require(std::ssize(room) >= (contributors - 1) * count, "reduce_scatter", "there must be room for ",
          (contributors - 1) * count, " values: ", room.size());
  const auto contribution = [&](Index p) {
    if (p == home) return own;
    return room.subspan(to_size((p < home ? p : p - 1) * count), own.size());
  };
  detail::exchange_with_all(
      communicator,
      [&](Index p) {
        return rank < contributors ? std::as_bytes(detail::piece_of(values, bounds, p)) : std::span<const std::byte>();
      },
      [&](Index p) { return p < contributors ? std::as_writable_bytes(contribution(p)) : std::span<std::byte>(); });
  if (own.empty()) return;
  // The sum of ranks p .. p + width is where its first rank's contribution was, or in `own` if `home` is one of them.
  const auto sum_of = [&](Index p, Index width) { return contribution(home >= p && home < p + width ? home : p); };
  for (Index width = 1; width < contributors; width *= 2) {
    for (Index p = 0; p + width < contributors; p += 2 * width) {
      const std::span<T> lower = sum_of(p, width), higher = sum_of(p + width, width);
      const bool is_home_higher = home >= p + width && home < p + 2 * width;
      add(is_home_higher ? higher : lower, std::span<const T>(is_home_higher ? lower : higher));
    }
  }
}

/// The number of values for which this process needs room in reduce_scatter.
[[nodiscard]] inline Index reduce_scatter_room(const Communicator& communicator, std::span<const Index> bounds) {
  const Index rank = communicator.rank();
  return (communicator.size() - 1) * (at(bounds, rank + 1) - at(bounds, rank));
}

}}  // namespace rapt::RAPT_ABI
