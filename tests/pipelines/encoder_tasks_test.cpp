// covers: pipelines/task_folder.hpp, pipelines/encoder_model.hpp, pipelines/task_encoder.hpp,
// pipelines/label_scores.hpp, pipelines/text_classifier.hpp, pipelines/zero_shot_classifier.hpp,
// pipelines/token_classifier.hpp, pipelines/windows.hpp, pipelines/question_answerer.hpp, pipelines/mask_filler.hpp,
// pipelines/cross_encoder.hpp, pipelines/model_families.hpp
/// \file
/// What encoders say of texts is what transformers' pipelines say of them (tests/golden/make_pipelines.py), and folders
/// and texts that are wrong are refused.
// covers: pipelines/task_folder.hpp, pipelines/encoder_model.hpp, pipelines/task_encoder.hpp,
//   pipelines/label_scores.hpp, pipelines/text_classifier.hpp, pipelines/zero_shot_classifier.hpp,
//   pipelines/token_classifier.hpp, pipelines/windows.hpp, pipelines/question_answerer.hpp, pipelines/mask_filler.hpp,
//   pipelines/cross_encoder.hpp, pipelines/candidate_labels.hpp, pipelines/model_families.hpp
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "rapt/pipelines/cross_encoder.hpp"
#include "rapt/pipelines/mask_filler.hpp"
#include "rapt/pipelines/question_answerer.hpp"
#include "rapt/pipelines/text_classifier.hpp"
#include "rapt/pipelines/token_classifier.hpp"
#include "rapt/pipelines/windows.hpp"
#include "rapt/pipelines/zero_shot_classifier.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/pipelines/golden_folder.hpp"

namespace {

using nlohmann::json;
using rapt::Aggregation;
using rapt::IoError;
using rapt::ScoreFunction;
using rapt::ValueError;
using rapt_test::expect_labels;
using rapt_test::expect_message;
using rapt_test::GoldenFolder;
using rapt_test::kScoreTolerance;
using Texts = std::vector<std::string>;

const rapt_test::PipelineGolden& golden_tasks() {
  static const rapt_test::PipelineGolden golden("pipelines");
  return golden;
}
const json& expected_of(const char* key) { return golden_tasks()[key]; }
/// Changes a JSON file of a folder: change(json).
template <class F>
void change_file(const std::filesystem::path& file, const F& change) {
  json content = json::parse(std::ifstream(file));
  change(content);
  std::ofstream(file) << content;
}
std::string times(std::size_t count, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}
const Texts kNliLabels = {"contradiction", "neutral", "Entailment"};

/// Large random weights magnify the rounding of lowered precisions: what is compared with transformers computes in
/// float32.
class EncoderTask : public testing::Test {
  rapt_test::HighestPrecision scope_;
};

TEST_F(EncoderTask, ClassifiesTextsAsTransformersDoes) {
  const GoldenFolder folder(golden_tasks(), "classes");
  const auto classify = rapt::text_classifier(folder);
  EXPECT_EQ(classify.labels(), kNliLabels);
  const Texts texts = golden_tasks().texts();
  expect_labels(classify(texts, {.top_k = {}}), expected_of("classify"), kNliLabels);
  expect_labels(classify(golden_tasks().texts(5), {.top_k = 2, .function_to_apply = ScoreFunction::sigmoid}),
                expected_of("sigmoid"), kNliLabels);
  const Texts first(texts.begin(), texts.end() - 1), second(texts.begin() + 1, texts.end());
  expect_labels(classify(first, second, {.top_k = {}}), expected_of("pairs"), kNliLabels);
  for (const auto& best : classify(texts)) EXPECT_EQ(best.size(), 1u);
  EXPECT_TRUE(classify(Texts()).empty());
  EXPECT_NE(classify(Texts{texts[0]}, {.function_to_apply = ScoreFunction::none})[0][0].score,
            classify(Texts{texts[0]})[0][0].score);
}

TEST_F(EncoderTask, TheFolderSaysWhatScoresMean) {
  const GoldenFolder multi(golden_tasks(), "multi_label"), regression(golden_tasks(), "regression");
  expect_labels(rapt::text_classifier(multi)(golden_tasks().texts(5), {.top_k = {}}), expected_of("multi_label"),
                kNliLabels);
  expect_labels(rapt::text_classifier(regression)(golden_tasks().texts(5)), expected_of("regression"), {"score"});
}

TEST_F(EncoderTask, ClassifiesByLabelsOfTheCallAsTransformersDoes) {
  const GoldenFolder folder(golden_tasks(), "classes");
  const auto classify = rapt::zero_shot_classifier(folder);
  const json& expected = expected_of("zero_shot");
  const Texts labels = expected["labels"];
  expect_labels(classify(golden_tasks().texts(), labels), expected["one"], labels);
  expect_labels(classify(golden_tasks().texts(3), labels, {.hypothesis_template = "the {} sat", .multi_label = true}),
                expected["multi"], labels);
  EXPECT_TRUE(classify(Texts(), labels).empty());
  expect_message<ValueError>([&] { std::ignore = classify(Texts{"a"}, Texts()); }, "there must be a label");
  expect_message<ValueError>([&] { std::ignore = classify(Texts{"a"}, labels, {.hypothesis_template = "none"}); },
                             "hypothesis_template must have one {} for the label: none");
  expect_message<ValueError>([&] { std::ignore = classify(Texts{"a"}, Texts{std::string(200, '.')}); },
                             "truncation of the first text alone cannot make");
}

void expect_entities(const std::vector<std::vector<rapt::Entity>>& found, const json& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(found[i].size(), expected[i].size());
    for (std::size_t e = 0; e < found[i].size(); ++e) {
      const json& one = expected[i][e];
      EXPECT_EQ(found[i][e].label, one[0].get<std::string>()) << e;
      EXPECT_NEAR(found[i][e].score, one[1].get<double>(), kScoreTolerance) << e;
      EXPECT_EQ(found[i][e].span, (rapt::TextSpan{one[2], one[3]})) << e;
      if (one.size() > 4) {
        EXPECT_EQ(found[i][e].token, one[4].get<rapt::Index>()) << e;
      }
    }
  }
}

