/// \file
/// The Transformer as a value: names, counts, copies, shared weights, configs, errors, and use from many threads.
// covers: models/transformer_config.hpp
#include "rapt/models/transformer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "rapt/autograd/backward.hpp"
#include "rapt/optim/adam.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::Index;
using rapt::NormPlacement;
using rapt::Tensor;
using rapt::Transformer;
using rapt::TransformerConfig;
using Batch = rapt::TokenBatch;

TransformerConfig mini(std::size_t variant = 0) {
  TransformerConfig config{.source_vocabulary = 11,
                           .target_vocabulary = 11,
                           .d_model = 8,
                           .heads = 2,
                           .d_ff = 12,
                           .encoder_layers = 2,
                           .decoder_layers = 1};
  if (variant == 1) {
    config.norm = NormPlacement::pre;
    config.tie_embeddings = false;
    config.target_vocabulary = 9;
    config.output_bias = true;
    config.learned_positions = 10;
  }
  return config;
}

template <class M>
std::vector<std::string> names_of(const M& model) {
  std::vector<std::string> names;
  rapt::for_each_parameter(model, [&](const std::string& name, const auto&) { names.push_back(name); });
  return names;
}
template <class M>
Tensor<float> parameter_of(const M& model, const std::string& wanted) {
  Tensor<float> found;
  rapt::for_each_parameter(model,
                           [&](const std::string& name, const auto& p) { found = name == wanted ? p.value() : found; });
  EXPECT_FALSE(found.empty()) << wanted;
  return found;
}

const Batch kSource({{1, 2, 3, 4}, {5}, {6, 7}}), kTarget({{1, 4}, {1, 3, 5}, {1}});
const rapt::TranslationBatch kBatch{kSource, kTarget, {4, 2, 3, 5, 2, 2}};

// torch.nn.Transformer's state_dict, in its order.
std::vector<std::string> torch_names(const TransformerConfig& config) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& module, std::initializer_list<const char*> parts) {
    for (const char* part : parts) names.push_back(module + part);
  };
  const auto attention = [&](const std::string& module) {
    add(module, {"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"});
  };
  for (const std::string stack : {"encoder", "decoder"}) {
    for (Index i = 0; i < (stack == "encoder" ? config.encoder_layers : config.decoder_layers); ++i) {
      const std::string layer = stack + ".layers." + std::to_string(i) + ".";
      attention(layer + "self_attn.");
      if (stack == "decoder") attention(layer + "multihead_attn.");
      add(layer, {"linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias", "norm1.weight", "norm1.bias",
                  "norm2.weight", "norm2.bias"});
      if (stack == "decoder") add(layer, {"norm3.weight", "norm3.bias"});
    }
    if (config.has_final_norm()) add(stack, {".norm.weight", ".norm.bias"});
  }
  return names;
}

TEST(Transformer, NamesAreTorchs) {
  rapt::Rng rng(1);
  auto expected = torch_names(mini());
  expected.insert(expected.begin(), "embedding.weight");
  EXPECT_EQ(names_of(Transformer(mini(), rng)), expected);

  expected = torch_names(mini(1));
  expected.insert(expected.begin(), {"source_embedding.weight", "target_embedding.weight", "source_positions.weight",
                                     "target_positions.weight"});
  expected.insert(expected.end(), {"output.weight", "output.bias"});
  EXPECT_EQ(names_of(Transformer(mini(1), rng)), expected);

  TransformerConfig biased = mini();
  biased.output_bias = true;
  EXPECT_EQ(names_of(Transformer(biased, rng)).back(), "output.bias");
}

Index parameters_by_formula(const TransformerConfig& c) {
  const Index d = c.d_model, attention = 4 * d * d + 4 * d, inner = 2 * d * c.d_ff + c.d_ff + d, norm = 2 * d;
  Index count =
      c.encoder_layers * (attention + inner + 2 * norm) + c.decoder_layers * (2 * attention + inner + 3 * norm);
  if (c.has_final_norm()) count += 2 * norm;
  count += c.tie_embeddings ? c.source_vocabulary * d : (c.source_vocabulary + 2 * c.target_vocabulary) * d;
  if (c.output_bias) count += c.target_vocabulary;
  return count + 2 * c.learned_positions * d;
}

