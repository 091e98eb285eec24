/// \file
/// LoRA (Hu et al. 2021): a model is adapted by products of two thin matrices beside its weights, which alone are
/// learned. The weights stay as they are, so that one model serves many tasks, each with an adapter of its own.
///
///     rapt::Lora<float> lora(model, rapt::lora_targets(model, {"*.in_proj_weight", "*.linear?"}), {.rank = 8}, rng);
///     rapt::WithLora adapted(model, lora);                    // what a Trainer trains (nn/with_lora.hpp)
///     ...
///     const rapt::UseAdapter scope(lora);                     // calls on this thread use the adapter
///     model(batch);
///
/// nn/lora_merge.hpp adds the products to the weights themselves.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rapt/autograd/ops/activation.hpp"
#include "rapt/autograd/ops/add_low_rank.hpp"
#include "rapt/autograd/ops/dropout.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/rescale_columns.hpp"
#include "rapt/autograd/packed_weight.hpp"
#include "rapt/autograd/weight_adapter.hpp"
#include "rapt/core/index.hpp"
#include "rapt/kernels/elementwise.hpp"
#include "rapt/kernels/gemm/gemm.hpp"
#include "rapt/kernels/normalize.hpp"
#include "rapt/nn/freeze.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// The rank of an adapter, and how its product is scaled.
struct LoraOptions {
  Index rank = 8;                ///< r, rows of A
  double alpha = 8;              ///< the product B A is multiplied by alpha / r
  bool rank_stabilized = false;  ///< by alpha / sqrt(r) instead (rsLoRA: Kalajdzievski 2023)
  float dropout = 0.f;           ///< rate of the dropout of x before A
  bool magnitudes = false;       ///< DoRA (Liu et al. 2024): the rows of W + scale B A have learned lengths

  /// What the product B A is multiplied by.
  [[nodiscard]] double scale() const {
    const auto r = static_cast<double>(rank);
    return alpha / (rank_stabilized ? std::sqrt(r) : r);
  }
};

/// A linear map that an adapter stands beside: rows of a weight, which may be a part of several maps in one matrix.
struct LoraTarget {
  std::string name;         ///< what the adapter's matrices are called: `name`.lora_A.weight, `name`.lora_B.weight
  std::string parameter;    ///< the weight's name in the model
  Index row = 0, rows = 0;  ///< rows row .. row + rows of the weight
};

/// The whole weights whose names, without a ".weight" at the end, match one of the patterns (see `matches_pattern`).
/// Throws ValueError for a pattern that matches none.
template <Module M>
[[nodiscard]] std::vector<LoraTarget> lora_targets(const M& model, std::span<const std::string> patterns) {
  std::vector<LoraTarget> targets;
  std::vector<bool> matched(patterns.size(), false);
  std::string names;
  for_each_linear_weight(model, [&](const std::string& parameter, const auto& weight) {
    std::string_view name = parameter;
    if (name.ends_with(".weight")) name.remove_suffix(7);
    names.append(names.empty() ? "" : ", ").append(name);
    bool wanted = false;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      if (!matches_pattern(name, patterns[i])) continue;
      matched[i] = wanted = true;
    }
    if (wanted) targets.push_back({std::string(name), parameter, 0, weight.rows()});
  });
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    require(matched[i], "lora", "the pattern '", patterns[i], "' matches none of the model's linear maps: ", names);
  }
  return targets;
}
template <Module M>
[[nodiscard]] std::vector<LoraTarget> lora_targets(const M& model, const std::vector<std::string>& patterns) {
  return lora_targets(model, std::span<const std::string>(patterns));
}

