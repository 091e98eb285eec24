// The parts of a training step of translate's presets, and whole steps over processes, for measure.py:
//
//   mpirun -n 2 scale_worker '{"task": "train", "preset": "small", "micro_batches": 2}'
//
// Rank 0 prints one line of JSON: what was asked for, the sizes of the model's parameters, and for each rank the list
// of what it measured. All seconds are lists of one number a step.
//
//   sizes     nothing but the model.
//   batches   one process alone. Nothing is timed: the configuration of the model, and the batches of "train" with the
//             same fields as lists of token ids; the initial weights of "train" go to the file "weights".
//   compute   one process alone. Forward and backward of a batch, by the clock and of the processor; the norm of the
//             gradients; the update by Adam; the addition of all gradients to a second set of them.
//   round_trip  a byte from rank 0 to rank 1 and back.
//   exchange  the exchange of gradients that are there already: agreement, sums, norm, as in a step of the Trainer.
//   train     steps of the ordinary Trainer: by the clock, of the processor, inside the communicator; the messages that
//             a rank sends, and their bytes; the loss of each; begin and end by the machine's monotonic clock.
//
// Further fields, with their defaults: "vocabulary" (10000), "tokens" (2048; of a batch at most, source and target
// each), "micro_batches" (the number of processes), "steps" (5), "uncounted" (1; steps before those), "threads" (1),
// "shard_optimizer" (false), "exchange" ("float32" or "bfloat16"), "overlap" (true; whether gradients travel during
// backward), "bucket_bytes" (the Trainer's), "dropout" (null: the preset's), "meeting" (""; a folder in which "train"
// waits for as many processes as "runs", 1, before its first step). The sentences are made up: 8 to 21 random tokens,
// and up to two more or fewer of the other language.
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <rapt/distributed/mpi_session.hpp>
#include <rapt/distributed/text_collectives.hpp>
#include <rapt/io/model_file.hpp>
#include <rapt/rapt.hpp>
#include <rapt/train/processes.hpp>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "../common/json_batches.hpp"

namespace {

using nlohmann::json;
using rapt::Index;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Of all threads of this process.
double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Another communicator, of which it counts what passes through.
class CountingCommunicator final : public rapt::Communicator {
 public:
  struct Count {
    double seconds = 0;
    Index operations = 0, messages = 0, bytes = 0;  // of those that were sent
  };

  explicit CountingCommunicator(rapt::Communicator& communicator) : communicator_(communicator) {}

  [[nodiscard]] Index rank() const override { return communicator_.rank(); }
  [[nodiscard]] Index size() const override { return communicator_.size(); }
  void exchange(std::span<const rapt::OutgoingMessage> outgoing,
                std::span<const rapt::IncomingMessage> incoming) override {
    const auto start = Clock::now();
    communicator_.exchange(outgoing, incoming);
    count_.seconds += seconds_since(start);
    ++count_.operations;
    count_.messages += std::ssize(outgoing);
    for (const rapt::OutgoingMessage& message : outgoing) count_.bytes += std::ssize(message.bytes);
  }
  void announce_failure(std::string_view cause) noexcept override { communicator_.announce_failure(cause); }

  /// What has passed since the last call.
  [[nodiscard]] Count take() { return std::exchange(count_, {}); }

 private:
  rapt::Communicator& communicator_;
  Count count_;
};

/// Lists of numbers by name, one number a step; those of the first steps are left out.
class Measurements {
 public:
  explicit Measurements(Index uncounted) : uncounted_(uncounted) {}

  void begin_step() { ++step_; }
  void add(const char* name, double value) {
    if (step_ > uncounted_) lists_[name].push_back(value);
  }
  [[nodiscard]] json lists() const { return lists_; }

 private:
  Index uncounted_, step_ = 0;
  json lists_ = json::object();
};

std::vector<rapt::TokenPair> sentences(Index count, Index vocabulary) {
  rapt::Rng rng(1);
  std::vector<rapt::TokenPair> pairs(rapt::to_size(count));
  const auto fill = [&](std::vector<rapt::TokenId>& tokens, Index length) {
    tokens.resize(rapt::to_size(length));
    for (rapt::TokenId& token : tokens) {
      token = static_cast<rapt::TokenId>(4 + rng.below(vocabulary - 4));
    }
  };
  for (rapt::TokenPair& pair : pairs) {
    const Index length = 8 + rng.below(14);
    fill(pair.source, length);
    fill(pair.target, length - 2 + rng.below(5));
  }
  return pairs;
}

rapt::TransformerConfig config_of(const json& task) {
  auto config = rapt::TransformerConfig::preset(task.at("preset").get<std::string>(), task.at("vocabulary"));
  if (!task.at("dropout").is_null()) config.dropout = task.at("dropout");
  return config;
}

class Worker {
 public:
  Worker(const json& task, rapt::Communicator& communicator)
      : task_(task),
        communicator_(communicator),
        model_(config_of(task), rng_),
        steps_(task.at("uncounted").get<Index>() + task.at("steps").get<Index>()),
        measurements_(task.at("uncounted")) {}

