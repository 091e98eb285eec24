/// \file
/// How lines become examples for each task, and what the training loop is given of a model.
// covers: finetune/classifier.hpp, finetune/encoder_start.hpp, finetune/finetune_options.hpp
// covers: finetune/language_model.hpp, finetune/question_answerer.hpp, finetune/text_measures.hpp
// covers: finetune/text_to_text.hpp, finetune/token_classifier.hpp, finetune/tune.hpp, finetune/tuned_model.hpp
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/finetune/classifier.hpp"
#include "rapt/finetune/encoder_start.hpp"
#include "rapt/finetune/language_model.hpp"
#include "rapt/finetune/question_answerer.hpp"
#include "rapt/finetune/text_measures.hpp"
#include "rapt/finetune/text_to_text.hpp"
#include "rapt/finetune/token_classifier.hpp"
#include "rapt/finetune/tuned_model.hpp"
#include "rapt/models/gpt.hpp"
#include "rapt/text/byte_level_bpe.hpp"
#include "rapt/text/wordpiece.hpp"
#include "rapt/train/mean_loss.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/golden_folders.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Index;
using rapt::TokenId;
using Ids = std::vector<TokenId>;
using Labels = std::vector<std::int32_t>;

class FinetuneExamples : public rapt_test::FolderTest {};

rapt::AnyTokenizer byte_tokens() { return {rapt::ByteLevelBpe::of_bytes()}; }

/// [CLS] and [SEP] around words of a few pieces.
rapt::detail::FinetuneEncoding word_pieces(Index longest) {
  return {
      .tokenizer = {rapt::WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "in", "new", "york", "##er", "?", "[MASK]"})},
      .options = {.truncation = rapt::Truncation{.max_tokens = longest}},
      .has_types = true};
}

TEST_F(FinetuneExamples, AnswersFollowPromptsAndEnd) {
  const rapt::SequenceMarks marks{.ends = {'\n'}};
  const auto tokens = [&](const std::string& prompt, const std::string& answer, Index longest) {
    const auto found = rapt::detail::answered_prompt(byte_tokens(), marks, {prompt, "", answer}, longest);
    return std::string(found.tokens.begin(), found.tokens.end()) + std::to_string(found.prompt);
  };
  EXPECT_EQ(tokens("how", " so", 20), "how so\n3");
  EXPECT_EQ(tokens("how", " so", 6), "ow so\n2");  // the prompt's beginning is cut off
  EXPECT_EQ(tokens("how", " so", 4), "w so1");     // and the answer's end, if that is not enough
  rapt_test::expect_message<rapt::ValueError>(
      [&] {
        (void)rapt::detail::answered_prompt(byte_tokens(), marks, {"", "", "x", "file:2"}, 8);
      },
      "file:2: the prompt has no tokens");
}

/// The folder of Llama's tokenizer, which puts a space before every text.
class FinetuneSentencePiece : public rapt_test::GoldenFolders {
 protected:
  FinetuneSentencePiece() : GoldenFolders("sentencepiece_folders.json") {}
};

TEST_F(FinetuneSentencePiece, AnswersHaveTheTokensOfTheWholeText) {
  const auto tokenizer = rapt::AnyTokenizer::load(folder("llama"));
  const auto answer = [&](const std::string& prompt, const std::string& text) {
    const auto found = rapt::detail::answered_prompt(tokenizer, {}, {prompt, "", text}, 100);
    const Ids own = tokenizer.encode(prompt);
    EXPECT_EQ(Ids(found.tokens.begin(), found.tokens.begin() + found.prompt), own);
    std::string names;
    for (std::size_t t = own.size(); t < found.tokens.size(); ++t) names += tokenizer.token(found.tokens[t]);
    return names;
  };
  EXPECT_EQ(answer("the small", " cat"), "▁cat");
  EXPECT_EQ(answer("the small:", "cat"), "cat");
  EXPECT_EQ(answer("the small ", "cat"), "▁cat");      // of texts this tokenizer drops a space at the end
  EXPECT_EQ(answer("the sma", "ll cats"), "ll▁cats");  // the text of both has "▁small"
  const auto whole = rapt::detail::answered_prompt(tokenizer, {}, {"the small", "", " cats, 2"}, 100);
  EXPECT_EQ(whole.tokens, tokenizer.encode("the small cats, 2"));
  EXPECT_FALSE(tokenizer.encode("").empty()) << "a begin token is no token of the prompt";
  const rapt::SequenceMarks marks{.ends = {2}};
  for (const auto& [prompt, text, name] : {std::tuple{"", "cat", "prompt"}, std::tuple{"the", "", "answer"}}) {
    const rapt::LabelledLine line{prompt, "", text, "file:2"};
    rapt_test::expect_message<rapt::ValueError>(
        [&] { (void)rapt::detail::answered_prompt(tokenizer, marks, line, 100); },
        std::string("file:2: the ") + name + " has no tokens");
  }
}

