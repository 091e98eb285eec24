/// \file
/// Collective operations on texts: broadcast, gathering, and the comparison of settings. As collectives.hpp says, all
/// processes call the same function.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/collectives.hpp"
#include "rapt/distributed/communicator.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The root's text, which may have another length than one's own.
[[nodiscard]] inline std::string broadcast_text(Communicator& communicator, std::string_view text, Index root = 0) {
  std::string result(to_size(broadcast_value(communicator, std::ssize(text), root)), '\0');
  if (communicator.rank() == root) result = text;
  broadcast(communicator, result, root);
  return result;
}

/// The texts of all processes, in the order of their ranks.
[[nodiscard]] inline std::vector<std::string> all_gather_text(Communicator& communicator, std::string_view own) {
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
[[nodiscard]] inline std::vector<std::string> all_gather_lines(Communicator& communicator,
                                                               const std::vector<std::string>& own) {
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

/// Throws the same ValueError on all processes unless all of them have the same values. It names the lowest rank that
/// differs from rank 0, the name and both values. `values` are names and values as texts; a name that one of the two
/// does not have has the value "(none)" there.
inline void require_same(Communicator& communicator, std::string_view where,
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