TEST_F(EncoderTask, FindsEntitiesAsTransformersDoes) {
  const GoldenFolder folder(golden_tasks(), "entities");
  const auto find = rapt::token_classifier(folder);
  const json& expected = expected_of("entities");
  const Texts texts = golden_tasks().texts(2), some = golden_tasks().texts(4);
  for (const auto& [name, strategy] : rapt::named_values(Aggregation())) {
    SCOPED_TRACE(name);
    expect_entities(find(strategy == Aggregation::none ? texts : some, {.aggregation_strategy = strategy}),
                    expected[std::string(name)]);
  }
  expect_entities(find(texts, {.aggregation_strategy = Aggregation::average, .stride = 8}), expected["stride"]);
  expect_entities(find(some, {.aggregation_strategy = Aggregation::simple, .ignore_labels = {"PER", "B-LOC"}}),
                  expected["all"]);
  EXPECT_TRUE(find(Texts()).empty());
  const Texts tail = {"in Z\xC3\xBCrich"};
  const auto pieces = find(tail, {.ignore_labels = {}});
  ASSERT_FALSE(pieces[0].empty());
  EXPECT_EQ(pieces[0][0].text_in(tail[0]), "i");
  EXPECT_EQ(pieces[0].back().span.end, tail[0].size());
  expect_message<ValueError>([&] { std::ignore = find(texts, {.stride = 8}); }, "need an aggregation_strategy");
  expect_message<ValueError>(
      [&] { std::ignore = find(texts, {.aggregation_strategy = Aggregation::max, .stride = 38}); },
      "which must be more than the 38 that windows have in common");
}

