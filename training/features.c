/* features.c - distinct texts through mb_embed, and the cache file. */
#include "features.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interrupt.h"
#include "memory.h"
#include "parallel.h"
#include "progress.h"
#include "report.h"

#define CACHE_MAGIC "MBFEAT01"
#define CACHE_HEADER 56
#define BLOCK_TEXTS 16

void
features_fingerprint(const mb_model *model, unsigned char digest[SHA256_BYTES])
{
	static const char *const keys[] = {"moviebert.config", "moviebert.pooling", "moviebert.tokenizer",
									   "moviebert.vocab"};
	sha256 *hash = sha256_start();
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		const char *value = mb_safetensors_metadata(model->tensors, keys[i]);

		if (value != NULL)
			sha256_add(hash, value, strlen(value));
		sha256_add(hash, "", 1);
	}
	for (i = 0; i < mb_safetensors_count(model->tensors); i++)
	{
		const mb_tensor *tensor = mb_safetensors_at(model->tensors, i);

		if (strncmp(tensor->name, "classifier.", 11) == 0 || strncmp(tensor->name, "cls.", 4) == 0)
			continue;
		sha256_add(hash, tensor->name, strlen(tensor->name) + 1);
		sha256_add(hash, tensor->shape, sizeof(tensor->shape[0]) * (size_t) tensor->n_dims);
		sha256_add(hash, tensor->data, tensor->bytes);
	}
	sha256_add(hash, mb_kernel_name(), strlen(mb_kernel_name()));
	sha256_add(hash, MB_IMAGE_LAYOUT, strlen(MB_IMAGE_LAYOUT));
	sha256_finish(hash, digest);
}

/* Distinct texts by hash, with their vectors. */
typedef struct vector_table
{
	size_t width; /* H */
	size_t n;
	size_t capacity;
	unsigned char *hashes; /* [n,16] */
	float *vectors;        /* [n,H] */
	bool *known;           /* [n] the vector is there */
	size_t *slots;         /* [n_slots] index + 1, 0: free */
	size_t n_slots;
} vector_table;

static size_t
first_slot(const vector_table *table, const unsigned char *hash)
{
	uint64_t bits;

	memcpy(&bits, hash, sizeof(bits));
	return (size_t) bits & (table->n_slots - 1);
}

static void
table_init(vector_table *table, size_t width, size_t capacity)
{
	memset(table, 0, sizeof(*table));
	table->width = width;
	table->capacity = capacity;
	table->hashes = allocate(capacity, TEXT_HASH_BYTES);
	table->vectors = allocate(capacity, width * sizeof(float));
	table->known = allocate(capacity, sizeof(bool));
	for (table->n_slots = 64; table->n_slots < capacity * 2; table->n_slots *= 2)
		;
	table->slots = allocate(table->n_slots, sizeof(size_t));
}

static void
table_release(vector_table *table)
{
	free(table->hashes);
	free(table->vectors);
	free(table->known);
	free(table->slots);
}

/* The index of a hash, added if new; the capacity was given beforehand. */
static size_t
table_add(vector_table *table, const unsigned char *hash)
{
	size_t slot = first_slot(table, hash);

	while (table->slots[slot] != 0)
	{
		size_t i = table->slots[slot] - 1;

		if (memcmp(table->hashes + i * TEXT_HASH_BYTES, hash, TEXT_HASH_BYTES) == 0)
			return i;
		slot = (slot + 1) & (table->n_slots - 1);
	}
	memcpy(table->hashes + table->n * TEXT_HASH_BYTES, hash, TEXT_HASH_BYTES);
	table->slots[slot] = ++table->n;
	return table->n - 1;
}

typedef struct cache_file
{
	const unsigned char *data; /* NULL: no usable cache */
	size_t size;
	uint64_t n;
} cache_file;

static mb_status
cache_open(cache_file *cache, const char *path, const unsigned char *fingerprint, size_t width, mb_error *err)
{
	const void *data;
	uint32_t stored_width;
	uint64_t n;
	mb_status status;

	memset(cache, 0, sizeof(*cache));
	if (path == NULL || access(path, F_OK) != 0)
		return MB_OK;
	status = map_file(path, &data, &cache->size, err);
	if (status != MB_OK)
		return status;
	if (cache->size < CACHE_HEADER || memcmp(data, CACHE_MAGIC, 8) != 0)
	{
		munmap((void *) (uintptr_t) data, cache->size);
		mb_fail(err, MB_CORRUPT, "\"%s\" is not a cache of vectors", path);
		mb_hint(err, "Give --cache the name of a new file; this one is left as it is.");
		return MB_CORRUPT;
	}
	memcpy(&stored_width, (const char *) data + 40, sizeof(stored_width));
	memcpy(&n, (const char *) data + 48, sizeof(n));
	if (memcmp((const char *) data + 8, fingerprint, SHA256_BYTES) != 0 || stored_width != width)
	{
		report_warning("the cache \"%s\" is of another encoder or CPU, and will be written anew", path);
		munmap((void *) (uintptr_t) data, cache->size);
		return MB_OK;
	}
	if (n > cache->size || n * (TEXT_HASH_BYTES + width * sizeof(float)) != cache->size - CACHE_HEADER)
	{
		munmap((void *) (uintptr_t) data, cache->size);
		mb_fail(err, MB_CORRUPT, "the cache \"%s\" is damaged", path);
		mb_hint(err, "Delete it; it will be computed again.");
		return MB_CORRUPT;
	}
	cache->data = data;
	cache->n = n;
	return MB_OK;
}

