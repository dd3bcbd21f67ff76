/* sha256.c - a thin wrapper; libcrypto failing at SHA-256 means it has no memory. */
#include "sha256.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "report.h"

static void
check(int ok)
{
	if (ok == 1)
		return;
	report_failure(TOOL_FAILED, NULL, "libcrypto could not compute SHA-256");
	exit(TOOL_FAILED);
}

sha256 *
sha256_start(void)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	check(context != NULL);
	check(EVP_DigestInit_ex(context, EVP_sha256(), NULL));
	return (sha256 *) context;
}

void
sha256_add(sha256 *hash, const void *data, size_t size)
{
	check(EVP_DigestUpdate((EVP_MD_CTX *) hash, data, size));
}

void
sha256_finish(sha256 *hash, unsigned char digest[SHA256_BYTES])
{
	check(EVP_DigestFinal_ex((EVP_MD_CTX *) hash, digest, NULL));
	EVP_MD_CTX_free((EVP_MD_CTX *) hash);
}

void
sha256_of(const void *data, size_t size, unsigned char digest[SHA256_BYTES])
{
	sha256 *hash = sha256_start();

	sha256_add(hash, data, size);
	sha256_finish(hash, digest);
}

void
sha256_hex(const unsigned char digest[SHA256_BYTES], char hex[SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	int i;

	for (i = 0; i < SHA256_BYTES; i++)
	{
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * SHA256_BYTES] = '\0';
}
