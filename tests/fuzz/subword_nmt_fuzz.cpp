/// \file
/// libFuzzer target: whatever the bytes are, reading them as a codes file of subword-nmt, or as rapt's own subwords,
/// either works or throws rapt::IoError; what was read cuts text into pieces that join to it again.
///
///     clang++-14 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -isystem /usr/include/eigen3 \
///       tests/fuzz/subword_nmt_fuzz.cpp -o subword_nmt_fuzz -lutf8proc -lpthread
///     ./subword_nmt_fuzz -max_total_time=120 tests/fuzz/seeds/subword_nmt
///
/// What stands behind a line of "---" is the text to be cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "rapt/text/bpe.hpp"
#include "rapt/text/subword_nmt.hpp"

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
  if (!words.empty() && joined != words) std::abort();
}

void check_subwords(std::string_view model, std::string_view text) {
  const auto subwords = rapt::BytePairEncoding::from_text(model, "subwords");
  if (rapt::BytePairEncoding::from_text(subwords.to_text(), "again").to_text() != subwords.to_text()) std::abort();
  const std::string decoded = subwords.decode(subwords.encode(text));
  if (subwords.lossless() && decoded != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(input.find("\n---\n"), input.size());
  const std::string_view model = input.substr(0, cut), text = input.substr(std::min(cut + 5, input.size()));
  for (const auto* check : {&check_codes, &check_subwords}) {
    try {
      (*check)(model, text);
    } catch (const rapt::IoError&) {
    } catch (const rapt::ValueError&) {
      if (!rapt::find_invalid_utf8(text)) throw;  // only text that is not UTF-8 is refused
    }
  }
  return 0;
}
