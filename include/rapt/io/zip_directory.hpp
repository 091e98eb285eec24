/// \file
/// The directory of a ZIP file, for files whose members are stored as they are: where each member's bytes lie. The
/// format is PKWARE's APPNOTE.TXT 6.3, with ZIP64. Everything in it comes from outside and is checked before use.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/io/tensor_record.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The bytes of a member, which lie within the file.
struct ZipMember {
  std::uint64_t begin = 0, bytes = 0;
};

/// The members of a ZIP file by name.
class ZipDirectory {
 public:
  /// read(offset, target, bytes) reads from the file, of which `file_bytes` is the size. `where` and `file` are for
  /// messages and must live as long as this. Throws IoError for a file without a directory, for one whose directory or
  /// members do not lie in it, and for members that are compressed or encrypted.
  template <class Read>
  ZipDirectory(std::string_view where, std::string_view file, std::uint64_t file_bytes, const Read& read)
      : where_(where), file_(file), file_bytes_(file_bytes) {
    const Place place = find_directory(read);
    check(place.bytes <= kMostDirectory, "the ZIP directory has ", place.bytes, " bytes; at most ", kMostDirectory,
          " are read");
    std::vector<unsigned char> directory(place.bytes);
    read(place.begin, directory.data(), directory.size());
    for (std::size_t at = 0; at < directory.size();) {
      check(directory.size() - at >= kEntryBytes && number(directory, at, 4) == kEntrySignature,
            "the ZIP directory has no entry at its byte ", at);
      const std::uint64_t flags = number(directory, at + 8, 2), method = number(directory, at + 10, 2),
                          name_bytes = number(directory, at + 28, 2), extra_bytes = number(directory, at + 30, 2),
                          comment_bytes = number(directory, at + 32, 2);
      check(directory.size() - at - kEntryBytes >= name_bytes + extra_bytes + comment_bytes,
            "an entry of the ZIP directory ends behind the directory: at its byte ", at);
      const std::string name(reinterpret_cast<const char*>(directory.data()) + at + kEntryBytes, name_bytes);
      Entry entry{.packed = number(directory, at + 20, 4),
                  .bytes = number(directory, at + 24, 4),
                  .header = number(directory, at + 42, 4)};
      widen(directory, at + kEntryBytes + name_bytes, extra_bytes, name, entry);
      check((flags & 1u) == 0, quote_name(name), " is encrypted");
      check(method == 0, quote_name(name), " is compressed (method ", method,
            "); only members that are stored as they are can be read: torch.save writes such files");
      check(entry.packed == entry.bytes, quote_name(name), " is stored, but takes ", entry.packed, " bytes for ",
            entry.bytes);
      check(members_.emplace(name, member_at(entry, name, read)).second, quote_name(name), " stands twice");
      at += kEntryBytes + name_bytes + extra_bytes + comment_bytes;
    }
  }

  [[nodiscard]] const std::map<std::string, ZipMember, std::less<>>& members() const { return members_; }

