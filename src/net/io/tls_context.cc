#include "net/io/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include "net/io/tls_certificate.h"
#include "net/io/tls_session.h"

namespace kvasir {
namespace {

using Handle = std::shared_ptr<SSL_CTX>;

// ALPN's list of one protocol, as it goes over the wire.
std::string_view alpn_list(TlsProtocol protocol) {
  return protocol == TlsProtocol::kHttp2 ? "\x02h2" : "\x08http/1.1";
}

const unsigned char* alpn_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// A client that offers protocols must offer ours; one that offers none may still speak it. `ours`:
// the list of it.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offers, unsigned offers_size, void* ours) {
  const auto* list = static_cast<const char*>(ours);
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, alpn_bytes(list),
                            static_cast<unsigned>(std::strlen(list)), offers,
                            offers_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

struct SuiteLists {
  std::string of_12;
  std::string of_13;
};

void append(std::string& list, std::string_view name) {
  if (!list.empty()) list += ':';
  list += name;
}

Result<SuiteLists> sort_suites(const std::vector<std::string>& names) {
  SuiteLists lists;
  for (const std::string& name : names) {
    const std::string own = OPENSSL_cipher_name(name.c_str());
    if (own == "(NONE)")
      return Error{"TLS: \"" + name + "\" is not a cipher suite that is known here"};
    append(own == name ? lists.of_13 : lists.of_12, own);  // only those of 1.3 have one name
  }
  return lists;
}

Result<void> set_suites(SSL_CTX* context, const TlsOptions& options) {
  const Result<SuiteLists> lists = sort_suites(options.cipher_suites);
  if (!lists) return lists.error();
  const bool only_13 = lists->of_12.empty() && !lists->of_13.empty();
  const bool v13 = options.version_min == TlsVersion::k13 || only_13;
  if (SSL_CTX_set_min_proto_version(context, v13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
      (!lists->of_12.empty() && SSL_CTX_set_cipher_list(context, lists->of_12.c_str()) != 1) ||
      (!lists->of_13.empty() && SSL_CTX_set_ciphersuites(context, lists->of_13.c_str()) != 1)) {
    return Error{"TLS: the cipher suites cannot be used: " + tls_error()};
  }
  return {};
}

// Everything but the certificate.
Result<Handle> make_context(const TlsOptions& options) {
  ERR_clear_error();
  const Handle context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (!context) return Error{"TLS cannot be set up: " + tls_error()};
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);  // idle connections keep none
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_alpn_select_cb(context.get(), &choose_protocol,
                             const_cast<char*>(alpn_list(options.protocol).data()));
  const Result<void> suites = set_suites(context.get(), options);
  if (!suites) return suites.error();
  return context;
}

// Suites with RSA in their name sign with such a key; making one takes a moment, so only then.
std::vector<TlsKeyKind> key_kinds(const TlsOptions& options) {
  for (const std::string& suite : options.cipher_suites) {
    if (suite.find("_RSA_") != std::string::npos) return {TlsKeyKind::kP256, TlsKeyKind::kRsa};
  }
  return {TlsKeyKind::kP256};
}

// The time of modification can be set by whoever writes the file (tar, touch -r), that of its last
// change cannot.
void append_stamp(const std::string& path, std::vector<int64_t>& stamp) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return stamp.push_back(-1);
  stamp.insert(
      stamp.end(),
      {static_cast<int64_t>(facts.st_ino), static_cast<int64_t>(facts.st_size),
       static_cast<int64_t>(facts.st_mtim.tv_sec), static_cast<int64_t>(facts.st_mtim.tv_nsec),
       static_cast<int64_t>(facts.st_ctim.tv_sec), static_cast<int64_t>(facts.st_ctim.tv_nsec)});
}

constexpr size_t kTrustedFilesMost = 4096;

// Of the folders in SSL_CERT_DIR OpenSSL itself reads only files whose names are hashes, as
// `openssl rehash` makes them; Go's programs read all of them, and so do charts expect it.
void trust_folders(SSL_CTX* context) {
  const char* folders = std::getenv("SSL_CERT_DIR");
  if (folders == nullptr) return;
  size_t files = 0;
  std::istringstream list(folders);
  for (std::string folder; std::getline(list, folder, ':');) {
    std::error_code unreadable;
    for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable)) {
      if (++files > kTrustedFilesMost) return;
      if (!entry.is_regular_file(unreadable)) continue;
      SSL_CTX_load_verify_locations(context, entry.path().c_str(), nullptr);  // a key, perhaps
      ERR_clear_error();
    }
  }
}

}  // namespace

Result<TlsVersion> parse_tls_version(std::string_view text) {
  if (text == "1.2" || text == "VersionTLS12") return TlsVersion::k12;
  if (text == "1.3" || text == "VersionTLS13") return TlsVersion::k13;
  return Error{"\"" + std::string(text) +
               "\" is not a version of TLS served here: VersionTLS12 or VersionTLS13"};
}

