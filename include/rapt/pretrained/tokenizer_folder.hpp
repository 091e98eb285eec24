/// \file
/// The settings beside a tokenizer's files: tokenizer_config.json, special_tokens_map.json and what config.json says of
/// the tokenizer.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/shape.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/languages.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The settings of a folder's tokenizer, whatever its kind.
class TokenizerFolder {
 public:
  using Json = nlohmann::json;

  /// `contents` must live as long as this.
  TokenizerFolder(const std::filesystem::path& path, const FolderContents& contents)
      : path_(path), contents_(contents) {
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
      if (contents.has(name)) configs_.emplace_back(path / name);
    }
  }

  /// "T5", "Llama", ...: of the tokenizer's class, or else of the model's type.
  [[nodiscard]] std::string family() const {
    for (const TokenizerJson& config : configs_) {
      if (TokenizerJson::find(config.root(), "tokenizer_class") == nullptr) continue;
      return family_of_class(config.text(config.root(), "tokenizer_class", ""));
    }
    if (!contents_.has("config.json")) return {};
    const TokenizerJson config(path_ / "config.json");
    if (TokenizerJson::find(config.root(), "tokenizer_class") != nullptr) {
      return family_of_class(config.text(config.root(), "tokenizer_class", ""));
    }
    if (TokenizerJson::find(config.root(), "model_type") == nullptr) return {};
    const std::string& type = config.text(config.root(), "model_type", "");
    static constexpr std::pair<std::string_view, std::string_view> kFamilies[] = {{"t5", "T5"},
                                                                                  {"mt5", "T5"},
                                                                                  {"llama", "Llama"},
                                                                                  {"mistral", "Llama"},
                                                                                  {"mixtral", "Llama"},
                                                                                  {"gemma", "Gemma"},
                                                                                  {"gemma2", "Gemma"},
                                                                                  {"gemma3", "Gemma"},
                                                                                  {"gemma3_text", "Gemma"},
                                                                                  {"pegasus", "Pegasus"},
                                                                                  {"mbart", "MBart"},
                                                                                  {"m2m_100", "M2M100"},
                                                                                  {"xlm-roberta", "XLMRoberta"},
                                                                                  {"albert", "Albert"},
                                                                                  {"bart", "Bart"},
                                                                                  {"roberta", "Roberta"}};
    for (const auto& [name, family] : kFamilies) {
      if (name == type) return std::string(family);
    }
    return type;
  }

  /// Where the model expects languages; nothing for models of one language, or of languages that no token tells.
  [[nodiscard]] std::optional<LanguageScheme> language_scheme() const {
    const std::string family = this->family();
    LanguageScheme scheme{.end = special("eos_token", "</s>")};
    if (family == "MBart") {
      scheme.behind_text = scheme.begins_target = true;
    } else if (family == "Nllb") {
      scheme.behind_text = flag("legacy_behaviour", false);
    } else if (family == "M2M100") {
      scheme.underlined = true;
    } else if (family != "MBart50") {
      return std::nullopt;
    }
    scheme.source = special("src_lang", family == "Nllb" ? "eng_Latn" : scheme.underlined ? "en" : "en_XX");
    return scheme;
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

  [[nodiscard]] Index number(const char* key, Index most, Index otherwise) const {
    for (const TokenizerJson& config : configs_) {
      if (const Json* value = TokenizerJson::find(config.root(), key)) return config.number(*value, most, key);
    }
    return otherwise;
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const FolderContents& contents() const { return contents_; }
  [[nodiscard]] const std::vector<TokenizerJson>& configs() const { return configs_; }

 private:
  /// The name of a class without what all tokenizers' have behind it.
  [[nodiscard]] static std::string family_of_class(std::string name) {
    for (const std::string_view end : {"Fast", "Tokenizer"}) {
      if (name.ends_with(end)) name.erase(name.size() - end.size());
    }
    return name;
  }

  std::filesystem::path path_;
  const FolderContents& contents_;
  std::vector<TokenizerJson> configs_;  // in the order in which they count
};

}}}  // namespace rapt::RAPT_ABI::detail