/// Beside each target W [out, in] two learned matrices: (W + scale B A) x in place of W x, computed as
/// W x + scale B (A dropout(x)) with A [r, in], B [out, r]. At first B is 0, and the adapted model is the model.
///
/// With magnitudes (DoRA) there is also a learned vector m [out], at first the lengths |W_j| of W's rows, and output j
/// is multiplied by m_j / |(W + scale B A)_j|. As section 4.3 of that paper proposes, backward takes these lengths for
/// constants. They are computed anew for each product, as A and B may have changed, which costs as much as the product
/// of rank(A) + 1 tokens: for serving, LoraMerge adds the adapter to the weights once. Where the adapter has dropout, W
/// x itself is of the x that nothing was dropped of.
///
/// An adapter belongs to the model that it was made for, wherever that is moved; to use it with a copy, `bind` it. A
/// const adapter may be used from many threads.
template <class T = float>
class Lora final : public WeightAdapter<T> {
 public:
  static constexpr T kShortest = T(1e-12);  ///< what DoRA takes for the length of shorter rows

  using ScalarType = T;

  /// A is uniform in +-1 / sqrt(in), as in PEFT. Throws ValueError for options that do not fit, or a target that is no
  /// linear map of the model or is there twice.
  template <Module M>
  Lora(const M& model, const std::vector<LoraTarget>& targets, const LoraOptions& options, Rng& rng)
      : options_(options) {
    require(options.rank > 0 && std::isfinite(options.alpha) && options.dropout >= 0.f && options.dropout < 1.f, kWhere,
            "the rank must be positive, alpha finite, dropout in [0, 1): ", options.rank, ", ", options.alpha, ", ",
            options.dropout);
    require(!targets.empty(), kWhere, "no linear map is to be adapted");
    const std::map<std::string, const Parameter<T>*> weights = weights_of(model);
    for (const LoraTarget& target : targets) {
      const Parameter<T>& weight = find(weights, target);
      for (const Branch& other : branches_) {
        require(other.target.parameter != target.parameter || other.target.row + other.target.rows <= target.row ||
                    target.row + target.rows <= other.target.row,
                kWhere, "rows ", target.row, " .. ", target.row + target.rows, " of ", target.parameter,
                " are adapted twice, as ", other.target.name, " and as ", target.name);
      }
      const double bound = 1 / std::sqrt(static_cast<double>(weight.cols()));
      Tensor<T> a(Shape{options.rank, weight.cols()});
      rng.fill_uniform(a.values(), -bound, bound);
      branches_.push_back({target, Parameter<T>(std::move(a)),
                           Parameter<T>(init::constant<T>(Shape{target.rows, options.rank}, T(0))), Parameter<T>()});
      Branch& made = branches_.back();
      if (options.magnitudes) made.magnitude = Parameter<T>(lengths(made, weight, 0, target.rows));
    }
    bind(model);
  }

  /// From now on the adapter is this model's: one of the same parameters, such as a copy. Throws ValueError for a model
  /// that lacks a target.
  template <Module M>
  void bind(const M& model) {
    const std::map<std::string, const Parameter<T>*> weights = weights_of(model);
    std::unordered_map<const Node<T>*, Places> bound;
    for (const Branch& branch : branches_) {
      const Parameter<T>& weight = find(weights, branch.target);
      require<ShapeError>(weight.cols() == branch.a.cols(), kWhere, branch.target.parameter, " has shape ",
                          weight.shape(), ", the adapter's A ", branch.a.shape());
      Places& places = bound[weight.node().get()];
      places.weight = weight.node();
      places.branches.push_back(to_size(&branch - branches_.data()));
    }
    bound_ = std::move(bound);
  }

  [[nodiscard]] const LoraOptions& options() const { return options_; }
  /// The adapted maps, in the order in which `for_each` visits them.
  [[nodiscard]] std::vector<LoraTarget> targets() const {
    std::vector<LoraTarget> targets;
    for (const Branch& branch : branches_) targets.push_back(branch.target);
    return targets;
  }
  /// f(target, A, B, m) for each target; m is undefined without magnitudes.
  template <class F>
  void for_each(const F& f) const {
    for (const Branch& branch : branches_) f(branch.target, branch.a, branch.b, branch.magnitude);
  }

