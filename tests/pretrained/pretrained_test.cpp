/// \file
/// Folders of Hugging Face that are not what they should be, and those in several files.
// covers: pretrained/stored_name.hpp
// covers: pretrained/pretrained_folder.hpp, pretrained/pretrained_loader.hpp
#include "rapt/pretrained/pretrained.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "rapt/pretrained/gpt.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::Gpt;
using rapt_test::PretrainedCase;

void expect_error(const PretrainedCase& golden, const std::vector<std::string>& parts) {
  rapt_test::expect_message([&] { std::ignore = rapt::from_pretrained<Gpt<float>>(golden.folder.path()); }, parts);
}

struct Pretrained : testing::Test {
  PretrainedCase golden{"gpt", "tied"};

  rapt::Tensor<float> logits() const {
    const auto model = rapt::from_pretrained<Gpt<float>>(golden.folder.path());
    return model(golden.batch("ids", "row_splits")).value();
  }
};

TEST_F(Pretrained, WithoutTheHeadsPrefix) {
  const rapt::Tensor<float> expected = logits();
  std::map<std::string, rapt::Tensor<float>> bare;
  for (auto& [name, value] : golden.parameters) bare.emplace(name.substr(std::string("transformer.").size()), value);
  golden.parameters = bare;
  golden.write();
  EXPECT_EQ(rapt_test::relative_error(logits(), expected), 0);
}

TEST_F(Pretrained, InSeveralFiles) {
  const rapt::Tensor<float> expected = logits();
  golden.write(3);
  EXPECT_EQ(rapt_test::relative_error(logits(), expected), 0);
  std::filesystem::remove(golden.folder.path() / PretrainedCase::shard_name(1));
  expect_error(golden, {PretrainedCase::shard_name(1), "cannot open"});
}

TEST_F(Pretrained, WhatFilesMayHoldBeside) {
  const rapt::Tensor<float> expected = logits();
  golden.parameters.emplace("transformer.h.0.attn.bias", rapt::Tensor<float>(rapt::Shape{1, 1, 16, 16}, 1.f));
  golden.parameters.emplace("lm_head.weight", golden.parameters.at("transformer.wte.weight"));
  golden.write();
  EXPECT_EQ(rapt_test::relative_error(logits(), expected), 0);
}

TEST_F(Pretrained, MissingAndSurplusTensorsAreNamed) {
  auto complete = golden.parameters;
  golden.parameters.erase("transformer.h.1.mlp.c_fc.bias");
  golden.write();
  expect_error(golden, {"missing", "\"transformer.h.1.mlp.c_fc.bias\""});
  golden.parameters = complete;
  golden.parameters.emplace("transformer.h.2.ln_1.bias", rapt::Tensor<float>(rapt::Shape{12}, 0.f));
  golden.write();
  expect_error(golden, {"no place for \"transformer.h.2.ln_1.bias\""});
}

TEST_F(Pretrained, AShapeThatDoesNotFitIsNamed) {
  golden.parameters.at("transformer.h.0.mlp.c_fc.weight") = rapt::Tensor<float>(rapt::Shape{48, 12}, 0.f);
  golden.write();
  expect_error(golden, {"\"transformer.h.0.mlp.c_fc.weight\" has shape [48, 12], config.json wants [12, 48]"});
}

TEST_F(Pretrained, ATypeThatCannotBeReadIsNamedIfTheModelNeedsIt) {
  const auto path = golden.folder.path() / "model.safetensors";
  /// Writes the file again; one tensor gets another type and as many bytes.
  const auto change = [&](const std::string& name, const std::string& dtype, rapt::Index bytes) {
    golden.write();
    const rapt::SafetensorsFile file(path);
    std::vector<std::vector<std::byte>> data;
    std::vector<rapt::SafetensorsEntry> entries;
    for (const std::string& each : file.names()) {
      data.push_back(file.bytes(each));
      const bool is_it = each == name;
      if (is_it) data.back().resize(static_cast<std::size_t>(bytes));
      entries.emplace_back(each, is_it ? dtype : file.dtype_name(each), file.sizes(each), data.back());
    }
    rapt::write_safetensors(path, entries);
  };
  const rapt::Tensor<float> expected = logits();
  const std::string needed = "transformer.h.0.mlp.c_fc.weight";  // [12, 48]
  change(needed, "F8_E4M3", 576);
  expect_error(golden, {"model.safetensors: \"" + needed + "\": cannot read F8_E4M3"});
  change(needed, "F4", 288);
  expect_error(golden, {"model.safetensors: \"" + needed + "\": cannot read F4"});
  change(needed, "MXFP3", 7);
  expect_error(golden, {"model.safetensors: \"" + needed + "\": cannot read \"MXFP3\""});
  // A surplus tensor that the model passes over may be of any type.
  golden.parameters.emplace("transformer.h.0.attn.bias", rapt::Tensor<float>(rapt::Shape{1, 1, 16, 16}, 1.f));
  for (const auto& [dtype, bytes] : {std::pair("F8_E8M0", 256), std::pair("MXFP3", 7)}) {
    change("transformer.h.0.attn.bias", dtype, bytes);
    EXPECT_EQ(rapt_test::relative_error(logits(), expected), 0);
  }
}

