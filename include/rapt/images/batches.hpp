/// \file
/// An endless sequence of training batches from a dataset of images: shuffled, augmented, and prepared in the
/// background while the model trains on the batch before.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "rapt/core/batch_position.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/fork.hpp"
#include "rapt/core/image_batch.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/images/augmentation.hpp"
#include "rapt/images/dataset.hpp"
#include "rapt/images/mix.hpp"
#include "rapt/images/normalization.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How a dataset of images becomes batches.
struct ImageBatchOptions {
  Index batch_size = 64;             ///< images of a batch; the last one of an epoch may have fewer
  bool shuffle = true;               ///< a new order in each epoch instead of the dataset's
  bool drop_last = false;            ///< leaves out the last batch of an epoch if it is smaller than the others
  bool prefetch = true;              ///< prepares the next batch in a thread of its own; batches are the same without
  std::uint64_t seed = 1;            ///< of order, augmentation and mixing
  Normalization normalization = {};  ///< of the bytes, after all augmentation of an image
  AugmentationOptions augmentation = {};  ///< of each image by itself
  MixOptions mix = {};                    ///< of the images of a batch with one another
  /// An augmentation of the user's own: called with the bytes of each image after the other augmentations, on several
  /// threads at once. Its result should depend on the arguments alone, so that batches can be repeated.
  std::function<void(std::span<std::uint8_t> planes, const ImageShape& shape, Index epoch, Index number)> edit = {};
};

/// What is in batch b of epoch e is a function of the dataset, the options and (e, b) alone: the same bits on any
/// number of threads and with prefetch or without, and a sequence put to a position goes on as if it had come there by
/// itself. Memory is taken once, in the constructor, and once more in a forked child, which goes on from the position
/// that it was forked at.
template <class T>
class ImageBatches {
 public:
  /// Keeps a reference to the dataset. No batch is prepared before `next` or `prefetch` asks for one. Throws ValueError
  /// for options that do not fit, and if there is no batch at all.
  ImageBatches(const ImageDataset& dataset, const ImageBatchOptions& options)
      : dataset_(dataset), options_(options), normalize_(options.normalization, dataset.shape().channels) {
    constexpr std::string_view kWhere = "image_batches";
    options_.augmentation.validate();
    options_.mix.validate();
    require(options_.batch_size > 0, kWhere, "batch_size must be positive: ", options_.batch_size);
    require(batches_per_epoch() > 0, kWhere, "a dataset of ", dataset.images(), " images has no batch of ",
            options_.batch_size, options_.drop_last ? " (smaller ones are dropped)" : "");
    for (auto& slot : slots_) slot = make_slot();
    order_ = make_order();
    if (options_.prefetch) start_worker();
  }
  ImageBatches(const ImageDataset&& dataset,
               const ImageBatchOptions& options) = delete;  // as a temporary would not live
  ImageBatches(const ImageBatches&) = delete;
  ImageBatches& operator=(const ImageBatches&) = delete;
  ~ImageBatches() {
    if (worker_ == nullptr) return;
    if (worker_->forks != detail::fork_count()) {
      leave_to_parent();
      return;
    }
    {
      const std::lock_guard lock(worker_->mutex);
      worker_->stop = true;
    }
    worker_->changed.notify_all();
    worker_->thread.join();
  }

  /// The next batch, which stays as it is until the next call. What was thrown while it was prepared is thrown here;
  /// the position then stays, and another call tries again. With `prefetch_following` the batch after it is prepared
  /// meanwhile, if the options ask for it.
  [[nodiscard]] const LabelledImages<T>& next(bool prefetch_following = true) {
    replace_worker_after_fork();
    if (options_.prefetch) {
      if (!is_asked_) ask();
      std::exception_ptr error = wait();
      is_asked_ = false;
      if (error) std::rethrow_exception(error);
    } else {
      prepare(due(), *slots_[spare_], /*in_parallel=*/true);
    }
    position_ = due();
    ++position_.batch;
    const std::size_t shown = std::exchange(spare_, 1 - spare_);
    if (options_.prefetch && prefetch_following) ask();
    return slots_[shown]->batch;
  }
  /// Prepares the batch that comes next in the background, if the options ask for it and this is not done already.
  void prefetch() {
    replace_worker_after_fork();
    if (options_.prefetch && !is_asked_) ask();
  }

