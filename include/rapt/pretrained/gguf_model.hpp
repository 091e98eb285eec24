/// \file
/// A GGUF file (llama.cpp) as a Hugging Face folder: the settings as config.json, and the tensors under the names and
/// in the arrangement that transformers has for them. Known are Llama (as which Mistral's files come), Qwen2, Qwen3,
/// Gemma 2 and Gemma 3.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/tensor.hpp"
#include "rapt/io/gguf.hpp"
#include "rapt/io/tensor_file.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// True for a file that begins with GGUF's magic, whatever its name, and for a path with GGUF's ending that is no
/// folder: opening it as a GGUF file says what is wrong with it.
[[nodiscard]] inline bool is_gguf(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (path.extension() == ".gguf") return !std::filesystem::is_directory(status);
  if (!std::filesystem::is_regular_file(status)) return false;
  std::array<char, 4> magic{};
  std::ifstream(path, std::ios::binary).read(magic.data(), magic.size());
  return std::string_view(magic.data(), magic.size()) == kGgufMagic;
}

/// An architecture of llama.cpp, and the "model_type" of its folders.
struct GgufArchitecture {
  std::string_view name, model_type;
  [[nodiscard]] bool is_gemma() const { return name.starts_with("gemma"); }
};
inline constexpr auto kGgufArchitectures = std::to_array<GgufArchitecture>(
    {{"llama", "llama"}, {"qwen2", "qwen2"}, {"qwen3", "qwen3"}, {"gemma2", "gemma2"}, {"gemma3", "gemma3_text"}});

/// Reads the settings of a model.
class GgufSettings {
 public:
  using Json = nlohmann::json;

  /// The file must outlive this. Throws IoError for a model of another architecture and for a part of a model.
  explicit GgufSettings(const GgufFile& file) : file_(file) {
    refuse_parts();
    const auto* const name = file.find<std::string>("general.architecture");
    std::string known;
    for (const GgufArchitecture& one : kGgufArchitectures) {
      known += (known.empty() ? "" : ", ") + std::string(one.name);
      if (name != nullptr && one.name == *name) architecture_ = one;
    }
    require<IoError>(!architecture_.name.empty(), kWhere, file.path(), ": general.architecture is ",
                     name == nullptr ? "missing" : quote_name(*name), ", known are ", known);
  }

  [[nodiscard]] const GgufArchitecture& architecture() const { return architecture_; }
  [[nodiscard]] std::int64_t heads() const { return wanted("attention.head_count"); }
  [[nodiscard]] std::int64_t key_value_heads() const {
    constexpr std::string_view kKey = "attention.head_count_kv";
    return file_.metadata().contains(key(kKey)) ? wanted(kKey) : heads();
  }

  /// config.json. Throws IoError for settings that are missing, or that the models here do not have.
  [[nodiscard]] Json config() const {
    require<IoError>(file_.contains("token_embd.weight") && file_.sizes("token_embd.weight").size() == 2, kWhere,
                     file_.path(), ": there is no matrix \"token_embd.weight\"");
    const bool is_gemma = architecture_.is_gemma();
    Json json = {{"model_type", architecture_.model_type},
                 {"vocab_size", file_.sizes("token_embd.weight")[0]},
                 {"hidden_size", wanted("embedding_length")},
                 {"num_hidden_layers", wanted("block_count")},
                 {"num_attention_heads", heads()},
                 {"num_key_value_heads", key_value_heads()},
                 {"head_dim", head_dim()},
                 {"intermediate_size", wanted("feed_forward_length")},
                 {is_gemma ? "hidden_activation" : "hidden_act", is_gemma ? "gelu_pytorch_tanh" : "silu"},
                 {"rms_norm_eps", real("attention.layer_norm_rms_epsilon", 1e-6)},
                 {"max_position_embeddings", wanted("context_length")},
                 {"rope_theta", real("rope.freq_base", 10000)},
                 {"tie_word_embeddings", !file_.contains("output.weight")}};
    require<IoError>(integer("expert_count", 0) == 0, kWhere, file_.path(), ": is a mixture of ",
                     integer("expert_count", 0), " experts, which no model here is");
    require<IoError>(integer("rope.dimension_count", head_dim()) == head_dim(), kWhere, file_.path(),
                     ": rope.dimension_count is ", integer("rope.dimension_count", 0),
                     ", wanted are all columns of a head: ", head_dim());
    require<IoError>(integer("attention.value_length", head_dim()) == head_dim(), kWhere, file_.path(),
                     ": attention.value_length is ", integer("attention.value_length", 0),
                     ", wanted is that of keys: ", head_dim());
    if (architecture_.name == "llama") json["attention_bias"] = file_.contains("blk.0.attn_q.bias");
    if (is_gemma) add_gemma(json);
    add_rotary(json);
    add_tokens(json);
    return json;
  }

