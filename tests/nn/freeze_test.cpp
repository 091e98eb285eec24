/// \file
/// Freezing by name: patterns, copies, what is recorded and what gets a gradient.
#include "rapt/nn/freeze.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "rapt/autograd/backward.hpp"
#include "rapt/models/transformer.hpp"
#include "rapt/optim/adam.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::freeze;
using rapt::Index;
using rapt::matches_pattern;
using rapt::Parameter;
using rapt::Shape;
using rapt::Tensor;
using rapt::Transformer;
using rapt::unfreeze;
using rapt_test::same_bits;

static_assert(matches_pattern("encoder.norm.weight", "encoder.*"));

TEST(MatchesPattern, StarsStandForAnythingAndQuestionMarksForOneCharacter) {
  const std::string name = "encoder.layers.10.norm1.weight";
  for (const char* pattern :
       {"*", "**", "encoder.*", "*.weight", "encoder.layers.10.*", "*layers.10*", "encoder*weight", "encoder.*.norm1.*",
        "encoder.layers.10.norm1.weight", "encoder.layers.??.norm?.weight", "?ncoder.*", "*weigh?", "*encoder*",
        "encoder?layers*", "*.*.*.*.*", "encoder.layers.10.norm1.weight*", "*1*.*1*t"}) {
    EXPECT_TRUE(matches_pattern(name, pattern)) << pattern;
  }
  for (const char* pattern : {"", "encoder", "encoder.", "encoder.layers.1.*", "encoder.layers.?.*", "*.bias", "weight",
                              "*weight?", "?encoder*", "Encoder.*", "*.*.*.*.*.*", "encoder.layers.10.norm1.weights",
                              "encoder.+", "*norm[12]*", "*1*.*1*s"}) {
    EXPECT_FALSE(matches_pattern(name, pattern)) << pattern;
  }
  EXPECT_TRUE(matches_pattern("", ""));
  EXPECT_TRUE(matches_pattern("", "*"));
  EXPECT_FALSE(matches_pattern("", "?"));
  EXPECT_TRUE(matches_pattern("aaab", "*ab"));
  EXPECT_TRUE(matches_pattern("abcabd", "*abd"));  // the first "ab" is not the one
  EXPECT_TRUE(matches_pattern("a.b*c", "a?b*c"));
  EXPECT_FALSE(matches_pattern(std::string(2000, 'a') + "b", "*a*a*a*a*a*a*a*a*c"));  // soon
}

template <class T = double>
Transformer<T> small_model(bool shared, rapt::NormPlacement norm = rapt::NormPlacement::post) {
  rapt::Rng rng(1);
  return {{.source_vocabulary = 11,
           .target_vocabulary = 11,
           .d_model = 8,
           .heads = 2,
           .d_ff = 12,
           .encoder_layers = 2,
           .decoder_layers = 2,
           .dropout = 0.2f,
           .norm = norm,
           .tie_embeddings = shared,
           .output_bias = true},
          rng};
}

rapt::TranslationBatch small_batch() {
  return {.source = rapt::TokenBatch({{3, 4, 5}, {6, 7}}),
          .target_input = rapt::TokenBatch({{1, 8}, {1, 9, 10, 3}}),
          .target_output = {8, 2, 9, 10, 3, 2}};
}

template <class M>
std::set<std::string> frozen_names(const M& model) {
  std::set<std::string> names;
  rapt::for_each_parameter(model, [&](const std::string& name, const auto& parameter) {
    if (parameter.is_frozen()) names.insert(name);
  });
  return names;
}
template <class M>
std::map<std::string, Tensor<double>> gradients_of(const M& model) {
  std::map<std::string, Tensor<double>> gradients;
  rapt::for_each_parameter(model,
                           [&](const std::string& name, const auto& parameter) { gradients[name] = parameter.grad(); });
  return gradients;
}
/// The loss of the small batch, with dropout; gradients are added to the model's.
template <class M>
double train(const M& model) {
  rapt::Rng rng(5);
  const rapt::Training scope(rng);
  const auto loss = model.loss(small_batch());
  rapt::backward(loss);
  return static_cast<double>(loss.item());
}

TEST(Freeze, ByNameAndHowMany) {
  auto model = small_model(false);
  const auto is_frozen = [&] { return frozen_names(model); };
  EXPECT_TRUE(is_frozen().empty());
  EXPECT_EQ(freeze(model, "encoder.layers.0.norm?.bias"), 2);
  EXPECT_EQ(is_frozen(), (std::set<std::string>{"encoder.layers.0.norm1.bias", "encoder.layers.0.norm2.bias"}));
  EXPECT_EQ(freeze(model, "encoder.layers.0.norm1.*"), 2) << "those that are frozen already count";
  EXPECT_EQ(is_frozen().size(), 3u);
  EXPECT_EQ(freeze(model, "output.bias"), 1);
  EXPECT_EQ(unfreeze(model, "encoder.*.norm1.*"), 4);
  EXPECT_EQ(is_frozen(), (std::set<std::string>{"encoder.layers.0.norm2.bias", "output.bias"}));
  Index all = 0;
  rapt::for_each_parameter(model, [&](const std::string&, const auto&) { ++all; });
  EXPECT_EQ(freeze(model, "*"), all);
  EXPECT_EQ(static_cast<Index>(is_frozen().size()), all);
  EXPECT_EQ(unfreeze(model, "*"), all);
  EXPECT_TRUE(is_frozen().empty());
}

