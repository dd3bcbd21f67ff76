/* checkpoint_copy.c - copies of the golden checkpoints with something changed. */
#include "test/unit/checkpoint_copy.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

char *
new_folder(void)
{
	const char *base = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
	char *path = malloc(strlen(base) + 32);

	assert_non_null(path);
	sprintf(path, "%s/moviebert-test.XXXXXX", base);
	assert_non_null(mkdtemp(path));
	return path;
}

const char *
in_folder(const char *folder, const char *name)
{
	static char buffers[8][600];
	static unsigned next;
	char *buffer = buffers[next++ % 8];

	assert_true(snprintf(buffer, sizeof(buffers[0]), "%s/%s", folder, name) < (int) sizeof(buffers[0]));
	return buffer;
}

/* Calls visit(path, arg) for each entry, files as well as folders. */
static void
each_entry(const char *folder, void (*visit)(const char *name, const char *folder, void *arg), void *arg)
{
	DIR *entries = opendir(folder);
	const struct dirent *entry;

	if (entries == NULL)
		fail_msg("no folder \"%s\" (tests run from the repository root)", folder);
	while ((entry = readdir(entries)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			visit(entry->d_name, folder, arg);
	closedir(entries);
}

static bool
is_folder(const char *path)
{
	struct stat about;

	return lstat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static void
remove_entry(const char *name, const char *folder, void *arg)
{
	char path[600];

	(void) arg;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (is_folder(path))
		each_entry(path, remove_entry, NULL);
	assert_int_equal(remove(path), 0);
}

void
remove_folder(char *path)
{
	each_entry(path, remove_entry, NULL);
	assert_int_equal(rmdir(path), 0);
	free(path);
}

static void
copy_entry(const char *name, const char *folder, void *arg)
{
	char from[600], to[600];
	char *data;
	size_t size;

	snprintf(from, sizeof(from), "%s/%s", folder, name);
	snprintf(to, sizeof(to), "%s/%s", (const char *) arg, name);
	if (is_folder(from))
	{
		assert_int_equal(mkdir(to, 0777), 0);
		each_entry(from, copy_entry, to);
		return;
	}
	data = read_whole(from, &size);
	write_whole(to, data, size);
	free(data);
}

void
copy_checkpoint(const char *name, const char *to)
{
	char from[600];

	snprintf(from, sizeof(from), "test/golden/checkpoints/%s", name);
	assert_int_equal(mkdir(to, 0777), 0);
	each_entry(from, copy_entry, (void *) (uintptr_t) to);
}

char *
read_whole(const char *path, size_t *size)
{
	FILE *in = fopen(path, "rb");
	char *data;
	long end;

	if (in == NULL)
		fail_msg("could not open \"%s\"", path);
	assert_int_equal(fseek(in, 0, SEEK_END), 0);
	end = ftell(in);
	rewind(in);
	data = malloc((size_t) end + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, (size_t) end, in), end);
	fclose(in);
	data[end] = '\0';
	*size = (size_t) end;
	return data;
}

void
write_whole(const char *path, const void *data, size_t size)
{
	FILE *out = fopen(path, "wb");

	if (out == NULL)
		fail_msg("could not create \"%s\"", path);
	assert_int_equal(fwrite(data, 1, size, out), size);
	assert_int_equal(fclose(out), 0);
}

bool
same_file(const char *a, const char *b)
{
	size_t a_size, b_size;
	char *a_data = read_whole(a, &a_size), *b_data = read_whole(b, &b_size);
	bool same = a_size == b_size && memcmp(a_data, b_data, a_size) == 0;

	free(a_data);
	free(b_data);
	return same;
}

static void
count_entry(const char *name, const char *folder, void *arg)
{
	(void) name;
	(void) folder;
	++*(size_t *) arg;
}

size_t
count_entries(const char *folder)
{
	size_t n = 0;

	each_entry(folder, count_entry, &n);
	return n;
}

/* ---- edits ----------------------------------------------------------------------------------------------------------
 */

static json_t *
child(json_t *parent, const char *key)
{
	return json_is_array(parent) ? json_array_get(parent, (size_t) atoi(key)) : json_object_get(parent, key);
}

/* The renamed member stays where it was, so that a safetensors header keeps its order. */
static void
rename_member(json_t *parent, const char *from, const char *to)
{
	json_t *copy = json_copy(parent);
	const char *key;
	json_t *value;

	json_object_clear(parent);
	json_object_foreach(copy, key, value) json_object_set(parent, strcmp(key, from) == 0 ? to : key, value);
	json_decref(copy);
}

static void
edit_json(json_t *top, const edit *change)
{
	char path[200];
	char *key = path, *slash;
	json_t *at = top, *value;

	snprintf(path, sizeof(path), "%s", change->member);
	while ((slash = strchr(key, '/')) != NULL)
	{
		*slash = '\0';
		at = child(at, key);
		if (at == NULL)
			fail_msg("%s has no member \"%s\" of \"%s\"", change->file, key, change->member);
		key = slash + 1;
	}
	if (change->value == NULL)
	{
		assert_int_equal(json_is_array(at) ? json_array_remove(at, (size_t) atoi(key)) : json_object_del(at, key), 0);
		return;
	}
	if (change->value[0] == '>')
	{
		if (child(at, key) == NULL)
			fail_msg("%s has no member \"%s\"", change->file, change->member);
		rename_member(at, key, change->value + 2);
		return;
	}
	value = json_loads(change->value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	assert_non_null(value);
	if (json_is_array(at) && (size_t) atoi(key) == json_array_size(at))
		json_array_append_new(at, value);
	else if (json_is_array(at))
		json_array_set_new(at, (size_t) atoi(key), value);
	else
		json_object_set_new(at, key, value);
}

static void
edit_safetensors(const char *path, const edit *change)
{
	size_t size, header_size = 0;
	char *data = read_whole(path, &size), *text, *whole;
	json_t *header;
	const char *flip = strstr(change->member, "/!");

	for (int i = 7; i >= 0; i--)
		header_size = header_size << 8 | (unsigned char) data[i];
	header = json_loadb(data + 8, header_size, 0, NULL);
	assert_non_null(header);
	if (flip != NULL)
	{
		char name[100];
		json_t *offsets;

		snprintf(name, sizeof(name), "%.*s", (int) (flip - change->member), change->member);
		offsets = json_object_get(json_object_get(header, name), "data_offsets");
		assert_non_null(offsets);
		data[8 + header_size + (size_t) json_integer_value(json_array_get(offsets, 0))] ^= 1;
	}
	else
		edit_json(header, change);
	text = json_dumps(header, JSON_COMPACT | JSON_PRESERVE_ORDER);
	whole = malloc(8 + strlen(text) + size);
	for (int i = 0; i < 8; i++)
		whole[i] = (char) (strlen(text) >> 8 * i);
	memcpy(whole + 8, text, strlen(text));
	memcpy(whole + 8 + strlen(text), data + 8 + header_size, size - 8 - header_size);
	write_whole(path, whole, 8 + strlen(text) + size - 8 - header_size);
	free(whole);
	free(text);
	free(data);
	json_decref(header);
}

void
apply_edit(const char *folder, const edit *change)
{
	char path[600];
	size_t length = strlen(change->file);

	snprintf(path, sizeof(path), "%s/%s", folder, change->file);
	if (change->member == NULL)
	{
		if (change->value == NULL)
			assert_int_equal(remove(path), 0);
		else if (change->value[0] == '>')
			assert_int_equal(rename(path, in_folder(folder, change->value + 2)), 0);
		else
			write_whole(path, change->value, strlen(change->value));
	}
	else if (length > 12 && strcmp(change->file + length - 12, ".safetensors") == 0)
		edit_safetensors(path, change);
	else
	{
		json_t *top = json_load_file(path, 0, NULL);

		if (top == NULL) /* model_max_length may be 1e30 */
			top = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
		if (top == NULL)
			fail_msg("\"%s\" is not JSON", path);
		edit_json(top, change);
		assert_int_equal(json_dump_file(top, path, JSON_PRESERVE_ORDER | JSON_INDENT(1) | JSON_REAL_PRECISION(15)), 0);
		json_decref(top);
	}
}

/* ---- importing them ---------------------------------------------------------------------------------------------- */

mb_status
import_changed(const char *checkpoint, const edit *edits, const mb_import_options *options, const char *model_path,
			   mb_error *err)
{
	char *folder = new_folder();
	mb_status status;

	copy_checkpoint(checkpoint, in_folder(folder, "checkpoint"));
	for (size_t i = 0; i < MAX_EDITS && edits != NULL && edits[i].file != NULL; i++)
		apply_edit(in_folder(folder, "checkpoint"), &edits[i]);
	memset(err, 0, sizeof(*err));
	status = mb_import(in_folder(folder, "checkpoint"), model_path, options, err);
	remove_folder(folder);
	return status;
}

bool
error_says(const mb_error *err, const char *expected)
{
	const char *const parts[] = {err->message, err->detail, err->hint};
	const char *bar;

	for (int i = 0; i < 3; i++)
	{
		char part[400];

		bar = strchr(expected, '|');
		snprintf(part, sizeof(part), "%.*s", (int) (bar != NULL ? bar - expected : (long) strlen(expected)), expected);
		if (strstr(parts[i], part) == NULL)
			return false;
		if (bar == NULL)
			return true;
		expected = bar + 1;
	}
	return true;
}
