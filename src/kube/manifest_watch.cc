#include "kube/manifest_watch.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
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

// What the paths of the options hold.
struct Listing {
  std::set<std::string> files;
  std::map<std::string, std::string> away;  // paths that cannot be looked into, and why
};

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
              std::function<void(const std::string&)> told,
              std::function<void(const std::string&)> read_again)
      : loop_(loop),
        store_(store),
        options_(std::make_shared<const ManifestWatchOptions>(std::move(options))),
        told_(std::move(told)),
        read_again_(std::move(read_again)),
        claims_(store),
        job_(loop) {}
  ~FolderWatch() override { loop_.cancel(timer_); }

  Result<void> start();
  void look() override;

 private:
  struct File {
    explicit File(SettledFile file) : settled(std::move(file)) {}
    SettledFile settled;
    bool missing = false;     // at the last look
    bool unreadable = false;  // that was told
    bool unusable = false;    // what it says has a problem that was told
  };

  Result<Listing> list() const;
  Result<void> list_folder(const std::string& folder, std::set<std::string>& paths) const;
  void tell_away(const Listing& listing);
  void tell_back(const std::string& path) const;
  void drop_missing(const Listing& listing);
  ManifestTexts read_changed(const std::set<std::string>& paths);
  void parse(ManifestTexts texts);
  void use(ParsedManifests parsed);
  void schedule();
  bool unsettled() const;
  // Whether it is one of those, or in one.
  static bool is_away(const std::string& path, const Listing& listing) {
    const std::string name = std::filesystem::path(path).filename().string();
    return std::any_of(listing.away.begin(), listing.away.end(), [&](const auto& entry) {
      return plain_path(entry.first) == path || plain_path(entry.first + "/" + name) == path;
    });
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
  const std::function<void(const std::string&)> read_again_;
  ManifestClaims claims_;
  std::map<std::string, File> files_;  // those that were seen
  std::set<std::string> gone_;         // their objects are to be removed
  std::map<std::string, bool> away_;   // paths of the options; whether it was told
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
  const Result<Listing> listing = list();
  if (!listing) return listing.error();
  ManifestTexts texts;
  std::vector<std::string> problems;
  for (const auto& [path, trouble] : listing->away) problems.push_back(trouble);
  for (const std::string& path : listing->files) {
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

Result<Listing> FolderWatch::list() const {
  Listing listing;
  for (const std::string& path : options_->paths) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
      listing.away[path] = "cannot read " + path + ": " + std::strerror(errno);
    } else if (S_ISDIR(status.st_mode) && files_.count(plain_path(path)) > 0) {
      listing.away[path] = "cannot read " + path + ": it is a directory now";
    } else if (!S_ISDIR(status.st_mode)) {
      listing.files.insert(plain_path(path));
    } else if (Result<void> listed = list_folder(path, listing.files); !listed) {
      listing.away[path] = listed.error().message;
    }
    if (listing.files.size() > options_->files_max) {
      return Error{path + ": there are more than " + std::to_string(options_->files_max) +
                   " files, and no more are read"};
    }
  }
  return listing;
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
  const Result<Listing> listing = list();
  if (!listing) {
    const std::string& trouble = listing.error().message;
    if (std::exchange(list_trouble_, trouble) != trouble) told_(trouble);
    return;
  }
  list_trouble_.clear();
  tell_away(*listing);
  drop_missing(*listing);
  ManifestTexts texts = read_changed(listing->files);
  if (!texts.empty() || !gone_.empty()) parse(std::move(texts));
}

// What is replaced may be away for a moment: that is told when two looks find it so.
void FolderWatch::tell_away(const Listing& listing) {
  for (const auto& [path, trouble] : listing.away) {
    const auto [at, is_new] = away_.try_emplace(path, false);
    if (!is_new && !std::exchange(at->second, true)) told_(trouble);
  }
  std::erase_if(away_, [&](const auto& entry) {
    const auto& [path, was_told] = entry;
    if (listing.away.count(path) > 0) return false;
    if (was_told) tell_back(path);
    return true;
  });
}

void FolderWatch::tell_back(const std::string& path) const {
  const auto file = files_.find(plain_path(path));
  if (file == files_.end() || !file->second.unusable) read_again_(path);
}

// A file that is replaced may be missing for a moment: it is gone when two looks miss it. Whether
// those of a path that is away are missing is not known.
void FolderWatch::drop_missing(const Listing& listing) {
  for (auto at = files_.begin(); at != files_.end();) {
    auto& [path, file] = *at;
    const bool missing =
        (listing.files.count(path) == 0 || !is_there(path)) && !is_away(path, listing);
    if (std::exchange(file.missing, missing) && missing) {
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
    File& file = file_at(path);
    std::optional<Result<std::string>> news = file.settled.look();
    if (news && !*news) {
      file.unreadable = true;
      told_(news->error().message);
      continue;
    }
    if (file.unreadable && file.settled.readable()) {
      file.unreadable = false;
      tell_back(path);
    }
    if (!news) continue;
    if ((*news)->empty() && claims_.has_any(path)) {  // about to be written, most likely
      file.unusable = true;
      told_(path + " is empty");
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
    if (std::exchange(file_at(path).unusable, !file) && file) tell_back(path);
    if (file) files[path] = std::move(*file);
  }
  for (std::string& problem : claims_.change(std::move(files))) {
    parsed.problems.push_back(std::move(problem));
  }
  if (!parsed.problems.empty()) told_(one_a_line(parsed.problems));
}

bool FolderWatch::unsettled() const {
  for (const auto& [path, was_told] : away_) {
    if (!was_told) return true;
  }
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
    std::function<void(const std::string& problem)> told,
    std::function<void(const std::string& path)> read_again) {
  auto watch = std::make_unique<FolderWatch>(loop, store, std::move(options), std::move(told),
                                             std::move(read_again));
  if (const Result<void> started = watch->start(); !started) return started.error();
  return std::unique_ptr<ManifestWatch>(std::move(watch));
}

}  // namespace kvasir
