// rapt's side of the comparisons with other systems. Reads commands, one JSON object a line, and answers each with one
// line: {"command": "run", "uncounted": 1, "counted": 8} -> {"seconds": [0.041, ...]}; {"error": "..."} when it fails.
//
//   info                                                    what this program is and runs on
//   configure     threads, precision                        of everything after it
//   make_batches  source, target, vocabulary, tokens, count from two text files: token ids, as nested lists
//   preset        name, vocabulary                          the configuration of a Transformer
//   transformer   config, weights, batches                  the task becomes: one training step
//   restart       weights                                   the same task from the beginning
//   loss          batch                                     and the norm of its gradients; dropout is off
//   losses                                                  of all steps since the start
//   attention     input, heads, sequences, causal           the task becomes: attention forward and backward
//   gemm          input                                     the task becomes: y = x W^T
//   recurrent     input, kind, hidden, layers,              the task becomes: LSTM or GRU forward and backward on
//                 bidirectional, lengths                    sentences of these lengths
//   encoder       input, weights, layers, heads, d_ff       the task becomes: an encoder on one sentence
//   new_model     config, output                            a Transformer with random weights, as a model file
//   encode        model, lines                              token ids of a text file, by the subwords of a translator
//   detokenize    model, tokens                             the inverse, as lists
//   decoding      model, source, beam_size,                 the task becomes: beam search; scores are divided by the
//                 length_penalty, min_length, max_length,   length to the power of length_penalty
//                 extra_length, int8
//   hypotheses                                              what it found last: token ids and their log-probabilities
//   score         target                                    of given outputs, log-probabilities of each token and </s>
//   gpt_training  folder, tokens, starts, context, peak,    the task becomes: a training step of the GPT in a Hugging
//                 floor, warmup, steps                      Face folder, on windows of the text in `tokens`
//   gpt_loss      count                                     its loss on so many validation tokens
//   gpt_generation  folder, prompts, new_tokens, weights    the task becomes: greedy search behind the prompts
//   gpt_tokens                                              what it found last
//   vit_training  folder, batches                           the task becomes: a training step of the ViT in a Hugging
//                                                           Face folder
//   vit_losses                                              of all its steps
//   run           uncounted, counted                        does the task so often; seconds of each counted time
//   write         output                                    what the task computed last, as safetensors
//   extra_memory                                            bytes of tensors that one run of a fresh task adds at most
//   resident      reset                                     memory of the process: now, and at most since the last
//   reset
//
// input, weights, model and output are names of safetensors files.
#include <chrono>
#include <fstream>
#include <rapt/data/parallel_corpus.hpp>
#include <rapt/generation/scoring.hpp>
#include <rapt/io/model_file.hpp>
#include <rapt/pipelines/translator.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/bpe.hpp>

#include "../common/json_batches.hpp"
#include "gpt_tasks.hpp"
#include "json_lines.hpp"
#include "recurrent_task.hpp"
#include "vit_tasks.hpp"

namespace {

using nlohmann::json;
using rapt::Index;
using Ids = bench::TokenLists;

/// What `run` times.
struct Task {
  std::function<void()> step;
  std::function<std::vector<rapt::SafetensorsEntry>()> results = [] { return std::vector<rapt::SafetensorsEntry>(); };
};

// Batches -------------------------------------------------------------------------------------------------------------

json make_batches(const json& command) {
  rapt::ParallelCorpus corpus =
      rapt::ParallelCorpus::read(command.at("source").get<std::string>(), command.at("target").get<std::string>());
  corpus.drop_empty();
  std::vector<std::string> lines = corpus.source;
  lines.insert(lines.end(), corpus.target.begin(), corpus.target.end());
  const auto subwords = rapt::BytePairEncoding::learn(lines, {.vocabulary_size = command.at("vocabulary")});
  const rapt::BatchOptions options{.tokens = command.at("tokens")};
  std::vector<rapt::TokenPair> pairs;
  for (std::size_t i = 0; i < corpus.source.size(); ++i) {
    rapt::TokenPair pair{subwords.encode(corpus.source[i]), subwords.encode(corpus.target[i])};
    const auto longest = static_cast<Index>(std::max(pair.source.size(), pair.target.size())) + 1;
    if (longest <= options.tokens) pairs.push_back(std::move(pair));
  }
  rapt::BatchStream stream(pairs, options);
  json batches = json::array();
  for (Index i = 0; i < command.at("count").get<Index>(); ++i) batches.push_back(bench::to_json(stream.next()));
  return {{"vocabulary", subwords.vocabulary().size()}, {"batches", std::move(batches)}};
}

// Tasks ---------------------------------------------------------------------------------------------------------------

/// Training a Transformer: each step takes the next batch.
class TransformerTraining {
 public:
  TransformerTraining(const rapt::TransformerConfig& config, const json& batches) : model_(config, rng_) {
    for (const json& lists : batches) batches_.push_back(bench::batch_from(lists));
  }

