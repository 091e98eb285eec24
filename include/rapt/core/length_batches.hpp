/// \file
/// Many sequences in batches of like length, for models that compute a batch at a time.
#pragma once

#include <algorithm>
#include <mutex>
#include <numeric>
#include <span>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/thread_pool.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/core/work_report.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Calls f(numbers) for batches of at most `most_tokens` tokens, of sequences of like length, by their numbers in the
/// order of their lengths; a longer sequence is a batch by itself. Which sequences are together follows from the
/// lengths alone. `f` is called from several threads, each of which takes a batch of its own, the one of the longest
/// sequences first; a single batch is shared by all. `report` is told how many sequences are done. Rethrows the first
/// exception of `f`.
template <class F>
void for_batches_of_like_length(const RowSplits& splits, Index most_tokens, const F& f, const WorkReport& report = {}) {
  std::vector<Index> order(to_size(splits.sequences()));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return splits.length(a) < splits.length(b); });
  std::vector<Index> begins;  // of the batches, in `order`
  Index tokens = 0;
  for (Index i = 0; i < std::ssize(order); ++i) {
    const Index length = splits.length(at(order, i));
    if (begins.empty() || tokens + length > most_tokens) {
      begins.push_back(i);
      tokens = 0;
    }
    tokens += length;
  }
  const Index batches = std::ssize(begins);
  begins.push_back(std::ssize(order));
  std::mutex mutex;  // for the report
  Index done = 0;
  parallel_parts(batches, [&](Index part) {
    const Index begin = at(begins, batches - 1 - part), end = at(begins, batches - part);
    f(std::span<const Index>(order).subspan(to_size(begin), to_size(end - begin)));
    if (!report) return;
    const std::lock_guard lock(mutex);
    done += end - begin;
    report(done, std::ssize(order));
  });
}

}}  // namespace rapt::RAPT_ABI
