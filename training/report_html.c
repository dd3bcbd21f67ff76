/* report_html.c - a run's files become its page. */
#include "report_html.h"

#include <stdlib.h>
#include <string.h>

#include "output_file.h"
#include "report_html_parts.h"

static void
write_page(string_buffer *out, const run_record *run)
{
	char *title = page_title(run);

	string_printf(out, "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
					   "<meta charset=\"utf-8\"/>\n"
					   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
					   "<meta name=\"generator\" content=\"moviebert " MOVIEBERT_VERSION "\"/>\n"
					   /* Nothing is loaded or run, whatever a text in here says. */
					   "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src "
					   "&#39;unsafe-inline&#39;\"/>\n<title>");
	html_text(out, title);
	string_printf(out, "</title>\n");
	page_style(out);
	string_printf(out, "</head>\n<body>\n<main>\n");
	page_headline(out, run);
	page_course(out, run);
	page_tags(out, run);
	page_vocabulary(out, run);
	page_values(out, run);
	page_facts(out, run);
	string_printf(out,
				  "<footer>Written by moviebert " MOVIEBERT_VERSION
				  " from manifest.json and metrics.jsonl, which stand beside this page. <code>moviebert report</code> "
				  "makes it again.</footer>\n</main>\n</body>\n</html>\n");
	free(title);
}

mb_status
report_html_write_to(const char *run_folder, const char *output, mb_error *err)
{
	string_buffer page = {0}, path = {0};
	run_record run;
	mb_status status = run_record_read(&run, run_folder, err);
	size_t length = strlen(run_folder);

	if (status != MB_OK)
		return status;
	write_page(&page, &run);
	run_record_release(&run);
	if (output == NULL)
		string_printf(&path, "%s%sreport.html", run_folder, length > 0 && run_folder[length - 1] == '/' ? "" : "/");
	status = output_file_write(output != NULL ? output : path.data, page.data, page.size, err);
	string_release(&page);
	string_release(&path);
	return status;
}

mb_status
report_html_write(const char *run_folder, mb_error *err)
{
	return report_html_write_to(run_folder, NULL, err);
}