static mb_status
cache_write(const char *path, const unsigned char *fingerprint, const vector_table *table, mb_error *err)
{
	string_buffer temporary = {0};
	unsigned char header[CACHE_HEADER] = {0};
	uint32_t width = (uint32_t) table->width;
	uint64_t n = 0;
	size_t i;
	FILE *out;
	bool ok;

	for (i = 0; i < table->n; i++)
		n += table->known[i];
	memcpy(header, CACHE_MAGIC, 8);
	memcpy(header + 8, fingerprint, SHA256_BYTES);
	memcpy(header + 40, &width, sizeof(width));
	memcpy(header + 48, &n, sizeof(n));
	string_printf(&temporary, "%s.tmp", path);
	out = fopen(temporary.data, "wb");
	ok = out != NULL && fwrite(header, sizeof(header), 1, out) == 1;
	for (i = 0; ok && i < table->n; i++)
		if (table->known[i])
			ok = fwrite(table->hashes + i * TEXT_HASH_BYTES, TEXT_HASH_BYTES, 1, out) == 1;
	for (i = 0; ok && i < table->n; i++)
		if (table->known[i])
			ok = fwrite(table->vectors + i * table->width, sizeof(float), table->width, out) == table->width;
	if (out != NULL)
		ok = fclose(out) == 0 && ok;
	ok = ok && rename(temporary.data, path) == 0;
	if (!ok)
	{
		mb_fail_system(err, errno, "could not write the cache \"%s\"", path);
		unlink(temporary.data);
	}
	string_release(&temporary);
	return ok ? MB_OK : MB_IO;
}

/* One embedding run: blocks of texts whose vectors are missing. */
typedef struct embedding
{
	const mb_image *image;
	const tagged_rows *rows;
	vector_table *table;
	const size_t *row_of; /* [n_missing] a row that has the text */
	const size_t *entry;  /* [n_missing] its place in the table */
	size_t n_missing;
	mb_scratch **scratches; /* [threads] */
	mb_infer_stats *stats;  /* [threads] */
	float **buffers;        /* [threads] of [BLOCK_TEXTS,H] */
	atomic_size_t done;
	atomic_bool failed;
	pthread_mutex_t lock;
	size_t failed_job;
	mb_error err;
	progress bar;
} embedding;

static void
embed_block(void *arg, size_t job, int thread)
{
	embedding *e = arg;
	mb_text texts[BLOCK_TEXTS] = {{NULL, 0}};
	mb_infer_options options = {0};
	size_t first = job * BLOCK_TEXTS;
	size_t n = e->n_missing - first < BLOCK_TEXTS ? e->n_missing - first : BLOCK_TEXTS;
	size_t width = e->table->width;
	mb_error err = {0};
	size_t i;

	if (atomic_load(&e->failed))
		return;
	for (i = 0; i < n; i++)
		texts[i] = tagged_rows_text(e->rows, e->row_of[first + i]);
	options.interrupt = &tool_interrupt;
	if (mb_embed(e->image, e->scratches[thread], texts, n, e->buffers[thread], &options, &e->stats[thread], &err) !=
		MB_OK)
	{
		pthread_mutex_lock(&e->lock);
		if (!atomic_load(&e->failed) || job < e->failed_job)
		{
			e->failed_job = job;
			e->err = err;
		}
		atomic_store(&e->failed, true);
		pthread_mutex_unlock(&e->lock);
		return;
	}
	for (i = 0; i < n; i++)
	{
		memcpy(e->table->vectors + e->entry[first + i] * width, e->buffers[thread] + i * width, width * sizeof(float));
		e->table->known[e->entry[first + i]] = true;
	}
	atomic_fetch_add(&e->done, n);
	if (thread == 0)
		progress_update(&e->bar, atomic_load(&e->done));
}