 private:
  static constexpr std::string_view kWhere = "gguf";

  /// llama-gguf-split writes the parts NAME-00001-of-00003.gguf, ...; the first one has the settings.
  void refuse_parts() const {
    const std::int64_t count = file_.integer("split.count", 1);
    if (count <= 1) return;
    const auto digits = [](std::int64_t number) {
      const std::string text = std::to_string(number);
      return std::string(5 - std::min<std::size_t>(text.size(), 5), '0') + text;
    };
    const std::string ending = "-of-" + digits(count) + ".gguf";
    std::string name = std::filesystem::path(file_.path()).filename().string();
    if (name.size() > ending.size() + 6 && name.ends_with(ending)) name.resize(name.size() - ending.size() - 6);
    fail<IoError>(kWhere, file_.path(), ": split.count is ", count, ": this is one of the parts ",
                  quote_name(name + "-" + digits(1) + ending), " to ", quote_name(name + "-" + digits(count) + ending),
                  " of a model; \"llama-gguf-split --merge\" of llama.cpp, given the first part and the name of a new "
                  "file, makes one file of them, which can be read");
  }

  [[nodiscard]] std::string key(std::string_view name) const {
    return std::string(architecture_.name) + "." + std::string(name);
  }
  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t otherwise) const {
    return file_.integer(key(name), otherwise);
  }
  [[nodiscard]] std::int64_t wanted(std::string_view name) const {
    const auto* const value = file_.find<std::int64_t>(key(name));
    require<IoError>(value != nullptr, kWhere, file_.path(), ": the setting ", quote_name(key(name)), " is missing");
    require<IoError>(*value > 0 && *value < (std::int64_t{1} << 40), kWhere, file_.path(), ": ", quote_name(key(name)),
                     " is ", *value, ", wanted is a count");
    return *value;
  }
  [[nodiscard]] double real(std::string_view name, double otherwise) const {
    const auto* const value = file_.find<double>(key(name));
    return value == nullptr ? otherwise : *value;
  }
  [[nodiscard]] std::int64_t head_dim() const {
    const std::int64_t width = wanted("embedding_length"), heads = this->heads();
    const std::int64_t columns = integer("attention.key_length", width / heads);
    require<IoError>(columns >= 2, kWhere, file_.path(), ": a head has ", columns, " columns (",
                     quote_name(key("attention.key_length")), ", or ", width, " / ", heads,
                     "), wanted are at least 2, as positions rotate pairs of columns");
    return columns;
  }

  /// What llama.cpp knows of Gemma's models and does not write: the largest ones divide queries by the root of the
  /// width of a head as it would be without a setting of its own, and every second (Gemma 2) or sixth (Gemma 3) layer
  /// sees the whole text.
  void add_gemma(Json& json) const {
    const bool is_second = architecture_.name == "gemma2";
    const bool is_largest = wanted("block_count") == (is_second ? 46 : 62);
    json["query_pre_attn_scalar"] = is_largest ? wanted("embedding_length") / heads() : head_dim();
    json["sliding_window"] = is_second ? integer("attention.sliding_window", 4096) : wanted("attention.sliding_window");
    json["final_logit_softcapping"] = Json();
    if (const double cap = real("final_logit_softcapping", is_second ? 30 : 0); cap > 0) {
      json["final_logit_softcapping"] = cap;
    }
    if (is_second) {
      json["attn_logit_softcapping"] = real("attn_logit_softcapping", 50);
    } else {
      json["rope_local_base_freq"] = real("rope.freq_base_swa", 10000);
      json["sliding_window_pattern"] = integer("attention.sliding_window_pattern", 6);
    }
  }

  void add_rotary(Json& json) const {
    const auto* const named = file_.find<std::string>(key("rope.scaling.type"));
    const std::string type = named == nullptr ? "none" : *named;
    const double factor = real("rope.scaling.factor", real("rope.scale_linear", 1));
    if (file_.contains("rope_freqs.weight")) {
      require<IoError>(type == "none", kWhere, file_.path(), ": has rope_freqs.weight beside rope.scaling.type ",
                       quote_name(type));
      json["rope_scaling"] = llama3_scaling(json["rope_theta"].get<double>());
    } else if (type == "linear" || (type == "none" && factor != 1)) {
      json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", factor}};
    } else if (type == "yarn") {
      json["rope_scaling"] = {{"rope_type", "yarn"},
                              {"factor", factor},
                              {"original_max_position_embeddings", wanted("rope.scaling.original_context_length")}};
      for (const auto& [name, ours] : {std::pair{"rope.scaling.yarn_beta_fast", "beta_fast"},
                                       std::pair{"rope.scaling.yarn_beta_slow", "beta_slow"}}) {
        if (const auto* const value = file_.find<double>(key(name))) json["rope_scaling"][ours] = *value;
      }
    } else {
      require<IoError>(type == "none", kWhere, file_.path(), ": rope.scaling.type is ", quote_name(type),
                       ", which is not read from GGUF files");
    }
  }

  /// The scaling of Llama 3.1, of which the file has the divisors of all frequencies. Known are those of the published
  /// models, which differ in their largest divisor: low frequencies are divided by `factor`, high ones stay, and
  /// between wave lengths of 8192 and 8192 / 4 positions there is a ramp.
  [[nodiscard]] Json llama3_scaling(double theta) const {
    constexpr double kLow = 1, kHigh = 4, kOriginal = 8192;
    const Tensor<float> divisors = file_.read<float>("rope_freqs.weight");
    const auto values = divisors.values();
    require<IoError>(std::ssize(values) == head_dim() / 2, kWhere, file_.path(), ": rope_freqs.weight has ",
                     values.size(), " numbers, wanted are ", head_dim() / 2);
    const double factor = *std::max_element(values.begin(), values.end());
    for (Index i = 0; i < std::ssize(values); ++i) {
      const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim()));
      const double turns = kOriginal * frequency / (2 * std::numbers::pi);
      const double ramp = std::clamp((turns - kLow) / (kHigh - kLow), 0.0, 1.0);
      const double expected = 1 / ((1 - ramp) / factor + ramp);
      require<IoError>(std::abs(at(values, i) - expected) <= 1e-3 * expected, kWhere, file_.path(),
                       ": rope_freqs.weight is not that of Llama 3.1's scaling by ", factor, ": divisor ", i, " is ",
                       at(values, i), ", wanted is ", expected);
    }
    return {{"rope_type", "llama3"},
            {"factor", factor},
            {"low_freq_factor", kLow},
            {"high_freq_factor", kHigh},
            {"original_max_position_embeddings", static_cast<std::int64_t>(kOriginal)}};
  }

  /// Texts end with the end token and, of models that chat, with the ends of turns and messages. A token that the file
  /// does not name is null, so that no default of transformers stands for it.
  void add_tokens(Json& json) const {
    const auto token = [&](const char* name) {
      const auto* const id = file_.find<std::int64_t>(std::string("tokenizer.ggml.") + name);
      return id == nullptr ? Json() : Json(*id);
    };
    json["bos_token_id"] = token("bos_token_id");
    json["pad_token_id"] = token("padding_token_id");
    Json ends = Json::array();
    for (const char* name : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
      const Json id = token(name);
      if (!id.is_null() && std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
    }
    json["eos_token_id"] = ends.empty() ? Json() : ends;
  }

  const GgufFile& file_;
  GgufArchitecture architecture_{};
};

