/// \file
/// Files that may be compressed by gzip (RFC 1952).
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/images/file_bytes.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Owns zlib's state for decompressing gzip.
class GzipInflater {
 public:
  explicit GzipInflater(std::string_view file) {
    constexpr int kGzipOnly = 16;  // added to the number of window bits, makes zlib refuse other formats
    require<IoError>(::inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK, "gzip", file, ": zlib does not start");
  }
  GzipInflater(const GzipInflater&) = delete;
  GzipInflater& operator=(const GzipInflater&) = delete;
  ~GzipInflater() { ::inflateEnd(&stream_); }

  [[nodiscard]] ::z_stream& stream() { return stream_; }

 private:
  ::z_stream stream_ = {};
};

}  // namespace detail

/// True if the bytes begin with gzip's magic number.
[[nodiscard]] inline bool is_gzip(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

/// Decompresses one or more gzip members, one after the other. Throws IoError with `file` and the offset if the bytes
/// are truncated or corrupt (checksums are compared), if other bytes follow, and if the result would be larger than the
/// limit. Memory grows with the bytes that are really there, not with what a header says.
[[nodiscard]] inline std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> bytes, std::size_t limit,
                                                      std::string_view file) {
  constexpr std::string_view kWhere = "gzip";
  constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;  // as zlib counts in 32 bits
  require<IoError>(is_gzip(bytes), kWhere, file, ": it does not begin with gzip's magic number");
  const std::size_t largest = std::max(limit, limit + 1);  // one byte more than allowed, to notice a larger result
  std::vector<std::uint8_t> result(std::min(largest, std::max<std::size_t>(4 * bytes.size(), 4096)));
  std::size_t taken = 0, given = 0;
  detail::GzipInflater inflater(file);
  ::z_stream& z = inflater.stream();
  while (taken < bytes.size()) {
    require<IoError>(is_gzip(bytes.subspan(taken)), kWhere, file, ": ", bytes.size() - taken,
                     " bytes that are not gzip's stand behind the compressed data, at byte ", taken);
    ::inflateReset(&z);
    for (int status = Z_OK; status != Z_STREAM_END;) {
      if (given == result.size()) {
        require<IoError>(given <= limit, kWhere, file, ": it inflates to more than the limit of ", limit, " bytes");
        result.resize(std::min(largest, 2 * result.size()));
      }
      const auto in = static_cast<::uInt>(std::min(bytes.size() - taken, kMostAtOnce));
      const auto out = static_cast<::uInt>(std::min(result.size() - given, kMostAtOnce));
      z.next_in = const_cast<::Bytef*>(bytes.data() + taken);  // zlib does not write there
      z.avail_in = in;
      z.next_out = result.data() + given;
      z.avail_out = out;
      status = ::inflate(&z, Z_NO_FLUSH);
      taken += in - z.avail_in;
      given += out - z.avail_out;
      if (status == Z_OK || status == Z_STREAM_END) continue;
      require<IoError>(status != Z_BUF_ERROR || taken < bytes.size(), kWhere, file,
                       ": truncated: the compressed data do not end within its ", bytes.size(), " bytes");
      require<IoError>(status != Z_MEM_ERROR, kWhere, file, ": zlib has no memory");
      fail<IoError>(kWhere, file, ": corrupt at byte ", taken, ": ",
                    z.msg != nullptr ? std::string_view(z.msg) : std::string_view("zlib gives no reason"));
    }
  }
  require<IoError>(given <= limit, kWhere, file, ": it inflates to more than the limit of ", limit, " bytes");
  result.resize(given);
  return result;
}

/// The bytes of a file, decompressed if it is a gzip file. Throws IoError as `read_file_bytes` and `gunzip` do.
[[nodiscard]] inline std::vector<std::uint8_t> read_maybe_gzip(const std::filesystem::path& path,
                                                               std::size_t limit = kMaxFileBytes) {
  std::vector<std::uint8_t> bytes = read_file_bytes(path, limit);
  return is_gzip(bytes) ? gunzip(bytes, limit, path.string()) : bytes;
}

}}  // namespace rapt::RAPT_ABI
