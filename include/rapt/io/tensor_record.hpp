/// \file
/// A tensor as a file describes it: its name, type and sizes, and where its elements are.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/shape.hpp"
#include "rapt/io/dtype.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A name from outside for a message: quoted, of bounded length, without control characters.
[[nodiscard]] inline std::string quote_name(std::string_view name) {
  constexpr std::size_t kMost = 120;
  std::string text = "\"";
  for (const char c : name.substr(0, kMost)) text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return text + (name.size() > kMost ? "...\"" : "\"");
}

/// A type that keeps elements in blocks which share scales.
struct BlockFormat {
  std::string_view name;  ///< as messages write it, e.g. "Q4_K"
  Index elements;         ///< of a block
  std::size_t bytes;      ///< of a block
  void (*dequantize)(const std::byte* block, float* values);
};

/// A tensor of any rank and the place of its elements, which lie one behind the other, in row-major order, unless
/// `view_sizes` says otherwise.
struct TensorRecord {
  std::string name;
  std::string dtype_name;  ///< as the file has it
  Dtype dtype = Dtype::kUnknown;
  std::vector<Index> sizes;
  std::uint64_t begin = 0, end = 0;     ///< bytes, from the start of the data
  const BlockFormat* blocks = nullptr;  ///< if set, the type of the elements in place of dtype
  /// If not empty, the elements in row-major order are those of a tensor of these sizes, of which index i of dimension
  /// k lies i * view_strides[k] elements behind `begin`. Runs of whole blocks stay together.
  std::vector<Index> view_sizes = {}, view_strides = {};
  std::size_t view_unit = 0;  ///< bytes of an element of a view; 0: what dtype or blocks say
  bool is_shared = false;     ///< its bytes are also another tensor's, which alone may be borrowed
  float added = 0;            ///< is added to the elements when they are read
};

/// Bytes that elements of a type and of these sizes take, nothing for an unknown type. `check(condition, pieces...)`
/// throws for more elements than an Index counts, and for elements of less than a byte that do not fill whole bytes.
template <class Check>
[[nodiscard]] std::optional<std::uint64_t> bytes_needed(Dtype dtype, std::span<const Index> sizes, const Check& check) {
  // Sizes of zero are left out of the product, so that it bounds every partial product in whatever order.
  constexpr auto kMostElements = static_cast<std::uint64_t>(std::numeric_limits<Index>::max() / 16);
  std::uint64_t elements = 1;
  bool empty = false;
  for (const Index size : sizes) {
    const auto factor = static_cast<std::uint64_t>(size);
    check(factor == 0 || elements <= kMostElements / factor, "the shape has too many elements: ", elements, " times ",
          factor, " and more");
    elements *= std::max<std::uint64_t>(factor, 1);
    empty = empty || factor == 0;
  }
  if (dtype == Dtype::kUnknown) return std::nullopt;
  if (empty) return 0;
  const std::uint64_t rest = elements % 8 * bits_of(dtype);  // the product of all elements and bits might not fit
  check(rest % 8 == 0, elements, " elements of ", dtype, ", of ", bits_of(dtype),
        " bits each, do not fill whole bytes");
  return elements / 8 * bits_of(dtype) + rest / 8;
}

}}}  // namespace rapt::RAPT_ABI::detail
