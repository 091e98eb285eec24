/// \file
/// How well generated texts agree with the right ones, as a Measurement of a training job.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/autograd/weight_adapter.hpp"
#include "rapt/core/sequence_marks.hpp"
#include "rapt/distributed/communicator.hpp"
#include "rapt/distributed/text_collectives.hpp"
#include "rapt/finetune/tuned_model.hpp"
#include "rapt/generation/batches.hpp"
#include "rapt/generation/generation_defaults.hpp"
#include "rapt/generation/generation_options.hpp"
#include "rapt/generation/search_request.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/config_keys.hpp"
#include "rapt/pretrained/generation_defaults.hpp"
#include "rapt/text/bleu.hpp"
#include "rapt/text/chrf.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/rouge.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/train/job_options.hpp"
#include "rapt/train/mean_loss.hpp"
#include "rapt/train/processes.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The mean loss per token, in nats, and its exponential.
[[nodiscard]] inline Measurement loss_measurement(double loss) {
  char text[80];
  std::snprintf(text, sizeof text, "loss %.4f  perplexity %.4f", loss, std::exp(loss));
  return {.score = loss, .text = text, .entry = {{"validation_loss", loss}, {"perplexity", std::exp(loss)}}};
}

/// The measures of tasks that generate texts. "loss" generates none, and is quick.
[[nodiscard]] inline std::vector<std::string> text_measures() {
  return {"loss", "exact_match", "bleu", "chrf", "rouge1", "rouge2", "rouge_l"};
}

/// Adds the scores of generated texts to a measurement of the loss. `measure` is what the best model is chosen by. BLEU
/// and chrF are of the corpus, from 0 to 100; exact match, the ratio of texts that are right but for white space around
/// them, and ROUGE's F are from 0 to 1.
inline void add_text_scores(Measurement& found, const std::string& measure, const std::vector<std::string>& texts,
                            const std::vector<std::string>& right) {
  double matches = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) matches += strip_ends(texts[i]) == strip_ends(right[i]) ? 1 : 0;
  const Rouge of_rouge = rouge(std::span<const std::string>(texts), std::span<const std::string>(right));
  nlohmann::ordered_json scores = {{"exact_match", matches / static_cast<double>(texts.size())},
                                   {"bleu", bleu(texts, right).score},
                                   {"chrf", chrf(texts, right).score},
                                   {"rouge1", of_rouge.rouge1.f},
                                   {"rouge2", of_rouge.rouge2.f},
                                   {"rouge_l", of_rouge.rouge_l.f}};
  for (const auto& [name, score] : scores.items()) {
    char text[60];
    std::snprintf(text, sizeof text, "  %s %.4f", name.c_str(), score.get<double>());
    found.text += text;
  }
  found.score = -scores.at(measure).get<double>();
  found.entry.update(scores);
}

/// The search by which a model is measured: the folder's, but without chance, with at most so many new tokens, and with
/// contexts that are no longer than `longest_context`, if the model has such a limit. Throws IoError that names the
/// file for settings that cannot be read, and, if `measure` is one of generated texts, ValueError for settings that no
/// search can do, such as tokens outside the model's vocabulary.
[[nodiscard]] inline GenerationDefaults measured_search(const std::filesystem::path& folder, std::string_view measure,
                                                        Index most_tokens, std::optional<Index> longest_context,
                                                        std::optional<Index> vocabulary) {
  GenerationDefaults search = GenerationSettings(folder).defaults(
      {{"do_sample", false}, {"num_return_sequences", 1}, {"max_new_tokens", most_tokens}});
  for (GenerationOptions* options : {&search.beam.generation, &search.sampling.generation}) {
    if (longest_context) options->max_total_length = *longest_context;
    if (measure == "loss") continue;
    options->validate(folder.string());
    if (vocabulary) options->require_vocabulary(*vocabulary, folder.string());
  }
  return search;
}

