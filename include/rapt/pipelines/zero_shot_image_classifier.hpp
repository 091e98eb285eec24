/// \file
/// Classification of images by labels that are chosen at the call, as transformers' pipeline
/// "zero-shot-image-classification": a CLIP tells how well "This is a photo of <label>." describes an image.
///
/// ```cpp
/// const auto classify = rapt::zero_shot_image_classifier("clip-vit-base-patch32");
/// const auto found = classify({{rapt::read_png("photo.png")}}, {{"cat", "dog"}});
/// std::printf("%s %.3f\n", found[0][0].label.c_str(), found[0][0].score);
/// ```
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/images/image.hpp"
#include "rapt/models/clip.hpp"
#include "rapt/pipelines/candidate_labels.hpp"
#include "rapt/pipelines/image_preprocessor.hpp"
#include "rapt/pipelines/label_scores.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/clip.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How labels become the texts that an image is compared with.
struct ZeroShotImageOptions {
  std::string hypothesis_template = "This is a photo of {}.";  ///< the label takes the place of "{}"
};

/// A CLIP with its tokenizer and the preprocessing of its images. A const one may be used from many threads.
class ZeroShotImageClassifier {
 public:
  /// Throws ValueError for a tokenizer with more tokens than the model.
  ZeroShotImageClassifier(Clip<float> model, AnyTokenizer tokenizer, ImagePreprocessor preprocessor)
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)), preprocessor_(std::move(preprocessor)) {
    require(tokenizer_.size() <= model_.config().text.vocabulary, kWhere, "the tokenizer has ", tokenizer_.size(),
            " tokens, the model ", model_.config().text.vocabulary);
    pack_weights(model_);
  }
  /// Reads a folder. Throws IoError that names the file for what is missing, malformed, or not known.
  explicit ZeroShotImageClassifier(const std::filesystem::path& folder)
      : ZeroShotImageClassifier(from_pretrained<Clip<float>>(folder), AnyTokenizer::load(folder),
                                ImagePreprocessor::load(folder)) {
    preprocessor_.require_channels(shape().channels, folder);
  }

  /// All labels of each image with their scores, the best first: the softmax of how well the labels' descriptions fit.
  /// Of equal scores the label that was given first comes first.
  /// Throws ValueError without labels, for a template without "{}" or with several, and for a description that is not
  /// UTF-8 or longer than the model's positions; ShapeError that names the image for an empty one, and for one that
  /// preprocessing does not make as large as the model's.
  [[nodiscard]] std::vector<std::vector<LabelScore>> operator()(std::span<const Image> images,
                                                                std::span<const std::string> candidate_labels,
                                                                const ZeroShotImageOptions& options = {}) const {
    const Inference scope;
    TokenBatch descriptions;
    for (const std::string& text : detail::hypotheses(candidate_labels, options.hypothesis_template, kWhere)) {
      descriptions.push_back(tokenizer_.encode(text));
    }
    const Variable<float> of_labels = model_.text_embedding(descriptions);  // [labels, E]
    std::vector<std::vector<LabelScore>> found;
    for (std::size_t begin = 0; begin < images.size(); begin += kAtOnce) {
      const auto some = images.subspan(begin, std::min(kAtOnce, images.size() - begin));
      const Variable<float> of_images = model_.image_embedding(preprocessor_(some, shape(), begin));
      const Tensor<float> logits = model_.logits(of_images, of_labels).value();  // [images, labels]
      for (Index i = 0; i < logits.rows(); ++i) {
        const auto scores = detail::scores_of({logits.row(i), to_size(logits.cols())}, ScoreFunction::softmax);
        found.push_back(detail::best_labels(candidate_labels, scores, std::nullopt));
      }
    }
    return found;
  }

  /// The model that compares images with texts.
  [[nodiscard]] const Clip<float>& model() const { return model_; }
  [[nodiscard]] const AnyTokenizer& tokenizer() const { return tokenizer_; }
  /// How images become the model's input.
  [[nodiscard]] const ImagePreprocessor& preprocessor() const { return preprocessor_; }

 private:
  static constexpr std::string_view kWhere = "zero_shot_image_classifier";
  static constexpr std::size_t kAtOnce = 16;

  [[nodiscard]] const ImageShape& shape() const { return model_.config().vision.grid.image; }

  Clip<float> model_;
  AnyTokenizer tokenizer_;
  ImagePreprocessor preprocessor_;
};

/// The classifier of a folder.
[[nodiscard]] inline ZeroShotImageClassifier zero_shot_image_classifier(const std::filesystem::path& folder) {
  return ZeroShotImageClassifier(folder);
}

}}  // namespace rapt::RAPT_ABI
