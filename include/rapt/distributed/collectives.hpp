/// \file
/// Collective operations of all processes: broadcast, gathering, sums and maxima of a few numbers.
///
/// They are made of Communicator::exchange alone. All processes call the same function with values of the same type
/// and, where nothing else is said, of the same number. Values travel as bytes, so that all processes must run the same
/// program on processors of one kind. Nothing allocates.
///
/// Sums over the P processes are added in one fixed binary tree over the ranks, ((x_0 + x_1) + (x_2 + x_3)) + ..., in
/// which the ranks from P on to the next power of two are absent: what has no partner goes up as it is. The result is
/// therefore the same, bit for bit, on all processes and for every implementation of Communicator.
///
/// Errors: ValueError for a rank that there is not and for numbers of values that do not fit one another; everything
/// that `exchange` throws.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Vectors, arrays, spans and other values side by side in memory that may be copied byte by byte.
template <class Values>
concept ContiguousValues = std::ranges::contiguous_range<Values> && std::ranges::sized_range<Values> &&
    std::is_trivially_copyable_v<std::ranges::range_value_t<Values>>;

namespace detail {

/// An exchange with many processes is done for this many at a time, so that its messages are listed on the stack.
inline constexpr Index kMessagesAtOnce = 32;

template <class Values>
using ElementOf = std::ranges::range_value_t<Values>;

template <class Values>
[[nodiscard]] std::span<const ElementOf<Values>> read_only_span(const Values& values) {
  return {std::ranges::data(values), std::ranges::size(values)};
}

template <class Values>
[[nodiscard]] std::span<ElementOf<Values>> writable_span(Values& values) {
  return {std::ranges::data(values), std::ranges::size(values)};
}

/// Values bounds[p] .. bounds[p + 1], which are rank p's.
template <class T>
[[nodiscard]] std::span<T> piece_of(std::span<T> values, std::span<const Index> bounds, Index p) {
  return values.subspan(to_size(at(bounds, p)), to_size(at(bounds, p + 1) - at(bounds, p)));
}

inline void require_rank(const Communicator& communicator, std::string_view where, Index rank) {
  require(rank >= 0 && rank < communicator.size(), where, "the root must be a rank: ", rank, " of ",
          communicator.size(), " processes");
}

/// Checks [P + 1] bounds that cut `count` values into pieces.
inline void require_bounds(const Communicator& communicator, std::string_view where, std::span<const Index> bounds,
                           Index count) {
  require(std::ssize(bounds) == communicator.size() + 1, where,
          "there must be one bound more than processes: ", std::ssize(bounds), " bounds, ", communicator.size(),
          " processes");
  require(bounds.front() == 0 && bounds.back() == count && std::is_sorted(bounds.begin(), bounds.end()), where,
          "bounds must rise from 0 to the number of values: ", bounds.front(), " .. ", bounds.back(), ", ", count,
          " values");
}

/// Sends to every other process what `outgoing(p)` gives and receives into `incoming(p)`; spans without bytes are not
/// sent, which both sides know. The process at distance d in one direction is served together with the one at distance
/// d in the other, so that no process is everybody's first.
template <class Outgoing, class Incoming>
void exchange_with_all(Communicator& communicator, const Outgoing& outgoing, const Incoming& incoming) {
  const Index rank = communicator.rank(), size = communicator.size();
  std::array<OutgoingMessage, to_size(kMessagesAtOnce)> sends;
  std::array<IncomingMessage, to_size(kMessagesAtOnce)> receives;
  for (Index first = 1; first < size; first += kMessagesAtOnce) {
    std::size_t sent = 0, received = 0;
    for (Index distance = first; distance < std::min(size, first + kMessagesAtOnce); ++distance) {
      const Index to = (rank + distance) % size, from = (rank + size - distance) % size;
      if (const std::span<const std::byte> bytes = outgoing(to); !bytes.empty()) sends[sent++] = {to, bytes};
      if (const std::span<std::byte> bytes = incoming(from); !bytes.empty()) receives[received++] = {from, bytes};
    }
    communicator.exchange(std::span(sends).first(sent), std::span(receives).first(received));
  }
}

/// True if recursive halving and doubling is taken, log2(P) messages one after the other, instead of P - 1 messages at
/// once. From 64 processes on the fewer messages weigh more than the waiting, as long as pieces are small: see the
/// costs of messages and operations in bench/scale/README.md. `bytes` are those of all pieces together.
///
/// With few messages a process waits for one partner at a time. If a process is lost without its connection's breaking,
/// the first whose time is up may have waited for a partner that itself waits for the lost one; its error then names
/// that partner. With P - 1 messages everybody waits for the lost process itself.
[[nodiscard]] inline bool takes_few_messages(Index processes, Index bytes) {
  constexpr Index kLeastProcesses = 64, kMostBytesOfPiece = 32 << 10;
  return std::has_single_bit(to_size(processes)) && processes >= kLeastProcesses &&
         bytes <= processes * kMostBytesOfPiece;
}

/// The bounds of P pieces of equal size, without an array of them. pieces(values, p) is piece p, pieces(values, p, n)
/// pieces p .. p + n - 1.
struct EqualPieces {
  Index count = 0;
  template <class T>
  [[nodiscard]] std::span<T> operator()(std::span<T> values, Index p, Index pieces = 1) const {
    return values.subspan(to_size(p * count), to_size(pieces * count));
  }
};
struct BoundedPieces {
  std::span<const Index> bounds;
  template <class T>
  [[nodiscard]] std::span<T> operator()(std::span<T> values, Index p, Index pieces = 1) const {
    return values.subspan(to_size(at(bounds, p)), to_size(at(bounds, p + pieces) - at(bounds, p)));
  }
};

template <class T>
void copy_values(std::span<const T> from, std::span<T> to) {
  if (from.data() != to.data()) std::copy(from.begin(), from.end(), to.begin());
}

/// Each process sends its piece to all others. Its own piece is in `all` already.
template <class T, class Pieces>
void all_gather_directly(Communicator& communicator, std::span<T> all, const Pieces& pieces) {
  exchange_with_all(
      communicator, [&](Index) { return std::as_bytes(pieces(all, communicator.rank())); },
      [&](Index p) { return std::as_writable_bytes(pieces(all, p)); });
}

/// The same by recursive doubling, of processes whose number is a power of two: with the process at the distance
/// w = 1, 2, 4, ... each exchanges the pieces of w processes, which it has by then.
template <class T, class Pieces>
void all_gather_by_doubling(Communicator& communicator, std::span<T> all, const Pieces& pieces) {
  const Index rank = communicator.rank();
  for (Index width = 1; width < communicator.size(); width *= 2) {
    const Index block = rank / width * width, partner = rank ^ width;
    const OutgoingMessage send{partner, std::as_bytes(pieces(all, block, width))};
    const IncomingMessage receive{partner, std::as_writable_bytes(pieces(all, block ^ width, width))};
    communicator.exchange({&send, 1}, {&receive, 1});
  }
}

template <class T, class Pieces>
void all_gather_pieces(Communicator& communicator, std::span<const T> own, std::span<T> all, const Pieces& pieces) {
  copy_values(own, pieces(all, communicator.rank()));
  if (takes_few_messages(communicator.size(), std::ssize(std::as_bytes(all)))) {
    all_gather_by_doubling(communicator, all, pieces);
  } else {
    all_gather_directly(communicator, all, pieces);
  }
}

template <class T, class Pieces>
void gather_pieces(Communicator& communicator, std::span<const T> own, std::span<T> all, const Pieces& pieces,
                   Index root) {
  const bool is_root = communicator.rank() == root;
  if (is_root) copy_values(own, pieces(all, root));
  exchange_with_all(
      communicator, [&](Index p) { return p == root ? std::as_bytes(own) : std::span<const std::byte>(); },
      [&](Index p) { return is_root ? std::as_writable_bytes(pieces(all, p)) : std::span<std::byte>(); });
}

}  // namespace detail

