// covers: pretrained/language_codes.hpp, pretrained/languages.hpp, pretrained/tokenizer_folder.hpp
/// \file
/// The tokens of XLM-RoBERTa, mBART, mBART-50, NLLB, M2M100, Pegasus, BARThez and Gemma, and mBART and M2M100 from text
/// to text in several languages, as transformers has them (tests/golden/make_language_folders.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rapt/pipelines/text_to_text.hpp"
#include "rapt/pipelines/tokenizer.hpp"
#include "rapt/pipelines/translator.hpp"
#include "rapt/pretrained/bart.hpp"
#include "rapt/pretrained/language_codes.hpp"
#include "rapt/pretrained/languages.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/golden_folders.hpp"
#include "tests/common/settings.hpp"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using rapt::AnyTokenizer;
using rapt::Languages;
using rapt::SentencePiece;
using rapt::TokenId;
using rapt::ValueError;
using rapt_test::error_text;
using Ids = std::vector<TokenId>;

class LanguageFolders : public rapt_test::GoldenFolders {
 protected:
  LanguageFolders() : GoldenFolders("language_folders.json") {}
  [[nodiscard]] SentencePiece tokenizer_of(const std::string& family) const {
    return std::get<SentencePiece>(rapt::load_tokenizer(folder(family)));
  }
};

TEST_F(LanguageFolders, TheirTokenizersHaveTheTokensOfThePublishedOnes) {
  const std::vector<std::string> texts = golden_["texts"];
  ASSERT_EQ(golden_["folders"].size(), 9u);
  for (const auto& [family, files] : golden_["folders"].items()) {
    const AnyTokenizer tokenizer = AnyTokenizer::load(folder(family));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      SCOPED_TRACE(family + ": " + texts[i]);
      EXPECT_EQ(tokenizer.encode(texts[i]), golden_[family]["ids"][i].get<Ids>());
      EXPECT_EQ(tokenizer.decode(golden_[family]["ids"][i].get<Ids>()),
                golden_[family]["decoded"][i].get<std::string>());
    }
  }
}

TEST_F(LanguageFolders, BartsTokenizerStandsBetweenItsOwnTokens) {
  const auto bart = std::get<rapt::ByteLevelBpe>(rapt::load_tokenizer(folder("bart")));
  const std::vector<std::string> texts = golden_["texts"];
  for (std::size_t i = 0; i + 1 < texts.size(); ++i) {
    SCOPED_TRACE(texts[i]);
    const rapt::Encoding pair = bart.encode_pair(texts[i], texts[i + 1]);
    EXPECT_EQ(pair.ids, golden_["bart"]["pairs"][i].get<Ids>());
    const std::string both = texts[i] + texts[i + 1];
    if (std::any_of(both.begin(), both.end(), [](char c) { return c < 0; })) continue;  // whose spans are in characters
    std::vector<std::pair<std::size_t, std::size_t>> spans;
    for (std::size_t t = 0; t < pair.ids.size(); ++t) {
      if (pair.texts[t] >= 0) spans.emplace_back(pair.spans[t].begin, pair.spans[t].end);
    }
    EXPECT_EQ(json(spans), golden_["bart"]["spans"][i]);
  }
  // The family may be named by the model; without one, the vocabulary is GPT-2's.
  fs::remove(folder("bart") / "tokenizer_config.json");
  EXPECT_EQ(std::get<rapt::ByteLevelBpe>(rapt::load_tokenizer(folder("bart"))).encode("a").front(), bart.id("a"));
  write("bart", "config.json", R"({"model_type": "bart"})");
  EXPECT_EQ(std::get<rapt::ByteLevelBpe>(rapt::load_tokenizer(folder("bart"))).encode("a").front(), bart.id("<s>"));
}

TEST_F(LanguageFolders, EachLanguageHasItsPlaceBesideTheText) {
  const auto ids = [&](const std::string& family, const Languages& languages) {
    return AnyTokenizer::load(folder(family)).encode("a dog", languages);
  };
  for (const std::string family : {"mbart", "mbart50", "nllb", "m2m100"}) {
    SCOPED_TRACE(family);
    const SentencePiece plain = tokenizer_of(family);
    const Ids text = plain.encode("a dog", {.add_special = false});
    const std::string code = family == "nllb" ? "deu_Latn" : family == "m2m100" ? "de" : "de_DE";
    const TokenId language = plain.id(family == "m2m100" ? "__de__" : code), end = plain.id("</s>");
    ASSERT_GT(language, 0);
    Ids expected = text;
    expected.push_back(end);
    expected.insert(family == "mbart" ? expected.end() : expected.begin(), language);
    EXPECT_EQ(ids(family, {.source = code}), expected);
    // The same when it is loaded so, and for targets.
    const AnyTokenizer german = AnyTokenizer::load(folder(family), {.source = code, .target = code});
    EXPECT_EQ(german.encode("a dog"), expected);
    EXPECT_EQ(german.encode_target("a dog"), expected);
    const rapt::SequenceMarks marks = german.marks({.begin = 2});
    EXPECT_EQ(marks.begin, family == "mbart" ? language : 2);
    EXPECT_EQ(marks.forced_begin, family == "mbart" ? std::nullopt : std::optional(language));
    EXPECT_EQ(AnyTokenizer::load(folder(family)).marks({.begin = 2}), rapt::SequenceMarks{.begin = 2});
  }
  write("nllb", "tokenizer_config.json", R"({"tokenizer_class": "NllbTokenizerFast", "legacy_behaviour": true})");
  const SentencePiece legacy = tokenizer_of("nllb");
  EXPECT_EQ(legacy.encode("a").back(), legacy.id("eng_Latn"));
  const rapt::Encoding pair = legacy.encode_pair("a", "a");
  EXPECT_EQ(pair.ids.size(), 2 * legacy.encode("a", {.add_special = false}).size() + 2);
}

