// The thread that learns from corrections while others answer.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <rapt/rapt.hpp>
#include <rapt/train/live_model.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "classifier.hpp"

/// A text and what should have been said of it.
struct Correction {
  std::string text;
  rapt::TokenBatch tokens;  ///< of the text, one sequence
  std::int32_t label = 0;
};

/// Corrections on their way to the thread that learns. Any thread may add one, without a lock; one thread takes them.
class CorrectionQueue {
 public:
  CorrectionQueue() = default;
  CorrectionQueue(const CorrectionQueue&) = delete;
  CorrectionQueue& operator=(const CorrectionQueue&) = delete;
  ~CorrectionQueue() {
    take([](Correction) {});
  }

  void add(Correction correction) {
    auto* const item = new Item{std::move(correction), newest_.load(std::memory_order_relaxed)};
    while (!newest_.compare_exchange_weak(item->older, item, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }
  /// Calls use(correction) for all that were added, the oldest first.
  template <class Use>
  void take(const Use& use) {
    Item* item = newest_.exchange(nullptr, std::memory_order_acquire);
    Item* oldest = nullptr;
    while (item != nullptr) {  // turns the list round
      Item* const older = std::exchange(item->older, oldest);
      oldest = std::exchange(item, older);
    }
    while (oldest != nullptr) {
      use(std::move(oldest->correction));
      delete std::exchange(oldest, oldest->older);
    }
  }

 private:
  struct Item {
    Correction correction;
    Item* older;
  };
  std::atomic<Item*> newest_{nullptr};
};

struct LearnerOptions {
  double learning_rate = 1e-3;
  rapt::Index batch = 16;                 ///< texts in a step
  rapt::Index publish_every = 5;          ///< steps
  rapt::Index steps_per_correction = 20;  ///< steps after which learning rests until the next correction; 0: no rest
  rapt::Index remembered = 10000;         ///< corrections; older ones are forgotten
  std::uint64_t seed = 1;
  /// Called before and after each publication, in the thread that learns.
  std::function<void()> before_publication = [] {}, after_publication = [] {};
};

/// Trains a model in a thread of its own. Half of each step's texts are among the latest corrections, and half among
/// all that are remembered, so that what was learned earlier is not forgotten.
class Learner {
 public:
  /// The model must not be used elsewhere before `finish`. `remembered` are the corrections of earlier runs, the oldest
  /// first.
  Learner(Model& model, const LearnerOptions& options, std::vector<Correction> remembered)
      : options_(options),
        live_(model),
        remembered_(latest(std::move(remembered), options.remembered)),
        rng_(options.seed),
        trainer_(model, {.learning_rate = [rate = options.learning_rate](rapt::Index) { return rate; },
                         .label_smoothing = 0,
                         .clip_norm = 1,
                         .seed = options.seed}),
        thread_([this] { run(); }) {}
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;
  ~Learner() { join(); }

  /// The model as it was last published. From any thread, which does not wait.
  [[nodiscard]] rapt::LiveModel<Model>::Reading read() const { return live_.read(); }
  /// From any thread, which does not wait. Throws what stopped the learning, if something did.
  void learn(Correction correction) {
    if (failed_.load(std::memory_order_acquire)) std::rethrow_exception(error_);
    queue_.add(std::move(correction));
    wake();
  }
  /// Learns what is left to learn (without `steps_per_correction`: stops), publishes and ends. Throws what stopped the
  /// learning, if something did. To be called when no other thread reads any more.
  void finish() {
    join();
    std::rotate(remembered_.begin(), remembered_.begin() + std::exchange(oldest_, 0), remembered_.end());
    if (error_) std::rethrow_exception(error_);
  }
  /// After `finish`: the corrections to be remembered, the oldest first; steps; publications.
  [[nodiscard]] const std::vector<Correction>& remembered() const { return remembered_; }
  [[nodiscard]] rapt::Index steps() const { return trainer_.steps(); }
  [[nodiscard]] rapt::Index publications() const { return live_.version(); }

 private:
  [[nodiscard]] static std::vector<Correction> latest(std::vector<Correction> corrections, rapt::Index most) {
    const auto too_many = std::max<rapt::Index>(std::ssize(corrections) - most, 0);
    corrections.erase(corrections.begin(), corrections.begin() + too_many);
    return corrections;
  }

  void wake() {
    changes_.fetch_add(1, std::memory_order_release);
    changes_.notify_one();
  }
  void join() {
    if (!thread_.joinable()) return;
    stop_.store(true, std::memory_order_release);
    wake();
    thread_.join();
  }

  void run() {
    try {
      const bool rests_never = options_.steps_per_correction == 0;
      for (;;) {
        const unsigned seen = changes_.load(std::memory_order_acquire);
        const bool stops = stop_.load(std::memory_order_acquire);
        queue_.take([&](Correction correction) { remember(std::move(correction)); });
        const bool rests = rests_never ? stops : steps_left_ == 0;
        if (!remembered_.empty() && !rests) {
          trainer_.step(draw_batch());
          if (!rests_never) --steps_left_;
          ++unpublished_;
          if (unpublished_ >= options_.publish_every) publish();
        } else if (unpublished_ > 0) {
          publish();  // again and again, as long as readers have all copies
        } else if (stops) {
          return;
        } else {
          changes_.wait(seen, std::memory_order_acquire);
        }
      }
    } catch (...) {
      error_ = std::current_exception();
      failed_.store(true, std::memory_order_release);
    }
  }
  void remember(Correction correction) {
    if (std::ssize(remembered_) < options_.remembered) {
      remembered_.push_back(std::move(correction));
    } else {
      rapt::at(remembered_, oldest_) = std::move(correction);
      oldest_ = (oldest_ + 1) % options_.remembered;
    }
    steps_left_ += options_.steps_per_correction;
  }
  rapt::LabelledText draw_batch() {
    const rapt::Index count = std::ssize(remembered_), few = std::min<rapt::Index>(count, 4 * options_.batch);
    rapt::LabelledText batch;
    for (rapt::Index i = 0; i < options_.batch; ++i) {
      const rapt::Index age = rng_.below(i % 2 == 0 ? few : count);  // 0: the newest
      const Correction& drawn = rapt::at(remembered_, (oldest_ + count - 1 - age) % count);
      batch.input.push_back(drawn.tokens.tokens);
      batch.labels.push_back(drawn.label);
    }
    return batch;
  }
  void publish() {
    options_.before_publication();
    const bool is_published = live_.publish();
    options_.after_publication();
    if (is_published) {
      unpublished_ = 0;
    } else {
      std::this_thread::yield();
    }
  }

  LearnerOptions options_;
  rapt::LiveModel<Model> live_;
  CorrectionQueue queue_;
  std::vector<Correction> remembered_;
  rapt::Index oldest_ = 0;  // the place of the oldest one of those that are remembered
  rapt::Index steps_left_ = 0, unpublished_ = 0;
  rapt::Rng rng_;
  rapt::Trainer<Model> trainer_;
  std::atomic<unsigned> changes_{0};  // counts corrections, and the request to stop
  std::atomic<bool> stop_{false}, failed_{false};
  std::exception_ptr error_;  // what stopped the learning, if `failed_`
  std::thread thread_;        // the last member: everything else is there when it starts
};
