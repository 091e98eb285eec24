/// \file
/// TensorFile: the tensors of a file, whatever its format. safetensors.hpp, torch_file.hpp and gguf.hpp open files.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/io/dtype.hpp"
#include "rapt/io/element_reader.hpp"
#include "rapt/io/file_element.hpp"
#include "rapt/io/random_access_file.hpp"
#include "rapt/io/tensor_record.hpp"

namespace rapt { inline namespace RAPT_ABI {

static_assert(std::endian::native == std::endian::little, "tensors in files are little-endian, and so is rapt");

/// The tensors of a file that is open for reading. Elements are read from the disk when asked for, so a file larger
/// than the memory can be looked into. Reading is const and safe from many threads.
class TensorFile {
 public:
  /// The path that the file was opened by.
  [[nodiscard]] const std::string& path() const { return file_.path(); }
  /// In the order of the file's header.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  /// True if the file has a tensor of this name.
  [[nodiscard]] bool contains(std::string_view name) const { return index_.find(name) != index_.end(); }
  /// kUnknown for a type that rapt does not know, of which `dtype_name` has the name. Throws IoError unless the tensor
  /// exists; so do all that follow.
  [[nodiscard]] Dtype dtype(std::string_view name) const { return record(name).dtype; }
  /// The type as the file names it, e.g. "F8_E4M3".
  [[nodiscard]] const std::string& dtype_name(std::string_view name) const { return record(name).dtype_name; }
  /// Throws IoError that names the tensor and its type unless `read` reads elements of that type.
  void require_readable(std::string_view name) const {
    const detail::TensorRecord& found = record(name);
    if (found.blocks != nullptr || is_readable(found.dtype)) return;
    const bool is_known = found.dtype != Dtype::kUnknown;
    fail<IoError>(where(), path(), ": ", detail::quote_name(name), ": cannot read ",
                  is_known ? found.dtype_name : detail::quote_name(found.dtype_name), ": rapt reads ", readable_);
  }

  /// The sizes as the file has them, of any rank; a scalar has none.
  [[nodiscard]] const std::vector<Index>& sizes(std::string_view name) const { return record(name).sizes; }
  /// A file's scalar, of shape [], has the shape [1] here. Throws IoError for more sizes than a Shape takes.
  [[nodiscard]] Shape shape(std::string_view name) const {
    const detail::TensorRecord& found = record(name);
    require<IoError>(found.sizes.size() <= static_cast<std::size_t>(Shape::kMaxRank), where(), path(), ": ",
                     detail::quote_name(name), ": has rank ", found.sizes.size(), ", rapt takes at most ",
                     Shape::kMaxRank);
    Shape shape;
    for (const Index size : found.sizes) shape.push_back(size);
    if (shape.rank() == 0) shape.push_back(1);
    return shape;
  }

  /// The tensor, converted from whatever the file stores (true is 1). For float and double, values beyond T's precision
  /// are rounded; integers and bool must hold the values exactly. Throws IoError that names the tensor for a type that
  /// cannot be read, and the element and its value for one that T does not hold.
  template <FileElement T>
  [[nodiscard]] Tensor<T> read(std::string_view name) const {
    require_readable(name);
    Tensor<T> tensor(shape(name));
    read_into<T>(name, tensor.view());
    return tensor;
  }

  /// As `read`, into memory that is there already, which an error may leave half filled. Throws ShapeError with both
  /// shapes unless they are equal.
  template <FileElement T>
  void read_into(std::string_view name, TensorView<T> view) const {
    require_readable(name);
    const Shape stored = shape(name);
    require<ShapeError>(stored == view.shape(), where(), path(), ": ", detail::quote_name(name),
                        ": the file has shape ", stored, ", wanted is ", view.shape());
    if (view.size() == 0) return;
    if (view.stride() == view.cols() || view.rows() == 1) {
      reader().read_elements(record(name), view.data());
    } else {
      Tensor<T> whole(stored);
      reader().read_elements(record(name), whole.data());
      view.matrix() = whole.matrix();
    }
  }
  template <FileElement T>
  void read_into(std::string_view name, Tensor<T>& tensor) const {
    read_into<T>(name, tensor.view());
  }