TEST_F(FinetuneExamples, TheLossIsThatOfAnswersAlone) {
  const std::vector<rapt::detail::AnsweredPrompt> all = {{{1, 2, 3, 4}, 2}, {{7, 8}, 1}, {{5, 6, 9}, 2}};
  const std::vector<Index> numbers = {2, 0};
  const rapt::LanguageBatch batch = rapt::detail::answer_batch(all, numbers);
  EXPECT_EQ(batch.input.tokens, (Ids{5, 6, 1, 2, 3}));
  EXPECT_EQ(batch.input.row_splits, rapt::RowSplits({0, 2, 5}));
  EXPECT_EQ(batch.targets, (Ids{9, 3, 4}));
  EXPECT_EQ(batch.rows, (Labels{1, 3, 4}));
  const auto lists = rapt::detail::batches_in_order(
      3, 2, [&](std::span<const Index> some) { return rapt::detail::answer_batch(all, some); });
  ASSERT_EQ(lists.size(), 2u);
  EXPECT_EQ(lists[0].targets, (Ids{3, 4, 8}));
  EXPECT_EQ(lists[1].targets, (Ids{9}));
}

TEST_F(FinetuneExamples, SourcesHaveAnEndAndTargetsNone) {
  const rapt::SequenceMarks marks{.begin = 0, .ends = {'.'}};
  const auto pair = [&](const rapt::LabelledLine& line, Index longest) {
    return rapt::detail::token_pair(byte_tokens(), marks, "p:", line, longest);
  };
  const rapt::TokenPair whole = pair({"abc", "", "de"}, 20), ended = pair({"a.", "", "d.e"}, 20),
                        cut = pair({"abc", "", "def"}, 4);
  EXPECT_EQ(std::string(whole.source.begin(), whole.source.end()), "p:abc.");
  EXPECT_EQ(std::string(whole.target.begin(), whole.target.end()), "de");
  EXPECT_EQ(std::string(ended.source.begin(), ended.source.end()), "p:a.");
  EXPECT_EQ(std::string(ended.target.begin(), ended.target.end()), "d");
  EXPECT_EQ(std::string(cut.source.begin(), cut.source.end()), "p:a.");
  EXPECT_EQ(std::string(cut.target.begin(), cut.target.end()), "def");
}

TEST_F(FinetuneExamples, TheFirstTokenOfAWordHasItsLabel) {
  const std::vector<rapt::LabelledWords> words = {{{"New", "Yorker", "?"}, {"B", "I", "O"}, "file:1"},
                                                  {{"in", "in", "york"}, {"O", "O", "B"}, "file:2"}};
  const rapt::LabelledText texts = rapt::detail::encode_words(word_pieces(6), words, {"B", "I", "O"});
  constexpr std::int32_t kNone = rapt::kIgnoredLabel;
  EXPECT_EQ(texts.input.tokens, (Ids{2, 5, 6, 7, 8, 3, 2, 4, 4, 6, 3}));
  EXPECT_EQ(texts.labels, (Labels{kNone, 0, 1, kNone, 2, kNone, kNone, 2, 2, 0, kNone}));
  const rapt::LabelledText cut = rapt::detail::encode_words(word_pieces(4), words, {"B", "I", "O"});
  EXPECT_EQ(cut.labels, (Labels{kNone, 0, 1, kNone, kNone, 2, 2, kNone}));
  rapt_test::expect_message<rapt::ValueError>(
      [&] {
        (void)rapt::detail::encode_words(word_pieces(6), words, {"B", "O"});
      },
      "file:1 has the label \"I\"");
}

