/// \file
/// What the files of a Hugging Face folder say to the task that the model is used for, besides the model's settings.
#pragma once

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/io/json.hpp"
#include "rapt/pretrained/folder_contents.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// What texts begin with by "default_prompt_name" of a sentence-transformers folder; empty without such a prompt.
/// Throws IoError for a name that "prompts" do not have.
[[nodiscard]] inline std::string default_prompt(const std::filesystem::path& folder, std::string_view where) {
  const std::filesystem::path file = folder / "config_sentence_transformers.json";
  if (!std::filesystem::exists(file)) return {};
  const nlohmann::json json = read_json_object(file, where);
  const nlohmann::json name = json.value("default_prompt_name", nlohmann::json());
  if (name.is_null()) return {};
  const nlohmann::json prompts = json.value("prompts", nlohmann::json());
  const bool is_known = name.is_string() && prompts.is_object() && prompts.contains(name.get<std::string>());
  const nlohmann::json prompt = is_known ? prompts[name.get<std::string>()] : nlohmann::json();
  require<IoError>(prompt.is_string(), where, file.string(), ": \"prompts\" have no text for \"default_prompt_name\": ",
                   name.is_string() ? quote_name(name.get<std::string>()) : describe(name));
  return prompt.get<std::string>();
}

/// The texts with a prompt before each; nothing for an empty prompt, with which texts stay as they are.
[[nodiscard]] inline std::vector<std::string> with_prompt(const std::string& prompt,
                                                          std::span<const std::string> texts) {
  std::vector<std::string> prompted;
  if (prompt.empty()) return prompted;
  prompted.reserve(texts.size());
  for (const std::string& text : texts) prompted.push_back(prompt + text);
  return prompted;
}

}  // namespace detail

/// config.json and the settings of the tokenizer that no tokenizer needs itself.
class TaskFolder {
 public:
  /// Throws IoError for a folder without a config.json and for files that are no JSON objects. `where` is for messages
  /// and must live as long as this.
  TaskFolder(const std::filesystem::path& path, std::string_view where) : path_(path), where_(where) {
    const detail::FolderContents contents(path, where, "config.json and model.safetensors");
    if (!contents.has("config.json")) contents.refuse_without("no config.json");
    config_ = detail::read_json_object(path / "config.json", where);
    for (const auto& [name, json] : {std::pair{"tokenizer_config.json", &tokenizer_config_},
                                     std::pair{"special_tokens_map.json", &special_tokens_}}) {
      if (contents.has(name)) *json = detail::read_json_object(path / name, where);
    }
  }

  /// The folder.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const nlohmann::json& config() const { return config_; }
  /// "bert", ...; empty if config.json does not say.
  [[nodiscard]] std::string model_type() const { return text(config_, "model_type", "config.json").value_or(""); }
  /// "BertForTokenClassification", ...: transformers' class for the model, empty if config.json does not say.
  [[nodiscard]] std::string architecture() const {
    const auto found = config_.find("architectures");
    const bool is_named = found != config_.end() && found->is_array() && !found->empty() && found->front().is_string();
    return is_named ? found->front().get<std::string>() : std::string();
  }
  /// "regression", "single_label_classification" or "multi_label_classification", if config.json says.
  [[nodiscard]] std::optional<std::string> problem_type() const { return text(config_, "problem_type", "config.json"); }

  /// The greatest number of tokens of a text, with special tokens, if tokenizer_config.json says.
  [[nodiscard]] std::optional<Index> model_max_length() const {
    const auto found = tokenizer_config_.find("model_max_length");
    constexpr double kUnlimited = 1e9;  // a tokenizer without a limit writes 10^30
    if (found == tokenizer_config_.end() || found->is_null()) return std::nullopt;
    require<IoError>(found->is_number() && found->get<double>() >= 1, where_, file("tokenizer_config.json"),
                     ": \"model_max_length\" must be a number of at least 1: ", detail::describe(*found));
    if (found->get<double>() >= kUnlimited) return std::nullopt;
    return static_cast<Index>(found->get<double>());
  }
  /// The number of tokens of the longest text, with special tokens, that both the tokenizer and a model of so many
  /// positions take.
  [[nodiscard]] Index longest(Index positions) const {
    return std::min(positions, model_max_length().value_or(positions));
  }
  /// Whether texts are cut off at their beginnings, if tokenizer_config.json says on which side they are.
  [[nodiscard]] std::optional<bool> cuts_left() const {
    const auto side = text(tokenizer_config_, "truncation_side", "tokenizer_config.json");
    if (!side) return std::nullopt;
    require<IoError>(*side == "left" || *side == "right", where_, file("tokenizer_config.json"),
                     ": \"truncation_side\" must be \"left\" or \"right\": ", detail::quote_name(*side));
    return *side == "left";
  }
  /// False if the model must not be told which of two texts a token is of.
  [[nodiscard]] bool takes_token_types() const {
    const auto names = tokenizer_config_.find("model_input_names");
    return names == tokenizer_config_.end() || !names->is_array() ||
           std::find(names->begin(), names->end(), "token_type_ids") != names->end();
  }
  /// A special token such as "mask_token", which a file gives as a text or as an object with its "content".
  [[nodiscard]] std::optional<std::string> special_token(const char* key) const {
    for (const auto& [name, json] : {std::pair{"tokenizer_config.json", &tokenizer_config_},
                                     std::pair{"special_tokens_map.json", &special_tokens_}}) {
      const auto found = json->find(key);
      if (found == json->end() || found->is_null()) continue;
      return found->is_object() ? text(*found, "content", name) : text(*json, key, name);
    }
    return std::nullopt;
  }
  /// The path of a file of the folder, whether it is there or not.
  [[nodiscard]] std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  [[nodiscard]] std::optional<std::string> text(const nlohmann::json& json, const char* key, const char* name) const {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) return std::nullopt;
    require<IoError>(found->is_string(), where_, file(name), ": \"", key,
                     "\" must be a string: ", detail::describe(*found));
    return found->get<std::string>();
  }

  std::filesystem::path path_;
  std::string_view where_;
  nlohmann::json config_;
  nlohmann::json tokenizer_config_ = nlohmann::json::object(), special_tokens_ = nlohmann::json::object();
};

}}  // namespace rapt::RAPT_ABI
