#include "kube/manifest_watch.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/settled_file.h"
#include "base/whole_file.h"
#include "kube/manifest_claims.h"
#include "net/io/background_job.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// Between the look that finds new content and the one that confirms it.
constexpr Duration kSettleTime = std::chrono::milliseconds(100);
// What takes a few milliseconds to parse; more goes to another thread.
constexpr size_t kParsedHereBytesMax = 64 * 1024;

// What the files say, by their paths; nullopt: the text has a problem.
struct ParsedManifests {
  std::map<std::string, std::optional<ManifestClaims::File>> files;
  std::vector<std::string> problems;  // "FILE:LINE: TEXT"
};

using ManifestTexts = std::map<std::string, std::string>;

std::string with_path(const std::string& path, const Remark& remark) {
  return path + (remark.line > 0 ? ":" + std::to_string(remark.line) : "") + ": " + remark.text;
}

std::optional<ManifestClaims::File> parse_manifest(const std::string& path, const std::string& text,
                                                   const ManifestWatchOptions& options,
                                                   std::vector<std::string>& problems) {
  auto objects = read_manifest(text, options.default_namespace, options.limits);
  if (!objects) {
    problems.push_back(path + ": " + objects.error().message);
    return std::nullopt;
  }
  ManifestClaims::File file;
  bool sound = true;
  for (ManifestObject& object : *objects) {
    sound = sound && object.problems.empty();
    for (const Remark& remark : object.problems) problems.push_back(with_path(path, remark));
    if (object.object != nullptr) file.push_back({object.line, std::move(object.object)});
  }
  if (!sound) return std::nullopt;
  return file;
}

ParsedManifests parse_manifests(const ManifestTexts& texts, const ManifestWatchOptions& options) {
  ParsedManifests parsed;
  for (const auto& [path, text] : texts) {
    parsed.files[path] = parse_manifest(path, text, options, parsed.problems);
  }
  return parsed;
}

