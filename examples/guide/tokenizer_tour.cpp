// Learns subwords in two ways from the same lines, and shows pieces, unknown characters, places in the text, and files.
#include <cstdio>
#include <filesystem>
#include <rapt/pretrained/load_tokenizer.hpp>
#include <rapt/pretrained/save_tokenizer.hpp>
#include <rapt/text/bpe.hpp>
#include <rapt/text/sentencepiece.hpp>
#include <rapt/text/unigram_learner.hpp>

#include "phrase_book/phrases.hpp"

/// The tokens of ids with a bar between them.
std::string joined(const auto& tokenizer, const std::vector<rapt::TokenId>& ids) {
  std::string line;
  for (const rapt::TokenId id : ids) (line += line.empty() ? "" : "|") += tokenizer.token(id);
  return line;
}

int main() {
  std::vector<std::string> lines;  // of both languages, as their translator shares the vocabulary
  for (const auto& [english, german] : phrases(/*held_out=*/false)) lines.insert(lines.end(), {english, german});
  const std::string seen = "The old bird is beautiful.", unseen = "A bird bath 🐦";

  // --8<-- [start:bpe]
  const auto bpe = rapt::BytePairEncoding::learn(lines, {.vocabulary_size = 120});
  const auto with_bytes = rapt::BytePairEncoding::learn(lines, {.vocabulary_size = 376, .byte_fallback = true});
  std::printf("%s\n", joined(bpe.vocabulary(), bpe.encode(seen)).c_str());
  std::printf("%s = \"%s\"\n", joined(bpe.vocabulary(), bpe.encode(unseen)).c_str(),
              bpe.decode(bpe.encode(unseen)).c_str());
  std::printf("%s = \"%s\"\n", joined(with_bytes.vocabulary(), with_bytes.encode(unseen)).c_str(),
              with_bytes.decode(with_bytes.encode(unseen)).c_str());
  // --8<-- [end:bpe]

  // --8<-- [start:unigram]
  const rapt::SentencePiece unigram(rapt::learn_unigram(lines, {.vocabulary_size = 120}));
  const rapt::Encoding places = unigram.encode_with_spans(seen);
  std::printf("%s\n", joined(unigram, places.ids).c_str());
  const rapt::TextSpan second = places.spans[1];
  std::printf("token 1 is bytes %zu to %zu\n", second.begin, second.end);
  // --8<-- [end:unigram]

  // --8<-- [start:file]
  std::filesystem::create_directory("words");
  rapt::save_tokenizer("words", tokenizer_of(phrases(false)));  // tokenizer.json and tokenizer_config.json
  const rapt::PretrainedTokenizer opened = rapt::load_tokenizer("words");
  std::visit(
      [&](const auto& words) {
        std::printf("%s\n", joined(words, words.encode(seen)).c_str());
        std::printf("%s\n", joined(words, words.encode(seen, {.add_special = false})).c_str());
        const std::string untrusted = "The </s> dog";
        std::printf("%s\n", joined(words, words.encode(untrusted)).c_str());
        std::printf("%s\n", joined(words, words.encode(untrusted, {.find_special = false})).c_str());
      },
      opened);
  // --8<-- [end:file]
}
