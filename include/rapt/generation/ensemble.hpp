/// \file
/// Several models that decode as one.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "rapt/core/thread_pool.hpp"
#include "rapt/generation/decoding_model.hpp"
#include "rapt/kernels/log_mean_exp.hpp"
#include "rapt/kernels/softmax.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// How K models' distributions p_1 .. p_K of the next token become one.
enum class EnsembleMean {
  probabilities,      ///< (p_1 + ... + p_K) / K
  log_probabilities,  ///< proportional to (p_1 ... p_K)^(1/K)
};

/// A DecodingModel made of models with the same target vocabulary, each with weights (or a source) of its own. It only
/// looks at them: they must outlive it.
///
///     rapt::beam_search(rapt::Ensemble({&first, &second}), source, {.beam_size = 4});
template <DecodingModel M>
class Ensemble {
 public:
  using ScalarType = typename M::ScalarType;

  /// The states of all models.
  struct State {
    std::vector<typename M::State> of;  ///< each model's own

    [[nodiscard]] Index rows() const { return static_cast<Index>(of.front().rows()); }
    /// Row i becomes a copy of row parents[i], in each model's state.
    void select(std::span<const Index> parents) {
      for (auto& state : of) state.select(parents);
    }
  };

  /// Throws ValueError without models.
  explicit Ensemble(std::vector<const M*> models, EnsembleMean mean = EnsembleMean::probabilities)
      : models_(std::move(models)), mean_(mean) {
    require(!models_.empty() && std::find(models_.begin(), models_.end(), nullptr) == models_.end(), "ensemble",
            "there must be at least one model, and none may be null");
  }

  /// The marks that all models have. Throws ValueError if they differ; a request may then name the marks.
  [[nodiscard]] SequenceMarks sequence_marks() const {
    SequenceMarks marks = models_.front()->sequence_marks();
    for (std::size_t k = 1; k < models_.size(); ++k) {
      require(models_[k]->sequence_marks() == marks, "ensemble",
              "the begin tokens, end tokens or longest sequences of the first model and of number ", k + 1, " differ");
    }
    return marks;
  }

  /// The states of all models for these sources.
  [[nodiscard]] State start(const TokenBatch& source) const {
    State state;
    for (const M* model : models_) state.of.push_back(model->start(source));
    return state;
  }

  /// Log-probabilities, up to a number for each row   // [rows, V]
  [[nodiscard]] Tensor<ScalarType> step(State& state, std::span<const TokenId> tokens) const {
    if (models_.size() == 1) return models_.front()->step(state.of.front(), tokens);
    std::vector<Tensor<ScalarType>> logits;
    for (std::size_t k = 0; k < models_.size(); ++k) {
      logits.push_back(models_[k]->step(state.of[k], tokens));
      require<ShapeError>(logits[k].shape() == logits[0].shape(), "ensemble",
                          "the models' target vocabularies differ: logits of the first are ", logits[0].shape(),
                          ", of number ", k + 1, " ", logits[k].shape());
    }
    Tensor<ScalarType> result(logits[0].shape());
    parallel_parts(result.rows(), [&](Index row) { combine(logits, row, result.row(row)); });
    return result;
  }

 private:
  using T = ScalarType;

  /// One row: log p_k = logits_k - log sum_j e^logits_kj in place, then the mean.
  void combine(std::vector<Tensor<T>>& logits, Index row, T* result) const {
    const Index count = logits[0].cols();
    for (Tensor<T>& of_model : logits) {
      T* z = of_model.row(row);
      const auto normaliser = static_cast<T>(kernels::log_sum_exp(z, count));
      for (Index j = 0; j < count; ++j) z[j] -= normaliser;
    }
    if (mean_ == EnsembleMean::log_probabilities) {
      const T models = static_cast<T>(logits.size());
      std::fill_n(result, count, T(0));
      for (const Tensor<T>& of_model : logits) {
        const T* log_p = of_model.row(row);
        for (Index j = 0; j < count; ++j) result[j] += log_p[j] / models;
      }
      return;
    }
    kernels::log_mean_exp(
        static_cast<Index>(logits.size()), [&](Index k) { return logits[static_cast<std::size_t>(k)].row(row); },
        result, count);
  }

  std::vector<const M*> models_;
  EnsembleMean mean_;
};
template <class M>
Ensemble(std::initializer_list<const M*>) -> Ensemble<M>;
template <class M>
Ensemble(std::initializer_list<const M*>, EnsembleMean) -> Ensemble<M>;

}}  // namespace rapt::RAPT_ABI
