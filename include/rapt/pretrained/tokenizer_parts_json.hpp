/// \file
/// The parts of a tokenizer.json as the steps of a ComposedTokenizer: normalizer, pre_tokenizer and decoder, read from
/// JSON and written as JSON. Needs utf8proc and PCRE2.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/text/base64.hpp"
#include "rapt/text/normalizer.hpp"
#include "rapt/text/pattern.hpp"
#include "rapt/text/pre_tokenizer.hpp"
#include "rapt/text/token_decoder.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

inline constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kSplitBehaviors = {
    {{"Removed", SplitBehavior::removed},
     {"Isolated", SplitBehavior::isolated},
     {"MergedWithPrevious", SplitBehavior::merged_with_previous},
     {"MergedWithNext", SplitBehavior::merged_with_next},
     {"Contiguous", SplitBehavior::contiguous}}};
inline constexpr std::array<std::pair<std::string_view, MetaspaceSplit::Prepend>, 3> kPrependSchemes = {
    {{"always", MetaspaceSplit::Prepend::always},
     {"first", MetaspaceSplit::Prepend::first},
     {"never", MetaspaceSplit::Prepend::never}}};
inline constexpr std::array<std::pair<std::string_view, NormalFormOptions>, 4> kNormalForms = {
    {{"NFC", {true, false}}, {"NFD", {false, false}}, {"NFKC", {true, true}}, {"NFKD", {false, true}}}};

/// Calls use(step, part) for a component, or for those of a Sequence, which may hold others, in order.
template <class Use>
void for_each_step(const TokenizerJson& json, const nlohmann::json& component, const std::string& name,
                   const char* list, const Use& use) {
  std::vector<std::pair<const nlohmann::json*, std::string>> steps = {{&component, name}};  // the next one last
  while (!steps.empty()) {
    const auto [step, part] = std::move(steps.back());
    steps.pop_back();
    if (json.type(*step, part) != "Sequence") {
      use(*step, part);
      continue;
    }
    const nlohmann::json& inner = json.array(*step, list, part + ".");
    for (auto one = inner.rbegin(); one != inner.rend(); ++one) steps.emplace_back(&*one, name + "." + list);
  }
}

/// Reads the parts; whatever is wrong is an IoError that names the file and the part.
class TokenizerPartsReader {
 public:
  using Json = nlohmann::json;

  explicit TokenizerPartsReader(const TokenizerJson& json) : json_(json) {}

  [[nodiscard]] std::vector<NormalizerStep> normalizer(const Json& root) const {
    std::vector<NormalizerStep> steps;
    if (const Json* component = TokenizerJson::find(root, "normalizer")) {
      for_each_step(json_, *component, "normalizer", "normalizers",
                    [&](const Json& step, const std::string& part) { steps.push_back(normalizer_step(step, part)); });
    }
    return steps;
  }
  [[nodiscard]] std::vector<PreTokenizerStep> pre_tokenizer(const Json& root) const {
    std::vector<PreTokenizerStep> steps;
    if (const Json* component = TokenizerJson::find(root, "pre_tokenizer")) {
      for_each_step(
          json_, *component, "pre_tokenizer", "pretokenizers",
          [&](const Json& step, const std::string& part) { steps.push_back(pre_tokenizer_step(step, part)); });
    }
    return steps;
  }
  [[nodiscard]] std::optional<std::vector<DecoderStep>> decoder(const Json& root) const {
    const Json* component = TokenizerJson::find(root, "decoder");
    if (component == nullptr) return std::nullopt;
    std::vector<DecoderStep> steps;
    for_each_step(json_, *component, "decoder", "decoders",
                  [&](const Json& step, const std::string& part) { steps.push_back(decoder_step(step, part)); });
    return steps;
  }

