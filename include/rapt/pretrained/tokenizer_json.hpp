/// \file
/// Hugging Face's tokenizer.json, read.
///
/// A file names the components of a tokenizer. What GPT-2, RoBERTa and Llama 3 are made of becomes a ByteLevelBpe, what
/// BERT is made of a WordPiece, and all else a ComposedTokenizer. A component that is not known is an error that names
/// it, as text would be cut otherwise than the model has learned. "padding" is passed over: rapt has none.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/pretrained/clean_up_keys.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/pretrained/tokenizer_parts_json.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/byte_level_bpe.hpp"
#include "rapt/text/byte_level_names.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/composed_tokenizer.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/sentencepiece.hpp"
#include "rapt/text/wordpiece.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a file or a folder can hold.
using PretrainedTokenizer = std::variant<ByteLevelBpe, WordPiece, SentencePiece, ComposedTokenizer>;

namespace detail {

inline constexpr std::array<std::pair<std::string_view, Truncation::Strategy>, 3> kTruncationStrategies = {
    {{"LongestFirst", Truncation::Strategy::longest_first},
     {"OnlyFirst", Truncation::Strategy::only_first},
     {"OnlySecond", Truncation::Strategy::only_second}}};

/// Reads the components of a tokenizer.json.
class TokenizerJsonReader {
 public:
  using Json = nlohmann::json;

  explicit TokenizerJsonReader(const std::filesystem::path& path) : json_(path) {}
  explicit TokenizerJsonReader(TokenizerJson json) : json_(std::move(json)) {}

  [[nodiscard]] PretrainedTokenizer read(const CleanUpSpaces& cleans_up = {}) {
    const Json& root = json_.root();
    const Json& model = json_.object(root, "model", "");
    // Files of old do not say what their model is.
    const std::string kind = model.contains("type")     ? json_.text(model, "type", "model.")
                             : model.contains("merges") ? "BPE"
                             : model.contains("unk_id") ? "Unigram"
                                                        : "WordPiece";
    if (kind != "BPE" && kind != "WordPiece" && kind != "WordLevel" && kind != "Unigram") {
      json_.unsupported("model", quote_name(kind));
    }
    UnigramModel unigram;
    const Json numbered = kind == "Unigram" ? read_unigram(model, unigram) : Json();
    const Json& vocabulary = kind == "Unigram" ? numbered : json_.object(model, "vocab", "model.");
    std::vector<std::string> more = read_added_tokens(root, vocabulary);
    tokens_ = json_.names_by_id(vocabulary, "model.vocab", more);
    for (std::size_t i = 0; i < more.size(); ++i) {
      options_.only_added.push_back(static_cast<TokenId>(vocabulary.size() + i));
    }
    if (const Json* truncation = TokenizerJson::find(root, "truncation")) read_truncation(*truncation);
    if (const Json* processor = TokenizerJson::find(root, "post_processor")) {
      for_each_step(json_, *processor, "post_processor", "processors",
                    [&](const Json& step, const std::string& part) { read_post_processor_step(step, part); });
    }
    options_.normalizer = parts_.normalizer(root);
    options_.pre_tokenizer = parts_.pre_tokenizer(root);
    options_.decoder = parts_.decoder(root);
    options_.unused = std::move(tokens_.unused);
    options_.clean_up_spaces = kind == "BPE" ? cleans_up.of_bpe : cleans_up.of_others;
    if (kind == "BPE") {
      CharacterBpeModel bpe = read_bpe(model);
      if (const auto pattern = byte_level_pattern(bpe, vocabulary)) return make_byte_level(std::move(bpe), *pattern);
      return make_composed(std::move(bpe));
    }
    if (kind == "Unigram") return make_composed(std::move(unigram));
    if (kind == "WordLevel") return make_composed(WordLevelModel{json_.text(model, "unk_token", "model.")});
    WordPieceModel wordpiece = read_wordpiece(model);
    return is_bert(wordpiece) ? make_wordpiece(std::move(wordpiece)) : make_composed(std::move(wordpiece));
  }

