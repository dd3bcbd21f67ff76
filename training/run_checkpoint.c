/* run_checkpoint.c - writing and reading a run's state. */
#include "run_checkpoint.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model_source.h"
#include "moviebert/safetensors.h"
#include "sha256.h"

#define STATE_KEY "moviebert.run"
#define IDENTITY_KEY "moviebert.run.identity"
#define SHA256_KEY "moviebert.run.sha256"
#define N_ARRAYS 3

static const char *const array_names[N_ARRAYS] = {"parameters", "m", "v"};
static const mb_dtype real_dtype = sizeof(real) == sizeof(float) ? MB_F32 : MB_F64;

static char *
state_text(const run_state *s)
{
	json_t *state = json_pack("{s:I, s:I, s:f, s:I, s:i, s:f, s:i, s:I, s:i, s:f, s:I, s:i, s:I}", "step",
							  (json_int_t) s->step, "tokens", (json_int_t) s->tokens, "seconds", s->seconds, "seed",
							  (json_int_t) s->seed, "shards", s->n_shards, "rate_scale", s->rate_scale, "rollbacks",
							  s->rollbacks, "skipped", (json_int_t) s->skipped, "plateau", (int) s->plateau,
							  "best_score", s->best_score, "best_step", (json_int_t) s->best_step, "without_better",
							  s->without_better, "metrics_bytes", (json_int_t) s->metrics_bytes);
	char *text = state != NULL ? json_dumps(state, JSON_REAL_PRECISION(17)) : NULL;

	json_decref(state);
	return text;
}

static bool
parse_state(const char *text, run_state *s)
{
	json_t *state = text != NULL ? json_loads(text, 0, NULL) : NULL;
	json_int_t step, tokens, seed, skipped, best_step, metrics_bytes;
	int plateau;
	bool ok = json_unpack(state, "{s:I, s:I, s:F, s:I, s:i, s:F, s:i, s:I, s:i, s:F, s:I, s:i, s:I}", "step", &step,
						  "tokens", &tokens, "seconds", &s->seconds, "seed", &seed, "shards", &s->n_shards,
						  "rate_scale", &s->rate_scale, "rollbacks", &s->rollbacks, "skipped", &skipped, "plateau",
						  &plateau, "best_score", &s->best_score, "best_step", &best_step, "without_better",
						  &s->without_better, "metrics_bytes", &metrics_bytes) == 0;

	json_decref(state);
	if (!ok || step < 0 || tokens < 0 || skipped < 0 || best_step < 0 || metrics_bytes < 0 || plateau < 0 ||
		plateau > PLATEAU_ESCAPED)
		return false;
	s->step = (uint64_t) step;
	s->tokens = (uint64_t) tokens;
	s->seed = (uint64_t) seed;
	s->skipped = (uint64_t) skipped;
	s->plateau = (plateau_state) plateau;
	s->best_step = (uint64_t) best_step;
	s->metrics_bytes = (int64_t) metrics_bytes;
	return true;
}

static void
hash_arrays(const void *const *arrays, size_t bytes, const char *state, char hex[SHA256_HEX])
{
	unsigned char digest[SHA256_BYTES];
	sha256 *hash = sha256_start();
	int i;

	sha256_add(hash, state, strlen(state));
	for (i = 0; i < N_ARRAYS; i++)
		if (arrays[i] != NULL)
			sha256_add(hash, arrays[i], bytes);
	sha256_finish(hash, digest);
	sha256_hex(digest, hex);
}

