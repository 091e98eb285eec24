/// \file
/// Reading the files of pretrained tokenizers: vocab.json with merges.txt (GPT-2), vocab.txt (BERT), tokenizer.json for
/// both (tokenizer_json.hpp), SentencePiece's models (sentencepiece_folder.hpp), as Hugging Face writes them,
/// tiktoken's ranks (rank_file.hpp), and those in GGUF files (gguf_tokenizer.hpp).
///
/// Whatever is wrong with a file is an IoError that names the file and the part of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/io/gguf.hpp"
#include "rapt/pretrained/clean_up_keys.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/gguf_model.hpp"
#include "rapt/pretrained/gguf_tokenizer.hpp"
#include "rapt/pretrained/languages.hpp"
#include "rapt/pretrained/rank_file.hpp"
#include "rapt/pretrained/sentencepiece_file.hpp"
#include "rapt/pretrained/sentencepiece_folder.hpp"
#include "rapt/pretrained/tokenizer_folder.hpp"
#include "rapt/pretrained/tokenizer_json.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/byte_level_bpe.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/sentencepiece.hpp"
#include "rapt/text/wordpiece.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Reads GPT-2's files. Without added tokens in the options, "<|endoftext|>" is one if the vocabulary has it. Of a
/// merge a line is two names with a space between them; a line that begins with "#version" is none.
[[nodiscard]] inline ByteLevelBpe load_byte_level_bpe(const std::filesystem::path& vocabulary,
                                                      const std::filesystem::path& merges,
                                                      ByteLevelBpeOptions options = {}) {
  const detail::TokenizerJson json(vocabulary);
  detail::NamesById tokens = json.names_by_id(json.root(), "the vocabulary");
  options.unused = std::move(tokens.unused);
  if (options.added_tokens.empty() && json.root().contains("<|endoftext|>")) {
    options.added_tokens = {{"<|endoftext|>"}};
  }
  const std::string text = detail::read_text_file(merges);
  const auto lines = lines_of(text);
  std::vector<ByteLevelBpe::Merge> pairs;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (line.starts_with("#version")) continue;
    const std::size_t space = line.find(' ');
    const auto expect = [&](bool condition, std::string_view rule) {
      if (!condition) {
        fail<IoError>("tokenizer", merges.string(), ":", i + 1, ": ", rule, ": ", detail::quote_name(line));
      }
    };
    expect(space != line.npos && line.find(' ', space + 1) == line.npos,
           "a line must be two names with a space between them");
    const std::string left(line.substr(0, space)), right(line.substr(space + 1));
    for (const std::string& name : {left, right, left + right}) {
      expect(json.root().contains(name), "a merge must be of tokens, and join to one");
    }
    pairs.emplace_back(left, right);
  }
  return detail::from_file(vocabulary.string() + ", " + merges.filename().string(),
                           [&] { return ByteLevelBpe(std::move(tokens.names), pairs, std::move(options)); });
}

/// Reads BERT's vocab.txt: a token a line, the first has id 0. White space at the ends of lines is passed over; a line
/// without anything else is the empty token. Of a token that is there several times the last line counts, and the ids
/// of the others are unused, as in Hugging Face's tokenizers. Of the options' added tokens, those that are not in the
/// vocabulary are left out.
[[nodiscard]] inline WordPiece load_wordpiece(const std::filesystem::path& vocabulary, WordPieceOptions options = {}) {
  const std::string text = detail::read_text_file(vocabulary);
  std::vector<std::string> tokens;
  std::unordered_map<std::string_view, TokenId> last;
  options.unused.clear();
  for (const std::string_view line : lines_of(text)) {
    const std::string_view token = detail::strip_token(line);
    const auto id = static_cast<TokenId>(tokens.size());
    if (const auto [at, is_new] = last.try_emplace(token, id); !is_new) {
      tokens[static_cast<std::size_t>(at->second)].clear();
      options.unused.push_back(at->second);
      at->second = id;
    }
    tokens.emplace_back(token);
  }
  std::erase_if(options.added_tokens, [&](const AddedToken& token) { return !last.contains(token.text); });
  return detail::from_file(vocabulary.string(), [&] { return WordPiece(std::move(tokens), std::move(options)); });
}

namespace detail {

/// What RoBERTa's and BART's tokenizers add to GPT-2's: their special tokens, with which texts begin and end, and
/// tokens' spans without spaces.
inline void set_roberta_tokens(const TokenizerFolder& settings, ByteLevelBpeOptions& options) {
  const std::string begin = settings.special("bos_token", "<s>"), end = settings.special("eos_token", "</s>");
  for (const std::string& token :
       {begin, settings.special("pad_token", "<pad>"), end, settings.special("unk_token", "<unk>")}) {
    options.added_tokens.push_back({.text = token});
  }
  options.added_tokens.push_back({.text = settings.special("mask_token", "<mask>"), .strip_left = true});
  set_roberta_templates(options, begin, end);
  options.trim_spans = true;
  options.trim_keeps_first = options.add_prefix_space;
}

}  // namespace detail

