/// \file
/// safetensors: round trips, a file that Python wrote, every way in which a file can be malformed, and disks that
/// refuse.
// covers: io/dtype.hpp, io/safetensors_writer.hpp
#include "rapt/io/safetensors.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "tests/common/expect_close.hpp"
#include "tests/common/file_size_limit.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::Dtype;
using rapt::Index;
using rapt::SafetensorsEntry;
using rapt::SafetensorsFile;
using rapt::Shape;
using rapt::Tensor;
using rapt::TensorView;

/// A folder of its own for each test, removed at the end.
class Safetensors : public testing::Test {
 protected:
  Safetensors() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              ("rapt_safetensors_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~Safetensors() override { fs::remove_all(folder_); }

  [[nodiscard]] std::size_t files_in_folder() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  [[nodiscard]] fs::path path() const { return folder_ / "file.safetensors"; }

  fs::path write_bytes(const std::string& bytes) const {
    std::ofstream(path(), std::ios::binary) << bytes;
    return path();
  }
  [[nodiscard]] static std::string bytes_of(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  [[nodiscard]] static std::string length_prefix(std::uint64_t length) {
    return {reinterpret_cast<const char*>(&length), sizeof length};
  }
  fs::path write_file(const std::string& header, std::size_t data_bytes) const {
    return write_bytes(length_prefix(header.size()) + header + std::string(data_bytes, '\1'));
  }

  /// Opening must fail, with a text that names the file and contains `words`.
  void expect_rejected(const std::string& words) const {
    try {
      const SafetensorsFile file(path());
      ADD_FAILURE() << "accepted; expected: " << words;
    } catch (const rapt::IoError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find(words), std::string::npos) << text << "\nlacks: " << words;
      EXPECT_NE(text.find("[safetensors] " + path().string()), std::string::npos) << text;
    }
  }
  void expect_header_rejected(const std::string& header, std::size_t data_bytes, const std::string& words) const {
    SCOPED_TRACE(header.substr(0, 200));
    write_file(header, data_bytes);
    expect_rejected(words);
  }

  fs::path folder_;
};

bool contains(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

TEST_F(Safetensors, RoundTripIsExact) {
  Tensor<float> weight(Shape{2, 3}, {1.5f, -0.f, 3e-45f, std::numeric_limits<float>::infinity(), -3.4e38f, 0.1f});
  const Tensor<double> wide(Shape{1, 2, 1, 2}, {0.1, -1e300, 5e-324, 2.0});
  const std::vector<std::int64_t> ids = {-1, 1LL << 53, 3};
  const std::vector<std::int32_t> small = {-7, 8};
  const std::vector<std::uint8_t> bytes = {0, 255, 3};
  const Tensor<float> empty(Shape{0, 5});
  const std::map<std::string, std::string> metadata = {{"step", "12"}, {"ключ", "línea\n\"x\"\\ \x01"}, {"", ""}};
  rapt::write_safetensors(path(),
                          std::vector<SafetensorsEntry>{{"a.weight", weight},
                                                        {"empty", empty},
                                                        {"bytes", TensorView<const std::uint8_t>(bytes.data(), {3})},
                                                        {"wide \"né\"", wide},
                                                        {"ids", TensorView<const std::int64_t>(ids.data(), {3, 1})},
                                                        {"small", TensorView<const std::int32_t>(small.data(), {2})}},
                          metadata);
  const SafetensorsFile file(path());
  EXPECT_EQ(file.names(), (std::vector<std::string>{"wide \"né\"", "ids", "a.weight", "empty", "small", "bytes"}));
  EXPECT_EQ(file.metadata(), metadata);
  EXPECT_TRUE(file.contains("ids"));
  EXPECT_FALSE(file.contains("id"));
  EXPECT_FALSE(file.contains("__metadata__"));
  EXPECT_EQ(file.dtype("wide \"né\""), Dtype::kF64);
  EXPECT_EQ(file.dtype("bytes"), Dtype::kU8);
  EXPECT_EQ(file.shape("wide \"né\""), (Shape{1, 2, 1, 2}));
  EXPECT_EQ(file.shape("empty"), (Shape{0, 5}));

  const auto weight_again = file.read<float>("a.weight");
  EXPECT_EQ(std::memcmp(weight_again.data(), weight.data(), 6 * sizeof(float)), 0);
  const auto wide_again = file.read<double>("wide \"né\"");
  EXPECT_EQ(std::memcmp(wide_again.data(), wide.data(), 4 * sizeof(double)), 0);
  EXPECT_EQ(file.read<double>("ids")(1, 0), 0x1p53);
  EXPECT_EQ(file.read<float>("small")(0, 1), 8.f);
  EXPECT_EQ(file.read<float>("bytes")(0, 1), 255.f);
  EXPECT_EQ(file.read<float>("empty").size(), 0);
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(Safetensors, HeaderAndDataAreAligned) {
  for (std::size_t length = 1; length <= 9; ++length) {
    const Tensor<float> one(Shape{1}, 2.f);
    const Tensor<double> two(Shape{1}, 3.0);
    const std::vector<SafetensorsEntry> entries = {{std::string(length, 'n'), one}, {"double", two}};
    rapt::write_safetensors(path(), entries);
    std::uint64_t header = 0;
    const std::string bytes = bytes_of(path());
    std::memcpy(&header, bytes.data(), 8);
    EXPECT_EQ(header % 8, 0u);
    EXPECT_EQ(bytes.size(), 8 + header + 12);
    double first = 0;  // the wider type stands first
    std::memcpy(&first, bytes.data() + 8 + header, 8);
    EXPECT_EQ(first, 3.0);
  }
}

TEST_F(Safetensors, WithoutTensors) {
  rapt::write_safetensors(path(), {});
  EXPECT_TRUE(SafetensorsFile(path()).names().empty());
  rapt::write_safetensors(path(), {}, {{"only", "metadata"}});
  EXPECT_EQ(SafetensorsFile(path()).metadata().at("only"), "metadata");
}

TEST_F(Safetensors, StridedViews) {
  Tensor<float> matrix(Shape{3, 4});
  for (Index i = 0; i < 12; ++i) matrix.data()[i] = static_cast<float>(i);
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"middle", matrix.view().columns(1, 2)}});
  EXPECT_EQ(SafetensorsFile(path()).read<float>("middle")(2, 1), 10.f);

