#include "wire/request/model_splice.h"

#include "base/assert.h"
#include "base/text.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

SplicedBody insert_model(std::string_view body, std::string_view model) {
  const size_t brace = body.find('{');
  KVASIR_ASSERT(brace != std::string_view::npos, "the body of a request is an object");
  SplicedBody spliced{body.substr(0, brace + 1), "\"model\":", body.substr(brace + 1)};
  append_json_string(model, spliced.text);
  const size_t next = spliced.suffix.find_first_not_of(kJsonSpace);
  if (next != std::string_view::npos && spliced.suffix[next] != '}') spliced.text += ',';
  return spliced;
}

}  // namespace

SplicedBody splice_model(std::string_view body, std::string_view model_json,
                         std::string_view model) {
  if (model_json.empty()) return insert_model(body, model);
  KVASIR_ASSERT(model_json.data() >= body.data() &&
                    model_json.data() + model_json.size() <= body.data() + body.size(),
                "the model's value is a part of the body");
  const size_t start = static_cast<size_t>(model_json.data() - body.data());
  SplicedBody spliced{body.substr(0, start), {}, body.substr(start + model_json.size())};
  append_json_string(model, spliced.text);
  return spliced;
}

std::string whole(const SplicedBody& body, size_t padding) {
  std::string text;
  text.reserve(body.size() + padding);
  text.append(body.prefix).append(body.text).append(body.suffix);
  return text;
}

}  // namespace kvasir
