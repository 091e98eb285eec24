/// \file
/// Parameters from one model to another.
#include "rapt/nn/transfer.hpp"

#include <gtest/gtest.h>

#include "rapt/nn/linear.hpp"
#include "tests/common/expect_close.hpp"

namespace {

using rapt::Index;

/// Two linear maps, of which the second may be another's.
struct Pair {
  using ScalarType = float;
  Pair(Index width, Index outputs, rapt::Rng& rng) : body(3, width, rng), head(width, outputs, rng) {}
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("body", self.body);
    visitor("head", self.head);
  }
  rapt::Linear<float> body, head;
};

bool is_of_body(const std::string& name) { return name.starts_with("body."); }

TEST(CopyParameters, WhatIsWanted) {
  rapt::Rng rng(1);
  const Pair from(4, 2, rng);
  Pair to(4, 5, rng);
  const rapt::Tensor<float> head = to.head.weight().value();
  EXPECT_EQ(rapt::copy_parameters(from, to, is_of_body), 2);
  EXPECT_TRUE(rapt_test::same_bits(to.body.weight().value(), from.body.weight().value()));
  EXPECT_TRUE(rapt_test::same_bits(to.head.weight().value(), head));
  EXPECT_EQ(rapt::copy_parameters(from, to, [](const std::string&) { return false; }), 0);
}

TEST(CopyParameters, AllOrNothing) {
  rapt::Rng rng(1);
  const Pair from(4, 2, rng);
  Pair to(4, 5, rng);
  const rapt::Tensor<float> body = to.body.weight().value();
  const auto all = [](const std::string&) { return true; };
  const std::string text = rapt_test::error_text<rapt::ShapeError>([&] { rapt::copy_parameters(from, to, all); });
  EXPECT_NE(text.find("head.weight has shape [2, 4], where it is to be copied to [5, 4]"), std::string::npos) << text;
  EXPECT_TRUE(rapt_test::same_bits(to.body.weight().value(), body));
  rapt::Linear<float> other(3, 4, rng);
  const std::string missing = rapt_test::error_text<rapt::ValueError>([&] { rapt::copy_parameters(from, other, all); });
  EXPECT_NE(missing.find("no parameter \"body.weight\""), std::string::npos) << missing;
}

}  // namespace
