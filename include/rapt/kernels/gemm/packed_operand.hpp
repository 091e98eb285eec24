/// \file
/// Right operands of matrix products, packed for the unit that multiplies them.
///
/// What a packed operand holds depends on the precision in force when it was made: panels of float32 (block.hpp),
/// panels of bfloat16 pairs with or without residuals (bfloat16.hpp). Formats that do not depend on it are panels of
/// integers of eight bits (int8.hpp) or four (int4.hpp), and columns in float16 or bfloat16 (half.hpp). A weight that
/// is used many times is packed once; is_current() says if settings have changed since.
#pragma once

#include <bit>

#include "rapt/core/precision.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/kernels/gemm/amx.hpp"
#include "rapt/kernels/gemm/avx512_bf16.hpp"
#include "rapt/kernels/gemm/block.hpp"
#include "rapt/kernels/gemm/half.hpp"
#include "rapt/kernels/gemm/int4.hpp"
#include "rapt/kernels/gemm/int8.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// The sizes of the pieces that float32 and bfloat16 products are cut into.
struct GemmGeometry {
  Index panel_columns = 0;
  Index block_rows = 0;
  Index depth = 0;  ///< the greatest depth of one pass over a panel
  friend bool operator==(const GemmGeometry&, const GemmGeometry&) = default;
};

/// The sizes for products on a matrix unit; for `none`, for products on vectors at the instruction set in force.
template <class T>
[[nodiscard]] GemmGeometry gemm_geometry(MatrixUnit unit = MatrixUnit::none) {
  if (unit != MatrixUnit::none) {
    return {.panel_columns = kPairColumns, .block_rows = unit == MatrixUnit::amx ? 16 : 14, .depth = 2 * kPairDepth};
  }
  GemmGeometry geometry;
  simd::with_simd([&](auto isa) __attribute__((always_inline)) {
    geometry = {.panel_columns = detail::kPanelColumns<decltype(isa), T>,
                .block_rows = decltype(isa)::kGemmRows,
                .depth = detail::kPanelDepth};
  });
  return geometry;
}

/// The numbers that a packed operand holds: those of the precision in force, integers of eight bits or four, or columns
/// of float16 or bfloat16 as a file of weights has them.
enum class PackedFormat { of_precision, int8, int4, float16, bfloat16 };

/// True for columns of 16-bit numbers.
[[nodiscard]] constexpr bool is_half(PackedFormat format) {
  return format == PackedFormat::float16 || format == PackedFormat::bfloat16;
}

