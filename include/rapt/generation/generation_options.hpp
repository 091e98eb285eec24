/// \file
/// How long hypotheses may get, and what may follow in them: the same for every search.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/sequence_marks.hpp"
#include "rapt/generation/search_request.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Lengths are in tokens, without begin and end tokens; of a model that continues prompts they do not count the prompt.
/// Log-probabilities are always the model's own: these options change which tokens are taken, not how probable they
/// are.
struct GenerationOptions {
  /// A hypothesis has at most this many tokens more than its source (the paper's 6.1); behind a prompt, at most this
  /// many tokens.
  Index extra_length = 50;
  /// At most this many tokens. The smaller of the two limits holds, and one token is always allowed.
  Index max_length = std::numeric_limits<Index>::max();
  Index min_length = 0;  ///< a shorter hypothesis must not end
  /// Logits of tokens that the prompt or the hypothesis already has are divided by it if they are positive, else
  /// multiplied by it (Keskar et al. 2019, section 4.1); 1: they stay. In beam search the score changes with them.
  float repetition_penalty = 1.f;
};

namespace detail {

/// The options, request and marks of one search over a batch: checked once, asked at every step. Options, request and
/// batch must outlive it.
class GenerationRules {
 public:
  struct Problem {
    const GenerationOptions& options;
    const SearchRequest& request;
    SequenceMarks marks;  ///< of the request, or else of the model
    const TokenBatch& source;
    bool continues = false;  ///< the sources are prompts, which hypotheses continue
  };

  /// Throws ValueError that starts with `[where]` for options that do not fit one another or the batch.
  GenerationRules(Problem problem, std::string_view where)
      : options_(problem.options),
        prefixes_(problem.request.prefix),
        marks_(std::move(problem.marks)),
        given_(problem.source),
        continues_(problem.continues),
        where_(where) {
    const GenerationOptions& options = options_;
    const TokenBatch& source = given_;
    sort_ends();
    require(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty), where,
            "repetition_penalty must be positive: ", options.repetition_penalty);
    require(options.extra_length >= 0, where, "extra_length must not be negative: ", options.extra_length);
    require(options.min_length >= 0, where, "min_length must not be negative: ", options.min_length);
    require(options.max_length >= 1, where, "max_length must be at least 1: ", options.max_length);
    require(options.min_length <= options.max_length, where, "min_length ", options.min_length,
            " is more than max_length ", options.max_length);
    require(marks_.has_begin() || continues_, where, "the model has no begin token");
    const Index prefixes = prefixes_.sequences();
    require(prefixes == 0 || prefixes == source.sequences(), where, prefixes, " prefixes for ", source.sequences(),
            " source sequences");
    if (continues_) fill_empty_prompts();
    for (Index i = 0; i < source.sequences(); ++i) {
      require(options.min_length <= limit(i), where, "min_length ", options.min_length, " is more than the ", limit(i),
              " tokens that source sequence ", i, " may get at most");
      const auto start = prefix(i);
      require(static_cast<Index>(start.size()) <= limit(i), where, "the prefix of source sequence ", i, " has ",
              start.size(), " tokens, but at most ", limit(i), " are allowed");
      const auto end = std::find_if(start.begin(), start.end(), [&](TokenId token) { return ends(token); });
      require(end == start.end(), where, "the prefix of source sequence ", i, " contains the end symbol ",
              end == start.end() ? TokenId{-1} : *end);
    }
  }

  /// What the model reads: the batch, with the begin token in place of each empty prompt.
  [[nodiscard]] const TokenBatch& source() const { return filled_ ? *filled_ : given_; }
  /// True if the token ends a hypothesis.
  [[nodiscard]] bool ends(TokenId token) const {
    return std::find(marks_.ends.begin(), marks_.ends.end(), token) != marks_.ends.end();
  }
  /// How many different tokens end a hypothesis.
  [[nodiscard]] Index end_symbols() const { return static_cast<Index>(marks_.ends.size()); }
  /// What is fed first to a hypothesis of a sequence: the last token of its prompt, or the begin token.
  [[nodiscard]] TokenId first_token(Index sequence) const {
    return continues_ ? source().sequence(sequence).back() : *marks_.begin;
  }
  [[nodiscard]] bool penalises_repetition() const { return options_.repetition_penalty != 1.f; }

  /// The most tokens that a sequence may get.
  [[nodiscard]] Index limit(Index sequence) const {
    const Index length = continues_ ? 0 : given_.row_splits.length(sequence);
    const Index relative = options_.extra_length < std::numeric_limits<Index>::max() - length
                               ? length + options_.extra_length
                               : std::numeric_limits<Index>::max();
    return std::max<Index>(1, std::min({relative, options_.max_length, marks_.max_length}));
  }

  /// Throws ValueError unless the prefixes are of the model's vocabulary. To be called with the first logits.
  void require_vocabulary(Index vocabulary) const {
    require(vocabulary > 0, where_, "the model's vocabulary is empty");
    if (continues_ && penalises_repetition()) require_ids(source().tokens, vocabulary, where_);
    for (Index i = 0; i < given_.sequences(); ++i) {
      for (const TokenId token : prefix(i)) {
        require(token >= 0 && token < vocabulary, where_, "the prefix of source sequence ", i, " has the token id ",
                token, ", which is outside the vocabulary of ", vocabulary);
      }
    }
  }

