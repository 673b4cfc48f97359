/* Loaded in front of libc (LD_PRELOAD): every clock of the process is ahead of the kernel's by the nanoseconds that stand
 * in the file TURNED_CLOCK, which a test changes while the process runs. libfaketime does this too, but blocks some
 * starts of a program with an allocator of its own, and leaves files in /dev/shm behind when the program is killed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *ahead;

__attribute__((constructor)) static void find_file(void) {
    const char *path = getenv("TURNED_CLOCK");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    /* A test whose clock cannot be turned must not pass. */
    if (page == MAP_FAILED) abort();
    close(file);
    ahead = page;
}

/* The system call, since looking for libc's own function may allocate, and allocators ask for the time. */
int clock_gettime(clockid_t clock, struct timespec *time) {
    const int64_t second = 1000000000;
    int failed = (int)syscall(SYS_clock_gettime, clock, time);
    if (failed || ahead == NULL) return failed;
    /* How long a process or thread has run is no time of day. */
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) return 0;
    int64_t nanos = time->tv_nsec + *ahead;
    time->tv_sec += nanos / second;
    time->tv_nsec = nanos % second;
    return 0;
}
