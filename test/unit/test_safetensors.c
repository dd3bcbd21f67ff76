/* test_safetensors.c - the reader, against hostile files too, and conversions to fp32. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "moviebert/safetensors.h"

/* ---- hostile headers ------------------------------------------------------------------------------------------------
 */

#define METADATA "\"__metadata__\":{\"format\":\"pt\",\"note\":\"caf\\u00e9\"}"
#define TENSOR_A "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"
#define TENSOR_B "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[16,22]}"
#define TENSOR_E "\"e\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[22,22]}"
#define TENSOR_S "\"s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[22,23]}"
#define VALID "{" METADATA "," TENSOR_A "," TENSOR_B "," TENSOR_E "," TENSOR_S "}"
#define VALID_DATA 23

/* A file in a block of exactly its size, so that a read outside it is seen. */
typedef struct file
{
	unsigned char *bytes;
	size_t size;
} file;

static file
make_file(const char *header, size_t header_bytes, uint64_t claimed, size_t data_bytes)
{
	file f = {NULL, 8 + header_bytes + data_bytes};

	f.bytes = malloc(f.size);
	assert_non_null(f.bytes);
	for (int i = 0; i < 8; i++)
		f.bytes[i] = (unsigned char) (claimed >> 8 * i);
	memcpy(f.bytes + 8, header, header_bytes);
	for (size_t i = 0; i < data_bytes; i++)
		f.bytes[8 + header_bytes + i] = (unsigned char) (i * 7);
	return f;
}

/* The valid file with the first `from` of its header replaced by `to`. */
static file
mutated(const char *from, const char *to, size_t to_bytes, int more_data)
{
	const char *place = strstr(VALID, from);
	size_t before, header_bytes;
	char *header;
	file f;

	if (place == NULL)
		fail_msg("the valid header has no %s", from);
	before = (size_t) (place - VALID);
	header_bytes = strlen(VALID) - strlen(from) + to_bytes;
	header = malloc(header_bytes + 1);
	memcpy(header, VALID, before);
	memcpy(header + before, to, to_bytes);
	memcpy(header + before + to_bytes, place + strlen(from), strlen(VALID) - before - strlen(from));
	f = make_file(header, header_bytes, header_bytes, (size_t) (VALID_DATA + more_data));
	free(header);
	return f;
}

typedef struct hostile
{
	const char *name;
	const char *from, *to;
	mb_status status;
	const char *expected; /* in the message and detail, "message|detail" */
	size_t to_bytes;      /* 0: strlen(to) */
	int more_data;
} hostile;

