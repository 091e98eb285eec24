/// \file
/// How images or sound are prepared for a model, as its Hugging Face folder says.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "rapt/core/error.hpp"
#include "rapt/io/json.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// An object of settings, and the file that it stands in, for messages.
struct PreprocessorJson {
  nlohmann::json settings;
  std::string file;
};

/// preprocessor_config.json, or where there is none the object `key` of the newer processor_config.json. Throws IoError
/// that names the file for a missing or malformed one.
[[nodiscard]] inline PreprocessorJson read_preprocessor(const std::filesystem::path& folder, const std::string& key) {
  const std::filesystem::path older = folder / "preprocessor_config.json", newer = folder / "processor_config.json";
  if (std::filesystem::exists(older)) return {read_json_object(older, "pretrained"), older.string()};
  require<IoError>(std::filesystem::exists(newer), "pretrained", folder.string(),
                   ": has neither preprocessor_config.json nor processor_config.json");
  const nlohmann::json json = read_json_object(newer, "pretrained");
  const auto found = json.find(key);
  require<IoError>(found != json.end() && found->is_object(), "pretrained", newer.string(), ": has no ",
                   quote_name(key));
  return {*found, newer.string()};
}

}}}  // namespace rapt::RAPT_ABI::detail
