/// \file
/// Mixing the images of a batch for training: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/images/image_random.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How batches are mixed; by default not at all.
///
/// Image i of a batch of B is mixed with image B - 1 - i, with one weight w for the whole batch. The target is then
/// image i's class with probability w and the other image's class with probability 1 - w. As cross-entropy is linear in
/// the target distribution, the loss is
///
///     add(scale(cross_entropy(logits, labels), w), scale(cross_entropy(logits, mixed_labels), 1 - w))
///
/// which models of images compute by `label_loss`.
struct MixOptions {
  double mixup = 0;   ///< a of mixup: w ~ Beta(a, a), the image is w x_i + (1 - w) x_j; 0 disables it
  double cutmix = 0;  ///< a of CutMix: a rectangle with 1 - w of the area comes from x_j, w ~ Beta(a, a); 0 disables it
  double cutmix_ratio = .5;  ///< probability of CutMix for a mixed batch if both are enabled
  double rate = 1;           ///< probability that a batch is mixed

  void validate() const {
    constexpr std::string_view kWhere = "mix";
    for (const double a : {mixup, cutmix}) {
      require(a >= 0 && a <= 1000, kWhere, "mixup and cutmix must be 0 to 1000: ", a);
      require(a == 0 || a >= 1e-3, kWhere, "mixup and cutmix must be 0, or 0.001 at least: ", a);
    }
    require(cutmix_ratio >= 0 && cutmix_ratio <= 1, kWhere, "cutmix_ratio must be in [0, 1]: ", cutmix_ratio);
    require(rate >= 0 && rate <= 1, kWhere, "rate must be in [0, 1]: ", rate);
  }
  /// False if no batch is mixed.
  [[nodiscard]] bool changes_anything() const { return rate > 0 && (mixup > 0 || cutmix > 0); }
};

/// How one batch is mixed.
struct ImageMix {
  /// Whether the images of the batch are added up (mixup), have a rectangle of one another (CutMix), or stay.
  enum class Kind { none, mixup, cutmix };
  Kind kind = Kind::none;  ///< none: the batch stays as it is, and `weight` is 1
  double weight = 1;       ///< w, the weight of each image's own class
  /// The rectangle that comes from the other image in CutMix.
  Index top = 0, left = 0, height = 0, width = 0;
};

namespace detail {

/// The uniform numbers of a stream, one after the other.
class UniformSequence {
 public:
  explicit UniformSequence(const RandomStream& stream) : stream_(stream) {}
  /// The next number, in (0, 1).
  [[nodiscard]] double next() {
    const auto words = stream_.block(taken_++);
    const std::uint64_t bits = std::uint64_t{words[0]} << 32 | words[1];
    return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;
  }

 private:
  RandomStream stream_;
  std::uint64_t taken_ = 0;
};

/// The logarithm of a number drawn from Gamma(shape, 1) (Marsaglia and Tsang 2000, "A simple method for generating
/// gamma variables"). For shapes below 1 it is a number from Gamma(shape + 1, 1) times U^(1 / shape) with U uniform;
/// the logarithm of this product cannot underflow.
[[nodiscard]] inline double log_gamma_draw(double shape, UniformSequence& uniform) {
  constexpr double kTwoPi = 6.283185307179586476925;
  const double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  const double boost = shape < 1 ? std::log(uniform.next()) / shape : 0;
  for (;;) {
    const double radius = std::sqrt(-2 * std::log(uniform.next()));
    const double normal = radius * std::cos(kTwoPi * uniform.next());
    const double root = 1 + c * normal, u = uniform.next();
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(u) < normal * normal / 2 + d - d * v + d * std::log(v)) return std::log(d * v) + boost;
  }
}

/// A number drawn from Beta(a, a).
[[nodiscard]] inline double beta_draw(double a, UniformSequence& uniform) {
  const double x = log_gamma_draw(a, uniform), y = log_gamma_draw(a, uniform);
  return 1 / (1 + std::exp(y - x));
}

}  // namespace detail

/// Draws how batch number `batch` of `epoch` is mixed. It depends on these two, the seed, the options and the shape
/// alone.
[[nodiscard]] inline ImageMix draw_mix(const MixOptions& options, const ImageShape& shape, std::uint64_t seed,
                                       Index epoch, Index batch) {
  RandomStream stream = detail::image_stream(seed, detail::ImageRandomUse::mix, epoch);
  stream.stream += static_cast<std::uint64_t>(batch);
  detail::UniformSequence uniform(stream);
  const double is_mixed = uniform.next(), is_cut = uniform.next();
  ImageMix mix;
  if (!options.changes_anything() || is_mixed >= options.rate) return mix;
  const bool cuts = options.cutmix > 0 && (options.mixup == 0 || is_cut < options.cutmix_ratio);
  mix.kind = cuts ? ImageMix::Kind::cutmix : ImageMix::Kind::mixup;
  mix.weight = detail::beta_draw(cuts ? options.cutmix : options.mixup, uniform);
  if (!cuts) return mix;
  // The rectangle has the image's ratio of sides and its middle anywhere; what lies outside the image is cut off, and
  // the weight is the fraction of the area that remains.
  const double side = std::sqrt(1 - mix.weight);
  const auto range = [&](Index size, Index& begin, Index& count) {
    const auto length = static_cast<Index>(side * static_cast<double>(size));
    const auto middle = static_cast<Index>(uniform.next() * static_cast<double>(size));
    begin = std::clamp<Index>(middle - length / 2, 0, size);
    count = std::clamp<Index>(middle - length / 2 + length, 0, size) - begin;
  };
  range(shape.height, mix.top, mix.height);
  range(shape.width, mix.left, mix.width);
  mix.weight = 1 - static_cast<double>(mix.height * mix.width) / static_cast<double>(shape.height * shape.width);
  return mix;
}

/// Mixes images in place   // pixels [B, C * H * W]
template <class T>
void mix_images(T* pixels, Index count, const ImageShape& shape, const ImageMix& mix) {
  const T own = static_cast<T>(mix.weight), others = static_cast<T>(1 - mix.weight);
  for (Index i = 0; i < count / 2; ++i) {
    T *a = pixels + i * shape.size(), *b = pixels + (count - 1 - i) * shape.size();
    if (mix.kind == ImageMix::Kind::mixup) {
      for (Index j = 0; j < shape.size(); ++j) {
        const T x = a[j], y = b[j];
        a[j] = own * x + others * y;
        b[j] = own * y + others * x;
      }
    } else if (mix.kind == ImageMix::Kind::cutmix) {
      for (Index c = 0; c < shape.channels; ++c) {
        for (Index y = mix.top; y < mix.top + mix.height; ++y) {
          const Index begin = (c * shape.height + y) * shape.width + mix.left;
          std::swap_ranges(a + begin, a + begin + mix.width, b + begin);
        }
      }
    }
  }
}

/// The classes of the images that were mixed in, which is label B - 1 - i for image i.
inline void mixed_labels(const std::vector<std::int32_t>& labels, std::vector<std::int32_t>& others) {
  others.assign(labels.rbegin(), labels.rend());
}

}}  // namespace rapt::RAPT_ABI
