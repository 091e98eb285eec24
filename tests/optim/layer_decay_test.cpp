/// \file
/// The learning rates of layers, by hand.
#include "rapt/optim/layer_decay.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rapt/optim/sgd.hpp"
#include "tests/common/expect_close.hpp"
#include "tests/common/optimizer_cases.hpp"

namespace {

using rapt::Shape;

/// A layer of one number.
struct OneNumber {
  rapt::Parameter<double> weight{rapt::Tensor<double>(Shape{1}, 1.0)};
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight);
  }
};

struct NumberStack {
  std::vector<OneNumber> layers;
  OneNumber norm;
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("layers", self.layers);
    visitor("norm", self.norm);
  }
};

struct EncoderAndDecoder {
  using ScalarType = double;
  OneNumber players, head;  // "players.weight" is in no layer, whatever it sounds like
  NumberStack encoder{std::vector<OneNumber>(2), {}}, decoder{std::vector<OneNumber>(3), {}};
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("players", self.players);
    visitor("encoder", self.encoder);
    visitor("decoder", self.decoder);
    visitor("head", self.head);
  }
};

TEST(LayerDecay, RatesFallTowardsTheInput) {
  EncoderAndDecoder model;
  rapt::Sgd<double> optimizer(model, {});
  rapt::set_layer_decay(optimizer, 0.5);
  rapt::for_each_parameter(model, [](const std::string&, rapt::Parameter<double>& parameter) {
    rapt_test::set_gradient(parameter, rapt::Tensor<double>(Shape{1}, 1.0));
  });
  optimizer.step(0.25);
  const std::map<std::string, double> expected = {{"players.weight", 1 - 0.25 / 16},
                                                  {"encoder.layers.0.weight", 1 - 0.25 / 4},
                                                  {"encoder.layers.1.weight", 1 - 0.25 / 2},
                                                  {"encoder.norm.weight", 1 - 0.25},
                                                  {"decoder.layers.0.weight", 1 - 0.25 / 8},
                                                  {"decoder.layers.1.weight", 1 - 0.25 / 4},
                                                  {"decoder.layers.2.weight", 1 - 0.25 / 2},
                                                  {"decoder.norm.weight", 1 - 0.25},
                                                  {"head.weight", 1 - 0.25}};
  std::size_t count = 0;
  rapt::for_each_parameter(model, [&](const std::string& name, const rapt::Parameter<double>& parameter) {
    EXPECT_EQ(*parameter.value().data(), expected.at(name)) << name;
    ++count;
  });
  EXPECT_EQ(count, expected.size());
  rapt::set_layer_decay(optimizer, 1);
  for (const auto& slot : optimizer.slots()) EXPECT_EQ(slot.rate_factor, 1) << slot.name;
}

TEST(LayerDecay, WhatCannotBeIsRefused) {
  EncoderAndDecoder model;
  rapt::Sgd<double> optimizer(model, {});
  for (const double decay : {0.0, -0.5, 1.5}) {
    rapt_test::expect_message<rapt::ValueError>([&] { rapt::set_layer_decay(optimizer, decay); },
                                                "greater than 0 and at most 1");
  }
  OneNumber one;
  rapt::Sgd<double> of_one(one, {});
  rapt_test::expect_message<rapt::ValueError>([&] { rapt::set_layer_decay(of_one, 0.5); }, "none of the 1 parameters");
}

}  // namespace
