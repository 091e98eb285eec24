/// \file
/// Cross-entropy of places: which row of each sequence is meant.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "rapt/autograd/record.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Column c of x scores the rows of each sequence: p_i = softmax of x_ic over the rows i of the sequence. y = mean over
/// columns of the mean over sequences of -log p of the target's row, a scalar, in nats   // x [N, C]
///
/// `targets` [B, C], sequence by sequence: rows counted from the sequence's first. A target behind the sequence's last
/// row counts for nothing, and the mean is over the columns that have a target which counts. Throws ValueError for a
/// negative target, and if no target counts.
///
/// For sequences of one length with targets in each column it is the loss of transformers' models that answer
/// questions. Shorter sequences are padded there: the softmax goes over the padding's rows, too, a target counts if it
/// is below the padded length, and a negative target is taken for 0.
template <class T>
[[nodiscard]] Variable<T> place_cross_entropy(const Variable<T>& x, const RowSplits& splits,
                                              std::span<const std::int32_t> targets) {
  constexpr std::string_view kWhere = "place_cross_entropy";
  require<ShapeError>(x.shape().rank() == 2 && x.size() > 0 && x.rows() == splits.rows(), kWhere, "x has shape ",
                      x.shape(), ", row splits end at ", splits.rows());
  const Index columns = x.cols(), sequences = splits.sequences();
  require<ShapeError>(std::ssize(targets) == sequences * columns, kWhere, targets.size(), " targets for ", sequences,
                      " sequences and ", columns, " columns");
  const auto target_of = [&](Index s, Index c) { return static_cast<Index>(targets[to_size(s * columns + c)]); };
  std::vector<Index> counts(to_size(columns), 0);  // targets of a column that count
  for (Index s = 0; s < sequences; ++s) {
    for (Index c = 0; c < columns; ++c) {
      require(target_of(s, c) >= 0, kWhere, "target ", target_of(s, c), " of sequence ", s, " is negative");
      if (target_of(s, c) < splits.length(s)) ++at(counts, c);
    }
  }
  const Index used = columns - std::count(counts.begin(), counts.end(), Index{0});
  require(used > 0, kWhere, "there is nothing to take the mean of: all ", targets.size(),
          " targets lie behind their sequences");

  Tensor<T> gradient(x.shape(), T(0));
  double sum = 0;
  for (Index s = 0; s < sequences; ++s) {
    for (Index c = 0; c < columns; ++c) {
      const Index begin = splits.begin(s), end = splits.end(s), target = begin + target_of(s, c);
      if (target >= end) continue;
      const auto score = [&](Index i) { return static_cast<double>(x.value()(i, c)); };
      double largest = score(begin), total = 0;
      for (Index i = begin + 1; i < end; ++i) largest = std::max(largest, score(i));
      for (Index i = begin; i < end; ++i) total += std::exp(score(i) - largest);
      const double weight = 1 / static_cast<double>(at(counts, c) * used);
      sum += weight * (largest + std::log(total) - score(target));
      for (Index i = begin; i < end; ++i) {  // dx_i = weight (p_i - [i is the target]) dy
        gradient(i, c) = static_cast<T>(weight * (std::exp(score(i) - largest) / total - (i == target ? 1 : 0)));
      }
    }
  }
  return record("place_cross_entropy", Tensor<T>(Shape{1}, static_cast<T>(sum)), {x},
                [gradient = std::move(gradient)](Node<T>& out) {
                  kernels::add_scaled(out.input(0).grad_sum().data(), gradient.data(), *out.grad.data(),
                                      gradient.size());
                });
}

}}  // namespace rapt::RAPT_ABI
