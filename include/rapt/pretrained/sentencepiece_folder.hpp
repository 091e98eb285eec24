/// \file
/// Tokenizers of folders with SentencePiece's files: which ids the pieces have, which special tokens are put around a
/// text, and which tokens are found in it, as transformers' tokenizer classes of MarianMT, T5 and Llama say.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/sentencepiece_file.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/sentencepiece.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Reads the tokenizer of a folder.
class SentencePieceFolder {
 public:
  using Json = nlohmann::json;

  /// `contents` must live as long as this.
  SentencePieceFolder(const std::filesystem::path& path, const FolderContents& contents)
      : path_(path), contents_(contents) {
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
      if (contents.has(name)) configs_.emplace_back(path / name);
    }
  }

  /// The folder's model file; of two languages the source's. Empty if it has none.
  [[nodiscard]] static std::string model_file(const FolderContents& contents) {
    if (contents.has("source.spm")) return "source.spm";
    const auto found = contents.names_that([](const std::string& name) { return is_sentencepiece(name); });
    return found.empty() ? std::string() : found.front();
  }

  [[nodiscard]] SentencePiece read() const {
    const std::string file = model_file(contents_);
    if (file == "source.spm") return read_marian(file, "vocab.json");
    const std::string family = this->family();
    if (family == "T5" || family == "MT5") return read_t5(file);
    if (family == "Llama") return read_llama(file);
    contents_.refuse("the folder has " + quote_name(file) +
                     ", but what its model adds to SentencePiece is known of MarianMT, T5 and Llama alone: " +
                     (family.empty() ? "tokenizer_config.json and config.json name no family" : "this is " + family));
  }

  /// The tokenizer of the other language, if the folder has one.
  [[nodiscard]] std::optional<SentencePiece> read_target() const {
    if (!contents_.has("source.spm") || !contents_.has("target.spm")) return std::nullopt;
    return read_marian("target.spm", flag("separate_vocabs", false) ? "target_vocab.json" : "vocab.json");
  }

 private:
  /// "T5", "Llama", ...: of the tokenizer's class, or else of the model's type.
  [[nodiscard]] std::string family() const {
    for (const TokenizerJson& config : configs_) {
      if (TokenizerJson::find(config.root(), "tokenizer_class") == nullptr) continue;
      std::string name = config.text(config.root(), "tokenizer_class", "");
      for (const std::string_view end : {"Fast", "Tokenizer"}) {
        if (name.ends_with(end)) name.erase(name.size() - end.size());
      }
      return name;
    }
    if (!contents_.has("config.json")) return {};
    const TokenizerJson config(path_ / "config.json");
    if (TokenizerJson::find(config.root(), "model_type") == nullptr) return {};
    const std::string& type = config.text(config.root(), "model_type", "");
    if (type == "t5" || type == "mt5") return "T5";
    if (type == "llama" || type == "mistral" || type == "mixtral") return "Llama";
    return type;
  }

  [[nodiscard]] bool flag(const char* key, bool otherwise) const {
    for (const TokenizerJson& config : configs_) {
      if (TokenizerJson::find(config.root(), key) != nullptr) return config.flag(config.root(), key, otherwise, "");
    }
    return otherwise;
  }

  /// A special token, which a file gives as a text or as an object with its "content".
  [[nodiscard]] std::string special(const char* key, std::string otherwise) const {
    for (const TokenizerJson& config : configs_) {
      const Json* value = TokenizerJson::find(config.root(), key);
      if (value == nullptr) continue;
      return value->is_object() ? config.text(*value, "content", std::string(key) + ".") : config.text(*value, key);
    }
    return otherwise;
  }

  /// Gives an id behind the vocabulary, or one in it that is unused, to a token.
  void set_token(SentencePieceOptions& options, Index id, const std::string& text, std::string_view where) const {
    if (id >= std::ssize(options.tokens)) options.tokens.resize(to_size(id) + 1);
    std::string& place = at(options.tokens, id);
    require<IoError>(place.empty() || place == text, "tokenizer", where, ": the id ", id, " is of ", quote_name(place),
                     " and of ", quote_name(text));
    place = text;
  }

  /// What tokenizer_config.json (added_tokens_decoder) and added_tokens.json add.
  void add_listed_tokens(SentencePieceOptions& options) const {
    struct Listed {
      Index id;
      AddedToken token;
      std::string_view file;
    };
    std::vector<Listed> listed;
    for (const TokenizerJson& config : configs_) {
      if (TokenizerJson::find(config.root(), "added_tokens_decoder") == nullptr) continue;
      const std::string part = "added_tokens_decoder";
      for (const auto& [number, token] : config.object(config.root(), part.c_str(), "").items()) {
        const std::string dot = part + "." + number + ".";
        config.check(token.is_object(), part + "." + number, "must be an object");
        const bool is_number =
            !number.empty() && number.size() < 10 && number.find_first_not_of("0123456789") == number.npos;
        config.check(is_number, part, "a key must be an id: ", quote_name(number));
        const std::string& text = config.text(token, "content", dot);
        config.check(!text.empty(), dot + "content", "must not be empty");
        listed.push_back({std::stol(number),
                          {.text = text,
                           .special = config.flag(token, "special", false, dot),
                           .strip_left = config.flag(token, "lstrip", false, dot),
                           .strip_right = config.flag(token, "rstrip", false, dot)},
                          config.file()});
      }
    }
    std::optional<TokenizerJson> added;
    if (contents_.has("added_tokens.json")) {
      added.emplace(path_ / "added_tokens.json");
      for (const auto& [text, id] : added->root().items()) {
        listed.push_back({added->number(id, std::numeric_limits<TokenId>::max() - 1, quote_name(text)),
                          {.text = text, .special = false},
                          added->file()});
      }
    }
    const Index limit = std::ssize(options.tokens) + std::ssize(listed) + kMostUnused;
    for (Listed& one : listed) {
      require<IoError>(one.id < limit, "tokenizer", one.file, ": the id of ", quote_name(one.token.text),
                       " must be less than ", limit, ": ", one.id);
      set_token(options, one.id, one.token.text, one.file);
      options.added_tokens.push_back(std::move(one.token));
    }
  }

  [[nodiscard]] SentencePiece make(std::string_view file, SentencePieceModel model,
                                   SentencePieceOptions options) const {
    options.clean_up_spaces = flag("clean_up_tokenization_spaces", false);
    std::unordered_set<std::string> texts;  // of several added tokens with one text, the first one counts
    std::erase_if(options.added_tokens, [&](const AddedToken& token) { return !texts.insert(token.text).second; });
    return from_file((path_ / file).string(), [&] { return SentencePiece(std::move(model), std::move(options)); });
  }

  /// The ids of pieces are those of a vocabulary beside the models of both languages, and sources and targets end with
  /// the end token.
  [[nodiscard]] SentencePiece read_marian(std::string_view file, std::string_view vocabulary) const {
    if (!contents_.has(vocabulary)) contents_.refuse_without("no " + std::string(vocabulary));
    const TokenizerJson json(path_ / vocabulary);
    SentencePieceOptions options;
    options.tokens = json.names_by_id(json.root(), "the vocabulary").names;
    options.unknown = special("unk_token", "<unk>");
    const std::string end = special("eos_token", "</s>");
    add_listed_tokens(options);
    for (const std::string& token : {end, options.unknown, special("pad_token", "<pad>")}) {
      if (!json.root().contains(token)) set_token(options, std::ssize(options.tokens), token, json.file());
      options.added_tokens.push_back({.text = token});
    }
    options.single = {{"$A"}, {end}};
    options.pair = {{"$A"}, {"$B"}, {end}};
    options.language_code = options.strip_decoded = true;
    return make(file, load_sentencepiece_model(path_ / file), std::move(options));
  }

  /// "<extra_id_0>" and the others have the ids behind the pieces, the last one first, and texts end with the end
  /// token.
  [[nodiscard]] SentencePiece read_t5(std::string_view file) const {
    SentencePieceModel model = load_sentencepiece_model(path_ / file);
    SentencePieceOptions options;
    for (const SentencePieceModel::Piece& piece : model.pieces) options.tokens.push_back(piece.text);
    const Index extra = number("extra_ids", kMostExtra, 100);
    add_listed_tokens(options);
    for (Index i = extra; i-- > 0;) {
      const std::string text = "<extra_id_" + std::to_string(i) + ">";
      set_token(options, std::ssize(model.pieces) + extra - 1 - i, text, contents_.path());
      options.added_tokens.push_back({.text = text});
    }
    const std::string end = special("eos_token", "</s>");
    for (const std::string& token : {end, special("unk_token", "<unk>"), special("pad_token", "<pad>")}) {
      options.added_tokens.push_back({.text = token});
    }
    options.single = {{"$A"}, {end}};
    options.pair = {{"$A"}, {end}, {"$B"}, {end}};
    return make(file, std::move(model), std::move(options));
  }

  /// Texts begin with the begin token, and end with the end token if add_eos_token says so.
  [[nodiscard]] SentencePiece read_llama(std::string_view file) const {
    SentencePieceModel model = load_sentencepiece_model(path_ / file);
    SentencePieceOptions options;
    for (const SentencePieceModel::Piece& piece : model.pieces) options.tokens.push_back(piece.text);
    add_listed_tokens(options);
    const std::string begin = special("bos_token", "<s>"), end = special("eos_token", "</s>");
    for (const std::string& token : {begin, end, special("unk_token", "<unk>")})
      options.added_tokens.push_back({.text = token});
    const auto around = [&](std::vector<TemplatePiece>& pieces, const char* text) {
      if (flag("add_bos_token", true)) pieces.push_back({begin});
      pieces.push_back({text});
      if (flag("add_eos_token", false)) pieces.push_back({end});
    };
    options.single.clear();
    around(options.single, "$A");
    options.pair = options.single;
    around(options.pair, "$B");
    options.one_prefix = !flag("legacy", true);
    return make(file, std::move(model), std::move(options));
  }

  [[nodiscard]] Index number(const char* key, Index most, Index otherwise) const {
    for (const TokenizerJson& config : configs_) {
      if (const Json* value = TokenizerJson::find(config.root(), key)) return config.number(*value, most, key);
    }
    return otherwise;
  }

  // Limits, so that a file cannot ask for more memory than it is worth: of ids without a token, and of extra_ids.
  static constexpr Index kMostUnused = Index{1} << 20, kMostExtra = Index{1} << 14;

  std::filesystem::path path_;
  const FolderContents& contents_;
  std::vector<TokenizerJson> configs_;  // in the order in which they count
};

}}}  // namespace rapt::RAPT_ABI::detail