/* The last two members are wanted in a few lines only. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const hostile headers[] = {
	/* JSON itself */
	{"white space before the brace", "{", " {", MB_CORRUPT,
	 "Byte 8 of the file: there should be \"{\" at the header's"},
	{"a list", "{", "[", MB_CORRUPT, "there should be \"{\" at the header's start"},
	{"no closing brace", "[22,23]}}", "[22,23]}", MB_CORRUPT, "the header ends within the header"},
	{"nothing behind a comma", "[22,23]}}", "[22,23]},", MB_CORRUPT,
	 "ends where there should be a double quote before a tensor"},
	{"trailing comma", "[22,23]}}", "[22,23]},}", MB_CORRUPT, "there should be a double quote before a tensor's name"},
	{"missing comma", "},\"b\"", "}\"b\"", MB_CORRUPT, "there should be \",\" or \"}\" in the header"},
	{"missing colon", "\"a\":{", "\"a\"{", MB_CORRUPT, "there should be a colon after a tensor's name"},
	{"name without quotes", "\"a\":{", "a:{", MB_CORRUPT, "there should be a double quote before a tensor's name"},
	{"a second object behind", "[22,23]}}", "[22,23]}}{}", MB_CORRUPT, "there is something behind the header's end"},
	{"NUL behind the object", "[22,23]}}", "[22,23]}}\0", MB_CORRUPT, "something behind the header's end", 10},
	{"comment", "},\"b\"", "},/**/\"b\"", MB_CORRUPT, "before a tensor's name"},
	{"deep nesting", "[2,2]", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[2]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", MB_CORRUPT,
	 "a dimension of tensor \"a\" is not a number"},
	/* strings */
	{"unknown escape", "\"note\"", "\"n\\xte\"", MB_CORRUPT, "an unknown escape in a string"},
	{"NUL escaped", "\"note\"", "\"no\\u0000te\"", MB_CORRUPT, "\\u0000 in a string"},
	{"NUL raw", "\"note\"", "\"no\0te\"", MB_CORRUPT, "a control character (0x00) in a string", 7},
	{"newline raw", "\"note\"", "\"no\nte\"", MB_CORRUPT, "a control character (0x0a) in a string"},
	{"three hex digits", "\\u00e9", "\\u00e", MB_CORRUPT, "\\u without four hexadecimal digits"},
	{"high surrogate alone", "\\u00e9", "\\ud83d", MB_CORRUPT, "first half of a surrogate pair without the second"},
	{"high surrogate, then a letter", "\\u00e9", "\\ud83d\\u0041", MB_CORRUPT, "surrogate pair without the second"},
	{"low surrogate alone", "\\u00e9", "\\ude00", MB_CORRUPT, "second half of a surrogate pair without the first"},
	{"UTF-8 cut short", "\\u00e9", "\xc3", MB_CORRUPT, "a string is not valid UTF-8"},
	{"UTF-8 overlong", "\"a\":{", "\"\xc0\xaf\":{", MB_CORRUPT, "a string is not valid UTF-8"},
	{"UTF-8 surrogate", "\"b\":{", "\"\xed\xa0\x80\":{", MB_CORRUPT, "a string is not valid UTF-8"},
	{"UTF-8 above U+10FFFF", "\"s\":{", "\"\xf4\x90\x80\x80\":{", MB_CORRUPT, "a string is not valid UTF-8"},
	{"string without end", "[22,23]}}", "[22,23]},\"x", MB_CORRUPT, "the header ends within a string"},
	{"escape at the end", "[22,23]}}", "[22,23]},\"xy\\", MB_CORRUPT, "the header ends within a string"},
	/* __metadata__ */
	{"metadata a list", "{\"format\":\"pt\",\"note\":\"caf\\u00e9\"}", "[]", MB_CORRUPT,
	 "__metadata__ is not an object"},
	{"metadata null", "{\"format\":\"pt\",\"note\":\"caf\\u00e9\"}", "null", MB_CORRUPT,
	 "__metadata__ is not an object"},
	{"metadata value a number", "\"pt\"", "1", MB_CORRUPT, "value of \"format\" in __metadata__ is not a string"},
	{"metadata value an object", "\"caf\\u00e9\"", "{\"x\":\"y\"}", MB_CORRUPT,
	 "value of \"note\" in __metadata__ is not"},
	{"metadata value null", "\"caf\\u00e9\"", "null", MB_CORRUPT, "value of \"note\" in __metadata__ is not a string"},
	{"metadata key twice", "\"note\"", "\"format\"", MB_CORRUPT, "__metadata__ has \"format\" twice"},
	{"metadata key twice, once escaped", "\"note\"", "\"form\\u0061t\"", MB_CORRUPT, "has \"format\" twice"},
	{"metadata twice", TENSOR_A, METADATA "," TENSOR_A, MB_CORRUPT, "__metadata__ is there twice"},
	{"metadata without end", VALID, "{\"__metadata__\":{\"format\":\"pt\"", MB_CORRUPT,
	 "the header ends within __metadata__"},
	{"metadata with a number for a key", "\"note\":", "7:", MB_CORRUPT, "before a key of __metadata__"},
	{"metadata without a colon", "\"format\":", "\"format\" ", MB_CORRUPT, "after a key of __metadata__"},
	{"metadata without a comma", "\"pt\",", "\"pt\" ", MB_CORRUPT, "\",\" or \"}\" in __metadata__"},
	/* entries */
	{"entry a list", "{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[22,23]}", "[]", MB_CORRUPT,
	 "the entry of tensor \"s\" is not an object"},
	{"entry null", "{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[16,22]}", "null", MB_CORRUPT,
	 "the entry of tensor \"b\" is not an object"},
	{"entry empty", "{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[22,23]}", "{}", MB_CORRUPT,
	 "tensor \"s\" is not described in full|Its entry has no \"dtype\"."},
	{"entry without end", TENSOR_A "," TENSOR_B "," TENSOR_E "," TENSOR_S "}", "\"a\":{\"dtype\":\"F32\"", MB_CORRUPT,
	 "the header ends within a tensor's entry"},
	{"no dtype", "\"dtype\":\"F32\",", "", MB_CORRUPT,
	 "tensor \"a\" is not described in full|Its entry has no \"dtype\"."},
	{"no shape", "\"shape\":[2,2],", "", MB_CORRUPT,
	 "tensor \"a\" is not described in full|Its entry has no \"shape\"."},
	{"no offsets", ",\"data_offsets\":[0,16]", "", MB_CORRUPT,
	 "tensor \"a\" is not described in full|Its entry has no \"data_offsets\"."},
	{"unknown member", "\"shape\":[3]", "\"shape\":[3],\"stride\":[1]", MB_CORRUPT,
	 "tensor \"b\" has a member \"stride\" that the format does not know"},
	{"dtype twice", "\"shape\":[3]", "\"dtype\":\"F16\",\"shape\":[3]", MB_CORRUPT, "tensor \"b\" has \"dtype\" twice"},
	{"shape twice", "\"shape\":[3]", "\"shape\":[3],\"shape\":[3]", MB_CORRUPT, "tensor \"b\" has \"shape\" twice"},
	{"offsets twice", "\"shape\":[3]", "\"shape\":[3],\"data_offsets\":[16,22]", MB_CORRUPT,
	 "tensor \"b\" has \"data_offsets\" twice"},
	{"tensor twice", "\"b\"", "\"a\"", MB_CORRUPT, "tensor \"a\" is there twice"},
	{"tensor twice, once escaped", "\"s\":", "\"\\u0062\":", MB_CORRUPT, "tensor \"b\" is there twice"},
	/* dtype */
	{"dtype a number", "\"dtype\":\"F32\"", "\"dtype\":32", MB_CORRUPT, "the dtype of tensor \"a\" is not a string"},
	{"dtype unknown", "\"F32\"", "\"F4\"", MB_UNSUPPORTED, "tensor \"a\" has an unknown dtype|It is \"F4\"."},
	{"dtype in lower case", "\"F32\"", "\"f32\"", MB_UNSUPPORTED, "It is \"f32\"."},
	{"dtype empty", "\"F32\"", "\"\"", MB_UNSUPPORTED, "It is \"\"."},
	{"dtype of another size", "\"F32\"", "\"F64\"", MB_CORRUPT,
	 "tensor \"a\" has another size than its shape and dtype say|It has 16 bytes; they call for 32."},
	/* shape */
	{"shape a number", "[2,2]", "4", MB_CORRUPT, "the shape of tensor \"a\" is not a list"},
	{"shape null", "[3]", "null", MB_CORRUPT, "the shape of tensor \"b\" is not a list"},
	{"dimension negative", "[2,2]", "[-2,2]", MB_CORRUPT, "a dimension of tensor \"a\" is negative"},
	{"dimensions negative twice", "[2,2]", "[2,-2]", MB_CORRUPT, "a dimension of tensor \"a\" is negative"},
	{"dimension fractional", "[2,2]", "[2.0,2]", MB_CORRUPT, "a dimension of tensor \"a\" is not a whole number"},
	{"dimension with an exponent", "[3]", "[3e0]", MB_CORRUPT, "a dimension of tensor \"b\" is not a whole number"},
	{"dimension a string", "[2,2]", "[\"2\",2]", MB_CORRUPT, "a dimension of tensor \"a\" is not a number"},
	{"dimension with a leading zero", "[3]", "[03]", MB_CORRUPT, "a dimension of tensor \"b\" begins with 0"},
	{"dimension of 2^63", "[2,2]", "[9223372036854775808,2]", MB_CORRUPT, "a dimension of tensor \"a\" is larger than"},
	{"dimension of 2^64 + 2", "[2,2]", "[2,18446744073709551618]", MB_CORRUPT, "a dimension of tensor \"a\" is larger"},
	{"product overflows to the right size", "[2,2]", "[4611686018427387905,4]", MB_CORRUPT,
	 "tensor \"a\" has a shape whose size overflows"},
	{"bytes overflow", "[3]", "[4611686018427387907]", MB_CORRUPT, "tensor \"b\" has a shape whose size overflows"},
	{"nine dimensions", "[2,2]", "[2,2,1,1,1,1,1,1,1]", MB_LIMIT, "tensor \"a\" has too many dimensions"},
	{"shape without end", VALID, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2", MB_CORRUPT,
	 "the header ends within a shape"},
	{"shape with a hole", "[2,2]", "[2,,2]", MB_CORRUPT, "a dimension of tensor \"a\" is not a number"},
	{"shape closed by a brace", "[3]", "[3}", MB_CORRUPT, "\",\" or \"]\" in a shape"},
	{"shape too small", "[2,2]", "[2,1]", MB_CORRUPT, "It has 16 bytes; they call for 8."},
	/* offsets */
	{"offsets an object", "[0,16]", "{}", MB_CORRUPT, "the data_offsets of tensor \"a\" are not a list"},
	{"no offset", "[0,16]", "[]", MB_CORRUPT, "the data_offsets of tensor \"a\" are not two"},
	{"one offset", "[22,23]", "[22]", MB_CORRUPT, "the data_offsets of tensor \"s\" are not two"},
	{"three offsets", "[16,22]", "[16,22,22]", MB_CORRUPT, "the data_offsets of tensor \"b\" are not two"},
	{"offset negative", "[0,16]", "[-16,0]", MB_CORRUPT, "an offset of tensor \"a\" is negative"},
	{"offset fractional", "[0,16]", "[0.5,16.5]", MB_CORRUPT, "an offset of tensor \"a\" is not a whole number"},
	{"offset of 2^64", "[0,16]", "[0,18446744073709551616]", MB_CORRUPT,
	 "an offset of tensor \"a\" is larger than 2^63"},
	{"offset a string", "[16,22]", "[\"16\",22]", MB_CORRUPT, "an offset of tensor \"b\" is not a number"},
	{"offsets reversed", "[0,16]", "[16,0]", MB_CORRUPT, "tensor \"a\" ends before it begins"},
	{"offset beyond the data", "[22,23]", "[23,24]", MB_CORRUPT,
	 "tensor \"s\" reaches beyond the end of the file|It ends at byte 24 of the data, which has 23."},
	{"offset far beyond", "[22,23]", "[9223372036854775806,9223372036854775807]", MB_CORRUPT,
	 "It ends at byte 9223372036854775807 of the data"},
	{"offsets without end", VALID, "{\"a\":{\"data_offsets\":[0,16", MB_CORRUPT, "the header ends within data_offsets"},
	/* the data */
	{"tensors overlap", "[16,22]", "[15,21]", MB_CORRUPT,
	 "tensor \"b\" overlaps another|It begins at byte 15 of the data, but tensor \"a\" ends at byte 16."},
	{"two tensors in one place", "\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[22,23]",
	 "\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]", MB_CORRUPT, "tensor \"s\" overlaps another"},
	{"an empty tensor inside another", "[22,22]", "[20,20]", MB_CORRUPT, "tensor \"e\" overlaps another"},
	{"a hole at the start", "[0,16]", "[1,17]", MB_CORRUPT,
	 "there is a hole before tensor \"a\"|Bytes 0 to 0 of the data belong to no tensor."},
	{"a hole in the middle", "[22,23]", "[23,24]", MB_CORRUPT, "there is a hole before tensor \"s\"", 0, 1},
	{"data behind the last tensor", "pt", "np", MB_CORRUPT,
	 "there is data behind the last tensor|The tensors end at byte 23 of the data, which has 24.", 0, 1},
	{"data missing at the end", "pt", "tf", MB_CORRUPT, "tensor \"s\" reaches beyond the end of the file", 0, -1},
	{"data without a tensor", VALID, "{}", MB_CORRUPT, "The tensors end at byte 0 of the data, which has 23."},
};
#pragma GCC diagnostic pop

