/// \file
/// Fine-tuning of a decoder of a Hugging Face folder (GPT-2, Llama, Mistral, Qwen, Phi-3, Gemma): on a text, or on
/// prompts with their answers, of which the answers alone are learned.
///
/// ```cpp
/// rapt::FinetuneOptions options{.model = "gpt2", .train = "book.txt", .validation = "last_chapter.txt"};
/// options.out = "tuned";
/// rapt::finetune_language_model(options);
/// options = {.model = "qwen", .train = "train.jsonl", .validation = "dev.jsonl", .out = "tuned"};
/// rapt::finetune_answers(options);
/// ```
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/data/shuffled_batches.hpp"
#include "rapt/data/windows.hpp"
#include "rapt/finetune/finetune_options.hpp"
#include "rapt/finetune/text_measures.hpp"
#include "rapt/finetune/tune.hpp"
#include "rapt/pipelines/labelled_lines.hpp"
#include "rapt/pipelines/model_families.hpp"
#include "rapt/pipelines/text_completer.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/lines.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// A tokenizer that fits a model. Throws IoError for one with more tokens than the model.
template <class M>
[[nodiscard]] AnyTokenizer tokenizer_for(const M& model, const FinetuneOptions& options) {
  AnyTokenizer tokenizer = AnyTokenizer::load(options.model);
  require<IoError>(tokenizer.size() <= model.config().vocabulary, kFinetune, options.model.string(),
                   ": the tokenizer has ", tokenizer.size(), " tokens, the model ", model.config().vocabulary);
  return tokenizer;
}

/// The most tokens that the model takes; nothing if there is no limit.
template <class M>
[[nodiscard]] std::optional<Index> position_limit(const M& model) {
  if constexpr (requires { model.config().positions; }) {
    return model.config().positions;
  } else {
    return std::nullopt;
  }
}

/// The number of tokens of an example: what the options say, or the most that the model takes.
template <class M>
[[nodiscard]] Index longest_example(const M& model, const FinetuneOptions& options) {
  return std::min(options.longest, position_limit(model).value_or(options.longest));
}

/// A prompt and its answer in one sequence, of which the tokens from `prompt` on are the answer.
struct AnsweredPrompt {
  std::vector<TokenId> tokens;
  Index prompt = 0;
};

/// The tokens of an answer behind its prompt: those that follow the prompt's in the tokens of the text of both.
/// Tokenized alone, the answer would begin with the space that SentencePiece puts before every text. Where the tokens
/// of both do not begin with the prompt's, as one token has the prompt's end and the answer's beginning in it, the
/// answer's are those that it has behind a line break, and where that fails, too, those that it has alone.
[[nodiscard]] inline std::vector<TokenId> answer_tokens(const AnyTokenizer& tokenizer, const std::string& prompt,
                                                        const std::string& answer) {
  const auto tokens_of = [&](const std::string& text) {
    return tokenizer.encode_with_spans(text, {.add_special = false, .truncation = Truncation{}}).ids;
  };
  for (const std::string& before : {prompt, std::string("\n")}) {
    std::vector<TokenId> both = tokens_of(before + answer);
    const std::vector<TokenId> first = tokens_of(before);
    if (first.size() >= both.size() || !std::equal(first.begin(), first.end(), both.begin())) continue;
    both.erase(both.begin(), both.begin() + std::ssize(first));
    return both;
  }
  return tokens_of(answer);
}

