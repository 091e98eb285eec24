/// \file
/// How SentencePiece's models (sentencepiece.hpp) are applied: the settings beside a model's file, and those of random
/// segmentations.
#pragma once

#include <string>
#include <vector>

#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/encoding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a model's folder says besides the model's file.
struct SentencePieceOptions {
  /// The vocabulary by id, with empty texts for unused ids. Empty: it is the model's pieces. A piece has the id that
  /// its text has here, or else the id of `unknown`; a token that is no piece must be an added token to be found in a
  /// text.
  std::vector<std::string> tokens = {};
  std::string unknown = {};                      ///< with tokens: the token of unknown pieces; empty: the model's own
  std::vector<AddedToken> added_tokens = {};     ///< they must be in the vocabulary
  std::vector<TemplatePiece> single = {{"$A"}};  ///< where special tokens of a text are put, see TemplatePiece
  std::vector<TemplatePiece> pair = {{"$A"}, {"$B"}};  ///< the same of two texts
  bool language_code = false;  ///< ">>...<<" at the beginning of a text is a token or unknown (MarianMT)
  bool one_prefix = false;  ///< a text behind an added token gets no space of add_dummy_prefix (Llama's legacy: false)
  bool clean_up_spaces = false;  ///< decoding removes spaces before punctuation (clean_up.hpp)
  bool strip_decoded = false;    ///< decoding removes white space at both ends (MarianMT)
  Index max_tokens = 0;          ///< longer texts are cut off; 0 means no limit
};

/// How random segmentations are drawn, which makes training robust (Kudo 2018; Provilkov et al. 2020).
struct SentencePieceSampling {
  double alpha = 0.1;  ///< unigram: see Unigram::sample; byte pair encoding: the probability that a pair is not joined
  Index n_best = -1;   ///< unigram: draws from this number of best segmentations; -1: from all
};

/// Tokens of a text and the log-probability of their segmentation.
struct ScoredTokens {
  std::vector<TokenId> ids;  ///< the tokens
  double score = 0;          ///< the log-probability
};

}}  // namespace rapt::RAPT_ABI
