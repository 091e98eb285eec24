/// \file
/// Answers to questions as parts of a text (Rajpurkar et al. 2016, arXiv:1606.05250) by a model of a Hugging Face
/// folder, as the pipeline "question-answering" of transformers 4.
///
/// ```cpp
/// const auto answer = rapt::question_answerer("bert-large-squad");
/// const auto found = answer({{.question = "Who wrote it?", .context = text}}, {.handle_impossible_answer = true});
/// ```
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/pipelines/encoder_model.hpp"
#include "rapt/pipelines/label_scores.hpp"
#include "rapt/pipelines/task_encoder.hpp"
#include "rapt/pipelines/windows.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A question, and the text in which its answer is looked for.
struct Question {
  std::string question;
  std::string context;  ///< the text that holds the answer
};

/// How many answers are returned, and how long contexts are read.
struct QuestionOptions {
  Index top_k = 1;                        ///< answers of each question
  Index max_answer_len = 15;              ///< the greatest number of tokens of an answer
  std::optional<Index> max_seq_len = {};  ///< tokens of a window; unset: 384, or what model and tokenizer take if less
  std::optional<Index> doc_stride = {};   ///< tokens that windows have in common; unset: half a window, 128 at most
  bool handle_impossible_answer = false;  ///< "there is none" is an answer: an empty span
  bool align_to_words = true;             ///< answers begin and end where words do
};

/// A passage of the context that answers the question, and its score.
struct Answer {
  /// The product of the probabilities of its first and its last token in its window; of several such pairs of tokens,
  /// in one window or in several, that give the same text, the sum of the products.
  double score = 0;
  TextSpan span;  ///< bytes of the context

  /// The passage itself, as a view of the context that the answer is from.
  [[nodiscard]] std::string_view text_in(std::string_view context) const {
    return context.substr(span.begin, span.end - span.begin);
  }
};

/// Questions as a QuestionAnswerer reads them: windows of tokens, of which those of a question follow one another.
struct EncodedQuestions {
  std::vector<Question> questions;           ///< in the order in which they were given
  std::vector<detail::Window> windows = {};  ///< `source` is the number of a window's question
  PairBatch batch = {};                      ///< the tokens of the windows, a sequence each
};

/// Answers questions. A const one may be used from many threads.
class QuestionAnswerer {
 public:
  /// Throws IoError for a folder whose model has no head for questions.
  explicit QuestionAnswerer(const std::filesystem::path& folder) : QuestionAnswerer(folder, load_encoder(folder)) {}
  /// Answers with this model and the tokenizer of the folder.
  QuestionAnswerer(const std::filesystem::path& folder, std::shared_ptr<const EncoderModel> model)
      : encoder_(folder, std::move(model), EncoderHead::spans, kWhere),
        class_token_(encoder_.special_token("cls_token", {"[CLS]", "<s>"})) {}

  /// The answers of each question, the best first. A context that is too long is read in windows. Throws ValueError
  /// that names the question for texts that are not UTF-8 and for a question that leaves no room for a context.
  [[nodiscard]] std::vector<std::vector<Answer>> operator()(std::span<const Question> questions,
                                                            const QuestionOptions& options = {}) const {
    require_counts(options);
    std::vector<detail::Window> windows;
    PairBatch batch;
    encode_into(windows, batch, questions, options, {});
    return find_answers(questions, windows, batch, options);
  }

  /// What of the answering does not depend on the model's numbers, for questions that are asked again as these change.
  /// Of the options it reads `max_seq_len` and `doc_stride`. If not empty, `places[q]` is what messages call question
  /// q. Throws as the answering.
  [[nodiscard]] EncodedQuestions encode(std::vector<Question> questions, const QuestionOptions& options = {},
                                        std::span<const std::string> places = {}) const {
    require(places.empty() || places.size() == questions.size(), kWhere, places.size(), " places for ",
            questions.size(), " questions");
    EncodedQuestions encoded{.questions = std::move(questions)};
    encode_into(encoded.windows, encoded.batch, encoded.questions, options, places);
    return encoded;
  }
  /// The same answers as of the questions themselves. Of `options`, `max_seq_len` and `doc_stride` have no effect:
  /// those count that `encode` was given.
  [[nodiscard]] std::vector<std::vector<Answer>> answer(const EncodedQuestions& encoded,
                                                        const QuestionOptions& options = {}) const {
    require_counts(options);
    return find_answers(encoded.questions, encoded.windows, encoded.batch, options);
  }

