/// \file
/// generation_config.json: searches with it against generate of transformers, and what is refused.
// covers: pretrained/generation_defaults.hpp, generation/generation_defaults.hpp, generation/generation_rules.hpp
#include "rapt/pretrained/generation_defaults.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rapt/generation/generation_defaults.hpp"
#include "rapt/generation/generation_rules.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "rapt/pretrained/llama.hpp"
#include "rapt/pretrained/marian.hpp"
#include "rapt/pretrained/t5.hpp"

#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::GenerationDefaults;
using rapt::Index;
using rapt::StopCriterion;
using rapt::TokenBatch;
using rapt::TokenId;

nlohmann::json generate_golden() {
  return nlohmann::json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/generate.json"));
}

/// Searches with the model of a golden case, and the generation_config.json of each search with it.
template <class M>
void expect_generated(const std::string& file, const std::string& name, const nlohmann::json& searches) {
  const rapt_test::PretrainedCase golden(file, name);
  const auto write = [&](const nlohmann::json& generation) {
    std::ofstream(golden.folder.path() / "generation_config.json") << generation;
  };
  write(searches.front()["generation"]);
  const auto model = rapt::from_pretrained<M>(golden.folder.path());
  for (const nlohmann::json& searched : searches) {
    SCOPED_TRACE(file + " " + name + " " + searched["generation"].dump());
    write(searched["generation"]);
    const GenerationDefaults defaults = rapt::generation_defaults(golden.folder.path());
    TokenBatch sources;
    for (const auto& source : searched["sources"]) sources.push_back(source.get<std::vector<TokenId>>());
    rapt::SequenceMarks marks = model.sequence_marks();
    marks.forced_begin.reset();  // of the first search
    marks.suppressed.clear();
    const auto found = rapt::generate(model, sources, defaults, {.marks = marks});
    for (std::size_t i = 0; i < found.size(); ++i) {
      SCOPED_TRACE("source " + std::to_string(i));
      const nlohmann::json& expected = searched["found"][i];
      ASSERT_EQ(found[i].size(), expected.size());
      for (std::size_t n = 0; n < expected.size(); ++n) {
        const rapt::Hypothesis& h = found[i][n];
        EXPECT_EQ(h.tokens, expected[n][0].get<std::vector<TokenId>>()) << n;
        if (!expected[n][1].is_null()) {
          const double score = expected[n][1].get<double>();
          EXPECT_NEAR(h.score, score, 1e-5 * (1 + std::abs(score))) << n;
        }
      }
    }
  }
}

TEST(GenerationDefaults, SearchesFindWhatTransformersFinds) {
  const rapt_test::HighestPrecision scope;
  const nlohmann::json golden = generate_golden();
  std::map<std::pair<std::string, std::string>, nlohmann::json> of_model;
  for (const nlohmann::json& searched : golden["searches"]) {
    of_model[{searched["file"], searched["case"]}].push_back(searched);
  }
  EXPECT_EQ(of_model.size(), 6u);
  for (const auto& [model, searches] : of_model) {
    const auto& [file, name] = model;
    if (file == "marian") expect_generated<rapt::Marian<double>>(file, name, searches);
    if (file == "t5") expect_generated<rapt::T5<double>>(file, name, searches);
    if (file == "gpt") expect_generated<rapt::Gpt<double>>(file, name, searches);
    if (file == "llama") expect_generated<rapt::Llama<double>>(file, name, searches);
  }
}

// A folder's own marks, those that its generation_config.json names, lead to the same.
TEST(GenerationDefaults, MarksOfTheFolderAndOptionsAgree) {
  const rapt_test::PretrainedCase golden("marian", "shared");
  const nlohmann::json generation = {
      {"eos_token_id", 0},        {"pad_token_id", 28},        {"decoder_start_token_id", 28},
      {"forced_bos_token_id", 7}, {"suppress_tokens", {9, 4}}, {"num_beams", 3}};
  const auto found_with = [&](const rapt::SearchRequest& request, bool in_folder) {
    nlohmann::json config = generation;
    if (!in_folder) config.erase("forced_bos_token_id"), config.erase("suppress_tokens");
    std::ofstream(golden.folder.path() / "generation_config.json") << config;
    const auto model = rapt::from_pretrained<rapt::Marian<double>>(golden.folder.path());
    std::ofstream(golden.folder.path() / "generation_config.json") << generation;
    return rapt::generate(model, TokenBatch({{3, 4, 5}}), rapt::generation_defaults(golden.folder.path()),
                          request)[0][0];
  };
  const rapt::Hypothesis by_both = found_with({}, true), by_options = found_with({}, false);
  EXPECT_EQ(by_both.tokens.front(), 7);
  EXPECT_EQ(by_both.tokens, by_options.tokens);
  EXPECT_EQ(by_both.score, by_options.score);
}

TEST(GenerationDefaults, TokensAreDrawnFromTransformersDistributions) {
  const nlohmann::json golden = generate_golden();
  for (const nlohmann::json& warped : golden["warpers"]) {
    SCOPED_TRACE(warped["generation"].dump());
    const rapt::SamplingOptions options =
        rapt::detail::generation_defaults_from_json(warped["generation"], "golden").sampling;
    const auto logits = warped["logits"].get<std::vector<double>>();
    std::vector<double> probabilities(logits.size());
    for (const auto& [token, probability] :
         rapt::detail::TokenSampler<double>(options, std::span(logits)).distribution()) {
      probabilities[static_cast<std::size_t>(token)] = probability;
    }
    for (std::size_t j = 0; j < logits.size(); ++j) {
      EXPECT_NEAR(probabilities[j], warped["probabilities"][j].get<double>(), 1e-7) << j;
    }
  }
}