  void restart(const rapt::SafetensorsFile& weights) {
    load_parameters(model_, weights);
    clear_gradients(model_);
    adam_.reset();
    rng_ = rapt::Rng(1);
    losses_.clear();
  }

  void step() {
    if (!adam_) adam_.emplace(model_);  // only now: its moments belong to the memory of training
    const rapt::TranslationBatch& batch = batches_[losses_.size() % batches_.size()];
    const rapt::Training scope(rng_);
    const rapt::Variable<float> loss = model_.loss(batch, {.label_smoothing = 0.1f});
    rapt::backward(loss);
    adam_->step(1e-4);
    losses_.push_back(loss.item());
  }

  json loss(std::size_t batch) {
    const rapt::Recording scope;
    const rapt::Variable<float> loss = model_.loss(batches_.at(batch), {.label_smoothing = 0.1f});
    rapt::backward(loss);
    const double norm = rapt::gradient_norm(model_);
    clear_gradients(model_);
    return {{"loss", loss.item()}, {"gradient_norm", norm}};
  }

  /// Of all steps since the start.
  [[nodiscard]] const std::vector<float>& losses() const { return losses_; }

 private:
  rapt::Rng rng_{1};
  rapt::Transformer<float> model_;
  std::vector<rapt::TranslationBatch> batches_;
  std::optional<rapt::Adam<float>> adam_;
  std::vector<float> losses_;
};

/// Beam search over sentences of which each ends with </s>: those of like length together, as rapt::Translator does it.
class Decoding {
 public:
  explicit Decoding(const json& command)
      : model_(
            rapt::load_model<rapt::Transformer<float>>(rapt::SafetensorsFile(command.at("model").get<std::string>()))),
        sources_(rapt::TokenBatch(command.at("source").get<Ids>())),
        batch_tokens_(batch_tokens_for(model_)) {
    command.value("int8", false) ? quantize_weights(model_) : pack_weights(model_);
    options_.beam_size = command.at("beam_size");
    options_.length_penalty = command.at("length_penalty");
    options_.length_normalisation = rapt::LengthNormalisation::plain;
    options_.generation.min_length = command.at("min_length");
    options_.generation.max_length = command.at("max_length");
    options_.generation.extra_length = command.at("extra_length");
  }

  void step() {
    found_ = search_in_batches(sources_, {}, batch_tokens_,
                               [&](const rapt::TokenBatch& batch, const rapt::SearchRequest& request) {
                                 return beam_search_n_best(model_, batch, 1, options_, request);
                               });
  }

  [[nodiscard]] json hypotheses() const {
    json tokens = json::array(), log_probabilities = json::array();
    for (const auto& list : found_) {
      tokens.push_back(list.front().tokens);
      log_probabilities.push_back(list.front().log_probability);
    }
    return {{"tokens", std::move(tokens)}, {"log_probabilities", std::move(log_probabilities)}};
  }

  /// Of targets for the first sources.
  [[nodiscard]] json score(const Ids& targets) const {
    rapt::TokenBatch sources;
    for (Index i = 0; i < std::min(static_cast<Index>(targets.size()), sources_.sequences()); ++i) {
      sources.push_back(sources_.sequence(i));
    }
    json each = json::array();
    for (const rapt::TargetScore& target : rapt::score(model_, sources, rapt::TokenBatch(targets))) {
      each.push_back(target.of_each_token);
    }
    return {{"log_probabilities", std::move(each)}};
  }

