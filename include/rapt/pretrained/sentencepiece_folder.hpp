/// \file
/// Tokenizers of folders with SentencePiece's files: which ids the pieces have, which special tokens are put around a
/// text, and which tokens are found in it, as transformers' tokenizer classes say.
#pragma once

#include <algorithm>
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
#include "rapt/pretrained/language_codes.hpp"
#include "rapt/pretrained/languages.hpp"
#include "rapt/pretrained/sentencepiece_file.hpp"
#include "rapt/pretrained/tokenizer_folder.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/sentencepiece.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// RoBERTa's `<s> A </s>` and `<s> A </s> </s> B </s>`.
template <class Options>
void set_roberta_templates(Options& options, const std::string& begin, const std::string& end) {
  options.single = {{begin}, {"$A"}, {end}};
  options.pair = {{begin}, {"$A"}, {end}, {end}, {"$B"}, {end}};
}

/// Reads the tokenizer of a folder.
class SentencePieceFolder : private TokenizerFolder {
 public:
  /// `contents` must live as long as this.
  SentencePieceFolder(const std::filesystem::path& path, const FolderContents& contents)
      : TokenizerFolder(path, contents) {}

  /// The folder's model file; of two languages the source's. Empty if it has none.
  [[nodiscard]] static std::string model_file(const FolderContents& contents) {
    if (contents.has("source.spm")) return "source.spm";
    const auto found = contents.names_that([](const std::string& name) { return is_sentencepiece(name); });
    return found.empty() ? std::string() : found.front();
  }

  [[nodiscard]] SentencePiece read() const {
    const std::string file = model_file(contents());
    if (file == "source.spm") return read_marian(file, "vocab.json");
    const std::string family = this->family();
    if (family == "T5" || family == "MT5") return read_t5(file);
    if (family == "Llama") return read_decoder(file, {.begin = "<s>", .end = "</s>"});
    if (family == "Gemma") return read_decoder(file, {.begin = "<bos>", .end = "<eos>", .pad = "<pad>"});
    if (family == "Pegasus") return read_pegasus(file);
    if (family == "M2M100") return read_m2m100(file);
    if (family == "Barthez") return read_barthez(file);
    if (family == "XLMRoberta") return read_fairseq(file, {});
    if (family == "Nllb") return read_fairseq(file, language_codes(kNllbLanguages));
    if (family == "MBart" || family == "MBart50") {
      std::vector<std::string> languages = language_codes(kMBartLanguages);
      if (family == "MBart") languages.resize(kLanguagesOfMBart);
      return read_fairseq(file, languages);
    }
    contents().refuse("the folder has " + quote_name(file) +
                      ", but what its model adds to SentencePiece is known of MarianMT, T5, Llama, Gemma, Pegasus, "
                      "mBART, mBART-50, NLLB, M2M100, XLM-RoBERTa and BARThez alone: " +
                      (family.empty() ? "tokenizer_config.json and config.json name no family" : "this is " + family));
  }

  /// The tokenizer of the other language, if the folder has one.
  [[nodiscard]] std::optional<SentencePiece> read_target() const {
    if (!contents().has("source.spm") || !contents().has("target.spm")) return std::nullopt;
    return read_marian("target.spm", flag("separate_vocabs", false) ? "target_vocab.json" : "vocab.json");
  }

