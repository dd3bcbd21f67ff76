/*
 * failing_disk.h - a disk that fails when a test says so.
 *
 * failing_disk.c has a write() and an fsync() of its own, which the engine's calls find before the C library's.
 */
#ifndef MOVIEBERT_TEST_FAILING_DISK_H
#define MOVIEBERT_TEST_FAILING_DISK_H

#include <stddef.h>

void disk_fills_after(size_t bytes); /* then write() takes what fits, and the next is ENOSPC */
void disk_interrupts(void);          /* write() takes 7 bytes at most, and is EINTR every other time */
void fsync_fails(void);              /* with EIO */
void disk_works(void);

/* SIGXFSZ, which a file over RLIMIT_FSIZE raises, is ignored from now on, as PostgreSQL does: write() says EFBIG. */
void signal_of_file_size_is_ignored(void);

#endif