TEST_F(LanguageFolders, ATokenizerJsonHasLanguagesToo) {
  fs::create_directories(folder("json"));
  const auto special = [](int id, const char* text) {
    return json{{"id", id},        {"content", text},     {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  const auto piece = [](const char* text) { return json{{"SpecialToken", {{"id", text}, {"type_id", 0}}}}; };
  const auto id_of = [](const char* text, int id) {
    return json{{"id", text}, {"ids", json::array({id})}, {"tokens", json::array({text})}};
  };
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
             second = {{"Sequence", {{"id", "B"}, {"type_id", 0}}}};
  const json tokenizer = {
      {"version", "1.0"},
      {"added_tokens", {special(0, "</s>"), special(1, "eng_Latn"), special(2, "deu_Latn"), special(3, "<unk>")}},
      {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {piece("eng_Latn"), text, piece("</s>")}},
        {"pair", {piece("eng_Latn"), text, second, piece("</s>")}},
        {"special_tokens", {{"eng_Latn", id_of("eng_Latn", 1)}, {"</s>", id_of("</s>", 0)}}}}},
      {"model",
       {{"type", "WordLevel"},
        {"vocab", {{"</s>", 0}, {"eng_Latn", 1}, {"deu_Latn", 2}, {"<unk>", 3}, {"a", 4}, {"dog", 5}}},
        {"unk_token", "<unk>"}}}};
  write("json", "tokenizer.json", tokenizer.dump());
  EXPECT_FALSE(AnyTokenizer::load(folder("json")).language_scheme().has_value());
  write("json", "tokenizer_config.json", R"({"tokenizer_class": "NllbTokenizer"})");
  const AnyTokenizer any = AnyTokenizer::load(folder("json"));
  EXPECT_EQ(any.encode("a dog"), (Ids{1, 4, 5, 0}));
  EXPECT_EQ(any.encode("a dog", {.source = "deu_Latn"}), (Ids{2, 4, 5, 0}));
  EXPECT_EQ(any.marks({.begin = 0}, {.target = "deu_Latn"}).forced_begin, 2);
}

TEST_F(LanguageFolders, TranslatesIntoTheLanguageThatIsAskedFor) {
  const rapt_test::HighestPrecision scope;
  const std::vector<std::string> lines = golden_["lines"];
  const rapt::BeamSearchOptions options{.beam_size = 4,
                                        .length_penalty = 1.f,
                                        .length_normalisation = rapt::LengthNormalisation::plain,
                                        .generation = {.max_length = 14, .forced_tokens_are_free = true}};
  for (const std::string family : {"mbart", "m2m100"}) {
    using Translator = rapt::Translator<rapt::Bart<float>, AnyTokenizer>;
    const Translator any = Translator::load(folder(family));
    std::vector<std::string> before;
    for (std::size_t i = 0; i < 2; ++i) {
      SCOPED_TRACE(family);
      const std::string language = golden_[family]["to"][i];
      const auto expected = golden_[family]["translated"][i].get<std::vector<std::string>>();
      EXPECT_EQ(any.translate(lines, options, {}, 300, {.target = language}), expected);
      EXPECT_EQ(Translator::load(folder(family), {.target = language}).translate(lines, options), expected);
      EXPECT_NE(expected, before);
      before = expected;
    }
    // From another language the model has never learned to translate; its token changes what the encoder reads.
    const auto scores = [&](const Languages& languages) {
      return any.translate_n_best(lines, 1, options, {}, 300, languages)[0][0].log_probability;
    };
    const std::string target = golden_[family]["to"][0];
    EXPECT_NE(scores({.source = golden_[family]["to"][1], .target = target}), scores({.target = target}));
    rapt::SearchRequest request{.seed = 3};
    EXPECT_EQ(any.sample(lines, {}, request, 300, {.target = target}).size(), lines.size());
  }
}

/// By a model that is known at run time only.
TEST_F(LanguageFolders, TranslatesInOneCall) {
  const rapt_test::HighestPrecision scope;
  const std::vector<std::string> lines = golden_["lines"];
  const rapt::GenerateOptions options{.max_length = 16, .num_beams = 4};
  for (const std::string family : {"mbart", "m2m100"}) {
    SCOPED_TRACE(family);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string target = golden_[family]["to"][i];
      const std::string source = golden_[family]["to"][1 - i];
      const auto ours = rapt::text_translator(folder(family), source, target)(lines, options);
      using Translator = rapt::Translator<rapt::Bart<float>, AnyTokenizer>;
      const auto defaults = rapt::GenerationSettings(folder(family)).defaults(options.to_json());
      const auto expected = Translator::load(folder(family), {.source = source, .target = target})
                                .generate(lines, defaults, {.seed = options.seed});
      ASSERT_EQ(ours.size(), expected.size());
      for (std::size_t k = 0; k < ours.size(); ++k) EXPECT_EQ(ours[k][0].text, expected[k][0].text);
    }
  }
  EXPECT_NE(error_text<ValueError>([&] {
              (void)rapt::text_translator(folder("mbart"), "en", "de_DE");
            }).find("no token of the language \"en\""),
            std::string::npos);
}

