/// \file
/// LoRA against PEFT: logits with an adapter, its gradients, merging, and the folders both ways.
// covers: nn/lora.hpp
// covers: autograd/weight_adapter.hpp
#include "rapt/pretrained/adapter_folder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/nn/lora_merge.hpp"
#include "rapt/nn/with_lora.hpp"
#include "rapt/pretrained/bart.hpp"
#include "rapt/pretrained/bert.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "rapt/pretrained/llama.hpp"
#include "rapt/pretrained/t5.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

using rapt::AdapterNotes;
using rapt::Index;
using rapt::Lora;
using rapt::LoraOptions;
using rapt::LoraTarget;
using rapt::Parameter;
using rapt::Rng;
using rapt::Shape;
using rapt::Tensor;
using rapt::UseAdapter;
using rapt::Variable;
using rapt::WithLora;
using rapt_test::expect_message;
using rapt_test::PretrainedCase;
using rapt_test::same_bits;
using rapt_test::TemporaryFolder;

/// A case, and PEFT's adapter of it as a folder.
struct LoraCase : PretrainedCase {
  explicit LoraCase(const std::string& name, const std::string& golden = "lora") : PretrainedCase(golden, name) {
    const rapt::SafetensorsFile file(std::string(RAPT_GOLDEN_DIR) + "/" + golden + ".safetensors");
    adapter_config = nlohmann::json::parse(file.metadata().at("info")).at("adapters").at(name);
    const std::string prefix = name + "/adapter/";
    for (const std::string& stored : file.names()) {
      if (stored.starts_with(prefix)) adapter.emplace(stored.substr(prefix.size()), file.read<float>(stored));
    }
    EXPECT_FALSE(adapter.empty());
    write_adapter();
  }
  void write_adapter() const {
    std::ofstream(folder_of_adapter.path() / "adapter_config.json") << adapter_config.dump(1);
    std::vector<rapt::SafetensorsEntry> entries;
    for (const auto& [name, value] : adapter) entries.emplace_back(name, value.view());
    rapt::write_safetensors(folder_of_adapter.path() / "adapter_model.safetensors", entries);
  }

  nlohmann::json adapter_config;
  std::map<std::string, Tensor<float>> adapter;
  TemporaryFolder folder_of_adapter;
};

/// What the file's loss is computed from.
template <class T>
rapt::LabelledText batch_for(const rapt::Bert<T>&, const LoraCase& golden) {
  return {.input = golden.batch("ids", "row_splits"), .labels = golden.ids("targets")};
}
template <class M>
rapt::LanguageBatch batch_for(const M&, const LoraCase& golden) {
  return {golden.batch("ids", "row_splits"), golden.ids("targets"), golden.ids("rows")};
}
rapt::TranslationBatch reversed_batch(const LoraCase& golden) {
  const rapt::TokenBatch all = golden.batch("ids", "row_splits");
  rapt::TranslationBatch batch;
  for (Index i = 0; i < all.row_splits.sequences(); ++i) {
    const auto begin = all.tokens.begin() + all.row_splits.begin(i), end = all.tokens.begin() + all.row_splits.end(i);
    std::vector<rapt::TokenId> source(begin, end), target(begin, end);
    std::reverse(source.begin(), source.end());
    batch.source.push_back(source);
    batch.target_output.insert(batch.target_output.end(), target.begin(), target.end());
    target.insert(target.begin(), 0);
    target.pop_back();
    batch.target_input.push_back(target);
  }
  return batch;
}
template <class T>
rapt::TranslationBatch batch_for(const rapt::T5<T>&, const LoraCase& golden) {
  return reversed_batch(golden);
}
template <class T>
rapt::TranslationBatch batch_for(const rapt::Bart<T>&, const LoraCase& golden) {
  return reversed_batch(golden);
}

template <class T>
Tensor<T> logits_of(const rapt::Bert<T>& model, const rapt::LabelledText& batch) {
  return model.class_logits(model.hidden(batch.input), batch.input.row_splits).value();
}
template <class M>
Tensor<typename M::ScalarType> logits_of(const M& model, const rapt::LanguageBatch& batch) {
  return model(batch.input).value();
}
template <class M>
Tensor<typename M::ScalarType> logits_of(const M& model, const rapt::TranslationBatch& batch) {
  return model(batch.source, batch.target_input).value();
}