static mb_status
embed_missing(embedding *e, int n_threads, bool silent, features_stats *stats, mb_error *err)
{
	double started = monotonic_seconds();
	int t;

	e->scratches = allocate((size_t) n_threads, sizeof(*e->scratches));
	e->stats = allocate((size_t) n_threads, sizeof(*e->stats));
	e->buffers = allocate((size_t) n_threads, sizeof(*e->buffers));
	for (t = 0; t < n_threads; t++)
	{
		e->scratches[t] = mb_scratch_create(NULL);
		e->buffers[t] = allocate(BLOCK_TEXTS, e->table->width * sizeof(float));
		if (e->scratches[t] == NULL)
			atomic_store(&e->failed, true);
	}
	pthread_mutex_init(&e->lock, NULL);
	progress_start(&e->bar, "Embedding", "texts", e->n_missing, silent);
	if (atomic_load(&e->failed))
		mb_fail(&e->err, MB_OUT_OF_MEMORY, "out of memory");
	else
		parallel_run((e->n_missing + BLOCK_TEXTS - 1) / BLOCK_TEXTS, n_threads, embed_block, e);
	pthread_mutex_destroy(&e->lock);
	stats->seconds = monotonic_seconds() - started;
	for (t = 0; t < n_threads; t++)
	{
		stats->infer.texts += e->stats[t].texts;
		stats->infer.tokens += e->stats[t].tokens;
		stats->infer.windows += e->stats[t].windows;
		stats->infer.truncated += e->stats[t].truncated;
		mb_scratch_destroy(e->scratches[t]);
		free(e->buffers[t]);
	}
	free(e->scratches);
	free(e->stats);
	free(e->buffers);
	if (atomic_load(&e->failed))
	{
		*err = e->err;
		return e->err.status;
	}
	progress_finish(&e->bar, e->n_missing);
	return MB_OK;
}

mb_status
features_compute(const model_source *source, const tagged_rows *rows, const features_options *options, float **features,
				 features_stats *stats, mb_error *err)
{
	size_t width = (size_t) source->image.config.hidden_size;
	unsigned char fingerprint[SHA256_BYTES];
	embedding e = {0};
	cache_file cache;
	vector_table table;
	size_t *entry_of_row, *row_of, *entry;
	size_t i;
	mb_status status;

	*features = NULL;
	memset(stats, 0, sizeof(*stats));
	features_fingerprint(source->model, fingerprint);
	status = cache_open(&cache, options->cache_path, fingerprint, width, err);
	if (status != MB_OK)
		return status;
	table_init(&table, width, rows->n + (size_t) cache.n);
	for (i = 0; i < cache.n; i++)
	{
		size_t at = table_add(&table, cache.data + CACHE_HEADER + i * TEXT_HASH_BYTES);

		memcpy(table.vectors + at * width,
			   cache.data + CACHE_HEADER + cache.n * TEXT_HASH_BYTES + i * width * sizeof(float),
			   width * sizeof(float));
		table.known[at] = true;
	}
	if (cache.data != NULL)
		munmap((void *) (uintptr_t) cache.data, cache.size);

	entry_of_row = allocate(rows->n, sizeof(size_t));
	row_of = allocate(rows->n, sizeof(size_t));
	entry = allocate(rows->n, sizeof(size_t));
	for (i = 0; i < rows->n; i++)
	{
		size_t before = table.n;

		entry_of_row[i] = table_add(&table, rows->rows[i].text_hash);
		if (table.n > before)
		{
			row_of[e.n_missing] = i;
			entry[e.n_missing++] = entry_of_row[i];
			stats->distinct++;
		}
	}
	{
		/* Cached texts in use, each counted once. */
		bool *seen = allocate(table.n, sizeof(bool));

		for (i = 0; i < rows->n; i++)
			if (entry_of_row[i] < cache.n && !seen[entry_of_row[i]])
			{
				seen[entry_of_row[i]] = true;
				stats->cached++;
				stats->distinct++;
			}
		free(seen);
	}
	e.image = &source->image;
	e.rows = rows;
	e.table = &table;
	e.row_of = row_of;
	e.entry = entry;
	if (e.n_missing > 0)
	{
		status = embed_missing(&e, options->n_threads, options->silent, stats, err);
		if (status != MB_OK && status != MB_CANCELLED && err->detail[0] == '\0')
			mb_detail(err, "It is text %zu of the rows used.",
					  row_of[e.failed_job * BLOCK_TEXTS + (err->text_index < BLOCK_TEXTS ? err->text_index : 0)] + 1);
		if (options->cache_path != NULL && (status == MB_OK || status == MB_CANCELLED))
		{
			mb_error cache_err = {0};

			if (cache_write(options->cache_path, fingerprint, &table, &cache_err) != MB_OK && status == MB_OK)
			{
				*err = cache_err;
				status = cache_err.status;
			}
		}
	}
	if (status == MB_OK)
	{
		*features = allocate(rows->n, width * sizeof(float));
		for (i = 0; i < rows->n; i++)
			memcpy(*features + i * width, table.vectors + entry_of_row[i] * width, width * sizeof(float));
	}
	free(entry_of_row);
	free(row_of);
	free(entry);
	table_release(&table);
	return status;
}