  [[nodiscard]] bool adapts(const Node<T>& weight) const override { return bound_.contains(&weight); }
  [[nodiscard]] Variable<T> apply(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                                  Activation activation, Index first, Index count) const override {
    Variable<T> z = linear<T>(x, weight, bias, Activation::none, {first, count});
    for (const std::size_t i : bound_.find(weight.node().get())->second.branches) {
      const Branch& branch = branches_[i];
      const Index begin = std::max(first, branch.target.row);
      const Index end = std::min(first + count, branch.target.row + branch.target.rows);
      if (begin >= end) continue;
      const Index row = begin - branch.target.row, rows = end - begin;
      z = add_low_rank<T>(std::move(z), dropout(x, options_.dropout), branch.a, branch.b,
                          {.scale = options_.scale(), .column = begin - first, .row = row, .count = rows});
      if (!branch.magnitude.defined()) continue;
      z = rescale_columns<T>(std::move(z), branch.magnitude, bias, lengths(branch, weight, row, rows),
                             {.column = begin - first, .row = row, .bias = begin});
    }
    return activation == Activation::none ? z : activate(z, activation);
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    for (auto& branch : self.branches_) {
      visitor(branch.target.name + ".lora_A.weight", branch.a);
      visitor(branch.target.name + ".lora_B.weight", branch.b);
      visitor(branch.target.name + ".lora_magnitude_vector", branch.magnitude);
    }
  }

 private:
  static constexpr std::string_view kWhere = "lora";

  struct Branch {
    LoraTarget target;
    Parameter<T> a, b;
    Parameter<T> magnitude;  // undefined without magnitudes
  };
  struct Places {
    std::shared_ptr<const Node<T>> weight;  // so that no other node takes its address
    std::vector<std::size_t> branches;
  };

  template <class M>
  [[nodiscard]] static std::map<std::string, const Parameter<T>*> weights_of(const M& model) {
    std::map<std::string, const Parameter<T>*> weights;
    for_each_linear_weight(model,
                           [&](const std::string& name, const Parameter<T>& weight) { weights[name] = &weight; });
    return weights;
  }
  [[nodiscard]] static const Parameter<T>& find(const std::map<std::string, const Parameter<T>*>& weights,
                                                const LoraTarget& target) {
    const auto found = weights.find(target.parameter);
    require(found != weights.end(), kWhere, "the model has no linear map of the name ", target.parameter);
    require<ShapeError>(target.row >= 0 && target.rows > 0 && target.row + target.rows <= found->second->rows(), kWhere,
                        "rows ", target.row, " .. ", target.row + target.rows, " of ", target.parameter,
                        ", whose shape is ", found->second->shape());
    return *found->second;
  }

  /// The lengths of rows row .. row + count of the target's W + scale B A, or kShortest of shorter ones   // [count]
  [[nodiscard]] Tensor<T> lengths(const Branch& branch, const Variable<T>& weight, Index row, Index count) const {
    constexpr Index kRows = kernels::kUnpackedColumns;
    Tensor<T> result(Shape{count});
    const auto measure = [&](Index j, const TensorView<T>& rows) {
      Tensor<T> b(branch.b.value().view().middle_rows(row + j, rows.rows()));
      kernels::scale(b.data(), static_cast<T>(options_.scale()), b.size());
      kernels::gemm(kernels::as_is(b), kernels::as_is(branch.a.value()), rows, {.accumulate = true});
      kernels::normalize_rows<T>(rows, kShortest, result.data() + j, rows.data());  // of which the lengths are used
      for (Index i = j; i < j + rows.rows(); ++i) result.data()[i] = std::max(result.data()[i], kShortest);
    };
    const Index first = branch.target.row + row;
    if (!weight.value().has_elements()) {
      kernels::for_unpacked_columns<T>(packed_operand(weight), first, count, measure);
      return result;
    }
    for (Index j = 0; j < count; j += kRows) {
      Tensor<T> rows(weight.value().view().middle_rows(first + j, std::min(kRows, count - j)));
      measure(j, rows.view());
    }
    return result;
  }

  LoraOptions options_;
  std::vector<Branch> branches_;
  std::unordered_map<const Node<T>*, Places> bound_;
};
static_assert(Module<Lora<float>>);

}}  // namespace rapt::RAPT_ABI
