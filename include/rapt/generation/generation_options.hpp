/// \file
/// How long hypotheses may get, and what may follow in them: the same options for every search.
#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/token_batch.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Makes long hypotheses end: behind `start` tokens, a hypothesis of L tokens adds |s| (factor^(L - start) - 1) to the
/// score s of each end token, which is its logit, or in beam search its log-probability (transformers'
/// exponential_decay_length_penalty). Beam search that waits until nothing better can come does not know of it, and
/// may stop before a longer hypothesis ends with the higher score.
struct ExponentialDecay {
  Index start = 0;
  float factor = 1.f;  ///< 1: none
};

/// Lengths are in tokens, without begin and end tokens; of a model that continues prompts they do not count the prompt.
/// The context of a hypothesis is all that it stands on: its prompt, or else the begin token, and its own tokens.
///
/// Greedy search and sampling change logits, and the log-probabilities of what they find are the model's own. Beam
/// search changes log-probabilities, which its scores are made of, as transformers does.
struct GenerationOptions {
  /// A hypothesis has at most this many tokens more than its source (the paper's 6.1); behind a prompt, at most this
  /// many tokens.
  Index extra_length = 50;
  /// At most this many tokens. The smallest of the limits holds, and one token is always allowed.
  Index max_length = std::numeric_limits<Index>::max();
  Index min_length = 0;  ///< a shorter hypothesis must not end
  /// The scores of tokens that the context already has are divided by it if they are positive, else multiplied by it
  /// (Keskar et al. 2019, section 4.1); 1: they stay.
  float repetition_penalty = 1.f;
  /// The contrary for tokens that the source has: above 1 they become more probable; 1: they stay.
  float encoder_repetition_penalty = 1.f;
  Index max_total_length = std::numeric_limits<Index>::max();  ///< at most this many tokens of context
  Index min_total_length = 0;  ///< a hypothesis of a shorter context must not end; the limits above are stronger
  /// No n tokens of a context come twice (Paulus et al. 2018, section 2.5: n = 3); 0: they may.
  Index no_repeat_ngram_size = 0;
  /// No n tokens of the source come in a context; 0: they may.
  Index encoder_no_repeat_ngram_size = 0;
  /// Sequences of the model's tokens that no context gets; those of one token are never generated.
  std::vector<std::vector<TokenId>> bad_words = {};
  /// The first token of hypotheses without a prefix, where the model's marks name none.
  std::optional<TokenId> forced_begin = {};
  std::vector<TokenId> begin_suppressed = {};  ///< must not be the first token that no prefix determines
  /// One of them ends a hypothesis that would reach its longest length; empty: it is cut off there.
  std::vector<TokenId> forced_ends = {};
  /// True: `forced_ends` and the forced begin token, in a prefix as well, count as certain, with a log-probability of
  /// 0, as in transformers. False: with that of the model.
  bool forced_tokens_are_free = false;
  /// Makes the end more probable with each token from some length on.
  ExponentialDecay exponential_decay = {};

  /// Throws ValueError that starts with `[where]` for options that do not fit one another.
  void validate(std::string_view where) const {
    for (const auto& [name, penalty] : {std::pair{"repetition_penalty", repetition_penalty},
                                        std::pair{"encoder_repetition_penalty", encoder_repetition_penalty},
                                        std::pair{"the factor of exponential_decay", exponential_decay.factor}}) {
      require(penalty > 0 && std::isfinite(penalty), where, name, " must be positive: ", penalty);
    }
    for (const auto& [name, number] :
         {std::pair{"extra_length", extra_length}, std::pair{"min_length", min_length},
          std::pair{"min_total_length", min_total_length}, std::pair{"no_repeat_ngram_size", no_repeat_ngram_size},
          std::pair{"encoder_no_repeat_ngram_size", encoder_no_repeat_ngram_size},
          std::pair{"the start of exponential_decay", exponential_decay.start}}) {
      require(number >= 0, where, name, " must not be negative: ", number);
    }
    require(max_length >= 1, where, "max_length must be at least 1: ", max_length);
    require(max_total_length >= 1, where, "max_total_length must be at least 1: ", max_total_length);
    require(min_length <= max_length, where, "min_length ", min_length, " is more than max_length ", max_length);
    for (const auto& word : bad_words) require(!word.empty(), where, "a sequence of bad_words has no tokens");
  }

  /// Throws ValueError that starts with `[where]` for tokens that a model with so many does not have.
  void require_vocabulary(Index vocabulary, std::string_view where) const {
    const auto require_token = [&](TokenId token, std::string_view name) {
      require(token >= 0 && token < vocabulary, where, name, " ", token, " is outside the vocabulary of ", vocabulary);
    };
    for (const auto& word : bad_words) {
      for (const TokenId token : word) require_token(token, "the token of bad_words");
    }
    for (const TokenId token : begin_suppressed) require_token(token, "the token of begin_suppressed");
    for (const TokenId token : forced_ends) require_token(token, "the forced end token");
  }
};

}}  // namespace rapt::RAPT_ABI
