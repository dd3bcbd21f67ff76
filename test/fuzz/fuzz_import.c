/*
 * fuzz_import.c - a checkpoint folder made of the input, imported; what can be imported is exported and imported again.
 *
 * The input is files, each begun by ff fe and a letter that says which (the table below).  Of a safetensors file it has
 * the header's text and, after ff fd, the data: the header's size is put before them here, since the reader has a
 * target of its own.  The folder is in memory (/dev/shm, else $TMPDIR).
 */
#define _GNU_SOURCE /* memmem */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moviebert/model.h"

static const char *const files[] = {
	"config.json",                       /* a */
	"tokenizer_config.json",             /* b */
	"tokenizer.json",                    /* c */
	"vocab.txt",                         /* d */
	"special_tokens_map.json",           /* e */
	"added_tokens.json",                 /* f */
	"model.safetensors",                 /* g */
	"model.safetensors.index.json",      /* h */
	"one.safetensors",                   /* i */
	"two.safetensors",                   /* j */
	"modules.json",                      /* k */
	"sentence_bert_config.json",         /* l */
	"config_sentence_transformers.json", /* m */
	"1_Pooling/config.json",             /* n */
	"2_Dense/config.json",               /* o */
	"2_Dense/model.safetensors",         /* p */
	"moviebert.json",                    /* q */
	"moviebert_head/config.json",        /* r */
	"moviebert_head/model.safetensors",  /* s */
};
#define N_FILES (sizeof(files) / sizeof(files[0]))

static const uint8_t begins_file[2] = {0xff, 0xfe}, begins_data[2] = {0xff, 0xfd};

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* ---- the input
 * ------------------------------------------------------------------------------------------------------- */

typedef struct part
{
	size_t file;  /* index in files */
	size_t start; /* of the content */
	size_t size;
} part;

/* Finds up to max parts; what stands before the first one belongs to none. */
static size_t
split(const uint8_t *data, size_t size, part *parts, size_t max)
{
	size_t n = 0, at = 0;

	while (n < max && at + 3 <= size)
	{
		const uint8_t *next = memmem(data + at, size - at, begins_file, 2);
		const uint8_t *end;

		if (next == NULL || (size_t) (next - data) + 3 > size)
			break;
		at = (size_t) (next - data) + 3;
		end = memmem(data + at, size - at, begins_file, 2);
		parts[n].file = (size_t) (next[2] - 'a') % N_FILES;
		parts[n].start = at;
		parts[n].size = end != NULL ? (size_t) (end - data) - at : size - at;
		at += parts[n].size;
		n++;
	}
	return n;
}

/* Mutates one file only, and of a safetensors file mostly the header, so that the others stay what they are. */
size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	part parts[2 * N_FILES];
	size_t n = split(data, size, parts, 2 * N_FILES), rest, mutated;
	const part *chosen;
	uint8_t *tail;
	const uint8_t *values;

	if (n == 0 || size > max_size || seed % 16 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	chosen = &parts[seed / 16 % n];
	mutated = chosen->size;
	values = memmem(data + chosen->start, chosen->size, begins_data, 2);
	if (values != NULL && seed % 16 != 1)
		mutated = (size_t) (values - data) - chosen->start;
	rest = size - chosen->start - mutated;
	tail = malloc(rest + 1);
	if (tail == NULL)
		return size;
	memcpy(tail, data + chosen->start + mutated, rest);
	mutated = LLVMFuzzerMutate(data + chosen->start, mutated, max_size - chosen->start - rest);
	memcpy(data + chosen->start + mutated, tail, rest);
	free(tail);
	return chosen->start + mutated + rest;
}

/* ---- the folder
 * ------------------------------------------------------------------------------------------------------ */

static char folder[64];

