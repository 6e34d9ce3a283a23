#include "net/http/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kvasir {
namespace {

// Of a frame that is received: what no SETTINGS of ours change.
constexpr uint32_t kFrameBytes = 16 * 1024;
// Of one head: some clients send small ones.
constexpr uint32_t kContinuationsMin = 8;
// An answer's head; who writes it has limits of their own.
constexpr size_t kSentHeadBytesMax = 1024 * 1024;

std::string_view view(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
}

std::vector<nghttp2_nv> to_nv(const std::vector<Http2Field>& fields) {
  std::vector<nghttp2_nv> result;
  result.reserve(fields.size());
  for (const Http2Field& field : fields) {
    result.push_back({bytes_of(field.name), bytes_of(field.value), field.name.size(),
                      field.value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return result;
}

Http2Stream* stream_of(nghttp2_session* session, int32_t id) {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

}  // namespace

// What nghttp2 calls. `user` is the session.
struct Http2Session::Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }

  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    const int32_t id = frame->hd.stream_id;
    std::unique_ptr<Http2Stream> stream = self(user).factory_->open_stream(id);
    nghttp2_session_set_stream_user_data(session, id, stream.get());
    self(user).open_.emplace(id, std::move(stream));
    return 0;
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    // Nobody asks for a request's trailers.
    if (self(user).is_server() && frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    Http2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream != nullptr) stream->on_field(view(name, name_size), view(value, value_size));
    return 0;
  }

  static int on_invalid_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t*,
                               size_t, const uint8_t*, size_t, uint8_t, void*) {
    Http2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream != nullptr) stream->on_malformed_field();
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) self(user).goaway_received_ = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    const int32_t id = frame->hd.stream_id;
    Http2Stream* stream = stream_of(session, id);
    if (stream == nullptr) return 0;
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      stream->on_head_end(ends);
    }
    if (!ends) return 0;
    stream->on_half_close();
    // A server that has answered in full reads no more.
    if (!self(user).is_server() && nghttp2_session_get_stream_local_close(session, id) == 0) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    }
    return 0;
  }

  static int on_data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size,
                     void*) {
    Http2Stream* stream = stream_of(session, id);
    if (stream != nullptr) stream->on_data(view(data, size));
    return 0;
  }

  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    const auto found = self(user).open_.find(id);
    if (found == self(user).open_.end()) return 0;
    self(user).closed_.push_back({std::move(found->second), error});
    self(user).open_.erase(found);
    return 0;
  }

  // An answer that is complete before its request is: the client need not send the rest.
  static int on_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (!self(user).is_server()) return 0;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
    if (nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static ssize_t read_output(nghttp2_session*, int32_t, uint8_t*, size_t room, uint32_t* flags,
                             nghttp2_data_source* source, void*) {
    auto& stream = *static_cast<Http2Stream*>(source->ptr);
    const size_t waiting = stream.output_size();
    const bool complete = stream.output_complete();
    if (waiting == 0 && !complete) return NGHTTP2_ERR_DEFERRED;
    const size_t size = std::min(waiting, room);
    if (size > 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (complete && size == waiting) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (stream.send_trailers()) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return static_cast<ssize_t>(size);
  }

  static int write_data(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t size,
                        nghttp2_data_source* source, void* user) {
    constexpr size_t kFrameHeadBytes = 9;
    auto& stream = *static_cast<Http2Stream*>(source->ptr);
    self(user).output_->append(view(head, kFrameHeadBytes));
    self(user).output_->append_stable(stream.take_output(size));
    if (stream.output_size() == 0) self(user).emptied_.push_back(&stream);
    return 0;
  }
};

Http2Session::Http2Session(const Settings& settings, StreamFactory* factory) : factory_(factory) {
  nghttp2_session_callbacks* callbacks = nullptr;
  KVASIR_ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0, "memory");
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, &Callbacks::on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks,
                                                           &Callbacks::on_invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &Callbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Callbacks::on_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, &Callbacks::on_sent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, &Callbacks::write_data);
  nghttp2_settings_entry own = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
  if (is_server()) {
    own = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.concurrent_streams};
    nghttp2_option* options = nullptr;
    KVASIR_ASSERT(nghttp2_option_new(&options) == 0, "memory");
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_stream_reset_rate_limit(options, settings.resets_per_second,
                                               settings.resets_per_second);
    nghttp2_option_set_max_continuations(
        options, std::max(kContinuationsMin, settings.head_bytes / kFrameBytes + 2));
    nghttp2_option_set_max_send_header_block_length(options, kSentHeadBytesMax);
    KVASIR_ASSERT(nghttp2_session_server_new2(&session_, callbacks, this, options) == 0, "memory");
    nghttp2_option_del(options);
  } else {
    KVASIR_ASSERT(nghttp2_session_client_new(&session_, callbacks, this) == 0, "memory");
  }
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry entries[] = {
      own,
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.stream_window_bytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings.head_bytes},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, std::size(entries));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(settings.connection_window_bytes));
}

