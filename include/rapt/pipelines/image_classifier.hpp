/// \file
/// Classification of images by a ViT, DeiT or BEiT of a Hugging Face folder, as transformers' pipeline
/// "image-classification".
///
/// ```cpp
/// const auto classify = rapt::image_classifier("vit-base-patch16-224");
/// const auto labels = classify({{rapt::read_png("cat.png")}}, {.top_k = 3});
/// ```
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/images/image.hpp"
#include "rapt/pipelines/image_preprocessor.hpp"
#include "rapt/pipelines/label_scores.hpp"
#include "rapt/pipelines/model_families.hpp"
#include "rapt/pipelines/task_folder.hpp"
#include "rapt/pretrained/beit.hpp"
#include "rapt/pretrained/deit.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "rapt/pretrained/vit.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// A classifier of images of whatever family.
class ImageModel {
 public:
  ImageModel() = default;
  ImageModel(const ImageModel&) = delete;
  ImageModel& operator=(const ImageModel&) = delete;
  virtual ~ImageModel() = default;
  [[nodiscard]] virtual const std::vector<std::string>& labels() const = 0;
  [[nodiscard]] virtual const ImageShape& shape() const = 0;
  /// Scores before softmax   // [B, labels]
  [[nodiscard]] virtual Tensor<float> scores(const ImageBatch<float>& images) const = 0;
};

template <class M>
class ImageModelOf final : public ImageModel {
 public:
  explicit ImageModelOf(const std::filesystem::path& folder) : model_(from_pretrained<M>(folder)) {
    pack_weights(model_);
  }
  [[nodiscard]] const std::vector<std::string>& labels() const override { return model_.config().labels; }
  [[nodiscard]] const ImageShape& shape() const override { return model_.config().grid.image; }
  [[nodiscard]] Tensor<float> scores(const ImageBatch<float>& images) const override {
    const Inference scope;
    return model_(images).value();
  }

 private:
  M model_;
};

using ImageFamilies = ModelFamilies<Vit<float>, Deit<float>, Beit<float>>;

}  // namespace detail

/// Which labels are returned, and how logits become scores.
struct ImageClassifierOptions {
  std::optional<Index> top_k = 5;                       ///< labels for each image; unset: all
  std::optional<ScoreFunction> function_to_apply = {};  ///< unset: by the folder's "problem_type"
};

/// Tells the labels of images. A const one may be used from many threads.
class ImageClassifier {
 public:
  /// Throws IoError for a folder whose model does not classify images, or that does not say how images are prepared.
  explicit ImageClassifier(const std::filesystem::path& folder)
      : folder_(folder, kWhere),
        preprocessor_(ImagePreprocessor::load(folder)),
        model_(detail::load_one_of<detail::ImageModel, detail::ImageModelOf>(detail::ImageFamilies(), folder, kWhere)) {
    require<IoError>(!model_->labels().empty(), kWhere, folder.string(), ": ", folder_.architecture(),
                     " has no head for this task; needed is ...ForImageClassification");
    preprocessor_.require_channels(model_->shape().channels, folder);
  }

  /// The labels of each image with their scores, the best first; of equal scores the label with the smaller
  /// number. Throws ShapeError that names the image for an empty
  /// one, and for one that preprocessing does not make as large as the model's.
  [[nodiscard]] std::vector<std::vector<LabelScore>> operator()(std::span<const Image> images,
                                                                const ImageClassifierOptions& options = {}) const {
    require_top_k(options.top_k, kWhere);
    const ScoreFunction function =
        options.function_to_apply.value_or(detail::default_function(folder_.problem_type(), labels().size()));
    std::vector<std::vector<LabelScore>> found;
    for (std::size_t begin = 0; begin < images.size(); begin += kAtOnce) {
      const auto some = images.subspan(begin, std::min(kAtOnce, images.size() - begin));
      const Tensor<float> logits = model_->scores(preprocessor_(some, model_->shape(), begin));
      for (Index i = 0; i < logits.rows(); ++i) {
        const auto scores = detail::scores_of({logits.row(i), to_size(logits.cols())}, function);
        found.push_back(detail::best_labels(labels(), scores, options.top_k));
      }
    }
    return found;
  }

  [[nodiscard]] const std::vector<std::string>& labels() const { return model_->labels(); }

 private:
  static constexpr std::string_view kWhere = "image_classifier";
  static constexpr std::size_t kAtOnce = 8;

  TaskFolder folder_;
  ImagePreprocessor preprocessor_;
  std::shared_ptr<const detail::ImageModel> model_;
};

/// The classifier of a folder.
[[nodiscard]] inline ImageClassifier image_classifier(const std::filesystem::path& folder) {
  return ImageClassifier(folder);
}

}}  // namespace rapt::RAPT_ABI
