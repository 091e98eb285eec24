/// \file
/// Writes the page of a search with made-up trials, one of which has failed, for search_page_browser_test.py:
///
///     sample_page FILE
#include <cmath>
#include <stdexcept>

#include "rapt/core/atomic_file.hpp"
#include "rapt/search/search_page.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  rapt::SettingsSpace space;
  space.add("learning-rate", rapt::log_range(5e-4, 2e-2));
  space.add("dropout", rapt::linear_range(0, 0.5));
  space.add("layers", rapt::integer_range(1, 6));
  space.add("norm", rapt::choice({"post", "pre", "</svg><script>window.hacked = 1</script>"}));
  const rapt::Halving halving{.rungs = 2, .factor = 3, .resource = 900};
  const auto score = [&](rapt::Index trial, const nlohmann::ordered_json& settings, double resource) {
    const double rate = std::log10(settings["learning-rate"].get<double>() / 3e-3);
    return 1.2 + rate * rate + std::abs(settings["dropout"].get<double>() - 0.2) +
           0.02 * settings["layers"].get<double>() + 0.001 * static_cast<double>(trial) + 100 / resource;
  };
  rapt::TrialHistory history;
  for (double seconds = 20; history.size() < 40; seconds += 20) {
    if (const auto promoted = rapt::next_promotion(history, halving)) {
      history.start(*promoted);
      history.finish(*promoted, {.score = score(promoted->trial, history[promoted->trial].settings, 900),
                                 .resource = 900,
                                 .took = 40,
                                 .seconds = seconds += 20});
      continue;
    }
    const rapt::TrialRung place{history.size(), 0};
    history.start(place, space.sample(1, place.trial));
    rapt::RungResult result{.resource = 300, .took = 20, .seconds = seconds};
    if (place.trial == 4) {
      result.failure = "the loss is not finite <img src=x onerror='window.hacked = 1'>";
    } else {
      result.score = score(place.trial, history[place.trial].settings, 300);
    }
    history.finish(place, result);
  }
  rapt::detail::write_text_file(argv[1],
                                rapt::search_page(space, halving, history,
                                                  {.title = "A search </title><script>window.hacked = 1</script>",
                                                   .score_name = "nats per character",
                                                   .resource_name = "steps"}));
}