Http2Session::~Http2Session() { nghttp2_session_del(session_); }

bool Http2Session::receive(std::string_view bytes) {
  return nghttp2_session_mem_recv(session_, bytes_of(bytes), bytes.size()) >= 0;
}

bool Http2Session::produce(GatherBuffer& output, size_t bytes_max) {
  output_ = &output;
  ssize_t size = 0;
  while (output.size() < bytes_max) {
    const uint8_t* data = nullptr;
    size = nghttp2_session_mem_send(session_, &data);
    if (size <= 0) break;
    output.append(view(data, static_cast<size_t>(size)));
  }
  output_ = nullptr;
  return size >= 0;
}

bool Http2Session::wants_write() const { return nghttp2_session_want_write(session_) != 0; }

bool Http2Session::over() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

std::vector<Http2Session::Closed> Http2Session::take_closed() {
  return std::exchange(closed_, {});
}

std::vector<Http2Stream*> Http2Session::take_emptied() { return std::exchange(emptied_, {}); }

void Http2Session::close_all() {
  for (auto& entry : open_) {
    nghttp2_session_set_stream_user_data(session_, entry.first, nullptr);
    closed_.push_back({std::move(entry.second), static_cast<uint32_t>(Http2Error::kInternal)});
  }
  open_.clear();
}

std::optional<int32_t> Http2Session::request(const std::vector<Http2Field>& head,
                                             std::unique_ptr<Http2Stream>& stream) {
  if (goaway_received_) return std::nullopt;
  nghttp2_data_provider provider{};
  provider.source.ptr = stream.get();
  provider.read_callback = &Callbacks::read_output;
  const std::vector<nghttp2_nv> fields = to_nv(head);
  const int32_t id = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                                            &provider, stream.get());
  if (id < 0) return std::nullopt;
  open_.emplace(id, std::move(stream));
  return id;
}

void Http2Session::respond(int32_t id, const std::vector<Http2Field>& head, bool with_body) {
  nghttp2_data_provider provider{};
  provider.source.ptr = stream_of(session_, id);
  if (provider.source.ptr == nullptr) return;
  provider.read_callback = &Callbacks::read_output;
  const std::vector<nghttp2_nv> fields = to_nv(head);
  nghttp2_submit_response(session_, id, fields.data(), fields.size(),
                          with_body ? &provider : nullptr);
}

void Http2Session::inform(int32_t id, std::string_view status) {
  const std::vector<nghttp2_nv> fields = to_nv({{":status", status}});
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, fields.data(), fields.size(),
                         nullptr);
}

void Http2Session::resume(int32_t id) { nghttp2_session_resume_data(session_, id); }

void Http2Session::send_trailers(int32_t id, const std::vector<Http2Field>& trailers) {
  const std::vector<nghttp2_nv> fields = to_nv(trailers);
  nghttp2_submit_trailer(session_, id, fields.data(), fields.size());
}

void Http2Session::reset(int32_t id, Http2Error code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<uint32_t>(code));
}

void Http2Session::send_goaway() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void Http2Session::send_shutdown_notice() { nghttp2_submit_shutdown_notice(session_); }

void Http2Session::terminate(Http2Error code) {
  nghttp2_session_terminate_session(session_, static_cast<uint32_t>(code));
}

void Http2Session::send_ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

}  // namespace kvasir
