/// \file
/// Writes safetensors files; safetensors.hpp has the reading side and includes this.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/io/dtype.hpp"
#include "rapt/io/safetensors_header.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A tensor to be written: its name and a look at its elements, which must live until the file is written.
class SafetensorsEntry {
 public:
  SafetensorsEntry(std::string name, TensorView<const float> view) : SafetensorsEntry(FromView(), name, view) {}
  SafetensorsEntry(std::string name, TensorView<const double> view) : SafetensorsEntry(FromView(), name, view) {}
  SafetensorsEntry(std::string name, TensorView<const bool> view) : SafetensorsEntry(FromView(), name, view) {}
  SafetensorsEntry(std::string name, TensorView<const std::int64_t> view) : SafetensorsEntry(FromView(), name, view) {}
  SafetensorsEntry(std::string name, TensorView<const std::int32_t> view) : SafetensorsEntry(FromView(), name, view) {}
  SafetensorsEntry(std::string name, TensorView<const std::uint8_t> view) : SafetensorsEntry(FromView(), name, view) {}
  /// A tensor of any type and rank by its bytes, such as SafetensorsFile gives them (`dtype_name`, `sizes`, `bytes`).
  SafetensorsEntry(std::string name, std::string dtype_name, std::vector<Index> sizes, std::span<const std::byte> bytes)
      : name_(std::move(name)),
        dtype_name_(std::move(dtype_name)),
        sizes_(std::move(sizes)),
        data_(reinterpret_cast<const char*>(bytes.data())),
        rows_(1),
        row_bytes_(bytes.size()),
        row_step_(bytes.size()) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  /// kUnknown for a type that rapt does not know.
  [[nodiscard]] Dtype dtype() const { return dtype_from(dtype_name_); }
  /// The name of the type as the file has it, such as "F32".
  [[nodiscard]] const std::string& dtype_name() const { return dtype_name_; }
  /// Of any rank; a file's scalar has none. A view without a shape cannot be written and has none, too.
  [[nodiscard]] const std::vector<Index>& sizes() const { return sizes_; }
  /// False for a view without a shape, which cannot be written.
  [[nodiscard]] bool has_shape() const { return rows_ >= 0; }
  /// The number of bytes of the elements.
  [[nodiscard]] std::uint64_t bytes() const {
    return has_shape() ? static_cast<std::uint64_t>(rows_) * static_cast<std::uint64_t>(row_bytes_) : 0;
  }

  /// The elements, row-major without gaps.
  void write_to(AtomicFile& file) const {
    if (bytes() == 0) return;
    if (row_bytes_ == row_step_) {
      file.write(data_, bytes());
    } else {
      for (Index i = 0; i < rows_; ++i) file.write(data_ + static_cast<std::size_t>(i) * row_step_, row_bytes_);
    }
  }

 private:
  struct FromView {};
  template <class T>
  SafetensorsEntry(FromView, std::string& name, TensorView<const T> view)
      : name_(std::move(name)),
        dtype_name_(to_string(kDtypeOf<T>)),
        data_(reinterpret_cast<const char*>(view.data())),
        rows_(view.shape().rank() == 0 ? -1 : view.rows()),
        row_bytes_(static_cast<std::size_t>(view.cols()) * sizeof(T)),
        row_step_(static_cast<std::size_t>(view.stride()) * sizeof(T)) {
    static_assert(sizeof(bool) == 1);
    for (Index i = 0; i < view.shape().rank(); ++i) sizes_.push_back(view.shape()[i]);
  }

  std::string name_;
  std::string dtype_name_;
  std::vector<Index> sizes_;
  const char* data_;
  Index rows_;             // of the matrix that is written; -1 for a view without a shape
  std::size_t row_bytes_;  // of one row
  std::size_t row_step_;   // bytes from a row to the next
};

namespace detail {

/// A JSON string. Throws ValueError for text that is not UTF-8.
[[nodiscard]] inline std::string json_string(std::string_view text, std::string_view file) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail("safetensors", file, ": names and metadata must be UTF-8: ", quote_name(text));
  }
}

