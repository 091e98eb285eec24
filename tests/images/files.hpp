/// \file
/// What tests of image files share: a folder of their own, random images, gzip's other direction.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/rng.hpp"
#include "rapt/images/file_bytes.hpp"
#include "rapt/images/image.hpp"
#include "tests/common/temporary_folder.hpp"

namespace rapt_test {

using Bytes = std::vector<std::uint8_t>;

/// A fixture with a folder that files are written into.
class ImageFileTest : public FolderTest {
 protected:
  /// Writes a file into the folder.
  [[nodiscard]] std::filesystem::path file(std::string_view name, const Bytes& bytes) const {
    rapt::write_file_bytes(folder_ / name, bytes);
    return folder_ / name;
  }
};

[[nodiscard]] inline Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

[[nodiscard]] inline Bytes random_bytes(std::size_t count, std::uint64_t seed) {
  Bytes bytes(count);
  const rapt::RandomStream stream{seed, 0};
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(stream.block(i)[0] >> 24);
  return bytes;
}

[[nodiscard]] inline rapt::Image random_image(rapt::Index height, rapt::Index width, rapt::Index channels,
                                              std::uint64_t seed) {
  return {height, width, channels, random_bytes(static_cast<std::size_t>(height * width * channels), seed)};
}

/// One gzip member.
[[nodiscard]] inline Bytes gzipped(const Bytes& bytes) {
  ::z_stream z = {};
  constexpr int kGzip = MAX_WBITS + 16, kMemory = 8;
  if (deflateInit2(&z, 9, Z_DEFLATED, kGzip, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("deflate");
  Bytes result(::deflateBound(&z, static_cast<::uLong>(bytes.size())));
  z.next_in = const_cast<::Bytef*>(bytes.data());
  z.avail_in = static_cast<::uInt>(bytes.size());
  z.next_out = result.data();
  z.avail_out = static_cast<::uInt>(result.size());
  const int status = ::deflate(&z, Z_FINISH);
  result.resize(z.total_out);
  ::deflateEnd(&z);
  if (status != Z_STREAM_END) throw std::runtime_error("deflate");
  return result;
}

[[nodiscard]] inline Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

[[nodiscard]] inline Bytes first_bytes(const Bytes& bytes, std::size_t count) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace rapt_test
