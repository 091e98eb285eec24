/// \file
/// GPT against transformers, and decoding with the cache against the whole sequence.
#include "rapt/models/gpt.hpp"

#include <gtest/gtest.h>

#include "rapt/generation/beam_search.hpp"
#include "rapt/generation/greedy.hpp"
#include "rapt/generation/sampling.hpp"
#include "rapt/generation/scoring.hpp"
#include "rapt/pretrained/gpt.hpp"
#include "tests/common/pretrained_case.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::Gpt;
using rapt::GptConfig;
using rapt::Index;
using rapt::TokenBatch;
using rapt::TokenId;
using rapt_test::PretrainedCase;

template <class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const rapt::Error& error) {
    return error.what();
  }
  return "";
}
template <class F>
void expect_message(const F& f, const std::string& part) {
  EXPECT_NE(message_of(f).find(part), std::string::npos) << message_of(f);
}

TokenBatch batch_of(const std::vector<TokenId>& sequence) {
  TokenBatch batch;
  batch.push_back(sequence);
  return batch;
}

Gpt<float> small_model(std::uint64_t seed = 1) {
  rapt::Rng rng(seed);
  GptConfig config{.vocabulary = 17,
                   .positions = 40,
                   .d_model = 24,
                   .layers = 2,
                   .heads = 3,
                   .embedding_dropout = 0,
                   .dropout = 0,
                   .attention_dropout = 0};
  Gpt model(config, rng);
  rapt::for_each_parameter(model, [&](const std::string&, auto& p) {  // so that tokens differ in probability
    for (float& v : p.mutable_value().values()) v *= 8;
  });
  return model;
}

TEST(Gpt, AgreesWithTransformers) {
  for (const std::string& name : PretrainedCase::all("gpt")) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("gpt", name);
    const auto model = rapt::from_pretrained<Gpt<float>>(golden.folder.path());
    const TokenBatch input = golden.batch("ids", "row_splits");
    golden.expect("hidden", model.hidden(input).value(), 1e-5);
    golden.expect("logits", model(input).value(), 1e-5);
    const rapt::Recording scope;
    const auto loss = model.loss({input, golden.ids("targets"), golden.ids("rows")});
    golden.expect("loss", loss.value(), 1e-5);
    rapt::backward(loss);
    golden.expect_stored_gradients(model, 1e-4);
  }
}

TEST(Gpt, AgreesInDouble) {
  for (const std::string& name : PretrainedCase::all("gpt")) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("gpt", name);
    const auto model = rapt::from_pretrained<Gpt<double>>(golden.folder.path());
    const double tolerance = name == "upcast" ? 1e-5 : 1e-7;  // what transformers computes in float32 there
    golden.expect("logits", model(golden.batch("ids", "row_splits")).value(), tolerance);
  }
}

TEST(Gpt, TravelsBackUnchanged) {
  for (const std::string& name : PretrainedCase::all("gpt")) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("gpt", name);
    golden.expect_round_trip(rapt::from_pretrained<Gpt<float>>(golden.folder.path()));
  }
}

TEST(Gpt, GeneratesAsTransformersDoes) {
  for (const std::string& name : PretrainedCase::all("gpt")) {
    SCOPED_TRACE(name);
    const PretrainedCase golden("gpt", name);
    const auto model = rapt::from_pretrained<Gpt<float>>(golden.folder.path());
    const TokenBatch prompts = golden.batch("ids", "row_splits");
    const auto generate = [&](float penalty) {
      std::vector<TokenId> tokens;
      for (const auto& h :
           rapt::greedy_search(model, prompts, {.end = -1, .extra_length = 6, .repetition_penalty = penalty})) {
        tokens.insert(tokens.end(), h.tokens.begin(), h.tokens.end());
      }
      return tokens;
    };
    EXPECT_EQ(generate(1.f), golden.ids("generated"));
    EXPECT_EQ(generate(1.7f), golden.ids("generated_penalty"));
  }
}