/// "[2, 3]", for sizes of any rank.
[[nodiscard]] inline std::string sizes_text(std::span<const Index> sizes) {
  std::string text = "[";
  for (std::size_t i = 0; i < sizes.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(sizes[i]);
  return text + "]";
}

/// Throws ValueError unless the file that is to be written can be read again.
inline void check_entry(const SafetensorsEntry& entry, std::string_view file) {
  const auto check = [&](bool condition, const auto&... pieces) {
    if (!condition) fail("safetensors", file, ": ", quote_name(entry.name()), ": ", pieces...);
  };
  check(entry.has_shape(), "the tensor has no shape");
  for (const Index size : entry.sizes()) check(size >= 0, "sizes must not be negative: ", size);
  const std::optional<std::uint64_t> bytes = bytes_needed(entry.dtype(), entry.sizes(), check);
  check(!bytes || *bytes == entry.bytes(), entry.bytes(), " bytes are given, but shape ", sizes_text(entry.sizes()),
        " and dtype ", entry.dtype(), " need ", bytes.value_or(0));
}

/// The header's text, padded so that the data starts at a multiple of eight.
[[nodiscard]] inline std::string safetensors_header_text(std::span<const SafetensorsEntry* const> entries,
                                                         const std::map<std::string, std::string>& metadata,
                                                         std::string_view file) {
  std::string text = "{";
  const auto open = [&](std::string_view name) {
    text += (text.back() == '{' ? "" : ",") + json_string(name, file) + ":";
  };
  if (!metadata.empty()) {
    open("__metadata__");
    text += "{";
    for (const auto& [key, value] : metadata) {
      open(key);
      text += json_string(value, file);
    }
    text += "}";
  }
  std::uint64_t offset = 0;
  for (const SafetensorsEntry* entry : entries) {
    open(entry->name());
    text += "{\"dtype\":" + json_string(entry->dtype_name(), file) + ",\"shape\":" + sizes_text(entry->sizes()) +
            ",\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(offset + entry->bytes()) + "]}";
    offset += entry->bytes();
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace detail

/// Writes a file that appears whole or not at all (see AtomicFile). Entries of wider elements come first and those of
/// unknown types last, so that all are aligned; otherwise they keep their order. Throws ValueError for a name that is
/// given twice or reserved or not UTF-8, or bytes that do not fit type and sizes, IoError when the disk refuses.
inline void write_safetensors(const std::filesystem::path& path, std::span<const SafetensorsEntry> entries,
                              const std::map<std::string, std::string>& metadata = {}) {
  const std::string file_name = path.string();
  std::set<std::string_view> names;
  std::vector<const SafetensorsEntry*> order;
  for (const SafetensorsEntry& entry : entries) {
    require(entry.name() != "__metadata__", "safetensors", file_name, ": the name \"__metadata__\" is reserved");
    require(names.insert(entry.name()).second, "safetensors", file_name, ": ", detail::quote_name(entry.name()),
            ": the name is given twice");
    detail::check_entry(entry, file_name);
    order.push_back(&entry);
  }
  std::stable_sort(order.begin(), order.end(), [](const SafetensorsEntry* a, const SafetensorsEntry* b) {
    return bits_of(a->dtype()) > bits_of(b->dtype());
  });

  const std::string header = detail::safetensors_header_text(order, metadata, file_name);
  const std::uint64_t header_bytes = header.size();
  require(header_bytes <= detail::kMaxSafetensorsHeader, "safetensors", file_name, ": the header would be of ",
          header_bytes, " bytes, the format takes at most ", detail::kMaxSafetensorsHeader);
  AtomicFile file(path);
  file.write(&header_bytes, sizeof header_bytes);
  file.write(header.data(), header.size());
  for (const SafetensorsEntry* entry : order) entry->write_to(file);
  file.commit();
}

}}  // namespace rapt::RAPT_ABI
