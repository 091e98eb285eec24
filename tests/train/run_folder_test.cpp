/// \file
/// The folder of a run: names, pruning, files of others; means of versions; and a log that survives kills.
#include "rapt/train/run_folder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#if !defined(_WIN32)
#include <sys/wait.h>
#endif

#include <fstream>
#include <iterator>
#include <set>

#include "tests/common/expect_close.hpp"
#include "tests/common/file_size_limit.hpp"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using rapt::Index;
using rapt::IoError;
using rapt::JsonLog;
using rapt::RunFolder;
using rapt::Tensor;
using rapt_test::error_text;

/// A folder of its own for each test, removed at the end.
class RunFolderTest : public testing::Test {
 protected:
  RunFolderTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ =
        fs::temp_directory_path() / ("rapt_run_folder_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  ~RunFolderTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename().string());
    return names;
  }
  void touch(const std::string& name) const { std::ofstream(folder_ / name) << name; }

  fs::path folder_;
};
using JsonLogTest = RunFolderTest;
using LoadMean = RunFolderTest;

std::string text_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST_F(RunFolderTest, MakesTheFolderAndNamesItsFiles) {
  const fs::path path = folder_ / "a" / "b";
  const RunFolder run(path);
  EXPECT_TRUE(fs::is_directory(path));
  EXPECT_EQ(run.path(), path);
  EXPECT_EQ(run.checkpoint(), path / "checkpoint.safetensors");
  EXPECT_EQ(run.best(), path / "best.safetensors");
  EXPECT_EQ(run.log(), path / "log.jsonl");
  EXPECT_EQ(run.version(0), path / "step-000000000.safetensors");
  EXPECT_EQ(run.version(12345), path / "step-000012345.safetensors");
  EXPECT_EQ(run.version(123456789012), path / "step-123456789012.safetensors");
  EXPECT_EQ(run.best(12345), path / "best-000012345.safetensors");
  EXPECT_TRUE(run.versions().empty());
  EXPECT_NO_THROW(RunFolder{path}) << "it is there already";
}

TEST_F(RunFolderTest, UnwritablePlaces) {
  touch("file");
  for (const fs::path& path : {folder_ / "file", folder_ / "file" / "below", fs::path("/proc/no_such_place")}) {
    const std::string text = error_text<IoError>([&] { RunFolder{path}; });
    EXPECT_EQ(text.find("[run_folder] " + path.string() + ": cannot make the folder: "), 0u) << text;
  }
}

TEST_F(RunFolderTest, FormerBestModelsAreRemovedAlone) {
  const RunFolder run(folder_);
  for (const fs::path& file : {run.best(), run.best(3), run.best(40), run.version(3)}) touch(file.filename().string());
  touch("best-3.safetensors");
  run.remove_former_bests();
  EXPECT_EQ(names(), (std::set<std::string>{"best.safetensors", "best-3.safetensors", "step-000000003.safetensors"}));
}

TEST_F(RunFolderTest, VersionsInTheOrderOfSteps) {
  const RunFolder run(folder_);
  for (const Index step : {300, 20, 1000000000, 4000}) std::ofstream(run.version(step)) << step;
  EXPECT_EQ(run.versions(), (std::vector<Index>{20, 300, 4000, 1000000000}));
  EXPECT_EQ(run.versions(4000), (std::vector<Index>{20, 300, 4000}));
  EXPECT_EQ(run.versions(19), std::vector<Index>());
  EXPECT_EQ(run.last_versions(2, 4000), (std::vector<fs::path>{run.version(300), run.version(4000)}));
  EXPECT_EQ(run.last_versions(9, 299), (std::vector<fs::path>{run.version(20)}));
  EXPECT_TRUE(run.last_versions(0, 4000).empty());
}

TEST_F(RunFolderTest, PruneKeepsTheLastAndRemovesTheFuture) {
  const RunFolder run(folder_);
  for (Index step = 2; step <= 12; step += 2) std::ofstream(run.version(step)) << step;
  run.prune(3, 8);
  EXPECT_EQ(run.versions(), (std::vector<Index>{4, 6, 8}));
  run.prune(3, 8);
  EXPECT_EQ(run.versions(), (std::vector<Index>{4, 6, 8}));
  run.prune(100, 7);
  EXPECT_EQ(run.versions(), (std::vector<Index>{4, 6}));
  run.prune(0, 0);
  EXPECT_TRUE(names().empty());
}