void expect_answers(const std::vector<std::vector<rapt::Answer>>& found, const json& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(found[i].size(), expected[i].size());
    for (std::size_t a = 0; a < found[i].size(); ++a) {
      EXPECT_NEAR(found[i][a].score, expected[i][a][0].get<double>(), kScoreTolerance) << a;
      EXPECT_EQ(found[i][a].span, (rapt::TextSpan{expected[i][a][1], expected[i][a][2]})) << a;
    }
  }
}

TEST_F(EncoderTask, AnswersQuestionsAsDocumented) {
  const GoldenFolder folder(golden_tasks(), "questions");
  const auto answer = rapt::question_answerer(folder);
  const json& expected = expected_of("questions");
  std::vector<rapt::Question> questions;
  for (const json& one : expected["questions"]) questions.push_back({.question = one[0], .context = one[1]});
  expect_answers(answer(questions), expected["default"]);
  expect_answers(answer(questions, {.top_k = 3, .max_answer_len = 4, .handle_impossible_answer = true}),
                 expected["three"]);
  questions.resize(expected["tokens"].size());
  expect_answers(answer(questions, {.top_k = 2, .max_seq_len = 30, .doc_stride = 5, .align_to_words = false}),
                 expected["tokens"]);
  EXPECT_TRUE(answer({}).empty());
  const std::vector<rapt::Question> empty = {questions[0], {.question = "what?", .context = " "}};
  expect_message<ValueError>([&] { std::ignore = answer(empty); }, "question 1: the context has no token");
  const std::vector<rapt::Question> long_question = {{.question = std::string(60, '?'), .context = "the cat"}};
  expect_message<ValueError>([&] { std::ignore = answer(long_question); }, "a window of 40 tokens has room for -23");
  const std::vector<rapt::Question> bad = {questions[0], {.question = "what?", .context = "a\xFF"}};
  expect_message<ValueError>([&] { std::ignore = answer(bad); }, Texts{"text 1:", "second text, byte 2 of 2"});

  const rapt::EncodedQuestions encoded = answer.encode(questions, {.max_seq_len = 30, .doc_stride = 5});
  for (int time = 0; time < 2; ++time) {
    expect_answers(answer.answer(encoded, {.top_k = 2, .align_to_words = false}), expected["tokens"]);
  }
  const Texts places = {"dev.jsonl:1", "dev.jsonl:7"}, place = {"dev.jsonl:3"};
  expect_message<ValueError>([&] { std::ignore = answer.encode(empty, {}, places); },
                             "dev.jsonl:7: the context has no token");
  expect_message<ValueError>([&] { std::ignore = answer.encode(long_question, {}, place); },
                             "[dev.jsonl:3] a window of 40 tokens has room for -23");
  expect_message<ValueError>([&] { std::ignore = answer.encode(empty, {}, place); }, "1 places for 2 questions");
}

/// Of entities of several windows that overlap, characters and not bytes tell which is longer. What transformers finds
/// in this text would be another if bytes were compared.
TEST_F(EncoderTask, OverlappingEntitiesAreComparedByCharacters) {
  const GoldenFolder folder(golden_tasks(), "entities");
  const Texts texts = {
      "我爱北 of cat a cat ж ж ж Привет 我 북 cat ж the 我 我 of the x ж a x 북 of cat Zürich the the the Привет dog "
      "the 我 "
      "Привет 북 我 x the dog 북 ж ж dog 북 Zürich"};
  const json expected = json::parse(
      R"([[["LOC", 0.509832, 0, 3], ["PER", 0.490132, 3, 16], ["LOC", 0.376604, 17, 18], ["PER", 0.386648, 19, 25],
           ["LOC", 0.41578, 26, 28], ["PER", 0.464078, 29, 44], ["LOC", 0.411038, 45, 56], ["PER", 0.459312, 57, 63],
           ["LOC", 0.417291, 64, 71], ["PER", 0.435946, 72, 73], ["LOC", 0.497781, 73, 80], ["PER", 0.665671, 81, 83],
           ["LOC", 0.381867, 84, 87], ["PER", 0.426471, 88, 93], ["PER", 0.517722, 99, 118], ["LOC", 0.444216, 119, 131],
           ["PER", 0.546935, 132, 139], ["LOC", 0.512705, 140, 143], ["PER", 0.508006, 144, 194],
           ["PER", 0.539094, 196, 200]]])");
  expect_entities(rapt::token_classifier(folder)(texts, {.aggregation_strategy = Aggregation::simple, .stride = 8}),
                  expected);
}