/// transformers' name for a tensor; empty for a tensor that has none.
[[nodiscard]] inline std::string name_of_gguf_tensor(std::string_view name, const GgufArchitecture& architecture) {
  if (name == "token_embd.weight") return "model.embed_tokens.weight";
  if (name == "output.weight") return "lm_head.weight";
  if (name == "output_norm.weight") return "model.norm.weight";
  constexpr std::string_view kBlock = "blk.";
  const std::size_t dot = name.find('.', kBlock.size()), last = name.rfind('.');
  if (!name.starts_with(kBlock) || dot == name.npos || last <= dot) return {};
  const std::string_view part = name.substr(dot + 1, last - dot - 1);
  const bool is_gemma = architecture.is_gemma();
  const std::pair<std::string_view, std::string_view> parts[] = {
      {"attn_norm", "input_layernorm"},
      {"attn_q", "self_attn.q_proj"},
      {"attn_k", "self_attn.k_proj"},
      {"attn_v", "self_attn.v_proj"},
      {"attn_output", "self_attn.o_proj"},
      {"attn_q_norm", "self_attn.q_norm"},
      {"attn_k_norm", "self_attn.k_norm"},
      {"post_attention_norm", "post_attention_layernorm"},
      {"ffn_norm", is_gemma ? "pre_feedforward_layernorm" : "post_attention_layernorm"},
      {"post_ffw_norm", "post_feedforward_layernorm"},
      {"ffn_gate", "mlp.gate_proj"},
      {"ffn_up", "mlp.up_proj"},
      {"ffn_down", "mlp.down_proj"}};
  const auto found =
      std::find_if(std::begin(parts), std::end(parts), [&](const auto& one) { return one.first == part; });
  if (found == std::end(parts)) return {};
  return "model.layers." + std::string(name.substr(kBlock.size(), dot - kBlock.size())) + "." +
         std::string(found->second) + std::string(name.substr(last));
}

