/// \file
/// The encoder of a Hugging Face folder behind one interface, whatever family it is of: which one is known when the
/// program runs, from "model_type" in config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/models/bart.hpp"
#include "rapt/models/bert.hpp"
#include "rapt/models/modern_bert.hpp"
#include "rapt/pipelines/model_families.hpp"
#include "rapt/pretrained/bart.hpp"
#include "rapt/pretrained/bert.hpp"
#include "rapt/pretrained/modern_bert.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What an encoder says of texts; a folder's model has the head for one of them.
enum class EncoderHead {
  sequence_classes,  ///< scores of labels for a whole sequence
  token_classes,     ///< scores of labels for each token
  spans,             ///< scores of each token to be the first and the last of an answer
  vocabulary,        ///< scores of each token of the vocabulary to stand at a place
};

/// An encoder with a head. A const one may be used from many threads.
class EncoderModel {
 public:
  EncoderModel() = default;
  EncoderModel(const EncoderModel&) = delete;
  EncoderModel& operator=(const EncoderModel&) = delete;
  virtual ~EncoderModel() = default;

  /// True if the model can give these scores.
  [[nodiscard]] virtual bool has(EncoderHead head) const = 0;
  /// The names of the classes that the head tells apart.
  [[nodiscard]] virtual const std::vector<std::string>& labels() const = 0;
  /// V, the number of tokens of the model.
  [[nodiscard]] virtual Index vocabulary() const = 0;
  /// The number of tokens of the longest sequence, special tokens included.
  [[nodiscard]] virtual Index longest() const = 0;
  /// Scores before softmax: of sequence_classes   // [B, labels]
  /// of token_classes   // [N, labels]
  /// of spans   // [N, 2]
  /// and of vocabulary for the tokens at `rows`   // [rows, V]
  /// `token_types`: of each token, as the tokenizer gives them; empty: all 0.
  [[nodiscard]] virtual Tensor<float> scores(EncoderHead head, const TokenBatch& batch,
                                             std::span<const std::int32_t> token_types,
                                             std::span<const std::int32_t> rows) const = 0;
};

namespace detail {

template <class M>
class EncoderModelOf final : public EncoderModel {
 public:
  explicit EncoderModelOf(const std::filesystem::path& folder) : model_(from_pretrained<M>(folder)) {
    pack_weights(model_);
  }

  [[nodiscard]] bool has(EncoderHead head) const override {
    const auto& config = model_.config();
    switch (head) {
      case EncoderHead::sequence_classes:
        return !config.labels.empty() && !labels_tokens();
      case EncoderHead::token_classes:
        return !config.labels.empty() && labels_tokens();
      case EncoderHead::spans:
        return config.question_head;
      case EncoderHead::vocabulary:
        return config.masked_language_head;
    }
    return false;
  }
  [[nodiscard]] const std::vector<std::string>& labels() const override { return model_.config().labels; }
  [[nodiscard]] Index vocabulary() const override { return model_.config().vocabulary; }
  [[nodiscard]] Index longest() const override { return model_.config().positions; }
  [[nodiscard]] Tensor<float> scores(EncoderHead head, const TokenBatch& batch,
                                     std::span<const std::int32_t> token_types,
                                     std::span<const std::int32_t> rows) const override {
    const Inference scope;
    const Variable<float> hidden = model_.hidden(batch, tells_types() ? token_types : std::span<const std::int32_t>());
    if (head == EncoderHead::spans) return model_.question_logits(hidden).value();
    if (head == EncoderHead::vocabulary) return model_.logits(gather_rows<float>(hidden, rows)).value();
    return model_.class_logits(hidden, batch.row_splits).value();
  }

 private:
  [[nodiscard]] bool labels_tokens() const {
    const auto& config = model_.config();
    if constexpr (requires { config.labels_tokens(); }) {
      return config.labels_tokens();
    } else {
      return config.token_labels;
    }
  }
  /// Tokenizers may give types to pairs of texts that the model does not tell.
  [[nodiscard]] bool tells_types() const {
    const auto& config = model_.config();
    if constexpr (requires { config.token_types; }) {
      return config.token_types > 1;
    } else {
      return false;
    }
  }

  M model_;
};

/// The classifiers of BART and mBART, whose head reads the decoder.
template <>
class EncoderModelOf<Bart<float>> final : public EncoderModel {
 public:
  explicit EncoderModelOf(const std::filesystem::path& folder) : model_(from_pretrained<Bart<float>>(folder)) {
    pack_weights(model_);
  }

  [[nodiscard]] bool has(EncoderHead head) const override {
    return head == EncoderHead::sequence_classes && !labels().empty();
  }
  [[nodiscard]] const std::vector<std::string>& labels() const override { return model_.config().labels; }
  [[nodiscard]] Index vocabulary() const override { return model_.config().vocabulary; }
  [[nodiscard]] Index longest() const override { return model_.config().positions; }
  /// Of sequence_classes alone; BART tells no types of tokens.
  [[nodiscard]] Tensor<float> scores(EncoderHead head, const TokenBatch& batch, std::span<const std::int32_t>,
                                     std::span<const std::int32_t>) const override {
    require(has(head), "load_encoder", "a Bart has no other head than that for classes of sequences");
    const Inference scope;
    return model_.class_logits(batch).value();
  }

 private:
  Bart<float> model_;
};

/// Bert is RoBERTa, DistilBERT, ELECTRA and ALBERT, too.
using EncoderFamilies = ModelFamilies<Bert<float>, ModernBert<float>, Bart<float>>;

}  // namespace detail

/// The encoder of a folder. Throws IoError that names the families for another one's folder, and as `from_pretrained`.
[[nodiscard]] inline std::shared_ptr<const EncoderModel> load_encoder(const std::filesystem::path& folder) {
  return detail::load_one_of<EncoderModel, detail::EncoderModelOf>(detail::EncoderFamilies(), folder, "load_encoder");
}

}}  // namespace rapt::RAPT_ABI