/// Words of an answer end where the tokens of the window end, too.
TEST_F(EncoderTask, AnswersOfTemplatesWithoutSpecialTokensStayInTheWindow) {
  const GoldenFolder folder(golden_tasks(), "questions");
  const json piece_a = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const json piece_b = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  const json context_first = {{"type", "TemplateProcessing"},
                              {"single", json::array({piece_a})},
                              {"pair", json::array({piece_b, piece_a})},
                              {"special_tokens", json::object()}};
  const std::vector<rapt::Question> questions = {{.question = "the cat", .context = "Z\xC3\xBCrich"}};
  for (const json& processor : {json(), context_first}) {
    SCOPED_TRACE(processor.dump());
    change_file(folder.path() / "tokenizer.json", [&](json& tokenizer) { tokenizer["post_processor"] = processor; });
    const auto found = rapt::question_answerer(folder)(questions, {.top_k = 3});
    ASSERT_EQ(found[0].size(), 1u);  // all pairs of tokens are in one word
    EXPECT_EQ(found[0][0].span, (rapt::TextSpan{0, questions[0].context.size()}));
  }
}

TEST_F(EncoderTask, AnswersMayBeAsManyAndAsLongAsNumbersAllow) {
  const GoldenFolder folder(golden_tasks(), "questions");
  const auto answer = rapt::question_answerer(folder);
  const std::vector<rapt::Question> questions = {{.question = "the cat", .context = golden_tasks().texts()[3]}};
  constexpr rapt::Index kMost = std::numeric_limits<rapt::Index>::max();
  for (const bool whole_words : {false, true}) {
    const auto all = answer(questions, {.top_k = kMost, .max_answer_len = kMost, .align_to_words = whole_words});
    const auto many = answer(questions, {.top_k = 5000, .max_answer_len = 50, .align_to_words = whole_words});
    EXPECT_GT(all[0].size(), 10u);
    ASSERT_EQ(all[0].size(), many[0].size());
    for (std::size_t i = 0; i < all[0].size(); ++i) EXPECT_EQ(all[0][i].span, many[0][i].span);
  }
  expect_message<ValueError>([&] { std::ignore = answer(questions, {.max_seq_len = 0}); },
                             "max_seq_len must be positive: 0");
}

TEST_F(EncoderTask, TextsAreCutOffOnTheSideThatTheFolderSays) {
  const GoldenFolder folder(golden_tasks(), "classes"), entities(golden_tasks(), "entities");
  const Texts longer = {times(60, "z ") + "i"}, its_end = {times(37, "z ") + "i"};  // 38 tokens and two special ones
  const auto scores = [&](const Texts& texts) {
    std::vector<double> found;
    const auto labels = rapt::text_classifier(folder)(texts, {.top_k = {}});
    for (const auto& label : labels[0]) found.push_back(label.score);
    return found;
  };
  const std::vector<double> of_beginning = scores(longer), of_end = scores(its_end);
  ASSERT_NE(of_beginning, of_end);
  const auto in_tokenizer = folder.path() / "tokenizer.json", in_config = folder.path() / "tokenizer_config.json";
  change_file(in_tokenizer, [](json& file) {
    file["truncation"] = {{"direction", "Left"}, {"max_length", 40}, {"strategy", "LongestFirst"}, {"stride", 0}};
  });
  EXPECT_EQ(scores(longer), of_end);
  change_file(in_config, [](json& file) { file["truncation_side"] = "right"; });
  EXPECT_EQ(scores(longer), of_beginning);
  change_file(in_tokenizer, [](json& file) { file["truncation"] = json(); });
  change_file(in_config, [](json& file) { file["truncation_side"] = "left"; });
  EXPECT_EQ(scores(longer), of_end);
  change_file(in_config, [](json& file) { file["truncation_side"] = "up"; });
  expect_message<IoError>([&] { std::ignore = scores(longer); },
                          "\"truncation_side\" must be \"left\" or \"right\": \"up\"");

  change_file(entities.path() / "tokenizer_config.json", [](json& file) { file["truncation_side"] = "left"; });
  const auto pieces = rapt::token_classifier(entities)(longer, {.ignore_labels = {}});
  ASSERT_EQ(pieces[0].size(), 38u);
  EXPECT_EQ(pieces[0].back().text_in(longer[0]), "i");
}

