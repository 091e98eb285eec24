#include "examples/chat/dialogues.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <rapt/core/rng.hpp>
#include <rapt/pretrained/chat_template.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Messages = std::vector<rapt::ChatMessage>;

// What the user tells, in the order of the alphabet.
std::vector<std::string> told_in(const Messages& messages) {
  std::vector<std::string> told;
  for (const rapt::ChatMessage& message : messages) {
    if (message.role == "user" && message.content.starts_with("My ")) told.push_back(message.content);
  }
  std::sort(told.begin(), told.end());
  return told;
}

TEST(ChatDialogues, NoDialogueOfTrainingTellsExactlyTheValuesOfOneThatIsHeldOut) {
  rapt::Rng rng(1);
  std::set<std::vector<std::string>> trained, held_out;
  for (int i = 0; i < 5000; ++i) {
    trained.insert(told_in(small_model::dialogue(rng, /*held_out=*/false)));
    held_out.insert(told_in(small_model::dialogue(rng, /*held_out=*/true)));
  }
  EXPECT_GT(held_out.size(), 1000u);
  for (const auto& told : held_out) {
    EXPECT_GT(told.size(), 1u);
    EXPECT_FALSE(trained.contains(told)) << told.front();
  }
  Messages demonstration;
  for (const std::string_view text : small_model::kDemonstration) demonstration.push_back({"user", std::string(text)});
  const std::vector<std::string> demonstrated = told_in(demonstration);
  EXPECT_TRUE(held_out.contains(demonstrated));
  // Together with others they are told in training.
  EXPECT_TRUE(std::any_of(trained.begin(), trained.end(), [&](const auto& told) {
    return std::includes(told.begin(), told.end(), demonstrated.begin(), demonstrated.end());
  }));
}

TEST(ChatDialogues, TheAnswerIsTheValueThatWasToldLastOrThatThereIsNone) {
  rapt::Rng rng(2);
  int known = 0, unknown = 0;
  for (int i = 0; i < 1000; ++i) {
    const Messages messages = small_model::dialogue(rng, /*held_out=*/i % 2 == 0);
    std::map<std::string, std::string> values;  // "pet": "a cat"
    for (std::size_t m = 1; m < messages.size(); m += 2) {
      const std::string &said = messages[m].content, &answer = messages[m + 1].content;
      if (said.starts_with("My ")) {
        const std::size_t is = said.find(" is ");
        values[said.substr(3, is - 3)] = said.substr(is + 4, said.size() - is - 5);
        EXPECT_EQ(answer, "I see.");
      } else if (said.starts_with("What is my ")) {
        const std::string kind = said.substr(11, said.size() - 12);
        const bool is_known = values.contains(kind);
        EXPECT_EQ(answer,
                  is_known ? "Your " + kind + " is " + values[kind] + "." : "Your " + kind + " is unknown to me.");
        ++(is_known ? known : unknown);
      }
    }
  }
  EXPECT_GT(known, 1000);
  EXPECT_GT(unknown, 500);
}

TEST(ChatDialogues, SentencesAreRecognisedWhateverTheirCaseSpacesAndPunctuation) {
  EXPECT_EQ(small_model::sentence_of("  my pet is  A CAT"), "My pet is a cat.");
  EXPECT_EQ(small_model::sentence_of("What is my town?!\r"), "What is my town?");
  EXPECT_EQ(small_model::sentence_of("how are you"), "How are you?");
  for (const char* const other : {"", "Hello", "My pet is a hamster.", "My pet is Rome.", "My pet is a cat. Yes.",
                                  "What is my\xC3\xA4 pet?", "mypet is a cat"}) {
    EXPECT_EQ(small_model::sentence_of(other), std::nullopt) << other;
  }
}

}  // namespace
