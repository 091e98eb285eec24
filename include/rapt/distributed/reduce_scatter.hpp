/// \file
/// reduce_scatter: sums over processes of many numbers, of which each process gets a piece. The order of the additions
/// is the tree of collectives.hpp, whatever way the numbers take. By recursive halving a contributor needs room for all
/// values, otherwise for the contributions to its own piece.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Every process receives the contributions to its own piece at once, which takes one message of each contributor.
/// Needs room for the pieces of all contributors but one.
template <class T, class Add>
void reduce_scatter_directly(Communicator& communicator, std::span<T> values, std::span<const Index> bounds,
                             std::span<T> room, const Add& add, Index contributors) {
  const Index rank = communicator.rank();
  const std::span<T> own = piece_of(values, bounds, rank);
  // The contribution of rank `home` stays or arrives in `own`; those of others have places in the order of ranks.
  const Index home = rank < contributors ? rank : 0, count = std::ssize(own);
  const auto contribution = [&](Index p) {
    if (p == home) return own;
    return room.subspan(to_size((p < home ? p : p - 1) * count), own.size());
  };
  exchange_with_all(
      communicator,
      [&](Index p) {
        return rank < contributors ? std::as_bytes(piece_of(values, bounds, p)) : std::span<const std::byte>();
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

/// The same by recursive halving, of contributors whose number C is a power of two. With the process at the distance
/// w = 1, 2, 4, ... a contributor exchanges half of what it still has: it keeps the pieces p whose p mod 2 w is its own
/// rank's, and they become the sums over 2 w ranks. In the end it has those with p mod C = rank, and passes on the
/// pieces of processes that contribute nothing. Overwrites the values; needs room for all of them on contributors.
template <class T, class Add>
void reduce_scatter_by_halving(Communicator& communicator, std::span<T> values, std::span<const Index> bounds,
                               std::span<T> room, const Add& add, Index contributors) {
  const Index rank = communicator.rank(), size = communicator.size();
  const std::span<T> own = piece_of(values, bounds, rank);
  if (rank >= contributors) {
    const IncomingMessage receive{rank % contributors, std::as_writable_bytes(own)};
    if (!own.empty()) communicator.exchange({}, {&receive, 1});
    return;
  }
  for (Index width = 1; width < contributors; width *= 2) {
    const Index partner = rank ^ width;
    // f(piece, its place when the pieces of `of` lie one after the other); returns the number of their values.
    const auto for_each_piece = [&](Index of, const auto& f) {
      std::size_t place = 0;
      for (Index p = of % (2 * width); p < size; p += 2 * width) {
        const std::span<T> piece = piece_of(values, bounds, p);
        f(piece, place);
        place += piece.size();
      }
      return place;
    };
    const std::size_t given = for_each_piece(partner, [&](std::span<T> piece, std::size_t place) {
      std::copy(piece.begin(), piece.end(), room.subspan(place, piece.size()).begin());
    });
    const std::size_t kept = for_each_piece(rank, [](std::span<T>, std::size_t) {});
    const std::span<T> outgoing = room.first(given), incoming = room.subspan(given, kept);
    const OutgoingMessage send{partner, std::as_bytes(outgoing)};
    const IncomingMessage receive{partner, std::as_writable_bytes(incoming)};
    communicator.exchange({&send, 1}, {&receive, 1});
    for_each_piece(rank, [&](std::span<T> piece, std::size_t place) {
      if (!piece.empty()) add(piece, std::span<const T>(incoming.subspan(place, piece.size())));
    });
  }
  for (Index p = rank + contributors; p < size; p += contributors) {
    const OutgoingMessage send{p, std::as_bytes(piece_of(values, bounds, p))};
    if (!send.bytes.empty()) communicator.exchange({&send, 1}, {});
  }
}

}  // namespace detail

/// The number of values for which this process needs room in `reduce_scatter` of values of type T. Throws ValueError
/// for bounds and contributors that `reduce_scatter` refuses.
template <class T>
[[nodiscard]] Index reduce_scatter_room(const Communicator& communicator, std::span<const Index> bounds,
                                        Index contributors = 0) {
  const Index rank = communicator.rank(), size = communicator.size();
  detail::require_bounds(communicator, "reduce_scatter", bounds, bounds.empty() ? 0 : bounds.back());
  require(contributors >= 0 && contributors <= size, "reduce_scatter", "contributors must be from 0 (all) to ", size,
          ": ", contributors);
  if (contributors == 0) contributors = size;
  if (detail::takes_few_messages(contributors, bounds.back() * Index{sizeof(T)})) {
    return rank < contributors ? bounds.back() : 0;
  }
  return (contributors - 1) * (at(bounds, rank + 1) - at(bounds, rank));
}

/// Values bounds[rank] .. bounds[rank + 1] become the sum of all processes' values there; the others may be
/// overwritten. bounds [P + 1] are the same on all processes. `room` has at least `reduce_scatter_room<T>(communicator,
/// bounds, contributors)` values. Each process receives P - 1 times the size of its own piece, in as many messages, or
/// in log2(P) messages if there are many processes and the pieces are small; the sums are the same bits.
///
/// `add(sum, x)` adds the values of one span to those of another of the same length: sum += x. It must be commutative
/// to the bit, as the addition of floating-point numbers is; its order is the tree's. A span of -0.0 is its neutral
/// element (0.0 is not: -0.0 + 0.0 is 0.0).
///
/// Only the first `contributors` ranks have values that count, all of them if it is 0. The others receive sums, too.
template <class T, class Add>
void reduce_scatter(Communicator& communicator, std::span<T> values, std::span<const Index> bounds,
                    std::type_identity_t<std::span<T>> room, const Add& add, Index contributors = 0) {
  detail::require_bounds(communicator, "reduce_scatter", bounds, std::ssize(values));
  const Index needed = reduce_scatter_room<T>(communicator, bounds, contributors);
  if (contributors == 0) contributors = communicator.size();
  require(std::ssize(room) >= needed, "reduce_scatter", "there must be room for ", needed, " values: ", room.size());
  if (detail::takes_few_messages(contributors, std::ssize(std::as_bytes(values)))) {
    detail::reduce_scatter_by_halving(communicator, values, bounds, room, add, contributors);
  } else {
    detail::reduce_scatter_directly(communicator, values, bounds, room, add, contributors);
  }
}

}}  // namespace rapt::RAPT_ABI