 private:
  /// Returns those that are not in the vocabulary. Tokens without text, and of tokens with the same text all but the
  /// first, are passed over, as Hugging Face's tokenizers do.
  [[nodiscard]] std::vector<std::string> read_added_tokens(const Json& root, const Json& vocabulary) {
    std::vector<std::string> more;
    if (TokenizerJson::find(root, "added_tokens") == nullptr) return more;
    const Json& list = json_.array(root, "added_tokens", "");
    std::set<std::string_view> known;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string part = "added_tokens[" + std::to_string(i) + "]";
      json_.check(list[i].is_object(), part, "must be an object");
      const std::string dot = part + ".";
      const std::string& text = json_.text(list[i], "content", dot);
      AddedToken token{.text = text,
                       .special = json_.flag(list[i], "special", false, dot),
                       .normalized = json_.flag(list[i], "normalized", true, dot),
                       .strip_left = json_.flag(list[i], "lstrip", false, dot),
                       .strip_right = json_.flag(list[i], "rstrip", false, dot),
                       .single_word = json_.flag(list[i], "single_word", false, dot)};
      const Json* id = TokenizerJson::find(list[i], "id");
      json_.check(id != nullptr, dot + "id", "must be a whole number");
      const Index number = json_.number(*id, std::numeric_limits<TokenId>::max() - 1, dot + "id");
      if (text.empty() || !known.insert(text).second) continue;
      const auto in_vocabulary = vocabulary.find(text);
      if (in_vocabulary == vocabulary.end()) {
        const std::size_t next = vocabulary.size() + more.size();
        json_.check(number == static_cast<Index>(next), dot + "id", "must be ", next,
                    ", the number of tokens before it: ", quote_name(text), " has ", number);
        more.push_back(text);
      } else {
        const Index known_id = json_.number(*in_vocabulary, std::numeric_limits<TokenId>::max() - 1,
                                            "model.vocab: the id of " + quote_name(text));
        json_.check(known_id == number, "added_tokens", "the id of ", quote_name(text), " is ", number, ", but ",
                    known_id, " in the vocabulary");
      }
      options_.added_tokens.push_back(std::move(token));
    }
    return more;
  }

  void read_truncation(const Json& truncation) {
    json_.check(truncation.is_object(), "truncation", "must be an object");
    const std::string& strategy = json_.text(truncation, "strategy", "truncation.");
    const auto known = std::find_if(kTruncationStrategies.begin(), kTruncationStrategies.end(),
                                    [&](const auto& one) { return one.first == strategy; });
    if (known == kTruncationStrategies.end()) json_.unsupported("truncation.strategy", quote_name(strategy));
    options_.truncation.strategy = known->second;
    if (TokenizerJson::find(truncation, "direction") != nullptr) {
      const auto& direction = json_.text(truncation, "direction", "truncation.");
      if (direction != "Right" && direction != "Left") json_.unsupported("truncation.direction", quote_name(direction));
      options_.truncation.left = direction == "Left";
    }
    const Json* length = TokenizerJson::find(truncation, "max_length");
    json_.check(length != nullptr, "truncation.max_length", "must be a whole number");
    options_.truncation.max_tokens =
        json_.number(*length, std::numeric_limits<TokenId>::max(), "truncation.max_length");
    if (options_.truncation.max_tokens == 0) options_.truncation = {};  // no limit
  }