 private:
  [[nodiscard]] NormalizerStep normalizer_step(const Json& step, const std::string& part) const {
    const std::string& type = json_.type(step, part);
    const std::string dot = part + ".";
    for (const auto& [name, form] : kNormalForms) {
      if (type == name) return form;
    }
    if (type == "Lowercase") return LowercaseStep{};
    if (type == "StripAccents") return StripMarksStep{};
    if (type == "Nmt") return NmtStep{};
    if (type == "ByteLevel") return ByteNamesStep{};
    if (type == "Prepend") return PrependStep{json_.text(step, "prepend", dot)};
    if (type == "Replace") return replace_step(step, dot);
    if (type == "Precompiled") {
      auto rules = from_base64(json_.text(step, "precompiled_charsmap", dot));
      json_.check(rules.has_value(), dot + "precompiled_charsmap", "must be Base64");
      return PrecompiledStep{std::move(*rules)};
    }
    if (type == "Strip") {
      return StripStep{json_.flag(step, "strip_left", true, dot), json_.flag(step, "strip_right", true, dot)};
    }
    if (type == "BertNormalizer") {
      BertStep bert{.clean_text = json_.flag(step, "clean_text", true, dot),
                    .separate_chinese = json_.flag(step, "handle_chinese_chars", true, dot),
                    .lowercase = json_.flag(step, "lowercase", true, dot)};
      if (TokenizerJson::find(step, "strip_accents") != nullptr) {
        bert.strip_accents = json_.flag(step, "strip_accents", true, dot);
      }
      return bert;
    }
    json_.unsupported(part, quote_name(type));
  }

  [[nodiscard]] PreTokenizerStep pre_tokenizer_step(const Json& step, const std::string& part) const {
    const std::string& type = json_.type(step, part);
    const std::string dot = part + ".";
    if (type == "WhitespaceSplit") return WhiteSpaceSplit{};
    if (type == "Whitespace") return WordSplit{};
    if (type == "BertPreTokenizer") return BertSplit{};
    if (type == "UnicodeScripts") return ScriptSplit{};
    if (type == "Punctuation") {
      const bool has_behavior = TokenizerJson::find(step, "behavior") != nullptr;
      return PunctuationSplit{has_behavior ? behavior(step, dot) : SplitBehavior::isolated};
    }
    if (type == "Digits") return DigitSplit{json_.flag(step, "individual_digits", false, dot)};
    if (type == "CharDelimiterSplit") return DelimiterSplit{character(step, "delimiter", dot)};
    if (type == "FixedLength") {
      const Json* length = TokenizerJson::find(step, "length");
      return FixedLengthSplit{
          length == nullptr ? 5 : json_.number(*length, std::numeric_limits<std::int32_t>::max(), dot + "length")};
    }
    if (type == "Split") {
      return PatternSplit{pattern(step, dot), behavior(step, dot), json_.flag(step, "invert", false, dot)};
    }
    if (type == "Metaspace") {
      const auto [replacement, prepend] = metaspace(step, dot);
      return MetaspaceSplit{replacement, prepend, json_.flag(step, "split", true, dot)};
    }
    if (type == "ByteLevel") {
      return ByteLevelSplit{json_.flag(step, "add_prefix_space", true, dot), json_.flag(step, "use_regex", true, dot),
                            json_.flag(step, "trim_offsets", true, dot)};
    }
    json_.unsupported(part, quote_name(type));
  }

  [[nodiscard]] DecoderStep decoder_step(const Json& step, const std::string& part) const {
    const std::string& type = json_.type(step, part);
    const std::string dot = part + ".";
    if (type == "ByteLevel") return ByteLevelDecoding{};
    if (type == "ByteFallback") return ByteFallbackDecoding{};
    if (type == "Fuse") return FuseDecoding{};
    if (type == "Replace") return replace_step(step, dot);
    if (type == "BPEDecoder") return SuffixDecoding{json_.text(step, "suffix", dot)};
    if (type == "WordPiece") {
      // Its prefix is that of the model where a file leaves it out.
      return WordPieceDecoding{TokenizerJson::find(step, "prefix") == nullptr ? "##" : json_.text(step, "prefix", dot),
                               json_.flag(step, "cleanup", true, dot)};
    }
    if (type == "CTC") {
      return CtcDecoding{json_.text(step, "pad_token", dot), json_.text(step, "word_delimiter_token", dot),
                         json_.flag(step, "cleanup", true, dot)};
    }
    if (type == "Metaspace") {
      const auto [replacement, prepend] = metaspace(step, dot);
      return MetaspaceDecoding{replacement, prepend, json_.flag(step, "split", true, dot)};
    }
    if (type == "Strip") {
      const auto count = [&](const char* key) {
        const Json* number = TokenizerJson::find(step, key);
        json_.check(number != nullptr, dot + key, "must be a whole number");
        return json_.number(*number, std::numeric_limits<std::int32_t>::max(), dot + key);
      };
      return StripDecoding{character(step, "content", dot), count("start"), count("stop")};
    }
    json_.unsupported(part, quote_name(type));
  }

