/// \file
/// What decoding with a model that has no encoder keeps between steps.
#pragma once

#include <vector>

#include "rapt/nn/kv_cache.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Keys and values of the tokens so far, of every layer; one row a hypothesis. Copyable; `select` follows a search.
template <class T>
struct PrefixState {
  std::vector<KeyValueCache<T>> layers;

  [[nodiscard]] Index rows() const { return layers.front().rows(); }
  /// Tokens so far, of each row.
  [[nodiscard]] std::vector<Index> lengths() const { return layers.front().lengths(); }

  /// Row r becomes what row parents[r] was.
  void select(std::span<const Index> parents) {
    for (auto& cache : layers) cache.select(parents);
  }
};

}}  // namespace rapt::RAPT_ABI
