/// \file
/// safetensors: the format in which weights travel to and from PyTorch and Hugging Face.
///
/// ```cpp
/// rapt::write_safetensors("model.safetensors", std::vector<rapt::SafetensorsEntry>{{"weight", weight}});
/// const rapt::SafetensorsFile file("model.safetensors");
/// rapt::Tensor<float> weight = file.read<float>("weight");
/// ```
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
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/io/dtype.hpp"
#include "rapt/io/file_element.hpp"
#include "rapt/io/safetensors_header.hpp"
#include "rapt/io/safetensors_writer.hpp"

namespace rapt { inline namespace RAPT_ABI {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian, and so is rapt");

/// A file opened for reading. The constructor reads and checks the whole header; elements are read from the disk when
/// asked for, so a file larger than the memory can be looked into. Reading is const and safe from many threads.
class SafetensorsFile {
 public:
  /// Throws IoError that says what is wrong for anything but a well-formed file.
  explicit SafetensorsFile(const std::filesystem::path& path) : path_(path.string()) {
    file_ = detail::FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file_.is_open()) fail<IoError>(kWhere, path_, ": cannot open: ", detail::system_reason(errno));
    struct ::stat facts = {};
    require<IoError>(::fstat(file_.get(), &facts) == 0 && S_ISREG(facts.st_mode), kWhere, path_,
                     ": is not a regular file");
    const auto file_bytes = static_cast<std::uint64_t>(facts.st_size);

    std::uint64_t header_bytes = 0;
    require<IoError>(file_bytes >= sizeof header_bytes, kWhere, path_, ": too short for a header: ", file_bytes,
                     " bytes");
    read_bytes(0, &header_bytes, sizeof header_bytes);
    require<IoError>(header_bytes <= std::min(detail::kMaxSafetensorsHeader, file_bytes - sizeof header_bytes), kWhere,
                     path_, ": the header's length of ", header_bytes, " bytes does not fit the file of ", file_bytes,
                     " (and is at most ", detail::kMaxSafetensorsHeader, ")");
    std::string text(header_bytes, ' ');
    read_bytes(sizeof header_bytes, text.data(), header_bytes);
    data_start_ = sizeof header_bytes + header_bytes;
    header_ = detail::parse_safetensors_header(text, file_bytes - data_start_, path_);
    for (std::size_t i = 0; i < header_.records.size(); ++i) {
      names_.push_back(header_.records[i].name);
      index_.emplace(header_.records[i].name, i);
      data_bytes_ = std::max(data_bytes_, header_.records[i].end);
    }
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  /// In the order of the file's header.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] bool contains(std::string_view name) const { return index_.find(name) != index_.end(); }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  /// kUnknown for a type that rapt does not know, of which `dtype_name` has the name. Throws IoError unless the tensor
  /// exists; so do all that follow.
  [[nodiscard]] Dtype dtype(std::string_view name) const { return record(name).dtype; }
  /// The type as the file names it, e.g. "F8_E4M3".
  [[nodiscard]] const std::string& dtype_name(std::string_view name) const { return record(name).dtype_name; }
  /// Throws IoError that names the tensor and its type unless `read` reads elements of that type.
  void require_readable(std::string_view name) const {
    const detail::SafetensorsRecord& found = record(name);
    if (is_readable(found.dtype)) return;
    const bool is_known = found.dtype != Dtype::kUnknown;
    fail<IoError>(kWhere, path_, ": ", detail::quote_name(name), ": cannot read ",
                  is_known ? found.dtype_name : detail::quote_name(found.dtype_name),
                  ": rapt reads F64, F32, F16, BF16, integers and BOOL");
  }

