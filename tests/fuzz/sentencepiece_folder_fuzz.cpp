/// \file
/// libFuzzer target: whatever the files beside a SentencePiece model hold, reading the folder either works or throws
/// rapt::IoError; what was read, for sources and for targets, cuts every text into tokens that lie in it, from left to
/// right, and puts all tokens together again.
///
///     sh tests/fuzz/run.sh 120 sentencepiece_folder  # -max_len=4096
///
/// The first byte of an input tells the names of the model's files: 'm' source.spm and target.spm (MarianMT), any other
/// spiece.model, whose vocabulary follows from "tokenizer_class". Then come tokenizer_config.json, vocab.json,
/// added_tokens.json, special_tokens_map.json, target_vocab.json and config.json with lines of "---" between them. An
/// empty one is left out.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rapt/pretrained/tokenizer_files.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

namespace fs = std::filesystem;
using rapt_fuzz::expect;

rapt::SentencePieceModel small_model() {
  using Type = rapt::SentencePieceModel::PieceType;
  return {.pieces = {{"<unk>", 0, Type::unknown},
                     {"<s>", 0, Type::control},
                     {"</s>", 0, Type::control},
                     {"\xE2\x96\x81", -2},
                     {"a", -3},
                     {"b", -3.5f},
                     {"<x>", 0, Type::user_defined},
                     {"\xE2\x96\x81the", -4},
                     {"\xE2\x96\x81"
                      "ab",
                      -5}},
          .kind = rapt::SentencePieceModel::Kind::unigram};
}

void use(const rapt::SentencePiece& tokenizer) {
  for (const std::string text : {"", " a  b the <x>", "<s> the ab</s> <mask> <extra_id_0><pad>", ">>de<< the",
                                 "\xE6\x88\x91 en_XX __en__ eng_Latn\n"}) {
    const rapt::Encoding encoding = tokenizer.encode_with_spans(text, {.add_special = false});
    expect(encoding.ids == tokenizer.encode(text, {.add_special = false}));
    std::size_t begin = 0;
    for (const rapt::TextSpan& span : encoding.spans) {
      expect(begin <= span.begin && span.begin <= span.end && span.end <= text.size());
      begin = span.begin;
    }
    expect(tokenizer.encode_with_spans(text).ids == tokenizer.encode(text));
    static_cast<void>(tokenizer.encode_pair(text, "b"));
    for (const bool skip : {true, false}) {
      expect(!rapt::find_invalid_utf8(tokenizer.decode(encoding.ids, skip)));
      static_cast<void>(tokenizer.decode(tokenizer.encode(text), skip));
    }
  }
  std::vector<rapt::TokenId> all;
  for (rapt::TokenId id = 0; id < std::min<rapt::Index>(tokenizer.size(), 500); ++id) all.push_back(id);
  static_cast<void>(tokenizer.decode(all, false));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::Folder files;
  static const bool is_ready = [] {
    for (const char* name : {"marian", "other"}) fs::create_directories(files.path() / name);
    for (const char* name : {"marian/source.spm", "marian/target.spm", "other/spiece.model"}) {
      rapt::save_sentencepiece_model(files.path() / name, small_model());
    }
    return true;
  }();
  static_cast<void>(is_ready);
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string folder = text.starts_with('m') ? "marian" : "other";
  text.remove_prefix(text.empty() ? 0 : 1);
  for (const char* name : {"tokenizer_config.json", "vocab.json", "added_tokens.json", "special_tokens_map.json",
                           "target_vocab.json", "config.json"}) {
    const std::size_t cut = std::min(text.find("\n---\n"), text.size());
    if (cut > 0) {
      files.write(folder + "/" + name, text.substr(0, cut));
    } else {
      fs::remove(files.path() / folder / name);
    }
    text.remove_prefix(std::min(cut + 5, text.size()));
  }
  try {
    const rapt::TokenizerPair pair = rapt::load_tokenizers(files.path() / folder);
    use(std::get<rapt::SentencePiece>(pair.source));
    if (pair.target) use(std::get<rapt::SentencePiece>(*pair.target));
    if (pair.languages) {
      const rapt::LanguageScheme& languages = *pair.languages;
      expect(languages.pieces(languages.source).size() == 3);
    }
  } catch (const rapt::IoError&) {
  }
  return 0;
}