  Tensor<double> target(Shape{3, 5}, -1.0);
  SafetensorsFile(path()).read_into("middle", target.view().columns(2, 2));
  for (Index i = 0; i < 3; ++i) {
    for (Index j = 0; j < 5; ++j) {
      const bool inside = j == 2 || j == 3;
      EXPECT_EQ(target(i, j), inside ? static_cast<double>(4 * i + j - 1) : -1.0);
    }
  }
  // Eigen's own matrices, without a copy.
  const rapt::RowMajorMatrix<float> eigen = rapt::RowMajorMatrix<float>::Constant(2, 2, 4.f);
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"eigen", TensorView<const float>(eigen)}});
  EXPECT_EQ(SafetensorsFile(path()).read<float>("eigen")(1, 1), 4.f);
}

TEST_F(Safetensors, LongerThanABlock) {
  Tensor<double> tensor(Shape{123, 457});  // 450 kB: many conversion blocks, the last one partial
  for (Index i = 0; i < tensor.size(); ++i) tensor.data()[i] = static_cast<double>(i);
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"t", tensor}});
  const SafetensorsFile file(path());
  const auto floats = file.read<float>("t");
  std::vector<std::thread> readers;  // reading is const: many threads at once
  for (int t = 0; t < 4; ++t) {
    readers.emplace_back([&] {
      const auto again = file.read<float>("t");
      for (Index i = 0; i < again.size(); ++i) ASSERT_EQ(again.data()[i], static_cast<float>(i));
    });
  }
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(floats.data()[floats.size() - 1], static_cast<float>(123 * 457 - 1));
}

