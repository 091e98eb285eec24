// Fine-tunes an encoder of a Hugging Face folder (BERT, RoBERTa, DistilBERT, ELECTRA, ALBERT) on labelled texts, and
// writes a folder that `tasks classify` and transformers open, or with --lora an adapter that PEFT opens.
//
//   finetune --model minilm --train train.tsv --validation dev.tsv --out tuned
//   finetune --model minilm --train train.jsonl --validation dev.jsonl --lora 8 --out adapter
//   finetune ... --freeze "embedding*" --freeze "encoder.layers.0.*"     leaves these parameters as they are
//   finetune ... --folder run                                            can be killed; with --resume it goes on
//
// A table (.tsv) has a first line with the names of its columns, of which "text", "text2" (if there is one) and "label"
// are read; a file of JSON objects (.jsonl) has keys of these names. With --regression labels are numbers. Prints the
// measures of the validation texts after each epoch, and keeps the best model of them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <rapt/data/labelled_texts.hpp>
#include <rapt/nn/lora.hpp>
#include <rapt/nn/transfer.hpp>
#include <rapt/pipelines/labelled_lines.hpp>
#include <rapt/pipelines/tokenizer.hpp>
#include <rapt/pretrained/adapter_folder.hpp>
#include <rapt/pretrained/bert.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/class_scores.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/lines.hpp"
#include "common/run_flags.hpp"

