/// \file
/// Ensembles: the mean by hand, the same model twice, and every search over them.
#include "rapt/generation/ensemble.hpp"

#include <gtest/gtest.h>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "tests/common/settings.hpp"
#include "tests/generation/random_transformer.hpp"

namespace {

using rapt::Ensemble;
using rapt::EnsembleMean;
using rapt::Hypothesis;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::expect_same;
using rapt_test::PrefixModel;
using rapt_test::Tokens;
using rapt_test::tokens_of;

static_assert(rapt::DecodingModel<Ensemble<PrefixModel>>);
static_assert(rapt::DecodingModel<Ensemble<rapt::Transformer<float>>>);
static_assert(rapt::DecodingModel<Ensemble<Ensemble<PrefixModel>>>);

/// The ensemble's distribution, as it is defined.
rapt_test::NextToken mean_of(const std::vector<const PrefixModel*>& models, EnsembleMean mean) {
  return [=](const Tokens& source, const Tokens& prefix) {
    std::vector<double> result;
    for (const PrefixModel* model : models) {
      const auto log_p = rapt_test::log_softmax(model->logits(source, prefix));
      result.resize(log_p.size(), mean == EnsembleMean::probabilities ? 0.0 : 1.0);
      for (std::size_t j = 0; j < log_p.size(); ++j) {
        const double p = std::exp(log_p[j]), models_count = static_cast<double>(models.size());
        if (mean == EnsembleMean::probabilities) {
          result[j] += p / models_count;
        } else {
          result[j] *= std::pow(p, 1 / models_count);
        }
      }
    }
    double sum = 0;
    for (const double p : result) sum += p;
    for (double& p : result) p = std::log(p / sum);
    return result;
  };
}

struct KnowingModel : PrefixModel {
  rapt::SequenceMarks marks;
  [[nodiscard]] rapt::SequenceMarks sequence_marks() const { return marks; }
};

TEST(Ensemble, SearchesTakeTheTokensOfItsModels) {
  const KnowingModel a{rapt_test::random_prefix_model(7, 1), {.begin = 3, .ends = {4, 5}}},
      b{rapt_test::random_prefix_model(7, 2), {.begin = 3, .ends = {4, 5}}},
      other{rapt_test::random_prefix_model(7, 2), {.begin = 3, .ends = {4}}};
  const rapt::SearchRequest by_hand{.marks = rapt::SequenceMarks{.begin = 3, .ends = {4, 5}}};
  const auto expected = rapt::greedy_search(Ensemble({&a, &b}), rapt_test::some_sources(), {}, by_hand);
  const auto found = rapt::greedy_search(Ensemble({&a, &b}), rapt_test::some_sources());
  for (std::size_t i = 0; i < found.size(); ++i) expect_same(found[i], expected[i]);
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] {
              (void)rapt::greedy_search(Ensemble({&a, &b, &other}), rapt_test::some_sources());
            }),
            "[ensemble] the begin tokens, end tokens or longest sequences of the first model and of number 3 differ");
  EXPECT_EQ(rapt::greedy_search(Ensemble({&a, &b, &other}), rapt_test::some_sources(), {}, by_hand).size(), 5u);
}

TEST(Ensemble, BeamSearchEqualsAPlainBeamSearchOverTheMean) {
  const TokenBatch sources = rapt_test::some_sources();
  int differs = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const PrefixModel a = rapt_test::random_prefix_model(7, seed), b = rapt_test::random_prefix_model(7, 100 + seed),
                      c = rapt_test::random_prefix_model(7, 200 + seed);
    std::vector<std::vector<Tokens>> best(2);
    for (const auto mean : {EnsembleMean::probabilities, EnsembleMean::log_probabilities}) {
      const auto found = rapt::beam_search_n_best(Ensemble({&a, &b, &c}, mean), sources, 3,
                                                  {.beam_size = 3, .generation = {.extra_length = 4}});
      for (Index i = 0; i < sources.sequences(); ++i) {
        const auto expected =
            rapt_test::plain_beam_search(mean_of({&a, &b, &c}, mean), tokens_of(sources, i),
                                         {.longest = sources.row_splits.length(i) + 4, .alpha = double{0.6f}}, 3);
        expect_same(found[static_cast<std::size_t>(i)], rapt_test::first_of(expected, 3), 1e-11);
        best[static_cast<std::size_t>(mean)].push_back(expected.front().tokens);
      }
    }
    for (std::size_t i = 0; i < best[0].size(); ++i) differs += best[0][i] != best[1][i];
  }
  EXPECT_GT(differs, 3);
}

