#include "kube/manifest_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "kube/object_fixture.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

std::string objective_text(const std::string& name, int priority = 1,
                           const std::string& group = "llm-d.ai") {
  return "apiVersion: " + group + "/v1alpha2\nkind: InferenceObjective\nmetadata: {name: " + name +
         "}\nspec: {priority: " + std::to_string(priority) + ", poolRef: {name: p}}\n";
}

class ManifestWatchTest : public ::testing::Test {
 protected:
  ManifestWatchTest()
      : folder_(fs::path(::testing::TempDir()) / ("manifests_" + std::to_string(getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ManifestWatchTest() override {
    watch_.reset();
    fs::remove_all(folder_);
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  Result<void> start(ManifestWatchOptions options = {}) {
    if (options.paths.empty()) options.paths = {folder_.string()};
    options.interval = std::chrono::hours(1);
    auto started = ManifestWatch::start(
        *loop_, store_, std::move(options),
        [this](const std::string& why) { told_.push_back(why); },
        [this](const std::string& of) { told_.push_back(of + " is read again"); });
    if (!started) return started.error();
    watch_ = std::move(*started);
    return {};
  }
  // New content counts at the second look.
  void look() {
    watch_->look();
    watch_->look();
  }
  // "NAME=PRIORITY" of each objective.
  std::string held() const {
    std::string all;
    store_.for_each<InferenceObjective>("", [&](const InferenceObjective& objective) {
      all +=
          (all.empty() ? "" : " ") + objective.meta.name + "=" + std::to_string(objective.priority);
    });
    return all;
  }

  const fs::path folder_;
  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  ObjectStore store_{{.objects = 1'000}};
  std::vector<std::string> told_;
  std::unique_ptr<ManifestWatch> watch_;
};

TEST_F(ManifestWatchTest, FilesOfAFolderAreInTheStoreWhenItStarts) {
  write("a.yaml", objective_text("one", 1) + "---\n" + objective_text("two", 2));
  write("b.yml", objective_text("three", 3));
  write("c.json", R"({"apiVersion":"llm-d.ai/v1alpha2","kind":"InferenceObjective",)"
                  R"("metadata":{"name":"four"},"spec":{"priority":4,"poolRef":{"name":"p"}}})");
  write("notes.txt", "not: [read");
  write(".hidden.yaml", "not: [read");
  fs::create_directories(folder_ / "below.yaml");
  ChangeRecorder listener(store_);
  ASSERT_TRUE(start().ok());
  EXPECT_EQ(held(), "four=4 one=1 three=3 two=2");
  EXPECT_EQ(listener.batches, 1u);
}

TEST_F(ManifestWatchTest, KindsThatAreNotReadAreSkipped) {
  write("a.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\n" +
                      objective_text("one"));
  ASSERT_TRUE(start().ok());
  EXPECT_EQ(store_.size(), 1u);
}

TEST_F(ManifestWatchTest, AnythingWrongAtTheStartIsAnErrorAndNothingIsUsed) {
  write("a.yaml", objective_text("one"));
  write("b.yaml", "\n\nmetadata: [\n");
  write("c.yaml",
        "apiVersion: llm-d.ai/v1alpha2\nkind: InferenceObjective\nmetadata: {name: x}\n"
        "spec:\n  priority: high\n  poolRef: {name: p}\n");
  const Result<void> started = start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().message, HasSubstr(path("b.yaml") + ": line "));
  EXPECT_THAT(started.error().message, HasSubstr(path("c.yaml") + ":5: spec.priority"));
  EXPECT_EQ(store_.size(), 0u);
}

TEST_F(ManifestWatchTest, APathThatIsNotThereIsAnErrorThatNamesIt) {
  const Result<void> started = start({.paths = {path("missing.yaml")}});
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().message, HasSubstr(path("missing.yaml")));
}

TEST_F(ManifestWatchTest, NewChangedAndDeletedFilesAreFollowed) {
  write("a.yaml", objective_text("one", 1));
  write("b.yaml", objective_text("two", 2));
  ASSERT_TRUE(start().ok());
  write("a.yaml", objective_text("one", 5));
  write("c.yaml", objective_text("three", 3));
  fs::remove(folder_ / "b.yaml");
  look();
  EXPECT_EQ(held(), "one=5 three=3");
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ManifestWatchTest, ObjectsOfAFileThatDidNotChangeAreNotTold) {
  write("a.yaml", objective_text("one"));
  write("b.yaml", objective_text("two"));
  ASSERT_TRUE(start().ok());
  ChangeRecorder listener(store_);
  write("a.yaml", objective_text("one"));
  write("b.yaml", objective_text("two", 9));
  look();
  look();
  EXPECT_EQ(listener.take(), "two@> .");
}

TEST_F(ManifestWatchTest, AFileIsUsedWhenTwoLooksFindTheSame) {
  write("a.yaml", objective_text("one", 1));
  ASSERT_TRUE(start().ok());
  write("a.yaml", objective_text("one", 2));
  watch_->look();
  EXPECT_EQ(held(), "one=1");
  write("a.yaml", objective_text("one", 3));
  watch_->look();
  EXPECT_EQ(held(), "one=1");
  watch_->look();
  EXPECT_EQ(held(), "one=3");
}

// Editors move the old file away before they write the new one.
TEST_F(ManifestWatchTest, AFileThatIsMissingForOneLookIsNotGone) {
  write("a.yaml", objective_text("one"));
  ASSERT_TRUE(start().ok());
  ChangeRecorder listener(store_);
  fs::rename(folder_ / "a.yaml", folder_ / "a.yaml~");
  watch_->look();
  fs::rename(folder_ / "a.yaml~", folder_ / "a.yaml");
  look();
  EXPECT_EQ(listener.take(), "");
}

TEST_F(ManifestWatchTest, ABrokenFileKeepsWhatItGaveAndIsToldOnce) {
  write("a.yaml", objective_text("one", 1));
  ASSERT_TRUE(start().ok());
  write("a.yaml", "apiVersion: llm-d.ai/v1alpha2\nkind: InferenceObjective\nspec: [\n");
  look();
  look();
  EXPECT_EQ(held(), "one=1");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0], HasSubstr(path("a.yaml")));
  write("a.yaml", objective_text("one", 2));
  look();
  EXPECT_EQ(held(), "one=2");
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_EQ(told_[1], path("a.yaml") + " is read again");
}

TEST_F(ManifestWatchTest, ANamedFileThatIsNotThereKeepsItsObjectsAndIsToldOnce) {
  write("a.yaml", objective_text("one"));
  fs::create_directories(folder_ / "m");
  write("m/b.yaml", objective_text("two", 2));
  ASSERT_TRUE(start({.paths = {path("a.yaml"), path("m")}}).ok());
  fs::remove(folder_ / "a.yaml");
  write("m/b.yaml", objective_text("two", 3));
  look();
  look();
  EXPECT_EQ(held(), "one=1 two=3");
  const std::string away = "cannot read " + path("a.yaml") + ": No such file or directory";
  EXPECT_THAT(told_, ElementsAre(away));
  write("a.yaml", objective_text("one", 7));
  look();
  EXPECT_EQ(held(), "one=7 two=3");
  EXPECT_THAT(told_, ElementsAre(away, path("a.yaml") + " is read again"));
}

TEST_F(ManifestWatchTest, ANamedFileThatIsAFolderNowKeepsItsObjectsAndIsToldOnce) {
  write("a.yaml", objective_text("one"));
  ASSERT_TRUE(start({.paths = {path("a.yaml")}}).ok());
  fs::remove(folder_ / "a.yaml");
  fs::create_directories(folder_ / "a.yaml");
  look();
  look();
  EXPECT_EQ(held(), "one=1");
  EXPECT_THAT(told_, ElementsAre("cannot read " + path("a.yaml") + ": it is a directory now"));
}

TEST_F(ManifestWatchTest, ABrokenFileThatComesBackBrokenIsNotReadAgain) {
  write("a.yaml", objective_text("one"));
  ASSERT_TRUE(start({.paths = {path("a.yaml")}}).ok());
  write("a.yaml", "spec: [\n");
  look();
  fs::rename(folder_ / "a.yaml", folder_ / "away");
  look();
  fs::rename(folder_ / "away", folder_ / "a.yaml");
  look();
  EXPECT_EQ(told_.size(), 2u);
  write("a.yaml", objective_text("one", 2));
  look();
  ASSERT_EQ(told_.size(), 3u);
  EXPECT_EQ(told_[2], path("a.yaml") + " is read again");
}

TEST_F(ManifestWatchTest, AFolderThatIsNotThereKeepsItsObjectsAndIsToldOnce) {
  fs::create_directories(folder_ / "m");
  write("m/a.yaml", objective_text("one"));
  write("m/b.yaml", objective_text("two", 2));
  ASSERT_TRUE(start({.paths = {path("m/")}}).ok());
  ChangeRecorder listener(store_);
  fs::rename(folder_ / "m", folder_ / "mgone");
  look();
  look();
  const std::string away = "cannot read " + path("m/") + ": No such file or directory";
  EXPECT_THAT(told_, ElementsAre(away));
  fs::rename(folder_ / "mgone", folder_ / "m");
  look();
  EXPECT_EQ(listener.take(), "");
  EXPECT_THAT(told_, ElementsAre(away, path("m/") + " is read again"));
  fs::remove(folder_ / "m" / "a.yaml");
  look();
  EXPECT_EQ(held(), "two=2");
}

TEST_F(ManifestWatchTest, AFolderThatIsReplacedBetweenTwoLooksIsNotTold) {
  fs::create_directories(folder_ / "m");
  write("m/a.yaml", objective_text("one"));
  ASSERT_TRUE(start({.paths = {path("m")}}).ok());
  fs::rename(folder_ / "m", folder_ / "old");
  watch_->look();
  fs::rename(folder_ / "old", folder_ / "m");
  look();
  EXPECT_EQ(held(), "one=1");
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ManifestWatchTest, AFolderWhoseFilesWereDeletedIsEmpty) {
  write("a.yaml", objective_text("one"));
  write("b.yaml", objective_text("two"));
  ASSERT_TRUE(start().ok());
  fs::remove(folder_ / "a.yaml");
  fs::remove(folder_ / "b.yaml");
  look();
  EXPECT_EQ(held(), "");
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ManifestWatchTest, AFileThatIsEmptyNowKeepsItsObjectsAndIsToldOnce) {
  write("a.yaml", objective_text("one"));
  ASSERT_TRUE(start().ok());
  write("a.yaml", "");
  look();
  look();
  EXPECT_EQ(held(), "one=1");
  const std::string empty = path("a.yaml") + " is empty";
  EXPECT_THAT(told_, ElementsAre(empty));
  write("a.yaml", objective_text("one"));
  look();
  EXPECT_THAT(told_, ElementsAre(empty, path("a.yaml") + " is read again"));
  write("a.yaml", "# none\n");
  look();
  EXPECT_EQ(held(), "");
}

TEST_F(ManifestWatchTest, AFileThatCannotBeReadIsToldWhenItIsReadAgain) {
  write("a.yaml", objective_text("one"));
  ASSERT_TRUE(start({.paths = {path("a.yaml")}}).ok());
  fs::rename(folder_ / "a.yaml", folder_ / "kept");
  ASSERT_EQ(mkfifo(path("a.yaml").c_str(), 0600), 0);
  look();
  EXPECT_EQ(held(), "one=1");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0], HasSubstr("it is a pipe"));
  fs::rename(folder_ / "kept", folder_ / "a.yaml");
  look();
  look();
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_EQ(told_[1], path("a.yaml") + " is read again");
}