  [[nodiscard]] std::int32_t character(const Json& step, const char* key, const std::string& dot) const {
    const std::string& text = json_.text(step, key, dot);
    const CodePoint point = text.empty() ? CodePoint{-1, 0} : code_point_at(text, 0);
    json_.check(point.value >= 0 && point.length == text.size(), dot + key,
                "must be one character: ", quote_name(text));
    return point.value;
  }
  [[nodiscard]] Pattern pattern(const Json& step, const std::string& dot) const {
    const Json& pattern = json_.object(step, "pattern", dot);
    if (TokenizerJson::find(pattern, "String") != nullptr) {
      return Pattern::of_string(json_.text(pattern, "String", dot + "pattern."));
    }
    const std::string& expression = json_.text(pattern, "Regex", dot + "pattern.");
    return from_file(json_.file() + ": " + dot + "pattern", [&] { return Pattern::of_expression(expression); });
  }
  [[nodiscard]] ReplaceStep replace_step(const Json& step, const std::string& dot) const {
    return {pattern(step, dot), json_.text(step, "content", dot)};
  }
  [[nodiscard]] SplitBehavior behavior(const Json& step, const std::string& dot) const {
    const std::string& name = json_.text(step, "behavior", dot);
    for (const auto& [known, value] : kSplitBehaviors) {
      if (name == known) return value;
    }
    json_.unsupported(dot + "behavior", quote_name(name));
  }
  /// Files of old have add_prefix_space instead of prepend_scheme.
  [[nodiscard]] std::pair<std::int32_t, MetaspaceSplit::Prepend> metaspace(const Json& step,
                                                                           const std::string& dot) const {
    const std::int32_t replacement = character(step, "replacement", dot);
    const bool adds = json_.flag(step, "add_prefix_space", true, dot);
    if (TokenizerJson::find(step, "prepend_scheme") == nullptr) {
      return {replacement, adds ? MetaspaceSplit::Prepend::always : MetaspaceSplit::Prepend::never};
    }
    const std::string& name = json_.text(step, "prepend_scheme", dot);
    for (const auto& [known, value] : kPrependSchemes) {
      if (name != known) continue;
      json_.check(adds || value == MetaspaceSplit::Prepend::never, dot + "prepend_scheme",
                  "must be \"never\" without add_prefix_space: ", quote_name(name));
      return {replacement, value};
    }
    json_.unsupported(dot + "prepend_scheme", quote_name(name));
  }

  const TokenizerJson& json_;
};

/// Writes the steps as the components of a tokenizer.json.
struct TokenizerPartsWriter {
  using Json = nlohmann::ordered_json;

  [[nodiscard]] static Json normalizer(const std::vector<NormalizerStep>& steps) {
    return sequence("normalizers", steps);
  }
  [[nodiscard]] static Json pre_tokenizer(const std::vector<PreTokenizerStep>& steps) {
    return sequence("pretokenizers", steps);
  }
  [[nodiscard]] static Json decoder(const std::optional<std::vector<DecoderStep>>& steps) {
    if (!steps) return nullptr;
    return steps->empty() ? Json{{"type", "Sequence"}, {"decoders", Json::array()}} : sequence("decoders", *steps);
  }

 private:
  template <class Step>
  [[nodiscard]] static Json sequence(const char* list, const std::vector<Step>& steps) {
    if (steps.empty()) return nullptr;
    Json all = Json::array();
    for (const Step& step : steps) {
      all.push_back(std::visit([](const auto& one) { return to_json(one); }, step));
    }
    return steps.size() == 1 ? all[0] : Json{{"type", "Sequence"}, {list, all}};
  }
  template <class Value, std::size_t size>
  [[nodiscard]] static std::string_view name_of(const std::array<std::pair<std::string_view, Value>, size>& names,
                                                const Value& value) {
    for (const auto& [name, known] : names) {
      if (known == value) return name;
    }
    fail("tokenizer", "an option has no name");
  }
  [[nodiscard]] static std::string text_of(std::int32_t character) {
    std::string text;
    append_code_point(text, character);
    return text;
  }
  [[nodiscard]] static Json pattern(const Pattern& pattern) {
    return {{pattern.is_string() ? "String" : "Regex", pattern.source()}};
  }