  /// The sizes as the file has them, of any rank; a scalar has none.
  [[nodiscard]] const std::vector<Index>& sizes(std::string_view name) const { return record(name).sizes; }
  /// A file's scalar, of shape [], has the shape [1] here. Throws IoError for more sizes than a Shape takes.
  [[nodiscard]] Shape shape(std::string_view name) const {
    const detail::SafetensorsRecord& found = record(name);
    require<IoError>(found.sizes.size() <= static_cast<std::size_t>(Shape::kMaxRank), kWhere, path_, ": ",
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
    require<ShapeError>(stored == view.shape(), kWhere, path_, ": ", detail::quote_name(name), ": the file has shape ",
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

  /// The elements' bytes as they lie in the file, whatever their type and rank: to copy a tensor, as
  /// `SafetensorsEntry(name, file.dtype_name(name), file.sizes(name), bytes)`.
  [[nodiscard]] std::vector<std::byte> bytes(std::string_view name) const {
    const detail::SafetensorsRecord& from = record(name);
    std::vector<std::byte> bytes(from.end - from.begin);
    read_bytes(data_start_ + from.begin, bytes.data(), bytes.size());
    return bytes;
  }

  /// The whole file in memory, for `borrow`: pages are read from the disk when they are looked at, and become the
  /// program's own when they are written to. The file must not be shortened or overwritten in place meanwhile.
  [[nodiscard]] std::shared_ptr<const void> map() const {
    struct ::stat facts = {};
    require<IoError>(::fstat(file_.get(), &facts) == 0, kWhere, path_, ": cannot read: ", detail::system_reason(errno));
    const auto bytes = static_cast<std::size_t>(facts.st_size);
    require<IoError>(bytes >= data_start_ + data_bytes_, kWhere, path_, ": the file has become shorter: ", bytes,
                     " bytes");
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file_.get(), 0);
    if (memory == MAP_FAILED) fail<IoError>(kWhere, path_, ": cannot map: ", detail::system_reason(errno));
    return {memory, [bytes](const void* at) { ::munmap(const_cast<void*>(at), bytes); }};
  }
  /// The tensor in the mapped file itself, which it keeps; or, if the file stores another type than T or elements that
  /// are not aligned, as `read`. So is bool, for which a file may have bytes that a program's bool has not.
  template <FileElement T>
  [[nodiscard]] Tensor<T> borrow(std::string_view name, const std::shared_ptr<const void>& mapping) const {
    const detail::SafetensorsRecord& found = record(name);
    const std::uint64_t offset = data_start_ + found.begin;
    const bool is_same = found.dtype == kDtypeOf<T> && !std::is_same_v<T, bool>;
    if (!is_same || offset % alignof(T) != 0 || found.begin == found.end) return read<T>(name);
    char* elements = static_cast<char*>(const_cast<void*>(mapping.get())) + offset;
    return Tensor<T>::borrowed(reinterpret_cast<T*>(elements), shape(name), mapping);
  }
  /// The bits of a tensor of F16 or BF16. Throws IoError for another type.
  [[nodiscard]] Tensor<std::uint16_t> read_bits(std::string_view name) const {
    const detail::SafetensorsRecord& found = record(name);
    require_half(found);
    Tensor<std::uint16_t> bits(shape(name));
    read_bytes(data_start_ + found.begin, bits.data(), found.end - found.begin);
    return bits;
  }
  /// As `read_bits`, in the mapped file itself, which it keeps, if they are aligned there.
  [[nodiscard]] Tensor<std::uint16_t> borrow_bits(std::string_view name,
                                                  const std::shared_ptr<const void>& mapping) const {
    const detail::SafetensorsRecord& found = record(name);
    require_half(found);
    const std::uint64_t offset = data_start_ + found.begin;
    if (offset % alignof(std::uint16_t) != 0 || found.begin == found.end) return read_bits(name);
    char* elements = static_cast<char*>(const_cast<void*>(mapping.get())) + offset;
    return Tensor<std::uint16_t>::borrowed(reinterpret_cast<std::uint16_t*>(elements), shape(name), mapping);
  }

 private:
  static constexpr std::string_view kWhere = "safetensors";

  [[nodiscard]] const detail::SafetensorsRecord& record(std::string_view name) const {
    const auto found = index_.find(name);
    if (found == index_.end()) {
      std::string some;
      for (std::size_t i = 0; i < std::min<std::size_t>(names_.size(), 5); ++i) {
        some += (i == 0 ? ": " : ", ") + detail::quote_name(names_[i]);
      }
      fail<IoError>(kWhere, path_, ": no tensor ", detail::quote_name(name), " among its ", names_.size(), some,
                    names_.size() > 5 ? ", ..." : "");
    }
    return header_.records[found->second];
  }

  void require_half(const detail::SafetensorsRecord& found) const {
    require<IoError>(found.dtype == Dtype::kF16 || found.dtype == Dtype::kBF16, kWhere, path_, ": ",
                     detail::quote_name(found.name), ": has elements of ", detail::quote_name(found.dtype_name),
                     ", wanted are F16 or BF16");
  }

  void read_bytes(std::uint64_t offset, void* target, std::uint64_t bytes) const {
    char* next = static_cast<char*>(target);
    while (bytes > 0) {
      const ::ssize_t taken = ::pread(file_.get(), next, bytes, static_cast<::off_t>(offset));
      if (taken < 0 && errno == EINTR) continue;
      if (taken < 0) fail<IoError>(kWhere, path_, ": cannot read: ", detail::system_reason(errno));
      require<IoError>(taken > 0, kWhere, path_, ": the file has become shorter: it ends at byte ", offset);
      next += taken;
      offset += static_cast<std::uint64_t>(taken);
      bytes -= static_cast<std::uint64_t>(taken);
    }
  }

  template <class T>
  void read_elements(const detail::SafetensorsRecord& from, T* to) const {
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
  void convert(const detail::SafetensorsRecord& from, T* to) const {
    if constexpr (std::is_same_v<Stored, T> && !std::is_same_v<T, bool>) {
      read_bytes(data_start_ + from.begin, to, from.end - from.begin);
    } else {
      std::array<char, 16384> block;
      const T* const first = to;
      for (std::uint64_t at = from.begin; at < from.end; at += block.size()) {
        const std::uint64_t bytes = std::min<std::uint64_t>(block.size(), from.end - at);
        read_bytes(data_start_ + at, block.data(), bytes);
        for (std::uint64_t i = 0; i < bytes; i += sizeof(Stored)) {
          const auto value = detail::stored_element<Stored>(block.data() + i);
          if constexpr (!Scalar<T> && !std::is_same_v<Stored, bool>) {
            if (!detail::holds<T>(value)) refuse_element<T>(from, to - first, value);
          }
          *to++ = static_cast<T>(value);
        }
      }
    }
  }

  template <class T, class Value>
  [[noreturn, gnu::cold]] void refuse_element(const detail::SafetensorsRecord& from, Index element, Value value) const {
    std::string place;  // the element's indices, outermost first
    for (std::size_t i = std::max<std::size_t>(from.sizes.size(), 1); i-- > 0;) {
      const Index size = i < from.sizes.size() ? from.sizes[i] : 1;
      place.insert(0, (i > 0 ? ", " : "") + std::to_string(element % size));
      element /= size;
    }
    fail<IoError>(kWhere, path_, ": ", detail::quote_name(from.name), ": element [", place, "] is ",
                  detail::exact_text(value), ", which ", detail::element_name<T>(), " does not hold");
  }

  std::string path_;  // for messages
  detail::FileDescriptor file_;
  std::uint64_t data_start_ = 0, data_bytes_ = 0;
  detail::SafetensorsHeader header_;
  std::vector<std::string> names_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

}}  // namespace rapt::RAPT_ABI