TEST(Transformer, CountsParameters) {
  rapt::Rng rng(1);
  EXPECT_EQ(rapt::count_parameters(Transformer(TransformerConfig::tiny(10000), rng)), 2605056);
  for (const TransformerConfig& config : {mini(), mini(1), TransformerConfig::small(10000)}) {
    EXPECT_EQ(rapt::count_parameters(Transformer(config, rng)), parameters_by_formula(config));
  }
  EXPECT_EQ(parameters_by_formula(TransformerConfig::base(37000)), 63082496);
  EXPECT_EQ(parameters_by_formula(TransformerConfig::big(37000)), 214245376);
  EXPECT_EQ(rapt::count_parameters(Transformer(TransformerConfig::base(37000), rng)), 63082496);
}

TEST(Transformer, UnusedRowsOfPositionsStandBeforeTheFirst) {
  TransformerConfig config = mini(1), shifted = config;
  shifted.unused_positions = 2;
  rapt::Rng rng(1), other(1);
  const Transformer model(config, rng);
  Transformer later(shifted, other);
  std::map<std::string, const rapt::Parameter<float>*> plain;
  rapt::for_each_parameter(model, [&](const std::string& name, const auto& p) { plain[name] = &p; });
  rapt::for_each_parameter(later, [&](const std::string& name, auto& p) {
    const auto& from = plain.at(name)->value();
    auto& to = p.mutable_value();
    const bool is_table = name.ends_with("_positions.weight");
    EXPECT_EQ(to.rows(), from.rows() + (is_table ? 2 : 0)) << name;
    to.fill(1e9f);
    std::copy_n(from.data(), from.size(), to.data() + (is_table ? 2 * from.cols() : 0));
  });
  EXPECT_TRUE(rapt_test::same_bits(later(kSource, kTarget).value(), model(kSource, kTarget).value()));
}

