/// \file
/// RunIdentity: what tells a training run from others, so that no run goes on from the checkpoint of another one.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/io/model_file.hpp"
#include "rapt/io/safetensors.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Text that JSON can hold. In a text that is not UTF-8, as the path of a file may be, every byte that is not ASCII
/// becomes `\xNN`, and a backslash two, so that different texts that are not UTF-8 stay different.
[[nodiscard]] inline std::string as_json_text(const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return text;
  } catch (const nlohmann::json::type_error&) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string escaped;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\\') {
        escaped += "\\\\";
      } else if (byte < 0x80) {
        escaped += c;
      } else {
        escaped.append("\\x").append({kDigits[byte >> 4], kDigits[byte & 15]});
      }
    }
    return escaped;
  }
}

/// Makes all strings in a JSON value, at any depth, such text.
inline void make_json_text(nlohmann::ordered_json& value) {
  if (value.is_string()) {
    value = as_json_text(value.get_ref<const std::string&>());
  } else if (value.is_structured()) {
    for (auto& element : value) make_json_text(element);
  }
}

}  // namespace detail

/// The options and the data that decide what a run computes.
class RunIdentity {
 public:
  using Json = nlohmann::ordered_json;  ///< a JSON object whose keys stay in their order

  /// `options` is an object with a value for each name. `corpus` tells the data apart (see Fingerprint).
  RunIdentity(Json options, const std::string& corpus)
      : options_(std::move(options)), corpus_(detail::as_json_text(corpus)) {
    require(options_.is_object(), "train", "the deciding options must be a JSON object, not ", options_.type_name());
    detail::make_json_text(options_);
  }

  [[nodiscard]] const Json& options() const { return options_; }
  /// The text that tells the data apart; where it was not UTF-8, other bytes than ASCII are escaped.
  [[nodiscard]] const std::string& corpus() const { return corpus_; }

  /// Options and corpus as texts, by name.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> texts() const {
    std::vector<std::pair<std::string, std::string>> texts = {{"corpus", corpus_}};
    for (const auto& [name, value] : options_.items()) texts.emplace_back(name, value.dump());
    return texts;
  }

  /// Adds the identity to the metadata of a checkpoint.
  void add_to(Metadata& metadata) const {
    metadata["options"] = options_.dump();
    metadata["corpus"] = corpus_;
  }

  /// Throws ValueError that names what differs if the checkpoint is of another run, IoError if it is of none.
  void require_same(const SafetensorsFile& checkpoint) const {
    const auto entry = [&](const char* key) {
      const auto found = checkpoint.metadata().find(key);
      require<IoError>(found != checkpoint.metadata().end(), "train", checkpoint.path(),
                       ": it is no checkpoint of such a run: its metadata has no \"", key, "\"");
      return found->second;
    };
    require(entry("corpus") == corpus_, "train", checkpoint.path(), ": the run was started on another corpus: it had ",
            entry("corpus"), ", this one has ", corpus_);
    const Json before = Json::parse(entry("options"), nullptr, /*allow_exceptions=*/false);
    require<IoError>(before.is_object(), "train", checkpoint.path(), ": \"options\" must be a JSON object");
    std::set<std::string> names;
    for (const Json* some : {&before, &options_}) {
      for (const auto& [name, value] : some->items()) names.insert(name);
    }
    const auto shown = [](const Json& some, const std::string& name) {
      return some.contains(name) ? some[name].dump() : std::string("not given");
    };
    for (const std::string& name : names) {
      require(shown(before, name) == shown(options_, name), "train", checkpoint.path(),
              ": the run was started with another ", name, ": then ", shown(before, name), ", now ",
              shown(options_, name));
    }
  }

 private:
  Json options_;
  std::string corpus_;
};

}}  // namespace rapt::RAPT_ABI
