/// \file
/// The tokenizers in GGUF files: SentencePiece's pieces ("llama", which Gemma's files have, too) and byte-level byte
/// pair encoding ("gpt2").
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/io/gguf.hpp"
#include "rapt/pretrained/tokenizer_json.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/pretrained/tokenizer_json_writer.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/sentencepiece.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// How a family's tokenizer splits texts: "tokenizer.ggml.pre".
struct GgufSplit {
  std::string_view name;
  ByteLevelPattern pattern;
  bool ignores_merges = false;  ///< a piece that is a token is not made by merges
  bool is_composed = false;     ///< characters are composed first (NFC), as transformers does
  bool begins = false;          ///< texts begin with the begin token where the file does not say
};
inline constexpr auto kGgufSplits =
    std::to_array<GgufSplit>({{"gpt-2", ByteLevelPattern::gpt2},
                              {"llama-bpe", ByteLevelPattern::llama3, true, false, true},
                              {"llama3", ByteLevelPattern::llama3, true, false, true},
                              {"llama-v3", ByteLevelPattern::llama3, true, false, true},
                              {"qwen2", ByteLevelPattern::qwen2, false, true},
                              {"deepseek-r1-qwen", ByteLevelPattern::qwen2, false, true},
                              {"gpt-4o", ByteLevelPattern::o200k, true}});

/// Reads the tokenizer of a file.
class GgufTokenizer {
 public:
  using Json = nlohmann::json;

  /// The file must outlive this. Throws IoError for a file without a tokenizer.
  explicit GgufTokenizer(const GgufFile& file)
      : file_(file), tokens_(list<std::string>("tokens")), types_(list<std::int64_t>("token_type")) {
    check(tokens_ != nullptr && !tokens_->empty(), "holds no tokenizer: tokenizer.ggml.tokens is missing or empty");
    check(types_ == nullptr || types_->size() == tokens_->size(), "has ", types_ == nullptr ? 0 : types_->size(),
          " token types for ", tokens_->size(), " tokens");
  }

  /// Throws IoError for a tokenizer of another kind.
  [[nodiscard]] PretrainedTokenizer read() const {
    const std::string model = text("model");
    if (model == "llama") return read_sentencepiece();
    check(model == "gpt2", "tokenizer.ggml.model is ", quote_name(model), ", known are \"llama\" and \"gpt2\"");
    return read_byte_level();
  }

