/// \file
/// Fine-tuning of an encoder of a Hugging Face folder to answer questions by parts of a text.
///
/// ```cpp
/// rapt::FinetuneOptions options{.model = "minilm", .train = "train.jsonl", .validation = "dev.jsonl"};
/// options.out = "qa";
/// rapt::finetune_question_answerer(options);
/// ```
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/data/shuffled_batches.hpp"
#include "rapt/finetune/encoder_start.hpp"
#include "rapt/finetune/finetune_options.hpp"
#include "rapt/finetune/tune.hpp"
#include "rapt/io/json.hpp"
#include "rapt/pipelines/encoder_model.hpp"
#include "rapt/pipelines/question_answerer.hpp"
#include "rapt/pipelines/windows.hpp"
#include "rapt/text/answer_scores.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A question, the text that holds the answer, and the answer.
struct AnsweredQuestion {
  /// The question and the text that holds the answer.
  Question asked = {};
  TextSpan answer = {};    ///< bytes of the context
  std::string place = {};  ///< "train.jsonl:3", the file and the line, from 1
};

/// A file of JSON objects with the strings "context", "question" and "answer", and "start", the number of characters
/// (code points) of the context before the answer, as SQuAD's "answer_start"; one a line, blank lines count for
/// nothing. Throws IoError with the file and the line for what is no such object, an empty answer, an answer that does
/// not stand at its start, and a file without questions.
[[nodiscard]] inline std::vector<AnsweredQuestion> read_answered_questions(const std::filesystem::path& path) {
  constexpr std::string_view kWhere = "answered_questions";
  std::vector<AnsweredQuestion> found;
  std::size_t number = 0;
  for (const std::string& line : read_lines(path)) {
    ++number;
    if (is_blank(line)) continue;
    AnsweredQuestion one{.place = path.string() + ":" + std::to_string(number)};
    const nlohmann::json json = detail::parse_json_object(line, one.place, kWhere);
    std::string answer;
    for (const auto& [key, text] : {std::pair{"context", &one.asked.context},
                                    std::pair{"question", &one.asked.question}, std::pair{"answer", &answer}}) {
      const auto value = json.find(key);
      require<IoError>(value != json.end() && value->is_string() && !value->get_ref<const std::string&>().empty(),
                       kWhere, one.place, ": \"", key, "\" must be a string that is not empty: ",
                       value == json.end() ? std::string("there is none") : detail::describe(*value));
      *text = value->get_ref<const std::string&>();
    }
    const auto found_start = json.find("start");
    const bool has_start =
        found_start != json.end() && found_start->is_number_integer() && found_start->get<Index>() >= 0;
    require<IoError>(has_start, kWhere, one.place, ": \"start\" must be a number of characters: ",
                     found_start == json.end() ? std::string("there is none") : detail::describe(*found_start));
    const auto start = found_start->get<Index>();
    std::size_t begin = 0;
    for (Index i = 0; i < start && begin < one.asked.context.size(); ++i) {
      begin += code_point_at(one.asked.context, begin).length;
    }
    require<IoError>(std::string_view(one.asked.context).substr(begin).starts_with(answer), kWhere, one.place,
                     ": the answer ", detail::quote_name(answer), " does not stand at character ", start,
                     " of the context");
    one.answer = {begin, begin + answer.size()};
    found.push_back(std::move(one));
  }
  require<IoError>(!found.empty(), kWhere, path.string(), ": there are no questions");
  return found;
}

