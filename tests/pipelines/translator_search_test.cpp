/// \file
/// What translators find beside the best translation: n-best lists, samples, ensembles; and the rules of lengths and
/// prefixes, line by line.
// covers: generation/batches.hpp
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>
#include <set>
#include <span>

#include "rapt/core/index.hpp"
#include "rapt/generation/generation_defaults.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/pipelines/translator.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;
using rapt::Translation;
using Translator = rapt::Translator<>;
using rapt::ValueError;
using rapt_test::error_text;

const std::vector<std::string> kText = {"the small house", "a small tree and a house",      "",
                                        "das kleine Haus", "ein kleiner Baum und ein Haus", "the tree the tree"};

rapt::TextEncoding encoding(const std::vector<std::string>& lines = kText) {
  return {rapt::BytePairEncoding::learn(lines, {.vocabulary_size = 60})};
}

/// A translator of nonsense: random weights.
Translator translator(std::uint64_t seed = 4, const rapt::TextEncoding& text = encoding()) {
  rapt::TransformerConfig config = rapt::TransformerConfig::tiny(text.subwords.vocabulary().size());
  config.d_model = 16;
  config.d_ff = 32;
  config.encoder_layers = config.decoder_layers = 2;
  rapt::Rng rng(seed);
  rapt::Transformer model(config, rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& parameter) {
    rng.fill_uniform(parameter.mutable_value().values(), -0.4, 0.4);
  });
  return Translator(std::move(model), text);
}

const rapt::BeamSearchOptions kShort = {.generation = {.extra_length = 6}};

/// What the model finds for one line, without the translator's batches.
rapt::TokenBatch source_of(const Translator& t, const std::string& line) {
  auto tokens = t.text().encode(line);
  tokens.push_back(2);
  return rapt::TokenBatch(std::vector<std::vector<rapt::TokenId>>{tokens});
}

void expect_same(const std::vector<Translation>& ours, const std::vector<rapt::Hypothesis>& expected,
                 const Translator& t) {
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_EQ(ours[i].text, t.text().decode(expected[i].tokens));
    EXPECT_EQ(ours[i].finished, expected[i].finished);
    const double tolerance = rapt_test::allowed<float>(1e-5) * (1 - expected[i].log_probability);
    EXPECT_NEAR(ours[i].log_probability, expected[i].log_probability, tolerance);
    EXPECT_NEAR(ours[i].score, expected[i].score, tolerance);
  }
}
void expect_same(const std::vector<Translation>& ours, const std::vector<Translation>& expected) {
  ASSERT_EQ(ours.size(), expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_EQ(ours[i].text, expected[i].text);
    EXPECT_NEAR(ours[i].score, expected[i].score, rapt_test::allowed<float>(1e-5) * (1 - expected[i].score));
  }
}
void expect_one_empty(const std::vector<Translation>& list) {
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].text, "");
  EXPECT_EQ(list[0].score, 0);
}

TEST(TranslatorSearch, TheNBestAreTheModelsAndTheFirstIsTheTranslation) {
  const Translator t = translator();
  const auto lists = t.translate_n_best(kText, 3, kShort);
  ASSERT_EQ(lists.size(), kText.size());
  EXPECT_EQ(t.translate_n_best(kText, 3, kShort, {}, /*batch_tokens=*/7).size(), kText.size());
  const auto best = t.translate(kText, kShort);
  for (std::size_t i = 0; i < kText.size(); ++i) {
    EXPECT_EQ(lists[i].front().text, best[i]);
    if (kText[i].empty()) {
      expect_one_empty(lists[i]);
    } else {
      expect_same(lists[i], rapt::beam_search_n_best(t.model(), source_of(t, kText[i]), 3, kShort)[0], t);
    }
  }
}

