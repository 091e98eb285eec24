/// \file
/// A model of a few numbers and a text, for tests of the loops that train models.
#pragma once

#include <vector>

#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/data/windows.hpp"
#include "rapt/nn/module.hpp"

namespace rapt_test {

/// A table of logits: the next token from the last, with dropout so that random numbers matter.
struct NextToken {
  using ScalarType = float;
  rapt::Parameter<float> table{rapt::Tensor<float>(rapt::Shape{5, 5}, 0.f)};

  [[nodiscard]] rapt::Variable<float> loss(const rapt::LanguageBatch& batch) const {
    return rapt::cross_entropy<float>(rapt::dropout(rapt::gather_rows<float>(table, batch.input.tokens), 0.2f),
                                      batch.targets);
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("table", self.table);
  }
};

inline std::vector<rapt::TokenId> some_text() {
  std::vector<rapt::TokenId> text;
  rapt::Rng rng(3);
  for (int i = 0; i < 300; ++i) text.push_back(static_cast<rapt::TokenId>((i + rng.below(2)) % 5));
  return text;
}

}  // namespace rapt_test