TEST_F(RunFolderTest, FilesOfOthersStay) {
  const std::set<std::string> others{"step-5.safetensors",           // not a name that this program gives
                                     "step-.safetensors",            //
                                     "step--00000005.safetensors",   //
                                     "step-00000000x.safetensors",   //
                                     "step-000000001.safetensors~",  //
                                     "step-99999999999999999999.safetensors",
                                     "my-step-000000001.safetensors",
                                     "notes.txt",
                                     "checkpoint.safetensors",
                                     "best.safetensors",
                                     ".rapt-notes.tmp",
                                     ".rapt-12.tmp",
                                     ".rapt--4-0.tmp"};
  for (const std::string& name : others) touch(name);
  fs::create_directory(folder_ / "step-000000007.safetensors");  // a folder is no version
  const RunFolder run(folder_);
  EXPECT_TRUE(run.versions().empty());
  run.prune(0, 0);
  run.remove_leftovers();
  auto left = names();
  EXPECT_EQ(left.erase("step-000000007.safetensors"), 1u);
  EXPECT_EQ(left, others);
}

TEST_F(RunFolderTest, AFolderThatIsGoneHasNoVersions) {
  const RunFolder run(folder_ / "run");
  fs::remove(folder_ / "run");
  EXPECT_TRUE(run.versions().empty());
  EXPECT_TRUE(run.last_versions(3, 100).empty());
  EXPECT_NO_THROW(run.prune(3, 100));
  EXPECT_NO_THROW(run.remove_leftovers());
}

// What a killed process has half written goes; what a living one is writing stays.
TEST_F(RunFolderTest, LeftoversOfKilledProcesses) {
#if defined(_WIN32)
  GTEST_SKIP() << "there is no fork";
#else
  const RunFolder run(folder_);
  const ::pid_t child = ::fork();
  if (child == 0) {
    rapt::AtomicFile file(run.checkpoint());
    file.write("half", 4);
    ::_exit(0);  // as a kill does: without destructors
  }
  ASSERT_GT(child, 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(names().size(), 1u);
  touch(".rapt-" + std::to_string(::getppid()) + "-3.tmp");
  touch(".rapt-" + std::to_string(::getpid()) + "-1000.tmp");  // of a process that had the same number
  touch("step-000000001.safetensors");
  run.remove_leftovers();
  EXPECT_EQ(names(),
            (std::set<std::string>{".rapt-" + std::to_string(::getppid()) + "-3.tmp", "step-000000001.safetensors"}));
#endif
}

// Means of versions ---------------------------------------------------------------------------------------------------

struct Toy {
  using ScalarType = float;
  rapt::Parameter<float> weight{Tensor<float>({2, 3})};
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("weight", self.weight);
  }
};

TEST_F(LoadMean, IsTheMeanOfTheFiles) {
  const RunFolder run(folder_);
  std::vector<fs::path> files;
  for (const Index step : {1, 2, 6}) {
    Toy toy;
    toy.weight.mutable_value().fill(static_cast<float>(step));
    rapt::write_safetensors(run.version(step), rapt::parameter_entries(toy));
    files.push_back(run.version(step));
  }
  Toy toy;
  rapt::load_mean(toy, std::span<const fs::path>(files));
  for (const float number : toy.weight.value().values()) EXPECT_EQ(number, 3.f);
}

TEST_F(LoadMean, FilesThatDoNotFitChangeNothing) {
  const RunFolder run(folder_);
  Toy toy;
  toy.weight.mutable_value().fill(7.f);
  rapt::write_safetensors(run.version(1), rapt::parameter_entries(toy));
  const Tensor<float> wide({2, 4});
  rapt::write_safetensors(run.version(2), std::vector<rapt::SafetensorsEntry>{{"weight", wide.view()}});
  std::ofstream(run.version(3)) << "text";
  const auto load = [&](std::vector<fs::path> files) { rapt::load_mean(toy, std::span<const fs::path>(files)); };
  EXPECT_EQ(error_text<rapt::ValueError>([&] { load({}); }), "[parameter_mean] no model was added");
  EXPECT_NE(error_text<rapt::ShapeError>([&] {
              load({run.version(1), run.version(2)});
            }).find(run.version(2).string()),
            std::string::npos);
  EXPECT_NE(error_text<IoError>([&] {
              load({run.version(1), run.version(3)});
            }).find(run.version(3).string()),
            std::string::npos);
  EXPECT_NE(error_text<IoError>([&] { load({run.version(4)}); }).find(run.version(4).string()), std::string::npos);
  for (const float number : toy.weight.value().values()) EXPECT_EQ(number, 7.f);
}

// Log -----------------------------------------------------------------------------------------------------------------

TEST_F(JsonLogTest, WritesWhatIsRead) {
  const fs::path path = folder_ / "log";
  EXPECT_TRUE(JsonLog::read(path).empty());
  JsonLog log(path, -1);
  const std::vector<Json> entries{{{"step", 1}, {"loss", 0.1}},
                                  {{"text", "line\nbreak \"quoted\" \u00e9 \u4e2d"}, {"nested", {{"step", 99}}}},
                                  {{"step", 2}, {"loss", 1e-300}, {"list", {1, 2.5, nullptr}}}};
  for (const Json& entry : entries) {
    EXPECT_TRUE(log.write(entry));
    EXPECT_EQ(text_of(path).back(), '\n');
  }
  EXPECT_EQ(JsonLog::read(path), entries);
  EXPECT_EQ(text_of(path).find("{\"step\":1,\"loss\":0.1}\n"), 0u);  // in the order that was given
}

