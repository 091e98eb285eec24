/// \file
/// Rotary positions as an op.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "rapt/autograd/record.hpp"
#include "rapt/kernels/rotary.hpp"

namespace rapt { inline namespace RAPT_ABI {

using kernels::RotaryHeads;
using kernels::RotaryLayout;

/// The cosines and sines of angles, [P, r], and at which of its rows each row of x is. Tables are shared, not copied.
template <class T>
struct RotaryAngles {
  /// The cosines and sines, [P, r].
  std::shared_ptr<const Tensor<T>> table;
  std::vector<std::int32_t> positions;  ///< [N]
};

/// x with the pairs of columns of some heads rotated by the angles of each row's position; other columns pass through.
/// Queries and keys side by side are one call: x = [q | k | v] with count = their heads   // [N, ..]
/// An x that is moved in gives its memory to the result.
template <class T>
[[nodiscard]] Variable<T> rotary(Variable<T> x, RotaryAngles<T> angles, const RotaryHeads& heads) {
  constexpr std::string_view kWhere = "rotary";
  const Tensor<T>& table = *angles.table;
  require<ShapeError>(static_cast<Index>(angles.positions.size()) == x.rows(), kWhere, angles.positions.size(),
                      " positions, x has shape ", x.shape());
  require<ShapeError>(table.cols() % 2 == 0 && table.cols() <= heads.head_dim && heads.first >= 0 && heads.count >= 0 &&
                          heads.first + heads.count * heads.head_dim <= x.cols(),
                      kWhere, heads.count, " heads of ", heads.head_dim, " columns from column ", heads.first,
                      " on, the table of cosines and sines has shape ", table.shape(), ", x ", x.shape());
  require_ids(angles.positions, table.rows(), kWhere);
  const T* from = x.value().data();
  Tensor<T> y = x.elements_to_overwrite();
  if (y.data() != from) std::copy_n(from, y.size(), y.data());
  kernels::rotate<T>(y, table, angles.positions, heads);
  return overwritable(record("rotary", std::move(y), {x}, [angles = std::move(angles), heads](Node<T>& out) {
    Node<T>& in = out.input(0);
    Tensor<T>& dy = out.grad;  // dx = dy rotated back
    kernels::rotate<T>(dy, *angles.table, angles.positions, heads, /*backward=*/true);
    if (in.grad.empty()) {
      in.grad = std::move(dy);
    } else {
      kernels::add_scaled(in.grad.data(), dy.data(), T(1), dy.size());
    }
  }));
}

}}  // namespace rapt::RAPT_ABI
