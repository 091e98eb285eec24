/// \file
/// Scoring: how probable given translations are, e.g. to rank those of another model.
#pragma once

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "rapt/autograd/grad_mode.hpp"
#include "rapt/autograd/variable.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/generation/decoding_model.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A model that reads a whole target at once, as in training: `decode` returns hidden states [N, D], `logits` the
/// logits of the next tokens [N, V], and `sequence_marks` the begin and end tokens. rapt::Transformer is one.
template <class M>
concept TeacherForcedModel = requires(const M& model, const TokenBatch& batch, const RowSplits& splits,
                                      const Variable<typename M::ScalarType>& hidden) {
  { model.encode(batch) } -> std::same_as<Variable<typename M::ScalarType>>;
  { model.decode(batch, hidden, splits) } -> std::same_as<Variable<typename M::ScalarType>>;
  { model.logits(hidden) } -> std::same_as<Variable<typename M::ScalarType>>;
  { model.sequence_marks() } -> std::same_as<SequenceMarks>;
};

/// What counts as part of a translation when it is scored.
struct ScoringOptions {
  /// False: the score is the probability that a translation begins with these tokens, as it always is where the marks
  /// have no end token.
  bool count_end = true;
  /// In place of the model's own marks. The begin token is fed first, or read in place of an empty prompt; the first of
  /// the end tokens follows the last token of a target.
  std::optional<SequenceMarks> marks = {};
};

/// log P(target | source) in nats.
struct TargetScore {
  double log_probability = 0;         ///< the sum of those of all tokens
  std::vector<double> of_each_token;  ///< the end symbol, if it is counted, is the last
};

namespace detail {

/// What the model reads and what it must say then: <s> w1 .. wn and w1 .. wn </s>. </s> is left out where `ends[i]` is
/// false, and everywhere if the marks have no end token. If `continues`, the sources are prompts: the last token of the
/// prompt stands in place of <s>, and <s> stands in place of an empty prompt.
[[nodiscard]] inline TranslationBatch forced_batch(const TokenBatch& source, const TokenBatch& target,
                                                   const std::vector<bool>& ends, bool continues,
                                                   const SequenceMarks& marks) {
  require<ShapeError>(source.sequences() == target.sequences(), "score", source.sequences(), " source sequences, ",
                      target.sequences(), " target sequences");
  require(marks.has_begin() || continues, "score", "the model has no begin token");
  TranslationBatch batch;
  std::vector<TokenId> input;
  for (Index i = 0; i < target.sequences(); ++i) {
    const auto tokens = target.sequence(i), given = source.sequence(i);
    const bool is_empty_prompt = continues && given.empty();
    require(!is_empty_prompt || marks.has_begin(), "score", "prompt ", i,
            " is empty, and the model has no begin token");
    const auto read = is_empty_prompt ? std::span<const TokenId>(&*marks.begin, 1) : given;
    batch.source.push_back(read);
    input.assign(1, continues ? read.back() : *marks.begin);
    input.insert(input.end(), tokens.begin(), tokens.end());
    batch.target_output.insert(batch.target_output.end(), tokens.begin(), tokens.end());
    if (!marks.ends.empty() && ends[static_cast<std::size_t>(i)]) {
      batch.target_output.push_back(marks.ends.front());
    } else {
      input.pop_back();
    }
    batch.target_input.push_back(input);
  }
  return batch;
}

template <class T>
[[nodiscard]] double log_probability_of(std::span<const T> logits, TokenId token) {
  const double normaliser = kernels::log_sum_exp(logits.data(), static_cast<Index>(logits.size()));
  require(std::isfinite(normaliser), "score", "the model's logits are not finite");
  return static_cast<double>(logits[static_cast<std::size_t>(token)]) - normaliser;
}

/// Calls visit(n, logits [V]) for each target token n of the batch, from several threads: in one pass over all targets,
/// whose logits exist for a block of them at a time.
template <TeacherForcedModel M, class Visit>
void for_each_logits(const M& model, const TranslationBatch& batch, const Visit& visit) {
  using T = typename M::ScalarType;
  constexpr Index kRows = 128;
  const Inference scope;
  if (batch.target_output.empty()) return;
  const Variable<T> hidden = model.decode(batch.target_input, model.encode(batch.source), batch.source.row_splits);
  for (Index begin = 0; begin < hidden.rows(); begin += kRows) {
    const Index rows = std::min(kRows, hidden.rows() - begin);
    const Variable<T> block(Tensor<T>(hidden.value().view().middle_rows(begin, rows)));
    const Variable<T> logits = model.logits(block);  // [rows, V]
    if (begin == 0) require_ids(batch.target_output, logits.cols(), "score");
    parallel_parts(
        rows, [&](Index r) { visit(begin + r, std::span<const T>(logits.value().row(r), to_size(logits.cols()))); });
  }
}

/// The same for any other DecodingModel: step by step, and sequences leave the batch at their end.
template <class M, class Visit>
requires(!TeacherForcedModel<M> && DecodingModel<M>) void for_each_logits(const M& model, const TranslationBatch& batch,
                                                                          const Visit& visit) {
  using T = typename M::ScalarType;
  if (batch.target_output.empty()) return;
  const RowSplits& splits = batch.target_input.row_splits;
  auto state = model.start(batch.source);
  std::vector<Index> live(static_cast<std::size_t>(splits.sequences())), parents;  // the sequence of each row
  std::iota(live.begin(), live.end(), Index{0});
  std::vector<TokenId> tokens;
  for (Index length = 0;; ++length) {
    parents.clear();
    tokens.clear();
    for (std::size_t r = 0; r < live.size(); ++r) {
      const Index sequence = live[r];
      if (length == splits.length(sequence)) continue;
      tokens.push_back(batch.target_input.tokens[static_cast<std::size_t>(splits.begin(sequence) + length)]);
      live[parents.size()] = sequence;
      parents.push_back(static_cast<Index>(r));
    }
    if (parents.empty()) return;
    if (parents.size() != live.size()) state.select(parents);
    live.resize(parents.size());
    const Tensor<T> logits = model.step(state, tokens);  // [rows, V]
    if (length == 0) require_ids(batch.target_output, logits.cols(), "score");
    parallel_parts(logits.rows(), [&](Index r) {
      visit(splits.begin(at(live, r)) + length, std::span<const T>(logits.row(r), to_size(logits.cols())));
    });
  }
}

/// The tokens of hypotheses, and of which of them the end symbol counts.
[[nodiscard]] inline std::pair<TokenBatch, std::vector<bool>> targets_of(std::span<const Hypothesis> hypotheses,
                                                                         const ScoringOptions& options) {
  std::pair<TokenBatch, std::vector<bool>> targets;
  for (const Hypothesis& hypothesis : hypotheses) {
    targets.first.push_back(hypothesis.tokens);
    targets.second.push_back(options.count_end && hypothesis.finished);
  }
  return targets;
}

template <class M>
[[nodiscard]] std::vector<TargetScore> score_targets(const M& model, const TokenBatch& source, const TokenBatch& target,
                                                     const std::vector<bool>& ends, const ScoringOptions& options) {
  const TranslationBatch batch =
      forced_batch(source, target, ends, kContinuesPrompts<M>, options.marks ? *options.marks : model.sequence_marks());
  std::vector<double> each(batch.target_output.size());
  for_each_logits(model, batch, [&](Index n, std::span<const typename M::ScalarType> logits) {
    at(each, n) = log_probability_of(logits, at(batch.target_output, n));
  });
  const RowSplits& splits = batch.target_input.row_splits;
  std::vector<TargetScore> scores(static_cast<std::size_t>(splits.sequences()));
  for (Index i = 0; i < splits.sequences(); ++i) {
    TargetScore& score = scores[static_cast<std::size_t>(i)];
    score.of_each_token.assign(each.begin() + splits.begin(i), each.begin() + splits.end(i));
    for (const double log_probability : score.of_each_token) score.log_probability += log_probability;
  }
  return scores;
}

}  // namespace detail

