/*
 * test_report_html.c - a run's page: well-formed whatever a text holds, complete, small, with no label over another;
 * and what it says of files that are damaged.
 */
#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "training/report_html.h"
#include "training/report_html_text.h"
#include "training/svg.h"

#define MOST_IDS 512
#define MOST_DEPTH 64
#define MOST_LABELS 4096

static bool
slow_machine(void)
{
	return getenv("MOVIEBERT_SLOW_MACHINE") != NULL;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

typedef struct run_files
{
	char folder[64];
} run_files;

static void
write_file(const run_files *files, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", files->folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* Each of them may be NULL: no such file. */
static run_files
make_run(const char *manifest, const char *metrics)
{
	run_files files = {"/tmp/moviebert-report-XXXXXX"};

	assert_non_null(mkdtemp(files.folder));
	if (manifest != NULL)
		write_file(&files, "manifest.json", manifest);
	if (metrics != NULL)
		write_file(&files, "metrics.jsonl", metrics);
	return files;
}

static void
remove_run(const run_files *files)
{
	static const char *const names[] = {"manifest.json", "metrics.jsonl", "report.html", "report.html.tmp"};
	char path[128];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		snprintf(path, sizeof(path), "%s/%s", files->folder, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(files->folder), 0);
}

/* NUL-terminated; the caller's to free. */
static char *
read_page(const char *path)
{
	FILE *file = fopen(path, "r");
	struct stat found;
	char *text;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &found), 0);
	text = calloc(1, (size_t) found.st_size + 1);
	assert_int_equal(fread(text, 1, (size_t) found.st_size, file), found.st_size);
	fclose(file);
	return text;
}

/* ---- a strict reader of markup ----------------------------------------------------------------------------------- */

typedef struct label
{
	double x, y, from, to;
	char text[64];
} label;

typedef struct reader
{
	const char *page, *at;
	char open[MOST_DEPTH][16];
	size_t depth;
	char ids[MOST_IDS][96], references[MOST_IDS][96];
	size_t n_ids, n_references;
	label labels[MOST_LABELS]; /* of the picture that is read */
	size_t n_labels, turned;   /* depth of a group that is turned; 0: none */
	size_t pictures;
} reader;

static void
refuse(const reader *r, const char *what)
{
	const char *from = r->at - r->page > 60 ? r->at - 60 : r->page;

	fail_msg("%s near \"%.120s\"", what, from);
}

static void
read_entity(reader *r)
{
	static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
	size_t i;

	for (i = 0; i < 5; i++)
		if (strncmp(r->at, entities[i], strlen(entities[i])) == 0)
		{
			r->at += strlen(entities[i]);
			return;
		}
	refuse(r, "an entity that is none");
}

/* Up to one of the characters of `end`; no control character, no bare & < or >. */
static void
read_text(reader *r, const char *end)
{
	while (*r->at != '\0' && strchr(end, *r->at) == NULL)
	{
		unsigned char c = (unsigned char) *r->at;

		if (c == '&')
			read_entity(r);
		else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || c == '<' || c == '>')
			refuse(r, "a character that must not stand there");
		else
			r->at++;
	}
}

static void
copy_part(char *out, size_t size, const char *from, const char *to)
{
	size_t n = (size_t) (to - from) < size - 1 ? (size_t) (to - from) : size - 1;

	memcpy(out, from, n);
	out[n] = '\0';
}

