/// \file
/// Right operands of matrix products, packed for the unit that multiplies them.
///
/// What a packed operand holds depends on the precision in force when it was made: panels of float32 (block.hpp),
/// panels of bfloat16 pairs with or without residuals (bfloat16.hpp). A format that does not depend on it is a
/// StoredMatrix. A weight that is used many times is packed once; is_current() says if settings have changed since.
#pragma once

#include <bit>
#include <memory>
#include <type_traits>
#include <utility>

#include "rapt/core/precision.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/amx.hpp"
#include "rapt/kernels/gemm/avx512_bf16.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/gemm/neon_bf16.hpp"
#include "rapt/kernels/gemm/product_blocks.hpp"
#include "rapt/kernels/gemm/stored_matrix.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The sizes for products on a matrix unit; for `none`, for products on vectors at the instruction set in force.
template <class T>
[[nodiscard]] GemmGeometry gemm_geometry(MatrixUnit unit = MatrixUnit::none) {
  if (unit != MatrixUnit::none) {
    const Index block_rows = unit == MatrixUnit::amx ? 16 : unit == MatrixUnit::neon_bf16 ? 10 : 14;
    return {.panel_columns = kPairColumns, .block_rows = block_rows, .depth = 2 * kPairDepth};
  }
  GemmGeometry geometry;
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    geometry = {.panel_columns = detail::kPanelColumns<decltype(isa), T>,
                .block_rows = decltype(isa)::kGemmRows,
                .depth = detail::kPanelDepth};
  });
  return geometry;
}

/// What float32 operands are packed for.
struct Packing {
  MatrixUnit unit = MatrixUnit::none;  ///< that multiplies them; `none`: float32 vectors
  Index planes = 0;  ///< of bfloat16: 0 for float32, 1 for rounded numbers, 2 for rounded numbers and their residuals

  friend bool operator==(const Packing&, const Packing&) = default;
};

/// That of the precision in force, which another thread may change at any time: ask once for a product.
[[nodiscard]] inline Packing packing_in_force() {
  const Precision now = precision();
  const MatrixUnit unit = matrix_unit(now);
  if (unit == MatrixUnit::none) return {};
  return {.unit = unit, .planes = now == Precision::high ? 2 : 1};
}

/// A right operand b [rows, cols], packed once by all threads for any number of products.
template <class T>
class PackedOperand {
 public:
  PackedOperand() = default;
  /// In a format of its own, or in the one of the precision in force.
  explicit PackedOperand(const Operand<T>& b, MatrixFormat store = nullptr) : rows_(b.rows), cols_(b.cols) {
    if (store == nullptr) {
      pack(b, packing_in_force());
    } else if constexpr (std::is_same_v<T, float>) {
      stored_ = store(b);
    } else {
      fail("packed_operand", "only float32 is kept in formats of 16 bits or less");
    }
  }
  /// For a product whose other operands have this packing.
  PackedOperand(const Operand<T>& b, const Packing& packing) : rows_(b.rows), cols_(b.cols) { pack(b, packing); }

  /// A matrix that is stored already.
  explicit PackedOperand(std::shared_ptr<const StoredMatrix> stored) requires std::is_same_v<T, float>
      : rows_(stored->rows()), cols_(stored->cols()), stored_(std::move(stored)) {}

  /// True if the operand would be packed in the same way now, as precision, matrix unit and instruction set are the
  /// same.
  [[nodiscard]] bool is_current() const {
    if (stored_ != nullptr) return true;
    if constexpr (std::is_same_v<T, float>) {
      if (packing_in_force() != packing_) return false;
    }
    return geometry_ == gemm_geometry<T>(packing_.unit);
  }

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  /// The number of panels of `geometry().panel_columns` columns each; 0 of a matrix in a format of its own.
  [[nodiscard]] Index panels() const { return panels_; }
  /// The sizes of panels and blocks at the instruction set and the unit that were in force when this was packed.
  [[nodiscard]] const GemmGeometry& geometry() const { return geometry_; }
  /// The matrix in a format of its own, or null.
  [[nodiscard]] const StoredMatrix* stored() const { return stored_.get(); }
  /// The format of its own, or null.
  [[nodiscard]] MatrixFormat format() const { return stored_ != nullptr ? stored_->format() : nullptr; }
  /// What the other operands of a product must be packed for.
  [[nodiscard]] const Packing& packing() const { return packing_; }
  /// The depth of each cut but the last, which may have less: the rows of b are divided into cuts, so that a panel of
  /// one stays in the cache while it is multiplied.
  [[nodiscard]] Index cut_depth() const { return cut_depth_; }
  /// The depth of the cut that starts at row p.
  [[nodiscard]] Index depth_at(Index p) const { return std::min(cut_depth_, rows_ - p); }

  /// Unpacks column j, with the rounding of the format   // to [rows]
  void read_column(Index j, T* to) const {
    if constexpr (std::is_same_v<T, float>) {
      if (stored_ != nullptr) return stored_->read_column(j, to);
    }
    const Index width = geometry_.panel_columns, panel = j / width, lane = j % width;
    for (Index p = 0; p < rows_; p += cut_depth_) {
      if constexpr (std::is_same_v<T, float>) {
        if (packing_.planes > 0) {
          const PairPanel pairs = pair_panel(p, panel);
          const auto value = [&](Index k, Index plane) {
            const Pair pair = pairs.data[k / 2 * kPairColumns + lane + plane];
            return std::bit_cast<float>(k % 2 == 0 ? pair << 16 : pair & 0xffff0000u);
          };
          for (Index k = 0; k < depth_at(p); ++k) {
            to[p + k] = value(k, 0) + (pairs.plane != 0 ? value(k, pairs.plane) : 0.f);
          }
          continue;
        }
      }
      for (Index k = 0; k < depth_at(p); ++k) to[p + k] = panels_at(p, panel)[k * width + lane];
    }
  }

