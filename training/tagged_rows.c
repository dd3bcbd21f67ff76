/* tagged_rows.c - from a query's result to texts and tag numbers. */
#include "tagged_rows.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "query_rows.h"
#include "report.h"
#include "sha256.h"

typedef struct column_map
{
	int text;
	int tags;
	int key;   /* -1: the text */
	int scope; /* -1: none */
	bool tags_are_json;
	bool scope_is_json;
} column_map;

static bool
is_array_type(Oid type)
{
	return type == OID_TEXT_ARRAY || type == OID_NAME_ARRAY || type == OID_BPCHAR_ARRAY || type == OID_VARCHAR_ARRAY;
}

/* The column of an array of tags, and whether it is JSON. */
static mb_status
check_tags_column(PGconn *connection, const PGresult *result, int column, const char *option, bool *is_json,
				  mb_error *err)
{
	Oid type = PQftype(result, column);

	*is_json = type == OID_JSON || type == OID_JSONB;
	if (*is_json || is_array_type(type))
		return MB_OK;
	mb_fail(err, MB_INVALID_ARGUMENT, "column \"%s\" is not an array of tags", PQfname(result, column));
	detail_column_type(connection, result, column, err);
	mb_hint(err,
			is_text_type(type)
				? "Use string_to_array(column, ',') for a list in one text, or ARRAY[column] for "
				  "one tag a row; or name another column with --%s."
				: "Tags are text[], varchar[], json or jsonb: cast it in the query, or name another column "
				  "with --%s.",
			option);
	return MB_INVALID_ARGUMENT;
}

/* A column that an option names, if it does: what is wrong with it is said before anything that follows from it. */
static mb_status
named_tags_column(PGconn *connection, const PGresult *result, const char *role, const char *name, int *column,
				  bool *is_json, mb_error *err)
{
	mb_status status;

	*column = -1;
	if (name == NULL)
		return MB_OK;
	status = query_column(result, role, role, name, 0, column, err);
	return status == MB_OK ? check_tags_column(connection, result, *column, role, is_json, err) : status;
}

static mb_status
map_columns(PGconn *connection, const PGresult *result, const query_columns *columns, column_map *map, mb_error *err)
{
	int taken[3]; /* by the key, the scope, and the tags if they are named */
	mb_status status = MB_OK;

	map->key = -1;
	if (columns->key != NULL)
		status = query_column(result, "key", "key", columns->key, 0, &map->key, err);
	if (status == MB_OK)
		status =
			named_tags_column(connection, result, "scope", columns->scope, &map->scope, &map->scope_is_json, err);
	if (status == MB_OK)
		status = named_tags_column(connection, result, "tags", columns->tags, &map->tags, &map->tags_are_json, err);
	if (status != MB_OK)
		return status;
	taken[0] = map->key;
	taken[1] = map->scope;
	taken[2] = map->tags;
	status =
		query_text_column(connection, result, columns->text, query_free_column(result, 0, taken, 3), &map->text, err);
	if (status == MB_OK && columns->tags == NULL)
	{
		/* The second of the columns that are left, wherever the text is; the first where the text is the second. */
		int position = query_free_column(result, 1, taken, 2);

		if (position == map->text)
			position = query_free_column(result, 0, taken, 2);
		status = query_column(result, "tags", "tags", NULL, position, &map->tags, err);
		if (status == MB_OK)
		{
			status = check_tags_column(connection, result, map->tags, "tags", &map->tags_are_json, err);
			if (status != MB_OK && PQnfields(result) > 2)
			{
				mb_detail(err, "The text is taken from \"%s\", and the tags from \"%s\".", PQfname(result, map->text),
						  PQfname(result, map->tags));
				mb_hint(err, "Say which columns they are with --text and --tags, and with --key which one is a key.");
			}
		}
	}
	return status;
}

void
tagged_rows_add(tagged_rows *rows, const char *text, size_t text_size, const int32_t *tag_ids, int32_t n_tags,
				int32_t scope, row_part part, uint64_t key_hash)
{
	unsigned char digest[SHA256_BYTES];
	tagged_row *row;

	if (rows->n == rows->capacity)
	{
		rows->capacity = rows->capacity == 0 ? 1024 : rows->capacity * 2;
		rows->rows = reallocate(rows->rows, rows->capacity, sizeof(tagged_row));
	}
	while (rows->texts_used + text_size > rows->texts_capacity)
	{
		rows->texts_capacity = rows->texts_capacity == 0 ? 1 << 20 : rows->texts_capacity * 2;
		rows->texts = reallocate(rows->texts, rows->texts_capacity, 1);
	}
	while (rows->tags_used + (size_t) n_tags > rows->tags_capacity)
	{
		rows->tags_capacity = rows->tags_capacity == 0 ? 4096 : rows->tags_capacity * 2;
		rows->tag_ids = reallocate(rows->tag_ids, rows->tags_capacity, sizeof(int32_t));
	}
	row = &rows->rows[rows->n++];
	memset(row, 0, sizeof(*row)); /* padding too: rows are written to files */
	row->text_at = rows->texts_used;
	row->text_size = text_size;
	row->tags_at = rows->tags_used;
	row->n_tags = n_tags;
	row->scope = scope;
	row->part = part;
	row->key_hash = key_hash;
	if (text_size > 0)
		memcpy(rows->texts + rows->texts_used, text, text_size);
	if (n_tags > 0)
		memcpy(rows->tag_ids + rows->tags_used, tag_ids, (size_t) n_tags * sizeof(int32_t));
	rows->texts_used += text_size;
	rows->tags_used += (size_t) n_tags;
	sha256_of(text, text_size, digest);
	memcpy(row->text_hash, digest, TEXT_HASH_BYTES);
}

