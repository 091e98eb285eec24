// How long answers take while the model learns, and whether exchanging the model makes any of them wait.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <rapt/rapt.hpp>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "learner.hpp"

/// A text with the number of the label that is right.
struct Question {
  std::string text;
  std::int32_t label = 0;
};

inline double accuracy(const Classifier& classifier, const Model& model, std::span<const Question> questions) {
  std::size_t right = 0;
  for (const Question& one : questions) right += label_of(model, classifier.encode(one.text)) == one.label ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(questions.size());
}

/// How often a thread has stopped: because it had to wait, as at a lock, and because the scheduler gave its processor
/// to another one. The lock that answering and learning would have in common, the memory pool's, is not taken by
/// threads with a ThreadMemory.
struct ThreadStops {
  long waits = 0, preemptions = 0;

  [[nodiscard]] static ThreadStops of_this_thread() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return {usage.ru_nvcsw, usage.ru_nivcsw};
  }
  friend ThreadStops operator-(const ThreadStops& a, const ThreadStops& b) {
    return {a.waits - b.waits, a.preemptions - b.preemptions};
  }
};

class LatencyMeasurement {
 public:
  /// The options of a learner whose publications are recorded here; it must not outlive this object.
  [[nodiscard]] LearnerOptions record(LearnerOptions options) {
    options.before_publication = [this] { publications_.emplace_back(now(), 0); };
    options.after_publication = [this] { publications_.back().second = now(); };
    return options;
  }

  /// Asks the questions one after the other, `count` in all, from so many threads. Whoever asks gives the right label
  /// after each wrong answer.
  void ask(const Classifier& classifier, Learner& learner, std::span<const Question> questions, rapt::Index count,
           rapt::Index threads) {
    answers_.resize(rapt::to_size(threads));
    stops_.resize(rapt::to_size(threads));
    std::exception_ptr error;
    std::mutex error_mutex;
    const double begin = now();
    std::vector<std::thread> answering;
    for (rapt::Index t = 0; t < threads; ++t) {
      answering.emplace_back([&, t] {
        try {
          const rapt::ThreadMemory memory;
          const ThreadStops before = ThreadStops::of_this_thread();
          ThreadStops stops = before;
          std::vector<TimedAnswer>& answers = rapt::at(answers_, t);
          answers.reserve(rapt::to_size(count / threads + 1));
          for (rapt::Index i = t; i < count; i += threads) {
            const Question& question = rapt::at(questions, i % std::ssize(questions));
            answers.push_back(answer(classifier, learner, question, stops));
          }
          rapt::at(stops_, t) = stops - before;
          for (std::size_t n = answers.size(); n-- > 1;) {  // the answer after a preemption finds empty caches
            answers[n].preempted = answers[n].preempted || answers[n - 1].preempted;
          }
        } catch (...) {
          const std::lock_guard lock(error_mutex);
          error = std::current_exception();
        }
      });
    }
    for (std::thread& thread : answering) thread.join();
    seconds_ = now() - begin;
    if (error) std::rethrow_exception(error);
  }

  /// Prints what was measured; after the learner's `finish`.
  void print() const {
    std::vector<TimedAnswer> all, in_windows, others;
    ThreadStops stops;
    for (std::size_t t = 0; t < answers_.size(); ++t) {
      add_by_window(answers_[t], in_windows, others);
      all.insert(all.end(), answers_[t].begin(), answers_[t].end());
      stops = {stops.waits + stops_[t].waits, stops.preemptions + stops_[t].preemptions};
    }
    std::printf("%zu answers in %.1f s\n", all.size(), seconds_);
    std::printf("%-14s %8s %10s %8s %8s %9s %19s %10s\n", "", "answers", "median", "99 %", "99.9 %", "slowest",
                "above 3 medians", "preempted");
    const double limit = 3 * quantile(sorted(all), 0.5);
    print_row("all", all, limit);
    print_row("at exchanges", in_windows, limit);
    print_row("others", others, limit);
    std::printf(
        "microseconds; preempted: those above 3 medians in which, or in the answer before, the thread had to give up "
        "its processor\n");
    std::printf("the answering threads had to wait %ld times, and were preempted %ld times\n", stops.waits,
                stops.preemptions);
  }

 private:
  struct TimedAnswer {
    double begin = 0, seconds = 0;  ///< begin: since the measurement was made
    rapt::Index version = 0;        ///< of the model
    bool preempted = false;         ///< the thread, in this answer or in the one before
  };

  [[nodiscard]] double now() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  /// `stops`: of this thread until the end of its last answer, and then of this one.
  [[nodiscard]] TimedAnswer answer(const Classifier& classifier, Learner& learner, const Question& question,
                                   ThreadStops& stops) const {
    TimedAnswer timed{.begin = now()};
    rapt::TokenBatch tokens = classifier.encode(question.text);
    std::int32_t label = 0;
    {
      const auto reading = learner.read();
      label = label_of(*reading, tokens);
      timed.version = reading.version();
    }
    timed.seconds = now() - timed.begin;
    const ThreadStops before = std::exchange(stops, ThreadStops::of_this_thread());
    timed.preempted = (stops - before).preemptions > 0;
    if (label != question.label) learner.learn({question.text, std::move(tokens), question.label});
    return timed;
  }

  /// Tells the answers of a thread apart: those during a publication, and the first one with a new version, may be slow
  /// because of it.
  void add_by_window(const std::vector<TimedAnswer>& answers, std::vector<TimedAnswer>& in_windows,
                     std::vector<TimedAnswer>& others) const {
    std::size_t next = 0;  // the first publication that ends after the answer begins
    rapt::Index version = 0;
    for (const TimedAnswer& one : answers) {
      while (next < publications_.size() && publications_[next].second < one.begin) ++next;
      const bool during = next < publications_.size() && publications_[next].first <= one.begin + one.seconds;
      (during || one.version != version ? in_windows : others).push_back(one);
      version = one.version;
    }
  }

  [[nodiscard]] static std::vector<double> sorted(const std::vector<TimedAnswer>& answers) {
    std::vector<double> seconds;
    for (const TimedAnswer& one : answers) seconds.push_back(one.seconds);
    std::sort(seconds.begin(), seconds.end());
    return seconds;
  }
  [[nodiscard]] static double quantile(const std::vector<double>& sorted, double ratio) {
    return sorted.empty() ? 0 : sorted[static_cast<std::size_t>(ratio * static_cast<double>(sorted.size() - 1))];
  }
  static void print_row(const char* name, const std::vector<TimedAnswer>& answers, double limit) {
    const std::vector<double> seconds = sorted(answers);
    std::size_t slow = 0, preempted = 0;
    for (const TimedAnswer& one : answers) {
      if (one.seconds <= limit) continue;
      ++slow;
      preempted += one.preempted ? 1 : 0;
    }
    const auto us = [&](double ratio) { return 1e6 * quantile(seconds, ratio); };
    std::printf("%-14s %8zu %10.0f %8.0f %8.0f %9.0f %19zu %10zu\n", name, answers.size(), us(0.5), us(0.99), us(0.999),
                us(1), slow, preempted);
  }

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::vector<std::pair<double, double>> publications_;  // begin and end, written by the thread that learns
  std::vector<std::vector<TimedAnswer>> answers_;        // of each thread
  std::vector<ThreadStops> stops_;
  double seconds_ = 0;
};
