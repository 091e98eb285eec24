/// \file
/// GgufFile: llama.cpp's files of weights, which hold a model's settings and its tokenizer, too.
///
/// ```cpp
/// const rapt::GgufFile file("model-Q4_K_M.gguf");
/// rapt::Tensor<float> embedding = file.read<float>("token_embd.weight");
/// ```
///
/// The format is the one of ggml's docs/gguf.md, versions 2 and 3: "GGUF", the version, the numbers of tensors and of
/// settings; the settings, each a key, a type and a value; name, sizes, type and offset of each tensor; the data.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/io/gguf_blocks.hpp"
#include "rapt/io/tensor_file.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {
inline constexpr std::string_view kGgufMagic = "GGUF";  // the first bytes of a file
}

/// A setting of a GGUF file: a number, true or false, a text, or a list of one of them (of true and false as 1 and 0).
using GgufValue = std::variant<std::int64_t, double, bool, std::string, std::vector<std::int64_t>, std::vector<double>,
                               std::vector<std::string>>;

/// A file opened for reading. Sizes stand in the order of PyTorch, [rows, columns], which the file has the other way
/// round. Reading a quantised tensor dequantises it.
class GgufFile : public TensorFile {
 public:
  /// Throws IoError that says what is wrong for anything but a well-formed file.
  explicit GgufFile(const std::filesystem::path& path)
      : TensorFile(kWhere, "F64, F32, F16, BF16, integers, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K", path) {
    const std::string magic = bytes(4, "the first bytes");
    check(magic == detail::kGgufMagic, "is no GGUF file: it begins with ", detail::quote_name(magic), ", wanted is ",
          detail::quote_name(detail::kGgufMagic));
    const auto version = number<std::uint32_t>();
    check((version & 0xFFFFu) != 0, "has the byte order of another processor (big-endian)");
    check(version == 2 || version == 3, "is of version ", version, "; 2 and 3 are read");
    const auto tensors = number<std::uint64_t>(), settings = number<std::uint64_t>();
    constexpr std::uint64_t kLeastTensor = 8 + 4 + 4 + 8, kLeastSetting = 8 + 4 + 1;
    check(tensors <= left() / kLeastTensor && settings <= left() / kLeastSetting, "announces ", tensors,
          " tensors and ", settings, " settings; the file has ", file_bytes(), " bytes");
    for (std::uint64_t i = 0; i < settings; ++i) read_setting();
    const std::int64_t alignment = integer("general.alignment", 32);
    check(alignment > 0 && alignment <= (1 << 20) && std::has_single_bit(static_cast<std::uint64_t>(alignment)),
          "general.alignment must be a power of two: ", alignment);
    std::vector<detail::TensorRecord> records;
    for (std::uint64_t i = 0; i < tensors; ++i) records.push_back(read_tensor(alignment));
    const auto unit = static_cast<std::uint64_t>(alignment);
    const std::uint64_t data_start = (at_ + unit - 1) / unit * unit;
    buffer_ = {};
    for (const detail::TensorRecord& record : records) {
      check(data_start <= file_bytes() && record.end <= file_bytes() - data_start, detail::quote_name(record.name),
            ": its bytes ", record.begin, " to ", record.end,
            " do not lie within the file's data, which begin at byte ", data_start, " of ", file_bytes());
    }
    refuse_overlaps(records);
    set_records(std::move(records), data_start);
  }