/// The prompt as TextGenerator reads it, the answer, and the model's end token if it has one. Too long an answer loses
/// its end; then the prompt loses its beginning, but for one token. Throws ValueError that names the line for a prompt
/// or an answer without tokens beside special ones.
[[nodiscard]] inline AnsweredPrompt answered_prompt(const AnyTokenizer& tokenizer, const SequenceMarks& marks,
                                                    const LabelledLine& line, Index longest) {
  const std::vector<TokenId> prompt = tokenizer.encode(line.text);
  std::vector<TokenId> answer = answer_tokens(tokenizer, line.text, line.label);
  require(!prompt.empty() && prompt != tokenizer.encode(""), kFinetune, line.place, ": the prompt has no tokens");
  require(!answer.empty(), kFinetune, line.place, ": the answer has no tokens");
  if (!marks.ends.empty()) answer.push_back(marks.ends.front());
  answer.resize(std::min(answer.size(), to_size(longest - 1)));
  const std::size_t kept = std::min(prompt.size(), to_size(longest) - answer.size());
  AnsweredPrompt found{.tokens = {prompt.end() - static_cast<std::ptrdiff_t>(kept), prompt.end()},
                       .prompt = static_cast<Index>(kept)};
  found.tokens.insert(found.tokens.end(), answer.begin(), answer.end());
  return found;
}

/// The answers as targets; the last token of a prompt predicts the first one of its answer.
[[nodiscard]] inline LanguageBatch answer_batch(std::span<const AnsweredPrompt> all, std::span<const Index> numbers) {
  LanguageBatch batch;
  for (const Index i : numbers) {
    const AnsweredPrompt& one = all[to_size(i)];
    const Index first = batch.input.size(), last = std::ssize(one.tokens) - 1;
    batch.input.push_back(std::span(one.tokens).first(to_size(last)));
    for (Index t = one.prompt; t <= last; ++t) {
      batch.rows.push_back(static_cast<std::int32_t>(first + t - 1));
      batch.targets.push_back(at(one.tokens, t));
    }
  }
  return batch;
}

/// make(numbers) for all examples in order, so many at a time.
template <class Make>
[[nodiscard]] auto batches_in_order(Index examples, Index of_batch, const Make& make) {
  std::vector<decltype(make(std::span<const Index>()))> batches;
  std::vector<Index> numbers;
  for (Index i = 0; i < examples; ++i) {
    numbers.push_back(i);
    if (std::ssize(numbers) < of_batch && i + 1 < examples) continue;
    batches.push_back(make(std::span<const Index>(numbers)));
    numbers.clear();
  }
  return batches;
}

template <class M>
JobSummary finetune_language_model(const FinetuneOptions& options) {
  std::ignore = chosen_measure(options, {"loss"});
  auto model = from_pretrained<M>(options.model);
  const AnyTokenizer tokenizer = tokenizer_for(model, options);
  const auto tokens_of = [&](const std::filesystem::path& file) {
    const std::vector<std::string> text = {read_text(file)};
    return tokenizer.encode_batch(text, {.truncation = Truncation{}}).tokens;
  };
  const std::vector<TokenId> training = tokens_of(options.train), held_out = tokens_of(options.validation);
  const Index longest = longest_example(model, options);
  Fingerprint fingerprint;
  for (const auto* tokens : {&training, &held_out}) fingerprint.add(std::span<const TokenId>(*tokens));
  auto batches = random_window_batches(
      training, {.windows = options.batch, .length = longest, .random = Rng::State{options.seed, 0}});
  const std::vector<LanguageBatch> validation = all_windows(held_out, options.batch, longest);
  return tune(model, batches, options,
              TuningTask<LanguageBatch>{
                  .adapter_task = "CAUSAL_LM",
                  .examples = std::to_string(training.size()) + " + " + std::to_string(held_out.size()) + " tokens",
                  .corpus = corpus_text(std::ssize(training), "tokens", fingerprint),
                  .measure = [&](const TunedModel<LanguageBatch>& tuned, const WeightAdapter<float>*) {
                    return loss_measurement(mean_loss(tuned, validation, options.job.communicator));
                  }});
}

