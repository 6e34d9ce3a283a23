// For the tests of TLS: certificates in files.
#pragma once

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "net/io/tls_certificate.h"

namespace kvasir {

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
