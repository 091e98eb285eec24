// Fine-tunes the model of a Hugging Face folder for a task, and writes a folder that `tasks`, `complete` and
// transformers open, or with --lora an adapter that PEFT opens.
//
//   finetune --model minilm --train train.tsv --validation dev.tsv --out tuned
//   finetune --model minilm --train train.jsonl --validation dev.jsonl --lora 8 --out adapter
//   finetune --task answers --model qwen --train train.jsonl --validation dev.jsonl --measure rouge_l --out tuned
//   finetune ... --freeze "embedding*" --freeze "encoder.layers.0.*"     leaves these parameters as they are
//   finetune ... --layer-decay 0.9                                       lower layers learn more slowly
//   finetune ... --folder run                                            can be killed; with --resume it goes on
//
// The tasks, and the columns of tables (.tsv) or keys of JSON objects (.jsonl, one a line) that they read:
//
//   classes    "text", "text2" (if there is one), "label"; with --regression labels are numbers    BERT and its family
//   tokens     .jsonl with the lists "tokens" and "labels": words and the labels of each                    the same
//   questions  .jsonl with "context", "question", "answer" and "start", characters before the answer        the same
//   texts      "text", "target"                                              T5, MarianMT, BART, mBART, Pegasus, NLLB
//   language   any text file                                              GPT-2, Llama, Mistral, Qwen, Phi-3, Gemma
//   answers    "prompt", "answer", of which the answers are learned                                         the same
//
// Prints the measures of the validation examples after each epoch, and keeps the best model of them.
#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <rapt/finetune/classifier.hpp>
#include <rapt/finetune/finetune_options.hpp>
#include <rapt/finetune/language_model.hpp>
#include <rapt/finetune/question_answerer.hpp>
#include <rapt/finetune/text_to_text.hpp>
#include <rapt/finetune/token_classifier.hpp>
#include <string>
#include <string_view>

#include "common/run_flags.hpp"

namespace {

struct Flags {
  std::string task = "classes", measure;
  bool regression = false;
  rapt::FinetuneOptions options;
  rapt::TextToTextTuning texts;
  RunFlags run;
};

/// Throws ValueError for flags that are given and that change nothing with the others.
void refuse_flags_without_effect(const CLI::App& app, const Flags& flags) {
  rapt::require(!flags.regression || flags.measure.empty() || flags.measure == "error", "finetune", "--measure ",
                flags.measure, " has no effect with --regression, whose measure is error, the mean squared one");
  const auto is_of_task = [&](const char* flag, std::string_view task) {
    rapt::require(app.count(flag) == 0 || flags.task == task, "finetune", flag, " has no effect with --task ",
                  flags.task, ": it is for --task ", task);
  };
  is_of_task("--regression", "classes");
  for (const char* flag : {"--prefix", "--from", "--to"}) is_of_task(flag, "texts");
  for (const char* flag : {"--alpha", "--lora-dropout", "--targets"}) {
    rapt::require(app.count(flag) == 0 || flags.options.adapter.rank > 0, "finetune", flag,
                  " has no effect without --lora");
  }
}

void finetune(const CLI::App& app, Flags flags) {
  rapt::FinetuneOptions& options = flags.options;
  refuse_flags_without_effect(app, flags);
  options.measure = flags.measure;
  options.option_prefix = "--";
  options.job = flags.run.job({"--out"}, /*corpus=*/"");
  options.micro_batches = flags.run.processes.micro_batches;
  options.shard_optimizer = flags.run.processes.shard_optimizer;
  options.gradient_exchange = flags.run.processes.gradient_exchange();
  const std::map<std::string, std::function<void()>> tasks = {
      {"classes", [&] { rapt::finetune_classifier(options, flags.regression); }},
      {"tokens", [&] { rapt::finetune_token_classifier(options); }},
      {"questions", [&] { rapt::finetune_question_answerer(options); }},
      {"texts", [&] { rapt::finetune_text_to_text(options, flags.texts); }},
      {"language", [&] { rapt::finetune_language_model(options); }},
      {"answers", [&] { rapt::finetune_answers(options); }}};
  tasks.at(flags.task)();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Fine-tunes a model on texts."};
  Flags flags;
  rapt::FinetuneOptions& options = flags.options;
  app.add_option("--task", flags.task, "What the model is to learn.")
      ->check(CLI::IsMember({"classes", "tokens", "questions", "texts", "language", "answers"}))
      ->capture_default_str();
  app.add_option("--model", options.model, "The Hugging Face folder of the model.")->required();
  app.add_option("--train", options.train, "The examples to learn from.")->required();
  app.add_option("--validation", options.validation, "The examples that the model is measured by.")->required();
  app.add_option("--out", options.out, "The folder that is written; without it nothing is.");
  app.add_flag("--regression", flags.regression, "Labels are numbers.");
  app.add_option(
      "--measure", flags.measure,
      "What the best model is chosen by: accuracy or f1 of classes, error of numbers, f1 or accuracy of tokens, f1 or "
      "exact_match of questions; loss, exact_match, bleu, chrf, rouge1, rouge2 or rouge_l of texts and "
      "answers. The first of them if it is not given.");
  app.add_option("--prefix", flags.texts.prefix, "What stands before every text, for --task texts.");
  app.add_option("--from", flags.texts.languages.source, "The language of texts, of a model of many.");
  app.add_option("--to", flags.texts.languages.target, "The language of their targets.");
  app.add_option("--freeze", options.freeze, "Parameters that stay as they are, by a pattern; may be given again.");
  add_positive(app, "--layer-decay", options.layer_decay,
               "The learning rate of each layer is that of the layer above times this, at most 1.");
  add_not_negative(app, "--lora", options.adapter.rank,
                   "The rank of an adapter that is trained in place of the model; 0: none.");
  add_positive(app, "--alpha", options.adapter.alpha, "The adapter's products are multiplied by alpha / rank.");
  add_rate(app, "--lora-dropout", options.adapter.dropout, "The rate of the adapter's dropout.");
  app.add_option("--targets", options.adapter.targets,
                 "The linear maps that are adapted, by PEFT's names; without it PEFT's for the family.")
      ->delimiter(',');
  add_positive(app, "--batch", options.batch, "The number of examples in a step.");
  add_positive(app, "--epochs", options.epochs, "How often each example is learned from.");
  add_not_negative(app, "--learning-rate", options.learning_rate, "The highest one; 0: 5e-5, with an adapter 5e-4.");
  add_rate(app, "--label-smoothing", options.label_smoothing, "Of losses over tokens and classes.");
  add_not_negative(app, "--patience", options.patience, "Epochs without a better model that end the run; 0: no limit.");
  add_number(app, "--longest", options.longest, {.least = 4}, "Examples are cut off after so many tokens.");
  add_seed(app, options.seed);
  flags.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("finetune", flags.run.processes, [&] { finetune(app, flags); });
}