/// values = the root's values, which go down a binomial tree: the root's part of the work is log2(P) messages.
template <ContiguousValues Values>
void broadcast(Communicator& communicator, Values&& values, Index root = 0) {
  detail::require_rank(communicator, "broadcast", root);
  const auto bytes = std::as_writable_bytes(detail::writable_span(values));
  const Index size = communicator.size(), place = (communicator.rank() + size - root) % size;
  for (Index width = 1; width < size && !bytes.empty(); width *= 2) {
    if (place < width && place + width < size) {
      const OutgoingMessage message{(place + width + root) % size, bytes};
      communicator.exchange({&message, 1}, {});
    } else if (place >= width && place < 2 * width) {
      const IncomingMessage message{(place - width + root) % size, bytes};
      communicator.exchange({}, {&message, 1});
    }
  }
}

/// The root's value.
template <class T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] T broadcast_value(Communicator& communicator, T value, Index root = 0) {
  broadcast(communicator, std::span(&value, 1), root);
  return value;
}

/// all = the values of rank 0, of rank 1, ..., as many of each. `own` may be its own place in `all`.
template <ContiguousValues Own, ContiguousValues All>
void all_gather(Communicator& communicator, const Own& own, All&& all) {
  const auto from = detail::read_only_span(own);
  const auto to = detail::writable_span(all);
  require(from.size() * to_size(communicator.size()) == to.size(), "all_gather",
          "there must be room for as many values of every process: ", from.size(), " values, ", communicator.size(),
          " processes, room for ", to.size());
  detail::all_gather_pieces(communicator, from, to, detail::EqualPieces{std::ssize(from)});
}

