/// \file
/// TensorFile: the tensors of a file, whatever its format. safetensors.hpp, torch_file.hpp and gguf.hpp open files.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/io/dtype.hpp"
#include "rapt/io/file_element.hpp"
#include "rapt/io/tensor_record.hpp"
#include "rapt/io/tensor_view.hpp"

namespace rapt { inline namespace RAPT_ABI {

static_assert(std::endian::native == std::endian::little, "tensors in files are little-endian, and so is rapt");

/// The tensors of a file that is open for reading. Elements are read from the disk when asked for, so a file larger
/// than the memory can be looked into. Reading is const and safe from many threads.
class TensorFile {
 public:
  [[nodiscard]] const std::string& path() const { return path_; }
  /// In the order of the file's header.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
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
    fail<IoError>(where_, path_, ": ", detail::quote_name(name), ": cannot read ",
                  is_known ? found.dtype_name : detail::quote_name(found.dtype_name), ": rapt reads ", readable_);
  }

  /// The sizes as the file has them, of any rank; a scalar has none.
  [[nodiscard]] const std::vector<Index>& sizes(std::string_view name) const { return record(name).sizes; }
  /// A file's scalar, of shape [], has the shape [1] here. Throws IoError for more sizes than a Shape takes.
  [[nodiscard]] Shape shape(std::string_view name) const {
    const detail::TensorRecord& found = record(name);
    require<IoError>(found.sizes.size() <= static_cast<std::size_t>(Shape::kMaxRank), where_, path_, ": ",
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
    require<ShapeError>(stored == view.shape(), where_, path_, ": ", detail::quote_name(name), ": the file has shape ",
                        stored, ", wanted is ", view.shape());
    if (view.size() == 0) return;
    if (view.stride() == view.cols() || view.rows() == 1) {
      read_elements(record(name), view.data());
    } else {
      Tensor<T> whole(stored);
      read_elements(record(name), whole.data());
      view.matrix() = whole.matrix();
    }
  }
  template <FileElement T>
  void read_into(std::string_view name, Tensor<T>& tensor) const {
    read_into<T>(name, tensor.view());
  }

  /// The elements' bytes as the file has them, in row-major order, whatever their type and rank: to copy a tensor, as
  /// `SafetensorsEntry(name, file.dtype_name(name), file.sizes(name), bytes)`.
  [[nodiscard]] std::vector<std::byte> bytes(std::string_view name) const { return stored_bytes(record(name)); }

  /// The whole file in memory, for `borrow`: pages are read from the disk when they are looked at, and become the
  /// program's own when they are written to. The file must not be shortened or overwritten in place meanwhile.
  [[nodiscard]] std::shared_ptr<const void> map() const {
    struct ::stat facts = {};
    require<IoError>(::fstat(file_.get(), &facts) == 0, where_, path_, ": cannot read: ", detail::system_reason(errno));
    const auto bytes = static_cast<std::size_t>(facts.st_size);
    require<IoError>(bytes >= data_start_ + data_bytes_, where_, path_, ": the file has become shorter: ", bytes,
                     " bytes");
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file_.get(), 0);
    if (memory == MAP_FAILED) fail<IoError>(where_, path_, ": cannot map: ", detail::system_reason(errno));
    return {memory, [bytes](const void* at) { ::munmap(const_cast<void*>(at), bytes); }};
  }
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
    const std::vector<std::byte> stored = stored_bytes(found);
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
    require<IoError>(blocks != nullptr, where_, path_, ": ", detail::quote_name(found.name), ": has elements of ",
                     detail::quote_name(found.dtype_name), ", wanted are rows of quantised blocks");
    const Index row_bytes = found.sizes[1] / blocks->elements * static_cast<Index>(blocks->bytes);
    const Shape shape{found.sizes[0], row_bytes};
    if (found.view_sizes.empty() && !found.is_shared && found.begin != found.end) {
      char* elements = static_cast<char*>(const_cast<void*>(mapping.get())) + data_start_ + found.begin;
      return Tensor<std::uint8_t>::borrowed(reinterpret_cast<std::uint8_t*>(elements), shape, mapping);
    }
    Tensor<std::uint8_t> bytes(shape);
    const std::vector<std::byte> stored = stored_bytes(found);
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
  TensorFile(std::string_view where, std::string_view readable, const std::filesystem::path& path)
      : where_(where), readable_(readable), path_(path.string()) {
    file_ = detail::FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file_.is_open()) fail<IoError>(where_, path_, ": cannot open: ", detail::system_reason(errno));
    struct ::stat facts = {};
    require<IoError>(::fstat(file_.get(), &facts) == 0 && S_ISREG(facts.st_mode), where_, path_,
                     ": is not a regular file");
    file_bytes_ = static_cast<std::uint64_t>(facts.st_size);
  }
  [[nodiscard]] std::uint64_t file_bytes() const { return file_bytes_; }

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
      require<IoError>(is_new, where_, path_, ": ", detail::quote_name(records_[i].name), ": the name stands twice");
      data_bytes_ = std::max(data_bytes_, records_[i].end);
    }
    find_shared();
  }

  void read_bytes(std::uint64_t offset, void* target, std::uint64_t bytes) const {
    char* next = static_cast<char*>(target);
    while (bytes > 0) {
      const ::ssize_t taken = ::pread(file_.get(), next, bytes, static_cast<::off_t>(offset));
      if (taken < 0 && errno == EINTR) continue;
      if (taken < 0) fail<IoError>(where_, path_, ": cannot read: ", detail::system_reason(errno));
      require<IoError>(taken > 0, where_, path_, ": the file has become shorter: it ends at byte ", offset);
      next += taken;
      offset += static_cast<std::uint64_t>(taken);
      bytes -= static_cast<std::uint64_t>(taken);
    }
  }

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
      fail<IoError>(where_, path_, ": no tensor ", detail::quote_name(name), " among its ", names_.size(), some,
                    names_.size() > 5 ? ", ..." : "");
    }
    return records_[found->second];
  }

  void require_half(const detail::TensorRecord& found) const {
    const bool is_half = (found.dtype == Dtype::kF16 || found.dtype == Dtype::kBF16) && found.blocks == nullptr;
    require<IoError>(is_half && found.added == 0, where_, path_, ": ", detail::quote_name(found.name),
                     ": has elements of ", detail::quote_name(found.dtype_name), ", wanted are F16 or BF16");
  }

  template <class T>
  void read_elements(const detail::TensorRecord& from, T* to) const {
    convert_elements(from, to);
    if (from.added == 0) return;
    const Index count = detail::element_count(from);
    if constexpr (Scalar<T>) {
      for (Index i = 0; i < count; ++i) to[i] += static_cast<T>(from.added);
    } else {
      fail<IoError>(where_, path_, ": ", detail::quote_name(from.name), ": is of numbers that ",
                    detail::element_name<T>(), " does not hold");
    }
  }

  template <class T>
  void convert_elements(const detail::TensorRecord& from, T* to) const {
    if (from.blocks != nullptr) return dequantize(from, to);
    switch (from.dtype) {
      case Dtype::kF64:
        return convert<double>(from, to);
      case Dtype::kF32:
        return convert<float>(from, to);
      case Dtype::kF16:
        return convert<Eigen::half>(from, to);
      case Dtype::kBF16:
        return convert<Eigen::bfloat16>(from, to);
      case Dtype::kI64:
        return convert<std::int64_t>(from, to);
      case Dtype::kI32:
        return convert<std::int32_t>(from, to);
      case Dtype::kI16:
        return convert<std::int16_t>(from, to);
      case Dtype::kI8:
        return convert<std::int8_t>(from, to);
      case Dtype::kU64:
        return convert<std::uint64_t>(from, to);
      case Dtype::kU32:
        return convert<std::uint32_t>(from, to);
      case Dtype::kU16:
        return convert<std::uint16_t>(from, to);
      case Dtype::kU8:
        return convert<std::uint8_t>(from, to);
      case Dtype::kBool:
        return convert<bool>(from, to);
      default:
        require_readable(from.name);  // throws
    }
  }

  // Element by element through a block that stays in the cache; bytes of the same type go straight to their place.
  template <class Stored, class T>
  void convert(const detail::TensorRecord& from, T* to) const {
    constexpr bool kSame = std::is_same_v<Stored, T> && !std::is_same_v<T, bool>;
    if (!from.view_sizes.empty()) {
      const std::vector<std::byte> bytes = stored_bytes(from);
      convert_block<Stored>(from, bytes, 0, to);
    } else if constexpr (kSame) {
      read_bytes(data_start_ + from.begin, to, from.end - from.begin);
    } else {
      std::array<std::byte, 16384> block;
      for (std::uint64_t at = from.begin; at < from.end; at += block.size()) {
        const std::uint64_t bytes = std::min<std::uint64_t>(block.size(), from.end - at);
        read_bytes(data_start_ + at, block.data(), bytes);
        convert_block<Stored>(from, std::span(block).first(bytes), (at - from.begin) / sizeof(Stored), to);
      }
    }
  }

  /// Elements `first` and those behind it, of which `bytes` has what the file stores.
  template <class Stored, class T>
  void convert_block(const detail::TensorRecord& from, std::span<const std::byte> bytes, std::uint64_t first,
                     T* to) const {
    to += first;
    for (std::size_t i = 0; i < bytes.size(); i += sizeof(Stored)) {
      const auto value = detail::stored_element<Stored>(reinterpret_cast<const char*>(bytes.data()) + i);
      if constexpr (!Scalar<T> && !std::is_same_v<Stored, bool>) {
        if (!detail::holds<T>(value)) refuse_element<T>(from, static_cast<Index>(first + i / sizeof(Stored)), value);
      }
      *to++ = static_cast<T>(value);
    }
  }

  /// Blocks of a quantised type, on all threads: each has its place.
  template <class T>
  void dequantize(const detail::TensorRecord& from, T* to) const {
    const detail::BlockFormat& format = *from.blocks;
    std::vector<std::byte> gathered;
    if (!from.view_sizes.empty()) gathered = stored_bytes(from);
    const Index blocks = detail::element_count(from) / format.elements;
    constexpr Index kGrain = 256;
    parallel_for(blocks, kGrain, [&](Index begin, Index end) {
      std::vector<std::byte> read;
      const std::size_t offset = to_size(begin) * format.bytes, size = to_size(end - begin) * format.bytes;
      if (gathered.empty()) {
        read.resize(size);
        read_bytes(data_start_ + from.begin + offset, read.data(), size);
      }
      const std::byte* const source = gathered.empty() ? read.data() : gathered.data() + offset;
      std::vector<float> values(to_size(format.elements));
      for (Index i = begin; i < end; ++i) {
        format.dequantize(source + to_size(i - begin) * format.bytes, values.data());
        convert_block<float>(from, std::as_bytes(std::span(values)), to_size(i * format.elements), to);
      }
    });
  }

  /// The bytes of all elements in row-major order.
  [[nodiscard]] std::vector<std::byte> stored_bytes(const detail::TensorRecord& from) const {
    std::vector<std::byte> bytes(from.end - from.begin);
    read_bytes(data_start_ + from.begin, bytes.data(), bytes.size());
    return from.view_sizes.empty() ? bytes : detail::gather_view(from, bytes);
  }

  template <class T, class Value>
  [[noreturn, gnu::cold]] void refuse_element(const detail::TensorRecord& from, Index element, Value value) const {
    std::string place;  // the element's indices, outermost first
    for (std::size_t i = std::max<std::size_t>(from.sizes.size(), 1); i-- > 0;) {
      const Index size = i < from.sizes.size() ? from.sizes[i] : 1;
      place.insert(0, (i > 0 ? ", " : "") + std::to_string(element % size));
      element /= size;
    }
    fail<IoError>(where_, path_, ": ", detail::quote_name(from.name), ": element [", place, "] is ",
                  detail::exact_text(value), ", which ", detail::element_name<T>(), " does not hold");
  }

  std::string_view where_, readable_;
  std::string path_;  // for messages
  detail::FileDescriptor file_;
  std::uint64_t file_bytes_ = 0, data_start_ = 0, data_bytes_ = 0;
  std::vector<detail::TensorRecord> records_;
  std::vector<std::string> names_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

}}  // namespace rapt::RAPT_ABI
