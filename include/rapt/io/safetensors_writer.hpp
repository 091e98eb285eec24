/// \file
/// Writes safetensors files; safetensors.hpp has the reading side and includes this.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/io/atomic_file.hpp"
#include "rapt/io/dtype.hpp"
#include "rapt/io/safetensors_header.hpp"

namespace rapt::inline RAPT_ABI {

/// A tensor to be written: its name and a look at its elements, which must live until the file is written.
class SafetensorsEntry {
 public:
  SafetensorsEntry(std::string name, TensorView<const float> view) : SafetensorsEntry(name, Dtype::kF32, view) {}
  SafetensorsEntry(std::string name, TensorView<const double> view) : SafetensorsEntry(name, Dtype::kF64, view) {}
  SafetensorsEntry(std::string name, TensorView<const std::int64_t> view) : SafetensorsEntry(name, Dtype::kI64, view) {}
  SafetensorsEntry(std::string name, TensorView<const std::int32_t> view) : SafetensorsEntry(name, Dtype::kI32, view) {}
  SafetensorsEntry(std::string name, TensorView<const std::uint8_t> view) : SafetensorsEntry(name, Dtype::kU8, view) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Dtype dtype() const { return dtype_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] std::uint64_t bytes() const { return static_cast<std::uint64_t>(shape_.size()) * size_of(dtype_); }

  /// The elements, row-major without gaps.
  void write_to(AtomicFile& file) const {
    if (shape_.size() == 0) return;
    const auto row_bytes = static_cast<std::size_t>(shape_.cols()) * size_of(dtype_);
    if (row_bytes == row_step_) {
      file.write(data_, bytes());
    } else {
      for (Index i = 0; i < shape_.rows(); ++i) file.write(data_ + static_cast<std::size_t>(i) * row_step_, row_bytes);
    }
  }

 private:
  template <class T>
  SafetensorsEntry(std::string& name, Dtype dtype, TensorView<const T> view)
      : name_(std::move(name)),
        dtype_(dtype),
        shape_(view.shape()),
        data_(reinterpret_cast<const char*>(view.data())),
        row_step_(static_cast<std::size_t>(view.stride()) * sizeof(T)) {}

  std::string name_;
  Dtype dtype_;
  Shape shape_;
  const char* data_;
  std::size_t row_step_;  // bytes from a row to the next
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
    text += "{\"dtype\":\"" + std::string(to_string(entry->dtype())) + "\",\"shape\":" + to_string(entry->shape()) +
            ",\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(offset + entry->bytes()) + "]}";
    offset += entry->bytes();
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace detail

/// Writes a file that appears whole or not at all (see AtomicFile). Entries of wider elements come first, so that all
/// are aligned; otherwise they keep their order. Throws ValueError for a name that is given twice or reserved or not
/// UTF-8, IoError when the disk refuses.
inline void write_safetensors(const std::filesystem::path& path, std::span<const SafetensorsEntry> entries,
                              const std::map<std::string, std::string>& metadata = {}) {
  const std::string file_name = path.string();
  std::set<std::string_view> names;
  std::vector<const SafetensorsEntry*> order;
  for (const SafetensorsEntry& entry : entries) {
    require(entry.name() != "__metadata__", "safetensors", file_name, ": the name \"__metadata__\" is reserved");
    require(names.insert(entry.name()).second, "safetensors", file_name, ": ", detail::quote_name(entry.name()),
            ": the name is given twice");
    require(entry.shape().rank() > 0, "safetensors", file_name, ": ", detail::quote_name(entry.name()),
            ": the tensor has no shape");
    order.push_back(&entry);
  }
  std::stable_sort(order.begin(), order.end(), [](const SafetensorsEntry* a, const SafetensorsEntry* b) {
    return size_of(a->dtype()) > size_of(b->dtype());
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

}  // namespace rapt::inline RAPT_ABI
