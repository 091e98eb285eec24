/// \file
/// A tokenizer.json as text. (tokenizer_json.hpp reads it, tokenizer_parts_json.hpp has the components of tokenizers
/// made of parts.)
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rapt/core/index.hpp"
#include "rapt/core/token_batch.hpp"
#include "rapt/pretrained/tokenizer_json.hpp"
#include "rapt/text/added_tokens.hpp"
#include "rapt/text/composed_tokenizer.hpp"
#include "rapt/text/encoding.hpp"
#include "rapt/text/piece_model.hpp"

namespace rapt { inline namespace RAPT_ABI { namespace detail {

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

[[nodiscard]] inline nlohmann::ordered_json template_to_json(std::span<const TemplatePiece> pieces) {
  auto list = nlohmann::ordered_json::array();
  for (const TemplatePiece& piece : pieces) {
    const bool is_text = piece.text == "$A" || piece.text == "$B";
    list.push_back({{is_text ? "Sequence" : "SpecialToken",
                     {{"id", is_text ? piece.text.substr(1) : piece.text}, {"type_id", to_size(piece.type)}}}});
  }
  return list;
}

/// The TemplateProcessing of what stands around one text and around two; `id_of(token)` is the id of a token.
template <class IdOf>
[[nodiscard]] nlohmann::ordered_json templates_to_json(std::span<const TemplatePiece> single,
                                                       std::span<const TemplatePiece> pair, const IdOf& id_of) {
  nlohmann::ordered_json special = nlohmann::ordered_json::object();
  for (const auto& pieces : {single, pair}) {
    for (const TemplatePiece& piece : pieces) {
      if (piece.text == "$A" || piece.text == "$B") continue;
      special[piece.text] = {{"id", piece.text},
                             {"ids", nlohmann::json::array({id_of(piece.text)})},
                             {"tokens", nlohmann::json::array({piece.text})}};
    }
  }
  return {{"type", "TemplateProcessing"},
          {"single", template_to_json(single)},
          {"pair", template_to_json(pair)},
          {"special_tokens", special}};
}
template <class Tokenizer>
[[nodiscard]] nlohmann::ordered_json templates_to_json(const Tokenizer& tokenizer) {
  return templates_to_json(tokenizer.options().single, tokenizer.options().pair,
                           [&](const std::string& token) { return tokenizer.id(token); });
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

}}}  // namespace rapt::RAPT_ABI::detail