namespace detail {

/// Throws ValueError that names the line unless the question and the context have a token each beside special ones.
inline void require_own_tokens(const AnsweredQuestion& question, const Encoding& tokens) {
  for (const auto& [text, name] : {std::pair{0, "question"}, std::pair{1, "context"}}) {
    require(std::count(tokens.texts.begin(), tokens.texts.end(), text) > 0, kFinetune, question.place, ": the ", name,
            " has no token");
  }
}

/// Questions with a window of their contexts each; those of a question follow one another. Throws ValueError that names
/// the line for a question or context without tokens, and for a question that leaves no room for a context.
[[nodiscard]] inline QuestionBatch encode_questions(const FinetuneEncoding& encoding,
                                                    const std::vector<AnsweredQuestion>& questions) {
  QuestionBatch windows;
  const Index longest = encoding.options.truncation->max_tokens;
  for (const AnsweredQuestion& question : questions) {
    const Encoding whole =
        encoding.tokenizer.encode_pair(question.asked.question, question.asked.context, {.truncation = Truncation{}});
    require_own_tokens(question, whole);
    const WindowSize size{.longest = longest, .overlap = longest / 4, .from_end = encoding.options.truncation->left};
    for (const Window& window : windows_of(whole, /*text=*/1, size, question.place)) {
      const Encoding& tokens = window.tokens;
      const auto count = static_cast<std::int32_t>(tokens.ids.size());
      std::int32_t first = count, last = count;  // behind the sequence: the answer is not in this window
      for (std::int32_t t = 0; t < count; ++t) {
        const TextSpan& span = at(tokens.spans, t);
        if (at(tokens.texts, t) != 1 || span.end <= question.answer.begin || span.begin >= question.answer.end)
          continue;
        if (first == count) first = t;
        last = t;
      }
      const bool is_whole = first < count && at(tokens.spans, first).begin <= question.answer.begin &&
                            at(tokens.spans, last).end >= question.answer.end;
      windows.input.push_back(tokens.ids);
      if (encoding.has_types) {
        windows.token_types.insert(windows.token_types.end(), tokens.types.begin(), tokens.types.end());
      }
      windows.starts.push_back(is_whole ? first : count);
      windows.ends.push_back(is_whole ? last : count);
    }
  }
  return windows;
}

/// The windows with these numbers.
[[nodiscard]] inline QuestionBatch select_windows(const QuestionBatch& all, std::span<const Index> numbers) {
  QuestionBatch selected;
  for (const Index i : numbers) {
    selected.input.push_back(all.input.sequence(i));
    if (!all.token_types.empty()) {
      selected.token_types.insert(selected.token_types.end(), all.token_types.begin() + all.input.row_splits.begin(i),
                                  all.token_types.begin() + all.input.row_splits.end(i));
    }
    selected.starts.push_back(at(all.starts, i));
    selected.ends.push_back(at(all.ends, i));
  }
  return selected;
}

/// The numbers of the windows that hold their answers, which are those that are learned from.
[[nodiscard]] inline std::vector<Index> windows_with_answers(const QuestionBatch& all) {
  std::vector<Index> numbers;
  for (Index i = 0; i < all.input.sequences(); ++i) {
    if (at(all.starts, i) < all.input.row_splits.length(i)) numbers.push_back(i);
  }
  return numbers;
}

/// The model in training, with its adapter if there is one, as QuestionAnswerer takes it. Keeps a reference to it.
class TunedEncoder final : public EncoderModel {
 public:
  explicit TunedEncoder(const Bert<float>& model) : model_(model) {}

  /// From now on scores are those with the adapter; nullptr: without one. Not while other threads ask for scores.
  void use(const WeightAdapter<float>* adapter) { adapter_ = adapter; }

  [[nodiscard]] bool has(EncoderHead head) const override { return head == EncoderHead::spans; }
  [[nodiscard]] const std::vector<std::string>& labels() const override { return model_.config().labels; }
  [[nodiscard]] Index vocabulary() const override { return model_.config().vocabulary; }
  [[nodiscard]] Index longest() const override { return model_.config().positions; }
  [[nodiscard]] Tensor<float> scores(EncoderHead, const TokenBatch& batch, std::span<const std::int32_t> token_types,
                                     std::span<const std::int32_t>) const override {
    const UseAdapter<float> use(adapter_);
    const Inference scope;
    const bool tells_types = model_.config().token_types > 1;
    return model_.question_logits(model_.hidden(batch, tells_types ? token_types : std::span<const std::int32_t>()))
        .value();
  }

 private:
  const Bert<float>& model_;
  const WeightAdapter<float>* adapter_ = nullptr;
};

/// The model with its head for questions, or with a new one.
[[nodiscard]] inline EncoderStart answering_encoder(const FinetuneOptions& options) {
  EncoderStart start{.model = from_pretrained<Bert<float>>(options.model), .head = {"question.*"}};
  if (start.model.config().question_head) return start;
  BertConfig config = without_heads(start.model.config());
  config.pooler = false;
  config.question_head = true;
  config.problem.reset();
  start.model = with_config(start.model, config, {}, options.seed);
  return start;
}

/// The questions of lines as an answerer reads them. Throws ValueError as `encode_questions`.
[[nodiscard]] inline EncodedQuestions encode_for(const QuestionAnswerer& answerer,
                                                 const std::vector<AnsweredQuestion>& lines,
                                                 const QuestionOptions& options) {
  std::vector<Question> questions;
  std::vector<std::string> places;
  for (const AnsweredQuestion& line : lines) questions.push_back(line.asked), places.push_back(line.place);
  EncodedQuestions encoded = answerer.encode(std::move(questions), options, places);
  for (const Window& window : encoded.windows) require_own_tokens(lines[window.source], window.tokens);
  return encoded;
}

/// SQuAD's exact match and F1 of the best answers, in percent. `asked` are the questions, encoded.
[[nodiscard]] inline Measurement measure_answers(const QuestionAnswerer& answerer, const EncodedQuestions& asked,
                                                 const std::vector<AnsweredQuestion>& questions,
                                                 const std::string& measure) {
  const auto answers = answerer.answer(asked);
  AnswerScores sum;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const std::string& context = questions[i].asked.context;
    const Answer right{.span = questions[i].answer};
    const AnswerScores one = answer_scores(
        answers[i].empty() ? std::string_view() : answers[i].front().text_in(context), right.text_in(context));
    sum.exact_match += one.exact_match, sum.f1 += one.f1;
  }
  const auto count = static_cast<double>(questions.size());
  const double exact = sum.exact_match / count, f1 = sum.f1 / count;
  char text[80];
  std::snprintf(text, sizeof text, "exact match %.2f %%  F1 %.2f %%", 100 * exact, 100 * f1);
  return {.score = measure == "f1" ? -f1 : -exact, .text = text, .entry = {{"exact_match", exact}, {"f1", f1}}};
}

}  // namespace detail

