#include "apps/envoy_folder.h"

#include <filesystem>
#include <utility>

#include "base/whole_file.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFoldersBelow[] = {"endpoints", "secrets", "routes"};
constexpr const char* kClusters = "clusters.json";
// Of a file that an earlier run left, which is compared with what is to be written.
constexpr size_t kFileBytesMost = size_t{256} << 20;

}  // namespace

Result<EnvoyFolder> EnvoyFolder::open(const std::string& path) {
  for (const char* below : kFoldersBelow) {
    std::error_code error;
    fs::create_directories(fs::path(path) / below, error);
    if (error) return Error{path + ": " + error.message()};
  }
  return EnvoyFolder(path);
}

Result<bool> EnvoyFolder::write_file(const std::string& name, const std::string& text) {
  const std::string path = path_ + "/" + name;
  const auto known = written_.find(name);
  if (known != written_.end() && known->second == text) return false;
  std::error_code error;
  if (known == written_.end() && fs::is_regular_file(path, error)) {
    const Result<std::string> before = read_whole_file(path, kFileBytesMost);
    if (before && *before == text) return false;
  }
  if (const Result<void> replaced = replace_file(path, text); !replaced) return replaced.error();
  return true;
}

Result<bool> EnvoyFolder::write_clusters(const std::map<std::string, std::string>& clusters) {
  std::string text = clusters_text(clusters);
  const Result<bool> written = write_file(kClusters, text);
  if (written) {
    shown_ = clusters;
    written_[kClusters] = std::move(text);
  }
  return written;
}

Result<size_t> EnvoyFolder::write(const EnvoyConfiguration& configuration) {
  std::map<std::string, std::string> files;
  size_t changed = 0;
  const auto write_all = [&](const std::vector<EnvoyConfiguration::File>& list) -> Result<void> {
    for (const EnvoyConfiguration::File& file : list) {
      const Result<bool> written = write_file(file.name, file.text);
      if (!written) return written.error();
      changed += *written;
      files[file.name] = file.text;
    }
    return {};
  };
  if (Result<void> written = write_all(configuration.endpoints); !written) return written.error();
  std::map<std::string, std::string> clusters = configuration.clusters;
  clusters.insert(shown_.begin(), shown_.end());
  const Result<bool> written = write_clusters(clusters);
  if (!written) return written.error();
  changed += *written;
  if (Result<void> others = write_all(configuration.others); !others) return others.error();
  clusters_ = configuration.clusters;
  files[kClusters] = written_[kClusters];
  written_ = std::move(files);
  return changed;
}

Result<void> EnvoyFolder::drop_old() {
  if (const Result<bool> written = write_clusters(clusters_); !written) return written.error();
  for (const char* below : kFoldersBelow) {
    std::error_code error;
    for (fs::directory_iterator at(fs::path(path_) / below, error), end; !error && at != end;
         at.increment(error)) {
      const std::string name = std::string(below) + "/" + at->path().filename().string();
      std::error_code ignored;  // it is tried again the next time
      if (written_.count(name) == 0) fs::remove(at->path(), ignored);
    }
  }
  return {};
}

}  // namespace kvasir
