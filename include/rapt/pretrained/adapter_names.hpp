/// \file
/// The linear maps and other parameters of a model by the names that Hugging Face's PEFT has for them.
#pragma once

#include <algorithm>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/nn/lora.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// What stands before every name in PEFT's files.
inline constexpr std::string_view kPeftPrefix = "base_model.model.";

/// The name of a stored tensor as PEFT knows it: a model without a head has names without the prefix.
template <class Config>
[[nodiscard]] std::string peft_name(const Config& config, std::string stored) {
  const std::string_view left_out = prefix_to_leave_out(config);
  if (!left_out.empty() && stored.starts_with(left_out)) stored.erase(0, left_out.size());
  return stored;
}

/// Every linear map of a model that is a module in Python, by the module's name, and whether it is kept as [in, out].
struct PeftModule {
  LoraTarget target;
  bool transposed = false;
};
template <ConfiguredModel M>
[[nodiscard]] std::vector<PeftModule> peft_modules(const M& model) {
  const StoredNames table = PretrainedFormat<typename M::Config>::stored_names(model.config());
  std::vector<PeftModule> modules;
  for_each_linear_weight(model, [&](const std::string& parameter, const auto& weight) {
    for (StoredPart& part : stored_parts(table, parameter, weight.rows())) {
      std::string name = peft_name(model.config(), std::move(part.name));
      if (name.ends_with(".weight")) name.erase(name.size() - 7);
      modules.push_back({{std::move(name), parameter, part.first_row, part.rows}, part.transposed});
    }
  });
  return modules;
}

/// True if PEFT takes `name` for a module of the list entry `wanted`: the name itself, or its last parts.
[[nodiscard]] inline bool is_peft_match(std::string_view name, std::string_view wanted) {
  return name == wanted ||
         (name.size() > wanted.size() && name.ends_with(wanted) && name[name.size() - wanted.size() - 1] == '.');
}

/// The shortest list of "target_modules" of which each entry stands for modules of `targets` alone.
[[nodiscard]] inline std::set<std::string> peft_target_modules(const std::vector<PeftModule>& all,
                                                               const std::vector<LoraTarget>& targets) {
  std::set<std::string, std::less<>> wanted;
  for (const LoraTarget& target : targets) wanted.insert(target.name);
  std::set<std::string> entries;
  for (const std::string& name : wanted) {
    std::string entry = name;
    for (std::size_t dot = name.rfind('.'); dot != std::string::npos && dot > 0; dot = name.rfind('.', dot - 1)) {
      const std::string last = name.substr(dot + 1);
      const bool fits = std::all_of(all.begin(), all.end(), [&](const PeftModule& module) {
        return !is_peft_match(module.target.name, last) || wanted.contains(module.target.name);
      });
      if (!fits) continue;
      entry = last;
      break;
    }
    entries.insert(std::move(entry));
  }
  return entries;
}

/// The entry of "modules_to_save" for a stored tensor: its module, but of "classifier" and "score" the whole head. PEFT
/// adds these two to the list of every classifier and cannot load one that has their parts, such as RoBERTa's
/// "classifier.dense", in it, too.
[[nodiscard]] inline std::string peft_saved_module(std::string_view stored) {
  for (const std::string_view head : {"classifier", "score"}) {
    if (stored.starts_with(head) && stored.substr(head.size()).starts_with('.')) return std::string(head);
  }
  return std::string(stored.substr(0, stored.rfind('.')));
}

}  // namespace detail

/// The linear maps that PEFT's "target_modules" names: modules whose whole name, or the last parts of it, an entry is,
/// such as "query" or "mlp.c_proj". Throws ValueError for an entry that stands for none.
template <ConfiguredModel M>
[[nodiscard]] std::vector<LoraTarget> adapter_targets(const M& model, std::span<const std::string> modules) {
  std::vector<LoraTarget> targets;
  std::set<std::string, std::less<>> last_parts;
  std::vector<bool> matched(modules.size(), false);
  for (const detail::PeftModule& module : detail::peft_modules(model)) {
    const std::string& name = module.target.name;
    last_parts.insert(name.substr(name.rfind('.') + 1));
    bool wanted = false;
    for (std::size_t i = 0; i < modules.size(); ++i) {
      if (detail::is_peft_match(name, modules[i])) matched[i] = wanted = true;
    }
    if (wanted) targets.push_back(module.target);
  }
  for (std::size_t i = 0; i < modules.size(); ++i) {
    std::string known;
    for (const std::string& part : last_parts) known += (known.empty() ? "" : ", ") + part;
    require(matched[i], "adapter_targets", "no linear map of the model is called ", detail::quote_name(modules[i]),
            ": their names end with ", known);
  }
  return targets;
}
template <ConfiguredModel M>
[[nodiscard]] std::vector<LoraTarget> adapter_targets(const M& model, const std::vector<std::string>& modules) {
  return adapter_targets(model, std::span<const std::string>(modules));
}

}}  // namespace rapt::RAPT_ABI
