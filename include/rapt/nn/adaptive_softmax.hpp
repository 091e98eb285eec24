/// \file
/// Adaptive softmax (Grave et al. 2017): the head decides among the frequent tokens and the clusters of rarer ones, and
/// a tail among the tokens of its cluster, which is computed only where it is needed.
#pragma once

#include <cstdint>
#include <numeric>

#include "rapt/autograd/ops/add.hpp"
#include "rapt/autograd/ops/cross_entropy.hpp"
#include "rapt/autograd/ops/matmul.hpp"
#include "rapt/autograd/ops/multiply.hpp"
#include "rapt/autograd/ops/slice_rows.hpp"
#include "rapt/nn/adaptive_embedding.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Which weights of the softmax are those of the embedding.
struct AdaptiveSoftmaxOptions {
  bool tie_weights = true;  ///< the tables of the embedding are the output weights
  /// For each cluster, whether its projection is the embedding's; those left out are not.
  std::vector<bool> tie_projections = {};
};

/// log P(token) = log softmax(head)_token for the first cluster's tokens; for those of cluster c > 0 it is
/// log softmax(head)_(of the cluster) + log softmax(tail_c)_(token - begin(c)), where with P_c the cluster's projection
///   head = h P_0 [weight_0 | cluster_weight]^T + [bias_0 | cluster_bias],   tail_c = h P_c weight_c^T + bias_c.
/// What is tied to an AdaptiveEmbedding is no parameter here: calls take the embedding.
template <class T = float>
class AdaptiveSoftmax {
 public:
  /// Throws ValueError for clusters that do not fit.
  AdaptiveSoftmax(const AdaptiveVocabulary& vocabulary, const AdaptiveSoftmaxOptions& options, Rng& rng,
                  double init_std = 0.02, double projection_std = 0.01)
      : vocabulary_(vocabulary) {
    vocabulary.validate("adaptive_softmax");
    const Index tails = vocabulary.clusters() - 1;
    if (tails > 0) {
      cluster_weight_ = Parameter<T>(init::normal<T>(Shape{tails, vocabulary.d_embed}, rng, init_std));
      cluster_bias_ = Parameter<T>(init::constant<T>(Shape{tails}, T(0)));
    }
    for (Index i = 0; i < vocabulary.tables(); ++i) {
      const Index rows = vocabulary.has_one_table() ? vocabulary.vocabulary : vocabulary.size(i);
      weights_.emplace_back();
      if (!options.tie_weights) {
        weights_.back() = Parameter<T>(init::normal<T>(Shape{rows, vocabulary.width(i)}, rng, init_std));
      }
      biases_.emplace_back(init::constant<T>(Shape{rows}, T(0)));
    }
    for (Index i = 0; vocabulary.is_projected() && i < vocabulary.clusters(); ++i) {
      projections_.emplace_back();
      const auto at = static_cast<std::size_t>(i);
      if (at < options.tie_projections.size() && options.tie_projections[at]) continue;
      projections_.back() =
          Parameter<T>(init::normal<T>(Shape{vocabulary.d_model, vocabulary.width(i)}, rng, projection_std));
    }
  }

  /// Mean of -log P(target_i) over rows of hidden, in nats   // hidden [N, D], targets [N]
  [[nodiscard]] Variable<T> loss(const Variable<T>& hidden, std::span<const TokenId> targets,
                                 const AdaptiveEmbedding<T>& tied) const {
    require_rows(hidden, targets);
    require(!targets.empty(), "adaptive_softmax", "no targets to take the mean of");
    const Head head = head_of(tied);
    Variable<T> mean = linear_cross_entropy<T>(project(0, hidden, tied), head.weight, head.bias, head_targets(targets));
    for (Index cluster = 1; cluster < vocabulary_.clusters(); ++cluster) {
      const Tail tail = tail_rows(cluster, targets);
      if (tail.rows.empty()) continue;
      const Variable<T> of_tail = linear_cross_entropy<T>(project(cluster, gather_rows<T>(hidden, tail.rows), tied),
                                                          weight(cluster, tied), bias(cluster), tail.targets);
      const double share = static_cast<double>(tail.rows.size()) / static_cast<double>(targets.size());
      mean = add(mean, scale(of_tail, static_cast<T>(share)));
    }
    return mean;
  }