  void read_post_processor_step(const Json& processor, const std::string& part) {
    const std::string& type = json_.type(processor, part);
    const std::string dot = part + ".";
    if (type == "TemplateProcessing") {
      options_.single = read_template(processor, "single", dot);
      options_.pair = read_template(processor, "pair", dot);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      const std::string first = read_token_of(processor, "cls", dot), last = read_token_of(processor, "sep", dot);
      options_.single = {{first}, {"$A"}, {last}};
      if (type == "BertProcessing") {
        options_.pair = {{first}, {"$A"}, {last}, {"$B", 1}, {last, 1}};
      } else {
        options_.pair = {{first}, {"$A"}, {last}, {last}, {"$B"}, {last}};
      }
    } else if (type != "ByteLevel") {
      json_.unsupported(part, quote_name(type));
    }
    if ((type == "ByteLevel" || type == "RobertaProcessing") && json_.flag(processor, "trim_offsets", true, dot)) {
      options_.trimmings.push_back({.keeps_first = json_.flag(processor, "add_prefix_space", true, dot)});
    }
  }

  /// [name, id] of a token.
  [[nodiscard]] std::string read_token_of(const Json& processor, const char* key, const std::string& dot) const {
    const Json& pair = json_.array(processor, key, dot);
    json_.check(pair.size() == 2 && pair[0].is_string(), dot + key, "must be a name and an id");
    check_token(pair[0].get_ref<const std::string&>(), pair[1], dot + key);
    return pair[0].get<std::string>();
  }
  void check_token(const std::string& name, const Json& id, const std::string& part) const {
    const Index number = json_.number(id, static_cast<Index>(tokens_.names.size()) - 1, part + ": the id");
    const std::string& known = tokens_.names[static_cast<std::size_t>(number)];
    json_.check(known == name, part, "the id of ", quote_name(name), " is ", number, ", but that is ",
                quote_name(known), " in the vocabulary");
  }

  [[nodiscard]] std::vector<TemplatePiece> read_template(const Json& processor, const char* key,
                                                         const std::string& dot) const {
    std::vector<TemplatePiece> pieces;
    const std::string part = dot + key;
    for (const Json& item : json_.array(processor, key, dot)) {
      json_.check(item.is_object() && item.size() == 1, part, "must be a list of Sequence and SpecialToken");
      const bool is_text = item.contains("Sequence");
      if (!is_text && !item.contains("SpecialToken")) json_.unsupported(part, quote_name(item.items().begin().key()));
      const Json& content = json_.object(item, is_text ? "Sequence" : "SpecialToken", part + ".");
      const Json* type = TokenizerJson::find(content, "type_id");
      json_.check(type != nullptr, part + ".type_id", "must be a whole number");
      const std::string& id = json_.text(content, "id", part + ".");
      json_.check(!is_text || id == "A" || id == "B", part + ".id", "must be \"A\" or \"B\"");
      pieces.push_back(
          {is_text ? "$" + id : name_of_special(processor, id, dot),
           static_cast<TokenId>(json_.number(*type, std::numeric_limits<TokenId>::max(), part + ".type_id"))});
    }
    return pieces;
  }
  [[nodiscard]] std::string name_of_special(const Json& processor, const std::string& id,
                                            const std::string& dot) const {
    const std::string part = dot + "special_tokens";
    const Json& all = json_.object(processor, "special_tokens", dot);
    const Json* found = TokenizerJson::find(all, id.c_str());
    json_.check(found != nullptr && found->is_object(), part, quote_name(id), " is missing");
    const Json& ids = json_.array(*found, "ids", part + ".");
    const Json& names = json_.array(*found, "tokens", part + ".");
    if (ids.size() != 1 || names.size() != 1) json_.unsupported(part, quote_name(id) + ", which is not one token");
    const std::string& name = json_.text(names[0], part + ".tokens");
    check_token(name, ids[0], part);
    return name;
  }

