/// \file
/// What belongs to one call of a search; how the search goes is said by its options.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/core/work_report.hpp"
#include "rapt/generation/decoding_constraint.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What one call of a search asks beside the sources themselves.
struct SearchRequest {
  /// What every hypothesis of each source begins with, one sequence for each source; without sequences: nothing.
  TokenBatch prefix = {};
  /// In place of the model's own marks, e.g. those with one more end token.
  std::optional<SequenceMarks> marks = {};
  std::uint64_t seed = 1;  ///< of `sample`: the same seed draws the same hypotheses
  /// The stream of random numbers of each source in `sample`, so that a source is given the same numbers in whatever
  /// batch it comes; empty: its index in the batch.
  std::vector<std::uint64_t> streams = {};
  /// If set, it is called with each token as soon as it is chosen, end tokens excepted, and with the number of the
  /// hypothesis, which ends there if it returns false. Beam search, where tokens are only known in the end, throws.
  std::function<bool(Index hypothesis, TokenId token)> on_token = {};
  /// If set, it says which tokens may follow, for instance those that a grammar has there: an object with a state for
  /// each hypothesis, or a function of the source and the tokens so far (see DecodingConstraint).
  DecodingConstraint allowed = {};
  /// If set, searches of many sources in batches (`search_in_batches`, and the pipelines by it) tell it how many of
  /// them are done.
  WorkReport report = {};
};

}}  // namespace rapt::RAPT_ABI
