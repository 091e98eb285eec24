/// \file
/// Dialogues with memory: beside the same without, when positions are full, and in files.
// covers: pipelines/conversation.hpp, pipelines/conversation_file.hpp, pipelines/chat_model.hpp
#include "rapt/pipelines/conversation.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "rapt/pretrained/save_tokenizer.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/settings.hpp"
#include "tests/common/small_chat.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::ChatAnswer;
using rapt::ChatMessage;
using rapt::ChatModel;
using rapt::Conversation;
using rapt::ConversationOptions;
using rapt::FullPolicy;
using rapt::Index;
using rapt_test::chat_model;
using rapt_test::error_text;
using rapt_test::only;

const std::vector<std::string> kTexts = {"hello", "and what then?", "Gr\u00fc\u00dfe", "x", "one more"};
const std::string kLetters = "abcdefghijklmnopqrstuvwxyz ";

ConversationOptions options(Index answer_tokens = 9) {
  return {.system = "Be brief.", .answer_tokens = answer_tokens, .sampling = only(kLetters)};
}

/// The answer of a dialogue that begins with these turns, and keeps nothing.
ChatAnswer fresh_answer(const ChatModel& model, std::vector<ChatMessage> messages, const std::string& text,
                        ConversationOptions of) {
  of.system.clear();
  return Conversation(model, std::move(of), std::move(messages)).say(text);
}

void expect_costs_its_new_tokens(const ChatModel& model) {
  Conversation conversation(model, options());
  Index before = 0;
  for (const std::string& text : kTexts) {
    const std::vector<ChatMessage> messages = conversation.messages();
    std::string streamed;
    const ChatAnswer answer = conversation.say(text, [&](std::string_view part) { return streamed += part, true; });
    const ChatAnswer expected = fresh_answer(model, messages, text, options());
    EXPECT_EQ(answer.text, expected.text);
    EXPECT_EQ(answer.tokens, expected.tokens);
    EXPECT_EQ(answer.prompt_tokens, expected.prompt_tokens);
    EXPECT_EQ(answer.kept_tokens, before);  // all that was read
    EXPECT_EQ(expected.kept_tokens, 0);
    EXPECT_EQ(streamed, answer.text);
    EXPECT_EQ(answer.tokens.size(), 9u);
    EXPECT_FALSE(answer.finished);
    before = std::ssize(conversation.read_tokens());
    EXPECT_EQ(before, answer.prompt_tokens + 8);  // the last token is read with the next turn
  }
  EXPECT_EQ(conversation.messages().size(), 11u);
  EXPECT_EQ(conversation.messages().front(), (ChatMessage{"system", "Be brief."}));
}

TEST(Conversation, ATurnCostsItsNewTokens) {
  expect_costs_its_new_tokens(chat_model(rapt_test::chat_gpt()));
  expect_costs_its_new_tokens(chat_model(rapt_test::chat_llama()));
  expect_costs_its_new_tokens(chat_model(rapt_test::chat_llama(/*window=*/7)));
  expect_costs_its_new_tokens(chat_model(rapt_test::chat_gemma()));
}

TEST(Conversation, AnAnswerEndsAtTheEndOfItsTurn) {
  const ChatModel model = chat_model(rapt_test::chat_gpt());
  EXPECT_EQ(model.end_tokens(), std::vector<rapt::TokenId>{rapt_test::kTurnEnd});
  EXPECT_EQ(model.end_text(), "");
  ConversationOptions of = options(40);
  of.sampling = only(kLetters.substr(0, 3), /*temperature=*/1, /*may_end=*/true);
  Conversation conversation(model, of);
  bool has_ended = false;
  Index before = 0;
  for (int i = 0; i < 5; ++i) {
    const ChatAnswer answer = conversation.say("x");
    EXPECT_EQ(answer.kept_tokens, before);
    before = std::ssize(conversation.read_tokens());
    if (!answer.finished) continue;
    has_ended = true;
    EXPECT_LT(answer.tokens.size(), 40u);
    EXPECT_EQ(before, answer.prompt_tokens + std::ssize(answer.tokens));
  }
  EXPECT_TRUE(has_ended);
}