TEST_F(Pretrained, OtherModelsAndSettingsAreRefused) {
  const auto with = [&](const char* key, const nlohmann::json& value, const std::vector<std::string>& parts) {
    const nlohmann::json before = golden.config;
    golden.config[key] = value;
    golden.write();
    expect_error(golden, parts);
    golden.config = before;
  };
  with("model_type", "bert", {"config.json", "\"model_type\" is \"bert\", wanted is \"gpt2\""});
  with("n_layer", -1, {"\"n_layer\" must be a whole number", "-1"});
  with("n_layer", "two", {"\"n_layer\""});
  with("n_layer", 0, {"layers 0"});
  with("n_head", 5, {"heads = 5"});
  with("activation_function", "mish", {"\"activation_function\"", "mish"});
  with("add_cross_attention", true, {"\"add_cross_attention\" is", "true"});
  // and settings that lie cost no memory
  with("n_embd", 300000, {"config.json wants"});
  with("n_embd", 999999999, {"too many elements"});
  with("n_layer", 999999999, {"999999999 layers, the folder has 28 tensors"});
}

TEST_F(Pretrained, BrokenFoldersAreRefused) {
  const auto path = golden.folder.path();
  std::ofstream(path / "config.json") << "{\"model_type\": ";
  expect_error(golden, {"config.json", "not a JSON object"});
  std::filesystem::remove(path / "config.json");
  expect_error(golden, {"the folder has no config.json, but \"model.safetensors\""});
  golden.write();
  std::filesystem::resize_file(path / "model.safetensors", 1000);
  expect_error(golden, {"model.safetensors"});
  std::filesystem::remove(path / "model.safetensors");
  expect_error(golden, {"the folder has no model.safetensors, but \"config.json\""});
  std::ofstream(path / "model.safetensors.index.json") << R"({"weight_map": {"x": "../elsewhere.safetensors"}})";
  expect_error(golden, {"must be in a file of this folder"});
  std::ofstream(path / "model.safetensors.index.json") << R"({"weight_map": 3})";
  expect_error(golden, {"weight_map"});
}

TEST_F(Pretrained, WeightsStayInTheFile) {
  const auto model = rapt::from_pretrained<Gpt<float>>(golden.folder.path());
  const rapt::MemoryStats before = rapt::memory_stats();
  const auto table = rapt::from_pretrained<Gpt<float>>(golden.folder.path());
  // transposed matrices are the program's own, everything else is mapped
  rapt::Index own = 0;
  rapt::for_each_parameter(table, [&](const std::string& name, const auto& p) {
    if (p.shape().rank() == 2 && name.starts_with("layers.")) own += p.size();
  });
  EXPECT_LT(rapt::memory_stats().in_use - before.in_use, static_cast<std::size_t>(own) * 4 * 2 + 40000);
  // a copy is independent of the file, and changes do not reach it
  auto copy = table;
  rapt::for_each_parameter(copy, [](const std::string&, auto& p) { p.mutable_value().fill(0.f); });
  auto changed = rapt::from_pretrained<Gpt<float>>(golden.folder.path());
  rapt::for_each_parameter(changed, [](const std::string&, auto& p) { p.mutable_value().values()[0] += 1.f; });
  EXPECT_EQ(rapt_test::relative_error(model(golden.batch("ids", "row_splits")).value(), logits()), 0);
}

TEST_F(Pretrained, OtherNumberTypesAreConverted) {
  const auto model = rapt::from_pretrained<Gpt<double>>(golden.folder.path());
  const rapt_test::TemporaryFolder saved;
  rapt::save_pretrained(saved.path(), model);  // float64
  const auto read = rapt::from_pretrained<Gpt<float>>(saved.path());
  EXPECT_EQ(rapt_test::relative_error(read(golden.batch("ids", "row_splits")).value(), logits()), 0);
}

}  // namespace
