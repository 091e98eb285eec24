/// \file
/// Reads tiktoken's vocabularies: files of ranks (cl100k_base.tiktoken, qwen.tiktoken, Llama 3's tokenizer.model), with
/// a token in Base64 and its rank, which is its id, on each line. How texts are split and which tokens are special is
/// not in the file.
///
/// Neighbours that are a token together are joined, the one of the smallest rank first and, of equal ones, the leftmost
/// one. This is not what a list of merges does: all pairs that join to one token have one rank.
///
/// Whatever is wrong with a file is an IoError that names the file and the line.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/input_file.hpp"
#include "rapt/core/shape.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/io/safetensors_header.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/tokenizer_json.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/base64.hpp"
#include "rapt/text/byte_level_bpe.hpp"
#include "rapt/text/byte_level_names.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/composed_tokenizer.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/normalizer.hpp"
#include "rapt/text/pattern.hpp"
#include "rapt/text/piece_model.hpp"
#include "rapt/text/pre_tokenizer.hpp"
#include "rapt/text/token_decoder.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// A special token of a file of ranks and its id.
struct RankedSpecial {
  std::string text;  ///< its name, which stands for it in texts
  TokenId id = 0;
};

/// What a file of ranks does not say.
struct RankEncoding {
  /// The regular expression, in the syntax of Rust, whose matches are the pieces of a text. What it does not match is
  /// left out, as tiktoken does.
  std::string pattern = std::string(detail::kCl100kPattern);
  std::vector<RankedSpecial> special = {};       ///< the special tokens; a file of ranks has none
  bool nfc = false;                              ///< texts are normalised to Unicode's form NFC first, as for Qwen 1
  std::vector<TemplatePiece> single = {{"$A"}};  ///< where the special tokens of a text are put, see TemplatePiece
  std::vector<TemplatePiece> pair = {{"$A"}, {"$B", 1}};  ///< the same of two texts
};

/// The encoding that tiktoken has by a name: gpt2, r50k_base, p50k_base, p50k_edit, cl100k_base, o200k_base or
/// o200k_harmony. Throws ValueError for another name.
[[nodiscard]] inline RankEncoding rank_encoding(std::string_view name) {
  const std::string gpt2(detail::kTiktokenGpt2Pattern), o200k(detail::kO200kPattern);
  if (name == "gpt2" || name == "r50k_base" || name == "p50k_base") {
    return {.pattern = gpt2, .special = {{"<|endoftext|>", 50256}}};
  }
  if (name == "p50k_edit") {
    return {
        .pattern = gpt2,
        .special = {
            {"<|endoftext|>", 50256}, {"<|fim_prefix|>", 50281}, {"<|fim_middle|>", 50282}, {"<|fim_suffix|>", 50283}}};
  }
  if (name == "cl100k_base") {
    return {.special = {{"<|endoftext|>", 100257},
                        {"<|fim_prefix|>", 100258},
                        {"<|fim_middle|>", 100259},
                        {"<|fim_suffix|>", 100260},
                        {"<|endofprompt|>", 100276}}};
  }
  if (name == "o200k_base") {
    return {.pattern = o200k, .special = {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}}};
  }
  require(name == "o200k_harmony", "rank_encoding",
          "the name must be gpt2, r50k_base, p50k_base, p50k_edit, cl100k_base, o200k_base or o200k_harmony: ", name);
  // <|endofprompt|> is a second name of an id that is reserved, and is left out.
  RankEncoding harmony{.pattern = o200k,
                       .special = {{"<|startoftext|>", 199998},
                                   {"<|endoftext|>", 199999},
                                   {"<|return|>", 200002},
                                   {"<|constrain|>", 200003},
                                   {"<|channel|>", 200005},
                                   {"<|start|>", 200006},
                                   {"<|end|>", 200007},
                                   {"<|message|>", 200008},
                                   {"<|call|>", 200012}}};
  const auto named = harmony.special;
  for (TokenId id = 200000; id < 201088; ++id) {
    const bool has_name = std::any_of(named.begin(), named.end(), [&](const auto& one) { return one.id == id; });
    if (!has_name) harmony.special.push_back({"<|reserved_" + std::to_string(id) + "|>", id});
  }
  return harmony;
}

