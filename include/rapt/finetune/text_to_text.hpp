/// \file
/// Fine-tuning of an encoder-decoder of a Hugging Face folder (T5, MarianMT, BART, mBART, Pegasus, M2M100, NLLB) on
/// texts and the texts that should be made of them: translations, summaries, answers.
///
/// ```cpp
/// rapt::finetune_text_to_text({.model = "t5-small", .train = "train.jsonl", .validation = "dev.jsonl", .out = "tuned",
///                              .measure = "rouge_l"},
///                             {.prefix = "summarize: "});
/// ```
#pragma once

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rapt/core/sequence_marks.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/batching.hpp"
#include "rapt/data/shuffled_batches.hpp"
#include "rapt/finetune/finetune_options.hpp"
#include "rapt/finetune/language_model.hpp"
#include "rapt/finetune/text_measures.hpp"
#include "rapt/finetune/tune.hpp"
#include "rapt/pipelines/labelled_lines.hpp"
#include "rapt/pipelines/model_families.hpp"
#include "rapt/pipelines/text_to_text.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/languages.hpp"
#include "rapt/text/lines.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What is set for a task whose answers are texts.
struct TextToTextTuning {
  std::string prefix = {};   ///< stands before every text, as T5 has it: "summarize: "
  Languages languages = {};  ///< of texts and targets, for a model of many languages
};

