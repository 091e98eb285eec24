/// \file
/// What the heads of text encoders share: the masked-language head, the first token's hidden state, and the losses of
/// labels, numbers and answers to questions.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/binary_cross_entropy.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/mean_squared_error.hpp"
#include "rapt/autograd/ops/place_cross_entropy.hpp"
#include "rapt/core/named_value.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/nn/layer_norm.hpp"
#include "rapt/nn/linear.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What the scores of a model's labels mean, which decides the loss.
enum class LabelProblem {
  single_label,  ///< one label is right: cross-entropy of their softmax
  multi_label,   ///< any number of labels is right: binary cross-entropy of each one's sigmoid
  regression,    ///< the scores are numbers to be predicted: mean squared error
};

/// Hugging Face's names.
[[nodiscard]] constexpr auto named_values(LabelProblem) {
  return std::to_array<NamedValue<LabelProblem>>({{"single_label_classification", LabelProblem::single_label},
                                                  {"multi_label_classification", LabelProblem::multi_label},
                                                  {"regression", LabelProblem::regression}});
}

namespace detail {

/// The scores whose label counts, and these labels as numbers   // [n, 1] both, from [N, 1] and [N]
template <class T>
struct CountedScores {
  Variable<T> scores;
  Tensor<T> targets;
};

/// Throws `[where] ...`: ShapeError unless each score has a label, ValueError if all labels are kIgnoredLabel.
template <class T>
[[nodiscard]] CountedScores<T> counted_scores(const Variable<T>& scores, std::span<const std::int32_t> labels,
                                              std::string_view where) {
  require<ShapeError>(scores.cols() == 1 && std::ssize(labels) == scores.rows(), where, labels.size(),
                      " labels for scores of shape ", scores.shape());
  std::vector<std::int32_t> rows;
  for (Index i = 0; i < std::ssize(labels); ++i) {
    if (at(labels, i) != kIgnoredLabel) rows.push_back(static_cast<std::int32_t>(i));
  }
  require(!rows.empty(), where, "there is nothing to take the mean of: all ", labels.size(), " labels are ",
          kIgnoredLabel);
  Tensor<T> targets(Shape{std::ssize(rows), 1});
  std::transform(rows.begin(), rows.end(), targets.data(),
                 [&](std::int32_t row) { return static_cast<T>(at(labels, row)); });
  const bool all = rows.size() == labels.size();
  return {all ? scores : gather_rows<T>(scores, rows), std::move(targets)};
}

/// The config's problem, except that the labels of tokens are single ones whatever it says, as in transformers.
[[nodiscard]] inline std::optional<LabelProblem> problem_of(const LabelledText& batch, bool labels_tokens,
                                                            std::optional<LabelProblem> configured) {
  return labels_tokens && batch.values.empty() ? LabelProblem::single_label : configured;
}

}  // namespace detail

/// The loss of a model's label scores [B, labels], or of tokens [N, labels]: `problem` says which. If it is unset, it
/// is regression where the model has one label, and otherwise labels are single ones and values multiple labels, as
/// transformers takes them. The batch has values for regression and for multiple labels; the numbers of a regression
/// with one label may stand among its labels instead. Labels that are kIgnoredLabel count for nothing, whatever the
/// `options` say, which are those of the cross-entropy.
template <class T>
[[nodiscard]] Variable<T> label_loss(const Variable<T>& scores, const LabelledText& batch,
                                     std::optional<LabelProblem> problem, const CrossEntropyOptions& options = {}) {
  const LabelProblem kind = problem.value_or(scores.cols() == 1     ? LabelProblem::regression
                                             : batch.values.empty() ? LabelProblem::single_label
                                                                    : LabelProblem::multi_label);
  const bool single = kind == LabelProblem::single_label;
  if (kind == LabelProblem::regression && scores.cols() == 1 && batch.values.empty()) {
    detail::CountedScores<T> counted = detail::counted_scores(scores, batch.labels, "label_loss");
    return mean_squared_error(counted.scores, std::move(counted.targets));
  }
  require(single ? batch.values.empty() : batch.labels.empty(), "label_loss", "the loss of ", name_of(kind), " takes ",
          single ? "labels, not " : "values, not ", single ? batch.values.size() : batch.labels.size(),
          single ? " values" : " labels");
  if (single) {
    require(scores.cols() > 1, "label_loss", "cross-entropy needs at least two labels to choose from: the scores have ",
            "shape ", scores.shape());
    CrossEntropyOptions ignoring = options;
    ignoring.ignore_index = kIgnoredLabel;
    return cross_entropy(scores, batch.labels, ignoring);
  }
  require<ShapeError>(std::ssize(batch.values) == scores.size(), "label_loss", batch.values.size(),
                      " values for scores of shape ", scores.shape());
  Tensor<T> values(scores.shape());
  std::transform(batch.values.begin(), batch.values.end(), values.data(), [](float v) { return static_cast<T>(v); });
  return kind == LabelProblem::regression ? mean_squared_error(scores, std::move(values))
                                          : binary_cross_entropy(scores, std::move(values));
}

/// The mean of the cross-entropies of the answers' first and last tokens, each among the tokens of its sequence.
/// Sequences that do not hold the answer's first or last token count for nothing there   // scores [N, 2]
/// Steps over micro-batches weigh each by its number of targets: together they are the step over one batch if, as of
/// answers that are wholly in a sequence or not at all, each has as many first as last tokens that count.
template <class T>
[[nodiscard]] Variable<T> question_loss(const Variable<T>& scores, const QuestionBatch& batch) {
  require<ShapeError>(batch.starts.size() == batch.ends.size(), "question_loss", batch.starts.size(), " starts for ",
                      batch.ends.size(), " ends of answers");
  std::vector<std::int32_t> places;
  places.reserve(2 * batch.starts.size());
  for (std::size_t s = 0; s < batch.starts.size(); ++s) {
    places.push_back(batch.starts[s]);
    places.push_back(batch.ends[s]);
  }
  return place_cross_entropy(scores, batch.input.row_splits, places);
}

