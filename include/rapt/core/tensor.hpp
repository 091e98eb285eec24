/// \file
/// Tensor, which owns its elements, and TensorView, which refers to elements that another object owns. Both are
/// row-major and can be used as Eigen matrices.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <concepts>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/memory.hpp"
#include "rapt/core/shape.hpp"

/// Tells clang that what a function returns refers into the object, so that it warns where a temporary is outlived:
/// `for (const float x : read().values())`.
#if __has_cpp_attribute(clang::lifetimebound)
#define RAPT_REFERS_INTO_THIS [[clang::lifetimebound]]
#else
#define RAPT_REFERS_INTO_THIS
#endif

namespace rapt { inline namespace RAPT_ABI {

/// The scalars that rapt computes in.
template <class T>
concept Scalar = std::same_as<T, float> || std::same_as<T, double>;

/// Eigen's matrix in row-major order.
template <class T>
using RowMajorMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A row-major matrix in memory that another object owns. Rows are contiguous and stride() elements apart, so that a
/// slice of columns is a view, too. Views are cheap to copy and free nothing. The elements of a `TensorView<const T>`
/// are constant.
template <class T>
class TensorView {
 public:
  /// The type of an element without const.
  using Element = std::remove_const_t<T>;
  /// The Eigen map that `matrix()` returns.
  using Map = Eigen::Map<std::conditional_t<std::is_const_v<T>, const RowMajorMatrix<Element>, RowMajorMatrix<Element>>,
                         Eigen::Unaligned, Eigen::OuterStride<>>;

  TensorView() = default;
  TensorView(T* data, Shape shape) : TensorView(data, shape, shape.cols()) {}
  TensorView(T* data, Shape shape, Index stride) : data_(data), shape_(shape), stride_(stride) {}

  /// A view of a row-major Eigen matrix or map, without copying it.
  template <class Matrix>
  requires std::derived_from<std::remove_cvref_t<Matrix>, Eigen::MatrixBase<std::remove_cvref_t<Matrix>>> &&
      (std::remove_cvref_t<Matrix>::IsRowMajor != 0) &&
      requires(Matrix& m) {
    { m.data() } -> std::convertible_to<T*>;
    m.outerStride();
  }
  TensorView(Matrix& matrix)
      : data_(matrix.data()), shape_({matrix.rows(), matrix.cols()}), stride_(matrix.outerStride()) {
    require<ShapeError>(matrix.innerStride() == 1, "tensor_view", "rows must be contiguous: inner stride ",
                        matrix.innerStride());
  }

  /// A view of elements that may change can be used as a view of constant ones.
  operator TensorView<const Element>() const requires(!std::is_const_v<T>) { return {data_, shape_, stride_}; }

  /// The first element.
  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] Index size() const { return shape_.size(); }
  [[nodiscard]] Index rows() const { return shape_.rows(); }
  [[nodiscard]] Index cols() const { return shape_.cols(); }
  [[nodiscard]] Index stride() const { return stride_; }
  [[nodiscard]] T* row(Index i) const { return data_ + i * stride_; }

  /// Columns begin .. begin + count of every row   // [rows, count]
  [[nodiscard]] TensorView columns(Index begin, Index count) const {
    require<ShapeError>(begin >= 0 && count >= 0 && begin + count <= cols(), "columns", "columns ", begin, " .. ",
                        begin + count, " of a tensor of shape ", shape_);
    return {data_ != nullptr ? data_ + begin : nullptr, Shape{rows(), count},
            stride_};  // A view without rows may have no memory.
  }
  /// Rows begin .. begin + count   // [count, cols]
  [[nodiscard]] TensorView middle_rows(Index begin, Index count) const {
    require<ShapeError>(begin >= 0 && count >= 0 && begin + count <= rows(), "middle_rows", "rows ", begin, " .. ",
                        begin + count, " of a tensor of shape ", shape_);
    return {data_ + begin * stride_, Shape{count, cols()}, stride_};
  }

  /// The [rows, cols] matrix as an Eigen map of the same memory.
  [[nodiscard]] Map matrix() const { return Map(data_, rows(), cols(), Eigen::OuterStride<>(stride_)); }

 private:
  T* data_ = nullptr;
  Shape shape_;
  Index stride_ = 0;
};

template <class Matrix>
TensorView(Matrix&) -> TensorView<std::remove_pointer_t<decltype(std::declval<Matrix&>().data())>>;

/// A value type that owns row-major elements in memory of the pool, aligned to 64 bytes; a `borrowed` tensor shares
/// elements that lie elsewhere. Copies have elements of their own; moves copy nothing.
template <class T>
class Tensor {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Tensor() = default;
  /// Elements are not initialised.
  explicit Tensor(Shape shape) : shape_(shape) {
    if (size() > 0) data_ = static_cast<T*>(detail::allocate_block(bytes()));
  }
  Tensor(Shape shape, T value) : Tensor(shape) { fill(value); }
  /// Throws ShapeError unless there are as many values as the shape has elements.
  Tensor(Shape shape, std::span<const T> values) : Tensor(shape) {
    require<ShapeError>(std::ssize(values) == size(), "tensor", values.size(), " values for shape ", shape);
    std::copy(values.begin(), values.end(), data_);
  }
  Tensor(Shape shape, std::initializer_list<T> values)
      : Tensor(shape, std::span<const T>(values.begin(), values.size())) {}
  /// Copies the elements of a view, or of a row-major Eigen matrix.
  explicit Tensor(TensorView<const T> view) : Tensor(view.shape()) {
    for (Index i = 0; i < view.rows(); ++i) std::copy_n(view.row(i), view.cols(), data_ + i * view.cols());
  }

