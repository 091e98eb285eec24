/// \file
/// From an image of any size to the numbers that a model of images reads: resized, cut to the middle, normalised, as
/// the folder of a CLIP says in preprocessor_config.json.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/image_batch.hpp"
#include "rapt/images/image.hpp"
#include "rapt/images/normalization.hpp"
#include "rapt/images/resize.hpp"
#include "rapt/pretrained/config_keys.hpp"
#include "rapt/pretrained/preprocessor_json.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Rows and columns of an image.
struct ImageSize {
  Index height = 0, width = 0;
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

/// What is done to an image, in this order. Defaults are CLIP's.
struct ImagePreprocessing {
  std::optional<Index> shortest_side = 224;  ///< resized so that the shorter side has so many pixels; unset: not
  std::optional<ImageSize> size = {};        ///< resized to this size, whatever the ratio of the sides; unset: not
  ResizeFilter filter = ResizeFilter::bicubic;
  std::optional<ImageSize> crop = ImageSize{224, 224};  ///< the middle of that size; unset: all
  Normalization normalization = {.mean = {0.48145466, 0.4578275, 0.40821073},
                                 .standard_deviation = {0.26862954, 0.26130258, 0.27577711}};

  /// The image as the model sees it, in bytes and with three channels. Throws ShapeError for an empty image.
  [[nodiscard]] Image prepare(const Image& image) const {
    require<ShapeError>(!image.empty(), "image_preprocessing", "the image is empty");
    Image result = to_rgb(image);
    if (shortest_side) result = resized_to_shortest(result, *shortest_side, filter);
    if (size) result = resized(result, size->height, size->width, filter);
    return crop ? centre_cropped(result, crop->height, crop->width) : result;
  }
  /// The batch of prepared and normalised images, which must have one size then.
  template <class T = float>
  [[nodiscard]] ImageBatch<T> operator()(std::span<const Image> images) const {
    std::vector<Image> prepared;
    prepared.reserve(images.size());
    for (const Image& image : images) prepared.push_back(prepare(image));
    return to_image_batch<T>(prepared, normalization);
  }
};

namespace detail {

/// Reads {"height": .., "width": ..}, or one number for both. Absent or null, the size stays as it is.
inline void read_size(const ConfigReader& reader, const nlohmann::json& json, const char* key,
                      std::optional<ImageSize>& size) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return;
  size.emplace();
  if (!found->is_object()) {
    reader(key, size->height);
    size->width = size->height;
    return;
  }
  reader.object(key, [&](const ConfigReader& inner) {
    inner("height", size->height);
    inner("width", size->width);
  });
}

/// The preprocessing that a JSON object tells, which is called `where` in messages. Absent keys mean what they mean to
/// CLIP.
[[nodiscard]] inline ImagePreprocessing image_preprocessing_from_json(const nlohmann::json& json,
                                                                      const std::string& where) {
  const ConfigReader reader(json, where);
  std::string type = "CLIPImageProcessor";
  for (const char* key : {"feature_extractor_type", "image_processor_type"}) reader(key, type);
  require<IoError>(type.starts_with("CLIP"), "pretrained", where, ": ", quote_name(type),
                   " is not the image processor of a CLIP");
  ImagePreprocessing result;
  bool resizes = true, crops = true, rescales = true, normalises = true;
  reader("do_resize", resizes);
  reader("do_center_crop", crops);
  reader("do_rescale", rescales);
  reader("do_normalize", normalises);
  const auto size = json.find("size");
  const bool has_size = size != json.end() && size->is_object() && !size->contains("shortest_edge");
  if (!resizes) {
    result.shortest_side.reset();
  } else if (has_size) {
    result.shortest_side.reset();
    read_size(reader, json, "size", result.size);
  } else if (size != json.end() && size->is_object()) {
    reader.object("size", [&](const ConfigReader& inner) { inner("shortest_edge", *result.shortest_side); });
  } else {
    reader.unless_absent("size", *result.shortest_side);
  }
  Index filter = 3;  // Pillow's numbers
  reader.unless_absent("resample", filter);
  reader.expect(!resizes || filter == 2 || filter == 3, "resample", filter, "2 (bilinear) or 3 (bicubic)");
  result.filter = filter == 2 ? ResizeFilter::bilinear : ResizeFilter::bicubic;
  read_size(reader, json, "crop_size", result.crop);
  if (!crops) result.crop.reset();
  double factor = 1.0 / 255;
  reader("rescale_factor", factor);
  if (!rescales) factor = 1;
  reader.expect(factor > 0, "rescale_factor", factor, "positive");
  Normalization& normalization = result.normalization;
  reader("image_mean", normalization.mean);
  reader("image_std", normalization.standard_deviation);
  if (!normalises) normalization = {};
  // (factor v - mean) / std is (v / 255 - mean / (255 factor)) / (std / (255 factor)).
  for (double& mean : normalization.mean) mean /= 255 * factor;
  for (double& deviation : normalization.standard_deviation) deviation /= 255 * factor;
  try {
    normalization.validate(3);
  } catch (const ValueError& error) {
    fail<IoError>("pretrained", where, ": ", std::string_view(error.what()));
  }
  return result;
}

}  // namespace detail

/// The preprocessing of a CLIP's folder: preprocessor_config.json, or "image_processor" of the newer
/// processor_config.json. Throws IoError that names the file for a missing or malformed one, and for steps that rapt
/// does not have.
[[nodiscard]] inline ImagePreprocessing load_image_preprocessing(const std::filesystem::path& folder) {
  const detail::PreprocessorJson found = detail::read_preprocessor(folder, "image_processor");
  return detail::image_preprocessing_from_json(found.settings, found.file);
}

}}  // namespace rapt::RAPT_ABI
