/// \file
/// DeiT: a ViT with a second learned token, which answers as a teacher does (Touvron et al. 2021). So it learns from a
/// few images what otherwise takes many.
#pragma once

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/distillation.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/models/label_loss.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/models/vit.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Everything that makes a DeiT: what makes a ViT, and whether the distillation token has a head of its own. Defaults
/// are DeiT-B's, of the encoder alone.
struct DeitConfig : VitConfig {
  bool distillation_head = false;  ///< beside the one of the class token; needs labels

  /// The paper's sizes, of 6, 22 and 87 million parameters.
  [[nodiscard]] static DeitConfig tiny() { return {{.d_model = 192, .heads = 3, .d_ff = 768}}; }
  [[nodiscard]] static DeitConfig small() { return {{.d_model = 384, .heads = 6, .d_ff = 1536}}; }
  [[nodiscard]] static DeitConfig base() { return {}; }

  /// Throws ValueError that names the values which do not fit.
  void validate() const {
    VitConfig::validate();
    require(!distillation_head || !labels.empty(), "deit", "the distillation head needs labels");
    require(pooling == ImagePooling::class_token, "deit", "it has no pooling by the mean");
  }

  /// The model's name in files, and every setting with its name there.
  static constexpr std::string_view kName = "deit";
  template <class Self, class Visitor>
  static void visit_fields(Self& self, const Visitor& field) {
    VitConfig::visit_fields(self, field);
    field("distillation_head", self.distillation_head);
  }
};

/// The encoder, and the pooler or the one or two classification heads that the config names. A const model may be used
/// from many threads.
///
/// ```cpp
/// const auto loss = deit.loss(batch, teacher(batch.images).value(), {.targets = rapt::TeacherTargets::hard});
/// ```
template <class T = float>
class Deit {
 public:
  using ScalarType = T;
  using Config = DeitConfig;

  /// Throws ValueError for a config that does not fit.
  Deit(const DeitConfig& config, Rng& rng)
      : config_(detail::checked(config)), encoder_(config, /*distillation_token=*/true, rng) {
    const Index classes = static_cast<Index>(config.labels.size());
    if (config.pooler) pooler_ = detail::vit_head<T>(config, config.pooler_width.value_or(config.d_model), rng);
    if (classes > 0) classifier_ = detail::vit_head<T>(config, classes, rng);
    if (config.distillation_head) distillation_classifier_ = detail::vit_head<T>(config, classes, rng);
  }

  /// The last hidden state: of each image the class token, the distillation token, then its patches, row by row
  ///   // [B (P + 2), D]
  [[nodiscard]] Variable<T> hidden(const ImageBatch<T>& images, const VitOptions<T>& options = {}) const {
    return encoder_(images, options);
  }
  /// Where each image's rows are.
  [[nodiscard]] RowSplits splits(const ImageBatch<T>& images) const { return encoder_.splits(images); }

  /// What the pooler makes of the class token   // [B, pooler width] from hidden states [B (P + 2), D]
  [[nodiscard]] Variable<T> pooler_output(const Variable<T>& hidden, const RowSplits& splits) const {
    return detail::require_part(pooler_, "deit", "pooler")(VitEncoder<T>::token_rows(hidden, splits, 0),
                                                           config_.pooler_activation);
  }
  /// Scores of the config's labels, of the class token   // [B, labels] from hidden states [B (P + 2), D]
  [[nodiscard]] Variable<T> class_logits(const Variable<T>& hidden, const RowSplits& splits) const {
    const Linear<T>& head = detail::require_part(classifier_, "deit", "classification head");
    return head(VitEncoder<T>::token_rows(hidden, splits, 0));
  }
  /// The same of the distillation token.
  [[nodiscard]] Variable<T> distillation_logits(const Variable<T>& hidden, const RowSplits& splits) const {
    const Linear<T>& head = detail::require_part(distillation_classifier_, "deit", "distillation head");
    return head(VitEncoder<T>::token_rows(hidden, splits, 1));
  }
  /// The mean of both heads' scores, or the class token's where it has the only one   // [B, labels]
  [[nodiscard]] Variable<T> logits(const Variable<T>& hidden, const RowSplits& splits) const {
    const Variable<T> of_class = class_logits(hidden, splits);
    if (!distillation_classifier_) return of_class;
    return scale(add(of_class, distillation_logits(hidden, splits)), T(0.5));
  }
  /// The same of images   // [B, labels]
  [[nodiscard]] Variable<T> operator()(const ImageBatch<T>& images, const VitOptions<T>& options = {}) const {
    return logits(hidden(images, options), splits(images));
  }

  /// Mean cross-entropy of the images' labels, without a teacher.
  [[nodiscard]] Variable<T> loss(const LabelledImages<T>& batch, const CrossEntropyOptions& options = {}) const {
    return label_loss((*this)(batch.images), batch, options);
  }
  /// The paper's equations 2 and 3: (1 - weight) times the class token's cross-entropy with the labels, plus weight
  /// times the distillation token's distance from the teacher's scores [B, labels], as `distillation` says.
  [[nodiscard]] Variable<T> loss(const LabelledImages<T>& batch, const Tensor<T>& teacher,
                                 const DistillationOptions& distillation, const CrossEntropyOptions& options = {},
                                 const VitOptions<T>& more = {}) const {
    const float weight = distillation.weight;
    require(weight >= 0.f && weight <= 1.f, "deit", "weight must be in [0, 1]: ", weight);
    const Variable<T> rows = hidden(batch.images, more);
    const RowSplits row_splits = splits(batch.images);
    const Variable<T> of_labels = label_loss(class_logits(rows, row_splits), batch, options);
    DistillationOptions teacher_alone = distillation;
    teacher_alone.weight = 1;
    const Variable<T> of_teacher =
        distillation_loss<T>(distillation_logits(rows, row_splits), teacher, {}, teacher_alone);
    return add(scale(of_labels, static_cast<T>(1 - weight)), scale(of_teacher, static_cast<T>(weight)));
  }

  [[nodiscard]] const DeitConfig& config() const { return config_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    VitEncoder<T>::visit(self.encoder_, visitor);
    visitor("pooler", self.pooler_);
    visitor("classifier", self.classifier_);
    visitor("distillation_classifier", self.distillation_classifier_);
  }

 private:
  DeitConfig config_;
  VitEncoder<T> encoder_;
  std::optional<Linear<T>> pooler_, classifier_, distillation_classifier_;
};
static_assert(Module<Deit<float>>);

template <class... Arguments>
Deit(const DeitConfig&, Arguments&&...) -> Deit<float>;

}}  // namespace rapt::RAPT_ABI