  [[nodiscard]] json run() {
    const std::string task = task_.at("task");
    if (task == "batches") return batches();
    if (task == "compute") {
      compute();
    } else if (task == "round_trip") {
      round_trip();
    } else if (task == "exchange") {
      exchange();
    } else if (task == "train") {
      train();
    } else if (task != "sizes") {
      throw rapt::ValueError("there is no task " + task +
                             ": sizes, batches, compute, round_trip, exchange and train are");
    }
    std::vector<Index> sizes;
    for (const auto& node : nodes()) sizes.push_back(node->value.size());
    json ranks = json::array();
    for (const std::string& text : rapt::all_gather_text(communicator_, measurements_.lists().dump())) {
      ranks.push_back(json::parse(text));
    }
    return {{"task", task_},
            {"rapt", rapt::to_string(rapt::build_info())},
            {"processes", communicator_.size()},
            {"sizes", sizes},
            {"ranks", ranks}};
  }

 private:
  [[nodiscard]] rapt::TrainerOptions options() const {
    return {.learning_rate = [](Index) { return 1e-4; },
            .micro_batches = task_.at("micro_batches"),
            .communicator = communicator_.size() > 1 ? &communicator_ : nullptr,
            .shard_optimizer = task_.at("shard_optimizer"),
            .gradient_exchange = exchange_in(),
            .bucket_bytes = task_.at("bucket_bytes"),
            .overlap_exchange = task_.at("overlap")};
  }
  [[nodiscard]] rapt::GradientExchange exchange_in() const {
    const std::string name = task_.at("exchange");
    rapt::require(name == "float32" || name == "bfloat16", "scale_worker", "exchange is float32 or bfloat16, not ",
                  name);
    return name == "bfloat16" ? rapt::GradientExchange::bfloat16 : rapt::GradientExchange::float32;
  }
  [[nodiscard]] std::vector<std::shared_ptr<rapt::Node<float>>> nodes() const {
    std::vector<std::shared_ptr<rapt::Node<float>>> result;
    rapt::for_each_parameter(model_,
                             [&](const std::string&, const auto& parameter) { result.push_back(parameter.node()); });
    return result;
  }
  /// Sentences for some more batches than the steps have.
  [[nodiscard]] std::vector<rapt::TokenPair> pairs() const {
    const Index batches = (steps_ + 1) * task_.at("micro_batches").get<Index>();
    return sentences(batches * task_.at("tokens").get<Index>() / 15, task_.at("vocabulary"));
  }
  [[nodiscard]] rapt::BatchOptions batching() const { return {.tokens = task_.at("tokens")}; }

  /// Runs f and notes its seconds.
  template <class F>
  void time(const char* name, const F& f) {
    const auto start = Clock::now();
    f();
    measurements_.add(name, seconds_since(start));
  }

  [[nodiscard]] json batches() const {
    rapt::save_model(task_.at("weights").get<std::string>(), model_);
    const std::vector<rapt::TokenPair> corpus = pairs();
    rapt::BatchStream stream(corpus, batching());
    json batches = json::array();
    for (Index i = steps_ * task_.at("micro_batches").get<Index>(); i > 0; --i) {
      batches.push_back(bench::to_json(stream.next()));
    }
    return {{"task", task_}, {"config", json::parse(config_to_json(model_.config()))}, {"batches", batches}};
  }

  void compute() {
    const std::vector<rapt::TokenPair> corpus = pairs();
    rapt::BatchStream stream(corpus, batching());
    rapt::Adam adam(model_);
    std::vector<rapt::Tensor<float>> sums;
    for (const auto& node : nodes()) sums.emplace_back(node->value.shape());
    for (Index i = 0; i < steps_; ++i) {
      measurements_.begin_step();
      const rapt::TranslationBatch batch = stream.next();
      const double begin = processor_seconds();
      time("forward_backward", [&] {
        const rapt::Training scope(rng_);
        rapt::backward(model_.loss(batch, {.label_smoothing = 0.1f}));
      });
      measurements_.add("processor", processor_seconds() - begin);
      measurements_.add("tokens", static_cast<double>(batch.source.size() + batch.target_input.size()));
      time("add", [&] {
        std::size_t n = 0;
        for (const auto& node : nodes()) {
          const rapt::Tensor<float>& gradient = node->grad;
          rapt::add_gradient(sums[n].data(), gradient.data(), gradient.size(), rapt::GradientExchange::float32);
          ++n;
        }
      });
      time("norm", [&] { norm_ += rapt::gradient_norm(model_); });
      time("update", [&] { adam.step(1e-4); });
    }
    rapt::require(norm_ > 0, "scale_worker", "the gradients are ", norm_);
  }

