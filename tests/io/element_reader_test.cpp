/// \file
/// Elements of tensors in files: converted from where their record says, in order, with what is added to them.
#include "rapt/io/element_reader.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "rapt/io/random_access_file.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace {

using rapt::Dtype;
using rapt::Index;
using rapt::IoError;
using rapt::detail::ElementReader;
using rapt::detail::TensorRecord;

/// A file of numbers behind four other bytes.
class ElementsOfAFile : public rapt_test::FolderTest {
 protected:
  template <class Stored>
  rapt::detail::RandomAccessFile file_of(const std::vector<Stored>& numbers) const {
    std::string bytes(4 + numbers.size() * sizeof(Stored), 'x');
    std::memcpy(bytes.data() + 4, numbers.data(), numbers.size() * sizeof(Stored));
    std::ofstream(folder_ / "numbers", std::ios::binary) << bytes;
    return {"where", folder_ / "numbers"};
  }
  template <class T>
  static std::vector<T> read(const rapt::detail::RandomAccessFile& file, const TensorRecord& record) {
    std::vector<T> found(static_cast<std::size_t>(rapt::detail::element_count(record)));
    ElementReader(file, 4).read_elements(record, found.data());
    return found;
  }
};

TEST_F(ElementsOfAFile, AreConverted) {
  const auto file = file_of<std::int32_t>({1, -2, 3, 70000});
  TensorRecord record{.name = "t", .dtype_name = "I32", .dtype = Dtype::kI32, .sizes = {3}, .begin = 4, .end = 16};
  EXPECT_EQ(read<float>(file, record), (std::vector<float>{-2, 3, 70000}));
  EXPECT_EQ(read<std::int64_t>(file, record), (std::vector<std::int64_t>{-2, 3, 70000}));
  rapt_test::expect_message<IoError>([&] { (void)read<std::uint8_t>(file, record); },
                                     "\"t\": element [0] is -2, which std::uint8_t does not hold");
  record.sizes = {1, 3};
  record.added = 0.5f;
  EXPECT_EQ(read<double>(file, record), (std::vector<double>{-1.5, 3.5, 70000.5}));
  rapt_test::expect_message<IoError>([&] { (void)read<std::int64_t>(file, record); },
                                     "\"t\": is of numbers that std::int64_t does not hold");
  record.dtype = Dtype::kUnknown, record.dtype_name = "F8";
  rapt_test::expect_message<IoError>([&] { (void)read<float>(file, record); }, "\"t\": cannot read F8");
}

TEST_F(ElementsOfAFile, OfAViewAreInRowMajorOrder) {
  const auto file = file_of<float>({1, 2, 3, 4, 5, 6});
  const TensorRecord transposed{.name = "t",
                                .dtype_name = "F32",
                                .dtype = Dtype::kF32,
                                .sizes = {3, 2},
                                .begin = 0,
                                .end = 24,
                                .view_sizes = {3, 2},
                                .view_strides = {1, 3}};
  EXPECT_EQ(read<float>(file, transposed), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  const std::vector<std::byte> bytes = ElementReader(file, 4).read_bytes(transposed);
  std::vector<float> same(6);
  ASSERT_EQ(bytes.size(), 24u);
  std::memcpy(same.data(), bytes.data(), bytes.size());
  EXPECT_EQ(same, (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

/// More than one part of the file is converted at once.
TEST_F(ElementsOfAFile, MayBeMany) {
  std::vector<std::int16_t> numbers(20000);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int16_t>(i);
  const auto file = file_of(numbers);
  const TensorRecord record{
      .name = "t", .dtype_name = "I16", .dtype = Dtype::kI16, .sizes = {20000}, .begin = 0, .end = 40000};
  EXPECT_EQ(read<float>(file, record), std::vector<float>(numbers.begin(), numbers.end()));
}

}  // namespace
