// Words as tokens. A header that needs some types of rapt includes their headers, and not rapt/rapt.hpp.
#pragma once

#include <cstddef>
#include <rapt/core/rng.hpp>
#include <rapt/data/batching.hpp>
#include <string>
#include <vector>

inline constexpr rapt::Index kLetterVocabulary = 3 + 20;  // the tokens 0 to 2 are no letters, the others a to t

[[nodiscard]] std::vector<rapt::TokenId> tokens_of(const std::string& word);
[[nodiscard]] std::string word_of(const std::vector<rapt::TokenId>& tokens);
/// Six random letters each, and the same backwards.
[[nodiscard]] std::vector<rapt::TokenPair> random_words(std::size_t count, rapt::Rng& rng);