TEST(Freeze, APatternThatMatchesNothingIsAnError) {
  auto model = small_model(false);
  freeze(model, "output.*");
  Index all = 0;
  rapt::for_each_parameter(model, [&](const std::string&, const auto&) { ++all; });
  const std::string rest = "' matches none of the " + std::to_string(all) +
                           " parameters, whose names begin with: decoder, encoder, output, source_embedding, "
                           "target_embedding";
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { freeze(model, "encodr.*"); }),
            "[freeze] the pattern 'encodr.*" + rest);
  EXPECT_EQ(rapt_test::error_text<rapt::ValueError>([&] { unfreeze(model, "encoder"); }),
            "[unfreeze] the pattern 'encoder" + rest);
  EXPECT_THROW(freeze(model, ""), rapt::ValueError);
  EXPECT_EQ(frozen_names(model), (std::set<std::string>{"output.bias", "output.weight"}));
}

TEST(Freeze, CopiesAndMovesKeepItAndAssigningChangesNumbersAlone) {
  auto model = small_model(true);
  freeze(model, "encoder.*");
  const auto names = frozen_names(model);
  ASSERT_GT(names.size(), 10u);
  auto copy = model;
  EXPECT_EQ(frozen_names(copy), names);
  unfreeze(copy, "*");
  EXPECT_EQ(frozen_names(model), names) << "a copy is a model of its own";
  rapt_test::randomize(copy, 3);
  model = copy;
  EXPECT_EQ(frozen_names(model), names);
  copy = small_model(true);  // moved from
  EXPECT_TRUE(frozen_names(copy).empty());
  const auto moved = std::move(model);
  EXPECT_EQ(frozen_names(moved), names);

  Parameter<float> a(Tensor<float>(Shape{2}, 1.f)), none;
  a.set_frozen(true);
  none = a;  // takes a copy
  EXPECT_TRUE(none.is_frozen());
  Parameter<float> trained(Tensor<float>(Shape{2}, 3.f));
  trained = a;
  EXPECT_FALSE(trained.is_frozen());
  EXPECT_EQ(trained.value().data()[0], 1.f);
  a = trained;
  EXPECT_TRUE(a.is_frozen());
}

TEST(Freeze, ForgetsTheGradientAndReleasingDoesNot) {
  Parameter<float> p(Tensor<float>(Shape{2}, 1.f));
  std::ignore = p.node()->grad_sum();
  p.set_frozen(false);
  EXPECT_FALSE(p.grad().empty());
  p.set_frozen(true);
  EXPECT_TRUE(p.grad().empty());
}

/// Frozen parameters get no gradient, and the others the same as ever.
TEST(Freeze, TheOtherGradientsAreTheSame) {
  for (const auto norm : {rapt::NormPlacement::post, rapt::NormPlacement::pre}) {
    for (const bool shared : {true, false}) {
      auto model = small_model(shared, norm);
      rapt_test::randomize(model, 2);
      const double loss = train(model);
      const auto all = gradients_of(model);
      for (const char* pattern :
           {"encoder.*", "decoder.*", "*.bias", "*.weight", "*embedding*", "*norm*", "*linear1*", "*in_proj*",
            "*multihead_attn*", "*layers.0.*", "*layers.1.*", "output*", "decoder.layers.1.norm3.bias"}) {
        SCOPED_TRACE(pattern);
        rapt::clear_gradients(model);
        freeze(model, pattern);
        EXPECT_EQ(train(model), loss) << "the value is the same, dropout too";
        for (const auto& [name, gradient] : gradients_of(model)) {
          if (matches_pattern(name, pattern)) {
            EXPECT_TRUE(gradient.empty()) << name;
          } else {
            EXPECT_TRUE(rapt_test::close(gradient, all.at(name), 1e-12)) << name;
          }
        }
        unfreeze(model, pattern);
      }
    }
  }
}

