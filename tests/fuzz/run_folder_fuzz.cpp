/// \file
/// libFuzzer target: whatever stands in a run's log, it can be read, resumed and written to; lines of later steps go,
/// and all others stay.
///
/// The first byte of an input is the step at which the run goes on, the rest is the log.
///
///     sh tests/fuzz/run.sh 120 run_folder  # -max_len=4096
#include <cstdint>
#include <string>
#include <vector>

#include "rapt/train/run_folder.hpp"
#include "tests/fuzz/fuzz_files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::Folder folder;
  if (size == 0) return 0;
  const rapt::RunFolder run(folder.path());
  const rapt::Index step = data[0];
  folder.write("log.jsonl", {reinterpret_cast<const char*>(data) + 1, size - 1});
  const auto is_later = [&](const nlohmann::ordered_json& entry) {
    const auto found = entry.find("step");
    return found != entry.end() && found->is_number() && !(*found <= step);
  };
  std::vector<nlohmann::ordered_json> expected = rapt::JsonLog::read(run.log());
  std::erase_if(expected, is_later);

  rapt::JsonLog log(run.log(), step);
  rapt_fuzz::expect(rapt::JsonLog::read(run.log()).size() == expected.size());
  expected.push_back({{"step", step + 1}});
  rapt_fuzz::expect(log.write(expected.back()));
  const auto again = rapt::JsonLog::read(run.log());
  rapt_fuzz::expect(again.size() == expected.size() && again.back() == expected.back());
  return 0;
}
