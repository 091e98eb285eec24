/// \file
/// A JSON file of a tokenizer, whose parts are asked for by name and checked before use.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/input_file.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/io/safetensors_header.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/unicode.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

/// A file's bytes without a byte order mark; IoError when it cannot be read.
[[nodiscard]] inline std::string read_text_file(const std::filesystem::path& path) {
  InputFile file(path);
  require<IoError>(file.is_open() && !std::filesystem::is_directory(path), "tokenizer", path.string(),
                   ": cannot read the file");
  std::string text = read_all(file);
  require<IoError>(!file.bad(), "tokenizer", path.string(), ": cannot read the file");
  text.erase(0, text.size() - without_byte_order_mark(text).size());
  return text;
}

/// White space at the end of a line of vocab.txt, which does not belong to the token, as Rust's trim_end sees it.
[[nodiscard]] inline std::string_view strip_token(std::string_view line) { return strip_end_if(line, is_white_space); }

/// The names of a vocabulary by id.
struct NamesById {
  std::vector<std::string> names;
  std::vector<TokenId> unused;  ///< ids below the highest one that no name has; their names are empty
};

/// Goes through a JSON text and looks for what parsing alone would not tell or would throw. (The parser's own callbacks
/// take n^2 for a list of n objects.)
struct KeyWatcher : nlohmann::json_sax<nlohmann::json> {
  bool repeated = false;  ///< `key_name` stands twice in an object
  std::string key_name;
  std::optional<std::size_t> error_byte;  ///< where the text is no JSON

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return true;
  }
  bool end_object() override {
    keys_.pop_back();
    return true;
  }
  bool key(string_t& name) override {
    const auto [at, is_new] = keys_.back().insert(std::move(name));
    if (!is_new) key_name = *at;
    repeated = !is_new;
    return is_new;
  }
  bool parse_error(std::size_t byte, const std::string&, const nlohmann::json::exception&) override {
    error_byte = byte;
    return false;
  }

 private:
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

/// A JSON file whose parts are asked for by name; what is missing or of another type is an IoError that says where.
class TokenizerJson {
 public:
  using Json = nlohmann::json;

  explicit TokenizerJson(const std::filesystem::path& path) : file_(path.string()) {
    const std::string text = read_text_file(path);
    // The parser would take a zero byte for the end of its input, and the last of two values of a key.
    check(text.find('\0') == text.npos, "", "zero byte in the file");
    KeyWatcher watcher;
    Json::sax_parse(text, &watcher);
    check(!watcher.repeated, "", "the key ", quote_name(watcher.key_name), " stands twice in an object");
    check(!watcher.error_byte, "", "not valid JSON: at byte ", watcher.error_byte.value_or(0));
    root_ = Json::parse(text);
    check(root_.is_object(), "", "must be an object");
  }

  /// What a file of another format holds, as JSON.
  TokenizerJson(Json root, std::string file) : file_(std::move(file)), root_(std::move(root)) {}

  [[nodiscard]] const Json& root() const { return root_; }
  [[nodiscard]] const std::string& file() const { return file_; }

  /// Throws IoError that names the file and the part unless the condition holds.
  template <class... Pieces>
  void check(bool condition, std::string_view part, const Pieces&... pieces) const {
    if (!condition) fail<IoError>("tokenizer", file_, ": ", part, part.empty() ? "" : ": ", pieces...);
  }
  [[noreturn]] void unsupported(std::string_view part, std::string_view what) const {
    fail<IoError>("tokenizer", file_, ": ", part, ": rapt does not support ", what);
  }