TEST_F(Safetensors, PythonsFile) {
  const SafetensorsFile file(fs::path(RAPT_GOLDEN_DIR) / "safetensors_sample.safetensors");
  const auto expect = [&](const std::string& name, Dtype dtype, const Shape& shape, const std::vector<double>& values) {
    SCOPED_TRACE(name);
    EXPECT_EQ(file.dtype(name), dtype);
    EXPECT_EQ(file.shape(name), shape);
    const auto doubles = file.read<double>(name);
    const auto floats = file.read<float>(name);
    ASSERT_EQ(doubles.size(), static_cast<Index>(values.size()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(doubles.values()[i], values[i]);
      EXPECT_EQ(floats.values()[i], static_cast<float>(values[i]));
    }
  };
  constexpr double kInf = std::numeric_limits<double>::infinity();
  expect("f64", Dtype::kF64, {2, 3}, {1.0, -2.5, 1e300, 0.1, 0.0, -0.0});
  std::vector<double> thirds;
  for (int i = 0; i < 24; ++i) thirds.push_back(static_cast<double>(static_cast<float>(i) / 3.f));
  expect("f32", Dtype::kF32, {2, 3, 2, 2}, thirds);
  expect("f16", Dtype::kF16, {6}, {1.0, -0.5, 65504.0, 0x1p-24, kInf, 0.0999755859375});
  expect("bf16", Dtype::kBF16, {6}, {1.0, -0.5, 0x1.c4p127, 0x1p-133, -kInf, 0.10009765625});
  expect("i64", Dtype::kI64, {3}, {0x1p53, -0x1p53, -1});
  expect("i32", Dtype::kI32, {2}, {2147483647.0, -2147483648.0});
  expect("i16", Dtype::kI16, {2}, {32767, -32768});
  expect("i8", Dtype::kI8, {3}, {127, -128, 5});
  expect("u8", Dtype::kU8, {2, 1}, {0, 255});
  expect("bool", Dtype::kBool, {3}, {1, 0, 1});
  expect("scalar", Dtype::kF32, {1}, {7.25});
  expect("empty", Dtype::kF32, {0, 4}, {});
  expect("layer.0.wéight 重", Dtype::kF32, {1}, {3.5});
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"läng", "中文 \"quoted\"\n"}}));
  EXPECT_EQ(file.names().size(), 15u);

  EXPECT_TRUE(file.contains("rank5"));
  EXPECT_EQ(file.dtype("rank5"), Dtype::kF32);
  EXPECT_TRUE(contains(rapt_test::error_text<rapt::IoError>([&] { (void)file.read<float>("rank5"); }),
                       "\"rank5\": has rank 5, rapt takes at most 4"));
  EXPECT_TRUE(contains(rapt_test::error_text<rapt::IoError>([&] { (void)file.read<float>("f8"); }),
                       "\"f8\": cannot read F8_E4M3"));
}

TEST_F(Safetensors, EveryHalf) {
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  const std::string raw(reinterpret_cast<const char*>(bits.data()), 131072);
  const std::string header = R"({"h":{"dtype":"F16","shape":[65536],"data_offsets":[0,131072]},)"
                             R"("b":{"dtype":"BF16","shape":[65536],"data_offsets":[131072,262144]}})";
  write_bytes(length_prefix(header.size()) + header + raw + raw);
  const SafetensorsFile file(path());
  const auto half = file.read<float>("h"), brain = file.read<float>("b");
  for (int i = 0; i < 65536; ++i) {
    const int exponent = i >> 10 & 31, mantissa = i & 1023;  // IEEE 754 binary16, by its definition
    const float sign = i & 0x8000 ? -1.f : 1.f;
    const float expected = sign * (exponent == 0   ? std::ldexp(static_cast<float>(mantissa), -24)
                                   : exponent < 31 ? std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25)
                                   : mantissa == 0 ? std::numeric_limits<float>::infinity()
                                                   : std::nanf(""));
    const float value = half.data()[i];
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << i;
    } else {
      ASSERT_EQ(value, expected) << i;
      ASSERT_EQ(std::signbit(value), std::signbit(expected)) << i;
    }
    const float wide = std::bit_cast<float>(static_cast<std::uint32_t>(i) << 16);
    if (std::isnan(wide)) {
      ASSERT_TRUE(std::isnan(brain.data()[i])) << i;
    } else {
      ASSERT_EQ(brain.data()[i], wide) << i;
    }
  }
}

TEST_F(Safetensors, BooleansAndUnsignedIntegers) {
  const std::string header =
      R"({"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},"h":{"dtype":"U16","shape":[1],"data_offsets":[2,4]},)"
      R"("w":{"dtype":"U32","shape":[],"data_offsets":[4,8]},"q":{"dtype":"U64","shape":[1,1],"data_offsets":[8,16]}})";
  write_bytes(length_prefix(header.size()) + header + std::string("\x00\x7f\xff\xff\xff\xff\xff\xff", 8) +
              std::string(8, '\xff'));
  const SafetensorsFile file(path());
  EXPECT_EQ(file.read<float>("b")(0, 0), 0.f);
  EXPECT_EQ(file.read<float>("b")(0, 1), 1.f);
  EXPECT_EQ(file.read<double>("h")(0, 0), 65535.0);
  EXPECT_EQ(file.read<double>("w")(0, 0), 4294967295.0);
  EXPECT_EQ(file.read<double>("q")(0, 0), 0x1p64);
}

