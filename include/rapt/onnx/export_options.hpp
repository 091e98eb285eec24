/// \file
/// What every export of a model is told.
#pragma once

#include <filesystem>
#include <system_error>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/onnx/graph.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace onnx {

/// Names of sizes that each call chooses, as Hugging Face's optimum calls them.
inline constexpr const char* kBatch = "batch_size";
/// The symbolic name of the dimension of tokens.
inline constexpr const char* kLength = "sequence_length";
/// The symbolic name of the dimension of cached tokens.
inline constexpr const char* kPastLength = "past_sequence_length";
/// The symbolic name of the dimension of cached and new tokens together.
inline constexpr const char* kTotalLength = "total_sequence_length";
/// The symbolic name of the dimension of the encoder's tokens.
inline constexpr const char* kEncoderLength = "encoder_sequence_length";

/// Creates the folder for a model's graphs unless it is there. Throws IoError with the path and the system's reason.
inline void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require<IoError>(!error && std::filesystem::is_directory(folder, error), "onnx", folder.string(),
                   ": cannot create the folder: ", error ? error.message() : "it is not a folder");
}

/// Writes the only graph of a model to `model.onnx` in the folder, and its tensors to `model.onnx.data` where they are
/// too large for one file. A `model.onnx.data` of an earlier export stays, unread, beside a model that is one file.
[[nodiscard]] inline std::vector<std::filesystem::path> write_only_graph(const Graph& graph,
                                                                         const std::filesystem::path& folder,
                                                                         const WriteOptions& options) {
  make_folder(folder);
  return graph.write(folder / "model.onnx", options);
}

}}}  // namespace rapt::RAPT_ABI::onnx
