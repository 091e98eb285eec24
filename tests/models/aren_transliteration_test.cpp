/// \file
/// Weights that others trained, with log-probabilities that others published: Arabic names to Latin letters, the test
/// model of OpenNMT/CTranslate2 (6 + 6 layers, d 32). Where the folder is absent, the tests are skipped.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/text/unicode.hpp"

#include "tests/common/allowed.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::Index;
using rapt::TokenId;

/// "encoder.layers.2.linear1.weight" as this file calls it: "encoder/layer_2/ffn/linear_0/weight".
std::string stored_name(std::string name) {
  static const std::vector<std::pair<std::string, std::string>> kDecoder = {{"norm2.", "attention/layer_norm/"},
                                                                            {"norm3.", "ffn/layer_norm/"}};
  static const std::vector<std::pair<std::string, std::string>> kBoth = {
      {"source_embedding.", "encoder/embeddings/"},
      {"target_embedding.", "decoder/embeddings/"},
      {"output.", "decoder/projection/"},
      {"self_attn.in_proj_", "self_attention/linear_0/"},  // rows of queries, keys and values, as torch has them
      {"self_attn.out_proj.", "self_attention/linear_1/"},
      {"multihead_attn.out_proj.", "attention/linear_2/"},
      {"linear1.", "ffn/linear_0/"},
      {"linear2.", "ffn/linear_1/"},
      {"norm1.", "self_attention/layer_norm/"},
      {"norm2.", "ffn/layer_norm/"},
      {".norm.", "/layer_norm/"},
      {".layers.", "/layer_"}};
  const auto apply = [&](const auto& table) {
    for (const auto& [ours, theirs] : table) {
      if (const auto at = name.find(ours); at != std::string::npos) name.replace(at, ours.size(), theirs);
    }
  };
  if (name.starts_with("decoder.")) apply(kDecoder);
  apply(kBoth);
  if (name.find("layer_norm/") != std::string::npos) {
    if (name.ends_with("weight")) name.replace(name.size() - 6, 6, "gamma");
    if (name.ends_with("bias")) name.replace(name.size() - 4, 4, "beta");
  }
  for (char& c : name) c = c == '.' ? '/' : c;
  return name;
}

class ArenTransliteration : public testing::Test {
 protected:
  struct Case {
    std::vector<TokenId> source, target;
    std::vector<double> log_probabilities;  // of target and end symbol
  };

  void SetUp() override {
    folder_ = fs::path(RAPT_DATA_DIR) / "weights" / "aren-transliteration";
    if (!fs::exists(folder_)) GTEST_SKIP() << "no real weights: " << folder_ << " is absent (set RAPT_DATA_DIR)";
    const auto source = vocabulary("source_vocabulary.txt"), target = vocabulary("target_vocabulary.txt");
    std::ifstream stream(folder_ / "expected.json");
    const auto expected = nlohmann::json::parse(stream);
    for (const auto& entry : expected.at("cases")) {
      cases_.push_back({ids(source, entry.at("source")), ids(target, entry.at("target")),
                        entry.at("log_probabilities").get<std::vector<double>>()});
    }
    ASSERT_EQ(cases_.size(), 4u);
  }

  [[nodiscard]] std::map<std::string, TokenId> vocabulary(const std::string& file) const {
    std::map<std::string, TokenId> ids;
    std::ifstream stream(folder_ / file);
    for (std::string line; std::getline(stream, line);) ids.emplace(line, static_cast<TokenId>(ids.size()));
    return ids;
  }
  [[nodiscard]] static std::vector<TokenId> ids(const std::map<std::string, TokenId>& vocabulary,
                                                const std::string& word) {
    std::vector<TokenId> ids;
    for (std::size_t i = 0; i < word.size(); i += rapt::code_point_at(word, i).length) {
      ids.push_back(vocabulary.at(word.substr(i, rapt::code_point_at(word, i).length)));
    }
    return ids;
  }

