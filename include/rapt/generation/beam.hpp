/// \file
/// The bookkeeping of beam search: which hypotheses live, which have ended, and what they are made of.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/generation/decoding_model.hpp"
#include "rapt/generation/length_penalty.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// When a source sequence leaves a beam search.
enum class StopCriterion {
  /// As soon as no live hypothesis can become one of those wanted, as its log-probability can only fall: further steps
  /// would find nothing better. Transformers' early_stopping = "never".
  nothing_better,
  /// As soon as beam_size * patience hypotheses have ended ("A Call for Clarity in Beam Search", Kasai et al. 2022).
  /// With patience = 1, transformers' early_stopping = True.
  enough_ended,
  /// As soon as so many have ended and the best live hypothesis, if it ended now, would not be better than the worst of
  /// the best beam_size * patience of them. With patience = 1, transformers' early_stopping = False.
  nothing_better_now,
};

/// Defaults are the paper's.
struct BeamSearchOptions {
  /// How many hypotheses are kept of each source.
  Index beam_size = 4;
  /// alpha of the length penalty, by which log-probabilities are divided; 0: none. Below 0 the penalty falls with
  /// length, so that shorter hypotheses are preferred still more.
  float length_penalty = 0.6f;
  /// Which function of the length log-probabilities are divided by.
  LengthNormalisation length_normalisation = LengthNormalisation::paper;
  /// Lengths, forced tokens and what else all searches know.
  GenerationOptions generation = {};
  /// When the search of a source ends.
  StopCriterion stop = StopCriterion::nothing_better;
  float patience = 1.f;  ///< for the other criteria: how many hypotheses must end, in units of beam_size
  /// True: hypotheses end only by the beam_size best candidates of a step, as in transformers and fairseq. False: by
  /// all that are better than the last candidate that lives on, of which there are more.
  bool only_best_end = false;
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

/// All hypotheses of a batch. The live ones are rows 0 .. rows(), those of one source sequence side by side and the
/// best of them first; all have the same length.
class Beam {
 public:
  /// Returns the `wanted` best ended hypotheses of each sequence. `options` and `rules` must outlive it.
  Beam(const BeamSearchOptions& options, const GenerationRules& rules, Index sequences, Index wanted)
      : options_(options),
        rules_(rules),
        wanted_(to_size(wanted)),
        kept_(options.stop == StopCriterion::nothing_better ? wanted_
                                                            : std::max(wanted_, to_size(patient_size(options)))),
        contexts_(rules.contexts()) {
    for (Index i = 0; i < sequences; ++i) {
      rows_.push_back({at(contexts_.roots, i), 0.0, i});
      tokens_.push_back(rules.first_token(i));
      sequences_.push_back({i, 1, {}});
    }
    results_.resize(static_cast<std::size_t>(sequences));
  }

  [[nodiscard]] Index rows() const { return static_cast<Index>(rows_.size()); }
  [[nodiscard]] Index length() const { return length_; }
  [[nodiscard]] Index sequence(Index row) const { return rows_[static_cast<std::size_t>(row)].sequence; }
  [[nodiscard]] double log_probability(Index row) const { return rows_[static_cast<std::size_t>(row)].log_probability; }
  /// What each row must be fed, and which row it was before the last `advance`.
  [[nodiscard]] std::span<const TokenId> tokens() const { return tokens_; }
  [[nodiscard]] std::span<const Index> parents() const { return parents_; }
  /// How many candidates of a row can matter: at most beam_size live on, and each end symbol may end one.
  [[nodiscard]] Index candidates_per_row() const { return options_.beam_size + rules_.end_symbols(); }
  [[nodiscard]] Position position(Index row) const {
    const Row& r = at(rows_, row);
    return {r.sequence, length_, r.node};
  }
  [[nodiscard]] const Contexts& contexts() const { return contexts_; }
  /// True if hypotheses of live sequence s, counted from 0 in the order of rows, have ended.
  [[nodiscard]] bool has_ended(std::size_t s) const { return !sequences_[s].ended.empty(); }
  /// The ended hypotheses of each sequence, best first, once there are no rows.
  [[nodiscard]] std::vector<std::vector<Hypothesis>>& results() { return results_; }

  /// One step: `candidates` holds `count` for each row. The best that do not end live on, at most beam_size for each
  /// sequence; a sequence of which nothing more can come leaves. Reorders `candidates`.
  void advance(std::span<Candidate> candidates, std::size_t count) {
    next_rows_.clear();
    parents_.clear();
    tokens_.clear();
    std::size_t first = 0, kept = 0;
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
      Sequence& sequence = sequences_[s];
      const std::size_t rows = sequence.rows;
      take_best(sequence, candidates.subspan(first * count, rows * count));
      first += rows;
      if (is_done(sequence)) {
        leave(sequence);
      } else {
        if (kept != s) sequences_[kept] = std::move(sequence);
        ++kept;
      }
    }
    sequences_.resize(kept);
    rows_.swap(next_rows_);
    ++length_;
  }