TEST(Conversation, AnAnswerEndsAtATextWhereThereIsNoToken) {
  const ChatModel model = chat_model(rapt_test::chat_llama(),
                                     "{% for m in messages %}{{ m.role }}: {{ m.content }} ab{% endfor %}"
                                     "{% if add_generation_prompt %}assistant: {% endif %}");
  EXPECT_TRUE(model.end_tokens().empty());
  EXPECT_EQ(model.end_text(), " ab");
  ConversationOptions of = options(100);
  of.sampling = only("ab ", /*temperature=*/2);
  int ended = 0;
  for (of.seed = 1; of.seed < 9; ++of.seed) {
    std::string streamed;
    Conversation conversation(model, of);
    const ChatAnswer answer = conversation.say("x", [&](std::string_view part) { return streamed += part, true; });
    EXPECT_EQ(streamed, answer.text);
    EXPECT_EQ(answer.text.find(" ab"), std::string::npos);
    EXPECT_EQ(model.tokenizer().decode(answer.tokens), answer.text + (answer.finished ? " ab" : ""));
    ended += answer.finished ? 1 : 0;
  }
  EXPECT_GE(ended, 4);
}

TEST(Conversation, WhiteSpaceIsNoEndOfATurnAndTextBeforeATokenIs) {
  const auto behind = [](const std::string& end) {
    return chat_model(rapt_test::chat_gpt(),
                      "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ '" + end + "' }}{% endfor %}");
  };
  EXPECT_EQ(behind("\\n").end_text(), "");
  EXPECT_TRUE(behind("\\n").end_tokens().empty());
  EXPECT_EQ(behind("\\n###\\n").end_text(), "\n###\n");
  EXPECT_EQ(behind("\\n<|im_end|>").end_text(), "");
  EXPECT_EQ(behind("\\n<|im_end|>").end_tokens(), std::vector<rapt::TokenId>{rapt_test::kTurnEnd});
  EXPECT_EQ(behind("###<|im_end|>").end_text(), "###");
  EXPECT_EQ(behind("###<|im_end|>").end_tokens(), std::vector<rapt::TokenId>{rapt_test::kTurnEnd});
}

