// The folder of files that an Envoy reads and watches.
//
// Each file is replaced as a whole, and only when it says something new: whoever watches never sees
// half of one. What a new configuration does not name any more stays until drop_old(), since Envoy
// reads the files one after another: for a moment its routes are older than its clusters.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "envoy_config/envoy_configuration.h"

namespace kvasir {

class EnvoyFolder {
 public:
  // Makes the folder and those below it where they are missing.
  static Result<EnvoyFolder> open(const std::string& path);

  // How many files are new. After an Error some may have been written.
  Result<size_t> write(const EnvoyConfiguration& configuration);
  // Removes what the last configuration does not name.
  Result<void> drop_old();

 private:
  explicit EnvoyFolder(std::string path) : path_(std::move(path)) {}
  Result<bool> write_file(const std::string& name, const std::string& text);
  Result<bool> write_clusters(const std::map<std::string, std::string>& clusters);

  std::string path_;
  std::map<std::string, std::string> written_;   // files of the last configuration, by name
  std::map<std::string, std::string> clusters_;  // of it
  std::map<std::string, std::string> shown_;     // those and older ones
};

}  // namespace kvasir
