/// \file
/// Sound in WAV files: RIFF with "WAVE" inside, of PCM or floating-point samples that are not compressed.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/images/file_bytes.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// One channel of sound.
struct Sound {
  std::vector<float> samples;  ///< from -1 to 1; a file of floating-point samples may have larger ones
  Index rate = 0;              ///< samples in a second
};

namespace detail {

/// Reads the chunks of a WAV file.
class WavReader {
 public:
  WavReader(std::span<const std::uint8_t> bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  [[nodiscard]] Sound read() {
    check(bytes_.size() >= 12 && is("RIFF", 0) && is("WAVE", 8),
          "not a WAV file: it does not begin with RIFF and WAVE");
    bool has_format = false;
    for (std::size_t at = 12;;) {
      check(at <= bytes_.size() && bytes_.size() - at >= 8, "it ends at byte ", bytes_.size(),
            ", before its \"data\" chunk");
      const std::size_t size = number(at + 4, 4), begin = at + 8, left = bytes_.size() - begin;
      check(size <= left, "the chunk at byte ", at, " has ", size, " bytes, of which ", left, " are there");
      if (is("fmt ", at)) {
        read_format(begin, size);
        has_format = true;
      } else if (is("data", at)) {
        check(has_format, "its \"data\" chunk at byte ", at, " comes before its \"fmt \" chunk");
        return {read_samples(bytes_.subspan(begin, size)), rate_};
      }
      at = begin + size + size % 2;  // chunks begin at even places
    }
  }

 private:
  static constexpr std::uint32_t kPcm = 1, kFloat = 3, kExtensible = 0xfffe;

  template <class... Parts>
  void check(bool right, const Parts&... parts) const {
    require<IoError>(right, "wav", file_, ": ", parts...);
  }
  [[nodiscard]] bool is(std::string_view name, std::size_t at) const {
    return std::memcmp(bytes_.data() + at, name.data(), name.size()) == 0;
  }
  /// A number of so many bytes, the lowest first.
  [[nodiscard]] std::uint32_t number(std::size_t at, std::size_t count) const {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value |= std::uint32_t{bytes_[at + i]} << (8 * i);
    return value;
  }

  void read_format(std::size_t at, std::size_t size) {
    check(size >= 16, "its \"fmt \" chunk has ", size, " bytes, at least 16 are wanted");
    kind_ = number(at, 2), channels_ = number(at + 2, 2), bits_ = number(at + 14, 2);
    rate_ = static_cast<Index>(number(at + 4, 4));
    if (kind_ == kExtensible) {
      check(size >= 40, "its extensible \"fmt \" chunk has ", size, " bytes, at least 40 are wanted");
      kind_ = number(at + 24, 2);
    }
    const bool is_pcm = kind_ == kPcm && (bits_ == 8 || bits_ == 16 || bits_ == 24 || bits_ == 32);
    check(is_pcm || (kind_ == kFloat && (bits_ == 32 || bits_ == 64)), "samples of format ", kind_, " with ", bits_,
          " bits are not known: known are PCM (1) of 8, 16, 24 and 32 bits and floating point (3) of 32 and 64");
    check(channels_ > 0 && rate_ > 0, "it has ", channels_, " channels and ", rate_, " samples in a second");
    const std::uint32_t frame = number(at + 12, 2);
    check(frame == channels_ * bits_ / 8, "its samples of ", channels_, " channels with ", bits_, " bits take ",
          channels_ * bits_ / 8, " bytes, it says ", frame);
  }

  /// The mean of the channels.
  [[nodiscard]] std::vector<float> read_samples(std::span<const std::uint8_t> data) const {
    const std::size_t width = bits_ / 8, frame = width * channels_;
    check(data.size() % frame == 0, "its \"data\" chunk has ", data.size(), " bytes, which are not whole samples of ",
          frame);
    std::vector<float> samples(data.size() / frame);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      double sum = 0;
      for (std::size_t c = 0; c < channels_; ++c) sum += sample(data.data() + i * frame + c * width, width);
      samples[i] = static_cast<float>(sum / channels_);
    }
    const auto finite = [](float value) { return std::isfinite(value); };
    const auto wrong = std::find_if_not(samples.begin(), samples.end(), finite);
    check(wrong == samples.end(), "sample ", wrong - samples.begin(), " is not a finite number");
    return samples;
  }
  /// One sample as a number; integers are divided by the largest magnitude that they can have.
  [[nodiscard]] double sample(const std::uint8_t* from, std::size_t width) const {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < width; ++i) bits |= std::uint64_t{from[i]} << (8 * i);
    if (kind_ == kFloat) {
      return width == 8 ? std::bit_cast<double>(bits)
                        : static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    }
    if (width == 1) return (static_cast<double>(bits) - 128) / 128;  // 8 bits have no sign
    const auto value = static_cast<std::int32_t>(static_cast<std::uint32_t>(bits << (32 - 8 * width)));
    return static_cast<double>(value) / 2147483648.0;
  }

  std::span<const std::uint8_t> bytes_;
  std::string_view file_;
  std::uint32_t kind_ = 0, channels_ = 0, bits_ = 0;
  Index rate_ = 0;
};

}  // namespace detail

/// Decodes the bytes of a WAV file: PCM of 8, 16, 24 or 32 bits, or floating point of 32 or 64. Several channels become
/// their mean. Chunks other than "fmt " and "data" are passed over, and bytes behind "data" ignored. Throws IoError
/// with `file` and the place for what is malformed, cut off, compressed, or not a finite number.
[[nodiscard]] inline Sound decode_wav(std::span<const std::uint8_t> bytes, std::string_view file) {
  return detail::WavReader(bytes, file).read();
}

/// Reads a file as decode_wav does.
[[nodiscard]] inline Sound read_wav(const std::filesystem::path& path) {
  return decode_wav(read_file_bytes(path), path.string());
}

}}  // namespace rapt::RAPT_ABI
