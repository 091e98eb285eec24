#include "letters.hpp"

std::vector<rapt::TokenId> tokens_of(const std::string& word) {
  std::vector<rapt::TokenId> tokens;
  for (const char letter : word) tokens.push_back(static_cast<rapt::TokenId>(3 + letter - 'a'));
  return tokens;
}

std::string word_of(const std::vector<rapt::TokenId>& tokens) {
  std::string word;
  for (const rapt::TokenId token : tokens) word += static_cast<char>('a' + token - 3);
  return word;
}

std::vector<rapt::TokenPair> random_words(std::size_t count, rapt::Rng& rng) {
  std::vector<rapt::TokenPair> words(count);
  for (auto& [source, target] : words) {
    for (int i = 0; i < 6; ++i) source.push_back(static_cast<rapt::TokenId>(3 + rng.below(kLetterVocabulary - 3)));
    target.assign(source.rbegin(), source.rend());
  }
  return words;
}
