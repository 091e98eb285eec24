/// \file
/// The names of parameters, for messages about an op's inputs. A graph knows its parameters by their nodes alone.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "rapt/core/first_use.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Names by node. While values are checked (`checks_finite`), everything that visits a model notes the names of its
/// parameters here: optimizers, trainers, readers of files. Thread-safe.
class ParameterNames {
 public:
  /// A part that is visited alone gives its parameters shorter names than the whole model does: the longest remains.
  [[gnu::cold, gnu::noinline]] void note(const std::shared_ptr<const void>& node, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto place = find(node.get());
    if (place == names_.end() || place->node != node.get()) {
      names_.insert(place, {node.get(), node, name});
    } else if (place->alive.expired()) {  // of another parameter, which had the same memory
      *place = {node.get(), node, name};
    } else if (name.size() > place->name.size()) {
      place->name = name;
    }
  }
  /// Empty: not known.
  [[nodiscard, gnu::cold, gnu::noinline]] std::string of(const void* node) {
    const std::lock_guard lock(mutex_);
    const auto place = find(node);
    return place == names_.end() || place->node != node || place->alive.expired() ? std::string() : place->name;
  }

 private:
  struct Named {
    const void* node;
    std::weak_ptr<const void> alive;
    std::string name;
  };

  [[nodiscard]] std::vector<Named>::iterator find(const void* node) {
    return std::lower_bound(names_.begin(), names_.end(), node,
                            [](const Named& named, const void* wanted) { return named.node < wanted; });
  }

  std::mutex mutex_;
  std::vector<Named> names_;  // by node
};

inline ParameterNames& parameter_names() {
  static constinit FirstUse<ParameterNames> names;
  return names.get([] { return std::make_unique<ParameterNames>(); });
}

}}}  // namespace rapt::RAPT_ABI::detail