namespace detail {

/// The tokens' bytes by rank; empty for a rank that no token has. Ranks may be left out, but not so many that a file
/// could ask for more memory than it is worth.
[[nodiscard]] inline std::vector<std::string> read_ranks(std::string_view text, std::string_view file) {
  constexpr std::size_t kMostUnused = std::size_t{1} << 20;
  const auto lines = lines_of(text);
  std::vector<std::string> ranked;
  std::vector<std::size_t> line_of;  // by rank, from 1 on
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (line.empty()) continue;
    const auto expect = [&](bool condition, std::string_view rule) {
      if (!condition) fail<IoError>("tokenizer", file, ":", i + 1, ": ", rule, ": ", quote_name(line));
    };
    const std::size_t space = line.find(' ');
    expect(space != line.npos, "a line must be a token in Base64 and its rank with a space between them");
    auto bytes = from_base64(line.substr(0, space));
    expect(bytes && !bytes->empty(), "a token must be Base64 of at least a byte");
    std::size_t rank = 0;
    const char* const end = line.data() + line.size();
    const auto [behind, error] = std::from_chars(line.data() + space + 1, end, rank);
    expect(error == std::errc() && behind == end, "a rank must be a whole number");
    expect(rank < lines.size() + kMostUnused, "a rank must not be far above the number of lines");
    if (rank >= ranked.size()) {
      ranked.resize(rank + 1);
      line_of.resize(rank + 1);
    }
    if (line_of[rank] != 0) {
      fail<IoError>("tokenizer", file, ":", i + 1, ": a rank must occur once: ", rank, " stands on line ",
                    line_of[rank], " too");
    }
    ranked[rank] = std::move(*bytes);
    line_of[rank] = i + 1;
  }
  require<IoError>(!ranked.empty(), "tokenizer", file, ": no token is in the file");
  return ranked;
}

/// Makes a tokenizer of tokens by rank.
[[nodiscard]] inline PretrainedTokenizer make_ranked(const std::vector<std::string>& ranked, RankEncoding encoding) {
  constexpr std::string_view kWhere = "rank_encoding";
  std::vector<std::string> names;
  names.reserve(ranked.size());
  for (const std::string& bytes : ranked) names.push_back(name_of_bytes(bytes));
  std::vector<AddedToken> added;
  std::vector<TokenId> special_ids;
  for (RankedSpecial& token : encoding.special) {
    require(token.id >= 0 && to_size(token.id) < ranked.size() + (std::size_t{1} << 20), kWhere, "the id of ",
            quote_name(token.text), " must be from 0 to ", ranked.size() + (std::size_t{1} << 20) - 1, ": ", token.id);
    if (to_size(token.id) >= names.size()) names.resize(to_size(token.id) + 1);
    require(!token.text.empty(), kWhere, "a special token must not be empty: id ", token.id);
    require(at(names, token.id).empty(), kWhere, "an id must be of one token: ", token.id, " is of ",
            quote_name(token.text), " and ", quote_name(at(names, token.id)));
    at(names, token.id) = token.text;
    special_ids.push_back(token.id);
    added.push_back({.text = std::move(token.text), .normalized = encoding.nfc});
  }
  std::vector<TokenId> unused;
  for (std::size_t id = 0; id < names.size(); ++id) {
    if (names[id].empty()) unused.push_back(static_cast<TokenId>(id));
  }
  if (const auto known = pattern_of_rust_expression(encoding.pattern); known && !encoding.nfc) {
    return ByteLevelBpe(std::move(names), {},
                        {.pattern = *known,
                         .ignore_merges = true,
                         .by_rank = true,
                         .unused = std::move(unused),
                         .added_tokens = std::move(added),
                         .single = std::move(encoding.single),
                         .pair = std::move(encoding.pair)});
  }
  std::array<bool, 256> has_byte{};
  for (const std::string& bytes : ranked) {
    if (bytes.size() == 1) has_byte[static_cast<unsigned char>(bytes[0])] = true;
  }
  for (std::size_t byte = 0; byte < 0xF5; ++byte) {
    require(has_byte[byte] || byte == 0xC0 || byte == 0xC1, kWhere, "the token of a byte is missing: ", byte);
  }
  for (const AddedToken& token : added) {
    const std::string bytes = bytes_of_name(token.text);
    require(bytes.empty() || bytes == token.text, kWhere,
            "a special token must not be made of the characters that stand for bytes: ", quote_name(token.text));
  }
  std::vector<NormalizerStep> normalizer;
  if (encoding.nfc) normalizer.emplace_back(NormalFormOptions{true, false});
  return ComposedTokenizer(
      std::move(names), CharacterBpeModel{.ignore_merges = true, .by_rank = true},
      {.normalizer = std::move(normalizer),
       .pre_tokenizer = {PatternSplit{Pattern::of_rust_expression(encoding.pattern), SplitBehavior::removed, true},
                         ByteLevelSplit{.add_prefix_space = false, .use_pattern = false}},
       .decoder = std::vector<DecoderStep>{ByteLevelDecoding{}},
       .unused = std::move(unused),
       .added_tokens = std::move(added),
       .only_added = std::move(special_ids),
       .single = std::move(encoding.single),
       .pair = std::move(encoding.pair)});
}

