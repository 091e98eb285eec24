/// \file
/// The log of a search: JSON objects, one a line, from which a search that was killed goes on.
///
///     {"event":"search", ...}                                          what the search is: the first line
///     {"event":"start","trial":3,"rung":0,"settings":{...},"seconds":71.5}
///     {"event":"end","trial":3,"rung":0,"score":2.31,"resource":100,"took":12.2,"seconds":83.7}
///     {"event":"end","trial":4,"rung":0,"failure":"...","resource":100,"took":3.1,"seconds":86.9}
#pragma once

#if defined(_WIN32)
#error "rapt/search/ runs its trials in forked processes, which Windows does not have."
#endif

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "rapt/core/error.hpp"
#include "rapt/core/index.hpp"
#include "rapt/core/input_file.hpp"
#include "rapt/core/system.hpp"
#include "rapt/search/history.hpp"
#include "rapt/search/space.hpp"

namespace rapt { inline namespace RAPT_ABI {

/// What a log says.
struct TrialRecords {
  nlohmann::ordered_json search = {};  ///< the first line; null: there is none
  /// The trials and their results, as the lines tell them.
  TrialHistory history = {};
  double seconds = 0;     ///< of the search, at the last line
  std::size_t bytes = 0;  ///< of the whole lines
  std::string torn = {};  ///< the last line, if a kill has cut it off; it counts for nothing
};

namespace detail {

/// Reads one line after another, and throws IoError `[trial_log] file: line 7: ...`.
class TrialLogReader {
 public:
  /// A line of the log.
  using Json = nlohmann::ordered_json;

  TrialLogReader(const SettingsSpace& space, const std::string& file) : space_(space), file_(file) {}

  [[nodiscard]] TrialRecords read(std::string_view text) {
    while (records_.bytes < text.size()) {
      const std::string_view rest = text.substr(records_.bytes);
      const std::size_t length = rest.find('\n');
      bool is_too_deep = false;
      const Json entry = parse(rest.substr(0, length), is_too_deep);
      const bool is_last = length == std::string_view::npos || length + 1 == rest.size();
      if (length == std::string_view::npos || (is_last && !entry.is_object() && !is_too_deep)) {
        records_.torn = std::string(rest);
        break;
      }
      ++line_;
      expect(!is_too_deep, "is nested more than 64 deep");
      expect(entry.is_object(), "is not a JSON object");
      add(entry);
      records_.bytes += length + 1;
    }
    return std::move(records_);
  }

 private:
  /// A line, without what is nested deeper than 64: values are copied and written by functions that call themselves.
  [[nodiscard]] static Json parse(std::string_view line, bool& is_too_deep) {
    const auto keeps = [&](int depth, Json::parse_event_t event, const Json&) {
      const bool begins = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
      if (begins && depth >= 64) is_too_deep = true;
      return !is_too_deep;
    };
    return Json::parse(line, keeps, /*allow_exceptions=*/false);
  }

  void add(const Json& entry) {
    const auto event = entry.find("event");
    expect(event != entry.end() && event->is_string(), "has no \"event\"");
    const bool is_search = *event == "search";
    expect(is_search == (line_ == 1), "the first line, and no other, must have the event \"search\"");
    if (is_search) {
      records_.search = entry;
      return;
    }
    expect(*event == "start" || *event == "end", "has an unknown \"event\"");
    const TrialRung place{index(entry, "trial"), index(entry, "rung")};
    records_.seconds = std::max(records_.seconds, number(entry, "seconds"));
    try {
      if (*event == "start") {
        const auto settings = entry.find("settings");
        const bool is_new = place.trial == records_.history.size();
        expect(is_new == (settings != entry.end()), "\"settings\" must stand where a trial begins, and only there");
        if (is_new) static_cast<void>(space_.coordinates_of(*settings));
        records_.history.start(place, is_new ? *settings : Json());
      } else {
        records_.history.finish(place, result(entry));
      }
    } catch (const ValueError& error) {
      expect(false, error.what());
    }
  }

  [[nodiscard]] RungResult result(const Json& entry) const {
    RungResult result{
        .resource = number(entry, "resource"), .took = number(entry, "took"), .seconds = number(entry, "seconds")};
    const auto failure = entry.find("failure");
    expect((failure == entry.end()) == entry.contains("score"), "must have either a \"score\" or a \"failure\"");
    if (failure == entry.end()) {
      result.score = number(entry, "score");
    } else {
      expect(failure->is_string(), "\"failure\" must be a string");
      result.failure = failure->get<std::string>();
    }
    return result;
  }

  [[nodiscard]] double number(const Json& entry, const char* key) const {
    const auto found = entry.find(key);
    expect(found != entry.end() && found->is_number() && std::isfinite(found->get<double>()),
           std::string("\"") + key + "\" must be a number");
    return found->get<double>();
  }
  [[nodiscard]] Index index(const Json& entry, const char* key) const {
    const auto found = entry.find(key);
    expect(
        found != entry.end() && found->is_number_integer() && found->get<double>() >= 0 && found->get<double>() < 1e9,
        std::string("\"") + key + "\" must be a whole number from 0 to 999999999");
    return found->get<Index>();
  }
  void expect(bool right, std::string_view what) const {
    require<IoError>(right, "trial_log", file_, ": line ", line_, ": ", what);
  }

