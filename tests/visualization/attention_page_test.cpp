/// \file
/// The attention page as text: its numbers, its tokens, and what it refuses. How it looks and behaves is tested in a
/// browser by attention_page_browser_test.py.
// covers: visualization/attention_page_assets.hpp
// covers: visualization/page_head.hpp
#include "rapt/visualization/attention_page.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "rapt/core/rng.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::AttentionSection;
using rapt::Index;
using rapt::Shape;
using rapt::ShapeError;
using rapt::Tensor;
using rapt::ValueError;
using rapt_test::error_text;
using Strings = std::vector<std::string>;

/// Rows that sum to 1, some sharp and some flat; those of a causal map end at the diagonal.
template <class T>
Tensor<T> random_weights(Shape shape, std::uint64_t seed, bool causal = false) {
  Tensor<T> weights(shape);
  rapt::Rng rng(seed);
  for (Index row = 0; row < weights.rows(); ++row) {
    const Index visible = causal ? row % shape[2] + 1 : shape[3];
    double sum = 0;
    std::vector<double> values;
    for (Index col = 0; col < shape[3]; ++col) {
      values.push_back(col < visible ? std::exp(5.0 * static_cast<double>(row % 3) * rng.uniform()) : 0);
      sum += values.back();
    }
    for (Index col = 0; col < shape[3]; ++col) {
      weights(row, col) = static_cast<T>(values[static_cast<std::size_t>(col)] / sum);
    }
  }
  return weights;
}

