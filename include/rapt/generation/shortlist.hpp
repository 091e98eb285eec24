/// \file
/// Vocabulary shortlists: a translator that asks at each step only for tokens that may translate its source, so that
/// the product with the whole vocabulary, the largest of a step, becomes a small one (Jean et al. 2015, section 3.3).
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/generation/decoding_model.hpp"
#include "rapt/generation/generation_options.hpp"
#include "rapt/generation/lexical_table.hpp"
#include "rapt/generation/search_request.hpp"
#include "rapt/nn/output_rows.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How many candidates a shortlist has.
struct ShortlistOptions {
  Index per_source_token = 100;  ///< the most probable targets of each source token
  Index most_frequent = 1000;    ///< tokens that may come in any target: those of the corpus that came most often
  /// Tokens that may come in any target whatever the corpus says, such as those of single bytes.
  std::vector<TokenId> always = {};
};

/// For each source token some target tokens, and some that may come in any target. A const one may be used from many
/// threads.
class VocabularyShortlist {
 public:
  /// `candidates[e]` are those of source token e. Throws ValueError for tokens outside of the target vocabulary.
  VocabularyShortlist(Index target_vocabulary, std::vector<std::vector<TokenId>> candidates,
                      std::vector<TokenId> always)
      : target_vocabulary_(target_vocabulary), candidates_(std::move(candidates)), always_(std::move(always)) {
    require(target_vocabulary > 0, kWhere, "the target vocabulary must be positive: ", target_vocabulary);
    require_within(always_);
    for (const auto& list : candidates_) require_within(list);
  }

  /// The best of a table. Of equally good tokens those with the smaller ids are taken.
  VocabularyShortlist(const LexicalTable& table, const ShortlistOptions& options = {})
      : VocabularyShortlist(table.options().target_vocabulary, best(table, options), frequent(table, options)) {}

  /// The tokens that may come in the target of a source, sorted. Source tokens beyond those that the list knows have
  /// none.
  [[nodiscard]] std::vector<TokenId> of(std::span<const TokenId> source) const {
    std::vector<TokenId> tokens = always_;
    for (const TokenId token : source) {
      if (token < 0 || token >= source_vocabulary()) continue;
      const std::vector<TokenId>& list = at(candidates_, token);
      tokens.insert(tokens.end(), list.begin(), list.end());
    }
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return tokens;
  }

  /// The number of tokens of the source that have ids.
  [[nodiscard]] Index source_vocabulary() const { return std::ssize(candidates_); }
  /// The number of tokens of the target that have ids.
  [[nodiscard]] Index target_vocabulary() const { return target_vocabulary_; }
  /// The target tokens that each source token may become.
  [[nodiscard]] const std::vector<std::vector<TokenId>>& candidates() const { return candidates_; }
  /// The target tokens that are candidates of every source.
  [[nodiscard]] const std::vector<TokenId>& always() const { return always_; }
  friend bool operator==(const VocabularyShortlist&, const VocabularyShortlist&) = default;

 private:
  static constexpr std::string_view kWhere = "shortlist";

  void require_within(const std::vector<TokenId>& tokens) const {
    for (const TokenId token : tokens) {
      require(token >= 0 && token < target_vocabulary_, kWhere, "token ", token,
              " is outside the target vocabulary of ", target_vocabulary_);
    }
  }