TEST(GenerationDefaults, KeysAndTheirDefaults) {
  const auto read = [](const nlohmann::json& json) {
    return rapt::detail::generation_defaults_from_json(json, "file");
  };
  const GenerationDefaults none = read(nlohmann::json::object());
  EXPECT_FALSE(none.samples);
  EXPECT_EQ(none.beam.beam_size, 1);
  EXPECT_EQ(none.beam.length_penalty, 1.f);
  EXPECT_EQ(none.beam.stop, StopCriterion::nothing_better_now);
  EXPECT_EQ(none.beam.generation.max_length, 20);
  EXPECT_EQ(none.sampling.top_k, 50);
  const GenerationDefaults some = read({{"do_sample", true},
                                        {"num_return_sequences", 3},
                                        {"early_stopping", "never"},
                                        {"max_length", 9},
                                        {"min_length", 4},
                                        {"top_k", 7},
                                        {"min_p", 0.25},
                                        {"eos_token_id", {2, 5}},
                                        {"bad_words_ids", {{2}, {3}, {5, 2}}},
                                        {"suppress_tokens", {8}},
                                        {"forced_bos_token_id", nullptr},
                                        {"exponential_decay_length_penalty", {6, 1.5}}});
  EXPECT_TRUE(some.samples);
  EXPECT_EQ(some.results, 3);
  EXPECT_EQ(some.beam.stop, StopCriterion::nothing_better);
  EXPECT_EQ(some.sampling.generation.max_total_length, 9);
  EXPECT_EQ(some.sampling.generation.min_total_length, 4);
  EXPECT_EQ(some.sampling.top_k, 7);
  EXPECT_EQ(some.sampling.min_p, 0.25f);
  EXPECT_EQ(some.sampling.generation.bad_words, (std::vector<std::vector<TokenId>>{{3}, {5, 2}, {8}}));
  EXPECT_EQ(some.sampling.generation.exponential_decay.start, 6);
  EXPECT_EQ(some.sampling.generation.exponential_decay.factor, 1.5f);
  EXPECT_FALSE(some.sampling.generation.forced_begin.has_value());
}

TEST(GenerationDefaults, WhatRaptCannotDoIsRefused) {
  const auto error = [](const nlohmann::json& json) {
    return rapt_test::error_text<rapt::IoError>(
        [&] { std::ignore = rapt::detail::generation_defaults_from_json(json, "file"); });
  };
  EXPECT_EQ(error({{"num_beam_groups", 2}}),
            "[pretrained] file: \"num_beam_groups\" is \"2\", and rapt has no diverse beam search");
  for (const nlohmann::json& json : std::vector<nlohmann::json>{{{"penalty_alpha", 0.6}},
                                                                {{"diversity_penalty", 0.5}},
                                                                {{"guidance_scale", 1.5}},
                                                                {{"dola_layers", "high"}},
                                                                {{"force_words_ids", {{1}}}},
                                                                {{"sequence_bias", {{{1}, 2.0}}}},
                                                                {{"stop_strings", "."}},
                                                                {{"num_beams", 2}, {"do_sample", true}},
                                                                {{"num_beams", "two"}},
                                                                {{"early_stopping", "always"}},
                                                                {{"max_length", -1}},
                                                                {{"bad_words_ids", 1.5}},
                                                                {{"exponential_decay_length_penalty", {1}}}}) {
    EXPECT_NE(error(json).find("[pretrained] file: \""), std::string::npos) << json;
  }
  // The values that change nothing are no errors.
  std::ignore = rapt::detail::generation_defaults_from_json(
      {{"num_beam_groups", 1}, {"penalty_alpha", nullptr}, {"dola_layers", nullptr}, {"use_cache", true}}, "file");
}

TEST(GenerationDefaults, ModelsHaveDefaultsWhereConfigJsonStandsForThem) {
  using Ends = std::vector<TokenId>;
  const rapt_test::TemporaryFolder folder;
  const auto read = [&](const nlohmann::json& config) {
    std::ofstream(folder.path() / "config.json") << config;
    return rapt::generation_defaults(folder.path()).beam.generation.forced_ends;
  };
  EXPECT_EQ(read({{"model_type", "bart"}}), Ends{2});
  EXPECT_EQ(read({{"model_type", "mbart"}}), Ends{2});
  EXPECT_EQ(read({{"model_type", "pegasus"}}), Ends{1});
  EXPECT_EQ(read({{"model_type", "marian"}}), Ends{0});
  EXPECT_EQ(read({{"model_type", "m2m_100"}}), Ends());
  EXPECT_EQ(read({{"model_type", "bart"}, {"forced_eos_token_id", nullptr}}), Ends());
  EXPECT_EQ(read({{"model_type", "bart"}, {"forced_eos_token_id", 7}}), Ends{7});
  std::ofstream(folder.path() / "generation_config.json") << "{}";
  EXPECT_EQ(read({{"model_type", "bart"}}), Ends());
}

TEST(GenerationDefaults, GreedySearchFindsOneHypothesis) {
  const rapt_test::PretrainedCase golden("marian", "shared");
  const auto model = rapt::from_pretrained<rapt::Marian<float>>(golden.folder.path());
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] {
              std::ignore =
                  rapt::generate(model, TokenBatch({{3}}), GenerationDefaults{.beam = {.beam_size = 1}, .results = 2});
            }),
            "[generate] greedy search finds one hypothesis of a source, not 2");
}

}  // namespace