/// f(case, model): the cases of all models in float, of two in double.
template <class T, class F>
void for_each_lora_case(const F& f) {
  const auto run = [&]<class M>(const char* name, std::type_identity<M>, const char* file = "lora") {
    SCOPED_TRACE(name);
    const LoraCase golden(name, file);
    f(golden, rapt::from_pretrained<M>(golden.folder.path()));
  };
  run("bert", std::type_identity<rapt::Bert<T>>());
  run("gpt", std::type_identity<rapt::Gpt<T>>());
  run("bert_dora", std::type_identity<rapt::Bert<T>>(), "lora_more");
  run("gpt_dora", std::type_identity<rapt::Gpt<T>>(), "lora_more");
  if constexpr (sizeof(T) == 4) {  // transformers computes parts of the others in float32 whatever the model's type
    run("llama", std::type_identity<rapt::Llama<T>>());
    run("t5", std::type_identity<rapt::T5<T>>());
    run("bart", std::type_identity<rapt::Bart<T>>(), "lora_more");
  }
  EXPECT_EQ(PretrainedCase::all("lora").size(), 4u);
  EXPECT_EQ(PretrainedCase::all("lora_more").size(), 3u);
}

template <class T, class F>
void expect_agreement_with_peft(double tolerance, double gradient_tolerance, const F& also) {
  for_each_lora_case<T>([&](const LoraCase& golden, auto model) {
    const auto batch = batch_for(model, golden);
    golden.expect("base_logits", logits_of(model, batch), tolerance);
    Lora<T> lora = rapt::load_adapter(golden.folder_of_adapter.path(), model);
    {
      const UseAdapter scope(lora);
      golden.expect("logits", logits_of(model, batch), tolerance);
    }
    // A head that was trained with the adapter has become the model's; the rest is as it was.
    const bool has_head = golden.adapter.contains("base_model.model.classifier.weight");
    const WithLora adapted(model, lora,
                           has_head ? std::vector<std::string>{"classifier.*"} : std::vector<std::string>{});
    std::size_t count = 0;
    {
      const rapt::Recording scope;
      const Variable<T> loss = adapted.loss(batch);
      golden.expect("loss", loss.value(), tolerance);
      rapt::backward(loss);
    }
    rapt::for_each_parameter(adapted, [&](const std::string& name, const Parameter<T>& parameter) {
      golden.expect("grad/adapter/base_model.model." + name, parameter.grad(), gradient_tolerance,
                    PretrainedCase::kAmplified);
      ++count;
    });
    EXPECT_EQ(count, golden.adapter.size());
    rapt::for_each_parameter(model, [&](const std::string& name, const Parameter<T>& parameter) {
      EXPECT_EQ(parameter.grad().empty(), !(has_head && name.starts_with("classifier."))) << name;
    });
    also(golden, model, lora, batch);
  });
}

TEST(AdapterFolder, LogitsAndGradientsAgreeWithPeft) {
  expect_agreement_with_peft<float>(1e-5, 1e-4, [](const LoraCase& golden, auto& model, auto& lora, const auto& batch) {
    // Merged, the model computes without the adapter what it computed with it, and undone what it computed before.
    const Tensor<float> before = logits_of(model, batch);
    rapt::pack_weights(model);
    std::ignore = logits_of(model, batch);
    rapt::LoraMerge merge(model, lora);
    golden.expect("logits", logits_of(model, batch), 1e-5);
    merge.undo();
    merge.undo();
    rapt::pack_weights(model, false);
    EXPECT_TRUE(same_bits(logits_of(model, batch), before));
    {
      const UseAdapter scope(lora);
      rapt::pack_weights(model);
      golden.expect("logits", logits_of(model, batch), 1e-5);
    }
  });
}

TEST(AdapterFolder, InDoubleLogitsAndGradientsAgreeWithPeft) {
  expect_agreement_with_peft<double>(1e-6, 1e-6, [](const auto&...) {});
}