TEST_F(FinetuneExamples, WhatHasNoTokensIsRefusedWithItsLine) {
  const auto refuse = [](const auto& encode, const std::string& message) {
    rapt_test::expect_message<rapt::ValueError>([&] { (void)encode(); }, message);
  };
  const std::vector<rapt::LabelledWords> words = {{{"in"}, {"O"}, "file:1"}, {{"\x01", "\x02"}, {"O", "O"}, "file:2"}};
  refuse(
      [&] {
        return rapt::detail::encode_words(word_pieces(6), words, {"B", "O"});
      },
      "file:2: none of 2 words has a token that could be learned from");
  const auto questions = [](const std::string& question, const std::string& context) {
    return std::vector<rapt::AnsweredQuestion>{{{question, context}, {0, 1}, "file:3"}};
  };
  refuse([&] { return rapt::detail::encode_questions(word_pieces(8), questions("?", "\x01")); },
         "file:3: the context has no token");
  refuse([&] { return rapt::detail::encode_questions(word_pieces(8), questions("\x01", "in")); },
         "file:3: the question has no token");
  const auto lines = [](const std::string& text, const std::string& second) {
    return std::vector<rapt::LabelledLine>{{"in", "in", "O", "file:4"}, {text, second, "O", "file:5"}};
  };
  refuse([&] { return rapt::detail::encode_lines(word_pieces(6), lines("\x01", ""), /*are_pairs=*/false); },
         "file:5: the text has no tokens");
  refuse([&] { return rapt::detail::encode_lines(word_pieces(6), lines("\x01", "in"), /*are_pairs=*/true); },
         "file:5: the text has no tokens");
  refuse([&] { return rapt::detail::encode_lines(word_pieces(6), lines("in", "\x01"), /*are_pairs=*/true); },
         "file:5: the second text has no tokens");
  refuse([&] { return rapt::detail::encode_lines(word_pieces(4), lines("in", "in"), /*are_pairs=*/true); },
         "pairs of texts have 3 special tokens: examples must have at least 5 tokens with this tokenizer, not 4");
  refuse([&] { return rapt::detail::encode_lines(word_pieces(3), lines("in", ""), /*are_pairs=*/false); },
         "texts have 2 special tokens: examples must have at least 4 tokens with this tokenizer, not 3");
  refuse([&] { return rapt::detail::encode_words(word_pieces(2), {words.front()}, {"O"}); },
         "texts have 2 special tokens: examples must have at least 4 tokens with this tokenizer, not 2");
  refuse([&] { return rapt::detail::encode_lines(word_pieces(6), lines("in", "\xff"), /*are_pairs=*/true); },
         "file:5: [wordpiece.encode_pair] text must be UTF-8: second text");
  EXPECT_EQ(rapt::detail::encode_lines(word_pieces(4), lines("in", ""), /*are_pairs=*/false).input.tokens,
            (Ids{2, 4, 3, 2, 4, 3}));
  EXPECT_EQ(rapt::detail::encode_lines(word_pieces(6), lines("in", ""), /*are_pairs=*/true).input.tokens,
            (Ids{2, 4, 3, 4, 3, 2, 4, 3, 3}));
  const rapt::SequenceMarks marks{.begin = 0, .ends = {'.'}};
  const auto pair = [&](const char* text, const char* target) {
    return rapt::detail::token_pair(byte_tokens(), marks, "p:", {text, "", target}, 20);
  };
  for (const auto& [text, target, name] : {std::tuple{"", "b", "text"}, std::tuple{"a", "", "target"}}) {
    const std::string message = std::string("file:6: the ") + name + " has no tokens";
    rapt_test::expect_message<rapt::ValueError>(
        [&, one = pair(text, target)] { rapt::detail::require_own_tokens(one, pair("", ""), "file:6"); }, message);
  }
  EXPECT_NO_THROW(rapt::detail::require_own_tokens(pair("a", "b"), pair("", ""), "file:6"));
  rapt_test::expect_message<rapt::ValueError>(
      [&] { rapt::detail::require_room(pair("", ""), 3); },
      "a text has 3 tokens of the prefix and special ones: 3 tokens, without the decoder's begin token, have no room");
  EXPECT_NO_THROW(rapt::detail::require_room(pair("", ""), 4));
  refuse([&] { return rapt::detail::encode_questions(word_pieces(8), questions("? ? ? ? ?", "in in in")); },
         "[file:3] a window of 8 tokens has room for 0");
}