  template <class T>
  [[nodiscard]] rapt::Transformer<T> model() const {
    rapt::Rng rng(1);
    rapt::Transformer<T> model({.source_vocabulary = 51,
                                .target_vocabulary = 43,
                                .d_model = 32,
                                .heads = 8,
                                .d_ff = 128,
                                .encoder_layers = 6,
                                .decoder_layers = 6,
                                .activation = rapt::Activation::relu,
                                .norm = rapt::NormPlacement::pre,
                                .tie_embeddings = false,
                                .output_bias = true,
                                .positions = {.layout = rapt::SinusoidLayout::concatenated, .first_position = 1}},
                               rng);
    const rapt::SafetensorsFile file(folder_ / "model.safetensors");
    std::size_t used = 0;
    rapt::for_each_parameter(model, [&](const std::string& name, auto& parameter) {
      const auto cross = name.find("multihead_attn.in_proj_");
      if (cross == std::string::npos) {
        file.read_into(stored_name(name), parameter.mutable_value());
        ++used;
        return;
      }
      // Here the queries' rows are a tensor of their own, and those of keys and values another.
      const std::string layer = stored_name(name.substr(0, cross)) + "attention/";
      const std::string kind = name.substr(name.rfind('_') + 1);  // weight or bias
      const auto queries = file.read<T>(layer + "linear_0/" + kind);
      const auto keys_values = file.read<T>(layer + "linear_1/" + kind);
      auto& value = parameter.mutable_value();
      ASSERT_EQ(queries.size() + keys_values.size(), value.size()) << name;
      std::copy_n(queries.data(), queries.size(), value.data());
      std::copy_n(keys_values.data(), keys_values.size(), value.data() + queries.size());
      used += 2;
    });
    EXPECT_EQ(used, file.names().size());  // each tensor of the file once
    return model;
  }

  [[nodiscard]] rapt::TokenBatch sources() const {
    rapt::TokenBatch batch;  // the source gets no symbols around it
    for (const Case& c : cases_) batch.push_back(c.source);
    return batch;
  }

  /// Largest deviation from what was published.
  template <class T>
  [[nodiscard]] double scoring_error(const rapt::Transformer<T>& model) const {
    rapt::TokenBatch inputs;
    for (const Case& c : cases_) {
      std::vector<TokenId> input = {1};
      input.insert(input.end(), c.target.begin(), c.target.end());
      inputs.push_back(input);
    }
    const auto logits = model(sources(), inputs);
    double error = 0;
    Index row = 0;
    for (const Case& c : cases_) {
      for (std::size_t i = 0; i < c.log_probabilities.size(); ++i, ++row) {
        const std::span<const T> scores(logits.value().row(row), static_cast<std::size_t>(logits.value().cols()));
        double sum = 0;
        for (const T z : scores) sum += std::exp(static_cast<double>(z));
        const auto token = static_cast<std::size_t>(i < c.target.size() ? c.target[i] : 2);
        const double ours = static_cast<double>(scores[token]) - std::log(sum);
        error = std::max(error, std::abs(ours - c.log_probabilities[i]));
      }
    }
    EXPECT_EQ(row, 29);
    return error;
  }

  template <class T>
  void expect_targets(const rapt::Transformer<T>& model) const {
    const auto greedy = rapt::greedy_search(model, sources());
    const auto beam1 = rapt::beam_search(model, sources(), {.beam_size = 1, .length_penalty = 0});
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      double sum = 0;
      for (const double p : cases_[i].log_probabilities) sum += p;
      for (const auto& found : {greedy[i], beam1[i]}) {
        EXPECT_EQ(found.tokens, cases_[i].target) << i;
        EXPECT_TRUE(found.finished) << i;
        EXPECT_NEAR(found.log_probability, sum, rapt_test::allowed<T>(1e-4)) << i;
      }
    }
  }

  fs::path folder_;
  std::vector<Case> cases_;
};

// The published figures are rounded to six decimals.
TEST_F(ArenTransliteration, PublishedLogProbabilities) {
  const double single = scoring_error(model<float>()), twice = scoring_error(model<double>());
  RecordProperty("largest_error_float", std::to_string(single));
  RecordProperty("largest_error_double", std::to_string(twice));
  std::printf("largest deviation from the 29 published log-probabilities: float %.2e, double %.2e\n", single, twice);
  EXPECT_LE(single, rapt_test::allowed<float>(1e-4));
  EXPECT_LE(twice, 1e-4);
}

TEST_F(ArenTransliteration, GreedyAndBeamOneWriteTheExpectedNames) {
  expect_targets(model<float>());
  expect_targets(model<double>());
}

TEST_F(ArenTransliteration, SurvivesOurOwnFile) {
  const fs::path path = fs::temp_directory_path() / ("rapt_aren_" + std::to_string(::getpid()));
  rapt::save_model(path, model<float>());
  const auto loaded = rapt::load_model<rapt::Transformer<float>>(path);
  fs::remove(path);
  EXPECT_EQ(scoring_error(loaded), scoring_error(model<float>()));
  expect_targets(loaded);
}

}  // namespace