namespace detail {

/// A text and its target as the model reads them: the source with its end token, the target without begin and end.
[[nodiscard]] inline TokenPair token_pair(const AnyTokenizer& tokenizer, const SequenceMarks& marks,
                                          const std::string& prefix, const LabelledLine& line, Index longest) {
  const TokenId end = marks.ends.front();
  TokenPair pair{.source = tokenizer.encode(prefix + line.text), .target = tokenizer.encode_target(line.label)};
  const bool adds_end = !tokenizer.language_scheme() && (pair.source.empty() || pair.source.back() != end);
  if (adds_end) pair.source.push_back(end);
  // Behind the end token mBART's tokenizer has that of the language, which is the decoder's begin token instead.
  const auto behind = std::find(pair.target.rbegin(), pair.target.rend(), end).base();
  if (behind != pair.target.begin()) pair.target.erase(behind - 1, pair.target.end());
  const auto shorten = [longest](std::vector<TokenId>& tokens, Index kept) {
    if (std::ssize(tokens) <= longest) return;
    tokens.erase(tokens.begin() + (longest - kept), tokens.end() - kept);
  };
  // What ends a source stays: the end token, and mBART's language behind it.
  const bool has_language_behind = tokenizer.language_scheme() && tokenizer.language_scheme()->behind_text;
  shorten(pair.source, has_language_behind ? 2 : 1);
  shorten(pair.target, 0);
  return pair;
}

/// Throws ValueError that names the line unless a text and its target have tokens of their own: others than `nothing`,
/// which is what is made of an empty text and an empty target.
inline void require_own_tokens(const TokenPair& pair, const TokenPair& nothing, const std::string& place) {
  require(pair.source != nothing.source, kFinetune, place, ": the text has no tokens");
  require(pair.target != nothing.target, kFinetune, place, ": the target has no tokens");
}

/// Throws ValueError unless `longest` tokens have room for a token beside those of `nothing`, which is what is made of
/// an empty text and an empty target that are not shortened.
inline void require_room(const TokenPair& nothing, Index longest) {
  for (const auto& [tokens, name] : {std::pair{&nothing.source, "text"}, std::pair{&nothing.target, "target"}}) {
    require(std::ssize(*tokens) < longest, kFinetune, "a ", name, " has ", std::ssize(*tokens),
            " tokens of the prefix and special ones: ", longest, " tokens, without the decoder's begin token, have no ",
            "room for its own");
  }
}

template <class M>
JobSummary finetune_text_to_text(const FinetuneOptions& options, const TextToTextTuning& tuning) {
  TextValidation<TranslationBatch> validation{.measure = chosen_measure(options, text_measures()),
                                              .communicator = options.job.communicator};
  auto model = from_pretrained<M>(options.model);
  AnyTokenizer tokenizer = tokenizer_for(model, options);
  for (const auto& [name, language] :
       {std::pair{"from", &tuning.languages.source}, std::pair{"to", &tuning.languages.target}}) {
    require(tokenizer.language_scheme() || language->empty(), kFinetune, options.option_prefix, name, " ",
            quote_name(*language), " has no effect: ", options.model.string(), " is no model of many languages");
  }
  tokenizer.use_languages(tuning.languages);
  const SequenceMarks marks = tokenizer.marks(model.sequence_marks());
  require<IoError>(marks.has_begin() && !marks.ends.empty(), kFinetune, options.model.string(),
                   ": the model must have a begin and an end token");
  const Index longest = longest_example(model, options) - 1;  // the decoder reads the begin token, too
  const TokenPair nothing =
      token_pair(tokenizer, marks, tuning.prefix, {}, /*longest=*/std::numeric_limits<Index>::max());
  require_room(nothing, longest);
  Fingerprint fingerprint;
  const auto read = [&](const std::filesystem::path& file, bool is_validation) {
    std::vector<TokenPair> pairs;
    for (const LabelledLine& line : read_labelled_lines(file, {.label = "target"})) {
      const TokenPair& pair = pairs.emplace_back(token_pair(tokenizer, marks, tuning.prefix, line, longest));
      require_own_tokens(pair, nothing, line.place);
      for (const auto* tokens : {&pair.source, &pair.target}) {
        const auto size = static_cast<Index>(tokens->size());
        fingerprint.add(std::span<const Index>(&size, 1));
        fingerprint.add(std::span<const TokenId>(*tokens));
      }
      if (!is_validation) continue;
      validation.right.push_back(as_line(line.label));
      validation.sources.push_back(pair.source);
      validation.longest = std::max(validation.longest, std::ssize(pair.target) + 1);
    }
    return pairs;
  };
  const std::vector<TokenPair> training = read(options.train, false), held_out = read(options.validation, true);
  const BatchOptions of_pairs{.begin = *marks.begin, .end = marks.ends.front(), .end_source = false};
  ShuffledBatches<TranslationBatch> batches(
      [&](std::span<const Index> numbers) { return make_batch(training, numbers, of_pairs); },
      {.examples = std::ssize(training), .batch = options.batch, .seed = options.seed, .where = kFinetune});
  validation.batches = batches_in_order(std::ssize(held_out), options.batch, [&](std::span<const Index> numbers) {
    return make_batch(held_out, numbers, of_pairs);
  });
  for (const std::string& right : validation.right) fingerprint.add(right + "\n");
  const TokenId around[] = {of_pairs.begin, of_pairs.end};
  fingerprint.add(std::span<const TokenId>(around));
  // No target with its end has more tokens than the decoder has positions.
  const GenerationDefaults search =
      measured_search(options.model, validation.measure, validation.longest, std::nullopt, known_vocabulary(model));
  return tune(model, batches, options,
              TuningTask<TranslationBatch>{
                  .adapter_task = "SEQ_2_SEQ_LM",
                  .examples = std::to_string(training.size()) + " + " + std::to_string(held_out.size()) + " pairs",
                  .corpus = corpus_text(std::ssize(training), "pairs", fingerprint),
                  .deciding = validation.deciding(model, tokenizer, search),
                  .measure = [&](const TunedModel<TranslationBatch>& tuned, const WeightAdapter<float>* adapter) {
                    return validation(tuned, model, tokenizer, search, adapter);
                  }});
}

}  // namespace detail

/// Fine-tunes an encoder-decoder on tables (.tsv) with the columns "text" and "target", or JSON objects with these keys
/// (see read_labelled_lines). Measured by "loss" or by the generated texts (see `text_measures`). Throws as
/// `finetune_language_model`, ValueError for languages that the model does not have and for examples without room for
/// texts and targets, and ValueError that names the line for a text or target without tokens.
inline JobSummary finetune_text_to_text(const FinetuneOptions& options, const TextToTextTuning& tuning = {}) {
  detail::require_finetune_options(options);
  JobSummary summary;
  detail::with_family(detail::TextToTextFamilies(), options.model, detail::kFinetune,
                      [&]<class M>(const M*) { summary = detail::finetune_text_to_text<M>(options, tuning); });
  return summary;
}

}}  // namespace rapt::RAPT_ABI
