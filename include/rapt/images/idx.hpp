/// \file
/// IDX files, the format of MNIST and similar datasets (https://yann.lecun.com/exdb/mnist): two zero bytes, the type of
/// values, the number of dimensions, each size as four bytes (most significant first), and the values in row-major
/// order.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/images/dataset.hpp"
#include "rapt/images/gzip.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// An array of unsigned bytes.
struct IdxArray {
  Shape shape;                       ///< one to four sizes
  std::vector<std::uint8_t> values;  ///< in row-major order
};

/// Decodes the bytes of an IDX file. Throws IoError with `file`, the offset and the values unless the bytes are exactly
/// a header and as many values as it says; nothing is allocated before that is known.
[[nodiscard]] inline IdxArray decode_idx(std::vector<std::uint8_t> bytes, std::string_view file) {
  constexpr std::string_view kWhere = "idx";
  constexpr std::uint8_t kUnsignedByte = 0x08;
  require<IoError>(bytes.size() >= 4, kWhere, file, ": truncated: ", bytes.size(), " bytes, the magic number has 4");
  require<IoError>(bytes[0] == 0 && bytes[1] == 0, kWhere, file, ": not an IDX file: it begins with the bytes ",
                   bytes[0], ", ", bytes[1], " instead of 0, 0");
  require<IoError>(bytes[2] == kUnsignedByte, kWhere, file, ": at byte 2: only unsigned bytes (type 8) are read, not ",
                   bytes[2]);
  const std::size_t rank = bytes[3], header = 4 + 4 * rank;
  require<IoError>(rank >= 1 && rank <= 4, kWhere, file, ": at byte 3: one to four dimensions are read, not ", rank);
  require<IoError>(bytes.size() >= header, kWhere, file, ": truncated: ", bytes.size(), " bytes, the header of ", rank,
                   " dimensions has ", header);

  const std::uint64_t available = bytes.size() - header;
  std::array<std::uint64_t, 4> sizes{};
  bool is_empty = false;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::uint8_t* at = bytes.data() + 4 + 4 * i;
    for (std::size_t j = 0; j < 4; ++j) sizes[i] = sizes[i] << 8 | at[j];
    is_empty = is_empty || sizes[i] == 0;
  }
  // Sizes of zero count as one, so that every partial product is bounded, too.
  const std::uint64_t most = is_empty ? std::uint64_t{1} << 32 : available;
  std::uint64_t product = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::uint64_t factor = std::max<std::uint64_t>(sizes[i], 1);
    require<IoError>(product <= most && factor <= most / product, kWhere, file, ": at byte ", 4 + 4 * i, ": size ",
                     sizes[i], " of dimension ", i, " makes more than the ", most, " values that there can be");
    product *= factor;
  }
  if (is_empty) product = 0;
  require<IoError>(product == available, kWhere, file, ": the header promises ", product, " values, ", available,
                   " bytes follow it");
  IdxArray array;
  for (std::size_t i = 0; i < rank; ++i) array.shape.push_back(static_cast<Index>(sizes[i]));
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header));
  array.values = std::move(bytes);
  return array;
}

/// Reads gray images from a file that may be compressed with gzip   // [n, height, width]
[[nodiscard]] inline IdxArray read_idx_images(const std::filesystem::path& path, std::size_t limit = kMaxFileBytes) {
  IdxArray array = decode_idx(read_maybe_gzip(path, limit), path.string());
  const Shape& shape = array.shape;
  require<IoError>(shape.rank() == 3, "idx", path.string(), ": images have three dimensions: ", shape);
  require<IoError>(shape[1] > 0 && shape[2] > 0 && shape[1] <= kMaxImagePixels / shape[2], "idx", path.string(),
                   ": images must have 1 to ", kMaxImagePixels, " pixels: ", shape);
  return array;
}

/// Reads class numbers from a file that may be compressed with gzip   // [n]
[[nodiscard]] inline std::vector<std::int32_t> read_idx_labels(const std::filesystem::path& path,
                                                               std::size_t limit = kMaxFileBytes) {
  const IdxArray array = decode_idx(read_maybe_gzip(path, limit), path.string());
  require<IoError>(array.shape.rank() == 1, "idx", path.string(), ": labels have one dimension: ", array.shape);
  return {array.values.begin(), array.values.end()};
}

/// Reads images and their labels. Throws IoError also if their numbers differ or a label is not below the number of
/// classes.
[[nodiscard]] inline ImageDataset read_idx_dataset(const std::filesystem::path& images,
                                                   const std::filesystem::path& labels, Index classes = 10) {
  IdxArray array = read_idx_images(images);
  std::vector<std::int32_t> classes_of = read_idx_labels(labels);
  require<IoError>(array.shape[0] == std::ssize(classes_of), "idx", images.string(), " has ", array.shape[0],
                   " images, ", labels.string(), " has ", classes_of.size(), " labels");
  for (std::size_t i = 0; i < classes_of.size(); ++i) {
    require<IoError>(classes_of[i] < classes, "idx", labels.string(), ": label ", classes_of[i], " of image ", i,
                     " is not below the number of classes, ", classes);
  }
  return {ImageShape{1, array.shape[1], array.shape[2]}, std::move(array.values), std::move(classes_of), classes};
}

}}  // namespace rapt::RAPT_ABI
