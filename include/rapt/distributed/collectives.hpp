/// \file
/// Collective operations of all processes: broadcast, gathering, sums and maxima, and the comparison of settings.
///
/// They are made of Communicator::exchange alone. All processes call the same function with values of the same type
/// and, where nothing else is said, of the same number. Values travel as bytes, so that all processes must run the same
/// program on processors of one kind. But for the functions that return strings and `require_same`, nothing allocates.
///
/// Sums over the P processes are added in one fixed binary tree over the ranks, ((x_0 + x_1) + (x_2 + x_3)) + ..., in
/// which the ranks from P on to the next power of two are absent: what has no partner goes up as it is. The result is
/// therefore the same, bit for bit, on all processes and for every implementation of Communicator.
///
/// All are templates, so that a program of one process does not compile them.
///
/// Errors: ValueError for a rank that there is not and for numbers of values that do not fit one another; everything
/// that `exchange` throws.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

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

/// The bounds of P pieces of equal size, without an array of them.
struct EqualPieces {
  Index count = 0;
  template <class T>
  [[nodiscard]] std::span<T> operator()(std::span<T> values, Index p) const {
    return values.subspan(to_size(p * count), to_size(count));
  }
};
struct BoundedPieces {
  std::span<const Index> bounds;
  template <class T>
  [[nodiscard]] std::span<T> operator()(std::span<T> values, Index p) const {
    return piece_of(values, bounds, p);
  }
};

template <class T>
void copy_values(std::span<const T> from, std::span<T> to) {
  if (from.data() != to.data()) std::copy(from.begin(), from.end(), to.begin());
}

template <class T, class Pieces>
void all_gather_pieces(Communicator& communicator, std::span<const T> own, std::span<T> all, const Pieces& pieces) {
  copy_values(own, pieces(all, communicator.rank()));
  exchange_with_all(
      communicator, [&](Index) { return std::as_bytes(own); },
      [&](Index p) { return std::as_writable_bytes(pieces(all, p)); });
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

/// The root's text, which may have another length than one's own.
template <std::derived_from<Communicator> C>
[[nodiscard]] std::string broadcast_text(C& communicator, std::string_view text, Index root = 0) {
  std::string result(to_size(broadcast_value(communicator, std::ssize(text), root)), '\0');
  if (communicator.rank() == root) result = text;
  broadcast(communicator, result, root);
  return result;
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

/// The texts of all processes, in the order of their ranks.
template <std::derived_from<Communicator> C>
[[nodiscard]] std::vector<std::string> all_gather_text(C& communicator, std::string_view own) {
  std::vector<Index> bounds(to_size(communicator.size() + 1));
  all_gather(communicator, std::array{std::ssize(own)}, std::span(bounds).subspan(1));
  for (std::size_t p = 1; p < bounds.size(); ++p) bounds[p] += bounds[p - 1];
  std::string together(to_size(bounds.back()), '\0');
  all_gather(communicator, own, bounds, together);
  std::vector<std::string> texts;
  for (std::size_t p = 1; p < bounds.size(); ++p) {
    texts.emplace_back(together, to_size(bounds[p - 1]), to_size(bounds[p] - bounds[p - 1]));
  }
  return texts;
}

/// The lines of all processes, in the order of their ranks. Lines must have no line feeds.
template <std::derived_from<Communicator> C>
[[nodiscard]] std::vector<std::string> all_gather_lines(C& communicator, const std::vector<std::string>& own) {
  std::string text;
  for (const std::string& line : own) text += line + '\n';
  std::vector<std::string> lines;
  for (const std::string& part : all_gather_text(communicator, text)) {
    for (std::size_t begin = 0, end = 0; begin < part.size(); begin = end + 1) {
      end = part.find('\n', begin);
      lines.push_back(part.substr(begin, end - begin));
    }
  }
  return lines;
}

/// Each value becomes the sum of all processes' values at its place. For a few numbers: every process receives
/// log2(P) times as many.
template <ContiguousValues Values>
requires std::is_arithmetic_v<detail::ElementOf<Values>>
void all_reduce_sum(Communicator& communicator, Values&& values) {
  using T = detail::ElementOf<Values>;
  detail::all_reduce(communicator, detail::writable_span(values),
                     [](T lower, T higher) { return static_cast<T>(lower + higher); });
}
template <class T>
requires std::is_arithmetic_v<T>
[[nodiscard]] T all_reduce_sum(Communicator& communicator, T value) {
  all_reduce_sum(communicator, std::span(&value, 1));
  return value;
}

/// Each value becomes the greatest of all processes' values at its place, for a few numbers. What comes of NaN depends
/// on its rank, but is the same on all processes.
template <ContiguousValues Values>
requires std::is_arithmetic_v<detail::ElementOf<Values>>
void all_reduce_max(Communicator& communicator, Values&& values) {
  using T = detail::ElementOf<Values>;
  detail::all_reduce(communicator, detail::writable_span(values),
                     [](T lower, T higher) { return std::max(lower, higher); });
}
template <class T>
requires std::is_arithmetic_v<T>
[[nodiscard]] T all_reduce_max(Communicator& communicator, T value) {
  all_reduce_max(communicator, std::span(&value, 1));
  return value;
}

/// Returns when all processes have called it.
template <std::derived_from<Communicator> C>
void barrier(C& communicator) {
  (void)all_reduce_max(communicator, char{0});
}

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

/// Throws the same ValueError on all processes unless all of them have the same values. It names the lowest rank that
/// differs from rank 0, the name and both values. `values` are names and values as texts; a name that one of the two
/// does not have has the value "(none)" there.
template <std::derived_from<Communicator> C>
void require_same(C& communicator, std::string_view where,
                  std::span<const std::pair<std::string, std::string>> values) {
  const Index size = communicator.size(), rank = communicator.rank();
  std::vector<std::pair<std::string, std::string>> wanted(to_size(broadcast_value(communicator, std::ssize(values))));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    wanted[i].first = broadcast_text(communicator, rank == 0 ? values[i].first : "");
    wanted[i].second = broadcast_text(communicator, rank == 0 ? values[i].second : "");
  }
  const auto value_in = [](const auto& list, const std::string& name) -> std::string {
    for (const auto& entry : list) {
      if (entry.first == name) return "'" + entry.second + "'";
    }
    return "(none)";
  };
  std::string difference;
  const auto compare = [&](const std::string& name) {
    const std::string theirs = value_in(wanted, name), ours = value_in(values, name);
    if (!difference.empty() || theirs == ours) return;
    difference = name + ": rank 0 has " + theirs + ", rank " + std::to_string(rank) + " has " + ours;
  };
  for (const auto& entry : wanted) compare(entry.first);
  for (const auto& entry : values) compare(entry.first);
  // The lowest rank that differs is the greatest of the numbers counted from the other end.
  const Index lowest = size - all_reduce_max(communicator, difference.empty() ? Index{0} : size - rank);
  if (lowest == size) return;
  fail(where, "all processes must have the same ", broadcast_text(communicator, difference, lowest));
}

}}  // namespace rapt::RAPT_ABI
