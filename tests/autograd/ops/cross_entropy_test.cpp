/// \file
/// Cross-entropy with all its options against PyTorch, on logits and with the output projection.
#include "rapt/autograd/ops/cross_entropy.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rapt/autograd/ops/add.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"
#include "tests/common/settings.hpp"

namespace {

using rapt::CrossEntropyOptions;
using rapt::Reduction;
using rapt::Shape;
using rapt::Tensor;
using rapt::TokenId;

CrossEntropyOptions options_of(const nlohmann::json& values) {
  CrossEntropyOptions options{.label_smoothing = values["label_smoothing"],
                              .ignore_index = std::nullopt,
                              .class_weights = values["class_weights"]};
  if (!values["ignore_index"].is_null()) options.ignore_index = values["ignore_index"].get<TokenId>();
  const std::string reduction = values["reduction"];
  options.reduction = reduction == "mean" ? Reduction::mean : reduction == "sum" ? Reduction::sum : Reduction::none;
  return options;
}

template <class T>
void compare_with_pytorch() {
  const rapt::SafetensorsFile file(std::string(RAPT_GOLDEN_DIR) + "/cross_entropy.safetensors");
  const nlohmann::json cases = nlohmann::json::parse(file.metadata().at("info")).at("cases");
  EXPECT_EQ(cases.size(), 39u);
  for (const auto& [name, values] : cases.items()) {
    SCOPED_TRACE(values.dump());
    const rapt_test::Golden golden("cross_entropy", name);
    const auto x = golden.leaf<T>("x"), weight = golden.leaf<T>("weight"), bias = golden.leaf<T>("bias");
    const auto targets = golden.ids("targets");
    const CrossEntropyOptions options = options_of(values);
    const rapt::Recording scope;
    const auto fused = linear_cross_entropy(x, weight, bias, targets, options);
    golden.expect_output("loss", fused.value());
    golden.backward(fused);
    golden.expect_gradient("x", x);
    golden.expect_gradient("weight", weight);
    golden.expect_gradient("bias", bias);

    Tensor<T> z(Shape{x.rows(), weight.rows()});
    z.matrix() = x.value().matrix() * weight.value().matrix().transpose();
    for (rapt::Index i = 0; i < z.size(); ++i) z.data()[i] += bias.value().data()[i % z.cols()];
    const rapt::Variable<T> logits(z, true);
    const auto plain = cross_entropy(logits, targets, options);
    golden.expect_output("loss", plain.value());
    golden.backward(plain);
    golden.expect_gradient("logits", logits);
  }
}

TEST(CrossEntropy, AgreesWithPyTorch) { compare_with_pytorch<float>(); }
TEST(CrossEntropy, AgreesWithPyTorchInDouble) { compare_with_pytorch<double>(); }

TEST(CrossEntropy, AMeanOverNothingIsAnError) {
  const rapt::Variable<float> logits(Tensor<float>(Shape{2, 3}, 0.f), true), weight(Tensor<float>(Shape{4, 3}, 0.f));
  const std::vector<TokenId> ignored{-100, -100}, weightless{1, -100};
  const CrossEntropyOptions no_weight{.class_weights = {1, 0, 1}};
  rapt_test::expect_errors({{"all ignored",
                             [&] { std::ignore = cross_entropy(logits, ignored); },
                             {"[cross_entropy] ", "nothing to take the mean of", "2 targets", "2 are ignore_index"}},
                            {"all ignored, fused",
                             [&] { std::ignore = linear_cross_entropy(logits, weight, {}, ignored); },
                             {"[linear_cross_entropy] ", "nothing to take the mean of"}},
                            {"weights of 0",
                             [&] { std::ignore = cross_entropy(logits, weightless, no_weight); },
                             {"2 targets", "1 are ignore_index", "class_weights"}}});
  const rapt::Recording scope;
  for (const Reduction reduction : {Reduction::sum, Reduction::none}) {
    const auto loss = cross_entropy(logits, ignored, {.reduction = reduction});
    for (const float v : loss.value().values()) EXPECT_EQ(v, 0.f);
    rapt::backward(sum(loss));
    for (const float v : logits.grad().values()) EXPECT_EQ(v, 0.f);
  }
}

TEST(CrossEntropy, WithoutIgnoreIndexNegativeIdsAreErrors) {
  const rapt::Variable<float> logits(Tensor<float>(Shape{2, 3}, 0.f));
  const std::vector<TokenId> targets{1, -100}, other{1, -1};
  EXPECT_NO_THROW(std::ignore = cross_entropy(logits, targets));
  rapt_test::expect_errors({{"none",
                             [&] { std::ignore = cross_entropy(logits, targets, {.ignore_index = std::nullopt}); },
                             {"[cross_entropy] ", "id -100", "position 1", "of 3"}},
                            {"another", [&] { std::ignore = cross_entropy(logits, other); }, {"id -1", "position 1"}}});
}

TEST(CrossEntropy, ClassWeightsMustFit) {
  const rapt::Variable<float> logits(Tensor<float>(Shape{1, 3}, 0.f));
  const std::vector<TokenId> targets{1};
  const auto with = [&](std::vector<float> weights) {
    return [&, weights] { std::ignore = cross_entropy(logits, targets, {.class_weights = weights}); };
  };
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  rapt_test::expect_errors({{"count", with({1, 2}), {"[cross_entropy] ", "2 class_weights", "vocabulary of 3"}},
                            {"negative", with({1, 2, -0.5f}), {"class_weights", "-0.5", "position 2"}},
                            {"NaN", with({1, nan, 1}), {"class_weights", "nan", "position 1"}},
                            {"infinite", with({infinity, 1, 1}), {"class_weights", "inf", "position 0"}}});
}

/// Backward of rows' losses reads targets after the caller's are gone.
TEST(CrossEntropy, LossesOfRowsKeepTheirTargets) {
  const auto x = rapt_test::random_leaf<double>({300, 3}, 1), weight = rapt_test::random_leaf<double>({9, 3}, 2);
  const auto targets = rapt_test::random_ids(300, 9, 3);
  const rapt::Recording scope;
  const auto loss = [&] {
    const std::vector<TokenId> passing = targets;
    return linear_cross_entropy(x, weight, {}, passing, {.label_smoothing = 0.1f, .reduction = Reduction::none});
  }();
  EXPECT_EQ(loss.shape(), Shape{300});
  rapt::backward(sum(loss));
  const auto dx = x.grad(), dw = weight.grad();
  const auto again = rapt_test::random_leaf<double>({300, 3}, 1),
             weight_again = rapt_test::random_leaf<double>({9, 3}, 2);
  rapt::backward(
      linear_cross_entropy(again, weight_again, {}, targets, {.label_smoothing = 0.1f, .reduction = Reduction::sum}));
  EXPECT_LT(rapt_test::relative_error(dx, again.grad()), 1e-14);
  EXPECT_LT(rapt_test::relative_error(dw, weight_again.grad()), 1e-14);
}

TEST(CrossEntropy, OfRowsIsTheSameOnAnyThreads) {
  const auto targets = rapt_test::random_ids(600, 33, 3);
  rapt_test::expect_same_bits_on_any_threads([&] {
    const auto x = rapt_test::random_leaf<float>({600, 8}, 1), weight = rapt_test::random_leaf<float>({33, 8}, 2);
    const rapt::Recording scope;
    const auto loss = linear_cross_entropy(x, weight, {}, targets, {.reduction = Reduction::none});
    rapt::backward(sum(multiply(loss, loss)));
    return weight.grad();
  });
}

}  // namespace