TEST(Windows, AreCutOnEitherSide) {
  rapt::Encoding whole;  // [CLS], nine tokens, [SEP]
  for (rapt::TokenId id = 0; id < 11; ++id) {
    const bool is_special = id == 0 || id == 10;
    whole.ids.push_back(id);
    whole.spans.emplace_back();
    whole.types.push_back(0);
    whole.texts.push_back(is_special ? -1 : 0);
    whole.words.push_back(is_special ? -1 : id);
  }
  const auto ids_of = [&](bool from_end) {
    std::vector<std::vector<rapt::TokenId>> ids;
    for (const auto& window :
         rapt::detail::windows_of(whole, 0, {.longest = 6, .overlap = 1, .from_end = from_end}, "test")) {
      EXPECT_EQ(window.skipped + 1, window.tokens.ids[1]);
      EXPECT_EQ(window.tokens.words.size(), window.tokens.ids.size());
      ids.push_back(window.tokens.ids);
    }
    return ids;
  };
  using Ids = std::vector<std::vector<rapt::TokenId>>;
  EXPECT_EQ(ids_of(false), (Ids{{0, 1, 2, 3, 4, 10}, {0, 4, 5, 6, 7, 10}, {0, 7, 8, 9, 10}}));
  EXPECT_EQ(ids_of(true), (Ids{{0, 1, 2, 3, 10}, {0, 3, 4, 5, 6, 10}, {0, 6, 7, 8, 9, 10}}));
}

void expect_fills(const std::vector<std::vector<std::vector<rapt::MaskFill>>>& found, const json& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(found[i].size(), expected[i].size());
    for (std::size_t mask = 0; mask < found[i].size(); ++mask) {
      ASSERT_EQ(found[i][mask].size(), expected[i][mask].size());
      for (std::size_t k = 0; k < found[i][mask].size(); ++k) {
        const json& one = expected[i][mask][k];
        EXPECT_EQ(found[i][mask][k].token, one[0].get<rapt::TokenId>());
        EXPECT_NEAR(found[i][mask][k].score, one[1].get<double>(), kScoreTolerance);
        EXPECT_EQ(found[i][mask][k].token_text, one[2].get<std::string>());
        EXPECT_EQ(found[i][mask][k].text, one[3].get<std::string>());
      }
    }
  }
}

TEST_F(EncoderTask, FillsMasksAsTransformersDoes) {
  const GoldenFolder folder(golden_tasks(), "fill");
  const auto fill = rapt::mask_filler(folder);
  const json& expected = expected_of("fill");
  const Texts texts = expected["texts"];
  expect_fills(fill(texts, {.top_k = 2}), expected["two"]);
  Texts some;
  for (std::size_t i = 0; i < texts.size(); i += 5) some.push_back(texts[i]);
  expect_fills(fill(some, {.targets = expected["targets"]}), expected["of_targets"]);
  EXPECT_EQ(fill.mask_text(), "[MASK]");
  EXPECT_TRUE(fill(Texts()).empty());
  expect_message<ValueError>([&] { std::ignore = fill(Texts{texts[0], "no mask"}); }, "text 1 has no [MASK] among its");
  expect_message<ValueError>([&] { std::ignore = fill(some, {.targets = {""}}); }, "the target \"\" has no token");
}