/// Scores of one target for each source sequence, without begin and end symbols: teacher forced in a single pass if the
/// model can, else step by step. For several targets of one source, repeat the source.
template <class M>
requires TeacherForcedModel<M> || DecodingModel<M>
[[nodiscard]] std::vector<TargetScore> score(const M& model, const TokenBatch& source, const TokenBatch& target,
                                             const ScoringOptions& options = {}) {
  const std::vector<bool> ends(static_cast<std::size_t>(target.sequences()), options.count_end);
  return detail::score_targets(model, source, target, ends, options);
}

/// The same for what a search has found, one hypothesis for each source sequence: the end symbol of those that were cut
/// off is not counted.
template <class M>
requires TeacherForcedModel<M> || DecodingModel<M>
[[nodiscard]] std::vector<TargetScore> score(const M& model, const TokenBatch& source,
                                             std::span<const Hypothesis> hypotheses,
                                             const ScoringOptions& options = {}) {
  const auto [target, ends] = detail::targets_of(hypotheses, options);
  return detail::score_targets(model, source, target, ends, options);
}

/// What the model says at each step of what a search has found: of each hypothesis the logits of the token at every
/// position, and of the end symbol where it has one   // of each [tokens (+ 1), V]. One hypothesis for each source
/// sequence. They are the model's own, before any rule of the search; in float32 the last digits may differ from those
/// that the search saw, which came one token at a time.
template <class M>
requires TeacherForcedModel<M> || DecodingModel<M>
[[nodiscard]] std::vector<Tensor<typename M::ScalarType>> step_logits(const M& model, const TokenBatch& source,
                                                                      std::span<const Hypothesis> hypotheses,
                                                                      const ScoringOptions& options = {}) {
  using T = typename M::ScalarType;
  const auto [target, ends] = detail::targets_of(hypotheses, options);
  const TranslationBatch batch = detail::forced_batch(source, target, ends, kContinuesPrompts<M>,
                                                      options.marks ? *options.marks : model.sequence_marks());
  const RowSplits& splits = batch.target_input.row_splits;
  std::vector<Tensor<T>> found(hypotheses.size());
  std::vector<Index> sequences;  // of each target token
  for (Index i = 0; i < splits.sequences(); ++i) sequences.insert(sequences.end(), to_size(splits.length(i)), i);
  std::mutex making;
  detail::for_each_logits(model, batch, [&](Index n, std::span<const T> logits) {
    const Index i = at(sequences, n);
    Tensor<T>& of_sequence = at(found, i);
    {
      const std::lock_guard lock(making);
      if (of_sequence.empty()) of_sequence = Tensor<T>(Shape{splits.length(i), std::ssize(logits)});
    }
    std::copy(logits.begin(), logits.end(), of_sequence.row(n - splits.begin(i)));
  });
  return found;
}

}}  // namespace rapt::RAPT_ABI
