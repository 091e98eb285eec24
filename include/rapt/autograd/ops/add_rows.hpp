/// \file
/// Sum with rows of a table by their numbers: how positions are added to embeddings.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/record.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// y_i = x_i + table[rows_i]   // [N, D] from x [N, D] and table [P, D]
template <class T>
[[nodiscard]] Variable<T> add_rows(Variable<T> x, const Variable<T>& table, std::span<const std::int32_t> rows) {
  require<ShapeError>(x.cols() == table.cols() && x.rows() == static_cast<Index>(rows.size()), "add_rows",
                      "x has shape ", x.shape(), ", the table ", table.shape(), ", row numbers ", rows.size());
  require_rows(rows, table.rows(), "add_rows");
  require_trainable(table, "add_rows");
  if (!table.value().has_elements()) return add(x, gather_rows(table, rows));  // kept in packed form alone
  const T* from = x.value().data();
  Tensor<T> y = x.elements_to_overwrite();
  if (y.data() != from) std::copy_n(from, y.size(), y.data());
  kernels::gather_rows<T>(table.value(), rows, T(1), y.data(), /*accumulate=*/true);
  std::vector<std::int32_t> kept;
  if (will_record<T>({table}) && table.requires_grad()) kept.assign(rows.begin(), rows.end());
  return overwritable(record("add_rows", std::move(y), {x, table}, [kept = std::move(kept)](Node<T>& out) {
    Node<T>&x_in = out.input(0), &table_in = out.input(1);
    if (table_in.requires_grad && !kept.empty()) {  // dtable[rows_i] += dy_i
      kernels::scatter_rows<T>(table_in.grad_sum(), kept, T(1), out.grad.data());
    }
    pass_gradient(std::move(out.grad), x_in);  // dx = dy
  }));
}

}}  // namespace rapt::RAPT_ABI
