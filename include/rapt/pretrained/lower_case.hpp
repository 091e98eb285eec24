/// \file
/// A tokenizer of lower-case text in the place of another one, for folders of sentence encoders with "do_lower_case".
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/pretrained/tokenizer_json.hpp"
#include "rapt/text/byte_level_bpe.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/composed_tokenizer.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/normalizer.hpp"
#include "rapt/text/pattern.hpp"
#include "rapt/text/piece_model.hpp"
#include "rapt/text/pre_tokenizer_steps.hpp"
#include "rapt/text/sentencepiece.hpp"
#include "rapt/text/token_decoder.hpp"
#include "rapt/text/wordpiece.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// True if a normalizer converts to lower case already.
[[nodiscard]] inline bool has_lower_case(const std::vector<NormalizerStep>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const NormalizerStep& step) {
    const auto* bert = std::get_if<BertStep>(&step);
    return std::holds_alternative<LowercaseStep>(step) || (bert != nullptr && bert->lowercase);
  });
}

[[nodiscard]] inline PretrainedTokenizer lower_case_of(const ComposedTokenizer& tokenizer) {
  if (has_lower_case(tokenizer.options().normalizer)) return tokenizer;
  ComposedTokenizerOptions options = tokenizer.options();
  options.normalizer.insert(options.normalizer.begin(), LowercaseStep{});
  return ComposedTokenizer({tokenizer.tokens().begin(), tokenizer.tokens().end()}, tokenizer.model(),
                           std::move(options));
}
/// Lower case comes behind the other steps of BERT's normalizer here, which makes no difference.
[[nodiscard]] inline PretrainedTokenizer lower_case_of(const WordPiece& tokenizer) {
  if (tokenizer.options().lowercase) return tokenizer;
  WordPieceOptions options = tokenizer.options();
  options.lowercase = true;
  options.strip_accents = options.strip_accents.value_or(false);
  return WordPiece({tokenizer.tokens().begin(), tokenizer.tokens().end()}, std::move(options));
}
/// A ByteLevelBpe has no normalizer: the same parts as a ComposedTokenizer have one.
[[nodiscard]] inline PretrainedTokenizer lower_case_of(const ByteLevelBpe& tokenizer) {
  const ByteLevelBpeOptions& options = tokenizer.options();
  require(options.pattern != ByteLevelPattern::cl100k, "tokenizer",
          "lower case is not possible with GPT-4's pattern, which a tokenizer made of parts cannot have");
  CharacterBpeModel model{.unknown = options.unknown,
                          .fuse_unknown = options.fuse_unknown,
                          .ignore_merges = options.ignore_merges,
                          .by_rank = options.by_rank};
  model.merges.reserve(tokenizer.merges().size());
  for (const auto& [left, right] : tokenizer.merges()) {
    model.merges.emplace_back(tokenizer.token(left), tokenizer.token(right));
  }
  std::vector<PreTokenizerStep> steps;
  if (const std::string_view expression = expression_of_pattern(options.pattern); !expression.empty()) {
    steps.emplace_back(PatternSplit{.pattern = Pattern::of_expression(std::string(expression))});
  }
  steps.emplace_back(ByteLevelSplit{.add_prefix_space = options.add_prefix_space,
                                    .use_pattern = options.pattern == ByteLevelPattern::gpt2});
  std::vector<SpanTrimming> trimmings;
  if (options.trim_spans) trimmings.push_back({.keeps_first = options.trim_keeps_first});
  return ComposedTokenizer({tokenizer.tokens().begin(), tokenizer.tokens().end()}, std::move(model),
                           {.normalizer = {LowercaseStep{}},
                            .pre_tokenizer = std::move(steps),
                            .decoder = std::vector<DecoderStep>{ByteLevelDecoding{}},
                            .trimmings = std::move(trimmings),
                            .clean_up_spaces = options.clean_up_spaces,
                            .unused = options.unused,
                            .added_tokens = options.added_tokens,
                            .single = options.single,
                            .pair = options.pair,
                            .truncation = {.max_tokens = options.max_tokens}});
}
[[nodiscard]] inline PretrainedTokenizer lower_case_of(const SentencePiece&) {
  fail("tokenizer", "lower case is not possible with a file of SentencePiece's, whose rules are its own; needed is a ",
       "tokenizer.json");
}

}  // namespace detail

/// The tokenizer with a step before its normalizer that converts each character to lower case by itself, unless it does
/// so already. As in sentence-transformers 6.2, added tokens that are not normalised are found in the text as it is.
/// Throws ValueError for a tokenizer that cannot have such a step.
[[nodiscard]] inline PretrainedTokenizer with_lower_case(const PretrainedTokenizer& tokenizer) {
  return std::visit([](const auto& one) { return detail::lower_case_of(one); }, tokenizer);
}

}}  // namespace rapt::RAPT_ABI
