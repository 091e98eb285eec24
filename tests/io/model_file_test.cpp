/// \file
/// Models in files: configurations as JSON, round trips bit for bit, files that do not fit, files that lie.
#include "rapt/io/model_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "rapt/models/transformer.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/memory_limit.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::config_from_json;
using rapt::config_to_json;
using rapt::Index;
using rapt::IoError;
using rapt::SafetensorsEntry;
using rapt::Shape;
using rapt::ShapeError;
using rapt::Tensor;
using rapt::Transformer;
using rapt::TransformerConfig;
using rapt::ValueError;
using rapt_test::error_text;
using rapt_test::same_bits;

TransformerConfig small_config() {
  return {.source_vocabulary = 11,
          .target_vocabulary = 11,
          .d_model = 8,
          .heads = 2,
          .d_ff = 12,
          .encoder_layers = 2,
          .decoder_layers = 1,
          .dropout = 0.f};
}

// The configuration ---------------------------------------------------------------------------------------------------

void expect_same(const TransformerConfig& a, const TransformerConfig& b) {
  EXPECT_EQ(a.source_vocabulary, b.source_vocabulary);
  EXPECT_EQ(a.target_vocabulary, b.target_vocabulary);
  EXPECT_EQ(a.d_model, b.d_model);
  EXPECT_EQ(a.heads, b.heads);
  EXPECT_EQ(a.d_ff, b.d_ff);
  EXPECT_EQ(a.encoder_layers, b.encoder_layers);
  EXPECT_EQ(a.decoder_layers, b.decoder_layers);
  EXPECT_EQ(a.dropout, b.dropout);
  EXPECT_EQ(a.attention_dropout, b.attention_dropout);
  EXPECT_EQ(a.activation_dropout, b.activation_dropout);
  EXPECT_EQ(a.activation, b.activation);
  EXPECT_EQ(a.norm, b.norm);
  EXPECT_EQ(a.has_final_norm(), b.has_final_norm());
  EXPECT_EQ(a.norm_epsilon, b.norm_epsilon);
  EXPECT_EQ(a.decoder_heads, b.decoder_heads);
  EXPECT_EQ(a.decoder_d_ff, b.decoder_d_ff);
  EXPECT_EQ(a.tie_embeddings, b.tie_embeddings);
  EXPECT_EQ(a.tie_output, b.tie_output);
  EXPECT_EQ(a.scale_embeddings, b.scale_embeddings);
  EXPECT_EQ(a.output_bias, b.output_bias);
  EXPECT_EQ(a.positions.layout, b.positions.layout);
  EXPECT_EQ(a.positions.first_position, b.positions.first_position);
  EXPECT_EQ(a.learned_positions, b.learned_positions);
  EXPECT_EQ(a.embedding_norm, b.embedding_norm);
  EXPECT_EQ(a.unused_positions, b.unused_positions);
}

TransformerConfig unusual_config() {  // no field has its default
  return {.source_vocabulary = 101,
          .target_vocabulary = 103,
          .d_model = 12,
          .heads = 3,
          .d_ff = 17,
          .encoder_layers = 2,
          .decoder_layers = 5,
          .decoder_heads = 2,
          .decoder_d_ff = 19,
          .dropout = 0.3f,
          .attention_dropout = 0.07f,
          .activation_dropout = 1e-9f,
          .activation = rapt::Activation::gelu_tanh,
          .norm = rapt::NormPlacement::pre,
          .final_norm = false,
          .norm_epsilon = 1.0 / 3e6,
          .tie_embeddings = false,
          .tie_output = true,
          .scale_embeddings = false,
          .output_bias = true,
          .embedding_norm = true,
          .positions = {.layout = rapt::SinusoidLayout::concatenated, .first_position = 1},
          .learned_positions = 77,
          .unused_positions = 2};
}

