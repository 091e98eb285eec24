/// \file
/// The distillation loss against PyTorch and against central differences.
// covers: kernels/distillation.hpp
#include "rapt/autograd/ops/distillation.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rapt/autograd/gradcheck.hpp"
#include "rapt/autograd/ops/add.hpp"
#include "tests/common/golden.hpp"
#include "tests/common/gradients.hpp"

namespace {

using rapt::DistillationOptions;
using rapt::Index;
using rapt::Shape;
using rapt::TeacherTargets;
using rapt::Tensor;
using rapt::TokenId;
using Variables = std::vector<rapt::Variable<double>>;

template <class T>
void compare_with_pytorch() {
  const rapt::SafetensorsFile file(std::string(RAPT_GOLDEN_DIR) + "/distillation.safetensors");
  const nlohmann::json cases = nlohmann::json::parse(file.metadata().at("info")).at("cases");
  EXPECT_EQ(cases.size(), 18u);
  for (const auto& [name, values] : cases.items()) {
    SCOPED_TRACE(name);
    const rapt_test::Golden golden("distillation", name);
    const auto student = golden.leaf<T>("student");
    const rapt::Recording scope;
    const auto loss = distillation_loss(student, golden.tensor<T>("teacher"), golden.ids("labels"),
                                        {.targets = values["hard"] ? TeacherTargets::hard : TeacherTargets::soft,
                                         .temperature = values["temperature"],
                                         .weight = values["weight"]});
    golden.expect_output("loss", loss.value());
    rapt::backward(loss);
    golden.expect_gradient("student", student);
  }
}

TEST(Distillation, AgreesWithPyTorch) { compare_with_pytorch<float>(); }
TEST(Distillation, AgreesWithPyTorchInDouble) { compare_with_pytorch<double>(); }

TEST(Distillation, Gradient) {
  for (const Shape shape : {Shape{1, 2}, Shape{5, 7}, Shape{2, 33}}) {
    const auto student = rapt_test::normal_tensor<double>(shape, 1),
               teacher = rapt_test::normal_tensor<double>(shape, 2);
    const auto labels = rapt_test::random_ids(shape.rows(), shape.cols(), 3);
    for (const TeacherTargets targets : {TeacherTargets::soft, TeacherTargets::hard}) {
      for (const float weight : {0.f, 0.4f, 1.f}) {
        const DistillationOptions options{.targets = targets, .temperature = 3.f, .weight = weight};
        const auto once = rapt::gradcheck(
            [&](const Variables& x) { return distillation_loss(x[0], teacher, labels, options); }, {student});
        EXPECT_LT(once.worst_relative_error, 1e-6);
        rapt_test::expect_same_gradients_of_subsets(
            [&](const Variables& x) { return distillation_loss(x[0], teacher, labels, options); }, {student});
        const auto twice = rapt::gradcheck(  // gradients that add up, and one that is scaled
            [&](const Variables& x) {
              return add(distillation_loss(x[0], teacher, labels, options),
                         scale(distillation_loss(x[0], teacher, labels, options), -3.0));
            },
            {student});
        EXPECT_LT(twice.worst_relative_error, 1e-6);
      }
    }
  }
}

TEST(Distillation, AStudentLikeItsTeacherHasNothingToLearn) {
  const auto student = rapt_test::random_leaf<double>({4, 9}, 7, 5.0);
  const rapt::Recording scope;
  const auto loss = distillation_loss(student, student.value(), {}, {.temperature = 2.f, .weight = 1.f});
  EXPECT_NEAR(loss.item(), 0, 1e-14);
  rapt::backward(loss);
  for (const double g : student.grad().values()) EXPECT_NEAR(g, 0, 1e-14);
}

TEST(Distillation, WhatTheTeacherRulesOutCountsNothing) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  const rapt::Variable<double> student(Tensor<double>(Shape{1, 3}, {0.0, 0.0, 0.0}), true);
  const rapt::Recording scope;
  const auto loss =
      distillation_loss(student, Tensor<double>(Shape{1, 3}, {0.0, 0.0, kNever}), {}, {.temperature = 1, .weight = 1});
  EXPECT_NEAR(loss.item(), std::log(1.5), 1e-14);  // 1/2 each against 1/3 each
  rapt::backward(loss);
  EXPECT_NEAR(student.grad()(0, 0), 1.0 / 3 - 0.5, 1e-14);
  EXPECT_NEAR(student.grad()(0, 2), 1.0 / 3, 1e-14);
}

TEST(Distillation, ErrorsNameTheValues) {
  const rapt::Variable<double> student(Tensor<double>(Shape{4, 2}, 0.0));
  const Tensor<double> teacher(Shape{4, 3}, 0.0), same(Shape{4, 2}, 0.0);
  const std::vector<TokenId> three{0, 1, 1}, outside{0, 1, 2, 0}, ignored{0, 1, -100, 0};
  const auto loss = [&](const Tensor<double>& t, std::span<const TokenId> labels, const DistillationOptions& options) {
    return [=, &t] { std::ignore = distillation_loss<double>(student, t, labels, options); };
  };
  rapt_test::expect_errors({{"shapes", loss(teacher, three, {}), {"[4, 2]", "[4, 3]"}},
                            {"labels", loss(same, three, {}), {"3 targets", "[4, 2]"}},
                            {"no labels", loss(same, {}, {.weight = 0.9f}), {"0 targets"}},
                            {"label", loss(same, outside, {}), {"token id 2"}},
                            {"ignored label", loss(same, ignored, {}), {"token id -100", "position 2"}},
                            {"temperature", loss(same, outside, {.temperature = 0}), {"temperature", "0"}},
                            {"weight", loss(same, outside, {.weight = 1.5f}), {"weight", "1.5"}}});
}

}  // namespace