TEST_F(Safetensors, MasksAndIdsComeBack) {
  const Tensor<bool> mask(Shape{2, 2}, {true, false, false, true});
  const Tensor<std::int64_t> wide(Shape{3}, {std::numeric_limits<std::int64_t>::min(), (1LL << 53) + 1, -1});
  const Tensor<std::int32_t> ids(Shape{1, 2}, {-2147483647 - 1, 2147483647});
  const Tensor<std::uint8_t> bytes(Shape{2}, {0, 255});
  rapt::write_safetensors(
      path(), std::vector<SafetensorsEntry>{{"mask", mask}, {"wide", wide}, {"ids", ids}, {"bytes", bytes}});
  const SafetensorsFile file(path());
  const auto mapping = file.map();
  const auto expect = [&](const std::string& name, const auto& tensor) {
    using T = std::remove_cvref_t<decltype(tensor.data()[0])>;
    EXPECT_EQ(file.dtype(name), rapt::kDtypeOf<T>);
    for (const auto& again : {file.read<T>(name), file.borrow<T>(name, mapping)}) {
      EXPECT_EQ(again.shape(), tensor.shape());
      EXPECT_TRUE(std::equal(again.values().begin(), again.values().end(), tensor.values().begin())) << name;
    }
  };
  expect("mask", mask);
  expect("wide", wide);
  expect("ids", ids);
  expect("bytes", bytes);
  EXPECT_EQ(file.read<std::int64_t>("ids")(0, 0), -2147483648LL);
  EXPECT_EQ(file.read<std::int32_t>("mask")(1, 1), 1);
  EXPECT_EQ(file.read<float>("mask")(1, 1), 1.f);
  Tensor<bool> columns(Shape{2, 3}, true);
  file.read_into("mask", columns.view().columns(1, 2));
  EXPECT_TRUE(columns(0, 0) && columns(0, 1) && !columns(0, 2) && !columns(1, 1) && columns(1, 2));
}

TEST_F(Safetensors, ValuesThatATypeDoesNotHoldAreNamed) {
  const Tensor<double> numbers(Shape{2, 3}, {0., 1., 3e9, -1., 0x1p63, 0.5});
  const Tensor<float> nan(Shape{2}, {-0.f, std::nanf("")});
  const Tensor<std::int64_t> ids(Shape{2, 1, 2}, {0, 1, 2, 1LL << 40});
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"numbers", numbers}, {"nan", nan}, {"ids", ids}});
  const auto expect = [&]<class T>(T, const std::string& name, const std::string& words) {
    const SafetensorsFile file(path());
    EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { (void)file.read<T>(name); }),
              "[safetensors] " + path().string() + ": " + words);
  };
  expect(false, "numbers", "\"numbers\": element [0, 2] is 3e+09, which bool does not hold");
  expect(std::int32_t(), "numbers", "\"numbers\": element [0, 2] is 3e+09, which std::int32_t does not hold");
  expect(std::int64_t(), "numbers",
         "\"numbers\": element [1, 1] is 9223372036854775808, which std::int64_t does not hold");
  expect(std::uint8_t(), "numbers", "\"numbers\": element [0, 2] is 3e+09, which std::uint8_t does not hold");
  expect(false, "nan", "\"nan\": element [1] is nan, which bool does not hold");
  expect(std::int64_t(), "nan", "\"nan\": element [1] is nan, which std::int64_t does not hold");
  expect(false, "ids", "\"ids\": element [1, 0, 0] is 2, which bool does not hold");
  expect(std::int32_t(), "ids", "\"ids\": element [1, 0, 1] is 1099511627776, which std::int32_t does not hold");

  const std::string header = R"({"q":{"dtype":"U64","shape":[],"data_offsets":[0,8]}})";
  write_bytes(length_prefix(header.size()) + header + std::string(7, '\0') + '\x80');
  expect(std::int64_t(), "q", "\"q\": element [0] is 9223372036854775808, which std::int64_t does not hold");
  EXPECT_EQ(SafetensorsFile(path()).read<double>("q")(0, 0), 0x1p63);
  // In a tensor longer than a block, too.
  Tensor<std::int64_t> many(Shape{5000, 3}, 1);
  many(4999, 2) = -2;
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"many", many}});
  expect(false, "many", "\"many\": element [4999, 2] is -2, which bool does not hold");
}

