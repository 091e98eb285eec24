// What `word_vectors` learns when it is given no model: the vectors of the words of a text, or of sentences made up
// here.
#pragma once

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <map>
#include <rapt/pipelines/word_vectors.hpp>
#include <rapt/rapt.hpp>
#include <string>
#include <unordered_map>
#include <vector>

namespace word_vectors {

using rapt::Index;
using rapt::TokenId;

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

// The words of a text in lower case: runs of letters and of bytes beyond ASCII; all else parts them.
inline std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalpha(byte) != 0) {
      words.back() += byte < 0x80 ? static_cast<char>(std::tolower(byte)) : c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

struct SkipGramOptions {
  Index dimensions = 100;
  Index window = 5;          // words this far away, at most, are to be told
  Index epochs = 5;          // readings of the text
  std::size_t at_least = 5;  // words that stand fewer times are left out
  double often = 1e-4;       // of words more frequent than this some places are passed over (Mikolov et al. 2013)
  Index negatives = 512;     // words drawn for a batch, which its words must tell from the right ones
  double rate = 2e-3;
};

// Skip-gram (Mikolov et al. 2013): from a word's vector, a linear layer tells the words around it. The softmax is over
// the right words of a batch and over words drawn by their frequency to the power 3/4, instead of over all.
struct SkipGram {
  rapt::Embedding<float> words;
  rapt::Linear<float> around;
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("words", self.words);
    visitor("around", self.around);
  }
};

inline rapt::WordVectors learn(const std::vector<std::string>& lines, const SkipGramOptions& options) {
  std::map<std::string, std::size_t> counts;
  for (const std::string& line : lines) {
    for (std::string& word : words_of(line)) ++counts[std::move(word)];
  }
  std::vector<std::string> vocabulary;
  for (const auto& [word, count] : counts) {
    if (count >= options.at_least) vocabulary.push_back(word);
  }
  rapt::require(vocabulary.size() > 1, "word_vectors", "only ", vocabulary.size(), " words stand at least ",
                options.at_least, " times in the text");
  std::sort(vocabulary.begin(), vocabulary.end(), [&](const std::string& a, const std::string& b) {
    return counts[a] != counts[b] ? counts[a] > counts[b] : a < b;
  });
  std::unordered_map<std::string, TokenId> ids;
  std::vector<double> frequency, drawn;  // of a word; of it and those before, to the power 3/4
  double total = 0;
  for (const std::string& word : vocabulary) total += static_cast<double>(counts[word]);
  for (const std::string& word : vocabulary) {
    ids.emplace(word, static_cast<TokenId>(ids.size()));
    frequency.push_back(static_cast<double>(counts[word]) / total);
    drawn.push_back((drawn.empty() ? 0 : drawn.back()) + std::pow(frequency.back(), 0.75));
  }
  std::vector<std::vector<TokenId>> text;
  for (const std::string& line : lines) {
    text.emplace_back();
    for (const std::string& word : words_of(line)) {
      if (const auto found = ids.find(word); found != ids.end()) text.back().push_back(found->second);
    }
  }

  rapt::Rng rng(1);
  const Index size = std::ssize(vocabulary);
  SkipGram model{{size, options.dimensions, rng}, {options.dimensions, size, rng, {.bias = false}}};
  rapt::Adam adam(model, {.beta2 = 0.999, .epsilon = 1e-8});
  constexpr std::size_t kBatch = 2048;
  std::vector<TokenId> centers, others;
  double loss_sum = 0;
  Index steps = 0;
  const auto update = [&] {
    std::vector<TokenId> candidates = others;
    for (Index i = 0; i < options.negatives; ++i) {
      const auto at = std::upper_bound(drawn.begin(), drawn.end(), rng.uniform() * drawn.back());
      candidates.push_back(static_cast<TokenId>(std::min(at - drawn.begin(), std::ssize(drawn) - 1)));
    }
    std::sort(candidates.begin(), candidates.end());
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
    std::vector<TokenId> targets;
    for (const TokenId other : others) {
      const auto place = std::lower_bound(candidates.begin(), candidates.end(), other);
      targets.push_back(static_cast<TokenId>(place - candidates.begin()));
    }
    const rapt::Training training(rng);
    const auto table = rapt::gather_rows<float>(model.around.weight(), candidates);
    const auto loss = rapt::linear_cross_entropy<float>(model.words(centers), table, {}, targets);
    rapt::backward(loss);
    adam.step(options.rate);
    loss_sum += static_cast<double>(loss.item());
    ++steps;
    centers.clear();
    others.clear();
  };
  rapt::WorkLine progress("learning", "lines");
  const Index all_lines = options.epochs * std::ssize(text);
  for (Index epoch = 1, done = 0; epoch <= options.epochs; ++epoch) {
    loss_sum = 0, steps = 0;
    for (const auto& line : text) {
      progress(done++, all_lines);
      std::vector<TokenId> kept;
      for (const TokenId word : line) {
        const double keep = std::sqrt(options.often / frequency[static_cast<std::size_t>(word)]);
        if (keep >= 1 || rng.uniform() < keep) kept.push_back(word);
      }
      for (Index a = 0; a < std::ssize(kept); ++a) {
        const Index reach = 1 + rng.below(options.window);
        for (Index b = std::max<Index>(0, a - reach); b <= std::min(a + reach, std::ssize(kept) - 1); ++b) {
          if (a == b) continue;
          centers.push_back(kept[static_cast<std::size_t>(a)]);
          others.push_back(kept[static_cast<std::size_t>(b)]);
        }
        if (centers.size() >= kBatch) update();
      }
    }
    if (!centers.empty()) update();
    char said[120];
    std::snprintf(said, sizeof said, "epoch %td: %td words, loss %.3f", epoch, size,
                  loss_sum / static_cast<double>(std::max<Index>(steps, 1)));
    progress.message(said, stdout);
  }
  return rapt::WordVectors(std::move(vocabulary), model.words.weight().value());
}

// Vectors from sentences made up here, in a few seconds.
inline rapt::WordVectors learn() {
  rapt::Rng rng(1);
  std::vector<std::string> lines;
  for (int i = 0; i < 6000; ++i) lines.push_back(sentence(rng));
  return learn(lines, {.dimensions = 24, .window = 8, .at_least = 1, .often = 1, .negatives = 64, .rate = 0.01});
}

}  // namespace word_vectors
