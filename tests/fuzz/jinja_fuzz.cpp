/// \file
/// libFuzzer target: whatever the bytes are, as a chat template they are parsed or refused with rapt::IoError, and
/// rendering a dialogue with it gives a text or throws rapt::ValueError, within a limited amount of work. The text is
/// UTF-8, and the same each time.
///
///     sh tests/fuzz/run.sh 120 jinja  # -max_len=4096
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/text/jinja/template.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

/// A dialogue, tools and other values, as templates see them.
rapt::JinjaValue::Map variables() {
  using List = rapt::JinjaValue::List;
  using Map = rapt::JinjaValue::Map;
  const List messages = {Map{{"role", "system"}, {"content", " S\n"}}, Map{{"role", "user"}, {"content", "Grüße <b>"}},
                         Map{{"role", "assistant"}, {"content", rapt::JinjaValue::None()}}};
  return {{"messages", messages},
          {"tools", List{Map{{"name", "f"}, {"n", 1.5}}}},
          {"bos_token", "<s>"},
          {"add_generation_prompt", true}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  constexpr std::int64_t kWork = 2'000'000;
  try {
    const rapt::JinjaTemplate parsed(input);
    const rapt::JinjaTemplate::Environment environment{.variables = variables(),
                                                       .now = [](const std::string& format) { return format; }};
    const std::string text = parsed.render(environment, kWork);
    rapt_fuzz::expect(std::ssize(text) <= kWork && !rapt::find_invalid_utf8(text));
    rapt_fuzz::expect(parsed.render(environment, kWork) == text);
  } catch (const rapt::IoError&) {
  } catch (const rapt::ValueError&) {
  }
  return 0;
}