TEST_F(Safetensors, TypesThatCannotBeReadMatterWhenReadAlone) {
  const std::string header =
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"f4":{"dtype":"F4","shape":[2,2],"data_offsets":[4,6]},)"
      R"("new":{"dtype":"F3 \"x","shape":[2,1,1,1,5],"data_offsets":[6,9]},)"
      R"("none":{"dtype":"F8_E8M0","shape":[0],"data_offsets":[9,9]}})";
  write_bytes(length_prefix(header.size()) + header +
              std::string("\0\0\xc0\x3f"
                          "abcde",
                          9));
  const SafetensorsFile file(path());
  EXPECT_EQ(file.read<float>("w")(0, 0), 1.5f);
  EXPECT_EQ(file.dtype("f4"), Dtype::kF4);
  EXPECT_EQ(file.dtype_name("f4"), "F4");
  EXPECT_EQ(file.dtype("new"), Dtype::kUnknown);
  EXPECT_EQ(file.dtype_name("new"), "F3 \"x");
  EXPECT_EQ(file.sizes("new"), (std::vector<Index>{2, 1, 1, 1, 5}));
  EXPECT_EQ(file.shape("f4"), (Shape{2, 2}));
  const auto expect = [&](const std::string& name, const std::string& type) {
    const std::string text = "[safetensors] " + path().string() + ": \"" + name + "\": cannot read " + type +
                             ": rapt reads F64, F32, F16, BF16, integers and BOOL";
    EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { (void)file.read<float>(name); }), text);
    EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { (void)file.read<bool>(name); }), text);
    EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { (void)file.borrow<double>(name, file.map()); }), text);
    EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { file.require_readable(name); }), text);
  };
  expect("f4", "F4");
  expect("new", "\"F3 \"x\"");
  expect("none", "F8_E8M0");
  EXPECT_NO_THROW(file.require_readable("w"));

  // Every tensor can be copied as it is.
  std::vector<std::vector<std::byte>> bytes;
  for (const std::string& name : file.names()) bytes.push_back(file.bytes(name));
  std::vector<SafetensorsEntry> entries;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::string& name = file.names()[i];
    entries.emplace_back(name, file.dtype_name(name), file.sizes(name), bytes[i]);
  }
  rapt::write_safetensors(folder_ / "copy", entries);
  const SafetensorsFile copy(folder_ / "copy");
  EXPECT_EQ(copy.names(), (std::vector<std::string>{"w", "none", "f4", "new"}));
  for (const std::string& name : file.names()) {
    EXPECT_EQ(copy.bytes(name), file.bytes(name)) << name;
    EXPECT_EQ(copy.sizes(name), file.sizes(name)) << name;
    EXPECT_EQ(copy.dtype_name(name), file.dtype_name(name)) << name;
  }
}

TEST_F(Safetensors, ErrorsOfReading) {
  const Tensor<float> weight(Shape{2, 3}, 1.f);
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"linear.weight", weight}});
  const SafetensorsFile file(path());
  Tensor<float> other(Shape{3, 2});
  const std::string text = rapt_test::error_text<rapt::ShapeError>([&] { file.read_into("linear.weight", other); });
  EXPECT_EQ(text,
            "[safetensors] " + path().string() + ": \"linear.weight\": the file has shape [2, 3], wanted is [3, 2]");
  EXPECT_EQ(rapt_test::error_text<rapt::IoError>([&] { (void)file.read<float>("linear.bias"); }),
            "[safetensors] " + path().string() + ": no tensor \"linear.bias\" among its 1: \"linear.weight\"");

  fs::resize_file(path(), fs::file_size(path()) - 1);  // behind our back
  EXPECT_TRUE(contains(rapt_test::error_text<rapt::IoError>([&] { (void)file.read<float>("linear.weight"); }),
                       "become shorter"));
}

TEST_F(Safetensors, NotAFile) {
  EXPECT_TRUE(contains(rapt_test::error_text<rapt::IoError>([&] { SafetensorsFile file(folder_ / "absent"); }),
                       "absent: cannot open: No such file"));
  EXPECT_TRUE(
      contains(rapt_test::error_text<rapt::IoError>([&] { SafetensorsFile file{folder_}; }), "is not a regular file"));
#if !defined(_WIN32)
  EXPECT_TRUE(contains(rapt_test::error_text<rapt::IoError>([&] { SafetensorsFile file("/dev/zero"); }),
                       "is not a regular file"));
#endif
}

TEST_F(Safetensors, TruncatedAtEveryByte) {
  const Tensor<float> weight(Shape{2, 3}, 1.f), empty(Shape{0});
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"w", weight}, {"e", empty}}, {{"k", "v"}});
  const std::string whole = bytes_of(path());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    SCOPED_TRACE(length);
    write_bytes(whole.substr(0, length));
    expect_rejected("");
  }
  write_bytes(whole + "x");
  expect_rejected("the tensors cover 24 of 25 bytes");
  write_bytes(whole);
  EXPECT_EQ(SafetensorsFile(path()).names().size(), 2u);
}

TEST_F(Safetensors, HostileLengths) {
  write_bytes("short");
  expect_rejected("too short for a header: 5 bytes");
  for (const std::uint64_t length : {std::uint64_t{3}, std::uint64_t{100'000'001}, std::uint64_t{1} << 63,
                                     ~std::uint64_t{0}, ~std::uint64_t{0} - 7}) {
    write_bytes(length_prefix(length) + "{}");
    expect_rejected("the header's length of " + std::to_string(length));
  }
  write_bytes(length_prefix(0));
  expect_rejected("must begin with {");
}

