/// \file
/// ModelChoice: the versions of a model that a training run leaves, and the one that does best in validation.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/nn/module.hpp"
#include "rapt/train/snapshot.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Versions of one model, by name. Keeps a reference to the model.
template <Module M>
class ModelChoice {
 public:
  using Snapshot = ParameterSnapshot<typename M::ScalarType>;  ///< a copy of all parameters

  /// The first version is the one in the model.
  ModelChoice(M& model, std::string name) : model_(model), versions_{{std::move(name)}} {}

  /// Adds a version, with its score if that is known.
  void add(std::string name, Snapshot parameters, std::optional<double> score = {}) {
    Version& version = versions_.emplace_back();
    version.name = std::move(name);
    version.parameters = std::move(parameters);
    version.score = score;
  }
  /// Adds a version whose parameters `assign` gives to the model, which has its own again afterwards. If `assign`
  /// throws, the model must be as it was, and nothing is added.
  template <class Assign>
  void add_assigned(std::string name, const Assign& assign) {
    Snapshot own(model_);
    assign();
    own.swap_with(model_);
    add(std::move(name), std::move(own));
  }

  /// Leaves in the model the version of the smallest score, the earliest among equals, and returns its name.
  /// `measure(name)` returns the score of the version that is then in the model; it is called for versions without a
  /// score, and not at all if there is one version alone.
  template <class Measure>
  std::string choose_best(const Measure& measure) {
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < versions_.size() && versions_.size() > 1; ++i) {
      Version& version = versions_[i];
      if (!version.score) {
        exchange(version);
        version.score = measure(version.name);
        exchange(version);
      }
      if (*version.score < *versions_[chosen].score) chosen = i;
    }
    return leave(chosen);
  }
  /// Leaves in the model the version that was added last, and returns its name.
  std::string choose_last() { return leave(versions_.size() - 1); }

 private:
  struct Version {
    std::string name;
    Snapshot parameters = {};  // empty: those that the model has
    std::optional<double> score = {};
  };

  /// The version and the model exchange their parameters.
  void exchange(Version& version) {
    if (!version.parameters.empty()) version.parameters.swap_with(model_);
  }
  std::string leave(std::size_t chosen) {
    exchange(versions_[chosen]);
    return versions_[chosen].name;
  }

  M& model_;
  std::vector<Version> versions_;
};

}}  // namespace rapt::RAPT_ABI
