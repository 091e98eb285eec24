/// \file
/// BackgroundExchange: a thread that exchanges gradients with other processes while backward computes the next ones.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/autograd/variable.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/fork.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/train/gradient_exchanger.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Does what `GradientExchanger::add_up` does, one group of parameters after the other, each as soon as all of its
/// parameters are ready. The sums are the same bits: neither groups nor the order of additions depend on time. From
/// `start` to `finish` no other thread may use the communicator.
///
/// The thread begins with the first `start` and waits between exchanges until this object is destroyed. A forked child
/// does not have it: there `start` makes another one, and an exchange that was under way is the parent's alone.
template <class T>
class BackgroundExchange {
 public:
  /// Keeps a reference to the exchanger. `prepare` is called for each parameter that becomes ready, with its number in
  /// the order of the model: the last to touch its gradient on the thread that calls `make_ready` or `finish`.
  BackgroundExchange(GradientExchanger<T>& exchanger, std::function<void(std::size_t)> prepare)
      : exchanger_(exchanger),
        prepare_(std::move(prepare)),
        group_of_(exchanger.nodes().size()),
        is_ready_(exchanger.nodes().size()) {
    for (std::size_t g = 0; g < exchanger.groups().size(); ++g) {
      for (const std::size_t i : exchanger.groups()[g]) group_of_[i] = g;
    }
    for (std::size_t i = 0; i < group_of_.size(); ++i) number_of_.emplace(exchanger.nodes()[i].get(), i);
  }
  BackgroundExchange(const BackgroundExchange&) = delete;
  BackgroundExchange& operator=(const BackgroundExchange&) = delete;
  ~BackgroundExchange() {
    if (!has_worker()) {
      static_cast<void>(worker_.release());  // the parent's, whose locks stay as they are
      return;
    }
    {
      const std::lock_guard lock(worker_->mutex);
      worker_->is_abandoned = worker_->ends = true;
    }
    worker_->changed.notify_all();
    worker_->thread.join();
  }

  /// Lets the thread begin; no parameter is ready. `everywhere` as in `add_up`.
  void start(bool everywhere) {
    if (!has_worker()) replace_worker();
    is_ready_.assign(is_ready_.size(), false);
    {
      const std::lock_guard lock(worker_->mutex);
      worker_->left.clear();
      for (const auto& group : exchanger_.groups()) worker_->left.push_back(std::ssize(group));
      worker_->everywhere = everywhere;
      worker_->is_abandoned = false;
      worker_->is_wanted = true;
    }
    worker_->changed.notify_all();
    is_running_ = true;
  }
  /// True from `start` until `finish` or `abandon` has ended the exchange.
  [[nodiscard]] bool is_running() const { return is_running_; }

  /// Makes a parameter ready, if it is one of the model's and is not ready already. Throws ValueError if no exchange is
  /// under way in this process.
  void make_ready(const Node<T>& node) {
    const auto found = number_of_.find(&node);
    if (found == number_of_.end() || is_ready_[found->second]) return;
    require_started();
    is_ready_[found->second] = true;
    prepare_(found->second);
    {
      const std::lock_guard lock(worker_->mutex);
      if (--worker_->left[group_of_[found->second]] > 0) return;
    }
    worker_->changed.notify_all();
  }

  /// Makes all parameters ready that are not and waits until all have been exchanged. Throws what `add_up` throws,
  /// and ValueError if no exchange is under way in this process.
  void finish() {
    require_started();
    for (const auto& group : exchanger_.groups()) {
      for (const std::size_t i : group) make_ready(*exchanger_.nodes()[i]);
    }
    if (const std::exception_ptr error = wait()) std::rethrow_exception(error);
  }
  /// Ends the exchange, if one is under way, without waiting for parameters that are not ready.
  void abandon() {
    if (!std::exchange(is_running_, false) || !has_worker()) return;
    {
      const std::lock_guard lock(worker_->mutex);
      worker_->is_abandoned = true;
    }
    worker_->changed.notify_all();
    static_cast<void>(wait());
  }

 private:
  struct Worker {
    unsigned forks = detail::fork_count();  // the process that has the thread
    std::mutex mutex;                       // of the next six
    std::condition_variable changed;
    std::vector<Index> left;  // of each group: the parameters that are not ready yet
    bool everywhere = true, is_abandoned = false, ends = false;
    bool is_wanted = false;  // an exchange is under way
    std::exception_ptr error;
    std::thread thread;
  };

  [[nodiscard]] bool has_worker() const { return worker_ != nullptr && worker_->forks == detail::fork_count(); }
  void require_started() const {
    require(is_running_ && has_worker(), "trainer",
            "no exchange is under way in this process: `start` must be called in it, after the fork if there was one");
  }
  void replace_worker() {
    auto worker = std::make_unique<Worker>();
    worker->thread = std::thread([this, self = worker.get()] { work(*self); });  // may throw: nothing is kept then
    static_cast<void>(worker_.release());                                        // the parent's, if there is one
    worker_ = std::move(worker);
  }

  /// Waits until the thread is done with an exchange; returns what was thrown in it.
  [[nodiscard]] std::exception_ptr wait() {
    std::unique_lock lock(worker_->mutex);
    worker_->changed.wait(lock, [&] { return !worker_->is_wanted; });
    is_running_ = false;
    return std::exchange(worker_->error, nullptr);
  }

  /// The thread.
  void work(Worker& self) {
    const detail::WithoutWorkers alone;  // they are backward's
    std::unique_lock lock(self.mutex);
    for (;;) {
      self.changed.wait(lock, [&] { return self.ends || self.is_wanted; });
      if (self.ends) return;
      for (std::size_t g = 0; g < exchanger_.groups().size() && !self.error; ++g) {
        self.changed.wait(lock, [&] { return self.is_abandoned || self.left[g] == 0; });
        if (self.is_abandoned) break;
        const bool everywhere = self.everywhere;
        lock.unlock();
        std::exception_ptr error;
        try {
          exchanger_.add_up_group(g, everywhere);
        } catch (...) {
          error = std::current_exception();
        }
        lock.lock();
        self.error = std::move(error);
      }
      self.is_wanted = false;
      self.changed.notify_all();
    }
  }

  GradientExchanger<T>& exchanger_;
  std::function<void(std::size_t)> prepare_;
  std::unordered_map<const Node<T>*, std::size_t> number_of_;
  std::vector<std::size_t> group_of_;
  std::vector<bool> is_ready_;
  bool is_running_ = false;
  std::unique_ptr<Worker> worker_;
};

}}  // namespace rapt::RAPT_ABI