TEST_F(Safetensors, HostileJson) {
  expect_header_rejected("", 0, "must begin with {");
  expect_header_rejected("[]", 0, "must begin with {");
  expect_header_rejected("\xef\xbb\xbf{}", 0, "must begin with {");
  expect_header_rejected("\v{}", 0, "must begin with {");
  expect_header_rejected("{", 0, "not valid JSON: at byte");
  expect_header_rejected("{}}", 0, "not valid JSON: at byte 3");
  expect_header_rejected("{} x", 0, "not valid JSON");
  expect_header_rejected(std::string("{}\0\0", 4), 0, "zero byte");
  expect_header_rejected("{/* */}", 0, "not valid JSON");
  expect_header_rejected("{\"a\xff\":1}", 0, "not valid JSON");
  expect_header_rejected("{\"\xc0\x80\":1}", 0, "not valid JSON");
  expect_header_rejected(R"({"\ud800":1})", 0, "not valid JSON");
  const std::string nest = R"({"a":{"shape":)" + std::string(1'000'000, '[');
  expect_header_rejected(nest, 0, "sizes must be non-negative integers: an array stands there");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"shape":)";
  expect_header_rejected("{\"a\":" + objects, 0, "a list of integers is expected: an object stands there");
  for (const char* empty : {"{}   ", " {}", "\t\n{}\r "}) {  // the format's white space
    write_file(empty, 0);
    EXPECT_TRUE(SafetensorsFile(path()).names().empty());
  }
}

TEST_F(Safetensors, HostileFields) {
  const auto expect = [&](const std::string& tensor, const std::string& words) {
    expect_header_rejected("{\"a\":" + tensor + "}", 4, "\"a\": " + words);
  };
  expect("1", "must be an object: 1 stands there");
  expect("null", "must be an object: null");
  expect("[]", "must be an object: an array");
  expect("\"F32\"", "must be an object: the string \"F32\"");
  expect("{}", "dtype, shape and data_offsets must be given: 0 of them are");
  expect(R"({"dtype":"F32","shape":[1]})", "dtype, shape and data_offsets must be given: 2 of them are");
  expect(R"({"dtype":3,"shape":[1],"data_offsets":[0,4]})", "dtype must be a string: 3");
  expect(R"({"dtype":["F32"],"shape":[1],"data_offsets":[0,4]})", "dtype must be a string: an array");
  expect(R"({"dtype":null,"shape":[1],"data_offsets":[0,4]})", "dtype must be a string: null");
  expect(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})", "a list of integers is expected: 1");
  expect(R"({"dtype":"F32","shape":"1","data_offsets":[0,4]})", "a list of integers is expected: the string");
  expect(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", "sizes must be non-negative integers: -1");
  expect(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})", "sizes must be non-negative integers: \"1.0\"");
  expect(R"({"dtype":"F32","shape":[1e0],"data_offsets":[0,4]})", "sizes must be non-negative integers: \"1e0\"");
  expect(R"({"dtype":"F32","shape":[true],"data_offsets":[0,4]})", "sizes must be non-negative integers: a boolean");
  expect(R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})", "sizes must be non-negative integers: the string");
  expect(R"({"dtype":"F32","shape":[[1]],"data_offsets":[0,4]})", "sizes must be non-negative integers: an array");
  expect(R"({"dtype":"F32","shape":[1],"data_offsets":4})", "a list of integers is expected: 4");
  expect(R"({"dtype":"F32","shape":[1],"data_offsets":[4]})", "data_offsets must be two numbers: 1 stand");
  expect(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})", "data_offsets must be two numbers: more");
  expect(R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})", "data_offsets must be non-negative integers: -4");
  expect(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4.0]})",
         "data_offsets must be non-negative integers: \"4.0\"");
}

TEST_F(Safetensors, HostileExtents) {
  const auto expect = [&](const std::string& shape, const std::string& offsets, const std::string& words) {
    expect_header_rejected("{\"a\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}", 16,
                           words);
  };
  expect("[4]", "[0,20]", "do not lie within the file's 16 bytes");
  expect("[4]", "[16,0]", "do not lie within");
  expect("[4]", "[18446744073709551600,18446744073709551615]", "do not lie within");
  expect("[4]", "[0,18446744073709551616]", "data_offsets must be non-negative integers");
  expect("[3]", "[0,16]", "span 16 bytes, but shape and dtype F32 need 12");
  expect("[]", "[0,16]", "need 4");
  expect("[0]", "[0,16]", "need 0");
  expect("[4294967296,4294967296,4]", "[0,16]", "too many elements");                    // 2^66 wraps to 4
  expect("[4611686018427387904,4]", "[0,0]", "too many elements");                       // 2^64 wraps to 0
  expect("[4611686018427387905]", "[0,4]", "too many elements");                         // times 4 wraps to 4
  expect("[0,9223372036854775807,9223372036854775807]", "[0,0]", "too many elements");   // of a Shape
  expect("[9223372036854775808]", "[0,0]", "a size is too large: 9223372036854775808");  // of an Index
  expect("[18446744073709551617]", "[0,4]", "sizes must be non-negative integers");      // of 64 bits
  expect("[2]", "[0,8]", "the tensors cover 8 of 16 bytes");
  expect("[2]", "[8,16]", "a hole stands before it");
}