/// The same with different numbers: rank p has values bounds[p] .. bounds[p + 1] of `all`. bounds [P + 1] are the same
/// on all processes.
template <ContiguousValues Own, ContiguousValues All>
void all_gather(Communicator& communicator, const Own& own, std::span<const Index> bounds, All&& all) {
  const auto from = detail::read_only_span(own);
  const auto to = detail::writable_span(all);
  detail::require_bounds(communicator, "all_gather", bounds, std::ssize(to));
  const Index room = std::ssize(detail::piece_of(to, bounds, communicator.rank()));
  require(std::ssize(from) == room, "all_gather", "one's own values must fit between one's bounds: ", from.size(),
          " values, room for ", room);
  detail::all_gather_pieces(communicator, from, to, detail::BoundedPieces{bounds});
}

/// As all_gather, but `all` is filled on the root alone; the others may give an empty one.
template <ContiguousValues Own, ContiguousValues All>
void gather(Communicator& communicator, const Own& own, All&& all, Index root = 0) {
  detail::require_rank(communicator, "gather", root);
  const auto from = detail::read_only_span(own);
  const auto to = detail::writable_span(all);
  require(communicator.rank() != root || from.size() * to_size(communicator.size()) == to.size(), "gather",
          "there must be room for as many values of every process: ", from.size(), " values, ", communicator.size(),
          " processes, room for ", to.size());
  detail::gather_pieces(communicator, from, to, detail::EqualPieces{std::ssize(from)}, root);
}
template <ContiguousValues Own, ContiguousValues All>
void gather(Communicator& communicator, const Own& own, std::span<const Index> bounds, All&& all, Index root = 0) {
  detail::require_rank(communicator, "gather", root);
  const auto from = detail::read_only_span(own);
  const auto to = detail::writable_span(all);
  const Index rank = communicator.rank();
  detail::require_bounds(communicator, "gather", bounds,
                         rank == root     ? std::ssize(to)
                         : bounds.empty() ? 0
                                          : bounds.back());
  const Index room = at(bounds, rank + 1) - at(bounds, rank);
  require(std::ssize(from) == room, "gather", "one's own values must fit between one's bounds: ", from.size(),
          " values, room for ", room);
  detail::gather_pieces(communicator, from, to, detail::BoundedPieces{bounds}, root);
}

