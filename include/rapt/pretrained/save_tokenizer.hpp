/// \file
/// Writing the files of tokenizers as Hugging Face reads them: tokenizer.json, vocab.json with merges.txt (GPT-2) and
/// vocab.txt (BERT).
///
/// Whatever cannot be written is an IoError that names the file and what it cannot hold.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/pretrained/clean_up_keys.hpp"
#include "rapt/pretrained/tokenizer_json.hpp"
#include "rapt/pretrained/tokenizer_json_file.hpp"
#include "rapt/pretrained/tokenizer_json_writer.hpp"
#include "rapt/pretrained/tokenizer_parts_json.hpp"
#include "rapt/text/byte_level_bpe.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/composed_tokenizer.hpp"
#include "rapt/text/sentencepiece.hpp"
#include "rapt/text/wordpiece.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// Writes into a folder's tokenizer_config.json whether decoding cleans up spaces; what else the file says stays.
template <class Tokenizer>
void save_tokenizer_config(const std::filesystem::path& folder, const Tokenizer& tokenizer) {
  const std::filesystem::path path = folder / "tokenizer_config.json";
  nlohmann::ordered_json config = nlohmann::ordered_json::object();
  if (std::filesystem::exists(path)) {
    const TokenizerJson checked(path);
    config = nlohmann::ordered_json::parse(read_text_file(path));
  } else {
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
  }
  config[kCleanUp] = tokenizer.options().clean_up_spaces;
  if (std::is_same_v<Tokenizer, ByteLevelBpe>) config[kCleanUpBpe] = tokenizer.options().clean_up_spaces;
  write_text_file(path, config.dump(2) + "\n");
}

/// A list of merges would not join as ranks do: it has an order for pairs that join to the same token.
inline void refuse_to_write_ranks(const std::filesystem::path& path, bool by_rank) {
  require<IoError>(!by_rank, "tokenizer", path.string(),
                   ": cannot be written: no list of merges joins by rank as tiktoken does; copy the file of ranks");
}

}  // namespace detail

/// Writes vocab.json and merges.txt into a folder that is there. Throws IoError for merges that cannot be lines: of
/// names with white space, or beginning with "#version".
inline void save_vocabulary(const std::filesystem::path& folder, const ByteLevelBpe& tokenizer) {
  detail::refuse_to_write_ranks(folder, tokenizer.options().by_rank);
  std::string merges = "#version: 0.2\n";
  const auto name_of = [&](TokenId id) -> const std::string& {
    const std::string& name = tokenizer.token(id);
    require<IoError>(name.find_first_of(" \r\n") == name.npos, "tokenizer", folder.string(),
                     ": cannot be written to merges.txt: ", detail::quote_name(name));
    return name;
  };
  for (const auto& [left, right] : tokenizer.merges()) {
    require<IoError>(!tokenizer.token(left).starts_with("#version"), "tokenizer", folder.string(),
                     ": cannot be written to merges.txt, where it would be passed over: ",
                     detail::quote_name(tokenizer.token(left)));
    ((merges += name_of(left)) += ' ') += name_of(right) + "\n";
  }
  detail::write_text_file(folder / "vocab.json", detail::vocabulary_to_json(tokenizer));
  detail::write_text_file(folder / "merges.txt", merges);
}

/// Writes vocab.txt into a folder that is there. Throws IoError for tokens that cannot be lines, and for unused ids.
inline void save_vocabulary(const std::filesystem::path& folder, const WordPiece& tokenizer) {
  std::string lines;
  for (TokenId id = 0; id < tokenizer.size(); ++id) {
    const std::string& token = tokenizer.token(id);
    require<IoError>(detail::is_used(tokenizer, id), "tokenizer", folder.string(),
                     ": cannot be written to vocab.txt: no token has the id ", id);
    require<IoError>(token.find('\n') == token.npos && detail::strip_token(token) == token, "tokenizer",
                     folder.string(), ": cannot be written to vocab.txt: ", detail::quote_name(token));
    (lines += token) += '\n';
  }
  detail::write_text_file(folder / "vocab.txt", lines);
}