TEST(ModelConfig, EveryFieldComesBack) {
  const TransformerConfig configs[] = {{}, unusual_config(), TransformerConfig::big(500)};
  for (const TransformerConfig& config : configs) {
    expect_same(config_from_json<TransformerConfig>(config_to_json(config), "x"), config);
  }
  for (const auto layout :
       {rapt::SinusoidLayout::interleaved, rapt::SinusoidLayout::concatenated, rapt::SinusoidLayout::halves}) {
    TransformerConfig config;
    config.positions.layout = layout;
    expect_same(config_from_json<TransformerConfig>(config_to_json(config), "x"), config);
  }
  for (const auto activation : {rapt::Activation::relu, rapt::Activation::gelu, rapt::Activation::gelu_tanh}) {
    for (const auto norm : {rapt::NormPlacement::pre, rapt::NormPlacement::post}) {
      for (const std::optional<bool> final_norm : {std::optional<bool>(), std::optional(true), std::optional(false)}) {
        TransformerConfig config = small_config();
        config.activation = activation;
        config.norm = norm;
        config.final_norm = final_norm;
        expect_same(config_from_json<TransformerConfig>(config_to_json(config), "x"), config);
      }
    }
  }
}

TEST(ModelConfig, AFieldIsWrittenUnderEachName) {
  const auto json = nlohmann::json::parse(config_to_json(unusual_config()));
  std::size_t fields = 1;  // "model"
  TransformerConfig config;
  TransformerConfig::visit_fields(config, [&](const char* key, auto&) {
    EXPECT_TRUE(json.contains(key)) << key;
    ++fields;
  });
  EXPECT_EQ(json.size(), fields);
  EXPECT_EQ(json["model"], "transformer");
}

TEST(ModelConfig, AbsentKeysKeepTheirDefaults) {
  expect_same(config_from_json<TransformerConfig>("{}", "x"), {});
  TransformerConfig config;
  config.heads = 4;
  expect_same(config_from_json<TransformerConfig>(R"({"heads": 4})", "x"), config);
}