 private:
  static constexpr std::string_view kWhere = "question_answerer";
  static constexpr Index kUsualLength = 384, kUsualStride = 128;  // as in transformers

  static void require_counts(const QuestionOptions& options) {
    require(options.top_k > 0 && options.max_answer_len > 0, kWhere,
            "top_k and max_answer_len must be positive: ", options.top_k, " and ", options.max_answer_len);
  }

  void encode_into(std::vector<detail::Window>& windows, PairBatch& batch, std::span<const Question> questions,
                   const QuestionOptions& options, std::span<const std::string> places) const {
    const Index longest = std::min(options.max_seq_len.value_or(kUsualLength), encoder_.longest());
    require(longest > 0, kWhere, "max_seq_len must be positive: ", longest);
    const detail::WindowSize size{.longest = longest,
                                  .overlap = options.doc_stride.value_or(std::min<Index>(longest / 2, kUsualStride)),
                                  .from_end = encoder_.cuts_left()};
    for (std::size_t q = 0; q < questions.size(); ++q) {
      const Encoding whole = encoder_.encode_whole(questions[q].question, questions[q].context, q);
      if (std::count(whole.texts.begin(), whole.texts.end(), 1) == 0) {
        fail(kWhere, places.empty() ? "question " + std::to_string(q) : places[q], ": the context has no token");
      }
      const std::string_view where = places.empty() ? kWhere : std::string_view(places[q]);
      for (detail::Window& window : detail::windows_of(whole, /*text=*/1, size, where)) {
        window.source = q;
        batch.tokens.push_back(window.tokens.ids);
        batch.types.insert(batch.types.end(), window.tokens.types.begin(), window.tokens.types.end());
        windows.push_back(std::move(window));
      }
    }
  }

  struct WindowAnswers {
    std::vector<Answer> answers;  // the best first
    double impossible = 1;        // the score of there being none: both ends at the first token
  };

  [[nodiscard]] std::vector<std::vector<Answer>> find_answers(std::span<const Question> questions,
                                                              std::span<const detail::Window> windows,
                                                              const PairBatch& batch,
                                                              const QuestionOptions& options) const {
    std::vector<WindowAnswers> of_windows(windows.size());
    encoder_.score(batch, [&](Index i, TensorView<const float> logits) {
      at(of_windows, i) = answers_of(at(windows, i).tokens, logits, options);
    });
    std::vector<std::vector<Answer>> found(questions.size());
    for (std::size_t q = 0, w = 0; q < questions.size(); ++q) {
      double impossible = 1;
      for (; w < windows.size() && windows[w].source == q; ++w) {
        for (const Answer& answer : of_windows[w].answers) add(answer, questions[q].context, found[q]);
        impossible = std::min(impossible, of_windows[w].impossible);
      }
      if (options.handle_impossible_answer) found[q].push_back({.score = impossible, .span = {}});
      std::stable_sort(found[q].begin(), found[q].end(),
                       [](const Answer& a, const Answer& b) { return a.score > b.score; });
      if (std::ssize(found[q]) > options.top_k) found[q].resize(to_size(options.top_k));
    }
    return found;
  }

