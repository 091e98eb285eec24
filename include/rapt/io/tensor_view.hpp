/// \file
/// The bytes of tensors that do not lie in a file in row-major order.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/io/dtype.hpp"
#include "rapt/io/tensor_record.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

[[nodiscard]] inline Index element_count(const TensorRecord& record) {
  Index count = 1;
  for (const Index size : record.sizes) count *= size;
  return count;
}

/// The bytes of a view's elements in row-major order; `bytes` are those from `begin` to `end`.
[[nodiscard]] inline std::vector<std::byte> gather_view(const TensorRecord& from, std::span<const std::byte> bytes) {
  const Index unit = from.blocks != nullptr ? from.blocks->elements : 1;
  const std::size_t unit_bytes = from.blocks != nullptr ? from.blocks->bytes
                                 : from.view_unit != 0  ? from.view_unit
                                                        : bits_of(from.dtype) / 8;
  std::size_t outer = from.view_sizes.size();
  Index run = 1;  // elements that lie one behind the other
  while (outer > 0 && from.view_strides[outer - 1] == run) run *= from.view_sizes[--outer];
  std::vector<std::byte> gathered(to_size(element_count(from) / unit) * unit_bytes);
  if (gathered.empty()) return gathered;
  const std::size_t run_bytes = to_size(run / unit) * unit_bytes;
  std::vector<Index> index(outer);
  Index offset = 0;
  for (std::size_t written = 0; written < gathered.size(); written += run_bytes) {
    std::memcpy(gathered.data() + written, bytes.data() + to_size(offset / unit) * unit_bytes, run_bytes);
    for (std::size_t k = outer; k-- > 0;) {  // the next index, the last dimension first
      offset += from.view_strides[k];
      if (++index[k] < from.view_sizes[k]) break;
      offset -= index[k] * from.view_strides[k];
      index[k] = 0;
    }
  }
  return gathered;
}

}}}  // namespace rapt::RAPT_ABI::detail
