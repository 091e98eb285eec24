/// \file
/// Some rows of an output projection: the scores of some tokens alone.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "rapt/autograd/packed_weight.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// linear(x, weight, bias) is what `logits` gives for these tokens.
template <class T>
struct OutputRows {
  Parameter<T> weight;  ///< [tokens, D], kept in packed form
  Parameter<T> bias;    ///< [tokens]; undefined: none
};

/// Copies the rows of `tokens` from a weight [V, D] and from its bias [V], which may be undefined. If the weight is
/// kept in a format of its own, so are they. Throws ValueError for a token outside of the vocabulary, and for a weight
/// that is kept in packed form alone.
template <class T>
[[nodiscard]] OutputRows<T> output_rows(const Parameter<T>& weight, const Parameter<T>& bias,
                                        std::span<const TokenId> tokens) {
  constexpr std::string_view kWhere = "output_rows";
  require(weight.value().has_elements(), kWhere, "a weight of shape ", weight.shape(),
          " is kept in packed form alone: it has no rows to copy");
  const Index count = std::ssize(tokens), width = weight.cols();
  Tensor<T> rows(Shape{count, width}), offsets(Shape{bias.defined() ? count : 0});
  for (Index i = 0; i < count; ++i) {
    const Index token = at(tokens, i);
    require(token >= 0 && token < weight.rows(), kWhere, "token ", token, " is outside the vocabulary of ",
            weight.rows());
    std::copy_n(weight.value().row(token), width, rows.row(i));
    if (bias.defined()) offsets.data()[i] = bias.value().data()[token];
  }
  OutputRows<T> result{.weight = Parameter<T>(std::move(rows)), .bias = {}};
  const PackedWeight<T>& packed = *weight.node()->packed();
  result.weight.node()->packed()->keep(true, packed.is_kept() ? packed.format() : nullptr);
  if (bias.defined()) result.bias = Parameter<T>(std::move(offsets));
  return result;
}

}}  // namespace rapt::RAPT_ABI