  /// log P(target_i) of each row. Not recorded   // [N]
  [[nodiscard]] std::vector<double> target_log_probabilities(const Variable<T>& hidden,
                                                             std::span<const TokenId> targets,
                                                             const AdaptiveEmbedding<T>& tied) const {
    const Inference scope;
    require_rows(hidden, targets);
    std::vector<double> result(targets.size(), 0.0);
    const auto add_rows_of = [&](const Variable<T>& of, const Variable<T>& w, const Variable<T>& b,
                                 std::span<const TokenId> wanted, std::span<const std::int32_t> rows) {
      constexpr Index kRows = 128;  // logits of so many rows exist at once
      for (Index begin = 0; begin < of.rows(); begin += kRows) {
        const Index count = std::min(kRows, of.rows() - begin);
        const Variable<T> logits = linear<T>(slice_rows(of, begin, count), w, b);
        parallel_parts(count, [&](Index r) {
          const auto at = static_cast<std::size_t>(begin + r);
          const T* row = logits.value().row(r);
          const double log_probability =
              static_cast<double>(row[wanted[at]]) - kernels::log_sum_exp(row, logits.cols());
          result[rows.empty() ? at : static_cast<std::size_t>(rows[at])] += log_probability;
        });
      }
    };
    const Head head = head_of(tied);
    add_rows_of(project(0, hidden, tied), head.weight, head.bias, head_targets(targets), {});
    for (Index cluster = 1; cluster < vocabulary_.clusters(); ++cluster) {
      const Tail tail = tail_rows(cluster, targets);
      if (tail.rows.empty()) continue;
      add_rows_of(project(cluster, gather_rows<T>(hidden, tail.rows), tied), weight(cluster, tied), bias(cluster),
                  tail.targets, tail.rows);
    }
    return result;
  }

  /// log P(token) of every token. Not recorded   // [N, V]
  [[nodiscard]] Tensor<T> log_probabilities(const Variable<T>& hidden, const AdaptiveEmbedding<T>& tied) const {
    const Inference scope;
    const Head parameters = head_of(tied);
    const Variable<T> head = linear<T>(project(0, hidden, tied), parameters.weight, parameters.bias);
    Tensor<T> result(Shape{hidden.rows(), vocabulary_.vocabulary});
    Tensor<double> normaliser(Shape{hidden.rows()});
    const Index shortlist = vocabulary_.size(0);
    parallel_parts(hidden.rows(), [&](Index r) {
      normaliser.data()[r] = kernels::log_sum_exp(head.value().row(r), head.cols());
      write_shifted(head.value().row(r), shortlist, -normaliser.data()[r], result.row(r));
    });
    for (Index cluster = 1; cluster < vocabulary_.clusters(); ++cluster) {
      const Variable<T> tail = linear<T>(project(cluster, hidden, tied), weight(cluster, tied), bias(cluster));
      parallel_parts(hidden.rows(), [&](Index r) {
        const T* row = tail.value().row(r);
        const double of_cluster =
            static_cast<double>(head.value().row(r)[shortlist + cluster - 1]) - normaliser.data()[r];
        write_shifted(row, tail.cols(), of_cluster - kernels::log_sum_exp(row, tail.cols()),
                      result.row(r) + vocabulary_.begin(cluster));
      });
    }
    return result;
  }

  /// The clusters of the tokens.
  [[nodiscard]] const AdaptiveVocabulary& vocabulary() const { return vocabulary_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("cluster_weight", self.cluster_weight_);
    visitor("cluster_bias", self.cluster_bias_);
    visitor("weights", self.weights_);
    visitor("biases", self.biases_);
    visitor("projections", self.projections_);
  }

