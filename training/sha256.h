/* sha256.h - SHA-256 (FIPS 180-4) through libcrypto. */
#ifndef MOVIEBERT_TOOL_SHA256_H
#define MOVIEBERT_TOOL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_HEX 65 /* with the NUL */

typedef struct sha256 sha256;

sha256 *sha256_start(void);
void sha256_add(sha256 *hash, const void *data, size_t size);
void sha256_finish(sha256 *hash, unsigned char digest[SHA256_BYTES]); /* frees hash */

void sha256_of(const void *data, size_t size, unsigned char digest[SHA256_BYTES]);
void sha256_hex(const unsigned char digest[SHA256_BYTES], char hex[SHA256_HEX]);

#endif
