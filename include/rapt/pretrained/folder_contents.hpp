/// \file
/// What a folder holds, and what that means when it lacks the files that are read: errors that name what was found and
/// say what would be right.
#pragma once

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/io/safetensors_header.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// Up to five of them, for a message.
[[nodiscard]] inline std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 5); ++i) {
    text += (i == 0 ? "" : ", ") + quote_name(names[i]);
  }
  return names.size() > 5 ? text + " and " + std::to_string(names.size() - 5) + " more" : text;
}

/// A folder and the names in it.
class FolderContents {
 public:
  /// Throws IoError for what is no folder, for one that cannot be listed, and for an empty one. `where` and `wanted`
  /// (what should be in it) are for messages and must live as long as this.
  FolderContents(const std::filesystem::path& path, std::string_view where, std::string_view wanted)
      : path_(path), where_(where), wanted_(wanted) {
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(path, error);
    if (status.type() == std::filesystem::file_type::not_found) refuse("there is no such folder");
    if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) refuse("this is a file, no folder");
    std::filesystem::directory_iterator at(path, error);
    for (const std::filesystem::directory_iterator end; !error && at != end; at.increment(error)) {
      names_.push_back(at->path().filename().string());
    }
    if (error) refuse("cannot list the folder: " + error.message());
    if (names_.empty()) refuse("the folder is empty");
    std::sort(names_.begin(), names_.end());
  }

  [[nodiscard]] bool has(std::string_view name) const { return std::binary_search(names_.begin(), names_.end(), name); }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  template <class Condition>
  [[nodiscard]] std::vector<std::string> names_that(const Condition& condition) const {
    std::vector<std::string> found;
    std::copy_if(names_.begin(), names_.end(), std::back_inserter(found), condition);
    return found;
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

  /// Throws IoError: what is wrong with the folder, and what should be in it.
  [[noreturn]] void refuse(std::string_view what) const {
    fail<IoError>(where_, path_.string(), ": ", what, "; wanted is a folder with ", wanted_);
  }
  /// Throws IoError that lists what there is instead of what is missing: "no config.json", say.
  [[noreturn]] void refuse_without(std::string_view missing) const {
    std::string text = "the folder has " + std::string(missing) + ", but " + some_of(names_);
    if (has("snapshots")) text += ": this is a download cache, whose models are the folders in snapshots";
    refuse(text);
  }

 private:
  std::filesystem::path path_;
  std::string_view where_, wanted_;
  std::vector<std::string> names_;
};

/// A kind of file that holds weights which are not read, and why.
struct ForeignWeights {
  bool (*is_kind)(std::string_view name);
  std::string_view reason;
};

/// In order: the first kind that a folder has is what it is about.
inline constexpr ForeignWeights kForeignWeights[] = {
    {[](std::string_view name) { return name.starts_with("adapter_model."); },
     "an adapter (PEFT) changes the weights of another model and is none itself: open that model with from_pretrained "
     "and the adapter with load_adapter"},
    {[](std::string_view name) { return name.starts_with("model-") && name.ends_with(".safetensors"); },
     "parts of a model need model.safetensors.index.json, which says what is in which"},
    {[](std::string_view name) { return name.ends_with(".safetensors"); },
     "the weights must be in a file of the name model.safetensors"},
    {[](std::string_view name) { return name.starts_with("pytorch_model") && name.ends_with(".bin"); },
     "parts of a model need pytorch_model.bin.index.json, which says what is in which; a whole one has the name "
     "pytorch_model.bin"},
    {[](std::string_view name) {
       const bool is_of_training = name.starts_with("optimizer.") || name.starts_with("scheduler.") ||
                                   name.starts_with("scaler.") || name.starts_with("rng_state");
       return !is_of_training && (name.ends_with(".pt") || name.ends_with(".pth") || name.ends_with(".ckpt"));
     },
     "a file of torch.save must hold a state_dict and have the name pytorch_model.bin"},
    {[](std::string_view name) {
       return name.ends_with(".h5") || name.ends_with(".keras") || name.ends_with(".ckpt.index");
     },
     "TensorFlow's weights are not read: transformers 4 with TensorFlow converts them, by from_pretrained(folder, "
     "from_tf=True) and save_pretrained(folder)"},
    {[](std::string_view name) { return name.ends_with(".msgpack"); },
     "Flax's weights are not read: transformers 4 with Flax converts them, by from_pretrained(folder, from_flax=True) "
     "and save_pretrained(folder)"},
    {[](std::string_view name) { return name.ends_with(".gguf") || name.ends_with(".ggml"); },
     "llama.cpp's files (*.gguf) are opened by their own paths, without a folder"},
    {[](std::string_view name) { return name.ends_with(".onnx") || name == "onnx"; },
     "ONNX graphs are not read: take the folder of safetensors from which the graph was made"},
    {[](std::string_view name) { return name.ends_with(".npz") || name.ends_with(".ot") || name == "model.bin"; },
     "weights of other libraries are not read: take the folder of safetensors from which they were made"},
};

/// Throws IoError for a folder of a model that has none of the files of weights that are read: what it has instead, why
/// that is not read, and what would be right.
[[noreturn]] inline void refuse_without_weights(const FolderContents& folder, std::string_view missing) {
  for (const ForeignWeights& kind : kForeignWeights) {
    const std::vector<std::string> found = folder.names_that(kind.is_kind);
    if (found.empty()) continue;
    folder.refuse("the folder has " + std::string(missing) + ", but " + some_of(found) + ": " +
                  std::string(kind.reason));
  }
  folder.refuse_without(missing);
}

/// Files of tokenizers that are not read, each with its kind: "Mistral's", ...; empty for every other name.
[[nodiscard]] inline std::string_view foreign_tokenizer(std::string_view name) {
  if (name == "bpe.codes") return "subword-nmt's";
  if (name == "tekken.json") return "Mistral's";
  return {};
}

/// True for the names of SentencePiece's model files.
[[nodiscard]] inline bool is_sentencepiece(std::string_view name) {
  return name.ends_with(".spm") || name == "tokenizer.model" || name == "spiece.model" ||
         (name.starts_with("sentencepiece") && name.ends_with(".model"));
}

/// Throws IoError for a folder without the files of a tokenizer that is read: `missing` says which.
[[noreturn]] inline void refuse_without_tokenizer(const FolderContents& folder, std::string_view missing) {
  const std::vector<std::string> foreign =
      folder.names_that([](const std::string& name) { return !foreign_tokenizer(name).empty(); });
  if (foreign.empty()) folder.refuse_without(missing);
  folder.refuse("the folder has " + std::string(missing) + ", but " + some_of(foreign) + ": " +
                std::string(foreign_tokenizer(foreign.front())) + " files are not read yet");
}

}}}  // namespace rapt::RAPT_ABI::detail
