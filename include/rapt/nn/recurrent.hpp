/// \file
/// Recurrent layers: LSTM and GRU, stacked and in both directions, on batches of sequences without padding.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/concatenate_columns.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/gru.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/lstm.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The equations of a recurrent layer.
enum class RecurrentKind {
  lstm,  ///< long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000)
  gru,   ///< gated recurrent unit (Cho et al. 2014)
};

/// How a recurrent layer is made; the names are those of torch.nn.LSTM and torch.nn.GRU, but for `layers`.
struct RecurrentOptions {
  Index layers = 1;            ///< each reads the states of the one before
  bool bidirectional = false;  ///< a second set of weights reads sequences backwards; the states stand side by side
  bool bias = true;            ///< b_ih and b_hh are added, one for each of the two products
  float dropout = 0.f;         ///< rate of the dropout of the states between layers, in Training
};

/// The states [B, H] that sequences begin with or end with, in PyTorch's order: layer 0 forwards, layer 0 backwards,
/// layer 1 forwards, and so on.
template <class T>
struct RecurrentState {
  std::vector<Variable<T>> hidden = {};  ///< h; if empty where sequences begin, they are zeros
  std::vector<Variable<T>> cell = {};    ///< c of an LSTM, likewise; of a GRU empty
};

/// What a recurrent layer returns.
template <class T>
struct RecurrentResult {
  Variable<T> states;      ///< [N, H] of the last layer, [N, 2H] in both directions
  RecurrentState<T> last;  ///< of every layer and direction behind its last step
};

/// Layers of torch.nn.LSTM or torch.nn.GRU, with its equations (autograd/ops/lstm.hpp, gru.hpp) and its names of
/// parameters: weight_ih_l0 [gates H, I], weight_hh_l0 [gates H, H], bias_ih_l0, bias_hh_l0 [gates H], and the same of
/// the other direction behind "_reverse". Every sequence must have a row. Calls are const: a layer serves many threads.
template <class T, RecurrentKind kKind>
class Recurrent {
 public:
  using State = RecurrentState<T>;  ///< of the states that sequences begin and end with
  static constexpr std::string_view kName = kKind == RecurrentKind::lstm ? "lstm" : "gru";
  /// How many blocks of H rows the weights have: i, f, g, o of an LSTM, r, z, n of a GRU.
  static constexpr Index kGates = kKind == RecurrentKind::lstm ? 4 : 3;

  /// All parameters are uniform in +-1 / sqrt(hidden), as PyTorch's.
  Recurrent(Index inputs, Index hidden, Rng& rng, const RecurrentOptions& options = {})
      : hidden_(hidden), options_(options) {
    require(inputs > 0 && hidden > 0 && options.layers > 0, kName, "sizes must be positive: ", inputs, " inputs, ",
            hidden, " hidden, ", options.layers, " layers");
    require(options.dropout >= 0.f && options.dropout < 1.f, kName, "dropout must be in [0, 1): ", options.dropout);
    const double bound = 1.0 / std::sqrt(static_cast<double>(hidden));
    const auto parameter = [&](Shape shape) { return Parameter<T>(init::uniform<T>(shape, rng, bound)); };
    for (Index i = 0; i < options.layers * directions(); ++i) {
      const Index width = i < directions() ? inputs : hidden * directions();
      Direction direction;
      direction.weight_ih = parameter(Shape{kGates * hidden, width});
      direction.weight_hh = parameter(Shape{kGates * hidden, hidden});
      if (options.bias) {
        direction.bias_ih = parameter(Shape{kGates * hidden});
        direction.bias_hh = parameter(Shape{kGates * hidden});
      }
      directions_.push_back(std::move(direction));
    }
  }

  /// The states of all rows of x [N, I], sequence by sequence, from zero states or from `initial`.
  /// Throws ShapeError for x of other columns than the layer reads or other rows than the splits have, for an empty
  /// sequence, and for initial states of another number or shape.
  [[nodiscard]] RecurrentResult<T> operator()(const Variable<T>& x, const RowSplits& splits,
                                              const State& initial = {}) const {
    require<ShapeError>(x.cols() == directions_.front().weight_ih.cols(), kName, "x has shape ", x.shape(),
                        ", weight_ih_l0 is ", directions_.front().weight_ih.shape());
    require_states("hidden", initial.hidden, true);
    require_states("cell", initial.cell, kKind == RecurrentKind::lstm);
    RecurrentResult<T> result{x, {}};
    for (Index layer = 0; layer < options_.layers; ++layer) {
      if (layer > 0) result.states = dropout(std::move(result.states), options_.dropout);
      const Variable<T> input = std::move(result.states);
      result.states = run(input, splits, initial, layer * directions(), result.last);
      if (options_.bidirectional) {
        result.states =
            concatenate_columns(result.states, run(input, splits, initial, layer * directions() + 1, result.last));
      }
    }
    return result;
  }

