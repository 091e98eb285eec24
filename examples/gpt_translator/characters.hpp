// Pairs of texts as tokens that are characters, and the pairs that are there without any file.
#pragma once

#include <cstdio>
#include <rapt/data/batching.hpp>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/text/unicode.hpp>
#include <rapt/text/vocabulary.hpp>
#include <set>

/// The characters of a text, without white space.
inline std::vector<std::string> characters_of(std::string_view text) {
  std::vector<std::string> characters;
  for (const std::string_view piece : rapt::split_whitespace(text)) {
    for (std::size_t at = 0; at < piece.size();) {
      const std::size_t length = rapt::code_point_at(piece, at).length;
      characters.emplace_back(piece.substr(at, length));
      at += length;
    }
  }
  return characters;
}

/// All characters of both sides of a corpus; one vocabulary for both.
inline rapt::Vocabulary vocabulary_of(const rapt::ParallelCorpus& corpus) {
  std::set<std::string> all;
  for (const auto* side : {&corpus.source, &corpus.target}) {
    for (const std::string& text : *side) {
      for (std::string& character : characters_of(text)) all.insert(std::move(character));
    }
  }
  const std::vector<std::string> sorted(all.begin(), all.end());
  return rapt::Vocabulary(std::span<const std::string>(sorted));
}

inline std::vector<rapt::TokenId> encode(const rapt::Vocabulary& vocabulary, std::string_view text) {
  std::vector<rapt::TokenId> tokens;
  for (const std::string& character : characters_of(text)) tokens.push_back(vocabulary.id(character));
  return tokens;
}
inline std::vector<rapt::TokenPair> encode(const rapt::Vocabulary& vocabulary, const rapt::ParallelCorpus& corpus) {
  std::vector<rapt::TokenPair> pairs;
  for (std::size_t i = 0; i < corpus.source.size(); ++i) {
    pairs.push_back({encode(vocabulary, corpus.source[i]), encode(vocabulary, corpus.target[i])});
  }
  return pairs;
}
inline std::vector<std::string> decode(const rapt::Vocabulary& vocabulary, std::span<const rapt::TokenId> tokens) {
  std::vector<std::string> characters;
  for (const rapt::TokenId token : tokens) characters.push_back(vocabulary.token(token));
  return characters;
}

/// A number from 1 to 9999 as it is read in Chinese: 4027 is four thousands, a gap, two tens, seven.
inline std::string in_words(int number) {
  constexpr std::string_view kDigits[] = {"零", "一", "二", "三", "四", "五", "六", "七", "八", "九"};
  constexpr std::string_view kPlaces[] = {"千", "百", "十", ""};
  std::string text;
  bool has_gap = false;
  for (int place = 0, unit = 1000; unit > 0; ++place, unit /= 10) {
    const int digit = number / unit % 10;
    if (digit == 0) {
      has_gap = !text.empty();
      continue;
    }
    if (has_gap) text += kDigits[0];
    has_gap = false;
    const bool is_plain_ten = unit == 10 && digit == 1 && text.empty();  // 十五, not 一十五
    if (!is_plain_ten) text += kDigits[digit];
    text += kPlaces[place];
  }
  return text;
}

/// Numbers in figures, and in words.
inline rapt::ParallelCorpus numbers() {
  rapt::ParallelCorpus corpus;
  for (int number = 1; number < 10000; ++number) {
    corpus.source.push_back(std::to_string(number));
    corpus.target.push_back(in_words(number));
  }
  return corpus;
}

struct Corpora {
  rapt::ParallelCorpus training, validation, test;
};

/// The pairs of all files, or of numbers without any, and `hold_out` of them each for validation and test, of which the
/// other parts have neither side. White space is left out, and pairs of which a side is empty or too long.
inline Corpora read_corpora(const std::vector<std::string>& files, rapt::Index longest, rapt::Index hold_out,
                            std::uint64_t seed) {
  Corpora corpora;
  rapt::ParallelCorpus& all = corpora.training;
  if (files.empty()) all = numbers();
  rapt::Index left_out = 0;
  for (const std::string& file : files) {
    const auto some = rapt::ParallelCorpus::read_tab_separated(file, 0, 1);
    for (std::size_t i = 0; i < some.source.size(); ++i) {
      const auto source = characters_of(some.source[i]), target = characters_of(some.target[i]);
      const auto longer = static_cast<rapt::Index>(std::max(source.size(), target.size()));
      if (source.empty() || target.empty() || longer > longest) {
        ++left_out;
        continue;
      }
      all.source.push_back(joined(source, ""));
      all.target.push_back(joined(target, ""));
    }
  }
  std::printf("%td pairs; %td are left out, with an empty side or one of more than %td characters\n", all.size(),
              left_out, longest);
  corpora.test = all.hold_out(hold_out, seed);
  corpora.validation = all.hold_out(hold_out, seed + 1);
  return corpora;
}
