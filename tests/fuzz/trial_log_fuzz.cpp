/// \file
/// libFuzzer target: whatever stands in the log of a search, it is read or refused with rapt::IoError; what was read
/// can be gone on with, and the records are then those of before and the new one.
///
///     sh tests/fuzz/run.sh 120 trial_log  # -max_len=4096
#include <cstdint>
#include <string>
#include <string_view>

#include "rapt/search/trial_log.hpp"
#include "tests/fuzz/fuzz_files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::Folder folder;
  static const rapt::SettingsSpace space = [] {
    rapt::SettingsSpace made;
    made.add("rate", rapt::log_range(1e-4, 1));
    made.add("layers", rapt::integer_range(1, 6));
    made.add("norm", rapt::choice({"post", "pre"}));
    return made;
  }();
  folder.write("log.jsonl", {reinterpret_cast<const char*>(data), size});
  try {
    rapt::TrialLog log(folder.path() / "log.jsonl");
    const rapt::TrialRecords records = log.read(space);
    if (records.search.is_null()) {
      log.write_search({{"seed", 1}});
    } else if (records.history.running().empty()) {
      log.write_start({records.history.size(), 0}, space.sample(1, 0), records.seconds);
    } else {
      log.write_end(records.history.running().front(), {.score = 1, .seconds = records.seconds});
    }
    const rapt::TrialRecords again = log.read(space);
    rapt_fuzz::expect(again.torn.empty() && !again.search.is_null() && again.bytes > records.bytes);
    rapt_fuzz::expect(again.history.size() + static_cast<rapt::Index>(again.history.finished().size()) ==
                      records.history.size() + static_cast<rapt::Index>(records.history.finished().size()) +
                          (records.search.is_null() ? 0 : 1));
    for (const rapt::SettingsTrial& trial : again.history.trials()) {
      static_cast<void>(space.features_of(trial.settings));
    }
  } catch (const rapt::IoError&) {
  }
  return 0;
}