  /// A member, or nullptr when it is absent or null.
  [[nodiscard]] static const Json* find(const Json& object, const char* key) {
    const auto at = object.find(key);
    return at == object.end() || at->is_null() ? nullptr : &*at;
  }
  [[nodiscard]] const Json& object(const Json& parent, const char* key, const std::string& part) const {
    const Json* value = find(parent, key);
    check(value != nullptr && value->is_object(), part + key, "must be an object");
    return *value;
  }
  [[nodiscard]] const Json& array(const Json& parent, const char* key, const std::string& part) const {
    const Json* value = find(parent, key);
    check(value != nullptr && value->is_array(), part + key, "must be a list");
    return *value;
  }
  [[nodiscard]] const std::string& text(const Json& value, const std::string& part) const {
    check(value.is_string(), part, "must be a string");
    return value.get_ref<const std::string&>();
  }
  [[nodiscard]] const std::string& text(const Json& parent, const char* key, const std::string& part) const {
    const Json* value = find(parent, key);
    check(value != nullptr, part + key, "must be a string");
    return text(*value, part + key);
  }
  [[nodiscard]] bool flag(const Json& parent, const char* key, bool otherwise, const std::string& part) const {
    const Json* value = find(parent, key);
    check(value == nullptr || value->is_boolean(), part + key, "must be true or false");
    return value == nullptr ? otherwise : value->get<bool>();
  }
  /// A whole number from 0 to `most`.
  [[nodiscard]] Index number(const Json& value, Index most, const std::string& part) const {
    check(value.is_number_unsigned() && value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most), part,
          "must be a whole number from 0 to ", most);
    return value.get<Index>();
  }
  /// The "type" of a component.
  [[nodiscard]] const std::string& type(const Json& component, const std::string& part) const {
    check(component.is_object(), part, "must be an object");
    return text(component, "type", part + ".");
  }

  /// The names of a vocabulary {name: id} by id, and of `more` behind them: as in Hugging Face's tokenizers, the first
  /// one has the number of the vocabulary's names for its id. An id occurs once. Ids may be left out, but not more than
  /// kMostUnused, so that a file cannot ask for more memory than it is worth.
  [[nodiscard]] NamesById names_by_id(const Json& vocabulary, const std::string& part,
                                      const std::vector<std::string>& more = {}) const {
    check(vocabulary.is_object() && !vocabulary.empty(), part, "must be an object of names and ids");
    std::vector<std::pair<Index, std::string_view>> all;
    all.reserve(vocabulary.size() + more.size());
    const Index most = static_cast<Index>(std::numeric_limits<TokenId>::max()) - 1;
    Index size = 0;
    for (const auto& [name, id] : vocabulary.items()) {
      all.emplace_back(number(id, most, part + ": the id of " + quote_name(name)), name);
    }
    for (const std::string& name : more) all.emplace_back(static_cast<Index>(all.size()), name);
    const Index limit = static_cast<Index>(all.size()) + kMostUnused;
    for (const auto& [id, name] : all) {
      check(id < limit, part, "an id of ", all.size(), " tokens must be less than ", limit, ": ", quote_name(name),
            " has ", id);
      size = std::max(size, id + 1);
    }
    NamesById result{std::vector<std::string>(static_cast<std::size_t>(size)), {}};
    std::vector<char> is_used(result.names.size());
    for (const auto& [id, name] : all) {
      const auto place = static_cast<std::size_t>(id);
      if (is_used[place] != 0) {
        check(false, part, "an id must occur once: ", quote_name(result.names[place]), " and ", quote_name(name),
              " have ", id);
      }
      is_used[place] = 1;
      result.names[place] = name;
    }
    for (std::size_t id = 0; id < is_used.size(); ++id) {
      if (is_used[id] == 0) result.unused.push_back(static_cast<TokenId>(id));
    }
    return result;
  }

 private:
  static constexpr Index kMostUnused = Index{1} << 20;

  std::string file_;
  Json root_;
};

/// Makes a tokenizer; what it finds wrong becomes an IoError that names the file.
template <class Make>
[[nodiscard]] auto from_file(const std::string& file, const Make& make) {
  try {
    return make();
  } catch (const ValueError& error) {
    fail<IoError>("tokenizer", file, ": ", std::string_view(error.what()));
  }
}

}}}  // namespace rapt::RAPT_ABI::detail
