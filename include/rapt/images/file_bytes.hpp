/// \file
/// Reading and writing whole files as bytes.
#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/system.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The default limit of bytes that are read from a file or decompressed: 2 GiB.
inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 31;

/// The bytes of a file. Throws IoError with the path and the reason if it cannot be read, is no regular file, or is
/// larger than the limit.
[[nodiscard]] inline std::vector<std::uint8_t> read_file_bytes(const std::filesystem::path& path,
                                                               std::size_t limit = kMaxFileBytes) {
  constexpr std::string_view kWhere = "read_file";
  const detail::FileDescriptor file(path, detail::OpenMode::read_regular);
  detail::FileFacts facts;
  if (!file.is_open() || !detail::facts_of(file.get(), facts)) {
    fail<IoError>(kWhere, path.string(), ": cannot open: ", detail::system_reason(errno));
  }
  require<IoError>(facts.is_regular, kWhere, path.string(), ": not a regular file");
  require<IoError>(facts.bytes <= limit, kWhere, path.string(), ": it has ", facts.bytes, " bytes, the limit is ",
                   limit);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(facts.bytes));
  for (std::size_t done = 0; done < bytes.size();) {
    const std::int64_t count = detail::read_some(file.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0) fail<IoError>(kWhere, path.string(), ": cannot read: ", detail::system_reason(errno));
    require<IoError>(count > 0, kWhere, path.string(), ": it ended at byte ", done, " of ", bytes.size());
    done += to_size(count);
  }
  return bytes;
}

/// Writes a file completely or not at all (AtomicFile).
inline void write_file_bytes(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}}  // namespace rapt::RAPT_ABI