TEST(TranslatorSearch, SamplesAreTheLinesOwn) {
  const Translator t = translator();
  const rapt::SamplingOptions options{.samples = 3, .generation = {.extra_length = 6}};
  const rapt::SearchRequest five{.seed = 5};
  const auto lists = t.sample(kText, options, five);
  ASSERT_EQ(lists.size(), kText.size());
  std::set<std::string> texts;
  for (std::size_t i = 0; i < kText.size(); ++i) {
    if (kText[i].empty()) {
      expect_one_empty(lists[i]);
      continue;
    }
    const auto expected = rapt::sample(t.model(), source_of(t, kText[i]), options, {.seed = 5, .streams = {i}});
    expect_same(lists[i], expected[0], t);
    for (const Translation& found : lists[i]) texts.insert(found.text);
  }
  EXPECT_GT(texts.size(), 10u);
  const auto small_batches = t.sample(kText, options, five, /*batch_tokens=*/1);
  const auto other = t.sample(kText, options, {.seed = 6});
  bool differs = false;
  for (std::size_t i = 0; i < kText.size(); ++i) {
    expect_same(small_batches[i], lists[i]);
    differs = differs || other[i].front().text != lists[i].front().text;
  }
  EXPECT_TRUE(differs);

  const std::vector<std::string> last = {kText.back()};  // with the stream that it has among the others
  expect_same(t.sample(last, options, {.seed = 5, .streams = {kText.size() - 1}})[0], lists.back());
  EXPECT_EQ(error_text<ValueError>([&] {
              (void)t.sample(last, options, {.streams = {1, 2}});
            }),
            "[translator] 2 streams for 1 lines");
}

TEST(TranslatorSearch, ARequestIsAskedByLine) {
  const Translator t = translator();
  std::mutex mutex;
  std::set<std::size_t> asked, not_empty;
  for (std::size_t i = 0; i < kText.size(); ++i) {
    if (!kText[i].empty()) not_empty.insert(i);
  }
  const auto only = [](Index token) {
    return [token](std::span<bool> allowed) {
      std::fill(allowed.begin(), allowed.end(), false);
      rapt::at(allowed, token) = true;
    };
  };
  const auto lists = t.translate_n_best(
      kText, 1, kShort, {.allowed = [&](Index line, std::span<const rapt::TokenId>, std::span<bool> allowed) {
        const std::lock_guard lock(mutex);
        asked.insert(static_cast<std::size_t>(line));
        only(10 + line)(allowed);
      }});
  EXPECT_EQ(asked, not_empty);
  for (const std::size_t i : not_empty) {
    const Index token = 10 + static_cast<Index>(i);
    const auto alone = [&](Index, std::span<const rapt::TokenId>, std::span<bool> allowed) { only(token)(allowed); };
    expect_same(lists[i], rapt::beam_search_n_best(t.model(), source_of(t, kText[i]), 1, kShort, {.allowed = alone})[0],
                t);
  }
}

TEST(TranslatorSearch, PrefixesAndLengthsAreThoseOfTheLine) {
  const Translator t = translator();
  rapt::BeamSearchOptions options = kShort;
  options.generation.min_length = 2;
  std::vector<std::vector<rapt::TokenId>> prefixes;
  for (std::size_t i = 0; i < kText.size(); ++i) {
    prefixes.push_back(std::vector<rapt::TokenId>(i % 3, static_cast<rapt::TokenId>(10 + i)));
  }
  const auto lists = t.translate_n_best(kText, 1, options, {.prefix = rapt::TokenBatch(prefixes)}, /*batch_tokens=*/12);
  for (std::size_t i = 0; i < kText.size(); ++i) {
    if (kText[i].empty()) continue;
    const rapt::SearchRequest alone{.prefix = rapt::TokenBatch(std::vector<std::vector<rapt::TokenId>>{prefixes[i]})};
    expect_same(lists[i], rapt::beam_search_n_best(t.model(), source_of(t, kText[i]), 1, options, alone)[0], t);
  }
  EXPECT_EQ(error_text<ValueError>([&] { (void)t.translate(kText, options, {.prefix = rapt::TokenBatch({{3}})}); }),
            "[translator] 1 prefixes for 6 source sequences");
  options.generation = {.max_length = 4, .min_length = 5};
  EXPECT_EQ(error_text<ValueError>([&] { (void)t.translate(kText, options); }),
            "[translator] min_length 5 is more than max_length 4");
}

TEST(TranslatorSearch, AnEnsembleOfOneModelIsTheModel) {
  const Translator one = translator();
  Translator twice = translator();
  twice.add_to_ensemble(translator());
  const auto expected = one.translate_n_best(kText, 2, kShort), found = twice.translate_n_best(kText, 2, kShort);
  for (std::size_t i = 0; i < kText.size(); ++i) expect_same(found[i], expected[i]);
}

