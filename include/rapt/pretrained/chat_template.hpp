/// \file
/// Chat templates: how the turns of a dialogue become the text that a model was trained on, as its folder says in
/// Jinja.
///
/// ```cpp
/// const auto chat = rapt::ChatTemplate::load("Qwen2.5-0.5B-Instruct");
/// const std::vector<rapt::ChatMessage> messages = {{"user", "Hello!"}};
/// const std::string text = chat.render(messages);
/// ```
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/local_time.hpp"
#include "rapt/io/gguf.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/gguf_model.hpp"
#include "rapt/pretrained/tokenizer_folder.hpp"
#include "rapt/text/jinja/template.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A turn of a dialogue: who speaks ("system", "user", "assistant", or another role that the template knows), and what.
struct ChatMessage {
  std::string role, content;  ///< who speaks, and what
  friend bool operator==(const ChatMessage&, const ChatMessage&) = default;
};

/// What a template is given beside the messages.
struct ChatTemplateOptions {
  bool begins_answer = true;            ///< the text ends where the assistant's answer begins (add_generation_prompt)
  std::optional<std::time_t> now = {};  ///< the time that strftime_now tells, in local time; unset: the present
  JinjaValue::Map variables = {};       ///< further ones that the template knows, such as enable_thinking
};

namespace detail {

/// The time in a format of strftime, with English names whatever the program's locale is, as models have learned them.
/// Throws ValueError for a format that gives more than 1,000 bytes or has a zero byte in it.
[[nodiscard]] inline std::string format_time(const std::string& format, std::time_t time) {
  std::tm parts{};
  require(local_time(time, parts), "chat_template", "there is no such time: ", std::int64_t{time});
  require(format.find('\0') == std::string::npos, "chat_template", "a format of the time has a zero byte");
  std::array<char, 1002> text{};
  const std::string marked = format + "|";  // so that the result is never empty
  const std::size_t size = format_in_english(text, marked.c_str(), parts);
  require(size > 0, "chat_template", "a format of the time is too long: ", quote_name(format));
  return {text.data(), size - 1};
}

}  // namespace detail

/// The chat template of a model, with the special tokens that it may name. A const one may be used from many threads.
class ChatTemplate {
 public:
  /// `special_tokens`: bos_token, eos_token and so on, where the template names them. `name` stands in messages. Throws
  /// IoError for a template that cannot be parsed (see JinjaTemplate).
  explicit ChatTemplate(std::string text, JinjaValue::Map special_tokens = {}, std::string name = "chat_template")
      : text_(std::move(text)), template_(text_, std::move(name)), special_tokens_(std::move(special_tokens)) {}

  /// The template of a folder: chat_template.jinja, or else "chat_template" in tokenizer_config.json (of several the
  /// one of the name "default"); or of a GGUF file. Throws IoError for a path without one.
  [[nodiscard]] static ChatTemplate load(const std::filesystem::path& path) {
    if (detail::is_gguf(path)) return load_gguf(path);
    const detail::FolderContents contents(path, kWhere, "chat_template.jinja or tokenizer_config.json");
    const detail::TokenizerFolder settings(path, contents);
    JinjaValue::Map tokens;
    std::string text, name;
    for (const detail::TokenizerJson& config : settings.configs()) {
      for (const char* const key :
           {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
        const bool is_known =
            std::any_of(tokens.begin(), tokens.end(), [&](const auto& one) { return one.first == key; });
        if (!is_known && detail::TokenizerJson::find(config.root(), key) != nullptr) {
          tokens.emplace_back(key, settings.special(key, ""));
        }
      }
      const nlohmann::json* const found = detail::TokenizerJson::find(config.root(), "chat_template");
      if (found != nullptr && name.empty()) {
        name = config.file();
        text = of_setting(*found, name);
      }
    }
    if (contents.has("chat_template.jinja")) {
      name = (path / "chat_template.jinja").string();
      text = detail::read_text_file(name);
    }
    if (name.empty()) {
      contents.refuse(
          "the folder has no chat template: no chat_template.jinja, and no \"chat_template\" in "
          "tokenizer_config.json");
    }
    return ChatTemplate(std::move(text), std::move(tokens), std::move(name));
  }

  /// The dialogue as the model was trained on it. Throws ValueError that names the template's line for what it refuses,
  /// such as turns of the same speaker behind one another.
  [[nodiscard]] std::string render(std::span<const ChatMessage> messages,
                                   const ChatTemplateOptions& options = {}) const {
    JinjaValue::List list;
    for (const ChatMessage& one : messages) {
      for (const std::string& text : {one.role, one.content}) {
        const auto invalid = find_invalid_utf8(text);
        if (invalid) fail(kWhere, "a message is not UTF-8: byte ", *invalid + 1, " of ", text.size());
      }
      list.emplace_back(JinjaValue::Map{{"role", one.role}, {"content", one.content}});
    }
    return render(JinjaValue(std::move(list)), options);
  }
  /// The same of messages with further entries, such as tool_calls, as a template expects them.
  [[nodiscard]] std::string render(JinjaValue messages, const ChatTemplateOptions& options = {}) const {
    JinjaTemplate::Environment environment;
    environment.variables = options.variables;  // the first of a name counts
    environment.variables.emplace_back("messages", std::move(messages));
    environment.variables.emplace_back("add_generation_prompt", options.begins_answer);
    environment.variables.emplace_back("tools", JinjaValue::None());
    environment.variables.emplace_back("documents", JinjaValue::None());
    for (const auto& token : special_tokens_) environment.variables.push_back(token);
    environment.now = [time = options.now.value_or(std::time(nullptr))](const std::string& format) {
      return detail::format_time(format, time);
    };
    return template_.render(environment);
  }

  /// The template itself, as the folder has it.
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  static constexpr std::string_view kWhere = "chat_template";

  [[nodiscard]] static ChatTemplate load_gguf(const std::filesystem::path& path) {
    const GgufFile file(path);
    const auto* const text = file.find<std::string>("tokenizer.chat_template");
    require<IoError>(text != nullptr, kWhere, file.path(), ": the file has no chat template");
    JinjaValue::Map tokens;
    const auto* const names = file.find<std::vector<std::string>>("tokenizer.ggml.tokens");
    for (const auto& [key, token] :
         {std::pair{"tokenizer.ggml.bos_token_id", "bos_token"}, std::pair{"tokenizer.ggml.eos_token_id", "eos_token"},
          std::pair{"tokenizer.ggml.unknown_token_id", "unk_token"},
          std::pair{"tokenizer.ggml.padding_token_id", "pad_token"}}) {
      const std::int64_t id = file.integer(key, -1);
      if (names != nullptr && id >= 0 && id < std::ssize(*names)) tokens.emplace_back(token, at(*names, id));
    }
    return ChatTemplate(*text, std::move(tokens), file.path());
  }
  /// A text, or a list of objects with name and template.
  [[nodiscard]] static std::string of_setting(const nlohmann::json& json, const std::string& file) {
    if (json.is_string()) return json.get<std::string>();
    if (json.is_array()) {
      for (const nlohmann::json& one : json) {
        if (!one.is_object() || one.value("name", nlohmann::json()) != "default") continue;
        const auto text = one.find("template");
        if (text != one.end() && text->is_string()) return text->get<std::string>();
      }
    }
    fail<IoError>(kWhere, file, ": \"chat_template\" is neither a text nor a list with one of the name \"default\"");
  }

  std::string text_;
  JinjaTemplate template_;
  JinjaValue::Map special_tokens_;
};

}}  // namespace rapt::RAPT_ABI
