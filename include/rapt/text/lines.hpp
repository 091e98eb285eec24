/// \file
/// Reading text files, and splitting text into lines. Everything that reads lines uses these functions, so that byte
/// order marks, line ends and blank lines are treated the same way everywhere.
///
/// A line ends with LF or CR LF. No other character ends a line: CR alone, U+0085 and U+2028 are part of it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <istream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/input_file.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The text without the byte order mark U+FEFF at its beginning, which some programs write before UTF-8.
[[nodiscard]] constexpr std::string_view without_byte_order_mark(std::string_view text) {
  return text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text;
}

/// True for a line that is empty or consists of white space alone (see `is_whitespace`).
[[nodiscard]] inline bool is_blank(std::string_view line) { return strip_end(line).empty(); }

/// The text as one line, whichever characters a reader takes for line ends: each control character but the tab, U+2028
/// and U+2029 are replaced by a space, and each malformed byte by U+FFFD.
[[nodiscard]] inline std::string as_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    const bool is_control = point.value < 0x20 || (point.value >= 0x7F && point.value <= 0x9F);
    if (point.value < 0) {
      line += "\xEF\xBF\xBD";
    } else if ((is_control && point.value != '\t') || point.value == 0x2028 || point.value == 0x2029) {
      line += ' ';
    } else {
      line += text.substr(i, point.length);
    }
    i += point.length;
  }
  return line;
}

/// The lines of a text, without line ends and without a byte order mark at the beginning. A newline at the end of the
/// text ends the last line and begins no other. The lines are views of the text, which may be malformed.
[[nodiscard]] inline std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  text = without_byte_order_mark(text);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// Reads a stream of UTF-8 text, such as the standard input, line by line. Not thread-safe.
class LineReader {
 public:
  /// The stream must outlive the reader; `name` is its name in messages.
  LineReader(std::istream& stream, std::string name) : stream_(stream), name_(std::move(name)) {}

  /// Reads the next line without its end, and without a byte order mark in the first one. Returns false at the end of
  /// the stream. Throws IoError if reading fails, and with the numbers of the line and the byte, both from 1, if a line
  /// is not UTF-8; that line counts as read, and reading may go on.
  [[nodiscard]] bool next(std::string& line) {
    if (!std::getline(stream_, line)) {
      require<IoError>(!stream_.bad(), name_, "reading failed after ", number_, " lines");
      return false;
    }
    if (number_ == 0) {
      const std::size_t mark = line.size() - without_byte_order_mark(line).size();
      if (mark > 0 && mark == line.size() && stream_.eof()) return false;  // A stream with a mark alone has no line.
      line.erase(0, mark);
    }
    ++number_;
    if (line.ends_with('\r')) line.pop_back();
    if (const auto offset = find_invalid_utf8(line)) {
      fail<IoError>(name_ + ":" + std::to_string(number_), "not UTF-8: byte ", *offset + 1,
                    " of the line has the value ", static_cast<int>(static_cast<unsigned char>(line[*offset])));
    }
    return true;
  }

  /// The number of lines that have been read.
  [[nodiscard]] std::size_t number() const { return number_; }

 private:
  std::istream& stream_;
  std::string name_;
  std::size_t number_ = 0;
};

namespace detail {

/// A text file that is read. Throws IoError if it cannot be opened.
class TextFile : public InputFile {
 public:
  explicit TextFile(const std::filesystem::path& path) : InputFile(path) {
    std::error_code ignored;
    require<IoError>(!std::filesystem::is_directory(path, ignored), path.string(), "is a directory, not a text file");
    require<IoError>(is_open(), path.string(), "cannot open the file for reading");
  }
};

/// The rest of a stream. If reading fails, the stream is bad() afterwards. (Iterators over its buffer would throw.)
[[nodiscard]] inline std::string read_all(std::istream& stream) {
  std::string text;
  std::array<char, 1 << 16> part;
  do {
    stream.read(part.data(), static_cast<std::streamsize>(part.size()));
    text.append(part.data(), to_size(stream.gcount()));
  } while (stream);
  return text;
}

}  // namespace detail

/// The lines of a UTF-8 file, as LineReader reads them. Throws IoError with the file's name if it cannot be opened or
/// read, is a directory, or is not UTF-8.
[[nodiscard]] inline std::vector<std::string> read_lines(const std::filesystem::path& path) {
  detail::TextFile file(path);
  LineReader reader(file, path.string());
  std::vector<std::string> lines;
  for (std::string line; reader.next(line);) lines.push_back(line);
  return lines;
}

/// The text of a UTF-8 file without a byte order mark. Throws IoError as `read_lines` does.
[[nodiscard]] inline std::string read_text(const std::filesystem::path& path) {
  detail::TextFile file(path);
  std::string text = detail::read_all(file);
  require<IoError>(!file.bad(), path.string(), "reading failed after ", text.size(), " bytes");
  text.erase(0, text.size() - without_byte_order_mark(text).size());
  if (const auto offset = find_invalid_utf8(text)) {
    const std::string_view before = std::string_view(text).substr(0, *offset);
    const auto line_begin = before.rfind('\n') + 1;  // 0 if there is none
    fail<IoError>(path.string() + ":" + std::to_string(std::count(before.begin(), before.end(), '\n') + 1),
                  "not UTF-8: byte ", *offset - line_begin + 1, " of the line has the value ",
                  static_cast<int>(static_cast<unsigned char>(text[*offset])));
  }
  return text;
}

}}  // namespace rapt::RAPT_ABI
