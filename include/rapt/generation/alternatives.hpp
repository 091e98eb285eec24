/// \file
/// Alternatives at a position: after a prefix, the best next tokens, and how the search goes on from each of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/decoding_model.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The model for a batch in which each source comes several times in a row: each is read once. Row r of the batch is
/// source parents[r]. Model and parents must outlive it.
template <DecodingModel M>
class RepeatedSources {
 public:
  using ScalarType = typename M::ScalarType;
  using State = typename M::State;
  static constexpr bool kDecoderOnly = kContinuesPrompts<M>;

  RepeatedSources(const M& model, std::span<const Index> parents) : model_(model), parents_(parents) {}

  [[nodiscard]] SequenceMarks sequence_marks() const { return model_.sequence_marks(); }
  [[nodiscard]] State start(const TokenBatch& repeated) const {
    TokenBatch sources;
    std::vector<Index> rows;
    for (Index r = 0; r < repeated.sequences(); ++r) {
      if (r == 0 || at(parents_, r) != at(parents_, r - 1)) sources.push_back(repeated.sequence(r));
      rows.push_back(sources.sequences() - 1);
    }
    State state = model_.start(sources);
    state.select(rows);
    return state;
  }
  [[nodiscard]] Tensor<ScalarType> step(State& state, std::span<const TokenId> tokens) const {
    return model_.step(state, tokens);
  }

 private:
  const M& model_;
  std::span<const Index> parents_;
};

/// The `n` most probable tokens behind the prefix of each source that do not end it, the most probable first.
template <DecodingModel M>
[[nodiscard]] std::vector<std::vector<TokenId>> next_tokens(const M& model, const GenerationRules& rules, Index n) {
  using T = typename M::ScalarType;
  std::vector<std::vector<TokenId>> found(to_size(rules.source().sequences()));
  if (found.empty()) return found;
  auto state = model.start(rules.source());
  Contexts contexts = rules.contexts();
  std::vector<Index> live(found.size()), parents;  // the source of each row
  std::iota(live.begin(), live.end(), Index{0});
  std::vector<Index> ends = contexts.roots;  // of the prefix of each source, as far as it is read
  std::vector<TokenId> tokens;
  for (const Index i : live) tokens.push_back(rules.first_token(i));
  std::vector<Candidate> best;
  for (Index length = 0; !live.empty(); ++length) {
    Tensor<T> logits = model.step(state, tokens);  // [rows, V]
    if (length == 0) rules.require_vocabulary(logits.cols());
    parents.clear();
    for (Index r = 0; r < logits.rows(); ++r) {
      const Index i = at(live, r);
      const auto prefix = rules.prefix(i);
      const bool is_last = length == std::ssize(prefix);
      if (is_last && length == rules.limit(i)) continue;
      const std::span<T> row(logits.row(r), to_size(logits.cols()));
      const double normaliser = rules.apply<T>(row, {i, length, at(ends, i)}, contexts, nullptr);
      const TokenId given = is_last ? TokenId{0} : at(prefix, length);
      rules.require_possible(normaliser, is_last ? 0.0 : static_cast<double>(at(row, given)), i, length);
      if (is_last) {
        // Beside those that are wanted, each end symbol may be among the best.
        best.resize(to_size(std::min(logits.cols(), std::min(n, logits.cols()) + rules.end_symbols())));
        best_tokens(std::span<const T>(row), r, 0.0, normaliser, std::span(best));
        for (const Candidate& c : best) {
          const bool is_wanted = std::isfinite(c.log_probability) && !rules.ends(c.token);
          if (is_wanted && std::ssize(at(found, i)) < n) at(found, i).push_back(c.token);
        }
        continue;
      }
      at(ends, i) = contexts.add(at(ends, i), given, i);
      live[parents.size()] = i;
      tokens[parents.size()] = given;
      parents.push_back(r);
    }
    if (parents.size() != live.size() && !parents.empty()) state.select(parents);
    live.resize(parents.size());
    tokens.resize(parents.size());
  }
  return found;
}

}  // namespace detail

/// For each source the `n` most probable tokens behind its prefix that do not end it, fewer or none if no more may
/// follow; and for each of them, the most probable first, the best hypothesis that begins with the prefix and it: what
/// a translator could have said from this position on. A beam size of one continues each greedily.
template <DecodingModel M>
[[nodiscard]] std::vector<std::vector<Hypothesis>> search_alternatives(const M& model, const TokenBatch& source,
                                                                       Index n, const BeamSearchOptions& options = {},
                                                                       const SearchRequest& request = {}) {
  constexpr std::string_view kWhere = "search_alternatives";
  require(n >= 1, kWhere, "n must be at least 1: ", n);
  require(request.on_token == nullptr, kWhere, "on_token is for greedy search and sampling");
  const detail::GenerationRules rules = detail::rules_of(model, source, options.generation, request, kWhere,
                                                         /*is_beam_search=*/true);
  TokenBatch repeated, beginnings;
  std::vector<Index> parents;
  std::vector<TokenId> beginning;
  const std::vector<std::vector<TokenId>> next = detail::next_tokens(model, rules, n);
  for (Index i = 0; i < source.sequences(); ++i) {
    for (const TokenId token : at(next, i)) {
      const auto prefix = rules.prefix(i);
      beginning.assign(prefix.begin(), prefix.end());
      beginning.push_back(token);
      repeated.push_back(source.sequence(i));
      beginnings.push_back(beginning);
      parents.push_back(i);
    }
  }
  BeamSearchOptions behind = options;
  behind.generation.begin_suppressed.clear();  // they were not among the alternatives, and may come behind them
  const SearchRequest of_rows{
      .prefix = std::move(beginnings), .marks = request.marks, .allowed = request.allowed.of_sources(parents)};
  std::vector<std::vector<Hypothesis>> found(to_size(source.sequences()));
  const detail::RepeatedSources<M> reader(model, parents);
  std::vector<Hypothesis> best = beam_search(reader, repeated, behind, of_rows);
  for (std::size_t r = 0; r < best.size(); ++r) at(found, parents[r]).push_back(std::move(best[r]));
  return found;
}

}}  // namespace rapt::RAPT_ABI
