/// \file
/// libFuzzer target: whatever the bytes are, opening and reading a safetensors file either works or throws rapt::Error.
///
///     clang++-14 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -isystem /usr/include/eigen3 \
///       tests/fuzz/safetensors_fuzz.cpp -o safetensors_fuzz
///     mkdir corpus && cp tests/golden/safetensors_sample.safetensors corpus
///     ./safetensors_fuzz -max_total_time=120 -max_len=4096 corpus
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "rapt/io/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("safetensors", 0);  // a file in memory, with a path
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  try {
    const rapt::SafetensorsFile opened(path);
    rapt::Index read = 0;
    for (const std::string& name : opened.names()) {
      try {
        read += opened.read<float>(name).size();
        const auto tensor = opened.read<double>(name);
        if (tensor.shape() != opened.shape(name)) std::abort();
      } catch (const rapt::Error&) {  // a dtype or rank that rapt does not read
      }
    }
    if (read > static_cast<rapt::Index>(size)) std::abort();  // every element takes at least a byte of the file
  } catch (const rapt::Error&) {
  }
  return 0;
}