/// The file's tensors as transformers has them. llama.cpp rotates neighbouring columns of Llama's queries and keys,
/// where transformers rotates column i with i + d / 2: row 2 i + s of a head there is row s d / 2 + i here. Its norms
/// of Gemma multiply by the weight, and transformers' by 1 + weight.
[[nodiscard]] inline TensorFile gguf_tensors(GgufFile file) {
  const GgufSettings settings(file);
  const GgufArchitecture architecture = settings.architecture();
  const Index heads = settings.heads(), key_value_heads = settings.key_value_heads();
  return TensorFile::changed(std::move(file), [&](TensorRecord& record) {
    if (record.name == "rope_freqs.weight") return false;  // is in the config
    const bool is_query = record.name.find(".attn_q.") != record.name.npos;
    const bool is_key = record.name.find(".attn_k.") != record.name.npos;
    if (architecture.is_gemma() && record.name.ends_with("norm.weight")) record.added = -1;
    if (architecture.name == "llama" && (is_query || is_key) && !record.sizes.empty()) {
      const Index count = is_query ? heads : key_value_heads, rows = record.sizes[0];
      const Index columns = record.sizes.size() == 1 ? 1 : record.sizes[1];
      const bool has_whole_rows = record.blocks == nullptr || columns % record.blocks->elements == 0;
      if (record.sizes.size() <= 2 && has_whole_rows && rows % (2 * count) == 0) {
        const Index width = rows / count;
        record.view_sizes = {count, 2, width / 2, columns};
        record.view_strides = {width * columns, columns, 2 * columns, 1};
      }
    }
    std::string name = name_of_gguf_tensor(record.name, architecture);
    if (!name.empty()) record.name = std::move(name);
    return true;
  });
}

}}}  // namespace rapt::RAPT_ABI::detail
