// Writes the best translations of a sentence as JSON, with their scores and with the words that the model looked at.
// needs: phrase_book
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <rapt/generation/alignment.hpp>
#include <rapt/pipelines/tokenizer.hpp>
#include <rapt/pretrained/marian.hpp>
#include <rapt/rapt.hpp>

using Json = nlohmann::ordered_json;

int main() {
  const auto model = rapt::from_pretrained<rapt::Marian<float>>("phrase-book");
  const auto tokenizer = rapt::AnyTokenizer::load("phrase-book");
  const std::string line = "I draw the old horse tomorrow.";
  rapt::TokenBatch source;
  source.push_back(tokenizer.encode(line));
  const auto words_of = [&](std::span<const rapt::TokenId> tokens) {
    std::vector<std::string> words;
    for (const rapt::TokenId token : tokens) words.push_back(tokenizer.token(token));
    return words;
  };
  const auto found = rapt::beam_search_n_best(model, source, 3, {.beam_size = 4}).front();

  Json json = {{"source", words_of(source.sequence(0))}, {"translations", Json::array()}};
  for (const rapt::Hypothesis& hypothesis : found) {
    const auto weights = rapt::alignments(model, source, std::vector{hypothesis}).front();  // [tokens, source tokens]
    Json rows = Json::array();
    for (rapt::Index t = 0; t < weights.rows(); ++t) {
      rows.push_back(std::vector<float>(weights.row(t), weights.row(t) + weights.cols()));
    }
    json["translations"].push_back({{"text", tokenizer.decode(hypothesis.tokens)},
                                    {"probability", std::exp(hypothesis.log_probability)},
                                    {"score", hypothesis.score},
                                    {"tokens", words_of(hypothesis.tokens)},
                                    {"token_log_probabilities", hypothesis.token_log_probabilities},
                                    {"alignment", std::move(rows)}});
  }
  std::ofstream("translations.json") << json.dump(1) << "\n";

  const Json& best = json["translations"][0];
  std::printf("%s\n%s\n", line.c_str(), best["text"].get<std::string>().c_str());
  std::printf("more probable than 0.9: %s, a better score than the second: %s\n",
              best["probability"].get<double>() > 0.9 ? "yes" : "no",
              best["score"].get<double>() > json["translations"][1]["score"].get<double>() ? "yes" : "no");
  std::printf("the alignment has %zu rows of %zu numbers\n", best["alignment"].size(), best["alignment"][0].size());
}
