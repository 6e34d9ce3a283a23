// The grammar of an HTTP/1 head (RFC 9112), line by line. Strict where a lenient reader would see
// another message than the next program on the way does: no bare line feeds, no folded lines, no
// white space around names, one plain Content-Length, one plain "chunked", one Host. Private to
// net/.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/http/http_head.h"

namespace kvasir {

// What is wrong with a message: a text for people; null when it is sound.
using HttpFault = const char*;

// RFC 9110 §5.6.2: what names of methods, fields and connection options consist of.
bool is_token(std::string_view text);
// A field's value: no control byte but a tab.
bool is_field_value(std::string_view text);

// The lines come without their end. A request line whose version is not 1.0 or 1.1 is sound: its
// minor_version() is kOtherVersion.
inline constexpr int kOtherVersion = -1;
HttpFault read_request_line(std::string_view line, HttpHead& head);
HttpFault read_status_line(std::string_view line, HttpHead& head);
HttpFault read_field_line(std::string_view line, HttpHead& head);

// Called when the head is whole: sets how the body is framed, and whether the connection can be
// used again.
HttpFault read_request_framing(HttpHead& head);
// `bodiless`: the answer has no body whatever its fields say.
HttpFault read_answer_framing(HttpHead& head, bool bodiless);

}  // namespace kvasir