  [[nodiscard]] Index batches_per_epoch() const {
    const Index count = dataset_.images(), size = options_.batch_size;
    return options_.drop_last ? count / size : count / size + (count % size != 0 ? 1 : 0);
  }
  /// After the batch that `next` gave last.
  [[nodiscard]] BatchPosition position() const { return position_; }
  /// Throws ValueError for a position that there is not; the batches then stay where they are. The batch there is
  /// prepared when `next` or `prefetch` asks for it.
  void seek(BatchPosition position) {
    require(position.epoch >= 0 && position.batch >= 0 && position.batch <= batches_per_epoch(), "image_batches",
            "no batch ", position.batch, " of epoch ", position.epoch, ": an epoch has ", batches_per_epoch());
    replace_worker_after_fork();
    if (is_asked_) static_cast<void>(wait());
    is_asked_ = false;
    position_ = position;
  }

 private:
  struct Slot {
    std::shared_ptr<Tensor<T>> pixels;  // [batch_size, C * H * W]; a smaller batch uses the first rows
    std::vector<std::uint8_t> bytes;    // as many, between augmentation and normalisation
    LabelledImages<T> batch;
  };
  struct Order {
    std::vector<Index> numbers;  // of the dataset's images
    Index epoch = -1;            // that they are ordered for
  };
  struct Worker {
    unsigned forks = detail::fork_count();  // the process that has the thread
    std::mutex mutex;                       // of the next five
    std::condition_variable changed;
    BatchPosition wanted;
    bool is_wanted = false, stop = false;
    std::exception_ptr error;
    std::thread thread;
  };

  [[nodiscard]] std::unique_ptr<Slot> make_slot() const {
    const Index most = std::min(options_.batch_size, dataset_.images()), size = dataset_.shape().size();
    auto slot = std::make_unique<Slot>();
    slot->pixels = std::make_shared<Tensor<T>>(Shape{most, size});
    if (changes_bytes()) slot->bytes.resize(to_size(most * size));
    slot->batch.labels.reserve(to_size(most));
    slot->batch.mixed_labels.reserve(to_size(most));
    slot->batch.numbers.reserve(to_size(most));
    return slot;
  }
  [[nodiscard]] std::unique_ptr<Order> make_order() const {
    auto order = std::make_unique<Order>();
    order->numbers.resize(to_size(dataset_.images()));
    return order;
  }
  void start_worker() {
    auto worker = std::make_unique<Worker>();
    worker->thread = std::thread([this, self = worker.get()] { work(*self); });  // may throw: nothing is kept then
    worker_ = std::move(worker);
  }

  /// In a forked child: gives up what the parent's worker may have been writing to at the moment of the fork.
  void leave_to_parent() {
    static_cast<void>(worker_.release());
    static_cast<void>(order_.release());
    static_cast<void>(slots_[spare_].release());
  }
  void replace_worker_after_fork() {
    if (!options_.prefetch || (worker_ != nullptr && worker_->forks == detail::fork_count())) return;
    auto slot = make_slot();
    auto order = make_order();
    leave_to_parent();
    slots_[spare_] = std::move(slot);
    order_ = std::move(order);
    is_asked_ = false;
    start_worker();
  }

  [[nodiscard]] bool changes_bytes() const {
    return options_.augmentation.changes_anything() || options_.edit != nullptr;
  }
  /// Of the next batch: after an epoch's end comes the next one's beginning.
  [[nodiscard]] BatchPosition due() const {
    return position_.batch < batches_per_epoch() ? position_ : BatchPosition{position_.epoch + 1, 0};
  }

