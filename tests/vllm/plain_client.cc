#include "plain_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>

namespace kvasir {
namespace {

constexpr timeval kPatience{20, 0};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& byte : lower) byte = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
  return lower;
}

// The status and fields of a head without its empty line.
PlainAnswer parse_head(std::string_view head) {
  PlainAnswer answer;
  const size_t space = head.find(' ');
  if (space != std::string_view::npos) answer.status = std::atoi(head.data() + space + 1);
  size_t line = head.find("\r\n");
  while (line != std::string_view::npos) {
    const size_t begin = line + 2;
    line = head.find("\r\n", begin);
    const std::string_view text =
        head.substr(begin, line == std::string_view::npos ? line : line - begin);
    const size_t colon = text.find(": ");
    if (colon == std::string_view::npos) continue;
    answer.fields.emplace_back(lower_case(text.substr(0, colon)), text.substr(colon + 2));
  }
  return answer;
}

}  // namespace

std::optional<std::string> PlainAnswer::field(std::string_view name) const {
  for (const auto& field : fields) {
    if (field.first == name) return field.second;
  }
  return std::nullopt;
}

PlainConnection::PlainConnection(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  [[maybe_unused]] const int connected =
      connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

PlainConnection::~PlainConnection() {
  close(socket_);
}

bool PlainConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void PlainConnection::end_sending() {
  shutdown(socket_, SHUT_WR);
}

bool PlainConnection::read_more() {
  char buffer[65536];
  const ssize_t count = recv(socket_, buffer, sizeof buffer, 0);
  if (count <= 0) return false;
  input_.append(buffer, static_cast<size_t>(count));
  return true;
}

PlainAnswer PlainConnection::receive(bool head_only) {
  size_t head_end;
  while ((head_end = input_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return {};
  }
  PlainAnswer answer = parse_head(std::string_view(input_).substr(0, head_end));
  input_.erase(0, head_end + 4);
  if (answer.status == 100) return receive(head_only);
  if (head_only) return answer;
  if (const auto length = answer.field("content-length")) {
    const size_t size = std::strtoull(length->c_str(), nullptr, 10);
    while (input_.size() < size && read_more()) {
    }
    answer.body = input_.substr(0, size);
    return answer;
  }
  // Chunked: the pieces of an event stream, or all until the end.
  for (;;) {
    size_t line;
    while ((line = input_.find("\r\n")) == std::string::npos) {
      if (!read_more()) return answer;
    }
    const size_t size = std::strtoull(input_.c_str(), nullptr, 16);
    while (input_.size() < line + 2 + size + 2) {
      if (!read_more()) return answer;
    }
    answer.body.append(input_, line + 2, size);
    input_.erase(0, line + 2 + size + 2);
    if (size == 0) return answer;
  }
}

PlainAnswer plain_request(uint16_t port, std::string_view bytes, bool head_only) {
  PlainConnection connection(port);
  connection.send(bytes);
  return connection.receive(head_only);
}

}  // namespace kvasir
