#include "apps/manifest_files.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <utility>

#include "base/whole_file.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {
namespace {

constexpr size_t kFilesMost = 1'000;

std::string read_standard_input() {
  std::string text(ManifestLimits().bytes + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::cin.gcount()));
  return text;
}

// Those that kubectl apply -f FOLDER takes: not of folders below it.
Result<std::vector<std::string>> manifests_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string ending = at->path().extension().string();
    if (ending != ".yaml" && ending != ".yml" && ending != ".json") continue;
    files.push_back(at->path().string());
    if (files.size() > kFilesMost) {
      return Error{folder + ": more than " + std::to_string(kFilesMost) + " files"};
    }
  }
  if (error) return Error{folder + ": " + error.message()};
  if (files.empty()) return Error{folder + ": no file ends in .yaml, .yml or .json"};
  std::sort(files.begin(), files.end());
  return files;
}

Result<void> add_file(const std::string& path, std::vector<ManifestFile>& files) {
  if (path == "-") {
    files.push_back({"standard input", read_standard_input()});
    return {};
  }
  Result<std::string> text = read_whole_file(path, ManifestLimits().bytes);
  if (!text) return text.error();
  files.push_back({path, std::move(*text)});
  return {};
}

}  // namespace

std::vector<ManifestFile> read_manifest_files(const std::vector<std::string>& paths,
                                              std::vector<Error>& unread) {
  std::vector<ManifestFile> files;
  for (const std::string& path : paths) {
    std::vector<std::string> names = {path};
    if (std::error_code error; path != "-" && std::filesystem::is_directory(path, error)) {
      auto found = manifests_in(path);
      if (!found) {
        unread.push_back(found.error());
        continue;
      }
      names = std::move(*found);
    }
    for (const std::string& name : names) {
      if (const Result<void> added = add_file(name, files); !added) {
        unread.push_back(added.error());
      }
    }
  }
  return files;
}

}  // namespace kvasir
