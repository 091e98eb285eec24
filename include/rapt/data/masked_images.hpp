/// \file
/// Batches of images of which some patches are masked, for masked autoencoders (He et al. 2021), BEiT (Bao et al. 2021)
/// and ViT's corrupted patches (Dosovitskiy et al. 2021).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "rapt/core/image_batch.hpp"
#include "rapt/core/patch_mask.hpp"
#include "rapt/data/random_batches.hpp"
#include "rapt/images/batches.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A BatchSource of images with a mask for each batch, which `draw(number of images, rng)` returns. If `tokenize` is
/// given, `tokenize(images, mask)` returns the batch's visual tokens.
template <class T>
class MaskedImageBatches {
 public:
  /// Draws a mask of the patches of so many images.
  using Draw = std::function<PatchMask(Index images, Rng& rng)>;
  /// Returns the visual token of each masked patch.
  using Tokenize = std::function<std::vector<std::int32_t>(const ImageBatch<T>& images, const PatchMask& mask)>;

  /// Keeps a reference to the dataset. Throws ValueError for streams that are not positive, and what ImageBatches
  /// throws.
  MaskedImageBatches(const ImageDataset& dataset, const ImageBatchOptions& options, Draw draw,
                     const BatchRandomness& randomness, Tokenize tokenize = {})
      : images_(dataset, options), draw_(std::move(draw)), tokenize_(std::move(tokenize)), randomness_(randomness) {
    require(randomness.streams > 0, "masked_images", "the streams of a batch must be positive: ", randomness.streams);
  }

  /// The next batch, which stays as it is until the next call. The images of the batch after it are prepared meanwhile
  /// with `prefetch_following`, and later by `prefetch`, as ImageBatches does it.
  [[nodiscard]] const MaskedImages<T>& next(bool prefetch_following = true) {
    const ImageBatch<T>& images = images_.next(prefetch_following).images;
    Tensor<T>& pixels = const_cast<Tensor<T>&>(images.pixels());  // looked at, not changed
    const std::shared_ptr<const void> kept_by_images(std::shared_ptr<const void>(), pixels.data());
    batch_.images = {Tensor<T>::borrowed(pixels.data(), pixels.shape(), kept_by_images), images.shape()};
    const BatchPosition at{images_.position().epoch, images_.position().batch - 1};
    Rng rng = randomness_.generator(at, images_.batches_per_epoch());
    batch_.mask = draw_(images.images(), rng);
    if (tokenize_) batch_.visual_tokens = tokenize_(batch_.images, batch_.mask);
    return batch_;
  }
  /// Prepares the images of the batch that comes next.
  void prefetch() { images_.prefetch(); }
  [[nodiscard]] BatchPosition position() const { return images_.position(); }
  /// Throws ValueError for a position that there is not; the source then stays where it is.
  void seek(BatchPosition position) { images_.seek(position); }
  [[nodiscard]] Index batches_per_epoch() const { return images_.batches_per_epoch(); }

 private:
  ImageBatches<T> images_;
  Draw draw_;
  Tokenize tokenize_;
  BatchRandomness randomness_;
  MaskedImages<T> batch_;
};
static_assert(BatchSource<MaskedImageBatches<float>>);

}}  // namespace rapt::RAPT_ABI