Strings tokens(const std::string& prefix, Index count) {
  Strings names;
  for (Index i = 0; i < count; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

nlohmann::json data_of(const std::string& page) {
  const std::string begin = "<script type=\"application/json\" id=\"data\">\n";
  const std::size_t at = page.find(begin) + begin.size();
  return nlohmann::json::parse(page.substr(at, page.find("</script>", at) - at));
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

template <class T>
void expect_same_numbers(Index queries, Index keys, Index heads, Index layers, bool causal) {
  std::vector<Tensor<T>> weights;
  for (Index l = 0; l < layers; ++l) {
    weights.push_back(random_weights<T>(Shape{1, heads, queries, keys}, static_cast<std::uint64_t>(l) + 1, causal));
  }
  const std::vector<AttentionSection<T>> sections{{.title = "a title",
                                                   .note = "a note",
                                                   .queries = tokens("q", queries),
                                                   .keys = tokens("k", keys),
                                                   .layers = weights,
                                                   .causal = causal}};
  const auto data = data_of(attention_page({}, sections));
  const auto& section = data.at("sections").at(0);
  EXPECT_EQ(section.at("title"), "a title");
  EXPECT_EQ(section.at("note"), "a note");
  EXPECT_EQ(section.at("causal"), causal);
  EXPECT_EQ(section.at("queries").template get<Strings>(), tokens("q", queries));
  EXPECT_EQ(section.at("keys").template get<Strings>(), tokens("k", keys));
  const double unit = data.at("unit");
  ASSERT_EQ(section.at("layers").size(), layers);
  for (Index l = 0; l < layers; ++l) {
    const auto& drawn = section.at("layers").at(static_cast<std::size_t>(l));
    ASSERT_EQ(drawn.size(), heads);
    for (Index h = 0; h < heads; ++h) {
      const auto numbers = drawn.at(static_cast<std::size_t>(h)).template get<std::vector<Index>>();
      ASSERT_EQ(numbers.size(), queries * keys);
      for (Index q = 0; q < queries; ++q) {
        Index sum = 0;
        for (Index k = 0; k < keys; ++k) {
          const Index number = numbers[static_cast<std::size_t>(q * keys + k)];
          const T weight = weights[static_cast<std::size_t>(l)](h * queries + q, k);
          EXPECT_LT(std::abs(static_cast<double>(number) / unit - static_cast<double>(weight)), 1.0 / unit);
          EXPECT_TRUE(weight != T(0) || number == 0);
          sum += number;
        }
        EXPECT_EQ(sum, static_cast<Index>(unit));
      }
    }
  }
}

TEST(AttentionPage, HoldsTheWeights) {
  expect_same_numbers<float>(5, 5, 2, 3, true);
  expect_same_numbers<float>(7, 4, 3, 1, false);
  expect_same_numbers<double>(1, 1, 1, 1, true);
  expect_same_numbers<double>(3, 6, 4, 2, false);
  expect_same_numbers<float>(4, 300, 1, 1, false);  // with each weight rounded by itself, rows would miss 1 by 1e-3
  expect_same_numbers<float>(0, 0, 2, 1, false);
}

TEST(AttentionPage, RoundsRowsAsAWhole) {
  using rapt::detail::rounded_weights;
  const auto rounded = [](std::vector<double> row) { return rounded_weights<double>(row); };
  EXPECT_EQ(rounded({1. / 3, 1. / 3, 1. / 3}), (std::vector<Index>{3334, 3333, 3333}));
  EXPECT_EQ(rounded({0, 1, 0}), (std::vector<Index>{0, 10000, 0}));
  EXPECT_EQ(rounded({0, 0, 0}), (std::vector<Index>{0, 0, 0}));  // a query that may look at nothing
  EXPECT_EQ(rounded({0.00004, 0.00004, 0.00004, 0.99988}), (std::vector<Index>{1, 0, 0, 9999}));
  EXPECT_EQ(rounded({0.25, 0.25}), (std::vector<Index>{2500, 2500}));  // as it is, not made to sum to 1
  EXPECT_EQ(rounded({}), std::vector<Index>{});
}

TEST(AttentionPage, DrawsTheChosenSequence) {
  const std::vector<Tensor<float>> weights{random_weights<float>(Shape{3, 2, 4, 5}, 1)};
  const std::vector<AttentionSection<float>> sections{
      {.title = "t", .queries = tokens("q", 4), .keys = tokens("k", 5), .layers = weights}};
  for (Index sequence = 0; sequence < 3; ++sequence) {
    const auto data = data_of(attention_page({.sequence = sequence}, sections));
    for (Index h = 0; h < 2; ++h) {
      const auto numbers =
          data.at("sections").at(0).at("layers").at(0).at(static_cast<std::size_t>(h)).get<std::vector<Index>>();
      for (Index i = 0; i < 20; ++i) {
        EXPECT_NEAR(static_cast<double>(numbers[static_cast<std::size_t>(i)]) * 1e-4,
                    weights[0].data()[((sequence * 2 + h) * 20) + i], 1e-4);
      }
    }
  }
}

TEST(AttentionPage, LeavesOutWhatBelongsToLongerSequences) {
  Tensor<float> weights(Shape{1, 1, 3, 4}, 0.f);
  weights(0, 0) = 1;
  weights(1, 1) = 1;
  weights(2, 3) = 1;
  const std::vector<Tensor<float>> layers{weights};
  const auto data = data_of(
      attention_page({}, std::vector<AttentionSection<float>>{
                             {.title = "t", .queries = tokens("q", 2), .keys = tokens("k", 2), .layers = layers}}));
  EXPECT_EQ(data.at("sections").at(0).at("layers").at(0).at(0).get<std::vector<Index>>(),
            (std::vector<Index>{10000, 0, 0, 10000}));
}

const Strings kHostile{"</script><b>x", "\"&'<", "<!--", "\\", "\n", "", "مرحبا", "我", "🙂", "\xFF\xFE", "a\u202Eb"};

TEST(AttentionPage, TokensCannotBecomeMarkup) {
  const auto n = static_cast<Index>(kHostile.size());
  const std::vector<Tensor<float>> weights{random_weights<float>(Shape{1, 1, n, n}, 1)};
  const auto page_with = [&](const std::string& text, const Strings& names) {
    return attention_page({.title = text, .source = text, .target = text},
                          std::vector<AttentionSection<float>>{
                              {.title = text, .note = text, .queries = names, .keys = names, .layers = weights}});
  };
  const std::string tame = page_with("tame", tokens("t", n)),
                    page = page_with("</title></script><script>alert(1)</script><b>\"&'<!--", kHostile);
  for (const std::string part : {"<script", "</script", "<b", "<!--", "</title", "<p", "<h1", "<body"}) {
    EXPECT_EQ(count(page, part), count(tame, part)) << part;
  }
  EXPECT_EQ(
      count(page, "&lt;/title&gt;&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;b&gt;&quot;&amp;&#39;&lt;!--"),
      4);  // title, heading, source, target
  Strings expected = kHostile;
  expected[9] = "\uFFFD\uFFFD";
  EXPECT_EQ(data_of(page).at("sections").at(0).at("keys").get<Strings>(), expected);
}

TEST(AttentionPage, IsOneDocumentWithNothingToLoad) {
  const std::vector<AttentionSection<float>> none;
  const std::string page = attention_page({.title = "A & B", .source = "one", .target = ""}, none);
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  EXPECT_EQ(count(page, "<title>A &amp; B</title>"), 1);
  EXPECT_EQ(count(page, ">one</p>"), 1);
  EXPECT_EQ(count(page, "class=\"target\""), 0);
  EXPECT_EQ(count(page, "width=device-width"), 1);
  EXPECT_EQ(count(page, "default-src 'none'"), 1);
  for (const std::string loads : {"src=", "href=", "url(", "@import", "https:"})
    EXPECT_EQ(count(page, loads), 0) << loads;
  EXPECT_EQ(count(page, "http:"), count(page, "http://www.w3.org/2000/svg"));  // a name, not a place
}

TEST(AttentionPage, TheSameBytesAgain) {
  const std::vector<Tensor<float>> weights{random_weights<float>(Shape{1, 2, 3, 3}, 1)};
  const auto page = [&] {
    return attention_page({.title = "t"},
                          rapt::translation_sections(tokens("s", 3), tokens("t", 4), weights, weights, weights));
  };
  EXPECT_EQ(page(), page());
}

TEST(AttentionPage, RefusesWhatDoesNotFit) {
  const auto page_of = [](Tensor<float> weights, Index queries, Index keys, Index sequence = 0) {
    return [=] {
      const std::vector<Tensor<float>> layers{weights};
      std::ignore =
          attention_page({.sequence = sequence}, std::vector<AttentionSection<float>>{{.title = "kind",

                                                                                       .queries = tokens("q", queries),
                                                                                       .keys = tokens("k", keys),
                                                                                       .layers = layers}});
    };
  };
  const Tensor<float> good(Shape{2, 1, 2, 2}, 0.5f);
  EXPECT_NO_THROW(page_of(good, 2, 2, 1)());
  EXPECT_EQ(error_text<ShapeError>(page_of(good, 3, 2)),
            "[attention_page] kind: weights must be [B, H, Lq, Lk] with Lq >= 3, Lk >= 2: [2, 1, 2, 2]");
  EXPECT_NE(error_text<ShapeError>(page_of(good, 2, 3)).find("Lk >= 3"), std::string::npos);
  EXPECT_NE(error_text<ShapeError>(page_of(Tensor<float>(Shape{2, 2}, 0.5f), 2, 2)).find(": [2, 2]"),
            std::string::npos);
  EXPECT_EQ(error_text<ValueError>(page_of(good, 2, 2, 2)), "[attention_page] kind: sequence 2 of 2");
  for (const float wrong : {-0.1f, 1.1f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    Tensor<float> bad = good;
    bad(1, 0) = wrong;
    EXPECT_NE(error_text<ValueError>(page_of(bad, 2, 2)).find("in head 0, row 1, column 0"), std::string::npos);
  }
  const std::vector<Tensor<float>> layers;
  EXPECT_EQ(error_text<ValueError>(
                [&] { std::ignore = rapt::translation_sections(Strings{"s"}, Strings{"t"}, layers, layers, layers); }),
            "[translation_sections] a target has two tokens at least, its begin and its end: 1");
}

TEST(TranslationSections, NamesWhatIsReadAndWritten) {
  const std::vector<Tensor<float>> self{Tensor<float>(Shape{1, 1, 2, 2}, 0.5f)},
      causal{Tensor<float>(Shape{1, 1, 3, 3}, 0.25f)}, cross{Tensor<float>(Shape{1, 1, 3, 2}, 0.5f)};
  const auto sections =
      rapt::translation_sections(Strings{"ein", "</s>"}, Strings{"<s>", "a", "b", "</s>"}, self, causal, cross);
  ASSERT_EQ(sections.size(), 3);
  EXPECT_EQ(sections[0].queries, (Strings{"ein", "</s>"}));
  EXPECT_EQ(sections[0].keys, sections[0].queries);
  EXPECT_EQ(sections[1].queries, (Strings{"<s>", "a", "b"}));
  EXPECT_EQ(sections[1].keys, sections[1].queries);
  EXPECT_EQ(sections[2].queries, (Strings{"a", "b", "</s>"}));
  EXPECT_EQ(sections[2].keys, sections[0].keys);
  EXPECT_FALSE(sections[0].causal);
  EXPECT_TRUE(sections[1].causal);
  EXPECT_FALSE(sections[2].causal);
  EXPECT_EQ(sections[2].layers.data(), cross.data());
  EXPECT_NO_THROW(std::ignore = attention_page({}, sections));
}

}  // namespace
