/// \file
/// Folders that lack the files that are read: what the errors say of what is there instead.
#include "rapt/pretrained/folder_contents.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "rapt/pretrained/pretrained.hpp"
#include "rapt/pretrained/tokenizer_files.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/pretrained_case.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::IoError;
using rapt_test::error_text;

struct FolderContents : testing::Test {
  rapt_test::TemporaryFolder folder;

  void fill(const std::vector<std::string>& names) const {
    for (const auto& entry : fs::directory_iterator(folder.path())) fs::remove_all(entry.path());
    for (const std::string& name : names) std::ofstream(folder.path() / name) << "{}";
  }
  /// What is said of the folder, or of something in it, without the part that names it.
  template <class F>
  std::string complaint(const F& call, const std::string& where) const {
    const std::string text = error_text<IoError>(call), head = "[" + where + "] " + folder.path().string();
    EXPECT_TRUE(text.starts_with(head)) << text;
    return text.substr(std::min(text.size(), head.size()));
  }
  std::string of_model(const std::vector<std::string>& names) const {
    fill(names);
    return complaint([&] { rapt::PretrainedFolder{folder.path()}; }, "pretrained");
  }
  std::string of_tokenizer(const std::vector<std::string>& names) const {
    fill(names);
    return complaint([&] { static_cast<void>(rapt::load_tokenizer(folder.path())); }, "tokenizer");
  }
};

constexpr const char* kModelWanted = "; wanted is a folder with config.json and model.safetensors";
constexpr const char* kTokenizerWanted =
    "; wanted is a folder with tokenizer.json, SentencePiece's model, vocab.json with merges.txt, or "
    "vocab.txt";