// What kubelet does: files are links through ..data, which is a link to a folder and is swapped.
TEST_F(ManifestWatchTest, TheSwappedLinkOfAConfigMapIsFollowed) {
  const auto publish = [this](const std::string& version, const std::string& text) {
    fs::create_directories(folder_ / version);
    std::ofstream(folder_ / version / "a.yaml") << text;
    fs::create_directory_symlink(version, folder_ / "..data_tmp");
    fs::rename(folder_ / "..data_tmp", folder_ / "..data");
  };
  publish("..2026_01", objective_text("one", 1));
  fs::create_symlink("..data/a.yaml", folder_ / "a.yaml");
  ASSERT_TRUE(start().ok());
  EXPECT_EQ(held(), "one=1");
  publish("..2026_02", objective_text("one", 2));
  fs::remove_all(folder_ / "..2026_01");
  look();
  EXPECT_EQ(held(), "one=2");
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ManifestWatchTest, AnObjectInTwoFilesIsAProblemThatNamesBoth) {
  write("a.yaml", objective_text("one", 1));
  write("b.yaml", objective_text("other") + "---\n" + objective_text("one", 2));
  const Result<void> started = start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().message,
              HasSubstr(path("b.yaml") + ":6: InferenceObjective default/one is in " +
                        path("a.yaml") + ":1 too"));
  EXPECT_EQ(store_.size(), 0u);
}

