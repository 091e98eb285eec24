// Translates with a decoder alone. A pair becomes one sequence, `source <s> target </s>`, and a GPT learns what follows
// <s>: there is no encoder, the source is what the decoder has read before. Tokens are characters; white
// space is left out, as for languages that are written without.
//
//   gpt_translator                                     numbers in figures into Chinese words: 4027 -> 四千零二十七
//   gpt_translator --pairs a.tsv b.tsv --minutes 60    the pairs of files, source TAB target
//   gpt_translator --encoder-decoder ...               to compare: a Transformer of about as many parameters, on the
//                                                      same pairs, in the same batches
//   gpt_translator --folder run                        can be killed; the same command with --resume goes on
//
// Prints the loss on validation pairs as it falls; then, of the version that did best there, ten translations of
// held-out pairs, of which no side was in training, and BLEU of characters.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <rapt/generation/batches.hpp>
#include <rapt/rapt.hpp>
#include <rapt/text/bleu.hpp>
#include <rapt/text/significance.hpp>

#include "common/lines.hpp"
#include "common/run_flags.hpp"
#include "gpt_translator/characters.hpp"
#include "gpt_translator/decoder_alone.hpp"

namespace {

using rapt::Index;

struct Flags {
  std::vector<std::string> pairs;
  std::string output;
  bool encoder_decoder = false;
  Index d_model = 128, layers = 4, heads = 4;
  Index hold_out = 200, longest = 100, tokens = 1500, warmup = 400, validate_every = 100, patience = 20, beam = 4;
  double minutes = 1, learning_rate = 1e-3;
  float dropout = 0.1f, label_smoothing = 0.1f;
  std::uint64_t seed = 1;
  RunFlags run;
};

/// Any model that Trainer takes; leaves the version that did best on the validation pairs in it.
template <class Model>
void train(Model& model, const Corpora& corpora, const rapt::Vocabulary& vocabulary, const Flags& flags) {
  const auto pairs = encode(vocabulary, corpora.training), validation = encode(vocabulary, corpora.validation);
  std::printf("training on %zu, validation on %zu; %td characters, %td parameters, %d threads\n", pairs.size(),
              validation.size(), vocabulary.size(), rapt::count_parameters(model), static_cast<int>(rapt::threads()));
  const rapt::BatchOptions batching{.tokens = flags.tokens, .end_source = false, .seed = flags.seed};
  rapt::BatchStream stream(pairs, batching);
  rapt::Trainer trainer(model, flags.run.processes.shared(
                                   {.learning_rate = rapt::InverseSquareRootSchedule{flags.learning_rate, flags.warmup},
                                    .label_smoothing = flags.label_smoothing,
                                    .clip_norm = 1,
                                    .seed = flags.seed}));
  rapt::Fingerprint fingerprint;
  for (const rapt::TokenPair& pair : pairs) {
    fingerprint.add(std::span<const rapt::TokenId>(pair.source));
    fingerprint.add(std::span<const rapt::TokenId>(pair.target));
  }
  rapt::JobOptions options = flags.run.job({"--pairs", "--output", "--minutes", "--patience", "--beam"},
                                           data_text(pairs.size(), "pairs", fingerprint));
  options.choose_best = true;
  rapt::TrainingJob job(options);
  const auto measure = [&](const Model& some) {
    const double loss = rapt::mean_loss(some, std::span(validation), batching, flags.run.processes.communicator);
    char text[120];
    std::snprintf(text, sizeof text, "epoch %3td  loss %.3f  validation %.4f  %.1f s", stream.position().epoch + 1,
                  job.progress().loss, loss, job.progress().seconds);
    return rapt::Measurement{.score = loss, .text = text, .entry = {{"validation_loss", loss}}};
  };
  const auto summary =
      job.run(trainer, stream,
              {.seconds = 60 * flags.minutes, .validate_every = flags.validate_every, .patience = flags.patience},
              {.measure = measure})
          .training;
  std::printf("%td steps in %.0f s; best validation loss %.4f, at step %td\n", summary.steps, summary.seconds,
              summary.best_validation, summary.best_step);
}

template <class Model>
void test(const Model& model, const rapt::ParallelCorpus& pairs, const rapt::Vocabulary& vocabulary,
          const Flags& flags) {
  rapt::TokenBatch sources;
  for (const std::string& source : pairs.source) sources.push_back(encode(vocabulary, source));
  const auto found =
      rapt::search_in_batches(sources, {}, rapt::batch_tokens_for(model),
                              [&](const rapt::TokenBatch& batch, const rapt::SearchRequest& request) {
                                return rapt::beam_search_n_best(model, batch, 1, {.beam_size = flags.beam}, request);
                              });
  std::vector<std::string> ours, references;  // blanks between characters
  Index exact = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::vector<std::string> translation = decode(vocabulary, found[i].front().tokens);
    ours.push_back(joined(translation, " "));
    references.push_back(joined(characters_of(pairs.target[i]), " "));
    exact += ours[i] == references[i] ? 1 : 0;
    if (i >= 10) continue;
    std::printf("\n  source     %s\n  reference  %s\n  ours       %s\n", pairs.source[i].c_str(),
                pairs.target[i].c_str(), joined(translation, "").c_str());
  }
  const auto statistics = rapt::bleu_statistics(ours, references, {.tokenize = rapt::BleuOptions::Tokenize::none});
  std::printf("\n%zu held-out pairs, %td exactly as the reference; characters, 95 %%: %s\n%s\n", found.size(), exact,
              to_string(confidence(statistics)).c_str(), to_string(total(statistics).result()).c_str());
  if (flags.output.empty()) return;
  write_lines(flags.output + ".ours", ours);
  write_lines(flags.output + ".references", references);
}