int32_t
tagged_rows_scope(tagged_rows *rows, const char *text, const tag_array *names)
{
	size_t before = rows->scope_texts.n, i;
	int32_t scope = dictionary_add(&rows->scope_texts, text);
	tag_scope *added;

	if (rows->scope_texts.n == before)
		return scope;
	if (rows->scope_texts.n > rows->scopes_capacity)
	{
		rows->scopes_capacity = rows->scopes_capacity == 0 ? 16 : rows->scopes_capacity * 2;
		rows->scopes = reallocate(rows->scopes, rows->scopes_capacity, sizeof(tag_scope));
	}
	while (rows->scope_names_used + names->n > rows->scope_names_capacity)
	{
		rows->scope_names_capacity = rows->scope_names_capacity == 0 ? 256 : rows->scope_names_capacity * 2;
		rows->scope_names = reallocate(rows->scope_names, rows->scope_names_capacity, sizeof(int32_t));
	}
	added = &rows->scopes[scope];
	memset(added, 0, sizeof(*added)); /* padding too, as in tagged_rows_add */
	added->names_at = rows->scope_names_used;
	added->n_names = (int32_t) names->n;
	for (i = 0; i < names->n; i++)
		rows->scope_names[rows->scope_names_used++] = dictionary_add(&rows->scope_words, tag_array_at(names, i));
	return scope;
}

/* Buffers reused from row to row. */
typedef struct row_reader
{
	tagged_rows *rows;
	const query_columns *columns;
	const part_rule *rule;
	column_map map;
	tag_array array;
	tag_array scope;
	int32_t *ids;
	size_t ids_capacity;
} row_reader;

static mb_status
read_columns(void *arg, PGconn *connection, const PGresult *described, mb_error *err)
{
	row_reader *reader = arg;

	return map_columns(connection, described, reader->columns, &reader->map, err);
}

/* JSON's null, with the white space that type json keeps. */
static bool
is_json_null(const char *json)
{
	json += strspn(json, " \t\n\r");
	return strncmp(json, "null", 4) == 0 && json[4 + strspn(json + 4, " \t\n\r")] == '\0';
}

/* The number of the row's scope; its names are looked at once for each that is different. */
static mb_status
read_scope(row_reader *reader, const PGresult *result, int64_t number, int32_t *scope, mb_error *err)
{
	const column_map *map = &reader->map;
	const char *text;
	mb_status status = MB_OK;

	*scope = SCOPE_ALL;
	if (map->scope < 0 || PQgetisnull(result, 0, map->scope))
		return MB_OK;
	text = PQgetvalue(result, 0, map->scope);
	if (map->scope_is_json && is_json_null(text))
		return MB_OK;
	if (dictionary_find(&reader->rows->scope_texts, text) < 0)
		status = (map->scope_is_json ? tag_array_parse_json : tag_array_parse)(
			&reader->scope, text, (size_t) PQgetlength(result, 0, map->scope), err);
	if (status != MB_OK)
	{
		add_row_number(err, number);
		return status;
	}
	*scope = tagged_rows_scope(reader->rows, text, &reader->scope);
	return MB_OK;
}

