/// \file
/// Alternatives at a position: after a prefix, the best next tokens, and how the search goes on from each of them.
#pragma once

#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/generation/beam_search.hpp"

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

}  // namespace detail

/// For each source the `n` most probable tokens behind its prefix that do not end it, fewer if no more may follow; and
/// for each of them, the most probable first, the best hypothesis that begins with the prefix and it: what a translator
/// could have said from this position on. A beam size of one continues each greedily.
template <DecodingModel M>
[[nodiscard]] std::vector<std::vector<Hypothesis>> search_alternatives(const M& model, const TokenBatch& source,
                                                                       Index n, const BeamSearchOptions& options = {},
                                                                       const SearchRequest& request = {}) {
  constexpr std::string_view kWhere = "search_alternatives";
  require(n >= 1, kWhere, "n must be at least 1: ", n);
  const Index prefixes = request.prefix.sequences();
  require(prefixes == 0 || prefixes == source.sequences(), kWhere, prefixes, " prefixes for ", source.sequences(),
          " source sequences");
  const auto request_of = [&](const std::vector<Index>& sources) {  // the numbers of the sources of a batch
    return SearchRequest{.marks = request.marks, .allowed = detail::allowed_of(request, sources)};
  };

  TokenBatch repeated, beginnings;
  std::vector<Index> parents;
  for (Index i = 0; i < source.sequences(); ++i) {
    TokenBatch alone;
    alone.push_back(source.sequence(i));
    SearchRequest first = request_of({i});
    Index given = 0;
    if (prefixes > 0) {
      first.prefix.push_back(request.prefix.sequence(i));
      given = request.prefix.row_splits.length(i);
    }
    if (given == 0) {
      const SequenceMarks marks = request.marks ? *request.marks : model.sequence_marks();
      given = marks.forced_begin || options.generation.forced_begin ? 1 : 0;
    }
    // The n best hypotheses of one token more than the prefix are the n best next tokens.
    BeamSearchOptions one_more{.beam_size = n, .length_penalty = 0, .generation = options.generation};
    one_more.generation.extra_length = std::numeric_limits<Index>::max();
    one_more.generation.max_length = one_more.generation.min_length = given + 1;
    one_more.generation.forced_ends.clear();
    const std::vector<std::vector<Hypothesis>> next = beam_search_n_best(model, alone, n, one_more, first);
    for (const Hypothesis& h : next.front()) {
      repeated.push_back(source.sequence(i));
      beginnings.push_back(h.tokens);
      parents.push_back(i);
    }
  }
  SearchRequest of_rows = request_of(parents);
  of_rows.prefix = std::move(beginnings);
  std::vector<std::vector<Hypothesis>> found(to_size(source.sequences()));
  const detail::RepeatedSources<M> reader(model, parents);
  std::vector<Hypothesis> best = beam_search(reader, repeated, options, of_rows);
  for (std::size_t r = 0; r < best.size(); ++r) at(found, parents[r]).push_back(std::move(best[r]));
  return found;
}

}}  // namespace rapt::RAPT_ABI