  /// The elements' bytes as the file has them, in row-major order, whatever their type and rank: to copy a tensor, as
  /// `SafetensorsEntry(name, file.dtype_name(name), file.sizes(name), bytes)`.
  [[nodiscard]] std::vector<std::byte> bytes(std::string_view name) const { return reader().read_bytes(record(name)); }

  /// The whole file in memory, for `borrow`: pages are read from the disk when they are looked at, and become the
  /// program's own when they are written to. The file must not be shortened or overwritten in place meanwhile.
  [[nodiscard]] std::shared_ptr<const void> map() const { return file_.map(data_start_ + data_bytes_); }
  /// The tensor in the mapped file itself, which it keeps; or, if the file stores another type than T or elements that
  /// are not aligned, as `read`. So is bool, for which a file may have bytes that a program's bool has not. Of tensors
  /// that share bytes of the file only one lies in the mapping, so that writing to a tensor changes no other.
  template <FileElement T>
  [[nodiscard]] Tensor<T> borrow(std::string_view name, const std::shared_ptr<const void>& mapping) const {
    const detail::TensorRecord& found = record(name);
    const std::uint64_t offset = data_start_ + found.begin;
    const bool is_same = found.dtype == kDtypeOf<T> && !std::is_same_v<T, bool> && found.blocks == nullptr &&
                         found.view_sizes.empty() && found.added == 0 && !found.is_shared;
    if (!is_same || offset % alignof(T) != 0 || found.begin == found.end) return read<T>(name);
    char* elements = static_cast<char*>(const_cast<void*>(mapping.get())) + offset;
    return Tensor<T>::borrowed(reinterpret_cast<T*>(elements), shape(name), mapping);
  }

  /// The bits of a tensor of F16 or BF16. Throws IoError for another type.
  [[nodiscard]] Tensor<std::uint16_t> read_bits(std::string_view name) const {
    const detail::TensorRecord& found = record(name);
    require_half(found);
    Tensor<std::uint16_t> bits(shape(name));
    const std::vector<std::byte> stored = reader().read_bytes(found);
    if (!stored.empty()) std::memcpy(bits.data(), stored.data(), stored.size());
    return bits;
  }
  /// As `read_bits`, in the mapped file itself, which it keeps, if they lie there in order and aligned.
  [[nodiscard]] Tensor<std::uint16_t> borrow_bits(std::string_view name,
                                                  const std::shared_ptr<const void>& mapping) const {
    const detail::TensorRecord& found = record(name);
    require_half(found);
    const std::uint64_t offset = data_start_ + found.begin;
    const bool lies_so = found.view_sizes.empty() && !found.is_shared && offset % alignof(std::uint16_t) == 0 &&
                         found.begin != found.end;
    if (!lies_so) return read_bits(name);
    char* elements = static_cast<char*>(const_cast<void*>(mapping.get())) + offset;
    return Tensor<std::uint16_t>::borrowed(reinterpret_cast<std::uint16_t*>(elements), shape(name), mapping);
  }

  /// The type of a matrix whose rows are whole blocks of quantised numbers as the file has them; null for any other
  /// tensor.
  [[nodiscard]] const detail::BlockFormat* blocks_of_rows(std::string_view name) const {
    const detail::TensorRecord& found = record(name);
    const bool has_rows = found.blocks != nullptr && found.sizes.size() == 2 && found.added == 0;
    return has_rows && found.sizes[1] % found.blocks->elements == 0 ? found.blocks : nullptr;
  }
  /// The blocks of such a matrix, row by row   // [rows, bytes of a row]
  /// They lie in the mapped file itself, which the tensor keeps, unless the rows lie there in another order.
  [[nodiscard]] Tensor<std::uint8_t> borrow_blocks(std::string_view name,
                                                   const std::shared_ptr<const void>& mapping) const {
    const detail::TensorRecord& found = record(name);
    const detail::BlockFormat* const blocks = blocks_of_rows(name);
    require<IoError>(blocks != nullptr, where(), path(), ": ", detail::quote_name(found.name), ": has elements of ",
                     detail::quote_name(found.dtype_name), ", wanted are rows of quantised blocks");
    const Index row_bytes = found.sizes[1] / blocks->elements * static_cast<Index>(blocks->bytes);
    const Shape shape{found.sizes[0], row_bytes};
    if (found.view_sizes.empty() && !found.is_shared && found.begin != found.end) {
      char* elements = static_cast<char*>(const_cast<void*>(mapping.get())) + data_start_ + found.begin;
      return Tensor<std::uint8_t>::borrowed(reinterpret_cast<std::uint8_t*>(elements), shape, mapping);
    }
    Tensor<std::uint8_t> bytes(shape);
    const std::vector<std::byte> stored = reader().read_bytes(found);
    if (!stored.empty()) std::memcpy(bytes.data(), stored.data(), stored.size());
    return bytes;
  }