/// True for a file that begins as ranks do, which SentencePiece's models of the same name do not.
[[nodiscard]] inline bool holds_ranks(const std::filesystem::path& path) {
  std::array<char, 4096> begin{};
  InputFile file(path);
  require<IoError>(file.is_open() && !std::filesystem::is_directory(path), "tokenizer", path.string(),
                   ": cannot read the file");
  file.read(begin.data(), std::ssize(begin));
  require<IoError>(!file.bad(), "tokenizer", path.string(), ": cannot read the file");
  const std::string_view text = without_byte_order_mark({begin.data(), to_size(file.gcount())});
  const std::size_t space = text.find(' ');
  return space != text.npos && space > 0 && from_base64(text.substr(0, space)).has_value();
}
/// A folder's file of ranks; empty if it has none. Throws IoError for several *.tiktoken, because nothing says which
/// one is the model's.
[[nodiscard]] inline std::string rank_file_of(const std::filesystem::path& path, const FolderContents& contents) {
  const auto found = contents.names_that([](const std::string& name) { return name.ends_with(".tiktoken"); });
  if (found.size() > 1) {
    contents.refuse("the folder has several files of ranks: " + some_of(found) +
                    "; load the right one by its own path");
  }
  if (!found.empty()) return found.front();
  const bool is_llama3 = contents.has("tokenizer.model") && holds_ranks(path / "tokenizer.model");
  return is_llama3 ? "tokenizer.model" : "";
}

/// Llama 3's special tokens behind its ranks: the list in llama/tokenizer.py of Meta's repository llama3, 256 tokens of
/// which reserved_special_token_0 to 250 have no use. With `is_3_1` they are the list of Llama 3.1 in
/// models/llama3/api/tokenizer.py of the repository llama-models, which names some of those. (The tokenizer.json of
/// these models has reserved_special_token_2 for <|step_id|>.) tokenizer_config.json or load_ranks can give other
/// lists.
[[nodiscard]] inline RankEncoding llama3_encoding(std::size_t ranks, bool is_3_1) {
  std::vector<std::string> names = {"<|begin_of_text|>", "<|end_of_text|>"};
  int reserved = 0;
  const auto reserve = [&] { names.push_back("<|reserved_special_token_" + std::to_string(reserved++) + "|>"); };
  const auto add = [&](const char* name) { is_3_1 ? names.emplace_back(name), void() : reserve(); };
  reserve();
  reserve();
  add("<|finetune_right_pad_id|>");
  add("<|step_id|>");
  names.insert(names.end(), {"<|start_header_id|>", "<|end_header_id|>"});
  add("<|eom_id|>");
  names.emplace_back("<|eot_id|>");
  if (is_3_1) names.emplace_back("<|python_tag|>");
  while (names.size() < 256) reserve();
  RankEncoding encoding{.pattern = std::string(kLlama3Pattern)};
  for (std::string& name : names) {
    encoding.special.push_back({std::move(name), static_cast<TokenId>(ranks + encoding.special.size())});
  }
  encoding.single = {{"<|begin_of_text|>"}, {"$A"}};
  encoding.pair = {{"<|begin_of_text|>"}, {"$A"}, {"<|begin_of_text|>", 1}, {"$B", 1}};
  return encoding;
}

/// Qwen 1's special tokens behind its ranks.
[[nodiscard]] inline RankEncoding qwen_encoding(std::size_t ranks) {
  RankEncoding encoding{.pattern = std::string(kQwen2Pattern), .nfc = true};
  std::vector<std::string> names = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  for (int i = 0; i < 205; ++i) names.push_back("<|extra_" + std::to_string(i) + "|>");
  for (std::string& name : names) {
    encoding.special.push_back({std::move(name), static_cast<TokenId>(ranks + encoding.special.size())});
  }
  return encoding;
}

