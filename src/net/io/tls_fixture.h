// For the tests of TLS: certificates in files.
#pragma once

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/io/tls_certificate.h"

namespace kvasir {

// A certificate for these hosts that vouches for itself, of a server or of a client, and its key.
struct TestCertificate {
  explicit TestCertificate(const std::vector<std::string>& hosts, long valid_seconds = 3600) {
    EVP_PKEY* const pair = EVP_EC_gen("P-256");
    X509* const made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -7200);
    X509_gmtime_adj(X509_getm_notAfter(made), valid_seconds);
    X509_set_pubkey(made, pair);
    X509_NAME* const name = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(hosts.front().c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(made, name);
    std::string list;
    for (const std::string& host : hosts) list += (list.empty() ? "DNS:" : ",DNS:") + host;
    X509_EXTENSION* const names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, list.c_str());
    X509_add_ext(made, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(made, pair, EVP_sha256());
    certificate = text([&](BIO* bio) { PEM_write_bio_X509(bio, made); });
    key = text([&](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, pair, nullptr, nullptr, 0, nullptr, nullptr);
    });
    X509_free(made);
    EVP_PKEY_free(pair);
  }

  std::string certificate, key;  // PEM

 private:
  template <class Write>
  static std::string text(Write write) {
    BIO* const bio = BIO_new(BIO_s_mem());
    write(bio);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    std::string all(bytes, static_cast<size_t>(size));
    BIO_free(bio);
    return all;
  }
};

// A folder of its own with a certificate and its key.
class TlsFolder {
 public:
  TlsFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "kvasir_tls_XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TlsFolder() { std::filesystem::remove_all(path_); }

  std::string path() const { return path_.string(); }
  // Returns the certificate, DER.
  std::string write_pair(bool key_too = true, const char* pass_phrase = nullptr) {
    const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_method()),
                                                               &SSL_CTX_free);
    EXPECT_TRUE(use_self_signed_certificate(TlsKeyKind::kP256, context.get()));
    X509* certificate = SSL_CTX_get0_certificate(context.get());
    write("tls.crt", [&](FILE* file) { return PEM_write_X509(file, certificate); });
    if (key_too) {
      write("tls.key", [&](FILE* file) {
        return PEM_write_PKCS8PrivateKey(file, SSL_CTX_get0_privatekey(context.get()),
                                         pass_phrase != nullptr ? EVP_aes_128_cbc() : nullptr,
                                         pass_phrase, pass_phrase != nullptr ? 4 : 0, nullptr,
                                         nullptr);
      });
    }
    return der(certificate);
  }
  void write_text(const char* name, std::string_view text) { std::ofstream(path_ / name) << text; }

  static std::string der(X509* certificate) {
    unsigned char* bytes = nullptr;
    const int size = i2d_X509(certificate, &bytes);
    std::string result(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    OPENSSL_free(bytes);
    return result;
  }

 private:
  // As Kubernetes does: the new file takes the place of the old one whole.
  template <class Write>
  void write(const char* name, Write write_file) {
    const std::filesystem::path fresh = path_ / "fresh";
    FILE* file = std::fopen(fresh.c_str(), "w");
    EXPECT_EQ(write_file(file), 1);
    std::fclose(file);
    std::filesystem::rename(fresh, path_ / name);
  }

  std::filesystem::path path_;
};

}  // namespace kvasir
