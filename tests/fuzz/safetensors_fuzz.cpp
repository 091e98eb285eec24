/// \file
/// libFuzzer target: whatever the bytes are, opening and reading a safetensors file either works or throws rapt::Error,
/// and what was opened can be written again.
///
///     sh tests/fuzz/run.sh 120 safetensors  # -max_len=4096
// seeds: tests/golden/safetensors_sample.safetensors
#include <cstdint>
#include <string>
#include <vector>

#include "rapt/io/safetensors.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

/// Reads a tensor in a type; returns the number of its elements, 0 if that is refused.
template <class T>
rapt::Index read(const rapt::SafetensorsFile& file, const std::string& name,
                 const std::shared_ptr<const void>& mapping) {
  try {
    const auto tensor = file.read<T>(name);
    rapt_fuzz::expect(tensor.shape() == file.shape(name));
    const auto borrowed = file.borrow<T>(name, mapping);
    const auto bytes = static_cast<std::size_t>(tensor.size()) * sizeof(T);
    rapt_fuzz::expect(bytes == 0 || std::memcmp(tensor.data(), borrowed.data(), bytes) == 0);
    return tensor.size();
  } catch (const rapt::Error&) {  // a type or rank that rapt does not read, or values that T does not hold
    return 0;
  }
}

/// A copy of all tensors, byte by byte, is the same file to its reader.
void copy(const rapt::SafetensorsFile& file, const std::filesystem::path& path) {
  std::vector<std::vector<std::byte>> bytes;
  for (const std::string& name : file.names()) bytes.push_back(file.bytes(name));
  std::vector<rapt::SafetensorsEntry> entries;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::string& name = file.names()[i];
    entries.emplace_back(name, file.dtype_name(name), file.sizes(name), bytes[i]);
  }
  rapt::write_safetensors(path, entries, file.metadata());
  const rapt::SafetensorsFile again(path);
  rapt_fuzz::expect(again.metadata() == file.metadata() && again.names().size() == bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::string& name = file.names()[i];
    rapt_fuzz::expect(again.bytes(name) == bytes[i] && again.sizes(name) == file.sizes(name) &&
                      again.dtype_name(name) == file.dtype_name(name));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::MemoryFile file;
  static const rapt_fuzz::Folder folder;
  file.write({reinterpret_cast<const char*>(data), size});
  try {
    const rapt::SafetensorsFile opened(file.path());
    const auto mapping = opened.map();
    rapt::Index elements = 0;
    for (const std::string& name : opened.names()) {
      elements += read<float>(opened, name, mapping);
      for (const rapt::Index n : {read<double>(opened, name, mapping), read<bool>(opened, name, mapping),
                                  read<std::int32_t>(opened, name, mapping), read<std::int64_t>(opened, name, mapping),
                                  read<std::uint8_t>(opened, name, mapping)}) {
        rapt_fuzz::expect(n <= static_cast<rapt::Index>(size));
      }
    }
    rapt_fuzz::expect(elements <= static_cast<rapt::Index>(size));  // each takes at least a byte of the file
    copy(opened, folder.path() / "copy");
  } catch (const rapt::Error&) {
  }
  return 0;
}