  [[nodiscard]] static Json to_json(const NormalFormOptions& form) {
    return {{"type", std::string("NF") + (form.compatible ? "K" : "") + (form.composed ? "C" : "D")}};
  }
  [[nodiscard]] static Json to_json(const LowercaseStep&) { return {{"type", "Lowercase"}}; }
  [[nodiscard]] static Json to_json(const StripStep& step) {
    return {{"type", "Strip"}, {"strip_left", step.left}, {"strip_right", step.right}};
  }
  [[nodiscard]] static Json to_json(const StripMarksStep&) { return {{"type", "StripAccents"}}; }
  [[nodiscard]] static Json to_json(const NmtStep&) { return {{"type", "Nmt"}}; }
  [[nodiscard]] static Json to_json(const ByteNamesStep&) { return {{"type", "ByteLevel"}}; }
  [[nodiscard]] static Json to_json(const PrependStep& step) { return {{"type", "Prepend"}, {"prepend", step.text}}; }
  [[nodiscard]] static Json to_json(const ReplaceStep& step) {
    return {{"type", "Replace"}, {"pattern", pattern(step.pattern)}, {"content", step.content}};
  }
  [[nodiscard]] static Json to_json(const PrecompiledStep& step) {
    return {{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(step.rules)}};
  }
  [[nodiscard]] static Json to_json(const BertStep& step) {
    return {{"type", "BertNormalizer"},
            {"clean_text", step.clean_text},
            {"handle_chinese_chars", step.separate_chinese},
            {"strip_accents", step.strip_accents ? Json(*step.strip_accents) : Json()},
            {"lowercase", step.lowercase}};
  }

  [[nodiscard]] static Json to_json(const WhiteSpaceSplit&) { return {{"type", "WhitespaceSplit"}}; }
  [[nodiscard]] static Json to_json(const WordSplit&) { return {{"type", "Whitespace"}}; }
  [[nodiscard]] static Json to_json(const BertSplit&) { return {{"type", "BertPreTokenizer"}}; }
  [[nodiscard]] static Json to_json(const ScriptSplit&) { return {{"type", "UnicodeScripts"}}; }
  [[nodiscard]] static Json to_json(const PunctuationSplit& step) {
    return {{"type", "Punctuation"}, {"behavior", name_of(kSplitBehaviors, step.behavior)}};
  }
  [[nodiscard]] static Json to_json(const DigitSplit& step) {
    return {{"type", "Digits"}, {"individual_digits", step.individual}};
  }
  [[nodiscard]] static Json to_json(const DelimiterSplit& step) {
    return {{"type", "CharDelimiterSplit"}, {"delimiter", text_of(step.delimiter)}};
  }
  [[nodiscard]] static Json to_json(const FixedLengthSplit& step) {
    return {{"type", "FixedLength"}, {"length", step.length}};
  }
  [[nodiscard]] static Json to_json(const PatternSplit& step) {
    return {{"type", "Split"},
            {"pattern", pattern(step.pattern)},
            {"behavior", name_of(kSplitBehaviors, step.behavior)},
            {"invert", step.invert}};
  }
  [[nodiscard]] static Json to_json(const MetaspaceSplit& step) {
    return {{"type", "Metaspace"},
            {"replacement", text_of(step.replacement)},
            {"prepend_scheme", name_of(kPrependSchemes, step.prepend)},
            {"split", step.split}};
  }
  [[nodiscard]] static Json to_json(const ByteLevelSplit& step) {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", step.add_prefix_space},
            {"trim_offsets", step.trim_offsets},
            {"use_regex", step.use_pattern}};
  }

  [[nodiscard]] static Json to_json(const ByteLevelDecoding&) {
    return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  }
  [[nodiscard]] static Json to_json(const WordPieceDecoding& step) {
    return {{"type", "WordPiece"}, {"prefix", step.prefix}, {"cleanup", step.cleanup}};
  }
  [[nodiscard]] static Json to_json(const MetaspaceDecoding& step) {
    return {{"type", "Metaspace"},
            {"replacement", text_of(step.replacement)},
            {"prepend_scheme", name_of(kPrependSchemes, step.prepend)},
            {"split", step.split}};
  }
  [[nodiscard]] static Json to_json(const SuffixDecoding& step) {
    return {{"type", "BPEDecoder"}, {"suffix", step.suffix}};
  }
  [[nodiscard]] static Json to_json(const CtcDecoding& step) {
    return {{"type", "CTC"},
            {"pad_token", step.padding},
            {"word_delimiter_token", step.word_delimiter},
            {"cleanup", step.cleanup}};
  }
  [[nodiscard]] static Json to_json(const ByteFallbackDecoding&) { return {{"type", "ByteFallback"}}; }
  [[nodiscard]] static Json to_json(const FuseDecoding&) { return {{"type", "Fuse"}}; }
  [[nodiscard]] static Json to_json(const StripDecoding& step) {
    return {{"type", "Strip"}, {"content", text_of(step.character)}, {"start", step.left}, {"stop", step.right}};
  }
};

}}}  // namespace rapt::RAPT_ABI::detail