  const SettingsSpace& space_;
  const std::string& file_;
  TrialRecords records_;
  Index line_ = 0;
};

}  // namespace detail

/// Reads the text of a log. Only its last line may be cut off; throws IoError that names the line for any other that
/// is no record, or that cannot follow those before. `file` is the name for messages.
[[nodiscard]] inline TrialRecords read_trial_log(std::string_view text, const SettingsSpace& space,
                                                 const std::string& file) {
  return detail::TrialLogReader(space, file).read(text);
}

/// What the first line of the log at `path` says that the search is; null: there is no such file, or no whole line.
/// Throws IoError if the line is not that of a search.
[[nodiscard]] inline nlohmann::ordered_json read_search_line(const std::filesystem::path& path) {
  detail::InputFile file(path);
  std::string line;
  if (!std::getline(file, line) || file.eof()) return nullptr;
  return read_trial_log(line + '\n', SettingsSpace(), path.string()).search;
}

/// Writes the log of a search. Each line is whole on the disk, or not there at all, before the next thing happens. The
/// file is locked for as long as this process, or a child that it has forked, is alive: two searches cannot share it.
class TrialLog {
 public:
  /// A line of the log.
  using Json = nlohmann::ordered_json;

  /// Opens the log at `path`. Throws IoError if that is not possible, or if another process has it and keeps it for
  /// `patience` more seconds.
  explicit TrialLog(std::filesystem::path path, double patience = 10)
      : path_(std::move(path)), file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
    if (!file_.is_open()) fail_with(errno, "cannot open");
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(patience);
    while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == ENOLCK || errno == ENOTSUP) break;  // a file system without locks
      if (errno != EWOULDBLOCK && errno != EINTR) fail_with(errno, "cannot lock");
      require<IoError>(Clock::now() < end, kWhere, path_.string(),
                       ": a search is running in this folder, or a trial of one that was killed");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  /// The path of the log.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Reads the log, and removes a last line that a kill has cut off.
  [[nodiscard]] TrialRecords read(const SettingsSpace& space) {
    TrialRecords records = read_trial_log(whole_text(), space, path_.string());
    if (!records.torn.empty()) truncate(records.bytes);
    return records;
  }
  /// Throws IoError if the file is not empty, and does not begin as the log of a search.
  void require_search() const {
    constexpr std::string_view kBegin = "{\"event\":\"search\"";
    const std::string text = whole_text();
    const std::string_view begin = std::string_view(text).substr(0, kBegin.size());
    require<IoError>(begin == kBegin.substr(0, begin.size()), kWhere, path_.string(), ": is not the log of a search");
  }
  /// Removes all lines.
  void clear() { truncate(0); }

  /// Adds the first line: what the search is. These functions throw IoError as `write` does.
  void write_search(Json search) {
    Json entry = {{"event", "search"}};
    entry.update(search);
    write(entry);
  }
  /// A trial begins a rung; `settings` are those of a new trial, else null.
  void write_start(TrialRung place, const Json& settings, double seconds) {
    Json entry = {{"event", "start"}, {"trial", place.trial}, {"rung", place.rung}};
    if (!settings.is_null()) entry["settings"] = settings;
    entry["seconds"] = seconds;
    write(entry);
  }
  /// Writes a line: the rung of a trial has ended with this result.
  void write_end(TrialRung place, const RungResult& result) {
    Json entry = {{"event", "end"}, {"trial", place.trial}, {"rung", place.rung}};
    if (result.score) {
      entry["score"] = *result.score;
    } else {
      entry["failure"] = result.failure;
    }
    entry["resource"] = result.resource;
    entry["took"] = result.took;
    entry["seconds"] = result.seconds;
    write(entry);
  }

 private:
  static constexpr const char* kWhere = "trial_log";

  [[nodiscard]] std::string whole_text() const {
    std::string text;
    char part[4096];
    detail::InputFile file(path_);
    require<IoError>(file.is_open(), kWhere, path_.string(), ": cannot open");
    while (file.read(part, sizeof part), file.gcount() > 0) text.append(part, static_cast<std::size_t>(file.gcount()));
    require<IoError>(!file.bad(), kWhere, path_.string(), ": cannot read");
    return text;
  }

  /// Adds a line. Throws IoError, with the log as it was, if it cannot be written, as when the disk is full.
  void write(const Json& entry) {
    // A byte that is not UTF-8 becomes U+FFFD: a result must not be lost for it.
    const std::string line =
        entry.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + '\n';
    const ::off_t before = ::lseek(file_.get(), 0, SEEK_END);
    const auto undo_and_fail = [&](const char* what) {
      const int error = errno;
      if (before >= 0) static_cast<void>(::ftruncate(file_.get(), before));
      fail_with(error, what);
    };
    std::size_t done = 0;
    while (done < line.size()) {
      const ::ssize_t written = ::write(file_.get(), line.data() + done, line.size() - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) undo_and_fail("cannot write");
      done += static_cast<std::size_t>(written);
    }
    if (::fsync(file_.get()) != 0 && errno != EINVAL) undo_and_fail("cannot flush to the disk");
  }

  void truncate(std::size_t bytes) {
    if (::ftruncate(file_.get(), static_cast<::off_t>(bytes)) != 0) fail_with(errno, "cannot shorten");
  }
  [[noreturn]] void fail_with(int error, const char* what) const {
    fail<IoError>(kWhere, path_.string(), ": ", what, ": ", detail::system_reason(error));
  }

  std::filesystem::path path_;
  detail::FileDescriptor file_;
};

}}  // namespace rapt::RAPT_ABI
