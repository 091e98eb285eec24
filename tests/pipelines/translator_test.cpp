/// \file
/// Translators in files: the same translations afterwards; lines of every kind; files that are none.
#include "rapt/pipelines/translator.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/common/expect_close.hpp"

namespace {

namespace fs = std::filesystem;
using rapt::IoError;
using Translator = rapt::Translator<>;
using rapt::ValueError;
using rapt_test::error_text;

const std::vector<std::string> kText = {"the small house",   "a small tree and a house",
                                        "das kleine Haus",   "ein kleiner Baum und ein Haus",
                                        "我爱你 and 你爱我", "the tree the house the tree"};

rapt::TextEncoding encoding(bool isolate_han, const rapt::BpeOptions& options = {.vocabulary_size = 60}) {
  std::vector<std::string> lines = kText;
  if (isolate_han) {
    for (std::string& line : lines) line = rapt::separate_han(line);
  }
  return {rapt::BytePairEncoding::learn(lines, options), isolate_han};
}

/// A translator of nonsense: random weights.
Translator translator(rapt::TextEncoding text, std::uint64_t seed = 4) {
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(text.subwords.vocabulary().size());
  config.d_model = 16;
  config.d_ff = 32;
  config.encoder_layers = config.decoder_layers = 2;
  rapt::Rng rng(seed);
  rapt::Transformer model(config, rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
    rng.fill_uniform(parameter.mutable_value().values(), -0.4, 0.4);
  });
  return Translator(std::move(model), std::move(text));
}
Translator translator(bool isolate_han = false) { return translator(encoding(isolate_han)); }

const rapt::BeamSearchOptions kShort = {.generation = {.extra_length = 6}};