 private:
  struct Row {
    Index node;
    double log_probability;
    Index sequence;
  };
  struct Ended {
    Index node, length;
    double log_probability, score;
    bool finished;
    double of_last;  // the log-probability of the end symbol, or of the last token
  };
  struct Sequence {
    Index source = 0;
    std::size_t rows = 0;      // the last ones of next_rows_, while it is looked at
    std::vector<Ended> ended;  // best first
  };

  /// How many hypotheses must end, but for the criterion `nothing_better`.
  [[nodiscard]] static Index patient_size(const BeamSearchOptions& options) {
    const double size = static_cast<double>(options.beam_size) * static_cast<double>(options.patience);
    constexpr double kMost = 0x1p62;  // more than any search finds, and an Index
    return std::max<Index>(1, static_cast<Index>(std::llround(std::min(size, kMost))));
  }
  [[nodiscard]] double score(double log_probability, Index length) const {
    return log_probability /
           length_penalty(length, static_cast<double>(options_.length_penalty), options_.length_normalisation);
  }

  /// The best candidates become rows or end.
  void take_best(Sequence& sequence, std::span<Candidate> candidates) {
    const auto beam = static_cast<std::size_t>(options_.beam_size);
    // Each row of the sequence may end once by each end symbol: no further candidate can be looked at.
    const std::size_t looked_at =
        std::min(candidates.size(), beam + sequence.rows * static_cast<std::size_t>(rules_.end_symbols()));
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(looked_at),
                      candidates.end());
    const bool is_last = length_ + 1 >= rules_.limit(sequence.source);
    sequence.rows = 0;
    std::size_t cut = 0, number = 0;
    for (const Candidate& c : candidates.first(looked_at)) {
      if (sequence.rows + cut == beam || !std::isfinite(c.log_probability)) break;
      const bool may_end = !options_.only_best_end || number++ < beam;
      const Row& row = at(rows_, c.row);
      const double of_token = c.log_probability - row.log_probability;
      const auto ended = [&](Index length, bool finished) {
        return Ended{row.node, length, c.log_probability, score(c.log_probability, length_ + 1), finished, of_token};
      };
      if (rules_.ends(c.token)) {
        if (may_end) offer(sequence, ended(length_, true), nullptr);
      } else if (is_last) {
        if (!may_end) break;
        offer(sequence, ended(length_ + 1, false), &c.token);
        ++cut;
      } else {
        next_rows_.push_back(
            {contexts_.add(row.node, c.token, sequence.source, of_token), c.log_probability, sequence.source});
        parents_.push_back(c.row);
        tokens_.push_back(c.token);
        ++sequence.rows;
      }
    }
  }

  /// Keeps an ended hypothesis if it is among the best; `token`, if any, is its last, which the tree has not yet.
  void offer(Sequence& sequence, Ended ended, const TokenId* token) {
    std::vector<Ended>& list = sequence.ended;
    if (list.size() == kept_) {
      if (!(ended.score > list.back().score)) return;
      list.pop_back();
    }
    if (token != nullptr) ended.node = contexts_.add(ended.node, *token, sequence.source, ended.of_last);
    const auto better = [](const Ended& a, const Ended& b) { return a.score > b.score; };
    list.insert(std::upper_bound(list.begin(), list.end(), ended, better), ended);
  }

  /// Whether nothing more is looked for. Log-probabilities only fall with length, and penalties only grow, so that the
  /// best live hypothesis has at most the score that `nothing_better` compares: that of its longest continuation.
  /// Penalties with a negative alpha only fall, so that it has at most the score of now. A beam of one follows a single
  /// path to its first end: greedy search.
  [[nodiscard]] bool is_done(const Sequence& sequence) const {
    if (sequence.rows == 0) return true;
    if (sequence.ended.size() < kept_) return false;
    if (options_.beam_size == 1 || options_.stop == StopCriterion::enough_ended) return true;
    const double best = next_rows_[next_rows_.size() - sequence.rows].log_probability;
    const bool at_longest = options_.stop == StopCriterion::nothing_better && options_.length_penalty > 0;
    return score(best, at_longest ? rules_.limit(sequence.source) : length_ + 1) <= sequence.ended.back().score;
  }

  /// The sequence's results are final, and its rows are dropped.
  void leave(const Sequence& sequence) {
    for (std::size_t i = 0; i < std::min(wanted_, sequence.ended.size()); ++i) {
      const Ended& e = sequence.ended[i];
      Hypothesis h{contexts_.tree.path(e.node, e.length), e.log_probability, e.score, e.finished,
                   contexts_.tree.log_probabilities(e.node, e.length)};
      if (e.finished) h.token_log_probabilities.push_back(e.of_last);
      at(results_, sequence.source).push_back(std::move(h));
    }
    next_rows_.resize(next_rows_.size() - sequence.rows);
    parents_.resize(next_rows_.size());
    tokens_.resize(next_rows_.size());
  }

  const BeamSearchOptions& options_;
  const GenerationRules& rules_;
  std::size_t wanted_, kept_;  // how many of a sequence's ended hypotheses are returned, and looked at
  Index length_ = 0;
  Contexts contexts_;
  std::vector<Row> rows_, next_rows_;
  std::vector<TokenId> tokens_;
  std::vector<Index> parents_;
  std::vector<Sequence> sequences_;  // those that have rows
  std::vector<std::vector<Hypothesis>> results_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