/// The error names the file and every one of these.
template <class E>
void expect_refused(const std::string& json, const std::vector<std::string>& parts) {
  const std::string text = error_text<E>([&] { (void)config_from_json<TransformerConfig>(json, "the file"); });
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << text << "\nhas no " << part;
  EXPECT_LT(text.size(), 400u) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

TEST(ModelConfig, MalformedJson) {
  for (const char* json : {"", "{", "{]", "[]", "3", "null", "\"text\"", "{\"heads\": }", "{} {}", "{\"heads\": 1e999}",
                           "\xff", "{\"heads\": 8,}", "// no\n{}"}) {
    SCOPED_TRACE(json);
    expect_refused<IoError>(json, {"the file", "not a JSON object"});
  }
}

TEST(ModelConfig, UnknownKeys) {
  expect_refused<IoError>(R"({"head": 8})", {"the file", "\"head\""});
  expect_refused<IoError>(R"({"heads": 8, "Heads": 8})", {"the file", "\"Heads\""});
  expect_refused<IoError>("{\"" + std::string(100000, 'k') + "\": 8}", {"the file", "\"kkkk"});
  expect_refused<IoError>(R"({"a\nb": 8})", {"the file", "a?b"});
}

TEST(ModelConfig, WrongTypes) {
  TransformerConfig config;
  TransformerConfig::visit_fields(config, [&](const std::string key, auto& member) {
    using Value = std::remove_cvref_t<decltype(member)>;
    std::vector<std::string> wrong = {"null", "[]", "{}", "[1]", "\"8\"", "\"\""};
    if constexpr (!std::is_same_v<Value, bool> && !std::is_same_v<Value, std::optional<bool>>) wrong.push_back("true");
    if constexpr (!std::is_integral_v<Value> || std::is_same_v<Value, bool>) wrong.push_back("8");
    if constexpr (!std::is_floating_point_v<Value>) wrong.push_back("0.5");
    if constexpr (std::is_floating_point_v<Value>) wrong.erase(std::find(wrong.begin(), wrong.end(), "8"));
    for (const std::string& value : wrong) {
      SCOPED_TRACE(key + ": " + value);
      expect_refused<IoError>("{\"" + key + "\": " + value + "}", {"the file"});
    }
  });
  expect_refused<IoError>(R"({"heads": "8"})", {"the file", "\"heads\"", "whole number", "8"});
  expect_refused<IoError>(R"({"activation": "mish"})", {"the file", "mish"});
  expect_refused<IoError>(R"({"sinusoid_layout": "thirds"})", {"the file", "\"sinusoid_layout\"", "halves", "thirds"});
  expect_refused<IoError>(R"({"norm": "before"})", {"the file", "\"norm\"", "post", "pre", "before"});
  expect_refused<IoError>(R"({"model": "gpt"})", {"the file", "gpt"});
  expect_refused<IoError>(R"({"model": 3})", {"the file", "3"});
}

TEST(ModelConfig, SizesOutsideTheirRange) {
  for (const char* size : {"-1", "-9223372036854775808", "1000000000", "9223372036854775807", "18446744073709551615",
                           "1e3", "1e300", "99999999999999999999999999"}) {
    for (const char* key : {"d_model", "source_vocabulary", "encoder_layers", "learned_positions", "first_position"}) {
      SCOPED_TRACE(std::string(key) + " " + size);
      expect_refused<IoError>("{\"" + std::string(key) + "\": " + size + "}", {"the file", key});
    }
  }
}

TEST(ModelConfig, ValuesThatDoNotFit) {
  expect_refused<ValueError>(R"({"heads": 7})", {"the file", "512", "7"});
  expect_refused<ValueError>(R"({"heads": 0})", {"the file", "heads = 0"});
  expect_refused<ValueError>(R"({"d_model": 9, "heads": 3})", {"the file", "even", "9"});
  expect_refused<ValueError>(R"({"dropout": 1})", {"the file", "dropout", "1"});
  expect_refused<ValueError>(R"({"dropout": -0.25})", {"the file", "dropout", "-0.25"});
  expect_refused<ValueError>(R"({"attention_dropout": 1e300})", {"the file", "dropout", "inf"});
  expect_refused<ValueError>(R"({"layer_norm_epsilon": 0})", {"the file", "norm_epsilon"});
  expect_refused<ValueError>(R"({"source_vocabulary": 5})", {"the file", "shared", "5", "37000"});
  expect_refused<ValueError>(R"({"decoder_layers": 0})", {"the file", "decoder_layers 0"});
  expect_refused<ValueError>(R"({"decoder_heads": 7})", {"the file", "decoder_heads = 7", "512"});
}

TEST(ModelConfig, DeepNestingCostsNothing) {  // neither copied nor printed: both would recurse
  for (const std::string key : {"heads", "model", "activation", "norm", "sinusoid_layout", "dropout", "more"}) {
    const std::string nested = std::string(200000, '[') + std::string(200000, ']');
    expect_refused<IoError>("{\"" + key + "\": " + nested + "}", {"the file"});
  }
}

// Models --------------------------------------------------------------------------------------------------------------

/// A folder of its own for each test, removed at the end.
class ModelFile : public testing::Test {
 protected:
  ModelFile() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::temp_directory_path() / ("rapt_model_file_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~ModelFile() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path path() const { return folder_ / "model.safetensors"; }

  fs::path folder_;
};

struct Variant {
  std::string name;
  TransformerConfig config;
};

std::vector<Variant> variants() {
  std::vector<Variant> all;
  const auto add = [&](const std::string& name, auto&& change) {
    all.push_back({name, small_config()});
    change(all.back().config);
  };
  add("the paper's", [](auto&) {});
  add("separate embeddings", [](auto& c) {
    c.tie_embeddings = false;
    c.target_vocabulary = 7;
  });
  add("pre-norm", [](auto& c) { c.norm = rapt::NormPlacement::pre; });
  add("pre-norm without final norms", [](auto& c) {
    c.norm = rapt::NormPlacement::pre;
    c.final_norm = false;
  });
  add("post-norm with final norms", [](auto& c) { c.final_norm = true; });
  add("learned positions", [](auto& c) { c.learned_positions = 9; });
  add("output bias", [](auto& c) { c.output_bias = true; });
  add("everything else", [](auto& c) {
    c = unusual_config();
    c.encoder_layers = c.decoder_layers = 2;
    c.learned_positions = 0;
  });
  return all;
}

/// A model of which no parameter has its initial value (norms begin with ones, biases with zeros).
template <class T>
Transformer<T> random_model(const TransformerConfig& config, std::uint64_t seed) {
  rapt::Rng rng(seed);
  Transformer<T> model(config, rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
    rng.fill_uniform(parameter.mutable_value().values(), -0.5, 0.5);
  });
  return model;
}

template <class T>
Tensor<T> logits_of(const Transformer<T>& model) {
  const rapt::TokenBatch source{{3, 4, 5, 6}, {5, 2}}, target{{1, 5, 6}, {1, 3, 3, 4, 6}};
  return Tensor<T>(model(source, target).value());
}

template <class T>
void expect_same_parameters(const Transformer<T>& a, const Transformer<T>& b) {
  std::vector<std::pair<std::string, const Tensor<T>*>> of_a;
  rapt::for_each_parameter(a, [&](const std::string& name, const auto& p) { of_a.emplace_back(name, &p.value()); });
  std::size_t i = 0;
  rapt::for_each_parameter(b, [&](const std::string& name, const auto& p) {
    ASSERT_LT(i, of_a.size());
    EXPECT_EQ(of_a[i].first, name);
    EXPECT_EQ(of_a[i].second->shape(), p.shape()) << name;
    EXPECT_TRUE(same_bits(of_a[i].second->values(), p.value().values())) << name;
    ++i;
  });
  EXPECT_EQ(i, of_a.size());
}

template <class T>
class ModelFileOf : public ModelFile {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(ModelFileOf, Scalars);

TYPED_TEST(ModelFileOf, ComesBackBitForBit) {
  for (const Variant& variant : variants()) {
    SCOPED_TRACE(variant.name);
    std::optional<Transformer<TypeParam>> model = random_model<TypeParam>(variant.config, 3);
    save_model(this->path(), *model);
    const Tensor<TypeParam> before = logits_of(*model);
    const Transformer<TypeParam> copy = *model;
    model.reset();  // nothing of the first model remains, as in another program

    const auto loaded = rapt::load_model<Transformer<TypeParam>>(this->path());
    expect_same(loaded.config(), variant.config);
    expect_same_parameters(loaded, copy);
    EXPECT_TRUE(same_bits(before, logits_of(loaded)));
    save_model(this->folder_ / "again", loaded);
    std::ifstream first(this->path(), std::ios::binary), second(this->folder_ / "again", std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(first), {}),
              std::string(std::istreambuf_iterator<char>(second), {}));
  }
}

TEST_F(ModelFile, TheOtherPrecision) {
  const auto model = random_model<float>(small_config(), 3);
  save_model(path(), model);
  const auto wide = rapt::load_model<Transformer<double>>(path());
  rapt_test::expect_close(logits_of(model), logits_of(wide), 1e-5);
  save_model(path(), wide);
  expect_same_parameters(rapt::load_model<Transformer<float>>(path()),
                         model);  // float to double and back loses nothing
}

TEST_F(ModelFile, MetadataIsKept) {
  save_model(path(), random_model<float>(small_config(), 3), {{"note", "n\xC3\xA4he"}, {"config", "is replaced"}});
  const rapt::SafetensorsFile file(path());
  EXPECT_EQ(file.metadata().at("note"), "n\xC3\xA4he");
  expect_same(rapt::load_model<Transformer<float>>(file).config(), small_config());
}

/// The entries of a model's file, to be changed by a test.
struct Contents {
  Transformer<float> model;  // what the entries look at
  std::vector<SafetensorsEntry> entries;
  rapt::Metadata metadata;

  explicit Contents(const Transformer<float>& from)
      : model(from), entries(rapt::parameter_entries(model)), metadata{{"config", config_to_json(model.config())}} {}

  void remove(const std::string& name) {
    ASSERT_EQ(std::erase_if(entries, [&](const SafetensorsEntry& entry) { return entry.name() == name; }), 1u) << name;
  }
  template <class T>
  void replace(const std::string& name, const Tensor<T>& tensor) {
    remove(name);
    entries.emplace_back(name, tensor.view());
  }
};

/// Loading fails and names the file and `name`, be it into an old model, which stays as it is, or into a new one.
template <class E>
void expect_refused_model(const fs::path& path, const std::string& name) {
  const auto old = random_model<float>(small_config(), 8);
  auto model = old;
  const std::string into_old = error_text<E>([&] { rapt::load_parameters(model, rapt::SafetensorsFile(path)); });
  expect_same_parameters(model, old);
  const std::string into_new = error_text<E>([&] { (void)rapt::load_model<Transformer<float>>(path); });
  for (const std::string& text : {into_old, into_new}) {
    EXPECT_NE(text.find(path.string()), std::string::npos) << text;
    EXPECT_NE(text.find('"' + name + '"'), std::string::npos) << text << "\nhas no " << name;
  }
}

TEST_F(ModelFile, MissingTensors) {
  const auto model = random_model<float>(small_config(), 3);
  for (const std::string name : {"embedding.weight", "encoder.layers.1.norm2.bias", "decoder.layers.0.linear1.weight",
                                 "decoder.layers.0.norm3.weight"}) {
    SCOPED_TRACE(name);
    Contents contents(model);
    contents.remove(name);
    contents.metadata["config"] = config_to_json(small_config());
    // In place of it something as large, so that only the name is wrong.
    const Tensor<float> other(Shape{200});
    contents.entries.emplace_back("other", other.view());
    rapt::write_safetensors(path(), contents.entries, contents.metadata);
    expect_refused_model<IoError>(path(), name);
  }
}

TEST_F(ModelFile, SurplusTensors) {
  const Tensor<float> more(Shape{2, 3});
  for (const std::string name : {"encoder.layers.2.norm1.bias", "output.bias", "source_positions.weight", "x"}) {
    SCOPED_TRACE(name);
    Contents contents(random_model<float>(small_config(), 3));
    contents.entries.emplace_back(name, more.view());
    rapt::write_safetensors(path(), contents.entries, contents.metadata);
    expect_refused_model<IoError>(path(), name);
  }
}

TEST_F(ModelFile, WrongShapes) {
  const Tensor<float> transposed(Shape{8, 12}), flat(Shape{88}), long_bias(Shape{9}), deep(Shape{1, 8});
  const std::pair<std::string, const Tensor<float>*> wrong[] = {{"encoder.layers.0.linear1.weight", &transposed},
                                                                {"embedding.weight", &flat},
                                                                {"decoder.layers.0.norm3.bias", &long_bias},
                                                                {"encoder.layers.1.norm1.weight", &deep}};
  for (const auto& [name, tensor] : wrong) {
    SCOPED_TRACE(name);
    Contents contents(random_model<float>(small_config(), 3));
    contents.replace(name, *tensor);
    rapt::write_safetensors(path(), contents.entries, contents.metadata);
    expect_refused_model<ShapeError>(path(), name);
    const std::string text = error_text<ShapeError>([&] { (void)rapt::load_model<Transformer<float>>(path()); });
    EXPECT_NE(text.find(to_string(tensor->shape())), std::string::npos) << text;
  }
}

TEST_F(ModelFile, ATypeThatCannotBeRead) {
  // The last tensor of the file; the others could have been read before it.
  const auto old = random_model<float>(small_config(), 8);
  save_model(path(), old);
  std::ifstream stream(path(), std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(stream), {});
  const std::string name = "\"decoder.layers.0.norm3.bias\":{\"dtype\":\"";
  const auto at = bytes.find(name);
  ASSERT_NE(at, std::string::npos);
  const std::string from = "F32\",\"shape\":[8]", to = "C64\",\"shape\":[4]";
  ASSERT_EQ(bytes.compare(at + name.size(), from.size(), from), 0);
  bytes.replace(at + name.size(), from.size(), to);
  std::ofstream(path(), std::ios::binary) << bytes;
  expect_refused_model<ShapeError>(path(), "decoder.layers.0.norm3.bias");

  // Of the right shape.
  const Tensor<double> wide(Shape{8});
  Contents contents(old);
  contents.replace("decoder.layers.0.norm3.bias", wide);
  rapt::write_safetensors(path(), contents.entries, contents.metadata);
  std::ifstream again(path(), std::ios::binary);
  bytes.assign(std::istreambuf_iterator<char>(again), {});
  const auto f64 = bytes.find("F64");
  ASSERT_NE(f64, std::string::npos);
  bytes.replace(f64, 3, "C64");
  std::ofstream(path(), std::ios::binary) << bytes;
  expect_refused_model<IoError>(path(), "decoder.layers.0.norm3.bias");
}

TEST_F(ModelFile, LoadsAPartUnderAPrefix) {
  const auto model = random_model<float>(small_config(), 3);
  auto entries = rapt::parameter_entries(model, "a.");
  const auto other = random_model<float>(small_config(), 4);
  for (auto& entry : rapt::parameter_entries(other, "b.")) entries.push_back(entry);
  rapt::write_safetensors(path(), entries);
  auto loaded = random_model<float>(small_config(), 5);
  rapt::load_parameters(loaded, rapt::SafetensorsFile(path()), "b.");
  expect_same_parameters(loaded, other);
  EXPECT_NE(error_text<IoError>([&] {
              rapt::load_parameters(loaded, rapt::SafetensorsFile(path()), "c.");
            }).find("\"c.embedding.weight\""),
            std::string::npos);
}

TEST_F(ModelFile, NotAModel) {
  const Tensor<float> tensor(Shape{3});
  rapt::write_safetensors(path(), std::vector<SafetensorsEntry>{{"x", tensor.view()}});
  EXPECT_NE(error_text<IoError>([&] { (void)rapt::load_model<Transformer<float>>(path()); }).find("\"config\""),
            std::string::npos);
  EXPECT_NE(error_text<IoError>([&] { (void)rapt::load_model<Transformer<float>>(folder_ / "absent"); }).find("absent"),
            std::string::npos);
  EXPECT_NE(error_text<IoError>([&] { (void)rapt::load_model<Transformer<float>>(folder_); }).find("regular"),
            std::string::npos);
}

// Files that claim more than they hold --------------------------------------------------------------------------------

TEST_F(ModelFile, ClaimsBeyondTheFileAllocateNothing) {
  const auto model = random_model<float>(small_config(), 3);
  const auto with = [](const std::function<void(TransformerConfig&)>& change) {
    TransformerConfig config = small_config();
    change(config);
    return config_to_json(config);
  };
  const std::string claims[] = {
      with([](auto& c) { c.source_vocabulary = c.target_vocabulary = 999'999'999; }),
      with([](auto& c) { c.d_model = 999'999'998; }),
      with([](auto& c) { c.d_ff = 1 << 28; }),
      with([](auto& c) { c.encoder_layers = 50'000'000; }),
      with([](auto& c) { c.decoder_layers = 50'000'000; }),
      with([](auto& c) { c.learned_positions = 100'000'000; }),
      with([](auto& c) {
        c.encoder_layers = c.decoder_layers = 1000;
        c.d_ff = 1 << 20;
      }),
  };
  for (const std::string& claim : claims) {
    SCOPED_TRACE(claim);
    Contents contents(model);
    contents.metadata["config"] = claim;
    rapt::write_safetensors(path(), contents.entries, contents.metadata);
    const rapt_test::MemoryLimit limit(64 << 20);
    const std::string text = error_text<rapt::Error>([&] { (void)rapt::load_model<Transformer<float>>(path()); });
    EXPECT_NE(text.find(path().string()), std::string::npos) << text;
  }
  // Separate embeddings: the target's is not the table that is looked at first.
  TransformerConfig config = small_config();
  config.tie_embeddings = false;
  Contents contents(random_model<float>(config, 3));
  config.target_vocabulary = 900'000'000;
  contents.metadata["config"] = config_to_json(config);
  rapt::write_safetensors(path(), contents.entries, contents.metadata);
  const rapt_test::MemoryLimit limit(64 << 20);
  EXPECT_NE(error_text<IoError>([&] { (void)rapt::load_model<Transformer<float>>(path()); }).find("numbers"),
            std::string::npos);
}

TEST_F(ModelFile, EveryTruncationIsAnError) {
  save_model(path(), random_model<float>(small_config(), 3));
  std::ifstream stream(path(), std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(stream), {});
  for (std::size_t size = 0; size < whole.size(); size += size < 40 ? 1 : 97) {
    std::ofstream(path(), std::ios::binary) << whole.substr(0, size);
    EXPECT_THROW((void)rapt::load_model<Transformer<float>>(path()), IoError) << size;
  }
}

TEST_F(ModelFile, ChangedBytesNeverCrash) {
  save_model(path(), random_model<float>(small_config(), 3));
  std::ifstream stream(path(), std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(stream), {});
  const std::size_t header = whole.find("embedding.weight");
  ASSERT_NE(header, std::string::npos);
  rapt::Rng rng(5);
  Index refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string bytes = whole;
    const auto at = static_cast<std::size_t>(rng.below(static_cast<Index>(header + 400)));
    bytes[at] = static_cast<char>(rng.below(256));
    std::ofstream(path(), std::ios::binary) << bytes;
    const rapt_test::MemoryLimit limit(256 << 20);
    try {
      (void)rapt::load_model<Transformer<float>>(path());
    } catch (const rapt::Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 200);
}

TEST_F(ModelFile, AnUnwritablePlaceLeavesTheOldFile) {
  const auto model = random_model<float>(small_config(), 3);
  save_model(path(), model);
  EXPECT_NE(error_text<IoError>([&] { save_model(path() / "below", model); }).find("below"), std::string::npos);
  EXPECT_THROW(save_model(folder_, model), IoError);
  expect_same_parameters(rapt::load_model<Transformer<float>>(path()), model);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

}  // namespace