mb_status
run_checkpoint_write(const char *path, const real *parameters, const real *m, const real *v, size_t n,
					 const run_state *state, const char *identity, mb_error *err)
{
	const void *arrays[N_ARRAYS] = {parameters, m, v};
	mb_tensor tensors[N_ARRAYS];
	char hex[SHA256_HEX];
	char *text = state_text(state);
	mb_metadata metadata[] = {
		{"moviebert.format", "checkpoint-1"}, {STATE_KEY, text}, {IDENTITY_KEY, identity}, {SHA256_KEY, hex}};
	size_t n_tensors = 0;
	mb_status status;
	int i;

	if (text == NULL)
		return mb_fail(err, MB_OUT_OF_MEMORY, "out of memory while writing a checkpoint");
	for (i = 0; i < N_ARRAYS; i++)
		if (arrays[i] != NULL)
			tensors[n_tensors++] = (mb_tensor){.name = array_names[i],
											   .dtype = real_dtype,
											   .n_dims = 1,
											   .shape = {(int64_t) n},
											   .data = arrays[i],
											   .bytes = n * sizeof(real)};
	hash_arrays(arrays, n * sizeof(real), text, hex);
	status = mb_safetensors_write(path, tensors, n_tensors, metadata, sizeof(metadata) / sizeof(metadata[0]), err);
	free(text);
	return status;
}

static mb_status
check_and_copy(const mb_safetensors *file, const char *path, real *const *targets, size_t n, run_state *state,
			   const char *identity, mb_error *err)
{
	const char *text = mb_safetensors_metadata(file, STATE_KEY), *sum = mb_safetensors_metadata(file, SHA256_KEY);
	const char *of = mb_safetensors_metadata(file, IDENTITY_KEY);
	const void *arrays[N_ARRAYS];
	char hex[SHA256_HEX];
	int i;

	if (of == NULL || sum == NULL || !parse_state(text, state))
		return mb_fail(err, MB_CORRUPT, "\"%.250s\" is not a checkpoint", path);
	if (identity != NULL && strcmp(of, identity) != 0)
	{
		mb_fail(err, MB_INVALID_ARGUMENT, "checkpoint \"%.200s\" is of another run", path);
		mb_detail(err, "It is of: %.200s; this run is: %.200s.", of, identity);
		mb_hint(err, "Give the options that the run was started with (manifest.json has them), or another folder.");
		return MB_INVALID_ARGUMENT;
	}
	for (i = 0; i < N_ARRAYS; i++)
	{
		const mb_tensor *tensor = mb_safetensors_find(file, array_names[i]);

		arrays[i] = tensor != NULL ? tensor->data : NULL;
		if (tensor == NULL ? targets[i] != NULL : tensor->dtype != real_dtype || tensor->bytes != n * sizeof(real))
		{
			mb_fail(err, MB_INVALID_ARGUMENT, "checkpoint \"%.200s\" is of a network of another size", path);
			if (tensor != NULL)
				mb_detail(err, "It has %" PRId64 " parameters, not %zu.", mb_tensor_elements(tensor), n);
			return MB_INVALID_ARGUMENT;
		}
	}
	hash_arrays(arrays, n * sizeof(real), text, hex);
	if (strcmp(hex, sum) != 0)
	{
		mb_fail(err, MB_CORRUPT, "checkpoint \"%.250s\" is damaged", path);
		mb_detail(err, "Its numbers have SHA-256 %.16s..., but it was written with %.16s...", hex, sum);
		return MB_CORRUPT;
	}
	for (i = 0; i < N_ARRAYS; i++)
		if (targets[i] != NULL)
			memcpy(targets[i], arrays[i], n * sizeof(real));
	return MB_OK;
}

mb_status
run_checkpoint_read(const char *path, real *parameters, real *m, real *v, size_t n, run_state *state,
					const char *identity, mb_error *err)
{
	real *const targets[N_ARRAYS] = {parameters, m, v};
	mb_safetensors *file = NULL;
	const void *data;
	size_t size;
	mb_status status = map_file(path, &data, &size, err);

	if (status != MB_OK)
		return status;
	status = mb_safetensors_open(&file, data, size, err);
	if (status == MB_OK)
		status = check_and_copy(file, path, targets, n, state, identity, err);
	else if (status == MB_CORRUPT)
		mb_hint(err, "The damaged checkpoint is \"%.250s\".", path);
	mb_safetensors_close(file);
	munmap((void *) (uintptr_t) data, size);
	return status;
}