class TranslatorFile : public testing::Test {
 protected:
  TranslatorFile() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::temp_directory_path() / ("rapt_translator_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~TranslatorFile() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path path() const { return folder_ / "model.safetensors"; }
  /// Loading fails and names the file and `part`.
  template <class E>
  void expect_refused(const std::string& part) const {
    const std::string text = error_text<E>([&] { (void)Translator::load(path()); });
    EXPECT_NE(text.find(path().string()), std::string::npos) << text;
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nhas no " << part;
  }

  fs::path folder_;
};

TEST_F(TranslatorFile, TranslatesAsBefore) {
  for (const bool isolate_han : {false, true}) {
    const Translator saved = translator(isolate_han);
    saved.save(path());
    const Translator loaded = Translator::load(path());
    EXPECT_EQ(loaded.text().isolate_han, isolate_han);
    EXPECT_EQ(loaded.text().subwords.to_text(), saved.text().subwords.to_text());
    for (const rapt::Index beam : {1, 4}) {
      rapt::BeamSearchOptions options = kShort;
      options.beam_size = beam;
      const auto expected = saved.translate(kText, options);
      EXPECT_EQ(loaded.translate(kText, options), expected);
      EXPECT_EQ(expected.size(), kText.size());
    }
    loaded.save(folder_ / "again");
    EXPECT_EQ(Translator::load(folder_ / "again").translate(kText, kShort), saved.translate(kText, kShort));
  }
}

TEST(Translator, InEightBitsScoresAreClose) {
  Translator t = translator();
  t.add_to_ensemble(translator(encoding(false), 5));
  const auto exact = t.translate_n_best(kText, 1, kShort);
  t.quantize();
  const auto close = t.translate_n_best(kText, 1, kShort);
  bool differs = false;
  for (std::size_t i = 0; i < kText.size(); ++i) {
    EXPECT_NEAR(close[i].front().score, exact[i].front().score, 0.1) << i;
    differs = differs || close[i].front().score != exact[i].front().score;
  }
  EXPECT_TRUE(differs);  // it was rounded
}

TEST(Translator, EmptyLinesStayEmpty) {
  const Translator t = translator();
  EXPECT_TRUE(t.translate(std::vector<std::string>{}).empty());
  const std::vector<std::string> blank = {"", " ", "\t \r", "\u00A0", "\u3000\u3000", " \u2003\u0085"};
  for (const bool lossless : {false, true}) {
    const Translator bytes = translator(encoding(false, {.vocabulary_size = 316, .lossless = lossless}));
    EXPECT_EQ(bytes.translate(blank, kShort), std::vector<std::string>(blank.size()));
    EXPECT_EQ(bytes.sample(blank, {.samples = 2}).at(3).size(), 1u);
  }
  std::vector<std::string> lines = {"", "das kleine Haus", "", "  ", "ein Baum", ""};
  const auto found = t.translate(lines, kShort);
  ASSERT_EQ(found.size(), lines.size());
  for (const std::size_t i : {0u, 2u, 3u, 5u}) EXPECT_EQ(found[i], "");
  EXPECT_EQ(found[1], t.translate(std::vector<std::string>{"das kleine Haus"}, kShort)[0]);
  EXPECT_EQ(found[4], t.translate(std::vector<std::string>{"ein Baum"}, kShort)[0]);
}

TEST(Translator, ALineDoesNotDependOnTheOthers) {  // nor on how they are cut into batches
  const Translator t = translator();
  const auto together = t.translate(kText, kShort);
  for (const rapt::Index batch_tokens : {1, 7, 20}) EXPECT_EQ(t.translate(kText, kShort, {}, batch_tokens), together);
  for (std::size_t i = 0; i < kText.size(); ++i) {
    EXPECT_EQ(t.translate(std::vector<std::string>{kText[i]}, kShort)[0], together[i]);
  }
}

TEST(Translator, CharactersNeverSeen) {
  const Translator t = translator();
  const std::vector<std::string> lines = {"\xD0\xB6 \xF0\x9F\x99\x82", "das \xE2\x96\x81 Haus", "<s> </s> <unk>"};
  EXPECT_EQ(t.translate(lines, kShort).size(), lines.size());
  EXPECT_NE(error_text<ValueError>([&] { (void)t.translate(std::vector<std::string>{"\xFF"}, kShort); }).find("UTF-8"),
            std::string::npos);
}

TEST_F(TranslatorFile, BytesAndSpacesAreKept) {
  const std::vector<std::string> lines = {
      "\xD0\xB6 \xF0\x9F\x99\x82", " das  Haus\t", "\xE2\x96\x81", "<s> <0x41>", "", " "};
  for (const bool lossless : {false, true}) {
    const Translator saved =
        translator(encoding(false, {.vocabulary_size = 316, .byte_fallback = true, .lossless = lossless}));
    saved.save(path());
    const Translator loaded = Translator::load(path());
    EXPECT_TRUE(loaded.text().subwords.byte_fallback());
    EXPECT_EQ(loaded.text().subwords.lossless(), lossless);
    EXPECT_EQ(loaded.translate(lines, kShort), saved.translate(lines, kShort));
    for (const std::string& line : lines) {
      EXPECT_EQ(loaded.text().encode(line), saved.text().encode(line));
      const std::string decoded = loaded.text().decode(loaded.text().encode(line));
      EXPECT_TRUE(decoded == line || !lossless) << decoded;
      EXPECT_EQ(decoded.find("\u2047"), std::string::npos) << "nothing is unknown";
    }
  }
}

TEST(TextEncoding, DropsMerges) {
  for (const bool isolate_han : {false, true}) {
    const rapt::TextEncoding text = encoding(isolate_han, {.vocabulary_size = 100});
    rapt::Rng rng(3);
    std::size_t whole = 0, dropped = 0;
    for (const std::string& line : kText) {
      EXPECT_EQ(text.encode(line, 0, rng), text.encode(line));
      EXPECT_EQ(text.decode(text.encode(line, 0.5, rng)), text.decode(text.encode(line)));
      whole += text.encode(line).size();
      dropped += text.encode(line, 1, rng).size();
    }
    EXPECT_GT(dropped, whole);
  }
}

TEST(TextEncoding, DecodesToOneLineWhateverTheTokensAre) {
  const auto options = rapt::BpeOptions{.vocabulary_size = 330, .byte_fallback = true};
  std::vector<std::string> lines = kText;
  lines.emplace_back("a\u2028b\u0085c");  // characters of the alphabet, too
  for (const bool isolate_han : {false, true}) {
    const rapt::TextEncoding text{rapt::BytePairEncoding::learn(lines, options), isolate_han};
    const auto byte = [](int value) { return static_cast<rapt::TokenId>(3 + value); };
    std::vector<rapt::TokenId> tokens = text.encode("house a\u2028b\u0085c");
    for (int value = 0; value < 0x20; ++value) tokens.push_back(byte(value));
    for (const int value : {0x78, 0xE2, 0x80, 0xA9, 0x79, 0xC2, 0x85, 0x7A, 0xFF, 0x0A, 0xE2, 0x80, 0x0D, 0x0A}) {
      tokens.push_back(byte(value));
    }
    const std::string line = text.decode(tokens);
    EXPECT_EQ(line, isolate_han  // which leaves single spaces
                        ? "house a b c \t x y z\uFFFD \uFFFD\uFFFD"
                        : "house a b c         \t" + std::string(22, ' ') + "x y z\uFFFD \uFFFD\uFFFD  ");
    EXPECT_NE(text.subwords.decode(tokens).find('\n'), std::string::npos) << "the subwords alone keep it";
  }
}

TEST(Translator, EachLineGivesOneLine) {
  const Translator t = translator(encoding(false, {.vocabulary_size = 290, .byte_fallback = true}));
  std::vector<std::string> lines;
  for (int i = 0; i < 300; ++i) lines.push_back(kText[static_cast<std::size_t>(i) % kText.size()]);
  std::size_t bytes = 0;
  for (const auto& list :
       t.sample(lines, {.temperature = 5, .samples = 2, .generation = {.extra_length = 6}}, {.seed = 3})) {
    ASSERT_EQ(list.size(), 2u);
    for (const rapt::Translation& one : list) {
      EXPECT_EQ(one.text, rapt::as_line(one.text));
      EXPECT_FALSE(rapt::find_invalid_utf8(one.text)) << one.text;
      bytes += one.text.find("\uFFFD") != std::string::npos ? 1 : 0;
    }
  }
  EXPECT_GT(bytes, 100u) << "the model does say bytes";
}

TEST(Translator, LosslessSubwordsTakeTextAsItIs) {
  const rapt::TextEncoding text = encoding(true, {.vocabulary_size = 300, .lossless = true});
  EXPECT_EQ(error_text<ValueError>([&] { (void)translator(text); }),
            "[translator] lossless subwords keep text as it is: isolate_han must be false");
}

TEST(Translator, VocabulariesMustBeTheSubwords) {
  rapt::TransformerConfig config = translator().model().config();
  config.source_vocabulary = ++config.target_vocabulary;
  rapt::Rng rng(1);
  const std::string text =
      error_text<ValueError>([&] { Translator(rapt::Transformer<float>(config, rng), encoding(false)); });
  EXPECT_NE(text.find(std::to_string(config.source_vocabulary)), std::string::npos) << text;
}

TEST_F(TranslatorFile, WithoutSubwords) {
  rapt::save_model(path(), translator().model());
  expect_refused<IoError>("subwords");
}

TEST_F(TranslatorFile, SubwordsThatAreNone) {
  const Translator t = translator();
  for (const std::string subwords :
       {"", "rapt bpe 2\n", "rapt bpe 1\n999999999999\n", "rapt bpe 1\n1\nx\n", "rapt bpe 2 lossless\n",
        "rapt bpe 2 lossless\n1\nx\n", "rapt bpe 2 byte_fallback\n2\n\u2581\n<0x41>\n"}) {
    SCOPED_TRACE(subwords);
    rapt::save_model(path(), t.model(), {{"subwords", subwords}});
    expect_refused<IoError>(":");
  }
}

TEST_F(TranslatorFile, SubwordsOfAnotherModel) {
  const auto other = rapt::BytePairEncoding::learn(kText, {.vocabulary_size = 45});
  rapt::save_model(path(), translator().model(), {{"subwords", other.to_text()}});
  EXPECT_NE(error_text<ValueError>([&] { (void)Translator::load(path()); }).find("45"), std::string::npos);
}

TEST_F(TranslatorFile, AnUnwritablePlaceLeavesTheOldFile) {
  const Translator t = translator();
  t.save(path());
  EXPECT_THROW(t.save(path() / "below"), IoError);
  EXPECT_THROW(t.save(folder_), IoError);
  EXPECT_EQ(Translator::load(path()).translate(kText, kShort), t.translate(kText, kShort));
}

}  // namespace
