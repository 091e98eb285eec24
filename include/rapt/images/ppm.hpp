/// \file
/// Netpbm's gray and colour images (PGM and PPM), binary (P5, P6) or as text (P2, P3).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/images/file_bytes.hpp"
#include "rapt/images/image.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Reads a file's bytes in order: numbers, between white space and comments (from # to the end of the line).
class PpmScanner {
 public:
  PpmScanner(std::span<const std::uint8_t> bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  /// The second of the two bytes that every file begins with, '1' .. '6' after 'P'.
  [[nodiscard]] char kind() {
    check(bytes_.size() >= 2 && bytes_[0] == 'P', "not a PPM or PGM file: it does not begin with P5, P6, P2 or P3");
    at_ = 2;
    return static_cast<char>(bytes_[1]);
  }
  /// The next number, which must not be larger than `most`.
  [[nodiscard]] Index number(Index most, std::string_view what) {
    const std::size_t before = at_;
    skip_space();
    check(at_ > before, "white space is missing before the ", what);
    check(at_ < bytes_.size(), "truncated: the ", what, " is missing");
    check(is_digit(bytes_[at_]), "the ", what, " is not a number");
    Index value = 0;
    for (; at_ < bytes_.size() && is_digit(bytes_[at_]); ++at_) {
      value = value * 10 + (bytes_[at_] - '0');
      check(value <= most, "the ", what, " is larger than ", most);
    }
    return value;
  }
  /// Skips the single white space between the header and binary values.
  void one_space() {
    check(at_ < bytes_.size() && is_space(bytes_[at_]), "a white space must end the header");
    ++at_;
  }
  void skip_space() {
    for (; at_ < bytes_.size(); ++at_) {
      if (bytes_[at_] == '#') {
        while (at_ + 1 < bytes_.size() && bytes_[at_] != '\n') ++at_;
      } else if (!is_space(bytes_[at_])) {
        return;
      }
    }
  }
  /// The bytes that have not been read.
  [[nodiscard]] std::span<const std::uint8_t> rest() const { return bytes_.subspan(at_); }

  /// Throws IoError with the file and the place unless the condition holds.
  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    require<IoError>(condition, "ppm", file_, ": at byte ", at_, ": ", pieces...);
  }

 private:
  [[nodiscard]] static bool is_space(std::uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  [[nodiscard]] static bool is_digit(std::uint8_t c) { return c >= '0' && c <= '9'; }

  std::span<const std::uint8_t> bytes_;
  std::string_view file_;
  std::size_t at_ = 0;
};

}  // namespace detail

/// Decodes the bytes of a file with one image. If the file's largest value is below 255, values are scaled to 0 .. 255.
/// Throws IoError with `file` and the offset for another format, more than 8 bits for a value, a value above the
/// largest one, missing values, and bytes after the last value. Nothing is allocated before the file is known to be
/// long enough.
[[nodiscard]] inline Image decode_ppm(std::span<const std::uint8_t> bytes, std::string_view file) {
  detail::PpmScanner scanner(bytes, file);
  const char kind = scanner.kind();
  scanner.check(kind == '2' || kind == '3' || kind == '5' || kind == '6', "P2, P3, P5 and P6 are read, not P",
                std::string_view(&kind, 1));
  const bool is_text = kind < '5';
  const Index channels = kind == '3' || kind == '6' ? 3 : 1;
  const Index width = scanner.number(kMaxImagePixels, "width"), height = scanner.number(kMaxImagePixels, "height");
  scanner.check(width > 0 && height > 0 && width <= kMaxImagePixels / height, width, " x ", height,
                " pixels are not from 1 to ", kMaxImagePixels);
  const Index largest = scanner.number(65535, "largest value");
  scanner.check(largest >= 1 && largest <= 255, "the largest value must be 1 to 255: ", largest);
  const Index count = width * height * channels;

  const auto left = std::ssize(scanner.rest());
  if (is_text) {
    scanner.check(left / 2 >= count, width, " x ", height, " x ", channels, " values need ", 2 * count,
                  " bytes or more, ", left, " are left");
  } else {
    scanner.one_space();
    scanner.check(left - 1 == count, width, " x ", height, " x ", channels, " values need ", count, " bytes, ",
                  left - 1, " are left");
  }
  Image image(height, width, channels);
  const std::span<const std::uint8_t> binary = scanner.rest();
  for (std::size_t i = 0; i < image.bytes().size(); ++i) {
    const Index value = is_text ? scanner.number(largest, "value") : Index{binary[i]};
    scanner.check(value <= largest, "value ", i, " is ", value, ", larger than ", largest);
    image.bytes()[i] = static_cast<std::uint8_t>((value * 255 + largest / 2) / largest);
  }
  if (is_text) {
    scanner.skip_space();
    scanner.check(scanner.rest().empty(), scanner.rest().size(), " bytes stand behind the last value");
  }
  return image;
}

/// Reads a file as decode_ppm does.
[[nodiscard]] inline Image read_ppm(const std::filesystem::path& path) {
  return decode_ppm(read_file_bytes(path), path.string());
}

/// The bytes of a binary file with the image: P5 for a gray image, P6 for a colour image.
[[nodiscard]] inline std::vector<std::uint8_t> encode_ppm(const Image& image) {
  require<ShapeError>(!image.empty(), "ppm", "the image is empty");
  const std::string header = std::string(image.channels() == 3 ? "P6" : "P5") + "\n" + std::to_string(image.width()) +
                             " " + std::to_string(image.height()) + "\n255\n";
  std::vector<std::uint8_t> bytes(header.begin(), header.end());
  bytes.insert(bytes.end(), image.bytes().begin(), image.bytes().end());
  return bytes;
}

/// Writes the file completely or not at all.
inline void write_ppm(const std::filesystem::path& path, const Image& image) {
  write_file_bytes(path, encode_ppm(image));
}

}}  // namespace rapt::RAPT_ABI
