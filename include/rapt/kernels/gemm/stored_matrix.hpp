/// \file
/// Right operands of matrix products in formats of their own, such as integers of eight bits: what a format must offer.
///
/// The set of formats is open: a header derives a class from StoredMatrix and offers a function that makes one of any
/// matrix (int8.hpp, int4.hpp, half.hpp). A program compiles the formats that it names.
#pragma once

#include <memory>

#include "rapt/core/tensor.hpp"
#include "rapt/kernels/gemm/operand.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

class StoredMatrix;

/// A format: the function that stores a matrix b [rows, cols] in it, with all threads. A null pointer stands for the
/// format of the precision in force (packed_operand.hpp).
using MatrixFormat = std::shared_ptr<const StoredMatrix> (*)(const Operand<float>& b);

/// A right operand b [rows, cols] that knows how it is multiplied. It never changes, and many threads may use it.
class StoredMatrix {
 public:
  StoredMatrix(Index rows, Index cols) : rows_(rows), cols_(cols) {}
  StoredMatrix(const StoredMatrix&) = delete;
  StoredMatrix& operator=(const StoredMatrix&) = delete;
  virtual ~StoredMatrix() = default;

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index cols() const { return cols_; }

  /// The format in which other numbers of the same matrix should be stored.
  [[nodiscard]] virtual MatrixFormat format() const = 0;
  /// The numbers of column j, with the rounding of the format   // to [rows]
  virtual void read_column(Index j, float* to) const = 0;
  /// c (+)= a b (+ bias) with the columns of b from `options.first_column` on, as many as c has. `gemm` has checked the
  /// sizes, of which none is 0. The result must be the same bits on any number of threads.
  virtual void multiply(const Operand<float>& a, const TensorView<float>& c,
                        const GemmOptions<float>& options) const = 0;

 private:
  Index rows_, cols_;
};

}}}  // namespace rapt::RAPT_ABI::kernels
