/// \file
/// The elements of a tensor in a file as numbers of a program, and as the bytes that the file has.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/io/dtype.hpp"
#include "rapt/io/file_element.hpp"
#include "rapt/io/random_access_file.hpp"
#include "rapt/io/tensor_record.hpp"
#include "rapt/io/tensor_view.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Reads the elements of tensors whose records count bytes from `data_start` on. The file must outlive it.
class ElementReader {
 public:
  ElementReader(const RandomAccessFile& file, std::uint64_t data_start) : file_(file), data_start_(data_start) {}

  /// All elements in row-major order, converted as TensorFile::read says. Throws IoError that names the tensor for a
  /// type that cannot be read, and the element and its value for one that T does not hold.
  template <class T>
  void read_elements(const TensorRecord& from, T* to) const {
    convert_elements(from, to);
    if (from.added == 0) return;
    const Index count = element_count(from);
    if constexpr (Scalar<T>) {
      for (Index i = 0; i < count; ++i) to[i] += static_cast<T>(from.added);
    } else {
      fail<IoError>(file_.where(), file_.path(), ": ", quote_name(from.name), ": is of numbers that ",
                    element_name<T>(), " does not hold");
    }
  }

  /// The bytes of all elements in row-major order.
  [[nodiscard]] std::vector<std::byte> read_bytes(const TensorRecord& from) const {
    std::vector<std::byte> stored(from.end - from.begin);
    file_.read(data_start_ + from.begin, stored.data(), stored.size());
    return from.view_sizes.empty() ? stored : gather_view(from, stored);
  }

 private:
  template <class T>
  void convert_elements(const TensorRecord& from, T* to) const {
    if (from.blocks != nullptr) return dequantize(from, to);
    switch (from.dtype) {
      case Dtype::kF64:
        return convert<double>(from, to);
      case Dtype::kF32:
        return convert<float>(from, to);
      case Dtype::kF16:
        return convert<Eigen::half>(from, to);
      case Dtype::kBF16:
        return convert<Eigen::bfloat16>(from, to);
      case Dtype::kI64:
        return convert<std::int64_t>(from, to);
      case Dtype::kI32:
        return convert<std::int32_t>(from, to);
      case Dtype::kI16:
        return convert<std::int16_t>(from, to);
      case Dtype::kI8:
        return convert<std::int8_t>(from, to);
      case Dtype::kU64:
        return convert<std::uint64_t>(from, to);
      case Dtype::kU32:
        return convert<std::uint32_t>(from, to);
      case Dtype::kU16:
        return convert<std::uint16_t>(from, to);
      case Dtype::kU8:
        return convert<std::uint8_t>(from, to);
      case Dtype::kBool:
        return convert<bool>(from, to);
      default:
        fail<IoError>(file_.where(), file_.path(), ": ", quote_name(from.name), ": cannot read ", from.dtype_name);
    }
  }

  // Element by element through a block that stays in the cache; bytes of the same type go straight to their place.
  template <class Stored, class T>
  void convert(const TensorRecord& from, T* to) const {
    constexpr bool kSame = std::is_same_v<Stored, T> && !std::is_same_v<T, bool>;
    if (!from.view_sizes.empty()) {
      convert_block<Stored>(from, read_bytes(from), 0, to);
    } else if constexpr (kSame) {
      file_.read(data_start_ + from.begin, to, from.end - from.begin);
    } else {
      std::array<std::byte, 16384> block;
      for (std::uint64_t at = from.begin; at < from.end; at += block.size()) {
        const std::uint64_t bytes = std::min<std::uint64_t>(block.size(), from.end - at);
        file_.read(data_start_ + at, block.data(), bytes);
        convert_block<Stored>(from, std::span(block).first(bytes), (at - from.begin) / sizeof(Stored), to);
      }
    }
  }

  /// Elements `first` and those behind it, of which `bytes` has what the file stores.
  template <class Stored, class T>
  void convert_block(const TensorRecord& from, std::span<const std::byte> bytes, std::uint64_t first, T* to) const {
    to += first;
    for (std::size_t i = 0; i < bytes.size(); i += sizeof(Stored)) {
      const auto value = stored_element<Stored>(reinterpret_cast<const char*>(bytes.data()) + i);
      if constexpr (!Scalar<T> && !std::is_same_v<Stored, bool>) {
        if (!holds<T>(value)) refuse_element<T>(from, static_cast<Index>(first + i / sizeof(Stored)), value);
      }
      *to++ = static_cast<T>(value);
    }
  }

  /// Blocks of a quantised type, on all threads: each has its place.
  template <class T>
  void dequantize(const TensorRecord& from, T* to) const {
    const BlockFormat& format = *from.blocks;
    std::vector<std::byte> gathered;
    if (!from.view_sizes.empty()) gathered = read_bytes(from);
    const Index blocks = element_count(from) / format.elements;
    constexpr Index kGrain = 256;
    parallel_for(blocks, kGrain, [&](Index begin, Index end) {
      std::vector<std::byte> part;
      const std::size_t offset = to_size(begin) * format.bytes, size = to_size(end - begin) * format.bytes;
      if (gathered.empty()) {
        part.resize(size);
        file_.read(data_start_ + from.begin + offset, part.data(), size);
      }
      const std::byte* const source = gathered.empty() ? part.data() : gathered.data() + offset;
      std::vector<float> values(to_size(format.elements));
      for (Index i = begin; i < end; ++i) {
        format.dequantize(source + to_size(i - begin) * format.bytes, values.data());
        convert_block<float>(from, std::as_bytes(std::span(values)), to_size(i * format.elements), to);
      }
    });
  }

  template <class T, class Value>
  [[noreturn, gnu::cold]] void refuse_element(const TensorRecord& from, Index element, Value value) const {
    std::string place;  // the element's indices, outermost first
    for (std::size_t i = std::max<std::size_t>(from.sizes.size(), 1); i-- > 0;) {
      const Index size = i < from.sizes.size() ? from.sizes[i] : 1;
      place.insert(0, (i > 0 ? ", " : "") + std::to_string(element % size));
      element /= size;
    }
    fail<IoError>(file_.where(), file_.path(), ": ", quote_name(from.name), ": element [", place, "] is ",
                  exact_text(value), ", which ", element_name<T>(), " does not hold");
  }

  const RandomAccessFile& file_;
  std::uint64_t data_start_;
};

}}}  // namespace rapt::RAPT_ABI::detail