bool is_manifest_name(const std::string& name) {
  if (name.empty() || name.front() == '.') return false;
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool is_there(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 || errno != ENOENT;
}

std::string plain_path(const std::string& path) {
  return std::filesystem::path(path).lexically_normal().string();
}

class FolderWatch final : public ManifestWatch {
 public:
  FolderWatch(EventLoop& loop, ObjectStore& store, ManifestWatchOptions options,
              std::function<void(const std::string&)> told)
      : loop_(loop),
        store_(store),
        options_(std::make_shared<const ManifestWatchOptions>(std::move(options))),
        told_(std::move(told)),
        claims_(store),
        job_(loop) {}
  ~FolderWatch() override { loop_.cancel(timer_); }

  Result<void> start();
  void look() override;

 private:
  struct File {
    explicit File(SettledFile file) : settled(std::move(file)) {}
    SettledFile settled;
    bool missing = false;  // at the last look
  };

  Result<std::set<std::string>> list() const;
  Result<void> list_folder(const std::string& folder, std::set<std::string>& paths) const;
  void drop_missing(const std::set<std::string>& paths);
  ManifestTexts read_changed(const std::set<std::string>& paths);
  void parse(ManifestTexts texts);
  void use(ParsedManifests parsed);
  void schedule();
  bool unsettled() const;
  // Given as it is, not found in a folder.
  bool named(const std::string& path) const {
    return std::any_of(options_->paths.begin(), options_->paths.end(),
                       [&](const std::string& given) { return plain_path(given) == path; });
  }
  File& file_at(const std::string& path) {
    const auto make = [&] { return File(SettledFile(path, options_->limits.bytes)); };
    const auto found = files_.find(path);
    return found != files_.end() ? found->second : files_.emplace(path, make()).first->second;
  }

  EventLoop& loop_;
  ObjectStore& store_;
  const std::shared_ptr<const ManifestWatchOptions> options_;
  const std::function<void(const std::string&)> told_;
  ManifestClaims claims_;
  std::map<std::string, File> files_;  // those that were seen
  std::set<std::string> gone_;         // their objects are to be removed
  std::string list_trouble_;
  BackgroundJob job_;
  TimerId timer_ = kNoTimer;
};

// A log line holds no more.
constexpr size_t kProblemsBytesMax = 8 * 1024;

std::string one_a_line(const std::vector<std::string>& problems) {
  std::string text;
  for (const std::string& problem : problems) {
    if (text.size() + problem.size() > kProblemsBytesMax) return text + "\nand more";
    text += (text.empty() ? "" : "\n") + problem;
  }
  return text;
}

// Nothing reaches the store before everything is known to be sound.
Result<void> FolderWatch::start() {
  const Result<std::set<std::string>> paths = list();
  if (!paths) return paths.error();
  ManifestTexts texts;
  std::vector<std::string> problems;
  for (const std::string& path : *paths) {
    Result<std::string> text = read_whole_file(path, options_->limits.bytes);
    if (!text) {
      problems.push_back(text.error().message);
      continue;
    }
    file_at(path).settled.know(*text);
    texts[path] = std::move(*text);
  }
  ParsedManifests parsed = parse_manifests(texts, *options_);
  problems.insert(problems.end(), parsed.problems.begin(), parsed.problems.end());
  std::map<std::string, ManifestClaims::File> files;
  for (auto& [path, file] : parsed.files) {
    if (file) files[path] = std::move(*file);
  }
  ObjectStore scratch(store_.limits());
  for (std::string& problem : ManifestClaims(scratch).change(files)) {
    problems.push_back(std::move(problem));
  }
  if (!problems.empty()) return Error{one_a_line(problems)};
  problems = claims_.change(std::move(files));
  if (!problems.empty()) return Error{one_a_line(problems)};
  schedule();
  return {};
}

Result<std::set<std::string>> FolderWatch::list() const {
  std::set<std::string> paths;
  for (const std::string& path : options_->paths) {
    if (!is_directory(path)) {
      paths.insert(plain_path(path));
    } else if (Result<void> listed = list_folder(path, paths); !listed) {
      return listed.error();
    }
    if (paths.size() > options_->files_max) {
      return Error{path + ": there are more than " + std::to_string(options_->files_max) +
                   " files, and no more are read"};
    }
  }
  return paths;
}

Result<void> FolderWatch::list_folder(const std::string& folder,
                                      std::set<std::string>& paths) const {
  std::error_code trouble;
  std::filesystem::directory_iterator entry(folder, trouble);
  for (; !trouble && entry != std::filesystem::directory_iterator(); entry.increment(trouble)) {
    const std::string path = entry->path().string();
    if (!is_manifest_name(entry->path().filename().string()) || is_directory(path)) continue;
    paths.insert(plain_path(path));
    if (paths.size() > options_->files_max) return {};
  }
  if (trouble) return Error{"cannot list " + folder + ": " + trouble.message()};
  return {};
}

void FolderWatch::look() {
  if (job_.busy()) return;
  const Result<std::set<std::string>> paths = list();
  if (!paths) {
    if (std::exchange(list_trouble_, paths.error().message) != list_trouble_) told_(list_trouble_);
    return;
  }
  list_trouble_.clear();
  drop_missing(*paths);
  ManifestTexts texts = read_changed(*paths);
  if (!texts.empty() || !gone_.empty()) parse(std::move(texts));
}

// A file that is replaced may be missing for a moment: it is gone when two looks miss it.
void FolderWatch::drop_missing(const std::set<std::string>& paths) {
  for (auto at = files_.begin(); at != files_.end();) {
    auto& [path, file] = *at;
    const bool missing = paths.count(path) == 0 || !is_there(path);
    if (std::exchange(file.missing, missing) && missing) {
      if (named(path)) told_(path + " is gone, and its objects with it");
      gone_.insert(path);
      at = files_.erase(at);
    } else {
      ++at;
    }
  }
}

ManifestTexts FolderWatch::read_changed(const std::set<std::string>& paths) {
  ManifestTexts texts;
  for (const std::string& path : paths) {
    if (!is_there(path)) continue;
    std::optional<Result<std::string>> news = file_at(path).settled.look();
    if (!news) continue;
    if (!*news) {
      told_(news->error().message);
    } else {
      texts[path] = std::move(**news);
    }
  }
  return texts;
}

void FolderWatch::parse(ManifestTexts texts) {
  size_t bytes = 0;
  for (const auto& [path, text] : texts) bytes += text.size();
  const auto shared = std::make_shared<const ManifestTexts>(std::move(texts));
  const bool started =
      bytes > kParsedHereBytesMax && job_.start([this, shared, options = options_] {
        auto parsed = std::make_shared<ParsedManifests>(parse_manifests(*shared, *options));
        return [this, parsed] { use(std::move(*parsed)); };
      });
  if (!started) use(parse_manifests(*shared, *options_));
}

void FolderWatch::use(ParsedManifests parsed) {
  std::map<std::string, ManifestClaims::File> files;
  for (const std::string& path : std::exchange(gone_, {})) files[path];
  for (auto& [path, file] : parsed.files) {
    if (file) files[path] = std::move(*file);
  }
  for (std::string& problem : claims_.change(std::move(files))) {
    parsed.problems.push_back(std::move(problem));
  }
  if (!parsed.problems.empty()) told_(one_a_line(parsed.problems));
}

bool FolderWatch::unsettled() const {
  return std::any_of(files_.begin(), files_.end(), [](const auto& entry) {
    return entry.second.settled.unsettled() || entry.second.missing;
  });
}

void FolderWatch::schedule() {
  if (options_->interval == Duration::zero()) return;
  const Duration interval = options_->interval;
  timer_ = loop_.after(unsettled() ? std::min(interval, kSettleTime) : interval, [this] {
    timer_ = kNoTimer;
    look();
    schedule();
  });
}

}  // namespace

Result<std::unique_ptr<ManifestWatch>> ManifestWatch::start(
    EventLoop& loop, ObjectStore& store, ManifestWatchOptions options,
    std::function<void(const std::string& problem)> told) {
  auto watch = std::make_unique<FolderWatch>(loop, store, std::move(options), std::move(told));
  if (const Result<void> started = watch->start(); !started) return started.error();
  return std::unique_ptr<ManifestWatch>(std::move(watch));
}

}  // namespace kvasir