static void
note_attribute(reader *r, const char *name, const char *value, const char *end)
{
	char copy[256], *word, *rest;
	size_t i;

	copy_part(copy, sizeof(copy), value, end);
	if (strcmp(name, "id") == 0)
	{
		for (i = 0; i < r->n_ids; i++)
			if (strcmp(r->ids[i], copy) == 0)
				refuse(r, "an id that is there twice");
		assert_true(r->n_ids < MOST_IDS);
		snprintf(r->ids[r->n_ids++], 96, "%.95s", copy);
	}
	else if (strcmp(name, "aria-labelledby") == 0)
		for (word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
			snprintf(r->references[r->n_references++], 96, "%.95s", word);
	else if (strcmp(name, "clip-path") == 0)
	{
		assert_true(strncmp(copy, "url(#", 5) == 0);
		copy[strlen(copy) - 1] = '\0';
		snprintf(r->references[r->n_references++], 96, "%.95s", copy + 5);
	}
	else if (strcmp(name, "src") == 0 || strcmp(name, "href") == 0 || strncmp(name, "on", 2) == 0)
		refuse(r, "an attribute that loads or runs");
	assert_true(r->n_references < MOST_IDS - 2);
}

/* The extent of a label, with the width of letters that the plots count on. */
static void
add_label(reader *r, const char *attributes, const char *end, const char *text, const char *text_end)
{
	char copy[512], content[128], *at, anchor = 's';
	label *l;
	double width;

	if (r->turned > 0 || text_end - text > 100)
		return;
	copy_part(copy, sizeof(copy), attributes, end);
	copy_part(content, sizeof(content), text, text_end);
	assert_true(r->n_labels < MOST_LABELS);
	l = &r->labels[r->n_labels++];
	at = strstr(copy, "x=\"");
	l->x = at != NULL ? atof(at + 3) : NAN;
	at = strstr(copy, "y=\"");
	l->y = at != NULL ? atof(at + 3) : NAN;
	at = strstr(copy, "text-anchor=\"");
	if (at != NULL)
		anchor = at[13];
	width = (strstr(copy, "badge") != NULL ? 5.0 : 6.6) * (double) html_width(content);
	l->from = anchor == 's' ? l->x : anchor == 'm' ? l->x - width / 2 : l->x - width;
	l->to = l->from + width;
	snprintf(l->text, sizeof(l->text), "%.60s", content);
}

/* On one line no two labels share a place. */
static void
check_labels(reader *r)
{
	size_t i, j;

	for (i = 0; i < r->n_labels; i++)
		for (j = i + 1; j < r->n_labels; j++)
		{
			const label *a = &r->labels[i], *b = &r->labels[j];

			if (fabs(a->y - b->y) < 9 && a->from < b->to && b->from < a->to)
				fail_msg("picture %zu: the labels \"%s\" (%.1f to %.1f) and \"%s\" (%.1f to %.1f) overlap at y %.1f",
						 r->pictures, a->text, a->from, a->to, b->text, b->from, b->to, a->y);
		}
	r->n_labels = 0;
	r->pictures++;
}

static void
read_tag(reader *r)
{
	char name[16], attribute[32];
	const char *start, *attributes;
	bool closing = r->at[1] == '/', empty = false;

	r->at += closing ? 2 : 1;
	for (start = r->at; isalnum((unsigned char) *r->at); r->at++)
		;
	if (r->at == start || r->at - start > 15)
		refuse(r, "a tag without a name");
	copy_part(name, sizeof(name), start, r->at);
	attributes = r->at;
	while (*r->at == ' ')
	{
		const char *value;

		for (start = ++r->at; islower((unsigned char) *r->at) || strchr("-XB1234567890", *r->at) != NULL; r->at++)
			;
		copy_part(attribute, sizeof(attribute), start, r->at);
		if (closing || attribute[0] == '\0' || strncmp(r->at, "=\"", 2) != 0)
			refuse(r, "an attribute without a value in quotation marks");
		value = r->at += 2;
		read_text(r, "\"");
		note_attribute(r, attribute, value, r->at);
		r->at++;
	}
	if (*r->at == '/')
	{
		empty = true;
		r->at++;
	}
	if (*r->at != '>')
		refuse(r, "a tag that does not end");
	if (strcmp(name, "script") == 0 || strcmp(name, "link") == 0 || strcmp(name, "img") == 0 ||
		strcmp(name, "iframe") == 0)
		refuse(r, "a tag that loads or runs");
	if (closing)
	{
		if (r->depth == 0 || strcmp(r->open[r->depth - 1], name) != 0)
			refuse(r, "a closing tag of another");
		if (r->turned == r->depth)
			r->turned = 0;
		r->depth--;
		if (strcmp(name, "svg") == 0)
			check_labels(r);
	}
	else if (!empty)
	{
		assert_true(r->depth < MOST_DEPTH);
		snprintf(r->open[r->depth++], 16, "%s", name);
		if (strcmp(name, "g") == 0 && strncmp(attributes, " transform", 10) == 0)
			r->turned = r->depth;
		if (strcmp(name, "text") == 0)
		{
			const char *text = r->at + 1;

			/* an elided label has its whole name as title before it */
			if (strncmp(text, "<title>", 7) == 0)
				text = strstr(text, "</title>") + 8;
			add_label(r, attributes, r->at, text, strchr(text, '<'));
		}
	}
	r->at++;
}

static size_t
read_markup(const char *page)
{
	static reader r;
	size_t i, j;

	memset(&r, 0, sizeof(r));
	r.page = r.at = page;
	if (strncmp(page, "<!DOCTYPE html>\n", 16) != 0)
		fail_msg("the page begins with \"%.20s\"", page);
	r.at += 16;
	while (*r.at != '\0')
		if (*r.at == '<')
			read_tag(&r);
		else if (r.depth > 0 && strcmp(r.open[r.depth - 1], "style") == 0)
			for (; *r.at != '<'; r.at++)
				assert_true(*r.at != '&' && *r.at != '\0');
		else
			read_text(&r, "<");
	if (r.depth != 0)
		fail_msg("<%s> is not closed", r.open[r.depth - 1]);
	for (i = 0; i < r.n_references; i++)
	{
		for (j = 0; j < r.n_ids && strcmp(r.ids[j], r.references[i]) != 0; j++)
			;
		if (j == r.n_ids)
			fail_msg("there is no id \"%s\"", r.references[i]);
	}
	return r.pictures;
}

/* The page of a folder, read strictly; the caller's to free. */
static char *
page_of(const char *folder)
{
	char output[] = "/tmp/moviebert-page-XXXXXX", *page;
	mb_error err = {0};
	int fd = mkstemp(output);

	assert_true(fd >= 0);
	close(fd);
	if (report_html_write_to(folder, output, &err) != MB_OK)
		fail_msg("%s: %s (%s)", folder, err.message, err.detail);
	page = read_page(output);
	unlink(output);
	read_markup(page);
	return page;
}

static void
assert_has(const char *page, const char *text)
{
	if (strstr(page, text) == NULL)
		fail_msg("the page lacks \"%s\"", text);
}

static void
assert_lacks(const char *page, const char *text)
{
	const char *at = strstr(page, text);

	if (at != NULL)
		fail_msg("the page has \"%s\": \"%.80s\"", text, at);
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

static void
page_of_a_tagger(void **state)
{
	char *page = page_of("test/golden/report/tags.run");

	(void) state;
	assert_has(page, "<h1>Fine-tuning for tags</h1>");
	assert_has(page, "trained on 10,000 rows, begun on 25 November 2026 at 1:02 UTC, on Example CPU with 2 threads");
	assert_has(page, ">Finished<");
	/* the test part's figures go before those of validation */
	assert_has(page, "<dt>Macro AP</dt><dd>0.4812<small>on the test part, at the end</small>");
	assert_has(page, "<dt>Micro F1</dt><dd>0.6111<small>");
	assert_has(page, "<dt>Computing</dt><dd>30 s</dd>");
	/* 245,760 tokens in 30 s */
	assert_has(page, "<dt>Tokens a second</dt><dd>8,192<small>120 GFLOP/s</small>");
	assert_has(page, "independent-film-of-a-very-long-name");
	assert_has(page, "\xe6\x97\xa5\xe6\x9c\xac\xe6\x98\xa0\xe7\x94\xbb");
	assert_has(page, "&lt;b&gt;&amp;amp;&lt;/b&gt;");
	assert_has(page, "of 20,000 pairs</title>");
	assert_has(page, "Expected calibration error 0.0134, Brier score 0.0611.");
	assert_has(page, "<h3>Tags that stand together</h3>");
	assert_has(page, "title &lt;&gt; &#39;&quot;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; AND year &lt; 2000");
	/* of six the last "best" alone */
	assert_has(page, "<li><b>1</b><span>Step 60: The best validation.</span></li>");
	assert_lacks(page, "<li><b>2</b>");
	/* a tag that no row has: no average precision, neither 0 nor NaN */
	assert_has(page, "<bdi>never seen</bdi></th><td class=\"n\">0</td><td class=\"n\">\xe2\x80\x93</td>");
	assert_lacks(page, "nan");
	free(page);
}

static void
page_of_a_run_that_was_cut_off(void **state)
{
	char *page = page_of("test/golden/report/words.run");

	(void) state;
	assert_has(page, ">Not finished: the last line is of step 100<");
	assert_has(page, "6.76 nats: frequencies of tokens alone");
	assert_has(page, "Step 40: The loss is diverging; the loss rose to 9.1.");
	assert_has(page, "Step 30: Went back to the last checkpoint; from step 40 to step 30.");
	assert_has(page,
			   "The vocabulary of this run beside general.txt. A word of these texts takes 1.18 tokens; with the other "
			   "vocabulary 1.27.");
	assert_has(page, "<bdi>heist</bdi><small>120</small>");
	assert_has(page, "<bdi>cell</bdi></li>");
	assert_has(page,
			   "<th scope=\"row\">Loss<small>in training</small></th><td class=\"n\">4.3<small>step 100</small></td>");
	assert_has(page, "<pre>SELECT plot FROM movies</pre>");
	assert_lacks(page, "<h2 id=\"tags\">");
	free(page);
}

static void
hostile_texts(void **state)
{
	static const char manifest[] =
		"{\"task\": \"</title><script>alert('x')</script>\", \"query\": \"a]]>b--><!-- \\u0001\\u001b[2J \\u0085 "
		"\\u202Eevil "
		"\\u007f\\r\\n\\ttab &lt; \\ufffe\", \"command\": [\"moviebert\", \"it's\", \"\", \"a b\", \"plain\"], "
		"\"machine\": {\"cpu\": \"\\\" onload=\\\"x\"}, \"<k & \\\"ey>\": {\"<in>\": \"<v>\"}}";
	static const char metrics[] = "{\"type\":\"step\",\"step\":1,\"loss\":1,\"<b onclick='x'>\":2}\n"
								  "{\"type\":\"validation\",\"step\":1,\"loss\":1,\"\\\"><script>\":0.5,\"</svg>\":7}\n"
								  "{\"type\":\"event\",\"step\":1,\"name\":\"<em>\",\"detail\":\"</ol><script>\"}\n"
								  "{\"type\":\"final\",\"per_tag\":[{\"tag\":\"<script>\",\"support\":3,\"ap\":0.5,"
								  "\"f1\":2},{\"tag\":\"a\\\"b\\u0003\","
								  "\"support\":-1,\"ap\":-3},{\"tag\":4},7],\"cooccurrence\":{\"tags\":[\"<i>\",\"'"
								  "\\\"\"],\"together\":[[1,1],[1]]},"
								  "\"calibration\":{\"bins\":[{\"mean_score\":5,\"share\":-2,\"count\":3},\"x\"]}}\n";
	run_files files = make_run(manifest, metrics);
	char *page = page_of(files.folder);

	(void) state;
	assert_lacks(page, "<script");
	assert_lacks(page, "<em>");
	assert_lacks(page, "\x1b");
	assert_lacks(page, "\xc2\x85");
	assert_lacks(page, "\xe2\x80\xae");              /* U+202E */
	assert_lacks(page, "\xef\xbf\xbe");              /* U+FFFE */
	assert_has(page, "\xe2\x90\x81\xe2\x90\x9b[2J"); /* their pictures */
	assert_has(page, "a]]&gt;b--&gt;&lt;!-- ");
	assert_has(page, "&amp;lt;");
	assert_has(page, "<pre>moviebert &#39;it&#39;\\&#39;&#39;s&#39; &#39;&#39; &#39;a b&#39; plain</pre>");
	free(page);
	remove_run(&files);
}

static void
little_or_nothing(void **state)
{
	static const char *const metrics[] = {
		"",
		"\n\n",
		"{\"type\":\"step\",\"step\":0,\"loss\":3}\n",
		"{\"type\":\"step\",\"step\":1,\"loss\":null,\"accuracy\":null,\"rate\":null}\n",
		"{\"type\":\"validation\",\"step\":5,\"loss\":2.5,\"macro_ap\":0.5}\n",
		"{\"type\":\"event\",\"step\":5,\"name\":\"interrupted\",\"detail\":\"\"}\n",
		"{\"type\":\"final\"}\n",
		"{\"type\":\"final\",\"test\":{\"per_tag\":[]},\"calibration\":{\"bins\":[]},\"cooccurrence\":{\"tags\":[\"a\"]"
		"}}\n",
		"{\"type\":\"step\",\"step\":1,\"loss\":1e308}\n{\"type\":\"step\",\"step\":2,\"loss\":-1e308,\"rate\":1e-300}"
		"\n",
		"{\"type\":\"step\",\"step\":1,\"loss\":7}\n{\"type\":\"step\",\"step\":1e15,\"loss\":7,\"grad_norm\":0}\n",
		"{\"type\":\"something else\",\"step\":1}\n",
		NULL,
	};
	size_t i;

	(void) state;
	for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
	{
		run_files files = make_run(metrics[i] == NULL || i % 2 == 0 ? "{}" : NULL, metrics[i]);
		char *page = page_of(files.folder);

		assert_lacks(page, ">nan");
		assert_lacks(page, "\"nan");
		assert_lacks(page, " inf");
		free(page);
		remove_run(&files);
	}
}

/* "M1 2h0l3 4...": the lowest number of y, where the curve is highest */
static double
highest_point(const char *path)
{
	double x = 0, y = 0, highest = INFINITY;

	while (*path != '"')
	{
		char *end;
		double dx, dy;
		char command = *path++;

		dx = strtod(path, &end);
		path = end;
		if (command == 'h')
			continue;
		dy = strtod(path, &end);
		path = end;
		x = command == 'M' ? dx : x + dx;
		y = command == 'M' ? dy : y + dy;
		highest = fmin(highest, y);
	}
	return highest;
}

/* A long run is thinned, but what is high or low in it stays; and its page stays small. */
static void
long_run(void **state)
{
	int steps = slow_machine() ? 6000 : 100000, i;
	string_buffer metrics = {0};
	run_files files;
	const char *path;
	char *page;

	(void) state;
	for (i = 1; i <= steps; i++)
	{
		/* between 1 and 2, once 2.5 */
		double loss = i == steps / 2 + 7 ? 2.5 : 1 + (i * 7919 % 1000) / 1000.0;

		string_printf(
			&metrics,
			"{\"type\":\"step\",\"step\":%d,\"tokens\":%d,\"seconds\":%d,\"loss\":%.3f,\"accuracy\":%.3f,\"rate\":%g,"
			"\"grad_norm\":%.3f,\"tokens_per_s\":%d,\"gflops\":%.3f}\n",
			i, 64 * i, i, loss, loss / 3, 1e-3 / i, loss * 2, 5000 + i % 91, loss * 50);
		if (i % 50 == 0)
			string_printf(&metrics, "{\"type\":\"validation\",\"step\":%d,\"loss\":%.3f,\"accuracy\":%.3f}\n", i, loss,
						  loss / 4);
		if (i % 100 == 0)
			string_printf(&metrics, "{\"type\":\"event\",\"step\":%d,\"name\":\"resumed\",\"detail\":\"\"}\n", i);
	}
	files = make_run("{\"task\":\"a long run\"}", metrics.data);
	string_release(&metrics);
	page = page_of(files.folder);
	printf("%d steps make a page of %zu bytes\n", steps, strlen(page));
	assert_true(strlen(page) < 500000);
	path = strstr(page, "id=\"loss-wide-t\"");
	assert_non_null(path);
	path = strstr(path, "<path class=\"faint c1\" d=\"");
	assert_non_null(path);
	/* The axis goes from 1 to 2.6 or 3 over 280 to 290 pixels, from about 20 to 304: 2.5 is above 120, 2 is below. */
	printf("the highest point is at %.1f\n", highest_point(path + strlen("<path class=\"faint c1\" d=\"")));
	assert_true(highest_point(path + strlen("<path class=\"faint c1\" d=\"")) < 120);
	free(page);
	remove_run(&files);
}

/* After a roll back a step comes again: what it says last is true, and what came after it has not been. */
static void
steps_told_twice(void **state)
{
	run_files files =
		make_run(NULL, "{\"type\":\"step\",\"step\":2,\"loss\":2}\n{\"type\":\"step\",\"step\":4,\"loss\":9}\n"
					   "{\"type\":\"step\",\"step\":6,\"loss\":90}\n{\"type\":\"step\",\"step\":3,\"loss\":1}\n");
	char *page = page_of(files.folder);

	(void) state;
	assert_has(page, "<td class=\"n\">1<small>step 3</small></td><td class=\"n\">1<small>step 3</small></td><td "
					 "class=\"n\">2<small>step 2</small></td>");
	free(page);
	remove_run(&files);
}

static void
far_values(void **state)
{
	string_buffer metrics = {0};
	run_files files;
	char *page;
	int i;

	(void) state;
	for (i = 1; i <= 300; i++)
		string_printf(&metrics, "{\"type\":\"step\",\"step\":%d,\"loss\":%g}\n", i, i == 150 ? 1e6 : 2 - i / 300.0);
	files = make_run(NULL, metrics.data);
	string_release(&metrics);
	page = page_of(files.folder);
	assert_has(page, "1 value lies beyond the plot&#39;s edges.");
	/* no tick in millions, and the highest value is still told */
	assert_lacks(page, ">1M</text>");
	assert_has(page, "<td class=\"n\">1,000,000<small>step 150</small></td>");
	free(page);
	remove_run(&files);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void
damaged_files(void **state)
{
	static const char good[] = "{\"type\":\"step\",\"step\":1,\"loss\":1}\n";
	static const struct
	{
		const char *manifest, *metrics;
		mb_status status;
		const char *message;
	} cases[] = {
		{"{}", "{\"type\":\"step\",\"step\":1}\n{\"type\":\"step\",\"st\n{}\n", MB_CORRUPT, "line 2 of \""},
		{"{}", "{\"type\":\"step\",\"step\":1}\n\n[1]\n", MB_CORRUPT, "line 3 of \""},
		{"{}", "{\"type\":\"step\",\"step\":1,\"loss\":NaN}\n", MB_CORRUPT, "line 1 of \""},
		{"{}", "{\"step\":1}\n", MB_CORRUPT, "has no \"type\""},
		{"{}", "{\"type\":\"step\",\"step\":\"1\"}\n", MB_CORRUPT, "has no \"step\""},
		{"{}", "{\"type\":\"step\",\"step\":-1}\n", MB_CORRUPT, "has no \"step\""},
		{"{}", "{\"type\":\"step\",\"step\":1,\"step\":2}\n", MB_CORRUPT, "line 1 of \""},
		{"{}", "{\"type\":\"step\",\"step\":1,\"x\":\"\xff\"}\n", MB_CORRUPT, "line 1 of \""},
		{"{\"a\":\n1,,}", good, MB_CORRUPT, "manifest.json\" is not JSON"},
		{"[]", good, MB_CORRUPT, "manifest.json\" is not a JSON object"},
		{NULL, NULL, MB_INVALID_ARGUMENT, "is not the folder of a training run"},
	};
	size_t i;

	(void) state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		run_files files = make_run(cases[i].manifest, cases[i].metrics);
		char path[128];
		mb_error err = {0};

		assert_int_equal(report_html_write(files.folder, &err), cases[i].status);
		printf("%s (%s)\n", err.message, err.detail);
		assert_has(err.message, cases[i].message);
		snprintf(path, sizeof(path), "%s/report.html", files.folder);
		assert_int_equal(access(path, F_OK), -1);
		remove_run(&files);
	}
}

/* A run that writes its last line at this moment has a page of all lines before. */
static void
last_line_without_end(void **state)
{
	run_files files = make_run(NULL, "{\"type\":\"step\",\"step\":7,\"loss\":1}\n{\"type\":\"step\",\"step\":8,\"lo");
	run_files whole =
		make_run(NULL, "{\"type\":\"step\",\"step\":7,\"loss\":1}\n{\"type\":\"step\",\"step\":8,\"loss\":1}");
	char *page = page_of(files.folder);

	(void) state;
	assert_has(page, "Not finished: the last line is of step 7");
	free(page);
	page = page_of(whole.folder);
	assert_has(page, "Not finished: the last line is of step 8");
	free(page);
	remove_run(&files);
	remove_run(&whole);
}

static void
written_whole_or_not_at_all(void **state)
{
	run_files files = make_run("{\"task\":\"first\"}", NULL);
	char path[128];
	mb_error err = {0};
	char *page;

	(void) state;
	snprintf(path, sizeof(path), "%s/report.html", files.folder);
	assert_int_equal(report_html_write(files.folder, &err), MB_OK);
	write_file(&files, "manifest.json", "{");
	assert_int_equal(report_html_write(files.folder, &err), MB_CORRUPT);
	page = read_page(path);
	assert_has(page, "<h1>First</h1>");
	free(page);
	assert_int_equal(report_html_write("/nonexistent/run", &err), MB_INVALID_ARGUMENT);
	write_file(&files, "manifest.json", "{}");
	assert_int_equal(report_html_write_to(files.folder, "/nonexistent/page.html", &err), MB_IO);
	remove_run(&files);
}

/* ---- ticks and numbers ------------------------------------------------------------------------------------------- */

/* A multiple of 1, 2 or 5 times a power of ten; difference: between two of them, as exact as their last bits allow. */
static bool
is_round(double value, double difference)
{
	double power = pow(10, floor(log10(difference) + 1e-5)), digits = rint(difference / power);
	double times = value / (digits * power);

	return (digits == 1 || digits == 2 || digits == 5) && fabs(times - rint(times)) < 1e-6 * fmax(1, fabs(times));
}

static void
ticks_are_round(void **state)
{
	int rounds = slow_machine() ? 2000 : 50000, i;

	(void) state;
	srand(7);
	for (i = 0; i < rounds; i++)
	{
		double ticks[SVG_MAX_TICKS], centre = ((double) rand() / RAND_MAX - 0.5) * pow(10, rand() % 12 - 5);
		double half = (1e-4 + (double) rand() / RAND_MAX) * pow(10, rand() % 12 - 6);
		svg_scale s = {.low = centre - half, .high = centre + half};
		size_t most = 3 + (size_t) rand() % 18, n, k;
		double low = s.low, high = s.high;

		if (half < 1e-7 * fabs(centre))
			continue;
		svg_scale_round(&s, most);
		assert_true(s.low <= low + 1e-6 * half && s.high >= high - 1e-6 * half);
		n = svg_ticks(&s, most, ticks);
		if (n < 2 || n > most)
			fail_msg("%zu ticks of %zu from %.17g to %.17g", n, most, s.low, s.high);
		for (k = 0; k < n; k++)
		{
			char name[HTML_NUMBER], before[HTML_NUMBER] = "";

			assert_true(ticks[k] >= s.low - 1e-6 * half && ticks[k] <= s.high + 1e-6 * half);
			if (!is_round(ticks[k], ticks[1] - ticks[0]))
				fail_msg("the tick %.17g is not round, by %.17g", ticks[k], ticks[1] - ticks[0]);
			svg_tick_name(name, ticks, n, k, false);
			if (k > 0)
				svg_tick_name(before, ticks, n, k - 1, false);
			if (strcmp(name, before) == 0)
				fail_msg("%.17g and %.17g are both \"%s\"", ticks[k - 1], ticks[k], name);
		}
	}
}

static void
ticks_by_hand(void **state)
{
	static const struct
	{
		double low, high;
		bool log;
		size_t most;
		const char *names;
	} cases[] = {
		{0, 100, false, 6, "0 20 40 60 80 100"},
		{0, 1, false, 6, "0 0.2 0.4 0.6 0.8 1.0"},
		{0, 0.3, false, 5, "0 0.1 0.2 0.3"},
		{0, 5e-5, false, 6,
		 "0 1\xc2\xb7"
		 "10\xe2\x81\xbb\xe2\x81\xb5 2\xc2\xb7"
		 "10\xe2\x81\xbb\xe2\x81\xb5 3\xc2\xb7"
		 "10\xe2\x81\xbb\xe2\x81\xb5 4\xc2\xb7"
		 "10\xe2\x81\xbb\xe2\x81\xb5 5\xc2\xb7"
		 "10\xe2\x81\xbb\xe2\x81\xb5"},
		{0, 100000, false, 6, "0 20k 40k 60k 80k 100k"},
		{0, 2500000, false, 6, "0 0.5M 1.0M 1.5M 2.0M 2.5M"},
		{-1, 1, false, 5, "-1.0 -0.5 0 0.5 1.0"},
		{1, 1000, true, 5, "1 10 100 1k"},
		{1, 1000, true, 12, "1 2 5 10 20 50 100 200 500 1k"},
		{0.01, 1, true, 4, "0.01 0.1 1"},
	};
	size_t i, k;

	(void) state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		svg_scale s = {.low = cases[i].low, .high = cases[i].high, .log = cases[i].log};
		double ticks[SVG_MAX_TICKS];
		string_buffer names = {0};
		size_t n = svg_ticks(&s, cases[i].most, ticks);
		char name[HTML_NUMBER];

		for (k = 0; k < n; k++)
			string_printf(&names, "%s%s", k > 0 ? " " : "", svg_tick_name(name, ticks, n, k, s.log));
		assert_string_equal(names.data, cases[i].names);
		string_release(&names);
	}
}

static void
numbers_and_texts(void **state)
{
	char buffer[HTML_NUMBER];
	string_buffer text = {0};

	(void) state;
	assert_string_equal(html_number(buffer, 1234567), "1,234,567");
	assert_string_equal(html_number(buffer, 5397.4), "5,397");
	assert_string_equal(html_number(buffer, 0.123456), "0.1235");
	assert_string_equal(html_number(buffer, 0), "0");
	assert_string_equal(html_number(buffer, NAN), "\xe2\x80\x93");
	assert_string_equal(html_number(buffer, 1.234e-5), "1.23\xc2\xb7"
													   "10\xe2\x81\xbb\xe2\x81\xb5");
	assert_string_equal(html_number(buffer, 2e20), "2.00\xc2\xb7"
												   "10\xc2\xb2\xe2\x81\xb0");
	assert_string_equal(html_large(buffer, 9999), "9,999");
	assert_string_equal(html_large(buffer, 22713216), "22.7 million");
	assert_string_equal(html_large(buffer, 999999), "1.00 million");
	assert_string_equal(html_duration(buffer, 7.25), "7.2 s");
	assert_string_equal(html_duration(buffer, 59.7), "1 min 0 s");
	assert_string_equal(html_duration(buffer, 7265), "2 h 1 min");
	assert_string_equal(html_duration(buffer, 200000), "2 d 7 h");
	assert_string_equal(html_duration(buffer, NAN), "\xe2\x80\x93");

	assert_int_equal(html_width("\xe6\x97\xa5\xe6\x9c\xac"
								"e\xcc\x81"),
					 5);
	assert_false(html_elided(&text, "noir", 4));
	assert_true(html_elided(&text, "<western>", 4));
	assert_true(html_elided(&text, "\xe6\x97\xa5\xe6\x9c\xac\xe6\x98\xa0", 4));
	html_text(&text, "\xff");
	assert_string_equal(text.data, "noir&lt;we\xe2\x80\xa6\xe6\x97\xa5\xe2\x80\xa6\xef\xbf\xbd");
	string_release(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_of_a_tagger),
		cmocka_unit_test(page_of_a_run_that_was_cut_off),
		cmocka_unit_test(hostile_texts),
		cmocka_unit_test(little_or_nothing),
		cmocka_unit_test(long_run),
		cmocka_unit_test(steps_told_twice),
		cmocka_unit_test(far_values),
		cmocka_unit_test(damaged_files),
		cmocka_unit_test(last_line_without_end),
		cmocka_unit_test(written_whole_or_not_at_all),
		cmocka_unit_test(ticks_are_round),
		cmocka_unit_test(ticks_by_hand),
		cmocka_unit_test(numbers_and_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
