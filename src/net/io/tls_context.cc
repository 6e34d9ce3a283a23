#include "net/io/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include "net/io/tls_certificate.h"
#include "net/io/tls_names.h"
#include "net/io/tls_session.h"

namespace kvasir {
namespace {

using Handle = std::shared_ptr<SSL_CTX>;

// ALPN's list of protocols, as it goes over the wire; the first that a client knows is spoken.
std::string_view alpn_list(TlsProtocol protocol) {
  switch (protocol) {
    case TlsProtocol::kHttp1:
      return "\x08http/1.1";
    case TlsProtocol::kHttp2:
      return "\x02h2";
    default:
      return "\x02h2\x08http/1.1";
  }
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

// What TLS 1.2 has of suites with ECDHE and AEAD, in OpenSSL's words.
constexpr char kForwardSecret[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
// How long a ticket may be used.
constexpr long kTicketSeconds = 2 * 60 * 60;
constexpr unsigned char kSessionsOf[] = "kvasir";

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
  const std::string of_12 = lists->of_12.empty() ? kForwardSecret : lists->of_12;
  const bool v13 = options.version_min == TlsVersion::k13 || only_13;
  if (SSL_CTX_set_min_proto_version(context, v13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context, of_12.c_str()) != 1 ||
      (!lists->of_13.empty() && SSL_CTX_set_ciphersuites(context, lists->of_13.c_str()) != 1)) {
    return Error{"TLS: the cipher suites cannot be used: " + tls_error()};
  }
  return {};
}

Result<void> set_client_auth(SSL_CTX* context, const TlsOptions& options) {
  if (options.client_auth == TlsClientAuth::kNone) return {};
  if (Result<void> trusted = use_trusted_file(options.client_ca_file, context); !trusted) {
    return trusted.error();
  }
  // Who is named is believed, also when somebody else vouches for it.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  ask_for_certificate(options.client_auth == TlsClientAuth::kRequired, context);
  return {};
}

// Everything but the certificate.
Result<Handle> make_context(const TlsOptions& options) {
  ERR_clear_error();
  const Handle context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (!context) return Error{"TLS cannot be set up: " + tls_error()};
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         (options.resumption ? 0 : SSL_OP_NO_TICKET));
  // Idle connections keep no buffers, and what is believed of clients is not shown to them.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // tickets hold all
  SSL_CTX_set_session_id_context(context.get(), kSessionsOf, sizeof kSessionsOf - 1);
  SSL_CTX_set_timeout(context.get(), kTicketSeconds);
  SSL_CTX_set_num_tickets(context.get(), options.resumption ? 1 : 0);
  SSL_CTX_set_alpn_select_cb(context.get(), &choose_protocol,
                             const_cast<char*>(alpn_list(options.protocol).data()));
  Result<void> set = set_suites(context.get(), options);
  if (set) set = set_client_auth(context.get(), options);
  if (!set) return set.error();
  return context;
}

// One certificate: how it gets into a context, and for whom it is.
struct Source {
  std::function<Result<void>(SSL_CTX*)> load;
  std::vector<std::string> hosts = {};  // empty: as it says itself
};

// A context that shows the first, and knows when to show which other.
Result<Handle> make_contexts(const std::vector<Source>& sources, const TlsOptions& options) {
  if (sources.empty()) return Error{"TLS: there is no certificate"};
  Handle first;
  auto names = std::make_unique<TlsNames>();
  for (const Source& source : sources) {
    const Result<Handle> context = make_context(options);
    if (!context) return context.error();
    if (Result<void> loaded = source.load(context->get()); !loaded) return loaded.error();
    const std::vector<std::string> hosts =
        source.hosts.empty() ? certificate_hosts(context->get()) : source.hosts;
    for (const std::string& host : hosts) names->add(host, first == nullptr ? nullptr : *context);
    if (first == nullptr) first = *context;
  }
  if (sources.size() > 1) TlsNames::attach(std::move(names), first.get());
  return first;
}

std::vector<Source> sources_of(const std::vector<std::string>& folders) {
  std::vector<Source> sources;
  for (const std::string& folder : folders) {
    sources.push_back(
        {[&folder](SSL_CTX* context) { return use_certificate_folder(folder, context); }});
  }
  return sources;
}

std::vector<Source> sources_of(const std::vector<TlsCertificate>& certificates) {
  std::vector<Source> sources;
  for (const TlsCertificate& one : certificates) {
    sources.push_back({[&one](SSL_CTX* context) {
                         return use_certificate({"the certificate of " + one.name, one.certificate},
                                                {"the key of " + one.name, one.key}, context);
                       },
                       one.hosts});
  }
  return sources;
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

TlsContext::TlsContext(std::vector<std::string> folders, TlsOptions options, Handle handle,
                       Stamp stamp)
    : folders_(std::move(folders)),
      options_(std::move(options)),
      handle_(std::move(handle)),
      stamp_(std::move(stamp)) {}

TlsContext::~TlsContext() = default;

Result<std::unique_ptr<TlsContext>> TlsContext::self_signed(const TlsOptions& options) {
  const Source made{[&options](SSL_CTX* context) {
    Result<void> certificate;
    for (const TlsKeyKind kind : key_kinds(options)) {
      if (certificate) certificate = use_self_signed_certificate(kind, context);
    }
    return certificate;
  }};
  const Result<Handle> handle = make_contexts({made}, options);
  if (!handle) return handle.error();
  return std::unique_ptr<TlsContext>(new TlsContext({}, options, *handle, {}));
}

Result<std::unique_ptr<TlsContext>> TlsContext::from_folder(const std::string& folder,
                                                            const TlsOptions& options) {
  return from_folders({folder}, options);
}

Result<std::unique_ptr<TlsContext>> TlsContext::from_folders(
    const std::vector<std::string>& folders, const TlsOptions& options) {
  Stamp stamp = stamp_of(folders, options);
  const Result<Handle> handle = make_contexts(sources_of(folders), options);
  if (!handle) return handle.error();
  return std::unique_ptr<TlsContext>(new TlsContext(folders, options, *handle, std::move(stamp)));
}

Result<std::unique_ptr<TlsContext>> TlsContext::from_texts(
    const std::vector<TlsCertificate>& certificates, const TlsOptions& options) {
  const Result<Handle> handle = make_contexts(sources_of(certificates), options);
  if (!handle) return handle.error();
  return std::unique_ptr<TlsContext>(new TlsContext({}, options, *handle, {}));
}

Result<void> TlsContext::replace(const std::vector<TlsCertificate>& certificates) {
  Result<Handle> handle = make_contexts(sources_of(certificates), options_);
  if (!handle) return handle.error();
  handle_.with([&](Handle& current) { current.swap(*handle); });
  return {};
}

// Taken before the files are read, so that a change in between is seen the next time.
TlsContext::Stamp TlsContext::stamp_of(const std::vector<std::string>& folders,
                                       const TlsOptions& options) {
  Stamp stamp;
  for (const std::string& folder : folders) {
    append_stamp(certificate_path(folder), stamp);
    append_stamp(key_path(folder), stamp);
  }
  if (!options.client_ca_file.empty()) append_stamp(options.client_ca_file, stamp);
  return stamp;
}

Result<bool> TlsContext::reload_if_changed() {
  if (folders_.empty()) return false;
  Stamp stamp = stamp_of(folders_, options_);
  const bool changed = stamp_.with([&](Stamp& last) {
    if (last == stamp) return false;
    last = std::move(stamp);
    return true;
  });
  if (!changed) return false;
  Result<Handle> handle = make_contexts(sources_of(folders_), options_);
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