  [[nodiscard]] CharacterBpeModel read_bpe(const Json& model) const {
    CharacterBpeModel bpe;
    const auto text = [&](const char* key) {
      return TokenizerJson::find(model, key) == nullptr ? std::string() : json_.text(model, key, "model.");
    };
    bpe.unknown = text("unk_token");
    bpe.prefix = text("continuing_subword_prefix");
    bpe.suffix = text("end_of_word_suffix");
    if (const Json* dropout = TokenizerJson::find(model, "dropout"); dropout != nullptr && *dropout != 0) {
      json_.unsupported("model", "dropout");
    }
    bpe.fuse_unknown = json_.flag(model, "fuse_unk", false, "model.");
    bpe.byte_fallback = json_.flag(model, "byte_fallback", false, "model.");
    bpe.ignore_merges = json_.flag(model, "ignore_merges", false, "model.");
    for (const Json& merge : json_.array(model, "merges", "model.")) {
      const std::string part = "model.merges[" + std::to_string(bpe.merges.size()) + "]";
      if (merge.is_array()) {
        json_.check(merge.size() == 2 && merge[0].is_string() && merge[1].is_string(), part, "must be two names");
        bpe.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      } else {
        const std::string& line = json_.text(merge, part);
        const std::size_t space = line.find(' ');
        json_.check(space != line.npos && line.find(' ', space + 1) == line.npos, part,
                    "must be two names with a space between them: ", quote_name(line));
        bpe.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
      }
    }
    return bpe;
  }
  /// Returns the vocabulary with ids: that of the file is a list of names and scores.
  [[nodiscard]] Json read_unigram(const Json& model, UnigramModel& unigram) const {
    Json vocabulary = Json::object();
    for (const Json& entry : json_.array(model, "vocab", "model.")) {
      const std::string part = "model.vocab[" + std::to_string(unigram.scores.size()) + "]";
      json_.check(entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_number(), part,
                  "must be a name and a score");
      const auto [at, is_new] = vocabulary.emplace(entry[0].get<std::string>(), unigram.scores.size());
      json_.check(is_new, part, "a name must occur once: ", quote_name(at.key()));
      unigram.scores.push_back(entry[1].get<double>());
    }
    if (const Json* unknown = TokenizerJson::find(model, "unk_id")) {
      unigram.unknown =
          static_cast<TokenId>(json_.number(*unknown, std::numeric_limits<TokenId>::max(), "model.unk_id"));
    }
    unigram.byte_fallback = json_.flag(model, "byte_fallback", false, "model.");
    return vocabulary;
  }
  [[nodiscard]] WordPieceModel read_wordpiece(const Json& model) const {
    WordPieceModel wordpiece{.unknown = json_.text(model, "unk_token", "model."),
                             .prefix = json_.text(model, "continuing_subword_prefix", "model.")};
    if (const Json* most = TokenizerJson::find(model, "max_input_chars_per_word")) {
      wordpiece.max_word_characters =
          json_.number(*most, std::numeric_limits<std::int32_t>::max(), "model.max_input_chars_per_word");
    }
    return wordpiece;
  }

