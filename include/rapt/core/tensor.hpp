/// \file
/// Tensor owns its elements, TensorView looks at somebody else's; both are row-major and become Eigen maps.
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

namespace rapt { inline namespace RAPT_ABI {

/// The scalars that rapt computes in.
template <class T>
concept Scalar = std::same_as<T, float> || std::same_as<T, double>;

/// Eigen's matrix in rapt's memory order.
template <class T>
using RowMajorMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A strided look at row-major memory that somebody else owns: cheap to copy, never frees. `TensorView<const T>` reads.
/// Rows are contiguous and `stride()` elements apart, so that a slice of columns is a view too.
template <class T>
class TensorView {
 public:
  using Element = std::remove_const_t<T>;
  using Map = Eigen::Map<std::conditional_t<std::is_const_v<T>, const RowMajorMatrix<Element>, RowMajorMatrix<Element>>,
                         Eigen::Unaligned, Eigen::OuterStride<>>;

  TensorView() = default;
  TensorView(T* data, Shape shape) : TensorView(data, shape, shape.cols()) {}
  TensorView(T* data, Shape shape, Index stride) : data_(data), shape_(shape), stride_(stride) {}

  /// Looks into a row-major Eigen matrix or map, without copying.
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

  /// A view that writes is also one that reads.
  operator TensorView<const Element>() const requires(!std::is_const_v<T>) { return {data_, shape_, stride_}; }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] Index size() const { return shape_.size(); }
  [[nodiscard]] Index rows() const { return shape_.rows(); }
  [[nodiscard]] Index cols() const { return shape_.cols(); }
  [[nodiscard]] Index stride() const { return stride_; }
  [[nodiscard]] T* row(Index i) const { return data_ + i * stride_; }

  /// Columns begin .. begin + count of every row: a [rows, count] view.
  [[nodiscard]] TensorView columns(Index begin, Index count) const {
    require<ShapeError>(begin >= 0 && count >= 0 && begin + count <= cols(), "columns", "columns ", begin, " .. ",
                        begin + count, " of a tensor of shape ", shape_);
    return {data_ != nullptr ? data_ + begin : nullptr, Shape{rows(), count}, stride_};  // without rows: no memory
  }
  /// Rows begin .. begin + count: a [count, cols] view.
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

/// Owns row-major elements from the memory pool, 64-byte aligned; or, if `borrowed`, shares somebody else's. A value
/// type: copies are deep and own their elements, moves are free.
template <class T>
class Tensor {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Tensor() = default;
  /// Elements are not initialised.
  explicit Tensor(Shape shape) : shape_(shape) {
    if (size() > 0) data_ = static_cast<T*>(detail::memory_pool().allocate(bytes()));
  }
  Tensor(Shape shape, T value) : Tensor(shape) { fill(value); }
  /// Throws ShapeError unless there are as many values as the shape has elements.
  Tensor(Shape shape, std::span<const T> values) : Tensor(shape) {
    require<ShapeError>(std::ssize(values) == size(), "tensor", values.size(), " values for shape ", shape);
    std::copy(values.begin(), values.end(), data_);
  }
  Tensor(Shape shape, std::initializer_list<T> values)
      : Tensor(shape, std::span<const T>(values.begin(), values.size())) {}
  /// Copies what a view shows (or an Eigen expression of row-major memory).
  explicit Tensor(TensorView<const T> view) : Tensor(view.shape()) {
    for (Index i = 0; i < view.rows(); ++i) std::copy_n(view.row(i), view.cols(), data_ + i * view.cols());
  }

  /// Elements that lie elsewhere, in a mapped file say, and stay there for as long as `owner` lives.
  [[nodiscard]] static Tensor borrowed(T* elements, Shape shape, std::shared_ptr<const void> owner) {
    Tensor tensor = without_elements(shape);
    tensor.data_ = elements;
    tensor.owner_ = std::move(owner);
    return tensor;
  }
  /// A shape alone, until a tensor is assigned that has elements.
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
  Tensor& operator=(Tensor other) noexcept {
    std::swap(data_, other.data_);
    std::swap(shape_, other.shape_);
    std::swap(owner_, other.owner_);
    return *this;
  }
  ~Tensor() {
    if (data_ != nullptr && owner_ == nullptr) detail::memory_pool().deallocate(data_, bytes());
  }

  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] Index size() const { return shape_.size(); }
  [[nodiscard]] Index rows() const { return shape_.rows(); }
  [[nodiscard]] Index cols() const { return shape_.cols(); }
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// False for a shape alone.
  [[nodiscard]] bool has_elements() const { return data_ != nullptr || size() == 0; }
  [[nodiscard]] T* data() { return data_; }
  [[nodiscard]] const T* data() const { return data_; }
  [[nodiscard]] T* row(Index i) { return data_ + i * cols(); }
  [[nodiscard]] const T* row(Index i) const { return data_ + i * cols(); }
  [[nodiscard]] std::span<T> values() { return {data_, to_size(size())}; }
  [[nodiscard]] std::span<const T> values() const { return {data_, to_size(size())}; }

  [[nodiscard]] T& operator()(Index row, Index col) { return data_[row * cols() + col]; }
  [[nodiscard]] const T& operator()(Index row, Index col) const { return data_[row * cols() + col]; }

  /// Moves the elements out; the shape stays, for whoever still asks for it.
  [[nodiscard]] Tensor take_elements() noexcept {
    Tensor taken;
    taken.data_ = std::exchange(data_, nullptr);
    taken.shape_ = shape_;
    taken.owner_ = std::move(owner_);
    return taken;
  }

  void fill(T value) { std::fill_n(data_, size(), value); }

  /// The same elements under another shape of equal size.
  void reshape(Shape shape) {
    require<ShapeError>(shape.size() == size(), "reshape", "from ", shape_, " to ", shape);
    shape_ = shape;
  }

  [[nodiscard]] TensorView<T> view() { return {data_, shape_}; }
  [[nodiscard]] TensorView<const T> view() const { return {data_, shape_}; }
  operator TensorView<T>() { return view(); }
  operator TensorView<const T>() const { return view(); }

  /// The [rows, cols] matrix as an Eigen map of the same memory.
  [[nodiscard]] auto matrix() { return view().matrix(); }
  [[nodiscard]] auto matrix() const { return view().matrix(); }

 private:
  [[nodiscard]] std::size_t bytes() const { return to_size(size()) * sizeof(T); }

  T* data_ = nullptr;
  Shape shape_;
  std::shared_ptr<const void> owner_;  // of borrowed elements
};

}}  // namespace rapt::RAPT_ABI