TEST_F(FinetuneExamples, SearchesOfMeasurementsKeepToThePositions) {
  std::ofstream(folder_ / "config.json") << R"({"model_type": "gpt2", "n_positions": 16, "max_length": 50})";
  const auto search = rapt::detail::measured_search(folder_, "bleu", 9, Index{16}, Index{20});
  for (const auto* options : {&search.beam.generation, &search.sampling.generation}) {
    EXPECT_EQ(options->max_length, 9);
    EXPECT_EQ(options->max_total_length, 16);
  }
  const auto unlimited = rapt::detail::measured_search(folder_, "bleu", 9, std::nullopt, std::nullopt);
  EXPECT_GT(unlimited.beam.generation.max_total_length, 1000);
  std::ofstream(folder_ / "config.json") << R"({"model_type": "gpt2", "min_new_tokens": 12})";
  rapt_test::expect_message<rapt::ValueError>(
      [&] { (void)rapt::detail::measured_search(folder_, "bleu", 9, Index{16}, Index{20}); },
      "min_length 12 is more than max_length 9");
  EXPECT_NO_THROW((void)rapt::detail::measured_search(folder_, "loss", 9, Index{16}, Index{20}))
      << "nothing is generated";
  std::ofstream(folder_ / "config.json") << R"({"model_type": "gpt2", "bad_words_ids": [[3, 20]]})";
  rapt_test::expect_message<rapt::ValueError>(
      [&] { (void)rapt::detail::measured_search(folder_, "bleu", 9, Index{16}, Index{20}); },
      "the token of bad_words 20 is outside the vocabulary of 20");
}

/// A run that is resumed must search as it did before.
TEST_F(FinetuneExamples, SearchesAreToldApart) {
  const auto identity = [&](const char* settings, const rapt::SequenceMarks& marks = {.ends = {2}}) {
    std::ofstream(folder_ / "config.json") << settings;
    return rapt::detail::search_identity(rapt::detail::measured_search(folder_, "bleu", 9, Index{16}, Index{20}),
                                         marks);
  };
  const auto plain = identity("{}");
  EXPECT_TRUE(plain["beam search"].is_null());
  EXPECT_EQ(plain["max_new_tokens"], 9);
  EXPECT_EQ(plain["eos_token_id"], (Ids{2}));
  EXPECT_EQ(plain, identity(R"({"temperature": 0.5, "do_sample": true, "length_penalty": 2.0, "architectures": []})"))
      << "of these nothing changes a greedy search";
  const auto beams = identity(R"({"num_beams": 3})");
  EXPECT_EQ(beams["beam search"].dump(), R"({"num_beams":3,"length_penalty":1.0,"early_stopping":false})");
  for (const char* settings :
       {R"({"num_beams": 2})", R"({"num_beams": 3, "length_penalty": 0.6})",
        R"({"num_beams": 3, "early_stopping": true})", R"({"num_beams": 3, "early_stopping": "never"})",
        R"({"num_beams": 3, "repetition_penalty": 1.5})", R"({"num_beams": 3, "encoder_repetition_penalty": 1.5})",
        R"({"num_beams": 3, "min_new_tokens": 2})", R"({"num_beams": 3, "min_length": 2})",
        R"({"num_beams": 3, "no_repeat_ngram_size": 2})", R"({"num_beams": 3, "encoder_no_repeat_ngram_size": 2})",
        R"({"num_beams": 3, "bad_words_ids": [[4]]})", R"({"num_beams": 3, "suppress_tokens": [4]})",
        R"({"num_beams": 3, "begin_suppress_tokens": [4]})", R"({"num_beams": 3, "forced_bos_token_id": 4})",
        R"({"num_beams": 3, "forced_eos_token_id": 2})",
        R"({"num_beams": 3, "exponential_decay_length_penalty": [3, 1.1]})"}) {
    EXPECT_NE(identity(settings), beams) << settings;
  }
  const std::vector<rapt::SequenceMarks> others = {{.begin = 0, .ends = {2}},
                                                   {.ends = {2, 3}},
                                                   {.ends = {2}, .forced_begin = 5},
                                                   {.ends = {2}, .suppressed = {7}},
                                                   {.ends = {2}, .max_length = 8}};
  for (const rapt::SequenceMarks& marks : others) EXPECT_NE(identity("{}", marks), plain);
}

