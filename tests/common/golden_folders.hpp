/// \file
/// Golden files that hold whole folders of tokenizers, written out for each test.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/pretrained/tokenizer_files.hpp"
#include "rapt/text/base64.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/temporary_folder.hpp"

namespace rapt_test {

/// A fixture with the folders of a golden file: `folders` has, by family, the files with their names; those that are no
/// text are an object with their `base64`.
class GoldenFolders : public testing::Test {
 protected:
  explicit GoldenFolders(const std::string& golden_file)
      : golden_(nlohmann::json::parse(std::ifstream(std::string(RAPT_GOLDEN_DIR) + "/" + golden_file))) {
    for (const auto& [family, files] : golden_["folders"].items()) {
      std::filesystem::create_directories(folder(family));
      for (const auto& [name, content] : files.items()) {
        write(family, name,
              content.is_string() ? content.get<std::string>()
                                  : rapt::detail::from_base64(content["base64"].get<std::string>()).value());
      }
    }
  }
  [[nodiscard]] std::filesystem::path folder(const std::string& family) const { return temporary_.path() / family; }
  void write(const std::string& family, const std::string& name, const std::string& content) const {
    std::ofstream(folder(family) / name, std::ios::binary) << content;
  }
  /// The message of the IoError that loading a folder's tokenizers throws.
  [[nodiscard]] std::string refusal(const std::string& family) const {
    return error_text<rapt::IoError>([&] { (void)rapt::load_tokenizers(folder(family)); });
  }
  [[nodiscard]] std::vector<std::string> texts() const { return golden_["texts"]; }

  nlohmann::json golden_;
  TemporaryFolder temporary_;
};

}  // namespace rapt_test
