/// \file
/// libFuzzer target: whatever the bytes are, reading them as lines, as a text and as a tab-separated corpus either
/// works or throws rapt::IoError, and all ways agree.
///
///     sh tests/fuzz/run.sh 120 tsv  # -max_len=8192
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "rapt/data/parallel_corpus.hpp"
#include "tests/fuzz/fuzz_files.hpp"

namespace {

using rapt_fuzz::expect;

void check_lines(const std::string& path, std::string_view input) {
  const auto lines = rapt::read_lines(path);
  const std::string text = rapt::read_text(path);
  expect(!rapt::find_invalid_utf8(text));
  const auto views = rapt::lines_of(input);
  expect(std::equal(lines.begin(), lines.end(), views.begin(), views.end()));
  for (const std::string& line : lines) {
    expect(line.find('\n') == line.npos);
    const std::string shown = rapt::as_line(line);
    expect(shown == rapt::as_line(shown) && rapt::lines_of(shown).size() <= 1 && !rapt::find_invalid_utf8(shown));
    expect(rapt::is_blank(line) == rapt::split_whitespace(line).empty());
  }
}

void check_corpus(const std::string& path, rapt::Index source, rapt::Index target) {
  auto corpus = rapt::ParallelCorpus::read_tab_separated(path, source, target);
  const rapt::Index size = corpus.size(), dropped = corpus.drop_empty();
  expect(dropped >= 0 && corpus.size() + dropped == size && corpus.source.size() == corpus.target.size());
  for (const std::string& side : corpus.source) expect(!rapt::is_blank(side) && side.find('\t') == side.npos);
  if (corpus.size() > 2) expect(corpus.hold_out(2, 1).size() == 2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const rapt_fuzz::MemoryFile file;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  file.write(input);
  try {
    check_lines(file.path(), input);
    check_corpus(file.path(), 0, 1);
    check_corpus(file.path(), 2, 0);
  } catch (const rapt::IoError&) {
  }
  static_cast<void>(rapt::as_line(input));
  return 0;
}