/* Both texts of an error in one, as the tables state them. */
static void
join(char *out, size_t size, const mb_error *err)
{
	snprintf(out, size, "%s|%s", err->message, err->detail);
}

static void
expect_refused(const char *name, const file *f, mb_status status, const char *expected, char *said, size_t said_size)
{
	mb_safetensors *opened = (mb_safetensors *) &opened;
	mb_error err;
	mb_status got;

	memset(&err, 'x', sizeof(err));
	got = mb_safetensors_open(&opened, f->bytes, f->size, &err);
	if (got == MB_OK)
		fail_msg("%s: the file was accepted", name);
	join(said, said_size, &err);
	assert_null(opened);
	if (got != status || err.status != status || strstr(said, expected) == NULL)
		fail_msg("%s: status %d, \"%s\"; expected status %d, \"%s\"", name, got, said, status, expected);
}

static void
hostile_headers_are_refused(void **state)
{
	size_t n = sizeof(headers) / sizeof(headers[0]);
	char(*said)[900] = calloc(n, sizeof(*said));

	(void) state;
	for (size_t i = 0; i < n; i++)
	{
		const hostile *h = &headers[i];
		file f = mutated(h->from, h->to, h->to_bytes != 0 ? h->to_bytes : strlen(h->to), h->more_data);

		expect_refused(h->name, &f, h->status, h->expected, said[i], sizeof(said[i]));
		free(f.bytes);
	}
	print_message("%zu hostile headers\n", n);
	free(said);
}

