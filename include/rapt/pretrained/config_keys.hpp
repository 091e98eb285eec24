/// \file
/// Settings of a model in a Hugging Face config.json: read and written by the `visit_keys` of the model's
/// `PretrainedFormat`, which names each key once.
#pragma once

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "rapt/core/token_batch.hpp"
#include "rapt/io/json.hpp"
#include "rapt/models/config_fields.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// The double that is written as the float is: 0.1 for 0.1f. The float must be finite.
[[nodiscard]] inline double as_written(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return nlohmann::json::parse(text, end).get<double>();
}

struct ActivationName {
  std::string_view name;
  Activation activation;
};
/// Hugging Face's names; of several for one function, the first is written.
inline constexpr ActivationName kActivationNames[] = {
    {"relu", Activation::relu},
    {"gelu", Activation::gelu},
    {"gelu_new", Activation::gelu_tanh},
    {"gelu_fast", Activation::gelu_tanh},
    {"silu", Activation::silu},
    {"swish", Activation::silu},
    {"tanh", Activation::tanh},
    {"sigmoid", Activation::sigmoid},
    {"linear", Activation::none},
    {"quick_gelu", Activation::quick_gelu},
    {"gelu_pytorch_tanh", Activation::gelu_tanh},
};

/// One token or several, which need not exist: in a config.json an absent key, null and a negative number mean none.
template <class Value>
inline constexpr bool kIsSomeTokens =
    std::is_same_v<Value, std::optional<TokenId>> || std::is_same_v<Value, std::vector<TokenId>>;

/// What an absent key of one token or several means.
enum class AbsentTokens {
  none,      ///< there are none
  defaults,  ///< what the config has already
};

/// Fills a config from JSON. Absent keys keep their defaults, but for tokens, of which there are none then unless
/// `absent_tokens` says otherwise; keys that no one asks for are passed over.
class ConfigReader {
 public:
  /// JSON and file must outlive it; `file` is for messages.
  ConfigReader(const nlohmann::json& json, const std::string& file, AbsentTokens absent_tokens = AbsentTokens::none)
      : json_(json), reader_("pretrained", file), absent_tokens_(absent_tokens) {}

  template <class Value>
  void operator()(const char* key, Value& value) const {
    const auto found = json_.find(key);
    if (found != json_.end()) {
      read(key, *found, value);
    } else if constexpr (kIsSomeTokens<Value>) {
      if (absent_tokens_ == AbsentTokens::none) value = {};
    }
  }
  /// Absent or null, the value stays as it is: for tokens that another file has named already.
  template <class Value>
  void unless_absent(const char* key, Value& value) const {
    const auto found = json_.find(key);
    if (found != json_.end() && !found->is_null()) read(key, *found, value);
  }
  /// For keys that ConfigWriter always writes as a list; `operator()` writes a list of one element as a single value.
  template <ListSetting List>
  void list(const char* key, List& values) const {
    (*this)(key, values);
  }
  /// Settings in an object of their own: f(reader of it), unless it is absent or null.
  template <class F>
  void object(const char* key, const F& f) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return;
    expect(found->is_object(), key, *found, "an object");
    f(ConfigReader(*found, reader_.file(), absent_tokens_));
  }
  /// For settings that change the arithmetic in a way that the model does not have.
  template <class Value>
  void must_be(const char* key, const Value& wanted) const {
    const auto found = json_.find(key);
    require<IoError>(found == json_.end() || found->is_null() || *found == nlohmann::json(wanted), reader_.where(),
                     reader_.file(), ": \"", key, "\" is ", found == json_.end() ? "" : describe(*found),
                     ", which this model cannot do: it must be ", nlohmann::json(wanted).dump());
  }
  /// Names of classes by number, {"0": "negative", "1": "positive"}. If "num_labels" says that there are another number
  /// of them, they are called LABEL_0 and so on, as in transformers: old folders have the names of two classes beside
  /// it.
  void labels(const char* key, std::vector<std::string>& names) const {
    constexpr Index kMostLabels = 100000;
    std::optional<Index> count;
    (*this)("num_labels", count);
    expect(count.value_or(0) <= kMostLabels, "num_labels", count.value_or(0), "at most 100000");
    const auto found = json_.find(key);
    const bool has_names = found != json_.end() && !found->is_null();
    if (has_names) {
      expect(found->is_object(), key, *found, "an object of names by number");
      names.resize(found->size());
      for (std::size_t i = 0; i < names.size(); ++i) {
        const auto name = found->find(std::to_string(i));
        expect(name != found->end() && name->is_string(), key, *found, "an object of names by number, from 0");
        names[i] = name->get<std::string>();
      }
    }
    if (!count || (has_names && std::ssize(names) == *count)) return;
    names.clear();
    for (Index i = 0; i < *count; ++i) names.push_back("LABEL_" + std::to_string(i));
  }
  /// Throws IoError that says what the value of a key must be, unless it is right.
  void expect(bool right, const char* key, const nlohmann::json& found, const char* what) const {
    reader_.expect(right, key, found, what);
  }

 private:
  template <class Value>
  void read(const char* key, const nlohmann::json& found, Value& value) const {
    if constexpr (std::is_same_v<Value, Activation>) {
      expect(found.is_string(), key, found, "a string");
      for (const ActivationName& known : kActivationNames) {
        if (found == known.name) {
          value = known.activation;
          return;
        }
      }
      expect(false, key, found, "the name of an activation that rapt has");
    } else if constexpr (OptionalSetting<Value>) {
      value.reset();
      if (found.is_null() || (kIsSomeTokens<Value> && is_negative(found))) return;
      read(key, found, value.emplace());
    } else if constexpr (ListSetting<Value>) {  // a single value is a list of one
      value.clear();
      if (found.is_null()) return;
      for (const nlohmann::json& element : found.is_array() ? found : nlohmann::json::array({found})) {
        if (kIsSomeTokens<Value> && is_negative(element)) continue;
        value.emplace_back();
        read(key, element, value.back());
      }
    } else {
      reader_.read(key, found, value);
      if constexpr (std::is_floating_point_v<Value>) {
        expect(std::isfinite(value), key, found, "a number that its type can hold");
      }
    }
  }

  [[nodiscard]] static bool is_negative(const nlohmann::json& value) {
    return value.is_number_integer() && !value.is_number_unsigned() && value.get<std::int64_t>() < 0;
  }

  const nlohmann::json& json_;
  JsonReader reader_;
  AbsentTokens absent_tokens_;
};

