/// \file
/// libFuzzer target: whatever the bytes are, reading them as an IDX file, perhaps compressed, either works or throws
/// rapt::Error.
///
///     sh tests/fuzz/run.sh 120 idx  # -max_len=4096
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