/// Fine-tunes an encoder on questions with their answers (see read_answered_questions). Long contexts are read in
/// windows of `longest` tokens, of which those that hold the whole answer are learned from. Measured by "f1" or
/// "exact_match" of the answers that QuestionAnswerer finds. Throws as `finetune_classifier`, and ValueError if no
/// window holds an answer.
inline JobSummary finetune_question_answerer(const FinetuneOptions& options) {
  detail::require_finetune_options(options);
  const std::string measure = detail::chosen_measure(options, {"f1", "exact_match"});
  require(options.label_smoothing == 0, detail::kFinetune, options.option_prefix, "label-smoothing ",
          options.label_smoothing, " has no effect on places of answers: it is of losses over tokens and classes");
  const auto lines = read_answered_questions(options.train), held_out = read_answered_questions(options.validation);
  detail::EncoderStart start = detail::answering_encoder(options);
  Bert<float>& model = start.model;
  const detail::FinetuneEncoding encoding = detail::encoding_of(options, model.config());
  const QuestionBatch all = detail::encode_questions(encoding, lines);
  const auto tuned = std::make_shared<detail::TunedEncoder>(model);
  const QuestionAnswerer answerer(options.model, tuned);
  const Index longest = encoding.options.truncation->max_tokens;
  const EncodedQuestions asked =
      detail::encode_for(answerer, held_out, {.max_seq_len = longest, .doc_stride = longest / 4});
  const QuestionBatch training = detail::select_windows(all, detail::windows_with_answers(all));
  require(training.input.sequences() > 0, detail::kFinetune, options.train.string(), ": none of ",
          all.input.sequences(), " windows of ", longest, " tokens holds the whole answer of its question");
  Fingerprint fingerprint;
  fingerprint.add(training.input.row_splits.offsets());
  fingerprint.add(std::span<const TokenId>(training.input.tokens));
  for (const auto* numbers : {&training.token_types, &training.starts, &training.ends}) {
    fingerprint.add(std::span<const std::int32_t>(*numbers));
  }
  for (const AnsweredQuestion& question : held_out) {
    const std::size_t bounds[] = {question.answer.begin, question.answer.end};
    fingerprint.add(question.asked.question + "\n" + question.asked.context + "\n");
    fingerprint.add(std::span<const std::size_t>(bounds));
  }
  fingerprint.add(asked.batch.tokens.row_splits.offsets());
  fingerprint.add(std::span<const TokenId>(asked.batch.tokens.tokens));
  ShuffledBatches<QuestionBatch> batches(
      [&](std::span<const Index> numbers) { return detail::select_windows(training, numbers); },
      {.examples = training.input.sequences(),
       .batch = options.batch,
       .seed = options.seed,
       .where = detail::kFinetune});
  return detail::tune(
      model, batches, options,
      detail::TuningTask<QuestionBatch>{
          .adapter_task = "QUESTION_ANS",
          .head = start.head,
          .examples = std::to_string(lines.size()) + " + " + std::to_string(held_out.size()) + " questions, " +
                      std::to_string(training.input.sequences()) + " windows with answers",
          .corpus = detail::corpus_text(std::ssize(lines), "questions", fingerprint),
          .measure = [&](const TunedModel<QuestionBatch>&, const WeightAdapter<float>* adapter) {
            tuned->use(adapter);
            return detail::measure_answers(answerer, asked, held_out, measure);
          }});
}

}}  // namespace rapt::RAPT_ABI
