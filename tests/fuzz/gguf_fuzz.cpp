/// \file
/// libFuzzer target: whatever the bytes are, opening and reading a GGUF file and what it says of a model and a
/// tokenizer either works or throws rapt::Error.
///
///     sh tests/fuzz/run.sh 120 gguf  # -max_len=20000
// seeds: tests/golden/gguf_*.gguf
#include <cstdint>
#include <string>
#include <variant>

#include "rapt/io/gguf.hpp"
#include "rapt/pretrained/gguf_model.hpp"
#include "rapt/pretrained/gguf_tokenizer.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

void read_all(const rapt::TensorFile& file) {
  for (const std::string& name : file.names()) {
    try {
      const auto tensor = file.read<float>(name);
      rapt_fuzz::expect(tensor.shape() == file.shape(name));
    } catch (const rapt::Error&) {  // a type or rank that rapt does not read
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::MemoryFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  try {
    const rapt::GgufFile opened(file.path());
    read_all(opened);
    try {
      const auto tokenizer = rapt::detail::GgufTokenizer(opened).read();
      for (const std::string text : {"", "the old  house's 12345 é日\n"}) {
        static_cast<void>(std::visit([&](const auto& one) { return one.encode(text); }, tokenizer));
      }
    } catch (const rapt::Error&) {
    }
    static_cast<void>(rapt::detail::GgufSettings(opened).config());
    read_all(rapt::detail::gguf_tensors(rapt::GgufFile(file.path())));
  } catch (const rapt::Error&) {
  }
  return 0;
}
