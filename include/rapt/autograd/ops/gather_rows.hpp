/// \file
/// Rows of a table by their numbers: token embeddings, positions, and the rows of a batch that a loss is asked of.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rapt/autograd/packed_weight.hpp"
#include "rapt/autograd/record.hpp"
#include "rapt/kernels/gather_rows.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Throws ValueError that names the position unless every row number is in 0 .. count.
inline void require_rows(std::span<const std::int32_t> rows, Index count, std::string_view where) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    require(rows[i] >= 0 && rows[i] < count, where, "row id ", rows[i], " at position ", i, " is outside the table of ",
            count, " rows");
  }
}

/// y_i = scale * table[rows_i]   // [N, D] from table [R, D]
template <class T>
[[nodiscard]] Variable<T> gather_rows(const Variable<T>& table, std::span<const std::int32_t> rows,
                                      std::type_identity_t<T> scale = 1) {
  require_rows(rows, table.rows(), "gather_rows");
  require_trainable(table, "gather_rows");
  Tensor<T> y(Shape{static_cast<Index>(rows.size()), table.cols()});
  if (table.value().has_elements()) {
    kernels::gather_rows<T>(table.value(), rows, scale, y.data());
  } else {  // the table is kept in packed form alone
    const auto& packed = packed_operand(table);
    for (Index i = 0; i < y.rows(); ++i) packed.read_column(rows[static_cast<std::size_t>(i)], y.row(i));
    if (scale != T(1)) kernels::scale(y.data(), scale, y.size());
  }
  std::vector<std::int32_t> kept;
  if (will_record<T>({table})) kept.assign(rows.begin(), rows.end());
  return overwritable(record("gather_rows", std::move(y), {table}, [scale, kept = std::move(kept)](Node<T>& out) {
    kernels::scatter_rows<T>(out.input(0).grad_sum(), kept, scale, out.grad.data());  // dtable[rows_i] += scale dy_i
  }));
}

}}  // namespace rapt::RAPT_ABI
