/// \file
/// A case of the golden files of text encoders (tests/golden/make_encoders.py tells what they hold).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/sum.hpp"
#include "rapt/core/token_batch.hpp"

#include "tests/common/pretrained_case.hpp"

namespace rapt_test {

template <template <class> class Model>
struct EncoderCase : ModelCase<Model> {
  using ModelCase<Model>::ModelCase;

  [[nodiscard]] rapt::TokenBatch input() const { return this->batch("ids", "row_splits"); }
  [[nodiscard]] std::vector<std::int32_t> integers_if_any(const std::string& name) const {
    return this->contains(name) ? this->ids(name) : std::vector<std::int32_t>();
  }
  [[nodiscard]] rapt::LabelledText labelled() const {
    rapt::LabelledText batch{
        .input = input(), .token_types = integers_if_any("types"), .labels = integers_if_any("labels")};
    if (this->contains("values")) {
      const auto values = this->template tensor<float>("values");
      batch.values.assign(values.data(), values.data() + values.size());
    }
    return batch;
  }
  [[nodiscard]] rapt::QuestionBatch questions() const {
    return {.input = input(),
            .token_types = integers_if_any("types"),
            .starts = this->ids("starts"),
            .ends = this->ids("ends")};
  }

  /// Compares all results that the file has; returns the loss, as the script has it.
  template <class T>
  rapt::Variable<T> expect_results(const Model<T>& model, double tolerance) const {
    const std::vector<std::int32_t> types = integers_if_any("types");
    const rapt::TokenBatch tokens = input();
    const rapt::Variable<T> hidden = model.hidden(tokens, types);
    this->expect("hidden", hidden.value(), tolerance);
    constexpr bool kHasPooler = requires { model.pooled(hidden, tokens.row_splits); };
    if constexpr (kHasPooler) {
      if (this->contains("pooled")) {
        this->expect("pooled", model.pooled(hidden, tokens.row_splits).value(), tolerance);
      }
      if (this->contains("next")) {
        this->expect("next", model.next_sentence_logits(hidden, tokens.row_splits).value(), tolerance);
      }
    }
    rapt::Variable<T> loss;
    if (this->contains("tokens")) {
      this->expect("tokens", model.logits(hidden).value(), tolerance);
      const rapt::LanguageBatch batch{tokens, this->ids("targets"), this->ids("rows")};
      if constexpr (kHasPooler) {
        loss = model.loss(batch, types, integers_if_any("is_random"));
      } else {
        loss = model.loss(batch);
      }
    } else if (this->contains("classes")) {
      this->expect("classes", model.class_logits(hidden, tokens.row_splits).value(), tolerance);
      loss = model.loss(labelled());
    } else if (this->contains("replaced")) {
      if constexpr (kHasPooler) {
        this->expect("replaced", model.replaced_token_logits(hidden).value(), tolerance);
        loss = model.loss(labelled());
      }
    } else if (this->contains("answers")) {
      this->expect("answers", model.question_logits(hidden).value(), tolerance);
      loss = model.loss(questions());
    } else {
      const auto part = [&](const rapt::Variable<T>& x, const std::string& upstream) {
        return rapt::sum(rapt::multiply(x, rapt::Variable<T>(this->template tensor<T>(upstream))));
      };
      loss = part(hidden, "upstream");
      if constexpr (kHasPooler) {
        if (this->contains("pooled"))
          loss = add(loss, part(model.pooled(hidden, tokens.row_splits), "upstream_pooled"));
      }
    }
    this->expect("loss", loss.value(), tolerance);
    return loss;
  }
};

/// All that the cases of a family must show; Case: derived from EncoderCase, with kFile and kCases. `tolerance`: of
/// results in double, larger where transformers computes parts in float32; gradients may be ten times as far off.
template <class Case>
void expect_family(double tolerance = 1e-7) {
  for_each_case<Case>([&](const Case& golden) {
    expect_agreement<float>(golden, 1e-5, 1e-4);
    expect_agreement<double>(golden, tolerance, 10 * tolerance);
    expect_return_journey(golden);
  });
}

}  // namespace rapt_test