  void round_trip() {
    rapt::require(communicator_.size() == 2, "scale_worker", "a round trip has two processes: ", communicator_.size());
    std::array<std::byte, 1> byte{};
    const Index other = 1 - communicator_.rank();
    const rapt::OutgoingMessage send{other, byte};
    const rapt::IncomingMessage receive{other, byte};
    rapt::barrier(communicator_);
    for (Index i = 0; i < steps_; ++i) {
      measurements_.begin_step();
      time("round_trip", [&] {
        for (Index turn = 0; turn < 2; ++turn) {
          if (turn == communicator_.rank()) {
            communicator_.exchange({&send, 1}, {});
          } else {
            communicator_.exchange({}, {&receive, 1});
          }
        }
      });
    }
  }

  void exchange() {
    std::vector<std::string> names;
    rapt::for_each_parameter(model_, [&](const std::string& name, const auto&) { names.push_back(name); });
    for (const auto& node : nodes()) {
      node->grad = rapt::Tensor<float>(node->value.shape());
      std::fill_n(node->grad.data(), node->grad.size(), 0.25f);
    }
    const rapt::MicroBatchShare share = rapt::micro_batch_share(task_.at("micro_batches"), communicator_.size());
    rapt::GradientExchanger<float> exchanger(
        std::move(names), nodes(), communicator_,
        {.contributors = share.contributors, .exchange = exchange_in(), .bucket_bytes = task_.at("bucket_bytes")});
    for (Index i = 0; i < steps_; ++i) {
      measurements_.begin_step();
      rapt::barrier(communicator_);
      const double begin = processor_seconds();
      time("agree", [&] { norm_ += exchanger.agree({.loss = 1, .learning_rate = 1, .signals = {}}).loss; });
      time("add_up", [&] { exchanger.add_up(/*everywhere=*/true); });
      time("norm", [&] { norm_ += exchanger.norm(); });
      measurements_.add("processor", processor_seconds() - begin);
    }
  }

  /// Returns when as many processes have come here as the task says.
  void meet() const {
    const std::string folder = task_.at("meeting");
    if (folder.empty()) return;
    std::ofstream(folder + "/" + std::to_string(::getpid())).close();
    using Entries = std::filesystem::directory_iterator;
    while (std::distance(Entries(folder), Entries()) < task_.at("runs").get<Index>()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  void train() {
    const std::vector<rapt::TokenPair> corpus = pairs();
    rapt::BatchStream stream(corpus, batching());
    CountingCommunicator counting(communicator_);
    rapt::TrainerOptions options = this->options();
    if (options.communicator != nullptr) options.communicator = &counting;
    rapt::Trainer trainer(model_, options);
    meet();
    auto start = Clock::now();
    double begin = processor_seconds();
    const auto report = [&](const rapt::Progress& progress) {
      measurements_.begin_step();
      measurements_.add("loss", progress.loss);
      const auto end = Clock::now();
      measurements_.add("step", std::chrono::duration<double>(end - start).count());
      measurements_.add("begin", std::chrono::duration<double>(start.time_since_epoch()).count());
      measurements_.add("end", std::chrono::duration<double>(end.time_since_epoch()).count());
      measurements_.add("processor", processor_seconds() - begin);
      const CountingCommunicator::Count count = counting.take();
      measurements_.add("communicating", count.seconds);
      measurements_.add("operations", static_cast<double>(count.operations));
      measurements_.add("messages", static_cast<double>(count.messages));
      measurements_.add("bytes", static_cast<double>(count.bytes));
      start = Clock::now();
      begin = processor_seconds();
    };
    trainer.run(
        stream, {.steps = steps_}, [] { return 0.0; }, report);
  }

  const json& task_;
  rapt::Communicator& communicator_;
  rapt::Rng rng_{1};
  rapt::Transformer<float> model_;
  Index steps_;
  Measurements measurements_;
  double norm_ = 0;  // so that nothing that is timed goes unused
};

}  // namespace

int main(int count, char** arguments) {
  rapt::MpiSession session;
  return session.run("scale_worker", [&](rapt::Communicator& communicator) {
    rapt::require(count == 2, "scale_worker", "give one task, a JSON object: ", count - 1, " arguments");
    json task{{"vocabulary", 10000},
              {"tokens", 2048},
              {"micro_batches", communicator.size()},
              {"steps", 5},
              {"uncounted", 1},
              {"threads", 1},
              {"exchange", "float32"},
              {"overlap", true},
              {"shard_optimizer", false},
              {"bucket_bytes", rapt::TrainerOptions().bucket_bytes},
              {"dropout", nullptr},
              {"meeting", ""},
              {"runs", 1}};
    task.update(json::parse(arguments[1]));
    rapt::set_threads(task.at("threads").get<Index>());
    const json result = Worker(task, communicator).run();
    if (communicator.rank() == 0) std::printf("%s\n", result.dump().c_str());
    return 0;
  });
}
