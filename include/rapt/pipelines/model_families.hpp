/// \file
/// The model of a folder as one of several families, chosen when the program runs by "model_type" in config.json.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/pretrained/pretrained.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Models that are opened for a task. To add a family: its model.
template <class... Models>
struct ModelFamilies {};

/// Calls f(type) with a null pointer to the model of the families that the folder holds. Throws IoError `[where]` that
/// names the families for another one's folder.
template <class... Models, class F>
void with_family(ModelFamilies<Models...>, const std::filesystem::path& folder, std::string_view where, const F& f) {
  const std::string type = pretrained_type(folder);
  const auto call = [&]<class M>(const M* chosen) {
    if (!is_model_type<typename M::Config>(type)) return false;
    f(chosen);
    return true;
  };
  if ((call(static_cast<const Models*>(nullptr)) || ...)) return;
  std::string known;
  ((known += (known.empty() ? "" : ", ") + std::string(PretrainedFormat<typename Models::Config>::kModelType)), ...);
  fail<IoError>(where, (folder / "config.json").string(), ": the model is of type ", quote_name(type),
                ", known for this task are ", known);
}

/// The folder's model behind an interface, which `Adapter<M>` implements with an M or with what it makes of a folder
/// and of further arguments.
template <class Interface, template <class> class Adapter, class... Models, class... Arguments>
[[nodiscard]] std::shared_ptr<const Interface> load_one_of(ModelFamilies<Models...> families,
                                                           const std::filesystem::path& folder, std::string_view where,
                                                           const Arguments&... arguments) {
  std::shared_ptr<const Interface> loaded;
  with_family(families, folder, where,
              [&]<class M>(const M*) { loaded = std::make_shared<const Adapter<M>>(folder, arguments...); });
  return loaded;
}

}}}  // namespace rapt::RAPT_ABI::detail
