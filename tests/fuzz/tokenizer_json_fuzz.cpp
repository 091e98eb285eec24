/// \file
/// libFuzzer target: whatever the files of a tokenizer hold, reading them either works or throws rapt::IoError; what
/// was read cuts a text and puts it together again, and is the same when it is written and read again.
///
///     sh tests/fuzz/run.sh 120 tokenizer_json  # -max_len=8192
///
/// The first byte of an input tells the file: 'c' a tokenizer_config.json beside a vocab.txt; 't' a vocab.txt; 'v' a
/// vocab.json, with merges.txt behind a line of "---"; any other byte belongs to a tokenizer.json.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "rapt/pretrained/tokenizer_files.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

namespace fs = std::filesystem;
using rapt_fuzz::expect;

/// The ids of every text decode, and so does every id alone.
template <class Tokenizer>
void use(const Tokenizer& tokenizer) {
  for (const std::string text : {"", " a  b's [MASK] <|endoftext|>\n", "Ünï 我爱 \xF0\x9F\x98\x80 don ' t ."}) {
    const auto encoding = tokenizer.encode_with_spans(text);
    expect(encoding.ids == tokenizer.encode(text));
    static_cast<void>(tokenizer.encode_pair(text, "b"));
    static_cast<void>(tokenizer.decode(encoding.ids));
    static_cast<void>(tokenizer.decode(encoding.ids, false));
  }
  const rapt::TokenId size = static_cast<rapt::TokenId>(std::min<rapt::Index>(tokenizer.size(), 1000));
  for (rapt::TokenId id = 0; id < size; ++id) static_cast<void>(tokenizer.decode(std::vector<rapt::TokenId>{id, id}));
}

void use(const rapt::PretrainedTokenizer& any, const fs::path& folder) {
  try {
    std::visit([](const auto& tokenizer) { use(tokenizer); }, any);
  } catch (const rapt::ValueError&) {  // a pattern that takes too long, or a word where no token is unknown
    expect(std::holds_alternative<rapt::ComposedTokenizer>(any));
  }
  try {
    save_tokenizer(folder / "again.json", any);
  } catch (const rapt::IoError&) {  // what no tokenizer.json can say
    return;
  }
  const auto same = [](const auto& a, const auto& b) {
    return a.tokens().size() == b.tokens().size() &&
           std::equal(a.tokens().begin(), a.tokens().end(), b.tokens().begin());
  };
  const auto again = rapt::load_tokenizer(folder / "again.json");
  expect(again.index() == any.index());
  const bool is_same =
      std::visit([&](const auto& one) { return same(one, std::get<std::decay_t<decltype(one)>>(again)); }, any);
  expect(is_same);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::Folder files;
  static const bool is_ready = [] {
    for (const char* name : {"bert", "gpt2"}) fs::create_directories(files.path() / name);
    files.write("bert/vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n##b\n");
    return true;
  }();
  static_cast<void>(is_ready);
  const fs::path& folder = files.path();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const char kind = text.empty() ? ' ' : text.front();
  const std::string_view rest = text.substr(text.empty() ? 0 : 1);
  try {
    if (kind == 'c') {
      files.write("bert/tokenizer_config.json", rest);
      use(rapt::load_tokenizer(folder / "bert"), folder);
    } else if (kind == 't') {
      files.write("vocab.txt", rest);
      use(rapt::load_wordpiece(folder / "vocab.txt", {.single = {{"$A"}}, .pair = {{"$A"}, {"$B", 1}}}), folder);
    } else if (kind == 'v') {
      const std::size_t cut = std::min(rest.find("\n---\n"), rest.size());
      files.write("gpt2/vocab.json", rest.substr(0, cut));
      files.write("gpt2/merges.txt", rest.substr(std::min(cut + 5, rest.size())));
      use(rapt::load_tokenizer(folder / "gpt2"), folder);
    } else {
      files.write("tokenizer.json", text);
      use(rapt::load_tokenizer(folder / "tokenizer.json"), folder);
    }
  } catch (const rapt::IoError&) {
  }
  return 0;
}