static void
hostile_sizes_are_refused(void **state)
{
	static const struct
	{
		const char *name;
		uint64_t claimed;
		const char *expected;
	} sizes[] = {
		{"no header", 0, "there should be \"{\" at the header's start"},
		{"header of one byte", 1, "ends where there should be a double quote before a tensor's name"},
		{"header over the end by 1", strlen(VALID) + VALID_DATA + 1, "the safetensors file ends within its header"},
		{"header of the largest size", MB_SAFETENSORS_MAX_HEADER, "the safetensors file ends within its header"},
		{"header over the limit", MB_SAFETENSORS_MAX_HEADER + 1, "the file is not a safetensors file"},
		{"header of 2^64 - 1", UINT64_MAX, "the file is not a safetensors file"},
		{"header of 2^64 - 8, which overflows to 0", UINT64_MAX - 7, "the file is not a safetensors file"},
		{"header takes the data too", strlen(VALID) + VALID_DATA, "It ends at byte 16 of the data, which has 0."},
		{"header without its last byte", strlen(VALID) - 1, "the header ends within the header"},
	};
	char said[900];

	(void) state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		file f = make_file(VALID, strlen(VALID), sizes[i].claimed, VALID_DATA);

		expect_refused(sizes[i].name, &f, MB_CORRUPT, sizes[i].expected, said, sizeof(said));
		free(f.bytes);
	}
	for (size_t size = 0; size < 8; size++)
	{
		file f = {malloc(size + 1), size};

		memset(f.bytes, 0, size + 1);
		expect_refused("a few bytes", &f, MB_CORRUPT, "the file is too short to be a safetensors file", said,
					   sizeof(said));
		free(f.bytes);
	}
}