  /// The float32 panels of the cut that starts at row p, from number `panel` on.
  [[nodiscard]] const T* panels_at(Index p, Index panel) const {
    return data_.data() + (p * panels_ + panel * depth_at(p)) * geometry_.panel_columns;
  }
  /// A panel of bfloat16 pairs of the cut that starts at row p.
  [[nodiscard]] PairPanel pair_panel(Index p, Index panel) const {
    const Index pairs = pairs_of(depth_at(p));
    return {.data = pairs_.data() + (p / 2 * panels_ + panel * pairs) * kPairColumns, .pairs = pairs, .plane = plane()};
  }

 private:
  void pack(const Operand<T>& b, const Packing& packing) {
    if constexpr (std::is_same_v<T, float>) packing_ = packing;
    geometry_ = gemm_geometry<T>(packing_.unit);
    panels_ = (cols_ + geometry_.panel_columns - 1) / geometry_.panel_columns;
    if (rows_ == 0 || cols_ == 0) return;
    const Index cuts = (rows_ + geometry_.depth - 1) / geometry_.depth, width = geometry_.panel_columns;
    const Index grain = std::max<Index>(1, 16384 / (width * rows_));
    if constexpr (std::is_same_v<T, float>) {
      if (packing_.planes > 0) {
        cut_depth_ = detail::round_up((rows_ + cuts - 1) / cuts, 2 * kPairBlock);
        pairs_ = Tensor<Pair>(
            Shape{packing_.planes, panels_ * width * pairs_of(rows_)});  // [planes][cuts][panels][pairs][32]
        parallel_for(panels_, grain, [&](Index first, Index last) {
          for (Index p = 0; p < rows_; p += cut_depth_) {
            for (Index panel = first; panel < last; ++panel) {
              const Index j = panel * width;
              pack_pair_panel(b.part(p, j, depth_at(p), std::min(width, cols_ - j)), pairs_at(p, panel), plane());
            }
          }
        });
        return;
      }
    }
    cut_depth_ = (rows_ + cuts - 1) / cuts;
    data_ = Tensor<T>(Shape{panels_ * width, rows_});  // [cuts][panels][cut_depth][width]
    parallel_for(panels_, grain, [&](Index first, Index last) {
      for (Index p = 0; p < rows_; p += cut_depth_) {
        const Index j = first * width;
        pack_panels(b.part(p, j, depth_at(p), std::min(cols_, last * width) - j), values_at(p, first));
      }
    });
  }

  [[nodiscard]] T* values_at(Index p, Index panel) { return const_cast<T*>(std::as_const(*this).panels_at(p, panel)); }
  [[nodiscard]] Pair* pairs_at(Index p, Index panel) {
    return const_cast<Pair*>(std::as_const(*this).pair_panel(p, panel).data);
  }
  [[nodiscard]] Index plane() const { return packing_.planes == 2 ? pairs_.cols() : 0; }

  Index rows_ = 0, cols_ = 0;
  Packing packing_;
  GemmGeometry geometry_;
  Index panels_ = 0, cut_depth_ = 1;
  Tensor<T> data_;
  Tensor<Pair> pairs_;
  std::shared_ptr<const StoredMatrix> stored_;  // if not null, all there is
};

/// A left operand rounded to bfloat16 pairs by all threads.
class PackedRows {
 public:
  PackedRows(const Operand<float>& a, Index planes) {
    // A row takes an odd number of cache lines, so that the rows of a block do not share one set of the cache.
    rows_.rows = a.rows;
    rows_.stride = (pairs_of(a.cols) / kPairBlock | 1) * kPairBlock;
    const Index size = detail::round_up(a.rows, 32) * rows_.stride;
    data_ = Tensor<Pair>(Shape{planes, size});
    rows_.data = data_.data();
    rows_.plane = planes == 2 ? size : 0;
    const Index grain = detail::round_up(std::max<Index>(1, 16384 / std::max<Index>(1, a.cols)), 32);
    parallel_for(a.rows, grain, [&](Index begin, Index end) {
      pack_pair_rows(a.part(begin, 0, end - begin, a.cols), data_.data() + begin * rows_.stride, rows_.stride,
                     rows_.plane);
    });
  }

  /// `rows` rows from row i on, beginning at depth p, which must be a multiple of 32.
  [[nodiscard]] PairRows part(Index i, Index p, Index rows) const {
    return {.data = rows_.data + i * rows_.stride + p / 2, .rows = rows, .stride = rows_.stride, .plane = rows_.plane};
  }

 private:
  PairRows rows_;
  Tensor<Pair> data_;
};

/// c[a.rows, c.columns] (+)= a * (the panels from number `first` on of b's cut at depth p), on the calling thread and
/// the matrix unit of b.
inline void multiply_pairs(const PairRows& a, const PackedOperand<float>& b, Index p, Index first,
                           BlockOutput<float> c) {
  const auto walk = [&](const auto& multiply) {
    detail::for_panels(kPairColumns, first, c,
                       [&](Index panel, const auto& block) { multiply(a, b.pair_panel(p, panel), block); });
  };
#if defined(__x86_64__)
  if (b.packing().unit == MatrixUnit::amx) {
    const detail::Tiles tiles;
    return walk(multiply_pairs_amx);
  }
  if (b.packing().unit == MatrixUnit::avx512_bf16) return walk(multiply_pairs_avx512);
#elif defined(__aarch64__)
  if (b.packing().unit == MatrixUnit::neon_bf16) return walk(multiply_pairs_neon);
#endif
  walk(multiply_pairs_portable);
}

}}}  // namespace rapt::RAPT_ABI::kernels
