/// \file
/// The recurrent layers of recurrent.py: sum(states) and its gradients.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>
#include <rapt/autograd/backward.hpp>
#include <rapt/autograd/ops/sum.hpp>
#include <rapt/io/safetensors.hpp>
#include <rapt/nn/recurrent.hpp>

/// An LSTM or GRU with PyTorch's weights on the rows x of sentences laid end to end.
class RecurrentTask {
 public:
  explicit RecurrentTask(const nlohmann::json& command)
      : splits_(rapt::RowSplits::from_lengths(command.at("lengths").get<std::vector<rapt::Index>>())) {
    const rapt::SafetensorsFile input(command.at("input").get<std::string>());
    x_ = rapt::Variable<float>(input.read<float>("x"), /*requires_grad=*/true);
    const rapt::RecurrentOptions options{.layers = command.at("layers"), .bidirectional = command.at("bidirectional")};
    const rapt::Index hidden = command.at("hidden");
    rapt::Rng rng(1);
    if (command.at("kind").get<std::string>() == "LSTM") {
      layer_ = std::make_unique<rapt::Lstm<float>>(x_.cols(), hidden, rng, options);
    } else {
      layer_ = std::make_unique<rapt::Gru<float>>(x_.cols(), hidden, rng, options);
    }
    std::visit(
        [&](const auto& layer) {
          rapt::for_each_parameter(*layer, [&](const std::string& name, auto& parameter) {
            input.read_into(name, parameter.mutable_value());
          });
        },
        layer_);
  }

  void step() {
    x_.clear_grad();
    const rapt::Recording scope;
    std::visit(
        [&](const auto& layer) {
          clear_gradients(*layer);
          states_ = (*layer)(x_, splits_).states;
        },
        layer_);
    rapt::backward(rapt::sum(states_));
  }

  /// The states and all gradients.
  [[nodiscard]] std::vector<rapt::SafetensorsEntry> results() const {
    std::vector<rapt::SafetensorsEntry> entries{{"output", states_.value().view()}, {"grad_x", x_.grad().view()}};
    std::visit(
        [&](const auto& layer) {
          rapt::for_each_parameter(*layer, [&](const std::string& name, const auto& parameter) {
            entries.push_back({"grad_" + name, parameter.grad().view()});
          });
        },
        layer_);
    return entries;
  }

 private:
  rapt::RowSplits splits_;
  rapt::Variable<float> x_, states_;
  std::variant<std::unique_ptr<rapt::Lstm<float>>, std::unique_ptr<rapt::Gru<float>>> layer_;
};
