/// \file
/// Chat templates of folders and files, against transformers.
#include "rapt/pretrained/chat_template.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/gguf_bytes.hpp"
#include "tests/common/jinja_json.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::ChatMessage;
using rapt::ChatTemplate;
using rapt_test::error_text;

TEST(ChatTemplate, RendersWhatTransformersRenders) {
  const auto golden =
      nlohmann::ordered_json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/chat_templates.json"));
  ASSERT_GE(golden.at("templates").size(), 12u);
  for (const auto& [name, text] : golden.at("templates").items()) {
    const ChatTemplate chat(text.get<std::string>(), {{"bos_token", "<s>"}, {"eos_token", "</s>"}}, name);
    for (const auto& one : golden.at("cases")) {
      if (one.at(0) != name) continue;
      rapt::ChatTemplateOptions options;
      for (const auto& [key, value] : golden.at("settings").at(one.at(2).get<std::size_t>()).items()) {
        options.variables.emplace_back(key, rapt_test::jinja_value(value));
      }
      const auto messages = rapt_test::jinja_value(golden.at("conversations").at(one.at(1).get<std::size_t>()));
      const auto& expected = one.at(3);
      if (expected.is_string()) {
        EXPECT_EQ(chat.render(messages, options), expected.get<std::string>()) << name << one.at(1) << one.at(2);
      } else {
        const auto message = error_text<rapt::ValueError>([&] { (void)chat.render(messages, options); });
        EXPECT_TRUE(!message.empty() && message.ends_with(expected.at("error").get<std::string>())) << message;
      }
    }
  }
}

class ChatTemplateFolder : public rapt_test::FolderTest {
 protected:
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  [[nodiscard]] std::string rendered() const {
    const std::vector<ChatMessage> messages = {{"user", "hi"}};
    return ChatTemplate::load(folder_).render(messages);
  }
  [[nodiscard]] std::string refusal() const {
    return error_text<rapt::IoError>([&] { (void)rendered(); });
  }
};

TEST_F(ChatTemplateFolder, IsReadFromTheFilesThatFoldersHave) {
  write("tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null,
                                     "chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}"})");
  EXPECT_EQ(rendered(), "<s>hi</s>");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "tool", "template": "no"},
                                     {"name": "default", "template": "{{ messages[0].role }}"}]})");
  EXPECT_EQ(rendered(), "user");
  write("chat_template.jinja", "{{ messages | length }}{{ eos_token }}\n");
  write("special_tokens_map.json", R"({"eos_token": "<end>"})");
  EXPECT_EQ(rendered(), "1<end>");
  write("chat_template.jinja", "\n{{ x | urlize }}");
  EXPECT_TRUE(refusal().ends_with("chat_template.jinja:2: the filter urlize is not supported")) << refusal();
}

TEST_F(ChatTemplateFolder, WithoutATemplateIsRefused) {
  write("tokenizer_config.json", "{}");
  EXPECT_NE(refusal().find("the folder has no chat template"), std::string::npos) << refusal();
  write("tokenizer_config.json", R"({"chat_template": {"a": 1}})");
  EXPECT_NE(refusal().find("is neither a text nor a list with one of the name \"default\""), std::string::npos);
}

TEST_F(ChatTemplateFolder, IsReadFromGguf) {
  rapt_test::GgufBytes bytes;
  bytes.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "<s>", "</s>"});
  bytes.set("tokenizer.ggml.bos_token_id", 1u).set("tokenizer.ggml.eos_token_id", 7u);
  const auto path = folder_ / "model.gguf";
  std::ofstream(path, std::ios::binary) << bytes.bytes();
  EXPECT_NE(error_text<rapt::IoError>([&] { (void)ChatTemplate::load(path); }).find("has no chat template"),
            std::string::npos);
  bytes.set("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}{{ eos_token is defined }}");
  std::ofstream(path, std::ios::binary) << bytes.bytes();
  const std::vector<ChatMessage> messages = {{"user", "hi"}};
  EXPECT_EQ(ChatTemplate::load(path).render(messages), "<s>hiFalse");
}

TEST(ChatTemplate, TellsTheTime) {
  const ChatTemplate chat("{{ strftime_now('%Y') }}");
  EXPECT_EQ(chat.render(std::vector<ChatMessage>(), {.now = std::time_t{40 * 365 * 86400}}), "2009");
  const ChatTemplate named("{{ strftime_now('%A %-d %B') }}");
  EXPECT_EQ(named.render(std::vector<ChatMessage>(), {.now = std::time_t{4 * 86400 + 43200}}), "Monday 5 January");
  const ChatTemplate cut("{{ strftime_now('ab\\x00') }}");
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)cut.render(std::vector<ChatMessage>()); }),
            "[chat_template] a format of the time has a zero byte");
  const ChatTemplate longest("{{ strftime_now('" + std::string(1000, 'x') + "') }}");
  EXPECT_EQ(longest.render(std::vector<ChatMessage>()), std::string(1000, 'x'));
  const ChatTemplate wide("{{ strftime_now('" + std::string(2000, 'x') + "') }}");
  EXPECT_NE(error_text<rapt::ValueError>([&] { (void)wide.render(std::vector<ChatMessage>()); }).find("too long"),
            std::string::npos);
  const std::vector<ChatMessage> broken = {{"user", "a\xff"}};
  EXPECT_EQ(error_text<rapt::ValueError>([&] { (void)chat.render(broken); }),
            "[chat_template] a message is not UTF-8: byte 2 of 2");
}

}  // namespace
