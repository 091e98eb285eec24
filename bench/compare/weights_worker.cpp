// rapt's side of weights.py: a Llama whose matrices are kept in a type of the caller's choice. Reads commands, one JSON
// object a line, and answers each with one line; {"error": "..."} when it fails.
//
//   open        folder, weights, threads, precision
//               folder: of Hugging Face, or a GGUF file; weights: computed, stored, int8 or int4
//               answers with the process's memory in bytes, anonymous and mapped, and its peak
//   generate    prompt, new_tokens: the tokens of greedy search
//   loss        text, length: mean over the bytes of a text file, in nats, by windows
//   bandwidth   bytes of plain memory that all threads read in a second, of the clock and of the processors
#include <chrono>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <rapt/core/index.hpp>
#include <rapt/data/windows.hpp>
#include <rapt/generation/greedy.hpp>
#include <rapt/kernels/simd.hpp>
#include <rapt/models/llama.hpp>
#include <rapt/pretrained/llama.hpp>

#include "json_lines.hpp"

namespace {

using nlohmann::json;
using rapt::Index;

/// What all threads of the process have taken of the processors, in seconds.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// A line of /proc/self/status, in bytes.
double memory_of_process(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (double kib = 0; word == key + ":" && status >> kib) return kib * 1024;
  }
  return 0;
}

class Task {
 public:
  json answer(const json& command) {
    const std::string name = command.at("command");
    if (name == "open") return open(command);
    if (name == "generate") return generate(command);
    if (name == "loss") return loss(command);
    if (name == "bandwidth") return bandwidth();
    throw std::runtime_error("no command " + name);
  }

 private:
  json open(const json& command) {
    const std::map<std::string, rapt::LoadedWeights> types{{"computed", rapt::LoadedWeights::computed},
                                                           {"stored", rapt::LoadedWeights::stored},
                                                           {"int8", rapt::LoadedWeights::int8},
                                                           {"int4", rapt::LoadedWeights::int4}};
    const std::map<std::string, rapt::Precision> precisions{
        {"highest", rapt::Precision::highest}, {"high", rapt::Precision::high}, {"medium", rapt::Precision::medium}};
    rapt::set_threads(command.at("threads").get<Index>());
    rapt::set_precision(precisions.at(command.at("precision")));
    model_.emplace(rapt::from_pretrained<rapt::Llama<float>>(command.at("folder").get<std::string>(),
                                                             {.weights = types.at(command.at("weights"))}));
    return {{"anonymous", memory_of_process("RssAnon")},
            {"mapped", memory_of_process("RssFile")},
            {"peak", memory_of_process("VmHWM")}};
  }

  json generate(const json& command) const {
    const rapt::TokenBatch prompt({command.at("prompt").get<std::vector<rapt::TokenId>>()});
    rapt::SearchRequest request;
    request.marks = model_->sequence_marks();
    request.marks->ends.clear();
    const rapt::GenerationOptions options{.extra_length = command.at("new_tokens")};
    const auto found = rapt::greedy_search(*model_, prompt, options, request);
    return {{"tokens", found.front().tokens}};
  }

  json loss(const json& command) const {
    std::ifstream file(command.at("text").get<std::string>(), std::ios::binary);
    std::vector<rapt::TokenId> tokens;
    for (char c = 0; file.get(c);) tokens.push_back(static_cast<unsigned char>(c));
    double sum = 0;
    std::size_t targets = 0;
    for (const auto& batch : rapt::all_windows(tokens, 16, command.at("length").get<Index>())) {
      sum += static_cast<double>(model_->loss(batch).item()) * static_cast<double>(batch.targets.size());
      targets += batch.targets.size();
    }
    return {{"loss", sum / static_cast<double>(targets)}, {"targets", targets}};
  }

  static json bandwidth() {
    constexpr Index kParts = 64, kPart = Index{1} << 20;
    const std::vector<float> numbers(rapt::to_size(kParts * kPart), 1.f);
    std::vector<float> sums(rapt::to_size(kParts));
    double best = 0, best_of_processors = 0;
    const auto bytes = static_cast<double>(numbers.size()) * sizeof(float);
    for (int round = 0; round < 5; ++round) {
      const double begin = processor_seconds();
      const auto clock = std::chrono::steady_clock::now();
      rapt::parallel_parts(kParts, [&](Index part) {
        rapt::simd::with_simd([&](auto isa) __attribute__((always_inline)) {
          constexpr Index kWidth = rapt::simd::kLanes<decltype(isa), float>;
          rapt::simd::Native<decltype(isa), float> sum[8] = {};
          const float* from = numbers.data() + part * kPart;
          for (Index i = 0; i < kPart; i += 8 * kWidth) {
            for (Index k = 0; k < 8; ++k) {
              rapt::simd::Native<decltype(isa), float> x;
              rapt::simd::load(x, from + i + k * kWidth);
              sum[k] += x;
            }
          }
          for (Index k = 1; k < 8; ++k) sum[0] += sum[k];
          rapt::at(sums, part) = sum[0][0];
        });
      });
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - clock;
      best = std::max(best, bytes / seconds.count());
      best_of_processors = std::max(best_of_processors, bytes / (processor_seconds() - begin));
    }
    return {{"bytes_per_second", best}, {"bytes_per_processor_second", best_of_processors}, {"sum", sums.front()}};
  }

  std::optional<rapt::Llama<float>> model_;
};

}  // namespace

int main() { answer_json_lines(Task()); }
