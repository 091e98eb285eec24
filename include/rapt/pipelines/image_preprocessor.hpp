/// \file
/// What is done to images before a model sees them, as a folder's preprocessor_config.json or processor_config.json
/// says: another size, a part in the middle, other numbers for bytes.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/images/image.hpp"
#include "rapt/images/normalization.hpp"
#include "rapt/images/resize.hpp"
#include "rapt/io/json.hpp"
#include "rapt/pretrained/preprocessor_json.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The sizes that images get: both, or the shorter side, and the longer one so that the ratio stays.
struct ImageSize {
  Index height = 224, width = 224;          ///< in pixels
  std::optional<Index> shortest_edge = {};  ///< the shorter side in pixels; set: `height` and `width` do not count

  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

/// How an image becomes the model's input: size, crop and normalisation.
struct ImagePreprocessorOptions {
  std::optional<ImageSize> size = ImageSize{};  ///< unset: images keep theirs
  Resampling resample = Resampling::bilinear;   ///< how pixels are weighted in resizing
  std::optional<ImageSize> crop_size = {};      ///< the part in the middle that is kept; unset: all
  Normalization normalization = {.mean = {0.5}, .standard_deviation = {0.5}};  ///< of each channel, behind the crop

  /// The defaults of transformers' classes for these models.
  [[nodiscard]] static ImagePreprocessorOptions vit() { return {}; }
  /// DeiT's: the middle 224 x 224 pixels of images that are resized to 256 x 256 by cubic weights.
  [[nodiscard]] static ImagePreprocessorOptions deit() {
    return {.size = ImageSize{.height = 256, .width = 256}, .resample = Resampling::bicubic, .crop_size = ImageSize{}};
  }
  /// BEiT's: ViT's, but with cubic weights.
  [[nodiscard]] static ImagePreprocessorOptions beit() { return {.resample = Resampling::bicubic}; }
  /// CLIP's: the middle 224 x 224 pixels of images whose shorter side is resized to 224 by cubic weights, normalised by
  /// means and standard deviations of its own.
  [[nodiscard]] static ImagePreprocessorOptions clip() {
    return {.size = ImageSize{.shortest_edge = 224},
            .resample = Resampling::bicubic,
            .crop_size = ImageSize{},
            .normalization = {.mean = {0.48145466, 0.4578275, 0.40821073},
                              .standard_deviation = {0.26862954, 0.26130258, 0.27577711}}};
  }
};

/// Makes a model's input of images. A const one may be used from many threads.
class ImagePreprocessor {
 public:
  explicit ImagePreprocessor(ImagePreprocessorOptions options) : options_(std::move(options)) {}

  /// Reads "image_processor" of a folder's processor_config.json or else, as older folders have it,
  /// preprocessor_config.json. Absent keys have the defaults of transformers' class, which is "image_processor_type" or
  /// else that of the model in config.json. Throws IoError that names the file for a class or value that is unknown.
  [[nodiscard]] static ImagePreprocessor load(const std::filesystem::path& folder) {
    const detail::PreprocessorJson found = detail::read_preprocessor(folder, "image_processor", kWhere);
    return ImagePreprocessor(Reader(found.settings, found.file).options(folder));
  }

  /// Writes preprocessor_config.json into a folder that is there, for `load` and for transformers. The class that it
  /// names is CLIP's if images are cropped or get a shorter side, and ViT's otherwise; the keys say all the rest.
  /// Throws IoError for a folder with a processor_config.json, which readers would prefer.
  void save(const std::filesystem::path& folder) const {
    const std::filesystem::path newer = folder / "processor_config.json";
    require<IoError>(!std::filesystem::exists(newer), kWhere, newer.string(),
                     ": the file goes before the preprocessor_config.json that would be written");
    const bool has_edge = options_.size && options_.size->shortest_edge;
    const auto sides = [](const ImageSize& size) -> nlohmann::ordered_json {
      if (size.shortest_edge) return {{"shortest_edge", *size.shortest_edge}};
      return {{"height", size.height}, {"width", size.width}};
    };
    const auto numbers = [](const std::vector<double>& values) -> nlohmann::ordered_json {
      if (values.size() == 1) return values[0];  // for any number of channels
      return values;
    };
    nlohmann::ordered_json json = {
        {"do_center_crop", options_.crop_size.has_value()},
        {"do_normalize", true},
        {"do_rescale", true},
        {"do_resize", options_.size.has_value()},
        {"image_mean", numbers(options_.normalization.mean)},
        {"image_processor_type", options_.crop_size || has_edge ? "CLIPImageProcessor" : "ViTImageProcessor"},
        {"image_std", numbers(options_.normalization.standard_deviation)},
        {"resample", static_cast<int>(options_.resample)},
        {"rescale_factor", 1 / 255.0}};
    if (options_.crop_size) json["crop_size"] = sides(*options_.crop_size);
    if (options_.size) json["size"] = sides(*options_.size);
    detail::write_text_file(folder / "preprocessor_config.json", json.dump(2) + "\n");
  }

  /// Throws IoError that names the folder, from which this was read, unless there is one mean and one standard
  /// deviation, or one for each channel.
  void require_channels(Index channels, const std::filesystem::path& folder) const {
    for (const auto* values : {&options_.normalization.mean, &options_.normalization.standard_deviation}) {
      require<IoError>(values->size() == 1 || std::ssize(*values) == channels, kWhere, folder.string(),
                       ": image_mean and image_std must have a number for each of ", channels,
                       " channels: ", values->size());
    }
  }