 private:
  rapt::Transformer<float> model_;
  rapt::TokenBatch sources_;
  Index batch_tokens_;
  rapt::BeamSearchOptions options_;
  std::vector<std::vector<rapt::Hypothesis>> found_;
};

/// sum(attention(query, key, value)) and its gradients; query, key and value [N, D] of sequences of one length.
Task attention_task(const json& command) {
  struct State {
    rapt::Variable<float> query, key, value, output;
    rapt::RowSplits splits;
    rapt::AttentionOptions<float> options;
  };
  const auto state = std::make_shared<State>();
  const rapt::SafetensorsFile input(command.at("input").get<std::string>());
  state->query = rapt::Variable<float>(input.read<float>("query"), /*requires_grad=*/true);
  state->key = rapt::Variable<float>(input.read<float>("key"), /*requires_grad=*/true);
  state->value = rapt::Variable<float>(input.read<float>("value"), /*requires_grad=*/true);
  const Index sequences = command.at("sequences");
  state->splits = rapt::RowSplits::equal(sequences, state->query.rows() / sequences);
  state->options = {.heads = command.at("heads"), .mask = {.causal = command.at("causal").get<bool>()}};
  return {.step =
              [state] {
                for (rapt::Variable<float>* leaf : {&state->query, &state->key, &state->value}) leaf->clear_grad();
                const rapt::Recording scope;
                state->output = rapt::attention(state->query, state->key, state->value, state->splits, state->splits,
                                                state->options);
                rapt::backward(rapt::sum(state->output));
              },
          .results =
              [state] {
                return std::vector<rapt::SafetensorsEntry>{{"output", state->output.value().view()},
                                                           {"grad_query", state->query.grad().view()},
                                                           {"grad_key", state->key.grad().view()},
                                                           {"grad_value", state->value.grad().view()}};
              }};
}

/// y = x W^T   // [M, N] from x [M, K], weight [N, K]
Task gemm_task(const json& command) {
  struct State {
    rapt::Tensor<float> x, weight, y;
  };
  const auto state = std::make_shared<State>();
  const rapt::SafetensorsFile input(command.at("input").get<std::string>());
  state->x = input.read<float>("x");
  state->weight = input.read<float>("weight");
  state->y = rapt::Tensor<float>(rapt::Shape{state->x.rows(), state->weight.rows()});
  return {.step =
              [state] {
                rapt::kernels::gemm(rapt::kernels::as_is(state->x), rapt::kernels::transposed(state->weight), state->y);
              },
          .results =
              [state] {
                return std::vector<rapt::SafetensorsEntry>{{"y", state->y.view()}};
              }};
}

/// A stack of encoder layers on the vectors x [N, D] of one sentence, without gradients.
Task encoder_task(const json& command) {
  struct State {
    rapt::Variable<float> x, y;
    rapt::Encoder<float> encoder;
  };
  const rapt::SafetensorsFile input(command.at("input").get<std::string>());
  rapt::Variable<float> x(input.read<float>("x"));
  const rapt::BlockOptions options{.attention = {.d_model = x.cols(), .heads = command.at("heads")},
                                   .d_ff = command.at("d_ff"),
                                   .activation = rapt::Activation::gelu};
  rapt::Rng rng(1);
  rapt::Encoder<float> encoder(command.at("layers"), options, /*final_norm=*/false, rng);
  load_parameters(encoder, rapt::SafetensorsFile(command.at("weights").get<std::string>()));
  pack_weights(encoder);  // as the other side does when it loads the model
  const auto state = std::make_shared<State>(State{std::move(x), {}, std::move(encoder)});
  return {.step = [state] { state->y = state->encoder(state->x, rapt::RowSplits::equal(1, state->x.rows())); },
          .results =
              [state] {
                return std::vector<rapt::SafetensorsEntry>{{"y", state->y.value().view()}};
              }};
}

// Models and text for decoding ----------------------------------------------------------------------------------------

json new_model(const json& command) {
  const auto config = rapt::config_from_json<rapt::TransformerConfig>(command.at("config").dump(), "worker");
  rapt::Rng rng(1);
  save_model(command.at("output").get<std::string>(), rapt::Transformer<float>(config, rng));
  return json::object();
}

json encode(const json& command) {
  const auto translator = rapt::Translator<>::load(command.at("model").get<std::string>());
  const auto lines = command.at("lines").get<std::string>();
  std::ifstream file(lines);
  rapt::require<rapt::IoError>(file.is_open(), "worker", "cannot read ", std::string_view(lines));
  Ids ids;
  for (std::string line; std::getline(file, line);) ids.push_back(translator.text().encode(line));
  return {{"tokens", ids}};
}

json detokenize(const json& command) {
  const auto translator = rapt::Translator<>::load(command.at("model").get<std::string>());
  json lines = json::array();
  for (const auto& tokens : command.at("tokens").get<Ids>()) lines.push_back(translator.text().decode(tokens));
  return {{"lines", std::move(lines)}};
}

// What the process holds ----------------------------------------------------------------------------------------------

/// A line of Linux' /proc/self/status, in bytes; 0 where there is none.
std::size_t status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return 1024 * std::stoul(line.substr(name.size() + 1));
  }
  return 0;
}

json resident(bool reset) {
  if (reset) std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts anew from what is resident now
  return {{"now", status_bytes("VmRSS")}, {"peak", status_bytes("VmHWM")}};
}

// Commands ------------------------------------------------------------------------------------------------------------

