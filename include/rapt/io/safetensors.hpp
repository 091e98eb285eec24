/// \file
/// safetensors: the format in which weights travel to and from PyTorch and Hugging Face.
///
/// ```cpp
/// rapt::write_safetensors("model.safetensors", std::vector<rapt::SafetensorsEntry>{{"weight", weight}});
/// const rapt::SafetensorsFile file("model.safetensors");
/// rapt::Tensor<float> weight = file.read<float>("weight");
/// ```
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/io/safetensors_header.hpp"
#include "rapt/io/safetensors_writer.hpp"
#include "rapt/io/tensor_file.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A file opened for reading. The constructor reads and checks the whole header.
class SafetensorsFile : public TensorFile {
 public:
  /// Throws IoError that says what is wrong for anything but a well-formed file. `name`, if it is not empty, stands for
  /// the path in messages: of a copy, what it is a copy of.
  explicit SafetensorsFile(const std::filesystem::path& path, const std::string& name = {})
      : TensorFile(kWhere, "F64, F32, F16, BF16, integers and BOOL", path, name) {
    std::uint64_t header_bytes = 0;
    require<IoError>(file_bytes() >= sizeof header_bytes, kWhere, this->path(),
                     ": too short for a header: ", file_bytes(), " bytes");
    read_bytes(0, &header_bytes, sizeof header_bytes);
    require<IoError>(header_bytes <= std::min(detail::kMaxSafetensorsHeader, file_bytes() - sizeof header_bytes),
                     kWhere, this->path(), ": the header's length of ", header_bytes,
                     " bytes does not fit the file of ", file_bytes(), " (and is at most ",
                     detail::kMaxSafetensorsHeader, ")");
    std::string text(header_bytes, ' ');
    read_bytes(sizeof header_bytes, text.data(), header_bytes);
    const std::uint64_t data_start = sizeof header_bytes + header_bytes;
    detail::SafetensorsHeader header = detail::parse_safetensors_header(text, file_bytes() - data_start, this->path());
    metadata_ = std::move(header.metadata);
    set_records(std::move(header.records), data_start);
  }

  /// The texts beside the tensors, by their names.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  static constexpr std::string_view kWhere = "safetensors";

  std::map<std::string, std::string> metadata_;
};

}}  // namespace rapt::RAPT_ABI
