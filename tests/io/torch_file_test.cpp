/// \file
/// Files of torch.save: every type and view equals what Python reads; files that are damaged, of other formats, or that
/// would run code are refused with what is wrong.
// covers: io/zip_directory.hpp, io/tensor_file.hpp, io/tensor_record.hpp, io/tensor_view.hpp
#include "rapt/io/torch_file.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "rapt/io/safetensors.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::TorchFile;
using rapt_test::error_text;

std::string torch_golden(const std::string& name) { return std::string(RAPT_GOLDEN_DIR) + "/" + name; }

std::string bytes_of_torch_file(const std::string& name) {
  std::ifstream file(torch_golden(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The elements in row-major order as both files have them.
void expect_same_tensor(const rapt::TensorFile& ours, const rapt::TensorFile& expected, const std::string& name) {
  ASSERT_TRUE(ours.contains(name)) << name;
  EXPECT_EQ(ours.sizes(name), expected.sizes(name)) << name;
  EXPECT_EQ(ours.dtype(name), expected.dtype(name)) << name;
  EXPECT_EQ(ours.bytes(name), expected.bytes(name)) << name;
  const rapt::Tensor<double> value = ours.read<double>(name), wanted = expected.read<double>(name);
  EXPECT_TRUE(std::equal(value.values().begin(), value.values().end(), wanted.values().begin(), wanted.values().end()))
      << name;
}

TEST(TorchFile, EveryTypeAndViewIsWhatPythonReads) {
  const TorchFile file(torch_golden("torch_types.pt"));
  const rapt::SafetensorsFile expected(torch_golden("torch_types.safetensors"));
  EXPECT_EQ(std::set<std::string>(file.names().begin(), file.names().end()),
            std::set<std::string>(expected.names().begin(), expected.names().end()));
  for (const std::string& name : expected.names()) expect_same_tensor(file, expected, name);
  EXPECT_EQ(file.dtype_name("types.bfloat16"), "bfloat16");
  EXPECT_EQ(file.shape("views.scalar"), rapt::Shape{1});
  EXPECT_EQ(file.read<std::int64_t>("types.int64").values()[5], -(std::int64_t{1} << 62));
}

TEST(TorchFile, ElementsCanBeBorrowedWhereTheyLieAsPythonHasThem) {
  const TorchFile file(torch_golden("torch_types.pt"));
  const auto mapping = file.map();
  for (const char* name : {"views.base", "views.rows", "views.transposed", "types.float16"}) {
    const auto borrowed = file.borrow<float>(name, mapping), read = file.read<float>(name);
    EXPECT_TRUE(std::equal(read.values().begin(), read.values().end(), borrowed.values().begin())) << name;
  }
}

/// Writing to a borrowed tensor must change no other: of one storage one tensor lies in the mapping.
TEST(TorchFile, BytesAreBorrowedOnce) {
  const TorchFile file(torch_golden("torch_shared.pt"));
  const auto mapping = file.map();
  auto x = file.borrow<float>("x", mapping);
  const auto y = file.borrow<float>("y", mapping), last = file.borrow<float>("last", mapping),
             transposed = file.borrow<float>("transposed", mapping);
  EXPECT_EQ(file.borrow<float>("x", mapping).data(), x.data());
  x.fill(99);
  for (rapt::Index i = 0; i < 6; ++i) EXPECT_EQ(y.data()[i], static_cast<float>(i));
  for (rapt::Index i = 0; i < 3; ++i) EXPECT_EQ(last.data()[i], static_cast<float>(3 + i));
  for (rapt::Index i = 0; i < 6; ++i) EXPECT_EQ(transposed.data()[i], static_cast<float>(i % 2 * 3 + i / 2));
}

TEST(TorchFile, BytesOfViewsAreInRowMajorOrderWhateverTheirType) {
  const TorchFile file(torch_golden("torch_shared.pt"));
  EXPECT_EQ(file.dtype("complex.transposed"), rapt::Dtype::kUnknown);
  EXPECT_EQ(file.dtype_name("complex.transposed"), "complex128");
  EXPECT_EQ(file.bytes("complex.transposed"), file.bytes("complex.copied"));
  EXPECT_EQ(file.bytes("complex.copied").size(), 6u * 16);
}

TEST(TorchFile, ElementsThatTheFileHasWithTheOtherSignAreRefused) {
  const std::string text = error_text<rapt::IoError>([] { TorchFile{torch_golden("torch_negative.pt")}; });
  EXPECT_NE(text.find("a tensor has the flag \"neg\""), std::string::npos) << text;
}

TEST(TorchFile, OtherValuesHaveNames) {
  const TorchFile file(torch_golden("torch_types.pt"));
  const auto& values = file.values();
  EXPECT_EQ(values.at("epoch"), rapt::TorchValue(std::int64_t{7}));
  EXPECT_EQ(values.at("large"), rapt::TorchValue(-(std::int64_t{1} << 40)));
  EXPECT_EQ(values.at("done"), rapt::TorchValue(true));
  EXPECT_EQ(values.at("name"), rapt::TorchValue(std::string("größer")));
  EXPECT_EQ(values.at("dtype"), rapt::TorchValue(std::string("torch.bfloat16")));
  EXPECT_EQ(values.at("shape.1"), rapt::TorchValue(std::int64_t{3}));
  EXPECT_EQ(values.at("optimizer.groups.0.lr"), rapt::TorchValue(1e-3));
  EXPECT_EQ(values.at("optimizer.groups.0.betas.1"), rapt::TorchValue(0.999));
  EXPECT_EQ(values.at("optimizer.groups.0.foreach"), rapt::TorchValue(std::monostate()));
  EXPECT_EQ(values.size(), 12u);
}

TEST(TorchFile, NewerProtocols) {
  const TorchFile file(torch_golden("torch_protocol5.pt"));
  const rapt::SafetensorsFile expected(torch_golden("torch_types.safetensors"));
  EXPECT_EQ(file.names().size(), 2u);
  for (const std::string& name : file.names()) expect_same_tensor(file, expected, name);
  EXPECT_EQ(file.values().at("large"), rapt::TorchValue(-(std::int64_t{1} << 40)));
}

TEST(TorchFile, WhatWouldRunCodeIsRefusedByItsName) {
  const std::string text = error_text<rapt::IoError>([] { TorchFile{torch_golden("torch_evil.pt")}; });
  EXPECT_NE(text.find("refers to \"posix.system\", which is refused"), std::string::npos) << text;
}

TEST(TorchFile, OtherFormatsAreNamed) {
  const std::string old = error_text<rapt::IoError>([] { TorchFile{torch_golden("torch_old.pt")}; });
  EXPECT_NE(old.find("has the format of PyTorch before 1.6"), std::string::npos) << old;
  EXPECT_NE(old.find("python3 -c"), std::string::npos) << old;
  const std::string other = error_text<rapt::IoError>([] { TorchFile{torch_golden("torch_types.safetensors")}; });
  EXPECT_NE(other.find("is no file of torch.save"), std::string::npos) << other;
}

struct DamagedTorchFile : testing::Test {
  rapt_test::TemporaryFolder folder;
  std::string bytes = bytes_of_torch_file("torch_types.pt");

  /// What is said of the file after every place of `from` has become `to`, which is as long.
  std::string after(const std::string& from, const std::string& to) {
    EXPECT_EQ(from.size(), to.size());
    EXPECT_NE(bytes.find(from), std::string::npos) << from;
    for (std::size_t at = bytes.find(from); at != bytes.npos; at = bytes.find(from, at + 1)) {
      bytes.replace(at, to.size(), to);
    }
    return complaint();
  }
  std::string complaint() const {
    std::ofstream(folder.path() / "x.pt", std::ios::binary) << bytes;
    return error_text<rapt::IoError>([&] { TorchFile{folder.path() / "x.pt"}; });
  }
  static void expect_in(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
};

TEST_F(DamagedTorchFile, OtherByteOrder) { expect_in(after("little", "BIGBIG"), "has the byte order \"BIGBIG\""); }
TEST_F(DamagedTorchFile, WithoutAStorage) { expect_in(after("/data/0", "/data/x"), "the file has no storage \"0\""); }
TEST_F(DamagedTorchFile, WithoutAPickle) { expect_in(after("data.pkl", "data.pkx"), "it has no data.pkl"); }
TEST_F(DamagedTorchFile, UnknownNames) {
  expect_in(after("torch\nSize", "torch\nSync"), "refers to \"torch.Sync\", which is refused");
}
TEST_F(DamagedTorchFile, CompressedMembers) {
  const std::size_t entry = bytes.find(std::string("PK\x01\x02", 4));
  bytes[entry + 10] = 8;
  expect_in(complaint(), "is compressed (method 8)");
}

TEST_F(DamagedTorchFile, CutOffAnywhereIsAnError) {
  const std::string whole = bytes;
  for (std::size_t length = 0; length < whole.size(); length += 97) {
    bytes = whole.substr(0, length);
    EXPECT_FALSE(complaint().empty()) << length;
  }
}

/// A byte of the pickle that was changed makes another file or an error, and nothing else.
TEST_F(DamagedTorchFile, ChangedBytesOfThePickle) {
  const std::string whole = bytes;
  const std::size_t begin = whole.find("data.pkl") + 8, end = whole.find(std::string("PK\x07\x08", 4), begin);
  ASSERT_LT(begin, end);
  std::size_t opened = 0, refused = 0;
  for (std::size_t at = begin; at < end; at += 3) {
    bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] + 1);
    std::ofstream(folder.path() / "x.pt", std::ios::binary) << bytes;
    try {
      const TorchFile file(folder.path() / "x.pt");
      for (const std::string& name : file.names()) {
        if (file.sizes(name).size() <= 4 && rapt::is_readable(file.dtype(name)))
          static_cast<void>(file.read<double>(name));
      }
      ++opened;
    } catch (const rapt::IoError&) {
      ++refused;
    }
  }
  EXPECT_GT(opened, 0u);
  EXPECT_GT(refused, 0u);
}

}  // namespace