static void
every_truncation_is_refused(void **state)
{
	file whole = make_file(VALID, strlen(VALID), strlen(VALID), VALID_DATA);

	(void) state;
	for (size_t size = 0; size < whole.size; size++)
	{
		unsigned char *cut = malloc(size + (size == 0));
		mb_safetensors *opened;
		mb_error err;

		memcpy(cut, whole.bytes, size);
		if (mb_safetensors_open(&opened, cut, size, &err) != MB_CORRUPT)
			fail_msg("cut to %zu of %zu bytes: not MB_CORRUPT", size, whole.size);
		free(cut);
	}
	free(whole.bytes);
}

/* Whatever the bytes, the reader ends, and says something if it refuses. */
static void
random_damage_is_survived(void **state)
{
	file whole = make_file(VALID, strlen(VALID), strlen(VALID), VALID_DATA);
	int rounds = getenv("MOVIEBERT_SLOW_MACHINE") != NULL ? 2000 : 100000, accepted = 0;
	uint64_t random = 1;

	(void) state;
	for (int round = 0; round < rounds; round++)
	{
		unsigned char *damaged = malloc(whole.size);
		mb_safetensors *opened;
		mb_error err;
		int n;

		memcpy(damaged, whole.bytes, whole.size);
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		n = 1 + (int) (random >> 60) % 4;
		for (int i = 0; i < n; i++)
		{
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			damaged[(random >> 33) % whole.size] = (unsigned char) (random >> 24);
		}
		if (mb_safetensors_open(&opened, damaged, whole.size, &err) == MB_OK)
		{
			accepted++;
			for (size_t i = 0; i < mb_safetensors_count(opened); i++)
			{
				const mb_tensor *t = mb_safetensors_at(opened, i);

				assert_ptr_equal(mb_safetensors_find(opened, t->name), t);
				assert_true((const unsigned char *) t->data >= damaged &&
							(const unsigned char *) t->data + t->bytes <= damaged + whole.size);
			}
			mb_safetensors_close(opened);
		}
		else
			assert_true(err.message[0] != '\0' && err.status != MB_OK);
		free(damaged);
	}
	print_message("%d damaged files, %d still valid\n", rounds, accepted);
	free(whole.bytes);
}