  void prepare(const BatchPosition& position, Slot& slot, bool in_parallel) {
    order_epoch(position.epoch);
    const Index begin = position.batch * options_.batch_size;
    const Index count = std::min(options_.batch_size, dataset_.images() - begin), size = dataset_.shape().size();
    LabelledImages<T>& batch = slot.batch;
    batch.numbers.assign(order_->numbers.begin() + begin, order_->numbers.begin() + begin + count);
    batch.labels.clear();
    for (const Index number : batch.numbers) batch.labels.push_back(dataset_.label(number));
    T* pixels = slot.pixels->data();
    const auto prepare_one = [&](Index i) {
      const std::uint8_t* bytes = changed_bytes(position.epoch, at(batch.numbers, i), i, slot);
      normalize_(bytes, dataset_.shape().height * dataset_.shape().width, pixels + i * size);
    };
    if (in_parallel) {
      parallel_parts(count, prepare_one);
    } else {  // the pool is the training thread's
      for (Index i = 0; i < count; ++i) prepare_one(i);
    }
    const ImageMix mix = draw_mix(options_.mix, dataset_.shape(), options_.seed, position.epoch, position.batch);
    mix_images(pixels, count, dataset_.shape(), mix);
    batch.weight = mix.weight;
    batch.mixed_labels.clear();
    if (mix.kind != ImageMix::Kind::none) mixed_labels(batch.labels, batch.mixed_labels);
    batch.images = ImageBatch<T>(Tensor<T>::borrowed(pixels, Shape{count, size}, slot.pixels), dataset_.shape());
  }

  /// The augmented bytes of image `number`, row i of the batch; the dataset's own where nothing changes them.
  [[nodiscard]] const std::uint8_t* changed_bytes(Index epoch, Index number, Index i, Slot& slot) const {
    const std::span<const std::uint8_t> original = dataset_.planes(number);
    if (!changes_bytes()) return original.data();
    const std::span<std::uint8_t> bytes = std::span(slot.bytes).subspan(to_size(i) * original.size(), original.size());
    const ImageTransform transform = draw_transform(options_.augmentation, options_.seed, epoch, number);
    transform_image(original, dataset_.shape(), transform, options_.augmentation.fill, bytes);
    if (options_.edit) options_.edit(bytes, dataset_.shape(), epoch, number);
    return bytes.data();
  }

  void order_epoch(Index epoch) {
    if (order_->epoch == epoch) return;
    std::iota(order_->numbers.begin(), order_->numbers.end(), Index{0});
    if (options_.shuffle) {
      const RandomStream first = detail::image_stream(options_.seed, detail::ImageRandomUse::order, epoch);
      Rng(Rng::State{first.seed, first.stream}).shuffle(std::span(order_->numbers));
    }
    order_->epoch = epoch;
  }

  /// Lets the worker prepare the next batch.
  void ask() {
    {
      const std::lock_guard lock(worker_->mutex);
      worker_->wanted = due();
      worker_->is_wanted = true;
    }
    worker_->changed.notify_all();
    is_asked_ = true;
  }
  /// Waits until the batch is prepared; returns what was thrown meanwhile.
  [[nodiscard]] std::exception_ptr wait() {
    std::unique_lock lock(worker_->mutex);
    worker_->changed.wait(lock, [&] { return !worker_->is_wanted; });
    return std::exchange(worker_->error, nullptr);
  }
  /// The worker's loop. While a batch is wanted, only the worker uses *order_, spare_ and the spare slot.
  void work(Worker& self) {
    std::unique_lock lock(self.mutex);
    for (;;) {
      self.changed.wait(lock, [&] { return self.stop || self.is_wanted; });
      if (self.stop) return;
      lock.unlock();
      std::exception_ptr error;
      try {
        prepare(self.wanted, *slots_[spare_], /*in_parallel=*/false);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      self.error = std::move(error);
      self.is_wanted = false;
      self.changed.notify_all();
    }
  }

  const ImageDataset& dataset_;
  ImageBatchOptions options_;
  NormalizationTable<T> normalize_;
  std::unique_ptr<Slot> slots_[2];  // the one that the caller looks at, and the spare one
  std::size_t spare_ = 0;           // the slot to be filled next
  std::unique_ptr<Order> order_;
  BatchPosition position_;
  bool is_asked_ = false;           // the batch that is due is being prepared, or ready
  std::unique_ptr<Worker> worker_;  // of prefetch
};

}}  // namespace rapt::RAPT_ABI
