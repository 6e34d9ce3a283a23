#include "wire/model_list.h"

#include <simdjson.h>

namespace kvasir {

Result<std::vector<ListedModel>> parse_model_list(std::string_view json) {
  using simdjson::SUCCESS;
  simdjson::dom::parser parser;
  simdjson::dom::element answer;
  simdjson::dom::array data;
  if (parser.parse(json.data(), json.size()).get(answer) != SUCCESS) return Error{"not valid JSON"};
  if (answer["data"].get(data) != SUCCESS) return Error{"no list \"data\""};
  std::vector<ListedModel> models;
  for (const simdjson::dom::element element : data) {
    std::string_view id;
    if (element["id"].get(id) != SUCCESS) return Error{"a model without \"id\""};
    ListedModel model{std::string(id), std::nullopt};
    uint64_t tokens = 0;
    if (element["max_model_len"].get(tokens) == SUCCESS) model.max_model_len = tokens;
    models.push_back(std::move(model));
  }
  return models;
}

}  // namespace kvasir
