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
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <rapt/data/labelled_texts.hpp>
#include <rapt/nn/lora.hpp>
#include <rapt/nn/transfer.hpp>
#include <rapt/nn/with_lora.hpp>
#include <rapt/pipelines/labelled_lines.hpp>
#include <rapt/pipelines/task_folder.hpp>
#include <rapt/pipelines/tokenizer.hpp>
#include <rapt/pretrained/adapter_folder.hpp>
#include <rapt/pretrained/bert.hpp>
#include <rapt/pretrained/folder_contents.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/class_scores.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/lines.hpp"
#include "common/run_flags.hpp"

namespace {

using rapt::Index;
using rapt::LabelledLine;
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

/// How texts become tokens: as in `tasks classify` with the folder that is written, except that --longest may cut off
/// more of them.
struct TextEncoding {
  rapt::AnyTokenizer tokenizer;
  rapt::EncodeOptions options;
  bool are_pairs, has_types;

  [[nodiscard]] LabelledText operator()(const std::vector<LabelledLine>& lines) const {
    std::vector<std::string> first, second;
    for (const LabelledLine& line : lines) first.push_back(line.text), second.push_back(line.second);
    if (!are_pairs) return {.input = tokenizer.encode_batch(first, options)};
    rapt::PairBatch pairs = tokenizer.encode_pairs(first, second, options);
    LabelledText texts{.input = std::move(pairs.tokens)};
    if (has_types) texts.token_types.assign(pairs.types.begin(), pairs.types.end());
    return texts;
  }
};

TextEncoding encoding_of(const Flags& flags, const rapt::BertConfig& config, bool are_pairs) {
  const rapt::TaskFolder folder(flags.model, "finetune");
  auto tokenizer = rapt::AnyTokenizer::load(flags.model);
  rapt::require<rapt::IoError>(tokenizer.size() <= config.vocabulary, "finetune", flags.model, ": the tokenizer has ",
                               tokenizer.size(), " tokens, the model ", config.vocabulary);
  const Index longest = std::min(config.positions, folder.model_max_length().value_or(config.positions));
  const rapt::Truncation truncation{.max_tokens = std::min(flags.longest, longest),
                                    .left = folder.cuts_left().value_or(tokenizer.truncation().left)};
  return {.tokenizer = std::move(tokenizer),
          .options = {.truncation = truncation},
          .are_pairs = are_pairs,
          .has_types = config.token_types > 1 && folder.takes_token_types()};
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

void add_texts(rapt::Fingerprint& fingerprint, const LabelledText& texts) {
  const auto add = [&]<class T>(std::span<const T> numbers) { fingerprint.add(numbers); };
  add(texts.input.row_splits.offsets());
  add(std::span<const rapt::TokenId>(texts.input.tokens));
  add(std::span<const std::int32_t>(texts.token_types));
  add(std::span<const std::int32_t>(texts.labels));
  add(std::span<const float>(texts.values));
}

/// Trains what `trained` names: the model itself, or its adapter and head.
template <class M>
void fit(M& trained, const Model& model, const Adapter* adapter, const LabelledText& training,
         const LabelledText& validation, const Flags& flags) {
  rapt::Fingerprint fingerprint;
  for (const std::string& label : model.config().labels) fingerprint.add(label + "\n");
  for (const LabelledText* texts : {&training, &validation}) add_texts(fingerprint, *texts);
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

/// Throws ValueError for flags that say nothing together, before anything is read.
void require_flags(const Flags& flags) {
  constexpr std::string_view kWhere = "finetune";
  rapt::require(flags.lora == 0 || flags.freeze.empty(), kWhere,
                "--freeze has no effect with --lora, which trains the adapter and the head alone");
  for (const std::string& pattern : flags.freeze) {
    rapt::require(!pattern.starts_with("classifier"), kWhere, "--freeze ", pattern,
                  " has no effect: the head is always trained");
  }
  rapt::require(!flags.regression || flags.measure == "accuracy", kWhere, "--measure ", flags.measure,
                " has no effect with --regression, whose measure is the mean squared error");
  std::error_code none;  // a folder that is not there is no error
  rapt::require(flags.out.empty() || !std::filesystem::equivalent(flags.out, flags.model, none), kWhere, "--out ",
                flags.out, " is the folder of --model, which would be overwritten: give another folder");
}

/// Leaves the parameters as they are that --freeze names, but for the head.
void freeze(Model& model, const std::vector<std::string>& patterns, const std::vector<std::string>& head) {
  for (const std::string& pattern : patterns) rapt::freeze(model, pattern);
  for (const std::string& pattern : head) rapt::unfreeze(model, pattern);
  for (const std::string& pattern : patterns) {
    bool has_effect = false;
    rapt::for_each_parameter(model, [&](const std::string& name, const auto& parameter) {
      has_effect = has_effect || (parameter.is_frozen() && rapt::matches_pattern(name, pattern));
    });
    rapt::require(has_effect, "finetune", "--freeze ", pattern, " has no effect: the head is always trained");
  }
}

/// Copies the files of a folder's tokenizer, whichever it has: they are more than `save_tokenizer` writes, which has no
/// SentencePiece's model and not all settings.
void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& to) {
  static const std::set<std::string, std::less<>> kNames = {"tokenizer.json",
                                                            "tokenizer_config.json",
                                                            "special_tokens_map.json",
                                                            "added_tokens.json",
                                                            "vocab.txt",
                                                            "vocab.json",
                                                            "merges.txt"};
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(from)) {
    const std::filesystem::path name = entry.path().filename();
    if (!kNames.contains(name.string()) && !rapt::detail::is_sentencepiece(name.string())) continue;
    std::filesystem::copy_file(entry.path(), to / name, std::filesystem::copy_options::overwrite_existing);
  }
}

void finetune(Flags flags) {
  require_flags(flags);
  if (flags.learning_rate == 0) flags.learning_rate = flags.lora > 0 ? 5e-4 : 5e-5;
  const auto lines = rapt::read_labelled_lines(flags.train), held_out = rapt::read_labelled_lines(flags.validation);
  std::vector<std::string> labels =
      flags.regression ? std::vector<std::string>{"LABEL_0"} : rapt::distinct_labels(lines);
  rapt::require(flags.regression || labels.size() > 1, "finetune", flags.train, " has ", labels.size(),
                " different labels: two are the least");
  Start start = start_of(flags, labels);
  Model& model = start.model;
  labels = model.config().labels;
  const auto is_pair = [](const LabelledLine& line) { return !line.second.empty(); };
  const bool are_pairs =
      std::any_of(lines.begin(), lines.end(), is_pair) || std::any_of(held_out.begin(), held_out.end(), is_pair);
  const TextEncoding encode = encoding_of(flags, model.config(), are_pairs);
  LabelledText training = encode(lines), validation = encode(held_out);
  for (const auto& [texts, from] : {std::pair{&training, &lines}, std::pair{&validation, &held_out}}) {
    if (flags.regression) {
      texts->values = rapt::label_values(*from);
    } else {
      texts->labels = rapt::label_numbers(*from, labels);
    }
  }
  freeze(model, flags.freeze, start.head);
  if (!flags.out.empty()) {
    std::error_code error;
    std::filesystem::create_directories(flags.out, error);
    rapt::require<rapt::IoError>(!error && std::filesystem::is_directory(flags.out), "finetune", "--out ", flags.out,
                                 ": cannot make the folder: ", error ? error.message() : "it is a file");
  }

  if (flags.lora > 0) {
    rapt::Rng rng(flags.seed);
    Adapter adapter(model, rapt::adapter_targets(model, flags.targets),
                    {.rank = flags.lora, .alpha = flags.alpha, .dropout = flags.lora_dropout}, rng);
    rapt::WithLora adapted(model, adapter, start.head);
    std::printf("%zu + %zu texts, %zu labels, %td of %td parameters are trained\n", lines.size(), held_out.size(),
                labels.size(), rapt::count_parameters(adapted), rapt::count_parameters(model));
    fit(adapted, model, &adapter, training, validation, flags);
    if (flags.out.empty()) return;
    rapt::save_adapter(flags.out, model, adapter,
                       {.base_model = flags.model, .task_type = "SEQ_CLS", .trained = start.head});
    rapt::save_pretrained_config(flags.out, model);  // which has the names of the labels
  } else {
    Index trained = 0;
    rapt::for_each_parameter(model,
                             [&](const std::string&, const auto& p) { trained += p.is_frozen() ? 0 : p.size(); });
    std::printf("%zu + %zu texts, %zu labels, %td of %td parameters are trained\n", lines.size(), held_out.size(),
                labels.size(), trained, rapt::count_parameters(model));
    fit(model, model, nullptr, training, validation, flags);
    if (flags.out.empty()) return;
    rapt::save_pretrained(flags.out, model);
  }
  copy_tokenizer(flags.model, flags.out);
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
