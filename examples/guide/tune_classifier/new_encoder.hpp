// A small encoder that has learned nothing yet, as the folder from which a fine-tuning begins.
#pragma once

#include <rapt/models/bert.hpp>
#include <rapt/pretrained/bert.hpp>
#include <rapt/pretrained/save_tokenizer.hpp>
#include <rapt/text/lines.hpp>
#include <rapt/text/wordpiece.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Writes a BERT of two layers with its tokenizer, whose tokens are the words of a text in lower case without
/// punctuation, the full stop and the question mark.
inline void save_new_encoder(const std::string& folder, std::string_view text) {
  std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?"};
  std::set<std::string> words;
  for (const std::string_view word : rapt::split_whitespace(text)) words.emplace(word);
  tokens.insert(tokens.end(), words.begin(), words.end());
  const rapt::WordPiece tokenizer(std::move(tokens));
  rapt::Rng rng(1);
  const rapt::Bert<float> encoder(
      {.vocabulary = tokenizer.size(), .positions = 64, .d_model = 64, .layers = 2, .heads = 4, .d_ff = 128}, rng);
  rapt::save_pretrained(folder, encoder);
  rapt::save_tokenizer(folder, tokenizer);
}