TEST_F(ManifestWatchTest, AnObjectTwiceInOneFileIsAProblem) {
  write("a.yaml", objective_text("one", 1) + "---\n" + objective_text("one", 2));
  const Result<void> started = start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().message, HasSubstr(path("a.yaml") + ":6: "));
  EXPECT_THAT(started.error().message, HasSubstr(path("a.yaml") + ":1 too"));
}

TEST_F(ManifestWatchTest, AFileWithAnothersObjectIsUsedWhenThatLetsItGo) {
  write("a.yaml", objective_text("one", 1));
  write("b.yaml", objective_text("two", 2));
  ASSERT_TRUE(start().ok());
  write("b.yaml", objective_text("two", 3) + "---\n" + objective_text("one", 4));
  look();
  look();
  EXPECT_EQ(held(), "one=1 two=2");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0], HasSubstr("is in " + path("a.yaml") + ":1 too"));
  fs::remove(folder_ / "a.yaml");
  look();
  EXPECT_EQ(held(), "one=4 two=3");
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(ManifestWatchTest, AnObjectThatMovesToAnotherFileStays) {
  write("a.yaml", objective_text("one", 1) + "---\n" + objective_text("two", 2));
  write("b.yaml", objective_text("three", 3));
  ASSERT_TRUE(start().ok());
  ChangeRecorder listener(store_);
  write("a.yaml", objective_text("two", 2));
  write("b.yaml", objective_text("three", 3) + "---\n" + objective_text("one", 1));
  look();
  EXPECT_EQ(held(), "one=1 three=3 two=2");
  EXPECT_THAT(listener.take(), ::testing::Not(HasSubstr("-one")));
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ManifestWatchTest, TheSameNameInTwoGroupsIsTwoObjectsAndThePreferredIsShown) {
  write("a.yaml", objective_text("one", 1, "inference.networking.x-k8s.io"));
  write("b.yaml", objective_text("one", 2, "llm-d.ai"));
  ASSERT_TRUE(start().ok());
  EXPECT_EQ(held(), "one=2");
  fs::remove(folder_ / "b.yaml");
  look();
  EXPECT_EQ(held(), "one=1");
}

