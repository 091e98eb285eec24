/// \file
/// The constant tensors of an ONNX graph, which are called initializers: parameters of a model, which stay where they
/// are until they are written, and small constants.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/io/protobuf.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// Types of elements, by their numbers in TensorProto.DataType.
enum class ElementType : std::int32_t { float32 = 1, int64 = 7, boolean = 9 };

/// A constant tensor with its name. Elements are written as they lie in memory, which ONNX wants to be little-endian.
class Initializer {
 public:
  static_assert(std::endian::native == std::endian::little);

  /// A tensor of the model's, which must live until it is written. `transposed`: a matrix [rows, cols] is written as
  /// [cols, rows].
  Initializer(std::string name, TensorView<const float> view, bool transposed)
      : name_(std::move(name)), view_(view), transposed_(transposed) {
    for (Index i = 0; i < view.shape().rank(); ++i) dims_.push_back(view.shape()[i]);
    if (transposed) std::reverse(dims_.begin(), dims_.end());
  }
  /// A constant of its own; `dims` is empty for a scalar.
  Initializer(std::string name, std::vector<Index> dims, std::span<const std::int64_t> values)
      : name_(std::move(name)), dims_(std::move(dims)), type_(ElementType::int64) {
    own(values);
  }
  Initializer(std::string name, std::vector<Index> dims, std::span<const float> values)
      : name_(std::move(name)), dims_(std::move(dims)) {
    own(values);
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  /// The size of the elements in the file.
  [[nodiscard]] std::size_t bytes() const {
    return owned_.empty() ? to_size(view_.size()) * sizeof(float) : owned_.size();
  }

  /// The fields of TensorProto up to the elements: dims = 1, data_type = 2, name = 8.
  [[nodiscard]] detail::ProtobufWriter header() const {
    detail::ProtobufWriter message;
    for (const Index size : dims_) message.integer(1, size);
    message.integer(2, static_cast<std::int32_t>(type_));
    message.bytes(8, name_);
    return message;
  }

  /// The elements, row by row without gaps.
  void write_to(AtomicFile& file) const {
    if (!owned_.empty() || !transposed_) {
      file.write(owned_.empty() ? static_cast<const void*>(view_.data()) : owned_.data(), bytes());
      return;
    }
    // Some rows of the transposed matrix at a time.
    const Index rows = view_.cols(), cols = view_.rows(), step = std::max<Index>(1, kChunk / cols);
    std::vector<float> chunk;
    for (Index begin = 0; begin < rows; begin += step) {
      const Index count = std::min(step, rows - begin);
      chunk.resize(to_size(count * cols));
      for (Index j = 0; j < cols; ++j) {
        const float* const from = view_.row(j) + begin;
        for (Index i = 0; i < count; ++i) at(chunk, i * cols + j) = at(from, i);
      }
      file.write(chunk.data(), chunk.size() * sizeof(float));
    }
  }

 private:
  static constexpr Index kChunk = Index{1} << 18;  // elements

  template <class Element>
  void own(std::span<const Element> values) {
    owned_.resize(values.size_bytes());
    if (!values.empty()) std::memcpy(owned_.data(), values.data(), values.size_bytes());
  }

  std::string name_;
  std::vector<Index> dims_;
  ElementType type_ = ElementType::float32;
  TensorView<const float> view_;  // the model's, if the initializer has no bytes of its own
  bool transposed_ = false;
  std::string owned_;
};

}}}  // namespace rapt::RAPT_ABI::onnx