  /// The image in the size that the model sees, with `channels` channels. Throws ShapeError for an empty image that is
  /// to get another size.
  [[nodiscard]] Image resize(const Image& image, Index channels) const {
    Image result = channels == 1 ? to_gray(image) : to_rgb(image);
    if (const auto& size = options_.size) {
      result = size->shortest_edge ? resized_to_shortest(result, *size->shortest_edge, options_.resample)
                                   : resized(result, size->height, size->width, options_.resample);
    }
    return options_.crop_size ? centre_cropped(result, options_.crop_size->height, options_.crop_size->width) : result;
  }
  /// The model's input   // [B, C * H * W]
  /// Throws ShapeError that names the image, counted from `first`, for an empty one and for one that does not become an
  /// image of the model's shape.
  [[nodiscard]] ImageBatch<float> operator()(std::span<const Image> images, const ImageShape& shape,
                                             std::size_t first = 0) const {
    std::vector<Image> seen;
    for (std::size_t i = 0; i < images.size(); ++i) {
      require<ShapeError>(!images[i].empty(), kWhere, "image ", first + i, " is empty");
      try {
        seen.push_back(resize(images[i], shape.channels));
      } catch (const ShapeError& error) {
        fail<ShapeError>(kWhere, "image ", first + i, ": ", error.what());
      }
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

    /// The folder is where config.json tells the model, if the file does not name a class.
    [[nodiscard]] ImagePreprocessorOptions options(const std::filesystem::path& folder) const {
      ImagePreprocessorOptions options = family_defaults(folder);
      const bool crops = flag("do_center_crop", options.crop_size.has_value());
      options.size = flag("do_resize", true) ? std::optional(size("size", *options.size)) : std::nullopt;
      options.crop_size = crops ? std::optional(size("crop_size", ImageSize{})) : std::nullopt;
      require<IoError>(!options.crop_size || !options.crop_size->shortest_edge, kWhere, reader_.file(),
                       ": \"crop_size\" must have a \"height\" and a \"width\"");
      Index resample = static_cast<Index>(options.resample);
      read("resample", resample);
      const auto known = named_values(Resampling());
      reader_.expect(resample < std::ssize(known), "resample", json_.value("resample", nlohmann::json()),
                     "one of Pillow's numbers of filters, 0 to 5");
      options.resample = at(known, resample).value;
      double factor = 1 / 255.0;
      read("rescale_factor", factor);
      if (!flag("do_rescale", true)) factor = 1;
      numbers("image_mean", options.normalization.mean);
      numbers("image_std", options.normalization.standard_deviation);
      if (!flag("do_normalize", true)) options.normalization = {};
      reader_.expect(factor > 0, "rescale_factor", json_.value("rescale_factor", nlohmann::json()), "positive");
      // (v f - mean) / deviation is (v / 255 - mean / (255 f)) / (deviation / (255 f)).
      for (double& value : options.normalization.mean) {
        value /= 255 * factor;
        reader_.expect(std::isfinite(value), "image_mean", json_.value("image_mean", nlohmann::json()), "finite");
      }
      for (double& value : options.normalization.standard_deviation) {
        value /= 255 * factor;
        reader_.expect(value > 0 && std::isfinite(value), "image_std", json_.value("image_std", nlohmann::json()),
                       "positive");
      }
      return options;
    }

   private:
    /// What holds where the file says nothing.
    [[nodiscard]] ImagePreprocessorOptions family_defaults(const std::filesystem::path& folder) const {
      struct Family {
        std::string_view classes, model_type;  // what the names of transformers' classes begin with; in config.json
        ImagePreprocessorOptions (*defaults)();
      };
      constexpr Family kFamilies[] = {{"ViT", "vit", ImagePreprocessorOptions::vit},
                                      {"DeiT", "deit", ImagePreprocessorOptions::deit},
                                      {"Beit", "beit", ImagePreprocessorOptions::beit},
                                      {"CLIP", "clip", ImagePreprocessorOptions::clip}};
      std::string type = text("feature_extractor_type");
      if (json_.contains("image_processor_type")) type = text("image_processor_type");
      const std::string model_type = type.empty() ? pretrained_type(folder) : "";
      for (const Family& family : kFamilies) {
        if (type.empty() && model_type == family.model_type) return family.defaults();
        for (const std::string_view suffix : {"ImageProcessor", "ImageProcessorFast", "FeatureExtractor"}) {
          if (type == std::string(family.classes).append(suffix)) return family.defaults();
        }
      }
      fail<IoError>(
          kWhere, reader_.file(), ": the image processor is ",
          type.empty() ? "that of a model of type " + detail::quote_name(model_type) : detail::quote_name(type),
          ", known are those of ViT, DeiT, BEiT and CLIP");
    }
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
    /// An object with "height" and "width" or with "shortest_edge", or a number: the shorter side where that is what
    /// the default tells, or else both sides. Absent or null, the default.
    [[nodiscard]] ImageSize size(const char* key, const ImageSize& otherwise) const {
      const auto found = json_.find(key);
      if (found == json_.end() || found->is_null()) return otherwise;
      ImageSize size;
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
      } else if (otherwise.shortest_edge) {
        reader_.read(key, *found, size.shortest_edge.emplace());
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
