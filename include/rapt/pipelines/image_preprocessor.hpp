/// \file
/// What a folder's preprocessor_config.json does to images before a model sees them: another size, a part in the
/// middle, other numbers for bytes.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/images/image.hpp"
#include "rapt/images/normalization.hpp"
#include "rapt/images/resize.hpp"
#include "rapt/io/json.hpp"
#include "rapt/pretrained/folder_contents.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sizes that images get: both, or the shorter side, and the longer one so that the ratio stays.
struct ImageSize {
  Index height = 224, width = 224;
  std::optional<Index> shortest_edge = {};
};

struct ImagePreprocessorOptions {
  std::optional<ImageSize> size = ImageSize{};  ///< unset: images keep theirs
  Resampling resample = Resampling::bilinear;
  std::optional<ImageSize> crop_size = {};  ///< the part in the middle that is kept; unset: all
  Normalization normalization = {.mean = {0.5}, .standard_deviation = {0.5}};
};

/// Makes a model's input of images. A const one may be used from many threads.
class ImagePreprocessor {
 public:
  explicit ImagePreprocessor(ImagePreprocessorOptions options) : options_(std::move(options)) {}

  /// Reads a folder's preprocessor_config.json. Absent keys have the defaults of transformers' class, which is
  /// "image_processor_type". Throws IoError that names the file for a class or a value that is not known.
  [[nodiscard]] static ImagePreprocessor load(const std::filesystem::path& folder) {
    const detail::FolderContents contents(folder, kWhere,
                                          "config.json, model.safetensors and preprocessor_config.json");
    if (!contents.has("preprocessor_config.json")) contents.refuse_without("no preprocessor_config.json");
    const std::string path = (folder / "preprocessor_config.json").string();
    return ImagePreprocessor(Reader(detail::read_json_object(path, kWhere), path).options());
  }

  /// The image in the size that the model sees, with `channels` channels.
  [[nodiscard]] Image resize(const Image& image, Index channels) const {
    Image result = channels == 1 ? to_gray(image) : to_rgb(image);
    if (options_.size) {
      Index height = options_.size->height, width = options_.size->width;
      if (const auto edge = options_.size->shortest_edge) {
        const Index shorter = std::min(result.height(), result.width());
        height = *edge * result.height() / shorter;
        width = *edge * result.width() / shorter;
      }
      result = resized(result, height, width, options_.resample);
    }
    return options_.crop_size ? centre_crop(result, options_.crop_size->height, options_.crop_size->width) : result;
  }
  /// The model's input   // [B, C * H * W]
  /// Throws ShapeError that names the image, counted from `first`, for an empty one and for one that does not become an
  /// image of the model's shape.
  [[nodiscard]] ImageBatch<float> operator()(std::span<const Image> images, const ImageShape& shape,
                                             std::size_t first = 0) const {
    std::vector<Image> seen;
    for (std::size_t i = 0; i < images.size(); ++i) {
      require<ShapeError>(!images[i].empty(), kWhere, "image ", first + i, " is empty");
      seen.push_back(resize(images[i], shape.channels));
      require<ShapeError>(seen.back().shape() == shape, kWhere, "image ", first + i, " becomes ",
                          to_string(seen.back().shape()), ", the model sees ", to_string(shape));
    }
    return to_image_batch<float>(seen, options_.normalization);
  }

  [[nodiscard]] const ImagePreprocessorOptions& options() const { return options_; }

 private:
  static constexpr std::string_view kWhere = "image_preprocessor";

  /// Reads the keys of one file.
  class Reader {
   public:
    Reader(nlohmann::json json, const std::string& path) : json_(std::move(json)), reader_(kWhere, path) {}