TEST(Conversation, ATemplateThatRewritesEarlierTurnsCostsWhatItChanges) {
  // Of earlier answers, but not of the last, what stands before the last "e" is left out.
  const ChatModel model = chat_model(rapt_test::chat_llama(),
                                     "{% for m in messages %}<|im_start|>{{ m.role }}\n"
                                     "{{ m.content.split('e')[-1] if m.role == 'assistant' and loop.revindex > 2 else "
                                     "m.content }}<|im_end|>\n{% endfor %}"
                                     "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  ConversationOptions of = options();
  of.sampling = only("de");
  Conversation conversation(model, of);
  bool was_changed = false;
  Index before = 0;
  for (const std::string& text : kTexts) {
    const std::vector<ChatMessage> messages = conversation.messages();
    const ChatAnswer answer = conversation.say(text), expected = fresh_answer(model, messages, text, of);
    EXPECT_EQ(answer.tokens, expected.tokens);
    EXPECT_LE(answer.kept_tokens, before);
    was_changed = was_changed || answer.kept_tokens < before;
    before = std::ssize(conversation.read_tokens());
  }
  EXPECT_TRUE(was_changed);
}

TEST(Conversation, DropsTheOldestTurnsAndKeepsTheSystemText) {
  for (const ChatModel& model : {chat_model(rapt_test::chat_gpt(/*positions=*/150)),
                                 chat_model(rapt_test::chat_llama({}, {.max_positions = 150}))}) {
    for (const double kept_ratio : {1.0, 0.75}) {
      ConversationOptions of = options();
      of.kept_ratio = kept_ratio;
      Conversation conversation(model, of);
      Index dropped = 0, turns_with_drops = 0;
      for (int turn = 0; turn < 9; ++turn) {
        const ChatAnswer answer = conversation.say("turn " + std::to_string(turn));
        EXPECT_LE(answer.prompt_tokens + 9, 150);
        dropped += answer.dropped_turns;
        if (answer.dropped_turns == 0) continue;
        ++turns_with_drops;
        EXPECT_EQ(answer.kept_tokens, 0);
        std::vector<ChatMessage> left = conversation.messages();
        EXPECT_EQ(left.front(), (ChatMessage{"system", "Be brief."}));
        EXPECT_EQ(left[1].role, "user");
        left.resize(left.size() - 2);  // without the last turn
        const ChatAnswer expected = fresh_answer(model, left, "turn " + std::to_string(turn), of);
        EXPECT_EQ(answer.tokens, expected.tokens);
        EXPECT_EQ(answer.prompt_tokens, expected.prompt_tokens);
      }
      EXPECT_EQ(conversation.dropped_turns(), dropped);
      EXPECT_GE(dropped, 5);
      EXPECT_EQ(turns_with_drops < dropped, kept_ratio < 1);  // several at once, hence less often
    }
  }
}

TEST(Conversation, WhatDoesNotFitIsRefusedAndChangesNothing) {
  const ChatModel model = chat_model(rapt_test::chat_gpt(/*positions=*/150));
  ConversationOptions of = options();
  Conversation dropping(model, of);
  const ChatAnswer first = dropping.say("a");
  const auto messages = dropping.messages();
  EXPECT_NE(error_text<rapt::ValueError>([&] {
              dropping.say(std::string(150, 'x'));
            }).find("do not fit in the model's 150 positions"),
            std::string::npos);
  EXPECT_EQ(dropping.messages(), messages);
  EXPECT_EQ(dropping.say("b").tokens, fresh_answer(model, messages, "b", of).tokens);

  of.when_full = FullPolicy::refuse;
  Conversation refusing(model, of);
  const auto talk = [&] {
    for (int i = 0; i < 9; ++i) refusing.say("a");
  };
  EXPECT_NE(error_text<rapt::ValueError>(talk).find("tokens and an answer of up to 9 do not fit"), std::string::npos);
  EXPECT_GT(refusing.messages().size(), 3u);
  EXPECT_EQ(refusing.dropped_turns(), 0);

  of.when_full = FullPolicy::slide;
  EXPECT_NE(error_text<rapt::ValueError>([&] { Conversation(model, of); }).find("slide needs a model"),
            std::string::npos);
}

TEST(Conversation, SlidesBehindThePositionsOfAModelWithAWindow) {
  const ChatModel model = chat_model(rapt_test::chat_llama(/*window=*/20, {.max_positions = 60}));
  ConversationOptions of = options();
  of.when_full = FullPolicy::slide;
  Conversation conversation(model, of);
  for (const std::string& text : kTexts) {
    const std::vector<ChatMessage> messages = conversation.messages();
    const ChatAnswer answer = conversation.say(text), expected = fresh_answer(model, messages, text, of);
    EXPECT_EQ(answer.tokens, expected.tokens);
    EXPECT_EQ(answer.dropped_turns, 0);
  }
  EXPECT_GT(conversation.read_tokens().size(), 100u);
}

TEST(Conversation, PositionsThatDependOnTheLengthAreReadAgain) {
  rapt::RotaryOptions rotary{.max_positions = 256,
                             .scaling = rapt::RotaryScaling::longrope,
                             .factor = 2,
                             .original_positions = 90,
                             .short_factors = {1, 1, 1, 1},
                             .long_factors = {1, 2, 3, 4}};
  const ChatModel model = chat_model(rapt_test::chat_llama({}, rotary));
  Conversation conversation(model, options());
  int read_again = 0;
  for (const std::string& text : kTexts) {
    const std::vector<ChatMessage> messages = conversation.messages();
    const bool is_first = conversation.read_tokens().empty();
    const ChatAnswer answer = conversation.say(text), expected = fresh_answer(model, messages, text, options());
    EXPECT_EQ(answer.tokens, expected.tokens);
    read_again += !is_first && answer.kept_tokens == 0 ? 1 : 0;
  }
  EXPECT_EQ(read_again, 1);
}

TEST(Conversation, ADialogueThatBecomesShorterIsReadAgainWherePositionsDependOnTheLength) {
  const rapt::RotaryOptions rotary{.max_positions = 256,
                                   .scaling = rapt::RotaryScaling::longrope,
                                   .factor = 2,
                                   .original_positions = 90,
                                   .short_factors = {1, 1, 1, 1},
                                   .long_factors = {1, 2, 3, 4}};
  // Of earlier turns it leaves out what is long.
  const ChatModel model = chat_model(rapt_test::chat_llama({}, rotary),
                                     "{% for m in messages %}<|im_start|>{{ m.role }}\n"
                                     "{{ m.content if loop.last or m.content | length < 40 }}<|im_end|>\n{% endfor %}"
                                     "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  Conversation conversation(model, options());
  EXPECT_GT(conversation.say(std::string(60, 'x')).prompt_tokens, 90);
  const std::vector<ChatMessage> messages = conversation.messages();
  const ChatAnswer answer = conversation.say("y"), expected = fresh_answer(model, messages, "y", options());
  EXPECT_LT(answer.prompt_tokens, 90);
  EXPECT_EQ(answer.kept_tokens, 0);
  EXPECT_EQ(answer.tokens, expected.tokens);
}

TEST(Conversation, OfALongDialogueTheFewestTurnsAreDropped) {
  const ChatModel model = chat_model(rapt_test::chat_gpt());
  const ConversationOptions of = options();
  const Index kept = 192;  // of 256 positions
  for (const int turns : {1, 2, 3, 4, 5, 8, 100}) {
    std::vector<ChatMessage> messages;
    for (int i = 0; i < turns; ++i) {
      messages.push_back({"user", "turn " + std::to_string(i) + std::string(i % 3 == 0 ? 30 : 0, '.')});
      messages.push_back({"assistant", "yes"});
    }
    Conversation conversation(model, of, messages);
    const ChatAnswer answer = conversation.say("last");
    EXPECT_EQ(std::ssize(conversation.messages()), 1 + 2 * (turns + 1 - answer.dropped_turns));
    EXPECT_EQ(conversation.messages().front().role, "system");
    const std::string first = answer.dropped_turns == turns ? "last" : "turn " + std::to_string(answer.dropped_turns);
    EXPECT_TRUE(at(conversation.messages(), 1).content.starts_with(first)) << first;
    if (answer.dropped_turns == 0) continue;
    EXPECT_LE(answer.prompt_tokens + 9, kept);
    const ChatMessage& dropped = at(messages, 2 * (answer.dropped_turns - 1));
    const Index of_turn = std::ssize(
        model.encode("<|im_start|>user\n" + dropped.content + "<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n"));
    EXPECT_GT(answer.prompt_tokens + of_turn + 9, answer.dropped_turns == 1 ? 256 : kept);
  }
}

TEST(Conversation, ACallerMayStopAnAnswerOrFail) {
  const ChatModel model = chat_model(rapt_test::chat_gpt());
  Conversation conversation(model, options());
  const ChatAnswer stopped = conversation.say("a", [](std::string_view) { return false; });
  EXPECT_EQ(stopped.tokens.size(), 1u);
  EXPECT_FALSE(stopped.finished);
  const auto messages = conversation.messages();
  EXPECT_THROW(conversation.say("b", [](std::string_view) -> bool { throw std::runtime_error("mine"); }),
               std::runtime_error);
  EXPECT_EQ(conversation.messages(), messages);
  EXPECT_EQ(conversation.say("b").tokens, fresh_answer(model, messages, "b", options()).tokens);
}

TEST(Conversation, WrongOptionsAreRefused) {
  const ChatModel model = chat_model(rapt_test::chat_gpt());
  const auto refusal = [&](const ConversationOptions& of) {
    return error_text<rapt::ValueError>([&] { Conversation(model, of); });
  };
  EXPECT_EQ(refusal({.answer_tokens = 0}), "[conversation] answer_tokens must be positive: 0");
  EXPECT_EQ(refusal({.kept_ratio = 0}), "[conversation] kept_ratio must be in (0, 1]: 0");
  EXPECT_EQ(refusal({.sampling = rapt::SamplingOptions{.samples = 2}}), "[conversation] an answer is one sample: 2");
  const ChatModel beams(rapt_test::chat_gpt(), rapt::AnyTokenizer(rapt_test::chat_tokenizer()), rapt::ChatTemplate("x"),
                        {.beam = {.beam_size = 2}});
  EXPECT_NE(error_text<rapt::ValueError>([&] { Conversation{beams}; }).find("asks for beam search"), std::string::npos);
}

class ConversationFile : public rapt_test::FolderTest {
 protected:
  [[nodiscard]] static std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  [[nodiscard]] std::string refusal(const ChatModel& model) const {
    return error_text<rapt::IoError>([&] { (void)Conversation::load(path_, model, options()); });
  }

  const std::filesystem::path path_ = folder_ / "talk.safetensors";
};

TEST_F(ConversationFile, AnotherProgramGoesOnBitForBit) {
  for (const float temperature : {0.f, 1.f}) {
    ConversationOptions of = options();
    of.sampling = only(kLetters, temperature);
    std::vector<float> expected;
    rapt_test::for_every_thread_count([&] {
      Conversation here(chat_model(rapt_test::chat_llama()), of);
      here.say(kTexts[0]);
      here.say(kTexts[1]);
      here.save(path_);
      Conversation there = Conversation::load(path_, chat_model(rapt_test::chat_llama()), of);
      EXPECT_EQ(there.messages(), here.messages());
      EXPECT_EQ(there.read_tokens(), here.read_tokens());
      for (std::size_t i = 2; i < kTexts.size(); ++i) {
        const ChatAnswer answer = there.say(kTexts[i]), same = here.say(kTexts[i]);
        EXPECT_EQ(answer.tokens, same.tokens);
        EXPECT_EQ(answer.kept_tokens, same.kept_tokens);
        EXPECT_GT(answer.kept_tokens, 0);
      }
      here.save(folder_ / "here");
      there.save(folder_ / "there");
      EXPECT_EQ(bytes_of(folder_ / "here"), bytes_of(folder_ / "there"));
      // All but the second at which it began, which differs from run to run.
      const rapt::SafetensorsFile file(folder_ / "here");
      std::vector<float> keys_and_values;
      for (const std::string name : {"layers.0", "layers.1"}) {
        const rapt::Tensor<float> layer = file.read<float>(name);
        EXPECT_EQ(layer.rows(), std::ssize(here.read_tokens()));
        keys_and_values.insert(keys_and_values.end(), layer.values().begin(), layer.values().end());
      }
      if (expected.empty()) expected = keys_and_values;
      EXPECT_EQ(keys_and_values, expected);
    });
  }
}

TEST_F(ConversationFile, ADialogueThatHasNotBegunIsKept) {
  const ChatModel model = chat_model(rapt_test::chat_gpt());
  Conversation(model, options()).save(path_);
  Conversation there = Conversation::load(path_, model, options());
  EXPECT_EQ(there.messages(), (std::vector<ChatMessage>{{"system", "Be brief."}}));
  EXPECT_EQ(there.say("a").tokens, Conversation(model, options()).say("a").tokens);
}

TEST_F(ConversationFile, AnotherModelIsRefused) {
  Conversation here(chat_model(rapt_test::chat_gpt()), options());
  here.say("a");
  here.save(path_);
  EXPECT_NE(refusal(chat_model(rapt_test::chat_gpt(/*positions=*/128))).find("with a model of other settings"),
            std::string::npos);
  EXPECT_NE(refusal(chat_model(rapt_test::chat_llama())).find("with a model of other settings"), std::string::npos);
  EXPECT_NE(refusal(chat_model(rapt_test::chat_gpt(256, /*seed=*/4))).find("with another model of these settings"),
            std::string::npos);
  EXPECT_EQ(Conversation::read_messages(path_), here.messages());
}

TEST_F(ConversationFile, DamagedFilesAreRefused) {
  const ChatModel model = chat_model(rapt_test::chat_gpt());
  Conversation here(model, options());
  here.say("a");
  here.save(path_);
  const std::string bytes = bytes_of(path_);
  for (std::size_t size = 0; size < bytes.size(); size += size < 3000 ? 37 : 997) {
    write(bytes.substr(0, size));
    EXPECT_NE(refusal(model), "") << size;
  }
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = bytes;
    const std::size_t found = changed.find(from);
    EXPECT_NE(found, std::string::npos) << from;
    changed.replace(found, from.size(), to);
    write(changed);
    return refusal(model);
  };
  EXPECT_NE(with("rapt conversation 1", "rapt conversation 2").find("is no file of a dialogue"), std::string::npos);
  EXPECT_NE(with("\\\"messages\\\"", "\\\"messageS\\\"").find("the dialogue has no \"messages\""), std::string::npos);
  EXPECT_NE(with("\\\"role\\\"", "\\\"rolE\\\"").find("the dialogue has no \"role\""), std::string::npos);
  EXPECT_NE(with("\\\"answers\\\":1", "\\\"answers\\\":-").find("is not a JSON object"), std::string::npos);
  EXPECT_NE(with("layers.1", "layers.2").find("no tensor \"layers.1\""), std::string::npos);
  EXPECT_NE(with("\"I32\"", "\"U32\"").find("must be a list of 32-bit integers"), std::string::npos);
  write(bytes);
  EXPECT_EQ(Conversation::load(path_, model, options()).messages(), here.messages());
  const auto with_tensors = [&](const std::vector<std::int32_t>& tokens, Index rows, float value) {
    const rapt::SafetensorsFile file(path_);
    const auto metadata = file.metadata();
    const rapt::Tensor<std::int32_t> stored(rapt::Shape{std::ssize(tokens)}, std::span<const std::int32_t>(tokens));
    const rapt::Tensor<float> layer(rapt::Shape{rows, 32}, value);
    const std::vector<rapt::SafetensorsEntry> entries = {
        {"tokens", stored.view()}, {"layers.0", layer.view()}, {"layers.1", layer.view()}};
    write_safetensors(path_, entries, metadata);
    return refusal(model);
  };
  EXPECT_NE(with_tensors({1, 258}, 2, 0.f).find("the token 258 is not in the vocabulary of 258"), std::string::npos);
  EXPECT_NE(with_tensors({1, -1}, 2, 0.f).find("the token -1 is not in the vocabulary"), std::string::npos);
  EXPECT_NE(error_text<rapt::ShapeError>([&] {
              with_tensors({1, 2}, 3, 0.f);
            }).find("has shape [3, 32], wanted is [2, 32]"),
            std::string::npos);
  EXPECT_NE(with_tensors({1, 2}, 2, std::numeric_limits<float>::quiet_NaN()).find("a number is not finite"),
            std::string::npos);
}

TEST_F(ConversationFile, AFolderSpeaksAsItsFilesSay) {
  const rapt::Gpt<float> gpt = rapt_test::chat_gpt();
  rapt::save_pretrained(folder_, gpt);
  rapt::save_tokenizer(folder_, rapt_test::chat_tokenizer());
  EXPECT_NE(error_text<rapt::IoError>([&] { ChatModel{folder_}; }).find("has no chat template"), std::string::npos);
  EXPECT_EQ(ChatModel(folder_, rapt::ChatTemplate("x")).chat_template().text(), "x");
  std::ofstream(folder_ / "chat_template.jinja") << rapt_test::kChatMl;
  const ChatModel model(folder_);
  EXPECT_EQ(model.end_tokens(), std::vector<rapt::TokenId>{rapt_test::kTurnEnd});
  const ChatAnswer expected = Conversation(chat_model(rapt_test::chat_gpt()), options()).say("a");
  EXPECT_EQ(Conversation(model, options()).say("a").tokens, expected.tokens);
  // As the folder says: drawn at a temperature.
  std::ofstream(folder_ / "generation_config.json")
      << R"({"do_sample": true, "temperature": 3.0, "max_new_tokens": 3})";
  const auto drawn = [&](std::uint64_t seed) {
    return Conversation(ChatModel(folder_), {.answer_tokens = 7, .seed = seed}).say("a").tokens;
  };
  EXPECT_LE(drawn(1).size(), 7u);
  EXPECT_EQ(drawn(1), drawn(1));
  EXPECT_NE(drawn(1), drawn(2));
}

TEST_F(ConversationFile, GgufFilesHoldDialogues) {
  for (const std::string name : {"llama", "llama3", "gemma2"}) {
    const ChatModel model(std::string(RAPT_GOLDEN_DIR) + "/gguf_" + name + ".gguf",
                          rapt::ChatTemplate("{{ messages }}"));
    Conversation conversation(model, {.answer_tokens = 3, .sampling = rapt::SamplingOptions{.temperature = 0}});
    const ChatAnswer answer = conversation.say("the house");
    EXPECT_GT(answer.prompt_tokens, 5);
    conversation.save(path_);
    EXPECT_EQ(Conversation::load(path_, model).messages(), conversation.messages());
  }
}

}  // namespace
