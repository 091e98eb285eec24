/// \file
/// ROUGE, answers and entities against the Python packages (tests/golden/make_text_scores.py).
// covers: text/rouge.hpp, text/answer_scores.hpp, text/entity_scores.hpp
#include "rapt/text/rouge.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rapt/text/answer_scores.hpp"
#include "rapt/text/entity_scores.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using Sentences = std::vector<std::vector<std::string>>;

const nlohmann::json& golden_text_scores() {
  static const auto golden = nlohmann::json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/text_scores.json"));
  return golden;
}

void expect_rouge(const rapt::RougeScore& score, const nlohmann::json& golden) {
  EXPECT_NEAR(score.precision, golden[0].get<double>(), 1e-15);
  EXPECT_NEAR(score.recall, golden[1].get<double>(), 1e-15);
  EXPECT_NEAR(score.f, golden[2].get<double>(), 1e-15);
}

TEST(RougeScores, AgreeWithRougeScore) {
  const auto& cases = golden_text_scores().at("rouge");
  ASSERT_EQ(cases.size(), 36u);
  std::vector<std::string> hypotheses, references;
  double sum = 0;
  for (const auto& c : cases) {
    hypotheses.push_back(c.at("hypothesis"));
    references.push_back(c.at("reference"));
    SCOPED_TRACE(hypotheses.back() + " | " + references.back());
    const rapt::Rouge found = rapt::rouge(std::string_view(hypotheses.back()), std::string_view(references.back()));
    expect_rouge(found.rouge1, c.at("rouge1"));
    expect_rouge(found.rouge2, c.at("rouge2"));
    expect_rouge(found.rouge_l, c.at("rougeL"));
    sum += c.at("rougeL")[2].get<double>();
  }
  EXPECT_NEAR(rapt::rouge(hypotheses, references).rouge_l.f, sum / 36, 1e-14);
  references.pop_back();
  rapt_test::expect_message<rapt::ValueError>([&] { (void)rapt::rouge(hypotheses, references); },
                                              "hypotheses = 36, references = 35");
}

TEST(AnswerScores, AgreeWithSquad) {
  const auto& cases = golden_text_scores().at("answers");
  ASSERT_EQ(cases.size(), 41u);
  for (const auto& c : cases) {
    const auto answer = c.at("answer").get<std::string>();
    const auto right = c.at("right").get<std::vector<std::string>>();
    SCOPED_TRACE(c.dump());
    const rapt::AnswerScores found = rapt::answer_scores(answer, right);
    EXPECT_EQ(found.exact_match, c.at("exact_match").get<double>());
    EXPECT_NEAR(found.f1, c.at("f1").get<double>(), 1e-6);  // which is computed in float32
  }
  rapt_test::expect_message<rapt::ValueError>([] { (void)rapt::answer_scores("x", std::vector<std::string>()); },
                                              "there are 0");
}

TEST(EntityScores, AgreeWithSeqeval) {
  const auto& cases = golden_text_scores().at("entities");
  ASSERT_EQ(cases.size(), 16u);
  for (const auto& c : cases) {
    SCOPED_TRACE(c.dump());
    const auto wanted = c.at("wanted").get<Sentences>(), predicted = c.at("predicted").get<Sentences>();
    const std::vector<rapt::LabelledEntity> entities = rapt::entities_of(wanted[0]);
    ASSERT_EQ(entities.size(), c.at("entities").size());
    for (std::size_t i = 0; i < entities.size(); ++i) {
      EXPECT_EQ(entities[i].type, c.at("entities")[i][0]);
      EXPECT_EQ(std::to_string(entities[i].first), c.at("entities")[i][1]);
      EXPECT_EQ(std::to_string(entities[i].last), c.at("entities")[i][2]);
    }
    const rapt::EntityScores scores(predicted, wanted);
    const rapt::LabelCounts total = scores.total();
    EXPECT_NEAR(total.precision(), c.at("micro")[0].get<double>(), 1e-15);
    EXPECT_NEAR(total.recall(), c.at("micro")[1].get<double>(), 1e-15);
    EXPECT_NEAR(total.f1(), c.at("micro")[2].get<double>(), 1e-15);
    ASSERT_EQ(scores.types().size(), c.at("f1").size());
    for (const auto& [type, counts] : scores.types()) {
      EXPECT_NEAR(counts.f1(), c.at("f1").at(type).get<double>(), 1e-15) << type;
    }
  }
}

TEST(EntityScores, WhatCannotBeComparedIsRefused) {
  const Sentences one = {{"O"}}, two = {{"O"}, {"O"}}, longer = {{"O", "O"}};
  const auto compare = [](const Sentences& a, const Sentences& b) { return [&] { rapt::EntityScores(a, b); }; };
  rapt_test::expect_message<rapt::ShapeError>(compare(one, two), "1 predicted sentences for 2");
  rapt_test::expect_message<rapt::ShapeError>(compare(one, longer), "sentence 0 has 1 predicted labels for 2");
  rapt_test::expect_message<rapt::ValueError>(compare({}, {}), "no sentences");
}

}  // namespace
