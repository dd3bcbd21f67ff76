/* test_safetensors_write.c - the writer: what it writes is read, and a disk that fails leaves nothing behind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "moviebert/safetensors.h"
#include "test/unit/failing_disk.h"

/* A whole file. */
typedef struct file
{
	unsigned char *bytes;
	size_t size;
} file;

static char folder[] = "/tmp/moviebert-test-XXXXXX";
static char path[64], temporary[70];

static int
make_folder(void **state)
{
	(void) state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/x.safetensors", folder);
	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	return 0;
}

static int
remove_folder(void **state)
{
	(void) state;
	unlink(path);
	return rmdir(folder); /* fails if anything was left behind */
}

static const float some_floats[6] = {1, 2, 3, 4, 5, 6};
static const mb_tensor some_tensors[] = {
	{"byte", MB_U8, 0, {0}, "\x7f", 1},      {"z", MB_F32, 2, {3, 2}, some_floats, 24},
	{"half", MB_F16, 1, {1}, "\x00\x3c", 2}, {"a \"quoted\" \xf0\x9f\x8e\xac", MB_F32, 1, {1}, some_floats, 4},
	{"nothing", MB_I64, 2, {0, 5}, "", 0},
};
static const mb_metadata some_metadata[] = {
	{"format", "pt"}, {"text", "line\nline\t\x01\x7f \\ \" / \xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac"}, {"", ""}};

static file
read_file(const char *from)
{
	file f = {NULL, 0};
	FILE *in = fopen(from, "rb");

	assert_non_null(in);
	fseek(in, 0, SEEK_END);
	f.size = (size_t) ftell(in);
	rewind(in);
	f.bytes = malloc(f.size + 1);
	assert_int_equal(fread(f.bytes, 1, f.size, in), f.size);
	fclose(in);
	return f;
}

static void
what_is_written_is_read(void **state)
{
	mb_tensor shuffled[5];
	mb_safetensors *opened;
	mb_error err;
	file first, second;
	uint64_t header = 0;

	(void) state;
	assert_int_equal(mb_safetensors_write(path, some_tensors, 5, some_metadata, 3, &err), MB_OK);
	first = read_file(path);
	for (int i = 0; i < 5; i++)
		shuffled[i] = some_tensors[(i * 2 + 3) % 5];
	assert_int_equal(mb_safetensors_write(path, shuffled, 5, some_metadata, 3, &err), MB_OK); /* over the first */
	second = read_file(path);
	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.bytes, second.bytes, first.size);
	assert_int_equal(access(temporary, F_OK), -1);

	for (int i = 7; i >= 0; i--)
		header = header << 8 | first.bytes[i];
	assert_int_equal(header % 8, 0);
	assert_int_equal(mb_safetensors_open(&opened, first.bytes, first.size, &err), MB_OK);
	assert_int_equal(mb_safetensors_count(opened), 5);
	assert_string_equal(mb_safetensors_at(opened, 0)->name, "nothing");
	assert_string_equal(mb_safetensors_at(opened, 1)->name, some_tensors[3].name);
	for (int i = 0; i < 5; i++)
	{
		const mb_tensor *t = mb_safetensors_find(opened, some_tensors[i].name);

		assert_non_null(t);
		assert_int_equal(t->dtype, some_tensors[i].dtype);
		assert_int_equal(t->n_dims, some_tensors[i].n_dims);
		assert_memory_equal(t->shape, some_tensors[i].shape, (size_t) t->n_dims * sizeof(int64_t));
		assert_int_equal(t->bytes, some_tensors[i].bytes);
		assert_memory_equal(t->data, some_tensors[i].data, t->bytes);
		assert_int_equal(((const unsigned char *) t->data - first.bytes) % (ptrdiff_t) mb_dtype_size(t->dtype), 0);
	}
	for (int i = 0; i < 3; i++)
		assert_string_equal(mb_safetensors_metadata(opened, some_metadata[i].key), some_metadata[i].value);
	mb_safetensors_close(opened);
	free(first.bytes);
	free(second.bytes);

	assert_int_equal(mb_safetensors_write(path, NULL, 0, NULL, 0, &err), MB_OK);
	first = read_file(path);
	assert_int_equal(first.size, 16);
	assert_int_equal(mb_safetensors_open(&opened, first.bytes, first.size, &err), MB_OK);
	assert_int_equal(mb_safetensors_count(opened), 0);
	mb_safetensors_close(opened);
	free(first.bytes);
	unlink(path);
}

