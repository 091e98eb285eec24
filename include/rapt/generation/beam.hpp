/// \file
/// The bookkeeping of beam search: which hypotheses live, which have ended, and what they are made of.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "rapt/generation/decoding_model.hpp"
#include "rapt/generation/length_penalty.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Defaults are the paper's.
struct BeamSearchOptions {
  Index beam_size = 4;
  /// alpha of the length penalty, by which log-probabilities are divided; 0: none.
  float length_penalty = 0.6f;
  LengthNormalisation length_normalisation = LengthNormalisation::paper;
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

/// Hypotheses share their beginnings: each is a path to the root, and grows by one node whatever its length.
class TokenTree {
 public:
  static constexpr Index kRoot = -1;

  /// A new node below `parent`.
  [[nodiscard]] Index add(Index parent, TokenId token) {
    nodes_.push_back({parent, token});
    return static_cast<Index>(nodes_.size()) - 1;
  }
  /// The tokens from the root to a node, `length` of them.
  [[nodiscard]] std::vector<TokenId> path(Index node, Index length) const {
    std::vector<TokenId> tokens(static_cast<std::size_t>(length));
    for (std::size_t i = tokens.size(); i-- > 0; node = nodes_[static_cast<std::size_t>(node)].parent) {
      tokens[i] = nodes_[static_cast<std::size_t>(node)].token;
    }
    return tokens;
  }

 private:
  struct Node {
    Index parent;
    TokenId token;
  };
  std::vector<Node> nodes_;
};

/// All hypotheses of a batch. The live ones are rows 0 .. rows(), those of one source sequence side by side and the
/// best of them first; all have the same length.
class Beam {
 public:
  /// Keeps the `wanted` best ended hypotheses of each sequence. `options` and `rules` must outlive it.
  Beam(const BeamSearchOptions& options, const GenerationRules& rules, Index sequences, Index wanted)
      : options_(options), rules_(rules), wanted_(static_cast<std::size_t>(wanted)) {
    for (Index i = 0; i < sequences; ++i) {
      rows_.push_back({TokenTree::kRoot, 0.0, i});
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
  /// What a repetition penalty on a row falls on.
  [[nodiscard]] std::vector<TokenId> seen(Index row) const {
    if (!rules_.penalises_repetition()) return {};
    const Row& r = rows_[static_cast<std::size_t>(row)];
    return rules_.seen(r.sequence, tree_.path(r.node, length_));
  }
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
  };
  struct Sequence {
    Index source = 0;
    std::size_t rows = 0;      // the last ones of next_rows_, while it is looked at
    std::vector<Ended> ended;  // best first
  };

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
    std::size_t cut = 0;
    for (const Candidate& c : candidates.first(looked_at)) {
      if (sequence.rows + cut == beam || !std::isfinite(c.log_probability)) break;
      const Index node = rows_[static_cast<std::size_t>(c.row)].node;
      if (rules_.ends(c.token)) {
        offer(sequence, {node, length_, c.log_probability, score(c.log_probability, length_ + 1), true}, nullptr);
      } else if (is_last) {
        offer(sequence, {node, length_ + 1, c.log_probability, score(c.log_probability, length_ + 1), false}, &c.token);
        ++cut;
      } else {
        next_rows_.push_back({tree_.add(node, c.token), c.log_probability, sequence.source});
        parents_.push_back(c.row);
        tokens_.push_back(c.token);
        ++sequence.rows;
      }
    }
  }

  /// Keeps an ended hypothesis if it is among the best; `token`, if any, is its last, which the tree has not yet.
  void offer(Sequence& sequence, Ended ended, const TokenId* token) {
    std::vector<Ended>& list = sequence.ended;
    if (list.size() == wanted_) {
      if (!(ended.score > list.back().score)) return;
      list.pop_back();
    }
    if (token != nullptr) ended.node = tree_.add(ended.node, *token);
    const auto better = [](const Ended& a, const Ended& b) { return a.score > b.score; };
    list.insert(std::upper_bound(list.begin(), list.end(), ended, better), ended);
  }

  /// Whether no live hypothesis can become one of the best ended. Log-probabilities only fall and penalties only grow
  /// with length, so that at its longest the best live one has at most this score. A beam of one follows a single path
  /// to its first end: greedy search.
  [[nodiscard]] bool is_done(const Sequence& sequence) const {
    if (sequence.rows == 0) return true;
    if (sequence.ended.size() < wanted_) return false;
    const double best = next_rows_[next_rows_.size() - sequence.rows].log_probability;
    return options_.beam_size == 1 || score(best, rules_.limit(sequence.source)) <= sequence.ended.back().score;
  }

  /// The sequence's results are final, and its rows are dropped.
  void leave(const Sequence& sequence) {
    for (const Ended& e : sequence.ended) {
      results_[static_cast<std::size_t>(sequence.source)].push_back(
          {tree_.path(e.node, e.length), e.log_probability, e.score, e.finished});
    }
    next_rows_.resize(next_rows_.size() - sequence.rows);
    parents_.resize(next_rows_.size());
    tokens_.resize(next_rows_.size());
  }

  const BeamSearchOptions& options_;
  const GenerationRules& rules_;
  std::size_t wanted_;
  Index length_ = 0;
  TokenTree tree_;
  std::vector<Row> rows_, next_rows_;
  std::vector<TokenId> tokens_;
  std::vector<Index> parents_;
  std::vector<Sequence> sequences_;  // those that have rows
  std::vector<std::vector<Hypothesis>> results_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
