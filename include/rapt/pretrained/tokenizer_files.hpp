/// \file
/// The files of pretrained tokenizers: vocab.json with merges.txt (GPT-2), vocab.txt (BERT), tokenizer.json for both
/// (tokenizer_json.hpp), SentencePiece's models (sentencepiece_folder.hpp), as Hugging Face reads and writes them,
/// tiktoken's ranks (rank_file.hpp), and those in GGUF files (gguf_tokenizer.hpp).
///
/// Whatever is wrong with a file is an IoError that names the file and the part of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/core/atomic_file.hpp"
#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/io/gguf.hpp"
#include "rapt/pretrained/folder_contents.hpp"
#include "rapt/pretrained/gguf_model.hpp"
#include "rapt/pretrained/gguf_tokenizer.hpp"
#include "rapt/pretrained/languages.hpp"
#include "rapt/pretrained/rank_file.hpp"
#include "rapt/pretrained/sentencepiece_file.hpp"
#include "rapt/pretrained/sentencepiece_folder.hpp"
#include "rapt/pretrained/tokenizer_folder.hpp"
#include "rapt/pretrained/tokenizer_json.hpp"
#include "rapt/pretrained/tokenizer_parts_json.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/byte_level_bpe.hpp"
#include "rapt/text/byte_level_split.hpp"
#include "rapt/text/character_classes.hpp"
#include "rapt/text/composed_tokenizer.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/lines.hpp"
#include "rapt/text/sentencepiece.hpp"
#include "rapt/text/unicode.hpp"
#include "rapt/text/wordpiece.hpp"

