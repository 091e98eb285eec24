/// \file
/// Gradients that reach an input unchanged: written, added, or handed over.
#include "rapt/autograd/pass_gradient.hpp"

#include <gtest/gtest.h>

#include "tests/common/random.hpp"
#include "tests/common/settings.hpp"

namespace {

using namespace rapt_test;
using rapt::Node;
using rapt::Shape;
using rapt::Tensor;

class PassGradient : public testing::Test {
 protected:
  PassGradient() {
    input.value = Tensor<float>(Shape{3, 4});
    input.requires_grad = true;
  }

  const Tensor<float> dy = random_tensor<float>(Shape{3, 4}, 1);
  Node<float> input;
};

TEST_F(PassGradient, TheFirstIsCopiedAndTheNextIsAdded) {
  rapt::pass_gradient(dy, input);
  EXPECT_TRUE(same_bits(input.grad, dy));
  EXPECT_NE(input.grad.data(), dy.data());
  rapt::pass_gradient(dy, input);
  for (rapt::Index i = 0; i < dy.size(); ++i) EXPECT_EQ(input.grad.data()[i], 2 * dy.data()[i]);
}

TEST_F(PassGradient, TheFirstOfALastReaderChangesHands) {
  Tensor<float> last = dy;
  const float* memory = last.data();
  rapt::pass_gradient(std::move(last), input);
  EXPECT_EQ(input.grad.data(), memory);
  last = dy;
  rapt::pass_gradient(std::move(last), input);
  EXPECT_EQ(input.grad.data(), memory);
  for (rapt::Index i = 0; i < dy.size(); ++i) EXPECT_EQ(input.grad.data()[i], 2 * dy.data()[i]);
}

TEST_F(PassGradient, TheInputKeepsItsShape) {
  input.value = Tensor<float>(Shape{12});
  rapt::pass_gradient(Tensor<float>(dy), input);
  EXPECT_EQ(input.grad.shape(), Shape{12});
  EXPECT_TRUE(same_bits(elements(input.grad), elements(dy)));
}

TEST_F(PassGradient, NothingFlowsWhereNothingIsWanted) {
  input.requires_grad = false;
  rapt::pass_gradient(dy, input);
  rapt::pass_gradient(Tensor<float>(dy), input);
  EXPECT_TRUE(input.grad.empty());
}

}  // namespace