  /// True if the rest is as ByteLevelBpe and WordPiece can have it.
  [[nodiscard]] bool is_plain() const {
    const Truncation plain{.max_tokens = options_.truncation.max_tokens};
    return options_.truncation == plain && std::none_of(options_.added_tokens.begin(), options_.added_tokens.end(),
                                                        [](const AddedToken& token) { return token.single_word; });
  }
  /// True if the token of a byte that texts can have is missing.
  [[nodiscard]] static bool has_unknown_bytes(const Json& vocabulary) {
    for (int byte = 0; byte < 0xF5; ++byte) {
      if (byte == 0xC0 || byte == 0xC1) continue;
      if (!vocabulary.contains(name_of_bytes(std::string(1, static_cast<char>(byte))))) return true;
    }
    return false;
  }
  /// The pattern of a ByteLevelBpe, if the file is one.
  [[nodiscard]] std::optional<ByteLevelPattern> byte_level_pattern(const CharacterBpeModel& bpe,
                                                                   const Json& vocabulary) const {
    const auto& steps = options_.pre_tokenizer;
    if (!is_plain() || !options_.normalizer.empty() || !bpe.prefix.empty() || !bpe.suffix.empty() ||
        bpe.byte_fallback || options_.trimmings.size() > 1 || steps.empty() || steps.size() > 2 || !options_.decoder ||
        options_.decoder->size() != 1 || !std::holds_alternative<ByteLevelDecoding>(options_.decoder->front())) {
      return std::nullopt;
    }
    const auto* bytes = std::get_if<ByteLevelSplit>(&steps.back());
    if (bytes == nullptr || has_unknown_bytes(vocabulary)) return std::nullopt;
    if (steps.size() == 1) return bytes->use_pattern ? ByteLevelPattern::gpt2 : ByteLevelPattern::none;
    const auto* split = std::get_if<PatternSplit>(&steps.front());
    if (split == nullptr || bytes->use_pattern || bytes->add_prefix_space) return std::nullopt;
    return known_pattern(*split);
  }
  [[nodiscard]] PretrainedTokenizer make_byte_level(CharacterBpeModel bpe, ByteLevelPattern pattern) {
    ByteLevelBpeOptions options{
        .pattern = pattern,
        .add_prefix_space = std::get<ByteLevelSplit>(options_.pre_tokenizer.back()).add_prefix_space,
        .ignore_merges = bpe.ignore_merges,
        .unknown = bpe.unknown,
        .fuse_unknown = bpe.fuse_unknown,
        .trim_spans = !options_.trimmings.empty(),
        .trim_keeps_first = !options_.trimmings.empty() && options_.trimmings[0].keeps_first};
    set_common(options);
    return from_file(json_.file(),
                     [&] { return ByteLevelBpe(std::move(tokens_.names), bpe.merges, std::move(options)); });
  }

  [[nodiscard]] bool is_bert(const WordPieceModel& wordpiece) const {
    const auto& normalizer = options_.normalizer;
    const auto& steps = options_.pre_tokenizer;
    if (!is_plain() || normalizer.size() > 1 || steps.size() != 1 || !std::holds_alternative<BertSplit>(steps[0]) ||
        (normalizer.size() == 1 && !std::holds_alternative<BertStep>(normalizer[0])) || !options_.trimmings.empty() ||
        !options_.decoder || options_.decoder->size() != 1) {
      return false;
    }
    const auto* decoding = std::get_if<WordPieceDecoding>(&options_.decoder->front());
    return decoding != nullptr && decoding->prefix == wordpiece.prefix;
  }
  [[nodiscard]] PretrainedTokenizer make_wordpiece(WordPieceModel wordpiece) {
    const auto& normalizer = options_.normalizer;
    const BertStep bert = normalizer.empty() ? BertStep{false, false, {}, false} : std::get<BertStep>(normalizer[0]);
    WordPieceOptions options{.lowercase = bert.lowercase,
                             .strip_accents = bert.strip_accents,
                             .clean_text = bert.clean_text,
                             .separate_chinese = bert.separate_chinese,
                             .unknown = wordpiece.unknown,
                             .prefix = wordpiece.prefix,
                             .max_word_characters = wordpiece.max_word_characters,
                             .cleanup = std::get<WordPieceDecoding>(options_.decoder->front()).cleanup};
    set_common(options);
    return from_file(json_.file(), [&] { return WordPiece(std::move(tokens_.names), std::move(options)); });
  }
  [[nodiscard]] PretrainedTokenizer make_composed(PieceModel model) {
    return from_file(json_.file(), [&] {
      return ComposedTokenizer(std::move(tokens_.names), std::move(model), std::move(options_));
    });
  }

  template <class Options>
  void set_common(Options& options) {
    options.clean_up_spaces = options_.clean_up_spaces;
    options.unused = std::move(options_.unused);
    options.added_tokens = std::move(options_.added_tokens);
    options.single = std::move(options_.single);
    options.pair = std::move(options_.pair);
    options.max_tokens = options_.truncation.max_tokens;
  }

  TokenizerJson json_;
  TokenizerPartsReader parts_{json_};
  NamesById tokens_;
  ComposedTokenizerOptions options_;  // what all kinds of tokenizers have
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
