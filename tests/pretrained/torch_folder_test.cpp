/// \file
/// Folders with pytorch_model.bin, whole or in parts, are opened as those with model.safetensors.
// covers: pretrained/pretrained.hpp
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "rapt/pretrained/llama.hpp"
#include "rapt/pretrained/pretrained.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

/// The case's folder with the file of torch.save in place of the safetensors.
struct TorchFolder : testing::Test {
  const rapt_test::PretrainedCase golden{"llama", "grouped_tied"};
  const std::filesystem::path path = golden.folder.path();

  void put(const std::string& name) const {
    std::filesystem::remove(path / "model.safetensors");
    std::filesystem::copy_file(std::string(RAPT_GOLDEN_DIR) + "/torch_llama.bin", path / name);
  }
  void expect_same() const {
    const auto model = rapt::from_pretrained<rapt::Llama<float>>(path);
    golden.expect_round_trip(model);
  }
};

TEST_F(TorchFolder, WholeFile) {
  put("pytorch_model.bin");
  expect_same();
}

TEST_F(TorchFolder, IndexOfParts) {
  put("pytorch_model-00001-of-00001.bin");
  nlohmann::json map;
  for (const auto& [name, value] : golden.parameters) map[name] = "pytorch_model-00001-of-00001.bin";
  std::ofstream(path / "pytorch_model.bin.index.json") << nlohmann::json{{"weight_map", map}}.dump();
  expect_same();
}

TEST_F(TorchFolder, WhatTheFileHoldsBesidesTheModelIsNamed) {
  std::filesystem::remove(path / "model.safetensors");
  std::filesystem::copy_file(std::string(RAPT_GOLDEN_DIR) + "/torch_protocol5.pt", path / "pytorch_model.bin");
  rapt_test::expect_message<rapt::IoError>([&] { static_cast<void>(rapt::from_pretrained<rapt::Llama<float>>(path)); },
                                           "tensors are missing");
}

}  // namespace
