/// \file
/// Sinusoidal encodings of the distance between two tokens (Dai et al. 2019, section 3.3).
#pragma once

#include <cmath>

#include "rapt/core/error.hpp"
#include "rapt/core/tensor.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Encodings of distances: row p is [sines | cosines] of p / 10000^(2 i / D), i = 0 .. D / 2 - 1.
template <class T = float>
class DistanceEncoding {
 public:
  /// `kept` rows are computed now; calls that ask for more compute theirs.
  DistanceEncoding(Index d_model, Index kept) : kept_(table(kept, d_model)) {}

  /// Those of distances 0 .. count - 1   // [count, D]
  [[nodiscard]] Tensor<T> operator()(Index count) const {
    if (count > kept_.rows()) return table(count, kept_.cols());
    return Tensor<T>(kept_.view().middle_rows(0, count));
  }

  /// The rows of distances 0 .. count - 1, computed anew. Throws ValueError unless d_model is positive and even   //
  /// [count, D]
  [[nodiscard]] static Tensor<T> table(Index count, Index d_model) {
    require(d_model > 0 && d_model % 2 == 0, "distance_encoding", "d_model must be even: ", d_model);
    const Index half = d_model / 2;
    Tensor<T> rows(Shape{count, d_model});
    for (Index i = 0; i < half; ++i) {
      const double frequency = std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
      for (Index distance = 0; distance < count; ++distance) {
        rows(distance, i) = static_cast<T>(std::sin(static_cast<double>(distance) * frequency));
        rows(distance, half + i) = static_cast<T>(std::cos(static_cast<double>(distance) * frequency));
      }
    }
    return rows;
  }

 private:
  Tensor<T> kept_;
};

}}  // namespace rapt::RAPT_ABI
