/// \file
/// The smallest DecodingModel there is: logits as a function of the source and of all tokens fed so far; and the
/// searches that need no state, to compare with.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <vector>

#include "rapt/core/rng.hpp"
#include "rapt/generation/decoding_model.hpp"

namespace rapt_test {

using Tokens = std::vector<rapt::TokenId>;

[[nodiscard]] inline rapt::TokenBatch one_sequence(std::span<const rapt::TokenId> tokens) {
  rapt::TokenBatch batch;
  batch.push_back(tokens);
  return batch;
}

/// Its state is what was fed to each row, so a wrong `select` shows in every later number.
struct PrefixModel {
  using ScalarType = double;
  using Function = std::function<std::vector<double>(const Tokens& source, const Tokens& prefix)>;

  struct Row {
    Tokens source, prefix;
  };
  struct State {
    std::vector<Row> of;
    [[nodiscard]] rapt::Index rows() const { return static_cast<rapt::Index>(of.size()); }
    void select(std::span<const rapt::Index> parents) {
      std::vector<Row> next;
      for (const rapt::Index parent : parents) next.push_back(of.at(static_cast<std::size_t>(parent)));
      of = std::move(next);
    }
  };

  Function logits;                                 ///< prefix: with the begin symbol
  mutable std::vector<rapt::Index> rows_fed = {};  ///< of each step

