/// \file
/// Neighbouring rows side by side: a convolution along a sequence is a product of these with its weight.
#pragma once

#include <algorithm>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/kernels/elementwise.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Which rows a convolution along a sequence sees.
struct RowWindow {
  Index width = 3;      ///< rows that are seen at once
  Index stride = 1;     ///< rows from one window to the next
  Index padding = 1;    ///< rows of zeros before the first row and, unless `causal`, behind the last
  Index dilation = 1;   ///< from one row that is seen to the next; 1: they are neighbours
  bool causal = false;  ///< no padding behind the last row

  /// Windows of a sequence of so many rows.
  [[nodiscard]] Index count(Index length) const {
    const Index padded = length + (causal ? 1 : 2) * padding, seen = (width - 1) * dilation + 1;
    return padded < seen ? 0 : (padded - seen) / stride + 1;
  }
  /// Throws ValueError `[where] ...` for numbers that make no windows.
  void validate(std::string_view where) const {
    require(width > 0 && stride > 0 && dilation > 0 && padding >= 0, where,
            "width, stride and dilation must be positive, padding not negative: width ", width, ", stride ", stride,
            ", dilation ", dilation, ", padding ", padding);
  }
  friend bool operator==(const RowWindow&, const RowWindow&) = default;
};

/// A window for each row, of that row and width - 1 before it: no result depends on a later row.
[[nodiscard]] constexpr RowWindow causal_window(Index width, Index dilation = 1) {
  return {.width = width, .stride = 1, .padding = (width - 1) * dilation, .dilation = dilation, .causal = true};
}
/// A window for each row, of that row and as many on both sides. Throws ValueError for an even width.
[[nodiscard]] constexpr RowWindow centred_window(Index width, Index dilation = 1) {
  if (width % 2 == 0) fail("centred_window", "the width must be odd: ", width);
  return {.width = width, .stride = 1, .padding = (width - 1) / 2 * dilation, .dilation = dilation, .causal = false};
}

}}  // namespace rapt::RAPT_ABI

namespace rapt { inline namespace RAPT_ABI { namespace kernels {

/// y[window t, c width + k] = x[t stride + k dilation - padding, c], 0 outside of the sequence
///   // y [N', C width] from x [N, C]; `windows`: where each sequence's windows are
/// The order (c, k) is that of a convolution's weight [out, C, width].
template <class T>
void unfold_rows(TensorView<const T> x, const RowSplits& splits, const RowSplits& windows, const RowWindow& window,
                 TensorView<T> y) {
  const Index channels = x.cols(), width = window.width;
  const Index grain = std::max<Index>(1, kElementGrain / std::max<Index>(1, y.cols()));
  for (Index s = 0; s < splits.sequences(); ++s) {
    const Index begin = splits.begin(s), end = splits.end(s), first = windows.begin(s);
    parallel_for(windows.length(s), grain, [&](Index from, Index to) {
      for (Index t = from; t < to; ++t) {
        T* const out = y.row(first + t);
        for (Index k = 0; k < width; ++k) {
          const Index row = begin + t * window.stride + k * window.dilation - window.padding;
          const T* const in = row >= begin && row < end ? x.row(row) : nullptr;
          for (Index c = 0; c < channels; ++c) out[c * width + k] = in != nullptr ? in[c] : T(0);
        }
      }
    });
  }
}

/// The transposed operation: dx[t stride + k dilation - padding, c] += dy[window t, c width + k]. Each thread takes
/// some rows of dx, so that they are added in one order.
template <class T>
void fold_rows(TensorView<const T> dy, const RowSplits& splits, const RowSplits& windows, const RowWindow& window,
               TensorView<T> dx) {
  const Index channels = dx.cols(), width = window.width;
  const Index grain = std::max<Index>(1, kElementGrain / std::max<Index>(1, dy.cols()));
  for (Index s = 0; s < splits.sequences(); ++s) {
    const Index begin = splits.begin(s), count = windows.length(s), first = windows.begin(s);
    parallel_for(splits.length(s), grain, [&](Index from, Index to) {
      for (Index i = from; i < to; ++i) {
        T* const out = dx.row(begin + i);
        for (Index k = 0; k < width; ++k) {
          const Index place = i + window.padding - k * window.dilation;  // t stride
          if (place < 0 || place % window.stride != 0 || place / window.stride >= count) continue;
          const T* const in = dy.row(first + place / window.stride);
          for (Index c = 0; c < channels; ++c) out[c] += in[c * width + k];
        }
      }
    });
  }
}

}}}  // namespace rapt::RAPT_ABI::kernels