 private:
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
    for (const TokenizerJson& config : configs()) {
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
    if (contents().has("added_tokens.json")) {
      added.emplace(path() / "added_tokens.json");
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
    return from_file((path() / file).string(), [&] { return SentencePiece(std::move(model), std::move(options)); });
  }

  /// The ids of pieces are those of a vocabulary beside the models of both languages, and sources and targets end with
  /// the end token.
  [[nodiscard]] SentencePiece read_marian(std::string_view file, std::string_view vocabulary) const {
    if (!contents().has(vocabulary)) contents().refuse_without("no " + std::string(vocabulary));
    const TokenizerJson json(path() / vocabulary);
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
    return make(file, load_sentencepiece_model(path() / file), std::move(options));
  }

  /// "<extra_id_0>" and the others have the ids behind the pieces, the last one first, and texts end with the end
  /// token.
  [[nodiscard]] SentencePiece read_t5(std::string_view file) const {
    SentencePieceModel model = load_sentencepiece_model(path() / file);
    SentencePieceOptions options;
    for (const SentencePieceModel::Piece& piece : model.pieces) options.tokens.push_back(piece.text);
    const Index extra = number("extra_ids", kMostExtra, 100);
    add_listed_tokens(options);
    for (Index i = extra; i-- > 0;) {
      const std::string text = "<extra_id_" + std::to_string(i) + ">";
      set_token(options, std::ssize(model.pieces) + extra - 1 - i, text, contents().path());
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

  /// The names of special tokens where the folder does not say them; empty: there is none.
  struct UsualTokens {
    std::string begin, end, pad = {};
  };
  /// Texts begin with the begin token, and end with the end token if add_eos_token says so.
  [[nodiscard]] SentencePiece read_decoder(std::string_view file, const UsualTokens& usual) const {
    SentencePieceModel model = load_sentencepiece_model(path() / file);
    SentencePieceOptions options;
    for (const SentencePieceModel::Piece& piece : model.pieces) options.tokens.push_back(piece.text);
    add_listed_tokens(options);
    const std::string begin = special("bos_token", usual.begin), end = special("eos_token", usual.end);
    for (const std::string& token : {begin, end, special("unk_token", "<unk>")})
      options.added_tokens.push_back({.text = token});
    if (!usual.pad.empty()) options.added_tokens.push_back({.text = special("pad_token", usual.pad)});
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

  /// "<s>", "<pad>", "</s>" and "<unk>" are the first tokens, as in fairseq. They are followed by the pieces without
  /// the first three, which are the unknown one and the two ends, by the languages, and by the mask token. Texts stand
  /// between begin and end, or with the token of their language.
  [[nodiscard]] SentencePiece read_fairseq(std::string_view file, const std::vector<std::string>& languages) const {
    SentencePieceModel model = load_sentencepiece_model(path() / file);
    using Type = SentencePieceModel::PieceType;
    const std::vector<SentencePieceModel::Piece>& pieces = model.pieces;
    require<IoError>(pieces.size() > 3 && pieces[0].type == Type::unknown && pieces[1].type == Type::control &&
                         pieces[2].type == Type::control,
                     "tokenizer", (path() / file).string(),
                     ": the first three pieces must be the unknown one and two control pieces, with others behind: "
                     "there are ",
                     pieces.size(), " pieces");
    const std::string begin = special("bos_token", "<s>"), end = special("eos_token", "</s>"),
                      pad = special("pad_token", "<pad>"), mask = special("mask_token", "<mask>");
    SentencePieceOptions options;
    options.unknown = special("unk_token", "<unk>");
    options.tokens = {begin, pad, end, options.unknown};
    for (std::size_t i = 3; i < pieces.size(); ++i) options.tokens.push_back(pieces[i].text);
    options.tokens.insert(options.tokens.end(), languages.begin(), languages.end());
    options.tokens.push_back(mask);
    add_listed_tokens(options);
    for (const std::string& token : {begin, pad, end, options.unknown}) options.added_tokens.push_back({.text = token});
    for (const std::string& language : languages) options.added_tokens.push_back({.text = language});
    options.added_tokens.push_back({.text = mask, .strip_left = true});
    if (const auto scheme = language_scheme()) {
      options.single = scheme->pieces(scheme->source);
      options.pair = scheme->pieces(scheme->source, /*second=*/true);
    } else {
      set_roberta_templates(options, begin, end);
    }
    return make(file, std::move(model), std::move(options));
  }

  /// The pieces are the tokens, and texts stand between begin and end.
  [[nodiscard]] SentencePiece read_barthez(std::string_view file) const {
    SentencePieceModel model = load_sentencepiece_model(path() / file);
    SentencePieceOptions options;
    for (const SentencePieceModel::Piece& piece : model.pieces) options.tokens.push_back(piece.text);
    add_listed_tokens(options);
    const std::string begin = special("bos_token", "<s>"), end = special("eos_token", "</s>"),
                      mask = special("mask_token", "<mask>");
    for (const std::string& token : {begin, end, special("pad_token", "<pad>"), special("unk_token", "<unk>")}) {
      options.added_tokens.push_back({.text = token});
    }
    if (std::find(options.tokens.begin(), options.tokens.end(), mask) != options.tokens.end()) {
      options.added_tokens.push_back({.text = mask, .strip_left = true});
    }
    set_roberta_templates(options, begin, end);
    return make(file, std::move(model), std::move(options));
  }

  /// The ids of pieces are those of vocab.json, behind which the languages stand; a text stands between its language
  /// and the end token.
  [[nodiscard]] SentencePiece read_m2m100(std::string_view file) const {
    if (!contents().has("vocab.json")) contents().refuse_without("no vocab.json");
    const TokenizerJson json(path() / "vocab.json");
    SentencePieceOptions options;
    options.tokens = json.names_by_id(json.root(), "the vocabulary").names;
    options.unknown = special("unk_token", "<unk>");
    const LanguageScheme scheme = language_scheme().value();
    const bool is_wmt21 = special("language_codes", "m2m100") == "wmt21";
    Index id = static_cast<Index>(json.root().size());
    for (const std::string& language : language_codes(is_wmt21 ? kWmt21Languages : kM2M100Languages)) {
      set_token(options, id++, scheme.token(language), json.file());
      options.added_tokens.push_back({.text = scheme.token(language)});
    }
    add_listed_tokens(options);
    for (const std::string& token :
         {scheme.end, options.unknown, special("pad_token", "<pad>"), special("bos_token", "<s>")}) {
      options.added_tokens.push_back({.text = token});
    }
    options.single = scheme.pieces(scheme.source);
    options.pair = scheme.pieces(scheme.source, /*second=*/true);
    options.strip_decoded = true;
    return make(file, load_sentencepiece_model(path() / file), std::move(options));
  }

  /// The ids of pieces are `offset` higher, but for the first two, which are padding and end. Between them stand the
  /// mask tokens of sentences and words and "<unk_2>" and the others, which pretraining uses. Texts end with the end
  /// token.
  [[nodiscard]] SentencePiece read_pegasus(std::string_view file) const {
    SentencePieceModel model = load_sentencepiece_model(path() / file);
    require<IoError>(model.pieces.size() > 2, "tokenizer", (path() / file).string(),
                     ": Pegasus needs more than two pieces: there are ", model.pieces.size());
    const Index offset = number("offset", kMostExtra, 103);
    const std::string pad = special("pad_token", "<pad>"), end = special("eos_token", "</s>");
    SentencePieceOptions options;
    options.unknown = special("unk_token", "<unk>");
    options.tokens = {pad, end};
    if (offset > 1) {
      for (const std::string& token : {special("mask_token_sent", "<mask_1>"), special("mask_token", "<mask_2>")}) {
        options.tokens.push_back(token);
        options.added_tokens.push_back({.text = token});
      }
      for (Index i = 2; i < offset; ++i) {
        options.tokens.push_back("<unk_" + std::to_string(i) + ">");
        options.added_tokens.push_back({.text = options.tokens.back()});
      }
    }
    for (std::size_t i = 2; i < model.pieces.size(); ++i) options.tokens.push_back(model.pieces[i].text);
    add_listed_tokens(options);
    for (const std::string& token : {pad, end, options.unknown}) options.added_tokens.push_back({.text = token});
    options.single = {{"$A"}, {end}};
    options.pair = {{"$A"}, {"$B"}, {end}};
    return make(file, std::move(model), std::move(options));
  }

  // Limits, so that a file cannot ask for more memory than it is worth: of ids without a token, of extra_ids, and of
  // Pegasus' tokens for pretraining.
  static constexpr Index kMostUnused = Index{1} << 20, kMostExtra = Index{1} << 14;
};

}}}  // namespace rapt::RAPT_ABI::detail