  [[nodiscard]] State start(const rapt::TokenBatch& source) const {
    State state;
    for (rapt::Index i = 0; i < source.sequences(); ++i) {
      state.of.push_back({Tokens(source.sequence(i).begin(), source.sequence(i).end()), {}});
    }
    return state;
  }
  [[nodiscard]] rapt::Tensor<double> step(State& state, std::span<const rapt::TokenId> tokens) const {
    if (tokens.size() != state.of.size()) throw std::logic_error("tokens for another number of rows");
    rows_fed.push_back(state.rows());
    std::vector<double> all;
    for (std::size_t r = 0; r < tokens.size(); ++r) {
      state.of[r].prefix.push_back(tokens[r]);
      const std::vector<double> row = logits(state.of[r].source, state.of[r].prefix);
      all.insert(all.end(), row.begin(), row.end());
    }
    const auto vocabulary = static_cast<rapt::Index>(all.size()) / state.rows();
    return rapt::Tensor<double>({state.rows(), vocabulary}, std::span<const double>(all));
  }
};
static_assert(rapt::DecodingModel<PrefixModel>);

/// Random logits that depend on every token of source and prefix. `end_bias` is added to the end symbol's.
[[nodiscard]] inline PrefixModel random_prefix_model(rapt::Index vocabulary, std::uint64_t seed, double end_bias = 0) {
  return {[=](const Tokens& source, const Tokens& prefix) {
    std::uint64_t hash = seed;
    for (const Tokens* part : {&source, &prefix}) {
      for (const rapt::TokenId token : *part) hash = (hash ^ static_cast<std::uint64_t>(token + 1)) * 0x100000001b3;
      hash = hash * 31 + 7;
    }
    std::vector<double> row(static_cast<std::size_t>(vocabulary));
    rapt::Rng(hash).fill_normal(std::span(row), 0.0, 1.5);
    row[2] += end_bias;
    return row;
  }};
}

[[nodiscard]] inline std::vector<double> log_softmax(std::span<const double> logits) {
  double sum = 0;
  for (const double z : logits) sum += std::exp(z);
  std::vector<double> result;
  for (const double z : logits) result.push_back(z - std::log(sum));
  return result;
}

/// lp(Y) = ((5 + |Y|) / 6)^alpha
[[nodiscard]] inline double length_penalty(std::size_t length, double alpha) {
  return std::pow((5.0 + static_cast<double>(length)) / 6.0, alpha);
}

/// Log-probabilities of the next token after source and prefix (with the begin symbol).
using NextToken = std::function<std::vector<double>(const Tokens& source, const Tokens& prefix)>;

[[nodiscard]] inline NextToken next_token(const PrefixModel& model) {
  return [&model](const Tokens& source, const Tokens& prefix) { return log_softmax(model.logits(source, prefix)); };
}

/// The best of all sequences there are up to `longest` tokens, by looking at each of them.
[[nodiscard]] inline rapt::Hypothesis exhaustive_search(const NextToken& next, const Tokens& source,
                                                        rapt::Index longest, double alpha) {
  rapt::Hypothesis best;
  best.score = -std::numeric_limits<double>::infinity();
  const auto offer = [&](const Tokens& tokens, double log_probability, bool finished) {
    const double score = log_probability / length_penalty(tokens.size() + (finished ? 1 : 0), alpha);
    if (score > best.score) best = {tokens, log_probability, score, finished};
  };
  const std::function<void(Tokens&, double)> visit = [&](Tokens& tokens, double log_probability) {
    Tokens prefix{1};
    prefix.insert(prefix.end(), tokens.begin(), tokens.end());
    const std::vector<double> step = next(source, prefix);
    offer(tokens, log_probability + step[2], true);
    for (std::size_t j = 0; j < step.size(); ++j) {
      if (j == 2) continue;
      tokens.push_back(static_cast<rapt::TokenId>(j));
      if (static_cast<rapt::Index>(tokens.size()) == longest) {
        offer(tokens, log_probability + step[j], false);
      } else {
        visit(tokens, log_probability + step[j]);
      }
      tokens.pop_back();
    }
  };
  Tokens tokens;
  visit(tokens, 0);
  return best;
}

/// Beam search as plainly as it can be said, for one source: at every length the candidates best first, those that end
/// are put aside, the first `beam` others live on, to the very last length.
[[nodiscard]] inline rapt::Hypothesis plain_beam_search(const NextToken& next, const Tokens& source,
                                                        rapt::Index longest, std::size_t beam, double alpha) {
  std::vector<rapt::Hypothesis> live(1), ended;
  for (rapt::Index length = 1; length <= longest; ++length) {
    std::vector<rapt::Hypothesis> candidates;  // a last token of 2 says that it ends
    for (const rapt::Hypothesis& h : live) {
      Tokens prefix{1};
      prefix.insert(prefix.end(), h.tokens.begin(), h.tokens.end());
      const std::vector<double> step = next(source, prefix);
      for (std::size_t j = 0; j < step.size(); ++j) {
        candidates.push_back(h);
        candidates.back().tokens.push_back(static_cast<rapt::TokenId>(j));
        candidates.back().log_probability += step[j];
      }
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const auto& a, const auto& b) { return a.log_probability > b.log_probability; });
    live.clear();
    for (rapt::Hypothesis& h : candidates) {
      if (live.size() == beam) break;
      h.finished = h.tokens.back() == 2;
      if (h.finished || length == longest) {
        h.score = h.log_probability / length_penalty(h.tokens.size(), alpha);
        if (h.finished) h.tokens.pop_back();
        ended.push_back(h);
      } else {
        live.push_back(h);
      }
    }
  }
  return *std::max_element(ended.begin(), ended.end(), [](const auto& a, const auto& b) { return a.score < b.score; });
}

inline void expect_same(const rapt::Hypothesis& ours, const rapt::Hypothesis& expected, double tolerance = 1e-12) {
  EXPECT_EQ(ours.tokens, expected.tokens);
  EXPECT_EQ(ours.finished, expected.finished);
  EXPECT_NEAR(ours.log_probability, expected.log_probability, tolerance * (1 + std::abs(expected.log_probability)));
  EXPECT_NEAR(ours.score, expected.score, tolerance * (1 + std::abs(expected.score)));
}

/// Sources of different length, one of them of a single token.
[[nodiscard]] inline rapt::TokenBatch some_sources() {
  return rapt::TokenBatch({{3}, {3, 4, 5}, {4}, {5, 3, 4, 4, 3, 5, 5}, {3, 3}});
}

}  // namespace rapt_test