  /// The targets of the first `most` entries when the largest weights come first.
  template <class Entries, class Weight>
  [[nodiscard]] static std::vector<TokenId> first(Entries entries, Index most, const Weight& weight) {
    require(most >= 0, kWhere, "numbers of tokens must not be negative: ", most);
    std::stable_sort(entries.begin(), entries.end(),
                     [&](const auto& a, const auto& b) { return weight(a) > weight(b); });
    std::vector<TokenId> tokens;
    for (const auto& entry : entries) {
      if (std::ssize(tokens) == most || !(weight(entry) > 0)) break;
      tokens.push_back(entry.target);
    }
    return tokens;
  }
  [[nodiscard]] static std::vector<std::vector<TokenId>> best(const LexicalTable& table,
                                                              const ShortlistOptions& options) {
    std::vector<std::vector<TokenId>> lists;
    for (TokenId e = 0; e < table.options().source_vocabulary; ++e) {
      lists.push_back(
          first(table.of(e), options.per_source_token, [](const auto& entry) { return entry.probability; }));
    }
    return lists;
  }
  /// The most frequent tokens, as many of those that are written for none, and the options' own.
  [[nodiscard]] static std::vector<TokenId> frequent(const LexicalTable& table, const ShortlistOptions& options) {
    struct Counted {
      TokenId target;
      Index count;
    };
    std::vector<Counted> counted;
    for (const Index count : table.counts()) counted.push_back({static_cast<TokenId>(counted.size()), count});
    std::vector<TokenId> tokens =
        first(std::move(counted), options.most_frequent, [](const Counted& entry) { return entry.count; });
    const auto of_none =
        first(table.of_none(), options.most_frequent, [](const auto& entry) { return entry.probability; });
    tokens.insert(tokens.end(), of_none.begin(), of_none.end());
    tokens.insert(tokens.end(), options.always.begin(), options.always.end());
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return tokens;
  }

  Index target_vocabulary_;
  std::vector<std::vector<TokenId>> candidates_;
  std::vector<TokenId> always_;
};

/// A DecodingModel whose logits can be had of some tokens alone: those with an encoder and a decoder.
template <class M>
concept HasOutputRows = DecodingModel<M> &&
    requires(const M& model, typename M::State& state, std::span<const TokenId> tokens) {
  model.step_hidden(state, tokens);
  model.output_rows(tokens).weight;
  { model.target_vocabulary() } -> std::convertible_to<Index>;
};

/// A model that generates tokens of a shortlist alone: the logits of all others are -infinity, and probabilities are of
/// the tokens in the list. The end tokens and the forced begin token of the model's marks are always in it. What a
/// source is given depends on it alone, and not on its batch. It looks at the model and the shortlist, which must
/// outlive it.
///
/// A search does not tell it what is asked for: give the constructor the same request and options if they name a
/// prefix, marks other than the model's, or forced tokens, which are in the list then.
///
///     rapt::beam_search(rapt::Shortlisted(model, shortlist), source, {.beam_size = 4});
template <HasOutputRows M>
class Shortlisted {
 public:
  using ScalarType = typename M::ScalarType;

  /// The tokens that may come in the batch's targets, and their part of the output projection.
  struct Candidates {
    std::vector<TokenId> tokens;                ///< of all sources together, sorted
    std::vector<std::vector<Index>> of_source;  ///< of each source, places in `tokens`
    OutputRows<ScalarType> output;              ///< [tokens, D]
  };
  /// The inner model's state, and the candidates of the sources that it decodes.
  struct State {
    typename M::State inner;
    std::shared_ptr<const Candidates> candidates;  ///< shared by copies
    std::vector<Index> sources;                    ///< of each row

    [[nodiscard]] Index rows() const { return inner.rows(); }
    /// Row i becomes a copy of row parents[i].
    void select(std::span<const Index> parents) {
      inner.select(parents);
      std::vector<Index> selected;
      for (const Index parent : parents) selected.push_back(at(sources, parent));
      sources = std::move(selected);
    }
  };

  /// The tokens of source i's prefix in the request may come for source i alone, all else that request and options name
  /// for every source. Throws ValueError for a shortlist of another target vocabulary and for tokens outside of it.
  Shortlisted(const M& model, const VocabularyShortlist& shortlist, const SearchRequest& request = {},
              const GenerationOptions& options = {})
      : model_(model), shortlist_(shortlist), prefixes_(request.prefix), also_(options.forced_ends) {
    require(shortlist.target_vocabulary() == model.target_vocabulary(), "shortlist", "the shortlist has ",
            shortlist.target_vocabulary(), " target tokens, the model ", model.target_vocabulary());
    if (options.forced_begin) also_.push_back(*options.forced_begin);
    add_marks(model.sequence_marks());
    if (request.marks) add_marks(*request.marks);
    require_within(also_);
  }
  Shortlisted(const M&, VocabularyShortlist&&, const SearchRequest& = {}, const GenerationOptions& = {}) = delete;