  /// The tensors with other names or seen otherwise. `change(record)` may change a record's name, view and `added`;
  /// with false it leaves the tensor out.
  template <class F>
  [[nodiscard]] static TensorFile changed(TensorFile file, const F& change) {
    std::vector<detail::TensorRecord> records = std::move(file.records_);
    std::erase_if(records, [&](detail::TensorRecord& record) { return !change(record); });
    file.set_records(std::move(records), file.data_start_);
    return file;
  }

 protected:
  /// Opens a regular file. `where` begins messages, `readable` names the types that can be read; both are literals.
  /// `name`, if it is not empty, is what messages call the file, and stands for its path.
  TensorFile(std::string_view where, std::string_view readable, const std::filesystem::path& path,
             const std::string& name = {})
      : file_(where, path, name), readable_(readable) {}
  [[nodiscard]] std::uint64_t file_bytes() const { return file_.bytes(); }

  /// Records that were checked against the file's size: begin <= end, and both within it.
  void set_records(std::vector<detail::TensorRecord> records, std::uint64_t data_start) {
    records_ = std::move(records);
    data_start_ = data_start;
    data_bytes_ = 0;
    names_.clear();
    index_.clear();
    for (std::size_t i = 0; i < records_.size(); ++i) {
      names_.push_back(records_[i].name);
      const bool is_new = index_.emplace(records_[i].name, i).second;
      require<IoError>(is_new, where(), path(), ": ", detail::quote_name(records_[i].name), ": the name stands twice");
      data_bytes_ = std::max(data_bytes_, records_[i].end);
    }
    find_shared();
  }

  void read_bytes(std::uint64_t offset, void* target, std::uint64_t bytes) const { file_.read(offset, target, bytes); }

 private:
  /// Of tensors that have bytes in common, the one that begins first, of those the first in the file, may be borrowed.
  void find_shared() {
    std::vector<detail::TensorRecord*> by_begin;
    for (detail::TensorRecord& record : records_) {
      record.is_shared = false;
      if (record.view_sizes.empty() && record.begin < record.end) by_begin.push_back(&record);
    }
    std::stable_sort(by_begin.begin(), by_begin.end(),
                     [](const auto* a, const auto* b) { return a->begin < b->begin; });
    std::uint64_t end = 0;
    for (detail::TensorRecord* const record : by_begin) {
      record->is_shared = record->begin < end;
      if (!record->is_shared) end = record->end;
    }
  }

  [[nodiscard]] const detail::TensorRecord& record(std::string_view name) const {
    const auto found = index_.find(name);
    if (found == index_.end()) {
      std::string some;
      for (std::size_t i = 0; i < std::min<std::size_t>(names_.size(), 5); ++i) {
        some += (i == 0 ? ": " : ", ") + detail::quote_name(names_[i]);
      }
      fail<IoError>(where(), path(), ": no tensor ", detail::quote_name(name), " among its ", names_.size(), some,
                    names_.size() > 5 ? ", ..." : "");
    }
    return records_[found->second];
  }

  void require_half(const detail::TensorRecord& found) const {
    const bool is_half = (found.dtype == Dtype::kF16 || found.dtype == Dtype::kBF16) && found.blocks == nullptr;
    require<IoError>(is_half && found.added == 0, where(), path(), ": ", detail::quote_name(found.name),
                     ": has elements of ", detail::quote_name(found.dtype_name), ", wanted are F16 or BF16");
  }

  [[nodiscard]] std::string_view where() const { return file_.where(); }
  [[nodiscard]] detail::ElementReader reader() const { return {file_, data_start_}; }

  detail::RandomAccessFile file_;
  std::string_view readable_;
  std::uint64_t data_start_ = 0, data_bytes_ = 0;
  std::vector<detail::TensorRecord> records_;
  std::vector<std::string> names_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

}}  // namespace rapt::RAPT_ABI
