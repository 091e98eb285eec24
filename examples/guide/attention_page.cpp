// Shows where a translator looks: the attention of all layers and heads as one HTML page.
// needs: phrase_book
#include <cstdio>
#include <rapt/core/atomic_file.hpp>
#include <rapt/pipelines/tokenizer.hpp>
#include <rapt/pretrained/marian.hpp>
#include <rapt/rapt.hpp>
#include <rapt/visualization/attention_page.hpp>

int main() {
  const auto model = rapt::from_pretrained<rapt::Marian<float>>("phrase-book");
  const auto tokenizer = rapt::AnyTokenizer::load("phrase-book");
  const std::string line = "I draw the old horse tomorrow.";
  rapt::TokenBatch source, target;
  source.push_back(tokenizer.encode(line));
  const rapt::Hypothesis found = rapt::beam_search(model, source).front();

  std::vector<rapt::TokenId> tokens = found.tokens;  // the decoder reads <pad> w1 .. wn and writes w1 .. wn </s>
  tokens.insert(tokens.begin(), model.config().begin_token);
  target.push_back(tokens);
  tokens.push_back(model.config().end_tokens.front());
  const rapt::AttentionMaps<float> maps = model.attention_maps(source, target);  // a tensor [B, H, Lq, Lk] a layer

  const auto words_of = [&](std::span<const rapt::TokenId> ids) {
    std::vector<std::string> words;
    for (const rapt::TokenId id : ids) words.push_back(tokenizer.token(id));
    return words;
  };
  const std::string page =
      rapt::attention_page({.title = "Phrase book", .source = line, .target = tokenizer.decode(found.tokens)},
                           rapt::translation_sections(words_of(source.sequence(0)), words_of(tokens), maps.encoder_self,
                                                      maps.decoder_self, maps.decoder_cross));
  rapt::AtomicFile file("attention.html");
  file.write(page.data(), page.size());
  file.commit();
  std::printf("%s\n%zu layers of %lld heads: attention.html\n", tokenizer.decode(found.tokens).c_str(),
              maps.decoder_cross.size(), static_cast<long long>(maps.decoder_cross.front().shape()[1]));
}