template <class M>
JobSummary finetune_answers(const FinetuneOptions& options) {
  TextValidation<LanguageBatch> validation{.measure = chosen_measure(options, text_measures()),
                                           .communicator = options.job.communicator};
  auto model = from_pretrained<M>(options.model);
  const AnyTokenizer tokenizer = tokenizer_for(model, options);
  const SequenceMarks marks = model.sequence_marks();
  const Index longest = longest_example(model, options);
  Fingerprint fingerprint;
  const auto read = [&](const std::filesystem::path& file, bool is_validation) {
    std::vector<AnsweredPrompt> examples;
    for (const LabelledLine& line : read_labelled_lines(file, {.text = "prompt", .label = "answer"})) {
      const AnsweredPrompt& one = examples.emplace_back(answered_prompt(tokenizer, marks, line, longest));
      fingerprint.add(std::span<const TokenId>(one.tokens));
      fingerprint.add(std::span<const Index>(&one.prompt, 1));
      if (!is_validation) continue;
      validation.right.push_back(as_line(line.label));
      validation.sources.push_back(std::span(one.tokens).first(to_size(one.prompt)));
      validation.longest = std::max(validation.longest, std::ssize(one.tokens) - one.prompt);
    }
    return examples;
  };
  const std::vector<AnsweredPrompt> training = read(options.train, false), held_out = read(options.validation, true);
  ShuffledBatches<LanguageBatch> batches(
      [&](std::span<const Index> numbers) { return answer_batch(training, numbers); },
      {.examples = std::ssize(training), .batch = options.batch, .seed = options.seed, .where = kFinetune});
  validation.batches = batches_in_order(std::ssize(held_out), options.batch, [&](std::span<const Index> numbers) {
    return answer_batch(held_out, numbers);
  });
  for (const std::string& right : validation.right) fingerprint.add(right + "\n");
  const GenerationDefaults search = measured_search(options.model, validation.measure, validation.longest,
                                                    position_limit(model), known_vocabulary(model));
  return tune(model, batches, options,
              TuningTask<LanguageBatch>{
                  .adapter_task = "CAUSAL_LM",
                  .examples = std::to_string(training.size()) + " + " + std::to_string(held_out.size()) + " prompts",
                  .corpus = corpus_text(std::ssize(training), "prompts", fingerprint),
                  .deciding = validation.deciding(model, tokenizer, search),
                  .measure = [&](const TunedModel<LanguageBatch>& tuned, const WeightAdapter<float>* adapter) {
                    return validation(tuned, model, tokenizer, search, adapter);
                  }});
}

}  // namespace detail

/// Fine-tunes a decoder on a text file: each token of windows of `longest` tokens, at places drawn at random, is
/// predicted from those before. Measured by the mean loss per token of the validation text ("loss"). Throws ValueError
/// and IoError for options, files and folders that cannot be used, and as a TrainingJob.
inline JobSummary finetune_language_model(const FinetuneOptions& options) {
  detail::require_finetune_options(options);
  JobSummary summary;
  detail::with_family(detail::CompletingFamilies(), options.model, detail::kFinetune,
                      [&]<class M>(const M*) { summary = detail::finetune_language_model<M>(options); });
  return summary;
}

/// Fine-tunes a decoder on prompts and answers: tables (.tsv) with the columns "prompt" and "answer", or JSON objects
/// with these keys (see read_labelled_lines). The loss is that of the answers' tokens and of the end token behind them.
/// An answer follows its prompt as it is: a space that should be between them is in one of them. Where both are more
/// than `longest` tokens, the answer loses its end if it alone is too long, and the prompt its beginning. Measured by
/// "loss" or by the generated answers (see `text_measures`), which end where the model has no more positions. Throws as
/// `finetune_language_model`.
inline JobSummary finetune_answers(const FinetuneOptions& options) {
  detail::require_finetune_options(options);
  JobSummary summary;
  detail::with_family(detail::CompletingFamilies(), options.model, detail::kFinetune,
                      [&]<class M>(const M*) { summary = detail::finetune_answers<M>(options); });
  return summary;
}

}}  // namespace rapt::RAPT_ABI