/// Writes a tokenizer.json that Hugging Face reads. Given a folder that is there, writes it into the folder, and into
/// the folder's tokenizer_config.json whether decoding cleans up spaces, which a tokenizer.json cannot say.
inline void save_tokenizer(const std::filesystem::path& path, const ByteLevelBpe& tokenizer) {
  detail::refuse_to_write_ranks(path, tokenizer.options().by_rank);
  if (std::filesystem::is_directory(path)) {
    save_tokenizer(path / "tokenizer.json", tokenizer);
    return detail::save_tokenizer_config(path, tokenizer);
  }
  using Json = nlohmann::ordered_json;
  const ByteLevelBpeOptions& options = tokenizer.options();
  const std::string_view expression = detail::expression_of_pattern(options.pattern);
  const bool is_split = !expression.empty();
  require<IoError>(!is_split || !options.add_prefix_space, "tokenizer", path.string(),
                   ": cannot be written: the pattern ", expression, " with add_prefix_space");
  require<IoError>(options.pattern != ByteLevelPattern::cl100k, "tokenizer", path.string(),
                   ": cannot be written: GPT-4's pattern, which a tokenizer.json cannot say");
  Json pre_tokenizer = {{"type", "ByteLevel"},
                        {"add_prefix_space", options.add_prefix_space},
                        {"trim_offsets", true},
                        {"use_regex", options.pattern == ByteLevelPattern::gpt2}};
  if (is_split) {
    const Json split = {
        {"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}, {"invert", false}};
    pre_tokenizer = {{"type", "Sequence"}, {"pretokenizers", Json::array({split, pre_tokenizer})}};
  }
  Json post_processor = {{"type", "ByteLevel"},
                         {"add_prefix_space", options.trim_keeps_first},
                         {"trim_offsets", options.trim_spans},
                         {"use_regex", true}};
  if (const ByteLevelBpeOptions plain; options.single != plain.single || options.pair != plain.pair) {
    post_processor = {{"type", "Sequence"},
                      {"processors", Json::array({post_processor, detail::templates_to_json(tokenizer)})}};
  }
  const Json decoder = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  Json head = {{"type", "BPE"},
               {"dropout", nullptr},
               {"unk_token", options.unknown.empty() ? Json() : Json(options.unknown)},
               {"continuing_subword_prefix", nullptr},
               {"end_of_word_suffix", nullptr},
               {"fuse_unk", options.fuse_unknown},
               {"byte_fallback", false},
               {"ignore_merges", options.ignore_merges}};
  std::string model = detail::model_with_vocabulary(tokenizer, head) + ",\"merges\":[";
  for (std::size_t i = 0; i < tokenizer.merges().size(); ++i) {
    const auto& [left, right] = tokenizer.merges()[i];
    model += i > 0 ? "," : "";
    model += Json::array({tokenizer.token(left), tokenizer.token(right)}).dump();
  }
  model += "]}";
  detail::write_text_file(path,
                          detail::tokenizer_to_json(tokenizer, nullptr, pre_tokenizer, post_processor, decoder, model));
}
inline void save_tokenizer(const std::filesystem::path& path, const WordPiece& tokenizer) {
  if (std::filesystem::is_directory(path)) {
    save_tokenizer(path / "tokenizer.json", tokenizer);
    return detail::save_tokenizer_config(path, tokenizer);
  }
  using Json = nlohmann::ordered_json;
  const WordPieceOptions& options = tokenizer.options();
  const Json normalizer = {{"type", "BertNormalizer"},
                           {"clean_text", options.clean_text},
                           {"handle_chinese_chars", options.separate_chinese},
                           {"strip_accents", options.strip_accents ? Json(*options.strip_accents) : Json()},
                           {"lowercase", options.lowercase}};
  const Json decoder = {{"type", "WordPiece"}, {"prefix", options.prefix}, {"cleanup", options.cleanup}};
  const Json head = {{"type", "WordPiece"},
                     {"unk_token", options.unknown},
                     {"continuing_subword_prefix", options.prefix},
                     {"max_input_chars_per_word", options.max_word_characters}};
  const std::string model = detail::model_with_vocabulary(tokenizer, head) + "}";
  detail::write_text_file(path, detail::tokenizer_to_json(tokenizer, normalizer, {{"type", "BertPreTokenizer"}},
                                                          detail::templates_to_json(tokenizer), decoder, model));
}
inline void save_tokenizer(const std::filesystem::path& path, const ComposedTokenizer& tokenizer) {
  const auto* bpe = std::get_if<CharacterBpeModel>(&tokenizer.model());
  detail::refuse_to_write_ranks(path, bpe != nullptr && bpe->by_rank);
  if (std::filesystem::is_directory(path)) {
    save_tokenizer(path / "tokenizer.json", tokenizer);
    return detail::save_tokenizer_config(path, tokenizer);
  }
  using Json = nlohmann::ordered_json;
  const ComposedTokenizerOptions& options = tokenizer.options();
  Json processors = Json::array();
  for (const SpanTrimming& trimming : options.trimmings) {
    processors.push_back({{"type", "ByteLevel"},
                          {"add_prefix_space", trimming.keeps_first},
                          {"trim_offsets", true},
                          {"use_regex", true}});
  }
  if (const ComposedTokenizerOptions plain; options.single != plain.single || options.pair != plain.pair) {
    processors.push_back(detail::templates_to_json(tokenizer));
  }
  const Json post_processor = processors.empty()       ? Json()
                              : processors.size() == 1 ? processors[0]
                                                       : Json{{"type", "Sequence"}, {"processors", processors}};
  detail::write_text_file(
      path, detail::tokenizer_to_json(tokenizer, detail::TokenizerPartsWriter::normalizer(options.normalizer),
                                      detail::TokenizerPartsWriter::pre_tokenizer(options.pre_tokenizer),
                                      post_processor, detail::TokenizerPartsWriter::decoder(options.decoder),
                                      detail::model_to_json(tokenizer)));
}
/// Throws IoError: what a SentencePiece model does is not what the components of a tokenizer.json do.
inline void save_tokenizer(const std::filesystem::path& path, const SentencePiece&) {
  fail<IoError>("tokenizer", path.string(), ": cannot be written: SentencePiece's model is a file of its own; copy it");
}
inline void save_tokenizer(const std::filesystem::path& path, const PretrainedTokenizer& tokenizer) {
  std::visit([&](const auto& one) { save_tokenizer(path, one); }, tokenizer);
}

}}  // namespace rapt::RAPT_ABI