TEST(Gpt, TheCacheChangesNothing) {
  const auto model = small_model();
  const TokenBatch prompts({{3, 1, 4, 1, 5}, {3, 1, 4}, {3, 1, 4, 1, 9, 2, 6}});
  auto state = model.start(prompts);  // 3 1 is read once, for all
  EXPECT_EQ(state.lengths(), (std::vector<Index>{4, 2, 6}));
  std::vector<std::vector<TokenId>> sequences;
  std::vector<TokenId> next;
  for (Index i = 0; i < prompts.sequences(); ++i) {
    sequences.emplace_back(prompts.sequence(i).begin(), prompts.sequence(i).end());
    next.push_back(sequences.back().back());
  }
  for (int step = 0; step < 4; ++step) {
    const auto logits = model.step(state, next);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const auto whole = model(batch_of(sequences[i])).value();
      for (Index v = 0; v < logits.cols(); ++v) {
        EXPECT_NEAR(logits(static_cast<Index>(i), v), whole(whole.rows() - 1, v),
                    10 * rapt_test::allowed<float>(1e-5))  // of about 10
            << v;
      }
      next[i] = static_cast<TokenId>((7 * step + 3 * static_cast<int>(i)) % 17);
      sequences[i].push_back(next[i]);
    }
  }
}

TEST(Gpt, ABatchOfManyEqualsBatchesOfOne) {
  const auto model = small_model();
  const TokenBatch prompts({{3, 1, 4, 1, 5}, {3, 1}, {8}, {3, 1, 4, 1, 9, 2, 6}});
  const rapt::GenerationOptions options{.end = 0, .extra_length = 9};
  const auto many = rapt::greedy_search(model, prompts, options);
  const auto beams = rapt::beam_search(model, prompts, {.beam_size = 1, .length_penalty = 0, .generation = options});
  for (Index i = 0; i < prompts.sequences(); ++i) {
    TokenBatch one;
    one.push_back(prompts.sequence(i));
    const auto single = rapt::greedy_search(model, one, options).front();
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(single.tokens, many[at].tokens);
    EXPECT_NEAR(single.log_probability, many[at].log_probability, 1e-4);
    EXPECT_EQ(beams[at].tokens, many[at].tokens);
  }
}

TEST(Gpt, StopsWhereItIsTold) {
  const auto model = small_model();
  const TokenBatch prompt({{3, 1, 4}});
  const auto all = rapt::greedy_search(model, prompt, {.end = -1, .extra_length = 12}).front();
  ASSERT_EQ(all.tokens.size(), 12u);
  EXPECT_FALSE(all.finished);
  // a stop token ends before its first appearance
  const TokenId stop = all.tokens[5];
  const auto first = std::find(all.tokens.begin(), all.tokens.end(), stop);
  const auto stopped =
      rapt::greedy_search(model, prompt, {.end = -1, .stop_tokens = {16, stop}, .extra_length = 12}).front();
  EXPECT_EQ(stopped.tokens, std::vector<TokenId>(all.tokens.begin(), first));
  EXPECT_TRUE(stopped.finished);
  // the callback sees every token, and ends the hypothesis
  std::vector<TokenId> streamed;
  const auto cut = rapt::greedy_search(model, prompt,
                                       {.end = -1,
                                        .extra_length = 12,
                                        .on_token =
                                            [&](Index hypothesis, TokenId token) {
                                              EXPECT_EQ(hypothesis, 0);
                                              streamed.push_back(token);
                                              return streamed.size() < 4;
                                            }})
                       .front();
  EXPECT_EQ(streamed, std::vector<TokenId>(all.tokens.begin(), all.tokens.begin() + 4));
  EXPECT_EQ(cut.tokens, streamed);
  EXPECT_FALSE(cut.finished);
}

TEST(Gpt, ScoresBehindAnEmptyPromptWhatFollowsTheBeginToken) {
  rapt::Rng rng(3);
  GptConfig config{.vocabulary = 17, .positions = 40, .d_model = 12, .layers = 2, .heads = 3};
  EXPECT_THROW(std::ignore = rapt::score(Gpt<float>(config, rng), batch_of({}), batch_of({4, 5})), rapt::ValueError);
  config.begin_token = 6;
  config.end_tokens = {7};
  const Gpt<float> model(config, rng);
  const auto empty = rapt::score(model, batch_of({}), batch_of({4, 5}));
  const auto begun = rapt::score(model, batch_of({6}), batch_of({4, 5}));
  EXPECT_EQ(empty.front().log_probability, begun.front().log_probability);
  const auto found = rapt::greedy_search(model, batch_of({}), {.extra_length = 5});
  const auto scores = rapt::score(model, batch_of({}), found);
  EXPECT_NEAR(scores.front().log_probability, found.front().log_probability, rapt_test::allowed<float>(1e-4));
}

