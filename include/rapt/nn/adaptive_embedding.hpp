/// \file
/// Adaptive input embeddings (Baevski and Auli 2019): a vocabulary sorted by frequency is cut into clusters, and the
/// rarer ones have narrower embeddings.
#pragma once

#include <algorithm>
#include <cmath>

#include "rapt/autograd/ops/gather_rows.hpp"
#include "rapt/autograd/ops/linear.hpp"
#include "rapt/autograd/ops/place_rows.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/nn/init.hpp"
#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A vocabulary in clusters: cluster i is the ids begin(i) .. end(i), the most frequent tokens first.
struct AdaptiveVocabulary {
  Index vocabulary = 0;             ///< V, the tokens of all clusters
  std::vector<Index> cutoffs = {};  ///< where clusters behind the first begin; empty: there is one only
  Index d_model = 0;                ///< D, the width that all embeddings are projected to
  Index d_embed = 0;                ///< of the first cluster
  Index div_val = 1;                ///< embeddings of cluster i have d_embed / div_val^i columns

  [[nodiscard]] Index clusters() const { return static_cast<Index>(cutoffs.size()) + 1; }
  [[nodiscard]] Index begin(Index cluster) const {
    return cluster == 0 ? 0 : cutoffs[static_cast<std::size_t>(cluster) - 1];
  }
  [[nodiscard]] Index end(Index cluster) const {
    return cluster + 1 == clusters() ? vocabulary : cutoffs[static_cast<std::size_t>(cluster)];
  }
  [[nodiscard]] Index size(Index cluster) const { return end(cluster) - begin(cluster); }
  /// The cluster of a token, which is not checked: from 0 to `vocabulary` - 1.
  [[nodiscard]] Index cluster_of(TokenId token) const {
    return std::upper_bound(cutoffs.begin(), cutoffs.end(), static_cast<Index>(token)) - cutoffs.begin();
  }
  /// The columns of a cluster's embeddings, d_embed / div_val^cluster, rounded down at each division.
  [[nodiscard]] Index width(Index cluster) const {
    Index columns = d_embed;
    for (Index i = 0; i < cluster; ++i) columns /= div_val;
    return columns;
  }
  /// Whether all clusters share one table. Where all are of one width, they do.
  [[nodiscard]] bool has_one_table() const { return div_val == 1; }
  /// The number of tables of embeddings: one of all tokens, or one of each cluster.
  [[nodiscard]] Index tables() const { return has_one_table() ? 1 : clusters(); }
  /// Whether projections stand between embeddings and the model.
  [[nodiscard]] bool is_projected() const { return !has_one_table() || d_embed != d_model; }

  /// Throws ValueError that starts with `[where]`.
  void validate(std::string_view where) const {
    require(vocabulary > 0 && d_model > 0 && d_embed > 0 && div_val > 0, where, "sizes must be positive: vocabulary ",
            vocabulary, ", d_model ", d_model, ", d_embed ", d_embed, ", div_val ", div_val);
    require(clusters() <= static_cast<Index>(Node<float>::kMaxInputs), where, "at most ", Node<float>::kMaxInputs - 1,
            " cutoffs: ", cutoffs.size());
    for (Index i = 0; i < clusters(); ++i) {
      require(size(i) > 0, where, "cutoffs must rise, from above 0 to below the vocabulary of ", vocabulary,
              ": cluster ", i, " is ids ", begin(i), " .. ", end(i));
      require(width(i) > 0, where, "embeddings of cluster ", i, " have no columns: d_embed ", d_embed, ", div_val ",
              div_val);
    }
  }
};

/// y_i = sqrt(d_model) P_c weight_c[token_i - begin(c)], c being the token's cluster   // [N, D]
/// weights: [size, width] of each cluster, or [V, d_embed] of all; projections [D, width] alike, or none.
template <class T = float>
class AdaptiveEmbedding {
 public:
  /// Throws ValueError for clusters that do not fit.
  AdaptiveEmbedding(const AdaptiveVocabulary& vocabulary, Rng& rng, double init_std = 0.02,
                    double projection_std = 0.01)
      : vocabulary_(vocabulary) {
    vocabulary.validate("adaptive_embedding");
    for (Index i = 0; i < vocabulary.tables(); ++i) {
      const Index rows = vocabulary.has_one_table() ? vocabulary.vocabulary : vocabulary.size(i);
      weights_.emplace_back(init::normal<T>(Shape{rows, vocabulary.width(i)}, rng, init_std));
      if (!vocabulary.is_projected()) continue;
      projections_.emplace_back(init::normal<T>(Shape{vocabulary.d_model, vocabulary.width(i)}, rng, projection_std));
    }
  }

  /// The embeddings y. Throws ValueError that names the first token outside of the vocabulary   // [N, D]
  [[nodiscard]] Variable<T> operator()(std::span<const TokenId> tokens) const {
    require_ids(tokens, vocabulary_.vocabulary, "adaptive_embedding");
    if (vocabulary_.has_one_table() || tokens.empty()) return embed(0, tokens);
    std::vector<PlacedRows<T>> parts;
    for (Index cluster = 0; cluster < vocabulary_.clusters(); ++cluster) {
      std::vector<TokenId> ids;
      std::vector<Index> places;
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (vocabulary_.cluster_of(tokens[i]) != cluster) continue;
        ids.push_back(tokens[i] - static_cast<TokenId>(vocabulary_.begin(cluster)));
        places.push_back(static_cast<Index>(i));
      }
      if (!ids.empty()) parts.push_back({embed(cluster, ids), std::move(places)});
    }
    return parts.size() == 1 ? parts[0].rows : place_rows(std::move(parts));
  }

  /// The clusters, to make an AdaptiveSoftmax of the same.
  [[nodiscard]] const AdaptiveVocabulary& vocabulary() const { return vocabulary_; }
  /// Of each cluster, or one of all.
  [[nodiscard]] const std::vector<Parameter<T>>& weights() const { return weights_; }
  [[nodiscard]] const std::vector<Parameter<T>>& projections() const { return projections_; }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weights", self.weights_);
    visitor("projections", self.projections_);
  }

 private:
  /// Embeddings of ids that count from the beginning of a table   // [n, D]
  [[nodiscard]] Variable<T> embed(Index table, std::span<const TokenId> ids) const {
    const auto i = static_cast<std::size_t>(table);
    const T scale = std::sqrt(static_cast<T>(vocabulary_.d_model));
    Variable<T> y = gather_rows<T>(weights_[i], ids, scale);
    return vocabulary_.is_projected() ? linear<T>(y, projections_[i], Variable<T>()) : y;
  }

  AdaptiveVocabulary vocabulary_;
  std::vector<Parameter<T>> weights_, projections_;
};
static_assert(Module<AdaptiveEmbedding<float>>);

}}  // namespace rapt::RAPT_ABI