/// The encoding of a file by its name: qwen.tiktoken, Llama 3's tokenizer.model, or one of tiktoken's such as
/// cl100k_base.tiktoken; nothing for other names.
[[nodiscard]] inline std::optional<RankEncoding> encoding_of_file(const std::string& name, std::size_t ranks) {
  if (name == "qwen.tiktoken") return qwen_encoding(ranks);
  if (name == "tokenizer.model") return llama3_encoding(ranks, false);
  for (const char* known :
       {"gpt2", "r50k_base", "p50k_base", "p50k_edit", "cl100k_base", "o200k_base", "o200k_harmony"}) {
    if (name == std::string(known) + ".tiktoken") return rank_encoding(known);
  }
  return std::nullopt;
}

}  // namespace detail

/// Reads a file of ranks. The result is a ByteLevelBpe for the patterns of tiktoken's encodings, Llama 3 and Qwen
/// (without `nfc`), else a ComposedTokenizer.
[[nodiscard]] inline PretrainedTokenizer load_ranks(const std::filesystem::path& path, RankEncoding encoding) {
  const auto ranked = detail::read_ranks(detail::read_text_file(path), path.string());
  return detail::from_file(path.string(), [&] { return detail::make_ranked(ranked, std::move(encoding)); });
}
/// Reads a file of ranks with the encoding that tiktoken has by this name (rank_encoding).
[[nodiscard]] inline PretrainedTokenizer load_ranks(const std::filesystem::path& path, std::string_view name) {
  return load_ranks(path, rank_encoding(name));
}

namespace detail {

/// Reads a file of ranks whose name says how it is used.
[[nodiscard]] inline PretrainedTokenizer load_known_ranks(const std::filesystem::path& path) {
  const std::string name = path.filename().string(), text = read_text_file(path);
  const auto ranked = read_ranks(text, path.string());
  auto encoding = encoding_of_file(name, ranked.size());
  require<IoError>(encoding.has_value(), "tokenizer", path.string(),
                   ": how these ranks split texts is not known by the file's name; load_ranks takes a RankEncoding");
  return from_file(path.string(), [&] { return make_ranked(ranked, std::move(*encoding)); });
}

/// Reads the tokenizer of a folder with Llama 3's tokenizer.model of ranks, or with a *.tiktoken. Special tokens are
/// those of tokenizer_config.json if it lists them (added_tokens_decoder).
[[nodiscard]] inline PretrainedTokenizer read_rank_folder(const std::filesystem::path& path,
                                                          const FolderContents& contents, const std::string& file) {
  const auto ranked = read_ranks(read_text_file(path / file), (path / file).string());
  std::optional<RankEncoding> encoding = encoding_of_file(file, ranked.size());
  if (file == "tokenizer.model" && contents.has("params.json")) {
    const TokenizerJson parameters(path / "params.json");
    encoding = llama3_encoding(ranked.size(), parameters.flag(parameters.root(), "use_scaled_rope", false, ""));
  }
  if (!encoding) {
    contents.refuse("the folder has " + quote_name(file) +
                    ", but how its ranks split texts is not known by its name; load_ranks takes a RankEncoding");
  }
  if (contents.has("tokenizer_config.json")) {
    const TokenizerJson config(path / "tokenizer_config.json");
    if (TokenizerJson::find(config.root(), "added_tokens_decoder") != nullptr) {
      const auto& listed = config.object(config.root(), "added_tokens_decoder", "");
      if (!listed.empty()) encoding->special.clear();
      for (const auto& [number, token] : listed.items()) {
        const std::string part = "added_tokens_decoder." + number;
        config.check(token.is_object(), part, "must be an object");
        TokenId id = 0;
        const auto [behind, error] = std::from_chars(number.data(), number.data() + number.size(), id);
        config.check(error == std::errc() && behind == number.data() + number.size() && id >= 0, part,
                     "a key must be an id");
        encoding->special.push_back({config.text(token, "content", part + "."), id});
      }
    }
  }
  return from_file((path / file).string(), [&] { return make_ranked(ranked, std::move(*encoding)); });
}

}  // namespace detail

}}  // namespace rapt::RAPT_ABI
