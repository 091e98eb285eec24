/// \file
/// The options, request and marks of one search over a batch, as one object that is asked at every step.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/generation/contexts.hpp"
#include "rapt/generation/generation_options.hpp"
#include "rapt/generation/logits_row.hpp"
#include "rapt/generation/ngram_index.hpp"
#include "rapt/generation/search_request.hpp"
#include "rapt/generation/token_tree.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

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
    /// Penalties change log-probabilities and not logits.
    bool changes_log_probabilities = false;
  };

  /// Throws ValueError that starts with `[where]` for options that do not fit one another or the batch.
  GenerationRules(Problem problem, std::string_view where)
      : options_(problem.options),
        request_(problem.request),
        marks_(std::move(problem.marks)),
        given_(problem.source),
        continues_(problem.continues),
        changes_log_probabilities_(problem.changes_log_probabilities),
        where_(where) {
    const GenerationOptions& options = options_;
    const TokenBatch& source = given_;
    sort_ends();
    if (!marks_.forced_begin) marks_.forced_begin = options.forced_begin;
    options.validate(where);
    require(marks_.has_begin() || continues_, where, "the model has no begin token");
    const Index prefixes = request_.prefix.sequences();
    require(prefixes == 0 || prefixes == source.sequences(), where, prefixes, " prefixes for ", source.sequences(),
            " source sequences");
    if (continues_) filled_ = filled_prompts(given_, marks_, where_);
    for (const TokenId token : options.forced_ends) {
      require(ends(token), where, "the forced end token ", token, " is no end token of the model");
    }
    for (Index i = 0; i < source.sequences(); ++i) {
      require(options.min_length <= limit(i), where, "min_length ", options.min_length, " is more than the ", limit(i),
              " tokens that source sequence ", i, " may get at most");
      const auto start = prefix(i);
      require(std::ssize(start) <= limit(i), where, "the prefix of source sequence ", i, " has ", start.size(),
              " tokens, but at most ", limit(i), " are allowed");
      const auto end = std::find_if(start.begin(), start.end(), [&](TokenId token) { return ends(token); });
      require(end == start.end(), where, "the prefix of source sequence ", i, " contains the end symbol ",
              end == start.end() ? TokenId{-1} : *end);
    }
    const auto longest = std::max_element(options.bad_words.begin(), options.bad_words.end(),
                                          [](const auto& a, const auto& b) { return a.size() < b.size(); });
    if (longest != options.bad_words.end()) longest_bad_word_ = std::ssize(*longest);
  }

  /// What the model reads: the batch, with the begin token in place of each empty prompt.
  [[nodiscard]] const TokenBatch& source() const { return filled_ ? *filled_ : given_; }
  /// True if the token ends a hypothesis.
  [[nodiscard]] bool ends(TokenId token) const {
    return std::find(marks_.ends.begin(), marks_.ends.end(), token) != marks_.ends.end();
  }
  /// How many different tokens end a hypothesis.
  [[nodiscard]] Index end_symbols() const { return std::ssize(marks_.ends); }
  /// What is fed first to a hypothesis of a sequence: the last token of its prompt, or the begin token.
  [[nodiscard]] TokenId first_token(Index sequence) const {
    return continues_ ? source().sequence(sequence).back() : *marks_.begin;
  }
  /// What all hypotheses of a sequence begin with: the prefix of the request, or else the forced begin token.
  [[nodiscard]] std::span<const TokenId> prefix(Index sequence) const {
    if (request_.prefix.sequences() > 0 && request_.prefix.row_splits.length(sequence) > 0) {
      return request_.prefix.sequence(sequence);
    }
    return marks_.forced_begin ? std::span<const TokenId>(&*marks_.forced_begin, 1) : std::span<const TokenId>();
  }
  /// The contexts of hypotheses without tokens: prompts or begin tokens.
  [[nodiscard]] Contexts contexts() const {
    Contexts contexts{.tree = {}, .ngrams = NgramIndex(options_.no_repeat_ngram_size)};
    for (Index i = 0; i < given_.sequences(); ++i) {
      Index node = TokenTree::kRoot;
      if (continues_) {
        for (const TokenId token : source().sequence(i)) node = contexts.add(node, token, i);
      } else {
        node = contexts.add(node, *marks_.begin, i);
      }
      contexts.roots.push_back(node);
    }
    if (request_.allowed.has_states()) contexts.begin_states(request_.allowed);
    return contexts;
  }

  /// The most tokens that a sequence may get.
  [[nodiscard]] Index limit(Index sequence) const {
    const Index length = continues_ ? 0 : given_.row_splits.length(sequence);
    const Index relative = options_.extra_length < std::numeric_limits<Index>::max() - length
                               ? length + options_.extra_length
                               : std::numeric_limits<Index>::max();
    const Index total = options_.max_total_length - context_before(sequence);
    return std::max<Index>(1, std::min({relative, options_.max_length, total, marks_.max_length}));
  }

  /// Throws ValueError unless the tokens of the request and of the options are of the model's vocabulary. To be called
  /// with the first logits.
  void require_vocabulary(Index vocabulary) const {
    require(vocabulary > 0, where_, "the model's vocabulary is empty");
    if (options_.encoder_repetition_penalty != 1.f || (continues_ && options_.repetition_penalty != 1.f)) {
      require_ids(source().tokens, vocabulary, where_);
    }
    for (Index i = 0; i < given_.sequences(); ++i) {
      for (const TokenId token : prefix(i)) {
        require(token >= 0 && token < vocabulary, where_, "the prefix of source sequence ", i, " has the token id ",
                token, ", which is outside the vocabulary of ", vocabulary);
      }
    }
    options_.require_vocabulary(vocabulary, where_);
  }

  /// Gives -infinity to the logits of tokens that may not follow a hypothesis, and changes those that the options say.
  /// Returns log sum_j e^logits_j as it was before: the log-probability of token j is logits_j minus this. May be
  /// called from several threads. If not null, `changed` receives the logits that are changed.
  template <class T>
  [[nodiscard]] double apply(std::span<T> logits, const Position& position, const Contexts& contexts,
                             ChangedLogits<T>* changed) const {
    const double normaliser = kernels::log_sum_exp(logits.data(), std::ssize(logits));
    const LogitsRow<T> row{logits, changes_log_probabilities_ ? normaliser : 0.0, changed};
    const Index forced = std::ssize(prefix(position.sequence));
    if (position.length < forced) {
      const TokenId token = at(prefix(position.sequence), position.length);
      row.allow_only(std::span(&token, 1));
      const bool is_begin = position.length == 0 && token == marks_.forced_begin;
      return is_begin && options_.forced_tokens_are_free ? row.make_free(std::span(&token, 1), normaliser) : normaliser;
    }
    if (!options_.forced_ends.empty() && position.length + 1 == limit(position.sequence)) {
      row.allow_only(options_.forced_ends);
      return options_.forced_tokens_are_free ? row.make_free(options_.forced_ends, normaliser) : normaliser;
    }
    penalise(row, position, contexts);
    row.forbid(marks_.suppressed);
    if (position.length == forced) row.forbid(options_.begin_suppressed);
    if (position.length < options_.min_length ||
        context_before(position.sequence) + position.length < options_.min_total_length) {
      row.forbid(marks_.ends);
    }
    forbid_repetitions(row, position, contexts);
    if (!options_.bad_words.empty()) forbid_bad_words(row, position, contexts);
    if (request_.allowed) ask_request(row, position, contexts);
    return normaliser;
  }

  /// Throws ValueError that says why no token can follow, unless both numbers are finite: what `apply` returned, and
  /// the best log-probability behind it.
  void require_possible(double normaliser, double best, Index sequence, Index length) const {
    if (std::isfinite(normaliser) && std::isfinite(best)) [[likely]]
      return;
    require(std::isfinite(normaliser), where_, "the model's logits are not finite for source sequence ", sequence,
            " after ", length, " tokens");
    require(length >= std::ssize(prefix(sequence)), where_, "the model gives no probability to token ", length,
            " of the prefix of source sequence ", sequence);
    if (options_.no_repeat_ngram_size > 0 || options_.encoder_no_repeat_ngram_size > 0 || !options_.bad_words.empty() ||
        !options_.begin_suppressed.empty() || request_.allowed) {
      fail(where_, "no token may follow for source sequence ", sequence, " after ", length,
           " tokens: ", marks_.suppressed.size(), " tokens are suppressed, min_length is ", options_.min_length,
           ", min_total_length ", options_.min_total_length, ", no_repeat_ngram_size ", options_.no_repeat_ngram_size,
           ", encoder_no_repeat_ngram_size ", options_.encoder_no_repeat_ngram_size, ", of bad_words there are ",
           options_.bad_words.size(), ", of begin_suppressed ", options_.begin_suppressed.size(),
           ", and the request's `allowed` is ", request_.allowed ? "set" : "not set");
    }
    const Index before = context_before(sequence);
    require(length < options_.min_length || before + length < options_.min_total_length, where_,
            "no token may follow for source sequence ", sequence, " after ", length,
            " tokens: ", marks_.suppressed.size(), " tokens are suppressed");
    require(length < options_.min_length, where_, "the model allows only the end symbol for source sequence ", sequence,
            " after ", length, " tokens, which with the ", before, " before them are less than min_total_length ",
            options_.min_total_length);
    fail(where_, "the model allows only the end symbol for source sequence ", sequence, " after ", length,
         " tokens, which is less than min_length ", options_.min_length);
  }

 private:
  /// The tokens of a context before the hypothesis: the prompt, or one begin token.
  [[nodiscard]] Index context_before(Index sequence) const {
    return continues_ ? source().row_splits.length(sequence) : 1;
  }

  /// Changes scores, in the order of transformers.
  template <class T>
  void penalise(const LogitsRow<T>& row, const Position& position, const Contexts& contexts) const {
    if (options_.encoder_repetition_penalty != 1.f) {
      const auto tokens = source().sequence(position.sequence);
      for (const TokenId token : distinct({tokens.begin(), tokens.end()})) {
        row.penalise(token, 1 / static_cast<double>(options_.encoder_repetition_penalty));
      }
    }
    if (options_.repetition_penalty != 1.f) {
      const Index length = contexts.tree.depth(position.node);
      for (const TokenId token : distinct(contexts.tree.path(position.node, length))) {
        row.penalise(token, static_cast<double>(options_.repetition_penalty));
      }
    }
    const auto& [start, factor] = options_.exponential_decay;
    if (factor != 1.f && position.length > start) {
      const double growth = std::pow(static_cast<double>(factor), static_cast<double>(position.length - start)) - 1;
      for (const TokenId end : marks_.ends) {
        row.change(end, [&](double score) { return score + std::abs(score) * growth; });
      }
    }
  }

  template <class T>
  void forbid_repetitions(const LogitsRow<T>& row, const Position& position, const Contexts& contexts) const {
    const auto forbid = [&](TokenId token) { row.forbid(token); };
    contexts.ngrams.for_each_repetition(contexts.tree, position.node, position.sequence, forbid);
    const Index n = options_.encoder_no_repeat_ngram_size;
    if (n == 0 || contexts.tree.depth(position.node) + 1 < n) return;
    const std::vector<TokenId> last = contexts.tree.path(position.node, n - 1);
    const auto tokens = source().sequence(position.sequence);
    for (Index i = 0; i + n <= std::ssize(tokens); ++i) {
      if (std::equal(last.begin(), last.end(), tokens.begin() + i)) row.forbid(at(tokens, i + n - 1));
    }
  }

  /// The last tokens of those sequences of which the context ends with all others.
  template <class T>
  void forbid_bad_words(const LogitsRow<T>& row, const Position& position, const Contexts& contexts) const {
    const Index depth = contexts.tree.depth(position.node);
    const std::vector<TokenId> last = contexts.tree.path(position.node, std::min(depth, longest_bad_word_ - 1));
    for (const std::vector<TokenId>& word : options_.bad_words) {
      const auto before = word.size() - 1;
      if (before <= last.size() && std::equal(last.end() - static_cast<Index>(before), last.end(), word.begin())) {
        row.forbid(word.back());
      }
    }
  }

  template <class T>
  void ask_request(const LogitsRow<T>& row, const Position& position, const Contexts& contexts) const {
    struct Scratch {
      std::unique_ptr<bool[]> allowed;
      std::size_t size = 0;
      std::vector<TokenId> tokens;
    };
    thread_local Scratch of_thread;
    Scratch scratch = std::exchange(of_thread, {});  // the request may search itself
    const std::size_t size = row.logits.size();
    if (scratch.size < size) scratch = {std::make_unique<bool[]>(size), size, std::move(scratch.tokens)};
    std::fill_n(scratch.allowed.get(), size, true);
    const std::span<bool> allowed(scratch.allowed.get(), size);
    if (contexts.constraint != nullptr) {
      request_.allowed.allow(position.sequence, at(contexts.states, position.node), {}, allowed);
    } else {
      contexts.tree.path(position.node, position.length, scratch.tokens);
      request_.allowed.allow(position.sequence, nullptr, scratch.tokens, allowed);
    }
    for (std::size_t j = 0; j < size; ++j) {
      if (!scratch.allowed[j]) row.logits[j] = LogitsRow<T>::kNever;
    }
    of_thread = std::move(scratch);
  }

  [[nodiscard]] static std::vector<TokenId> distinct(std::vector<TokenId> tokens) {
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return tokens;
  }
  /// Puts the end tokens in order, each once, without those that no vocabulary has.
  void sort_ends() {
    std::vector<TokenId>& ends = marks_.ends;
    std::erase_if(ends, [](TokenId token) { return token < 0; });
    ends = distinct(std::move(ends));
  }
  const GenerationOptions& options_;
  const SearchRequest& request_;
  SequenceMarks marks_;
  const TokenBatch& given_;
  std::optional<TokenBatch> filled_;
  bool continues_, changes_log_probabilities_;
  Index longest_bad_word_ = 0;
  std::string_view where_;
};

}}}  // namespace rapt::RAPT_ABI::detail
