/// \file
/// GGUF files: every type is dequantised to the bits of gguf's reader; settings; damaged files.
// covers: io/gguf_blocks.hpp
#include "rapt/io/gguf.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "rapt/io/safetensors.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/gguf_bytes.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::GgufFile;
using rapt_test::expect_message;

std::string gguf_golden(const std::string& name) { return std::string(RAPT_GOLDEN_DIR) + "/" + name; }

TEST(GgufFile, EveryTypeHasTheBitsOfTheReferenceReader) {
  const GgufFile file(gguf_golden("gguf_types.gguf"));
  const rapt::SafetensorsFile expected(gguf_golden("gguf_types.safetensors"));
  EXPECT_EQ(expected.names().size(), 11u);
  for (const std::string& name : expected.names()) {
    EXPECT_EQ(file.dtype_name(name), name);
    const auto ours = file.read<float>(name), wanted = expected.read<float>(name);
    ASSERT_EQ(ours.shape(), wanted.shape()) << name;
    EXPECT_EQ(std::memcmp(ours.data(), wanted.data(), rapt::to_size(ours.size()) * sizeof(float)), 0) << name;
    const auto doubled = file.read<double>(name);
    EXPECT_TRUE(std::equal(wanted.values().begin(), wanted.values().end(), doubled.values().begin())) << name;
  }
}

TEST(GgufFile, TypesThatAreNotReadAreNamed) {
  const GgufFile file(gguf_golden("gguf_types.gguf"));
  expect_message<rapt::IoError>([&] { static_cast<void>(file.read<float>("Q2_K")); },
                                "\"Q2_K\": cannot read \"Q2_K\": rapt reads F64, F32, F16, BF16, integers, Q4_0");
}

TEST(GgufFile, Settings) {
  const GgufFile file(gguf_golden("gguf_types.gguf"));
  EXPECT_EQ(*file.find<std::string>("general.architecture"), "none");
  EXPECT_EQ(*file.find<std::string>("text"), "größer");
  EXPECT_EQ(*file.find<double>("real"), 0.5);
  EXPECT_EQ(*file.find<std::vector<std::int64_t>>("numbers"), (std::vector<std::int64_t>{1, -2, 3}));
  EXPECT_EQ(*file.find<std::vector<std::int64_t>>("flags"), (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(file.find<bool>("absent"), nullptr);
  EXPECT_EQ(file.integer("absent", 5), 5);
  expect_message<rapt::IoError>([&] { static_cast<void>(file.find<bool>("text")); }, "\"text\" has a value of another");
}

TEST(GgufFile, TensorsThatOverlapAreRefused) {
  const rapt_test::TemporaryFolder folder;
  const auto write = [&](std::uint64_t second) {
    rapt_test::GgufBytes file;
    file.tensor("b", {4}, std::vector<float>(4, 2.0f), second).tensor("none", {0}, {}, 32);
    file.tensor("a", {16}, std::vector<float>(16, 1.0f), 0);
    std::ofstream(folder.path() / "x.gguf", std::ios::binary) << file.bytes();
    return GgufFile(folder.path() / "x.gguf");
  };
  EXPECT_EQ(write(64).read<float>("b").values()[0], 2.0f);
  expect_message<rapt::IoError>([&] { write(32); },
                                "\"b\": its bytes from 32 on overlap those of \"a\", which end at 64");
}

TEST(GgufFile, ViewsGatherWholeRowsOfBlocks) {
  const GgufFile plain(gguf_golden("gguf_types.gguf"));
  const auto swapped = rapt::TensorFile::changed(GgufFile(gguf_golden("gguf_types.gguf")), [](auto& record) {
    if (record.sizes.size() != 2 || record.sizes[0] != 2) return false;
    record.view_sizes = {1, 2, record.sizes[1]};  // with a stride of no rows the first row comes twice
    record.view_strides = {0, 0, 1};
    record.added = -1;
    return true;
  });
  for (const char* name : {"F32", "Q4_0", "Q6_K"}) {
    const auto rows = plain.read<float>(name), twice = swapped.read<float>(name);
    for (rapt::Index i = 0; i < rows.cols(); ++i) {
      EXPECT_EQ(twice.row(0)[i], rows.row(0)[i] - 1) << name;
      EXPECT_EQ(twice.row(1)[i], rows.row(0)[i] - 1) << name;
    }
  }
}

struct DamagedGgufFile : testing::Test {
  rapt_test::TemporaryFolder folder;
  std::string bytes = [] {
    std::ifstream file(gguf_golden("gguf_types.gguf"), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();

  void expect(const std::string& part) const {
    std::ofstream(folder.path() / "x.gguf", std::ios::binary) << bytes;
    expect_message<rapt::IoError>([&] { GgufFile{folder.path() / "x.gguf"}; }, part);
  }
};

TEST_F(DamagedGgufFile, OtherVersionsAndFormats) {
  bytes[4] = 1;
  expect("is of version 1; 2 and 3 are read");
  bytes[4] = 0, bytes[7] = 3;
  expect("has the byte order of another processor");
  bytes[0] = 'g';
  expect("is no GGUF file");
}
TEST_F(DamagedGgufFile, Counts) {
  bytes[15] = 1;  // of tensors
  expect("announces");
}
TEST_F(DamagedGgufFile, TextsAndListsOutsideOfTheFile) {
  bytes[24 + 7] = 1;  // of the length of the first key
  expect("ends within a text");
}
TEST_F(DamagedGgufFile, NamesTwice) {
  const std::size_t at = bytes.find("Q4_1");
  bytes.replace(at, 4, "Q4_0");
  expect("\"Q4_0\": the name stands twice");
}
TEST_F(DamagedGgufFile, CutOffAnywhereIsAnError) {
  const std::string whole = bytes;
  constexpr std::size_t kLast = 256;  // bytes of the last tensor, whose type has no known size, and of padding
  for (std::size_t length = 0; length + kLast < whole.size(); length += 61) {
    bytes = whole.substr(0, length);
    std::ofstream(folder.path() / "x.gguf", std::ios::binary) << bytes;
    EXPECT_THROW(GgufFile{folder.path() / "x.gguf"}, rapt::IoError) << length;
  }
}

}  // namespace
