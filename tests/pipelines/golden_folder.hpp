/// \file
/// The folders of tests/golden/make_pipelines.py as folders, and the comparison of scores with what pipelines of
/// transformers gave.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rapt/core/tensor.hpp"
#include "rapt/io/safetensors.hpp"
#include "rapt/pipelines/label_scores.hpp"
#include "tests/common/temporary_folder.hpp"

namespace rapt_test {

/// What make_pipelines.py wrote to `<name>.json` and `<name>.safetensors`.
class PipelineGolden {
 public:
  explicit PipelineGolden(const std::string& name)
      : json_(nlohmann::json::parse(std::ifstream(RAPT_GOLDEN_DIR "/" + name + ".json"))),
        tensors_(RAPT_GOLDEN_DIR "/" + name + ".safetensors") {}

  [[nodiscard]] const nlohmann::json& operator[](const char* key) const { return json_.at(key); }
  [[nodiscard]] std::vector<std::string> texts() const { return json_.at("texts").get<std::vector<std::string>>(); }
  /// Every n-th text, beginning with the first.
  [[nodiscard]] std::vector<std::string> texts(std::size_t n) const {
    const std::vector<std::string> all = texts();
    std::vector<std::string> some;
    for (std::size_t i = 0; i < all.size(); i += n) some.push_back(all[i]);
    return some;
  }
  /// Writes the files of a model's folder.
  void write(const std::string& name, const std::filesystem::path& folder) const {
    const nlohmann::json& files = json_.at("folders").at(name);
    std::vector<rapt::Tensor<float>> values;
    std::vector<std::string> names;
    for (const auto& [file, content] : files.items()) {
      if (file == "tensors") {
        for (const auto& [tensor, key] : content.items()) {
          names.push_back(tensor);
          values.push_back(tensors_.read<float>(key.get<std::string>()));
        }
      } else {
        std::ofstream(folder / file) << json_.at("files")[content.get<std::size_t>()].get<std::string>();
      }
    }
    std::vector<rapt::SafetensorsEntry> entries;
    for (std::size_t i = 0; i < names.size(); ++i) entries.emplace_back(names[i], std::as_const(values[i]).view());
    write_safetensors(folder / "model.safetensors", entries, {{"format", "pt"}});
  }

 private:
  nlohmann::json json_;
  rapt::SafetensorsFile tensors_;
};

/// A folder of the file as long as a test runs.
class GoldenFolder {
 public:
  GoldenFolder(const PipelineGolden& golden, const std::string& name) { golden.write(name, path()); }
  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }
  operator const std::filesystem::path&() const { return path(); }

 private:
  TemporaryFolder folder_;
};

inline constexpr double kScoreTolerance = 1e-4;  // of scores of transformers

/// Compares with lists of [label's number, score]. Labels whose scores are as good as equal may change places.
inline void expect_labels(const std::vector<std::vector<rapt::LabelScore>>& found, const nlohmann::json& expected,
                          const std::vector<std::string>& labels) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].size(), expected[i].size()) << i;
    for (std::size_t k = 0; k < found[i].size(); ++k) {
      EXPECT_NEAR(found[i][k].score, expected[i][k][1].get<double>(), kScoreTolerance) << i << ", " << k;
      for (std::size_t other = 0; other < found[i].size(); ++other) {
        if (labels.at(expected[i][other][0].get<std::size_t>()) != found[i][k].label) continue;
        EXPECT_NEAR(found[i][k].score, expected[i][other][1].get<double>(), kScoreTolerance) << i << ", " << k;
      }
    }
  }
}

}  // namespace rapt_test
