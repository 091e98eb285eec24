// Trains a translator on a parallel corpus, translates with it and scores it.
//
//   translate                            trains on the embedded Chinese-English phrases, shows what it learned on
//                                        sentences it has not seen, and at a terminal translates what you type
//   translate train --source train.de --target train.en --model de-en.safetensors ...
//   translate search --minutes 60 --folder search --model de-en.safetensors --source train.de --target train.en ...
//   translate run   --model de-en.safetensors --attention page.html < input.de > output.en
//   translate score --references test.en --confidence < output.en
//   translate shortlist --model de-en.safetensors --source train.de --target train.en --out de-en.json
//   translate summary --model de-en.safetensors
//
// Every subcommand explains itself with --help.
#include <CLI/CLI.hpp>

#include "common/run_flags.hpp"
#include "translate/demo.hpp"
#include "translate/run.hpp"
#include "translate/score.hpp"
#include "translate/shortlist.hpp"
#include "translate/summary.hpp"
#include "translate/train.hpp"

#if !defined(_WIN32)  // a search forks its trials
#include "translate/search.hpp"
#endif

int main(int argc, char** argv) {
  CLI::App app{
      "Trains a translator, translates and scores. Without a subcommand it shows what it can do, in a minute or two,\n"
      "on an embedded corpus of Chinese-English phrases. RAPT_THREADS sets the number of threads."};
  app.require_subcommand(0, 1);
  translate::TrainFlags train_flags;
  translate::TranslateFlags run_flags;
  translate::ScoreFlags score_flags;
  translate::ShortlistFlags shortlist_flags;
  translate::SummaryFlags summary_flags;
  const CLI::App* train_command = translate::add_train(app, train_flags);
#if !defined(_WIN32)
  translate::SettingsSearchFlags search_flags;
  const CLI::App* search_command = translate::add_settings_search(app, search_flags);
#endif
  const CLI::App* run_command = translate::add_run(app, run_flags);
  const CLI::App* score_command = translate::add_score(app, score_flags);
  const CLI::App* shortlist_command = translate::add_shortlist(app, shortlist_flags);
  const CLI::App* summary_command = translate::add_summary(app, summary_flags);
  CLI11_PARSE(app, argc, argv);

  ProcessFlags alone;  // of what several processes cannot share
  ProcessFlags& processes = run_command->parsed()     ? run_flags.processes
                            : train_command->parsed() ? train_flags.processes
                                                      : alone;
  return run_program("translate", processes, [&] {
    if (train_command->parsed()) return translate::train(train_flags, *train_command);
#if !defined(_WIN32)
    if (search_command->parsed()) return translate::search(search_flags, search_command->remaining());
#endif
    if (run_command->parsed()) return translate::run(run_flags);
    if (score_command->parsed()) return translate::score(score_flags);
    if (shortlist_command->parsed()) return translate::shortlist(shortlist_flags);
    if (summary_command->parsed()) return translate::summary(summary_flags);
    translate::demo();
  });
}