TEST_F(JsonLogTest, NumbersThatAreNotFiniteAreNull) {
  JsonLog log(folder_ / "log", -1);
  EXPECT_TRUE(log.write({{"step", 1}, {"loss", std::numeric_limits<double>::quiet_NaN()}}));
  EXPECT_EQ(text_of(folder_ / "log"), "{\"step\":1,\"loss\":null}\n");
}

TEST_F(JsonLogTest, BytesThatAreNotUtf8AreReplaced) {
  JsonLog log(folder_ / "log", -1);
  EXPECT_TRUE(log.write({{"step", 1}, {"text", "b\xE4r"}}));
  EXPECT_EQ(JsonLog::read(folder_ / "log"), (std::vector<Json>{{{"step", 1}, {"text", "b\uFFFDr"}}}));
}

TEST_F(JsonLogTest, ResumingDropsLaterStepsAndACutOffLine) {
  const fs::path path = folder_ / "log";
  const std::string kept =
      "{\"rapt\":\"1\"}\n{\"step\":1,\"loss\":0.10000000000000001}\n{\"step\":2}\n{\"model\":\"mean\"}\n";
  std::ofstream(path, std::ios::binary) << kept << "{\"step\":3,\"loss\":1}\n{\"step\":10}\n{\"step\":2,\"lo";
  {
    JsonLog log(path, 2);
    EXPECT_EQ(text_of(path), kept);  // to the letter
    EXPECT_TRUE(log.write({{"step", 3}}));
  }
  EXPECT_EQ(text_of(path), kept + "{\"step\":3}\n");
  { const JsonLog log(path, 0); }
  EXPECT_EQ(text_of(path), "{\"rapt\":\"1\"}\n{\"model\":\"mean\"}\n");
  { const JsonLog log(path, -1); }
  EXPECT_EQ(text_of(path), "");
}

TEST_F(JsonLogTest, HostileContent) {
  const fs::path path = folder_ / "log";
  const std::string odd = "{\"step\":\"3\"}\n{\"step\":null}\n{\"step\":{\"step\":1}}\n{\"step\":true}\n";
  const std::string deep = "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}\n";
  std::ofstream(path, std::ios::binary)
      << "text\n\n[1,2]\n3\nnull\n\"step\"\n{\"a\":1e999}\n{\"a\":\"\xff\"}\n{\"a\":1} {\"b\":2}\n{\"a\":01}\n"
      << std::string(3, '\0') << "\n"
      << odd << deep << std::string(200'000, '{') << "\n{\"step\":1e300}\n{\"step\":-1.5}\n{\"step\":2,\"step\":1}";
  const auto entries = JsonLog::read(path);
  EXPECT_EQ(entries.size(), 8u);
  { const JsonLog log(path, 5); }
  EXPECT_EQ(text_of(path), odd + deep + "{\"step\":-1.5}\n{\"step\":2,\"step\":1}\n");
}

TEST_F(JsonLogTest, ADiskThatRefuses) {
  const fs::path path = folder_ / "log";
  JsonLog log(path, -1);
  EXPECT_TRUE(log.write({{"step", 1}}));
  if (rapt_test::kLimitsFiles) {
    bool second = false, third = false;
    {
      const rapt_test::FileSizeLimit full(20);  // in the middle of the next line
      second = log.write({{"step", 2}});
      third = log.write({{"step", 3}});
    }
    EXPECT_FALSE(second);
    EXPECT_FALSE(third);
  }
  EXPECT_TRUE(log.write({{"step", 4}}));
  EXPECT_TRUE(log.write({{"step", 5}}));
  EXPECT_EQ(JsonLog::read(path), (std::vector<Json>{{{"step", 1}}, {{"step", 4}}, {{"step", 5}}}));

  fs::remove_all(folder_);
  EXPECT_FALSE(log.write({{"step", 6}}));
  EXPECT_NE(error_text<IoError>([&] { JsonLog(path, -1); }).find(path.string()), std::string::npos);
}

TEST_F(JsonLogTest, ALogThatCannotBeReadIsNotAnEmptyOne) {
  if (!std::filesystem::exists("/proc/self/mem")) GTEST_SKIP() << "no /proc";
  EXPECT_EQ(error_text<IoError>([] { (void)rapt::JsonLog::read("/proc/self/mem"); }),
            "[run_folder] /proc/self/mem: cannot read the log");
}

}  // namespace
