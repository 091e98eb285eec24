/// \file
/// The binary files of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html). A record is one label byte
/// (in CIFAR-100 two, the coarse label first) and 3 x 32 x 32 bytes, channel by channel.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/images/dataset.hpp"
#include "rapt/images/gzip.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Which labels to read: those of CIFAR-10, or the fine or coarse ones of CIFAR-100.
enum class CifarLabels { ten, hundred_fine, hundred_coarse };

namespace detail {

struct CifarLayout {
  std::size_t label_bytes, label_at;
  Index classes;
  std::array<std::uint8_t, 2> limits;  // each label byte must be below its limit
};

[[nodiscard]] inline CifarLayout cifar_layout(CifarLabels labels) {
  if (labels == CifarLabels::ten) return {.label_bytes = 1, .label_at = 0, .classes = 10, .limits = {10, 0}};
  if (labels == CifarLabels::hundred_fine)
    return {.label_bytes = 2, .label_at = 1, .classes = 100, .limits = {20, 100}};
  return {.label_bytes = 2, .label_at = 0, .classes = 20, .limits = {20, 100}};
}

}  // namespace detail

/// Decodes the bytes of a file. Throws IoError with `file`, the record and the offset unless they are one or more whole
/// records with valid labels.
[[nodiscard]] inline ImageDataset decode_cifar(std::span<const std::uint8_t> bytes, CifarLabels which,
                                               std::string_view file) {
  constexpr std::string_view kWhere = "cifar";
  constexpr ImageShape kShape{3, 32, 32};
  constexpr std::size_t kPixels = 3 * 32 * 32;
  const detail::CifarLayout layout = detail::cifar_layout(which);
  const std::size_t record = layout.label_bytes + kPixels, count = bytes.size() / record;
  require<IoError>(count > 0 && count * record == bytes.size(), kWhere, file, ": ", bytes.size(),
                   " bytes are not one or more records of ", record);
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  pixels.reserve(count * kPixels);
  labels.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto one = bytes.subspan(i * record, record);
    for (std::size_t j = 0; j < layout.label_bytes; ++j) {
      require<IoError>(one[j] < layout.limits[j], kWhere, file, ": record ", i, ", at byte ", i * record + j,
                       ": label ", one[j], " is not below ", layout.limits[j]);
    }
    labels.push_back(one[layout.label_at]);
    pixels.insert(pixels.end(), one.begin() + static_cast<std::ptrdiff_t>(layout.label_bytes), one.end());
  }
  return {kShape, std::move(pixels), std::move(labels), layout.classes};
}

/// Reads all records of the files (data_batch_1.bin ..., train.bin), one file after the other. Each may be compressed
/// with gzip.
[[nodiscard]] inline ImageDataset read_cifar(std::span<const std::filesystem::path> files, CifarLabels which,
                                             std::size_t limit = kMaxFileBytes) {
  require(!files.empty(), "cifar", "no files are named");
  std::vector<std::uint8_t> bytes;
  std::vector<std::int32_t> labels;
  ImageDataset part;
  for (const std::filesystem::path& file : files) {
    part = decode_cifar(read_maybe_gzip(file, limit), which, file.string());
    if (files.size() == 1) return part;
    bytes.insert(bytes.end(), part.bytes().begin(), part.bytes().end());
    labels.insert(labels.end(), part.labels().begin(), part.labels().end());
  }
  return {part.shape(), std::move(bytes), std::move(labels), part.classes()};
}

}}  // namespace rapt::RAPT_ABI
