/// \file
/// libFuzzer target: whatever the bytes are, reading them as an IDX file, perhaps compressed, either works or throws
/// rapt::Error.
///
///     clang++-14 -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -I. -isystem /usr/include/eigen3 \
///       tests/fuzz/idx_fuzz.cpp -o idx_fuzz -lz
///     mkdir corpus && ./idx_fuzz -max_total_time=120 -max_len=4096 corpus
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "rapt/images/idx.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kLimit = 1 << 20;
  try {
    std::vector<std::uint8_t> bytes(data, data + size);
    if (rapt::is_gzip(bytes)) bytes = rapt::gunzip(bytes, kLimit, "input");
    if (bytes.size() > std::max(size, kLimit)) std::abort();
    const rapt::IdxArray array = rapt::decode_idx(std::move(bytes), "input");
    if (array.shape.size() != static_cast<rapt::Index>(array.values.size())) std::abort();
  } catch (const rapt::Error&) {
  }
  return 0;
}
