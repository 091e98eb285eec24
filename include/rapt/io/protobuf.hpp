/// \file
/// A reader and a writer of protobuf's wire format (https://protobuf.dev/programming-guides/encoding): the fields of a
/// message, one after the other. What the numbers of fields mean is not in the bytes; the caller knows.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rapt/core/error.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Reads a message from bytes that are not trusted. Whatever is wrong is an IoError that names the file and the offset.
class ProtobufReader {
 public:
  enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

  /// A field of the message; its value must be taken as what it is.
  class Field {
   public:
    [[nodiscard]] std::uint32_t number() const { return number_; }
    /// An integer or enumerator of 32 bits; of more bits, the lower 32, as protobuf's own parsers do.
    [[nodiscard]] std::int32_t integer() const {
      expect(Wire::varint);
      return static_cast<std::int32_t>(static_cast<std::uint32_t>(value_));
    }
    [[nodiscard]] bool flag() const {
      expect(Wire::varint);
      return value_ != 0;
    }
    [[nodiscard]] float real() const {
      expect(Wire::fixed32);
      return std::bit_cast<float>(static_cast<std::uint32_t>(value_));
    }
    /// A string, bytes, or a message; a view of the reader's bytes.
    [[nodiscard]] std::string_view bytes() const {
      expect(Wire::bytes);
      return bytes_;
    }
    /// The fields of a message within the message.
    [[nodiscard]] ProtobufReader message() const {
      const std::string_view inner = bytes();
      return ProtobufReader(inner, reader_->file_,
                            reader_->base_ + static_cast<std::size_t>(inner.data() - reader_->bytes_.data()));
    }

   private:
    friend class ProtobufReader;
    void expect(Wire wire) const {
      if (wire != wire_) {
        reader_->refuse(offset_, "field ", number_, " has wire type ", static_cast<int>(wire_), ", but must have ",
                        static_cast<int>(wire));
      }
    }
    const ProtobufReader* reader_ = nullptr;
    std::uint32_t number_ = 0;
    Wire wire_ = Wire::varint;
    std::uint64_t value_ = 0;
    std::string_view bytes_;
    std::size_t offset_ = 0;
  };

  /// `bytes` and `file`, its name for messages, must live as long as the reader. `base` is the offset in the file.
  ProtobufReader(std::string_view bytes, std::string_view file, std::size_t base = 0)
      : bytes_(bytes), file_(file), base_(base) {}

  /// The next field, or nothing at the end of the message. It refers to this reader.
  [[nodiscard]] std::optional<Field> next() {
    if (at_ == bytes_.size()) return std::nullopt;
    Field field;
    field.reader_ = this;
    field.offset_ = at_;
    const std::uint64_t key = varint();
    const std::uint64_t number = key >> 3, wire = key & 7u;
    if (number == 0 || number > 0x1FFFFFFFu)
      refuse(field.offset_, "a field must have a number from 1 to 536870911: ", number);
    field.number_ = static_cast<std::uint32_t>(number);
    field.wire_ = static_cast<Wire>(wire);
    switch (field.wire_) {
      case Wire::varint:
        field.value_ = varint();
        break;
      case Wire::fixed64:
        field.value_ = fixed(8);
        break;
      case Wire::fixed32:
        field.value_ = fixed(4);
        break;
      case Wire::bytes: {
        const std::size_t begin = at_;
        const std::uint64_t size = varint();
        if (size > bytes_.size() - at_) {
          refuse(begin, "field ", number, " has ", size, " bytes, but only ", bytes_.size() - at_, " are left");
        }
        field.bytes_ = bytes_.substr(at_, static_cast<std::size_t>(size));
        at_ += static_cast<std::size_t>(size);
        break;
      }
      default:
        refuse(field.offset_, "field ", number, " has wire type ", wire, ", which is none of 0, 1, 2 and 5");
    }
    return field;
  }

 private:
  template <class... Pieces>
  [[noreturn]] void refuse(std::size_t offset, const Pieces&... pieces) const {
    fail<IoError>("protobuf", file_, ": byte ", base_ + offset, ": ", pieces...);
  }

  [[nodiscard]] std::uint64_t varint() {
    const std::size_t begin = at_;
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) refuse(begin, "a number is cut off");
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    refuse(begin, "a number has more than 10 bytes");
  }
  [[nodiscard]] std::uint64_t fixed(std::size_t size) {
    if (bytes_.size() - at_ < size) refuse(at_, "a number of ", size, " bytes is cut off");
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes_[at_ + i]);
    at_ += size;
    return value;
  }

  std::string_view bytes_, file_;
  std::size_t base_, at_ = 0;
};

/// Writes a message, field by field.
class ProtobufWriter {
 public:
  /// An integer, an enumerator or a flag. As in protobuf, a negative one has ten bytes.
  void integer(std::uint32_t number, std::int64_t value) {
    varint(std::uint64_t{number} << 3 | static_cast<unsigned>(ProtobufReader::Wire::varint));
    varint(static_cast<std::uint64_t>(value));
  }
  void real(std::uint32_t number, float value) {
    varint(std::uint64_t{number} << 3 | static_cast<unsigned>(ProtobufReader::Wire::fixed32));
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (unsigned shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(bits >> shift & 0xFFu);
  }
  /// A string, bytes, or a message that another writer has written.
  void bytes(std::uint32_t number, std::string_view value) {
    begin_bytes(number, value.size());
    bytes_ += value;
  }
  /// The beginning of a field of so many bytes, which the caller puts behind what is written, as they are too many to
  /// be copied into the writer.
  void begin_bytes(std::uint32_t number, std::size_t size) {
    varint(std::uint64_t{number} << 3 | static_cast<unsigned>(ProtobufReader::Wire::bytes));
    varint(size);
  }
  [[nodiscard]] const std::string& written() const { return bytes_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7Fu) | 0x80u);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}}}  // namespace rapt::RAPT_ABI::detail