static const char *
inside(const char *name)
{
	static char paths[4][200];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void
remove_checkpoint(const char *name)
{
	static const char *const made[] = {"README.md",
									   "2_Normalize/config.json",
									   "3_Normalize/config.json",
									   "1_Pooling",
									   "2_Dense",
									   "2_Normalize",
									   "3_Normalize",
									   "moviebert_head",
									   "."};
	char path[120];

	for (size_t i = 0; i < N_FILES; i++)
	{
		snprintf(path, sizeof(path), "%s/%s", name, files[i]);
		remove(inside(path));
	}
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
	{
		snprintf(path, sizeof(path), "%s/%s", name, made[i]);
		remove(inside(path));
	}
	rmdir(inside(name));
}

static void
remove_all(void)
{
	remove_checkpoint("checkpoint");
	remove_checkpoint("exported");
	remove(inside("model"));
	remove(inside("again"));
	rmdir(folder);
}

static void
make_folder(void)
{
	const char *tmp = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";

	snprintf(folder, sizeof(folder), "%.40s/fuzz_import.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : tmp);
	if (mkdtemp(folder) == NULL)
		abort();
	atexit(remove_all);
}

static void
write_part(const uint8_t *data, const part *p)
{
	char path[120];
	const uint8_t *content = data + p->start, *values = memmem(content, p->size, begins_data, 2);
	size_t text = values != NULL ? (size_t) (values - content) : p->size;
	size_t length = strlen(files[p->file]);
	char *slash;
	FILE *out;

	snprintf(path, sizeof(path), "checkpoint/%s", files[p->file]);
	slash = strchr(path + sizeof("checkpoint"), '/');
	if (slash != NULL)
	{
		*slash = '\0';
		mkdir(inside(path), 0700);
		*slash = '/';
	}
	out = fopen(inside(path), "wb");
	if (out == NULL)
		abort();
	if (length > 12 && strcmp(files[p->file] + length - 12, ".safetensors") == 0)
	{
		for (int i = 0; i < 8; i++)
			fputc((int) ((uint64_t) text >> 8 * i & 0xff), out);
		fwrite(content, 1, text, out);
		if (values != NULL)
			fwrite(values + 2, 1, p->size - text - 2, out);
	}
	else
		fwrite(content, 1, p->size, out);
	fclose(out);
}

/* ---- the target
 * ------------------------------------------------------------------------------------------------------ */

static void
complain(const char *what, const mb_error *err)
{
	fprintf(stderr, "%s: %s|%s|%s\n", what, err->message, err->detail, err->hint);
	abort();
}

/* What was imported can be exported, and imported again with the same weights. */
static void
there_and_back(void)
{
	mb_model *model, *again;
	mb_error err;

	if (mb_model_open_file(&model, inside("model"), &err) != MB_OK)
		complain("an imported model cannot be opened", &err);
	if (mb_export(model, inside("exported"), model->pipeline.num_labels > 0, &err) != MB_OK)
		complain("an imported model cannot be exported", &err);
	if (mb_import(inside("exported"), inside("again"), NULL, &err) != MB_OK)
		complain("an export cannot be imported", &err);
	if (mb_model_open_file(&again, inside("again"), &err) != MB_OK)
		complain("an export's import cannot be opened", &err);
	if (again->parameters != model->parameters || strcmp(again->vocab, model->vocab) != 0 ||
		strcmp(again->pooling_json, model->pooling_json) != 0 || strcmp(again->kind, model->kind) != 0)
		complain("an export came back as another model", &err);
	mb_model_close(again);
	mb_model_close(model);
	remove_checkpoint("exported");
	remove(inside("again"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	part parts[2 * N_FILES];
	size_t n = split(data, size, parts, 2 * N_FILES);
	mb_error err;
	mb_status status;

	if (folder[0] == '\0')
		make_folder();
	mkdir(inside("checkpoint"), 0700);
	for (size_t i = 0; i < n; i++)
		write_part(data, &parts[i]);
	err.message[0] = '\0';
	status = mb_import(inside("checkpoint"), inside("model"), NULL, &err);
	if (status == MB_OK)
		there_and_back();
	else if (err.status != status || err.message[0] == '\0')
		abort();
	else if (access(inside("model"), F_OK) == 0 || access(inside("model.new"), F_OK) == 0 ||
			 access(inside("model.new.tmp"), F_OK) == 0)
		complain("a refused import left a file", &err);
	remove(inside("model"));
	remove_checkpoint("checkpoint");
	return 0;
}
