/// \file
/// Positional encoding: sinusoids (the paper's 3.5) or a learned table.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/add_rows.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Which sinusoid stands in which column.
enum class SinusoidLayout {
  interleaved,   ///< the paper: column 2i is sin(pos / 10000^(2i / D)), column 2i + 1 the cosine
  concatenated,  ///< [sines | cosines] of pos * 10000^(-i / (D / 2 - 1)), i = 0 .. D / 2 - 1 (tensor2tensor's code)
  halves,        ///< [sines | cosines] of the paper's angles, pos / 10000^(2i / D) (Marian)
};

/// The order of the sines and cosines, and where positions begin.
struct SinusoidalOptions {
  SinusoidLayout layout = SinusoidLayout::interleaved;  ///< which sinusoid stands in which column
  Index first_position = 0;                             ///< what the first token's position counts as
};

namespace detail {

/// Wave i of a table of sinusoids, i = 0 .. D / 2 - 1: its frequency, and the columns of its sine and cosine.
struct SinusoidColumns {
  double frequency;
  Index sine, cosine;
};
[[nodiscard]] inline SinusoidColumns sinusoid_columns(Index i, Index d_model, SinusoidLayout layout) {
  const Index half = d_model / 2;
  const bool interleaved = layout == SinusoidLayout::interleaved;
  const bool to_the_end = layout == SinusoidLayout::concatenated;  // the last wave is 10000 2 pi long
  const double exponent =
      static_cast<double>(i) / static_cast<double>(to_the_end ? std::max<Index>(half - 1, 1) : half);
  return {std::pow(10000.0, -exponent), interleaved ? 2 * i : i, interleaved ? 2 * i + 1 : half + i};
}

/// Position of each row within its sequence, plus `start`.
[[nodiscard]] inline std::vector<std::int32_t> positions_of(const RowSplits& splits, std::span<const Index> starts) {
  require<ShapeError>(starts.empty() || static_cast<Index>(starts.size()) == splits.sequences(), "positional_encoding",
                      starts.size(), " starts for ", splits.sequences(), " sequences");
  std::vector<std::int32_t> positions(static_cast<std::size_t>(splits.rows()));
  for (Index s = 0; s < splits.sequences(); ++s) {
    const Index start = starts.empty() ? 0 : starts[static_cast<std::size_t>(s)];
    for (Index i = splits.begin(s); i < splits.end(s); ++i) {
      positions[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(start + i - splits.begin(s));
    }
  }
  return positions;
}

}  // namespace detail

/// PE(pos, 2i) = sin(pos / 10000^(2i / D)),  PE(pos, 2i + 1) = cos(pos / 10000^(2i / D)), of any length.
template <class T = float>
class SinusoidalPositionalEncoding {
 public:
  /// A table of `kept` positions is computed now; sequences that go on behind it compute the rows they need.
  explicit SinusoidalPositionalEncoding(Index d_model, const SinusoidalOptions& options = {}, Index kept = 512)
      : options_(options) {
    require(d_model > 0 && d_model % 2 == 0, "positional_encoding", "d_model must be even: ", d_model);
    table_ = Variable<T>(table(kept, d_model, options));
  }

  /// x_i + PE(position of row i)   // [N, D]; `starts`: position of each sequence's first row (empty: 0)
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits,
                                       std::span<const Index> starts = {}) const {
    std::vector<std::int32_t> rows = detail::positions_of(splits, starts);
    const auto [first, last] = std::minmax_element(rows.begin(), rows.end());
    if (rows.empty() || *last < table_.rows()) return add_rows(std::move(x), table_, rows);
    const std::int32_t begin = *first;  // a step of decoding needs a row or a few, not all before it
    SinusoidalOptions options = options_;
    options.first_position += begin;
    const Variable<T> needed(table(*last - begin + 1, x.cols(), options));
    for (std::int32_t& row : rows) row -= begin;
    return add_rows(std::move(x), needed, rows);
  }

  /// PE of positions first_position .. first_position + length - 1   // [length, D]
  [[nodiscard]] static Tensor<T> table(Index length, Index d_model, const SinusoidalOptions& options = {}) {
    Tensor<T> pe(Shape{length, d_model});
    for (Index i = 0; i < d_model / 2; ++i) {
      const detail::SinusoidColumns columns = detail::sinusoid_columns(i, d_model, options.layout);
      for (Index pos = 0; pos < length; ++pos) {
        const double angle = static_cast<double>(pos + options.first_position) * columns.frequency;
        pe(pos, columns.sine) = static_cast<T>(std::sin(angle));
        pe(pos, columns.cosine) = static_cast<T>(std::cos(angle));
      }
    }
    return pe;
  }

 private:
  SinusoidalOptions options_;
  Variable<T> table_;
};

/// A learned row per position (BERT, GPT).
template <class T = float>
class LearnedPositionalEncoding {
 public:
  /// The weight is read by row numbers.
  static constexpr MatrixUse kMatrixUse = MatrixUse::table;

  /// `unused`: how many rows of the table stand before the first position's and are never used (BART: 2).
  LearnedPositionalEncoding(Index positions, Index d_model, Rng& rng, Index unused = 0)
      : weight_(init::normal<T>(Shape{unused + positions, d_model}, rng, 0.02)), unused_(unused) {}

  /// x_i + weight[unused + position of row i]; throws ValueError for a sequence longer than the table.
  [[nodiscard]] Variable<T> operator()(Variable<T> x, const RowSplits& splits,
                                       std::span<const Index> starts = {}) const {
    std::vector<std::int32_t> rows = detail::positions_of(splits, starts);
    for (Index s = 0; s < splits.sequences(); ++s) {
      const Index end = splits.length(s) + (starts.empty() ? 0 : starts[static_cast<std::size_t>(s)]);
      require(end <= weight_.rows() - unused_, "positional_encoding", "sequence ", s, " has ", end,
              " tokens, the table of learned positions ends at ", weight_.rows() - unused_);
    }
    for (std::int32_t& row : rows) row += static_cast<std::int32_t>(unused_);
    return add_rows<T>(std::move(x), weight_, rows);
  }
  /// x_i + weight[rows[i]]: positions that do not follow from the places of the tokens alone.
  [[nodiscard]] Variable<T> operator()(Variable<T> x, std::span<const std::int32_t> rows) const {
    return add_rows<T>(std::move(x), weight_, rows);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight_);
  }

 private:
  Parameter<T> weight_;
  Index unused_;
};
static_assert(Module<LearnedPositionalEncoding<float>>);

}}  // namespace rapt::RAPT_ABI
