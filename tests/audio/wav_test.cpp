/// \file
/// WAV files of every kind that is read, and what damaged ones are answered with.
#include "rapt/audio/wav.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <string_view>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt_test::expect_message;
using WavBytes = std::vector<std::uint8_t>;

void put(WavBytes& to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
void put(WavBytes& to, std::string_view text) { to.insert(to.end(), text.begin(), text.end()); }

/// What stands in a file's header.
struct WavHeader {
  std::uint32_t kind = 1, channels = 1, rate = 16000, bits = 16;
  std::uint32_t frame = 0;    ///< bytes of a sample of all channels; 0: those that the others give
  bool extensible = false;    ///< the kind stands at the end of a longer "fmt " chunk
  std::string before = {};    ///< another chunk's bytes, before "data"
  std::uint32_t missing = 0;  ///< bytes that "data" claims beyond those that are there
};

[[nodiscard]] WavBytes wav_file(const WavHeader& header, const WavBytes& data) {
  WavBytes bytes;
  put(bytes, "RIFF"), put(bytes, 0, 4), put(bytes, "WAVE");
  put(bytes, "fmt "), put(bytes, header.extensible ? 40 : 16, 4);
  const std::uint32_t frame = header.frame != 0 ? header.frame : header.channels * header.bits / 8;
  put(bytes, header.extensible ? 0xfffe : header.kind, 2), put(bytes, header.channels, 2), put(bytes, header.rate, 4);
  put(bytes, header.rate * frame, 4), put(bytes, frame, 2), put(bytes, header.bits, 2);
  if (header.extensible) {
    put(bytes, 22, 2), put(bytes, header.bits, 2), put(bytes, 0, 4), put(bytes, header.kind, 2);
    for (int i = 0; i < 14; ++i) bytes.push_back(7);
  }
  if (!header.before.empty()) {
    put(bytes, "LIST"), put(bytes, header.before.size(), 4), put(bytes, header.before);
    if (header.before.size() % 2 == 1) bytes.push_back(0);
  }
  put(bytes, "data"), put(bytes, data.size() + header.missing, 4);
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}
[[nodiscard]] WavBytes wav_data(const std::vector<std::uint64_t>& values, std::size_t width) {
  WavBytes data;
  for (const std::uint64_t value : values) put(data, value, width);
  return data;
}
[[nodiscard]] std::vector<float> samples_of(const WavHeader& header, const std::vector<std::uint64_t>& values) {
  return rapt::decode_wav(wav_file(header, wav_data(values, header.bits / 8)), "x.wav").samples;
}
using Floats = std::vector<float>;

TEST(Wav, ReadsEveryWidth) {
  EXPECT_EQ(samples_of({.bits = 8}, {128, 0, 255, 192}), (Floats{0.f, -1.f, 127.f / 128, 0.5f}));
  EXPECT_EQ(samples_of({.bits = 16}, {0, 0x8000, 0x7fff, 0x4000}), (Floats{0.f, -1.f, 32767.f / 32768, 0.5f}));
  EXPECT_EQ(samples_of({.bits = 24}, {0, 0x800000, 0x400000, 0xffffff}), (Floats{0.f, -1.f, 0.5f, -1.f / 8388608}));
  EXPECT_EQ(samples_of({.bits = 32}, {0, 0x80000000, 0x40000000}), (Floats{0.f, -1.f, 0.5f}));
  EXPECT_EQ(
      samples_of({.kind = 3, .bits = 32}, {std::bit_cast<std::uint32_t>(0.3f), std::bit_cast<std::uint32_t>(-1.5f)}),
      (Floats{0.3f, -1.5f}));
  EXPECT_EQ(samples_of({.kind = 3, .bits = 64}, {std::bit_cast<std::uint64_t>(0.25)}), (Floats{0.25f}));
}

TEST(Wav, ChannelsBecomeTheirMean) {
  EXPECT_EQ(samples_of({.channels = 2}, {0x4000, 0, 0x4000, 0xc000}), (Floats{0.25f, 0.f}));
  EXPECT_EQ(samples_of({.channels = 4, .bits = 8}, {128, 128, 128, 192}), (Floats{0.125f}));
}

TEST(Wav, PassesOverOtherChunks) {
  EXPECT_EQ(samples_of({.before = "INFOa"}, {0x4000}), (Floats{0.5f}));  // of odd length
  EXPECT_EQ(samples_of({.extensible = true}, {0x4000}), (Floats{0.5f}));
  EXPECT_EQ(samples_of({.kind = 3, .bits = 32, .extensible = true}, {std::bit_cast<std::uint32_t>(0.5f)}),
            (Floats{0.5f}));
  WavBytes bytes = wav_file({}, wav_data({0x4000}, 2));
  put(bytes, "rest");
  EXPECT_EQ(rapt::decode_wav(bytes, "x.wav").samples, (Floats{0.5f}));
  EXPECT_TRUE(samples_of({}, {}).empty());
}

TEST(Wav, ReadsFiles) {
  const rapt_test::TemporaryFolder folder;
  rapt::write_file_bytes(folder.path() / "a.wav", wav_file({.rate = 44100}, wav_data({0x4000, 0xc000}, 2)));
  const rapt::Sound sound = rapt::read_wav(folder.path() / "a.wav");
  EXPECT_EQ(sound.rate, 44100);
  EXPECT_EQ(sound.samples, (Floats{0.5f, -0.5f}));
  expect_message([&] { std::ignore = rapt::read_wav(folder.path() / "b.wav"); }, "b.wav: cannot open");
}

TEST(Wav, DamagedFilesAreErrors) {
  const auto error = [](const WavBytes& bytes, const std::string& part) {
    try {
      std::ignore = rapt::decode_wav(bytes, "x.wav");
      ADD_FAILURE() << "no error: " << part;
    } catch (const rapt::IoError& found) {
      EXPECT_NE(std::string(found.what()).find(part), std::string::npos) << found.what();
    }
  };
  const WavBytes one = wav_data({0x4000}, 2);
  error({}, "[wav] x.wav: not a WAV file");
  WavBytes avi = wav_file({}, one);
  avi[8] = 'A';
  error(avi, "not a WAV file");
  error(wav_file({.kind = 2, .bits = 4}, one), "samples of format 2 with 4 bits are not known");
  error(wav_file({.bits = 12}, one), "format 1 with 12 bits");
  error(wav_file({.kind = 3}, one), "format 3 with 16 bits");
  error(wav_file({.channels = 0, .frame = 2}, one), "0 channels and 16000 samples");
  error(wav_file({.rate = 0}, one), "0 samples in a second");
  error(wav_file({.frame = 3}, one), "take 2 bytes, it says 3");
  error(wav_file({.missing = 1}, one), "has 3 bytes, of which 2 are there");
  error(wav_file({.missing = 0xffffffff - 2}, one), "has 4294967295 bytes, of which 2 are there");
  error(wav_file({}, WavBytes(3)), "has 3 bytes, which are not whole samples of 2");
  error(wav_file({.kind = 3, .bits = 32}, wav_data({0, 0x7fc00000}, 4)), "sample 1 is not a finite number");
  error(wav_file({.kind = 3, .bits = 64}, wav_data({0x7fe0000000000000}, 8)), "sample 0 is not a finite number");
  const WavBytes whole = wav_file({.before = "INFOa"}, one);
  for (std::size_t size = 0; size < whole.size(); ++size) {  // wherever a file is cut off
    error(WavBytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), "[wav] x.wav: ");
  }
  WavBytes short_format = whole;
  short_format[16] = 14;
  error(short_format, "its \"fmt \" chunk has 14 bytes");
  WavBytes data_first(whole.begin(), whole.begin() + 12);
  put(data_first, "data"), put(data_first, 0, 4);
  error(data_first, "its \"data\" chunk at byte 12 comes before its \"fmt \" chunk");
  WavBytes extensible = wav_file({.extensible = true}, one);
  extensible[16] = 18;
  error(extensible, "its extensible \"fmt \" chunk has 18 bytes");
}

}  // namespace