 private:
  struct Head {
    Variable<T> weight, bias;  // [size(0) + tails, d_embed], [size(0) + tails]
  };
  /// The rows whose target is of a cluster, and the targets, counted from the cluster's beginning.
  struct Tail {
    std::vector<std::int32_t> rows;
    std::vector<TokenId> targets;
  };

  void require_rows(const Variable<T>& hidden, std::span<const TokenId> targets) const {
    require<ShapeError>(static_cast<Index>(targets.size()) == hidden.rows(), "adaptive_softmax", targets.size(),
                        " targets for hidden states of shape ", hidden.shape());
    require_ids(targets, vocabulary_.vocabulary, "adaptive_softmax");
  }
  static void write_shifted(const T* from, Index count, double shift, T* to) {
    for (Index j = 0; j < count; ++j) to[j] = static_cast<T>(static_cast<double>(from[j]) + shift);
  }

  /// The targets of the head: a token of the first cluster, or the cluster of any other.
  [[nodiscard]] std::vector<TokenId> head_targets(std::span<const TokenId> targets) const {
    std::vector<TokenId> result;
    result.reserve(targets.size());
    for (const TokenId target : targets) {
      const Index cluster = vocabulary_.cluster_of(target);
      result.push_back(cluster == 0 ? target : static_cast<TokenId>(vocabulary_.size(0) + cluster - 1));
    }
    return result;
  }
  [[nodiscard]] Tail tail_rows(Index cluster, std::span<const TokenId> targets) const {
    Tail tail;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (vocabulary_.cluster_of(targets[i]) != cluster) continue;
      tail.rows.push_back(static_cast<std::int32_t>(i));
      tail.targets.push_back(targets[i] - static_cast<TokenId>(vocabulary_.begin(cluster)));
    }
    return tail;
  }

  /// Weights [size, width] and biases [size] of a cluster: a part of what all share, or its own.
  [[nodiscard]] Variable<T> part_of(const std::vector<Parameter<T>>& tables, Index cluster) const {
    if (!vocabulary_.has_one_table()) return tables[static_cast<std::size_t>(cluster)];
    if (vocabulary_.clusters() == 1) return tables[0];
    return slice_rows<T>(tables[0], vocabulary_.begin(cluster), vocabulary_.size(cluster));
  }
  [[nodiscard]] Variable<T> weight(Index cluster, const AdaptiveEmbedding<T>& tied) const {
    return part_of(weights_[0].defined() ? weights_ : tied.weights(), cluster);
  }
  [[nodiscard]] Variable<T> bias(Index cluster) const { return part_of(biases_, cluster); }

  [[nodiscard]] Head head_of(const AdaptiveEmbedding<T>& tied) const {
    const Variable<T> w = weight(0, tied), b = bias(0);
    if (!cluster_weight_.defined()) return {w, b};
    std::vector<Index> places(static_cast<std::size_t>(w.rows() + cluster_weight_.rows()));
    std::iota(places.begin(), places.end(), Index{0});
    const auto middle = places.begin() + static_cast<std::ptrdiff_t>(w.rows());
    const std::vector<Index> tokens(places.begin(), middle), clusters(middle, places.end());
    return {place_rows<T>({{w, tokens}, {cluster_weight_, clusters}}),
            place_rows<T>({{b, tokens}, {cluster_bias_, clusters}})};
  }

  /// h P_c   // [N, width]
  [[nodiscard]] Variable<T> project(Index cluster, const Variable<T>& hidden, const AdaptiveEmbedding<T>& tied) const {
    if (!vocabulary_.is_projected()) return hidden;
    const Parameter<T>& own = projections_[static_cast<std::size_t>(cluster)];
    if (own.defined()) return matmul<T>(hidden, own);
    return matmul<T>(hidden, tied.projections()[vocabulary_.has_one_table() ? 0 : static_cast<std::size_t>(cluster)]);
  }

  AdaptiveVocabulary vocabulary_;
  Parameter<T> cluster_weight_, cluster_bias_;
  std::vector<Parameter<T>> weights_, biases_, projections_;  // undefined where tied
};
static_assert(Module<AdaptiveSoftmax<float>>);

}}  // namespace rapt::RAPT_ABI