TEST(Transformer, NormsOfEmbeddingsAreThoseOfTheSum) {
  TransformerConfig config = mini();
  config.embedding_norm = true;
  config.encoder_layers = 1;
  rapt::Rng rng(1);
  Transformer model(config, rng);
  const auto names = names_of(model);
  for (const char* name : {"source_embedding_norm.weight", "target_embedding_norm.bias"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
  }
  // A norm does not see a shift of its input; without it, the encoder does.
  const auto before = model.encode(kSource).value();
  rapt::for_each_parameter(model, [](const std::string& name, auto& p) {
    if (name != "embedding.weight") return;
    for (float& v : p.mutable_value().values()) v += 0.5f;
  });
  EXPECT_TRUE(rapt_test::close(model.encode(kSource).value(), before, 1e-3));
  rapt::for_each_parameter(model, [](const std::string& name, auto& p) {
    if (name == "source_embedding_norm.weight") p.mutable_value().fill(0.5f);
  });
  EXPECT_GT(rapt_test::relative_error(model.encode(kSource).value(), before), 1e-2);
}

TEST(TransformerConfig, PresetsAreThePapers) {
  const auto base = TransformerConfig::preset("base", 37000), big = TransformerConfig::preset("big", 37000);
  EXPECT_EQ(base.d_model, 512);
  EXPECT_EQ(base.heads, 8);
  EXPECT_EQ(base.d_ff, 2048);
  EXPECT_EQ(base.encoder_layers, 6);
  EXPECT_EQ(base.decoder_layers, 6);
  EXPECT_EQ(base.dropout, 0.1f);
  EXPECT_EQ(base.norm, NormPlacement::post);
  EXPECT_FALSE(base.has_final_norm());
  EXPECT_TRUE(base.tie_embeddings);
  EXPECT_EQ(big.d_model, 1024);
  EXPECT_EQ(big.heads, 16);
  EXPECT_EQ(big.d_ff, 4096);
  EXPECT_EQ(big.dropout, 0.3f);
  EXPECT_EQ(TransformerConfig::preset("tiny", 100).d_model, 128);
  EXPECT_EQ(TransformerConfig::preset("small", 100).d_model, 256);
  EXPECT_EQ(TransformerConfig::preset("small", 100).target_vocabulary, 100);
}

TEST(TransformerConfig, RefusesWhatDoesNotFit) {
  const auto with = [](auto change) {
    return [change] {
      TransformerConfig config = mini();
      change(config);
      rapt::Rng rng(1);
      std::ignore = Transformer(config, rng);
    };
  };
  rapt_test::expect_errors(
      {{"heads", with([](auto& c) { c.heads = 3; }), {"[transformer]", "d_model = 8", "heads = 3"}},
       {"no heads", with([](auto& c) { c.heads = 0; }), {"d_model = 8", "heads = 0"}},
       {"d_model", with([](auto& c) { c.d_model = -8; }), {"d_model = -8"}},
       {"odd", with([](auto& c) { c.d_model = 9, c.heads = 3; }), {"even", "9"}},
       {"vocabulary", with([](auto& c) { c.source_vocabulary = 0; }), {"source 0", "target 11"}},
       {"d_ff", with([](auto& c) { c.d_ff = 0; }), {"d_ff 0"}},
       {"layers", with([](auto& c) { c.decoder_layers = -1; }), {"decoder_layers -1"}},
       {"dropout", with([](auto& c) { c.dropout = 1.f; }), {"[0, 1)", "1"}},
       {"attention_dropout", with([](auto& c) { c.attention_dropout = -0.5f; }), {"[0, 1)", "-0.5"}},
       {"activation_dropout", with([](auto& c) { c.activation_dropout = 2.f; }), {"[0, 1)", "2"}},
       {"epsilon", with([](auto& c) { c.norm_epsilon = 0; }), {"norm_epsilon", "0"}},
       {"shared", with([](auto& c) { c.target_vocabulary = 12; }), {"source 11", "target 12"}},
       {"learned_positions", with([](auto& c) { c.learned_positions = -4; }), {"learned_positions", "-4"}},
       {"unused_positions", with([](auto& c) { c.unused_positions = -1; }), {"unused_positions -1"}},
       {"too long a table",
        with([](auto& c) { c.learned_positions = std::numeric_limits<Index>::max(), c.unused_positions = 2; }),
        {"unused_positions 2", "learned_positions 9223372036854775807"}},
       {"preset",
        [] { std::ignore = TransformerConfig::preset("huge", 9); },
        {"'huge'", "tiny, small, base and big"}}});
}

TEST(Transformer, WrongBatchesAreRefused) {
  rapt::Rng rng(1);
  const Transformer model(mini(), rng), learned(mini(1), rng);
  Batch split_wrongly = kSource;
  split_wrongly.tokens.push_back(1);
  rapt_test::expect_errors({{"sequences",
                             [&] {
                               std::ignore = model(kSource, Batch({{1, 2}}));
                             },
                             {"3 source sequences", "1 target sequences"}},
                            {"loss sequences",
                             [&] {
                               std::ignore = model.loss({Batch({{1}}), kTarget, kBatch.target_output});
                             },
                             {"1 source", "3 t"}},
                            {"splits", [&] { std::ignore = model.encode(split_wrongly); }, {"8 tokens", "end at 7"}},
                            {"source id",
                             [&] {
                               std::ignore = model(Batch({{1, 11}}), Batch({{1}}));
                             },
                             {"id 11", "position 1", "of 11"}},
                            {"target id", [&] { std::ignore = learned(Batch({{1}}), Batch({{9}})); }, {"id 9", "of 9"}},
                            {"targets",
                             [&] {
                               std::ignore = model.loss({kSource, kTarget, {1, 2}});
                             },
                             {"2 targets", "[6, 8]"}},
                            {"positions",
                             [&] {
                               std::ignore = learned.encode(Batch({{1, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3}}));
                             },
                             {"sequence 1", "11 tokens", "ends at 10"}},
                            {"step",
                             [&] {
                               auto state = model.start(kSource);
                               std::ignore = model.step(state, std::vector<rapt::TokenId>{1, 1});
                             },
                             {"2 tokens", "3 rows"}},
                            {"step id",
                             [&] {
                               auto state = model.start(kSource);
                               std::ignore = model.step(state, std::vector<rapt::TokenId>{1, 1, 99});
                             },
                             {"id 99", "of 11"}},
                            {"select",
                             [&] {
                               auto state = model.start(kSource);
                               state.select(std::vector<Index>{0, -1});
                             },
                             {"row -1", "of 3"}},
                            {"learned step",
                             [&] {
                               auto state = learned.start(Batch({{1}}));
                               for (int i = 0; i < 11; ++i)
                                 std::ignore = learned.step(state, std::vector<rapt::TokenId>{1});
                             },
                             {"11 tokens", "ends at 10"}}});
}

TEST(Transformer, CopiesAreDeepAndIndependent) {
  rapt::Rng rng(1);
  const Transformer original(mini(), rng);
  const Tensor<float> before = original(kSource, kTarget).value();
  Transformer copy = original;
  EXPECT_TRUE(rapt_test::same_bits(copy(kSource, kTarget).value(), before));
  rapt_test::randomize(copy, 7);
  EXPECT_FALSE(rapt_test::same_bits(copy(kSource, kTarget).value(), before));
  EXPECT_TRUE(rapt_test::same_bits(original(kSource, kTarget).value(), before));
}

TEST(Transformer, AssigningKeepsTheOptimizersLink) {
  rapt::Rng rng(1);
  Transformer model(mini(), rng);
  rapt::Adam adam(model);
  const Transformer other(mini(), rng);
  model = other;
  EXPECT_TRUE(rapt_test::same_bits(model(kSource, kTarget).value(), other(kSource, kTarget).value()));
  {
    const rapt::Training training(rng);
    rapt::backward(model.loss(kBatch));
  }
  adam.step(0.01);
  for (const auto& name : names_of(model)) {
    const bool same = rapt_test::same_bits(parameter_of(model, name), parameter_of(other, name));
    EXPECT_FALSE(same) << name << " was not reached by the optimizer";
  }
}

TEST(Transformer, TrainingLowersTheLoss) {
  for (const std::size_t variant : {0u, 1u}) {
    rapt::Rng rng(1);
    Transformer model(mini(variant), rng);
    rapt::Adam adam(model);
    const float before = model.loss(kBatch).item();
    for (int i = 0; i < 30; ++i) {
      const rapt::Training training(rng);
      rapt::backward(model.loss(kBatch));
      adam.step(5e-3);
    }
    EXPECT_LT(model.loss(kBatch).item(), 0.6f * before) << variant;
  }
}

TEST(Transformer, SharedWeightsAreOne) {
  rapt::Rng rng(1);
  Transformer model(mini(), rng);
  const Tensor<float> before = model(kSource, kTarget).value();
  // A token that nobody reads: its row can act through the output projection alone, and only on its own logit.
  rapt::for_each_parameter(model, [](const std::string& name, auto& p) {
    if (name == "embedding.weight") p.mutable_value()(10, 3) += 1.f;
  });
  const Tensor<float> after = model(kSource, kTarget).value();
  for (Index i = 0; i < after.rows(); ++i) {
    for (Index j = 0; j < after.cols(); ++j) EXPECT_EQ(after(i, j) == before(i, j), j != 10) << i << ", " << j;
  }
  // The gradient is the sum of all three uses: it reaches rows that were read, and rows that were not.
  const rapt::Recording scope;
  rapt::backward(model.loss(kBatch));
  rapt::for_each_parameter(model, [](const std::string& name, const auto& p) {
    if (name != "embedding.weight") return;
    for (Index i = 0; i < p.rows(); ++i) EXPECT_GT(p.grad().matrix().row(i).norm(), 0.f) << i;
  });
}

TEST(Transformer, SequencesDoNotSeeOneAnother) {
  rapt::Rng rng(1);
  const Transformer<double> model(mini(), rng);
  const auto together = model(kSource, kTarget).value();
  for (Index s = 0; s < 3; ++s) {
    Batch source, target;
    source.push_back(kSource.sequence(s));
    target.push_back(kTarget.sequence(s));
    const auto alone = model(source, target).value();
    for (Index i = 0; i < alone.rows(); ++i) {
      for (Index j = 0; j < alone.cols(); ++j) {
        EXPECT_NEAR(alone(i, j), together(kTarget.row_splits.begin(s) + i, j), 1e-12);
      }
    }
  }
}

TEST(Transformer, TheDecoderDoesNotSeeTheFuture) {
  rapt::Rng rng(1);
  const Transformer model(mini(), rng);
  const auto one = model(Batch({{1, 2, 3}}), Batch({{1, 4, 5}})).value();
  const auto other = model(Batch({{1, 2, 3}}), Batch({{1, 4, 6}})).value();
  for (Index j = 0; j < one.cols(); ++j) {
    EXPECT_EQ(one(0, j), other(0, j));
    EXPECT_EQ(one(1, j), other(1, j));
    EXPECT_NE(one(2, j), other(2, j));
  }
}

TEST(Transformer, DropoutActsInTrainingOnly) {
  rapt::Rng rng(1);
  const Transformer model(mini(), rng);
  const float loss = model.loss(kBatch).item();
  EXPECT_EQ(model.loss(kBatch).item(), loss);
  {
    const rapt::Recording recording;
    EXPECT_EQ(model.loss(kBatch).item(), loss);
  }
  const auto trained = [&](std::uint64_t seed) {
    rapt::Rng dropout(seed);
    const rapt::Training training(dropout);
    return model.loss(kBatch).item();
  };
  EXPECT_NE(trained(1), loss);
  EXPECT_NE(trained(1), trained(2));
  EXPECT_EQ(trained(1), trained(1));
}

TEST(Transformer, AConstModelServesManyThreads) {
  rapt::Rng rng(1);
  TransformerConfig config = TransformerConfig::tiny(300);
  config.encoder_layers = config.decoder_layers = 2;
  const Transformer model(config, rng);
  std::vector<Batch> sources, targets;
  std::vector<Tensor<float>> expected;
  const auto decode = [&](std::size_t k) {  // whole, then step by step
    auto state = model.start(sources[k]);
    Tensor<float> last;
    for (const rapt::TokenId token : {1, 7, 20}) {
      last = model.step(state, std::vector<rapt::TokenId>(static_cast<std::size_t>(state.rows()), token));
    }
    return last;
  };
  for (std::uint64_t k = 0; k < 4; ++k) {
    Batch source, target;
    for (Index s = 0; s < 5; ++s) {
      source.push_back(rapt_test::random_ids(3 + 4 * s, 300, 10 * k + static_cast<std::uint64_t>(s)));
      target.push_back(rapt_test::random_ids(1 + 5 * s, 300, 77 * k + static_cast<std::uint64_t>(s)));
    }
    sources.push_back(source);
    targets.push_back(target);
    expected.push_back(model(source, target).value());
    expected.push_back(decode(k));
  }
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t repeat = 0; repeat < 6; ++repeat) {
        const std::size_t k = (t + repeat) % 4;
        wrong[t] += rapt_test::same_bits(model(sources[k], targets[k]).value(), expected[2 * k]) ? 0 : 1;
        wrong[t] += rapt_test::same_bits(decode(k), expected[2 * k + 1]) ? 0 : 1;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const int count : wrong) EXPECT_EQ(count, 0);
}

}  // namespace