TEST_F(ManifestWatchTest, AFolderThatCannotBeListedKeepsEverything) {
  write("a.yaml", objective_text("one"));
  ASSERT_TRUE(start({.paths = {folder_.string()}, .files_max = 2}).ok());
  for (const char* name : {"b.yaml", "c.yaml"}) write(name, objective_text(name));
  look();
  look();
  EXPECT_EQ(held(), "one=1");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0], HasSubstr("there are more than 2 files"));
}

TEST_F(ManifestWatchTest, LimitsOfSizeAreProblemsThatNameTheFile) {
  write("a.yaml", objective_text("one"));
  ManifestWatchOptions options;
  options.limits.bytes = 500;
  ASSERT_TRUE(start(options).ok());
  write("a.yaml", std::string(501, '#'));
  look();
  look();
  EXPECT_EQ(held(), "one=1");
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_THAT(told_[0], HasSubstr(path("a.yaml") + " is longer than 500 bytes"));
}

TEST_F(ManifestWatchTest, MoreObjectsThanTheStoreTakesIsAnErrorThatNamesTheFirst) {
  std::string text;
  for (int i = 0; i < 1'001; ++i) text += objective_text("o" + std::to_string(i)) + "---\n";
  write("a.yaml", text);
  const Result<void> started = start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().message, HasSubstr("finds no room: 1000 objects are the most"));
}

// On another thread, and the loop goes on meanwhile.
TEST_F(ManifestWatchTest, ALargeFileIsParsedElsewhere) {
  write("a.yaml", objective_text("one"));
  ASSERT_TRUE(start().ok());
  std::string text = "# " + std::string(100'000, 'x') + "\n";
  for (int i = 0; i < 500; ++i) text += objective_text("o" + std::to_string(i)) + "---\n";
  write("b.yaml", text);
  look();
  EXPECT_EQ(held(), "one=1");
  struct Stopper final : ObjectStoreListener {
    Stopper(EventLoop& l, ObjectStore& s) : loop(l), store(s) { store.add_listener(*this); }
    ~Stopper() override { store.remove_listener(*this); }
    void on_change(const ObjectChange&) override {}
    void on_batch_end() override { loop.stop(); }
    EventLoop& loop;
    ObjectStore& store;
  } stopper(*loop_, store_);
  loop_->run();
  EXPECT_EQ(store_.size(), 501u);
}

TEST_F(ManifestWatchTest, TheTimerLooksByItself) {
  write("a.yaml", objective_text("one", 1));
  auto started = ManifestWatch::start(
      *loop_, store_,
      {.paths = {path("a.yaml")},
       .default_namespace = "n",
       .interval = std::chrono::milliseconds(1)},
      [](const std::string&) {}, [](const std::string&) {});
  ASSERT_TRUE(started.ok());
  EXPECT_NE(store_.get<InferenceObjective>("n", "one"), nullptr);
  struct Stopper final : ObjectStoreListener {
    Stopper(EventLoop& l, ObjectStore& s) : loop(l), store(s) { store.add_listener(*this); }
    ~Stopper() override { store.remove_listener(*this); }
    void on_change(const ObjectChange&) override { loop.stop(); }
    EventLoop& loop;
    ObjectStore& store;
  } stopper(*loop_, store_);
  write("a.yaml", objective_text("one", 2));
  loop_->run();
  EXPECT_EQ(held(), "one=2");
}

}  // namespace
}  // namespace kvasir
