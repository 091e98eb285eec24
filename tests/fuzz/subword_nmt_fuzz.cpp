/// \file
/// libFuzzer target: whatever the bytes are, reading them as a codes file of subword-nmt, or as rapt's own subwords,
/// either works or throws rapt::IoError; what was read cuts text into pieces that join to it again.
///
///     sh tests/fuzz/run.sh 120 subword_nmt  # -max_len=8192
///
/// What stands behind a line of "---" is the text to be cut.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "rapt/text/bpe.hpp"
#include "rapt/text/subword_nmt.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

/// The words with single spaces between them; empty if one ends in "@@", which joining would take off.
std::string words_of(std::string_view line) {
  std::string words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    if (word.ends_with("@@")) return {};
    if (!word.empty()) (words += words.empty() ? "" : " ") += word;
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

void check_codes(std::string_view model, std::string_view text) {
  const auto codes = rapt::SubwordNmtCodes::from_text(model, "codes");
  const std::string pieces = codes.segment(text);
  const std::string joined = rapt::SubwordNmtCodes::join(pieces);
  const std::size_t begin = std::min(text.find_first_not_of("\r\n "), text.size());
  const std::string words = words_of(text.substr(begin, text.find_last_not_of("\r\n ") + 1 - begin));
  rapt_fuzz::expect(words.empty() || joined == words);
}

void check_subwords(std::string_view model, std::string_view text) {
  const auto subwords = rapt::BytePairEncoding::from_text(model, "subwords");
  rapt_fuzz::expect(rapt::BytePairEncoding::from_text(subwords.to_text(), "again").to_text() == subwords.to_text());
  const std::string decoded = subwords.decode(subwords.encode(text));
  rapt_fuzz::expect(!subwords.lossless() || decoded == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(input.find("\n---\n"), input.size());
  const std::string_view model = input.substr(0, cut), text = input.substr(std::min(cut + 5, input.size()));
  for (const auto check : {&check_codes, &check_subwords}) {
    try {
      check(model, text);
    } catch (const rapt::IoError&) {
    } catch (const rapt::ValueError&) {
      if (!rapt::find_invalid_utf8(text)) throw;  // only text that is not UTF-8 is refused
    }
  }
  return 0;
}
