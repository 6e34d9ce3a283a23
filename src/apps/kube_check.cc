#include "apps/kube_check.h"

#include <algorithm>

#include "apps/kube_advice.h"
#include "apps/kube_kv_folders.h"
#include "apps/kube_references.h"

namespace kvasir {
namespace {

class ManifestCheck {
 public:
  explicit ManifestCheck(std::string_view default_namespace)
      : default_namespace_(default_namespace) {}

  void read(const ManifestFile& file) {
    auto objects = read_manifest(file.text, default_namespace_);
    if (!objects) return refuse(file, objects.error().message);
    if (objects->empty()) report_.text += file.name + ": no objects\n";
    for (ManifestObject& object : *objects) {
      objects_.push_back({file.name, std::move(object)});
    }
  }

  KubeCheckReport report() {
    for (size_t i = 0; i < objects_.size(); ++i) tell(i);
    if (objects_.empty() && report_.problems == 0) {
      ++report_.problems;
      report_.text +=
          "problem: nothing to check: if a command writes the objects, see whether it failed\n";
    }
    const auto count = [](size_t number, const char* what) {
      return std::to_string(number) + " " + what;
    };
    const size_t bad = objects_.size() - good_ - unknown_;
    report_.text += count(objects_.size(), objects_.size() == 1 ? "object: " : "objects: ") +
                    count(good_, "ok, ") +
                    count(bad, bad == 1 ? "with a problem, " : "with problems, ") +
                    count(unknown_, "not read by kvasir\n");
    return std::move(report_);
  }

 private:
  static std::string place(const std::string& file, int line) {
    return line > 0 ? file + ":" + std::to_string(line) : file;
  }

  // "line 3: TEXT" as "FILE:3: problem: TEXT".
  void refuse(const ManifestFile& file, const std::string& message) {
    ++report_.problems;
    std::string where = file.name;
    std::string text = message;
    const size_t colon = message.find(": ");
    if (message.starts_with("line ") && colon != std::string::npos) {
      where += ":" + message.substr(5, colon - 5);
      text = message.substr(colon + 2);
    }
    report_.text += where + ": problem: " + text + "\n";
    if (file.text.find("{{") == std::string::npos) return;
    report_.text += where +
                    ": note: with {{ in it this may be a Helm template: `helm template CHART | "
                    "kvasir kube check -` checks what comes of it\n";
  }

  void tell(size_t index) {
    const ManifestObject& object = objects_[index].object;
    const std::string& file = objects_[index].file;
    const KubeAdvice advice = advise(object);
    std::vector<Remark> problems = object.problems;
    append(problems, advice.problems);
    const bool bad = !problems.empty();
    const std::string name = to_string(object.key);
    report_.text += place(file, object.line) + " " +
                    (object.kind.empty() ? "object" : object.kind) + (name.empty() ? "" : " ") +
                    name + ": " +
                    (bad            ? "problem"
                     : object.known ? "ok"
                                    : "not read by kvasir") +
                    "\n";
    if (bad) {
      ++report_.problems;
    } else {
      ++(object.known ? good_ : unknown_);
    }
    tell("problem", file, problems);
    tell("note", file, advice.notes);
    tell("note", file, reference_notes(objects_, index, default_namespace_));
    tell("note", file, kv_folder_notes(objects_, index, default_namespace_));
  }

  void tell(const char* what, const std::string& file, std::vector<Remark> remarks) {
    std::stable_sort(remarks.begin(), remarks.end(),
                     [](const Remark& a, const Remark& b) { return a.line < b.line; });
    for (const Remark& remark : remarks) {
      report_.text += "  " + place(file, remark.line) + ": " + what + ": " + remark.text + "\n";
    }
  }

  const std::string_view default_namespace_;
  std::vector<PlacedObject> objects_;
  size_t good_ = 0;
  size_t unknown_ = 0;
  KubeCheckReport report_;
};

}  // namespace

KubeCheckReport check_manifests(const std::vector<ManifestFile>& files,
                                std::string_view default_namespace) {
  ManifestCheck check(default_namespace);
  for (const ManifestFile& file : files) check.read(file);
  return check.report();
}

}  // namespace kvasir