 private:
  using Type = SentencePieceModel::PieceType;  // llama.cpp has SentencePiece's numbers

  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    if (!condition) fail<IoError>("tokenizer", file_.path(), ": ", pieces...);
  }
  [[nodiscard]] static std::string key(const char* name) { return std::string("tokenizer.ggml.") + name; }
  template <class T>
  [[nodiscard]] const std::vector<T>* list(const char* name) const {
    return file_.find<std::vector<T>>(key(name));
  }
  [[nodiscard]] std::string text(const char* name) const {
    const auto* const found = file_.find<std::string>(key(name));
    return found == nullptr ? std::string() : *found;
  }
  [[nodiscard]] bool flag(const char* name, bool otherwise) const {
    const auto* const found = file_.find<bool>(key(name));
    return found == nullptr ? otherwise : *found;
  }
  [[nodiscard]] Type type(std::size_t id) const {
    if (types_ == nullptr) return Type::normal;
    const std::int64_t number = (*types_)[id];
    check(number >= 1 && number <= 6, "token ", id, " has the type ", number, ", wanted are 1 to 6");
    return static_cast<Type>(number);
  }
  /// The text of a special token; empty if the file names none.
  [[nodiscard]] std::string special(const char* name) const {
    const auto* const id = file_.find<std::int64_t>(key(name));
    if (id == nullptr) return {};
    check(*id >= 0 && *id < std::ssize(*tokens_), quote_name(key(name)), " is ", *id, ", the file has ",
          tokens_->size(), " tokens");
    const std::string& token = at(*tokens_, *id);
    check(token != "$A" && token != "$B", quote_name(key(name)), " is the token ", quote_name(token),
          ", which stands for a text in tokenizer.json and cannot be a special token");
    return token;
  }

  /// What stands around a text.
  [[nodiscard]] std::vector<TemplatePiece> around(const char* text, bool begins) const {
    const std::string begin = special("bos_token_id"), end = special("eos_token_id");
    std::vector<TemplatePiece> pieces;
    if (!begin.empty() && flag("add_bos_token", begins)) pieces.push_back({begin});
    pieces.push_back({text});
    if (!end.empty() && flag("add_eos_token", false)) pieces.push_back({end});
    return pieces;
  }
  [[nodiscard]] std::vector<TemplatePiece> around_pair(bool begins) const {
    std::vector<TemplatePiece> pieces = around("$A", begins);
    for (TemplatePiece& piece : around("$B", begins)) pieces.push_back(std::move(piece));
    return pieces;
  }

  /// Pieces with scores are joined as SentencePiece's byte pair encoding does.
  [[nodiscard]] SentencePiece read_sentencepiece() const {
    const auto* const scores = list<double>("scores");
    check(scores != nullptr && scores->size() == tokens_->size(), "has ", scores == nullptr ? 0 : scores->size(),
          " scores for ", tokens_->size(), " tokens");
    SentencePieceModel model{.kind = SentencePieceModel::Kind::bpe};
    model.normalization.add_dummy_prefix = flag("add_space_prefix", true);
    model.normalization.remove_extra_whitespaces = flag("remove_extra_whitespaces", false);
    SentencePieceOptions options;
    for (std::size_t id = 0; id < tokens_->size(); ++id) {
      const Type kind = type(id);
      model.pieces.push_back({(*tokens_)[id], static_cast<float>((*scores)[id]), kind});
      model.byte_fallback = model.byte_fallback || kind == Type::byte;
      if (kind == Type::control || kind == Type::unknown) options.added_tokens.push_back({.text = (*tokens_)[id]});
    }
    options.single = around("$A", true);
    options.pair = around_pair(true);
    return from_file(file_.path(), [&] { return SentencePiece(std::move(model), std::move(options)); });
  }

  /// What the file holds as the tokenizer.json that it was made of.
  [[nodiscard]] PretrainedTokenizer read_byte_level() const {
    const std::string pre = text("pre");
    const auto split =
        std::find_if(kGgufSplits.begin(), kGgufSplits.end(), [&](const GgufSplit& one) { return one.name == pre; });
    std::string known;
    for (const GgufSplit& one : kGgufSplits) known += (known.empty() ? "" : ", ") + std::string(one.name);
    check(split != kGgufSplits.end(), "tokenizer.ggml.pre is ", quote_name(pre), ", known are ", known);
    const auto* const merges = list<std::string>("merges");
    check(merges != nullptr, "has no tokenizer.ggml.merges");
    Json vocabulary = Json::object(), added = Json::array();
    for (std::size_t id = 0; id < tokens_->size(); ++id) {
      const std::string& token = (*tokens_)[id];
      vocabulary[token] = id;
      if (const Type kind = type(id); kind == Type::control || kind == Type::user_defined) {
        added.push_back({{"id", id}, {"content", token}, {"special", kind == Type::control}, {"normalized", false}});
      }
    }
    Json steps = Json::array();
    if (const std::string_view expression = expression_of_pattern(split->pattern); !expression.empty()) {
      steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}});
    }
    steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", steps.empty()}});
    Json json = {{"added_tokens", std::move(added)},
                 {"normalizer", split->is_composed ? Json::object({{"type", "NFC"}}) : Json()},
                 {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}},
                 {"post_processor", templates_to_json(around("$A", split->begins), around_pair(split->begins),
                                                      [&](const std::string& token) { return vocabulary[token]; })},
                 {"decoder", {{"type", "ByteLevel"}}},
                 {"model",
                  {{"type", "BPE"},
                   {"ignore_merges", split->ignores_merges},
                   {"merges", *merges},
                   {"vocab", std::move(vocabulary)}}}};
    return TokenizerJsonReader(TokenizerJson(std::move(json), file_.path())).read();
  }

  const GgufFile& file_;
  const std::vector<std::string>* tokens_;
  const std::vector<std::int64_t>* types_;  // null: all are normal
};

}}}  // namespace rapt::RAPT_ABI::detail
