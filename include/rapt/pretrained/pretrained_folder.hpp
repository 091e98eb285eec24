/// \file
/// A Hugging Face folder opened for reading: config.json and the weights, in one file or several, of safetensors or of
/// torch.save; or a GGUF file.
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/io/gguf.hpp"
#include "rapt/io/json.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/io/tensor_file.hpp"
#include "rapt/io/torch_file.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/gguf_model.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A folder, or a GGUF file, opened for reading: its configuration, and its tensors whatever files they are in.
class PretrainedFolder {
 public:
  /// Throws IoError that names the file for a malformed config.json or index and for a malformed file of safetensors,
  /// torch.save or GGUF; where one is missing, the message says what the folder has instead and what would be right.
  explicit PretrainedFolder(const std::filesystem::path& path) : path_(path), config_path_(path / "config.json") {
    if (detail::is_gguf(path)) {
      GgufFile file(path);
      config_ = detail::GgufSettings(file).config();
      config_path_ = path;
      add(detail::gguf_tensors(std::move(file)));
      return;
    }
    const detail::FolderContents contents(path, kWhere, kWanted);
    const bool has_config = contents.has("config.json");
    const auto weights =
        std::find_if(std::begin(kWeights), std::end(kWeights), [&](const char* name) { return contents.has(name); });
    if (weights == std::end(kWeights)) {
      detail::refuse_without_weights(contents,
                                     has_config ? "no model.safetensors" : "no config.json and model.safetensors");
    }
    if (!has_config) contents.refuse_without("no config.json");
    config_ = detail::read_json_object(config_path_, kWhere);
    if (contents.has("generation_config.json")) {
      generation_config_ = detail::read_json_object(generation_config_path(), kWhere);
    }
    if (std::string_view(*weights).ends_with(".json")) {
      add_indexed(path / *weights);
    } else {
      add_file(*weights);
    }
  }

  [[nodiscard]] const nlohmann::json& config() const { return config_; }
  /// The path of config.json, or of the GGUF file.
  [[nodiscard]] std::string config_path() const { return config_path_.string(); }
  /// What generation_config.json holds; nothing if there is none.
  [[nodiscard]] const std::optional<nlohmann::json>& generation_config() const { return generation_config_; }
  /// The path of generation_config.json, whether it is there or not.
  [[nodiscard]] std::string generation_config_path() const { return (path_ / "generation_config.json").string(); }
  /// The folder, or the GGUF file.
  [[nodiscard]] std::string path() const { return path_.string(); }
  /// True if there is a tensor of this name.
  [[nodiscard]] bool contains(std::string_view name) const { return file_of_.find(name) != file_of_.end(); }
  /// Names of all tensors, sorted.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, file] : file_of_) names.push_back(name);
    return names;
  }
  /// What all tensors together can fill.
  [[nodiscard]] const detail::StoredSizes& sizes() const { return sizes_; }
  /// The file that has a tensor which the folder `contains`.
  [[nodiscard]] const TensorFile& file_of(std::string_view name) const { return files_[file_of_.find(name)->second]; }

 private:
  static constexpr std::string_view kWhere = "pretrained";
  static constexpr std::string_view kWanted = "config.json and model.safetensors";
  /// The files of weights, and the indices of several: the first one that a folder has counts.
  static constexpr const char* kWeights[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                             "pytorch_model.bin.index.json"};

  [[nodiscard]] static bool is_plain_name(const std::string& name) {
    return !name.empty() && std::filesystem::path(name).filename().string() == name;
  }

  void add_indexed(const std::filesystem::path& index) {
    const nlohmann::json json = detail::read_json_object(index, kWhere);
    const auto map = json.find("weight_map");
    require<IoError>(map != json.end() && map->is_object(), kWhere, index.string(), ": has no \"weight_map\"");
    std::set<std::string> files;
    for (const auto& [name, file] : map->items()) {
      require<IoError>(file.is_string() && is_plain_name(file.get<std::string>()), kWhere, index.string(), ": ",
                       detail::quote_name(name), " must be in a file of this folder: ", detail::describe(file));
      files.insert(file.get<std::string>());
    }
    for (const std::string& file : files) add_file(file);
    for (const auto& [name, file] : map->items()) {
      require<IoError>(contains(name), kWhere, index.string(), ": ", detail::quote_name(name), " is not in ",
                       detail::quote_name(file.get<std::string>()));
    }
  }

  /// A file of torch.save ends in .bin; every other one is a safetensors file.
  void add_file(const std::string& name) {
    if (name.ends_with(".bin")) {
      add(TorchFile(path_ / name));
    } else {
      add(SafetensorsFile(path_ / name));
    }
  }
  void add(TensorFile file) {
    sizes_.add(file);
    for (const std::string& tensor : file.names()) {
      const bool is_new = file_of_.emplace(tensor, files_.size()).second;
      require<IoError>(is_new, kWhere, file.path(), ": ", detail::quote_name(tensor),
                       " is in another file of the folder, too");
    }
    files_.push_back(std::move(file));
  }

  std::filesystem::path path_, config_path_;
  nlohmann::json config_;
  std::optional<nlohmann::json> generation_config_;
  std::vector<TensorFile> files_;
  detail::StoredSizes sizes_{.holder = "folder"};
  std::map<std::string, std::size_t, std::less<>> file_of_;
};

}}  // namespace rapt::RAPT_ABI
