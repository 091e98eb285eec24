/// \file
/// How images or sound are prepared for a model, as its Hugging Face folder says.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "rapt/core/error.hpp"
#include "rapt/io/json.hpp"
#include "rapt/pretrained/folder_contents.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// An object of settings, and the file that it stands in, for messages.
struct PreprocessorJson {
  nlohmann::json settings;
  std::string file;
};

/// The object `key` of a folder's processor_config.json, or else, as older folders have it, preprocessor_config.json,
/// in the order of transformers 5. Throws IoError that starts with `[where]` and names the file for a missing or
/// malformed one.
[[nodiscard]] inline PreprocessorJson read_preprocessor(const std::filesystem::path& folder, const char* key,
                                                        std::string_view where) {
  const FolderContents contents(folder, where, "config.json, model.safetensors and preprocessor_config.json");
  const std::string newer = (folder / "processor_config.json").string();
  if (contents.has("processor_config.json")) {
    const nlohmann::json json = read_json_object(newer, where);
    if (const auto found = json.find(key); found != json.end()) {
      JsonReader(where, newer).expect(found->is_object(), key, *found, "an object");
      return {*found, newer};
    }
  }
  if (!contents.has("preprocessor_config.json")) {
    contents.refuse_without("no preprocessor_config.json and no processor_config.json with " +
                            quote_name(std::string(key)));
  }
  const std::string older = (folder / "preprocessor_config.json").string();
  return {read_json_object(older, where), older};
}

}}}  // namespace rapt::RAPT_ABI::detail