/// The inverse. What is unset or empty is left out: other programs refuse null where they want a number. Throws
/// ValueError that names the key for a value that could not be read back.
class ConfigWriter {
 public:
  explicit ConfigWriter(nlohmann::ordered_json& json) : json_(json) {}

  template <class Value>
  void operator()(const char* key, const Value& value) const {
    if constexpr (OptionalSetting<Value>) {
      if (value) json_[key] = to_json(key, *value);
    } else if constexpr (requires { value.front(); } && !std::is_same_v<Value, std::string>) {
      if (value.size() == 1) return (*this)(key, value.front());
      for (const auto& element : value) json_[key].push_back(to_json(key, element));
    } else {
      json_[key] = to_json(key, value);
    }
  }
  template <class Value>
  void unless_absent(const char* key, const Value& value) const {
    (*this)(key, value);
  }
  template <ListSetting List>
  void list(const char* key, const List& values) const {
    for (const auto& value : values) json_[key].push_back(to_json(key, value));
  }
  /// For what other programs must be told and rapt needs not read.
  void constant(const char* key, nlohmann::ordered_json value) const { json_[key] = std::move(value); }
  template <class Value>
  void must_be(const char* key, const Value& wanted) const {
    json_[key] = wanted;
  }
  /// f(writer of an object), unless it writes nothing.
  template <class F>
  void object(const char* key, const F& f) const {
    nlohmann::ordered_json inner;
    f(ConfigWriter(inner));
    if (!inner.empty()) json_[key] = std::move(inner);
  }
  /// With the inverse, which other programs want beside it. Nothing, of none.
  void labels(const char* key, const std::vector<std::string>& names) const {
    for (std::size_t i = 0; i < names.size(); ++i) {
      json_[key][std::to_string(i)] = names[i];
      json_["label2id"][names[i]] = i;
    }
  }

 private:
  template <class Value>
  [[nodiscard]] static nlohmann::ordered_json to_json(const char* key, const Value& value) {
    if constexpr (std::is_same_v<Value, Activation>) {
      for (const ActivationName& known : kActivationNames) {
        if (known.activation == value) return known.name;
      }
      fail("pretrained", '"', key, "\": Hugging Face has no name for the activation ", value);
    } else if constexpr (std::is_same_v<Value, float>) {
      std::ignore = setting_to_json("pretrained", key, value);  // throws unless it is finite
      return as_written(value);
    } else {
      return setting_to_json("pretrained", key, value);
    }
  }

  nlohmann::ordered_json& json_;
};

}}}  // namespace rapt::RAPT_ABI::detail