TEST(Gpt, RepetitionPenaltyLeavesLogProbabilitiesTheModels) {
  const auto model = small_model();
  const TokenBatch prompt({{3, 1, 4}});
  const auto h = rapt::greedy_search(model, prompt, {.end = -1, .extra_length = 8, .repetition_penalty = 3.f}).front();
  std::vector<TokenId> sequence{3, 1, 4};
  double expected = 0;
  for (const TokenId token : h.tokens) {
    const auto logits = model(batch_of(sequence)).value();
    const float* last = logits.row(logits.rows() - 1);
    expected += static_cast<double>(last[token]) - rapt::kernels::log_sum_exp(last, logits.cols());
    sequence.push_back(token);
  }
  EXPECT_NEAR(h.log_probability, expected, 1e-3);
  const auto found = rapt::sample(model, prompt, {.samples = 3, .generation = {.end = -1, .extra_length = 5}}, 7);
  EXPECT_EQ(found.front().size(), 3u);
}

TEST(Gpt, PackedWeightsAloneGiveTheSame) {
  const auto check = [](rapt::Precision precision, rapt::MatrixUnit) {
    auto model = small_model();  // 24 columns: products begin between those of a panel
    pack_weights(model);
    const TokenBatch prompt({{3, 1, 4, 1, 5, 9, 2}, {6, 5}});
    const rapt::GenerationOptions options{.end = -1, .extra_length = 8};
    const auto expected = model(prompt).value();
    const auto tokens = rapt::greedy_search(model, prompt, options);
    const std::size_t before = rapt::memory_stats().in_use;
    drop_unpacked_weights(model);
    EXPECT_LT(rapt::memory_stats().in_use, before);
    const auto found = model(prompt).value();
    // tables are read in the precision that they are kept in
    EXPECT_LE(rapt_test::relative_error(found, expected), precision == rapt::Precision::medium ? 0.05 : 1e-4);
    if (precision == rapt::Precision::highest) {
      const auto same = rapt::greedy_search(model, prompt, options);
      for (std::size_t i = 0; i < same.size(); ++i) EXPECT_EQ(same[i].tokens, tokens[i].tokens);
    }
    const auto copy = model;
    expect_message([&] { std::ignore = copy(prompt); }, "kept in packed form alone");
    const rapt::Recording recording;
    expect_message([&] { std::ignore = model(prompt); }, "cannot be trained");
  };
  check(rapt::precision(), rapt::matrix_unit(rapt::precision()));
  rapt_test::for_every_matrix_unit(check);
  auto model = small_model();
  expect_message([&] { drop_unpacked_weights(model); }, "pack_weights or quantize_weights comes first");
}

TEST(Gpt, WeightsOfEightBitsAreClose) {
  auto model = small_model();
  const TokenBatch prompt({{3, 1, 4, 1, 5, 9, 2}, {6, 5}});
  const auto expected = model(prompt).value();
  quantize_weights(model);
  const auto found = model(prompt).value();
  EXPECT_GT(rapt_test::relative_error(found, expected), 1e-4);
  EXPECT_LT(rapt_test::relative_error(found, expected), 0.05);
  const std::size_t before = rapt::memory_stats().in_use;
  drop_unpacked_weights(model);
  EXPECT_LT(rapt::memory_stats().in_use, before);
  EXPECT_LT(rapt_test::relative_error(model(prompt).value(), expected), 0.1);  // tables, too, are rounded
}

TEST(Gpt, ErrorsNameTheValues) {
  const auto model = small_model();
  expect_message([&] { std::ignore = rapt::greedy_search(model, TokenBatch({{3}, {}})); }, "prompt 1 is empty");
  expect_message([&] { std::ignore = model.start(TokenBatch({{3}, {}})); }, "sequence 1 is empty");
  expect_message([&] { std::ignore = model(TokenBatch({{3, 17}})); }, "token id 17");
  expect_message([&] { std::ignore = rapt::greedy_search(model, TokenBatch({{3}}), {.end = -1, .extra_length = 60}); },
                 "has 41 tokens, the table of learned positions ends at 40");
  expect_message([&] { GptConfig{.d_model = 10, .heads = 3}.validate(); }, "d_model = 10, heads = 3");
  expect_message([&] { std::ignore = rapt::greedy_search(model, TokenBatch({{3}}), {.repetition_penalty = 0}); },
                 "repetition_penalty");
}

}  // namespace
