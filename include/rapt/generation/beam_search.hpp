/// \file
/// Beam search with length penalty (the paper's 6.1), for the best hypothesis or the n best.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/thread_pool.hpp"
#include "rapt/generation/beam.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The most probable tokens of a row, best first: log_probability is `base` + logits_j - `normaliser`.
template <class T>
void best_tokens(std::span<const T> logits, Index row, double base, double normaliser, std::span<Candidate> best) {
  std::fill(best.begin(), best.end(), Candidate{});
  T threshold = -std::numeric_limits<T>::infinity();
  kernels::for_each_above(logits.data(), static_cast<Index>(logits.size()), threshold, [&](Index j) {
    const double z = static_cast<double>(logits[static_cast<std::size_t>(j)]);
    const Candidate candidate{base + (z - normaliser), row, static_cast<TokenId>(j)};
    const auto place = std::upper_bound(best.begin(), best.end(), candidate);
    if (place == best.end()) return;
    std::move_backward(place, best.end() - 1, best.end());
    *place = candidate;
    const Candidate& last = best.back();
    if (std::isfinite(last.log_probability)) threshold = logits[static_cast<std::size_t>(last.token)];
  });
}

}  // namespace detail

/// The `n` best hypotheses of each source sequence, best first; fewer if there are no more. n must not exceed the beam
/// size. A sequence leaves the batch when the options' stop criterion says so: by default as soon as no live hypothesis
/// can still become one of its n best.
template <DecodingModel M>
[[nodiscard]] std::vector<std::vector<Hypothesis>> beam_search_n_best(const M& model, const TokenBatch& source, Index n,
                                                                      const BeamSearchOptions& options = {},
                                                                      const SearchRequest& request = {}) {
  using T = typename M::ScalarType;
  constexpr std::string_view kWhere = "beam_search";
  require(options.beam_size >= 1, kWhere, "beam_size must be at least 1: ", options.beam_size);
  require(n >= 1 && n <= options.beam_size, kWhere, "n must be from 1 to beam_size: n = ", n,
          ", beam_size = ", options.beam_size);
  require(std::isfinite(options.length_penalty), kWhere,
          "length_penalty must be a finite number: ", options.length_penalty);
  require(request.on_token == nullptr, kWhere, "on_token is for greedy search and sampling");
  require(options.patience > 0 && std::isfinite(options.patience), kWhere,
          "patience must be positive: ", options.patience);
  const detail::GenerationRules rules = detail::rules_of(model, source, options.generation, request, kWhere,
                                                         /*is_beam_search=*/true);
  detail::Beam beam(options, rules, source.sequences(), n);
  if (beam.rows() == 0) return std::move(beam.results());

  auto state = model.start(rules.source());
  std::vector<double> normaliser;
  std::vector<detail::Candidate> candidates;
  for (;;) {
    Tensor<T> logits = model.step(state, beam.tokens());  // [rows, V]
    if (beam.length() == 0) rules.require_vocabulary(logits.cols());
    const auto count = static_cast<std::size_t>(std::min(beam.candidates_per_row(), logits.cols()));
    normaliser.resize(static_cast<std::size_t>(beam.rows()));
    candidates.resize(normaliser.size() * count);
    parallel_parts(logits.rows(), [&](Index r) {
      const auto at = static_cast<std::size_t>(r);
      const std::span<T> row(logits.row(r), static_cast<std::size_t>(logits.cols()));
      normaliser[at] = rules.apply<T>(row, beam.position(r), beam.contexts(), nullptr);
      detail::best_tokens(std::span<const T>(row), r, beam.log_probability(r), normaliser[at],
                          std::span(candidates).subspan(at * count, count));
    });
    double best = -std::numeric_limits<double>::infinity();  // of a sequence
    std::size_t s = 0;
    for (Index r = 0; r < beam.rows(); ++r) {
      const auto at = static_cast<std::size_t>(r);
      best = std::max(best, candidates[at * count].log_probability);
      const bool is_last = r + 1 == beam.rows() || beam.sequence(r + 1) != beam.sequence(r);
      const bool must_go_on = is_last && !beam.has_ended(s);
      rules.require_possible(normaliser[at], must_go_on ? best : 0, beam.sequence(r), beam.length());
      if (!is_last) continue;
      best = -std::numeric_limits<double>::infinity();
      ++s;
    }
    beam.advance(candidates, count);
    if (beam.rows() == 0) return std::move(beam.results());
    state.select(beam.parents());
  }
}

/// The best hypothesis of each source sequence.
template <DecodingModel M>
[[nodiscard]] std::vector<Hypothesis> beam_search(const M& model, const TokenBatch& source,
                                                  const BeamSearchOptions& options = {},
                                                  const SearchRequest& request = {}) {
  std::vector<Hypothesis> best;
  for (auto& list : beam_search_n_best(model, source, 1, options, request)) best.push_back(std::move(list.front()));
  return best;
}

}}  // namespace rapt::RAPT_ABI
