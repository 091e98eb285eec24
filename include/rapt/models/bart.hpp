/// \file
/// BART (Lewis et al. 2020) and the models that are made like it: mBART (Liu et al. 2020), Pegasus (Zhang et al. 2020),
/// M2M100 (Fan et al. 2021) and NLLB's dense models (NLLB Team 2022), with the conventions of Hugging Face, where they
/// are published. All are the paper's Transformer with one vocabulary and one matrix for both embeddings and the
/// output; they differ in their positions, in the place of the norms, and in a norm of the embeddings.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/core/index.hpp"
#include "rapt/models/bart_config.hpp"
#include "rapt/models/encoder_heads.hpp"
#include "rapt/models/marked_transformer.hpp"
#include "rapt/models/model_part.hpp"
#include "rapt/nn/linear.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What BART's classifier makes of one vector for each sequence: W_2 Dropout(tanh(W_1 Dropout(x)))
template <class T = float>
class BartClassificationHead {
 public:
  BartClassificationHead(const BartConfig& config, Rng& rng)
      : dense_(config.d_model, config.d_model, rng),
        out_proj_(config.d_model, std::ssize(config.labels), rng),
        dropout_(config.classifier_dropout) {}

  /// [B, labels] from [B, D]
  [[nodiscard]] Variable<T> operator()(Variable<T> x) const {
    return out_proj_(dropout(dense_(dropout(std::move(x), dropout_), Activation::tanh), dropout_));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("dense", self.dense_);
    visitor("out_proj", self.out_proj_);
  }

 private:
  Linear<T> dense_, out_proj_;
  float dropout_;
};
static_assert(Module<BartClassificationHead<float>>);

/// A Transformer under BART's conventions. Sources end with an end token, as BART's tokenizer writes them. A const
/// model may be used from many threads.
///
/// A multilingual model is told the target's language by the token with which the target begins: the first token that
/// the decoder reads (mBART), or the one behind it (mBART-50, M2M100, NLLB). One request may ask for another language
/// than the config's:
///
/// ```cpp
/// const auto nllb = rapt::from_pretrained<rapt::Bart<float>>("nllb-200-distilled-600M");
/// rapt::SequenceMarks marks = nllb.sequence_marks();
/// marks.forced_begin = tokenizer.id("deu_Latn");
/// auto found = rapt::beam_search(nllb, source, {}, {.marks = marks});
/// ```
template <class T = float>
class Bart : public MarkedTransformer<BartConfig, T> {
 public:
  using Base = MarkedTransformer<BartConfig, T>;  ///< the Transformer beneath, with Bart's settings and marks

  /// Weights as the Transformer's; throws ValueError for a config that does not fit.
  Bart(const BartConfig& config, Rng& rng) : Base(config, rng) {
    if (!config.labels.empty()) classification_head_.emplace(config, rng);
  }

  /// Scores of the config's labels for each source   // [B, labels]
  /// The decoder reads the source without its last token, behind the begin token or, in mBART, behind that last token,
  /// which is the language's. The head reads the decoder's last hidden state at the last end token of the source.
  /// Throws ValueError for a source without one.
  [[nodiscard]] Variable<T> class_logits(const TokenBatch& source) const {
    const auto& head = detail::require_part(classification_head_, "bart", "classification head");
    require_row_splits(source, "bart");
    const BartConfig& config = this->config();
    TokenBatch target = source;
    std::vector<std::int32_t> rows;
    for (Index s = 0; s < source.sequences(); ++s) {
      const Index begin = source.row_splits.begin(s);
      Index last = source.row_splits.end(s) - 1;
      const auto is_end = [&](TokenId token) {
        return std::find(config.end_tokens.begin(), config.end_tokens.end(), token) != config.end_tokens.end();
      };
      while (last >= begin && !is_end(at(source.tokens, last))) --last;
      require(last >= begin, "bart", "sequence ", s, " has no end token, at which the classification head reads");
      rows.push_back(static_cast<std::int32_t>(last));
      const Index end = source.row_splits.end(s);
      at(target.tokens, begin) = config.family == BartFamily::mbart ? at(source.tokens, end - 1) : config.begin_token;
      for (Index i = begin + 1; i < end; ++i) at(target.tokens, i) = at(source.tokens, i - 1);
    }
    return head(gather_rows<T>(this->hidden(source, target), rows));
  }

  /// The loss of translations is the base's; a Bart with labels has that of classes, too.
  using Base::loss;
  /// The loss of the labels' scores, see `label_loss`. Token types, if there are any, must be 0.
  [[nodiscard]] Variable<T> loss(const LabelledText& batch, const CrossEntropyOptions& options = {}) const {
    detail::require_no_token_types(batch.token_types, batch.input.size(), "bart");
    return label_loss(class_logits(batch.input), batch, this->config().problem, options);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    Base::visit(self, visitor);
    visitor("classification_head", self.classification_head_);
  }

 private:
  std::optional<BartClassificationHead<T>> classification_head_;
};
static_assert(Module<Bart<float>>);

template <class... Arguments>
Bart(const BartConfig&, Arguments&&...) -> Bart<float>;

}}  // namespace rapt::RAPT_ABI
