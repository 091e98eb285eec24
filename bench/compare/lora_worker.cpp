// rapt's side of lora.py: steps of Adam on an adapter of a GPT-2 or BERT whose weights are frozen. Reads commands, one
// JSON object a line, and answers each with one line; {"error": "..."} when it fails.
//
//   open  model (gpt2 or bert), folder, adapter, batches, weights (computed, stored or int8), threads, precision,
//         recompute. The model of a Hugging Face folder, PEFT's adapter, and a file of batches: "ids" [steps, B, L]
//         and, for BERT, "labels" [steps, B].
//
//   run   uncounted, counted. Answers the seconds of each counted step, by the clock and of the processors, the losses
//         of all steps, and the resident memory of the process in bytes: now, and at most.
#include <chrono>
#include <ctime>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <rapt/core/index.hpp>
#include <rapt/nn/with_lora.hpp>
#include <rapt/pretrained/adapter_folder.hpp>
#include <rapt/pretrained/bert.hpp>
#include <rapt/pretrained/gpt.hpp>
#include <rapt/rapt.hpp>

#include "json_lines.hpp"

namespace {

using nlohmann::json;
using rapt::Index;
using rapt::Tensor;
using rapt::TokenId;

/// The sequences of batch number `step` of ids [steps, B, L].
rapt::TokenBatch sequences_of(const Tensor<TokenId>& ids, Index step) {
  const Index count = ids.shape()[1], length = ids.shape()[2];
  std::vector<std::vector<TokenId>> sequences;
  for (Index i = 0; i < count; ++i) {
    const TokenId* const begin = ids.data() + (step * count + i) * length;
    sequences.emplace_back(begin, begin + length);
  }
  return rapt::TokenBatch(sequences);
}

/// Every token but the last of each sequence predicts the next one.
rapt::LanguageBatch batch_for(const rapt::Gpt<float>&, const rapt::SafetensorsFile& file, Index step) {
  rapt::LanguageBatch batch;
  batch.input = sequences_of(file.read<TokenId>("ids"), step);
  const rapt::RowSplits& splits = batch.input.row_splits;
  for (Index i = 0; i < splits.sequences(); ++i) {
    for (Index row = splits.begin(i); row + 1 < splits.end(i); ++row) {
      batch.rows.push_back(static_cast<std::int32_t>(row));
      batch.targets.push_back(rapt::at(batch.input.tokens, row + 1));
    }
  }
  return batch;
}
rapt::LabelledText batch_for(const rapt::Bert<float>&, const rapt::SafetensorsFile& file, Index step) {
  const auto labels = file.read<std::int32_t>("labels");
  const Index count = labels.shape()[1];
  return {.input = sequences_of(file.read<TokenId>("ids"), step),
          .labels = {labels.data() + step * count, labels.data() + (step + 1) * count}};
}

template <class Model>
class Training {
 public:
  Training(const json& command, rapt::LoadedWeights weights, std::vector<std::string> trained)
      : model_(rapt::from_pretrained<Model>(command.at("folder").get<std::string>(), {.weights = weights})),
        lora_(rapt::load_adapter(command.at("adapter").get<std::string>(), model_)),
        adapted_(model_, lora_, std::move(trained)),
        adam_(adapted_, {.beta2 = 0.999, .epsilon = 1e-8}),
        recompute_(command.at("recompute")) {
    const rapt::SafetensorsFile file(command.at("batches").get<std::string>());
    const Index steps = file.read<TokenId>("ids").shape()[0];
    for (Index step = 0; step < steps; ++step) batches_.push_back(batch_for(model_, file, step));
    rapt::release_unused_memory();
  }

  float step() {
    const rapt::RecomputeActivations recompute(recompute_);
    const rapt::Training scope(rng_);
    const rapt::Variable<float> loss = adapted_.loss(batches_[rapt::to_size(adam_.steps()) % batches_.size()]);
    rapt::backward(loss);
    adam_.step(1e-3);
    return loss.item();
  }

 private:
  rapt::Rng rng_{1};
  Model model_;
  rapt::Lora<float> lora_;
  rapt::WithLora<Model> adapted_;
  rapt::Adam<float> adam_;
  std::vector<decltype(batch_for(std::declval<Model>(), std::declval<const rapt::SafetensorsFile&>(), Index{}))>
      batches_;
  bool recompute_;
};

/// A line of /proc/self/status, in bytes.
double memory_of_process(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (double kib = 0; word == key + ":" && status >> kib) return kib * 1024;
  }
  return 0;
}

class Worker {
 public:
  json answer(const json& command) {
    const std::string name = command.at("command");
    if (name == "open") return open(command);
    if (name == "run") return run(command.at("uncounted"), command.at("counted"));
    if (name == "losses") return {{"losses", losses_}};
    if (name == "resident") return {{"now", memory_of_process("VmRSS")}, {"peak", memory_of_process("VmHWM")}};
    throw std::runtime_error("no command " + name);
  }

 private:
  json open(const json& command) {
    const std::map<std::string, rapt::LoadedWeights> types{{"computed", rapt::LoadedWeights::computed},
                                                           {"stored", rapt::LoadedWeights::stored},
                                                           {"int8", rapt::LoadedWeights::int8}};
    const std::map<std::string, rapt::Precision> precisions{
        {"highest", rapt::Precision::highest}, {"high", rapt::Precision::high}, {"medium", rapt::Precision::medium}};
    rapt::set_threads(command.at("threads").get<Index>());
    rapt::set_precision(precisions.at(command.at("precision")));
    const rapt::LoadedWeights weights = types.at(command.at("weights"));
    if (command.at("model") == "gpt2") {
      step_ = [training = std::make_shared<Training<rapt::Gpt<float>>>(command, weights, std::vector<std::string>{})] {
        return training->step();
      };
    } else {
      step_ = [training = std::make_shared<Training<rapt::Bert<float>>>(
                   command, weights, std::vector<std::string>{"classifier.*"})] { return training->step(); };
    }
    return json::object();
  }

  json run(Index uncounted, Index counted) {
    std::vector<double> seconds, processor;
    for (Index i = 0; i < uncounted + counted; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const std::clock_t begin = std::clock();
      losses_.push_back(step_());
      if (i < uncounted) continue;
      processor.push_back(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return {{"seconds", seconds}, {"processor", processor}};
  }

  std::function<float()> step_;
  std::vector<float> losses_;
};

}  // namespace

int main() { answer_json_lines(Worker()); }