    [[nodiscard]] ImagePreprocessorOptions options() const {
      struct Family {
        std::string_view name;
        Resampling resample;
        Index size;
        bool crops;
      };
      constexpr Family kFamilies[] = {{"ViT", Resampling::bilinear, 224, false},
                                      {"DeiT", Resampling::bicubic, 256, true},
                                      {"Beit", Resampling::bicubic, 224, false}};
      std::string type = json_.contains("feature_extractor_type") ? text("feature_extractor_type") : "";
      if (json_.contains("image_processor_type")) type = text("image_processor_type");
      const auto family = std::find_if(std::begin(kFamilies), std::end(kFamilies), [&](const Family& one) {
        return type == std::string(one.name) + "ImageProcessor" ||
               type == std::string(one.name) + "ImageProcessorFast" ||
               type == std::string(one.name) + "FeatureExtractor";
      });
      require<IoError>(family != std::end(kFamilies), kWhere, reader_.file(), ": the image processor is ",
                       detail::quote_name(type), ", known are those of ViT, DeiT and BEiT");
      ImagePreprocessorOptions options;
      options.size.reset();
      if (flag("do_resize", true)) options.size = size("size", family->size);
      if (flag("do_center_crop", family->crops)) options.crop_size = size("crop_size", 224);
      require<IoError>(!options.crop_size || !options.crop_size->shortest_edge, kWhere, reader_.file(),
                       ": \"crop_size\" must have a \"height\" and a \"width\"");
      Index resample = static_cast<Index>(family->resample);
      read("resample", resample);
      const auto known = named_values(Resampling());
      reader_.expect(resample < std::ssize(known), "resample", json_.value("resample", nlohmann::json()),
                     "one of Pillow's numbers of filters, 0 to 5");
      options.resample = at(known, resample).value;
      double factor = 1 / 255.0;
      read("rescale_factor", factor);
      if (!flag("do_rescale", true)) factor = 1;
      options.normalization = {.mean = {0}, .standard_deviation = {1}};
      if (flag("do_normalize", true)) {
        options.normalization = {.mean = {0.5, 0.5, 0.5}, .standard_deviation = {0.5, 0.5, 0.5}};
        numbers("image_mean", options.normalization.mean);
        numbers("image_std", options.normalization.standard_deviation);
      }
      reader_.expect(factor > 0, "rescale_factor", json_.value("rescale_factor", nlohmann::json()), "positive");
      // (v f - mean) / deviation is (v / 255 - mean / (255 f)) / (deviation / (255 f)).
      for (double& value : options.normalization.mean) value /= 255 * factor;
      for (double& value : options.normalization.standard_deviation) {
        reader_.expect(value > 0, "image_std", json_.value("image_std", nlohmann::json()), "positive");
        value /= 255 * factor;
      }
      return options;
    }

   private:
    /// Absent or null, the value stays.
    template <class Value>
    void read(const char* key, Value& value) const {
      const auto found = json_.find(key);
      if (found != json_.end() && !found->is_null()) reader_.read(key, *found, value);
    }
    [[nodiscard]] bool flag(const char* key, bool otherwise) const {
      read(key, otherwise);
      return otherwise;
    }
    [[nodiscard]] std::string text(const char* key) const {
      std::string value;
      read(key, value);
      return value;
    }
    /// One number for each channel, or one for all.
    void numbers(const char* key, std::vector<double>& values) const {
      const auto found = json_.find(key);
      if (found != json_.end() && found->is_number()) {
        values = {found->get<double>()};
      } else {
        read(key, values);
      }
    }
    /// A number for both sides, or an object with "height" and "width" or with "shortest_edge".
    [[nodiscard]] ImageSize size(const char* key, Index otherwise) const {
      const auto found = json_.find(key);
      ImageSize size{.height = otherwise, .width = otherwise};
      if (found == json_.end() || found->is_null()) return size;
      if (found->is_object()) {
        const bool has_edge = found->contains("shortest_edge") && found->size() == 1;
        reader_.expect(has_edge || (found->contains("height") && found->contains("width")), key, *found,
                       "a number, or have a \"height\" and a \"width\", or a \"shortest_edge\" alone");
        if (has_edge) {
          reader_.read("shortest_edge", found->at("shortest_edge"), size.shortest_edge.emplace());
        } else {
          reader_.read("height", found->at("height"), size.height);
          reader_.read("width", found->at("width"), size.width);
        }
      } else {
        reader_.read(key, *found, size.height);
        size.width = size.height;
      }
      constexpr Index kMost = Index{1} << 14;
      const Index least = std::min({size.height, size.width, size.shortest_edge.value_or(1)});
      const Index greatest = std::max({size.height, size.width, size.shortest_edge.value_or(1)});
      reader_.expect(least > 0 && greatest <= kMost, key, *found, "of sides from 1 to 16384");
      return size;
    }

    nlohmann::json json_;
    detail::JsonReader reader_;
  };

  ImagePreprocessorOptions options_;
};

}}  // namespace rapt::RAPT_ABI
