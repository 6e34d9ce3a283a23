#include "net/io/tls_certificate.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "base/whole_file.h"

namespace kvasir {
namespace {

constexpr long kValidSeconds = 10L * 365 * 24 * 60 * 60;
constexpr long kClockSkewSeconds = 60 * 60;  // valid since: for clients whose clocks are behind
constexpr unsigned kRsaBits = 2048;
constexpr long kX509Version3 = 2;  // counted from 0
constexpr size_t kPemBytesMax = 1024 * 1024;  // what a Kubernetes secret may hold

struct Freed {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(BIO* bytes) const { BIO_free(bytes); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
using Bytes = std::unique_ptr<BIO, Freed>;
using Certificate = std::unique_ptr<X509, Freed>;
using Key = std::unique_ptr<EVP_PKEY, Freed>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed>;

bool set_serial(X509* certificate) {
  int64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return false;
  return ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), (serial & INT64_MAX) | 1) == 1;
}

bool set_name(X509* certificate) {
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>("kvasir");
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1;
}

bool add_extension(X509* certificate, int kind, const char* value) {
  const Extension extension(X509V3_EXT_conf_nid(nullptr, nullptr, kind, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool fill(X509* certificate, EVP_PKEY* key) {
  return X509_set_version(certificate, kX509Version3) == 1 && set_serial(certificate) &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -kClockSkewSeconds) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), kValidSeconds) != nullptr &&
         X509_set_pubkey(certificate, key) == 1 && set_name(certificate) &&
         add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
         add_extension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

// Reads over `text`, which must outlive it.
Bytes bytes_of(std::string_view text) {
  return Bytes(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Instead of asking at the terminal.
int no_pass_phrase(char*, int, int, void*) {
  return 0;
}

// Reads certificates up to the end of the text. False: something else is there, or was not taken.
bool read_certificates(BIO* bytes, bool (*take)(Certificate, SSL_CTX*), SSL_CTX* context) {
  for (;;) {
    Certificate next(PEM_read_bio_X509(bytes, nullptr, &no_pass_phrase, nullptr));
    if (!next) break;
    if (!take(std::move(next), context)) return false;
  }
  // The end of the text is an error too.
  const unsigned long code = ERR_peek_last_error();
  if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE) return false;
  ERR_clear_error();
  return true;
}

bool add_to_chain(Certificate certificate, SSL_CTX* context) {
  if (SSL_CTX_add0_chain_cert(context, certificate.get()) != 1) return false;
  static_cast<void>(certificate.release());  // the context's now
  return true;
}

bool add_to_trusted(Certificate certificate, SSL_CTX* context) {
  return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) == 1;
}

bool use_certificate_chain(std::string_view pem, SSL_CTX* context) {
  const Bytes bytes = bytes_of(pem);
  const Certificate first(PEM_read_bio_X509_AUX(bytes.get(), nullptr, &no_pass_phrase, nullptr));
  return first && SSL_CTX_use_certificate(context, first.get()) == 1 &&
         read_certificates(bytes.get(), &add_to_chain, context);
}

bool use_private_key(std::string_view pem, SSL_CTX* context) {
  const Bytes bytes = bytes_of(pem);
  const Key key(PEM_read_bio_PrivateKey(bytes.get(), nullptr, &no_pass_phrase, nullptr));
  return key && SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

}  // namespace

std::string certificate_path(const std::string& folder) {
  return folder + "/tls.crt";
}
std::string key_path(const std::string& folder) {
  return folder + "/tls.key";
}

Result<void> use_certificate_folder(const std::string& folder, SSL_CTX* context) {
  // OpenSSL would read whatever is there, a pipe or a device too, and say little of the file.
  const Result<std::string> chain = read_whole_file(certificate_path(folder), kPemBytesMax);
  if (!chain) return chain.error();
  const Result<std::string> key = read_whole_file(key_path(folder), kPemBytesMax);
  if (!key) return key.error();
  return use_certificate({certificate_path(folder), *chain}, {key_path(folder), *key}, context);
}

Result<void> use_certificate(const NamedPem& certificate, const NamedPem& key, SSL_CTX* context) {
  ERR_clear_error();
  if (!use_certificate_chain(certificate.text, context)) {
    return Error{certificate.name + " cannot be used: " + tls_error()};
  }
  if (!use_private_key(key.text, context)) {
    return Error{key.name + " cannot be used: " + tls_error()};
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    return Error{key.name + " is not the key of " + certificate.name + ": " + tls_error()};
  }
  return {};
}

Result<void> use_trusted_file(const std::string& path, SSL_CTX* context) {
  const Result<std::string> pem = read_whole_file(path, kPemBytesMax);
  if (!pem) return pem.error();
  return use_trusted({path, *pem}, context);
}

Result<void> use_trusted(const NamedPem& certificates, SSL_CTX* context) {
  ERR_clear_error();
  const Bytes bytes = bytes_of(certificates.text);
  if (!read_certificates(bytes.get(), &add_to_trusted, context)) {
    return Error{certificates.name + " cannot be used: " + tls_error()};
  }
  if (sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(context))) == 0) {
    return Error{certificates.name + " holds no certificate (PEM)"};
  }
  return {};
}

std::vector<std::string> certificate_hosts(SSL_CTX* context) {
  std::vector<std::string> hosts;
  X509* const certificate = SSL_CTX_get0_certificate(context);
  if (certificate == nullptr) return hosts;
  const std::unique_ptr<GENERAL_NAMES, Freed> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
    hosts.emplace_back(text, static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  char common[256];
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                             common, sizeof common);
  if (names == nullptr && size > 0) hosts.emplace_back(common, static_cast<size_t>(size));
  return hosts;
}

void ask_for_certificate(bool required, SSL_CTX* context) {
  const int mode = SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
  SSL_CTX_set_verify(context, mode, nullptr);
  const STACK_OF(X509_OBJECT)* trusted = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
  for (int i = 0; i < sk_X509_OBJECT_num(trusted); ++i) {
    X509* const certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, i));
    if (certificate != nullptr) SSL_CTX_add_client_CA(context, certificate);
  }
}

std::string tls_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  char text[256];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

Result<void> use_self_signed_certificate(TlsKeyKind kind, SSL_CTX* context) {
  ERR_clear_error();
  const Key key(kind == TlsKeyKind::kRsa ? EVP_RSA_gen(kRsaBits) : EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  if (key && certificate && fill(certificate.get(), key.get()) &&
      SSL_CTX_use_certificate(context, certificate.get()) == 1 &&
      SSL_CTX_use_PrivateKey(context, key.get()) == 1) {
    return {};
  }
  return Error{"a certificate for TLS cannot be made: " + tls_error()};
}

}  // namespace kvasir