TEST_F(EncoderTask, RanksTextsByTheScoresOfTransformers) {
  const GoldenFolder folder(golden_tasks(), "rank");
  const auto rank = rapt::cross_encoder(folder);
  const Texts texts = golden_tasks().texts();
  const auto expected = expected_of("rank").get<std::vector<double>>();
  const auto all = rank.rank(texts[3], texts);
  ASSERT_EQ(all.size(), texts.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_NEAR(all[i].score, expected[all[i].index], kScoreTolerance);
    if (i > 0) {
      EXPECT_GE(all[i - 1].score, all[i].score);
    }
  }
  const auto best = rank.rank(texts[3], texts, {.top_k = 2});
  ASSERT_EQ(best.size(), 2u);
  EXPECT_EQ(best[1].index, all[1].index);
  EXPECT_TRUE(rank.rank("a", Texts()).empty());
  expect_message<ValueError>([&] { std::ignore = rank.score(texts, Texts{"a"}); }, "as many first as second texts");

  // A default prompt comes before the first text of each pair.
  const double prompted = rank.score(Texts{"the " + texts[3]}, Texts{texts[0]})[0];
  EXPECT_NE(prompted, rank.score(Texts{texts[3]}, Texts{texts[0]})[0]);
  const std::filesystem::path prompts = folder.path() / "config_sentence_transformers.json";
  std::ofstream(prompts) << R"({"prompts": {"query": "the "}, "default_prompt_name": "query"})";
  const auto with_prompt = rapt::cross_encoder(folder);
  EXPECT_EQ(with_prompt.score(Texts{texts[3]}, Texts{texts[0]})[0], prompted);
  EXPECT_EQ(with_prompt.rank(texts[3], Texts{texts[0]})[0].score, prompted);
  std::filesystem::remove(prompts);

  // sentence-transformers' folders name the function.
  json config = json::parse(std::ifstream(folder.path() / "config.json"));
  config["sentence_transformers"] = {{"activation_fn", "torch.nn.modules.linear.Identity"}};
  std::ofstream(folder.path() / "config.json") << config;
  const double logit = rapt::cross_encoder(folder).score(Texts{texts[3]}, Texts{texts[0]})[0];
  EXPECT_NEAR(1 / (1 + std::exp(-logit)), expected[0], kScoreTolerance);
  config["sentence_transformers"]["activation_fn"] = "torch.nn.modules.activation.Tanh";
  std::ofstream(folder.path() / "config.json") << config;
  expect_message<IoError>([&] { std::ignore = rapt::cross_encoder(folder); }, "must be Identity or Sigmoid");
}

/// A family without token types, whose tokenizer cuts bytes and has other marks.
TEST_F(EncoderTask, RobertaDoesTheSameTasks) {
  const json& expected = expected_of("roberta");
  const Texts texts = expected["texts"], labels = expected["labels"];
  const Texts first(texts.begin(), texts.end() - 1), second(texts.begin() + 1, texts.end());
  const GoldenFolder classes(golden_tasks(), "roberta_SequenceClassification");
  expect_labels(rapt::text_classifier(classes)(first, second, {.top_k = {}}), expected["pairs"], labels);

  const GoldenFolder entities(golden_tasks(), "roberta_TokenClassification");
  const auto find = rapt::token_classifier(entities);
  const auto every = [&](std::size_t n) {
    Texts some;
    for (std::size_t i = 0; i < texts.size(); i += n) some.push_back(texts[i]);
    return some;
  };
  for (const auto& [name, strategy] : rapt::named_values(Aggregation())) {
    SCOPED_TRACE(name);
    expect_entities(find(every(strategy == Aggregation::none ? 4 : 8), {.aggregation_strategy = strategy}),
                    expected["entities"][std::string(name)]);
  }
  expect_entities(find(every(4), {.aggregation_strategy = Aggregation::average, .stride = 8}),
                  expected["entities"]["stride"]);

  const GoldenFolder asked(golden_tasks(), "roberta_QuestionAnswering");
  std::vector<rapt::Question> questions;
  for (const json& one : expected["questions"]) questions.push_back({.question = one[0], .context = one[1]});
  expect_answers(rapt::question_answerer(asked)(questions, {.top_k = 2}), expected["answers"]);

  const GoldenFolder masked(golden_tasks(), "roberta_MaskedLM");
  expect_fills(rapt::mask_filler(masked)(expected["masked"].get<Texts>(), {.top_k = 2}), expected["fills"]);
}

