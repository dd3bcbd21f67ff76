/*
 * interrupt.c - the handler only sets a flag and sends a cancel request (PQcancel is made for signal handlers), in the
 * main thread, whichever thread the signal came to.
 *
 * The second Ctrl-C ends the process at once: a transaction in progress is then rolled back by the server.
 */
#include "interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t requested;
static PGcancel *volatile active_cancel;
static pthread_t main_thread;

static void
handle(int signal_number)
{
	int saved_errno = errno;
	PGcancel *cancel = active_cancel;

	/* A thread of OpenBLAS does not block signals while a password is typed; the main one does. */
	if (!pthread_equal(pthread_self(), main_thread))
	{
		pthread_kill(main_thread, signal_number);
		errno = saved_errno;
		return;
	}
	if (requested)
	{
		signal(signal_number, SIG_DFL);
		raise(signal_number);
		errno = saved_errno;
		return;
	}
	requested = 1;
	if (cancel != NULL)
	{
		char message[256];
		sigset_t second;

		/* Which is to end us even while this one waits for a server that does not answer. */
		sigemptyset(&second);
		sigaddset(&second, signal_number);
		pthread_sigmask(SIG_UNBLOCK, &second, NULL);
		(void) PQcancel(cancel, message, sizeof(message));
	}
	errno = saved_errno;
}

void
interrupt_install(void)
{
	struct sigaction action;

	main_thread = pthread_self();
	memset(&action, 0, sizeof(action));
	action.sa_handler = handle;
	sigemptyset(&action.sa_mask);
	action.sa_flags = SA_RESTART;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool
interrupt_requested(void)
{
	return requested != 0;
}

static bool
check(void *arg)
{
	(void) arg;
	return requested != 0;
}

const mb_interrupt tool_interrupt = {check, NULL};

void
interrupt_set_connection(PGconn *connection)
{
	PGcancel *old = active_cancel;

	active_cancel = NULL;
	if (old != NULL)
		PQfreeCancel(old);
	if (connection != NULL)
		active_cancel = PQgetCancel(connection);
}
