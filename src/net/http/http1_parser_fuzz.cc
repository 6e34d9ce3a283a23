// Reads requests whole and split in two: both must agree, and no sound request may look another way
// to Boost.Beast's parser, which is lenient where ours is strict and never the other way round.
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "net/http/http1_parser.h"
#include "net/http/http_path.h"

namespace {

using kvasir::Http1Parser;
namespace http = boost::beast::http;

class Collector final : public Http1Parser::BodySink {
 public:
  void on_body(std::string_view bytes) override { body += bytes; }
  std::string body;
};

struct Outcome {
  Http1Parser::Failure failure;
  bool complete;
  size_t used;
  std::string body;
  bool operator==(const Outcome&) const = default;
};

Outcome parse(std::string_view input, size_t split, kvasir::HttpHead* head) {
  Http1Parser parser(Http1Parser::Kind::kRequest, {4096, 64});
  Collector collector;
  size_t used = 0;
  for (const size_t end : {split, input.size()}) {
    while (used < end && !parser.complete() && parser.failure() == Http1Parser::Failure::kNone) {
      const size_t taken = parser.feed(input.substr(used, end - used), collector);
      KVASIR_ASSERT(taken > 0 || parser.failure() != Http1Parser::Failure::kNone, "it goes on");
      used += taken;
    }
  }
  if (head != nullptr && parser.head_complete()) *head = parser.head();
  return {parser.failure(), parser.complete(), parser.complete() ? used : 0, collector.body};
}

// A message that we take is the same to a lenient reader.
void compare_with_beast(std::string_view input, const Outcome& ours, const kvasir::HttpHead& head) {
  while (input.starts_with("\r\n")) input.remove_prefix(2);  // Beast takes no empty lines
  http::request_parser<http::string_body> beast;
  beast.header_limit(1 << 20);
  beast.body_limit(boost::none);
  beast.eager(true);
  boost::beast::error_code error;
  beast.put(boost::asio::const_buffer(input.data(), input.size()), error);
  // It checks what we drop: extensions, trailer fields, and a field of old proxies.
  if (error && (head.chunked() || head.find("Proxy-Connection"))) return;
  KVASIR_ASSERT(!error && beast.is_done(), "Beast takes it");
  const auto& message = beast.get();
  KVASIR_ASSERT(std::string_view(message.target().data(), message.target().size()) == head.target(),
                "same target");
  KVASIR_ASSERT(message.body() == ours.body, "same body");
  // It takes trailer fields for header fields.
  if (head.chunked() || head.find("Proxy-Connection")) return;
  KVASIR_ASSERT(beast.keep_alive() || !head.keep_alive(), "the connection is not kept longer");
}

// The normal form is normal: nobody on the way finds another one.
void check_normal_form(std::string_view target) {
  const kvasir::Result<kvasir::NormalTarget> once = kvasir::normal_target(target);
  if (kvasir::is_normal_target(target)) KVASIR_ASSERT(once && once->target == target, "it stays");
  if (!once) return;
  const kvasir::Result<kvasir::NormalTarget> twice = kvasir::normal_target(once->target);
  KVASIR_ASSERT(twice && twice->target == once->target, "it stays");
  KVASIR_ASSERT(twice->encoded_slash == once->encoded_slash && twice->authority.empty(),
                "it stays");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  kvasir::HttpHead head;
  const Outcome whole = parse(input, input.size(), &head);
  const Outcome parts = parse(input, data[0] % (input.size() + 1), nullptr);
  KVASIR_ASSERT(whole == parts, "splits do not change a message");
  if (whole.complete) compare_with_beast(input, whole, head);
  if (whole.complete) check_normal_form(head.target());
  return 0;
}