  /// The file's values by their keys.
  [[nodiscard]] const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }

  /// A setting of a type; null if there is none. Throws IoError that names the key for a value of another type.
  template <class T>
  [[nodiscard]] const T* find(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) return nullptr;
    const T* const value = std::get_if<T>(&found->second);
    check(value != nullptr, detail::quote_name(key), " has a value of another type than is expected");
    return value;
  }
  /// The integer of a key, or `otherwise` where the file does not have the key.
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t otherwise) const {
    const auto* const value = find<std::int64_t>(key);
    return value == nullptr ? otherwise : *value;
  }

 private:
  static constexpr std::string_view kWhere = "gguf";
  static constexpr std::size_t kMostSizes = 8;

  template <class... Pieces>
  void check(bool condition, const Pieces&... pieces) const {
    if (!condition) fail<IoError>(kWhere, path(), ": ", pieces...);
  }

  void refuse_overlaps(std::span<const detail::TensorRecord> records) const {
    std::vector<const detail::TensorRecord*> by_begin;
    for (const detail::TensorRecord& record : records) {
      if (record.begin < record.end) by_begin.push_back(&record);
    }
    std::sort(by_begin.begin(), by_begin.end(), [](const auto* a, const auto* b) { return a->begin < b->begin; });
    for (std::size_t i = 1; i < by_begin.size(); ++i) {
      const detail::TensorRecord &before = *by_begin[i - 1], &record = *by_begin[i];
      check(before.end <= record.begin, detail::quote_name(record.name), ": its bytes from ", record.begin,
            " on overlap those of ", detail::quote_name(before.name), ", which end at ", before.end);
    }
  }

  // Reading of the header, through a buffer.
  [[nodiscard]] std::uint64_t left() const { return file_bytes() - at_; }
  void take(void* target, std::uint64_t count, std::string_view what) {
    check(count <= left(), "ends within ", what, ": ", count, " bytes are wanted at byte ", at_, " of ", file_bytes());
    auto* to = static_cast<char*>(target);
    while (count > 0) {
      if (at_ < buffer_start_ || at_ >= buffer_start_ + buffer_.size()) {
        buffer_.resize(std::min<std::uint64_t>(left(), std::uint64_t{1} << 18));
        buffer_start_ = at_;
        read_bytes(at_, buffer_.data(), buffer_.size());
      }
      const std::uint64_t offset = at_ - buffer_start_;
      const std::uint64_t part = std::min<std::uint64_t>(count, buffer_.size() - offset);
      std::memcpy(to, buffer_.data() + offset, part);
      to += part;
      at_ += part;
      count -= part;
    }
  }
  [[nodiscard]] std::string bytes(std::uint64_t count, std::string_view what) {
    check(count <= left(), "ends within ", what, ": ", count, " bytes are wanted at byte ", at_, " of ", file_bytes());
    std::string text(count, ' ');
    take(text.data(), count, what);
    return text;
  }
  template <class Number>
  [[nodiscard]] Number number() {
    Number value;
    take(&value, sizeof value, "the header");
    return value;
  }
  [[nodiscard]] std::string text() {
    const auto count = number<std::uint64_t>();
    return bytes(count, "a text");
  }

  // A value's type by its number in the file.
  enum Type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
  static constexpr std::array<std::uint8_t, 13> kLeastBytes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

  [[nodiscard]] std::int64_t read_integer(std::uint32_t type) {
    switch (type) {
      case u8:
        return number<std::uint8_t>();
      case i8:
        return number<std::int8_t>();
      case u16:
        return number<std::uint16_t>();
      case i16:
        return number<std::int16_t>();
      case u32:
        return number<std::uint32_t>();
      case i32:
        return number<std::int32_t>();
      case boolean:
        return number<std::uint8_t>() != 0 ? 1 : 0;
      case i64:
        return number<std::int64_t>();
      default: {
        const auto value = number<std::uint64_t>();
        check(value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()),
              "an integer of the settings is too large: ", value);
        return static_cast<std::int64_t>(value);
      }
    }
  }
  [[nodiscard]] double read_real(std::uint32_t type) { return type == f32 ? number<float>() : number<double>(); }

  template <class Value, class Read>
  [[nodiscard]] std::vector<Value> read_list(std::uint64_t count, const Read& read) {
    std::vector<Value> values;
    values.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) values.push_back(read());
    return values;
  }

  void read_setting() {
    std::string key = text();
    const auto type = number<std::uint32_t>();
    const auto expect_type = [&](bool condition, std::uint32_t found) {
      check(condition, detail::quote_name(key), ": there is no type of the number ", found);
    };
    expect_type(type < kLeastBytes.size(), type);
    GgufValue value;
    if (type == array) {
      const auto item = number<std::uint32_t>();
      const auto count = number<std::uint64_t>();
      expect_type(item < kLeastBytes.size(), item);
      check(item != array, detail::quote_name(key), ": lists of lists are not read");
      check(count <= left() / kLeastBytes[item], detail::quote_name(key), ": a list of ", count,
            " elements does not lie in the file");
      if (item == string) {
        value = read_list<std::string>(count, [&] { return text(); });
      } else if (item == f32 || item == f64) {
        value = read_list<double>(count, [&] { return read_real(item); });
      } else {
        value = read_list<std::int64_t>(count, [&] { return read_integer(item); });
      }
    } else if (type == string) {
      value = text();
    } else if (type == f32 || type == f64) {
      value = read_real(type);
    } else if (type == boolean) {
      value = read_integer(type) != 0;
    } else {
      value = read_integer(type);
    }
    const auto [place, is_new] = metadata_.emplace(std::move(key), std::move(value));
    check(is_new, detail::quote_name(place->first), " stands twice");
  }

  [[nodiscard]] detail::TensorRecord read_tensor(std::int64_t alignment) {
    detail::TensorRecord record;
    record.name = text();
    const std::string quoted = detail::quote_name(record.name);
    const auto rank = number<std::uint32_t>();
    check(rank <= kMostSizes, quoted, ": has ", rank, " sizes, at most ", kMostSizes, " are read");
    for (std::uint32_t i = 0; i < rank; ++i) {
      const auto size = number<std::uint64_t>();
      check(size <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max()), quoted,
            ": a size is too large: ", size);
      record.sizes.insert(record.sizes.begin(), static_cast<Index>(size));
    }
    const auto number_of_type = number<std::uint32_t>();
    record.begin = number<std::uint64_t>();
    check(record.begin % static_cast<std::uint64_t>(alignment) == 0, quoted, ": its offset ", record.begin,
          " must be a multiple of ", alignment);
    const auto type = std::find_if(detail::kGgufTypes.begin(), detail::kGgufTypes.end(),
                                   [&](const detail::GgufType& one) { return one.number == number_of_type; });
    const bool is_known = type != detail::kGgufTypes.end();
    record.dtype_name = is_known ? std::string(type->name) : "type " + std::to_string(number_of_type);
    record.dtype = is_known ? type->dtype : Dtype::kUnknown;
    record.blocks = is_known ? type->blocks : nullptr;
    const auto expect = [&](bool condition, const auto&... pieces) { check(condition, quoted, ": ", pieces...); };
    // Bounds the number of elements, too.
    std::uint64_t count = detail::bytes_needed(Dtype::kU8, record.sizes, expect).value_or(0);
    if (record.blocks != nullptr) {
      const Index row = record.sizes.empty() ? 1 : record.sizes.back();
      expect(row % record.blocks->elements == 0, "its rows of ", row, " elements must be whole blocks of ",
             record.blocks->elements);
      count = count / static_cast<std::uint64_t>(record.blocks->elements) * record.blocks->bytes;
    } else {
      const auto known = detail::bytes_needed(record.dtype, record.sizes, expect);
      expect(known || count / 8 <= file_bytes(), "its ", count, " elements do not lie in the file of ", file_bytes(),
             " bytes");  // no type has less than a bit for each
      count = known.value_or(0);
    }
    expect(count <= file_bytes() && record.begin <= file_bytes(), "its ", count, " bytes do not lie in the file of ",
           file_bytes());
    record.end = record.begin + count;
    return record;
  }

  std::uint64_t at_ = 0, buffer_start_ = 0;
  std::vector<char> buffer_;  // of the header while it is read
  std::map<std::string, GgufValue, std::less<>> metadata_;
};

}}  // namespace rapt::RAPT_ABI
