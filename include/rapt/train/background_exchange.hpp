/// \file
/// BackgroundExchange: a thread that exchanges gradients with other processes while backward computes the next ones.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/autograd/variable.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/train/gradient_exchanger.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Does what `GradientExchanger::add_up` does, one group of parameters after the other, each as soon as all of its
/// parameters are ready. The sums are the same bits: neither groups nor the order of additions depend on time. From
/// `start` to `finish` no other thread may use the communicator.
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
  ~BackgroundExchange() { abandon(); }

  /// Starts the thread; no parameter is ready. `everywhere` as in `add_up`.
  void start(bool everywhere) {
    is_ready_.assign(is_ready_.size(), false);
    left_.clear();
    for (const auto& group : exchanger_.groups()) left_.push_back(std::ssize(group));
    is_abandoned_ = false;
    error_ = nullptr;
    thread_ = std::thread([this, everywhere] { work(everywhere); });
  }
  [[nodiscard]] bool is_running() const { return thread_.joinable(); }

  /// Makes a parameter ready, if it is one of the model's and is not ready already.
  void make_ready(const Node<T>& node) {
    const auto found = number_of_.find(&node);
    if (found == number_of_.end() || is_ready_[found->second]) return;
    is_ready_[found->second] = true;
    prepare_(found->second);
    {
      const std::lock_guard lock(mutex_);
      if (--left_[group_of_[found->second]] > 0) return;
    }
    changed_.notify_one();
  }

  /// Makes all parameters ready that are not and waits until all have been exchanged. Throws what `add_up` throws.
  void finish() {
    for (const auto& group : exchanger_.groups()) {
      for (const std::size_t i : group) make_ready(*exchanger_.nodes()[i]);
    }
    thread_.join();
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }
  /// Ends the thread, if it runs, without waiting for parameters that are not ready.
  void abandon() {
    if (!is_running()) return;
    {
      const std::lock_guard lock(mutex_);
      is_abandoned_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

 private:
  void work(bool everywhere) noexcept {
    try {
      const detail::WithoutWorkers alone;  // they are backward's
      for (std::size_t g = 0; g < exchanger_.groups().size(); ++g) {
        {
          std::unique_lock lock(mutex_);
          changed_.wait(lock, [&] { return is_abandoned_ || left_[g] == 0; });
          if (is_abandoned_) return;
        }
        exchanger_.add_up_group(g, everywhere);
      }
    } catch (...) {
      error_ = std::current_exception();  // looked at when the thread has ended
    }
  }

  GradientExchanger<T>& exchanger_;
  std::function<void(std::size_t)> prepare_;
  std::unordered_map<const Node<T>*, std::size_t> number_of_;
  std::vector<std::size_t> group_of_;
  std::vector<bool> is_ready_;
  std::thread thread_;
  std::mutex mutex_;         // guards the next two
  std::vector<Index> left_;  // of each group: the parameters that are not ready yet
  bool is_abandoned_ = false;
  std::condition_variable changed_;
  std::exception_ptr error_;
};

}}  // namespace rapt::RAPT_ABI