TEST(AdapterFolder, AFolderIsWrittenAsPeftWritesIt) {
  for_each_lora_case<float>([](const LoraCase& golden, auto model) {
    const Lora<float> lora = rapt::load_adapter(golden.folder_of_adapter.path(), model);
    AdapterNotes notes{.base_model = "some/model", .task_type = golden.adapter_config.at("task_type")};
    if (golden.adapter.contains("base_model.model.classifier.weight")) notes.trained = {"classifier.*"};
    const TemporaryFolder saved;
    rapt::save_adapter(saved.path() / "new", model, lora, notes);
    const rapt::SafetensorsFile file(saved.path() / "new" / "adapter_model.safetensors");
    EXPECT_EQ(file.names().size(), golden.adapter.size());
    for (const auto& [name, value] : golden.adapter) EXPECT_TRUE(same_bits(file.read<float>(name), value)) << name;

    auto written = nlohmann::json::parse(std::ifstream(saved.path() / "new" / "adapter_config.json"));
    auto wanted = golden.adapter_config;
    EXPECT_EQ(written.at("base_model_name_or_path"), "some/model");
    for (const char* key : {"peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora",
                            "bias", "fan_in_fan_out", "inference_mode"}) {
      EXPECT_EQ(written.at(key), wanted.at(key)) << key;
    }
    for (auto* json : {&written, &wanted})
      std::sort((*json)["target_modules"].begin(), (*json)["target_modules"].end());
    EXPECT_EQ(written["target_modules"], wanted["target_modules"]);

    // And it is read again.
    const auto batch = batch_for(model, golden);
    const Lora<float> again = rapt::load_adapter(saved.path() / "new", model);
    const UseAdapter scope(again);
    golden.expect("logits", logits_of(model, batch), 1e-5);
  });
}

TEST(AdapterFolder, TargetModulesStandForNothingThatIsNotAdapted) {
  const LoraCase golden("gpt");
  const auto model = rapt::from_pretrained<rapt::Gpt<float>>(golden.folder.path());
  Rng rng(1);
  const TemporaryFolder saved;
  rapt::save_adapter(saved.path(), model,
                     Lora<float>(model, rapt::adapter_targets(model, {"h.1.mlp.c_proj", "c_attn"}), {}, rng));
  const auto config = nlohmann::json::parse(std::ifstream(saved.path() / "adapter_config.json"));
  EXPECT_EQ(config.at("target_modules"), (nlohmann::json{"1.mlp.c_proj", "c_attn"}));
  EXPECT_TRUE(config.at("task_type").is_null());
}

TEST(AdapterFolder, DamagedFoldersAreRefused) {
  LoraCase golden("gpt");
  auto model = rapt::from_pretrained<rapt::Gpt<float>>(golden.folder.path());
  const auto expect_refusal = [&](const std::vector<std::string>& parts) {
    golden.write_adapter();
    expect_message([&] { std::ignore = rapt::load_adapter(golden.folder_of_adapter.path(), model); }, parts);
  };
  const nlohmann::json config = golden.adapter_config;
  golden.adapter_config["peft_type"] = "IA3";
  expect_refusal({"load_adapter", "adapter_config.json", "peft_type"});
  golden.adapter_config = config;
  golden.adapter_config["r"] = 3;
  expect_refusal({"adapter_model.safetensors", "lora_A.weight", "[4, 12]", "[3, 12]"});
  golden.adapter_config = config;

  const std::string name = "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight";
  auto node = golden.adapter.extract(name);
  expect_refusal({"load_adapter", "there is no \"" + name + "\""});
  node.key() = "base_model.model.transformer.h.7.attn.c_attn.lora_A.weight";
  golden.adapter.insert(std::move(node));
  expect_refusal({"load_adapter", "h.0.attn.c_attn.lora_A", "there is no"});
  golden.adapter.clear();
  expect_refusal({"adapts no linear map"});
}

TEST(AdapterFolder, MagnitudesBelongToAnAdapterThatSaysSo) {
  LoraCase golden("gpt_dora", "lora_more");
  auto model = rapt::from_pretrained<rapt::Gpt<float>>(golden.folder.path());
  const std::string name = "base_model.model.transformer.h.1.attn.c_attn.lora_magnitude_vector";
  const auto expect_refusal = [&](const std::vector<std::string>& parts) {
    golden.write_adapter();
    expect_message([&] { std::ignore = rapt::load_adapter(golden.folder_of_adapter.path(), model); }, parts);
  };
  golden.adapter_config["use_dora"] = false;
  expect_refusal({"load_adapter", "the model has no place for", "lora_magnitude_vector"});
  golden.adapter_config["use_dora"] = true;
  golden.adapter.at(name) = Tensor<float>(Shape{12}, 1.f);
  expect_refusal({"adapter_model.safetensors", name, "[12]", "[36]"});
  golden.adapter.erase(name);
  expect_refusal({"load_adapter", "there is no \"" + name + "\""});
}

TEST(AdapterFolder, ANewAdapterWithMagnitudesChangesNothing) {
  const LoraCase golden("gpt");
  for (const auto weights : {rapt::LoadedWeights::computed, rapt::LoadedWeights::int8}) {
    const auto model = rapt::from_pretrained<rapt::Gpt<float>>(golden.folder.path(), {.weights = weights});
    Rng rng(1);
    const Lora<float> lora(model, rapt::adapter_targets(model, {"c_attn", "c_fc"}), {.magnitudes = true}, rng);
    const auto batch = batch_for(model, golden);
    const Tensor<float> before = logits_of(model, batch);
    const UseAdapter scope(lora);
    rapt_test::expect_close(logits_of(model, batch), before, 1e-4);
  }
}

