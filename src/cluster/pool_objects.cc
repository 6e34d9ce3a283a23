#include "cluster/pool_objects.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

namespace kvasir {

PoolObjects::PoolObjects(ObjectStore& store, PoolSelection selection, Listener listener)
    : store_(store), selection_(std::move(selection)), listener_(std::move(listener)) {
  store_.add_listener(*this);
  on_batch_end();
}

PoolObjects::~PoolObjects() {
  store_.remove_listener(*this);
}

void PoolObjects::on_change(const ObjectChange& change) {
  if (change.object().meta.name_space != selection_.pool_namespace) return;
  if (change.kind == KubeKind::kInferenceObjective) priorities_changed_ = true;
  if (change.kind == KubeKind::kInferenceModelRewrite) rewrites_changed_ = true;
}

void PoolObjects::on_batch_end() {
  if (std::exchange(priorities_changed_, false)) tell_priorities();
  if (std::exchange(rewrites_changed_, false)) tell_rewrites();
}

void PoolObjects::tell_priorities() {
  auto priorities = std::make_shared<Priorities>();
  const auto take = [&](const InferenceObjective& objective) {
    const ObjectMeta& meta = objective.meta;
    if (meta.deleting || !selection_.is_meant_by(objective.pool, meta.name_space)) return;
    priorities->emplace(meta.name, objective.priority);
  };
  store_.for_each<InferenceObjective>(selection_.pool_namespace, take);
  listener_.on_priorities(std::move(priorities));
}

// The oldest object first; of the same age by name.
void PoolObjects::tell_rewrites() {
  std::vector<const InferenceModelRewrite*> rewrites;
  store_.for_each<InferenceModelRewrite>(
      selection_.pool_namespace, [&](const InferenceModelRewrite& rewrite) {
        const ObjectMeta& meta = rewrite.meta;
        if (meta.deleting || !selection_.is_meant_by(rewrite.pool, meta.name_space)) return;
        rewrites.push_back(&rewrite);
      });
  std::sort(rewrites.begin(), rewrites.end(),
            [](const InferenceModelRewrite* a, const InferenceModelRewrite* b) {
              return std::tie(a->meta.created_seconds, a->meta.name) <
                     std::tie(b->meta.created_seconds, b->meta.name);
            });
  auto table = std::make_shared<ModelRewriteTable>();
  for (const InferenceModelRewrite* rewrite : rewrites) {
    for (const InferenceModelRewrite::Rule& rule : rewrite->rules) {
      std::vector<ModelRewriteTable::Target> targets;
      for (const InferenceModelRewrite::Target& target : rule.targets) {
        std::optional<uint32_t> weight;
        if (target.weight) weight = static_cast<uint32_t>(std::max(*target.weight, 0));
        targets.push_back({target.model, weight});
      }
      table->add(rewrite->meta.name, rule.models, std::move(targets));
    }
  }
  listener_.on_rewrites(table->empty() ? nullptr : std::move(table));
}

}  // namespace kvasir