TEST_F(FinetuneExamples, NewPartsHaveTheValuesOfAModelThatIsAllNew) {
  rapt::BertConfig config{.vocabulary = 20, .positions = 8, .d_model = 8, .layers = 1, .heads = 2, .d_ff = 8};
  config.pooler = false;
  rapt::Rng rng(3), fresh(7);
  const rapt::Bert<float> encoder(config, rng);
  config.pooler = true;
  config.labels = {"a", "b", "c"};
  const rapt::Bert<float> all_new(config, fresh);
  const rapt::Bert<float> found = rapt::with_config(encoder, config, {"positions*"}, 7);
  std::map<std::string, const rapt::Parameter<float>*> old, drawn;
  rapt::for_each_parameter(encoder, [&](const std::string& name, const auto& p) { old[name] = &p; });
  rapt::for_each_parameter(all_new, [&](const std::string& name, const auto& p) { drawn[name] = &p; });
  int count = 0;
  rapt::for_each_parameter(found, [&](const std::string& name, const auto& parameter) {
    const bool is_new = name.starts_with("classifier") || name.starts_with("pooler") || name.starts_with("positions");
    count += is_new ? 1 : 0;
    const auto& source = *(is_new ? drawn : old).at(name);
    EXPECT_TRUE(std::ranges::equal(parameter.value().values(), source.value().values())) << name;
  });
  EXPECT_EQ(count, 5) << "weights and biases of two layers, and the table of positions";
  config.d_model = 4;
  rapt_test::expect_message<rapt::ShapeError>([&] { (void)rapt::with_config(encoder, config, {}, 7); },
                                              "embedding.weight has shape [20, 8]");
}

