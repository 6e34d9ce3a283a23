// The first and the last lines of heads that a proxy passes on. What stands between them is its
// own affair; hop_fields.h says which fields stay behind.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvasir {

class HttpHead;

// "Name: value\r\n"
void append_field(std::string& head, std::string_view name, std::string_view value);

// The request line and Host: the client's, so that redirects lead back here, or `host` where it
// sent none.
std::string begin_relayed_request(const HttpHead& request, std::string_view host);
// Content-Length where there is a body, and the head's end.
void end_relayed_request(const HttpHead& request, size_t body_bytes, std::string& head);

// The whole head of an answer whose body is relayed as it is framed. `fields`: whole lines, none of
// them of framing or of the connection.
std::string relayed_answer_head(const HttpHead& answer, std::string_view fields, bool keep_alive);

// The same as `fields` go to a client whose protocol frames bodies without a length: appends how
// long the body is, when the answer says so.
void append_length(const HttpHead& answer, std::string& fields);

}  // namespace kvasir