TEST_F(Safetensors, HostileLayouts) {
  const auto tensor = [](const std::string& name, int begin, int end) {
    return "\"" + name + "\":{\"dtype\":\"U8\",\"shape\":[" + std::to_string(end - begin) + "],\"data_offsets\":[" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  const std::string a = tensor("a", 0, 4), b = tensor("b", 4, 8);
  expect_header_rejected("{" + a + "," + tensor("b", 3, 8) + "}", 8,
                         "\"b\": overlaps another tensor: it begins at byte 3");
  expect_header_rejected("{" + a + "," + tensor("b", 0, 4) + "}", 4, "overlaps another tensor");
  expect_header_rejected("{" + tensor("b", 5, 8) + "," + a + "}", 8,
                         "\"b\": a hole stands before it: it begins at byte 5");
  expect_header_rejected("{" + a + "," + tensor("e", 2, 2) + "}", 4, "\"e\": overlaps another tensor");
  expect_header_rejected("{" + a + "," + a + "}", 4, "\"a\": the name stands twice");
  expect_header_rejected("{" + a + "," + tensor("\\u0061", 4, 8) + "}", 8, "\"a\": the name stands twice");
  expect_header_rejected(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1,
                         "\"a\": the field \"dtype\" stands twice");
  expect_header_rejected("{}", 1, "the tensors cover 0 of 1 bytes");
  // The data may stand in another order than the names; tensors without elements may stand anywhere in it.
  write_file("{" + b + "," + tensor("e", 4, 4) + "," + a + "," + tensor("f", 8, 8) + "}", 8);
  EXPECT_EQ(SafetensorsFile(path()).names(), (std::vector<std::string>{"b", "e", "a", "f"}));
}

TEST_F(Safetensors, HostileMetadata) {
  const auto expect = [&](const std::string& metadata, const std::string& words) {
    expect_header_rejected("{\"__metadata__\":" + metadata + "}", 0, "\"__metadata__\": " + words);
  };
  expect("\"x\"", "must be an object: the string \"x\"");
  expect("[]", "must be an object: an array");
  expect(R"({"a":1})", "metadata must be strings: 1");
  expect(R"({"a":null})", "metadata must be strings: null");
  expect(R"({"a":{}})", "metadata must be strings: an object");
  expect(R"({"a":["b"]})", "metadata must be strings: an array");
  expect(R"({"a":"b"},"__metadata__":{})", "the name stands twice");
  write_file(R"({"__metadata__":{}})", 0);
  EXPECT_TRUE(SafetensorsFile(path()).metadata().empty());
}

TEST_F(Safetensors, NamesInMessagesAreTamed) {
  expect_header_rejected("{\"" + std::string(100'000, 'x') + "\":1}", 0, std::string(100, 'x'));
  const std::string text = rapt_test::error_text<rapt::IoError>([&] { SafetensorsFile file(path()); });
  EXPECT_LT(text.size(), 500u);
  expect_header_rejected(R"({"a\u001b[31m":1})", 0, "\"a?[31m\"");
}

TEST_F(Safetensors, RankAboveFourOnlyMattersWhenRead) {
  write_file(R"({"deep":{"dtype":"U8","shape":[1,1,1,1,1,1],"data_offsets":[0,1]},)"
             R"("flat":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
             2);
  const SafetensorsFile file(path());
  EXPECT_EQ(file.read<float>("flat")(0, 0), 1.f);
  EXPECT_TRUE(
      contains(rapt_test::error_text<rapt::IoError>([&] { (void)file.shape("deep"); }), "\"deep\": has rank 6"));
}

TEST_F(Safetensors, EmptyTensorsOfManyRows) {
  write_file(R"({"rows":{"dtype":"F64","shape":[1099511627776,0],"data_offsets":[0,0]}})", 0);
  const SafetensorsFile file(path());
  EXPECT_EQ(file.read<float>("rows").shape(), (Shape{1099511627776, 0}));
}

TEST_F(Safetensors, WrongUseOfWriting) {
  const Tensor<float> one(Shape{1}, 1.f);
  const auto text_for = [&](const std::vector<SafetensorsEntry>& entries,
                            const std::map<std::string, std::string>& metadata = {}) {
    return rapt_test::error_text<rapt::ValueError>([&] { rapt::write_safetensors(path(), entries, metadata); });
  };
  EXPECT_TRUE(contains(text_for({{"a", one}, {"b", one}, {"a", one}}), "\"a\": the name is given twice"));
  EXPECT_TRUE(contains(text_for({{"__metadata__", one}}), "reserved"));
  EXPECT_TRUE(contains(text_for({{"a\xff", one}}), "must be UTF-8"));
  EXPECT_TRUE(contains(text_for({}, {{"k", "\x80"}}), "must be UTF-8"));
  EXPECT_TRUE(contains(text_for({{"none", Tensor<float>()}}), "\"none\": the tensor has no shape"));
  const std::vector<std::byte> three(3);
  EXPECT_TRUE(contains(text_for({{"raw", "F32", {2}, three}}),
                       "\"raw\": 3 bytes are given, but shape [2] and dtype F32 need 8"));
  EXPECT_TRUE(contains(text_for({{"raw", "F4", {5}, three}}), "5 elements of F4, of 4 bits each"));
  EXPECT_TRUE(contains(text_for({{"raw", "F4", {2, -3}, three}}), "\"raw\": sizes must not be negative: -3"));
  EXPECT_TRUE(contains(text_for({{"raw", "F9", {Index{1} << 40, Index{1} << 40}, three}}), "too many elements"));
  EXPECT_TRUE(contains(text_for({{"raw", "\xff", {3}, three}}), "must be UTF-8"));
  EXPECT_EQ(files_in_folder(), 0u);
}

TEST_F(Safetensors, UnwritableFolder) {
  write_bytes("a regular file");
  const Tensor<float> one(Shape{1}, 1.f);
  const std::vector<SafetensorsEntry> entries = {{"a", one}};
  const auto text_for = [&](const fs::path& target) {
    return rapt_test::error_text<rapt::IoError>([&] { rapt::write_safetensors(target, entries); });
  };
  const fs::path below = path() / "below.safetensors";  // refused to root as well
#if defined(_WIN32)
  const std::string reason = "No such file or directory";
#else
  const std::string reason = "Not a directory";
  EXPECT_TRUE(contains(text_for("/dev/null"), "exists and is not a regular file"));
#endif
  EXPECT_EQ(text_for(below), "[atomic_file] " + below.string() + ": cannot create a file in its folder: " + reason);
  EXPECT_TRUE(contains(text_for(folder_ / "absent" / "x"), "No such file or directory"));
  EXPECT_TRUE(contains(text_for(folder_), "exists and is not a regular file"));
  EXPECT_TRUE(contains(text_for(folder_ / ""), "names no file"));
  EXPECT_TRUE(contains(text_for(""), "names no file"));
  EXPECT_EQ(files_in_folder(), 1u);
}

TEST_F(Safetensors, FullDiskLeavesTheOldFile) {
  if (!rapt_test::kLimitsFiles) GTEST_SKIP() << "this system does not limit the size of files";
  const Tensor<float> old(Shape{4}, 1.f), big(Shape{1000}, 2.f);
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"old", old}});
  const std::string before = bytes_of(path());
  for (const std::uint64_t limit : {0u, 4u, 50u, 200u, 3000u}) {
    SCOPED_TRACE(limit);
    std::string text;
    {
      const rapt_test::FileSizeLimit full(limit);
      text = rapt_test::error_text<rapt::IoError>([&] {
        rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"big", big}});
      });
    }
    EXPECT_EQ(text, "[atomic_file] " + path().string() + ": cannot write: File too large");
    EXPECT_EQ(bytes_of(path()), before);
    EXPECT_EQ(files_in_folder(), 1u);
  }
}

TEST_F(Safetensors, ReplacesAndFollowsLinks) {
#if defined(_WIN32)
  GTEST_SKIP() << "links need rights that few users have";
#endif
  const Tensor<float> one(Shape{1}, 1.f), two(Shape{1}, 2.f);
  const fs::path link = folder_ / "link";
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"a", one}});
  fs::permissions(path(), fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  fs::create_symlink(path(), link);
  const SafetensorsFile reader(path());  // keeps the file that it opened
  rapt::write_safetensors(link, std::vector<SafetensorsEntry>{{"a", two}});
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(SafetensorsFile(path()).read<float>("a")(0, 0), 2.f);
  EXPECT_EQ(reader.read<float>("a")(0, 0), 1.f);
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  EXPECT_EQ(files_in_folder(), 2u);
}

}  // namespace
