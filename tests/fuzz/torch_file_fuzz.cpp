/// \file
/// libFuzzer target: whatever the bytes are, opening and reading a file of torch.save either works or throws
/// rapt::Error.
///
/// An input that begins with "PK" is the whole file, every other one the pickle in a file with some storages.
///
///     sh tests/fuzz/run.sh 120 torch_file  # -max_len=8192
// seeds: tests/golden/torch_types.pt tests/golden/torch_protocol5.pt tests/golden/torch_evil.pt
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "rapt/io/torch_file.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

void append(std::string& bytes, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> 8 * i);
}

/// A ZIP file of members that are stored as they are.
std::string zip_of(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string file, directory;
  for (const auto& [name, bytes] : members) {
    const std::size_t offset = file.size();
    const auto sizes = [&, &of = bytes, &named = name](std::string& to) {
      append(to, of.size(), 4);
      append(to, of.size(), 4);
      append(to, named.size(), 2);
      append(to, 0, 2);
    };
    file += std::string("PK\x03\x04", 4) + std::string(14, '\0');
    sizes(file);
    file += name + bytes;
    directory += std::string("PK\x01\x02", 4) + std::string(16, '\0');
    sizes(directory);
    directory += std::string(10, '\0');
    append(directory, offset, 4);
    directory += name;
  }
  const std::size_t begin = file.size();
  file += directory + std::string("PK\x05\x06", 4) + std::string(8, '\0');
  append(file, directory.size(), 4);
  append(file, begin, 4);
  append(file, 0, 2);
  return file;
}

template <class T>
void read(const rapt::TorchFile& file, const std::string& name) {
  try {
    const auto tensor = file.read<T>(name);
    rapt_fuzz::expect(tensor.shape() == file.shape(name));
  } catch (const rapt::Error&) {  // a type or rank that rapt does not read, or values that T does not hold
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::MemoryFile file;
  std::string input(reinterpret_cast<const char*>(data), size);
  if (!input.starts_with("PK")) {
    input = zip_of({{"a/data.pkl", input}, {"a/data/0", std::string(120, 'x')}, {"a/data/1", std::string(16, 'y')}});
  }
  file.write(input);
  try {
    const rapt::TorchFile opened(file.path());
    const auto mapping = opened.map();
    std::size_t count = 0;
    for (const std::string& name : opened.names()) {
      if (++count > 64) break;  // each may repeat elements
      read<float>(opened, name);
      read<std::int64_t>(opened, name);
      read<bool>(opened, name);
      try {
        const auto borrowed = opened.borrow<float>(name, mapping);
        double sum = 0;
        for (const float x : borrowed.values()) sum += x;
        static_cast<void>(sum);
      } catch (const rapt::Error&) {
      }
    }
  } catch (const rapt::Error&) {
  }
  return 0;
}