TEST_F(FinetuneExamples, AnswersOfQuestionsArePlacesInWindows) {
  const std::string context = "in in new yorker new york";  // the answer is "new york", behind the first of both
  const std::vector<rapt::AnsweredQuestion> questions = {{{"?", context}, {17, 25}, "file:1"}};
  const rapt::QuestionBatch whole = rapt::detail::encode_questions(word_pieces(20), questions);
  EXPECT_EQ(whole.input.tokens, (Ids{2, 8, 3, 4, 4, 5, 6, 7, 5, 6, 3}));
  EXPECT_EQ(whole.token_types, (Labels{0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(whole.starts, Labels{8});
  EXPECT_EQ(whole.ends, Labels{9});
  const rapt::QuestionBatch windows = rapt::detail::encode_questions(word_pieces(8), questions);  // four tokens each
  ASSERT_EQ(windows.input.sequences(), 3);
  EXPECT_EQ(windows.starts, (Labels{8, 8, 4}));  // two windows lack it
  EXPECT_EQ(windows.ends, (Labels{8, 8, 5}));
  const std::vector<Index> held = rapt::detail::windows_with_answers(windows);
  EXPECT_EQ(held, std::vector<Index>{2});
  const rapt::QuestionBatch selected = rapt::detail::select_windows(windows, held);
  EXPECT_EQ(selected.starts, Labels{4});
  EXPECT_EQ(selected.token_types.size(), selected.input.tokens.size());
}

TEST_F(FinetuneExamples, StartsOfAnswersCountCharacters) {
  const auto write = [&](const char* line) { std::ofstream(folder_ / "q.jsonl") << "\n" << line; };
  write(R"({"context": "größer é is", "question": "x", "answer": "é", "start": 7})");
  const auto found = rapt::read_answered_questions(folder_ / "q.jsonl");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].answer, (rapt::TextSpan{9, 11}));
  const auto refuse = [&](const char* line, const std::string& message) {
    write(line);
    rapt_test::expect_message<rapt::IoError>([&] { (void)rapt::read_answered_questions(folder_ / "q.jsonl"); },
                                             message);
  };
  refuse(R"({"context": "a", "question": "x", "answer": "a", "start": -1})", "q.jsonl:2: \"start\" must be a number");
  refuse(R"({"context": "a", "question": "x", "answer": "a", "start": 9})", "does not stand at character 9");
  refuse(R"({"context": "a", "question": "", "answer": "a", "start": 0})", "\"question\" must be a string");
  refuse("", "there are no questions");
}

TEST_F(FinetuneExamples, TextsAreScored) {
  const std::vector<std::string> right = {"the small cat sat", "a dog"};
  rapt::Measurement found = rapt::detail::loss_measurement(0.5);
  EXPECT_EQ(found.score, 0.5);
  EXPECT_DOUBLE_EQ(found.entry.at("perplexity").get<double>(), std::exp(0.5));
  rapt::detail::add_text_scores(found, "exact_match", {"the small cat sat ", "dog"}, right);
  EXPECT_EQ(found.score, -0.5);
  EXPECT_NEAR(found.entry.at("rouge1").get<double>(), (1 + 2.0 / 3) / 2, 1e-12);
  EXPECT_EQ(found.text.substr(0, 53), "loss 0.5000  perplexity 1.6487  exact_match 0.5000  b");
  rapt::detail::add_text_scores(found, "bleu", right, right);
  EXPECT_NEAR(found.score, -100, 1e-9);
}

TEST_F(FinetuneExamples, OptionsSayWhichMeasureTheyMayNotHave) {
  EXPECT_EQ(rapt::detail::chosen_measure({}, {"f1", "accuracy"}), "f1");
  EXPECT_EQ(rapt::detail::chosen_measure({.measure = "accuracy"}, {"f1", "accuracy"}), "accuracy");
  rapt_test::expect_message<rapt::ValueError>(
      [] {
        (void)rapt::detail::chosen_measure({.measure = "bleu", .option_prefix = "--"}, {"f1", "accuracy"});
      },
      "--measure bleu has no effect with this task, whose measures are: f1, accuracy");
  const rapt::FinetuneOptions smooth{.model = "none", .label_smoothing = 0.1f, .option_prefix = "--"};
  rapt_test::expect_message<rapt::ValueError>([&] { (void)rapt::finetune_classifier(smooth, /*is_regression=*/true); },
                                              "--label-smoothing 0.1 has no effect on numbers");
  rapt_test::expect_message<rapt::ValueError>([&] { (void)rapt::finetune_question_answerer(smooth); },
                                              "--label-smoothing 0.1 has no effect on places of answers");
  rapt_test::expect_message<rapt::IoError>([] { rapt::detail::require_finetune_options({.model = "qwen.gguf"}); },
                                           "model qwen.gguf is a GGUF file, which is not trained: give the Hugging");
  rapt_test::expect_message<rapt::ValueError>([] { rapt::detail::require_finetune_options({.layer_decay = 2}); },
                                              "at most 1: 2");
  rapt_test::expect_message<rapt::ValueError>([] { rapt::detail::require_finetune_options({.batch = 0}); },
                                              "epochs and batch positive");
}

/// The steps of a model that a TunedModel stands for are those of the model itself, bit for bit.
TEST_F(FinetuneExamples, ATunedModelIsTheModel) {
  const rapt::GptConfig config{
      .vocabulary = 20, .positions = 8, .d_model = 8, .layers = 2, .heads = 2, .dropout = 0.1f};
  rapt::Rng rng(3), same(3);
  rapt::Gpt<float> model(config, rng), copy(config, same);
  rapt::TunedModel<rapt::LanguageBatch> tuned(copy);
  const rapt::LanguageBatch batch = {rapt::TokenBatch({{1, 2, 3}, {4, 5}}), {2, 3, 4, 5, 6}, {}};
  const rapt::TrainerOptions options{.learning_rate = [](Index) { return 0.01; }, .seed = 5};
  rapt::Trainer trainer(model, options);
  rapt::Trainer<rapt::TunedModel<rapt::LanguageBatch>> of_tuned(tuned, options);
  std::vector<std::string> names, tuned_names;
  for (int step = 0; step < 3; ++step) EXPECT_EQ(trainer.step(batch), of_tuned.step(batch));
  rapt::for_each_parameter(model, [&](const std::string& name, const auto&) { names.push_back(name); });
  rapt::for_each_parameter(std::as_const(tuned),
                           [&](const std::string& name, const auto&) { tuned_names.push_back(name); });
  EXPECT_EQ(names, tuned_names);
  EXPECT_EQ(rapt::mean_loss(model, std::vector{batch}), rapt::mean_loss(tuned, std::vector{batch}));
}

}  // namespace
