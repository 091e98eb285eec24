/// \file
/// Checks of the collective operations that any Communicator must pass, at any number of processes. They throw, so that
/// threads and programs under mpirun run the same ones.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/distributed/reduce_scatter.hpp"
#include "rapt/distributed/text_collectives.hpp"

namespace rapt_test {

using rapt::at;
using rapt::Communicator;
using rapt::Index;
using rapt::to_size;

inline void expect(bool condition, std::string_view what, const Communicator& communicator, Index value = 0) {
  rapt::require(condition, "collective_cases", what, ": ", value, ", rank ", communicator.rank(), " of ",
                communicator.size());
}

/// Numbers whose sum depends on the order in which they are added.
template <class T>
std::vector<T> values_of(Index rank, Index count) {
  rapt::Rng rng(static_cast<std::uint64_t>(rank + 1));
  std::vector<T> values(to_size(count));
  for (T& value : values) value = static_cast<T>(rng.uniform() * (rng.below(2) == 0 ? 1e6 : 1e-3));
  return values;
}

/// The sum of ranks begin .. begin + width, those from `size` on absent, in the tree over the ranks, by its definition.
template <class T>
T tree_sum(const std::vector<std::vector<T>>& values, std::size_t i, Index begin, Index width) {
  if (width == 1) return at(values, begin)[i];
  const T lower = tree_sum(values, i, begin, width / 2);
  if (begin + width / 2 >= std::ssize(values)) return lower;
  return lower + tree_sum(values, i, begin + width / 2, width / 2);
}

template <class T>
std::vector<T> tree_sums(Index size, Index count) {
  std::vector<std::vector<T>> values;
  for (Index p = 0; p < size; ++p) values.push_back(values_of<T>(p, count));
  const auto width = static_cast<Index>(std::bit_ceil(static_cast<std::size_t>(size)));
  std::vector<T> sums(to_size(count));
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = tree_sum(values, i, 0, width);
  return sums;
}

inline void check_exchange(Communicator& communicator) {
  const Index rank = communicator.rank(), size = communicator.size();
  communicator.exchange({}, {});
  // To every other process two messages of different lengths and one without bytes, of which the order matters.
  for (const Index length : {Index{1}, Index{1000}, Index{100'000}}) {
    std::vector<std::vector<int>> first(to_size(size)), second(to_size(size)), got_first(to_size(size)),
        got_second(to_size(size));
    std::vector<rapt::OutgoingMessage> outgoing;
    std::vector<rapt::IncomingMessage> incoming;
    for (Index p = 0; p < size; ++p) {
      if (p == rank) continue;
      at(first, p).assign(to_size(length), static_cast<int>(rank * 100 + p));
      at(second, p).assign(to_size(length + p), static_cast<int>(rank * 100 + p + 50));
      at(got_first, p).resize(to_size(length));
      at(got_second, p).resize(to_size(length + rank));
      outgoing.push_back({p, std::as_bytes(std::span(at(first, p)))});
      outgoing.push_back({p, {}});
      outgoing.push_back({p, std::as_bytes(std::span(at(second, p)))});
      incoming.push_back({p, std::as_writable_bytes(std::span(at(got_first, p)))});
      incoming.push_back({p, {}});
      incoming.push_back({p, std::as_writable_bytes(std::span(at(got_second, p)))});
    }
    communicator.exchange(outgoing, incoming);
    for (Index p = 0; p < size; ++p) {
      if (p == rank) continue;
      const int from = static_cast<int>(p * 100 + rank);
      const auto is_all = [](const std::vector<int>& values, int expected) {
        return std::all_of(values.begin(), values.end(), [&](int value) { return value == expected; });
      };
      expect(is_all(at(got_first, p), from), "first message", communicator, p);
      expect(is_all(at(got_second, p), from + 50), "second message", communicator, p);
    }
  }
}

inline void check_wrong_ranks(Communicator& communicator) {
  for (const Index other : {communicator.rank(), communicator.size(), Index{-1}}) {
    for (const bool is_outgoing : {false, true}) {
      const rapt::OutgoingMessage outgoing{other, {}};
      const rapt::IncomingMessage incoming{other, {}};
      bool is_refused = false;
      try {
        communicator.exchange({&outgoing, is_outgoing ? 1u : 0u}, {&incoming, is_outgoing ? 0u : 1u});
      } catch (const rapt::ValueError&) {
        is_refused = true;
      }
      expect(is_refused, "a message for or from a rank that there is not", communicator, other);
    }
  }
}

inline void check_broadcast(Communicator& communicator) {
  for (Index root = 0; root < communicator.size(); ++root) {
    for (const Index count : {0, 1, 5, 5000}) {
      std::vector<double> values = values_of<double>(communicator.rank(), count);
      rapt::broadcast(communicator, values, root);
      expect(values == values_of<double>(root, count), "broadcast", communicator, root);
    }
    expect(rapt::broadcast_value(communicator, communicator.rank(), root) == root, "broadcast_value", communicator);
    const std::string text(to_size(communicator.rank()), 'x');
    expect(rapt::broadcast_text(communicator, text, root) == std::string(to_size(root), 'x'), "broadcast_text",
           communicator, root);
  }
}

inline void check_gather(Communicator& communicator) {
  const Index rank = communicator.rank(), size = communicator.size();
  for (const Index count : {0, 1, 3000}) {
    // Pieces of equal size, and rank p's of count * (p % 3), which is none for some.
    std::vector<float> equal, unequal;
    std::vector<Index> bounds{0};
    for (Index p = 0; p < size; ++p) {
      const std::vector<float> all = values_of<float>(p, 3 * count), one = values_of<float>(p, count);
      equal.insert(equal.end(), one.begin(), one.end());
      unequal.insert(unequal.end(), all.begin(), all.begin() + count * (p % 3));
      bounds.push_back(std::ssize(unequal));
    }
    const std::vector<float> own = values_of<float>(rank, count);
    std::vector<float> own_unequal = values_of<float>(rank, 3 * count);
    own_unequal.resize(to_size(count * (rank % 3)));
    std::vector<float> all(equal.size(), -1);
    rapt::all_gather(communicator, own, all);
    expect(all == equal, "all_gather", communicator, count);
    all.assign(unequal.size(), -1);
    rapt::all_gather(communicator, own_unequal, bounds, all);
    expect(all == unequal, "all_gather of different numbers", communicator, count);
    // One's own values may lie where they go.
    all.assign(unequal.size(), -1);
    const auto place = std::span(all).subspan(to_size(at(bounds, rank)), own_unequal.size());
    std::copy(own_unequal.begin(), own_unequal.end(), place.begin());
    rapt::all_gather(communicator, place, bounds, all);
    expect(all == unequal, "all_gather in place", communicator, count);
    for (Index root = 0; root < size; ++root) {
      all.assign(rank == root ? equal.size() : 0, -1);
      rapt::gather(communicator, own, all, root);
      expect(rank != root || all == equal, "gather", communicator, root);
      all.assign(rank == root ? unequal.size() : 0, -1);
      rapt::gather(communicator, own_unequal, bounds, all, root);
      expect(rank != root || all == unequal, "gather of different numbers", communicator, root);
    }
  }
  std::vector<std::string> texts;
  for (Index p = 0; p < size; ++p) texts.push_back(std::string(to_size(p % 3), static_cast<char>('a' + p)));
  expect(rapt::all_gather_text(communicator, at(texts, rank)) == texts, "all_gather_text", communicator);
  std::vector<std::string> lines, own;  // rank p has p lines, every other one of which is empty
  for (Index p = 0; p < size; ++p) {
    for (Index i = 0; i < p; ++i) {
      lines.push_back(i % 2 == 1 ? std::string() : std::to_string(p) + " " + std::to_string(i));
      if (p == rank) own.push_back(lines.back());
    }
  }
  expect(rapt::all_gather_lines(communicator, own) == lines, "all_gather_lines", communicator);
}

inline void check_all_reduce(Communicator& communicator) {
  const Index rank = communicator.rank(), size = communicator.size();
  for (const Index count : {0, 1, 7, 64, 65, 300}) {
    std::vector<double> numbers = values_of<double>(rank, count);
    rapt::all_reduce_sum(communicator, numbers);
    expect(numbers == tree_sums<double>(size, count), "all_reduce_sum of double", communicator, count);
    std::vector<float> floats = values_of<float>(rank, count);
    rapt::all_reduce_sum(communicator, floats);
    expect(floats == tree_sums<float>(size, count), "all_reduce_sum of float", communicator, count);
    numbers = values_of<double>(rank, count);
    rapt::all_reduce_max(communicator, numbers);
    std::vector<double> greatest = values_of<double>(0, count);
    for (Index p = 1; p < size; ++p) {
      const std::vector<double> others = values_of<double>(p, count);
      for (std::size_t i = 0; i < others.size(); ++i) greatest[i] = std::max(greatest[i], others[i]);
    }
    expect(numbers == greatest, "all_reduce_max", communicator, count);
  }
  expect(rapt::all_reduce_sum(communicator, rank + 1) == size * (size + 1) / 2, "sum of ranks", communicator);
  expect(rapt::all_reduce_max(communicator, -rank) == 0, "greatest of -rank", communicator);
  // Whatever comes of NaN comes of it everywhere.
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto with_nan = std::bit_cast<std::uint64_t>(
      rapt::all_reduce_max(communicator, rank == size / 2 ? nan : static_cast<double>(rank)));
  expect(rapt::broadcast_value(communicator, with_nan) == with_nan, "all_reduce_max with NaN", communicator);
}

inline void check_reduce_scatter(Communicator& communicator) {
  const Index rank = communicator.rank(), size = communicator.size();
  const auto add = [](std::span<float> sum, std::span<const float> x) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += x[i];
  };
  for (const Index count : {0, 1, 20, 5000}) {
    // Pieces that differ, some of them empty.
    std::vector<Index> bounds{0};
    for (Index p = 1; p < size; ++p) bounds.push_back(std::max(bounds.back(), count * p / size - p % 2));
    bounds.push_back(count);
    for (Index contributors = 0; contributors <= size; ++contributors) {
      std::vector<float> values = values_of<float>(rank, count);
      const std::vector<float> sums = tree_sums<float>(contributors == 0 ? size : contributors, count);
      std::vector<float> room(to_size(rapt::reduce_scatter_room<float>(communicator, bounds, contributors)));
      rapt::reduce_scatter(communicator, std::span(values), bounds, room, add, contributors);
      for (Index i = at(bounds, rank); i < at(bounds, rank + 1); ++i) {
        expect(at(values, i) == at(sums, i), "reduce_scatter", communicator, i);
      }
    }
  }
  // -0.0 is the neutral element.
  std::vector<float> values(to_size(size), rank == size - 1 ? -0.0f : 0.0f), room(to_size(size));
  std::vector<Index> bounds(to_size(size + 1));
  std::iota(bounds.begin(), bounds.end(), Index{0});
  rapt::reduce_scatter(communicator, std::span(values), bounds, room, add);
  expect(std::bit_cast<std::uint32_t>(at(values, rank)) == std::bit_cast<std::uint32_t>(size == 1 ? -0.0f : 0.0f),
         "zero + -0.0", communicator);
  values.assign(to_size(size), -0.0f);
  rapt::reduce_scatter(communicator, std::span(values), bounds, room, add);
  expect(std::bit_cast<std::uint32_t>(at(values, rank)) == std::bit_cast<std::uint32_t>(-0.0f), "-0.0 + -0.0",
         communicator);
}

/// Eight micro-batches, each process a block of them: sums inside the processes and the sum over them are one tree,
/// whatever their number.
inline void check_one_tree(Communicator& communicator) {
  constexpr Index kLeaves = 8, kCount = 100;
  const Index rank = communicator.rank(), size = communicator.size();
  Index block = 1;
  while (block * size < kLeaves) block *= 2;
  std::vector<std::vector<float>> own;
  for (Index g = rank * block; g < std::min(kLeaves, (rank + 1) * block); ++g)
    own.push_back(values_of<float>(g, kCount));
  std::vector<float> values(to_size(kCount));
  for (std::size_t i = 0; i < values.size() && !own.empty(); ++i) values[i] = tree_sum(own, i, 0, block);
  std::vector<Index> bounds{0};
  for (Index p = 1; p <= size; ++p) bounds.push_back(kCount * p / size);
  std::vector<float> room(to_size(rapt::reduce_scatter_room<float>(communicator, bounds)));
  rapt::reduce_scatter(
      communicator, std::span(values), bounds, room,
      [](std::span<float> sum, std::span<const float> x) {
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += x[i];
      },
      kLeaves / block);
  const auto piece = rapt::detail::piece_of(std::span(values), bounds, rank);
  rapt::all_gather(communicator, piece, bounds, values);
  expect(values == tree_sums<float>(kLeaves, kCount), "one tree over micro-batches and processes", communicator);
}

inline void check_sizes_are_checked(Communicator& communicator) {
  const Index size = communicator.size();
  const auto is_refused = [](const auto& operation) {
    try {
      operation();
    } catch (const rapt::ValueError&) {
      return true;
    }
    return false;
  };
  std::vector<float> values(to_size(2 * size + 1)), room(values.size());
  std::vector<Index> bounds(to_size(size + 1), 0);
  const auto add = [](std::span<float>, std::span<const float>) {};
  const auto none = std::span(values).first(0);
  expect(is_refused([&] { rapt::broadcast(communicator, values, size); }), "root", communicator);
  expect(is_refused([&] { rapt::gather(communicator, values, values, -1); }), "root", communicator);
  expect(is_refused([&] { rapt::all_gather(communicator, std::span(values).first(2), values); }), "room", communicator);
  expect(is_refused([&] { rapt::all_gather(communicator, none, bounds, values); }), "bounds that end too early",
         communicator);
  expect(is_refused([&] { rapt::all_gather(communicator, values, bounds, none); }), "too many values", communicator);
  expect(is_refused([&] { rapt::all_gather(communicator, none, std::span(bounds).first(to_size(size)), none); }),
         "too few bounds", communicator);
  bounds.back() = std::ssize(values);
  at(bounds, size - 1) = size == 1 ? 1 : std::ssize(values) + 1;
  expect(is_refused([&] { rapt::reduce_scatter(communicator, std::span(values), bounds, room, add); }),
         "bounds that fall", communicator);
  for (Index p = 0; p < size; ++p) at(bounds, p) = 2 * p;
  expect(is_refused([&] { rapt::reduce_scatter(communicator, std::span(values), bounds, room, add, size + 1); }),
         "contributors", communicator);
  for (const Index contributors : {Index{-1}, size + 1}) {
    expect(is_refused([&] { std::ignore = rapt::reduce_scatter_room<float>(communicator, bounds, contributors); }),
           "room for a wrong number of contributors", communicator, contributors);
  }
  expect(is_refused([&] { std::ignore = rapt::reduce_scatter_room<float>(communicator, {}); }), "room of no bounds",
         communicator);
  expect(size == 1 || is_refused([&] { rapt::reduce_scatter(communicator, std::span(values), bounds, none, add); }),
         "room for contributions", communicator);
}

inline void check_require_same(Communicator& communicator) {
  const Index rank = communicator.rank(), size = communicator.size();
  using Settings = std::vector<std::pair<std::string, std::string>>;
  const Settings settings = {{"seed", "1"}, {"corpus", "a b\nc"}};
  rapt::require_same(communicator, "job", settings);
  const auto error_of = [&](const Settings& own) -> std::string {
    try {
      rapt::require_same(communicator, "job", own);
    } catch (const rapt::ValueError& error) {
      return error.what();
    }
    return "";
  };
  if (size == 1) return;
  Settings others = settings;
  if (rank == size - 1) others[0].second = "2";
  const std::string last = std::to_string(size - 1);
  expect(error_of(others) == "[job] all processes must have the same seed: rank 0 has '1', rank " + last + " has '2'",
         "another value", communicator);
  if (rank > 0) others = {settings[0], {"corpus", std::to_string(rank)}};
  if (rank == 0) others = settings;
  expect(error_of(others) == "[job] all processes must have the same corpus: rank 0 has 'a b\nc', rank 1 has '1'",
         "the lowest rank", communicator);
  others = settings;
  if (rank == 1) others.pop_back();
  expect(error_of(others) == "[job] all processes must have the same corpus: rank 0 has 'a b\nc', rank 1 has (none)",
         "a name that is missing", communicator);
  others = settings;
  if (rank == 1) others.emplace_back("extra", "x");
  expect(error_of(others) == "[job] all processes must have the same extra: rank 0 has (none), rank 1 has 'x'",
         "a name too many", communicator);
  rapt::barrier(communicator);  // and all goes on
}

/// All of the above, with names for messages.
struct CollectiveCase {
  const char* name;
  void (*check)(Communicator& communicator);
};
inline constexpr std::array kCollectiveCases = {
    CollectiveCase{"exchange", check_exchange},         CollectiveCase{"wrong_ranks", check_wrong_ranks},
    CollectiveCase{"broadcast", check_broadcast},       CollectiveCase{"gather", check_gather},
    CollectiveCase{"all_reduce", check_all_reduce},     CollectiveCase{"reduce_scatter", check_reduce_scatter},
    CollectiveCase{"one_tree", check_one_tree},         CollectiveCase{"sizes_are_checked", check_sizes_are_checked},
    CollectiveCase{"require_same", check_require_same},
};

}  // namespace rapt_test