  /// The probability of each token to be the first (column 0) or the last (1) of the answer: softmax among the tokens
  /// of the context and the class token, on which models put the probability of there being none.
  [[nodiscard]] std::vector<double> probabilities(const Encoding& tokens, TensorView<const float> logits,
                                                  Index column) const {
    std::vector<double> numbers(tokens.ids.size());
    double most = -1e30, sum = 0;
    const auto is_possible = [&](Index i) { return at(tokens.texts, i) == 1 || at(tokens.ids, i) == class_token_; };
    for (Index i = 0; i < std::ssize(numbers); ++i) {
      if (is_possible(i)) most = std::max(most, double{logits.row(i)[column]});
    }
    for (Index i = 0; i < std::ssize(numbers); ++i) {
      if (is_possible(i)) sum += at(numbers, i) = std::exp(logits.row(i)[column] - most);
    }
    for (double& number : numbers) number /= sum;
    return numbers;
  }

  [[nodiscard]] WindowAnswers answers_of(const Encoding& tokens, TensorView<const float> logits,
                                         const QuestionOptions& options) const {
    std::vector<double> begins = probabilities(tokens, logits, 0), ends = probabilities(tokens, logits, 1);
    WindowAnswers found;
    if (options.handle_impossible_answer) found.impossible = begins[0] * ends[0];
    begins[0] = ends[0] = 0;
    // The best pairs of tokens: a heap of the worst of them first.
    struct Pair {
      double score;
      Index begin, end;
    };
    const auto is_better = [](const Pair& a, const Pair& b) {
      if (a.score != b.score) return a.score > b.score;
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    };
    const Index count = std::ssize(begins);
    const Index wanted = std::min(options.top_k, count * count);  // there are no more pairs
    const std::size_t kept = to_size(options.align_to_words ? 2 * wanted + 10 : wanted);
    std::vector<Pair> best;
    for (Index begin = 0; begin < count; ++begin) {
      if (at(begins, begin) == 0) continue;
      for (Index end = begin; end < count && end - begin < options.max_answer_len; ++end) {
        const Pair pair{at(begins, begin) * at(ends, end), begin, end};
        if (best.size() == kept && !is_better(pair, best.front())) continue;
        if (best.size() == kept) {
          std::pop_heap(best.begin(), best.end(), is_better);
          best.pop_back();
        }
        best.push_back(pair);
        std::push_heap(best.begin(), best.end(), is_better);
      }
    }
    std::sort_heap(best.begin(), best.end(), is_better);
    for (const Pair& pair : best) {
      if (at(tokens.texts, pair.begin) == 1 && at(tokens.texts, pair.end) == 1) {
        found.answers.push_back({pair.score, span_of(tokens, pair.begin, pair.end, options.align_to_words)});
      }
    }
    return found;
  }

  /// From the beginning of a token, or of its word, to the end of another or of its word.
  [[nodiscard]] static TextSpan span_of(const Encoding& tokens, Index begin, Index end, bool whole_words) {
    if (whole_words) {
      const auto is_same_word = [&](Index a, Index b) {
        const bool is_token = b >= 0 && b < std::ssize(tokens.ids);  // a template may have nothing beside the context
        return is_token && at(tokens.texts, b) == 1 && at(tokens.words, a) == at(tokens.words, b);
      };
      while (is_same_word(begin, begin - 1)) --begin;
      while (is_same_word(end, end + 1)) ++end;
    }
    return {at(tokens.spans, begin).begin, at(tokens.spans, end).end};
  }

  /// Adds an answer, or its score to that of an answer with the same text but for capital letters.
  static void add(const Answer& answer, std::string_view context, std::vector<Answer>& answers) {
    const std::string text = to_lower(answer.text_in(context));
    for (Answer& known : answers) {
      if (to_lower(known.text_in(context)) == text) {
        known.score += answer.score;
        return;
      }
    }
    answers.push_back(answer);
  }

  detail::TaskEncoder encoder_;
  TokenId class_token_;
};

/// The answerer of a folder.
[[nodiscard]] inline QuestionAnswerer question_answerer(const std::filesystem::path& folder) {
  return QuestionAnswerer(folder);
}

}}  // namespace rapt::RAPT_ABI