TEST(AdapterFolder, AFileOfTorchSaveIsRead) {
  const LoraCase golden("gpt");
  auto model = rapt::from_pretrained<rapt::Gpt<float>>(golden.folder.path());
  const std::filesystem::path path = golden.folder_of_adapter.path();
  std::filesystem::remove(path / "adapter_model.safetensors");
  expect_message([&] { std::ignore = rapt::load_adapter(path, model); },
                 {"load_adapter", "no adapter_model.safetensors", "adapter_config.json"});
  std::filesystem::copy_file(std::string(RAPT_GOLDEN_DIR) + "/adapter_gpt.bin", path / "adapter_model.bin");
  const Lora<float> lora = rapt::load_adapter(path, model);
  const UseAdapter scope(lora);
  golden.expect("logits", logits_of(model, batch_for(model, golden)), 1e-5);
}

TEST(AdapterFolder, OneParameterOfAModuleBringsTheOthers) {
  const LoraCase golden("bert");
  auto model = rapt::from_pretrained<rapt::Bert<float>>(golden.folder.path());
  const Lora<float> lora = rapt::load_adapter(golden.folder_of_adapter.path(), model);
  const TemporaryFolder saved;
  rapt::save_adapter(saved.path(), model, lora, {.trained = {"classifier.weight"}});
  const rapt::SafetensorsFile file(saved.path() / "adapter_model.safetensors");
  EXPECT_EQ(file.names().size(), golden.adapter.size());
  for (const char* name : {"base_model.model.classifier.weight", "base_model.model.classifier.bias"}) {
    EXPECT_TRUE(same_bits(file.read<float>(name), golden.adapter.at(name))) << name;
  }
}

TEST(AdapterFolder, AModelInPackedFormAloneTakesAHeadAndIsNotWritten) {
  const LoraCase golden("bert");
  auto model = rapt::from_pretrained<rapt::Bert<float>>(golden.folder.path(), {.weights = rapt::LoadedWeights::int8});
  const auto has_elements = [&](const std::string& wanted) {
    bool result = false;
    rapt::for_each_parameter(model, [&](const std::string& name, const Parameter<float>& parameter) {
      if (name == wanted) result = parameter.value().has_elements();
    });
    return result;
  };
  EXPECT_FALSE(has_elements("classifier.weight"));
  const TemporaryFolder saved;
  const auto expect_refusal = [&](const auto& write, const std::string& where) {
    expect_message(write, std::vector<std::string>{where, ".weight", "packed form alone"});
  };
  Rng rng(1);
  const Lora<float> fresh(model, rapt::adapter_targets(model, {"query"}), {}, rng);
  expect_refusal([&] { rapt::save_adapter(saved.path(), model, fresh, {.trained = {"classifier.weight"}}); },
                 "[save_adapter] classifier.weight");
  expect_refusal([&] { rapt::save_pretrained(saved.path(), model); }, "[save_pretrained]");
  expect_refusal([&] { rapt::save_model(saved.path() / "model", model); }, "[parameter_entries]");

  const Lora<float> lora = rapt::load_adapter(golden.folder_of_adapter.path(), model);
  EXPECT_TRUE(has_elements("classifier.weight"));
  EXPECT_FALSE(has_elements("embedding.weight"));
  {
    const UseAdapter scope(lora);
    golden.expect("logits", logits_of(model, batch_for(model, golden)), 0.1);
  }
  rapt::save_adapter(saved.path(), model, lora, {.trained = {"classifier.*"}});

  // Its embeddings would be trained: the look-up says so before backward has nowhere to add a gradient.
  const rapt::Recording scope;
  expect_message([&] { std::ignore = model.hidden(batch_for(model, golden).input); },
                 std::vector<std::string>{"packed form alone", "trained"});
}

TEST(AdapterFolder, AModelsOwnNamesAreNoModules) {
  const LoraCase golden("bert");
  const auto model = rapt::from_pretrained<rapt::Bert<float>>(golden.folder.path());
  Rng rng(1);
  const Lora<float> lora(model, rapt::lora_targets(model, {"*.in_proj_weight"}), {}, rng);
  const TemporaryFolder saved;
  expect_message([&] { rapt::save_adapter(saved.path(), model, lora); },
                 std::vector<std::string>{"save_adapter", "in_proj_weight"});
}

}  // namespace
