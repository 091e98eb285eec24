/// \file
/// libFuzzer target: whatever a file of ranks and a pattern hold, reading them either works or throws rapt::IoError;
/// what was read cuts every text into tokens that lie in it, from left to right, and that are its bytes again unless
/// the pattern leaves something out.
///
///     sh tests/fuzz/run.sh 120 rank_file  # -max_len=4096
///
/// What stands behind a line of "---" is the pattern; without one, it is that of GPT-4. If an input begins with '+',
/// the tokens of all bytes are put before the ranks.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rapt/pretrained/rank_file.hpp"
#include "rapt/text/allowed_special.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

using rapt_fuzz::expect;

template <class Tokenizer>
void use(const Tokenizer& tokenizer, bool is_whole) {
  for (const std::string text :
       {"", " a  b's 12345 <|s|>\n", "Ünï 我爱 \xF0\x9F\x98\x80 HELLOworld\r\n \t", "aaaaaaaaab"}) {
    try {
      const rapt::Encoding encoding = tokenizer.encode_with_spans(text);
      expect(encoding.ids == tokenizer.encode(text));
      std::size_t begin = 0;
      for (const rapt::TextSpan& span : encoding.spans) {
        expect(begin <= span.begin && span.begin < span.end && span.end <= text.size());
        begin = span.begin;
      }
      expect(!is_whole || tokenizer.decode(encoding.ids, false) == text);
      expect(rapt::encode_allowing(tokenizer, text, {.allowed = {"<|s|>"}}) == encoding.ids);
    } catch (const rapt::ValueError&) {
      expect(!is_whole);  // Matching a pattern of the input may take too many steps.
    }
  }
  for (rapt::TokenId id = 0; id < std::min<rapt::Index>(tokenizer.size(), 1000); ++id) {
    static_cast<void>(tokenizer.decode(std::vector<rapt::TokenId>{id}));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find("\n---\n");
  rapt::RankEncoding encoding;
  if (cut != input.npos) {
    encoding.pattern = input.substr(cut + 5);
    input = input.substr(0, cut);
  }
  std::string ranks;
  if (input.starts_with('+')) {
    for (int byte = 0; byte < 256; ++byte) {
      ranks += rapt::detail::to_base64(std::string(1, static_cast<char>(byte))) + " " + std::to_string(byte) + "\n";
    }
    input.remove_prefix(1);
  }
  ranks += input;
  try {
    const auto ranked = rapt::detail::read_ranks(ranks, "file");
    encoding.special = {{"<|s|>", static_cast<rapt::TokenId>(ranked.size())}};
    const bool is_whole = rapt::detail::pattern_of_rust_expression(encoding.pattern).has_value();
    const auto tokenizer =
        rapt::detail::from_file("file", [&] { return rapt::detail::make_ranked(ranked, std::move(encoding)); });
    std::visit([&](const auto& one) { use(one, is_whole); }, tokenizer);
  } catch (const rapt::IoError&) {
  }
  return 0;
}