static mb_status
read_row(void *arg, const PGresult *result, int64_t number, mb_error *err)
{
	row_reader *reader = arg;
	tagged_rows *rows = reader->rows;
	row_counts *counts = &rows->counts;
	const column_map *map = &reader->map;
	const char *text, *key;
	size_t text_size, key_size, i;
	int32_t n_ids = 0, scope;
	uint64_t key_hash;
	mb_status status;

	counts->read = number;
	if (PQgetisnull(result, 0, map->text))
	{
		counts->null_text++;
		return MB_OK;
	}
	text = PQgetvalue(result, 0, map->text);
	text_size = (size_t) PQgetlength(result, 0, map->text);
	if (text_is_blank(text, text_size))
	{
		counts->empty_text++;
		return MB_OK;
	}
	if (PQgetisnull(result, 0, map->tags) || (map->tags_are_json && is_json_null(PQgetvalue(result, 0, map->tags))))
	{
		counts->null_tags++;
		return MB_OK;
	}
	status = (map->tags_are_json ? tag_array_parse_json : tag_array_parse)(
		&reader->array, PQgetvalue(result, 0, map->tags), (size_t) PQgetlength(result, 0, map->tags), err);
	if (status != MB_OK)
	{
		add_row_number(err, number);
		return status;
	}
	status = read_scope(reader, result, number, &scope, err);
	if (status != MB_OK)
		return status;
	counts->scoped += scope != SCOPE_ALL;
	counts->null_elements += (int64_t) reader->array.nulls;
	if (reader->array.n > reader->ids_capacity)
	{
		reader->ids_capacity = reader->array.n * 2;
		reader->ids = reallocate(reader->ids, reader->ids_capacity, sizeof(int32_t));
	}
	for (i = 0; i < reader->array.n; i++)
	{
		const char *name = tag_array_at(&reader->array, i);
		int32_t id, j;

		if (name[0] == '\0')
		{
			counts->null_elements++;
			continue;
		}
		id = dictionary_add(&rows->tags, name);
		for (j = 0; j < n_ids && reader->ids[j] != id; j++)
			;
		if (j < n_ids)
			counts->repeated_tags++;
		else
			reader->ids[n_ids++] = id;
	}
	counts->no_tags += n_ids == 0;
	key = text;
	key_size = text_size;
	if (map->key >= 0)
	{
		if (PQgetisnull(result, 0, map->key))
			counts->null_key++;
		else
		{
			key = PQgetvalue(result, 0, map->key);
			key_size = (size_t) PQgetlength(result, 0, map->key);
		}
	}
	key_hash = split_hash(reader->rule->seed, key, key_size);
	counts->used++;
	tagged_rows_add(rows, text, text_size, reader->ids, n_ids, scope,
					reader->rule->by_hash ? split_part(key_hash, reader->rule->validation, reader->rule->test)
										  : reader->rule->part,
					key_hash);
	return MB_OK;
}

mb_status
tagged_rows_read(tagged_rows *rows, PGconn *connection, const char *sql, const query_columns *columns,
				 const part_rule *rule, bool silent, mb_error *err)
{
	row_reader reader = {.rows = rows, .columns = columns, .rule = rule};
	const row_handler handler = {read_columns, read_row, &reader, "a text and an array of tags"};
	mb_status status;

	memset(&rows->counts, 0, sizeof(rows->counts));
	status = query_rows_read(connection, sql, &handler, silent, err);
	tag_array_release(&reader.array);
	tag_array_release(&reader.scope);
	free(reader.ids);
	return status;
}

typedef struct hash_and_part
{
	unsigned char hash[TEXT_HASH_BYTES];
	row_part part;
} hash_and_part;

static int
compare_hash(const void *a, const void *b)
{
	return memcmp(a, b, TEXT_HASH_BYTES);
}

static int64_t
count_shared(hash_and_part *items, size_t n)
{
	int64_t shared = 0;
	size_t i, j;

	qsort(items, n, sizeof(*items), compare_hash);
	for (i = 0; i < n; i = j)
	{
		bool differs = false;

		for (j = i; j < n && memcmp(items[i].hash, items[j].hash, TEXT_HASH_BYTES) == 0; j++)
			differs = differs || items[j].part != items[i].part;
		shared += differs;
	}
	return shared;
}

void
tagged_rows_leakage(const tagged_rows *rows, int64_t *keys, int64_t *texts)
{
	hash_and_part *items = allocate(rows->n, sizeof(*items));
	size_t i;

	for (i = 0; i < rows->n; i++)
	{
		memcpy(items[i].hash, &rows->rows[i].key_hash, sizeof(uint64_t));
		items[i].part = rows->rows[i].part;
	}
	*keys = count_shared(items, rows->n);
	for (i = 0; i < rows->n; i++)
	{
		memcpy(items[i].hash, rows->rows[i].text_hash, TEXT_HASH_BYTES);
		items[i].part = rows->rows[i].part;
	}
	*texts = count_shared(items, rows->n);
	free(items);
}

void
tagged_rows_report(const row_counts *counts, const char *what)
{
	char number[32];

	report_note("Rows of the %s query: %s read", what, format_count(number, sizeof(number), counts->read));
	report_count(counts->used, "used");
	report_count(counts->null_text, "left out: the text is NULL");
	report_count(counts->empty_text, "left out: the text is empty");
	report_count(counts->null_tags, "left out: the tags are NULL (unknown is not \"none\")");
	report_count(counts->no_tags, "used as rows without any tag: the array is empty");
	report_count(counts->null_key, "used, split by their text: the key is NULL");
	report_count(counts->null_elements, "tags ignored: NULL or an empty string");
	report_count(counts->scoped, "used with some tags unknown: those outside their scope");
	report_count(counts->repeated_tags, "tags counted once: repeated in their row");
}

void
tagged_rows_release(tagged_rows *rows)
{
	free(rows->rows);
	free(rows->texts);
	free(rows->tag_ids);
	free(rows->scopes);
	free(rows->scope_names);
	dictionary_release(&rows->scope_texts);
	dictionary_release(&rows->scope_words);
	dictionary_release(&rows->tags);
	memset(rows, 0, sizeof(*rows));
}
