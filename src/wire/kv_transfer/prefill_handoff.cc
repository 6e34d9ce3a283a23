#include "wire/kv_transfer/prefill_handoff.h"

#include "base/integer_text.h"
#include "wire/json/json_cursor.h"
#include "wire/json/json_edit.h"
#include "wire/json/json_text.h"
#include "wire/kv_transfer/usage_stream.h"

namespace kvasir {
namespace {

using HandoffState = PrefillHandoff::State;

constexpr std::string_view kHandoffParams = "kv_transfer_params";
constexpr std::string_view kWantsPrefill = "do_remote_prefill";
constexpr std::string_view kWantsDecode = "do_remote_decode";
constexpr std::string_view kRemoteBlocks = "remote_block_ids";
constexpr std::string_view kRemoteEngine = "remote_engine_id";
constexpr std::string_view kRemoteRequest = "remote_request_id";
constexpr std::string_view kRemoteHost = "remote_host";
constexpr std::string_view kRemotePort = "remote_port";
constexpr std::string_view kRemoteTokens = "remote_num_tokens";
constexpr std::string_view kTransferMode = "transfer_mode";
constexpr std::string_view kUsageMember = "usage";
constexpr std::string_view kHandoffMembers[] = {
    kWantsPrefill, kRemoteBlocks, kRemoteEngine,  kRemoteRequest, kRemoteHost, kRemotePort,
    kRemoteTokens, kTransferMode, kHandoffParams, kWantsDecode,   kUsageMember};
constexpr int kGroupsDeepMost = 2;  // a list of lists, one for each KV group

using JsonMember = std::optional<std::string_view>;

bool is_null_member(JsonMember value) {
  return !value || *value == "null";
}

// A text that is not empty, unescaped.
std::optional<std::string> text_in(JsonMember value) {
  if (!value || value->size() <= 2 || value->front() != '"') return std::nullopt;
  return json_unescaped(value->substr(1, value->size() - 2));
}

// How many numbers stand in a list, or in lists in it. nullopt: something else does.
std::optional<uint64_t> count_blocks(std::string_view list, int deep = 1) {
  if (list.empty() || list.front() != '[' || deep > kGroupsDeepMost) return std::nullopt;
  uint64_t blocks = 0;
  JsonElements elements(list);
  while (elements.next()) {
    const std::string_view element = elements.value();
    if (integer_of<uint64_t>(element)) {
      ++blocks;
    } else if (const auto within = count_blocks(element, deep + 1)) {
      blocks += *within;
    } else {
      return std::nullopt;
    }
  }
  return blocks;
}

// The numbers of a list, or of the one list in it that has some. nullopt: one does not fit, or
// there are several.
std::optional<std::vector<uint32_t>> read_blocks(std::string_view list) {
  std::vector<uint32_t> blocks;
  bool has_lists = false;
  JsonElements elements(list);
  while (elements.next()) {
    if (elements.value().front() == '[') {
      has_lists = true;
      std::optional<std::vector<uint32_t>> group = read_blocks(elements.value());
      if (!group || (!group->empty() && !blocks.empty())) return std::nullopt;
      if (!group->empty()) blocks = std::move(*group);
      continue;
    }
    const auto block = integer_of<uint32_t>(elements.value());
    if (!block || has_lists) return std::nullopt;
    blocks.push_back(*block);
  }
  return blocks;
}

bool is_nested(std::string_view list) {
  JsonElements elements(list);
  return elements.next() && elements.value().front() == '[';
}

PrefillHandoff invalid(PrefillHandoff handoff, std::string problem) {
  handoff.state = HandoffState::kInvalid;
  handoff.problem = std::move(problem);
  return handoff;
}

// What members say, whose names are those of kHandoffMembers.
PrefillHandoff read_members(const JsonEditor& members, PrefillHandoff handoff) {
  const auto at = [&members](std::string_view key) { return members.find(key); };
  const JsonMember blocks = at(kRemoteBlocks);
  const auto count = is_null_member(blocks) ? std::optional<uint64_t>(0) : count_blocks(*blocks);
  if (!count) return invalid(std::move(handoff), "remote_block_ids is no list of block numbers");
  handoff.blocks = *count;
  if (*count == 0) {
    handoff.state = HandoffState::kEmpty;
    return handoff;
  }
  const auto engine = text_in(at(kRemoteEngine));
  if (!engine) return invalid(std::move(handoff), "remote_engine_id is missing");
  handoff.engine_id = *engine;
  // Engines whose blocks come by KV group look a transfer up by the prefiller's request.
  const auto request = text_in(at(kRemoteRequest));
  if (!request && (at(kRemoteRequest) || is_nested(*blocks))) {
    return invalid(std::move(handoff), "remote_request_id is missing");
  }
  handoff.request_id = request.value_or("");
  const auto host = text_in(at(kRemoteHost));
  if (!host) return invalid(std::move(handoff), "remote_host is missing");
  handoff.host = *host;
  const auto port = integer_of<uint16_t>(at(kRemotePort).value_or(""));
  if (!port || *port == 0) return invalid(std::move(handoff), "remote_port is no port");
  handoff.port = *port;
  handoff.tokens = integer_of<uint64_t>(at(kRemoteTokens).value_or(""));
  handoff.push = at(kTransferMode) == "\"push\"";
  handoff.state = HandoffState::kUsable;
  return handoff;
}

}  // namespace

PrefillHandoff read_nixl_v2_handoff(std::string_view answer) {
  PrefillHandoff handoff;
  const Result<JsonEditor> members = JsonEditor::read(answer, kHandoffMembers);
  if (!members) return invalid(std::move(handoff), "the prefiller's answer is no JSON object");
  handoff.cached_tokens = cached_tokens_of(members->find(kUsageMember).value_or(""));
  const JsonMember params = members->find(kHandoffParams);
  if (is_null_member(params)) return handoff;
  handoff.params = *params;
  const Result<JsonEditor> inside = JsonEditor::read(*params, kHandoffMembers);
  if (!inside) return invalid(std::move(handoff), "kv_transfer_params is no JSON object");
  if (inside->find(kWantsPrefill) != "true") {
    return invalid(std::move(handoff), "do_remote_prefill is not true");
  }
  return read_members(*inside, std::move(handoff));
}

NixlMembers read_nixl_handoff(std::string_view answer) {
  NixlMembers read;
  const Result<JsonEditor> members = JsonEditor::read(answer, kHandoffMembers);
  if (!members) {
    read.handoff = invalid({}, "the prefiller's answer is no JSON object");
    return read;
  }
  if (is_null_member(members->find(kRemoteBlocks)) && is_null_member(members->find(kRemoteEngine)))
    return read;
  PrefillHandoff before;
  before.cached_tokens = cached_tokens_of(members->find(kUsageMember).value_or(""));
  read.handoff = read_members(*members, std::move(before));
  read.block_ids = members->find(kRemoteBlocks).value_or("null");
  read.engine_id = members->find(kRemoteEngine).value_or("null");
  read.host = members->find(kRemoteHost).value_or("null");
  read.port = members->find(kRemotePort).value_or("null");
  return read;
}

NixlLegParams read_nixl_leg_params(std::string_view params) {
  NixlLegParams leg;
  const Result<JsonEditor> members = JsonEditor::read(params, kHandoffMembers);
  if (!members) return leg;
  leg.keeps = members->find(kWantsDecode) == "true";
  leg.fetches = members->find(kWantsPrefill) == "true";
  if (!leg.fetches) return leg;
  leg.handoff = read_members(*members, {});
  if (leg.handoff.state != HandoffState::kUsable) return leg;
  std::optional<std::vector<uint32_t>> blocks = read_blocks(*members->find(kRemoteBlocks));
  if (leg.handoff.request_id.empty()) {
    leg.handoff = invalid(std::move(leg.handoff), "remote_request_id is missing");
  } else if (leg.handoff.push) {
    leg.handoff = invalid(std::move(leg.handoff), "transfer_mode \"push\" is not spoken here");
  } else if (!blocks) {
    leg.handoff =
        invalid(std::move(leg.handoff), "remote_block_ids are not 32-bit numbers of one KV group");
  } else {
    leg.block_ids = std::move(*blocks);
  }
  return leg;
}

std::string write_nixl_offer(const NixlOfferText& offer, std::span<const uint32_t> block_ids) {
  std::string json = R"({"do_remote_prefill":true,"do_remote_decode":false,"remote_block_ids":[[)";
  for (size_t i = 0; i < block_ids.size(); ++i) {
    if (i > 0) json += ',';
    json += std::to_string(block_ids[i]);
  }
  json += R"(]],"remote_engine_id":)";
  append_json_string(offer.engine_id, json);
  json += R"(,"remote_request_id":)";
  append_json_string(offer.request_id, json);
  json += R"(,"remote_host":)";
  append_json_string(offer.host, json);
  json += R"(,"remote_port":)" + std::to_string(offer.port);
  json += R"(,"tp_size":1,"dcp_size":1,"pp_size":1,"remote_num_tokens":)";
  json += std::to_string(offer.tokens);
  json += R"(,"remote_blocks_expiry_time":null,"transfer_mode":"pull")";
  json += R"(,"remote_prefill_cached_tokens":)" + std::to_string(offer.cached_tokens) + '}';
  return json;
}

}  // namespace kvasir
