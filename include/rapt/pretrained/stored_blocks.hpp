/// \file
/// The quantised types of GGUF files that models are served in as they are.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "rapt/core/tensor.hpp"
#include "rapt/io/gguf_blocks.hpp"
#include "rapt/kernels/gemm/blocks.hpp"
#include "rapt/kernels/gemm/stored_matrix.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Makes a right operand [in, out] of the blocks of a weight's rows [out, bytes].
using StoreBlocks = std::shared_ptr<const kernels::StoredMatrix> (*)(Tensor<std::uint8_t> rows);

template <class Blocks>
[[nodiscard]] std::shared_ptr<const kernels::StoredMatrix> store_blocks(Tensor<std::uint8_t> rows) {
  return std::make_shared<const kernels::BlockMatrix<Blocks>>(std::move(rows));
}

/// Null for null and for a type without a kernel of its own, whose weights are dequantised when they are loaded.
[[nodiscard]] inline StoreBlocks find_store_blocks(const BlockFormat* format) {
  if (format == &kQ8_0) return store_blocks<kernels::BlocksQ8_0>;
  if (format == &kQ4_0) return store_blocks<kernels::BlocksQ4_0>;
  if (format == &kQ4_1) return store_blocks<kernels::BlocksQ4_1>;
  if (format == &kQ4_K) return store_blocks<kernels::BlocksQ4_K>;
  if (format == &kQ6_K) return store_blocks<kernels::BlocksQ6_K>;
  return nullptr;
}

}}}  // namespace rapt::RAPT_ABI::detail
