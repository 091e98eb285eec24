/// \file
/// libFuzzer target: whatever a SentencePiece model's file holds, reading it either works or throws rapt::IoError; what
/// was read cuts every text into tokens that lie in it, from left to right, and puts all tokens together again.
///
///     sh tests/fuzz/run.sh 120 sentencepiece  # -max_len=8192
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/pretrained/sentencepiece_file.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

using rapt_fuzz::expect;

void use(const rapt::SentencePiece& tokenizer) {
  rapt::Rng rng(3);
  for (const std::string text : {"", " ", " a  b\xE2\x96\x81 c", "the cat <s> ab\xC3\xA4\xF0\x9F\x98\x80\n",
                                 "aaaaaaaaaaaa", "\xE6\x88\x91\xE7\x88\xB1 \xEF\xAC\x81 e\xCC\x81"}) {
    const rapt::Encoding encoding = tokenizer.encode_with_spans(text);
    expect(encoding.ids == tokenizer.encode(text));
    std::size_t begin = 0;
    for (const rapt::TextSpan& span : encoding.spans) {
      expect(begin <= span.begin && span.begin <= span.end && span.end <= text.size());
      begin = span.begin;
    }
    expect(!rapt::find_invalid_utf8(tokenizer.decode(encoding.ids)));
    static_cast<void>(tokenizer.sample(text, {.alpha = 0.5}, rng));
    if (tokenizer.model().kind == rapt::SentencePieceModel::Kind::unigram) {
      expect(!tokenizer.n_best(text, 3).empty());
    }
  }
  std::vector<rapt::TokenId> all;
  for (rapt::TokenId id = 0; id < std::min<rapt::Index>(tokenizer.size(), 2000); ++id) {
    static_cast<void>(tokenizer.decode(std::vector<rapt::TokenId>{id}));
    all.push_back(id);
  }
  static_cast<void>(tokenizer.decode(all));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    rapt::SentencePieceModel model =
        rapt::detail::from_file("file", [&] { return rapt::detail::SentencePieceReader(bytes, "file").read(); });
    use(rapt::detail::from_file("file", [&] { return rapt::SentencePiece(std::move(model)); }));
  } catch (const rapt::IoError&) {
  }
  return 0;
}
