/// \file
/// Dialogues in files: keys and values as safetensors, the turns as JSON in the metadata. conversation.hpp includes
/// this.
#pragma once

#include <cmath>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/io/json.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/pipelines/conversation.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// The file of a dialogue, opened and checked as far as that needs no model.
class ConversationFile {
 public:
  static constexpr std::string_view kWhere = "conversation";
  static constexpr const char* kFormat = "rapt conversation 1";

  explicit ConversationFile(const std::filesystem::path& path) : file_(path) {
    check(text("format") == kFormat, "is no file of a dialogue: its format is ", quote_name(text("format")));
    const nlohmann::json json = parse_json_object(text("dialogue"), file_.path(), kWhere);
    const JsonReader reader(kWhere, file_.path());
    const auto read = [&](const char* key, auto& value) { reader.read(key, value_of(json, key), value); };
    const nlohmann::json& list = value_of(json, "messages");
    check(list.is_array(), "\"messages\" must be a list");
    for (const nlohmann::json& one : list) {
      check(one.is_object(), "a message must be an object");
      ChatMessage message;
      reader.read("role", value_of(one, "role"), message.role);
      reader.read("content", value_of(one, "content"), message.content);
      messages_.push_back(std::move(message));
    }
    read("answers", answers_);
    read("dropped_turns", dropped_turns_);
    read("prompt_tokens", prompt_tokens_);
    const nlohmann::json& started = value_of(json, "started");
    check(started.is_number_integer(), "\"started\" must be a whole number");
    started_ = started.get<std::time_t>();
  }

  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    if (!condition) fail<IoError>(kWhere, file_.path(), ": ", pieces...);
  }
  /// An entry of the metadata; empty if there is none.
  [[nodiscard]] std::string text(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    return found == file_.metadata().end() ? std::string() : found->second;
  }
  [[nodiscard]] const SafetensorsFile& file() const { return file_; }
  [[nodiscard]] const std::vector<ChatMessage>& messages() const { return messages_; }
  [[nodiscard]] Index answers() const { return answers_; }
  [[nodiscard]] Index dropped_turns() const { return dropped_turns_; }
  [[nodiscard]] Index prompt_tokens() const { return prompt_tokens_; }
  [[nodiscard]] std::time_t started() const { return started_; }

  /// The tokens that the state has read, all within the vocabulary.
  [[nodiscard]] std::vector<TokenId> tokens(Index vocabulary) const {
    if (!file_.contains("tokens")) return {};
    check(file_.sizes("tokens").size() == 1 && file_.dtype("tokens") == Dtype::kI32,
          "\"tokens\" must be a list of 32-bit integers");
    const Tensor<std::int32_t> stored = file_.read<std::int32_t>("tokens");
    for (const std::int32_t token : stored.values()) {
      check(token >= 0 && token < vocabulary, "the token ", token, " is not in the vocabulary of ", vocabulary);
    }
    return {stored.values().begin(), stored.values().end()};
  }
  /// Fills an empty state of one row with the keys and values of so many tokens.
  void read_state(PrefixState<float>& state, Index tokens) const {
    for (std::size_t i = 0; i < state.layers.size(); ++i) {
      KeyValueCache<float>& layer = state.layers[i];
      const std::string name = layer_name(i);
      const Shape wanted{tokens, layer.keys().cols() + layer.values().cols()};
      require_stored(file_, name, wanted, kWhere);
      const Tensor<float> stored = file_.read<float>(name);
      for (const float value : stored.values())
        check(std::isfinite(value), quote_name(name), ": a number is not finite");
      layer.append(stored.view(), RowSplits::equal(1, tokens));
    }
  }
  [[nodiscard]] static std::string layer_name(std::size_t i) { return "layers." + std::to_string(i); }

 private:
  [[nodiscard]] const nlohmann::json& value_of(const nlohmann::json& json, const char* key) const {
    const auto found = json.find(key);
    check(found != json.end(), "the dialogue has no ", quote_name(key));
    return *found;
  }

  SafetensorsFile file_;
  std::vector<ChatMessage> messages_;
  Index answers_ = 0, dropped_turns_ = 0, prompt_tokens_ = 0;
  std::time_t started_ = 0;
};

/// [keys | values] of a cache's only row   // [n, width]
[[nodiscard]] inline Tensor<float> keys_values_of(const KeyValueCache<float>& cache) {
  const Index keys = cache.keys().cols(), values = cache.values().cols();
  Tensor<float> all(Shape{cache.length(0), keys + values});
  for (Index i = 0; i < all.rows(); ++i) {
    const std::int32_t entry = at(cache.entries(0), i);
    std::copy_n(cache.keys().row(entry), keys, all.row(i));
    std::copy_n(cache.values().row(entry), values, all.row(i) + keys);
  }
  return all;
}

}  // namespace detail

inline void Conversation::save(const std::filesystem::path& path) const {
  nlohmann::ordered_json dialogue = {{"messages", nlohmann::ordered_json::array()},
                                     {"answers", answers_},
                                     {"dropped_turns", dropped_turns_},
                                     {"prompt_tokens", prompt_tokens_},
                                     {"started", std::int64_t{started_}}};
  for (const ChatMessage& one : messages_) {
    dialogue["messages"].push_back({{"role", one.role}, {"content", one.content}});
  }
  const Metadata metadata = {{"format", detail::ConversationFile::kFormat},
                             {"model", model_.model().config()},
                             {"fingerprint", std::to_string(model_.fingerprint())},
                             {"dialogue", detail::json_text(dialogue, kWhere, path.string())}};
  std::vector<Tensor<float>> layers;
  std::vector<SafetensorsEntry> entries;
  const Tensor<std::int32_t> tokens(Shape{std::ssize(read_)}, std::span<const std::int32_t>(read_));
  if (!read_.empty()) {
    for (const auto& cache : state_.layers) layers.push_back(detail::keys_values_of(cache));
    entries.emplace_back("tokens", tokens.view());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      entries.emplace_back(detail::ConversationFile::layer_name(i), std::as_const(layers[i]).view());
    }
  }
  write_safetensors(path, entries, metadata);
}

inline Conversation Conversation::load(const std::filesystem::path& path, ChatModel model,
                                       ConversationOptions options) {
  const detail::ConversationFile file(path);
  file.check(file.text("model") == model.model().config(),
             "is a dialogue with a model of other settings: ", detail::quote_name(file.text("model")), ", given is ",
             detail::quote_name(model.model().config()));
  file.check(file.text("fingerprint") == std::to_string(model.fingerprint()),
             "is a dialogue with another model of these settings, or was computed in another precision, by another "
             "instruction set or by another compiler");
  options.system.clear();  // it is among the messages
  Conversation conversation(std::move(model), std::move(options), file.messages());
  conversation.read_ = file.tokens(conversation.model_.model().vocabulary());
  const Index tokens = std::ssize(conversation.read_);
  if (tokens > 0) file.read_state(conversation.state_, tokens);
  conversation.started_ = file.started();
  conversation.prompt_tokens_ = file.prompt_tokens();
  conversation.answers_ = file.answers();
  conversation.dropped_turns_ = file.dropped_turns();
  return conversation;
}

inline std::vector<ChatMessage> Conversation::read_messages(const std::filesystem::path& path) {
  return detail::ConversationFile(path).messages();
}

}}  // namespace rapt::RAPT_ABI
