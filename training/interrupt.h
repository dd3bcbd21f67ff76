/*
 * interrupt.h - Ctrl-C and SIGTERM: a flag that long loops and the engine ask for, and a cancel request to the server.
 */
#ifndef MOVIEBERT_TOOL_INTERRUPT_H
#define MOVIEBERT_TOOL_INTERRUPT_H

#include <libpq-fe.h>

#include "moviebert/status.h"

void interrupt_install(void); /* handlers for SIGINT and SIGTERM */
bool interrupt_requested(void);

/* What the engine is given. */
extern const mb_interrupt tool_interrupt;

/* From now on the handler also sends a cancel request for this connection; NULL: no longer. */
void interrupt_set_connection(PGconn *connection);

#endif
