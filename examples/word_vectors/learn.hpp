// What `word_vectors` learns when it is given no model: vectors from sentences made up as it goes.
#pragma once

#include <cstdio>
#include <map>
#include <rapt/rapt.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace word_vectors {

using rapt::Index;

struct WordVectors {
  std::vector<std::string> tokens;
  rapt::Tensor<float> vectors;  // [V, D]
};

// A sentence in which who is royal, a child or a woman, and what is a city or French, shows in the words around.
inline std::string sentence(rapt::Rng& rng) {
  using Rows = std::vector<std::vector<std::string>>;
  static const Rows people = {{"king", "queen", "crown", "throne"}, {"prince", "princess", "crown", "pony"},
                              {"man", "woman", "car", "office"},    {"boy", "girl", "school", "pony"},
                              {"father", "mother", "car", "child"}, {"actor", "actress", "stage", "film"}};
  static const Rows lands = {{"paris", "france", "french"},
                             {"berlin", "germany", "german"},
                             {"rome", "italy", "italian"},
                             {"athens", "greece", "greek"}};
  const auto draw = [&](const Rows& rows) { return rows[static_cast<std::size_t>(rng.below(std::ssize(rows)))]; };
  const auto who = draw(people), land = draw(lands);
  const bool she = rng.below(2) == 1;
  const std::string thing = who[static_cast<std::size_t>(2 + rng.below(2))];
  switch (rng.below(6)) {
    case 0:
      return (she ? "she is a " : "he is a ") + who[she] + " and has a " + thing;
    case 1:
      return "the " + who[she] + " likes " + (she ? "her " : "his ") + thing;
    case 2:
      return "the streets of " + land[0] + " are full of " + land[2] + " shops";
    case 3:
      return "the mayor of " + land[0] + " speaks " + land[2];
    case 4:
      return "the farmers of " + land[1] + " grow " + land[2] + " wheat";
    default:
      return "the army of " + land[1] + " guards the " + land[2] + " border";
  }
}

// Skip-gram (Mikolov et al. 2013): from a word's vector, a linear layer tells the other words of the sentence.
struct SkipGram {
  rapt::Embedding<float> words;
  rapt::Linear<float> others;
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("words", self.words);
    visitor("others", self.others);
  }
};

inline WordVectors learn() {
  constexpr Index kMost = 100, kDimensions = 24;
  rapt::Rng rng(1);
  std::map<std::string, rapt::TokenId> ids;
  SkipGram model{{kMost, kDimensions, rng}, {kDimensions, kMost, rng}};
  rapt::Adam adam(model);
  for (int step = 1; step <= 1000; ++step) {
    std::vector<rapt::TokenId> centers, others;
    for (int i = 0; i < 30; ++i) {
      std::vector<rapt::TokenId> words;
      std::istringstream text(sentence(rng));
      for (std::string word; text >> word;) {
        words.push_back(ids.emplace(word, static_cast<rapt::TokenId>(ids.size())).first->second);
      }
      for (std::size_t a = 0; a < words.size(); ++a) {
        for (std::size_t b = 0; b < words.size(); ++b) {
          if (a == b) continue;
          centers.push_back(words[a]);
          others.push_back(words[b]);
        }
      }
    }
    const rapt::Training training(rng);
    const auto loss = rapt::cross_entropy(model.others(model.words(centers)), others);
    rapt::backward(loss);
    adam.step(0.01);
    if (step % 250 == 0) std::printf("step %d  loss %.3f\n", step, static_cast<double>(loss.item()));
  }
  WordVectors result{{}, model.words.weight().value()};
  result.tokens.resize(kMost);
  for (const auto& [word, id] : ids) result.tokens[static_cast<std::size_t>(id)] = word;
  return result;
}

}  // namespace word_vectors