  /// Gives -infinity to the logits of tokens that may not follow a hypothesis of `length` tokens, and lowers those of
  /// tokens that are in `seen`. Returns log sum_j e^logits_j as it was before: the log-probability of token j is
  /// logits_j minus this.
  template <class T>
  [[nodiscard]] double apply(std::span<T> logits, Index sequence, Index length, std::span<const TokenId> seen) const {
    constexpr T kNever = -std::numeric_limits<T>::infinity();
    const double normaliser = kernels::log_sum_exp(logits.data(), static_cast<Index>(logits.size()));
    const auto penalty = static_cast<T>(options_.repetition_penalty);
    for (const TokenId token : seen) {
      T& z = logits[static_cast<std::size_t>(token)];
      z = z > 0 ? z / penalty : z * penalty;
    }
    if (is_forced(sequence, length)) {
      const auto token = static_cast<std::size_t>(prefix(sequence)[static_cast<std::size_t>(length)]);
      const T kept = logits[token];
      std::fill(logits.begin(), logits.end(), kNever);
      logits[token] = kept;
      return normaliser;
    }
    const auto forbid = [&](const std::vector<TokenId>& tokens) {
      for (const TokenId token : tokens) {
        if (token >= 0 && static_cast<std::size_t>(token) < logits.size()) {
          logits[static_cast<std::size_t>(token)] = kNever;
        }
      }
    };
    forbid(marks_.suppressed);
    if (length < options_.min_length) forbid(marks_.ends);
    return normaliser;
  }

  /// The tokens that a repetition penalty falls on, each once: those of a hypothesis and, if it continues one, of its
  /// prompt. Empty without penalty.
  [[nodiscard]] std::vector<TokenId> seen(Index sequence, std::span<const TokenId> hypothesis) const {
    std::vector<TokenId> tokens;
    if (!penalises_repetition()) return tokens;
    if (continues_) tokens.assign(source().sequence(sequence).begin(), source().sequence(sequence).end());
    tokens.insert(tokens.end(), hypothesis.begin(), hypothesis.end());
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return tokens;
  }
  /// A logit as it was before `apply`.
  template <class T>
  [[nodiscard]] double unpenalised(T logit, TokenId token, std::span<const TokenId> seen) const {
    const double z = static_cast<double>(logit), penalty = static_cast<double>(options_.repetition_penalty);
    if (!std::binary_search(seen.begin(), seen.end(), token)) return z;
    return z > 0 ? z * penalty : z / penalty;
  }

  /// Throws ValueError that says why no token can follow, unless both numbers are finite: what `apply` returned, and
  /// the best log-probability behind it.
  void require_possible(double normaliser, double best, Index sequence, Index length) const {
    if (std::isfinite(normaliser) && std::isfinite(best)) [[likely]]
      return;
    require(std::isfinite(normaliser), where_, "the model's logits are not finite for source sequence ", sequence,
            " after ", length, " tokens");
    require(!is_forced(sequence, length), where_, "the model gives no probability to token ", length,
            " of the prefix of source sequence ", sequence);
    require(length < options_.min_length, where_, "no token may follow for source sequence ", sequence, " after ",
            length, " tokens: ", marks_.suppressed.size(), " tokens are suppressed");
    fail(where_, "the model allows only the end symbol for source sequence ", sequence, " after ", length,
         " tokens, which is less than min_length ", options_.min_length);
  }

 private:
  [[nodiscard]] std::span<const TokenId> prefix(Index sequence) const {
    if (prefixes_.sequences() > 0 && prefixes_.row_splits.length(sequence) > 0) return prefixes_.sequence(sequence);
    return marks_.forced_begin ? std::span<const TokenId>(&*marks_.forced_begin, 1) : std::span<const TokenId>();
  }
  [[nodiscard]] bool is_forced(Index sequence, Index length) const {
    return length < static_cast<Index>(prefix(sequence).size());
  }

  /// Puts the end tokens in order, each once, without those that no vocabulary has.
  void sort_ends() {
    std::vector<TokenId>& ends = marks_.ends;
    std::erase_if(ends, [](TokenId token) { return token < 0; });
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  }
  /// Puts the begin token in the place of each empty prompt.
  void fill_empty_prompts() {
    Index empty = given_.sequences();
    for (Index i = given_.sequences(); i-- > 0;) {
      if (given_.row_splits.length(i) == 0) empty = i;
    }
    if (empty == given_.sequences()) return;
    require(marks_.has_begin(), where_, "prompt ", empty, " is empty, and the model has no begin token");
    filled_.emplace();
    for (Index i = 0; i < given_.sequences(); ++i) {
      const auto prompt = given_.sequence(i);
      filled_->push_back(prompt.empty() ? std::span<const TokenId>(&*marks_.begin, 1) : prompt);
    }
  }

  const GenerationOptions& options_;
  const TokenBatch& prefixes_;
  SequenceMarks marks_;
  const TokenBatch& given_;
  std::optional<TokenBatch> filled_;
  bool continues_;
  std::string_view where_;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
