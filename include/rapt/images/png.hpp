/// \file
/// PNG files, read and written with libpng's simplified interface.
#pragma once

#include <png.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/images/file_bytes.hpp"
#include "rapt/images/image.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a PNG file is read.
struct PngOptions {
  /// The colour behind transparent pixels. A gray image stays gray and takes its green value.
  Colour background = {255, 255, 255};
  Index max_pixels = kMaxImagePixels;  ///< larger images are refused
};

namespace detail {

/// Owns libpng's state for an image.
class PngState {
 public:
  PngState() { state_.version = PNG_IMAGE_VERSION; }
  PngState(const PngState&) = delete;
  PngState& operator=(const PngState&) = delete;
  ~PngState() { ::png_image_free(&state_); }

  [[nodiscard]] ::png_image& state() { return state_; }
  /// Throws IoError with libpng's reason.
  [[noreturn]] void fail_with(std::string_view file) const {
    fail<IoError>("png", file, ": libpng: ", std::string_view(state_.message));
  }

 private:
  ::png_image state_ = {};
};

[[nodiscard]] inline std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 | std::uint32_t{bytes[at + 2]} << 8 |
         std::uint32_t{bytes[at + 3]};
}

/// Reads the chunks up to IEND and throws IoError unless all are complete, the first is a header with an acceptable
/// size, and the compressed data can hold that many pixels. A header can therefore cause the allocation of about a
/// thousand times the file's size at most. The contents of chunks and their checksums are checked by libpng.
inline void check_png(std::span<const std::uint8_t> bytes, Index max_pixels, std::string_view file) {
  constexpr std::string_view kWhere = "png";
  constexpr std::array<std::uint8_t, 8> kSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  constexpr std::size_t kFrame = 12;               // length, type and checksum of a chunk
  constexpr std::uint64_t kMostCompressed = 1032;  // deflate's best ratio
  require<IoError>(bytes.size() >= kSignature.size() && std::equal(kSignature.begin(), kSignature.end(), bytes.begin()),
                   kWhere, file, ": not a PNG file: its first 8 bytes are not the signature");
  std::uint64_t compressed = 0, needed = 0;
  for (std::size_t at = kSignature.size();;) {
    const std::size_t left = bytes.size() - at;
    require<IoError>(left >= kFrame, kWhere, file, ": truncated: at byte ", at, " a chunk should begin, the file has ",
                     bytes.size(), " bytes");
    const std::size_t length = big_endian(bytes, at);
    const auto* type = reinterpret_cast<const char*>(bytes.data() + at + 4);
    require<IoError>(length <= left - kFrame, kWhere, file, ": truncated: the chunk at byte ", at, " has ", length,
                     " bytes, the file ends ", left - kFrame, " bytes behind its beginning");
    if (at == kSignature.size()) {
      require<IoError>(std::memcmp(type, "IHDR", 4) == 0 && length == 13, kWhere, file,
                       ": at byte 8 the header must stand, of 13 bytes");
      const std::uint64_t width = big_endian(bytes, at + 8), height = big_endian(bytes, at + 12);
      require<IoError>(width > 0 && height > 0 && width <= static_cast<std::uint64_t>(max_pixels) / height, kWhere,
                       file, ": at byte 16: ", width, " x ", height, " pixels are not from 1 to ", max_pixels);
      const std::uint64_t bits = bytes[at + 16];  // bits of a channel or of a palette index
      needed = width * height * std::min<std::uint64_t>(bits, 16) / 8;
    } else if (std::memcmp(type, "IDAT", 4) == 0) {
      compressed += length;
    } else if (std::memcmp(type, "IEND", 4) == 0) {
      break;
    }
    at += kFrame + length;
  }
  require<IoError>(needed <= compressed * kMostCompressed, kWhere, file, ": ", compressed,
                   " bytes of compressed data cannot hold the ", needed, " bytes that the header promises");
}

/// Puts transparent pixels on the background: each channel becomes (alpha value + (255 - alpha) background) / 255,
/// rounded. `pixels` holds the channels of each pixel and then its alpha.
inline void lay_on_background(std::span<const std::uint8_t> pixels, const Colour& background, Image& image) {
  const auto channels = to_size(image.channels());
  const std::array<std::uint8_t, 3> below = channels == 3
                                                ? std::array{background.red, background.green, background.blue}
                                                : std::array{background.green, background.green, background.green};
  std::uint8_t* to = image.bytes().data();
  for (std::size_t at = 0; at < pixels.size(); at += channels + 1) {
    const unsigned alpha = pixels[at + channels];
    for (std::size_t c = 0; c < channels; ++c) {
      *to++ = static_cast<std::uint8_t>((alpha * pixels[at + c] + (255 - alpha) * below[c] + 127) / 255);
    }
  }
}

}  // namespace detail

/// Decodes the bytes of a PNG file of any kind to 8 bits for each value. Gray files give one channel, all others three,
/// and values of 16 bits are rounded. The result is sRGB, whatever gamma or profile the file states. Transparent pixels
/// are put on the background in sRGB values, as browsers and Pillow do, not in linear light. Bytes after the file's end
/// chunk are ignored. Throws IoError with `file`.
[[nodiscard]] inline Image decode_png(std::span<const std::uint8_t> bytes, std::string_view file,
                                      const PngOptions& options = {}) {
  detail::check_png(bytes, std::min(options.max_pixels, kMaxImagePixels), file);
  detail::PngState png;
  ::png_image& state = png.state();
  if (::png_image_begin_read_from_memory(&state, bytes.data(), bytes.size()) == 0) png.fail_with(file);
  const bool is_colour = (state.format & PNG_FORMAT_FLAG_COLOR) != 0;
  const bool has_alpha = (state.format & PNG_FORMAT_FLAG_ALPHA) != 0;
  state.format = (is_colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY) | (has_alpha ? PNG_FORMAT_FLAG_ALPHA : 0u);
  state.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // values of 16 bits are sRGB, too
  Image image(static_cast<Index>(state.height), static_cast<Index>(state.width), is_colour ? 3 : 1);
  std::vector<std::uint8_t> with_alpha(has_alpha ? PNG_IMAGE_SIZE(state) : 0);
  std::uint8_t* pixels = has_alpha ? with_alpha.data() : image.bytes().data();
  if (::png_image_finish_read(&state, nullptr, pixels, 0, nullptr) == 0) png.fail_with(file);
  if (has_alpha) detail::lay_on_background(with_alpha, options.background, image);
  return image;
}

/// Reads a file as decode_png does.
[[nodiscard]] inline Image read_png(const std::filesystem::path& path, const PngOptions& options = {}) {
  return decode_png(read_file_bytes(path), path.string(), options);
}

/// The bytes of a PNG file with the image.
[[nodiscard]] inline std::vector<std::uint8_t> encode_png(const Image& image) {
  require<ShapeError>(!image.empty(), "png", "the image is empty");
  detail::PngState png;
  ::png_image& state = png.state();
  state.width = static_cast<::png_uint_32>(image.width());
  state.height = static_cast<::png_uint_32>(image.height());
  state.format = image.channels() == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  ::png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(state);
  std::vector<std::uint8_t> bytes(size);
  const std::uint8_t* pixels = image.bytes().data();
  if (::png_image_write_to_memory(&state, bytes.data(), &size, 0, pixels, 0, nullptr) == 0) png.fail_with("(writing)");
  bytes.resize(size);
  return bytes;
}

/// Writes the file completely or not at all.
inline void write_png(const std::filesystem::path& path, const Image& image) {
  write_file_bytes(path, encode_png(image));
}

}}  // namespace rapt::RAPT_ABI
