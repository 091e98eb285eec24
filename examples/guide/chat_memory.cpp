// Holds a dialogue with the model of a folder, saves it in the middle, and goes on from the file.
// needs: chat_folder
#include <cstdio>
#include <rapt/pipelines/conversation.hpp>
#include <rapt/rapt.hpp>

void say(rapt::Conversation& conversation, const char* text) {
  const rapt::ChatAnswer answer = conversation.say(text);
  std::printf("> %s\n%s\n  %lld tokens before it, %lld of them not read again\n", text, answer.text.c_str(),
              static_cast<long long>(answer.prompt_tokens), static_cast<long long>(answer.kept_tokens));
}

int main() {
  const rapt::ChatModel model("chat");
  const rapt::ConversationOptions options{.answer_tokens = 12};
  {
    rapt::Conversation conversation(model, options);
    say(conversation, "My name is Clara.");
    say(conversation, "I have a horse.");
    conversation.save("talk.safetensors");
  }
  rapt::Conversation conversation = rapt::Conversation::load("talk.safetensors", model, options);
  say(conversation, "What is my name?");
  say(conversation, "Which pet do I have?");
  std::printf("%zu turns\n", conversation.messages().size());
}