/// ELECTRA's objective (Clark et al. 2020): the mean binary cross-entropy of each token's score and whether it is
/// another token than in the text, 1, or not, 0. Tokens with the label kIgnoredLabel count for nothing
/// // scores [N, 1], labels [N]
template <class T>
[[nodiscard]] Variable<T> replaced_token_loss(const Variable<T>& scores, std::span<const std::int32_t> labels) {
  constexpr std::string_view kWhere = "replaced_token_loss";
  for (Index i = 0; i < std::ssize(labels); ++i) {
    const std::int32_t label = at(labels, i);
    require(label == 0 || label == 1 || label == kIgnoredLabel, kWhere, "label ", label, " at position ", i,
            " must be 0, 1 or ", kIgnoredLabel);
  }
  detail::CountedScores<T> counted = detail::counted_scores(scores, labels, kWhere);
  return binary_cross_entropy(counted.scores, std::move(counted.targets));
}

namespace detail {

/// For models that tell no types of tokens: throws unless there are none, or one for each token, 0 all.
inline void require_no_token_types(std::span<const std::int32_t> types, Index tokens, std::string_view where) {
  require<ShapeError>(types.empty() || std::ssize(types) == tokens, where, types.size(), " token types for ", tokens,
                      " tokens");
  const auto other = std::find_if(types.begin(), types.end(), [](std::int32_t type) { return type != 0; });
  require(other == types.end(), where, "the model tells no token types, it is given type ",
          other == types.end() ? 0 : *other);
}

/// The hidden state of the first token of each sequence   // [B, D] from [N, D]
/// Throws ShapeError or ValueError `[where] ...` for row splits of other rows and for an empty sequence.
template <class T>
[[nodiscard]] Variable<T> first_rows(const Variable<T>& hidden, const RowSplits& splits, std::string_view where) {
  require<ShapeError>(hidden.rows() == splits.rows(), where, "the hidden state has shape ", hidden.shape(),
                      ", row splits end at ", splits.rows());
  std::vector<std::int32_t> rows;
  rows.reserve(to_size(splits.sequences()));
  for (Index s = 0; s < splits.sequences(); ++s) {
    require(splits.length(s) > 0, where, "sequence ", s, " is empty: it has no first token");
    rows.push_back(static_cast<std::int32_t>(splits.begin(s)));
  }
  return gather_rows<T>(hidden, rows);
}

}  // namespace detail

/// The layer between hidden states and a head: its width, activation and norm.
struct HiddenTransformOptions {
  Index inputs = 768;   ///< D, columns of the hidden states
  Index outputs = 768;  ///< E
  Activation activation = Activation::gelu;
  double norm_epsilon = 1e-12;  ///< what the norm adds to the variance
  bool bias = true;             ///< of the linear map
  bool norm_bias = true;        ///< of the norm
};

/// LayerNorm(activation(x W^T + b)): what stands before the projections of heads   // [N, E] from [N, D]
template <class T = float>
class HiddenTransform {
 public:
  HiddenTransform(const HiddenTransformOptions& options, Rng& rng)
      : activation_(options.activation),
        dense_(options.inputs, options.outputs, rng, {.bias = options.bias}),
        norm_(options.outputs, options.norm_epsilon, options.norm_bias) {}

  /// The formula above, for each row of `hidden`.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& hidden) const { return norm_(dense_(hidden, activation_)); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("dense", self.dense_);
    visitor("norm", self.norm_);
  }

 private:
  Activation activation_;
  Linear<T> dense_;
  LayerNorm<T> norm_;
};
static_assert(Module<HiddenTransform<float>>);

/// What stands before the projection onto the vocabulary, which is the embedding [V, E], transposed, with a bias of its
/// own   // [N, E] from [N, D]
template <class T = float>
class MaskedLanguageHead {
 public:
  MaskedLanguageHead(const HiddenTransformOptions& options, Index vocabulary, Rng& rng)
      : transform_(options, rng), bias_(init::constant<T>(Shape{vocabulary}, T(0))) {}

  /// The transformed rows, of which the logits are the products with the embedding, plus `bias()`.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& hidden) const { return transform_(hidden); }
  [[nodiscard]] const Parameter<T>& bias() const { return bias_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    HiddenTransform<T>::visit(self.transform_, visitor);
    visitor("bias", self.bias_);
  }

 private:
  HiddenTransform<T> transform_;
  Parameter<T> bias_;
};
static_assert(Module<MaskedLanguageHead<float>>);

/// activation(x W_1^T + b_1) w_2 + b_2   // [N, 1] from [N, D]
template <class T = float>
class ReplacedTokenHead {
 public:
  ReplacedTokenHead(Index d_model, Activation activation, Rng& rng)
      : activation_(activation), dense_(d_model, d_model, rng), prediction_(d_model, 1, rng) {}

  /// The logit of each token being a replaced one.
  [[nodiscard]] Variable<T> operator()(const Variable<T>& hidden) const {
    return prediction_(dense_(hidden, activation_));
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("dense", self.dense_);
    visitor("prediction", self.prediction_);
  }

 private:
  Activation activation_;
  Linear<T> dense_, prediction_;
};
static_assert(Module<ReplacedTokenHead<float>>);

}}  // namespace rapt::RAPT_ABI