TEST(Ensemble, TheSameModelTwiceIsTheModel) {
  const TokenBatch sources = rapt_test::some_sources();
  const auto transformer = rapt_test::random_transformer<float>(9, 2);
  const PrefixModel model = rapt_test::random_prefix_model(7, 2);
  const auto check = [&](const auto& one, double tolerance) {
    const rapt::GenerationOptions short_ones{.extra_length = 5};
    const auto greedy = rapt::greedy_search(one, sources, short_ones);
    const auto beam = rapt::beam_search(one, sources, {.generation = short_ones});
    const auto drawn = rapt::sample(one, sources, {.generation = short_ones}, {.seed = 3});
    for (const auto mean : {EnsembleMean::probabilities, EnsembleMean::log_probabilities}) {
      for (const auto& twice :
           {Ensemble({&one}, mean), Ensemble({&one, &one}, mean), Ensemble({&one, &one, &one}, mean)}) {
        expect_same(rapt::greedy_search(twice, sources, short_ones), greedy, tolerance);
        expect_same(rapt::beam_search(twice, sources, {.generation = short_ones}), beam, tolerance);
        const auto again = rapt::sample(twice, sources, {.generation = short_ones}, {.seed = 3});
        for (std::size_t i = 0; i < drawn.size(); ++i) expect_same(again[i], drawn[i], tolerance);
      }
    }
  };
  check(model, 1e-12);
  check(transformer, 1e-5);
}

TEST(Ensemble, ImprobableAndImpossibleTokensAreCounted) {
  const double never = -std::numeric_limits<double>::infinity();
  const PrefixModel a{[=](const Tokens&, const Tokens&) { return std::vector<double>{0, -900, never, never}; }};
  const PrefixModel b{[=](const Tokens&, const Tokens&) { return std::vector<double>{5, -955, never, 5}; }};
  const std::vector<TokenId> begin{1};
  const Ensemble mean({&a, &b});
  auto state = mean.start(TokenBatch({{3}}));
  const auto log_p = mean.step(state, begin);
  const double half = std::log(0.5);
  EXPECT_NEAR(log_p(0, 0), std::log(0.75), 1e-12);
  EXPECT_NEAR(log_p(0, 1), half - 900, 1e-9);  // b's is e^-960.7, far less
  EXPECT_EQ(log_p(0, 2), never);
  EXPECT_NEAR(log_p(0, 3), half + half, 1e-12);

  const Ensemble geometric({&a, &b}, EnsembleMean::log_probabilities);
  auto other = geometric.start(TokenBatch({{3}}));
  const auto logits = geometric.step(other, begin);
  EXPECT_EQ(logits(0, 2), never);
  EXPECT_EQ(logits(0, 3), never);
}

TEST(Ensemble, IsWhatItSays) {
  const PrefixModel model = rapt_test::random_prefix_model(7, 2), other = rapt_test::random_prefix_model(6, 2);
  EXPECT_NE(rapt_test::error_text<rapt::ValueError>([] { Ensemble<PrefixModel>({}); }).find("[ensemble]"),
            std::string::npos);
  EXPECT_NE(rapt_test::error_text<rapt::ValueError>([&] {
              Ensemble<PrefixModel>({&model, nullptr});
            }).find("null"),
            std::string::npos);
  const auto text = rapt_test::error_text<rapt::ShapeError>([&] {
    (void)rapt::greedy_search(Ensemble({&model, &other}), TokenBatch({{3}}));
  });
  EXPECT_NE(text.find("[1, 7]"), std::string::npos) << text;
  EXPECT_NE(text.find("[1, 6]"), std::string::npos) << text;
}

TEST(Ensemble, SameBitsOnAnyThreads) {
  const auto a = rapt_test::random_transformer<float>(9, 7), b = rapt_test::random_transformer<float>(9, 8);
  rapt_test::expect_same_bits_on_any_threads([&] {
    std::vector<double> numbers;
    for (const Hypothesis& h : rapt::beam_search(Ensemble({&a, &b}), rapt_test::some_sources())) {
      numbers.push_back(h.score);
      numbers.insert(numbers.end(), h.tokens.begin(), h.tokens.end());
    }
    return numbers;
  });
}

}  // namespace