  /// A tensor of elements that lie elsewhere, such as in a mapped file; they must stay there as long as `owner` lives,
  /// which the tensor shares.
  [[nodiscard]] static Tensor borrowed(T* elements, Shape shape, std::shared_ptr<const void> owner) {
    Tensor tensor = without_elements(shape);
    tensor.data_ = elements;
    tensor.owner_ = std::move(owner);
    return tensor;
  }
  /// A tensor with a shape but no elements, until another tensor is assigned.
  [[nodiscard]] static Tensor without_elements(Shape shape) {
    Tensor tensor;
    tensor.shape_ = shape;
    return tensor;
  }

  Tensor(const Tensor& other) : Tensor(other.has_elements() ? Tensor(other.shape_) : without_elements(other.shape_)) {
    if (data_ != nullptr) std::copy_n(other.data_, size(), data_);
  }
  Tensor(Tensor&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        shape_(std::exchange(other.shape_, Shape{})),
        owner_(std::move(other.owner_)) {}
  /// Copies from an lvalue, and moves from an rvalue.
  Tensor& operator=(Tensor other) noexcept {
    std::swap(data_, other.data_);
    std::swap(shape_, other.shape_);
    std::swap(owner_, other.owner_);
    return *this;
  }
  ~Tensor() {
    if (data_ != nullptr && owner_ == nullptr) detail::deallocate_block(data_, bytes());
  }

  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] Index size() const { return shape_.size(); }
  [[nodiscard]] Index rows() const { return shape_.rows(); }
  [[nodiscard]] Index cols() const { return shape_.cols(); }
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// False for a tensor that has a shape alone.
  [[nodiscard]] bool has_elements() const { return data_ != nullptr || size() == 0; }
  /// The first element; the others follow it without gaps, row by row.
  [[nodiscard]] T* data() RAPT_REFERS_INTO_THIS { return data_; }
  [[nodiscard]] const T* data() const RAPT_REFERS_INTO_THIS { return data_; }
  [[nodiscard]] T* row(Index i) RAPT_REFERS_INTO_THIS { return data_ + i * cols(); }
  [[nodiscard]] const T* row(Index i) const RAPT_REFERS_INTO_THIS { return data_ + i * cols(); }
  /// All elements, row by row.
  [[nodiscard]] std::span<T> values() RAPT_REFERS_INTO_THIS { return {data_, to_size(size())}; }
  [[nodiscard]] std::span<const T> values() const RAPT_REFERS_INTO_THIS { return {data_, to_size(size())}; }

  /// The element of the [rows, cols] matrix; the place is not checked.
  [[nodiscard]] T& operator()(Index row, Index col) { return data_[row * cols() + col]; }
  [[nodiscard]] const T& operator()(Index row, Index col) const { return data_[row * cols() + col]; }

  /// Moves the elements to the result. This tensor keeps its shape, which may still be asked for.
  [[nodiscard]] Tensor take_elements() noexcept {
    Tensor taken;
    taken.data_ = std::exchange(data_, nullptr);
    taken.shape_ = shape_;
    taken.owner_ = std::move(owner_);
    return taken;
  }

  /// Sets all elements to `value`.
  void fill(T value) { std::fill_n(data_, size(), value); }

  /// The same elements under another shape of equal size.
  void reshape(Shape shape) {
    require<ShapeError>(shape.size() == size(), "reshape", "from ", shape_, " to ", shape);
    shape_ = shape;
  }

  /// The [rows, cols] matrix without a copy; it must not outlive the tensor.
  [[nodiscard]] TensorView<T> view() RAPT_REFERS_INTO_THIS { return {data_, shape_}; }
  [[nodiscard]] TensorView<const T> view() const RAPT_REFERS_INTO_THIS { return {data_, shape_}; }
  /// A tensor can be handed to whatever takes a view.
  operator TensorView<T>() RAPT_REFERS_INTO_THIS { return view(); }
  /// The same for views of constant elements.
  operator TensorView<const T>() const RAPT_REFERS_INTO_THIS { return view(); }

  /// The [rows, cols] matrix as an Eigen map of the same memory.
  [[nodiscard]] auto matrix() RAPT_REFERS_INTO_THIS { return view().matrix(); }
  [[nodiscard]] auto matrix() const RAPT_REFERS_INTO_THIS { return view().matrix(); }

 private:
  [[nodiscard]] std::size_t bytes() const { return to_size(size()) * sizeof(T); }

  T* data_ = nullptr;
  Shape shape_;
  std::shared_ptr<const void> owner_;  // keeps borrowed elements alive
};

}}  // namespace rapt::RAPT_ABI