 private:
  struct Place {
    std::uint64_t begin, bytes;
  };
  struct Entry {
    std::uint64_t packed, bytes, header;
  };
  static constexpr std::uint64_t kEntrySignature = 0x02014b50, kHeaderSignature = 0x04034b50,
                                 kEndSignature = 0x06054b50, kEnd64Signature = 0x06064b50,
                                 kLocatorSignature = 0x07064b50;
  static constexpr std::size_t kEntryBytes = 46, kHeaderBytes = 30, kEndBytes = 22, kEnd64Bytes = 56,
                               kLocatorBytes = 20;
  static constexpr std::uint64_t kMostDirectory = std::uint64_t{1} << 28;

  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    if (!condition) fail<IoError>(where_, file_, ": ", pieces...);
  }

  /// Little-endian.
  template <class Bytes>
  [[nodiscard]] static std::uint64_t number(const Bytes& bytes, std::size_t at, std::size_t count) {
    std::uint64_t value = 0;
    for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
  }

  /// The record of the end stands in the last bytes, before a comment of at most 65,535.
  template <class Read>
  [[nodiscard]] Place find_directory(const Read& read) const {
    check(file_bytes_ >= kEndBytes, "is no ZIP file: ", file_bytes_, " bytes");
    const std::uint64_t tail_bytes = std::min<std::uint64_t>(file_bytes_, kEndBytes + kLocatorBytes + 65535);
    std::vector<unsigned char> tail(tail_bytes);
    read(file_bytes_ - tail_bytes, tail.data(), tail_bytes);
    std::size_t end = tail.size() - kEndBytes;
    const auto is_end = [&](std::size_t at) {
      return number(tail, at, 4) == kEndSignature && number(tail, at + 20, 2) == tail.size() - at - kEndBytes;
    };
    while (end > 0 && !is_end(end)) --end;
    check(is_end(end), "is no ZIP file, or is cut off: it has no record of a directory's end");
    Place place{.begin = number(tail, end + 16, 4), .bytes = number(tail, end + 12, 4)};
    std::uint64_t end_offset = file_bytes_ - tail_bytes + end;
    if (end >= kLocatorBytes && number(tail, end - kLocatorBytes, 4) == kLocatorSignature) {
      const std::uint64_t offset = number(tail, end - kLocatorBytes + 8, 8);
      check(offset <= end_offset && end_offset - offset >= kEnd64Bytes,
            "the ZIP64 record does not lie in the file: it is at byte ", offset);
      std::vector<unsigned char> record(kEnd64Bytes);
      read(offset, record.data(), kEnd64Bytes);
      check(number(record, 0, 4) == kEnd64Signature, "there is no ZIP64 record at byte ", offset);
      place = {.begin = number(record, 48, 8), .bytes = number(record, 40, 8)};
      end_offset = offset;
    }
    check(place.begin <= end_offset && place.bytes <= end_offset - place.begin, "the ZIP directory of ", place.bytes,
          " bytes at byte ", place.begin, " does not lie in the file");
    return place;
  }

  /// Numbers that do not fit 32 bits stand in an extra field, in the order of the entry.
  void widen(const std::vector<unsigned char>& directory, std::size_t at, std::size_t bytes, const std::string& name,
             Entry& entry) const {
    const std::size_t end = at + bytes;
    while (end - at >= 4) {
      const std::uint64_t kind = number(directory, at, 2), size = number(directory, at + 2, 2);
      at += 4;
      check(size <= end - at, quote_name(name), ": an extra field ends behind its entry");
      const std::size_t next = at + size;
      if (kind == 1) {
        for (std::uint64_t* value : {&entry.bytes, &entry.packed, &entry.header}) {
          if (*value != 0xFFFFFFFFu) continue;
          check(next - at >= 8, quote_name(name), ": its ZIP64 field is too short");
          *value = number(directory, at, 8);
          at += 8;
        }
      }
      at = next;
    }
  }

  /// The member's bytes come behind a header with the name and extra fields once more.
  template <class Read>
  [[nodiscard]] ZipMember member_at(const Entry& entry, const std::string& name, const Read& read) const {
    check(entry.header <= file_bytes_ && file_bytes_ - entry.header >= kHeaderBytes, quote_name(name),
          ": its header at byte ", entry.header, " does not lie in the file");
    unsigned char header[kHeaderBytes];
    read(entry.header, header, kHeaderBytes);
    check(number(header, 0, 4) == kHeaderSignature, quote_name(name), ": there is no header at byte ", entry.header);
    const std::uint64_t begin = entry.header + kHeaderBytes + number(header, 26, 2) + number(header, 28, 2);
    check(begin <= file_bytes_ && entry.bytes <= file_bytes_ - begin, quote_name(name), ": its ", entry.bytes,
          " bytes at byte ", begin, " do not lie in the file");
    return {begin, entry.bytes};
  }

  std::string_view where_, file_;
  std::uint64_t file_bytes_;
  std::map<std::string, ZipMember, std::less<>> members_;
};

}}}  // namespace rapt::RAPT_ABI::detail