void translate(const Flags& flags) {
  const Corpora corpora = read_corpora(flags.pairs, flags.longest, flags.hold_out, flags.seed);
  const rapt::Vocabulary vocabulary = vocabulary_of(corpora.training);
  // A search gives a translation up to 50 tokens more than its source.
  const rapt::GptConfig config{.vocabulary = vocabulary.size(),
                               .positions = 2 * flags.longest + 52,
                               .d_model = flags.d_model,
                               .layers = flags.layers,
                               .heads = flags.heads,
                               .embedding_dropout = flags.dropout,
                               .dropout = flags.dropout,
                               .attention_dropout = flags.dropout};
  const auto run = [&](auto model) {
    train(model, corpora, vocabulary, flags);
    if (flags.run.processes.is_first()) test(model, corpora.test, vocabulary, flags);
  };
  rapt::Rng rng(flags.seed);
  flags.encoder_decoder ? run(rapt::Transformer(as_large_as(config), rng)) : run(DecoderAlone{rapt::Gpt(config, rng)});
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Translates with a decoder alone."};
  Flags f;
  app.add_option("--pairs", f.pairs,
                 "Files of lines `source TAB target`. Without them: numbers and their Chinese words.");
  app.add_flag("--encoder-decoder", f.encoder_decoder, "Trains a Transformer of about as many parameters instead.");
  app.add_option("--output", f.output,
                 "Writes what `translate score --tokenize none` takes to FILE.ours and FILE.references.");
  add_positive(app, "--minutes", f.minutes, "The time after which training stops.");
  add_positive(app, "--d-model", f.d_model, "The width of the model (d_model).");
  add_number(app, "--layers", f.layers, {.least = 2, .most = 100}, "The number of layers.");
  add_positive(app, "--heads", f.heads, "The number of attention heads.");
  add_rate(app, "--dropout", f.dropout, "The rate of dropout.");
  add_rate(app, "--label-smoothing", f.label_smoothing, "The epsilon of label smoothing.");
  add_positive(app, "--hold-out", f.hold_out, "The number of pairs to test on, and of those to validate on.");
  add_positive(app, "--longest", f.longest, "The most characters of a side; pairs with more are left out.");
  add_positive(app, "--tokens", f.tokens, "The most source tokens, and the most target tokens, of a batch.");
  add_positive(app, "--learning-rate", f.learning_rate, "The highest learning rate.");
  add_positive(app, "--warmup", f.warmup, "The steps in which the learning rate rises.");
  add_positive(app, "--validate-every", f.validate_every, "The steps between validations.");
  add_not_negative(app, "--patience", f.patience,
                   "Training stops after so many validations without a new best; 0: never.");
  add_number(app, "--beam", f.beam, {.least = 1, .most = 1000}, "The beam size of the search; 1 is greedy search.");
  add_seed(app, f.seed);
  f.run.add_to(app);
  CLI11_PARSE(app, argc, argv);
  return run_program("gpt_translator", f.run.processes, [&] { translate(f); });
}
