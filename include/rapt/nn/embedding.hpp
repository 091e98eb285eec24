/// \file
/// Token embedding: a learned row per token, times sqrt(d_model).
#pragma once

#include <cmath>

#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How the rows of an embedding are scaled.
struct EmbeddingOptions {
  /// The paper's 3.4: "In the embedding layers, we multiply those weights by sqrt(d_model)."
  bool scale_by_sqrt_d_model = true;
};

/// y_i = sqrt(d_model) * weight[token_i]   // [N, D]; weight [V, D], normal with variance 1 / D
template <class T = float>
class Embedding {
 public:
  /// The weight is read by row numbers, or as a whole by an output projection that shares it.
  static constexpr MatrixUse kMatrixUse = MatrixUse::table;

  Embedding(Index vocabulary, Index d_model, Rng& rng, const EmbeddingOptions& options = {})
      : scale_(options.scale_by_sqrt_d_model ? std::sqrt(static_cast<T>(d_model)) : T(1)) {
    require(vocabulary > 0 && d_model > 0, "embedding", "sizes must be positive: vocabulary ", vocabulary, ", d_model ",
            d_model);
    weight_ =
        Parameter<T>(init::normal<T>(Shape{vocabulary, d_model}, rng, 1.0 / std::sqrt(static_cast<double>(d_model))));
  }

  /// The embeddings y. Throws ValueError that names the first token outside of the vocabulary   // [N, D]
  [[nodiscard]] Variable<T> operator()(std::span<const TokenId> tokens) const {
    require_ids(tokens, weight_.rows(), "embedding");
    return gather_rows<T>(weight_, tokens, scale_);
  }

  [[nodiscard]] const Parameter<T>& weight() const { return weight_; }
  /// V, the number of rows of the weight.
  [[nodiscard]] Index vocabulary() const { return weight_.rows(); }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight_);
  }

 private:
  T scale_;
  Parameter<T> weight_;
};
static_assert(Module<Embedding<float>>);

}}  // namespace rapt::RAPT_ABI
