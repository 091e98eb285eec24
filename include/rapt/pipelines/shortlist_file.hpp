/// \file
/// Vocabulary shortlists in files: JSON with "target_vocabulary", the tokens that may come in "always", and those of
/// each source token in "candidates".
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/generation/shortlist.hpp"
#include "rapt/io/json.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// Writes a file, which appears whole or not at all.
inline void save_shortlist(const std::filesystem::path& path, const VocabularyShortlist& shortlist) {
  constexpr std::string_view kWhere = "save_shortlist";
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  json["target_vocabulary"] = detail::setting_to_json(kWhere, "target_vocabulary", shortlist.target_vocabulary());
  json["always"] = detail::setting_to_json(kWhere, "always", shortlist.always());
  json["candidates"] = detail::setting_to_json(kWhere, "candidates", shortlist.candidates());
  detail::write_text_file(path, detail::json_text(json, kWhere, path.string()) + "\n");
}

/// Reads what `save_shortlist` wrote. Throws IoError that names the file and what is wrong with it.
[[nodiscard]] inline VocabularyShortlist load_shortlist(const std::filesystem::path& path) {
  constexpr std::string_view kWhere = "load_shortlist";
  const nlohmann::json json = detail::read_json_object(path, kWhere);
  const std::string file = path.string();
  const detail::JsonReader reader(kWhere, file);
  const auto read = [&](const char* key, auto& value) {
    const auto found = json.find(key);
    require<IoError>(found != json.end(), kWhere, file, ": has no \"", key, "\": it is not a shortlist");
    reader.read(key, *found, value);
  };
  Index target_vocabulary = 0;
  std::vector<TokenId> always;
  std::vector<std::vector<TokenId>> candidates;
  read("target_vocabulary", target_vocabulary);
  read("always", always);
  read("candidates", candidates);
  try {
    return {target_vocabulary, std::move(candidates), std::move(always)};
  } catch (const ValueError& error) {
    fail<IoError>(kWhere, file, ": ", std::string_view(error.what()));
  }
}

}}  // namespace rapt::RAPT_ABI
