/// \file
/// One case of a golden file of pretrained models (tests/golden/pretrained_cases.py tells what it holds), as a folder
/// that from_pretrained reads.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "rapt/autograd/backward.hpp"
#include "rapt/pretrained/pretrained.hpp"

#include "tests/common/expect_close.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/temporary_folder.hpp"

namespace rapt_test {

class PretrainedCase : public Golden {
 public:
  PretrainedCase(const std::string& file, const std::string& name)
      : Golden(file, name), source_(std::string(RAPT_GOLDEN_DIR) + "/" + file + ".safetensors") {
    config = nlohmann::json::parse(source_.metadata().at("info")).at("cases").at(name);
    const std::string prefix = name + "/param/";
    for (const std::string& stored : source_.names()) {
      if (stored.starts_with(prefix)) parameters.emplace(stored.substr(prefix.size()), source_.read<float>(stored));
    }
    write();
  }
  /// Names of all cases.
  [[nodiscard]] static std::vector<std::string> all(const std::string& file) {
    const rapt::SafetensorsFile source(std::string(RAPT_GOLDEN_DIR) + "/" + file + ".safetensors");
    const nlohmann::json info = nlohmann::json::parse(source.metadata().at("info"));  // must outlive the loop
    std::vector<std::string> names;
    for (const auto& [name, config] : info.at("cases").items()) names.push_back(name);
    EXPECT_FALSE(names.empty()) << source.path() << " has no cases";
    return names;
  }

  /// Writes the folder anew, after a change of `config` or `parameters`; with `shards` > 1 in so many files.
  void write(std::size_t shards = 1) const {
    std::ofstream(folder.path() / "config.json") << config.dump(1);
    std::filesystem::remove(folder.path() / "model.safetensors");
    std::vector<std::vector<rapt::SafetensorsEntry>> entries(shards);
    nlohmann::json map;
    std::size_t next = 0;
    for (const auto& [name, value] : parameters) {
      map[name] = shard_name(next % shards);
      entries[next++ % shards].emplace_back(name, value.view());
    }
    for (std::size_t i = 0; i < shards; ++i) {
      rapt::write_safetensors(folder.path() / (shards == 1 ? "model.safetensors" : shard_name(i)), entries[i]);
    }
    if (shards > 1) {
      std::ofstream(folder.path() / "model.safetensors.index.json") << nlohmann::json{{"weight_map", map}}.dump(1);
    }
  }
  [[nodiscard]] static std::string shard_name(std::size_t i) { return "part-" + std::to_string(i) + ".safetensors"; }

  /// The gradients of these models magnify errors in the products of a lowered precision.
  static constexpr double kAmplified = 5;

  /// The gradients that the parameters hold, under the names of the file. `tolerance`: relative to the largest of each.
  template <class M>
  void expect_stored_gradients(const M& model, double tolerance) const {
    using T = typename M::ScalarType;
    M gradients = model;
    std::vector<const rapt::Parameter<T>*> sources;
    rapt::for_each_parameter(model, [&](const std::string&, const rapt::Parameter<T>& p) { sources.push_back(&p); });
    std::size_t next = 0;
    rapt::for_each_parameter(gradients, [&](const std::string&, rapt::Parameter<T>& p) {
      const rapt::Tensor<T>& gradient = sources[next++]->grad();
      if (gradient.empty()) {
        p.mutable_value().fill(T(0));
      } else {
        std::copy_n(gradient.data(), gradient.size(), p.mutable_value().data());
      }
    });
    const TemporaryFolder saved;
    rapt::save_pretrained(saved.path(), gradients);
    const rapt::SafetensorsFile file(saved.path() / "model.safetensors");
    std::vector<std::string> compared;
    double largest = 0;
    for (const std::string& name : file.names()) {
      if (!contains("grad/param/" + name)) continue;
      largest = std::max(largest, magnitude(tensor<double>("grad/param/" + name)));
      compared.push_back(name);
    }
    EXPECT_FALSE(compared.empty());
    for (const std::string& name : compared) {
      const auto ours = file.read<T>(name);
      // A key bias has no gradient (softmax cancels it): what the file has there is noise, and so is ours.
      if (magnitude(tensor<double>("grad/param/" + name)) < 1e-12 * largest) {
        EXPECT_LE(magnitude(ours), allowed<T>(tolerance, kAmplified) * largest) << name;
      } else {
        expect("grad/param/" + name, ours, tolerance, kAmplified);
      }
    }
  }

