/// \file
/// Shape: the sizes of a tensor's dimensions, the outermost first.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <string>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Up to four sizes, stored without allocation. Every tensor is also a matrix, whose cols() is the last size and whose
/// rows() is the product of the others, so that [B, L, D] and [B * L, D] are the same memory. A scalar has the shape
/// [1].
class Shape {
 public:
  /// The most dimensions that a shape can have.
  static constexpr Index kMaxRank = 4;

  constexpr Shape() = default;

  /// Throws ShapeError if there are more than four sizes, a negative size, or more elements than an Index can count.
  Shape(std::initializer_list<Index> sizes) {
    for (const Index size : sizes) push_back(size);
  }

  /// Appends a dimension; throws ShapeError as the constructor does.
  void push_back(Index size) {
    require<ShapeError>(rank_ < kMaxRank, "shape", "at most ", kMaxRank, " dimensions");
    require<ShapeError>(size >= 0, "shape", "sizes must not be negative: ", size);
    const Index others = rank_ == 0 ? 1 : std::max<Index>(this->size(), 1);
    require<ShapeError>(size == 0 || others <= std::numeric_limits<Index>::max() / 16 / size, "shape",
                        "too many elements: ", size, " times ", others);
    at(sizes_, rank_++) = size;
  }

  /// The number of dimensions.
  [[nodiscard]] constexpr Index rank() const { return rank_; }
  /// The size of dimension i, from 0.
  [[nodiscard]] constexpr Index operator[](Index i) const { return at(sizes_, i); }
  /// The number of elements; 0 for a shape without sizes.
  [[nodiscard]] constexpr Index size() const { return rank_ == 0 ? 0 : rows() * cols(); }
  [[nodiscard]] constexpr Index cols() const { return rank_ == 0 ? 0 : (*this)[rank_ - 1]; }
  [[nodiscard]] constexpr Index rows() const {
    if (rank_ == 0) return 0;
    Index product = 1;
    for (Index i = 0; i + 1 < rank_; ++i) product *= (*this)[i];
    return product;
  }
  [[nodiscard]] friend constexpr bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<Index, kMaxRank> sizes_{};
  Index rank_ = 0;
};

/// "[2, 3]"
[[nodiscard]] inline std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (Index i = 0; i < shape.rank(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}}  // namespace rapt::RAPT_ABI