/// The pairs of the tokenizer have types, which these models do not tell.
TEST_F(EncoderTask, DistilBertAndModernBertClassifyPairs) {
  const Texts texts = expected_of("roberta")["texts"], labels = {"a", "b", "c"};
  const Texts first(texts.begin(), texts.end() - 1), second(texts.begin() + 1, texts.end());
  for (const char* name : {"distilbert", "modernbert"}) {
    SCOPED_TRACE(name);
    const GoldenFolder folder(golden_tasks(), name);
    expect_labels(rapt::text_classifier(folder)(first, second, {.top_k = {}}), expected_of(name), labels);
    change_file(folder.path() / "tokenizer_config.json", [](json& file) { file.erase("model_input_names"); });
    expect_labels(rapt::text_classifier(folder)(first, second, {.top_k = {}}), expected_of(name), labels);
  }
}

TEST_F(EncoderTask, FoldersOfOtherTasksAreRefused) {
  const GoldenFolder classes(golden_tasks(), "classes"), entities(golden_tasks(), "entities");
  expect_message<IoError>(
      [&] { std::ignore = rapt::text_classifier(entities); },
      Texts{"BertForTokenClassification has no head for this task", "...ForSequenceClassification"});
  expect_message<IoError>([&] { std::ignore = rapt::token_classifier(classes); },
                          Texts{"BertForSequenceClassification has no head", "...ForTokenClassification"});
  expect_message<IoError>([&] { std::ignore = rapt::question_answerer(classes); }, "...ForQuestionAnswering");
  expect_message<IoError>([&] { std::ignore = rapt::mask_filler(classes); }, "...ForMaskedLM");
  expect_message<IoError>([&] { std::ignore = rapt::cross_encoder(classes); }, "has one label, this one has 3");
  change_file(classes.path() / "tokenizer_config.json", [](json& file) { file["model_max_length"] = 0.5; });
  expect_message<IoError>([&] { std::ignore = rapt::text_classifier(classes); },
                          "\"model_max_length\" must be a number of at least 1: \"0.5\"");
  const GoldenFolder rank(golden_tasks(), "rank");
  expect_message<IoError>([&] { std::ignore = rapt::zero_shot_classifier(rank); },
                          "has a label \"entailment\" among others, this one has LABEL_0");
  std::ofstream(rank.path() / "config.json") << R"({"model_type": "gpt2"})";
  expect_message<IoError>([&] { std::ignore = rapt::text_classifier(rank); },
                          Texts{"the model is of type \"gpt2\"", "bert"});
  expect_message<IoError>([&] { std::ignore = rapt::text_classifier("/nowhere"); }, "there is no such folder");
}

TEST_F(EncoderTask, TextsThatAreNotUtf8AreNamed) {
  const GoldenFolder classes(golden_tasks(), "classes"), entities(golden_tasks(), "entities");
  const Texts texts = {"fine", "b\xFF"};
  expect_message<ValueError>([&] { std::ignore = rapt::text_classifier(classes)(texts); }, "text 1, byte 2 of 2");
  expect_message<ValueError>([&] { std::ignore = rapt::token_classifier(entities)(texts); },
                             Texts{"text 1:", "byte 2 of 2"});
}

TEST_F(EncoderTask, ManyThreadsShareOne) {
  const GoldenFolder folder(golden_tasks(), "classes");
  const auto classify = rapt::text_classifier(folder);
  const Texts texts = golden_tasks().texts();
  std::vector<std::vector<std::vector<rapt::LabelScore>>> found(3);
  std::vector<std::thread> threads;
  for (auto& one : found) threads.emplace_back([&] { one = classify(texts, {.top_k = {}}); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& one : found) expect_labels(one, expected_of("classify"), kNliLabels);
}

}  // namespace