  /// save_pretrained gives the tensors that were read, bit for bit, and no others.
  template <class M>
  void expect_round_trip(const M& model) const {
    const TemporaryFolder saved;
    rapt::save_pretrained(saved.path(), model);
    const rapt::SafetensorsFile file(saved.path() / "model.safetensors");
    EXPECT_EQ(file.names().size(), parameters.size());
    for (const auto& [name, value] : parameters) {
      ASSERT_TRUE(file.contains(name)) << name;
      const auto ours = file.read<float>(name);
      ASSERT_EQ(ours.shape(), value.shape()) << name;
      EXPECT_TRUE(std::equal(ours.values().begin(), ours.values().end(), value.values().begin())) << name;
    }
    const nlohmann::json written = nlohmann::json::parse(std::ifstream(saved.path() / "config.json"));
    expect_settings(written, config);
  }
  /// Every setting that both have is the same; those of a part, such as "text_config", are compared one by one.
  static void expect_settings(const nlohmann::json& written, const nlohmann::json& wanted) {
    for (const auto& [key, value] : written.items()) {
      if (key == "torch_dtype" || !wanted.contains(key)) continue;
      if (key.ends_with("_config")) {
        expect_settings(value, wanted[key]);
      } else {
        EXPECT_EQ(value, wanted[key]) << key;
      }
    }
  }

  nlohmann::json config;
  std::map<std::string, rapt::Tensor<float>> parameters;
  TemporaryFolder folder;

 private:
  template <class T>
  [[nodiscard]] static double magnitude(const rapt::Tensor<T>& values) {
    double largest = 0;
    for (const T v : values.values()) largest = std::max(largest, std::abs(static_cast<double>(v)));
    return largest;
  }

  rapt::SafetensorsFile source_;
};

/// A case of a golden file that has a Model<T>'s folders. A model's tests derive from it a Case with the members
/// - `kFile` and `kCases`: the name of the golden file, and how many cases it must have;
/// - `expect_results(model, tolerance)`: compares all results that the file has with the model's and returns the loss.
template <template <class> class Model>
struct ModelCase : PretrainedCase {
  using PretrainedCase::PretrainedCase;

  template <class T>
  [[nodiscard]] Model<T> load() const {
    return rapt::from_pretrained<Model<T>>(folder.path());
  }
};

template <class Case, class F>
void for_each_case(const F& f) {
  const std::vector<std::string> names = PretrainedCase::all(Case::kFile);
  EXPECT_EQ(names.size(), Case::kCases);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    f(Case(name));
  }
}

/// The results and all gradients of each case in the precision T.
template <class T, class Case>
void expect_agreement(const Case& golden, double tolerance, double gradient_tolerance) {
  const auto model = golden.template load<T>();
  const rapt::Recording scope;
  rapt::backward(golden.expect_results(model, tolerance));
  golden.expect_stored_gradients(model, gradient_tolerance);
}

/// A model that was read is written as the same folder, from which a model with the same results is read.
template <class Case>
void expect_return_journey(const Case& golden) {
  const auto model = golden.template load<float>();
  EXPECT_EQ(rapt::detail::architecture_of(model.config()), golden.config["architectures"][0]);
  golden.expect_round_trip(model);
  const TemporaryFolder saved;
  rapt::save_pretrained(saved.path(), model);
  const auto written = nlohmann::json::parse(std::ifstream(saved.path() / "config.json"));
  EXPECT_EQ(written.at("architectures"), golden.config["architectures"]);
  golden.expect_results(rapt::from_pretrained<std::remove_const_t<decltype(model)>>(saved.path()), 1e-5);
}

}  // namespace rapt_test
