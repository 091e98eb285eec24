/// \file
/// libFuzzer target: whatever the file of a dialogue is, loading it either works or throws rapt::Error; what was loaded
/// is saved and loaded again as the same, and goes on, or refuses the turn with rapt::ValueError.
///
/// An input that begins with '{' is what the metadata says of the dialogue in an otherwise right file, every other one
/// is the whole file.
///
///     sh tests/fuzz/run.sh 120 conversation  # -max_len=16384
#include <cstdint>
#include <string>
#include <vector>

#include "rapt/pipelines/conversation.hpp"
#include "tests/common/small_chat.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

const rapt::ChatModel& model() {
  static const rapt::ChatModel one = rapt_test::chat_model(rapt_test::chat_gpt(/*positions=*/64));
  return one;
}
const rapt::ConversationOptions& options() {
  static const rapt::ConversationOptions some{.answer_tokens = 3, .sampling = rapt_test::only("abc")};
  return some;
}

/// A file with this text about the dialogue.
void write_dialogue(const std::filesystem::path& path, const std::string& dialogue) {
  static const std::string right = path.string() + ".right";
  if (!std::filesystem::exists(right)) {
    rapt::Conversation talk(model(), options());
    talk.say("hi");
    talk.save(right);
  }
  const rapt::SafetensorsFile file(right);
  auto metadata = file.metadata();
  metadata["dialogue"] = dialogue;
  const auto tokens = file.read<std::int32_t>("tokens");
  const auto first = file.read<float>("layers.0"), second = file.read<float>("layers.1");
  const std::vector<rapt::SafetensorsEntry> entries = {
      {"tokens", tokens.view()}, {"layers.0", first.view()}, {"layers.1", second.view()}};
  write_safetensors(path, entries, metadata);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::Folder folder;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::filesystem::path path = folder.path() / "talk.safetensors", again = folder.path() / "again.safetensors";
  try {
    if (input.starts_with('{')) {
      write_dialogue(path, input);
    } else {
      folder.write("talk.safetensors", input);
    }
    rapt::Conversation talk = rapt::Conversation::load(path, model(), options());
    talk.save(again);
    rapt::Conversation same = rapt::Conversation::load(again, model(), options());
    rapt_fuzz::expect(same.messages() == talk.messages() && same.read_tokens() == talk.read_tokens());
    const rapt::ChatAnswer answer = talk.say("a");
    rapt_fuzz::expect(same.say("a").tokens == answer.tokens);
  } catch (const rapt::Error&) {
  }
  return 0;
}
