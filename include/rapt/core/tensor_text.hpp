/// \file
/// Tensors as text, for eyes: `to_string(tensor)` and, where a program includes <ostream>, `std::cout << tensor`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iosfwd>
#include <string>
#include <type_traits>
#include <vector>

#include "rapt/core/shape.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How `to_string` writes the elements of a tensor.
struct TensorTextOptions {
  Index threshold = 1000;  ///< a tensor of more elements is shortened
  Index edge = 3;          ///< what is then shown of each dimension: so many of its first and of its last places
  int digits = 6;          ///< significant digits
  Index line = 100;        ///< characters after which a row goes on in the next line
};

namespace detail {

/// "float", "double", "int32", "uint8"
template <class T>
[[nodiscard]] std::string scalar_name() {
  if constexpr (std::is_same_v<T, float>) {
    return "float";
  } else if constexpr (std::is_same_v<T, double>) {
    return "double";
  } else if constexpr (std::is_integral_v<T>) {
    return (std::is_signed_v<T> ? "int" : "uint") + std::to_string(8 * sizeof(T));
  } else {
    return "element";
  }
}

[[nodiscard]] inline std::string number_text(double value, int digits) {
  if (std::isnan(value)) return "nan";  // without the sign that printf would show
  char text[64];
  std::snprintf(text, sizeof text, "%.*g", std::clamp(digits, 1, 17), value);
  return text;
}

/// Writes the elements of one tensor.
class TensorWriter {
 public:
  TensorWriter(const Shape& shape, const TensorTextOptions& options)
      : shape_(shape), options_(options), shortened_(shape.size() > options.threshold) {}

  /// `cell(row, column)` is the text of an element of the matrix that the tensor is.
  template <class Cell>
  [[nodiscard]] std::string operator()(const Cell& cell) {
    collect(0, 0, [&](Index row, Index column) { cells_.push_back(cell(row, column)); });
    for (const std::string& text : cells_) width_ = std::max(width_, text.size());
    write(0);
    return std::move(text_);
  }

 private:
  /// The place of dimension `dim` that is shown behind place i; what lies between is left out.
  [[nodiscard]] Index next(Index dim, Index i) const {
    const Index size = shape_[dim];
    return leaves_out(dim) && i + 1 == options_.edge ? size - options_.edge : i + 1;
  }
  [[nodiscard]] bool leaves_out(Index dim) const { return shortened_ && shape_[dim] > 2 * options_.edge; }

  template <class F>
  void collect(Index dim, Index row, const F& f) const {
    for (Index i = 0; i < shape_[dim]; i = next(dim, i)) {
      if (dim + 1 == shape_.rank()) {
        f(row, i);
      } else {
        collect(dim + 1, row * shape_[dim] + i, f);
      }
    }
  }

  void write(Index dim) {
    const bool is_last = dim + 1 == shape_.rank();
    text_ += '[';
    for (Index i = 0; i < shape_[dim]; i = next(dim, i)) {
      if (i > 0) separate(dim, is_last);
      if (is_last) {
        const std::string& cell = cells_[next_cell_++];
        append(std::string(width_ - cell.size(), ' ') + cell);
      } else {
        write(dim + 1);
      }
      if (leaves_out(dim) && i + 1 == options_.edge) {
        separate(dim, is_last);
        append("...");
      }
    }
    text_ += ']';
  }
  void separate(Index dim, bool is_last) {
    text_ += ',';
    if (is_last) return;
    text_.append(to_size(shape_.rank() - 1 - dim), '\n');  // blank lines between matrices
    line_ = text_.size();
    text_.append(to_size(dim + 1), ' ');
  }
  /// An element, in a new line if this one is full.
  void append(const std::string& cell) {
    if (text_.back() == ',') {
      if (static_cast<Index>(text_.size() - line_ + 1 + cell.size()) > options_.line) {
        text_ += '\n';
        line_ = text_.size();
        text_.append(to_size(shape_.rank()), ' ');
      } else {
        text_ += ' ';
      }
    }
    text_ += cell;
  }

  const Shape& shape_;
  const TensorTextOptions& options_;
  bool shortened_;
  std::vector<std::string> cells_;  // those that are shown
  std::size_t width_ = 0, next_cell_ = 0, line_ = 0;
  std::string text_;
};

}  // namespace detail

/// The scalar, the shape and the elements in aligned columns, rows in brackets as numpy's. Of a tensor of more than
/// `threshold` elements each long dimension is shown at its ends:
///
///     float [2, 3]
///     [[ 0.5,    2, nan],
///      [   1, -inf,   3]]
template <class T>
[[nodiscard]] std::string to_string(const TensorView<T>& x, const TensorTextOptions& options = {}) {
  require(options.edge >= 1, "to_string", "edge must be at least 1: ", options.edge);
  using Element = std::remove_const_t<T>;
  const std::string head = detail::scalar_name<Element>() + " " + to_string(x.shape());
  if (x.size() == 0) return head + "\n[]";
  if (x.data() == nullptr) return head + " without elements";
  const auto cell = [&](Index row, Index column) {
    const Element value = x.row(row)[column];
    if constexpr (std::is_integral_v<Element>) {
      return std::to_string(value);
    } else {
      return detail::number_text(static_cast<double>(value), options.digits);
    }
  };
  return head + "\n" + detail::TensorWriter(x.shape(), options)(cell);
}
template <class T>
[[nodiscard]] std::string to_string(const Tensor<T>& x, const TensorTextOptions& options = {}) {
  return to_string(x.view(), options);
}

/// Writes what `to_string` returns.
template <class T, class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& stream, const TensorView<T>& x) {
  return stream << to_string(x);
}
template <class T, class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& stream, const Tensor<T>& x) {
  return stream << to_string(x);
}
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& stream, const Shape& shape) {
  return stream << to_string(shape);
}

}}  // namespace rapt::RAPT_ABI
