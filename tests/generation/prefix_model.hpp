/// \file
/// The smallest DecodingModel there is: logits as a function of the source and of all tokens fed so far; and the
/// searches that need no state, to compare with.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
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

  [[nodiscard]] rapt::SequenceMarks sequence_marks() const { return {.begin = 1, .ends = {2}}; }
  [[nodiscard]] State start(const rapt::TokenBatch& source) const {
    State state;
    for (rapt::Index i = 0; i < source.sequences(); ++i) {
      state.of.push_back({Tokens(source.sequence(i).begin(), source.sequence(i).end()), {}});
    }
    return state;
  }
  [[nodiscard]] rapt::Tensor<double> step(State& state, std::span<const rapt::TokenId> tokens) const {
    if (tokens.size() != state.of.size()) throw std::logic_error("tokens for another number of rows");
    {
      static std::mutex mutex;  // batches are searched by several threads
      const std::scoped_lock lock(mutex);
      rows_fed.push_back(state.rows());
    }
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

/// What is asked for one source: the end symbol is 2.
struct SearchProblem {
  rapt::Index longest = 1;
  double alpha = 0;
  bool plain = false;  ///< |Y|^alpha instead of ((5 + |Y|) / 6)^alpha
  std::size_t shortest = 0;
  Tokens prefix = {};

  [[nodiscard]] double score(double log_probability, std::size_t length) const {
    return log_probability / (plain ? std::pow(static_cast<double>(length), alpha) : length_penalty(length, alpha));
  }
  /// Whether `token` may follow `tokens`.
  [[nodiscard]] bool allows(const Tokens& tokens, rapt::TokenId token) const {
    if (tokens.size() < prefix.size()) return token == prefix[tokens.size()];
    return token != 2 || tokens.size() >= shortest;
  }
};

inline void sort_by_score(std::vector<rapt::Hypothesis>& list) {
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
}

/// All sequences that may end, and all that reach the longest length, best first: by looking at each of them.
[[nodiscard]] inline std::vector<rapt::Hypothesis> exhaustive_search(const NextToken& next, const Tokens& source,
                                                                     const SearchProblem& problem) {
  std::vector<rapt::Hypothesis> found;
  const std::function<void(Tokens&, double)> visit = [&](Tokens& tokens, double log_probability) {
    if (static_cast<rapt::Index>(tokens.size()) == problem.longest) {
      found.push_back({tokens, log_probability, problem.score(log_probability, tokens.size()), false});
      return;
    }
    Tokens prefix{1};
    prefix.insert(prefix.end(), tokens.begin(), tokens.end());
    const std::vector<double> step = next(source, prefix);
    for (std::size_t j = 0; j < step.size(); ++j) {
      const auto token = static_cast<rapt::TokenId>(j);
      if (!problem.allows(tokens, token)) continue;
      const double sum = log_probability + step[j];
      if (token == 2) {
        found.push_back({tokens, sum, problem.score(sum, tokens.size() + 1), true});
      } else {
        tokens.push_back(token);
        visit(tokens, sum);
        tokens.pop_back();
      }
    }
  };
  Tokens tokens;
  visit(tokens, 0);
  sort_by_score(found);
  return found;
}

/// Beam search as plainly as it can be said, for one source: at every length the candidates best first, those that end
/// are put aside, the first `beam` others live on, to the very last length. All that ended, best first.
[[nodiscard]] inline std::vector<rapt::Hypothesis> plain_beam_search(const NextToken& next, const Tokens& source,
                                                                     const SearchProblem& problem, std::size_t beam) {
  std::vector<rapt::Hypothesis> live(1), ended;
  for (rapt::Index length = 1; length <= problem.longest; ++length) {
    std::vector<rapt::Hypothesis> candidates;  // a last token of 2 says that it ends
    for (const rapt::Hypothesis& h : live) {
      Tokens prefix{1};
      prefix.insert(prefix.end(), h.tokens.begin(), h.tokens.end());
      const std::vector<double> step = next(source, prefix);
      for (std::size_t j = 0; j < step.size(); ++j) {
        const auto token = static_cast<rapt::TokenId>(j);
        if (!problem.allows(h.tokens, token)) continue;
        candidates.push_back(h);
        candidates.back().tokens.push_back(token);
        candidates.back().log_probability += step[j];
      }
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const auto& a, const auto& b) { return a.log_probability > b.log_probability; });
    live.clear();
    for (rapt::Hypothesis& h : candidates) {
      if (live.size() == beam) break;
      h.finished = h.tokens.back() == 2;
      if (h.finished || length == problem.longest) {
        h.score = problem.score(h.log_probability, h.tokens.size());
        if (h.finished) h.tokens.pop_back();
        ended.push_back(h);
      } else {
        live.push_back(h);
      }
    }
  }
  sort_by_score(ended);
  return ended;
}

inline void expect_same(const rapt::Hypothesis& ours, const rapt::Hypothesis& expected, double tolerance = 1e-12) {
  EXPECT_EQ(ours.tokens, expected.tokens);
  EXPECT_EQ(ours.finished, expected.finished);
  EXPECT_NEAR(ours.log_probability, expected.log_probability, tolerance * (1 + std::abs(expected.log_probability)));
  EXPECT_NEAR(ours.score, expected.score, tolerance * (1 + std::abs(expected.score)));
}

inline void expect_same(const std::vector<rapt::Hypothesis>& ours, const std::vector<rapt::Hypothesis>& expected,
                        double tolerance = 1e-12) {
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const testing::ScopedTrace trace(__FILE__, __LINE__, "hypothesis " + std::to_string(i));
    expect_same(ours[i], expected[i], tolerance);
  }
}
/// The first `count` of them, or all.
[[nodiscard]] inline std::vector<rapt::Hypothesis> first_of(std::vector<rapt::Hypothesis> list, std::size_t count) {
  if (list.size() > count) list.erase(list.begin() + static_cast<std::ptrdiff_t>(count), list.end());
  return list;
}

[[nodiscard]] inline Tokens tokens_of(const rapt::TokenBatch& batch, rapt::Index i) {
  return {batch.sequence(i).begin(), batch.sequence(i).end()};
}

/// Sources of different length, one of them of a single token.
[[nodiscard]] inline rapt::TokenBatch some_sources() {
  return rapt::TokenBatch({{3}, {3, 4, 5}, {4}, {5, 3, 4, 4, 3, 5, 5}, {3, 3}});
}

}  // namespace rapt_test