  [[nodiscard]] SequenceMarks sequence_marks() const { return model_.sequence_marks(); }

  /// The inner model's state, and the candidates of each source.
  [[nodiscard]] State start(const TokenBatch& source) const {
    require(prefixes_.sequences() == 0 || prefixes_.sequences() == source.sequences(), "shortlist",
            prefixes_.sequences(), " prefixes for ", source.sequences(), " sources");
    std::vector<std::vector<TokenId>> lists;
    std::vector<bool> is_candidate(to_size(model_.target_vocabulary()));
    State state{.inner = model_.start(source), .candidates = nullptr, .sources = {}};
    for (Index s = 0; s < source.sequences(); ++s) {
      lists.push_back(shortlist_.of(source.sequence(s)));
      lists.back().insert(lists.back().end(), also_.begin(), also_.end());
      if (prefixes_.sequences() > 0) {
        const auto prefix = prefixes_.sequence(s);
        require_within(prefix);
        lists.back().insert(lists.back().end(), prefix.begin(), prefix.end());
      }
      for (const TokenId token : lists.back()) is_candidate[to_size(token)] = true;
      state.sources.push_back(s);
    }
    auto candidates = std::make_shared<Candidates>();
    std::vector<Index> places(is_candidate.size());
    for (std::size_t token = 0; token < is_candidate.size(); ++token) {
      if (!is_candidate[token]) continue;
      places[token] = std::ssize(candidates->tokens);
      candidates->tokens.push_back(static_cast<TokenId>(token));
    }
    for (const auto& list : lists) {
      std::vector<Index>& of_source = candidates->of_source.emplace_back();
      for (const TokenId token : list) of_source.push_back(at(places, token));
    }
    candidates->output = model_.output_rows(candidates->tokens);
    state.candidates = std::move(candidates);
    return state;
  }

  /// Logits of the candidates of each row's source; -infinity of all other tokens   // [rows, V]
  [[nodiscard]] Tensor<ScalarType> step(State& state, std::span<const TokenId> tokens) const {
    const Inference scope;
    const Candidates& candidates = *state.candidates;
    const Variable<ScalarType> hidden = model_.step_hidden(state.inner, tokens);
    const Variable<ScalarType> few = linear<ScalarType>(hidden, candidates.output.weight, candidates.output.bias);
    Tensor<ScalarType> logits(Shape{few.rows(), model_.target_vocabulary()});
    parallel_parts(few.rows(), [&](Index row) {
      ScalarType* all = logits.row(row);
      const ScalarType* z = few.value().row(row);
      std::fill_n(all, logits.cols(), -std::numeric_limits<ScalarType>::infinity());
      for (const Index place : at(candidates.of_source, at(state.sources, row))) {
        all[at(candidates.tokens, place)] = z[place];
      }
    });
    return logits;
  }

 private:
  void add_marks(const SequenceMarks& marks) {
    also_.insert(also_.end(), marks.ends.begin(), marks.ends.end());
    if (marks.forced_begin) also_.push_back(*marks.forced_begin);
  }
  void require_within(std::span<const TokenId> tokens) const {
    for (const TokenId token : tokens) {
      require(token >= 0 && token < model_.target_vocabulary(), "shortlist", "token ", token,
              " is outside the target vocabulary of ", model_.target_vocabulary());
    }
  }

  const M& model_;
  const VocabularyShortlist& shortlist_;
  TokenBatch prefixes_;
  std::vector<TokenId> also_;
};

}}  // namespace rapt::RAPT_ABI