TEST_F(LanguageFolders, LanguagesThatThereAreNotAreNamed) {
  const auto with = [&](const std::string& family, const Languages& languages) {
    return error_text<ValueError>([&] { (void)AnyTokenizer::load(folder(family), languages); });
  };
  EXPECT_EQ(with("mbart", {.source = "af_ZA"}),
            "[tokenizer] the vocabulary has no token of the language \"af_ZA\": \"af_ZA\"");
  EXPECT_EQ(with("m2m100", {.target = "xx"}),
            "[tokenizer] the vocabulary has no token of the language \"xx\": \"__xx__\"");
  EXPECT_EQ(with("pegasus", {.target = "en"}), "[tokenizer] the tokenizer has no languages: \"en\" is asked for");
  write("mbart", "tokenizer_config.json", R"({"tokenizer_class": "MBartTokenizer", "src_lang": "xx_XX"})");
  EXPECT_NE(refusal("mbart").find("a template names an unknown token: \"xx_XX\""), std::string::npos);
}

TEST_F(LanguageFolders, WhatTheFilesMustHaveIsNamed) {
  fs::remove(folder("m2m100") / "vocab.json");
  EXPECT_NE(refusal("m2m100").find("the folder has no vocab.json"), std::string::npos);
  fs::copy_file(folder("pegasus") / "spiece.model", folder("xlm_roberta") / "sentencepiece.bpe.model",
                fs::copy_options::overwrite_existing);
  EXPECT_NE(refusal("xlm_roberta").find("the first three pieces must be the unknown one and two control pieces"),
            std::string::npos);
  write("pegasus", "tokenizer_config.json", R"({"tokenizer_class": "PegasusTokenizer", "offset": 100000})");
  EXPECT_NE(refusal("pegasus").find("offset: must be a whole number from 0 to 16384"), std::string::npos);
}

TEST_F(LanguageFolders, AFamilyMayBeNamedByTheModel) {
  const Ids expected = tokenizer_of("mbart50").encode("a dog");
  fs::remove(folder("mbart50") / "tokenizer_config.json");
  write("mbart50", "config.json", R"({"model_type": "mbart", "tokenizer_class": "MBart50Tokenizer"})");
  const AnyTokenizer tokenizer = AnyTokenizer::load(folder("mbart50"));
  EXPECT_EQ(tokenizer.encode("a dog", {.source = "de_DE"}), expected);
  write("mbart50", "config.json", R"({"model_type": "xlm-roberta"})");
  EXPECT_EQ(tokenizer_of("mbart50").encode("a").front(), 0);
  // Of Pegasus without tokens for pretraining (BigBird's), pieces have their own ids.
  write("pegasus", "tokenizer_config.json", R"({"tokenizer_class": "PegasusTokenizer", "offset": 0})");
  EXPECT_EQ(tokenizer_of("pegasus").id("<unk>"), 2);
}

TEST(LanguageCodes, AreEachThereOnce) {
  using rapt::detail::language_codes;
  for (const auto& [list, count] :
       {std::pair{rapt::detail::kMBartLanguages, 52u}, std::pair{rapt::detail::kNllbLanguages, 202u},
        std::pair{rapt::detail::kM2M100Languages, 100u}, std::pair{rapt::detail::kWmt21Languages, 8u}}) {
    const std::vector<std::string> codes = language_codes(list);
    EXPECT_EQ(codes.size(), count);
    EXPECT_EQ(std::set<std::string>(codes.begin(), codes.end()).size(), count);
    EXPECT_EQ(std::count(codes.begin(), codes.end(), ""), 0);
  }
}

}  // namespace
