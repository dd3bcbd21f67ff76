/*
 * jansson.c - what it takes to have jansson in a backend.
 *
 * PostgreSQL exports its SQL function json_object under that very name, and in a backend it would be found in place of
 * jansson's, even by jansson itself, which then calls it and crashes.  So the library contains jansson, from its static
 * archive, with all of its symbols hidden.  Debian builds that archive for programs, not for libraries; what makes the
 * difference is its one reference to a variable of another library, stdin, which the linker is told (--wrap=stdin) to
 * look for here.  jansson only compares it with the FILE that it is to read, and the engine reads none.
 */
#include "moviebert.h"

extern FILE *__wrap_stdin __attribute__((visibility("hidden")));
FILE	   *__wrap_stdin = NULL;