  /// One step of every sequence, as in decoding: x has one row for each   // states [B, H] from x [B, I]
  /// A layer that reads in both directions cannot decode step by step: ValueError. Otherwise as above.
  [[nodiscard]] RecurrentResult<T> step(const Variable<T>& x, const State& state) const {
    require(!options_.bidirectional, kName, "a bidirectional layer has no single steps");
    return (*this)(x, RowSplits::equal(x.rows(), 1), state);
  }

  /// H, the width of the states of one direction.
  [[nodiscard]] Index hidden() const { return hidden_; }
  /// The number of columns of the states: hidden(), or twice as many in both directions.
  [[nodiscard]] Index outputs() const { return hidden_ * directions(); }
  [[nodiscard]] const RecurrentOptions& options() const { return options_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    const Index directions = self.directions();
    for (Index i = 0; i < std::ssize(self.directions_); ++i) {
      auto& direction = at(self.directions_, i);
      std::string suffix = "l";
      suffix += std::to_string(i / directions);
      if (i % directions == 1) suffix += "_reverse";
      visitor("weight_ih_" + suffix, direction.weight_ih);
      visitor("weight_hh_" + suffix, direction.weight_hh);
      visitor("bias_ih_" + suffix, direction.bias_ih);
      visitor("bias_hh_" + suffix, direction.bias_hh);
    }
  }

 private:
  /// The parameters of one layer in one direction.
  struct Direction {
    Parameter<T> weight_ih, weight_hh, bias_ih, bias_hh;
  };

  [[nodiscard]] Index directions() const { return options_.bidirectional ? 2 : 1; }

  void require_states(std::string_view name, const std::vector<Variable<T>>& states, bool has_them) const {
    const Index wanted = has_them ? options_.layers * directions() : 0;
    require<ShapeError>(states.empty() || std::ssize(states) == wanted, kName, "there must be ", wanted, " initial ",
                        name, " states (layers x directions) or none: ", states.size());
  }

  /// Layer and direction number i: the states of all rows. Appends the last ones.
  [[nodiscard]] Variable<T> run(const Variable<T>& x, const RowSplits& splits, const State& initial, Index i,
                                State& last) const {
    const Direction& direction = at(directions_, i);
    const bool reversed = i % directions() == 1;
    const auto state = [&](const std::vector<Variable<T>>& states) {
      return states.empty() ? Variable<T>() : at(states, i);
    };
    Variable<T> gates = linear<T>(x, direction.weight_ih, direction.bias_ih), states;
    if constexpr (kKind == RecurrentKind::lstm) {
      auto [all, cell] = lstm<T>(std::move(gates), direction.weight_hh, direction.bias_hh, splits,
                                 state(initial.hidden), state(initial.cell), reversed);
      last.cell.push_back(std::move(cell));
      states = std::move(all);
    } else {
      states =
          gru<T>(std::move(gates), direction.weight_hh, direction.bias_hh, splits, state(initial.hidden), reversed);
    }
    if (splits.rows() == splits.sequences()) {  // each row is a sequence's last
      last.hidden.push_back(states);
    } else {
      std::vector<std::int32_t> rows;
      for (Index s = 0; s < splits.sequences(); ++s) {
        rows.push_back(static_cast<std::int32_t>(reversed ? splits.begin(s) : splits.end(s) - 1));
      }
      last.hidden.push_back(gather_rows<T>(states, rows));
    }
    return states;
  }

  Index hidden_;
  RecurrentOptions options_;
  std::vector<Direction> directions_;
};

/// torch.nn.LSTM's and torch.nn.GRU's layers.
template <class T = float>
using Lstm = Recurrent<T, RecurrentKind::lstm>;
/// Gated recurrent units, in layers and directions as the options say.
template <class T = float>
using Gru = Recurrent<T, RecurrentKind::gru>;
static_assert(Module<Lstm<float>> && Module<Gru<float>>);

}}  // namespace rapt::RAPT_ABI