static void
wrong_arguments_are_refused(void **state)
{
	const mb_tensor good = some_tensors[1];
	const struct
	{
		mb_tensor tensors[2];
		mb_metadata metadata[2];
		const char *expected;
	} cases[] = {
		{{good, good}, {{"a", ""}, {"b", ""}}, "tensor \"z\" is given twice"},
		{{good, {"__metadata__", MB_U8, 0, {0}, "", 1}}, {{"a", ""}, {"b", ""}}, "a tensor cannot be named"},
		{{good, {"x\xff", MB_U8, 0, {0}, "", 1}},
		 {{"a", ""}, {"b", ""}},
		 "the name of tensor \"x?\" is not valid UTF-8"},
		{{good, {"x", MB_U8, 0, {0}, "", 2}},
		 {{"a", ""}, {"b", ""}},
		 "the size of tensor \"x\" is not that of its shape"},
		{{good, {"x", MB_U8, 1, {-1}, "", 1}}, {{"a", ""}, {"b", ""}}, "the size of tensor \"x\""},
		{{good, {"x", MB_F64, 2, {INT64_MAX, 2}, "", 1}}, {{"a", ""}, {"b", ""}}, "the size of tensor \"x\""},
		{{good, {"x", MB_U8, 9, {1}, "", 1}}, {{"a", ""}, {"b", ""}}, "tensor \"x\" has 9 dimensions"},
		{{good, some_tensors[0]}, {{"a", ""}, {"a", ""}}, "metadata \"a\" is given twice"},
		{{good, some_tensors[0]}, {{"a", ""}, {"b", "\xed\xa0\x80"}}, "metadata \"b\" is not valid UTF-8"},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		mb_error err;

		if (mb_safetensors_write(path, cases[i].tensors, 2, cases[i].metadata, 2, &err) != MB_INVALID_ARGUMENT ||
			strstr(err.message, cases[i].expected) == NULL)
			fail_msg("\"%s\", expected \"%s\"", err.message, cases[i].expected);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(access(temporary, F_OK), -1);
	}
}

/* What was there before is there still, and nothing else. */
static void
expect_untouched(const file *before)
{
	file after = read_file(path);

	assert_int_equal(after.size, before->size);
	assert_memory_equal(after.bytes, before->bytes, before->size);
	free(after.bytes);
	assert_int_equal(access(temporary, F_OK), -1);
}

static void
a_full_disk_leaves_nothing_behind(void **state)
{
	const mb_metadata other[] = {{"format", "np"}, some_metadata[1], some_metadata[2]}; /* of the same size */
	mb_error err;
	file before;

	(void) state;
	assert_int_equal(mb_safetensors_write(path, some_tensors, 5, some_metadata, 3, &err), MB_OK);
	before = read_file(path);
	for (size_t room = 0; room <= before.size; room++)
	{
		mb_status status;

		disk_fills_after(room);
		status = mb_safetensors_write(path, some_tensors, 5, other, 3, &err);
		disk_works();
		if (room == before.size)
		{
			assert_int_equal(status, MB_OK);
			break;
		}
		assert_int_equal(status, MB_IO);
		assert_int_equal(err.status, MB_IO);
		assert_int_equal(err.os_errno, ENOSPC);
		assert_non_null(strstr(err.message, "could not write \"/tmp/"));
		assert_string_equal(err.detail, "The system says: No space left on device.");
		expect_untouched(&before);
	}
	free(before.bytes);
	unlink(path);
}

static void
other_failures_leave_nothing_behind(void **state)
{
	struct rlimit limit, small = {100, 0};
	char long_path[6000], under_file[100];
	mb_error err;
	file before;

	(void) state;
	assert_int_equal(mb_safetensors_write(path, some_tensors, 5, some_metadata, 3, &err), MB_OK);
	before = read_file(path);

	fsync_fails();
	assert_int_equal(mb_safetensors_write(path, some_tensors, 4, NULL, 0, &err), MB_IO);
	assert_int_equal(err.os_errno, EIO);
	assert_non_null(strstr(err.message, "could not fsync"));
	expect_untouched(&before);
	disk_works();

	disk_interrupts();
	assert_int_equal(mb_safetensors_write(path, some_tensors, 5, some_metadata, 3, &err), MB_OK);
	expect_untouched(&before); /* the same bytes, a few at a time */
	disk_works();

	/* The kernel's own refusal: a limit on the size of files. */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small.rlim_max = limit.rlim_max;
	signal_of_file_size_is_ignored();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(mb_safetensors_write(path, some_tensors, 4, NULL, 0, &err), MB_IO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(err.os_errno, EFBIG);
	expect_untouched(&before);

	/* A folder that is not there, a path below a file, a name that is too long, a folder in the file's place. */
	snprintf(under_file, sizeof(under_file), "%s/below", path);
	assert_int_equal(mb_safetensors_write(under_file, some_tensors, 1, NULL, 0, &err), MB_IO);
	assert_int_equal(err.os_errno, ENOTDIR);
	snprintf(under_file, sizeof(under_file), "%s/absent/x", folder);
	assert_int_equal(mb_safetensors_write(under_file, some_tensors, 1, NULL, 0, &err), MB_IO);
	assert_int_equal(err.os_errno, ENOENT);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(mb_safetensors_write(long_path, some_tensors, 1, NULL, 0, &err), MB_IO);
	assert_int_equal(err.os_errno, ENAMETOOLONG);
	expect_untouched(&before);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mb_safetensors_write(path, some_tensors, 1, NULL, 0, &err), MB_IO);
	assert_int_equal(err.os_errno, EISDIR);
	assert_int_equal(access(temporary, F_OK), -1);
	assert_int_equal(rmdir(path), 0);

	/* A link in the temporary file's place is not written through. */
	snprintf(under_file, sizeof(under_file), "%s/victim", folder);
	assert_int_equal(symlink(under_file, temporary), 0);
	assert_int_equal(mb_safetensors_write(path, some_tensors, 5, some_metadata, 3, &err), MB_OK);
	assert_int_equal(access(under_file, F_OK), -1);
	expect_untouched(&before);
	free(before.bytes);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(wrong_arguments_are_refused),
		cmocka_unit_test(a_full_disk_leaves_nothing_behind),
		cmocka_unit_test(other_failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
