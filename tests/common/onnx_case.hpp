/// \file
/// What the tests of exported models share: models with weights at which mistakes show, padded inputs, and the
/// comparison of a graph's padded results with rapt's rows.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "rapt/core/precision.hpp"
#include "rapt/core/rng.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/nn/module.hpp"

#include "tests/common/expect_close.hpp"
#include "tests/common/onnx_evaluator.hpp"
#include "tests/common/temporary_folder.hpp"

namespace rapt_test {

/// A fixture whose models compute in float32 whatever precision the tests run in, as the evaluator computes in double.
class OnnxTest : public testing::Test {
 protected:
  OnnxTest() { rapt::set_precision(rapt::Precision::highest); }
  ~OnnxTest() override { rapt::set_precision(before_); }
  [[nodiscard]] const std::filesystem::path& folder() const { return temporary_.path(); }

 private:
  rapt::Precision before_ = rapt::precision();
  TemporaryFolder temporary_;
};

/// A model with noise in all parameters.
template <class M>
[[nodiscard]] M onnx_model(const typename M::Config& config) {
  rapt::Rng rng(3);
  M model(config, rng);
  rapt::for_each_parameter(model, [&](const std::string&, rapt::Parameter<float>& parameter) {
    std::vector<float> noise(rapt::to_size(parameter.size()));
    rng.fill_normal(std::span(noise), 0.0, 0.3);
    const std::span<float> values = parameter.mutable_value().values();
    for (std::size_t i = 0; i < noise.size(); ++i) values[i] += noise[i];
  });
  return model;
}

/// Texts as [B, L] ids and their mask; `before`: padding stands before the texts.
struct PaddedTexts {
  explicit PaddedTexts(const rapt::TokenBatch& texts, bool before = false)
      : splits(texts.row_splits), in_front(before) {
    const rapt::Index longest = splits.longest();
    ids = mask = OnnxTensor::zeros({splits.sequences(), longest});
    for (rapt::Index s = 0; s < splits.sequences(); ++s) {
      for (rapt::Index i = 0; i < longest; ++i) rapt::at(ids.values, s * longest + i) = 9;  // any token may pad
      for (rapt::Index i = 0; i < splits.length(s); ++i) {
        rapt::at(ids.values, place(s, i)) = texts.sequence(s)[rapt::to_size(i)];
        rapt::at(mask.values, place(s, i)) = 1;
      }
    }
  }
  /// The place of token i of text s in [B, L].
  [[nodiscard]] rapt::Index place(rapt::Index s, rapt::Index i) const {
    const rapt::Index longest = splits.longest();
    return s * longest + i + (in_front ? longest - splits.length(s) : 0);
  }
  /// The tokens' rows of a result [B, L, ..], end to end.
  [[nodiscard]] std::vector<double> rows(const OnnxTensor& result) const {
    const rapt::Index width = std::ssize(result.values) / std::ssize(ids.values);
    std::vector<double> found;
    for (rapt::Index s = 0; s < splits.sequences(); ++s) {
      for (rapt::Index i = 0; i < splits.length(s); ++i) {
        const auto from = result.values.begin() + place(s, i) * width;
        found.insert(found.end(), from, from + width);
      }
    }
    return found;
  }

  rapt::RowSplits splits;
  bool in_front;
  OnnxTensor ids = {}, mask = {};
};

/// A tensor of the model as the graph's input.
[[nodiscard]] inline OnnxTensor onnx_tensor(const rapt::Tensor<float>& tensor, std::vector<rapt::Index> dims) {
  return {std::move(dims), std::vector<double>(tensor.values().begin(), tensor.values().end())};
}

/// The graph computes in double what rapt does in float.
inline constexpr double kOnnxTolerance = 2e-5;

}  // namespace rapt_test