class Worker {
 public:
  json answer(const json& command) {
    const std::string name = command.at("command");
    if (name == "info") return info();
    if (name == "configure") return configure(command);
    if (name == "make_batches") return make_batches(command);
    if (name == "preset") {
      const auto config =
          rapt::TransformerConfig::preset(command.at("name").get<std::string>(), command.at("vocabulary"));
      return json::parse(config_to_json(config));
    }
    if (name == "transformer") return start_training(command);
    if (name == "restart") {
      made(training_).restart(rapt::SafetensorsFile(command.at("weights").get<std::string>()));
      return json::object();
    }
    if (name == "loss") return made(training_).loss(command.at("batch"));
    if (name == "losses") return {{"losses", made(training_).losses()}};
    if (name == "attention") return become(attention_task(command));
    if (name == "gemm") return become(gemm_task(command));
    if (name == "recurrent") {
      const auto task = std::make_shared<RecurrentTask>(command);
      return become({.step = [task] { task->step(); }, .results = [task] { return task->results(); }});
    }
    if (name == "encoder") return become(encoder_task(command));
    if (name == "new_model") return new_model(command);
    if (name == "encode") return encode(command);
    if (name == "detokenize") return detokenize(command);
    if (name == "decoding") return become(std::make_shared<Decoding>(command), decoding_);
    if (name == "hypotheses") return made(decoding_).hypotheses();
    if (name == "score") return made(decoding_).score(command.at("target").get<Ids>());
    if (name == "gpt_training") return become(std::make_shared<GptTraining>(command), gpt_training_);
    if (name == "gpt_loss") return made(gpt_training_).validation_loss(command.at("count"));
    if (name == "gpt_generation") return become(std::make_shared<GptGeneration>(command), gpt_generation_);
    if (name == "gpt_tokens") return made(gpt_generation_).tokens();
    if (name == "vit_training") return become(std::make_shared<VitTraining>(command), vit_training_);
    if (name == "vit_losses") return made(vit_training_).losses();
    if (name == "run") return run(command.at("uncounted"), command.at("counted"));
    if (name == "write") {
      const auto results = task_.results();
      write_safetensors(command.at("output").get<std::string>(), results);
      return json::object();
    }
    if (name == "extra_memory") return extra_memory();
    if (name == "resident") return resident(command.at("reset"));
    rapt::fail("worker", "no command is called '", std::string_view(name), "'");
  }

 private:
  static json info() {
    json units = json::object();
    for (const auto precision : {rapt::Precision::highest, rapt::Precision::high, rapt::Precision::medium}) {
      units[to_string(precision)] = to_string(rapt::matrix_unit(precision));
    }
    return {{"build_info", to_string(rapt::build_info())}, {"threads", rapt::threads()}, {"units", units}};
  }

  static json configure(const json& command) {
    rapt::set_threads(command.at("threads"));
    const std::string wish = command.at("precision");
    for (const auto precision : {rapt::Precision::highest, rapt::Precision::high, rapt::Precision::medium}) {
      if (to_string(precision) != wish) continue;
      rapt::set_precision(precision);
      return info();
    }
    rapt::fail("worker", "no precision is called '", std::string_view(wish), "'");
  }

  json start_training(const json& command) {
    const auto config = rapt::config_from_json<rapt::TransformerConfig>(command.at("config").dump(), "worker");
    const auto training = std::make_shared<TransformerTraining>(config, command.at("batches"));
    training->restart(rapt::SafetensorsFile(command.at("weights").get<std::string>()));
    return become(training, training_);
  }

  /// What an earlier command made.
  template <class Made>
  static Made& made(const std::shared_ptr<Made>& pointer) {
    rapt::require(pointer != nullptr, "worker", "there is nothing yet that this command could speak of");
    return *pointer;
  }
  /// The task becomes `made->step()`.
  template <class Made>
  json become(std::shared_ptr<Made> made, std::shared_ptr<Made>& kept) {
    kept = made;
    return become({.step = [made] { made->step(); }});
  }
  json become(Task task) {
    task_ = std::move(task);
    return json::object();
  }

  json run(Index uncounted, Index counted) const {
    rapt::require(task_.step != nullptr, "worker", "there is no task to run");
    std::vector<double> seconds;
    for (Index i = 0; i < uncounted; ++i) task_.step();
    for (Index i = 0; i < counted; ++i) {
      const auto start = std::chrono::steady_clock::now();
      task_.step();
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return {{"seconds", seconds}};
  }

  json extra_memory() const {
    rapt::require(task_.step != nullptr, "worker", "there is no task to run");
    const std::size_t before = rapt::memory_stats().in_use;
    rapt::reset_peak_memory();
    task_.step();
    return {{"bytes", rapt::memory_stats().peak_in_use - before}};
  }

  Task task_;
  std::shared_ptr<TransformerTraining> training_;
  std::shared_ptr<Decoding> decoding_;
  std::shared_ptr<GptTraining> gpt_training_;
  std::shared_ptr<GptGeneration> gpt_generation_;
  std::shared_ptr<VitTraining> vit_training_;
};

}  // namespace

int main() { answer_json_lines(Worker()); }
