/// \file
/// Hugging Face's tokenizer.json, read and written, for byte-level byte pair encoding and for WordPiece.
///
/// A file names the components of a tokenizer. Those that GPT-2, RoBERTa, Llama 3 and BERT are made of are known; any
/// other is an error that names it, as text would be cut otherwise than the model has learned. "padding" is passed
/// over: rapt has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/text/byte_level_bpe.hpp"
#include "rapt/text/sentencepiece.hpp"
#include "rapt/text/wordpiece.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a file or a folder can hold.
using PretrainedTokenizer = std::variant<ByteLevelBpe, WordPiece, SentencePiece>;

namespace detail {

/// `clean_up_spaces` of either kind of tokenizer, which no tokenizer.json says.
struct CleanUpSpaces {
  bool of_bpe = false, of_wordpiece = false;
};

/// Reads the components of a tokenizer.json.
class TokenizerJsonReader {
 public:
  using Json = nlohmann::json;

  explicit TokenizerJsonReader(const std::filesystem::path& path) : json_(path) {}

  [[nodiscard]] PretrainedTokenizer read(const CleanUpSpaces& cleans_up = {}) {
    const Json& root = json_.root();
    const Json& model = json_.object(root, "model", "");
    // Files of old do not say what their model is.
    const std::string kind = model.contains("type")     ? json_.text(model, "type", "model.")
                             : model.contains("merges") ? "BPE"
                                                        : "WordPiece";
    if (kind != "BPE" && kind != "WordPiece") json_.unsupported("model", quote_name(kind));
    const Json& vocabulary = json_.object(model, "vocab", "model.");
    tokens_ = json_.names_by_id(vocabulary, "model.vocab", read_added_tokens(root, vocabulary));
    if (const Json* truncation = TokenizerJson::find(root, "truncation")) read_truncation(*truncation);
    if (const Json* processor = TokenizerJson::find(root, "post_processor")) {
      read_post_processor(*processor, kind == "BPE");
    }
    if (kind == "BPE") return read_bpe(root, model, cleans_up.of_bpe);
    return read_wordpiece(root, model, cleans_up.of_wordpiece);
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
                       .strip_right = json_.flag(list[i], "rstrip", false, dot)};
      if (json_.flag(list[i], "single_word", false, dot)) json_.unsupported(part, "single_word");
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
      added_tokens_.push_back(std::move(token));
    }
    return more;
  }

  void read_truncation(const Json& truncation) {
    json_.check(truncation.is_object(), "truncation", "must be an object");
    if (const auto& strategy = json_.text(truncation, "strategy", "truncation."); strategy != "LongestFirst") {
      json_.unsupported("truncation.strategy", quote_name(strategy));
    }
    if (TokenizerJson::find(truncation, "direction") != nullptr) {
      const auto& direction = json_.text(truncation, "direction", "truncation.");
      if (direction != "Right") json_.unsupported("truncation.direction", quote_name(direction));
    }
    const Json* length = TokenizerJson::find(truncation, "max_length");
    json_.check(length != nullptr, "truncation.max_length", "must be a whole number");
    max_tokens_ = json_.number(*length, std::numeric_limits<TokenId>::max(), "truncation.max_length");
  }

  /// A Sequence may hold others.
  void read_post_processor(const Json& processor, bool is_bpe) {
    std::vector<std::pair<const Json*, std::string>> steps = {{&processor, "post_processor"}};  // the next one last
    while (!steps.empty()) {
      const auto [step, part] = std::move(steps.back());
      steps.pop_back();
      if (json_.type(*step, part) != "Sequence") {
        read_post_processor_step(*step, part, is_bpe);
        continue;
      }
      const Json& inner = json_.array(*step, "processors", part + ".");
      for (auto one = inner.rbegin(); one != inner.rend(); ++one)
        steps.emplace_back(&*one, "post_processor.processors");
    }
  }
  void read_post_processor_step(const Json& processor, const std::string& part, bool is_bpe) {
    const std::string& type = json_.type(processor, part);
    const std::string dot = part + ".";
    if (type == "TemplateProcessing") {
      single_ = read_template(processor, "single", dot);
      pair_ = read_template(processor, "pair", dot);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      const std::string first = read_token_of(processor, "cls", dot), last = read_token_of(processor, "sep", dot);
      single_ = {{first}, {"$A"}, {last}};
      if (type == "BertProcessing") {
        pair_ = {{first}, {"$A"}, {last}, {"$B", 1}, {last, 1}};
      } else {
        pair_ = {{first}, {"$A"}, {last}, {last}, {"$B"}, {last}};
      }
    } else if (type != "ByteLevel" || !is_bpe) {
      json_.unsupported(part, quote_name(type));
    }
    if (is_bpe && (type == "ByteLevel" || type == "RobertaProcessing")) {
      trim_spans_ = json_.flag(processor, "trim_offsets", true, dot);
      trim_keeps_first_ = json_.flag(processor, "add_prefix_space", true, dot);
    } else if (type == "RobertaProcessing" && json_.flag(processor, "trim_offsets", true, dot)) {
      json_.unsupported(part, "trim_offsets with WordPiece");
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

  [[nodiscard]] PretrainedTokenizer read_bpe(const Json& root, const Json& model, bool cleans_up) {
    ByteLevelBpeOptions options;
    options.clean_up_spaces = cleans_up;
    if (const Json* normalizer = TokenizerJson::find(root, "normalizer")) {
      json_.unsupported("normalizer", quote_name(json_.type(*normalizer, "normalizer")));
    }
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json* affix = TokenizerJson::find(model, key);
      if (affix != nullptr && *affix != "") json_.unsupported("model", key);
    }
    if (const Json* dropout = TokenizerJson::find(model, "dropout"); dropout != nullptr && *dropout != 0) {
      json_.unsupported("model", "dropout");
    }
    options.ignore_merges = json_.flag(model, "ignore_merges", false, "model.");
    read_pre_tokenizer(root, options);
    if (const Json* decoder = TokenizerJson::find(root, "decoder")) {
      if (const auto& type = json_.type(*decoder, "decoder"); type != "ByteLevel") {
        json_.unsupported("decoder", quote_name(type));
      }
    }
    options.trim_spans = trim_spans_;
    options.trim_keeps_first = trim_spans_ && trim_keeps_first_;
    set_common(options);
    std::vector<ByteLevelBpe::Merge> merges;
    for (const Json& merge : json_.array(model, "merges", "model.")) {
      const std::string part = "model.merges[" + std::to_string(merges.size()) + "]";
      if (merge.is_array()) {
        json_.check(merge.size() == 2 && merge[0].is_string() && merge[1].is_string(), part, "must be two names");
        merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      } else {
        const std::string& line = json_.text(merge, part);
        const std::size_t space = line.find(' ');
        json_.check(space != line.npos && line.find(' ', space + 1) == line.npos, part,
                    "must be two names with a space between them: ", quote_name(line));
        merges.emplace_back(line.substr(0, space), line.substr(space + 1));
      }
    }
    return from_file(json_.file(), [&] { return ByteLevelBpe(std::move(tokens_.names), merges, std::move(options)); });
  }

  void read_pre_tokenizer(const Json& root, ByteLevelBpeOptions& options) const {
    const std::string part = "pre_tokenizer";
    const Json& pre_tokenizer = json_.object(root, "pre_tokenizer", "");
    std::vector<const Json*> steps = {&pre_tokenizer};
    if (json_.type(pre_tokenizer, part) == "Sequence") {
      steps.clear();
      for (const Json& step : json_.array(pre_tokenizer, "pretokenizers", part + ".")) steps.push_back(&step);
    }
    bool is_split = false, is_byte_level = false;
    for (const Json* step : steps) {
      const std::string& type = json_.type(*step, part);
      if (type == "Split" && !is_split && !is_byte_level) {
        const Json* regex = TokenizerJson::find(json_.object(*step, "pattern", part + "."), "Regex");
        json_.check(regex != nullptr, part + ".pattern", "must be a Regex");
        const std::string& pattern = json_.text(*regex, part + ".pattern.Regex");
        if (pattern != kGpt2Pattern && pattern != kLlama3Pattern) {
          json_.unsupported(part, "a Split by the pattern " + quote_name(pattern));
        }
        const std::string& behavior = json_.text(*step, "behavior", part + ".");
        if (behavior != "Isolated" || json_.flag(*step, "invert", false, part + ".")) {
          json_.unsupported(part, "a Split that is not Isolated, or inverted");
        }
        options.pattern = pattern == kGpt2Pattern ? ByteLevelPattern::gpt2 : ByteLevelPattern::llama3;
        is_split = true;
      } else if (type == "ByteLevel" && !is_byte_level) {
        options.add_prefix_space = json_.flag(*step, "add_prefix_space", true, part + ".");
        const bool use_regex = json_.flag(*step, "use_regex", true, part + ".");
        if (is_split && (use_regex || options.add_prefix_space)) {
          json_.unsupported(part, "a Split before a ByteLevel with use_regex or add_prefix_space");
        }
        if (!is_split) options.pattern = use_regex ? ByteLevelPattern::gpt2 : ByteLevelPattern::none;
        is_byte_level = true;
      } else {
        json_.unsupported(part, quote_name(type) + (type == "Split" || type == "ByteLevel" ? " in this place" : ""));
      }
    }
    if (!is_byte_level) json_.unsupported(part, "byte pair encoding without ByteLevel");
  }

  [[nodiscard]] PretrainedTokenizer read_wordpiece(const Json& root, const Json& model, bool cleans_up) {
    WordPieceOptions options;
    options.clean_up_spaces = cleans_up;
    options.lowercase = options.clean_text = options.separate_chinese = false;
    if (const Json* normalizer = TokenizerJson::find(root, "normalizer")) {
      const std::string& type = json_.type(*normalizer, "normalizer");
      if (type != "BertNormalizer") json_.unsupported("normalizer", quote_name(type));
      options.clean_text = json_.flag(*normalizer, "clean_text", true, "normalizer.");
      options.separate_chinese = json_.flag(*normalizer, "handle_chinese_chars", true, "normalizer.");
      options.lowercase = json_.flag(*normalizer, "lowercase", true, "normalizer.");
      if (TokenizerJson::find(*normalizer, "strip_accents") != nullptr) {
        options.strip_accents = json_.flag(*normalizer, "strip_accents", true, "normalizer.");
      }
    }
    const std::string& pre_tokenizer = json_.type(json_.object(root, "pre_tokenizer", ""), "pre_tokenizer");
    if (pre_tokenizer != "BertPreTokenizer") json_.unsupported("pre_tokenizer", quote_name(pre_tokenizer));
    options.unknown = json_.text(model, "unk_token", "model.");
    options.prefix = json_.text(model, "continuing_subword_prefix", "model.");
    const Json* most = TokenizerJson::find(model, "max_input_chars_per_word");
    if (most != nullptr) {
      options.max_word_characters =
          json_.number(*most, std::numeric_limits<std::int32_t>::max(), "model.max_input_chars_per_word");
    }
    if (const Json* decoder = TokenizerJson::find(root, "decoder")) {
      const std::string& type = json_.type(*decoder, "decoder");
      if (type != "WordPiece") json_.unsupported("decoder", quote_name(type));
      options.cleanup = json_.flag(*decoder, "cleanup", true, "decoder.");
    }
    set_common(options);
    return from_file(json_.file(), [&] { return WordPiece(std::move(tokens_.names), std::move(options)); });
  }

  template <class Options>
  void set_common(Options& options) {
    options.unused = std::move(tokens_.unused);
    options.added_tokens = std::move(added_tokens_);
    options.single = std::move(single_);
    options.pair = std::move(pair_);
    options.max_tokens = max_tokens_;
  }

  TokenizerJson json_;
  std::vector<AddedToken> added_tokens_;
  NamesById tokens_;
  std::vector<TemplatePiece> single_ = {{"$A"}}, pair_ = {{"$A"}, {"$B", 1}};
  bool trim_spans_ = false, trim_keeps_first_ = false;
  Index max_tokens_ = 0;
};

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