namespace {

using rapt::Index;
using rapt::LabelledText;
using Model = rapt::Bert<float>;
using Adapter = rapt::Lora<float>;

struct Flags {
  std::string model, train, validation, out, measure = "accuracy";
  std::vector<std::string> freeze, targets = {"query", "value"};
  bool regression = false;
  Index lora = 0, batch = 16, epochs = 3, patience = 0, longest = 128;
  double alpha = 16, learning_rate = 0;
  float lora_dropout = 0.05f;
  std::uint64_t seed = 1;
  RunFlags run;
};

/// The model that is trained.
struct Start {
  Model model;
  /// Patterns of the parameters of its head, and of a pooler that the folder did not have: those that are trained
  /// beside an adapter, and whatever is frozen.
  std::vector<std::string> head = {"classifier.*"};
};

/// The folder's model with a head for these labels, which are sorted: its own head if that is for the same labels, in
/// the order in which the model has them, and otherwise a new one. For regression any head of one label is right.
Start start_of(const Flags& flags, const std::vector<std::string>& labels) {
  Start start{.model = rapt::from_pretrained<Model>(flags.model)};
  rapt::BertConfig config = start.model.config();
  const auto problem = flags.regression ? rapt::LabelProblem::regression : rapt::LabelProblem::single_label;
  std::vector<std::string> known = config.labels;
  std::sort(known.begin(), known.end());
  const bool has_head = !config.labels_tokens() && (flags.regression ? known.size() == 1 : known == labels);
  // The head of RoBERTa, DistilBERT and ELECTRA has the pooler in it (classifier.dense or pre_classifier in files).
  const bool pooler_in_head = config.family != rapt::BertFamily::bert && config.family != rapt::BertFamily::albert;
  if (pooler_in_head || !config.pooler) start.head.push_back("pooler.*");
  if (has_head && config.problem.value_or(problem) == problem) return start;

  config.problem = problem;
  if (!has_head) {
    config.masked_language_head = config.next_sentence_head = config.replaced_token_head = config.question_head = false;
    config.pooler = true;
    config.token_labels = false;
    config.labels = labels;
  }
  rapt::Rng rng(flags.seed);
  Model model(config, rng);
  std::set<std::string> names;
  rapt::for_each_parameter(model, [&](const std::string& name, const auto&) { names.insert(name); });
  rapt::copy_parameters(start.model, model, [&](const std::string& name) {
    return names.contains(name) && (has_head || !rapt::matches_pattern(name, "classifier.*"));
  });
  start.model = std::move(model);
  return start;
}

LabelledText encode(const std::vector<rapt::LabelledLine>& lines, const std::vector<std::string>& labels,
                    const rapt::AnyTokenizer& tokenizer, const rapt::BertConfig& config, const Flags& flags) {
  std::vector<std::string> first, second;
  for (const rapt::LabelledLine& line : lines) first.push_back(line.text), second.push_back(line.second);
  const rapt::EncodeOptions options{.truncation =
                                        rapt::Truncation{.max_tokens = std::min(flags.longest, config.positions)}};
  LabelledText all;
  if (std::all_of(second.begin(), second.end(), [](const std::string& text) { return text.empty(); })) {
    all.input = tokenizer.encode_batch(first, options);
  } else {
    rapt::PairBatch pairs = tokenizer.encode_pairs(first, second, options);
    all.input = std::move(pairs.tokens);
    if (config.token_types > 1) all.token_types.assign(pairs.types.begin(), pairs.types.end());
  }
  if (flags.regression) {
    all.values = rapt::label_values(lines);
  } else {
    all.labels = rapt::label_numbers(lines, labels);
  }
  return all;
}

/// How well the model does on these texts, with the adapter if there is one.
rapt::Measurement measure(const Model& model, const Adapter* adapter, const LabelledText& texts, const Flags& flags) {
  const rapt::UseAdapter<float> use(adapter);
  const rapt::Inference scope;
  std::vector<std::int32_t> predicted;
  double squares = 0;
  for (Index begin = 0; begin < texts.input.sequences(); begin += 64) {
    std::vector<Index> numbers;
    for (Index i = begin; i < std::min(begin + 64, texts.input.sequences()); ++i) numbers.push_back(i);
    const LabelledText batch = rapt::select_texts(texts, numbers);
    const rapt::Tensor<float> scores =
        model.class_logits(model.hidden(batch.input, batch.token_types), batch.input.row_splits).value();
    for (Index i = 0; i < scores.rows(); ++i) {
      if (flags.regression) {
        const double error = static_cast<double>(*scores.row(i)) - static_cast<double>(rapt::at(batch.values, i));
        squares += error * error;
      } else {
        const float* const row = scores.row(i);
        predicted.push_back(static_cast<std::int32_t>(std::max_element(row, row + scores.cols()) - row));
      }
    }
  }
  char text[120];
  if (flags.regression) {
    const double mean = squares / static_cast<double>(texts.input.sequences());
    std::snprintf(text, sizeof text, "mean squared error %.4f", mean);
    return {.score = mean, .text = text, .entry = {{"mean_squared_error", mean}}};
  }
  const rapt::ClassScores found(predicted, texts.labels, std::ssize(model.config().labels));
  std::snprintf(text, sizeof text, "accuracy %.2f %%  macro F1 %.4f", 100 * found.accuracy(), found.macro_f1());
  return {.score = flags.measure == "f1" ? -found.macro_f1() : -found.accuracy(),
          .text = text,
          .entry = {{"accuracy", found.accuracy()}, {"macro_f1", found.macro_f1()}}};
}

/// Trains what `trained` names: the model itself, or its adapter and head.
template <class M>
void fit(M& trained, const Model& model, const Adapter* adapter, const LabelledText& training,
         const LabelledText& validation, const Flags& flags) {
  rapt::Fingerprint fingerprint;
  fingerprint.add(std::span<const rapt::TokenId>(training.input.tokens));
  rapt::JobOptions options =
      flags.run.job({"--out"}, data_text(rapt::to_size(training.input.sequences()), "texts", fingerprint));
  options.choose_best = true;
  rapt::TrainingJob job(options);
  rapt::LabelledTextStream batches(training, {.texts = flags.batch, .seed = flags.seed});
  const Index steps = flags.epochs * batches.batches_per_epoch();
  rapt::Trainer trainer(
      trained,
      {.learning_rate = rapt::CosineSchedule{.peak = flags.learning_rate, .warmup = steps / 10, .steps = steps},
       .adam = {.weight_decay = 0.01},
       .label_smoothing = 0,
       .clip_norm = 1,
       .seed = flags.seed});
  job.run(trainer, batches, {.steps = steps, .validate_every = batches.batches_per_epoch(), .patience = flags.patience},
          {.measure = [&](const M&) { return measure(model, adapter, validation, flags); }});
}

void finetune(Flags flags) {
  if (flags.learning_rate == 0) flags.learning_rate = flags.lora > 0 ? 5e-4 : 5e-5;
  const auto lines = rapt::read_labelled_lines(flags.train), held_out = rapt::read_labelled_lines(flags.validation);
  std::vector<std::string> labels =
      flags.regression ? std::vector<std::string>{"LABEL_0"} : rapt::distinct_labels(lines);
  rapt::require(flags.regression || labels.size() > 1, "finetune", flags.train, " has ", labels.size(),
                " different labels: two are the least");
  Start start = start_of(flags, labels);
  Model& model = start.model;
  labels = model.config().labels;
  const auto tokenizer = rapt::AnyTokenizer::load(flags.model);
  const LabelledText training = encode(lines, labels, tokenizer, model.config(), flags);
  const LabelledText validation = encode(held_out, labels, tokenizer, model.config(), flags);
  for (const std::string& pattern : flags.freeze) rapt::freeze(model, pattern);

  if (flags.lora > 0) {
    rapt::Rng rng(flags.seed);
    Adapter adapter(model, rapt::adapter_targets(model, flags.targets),
                    {.rank = flags.lora, .alpha = flags.alpha, .dropout = flags.lora_dropout}, rng);
    rapt::WithLora adapted(model, adapter, start.head);
    std::printf("%zu + %zu texts, %zu labels, %td of %td parameters are trained\n", lines.size(), held_out.size(),
                labels.size(), rapt::count_parameters(adapted), rapt::count_parameters(model));
    fit(adapted, model, &adapter, training, validation, flags);
    if (!flags.out.empty()) {
      rapt::save_adapter(flags.out, model, adapter,
                         {.base_model = flags.model, .task_type = "SEQ_CLS", .trained = start.head});
    }
    return;
  }
  for (const std::string& pattern : start.head) rapt::unfreeze(model, pattern);
  Index trained = 0;
  rapt::for_each_parameter(model, [&](const std::string&, const auto& p) { trained += p.is_frozen() ? 0 : p.size(); });
  std::printf("%zu + %zu texts, %zu labels, %td of %td parameters are trained\n", lines.size(), held_out.size(),
              labels.size(), trained, rapt::count_parameters(model));
  fit(model, model, nullptr, training, validation, flags);
  if (flags.out.empty()) return;
  rapt::save_pretrained(flags.out, model);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
                           "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model"}) {
    const std::filesystem::path file = std::filesystem::path(flags.model) / name;
    if (!std::filesystem::exists(file)) continue;
    std::filesystem::copy_file(file, std::filesystem::path(flags.out) / name,
                               std::filesystem::copy_options::overwrite_existing);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Fine-tunes an encoder on labelled texts."};
  Flags flags;
  app.add_option("--model", flags.model, "The Hugging Face folder of the model.")->required();
  app.add_option("--train", flags.train, "The texts to learn from (.tsv or .jsonl).")->required();
  app.add_option("--validation", flags.validation, "The texts that the model is measured by.")->required();
  app.add_option("--out", flags.out, "The folder that is written; without it nothing is.");
  app.add_flag("--regression", flags.regression, "Labels are numbers.");
  app.add_option("--measure", flags.measure, "What the best model is chosen by.")
      ->check(CLI::IsMember({"accuracy", "f1"}))
      ->capture_default_str();
  app.add_option("--freeze", flags.freeze, "Parameters that stay as they are, by a pattern; may be given again.");
  add_not_negative(app, "--lora", flags.lora, "The rank of an adapter that is trained in place of the model; 0: none.");
  add_positive(app, "--alpha", flags.alpha, "The adapter's products are multiplied by alpha / rank.");
  add_rate(app, "--lora-dropout", flags.lora_dropout, "The rate of the adapter's dropout.");
  app.add_option("--targets", flags.targets, "The linear maps that are adapted, by PEFT's names.")
      ->delimiter(',')
      ->capture_default_str();
  add_positive(app, "--batch", flags.batch, "The number of texts in a step.");
  add_positive(app, "--epochs", flags.epochs, "How often each text is learned from.");
  add_not_negative(app, "--learning-rate", flags.learning_rate, "The highest one; 0: 5e-5, with an adapter 5e-4.");
  add_not_negative(app, "--patience", flags.patience, "Epochs without a better model that end the run; 0: no limit.");
  add_number(app, "--longest", flags.longest, {.least = 4}, "Texts are cut off after so many tokens.");
  add_seed(app, flags.seed);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("finetune", [&] { finetune(flags); });
}