/// What decides the texts that such a search finds beside the numbers of the model and the sources, for
/// JobOptions::deciding: values by generation_config.json's keys, where it has one. `marks` are those of the search.
[[nodiscard]] inline nlohmann::ordered_json search_identity(const GenerationDefaults& search,
                                                            const SequenceMarks& marks) {
  const BeamSearchOptions& beam = search.beam;
  // All members of GenerationOptions have names here, so that a new one is not forgotten.
  const auto& [extra_length, max_length, min_length, repetition_penalty, encoder_repetition_penalty, max_total_length,
               min_total_length, no_repeat_ngram_size, encoder_no_repeat_ngram_size, bad_words, forced_begin,
               begin_suppressed, forced_ends, forced_tokens_are_free, exponential_decay] = beam.generation;
  nlohmann::ordered_json beams = nullptr;  // greedy search
  if (beam.beam_size > 1) {
    beams = {{"num_beams", beam.beam_size}, {"length_penalty", as_written(beam.length_penalty)}};
    beams["early_stopping"] = beam.stop == StopCriterion::nothing_better
                                  ? nlohmann::ordered_json("never")
                                  : nlohmann::ordered_json(beam.stop == StopCriterion::enough_ended);
  }
  const auto token_or_null = [](const std::optional<TokenId>& token) {
    return token ? nlohmann::ordered_json(*token) : nlohmann::ordered_json(nullptr);
  };
  return {{"beam search", beams},
          {"max_new_tokens", max_length},
          {"max_length", max_total_length},
          {"extra_length", extra_length},
          {"min_new_tokens", min_length},
          {"min_length", min_total_length},
          {"repetition_penalty", as_written(repetition_penalty)},
          {"encoder_repetition_penalty", as_written(encoder_repetition_penalty)},
          {"no_repeat_ngram_size", no_repeat_ngram_size},
          {"encoder_no_repeat_ngram_size", encoder_no_repeat_ngram_size},
          {"bad_words_ids", bad_words},
          {"begin_suppress_tokens", begin_suppressed},
          {"forced_bos_token_id", token_or_null(marks.forced_begin ? marks.forced_begin : forced_begin)},
          {"forced_eos_token_id", forced_ends},
          {"forced tokens are certain", forced_tokens_are_free},
          {"exponential_decay_length_penalty",
           {static_cast<double>(exponential_decay.start), as_written(exponential_decay.factor)}},
          {"decoder_start_token_id", token_or_null(marks.begin)},
          {"eos_token_id", marks.ends},
          {"suppress_tokens", marks.suppressed},
          {"most tokens of a sequence", marks.max_length}};
}

/// The best text that the model, with the adapter if there is one, generates for each source. With a communicator all
/// of its processes call this with the same arguments; each searches an equal part of the sources, and all have all
/// texts. A search that draws (SamplingOptions) numbers its streams of random numbers within a process's part, so that
/// its texts depend on the number of processes; `measured_search` never draws.
template <DecodingModel M>
[[nodiscard]] std::vector<std::string> generated_texts(const M& model, const AnyTokenizer& tokenizer,
                                                       const TokenBatch& sources, const GenerationDefaults& defaults,
                                                       const WeightAdapter<float>* adapter,
                                                       Communicator* communicator = nullptr) {
  TokenBatch own;
  if (communicator != nullptr) {
    const Index rank = communicator->rank(), size = communicator->size(), count = sources.sequences();
    for (Index i = count * rank / size; i < count * (rank + 1) / size; ++i) own.push_back(sources.sequence(i));
  }
  const SearchRequest request{.marks = tokenizer.marks(model.sequence_marks())};
  const auto found = search_in_batches(communicator == nullptr ? sources : own, request, batch_tokens_for(model),
                                       [&](const TokenBatch& batch, const SearchRequest& of_batch) {
                                         const UseAdapter<float> use(adapter);  // on whichever thread this runs
                                         return generate(model, batch, defaults, of_batch);
                                       });
  std::vector<std::string> texts;
  for (const auto& hypotheses : found) texts.push_back(as_line(tokenizer.decode(hypotheses.front().tokens)));
  return communicator == nullptr ? texts : all_gather_lines(*communicator, texts);
}

/// The validation examples of a task that generates texts.
template <class Batch>
struct TextValidation {
  std::string measure;              ///< what the best model is chosen by, of `text_measures`
  std::vector<Batch> batches = {};  ///< for the loss
  TokenBatch sources = {};          ///< what the texts are generated from
  std::vector<std::string> right = {};
  Index longest = 1;                     ///< tokens of the longest right text, with its end
  Communicator* communicator = nullptr;  ///< of the processes that share the work; nullptr: there is one

  /// `tuned` is the model for the loss, `model` the same one for the search.
  template <DecodingModel M>
  [[nodiscard]] Measurement operator()(const TunedModel<Batch>& tuned, const M& model, const AnyTokenizer& tokenizer,
                                       const GenerationDefaults& search, const WeightAdapter<float>* adapter) const {
    Measurement found = loss_measurement(mean_loss(tuned, batches, communicator));
    if (measure == "loss") return found;
    add_text_scores(found, measure, generated_texts(model, tokenizer, sources, search, adapter, communicator), right);
    return found;
  }

  /// What of the model's folder decides the measurement, see TuningTask; the loss is the same with any search.
  template <DecodingModel M>
  [[nodiscard]] nlohmann::ordered_json deciding(const M& model, const AnyTokenizer& tokenizer,
                                                const GenerationDefaults& search) const {
    if (measure == "loss") return nlohmann::ordered_json::object();
    return search_identity(search, tokenizer.marks(model.sequence_marks()));
  }
};

}}}  // namespace rapt::RAPT_ABI::detail
