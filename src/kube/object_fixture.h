// For tests of the store and of those who fill it: objects in one line, and a listener that writes
// down what it hears.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kube/object_store.h"

namespace kvasir {

struct PodText {
  std::string name;
  std::string resource_version = "1";
  std::string uid = {};  // empty: "uid-NAME"
  std::string name_space = "default";
  std::string ip = {};
};

inline KubeObjectPtr make_pod(const PodText& text) {
  auto pod = std::make_shared<Pod>();
  pod->type = &kube_type(KubeKind::kPod);
  pod->meta.name = text.name;
  pod->meta.name_space = text.name_space;
  pod->meta.uid = text.uid.empty() ? "uid-" + text.name : text.uid;
  pod->meta.resource_version = text.resource_version;
  pod->ip = text.ip;
  return pod;
}

// "+a@1" new, "a@1>2" changed, "-a@2" gone, "." the end of a batch.
class ChangeRecorder final : public ObjectStoreListener {
 public:
  explicit ChangeRecorder(ObjectStore& store) : store_(store) { store.add_listener(*this); }
  ~ChangeRecorder() override { store_.remove_listener(*this); }
  ChangeRecorder(const ChangeRecorder&) = delete;
  ChangeRecorder& operator=(const ChangeRecorder&) = delete;

  void on_change(const ObjectChange& change) override {
    ++changes;
    const ObjectMeta& meta = change.object().meta;
    if (change.before == nullptr) {
      heard += "+" + meta.name + "@" + meta.resource_version + " ";
    } else if (change.after == nullptr) {
      heard += "-" + meta.name + "@" + meta.resource_version + " ";
    } else {
      heard += meta.name + "@" + change.before->meta.resource_version + ">" +
               meta.resource_version + " ";
    }
  }
  void on_batch_end() override {
    ++batches;
    heard += ". ";
  }
  // What was heard since the last call.
  std::string take() {
    if (!heard.empty()) heard.pop_back();
    return std::exchange(heard, {});
  }

  size_t changes = 0;
  size_t batches = 0;
  std::string heard;

 private:
  ObjectStore& store_;
};

}  // namespace kvasir