/// A right operand b [rows, cols], packed once by all threads for any number of products.
template <class T>
class PackedOperand {
 public:
  PackedOperand() = default;
  explicit PackedOperand(const Operand<T>& b, PackedFormat format = PackedFormat::of_precision)
      : rows_(b.rows), cols_(b.cols), format_(format) {
    if (format_ != PackedFormat::of_precision) {
      if constexpr (std::is_same_v<T, float>) {
        is_half(format_) ? round(b) : format_ == PackedFormat::int4 ? quantize_groups(b) : quantize(b);
      } else {
        fail("packed_operand", "only float32 is kept in 16 bits or less");
      }
      return;
    }
    if constexpr (std::is_same_v<T, float>) {
      unit_ = matrix_unit(precision());
      planes_ = unit_ == MatrixUnit::none ? 0 : precision() == Precision::high ? 2 : 1;
    }
    geometry_ = gemm_geometry<T>(unit_);
    panels_ = (cols_ + geometry_.panel_columns - 1) / geometry_.panel_columns;
    if (rows_ == 0 || cols_ == 0) return;
    const Index cuts = (rows_ + geometry_.depth - 1) / geometry_.depth, width = geometry_.panel_columns;
    const Index grain = std::max<Index>(1, 16384 / (width * rows_));
    if constexpr (std::is_same_v<T, float>) {
      if (planes_ > 0) {
        cut_depth_ = detail::round_up((rows_ + cuts - 1) / cuts, 2 * kPairBlock);
        pairs_ = Tensor<Pair>(Shape{planes_, panels_ * width * pairs_of(rows_)});  // [planes][cuts][panels][pairs][32]
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

  /// An operand [depth, cols] whose columns are the rows of `halves` [cols, depth], which may be borrowed memory.
  PackedOperand(Tensor<Half> halves, HalfType type)
      : rows_(halves.cols()),
        cols_(halves.rows()),
        format_(type == HalfType::float16 ? PackedFormat::float16 : PackedFormat::bfloat16),
        halves_(std::move(halves)) {
    static_assert(std::is_same_v<T, float>, "16 bits are widened to float32");
    set_whole_depth(/*panel_columns=*/1);
  }

  /// True if the operand would be packed in the same way now, as precision, matrix unit and instruction set are the
  /// same.
  [[nodiscard]] bool is_current() const {
    if (format_ != PackedFormat::of_precision) return true;
    if constexpr (std::is_same_v<T, float>) {
      const MatrixUnit unit = matrix_unit(precision());
      const Index planes = unit == MatrixUnit::none ? 0 : precision() == Precision::high ? 2 : 1;
      if (unit != unit_ || planes != planes_) return false;
    }
    return geometry_ == gemm_geometry<T>(unit_);
  }

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }
  [[nodiscard]] Index panels() const { return panels_; }
  [[nodiscard]] const GemmGeometry& geometry() const { return geometry_; }
  [[nodiscard]] PackedFormat format() const { return format_; }
  /// The matrix unit that multiplies it, or `none` for products on float32 vectors.
  [[nodiscard]] MatrixUnit unit() const { return unit_; }
  /// The number of bfloat16 planes: 0 for float32, 1 for rounded numbers, 2 for rounded numbers and their residuals.
  [[nodiscard]] Index planes() const { return planes_; }
  [[nodiscard]] Index cut_depth() const { return cut_depth_; }
  /// The depth of the cut that starts at row p.
  [[nodiscard]] Index depth_at(Index p) const { return std::min(cut_depth_, rows_ - p); }

  /// Unpacks column j, with the rounding of the format   // to [rows]
  void read_column(Index j, T* to) const {
    const Index width = geometry_.panel_columns, panel = j / width, lane = j % width;
    if constexpr (std::is_same_v<T, float>) {
      if (is_half(format_)) return widen(half_type(), halves_.row(j), rows_, to);
      if (format_ == PackedFormat::int4) return read_nibble_column(nibble_panel(panel), lane, rows_, to);
    }
    if (format_ == PackedFormat::int8) {
      const QuadPanel quads = quad_panel(panel);
      for (Index k = 0; k < rows_; ++k) {
        const Quad bytes = quads.data[k / 4 * kQuadColumns + lane] >> 8 * (k % 4);
        to[k] = static_cast<T>(static_cast<float>(static_cast<std::int8_t>(bytes & 0xffu)) * quads.scales[lane]);
      }
      return;
    }
    for (Index p = 0; p < rows_; p += cut_depth_) {
      if constexpr (std::is_same_v<T, float>) {
        if (planes_ > 0) {
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
  /// A panel of quads, which has the whole depth.
  [[nodiscard]] QuadPanel quad_panel(Index panel) const {
    const Index quads = quads_of(rows_), column = panel * kQuadColumns;
    return {.data = pairs_.data() + column * quads,
            .scales = scales_.data() + column,
            .shifts = shifts_.data() + column,
            .quads = quads};
  }
  /// A panel of groups, which has the whole depth.
  [[nodiscard]] NibblePanel nibble_panel(Index panel) const {
    const Index column = panel * kQuadColumns, groups = groups_of(rows_);
    return {.data = pairs_.data() + panel * groups * kGroupWords,
            .scales = scales_.data() + column,
            .offsets = scales_.data() + panels_ * kQuadColumns + column,
            .groups = groups};
  }
  /// The columns from number j on as rows of 16-bit numbers.
  [[nodiscard]] HalfRows half_rows(Index j) const {
    return {.type = half_type(), .data = halves_.row(j), .stride = rows_};
  }

 private:
  [[nodiscard]] HalfType half_type() const {
    return format_ == PackedFormat::float16 ? HalfType::float16 : HalfType::bfloat16;
  }

  /// For panels that are not cut along the depth.
  void set_whole_depth(Index panel_columns) {
    geometry_ = {.panel_columns = panel_columns, .block_rows = 14, .depth = std::max<Index>(1, rows_)};
    panels_ = (cols_ + panel_columns - 1) / panel_columns;
    cut_depth_ = geometry_.depth;
  }

  void round(const Operand<float>& b) {
    set_whole_depth(/*panel_columns=*/1);
    halves_ = Tensor<Half>(Shape{cols_, rows_});
    parallel_for(cols_, std::max<Index>(1, 16384 / std::max<Index>(1, rows_)), [&](Index first, Index last) {
      for (Index j = first; j < last; ++j) {
        const float* from = b.data + j * b.col_stride;
        for (Index k = 0; k < rows_; ++k) halves_(j, k) = to_half(half_type(), from[k * b.row_stride]);
      }
    });
  }

  void quantize_groups(const Operand<float>& b) {
    set_whole_depth(kQuadColumns);
    if (rows_ == 0 || cols_ == 0) return;
    const Index words = groups_of(rows_) * kGroupWords;
    pairs_ = Tensor<std::uint32_t>(Shape{panels_, words});
    scales_ = Tensor<float>(Shape{2, panels_ * kQuadColumns});  // factors of scales, then those of offsets
    parallel_for(panels_, std::max<Index>(1, 2048 / rows_), [&](Index first, Index last) {
      for (Index panel = first; panel < last; ++panel) {
        const Index j = panel * kQuadColumns;
        quantize_nibble_panel(b.part(0, j, rows_, std::min(kQuadColumns, cols_ - j)), pairs_.row(panel),
                              scales_.row(0) + j, scales_.row(1) + j);
      }
    });
  }

  void quantize(const Operand<float>& b) {
    require<ShapeError>(rows_ <= kMostQuadDepth, "packed_operand", "eight bits add up over at most ", kMostQuadDepth,
                        " products, not ", rows_);
    set_whole_depth(kQuadColumns);
    if (rows_ == 0 || cols_ == 0) return;
    pairs_ = Tensor<Quad>(Shape{panels_ * kQuadColumns * quads_of(rows_)});  // [panels][quads][32]
    scales_ = Tensor<float>(Shape{panels_ * kQuadColumns});
    shifts_ = Tensor<std::int32_t>(Shape{panels_ * kQuadColumns});
    parallel_for(panels_, std::max<Index>(1, 2048 / rows_), [&](Index first, Index last) {
      for (Index panel = first; panel < last; ++panel) {
        const Index j = panel * kQuadColumns;
        quantize_panel(b.part(0, j, rows_, std::min(kQuadColumns, cols_ - j)), pairs_.data() + j * quads_of(rows_),
                       scales_.data() + j, shifts_.data() + j);
      }
    });
  }

  [[nodiscard]] T* values_at(Index p, Index panel) { return const_cast<T*>(std::as_const(*this).panels_at(p, panel)); }
  [[nodiscard]] Pair* pairs_at(Index p, Index panel) {
    return const_cast<Pair*>(std::as_const(*this).pair_panel(p, panel).data);
  }
  [[nodiscard]] Index plane() const { return planes_ == 2 ? pairs_.cols() : 0; }

  Index rows_ = 0, cols_ = 0;
  PackedFormat format_ = PackedFormat::of_precision;
  MatrixUnit unit_ = MatrixUnit::none;
  Index planes_ = 0;
  GemmGeometry geometry_;
  Index panels_ = 0, cut_depth_ = 1;
  Tensor<T> data_;
  Tensor<Pair> pairs_;  // bfloat16 pairs, quads of int8, or groups of int4
  Tensor<Half> halves_;
  Tensor<float> scales_;
  Tensor<std::int32_t> shifts_;
};

/// A left operand rounded to quads by all threads.
class QuantizedRows {
 public:
  explicit QuantizedRows(const Operand<float>& a) {
    const Index stride = ((quads_of(a.cols) + 15) / 16 | 1) * 16;  // an odd number of cache lines, as in PackedRows
    data_ = Tensor<Quad>(Shape{a.rows, stride});
    scales_ = Tensor<float>(Shape{a.rows});
    parallel_for(a.rows, std::max<Index>(1, 16384 / a.cols), [&](Index begin, Index end) {
      Operand<float> some = a.part(begin, 0, end - begin, a.cols);
      Tensor<float> lines;
      if (a.col_stride != 1) {
        lines = Tensor<float>(Shape{some.rows, some.cols});
        for (Index i = 0; i < some.rows; ++i) {
          for (Index k = 0; k < some.cols; ++k) lines(i, k) = some.data[i * some.row_stride + k * some.col_stride];
        }
        some = as_is(lines);
      }
      quantize_rows(some, data_.row(begin), stride, scales_.data() + begin);
    });
  }

  [[nodiscard]] QuadRows part(Index i, Index rows) const {
    return {.data = data_.row(i), .scales = scales_.data() + i, .rows = rows, .stride = data_.cols()};
  }

 private:
  Tensor<Quad> data_;  // [rows, stride]
  Tensor<float> scales_;
};

namespace detail {

/// f(panel, block) for the panels of 32 columns from number `first` on that c has columns of, each with its part of c.
template <class F>
void for_panels(Index first, BlockOutput<float> c, const F& f) {
  for (Index panel = first; c.columns > 0; ++panel) {
    BlockOutput<float> block = c;
    block.columns = std::min(kQuadColumns, c.columns);
    f(panel, block);
    c.columns -= kQuadColumns;
    c.data += kQuadColumns;
    if (c.bias != nullptr) c.bias += kQuadColumns;
  }
}

}  // namespace detail

/// c[a.rows, c.columns] (+)= a * (the panels of b from number `first` on), on the calling thread.
inline void multiply_quads(const QuadRows& a, const PackedOperand<float>& b, Index first, BlockOutput<float> c) {
  detail::for_panels(first, c, [&](Index panel, const auto& block) { multiply_quads(a, b.quad_panel(panel), block); });
}
inline void multiply_nibbles(const GroupedRows& a, const PackedOperand<float>& b, Index first, BlockOutput<float> c) {
  detail::for_panels(first, c,
                     [&](Index panel, const auto& block) { multiply_nibbles(a, b.nibble_panel(panel), block); });
}

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
  static_assert(kPairColumns == kQuadColumns);
  const auto walk = [&](const auto& multiply) {
    detail::for_panels(first, c, [&](Index panel, const auto& block) { multiply(a, b.pair_panel(p, panel), block); });
  };
#if defined(__x86_64__)
  if (b.unit() == MatrixUnit::amx) {
    const detail::Tiles tiles;
    return walk(multiply_pairs_amx);
  }
  if (b.unit() == MatrixUnit::avx512_bf16) return walk(multiply_pairs_avx512);
#endif
  walk(multiply_pairs_portable);
}

}}}  // namespace rapt::RAPT_ABI::kernels