TEST(TranslatorSearch, AnEnsembleIsTheMeanOfItsModels) {
  const Translator a = translator(4), b = translator(5), c = translator(6);
  Translator pair = translator(5), all = translator(4);
  pair.add_to_ensemble(translator(6));
  all.add_to_ensemble(pair);  // the models of both
  const rapt::Ensemble expected({&a.model(), &b.model(), &c.model()});
  const auto lists = all.translate_n_best(kText, 2, kShort);
  const auto drawn = all.sample(kText, {.generation = kShort.generation}, {.seed = 3});
  int differs = 0;
  for (std::size_t i = 0; i < kText.size(); ++i) {
    if (kText[i].empty()) continue;
    const auto source = source_of(a, kText[i]);
    expect_same(lists[i], rapt::beam_search_n_best(expected, source, 2, kShort)[0], a);
    const rapt::SearchRequest line{.seed = 3, .streams = {i}};
    expect_same(drawn[i], rapt::sample(expected, source, {.generation = kShort.generation}, line)[0], a);
    differs += lists[i].front().text != a.translate(std::span(kText).subspan(i, 1), kShort)[0];
  }
  EXPECT_GT(differs, 0);
  const Translator moved = std::move(all);
  expect_same(moved.translate_n_best(kText, 2, kShort)[0], lists[0]);
}

TEST(TranslatorSearch, AnEnsembleHasOneListOfSubwordsAndNoFile) {
  Translator t = translator();
  EXPECT_EQ(error_text<ValueError>([&] { t.add_to_ensemble(translator(4, encoding({"another text"}))); }),
            "[translator] the models of an ensemble must have the same subwords");
  rapt::TextEncoding isolated = encoding();
  isolated.isolate_han = true;
  EXPECT_THROW(t.add_to_ensemble(translator(4, isolated)), ValueError);
  t.add_to_ensemble(translator(5));
  const auto path = std::filesystem::temp_directory_path() / ("rapt_translator_search_" + std::to_string(::getpid()));
  EXPECT_THROW(t.save(path), ValueError);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(TranslatorShortlist, TranslationsHaveItsTokensAlone) {
  Translator t = translator(), limited = translator();
  const rapt::Index size = t.text().size();
  std::vector<rapt::TokenId> even;
  for (rapt::TokenId token = 4; token < size; token += 2) even.push_back(token);
  const rapt::VocabularyShortlist list(size, {}, even);
  limited.use_shortlist(list);
  const auto found = limited.translate_n_best(kText, 2, kShort);
  const rapt::Shortlisted model(t.model(), list);
  for (std::size_t i = 0; i < kText.size(); ++i) {
    if (rapt::is_blank(kText[i])) continue;
    expect_same(found[i], rapt::beam_search_n_best(model, source_of(t, kText[i]), 2, kShort).front(), t);
  }
  const rapt::GenerationDefaults defaults{.beam = kShort, .results = 2};
  const auto generated = limited.generate(kText, defaults);
  for (std::size_t i = 0; i < kText.size(); ++i) {
    if (rapt::is_blank(kText[i])) continue;
    expect_same(generated[i], rapt::generate(model, source_of(t, kText[i]), defaults).front(), t);
  }
  for (const auto& drawn : limited.sample(kText)) EXPECT_TRUE(std::isfinite(drawn.front().log_probability));
  // A prefix may have others.
  const rapt::TokenBatch prefix(std::vector<std::vector<rapt::TokenId>>(kText.size(), {5}));
  const auto begun = limited.translate(kText, kShort, {.prefix = prefix});
  EXPECT_TRUE(begun[0].starts_with(t.text().decode(std::vector<rapt::TokenId>{5})));

  std::vector<rapt::TokenId> all(rapt::to_size(size));
  std::iota(all.begin(), all.end(), 0);
  limited.use_shortlist(rapt::VocabularyShortlist(size, {}, all));
  EXPECT_EQ(limited.translate(kText, kShort), t.translate(kText, kShort));
  limited.add_to_ensemble(translator(5));
  t.add_to_ensemble(translator(5));
  EXPECT_EQ(limited.translate(kText, kShort), t.translate(kText, kShort));
  rapt_test::expect_message<ValueError>([&] { limited.use_shortlist(rapt::VocabularyShortlist(size + 1, {}, {})); },
                                        "target tokens");
}

}  // namespace
