// A text as sequences of tokens for bert_mlm.
#pragma once

#include <algorithm>
#include <rapt/text/bpe.hpp>
#include <rapt/text/lines.hpp>
#include <set>
#include <string>
#include <vector>

#include "../common/phrases.hpp"

using Sequences = std::vector<std::vector<rapt::TokenId>>;

/// Lines of a file, or without one generated sentences.
inline std::vector<std::string> lines_to_learn(const std::string& path) {
  if (!path.empty()) return rapt::read_lines(path);
  std::set<std::string> sentences;
  for (const phrases::Pair& pair : phrases::generate()) sentences.insert(pair.english);
  return {sentences.begin(), sentences.end()};
}

/// <s> line </s> line </s> ..., as many whole lines as fit
inline Sequences pack(const std::vector<std::string>& lines, const rapt::BytePairEncoding& subwords,
                      rapt::Index length) {
  const auto room = static_cast<std::size_t>(length);
  Sequences sequences;
  for (const std::string& line : lines) {
    if (rapt::is_blank(line)) continue;
    std::vector<rapt::TokenId> tokens = subwords.encode(line);
    tokens.resize(std::min(tokens.size(), room - 2));
    tokens.push_back(subwords.vocabulary().end_of_sentence());
    if (sequences.empty() || sequences.back().size() + tokens.size() > room) {
      sequences.push_back({subwords.vocabulary().begin_of_sentence()});
    }
    sequences.back().insert(sequences.back().end(), tokens.begin(), tokens.end());
  }
  return sequences;
}