TEST_F(FolderContents, WhatIsNoFolder) {
  const auto model = [&](const std::string& name) {
    return complaint([&] { rapt::PretrainedFolder{folder.path() / name}; }, "pretrained");
  };
  std::ofstream(folder.path() / "file.bin") << "PK";
  EXPECT_EQ(model("none"), std::string("/none: there is no such folder") + kModelWanted);
  EXPECT_EQ(model("none/deeper"), std::string("/none/deeper: there is no such folder") + kModelWanted);
  EXPECT_EQ(model("file.bin"), std::string("/file.bin: this is a file, no folder") + kModelWanted);
  EXPECT_EQ(of_model({}), std::string(": the folder is empty") + kModelWanted);
  EXPECT_EQ(complaint([&] { static_cast<void>(rapt::pretrained_type(folder.path() / "none")); }, "pretrained"),
            "/none: there is no such folder; wanted is a folder with config.json");

  const auto tokenizer = [&](const std::string& name) {
    return complaint([&] { static_cast<void>(rapt::load_tokenizer(folder.path() / name)); }, "tokenizer");
  };
  EXPECT_EQ(tokenizer("none"), "/none: there is no such file or folder");
  EXPECT_EQ(of_tokenizer({}), std::string(": the folder is empty") + kTokenizerWanted);
  for (const char* name : {"source.spm", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"}) {
    std::ofstream(folder.path() / name) << "";
    EXPECT_EQ(tokenizer(name),
              "/" + std::string(name) + ": [sentencepiece] a model must have an unknown piece: none of 0 is one");
  }
}

TEST_F(FolderContents, WeightsOfOtherKindsAreNamed) {
  const auto expect = [&](const std::vector<std::string>& names, const std::string& found, const std::string& reason) {
    std::vector<std::string> all = names;
    all.insert(all.end(), {"config.json", "optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin"});
    const std::string text = of_model(all);
    EXPECT_TRUE(text.starts_with(": the folder has no model.safetensors, but " + found + ": " + reason)) << text;
    EXPECT_TRUE(text.ends_with(kModelWanted)) << text;
  };
  expect({"pytorch_model-00001-of-00002.bin", "tf_model.h5"}, "\"pytorch_model-00001-of-00002.bin\"",
         "parts of a model need pytorch_model.bin.index.json");
  for (const std::string name : {"model.pt", "model.pth", "epoch=3.ckpt"}) {
    expect({name}, '"' + name + '"', "a file of torch.save must hold a state_dict and have the name pytorch_model.bin");
  }
  expect({"tf_model.h5", "flax_model.msgpack"}, "\"tf_model.h5\"", "TensorFlow's weights are not read");
  expect({"model.ckpt.index"}, "\"model.ckpt.index\"", "TensorFlow's weights are not read");
  expect({"flax_model.msgpack"}, "\"flax_model.msgpack\"", "Flax's weights are not read");
  expect({"a.Q4_K_M.gguf", "b.gguf"}, "\"a.Q4_K_M.gguf\", \"b.gguf\"",
         "llama.cpp's files (*.gguf) are opened by their own paths");
  expect({"model.onnx"}, "\"model.onnx\"", "ONNX graphs are not read");
  expect({"rust_model.ot"}, "\"rust_model.ot\"", "weights of other libraries are not read");
  expect({"adapter_model.safetensors"}, "\"adapter_model.safetensors\"",
         "an adapter (PEFT) changes the weights of another model and is none itself: open that model with "
         "from_pretrained and the adapter with load_adapter");
  expect({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"},
         "\"model-00001-of-00002.safetensors\", \"model-00002-of-00002.safetensors\"",
         "parts of a model need model.safetensors.index.json");
  expect({"model.fp16.safetensors"}, "\"model.fp16.safetensors\"",
         "the weights must be in a file of the name model.safetensors");
  EXPECT_EQ(of_model({"config.json", "optimizer.pt", "tokenizer.model"}),
            std::string(": the folder has no model.safetensors, but \"config.json\", \"optimizer.pt\", "
                        "\"tokenizer.model\"") +
                kModelWanted);
}

TEST_F(FolderContents, WithoutAConfiguration) {
  EXPECT_EQ(
      of_model({"model.safetensors", "tokenizer.json"}),
      std::string(": the folder has no config.json, but \"model.safetensors\", \"tokenizer.json\"") + kModelWanted);
  EXPECT_TRUE(
      of_model({"llama.gguf"})
          .starts_with(": the folder has no config.json and model.safetensors, but \"llama.gguf\": llama.cpp's"));
  EXPECT_EQ(of_model({"blobs", "refs", "snapshots"}),
            std::string(": the folder has no config.json and model.safetensors, but \"blobs\", \"refs\", "
                        "\"snapshots\": this is a download cache, whose models are the folders in snapshots") +
                kModelWanted);
  EXPECT_EQ(of_model({"a", "b", "c", "d", "e", "f", "g"}),
            std::string(": the folder has no config.json and model.safetensors, but \"a\", \"b\", \"c\", \"d\", \"e\" "
                        "and 2 more") +
                kModelWanted);
}

TEST_F(FolderContents, TokenizersOfOtherKindsAreNamed) {
  const std::string wanted = kTokenizerWanted;
  EXPECT_EQ(of_tokenizer({"source.spm", "target.spm", "merges.txt"}),
            ": the folder has no vocab.json, but \"merges.txt\", \"source.spm\", \"target.spm\"" + wanted);
  EXPECT_EQ(of_tokenizer({"spiece.model", "vocab.txt"}),
            ": the folder has \"spiece.model\", but what its model adds to SentencePiece is known of MarianMT, T5, "
            "Llama, Gemma, Pegasus, mBART, mBART-50, NLLB, M2M100, XLM-RoBERTa and BARThez alone: "
            "tokenizer_config.json and config.json name no family" +
                wanted);
  EXPECT_EQ(of_tokenizer({"bpe.codes", "vocab.txt"}),
            ": the folder has none of tokenizer.json, vocab.json and vocab.txt, but \"bpe.codes\": subword-nmt's files "
            "are not read yet" +
                wanted);
  EXPECT_EQ(of_tokenizer({"vocab.json"}),
            ": the folder has no merges.txt beside its vocab.json, but \"vocab.json\"" + wanted);
  EXPECT_EQ(of_tokenizer({"merges.txt"}),
            ": the folder has no vocab.json beside its merges.txt, but \"merges.txt\"" + wanted);
  EXPECT_EQ(
      of_tokenizer({"config.json", "model.safetensors"}),
      ": the folder has none of tokenizer.json, vocab.json and vocab.txt, but \"config.json\", \"model.safetensors\"" +
          wanted);
}

}  // namespace