/* What a message quotes of a file never leaves it ill-formed or on two lines. */
static void
messages_are_printable(void **state)
{
	char header[2048], name[1200];
	mb_safetensors *opened;
	mb_error err;
	file f;

	(void) state;
	for (size_t i = 0; i < 300; i++)
		memcpy(name + 4 * i, "\xf0\x9f\x8e\xac", 4); /* cut somewhere within a character */
	name[1] = '\0';
	snprintf(header, sizeof(header), "{\"x\\n\\u0007\xf0\x9f\x8e\xac%.1100s\":{\"dtype\":\"F99\"}}", name + 4);
	f = make_file(header, strlen(header), strlen(header), 0);
	assert_int_equal(mb_safetensors_open(&opened, f.bytes, f.size, &err), MB_UNSUPPORTED);
	for (const char *c = err.message; *c != '\0'; c++)
		assert_true((unsigned char) *c >= 0x20);
	assert_non_null(strstr(err.message, "tensor \"x??\xf0\x9f\x8e\xac"));
	/* 100 bytes: x, two characters, 24 clappers, and one byte of the 25th. */
	assert_non_null(strstr(err.message, "\xf0\x9f\x8e\xac?\" has an unknown dtype"));
	free(f.bytes);
}

/* ---- valid files ----------------------------------------------------------------------------------------------------
 */

