/// \file
/// What one model has learned, for another one that shares some of its parts.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "rapt/nn/module.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Copies the parameters of `from` whose names `is_wanted` accepts to those of `to` that have the same names, and
/// returns how many they are. Throws ValueError or ShapeError that names a parameter which `to` does not have, or has
/// of another shape; then nothing has changed.
template <Module From, Module To, class IsWanted>
Index copy_parameters(const From& from, To& to, const IsWanted& is_wanted) {
  using T = typename From::ScalarType;
  constexpr std::string_view kWhere = "copy_parameters";
  std::map<std::string, Parameter<T>*> places;
  for_each_parameter(to, [&](const std::string& name, Parameter<T>& parameter) { places[name] = &parameter; });
  std::vector<std::pair<Parameter<T>*, const Parameter<T>*>> copies;
  for_each_parameter(from, [&](const std::string& name, const Parameter<T>& parameter) {
    if (!is_wanted(name)) return;
    const auto place = places.find(name);
    require(place != places.end(), kWhere, "there is no parameter \"", name, "\" to copy to");
    require<ShapeError>(place->second->shape() == parameter.shape(), kWhere, name, " has shape ", parameter.shape(),
                        ", where it is to be copied to ", place->second->shape());
    copies.emplace_back(place->second, &parameter);
  });
  for (const auto& [target, source] : copies) target->mutable_value() = source->value();
  return static_cast<Index>(copies.size());
}

}}  // namespace rapt::RAPT_ABI