/// Below which nothing is trained, nothing is recorded: backward ends there.
TEST(Freeze, NothingIsRecordedBelowWhatIsTrained) {
  auto model = small_model(false);
  const auto batch = small_batch();
  const auto nodes = [&](const auto& memory) {
    return rapt_test::recorded_nodes(model.logits(model.decode(batch.target_input, memory, batch.source.row_splits)));
  };
  const rapt::Recording scope;
  const std::size_t all = nodes(model.encode(batch.source));
  freeze(model, "encoder.*");
  EXPECT_EQ(nodes(model.encode(batch.source)), all) << "the source embedding is still trained";
  freeze(model, "source_embedding.*");
  const auto memory = model.encode(batch.source);
  EXPECT_FALSE(memory.requires_grad());
  const std::size_t decoder = nodes(memory);
  EXPECT_EQ(decoder, nodes(rapt::Variable<double>(memory.value())));
  EXPECT_LT(decoder, all);
  freeze(model, "decoder.*");
  freeze(model, "target_embedding.*");
  EXPECT_EQ(nodes(memory), 1u) << "the output projection alone";
  freeze(model, "*");
  EXPECT_EQ(nodes(memory), 0u);
  unfreeze(model, "*");
  EXPECT_EQ(nodes(model.encode(batch.source)), all);
}

TEST(Freeze, OneMatrixForAllIsFrozenEverywhere) {
  auto model = small_model(true);
  EXPECT_EQ(freeze(model, "embedding.*"), 1);
  train(model);
  for (const auto& [name, gradient] : gradients_of(model)) {
    EXPECT_EQ(gradient.empty(), name == "embedding.weight") << name;
  }
}

TEST(Freeze, WithNothingToTrainThereIsNoBackward) {
  auto model = small_model(true);
  freeze(model, "*");
  rapt_test::expect_errors({{"all frozen", [&] { train(model); }, {"[backward]", "not recorded", "frozen"}}});
  EXPECT_GT(unfreeze(model, "decoder.layers.1.*"), 0);
  EXPECT_GT(train(model), 0.0);
}

/// A parameter frozen between a loss and its backward gets no gradient; one released, from the next loss on.
TEST(Freeze, BetweenALossAndItsBackward) {
  auto model = small_model(true);
  {
    const rapt::Recording scope;
    const auto loss = model.loss(small_batch());
    freeze(model, "*");
    rapt::backward(loss);
  }
  for (const auto& [name, gradient] : gradients_of(model)) EXPECT_TRUE(gradient.empty()) << name;
  unfreeze(model, "decoder.*");
  {
    const rapt::Recording scope;
    const auto loss = model.loss(small_batch());
    unfreeze(model, "*");
    rapt::backward(loss);
  }
  train(model);
  for (const auto& [name, gradient] : gradients_of(model)) EXPECT_FALSE(gradient.empty()) << name;
}

TEST(Freeze, AReleasedPartIsTrainedOn) {
  auto model = small_model<float>(false);
  rapt::Adam adam(model, {.weight_decay = 0.1});
  const auto numbers = [&] {
    std::map<std::string, Tensor<float>> values;
    rapt::for_each_parameter(model, [&](const std::string& name, const auto& p) { values[name] = p.value(); });
    return values;
  };
  const auto expect_moves = [&](const std::string& still) {
    const auto before = numbers();
    train(model);
    adam.step(1e-2);
    for (const auto& [name, value] : numbers()) {
      EXPECT_EQ(same_bits(value, before.at(name)), matches_pattern(name, still)) << name << ", frozen: " << still;
    }
  };
  expect_moves("");
  freeze(model, "encoder.*");
  expect_moves("encoder.*");
  expect_moves("encoder.*");
  unfreeze(model, "encoder.layers.1.*");
  expect_moves("encoder.layers.0.*");
  unfreeze(model, "*");
  expect_moves("");
}

TEST(Freeze, SameBitsOnAnyNumberOfThreads) {
  rapt_test::expect_same_bits_on_any_threads([] {
    auto model = small_model<float>(false);
    freeze(model, "*layers.0.*");
    rapt::Adam adam(model);
    std::vector<float> numbers;
    for (int step = 0; step < 3; ++step) {
      train(model);
      adam.step(1e-2);
    }
    rapt::for_each_parameter(model, [&](const std::string&, const auto& p) {
      numbers.insert(numbers.end(), p.value().values().begin(), p.value().values().end());
    });
    return numbers;
  });
}

TEST(ConstantParameters, LeaveGradientsAndWhatIsFrozen) {
  rapt::Rng rng(1);
  rapt::Linear<double> layer(3, 2, rng);
  freeze(layer, "bias");
  const rapt::Variable<double> x(rapt_test::normal_tensor<double>({4, 3}, 2), /*requires_grad=*/true);
  const auto differentiate = [&] {
    const rapt::Recording scope;
    backward(sum(layer(x)));
  };
  differentiate();
  const Tensor<double> of_weight = layer.weight().grad(), of_x = x.grad();
  ASSERT_FALSE(of_weight.empty());
  {
    const rapt::ConstantParameters<double> constant(layer);
    differentiate();
    EXPECT_FALSE(layer.weight().requires_grad());
  }
  EXPECT_TRUE(same_bits(layer.weight().grad(), of_weight));
  for (Index i = 0; i < of_x.size(); ++i) EXPECT_EQ(x.grad().data()[i], 2 * of_x.data()[i]);  // twice
  EXPECT_TRUE(layer.weight().requires_grad());
  EXPECT_TRUE(layer.bias().is_frozen());
}

}  // namespace