static void
a_valid_file_is_read(void **state)
{
	file f = make_file(VALID, strlen(VALID), strlen(VALID), VALID_DATA);
	const unsigned char *data = f.bytes + 8 + strlen(VALID);
	mb_safetensors *opened;
	const mb_tensor *t;
	mb_error err;

	(void) state;
	assert_int_equal(mb_safetensors_open(&opened, f.bytes, f.size, &err), MB_OK);
	assert_int_equal(mb_safetensors_count(opened), 4);
	t = mb_safetensors_find(opened, "a");
	assert_non_null(t);
	assert_ptr_equal(t, mb_safetensors_at(opened, 0));
	assert_int_equal(t->dtype, MB_F32);
	assert_int_equal(t->n_dims, 2);
	assert_int_equal(t->shape[0], 2);
	assert_int_equal(t->shape[1], 2);
	assert_int_equal(t->bytes, 16);
	assert_int_equal(mb_tensor_elements(t), 4);
	assert_ptr_equal(t->data, data);
	t = mb_safetensors_find(opened, "e");
	assert_int_equal(mb_tensor_elements(t), 0);
	assert_ptr_equal(t, mb_safetensors_at(opened, 2));
	t = mb_safetensors_find(opened, "s");
	assert_int_equal(t->n_dims, 0);
	assert_int_equal(mb_tensor_elements(t), 1);
	assert_ptr_equal(t->data, data + 22);
	assert_null(mb_safetensors_find(opened, "c"));
	assert_null(mb_safetensors_find(opened, ""));
	assert_string_equal(mb_safetensors_metadata(opened, "format"), "pt");
	assert_string_equal(mb_safetensors_metadata(opened, "note"), "caf\xc3\xa9");
	assert_null(mb_safetensors_metadata(opened, "absent"));
	mb_safetensors_close(opened);
	mb_safetensors_close(NULL);
	free(f.bytes);
}

