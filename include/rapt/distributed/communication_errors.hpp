/// \file
/// The checks and the texts of errors that all communicators share.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/distributed/communicator.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Throws ValueError if a message is for or from this process or one that there is not.
inline void require_other_ranks(std::string_view where, Index rank, Index size,
                                std::span<const OutgoingMessage> outgoing, std::span<const IncomingMessage> incoming) {
  const auto check = [&](Index other, std::string_view direction) {
    require(other >= 0 && other < size && other != rank, where, "a message must be ", direction,
            " another process: rank ", other, ", this is rank ", rank, " of ", size);
  };
  for (const OutgoingMessage& message : outgoing) check(message.to, "for");
  for (const IncomingMessage& message : incoming) check(message.from, "from");
}

/// Checks a time-out in seconds; the limit of some thirty years keeps its nanoseconds a 64-bit number.
inline void require_timeout(std::string_view where, double seconds) {
  require(seconds > 0 && seconds <= 1e9, where, "timeout_seconds must lie in (0, 1e9]: ", seconds);
}

/// Throws CommunicationError: another process has announced that it ends.
[[noreturn]] inline void fail_as_ended(std::string_view where, Index rank, std::string_view cause) {
  fail<CommunicationError>(where, "rank ", rank, " has ended: ", cause.empty() ? "unknown cause" : cause);
}

/// Throws CommunicationError: a message has not as many bytes as there is room for.
[[noreturn]] inline void fail_on_length(std::string_view where, Index from, Index expected) {
  fail<CommunicationError>(where, "rank ", from, " has sent a message of another length than the ", expected,
                           " bytes expected: all processes must call the same operations in the same order");
}

/// "rank 1" or "ranks 1, 3", each once; of many the first ten.
[[nodiscard]] inline std::string rank_list(std::vector<Index> ranks) {
  constexpr std::size_t kMostNamed = 10;
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < std::min(ranks.size(), kMostNamed); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
  }
  if (ranks.size() > kMostNamed) text += " and " + std::to_string(ranks.size() - kMostNamed) + " more";
  return text;
}

}}}  // namespace rapt::RAPT_ABI::detail
