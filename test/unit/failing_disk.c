/* failing_disk.c - a disk that fails when a test says so. */
#include "test/unit/failing_disk.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

long syscall(long number, ...); /* not of POSIX */

static size_t room = SIZE_MAX;
static bool interrupts, interrupted, no_fsync;

ssize_t
write(int fd, const void *data, size_t size)
{
	ssize_t n;

	if (interrupts)
	{
		interrupted = !interrupted;
		if (interrupted)
		{
			errno = EINTR;
			return -1;
		}
		size = size < 7 ? size : 7;
	}
	if (room == 0 && size > 0)
	{
		errno = ENOSPC;
		return -1;
	}
	n = syscall(SYS_write, fd, data, size < room ? size : room);
	if (n > 0 && room != SIZE_MAX)
		room -= (size_t) n;
	return n;
}

int
fsync(int fd)
{
	if (no_fsync)
	{
		errno = EIO;
		return -1;
	}
	return (int) syscall(SYS_fsync, fd);
}

void
disk_fills_after(size_t bytes)
{
	room = bytes;
}

void
disk_interrupts(void)
{
	interrupts = true;
}

void
fsync_fails(void)
{
	no_fsync = true;
}

void
disk_works(void)
{
	room = SIZE_MAX;
	interrupts = no_fsync = false;
}

void
signal_of_file_size_is_ignored(void)
{
	signal(SIGXFSZ, SIG_IGN);
}