static void
unusual_files_are_read(void **state)
{
	static const struct
	{
		const char *header;
		size_t data_bytes, tensors;
	} files[] = {
		{"{}", 0, 0},
		{"{}      ", 0, 0},
		{"{ }\t\r\n", 0, 0},
		{"{\"__metadata__\":{}}", 0, 0},
		{"{\"x\":{\"shape\":[],\"data_offsets\":[0,8],\"dtype\":\"I64\"}}", 8, 1},
		{"{ \"x\" : { \"dtype\" : \"BOOL\" , \"shape\" : [ 1 , 2 ] , \"data_offsets\" : [ 0 , 2 ] } } ", 2, 1},
		{"{\"\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, 1},
		{"{\"x\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775807],\"data_offsets\":[0,0]}}", 0, 1},
		{"{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
		 "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
		 2, 2},
		{"{\"x\":{\"d\\u0074ype\":\"\\u00468_E5M2\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, 1},
		{"{\"\\ud83c\\udfac\\\"\\\\\\/\\b\\f\\n\\r\\t\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2,
		 1},
	};
	mb_safetensors *opened;
	mb_error err;

	(void) state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
	{
		file f = make_file(files[i].header, strlen(files[i].header), strlen(files[i].header), files[i].data_bytes);

		if (mb_safetensors_open(&opened, f.bytes, f.size, &err) != MB_OK)
			fail_msg("%s: %s %s", files[i].header, err.message, err.detail);
		assert_int_equal(mb_safetensors_count(opened), files[i].tensors);
		if (i == 10)
			assert_non_null(mb_safetensors_find(opened, "\xf0\x9f\x8e\xac\"\\/\b\f\n\r\t"));
		mb_safetensors_close(opened);
		free(f.bytes);
	}
}

/* ---- conversion -----------------------------------------------------------------------------------------------------
 */

static uint32_t
bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* All 65,536 halves against their definition in double; read from an odd address. */
static void
halves_are_exact(void **state)
{
	unsigned char *unaligned = malloc(2 * 65536 + 1);
	float *out = malloc(65536 * sizeof(float));
	mb_tensor t = {"h", MB_F16, 1, {65536}, unaligned + 1, 2 * 65536};

	(void) state;
	for (unsigned i = 0; i < 65536; i++)
	{
		unaligned[1 + 2 * i] = (unsigned char) i;
		unaligned[2 + 2 * i] = (unsigned char) (i >> 8);
	}
	assert_true(mb_tensor_to_f32(&t, 0, 65536, out));
	for (unsigned i = 0; i < 65536; i++)
	{
		int exponent = (int) (i >> 10 & 31), fraction = (int) (i & 1023);
		double expected = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);

		if (exponent == 31)
			assert_int_equal(bits_of(out[i]), (i & 0x8000u) << 16 | 0x7f800000u | (unsigned) fraction << 13);
		else if ((double) out[i] != (i & 0x8000 ? -expected : expected) || (signbit(out[i]) != 0) != (i >= 0x8000))
			fail_msg("half %04x: %.17g, expected %.17g", i, (double) out[i], expected);
	}
	free(out);
	free(unaligned);
}

static void
bfloats_and_floats_are_exact(void **state)
{
	unsigned char *unaligned = calloc(2 * 65536 + 3, 1);
	float *out = malloc(65536 * sizeof(float));
	mb_tensor t = {"b", MB_BF16, 2, {256, 256}, unaligned + 3, 2 * 65536};
	const uint32_t singles[] = {0,          0x80000000, 1,          0x007fffff, 0x00800000, 0x7f7fffff,
								0x7f800000, 0xff800000, 0x7fc00001, 0x7f800001, 0x3f800001, 0xc2f6e979};

	(void) state;
	for (unsigned i = 0; i < 65536; i++)
	{
		unaligned[3 + 2 * i] = (unsigned char) i;
		unaligned[4 + 2 * i] = (unsigned char) (i >> 8);
	}
	assert_true(mb_tensor_to_f32(&t, 0, 65536, out));
	for (unsigned i = 0; i < 65536; i++)
		assert_int_equal(bits_of(out[i]), i << 16);
	assert_true(mb_tensor_to_f32(&t, 65535, 1, out));
	assert_int_equal(bits_of(out[0]), 0xffff0000u);

	memcpy(unaligned + 1, singles, sizeof(singles));
	t = (mb_tensor){"f", MB_F32, 1, {12}, unaligned + 1, sizeof(singles)};
	assert_true(mb_tensor_to_f32(&t, 0, 12, out));
	assert_memory_equal(out, singles, sizeof(singles));
	assert_true(mb_tensor_to_f32(&t, 3, 2, out));
	assert_memory_equal(out, singles + 3, 8);

	assert_true(mb_tensor_to_f32(&t, 12, 0, out));
	assert_false(mb_tensor_to_f32(&t, 12, 1, out));
	assert_false(mb_tensor_to_f32(&t, 0, 13, out));
	assert_false(mb_tensor_to_f32(&t, 2, SIZE_MAX, out));
	for (int dtype = 0; dtype <= MB_U64; dtype++)
	{
		mb_tensor other = {"o", (mb_dtype) dtype, 1, {1}, unaligned, mb_dtype_size((mb_dtype) dtype)};
		bool is_weight = dtype == MB_F32 || dtype == MB_F16 || dtype == MB_BF16;

		assert_int_equal(mb_tensor_to_f32(&other, 0, 1, out), is_weight);
	}
	free(out);
	free(unaligned);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_valid_file_is_read),
		cmocka_unit_test(unusual_files_are_read),
		cmocka_unit_test(hostile_headers_are_refused),
		cmocka_unit_test(hostile_sizes_are_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(random_damage_is_survived),
		cmocka_unit_test(messages_are_printable),
		cmocka_unit_test(halves_are_exact),
		cmocka_unit_test(bfloats_and_floats_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