TlsContext::TlsContext(std::string folder, TlsOptions options, Handle handle, Stamp stamp)
    : folder_(std::move(folder)),
      options_(std::move(options)),
      handle_(std::move(handle)),
      stamp_(std::move(stamp)) {}

TlsContext::~TlsContext() = default;

Result<std::unique_ptr<TlsContext>> TlsContext::self_signed(const TlsOptions& options) {
  const Result<Handle> handle = make_context(options);
  if (!handle) return handle.error();
  for (const TlsKeyKind kind : key_kinds(options)) {
    const Result<void> certificate = use_self_signed_certificate(kind, handle->get());
    if (!certificate) return certificate.error();
  }
  return std::unique_ptr<TlsContext>(new TlsContext("", options, *handle, {}));
}

Result<std::unique_ptr<TlsContext>> TlsContext::from_folder(const std::string& folder,
                                                            const TlsOptions& options) {
  Stamp stamp = stamp_of(folder);
  const Result<Handle> handle = read_folder(folder, options);
  if (!handle) return handle.error();
  return std::unique_ptr<TlsContext>(new TlsContext(folder, options, *handle, std::move(stamp)));
}

Result<TlsContext::Handle> TlsContext::read_folder(const std::string& folder,
                                                   const TlsOptions& options) {
  const Result<Handle> context = make_context(options);
  if (!context) return context.error();
  const Result<void> used = use_certificate_folder(folder, context->get());
  if (!used) return used.error();
  return *context;
}

// Taken before the files are read, so that a change in between is seen the next time.
TlsContext::Stamp TlsContext::stamp_of(const std::string& folder) {
  Stamp stamp;
  append_stamp(certificate_path(folder), stamp);
  append_stamp(key_path(folder), stamp);
  return stamp;
}

Result<bool> TlsContext::reload_if_changed() {
  if (folder_.empty()) return false;
  Stamp stamp = stamp_of(folder_);
  const bool changed = stamp_.with([&](Stamp& last) {
    if (last == stamp) return false;
    last = std::move(stamp);
    return true;
  });
  if (!changed) return false;
  Result<Handle> handle = read_folder(folder_, options_);
  if (!handle) return handle.error();
  handle_.with([&](Handle& current) { current.swap(*handle); });
  return true;
}

std::unique_ptr<TlsSession> TlsContext::open_session() const {
  const Handle handle = handle_.with([](const Handle& current) { return current; });
  return std::make_unique<TlsSession>(handle.get());
}

// --- Clients ---------------------------------------------------------------------------

Result<std::unique_ptr<TlsClientContext>> TlsClientContext::create(
    const TlsClientOptions& options) {
  ERR_clear_error();
  const Handle context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  if (!context) return Error{"TLS cannot be set up: " + tls_error()};
  SSL_CTX* const raw = context.get();
  const bool v13 = options.version_min == TlsVersion::k13;
  const std::string_view alpn = alpn_list(options.protocol);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(raw, options.check_server ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (SSL_CTX_set_min_proto_version(raw, v13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_alpn_protos(raw, alpn_bytes(alpn), static_cast<unsigned>(alpn.size())) != 0) {
    return Error{"TLS cannot be set up: " + tls_error()};
  }
  if (!options.ca_file.empty() || !options.ca_pem.empty()) {
    const Result<void> trusted = options.ca_file.empty()
                                     ? use_trusted({"the CA's certificate", options.ca_pem}, raw)
                                     : use_trusted_file(options.ca_file, raw);
    if (!trusted) return trusted.error();
    // Who is named is believed, also when somebody else vouches for it.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(raw), X509_V_FLAG_PARTIAL_CHAIN);
  } else if (options.check_server) {
    if (SSL_CTX_set_default_verify_paths(raw) != 1) {
      return Error{"TLS: the system's certificates cannot be read: " + tls_error()};
    }
    trust_folders(raw);
  }
  if (!options.certificate_folder.empty()) {
    const Result<void> shown = use_certificate_folder(options.certificate_folder, raw);
    if (!shown) return shown.error();
  } else if (!options.certificate_pem.empty()) {
    const Result<void> shown =
        use_certificate({"the client's certificate", options.certificate_pem},
                        {"the client's key", options.key_pem}, raw);
    if (!shown) return shown.error();
  }
  return std::unique_ptr<TlsClientContext>(new TlsClientContext(context));
}

std::unique_ptr<TlsSession> TlsClientContext::open_session(const std::string& server_name) const {
  return std::make_unique<TlsSession>(handle_.get(), server_name);
}

std::unique_ptr<TlsSession> TlsPeer::open_session() const {
  return context == nullptr ? nullptr : context->open_session(server_name);
}

}  // namespace kvasir