namespace detail {

/// values = combine(values of lower ranks, values of higher ranks) up the tree over the ranks, on all processes. On the
/// level of blocks of w ranks, a process receives what the neighbouring block has come to from the process in the same
/// place of that block; if the block is incomplete, its processes take turns. Each process receives log2(P) times.
template <class T, class Combine>
void all_reduce(Communicator& communicator, std::span<T> all_values, const Combine& combine) {
  constexpr Index kValuesAtOnce = 64;
  const Index rank = communicator.rank(), size = communicator.size();
  std::array<T, to_size(kValuesAtOnce)> room;
  std::array<OutgoingMessage, to_size(kMessagesAtOnce)> sends;
  for (Index done = 0; done < std::ssize(all_values); done += kValuesAtOnce) {
    const auto values =
        all_values.subspan(to_size(done), to_size(std::min(kValuesAtOnce, std::ssize(all_values) - done)));
    const auto received = std::span(room).first(values.size());
    for (Index width = 1; width < size; width *= 2) {
      const Index block = rank / width * width, neighbour = block ^ width;
      if (neighbour >= size) continue;
      const Index present = std::min(width, size - block), neighbours = std::min(width, size - neighbour);
      const IncomingMessage receive{neighbour + (rank - block) % neighbours, std::as_writable_bytes(received)};
      bool is_received = false;
      for (Index next = rank - block; next < neighbours || !is_received;) {
        std::size_t sent = 0;
        for (; next < neighbours && sent < sends.size(); next += present) {
          sends[sent++] = {neighbour + next, std::as_bytes(values)};
        }
        communicator.exchange(std::span(sends).first(sent), std::span(&receive, is_received ? 0 : 1));
        is_received = true;
      }
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = block < neighbour ? combine(values[i], received[i]) : combine(received[i], values[i]);
      }
    }
  }
}

/// Reduces a few numbers over all processes with the binary operation Combine, whose first operand comes from the lower
/// ranks. Each process receives log2(P) messages.
template <class Combine>
struct AllReduce {
  /// Each value becomes what comes of all processes' values at its place.
  template <ContiguousValues Values>
  requires std::is_arithmetic_v<ElementOf<Values>>
  void operator()(Communicator& communicator, Values&& values) const {
    all_reduce(communicator, writable_span(values), Combine());
  }
  /// What comes of all processes' values.
  template <class T>
  requires std::is_arithmetic_v<T>
  [[nodiscard]] T operator()(Communicator& communicator, T value) const {
    all_reduce(communicator, std::span(&value, 1), Combine());
    return value;
  }
};

struct Sum {
  template <class T>
  [[nodiscard]] T operator()(T lower, T higher) const {
    return static_cast<T>(lower + higher);
  }
};
struct Greater {
  template <class T>
  [[nodiscard]] T operator()(T lower, T higher) const {
    return std::max(lower, higher);
  }
};

}  // namespace detail

/// all_reduce_sum(communicator, values): each value becomes the sum of all processes' values at its place.
/// all_reduce_sum(communicator, value): the sum of their values.
inline constexpr detail::AllReduce<detail::Sum> all_reduce_sum;

/// The same with the greatest of their values. With a NaN among them the result depends on the rank that has it, but is
/// the same on all processes.
inline constexpr detail::AllReduce<detail::Greater> all_reduce_max;

/// Returns when all processes have called it.
inline void barrier(Communicator& communicator) { (void)all_reduce_max(communicator, char{0}); }

}}  // namespace rapt::RAPT_ABI
