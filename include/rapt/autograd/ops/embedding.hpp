/// \file
/// Rows of a table by id: token embeddings and positions.
#pragma once

#include <vector>

#include "rapt/autograd/packed_weight.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/kernels/embedding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_i = scale * table[ids_i]   // [N, D] from table [V, D]
template <class T>
[[nodiscard]] Variable<T> embedding(const Variable<T>& table, std::span<const TokenId> ids,
                                    std::type_identity_t<T> scale = 1) {
  require_ids(ids, table.rows(), "embedding");
  Tensor<T> y(Shape{static_cast<Index>(ids.size()), table.cols()});
  if (table.value().has_elements()) {
    kernels::gather_rows<T>(table.value(), ids, scale, y.data());
  } else {  // kept in packed form alone
    const auto& packed = packed_operand(table);
    for (Index i = 0; i < y.rows(); ++i) packed.read_column(ids[static_cast<std::size_t>(i)], y.row(i));
    if (scale != T(1)) kernels::scale(y.data(), scale, y.size());
  }
  std::vector<TokenId> kept;
  if (will_record<T>({table})) kept.assign(ids.begin(), ids.end());
  return overwritable(record("embedding", std::move(y), {table}, [scale, kept = std::move(kept)](Node<T>& out) {
    kernels::scatter_rows<T>(out.input(0).grad_sum(), kept, scale, out.grad.data());  // dtable[ids_i] += scale dy_i
  }));
}

}}  // namespace rapt::RAPT_ABI
