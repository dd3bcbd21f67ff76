/* parallel.c - pthreads taking numbers from one counter. */
#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define MAX_THREADS 64

typedef struct crew
{
	atomic_size_t next;
	size_t n_jobs;
	parallel_job job;
	void *arg;
} crew;

typedef struct worker
{
	crew *crew;
	int thread;
} worker;

static void *
work(void *arg)
{
	worker *self = arg;
	size_t job;

	while ((job = atomic_fetch_add(&self->crew->next, 1)) < self->crew->n_jobs)
		self->crew->job(self->crew->arg, job, self->thread);
	return NULL;
}

void
parallel_run(size_t n_jobs, int n_threads, parallel_job job, void *arg)
{
	crew shared = {0, n_jobs, job, arg};
	worker workers[MAX_THREADS];
	pthread_t threads[MAX_THREADS];
	int started = 0;
	int i;

	if (n_threads > MAX_THREADS)
		n_threads = MAX_THREADS;
	if ((size_t) n_threads > n_jobs)
		n_threads = (int) n_jobs;
	for (i = 1; i < n_threads; i++)
	{
		workers[i] = (worker){&shared, i};
		if (pthread_create(&threads[started], NULL, work, &workers[i]) != 0)
			break; /* fewer threads do the same work */
		started++;
	}
	workers[0] = (worker){&shared, 0};
	work(&workers[0]);
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

int
parallel_default_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int) n;
}
