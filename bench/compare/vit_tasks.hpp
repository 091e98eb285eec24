// What worker.cpp does with a Vision Transformer: train it on batches of images.
#pragma once

#include <nlohmann/json.hpp>
#include <rapt/pretrained/vit.hpp>
#include <rapt/rapt.hpp>

/// Steps of AdamW on batches that are taken in turn.
class VitTraining {
 public:
  explicit VitTraining(const nlohmann::json& command)
      : model_(rapt::from_pretrained<rapt::Vit<float>>(command.at("folder").get<std::string>())),
        adam_(model_, {.beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.05}) {
    const rapt::SafetensorsFile file(command.at("batches").get<std::string>());
    for (int i = 0; file.contains("pixels." + std::to_string(i)); ++i) {
      const auto pixels = file.read<float>("pixels." + std::to_string(i));  // [B, C * H * W]
      const auto labels = file.read<rapt::TokenId>("labels." + std::to_string(i));
      batches_.push_back(
          {.images = {pixels, model_.config().grid.image}, .labels = {labels.values().begin(), labels.values().end()}});
    }
  }

  void step() {
    const rapt::Training scope(rng_);
    const rapt::Variable<float> loss = model_.loss(batches_.at(losses_.size() % batches_.size()));
    rapt::backward(loss);
    adam_.step(1e-4);
    losses_.push_back(loss.item());
  }

  /// Of all steps since the start.
  [[nodiscard]] nlohmann::json losses() const { return {{"losses", losses_}}; }

 private:
  rapt::Rng rng_{1};
  rapt::Vit<float> model_;
  rapt::Adam<float> adam_;
  std::vector<rapt::LabelledImages<float>> batches_;
  std::vector<float> losses_;
};