/// Reads a tokenizer.json, SentencePiece's model, ranks whose name is known (qwen.tiktoken, cl100k_base.tiktoken,
/// Llama 3's tokenizer.model), or the tokenizer in a GGUF file (*.gguf), or from a folder tokenizer.json,
/// SentencePiece's model (of MarianMT the source's: see load_tokenizers) or ranks, vocab.json with merges.txt, or
/// vocab.txt, whichever there is first. Without a tokenizer.json, tokenizer_config.json says, if it is there, what the
/// others do not: do_lower_case, strip_accents, tokenize_chinese_chars, add_prefix_space, and by its tokenizer_class,
/// or config.json by the model's type, that texts stand between RoBERTa's and BART's special tokens. A folder's
/// tokenizer_config.json also says whether decoding cleans up spaces (clean_up_tokenization_spaces; not if it is absent
/// or null), with a tokenizer.json as without. As in transformers 5, byte pair encoding takes that only together with
/// clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output. A folder that has the files of another
/// tokenizer is an error that names them.
[[nodiscard]] inline PretrainedTokenizer load_tokenizer(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  require<IoError>(std::filesystem::exists(status), "tokenizer", path.string(), ": there is no such file or folder");
  if (!std::filesystem::is_directory(status)) {
    const std::string_view foreign = detail::foreign_tokenizer(path.filename().string());
    require<IoError>(foreign.empty(), "tokenizer", path.string(), ": ", foreign, " files are not read yet");
    if (path.extension() == ".tiktoken") return detail::load_known_ranks(path);
    if (detail::is_gguf(path)) {
      const GgufFile file(path);
      return detail::GgufTokenizer(file).read();
    }
    if (detail::is_sentencepiece(path.filename().string())) {
      return detail::holds_ranks(path) ? detail::load_known_ranks(path) : load_sentencepiece(path);
    }
    return detail::TokenizerJsonReader(path).read();
  }
  const detail::FolderContents contents(
      path, "tokenizer", "tokenizer.json, SentencePiece's model, vocab.json with merges.txt, or vocab.txt");
  const std::filesystem::path config = path / "tokenizer_config.json";
  if (contents.has("tokenizer.json")) {
    return detail::TokenizerJsonReader(path / "tokenizer.json")
        .read(contents.has("tokenizer_config.json") ? detail::clean_up_spaces_of(detail::TokenizerJson(config))
                                                    : detail::CleanUpSpaces{});
  }
  const bool has_merges = contents.has("merges.txt");
  const bool has_foreign = std::any_of(contents.names().begin(), contents.names().end(), [](const std::string& name) {
    return !detail::foreign_tokenizer(name).empty();
  });
  const bool is_bpe = contents.has("vocab.json") && has_merges;
  if (const std::string ranks = is_bpe ? "" : detail::rank_file_of(path, contents); !ranks.empty()) {
    return detail::read_rank_folder(path, contents, ranks);
  }
  if (!is_bpe && !detail::SentencePieceFolder::model_file(contents).empty()) {
    return detail::SentencePieceFolder(path, contents).read();
  }
  const bool is_wordpiece = contents.has("vocab.txt") && !contents.has("vocab.json") && !has_foreign;
  if (!is_bpe && !is_wordpiece) {
    detail::refuse_without_tokenizer(contents, contents.has("vocab.json") ? "no merges.txt beside its vocab.json"
                                               : has_merges               ? "no vocab.json beside its merges.txt"
                                                            : "none of tokenizer.json, vocab.json and vocab.txt");
  }
  ByteLevelBpeOptions bpe;
  WordPieceOptions wordpiece;
  if (contents.has("tokenizer_config.json")) {
    const detail::TokenizerJson json(config);
    bpe.clean_up_spaces = detail::clean_up_spaces_of(json).of_bpe;
    wordpiece.clean_up_spaces = detail::clean_up_spaces_of(json).of_others;
    bpe.add_prefix_space = json.flag(json.root(), "add_prefix_space", false, "");
    wordpiece.lowercase = json.flag(json.root(), "do_lower_case", true, "");
    wordpiece.separate_chinese = json.flag(json.root(), "tokenize_chinese_chars", true, "");
    if (detail::TokenizerJson::find(json.root(), "strip_accents") != nullptr) {
      wordpiece.strip_accents = json.flag(json.root(), "strip_accents", true, "");
    }
  }
  if (!is_bpe) return load_wordpiece(path / "vocab.txt", std::move(wordpiece));
  const detail::TokenizerFolder settings(path, contents);
  const std::string family = settings.family();
  if (family == "Roberta" || family == "Bart") detail::set_roberta_tokens(settings, bpe);
  return load_byte_level_bpe(path / "vocab.json", path / "merges.txt", std::move(bpe));
}

/// The tokenizers of a folder: of sources, and of targets if they have one of their own.
struct TokenizerPair {
  PretrainedTokenizer source;                      ///< of sources, or of all texts
  std::optional<PretrainedTokenizer> target = {};  ///< of targets; unset: that of sources
  std::optional<LanguageScheme> languages = {};    ///< of a multilingual model: where it expects them
};

/// Reads both tokenizers of a MarianMT folder (source.spm and target.spm), and of any other path the one that
/// `load_tokenizer` reads; of a folder also how its model is told languages.
[[nodiscard]] inline TokenizerPair load_tokenizers(const std::filesystem::path& path) {
  TokenizerPair pair{load_tokenizer(path)};
  if (!std::filesystem::is_directory(path)) return pair;
  const detail::FolderContents contents(path, "tokenizer", "a tokenizer");
  pair.languages = detail::TokenizerFolder(path, contents).language_scheme();
  if (std::holds_alternative<SentencePiece>(pair.source)) {
    if (auto target = detail::SentencePieceFolder(path, contents).read_target()) pair.target = std::move(*target);
  }
  return pair;
}

}}  // namespace rapt::RAPT_ABI
