// What worker.cpp does with a GPT: train it on windows of a text, and continue a prompt.
#pragma once

#include <nlohmann/json.hpp>
#include <rapt/data/windows.hpp>
#include <rapt/generation/greedy.hpp>
#include <rapt/pretrained/gpt.hpp>
#include <rapt/rapt.hpp>

/// Training as nanoGPT does it: windows at given places, AdamW on matrices, clipping, a cosine schedule.
class GptTraining {
 public:
  explicit GptTraining(const nlohmann::json& command)
      : model_(rapt::from_pretrained<rapt::Gpt<float>>(command.at("folder").get<std::string>())),
        adam_(model_, {.beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0.1, .decay_vectors = false}),
        starts_(command.at("starts").get<std::vector<std::vector<std::size_t>>>()),
        context_(command.at("context")),
        schedule_{.peak = command.at("peak"),
                  .warmup = command.at("warmup"),
                  .steps = command.at("steps"),
                  .floor = command.at("floor")} {
    const rapt::SafetensorsFile file(command.at("tokens").get<std::string>());
    train_ = tokens(file, "train");
    validation_ = tokens(file, "validation");
  }

  void step() {
    rapt::LanguageBatch batch;
    for (const std::size_t start : starts_[static_cast<std::size_t>(adam_.steps()) % starts_.size()]) {
      rapt::detail::add_window(batch, train_, start, context_);
    }
    const rapt::Training scope(rng_);
    const rapt::Variable<float> loss = model_.loss(batch);
    rapt::backward(loss);
    adam_.step(schedule_(adam_.steps() + 1), rapt::clip_factor(rapt::gradient_norm(model_), 1.0));
    last_loss_ = loss.item();
  }

  /// Over the first tokens of the validation text, in windows.
  [[nodiscard]] nlohmann::json validation_loss(std::size_t count) const {
    double sum = 0;
    std::size_t targets = 0;
    const std::span<const rapt::TokenId> part = std::span(validation_).first(std::min(count, validation_.size()));
    for (const auto& batch : rapt::all_windows(part, 64, static_cast<rapt::Index>(context_))) {
      sum += static_cast<double>(model_.loss(batch).item()) * static_cast<double>(batch.targets.size());
      targets += batch.targets.size();
    }
    return {{"loss", sum / static_cast<double>(targets)}, {"last_training_loss", last_loss_}};
  }

 private:
  static std::vector<rapt::TokenId> tokens(const rapt::SafetensorsFile& file, const char* name) {
    const auto numbers = file.read<rapt::TokenId>(name);
    return {numbers.values().begin(), numbers.values().end()};
  }

  rapt::Rng rng_{1};
  rapt::Gpt<float> model_;
  rapt::Adam<float> adam_;
  std::vector<std::vector<std::size_t>> starts_;
  std::size_t context_;
  rapt::CosineSchedule schedule_;
  std::vector<rapt::TokenId> train_, validation_;
  float last_loss_ = 0;
};

/// Greedy search behind prompts.
class GptGeneration {
 public:
  explicit GptGeneration(const nlohmann::json& command)
      : model_(rapt::from_pretrained<rapt::Gpt<float>>(command.at("folder").get<std::string>())),
        prompts_(command.at("prompts").get<std::vector<std::vector<rapt::TokenId>>>()) {
    options_.end = -1;
    options_.extra_length = command.at("new_tokens");
    const std::string weights = command.at("weights");  // as they are, packed, or int8
    if (weights != "as they are") {
      weights == "int8" ? quantize_weights(model_) : pack_weights(model_);
      drop_unpacked_weights(model_);
    }
  }

  void step() { found_ = rapt::greedy_search(model_, prompts_, options_); }
  [[nodiscard]] nlohmann::json tokens() const {
    nlohmann::json lists = nlohmann::json::array();
    for (const rapt::Hypothesis& hypothesis : found_) lists.push_back(hypothesis.tokens);
    return {{"tokens", std::move(lists)}};
  }

 private:
  rapt::Gpt<float> model_;
  rapt::TokenBatch prompts_;
  rapt::GenerationOptions options_;
  std::vector<rapt::Hypothesis> found_;
};
