/// \file
/// Classification of images among labels that are given as words: a CLIP says which description fits best.
///
/// ```cpp
/// const auto classifier = rapt::zero_shot_image_classifier("clip-vit-base-patch32");
/// const auto found = classifier(rapt::read_png("photo.png"), {"cat", "dog"});
/// std::printf("%s %.3f\n", found[0].label.c_str(), found[0].score);
/// ```
#pragma once

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/images/image.hpp"
#include "rapt/models/clip.hpp"
#include "rapt/pipelines/image_preprocessing.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pretrained/clip.hpp"
#include "rapt/text/replace_all.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A label and how probable it is among the labels that were given; their scores add up to 1.
struct LabelScore {
  std::string label;
  float score = 0;
};

/// A CLIP with its tokenizer and the preprocessing of its images. A const one may be used from many threads.
class ZeroShotImageClassifier {
 public:
  /// What a description says, with "{}" in the place of the label; the paper's, and transformers' default.
  static constexpr std::string_view kDescription = "This is a photo of {}.";

  /// Throws ValueError for a tokenizer with more tokens than the model.
  ZeroShotImageClassifier(Clip<float> model, AnyTokenizer tokenizer, ImagePreprocessing preprocessing = {})
      : model_(std::move(model)), tokenizer_(std::move(tokenizer)), preprocessing_(std::move(preprocessing)) {
    require(tokenizer_.size() <= model_.config().text.vocabulary, kWhere, "the tokenizer has ", tokenizer_.size(),
            " tokens, the model ", model_.config().text.vocabulary);
    pack_weights(model_);
  }

  /// The labels with their scores, the best first. Throws as `scores`.
  [[nodiscard]] std::vector<LabelScore> operator()(const Image& image, const std::vector<std::string>& labels,
                                                   std::string_view description = kDescription) const {
    const Tensor<float> found = scores(std::span(&image, 1), labels, description);
    std::vector<LabelScore> result;
    for (std::size_t i = 0; i < labels.size(); ++i) result.push_back({labels[i], found.data()[i]});
    std::stable_sort(result.begin(), result.end(),
                     [](const LabelScore& a, const LabelScore& b) { return a.score > b.score; });
    return result;
  }

  /// The probability of each label for each image: softmax of the model's logits   // [images, labels]
  /// Throws ValueError without labels, for a description without "{}" or longer than the model's positions, and for
  /// text that is not UTF-8.
  [[nodiscard]] Tensor<float> scores(std::span<const Image> images, std::span<const std::string> labels,
                                     std::string_view description = kDescription) const {
    const Inference scope;
    require(!labels.empty(), kWhere, "there are no labels");
    require(description.find("{}") != description.npos, kWhere,
            "the description must have {} in the place of the label: ", description);
    TokenBatch texts;
    for (const std::string& label : labels) {
      std::string text(description);
      detail::replace_all(text, "{}", label);
      texts.push_back(tokenizer_.encode(text));
    }
    const Variable<float> of_labels = model_.text_embedding(texts);
    Tensor<float> result(Shape{std::ssize(images), std::ssize(labels)});
    for (std::size_t begin = 0; begin < images.size(); begin += kImagesAtOnce) {
      const auto part = images.subspan(begin, std::min(kImagesAtOnce, images.size() - begin));
      const Tensor<float> probabilities =
          model_.probabilities(model_.image_embedding(preprocessing_(part)), of_labels).value();
      std::copy_n(probabilities.data(), probabilities.size(), result.row(static_cast<Index>(begin)));
    }
    return result;
  }

  [[nodiscard]] const Clip<float>& model() const { return model_; }
  [[nodiscard]] const AnyTokenizer& tokenizer() const { return tokenizer_; }
  [[nodiscard]] const ImagePreprocessing& preprocessing() const { return preprocessing_; }

 private:
  static constexpr std::string_view kWhere = "zero_shot_image_classifier";
  static constexpr std::size_t kImagesAtOnce = 16;  // so that many images need no more memory than these

  Clip<float> model_;
  AnyTokenizer tokenizer_;
  ImagePreprocessing preprocessing_;
};

/// Reads a folder: model, tokenizer, and the preprocessing of images. Throws IoError that names the file for what is
/// missing, malformed, or not known.
[[nodiscard]] inline ZeroShotImageClassifier zero_shot_image_classifier(const std::filesystem::path& folder) {
  return {from_pretrained<Clip<float>>(folder), AnyTokenizer::load(folder), load_image_preprocessing(folder)};
}

}}  // namespace rapt::RAPT_ABI
