#include "apps/kube_apply.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {
namespace {

struct Document {
  std::string_view text;
  int line = 1;  // of its first line
};

// Between lines that begin with "---".
std::vector<Document> documents_of(std::string_view text) {
  std::vector<Document> documents;
  Document current{text.substr(0, 0), 1};
  size_t begin = 0;
  int line = 1;
  for (size_t at = 0; at < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (text.substr(at, 3) == "---") {
      documents.push_back({text.substr(begin, at - begin), current.line});
      begin = std::min(end + 1, text.size());
      current.line = line + 1;
    }
    at = end + 1;
  }
  documents.push_back({text.substr(begin), current.line});
  return documents;
}

std::string at_line(int line, const std::string& text) {
  return "line " + std::to_string(line) + ": " + text;
}

// What cannot become better by waiting.
bool is_final(int http_status) {
  return http_status == 400 || http_status == 401 || http_status == 409 || http_status == 415 ||
         http_status == 422;
}

}  // namespace

Result<std::vector<ManifestPatch>> read_patches(std::string_view text,
                                                std::string_view default_namespace) {
  std::vector<ManifestPatch> patches;
  for (const Document& document : documents_of(text)) {
    const Result<std::vector<ManifestObject>> objects =
        read_manifest(document.text, default_namespace);
    if (!objects) return Error{at_line(document.line, objects.error().message)};
    if (objects->empty()) continue;
    if (objects->size() > 1)
      return Error{at_line(document.line, "a List: write its objects apart")};
    const ManifestObject& object = objects->front();
    const int line = document.line + std::max(object.line - 1, 0);
    if (!object.problems.empty()) {
      const Remark& problem = object.problems.front();
      return Error{at_line(document.line + std::max(problem.line - 1, 0), problem.text)};
    }
    const KubeType* type = find_kube_type(object.api_version, object.kind);
    if (type == nullptr) {
      return Error{at_line(line, object.api_version + " " + object.kind +
                                     " is not one of the kinds that kvasir reads")};
    }
    patches.push_back({object.kind + " " + to_string(object.key),
                       type->path(object.key.name_space, object.key.name),
                       std::string(document.text)});
  }
  if (patches.empty()) return Error{"it holds no object"};
  return patches;
}

KubeApply::KubeApply(Executor& executor, KubeApi& api, std::vector<ManifestPatch> patches,
                     KubeApplyOptions options, std::function<void(const std::string&)> told,
                     std::function<void(Result<void>)> done)
    : executor_(executor),
      api_(api),
      patches_(std::move(patches)),
      options_(std::move(options)),
      told_(std::move(told)),
      done_(std::move(done)),
      give_up_at_(executor.now() + options_.wait) {
  start();
}

void KubeApply::start() {
  const ManifestPatch& patch = patches_[next_];
  KubeRequest request{
      "PATCH", patch.path + "?force=true&fieldManager=" + percent_encoded(options_.field_manager),
      patch.yaml, kApplyPatch};
  call_ = api_.start(std::move(request), [this](const KubeAnswer& answer) { on_answer(answer); });
}

void KubeApply::on_answer(const KubeAnswer& answer) {
  const ManifestPatch& patch = patches_[next_];
  if (answer.ok()) {
    told_(patch.name + (answer.http_status == 201 ? " created" : " applied"));
    trouble_.clear();
    if (++next_ == patches_.size()) return done_({});
    executor_.after(Duration::zero(), lifeline_.guard([this] { start(); }));
    return;
  }
  std::string trouble = patch.name + ": " +
                        (answer.http_status == 404 ? "its kind or its namespace is not there"
                                                   : answer.status.message);
  const bool in_time = executor_.now() + options_.pause <= give_up_at_;
  if (is_final(answer.http_status) || !in_time) return done_(Error{std::move(trouble)});
  if (trouble != trouble_) told_(trouble + "; trying again");
  trouble_ = std::move(trouble);
  executor_.after(options_.pause, lifeline_.guard([this] { start(); }));
}

}  // namespace kvasir
