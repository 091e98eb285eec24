// Typical patches as a vocabulary: k-means, and the number of the nearest one.
#pragma once

#include <limits>
#include <rapt/rapt.hpp>

class Codebook {
 public:
  /// Lloyd's algorithm over patches [n, pixels], from `count` different ones; a typical patch that none is near to
  /// stays.
  Codebook(const rapt::Tensor<float>& patches, rapt::Index count, rapt::Rng& rng)
      : typical_(rapt::Shape{count, patches.cols()}) {
    for (rapt::Index found = 0, tries = 0; found < count; ++tries) {
      rapt::require(tries < 1000 * count, "codebook", "there are not ", count, " different patches");
      const float* patch = patches.row(rng.below(patches.rows()));
      bool is_new = true;
      for (rapt::Index i = 0; i < found; ++i) is_new = is_new && distance(patch, typical_.row(i)) > 0;
      if (is_new) std::copy_n(patch, patches.cols(), typical_.row(found++));
    }
    for (int round = 0; round < 10; ++round) {
      const std::vector<rapt::TokenId> nearest = encode(patches);
      rapt::Tensor<float> sums(typical_.shape(), 0.f);
      std::vector<rapt::Index> counts(static_cast<std::size_t>(count), 0);
      for (rapt::Index i = 0; i < patches.rows(); ++i) {
        const rapt::TokenId token = nearest[static_cast<std::size_t>(i)];
        ++counts[static_cast<std::size_t>(token)];
        for (rapt::Index j = 0; j < patches.cols(); ++j) sums(token, j) += patches(i, j);
      }
      for (rapt::Index k = 0; k < count; ++k) {
        const auto members = static_cast<float>(counts[static_cast<std::size_t>(k)]);
        for (rapt::Index j = 0; j < patches.cols() && members > 0; ++j) typical_(k, j) = sums(k, j) / members;
      }
    }
  }

  /// The number of the nearest typical patch   // [n]
  [[nodiscard]] std::vector<rapt::TokenId> encode(const rapt::Tensor<float>& patches) const {
    std::vector<rapt::TokenId> tokens(static_cast<std::size_t>(patches.rows()));
    rapt::parallel_for(patches.rows(), 256, [&](rapt::Index begin, rapt::Index end) {
      for (rapt::Index i = begin; i < end; ++i) {
        float least = std::numeric_limits<float>::infinity();
        for (rapt::Index k = 0; k < typical_.rows(); ++k) {
          const float d = distance(patches.row(i), typical_.row(k));
          if (d >= least) continue;
          least = d;
          tokens[static_cast<std::size_t>(i)] = static_cast<rapt::TokenId>(k);
        }
      }
    });
    return tokens;
  }

 private:
  [[nodiscard]] float distance(const float* a, const float* b) const {
    float sum = 0;
    for (rapt::Index j = 0; j < typical_.cols(); ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
  }

  rapt::Tensor<float> typical_;  // [count, pixels]
};
