/// \file
/// Beam search with length penalty (the paper's 6.1; Wu et al. 2016, equation 14).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "rapt/generation/greedy.hpp"

namespace rapt::inline RAPT_ABI {

/// Defaults are the paper's.
struct BeamSearchOptions {
  Index beam_size = 4;
  /// alpha of lp(Y) = ((5 + |Y|) / 6)^alpha, by which log-probabilities are divided; 0: none. |Y| counts the end
  /// symbol.
  float length_penalty = 0.6f;
  GenerationOptions generation = {};
};

namespace detail {

/// A possible next token of a row.
struct Candidate {
  double log_probability = -std::numeric_limits<double>::infinity();
  Index row = 0;
  TokenId token = 0;

  /// Better first; ties go to the earlier row, then to the smaller token.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    if (a.log_probability != b.log_probability) return a.log_probability > b.log_probability;
    return a.row != b.row ? a.row < b.row : a.token < b.token;
  }
};

/// The `count` most probable tokens of a row of logits, best first, on top of the row's own log-probability.
template <class T>
void best_tokens(std::span<const T> logits, Index row, double log_probability, std::span<Candidate> best) {
  const double normaliser = kernels::log_sum_exp(logits.data(), static_cast<Index>(logits.size()));
  std::fill(best.begin(), best.end(), Candidate{});
  T threshold = -std::numeric_limits<T>::infinity();
  for (std::size_t j = 0; j < logits.size(); ++j) {
    if (!(logits[j] > threshold)) continue;
    const Candidate candidate{log_probability + (static_cast<double>(logits[j]) - normaliser), row,
                              static_cast<TokenId>(j)};
    const auto place = std::upper_bound(best.begin(), best.end(), candidate);
    if (place == best.end()) continue;
    std::move_backward(place, best.end() - 1, best.end());
    *place = candidate;
    const Candidate& last = best.back();
    if (std::isfinite(last.log_probability)) threshold = logits[static_cast<std::size_t>(last.token)];
  }
}

/// What is known of one source sequence.
struct BeamSequence {
  Index source = 0;
  Index max_length = 0;
  std::vector<Hypothesis> live;      // rows of the state, in this order
  std::vector<Hypothesis> finished;  // best first, at most beam_size
};

}  // namespace detail

/// The best hypothesis of each source sequence. A sequence leaves the batch as soon as no live hypothesis can still
/// beat its best finished one.
template <DecodingModel M>
[[nodiscard]] std::vector<Hypothesis> beam_search(const M& model, const TokenBatch& source,
                                                  const BeamSearchOptions& options = {}) {
  using T = typename M::ScalarType;
  require(options.beam_size >= 1, "beam_search", "beam_size must be at least 1: ", options.beam_size);
  // A negative one would make the bound below none.
  require(options.length_penalty >= 0, "beam_search", "length_penalty must not be negative: ", options.length_penalty);
  const auto beam = static_cast<std::size_t>(options.beam_size);
  const GenerationOptions& limits = options.generation;
  const auto penalty = [&](std::size_t length) {
    return std::pow((5.0 + static_cast<double>(length)) / 6.0, static_cast<double>(options.length_penalty));
  };
  const auto better = [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; };

  std::vector<Hypothesis> results(static_cast<std::size_t>(source.sequences()));
  if (results.empty()) return results;
  auto state = model.start(source);
  std::vector<detail::BeamSequence> sequences;
  for (Index i = 0; i < source.sequences(); ++i) {
    sequences.push_back({i, source.row_splits.length(i) + limits.extra_length, {Hypothesis{}}, {}});
  }
  std::vector<TokenId> tokens(sequences.size(), limits.begin);

  while (!sequences.empty()) {
    const Tensor<T> logits = model.step(state, tokens);  // [rows, V]
    // Twice as many as the beam: even if every other one ends, the beam stays full.
    const std::size_t count = std::min<std::size_t>(2 * beam, static_cast<std::size_t>(logits.cols()));
    std::vector<double> scores;
    for (const auto& sequence : sequences) {
      for (const Hypothesis& h : sequence.live) scores.push_back(h.log_probability);
    }
    std::vector<detail::Candidate> best(scores.size() * count);
    parallel_parts(logits.rows(), [&](Index r) {
      const auto at = static_cast<std::size_t>(r);
      detail::best_tokens(std::span<const T>(logits.row(r), static_cast<std::size_t>(logits.cols())), r, scores[at],
                          std::span(best).subspan(at * count, count));
    });

    std::vector<Index> parents;
    std::vector<detail::BeamSequence> still_live;
    tokens.clear();
    std::size_t first_row = 0;
    for (auto& sequence : sequences) {
      const std::size_t rows = sequence.live.size();
      const auto candidates = std::span(best).subspan(first_row * count, rows * count);
      std::sort(candidates.begin(), candidates.end());
      require(std::isfinite(candidates.front().log_probability), "beam_search",
              "the model's logits are not finite for source sequence ", sequence.source, " after ",
              sequence.live.front().tokens.size(), " tokens");
      std::vector<Hypothesis> live;
      std::vector<Index> live_parents;
      for (const detail::Candidate& c : candidates) {
        if (live.size() == beam || !std::isfinite(c.log_probability)) break;
        Hypothesis h = sequence.live[static_cast<std::size_t>(c.row) - first_row];
        h.log_probability = c.log_probability;
        const bool ends = c.token == limits.end;
        if (!ends) h.tokens.push_back(c.token);
        const bool cut = !ends && static_cast<Index>(h.tokens.size()) >= sequence.max_length;
        if (ends || cut) {
          h.finished = ends;
          h.score = h.log_probability / penalty(h.tokens.size() + (ends ? 1 : 0));
          const auto place = std::upper_bound(sequence.finished.begin(), sequence.finished.end(), h, better);
          sequence.finished.insert(place, std::move(h));
          if (sequence.finished.size() > beam) sequence.finished.pop_back();
        } else {
          live.push_back(std::move(h));
          live_parents.push_back(c.row);
        }
      }
      first_row += rows;
      // Log-probabilities only fall, and the longest length has the mildest penalty: an upper bound for the best live
      // one. A beam of one follows a single path, to its first end: greedy search.
      const bool done =
          live.empty() ||
          (!sequence.finished.empty() &&
           (beam == 1 || live.front().log_probability / penalty(static_cast<std::size_t>(sequence.max_length) + 1) <=
                             sequence.finished.front().score));
      if (done) {
        results[static_cast<std::size_t>(sequence.source)] = std::move(sequence.finished.front());
        continue;
      }
      for (const Hypothesis& h : live) tokens.push_back(h.tokens.back());
      parents.insert(parents.end(), live_parents.begin(), live_parents.end());
      sequence.live = std::move(live);
      still_live.push_back(std::move(sequence));
    }
    sequences = std::move(still_live);
    if (!sequences.empty()) state.select(parents);
  }
  return results;
}

}  // namespace rapt::inline RAPT_ABI