namespace rapt { inline namespace RAPT_ABI {

namespace detail {

/// False for an id that has no token. (The empty token has an id of its own.)
template <class Tokenizer>
[[nodiscard]] bool is_used(const Tokenizer& tokenizer, TokenId id) {
  return !tokenizer.token(id).empty() || tokenizer.id("") == id;
}

/// `{"name": 0, ...}` in the order of the ids, without tokens that the model does not know. (A JSON object that keeps
/// its order takes n^2 to fill.)
template <class Tokenizer>
[[nodiscard]] std::string vocabulary_to_json(const Tokenizer& tokenizer) {
  std::vector<char> is_left_out(to_size(tokenizer.size()));
  if constexpr (requires { tokenizer.options().only_added; }) {
    for (const TokenId id : tokenizer.options().only_added) at(is_left_out, id) = 1;
  }
  std::string text = "{";
  for (TokenId id = 0; id < tokenizer.size(); ++id) {
    if (!is_used(tokenizer, id) || at(is_left_out, id) != 0) continue;
    text += text.size() > 1 ? "," : "";
    text += nlohmann::json(tokenizer.token(id)).dump() + ":" + std::to_string(id);
  }
  return text + "}";
}

/// White space at the end of a line of vocab.txt, which does not belong to the token, as Rust's trim_end sees it.
[[nodiscard]] inline std::string_view strip_token(std::string_view line) { return strip_end_if(line, is_white_space); }

inline constexpr const char* kCleanUp = "clean_up_tokenization_spaces";
/// For byte pair encoding the first key counts only together with this one, as in transformers 5.
inline constexpr const char* kCleanUpBpe = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output";

/// What a tokenizer_config.json says of cleaning up spaces.
[[nodiscard]] inline CleanUpSpaces clean_up_spaces_of(const TokenizerJson& config) {
  const auto flag = [&](const char* key) { return config.flag(config.root(), key, false, ""); };
  return {.of_bpe = flag(kCleanUp) && flag(kCleanUpBpe), .of_others = flag(kCleanUp)};
}

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

[[nodiscard]] inline nlohmann::ordered_json template_to_json(std::span<const TemplatePiece> pieces) {
  auto list = nlohmann::ordered_json::array();
  for (const TemplatePiece& piece : pieces) {
    const bool is_text = piece.text == "$A" || piece.text == "$B";
    list.push_back({{is_text ? "Sequence" : "SpecialToken",
                     {{"id", is_text ? piece.text.substr(1) : piece.text}, {"type_id", piece.type}}}});
  }
  return list;
}

/// The TemplateProcessing of a tokenizer.
template <class Tokenizer>
[[nodiscard]] nlohmann::ordered_json templates_to_json(const Tokenizer& tokenizer) {
  nlohmann::ordered_json special = nlohmann::ordered_json::object();
  for (const auto* pieces : {&tokenizer.options().single, &tokenizer.options().pair}) {
    for (const TemplatePiece& piece : *pieces) {
      if (piece.text == "$A" || piece.text == "$B") continue;
      special[piece.text] = {{"id", piece.text},
                             {"ids", nlohmann::json::array({tokenizer.id(piece.text)})},
                             {"tokens", nlohmann::json::array({piece.text})}};
    }
  }
  return {{"type", "TemplateProcessing"},
          {"single", template_to_json(tokenizer.options().single)},
          {"pair", template_to_json(tokenizer.options().pair)},
          {"special_tokens", special}};
}

/// A tokenizer.json but for its model, which `model` has as text.
template <class Tokenizer>
[[nodiscard]] std::string tokenizer_to_json(const Tokenizer& tokenizer, const nlohmann::ordered_json& normalizer,
                                            const nlohmann::ordered_json& pre_tokenizer,
                                            const nlohmann::ordered_json& post_processor,
                                            const nlohmann::ordered_json& decoder, std::string_view model) {
  nlohmann::ordered_json added = nlohmann::ordered_json::array(), truncation;
  for (const AddedToken& token : tokenizer.options().added_tokens) {
    added.push_back({{"id", tokenizer.id(token.text)},
                     {"content", token.text},
                     {"single_word", token.single_word},
                     {"lstrip", token.strip_left},
                     {"rstrip", token.strip_right},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  }
  Truncation limit;
  if constexpr (requires { tokenizer.options().truncation; }) {
    limit = tokenizer.options().truncation;
  } else {
    limit.max_tokens = tokenizer.options().max_tokens;
  }
  if (limit.max_tokens > 0) {
    const auto strategy = std::find_if(kTruncationStrategies.begin(), kTruncationStrategies.end(),
                                       [&](const auto& one) { return one.second == limit.strategy; });
    truncation = {{"direction", limit.left ? "Left" : "Right"},
                  {"max_length", limit.max_tokens},
                  {"strategy", strategy->first},
                  {"stride", 0}};
  }
  const nlohmann::ordered_json all = {{"version", "1.0"},
                                      {"truncation", truncation},
                                      {"padding", nullptr},
                                      {"added_tokens", added},
                                      {"normalizer", normalizer},
                                      {"pre_tokenizer", pre_tokenizer},
                                      {"post_processor", post_processor},
                                      {"decoder", decoder}};
  std::string text = all.dump();
  text.pop_back();  // the closing brace
  return (text += ",\"model\":") += std::string(model) + "}\n";
}

/// The members of a model as text, with its vocabulary.
template <class Tokenizer>
[[nodiscard]] std::string model_with_vocabulary(const Tokenizer& tokenizer, const nlohmann::ordered_json& head) {
  std::string model = head.dump();
  model.pop_back();  // the closing brace
  return model + ",\"vocab\":" + vocabulary_to_json(tokenizer);
}

/// A list of merges would not join as ranks do: it has an order for pairs that join to the same token.
inline void refuse_to_write_ranks(const std::filesystem::path& path, bool by_rank) {
  require<IoError>(!by_rank, "tokenizer", path.string(),
                   ": cannot be written: no list of merges joins by rank as tiktoken does; copy the file of ranks");
}

/// The model of a tokenizer.
[[nodiscard]] inline std::string model_to_json(const ComposedTokenizer& tokenizer) {
  using Json = nlohmann::ordered_json;
  if (const auto* words = std::get_if<WordLevelModel>(&tokenizer.model())) {
    return model_with_vocabulary(tokenizer, {{"type", "WordLevel"}, {"unk_token", words->unknown}}) + "}";
  }
  if (const auto* parts = std::get_if<WordPieceModel>(&tokenizer.model())) {
    return model_with_vocabulary(tokenizer, {{"type", "WordPiece"},
                                             {"unk_token", parts->unknown},
                                             {"continuing_subword_prefix", parts->prefix},
                                             {"max_input_chars_per_word", parts->max_word_characters}}) +
           "}";
  }
  if (const auto* unigram = std::get_if<UnigramModel>(&tokenizer.model())) {
    std::string model = R"({"type":"Unigram","unk_id":)" +
                        (unigram->unknown ? Json(*unigram->unknown) : Json()).dump() + R"(,"vocab":[)";
    for (std::size_t i = 0; i < unigram->scores.size(); ++i) {
      model += i > 0 ? "," : "";
      model += Json::array({tokenizer.tokens()[i], unigram->scores[i]}).dump();
    }
    return model + "],\"byte_fallback\":" + (unigram->byte_fallback ? "true}" : "false}");
  }
  const auto& bpe = std::get<CharacterBpeModel>(tokenizer.model());
  const auto text = [](const std::string& name) { return name.empty() ? Json() : Json(name); };
  std::string model = model_with_vocabulary(tokenizer, {{"type", "BPE"},
                                                        {"dropout", nullptr},
                                                        {"unk_token", text(bpe.unknown)},
                                                        {"continuing_subword_prefix", text(bpe.prefix)},
                                                        {"end_of_word_suffix", text(bpe.suffix)},
                                                        {"fuse_unk", bpe.fuse_unknown},
                                                        {"byte_fallback", bpe.byte_fallback},
                                                        {"ignore_merges", bpe.ignore_merges}}) +
                      ",\"merges\":[";
  for (std::size_t i = 0; i < bpe.merges.size(); ++i) {
    model += i > 0 ? "," : "";
    model += Json::array({bpe.merges[i].first, bpe.merges[i].second}).dump();
  }
  return model + "]}";
}

}  // namespace detail

/// Reads GPT-2's files. Without added tokens in the options, "<|endoftext|>" is one if the vocabulary has it. Of a
/// merge a line is two names with a space between them; a line that begins with "#version" is none.
[[nodiscard]] inline ByteLevelBpe load_byte_level_bpe(const std::filesystem::path& vocabulary,
                                                      const std::filesystem::path& merges,
                                                      ByteLevelBpeOptions options = {}) {
  const detail::TokenizerJson json(vocabulary);
  detail::NamesById tokens = json.names_by_id(json.root(), "the vocabulary");
  options.unused = std::move(tokens.unused);
  if (options.added_tokens.empty() && json.root().contains("<|endoftext|>")) {
    options.added_tokens = {{"<|endoftext|>"}};
  }
  const std::string text = detail::read_text_file(merges);
  const auto lines = lines_of(text);
  std::vector<ByteLevelBpe::Merge> pairs;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (line.starts_with("#version")) continue;
    const std::size_t space = line.find(' ');
    const auto expect = [&](bool condition, std::string_view rule) {
      if (!condition) {
        fail<IoError>("tokenizer", merges.string(), ":", i + 1, ": ", rule, ": ", detail::quote_name(line));
      }
    };
    expect(space != line.npos && line.find(' ', space + 1) == line.npos,
           "a line must be two names with a space between them");
    const std::string left(line.substr(0, space)), right(line.substr(space + 1));
    for (const std::string& name : {left, right, left + right}) {
      expect(json.root().contains(name), "a merge must be of tokens, and join to one");
    }
    pairs.emplace_back(left, right);
  }
  return detail::from_file(vocabulary.string() + ", " + merges.filename().string(),
                           [&] { return ByteLevelBpe(std::move(tokens.names), pairs, std::move(options)); });
}

/// Reads BERT's vocab.txt: a token a line, the first has id 0. White space at the ends of lines is passed over; a line
/// without anything else is the empty token. Of a token that is there several times the last line counts, and the ids
/// of the others are unused, as in Hugging Face's tokenizers. Of the options' added tokens, those that are not in the
/// vocabulary are left out.
[[nodiscard]] inline WordPiece load_wordpiece(const std::filesystem::path& vocabulary, WordPieceOptions options = {}) {
  const std::string text = detail::read_text_file(vocabulary);
  std::vector<std::string> tokens;
  std::unordered_map<std::string_view, TokenId> last;
  options.unused.clear();
  for (const std::string_view line : lines_of(text)) {
    const std::string_view token = detail::strip_token(line);
    const auto id = static_cast<TokenId>(tokens.size());
    if (const auto [at, is_new] = last.try_emplace(token, id); !is_new) {
      tokens[static_cast<std::size_t>(at->second)].clear();
      options.unused.push_back(at->second);
      at->second = id;
    }
    tokens.emplace_back(token);
  }
  std::erase_if(options.added_tokens, [&](const AddedToken& token) { return !last.contains(token.text); });
  return detail::from_file(vocabulary.string(), [&] { return WordPiece(std::move(tokens), std::move(options)); });
}

namespace detail {

/// What RoBERTa's and BART's tokenizers add to GPT-2's: their special tokens, with which texts begin and end, and
/// tokens' spans without spaces.
inline void set_roberta_tokens(const TokenizerFolder& settings, ByteLevelBpeOptions& options) {
  const std::string begin = settings.special("bos_token", "<s>"), end = settings.special("eos_token", "</s>");
  for (const std::string& token :
       {begin, settings.special("pad_token", "<pad>"), end, settings.special("unk_token", "<unk>")}) {
    options.added_tokens.push_back({.text = token});
  }
  options.added_tokens.push_back({.text = settings.special("mask_token", "<mask>"), .strip_left = true});
  set_roberta_templates(options, begin, end);
  options.trim_spans = true;
  options.trim_keeps_first = options.add_prefix_space;
}

}  // namespace detail

/// Reads a tokenizer.json, SentencePiece's model, ranks whose name is known (qwen.tiktoken, cl100k_base.tiktoken,
/// Llama 3's tokenizer.model), or the tokenizer in a GGUF file (*.gguf), or from a folder tokenizer.json,
/// SentencePiece's model (of MarianMT the source's: see load_tokenizers) or ranks, vocab.json with merges.txt, or
/// vocab.txt, whichever there is first. Without a tokenizer.json, tokenizer_config.json says, if it is there, what the
/// others do not: do_lower_case, strip_accents, tokenize_chinese_chars, add_prefix_space, and by its tokenizer_class,
/// or config.json by the model's type, that texts stand between RoBERTa's and BART's special tokens. A folder's
/// tokenizer_config.json also says whether decoding cleans up spaces (clean_up_tokenization_spaces; not if it is absent
/// or null), with a tokenizer.json as without. As in transformers 5, byte pair encoding takes that only together with
/// clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output. A folder that has the files of another
/// tokenizer is an error that names them.
[[nodiscard]] inline PretrainedTokenizer load_tokenizer(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  require<IoError>(std::filesystem::exists(status), "tokenizer", path.string(), ": there is no such file or folder");
  if (!std::filesystem::is_directory(status)) {
    const std::string_view foreign = detail::foreign_tokenizer(path.filename().string());
    require<IoError>(foreign.empty(), "tokenizer", path.string(), ": ", foreign, " files are not read yet");
    if (path.extension() == ".tiktoken") return detail::load_known_ranks(path);
    if (detail::is_gguf(path)) {
      const GgufFile file(path);
      return detail::GgufTokenizer(file).read();
    }
    if (detail::is_sentencepiece(path.filename().string())) {
      return detail::holds_ranks(path) ? detail::load_known_ranks(path) : load_sentencepiece(path);
    }
    return detail::TokenizerJsonReader(path).read();
  }
  const detail::FolderContents contents(
      path, "tokenizer", "tokenizer.json, SentencePiece's model, vocab.json with merges.txt, or vocab.txt");
  const std::filesystem::path config = path / "tokenizer_config.json";
  if (contents.has("tokenizer.json")) {
    return detail::TokenizerJsonReader(path / "tokenizer.json")
        .read(contents.has("tokenizer_config.json") ? detail::clean_up_spaces_of(detail::TokenizerJson(config))
                                                    : detail::CleanUpSpaces{});
  }
  const bool has_merges = contents.has("merges.txt");
  const bool has_foreign = std::any_of(contents.names().begin(), contents.names().end(), [](const std::string& name) {
    return !detail::foreign_tokenizer(name).empty();
  });
  const bool is_bpe = contents.has("vocab.json") && has_merges;
  if (const std::string ranks = is_bpe ? "" : detail::rank_file_of(path, contents); !ranks.empty()) {
    return detail::read_rank_folder(path, contents, ranks);
  }
  if (!is_bpe && !detail::SentencePieceFolder::model_file(contents).empty()) {
    return detail::SentencePieceFolder(path, contents).read();
  }
  const bool is_wordpiece = contents.has("vocab.txt") && !contents.has("vocab.json") && !has_foreign;
  if (!is_bpe && !is_wordpiece) {
    detail::refuse_without_tokenizer(contents, contents.has("vocab.json") ? "no merges.txt beside its vocab.json"
                                               : has_merges               ? "no vocab.json beside its merges.txt"
                                                            : "none of tokenizer.json, vocab.json and vocab.txt");
  }
  ByteLevelBpeOptions bpe;
  WordPieceOptions wordpiece;
  if (contents.has("tokenizer_config.json")) {
    const detail::TokenizerJson json(config);
    bpe.clean_up_spaces = detail::clean_up_spaces_of(json).of_bpe;
    wordpiece.clean_up_spaces = detail::clean_up_spaces_of(json).of_others;
    bpe.add_prefix_space = json.flag(json.root(), "add_prefix_space", false, "");
    wordpiece.lowercase = json.flag(json.root(), "do_lower_case", true, "");
    wordpiece.separate_chinese = json.flag(json.root(), "tokenize_chinese_chars", true, "");
    if (detail::TokenizerJson::find(json.root(), "strip_accents") != nullptr) {
      wordpiece.strip_accents = json.flag(json.root(), "strip_accents", true, "");
    }
  }
  if (!is_bpe) return load_wordpiece(path / "vocab.txt", std::move(wordpiece));
  const detail::TokenizerFolder settings(path, contents);
  const std::string family = settings.family();
  if (family == "Roberta" || family == "Bart") detail::set_roberta_tokens(settings, bpe);
  return load_byte_level_bpe(path / "vocab.json", path / "merges.txt", std::move(bpe));
}

/// The tokenizers of a folder: of sources, and of targets if they have one of their own.
struct TokenizerPair {
  PretrainedTokenizer source;
  std::optional<PretrainedTokenizer> target = {};
  std::optional<LanguageScheme> languages = {};  ///< of a multilingual model: where it expects them
};

/// Reads both tokenizers of a MarianMT folder (source.spm and target.spm), and of any other path the one that
/// `load_tokenizer` reads; of a folder also how its model is told languages.
[[nodiscard]] inline TokenizerPair load_tokenizers(const std::filesystem::path& path) {
  TokenizerPair pair{load_tokenizer(path)};
  if (!std::filesystem::is_directory(path)) return pair;
  const detail::FolderContents contents(path, "tokenizer", "a tokenizer");
  pair.languages = detail::TokenizerFolder(path, contents).language_scheme();
  if (std::holds_alternative<SentencePiece>(pair.source)) {
    if (auto target = detail::SentencePieceFolder(path, contents).read_target()) pair.target = std::move(*target);
  }
  return pair;
}

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
